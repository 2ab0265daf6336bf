"""The history of GPUs: by minute and by quarter, on a disk of its own that may hold anything; and the ledgers."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_queue.console.api import history as api
from gpu_queue.console.history.keeper import Histories, directory_of, path_of
from gpu_queue.console.history.ledgers import parse_table, spent
from gpu_queue.console.history.minutes import QUANTITIES, Minutes, steps
from gpu_queue.console.history.store import MINUTES_KEPT_S, QUARTERS_KEPT_S, Store
from gpu_queue.console.models.history import History, Ledger
from gpu_queue.console.world.world import World
from gpu_queue.console.world.worlds import Worlds
from gpu_queue.keepalive.ledger import Kind
from gpu_queue.keepalive.ledger import Ledger as Table
from gpu_queue.spool.filesystem import make_spool
from gpu_queue.spool.pages import GpuPage, NodePage, write_page
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.states import GpuState
from tests.console.asking import Asker
from tests.console.stage.past import Machine, make_past

BEGIN = 1_700_000_100 // 900 * 900
KEY = "n1/GPU-a"


def reading(percent: int | None, watts: float | None = None) -> GpuPage:
    return GpuPage("GPU-a", 0, "H100", GpuState.BUSY, 80 << 30, 40 << 30, percent, watts)


def minutes(*readings: tuple[float, int | None]) -> list[Any]:
    made = Minutes()
    for at_s, percent in readings:
        made.add(KEY, BEGIN + at_s, reading(percent))
    return made.take(float("inf"))


def test_readings_of_a_minute_are_told_as_least_mean_and_most() -> None:
    made = Minutes()
    for at_s, percent in ((0, 10), (30, 90), (59, 20), (60, 70), (61, None)):
        made.add(KEY, BEGIN + at_s, reading(percent))
    assert made.take(BEGIN + 59) == []
    (first,) = made.take(BEGIN + 100)
    assert (first.at_s, first.readings, first.told[0], first.told[2]) == (BEGIN, 3, (10, 40, 90), None)
    (second,) = made.take(float("inf"))
    assert (second.at_s, second.readings, second.told[0]) == (BEGIN + 60, 2, (70, 70, 70))


@given(
    st.floats(1e9, 2e9), st.floats(1, 8e6), st.none() | st.floats(1, 1e7), st.sampled_from([60, 900]), st.just(2000)
)
def test_a_range_is_told_in_no_more_steps_than_may_be(
    from_s: float, length_s: float, step_s: float | None, grain_s: int, most: int
) -> None:
    first, step, count = steps(from_s, from_s + length_s, step_s, grain_s, most)
    assert 1 <= count <= most
    assert first <= from_s < first + step
    assert first + step * count >= from_s + length_s > first + step * (count - 1)
    assert step % grain_s == 0


# -- the database


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "state" / "gpu-queue" / "console" / "exp.sqlite")


def series(store: Store, first: int, step: int, count: int, quarters: bool = False) -> list[Any]:
    return [(at - BEGIN, *values[:3]) for at, values in store.read(KEY, first, step, count, quarters=quarters)]


def test_minutes_are_kept_and_put_together_to_quarters(path: str) -> None:
    store = Store.open(path, BEGIN).store
    store.write(minutes(*((60.0 * number, number) for number in range(30))), BEGIN + 1800)
    assert series(store, BEGIN, 60, 30)[:2] == [(0, 0, 0, 0), (60, 1, 1, 1)]
    assert series(store, BEGIN, 600, 3) == [(0, 0, 4.5, 9), (600, 10, 14.5, 19), (1200, 20, 24.5, 29)]
    assert series(store, BEGIN, 900, 2, quarters=True) == [(0, 0, 7, 14), (900, 15, 22, 29)]
    assert store.since_s(KEY) == BEGIN
    assert (store.since_s("n1/GPU-other"), store.read("n1/GPU-other", BEGIN, 60, 30, quarters=False)) == (None, [])
    assert os.stat(path).st_mode & 0o777 == 0o600
    store.close()


def test_a_quarter_that_is_put_together_again_grows_and_counts_nothing_twice(path: str) -> None:
    store = Store.open(path, BEGIN).store
    store.write(minutes((0, 10)), BEGIN + 900)
    store.write(minutes((60, 30), (960, 50)), BEGIN + 1900)
    assert series(store, BEGIN, 900, 2, quarters=True) == [(0, 10, 20, 30), (900, 50, 50, 50)]
    store.close()


def test_what_is_old_is_forgotten(path: str) -> None:
    store = Store.open(path, BEGIN).store
    store.write(minutes((0, 10)), BEGIN + 900)
    store.write(minutes((MINUTES_KEPT_S, 20)), BEGIN + MINUTES_KEPT_S + 960)
    assert series(store, BEGIN, 60, 2) == []
    assert series(store, BEGIN, 900, 1, quarters=True) == [(0, 10, 10, 10)]
    store.write(minutes((QUARTERS_KEPT_S, 20)), BEGIN + QUARTERS_KEPT_S + 1000)
    assert series(store, BEGIN, 900, 1, quarters=True) == []
    store.close()


def test_where_nobody_told_a_quantity_it_stays_unknown(path: str) -> None:
    store = Store.open(path, BEGIN).store
    store.write(minutes((0, None), (60, 40)), BEGIN + 200)
    ((_, values),) = store.read(KEY, BEGIN, 600, 1, quarters=False)
    assert values[:3] == (40, 40, 40)
    assert values[6:12] == (None,) * 6
    store.close()


@pytest.mark.parametrize(
    "content", [b"not a database at all, and longer than its header would be" * 20, b"\0" * 8192]
)
def test_what_is_no_database_is_put_aside_with_a_word(path: str, content: bytes) -> None:
    os.makedirs(os.path.dirname(path))
    Path(path).write_bytes(content)
    opened = Store.open(path, BEGIN)
    assert "put aside" in opened.words or "is exp.sqlite.aside-" in opened.words
    assert Path(f"{path}.aside-{BEGIN}").read_bytes() == content
    opened.store.write(minutes((0, 10)), BEGIN + 60)
    assert series(opened.store, BEGIN, 60, 1) == [(0, 10, 10, 10)]
    opened.store.close()


def test_a_database_of_something_else_is_put_aside_whole(path: str) -> None:
    os.makedirs(os.path.dirname(path))
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE recipes (name)")
    connection.close()
    opened = Store.open(path, BEGIN)
    assert "something else" in opened.words
    with sqlite3.connect(f"{path}.aside-{BEGIN}") as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("recipes",)]
    connection.close()
    opened.store.close()


def test_a_database_that_is_damaged_in_its_middle_is_put_aside(path: str) -> None:
    store = Store.open(path, BEGIN).store
    store.write(minutes(*((60.0 * number, number % 100) for number in range(3000))), BEGIN + 200_000)
    store.close()
    size = os.path.getsize(path)
    with open(path, "r+b") as file:
        file.seek(size // 2)
        file.write(b"\xff" * (size // 4))
    opened = Store.open(path, BEGIN)
    assert opened.words
    opened.store.write(minutes((0, 10)), BEGIN + 60)
    opened.store.close()


def test_of_two_consoles_one_writes_and_both_read(path: str) -> None:
    first, second = Store.open(path, BEGIN), Store.open(path, BEGIN)
    assert (first.store.is_writer, second.store.is_writer) == (True, False)
    assert "another console" in second.words
    first.store.write(minutes((0, 10)), BEGIN + 60)
    assert series(second.store, BEGIN, 60, 1) == [(0, 10, 10, 10)]
    first.store.close()
    third = Store.open(path, BEGIN)
    assert third.store.is_writer
    third.store.close()


def test_a_database_that_is_full_loses_its_oldest(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpu_queue.console.history.store.SIZE_MAX_BYTES", 128 << 10)
    store = Store.open(path, BEGIN).store
    for part in range(60):
        readings = ((60.0 * number, number % 100) for number in range(part * 100, part * 100 + 100))
        store.write(minutes(*readings), BEGIN + part * 6000)
    assert os.path.getsize(path) <= 160 << 10
    rows = series(store, BEGIN, 60, 6000)
    assert rows[0][0] > 0
    assert rows[-1][0] == 60 * 5999
    store.close()


# -- kept, and asked over HTTP


@pytest.fixture
def paths(tmp_path: Path) -> SpoolPaths:
    made = SpoolPaths(str(tmp_path / "root" / "exp"))
    before = os.umask(0o077)
    make_spool(made)
    os.umask(before)
    return made


def environment(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state")}


def test_node_files_are_sampled_without_anybody_who_looks(paths: SpoolPaths, tmp_path: Path) -> None:
    write_page(paths, NodePage("n1", gpus=(reading(40, 300.0),)))
    write_page(paths, NodePage("n0", gpus=(reading(40, 300.0),)))
    os.utime(paths.node_json("n0"), (1, 1))
    histories = Histories(environment(tmp_path))
    worlds = Worlds(str(tmp_path / "root"), default_job="exp")

    async def sample() -> World:
        histories.begin(worlds)
        kept = histories.of(paths)
        while not kept.marks:
            await asyncio.sleep(0.01)
        await histories.end()
        return await worlds.world("exp")

    world = asyncio.run(sample())
    assert not world.is_watched
    store = Store.open(path_of(directory_of(environment(tmp_path)), paths), time.time()).store
    assert store.is_writer
    now_s = int(time.time())
    ((_, values),) = store.read("n1/GPU-a", now_s - 3600, 7200, 1, quarters=False)
    assert values[:3] == (40, 40, 40)
    assert values[6:9] == (300, 300, 300)
    assert store.since_s("n0/GPU-a") is None, "that is long gone"
    store.close()


def test_a_history_is_told_on_a_grid_with_nothing_where_nothing_was_seen(paths: SpoolPaths, tmp_path: Path) -> None:
    histories = Histories(environment(tmp_path))
    now_s = time.time() // 60 * 60
    made = Minutes()
    for minute in range(10):
        made.add(KEY, now_s - 600 + 60 * minute, reading(10 * minute, 100.0))
    store = Store.open(path_of(histories.directory, paths), now_s).store
    store.write(made.take(float("inf")), now_s)
    store.close()
    ask = Asker(str(tmp_path / "root"), api.router, histories=histories)
    reply = ask("spools/exp/history", gpu=KEY, **{"from": now_s - 1200, "to": now_s, "step": 60})
    told = History.model_validate(reply.json())
    assert [one.quantity for one in told.series] == list(QUANTITIES)
    assert told.series[0].mean[-10:] == [10 * minute for minute in range(10)]
    assert told.series[0].mean[:10] == [None] * 10
    assert told.sampled_since_s == now_s - 600
    week = ask("spools/exp/history", gpu=KEY, **{"from": now_s - 80 * 86400, "to": now_s}).json()
    assert len(week["at_s"]) <= 2000
    assert week["step_s"] % 900 == 0
    assert ask("spools/exp/history").status_code == 422
    histories.close()


def test_without_history_it_says_so_and_makes_nothing(paths: SpoolPaths, tmp_path: Path) -> None:
    histories = Histories(environment(tmp_path), is_kept=False)
    ask = Asker(str(tmp_path / "root"), api.router, histories=histories)
    reply = ask("spools/exp/history", gpu=KEY)
    assert (reply.status_code, reply.json()["code"]) == (404, "no_history")
    assert not (tmp_path / "state").exists()


# -- ledgers


def test_ledgers_of_all_nodes_are_summed_by_day_by_node_and_by_gpu(paths: SpoolPaths, tmp_path: Path) -> None:
    machines = [Machine("gpu1-00000001", 2), Machine("gpu2-00000002", 2)]
    make_past(paths, machines, time.time(), tasks=60)
    ask = Asker(str(tmp_path / "root"), api.router, histories=Histories(environment(tmp_path)))
    by_day, by_node, by_gpu = (
        Ledger.model_validate(reply.json())
        for reply in ask.all(*(("spools/exp/ledger", {"days": 10, "by": by}) for by in ("day", "node", "gpu")))
    )
    assert by_day.rows == sorted(by_day.rows, key=lambda row: row.day, reverse=True)
    assert len(by_node.rows) == 2 * len(by_day.rows)
    for total in ("task_s", "keepalive_s", "task_j"):
        sums = [sum(getattr(row, total) for row in told.rows) for told in (by_day, by_node, by_gpu)]
        assert sums[0] == pytest.approx(sums[1]) == pytest.approx(sums[2])
        assert sums[0] > 0
    one = ask("spools/exp/ledger", days=1).json()["rows"]
    assert len(one) <= 1
    assert ask("spools/exp/ledger", days=0).status_code == 422


def test_a_table_as_agents_write_it_is_read_and_lines_that_are_none_are_left_out() -> None:
    table = Table()
    table.add("2026-11-23", "GPU-a", "H100", 0, Kind.TASK, 100, 5000)
    table.add("2026-11-23", "GPU-a", "H100", 0, Kind.LIGHT, 10, 500)
    text = f"{table.text()}garbage\n2026-11-23\tGPU-b\tx\n2026-11-24\tGPU-c\t0\tH100\tnan\t1\t1\t1\t1\t1\t1\t1\t1\n"
    (row,) = spent(parse_table("n1", text), "gpu")
    assert (row["day"], row["gpu"], row["task_s"], row["task_j"], row["keepalive_j"]) == (
        "2026-11-23",
        "n1/GPU-a",
        110,
        5000,
        500,
    )
    assert list(parse_table("n1", "")) == []
