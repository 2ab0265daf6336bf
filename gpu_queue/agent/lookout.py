"""Who is on the GPUs, looked at in a thread of its own: whoever asks takes what the last look has shown.

- The question may hang with the driver, or with one of the processes: a look that hangs hangs alone, and there is no
  second one.  What nobody can tell meanwhile is not known.
- A process is a task's by the claim in its own environment or in that of who started it; of this user's processes
  alone, for anybody may write what he likes into his own.
- A pid may pass to another process while it is looked at: what was read counts only if it is still the same one.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping

from gpu_queue.execution.processes import claim_of_family, is_python, owner_of, read_process, start_of
from gpu_queue.gpus.processes import GpuProcess, GpuProcesses, exists, unknown_here
from gpu_queue.keepalive.protocol import PROCESS_NAME
from gpu_queue.scheduling.tenancy import Look, Tenant

HANGS_AFTER_S = 2.0
"""A look takes milliseconds."""
NOT_TOLD = "the driver does not tell which processes use its GPUs"
NOT_OURS = "the driver tells process {pid}, which is none of this container: process lists say nothing here"
HANGS = "the list of processes on the GPUs does not come: the driver, or one of them, hangs"


class Lookout:
    """Looks when somebody asks for it."""

    def __init__(self, source: GpuProcesses, wake: Callable[[], None], uid: int | None = None) -> None:
        """Look at nothing yet.

        Args:
            source: tells processes of GPUs.
            wake: is called, in the other thread, when a look has ended.
            uid: ours.
        """
        self.uid = os.geteuid() if uid is None else uid
        self._source = source
        self._wake = wake
        self._is_out = False
        self._begun_at = 0.0
        self._found: Look | None = None
        self._last: Look | None = None

    def look(self, now: float, at_most_s: float) -> Look | None:
        """The last look, if it is no older; else it is begun, which wakes the agent when it is there, and None.

        Args:
            now: monotonic seconds.
            at_most_s: since it began.
        """
        last = self.last(now)
        if last is not None and now - last.began_at <= at_most_s:
            return last
        if not self._is_out:
            self._is_out, self._begun_at, self._found = True, now, None
            threading.Thread(target=self._look, name="gpu processes", daemon=True).start()
        return None

    def last(self, now: float) -> Look | None:
        """What the last look has shown; one that hangs counts as one that nothing can be told by."""
        if self._found is not None:
            self._is_out, self._last, self._found = False, self._found, None
        if self._is_out and now - self._begun_at > HANGS_AFTER_S:
            return Look(now, now, None, HANGS)
        return self._last

    @property
    def is_out(self) -> bool:
        """Whether a look is under way."""
        return self._is_out and self._found is None

    def _look(self) -> None:
        began_at = time.monotonic()
        try:
            found = look(self._source, self.uid)
        except Exception as error:  # a fault of ours hinders no task
            found = Look(began_at, time.monotonic(), None, f"who uses the GPUs cannot be told: {error!r}")
        self._found = found
        self._wake()


def look(source: GpuProcesses, uid: int, clock: Callable[[], float] = time.monotonic) -> Look:
    """Look now.  May hang with the driver, or with one of the processes.

    Args:
        source: tells processes of GPUs.
        uid: ours.
        clock: monotonic seconds.
    """
    began_at = clock()
    listed, problem = _listed(source)
    if listed is None:
        return Look(began_at, clock(), None, problem)
    found = {uuid: tuple(filter(None, (tenant_of(one, uid) for one in some))) for uuid, some in listed.items()}
    return Look(began_at, clock(), found, "" if found else NOT_TOLD)


def _listed(source: GpuProcesses) -> tuple[Mapping[str, tuple[GpuProcess, ...]] | None, str]:
    """What the driver tells, or why that is not to be believed."""
    listed = source.gpu_processes()
    unknown = frozenset() if listed is None else unknown_here(listed)
    if listed is None or not unknown:
        return listed, "" if listed is not None else NOT_TOLD
    # What has just ended is not told again; what is told again and is nobody here is of another namespace.
    again = source.gpu_processes()
    if again is None:
        return None, NOT_TOLD
    still = unknown & unknown_here(again)
    return (None, NOT_OURS.format(pid=min(still))) if still else (again, "")


def tenant_of(one: GpuProcess, uid: int) -> Tenant | None:
    """Who a process is; None where it has ended, a zombie included: its memory is free.

    Args:
        one: as the driver tells it.
        uid: ours.
    """
    process, owner = read_process(one.pid), owner_of(one.pid)
    if process is None:
        return Tenant(one.pid, 0, "", owner, one.used_bytes) if exists(one.pid) and owner != uid else None
    if process.state == "Z":
        return None
    if owner != uid:
        found = Tenant(one.pid, process.start_ticks, process.name, owner, one.used_bytes)
    else:
        claim = claim_of_family(one.pid)
        found = Tenant(
            one.pid,
            process.start_ticks,
            process.name,
            owner,
            one.used_bytes,
            claim=None if claim is None else os.path.basename(claim),
            is_python=is_python(process),
            is_filler=process.name == PROCESS_NAME,
        )
    return found if start_of(one.pid) == process.start_ticks else None
