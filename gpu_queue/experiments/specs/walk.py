"""From nodes to what a file says of each job, with its places; whatever is wrong on the way is noted.  Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from gpu_queue.experiments.specs.axes import read_matrix
from gpu_queue.experiments.specs.keys import FILE_KEYS, JOB_KEYS, Key, Shape
from gpu_queue.experiments.specs.mappings import Mappings, is_null
from gpu_queue.experiments.specs.matrix import Matrix
from gpu_queue.experiments.specs.nodes import Mapping, Node, Scalar, Sequence
from gpu_queue.experiments.specs.nouns import Place
from gpu_queue.experiments.specs.problems import what
from gpu_queue.experiments.specs.templates import Template
from gpu_queue.experiments.specs.values import NAME, VARIABLE, is_name
from gpu_queue.texts import shown

_FILE = {key.name: key for key in FILE_KEYS}
_JOB = {key.name: key for key in JOB_KEYS}
_OF_JOBS = f"{' '.join(_JOB)}: it belongs in a job, or in defaults"
_OF_THE_FILE = f"{' '.join(_FILE)}: it belongs at the top of the file"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
LINE = re.compile(r"^[^\s/]+\s+\S", re.ASCII)
"""A command line; a program with a blank in its name has a directory, mostly."""
NOT_SET = frozenset(("BASHOPTS", "BASH_VERSINFO", "EUID", "PPID", "SHELLOPTS", "UID"))
"""Variables that bash lets nobody set."""
OURS = "GPU_QUEUE_"
"""What variables of the queue begin with."""


@dataclass(frozen=True)
class Command:
    """What runs."""

    text: Template | None
    """For a shell."""
    words: tuple[Template, ...] = ()
    """For none."""


@dataclass(frozen=True)
class Names:
    """What must be done first."""

    templates: tuple[Template, ...]


Environment = dict[str, Template]
Said = Template | Command | Names | Matrix | Environment | None
"""What is said of a key; None: ``null``, as if nothing were said, or something wrong."""


@dataclass(frozen=True)
class Job:
    """A job as the file has it."""

    key: str
    place: Place
    said: dict[str, Said]

    def template(self, key: str) -> Template | None:
        """A single value."""
        found = self.said.get(key)
        return found if isinstance(found, Template) else None

    def templates(self) -> Iterator[tuple[str, Template]]:
        """All texts that may have a template, with their keys."""
        for key, said in self.said.items():
            if isinstance(said, Template):
                yield key, said
            elif isinstance(said, Names):
                yield from ((key, one) for one in said.templates)
            elif isinstance(said, Command):
                yield from ((key, one) for one in (said.words if said.text is None else (said.text,)))
            elif isinstance(said, dict):
                yield from ((f"{key}.{name}", one) for name, one in said.items())


@dataclass(frozen=True)
class Sheet:
    """A file as it was written; defaults are not filled in."""

    group: Template | None
    notify: Template | None
    """Who is told of the end of a group."""
    defaults: dict[str, Said]
    jobs: tuple[Job, ...]


class Walk(Mappings):
    """One walk through one file."""

    def sheet(self, root: Node | None) -> Sheet:
        """What a file says."""
        if not isinstance(root, Mapping):
            place, got = (Place(1, 1), "nothing") if root is None else (root.place, what(root))
            self.problems.wrong(place, "file", "a mapping with the key jobs", got)
            return Sheet(None, None, {}, ())
        texts: dict[str, Template | None] = {}
        defaults: dict[str, Said] = {}
        jobs: tuple[Job, ...] | None = None
        for name, _, node in self.entries(root, "", _FILE, _OF_JOBS):
            key = _FILE[name]
            if key.shape is Shape.JOBS:
                jobs = self._jobs(node, key)
            elif is_null(node):
                continue
            elif key.shape is Shape.VERSION:
                if not isinstance(node, Scalar) or node.text != "1":
                    self.wrong(node, name, key.expected)
            elif key.shape is Shape.JOB:
                defaults = self._job(node, name, key.expected)
            else:
                texts[name] = self.text(node, name, key.expected)
        if jobs is None:
            self.problems.wrong(root.place, "file", "a key jobs with a mapping of jobs by their names", "none")
        return Sheet(texts.get("group"), texts.get("notify"), defaults, jobs or ())

    def _jobs(self, node: Node, key: Key) -> tuple[Job, ...]:
        if not isinstance(node, Mapping) or not node.entries:
            hint = "; write 'train:' in the place of '- name: train'" if isinstance(node, Sequence) else ""
            self.wrong(node, key.name, key.expected, hint)
            return ()
        expected = _FILE["defaults"].expected
        made = []
        for name, place, below in self.entries(node, key.name):
            if not is_name(name):
                self.problems.wrong(place, key.name, f"a name of {NAME.expected}", shown(name))
            made.append(Job(name, place, self._job(below, f"jobs.{name}", expected)))
        return tuple(made)

    def _job(self, node: Node, path: str, expected: str) -> dict[str, Said]:
        if not isinstance(node, Mapping):
            self.wrong(node, path, expected)
            return {"run": None}
        return {
            name: None if is_null(below) and name != "run" else self._said(below, _JOB[name])
            for name, _, below in self.entries(node, path, _JOB, _OF_THE_FILE)
        }

    def _said(self, node: Node, key: Key) -> Said:
        if key.shape is Shape.COMMAND:
            return self._command(node, key)
        if key.shape is Shape.NAMES:
            return self._names(node, key)
        if key.shape is Shape.ENVIRONMENT:
            return self._environment(node, key)
        if key.shape is Shape.MATRIX:
            return read_matrix(node, key.expected, self.problems)
        return self.text(node, key.name, key.expected)

    def _command(self, node: Node, key: Key) -> Command | None:
        if isinstance(node, Sequence) and node.items:
            words = self.texts(node, key.name, "a word")
            if words and LINE.match(words[0].text):
                hint = "; several commands are one text, behind run: |"
                self.wrong(node.items[0], key.name, "a program, and each of its arguments by itself", hint)
            return Command(None, words) if words else None
        if not isinstance(node, Scalar) or node.is_null or not node.text.strip():
            self.wrong(node, key.name, key.expected)
            return None
        if node.text.lstrip().startswith("#!"):
            first = shown(node.text.lstrip().split("\n", 1)[0])
            self.problems.wrong(node.place, key.name, "lines for bash", f"a program with {first}")
            return None
        text = self.text(node, key.name, key.expected)
        return Command(text) if text else None

    def _names(self, node: Node, key: Key) -> Names | None:
        if isinstance(node, Sequence):
            found = self.texts(node, key.name, "the name of a job or a run")
            return None if found is None else Names(found)
        one = self.text(node, key.name, key.expected)
        return Names((one,)) if one else None

    def _environment(self, node: Node, key: Key) -> Environment:
        made: Environment = {}
        if not isinstance(node, Mapping):
            self.wrong(node, key.name, key.expected)
            return made
        for name, place, below in self.entries(node, key.name):
            if not _VARIABLE.fullmatch(name):
                self.problems.wrong(place, key.name, "the name of a variable", shown(name))
            elif name.startswith(OURS) or name in NOT_SET:
                whose = "bash's own" if name in NOT_SET else "the queue's"
                self.problems.wrong(place, key.name, "a variable of yours", f"{name}, which is {whose}")
            elif isinstance(below, Scalar) and below.is_null:
                self.wrong(below, f"{key.name}.{name}", "a value", "; write '' for an empty one")
            elif (value := self.text(below, f"{key.name}.{name}", "a value")) is not None:
                made[name] = value
                if variable := VARIABLE.search(value.text):
                    hint = f"; write export {name}=… in run"
                    got = f"{variable[0]}, which nobody fills in here"
                    self.problems.wrong(below.place, f"{key.name}.{name}", "a value as it is", got, hint)
        return made
