"""What a cluster's batch job is called where an agent ran in it: ``<way>:<id>``, as its node's page says."""

from __future__ import annotations

import re

ID_MAX = 200
_ALLOCATION = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,63}):([^-].*)", re.ASCII)


def parse_allocation(text: str) -> tuple[str, str] | None:
    """A way's name and the id of a batch job; None where it is no such thing.

    Somebody else wrote it: the name is one that can be looked up in a directory and nothing else, the id an argument
    that no program takes for an option.
    """
    match = _ALLOCATION.fullmatch(text)
    if match is None or len(match[2]) > ID_MAX or not text.isprintable():
        return None
    return match[1], match[2]
