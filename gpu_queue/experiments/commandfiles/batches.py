"""The blocks of a command file as tasks: their scripts, what they ask for, their names and queues.  Pure.

- A command is one argument of a shell of its own: no quote and no ``<<`` that is open in it swallows the next one.
- What a block is known by when its file is loaded again holds no line number: an empty line changes nothing.
"""

from __future__ import annotations

import hashlib
import os.path
import shlex
from dataclasses import dataclass

from gpu_queue.experiments.commandfiles.blocks import Block, index_of
from gpu_queue.experiments.commandfiles.placeholders import AVAILABLE_GPU, UNI_ID, WORK_DIR, filled
from gpu_queue.experiments.commandfiles.reading import CommandFile
from gpu_queue.spool.desk.publishing import Options, Script
from gpu_queue.spool.paths import safe_name
from gpu_queue.task import BatchPart
from gpu_queue.texts import printable

_STEM_MAX = 60
_QUEUE_STEM_MAX = 40
"""Of a queue's name, which has at most 64 characters."""


@dataclass(frozen=True)
class Piece:
    """A block as the task that it is to be."""

    block: Block
    batch: BatchPart
    title: str
    queue: str
    script: Script

    @property
    def content(self) -> str:
        """What it is known by."""
        return self.batch.content


def stem_of(path: str) -> str:
    """What the tasks of a file are called, before ``-`` and their numbers."""
    return printable(os.path.splitext(os.path.basename(path))[0], _STEM_MAX)


def work_dir_of(place: str, given: str | None) -> str:
    """Where the commands of a file run: as it was given, else the parent of the directory that holds the file."""
    return os.path.dirname(os.path.dirname(place)) if given is None else given


def pieces_of(file: CommandFile, work_dir: str, *, shares_queues: bool, snapshot: bool = False) -> list[Piece]:
    """All blocks of a file, in its order.

    Args:
        file: as it was read.
        work_dir: where its commands run.
        shares_queues: queue 1 is queue 1 of all files; else each file has its own.
        snapshot: they run in a copy of the working tree.
    """
    made = []
    for position, block in enumerate(file.blocks):
        queue = f"{block.queue}" if shares_queues else f"{_queues_of(file)}.{block.queue}"
        text = script_of(block, None if snapshot else work_dir, os.path.basename(file.path))
        memory = f"{block.memory_gb:f}".rstrip("0").rstrip(".")
        said = "\0".join((text, work_dir, queue, memory, block.gpus))
        content = hashlib.sha256(said.encode("utf-8", "surrogateescape")).hexdigest()[:16]
        batch = BatchPart(file.path, file.mode.value, index_of(os.path.basename(file.path)), position, content)
        title = f"{stem_of(file.path)}-{position + 1}"
        options = Options(
            gpus=block.gpus,
            memory=f"{memory}G" if block.memory_gb else None,
            queue=queue,
            name=title,
            cwd=work_dir,
            batch=batch,
            snapshot=snapshot or None,
        )
        made.append(Piece(block, batch, title, queue, Script(title, text, file.place, options)))
    return made


def _queues_of(file: CommandFile) -> str:
    """What the names of its queues begin with; files of the same name in two directories have their own."""
    which = digits_of(file.path)
    stem = safe_name(os.fsencode(stem_of(file.path)))[:_QUEUE_STEM_MAX].lstrip(".") or "commands"
    return f"{stem}-{which}"


def digits_of(path: str) -> str:
    """Six hex digits that tell files apart: they stand in the names of its queues.

    Args:
        path: of a command file, without links.
    """
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:6]


def script_of(block: Block, work_dir: str | None, name: str) -> str:
    """What runs: the commands in their order; one that fails ends it.

    Args:
        block: of these.
        work_dir: what ``{work_dir}`` stands for; None: where it runs.
        name: of the file, for people.
    """
    lines = [
        "#!/usr/bin/env bash",
        f"# A block of {printable(name)}: its commands run one after the other, and one that fails ends it.",
        f'export {WORK_DIR}="$PWD"' if work_dir is None else f"export {WORK_DIR}={shlex.quote(work_dir)}",
        f'export {UNI_ID}="${{{UNI_ID}:-${{GPU_QUEUE_CLAIM##*/}}}}"',  # an older agent tells none
        f'export {AVAILABLE_GPU}="${{CUDA_VISIBLE_DEVICES-}}"',
        *(f"bash -c {shlex.quote(filled(command))} || exit" for command in block.commands),
    ]
    return "\n".join(lines) + "\n"
