"""What becomes of the shims of tries: whether they go on, were stopped, or have ended."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Collection, Mapping

from gpu_queue.agent import stages
from gpu_queue.agent.livetry import LiveTry
from gpu_queue.execution import leftword, processes
from gpu_queue.signals import number_of

SIGNALLED_WITHIN_S = 2.0
"""So far apart a scheduler's signals to a task's processes and to the agent may be seen."""


def of(one: LiveTry, now: float, children: Callable[[], Collection[int]]) -> stages.Facts:
    """What has become of the shim of a try that runs; nothing, where it goes on.

    Args:
        one: the try.
        now: monotonic seconds.
        children: what else this agent has started.
    """
    if one.pid is None:
        if not one.directory.is_alive():
            return stages.Facts(shim=stages.ShimGone())
        shim = processes.read_process((one.directory.pid() or (0, 0))[0])
        return stages.Facts(is_stopped=True) if shim is not None and shim.state == "T" else stages.NOTHING
    try:
        pid, wait_status = os.waitpid(one.pid, os.WNOHANG | os.WUNTRACED)
    except ChildProcessError:
        pid, wait_status = one.pid, -1
    if not pid:
        return stages.NOTHING
    if wait_status >= 0 and os.WIFSTOPPED(wait_status):
        return stages.Facts(is_stopped=True)
    one.shim_pid, one.pid, one.ended_at = one.pid, None, now
    status = one.directory.status()
    if status is None and wait_status >= 0 and os.WIFEXITED(wait_status):
        status = os.WEXITSTATUS(wait_status)  # a full disk takes no status; the shim exits with the same
    may_have_left = status is None or processes.may_have_leftovers(one.shim_pid, now - one.started_at, children())
    gone = stages.ShimGone(
        status,
        one.directory.why(),
        one.directory.reason() or "",
        may_have_left,
        asks=leftword.asks(one.directory),
        signal=number_of(one.needs.signal),
        is_warned=leftword.is_warned(one.directory),
    )
    return stages.Facts(shim=gone)


def signal_shim(one: LiveTry, number: signal.Signals) -> None:
    """Signal the shim of a try, if it lives."""
    pid = one.pid or (one.directory.pid() or (0, 0))[0]
    process = processes.read_process(pid) if pid else None
    if process is not None:
        processes.send(process, number)


def is_signalled(one: LiveTry, heard: Mapping[int, float]) -> bool:
    """Whether a script seems to have died of a signal that the agent was sent as well.

    Args:
        one: its try.
        heard: when the agent was sent which signal, in monotonic seconds.
    """
    heard_at = heard.get(one.end.status - 128) if one.end is not None else None
    return heard_at is not None and one.ended_at is not None and abs(heard_at - one.ended_at) < SIGNALLED_WITHIN_S
