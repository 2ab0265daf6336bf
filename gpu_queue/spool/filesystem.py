"""What kind of filesystem a spool lies on, and whether it is fit to hold one."""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
from collections.abc import Collection
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
    except FileExistsError as error:
        raise SpoolError(f"{error.filename} should be a directory, and is none: move it away") from error
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


def make_missing(paths: SpoolPaths) -> list[str]:
    """Make again what somebody has removed of a spool, as open to others as the spool itself; returns what was made.

    What stands in the place of a directory is left there (:func:`top_of`).

    Raises:
        FileNotFoundError: the spool itself is not there; that may be a mount point whose server is away.
        SpoolError: it is of another protocol.
        OSError: one could not be made.
    """
    if not check_protocol(paths):
        raise FileNotFoundError(errno.ENOENT, "the spool is not there", paths.protocol)
    mode = stat.S_IMODE(os.stat(paths.root).st_mode)
    made = []
    for directory in (*STATE_DIRECTORIES, *OTHER_DIRECTORIES):
        path = f"{paths.root}/{directory}"
        try:
            os.mkdir(path, 0o700)
        except (FileExistsError, NotADirectoryError):
            continue
        hand_over(path, paths.root)
        os.chmod(path, mode)
        made.append(path)
    return made


def top_of(paths: SpoolPaths) -> tuple[list[str], set[str], str]:
    """The names at the top of a spool, its directories that are missing, and the path of what is none (or empty).

    Raises:
        OSError: the spool could not be listed.
    """
    wanted = {name for name in (*STATE_DIRECTORIES, *OTHER_DIRECTORIES) if "/" not in name}
    with os.scandir(paths.root) as entries:
        there = {entry.name: entry.name not in wanted or entry.is_dir(follow_symlinks=False) for entry in entries}
    wrong = sorted(name for name, is_right in there.items() if not is_right)
    return list(there), wanted - there.keys(), f"{paths.root}/{wrong[0]}" if wrong else ""


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
