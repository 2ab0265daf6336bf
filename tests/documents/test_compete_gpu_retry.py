"""Documents 001 and 002: their commands, as they have them, by real agents with simulated GPUs."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpu_queue.processes import is_process_running
from tests.agent.harness import ROOT, wait_until
from tests.documents.typist import EXAMPLES, Typist, a_typist

HERE = "scripts/compete_gpu_retry"


@pytest.fixture
def typist(tmp_path: Path) -> Iterator[Typist]:
    with a_typist(tmp_path / "it's a $(touch pwned) dir", "3x80G") as made:
        yield made


def logs(typist: Typist, queue: str) -> str:
    """What the tasks of a queue printed."""
    return "".join(path.read_text() for path in sorted((typist.project / HERE / queue / "logs").glob("*.log")))


def test_each_scheduler_serves_its_own_file_beside_the_others(typist: Typist) -> None:
    said = typist.types(
        "cd scripts/compete_gpu_retry\n"
        "nohup python main.py > /dev/null 2>&1 &\n"
        "python app/main_gpu.py --command-file command/command_gpu.txt &\n"
        "python app/main_gpus.py --command-file command/command_gpus.txt &\n"
        "python app/main_gpu.py --command-file command/command_gpu_1.txt &\n"
        "python test_gpu_memory.py &\n"
        "for one in $(jobs -p); do wait $one || exit; done\n"
        "cat logs/uni_id.json | python -m json.tool"
    )
    assert "command_gpu.txt: 2 blocks in 2 queues: 2 new" in said
    assert "nothing waits and nothing runs" in said
    assert "memory      not tried: these GPUs are simulated\n" in said
    names = {path.name for path in (typist.project / HERE / "logs").iterdir()}
    assert names >= {"compete_gpu.log", "compete_gpus.log", "uni_id.json"}
    processes = json.loads(said[said.index("\n{") :])
    assert [one["state"] for one in processes.values()] == ["normal_exit"] * 7
    document_001_ran(typist, list(processes))
    document_002_ran(typist)


def document_001_ran(typist: Typist, uni_ids: list[str]) -> None:
    for kind in ("car", "flower"):
        result = (typist.project / "experiments" / kind / "result.txt").read_text()
        assert [one for one in uni_ids if one in result], "a script is told its uni_id"
        assert result.rstrip()[-5:] in ("GPU 0", "GPU 1"), "gpu_left: 1 leaves the last GPU to others"


def document_002_ran(typist: Typist) -> None:
    single = logs(typist, "command/.gpu-queue/command_gpu")
    assert "arg1 value1 on GPU" in single
    assert "run.sh on GPU" in single
    several = logs(typist, "command/.gpu-queue/command_gpus")
    assert several.count("arg1 value1 on GPU") == 1
    assert several.split("on GPU ")[1].split()[0].count(",") == 1, "two GPUs"
    serial = logs(typist, "command/.gpu-queue/command_gpu_1")
    assert serial.index("arg1 value2") < serial.index("arg1 value3")


def test_a_file_that_is_served_already_is_only_loaded_and_a_signal_gives_back_what_runs(typist: Typist) -> None:
    at = typist.project / HERE
    command = at / "command/command_gpu_2.txt"
    gate = typist.base / "gate"
    os.mkfifo(gate)
    command.write_text("1\ncat {work_dir}/../../../gate\n20\n")
    first = subprocess.Popen(
        ["python", "app/main_gpu.py", "--command-file", "command/command_gpu_2.txt"],
        cwd=at,
        env=typist.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        executable=typist.base / "bin/python",
    )
    processes = at / "logs/uni_id.json"

    def running() -> list[str]:
        found = json.loads(processes.read_text()) if processes.exists() else {}
        return [one for one in found if is_process_running(one, str(processes))]

    wait_until(running, "a task that runs")
    command.write_text(command.read_text() + "\n2\necho second on $CUDA_VISIBLE_DEVICES\n20\n")
    said = typist.types("python app/main_gpu.py --command-file command/command_gpu_2.txt", at=HERE)
    assert "an agent serves this queue already, and runs what was loaded" in said
    queue = "command/.gpu-queue/command_gpu_2"
    wait_until(lambda: "second on" in logs(typist, queue), "what was loaded later")
    assert first.poll() is None
    first.send_signal(signal.SIGTERM)
    assert first.wait(30) == 0
    assert len(list((at / queue / "pending").glob("500-*command_gpu_2-1"))) == 1, "it waits for the next scheduler"


def test_what_is_wrong_is_told_before_anything_runs(typist: Typist) -> None:
    (typist.project / HERE / "command.txt").write_text("1\npython a.py\nmuch\n")
    said = typist.types("python main.py", at=HERE, status=2)
    assert "command.txt:3: " in said
    (typist.project / HERE / "command.txt").write_text("1\npython a.py\n20\n")
    (typist.project / HERE / "config.yaml").write_text("gpu_left: many\n")
    said = typist.types("python main.py", at=HERE, status=1)
    assert "config.yaml:1: gpu_left" in said
    assert "nowhere.txt: there is no such file" in typist.types(
        "python app/main_gpu.py --command-file nowhere.txt", at=HERE, status=1
    )


@pytest.mark.parametrize("script", ["FedWhat/gpu_scheduler.py", f"{HERE}/app/main_gpu.py"])
def test_without_a_checkout_the_installed_package_is_called_else_the_command_in_path(
    tmp_path: Path, script: str
) -> None:
    shutil.copy(EXAMPLES / script, tmp_path / "scheduler.py")
    ask = "import scheduler; print(scheduler.gpu_queue())"

    def called(**more: str) -> str:
        # -S: without what is installed beside this Python.
        words = [sys.executable, "-S", "-c", ask]
        environment = {"PATH": "/usr/bin:/bin", **more}
        done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    assert f"sys.path[0] = '{ROOT}'" in called(PYTHONPATH=str(ROOT))
    assert "gpu-queue is not installed" in called()
    command = tmp_path / "bin/gpu-queue"
    command.parent.mkdir()
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    assert called(PATH=str(command.parent)) == f"['{command}']\n"
