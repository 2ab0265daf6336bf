"""What keeps a queue served, on its storage: ``keep``, and the tokens of its slots (docs/spool.md, "Allocations").

- ``keep`` is a person's, or ``submit.sh``'s; agents read it, and remove it when they give up.
- A token is created exclusively by whoever is about to submit, with a nonce.  ``submit.sh`` adds what came of it.
- ``slot-<k>.<g>.began`` is made by the agent that serves in it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from gpu_queue.kept import Keep, Outcome, Slot, Token
from gpu_queue.shell import SUBMIT_TYPED
from gpu_queue.spool import files
from gpu_queue.spool.paths import SpoolPaths, parse_slot
from gpu_queue.spool.store import listing
from gpu_queue.texts import printable

KEEP_MAX_BYTES = 64 << 10
TOKEN_MAX_BYTES = 16 << 10
TOKENS_MAX = 2000
"""So many of the newest are read; there are not so many where nobody makes them up."""
GENERATIONS_KEPT = 20
FORGOTTEN_AFTER_S = 7 * 86400.0
REASON_MAX = 500
_SLOTS = re.compile(r"[1-9][0-9]{0,3}", re.ASCII)


@dataclass(frozen=True)
class Allocations:
    """One listing."""

    now_s: float
    """The server's clock, in epoch seconds."""
    keep: Keep | None
    paused: str | None
    """Why it is given up; None: it is not."""
    tokens: tuple[Token, ...]
    problem: str = ""
    """Why ``keep`` counts for nothing, for people."""


def look(paths: SpoolPaths, uids: Collection[int]) -> Allocations:
    """List and read.

    Args:
        paths: of the spool.
        uids: whose ``keep`` and tokens count: what stands there is run as the agent's user.

    Raises:
        OSError: the storage failed; nothing is known.
    """
    now_s = files.server_now_s(paths.allocations)
    names = set(listing(paths.allocations))
    keep, paused, problem = None, None, ""
    if "keep" in names:
        try:
            keep = _read_keep(paths.keep, frozenset(uids))
        except files.Vanished:
            pass
        except files.FileProblem as bad:
            problem = f"{paths.keep}: {bad}; the queue is not kept. Type {SUBMIT_TYPED} --keep again"
    elif "keep-paused" in names:
        try:
            content, _ = files.read_regular(paths.keep_paused, REASON_MAX)
            paused = printable(content.decode("utf-8", "replace").partition("\n")[0])
        except (files.FileProblem, OSError):
            paused = ""
    parsed = [one for name in names if (one := parse_slot(name)) is not None]
    began = {slot for slot, is_mark in parsed if is_mark}
    slots = sorted((slot for slot, is_mark in parsed if not is_mark), key=lambda one: (-one.generation, one.number))
    tokens = (_read_token(paths, slot, frozenset(uids), began=slot in began) for slot in slots[:TOKENS_MAX])
    return Allocations(now_s, keep, paused, tuple(one for one in tokens if one is not None), problem)


def _read_keep(path: str, uids: frozenset[int]) -> Keep:
    content, facts = files.read_regular(path, KEEP_MAX_BYTES, uids)
    said = _words(content)
    slots = said.get("slots", "")
    if not _SLOTS.fullmatch(slots):  # as submit.sh reads it
        raise files.FileProblem(f"slots {printable(slots[:20])!r}; expected a line like: slots 2")
    return Keep(
        int(slots),
        facts.st_mtime,
        said.get("can_wait") == "1",
        printable(said.get("gpus", ""))[:20],
    )


def _read_token(paths: SpoolPaths, slot: Slot, uids: frozenset[int], *, began: bool) -> Token | None:
    """A token; None: it was withdrawn meanwhile.  One that cannot be read has no nonce."""
    path = paths.slot(slot)
    began = began and _is_of(paths.slot_began(slot), uids)
    try:
        content, facts = files.read_regular(path, TOKEN_MAX_BYTES, uids)
    except files.Vanished:
        return None
    except files.FileProblem:
        return Token(slot, os.lstat(path).st_mtime, began=began)
    said = _words(content)
    outcome = next((one for one in Outcome if one.value and one.value in said), Outcome.OPEN)
    nonce = said.get("nonce", "")
    return Token(
        slot,
        facts.st_mtime,
        nonce if len(nonce) == 12 and nonce.isalnum() and nonce.isascii() else "",
        outcome,
        tuple(printable(one) for one in said.get(Outcome.SUBMITTED.value, "").split()),
        began,
        "from" in said,
    )


def _is_of(path: str, uids: frozenset[int]) -> bool:
    try:
        return os.lstat(path).st_uid in uids
    except FileNotFoundError:
        return False


def _words(content: bytes) -> dict[str, str]:
    """Lines of a word and what is said of it; the last of several counts."""
    lines = (line.partition(" ") for line in content.decode("utf-8", "replace").split("\n"))
    return {word: rest for word, _, rest in lines if word}


def make_token(paths: SpoolPaths, slot: Slot, nonce: str, node: str, own: Slot) -> bool:
    """Take the right to submit; False: somebody else has it.

    Args:
        paths: of the spool.
        slot: which.
        nonce: twelve hex digits.
        node: who makes it.
        own: the slot in which that agent runs.

    Raises:
        OSError: it could not be made.
    """
    try:
        files.write_new(paths.slot(slot), f"nonce {nonce}\nby {node}\nfrom {own}\n".encode())
    except FileExistsError:
        return False
    return True


def withdraw(paths: SpoolPaths, slot: Slot, nonce: str) -> None:
    """Give back a token of our own for which nothing was submitted; one that somebody else has made by now stays.

    Raises:
        OSError: the storage failed; the token counts for a while.
    """
    try:
        content, _ = files.read_regular(paths.slot(slot), TOKEN_MAX_BYTES)
    except files.FileProblem:
        return
    if _words(content).get("nonce") == nonce:
        files.remove(paths.slot(slot))


def mark_began(paths: SpoolPaths, slot: Slot) -> None:
    """Say that an agent serves in this slot.

    Raises:
        OSError: it could not be written.
    """
    try:
        files.write_new(paths.slot_began(slot), b"")
    except FileExistsError:
        pass  # a job that was requeued


def pause(paths: SpoolPaths, reason: str) -> None:
    """Give up until a person has looked: ``keep`` becomes ``keep-paused``, with the reason before what it held.

    Raises:
        OSError: it could not be done; the queue is still kept.
    """
    try:
        content, _ = files.read_regular(paths.keep, KEEP_MAX_BYTES)
    except files.FileProblem:
        return  # somebody else has done it
    files.write_whole(paths.keep_paused, f"{printable(reason)}\n".encode() + content)
    files.remove(paths.keep)


def unkeep(paths: SpoolPaths) -> None:
    """Have no allocation submitted any more.

    Raises:
        OSError: what says that the queue is kept could not be removed.
    """
    for path in (paths.keep, paths.keep_paused):
        try:
            os.unlink(path)
        except (FileNotFoundError, NotADirectoryError):
            continue


def forget_old(paths: SpoolPaths, tokens: Iterable[Token], now_s: float) -> None:
    """Remove tokens of which nobody needs to know any more."""
    tokens = list(tokens)
    newest: dict[int, int] = {}
    for one in tokens:
        newest[one.slot.number] = max(newest.get(one.slot.number, 0), one.slot.generation)
    for one in tokens:
        is_old = one.slot.generation <= newest[one.slot.number] - GENERATIONS_KEPT
        if is_old and now_s - one.written_s > FORGOTTEN_AFTER_S:
            files.remove(paths.slot(one.slot))
            files.remove(paths.slot_began(one.slot))
