"""Tries that end so that their task is run again: it has asked for that, or has saved what it did.  Pure.

- A script asks by a file that ``GPU_QUEUE_REQUEUE`` names, whatever its status: the why *again*.
- A task that says by which signal it wants to be told to leave (``--signal``), and ends with 0 when it was told, has
  saved and is not finished: the why *saved*.  So has one that then ends by itself with that signal's status: a trap
  breaks ``wait`` off with it, and some handlers die of their signal at last.
- In the name of a claim both stand behind the status 255 where theirs is 0: a reader that does not know these words
  takes them for *requeue*, and a status of 0 for success.
- Who asks is run again at once.  But a script that does so as soon as it begins, for its GPU or mount is not as it
  should be, would be through with ``max_again`` in seconds, where a cluster's scheduler holds it for minutes: it
  rests 30 s after the fourth time, 1 min after the fifth, up to ten.
"""

from __future__ import annotations

from gpu_queue.task import Abnormal, End, RetryLimits, TryResult, Why, current_round
from gpu_queue.units import parse_utc_s

RUN_AGAIN = (Why.AGAIN, Why.SAVED)
HURRIED_S = 60.0
"""A try that asks within so long after it could begin has done nothing else."""
HURRIES_FREE = 3
_REST_S, _REST_MAX_S = 30.0, 600.0
UNTOLD = 255
"""Stands in the name of a claim for a status of 0."""


def as_asked(end: End, *, asks: bool, signal: int = 0, is_warned: bool = False) -> End:
    """How a try has ended whose script may have left word.

    Args:
        end: how it ended, as far as those know who ended it.
        asks: it has asked to be run again.
        signal: the number of the signal by which it wants to be told to leave (``--signal``); 0: it has named none.
        is_warned: it was sent that.
    """
    if end.why in (Why.STOPPED, Why.NOSTART):
        return end
    if asks and (end.status == 0 or end.why not in (Why.REQUEUE, Why.FENCED)):  # these are no failure anyway
        return End(end.status, Why.AGAIN)
    if end.status == 0 and signal and (is_warned or end.why is not None):
        return End(0, Why.SAVED)
    if end.why is None and is_warned and signal and end.status == 128 + signal:
        return End(end.status, Why.SAVED)
    return end


def granted(
    end: End, earlier: tuple[TryResult, ...], limits: RetryLimits, since: str, abnormal: Abnormal | None = None
) -> tuple[End, str]:
    """An end, or, where the task is not run again, an end as its status says; and why it is not.

    Args:
        end: how this try ended.
        earlier: all tries before this one.
        limits: how often what is tried again.
        since: what ended before that (UTC, a day ago) does not count.
        abnormal: the script's own word that this try has failed: it has saved nothing.
    """
    if end.why not in RUN_AGAIN:
        return end, ""
    if end.why is Why.SAVED and abnormal is not None:
        return End(end.status), ""
    # Each of them was written down by a clock of some node's: an hour more or less does no harm.
    times = sum(one.end.why in RUN_AGAIN and one.ended_at >= since for one in current_round(earlier))
    if times < limits.max_again:
        return end, ""
    why = f"not run again, for it was {times} times within a day (max_again: {limits.max_again})"
    return End(end.status), why


def unnamed(end: End, status: int | None) -> End:
    """The end that a claim's name tells of.

    Args:
        end: as the name has it.
        status: as this node has it; None: it does not know.
    """
    if end.why is Why.SAVED:
        return End(0, Why.SAVED) if end.status == UNTOLD else end
    return End(status, Why.AGAIN) if end.why is Why.AGAIN and status is not None else end


def hurries_of(tries: tuple[TryResult, ...]) -> int:
    """How often in a row, up to the last try, a task has asked to be run again without having done much else.

    Args:
        tries: of one round, the oldest first.
    """
    count = 0
    before_s: float | None = None
    for one in tries:
        ended_s = parse_utc_s(one.ended_at)
        if one.end.why is not Why.AGAIN or ended_s is None:
            count, before_s = 0, None
            continue
        took_s = float("inf") if before_s is None else ended_s - before_s - rest_s(count)
        count, before_s = (count + 1 if took_s <= HURRIED_S else 1), ended_s
    return count


def rest_s(hurries: int) -> float:
    """How long a task rests that has asked so often in a row to be run again; 0: not at all."""
    if hurries <= HURRIES_FREE:
        return 0.0
    return min(_REST_S * 2.0 ** min(hurries - HURRIES_FREE - 1, 20), _REST_MAX_S)
