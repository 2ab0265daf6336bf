"""The page of the GPU report: it says what was measured, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from gpu_report import MOST_S, PARTS, START_S
from keepalive_page import FACTS, NOT_MEASURED, TARGETS, Row, Said, render
from keepalive_page import PARTS as PARTS_OF_THE_PAGE
from keepalive_record import MARKS, PAGE, RESULTS

ROOT = Path(__file__).parents[2]


def results(device: str = "NVIDIA H100 80GB HBM3", **parts: Any) -> dict[str, Any]:
    return {"device": device, "machine": {"cores": "16"}, "parts": parts, "problems": {}}


@pytest.mark.parametrize(
    ("row", "target", "value", "shown", "verdict"),
    [
        (Row("a", "p.v", " %", 1, least=99), ">= 99 %", 99.0, "99.0 %", "met"),
        (Row("a", "p.v", " %", 1, least=99), ">= 99 %", 98.96, "99.0 %", "missed"),
        (Row("a", "p.v", " ms", 0, most=15), "<= 15 ms", 16, "16 ms", "missed"),
        (Row("a", "p.v", " %", 1, least=58, most=62), "58-62 %", 60.2, "60.2 %", "met"),
        (Row("a", "p.v", " s", 2, most=1.0, scale=0.001), "<= 1 s", 640, "0.64 s", "met"),
        (Row("a", "p.v"), "", 3, "3.0", ""),
        (Row("a", "p.v", most=3), "<= 3", None, NOT_MEASURED, ""),
        (Row("a", "p.v.deeper", most=3), "<= 3", 1, NOT_MEASURED, ""),
    ],
)
def test_a_target_stands_beside_what_was_measured(
    row: Row, target: str, value: float | None, shown: str, verdict: str
) -> None:
    measured = results(p={"v": value})
    assert (row.target, row.shown(measured), row.verdict(measured)) == (target, shown, verdict)


def test_a_part_that_failed_says_why_and_its_numbers_are_not_measured() -> None:
    measured = results()
    measured["problems"] = {"band": {"problem": "CUDA error: out of memory", "when": "2026-11-29T10:00:00Z"}}
    text = render(measured)
    assert "- `band`, 2026-11-29T10:00:00Z: CUDA error: out of memory" in text
    assert text.count(NOT_MEASURED) >= len(TARGETS) + len(FACTS) + len(PARTS)
    assert "missed" not in text


STAMP = {
    "when": "2026-11-29T10:00:00Z",
    "driver": "550.54.15",
    "torch": "2.13",
    "nvidia-ml-py": "13",
    "commit": "abc",
}


def test_each_part_has_its_own_stamp_and_those_that_are_missing_say_so() -> None:
    band = {"share_percent": 99.9, "seconds_taken": 80.2, "stamp": STAMP, "notes": ["the gauge was silent once"]}
    text = render(results(band=band, gauge={"is_partial": True, "stamp": STAMP}))
    assert "| `band` | yes, 80 s | 2026-11-29T10:00:00Z | 550.54.15 | 2.13 | 13 | abc |" in text
    assert "| `gauge` | in part |" in text
    assert f"| `yield` | {NOT_MEASURED} |" in text
    assert "- `band`: the gauge was silent once" in text


@pytest.mark.parametrize(
    ("value", "shown", "verdict"),
    [("done", "done", "met"), ("out of memory", "out of memory", "missed"), (None, NOT_MEASURED, "")],
)
def test_what_happened_is_said_in_its_own_words(value: str | None, shown: str, verdict: str) -> None:
    row, measured = (
        Said("a training", "training.queued.outcome", "done"),
        results(training={"queued": {"outcome": value}}),
    )
    assert (row.shown(measured), row.verdict(measured)) == (shown, verdict)


def test_each_call_of_nvml_has_a_line() -> None:
    both = {"at_rest": {"p50_us": 3.21, "p99_us": 9.0}, "beside_work": {"p50_us": 4.0, "p99_us": 90.0}}
    calls = {"nvmlDeviceGetMemoryInfo": both, "nvmlDeviceGetName": {"at_rest": both["at_rest"]}}
    text = render(results(calls={"calls": calls}))
    assert "| `nvmlDeviceGetMemoryInfo` | 3.2 | 9.0 | 4.0 | 90.0 |" in text
    assert f"| `nvmlDeviceGetName` | 3.2 | 9.0 | {NOT_MEASURED} | {NOT_MEASURED} |" in text


def test_nothing_measured_shows_no_number_but_the_targets() -> None:
    for row in (*TARGETS, *FACTS):
        assert row.shown({}) == NOT_MEASURED
        assert row.verdict({}) == ""


def test_a_simulated_card_meets_and_misses_nothing() -> None:
    text = render(results("simulated", band={"share_percent": 100.0, "worker_cpu_percent": 9.0}))
    assert "says nothing about a GPU" in text
    assert not re.search(r"\| (met|missed) \|", text)


def test_every_row_belongs_to_a_part() -> None:
    assert {row.path.split(".")[0] for row in (*TARGETS, *FACTS)} <= PARTS.keys()


def test_the_page_has_the_parts_in_the_order_in_which_they_are_measured() -> None:
    assert tuple(PARTS) == PARTS_OF_THE_PAGE


def test_the_whole_takes_less_than_nine_minutes() -> None:
    assert START_S + sum(part.budget_s for part in PARTS.values()) <= MOST_S == 9 * 60


def test_all_parts_but_two_fit_into_a_call_of_a_minute() -> None:
    assert {name for name, part in PARTS.items() if part.budget_s > 60} == {"band", "foreign"}


def test_the_manual_has_a_line_for_each_part() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert [name for name in PARTS if f"| `{name}` |" not in text.partition(MARKS[0])[0]] == []


def test_the_page_has_a_place_for_it_and_shows_nothing_that_was_not_measured() -> None:
    _, begin, rest = PAGE.read_text(encoding="utf-8").partition(f"{MARKS[0]}\n")
    section, end, _ = rest.partition(MARKS[1])
    assert begin
    assert end
    if not list(RESULTS.glob("keepalive-*.json")):
        assert section == render({})
