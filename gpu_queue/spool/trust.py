"""Whom a spool is open to, and which it is, by whatever path it is reached (docs/security.md)."""

from __future__ import annotations

import os
import re
import secrets
import stat
from collections.abc import Callable, Collection
from contextlib import suppress

from gpu_queue.errors import SpoolError
from gpu_queue.spool.files import FileProblem, read_regular, write_once
from gpu_queue.spool.paths import OTHER_DIRECTORIES, STATE_DIRECTORIES, SpoolPaths


def trusted_uids(paths: SpoolPaths, root_for: Collection[int] = ()) -> frozenset[int]:
    """Whose scripts run here: our user's, and those of the owner of the spool, who can write it anyway.

    Root runs those of the owner only where it was told to.  (A container's root that serves a user's directory on
    shared storage is the common case of two uids.)

    Args:
        paths: the spool.
        root_for: ``--allow-root-for``.
    """
    own = os.geteuid()
    return frozenset({own, *root_for} if own == 0 else {own, os.stat(paths.root).st_uid})


def check_root(paths: SpoolPaths, root_for: Collection[int]) -> None:
    """Refuse to run as root what lies in a directory that somebody else has made.

    Raises:
        SpoolError: it is somebody's who was not named.
    """
    if os.geteuid() != 0:
        return
    try:
        owner = os.stat(paths.root).st_uid
    except FileNotFoundError:
        return  # it will be ours
    except OSError as error:
        raise SpoolError(f"{paths.root}: {error.strerror}; expected a directory") from error
    if owner not in (0, *root_for):
        raise SpoolError(
            f"{paths.root}: belongs to uid {owner}, and this agent is root's: what uid {owner} puts there would run "
            f"as root; start the agent as that user, or pass --allow-root-for {owner}"
        )


def check_trust(paths: SpoolPaths, allow_group: bool, root_for: Collection[int] = ()) -> None:
    """Refuse a spool that strangers can write: whoever can write it runs code as the agent's user.

    Args:
        paths: the spool.
        allow_group: ``--allow-group``: its group may write.
        root_for: ``--allow-root-for``.

    Raises:
        SpoolError: a directory of it is open to others; the message says how to close it.
    """
    forbidden = 0o002 if allow_group else 0o022
    trusted = trusted_uids(paths, root_for)
    for path in _directories(paths):
        facts = _directory_facts(path)
        if facts.st_mode & forbidden:
            raise SpoolError(
                f"{path}: mode {facts.st_mode & 0o7777:04o} lets others write, who could then run code as you; "
                f"chmod -R go-w {paths.root}" + ("" if allow_group else ", or pass --allow-group")
            )
        if facts.st_uid not in trusted:
            raise SpoolError(f"{path}: belongs to uid {facts.st_uid}; expected the owner of {paths.root}")


def guard_shared(paths: SpoolPaths) -> str:
    """In a spool that a group may write, let nobody rename or remove what another has put there.

    That is what the sticky bit of a directory says, of which whoever owns the directory is free: our user, who moves
    everybody's tasks.  So it is set where all directories are ours.

    Returns:
        Why it could not be; empty if it is so.

    Raises:
        SpoolError: a directory of it cannot be looked at.
    """
    facts = {path: _directory_facts(path) for path in _directories(paths)}
    others = [path for path, one in facts.items() if one.st_uid != os.geteuid()]
    if others:
        return f"{others[0]} belongs to uid {facts[others[0]].st_uid}"
    for path, one in facts.items():
        try:
            if not one.st_mode & stat.S_ISVTX:
                os.chmod(path, stat.S_IMODE(one.st_mode) | stat.S_ISVTX)
                if not _directory_facts(path).st_mode & stat.S_ISVTX:
                    return f"{path} takes no sticky bit"
        except OSError as error:
            return f"{path} takes no sticky bit ({error.strerror})"
    return ""


def _directories(paths: SpoolPaths) -> list[str]:
    return [paths.root, *(f"{paths.root}/{name}" for name in (*STATE_DIRECTORIES, *OTHER_DIRECTORIES))]


def _directory_facts(path: str) -> os.stat_result:
    try:
        facts = os.lstat(path)
    except OSError as error:
        raise SpoolError(f"{path}: {error.strerror}; expected a directory") from error
    if not stat.S_ISDIR(facts.st_mode):
        raise SpoolError(f"{path}: expected a directory that is no link; remove it and start again")
    return facts


def identify(paths: SpoolPaths, uids: Collection[int], remembered: Callable[[int], str | None]) -> str:
    """What a spool is, by whatever path it is reached: a word that was written into it, and its directory's inode.

    The word alone would be the same in a copy, and the inode alone in a new spool where an old one was removed.
    Where the word cannot be kept (somebody else's directory), the device stands for it, which a mount may change.

    Args:
        paths: the spool.
        uids: whose word counts.
        remembered: the word that this node remembers of a spool whose directory has this inode; it is written anew
            where somebody removed it, so that the tries of an agent before us are found again.

    Raises:
        SpoolError: the spool cannot be looked at.
    """
    try:
        facts = os.stat(paths.root)
        word = _identity(paths, uids)
        if word is None:
            with suppress(OSError):  # the directory is not ours to write in
                write_once(paths.identity, f"{remembered(facts.st_ino) or secrets.token_hex(16)}\n".encode())
            word = _identity(paths, uids)
    except OSError as error:
        raise SpoolError(f"{paths.identity}: {error.strerror}") from error
    return f"{word or f'device-{facts.st_dev}'}.{facts.st_ino}"


def _identity(paths: SpoolPaths, uids: Collection[int]) -> str | None:
    try:
        content, _ = read_regular(paths.identity, 100, frozenset(uids))
    except FileProblem:
        return None
    text = content.decode("ascii", "replace").strip()
    return text if re.fullmatch(r"[0-9a-f]{32}", text) else None
