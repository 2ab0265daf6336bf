"""A zygote where torch is missing or broken."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gpu_queue.band import Band
from gpu_queue.execution.launcher import start_companion
from gpu_queue.gpus.devices import Gpu, Health
from gpu_queue.gpus.leases import Leases
from gpu_queue.keepalive.keeper import LEAVE_TIMEOUT_S, START_LEAVE_TIMEOUT_S, Rules
from gpu_queue.keepalive.supervisor import CardFacts, Host, Supervisor
from tests.keepalive.nursery import ROOT, Nursery, is_gone, wait_until

Start = Callable[..., Nursery]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Nursery] = []

    def one(*python: str, **environment: str) -> Nursery:
        started.append(Nursery(tmp_path, environment, (sys.executable, *python)))
        return started[-1]

    yield one
    for nursery in started:
        nursery.end()


def a_module(directory: Path, content: str) -> str:
    (directory / "torch.py").write_text(content)
    return str(directory)


def last_words(nursery: Nursery) -> str:
    problem = nursery.failed()
    nursery.wait_for_end()
    assert nursery.process.wait(10) == 1
    assert nursery.process.stdout is not None
    assert nursery.process.stdout.read() == b""
    return problem


def test_without_torch_it_says_what_to_type(start: Start) -> None:
    # -S: without what is installed beside this Python.
    problem = last_words(start("-S"))
    assert problem == f"torch is not installed; to mend it: {sys.executable} -m pip install torch"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("raise ImportError('libcudart.so.12: cannot open shared object file')", "ImportError: libcudart.so.12"),
        ("raise OSError('libtorch_cpu.so: failed to map\\nmore')", "OSError: libtorch_cpu.so: failed to map"),
        ("import nowhere_at_all", "No module named 'nowhere_at_all'"),
        ("print('noise'); raise RuntimeError('built for another CPU')", "built for another CPU"),
    ],
)
def test_a_broken_torch_is_told_in_one_line(start: Start, tmp_path: Path, content: str, problem: str) -> None:
    words = last_words(start(PYTHONPATH=a_module(tmp_path, content)))
    assert words.startswith(f"torch cannot be imported by {sys.executable} ({problem}")


def test_it_leaves_with_its_agent_while_it_still_imports(start: Start, tmp_path: Path) -> None:
    nursery = start(PYTHONPATH=a_module(tmp_path, "import time; time.sleep(0.5); raise ImportError('late')"))
    nursery.channel.close()
    assert nursery.process.wait(10) == 1


REINSTALL = f"{sys.executable} -m pip install --force-reinstall torch"
TORCH_WITHOUT_CUDA = """
__version__ = "2.9.1+cpu"
class version: cuda = None
class cuda: OutOfMemoryError = MemoryError
"""


def a_gpu() -> Gpu:
    return Gpu("GPU-1", 0, "NVIDIA A100", 80 << 30, 0, 0, 60.0, 1000.0, Health.OK)


@pytest.mark.parametrize(
    ("engine", "problem"),
    [
        (
            "matmul",
            f"torch 2.9.1+cpu was built without CUDA; to mend it: {REINSTALL}",
        ),
        ("cpu", ""),
    ],
)
def test_a_torch_without_cuda_is_told_before_any_worker_fails(tmp_path: Path, engine: str, problem: str) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{a_module(tmp_path, TORCH_WITHOUT_CUDA)}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-m", "gpu_queue.keepalive.zygote", "--fd"]
    said: list[str] = []
    leases = Leases(str(tmp_path))

    def start_zygote(descriptor: int) -> int:
        return start_companion(command, environment, descriptor)

    supervisor = Supervisor(
        Host(start_zygote, leases, said.append, lambda wanted: wanted, "plant"),
        ["GPU-1"],
        Rules(Band(), engine=engine, quiet_s=0.0),
    )

    def is_decided() -> bool:
        supervisor.step(time.monotonic(), [CardFacts(a_gpu())], "")
        return bool(supervisor.problem or supervisor.has_worker("GPU-1"))

    try:
        wait_until(is_decided)
        assert supervisor.problem == problem
        assert said == ([f"keep-alive: off: {problem}"] if problem else [])
        assert supervisor.has_worker("GPU-1") is not bool(problem)
    finally:
        supervisor.close()


AGENT = """
import sys, time
from pathlib import Path
from tests.keepalive.nursery import Nursery
print(Nursery(Path(sys.argv[1])).process.pid, flush=True)
time.sleep(600)
"""


def test_it_dies_with_an_agent_that_is_killed_while_it_imports(tmp_path: Path) -> None:
    modules = a_module(tmp_path, f"open({str(tmp_path / 'imports')!r}, 'w').close(); import time; time.sleep(600)")
    command = [sys.executable, "-c", AGENT, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": modules}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as agent:
        assert agent.stdout is not None
        zygote = int(agent.stdout.readline())
        wait_until((tmp_path / "imports").exists)
        agent.send_signal(signal.SIGKILL)
    wait_until(lambda: is_gone(zygote))


TORCH_THAT_HANGS = """
import json, os, time
__version__ = "2.9.1"
class version: cuda = "13.0"
class cuda:
    OutOfMemoryError = MemoryError
    def init():
        with open(os.environ["TORCH_HANGS"] + ".part", "w") as file:
            json.dump(dict(os.environ), file)
        os.rename(os.environ["TORCH_HANGS"] + ".part", os.environ["TORCH_HANGS"])
        time.sleep(600)
"""


def test_a_task_that_comes_while_a_worker_starts_cuda_waits_for_half_a_second(tmp_path: Path) -> None:
    """A real worker, in a driver that does not come back: so no word is heard."""
    hangs = tmp_path / "hangs"
    path = f"{a_module(tmp_path, TORCH_THAT_HANGS)}{os.pathsep}{ROOT}"
    environment = {**os.environ, "PYTHONPATH": path, "TORCH_HANGS": str(hangs), "CUDA_MPS_PIPE_DIRECTORY": "/mps"}
    command = [sys.executable, "-m", "gpu_queue.keepalive.zygote", "--fd"]
    supervisor = Supervisor(
        Host(
            lambda fd: start_companion(command, environment, fd), Leases(str(tmp_path)), print, lambda wanted: wanted
        ),
        ["GPU-1"],
        Rules(Band(), quiet_s=0.0),
    )
    holder = ""

    def step() -> None:
        supervisor.step(time.monotonic(), [CardFacts(a_gpu(), holder)], "")

    def is_starting() -> bool:
        step()
        return hangs.exists()

    def is_clear() -> bool:
        step()
        return supervisor.is_clear("GPU-1")

    try:
        wait_until(is_starting)
        # MPS is not for what may be killed in a kernel; and the worker sees no GPU but its own.
        seen = json.loads(hangs.read_text())
        assert not os.path.exists(seen["CUDA_MPS_PIPE_DIRECTORY"])
        assert seen["CUDA_MPS_PIPE_DIRECTORY"] != "/mps"
        assert seen["CUDA_VISIBLE_DEVICES"] == "GPU-1"
        holder, begun = "a task", time.monotonic()
        wait_until(is_clear)
        assert START_LEAVE_TIMEOUT_S <= time.monotonic() - begun < LEAVE_TIMEOUT_S
        assert supervisor.is_empty
    finally:
        supervisor.close()
