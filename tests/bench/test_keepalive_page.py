"""The page of the GPU report: it says what was measured, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from gpu_report import BUDGET_S, MARKS, PAGE, PARTS, RESULTS
from keepalive_page import FACTS, NOT_MEASURED, TARGETS, Row, render

ROOT = Path(__file__).parents[2]


def results(device: str = "NVIDIA H100 80GB HBM3", **parts: Any) -> dict[str, Any]:
    return {"device": device, "machine": {"cores": "16"}, "parts": parts, "notes": []}


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
    text = render(results(band={"problem": "CUDA error: out of memory", "seconds_taken": 3.2}))
    assert "- band: CUDA error: out of memory" in text
    assert text.count(NOT_MEASURED) >= len(TARGETS) + len(FACTS)
    assert "missed" not in text


def test_nothing_measured_shows_no_number_but_the_targets() -> None:
    for row in (*TARGETS, *FACTS):
        assert row.shown({}) == NOT_MEASURED
        assert row.verdict({}) == ""


def test_a_simulated_card_meets_and_misses_nothing() -> None:
    text = render(results("simulated", band={"share_percent": 100.0, "worker_cpu_percent": 9.0}))
    assert "says nothing about a GPU" in text
    assert not re.search(r"\| (met|missed) \|", text)


def test_others_are_shown_beside_each_other() -> None:
    peers = {
        "keep-gpu": {"share_percent": 1.5},
        "gpu-keepalive": {"problem": "it ended at once"},
        "seconds_taken": 9.0,
    }
    text = render(results(peers=peers))
    assert "|  | keep-gpu | gpu-keepalive |" in text
    assert f"| in the band | 1.5 % | {NOT_MEASURED} |" in text


def test_every_row_belongs_to_a_part() -> None:
    assert {row.path.split(".")[0] for row in (*TARGETS, *FACTS)} <= PARTS.keys()


def test_the_whole_takes_less_than_eight_minutes() -> None:
    assert sum(part.planned_s for part in PARTS.values()) <= BUDGET_S < 480
    assert all(part.limit_s > part.planned_s for part in PARTS.values())


def test_the_page_has_a_place_for_it_and_shows_nothing_that_was_not_measured() -> None:
    _, begin, rest = PAGE.read_text(encoding="utf-8").partition(f"{MARKS[0]}\n")
    section, end, _ = rest.partition(MARKS[1])
    assert begin
    assert end
    if not list(RESULTS.glob("keepalive-*.json")):
        assert section == render({})
