"""client.sh and a real agent together, in bash and in zsh, as their user types."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.agent.harness import ROOT, Cluster, wait_until
from tests.keepalive.nursery import HAS_TORCH

pytestmark = pytest.mark.bash  # what the client does in zsh, tests/shell knows


@pytest.fixture(params=["bash", "zsh"])
def shell(request: pytest.FixtureRequest) -> str:
    found = shutil.which(str(request.param))
    if found is None:
        pytest.skip(f"no {request.param} here; install it to test its users' way")
    return found


def typed(cluster: Cluster, shell: str, text: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
    """Run lines in a shell that has sourced client.sh under strict settings."""
    script = f"set -euo pipefail\nsource '{ROOT}/client.sh'\n{text}"
    environment = cluster.environment(JOB_ID=cluster.job_id, QUEUE_ROOT=str(cluster.queue_root))
    return subprocess.run(
        [shell, "-f" if shell.endswith("zsh") else "--norc", "-c", script],
        env=environment,
        cwd=cluster.base,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.zsh
def test_submit_wait_and_logs(cluster: Cluster, shell: str) -> None:
    cluster.start()
    (cluster.base / "my train.sh").write_text("#GPUQ --gpus 2\necho on $CUDA_VISIBLE_DEVICES in $PWD\n")
    done = typed(
        cluster, shell, 'task=$(gpu_submit "my train.sh" 001); gpu_wait "$task"; gpu_logs "$task"; gpu_status'
    )
    assert done.returncode == 0, done.stderr + cluster.dump()
    assert "on 0,1 in " in done.stdout
    assert "asks for 2 GPUs" in done.stderr
    assert cluster.names("done")[0].startswith("001-")


def test_wait_tells_a_failure_and_a_retry_brings_the_task_back(cluster: Cluster, shell: str) -> None:
    cluster.start()
    (cluster.base / "t.sh").write_text('[ -e "$QUEUE_ROOT/fixed" ]\n')
    done = typed(
        cluster,
        shell,
        'task=$(gpu_submit t.sh); gpu_wait "$task" && exit 50\n'
        'touch "$QUEUE_ROOT/fixed"; gpu_retry all; gpu_wait "$task"',
    )
    assert done.returncode == 0, done.stdout + done.stderr + cluster.dump()
    assert len(cluster.tries(cluster.ids("done")[0])) == 2


def test_stop_ends_a_running_task_and_prints_what_the_node_did(cluster: Cluster, shell: str) -> None:
    cluster.start()
    task = cluster.submit("sleep 600 & sleep 600\n", "train.sh")
    cluster.wait_for_line(task, "==== started")
    done = typed(cluster, shell, "gpu_stop train")
    assert done.returncode == 0, done.stderr + cluster.dump()
    assert "stopped train.sh" in done.stdout + done.stderr
    assert "processes ended" in done.stdout + done.stderr
    cluster.wait_for(task, "failed")


@pytest.mark.parametrize("command", ["gpu_stop train", "gpu_explain next", "gpu_shutdown", "gpu_stop all"])
def test_a_command_right_after_a_shutdown_waits_for_nobody(cluster: Cluster, shell: str, command: str) -> None:
    cluster.start()
    task = cluster.submit("sleep 600\n", "train.sh")
    cluster.submit("#GPUQ --gpus 2\n", "next.sh")
    cluster.wait_for_line(task, "==== started")
    done = typed(cluster, shell, f"gpu_shutdown & sleep 0.06; {command} || :; wait $!", timeout_s=30)
    assert done.returncode == 0, done.stderr + cluster.dump()
    assert "shuts down" in done.stdout


@pytest.mark.parametrize("asked", ["before", "after"])
def test_a_task_of_a_killed_agent_is_stopped_with_one_true_answer(cluster: Cluster, shell: str, asked: str) -> None:
    task = cluster.submit("trap 'exit 9' TERM; sleep 600 & wait\n", "train.sh")
    agent = cluster.start()
    cluster.wait_for_line(task, "==== started")
    cluster.kill(agent)
    if asked == "after":
        cluster.start()
        done = typed(cluster, shell, "gpu_stop train")
    else:
        asking = threading.Thread(target=lambda: said.append(typed(cluster, shell, "gpu_stop train")))
        said: list[subprocess.CompletedProcess[str]] = []
        asking.start()
        wait_until(lambda: list(Path(cluster.paths.control).glob("2*.json")), "the command", dump=cluster.dump)
        cluster.start()
        asking.join()
        (done,) = said
    (answer,) = done.stdout.splitlines()
    claim = f"500-{task}.try1."
    assert f": stopped train.sh ({claim}" in answer, answer + cluster.dump()
    assert answer.endswith(": 2 processes ended, status 9")
    assert (done.returncode, done.stderr) == (0, "")
    assert cluster.where(task) == ["failed"]
    assert [(one["outcome"], one["status"]) for one in cluster.tries(task)] == [("stopped", 9)]


def test_stop_all_empties_pending_and_stops_what_runs_and_retry_all_brings_it_back(
    cluster: Cluster, shell: str
) -> None:
    cluster.start(simulate="1")
    running = cluster.submit('[ -e "$QUEUE_ROOT/fixed" ] || sleep 600\n')
    waiting = [cluster.submit("true\n") for _ in range(3)]
    cluster.wait_for_line(running, "==== started")
    done = typed(cluster, shell, "gpu_stop all")
    assert done.returncode == 0, done.stderr + cluster.dump()
    cluster.wait_for(running, "failed")
    assert [cluster.where(task) for task in waiting] == [["failed"]] * 3, done.stderr + cluster.dump()
    (cluster.queue_root / "fixed").touch()
    assert typed(cluster, shell, "gpu_retry all; gpu_wait").returncode == 0, cluster.dump()
    assert sorted(cluster.ids("done")) == sorted([running, *waiting])


def test_explain_says_the_planners_own_words(cluster: Cluster, shell: str) -> None:
    cluster.start()
    task = cluster.submit("#GPUQ --gpus 8\ntrue\n", "huge.sh")
    wait_until(lambda: "needs 8 GPUs" in cluster.node_text(), "the reason", dump=cluster.dump)
    done = typed(cluster, shell, "gpu_explain huge")
    assert "needs 8 GPUs; this node serves 2" in done.stdout + done.stderr
    assert cluster.where(task) == ["pending"]


def test_priority_and_cancel_change_what_waits(cluster: Cluster, shell: str) -> None:
    first = cluster.submit("true\n", "first.sh")
    second = cluster.submit("true\n", "second.sh")
    done = typed(cluster, shell, "gpu_priority second 001; gpu_cancel first")
    assert done.returncode == 0, done.stderr
    assert cluster.where(first) == ["failed"]
    assert cluster.names("pending") == [f"001-{second}"]
    cluster.start()
    cluster.wait_for(second, "done")


def test_pause_drain_and_resume(cluster: Cluster, shell: str) -> None:
    agent = cluster.start()
    assert typed(cluster, shell, "gpu_pause").returncode == 0
    task = cluster.submit("true\n")
    wait_until(lambda: "paused" in cluster.node_text(), "the pause", dump=cluster.dump)
    assert typed(cluster, shell, "gpu_resume").returncode == 0
    cluster.wait_for(task, "done")
    assert typed(cluster, shell, "gpu_drain").returncode == 0
    assert agent.wait(20) == 0


def test_shutdown_prints_the_nodes_answer_and_requeues(cluster: Cluster, shell: str) -> None:
    agent = cluster.start()
    task = cluster.submit("sleep 600\n")
    cluster.wait_for_line(task, "==== started")
    done = typed(cluster, shell, "gpu_shutdown")
    assert "back to pending" in done.stdout + done.stderr
    assert agent.wait(20) == 0
    assert cluster.where(task) == ["pending"]


def test_stop_without_an_agent_moves_the_claim_itself_and_the_shim_ends_the_task(
    cluster: Cluster, shell: str
) -> None:
    agent = cluster.start(GPU_QUEUE_BEAT="1s")
    task = cluster.submit("sleep 600\n", "train.sh")
    cluster.wait_for_line(task, "==== started")
    cluster.kill(agent)
    done = typed(cluster, shell, "gpu_stop train", timeout_s=90)
    assert cluster.where(task) == ["failed"], done.stdout + done.stderr
    assert "no agent" in done.stdout + done.stderr
    wait_until(lambda: not cluster.own_processes(), "the shim to end the task", 40)


@pytest.mark.zsh
def test_tail_follows_a_task_to_its_end(cluster: Cluster, shell: str) -> None:
    cluster.start()
    (cluster.base / "t.sh").write_text("for i in 1 2 3; do echo line $i; sleep 0.1; done\n")
    done = typed(cluster, shell, "gpu_submit t.sh >/dev/null; gpu_tail t.sh")
    assert done.returncode == 0, done.stderr
    assert "line 3" in done.stdout
    assert "==== exit 0" in done.stdout


def test_after_and_retries_reach_the_agent(cluster: Cluster, shell: str) -> None:
    cluster.start()
    (cluster.base / "first.sh").write_text('[ "$GPU_QUEUE_TRY" = 2 ]\n')
    (cluster.base / "then.sh").write_text("true\n")
    done = typed(cluster, shell, "gpu_submit first.sh --retries 1; gpu_submit then.sh --after first; gpu_wait")
    assert done.returncode == 0, done.stdout + done.stderr + cluster.dump()


def test_submitting_from_many_shells_at_once_loses_nothing(cluster: Cluster, shell: str) -> None:
    cluster.start(simulate="4")
    (cluster.base / "t.sh").write_text("true\n")
    results: list[subprocess.CompletedProcess[str]] = []

    def one() -> None:
        results.append(typed(cluster, shell, "for i in 1 2 3 4 5; do gpu_submit t.sh; done"))

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    names = [line for result in results for line in result.stdout.split()]
    assert len(set(names)) == 20
    wait_until(lambda: sorted(cluster.names("done")) == sorted(names), "all twenty in done", 60, cluster.dump)


def test_submit_sh_starts_an_agent_once_and_the_client_ends_it(cluster: Cluster, tmp_path: Path) -> None:
    environment = cluster.environment(
        QUEUE_ROOT=str(cluster.queue_root),
        GPU_QUEUE_SIMULATE="2",
        GPU_QUEUE_LOCAL_DIR=str(cluster.local),
        XDG_STATE_HOME=str(tmp_path / "state"),
        PYTHON=sys.executable,
        SUBMIT_WAY="local",
    )

    def submit() -> subprocess.CompletedProcess[str]:
        command = [str(ROOT / "submit.sh"), cluster.job_id]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    first = submit()
    assert first.returncode == 0, first.stdout + first.stderr
    assert f"{cluster.job_id}.log" in first.stdout + first.stderr
    again = submit()
    assert again.returncode != 0
    assert "already" in again.stdout + again.stderr
    task = cluster.submit("true\n")
    cluster.wait_for(task, "done")
    assert "shuts down" in "".join(
        str(part) for part in typed(cluster, "/bin/bash", "gpu_shutdown").__dict__.values()
    )
    wait_until(lambda: not cluster.own_processes(), "nothing left running", 20)


@pytest.mark.skipif(not HAS_TORCH, reason="workers need torch")
def test_the_keep_alive_is_switched_off_and_on_and_what_it_did_is_reported(cluster: Cluster, shell: str) -> None:
    agent = cluster.start(keepalive=True)
    wait_until(lambda: "\tholding\t" in cluster.node_text(), "GPUs that are held", dump=cluster.dump)
    done = typed(cluster, shell, "gpu_keepalive off 'too hot'; gpu_keepalive")
    assert done.returncode == 0, done.stderr + cluster.dump()
    lines = done.stdout.splitlines()
    assert lines[0] == "keep-alive is off; gpu_keepalive on ends it"
    assert re.fullmatch(r".*: 2 off \(switched off by .*: too hot\)", lines[1])
    assert re.fullmatch(r"keep-alive is off: .*: too hot; gpu_keepalive on ends it", lines[2])
    done = typed(cluster, shell, "gpu_keepalive on; gpu_pause; gpu_status")
    assert done.stdout.startswith("keep-alive is on\n"), done.stderr + cluster.dump()
    assert "\nkeep-alive is off" not in done.stdout
    wait_until(lambda: "\tholding\t" in cluster.node_text(), "GPUs that are held again", dump=cluster.dump)
    agent.terminate()
    assert agent.wait(20) == 0
    done = typed(cluster, shell, "gpu_report --days 2")
    assert re.search(r"^total +0\.00 +\d+\.\d\d +\d+\.\d\d ", done.stdout, re.MULTILINE), done.stdout + done.stderr


def test_an_agent_that_was_started_without_keep_alive_says_so(cluster: Cluster, shell: str) -> None:
    cluster.start()
    done = typed(cluster, shell, "gpu_keepalive off; gpu_keepalive on; gpu_keepalive")
    assert done.returncode == 0, done.stderr + cluster.dump()
    assert "2 off (switched off by the settings)" in done.stdout
    assert "keep-alive off on GPU 0,1: switched off by the settings" in done.stdout


@pytest.mark.zsh
def test_arguments_and_an_array_reach_their_scripts(cluster: Cluster, shell: str) -> None:
    cluster.start()
    (cluster.base / "dist.sh").write_text('echo "$CUDA_VISIBLE_DEVICES for $1, $2"; : torchrun --nproc_per_node $2\n')
    (cluster.base / "sweep.py").write_text("import os; print('index', os.environ['SLURM_ARRAY_TASK_ID'])\n")
    (cluster.base / "linked.sh").write_text("#!/bin/bash\n#SBATCH -o %x-%j.out\necho $SLURM_JOB_ID\n")
    lines = """
gpu_submit dist.sh -- 'a  b' 3 >/dev/null
gpu_submit sweep.py --gpus 0 --array 2-4%2 >/dev/null
gpu_submit linked.sh >/dev/null
gpu_wait
cat "$QUEUE_ROOT/$JOB_ID"/logs/*dist.sh.log "$QUEUE_ROOT/$JOB_ID"/logs/*sweep_*.log
"""
    done = typed(cluster, shell, lines)
    assert done.returncode == 0, done.stderr + cluster.dump()
    assert " for a  b, 3\n" in done.stdout
    assert [f"index {index}\n" in done.stdout for index in (2, 3, 4)] == [True] * 3
    (link,) = cluster.base.glob("linked.sh-*.out")
    assert link.name[len("linked.sh-") : -len(".out")] in link.read_text().splitlines()
