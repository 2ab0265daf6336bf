"""Which strays may be swept, and what is read to tell."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from gpu_queue.execution.processes import Process
from gpu_queue.execution.sweep import GRACE_S, Facts, choose_strays, read_facts, why_shared
from tests.execution.helpers import wait_until
from tests.unit.test_docs import ROOT

CLAIM = f"/run/a b\n'c/500-x.try1.{secrets.token_hex(3)}"


def facts(pid: int, parent: int = 1, name: str = "python3", **more: object) -> Facts:
    values = {"uid": 1000, "arguments": ("python3", "train.py"), "program": "python3.11", "uses_gpu": True, **more}
    return Facts(Process(pid, 1, parent, 1, "S", name), **values)  # type: ignore[arg-type]


def strays(*rows: Facts, alive: str = "", everything: bool = False, self_pid: int = 50) -> list[int]:
    chosen = choose_strays(
        {row.process.pid: row for row in rows},
        uid=1000,
        self_pid=self_pid,
        is_claim_alive=lambda claim: claim == alive,
        everything=everything,
    )
    return [one.pid for one in chosen]


AGENT = facts(50, parent=40, arguments=("python3", "-u", "perpetual_motion.py"))


def test_a_python_process_that_hangs_on_to_a_gpu_is_a_stray() -> None:
    assert strays(AGENT, facts(60)) == [60]
    assert strays(AGENT, facts(60, name="pt_main_thread")) == [60], "torch renames its threads"
    assert strays(AGENT, facts(60, claim="/dead")) == [60]


@pytest.mark.parametrize(
    "spared",
    [
        facts(60, uid=0),
        facts(60, uses_gpu=False),
        facts(60, name="nvidia-smi", program="nvidia-smi", arguments=("nvidia-smi",)),
        facts(60, parent=50),
        facts(60, arguments=("/venv/bin/python3", "/opt/q/perpetual_motion.py", "--job-id", "x")),
        facts(60, arguments=("python3", "-m", "gpu_queue.keepalive.worker")),
        facts(60, claim="/alive"),
        facts(40),
    ],
    ids=["another user", "no gpu", "no python", "our child", "an agent", "a keep-alive", "a live try", "our parent"],
)
def test_what_somebody_answers_for_is_no_stray(spared: Facts) -> None:
    assert strays(AGENT, spared, alive="/alive") == []


def test_descendants_of_shims_and_live_tries_are_no_strays_but_siblings_of_ours_are() -> None:
    shim = facts(
        70, name="sh", arguments=("/bin/sh", "/tmp/gpu-queue-1000/shims/0123456789abcdef.sh", "c"), program="dash"
    )
    rows = [AGENT, facts(40, parent=1, name="bash", program="bash"), facts(41, parent=40), shim]
    rows += [facts(71, parent=70), facts(72, parent=71), facts(80, claim="/alive"), facts(81, parent=80)]
    assert strays(*rows, alive="/alive") == [41]


@pytest.mark.parametrize("everything", [False, True])
def test_what_is_a_child_of_process_1_has_lost_its_parent_also_where_that_is_the_agent(everything: bool) -> None:
    agent = facts(1, parent=0, arguments=("python3", "perpetual_motion.py"))
    shim = facts(70, arguments=("/bin/sh", "/tmp/q/shims/0123456789abcdef.sh"), name="sh", program="dash")
    zygote = facts(80, arguments=("python3", "-m", "gpu_queue.keepalive.zygote", "--fd", "3"))
    rows = [agent, shim, facts(71, parent=70), zygote, facts(81, parent=80), facts(90)]
    assert strays(*rows, everything=everything, self_pid=1) == [90]


def test_all_other_python_of_this_user_is_ended_on_a_node_that_is_ours_alone() -> None:
    spared = [
        facts(40, arguments=("python3", "jupyter-lab")),  # started us
        facts(41, uid=0),
        facts(42, name="bash", program="bash", arguments=("bash", "python3")),
        facts(43, arguments=("python3", "/opt/q/gpu_queue/agent/__main__.py")),
        facts(44, claim="/alive"),
        facts(45, parent=44),
    ]
    ended = [facts(60, uses_gpu=False), facts(61, uses_gpu=False, parent=40), facts(62, claim="/dead")]
    assert strays(AGENT, *spared, *ended, alive="/alive", everything=True) == [60, 61, 62]
    assert strays(AGENT, *spared, *ended, alive="/alive") == [62]


@pytest.mark.parametrize("everything", [False, True])
def test_what_belongs_to_another_slurm_job_is_left_alone_but_not_what_a_try_left_behind(everything: bool) -> None:
    agent = facts(50, parent=40, arguments=("python3", "-u", "perpetual_motion.py"), job="1234")
    rows = [agent, facts(60, job="1234"), facts(61, job="1235"), facts(62), facts(63, job="1234", claim="/dead")]
    rows += [facts(64, claim="/dead"), facts(65, job="1235", claim="/unknown-here")]
    assert strays(*rows, everything=everything) == [60, 62, 63, 64]
    assert 61 not in strays(AGENT, facts(61, job="1235"), everything=everything)


def test_whose_environment_cannot_be_read_may_belong_to_anybody() -> None:
    assert strays(AGENT, facts(60, is_hidden=True), everything=True) == []


def test_ancestors_are_left_alone_up_to_the_first_also_where_one_of_them_is_answered_for() -> None:
    outer = facts(30, parent=20, arguments=("python3", "perpetual_motion.py"))
    nested = [facts(20, arguments=("python3", "jupyter-lab")), outer, facts(40, parent=30, name="bash"), AGENT]
    assert strays(*nested, everything=True) == []


INIT = facts(1, uid=0, parent=0, name="systemd", program="systemd", arguments=("/sbin/init",))


@pytest.mark.parametrize(
    ("uid", "row", "word"),
    [
        (0, facts(60, uid=0), "root"),
        (1000, facts(60, uid=1001), "uid 1001"),
        (1000, facts(60, uid=1_234_567_890), "uid 1234567890"),  # of a directory service
        (0, facts(60, uid=1001), "root"),
        (1000, facts(60, name="raylet", program="raylet"), "Ray"),
    ],
)
def test_a_node_that_is_evidently_not_ours_alone_is_known(uid: int, row: Facts, word: str) -> None:
    assert word in why_shared({1: INIT, row.process.pid: row}, uid=uid)


@pytest.mark.parametrize(
    "row",
    [
        facts(60),
        facts(60, uid=0),  # a service
        facts(60, uid=998),
        facts(60, uid=65534),
        facts(60, uid=61_184),
        facts(60, uid=-1),
        facts(60, uid=1001, name="sshd", program="", arguments=()),
        facts(60, uid=1001, name="raylet", program="", arguments=()),
    ],
)
def test_services_and_sessions_of_others_tell_nothing(row: Facts) -> None:
    assert why_shared({1: INIT, 60: row}, uid=1000) == ""


def test_root_of_a_container_is_alone_there() -> None:
    assert why_shared({1: facts(1, uid=0, parent=0, name="bash"), 60: facts(60, uid=0)}, uid=0) == ""


def test_a_loop_in_the_facts_does_not_hang() -> None:
    assert strays(facts(50, parent=51), facts(51, parent=50)) == []


Start = Callable[..., subprocess.Popen[bytes]]
HOLD = """
import mmap, signal, sys, time
with open(sys.argv[1], 'rb') as file:
    held = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
signal.signal(signal.SIGTERM, signal.SIG_IGN if 'deaf' in sys.argv else signal.SIG_DFL)
print('up', flush=True)
time.sleep(600)
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a Python that has a file mapped, and waits until it has."""
    children: list[subprocess.Popen[bytes]] = []

    def started(
        library: str, *words: str, claim: str = CLAIM, job: dict[str, str] | None = None, **more: object
    ) -> subprocess.Popen[bytes]:
        (tmp_path / library).write_bytes(b"x")
        child: subprocess.Popen[bytes] = subprocess.Popen(  # type: ignore[call-overload]
            [sys.executable, "-c", HOLD, str(tmp_path / library), *words],
            env={"GPU_QUEUE_CLAIM": claim, **(job or {})},
            stdout=subprocess.PIPE,
            **more,
        )
        children.append(child)
        assert child.stdout is not None
        assert child.stdout.readline() == b"up\n"
        return child

    yield started
    for child in children:
        child.kill()
        child.communicate()


def test_facts_are_read_of_real_processes(start: Start) -> None:
    claim = os.fsdecode(CLAIM.encode() + b"\xff")
    holds, idles = start("libcuda.so.1", claim=claim), start("libm.so.6", "a b", "\udcff")
    facts = read_facts(os.geteuid())
    one = facts[holds.pid]
    assert (one.claim, one.uses_gpu, one.uid, one.process.parent) == (claim, True, os.geteuid(), os.getpid())
    assert one.program == os.path.basename(os.path.realpath(sys.executable))
    assert facts[idles.pid].arguments[-2:] == ("a b", "\udcff")
    assert not facts[idles.pid].uses_gpu
    assert 1 in facts


def test_of_a_task_the_job_of_its_agent_is_read_and_not_the_number_that_it_was_given(start: Start) -> None:
    child = start("libm.so.6", job={"SLURM_JOB_ID": "70000001", "GPU_QUEUE_OUTER_SLURM_JOB_ID": "1234"})
    assert read_facts(os.geteuid())[child.pid].job == "1234"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts processes of others")
def test_of_other_users_only_the_owner_and_the_place_in_the_tree_are_read(start: Start, tmp_path: Path) -> None:
    code = "import os, sys; os.setresuid(0, 65534, 0); print('up', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"up\n"
        one = read_facts(0)[other.pid]
        assert one == Facts(one.process, 65534)
        assert one.process.parent == os.getpid()
        other.kill()


def test_what_cannot_be_looked_at_stays_in_the_tree_and_is_no_stray(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = start("libcuda.so.1")

    def refused(self: psutil.Process) -> None:
        raise psutil.AccessDenied(self.pid)

    for name in ("cmdline", "exe", "environ"):
        monkeypatch.setattr(psutil.Process, name, refused)
    one = read_facts(os.geteuid())[child.pid]
    assert (one.arguments, one.program, one.claim, one.is_hidden) == ((), "", None, True)


def test_a_process_that_ends_while_it_is_looked_at_is_left_out(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    child = start("libcuda.so.1")
    ask = psutil.Process.cmdline

    def ends(self: psutil.Process) -> object:
        if self.pid == child.pid:
            child.kill()
            child.wait()
        return ask(self)

    monkeypatch.setattr(psutil.Process, "cmdline", ends)
    assert child.pid not in read_facts(os.geteuid())


SWEEP = """
import sys, time
import psutil
from gpu_queue.execution.sweep import Sweep
psutil.pids = lambda: [int(word) for word in sys.argv[1:]]  # nothing else of this machine
sweep = Sweep(lambda claim: claim == "/alive")
assert not sweep.step(0.0), "it has not looked yet, or has just told somebody"
for now in sys.stdin:
    done = sweep.step(float(now))
    print(done, sweep.ended, flush=True)
"""


def test_a_sweep_terms_once_then_kills_what_does_not_hear(start: Start) -> None:
    hears, deaf, alive = start("libcuda.so.1"), start("libcuda.so.1", "deaf"), start("libcuda.so.1", claim="/alive")
    pids = [str(one.pid) for one in (hears, deaf, alive)]
    with subprocess.Popen(
        [sys.executable, "-c", SWEEP, *pids],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as sweeping:

        def step(now: float) -> str:
            assert sweeping.stdin is not None
            assert sweeping.stdout is not None
            sweeping.stdin.write(f"{now}\n")
            sweeping.stdin.flush()
            return sweeping.stdout.readline()

        wait_until(lambda: step(1.0) == "False 2\n")
        assert hears.wait(10) == -signal.SIGTERM
        assert deaf.poll() is None
        wait_until(lambda: step(GRACE_S + 1) and deaf.poll() is not None)
        assert deaf.returncode == -signal.SIGKILL
        wait_until(lambda: step(GRACE_S + 2) == "True 2\n")
        assert alive.poll() is None
        assert sweeping.stdin is not None
        sweeping.stdin.close()
