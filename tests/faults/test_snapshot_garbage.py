"""Whatever anybody puts anywhere into a spool, who only looks at it sees the rest."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpu_queue.spool.pages import NodePage
from gpu_queue.spool.snapshot.reader import SnapshotReader
from gpu_queue.spool.snapshot.view import PROBLEMS_MAX, Presence, Snapshot
from gpu_queue.texts import TEXT_MAX
from gpu_queue.words import in_words
from tests.faults.test_storage_garbage import CONTENTS, ID, NAMES, PLACES
from tests.node.harness import Room, a_spool
from tests.spool.sights import ALWAYS, NODE, Sight, places

KINDS = st.sampled_from(["file", "file", "file", "directory", "pipe", "link", "loop", "socket", "unreadable"])
MORE_NAMES = st.one_of(
    NAMES,
    st.sampled_from(
        [
            *(f"{NODE}.json".encode(), f"{NODE}.jsonl".encode(), b"500-train.sh", b"train.sh", b"node", b"a\nb.json"),
            *(b"\xff\xfe.json", b"\x1b[31m.json", b"car.000001", b"car.000001.free", b"n" * 200 + b".json"),
        ]
    ),
)
PAGE = {
    "protocol": 1,
    "state": "serving",
    "gpus": [{"index": 0, "uuid": "GPU-0", "state": "idle"}],
    "running": [{"claim": f"500-{ID}.try1.abcdef", "gpus": [0], "seconds": 1}],
    "waiting": {"count": 1, "why": [{"name": f"500-{ID}", "code": "gpus", "params": {"needed": 1}}]},
}
EVENT = {"at": "2026-01-01T00:00:00Z", "event": "settled", "claim": f"500-{ID}.try1.abcdef", "outcome": "succeeded"}


@st.composite
def nearly(draw: st.DrawFn, whole: Mapping[str, object]) -> bytes:
    """What belongs there, with one value that does not."""
    odd: st.SearchStrategy[object] = st.sampled_from(
        [None, True, -1, 1e308, float("nan"), float("inf"), 10**30, "\udcff\x1b[2J", [], {}, [[1]]]
    )
    value = {**whole, draw(st.sampled_from(sorted(whole))): draw(odd | st.lists(odd, max_size=3))}
    return json.dumps(value).encode() + draw(st.sampled_from([b"\n", b"", b"\n{", b"\0"]))


ANYTHING = st.one_of(
    CONTENTS,
    nearly(PAGE),
    nearly(EVENT),
    st.just(json.dumps(EVENT).encode() + b"\n"),
    st.just(b"[" * 60_000),
    st.just(b'{"waiting":' * 2000 + b"1" + b"}" * 2000),
    st.just(
        b'{"waiting": {"why": [{"name": "x", "code": "after", "params": {"tasks": ['
        + b"[" * 400
        + b"]" * 400
        + b"]}}]}}"
    ),
    st.just(b"1" * 5000),
)


def put(path: bytes, content: bytes, kind: str) -> None:
    """Put something somewhere, if it can be put there."""
    try:
        if kind in ("file", "unreadable"):
            # Only what is new: never through a link, never into a FIFO that was put there before.
            mode = 0o600 if kind == "file" else 0
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
            os.write(descriptor, content)
            os.close(descriptor)
        elif kind == "directory":
            os.mkdir(path)
        elif kind == "pipe":
            os.mkfifo(path)
        elif kind == "socket":
            with socket.socket(socket.AF_UNIX) as bound:
                bound.bind(path)
        else:
            os.symlink(path if kind == "loop" else b"/nowhere/at/all", path)
    except OSError:
        pass  # it is there already, or the name is too long


def all_of(seen: Snapshot, reader: SnapshotReader) -> None:
    """Look at all that a snapshot has: nothing raises, nothing is endless, texts may be shown."""
    for waits in seen.waiting:
        assert waits.title.encode("utf-8", "surrogateescape")
        for why in waits.reasons:
            in_words(why.reason)
            in_words(why.reason, "zh")
        reader.task(waits.task_id or waits.name)
    for claim in seen.running:
        reader.task(claim.task_id)
    for settled in (*seen.done, *seen.failed):
        assert settled.name.endswith(settled.title)
        reader.task(settled.task_id)
    assert len(seen.problems) <= PROBLEMS_MAX
    for problem in seen.problems:
        assert len(problem.file + problem.problem) <= 2 * (TEXT_MAX + 1)
        assert not any(ord(one) < 32 for one in problem.file + problem.problem)
    assert all(len(where) == 1 for where in places(seen).values())
    assert hash(seen.counts) == hash(seen.counts)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(files=st.lists(st.tuples(st.sampled_from([*PLACES, "pending"]), MORE_NAMES, ANYTHING, KINDS), max_size=10))
def test_any_file_anywhere_leaves_the_rest_in_sight(
    tmp_path_factory: pytest.TempPathFactory, files: list[tuple[str, bytes, bytes, str]]
) -> None:
    with a_spool(tmp_path_factory.mktemp("any")) as room:
        good, done = room.submit(name="good.sh"), room.submit(name="done.sh")
        sight = Sight(room, ALWAYS)
        sight.page("good-node")
        sight.put(done, "done")
        sight.look(0.01)
        for place, name, content, kind in files:
            path = os.fsencode(room.root / place) + b"/" + name
            os.makedirs(os.path.dirname(path), exist_ok=True)
            put(path, content, kind)
        for _ in range(3):
            seen = sight.look(0.01)
        all_of(seen, sight.reader)
        where = places(seen)
        assert (where[good], where[done]) == (["pending"], ["done"])
        assert seen.node("good-node") is not None
        assert sight.look(0.01) is seen
        fresh = SnapshotReader(room.paths)
        for seconds in (0.01, 0.02, 0.03):
            again = fresh.refresh(sight.now + seconds, everything=True)
        assert again == seen


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(content=ANYTHING)
def test_any_bytes_in_any_file_of_a_task_are_read_without_surprise(room: Room, content: bytes) -> None:
    sight = Sight(room, ALWAYS)
    task_id = ID
    for path in (
        *(room.paths.record(task_id), room.paths.tries_index(task_id), room.paths.events(NODE)),
        *(room.paths.node_json(NODE), room.paths.flag("paused"), f"{room.paths.queues}/car.000001"),
        *(f"{room.root}/failed/500-{task_id}", f"{room.root}/records/{task_id}.try1.abcdef.json"),
    ):
        Path(path).write_bytes(content)
    all_of(sight.look(), sight.reader)


def test_a_page_of_fifty_megabytes_is_not_read(room: Room) -> None:
    sight = Sight(room)
    with open(room.paths.node_json(NODE), "wb") as file:
        file.write(b'{"node": "')
        file.truncate(50 << 20)
    seen = sight.look()
    assert [(one.node, one.page) for one in seen.nodes] == [(NODE, None)]
    assert "larger" in seen.problems[0].problem


def test_a_claim_that_somebody_has_copied_is_one_task_that_has_ended(room: Room) -> None:
    sight = Sight(room)
    task = room.submit()
    claim = sight.claim(task)
    shutil.copy(f"{room.paths.running(NODE)}/{claim}", f"{room.paths.running(NODE)}/{claim}=0")
    seen = sight.look()
    all_of(seen, sight.reader)
    assert [one.name for one in seen.running] == [f"{claim}=0"]


def test_directories_that_vanish_leave_the_rest(room: Room) -> None:
    sight = Sight(room, ALWAYS)
    task = room.submit()
    sight.page(NODE)
    sight.look(0.01)
    for name in ("queues", "events", "nodes/gone", f"running/{NODE}"):
        if os.path.isdir(room.root / name):
            for one in os.listdir(room.root / name):
                os.unlink(room.root / name / one)
            os.rmdir(room.root / name)
    seen = sight.look(0.01)
    assert places(seen) == {task: ["pending"]}
    assert [type(one.page) for one in seen.nodes] == [NodePage]


@pytest.mark.parametrize(
    "limit", ["looks.PENDING_MAX", "looks.SETTLED_MAX", "looks.CLAIMS_MAX", "nodelooks.NODES_MAX"]
)
def test_what_is_more_than_is_kept_is_cut_and_said(room: Room, limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sight = Sight(room, ALWAYS)
    tasks = [room.submit() for _ in range(9)]
    for one in tasks[:3]:
        sight.claim(one)
    for one in tasks[3:6]:
        sight.put(one, "done")
    for number in range(3):
        sight.page(f"n{number}")
    monkeypatch.setattr(f"gpu_queue.spool.snapshot.{limit}", 2)
    part = {"PENDING": "waiting", "SETTLED": "done", "CLAIMS": "running", "NODES": "nodes"}[limit[:-4].split(".")[1]]
    for _ in range(3):
        seen = sight.look(0.01)
    assert part in seen.cut
    if part == "nodes":
        assert [one.presence for one in seen.nodes if one.page is None] == [Presence.UNKNOWN] * 2
        assert len(seen.nodes) == 4, "those that have a directory in running/ are known by name"
    else:
        assert len(getattr(seen, part)) == 2
