"""Kinds of the settings of ``mode: shared``, and how these must fit each other.  Pure."""

from __future__ import annotations

import re
from enum import Enum
from typing import TypeVar

from gpu_queue.config.kinds import (
    COUNT,
    NUMBER,
    ListOf,
    Member,
    OrGroup,
    Plain,
    Scalar,
    any_case,
    blanks,
    one_of,
    or_text,
    shown,
    text_of,
)
from gpu_queue.sharing import GpuLeft, Mode, Select, Sharing
from gpu_queue.units import LARGEST_BYTES, format_exact_duration, parse_size_bytes

E = TypeVar("E", bound=Enum)
_INDEX_MAX = 9999
_UUID = "(?:GPU|MIG)-[^,\uff0c\\s]{1,96}"


def _named(kinds: type[E]) -> Scalar:
    """One of the values of an enum."""
    words = one_of(*(one.value for one in kinds))
    return Scalar(
        lambda value: kinds(words.parse(value)), words.expected, words.schema, noun="choice", choices=words.choices
    )


def _one_or_more(value: Plain) -> int:
    try:
        count = int(COUNT.parse(value))
    except ValueError:
        count = 0
    if count < 1:
        raise ValueError(f"{shown(value)}; expected {ONE_OR_MORE.expected}")
    return count


def _megabytes(value: Plain) -> int:
    text = text_of(value, MEGABYTES.expected).strip()
    return parse_size_bytes(f"{text}M" if re.fullmatch(NUMBER, text, re.ASCII) else text)


def _card(value: Plain) -> str:
    text = text_of(value, CARD.expected).strip()
    if re.fullmatch(r"[0-9]{1,4}", text, re.ASCII):
        return str(int(text))
    if not re.fullmatch(_UUID, text):
        raise ValueError(f"{shown(value)}; expected {CARD.expected}")
    return text


def _gpu_left(value: Plain) -> GpuLeft:
    text = text_of(value, GPU_LEFT.expected).strip()
    match = re.fullmatch(r"(free:\s*)?([0-9]{1,6})", text, re.ASCII)
    if match is None:
        raise ValueError(f"{shown(value)}; expected {GPU_LEFT.expected}")
    return GpuLeft(int(match[2]), of_free=match[1] is not None)


def _json_file(value: Plain) -> str:
    if isinstance(value, str) and value.strip().lower() in ("", "none", "null"):
        return ""
    if not isinstance(value, str) or not value.endswith(".json"):
        raise ValueError(f"{shown(value)}; expected {JSON_FILE.expected}")
    return value


CHECK_TIME_LEAST_S = 0.1
JSON_FILE = Scalar(
    _json_file,
    "the path of a file whose name ends with .json; or none",
    {"type": ["null", "string"], "pattern": rf"\.json$|{blanks(any_case('none', 'null'))}|{blanks('')}"},
    takes_nothing=True,
)
MODE = _named(Mode)
SELECT = _named(Select)
ONE_OR_MORE = Scalar(
    _one_or_more,
    "a whole number, 1 or more",
    or_text({"type": "integer", "minimum": 1, "maximum": 999_999}, "(?=[0-9]*[1-9])[0-9]{1,6}"),
    noun="count",
)
MEGABYTES = Scalar(
    _megabytes,
    "a size: MB, or for example 8G or 512M",
    or_text(
        {"type": "number", "minimum": 0, "maximum": LARGEST_BYTES >> 20},
        rf"{NUMBER}\s*[kmgtKMGT]?(?:[iI]?[bB])?",
    ),
    noun="megabytes",
)
CARD = Scalar(
    _card,
    "an index or a UUID of a GPU",
    {
        "type": ["integer", "string"],
        "minimum": 0,
        "maximum": _INDEX_MAX,
        "pattern": blanks(rf"[0-9]{{1,4}}|{_UUID}"),
    },
    noun="gpus",
)
CARDS = ListOf(CARD, separator="[,\uff0c]", least=0, collect=lambda cards: tuple(dict.fromkeys(cards)))
_LEFT = "a number of GPUs (the last ones), or free: and a number (of those that are free)"
GPU_LEFT = OrGroup(
    Scalar(
        _gpu_left, _LEFT, or_text({"type": "integer", "minimum": 0, "maximum": 999_999}, r"(?:free:\s*)?[0-9]{1,6}")
    ),
    (Member("free", COUNT, "so many GPUs that are free at the moment stay free", is_required=True),),
    lambda free: GpuLeft(free, of_free=True),
    _LEFT,
)


def sweep_problem(mode: Mode, sweep: str) -> str:
    """Why a node cannot be shared and swept; empty: it is not both."""
    if mode is not Mode.SHARED or sweep == "off":
        return ""
    return (
        "mode is shared, and sweep ends processes on a node whose GPUs are yours alone; "
        "leave sweep out, or set mode: dedicated"
    )


def check_time_problem(sharing: Sharing) -> str:
    """Why cards cannot be looked at so often; empty: they can."""
    if sharing.check_time_s >= CHECK_TIME_LEAST_S:
        return ""
    told, least = format_exact_duration(sharing.check_time_s), format_exact_duration(CHECK_TIME_LEAST_S)
    return f"{told}; each look stalls whoever launches kernels: expected {least} or more"


def no_card_problem(mode: Mode, sharing: Sharing) -> str:
    """Why no card could be given, where somebody has said which; empty: one could."""
    if mode is not Mode.SHARED or sharing.compete_gpus or sharing.use_all_gpus:
        return ""
    return "it names no GPU, so that no task would get one; name some, or set use_all_gpus: true"


def left_problem(mode: Mode, sharing: Sharing, served: tuple[str, ...]) -> str:
    """Why none of the cards that were named would be ours; empty: some would, or nobody can tell yet.

    Args:
        mode: of the node.
        sharing: with ``gpu_left``.
        served: what ``gpus`` says.
    """
    if mode is not Mode.SHARED or not sharing.gpu_left.cards:
        return ""
    named = () if sharing.use_all_gpus else sharing.compete_gpus
    where = "compete_gpus" if named else "gpus"
    named = named or (() if served == ("all",) else served)
    if not named or sharing.gpu_left.cards < len(named):
        return ""
    return f"{sharing.gpu_left.cards}, where {where} names {len(named)}: no task would get a GPU; expected less"
