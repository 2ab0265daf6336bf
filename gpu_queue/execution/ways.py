"""Asks a way to the cluster what has become of batch jobs (docs/clusters.md): a program, ``<way> states ID…``.

- The program, and the home directory with ways of one's own, may lie on storage that hangs, and a scheduler may not
  answer: it is looked for and run in the background (:mod:`gpu_queue.execution.background`).
- What is asked about stands in other nodes' pages, which are hostile input: a way's name is only looked up, and an id
  is one argument that is no option (:mod:`gpu_queue.allocations`).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gpu_queue.errors import WayError
from gpu_queue.execution.background import Background

PACKAGED = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "ways")
TIMEOUT_S = 180.0
"""Longer than our ways let the programs of a platform take (sco: 90 s each; slurm: 40 s, at most four of them)."""
WORDS = frozenset({"queued", "running", "ending", "ended", "lost", "unknown"})


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
    """One ``states`` of one way, in the background."""

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
            done: is called in another thread when there is an answer.
        """
        self._ids = tuple(ids)
        # Not what people call ended: what ran in it must be gone, by the word of who has ended it.
        proving = {**environment, "GQ_PROOF": "1"}
        self._run = Background(lambda: [find_way(way, proving), "states", *self._ids], proving, timeout_s, done)

    def is_over(self) -> bool:
        """Whether there is an answer, or none will come."""
        return self._run.is_over()

    def close(self) -> None:
        """Ask no longer: kill what runs."""
        self._run.close()

    @property
    def states(self) -> dict[str, JobState]:
        """What was answered, once it is over."""
        return parse_states(self._run.output, self._ids) if self._run.status == 0 else {}

    @property
    def problem(self) -> str:
        """Why nothing was, for people."""
        if self._run.status in (0, None):
            return self._run.problem
        return f"it ended with {self._run.status}: {self._run.words.strip() or 'without a word'}"
