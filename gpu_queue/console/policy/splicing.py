"""One setting of a config.yaml changed in its text; all other bytes stay.  Pure.

How a change can be written is guessed, and each guess is read as agents read it: it counts only if the setting then
means what was meant, and every other one what it meant before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from gpu_queue.config import Config, Setting, parse_config
from gpu_queue.config.kinds import ListOf
from gpu_queue.config.labels import GROUPS
from gpu_queue.config.table import ENABLED
from gpu_queue.console.policy import listing, spelling
from gpu_queue.console.policy.edits import Edit, applied
from gpu_queue.console.policy.marks import BREAK, Document, Entry, Unreadable, read
from gpu_queue.console.policy.values import shown

NAME = "config.yaml"
_GROUP_OF = {label.key: group.name for group in GROUPS for label in group.labels}
_ORDER = {label.key: at for at, label in enumerate(label for group in GROUPS for label in group.labels)}


class Unchangeable(ValueError):
    """A setting that cannot be changed without anything else of the text; ``code`` is for programs."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def change(text: str, row: Setting, wanted: str | None) -> str:
    """The text with one setting changed.

    Args:
        text: of a config.yaml.
        row: the setting.
        wanted: its value, as a flag would say it; None: the default, by no line for it.  What is no value of it is
            written all the same, for the reader to tell what is wrong.

    Raises:
        Unchangeable: it cannot be done so.
    """
    try:
        document = read(text)
    except Unreadable as error:
        detail = f"{NAME} is no YAML that can be changed by fields ({error}); edit it as text"
        raise Unchangeable("no_yaml", detail) from None
    group, entry = document.find(row.key)
    name = row.key.rpartition(".")[2]
    if entry is None and name == ENABLED and group is not None and isinstance(group.value, yaml.ScalarNode):
        group, entry = None, group  # the group as that one value
    if wanted is None and entry is None:
        return text
    if entry is None:
        assert wanted is not None
        guesses = _added(document, group, row, wanted)
    elif wanted is None:
        guesses = _removed(document, group, entry)
    else:
        guesses = _replaced(document, entry, row, wanted)
    before = _parse(text)
    for edits in guesses:
        made = applied(text, edits)
        if made is not None and _is_right(before, made, row, wanted):
            return made
    where = f"line {entry.line}" if entry is not None else "this text"
    detail = f"{row.key} in {where} cannot be changed without changing what else it says; edit it as text"
    raise Unchangeable("entangled", detail)


def _parse(text: str) -> Config:
    return parse_config(NAME, text.encode("utf-8", "surrogatepass"))


def _is_right(before: Config, made: str, row: Setting, wanted: str | None) -> bool:
    """Whether a new text says what was meant, and of all else what the old one said."""
    after = _parse(made)
    key = row.key
    others = {name: given.value for name, given in before.values.items() if name != key}
    if {name: given.value for name, given in after.values.items() if name != key} != others:
        return False
    if after.broken - {key} != before.broken - {key}:
        return False
    if wanted is None:
        return key not in after.values and key not in after.broken and len(after.problems) <= len(before.problems)
    try:
        value = row.file_kind.from_text(wanted)
    except ValueError:
        return key in after.broken and _says(made, row, wanted)
    return key in after.values and after.values[key].value == value and len(after.problems) <= len(before.problems)


def _says(made: str, row: Setting, wanted: str) -> bool:
    try:
        said = shown(read(made), row)
    except Unreadable:
        return False
    return said is not None and said.text == wanted


# -- another value --------------------------------------------------------------------------------------------------


def _replaced(document: Document, entry: Entry, row: Setting, wanted: str) -> Iterator[list[Edit]]:
    kind = row.file_kind
    span, value = entry.span, entry.value
    if isinstance(value, yaml.SequenceNode) and isinstance(kind, ListOf) and kind.separator and not entry.is_alias:
        yield from listing.changed(document, value, span, listing.entries(kind, wanted))
    old = document.text[span.start : span.end] if isinstance(value, yaml.ScalarNode) else ""
    blank = "" if span.start < span.end else " "  # nothing stands behind the colon
    for one in _spellings(row, wanted, old):
        yield [Edit(span.start, span.end, blank + one)]


def _spellings(row: Setting, wanted: str, old: str = "") -> Iterator[str]:
    is_flag = getattr(row.file_kind, "noun", "") == "flag"
    items = _items(row, wanted)
    if len(items) != 1 and not old:
        yield listing.flow(items)
    yield from spelling.scalar(wanted, old, is_flag=is_flag)
    yield listing.flow(items)


def _items(row: Setting, wanted: str) -> list[str]:
    kind = row.file_kind
    return listing.entries(kind, wanted) if isinstance(kind, ListOf) and kind.separator else [wanted]


# -- no value -------------------------------------------------------------------------------------------------------


def _removed(document: Document, group: Entry | None, entry: Entry) -> Iterator[list[Edit]]:
    text = document.text
    if group is not None and len(entry.mapping.value) == 1:
        yield from _removed(document, None, group)  # a group without settings is none
        return
    start, end = int(entry.key.start_mark.index), max(entry.span.end, int(entry.key.end_mark.index))
    if entry.mapping.flow_style:
        after = len(text) - len(text[end:].lstrip())
        if text[after : after + 1] == ",":
            rest = len(text[after + 1 :]) - len(text[after + 1 :].lstrip(" \t"))
            yield [Edit(start, after + 1 + rest, "")]
        before = len(text[:start].rstrip())
        if text[before - 1 : before] == ",":
            yield [Edit(before - 1, end, "")]
        yield [Edit(start, end, "")]
        return
    line = document.line_start(start)
    if text[line:start].strip(" \ufeff"):
        return  # behind something else: `? key`, or a document's first line
    line += text.startswith("\ufeff", line)
    yield [Edit(line, document.next_line(end), "")]


# -- a new key ------------------------------------------------------------------------------------------------------


def _added(document: Document, group: Entry | None, row: Setting, wanted: str) -> Iterator[list[Edit]]:
    group_name, _, name = row.key.rpartition(".")
    for value in _spellings(row, wanted):
        if not group_name:
            yield from _into(document, document.root, row, [f"{name}: {value}"], f"{name}: {value}")
        elif group is None:
            lines = [f"{group_name}:", f"{_step(document)}{name}: {value}"]
            yield from _into(document, document.root, row, lines, f"{group_name}: {{{name}: {value}}}")
        elif isinstance(group.value, yaml.MappingNode):
            yield from _into(document, group.value, row, [f"{name}: {value}"], f"{name}: {value}")
        elif isinstance(group.value, yaml.ScalarNode) and not group.is_alias:
            yield from _opened(document, group, f"{name}: {value}")


def _opened(document: Document, group: Entry, said: str) -> Iterator[list[Edit]]:
    """A group that stands there as one value (``keepalive: off``), or as nothing, becomes a mapping."""
    text, span = document.text, group.span
    raw = text[span.start : span.end]
    if group.mapping.flow_style:
        inner = f"{ENABLED}: {raw}, {said}" if raw else said
        yield [Edit(span.start, span.end, f"{'' if raw else ' '}{{{inner}}}")]
        return
    indent = " " * document.column(int(group.key.start_mark.index)) + _step(document)
    lines = [f"{indent}{ENABLED}: {raw}", f"{indent}{said}"] if raw else [f"{indent}{said}"]
    end = document.line_end(span.end)
    added = "".join(document.newline + line for line in lines)
    blanks = len(text[: span.start]) - len(text[: span.start].rstrip(" \t"))
    if raw:
        yield [Edit(span.start - blanks, span.end, ""), Edit(end, end, added)]
    else:
        yield [Edit(end, end, added)]


def _into(
    document: Document, mapping: yaml.MappingNode | None, row: Setting, lines: list[str], in_flow: str
) -> Iterator[list[Edit]]:
    """A new entry of a mapping, behind the last one that belongs to it."""
    entries = list(document.entries(mapping))
    if mapping is None:
        yield from _at_the_end(document, lines)
        return
    if not entries:
        inside = int(mapping.end_mark.index) - 1
        yield [Edit(inside, inside, in_flow)]
        return
    after = _neighbour(document, mapping, entries, row)
    end = max(after.span.end, int(after.key.end_mark.index))
    if mapping.flow_style:
        yield [Edit(end, end, f", {in_flow}")]
        return
    indent = " " * document.column(int(entries[0].key.start_mark.index))
    at = document.line_end(end)
    yield [Edit(at, at, "".join(f"{document.newline}{indent}{line}" for line in lines))]


def _neighbour(document: Document, mapping: yaml.MappingNode, entries: list[Entry], row: Setting) -> Entry:
    """Behind which entry a setting is put: the last of its group that comes before it in the pages, else its last."""
    group = _GROUP_OF[row.key]
    is_root = mapping is document.root
    prefix = "" if is_root else f"{row.key.rpartition('.')[0]}."

    def group_of(entry: Entry) -> str:
        key = prefix + entry.key.value
        return _GROUP_OF.get(key) or _GROUP_OF.get(f"{key}.{ENABLED}", "")

    akin = [one for one in entries if group_of(one) == group]
    before = [one for one in akin if _ORDER.get(prefix + one.key.value, 0) < _ORDER[row.key]]
    return (before or akin or entries)[-1]


def _at_the_end(document: Document, lines: list[str]) -> Iterator[list[Edit]]:
    """The first setting of a text that says nothing; behind its comments, before the mark of its end."""
    text, newline = document.text, document.newline
    said = newline.join(lines)
    places, at = [len(text)], 0
    while at < len(text):
        if text.startswith("...", at):
            places.insert(0, at)
        elif text.startswith("---", at):
            places.append(document.next_line(at))
        at = document.next_line(at)
    for at in places:
        is_fresh = at == 0 or BREAK.fullmatch(text[at - 1 : at]) is not None or text[:at] == "\ufeff"
        ends = newline if is_fresh or at < len(text) else ""
        yield [Edit(at, at, f"{'' if is_fresh else newline}{said}{ends}")]


def _step(document: Document) -> str:
    """How deep the text indents a group."""
    for entry in document.entries(document.root):
        if isinstance(entry.value, yaml.MappingNode) and not entry.value.flow_style and entry.value.value:
            outer = document.column(int(entry.key.start_mark.index))
            inner = document.column(int(entry.value.value[0][0].start_mark.index))
            return " " * max(1, inner - outer)
    return "  "


@dataclass(frozen=True)
class Changed:
    """What came of several changes."""

    text: str
    refused: dict[str, Unchangeable]
    """Those that could not be made, by their keys."""


def change_all(text: str, rows: dict[str, Setting], wanted: dict[str, str | None]) -> Changed:
    """The text with several settings changed, one after the other.

    Args:
        text: of a config.yaml.
        rows: of the table, by key.
        wanted: values by key, as of :func:`change`.
    """
    refused: dict[str, Unchangeable] = {}
    for key, value in wanted.items():
        try:
            text = change(text, rows[key], value)
        except Unchangeable as error:
            refused[key] = error
    return Changed(text, refused)
