"""What a script does, as data: the commands that it runs, and what they find.  Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

VISIBLE = "CUDA_VISIBLE_DEVICES"


class Setting(NamedTuple):
    """CUDA_VISIBLE_DEVICES as a script sets it."""

    values: tuple[str, ...]
    line: int
    is_expanded: bool
    """The value does not stand there literally."""
    is_lasting: bool = True
    """It counts for what follows as well."""


class Event(NamedTuple):
    """A command that is run."""

    argv: tuple[str, ...]
    """Empty: only ``visible`` is told."""
    line: int
    environment: Mapping[str, tuple[str, ...]]
    """What it is given beside the agent's environment."""
    visible: Setting | None
    """What CUDA_VISIBLE_DEVICES has become for it, where nobody has told yet."""
    document: str = ""
    """What a here-document feeds it."""
