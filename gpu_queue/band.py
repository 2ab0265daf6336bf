"""The band of utilisation that the keep-alive holds: three numbers and what is wrong with them.  Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Band:
    """What utilisation is to be held, in percent as the driver reports it.

    Raises:
        ValueError: the numbers are out of order, or the band is narrower than the readings' noise.
    """

    threshold: float = 50.0
    """``gpu_util_threshold``: below it the duty is corrected at once."""
    low: float = 70.0
    """``gpu_util_target``: the lower edge of the band."""
    high: float = 85.0
    """``gpu_util_high``: the upper edge."""

    def __post_init__(self) -> None:
        for name, value in (
            ("gpu_util_threshold", self.threshold),
            ("gpu_util_target", self.low),
            ("gpu_util_high", self.high),
        ):
            if not 0 <= value <= 100:
                raise ValueError(f"{name} is {value:g}; expected a percentage, 0 to 100")
        if self.threshold > self.low:
            raise ValueError(
                f"gpu_util_threshold ({self.threshold:g}) is above gpu_util_target ({self.low:g}); expected "
                "threshold <= target < high, for example 50, 70 and 85"
            )
        if self.high - self.low < 5:
            raise ValueError(
                f"gpu_util_high ({self.high:g}) is less than 5 points above gpu_util_target ({self.low:g}); the "
                "driver's readings wander more than that, expected for example 70 and 85"
            )

    @property
    def aim(self) -> float:
        """The middle, 77.5 by default."""
        return (self.low + self.high) / 2
