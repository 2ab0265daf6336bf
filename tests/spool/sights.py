"""A spool that is filled by hand, and how it looks."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpu_queue.spool import store
from gpu_queue.spool.pages import NodePage, write_page
from gpu_queue.spool.paths import full_name, parse_full, strip_claim
from gpu_queue.spool.snapshot import looks
from gpu_queue.spool.snapshot.reader import Cadence, SnapshotReader
from gpu_queue.spool.snapshot.view import Snapshot
from gpu_queue.states import AgentState
from gpu_queue.units import format_utc
from tests.node.harness import Room

ALWAYS = Cadence(pending=0, nodes=0, flags=0, running=0, events=0, settled=0, gone=0, clock=0)
USUAL = Cadence()
NODE, OTHER = "n1-aaaaaaaa", "n2-bbbbbbbb"


class Sight:
    """A spool, and somebody who looks at it, at moments that the test chooses."""

    def __init__(self, room: Room, cadence: Cadence = USUAL) -> None:
        self.room = room
        self.paths = room.paths
        self.reader = SnapshotReader(room.paths, cadence=cadence)
        self.now = 1000.0
        self.moment = 1.7e9
        self.pages: dict[str, NodePage] = {}

    def look(self, seconds: float = 2.0, *, everything: bool = False) -> Snapshot:
        self.now += seconds
        return self.reader.refresh(self.now, everything=everything)

    def page(self, node: str = NODE, **facts: Any) -> None:
        """What a node tells."""
        self.pages[node] = replace(self.pages.get(node, NodePage(node, "i", AgentState.SERVING)), **facts)
        os.makedirs(self.paths.running(node), exist_ok=True)
        write_page(self.paths, self.pages[node])

    def path(self, task_id: str) -> Path:
        """Where a task is."""
        found = [
            path
            for path in (*self.room.root.glob("[pdf]*/*"), *self.room.root.glob("running/*/*"))
            if (full := parse_full(strip_claim(path.name))) is not None and full[1] == task_id
        ]
        assert len(found) == 1, found
        return found[0]

    def claim(self, task_id: str, node: str = NODE, number: int = 1, token: str = "abcdef") -> str:
        """A node takes a task; the name of its claim."""
        source = self.path(task_id)
        name = f"{strip_claim(source.name)}.try{number}.{token}"
        os.makedirs(self.paths.running(node), exist_ok=True)
        source.rename(Path(self.paths.running(node), name))
        return name

    def settle(self, task_id: str, state: str = "done", *, is_told: bool = True) -> None:
        """Its try ends, and so does it; the node's history tells that, where it is there."""
        source = self.path(task_id)
        self.put(task_id, state)
        if is_told:
            outcome = "succeeded" if state == "done" else "failed(1)"
            self.tell(source.parent.name, "settled", source.name, outcome=outcome, status=int(state != "done"))

    def put(self, task_id: str, state: str, priority: int | None = None) -> None:
        """Somebody moves it by hand."""
        source = self.path(task_id)
        full = parse_full(strip_claim(source.name))
        assert full is not None
        source.rename(self.room.root / state / full_name(full[0] if priority is None else priority, task_id))

    def tell(self, node: str, event: str, claim: str, **facts: Any) -> None:
        """A line in a node's history."""
        self.moment += 1
        line = {"at": format_utc(self.moment), "event": event, "claim": claim, **facts}
        with open(self.paths.events(node), "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def places(seen: Snapshot) -> dict[str, list[str]]:
    """Where each task is seen, by id."""
    found: dict[str, list[str]] = {}
    for task in seen.waiting:
        if task.task_id is not None:
            found.setdefault(task.task_id, []).append("pending")
    for claim in seen.running:
        found.setdefault(claim.task_id, []).append("running")
    for settled in (*seen.done, *seen.failed):
        found.setdefault(settled.task_id, []).append(settled.state.value)
    return found


@contextmanager
def between(room: Room, what: dict[tuple[str, int], Callable[[], object]]) -> Iterator[None]:
    """Do things right after the nth listing of a directory."""
    counts: Counter[str] = Counter()
    real = store.some_names

    def some_names(directory: str, at_most: int) -> tuple[list[str], bool]:
        found = real(directory, at_most)
        short = os.path.relpath(directory, room.root)
        counts[short] += 1
        what.get((short, counts[short]), lambda: None)()
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(looks, "some_names", some_names)
        yield
    assert all(counts[short] >= number for short, number in what), "it was not listed so often"


@contextmanager
def opened(room: Room) -> Iterator[Counter[str]]:
    """What is opened below a spool, files and directories, and how often."""
    counts: Counter[str] = Counter()
    real = os.open

    def opening(path: Any, flags: int, *more: Any, **others: Any) -> int:
        if str(path).startswith(str(room.root)):
            counts[os.path.relpath(path, room.root)] += 1
        return real(path, flags, *more, **others)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", opening)
        yield counts


@contextmanager
def failing(room: Room, number: int, *directories: str) -> Iterator[None]:
    """Whatever is opened in these directories, or is one of them, fails."""
    real = os.open

    def opening(path: Any, flags: int, *more: Any, **others: Any) -> int:
        short = os.path.relpath(path, room.root) if str(path).startswith(str(room.root)) else "-"
        if any(short == one or short.startswith(f"{one}/") for one in directories):
            raise OSError(number, os.strerror(number), path)
        return real(path, flags, *more, **others)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", opening)
        yield
