"""Makes the copy in which a script runs, then becomes what runs it (docs/snapshots.md).

::

    python unpacking.py TRY_DIRECTORY SNAPSHOT KEY COPY CWD LINKS PROGRAM [ARGUMENT...]

- A program of its own, in the place of the script: so neither the agent nor its storage thread waits for the bytes of
  a snapshot, and whatever ends the try ends this.
- Nothing runs before all of it is unpacked and has the key that the task's record names.  What was unpacked before a
  kill is removed with the try, and never looked at again.
- The archive is hostile input: names are bounded to the copy, files are made exclusively, links last of all, and no
  more is written than the limits and the disk allow.
- LINKS, in JSON, are directories that git ignores in the tree, by their names in the copy: environments, data,
  results.  Where one lies there still, a link leads to it.
- What keeps it from that is told as the shim tells it: ``reason`` and ``why`` (nostart) in the try's directory.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import stat
import sys
import time
from collections.abc import Mapping

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from gpu_queue.code.entries import (
    FILE,
    FILES_MOST,
    LINK,
    PROGRAM,
    SIZE_MOST_BYTES,
    Entry,
    is_key,
    is_sound_name,
    key_of,
)
from gpu_queue.code.tape import BadTape, Member, Tape

NOT_STARTED = 255
LOOKS = 4
LOOK_AGAIN_S = 1.5
"""A snapshot that is just being looked at for removal is away for a moment."""
ROOM_LEFT_BYTES = 64 << 20
"""So much of the disk stays free."""
FILE_ROOM_BYTES = 4096
"""What a file takes of the disk at least."""


class Refused(Exception):
    """The copy cannot be made: ``str()`` is the reason for people."""


def unpack(snapshot: str, key: str, copy: str) -> None:
    """Make a copy of a tree; where it fails, what there is of it is no copy.

    Args:
        snapshot: the packed tree.
        key: that it must have.
        copy: the directory, which is made.

    Raises:
        Refused: it is missing, damaged, too large, or the disk has no room for it.
    """
    if not is_key(key):
        raise Refused(f"its record names the snapshot {key[:80]!r}, which is no key; submit it again")
    descriptor = _opened(snapshot)
    try:
        try:
            os.mkdir(copy, 0o700)
            entries = _unpacked(Tape(lambda most: os.read(descriptor, most)), copy)
        except BadTape as bad:
            raise Refused(f"{snapshot}: {bad}; remove it and submit the task again") from None
        except OSError as error:
            place = os.fsdecode(error.filename) if isinstance(error.filename, (str, bytes)) else copy
            raise Refused(f"{place}: {error.strerror}") from None
    finally:
        os.close(descriptor)
    if key_of(entries) != key:
        raise Refused(f"{snapshot} holds other files than its name says; remove it and submit the task again")


def _opened(snapshot: str) -> int:
    for left in reversed(range(LOOKS)):
        try:
            descriptor = os.open(snapshot, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            if not left:
                raise Refused(f"{snapshot} is missing; submit the task again, from the tree that it was of") from None
            time.sleep(LOOK_AGAIN_S)
            continue
        except OSError as error:
            raise Refused(f"{snapshot}: {error.strerror}") from None
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise Refused(f"{snapshot} is no regular file")
        return descriptor
    raise AssertionError


class _Room:
    """What may still be written."""

    def __init__(self, copy: str) -> None:
        facts = os.statvfs(copy)
        self._free_bytes = facts.f_bavail * facts.f_frsize - ROOM_LEFT_BYTES
        self._where = os.path.dirname(copy)
        self._files = 0
        self._size_bytes = 0
        self._taken_bytes = 0

    def take(self, size_bytes: int) -> None:
        """Take it for a file."""
        self._files += 1
        self._size_bytes += size_bytes
        self._taken_bytes += -(-size_bytes // FILE_ROOM_BYTES) * FILE_ROOM_BYTES
        if self._files > FILES_MOST or self._size_bytes > SIZE_MOST_BYTES:
            raise Refused(f"the snapshot holds more than {FILES_MOST} files or {SIZE_MOST_BYTES >> 30} GiB")
        if self._taken_bytes > self._free_bytes:
            room = max(0, self._free_bytes) >> 20
            raise Refused(f"{self._where} has no room for its copy ({room} MiB are left); --snapshot-dir says where")


def _unpacked(tape: Tape, copy: str) -> list[Entry]:
    room = _Room(copy)
    where = os.fsencode(copy)
    entries: list[Entry] = []
    links: list[Member] = []
    made: set[bytes] = {b""}
    for member in tape.members():
        room.take(member.size_bytes)
        if member.kind == LINK:
            links.append(member)
            continue
        _make_above(where, member.name, made)
        mode = 0o777 if member.kind == PROGRAM else 0o666
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        digest = hashlib.sha256()
        descriptor = os.open(b"%s/%s" % (where, member.name), flags, mode)
        try:
            for piece in tape.content(member):
                digest.update(piece)
                view = memoryview(piece)
                while view:
                    view = view[os.write(descriptor, view) :]
        finally:
            os.close(descriptor)
        entries.append(
            Entry(PROGRAM if member.kind == PROGRAM else FILE, member.name, digest.hexdigest(), member.size_bytes)
        )
    for member in links:  # nothing is written through them any more
        _make_above(where, member.name, made)
    for member in links:
        os.symlink(member.target, b"%s/%s" % (where, member.name))
        entries.append(Entry(LINK, member.name, hashlib.sha256(member.target).hexdigest(), 0))
    return entries


def _make_above(where: bytes, name: bytes, made: set[bytes]) -> None:
    above = os.path.dirname(name)
    missing = []
    while above not in made:
        missing.append(above)
        above = os.path.dirname(above)
    for directory in reversed(missing):
        os.mkdir(b"%s/%s" % (where, directory), 0o777)
        made.add(directory)


def link(copy: str, links: Mapping[str, str]) -> None:
    """Have what is not in a copy in reach of what runs there, where there is room for the link and something to find.

    Args:
        copy: a copy that is whole.
        links: where they lead, by their names in the copy.

    Raises:
        OSError: the disk does not take them.
    """
    for name, target in links.items():
        if not is_sound_name(os.fsencode(name)) or not os.path.isdir(target):
            continue
        above = copy
        for part in name.split("/")[:-1]:
            above = f"{above}/{part}"
            try:
                os.mkdir(above, 0o777)
            except FileExistsError:
                if os.path.islink(above) or not os.path.isdir(above):
                    break  # through a link nothing is made
        else:
            try:
                os.symlink(target, f"{copy}/{name}")
            except FileExistsError:
                pass  # it was followed by git as well: what is in the copy counts


def _enter(copy: str, cwd: str) -> str:
    """Go where the script is to run; a directory of the tree that holds nothing is none of the snapshot's."""
    if cwd.startswith("/") or any(part in ("..", ".") for part in cwd.split("/")):
        raise Refused(f"its record names the directory {cwd!r}, which is none of the tree")
    directory = f"{copy}/{cwd}".rstrip("/")
    try:
        os.makedirs(directory, exist_ok=True)
        os.chdir(directory)
    except OSError as error:
        raise Refused(f"cannot enter {directory}: {error.strerror}") from None
    return directory


def main(words: list[str]) -> int:
    """Become the program; returns the status of a try that was not started, or of a program that there is not."""
    try_directory, snapshot, key, copy, cwd, links, *program = words
    try:
        unpack(snapshot, key, copy)
        try:
            link(copy, json.loads(links))
        except OSError as error:
            raise Refused(f"{copy}: {error.strerror}") from None
        directory = _enter(copy, cwd)
    except Refused as problem:
        return _tell(try_directory, str(problem))
    # As in heed.py: what Python did to its own signals and variables is not the script's.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    with open("/proc/self/environ", "rb") as file:
        given = dict(one.split(b"=", 1) for one in file.read().split(b"\0") if b"=" in one)
    given[b"PWD"] = os.fsencode(directory)
    given.pop(b"OLDPWD", None)
    try:
        os.execvpe(program[0], program, given)
    except OSError as error:
        os.write(2, os.fsencode(f"{program[0]}: {error.strerror}\n"))
        return 126 if isinstance(error, PermissionError) else 127


def _tell(try_directory: str, reason: str) -> int:
    line = " ".join(reason.split())[:1000]
    try:
        with open(f"{try_directory}/reason", "w", encoding="utf-8", errors="replace") as file:
            file.write(f"{line}\n")
        # Never over a why that is there: the first reason counts.
        descriptor = os.open(f"{try_directory}/why", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        os.write(descriptor, b"nostart\n")
        os.close(descriptor)
    except OSError:
        pass
    os.write(2, os.fsencode(f"==== {line}\n"))
    return NOT_STARTED


if __name__ == "__main__":
    os._exit(main(sys.argv[1:]))
