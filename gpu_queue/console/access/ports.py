"""Who holds a port, in words."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass

from gpu_queue.console.access.peers import listeners
from gpu_queue.texts import printable

_COMMAND_CHARS = 200


@dataclass(frozen=True)
class Holder:
    """The process that listens at a port, as far as it can be told."""

    uid: int
    pid: int | None
    """None: it belongs to somebody else."""
    command: str

    def __str__(self) -> str:
        """For people.

        >>> print(Holder(0, 4711, "nginx"))
        process 4711 of root: nginx
        """
        process = "a process" if self.pid is None else f"process {self.pid}"
        return f"{process} of {user_name(self.uid)}{f': {self.command}' if self.command else ''}"


def user_name(uid: int) -> str:
    """The name of a user, or his number."""
    try:
        return printable(pwd.getpwuid(uid).pw_name, 100)
    except KeyError:
        return f"user {uid}"


def holder_of(port: int) -> Holder | None:
    """Who listens at a port of this machine; None: nobody can tell."""
    rows = listeners(port)
    if not rows:
        return None
    wanted = {f"socket:[{row.inode}]" for row in rows}
    for name in os.listdir("/proc"):
        if name.isdecimal() and _holds(name, wanted):
            return Holder(rows[0].uid, int(name), _command(name))
    return Holder(rows[0].uid, None, "")


def _holds(pid: str, wanted: set[str]) -> bool:
    directory = f"/proc/{pid}/fd"
    try:
        return any(os.readlink(f"{directory}/{name}") in wanted for name in os.listdir(directory))
    except OSError:
        return False


def _command(pid: str) -> str:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read(4096).rstrip(b"\0").split(b"\0")
    except OSError:
        return ""
    return printable(" ".join(os.fsdecode(word) for word in words), _COMMAND_CHARS)
