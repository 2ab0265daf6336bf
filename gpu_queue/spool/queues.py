"""Tokens of serial queues: inside a queue one task at a time, across queues in parallel.

- ``queues/<queue>.<g>`` (g = 000001, 000002 …) holds the id of a task.  A queue is busy while its highest
  generation has no ``.free`` twin.
- Take: create g+1 exclusively, list again (a higher one: ours is void), and only then claim.
- Release, when the task is *settled* and not before: rename to ``.free``.  That is idempotent, so two breakers do no
  harm, and a task that goes back to pending keeps its queue.
- Others break a token only when its task is settled, or has been in pending/ and running/ nowhere for
  ``takeover_after_s`` of their own watching.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from gpu_queue.spool import files
from gpu_queue.spool.paths import SpoolPaths, parse_full, strip_claim
from gpu_queue.spool.store import listing, move
from gpu_queue.task import State

KEPT_GENERATIONS = 100
SETTLED_AFTER_S = 5.0
"""A holder that is nowhere for so long has not just been between two listings; a person may have settled it."""
SETTLED_TTL_S = 60.0
_TOKEN = re.compile(r"(.+)\.(\d{6,})(\.free)?", re.ASCII)


@dataclass(frozen=True)
class Token:
    """The newest generation of one queue."""

    queue: str
    generation: int
    is_free: bool


def newest(names: list[str]) -> dict[str, Token]:
    """The newest generation of each queue, from a listing."""
    found: dict[str, Token] = {}
    for name in names:
        match = _TOKEN.fullmatch(name)
        if match is None or name.startswith("."):
            continue
        token = Token(match[1], int(match[2]), match[3] is not None)
        known = found.get(token.queue)
        if known is None or (token.generation, token.is_free) > (known.generation, known.is_free):
            found[token.queue] = token
    return found


class Queues:
    """The tokens of one spool; lives in the storage thread."""

    def __init__(self, paths: SpoolPaths, takeover_after_s: float) -> None:
        self._paths = paths
        self._directory = f"{paths.root}/queues"
        self._takeover_after_s = takeover_after_s
        self._nowhere_since: dict[Token, float] = {}
        self._settled_listed_at = float("-inf")

    def _path(self, queue: str, generation: int, *, free: bool = False) -> str:
        return f"{self._directory}/{queue}.{generation:06d}" + (".free" if free else "")

    def _holder(self, token: Token) -> str:
        try:
            content, _ = files.read_regular(self._path(token.queue, token.generation), 400)
        except files.FileProblem:
            return ""
        return content.decode("utf-8", "replace").split("\n")[0].strip()

    def busy(self, now: float) -> dict[str, str]:
        """Each busy queue with the id of the task that holds it; tokens of vanished tasks are broken in time.

        Raises:
            OSError: the tokens could not be listed.
        """
        taken = {
            token: self._holder(token) for token in newest(listing(self._directory)).values() if not token.is_free
        }
        self._break_abandoned(taken, now)
        return {token.queue: holder for token, holder in taken.items()}

    def _break_abandoned(self, taken: Mapping[Token, str], now: float) -> None:
        if not taken:
            self._nowhere_since = {}
            return
        alive = self._alive_ids()
        nowhere = {token for token, holder in taken.items() if holder not in alive}
        self._nowhere_since = {token: self._nowhere_since.get(token, now) for token in nowhere}
        settled = (
            self._settled_ids(now)
            if any(now - since >= SETTLED_AFTER_S for since in self._nowhere_since.values())
            else set()
        )
        for token, since in self._nowhere_since.items():
            if taken[token] in settled or now - since >= self._takeover_after_s:
                self._free(token.queue, token.generation)

    def _settled_ids(self, now: float) -> set[str]:
        """Ids of settled tasks; done/ and failed/ may be huge, so they are listed once a minute at most."""
        if now - self._settled_listed_at < SETTLED_TTL_S:
            return set()
        self._settled_listed_at = now
        names = [name for state in (State.DONE, State.FAILED) for name in listing(self._paths.directory(state))]
        return {full[1] for full in map(parse_full, names) if full is not None}

    def _alive_ids(self) -> set[str]:
        running = self._paths.directory(State.RUNNING)
        names = listing(self._paths.directory(State.PENDING))
        for node in listing(running):
            try:
                names += listing(f"{running}/{node}")
            except NotADirectoryError:
                continue
        return {full[1] for full in (parse_full(strip_claim(name)) for name in names) if full is not None}

    def take(self, queue: str, task_id: str, node: str) -> bool:
        """Take a queue for a task; True as well where the task has it already.

        Raises:
            OSError: nobody knows; a token that was made names the task, so asking again is right.
        """
        token = newest(listing(self._directory)).get(queue)
        if token is not None and not token.is_free:
            return self._holder(token) == task_id
        generation = (token.generation if token else 0) + 1
        try:
            descriptor = os.open(
                self._path(queue, generation), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600
            )
        except FileExistsError:
            return False
        try:
            try:
                os.write(descriptor, f"{task_id}\n{node}\n".encode())
            finally:
                os.close(descriptor)
        except OSError:
            self._free(queue, generation)  # a token that names nobody would hold the queue up for a long time
            raise
        names = listing(self._directory)
        if newest(names)[queue].generation > generation:
            self._free(queue, generation)
            return False
        self._forget_old(queue, generation, names)
        return True

    def _forget_old(self, queue: str, generation: int, names: list[str]) -> None:
        for name in names:
            match = _TOKEN.fullmatch(name)
            if match is not None and match[1] == queue and int(match[2]) <= generation - KEPT_GENERATIONS:
                try:
                    os.unlink(f"{self._directory}/{name}")
                except OSError:
                    continue  # another agent tidies the same

    def release(self, queue: str, task_id: str) -> None:
        """Free a queue that this task holds.

        Raises:
            OSError: the tokens could not be listed or read; ask again.
        """
        token = newest(listing(self._directory)).get(queue)
        if token is not None and not token.is_free and self._holder(token) == task_id:
            self._free(queue, token.generation)

    def release_all(self, task_id: str) -> None:
        """Free whatever queue this task holds: a person has settled it.

        Raises:
            OSError: the tokens could not be listed or read.
        """
        for token in newest(listing(self._directory)).values():
            if not token.is_free and self._holder(token) == task_id:
                self._free(token.queue, token.generation)

    def _free(self, queue: str, generation: int) -> None:
        move(self._path(queue, generation), self._path(queue, generation, free=True))
