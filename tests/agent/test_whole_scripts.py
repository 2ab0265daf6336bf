"""Whole scripts in the patterns of real ones, run by an agent; stand-ins for heavy programs note what they find."""

from __future__ import annotations

import json
import re
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gpu_queue.task import SLURM_HIGHEST, job_number
from tests.agent.harness import Cluster, a_cluster, wait_until

STAND_IN = """#!/bin/sh
# A heavy program's stand-in: a line of JSON with its name, arguments and environment.
exec '{python}' -I -S - "$0" "$@" <<'PROGRAM'
import json, os, sys
wanted = ("SLURM_", "SLURMD_", "PBS_", "CUDA_", "MASTER_", "PET_", "CONDA_", "GPU_QUEUE_OUTER_")
found = {{name: value for name, value in os.environ.items() if name.startswith(wanted) or name in ("PORT", "PATH")}}
line = json.dumps([os.path.basename(sys.argv[1]), sys.argv[2:], found, os.getcwd()]) + "\\n"
task = os.environ["GPU_QUEUE_TASK"]
descriptor = os.open("{seen}/" + task, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
os.write(descriptor, line.encode())
PROGRAM
"""
REAL = {
    "SLURM_JOB_ID": "4711",
    "SLURM_JOBID": "4711",
    "SLURM_NTASKS": "16",
    "SLURM_PROCID": "3",
    "SLURM_JOB_NODELIST": "big[01-02]",
    "SLURM_CONF": "/etc/slurm.conf",
    "PMI_RANK": "3",
}


@dataclass
class Call:
    """One start of a stand-in."""

    name: str
    arguments: list[str]
    found: dict[str, str]
    cwd: str

    def __getitem__(self, name: str) -> str:
        return self.found[name]


class Site:
    """An agent with four simulated GPUs, in a conda environment, and the programs that scripts call."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.seen = cluster.base / "seen"
        self.seen.mkdir()
        self.conda = cluster.base / "conda envs" / "train"
        programs = self.conda / "bin"
        programs.mkdir(parents=True)
        for name in ("torchrun", "accelerate", "deepspeed", "python", "train", "server"):
            path = programs / name
            path.write_text(STAND_IN.format(python=sys.executable, seen=self.seen))
            path.chmod(0o755)

    def start(self, *flags: str, **more: str) -> None:
        path = f"{self.conda}/bin:/usr/local/bin:/usr/bin:/bin"
        conda = {"CONDA_PREFIX": str(self.conda), "CONDA_DEFAULT_ENV": "train", "CONDA_SHLVL": "1"}
        self.cluster.start(*flags, simulate="4", env={"PATH": path, **conda, **more})

    def run(self, script: str, state: str = "done", **more: object) -> list[Call]:
        task_id = self.cluster.submit(script, **more)  # type: ignore[arg-type]
        self.cluster.wait_for(task_id, state)
        return self.calls(task_id)

    def calls(self, task_id: str) -> list[Call]:
        path = self.seen / task_id
        lines = path.read_text().splitlines() if path.exists() else []
        return [Call(*json.loads(line)) for line in lines]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One for many scripts, whose agent runs within a real allocation."""
    with a_cluster(tmp_path_factory.mktemp("site")) as cluster:
        made = Site(cluster)
        made.start(**REAL)
        yield made


@pytest.fixture
def own_site(tmp_path: Path) -> Iterator[Site]:
    """One that a test starts as it needs it."""
    with a_cluster(tmp_path) as cluster:
        yield Site(cluster)


def by_rank(calls: list[Call]) -> list[Call]:
    return sorted(calls, key=lambda call: int(call["SLURM_PROCID"]))


# -- scripts with #SBATCH lines -------------------------------------------------------------------------------------


def test_a_batch_script_finds_the_job_that_it_is(site: Site) -> None:
    script = """#!/bin/bash
#SBATCH --job-name=pretrain
#SBATCH --partition=gpu-t4 --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=1
#SBATCH --gres=gpu:2
#SBATCH --output=logs/%x-%j.out
module load cuda/12.1 || true
cd "$SLURM_SUBMIT_DIR"
echo "job $SLURM_JOB_ID on $(hostname)"
train --out "runs/$SLURM_JOB_ID"
"""
    task_id = site.cluster.submit(script, name="pretrain.sh")
    site.cluster.wait_for(task_id, "done")
    (call,) = site.calls(task_id)
    number = str(job_number(task_id))
    assert SLURM_HIGHEST < int(number) < 2**31
    assert call.arguments == ["--out", f"runs/{number}"]
    host = socket.gethostname()
    expected = {
        "SLURM_JOB_ID": number,
        "SLURM_JOBID": number,
        "SLURM_JOB_NAME": "pretrain.sh",
        "SLURM_SUBMIT_DIR": str(site.cluster.base),
        "SLURM_CPUS_ON_NODE": "1",
        "SLURM_CPUS_PER_TASK": "1",
        "SLURM_NNODES": "1",
        "SLURM_JOB_NUM_NODES": "1",
        "SLURM_NTASKS": "1",
        "SLURM_NTASKS_PER_NODE": "1",
        "SLURM_PROCID": "0",
        "SLURM_LOCALID": "0",
        "SLURM_NODEID": "0",
        "SLURM_JOB_NODELIST": host,
        "SLURM_NODELIST": host,
        "SLURMD_NODENAME": host,
        "SLURM_GPUS_ON_NODE": "2",
        "SLURM_JOB_GPUS": call["CUDA_VISIBLE_DEVICES"],
    }
    assert {name: call.found.get(name) for name in expected} == expected
    assert "SLURM_RESTART_COUNT" not in call.found
    assert "SLURM_ARRAY_TASK_ID" not in call.found
    assert call["GPU_QUEUE_OUTER_SLURM_JOB_ID"] == "4711"
    assert call["SLURM_CONF"] == "/etc/slurm.conf"


def test_a_script_without_such_lines_does_not_take_the_agents_job_for_its_own(site: Site) -> None:
    (call,) = site.run("#!/bin/bash\ntrain\nenv | grep -c ^PMI_ && exit 1\ntrue\n")
    assert [name for name in call.found if name.startswith("SLURM")] == ["SLURM_CONF"]
    assert "/tools/" not in call["PATH"]


def test_srun_starts_the_ranks(site: Site) -> None:
    script = """#!/bin/bash
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=4
#SBATCH --gres=gpu:4
export MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
export MASTER_PORT=$((10000 + SLURM_JOB_ID % 10000))
srun python train.py --config 'a b.yaml'
"""
    calls = by_rank(site.run(script))
    assert [call["SLURM_PROCID"] for call in calls] == ["0", "1", "2", "3"]
    assert [call["SLURM_LOCALID"] for call in calls] == ["0", "1", "2", "3"]
    assert {call["SLURM_NTASKS"] for call in calls} == {"4"}
    assert {call["MASTER_ADDR"] for call in calls} == {socket.gethostname()}
    assert {tuple(call.arguments) for call in calls} == {("train.py", "--config", "a b.yaml")}
    assert {len(call["CUDA_VISIBLE_DEVICES"].split(",")) for call in calls} == {4}


def test_srun_with_a_shell_and_torchrun_in_it(site: Site) -> None:
    script = """#!/bin/bash
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=2
#SBATCH --exclusive
head_node=$(scontrol show hostnames $SLURM_JOB_NODELIST | head -n1)
head_node_ip=$(srun --nodes=1 --ntasks=1 -w "$head_node" hostname)
srun --wait=60 --kill-on-bad-exit=1 bash -c "torchrun --nproc_per_node $SLURM_GPUS_ON_NODE \\
    --nnodes $SLURM_NNODES --node_rank \\$SLURM_PROCID --rdzv_endpoint $head_node_ip:29500 train.py"
"""
    (call,) = site.run(script)
    host = socket.gethostname()
    assert call.arguments == [
        *("--nproc_per_node", "2", "--nnodes", "1", "--node_rank", "0"),
        *("--rdzv_endpoint", f"{host}:29500", "train.py"),
    ]


def test_srun_binds_a_gpu_to_each_rank_where_it_is_asked_to(site: Site) -> None:
    script = """#!/bin/bash
#SBATCH -N 1
#SBATCH -n 2
#SBATCH --gpus-per-task=2
srun train
"""
    calls = by_rank(site.run(script))
    shown = [call["CUDA_VISIBLE_DEVICES"].split(",") for call in calls]
    assert [len(one) for one in shown] == [2, 2]
    assert len({*shown[0], *shown[1]}) == 4


def test_steps_in_the_background_get_gpus_of_their_own(site: Site) -> None:
    script = """#!/bin/bash
#SBATCH --gres=gpu:2
#SBATCH --ntasks=2
for lr in 1e-3 1e-4; do
    srun --ntasks=1 --exclusive --gres=gpu:1 bash -c "train --lr $lr; touch '$PWD'/step-\\$SLURM_STEP_ID;
        until [ -e '$PWD'/step-0 ] && [ -e '$PWD'/step-1 ]; do sleep 0.02; done" &
done
wait
"""
    calls = site.run(script)
    assert sorted(call.arguments for call in calls) == [["--lr", "1e-3"], ["--lr", "1e-4"]]
    assert len({call["CUDA_VISIBLE_DEVICES"] for call in calls}) == 2
    assert sorted(call["SLURM_STEP_ID"] for call in calls) == ["0", "1"]


def test_a_failing_rank_fails_the_task_with_its_status(site: Site) -> None:
    task_id = site.cluster.submit("#!/bin/bash\n#SBATCH -n 2\nsrun bash -c 'exit $((SLURM_PROCID * 7))'\n", gpus="0")
    site.cluster.wait_for(task_id, "failed")
    assert site.cluster.tries(task_id)[0]["status"] == 7


def test_srun_refuses_more_than_one_node(site: Site) -> None:
    task_id = site.cluster.submit("#!/bin/bash\n#SBATCH -n 2\nsrun -N 2 hostname\n", gpus="0")
    site.cluster.wait_for(task_id, "failed")
    assert "srun: error: --nodes=2: the task has one node" in site.cluster.log(task_id)


def test_the_third_task_of_an_array(site: Site) -> None:
    first = "20261123T014415123-4f0c2a-sweep.sh"
    array = {"job": first, "index": 6, "min": 2, "max": 10, "step": 2, "count": 5, "limit": 2}
    script = """#!/bin/bash
#SBATCH --array=2-10:2%2
#SBATCH --gpus=0
seeds=(0 1 2 3 4 5 6 7 8 9 10)
train --seed "${seeds[$SLURM_ARRAY_TASK_ID]}" --name "run_${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"
"""
    (call,) = site.run(script, said={"array": array})
    assert call.arguments == ["--seed", "6", "--name", f"run_{job_number(first)}_6"]
    told = {name: call[f"SLURM_ARRAY_TASK_{name}"] for name in ("COUNT", "MIN", "MAX", "STEP")}
    assert told == {"COUNT": "5", "MIN": "2", "MAX": "10", "STEP": "2"}


def test_a_second_try_knows_that_it_was_restarted(site: Site) -> None:
    script = """#!/bin/bash
#SBATCH --gpus=0
train
[ "${SLURM_RESTART_COUNT:-0}" -ge 1 ]
"""
    calls = site.run(script, retries="1")
    assert [call.found.get("SLURM_RESTART_COUNT") for call in calls] == [None, "1"]
    assert len({call["SLURM_JOB_ID"] for call in calls}) == 1


def test_output_of_each_rank_in_a_file_of_its_own(site: Site) -> None:
    script = """#!/bin/bash
#SBATCH --ntasks=2 --gres=gpu:0
mkdir -p out
srun --output=out/%x-%2t.log --label=1 bash -c 'echo rank $SLURM_PROCID' || srun -o out/rank-%2t.log \\
    bash -c 'echo rank $SLURM_PROCID'
srun -l hostname
"""
    task_id = site.cluster.submit(script, name="ranks")
    site.cluster.wait_for(task_id, "done")
    assert (site.cluster.base / "out" / "ranks-01.log").read_text().endswith("rank 1\n")
    assert sorted(re.findall(r"^([01]): ", site.cluster.log(task_id), re.MULTILINE)) == ["0", "1"]


def test_a_real_allocation_that_a_script_is_in_is_asked_itself(own_site: Site) -> None:
    real = own_site.conda / "bin" / "srun"
    real.write_text('#!/bin/sh\necho "the real srun: $*"\n')
    real.chmod(0o755)
    own_site.start()
    script = "#!/bin/bash\n#SBATCH --gres=gpu:0\nsrun -n1 echo ours\nSLURM_JOB_ID=4711 srun -n1 hostname\n"
    task_id = own_site.cluster.submit(script)
    own_site.cluster.wait_for(task_id, "done")
    said = own_site.cluster.log(task_id).splitlines()
    assert "ours" in said
    assert "the real srun: -n1 hostname" in said


# -- other launchers ------------------------------------------------------------------------------------------------


def test_two_torchruns_at_once_get_ports_of_their_own(site: Site) -> None:
    script = """#!/bin/bash
PORT=${PORT:-29500}
torchrun --nproc_per_node=1 --master_port ${MASTER_PORT:-29500} train.py --port $PORT
touch torchrun-$1; until [ -e torchrun-1 ] && [ -e torchrun-2 ]; do sleep 0.02; done
"""
    ids = [site.cluster.submit(script, said={"arguments": [str(number)]}) for number in (1, 2)]
    for task_id in ids:
        site.cluster.wait_for(task_id, "done")
    calls = [call for task_id in ids for call in site.calls(task_id)]
    ports = [call.arguments[2] for call in calls]
    assert len(set(ports)) == 2
    assert "29500" not in ports
    assert [call.arguments[5] for call in calls] == ports
    assert [call["PET_MASTER_PORT"] for call in calls] == ports


def test_a_script_that_sets_its_port_keeps_it(site: Site) -> None:
    (call,) = site.run("export MASTER_PORT=29511\ntrain --port $MASTER_PORT\n")
    assert call.arguments == ["--port", "29511"]


def test_accelerate_and_deepspeed_find_a_port_where_they_look_for_one(site: Site) -> None:
    script = """#!/usr/bin/env bash
set -euo pipefail
accelerate launch --main_process_port "${MASTER_PORT:-29500}" --num_processes 2 train.py
deepspeed --master_port=$MASTER_PORT train.py --deepspeed ds.json
"""
    first, second = site.run(script)
    assert first.arguments[2] == first["MASTER_PORT"] == second["MASTER_PORT"]
    assert second.arguments[0] == f"--master_port={second['MASTER_PORT']}"
    assert int(first["MASTER_PORT"]) not in (0, 29500)


def test_arguments_are_a_scripts_own(site: Site) -> None:
    arguments = ["configs/a b.py", "2", "--resume", "", "it's", "$HOME"]
    script = '#!/bin/bash\nCONFIG=$1\nGPUS=$2\ntrain "$CONFIG" --gpus $GPUS "${@:3}"\n'
    (call,) = site.run(script, said={"arguments": arguments})
    assert call.arguments == ["configs/a b.py", "--gpus", "2", *arguments[2:]]


def test_a_pbs_script_finds_what_it_looks_for(site: Site) -> None:
    script = """#!/bin/bash
#PBS -N train
#PBS -l select=1:ncpus=8:ngpus=1
cd $PBS_O_WORKDIR
train --nodes $(wc -l <$PBS_NODEFILE) --host $(head -n 1 $PBS_NODEFILE) --job "$PBS_JOBID"
"""
    task_id = site.cluster.submit(script)
    site.cluster.wait_for(task_id, "done")
    (call,) = site.calls(task_id)
    host = socket.gethostname()
    assert call.arguments == ["--nodes", "1", "--host", host, "--job", f"{job_number(task_id)}.{host}"]
    assert call["PBS_O_WORKDIR"] == call.cwd == str(site.cluster.base)
    assert not [name for name in call.found if name.startswith("SLURM_J")]


def test_conda_activate_in_a_login_shell(site: Site) -> None:
    home = site.cluster.base
    profile = """
export PATH=/usr/bin:/bin
export CUDA_VISIBLE_DEVICES=7
unset CONDA_PREFIX
conda() { echo "conda $*"; export CONDA_PROMPT=$2; }
"""
    (home / ".bash_profile").write_text(profile)
    try:
        script = """#!/bin/bash -l
#SBATCH --gres=gpu:1
set -e
conda activate train
train "$0" "${FUNCNAME[*]}"
srun hostname
"""
        (call,) = site.run(script)
    finally:
        (home / ".bash_profile").unlink()
    assert call["CONDA_PREFIX"] == str(site.conda)
    assert call["CUDA_VISIBLE_DEVICES"] in ("0", "1", "2", "3")
    assert call.arguments[1] == ""


# -- ends -----------------------------------------------------------------------------------------------------------


def test_a_server_in_the_background_is_told_of(site: Site) -> None:
    script = """#!/bin/bash
nohup sleep 300 >/dev/null 2>&1 &
first=$!
sleep 301 &
until [ "$(cat /proc/$first/comm) $(cat /proc/$!/comm)" = "sleep sleep" ]; do :; done
echo started
"""
    task_id = site.cluster.submit(script, gpus="0")
    site.cluster.wait_for(task_id, "done")
    told = site.cluster.log(task_id).splitlines()[-2]
    assert told.startswith(
        "==== 2 processes of it still ran when the script ended, and were ended with it: 2 x sleep"
    )
    assert told.endswith("waits for it by a last line: wait)")
    assert "2 x sleep" in site.cluster.tries(task_id)[0]["reason"]


def test_who_waits_for_it_is_told_nothing(site: Site) -> None:
    task_id = site.cluster.submit("#!/bin/bash\nnohup sleep 0.1 >/dev/null 2>&1 &\nwait\n", gpus="0")
    site.cluster.wait_for(task_id, "done")
    assert "still ran" not in site.cluster.log(task_id)


def test_what_ends_by_itself_a_moment_later_is_not_told_of(site: Site) -> None:
    def is_told_of() -> bool:
        task_id = site.cluster.submit("#!/bin/bash\n(exec sleep 0.05) &\n", gpus="0")
        site.cluster.wait_for(task_id, "done")
        return "still ran" in site.cluster.log(task_id)

    # It has 0.2 s; a busy machine is not slow five times.
    assert not all(is_told_of() for _ in range(5))


def test_a_port_in_use_is_told_with_what_to_change(site: Site) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        port = held.getsockname()[1]
        script = f"""#!{sys.executable}
import socket
try:
    socket.socket().bind(("127.0.0.1", {port}))
except OSError as error:
    raise SystemExit(f"The server socket has failed to bind to [::]:{port} (errno: {{error.errno}} - in use).")
"""
        task_id = site.cluster.submit(script, gpus="0")
        site.cluster.wait_for(task_id, "failed")
    hint = f"port {port} was in use (EADDRINUSE)"
    assert site.cluster.log(task_id).splitlines()[-2].startswith(f"==== {hint}")
    (record,) = site.cluster.tries(task_id)
    assert record["reason"].startswith(hint)


# -- off ------------------------------------------------------------------------------------------------------------


def test_switched_off_all_is_as_the_agent_found_it(own_site: Site) -> None:
    own_site.start("--slurm-environment", "off", **REAL)
    script = "#!/bin/bash\n#SBATCH --gres=gpu:1 --ntasks=2\n#PBS -N x\ntrain ${MASTER_PORT:-29500}\n"
    (call,) = own_site.run(script)
    slurm = {name: value for name, value in call.found.items() if name.startswith("SLURM")}
    assert slurm == {name: value for name, value in REAL.items() if name.startswith("SLURM")}
    assert call.arguments == ["29500"]
    assert "/tools/" not in call["PATH"]
    assert not [name for name in call.found if name.startswith(("PBS_", "GPU_QUEUE_OUTER_"))]


# -- stopped --------------------------------------------------------------------------------------------------------


def test_the_ranks_of_a_step_that_is_stopped_are_told(site: Site) -> None:
    counter = """#!/bin/bash
#SBATCH -n 2 --gres=gpu:0
srun bash -c 'trap "echo told $SLURM_PROCID; told=1" TERM
    touch up-$SLURM_PROCID; until [ -n "$told" ]; do sleep 0.05; done; sleep 0.5'
"""
    task_id = site.cluster.submit(counter)
    base = site.cluster.base
    wait_until(lambda: (base / "up-0").exists() and (base / "up-1").exists(), "the ranks", dump=site.cluster.dump)
    site.cluster.ack(site.cluster.command_all("stop", claims=[site.cluster.claim_of(task_id)]))
    site.cluster.wait_for(task_id, "failed")
    assert {"told 0", "told 1"} <= set(site.cluster.log(task_id).splitlines())


def test_a_script_that_kills_its_srun_kills_the_ranks(site: Site) -> None:
    script = """#!/bin/bash
#SBATCH -n 2 --gres=gpu:0
srun bash -c 'touch run-$SLURM_PROCID; exec sleep 300' & step=$!
until [ -e run-0 ] && [ -e run-1 ]; do sleep 0.02; done
kill $step; wait $step; echo "srun said $?"
"""
    task_id = site.cluster.submit(script)
    site.cluster.wait_for(task_id, "done")
    assert "srun said 143" in site.cluster.log(task_id).splitlines()
    assert "still ran" not in site.cluster.log(task_id)
