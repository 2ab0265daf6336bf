"""What a config.yaml says of a setting, as a form shows it.  Pure."""

from __future__ import annotations

from dataclasses import dataclass

import yaml

from gpu_queue.config import Setting
from gpu_queue.config.kinds import ListOf, OrGroup
from gpu_queue.config.table import ENABLED
from gpu_queue.console.policy import spelling
from gpu_queue.console.policy.marks import Document, Entry

_NULL = "tag:yaml.org,2002:null"


@dataclass(frozen=True)
class Shown:
    """What is said of a setting."""

    text: str
    """As a flag would say it, where a flag could."""
    line: int
    """From 1."""
    is_typed: bool = True
    """False: it is nothing that somebody could type into a field."""


def shown(document: Document, row: Setting) -> Shown | None:
    """What a text says of a setting; None: nothing.

    Args:
        document: the text.
        row: the setting.
    """
    group, entry = document.find(row.key)
    is_whole = row.key.endswith(f".{ENABLED}") and entry is None and group is not None
    if is_whole and group is not None and isinstance(group.value, yaml.ScalarNode):
        entry = group
    if entry is None:
        return None
    text = _text(entry, row)
    return Shown("" if text is None else text, entry.line, text is not None)


def _text(entry: Entry, row: Setting) -> str | None:
    kind, node = row.file_kind, entry.value
    if isinstance(node, yaml.ScalarNode):
        if getattr(kind, "takes_nothing", False) and node.tag == _NULL:
            return "none"
        if getattr(kind, "noun", "") == "flag":
            meant = spelling.is_on(node.value)
            return node.value if meant is None else ("on" if meant else "off")
        if getattr(kind, "noun", "") == "choice" and node.tag.endswith(":bool"):
            return "on" if spelling.is_on(node.value) else "off"
        return str(node.value)
    if isinstance(node, yaml.SequenceNode) and isinstance(kind, ListOf):
        if not all(isinstance(one, yaml.ScalarNode) for one in node.value):
            return None
        return (", " if kind.separator else "; ").join(one.value for one in node.value)
    if isinstance(node, yaml.MappingNode) and isinstance(kind, OrGroup):
        said = {key.value: one.value for key, one in node.value if isinstance(one, yaml.ScalarNode)}
        if len(said) == 1 and len(node.value) == 1:
            name, value = next(iter(said.items()))
            return f"{name}:{value}"
    return None
