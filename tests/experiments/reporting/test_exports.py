"""A report for programs: valid whatever runs are called, empty or null where nothing is known, no formulas."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_queue.experiments.reporting.exports import Source, as_csv, as_json
from gpu_queue.experiments.reporting.facts import RunFacts
from gpu_queue.experiments.reporting.whole import report
from gpu_queue.task import State
from tests.experiments.reporting.builders import GIB, T0, a_run, a_try, used

SOURCE = Source("/q/exp", group="g")


def rows(*runs: RunFacts) -> list[dict[str, str]]:
    content = as_csv(report(runs, T0 + 500, T0 + 500))
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


def told(*runs: RunFacts) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(as_json(report(runs, T0 + 500, T0 + 500), SOURCE).decode())
    return value


def test_a_row_holds_all_figures_of_a_run_and_its_matrix() -> None:
    tried = a_try(10, 100, gpus=2, usage=(used(3, 90),), reason="")
    (row,) = rows(a_run(tried, memory="8G", params={"seed": "0", "lr": "1e-5"}))
    assert row == {
        "group": "g",
        "name": "a",
        "job": "train",
        "param_seed": "0",
        "param_lr": "1e-5",
        "state": "done",
        "outcome": "succeeded",
        "error_type": "",
        "tries": "1",
        "unknown_tries": "0",
        "submitted_at": "2026-09-21T14:13:20Z",
        "started_at": "2026-09-21T14:13:30Z",
        "ended_at": "2026-09-21T14:15:10Z",
        "waited_s": "10.0",
        "between_s": "",
        "ran_s": "100.0",
        "last_ran_s": "100.0",
        "gpus": "2",
        "gpu_hours": "0.055556",
        "memory_asked_bytes": str(8 * GIB),
        "memory_peak_bytes": str(3 * GIB),
        "utilization_mean_percent": "90.0",
        "node": "gpu1-3fa2c1b0",
        "id": "20260921T141320000-abcdef-a",
        "reason": "",
    }


def test_what_is_not_known_is_empty_or_null_and_never_nought() -> None:
    lost = a_run(a_try(None, None, "lost", gpus=None), state=State.FAILED)
    waits = a_run(state=State.PENDING, name="b")
    times = ("started_at", "ended_at", "ran_s", "last_ran_s", "between_s")
    unknown = (*times, "gpus", "gpu_hours", "memory_asked_bytes", "memory_peak_bytes", "utilization_mean_percent")
    for row in rows(lost, waits):
        assert {row[name] for name in unknown} == {""}
    for run in told(lost, waits)["groups"][0]["runs"]:
        assert {run[name] for name in unknown} == {None}
    assert rows(lost)[0]["waited_s"] == ""
    assert told(lost)["sum"]["gpu_hours"] is None


def test_runs_with_other_matrices_leave_cells_empty() -> None:
    one, two = rows(a_run(params={"x": "1"}), a_run(name="b", params={"y": "2"}))
    assert (one["param_x"], one["param_y"], two["param_x"], two["param_y"]) == ("1", "", "", "2")


@pytest.mark.parametrize(
    "value", ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "  =1", "\r=1", "\uff1d1", "=cmd|' /C calc'!A0", "-", "+a"]
)
def test_a_spreadsheet_takes_no_cell_for_a_formula(value: str) -> None:
    (row,) = rows(a_run(name=value, group=value, params={value: value}))
    cells = [row["name"], row["group"], row[f"param_{value}".translate({9: "?", 13: "?"})]]
    assert all(cell.startswith(("'", "?")) for cell in cells), cells


@pytest.mark.parametrize("value", ["-1", "+1", "-1e-5", "1e-5", "-.5", "3.10", "a=b", "实验"])
def test_numbers_and_names_stay_as_they_are(value: str) -> None:
    (row,) = rows(a_run(params={"x": value}))
    assert row["param_x"] == value


def test_json_holds_what_csv_has_no_place_for() -> None:
    earlier = a_run(a_try(0, 30, "failed(1)", error_type="oom"), state=State.FAILED, is_current=False)
    value = told(earlier, a_run(a_try(10, 100, usage=(used(3),)), memory="8G", params={"seed": "0"}))
    (group,) = value["groups"]
    assert (value["version"], value["spool"], value["group"], value["file"]) == (1, "/q/exp", "g", None)
    assert group["files"] == ["/home/a/g.yaml"]
    assert [run["params"] for run in group["runs"]] == [{"seed": "0"}]
    assert [run["memory"] for run in group["runs"]] == ["far less"]
    assert (group["sum"]["states"]["done"], group["sum"]["far_less_memory"]) == (1, ["a"])
    assert [run["state"] for run in group["earlier"]] == ["failed"]
    assert group["earlier_sum"]["failed_tries"] == {"oom": 1}


HOSTILE = st.text(
    st.characters() | st.sampled_from('\udc80\udcff\ud800\udfff\x1b\x9b\x7f\u2028\n\r\t",;=实'), max_size=50
)


@given(HOSTILE, HOSTILE, HOSTILE, HOSTILE)
def test_any_name_makes_valid_json_and_csv_without_control_characters(
    name: str, group: str, key: str, value: str
) -> None:
    runs = [a_run(a_try(reason=name), name=name, group=group, params={key: value})]
    made = report(runs, T0 + 500, T0 + 500)
    as_text = as_json(made, Source(name, file=value)).decode("utf-8")
    assert all(one.isprintable() or one == "\n" for one in as_text)
    read = json.loads(as_text)
    read["spool"].encode("utf-8")
    if name.isascii():
        assert read["groups"][0]["runs"][0]["name"] == name, "nothing is lost that is a text"
    as_table = as_csv(made).decode("utf-8")
    assert all(one.isprintable() or one == "\n" for one in as_table)
    head, row = csv.reader(io.StringIO(as_table, newline=""))
    assert len(head) == len(row)
    assert not any(cell.startswith(("=", "@")) for cell in head + row)
