"""Processes of tries: finding them and ending them.

- Whatever a try starts carries ``GPU_QUEUE_CLAIM=<claim path>`` in its environment, also where it fled the session.
  What dropped its environment (``env -i``) is found by the shim's session and as a descendant of what was found.
- A pid says nothing by itself: it is signalled only together with the start time it had when it was found, through a
  pidfd where there are such.
- Reading ``/proc/<pid>/environ`` or ``maps`` takes a lock of that process and may hang with it while its storage
  hangs.  So :class:`Ending` reads in a thread of its own, passes over who does not answer within a second, and is a
  step, not a wait; the rest of /proc is safe.
- /proc is read by hand here, for this is done at the end of tries: 2.4 ms for 128 processes where ``psutil`` takes 8,
  and knows neither sessions nor start times in ticks (decision 0016).  The sweep, which is rare, asks ``psutil``.
"""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

CLAIM_VARIABLE = "GPU_QUEUE_CLAIM"
_PYTHON = re.compile(r"python[0-9.]*")
_FAMILY_MAX = 32
_SHORT_S = 5.0
_FEW_PIDS = 100
"""More are not asked one by one."""
_PATIENCE_S = 0.02
"""A scan takes about 2 ms for 100 processes: worth waiting for within a step."""
_HANGS_AFTER_S = 1.0
"""A process whose environment is not read by then hangs, in a start of a program whose files wait for the storage."""


@dataclass(frozen=True)
class Process:
    """One row of /proc: who it is, and where it hangs in the tree."""

    pid: int
    start_ticks: int
    parent: int
    session: int
    state: str
    name: str
    is_helper: bool = False
    """It is the shim's, not the task's: an unmarked child of the shim (its timer), or what that has started."""
    is_marked: bool = False
    """It carries the claim in its environment, or was started by one that does."""


def read_process(pid: int) -> Process | None:
    """The process with this pid now; None if there is none."""
    raw = _proc(pid, "stat")
    # The name stands in parentheses and may itself contain any byte, parentheses and newlines included.
    opening, closing = raw.find(b"("), raw.rfind(b")")
    fields = raw[closing + 1 :].split()
    if closing < 0 or len(fields) < 20:
        return None
    name = os.fsdecode(raw[opening + 1 : closing])
    return Process(pid, int(fields[19]), int(fields[1]), int(fields[3]), fields[0].decode(), name)


def start_of(pid: int) -> int | None:
    """When this pid's process was started, in ticks since boot."""
    process = read_process(pid)
    return None if process is None else process.start_ticks


def variable_of(pid: int, name: str) -> list[str]:
    """What a process was given as a variable of its environment, if anything.  May hang with the process."""
    start = f"{name}=".encode()
    return [
        os.fsdecode(entry[len(start) :]) for entry in _proc(pid, "environ").split(b"\0") if entry.startswith(start)
    ]


def claim_of(pid: int) -> str | None:
    """The claim that a process carries in its environment.  May hang with the process."""
    return next(iter(variable_of(pid, CLAIM_VARIABLE)), None)


def claim_of_family(pid: int) -> str | None:
    """The claim that a process, or the nearest of those that started it, carries.  May hang with one of them."""
    for _ in range(_FAMILY_MAX):
        claim = claim_of(pid)
        if claim is not None:
            return claim
        process = read_process(pid)
        if process is None or process.parent <= 1:
            return None
        pid = process.parent
    return None


def owner_of(pid: int) -> int | None:
    """The uid as which a process acts; None where there is none, or /proc hides it."""
    for line in _proc(pid, "status").splitlines():
        if line.startswith(b"Uid:"):
            return int(line.split()[2])
    try:  # its directory is root's where it must not be looked at by its own user either
        return os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return None


def is_python(process: Process) -> bool:
    """Whether a Python runs in a process of ours, whatever it calls itself.  May hang with it."""
    try:
        program = os.path.basename(os.readlink(f"/proc/{process.pid}/exe"))
    except OSError:
        program = ""
    first = os.path.basename(os.fsdecode(_proc(process.pid, "cmdline").partition(b"\0")[0]))
    return names_python(program.removesuffix(" (deleted)"), process.name, first)


def names_python(*words: str) -> bool:
    """Whether one of these is what a Python is called."""
    return any(_PYTHON.fullmatch(word) for word in words)


def pids() -> list[int]:
    """All there are."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def find_marked(claim_path: str, among: Iterable[int] | None = None) -> list[Process]:
    """The living processes that carry this claim.  May hang with one of them.

    Its name alone counts, which is never given twice: the spool may have been reached by another path then.
    """
    asked = ((pid, claim_of(pid)) for pid in (pids() if among is None else among))
    found = (read_process(pid) for pid, claim in asked if _is_that(claim, claim_path))
    return [process for process in found if process is not None and process.state != "Z"]


def _is_that(claim: str | None, claim_path: str) -> bool:
    return claim is not None and os.path.basename(claim) == os.path.basename(claim_path)


def find_try(claim_path: str, shim_pid: int, among: Iterable[int] | None = None) -> list[Process]:
    """All living processes of a try but its shim: marked, of the shim's session, or descendants of such.

    Args:
        claim_path: the marker's value.
        shim_pid: the leader of the session; 0 if unknown.
        among: pids that can only be in question (:func:`newer_than`); None: all.
    """
    rows = _living(among)
    return _tree(rows, {row.pid for row in find_marked(claim_path, [row.pid for row in rows])}, shim_pid)


def _living(among: Iterable[int] | None) -> list[Process]:
    return [row for pid in (pids() if among is None else among) if (row := read_process(pid)) and row.state != "Z"]


def _tree(rows: list[Process], marked: set[int], shim_pid: int) -> list[Process]:
    """Those that are marked, of the shim's session, or descendants of such; without the shim."""
    marked = set(marked)
    _add_descendants(marked, rows)
    found = marked | {row.pid for row in rows if shim_pid and row.session == shim_pid}
    _add_descendants(found, rows)
    found.discard(shim_pid)
    helpers = {row.pid for row in rows if shim_pid and row.parent == shim_pid} - marked
    _add_descendants(helpers, rows)
    return [
        replace(row, is_helper=row.pid in helpers - marked, is_marked=row.pid in marked)
        for row in rows
        if row.pid in found
    ]


def _add_descendants(found: set[int], rows: list[Process]) -> None:
    grew = True
    while grew:
        more = {row.pid for row in rows if row.parent in found} - found
        found |= more
        grew = bool(more)


def newer_than(shim_pid: int, ran_s: float) -> list[int] | None:
    """The pids given out since this shim was started, or None if that cannot be told: a cheap filter for short tries.

    Pids are given out in order and begin anew at their maximum.  Within a few seconds they cannot come round to where
    they were, so if the last one given is higher than the shim's, all later ones lie between.
    """
    if ran_s >= _SHORT_S:
        return None
    there = pids()
    last = _last_pid()  # asked after the listing: what was forked meanwhile is counted
    return None if last is None or last < shim_pid else [pid for pid in there if shim_pid < pid <= last]


def _last_pid() -> int | None:
    """The pid that was given out last; a thread's too."""
    try:
        return int(_proc_file("loadavg").split()[4])
    except (ValueError, IndexError):
        return None


def may_have_leftovers(shim_pid: int, ran_s: float, others: Collection[int]) -> bool:
    """Whether anything may have outlived a try, by what is cheap to ask: for the many short ones nothing has.

    Args:
        shim_pid: of the shim that has gone.
        ran_s: how long its try ran.
        others: living children of this agent; what is in their sessions is theirs.
    """
    if ran_s >= _SHORT_S:
        return True
    asked = shim_pid
    while (last := _last_pid()) != asked:
        if last is None or not asked < last <= shim_pid + _FEW_PIDS:
            return True
        for pid in range(asked + 1, last + 1):
            row = None if pid in others else read_process(pid)
            if row is not None and row.state != "Z" and row.session not in others:
                return True
        asked = last  # what forked and ended before it was looked at has a child behind this one
    return False


def send(process: Process, number: signal.Signals) -> bool:
    """Signal exactly this process; False if it has gone (or is not ours)."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return False
    except OSError:  # a kernel older than 5.3, or no descriptors left
        if start_of(process.pid) != process.start_ticks:
            return False
        try:
            os.kill(process.pid, number)
        except OSError:
            return False
        return True
    try:
        if start_of(process.pid) != process.start_ticks:
            return False
        signal.pidfd_send_signal(descriptor, number)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


class Ending:
    """Ends what a try has left: TERM, and KILL after a grace.  Call :meth:`step` until it says so.

    Each step looks again, for a process may fork while it is being ended.  Nothing here waits.
    """

    def __init__(
        self,
        claim_path: str,
        shim_pid: int = 0,
        grace_s: float = 5.0,
        ran_s: float = float("inf"),
        patience_s: float = 0.0,
    ) -> None:
        """Note what is to be ended.

        Args:
            claim_path: the marker's value.
            shim_pid: the shim's pid, for its session; 0 if unknown (an adopted try).  The shim itself is spared.
            grace_s: between TERM and KILL.
            ran_s: how long the try ran: a short one needs no look at all processes.
            patience_s: so long what is found may end by itself, as helpers do whose program has just ended.
        """
        self._claim_path = claim_path
        self._shim_pid = shim_pid
        self._grace_s = grace_s
        self._ran_s = ran_s
        self._patience_s = patience_s
        self._told: set[tuple[int, int]] = set()
        self._counted: set[tuple[int, int]] = set()
        self._names: dict[tuple[int, int], str] = {}
        self._patient_until: float | None = None
        self._kill_at: float | None = None
        self._scan: _Scan | None = None

    @property
    def ended(self) -> int:
        """How many of the task's processes were told to end so far; helpers of the shim do not count."""
        return len(self._counted)

    @property
    def names(self) -> list[str]:
        """What those are called that carry the try's mark and were told to end."""
        return list(self._names.values())

    def step(self, now: float) -> bool:
        """Look, signal, and say whether nothing is left.

        Args:
            now: a monotonic clock's time.
        """
        if self._scan is None:
            among = newer_than(self._shim_pid, self._ran_s) if self._shim_pid else None
            if among == []:
                return True
            self._scan = _Scan(self._claim_path, self._shim_pid, among)
        found = self._scan.result()
        if found is None:
            return False  # it still looks: a step costs _PATIENCE_S until it is done
        is_whole = not self._scan.unknown
        self._scan = None
        if not found:
            return is_whole
        if self._patient_until is None:
            self._patient_until = now + self._patience_s
        if now < self._patient_until:
            return False
        if self._kill_at is None:
            self._kill_at = now + self._grace_s
        for process in found:
            key = (process.pid, process.start_ticks)
            if now >= self._kill_at:
                send(process, signal.SIGKILL)
            elif key not in self._told:  # once: many programs take a second TERM for "at once"
                send(process, signal.SIGTERM)
            self._told.add(key)
            if not process.is_helper:
                self._counted.add(key)
            if process.is_marked:
                self._names.setdefault(key, process.name)
        return False


_hanging: set[tuple[int, int]] = set()
"""Processes, each with its start, whose environment somebody has asked for and waits: they are not asked again."""


class _Scan:
    """One look at /proc in a thread: where it hangs with a process it hangs alone, and the others are found."""

    def __init__(self, claim_path: str, shim_pid: int, among: list[int] | None):
        self.unknown = False
        """Some process would not say whether it belongs to the try, and may."""
        self._claim_path = claim_path
        self._shim_pid = shim_pid
        self._found: list[Process] | None = None
        self._rows: list[Process] = []
        self._marked: set[int] = set()
        self._asking: tuple[tuple[int, int], float] | None = None
        self._thread = threading.Thread(target=self._look, args=(among,), daemon=True)
        self._thread.start()

    def _look(self, among: list[int] | None) -> None:
        # Twice: what forks and exits while it is looked for is on neither side of one look.
        found = self._find(among)
        if not found:
            newer = None if among is None else [pid for pid in pids() if pid > self._shim_pid]
            found = self._find(newer)
        self._found = found

    def _find(self, among: list[int] | None) -> list[Process]:
        rows, marked = _living(among), set[int]()
        self._rows, self._marked = rows, marked
        for row in rows:
            if self._is_marked(row):
                marked.add(row.pid)
        return _tree(rows, marked, self._shim_pid)

    def _is_marked(self, row: Process) -> bool:
        key = (row.pid, row.start_ticks)
        if key in _hanging:
            self.unknown |= _may_be_ours(row.pid)
            return False
        self._asking = (key, time.monotonic())
        claim = claim_of(row.pid)
        self._asking = None
        _hanging.discard(key)
        return _is_that(claim, self._claim_path)

    def result(self) -> list[Process] | None:
        """What was found, of a look that hangs what was found so far; None if it still looks."""
        self._thread.join(_PATIENCE_S)
        if self._found is not None:
            return self._found
        asking = self._asking
        if asking is None or time.monotonic() - asking[1] < _HANGS_AFTER_S:
            return None
        _hanging.add(asking[0])
        self.unknown = True
        return _tree(self._rows, self._marked, self._shim_pid)


def _may_be_ours(pid: int) -> bool:
    """Whether a process could be a task's at all: it runs as this user."""
    try:
        return os.stat(f"/proc/{pid}").st_uid == os.geteuid()
    except OSError:
        return False


def _proc(pid: int, name: str) -> bytes:
    """A process's file in /proc; empty when it has gone or is not ours to look at."""
    return _proc_file(f"{pid}/{name}")


def _proc_file(name: str) -> bytes:
    try:
        descriptor = os.open(f"/proc/{name}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        pieces = []
        while piece := os.read(descriptor, 1 << 16):
            pieces.append(piece)
        return b"".join(pieces)
    except OSError:
        return b""
    finally:
        os.close(descriptor)
