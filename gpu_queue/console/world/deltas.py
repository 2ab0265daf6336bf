"""What changed between two documents, and the last changes: JSON merge patches (RFC 7396).  Pure."""

from __future__ import annotations

import json
import secrets
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

RING_MAX = 256
RING_BYTES = 2 << 20


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """The merge patch that makes one document of the other.

    Null means absent in such a patch, so a field that became null is one that its reader finds missing; a list comes
    whole.

    >>> difference({"a": 1, "b": {"c": 2, "d": 3}}, {"a": 1, "b": {"c": 4}})
    {'b': {'c': 4, 'd': None}}
    """
    patch: dict[str, Any] = {}
    for name, value in after.items():
        old = before.get(name)
        if isinstance(value, Mapping) and isinstance(old, Mapping):
            inner = difference(old, value)
            if inner:
                patch[name] = inner
        elif value != old or type(value) is not type(old):
            if isinstance(value, Mapping):
                patch[name] = without_nulls(value)
            else:
                patch[name] = value
    patch.update(dict.fromkeys((name for name in before if name not in after and before[name] is not None), None))
    return patch


def without_nulls(value: Any) -> Any:
    """A document without its fields that are null: for its readers they are missing."""
    if isinstance(value, Mapping):
        return {name: without_nulls(one) for name, one in value.items() if one is not None}
    return value


def patched(document: Any, patch: Any) -> Any:
    """What RFC 7396 makes of a document: what the page does with a delta."""
    if not isinstance(patch, Mapping):
        return patch
    made = dict(document) if isinstance(document, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            made.pop(name, None)
        else:
            made[name] = patched(made.get(name), value)
    return made


@dataclass(frozen=True)
class Message:
    """An event of a stream."""

    number: int
    event: str
    data: bytes
    """JSON, one line."""

    def encoded(self, epoch: str) -> bytes:
        """As server-sent events carry it."""
        return b"event: %s\nid: %s-%d\ndata: %s\n\n" % (self.event.encode(), epoch.encode(), self.number, self.data)


class Ring:
    """A document, and its last changes: whoever has seen one of those goes on from there."""

    def __init__(self, epoch: str = "") -> None:
        self.epoch = epoch or secrets.token_hex(4)
        """Names this ring: numbers of another one mean nothing here."""
        self.number = 0
        self.document: dict[str, Any] = {}
        self._messages: deque[Message] = deque()
        self._bytes = 0

    @property
    def id(self) -> str:
        """Of the document as it is."""
        return f"{self.epoch}-{self.number}"

    def put(self, document: dict[str, Any], now_s: float) -> bool:
        """Another version of the document; False: it is the same."""
        patch = difference(self.document, document)
        if not patch and self.document:
            return False
        self.document = document
        self._add("delta", {"id": f"{self.epoch}-{self.number + 1}", "now_s": now_s, "patch": patch})
        return True

    def say(self, event: str, value: Mapping[str, Any]) -> None:
        """Something that is told once."""
        self._add(event, value)

    def since(self, number: int) -> list[Message] | None:
        """What came after a message; None: that is too long ago."""
        if number == self.number:
            return []
        first = self._messages[0].number if self._messages else self.number + 1
        if not first - 1 <= number < self.number:
            return None
        return [one for one in self._messages if one.number > number]

    def _add(self, event: str, value: Mapping[str, Any]) -> None:
        self.number += 1
        message = Message(self.number, event, encode(value))
        self._messages.append(message)
        self._bytes += len(message.data)
        while len(self._messages) > RING_MAX or (self._bytes > RING_BYTES and self._messages):
            self._bytes -= len(self._messages.popleft().data)


def parse_id(text: str, epoch: str) -> int | None:
    """The number that an id of this epoch names; None: it is of another one, or none at all."""
    before, dash, number = text.rpartition("-")
    if not dash or before != epoch or not (number.isascii() and number.isdigit()) or len(number) > 15:
        return None
    return int(number)


def encode(value: object) -> bytes:
    """JSON on one line; a half of a surrogate pair, which is no text, comes as a question mark."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8", "replace")
