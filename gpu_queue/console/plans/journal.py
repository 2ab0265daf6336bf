"""The changes that were made through a user's consoles, in a file of his: for people, no queue needs it."""

from __future__ import annotations

import json
import logging
import os
import stat
from collections import OrderedDict
from collections.abc import Iterable

from pydantic import ValidationError

from gpu_queue.console.models.spools import Action
from gpu_queue.console.sentences import note

KEPT_MAX = 200
READ_MAX_BYTES = 1 << 20
"""Two hundred changes, twice, are a fraction of it."""
LINE_MAX_BYTES = 16 << 10
log = logging.getLogger("gpu_queue.console.actions")


class Journal:
    """One file of JSON lines; what is known of a change last counts.  It may block: never in the event loop."""

    def __init__(self, path: str) -> None:
        """Nothing is read yet.

        Args:
            path: of the file; its directory is made, for its owner alone.
        """
        self.path = path

    def read(self) -> list[tuple[str, Action]]:
        """The last changes, the newest first, each with the path of its queue; none where they cannot be read.

        A change that was under way when its console ended is told to have broken off.
        """
        try:
            content = self._content()
        except OSError as error:
            log.warning("%s: past changes cannot be read: %s", self.path, error)
            return []
        found: OrderedDict[str, tuple[str, Action]] = OrderedDict()
        for line in content.split(b"\n"):
            parsed = _parsed(line)
            if parsed is not None:
                which, root, action = parsed
                found[which] = root, action
        newest = sorted(found.values(), key=lambda one: one[1].at_s, reverse=True)
        return [(root, _over(action)) for root, action in newest[:KEPT_MAX]]

    def _content(self) -> bytes:
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return b""
        try:
            facts = os.fstat(descriptor)
            if not stat.S_ISREG(facts.st_mode) or facts.st_uid != os.geteuid():
                raise OSError("it is no regular file of this user")
            return os.pread(descriptor, READ_MAX_BYTES, max(0, facts.st_size - READ_MAX_BYTES))
        finally:
            os.close(descriptor)

    def add(self, which: str, root: str, action: Action) -> None:
        """Write down what is known of a change; a disk that takes nothing costs the line.

        Args:
            which: names the change.
            root: the path of its queue.
            action: it.
        """
        try:
            self._append(_line(which, root, action))
        except OSError as error:
            log.warning("%s: this change is not kept: %s", self.path, error)

    def _append(self, line: bytes) -> None:
        os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(self.path, flags, 0o600)
        try:
            facts = os.fstat(descriptor)
            if not stat.S_ISREG(facts.st_mode) or facts.st_uid != os.geteuid():
                raise OSError("it is no regular file of this user")
            if stat.S_IMODE(facts.st_mode) & 0o077:
                os.fchmod(descriptor, 0o600)
            os.write(descriptor, b"\n" + line + b"\n")  # a torn line of another console ends here
            is_large = facts.st_size > READ_MAX_BYTES // 2
        finally:
            os.close(descriptor)
        if is_large:
            self._write_anew()

    def _write_anew(self) -> None:
        kept = list(reversed(self.read()))
        lines: Iterable[bytes] = (_line(f"{number}", root, action) for number, (root, action) in enumerate(kept))
        temporary = f"{self.path}.{os.getpid()}"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with open(descriptor, "wb") as file:
                file.write(b"\n".join(lines) + b"\n")
            os.rename(temporary, self.path)
        except OSError:
            os.unlink(temporary)
            raise


def _line(which: str, root: str, action: Action) -> bytes:
    kept = action.model_copy(update={"can_undo": False, "plan": ""})
    return json.dumps({"change": which, "queue": root, **kept.model_dump(mode="json")}).encode()


def _parsed(line: bytes) -> tuple[str, str, Action] | None:
    if not line.startswith(b"{") or len(line) > LINE_MAX_BYTES:
        return None
    try:
        told = json.loads(line)
        which, root = told.pop("change"), told.pop("queue")
        action = Action.model_validate(told)
    except (ValueError, KeyError, RecursionError, ValidationError):
        return None
    if not isinstance(which, str) or not isinstance(root, str):
        return None
    return which, root, action.model_copy(update={"can_undo": False, "plan": ""})


def _over(action: Action) -> Action:
    if action.state == "finished":
        return action
    return action.model_copy(update={"state": "finished", "problem": note("console_ended")})
