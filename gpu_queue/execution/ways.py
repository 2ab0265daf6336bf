"""Asks a way to the cluster what has become of batch jobs (docs/clusters.md): a program, ``<way> states ID…``.

- Nothing here may wait in the main thread or on the one for storage: the program, and the home directory with ways of
  one's own, may lie on storage that hangs, and a scheduler may not answer.  So a :class:`Question` has a thread of
  its own, and whatever it has started is killed at its end.
- What is asked about stands in other nodes' pages, which are hostile input: a way's name is only looked up, and an id
  is one argument that is no option (:mod:`gpu_queue.allocations`).
- What a way prints is read when it has ended, and no more than a pipe holds: one that prints without end stands still
  until it is killed, and has said nothing.
"""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from gpu_queue.errors import WayError
from gpu_queue.execution.processes import pids, read_process, send

PACKAGED = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "ways")
TIMEOUT_S = 180.0
"""Longer than our ways let the programs of a platform take (sco: 90 s each; slurm: 40 s, at most four of them)."""
ANSWER_MAX_BYTES = 64 << 10
WORDS = frozenset({"queued", "running", "ending", "ended", "lost", "unknown"})
_WAIT_TICK_S = 0.02
_KILLED_S = 5.0
"""So long a killed program is waited for; one that the kernel keeps is left to it."""


@dataclass(frozen=True)
class JobState:
    """What a way says of one batch job."""

    word: str
    """One of ``WORDS``."""
    raw: str = ""
    """The platform's own word."""


def find_way(name: str, environment: Mapping[str, str]) -> str:
    """The program of a way: one's own before ours.

    Args:
        name: of letters, digits, ``_`` and ``-``.
        environment: where one's own are (``GPU_QUEUE_WAYS``, ``XDG_CONFIG_HOME``, ``HOME``).

    Raises:
        WayError: there is none, or one of one's own that others may write.
        OSError: the directories cannot be looked at.
    """
    home = environment.get("HOME") or os.path.expanduser("~")
    config = environment.get("XDG_CONFIG_HOME", "")
    config = config if config.startswith("/") else f"{home}/.config"
    directory = os.path.join(home, environment.get("GPU_QUEUE_WAYS") or f"{config}/gpu-queue/ways")
    own, packaged = f"{directory}/{name}", f"{PACKAGED}/{name}"
    if _is_program(own):
        _check(directory, own)
        return own
    if not _is_program(packaged):
        raise WayError(f"no way is called {name}: neither {own} nor {packaged} is a program")
    return packaged


def _is_program(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)


def _check(directory: str, path: str) -> None:
    """Refuse what somebody else may have written, or may put in its place; as submit.sh does."""
    real = os.path.realpath(path)
    for one in (directory, path, real, os.path.dirname(real)):
        facts = os.stat(one)
        if facts.st_uid not in (0, os.geteuid()) or facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise WayError(
                f"{one}: uid {facts.st_uid}, mode {stat.S_IMODE(facts.st_mode):04o}; expected one of yours or root's "
                "that nobody else may write: chmod go-w it"
            )


def environment_of_ways(environment: Mapping[str, str], said: Mapping[str, str]) -> dict[str, str]:
    """What a way finds: its settings, wherever they stand.  Of the agent's own job a way frees itself.

    Args:
        environment: the agent's.
        said: what stands in gpu-queue.conf, which the environment beats.
    """
    return {**said, **environment, "GQ_LIB": f"{PACKAGED}/lib.sh"}


def parse_states(text: str, ids: Sequence[str]) -> dict[str, JobState]:
    """What ``states`` has printed: a line for each id, ``ID<TAB>WORD<TAB>RAW…``.  Pure.

    Lines that fit nothing that was asked are passed over, and an id of which two things are said is unknown.
    """
    found: dict[str, JobState] = {}
    for line in text.split("\n"):
        one, *fields = line.split("\t")
        if one not in ids or not fields or fields[0] not in WORDS:
            continue
        state = JobState(fields[0], fields[1] if len(fields) > 1 else "")
        found[one] = state if found.get(one, state).word == state.word else JobState("unknown")
    return found


class Question:
    """One ``states`` of one way, in a thread of its own."""

    def __init__(
        self,
        way: str,
        ids: Sequence[str],
        environment: Mapping[str, str],
        timeout_s: float = TIMEOUT_S,
        done: Callable[[], None] = lambda: None,
    ) -> None:
        """Begin to ask.

        Args:
            way: its name.
            ids: of batch jobs.
            environment: :func:`environment_of_ways`.
            timeout_s: then the program is killed, and has said nothing.
            done: is called in the thread when there is an answer.
        """
        self._way = way
        self._ids = tuple(ids)
        # Not what people call ended: what ran in it must be gone, by the word of who has ended it.
        self._environment = {**environment, "GQ_PROOF": "1"}
        self._timeout_s = timeout_s
        self._done = done
        self._process: subprocess.Popen[bytes] | None = None
        self._is_closed = False
        self._lock = threading.Lock()
        self.states: dict[str, JobState] = {}
        """What was answered."""
        self.problem = ""
        """Why nothing was, for people."""
        self._thread = threading.Thread(target=self._run, name=f"way {way}", daemon=True)
        self._thread.start()

    def is_over(self) -> bool:
        """Whether there is an answer, or none will come."""
        return not self._thread.is_alive()

    def close(self) -> None:
        """Ask no longer: kill what runs."""
        with self._lock:
            self._is_closed = True
            if self._process is not None:
                _kill_session(self._process.pid)

    def _run(self) -> None:
        try:
            self.states = parse_states(self._ask(find_way(self._way, self._environment)), self._ids)
        except (WayError, OSError, ValueError) as error:
            self.problem = str(error)
        self._done()

    def _ask(self, program: str) -> str:
        with self._lock:
            if self._is_closed:
                raise WayError("it was not asked")
            # A start returns when the program has been entered, and stops all threads until then: that is the local
            # shell, which enters the way.
            self._process = process = subprocess.Popen(
                ["/bin/sh", "-c", 'exec "$0" "$@"', program, "states", *self._ids],
                cwd="/",
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        assert process.stdout is not None
        assert process.stderr is not None
        with process.stdout, process.stderr:
            try:
                status = _wait(process, self._timeout_s)
                if status is None:
                    _kill_session(process.pid)
                    _wait(process, _KILLED_S)
                    raise WayError(f"it has not answered in {self._timeout_s:g} s, and was killed")
            finally:
                with self._lock:
                    self._process = None
            answer, words = _what_is_there(process.stdout), _what_is_there(process.stderr)
        if status != 0:
            raise WayError(f"it ended with {status}: {words.strip() or 'without a word'}")
        return answer


def _wait(process: subprocess.Popen[bytes], timeout_s: float) -> int | None:
    """The exit status, negative for a signal; None: it runs on.

    Raises:
        WayError: somebody else has taken it (:mod:`gpu_queue.execution.orphans`), which ``Popen.wait`` takes for 0.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            pid, status = os.waitpid(process.pid, os.WNOHANG)
        except ChildProcessError:
            process.returncode = 255
            raise WayError("nobody knows how it ended") from None
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return process.returncode
        if time.monotonic() >= deadline:
            return None
        time.sleep(_WAIT_TICK_S)


def _what_is_there(pipe: IO[bytes]) -> str:
    # To its end it is not read: something that the way has left running may hold it open.
    os.set_blocking(pipe.fileno(), False)
    try:
        content = os.read(pipe.fileno(), ANSWER_MAX_BYTES)
    except BlockingIOError:
        content = b""
    return content.decode("utf-8", "replace")


def _kill_session(leader: int) -> None:
    """Kill a program and what it has started: ``timeout`` makes groups of its own."""
    for row in map(read_process, pids()):
        if row is not None and row.session == leader:
            send(row, signal.SIGKILL)
