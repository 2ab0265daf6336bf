"""Who is told of what, as people write it: labels and events.  Pure.

A label stands for one or several addresses, which only the process that sends knows: nothing here is a secret.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from gpu_queue.errors import BadValue
from gpu_queue.texts import shown

LABEL = r"[A-Za-z][A-Za-z0-9_-]{0,31}"
ENDED, DONE, FAILED = "ended", "done", "failed"
GROUP, GROUP_FAILED = "group", "group-failed"
OF_TASKS = (ENDED, DONE, FAILED, GROUP, GROUP_FAILED)
"""What may be said behind the label of a task."""
OF_OTHERS = (ENDED, FAILED)
"""The same of a queue or a group, which are done when they have ended."""
WISHES_MAX = 8
"""That one may say in one place; of a task two places count, its own and its file's."""
_LABEL = re.compile(LABEL, re.ASCII)
_NOBODY = frozenset(("false", "no", "none", "null", "off", "on", "true", "yes"))
"""Whoever writes that means no label."""


class Wish(NamedTuple):
    """Somebody wants to be told."""

    label: str
    event: str = ""
    """Empty: nothing was said, which is the end; of a task of an array the end of the array."""

    def __str__(self) -> str:
        return f"{self.label}:{self.event}" if self.event else self.label


def is_label(text: str) -> bool:
    """Whether a text can be a label."""
    return _LABEL.fullmatch(text) is not None and text.lower() not in _NOBODY


def parse_wish(text: str, events: tuple[str, ...] = OF_TASKS) -> Wish:
    """``ops`` or ``ops:failed``.

    Args:
        text: this.
        events: that may stand there; none: only a label may.

    Raises:
        BadValue: it is none.
    """
    label, colon, event = text.strip().partition(":")
    if not is_label(label) or (colon and event not in events):
        raise BadValue(f"{shown(text)}; expected {expected(events)}", f"{shown(text)}；应为 {expected_zh(events)}")
    return Wish(label, event)


def parse_wishes(text: str, at_most: int = WISHES_MAX) -> tuple[Wish, ...]:
    """``ops:failed,me`` of a task.

    Args:
        text: this.
        at_most: how many there may be.

    Raises:
        BadValue: it is no such list.
    """
    words = text.split(",")
    if len(words) > at_most:
        english = f"--notify {shown(text)}: more than {at_most}"
        raise BadValue(english, f"--notify {shown(text)}：超过 {at_most} 个")
    try:
        return tuple(dict.fromkeys(parse_wish(word) for word in words))
    except BadValue as wrong:
        raise BadValue(f"--notify {wrong}", f"--notify {wrong.chinese}") from None


def wishes_of(texts: tuple[str, ...]) -> tuple[Wish, ...]:
    """What was parsed before, and written down in texts; what is none is passed over."""
    found = []
    for text in texts[: 2 * WISHES_MAX]:
        try:
            found.append(parse_wish(text))
        except BadValue:
            continue
    return tuple(found)


def expected(events: tuple[str, ...]) -> str:
    """What may be written, for a message."""
    return f"LABEL, or LABEL:EVENT with one of {', '.join(events)}" if events else "LABEL"


def expected_zh(events: tuple[str, ...]) -> str:
    """The same in Chinese."""
    return f"LABEL，或 LABEL:EVENT，EVENT 为 {'、'.join(events)} 之一" if events else "LABEL"


def label_of_variable(name: str) -> str:
    """A label as the name of its variable spells it."""
    return name.upper().replace("-", "_")


def pattern(events: tuple[str, ...]) -> str:
    """A regular expression of one wish, in the notation of JSON schemas, which know no flag for any case."""
    words = ("".join(f"[{one}{one.upper()}]" for one in word) for word in sorted(_NOBODY))
    label = rf"(?!(?:{'|'.join(words)})(?:[,:\s]|$)){LABEL}"
    return rf"{label}(?::(?:{'|'.join(events)}))?" if events else label
