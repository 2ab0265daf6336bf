"""The file that a snapshot lies in: a tar archive in gzip, written and read by us.

- Written deterministically: the order is the caller's, owner, group and times are fixed.  ``tar xzf`` reads it.
- Pieces are compressed by several threads, each as a member of its own: gzip allows that, and zlib lets go of the
  interpreter meanwhile.
- Read as hostile input: nothing is believed before it is bounded, only what we write is understood.  Nobody's tar
  program or library unpacks it.
"""

from __future__ import annotations

import os
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from gpu_queue.code.entries import FILE, LINK, NAME_MAX_BYTES, PROGRAM, is_sound_name

BLOCK_BYTES = 512
PIECE_BYTES = 2 << 20
"""So much is compressed at a time."""
READ_BYTES = 1 << 18
LEVEL = 1
_MODIFIED_S = 946684800
"""2000-01-01: of all files, so that the same tree is the same archive."""
_LONG_NAME, _LONG_LINK, _PLAIN, _SYMBOLIC = b"L", b"K", b"0", b"2"
_GZIP = 31
"""For zlib: a gzip member with the largest window."""
_TYPES = {FILE: _PLAIN, PROGRAM: _PLAIN, LINK: _SYMBOLIC}


class BadTape(ValueError):
    """An archive that is damaged, or was made by somebody else: ``str()`` is the reason for people."""


class Member(NamedTuple):
    """What an archive says of one file."""

    kind: bytes
    name: bytes
    size_bytes: int
    target: bytes
    """What a link holds."""


# -- writing --------------------------------------------------------------------------------------------------------


def _octal(number: int, width: int) -> bytes:
    return b"%0*o\0" % (width - 1, number)


def _header(name: bytes, type_: bytes, size_bytes: int, mode: int, target: bytes = b"") -> bytes:
    fields = (
        name[:100].ljust(100, b"\0"),
        _octal(mode, 8),
        _octal(0, 8),
        _octal(0, 8),
        _octal(size_bytes, 12),
        _octal(_MODIFIED_S, 12),
        b" " * 8,
        type_,
        target[:100].ljust(100, b"\0"),
        b"ustar  \0",
    )
    block = b"".join(fields).ljust(BLOCK_BYTES, b"\0")
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def _padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % BLOCK_BYTES)


def head_of(member: Member) -> bytes:
    """What stands before the content of a file; names that are too long for a header stand before that."""
    long = b""
    for type_, text in ((_LONG_NAME, member.name), (_LONG_LINK, member.target)):
        if len(text) > 100:
            long += _header(b"././@LongLink", type_, len(text) + 1, 0o644) + _padded(text + b"\0")
    mode = {FILE: 0o644, PROGRAM: 0o755, LINK: 0o777}[member.kind]
    return long + _header(member.name, _TYPES[member.kind], member.size_bytes, mode, member.target)


def write(
    members: Iterable[Member], content_of: Callable[[Member], Iterable[bytes]], put: Callable[[bytes], object]
) -> None:
    """Write an archive.

    Args:
        members: in the order in which they are to stand there.
        content_of: the bytes of a file, exactly as many as its member says.
        put: takes what is written, piece by piece.
    """
    from concurrent.futures import Future, ThreadPoolExecutor  # noqa: PLC0415 - a tree that is there already needs none

    threads = min(4, os.cpu_count() or 1)
    with ThreadPoolExecutor(threads) as pool:
        running: deque[Future[bytes]] = deque()
        gathered: list[bytes] = []
        size_bytes = 0

        def flush(most: int) -> None:
            while len(running) > most:
                put(running.popleft().result())

        for piece in _pieces(members, content_of):
            gathered.append(piece)
            size_bytes += len(piece)
            if size_bytes >= PIECE_BYTES:
                running.append(pool.submit(_compressed, b"".join(gathered)))
                gathered, size_bytes = [], 0
                flush(threads)
        running.append(pool.submit(_compressed, b"".join(gathered)))
        flush(0)


def _pieces(members: Iterable[Member], content_of: Callable[[Member], Iterable[bytes]]) -> Iterator[bytes]:
    for member in members:
        yield head_of(member)
        if member.kind != LINK:
            yield from content_of(member)
            yield bytes(-member.size_bytes % BLOCK_BYTES)
    yield bytes(2 * BLOCK_BYTES)


def _compressed(content: bytes) -> bytes:
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, _GZIP)
    return packer.compress(content) + packer.flush()


# -- reading --------------------------------------------------------------------------------------------------------


class Tape:
    """An archive, read from its beginning to its end."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        """Read nothing yet.

        Args:
            read: gives so many bytes at most of the compressed file; none: it is over.
        """
        self._read = read
        self._packer = zlib.decompressobj(_GZIP)
        self._packed = b""
        self._plain = bytearray()

    def members(self) -> Iterator[Member]:
        """Each in turn; what :meth:`content` has not taken of one is passed over.

        Raises:
            BadTape: this is none of ours, or damaged.
            OSError: the storage failed.
        """
        long: dict[bytes, bytes] = {}
        while True:
            block = self._take(BLOCK_BYTES)
            if not block.strip(b"\0"):
                return
            type_, size_bytes = block[156:157], _number(block[124:136])
            if _number(block[148:156]) != sum(block[:148]) + 8 * 32 + sum(block[156:]):
                raise BadTape("a header of it is damaged")
            if type_ in (_LONG_NAME, _LONG_LINK):
                if not 0 < size_bytes <= NAME_MAX_BYTES + 1:
                    raise BadTape("it holds a name that is too long")
                long[type_] = self._take(size_bytes + -size_bytes % BLOCK_BYTES)[: size_bytes - 1]
                continue
            yield self._member(block, type_, size_bytes, long)
            long = {}

    def _member(self, block: bytes, type_: bytes, size_bytes: int, long: dict[bytes, bytes]) -> Member:
        name = long.get(_LONG_NAME, block[:100].split(b"\0", 1)[0])
        target = long.get(_LONG_LINK, block[157:257].split(b"\0", 1)[0])
        if not is_sound_name(name):
            raise BadTape(f"it holds the name {name!r}, which is no path within a tree")
        if type_ == _SYMBOLIC:
            if size_bytes or not 0 < len(target) <= NAME_MAX_BYTES or b"\0" in target:
                raise BadTape(f"the link {name!r} in it holds no path")
            return Member(LINK, name, 0, target)
        if type_ != _PLAIN:
            raise BadTape(f"{name!r} in it is neither a regular file nor a symbolic link")
        return Member(PROGRAM if _number(block[100:108]) & 0o100 else FILE, name, size_bytes, b"")

    def content(self, member: Member) -> Iterator[bytes]:
        """The bytes of the member that came last; all of them have to be taken."""
        left = member.size_bytes
        while left:
            piece = self._some(left)
            left -= len(piece)
            yield piece
        self._take(-member.size_bytes % BLOCK_BYTES)

    def _take(self, count: int) -> bytes:
        found = bytearray()
        while len(found) < count:
            found += self._some(count - len(found))
        return bytes(found)

    def _some(self, most: int) -> bytes:
        """What comes next, at least a byte."""
        while not self._plain:
            self._fill()
        piece = bytes(self._plain[:most])
        del self._plain[:most]
        return piece

    def _fill(self) -> None:
        if self._packer.eof:
            self._packed = self._packer.unused_data
            self._packer = zlib.decompressobj(_GZIP)
        elif self._packer.unconsumed_tail:
            self._packed = self._packer.unconsumed_tail
        if not self._packed:
            self._packed = self._read(READ_BYTES)
            if not self._packed:
                raise BadTape("it ends too soon")
        try:
            self._plain += self._packer.decompress(self._packed, READ_BYTES)
        except zlib.error:
            raise BadTape("it is damaged, or no gzip file") from None
        self._packed = b""


def _number(text: bytes) -> int:
    digits = text.strip(b" \0")
    if not digits or not digits.isdigit() or b"8" in digits or b"9" in digits:
        raise BadTape("a header of it is no header")
    return int(digits, 8)
