"""Tokens of serial queues: inside a queue one task at a time, in order; across queues in parallel.

- ``queues/<queue>.<g>`` (g = 000001, 000002 …) names a task.  A queue is busy while any is there that does not end
  in ``.free``; one that cannot be read is somebody's.
- *Reserve*, claim, *hold*.  A reservation is made before the task's file is renamed, so that nobody takes what waits
  behind it while it is on its way.  It keeps the order and decides nothing: anybody may free it at any time.
- What counts is the token that is made *while the task's file is ours*, in a generation that was never used, when a
  listing after that shows no token of another task.  Of two such tasks one at least sees the other's and gives way.
- So a token is dead for ever once it was read and its task was seen outside running/ after that, or is held by
  whoever asks.  Only such tokens are freed, each by its own name: it does no harm however late that comes.
- A task that goes back to pending/ keeps its tokens, and with them its queue.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import NamedTuple

from gpu_queue.spool import files
from gpu_queue.spool.paths import SpoolPaths, parse_full, strip_claim
from gpu_queue.spool.store import listing, move
from gpu_queue.task import State

KEPT_GENERATIONS = 100
SETTLED_AFTER_S = 5.0
"""A holder that is nowhere for so long has not just been between two listings; a person may have settled it."""
SETTLED_TTL_S = 60.0
HOLD_ATTEMPTS = 10
"""Others who reserve the queue for the same task may be faster to a generation, or be about to write their token."""
_TOKEN = re.compile(r"([^.].*)\.(\d{6,12})(\.free)?", re.ASCII)


class Token(NamedTuple):
    """A token that is not free."""

    queue: str
    generation: int
    holder: str
    """The task's id; empty: it cannot be read (yet)."""


class Doubt(Enum):
    """Why a token may be one that nobody will free."""

    NOWHERE = "its task neither waits nor runs"
    SURPLUS = "its task waits, and so does another that has a token of this queue: each would wait for the other"


# -- rules: pure ----------------------------------------------------------------------------------------------------


def parse_token(name: str) -> tuple[str, int, bool] | None:
    """Queue, generation, and whether it is free; None for any other name."""
    match = _TOKEN.fullmatch(name)
    if match is None or match[2] != f"{int(match[2]):06d}":
        return None
    return match[1], int(match[2]), match[3] is not None


def next_generation(names: Iterable[str], queue: str) -> int:
    """The generation after all of a queue's."""
    parsed = map(parse_token, names)
    return 1 + max((one[1] for one in parsed if one is not None and one[0] == queue), default=0)


def is_open(tokens: Iterable[Token], task_id: str) -> bool:
    """Whether a task may reserve or hold a queue with these tokens."""
    return all(one.holder == task_id for one in tokens)


def is_held(own: Token, names: Iterable[str], tokens: Iterable[Token]) -> bool:
    """Whether a token that was made while its task was ours gives us the queue.

    Args:
        own: the token.
        names: a listing that was begun after the token was made.
        tokens: the queue's tokens in that listing.
    """
    parsed = [one for one in map(parse_token, names) if one is not None and one[0] == own.queue]
    free = {generation for _, generation, is_free in parsed if is_free}
    # Whoever freed this generation in an earlier life may still be about to free it once more, and would free ours.
    is_new = own.generation not in free and own.generation > max(free, default=0) - KEPT_GENERATIONS
    return is_new and own in (tokens := list(tokens)) and is_open(tokens, own.holder)


def doubts(tokens: Iterable[Token], pending: set[str], running: set[str]) -> dict[Token, Doubt]:
    """Tokens that may be abandoned.

    Args:
        tokens: as they were read.
        pending: the ids of what waits, as listed after that.
        running: the ids of what runs, as listed after that.
    """
    tokens = sorted(tokens)
    found = {one: Doubt.NOWHERE for one in tokens if one.holder not in pending | running}
    run = {one.queue for one in tokens if one.holder in running}
    first: dict[str, str] = {}
    for one in tokens:
        if one not in found and one.queue not in run and first.setdefault(one.queue, one.holder) != one.holder:
            found[one] = Doubt.SURPLUS
    return found


def holders(tokens: Iterable[Token], running: set[str]) -> dict[str, str]:
    """Each busy queue with the only task that may go on in it; empty where there is none or nobody knows."""
    found: dict[str, set[str]] = {}
    for one in tokens:
        found.setdefault(one.queue, set()).add(one.holder)
    return {
        queue: ids.pop() if len(ids) == 1 else next(iter(sorted(ids & running)), "") for queue, ids in found.items()
    }


def forgettable(names: Iterable[str], queue: str) -> list[str]:
    """Names of free generations that are a hundred generations old."""
    names = list(names)
    oldest = next_generation(names, queue) - KEPT_GENERATIONS
    parsed = ((name, parse_token(name)) for name in names)
    return [name for name, one in parsed if one is not None and one[0] == queue and one[2] and one[1] < oldest]


# -- storage --------------------------------------------------------------------------------------------------------


class Queues:
    """The tokens of one spool; lives in the storage thread."""

    def __init__(
        self, paths: SpoolPaths, takeover_after_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._paths = paths
        self._clock = clock
        self._directory = f"{paths.root}/queues"
        self._takeover_after_s = takeover_after_s
        self._doubted_since: dict[tuple[Token, Doubt], float] = {}
        self._settled_listed_at = float("-inf")

    def _path(self, queue: str, generation: int, *, free: bool = False) -> str:
        return f"{self._directory}/{queue}.{generation:06d}" + (".free" if free else "")

    def _holder(self, queue: str, generation: int) -> str:
        try:
            content, _ = files.read_regular(self._path(queue, generation), 400)
        except files.FileProblem:
            return ""
        line, end, _ = content.decode("utf-8", "replace").partition("\n")
        return line.strip() if end else ""

    def _read(self, names: Iterable[str], queue: str | None = None) -> list[Token]:
        parsed = [one for one in map(parse_token, names) if one is not None and not one[2]]
        return [Token(*one[:2], self._holder(*one[:2])) for one in parsed if queue in (None, one[0])]

    def tokens(self) -> tuple[Token, ...]:
        """All that are not free.  Who then moves a task to done/ or failed/ may free those of them that name it.

        Raises:
            OSError: they could not be listed or read; ask again.
        """
        return tuple(self._read(listing(self._directory)))

    def tokens_of(self, task_id: str) -> tuple[Token, ...]:
        """All that name a task.

        Raises:
            OSError: they could not be listed or read; ask again.
        """
        return tuple(one for one in self.tokens() if one.holder == task_id)

    def busy(self, now: float) -> dict[str, str]:
        """Each busy queue with the id of the task that holds it; abandoned tokens are broken in time.

        The id is empty where nobody may go on at present: several tasks have tokens, or one cannot be read.

        Raises:
            OSError: the tokens could not be listed.
        """
        tokens = self.tokens()
        if not tokens:
            self._doubted_since = {}
            return {}
        pending, running = self._alive_ids()
        self._break_abandoned(doubts(tokens, pending, running), now)
        return holders(tokens, running)

    def _break_abandoned(self, doubted: dict[Token, Doubt], now: float) -> None:
        self._doubted_since = {key: self._doubted_since.get(key, now) for key in doubted.items()}
        stood = [key for key, since in self._doubted_since.items() if now - since >= SETTLED_AFTER_S]
        settled = self._settled_ids(now) if any(doubt is Doubt.NOWHERE for _, doubt in stood) else set()
        for key in stood:
            token, doubt = key
            is_long = now - self._doubted_since[key] >= self._takeover_after_s
            if doubt is Doubt.SURPLUS or token.holder in settled or is_long:
                self.free(token)

    def _settled_ids(self, now: float) -> set[str]:
        """Ids of settled tasks; done/ and failed/ may be huge, so they are listed once a minute at most."""
        if now - self._settled_listed_at < SETTLED_TTL_S:
            return set()
        self._settled_listed_at = now
        names = [name for state in (State.DONE, State.FAILED) for name in listing(self._paths.directory(state))]
        return {full[1] for full in map(parse_full, names) if full is not None}

    def _alive_ids(self) -> tuple[set[str], set[str]]:
        pending = listing(self._paths.directory(State.PENDING))
        running: list[str] = []
        for node in listing(self._paths.all_running):
            try:
                running += listing(f"{self._paths.all_running}/{node}")
            except (NotADirectoryError, FileNotFoundError):
                continue  # no node's, or put away in this moment
        return _ids(pending), _ids(running)

    def reserve(self, queue: str, task_id: str, node: str) -> Token | None:
        """Reserve a queue for a task that is about to be claimed; None: it is another task's now.

        Raises:
            OSError: nobody knows; a reservation that was made keeps the queue for the task, so asking again is right.
        """
        names = listing(self._directory)
        if not is_open(self._read(names, queue), task_id):
            return None
        token = Token(queue, next_generation(names, queue), task_id)
        return token if self._make(token, node) else None

    def hold(self, reserved: Token, node: str, is_ours: Callable[[], bool]) -> bool:
        """Take the reserved queue for a task that was claimed; its other tokens are freed.

        Args:
            reserved: the reservation; where this fails the task keeps it, and goes back to pending/.
            node: this node, for people.
            is_ours: whether the claim is there.

        Raises:
            OSError: nobody knows; the task's tokens keep the queue for it.
        """
        for _ in range(HOLD_ATTEMPTS):
            own = Token(reserved.queue, next_generation(listing(self._directory), reserved.queue), reserved.holder)
            if self._make(own, node):
                break
        else:
            return False
        for _ in range(HOLD_ATTEMPTS):
            names = listing(self._directory)
            tokens = self._read(names, own.queue)
            if all(one.holder for one in tokens):
                break  # else somebody may be writing it in this moment
        # In this order: a token that was read before the claim was seen, and is not its own, is of an earlier claim.
        if not is_ours() or not is_held(own, names, tokens):
            self.free(own)
            return False
        self.free(*(one for one in tokens if one != own))
        for name in forgettable(names, own.queue):
            try:
                os.unlink(f"{self._directory}/{name}")
            except OSError:
                continue  # another agent tidies the same
        return True

    def restore(self, running: Mapping[str, str], node: str) -> None:
        """Make the tokens of running tasks again, where somebody has removed them.

        Args:
            running: the ids of tasks whose claims are ours, with their queues.  Nobody else settles them meanwhile.
            node: this node, for people.

        Raises:
            OSError: nobody knows; ask again.
        """
        names = listing(self._directory)
        for task_id, queue in running.items():
            if all(one.holder != task_id for one in self._read(names, queue)):
                self._make(Token(queue, next_generation(names, queue), task_id), node)

    def _make(self, token: Token, node: str) -> bool:
        path = self._path(token.queue, token.generation)
        began_at = self._clock()
        try:
            descriptor = files.create(path, os.O_EXCL)
        except FileExistsError:
            return False
        try:
            try:
                files.hand_over(descriptor, self._directory)
                os.write(descriptor, f"{token.holder}\n{node}\n".encode())
            finally:
                os.close(descriptor)
        except OSError:
            self.free(token)  # a token that names nobody would hold the queue up for a long time
            raise
        if self._clock() - began_at < self._takeover_after_s / 2:
            return True
        self.free(token)  # it named nobody for so long that somebody may be about to break it
        return False

    def free(self, *tokens: Token) -> None:
        """Free tokens; one that cannot be freed now is broken in time."""
        for one in tokens:
            move(self._path(one.queue, one.generation), self._path(one.queue, one.generation, free=True))


def _ids(names: Iterable[str]) -> set[str]:
    return {full[1] for full in (parse_full(strip_claim(name)) for name in names) if full is not None}
