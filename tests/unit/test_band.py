"""The band that the keep-alive holds: what is wrong with its numbers is told."""

from __future__ import annotations

import pytest

from gpu_queue.band import Band


@pytest.mark.parametrize(
    ("threshold", "low", "high", "name"),
    [
        (-1, 70, 85, "gpu_util_threshold is -1"),
        (50, 70, 101, "gpu_util_high is 101"),
        (50, float("nan"), 85, "gpu_util_target is nan"),
        (75, 70, 85, "gpu_util_threshold .75. is above gpu_util_target .70."),
        (50, 85, 70, "gpu_util_high .70. is less than 5 points above gpu_util_target .85."),
        (50, 70, 74, "less than 5 points"),
    ],
)
def test_a_band_that_cannot_be_held_is_refused(threshold: float, low: float, high: float, name: str) -> None:
    with pytest.raises(ValueError, match=name) as refused:
        Band(threshold, low, high)
    assert "expected" in str(refused.value)
