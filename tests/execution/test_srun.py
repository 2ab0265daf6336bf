"""The srun of a task, and its scontrol, as scripts call them."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gpu_queue.execution import allocation, scontrol
from gpu_queue.execution.scontrol import expanded
from gpu_queue.execution.srun import __main__ as srun_main
from gpu_queue.execution.srun.gpus import part_wanted
from gpu_queue.execution.srun.step import parse
from gpu_queue.execution.srun.surroundings import exported
from gpu_queue.execution.tools import START_FILE, install_tools
from gpu_queue.task import SLURM_HIGHEST


class Task:
    """What a script with three GPUs has around it."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.directory = base / "a try"
        self.directory.mkdir()
        self.root = base / "it's local"
        self.root.mkdir()
        self.tools = install_tools(str(self.root))
        self.environment = {
            **{name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ},
            "PATH": f"{self.tools}:{os.environ['PATH']}",
            "SLURM_JOB_ID": "80000001",
            "SLURM_JOB_NAME": "a job",
            "SLURM_NTASKS": "2",
            "SLURM_JOB_NODELIST": "nodea",
            "SLURMD_NODENAME": "nodea",
            "CUDA_VISIBLE_DEVICES": "0,2,5",
            "GPU_QUEUE_TRY_DIR": str(self.directory),
            "GPU_QUEUE_CLAIM": "/a/claim",
        }

    def start(self, *words: str, **more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            words,
            env={**self.environment, **more},
            cwd=self.base,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str, given: str = "", **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words,
            env={**self.environment, **more},
            cwd=self.base,
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )

    def srun(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        return self.run(f"{self.tools}/srun", *words, **more)


@pytest.fixture
def task(tmp_path: Path) -> Task:
    return Task(tmp_path)


def lines(done: subprocess.CompletedProcess[str]) -> list[str]:
    return sorted(done.stdout.splitlines())


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)  # the pace of looking


# -- options --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "given", "program"),
    [
        (["hostname"], {}, ["hostname"]),
        (["-n4", "-N", "1", "a", "-n"], {"ntasks": "4", "nodes": "1"}, ["a", "-n"]),
        (["--ntasks=4", "--nodes", "1", "a"], {"ntasks": "4", "nodes": "1"}, ["a"]),
        (
            ["-lu", "-K1", "-n", "2", "a"],
            {"label": "", "unbuffered": "", "kill-on-bad-exit": "1", "ntasks": "2"},
            ["a"],
        ),
        (["--kill-on-bad-exit", "a"], {"kill-on-bad-exit": ""}, ["a"]),
        (["--partition", "-n9", "a"], {"partition": "-n9"}, ["a"]),
        (
            ["--exclusive", "--mpi=pmix", "--cpu-bind", "none", "a"],
            {"exclusive": "", "mpi": "pmix", "cpu-bind": "none"},
            ["a"],
        ),
        (["--gpus_per_task=1", "--", "--odd"], {"gpus-per-task": "1"}, ["--odd"]),
        (["--ntasks-per-n=3", "a"], {"ntasks-per-node": "3"}, ["a"]),
    ],
)
def test_options_end_where_the_program_begins(words: list[str], given: dict[str, str], program: list[str]) -> None:
    step = parse(words)
    assert (step.given, step.program, step.unknown) == (given, program, [])


def test_what_nobody_knows_is_passed_over_with_a_line(task: Task) -> None:
    done = task.srun("--frobnicate=3", "-n1", "echo", "here")
    assert (done.stdout, done.returncode) == ("here\n", 0)
    assert done.stderr == "srun: passes over --frobnicate, which it does not know\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["-N2", "hostname"], "--nodes=2: the task has one node"),
        (["--nodes=2-4", "hostname"], "--nodes=2-4: the task has one node"),
        (["--multi-prog", "silly.conf"], "--multi-prog: "),
        (["--container-image=nvcr.io/x", "python"], "--container-image: "),
        (["-n", "many", "hostname"], "--ntasks=many: expected a whole number"),
        (["--gres=gpu:8", "hostname"], "asks for 8 GPUs, and this task has 3: gpu_submit --gpus 8"),
        (["--gpus-per-task=2", "hostname"], "asks for 4 GPUs, and this task has 3"),
        (["-D", "/nowhere", "hostname"], "cannot enter /nowhere: No such file or directory"),
        (["-n1"], "no program is given"),
        (["-n"], "-n has no value"),
    ],
)
def test_what_it_cannot_do_it_refuses(task: Task, words: list[str], told: str) -> None:
    done = task.srun(*words)
    assert (done.stdout, done.returncode) == ("", 1)
    assert done.stderr.startswith(f"srun: error: {told}")


@pytest.mark.parametrize(
    ("option", "count"),
    [
        ("--gres=gpu:2", 2),
        ("--gres=gpu:a100:2", 2),
        ("--gres=shard:1,gpu", 1),
        ("--gres=none", 0),
        ("--gpus=2080ti:1", 1),
        ("-G3", 3),
        ("--gpus-per-node=v100:2,a100:1", 3),
        ("--gres=license:1", None),
    ],
)
def test_the_gpus_of_a_step(option: str, count: int | None) -> None:
    assert part_wanted(parse([option, "a"])) == count


# -- ranks ----------------------------------------------------------------------------------------------------------


def test_each_rank_knows_its_place(task: Task) -> None:
    names = ("PROCID", "LOCALID", "NTASKS", "STEP_NUM_TASKS", "STEP_ID", "STEP_NODELIST")
    done = task.srun("-n3", "sh", "-c", "echo " + " ".join(f"$SLURM_{name}" for name in names))
    assert lines(done) == ["0 0 3 3 0 nodea", "1 1 3 3 0 nodea", "2 2 3 3 0 nodea"]
    assert task.srun("sh", "-c", "echo $SLURM_STEP_ID $SLURM_NTASKS").stdout == "1 2\n1 2\n"


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ([], ["0,2,5", "0,2,5"]),
        (["--gpus-per-task=1"], ["0", "2"]),
        (["--gpu-bind=single:1"], ["0", "2"]),
        (["--gpu-bind=per_task:1"], ["0", "2"]),
        (["--gpu-bind=map_gpu:2,0"], ["0", "5"]),
        (["--gpu-bind=closest"], ["0,2,5", "0,2,5"]),
        (["--gpus-per-task=1", "--gpu-bind=none"], ["0,2", "0,2"]),
        (["--ntasks-per-gpu=2"], ["0", "0"]),
        (["--gres=gpu:0"], ["", ""]),
    ],
)
def test_which_gpus_the_ranks_see(task: Task, options: list[str], shown: list[str]) -> None:
    assert lines(task.srun(*options, "sh", "-c", 'echo "$CUDA_VISIBLE_DEVICES"')) == shown


def test_what_sbatch_was_told_of_gpus_counts_for_its_steps(task: Task) -> None:
    done = task.srun("sh", "-c", 'echo "$CUDA_VISIBLE_DEVICES"', SLURM_GPUS_PER_TASK="1")
    assert lines(done) == ["0", "2"]


def test_a_step_waits_for_gpus_that_no_other_has(task: Task) -> None:
    first = task.start(f"{task.tools}/srun", "-n1", "-G2", "sh", "-c", "echo $CUDA_VISIBLE_DEVICES; touch up; "
                       "until [ -e go ]; do sleep 0.02; done")  # fmt: skip
    until((task.base / "up").exists)
    assert task.srun("-n1", "-G1", "sh", "-c", "echo $CUDA_VISIBLE_DEVICES").stdout == "5\n"
    second = task.start(f"{task.tools}/srun", "-n1", "-G2", "sh", "-c", "echo $CUDA_VISIBLE_DEVICES")
    assert second.stderr is not None
    assert second.stderr.readline() == "srun: waits for 2 GPUs that no other step of this task has\n"
    (task.base / "go").touch()
    assert first.communicate()[0] == "0,2\n"
    assert second.communicate()[0] in ("0,2\n", "0,5\n")


def test_the_worst_status_is_that_of_the_step(task: Task) -> None:
    done = task.srun("-n3", "sh", "-c", "exit $SLURM_PROCID")
    assert done.returncode == 2
    assert "srun: error: nodea: task 1: Exited with exit code 1\n" in done.stderr
    assert task.srun("-n1", "sh", "-c", "kill -9 $$").returncode == 137
    assert task.srun("-n1", "no-such-program").returncode == 127


def test_one_bad_rank_ends_the_others_where_that_is_said(task: Task) -> None:
    script = "[ $SLURM_PROCID = 1 ] && exit 3; exec sleep 60"
    begun = time.monotonic()
    done = task.srun("-n2", "--kill-on-bad-exit=1", "sh", "-c", script)
    assert done.returncode == 143
    assert time.monotonic() - begun < 20
    assert task.srun("-n2", "-W1", "sh", "-c", "[ $SLURM_PROCID = 1 ] || exec sleep 60").returncode == 143


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_signals_reach_all_ranks(task: Task, number: signal.Signals) -> None:
    word = number.name.removeprefix("SIG")
    script = f"trap 'echo told; exit 9' {word}; touch up-$SLURM_PROCID; while :; do sleep 0.02; done"
    step = task.start(f"{task.tools}/srun", "-n2", "sh", "-c", script)
    until(lambda: (task.base / "up-0").exists() and (task.base / "up-1").exists())
    # From within the task: the agent and the shim have told the ranks themselves.
    task.run("sh", "-c", f"kill -s {word} {step.pid}")
    said, _ = step.communicate(timeout=20)
    assert (said, step.returncode) == ("told\ntold\n", 9)


def test_labels_and_files(task: Task) -> None:
    done = task.srun("-l", "sh", "-c", "echo out; echo err >&2; printf torn")
    assert lines(done) == ["0: out", "0: torn", "1: out", "1: torn"]
    assert sorted(done.stderr.splitlines()) == ["0: err", "1: err"]
    task.srun("-o", "%x.%j.%2t", "-e", "none", "sh", "-c", "echo $SLURM_PROCID; echo err >&2")
    assert (task.base / "a job.80000001.01").read_text() == "1\n"
    task.srun("-o", "both", "--open-mode=append", "sh", "-c", "echo out; echo err >&2")
    assert sorted((task.base / "both").read_text().splitlines()) == ["err", "err", "out", "out"]
    assert task.srun("--output=1", "sh", "-c", "echo $SLURM_PROCID").stdout == "1\n"


def test_the_first_rank_reads_what_srun_is_given(task: Task) -> None:
    assert task.srun("cat", given="data\n").stdout == "data\n"
    (task.base / "in").write_text("file\n")
    assert task.srun("--input=in", "cat").stdout == "file\nfile\n"


def test_export_says_what_ranks_find(task: Task) -> None:
    assert task.srun("-n1", "--export=ALL,FOO=a b", "sh", "-c", "echo $FOO $SLURM_JOB_ID").stdout == "a b 80000001\n"
    base = {"FOO": "1", "BAR": "2", "PATH": "/bin", "SLURM_X": "3", "GPU_QUEUE_CLAIM": "c"}
    kept = {"PATH": "/bin", "SLURM_X": "3", "GPU_QUEUE_CLAIM": "c"}
    assert exported(base, "NONE") == kept
    assert exported(base, "FOO,NEW='x,y'") == {**kept, "FOO": "1", "NEW": "x,y"}
    assert exported(base, None) == base


# -- a real Slurm beside it -----------------------------------------------------------------------------------------


def beside(task: Task, name: str) -> str:
    """A PATH with ours and a real one."""
    directory = task.base / "slurm"
    directory.mkdir(exist_ok=True)
    (directory / name).write_text(f'#!/bin/sh\necho real {name} "$@"\n')
    (directory / name).chmod(0o755)
    return f"{task.tools}:{directory}:{os.environ['PATH']}"


def test_a_real_job_is_asked_of_the_real_srun(task: Task) -> None:
    path = beside(task, "srun")
    assert task.srun("-n1", "echo", "hi", PATH=path).stdout == "hi\n"
    assert task.srun("-n1", "echo", "hi", PATH=path, SLURM_JOB_ID="4711").stdout == "real srun -n1 echo hi\n"
    assert task.srun("--jobid=4711", "hostname", PATH=path).stdout == "real srun --jobid=4711 hostname\n"


def test_scontrol_tells_hosts_and_leaves_the_rest(task: Task) -> None:
    scontrol = f"{task.tools}/scontrol"
    assert task.run(scontrol, "show", "hostnames", "nodea").stdout == "nodea\n"
    assert task.run(scontrol, "show", "hostname").stdout == "nodea\n"
    done = task.run(scontrol, "show", "job", "80000001")
    assert (done.stdout, done.returncode) == ("", 1)
    assert done.stderr.startswith("scontrol: error: show job 80000001: a task of gpu-queue is no job of Slurm's")
    path = beside(task, "scontrol")
    assert task.run(scontrol, "show", "partition", PATH=path).stdout == "real scontrol show partition\n"
    assert task.run(scontrol, "requeue", "80000001", PATH=path).returncode == 1


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a", ["a"]),
        ("a,b", ["a", "b"]),
        ("a[1-3],b", ["a1", "a2", "a3", "b"]),
        ("gpu[08-10,12]-ib", ["gpu08-ib", "gpu09-ib", "gpu10-ib", "gpu12-ib"]),
        ("", []),
    ],
)
def test_lists_of_hosts(text: str, names: list[str]) -> None:
    assert expanded(text) == names


def test_no_tools_where_path_could_not_name_them(tmp_path: Path) -> None:
    root = tmp_path / "a:b"
    root.mkdir()
    assert install_tools(str(root)) == ""


def has_pending(pid: int, number: signal.Signals) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    masks = [int(line.split()[1], 16) for line in status.splitlines() if line.startswith(("SigPnd:", "ShdPnd:"))]
    return any(mask >> (number - 1) & 1 for mask in masks)


def test_what_the_leader_of_the_session_says_it_says_to_each_rank_itself(task: Task) -> None:
    rank = "trap 'echo told; exit 9' TERM; while :; do n=$((n + 1)); echo $n >beat; sleep 0.02; done"
    script = """
GPU_QUEUE_CLAIM=/a/claim srun -n1 sh -c "$RANK" & echo $! >pid
until [ -s beat ]; do sleep 0.02; done
kill $(cat pid); : >killed
wait $(cat pid); echo "status $?"
"""
    environment = {**task.environment, "RANK": rank}
    del environment["GPU_QUEUE_CLAIM"]
    leader = subprocess.Popen(
        ["sh", "-c", script],
        env=environment,
        cwd=task.base,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    until((task.base / "killed").exists)
    pid = int((task.base / "pid").read_text())
    until(lambda: not has_pending(pid, signal.SIGTERM))

    def beats() -> int:
        return int((task.base / "beat").read_text() or 0)

    before = beats()
    until(lambda: beats() > before + 5)
    task.run("sh", "-c", f"kill {pid}")
    assert leader.communicate(timeout=20)[0] == "told\nstatus 9\n"


def test_the_programs_and_the_agent_agree_on_which_numbers_are_slurms() -> None:
    assert srun_main.SLURM_HIGHEST == scontrol.SLURM_HIGHEST == SLURM_HIGHEST
    assert srun_main.DIRECTORY_VARIABLE == allocation.TRY_DIRECTORY


# -- over several nodes ---------------------------------------------------------------------------------------------

GANG = {
    "GPU_QUEUE_NODES": "2",
    "GPU_QUEUE_NODE_ADDRESSES": "10.0.0.1,10.0.0.2",
    "SLURM_JOB_NODELIST": "nodea,nodeb.site",
    "SLURM_NNODES": "2",
    "SLURM_TASKS_PER_NODE": "2(x2)",
    "SLURM_NTASKS": "4",
}
ASKED = "echo $SLURM_PROCID $SLURM_NODEID $SLURM_LOCALID $SLURM_NTASKS $SLURM_NNODES $SLURM_STEP_NODELIST"


def on_both(task: Task, *words: str, **more: str) -> list[subprocess.CompletedProcess[str]]:
    """The same step, as the script calls it on each of the two nodes."""
    hosts = ("nodea", "nodeb.site")
    return [
        task.srun(*words, **{**GANG, "GPU_QUEUE_NODE_RANK": str(rank), "SLURMD_NODENAME": hosts[rank], **more})
        for rank in range(2)
    ]


@pytest.mark.parametrize(
    ("words", "first", "second"),
    [
        ([], ["0 0 0 4 2", "1 0 1 4 2"], ["2 1 0 4 2", "3 1 1 4 2"]),
        (["-N2", "--ntasks=2"], ["0 0 0 2 2"], ["1 1 0 2 2"]),
        (["--nodes=2", "-n", "3"], ["0 0 0 3 2", "1 0 1 3 2"], ["2 1 0 3 2"]),
        (["--ntasks-per-node=1"], ["0 0 0 2 2"], ["1 1 0 2 2"]),
        (["-m", "cyclic"], ["0 0 0 4 2", "2 0 1 4 2"], ["1 1 0 4 2", "3 1 1 4 2"]),
        (["-N1", "-n1"], ["0 0 0 1 1"], []),
        (["-n1"], ["0 0 0 1 1"], []),
        (["-N", "1", "-n", "1", "-w", "nodeb"], [], ["0 0 0 1 1"]),
        (["-n1", "-w", "10.0.0.2"], [], ["0 0 0 1 1"]),
        (["-N1", "-n1", "-r", "1"], [], ["0 0 0 1 1"]),
        (["-N1", "-n1", "--exclude=nodea"], [], ["0 0 0 1 1"]),
        (["-w", "nodeb,nodea", "-n2"], ["0 0 0 2 2"], ["1 1 0 2 2"]),  # in the task's order
    ],
)
def test_each_node_of_a_task_starts_its_own_ranks(
    task: Task, words: list[str], first: list[str], second: list[str]
) -> None:
    for done, wanted in zip(on_both(task, *words, "bash", "-c", ASKED), (first, second), strict=True):
        assert done.returncode == 0
        assert sorted(line.rpartition(" ")[0] for line in done.stdout.splitlines()) == wanted
        assert ("which starts it itself" in done.stderr) is (not wanted)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["-N1", "-n1", "-w", "nodea", "hostname", "--ip-address"], "10.0.0.1\n"),
        (["-N1", "-n1", "-w", "nodeb.site", "hostname", "-I"], "10.0.0.2\n"),
        (["-n2", "hostname"], "nodea\nnodeb.site\n"),
        (["--ntasks-per-node=1", "/bin/hostname", "-s"], "nodea\nnodeb\n"),
        (["hostname"], "nodea\nnodea\nnodeb.site\nnodeb.site\n"),
    ],
)
def test_names_and_addresses_of_nodes_are_told_alike_on_each(task: Task, words: list[str], told: str) -> None:
    assert [done.stdout for done in on_both(task, *words)] == [told, told]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["-N3", "true"], "--nodes=3: the task has 2 nodes"),
        (["-w", "elsewhere", "true"], "--nodelist=elsewhere: the task has nodea, nodeb.site"),
        (["-N2", "-x", "nodea", "true"], "it asks for 2 nodes of 1"),
        (["--gpus=8", "true"], "asks for 4 GPUs, and this task has 3"),
    ],
)
def test_what_a_task_over_two_nodes_does_not_have_is_refused_on_both(task: Task, words: list[str], told: str) -> None:
    for done in on_both(task, *words):
        assert (done.returncode, done.stdout) == (1, "")
        assert told in done.stderr


def test_bash_draws_the_same_numbers_on_all_nodes_where_the_start_file_is_read(task: Task) -> None:
    seeded = {
        **GANG,
        "BASH_ENV": f"{task.tools}/{START_FILE}",
        "GPU_QUEUE_SEED": "80000001",
        "GPU_QUEUE_BASH_ENV": "",
    }
    said = [task.run("bash", "-c", "echo $RANDOM $RANDOM ${BASH_ENV-none}", **seeded).stdout for _ in range(2)]
    assert said[0] == said[1]
    assert said[0].split()[2] == "none"
    own = task.base / "own.bash"
    own.write_text("OWN=read\n")
    seeded["GPU_QUEUE_BASH_ENV"] = str(own)
    assert task.run("bash", "-c", "echo $OWN $BASH_ENV", **seeded).stdout == f"read {own}\n"
