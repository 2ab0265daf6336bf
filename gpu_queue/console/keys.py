"""Names of the spool as requests and documents carry them: any bytes, as text that JSON and an address can hold."""

from __future__ import annotations

import os
import re

from gpu_queue.texts import TEXT_MAX, printable

_HEX = re.compile(r"~(?:[0-9a-f]{2})+", re.ASCII)


def key_of(name: str) -> str:
    r"""The key of a task or node: its name; its bytes in hex behind ``~`` where that is no text, or is not shown.

    >>> key_of("500-20260101T000000000-0a0a0a-a.sh"), key_of("caf\udce9")
    ('500-20260101T000000000-0a0a0a-a.sh', '~636166e9')

    Args:
        name: as ``os.listdir`` gives it.
    """
    if name.isprintable() and not _HEX.fullmatch(name):  # a half of a surrogate pair is not printable either
        return name
    return f"~{os.fsencode(name).hex()}"


def name_of(key: str) -> str:
    """The name that a key means, as ``os.listdir`` gives it."""
    return os.fsdecode(bytes.fromhex(key[1:])) if _HEX.fullmatch(key) else key


def text_of(text: str, at_most: int = TEXT_MAX) -> str:
    """What others wrote, as a page may show it: ``printable``, and what is no text is ``?``."""
    return printable(text, at_most).encode("utf-8", "replace").decode()
