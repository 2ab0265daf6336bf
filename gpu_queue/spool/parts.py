"""Parts of a submission's record: its arguments, the array, block or experiment that it is of, its code.

All of it is hostile input: what does not fit is None.
"""

from __future__ import annotations

import re
from typing import Any

from gpu_queue.code.entries import IGNORED_MOST, is_key, is_sound_name
from gpu_queue.code.noun import Code
from gpu_queue.spool.fields import Fields, is_argument
from gpu_queue.spool.paths import is_id
from gpu_queue.task import ArrayPart, BatchPart, ExperimentPart

ARRAY_INDEX_MAX = 2**31 - 1
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?", re.ASCII)


def encode_experiment(part: ExperimentPart) -> dict[str, Any]:
    """As a record has it; what is empty is left out."""
    texts = {"file": part.file, "group": part.group, "job": part.job, "name": part.name, "content": part.content}
    return texts | ({"log": part.log} if part.log else {}) | ({"params": dict(part.params)} if part.params else {})


def encode_code(code: Code) -> dict[str, Any]:
    """As ``client.sh`` writes it as well; what is empty is left out."""
    said: dict[str, Any] = {"commit": code.commit, "dirty": code.is_dirty} if code.commit else {}
    if code.snapshot:
        texts = {"snapshot": code.snapshot, "root": code.root, "cwd": code.cwd, "script": code.script}
        said |= {key: text for key, text in texts.items() if text} | (
            {"ignored": list(code.ignored)} if code.ignored else {}
        )
    return said


def parse_arguments(record: Fields) -> tuple[str, ...] | None:
    """All of them or none: a script that lacks one of them does something else."""
    given = record.raw("arguments")
    if given is None:
        return ()
    if not isinstance(given, list) or not all(isinstance(one, str) and is_argument(one) for one in given):
        return None
    return tuple(given)


def parse_array(record: Fields) -> ArrayPart | None:
    """Which task of an array it is."""
    array = record.inner("array")
    job, index = array.raw("job"), array.integer("index")
    if index is None or not isinstance(job, str) or not is_id(job):
        return None
    least, most = array.integer("min"), array.integer("max")
    step, count, limit = array.integer("step"), array.integer("count"), array.integer("limit")
    part = ArrayPart(
        job,
        index,
        min=index if least is None else least,
        max=index if most is None else most,
        step=1 if step is None else step,
        count=1 if count is None else count,
        limit=limit or 0,
    )
    in_range = 0 <= part.min <= part.index <= part.max <= ARRAY_INDEX_MAX
    return part if in_range and part.step > 0 and part.count > 0 and part.limit >= 0 else None


def parse_batch(record: Fields) -> BatchPart | None:
    """Which block of a command file it is."""
    batch = record.inner("batch")
    file, mode, position = batch.name("file"), batch.text("mode"), batch.integer("position")
    if not file or position is None:
        return None
    return BatchPart(file, mode, batch.count("index"), max(0, position), batch.text("content"))


def parse_experiment(record: Fields) -> ExperimentPart | None:
    """Which run of an experiment file it is."""
    said = record.inner("experiment")
    file, name = said.name("file"), said.text("name")
    if not file or not name:
        return None
    texts = (said.text("group"), said.text("job"), name, said.text("content"))
    return ExperimentPart(file, *texts, log=said.name("log"), params=said.pairs("params"))


def parse_code(record: Fields) -> Code | None:
    """What it was submitted with."""
    said = record.inner("code")
    if not said:
        return None
    commit, key = said.text("commit"), said.text("snapshot")
    known = commit if _COMMIT.fullmatch(commit) else ""
    if not is_key(key):
        # A key that is none is kept: what asks for a snapshot is not run without one.
        return Code(known, said.flag("dirty"), key) if known or key else None
    ignored = tuple(one for one in said.items("ignored")[:IGNORED_MOST] if isinstance(one, str) and _is_below(one))
    return Code(known, said.flag("dirty"), key, said.name("root"), said.name("cwd"), said.name("script"), ignored)


def _is_below(name: str) -> bool:
    return is_argument(name) and is_sound_name(name.encode("utf-8", "surrogateescape"))
