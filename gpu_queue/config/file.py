"""config.yaml: from bytes to values that have their places, and all problems at once.  Pure.

- YAML makes a tree of nodes and nothing else: their lines stay known, and no tag constructs anything.
- The table leads the walk, so nothing is looked into deeper than a setting can be nested; a file's aliases make it
  no larger than ``CHARACTERS_MAX``.
- Numbers are decimal: what YAML 1.1 takes for another base or for base 60 (``0x10``, ``1:30``) stays text.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from gpu_queue.config.given import Config, Given
from gpu_queue.config.kinds import Kind, ListOf, ListOfGroups, OrGroup, Plain, Scalar, shown
from gpu_queue.config.table import ENABLED, Setting, Table, Tree, tree_of

CHARACTERS_MAX = 1 << 17
"""Twice what a file may have."""
PROBLEMS_MAX = 20
"""A node's page names so many of a file."""
_KEY_CHARACTERS = 100
_NUMBER_CHARACTERS = 40
_TRUTHS = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}
_TAG = "tag:yaml.org,2002:"
_NO_PLAIN = {"null": "nothing", "timestamp": "a date", "binary": "bytes"}
_UNSEEN = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")
"""Controls, what turns the direction of writing, and halves of characters."""
_WIDE_COLON = "\uff1a"
"""As it is typed where one writes Chinese."""
_LISTS = "docs/settings.md lists them"


def read(path: str, content: bytes, table: Table[Any]) -> Config:
    """Read a config.yaml; what cannot be obeyed is among the result's problems.

    Args:
        path: where it stands, for messages.
        content: what stands in it, of a size that is bounded.
        table: the settings that there are.
    """
    everything = frozenset(row.key for row in table.rows if row.key)
    try:
        root = yaml.compose(content, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        said = ", ".join(" ".join(part.split()) for part in (error.context, error.problem) if part)
        return Config(broken=everything, problems=(f"{path}{line}: no YAML: {said[:300]}",))
    except RecursionError:
        return Config(broken=everything, problems=(f"{path}: no YAML: it is nested too deeply",))
    except Exception as error:  # beside YAMLError the reader lets pass what it stumbles over
        told = f"{path}: no YAML: {' '.join(str(error).split())[:300]}"
        return Config(broken=everything, problems=(told,))
    if root is None:
        return Config()
    reader = _Reader(path, table.rows)
    if isinstance(root, yaml.MappingNode):
        reader.group(root, tree_of(table.rows), "")
    elif root.tag != f"{_TAG}null":
        is_wide = isinstance(root, yaml.ScalarNode) and _WIDE_COLON in root.value
        hint = f"; write ':' and a blank for {_WIDE_COLON}" if is_wide else ""
        reader.add(root.start_mark.line, "", f"{_what(root)}; expected a mapping of settings{hint}")
    return reader.result()


class _Reader:
    """One walk through one file."""

    def __init__(self, path: str, rows: tuple[Setting, ...]) -> None:
        self._path = path
        self._keys = tuple(row.key for row in rows if row.key)
        self._left = CHARACTERS_MAX
        self._is_spent = False
        self._values: dict[str, Given] = {}
        self._broken: set[str] = set()
        self._problems: list[str] = []
        self._untold = 0

    def result(self) -> Config:
        more = (f"{self._path}: {self._untold} more problems",) if self._untold else ()
        return Config(self._values, frozenset(self._broken), (*self._problems, *more))

    def add(self, line: int, key: str, problem: str) -> None:
        if self._is_full:
            self._untold += 1
        else:
            self._problems.append(f"{self._place(line, key)}: {problem}")

    @property
    def _is_full(self) -> bool:
        return len(self._problems) >= PROBLEMS_MAX

    def _place(self, line: int, key: str) -> str:
        return f"{self._path}:{line + 1}{f': {key}' if key else ''}"

    def _spend(self, node: yaml.Node) -> bool:
        """Whether one more key or value may be looked at."""
        self._left -= 1 + (len(node.value) if isinstance(node, yaml.ScalarNode) else 0)
        if self._left < 0 and not self._is_spent:
            self._is_spent = True
            used = "aliases counted as often as they are used"
            self.add(node.start_mark.line, "", f"more than {CHARACTERS_MAX} characters, {used}")
        return not self._is_spent

    # -- groups -----------------------------------------------------------------------------------------------------

    def group(self, node: yaml.MappingNode, tree: Tree, prefix: str) -> None:
        """Read a group of settings, the whole file being one."""
        for name, line, value in self._entries(node, prefix, tree):
            below, key = tree.get(name), f"{prefix}{name}"
            if isinstance(below, Setting):
                self._setting(below, value, line, key)
            elif below is None:
                self.add(line, prefix[:-1], f"unknown setting {shown(name)}; {self._guess(name, tree, prefix)}")
            elif isinstance(value, yaml.MappingNode):
                self.group(value, below, f"{key}.")
            elif isinstance(whole := below.get(ENABLED), Setting):
                if isinstance(value, yaml.ScalarNode) and value.tag != f"{_TAG}null":
                    self._setting(whole, value, line, key)
                else:
                    self.add(line, key, f"{_what(value)}; expected {whole.kind.expected}, or a group of settings")
            else:
                self.add(line, key, f"{_what(value)}; expected a group of settings")

    def _entries(
        self, node: yaml.MappingNode, prefix: str, known: Mapping[str, object]
    ) -> Iterator[tuple[str, int, yaml.Node]]:
        """The keys of a mapping with their lines and values: each once, and those only that are words."""
        first: dict[str, int] = {}
        for key_node, value in node.value:
            line = key_node.start_mark.line
            if not self._spend(key_node):
                return
            if not isinstance(key_node, yaml.ScalarNode):
                self.add(line, prefix[:-1], f"{_what(key_node)} is no name of a setting; {_LISTS}")
                continue
            name = key_node.value
            if name in first:
                said = f"{prefix}{name}" if name in known else f"{prefix}{shown(name)}"
                self.add(line, said, f"given twice, first in line {first[name] + 1}")
            elif key_node.tag == f"{_TAG}bool" and name not in known and ENABLED in known:
                # YAML 1.1 reads the words on and off, even as keys, as true and false.
                self.add(line, prefix[:-1], f"write '{ENABLED}: on' or '{ENABLED}: off'")
            else:
                first[name] = line
                yield name, line, value

    def _guess(self, name: str, tree: Tree, prefix: str) -> str:
        if self._is_full:  # nobody will read it
            return ""
        if prefix + name in self._keys:
            group, _, last = name.rpartition(".")
            return f"write {group}: and below it, indented, {last}: …"
        near = [f"{prefix}{one}" for one in difflib.get_close_matches(name[:_KEY_CHARACTERS], tree, 1)]
        if not near:
            by_last = {key.rpartition(".")[2]: key for key in self._keys}
            near = [by_last[one] for one in difflib.get_close_matches(name[:_KEY_CHARACTERS], by_last, 1)]
        return f"did you mean {near[0]}?" if near else _LISTS

    # -- values -----------------------------------------------------------------------------------------------------

    def _setting(self, row: Setting, node: yaml.Node, line: int, key: str) -> None:
        value = self._value(row.file_kind, node, line, key)
        if value is _BROKEN:
            self._broken.add(row.key)
        else:
            self._values[row.key] = Given(value, self._place(line, key))

    def _value(self, kind: Kind, node: yaml.Node, line: int, key: str) -> Any:
        if not self._spend(node):
            return _BROKEN
        try:
            if isinstance(kind, ListOfGroups):
                return self._groups(kind, node, key)
            if isinstance(kind, OrGroup):
                if isinstance(node, yaml.MappingNode):
                    return self._one_group(kind, node, line, key)
                return kind.scalar.parse(_plain(node))
            if isinstance(kind, Scalar):
                is_nothing = kind.takes_nothing and node.tag == f"{_TAG}null"
                return kind.parse("none" if is_nothing else _plain(node))
            if isinstance(node, yaml.SequenceNode):
                return self._list(kind, node, key)
            entries = kind.entries(_plain(node))
            return kind.collect(tuple(kind.item.parse(entry) for entry in entries))
        except _WrongType as wrong:
            self.add(line, key, f"{wrong}; expected {kind.expected}")
        except ValueError as error:
            self.add(line, key, str(error))
        return _BROKEN

    def _list(self, kind: ListOf, node: yaml.SequenceNode, key: str) -> Any:
        if len(node.value) < kind.least:
            raise _WrongType("an empty list")
        values = []
        for position, item in enumerate(node.value):
            values.append(self._value(kind.item, item, item.start_mark.line, f"{key}[{position}]"))
        return _BROKEN if _BROKEN in values else kind.collect(tuple(values))

    def _groups(self, kind: ListOfGroups, node: yaml.Node, key: str) -> Any:
        if not isinstance(node, yaml.SequenceNode):
            raise _WrongType(_what(node))
        made = []
        for position, item in enumerate(node.value):
            line, place = item.start_mark.line, f"{key}[{position}]"
            if not self._spend(item):
                return _BROKEN
            if isinstance(item, yaml.MappingNode):
                made.append(self._one_group(kind, item, line, place))
            else:
                self.add(line, place, f"{_what(item)}; expected a group")
                made.append(_BROKEN)
        return _BROKEN if _BROKEN in made else tuple(made)

    def _one_group(self, kind: ListOfGroups | OrGroup, node: yaml.MappingNode, line: int, key: str) -> Any:
        members = {one.key: one for one in kind.members}
        values: dict[str, Any] = {}
        is_broken = False
        for name, at, value in self._entries(node, f"{key}.", members):
            if name in members:
                values[name] = self._value(members[name].kind, value, at, f"{key}.{name}")
            else:
                near = difflib.get_close_matches(name[:_KEY_CHARACTERS], members, 1)
                guess = f"did you mean {near[0]}?" if near else f"expected {', '.join(members)}"
                self.add(at, key, f"unknown key {shown(name)}; {guess}")
                is_broken = True
        for one in kind.members:
            if one.is_required and one.key not in values:
                self.add(line, key, f"has no {one.key}, which it needs")
                is_broken = True
        if is_broken or _BROKEN in values.values():
            return _BROKEN
        try:
            return kind.make(**values)
        except ValueError as error:
            self.add(line, key, str(error))
            return _BROKEN


class _WrongType(ValueError):
    """A value that is of no kind that a setting has; the message names its type."""


class _Broken:
    """Stands for a value whose problem has been told."""


_BROKEN = _Broken()


def _what(node: yaml.Node) -> str:
    """A node for a message, by its type."""
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    try:
        return shown(_plain(node))
    except _WrongType as wrong:
        return str(wrong)


def _plain(node: yaml.Node) -> Plain:
    """A scalar's value.

    Raises:
        _WrongType: it is no text, number or truth value.
    """
    if not isinstance(node, yaml.ScalarNode):
        raise _WrongType(_what(node))
    text: str = node.value
    tag = node.tag.removeprefix(_TAG)
    if tag in _NO_PLAIN:
        raise _WrongType(_NO_PLAIN[tag])
    if tag not in ("str", "bool", "int", "float", "value", "merge"):
        raise _WrongType(f"a value with the tag {shown(node.tag)}")
    wrong = _UNSEEN.search(text)
    if wrong is not None:
        raise _WrongType(f"a text that holds the character {wrong[0]!a}")
    if tag == "bool":
        return _TRUTHS.get(text.lower(), text)
    if tag in ("int", "float") and len(text) <= _NUMBER_CHARACTERS:
        return _number(text)
    return text


def _number(text: str) -> Plain:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        number = float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    except ValueError:
        return text
    return int(number) if number.is_integer() else number
