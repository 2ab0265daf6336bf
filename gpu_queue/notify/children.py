"""Starts the program that delivers, and ends it when its time is over."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from gpu_queue.notify import deliver

_PROGRAM = os.path.abspath(deliver.__file__)
_MORE_S = 5.0
"""It ends itself earlier."""


@dataclass(frozen=True)
class Message:
    """What is sent."""

    title: str
    body: str
    failed: bool = False


@dataclass(frozen=True)
class Delivery:
    """What came of the messages of one label."""

    words: tuple[str, ...]
    """Of each, as :mod:`gpu_queue.notify.deliver` has them."""
    refused: int = 0
    """So many of the label's addresses are none that apprise takes."""

    @property
    def is_missing(self) -> bool:
        """Whether there is no apprise here."""
        return deliver.MISSING in self.words


class Child:
    """One process that delivers the messages of one label."""

    def __init__(
        self, addresses: Sequence[str], messages: Sequence[Message], deadline_s: float = deliver.DEADLINE_S
    ) -> None:
        """Begin.

        Args:
            addresses: of the label.
            messages: for it.
            deadline_s: after which the process ends itself, wherever it is.

        Raises:
            OSError: no process could be started.
        """
        self._count = len(messages)
        self._deadline_s = deadline_s
        self._given = json.dumps(
            {
                "addresses": list(addresses),
                "messages": [asdict(one) for one in messages],
                "deadline_s": deadline_s,
            }
        )
        self._process = subprocess.Popen(
            [sys.executable, _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )

    def result(self) -> Delivery:
        """Wait for its end, which comes."""
        try:
            said, _ = self._process.communicate(self._given.encode(), self._deadline_s + _MORE_S)
        except subprocess.TimeoutExpired:  # its own alarm has not ended it: a kernel that keeps it
            self._process.kill()
            try:
                said, _ = self._process.communicate(timeout=_MORE_S)
            except subprocess.TimeoutExpired:
                said = b""
        first, *words = said.decode("ascii", "replace").split() or [""]
        if first == deliver.MISSING:
            return Delivery((deliver.MISSING,) * self._count)
        told = (*words, *(deliver.FAILED for _ in range(self._count)))[: self._count]
        return Delivery(told, int(first) if first.isdigit() else 0)
