"""The histories of all nodes of a spool, and the timelines and events that are made of them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gpu_queue.console.keys import key_of
from gpu_queue.console.timeline.drawing import end_of, least_of
from gpu_queue.console.timeline.lanes import Lane, moved
from gpu_queue.console.timeline.reading import NodeHistory
from gpu_queue.console.timeline.shares import Grid, Shares, Spending
from gpu_queue.console.timeline.story import GpuStory, Interval, NodeStory, TryTold
from gpu_queue.spool.events import Event, parse_event
from gpu_queue.spool.paths import SpoolPaths, claim_name, parse_claim, title_of
from gpu_queue.spool.snapshot.stamps import Stamps
from gpu_queue.spool.snapshot.view import NodeView, Presence
from gpu_queue.spool.store import listing
from gpu_queue.texts import printable

NODES_MAX = 256
INTERVALS_MAX = 20_000
TOLD_S = 5.0
"""Clocks are not that exact: smaller differences are none."""
FARTHEST_S = 86400.0
"""No clock is off by more; a file that is so much younger than what it says was copied."""
LIST_EVERY_S = 60.0


@dataclass(frozen=True)
class Wanted:
    """What is to be drawn; moments in epoch seconds by the storage's clock."""

    from_s: float
    to_s: float
    now_s: float
    node: str = ""
    """This one alone."""
    gpu: str = ""
    """Of this UUID alone."""


class Book:
    """For one thread at a time: it reads shared storage."""

    def __init__(self, paths: SpoolPaths) -> None:
        self._paths = paths
        self._histories: dict[str, NodeHistory] = {}
        self._lanes: dict[tuple[str, str], Lane] = {}
        self._stamps = Stamps()
        self._listed_at_s = float("-inf")

    def refresh(self, nodes: Iterable[str], now: float) -> None:
        """Read what is new.

        Args:
            nodes: whose histories are wanted; those of others that lie there are found once a minute.
            now: monotonic seconds.

        Raises:
            OSError: the storage failed.
        """
        names = {*nodes, *self._histories}
        if now - self._listed_at_s >= LIST_EVERY_S:
            self._listed_at_s = now
            names |= set(self._lying_there())
        for name in sorted(names)[:NODES_MAX]:
            history = self._histories.get(name)
            if history is None:
                history = self._histories[name] = NodeHistory(name)
            path = self._paths.events(name)
            if self._stamps.is_due(path, now, is_urgent=bool(history.problem)):
                try:
                    history.read(self._paths)
                except OSError:
                    self._stamps.forget(path)
                    raise

    def _lying_there(self) -> Iterator[str]:
        try:
            names = listing(os.path.dirname(self._paths.events("x")))
        except OSError:
            return
        yield from (one.removesuffix(".jsonl") for one in names if one.endswith(".jsonl") and one[0] != ".")

    def timeline(self, wanted: Wanted, nodes: Sequence[NodeView]) -> bytes:
        """A timeline, as JSON of the model ``Timeline``.

        Args:
            wanted: which.
            nodes: as they are now.
        """
        views = {one.node: one for one in nodes}
        shown = [
            (name, uuid, behind_s, lane, lane.between(wanted.from_s - behind_s, wanted.to_s - behind_s, now_s))
            for name, uuid, behind_s, lane in self._wanted(wanted, views)
            for now_s in (wanted.now_s - behind_s,)
        ]
        count = sum(len(numbers) for *_, numbers in shown)
        if count > INTERVALS_MAX:
            _leave_out(shown, INTERVALS_MAX, wanted.now_s)
        parts = [
            self._encoded(name, uuid, behind_s, lane, numbers)
            for name, uuid, behind_s, lane, numbers in shown
            if numbers or name in views
        ]
        head = _json({"from_s": wanted.from_s, "to_s": wanted.to_s, "now_s": wanted.now_s})
        is_cut = b"true" if count > INTERVALS_MAX else b"false"
        return b'%s,"lanes":[%s],"is_cut":%s}' % (head[:-1], b",".join(parts), is_cut)

    def _wanted(self, wanted: Wanted, views: Mapping[str, NodeView]) -> Iterator[tuple[str, str, float, Lane]]:
        for name, history in self._histories.items():
            view, story = views.get(name), history.story
            if wanted.node and name != wanted.node:
                continue
            if view is None and story.last_s < wanted.from_s - FARTHEST_S:
                continue  # it was not there then
            behind_s, seen_s = behind_of(view), _gone_since_s(view, story.last_s)
            for uuid, gpu in _in_order(story):
                if wanted.gpu and uuid != wanted.gpu:
                    continue
                lane = self._lanes.setdefault((name, uuid), Lane())
                lane.take(gpu, list(story.going_on(uuid, seen_s)), story.last_s)
                lane.move(behind_s)
                yield name, uuid, behind_s, lane

    def shares(self, wanted: Wanted, nodes: Sequence[NodeView], grid: Grid) -> Shares:
        """What GPUs were used for in each step of a grid.

        Args:
            wanted: which GPUs, and when it is now.
            nodes: as they are now.
            grid: of the steps.
        """
        found = Shares(grid)
        for told, since_s, until_s in self._told(wanted, nodes):
            found.add(told, since_s, until_s)
        return found

    def spending(self, wanted: Wanted, nodes: Sequence[NodeView], days_s: Sequence[float]) -> Spending:
        """How long each try held GPUs.

        Args:
            wanted: of which GPUs, and between which moments.
            nodes: as they are now.
            days_s: when days begin.
        """
        found = Spending(wanted.from_s, min(wanted.to_s, wanted.now_s), days_s)
        for told, _, _ in self._told(wanted, nodes):
            found.add(told)
        return found

    def _told(self, wanted: Wanted, nodes: Sequence[NodeView]) -> Iterator[tuple[Sequence[Interval], float, float]]:
        """What is known of each GPU since a moment, in no strict order; since when it is, and until when."""
        views = {one.node: one for one in nodes}
        for name, history in self._histories.items():
            view = views.get(name)
            if wanted.node and name != wanted.node:
                continue
            behind_s = behind_of(view)
            seen_s = _gone_since_s(view, history.story.last_s)
            there = _uuids_of(view)
            for uuid, gpu in history.story.gpus.items():
                if wanted.gpu and uuid != wanted.gpu:
                    continue
                told = history.story.lane_since(uuid, wanted.from_s - behind_s - FARTHEST_S, seen_s)
                if behind_s:
                    told = [moved(one, behind_s) for one in told]
                until_s = wanted.now_s if seen_s is None else seen_s + behind_s
                if there and uuid not in there:  # that node has others now
                    until_s = max((end_of(one, wanted.now_s) for one in told), default=wanted.from_s)
                yield told, gpu.since_s + behind_s, until_s

    def failed(self, claims: Iterable[str]) -> set[str]:
        """Those of some tries that ended badly, by the names of their claims."""
        stories = [history.story.tries for history in self._histories.values()]
        return {one for one in claims for tries in stories if one in tries and tries[one].is_failure}

    def _encoded(self, name: str, uuid: str, behind_s: float, lane: Lane, numbers: Iterable[int]) -> bytes:
        story = self._histories[name].story
        gpu, node = story.gpus[uuid], key_of(name)
        since_s = gpu.since_s + behind_s
        head = {
            "gpu": f"{node}/{printable(uuid)}",
            "node": node,
            "uuid": printable(uuid),
            "index": gpu.index,
            "seen_since_s": since_s if since_s < float("inf") else None,
        }
        intervals = lane.encoded(numbers, lambda one: self._interval(one, story))
        return b'%s,"intervals":[%s]}' % (_json(head)[:-1], b",".join(intervals))

    def _interval(self, one: Interval, story: NodeStory) -> tuple[bytes, bool]:
        """As JSON, and whether all is known of it."""
        end_s = None if one.end_s is None else round(one.end_s, 3)
        value: dict[str, object] = {"from_s": round(one.begin_s, 3), "to_s": end_s, "use": one.use}
        parsed = parse_claim(one.claim) if one.claim else None
        if parsed is None:
            return _json(value), True
        told = story.tries.get(one.claim, TryTold())
        if one.end_s is not None and told.ended_s is None:
            told = self._ended_elsewhere(one.claim) or told
        title = printable(told.name or title_of(parsed[0].task_id), 200)
        value |= {"task": key_of(parsed[0].task_id), "title": title}
        if told.outcome and one.end_s is not None:
            value |= {"outcome": printable(told.outcome, 200), "is_failure": told.is_failure}
        return _json(value), one.end_s is not None and told.ended_s is not None

    def _ended_elsewhere(self, claim: str) -> TryTold | None:
        """Where another node has settled a try: this one was gone."""
        for history in self._histories.values():
            told = history.story.tries.get(claim)
            if told is not None and told.ended_s is not None:
                return told
        return None

    def events(self, nodes: Sequence[NodeView], node: str = "", limit: int = 200) -> list[dict[str, object]]:
        """What happened last, the newest first, as the model ``EventView`` has it.

        Args:
            nodes: as they are now.
            node: of this one alone.
            limit: how many at most.
        """
        views = {one.node: one for one in nodes}
        found: list[tuple[float, dict[str, object]]] = []
        for name, history in self._histories.items():
            if node and name != node:
                continue
            behind_s = behind_of(views.get(name))
            for line in list(history.lines)[-limit:]:
                event = parse_event(name, line)
                if event is not None:
                    at_s = None if event.at_s is None else event.at_s + behind_s
                    found.append((at_s or 0.0, self._event(event, at_s, history.story)))
        found.sort(key=lambda one: one[0], reverse=True)
        return [one for _, one in found[:limit]]

    def _event(self, event: Event, at_s: float | None, story: NodeStory) -> dict[str, object]:
        claim = event.claim
        told = None if claim is None else story.tries.get(claim_name(claim))
        name = event.name or ("" if told is None else told.name)
        return {
            "at_s": at_s,
            "node": key_of(event.node),
            "kind": printable(event.kind, 40),
            "task": "" if claim is None else key_of(claim.task_id),
            "title": "" if claim is None else printable(name or title_of(claim.task_id), 200),
            "outcome": event.outcome,
            "status": event.status,
            "error_type": event.error_type,
            "use": "keepalive" if event.use == "filler" else event.use,
            "gpus": list(event.gpus[:64]),
            "other_node": printable(event.other_node),
        }


def _uuids_of(view: NodeView | None) -> frozenset[str]:
    """Of the GPUs that a node serves now; empty: nobody knows."""
    return frozenset() if view is None or view.page is None else frozenset(one.uuid for one in view.page.gpus)


def behind_of(view: NodeView | None) -> float:
    """How far a node's clock is behind the storage's, by what it wrote last; 0 where that cannot be told."""
    if view is None or view.page is None or view.page.beat_s is None or view.written_s is None:
        return 0.0
    behind_s = view.written_s - view.page.beat_s
    return behind_s if TOLD_S < abs(behind_s) < FARTHEST_S else 0.0


def _gone_since_s(view: NodeView | None, last_s: float) -> float | None:
    """When a node that is not there told of itself for the last time, by its own clock; None: it is there."""
    if view is not None and view.presence in (Presence.ALIVE, Presence.UNKNOWN):
        return None
    beat_s = None if view is None or view.page is None else view.page.beat_s
    return last_s if beat_s is None else max(beat_s, last_s)


def _in_order(story: NodeStory) -> list[tuple[str, GpuStory]]:
    return sorted(story.gpus.items(), key=lambda one: (one[1].index is None, one[1].index or 0, one[0]))


def _leave_out(shown: Sequence[tuple[str, str, float, Lane, list[int]]], at_most: int, now_s: float) -> None:
    """Leave out the shortest intervals of all lanes, in place, until so many are left."""
    lengths = [
        [_length_s(lane.intervals[at], now_s - behind_s) for at in numbers] for *_, behind_s, lane, numbers in shown
    ]
    least_s, left = least_of([one for of in lengths for one in of], at_most)
    for (*_, numbers), of in zip(shown, lengths, strict=True):
        kept = []
        for at, length_s in zip(numbers, of, strict=True):
            if length_s > least_s or (length_s == least_s and left > 0):
                left -= length_s == least_s
                kept.append(at)
        numbers[:] = kept


def _length_s(one: Interval, now_s: float) -> float:
    return (now_s if one.end_s is None else one.end_s) - one.begin_s


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
