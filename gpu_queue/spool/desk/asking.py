"""Asking agents: a command is posted, each node answers or turns out to be gone (docs/spool.md, "Commands").

- Who is asked is named as it was found.  An answer is a file; nothing else says that a command was obeyed.
- A node file newer than the command was written after the command was read: its agent is alive and at work on it.
- All these times are the server's; ours only measures how long we have waited.
"""

from __future__ import annotations

import os
import secrets
import stat
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum

from gpu_queue import PROTOCOL
from gpu_queue.errors import SpoolError
from gpu_queue.spool import files, store
from gpu_queue.spool.commands import Command, address, encode_command
from gpu_queue.spool.desk.find import listed
from gpu_queue.spool.desk.people import signature
from gpu_queue.spool.desk.stamps import next_stamp_s
from gpu_queue.spool.filesystem import mount_of
from gpu_queue.spool.pages import NodePage, read_page
from gpu_queue.spool.paths import SpoolPaths, command_entry
from gpu_queue.spool.store import Moved
from gpu_queue.states import AgentState
from gpu_queue.texts import printable

ALIVE_S = 90.0
"""A beat is 30 s; also how long an agent that is alive may take for an answer."""
ASKED_S = 900.0
"""A node that has been silent for longer is not asked: its peers take it for dead as well."""
STALE_S = 60.0
"""So old may be what NFS says of a file that nobody has opened."""
LOCAL_PATIENCE_S = 10.0
NETWORK_PATIENCE_S = 40.0
ACK_MAX_BYTES = 64 << 10
NODES_PER_COMMAND = 300
"""A command has at most 64 KiB."""


class Reply(str, Enum):
    """What became of a question to one node."""

    ANSWERED = "answered"
    GONE = "gone"
    """No agent is alive there."""
    SILENT = "silent"
    """Its agent is alive and has not answered for 90 s."""


@dataclass(frozen=True)
class Answer:
    """What one node said to a command."""

    node: str
    reply: Reply
    lines: tuple[str, ...] = ()
    """For people; empty where it did not answer."""


# -- who is there ---------------------------------------------------------------------------------------------------


def node_names(paths: SpoolPaths) -> list[str]:
    """Nodes that have a page.

    Raises:
        SpoolError: they cannot be listed now.
    """
    names = listed(paths.nodes)
    return [name.removesuffix(".json") for name in names if name.endswith(".json") and not name.startswith(".")]


def page_of(paths: SpoolPaths, node: str) -> NodePage | None:
    """What a node says of itself; None where it has no page.

    One that cannot be read has protocol 0; where the storage fails, its state is unknown.
    """
    try:
        return read_page(paths.node_json(node), node)
    except files.Vanished:
        return None
    except files.FileProblem:
        return NodePage(node, protocol=0)
    except OSError:
        return NodePage(node)


def askable(paths: SpoolPaths) -> list[NodePage]:
    """The nodes that may answer: they speak our protocol, did not say that they stopped, and are not silent for long.

    Raises:
        SpoolError: they cannot be listed now.
    """
    return _pages(paths, ASKED_S)


def _pages(paths: SpoolPaths, within_s: float) -> list[NodePage]:
    """Of nodes whose pages are not older: thousands of dead ones cost one listing."""
    written = _written(paths)
    since_s = server_now_s(paths) - within_s - STALE_S if written else 0.0
    pages = [page_of(paths, node) for node, written_s in sorted(written.items()) if written_s >= since_s]
    return [page for page in pages if page and page.protocol == PROTOCOL and page.state is not AgentState.STOPPED]


def _written(paths: SpoolPaths) -> dict[str, float]:
    """When each node's page was written, as far as a listing tells."""
    found = {}
    try:
        with os.scandir(paths.nodes) as entries:
            for entry in entries:
                if entry.name.endswith(".json") and not entry.name.startswith("."):
                    try:
                        facts = entry.stat(follow_symlinks=False)
                    except OSError:
                        continue  # put away in this moment
                    if stat.S_ISREG(facts.st_mode):
                        found[entry.name.removesuffix(".json")] = facts.st_mtime
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise SpoolError(f"{paths.nodes}: cannot be listed: {error.strerror}; try again") from error
    return found


def server_now_s(paths: SpoolPaths) -> float:
    """The server's time in epoch seconds, by a file that is just written there; else our own."""
    try:
        return files.server_now_s(paths.control)
    except OSError:
        return time.time()


def beat_age_s(paths: SpoolPaths, node: str, now_s: float) -> float:
    """How long ago a node wrote its page, by the server's clock; very long where there is none."""
    try:
        mark = files.mark_of(paths.node_json(node))
    except OSError:
        mark = None
    return float("inf") if mark is None else now_s - mark[1] / 1e9


def living(paths: SpoolPaths) -> list[NodePage]:
    """The nodes whose agent gave a sign of life within 90 s.

    Raises:
        SpoolError: they cannot be listed now.
    """
    pages = _pages(paths, ALIVE_S)
    now_s = server_now_s(paths) if pages else 0.0
    return [page for page in pages if beat_age_s(paths, page.node, now_s) <= ALIVE_S]


def default_gpus(paths: SpoolPaths) -> int:
    """What a script gets that says nothing, as the newest living agent has it; else 1.

    Raises:
        SpoolError: the nodes cannot be listed now.
    """
    pages = living(paths)
    return min(pages, key=lambda page: beat_age_s(paths, page.node, 0.0)).default_gpus if pages else 1


def patience_s(paths: SpoolPaths) -> float:
    """After how long a node without a sign of life is gone: GPU_QUEUE_PATIENCE, or by the filesystem."""
    said = os.environ.get("GPU_QUEUE_PATIENCE", "")
    if said.isascii() and said.isdigit():
        return float(said)
    return LOCAL_PATIENCE_S if mount_of(paths.root).is_local else NETWORK_PATIENCE_S


# -- asking ---------------------------------------------------------------------------------------------------------


def place(target: str, content: bytes) -> None:
    """Put a file in place by a rename whose lost reply does not matter.

    Raises:
        SpoolError: it is not there.
    """
    directory, name = os.path.split(target)
    hidden = f"{directory}/.{name[:100]}.{secrets.token_hex(6)}"
    error: OSError | None = None
    try:
        files.write_new(hidden, content)
    except OSError as raised:
        error = raised
    else:
        result = store.move(hidden, target)
        if result.moved is Moved.WON:
            return
        files.remove(hidden)
        error = result.error
    why = error.strerror if error is not None else "it was taken away"
    raise SpoolError(f"cannot write {target}: {why}; {files.advice(target, error)}") from error


def post(paths: SpoolPaths, command: Command, pages: Iterable[NodePage]) -> dict[str, str]:
    """Ask nodes for something.

    Args:
        paths: of the spool.
        command: without entry, nonce, sender and addressees.
        pages: of the nodes that are asked.

    Returns:
        For each node the entry in control/ that it answers to.

    Raises:
        SpoolError: the command cannot be written.
    """
    pages = list(pages)
    entries: dict[str, str] = {}
    for start in range(0, len(pages), NODES_PER_COMMAND):
        asked = pages[start : start + NODES_PER_COMMAND]
        nonce = secrets.token_hex(6)
        entry = command_entry(next_stamp_s(), nonce)
        to = tuple(address(page.node, page.incarnation) for page in asked)
        content = encode_command(replace(command, entry=entry, nonce=nonce, to=to, sender=signature()))
        place(f"{paths.control}/{entry}", content)
        entries |= {page.node: entry for page in asked}
        try:
            place(paths.hand_command, content)
        except SpoolError:
            pass  # the copy is for people
    return entries


def answers(
    paths: SpoolPaths, entries: Mapping[str, str], limit_s: float, meant: Mapping[str, str] | None = None
) -> Iterator[Answer]:
    """The answers to a command, each as it comes.

    Args:
        paths: of the spool.
        entries: what ``post`` returned.
        limit_s: after how long a node without a sign of life is gone.
        meant: the incarnation of each node, for a command that counts for no other; None: it counts for any.

    Raises:
        SpoolError: control/ cannot be listed.
    """
    left = dict(entries)
    asked_ns = {entry: _mtime_ns(f"{paths.control}/{entry}") for entry in set(entries.values())}
    started_s = time.monotonic()
    pause_s = 0.1
    while left:
        waited_s = time.monotonic() - started_s
        # In this order: what looks gone may have answered just before it went.
        verdicts = {
            node: Reply.GONE
            if meant is not None and _is_replaced(paths, node, meant.get(node, ""))
            else _judge(paths, node, asked_ns[entry], waited_s, limit_s)
            for node, entry in left.items()
        }
        present = set(listed(paths.control))
        for node, entry in list(left.items()):
            ack = os.path.basename(paths.ack(entry, node))
            verdict = verdicts[node]
            if ack in present:
                del left[node]
                yield Answer(node, Reply.ANSWERED, _lines(f"{paths.control}/{ack}"))
            elif verdict is not None:
                del left[node]
                yield Answer(node, verdict)
        if left:
            time.sleep(pause_s)
            pause_s = min(1.0, pause_s * 2)


def see_off(paths: SpoolPaths, meant: Mapping[str, str], limit_s: float) -> None:
    """Wait until agents that leave have said so on their pages: whoever looks next is to see it.

    Args:
        paths: of the spool.
        meant: their nodes with their incarnations.
        limit_s: so long at most.
    """
    deadline_s = time.monotonic() + limit_s
    left = list(meant)
    while True:
        pages = {node: page_of(paths, node) for node in left}
        left = [
            node
            for node, page in pages.items()
            if page is not None and page.state is not AgentState.STOPPED and page.incarnation in ("", meant[node])
        ]
        if not left or time.monotonic() >= deadline_s:
            return
        time.sleep(0.1)


def _mtime_ns(path: str) -> int:
    try:
        mark = files.mark_of(path)
    except OSError:
        mark = None
    return 0 if mark is None else mark[1]


def _judge(paths: SpoolPaths, node: str, asked_ns: int, waited_s: float, limit_s: float) -> Reply | None:
    """Whether there is still somebody to wait for (None)."""
    page = page_of(paths, node)
    if page is None or page.state is AgentState.STOPPED:
        return Reply.GONE
    if asked_ns and _mtime_ns(paths.node_json(node)) > asked_ns:
        return None if waited_s < ALIVE_S else Reply.SILENT
    return None if waited_s < limit_s else Reply.GONE


def _is_replaced(paths: SpoolPaths, node: str, incarnation: str) -> bool:
    """Whether another agent serves there by now, which will not answer."""
    page = page_of(paths, node)
    return page is not None and page.incarnation not in ("", incarnation)


def _lines(path: str) -> tuple[str, ...]:
    try:
        content, _ = files.read_regular(path, ACK_MAX_BYTES)
    except (files.FileProblem, OSError):
        return ()
    return tuple(printable(line, 2000) for line in content.decode("utf-8", "replace").splitlines())
