"""Reasons, notes and needs as the wire carries them: each sentence in both languages.  Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast, get_args

from gpu_queue.console.keys import key_of, text_of
from gpu_queue.console.models.common import Note, Param, WhyWaits, Words
from gpu_queue.console.models.tasks import Need
from gpu_queue.console.phrasebook import NOTES
from gpu_queue.phrases import Phrase
from gpu_queue.reasons import Reason
from gpu_queue.sayings import Saying
from gpu_queue.scripts import reading as scripts
from gpu_queue.scripts.reading import Conclusion, Reading
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
    return WhyWaits(node=key_of(node), code=why.code.value, params=_sent(why.params), text=words_of(why))


def _sent(params: Mapping[str, object]) -> dict[str, Param]:
    """Parameters as JSON can hold them."""
    sent: dict[str, Param] = {}
    for name, value in params.items():
        if isinstance(value, (tuple, list)):
            sent[name] = cast("Param", [text_of(one) if isinstance(one, str) else one for one in value])
        else:
            sent[name] = text_of(value) if isinstance(value, str) else cast("Param", value)
    return sent


def both(english: str, chinese: str) -> Words:
    """A sentence in both languages."""
    return Words(en=text_of(english, WORDS_MAX), zh=text_of(chinese, WORDS_MAX))


def filled(phrase: Phrase, params: Mapping[str, object]) -> Words:
    """A sentence with its parameters, in both languages."""
    return both(*phrase.filled(params))


def note(code: str, **params: object) -> Note:
    """Something of ``phrasebook.NOTES`` that is told."""
    return Note(code=code, params=_sent(params), text=filled(NOTES[code], params))


def note_of(said: Saying) -> Note:
    """What the desk said."""
    return Note(code=said.code.value, params=_sent(said.params), text=both(said.english, said.chinese))


def note_of_script(told: scripts.Note) -> Note:
    """What the reader says of a script; with the line that it is about."""
    if not told.line_number:
        return Note(code=told.code, text=both(told.english, told.chinese))
    line = told.line_number
    text = both(f"{text_of(told.english)} (line {line})", f"{text_of(told.chinese)}（第 {line} 行）")
    return Note(code=told.code, params={"line": line}, text=text)


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
