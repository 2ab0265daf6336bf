"""A node's history: what is written is read once, whatever cuts the writer or the reader off."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gpu_queue.spool import events as module
from gpu_queue.spool.events import Event, EventLog, Place, read_events
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.task import Claim

CLAIM = Claim(500, "20260101T000000000-abcdef-x.sh", 1, "0a0b0c")
STARTED = ("started", 1000.0, {"gpus": ["GPU-0"], "name": "x.sh"})
SETTLED = ("settled", 1002.0, {"outcome": "succeeded", "status": 0})


@pytest.fixture
def paths(tmp_path: Path) -> SpoolPaths:
    (tmp_path / "events").mkdir()
    return SpoolPaths(str(tmp_path))


def kinds(found: list[Event]) -> list[str]:
    return [one.kind for one in found]


def test_what_is_written_is_read(paths: SpoolPaths) -> None:
    log = EventLog(paths, "n1")
    log.add(CLAIM, STARTED, SETTLED)
    log.add(None, ("retired", 2000.0, {"node": "n2"}))
    found, _ = read_events(paths, "n1", Place())
    assert found == [
        Event("started", 1000.0, "n1", CLAIM, gpus=("GPU-0",), name="x.sh"),
        Event("settled", 1002.0, "n1", CLAIM, outcome="succeeded", status=0),
        Event("retired", 2000.0, "n1", other_node="n2"),
    ]


def test_each_event_is_read_once(paths: SpoolPaths) -> None:
    log = EventLog(paths, "n1")
    assert read_events(paths, "n1", Place()) == ([], Place()), "there is no history yet"
    log.add(CLAIM, STARTED)
    found, place = read_events(paths, "n1", Place())
    assert (kinds(found), read_events(paths, "n1", place)) == (["started"], ([], place))
    log.add(CLAIM, SETTLED)
    assert kinds(read_events(paths, "n1", place)[0]) == ["settled"]


def test_half_a_line_is_read_when_it_is_whole(paths: SpoolPaths) -> None:
    log = EventLog(paths, "n1")
    log.add(CLAIM, STARTED, SETTLED)
    path = Path(paths.events("n1"))
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    found, place = read_events(paths, "n1", Place())
    assert kinds(found) == ["started"]
    path.write_bytes(whole)
    assert kinds(read_events(paths, "n1", place)[0]) == ["settled"]


def test_the_torn_line_of_a_killed_agent_costs_the_next_one_nothing(paths: SpoolPaths) -> None:
    EventLog(paths, "n1").add(CLAIM, STARTED)
    path = Path(paths.events("n1"))
    path.write_bytes(path.read_bytes() + b'{"at": "2026-01-01T0')
    EventLog(paths, "n1").add(CLAIM, SETTLED)
    assert kinds(read_events(paths, "n1", Place())[0]) == ["started", "settled"]


def test_of_a_long_history_the_end_is_read(paths: SpoolPaths) -> None:
    log = EventLog(paths, "n1")
    for number in range(20):
        log.add(None, (f"e{number}", 0.0, {}))
    size_bytes = os.stat(paths.events("n1")).st_size
    found, _ = read_events(paths, "n1", Place(), limit_bytes=size_bytes // 4)
    assert kinds(found)[-1] == "e19"
    assert 2 <= len(found) <= 5


def test_a_history_that_grew_large_is_put_aside_and_the_reader_goes_on_in_the_new_one(
    paths: SpoolPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROTATE_AT_BYTES", 1000)
    log = EventLog(paths, "n1")
    log.add(None, ("the first", 0.0, {}))
    _, place = read_events(paths, "n1", Place())
    log.add(None, ("the last", 0.0, {"long": "x" * 1000}))
    log.add(None, ("the next", 0.0, {}))
    assert kinds(read_events(paths, "n1", place)[0]) == ["the next"]
    assert b"the last" in Path(f"{paths.events('n1')}.1").read_bytes().splitlines()[-1]


def test_a_history_that_is_too_large_already_is_put_aside_by_the_next_event(paths: SpoolPaths) -> None:
    with open(paths.events("n1"), "wb") as file:
        file.truncate(1 << 30)
    log = EventLog(paths, "n1")
    log.add(None, ("the last", 0.0, {}))
    assert not Path(paths.events("n1")).exists()
    log.add(None, ("the next", 0.0, {}))
    assert Path(paths.events("n1")).stat().st_size < 1000
