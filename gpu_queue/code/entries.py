"""What a snapshot is made of, and by which key it is known.  Pure.

The key is a SHA-256 over the entries, sorted by kind and name, each as ``<kind> <name> NUL <hash> NEWLINE``: the hash
is that of a file's bytes, or of the path that a link holds.  So equal trees have one key, whoever looks at them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import NamedTuple

FILE, LINK, PROGRAM = b"f", b"l", b"x"
NAME_MAX_BYTES = 4096
"""Of a path, and of what a link holds: PATH_MAX of Linux."""
FILES_MOST = 200_000
FILE_MOST_BYTES = (8 << 30) - 1
"""Of one file: the head of it in an archive has no room for more."""
SIZE_MOST_BYTES = 10 << 30
"""More than that nobody packs, and nobody unpacks, whatever the settings say."""
IGNORED_MOST = 50
"""So many ignored directories of a tree are in reach of its copies; a record names them."""
IGNORED_NAMES_MOST_BYTES = 2000
"""Of all their names."""
_KEY = re.compile(r"[0-9a-f]{64}", re.ASCII)


class Entry(NamedTuple):
    """One file of a tree."""

    kind: bytes
    """``FILE``, ``PROGRAM`` (a file that may be executed) or ``LINK``."""
    name: bytes
    """From the top of the tree, as the disk has it."""
    digest: str
    """SHA-256 in hex."""
    size_bytes: int


def key_of(entries: Iterable[Entry]) -> str:
    """The key of a tree with these entries, in any order."""
    whole = hashlib.sha256()
    for one in sorted(entries):
        whole.update(b"%s %s\0%s\n" % (one.kind, one.name, one.digest.encode("ascii")))
    return whole.hexdigest()


def is_key(text: str) -> bool:
    """Whether this is the key of a snapshot."""
    return _KEY.fullmatch(text) is not None


def is_sound_name(name: bytes) -> bool:
    """Whether a name leads to a place below the top of a tree, and to no other."""
    if not 0 < len(name) <= NAME_MAX_BYTES or b"\0" in name:
        return False
    return not any(part in (b"", b".", b"..") for part in name.split(b"/"))
