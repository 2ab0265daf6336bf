"""What kind of filesystem a spool lies on, and whether it is fit to hold one."""

from __future__ import annotations

import os
import re
import secrets
import stat
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass

from gpu_queue import PROTOCOL
from gpu_queue.errors import SpoolError
from gpu_queue.spool.files import FileProblem, Vanished, hand_over, read_regular, write_whole
from gpu_queue.spool.paths import OTHER_DIRECTORIES, STATE_DIRECTORIES, SpoolPaths

LOCAL_TYPES = frozenset(
    {
        "ext2",
        "ext3",
        "ext4",
        "xfs",
        "btrfs",
        "zfs",
        "f2fs",
        "tmpfs",
        "ramfs",
        "overlay",
        "jfs",
        "reiserfs",
        "bcachefs",
    }
)
"""Filesystems on which another host cannot write; everything else is taken for a network filesystem."""


@dataclass(frozen=True)
class Mount:
    """The mount that a path lies on."""

    point: str
    kind: str
    source: str

    @property
    def is_local(self) -> bool:
        """Whether only this host writes here."""
        return self.kind in LOCAL_TYPES

    def __str__(self) -> str:
        return f"{self.kind}, {'local' if self.is_local else 'network'}, mounted at {self.point}"


def _unescape(text: str) -> str:
    # /proc/self/mountinfo writes space, tab, newline and backslash as \ooo (proc(5)).
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


def mount_of(path: str, mountinfo: str | None = None) -> Mount:
    """The mount of a path, by the longest mount point above it in ``/proc/self/mountinfo``."""
    if mountinfo is None:
        try:
            with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
                mountinfo = file.read()
        except OSError:
            return Mount("?", "unknown", "?")
    path = os.path.realpath(path)
    best = Mount("?", "unknown", "?")
    for line in mountinfo.splitlines():
        left, separator, right = line.partition(" - ")
        if not separator:
            continue
        point = _unescape(left.split(" ")[4])
        kind, source = right.split(" ")[:2]
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        # Later lines lie on top of earlier ones at the same point.
        if inside and (best.point == "?" or len(point) >= len(best.point)):
            best = Mount(point, kind, source)
    return best


def check_protocol(paths: SpoolPaths) -> bool:
    """Whether the spool is made, in the protocol that we speak.

    Raises:
        SpoolError: it is of another protocol, or what stands there is no protocol number.
    """
    try:
        content, _ = read_regular(paths.protocol, 100)
    except Vanished:
        return False
    except FileProblem as problem:
        raise SpoolError(f"{paths.protocol}: {problem}") from None
    text = content.decode("ascii", "replace").strip()
    if text != str(PROTOCOL):
        raise SpoolError(
            f"{paths.protocol}: protocol {text!r}, expected {PROTOCOL}; "
            "use the version of this program that made the spool, or another JOB_ID"
        )
    return True


def make_spool(paths: SpoolPaths, root_for: Collection[int] = ()) -> None:
    """Make what is missing of a spool; PROTOCOL is written last, so its presence says that the rest is there.

    Args:
        paths: the spool.
        root_for: ``--allow-root-for``: what root makes in a directory of theirs is theirs.

    Raises:
        SpoolError: it cannot be made, or is of another protocol.
    """
    try:
        is_made = check_protocol(paths)
        # Also where it is made: somebody may have removed done/ to tidy up.
        for directory in ("", *STATE_DIRECTORIES, *OTHER_DIRECTORIES):
            _make_directory(os.path.join(paths.root, directory).rstrip("/"), root_for)
        if not is_made:
            write_whole(paths.protocol, f"{PROTOCOL}\n".encode())
    except OSError as error:
        raise SpoolError(f"{paths.root}: cannot make the spool: {error.strerror} ({error.filename})") from error


def _make_directory(path: str, root_for: Collection[int]) -> None:
    if os.path.isdir(path):
        return
    parent = os.path.dirname(path)
    _make_directory(parent, root_for)
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        if os.path.isdir(path):
            return  # somebody else has made it in this moment
        raise
    if os.geteuid() == 0 and os.stat(parent).st_uid in root_for:
        hand_over(path, parent)


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
            _write_identity(paths, remembered(facts.st_ino) or secrets.token_hex(16))
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


def _write_identity(paths: SpoolPaths, word: str) -> None:
    """Write the word, unless another agent does so in this moment: of two that begin at once one must give way."""
    unfinished = f"{paths.root}/.identity-{secrets.token_hex(6)}"
    try:
        write_whole(unfinished, f"{word}\n".encode())
        try:
            os.link(unfinished, paths.identity)
        except FileExistsError:
            pass
        except OSError:  # a filesystem without links
            os.rename(unfinished, paths.identity)
    except OSError:
        pass  # the directory is not ours to write in
    with suppress(OSError):
        os.unlink(unfinished)


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


def check_one_filesystem(paths: SpoolPaths) -> None:
    """Prove by a trial rename through all state directories that a transition is a rename and not a copy.

    Raises:
        SpoolError: the directories are not one filesystem, or it cannot be written.
    """
    name = f".probe-{secrets.token_hex(6)}"
    places = [f"{paths.root}/{directory}/{name}" for directory in STATE_DIRECTORIES]
    here = places[0]
    try:
        os.close(os.open(here, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        for there in places[1:]:
            os.rename(here, there)
            here = there
    except OSError as error:
        raise SpoolError(
            f"{here}: cannot be made or renamed through {', '.join(STATE_DIRECTORIES)}: {error.strerror}; "
            "they must be writable directories of one filesystem"
        ) from error
    finally:
        try:
            os.unlink(here)
        except OSError:
            pass
