"""What GPUs did over days: uses from histories, load from samples, and whose tasks it was."""

from __future__ import annotations

import os
import sqlite3
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_queue.console.api import usage as api
from gpu_queue.console.history.keeper import Histories, path_of
from gpu_queue.console.history.minutes import Minutes
from gpu_queue.console.history.store import LEVELS, MINUTES, QUARTERS, SHIFTS, Load, Store
from gpu_queue.console.history.usage import POINTS_MAX, ROWS_MAX, Raster, day_name, days_of, load_series, raster_of
from gpu_queue.console.models.usage import Usage, Users
from gpu_queue.console.timeline.shares import USES, Grid, Shares, Spending
from gpu_queue.console.timeline.story import Interval
from gpu_queue.spool.filesystem import make_spool
from gpu_queue.spool.pages import GpuPage
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.states import GpuState
from tests.console.asking import Asker
from tests.console.stage.past import Machine, Span, make_past
from tests.console.stage.samples import keep_samples

BEGIN = 1_700_000_000 // 14400 * 14400
DAY_S = 86400.0


def shares(
    told: list[Interval], since_s: float = 0, until_s: float = 100, step_s: float = 10, count: int = 10
) -> Any:
    found = Shares(Grid(0, step_s, count))
    found.add(told, since_s, until_s)
    return {use: one.seconds() for use, one in found.uses.items() if any(one.seconds())}


def test_each_step_is_told_what_a_gpu_was_used_for() -> None:
    told = [Interval(0, 25, "task", "a"), Interval(25, 40, "keepalive"), Interval(40, None, "idle")]
    assert shares(told) == {
        "task": [10, 10, 5, 0, 0, 0, 0, 0, 0, 0],
        "keepalive": [0, 0, 5, 10, 0, 0, 0, 0, 0, 0],
        "idle": [0, 0, 0, 0, 10, 10, 10, 10, 10, 10],
    }


def test_a_gpu_that_tasks_share_counts_once_and_what_lies_under_a_task_is_the_tasks() -> None:
    told = [Interval(0, 30, "task", "a"), Interval(10, 40, "task", "b"), Interval(20, 60, "idle")]
    assert {use: sum(parts) for use, parts in shares(told, until_s=60).items()} == {"task": 40, "idle": 20}
    below = [Interval(0, 50, "keepalive"), Interval(20, 30, "task", "a"), Interval(35, 40, "task", "b")]
    assert {use: sum(parts) for use, parts in shares(below, until_s=50).items()} == {"task": 15, "keepalive": 35}


def test_where_no_agent_was_it_is_unknown_between_what_is_known_and_nothing_outside_of_that() -> None:
    told = [Interval(20, 30, "task", "a"), Interval(50, 60, "idle")]
    assert shares(told, since_s=20, until_s=60)["unknown"] == [0, 0, 0, 10, 10, 0, 0, 0, 0, 0]
    assert shares([Interval(200, 300, "idle")], since_s=200, until_s=300) == {}


@given(
    st.lists(
        st.tuples(st.floats(-50, 150), st.floats(0.5, 60), st.sampled_from(["task", "idle", "keepalive", "lost"])),
        max_size=12,
    ),
    st.floats(1, 40),
)
def test_of_each_gpu_every_second_is_told_once(parts: list[tuple[float, float, str]], step_s: float) -> None:
    told: list[Interval] = []
    at_s = -60.0
    for begin_s, length_s, use in sorted(parts):
        if use == "task":
            told.append(Interval(begin_s, begin_s + length_s, use, f"c{len(told)}"))
        elif begin_s >= at_s:  # uses follow each other
            told.append(Interval(begin_s, begin_s + length_s, use))
            at_s = begin_s + length_s
    count = int(100 // step_s) + 1
    found = shares(told, 0, 100, step_s, count)
    sums = [sum(parts) for parts in zip(*found.values(), strict=True)]
    for place, seconds in enumerate(sums):
        assert seconds == pytest.approx(max(0.0, min(step_s, 100 - place * step_s)), abs=1e-6)


def test_gpu_hours_of_a_try_are_split_at_midnight() -> None:
    spending = Spending(100, 1000, [0, 400, 800])
    spending.add([Interval(50, 500, "task", "a"), Interval(900, None, "task", "b"), Interval(0, 999, "idle")])
    spending.add([Interval(300, 450, "task", "a")])
    assert spending.tries["a"].by_day == {0: 400, 1: 150}
    assert (spending.tries["a"].gpu_s, spending.tries["b"].gpu_s) == (550, 100)


def test_days_begin_at_midnight_by_this_machine_also_where_a_clock_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        days = days_of(1_774_600_000, 1_774_600_000 + 4 * DAY_S)  # 27 March 2026; the clock goes forward on the 29th
        assert [time.localtime(one).tm_hour for one in days] == [0] * len(days)
        assert 23 * 3600 in [later - one for one, later in pairwise(days)]
    finally:
        monkeypatch.undo()
        time.tzset()


# -- samples


@pytest.mark.parametrize("gpus", [1, 8, 64, 1024])
@pytest.mark.parametrize("back_s", [21600, DAY_S, 7 * DAY_S, 30 * DAY_S, 90 * DAY_S])
def test_a_range_is_read_in_few_rows_and_told_in_few_points(gpus: int, back_s: float) -> None:
    raster = raster_of(BEGIN - back_s, BEGIN, gpus, BEGIN)
    assert raster.count <= POINTS_MAX + 2
    assert gpus > 64 or gpus * back_s / raster.level.step_s <= ROWS_MAX
    assert raster.step % raster.level.step_s == 0
    assert raster.first <= BEGIN - back_s < BEGIN <= raster.first + raster.step * raster.count
    assert back_s <= raster.level.kept_s


def test_of_many_gpus_a_tenth_is_left_out_at_each_side_and_their_power_is_summed() -> None:
    raster = Raster(0, 120, 2, MINUTES)
    loads = [Load(at, 0, float(percent), 100, 10.0) for at in (0, 60) for percent in range(0, 101, 10)]
    found = load_series(loads, raster, is_one=False)
    assert (found.mean_percent, found.low_percent, found.high_percent) == ([50, None], [10, None], [90, None])
    assert (found.power_w, found.energy_j) == ([110, None], 2 * 60 * 110)
    one = load_series([Load(60, 5, 40, 95, None)], raster, is_one=True)
    assert (one.low_percent[0], one.high_percent[0], one.power_w, one.energy_j) == (5, 95, [None, None], None)


def reading(percent: int) -> GpuPage:
    return GpuPage("GPU-a", 0, "H100", GpuState.BUSY, 80 << 30, 40 << 30, percent, 100.0)


def test_quarters_are_put_together_to_hours_and_those_to_four_of_them(tmp_path: Path) -> None:
    store = Store.open(str(tmp_path / "x.sqlite"), BEGIN).store
    made = Minutes()
    for minute in range(0, 480, 5):
        made.add("n1/GPU-a", BEGIN + 60 * minute, reading(20 if minute < 240 else 60))
    store.write(made.take(float("inf")), BEGIN + 4 * 3600 + 100)
    store.write([], BEGIN + 8 * 3600 + 100)
    for level in LEVELS[1:]:
        loads = store.loads(["n1/GPU-a"], BEGIN, BEGIN + 8 * 3600, level)
        assert len(loads) == 8 * 3600 // level.step_s
        assert {one.mean_percent for one in loads} == {20, 60}
    assert store.loads(["n1/other"], BEGIN, BEGIN + 8 * 3600, SHIFTS) == []
    assert store.first_s(["n1/GPU-a", "n1/other"]) == BEGIN
    store.close()


def test_a_database_of_the_first_version_is_gone_on_with(tmp_path: Path) -> None:
    path = str(tmp_path / "x.sqlite")
    store = Store.open(path, BEGIN).store
    made = Minutes()
    made.add("n1/GPU-a", BEGIN, reading(30))
    store.write(made.take(float("inf")), BEGIN + 900)
    store.close()
    with sqlite3.connect(path) as connection:
        connection.executescript("DROP TABLE hours; DROP TABLE shifts; PRAGMA user_version = 1;")
    connection.close()
    opened = Store.open(path, BEGIN)
    assert opened.words == ""
    opened.store.write([], BEGIN + 1900)
    for level in (QUARTERS, SHIFTS):
        assert [one.mean_percent for one in opened.store.loads(["n1/GPU-a"], BEGIN, BEGIN + 1900, level)] == [30]
    opened.store.close()


# -- asked over HTTP


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SpoolPaths, list[Span], float]:
    """A week of two machines that a console has seen."""
    base = tmp_path_factory.mktemp("usage")
    paths = SpoolPaths(str(base / "root" / "exp"))
    before = os.umask(0o077)
    make_spool(paths)
    os.umask(before)
    now_s = time.time()
    spans = make_past(paths, [Machine("gpu1-00000001", 2), Machine("gpu2-00000002", 2)], now_s, tasks=150)
    keep_samples(path_of(str(base / "state" / "gpu-queue" / "console"), paths), spans, now_s)
    return base, paths, spans, now_s


def histories_of(base: Path, **more: bool) -> Histories:
    return Histories({"HOME": str(base), "XDG_STATE_HOME": str(base / "state")}, **more)


def test_what_nodes_have_written_down_is_told_in_shares_that_make_up_the_whole(played: Any) -> None:
    base, _, spans, now_s = played
    histories = histories_of(base)
    ask = Asker(str(base / "root"), api.router, histories=histories)
    week, node = (
        Usage.model_validate(reply.json())
        for reply in ask.all(
            ("spools/exp/usage", {"from": now_s - 7 * DAY_S, "to": now_s}),
            ("spools/exp/usage", {"from": now_s - 7 * DAY_S, "to": now_s, "node": "gpu2-00000002"}),
        )
    )
    histories.close()
    played_s = sum(span.end_s - max(span.begin_s, now_s - 7 * DAY_S) for span in spans if span.use == "task")
    used = {one.use: one.total_s for one in week.uses}
    assert list(used) == list(USES)
    assert used["task"] == pytest.approx(played_s, rel=0.01)
    assert (week.seen_gpus, node.seen_gpus, week.sampled_gpus, node.sampled_gpus) == (4, 2, 4, 2)
    assert 0 < node.uses[0].total_s < used["task"]
    for place in range(1, len(week.at_s) - 4):  # of the end nobody tells: no agent is there
        told = [one.gpus[place] for one in week.uses]
        assert all(one is None for one in told) or sum(one or 0 for one in told) == pytest.approx(4, abs=0.01)
    assert week.energy_j is not None
    assert any(week.mean_percent)


def test_a_range_that_begins_and_ends_within_a_step_counts_nothing_outside_of_it(played: Any) -> None:
    base, _, _, now_s = played
    histories = histories_of(base)
    ask = Asker(str(base / "root"), api.router, histories=histories)
    begin_s, end_s = (now_s - 3.3 * DAY_S) // 3600 * 3600 + 130, (now_s - 2.3 * DAY_S) // 3600 * 3600 + 131
    day = Usage.model_validate(ask("spools/exp/usage", **{"from": begin_s, "to": end_s}).json())
    histories.close()
    assert sum(one.total_s for one in day.uses) == pytest.approx(4 * (end_s - begin_s), rel=1e-3)
    for place in (0, len(day.at_s) - 1):
        assert sum(one.gpus[place] or 0 for one in day.uses) == pytest.approx(4, abs=0.02)


def test_without_samples_uses_are_told_and_load_is_not(played: Any) -> None:
    base, _, _, now_s = played
    ask = Asker(str(base / "root"), api.router, histories=histories_of(base, is_kept=False))
    told = Usage.model_validate(ask("spools/exp/usage", **{"from": now_s - DAY_S, "to": now_s}).json())
    assert not told.is_sampled
    assert not any(told.mean_percent)
    assert told.energy_j is None
    assert told.uses[0].total_s > 0
    assert ask("spools/exp/usage", **{"from": 10, "to": 5}).status_code == 422
    assert ask("spools/exp/usage", **{"from": 10, "to": 5e9}).status_code == 422


def test_gpu_hours_are_told_by_user_by_queue_and_by_day_to_the_same_sum(played: Any) -> None:
    base, _, spans, now_s = played
    histories = histories_of(base)
    ask = Asker(str(base / "root"), api.router, histories=histories)
    query = {"from": now_s - 6 * DAY_S, "to": now_s}
    told = [Users.model_validate(one.json()) for one in ask.all(*[("spools/exp/usage/users", query)] * 5)][-1]
    histories.close()
    assert told.unread == 0
    by_user: dict[str, float] = {}
    for span in spans:
        if span.role is not None and span.end_s > query["from"]:
            spent_s = span.end_s - max(span.begin_s, query["from"])
            by_user[span.role.user] = by_user.get(span.role.user, 0.0) + spent_s
    assert {one.name: one.gpu_s for one in told.users} == pytest.approx(by_user, rel=0.01)
    sums = [sum(one.gpu_s for one in part) for part in (told.users, told.queues, told.days)]
    assert sums[0] == pytest.approx(sums[1]) == pytest.approx(sums[2])
    assert "car" in {one.name for one in told.queues}
    assert any(one.failed_gpu_s > 0 for one in told.users)
    assert [one.name for one in told.days] == sorted((one.name for one in told.days), reverse=True)
    assert all(day_name(one.from_s) == one.name != day_name(one.to_s) for one in told.days)
    assert [one.from_s for one in told.days[:-1]] == [one.to_s for one in told.days[1:]]
