"""The GPU report as a command, on a simulated card and on none."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.fake_nvml import GIB, FakeGpu, Scenario, build, environment

ROOT = Path(__file__).parents[2]
needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")


def report(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "benchmarks/gpu_report.py"), *arguments],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def in_the_repository() -> dict[str, bytes]:
    files = [ROOT / "docs/keepalive.md", *(ROOT / "benchmarks/results").iterdir()]
    return {str(path): path.read_bytes() for path in files}


@needs_torch
def test_the_report_drives_the_real_pieces_and_writes_nothing_into_the_repository(tmp_path: Path) -> None:
    before = in_the_repository()
    output = tmp_path / "report.json"
    done = report("--simulate", "--quick", "--only", "pause,contexts,peers", "--output", str(output))
    assert done.returncode == 0, done.stderr
    parts: dict[str, Any] = json.loads(output.read_text(encoding="utf-8"))["parts"]
    assert parts["pause"]["count"] == 10
    assert parts["pause"]["p50_ms"] > 0
    assert parts["contexts"]["matmul"]["tenant_words"] > 0
    assert parts["peers"]["problem"] == "they know no simulated card"
    assert "- peers: they know no simulated card" in done.stdout
    assert in_the_repository() == before


@needs_torch
def test_a_card_is_read_through_nvml(tmp_path: Path) -> None:
    plant = str(tmp_path / "plant")
    gpus = [FakeGpu("GPU-a", used=20 * GIB), FakeGpu("GPU-b")]
    scenario = Scenario(tmp_path / "scenario", gpus, plant=plant)
    driver = environment(build(tmp_path / "lib"), scenario)
    output = tmp_path / "report.json"
    done = report("--quick", "--only", "pause", "--output", str(output), **driver, GPU_QUEUE_SIMULATE_PLANT=plant)
    assert done.returncode == 0, done.stderr
    results = json.loads(output.read_text(encoding="utf-8"))
    assert results["parts"]["pause"]["freeing"]["held_bytes"] == int(0.6 * 80 * GIB)
    assert results["device"] == "simulated"  # a stand-in for a driver is no GPU
    gpus[1].util = 60
    scenario.write()
    refused = report("--only", "pause", **driver)
    assert refused.returncode == 1
    assert "no GPU is free to be measured (GPU 0: 20.0 GiB used, 0 %, GPU 1: 0.0 GiB used, 60 %)" in refused.stderr


@pytest.mark.soak
@pytest.mark.timeout(300)
@needs_torch
def test_every_part_runs_on_a_simulated_card(tmp_path: Path) -> None:
    output = tmp_path / "report.json"
    done = report("--simulate", "--quick", "--output", str(output))
    parts: dict[str, Any] = json.loads(output.read_text(encoding="utf-8"))["parts"]
    failed = {name: values["problem"] for name, values in parts.items() if "problem" in values}
    assert failed.keys() == {"peers"}, done.stderr
    assert parts["yield"]["back"]["count"] == 3
    assert parts["band"]["memory_percent"] == 60.0
    assert "memory grew" in parts["tenant"]["evidence"]
    assert parts["light"]["gone_after_ms"] is not None
    assert parts["watts"]["idle_w"] is None


def test_without_a_gpu_it_says_so_in_one_line(tmp_path: Path) -> None:
    # No driver library is found here, whatever the machine has.
    (tmp_path / "libnvidia-ml.so.1").write_bytes(b"no library")
    done = report(LD_LIBRARY_PATH=str(tmp_path))
    assert done.returncode == 1
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    assert line.startswith("gpu-report: ")
    assert line.endswith("To try the report without a GPU: --simulate")


def test_a_part_that_nobody_knows_is_refused() -> None:
    done = report("--only", "band,nonsense")
    assert done.returncode == 2
    assert "--only nonsense" in done.stderr
