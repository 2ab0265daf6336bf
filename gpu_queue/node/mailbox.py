"""One agent's mailbox: which commands are for it, and its answers (docs/spool.md, "Commands").

- An agent obeys what names it, once per nonce.
- control.json without a nonce was written by a person: it is moved into control/ by one rename to a name of our own,
  so that of several agents exactly one publishes it, and no crash loses it.  There it means all nodes that were
  present by then; one that comes later must not obey yesterday's ``stop all``.
- Everything here is hostile input: what cannot be obeyed is set aside with the reason.
"""

from __future__ import annotations

import os
import secrets
import time
from dataclasses import dataclass
from typing import Any

from gpu_queue.spool import files
from gpu_queue.spool.commands import Command, command_for
from gpu_queue.spool.paths import SpoolPaths, command_entry, is_command_entry
from gpu_queue.spool.store import listing, move

KEPT_S = 24 * 3600
HAND_SETTLE_S = 5.0


@dataclass(frozen=True)
class Mail:
    """One look at the commands."""

    commands: tuple[Command, ...]
    problems: tuple[str, ...]


class Mailbox:
    """Reads commands for one agent and answers them; lives in the storage thread."""

    def __init__(self, paths: SpoolPaths, node: str, incarnation: str, uids: frozenset[int]) -> None:
        self._paths = paths
        self._node = node
        self._incarnation = incarnation
        self._uids = uids
        self.present_since: float | None = None
        """Since when, by the server's clock, this agent is there to be meant by a command for everybody."""
        self._looked_at: set[str] = set()
        self._hand_seen: tuple[tuple[int, int, int], float] | None = None

    def look(self, now: float) -> Mail:
        """Commands that were not looked at yet.

        Args:
            now: monotonic seconds.

        Raises:
            OSError: control/ could not be listed.
        """
        problems = self._take_hand_command(now)
        names = listing(self._paths.control)
        present = frozenset(names)
        entries = sorted(name for name in names if is_command_entry(name))
        self._looked_at &= set(entries)
        # What bears our answer was obeyed by an earlier agent of this node, however long ago that is.
        answer = f".{self._node}.ack"
        self._looked_at |= {entry for entry in entries if entry.removesuffix(".json") + answer in present}
        commands = []
        for entry in entries:
            if entry in self._looked_at:
                continue
            try:
                path = f"{self._paths.control}/{entry}"
                value = files.read_json(path, self._uids)
                command = command_for(self._node, self._incarnation, entry, value)
                if command is not None and not self._came_before_us(path, value):
                    commands.append(command)
            except files.Vanished:
                continue  # swept, or a name that is not seen yet: the next listing tells
            except files.FileProblem as problem:
                problems.append(f"control/{entry}: {problem}")
                self._set_aside(f"{self._paths.control}/{entry}")
            except OSError:
                continue  # the next look asks again
            self._looked_at.add(entry)
        return Mail(tuple(commands), tuple(problems))

    def answer(self, command: Command, text: str) -> None:
        """Write this node's answer.

        Raises:
            OSError: it could not be written.
        """
        files.write_whole(
            self._paths.ack(command.entry, self._node), text.encode("utf-8", "surrogateescape").rstrip(b"\n") + b"\n"
        )

    def sweep(self, server_now: float) -> None:
        """Remove commands and answers that are a day old by the server's clock."""
        with os.scandir(self._paths.control) as entries:
            for entry in entries:
                try:
                    if server_now - entry.stat(follow_symlinks=False).st_ctime > KEPT_S:
                        os.unlink(entry.path)
                except OSError:
                    continue

    def _set_aside(self, path: str) -> None:
        move(path, f"{self._paths.control}/.bad-{secrets.token_hex(6)}")

    def _take_hand_command(self, now: float) -> list[str]:
        path = self._paths.hand_command
        try:
            facts = os.lstat(path)
        except OSError:
            self._hand_seen = None
            return []
        seen = (facts.st_ino, facts.st_size, facts.st_mtime_ns)
        if self._hand_seen is None or self._hand_seen[0] != seen:
            self._hand_seen = (seen, now)
        elif self._hand_seen[1] == float("-inf"):
            return []  # a client's copy that was recognised before
        try:
            value = files.read_json(path, self._uids)
            if value.get("nonce"):
                self._hand_seen = (seen, float("-inf"))
                return []
        except files.Vanished:
            return []
        except files.FileProblem as problem:
            if now - self._hand_seen[1] < HAND_SETTLE_S:
                return []
            self._set_aside(path)
            return [f"control.json: {problem}"]
        except OSError:
            return []
        # By one rename to a name of our own: of several agents the one whose rename is done publishes it.
        move(path, f"{self._paths.control}/{command_entry(time.time(), secrets.token_hex(6))}")
        return []

    def _came_before_us(self, path: str, value: dict[str, Any]) -> bool:
        """Whether a command for everybody was published before this agent was present."""
        if value.get("nonce") or self.present_since is None:
            return False
        return os.lstat(path).st_ctime < self.present_since
