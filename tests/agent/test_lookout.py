"""Who is on the GPUs: real processes of this user and of others, as a driver names them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from gpu_queue.agent import lookout
from gpu_queue.agent.lookout import HANGS_AFTER_S, Lookout, look, tenant_of
from gpu_queue.agent.tenants import UNSEEN
from gpu_queue.execution.processes import Process, read_process
from gpu_queue.gpus.processes import GpuProcess, GpuProcesses
from gpu_queue.keepalive.worker import become_worker
from gpu_queue.scheduling.tenancy import Look, Tenant, user_pythons
from tests.agent.harness import Cluster, wait_until
from tests.fake_nvml import FakeGpu, Scenario, build, environment

HIS = 54323
NOBODY = (1 << 22) - 1
PROHIBITED = 2
WAITS = "import sys; print(flush=True); sys.stdin.read()"

as_several = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="only root can act as several users"
)


class Told(GpuProcesses):
    """What a driver tells, one answer after the other; the last one for ever."""

    def __init__(self, *answers: Mapping[str, tuple[GpuProcess, ...]] | None) -> None:
        self.answers = list(answers)

    def gpu_processes(self) -> Mapping[str, tuple[GpuProcess, ...]] | None:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a program that waits, and returns when it has begun."""
    with ExitStack() as stack:

        def begin(
            words: Sequence[str] = (sys.executable, "-c", WAITS), **environment: str
        ) -> subprocess.Popen[bytes]:
            process = stack.enter_context(
                subprocess.Popen(
                    words,
                    env={"PATH": os.environ["PATH"], **environment},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                )
            )
            stack.callback(process.kill)
            assert process.stdout is not None
            process.stdout.readline()
            return process

        yield begin


def who(process: subprocess.Popen[bytes], used_bytes: int | None = None) -> Tenant | None:
    return tenant_of(GpuProcess(process.pid, used_bytes), os.geteuid())


def test_a_python_of_this_user_is_known_whatever_it_calls_itself(start: Start) -> None:
    renamed = "import ctypes; ctypes.CDLL(None).prctl(15, b'pt_main_thread');"
    process = start([sys.executable, "-c", renamed + WAITS])
    found = who(process, 5 << 30)
    row = read_process(process.pid)
    assert row is not None
    assert found == Tenant(
        process.pid, row.start_ticks, "pt_main_thread", os.geteuid(), 5 << 30, claim=None, is_python=True
    )


def test_a_program_that_is_no_python_is_none(start: Start) -> None:
    found = who(start(["bash", "-c", "echo; read"]))
    assert found is not None
    assert not found.is_python


def test_a_task_is_known_by_its_mark_and_so_is_what_dropped_it(start: Start) -> None:
    claim = "/spool/running/n/500-a.try1.abc"
    marked = start(GPU_QUEUE_CLAIM=claim)
    found = who(marked)
    assert found is not None
    assert found.claim == "500-a.try1.abc"
    assert user_pythons([found], os.geteuid()) == ()
    # A script that starts its program without its environment.
    script = start(["bash", "-c", f'env -i "{sys.executable}" -c "{WAITS}" & echo; wait'], GPU_QUEUE_CLAIM=claim)
    (child,) = wait_until(lambda: _children(script.pid, "python"), "the program")
    found = tenant_of(GpuProcess(child), os.geteuid())
    assert found is not None
    assert (found.claim, found.is_python) == ("500-a.try1.abc", True)
    os.kill(child, signal.SIGKILL)


def _children(pid: int, name: str) -> list[int]:
    rows = (read_process(int(one)) for one in os.listdir("/proc") if one.isdigit())
    return [row.pid for row in rows if row is not None and row.parent == pid and row.name.startswith(name)]


def test_a_filler_is_known_by_its_name(start: Start) -> None:
    source = "import os; from gpu_queue.keepalive.worker import become_worker; become_worker(os.getppid());" + WAITS
    assert become_worker.__module__ == "gpu_queue.keepalive.worker"
    found = who(start([sys.executable, "-c", source], PYTHONPATH=":".join(sys.path)))
    assert found is not None
    assert found.is_filler
    assert user_pythons([found], os.geteuid()) == ()


@as_several
def test_what_another_user_marks_is_not_a_task_of_ours(start: Start) -> None:
    words = ["setpriv", "--reuid", str(HIS), "--clear-groups", "python3", "-c", WAITS]
    process = start(words, GPU_QUEUE_CLAIM="/spool/running/n/a-claim")
    found = who(process, 7)
    assert found is not None
    assert (found.uid, found.claim, found.is_python, found.used_bytes) == (HIS, None, False, 7)
    # And as he sees us.
    mine = start(GPU_QUEUE_CLAIM="/spool/running/n/a-claim")
    seen = tenant_of(GpuProcess(mine.pid), HIS)
    assert seen is not None
    assert (seen.uid, seen.claim) == (os.geteuid(), None)


@as_several
def test_what_proc_hides_is_somebody_elses(monkeypatch: pytest.MonkeyPatch, start: Start) -> None:
    process = start()
    monkeypatch.setattr(lookout, "read_process", lambda _pid: None)
    monkeypatch.setattr(lookout, "owner_of", lambda _pid: None)
    assert who(process) == Tenant(process.pid, 0, "", None)


def test_what_has_ended_is_nobody_a_zombie_included(start: Start) -> None:
    process = start()
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    row = read_process(process.pid)
    assert row is not None
    assert row.state == "Z"
    assert who(process) is None
    process.wait()
    assert who(process) is None


def test_a_pid_that_passes_to_another_process_meanwhile_is_nobody(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = start()

    def before(pid: int) -> Process | None:
        row = read_process(pid)
        return None if row is None else replace(row, start_ticks=row.start_ticks - 1)

    assert who(process) is not None
    monkeypatch.setattr(lookout, "read_process", before)
    assert who(process) is None


def test_a_process_that_ends_between_list_and_look_makes_nothing_unknown(start: Start) -> None:
    process, late = start(), GpuProcess(NOBODY)
    here = GpuProcess(process.pid)
    found = look(Told({"GPU-a": (here, late)}, {"GPU-a": (here,)}), os.geteuid())
    assert found.tenants is not None
    assert [one.pid for one in found.tenants["GPU-a"]] == [process.pid]


def test_pids_of_another_namespace_are_not_believed_and_told(start: Start) -> None:
    process = start()
    found = look(Told({"GPU-a": (GpuProcess(process.pid), GpuProcess(NOBODY))}), os.geteuid())
    assert found.tenants is None
    assert str(NOBODY) in found.problem
    assert look(Told(None), os.geteuid()).problem


# -- the thread -----------------------------------------------------------------------------------------------------


class Slow(GpuProcesses):
    """A driver that answers when the test says so."""

    def __init__(self) -> None:
        self.asked = 0
        self.go = threading.Semaphore(0)

    def gpu_processes(self) -> Mapping[str, tuple[GpuProcess, ...]] | None:
        self.asked += 1
        self.go.acquire()
        return {"GPU-a": ()}


def test_a_look_is_made_when_the_last_one_is_too_old_and_wakes_the_agent() -> None:
    source, woken = Slow(), threading.Semaphore(0)
    seen = Lookout(source, woken.release)
    assert seen.last(0.0) is None
    assert seen.look(0.0, 5.0) is None
    assert seen.look(0.1, 5.0) is None
    source.go.release()
    assert woken.acquire(timeout=20)
    last = seen.last(0.2)
    assert last is not None
    assert last.tenants == {"GPU-a": ()}
    assert seen.look(last.began_at + 5.0, 5.0) is last
    assert source.asked == 1, "one that is under way is not joined by another one"
    assert seen.look(last.began_at + 5.1, 5.0) is None
    source.go.release()
    assert woken.acquire(timeout=20)
    assert source.asked == 2


def test_one_that_hangs_hangs_alone_and_nothing_can_be_told_meanwhile() -> None:
    source, woken = Slow(), threading.Semaphore(0)
    seen = Lookout(source, woken.release)
    seen.look(0.0, 5.0)
    later = 0.1 + HANGS_AFTER_S
    found = seen.look(later, 5.0)
    assert found is not None
    assert (found.began_at, found.tenants) == (later, None)
    assert "hangs" in found.problem
    assert source.asked == 1
    source.go.release()
    assert woken.acquire(timeout=20)
    last = seen.last(later)
    assert isinstance(last, Look)
    assert last.tenants == {"GPU-a": ()}


def test_a_fault_of_ours_is_told_and_ends_nothing() -> None:
    class Broken(GpuProcesses):
        def gpu_processes(self) -> Mapping[str, tuple[GpuProcess, ...]] | None:
            raise RuntimeError("broken")

    woken = threading.Semaphore(0)
    seen = Lookout(Broken(), woken.release)
    seen.look(0.0, 5.0)
    assert woken.acquire(timeout=20)
    last = seen.last(0.1)
    assert last is not None
    assert "broken" in last.problem


# -- what --check says ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pids", "expected"),
    [((os.getpid(),), "seen by their processes, memory and utilisation"), ((NOBODY,), f"process {NOBODY}")],
)
def test_check_says_whether_the_lists_of_processes_can_be_read(
    cluster: Cluster, tmp_path: Path, pids: tuple[int, ...], expected: str
) -> None:
    node = Scenario(cluster.base / "scenario", [FakeGpu(f"GPU-{place}") for place in range(3)])
    node.gpus[0].processes = pids
    node.gpus[1].compute = PROHIBITED
    node.write()
    more = environment(build(tmp_path / "nvml"), node)
    done = subprocess.run(
        cluster.command("--check", "--mode", "shared", "--use-all-gpus", "--gpu-left", "1", simulate=None),
        env=cluster.environment(**more),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    said = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert said["mode"] == "shared", done.stdout + done.stderr
    assert said["cards"] == "tasks may have GPUs 0; 2 left to others"
    assert expected in said["others"]
    assert said["others"].endswith(UNSEEN) == (pids == (NOBODY,))


def test_check_of_simulated_gpus_says_what_their_agent_finds(cluster: Cluster) -> None:
    command = cluster.command("--check", "--mode", "shared")
    done = subprocess.run(command, env=cluster.environment(), capture_output=True, text=True, timeout=30, check=False)
    assert "\nothers      seen by their processes, memory and utilisation\n" in done.stdout, done.stderr
