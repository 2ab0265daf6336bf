"""Progress without a terminal: lines for a pipe, a file, a log of CI."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from gpu_queue.experiments.progress.model import advance
from gpu_queue.experiments.progress.nouns import Agent, Progress, Queue, Standing
from gpu_queue.experiments.progress.plain import PlainDisplay
from gpu_queue.reasons import Code
from gpu_queue.states import AgentState
from tests.experiments.progress.golden import compare
from tests.experiments.progress.samples import (
    NOW,
    SERVING,
    a_run,
    an_experiment,
    done,
    failed,
    halfway,
    runs,
    task_id,
    waits,
)
from tests.experiments.progress.test_drawing import HOSTILE


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpu_queue.experiments.progress.plain.format_clock", lambda now: f"{now - NOW:+06.0f}")


class Pipe:
    """A stream that is no terminal, and the lines that came out of it."""

    def __init__(self, encoding: str = "utf-8") -> None:
        self._raw = io.BytesIO()
        self.stream = io.TextIOWrapper(self._raw, encoding=encoding)
        self.display = PlainDisplay(self.stream)
        self._progress: Progress | None = None

    def show(self, now: float, standings: Mapping[str, Standing], *names: str, agent: Agent = SERVING) -> list[str]:
        experiment = an_experiment(*(a_run(name) for name in names or standings))
        self._progress = advance(experiment, standings, now, agent=agent, before=self._progress)
        return self.draw(self._progress)

    def draw(self, progress: Progress) -> list[str]:
        start = self._raw.tell()
        self.display.show(progress)
        self._raw.seek(start)
        return self._raw.read().decode(self.stream.encoding).splitlines()

    @property
    def lines(self) -> list[str]:
        return self._raw.getvalue().decode(self.stream.encoding).splitlines()


def test_a_story_in_lines(tmp_path: Path) -> None:
    log = tmp_path / "b.log"
    log.write_text("epoch 1\nTraceback (most recent call last):\n\x1b[31mValueError: x\x1b[0m\n==== exit 1\n")
    pipe, names = Pipe(), ("a", "b", "c", "d")
    now = {name: waits(place, Code.UNREAD) for place, name in enumerate(names)}
    now["d"] = done(3, 7)
    pipe.show(NOW, now, agent=Agent())
    pipe.show(NOW + 1, now)
    now |= {"a": runs(0, 0, 0, now=NOW + 2), "b": runs(1, 0, 1, 2, now=NOW + 2)}
    pipe.show(NOW + 2, now)
    now["b"] = replace(failed(1, 3, log=str(log)), link="logs/b.log")
    pipe.show(NOW + 5, now)
    now["c"] = replace(waits(2, Code.BACKOFF, failures=1, left_s=30), tries=1, failures=1, outcome="failed(2)")
    now["c"] = replace(now["c"], ran_s=4.0)
    pipe.show(NOW + 9, now)
    pipe.show(NOW + 61, now, agent=replace(SERVING, starts=2, ended="its process was killed"))
    now["a"] = replace(waits(0, Code.GPUS, needed=1, idle=0, busy=2), tries=1, outcome="requeued")
    pipe.show(NOW + 62, now, agent=Agent(AgentState.PAUSED, starts=2, said="alice"))
    pipe.show(NOW + 122, now, agent=replace(SERVING, starts=2))
    now |= {"a": done(0, 90), "c": Standing(task_id(2))}
    pipe.show(NOW + 200, now, agent=replace(SERVING, starts=2))
    pipe.display.say("the end")
    lines = [line.replace(str(tmp_path), "/tmp") for line in pipe.lines[:-1]]
    compare("plain.txt", lines)
    assert pipe.lines[-1].endswith(" the end")


def test_an_agent_serves_before_its_first_run_starts() -> None:
    pipe = Pipe()
    pipe.show(NOW, {"a": waits(1)}, agent=Agent())
    serves, starts = pipe.show(NOW + 1, {"a": runs(1, 0, 0, now=NOW + 1)})
    assert serves.endswith("the agent serves it")
    assert "started" in starts


def test_a_run_that_is_done_is_told_of_once_with_how_long_it_took() -> None:
    pipe = Pipe()
    unread = replace(done(1, 3), tries=0, outcome="", ran_s=None)
    pipe.show(NOW, {"a": waits(1)})
    assert pipe.show(NOW + 1, {"a": unread}) == []
    told, over = pipe.show(NOW + 2, {"a": done(1, 3)})
    assert told.endswith("done     a (c0e101) after 3.0s")
    assert "1 of 1 done" in over
    assert pipe.show(NOW + 3, {"a": done(1, 3)}) == []


def test_a_run_of_which_nothing_is_written_down_is_told_of_all_the_same() -> None:
    pipe = Pipe()
    unread = replace(done(1, 3), tries=0, outcome="", ran_s=None)
    pipe.show(NOW, {"a": waits(1)})
    pipe.show(NOW + 1, {"a": unread})
    assert [line[7:] for line in pipe.show(NOW + 2, {"a": unread})] == ["done     a (c0e101)", "1 of 1 done; 2s"]


def test_nothing_is_written_between_two_minutes_while_nothing_happens() -> None:
    pipe = Pipe()
    assert pipe.show(NOW, {"a": runs(1, 0, 0)}) == ["+00000 0 of 1 done, 1 running; 0s"]
    for second in range(1, 60):
        assert pipe.show(NOW + second, {"a": runs(1, second, 0, now=NOW + second)}) == []
    assert pipe.show(NOW + 60, {"a": runs(1, 60, 0, now=NOW + 60)}) == ["+00060 0 of 1 done, 1 running; 1m00s"]


def test_when_all_has_ended_nothing_is_said_of_the_agent_any_more() -> None:
    pipe = Pipe()
    assert "+00000 waiting for an agent" in pipe.show(NOW, {"a": waits(1)}, agent=Agent())
    assert [line for line in pipe.show(NOW + 1, {"a": done(1, 1)}) if "serves it" in line] == []


def test_each_line_is_there_at_once(tmp_path: Path) -> None:
    with open(tmp_path / "out", "w", encoding="utf-8") as stream:
        PlainDisplay(stream).show(halfway().progress())
        assert (tmp_path / "out").read_text().endswith("10m left\n")


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "gbk"])
def test_hostile_names_are_lines_of_text_and_nothing_else(encoding: str) -> None:
    pipe = Pipe(encoding)
    pipe.show(NOW, {name: waits(place, Code.SCRIPT, problem="\x1b[2J\n") for place, name in enumerate(HOSTILE)})
    pipe.show(NOW + 1, {name: runs(place, 0, 0) for place, name in enumerate(HOSTILE)})
    pipe.show(
        NOW + 2, {name: replace(failed(place, 1), problem="\x1b\n\udcff") for place, name in enumerate(HOSTILE)}
    )
    assert len(pipe.lines) == 2 + 3 * len(HOSTILE) + 1
    assert all(line.isprintable() for line in pipe.lines)


def test_at_the_end_there_is_the_summary() -> None:
    pipe = Pipe()
    progress = advance(an_experiment(a_run("a")), {"a": done(1, 3)}, NOW)
    pipe.draw(progress)
    pipe.display.end(progress, Queue("/q", "jobs", logs=("logs",)))
    assert pipe.lines[-2:] == ["Logs: logs", "1 of 1 done; 0s"]
