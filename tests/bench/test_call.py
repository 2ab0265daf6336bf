"""How a call of the GPU report goes when a part fails, takes too long, or is interrupted."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from keepalive_record import Outcome, Place, added, joined, read

from tests.cases import long

PROGRAM = Path(__file__).with_name("some_parts.py")
ROOT = PROGRAM.parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'benchmarks'}"}
STAMP = {"when": "2026-11-29T10:00:00Z", "driver": "550.54.15", "torch": "2.13.0", "commit": "abc1234"}


def command(into: Path, seconds: float, *names: str) -> list[str]:
    return [sys.executable, str(PROGRAM), str(into), str(seconds), *names]


def run(into: Path, seconds: float, *names: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(into, seconds, *names), capture_output=True, text=True, timeout=50, check=False, env=ENVIRONMENT
    )


def written(into: Path) -> dict[str, Any]:
    return read(into / "keepalive-simulated.json")


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def pids(into: Path) -> list[int]:
    return [int(word) for word in (into / "pids").read_text().split()]


def test_all_parts_that_end_well_end_the_command_well(tmp_path: Path) -> None:
    done = run(tmp_path, 20, "good")
    assert (done.returncode, done.stderr) == (0, "good …\n")
    part = written(tmp_path)["parts"]["good"]
    assert (part["value"], part["notes"], part["stamp"]["driver"]) == (1, ["a note"], "none")
    assert re.fullmatch(r"abc1234( with changes)?", part["stamp"]["commit"])
    assert {"when", "torch", "nvidia-ml-py"} <= part["stamp"].keys()


@pytest.mark.parametrize(
    ("name", "why"), [("raises", "RuntimeError: CUDA error: out of memory"), ("cannot", "nvidia-smi is not found")]
)
def test_a_part_that_fails_fails_the_command_and_the_others_run(tmp_path: Path, name: str, why: str) -> None:
    done = run(tmp_path, 20, name, "good")
    assert done.returncode == 1
    assert f"gpu-report: {name}: {why}" in done.stderr
    record = written(tmp_path)
    assert record["parts"].keys() == {"good"}
    assert record["problems"][name]["problem"] == why
    assert f": {why}" in (tmp_path / "keepalive.md").read_text()


def test_time_that_runs_out_is_said_and_ends_what_was_started(tmp_path: Path) -> None:
    done = run(tmp_path, 1, "sleeps", "looks")
    assert done.returncode == 1
    assert "gpu-report: sleeps: time ran out after 1 s; --only sleeps --seconds 2 gives it more" in done.stderr
    record = written(tmp_path)
    assert record["parts"]["sleeps"]["is_partial"]
    assert record["parts"]["sleeps"]["half"] == 1
    assert record["parts"]["looks"]["left"] == []


@pytest.mark.parametrize("number", [signal.SIGTERM, *long(signal.SIGINT, signal.SIGHUP)])
def test_an_interruption_keeps_what_was_measured_and_leaves_no_process(
    tmp_path: Path, number: signal.Signals
) -> None:
    process = subprocess.Popen(
        command(tmp_path, 40, "good", "sleeps", "raises"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "asleep\n"
    # Before it is interrupted the part before is there.
    assert written(tmp_path)["parts"]["good"]["value"] == 1
    started = pids(tmp_path)
    assert all(map(is_alive, started))
    process.send_signal(number)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 128 + number
    assert not any(map(is_alive, started))
    record = written(tmp_path)
    assert record["parts"]["good"]["value"] == 1
    assert record["parts"]["sleeps"]["is_partial"]
    assert f"interrupted by {number.name}" in record["problems"]["sleeps"]["problem"]
    assert "gpu-report: not run any more: raises" in said
    assert f"interrupted by {number.name}" in (tmp_path / "keepalive.md").read_text()


def test_separate_calls_come_to_one_record(tmp_path: Path) -> None:
    assert run(tmp_path, 20, "good").returncode == 0
    before = written(tmp_path)["parts"]["good"]
    assert run(tmp_path, 20, "raises").returncode == 1
    record = written(tmp_path)
    assert record["parts"] == {"good": before}
    assert record["problems"].keys() == {"raises"}


def test_a_record_that_cannot_be_read_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "keepalive-simulated.json"
    path.write_text('{"device": "simulated", "parts"')
    assert run(tmp_path, 20, "good").returncode == 1
    assert path.read_text() == '{"device": "simulated", "parts"'


def record_of(name: str, outcome: Outcome, when: str, device: str = "NVIDIA H100") -> dict[str, Any]:
    empty: dict[str, Any] = {"device": device, "machine": {}, "parts": {}, "problems": {}}
    return added(empty, name, outcome, {**STAMP, "when": when})


def test_a_failed_try_takes_nothing_away_and_a_later_one_ends_the_problem() -> None:
    record = record_of("band", Outcome({"share_percent": 99.5}), "2026-11-29T10:00:00Z")
    record = added(record, "band", Outcome({"settled": 1}, "time ran out"), {**STAMP, "when": "2026-11-29T11:00:00Z"})
    assert record["parts"]["band"]["share_percent"] == 99.5
    assert record["problems"]["band"]["problem"] == "time ran out"
    record = added(record, "band", Outcome({"share_percent": 99.9}), {**STAMP, "when": "2026-11-29T12:00:00Z"})
    assert record["parts"]["band"]["share_percent"] == 99.9
    assert record["problems"] == {}


def test_records_of_several_machines_are_joined_by_what_is_newest_and_whole() -> None:
    old = record_of("band", Outcome({"share_percent": 98.0}), "2026-11-29T10:00:00Z")
    new = record_of("band", Outcome({"share_percent": 99.0}), "2026-11-29T11:00:00Z")
    half = record_of("band", Outcome({"settled": 1}, "time ran out"), "2026-11-29T12:00:00Z")
    failed = record_of("yield", Outcome({}, "no band"), "2026-11-29T09:00:00Z")
    fine = record_of("yield", Outcome({"settle_warm_s": 2.0}), "2026-11-29T10:00:00Z")
    whole = joined([new, half, old, failed, fine])
    assert whole["parts"]["band"]["share_percent"] == 99.0
    assert whole["parts"]["yield"]["settle_warm_s"] == 2.0
    assert whole["problems"].keys() == {"band"}
    with pytest.raises(ValueError, match="different GPUs"):
        joined([old, record_of("band", Outcome({}), "2026-11-29T10:00:00Z", device="NVIDIA A100")])


def test_files_of_other_calls_are_joined_by_the_command(tmp_path: Path) -> None:
    program = str(ROOT / "benchmarks/gpu_report.py")
    paths = []
    for name in ("band", "yield"):
        place = Place(tmp_path / name)
        record = record_of(name, Outcome({"seconds_taken": 2.0}), "2026-11-29T10:00:00Z")
        place.write(record)
        paths.append(str(place.path(record["device"])))
    into = tmp_path / "into"
    done = subprocess.run(
        [sys.executable, program, "--merge", *paths, "--into", str(into)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads((into / "keepalive-h100.json").read_text())["parts"].keys() == {"band", "yield"}
    assert "| `yield` | yes, 2 s | 2026-11-29T10:00:00Z |" in (into / "keepalive.md").read_text()


def test_records_of_a_simulated_card_do_not_get_into_the_repository(tmp_path: Path) -> None:
    place = Place(tmp_path)
    record = record_of("band", Outcome({"seconds": 2.0}), "2026-11-29T10:00:00Z", device="simulated")
    place.write(record)
    program, path = str(ROOT / "benchmarks/gpu_report.py"), str(place.path("simulated"))
    done = subprocess.run([sys.executable, program, "--merge", path], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == ("gpu-report: a simulated card says nothing about a GPU; to join its records: --into DIR\n")


def test_a_file_appears_whole(tmp_path: Path) -> None:
    place = Place(tmp_path, tmp_path / "keepalive.md")
    record = record_of("band", Outcome({"share_percent": 98.0}), "2026-11-29T10:00:00Z")
    place.write(record)
    before = os.stat(tmp_path / "keepalive-h100.json").st_ino
    place.write(record)
    assert os.stat(tmp_path / "keepalive-h100.json").st_ino != before
    assert {path.name for path in tmp_path.iterdir()} == {"keepalive-h100.json", "keepalive.md"}
