"""The archive of a snapshot: what is written can be read, and what somebody else has written is not believed."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from pathlib import Path

import pytest

from gpu_queue.code.entries import FILE, LINK, PROGRAM
from gpu_queue.code.tape import BadTape, Member, Tape, write
from tests.code.builders import archive

LONG = b"directory/" * 30 + b"\xff name\n.py"


def read(packed: bytes) -> list[tuple[Member, bytes]]:
    tape = Tape(io.BytesIO(packed).read)
    return [(member, b"".join(tape.content(member))) for member in tape.members()]


def written(members: list[tuple[Member, bytes]]) -> bytes:
    content = {member.name: text for member, text in members}
    out = io.BytesIO()
    write([member for member, _ in members], lambda member: [content[member.name]], out.write)
    return out.getvalue()


def test_what_is_written_comes_out_again_and_tar_reads_it_too(tmp_path: Path) -> None:
    noise = os.urandom(5 << 20)  # several pieces
    members = [
        (Member(FILE, b"a.py", 2, b""), b"1\n"),
        (Member(PROGRAM, b"big", len(noise), b""), noise),
        (Member(FILE, b"empty", 0, b""), b""),
        (Member(FILE, LONG, 512, b""), b"x" * 512),
        (Member(LINK, b"link", 0, b"t" * 300), b""),
    ]
    packed = written(members)
    assert read(packed) == members
    assert written(members) == packed  # the same each time
    path = tmp_path / "x.tgz"
    path.write_bytes(packed)
    with tarfile.open(path, encoding="utf-8", errors="surrogateescape") as tar:
        assert [os.fsencode(one.name) for one in tar] == [member.name for member, _ in members]
        assert {(one.uid, one.uname, one.mtime) for one in tar} == {(0, "", 946684800)}
        assert [one.mode for one in tar][:2] == [0o644, 0o755]


def header(change: tuple[int, bytes]) -> bytes:
    """A header in which something stands that we do not write, with a sum that is right."""
    at, text = change
    with io.BytesIO() as out:
        with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
            tar.addfile(tarfile.TarInfo("a.py"))
        block = bytearray(out.getvalue()[:512])
    block[at : at + len(text)] = text
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return gzip.compress(bytes(block) + bytes(1024))


@pytest.mark.parametrize(
    ("packed", "why"),
    [
        (archive((Member(FILE, b"../x", 1, b""), b"1")), "no path within a tree"),
        (archive((Member(FILE, b"/etc/x", 1, b""), b"1")), "no path within a tree"),
        (archive((Member(FILE, b"a/../../x", 1, b""), b"1")), "no path within a tree"),
        (archive((Member(FILE, b"a//x", 1, b""), b"1")), "no path within a tree"),
        (archive((Member(FILE, b"", 1, b""), b"1")), "no path within a tree"),
        (archive((Member(LINK, b"x", 0, b""), b"")), "holds no path"),
        (archive((Member(FILE, b"x" * 5000, 1, b""), b"1")), "a name that is too long"),
        (header((156, b"1")), "neither a regular file nor a symbolic link"),
        (header((156, b"6")), "neither a regular file nor a symbolic link"),
        (header((156, b"5")), "neither a regular file nor a symbolic link"),
        (header((124, b"-0000000001\0")), "no header"),
        (header((124, b"\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")), "no header"),
        (gzip.compress(b"x" * 512), "no header|damaged"),
        (b"", "ends too soon"),
        (b"no gzip at all", "damaged, or no gzip"),
        (archive((Member(FILE, b"a", 4096, b""), bytes(range(256)) * 16))[:200], "ends too soon"),
        (archive((Member(FILE, b"a", 1, b""), b"1"), end=b""), "ends too soon"),
        (archive((Member(FILE, b"a", 10**9, b""), b"1")), "ends too soon"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_nobody_of_ours_writes_is_refused(packed: bytes, why: str) -> None:
    with pytest.raises(BadTape, match=why):
        read(packed)


def test_what_packs_well_is_never_unpacked_as_a_whole() -> None:
    zeros = Member(FILE, b"zeros", 64 << 20, b"")
    packed = archive((zeros, bytes(zeros.size_bytes)))
    assert len(packed) < 1 << 20
    tape = Tape(io.BytesIO(packed).read)
    sizes = [len(piece) for member in tape.members() for piece in tape.content(member)]
    assert sum(sizes) == zeros.size_bytes
    assert max(sizes) <= 1 << 20
