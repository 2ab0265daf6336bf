"""Scripts that are to be queued: what they ask for, whether they can run, what becomes of them.

What is pasted into a page comes from no directory: a task runs in the home directory, as a file that was dropped by
hand does, or where its script or its submitter says.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gpu_queue.console.keys import text_of
from gpu_queue.console.models.common import Note
from gpu_queue.console.models.plans import PlannedScript, ScriptIn, SubmitOptions
from gpu_queue.console.models.tasks import Need
from gpu_queue.console.plans.starting import Outlook, Taken, outlook
from gpu_queue.console.sentences import both, needs_of, note, note_of, note_of_script, why_waits
from gpu_queue.errors import BadScript
from gpu_queue.sayings import Say, say
from gpu_queue.scripts.reader import HEAD_BYTES, read
from gpu_queue.scripts.reading import Reading
from gpu_queue.spool.desk.publishing import Options, Script
from gpu_queue.spool.desk.sources import SCRIPT_MAX_BYTES
from gpu_queue.spool.paths import is_id
from gpu_queue.spool.snapshot.view import Presence, Snapshot
from gpu_queue.task import DEFAULT_PRIORITY, State

TOTAL_MAX_BYTES = 64 << 20
SUBMITTED_MAX = 20_000
"""Tasks of one submission: arrays have up to 10,000."""
WHY_MAX = 10


@dataclass(frozen=True)
class Given:
    """A script as it was handed in: sound enough to be looked at, or a problem."""

    name: str
    content: bytes
    problem: Note | None = None


def given(script: ScriptIn) -> Given:
    """A script from a request."""
    problem = _problem_of_name(script.name)
    if script.is_base64:
        try:
            content = base64.b64decode(script.text, validate=True)
        except (binascii.Error, ValueError):
            return Given(script.name, b"", problem or note("no_base64"))
    else:
        content = script.text.encode("utf-8", "surrogateescape")
    if problem is None and len(content) > SCRIPT_MAX_BYTES:
        problem = note_of(say(Say.TOO_LARGE, size_bytes=len(content), most_bytes=SCRIPT_MAX_BYTES))
    return Given(script.name, content, problem)


def _problem_of_name(name: str) -> Note | None:
    if name in (".", "..") or "/" in name:
        return note("name_slash", name=repr(text_of(name)))
    if not name.isprintable() or not name.strip():
        return note("name_control", name=repr(text_of(name)))
    return None


def default_gpus(seen: Snapshot) -> int:
    """How many GPUs a script gets that says nothing, as a living agent has it."""
    alive = [one.page for one in seen.nodes if one.page is not None and one.presence is Presence.ALIVE]
    return alive[0].default_gpus if alive else 1


def _said(options: SubmitOptions) -> dict[str, str]:
    """What was said beside the scripts; an empty field says nothing."""
    names = ("gpus", "memory", "queue", "time", "retries", "signal", "array", "nodes")
    values = {name: getattr(options, name) for name in names}
    return {name: value.strip() for name, value in values.items() if value is not None and value.strip()}


def read_one(script: Given, options: SubmitOptions, gpus: int) -> Reading:
    """What a script asks for.

    Args:
        script: of which the first 64 KiB are looked at.
        options: what is said beside it.
        gpus: of a script that says nothing.
    """
    asked: dict[str, object] = {**_said(options)}
    if options.after and all(map(is_id, options.after)):  # names of tasks are looked up before
        asked["after"] = list(options.after)
    return read(script.content[:HEAD_BYTES], asked, tuple(options.arguments), gpus, script.name)


def cwd_of(reading: Reading, options: SubmitOptions, home: str) -> tuple[str, str, int | None]:
    """Where a task runs, who says so, and in which line of the script."""
    said = (options.cwd or "").strip()
    if said:
        inside = f"{home}{said[1:]}" if said == "~" or said.startswith("~/") else os.path.join(home, said)
        return os.path.normpath(inside), "given", None
    chdir = reading.get("chdir")
    if chdir is not None and chdir.value:
        need = next(one for one in needs_of(reading) if one.name == "cwd")
        return os.path.normpath(os.path.join(home, chdir.value)), need.source, need.line
    return home, "default", None


def for_desk(script: Given, options: SubmitOptions, home: str, gpus: int) -> Script:
    """A script as the desk takes it."""
    said = _said(options)
    reading = read_one(script, options, gpus)
    made = Options(
        gpus=said.get("gpus"),
        memory=said.get("memory"),
        queue=said.get("queue"),
        time=said.get("time"),
        retries=said.get("retries"),
        after=tuple(options.after),
        priority=DEFAULT_PRIORITY if options.priority is None else options.priority,
        cwd=cwd_of(reading, options, home)[0],
        arguments=tuple(options.arguments),
        array=said.get("array"),
        nodes=said.get("nodes"),
        signal=said.get("signal"),
        snapshot=options.snapshot,
    )
    return Script(script.name, script.content, "", made)


@dataclass(frozen=True)
class Surroundings:
    """Where scripts are looked at."""

    seen: Snapshot
    home: str
    look_at: Callable[[Script], int] | None = None
    """The desk's own look, which also reads what it comes after: how many tasks it makes; raises BadScript.
    None: what can be known without is enough."""
    states: Mapping[str, State | None] | None = None
    """Of the tasks that a script comes after."""


def look_at(
    scripts: Sequence[Given], options: SubmitOptions, around: Surroundings
) -> tuple[list[PlannedScript], int]:
    """What is known of scripts that are to be queued, and how many tasks they make.

    Args:
        scripts: as they were handed in.
        options: what is said beside all of them.
        around: the queue.
    """
    gpus = default_gpus(around.seen)
    taken = Taken()
    found, total = [], 0
    for script in scripts:
        planned = _planned(script, options, around, gpus, taken)
        total += planned.tasks if planned.problem is None else 0
        found.append(planned)
    return found, total


def _planned(script: Given, options: SubmitOptions, around: Surroundings, gpus: int, taken: Taken) -> PlannedScript:
    shown = text_of(script.name)
    if script.problem is not None:
        return PlannedScript(name=shown, needs=[], problem=script.problem)
    reading = read_one(script, options, gpus)
    count = len(reading.array.indices) if reading.array is not None else 1
    problem = note_of_script(reading.refusals[0]) if reading.refusals else None
    notes = [note_of_script(one) for one in reading.warnings]
    if b"\r\n" in script.content[:HEAD_BYTES]:
        notes.append(note("crlf"))
    if problem is None and not script.content.strip():
        problem = note_of(say(Say.EMPTY))
    if problem is None and around.look_at is not None:
        try:
            count = around.look_at(for_desk(script, options, around.home, gpus))
        except BadScript as bad:
            problem = Note(code=bad.code, text=both(str(bad), bad.chinese))
    needs = [*needs_of(reading, given="given"), *_others(reading, options, around.home)]
    priority = DEFAULT_PRIORITY if options.priority is None else options.priority
    future = Outlook(None)
    if problem is None:
        for _ in range(min(count, 64)):
            one = outlook(reading.needs, priority, around.seen, around.states or {}, taken)
            future = one if future.starts is None else future
            if one.starts is None:
                break
    return PlannedScript(
        name=shown,
        needs=needs,
        tasks=count,
        problem=problem,
        notes=notes,
        starts=text_of(future.starts.title) if future.starts is not None else "",
        starts_idle=future.idle if future.starts is not None else None,
        why_waits=[why_waits(one.node, one.reason) for one in future.why[:WHY_MAX]],
    )


def _others(reading: Reading, options: SubmitOptions, home: str) -> list[Need]:
    """What is no need of the reader's: where it runs, and in which place."""
    cwd, source, line = cwd_of(reading, options, home)
    is_said = options.priority is not None
    priority = str(DEFAULT_PRIORITY if options.priority is None else options.priority)
    found = [
        Need(name="cwd", value=text_of(cwd), source=source, line=line),
        Need(name="priority", value=priority, source="given" if is_said else "default"),
    ]
    after = [text_of(one) for one in options.after if not all(map(is_id, options.after))]
    return [*found, *([Need(name="after", value=", ".join(after), source="given")] if after else [])]
