"""Ends what is in the way on a dedicated node: Python processes of ours that nobody answers for.

- ``gpus``: those that hang on to GPUs.  ``all``: every one, on a node that an allocation gives us alone; where the
  node is evidently not ours alone it is ``gpus``, and the reason is told (:func:`why_shared`).
- What may be ended is decided by :func:`choose_strays`, which is pure, over facts that ``psutil`` reads.
- Reading them may hang with one of the processes: a sweep looks in a thread of its own, and is a step, not a wait.
"""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import psutil

from gpu_queue.execution.allocation import OUTER
from gpu_queue.execution.processes import CLAIM_VARIABLE, Process, names_python, read_process, send

GRACE_S = 5.0
GIVE_UP_S = 30.0
"""A process that does not die of KILL hangs in the driver; the sweep does not wait for it for ever."""
_SHIM = re.compile(r"/shims/[0-9a-f]{16}\.sh")
_OURS = re.compile(r"perpetual_motion\.py|gpu_queue[./](?:agent|keepalive)")
_JOB_VARIABLE = "SLURM_JOB_ID"
_SERVICES = (range(1000), range(61_184, 65_536))
"""Uids that are no person's: of the system, and made up by systemd.  A directory service gives people any other."""
_INITS = frozenset({"systemd", "init", "launchd"})

T = TypeVar("T")


@dataclass(frozen=True)
class Facts:
    """What a sweep knows about one process."""

    process: Process
    uid: int
    arguments: tuple[str, ...] = ()
    program: str = ""
    """The base name of what it executes; empty if it cannot be read."""
    claim: str | None = None
    uses_gpu: bool = False
    job: str | None = None
    """The Slurm job that it belongs to; of a task that of the agent which started it."""
    is_hidden: bool = False
    """Its environment cannot be read."""


def choose_strays(
    facts: Mapping[int, Facts],
    *,
    uid: int,
    self_pid: int,
    is_claim_alive: Callable[[str], bool],
    everything: bool = False,
) -> list[Process]:
    """Which Python processes nobody answers for, of those that hang on to a GPU.  Pure.

    Never one of another user or another Slurm job, this process or its ancestors; nor an agent, a keep-alive worker,
    a shim, a process of a try that is alive, or any descendant of these.

    Args:
        facts: all processes, by pid.
        uid: ours.
        self_pid: this agent.
        is_claim_alive: whether the try of this claim path has a living shim.
        everything: also those that hold no GPU.
    """
    answered = {pid for pid, one in facts.items() if _is_answered_for(one, self_pid, is_claim_alive)}
    job = facts[self_pid].job if self_pid in facts else None
    grew = True
    while grew:
        # Not what process 1 has, which may be an agent in a container: whatever lost its parent is a child of it.
        more = {pid for pid, one in facts.items() if one.process.parent in answered - {1}} - answered
        answered |= more
        grew = bool(more)
    ancestors: set[int] = set()
    ancestor = facts.get(self_pid)
    while ancestor is not None and ancestor.process.parent not in ancestors:
        ancestors.add(ancestor.process.parent)  # the shell that started us; not its other children
        ancestor = facts.get(ancestor.process.parent)
    return [
        one.process
        for pid, one in facts.items()
        if one.uid == uid
        and pid not in answered | ancestors
        and _is_python(one)
        and (one.uses_gpu or everything)
        and not one.is_hidden
        and one.job in (None, "", job)
    ]


def why_shared(facts: Mapping[int, Facts], *, uid: int) -> str:
    """By what a node is evidently not ours alone, for people; empty where nothing tells.  Pure.

    Args:
        facts: all processes, by pid.
        uid: ours.
    """
    init = facts.get(1)
    if uid == 0 and init is not None and init.process.name in _INITS:
        return "we are root of a whole machine, whose services are Python too"
    for pid, one in sorted(facts.items()):
        is_person = one.uid >= 0 and not any(one.uid in uids for uids in _SERVICES)
        if is_person and one.uid != uid and _is_python(one):
            return f"a Python process of another user (uid {one.uid}, process {pid}) runs here"
        if one.uid == uid and one.process.name == "raylet":
            return f"a node of a Ray cluster runs here (process {pid}), which is Python itself"
    return ""


def _is_answered_for(one: Facts, self_pid: int, is_claim_alive: Callable[[str], bool]) -> bool:
    return (
        one.process.pid == self_pid
        or any(_OURS.search(word) for word in one.arguments[:6])
        or any(_SHIM.search(word) for word in one.arguments[:3])
        or (one.claim is not None and is_claim_alive(one.claim))
    )


def _is_python(one: Facts) -> bool:
    words = (one.program, one.process.name, os.path.basename(one.arguments[0]) if one.arguments else "")
    return names_python(*words)


def read_facts(uid: int) -> dict[int, Facts]:
    """All processes as a sweep sees them.  May hang with one of them: not for the main thread."""
    facts: dict[int, Facts] = {}
    for pid in psutil.pids():
        # First the row: if the pid passes to another process now, a signal for this row's start reaches nobody.
        process = read_process(pid)
        if process is None or process.state == "Z":
            continue
        try:
            asked = psutil.Process(pid)
            owner = _told(lambda: asked.uids().effective, -1)  # noqa: B023
            facts[pid] = Facts(process, owner) if owner != uid else _facts_of_ours(asked, process, owner)
        except psutil.NoSuchProcess:
            continue
    return facts


def _facts_of_ours(asked: psutil.Process, process: Process, owner: int) -> Facts:
    arguments: list[str] = _told(asked.cmdline, [])
    program: str = _told(asked.exe, "")
    environment: dict[str, str] | None = _told(asked.environ, None)
    is_hidden = environment is None
    environment = environment or {}
    claim = environment.get(CLAIM_VARIABLE)
    # A task's own number is one of our making.
    job = environment.get(_JOB_VARIABLE if claim is None else f"{OUTER}{_JOB_VARIABLE}")
    one = Facts(process, owner, tuple(arguments), os.path.basename(program), claim, job=job, is_hidden=is_hidden)
    return replace(one, uses_gpu=_is_python(one) and uses_gpu(process.pid))


def _told(ask: Callable[[], T], unknown: T) -> T:
    try:
        return ask()
    except (psutil.AccessDenied, OSError):
        return unknown  # what cannot be looked at stays in the tree: somebody may answer for its children


def uses_gpu(pid: int) -> bool:
    """Whether a process has an NVIDIA device open, or the driver's library loaded.  May hang with it.

    ``psutil`` does not tell: of open files it names the regular ones, and for what is mapped it has the kernel count
    each page (9 ms instead of 0.3 for a Python with torch).
    """
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        names = []
    for name in names:
        try:
            if os.readlink(f"/proc/{pid}/fd/{name}").startswith("/dev/nvidia"):
                return True
        except OSError:
            continue
    try:
        with open(f"/proc/{pid}/maps", "rb") as mapped:
            return any(b"libcuda.so" in line for line in mapped)
    except OSError:
        return False


class Sweep:
    """One sweep: call ``step`` until it says that it is done."""

    def __init__(self, is_claim_alive: Callable[[str], bool], *, everything: bool = False) -> None:
        """Note who answers for claims.

        Args:
            is_claim_alive: ``NodeDirectory.is_try_alive``.
            everything: not only what holds GPUs, if the node is ours alone.
        """
        self._is_claim_alive = is_claim_alive
        self._everything = everything
        self.why_shared = ""
        """Why only what holds GPUs was ended, although everything was to be."""
        self._told: set[tuple[int, int]] = set()
        self._begun_at: float | None = None
        self._found: list[Process] | None = None
        self._thread: threading.Thread | None = None

    @property
    def ended(self) -> int:
        """How many processes were told to end."""
        return len(self._told)

    @property
    def told(self) -> str:
        """What was done, for people."""
        count = len(self._told)
        many = "es" * (count != 1)
        if self._everything:
            return f"ended {count} other Python process{many} of this user"
        only = f"; only those that held GPUs, for {self.why_shared}" if self.why_shared else ""
        return f"swept {count} stray Python process{many}{only}"

    def step(self, now: float) -> bool:
        """Look, signal, and say whether nothing is left.

        Args:
            now: monotonic seconds.
        """
        if self._begun_at is None:
            self._begun_at = now
        if now - self._begun_at > GIVE_UP_S:
            return True
        if self._thread is None:
            self._thread = threading.Thread(target=self._look, daemon=True)
            self._thread.start()
        self._thread.join(0.02)
        if self._found is None:
            return False
        found, self._found, self._thread = self._found, None, None
        for process in found:
            key = (process.pid, process.start_ticks)
            if now - self._begun_at >= GRACE_S:
                send(process, signal.SIGKILL)
            elif key not in self._told:
                send(process, signal.SIGTERM)
            self._told.add(key)
        return not found

    def _look(self) -> None:
        uid = os.geteuid()
        facts = read_facts(uid)
        if self._everything and (why := why_shared(facts, uid=uid)):
            self._everything, self.why_shared = False, why
        self._found = choose_strays(
            facts,
            uid=uid,
            self_pid=os.getpid(),
            is_claim_alive=self._is_claim_alive,
            everything=self._everything,
        )
