"""From jobs to runs: defaults, the matrix, templates, and the checks of what comes of them.  Pure."""

from __future__ import annotations

import difflib
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from gpu_queue.experiments.specs import scripting, values
from gpu_queue.experiments.specs.axes import RESERVED
from gpu_queue.experiments.specs.keys import JOB_KEYS
from gpu_queue.experiments.specs.matrix import BadMatrix, Combination, Matrix, combinations
from gpu_queue.experiments.specs.nouns import Place, Run
from gpu_queue.experiments.specs.problems import Problems
from gpu_queue.experiments.specs.shell import quoted, skeleton_of, spots_of
from gpu_queue.experiments.specs.templates import Hole, Template, Unknown, fill, value_of
from gpu_queue.experiments.specs.values import NAME_MAX_BYTES
from gpu_queue.experiments.specs.walk import Command, Job, Names, Said, Sheet
from gpu_queue.texts import shown

RUNS_MAX = 10_000
SCRIPTS_MAX_CHARACTERS = 64 << 20
"""Of all runs of a file."""
_KINDS = {key.name: key for key in JOB_KEYS if key.kind is not None}
_NEEDS = ("gpus", "nodes", "memory", "time", "retries", "signal", "queue", "priority", "notify")
_NAMES = ("name", "group")


@dataclass(frozen=True)
class Surroundings:
    """Where a file is."""

    directory: str
    """Its own, from the root."""
    name: str
    """Of the file."""
    home: str
    """What ``~`` means."""


@dataclass(frozen=True)
class Planned:
    """A run, with what it comes after as the file spells it."""

    run: Run
    after: tuple[tuple[Place, str], ...]


@dataclass(frozen=True)
class Plan:
    """What became of a file."""

    runs: tuple[Planned, ...]
    is_whole: bool
    """All its runs are there, and each has a name."""


Known = dict[str, str]
"""Values by the names that a template may have."""


def plan_of(sheet: Sheet, where: Surroundings, problems: Problems) -> Plan:
    """All runs of a file, in its order; what is wrong is noted."""
    made: list[Planned] = []
    matrices = [job.said.get("matrix") for job in sheet.jobs] + [sheet.defaults.get("matrix")]
    anywhere = frozenset(name for one in matrices if isinstance(one, Matrix) for name in one.names)
    expansions = [_Expansion(_merged(job, sheet), sheet, where, problems, anywhere) for job in sheet.jobs]
    count, left = 0, SCRIPTS_MAX_CHARACTERS
    for job, expansion in zip(sheet.jobs, expansions, strict=True):
        count += len(expansion.combinations)
        if count > RUNS_MAX:
            problems.wrong(job.place, "jobs", f"at most {RUNS_MAX} runs in all", "more from here on")
            return Plan((), is_whole=False)
    for job, expansion in zip(sheet.jobs, expansions, strict=True):
        for planned in expansion.runs():
            made.append(planned)
            left -= len(planned.run.script)
            if left < 0:
                most = f"scripts of {SCRIPTS_MAX_CHARACTERS >> 20} MiB in all"
                problems.wrong(job.place, "jobs", f"at most {most}", "more from here on")
                return Plan((), is_whole=False)
    return Plan(tuple(made), all(one.is_whole for one in expansions))


def _merged(job: Job, sheet: Sheet) -> Job:
    """A job with what the defaults say; their variables are added, all else is replaced."""
    said: dict[str, Said] = {**sheet.defaults, **job.said}
    ours, theirs = job.said.get("env"), sheet.defaults.get("env")
    if isinstance(ours, dict) and isinstance(theirs, dict):
        said["env"] = {**theirs, **ours}
    return Job(job.key, job.place, said)


class _Expansion:
    """One job becomes runs.  Where something is wrong with one the rest of it is looked at all the same."""

    def __init__(
        self, job: Job, sheet: Sheet, where: Surroundings, problems: Problems, anywhere: frozenset[str]
    ) -> None:
        self._told: set[tuple[Template, Hole]] = set()
        self._job = job
        self._group = job.template("group") or sheet.group
        self._notify = sheet.notify
        self._where = where
        self._problems = problems
        self._anywhere = anywhere
        matrix = job.said.get("matrix")
        self._matrix = matrix if isinstance(matrix, Matrix) else None
        self._is_blind = self._matrix is None and "matrix" in job.said and bool(problems)
        """Its matrix is broken, which was noted: nobody knows what names it would have had."""
        self.is_whole = not self._is_blind
        self.combinations = self._combined()

    def runs(self) -> Iterator[Planned]:
        if "run" not in self._job.said:
            self._problems.wrong(self._job.place, f"jobs.{self._job.key}", "a key run with what runs", "none")
        for path, template in self._job.templates():
            self._check_defaults(path, template)
            if path == "run":
                self._check_variables(template)
        for combination in self.combinations:
            yield self._run(combination)

    def _combined(self) -> list[Combination]:
        if self._matrix is None:
            return [{}]
        try:
            return combinations(self._matrix)
        except BadMatrix as bad:
            self.is_whole = False
            for place, text in bad.problems:
                self._problems.add(place, text)
            return []

    def _run(self, combination: Combination) -> Planned:
        known: Known = {"job": self._job.key, **combination}
        known["group"] = self._group_of(known)
        known["name"] = self._name(combination, known)
        needs = {key: self._checked(key, known) for key in _NEEDS}
        needs["notify"] = ",".join(filter(None, (needs["notify"], self._of_all(known)))) or None
        flag, copied = self._checked("skip_done", known), self._checked("snapshot", known)
        cwd = self._path(self._checked("cwd", known) or ".")
        params = tuple(combination.items())
        body = scripting.body_of(self._environment(known), params, self._command(known))
        log = self._log(known)
        run = Run(
            name=known["name"],
            job=self._job.key,
            group=known["group"],
            script=scripting.script_of(body, known["name"], known["group"], self._where.name, log),
            content=scripting.content_of(body, cwd, needs),
            params=params,
            gpus=needs["gpus"],
            nodes=needs["nodes"],
            memory=needs["memory"],
            time=needs["time"],
            retries=None if needs["retries"] is None else int(needs["retries"]),
            signal=needs["signal"],
            queue=needs["queue"],
            notify=needs["notify"],
            priority=None if needs["priority"] is None else int(needs["priority"]),
            cwd=cwd,
            log=log,
            skip_done=True if flag is None else values.truth(flag),
            snapshot=None if copied is None else values.truth(copied),
            place=self._job.place,
        )
        return Planned(run, tuple(self._after(known)))

    # -- texts ------------------------------------------------------------------------------------------------------

    def _filled(self, path: str, template: Template, known: Known, *, clean: bool = False) -> str | None:
        """A text with its values; None where something has none, which is noted."""
        try:
            return fill(template, known, _clean if clean else None)
        except Unknown as unknown:
            self._tell(path, template, unknown.hole, known)
            return None

    def _tell(self, path: str, template: Template, hole: Hole, known: Known) -> None:
        if (template, hole) in self._told or (self._is_blind and hole.name not in RESERVED):
            return  # it was told of another combination, or another problem is the cause
        self._told.add((template, hole))
        names = sorted(known)
        if self._matrix is not None and hole.name in self._matrix.names:
            more = f"not all combinations have it: write {{{hole.name}|default}}"
        else:
            near = difflib.get_close_matches(hole.name, names, 1)
            listed = ", ".join(f"{{{one}}}" for one in names)
            more = f"did you mean {{{near[0]}}}? known: {listed}" if near else f"known: {listed}"
        self._problems.add(template.place, f"{path}: {hole} is not known here; {more}")

    def _check_defaults(self, path: str, template: Template) -> None:
        """Note a name that no matrix of the file has: its default would hide that for ever."""
        for hole in () if self._is_blind else template.holes:
            if hole.default is not None and hole.name not in self._anywhere and hole.name not in RESERVED:
                near = difflib.get_close_matches(hole.name, sorted(self._anywhere), 1)
                hint = f"; did you mean {{{near[0]}|{hole.default}}}?" if near else ""
                self._problems.wrong(template.place, path, "a name that a matrix of the file has", f"{hole}{hint}")

    def _check_variables(self, template: Template) -> None:
        """Note ``$seed`` where only ``{seed}`` has a value: to the shell it would be empty."""
        environment = self._job.said.get("env")
        for name in self._matrix.names if self._matrix is not None and "$" in template.text else ():
            word = re.escape(name)
            meant = re.search(rf"\$(?:{word}(?!\w)|\{{{word}\}})", template.text)
            # `python a.py lr=$lr` sets nothing: it is an argument, as Hydra has them.
            text = re.sub(rf"""\b{word}=["']?\$(?:{word}\b|\{{{word}\}})""", "", template.text)
            is_set = re.search(rf"(?:^|[\s;&|(`]){word}(?=[\s=+;)\[]|$)", text, re.MULTILINE)
            if meant and not is_set and not (isinstance(environment, dict) and name in environment):
                got = f"{meant[0]}, a variable that nothing sets"
                self._problems.wrong(template.place, "run", f"{{{name}}}", got, "; else set it, in env or before")

    def _checked(self, key: str, known: Known, template: Template | None = None) -> str | None:
        """A value; None where nothing is said, or something wrong, which is noted."""
        template = template or self._job.template(key)
        if template is None:
            return None
        text = self._filled(key, template, known, clean=key in _NAMES)
        if text is None:
            return None
        if not _is_one(key, text):
            of = f", of {shown(template.text)}" if template.holes else ""
            self._problems.wrong(template.place, key, _KINDS[key].expected, f"{shown(text)}{of}")
            return None
        return text.strip() if key in _NEEDS else text

    # -- one thing after the other ----------------------------------------------------------------------------------

    def _group_of(self, known: Known) -> str:
        if self._group is not None:
            return self._checked("group", known, self._group) or ""
        return default_name(posixpath.splitext(self._where.name)[0])

    def _of_all(self, known: Known) -> str:
        """Who is told of its group's end, as a task says it."""
        if self._notify is None or (text := self._filled("notify", self._notify, known)) is None:
            return ""
        try:
            return values.group_wishes(text)
        except ValueError:
            self._problems.wrong(self._notify.place, "notify", values.NOTIFY_OF_ALL.expected, shown(text))
            return ""

    def _name(self, combination: Combination, known: Known) -> str:
        """What a run is called; empty where something is wrong with it, which is noted."""
        template = self._job.template("name")
        if template is not None:
            name = self._checked("name", known)
        else:
            name = "-".join([self._job.key, *map(_in_a_name, combination.values())])
            if not values.is_name(name):
                if values.is_name(self._job.key):  # else that was noted
                    hint = "; give the job a name"
                    self._problems.wrong(self._job.place, "name", values.NAME.expected, shown(name), hint)
                name = None
        self.is_whole = self.is_whole and name is not None
        return name or ""

    def _path(self, text: str) -> str:
        return values.within(self._where.directory, text, self._where.home)

    def _log(self, known: Known) -> str:
        text = f"logs/{known['group']}"
        if "log_dir" in self._job.said:
            text = self._checked("log_dir", known) or "none"
        return "" if text == "none" else posixpath.join(self._path(text), f"{known['name']}.log")

    def _environment(self, known: Known) -> dict[str, str]:
        said = self._job.said.get("env")
        found = said if isinstance(said, dict) else {}
        return {name: self._filled(f"env.{name}", one, known) or "" for name, one in found.items()}

    def _command(self, known: Known) -> str:
        command = self._job.said.get("run")
        if not isinstance(command, Command):
            return ""
        if command.text is None:
            return scripting.words_of(self._filled("run", word, known) or "" for word in command.words)
        return self._lines(command.text, known)

    def _lines(self, template: Template, known: Known) -> str:
        """The text of a script, with its values quoted."""
        if not template.holes:
            return template.text if len(template.parts) != 1 else str(template.parts[0])
        made = []
        try:
            spots = iter(spots_of(skeleton_of(template)))
            for part in template.parts:
                made.append(part if isinstance(part, str) else quoted(next(spots), value_of(part, known)))
        except Unknown as unknown:
            self._tell("run", template, unknown.hole, known)
        except ValueError as problem:
            self._problems.add(template.place, f"run: {problem}")
        return "".join(made)

    def _after(self, known: Known) -> Iterator[tuple[Place, str]]:
        said = self._job.said.get("after")
        for template in said.templates if isinstance(said, Names) else ():
            text = self._filled("after", template, known, clean=True)
            if text is not None:
                yield template.place, text


@lru_cache(maxsize=4096)
def _is_one(key: str, text: str) -> bool:
    """Whether a text is a value of a key."""
    row = _KINDS[key]
    assert row.kind is not None
    try:
        row.kind.check(text)
    except ValueError:
        return row.takes_none and text == "none"
    return True


def _in_a_name(value: str) -> str:
    """A value within a name that nobody has written."""
    return _clean(value).replace(" ", "_")


def _clean(value: str) -> str:
    """A value within a name."""
    if value.isprintable() and "/" not in value:
        return value
    return "".join(one if one.isprintable() and one != "/" else "_" for one in value)


def default_name(text: str) -> str:
    """A name made of any text."""
    made = _in_a_name(text).lstrip(".-")
    while len(made.encode("utf-8", "replace")) > NAME_MAX_BYTES:
        made = made[:-1]
    return made.encode("utf-8", "replace").decode() or "experiments"
