"""The fields of the form: one for each row of the table of settings that config.yaml can hold.  Pure."""

from __future__ import annotations

from gpu_queue.config.kinds import ListOf, ListOfGroups, OrGroup, Scalar
from gpu_queue.config.labels import DEFAULTS_ZH, GROUPS, Label
from gpu_queue.config.table import Setting
from gpu_queue.console.keys import text_of
from gpu_queue.console.models.common import Words
from gpu_queue.console.models.policy import VALUE_MAX, PolicyField, PolicyGroup
from gpu_queue.console.policy.judging import ROWS
from gpu_queue.console.policy.marks import Document, Unreadable, read
from gpu_queue.console.policy.units import UNITS
from gpu_queue.console.policy.values import Shown, shown

_NOTHING = Scalar(str, "text", {})


def groups() -> list[PolicyGroup]:
    """The groups, in the order in which they are shown."""
    return [PolicyGroup(name=one.name, label=Words(en=one.en, zh=one.zh)) for one in GROUPS]


def fields_of(text: str) -> list[PolicyField]:
    """The fields, with what a text says; of one that is no YAML nothing is known."""
    document = _document(text)
    return [
        _field(group.name, label, ROWS[label.key], None if document is None else shown(document, ROWS[label.key]))
        for group in GROUPS
        for label in group.labels
    ]


def said_in(text: str) -> dict[str, str]:
    """What a text says of each setting of which it says something."""
    document = _document(text)
    if document is None:
        return {}
    said = {key: shown(document, row) for key, row in ROWS.items()}
    return {key: one.text for key, one in said.items() if one is not None}


def _document(text: str) -> Document | None:
    try:
        return read(text)
    except Unreadable:
        return None


def _scalar(row: Setting) -> Scalar:
    """The kind of one value, or of each of several."""
    kind = row.file_kind
    if isinstance(kind, ListOf):
        return kind.item
    if isinstance(kind, OrGroup):
        return kind.scalar
    return _NOTHING if isinstance(kind, ListOfGroups) else kind


def _field(group: str, label: Label, row: Setting, said: Shown | None) -> PolicyField:
    one = _scalar(row)
    default = row.shown_default
    return PolicyField(
        key=row.key,
        group=group,
        label=Words(en=label.en, zh=label.zh),
        meaning=Words(en=row.meaning, zh=label.meaning_zh),
        unit=UNITS.get(one.noun, UNITS["text"]),
        type=one.noun,
        is_list=isinstance(row.file_kind, ListOf) and bool(row.file_kind.separator),
        choices=list(one.choices),
        can_be_none=one.takes_nothing,
        value=None if said is None else text_of(said.text, VALUE_MAX),
        is_typed=said is None or (said.is_typed and len(said.text) <= VALUE_MAX and said.text.isprintable()),
        default=Words(en=default, zh=DEFAULTS_ZH.get(default, default)),
        written=None if said is None else said.line,
        when="at_once" if row.live else "next_agent",
        is_guarded=row.guarded,
    )
