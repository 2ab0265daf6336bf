"""Where the keys and values of a config.yaml stand in its text.  Pure.

The reader of YAML is the one that agents have: what it takes for a value is what they obey.  Its positions count
characters; of a value with an anchor or a tag it tells where these begin, and of a block where the next thing does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
_PROPERTY = re.compile(r"(?:&[^\s,\[\]{}]+|![^\s,\[\]{}]*)[ \t]*")
_NULL = "tag:yaml.org,2002:null"


class Unreadable(ValueError):
    """A text that is no YAML, or no mapping: nothing in it can be told from anything else."""


@dataclass(frozen=True)
class Span:
    """A piece of the text, in characters."""

    start: int
    end: int


@dataclass(frozen=True)
class Entry:
    """A key with its value, in a mapping."""

    mapping: yaml.MappingNode
    position: int
    """Of the entry in its mapping."""
    key: yaml.ScalarNode
    value: yaml.Node
    span: Span
    """Of the value itself, without anchor, tag and what follows it; empty where nothing stands there."""
    is_alias: bool = False
    """The value stands elsewhere, and only its name stands here."""

    @property
    def line(self) -> int:
        """Of the key, from 1."""
        return int(self.key.start_mark.line) + 1


class Document:
    """A config.yaml, as a tree with places."""

    def __init__(self, text: str, root: yaml.MappingNode | None, aliases: dict[int, Span]) -> None:
        self.text = text
        self.root = root
        """None: nothing is said in it."""
        self._aliases = aliases
        match = BREAK.search(text)
        self.newline = match[0] if match else "\n"
        """As its first line ends."""

    def entries(self, mapping: yaml.MappingNode | None) -> Iterator[Entry]:
        """What a mapping holds, each key once: of several the first counts, as for agents."""
        if mapping is None:
            return
        seen = set()
        for position, (key, value) in enumerate(mapping.value):
            if not isinstance(key, yaml.ScalarNode) or key.value in seen:
                continue
            seen.add(key.value)
            alias = self._aliases.get(id(key))
            span = alias or Span(self._inner(value), self.extent(value))
            yield Entry(mapping, position, key, value, span, alias is not None)

    def entry(self, mapping: yaml.MappingNode | None, name: str) -> Entry | None:
        """A key of a mapping."""
        return next((one for one in self.entries(mapping) if one.key.value == name), None)

    def find(self, key: str) -> tuple[Entry | None, Entry | None]:
        """The group that a key of config.yaml is in, and its own entry; None: there is none.

        Args:
            key: with dots between groups; there is one group at most.
        """
        group_name, _, name = key.rpartition(".")
        if not group_name:
            return None, self.entry(self.root, name)
        group = self.entry(self.root, group_name)
        if group is None or not isinstance(group.value, yaml.MappingNode):
            return group, None
        return group, self.entry(group.value, name)

    def extent(self, node: yaml.Node) -> int:
        """Where the last character of a node is followed by the next one, comments being none of its own."""
        end = int(node.end_mark.index)
        if isinstance(node, yaml.CollectionNode):
            if node.flow_style or not node.value:
                return end
            last = node.value[-1]
            key, value = last if isinstance(last, tuple) else (last, last)
            alias = self._aliases.get(id(key))
            return alias.end if alias else self.extent(value)
        if isinstance(node, yaml.ScalarNode) and node.style in ("|", ">"):  # it ends where the next thing begins
            return self._inner(node) + len(self.text[self._inner(node) : end].rstrip())
        return end

    def _inner(self, node: yaml.Node) -> int:
        """Where a value begins behind its anchor and its tag."""
        at, end = int(node.start_mark.index), int(node.end_mark.index)
        while at < end and self.text[at] in "&!" and (match := _PROPERTY.match(self.text, at)):
            at = match.end()
        return min(at, end)

    # -- lines -------------------------------------------------------------------------------------------------------

    def line_start(self, at: int) -> int:
        """Where the line begins that a place is in."""
        breaks = list(BREAK.finditer(self.text, 0, at))
        return breaks[-1].end() if breaks else 0

    def line_end(self, at: int) -> int:
        """Where its break stands, or the end of the text."""
        match = BREAK.search(self.text, at)
        return match.start() if match else len(self.text)

    def next_line(self, at: int) -> int:
        """Where the line after it begins, or the end of the text."""
        match = BREAK.search(self.text, at)
        return match.end() if match else len(self.text)

    def column(self, at: int) -> int:
        """So many characters stand before it in its line, the mark of the text's encoding not counted."""
        before = self.text[self.line_start(at) : at]
        return len(before.removeprefix("\ufeff"))


class _Loader(yaml.SafeLoader):
    """Notes where aliases stand: in the tree there is only what they mean."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.aliases: dict[int, Span] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        # Of an entry of a mapping the index is its key; of an item of a list it is a number.
        if isinstance(event, yaml.AliasEvent) and isinstance(index, yaml.Node):
            start, end = event.start_mark, event.end_mark
            assert start is not None
            assert end is not None
            self.aliases[id(index)] = Span(start.index, end.index)
        return super().compose_node(parent, index)


def read(text: str) -> Document:
    """A text as a tree.

    Args:
        text: of a size that is bounded.

    Raises:
        Unreadable: it is no YAML, or something else than a mapping.
    """
    try:
        loader = _Loader(text)
        try:
            root = loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        raise Unreadable(str(error.problem or error)) from None
    except RecursionError:
        raise Unreadable("it is nested too deeply") from None
    except Exception as error:  # beside YAMLError the reader lets pass what it stumbles over
        raise Unreadable(str(error)) from None
    if root is None or root.tag == _NULL:
        return Document(text, None, {})
    if not isinstance(root, yaml.MappingNode):
        raise Unreadable("it is no mapping of settings")
    return Document(text, root, loader.aliases)
