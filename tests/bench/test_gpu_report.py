"""The GPU report as a command, on a simulated card and on none."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from keepalive_below import descendants
from keepalive_page import PARTS
from keepalive_record import read

from tests.agent.harness import wait_until
from tests.fake_nvml import GIB, FakeGpu, Scenario, build, environment

ROOT = Path(__file__).parents[2]
needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")


def report(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "benchmarks/gpu_report.py"), *arguments],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=390,
        check=False,
    )


def in_the_repository() -> dict[str, bytes]:
    files = [ROOT / "docs/keepalive.md", *(ROOT / "benchmarks/results").iterdir()]
    return {str(path): path.read_bytes() for path in files}


@needs_torch
def test_the_report_drives_the_real_pieces_and_writes_nothing_into_the_repository(tmp_path: Path) -> None:
    before = in_the_repository()
    done = report("--simulate", "--quick", "--only", "contexts,pause", "--into", str(tmp_path))
    assert done.returncode == 0, done.stderr
    parts = read(tmp_path / "keepalive-simulated.json")["parts"]
    assert list(parts) == ["pause", "contexts"]
    assert parts["pause"]["count"] == 10
    assert parts["pause"]["p50_ms"] > 0
    assert parts["contexts"]["matmul"]["tenant_words"] > 0
    assert done.stdout.strip() in (tmp_path / "keepalive.md").read_text(encoding="utf-8")
    assert in_the_repository() == before


@needs_torch
@pytest.mark.long
def test_a_report_that_is_interrupted_beside_its_agent_leaves_neither_process_nor_load(tmp_path: Path) -> None:
    command = [
        sys.executable,
        str(ROOT / "benchmarks/gpu_report.py"),
        "--simulate",
        "--quick",
        "--only",
        "pause,band",
    ]
    process = subprocess.Popen(
        [*command, "--into", str(tmp_path)],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    wait_until(lambda: list(tmp_path.glob("gpu-report.*/node/simulated/GPU-*")) and is_band(tmp_path), "a filler", 90)
    started = descendants(process.pid)
    assert len(started) >= 4  # the zygote of other parts; an agent, its zygote and its worker
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 128 + signal.SIGTERM, said
    assert not any(Path(f"/proc/{pid}").exists() for pid in started)
    assert not list(tmp_path.glob("gpu-report.*"))
    record = read(tmp_path / "keepalive-simulated.json")
    assert record["parts"]["pause"]["count"] == 10
    assert "interrupted by SIGTERM" in record["problems"]["band"]["problem"]


def is_band(directory: Path) -> bool:
    """Whether the agent of the part ``band`` has a filler on the card."""
    outputs = list(directory.glob("gpu-report.*/band/agent.out"))
    return bool(outputs) and (directory / "keepalive-simulated.json").exists()


@needs_torch
def test_a_card_is_read_through_nvml(tmp_path: Path) -> None:
    plant = str(tmp_path / "plant")
    gpus = [FakeGpu("GPU-a", used=20 * GIB), FakeGpu("GPU-b")]
    scenario = Scenario(tmp_path / "scenario", gpus, plant=plant)
    driver = environment(build(tmp_path / "lib"), scenario)
    into = tmp_path / "into"
    arguments = ("--quick", "--only", "pause,calls", "--into", str(into))
    done = report(*arguments, **driver, GPU_QUEUE_SIMULATE_PLANT=plant)
    assert done.returncode == 0, done.stderr
    record = read(into / "keepalive-simulated.json")  # a stand-in for a driver is no GPU
    assert record["parts"]["pause"]["freeing"]["held_bytes"] == int(0.6 * 80 * GIB)
    assert record["parts"]["pause"]["stamp"]["driver"] == "550.54.15"
    calls = record["parts"]["calls"]["calls"]
    assert {"snapshot", "nvmlDeviceGetMemoryInfo", "nvmlDeviceGetUtilizationRates"} <= calls.keys()
    assert all(one["p50_us"] > 0 for call in calls.values() for one in (call["at_rest"], call["beside_work"]))
    gpus[1].used = 2 * GIB
    scenario.write()
    refused = report("--only", "pause", **driver)
    assert refused.returncode == 1
    assert "no GPU is free to be measured (GPU 0: 20.0 GiB used, 0 %, GPU 1: 2.0 GiB used, 0 %)" in refused.stderr


@pytest.mark.soak
@pytest.mark.timeout(400)
@needs_torch
def test_every_part_runs_on_a_simulated_card(tmp_path: Path) -> None:
    done = report("--simulate", "--quick", "--into", str(tmp_path))
    assert done.returncode == 0, done.stderr
    record = read(tmp_path / "keepalive-simulated.json")
    parts: dict[str, Any] = record["parts"]
    assert record["problems"] == {}
    assert tuple(parts) == PARTS
    assert parts["yield"]["back"]["count"] == 3
    assert parts["band"]["memory_percent"] == 60.0
    assert parts["tenant"]["gone_after_start_ms"] >= parts["tenant"]["noticed_after_start_ms"]
    assert parts["light"]["gone_after_ms"] is not None
    assert parts["watts"]["idle_w"] is None
    assert parts["starting"]["all"]["count"] == 2
    assert parts["training"]["queued"]["outcome"] == "done"
    assert parts["training"]["foreign"]["outcome"] == "out of memory"
    assert (parts["agents"]["least_fillers"], parts["agents"]["most_fillers"]) == (1, 1)
    assert parts["smi"]["runs"] > 0


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
