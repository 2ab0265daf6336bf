"""How long a task rests after it failed.  Pure.

- Where the GPUs are this user's alone the delay doubles: 30 s, 1 min, 2 min … before each retry.
- On a shared server retries are immediate, with a rest after each few failures (``retry_config``).
"""

from __future__ import annotations

from gpu_queue.scheduling.facts import Limits
from gpu_queue.sharing import RetryConfig

_DOUBLINGS_MAX = 20


def doubling_s(failures: int, first_s: float, max_s: float) -> float:
    """The delay before a retry, twice as long for each failure.

    Args:
        failures: so far, at least one.
        first_s: the delay after the first one.
        max_s: never longer.
    """
    return min(first_s * 2.0 ** min(failures - 1, _DOUBLINGS_MAX), max_s)


def rest_s(failures: int, config: RetryConfig) -> float:
    """The rest after a failure: none, but a long one after each ``max_retry_before_backoff``-th.

    Args:
        failures: so far, at least one.
        config: ``retry_config``.
    """
    return config.backoff_duration_s if failures % max(1, config.max_retry_before_backoff) == 0 else 0.0


def rests_until(failures: int, returned_at: float, limits: Limits, *, is_fresh: bool = True) -> float:
    """When a task that failed may be tried again; 0: at once.

    Args:
        failures: since it was last settled.
        returned_at: when it came back to pending/, epoch seconds by the server's clock.
        limits: of its owner.
        is_fresh: it came back because it failed; a try that was requeued, or lost with its node, has had the rest of
            a shared server before it began.

    Returns:
        Epoch seconds by the same clock.
    """
    if failures <= 0:
        return 0.0
    if limits.retry_config is None:
        return returned_at + doubling_s(failures, limits.retry_delay_s, limits.retry_delay_max_s)
    pause_s = rest_s(failures, limits.retry_config) if is_fresh else 0.0
    return returned_at + pause_s if pause_s > 0 else 0.0
