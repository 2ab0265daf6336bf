"""Kinds of single values: how one is checked, what is said of one that is none, how a JSON schema tells it.  Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gpu_queue import notices
from gpu_queue.experiments.specs.templates import IDENTIFIER
from gpu_queue.scripts.directives import MAX_GPUS, MAX_NODES, nodes_of, parse_gpu_count, queue_name, retries_of
from gpu_queue.signals import parse_signal
from gpu_queue.units import LARGEST_BYTES, LONGEST_S, parse_duration_s, parse_size_bytes

NAME_MAX_BYTES = 100
PATH_MAX_BYTES = 4000
_TRUTHS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_SMALLEST_BYTES = 1 << 20
"""A number without a unit is one of bytes: below this nobody means it."""


@dataclass(frozen=True)
class Kind:
    """A single value."""

    check: Callable[[str], object]
    """Raises ValueError where the text is none."""
    expected: str
    schema: Mapping[str, Any]
    """Of what may stand there beside a template."""


def _memory(text: str) -> None:
    size_bytes = parse_size_bytes(text)
    if size_bytes < _SMALLEST_BYTES:
        raise ValueError


def _time(text: str) -> None:
    if parse_duration_s(text) <= 0:
        raise ValueError


def _priority(text: str) -> None:
    if not re.fullmatch(r"\d{1,3}", text.strip(), re.ASCII):
        raise ValueError


def is_name(text: str) -> bool:
    """Whether a run, a job or a group may be called so: it becomes the name of a file."""
    return text[:1] not in ("", ".", "-") and "/" not in text and text.isprintable() and _fits(text, NAME_MAX_BYTES)


def _fits(text: str, most_bytes: int) -> bool:
    return len(text.encode("utf-8", "surrogateescape")) <= most_bytes


def _name(text: str) -> None:
    if not is_name(text):
        raise ValueError


VARIABLE = re.compile(r"\$\{?[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
"""``$HOME``, which is a shell's alone."""


def _path(text: str) -> None:
    is_of_another = text[:1] == "~" and text[1:2] not in ("", "/")
    if (
        not text
        or is_of_another
        or text.lower() in _TRUTHS
        or VARIABLE.search(text)
        or not text.isprintable()
        or not _fits(text, PATH_MAX_BYTES)
    ):
        raise ValueError


def truth(text: str) -> bool:
    """What a flag says.

    Raises:
        ValueError: it says nothing.
    """
    if text.lower() not in _TRUTHS:
        raise ValueError
    return _TRUTHS[text.lower()]


def _text(*patterns: str) -> Mapping[str, Any]:
    return {"type": "string", "pattern": f"^\\s*(?:{'|'.join(patterns)})\\s*$"}


def _several(pattern: str) -> str:
    return rf"{pattern}(?:\s*,\s*{pattern}){{0,{notices.WISHES_MAX - 1}}}"


def group_wishes(text: str) -> str:
    """What ``notify`` of a file says, as each of its tasks says it: ``ops:failed`` is ``ops:group-failed``.

    Raises:
        ValueError: it is no such list.
    """
    words = text.split(",")
    if len(words) > notices.WISHES_MAX:
        raise ValueError
    wishes = [notices.parse_wish(word, notices.OF_OTHERS) for word in words]
    events = {notices.FAILED: notices.GROUP_FAILED}
    return ",".join(f"{one.label}:{events.get(one.event, notices.GROUP)}" for one in wishes)


TEMPLATED: Mapping[str, Any] = {"type": "string", "pattern": rf"\{{{IDENTIFIER}(?:\|[^{{}}]*)?\}}"}
"""A text that has a template in it: what comes of it a schema does not know."""

_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
GPUS = Kind(
    parse_gpu_count,
    f"N or N-M, for example 2 or 1-4, with M <= {MAX_GPUS}",
    {"anyOf": [{"type": "integer", "minimum": 0, "maximum": MAX_GPUS}, _text("[0-9]{1,4}(?:-[0-9]{1,4})?")]},
)
NODES = Kind(
    nodes_of,
    f"a whole number, 1 to {MAX_NODES}",
    {"anyOf": [{"type": "integer", "minimum": 1, "maximum": MAX_NODES}, _text(r"(?!0+\s*$)[0-9]{1,4}")]},
)
MEMORY = Kind(
    _memory,
    "a size with its unit, for example 20G or 512M",
    {
        "anyOf": [
            {"type": "integer", "minimum": _SMALLEST_BYTES, "maximum": LARGEST_BYTES},
            _text(rf"{_NUMBER}\s*[kmgtKMGT]?(?:[iI]?[bB])?"),
        ]
    },
)
TIME = Kind(
    _time,
    "a time longer than 0 s: seconds, or for example 90s, 30m, 4h or 1d12h",
    {
        "anyOf": [
            {"type": "number", "exclusiveMinimum": 0, "maximum": LONGEST_S},
            _text(rf"(?=[^1-9]*[1-9])(?:{_NUMBER}|(?:{_NUMBER}[dhmsDHMS])+)"),
        ]
    },
)
RETRIES = Kind(
    retries_of,
    "a whole number, 0 to 9999",
    {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 9999}, _text("[0-9]{1,4}")]},
)
SIGNAL = Kind(
    parse_signal,
    "a signal and how many seconds before the end, for example USR1@120 or all:USR2@90",
    {"anyOf": [_text("(?:(?:all|B):)?[A-Za-z0-9]{1,12}(?:@[0-9]{1,5})?")]},
)
PRIORITY = Kind(
    _priority,
    "0 to 999, smaller runs first",
    {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 999}, _text("[0-9]{1,3}")]},
)
QUEUE = Kind(
    queue_name,
    "up to 64 of A-Z a-z 0-9 . _ + -, with no . first",
    {
        "anyOf": [
            {"type": ["number", "boolean"]},
            {"type": "string", "pattern": "^[A-Za-z0-9_+-][A-Za-z0-9._+-]{0,63}$"},
        ]
    },
)
NOTIFY = Kind(
    notices.parse_wishes,
    f"{notices.expected(notices.OF_TASKS)}; several with commas",
    {"anyOf": [_text(_several(notices.pattern(notices.OF_TASKS)))]},
)
NOTIFY_OF_ALL = Kind(
    group_wishes,
    f"{notices.expected(notices.OF_OTHERS)}; several with commas",
    {"anyOf": [_text(_several(notices.pattern(notices.OF_OTHERS)))]},
)
NAME = Kind(
    _name,
    f"at most {NAME_MAX_BYTES} bytes without /, and no . or - first",
    {
        "anyOf": [
            {"type": ["number", "boolean"]},
            {
                "type": "string",
                "pattern": "^[^./\\x00-\\x1f\\x7f-][^/\\x00-\\x1f\\x7f]*$",
                "maxLength": NAME_MAX_BYTES,
            },
        ]
    },
)
PATH = Kind(
    _path,
    "a path without $, from the file's directory if it does not begin with / or ~/",
    {
        "anyOf": [
            {"type": ["string", "number"], "minLength": 1, "not": {"type": "string", "pattern": VARIABLE.pattern}}
        ]
    },
)
FLAG = Kind(truth, "true or false", {"anyOf": [{"enum": [True, False, "true", "false", "yes", "no", "on", "off"]}]})


def within(directory: str, path: str, home: str) -> str:
    """A path of the file, from the root.

    Args:
        directory: of the file.
        path: as it is written.
        home: what ``~`` means.
    """
    if path == "~" or path.startswith("~/"):
        path = f"{home}{path[1:]}"
    return posixpath.normpath(posixpath.join(directory, path))
