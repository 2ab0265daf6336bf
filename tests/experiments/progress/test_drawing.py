"""What the screen looks like at three widths, and that it fits whatever is drawn on it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpu_queue.experiments.progress.bars import bar_of, shares
from gpu_queue.experiments.progress.drawing import Size, frame
from gpu_queue.experiments.progress.lines import UNICODE, Glyphs, Ink, line_width, text_of
from gpu_queue.experiments.progress.model import advance
from gpu_queue.experiments.progress.nouns import Agent, Counts, Progress, Standing
from gpu_queue.experiments.specs.nouns import Run
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
    waits,
)

ASCII = Glyphs.of("ascii")
HOSTILE = (
    "x[red]",
    "[/b]",
    "a\x1b[2Jb",
    "超长的中文任务名称-消融实验-第三版-重跑",
    "bad\udcff\udc80name",
    "e\u0301\u200b",
    "n" * 99,
)


def lines_of(progress: Progress, columns: int, rows: int = 24, glyphs: Glyphs = UNICODE) -> list[str]:
    found = frame(progress, Size(columns, rows), glyphs)
    texts = [text_of(line) for line in found]
    assert [text for line, text in zip(found, texts, strict=True) if line_width(line) > columns] == []
    assert [text for text in texts if text != text.rstrip()] == []
    assert len(texts) <= rows
    return texts


def hostile() -> Progress:
    names = [a_run(name, group="[/b] 组\x1b[31m") for name in HOSTILE]
    found = {run.name: runs(place, 65.0 * place, place, node="结\x1b点") for place, run in enumerate(names)}
    names.append(a_run("\x07", "[/b] 组\x1b[31m"))
    found["\x07"] = waits(9, Code.SCRIPT, problem="\x1b]0;x\x07 [bold]")
    return advance(an_experiment(*names), found, NOW, agent=replace(SERVING, said="\x1b[2J"))


@pytest.mark.parametrize("columns", [120, 80, 40])
def test_the_screen_is_as_it_was(columns: int) -> None:
    compare(f"screen-{columns}.txt", lines_of(halfway().progress(), columns - 1, 39))


@pytest.mark.parametrize("columns", [120, 80, 40])
def test_hostile_names_stand_there_as_names(columns: int) -> None:
    compare(f"hostile-{columns}.txt", lines_of(hostile(), columns - 1))


def test_a_terminal_without_unicode() -> None:
    found = lines_of(halfway().progress(), 79, glyphs=ASCII)
    assert "".join(found).isascii()
    compare("ascii-80.txt", found)


@pytest.mark.parametrize("rows", [12, 8, 5, 3, 2, 1])
def test_a_low_screen_shows_less_of_each_and_says_so(rows: int) -> None:
    found = lines_of(halfway().progress(), 79, rows)
    assert len(found) == rows or rows == 12
    assert "12/29 done" in "".join(found)
    compare(f"low-80-{rows}.txt", found)


def test_of_many_groups_those_that_run_are_shown_and_the_sum_of_all() -> None:
    names = [a_run(f"r{place}", f"group{place}") for place in range(60)]
    found = {run.name: done(place, 9) for place, run in enumerate(names)}
    found["r40"], found["r41"] = runs(40, 9, 0), waits(41)
    texts = lines_of(advance(an_experiment(*names), found, NOW, agent=SERVING), 99, 20)
    heads = [text.split()[0] for text in texts]
    assert {"group40", "group41", "all", "RUNNING", "WAITING"} <= {*heads}
    assert next(text for text in texts if "more groups" in text).startswith("…")
    assert "58/60 done" in next(text for text in texts if text.startswith("all"))


def test_of_many_that_run_the_longest_are_shown() -> None:
    names = [a_run(f"r{place}") for place in range(300)]
    found = {run.name: runs(place, place, place % 8) for place, run in enumerate(names)}
    texts = lines_of(advance(an_experiment(*names), found, NOW, agent=SERVING), 99, 20)
    assert texts[1].startswith("RUNNING 300")
    assert texts[2].split()[0] == "r299"
    assert texts[-1] == "  … 283 more"


def test_what_waits_for_different_things_is_told_of_each_kind() -> None:
    names = [a_run(f"r{place}") for place in range(5)]
    kinds = [Code.GPUS, Code.BEHIND, Code.PAUSED, Code.NEXT, Code.UNREAD]
    found = {run.name: waits(place, kind) for place, (run, kind) in enumerate(zip(names, kinds, strict=True))}
    texts = lines_of(advance(an_experiment(*names), found, NOW, agent=SERVING), 99)
    assert [text.split()[0] for text in texts[-4:]] == ["WAITING", "r0", "r2", "r3"]


def test_an_agent_that_does_not_serve_is_told_of_first() -> None:
    said = Agent(AgentState.PAUSED, said="alice: new driver")
    assert lines_of(advance(an_experiment(a_run("a")), {}, NOW, agent=said), 80)[0] == "paused: alice: new driver"
    assert lines_of(advance(an_experiment(a_run("a")), {}, NOW), 80)[0] == "waiting for an agent"


def test_of_a_running_one_its_limit_its_try_and_what_it_is_about_are_told() -> None:
    limited = replace(runs(1, 5, 0, tries=3), limit_s=14400.0, stage="ending")
    unknown = replace(runs(2, 5), gpus=None, since=None)
    found = advance(an_experiment(a_run("a"), a_run("b")), {"a": limited, "b": unknown}, NOW, agent=SERVING)
    texts = lines_of(found, 80)
    assert texts[-2].split() == ["a", "0", "gpu7", "5s", "/", "4h00m", "try", "3", "ending"]
    assert texts[-1].split() == ["b", "?", "gpu7", "?"]


def test_nothing_moves_when_a_number_or_a_time_has_one_digit_more() -> None:
    names = [a_run(f"r{place:03d}") for place in range(120)]
    experiment = an_experiment(*names)
    starts = []
    for count, seconds in ((1, 3.0), (99, 100.0), (100, 3700.0)):
        found = {run.name: done(9, 9) if place < count else waits(9) for place, run in enumerate(names)}
        found["r119"] = runs(9, seconds, 0)
        texts = lines_of(advance(experiment, found, NOW, agent=SERVING), 119)
        starts.append([texts[0].index("░"), texts[0].index("done"), texts[0].index("running"), texts[1].index("GPU")])
    assert [start[1:] for start in starts] == [starts[0][1:]] * 3


# -- bars


def test_a_bar_has_a_cell_for_whatever_there_is() -> None:
    bar = bar_of(Counts(done=990, failed=1, running=8, waiting=1), 20, UNICODE)
    assert "".join(text for text, _ in bar) == "█████████████████✗▒░"
    assert [ink for _, ink in bar] == [Ink.DONE, Ink.FAILED, Ink.RUNNING, Ink.WAITING]


def test_a_bar_is_full_only_when_all_is_done() -> None:
    full = bar_of(Counts(done=1000), 10, UNICODE)
    assert "".join(text for text, _ in full) == "█" * 10
    assert "".join(text for text, _ in bar_of(Counts(done=999, waiting=1), 10, UNICODE)) == "█" * 9 + "░"


@given(st.lists(st.integers(0, 5000), min_size=4, max_size=4), st.integers(1, 60))
def test_cells_are_shared_out_by_counts(counts: list[int], cells: int) -> None:
    found = shares(counts, cells)
    if not any(counts):
        assert found == [0] * 4
        return
    kinds = sum(count > 0 for count in counts)
    assert all(share >= 0 and (count or not share) for count, share in zip(counts, found, strict=True))
    assert sum(found) == cells
    if cells >= kinds:
        assert all(share for count, share in zip(counts, found, strict=True) if count)
        exact = [count * cells / sum(counts) for count in counts]
        # What is more than its share gave nothing away, but for those that would have had none.
        assert max(abs(share - one) for share, one in zip(found, exact, strict=True)) < 4


_NAMES = st.text(st.characters(codec=None), min_size=1, max_size=30) | st.sampled_from(HOSTILE)
_STANDINGS = st.builds(
    lambda kind, number, seconds: (
        waits(number, Code.GPUS, needed=1, idle=0)
        if kind == 0
        else runs(number, seconds, *range(number % 9))
        if kind == 1
        else done(number, seconds)
        if kind == 2
        else failed(number, seconds)
    ),
    st.integers(0, 3),
    st.integers(0, 999),
    st.floats(0, 1e7),
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=150)
@given(
    st.dictionaries(_NAMES, st.tuples(_NAMES, _STANDINGS), min_size=1, max_size=40),
    st.integers(1, 140),
    st.integers(1, 50),
    st.sampled_from([UNICODE, ASCII]),
)
def test_whatever_runs_it_fits_the_terminal(
    found: dict[str, tuple[str, Standing]], columns: int, rows: int, glyphs: Glyphs
) -> None:
    listed: list[Run] = [a_run(name, group) for name, (group, _) in found.items()]
    standings = {name: standing for name, (_, standing) in found.items()}
    progress = advance(an_experiment(*listed), standings, NOW, agent=SERVING)
    for text in lines_of(progress, columns, rows, glyphs):
        assert text.isprintable()
        text.encode(glyphs.encoding)
