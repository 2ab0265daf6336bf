"""Reasons and needs as the wire carries them.  Pure."""

from __future__ import annotations

from typing import cast, get_args

from gpu_queue.console.keys import key_of, text_of
from gpu_queue.console.models.common import Param, WhyWaits, Words
from gpu_queue.console.models.tasks import Need
from gpu_queue.reasons import Reason
from gpu_queue.scripts.reading import Conclusion, Note, Reading
from gpu_queue.words import in_words

SOURCES = {
    "gpuq": "#GPUQ",
    "sbatch": "#SBATCH",
    "pbs": "#PBS",
    "bsub": "#BSUB",
    "sge": "#$",
    "oar": "#OAR",
    "cuda_visible_devices": "CUDA_VISIBLE_DEVICES",
}
"""Rules of the reader as people know them; others are the names of options."""
NEEDS = frozenset(get_args(Need.model_fields["name"].annotation))
VALUE_MAX = 300
WORDS_MAX = 2000
"""Of a reason: it may name ten tasks."""


def words_of(why: Reason) -> Words:
    """A reason in both languages."""
    return Words(en=text_of(in_words(why), WORDS_MAX), zh=text_of(in_words(why, "zh"), WORDS_MAX))


def why_waits(node: str, why: Reason) -> WhyWaits:
    """Why a task does not start on a node; the empty name stands for all of them."""
    params: dict[str, Param] = {}
    for name, value in why.params.items():
        if isinstance(value, tuple):
            params[name] = cast("Param", [text_of(one) if isinstance(one, str) else one for one in value])
        else:
            params[name] = text_of(value) if isinstance(value, str) else value
    return WhyWaits(node=key_of(node), code=why.code.value, params=params, text=words_of(why))


def note_of(note: Note) -> Words:
    """What the reader says of a script; with the line that it is about."""
    line = f" (line {note.line_number})" if note.line_number else ""
    line_zh = f"（第 {note.line_number} 行）" if note.line_number else ""
    return Words(en=text_of(note.english) + line, zh=text_of(note.chinese) + line_zh)


def need_of(one: Conclusion, *, given: str = "gpu_submit") -> Need | None:
    """One thing that a script asks for; None: nothing that people are shown.

    Args:
        one: what the reader concluded.
        given: how what was said beside the script is called.
    """
    name = "cwd" if one.what == "chdir" else one.what
    if name not in NEEDS:
        return None
    source = given if one.source == "gpu_submit" else SOURCES.get(one.source, one.source)
    return Need.model_validate(
        {"name": name, "value": text_of(one.value, VALUE_MAX), "source": source, "line": one.line_number or None}
    )


def needs_of(reading: Reading, *, given: str = "gpu_submit") -> list[Need]:
    """All that a script asks for, each with where that is said.

    Args:
        reading: of the script.
        given: how what was said beside the script is called.
    """
    return [need for one in reading.conclusions if (need := need_of(one, given=given)) is not None]
