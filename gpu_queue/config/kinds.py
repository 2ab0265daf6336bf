"""Kinds of values: how one is read, what is said of one that is none, and how a JSON schema tells it.  Pure.

A flag and an environment variable are text; a scalar of config.yaml is text, a number or a truth value.  All of them
meet in the one parser of their kind.  The schema is as strict as the parser, but for what a pattern cannot tell (the
hundred years of a time).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gpu_queue import texts
from gpu_queue.hours import DAYS, GROUPS, LONG_DAYS, NO_HOURS, QuietHours, parse_quiet_hours
from gpu_queue.units import LARGEST_BYTES, LONGEST_S, parse_duration_s, parse_size_bytes

Plain = str | int | float | bool
"""What a scalar may be."""
FRACTION_MAX = 0.95
UID_MAX = 2**32 - 2
_WORDS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
_NO_HOURS = ("none", "off", "never")


def shown(value: object) -> str:
    """A value for a message, spelt as YAML does."""
    if isinstance(value, bool):
        return str(value).lower()
    return texts.shown(value)


@dataclass(frozen=True)
class Scalar:
    """A single value."""

    parse: Callable[[Plain], Any]
    """Raises ValueError; the message shows the value and says what was expected."""
    expected: str
    schema: Mapping[str, Any]
    takes_nothing: bool = False
    """YAML's null is a value of it; the parser gets it as the word ``none``."""
    noun: str = "text"
    """What it is, in a word, for whoever makes a field of a form of it; ``flag``, ``choice``, ``count`` and so on."""
    choices: tuple[str, ...] = ()
    """All that it can be, where that is one of a few words."""

    def from_text(self, text: str) -> Any:
        """The value that a flag or variable gives; raises ValueError."""
        return self.parse(text)


@dataclass(frozen=True)
class ListOf:
    """Several values of one kind; one alone needs no list."""

    item: Scalar
    separator: str = ""
    """What stands between the entries of a text; empty: a text is one entry."""
    least: int = 1
    collect: Callable[[tuple[Any, ...]], Any] = tuple

    @property
    def expected(self) -> str:
        """What messages say was expected."""
        return f"{self.item.expected}, or a list of such"

    def entries(self, value: Plain) -> list[Plain]:
        """The entries of a scalar."""
        if not isinstance(value, str) or not self.separator:
            return [value]
        text = value.strip()
        return list(re.split(self.separator, text)) if text or self.least else []

    def from_text(self, text: str) -> Any:
        """The values that a flag or variable gives; raises ValueError."""
        return self.collect(tuple(self.item.parse(entry) for entry in self.entries(text)))

    @property
    def schema(self) -> Mapping[str, Any]:
        """One value, a text of several, or a list."""
        several = {"type": "array", "minItems": self.least, "items": self.item.schema}
        if not self.separator:
            return {"anyOf": [self.item.schema, several]}
        one = _pattern_of(self.item.schema)
        empty = "" if self.least else "?"
        text = {"type": "string", "pattern": rf"^\s*(?:{one}(?:{self.separator}{one})*){empty}\s*$"}
        return {"anyOf": [self.item.schema, text, several]}


@dataclass(frozen=True)
class Member:
    """One key of each mapping in a list."""

    key: str
    kind: Kind
    meaning: str
    is_required: bool = False


@dataclass(frozen=True)
class ListOfGroups:
    """A list of mappings that all have the same keys; only config.yaml can hold it."""

    members: tuple[Member, ...]
    make: Callable[..., Any]
    """From the values that were given, by their keys; raises ValueError if they do not fit each other."""
    expected: str = "a list of groups"

    def from_text(self, text: str) -> Any:
        """Never: raises ValueError."""
        raise ValueError(f"{shown(text)}; expected {self.expected}, which only config.yaml can hold")

    @property
    def schema(self) -> Mapping[str, Any]:
        """A list of objects."""
        return {"type": "array", "items": group_schema(self.members)}


@dataclass(frozen=True)
class OrGroup:
    """A single value; or, in config.yaml, a mapping."""

    scalar: Scalar
    members: tuple[Member, ...]
    make: Callable[..., Any]
    """From the values that the mapping gives, by their keys."""
    expected: str

    def from_text(self, text: str) -> Any:
        """The value that a flag or variable gives; raises ValueError."""
        return self.scalar.parse(text)

    @property
    def schema(self) -> Mapping[str, Any]:
        """The value, or an object."""
        return {"anyOf": [self.scalar.schema, group_schema(self.members)]}


def group_schema(members: tuple[Member, ...]) -> Mapping[str, Any]:
    """An object that has these keys."""
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {one.key: {**one.kind.schema, "description": one.meaning} for one in members},
        "required": [one.key for one in members if one.is_required],
    }


Kind = Scalar | ListOf | ListOfGroups | OrGroup


def text_of(value: Plain, expected: str) -> str:
    """A text or number as text, for the parsers that read text; a truth value is none."""
    if isinstance(value, bool):
        raise ValueError(f"{shown(value)}; expected {expected}")
    if isinstance(value, float) and math.isfinite(value):
        return repr(value) if "e" not in repr(value) else f"{value:f}"
    return str(value)


def _pattern_of(schema: Mapping[str, Any]) -> str:
    """The texts that a scalar's schema accepts, to be part of a longer pattern."""
    words = [re.escape(word) for word in schema.get("enum", ()) if isinstance(word, str)]
    patterns = [schema["pattern"].removeprefix("^").removesuffix("$")] if "pattern" in schema else []
    return f"(?:{'|'.join(words + patterns + [_pattern_of(one) for one in schema.get('anyOf', ())]) or '.*'})"


def any_case(*words: str) -> str:
    """A pattern of these words, however they are spelled: JSON schemas know no flag for that."""
    one_by_one = ("".join(f"[{a}{a.upper()}]" if a.isalpha() else re.escape(a) for a in word) for word in words)
    return f"(?:{'|'.join(one_by_one)})"


def blanks(pattern: str) -> str:
    """A pattern of the whole text, with blanks around it."""
    return rf"^\s*(?:{pattern})\s*$"


def _flag(value: Plain) -> bool:
    words = str(value).strip().lower()  # a truth value and a number too
    if words not in _WORDS:
        raise ValueError(f"{shown(value)}; expected true or false")
    return _WORDS[words]


def _sweep(*words: str) -> Scalar:
    """``off``, or one of these words; what a flag may be too: true is ``gpus``."""
    of_truth = {True: "gpus", False: "off"}
    expected = " or ".join(["off", *words])

    def parse(value: Plain) -> str:
        word = str(value).strip().lower()
        word = of_truth[_WORDS[word]] if word in _WORDS else word
        if word not in ("off", *words):
            raise ValueError(f"{shown(value)}; expected {expected}")
        return word

    schema = {"anyOf": [*FLAG.schema["anyOf"], {"type": "string", "pattern": blanks(any_case(*words))}]}
    return Scalar(parse, expected, schema, noun="choice", choices=("off", *words))


def _text(value: Plain) -> str:
    if isinstance(value, (bool, float)):
        raise ValueError(f"{shown(value)}; expected text")
    return str(value)


def _count(value: Plain) -> int:
    text = text_of(value, "a whole number").strip()
    if not re.fullmatch(r"\d{1,6}", text, re.ASCII):
        raise ValueError(f"{shown(value)}; expected a whole number")
    return int(text)


def _at_most_hundred(value: Plain) -> int:
    count = _count(value)
    if count > 100:
        raise ValueError(f"{shown(value)}; expected a whole number, 0 to 100")
    return count


def _uid(value: Plain) -> int:
    text = text_of(value, "a user's number").strip()
    if not re.fullmatch(r"\d{1,10}", text, re.ASCII) or int(text) > UID_MAX:
        raise ValueError(f"{shown(value)}; expected a user's number")
    return int(text)


def _percent(value: Plain) -> int:
    text = text_of(value, PERCENT.expected).strip()
    if not re.fullmatch(r"\d{1,3}", text, re.ASCII) or int(text) > 100:
        raise ValueError(f"{shown(value)}; expected {PERCENT.expected}")
    return int(text)


def _fraction(value: Plain) -> float:
    """``0.6``, ``60%``; 0 holds no memory at all."""
    if not isinstance(value, (str, bool)) and 0 <= value <= FRACTION_MAX:
        return float(value)
    text = text_of(value, FRACTION.expected).strip()
    if re.fullmatch(r"\d{1,3}%", text, re.ASCII) and int(text[:-1]) <= FRACTION_MAX * 100:
        return int(text[:-1]) / 100
    if re.fullmatch(r"\d?\.\d{1,6}|0", text, re.ASCII) and float(text) <= FRACTION_MAX:
        return float(text)
    raise ValueError(f"{shown(value)}; expected {FRACTION.expected}")


def _duration(value: Plain) -> float:
    return parse_duration_s(text_of(value, DURATION.expected))


def _positive(value: Plain) -> float:
    seconds = _duration(value)
    if seconds <= 0:
        raise ValueError(f"{shown(value)}; expected a time longer than 0 s")
    return seconds


def _lifetime(value: Plain) -> float:
    text = text_of(value, LIFETIME.expected)
    if text.strip().lower() == "never" or text.strip() == "0":
        return math.inf
    return parse_duration_s(text)


def _hours(value: Plain) -> float:
    text = text_of(value, HOURS.expected).strip()
    try:
        return _lifetime(text if text == "0" or not re.fullmatch(r"[0-9.]+", text) else f"{text}h")
    except ValueError:
        raise ValueError(f"{shown(value)}; expected {HOURS.expected}") from None


def _size(value: Plain) -> int:
    return parse_size_bytes(text_of(value, SIZE.expected))


def _quiet(value: Plain) -> QuietHours:
    # YAML reads off as a truth value.
    return NO_HOURS if value is False else parse_quiet_hours(text_of(value, QUIET.expected))


def _job_id(value: Plain) -> str:
    text = _text(value)
    if not re.fullmatch(r"[^/\0\n-][^/\0\n]{0,199}", text) or text in (".", ".."):
        raise ValueError(f"{shown(value)}; expected {JOB_ID.expected}")
    return text


def _gpu(value: Plain) -> str:
    text = _text(value).strip()
    if not re.fullmatch(r"[^,\s]{1,100}", text):
        raise ValueError(f"{shown(value)}; expected {GPU.expected}")
    return text


def _merged(hours: tuple[QuietHours, ...]) -> QuietHours:
    spans = dict.fromkeys(span for one in hours for span in one.spans)
    return QuietHours(tuple(spans), "; ".join(one.text for one in hours if one.spans))


def one_of(*words: str) -> Scalar:
    """One of these words; ``on`` and ``off`` may come as the truth values that YAML makes of them."""
    of_truth = {True: "on", False: "off"}

    def parse(value: Plain) -> str:
        word = of_truth[value] if isinstance(value, bool) else value
        if not isinstance(word, str) or word not in words:
            raise ValueError(f"{shown(value)}; expected {' or '.join(words)}")
        return word

    truths = [truth for truth, word in of_truth.items() if word in words]
    return Scalar(parse, " or ".join(words), {"enum": [*words, *truths]}, noun="choice", choices=words)


def or_none(kind: Scalar) -> Scalar:
    """What a kind may be, or nothing: ``null`` in YAML, and ``none`` anywhere."""
    words = ("none", "null")

    def parse(value: Plain) -> Any:
        if isinstance(value, str) and value.strip().lower() in words:
            return None
        try:
            return kind.parse(value)
        except ValueError as error:
            raise ValueError(f"{error}; or none") from None

    nothing = {"type": ["null", "string"], "pattern": blanks(any_case(*words))}
    schema = {"anyOf": [nothing, kind.schema]}
    return Scalar(parse, f"{kind.expected}; or none", schema, takes_nothing=True, noun=kind.noun)


def or_text(number: Mapping[str, Any], pattern: str) -> Mapping[str, Any]:
    """A schema of what is a number, or a text of this pattern."""
    return {"anyOf": [number, {"type": "string", "pattern": blanks(pattern)}]}


NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_TIME = rf"{NUMBER}|(?:{NUMBER}[dhmsDHMS])+"
_MORE_THAN_NOTHING = r"(?=[^1-9]*[1-9])"
_TIME_OF_DAY = r"(?:[01]?[0-9]:[0-5][0-9]|2[0-3]:[0-5][0-9]|24:00)"
_DAY = any_case(*LONG_DAYS, *DAYS)
_DAYS = rf"(?:{any_case(*GROUPS)}|{_DAY}(?:\s*-\s*{_DAY})?)"
_TIMES = rf"{_TIME_OF_DAY}\s*-\s*{_TIME_OF_DAY}"
_ENTRY = rf"\s*(?:{_DAYS}(?:\s*{_TIMES})?|{_TIMES})\s*"
_ENTRIES = rf"(?:{_ENTRY}(?:,(?!\s*$)|[;\n]|$))*"

FLAG = Scalar(
    _flag,
    "true or false",
    or_text({"enum": [True, False, "on", "off", 1, 0]}, any_case(*_WORDS)),
    noun="flag",
)
SWEEP = _sweep("gpus", "all")
SWEEP_IN_FILES = _sweep("gpus")
TEXT = Scalar(_text, "text", {"type": ["string", "integer"]})
COUNT = Scalar(
    _count,
    "a whole number",
    or_text({"type": "integer", "minimum": 0, "maximum": 999_999}, "[0-9]{1,6}"),
    noun="count",
)
UP_TO_HUNDRED = Scalar(
    _at_most_hundred,
    "a whole number, 0 to 100",
    or_text({"type": "integer", "minimum": 0, "maximum": 100}, "0{0,5}[0-9]{1,2}|0{0,3}100"),
    noun="count",
)
"""An index tells of the last hundred tries."""
UID = Scalar(
    _uid,
    "a user's number",
    {"type": ["integer", "string"], "minimum": 0, "maximum": UID_MAX, "pattern": "^[0-9]{1,10}$"},
    noun="uid",
)
PERCENT = Scalar(
    _percent,
    "a percentage, 0 to 100",
    or_text({"type": "integer", "minimum": 0, "maximum": 100}, "0?[0-9]{1,2}|100"),
    noun="percent",
)
FRACTION = Scalar(
    _fraction,
    f"a part of the memory from 0 to {FRACTION_MAX}, for example 0.6",
    or_text(
        {"type": "number", "minimum": 0, "maximum": FRACTION_MAX},
        r"0|0?\.(?:[0-8][0-9]{0,5}|9|9[0-4][0-9]{0,4}|950{0,4})|(?:0{0,2}[0-9]|0?[1-8][0-9]|0?9[0-5])%",
    ),
    noun="part",
)
DURATION = Scalar(
    _duration,
    "a time: seconds, or for example 90s, 30m, 4h or 1d12h",
    or_text({"type": "number", "minimum": 0, "maximum": LONGEST_S}, _TIME),
    noun="time",
)
POSITIVE = Scalar(
    _positive,
    f"{DURATION.expected}; longer than 0 s",
    or_text({"type": "number", "exclusiveMinimum": 0, "maximum": LONGEST_S}, f"{_MORE_THAN_NOTHING}(?:{_TIME})"),
    noun="time",
)
LIFETIME = Scalar(
    _lifetime,
    f"{DURATION.expected}; or never",
    or_text({"type": "number", "minimum": 0, "maximum": LONGEST_S}, f"{_TIME}|{any_case('never')}"),
    noun="lifetime",
)
HOURS = Scalar(
    _hours,
    "hours, for example 24 or 0.5",
    or_text({"type": "number", "minimum": 0, "maximum": LONGEST_S / 3600}, f"{_TIME}|{any_case('never')}"),
    noun="hours",
)
SIZE = Scalar(
    _size,
    "a size: bytes, or for example 20G or 512M",
    or_text({"type": "number", "minimum": 0, "maximum": LARGEST_BYTES}, rf"{NUMBER}\s*[kmgtKMGT]?(?:[iI]?[bB])?"),
    noun="size",
)
QUIET = Scalar(
    _quiet,
    "hours, for example 22:00-07:00, or mon-fri 09:00-18:00; sat,sun",
    or_text({"const": False}, rf"{any_case(*_NO_HOURS)}|{_ENTRIES}"),
    noun="quiet_hours",
)
JOB_ID = Scalar(_job_id, "a name without / that does not begin with -", {"type": "string"})
GPU = Scalar(
    _gpu,
    "all, or indices and UUIDs of GPUs",
    {"type": ["integer", "string"], "pattern": r"^\s*[^,\s]{1,100}\s*$"},
    noun="gpus",
)
GPUS = ListOf(GPU, separator=",")
UIDS = ListOf(UID, separator=r"[,\s]+", least=0)
QUIET_HOURS = ListOf(QUIET, least=0, collect=_merged)
