"""How job files are called, which people keep in a queue's ``jobfiles/``: the only speller.  Pure.

``command_gpu.txt`` is configuration 0 of mode ``single``, ``command_gpu_2.txt`` configuration 2; ``command_gpus.txt``
and its like are of mode ``multi``; ``NAME.yaml`` are experiment files, mode ``yaml``, each known by its name.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Literal

JobMode = Literal["single", "multi", "yaml"]
MODES: tuple[JobMode, ...] = ("single", "multi", "yaml")
INDEX_MAX = 999_999
STEM_MAX_BYTES = 100
"""Of an experiment file that is made here."""
ENDING = ".yaml"
_NAMED = re.compile(r"command_gpu(s?)(?:_([1-9][0-9]{0,5}))?\.txt", re.ASCII)
_TRASHED = re.compile(r"([0-9]{10,12})-([0-9a-f]{12})-(.+)", re.ASCII | re.DOTALL)


@dataclass(frozen=True, order=True)
class JobFile:
    """One of them, by what it is called."""

    mode: JobMode
    index: int | str
    """Of ``yaml`` its name without the ending, as ``os.listdir`` gives it."""

    @property
    def name(self) -> str:
        """Of the file."""
        if self.mode == "yaml":
            return f"{self.index}{ENDING}"
        stem = "command_gpu" if self.mode == "single" else "command_gpus"
        return f"{stem}_{self.index}.txt" if self.index else f"{stem}.txt"


def parse_job_file(name: str) -> JobFile | None:
    """What a file in the directory is; None: no job file.

    >>> parse_job_file("command_gpus_1.txt")
    JobFile(mode='multi', index=1)
    """
    found = _NAMED.fullmatch(name)
    if found is not None:
        return JobFile("multi" if found[1] else "single", int(found[2] or 0))
    stem = name.removesuffix(ENDING)
    return JobFile("yaml", stem) if stem not in ("", name) and not name.startswith(".") else None


def why_no_stem(stem: str) -> str:
    """Why an experiment file cannot be called so; empty: it can."""
    if not stem or stem.startswith((".", "-")) or "/" in stem or stem.endswith((ENDING, " ")):
        return "expected a name without / and without . or - in front"
    if not stem.isprintable():
        return "expected a name without control characters"
    if len(os.fsencode(stem)) > STEM_MAX_BYTES:
        return f"expected a name of at most {STEM_MAX_BYTES} bytes"
    return ""


def trashed(name: str, epoch_s: float, nonce: str) -> str:
    """How a file that was deleted is called, in ``.trash/``.

    Args:
        name: it had.
        epoch_s: when it was deleted.
        nonce: twelve hex digits.
    """
    return f"{int(epoch_s):010d}-{nonce}-{name}"


def parse_trashed(name: str) -> tuple[float, str] | None:
    """When a file was deleted, and what it was called; None: no file that was deleted."""
    found = _TRASHED.fullmatch(name)
    return (float(found[1]), found[3]) if found is not None and parse_job_file(found[3]) is not None else None
