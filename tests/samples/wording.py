"""What varies from run to run, made stable; and the shape of a text, which the rest that varies does not change."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

from tests.agent.harness import ROOT
from tests.samples.session import Recording

HOME = "/home/alice"

SUBSTITUTIONS = (
    ("the temporary home directory, which is as long", "/tmp/XXXXXX", HOME),
    ("the clone", "where this file's repository lies", f"{HOME}/gpu-queue"),
    ("the six digits of tasks and tries", "random", "always the same ones, in the order of submission"),
    ("the eight digits of nodes", "a hash of host and boot", "always the same ones"),
    ("the storage of the queue", "(overlay, local, mounted at /tmp)", "(ext4, local, mounted at /)"),
    ("the process of the agent", "(process 4711)", "(process 17570)"),
)
"""What is substituted, from what, to what: for people; ``stable`` does it."""

_STORAGE = re.compile(r"\(\w+(, \w+, )mounted at [^)]*\)")
_STORAGE_ZH = re.compile(r"（\w+，")
_PROCESS = re.compile(r"\b(process|进程) \d+")
_NODE = re.compile(r"\b(node\d+|gpu\d+)-([0-9a-f]{8})\b")
_TRY = re.compile(r"(\.try\d+\.)([0-9a-f]{6})\b")

_SHAPES = (
    (re.compile(r"\b\d+-\d\d-\d\d\b"), "DATE"),
    (re.compile(r"(?<![\w.])(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+(?!\w)"), "TIME"),
    (re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?:[KMGT]i?B?|B)(?!\w)"), "SIZE"),
    (re.compile(r"\d+(?:[.:]\d+)*"), "#"),
    (re.compile(r"[\u2580-\u259f]+"), "▉"),
    (re.compile(r"[^\S\n]+"), " "),
)


def stable(text: str, recording: Recording) -> str:
    """A text of a recording with what varies made stable."""
    text = text.replace(recording.home, HOME).replace(str(ROOT), f"{HOME}/gpu-queue")
    fixed = dict(zip(recording.nonces, _digits("task", 6), strict=False))
    for nonce, always in fixed.items():
        text = re.sub(rf"(?<![0-9a-f]){nonce}(?![0-9a-f])", always, text)
    text = _NODE.sub(lambda found: f"{found[1]}-{_digest(found[1], 8)}", text)
    text = _TRY.sub(lambda found: f"{found[1]}{_digest(found[1] + text[: found.start()][-12:], 6)}", text)
    text = _STORAGE.sub(r"(ext4\1mounted at /)", text)
    return _PROCESS.sub(r"\1 17570", text)


def shape(text: str) -> str:
    """What stays when times, sizes, numbers and the widths of columns do not count."""
    for pattern, instead in _SHAPES:
        text = pattern.sub(instead, text)
    return "\n".join(line.strip() for line in text.splitlines())


def _digits(what: str, count: int) -> Iterator[str]:
    number = 0
    while True:
        number += 1
        yield _digest(f"{what} {number}", count)


def _digest(text: str, count: int) -> str:
    """Digits that look like random ones: at least one letter, so that none is taken for a number."""
    digits = hashlib.sha256(text.encode()).hexdigest()
    begin = next(at for at in range(len(digits)) if re.search("[a-f]", digits[at : at + count]))
    return digits[begin : begin + count]
