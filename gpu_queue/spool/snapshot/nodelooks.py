"""What is read of nodes/, events/, queues/ and the top of a spool: see ``looks``."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from gpu_queue.spool import files
from gpu_queue.spool.events import READ_BYTES, Event, Place, read_events
from gpu_queue.spool.pages import PAGE_MAX_BYTES, NodePage, decode_page, read_page
from gpu_queue.spool.queues import parse_token
from gpu_queue.spool.snapshot.looks import NODES_MAX, Eyes
from gpu_queue.spool.snapshot.stamps import Stamps
from gpu_queue.spool.snapshot.view import Flag, QueueView
from gpu_queue.task import Claim
from gpu_queue.texts import printable

GONE_MAX = 100
QUEUES_MAX = 1000
TOKENS_MAX = 200_000
HOLDERS_MAX = 100
"""Tokens of one queue that are read."""
ROOT_MAX = 1000
EVENTS_MAX = 500
ENDS_MAX = 5000
"""Settled tasks whose ends are kept, the newest."""
STARTED_MAX = 10_000
"""Tries whose GPUs are known until they end."""
EVENTS_FIRST_BYTES = 8 << 20
"""Of all nodes' histories together, at the first look."""
FLAG_TEXT_BYTES = 500
HOLDER_BYTES = 400
FLAGS = ("paused", "draining", "keepalive-off")


@dataclass(frozen=True)
class PageFile:
    """A node's file, as it was read last."""

    mark: tuple[int, int] | None
    page: NodePage | None
    problem: str = ""
    """Why it holds no page."""
    has_changed: bool = False
    """Since we look: it was written while the clock here ran."""

    @property
    def written_s(self) -> float | None:
        """Its mtime."""
        return None if self.mark is None else self.mark[1] / 1e9


class PagesLook:
    """nodes/: pages, read when their marks change; and those of the dead."""

    def __init__(self, eyes: Eyes) -> None:
        self._eyes = eyes
        self.nodes: dict[str, PageFile] = {}
        self.gone: dict[str, PageFile] = {}
        self.is_cut = False
        self.is_known = False

    def look(self) -> None:
        """The living and the silent."""
        directory, lost = self._eyes.paths.nodes, set[str]()
        with self._eyes.watched("nodes", directory):
            names, self.is_cut = self._list("nodes", directory, NODES_MAX)
            self.is_known = True
            lost = self.nodes.keys() - set(names)
            for node in lost:
                del self.nodes[node]
                self._eyes.is_changed = True
            for node in names:
                self._read(node)
            self._eyes.forget("nodes", [directory, *map(self._eyes.paths.node_json, names)])
        if lost:
            self.look_at_gone()  # where they were put to, if nobody removed them by hand

    def look_at_gone(self) -> None:
        """The dead: each is read once."""
        directory = self._eyes.paths.gone
        with self._eyes.watched("gone", directory):
            try:
                names, _ = self._list("gone", directory, GONE_MAX)
            except FileNotFoundError:
                names = []
            known = self.gone
            self.gone = {node: known[node] if node in known else self._read_gone(node) for node in names}
            self._eyes.is_changed |= self.gone.keys() != known.keys()

    def _list(self, look: str, directory: str, at_most: int) -> tuple[list[str], bool]:
        # Two files a node, and what else may lie there.
        names, _ = self._eyes.names(look, directory, 20 * at_most)
        found = sorted(one[:-5] for one in names if one.endswith(".json") and not one.startswith("."))
        return found[:at_most], len(found) > at_most

    def _read(self, node: str) -> None:
        path = self._eyes.paths.node_json(node)
        known = self.nodes.get(node)
        self._eyes.cost.opens += 1
        try:
            found = files.read_if_other(path, None if known is None else known.mark, PAGE_MAX_BYTES + 1)
            if known is None or known.mark != found.mark:
                self._eyes.is_changed = True
                if found.mark is None:  # it went between listing and look
                    self.nodes.pop(node, None)
                    return
                self._eyes.saw(found.mark[1] / 1e9)
                known = PageFile(found.mark, *_page(found, node), has_changed=known is not None)
        except (OSError, ValueError) as error:  # what was read before stays
            self._eyes.note("nodes", path, error)
            return
        self.nodes[node] = known
        self._eyes.note("nodes", path, known.problem or None)

    def _read_gone(self, node: str) -> PageFile:
        path = f"{self._eyes.paths.gone}/{node}.json"
        self._eyes.cost.opens += 1
        try:
            return PageFile(files.mark_of(path), read_page(path, node))
        except (OSError, files.FileProblem, ValueError, RecursionError):
            return PageFile(None, None)


def _page(found: files.Found, node: str) -> tuple[NodePage | None, str]:
    if found.content is None:
        return None, found.problem
    try:
        return decode_page(found.content, node), ""
    except (files.FileProblem, RecursionError) as problem:
        return None, str(problem)


class EventsLook:
    """events/: what was added to the nodes' histories."""

    def __init__(self, eyes: Eyes) -> None:
        self._eyes = eyes
        self._places: dict[str, Place] = {}
        self._stamps = Stamps()
        self._told: dict[str, object] = {}
        self._gpus: OrderedDict[tuple[str, Claim], tuple[str, ...]] = OrderedDict()
        """Of tries that were told to be started, by node, which they had."""
        self.newest: tuple[Event, ...] = ()
        self.ends: tuple[Event, ...] = ()
        """Of settled tasks, the newest first, one a task."""

    def look(self, nodes: Iterable[str], told: Mapping[str, object], *, is_urgent: bool = False) -> list[Event]:
        """What these nodes told since the last look, oldest first.

        Args:
            nodes: these; a history that looks as it did is not opened.
            told: by node, what changes when something happens there: then its history has changed as well.
            is_urgent: something has happened, wherever: all are opened.
        """
        there = sorted(nodes)[: NODES_MAX * 2]
        first = [node for node in there if node not in self._places]
        limit_bytes = min(READ_BYTES, EVENTS_FIRST_BYTES // max(1, len(first)))
        found: list[Event] = []
        for node in there:
            path, is_first = self._eyes.paths.events(node), node in first
            is_news = is_urgent or is_first or self._told.get(node) != told.get(node)
            if not self._stamps.is_due(path, self._eyes.now, is_urgent=is_news) and not self._eyes.has_problem(
                "events", path
            ):
                continue
            with self._eyes.watched("events", path):
                place = self._places.get(node, Place())
                self._eyes.cost.opens += 1
                new, self._places[node] = read_events(
                    self._eyes.paths, node, place, limit_bytes if is_first else READ_BYTES
                )
                found += new
        self._told = dict(told)
        if len(self._places) > 8 * NODES_MAX:  # those that are gone are read seldom, and not from their start again
            self._places = {node: self._places[node] for node in there if node in self._places}
        self._eyes.forget("events", map(self._eyes.paths.events, there))
        if found:
            self._take(found)
        return found

    def _take(self, found: list[Event]) -> None:
        found.sort(key=_when)  # what one node tells stays in its order
        self._eyes.is_changed = True
        found = [self._with_gpus(event) for event in found]
        self.newest = tuple(sorted((*self.newest, *found), key=_when)[-EVENTS_MAX:])
        ends: dict[str, Event] = {}
        for event in (*reversed(self.ends), *found):
            if event.claim is not None and event.kind in ("settled", "started", "returned"):
                ends.pop(event.claim.task_id, None)
                if event.kind == "settled":
                    ends[event.claim.task_id] = event
        self.ends = tuple(sorted(ends.values(), key=_when)[-ENDS_MAX:][::-1])

    def _with_gpus(self, event: Event) -> Event:
        """What ended had the GPUs that its start told of, on the same node."""
        if event.claim is None:
            return event
        which = event.node, event.claim
        if event.kind == "started":
            self._gpus[which] = event.gpus
            if len(self._gpus) > STARTED_MAX:
                self._gpus.popitem(last=False)
            return event
        if event.kind not in ("settled", "returned"):
            return event
        gpus = self._gpus.pop(which, ())
        return replace(event, gpus=gpus) if gpus and not event.gpus else event


def _when(event: Event) -> tuple[float, str]:
    return event.at_s or 0.0, event.node


class FlagsLook:
    """The flags at the top of a spool."""

    def __init__(self, eyes: Eyes) -> None:
        self._eyes = eyes
        self._marks: dict[str, tuple[int, int] | None] = {}
        self.flags: tuple[Flag, ...] = ()

    def look(self) -> None:
        """List the top, and read the flags that changed."""
        root = self._eyes.paths.root
        with self._eyes.watched("flags", root):
            # The spool's directory itself may be a link: its owner put it where there is room.
            names, is_cut = self._eyes.names("flags", f"{root}/.", ROOT_MAX)
            known = {one.name: one for one in self.flags}
            there = [one for one in FLAGS if one in names or (is_cut and os.path.lexists(self._eyes.paths.flag(one)))]
            flags = tuple(self._read(one, known.get(one)) for one in there)
            self._eyes.forget("flags", [root, *map(self._eyes.paths.flag, there)])
            self._eyes.is_changed |= flags != self.flags
            self.flags = flags

    def _read(self, name: str, known: Flag | None) -> Flag:
        path = self._eyes.paths.flag(name)
        try:
            mark = files.mark_of(path)
            if known is not None and mark is not None and self._marks.get(name) == mark:
                return known
            self._eyes.cost.opens += 1
            content, _ = files.read_regular(path, FLAG_TEXT_BYTES)
        except (files.FileProblem, OSError) as error:  # it is obeyed while it exists, whatever it is
            self._marks.pop(name, None)
            self._eyes.note("flags", path, error)
            return known if known is not None and isinstance(error, OSError) else Flag(name, "")
        self._eyes.note("flags", path, None)
        self._marks[name] = mark
        words = " ".join(content.decode("utf-8", "surrogateescape").split())
        return Flag(name, printable(words, FLAG_TEXT_BYTES))


class QueuesLook:
    """queues/: tokens.  A queue is busy while a token of it is not free."""

    def __init__(self, eyes: Eyes) -> None:
        self._eyes = eyes
        self._holders: dict[str, str] = {}
        self.queues: tuple[QueueView, ...] = ()
        self.is_cut = False

    def look(self) -> None:
        """List the tokens, and read those that are new."""
        directory = self._eyes.paths.queues
        with self._eyes.watched("queues", directory):
            names, is_cut = self._eyes.names("queues", directory, TOKENS_MAX)
            tokens: dict[str, dict[int, list[str]]] = {}
            for name in names:
                parsed = parse_token(name)
                if parsed is not None:
                    # A token that was freed after another listing began may show under both names.
                    at = tokens.setdefault(parsed[0], {}).setdefault(parsed[1], [])
                    at.append("" if parsed[2] else name)
            taken = {queue: sorted(one[0] for one in of.values() if "" not in one) for queue, of in tokens.items()}
            self.is_cut = is_cut or len(taken) > QUEUES_MAX
            kept = sorted(taken)[:QUEUES_MAX]
            names_taken = {name for queue in kept for name in taken[queue][:HOLDERS_MAX]}
            self._holders = {name: one for name, one in self._holders.items() if name in names_taken}
            found = {queue: map(self._holder, taken[queue][:HOLDERS_MAX]) for queue in kept}
            queues = tuple(QueueView(queue, bool(taken[queue]), tuple(filter(None, found[queue]))) for queue in kept)
            self._eyes.is_changed |= queues != self.queues
            self.queues = queues

    def _holder(self, name: str) -> str:
        if self._holders.get(name):
            return self._holders[name]  # a token is written once
        self._eyes.cost.opens += 1
        try:
            content, _ = files.read_regular(f"{self._eyes.paths.queues}/{name}", HOLDER_BYTES)
        except (files.FileProblem, OSError):
            return ""
        holder = printable(content.decode("utf-8", "replace").split("\n")[0].strip())
        self._holders[name] = holder
        return holder
