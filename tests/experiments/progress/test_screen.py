"""The live screen in a real terminal: what stands there, what stays, and what is written for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("rich", reason="rich is not installed: make venv")
pytest.importorskip("pyte", reason="pyte is not installed: make venv")

from gpu_queue.experiments.progress.model import advance
from gpu_queue.experiments.progress.nouns import Progress, Queue, Standing
from gpu_queue.experiments.progress.screen import ScreenDisplay
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
    waits,
)
from tests.experiments.progress.terminal import Terminal
from tests.experiments.progress.test_drawing import HOSTILE

NAMES = tuple(a_run(f"mnist_s{place}") for place in range(6))
LONG = "RuntimeError: CUDA error: device-side assert triggered; for debugging consider passing CUDA_LAUNCH_BLOCKING=1"


@pytest.fixture(autouse=True)
def _a_terminal_of_sixteen_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM", "COLUMNS", "LINES", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    made: list[Terminal] = []
    yield made
    for one in made:
        one.close()


class Story:
    """An experiment of which more and more is known."""

    def __init__(self, terminal: Terminal, *names: object) -> None:
        self.experiment = an_experiment(*(names or NAMES))  # type: ignore[arg-type]
        self.display = ScreenDisplay(terminal.stream)
        self.standings: dict[str, Standing] = {
            run.name: waits(place) for place, run in enumerate(self.experiment.runs)
        }
        self.now = NOW
        self.progress: Progress | None = None

    def goes_on(self, seconds: float = 1.0, /, **standings: Standing) -> None:
        self.now += seconds
        self.standings.update(standings)
        self.progress = advance(self.experiment, self.standings, self.now, agent=SERVING, before=self.progress)
        self.display.show(self.progress)


@pytest.mark.parametrize("columns", [120, 80, 40])
def test_the_live_screen_is_as_it_was(terminals: list[Terminal], tmp_path: Path, columns: int) -> None:
    log = tmp_path / "a.log"
    log.write_text(
        f'Traceback (most recent call last):\n  File "test.py", line 7, in <module>\n{LONG}\n==== exit 1\n'
    )
    terminals.append(Terminal(columns, 40))
    half = halfway(str(log))
    display = ScreenDisplay(terminals[0].stream)
    link = replace(half.second["cifar10_fedavg_s0"], link="logs/multi_seed/cifar10_fedavg_s0.log")
    first = advance(half.experiment, half.first, NOW - 724, agent=SERVING)
    display.show(first)
    second = advance(half.experiment, {**half.second, "cifar10_fedavg_s0": link}, NOW, agent=SERVING, before=first)
    display.show(second)
    compare(f"live-{columns}.txt", terminals[0].look())
    assert terminals[0].cursor[1] == 0
    assert terminals[0].shows_cursor


def test_what_is_drawn_is_drawn_over_and_failures_stay_above_it(terminals: list[Terminal], tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("one\ntwo\n")
    terminals.append(Terminal(80, 12))
    story = Story(terminals[0])
    story.goes_on()
    for place in range(6):
        name = f"mnist_s{place}"
        story.goes_on(**{name: runs(place, 0, 0, now=story.now + 1)})
        story.goes_on(9, **{name: failed(place, 9, log=str(tmp_path / "a.log")) if place == 1 else done(place, 9)})
    lines = terminals[0].look()
    assert [line for line in lines if "mnist" in line] == [
        "FAILED mnist_s1 (c0e101): exit status 1 (oom) after 9.0s on GPU 1 of gpu7"
    ]
    assert lines[1:3] == ["    one", "    two"]
    assert [line for line in lines if line.startswith("multi_seed")] == lines[-1:]
    assert "5/6 done" in lines[-1]


def test_a_screen_that_is_full_scrolls_what_stays_and_nothing_is_left_over(
    terminals: list[Terminal], tmp_path: Path
) -> None:
    names = [a_run(f"r{place}") for place in range(40)]
    terminals.append(Terminal(80, 10))
    story = Story(terminals[0], *names)
    story.goes_on()
    for place in range(40):
        log = tmp_path / f"{place}.log"
        log.write_text(f"error {place}\n")
        ended = {f"r{place}": failed(place, 1, log=str(log))}
        story.goes_on(30, **ended, **{f"r{more}": runs(more, 1, 0) for more in range(place + 1, min(place + 9, 40))})
    lines = terminals[0].look()
    assert [line.strip() for line in lines if "error" in line] == [f"error {place}" for place in range(40)]
    assert [line.split()[1] for line in lines if line.startswith("FAILED")] == [run.name for run in names]
    assert sum(line.startswith("multi_seed") for line in lines) == 1
    assert sum(line.startswith(("RUNNING", "WAITING")) for line in lines) == 0


def test_nothing_is_written_while_nothing_changes_and_little_when_a_second_has_passed(
    terminals: list[Terminal],
) -> None:
    terminals.append(Terminal(120, 40))
    story = Story(terminals[0])
    story.goes_on(mnist_s0=runs(0, 30, 0))
    terminals[0].look()
    for _ in range(3):
        story.goes_on(0.25)
    terminals[0].look()
    assert terminals[0].raw == b""
    story.goes_on(0.25)
    terminals[0].look()
    assert b"mnist_s0" in terminals[0].raw
    assert b"RUNNING" not in terminals[0].raw
    assert b"WAITING" not in terminals[0].raw
    assert b"\x1b[2J" not in terminals[0].raw  # nothing is wiped: it would flicker


def test_each_frame_is_shown_as_a_whole_and_leaves_the_cursor_there(terminals: list[Terminal]) -> None:
    terminals.append(Terminal())
    story = Story(terminals[0])
    for place in range(3):
        story.goes_on(1, **{f"mnist_s{place}": runs(place, 0, 0)})
        terminals[0].look()
        assert terminals[0].raw.startswith(b"\x1b[?2026h\x1b[?25l")
        assert terminals[0].raw.endswith(b"\x1b[?25h\x1b[?2026l")
        assert terminals[0].raw.count(b"\x1b[?25l") == 1
        assert terminals[0].shows_cursor


def test_the_size_of_the_terminal_may_change(terminals: list[Terminal]) -> None:
    terminals.append(Terminal(120, 30))
    story = Story(terminals[0])
    story.goes_on(mnist_s0=runs(0, 30, 0))
    for columns, rows in ((70, 30), (40, 30), (130, 30), (90, 40)):
        terminals[0].look()
        terminals[0].resize(columns, rows)
        story.goes_on(0.25)
        lines = terminals[0].look()
        assert all(len(line) < columns for line in lines[-5:])
        assert sum("0/6 done" in line for line in lines[-rows:]) == 1
        assert lines[-1].startswith(("WAITING", "  mnist_s1"))


def test_colours_are_left_out_where_they_are_not_wanted(
    terminals: list[Terminal], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminals.append(Terminal())
    Story(terminals[0]).goes_on(mnist_s0=done(0, 9), mnist_s1=runs(1, 9, 0))
    terminals[0].look()
    assert {"green", "cyan"} <= terminals[0].colours()
    monkeypatch.setenv("NO_COLOR", "1")
    terminals.append(Terminal())
    Story(terminals[1]).goes_on(mnist_s0=done(0, 9), mnist_s1=runs(1, 9, 0))
    terminals[1].look()
    assert terminals[1].colours() == {"default"}


def test_a_terminal_of_ascii_gets_ascii(terminals: list[Terminal]) -> None:
    terminals.append(Terminal(encoding="ascii"))
    story = Story(terminals[0], *(a_run(name, "组") for name in HOSTILE))
    story.goes_on()
    story.goes_on(**{HOSTILE[3]: failed(3, 9)})
    assert "".join(terminals[0].look()).isascii()
    assert "[xx" in "".join(terminals[0].look())


def test_hostile_names_change_nothing_on_the_terminal(terminals: list[Terminal], tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b"\x1b[2J\x1b[Hgone\n\x1b]0;title\x07\xff[red]\n[/b]\n\x1b[31mred\n")
    terminals.append(Terminal(100, 50))
    names = [a_run(name) for name in HOSTILE]
    story = Story(terminals[0], *names)
    story.goes_on()
    story.goes_on(**{run.name: runs(place, 0, place) for place, run in enumerate(names)})
    ended = {
        run.name: replace(
            failed(place, 9, log=str(tmp_path / "a.log")), problem="\x1b[2J[/i]", link="/l/\x1b[H/x\n.log"
        )
        for place, run in enumerate(names)
    }
    story.goes_on(**ended)
    compare("live-hostile.txt", [line.replace(str(tmp_path), "/tmp") for line in terminals[0].look()])
    assert terminals[0].colours() <= {"default", "green", "red", "cyan"}


def test_a_line_that_is_said_stays_above(terminals: list[Terminal]) -> None:
    terminals.append(Terminal())
    story = Story(terminals[0])
    story.display.say("24 runs of jobs.yaml")
    story.goes_on()
    story.display.say("note: [b]\x1b[2J")
    story.goes_on()
    lines = terminals[0].look()
    assert lines[:2] == ["24 runs of jobs.yaml", "note: [b]?[2J"]
    assert lines[2] == ""
    assert lines[3].startswith("multi_seed")
    assert len(lines) == 6


def test_a_question_can_be_asked_below_what_is_drawn_and_it_goes_on_below_that(terminals: list[Terminal]) -> None:
    terminals.append(Terminal())
    story = Story(terminals[0])
    story.goes_on()
    terminals[0].stream.write("^C")  # as the terminal does
    story.display.close()
    terminals[0].stream.write("Leave it running? [Y/n] \n")
    story.goes_on(mnist_s0=runs(0, 1, 0))
    lines = terminals[0].look()
    asked = lines.index("Leave it running? [Y/n]")
    assert lines[0].startswith("multi_seed")
    assert lines[asked - 1].startswith("  mnist_s0")
    assert lines[asked + 2].startswith("multi_seed")
    assert not any("^C" in line for line in lines)


def test_at_the_end_the_summary_takes_the_place_of_what_is_drawn(terminals: list[Terminal]) -> None:
    terminals.append(Terminal())
    story = Story(terminals[0])
    story.goes_on(mnist_s0=runs(0, 0, 0, now=NOW + 1))
    story.goes_on(9, **{run.name: done(place, 3) for place, run in enumerate(NAMES[1:], 1)}, mnist_s0=failed(0, 9))
    assert story.progress is not None
    story.display.end(story.progress, Queue("/q", "jobs", is_set=True, logs=("logs/multi_seed",)))
    lines = terminals[0].look()
    assert lines[0].startswith("FAILED mnist_s0")
    assert not any("✗" in line for line in lines)
    assert lines[2:5] == [
        "",
        "GROUP       RUNS  DONE  FAILED  TIME  MEDIAN RUN  GPU-HOURS",
        "multi_seed     6     5       1    9s        3.0s       0.01",
    ]
    assert lines[-1] == "5 of 6 done, 1 failed; 9s"
    assert terminals[0].cursor[1] == 0
