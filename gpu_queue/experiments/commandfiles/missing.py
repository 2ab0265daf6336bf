"""Paths under ``{work_dir}`` that are not there: the usual sign of a work_dir that is another directory."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator

from gpu_queue.experiments.commandfiles.blocks import Block

_PATH = re.compile(r"\{work_dir\}/+([^\s'\"`$*?\[\](){}<>|;&\\#,:=]+)(?=[\s'\";|&<>),:]|$)")
_MAKES_OR_REMOVES = re.compile(r"(?:rm|mkdir|rmdir|touch)\s")


def missing_paths(blocks: Iterable[Block], work_dir: str) -> Iterator[tuple[int, str, str]]:
    """The paths that are missing.

    Args:
        blocks: of a file.
        work_dir: where they run.

    Yields:
        The first line that names one, the path below ``work_dir``, and the nearest ancestor that has it, else "".
    """
    seen = set()
    for block in blocks:
        for line, command in zip(block.command_lines, block.commands, strict=True):
            for path in _PATH.findall(command):
                below = path.rstrip("/")
                if below in seen or os.path.lexists(f"{work_dir}/{below}"):
                    continue
                seen.add(below)
                ancestor = _ancestor(work_dir, below)
                # What a command removes or makes need not be there.
                if ancestor or not _MAKES_OR_REMOVES.match(command):
                    yield line, below, ancestor


def _ancestor(work_dir: str, below: str) -> str:
    directory = work_dir
    while (above := os.path.dirname(directory)) != directory:
        directory = above
        if os.path.lexists(f"{directory.rstrip('/')}/{below}"):
            return directory
    return ""
