"""What an agent on a shared server says each minute: what waits and runs, its queues, its GPUs."""

from __future__ import annotations

import time
from collections.abc import Callable

from gpu_queue.spool.pages import GpuPage, NodePage, QueuePage, TryPage
from gpu_queue.task import short_name
from gpu_queue.texts import printable
from gpu_queue.words import bar_in_words

EVERY_S = 60.0
LINES_MAX = 20
QUEUES_MAX = 7


class Minutes:
    """Says it once a minute, as long as something waits or runs, or has changed."""

    def __init__(self, say: Callable[[str], None], now: float) -> None:
        self._say = say
        self._said_at = now
        self._said: object = None
        self._is_shared = False

    @property
    def due(self) -> float:
        """When a page is to be written for it, in monotonic seconds."""
        return self._said_at + EVERY_S if self._is_shared else float("inf")

    def hear(self, now: float, page: NodePage) -> None:
        """This page is written."""
        self._is_shared = page.mode == "shared"
        if now < self.due:
            return
        self._said_at = now
        what = (page.waiting_count, page.done, page.failed, page.queues, [(one.uuid, one.state) for one in page.gpus])
        if page.waiting_count or page.running or what != self._said:
            self._said = what
            for line in minute_lines(page, time.time()):
                self._say(line)


def minute_lines(page: NodePage, wall_s: float) -> list[str]:
    """So many lines at most.

    Args:
        page: of this node.
        wall_s: now, in epoch seconds.
    """
    counts = (page.waiting_count, len(page.running), page.done, page.failed)
    lines = ["Tasks: Pending={}, Running={}, Completed={}, Failed={}".format(*counts)]
    queues = [queue_line(one, wall_s) for one in page.queues]
    more = len(queues) + page.more_queues - QUEUES_MAX
    lines += (
        queues if more <= 0 else [*queues[: QUEUES_MAX - 1], f"… and {more + 1} more queues; see gpu_status --queues"]
    )
    of_gpus = [line for gpu in page.gpus for line in _gpu_lines(gpu, page.running)]
    room = LINES_MAX - len(lines)
    if len(of_gpus) > room:
        of_gpus = [line for gpu in page.gpus for line in _gpu_lines(gpu, page.running)[:1]]
    if len(of_gpus) > room:
        of_gpus = [*of_gpus[: room - 1], f"… and {len(of_gpus) - room + 1} more GPUs; see gpu_status"]
    return lines + of_gpus


def queue_line(one: QueuePage, wall_s: float) -> str:
    """A queue in a line."""
    word = "🔴 BUSY" if one.is_busy else "🟢 IDLE"
    counts = f"Pending={one.pending}, Running={one.running}, Completed={one.done}, Failed={one.failed}"
    rest = ""
    if one.rests_s is not None:
        until = time.strftime("%H:%M:%S", time.localtime(wall_s + one.rests_s))
        rest = f", Backoff until {until} (failed {one.failures} times)"
    return f"Queue {printable(one.queue)}: {word}, {counts}{rest}"


def _gpu_lines(gpu: GpuPage, running: tuple[TryPage, ...]) -> list[str]:
    tries = [one for one in running if gpu.index in one.gpus]
    free, pythons, kept = "?", "?", ""
    if gpu.shared is not None:
        if gpu.shared.free_bytes is not None:
            free = f"{gpu.shared.free_bytes / (1 << 30):.1f}GB"
        if gpu.shared.user_pythons is not None:
            pythons = str(gpu.shared.user_pythons)
        kept = printable(bar_in_words(gpu.shared.kept_by))
    state = gpu.state.value if gpu.state.value in ("lost", "unknown") else ""
    why = f" ({kept or state})" if kept or state else ""
    head = f"GPU {gpu.index}: Available={free}, User Python Processes={pythons}, Running Tasks={len(tries)}{why}"
    return [head, *(f"  {_try_line(one)}" for one in tries)]


def _try_line(one: TryPage) -> str:
    queue = f" (Queue {printable(one.queue)})" if one.queue else ""
    return f"Running Task{queue}: {short_name(one.claim.split('.try')[0], printable(one.name))}"
