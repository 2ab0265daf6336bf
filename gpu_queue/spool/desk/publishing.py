"""Publishing: one script or thousands become tasks (docs/spool.md, "Publishing"); here all of it is looked at.

Everything is looked at before anything is written: a wrong script or option costs the others nothing.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from itertools import pairwise
from typing import Any

from gpu_queue.errors import BadScript
from gpu_queue.sayings import Say, say
from gpu_queue.scripts.reader import HEAD_BYTES, read
from gpu_queue.scripts.reading import Array, Reading
from gpu_queue.spool import files
from gpu_queue.spool.calls import Call, encode_call
from gpu_queue.spool.desk.committing import Entry, Prepared
from gpu_queue.spool.desk.find import WAITING_FIRST, Finder, Task, Unclear, several
from gpu_queue.spool.desk.functions import pickled, script_of
from gpu_queue.spool.desk.links import Named, place_of
from gpu_queue.spool.desk.people import me
from gpu_queue.spool.desk.sources import check_content, read_file, working_directory
from gpu_queue.spool.desk.stamps import next_stamp_s
from gpu_queue.spool.desk.storing import Codes, remarks
from gpu_queue.spool.fields import is_argument
from gpu_queue.spool.paths import full_name, make_id, safe_name
from gpu_queue.spool.records import encode_submission
from gpu_queue.task import DEFAULT_PRIORITY, ArrayPart, BatchPart, ExperimentPart, State, Submission
from gpu_queue.texts import printable
from gpu_queue.units import format_utc

_JOB_CHARS = len("20261123T014415123-4f0c2a")
"""Of an id: what tells it from others, and fits a queue's name."""
_STEM_BYTES = 100
"""Of a name, in the ids of an array: there has to be room for the index."""

# -- what is published ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Beside:
    """A script that is published together with the one that names it, and stands before it."""

    position: int
    """Among them, from 0."""


@dataclass(frozen=True)
class Options:
    """What is said about a task beside its script.  All of it may be left out."""

    gpus: int | str | None = None
    """``2``, or ``"1-4"``: as many of them as are free, at least the first; ``0``: none."""
    memory: int | str | None = None
    """That each of its GPUs must have: ``"20G"``, ``"512M"``, or bytes."""
    queue: str | None = None
    """Of tasks with the same queue one runs at a time."""
    time: float | str | None = None
    """After which it is ended: ``"4h"``, ``"1d12h"``, or seconds."""
    retries: int | str | None = None
    """How often it is tried again after a failure of its own."""
    after: tuple[str | Task | Beside, ...] = ()
    """Tasks that must be done first."""
    name: str | None = None
    """In place of the script's own."""
    priority: int = DEFAULT_PRIORITY
    """000 to 999, smaller runs first."""
    cwd: str | None = None
    """Where it runs; else the directory that it was submitted from."""
    arguments: Sequence[str] = ()
    """What the script finds as ``$1``, ``$2`` …"""
    array: str | None = None
    """``"0-9"``: a task for each of these; ``"0-9%2"``: two of them at once."""
    batch: BatchPart | None = None
    """Which block of a command file it is."""
    experiment: ExperimentPart | None = None
    """Which run of an experiment file it is; a link to its log is made where it says."""
    notify: str | None = None
    """Who is told of its end: ``"ops:failed,me"``."""
    nodes: int | str | None = None
    """On so many nodes at once it is started, with its GPUs on each."""
    python: str | None = None
    """Of a function: the Python that calls it, of the same minor version; else the one that submits it."""
    signal: str | None = None
    """By which it is told that its end is near, and how many seconds before: ``"USR1@120"``, ``"all:USR2@60"``."""
    snapshot: bool | None = None
    """Whether it runs in a copy of the working tree as it is now; None: as its ``#GPUQ`` lines say."""


def options_of(needs: Mapping[str, Any]) -> Options:
    """What is said in keywords, for those who pass it on.

    Raises:
        TypeError: there is no such word.
    """
    known = [one.name for one in fields(Options) if one.name not in ("batch", "experiment")]
    for name in needs:
        if name not in known:
            raise TypeError(f"{name}= is nothing that a task can be given; expected {', '.join(known)}")
    return Options(**{**needs, "after": several(needs.get("after") or ())})


@dataclass(frozen=True)
class Script:
    """A script that need not lie in a file."""

    name: str
    content: str | bytes
    path: str = ""
    """Where it came from, for people."""
    options: Options | None = None
    """Its own, in place of those that are given for all."""


ScriptLike = str | os.PathLike[str] | Script | Callable[[], object]
"""A path, a script, or a function, which with what it is called with is ``functools.partial(function, …)``."""


@dataclass(frozen=True)
class _Source:
    """A script that was read."""

    name: str
    content: bytes
    path: str
    options: Options | None = None
    call: Call | None = None
    """The function that it calls."""


def read_script(source: ScriptLike, python: str | None = None) -> _Source:
    """A script, from where it lies.

    Args:
        source: a path (a link is followed), the script itself, or a function.
        python: by which a function is called.

    Raises:
        BadScript: it is missing, no regular file, empty, binary, too large, or cannot be read.
        Exception: whatever pickling a function raises.
    """
    if callable(source):
        call = pickled(source)
        return _Source(call.function, script_of(call.function, python), "", None, call)
    if isinstance(source, Script):
        given = source.content
        content = given.encode("utf-8", "surrogateescape") if isinstance(given, str) else bytes(given)
        return _Source(source.name, check_content(source.name, content), source.path, source.options)
    content, path = read_file(os.fspath(source))
    return _Source(os.path.basename(path), content, path)


# -- what is asked for ----------------------------------------------------------------------------------------------


def _given(options: Options) -> dict[str, Any]:
    """The needs as a record holds them: texts in the notation of the command line."""
    said = {
        name: getattr(options, name)
        for name in ("gpus", "nodes", "memory", "queue", "time", "retries", "signal", "notify")
    }
    for name, value in said.items():
        if isinstance(value, bool) or not isinstance(value, (int, float, str, type(None))):
            raise BadScript(f"{name}={printable(repr(value))}: expected a text or a number")
    return {name: _text(value) for name, value in said.items() if value is not None}


def _text(value: float | str) -> str:
    if isinstance(value, float):
        return f"{value:.3f}".rstrip("0").rstrip(".")
    return str(value)


def is_priority(value: object) -> bool:
    """Whether a task may have it."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 999


def _check(options: Options, *, is_function: bool) -> None:
    if is_function and (options.arguments or options.array is not None):
        wrong = "array=: publish a list of functions" if options.array is not None else "arguments="
        raise BadScript(f"{wrong}: a function's own are given by functools.partial(function, ...)")
    if not is_priority(options.priority):
        raise BadScript(f"priority={printable(repr(options.priority))}; expected 0 to 999, smaller runs first")
    for name in ("name", "cwd", "array", "python"):
        value = getattr(options, name)
        if value is not None and (not isinstance(value, str) or "\0" in value):
            raise BadScript(f"{name}={printable(repr(value))}: expected a text")
    if isinstance(options.arguments, str) or not all(isinstance(one, str) for one in options.arguments):
        raise BadScript(f"arguments={printable(repr(options.arguments))}: expected a list of texts")
    for one in options.arguments:
        if not is_argument(one):
            raise BadScript(f"arguments: {printable(repr(one))} is no text that a program can be given")


class _Ids:
    """The ids of the tasks of one script; until they are about to be written, others of the same length."""

    def __init__(self, name: Callable[[ArrayPart | None], bytes], parts: Sequence[ArrayPart | None]) -> None:
        self._name = name
        self._given: list[str] = []
        self._places = [make_id(0.0, "000000", name(part)) for part in parts]

    def give(self, now_s: float, part: ArrayPart | None) -> str:
        """The id of the next one."""
        self._given.append(make_id(now_s, secrets.token_hex(3), self._name(part)))
        return self._given[-1]

    @property
    def known(self) -> list[str]:
        return self._given or self._places


@dataclass(frozen=True)
class _After:
    """What a script comes after: tasks, and scripts that are published together with it."""

    ids: tuple[str, ...]
    beside: tuple[_Ids, ...]

    @property
    def both(self) -> list[str]:
        """All ids."""
        return [*self.ids, *self.of_beside]

    @property
    def of_beside(self) -> tuple[str, ...]:
        return tuple(task_id for one in self.beside for task_id in one.known)


def _upstream(finder: Finder, after: Iterable[str | Task | Beside]) -> tuple[str, ...]:
    ids = []
    for one in after:
        if isinstance(one, Beside):
            continue
        text = (one.id or one.name) if isinstance(one, Task) else one
        found = finder.one(text, *WAITING_FIRST)
        if isinstance(found, Unclear):
            raise BadScript(f"after: {found.reason}", found.why.chinese, found.why.code.value)
        if found.id is None:
            why = say(Say.AFTER_DROP, name=printable(found.name))
            raise BadScript(f"after: {why.english}", why.chinese, why.code.value)
        ids.append(found.id)
    return tuple(ids)


@dataclass(frozen=True)
class _Submitter:
    """Who submits, from where, and since when."""

    user: str
    host: str
    directory: str
    began_ns: int
    codes: Codes


def _prepare(
    script: _Source, options: Options, after: _After, default_gpus: Callable[[], int], whose: _Submitter
) -> tuple[list[Prepared], _Ids]:
    """Look at one; what is left is to give its tasks their ids, when all scripts are known to be fine."""
    content = script.content
    asked = _given(options)
    given = asked | ({"after": after.both} if after.both else {})
    shown = printable(options.name or script.name)
    reading = _read(
        script, given | ({} if options.array is None else {"array": options.array}), options, default_gpus
    )
    if reading.refusals:
        problem = reading.refusals[0]
        english = f"{shown}: asks for what cannot be: {problem.english}; nothing was submitted"
        raise BadScript(english, problem.chinese, problem.code)
    title = options.name or _said(reading, "name") or script.name
    # By that ending a script without a #! line is run.
    stem, tongue = (title.removesuffix(".py"), ".py") if title.endswith(".py") else (title, "")
    directory = os.path.join(whose.directory, _said(reading, "chdir")).rstrip("/") or "/"
    cwd = directory if options.cwd is None else os.path.abspath(options.cwd)
    patterns = tuple(dict.fromkeys(filter(None, (_said(reading, "output"), _said(reading, "error")))))
    notes = tuple(one.english for one in reading.warnings)
    is_taken = reading.get("snapshot") is not None if options.snapshot is None else options.snapshot
    taken_of = whose.directory if options.cwd is None else cwd
    code, tree = whose.codes.of(cwd, script.path, taken_of=taken_of if is_taken else None)
    notes += remarks(tree, script.path, content) if tree is not None else ()
    log = (options.experiment.log,) if options.experiment is not None and options.experiment.log else ()

    def name_of(part: ArrayPart | None) -> bytes:
        if part is None:
            return os.fsencode(title)
        return f"{safe_name(os.fsencode(stem))[:_STEM_BYTES]}_{part.index}{tongue}".encode()

    def said(task_id: str, submitted_at: str, part: ArrayPart | None) -> Submission:
        name = title if part is None else f"{stem}_{part.index}{tongue}"
        needs = asked | ({"after": after.both} if after.both else {}) | _lane(part, reading)
        arguments = tuple(options.arguments)
        texts = (task_id, name, script.path, cwd, needs, whose.user, whose.host, submitted_at)
        origin = (options.batch, options.experiment)
        return Submission(*texts, "", arguments, part, *origin, code)

    def entry(part: ArrayPart | None) -> Entry:
        now_s = next_stamp_s(whose.began_ns)
        task_id = ids.give(now_s, part)
        if part is not None:
            jobs.append(task_id)
            part = replace(part, job=jobs[0])
        submission = said(task_id, format_utc(now_s), part)
        needs = replace(reading.needs, queue=_lane(part, reading).get("queue", reading.queue))
        if after.beside:
            needs = replace(needs, after=tuple(after.both))
        job, index = (task_id, None) if part is None else (part.job, part.index)
        places, problems = _places(patterns, Named(task_id, job, title, whose.user, index), cwd)
        task = Task(State.PENDING, full_name(options.priority, task_id), needs=needs, notes=notes + problems)
        call = b"" if script.call is None else encode_call(task_id, script.call)
        links = log + places
        return Entry(task, task_id, content, encode_submission(submission), links, after.of_beside, call, tree)

    jobs: list[str] = []
    parts = _parts(reading.array)
    ids = _Ids(name_of, parts)
    size_bytes = len(encode_submission(said("0" * 150, "0" * 20, parts[-1])))
    if size_bytes > files.RECORD_MAX_BYTES:
        why = say(Say.RECORD_TOO_LARGE, size_bytes=size_bytes, most_bytes=files.RECORD_MAX_BYTES)
        raise BadScript(f"{shown}: {why.english}", why.chinese, why.code.value)
    return [partial(entry, part) for part in parts], ids


def _said(reading: Reading, what: str) -> str:
    found = reading.get(what)
    return found.value if found is not None else ""


def _parts(array: Array | None) -> list[ArrayPart | None]:
    """Which tasks there are: one, or one for each index; their job is not known yet."""
    if array is None:
        return [None]
    indices = array.indices
    steps = {later - one for one, later in pairwise(indices)}
    step = steps.pop() if len(steps) == 1 else 1
    return [
        ArrayPart("0" * 150, index, indices[0], indices[-1], step, len(indices), array.limit or 0)
        for index in indices
    ]


def _lane(part: ArrayPart | None, reading: Reading) -> dict[str, str]:
    """The serial queue of a task of an array of which only some run at once: they are dealt to so many queues."""
    if part is None or not 0 < part.limit < part.count or reading.queue is not None or reading.array is None:
        return {}
    return {"queue": f"{part.job[:_JOB_CHARS]}.{reading.array.indices.index(part.index) % part.limit}"}


def _places(patterns: Iterable[str], named: Named, cwd: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Where links to its log are to be made, and why not."""
    places, problems = [], []
    for pattern in patterns:
        try:
            places.append(place_of(pattern, named, cwd))
        except ValueError as problem:
            problems.append(str(problem))
    return tuple(dict.fromkeys(places)), tuple(problems)


def _read(script: _Source, given: dict[str, Any], options: Options, default_gpus: Callable[[], int]) -> Reading:
    head, arguments = script.content[:HEAD_BYTES], tuple(options.arguments)
    reading = read(head, given, arguments, 1, script.name)
    count = default_gpus() if reading.source == "default" else 1
    return read(head, given, arguments, count, script.name) if count != 1 else reading


def prepare(
    finder: Finder,
    sources: Iterable[ScriptLike],
    options: Options,
    default_gpus: Callable[[], int],
    codes: Codes | None = None,
) -> list[Prepared]:
    """Look at all that is to be published; nothing is written.

    Args:
        finder: of the spool, for what ``after`` names.
        sources: paths and scripts.
        options: of all that bring none themselves.
        default_gpus: how many a script gets that says nothing; asked once at most.
        codes: what they are submitted with, as far as it was looked at; None: it is looked at now.

    Raises:
        BadScript: one of them can never run; the message says which and why.
        SpoolError: the spool cannot be listed.
    """
    codes = Codes(finder.paths) if codes is None else codes
    whose = _Submitter(*me(), working_directory(), time.time_ns(), codes)
    counted: list[int] = []
    upstream: dict[tuple[str | Task | Beside, ...], tuple[str, ...]] = {}

    def count() -> int:
        if not counted:
            counted.append(default_gpus())
        return counted[0]

    prepared: list[Prepared] = []
    together: list[_Ids] = []
    for source in sources:
        script = read_script(source, options.python)
        own = script.options or options
        _check(own, is_function=script.call is not None)
        after = (own.after,) if isinstance(own.after, (str, Task)) else tuple(own.after)
        if after not in upstream:
            upstream[after] = _upstream(finder, after)
        positions = [one.position for one in after if isinstance(one, Beside)]
        if not all(0 <= position < len(together) for position in positions):
            raise BadScript(f"{printable(own.name or script.name)}: after: expected scripts that stand before it")
        beside = tuple(together[position] for position in positions)
        entries, ids = _prepare(script, own, _After(upstream[after], beside), count, whose)
        prepared += entries
        together.append(ids)
    return prepared
