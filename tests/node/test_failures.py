"""What kind of failure a log tells of: ends of logs as people have met them, and what hostile ones cost."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_queue.node.failures import TAIL_BYTES, by_its_end, by_its_log, told
from gpu_queue.task import Abnormal, End, ErrorType, Why

CORPUS = Path(__file__).parent.parent / "corpus" / "failures.txt"


@dataclass(frozen=True)
class Row:
    expected: ErrorType
    status: int
    title: str
    log: bytes


def corpus() -> list[Row]:
    rows = []
    for block in CORPUS.read_bytes().split(b"\n#### ")[1:]:
        head, _, log = block.partition(b"\n")
        kind, status, title = head.decode().split(" ", 2)
        rows.append(Row(ErrorType(kind), int(status), title, log))
    return rows


@pytest.mark.parametrize("row", corpus(), ids=lambda row: f"{row.expected.value}: {row.title}")
def test_a_log_tells_what_kind_of_failure_it_was(row: Row) -> None:
    assert by_its_log(row.status, row.log) is row.expected


def test_the_corpus_has_each_kind_but_what_no_log_can_tell() -> None:
    rows = corpus()
    assert {row.expected for row in rows} == set(ErrorType) - {ErrorType.NODE_LOST}
    assert len({row.title for row in rows}) == len(rows) >= 50


@pytest.mark.parametrize("why", [None, *Why])
def test_a_try_that_succeeded_has_no_error(why: Why | None) -> None:
    if why is not Why.NOSTART:
        assert by_its_end(End(0, why), None) == ""


@pytest.mark.parametrize(
    ("why", "told"),
    [
        (Why.TIMEOUT, "timeout"),
        (Why.LOST, "node_lost"),
        (Why.FENCED, "node_lost"),
        (Why.REQUEUE, ""),
        (Why.STOPPED, ""),
        (Why.NOSTART, ""),
    ],
)
def test_what_was_ended_on_purpose_is_told_by_that_and_no_log_is_read(why: Why, told: str) -> None:
    assert by_its_end(End(143, why), None) == told
    assert by_its_end(End(0, why), Abnormal("oom")) == told


def test_a_scripts_own_word_counts_for_more_than_its_log_unless_it_is_none() -> None:
    assert by_its_end(End(0), Abnormal("my_own.word")) == "my_own.word"
    assert by_its_end(End(1), Abnormal("oom")) == "oom"
    for nothing in ("", "unknown", "two words", "\x1b[31m", "x" * 41, "日本"):
        assert by_its_end(End(0), Abnormal(nothing)) is None, nothing
    assert by_its_end(End(1), None) is None


def test_the_last_line_of_a_log_says_it_where_it_is_known() -> None:
    assert told("==== exit 1 after 2.0 s\n", "oom") == "==== exit 1 after 2.0 s (oom)\n"
    assert told("==== left\n==== exit 143 (told TERM)\n", "signal") == "==== left\n==== exit 143 (told TERM)\n"
    assert told("==== exit 1\n", "unknown") == "==== exit 1\n"
    assert told("", "oom") == ""


@given(st.binary(max_size=4000), st.integers(0, 255))
def test_any_bytes_are_read(said: bytes, status: int) -> None:
    assert by_its_log(status, said) in ErrorType


@pytest.mark.parametrize(
    "piece",
    [
        *(
            b"",
            b"\n",
            b"\r",
            b" ",
            b"a",
            b"\x1b[",
            b"Error",
            b"Error\n",
            b"a.",
            b"[x]",
            b"1:",
            b"(x) [y] ",
            b"==== \n",
        ),
        *(b"oom ", b"no run ", b"no ", b"if out of memory ", b"out of memory skipp", b"_"),
        *(
            b"RESOURCE_EXHAUSTED: ",
            b"Error:",
            b"x.y.z.",
            b": line 1: 2 ",
            b"aError ",
            b"\noom",
            b"==== exit 1\n",
            b"not a an any more cuda ",
        ),
    ],
)
def test_a_hostile_log_costs_no_more_than_a_moment(piece: bytes) -> None:
    said = (piece * (TAIL_BYTES // max(1, len(piece))))[:TAIL_BYTES]
    best_s = float("inf")
    for _ in range(3):
        began = time.process_time()
        by_its_log(1, said)
        best_s = min(best_s, time.process_time() - began)
    assert best_s < 0.5
