"""A list in a config.yaml with other items: those that stay keep their places, comments and quotes.  Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import yaml

from gpu_queue.config.kinds import ListOf
from gpu_queue.console.policy import spelling
from gpu_queue.console.policy.edits import Edit
from gpu_queue.console.policy.marks import Document, Span


def entries(kind: ListOf, wanted: str) -> list[str]:
    """The items that somebody typed."""
    return [str(one).strip() for one in kind.entries(wanted)] if wanted.strip() else []


def flow(items: Sequence[str]) -> str:
    """A list in one line."""
    return f"[{', '.join(_spelled(one) for one in items)}]"


def _spelled(item: str, old: str = "") -> str:
    is_plain = item and not set(item) & set("[]{},#&*!|>'\"%@`: ")
    return next(spelling.scalar(item, old)) if is_plain or old[:1] in ("'", '"') else spelling.quoted(item)


def changed(document: Document, node: yaml.SequenceNode, span: Span, items: Sequence[str]) -> Iterator[list[Edit]]:
    """Ways to have a list hold other items.

    Args:
        document: in which it stands.
        node: the list.
        span: where.
        items: what it is to hold.
    """
    old = [one for one in node.value if isinstance(one, yaml.ScalarNode)]
    if old and items and len(old) == len(node.value):
        yield _in_place(document, node, old, items)
    if not node.flow_style:
        end = document.extent(node)
        yield [Edit(span.start, end, flow(items))]
    yield [Edit(span.start, span.end, flow(items))]


def _in_place(
    document: Document, node: yaml.SequenceNode, old: Sequence[yaml.ScalarNode], items: Sequence[str]
) -> list[Edit]:
    text = document.text
    edits = []
    for one, item in zip(old, items, strict=False):
        if one.value != item:
            start, end = int(one.start_mark.index), int(one.end_mark.index)
            edits.append(Edit(start, end, _spelled(item, text[start:end])))
    kept = int(old[min(len(old), len(items)) - 1].end_mark.index)
    added = [_spelled(one) for one in items[len(old) :]]
    if len(items) < len(old):
        end = int(old[-1].end_mark.index)
        if node.flow_style:
            edits.append(Edit(kept, end, ""))
        else:
            edits.append(Edit(document.line_end(kept), document.line_end(end), ""))
    elif added and node.flow_style:
        edits.append(Edit(kept, kept, "".join(f", {one}" for one in added)))
    elif added:
        dash = document.newline + " " * document.column(int(node.start_mark.index)) + "- "
        at = document.line_end(kept)
        edits.append(Edit(at, at, "".join(dash + one for one in added)))
    return edits
