"""Commands: what people ask of agents, as it lies in control/ (docs/spool.md, "Commands").

A command is a file with a unique name.  Reading and writing one are both here; who obeys, and when, is the mailbox's
and the agent's business.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from gpu_queue import PROTOCOL
from gpu_queue.spool import files
from gpu_queue.texts import printable, shown

COMMANDS = ("stop", "sweep", "shutdown", "explain")
EVERYBODY = "*"
NOBODY_KNOWN = "-"
"""In the place of an incarnation: the sender saw no agent there."""
NONCE_MAX = 64


@dataclass(frozen=True)
class Command:
    """One command."""

    entry: str
    """Its file's name in control/."""
    nonce: str
    verb: str
    """One of ``COMMANDS``."""
    to: tuple[str, ...] = ()
    """``<node>/<incarnation>`` of each node that is meant, or ``EVERYBODY``."""
    sender: str = ""
    """``user@host``, for people."""
    claims: tuple[str, ...] = ()
    """Of ``stop``: names of claims."""
    tasks: tuple[str, ...] = ()
    """Of ``explain``: ids, or names in pending/."""
    names: tuple[str, ...] = ()
    """Of ``stop``: parts of scripts' names, or ``all``: how a person says it by hand."""
    wait: bool = False
    """Of ``shutdown``: after the running tasks have ended."""

    def is_for(self, node: str, incarnation: str) -> bool:
        """Whether an agent is meant.

        Stop names claims, and sweep and explain do no harm twice; a shutdown must not meet the next agent.
        """
        if EVERYBODY in self.to:
            return True
        here = [one for one in self.to if one.partition("/")[0] == node]
        return f"{node}/{incarnation}" in here if self.verb == "shutdown" else bool(here)


def address(node: str, incarnation: str) -> str:
    """How ``to`` names a node as the sender found it."""
    return f"{node}/{incarnation or NOBODY_KNOWN}"


def encode_command(command: Command) -> bytes:
    """The content of a command's file: one line of JSON."""
    value: dict[str, Any] = {
        "protocol": PROTOCOL,
        "nonce": command.nonce,
        "command": command.verb,
        "to": list(command.to),
        "from": command.sender,
    }
    for key, given in (("claims", command.claims), ("tasks", command.tasks), ("names", command.names)):
        if given:
            value[key] = list(given)
    if command.verb == "shutdown":
        value["wait"] = command.wait
    return files.encode_json(value)


def parse_command(entry: str, value: dict[str, Any]) -> Command:
    """A command, from what its file holds.

    Without a nonce it was written by a person: its nonce is the one in its file's name, and it is for everybody.

    Raises:
        FileProblem: nobody can obey it; the message says which value is wrong.
    """
    if value.get("protocol", PROTOCOL) != PROTOCOL:
        raise files.FileProblem(f"protocol {shown(value.get('protocol'))}; expected {PROTOCOL}")
    verb = value.get("command")
    if verb not in COMMANDS:
        raise files.FileProblem(f"command {shown(verb)}; expected one of {', '.join(COMMANDS)}")
    by_hand = not value.get("nonce")
    nonce = entry.removesuffix(".json").rpartition("-")[2] if by_hand else value["nonce"]
    if not isinstance(nonce, str) or len(nonce) > NONCE_MAX or not nonce.isprintable():
        raise files.FileProblem(f"nonce {shown(nonce)}; expected up to {NONCE_MAX} letters and digits")
    to = _strings(value.get("to"), "to")
    return Command(
        entry,
        nonce,
        str(verb),
        to=(EVERYBODY,) if by_hand and not to else to,
        sender=printable(str(value.get("from", "")), 200),
        claims=_strings(value.get("claims"), "claims"),
        tasks=_strings(value.get("tasks"), "tasks"),
        names=_strings(value.get("names"), "names"),
        wait=value.get("wait") is True,
    )


def command_for(node: str, incarnation: str, entry: str, value: dict[str, Any]) -> Command | None:
    """A command for this agent; None if it is for others.

    Raises:
        FileProblem: nobody can obey it.
    """
    command = parse_command(entry, value)
    return command if command.is_for(node, incarnation) else None


def _strings(value: object, key: str) -> tuple[str, ...]:
    if value is None:
        return ()
    items: Iterable[object] = value if isinstance(value, list) else [value]
    if not all(isinstance(one, str) for one in items):
        raise files.FileProblem(f"{key!r} is {shown(value)}; expected a list of strings")
    return tuple(one for one in items if isinstance(one, str))
