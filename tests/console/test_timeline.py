"""Lanes: what GPUs were used for, from histories as agents write them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_queue.console.api import timeline as api
from gpu_queue.console.models.history import EventPage, Timeline
from gpu_queue.console.timeline import lanes
from gpu_queue.console.timeline.book import Book, Wanted
from gpu_queue.console.timeline.drawing import drawn, least_of
from gpu_queue.console.timeline.facts import Fact, parse_fact
from gpu_queue.console.timeline.lanes import Lane
from gpu_queue.console.timeline.reading import NodeHistory
from gpu_queue.console.timeline.story import Interval, NodeStory
from gpu_queue.spool.filesystem import make_spool
from gpu_queue.spool.pages import NodePage
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.spool.snapshot.view import NodeView, Presence
from gpu_queue.units import format_utc
from tests.agent.conftest import cluster as cluster  # noqa: PLC0414  a fixture
from tests.agent.harness import Cluster, wait_until
from tests.console.asking import Asker
from tests.console.stage.past import Machine, make_past

BEGIN = 1_700_000_000
ID = "20261123T014415123-4f0c2a-train.sh"
CLAIM = f"500-{ID}.try1.abcdef"
OTHER = "500-20261123T014415124-5f0c2a-eval.sh.try1.abcde0"
GPU = "GPU-a"


def line(at_s: float, event: str, **facts: Any) -> bytes:
    return json.dumps({"at": format_utc(BEGIN + at_s), "event": event, **facts}).encode()


def use(at_s: float, what: str, claim: str = "", before: str | None = "idle") -> bytes:
    facts: dict[str, Any] = {"gpus": [GPU], "gpu_indices": [0], "use": what}
    facts |= {"before": before} if before else {}
    return line(at_s, "gpu", **facts, **({"claim": claim} if claim else {}))


def started(at_s: float, claim: str = CLAIM, *gpus: str) -> bytes:
    uuids = list(gpus or (GPU,))
    return line(at_s, "started", claim=claim, gpus=uuids, gpu_indices=list(range(len(uuids))), name="train.sh")


def settled(at_s: float, claim: str = CLAIM, status: int = 0, event: str = "settled") -> bytes:
    return line(at_s, event, claim=claim, outcome="done" if not status else f"failed({status})", status=status)


def fact(told: bytes) -> Fact:
    parsed = parse_fact(told)
    assert parsed is not None, told
    return parsed


def lane(
    *lines: bytes, from_s: float = 0, to_s: float = 1000, now_s: float = 1000, seen_s: float | None = None
) -> list[tuple[float, float | None, str, str]]:
    story = NodeStory()
    for one in lines:
        parsed = parse_fact(one)
        if parsed is not None:
            story.add(parsed)
    told = list(story.lane(GPU, None if seen_s is None else BEGIN + seen_s))
    found = drawn(told, BEGIN + from_s, BEGIN + to_s, story.gpus[GPU].since_s, BEGIN + now_s)
    return [
        (one.begin_s - BEGIN, None if one.end_s is None else one.end_s - BEGIN, one.use, one.claim) for one in found
    ]


def test_a_lane_tells_tasks_to_the_second_and_closes_the_seams_beside_them() -> None:
    assert lane(
        use(0, "idle", before=None),
        use(4, "filler"),
        started(100),
        use(101, "task", CLAIM, "filler"),
        settled(400),
        use(401, "idle", before="task"),
        use(404, "filler"),
    ) == [
        (0, 4, "idle", ""),
        (4, 100, "keepalive", ""),
        (100, 400, "task", CLAIM),
        (400, 404, "idle", ""),
        (404, None, "keepalive", ""),
    ]


def test_tasks_that_follow_each_other_within_a_second_are_two() -> None:
    told = lane(
        use(0, "idle", before=None),
        started(10),
        use(11, "task", CLAIM),
        settled(20),
        started(20, OTHER),
        use(21, "task", OTHER, "task"),
    )
    assert told[1:] == [(10, 20, "task", CLAIM), (20, None, "task", OTHER)]


def test_a_try_that_ends_while_no_agent_is_there_goes_on_and_what_else_happened_is_unknown() -> None:
    assert lane(
        use(0, "filler", before=None),
        started(10, CLAIM),
        use(11, "task", CLAIM, "filler"),
        line(300, "began", version="1", last_at=format_utc(BEGIN + 200)),
        settled(250),
        use(301, "idle", before=None),
    ) == [(0, 10, "keepalive", ""), (10, 250, "task", CLAIM), (250, 301, "unknown", ""), (301, None, "idle", "")]


def test_from_the_end_of_an_agent_to_the_next_one_nobody_knows() -> None:
    assert lane(
        use(0, "filler", before=None),
        line(100, "ended"),
        line(500, "began", version="1", last_at=format_utc(BEGIN + 100)),
        use(501, "filler", before=None),
    ) == [(0, 100, "keepalive", ""), (100, 501, "unknown", ""), (501, None, "keepalive", "")]


def test_of_an_agent_that_was_killed_what_it_told_last_counts() -> None:
    assert lane(
        use(0, "filler", before=None),
        line(500, "began", version="1", last_at=format_utc(BEGIN + 300)),
        use(501, "idle", before=None),
    ) == [(0, 300, "keepalive", ""), (300, 501, "unknown", ""), (501, None, "idle", "")]


def test_an_agent_of_an_earlier_version_that_begins_says_nothing_of_before() -> None:
    assert lane(use(0, "filler", before=None), use(500, "idle", before=None)) == [
        (0, 500, "unknown", ""),
        (500, None, "idle", ""),
    ]


def test_a_node_that_is_gone_is_unknown_since_it_told_of_itself_last() -> None:
    told = lane(use(0, "idle", before=None), started(10), use(11, "task", CLAIM), seen_s=300)
    assert told == [(0, 10, "idle", ""), (10, 300, "task", CLAIM), (300, None, "unknown", "")]


def test_a_task_of_another_agent_has_no_name() -> None:
    assert lane(use(0, "task", before=None), use(50, "idle", before="task"))[0] == (0, 50, "task", "")


def test_a_try_whose_end_nobody_wrote_down_ends_when_its_gpu_was_used_otherwise() -> None:
    told = lane(use(0, "idle", before=None), started(10), use(11, "task", CLAIM), use(90, "idle", before="task"))
    assert told == [(0, 10, "idle", ""), (10, 90, "task", CLAIM), (90, None, "idle", "")]


def test_a_lost_gpu_is_lost_while_its_task_still_holds_it() -> None:
    told = lane(use(0, "idle", before=None), started(10), use(11, "task", CLAIM), use(90, "lost", before="task"))
    assert (10, None, "task", CLAIM) in told


def test_of_a_lane_only_what_lies_between_is_drawn_and_what_reaches_over_is_whole() -> None:
    told = lane(use(0, "idle", before=None), started(10), settled(400), use(401, "filler"), from_s=100, to_s=300)
    assert told == [(10, 400, "task", CLAIM)]


PARTS = st.tuples(st.integers(0, 900), st.integers(1, 300), st.sampled_from(["task", "idle", "lost"]))


@given(st.lists(PARTS, max_size=30))
def test_a_lane_has_no_holes_and_nothing_but_tasks_overlaps(parts: list[tuple[int, int, str]]) -> None:
    told = [Interval(begin, begin + length, what, CLAIM if what == "task" else "") for begin, length, what in parts]
    found = drawn(told, 0, 1000, 0, 1000)
    reached = 0.0
    tasks = [one for one in found if one.use == "task"]
    for one in found:
        assert one.begin_s - reached <= 3
        end_s = 1000.0 if one.end_s is None else one.end_s
        if one.use != "task":
            assert not any(task.begin_s < end_s and one.begin_s < (task.end_s or 1000.0) for task in tasks)
        reached = max(reached, end_s)
    assert reached >= 997


@given(st.lists(st.integers(1, 50), max_size=99), st.integers(1, 60))
def test_of_too_many_intervals_the_longest_stay(lengths: list[float], at_most: int) -> None:
    least_s, left = least_of([*lengths], at_most)
    longer = [one for one in lengths if one > least_s]
    kept = sorted(longer + [one for one in lengths if one == least_s][:left])
    assert kept == sorted(lengths)[-min(len(lengths), at_most) or len(lengths) :]


HAPPENS = st.tuples(
    st.integers(0, 40), st.sampled_from(["idle", "filler", "foreign", "task", "start", "end", "ended"])
)


@given(st.lists(HAPPENS, max_size=60), st.integers(1, 7))
def test_a_lane_that_is_drawn_as_it_grows_is_the_lane_that_is_drawn_at_once(
    happens: list[tuple[int, str]], step: int
) -> None:
    story, grown, at_s, runs = NodeStory(), Lane(), 0, list[str]()
    story.add(fact(use(0, "idle", before=None)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lanes, "SETTLES_AT", 1)
        for number, (seconds, what) in enumerate(happens):
            at_s += seconds
            if what == "start":
                runs.append(CLAIM.replace("abcdef", f"{number:06x}"))
                told = started(at_s, runs[-1])
            elif what == "end" and runs:
                told = settled(at_s, runs.pop(0))
            elif what == "ended":
                told = line(at_s, "ended" if number % 2 else "began")
            else:
                told = use(at_s, what if what != "end" else "idle", runs[-1] if runs and what == "task" else "")
            story.add(fact(told))
            if number % step == 0:
                grown.take(story.gpus[GPU], list(story.going_on(GPU)), story.last_s)
        grown.take(story.gpus[GPU], list(story.going_on(GPU)), story.last_s)
    ever = float("inf")
    assert grown.intervals == drawn(story.lane(GPU), -ever, ever, story.gpus[GPU].since_s, ever)


def test_what_is_over_is_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def drawing(told: Iterable[Interval], *more: float) -> list[Interval]:
        told = list(told)
        sizes.append(len(told))
        return drawn(told, *more)

    monkeypatch.setattr(lanes, "drawn", drawing)
    story, grown = NodeStory(), Lane()
    for number in range(2000):
        for told in (use(number * 100, "idle", before="task"), use(number * 100 + 50, "filler")):
            story.add(fact(told))
        grown.take(story.gpus[GPU], list(story.going_on(GPU)), story.last_s)
    assert len(grown.intervals) == 4000
    assert max(sizes) < 40
    assert len(grown.between(BEGIN + 1000 * 100, BEGIN + 1001 * 100, BEGIN + 1e6)) == 2


# -- files


@pytest.fixture
def paths(tmp_path: Path) -> SpoolPaths:
    made = SpoolPaths(str(tmp_path / "root" / "exp"))
    before = os.umask(0o077)
    make_spool(made)
    os.umask(before)
    return made


def write(paths: SpoolPaths, node: str, *lines: bytes, ending: str = "") -> None:
    with open(f"{paths.events(node)}{ending}", "ab") as file:
        file.write(b"".join(one + b"\n" for one in lines))


def test_a_history_is_read_once_and_then_what_was_added(paths: SpoolPaths) -> None:
    history = NodeHistory("n1")
    assert not history.read(paths), "there is none"
    write(paths, "n1", use(0, "idle", before=None))
    with open(paths.events("n1"), "ab") as file:
        file.write(started(10)[:40])  # torn: it is being written
    assert history.read(paths)
    offset = history.place.offset
    assert not history.read(paths)
    with open(paths.events("n1"), "ab") as file:
        file.write(started(10)[40:] + b"\n")
    assert history.read(paths)
    assert history.place.offset > offset
    assert CLAIM in history.story.tries


def test_a_history_that_is_rotated_loses_nothing(paths: SpoolPaths) -> None:
    write(paths, "n1", use(0, "idle", before=None), ending=".1")
    write(paths, "n1", started(10), use(11, "task", CLAIM))
    history = NodeHistory("n1")
    history.read(paths)
    assert [one.use for one in history.story.lane(GPU)] == ["idle", "task"]
    write(paths, "n1", settled(20))
    os.rename(paths.events("n1"), f"{paths.events('n1')}.1")
    write(paths, "n1", use(21, "idle", before="task"))
    history.read(paths)
    assert sorted(one.use for one in history.story.lane(GPU)) == ["idle", "idle", "task"]
    assert history.story.tries[CLAIM].outcome == "done"


LINES = [use(3, "task"), started(4), b"{}", b'{"event": []}', b"[1"]


@given(st.lists(st.binary(max_size=60) | st.sampled_from(LINES)))
def test_whatever_lies_in_a_history_hinders_nobody(lines: list[bytes]) -> None:
    story = NodeStory()
    for one in lines:
        told = parse_fact(one)
        if told is not None:
            story.add(told)
    for uuid in story.gpus:
        drawn(story.lane(uuid), BEGIN, BEGIN + 100, story.gpus[uuid].since_s, BEGIN + 100)


@pytest.mark.parametrize(
    "value",
    [
        {"event": "gpu", "gpus": "GPU-a", "use": "task"},
        {"event": "gpu", "gpus": [1], "use": "task"},
        {"event": "gpu", "gpus": ["GPU-a"], "use": {}},
        {"event": ["gpu"], "gpus": ["GPU-a"], "use": "task"},
        {"event": "settled", "claim": 7},
        {"event": "started", "claim": "x", "gpus": None, "at": 5},
    ],
)
def test_a_line_of_another_shape_is_no_fact(value: dict[str, Any]) -> None:
    assert parse_fact(json.dumps({"at": format_utc(BEGIN), **value}).encode()) is None


def view(node: str, beat_s: float, written_s: float, presence: Presence = Presence.ALIVE) -> NodeView:
    return NodeView(node, presence, NodePage(node, beat_s=beat_s), written_s)


def test_the_moments_of_a_node_whose_clock_is_wrong_are_brought_to_the_storages(paths: SpoolPaths) -> None:
    write(paths, "n1", use(0, "idle", before=None), started(10), settled(20))
    write(paths, "n2", use(0, "idle", before=None), started(10), settled(20))
    book = Book(paths)
    book.refresh([], 1.0)
    nodes = [view("n1", BEGIN + 30, BEGIN + 3630), view("n2", BEGIN + 30, BEGIN + 32)]
    told = Timeline.model_validate_json(book.timeline(Wanted(BEGIN, BEGIN + 4000, BEGIN + 4000), nodes))
    begins = {one.node: [part.from_s - BEGIN for part in one.intervals if part.use == "task"] for one in told.lanes}
    assert begins == {"n1": [3610], "n2": [10]}
    events = EventPage.model_validate({"events": book.events(nodes)}).events
    assert [(one.node, one.kind) for one in events[:2]] == [("n1", "settled"), ("n1", "started")]


def test_how_a_try_of_a_dead_node_ended_is_told_by_whoever_settled_it(paths: SpoolPaths) -> None:
    write(paths, "n1", use(0, "idle", before=None), started(10), use(11, "task", CLAIM))
    write(paths, "n2", line(900, "taken over", claim=CLAIM, node="n1"), settled(901, status=1, event="returned"))
    book = Book(paths)
    book.refresh([], 1.0)
    nodes = [view("n1", BEGIN + 100, BEGIN + 100, Presence.GONE), view("n2", BEGIN + 999, BEGIN + 999)]
    told = Timeline.model_validate_json(book.timeline(Wanted(BEGIN, BEGIN + 1000, BEGIN + 1000), nodes))
    (task,) = [part for one in told.lanes for part in one.intervals if part.use == "task"]
    assert (task.to_s, task.outcome, task.is_failure, task.task) == (BEGIN + 100, "failed(1)", True, ID)


# -- asked over HTTP


@pytest.fixture
def ask(tmp_path: Path) -> Asker:
    return Asker(str(tmp_path / "root"), api.router)


def test_a_week_of_two_nodes_is_drawn_whole(paths: SpoolPaths, ask: Asker) -> None:
    now_s = time.time()
    machines = [Machine("gpu1-00000001", 8), Machine("gpu2-00000002", 4)]
    spans = make_past(paths, machines, now_s, tasks=300)
    reply = ask("spools/exp/timeline", **{"from": now_s - 8 * 86400, "to": now_s})
    told = Timeline.model_validate(reply.json())
    assert [one.gpu for one in told.lanes[:2]] == [f"gpu1-00000001/{one.uuid}" for one in told.lanes[:2]]
    assert (len(told.lanes), told.is_cut) == (12, False)
    drawn_ones = [part for one in told.lanes for part in one.intervals if part.use == "task"]
    shown = sum((part.to_s or now_s) - part.from_s for part in drawn_ones)
    made = sum(one.end_s - one.begin_s for one in spans if one.use == "task")
    assert shown == pytest.approx(made, rel=1e-3)
    ids = {part.task for one in told.lanes for part in one.intervals} - {""}
    assert ids == {one.claim[4:].split(".try")[0] for one in spans if one.claim}
    assert {part.use for one in told.lanes for part in one.intervals} >= {"task", "keepalive", "unknown"}


def test_what_is_asked_for_wrongly_is_told(paths: SpoolPaths, ask: Asker) -> None:
    assert ask("spools/exp/timeline", **{"from": 10, "to": 5}).json()["code"] == "range"
    assert ask("spools/exp/timeline", **{"from": "nan"}).status_code == 422
    assert ask("spools/exp/events", limit=0).status_code == 422
    assert ask("spools/exp/events").json() == {"events": []}


def test_a_real_agent_is_followed_through_a_task_and_its_end(cluster: Cluster) -> None:
    agent = cluster.start(simulate="1")
    task = cluster.submit("sleep 1.2\nexit 3\n")
    cluster.wait_for(task, "failed")
    agent.terminate()
    agent.wait()
    (node,) = cluster.nodes()
    history = NodeHistory(node["node"])
    history.read(cluster.paths)
    story = history.story
    assert not story.is_served
    (uuid,) = story.gpus
    now_s = time.time() + 60
    told = drawn(story.lane(uuid), now_s - 600, now_s, story.gpus[uuid].since_s, now_s)
    assert [one.use for one in told if one.use != "idle"] == ["task", "unknown"]
    assert [one.claim.split(".try")[0][4:] for one in told if one.use == "task"] == [task]
    cluster.start(simulate="1")
    wait_until(lambda: history.read(cluster.paths) and story.is_served, "the next agent", dump=cluster.dump)
