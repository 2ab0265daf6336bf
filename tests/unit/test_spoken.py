"""What scripts say of themselves to the scheduler that they were written for, and what they find for it."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from gpu_queue.agent.spoken import ports_wanted, read_spoken
from gpu_queue.execution.allocation import GangPart, Job, Spoken, nodefile_of, variables, without_allocation
from gpu_queue.execution.bynode import counts_of, repeated
from gpu_queue.node.lastwords import judge
from gpu_queue.task import SLURM_HIGHEST, ArrayPart, job_number

JOB = Job("20261123T014415123-4f0c2a-train.sh", 1, "train.sh", "/home/a", "login1", "nodea", 16, (2, 3))


@pytest.mark.parametrize(
    ("script", "spoken"),
    [
        ("#!/bin/bash\ntrue\n", Spoken()),
        ("#SBATCH -n 4\n", Spoken(is_slurm=True, tasks=4)),
        ("#SBATCH --ntasks-per-node=8\r\n#SBATCH -c 6\r\n", Spoken(is_slurm=True, tasks_per_node=8, cpus_per_task=6)),
        ("#SBATCH --ntasks=2\n#SBATCH --ntasks=3\n", Spoken(is_slurm=True, tasks=3)),
        ("#SBATCH --comment='-n 9' --gpus-per-task=a100:2\n", Spoken(is_slurm=True, gpus_per_task=2)),
        ("#SBATCH --ntasks=many\n", Spoken(is_slurm=True)),
        ("##SBATCH -n 4\n", Spoken()),
        ("true\n#SBATCH -n 4\n", Spoken()),
        ("#!/bin/bash\n#PBS -l select=1\n", Spoken(is_pbs=True)),
        ("#PBS\n", Spoken()),
    ],
)
def test_what_a_head_says(script: str, spoken: Spoken) -> None:
    assert read_spoken(script.encode()) == spoken


@pytest.mark.parametrize(
    ("script", "wanted"),
    [
        ("train\n", set()),
        ("export MASTER_PORT=${MASTER_PORT:-29500}\n", {"MASTER_PORT"}),
        ("MASTER_PORT=${MASTER_PORT:-12355}\n", {"MASTER_PORT"}),
        (': "${MASTER_PORT:=29500}"\n', {"MASTER_PORT"}),
        ("train --port $MASTER_PORT\n", {"MASTER_PORT"}),
        ("MASTER_PORT=29501\ntrain --port $MASTER_PORT\n", set()),
        ("export MASTER_PORT=$(shuf -i 20000-30000 -n 1)\ntrain $MASTER_PORT\n", set()),
        ("# train --port $MASTER_PORT\n", set()),
        ("PORT=${PORT:-29500}\n", {"PORT"}),
        ('MAIN_PORT="${MAIN_PORT:-"29511"}"\n', {"MAIN_PORT"}),
        ("PORT=${PORT:-8080}\n", set()),
        ("torchrun --nproc_per_node 2 a.py\n", {"PET_MASTER_PORT"}),
        ("python -m torch.distributed.launch a.py --port $PORT\n", {"PET_MASTER_PORT"}),
        ('os.environ.setdefault("MASTER_PORT", "29500")\n', {"MASTER_PORT"}),
        ('os.environ["MASTER_PORT"] = "29500"\n', set()),
    ],
)
def test_where_a_script_looks_for_a_port(script: str, wanted: set[str]) -> None:
    assert ports_wanted(script.encode()) == wanted


def test_the_number_of_a_job_is_above_slurms_and_the_same_everywhere() -> None:
    numbers = {job_number(f"20261123T014415123-{nonce:06x}-a") for nonce in range(1000)}
    assert len(numbers) > 995
    assert min(numbers) > SLURM_HIGHEST
    assert max(numbers) < 2**31
    drawn = int.from_bytes(hashlib.sha256(b"a-\xff").digest()[:8], "big")
    assert job_number("a-\udcff") == 67_108_864 + drawn % (2**31 - 67_108_864)


def test_ranks_are_those_of_all_or_of_the_node() -> None:
    assert variables(Spoken(is_slurm=True, tasks=4, tasks_per_node=2), JOB)["SLURM_NTASKS"] == "4"
    assert variables(Spoken(is_slurm=True, tasks_per_node=2), JOB)["SLURM_NTASKS"] == "2"
    silent = variables(Spoken(is_slurm=True), JOB)
    assert silent["SLURM_TASKS_PER_NODE"] == "1"
    assert not {"SLURM_NTASKS", "SLURM_NPROCS", "SLURM_NTASKS_PER_NODE"} & set(silent)
    cpus = variables(Spoken(is_slurm=True, tasks=8, cpus_per_task=12), JOB)
    assert (cpus["SLURM_CPUS_ON_NODE"], cpus["SLURM_CPUS_PER_TASK"]) == ("16", "12")
    assert variables(Spoken(), JOB) == {}


def test_a_task_of_an_array_knows_its_index_whatever_its_script_was_written_for() -> None:
    one = Job(**{**vars(JOB), "array": ArrayPart(JOB.task_id, 3, 0, 9)})
    said = variables(Spoken(), one)
    assert said["SLURM_ARRAY_TASK_ID"] == "3"
    assert "SLURM_JOB_ID" not in said
    assert variables(Spoken(), JOB) == {}


def test_a_pbs_array_has_one_number_for_all() -> None:
    first = "20261123T014415123-4f0c2a-a.sh"
    one = Job(**{**vars(JOB), "array": ArrayPart(first, 3, 0, 9)})
    said = variables(Spoken(is_pbs=True), one)
    assert said["PBS_JOBID"] == f"{job_number(first)}[3].nodea"
    assert (said["PBS_ARRAYID"], said["PBS_ARRAY_INDEX"]) == ("3", "3")


def test_of_an_allocation_nothing_stays_but_its_number_and_the_site() -> None:
    given = {
        "SLURM_JOB_ID": "7",
        "SLURM_NTASKS": "4",
        "SLURM_CONF": "/c",
        "PMI_FD": "3",
        "SBATCH_ACCOUNT": "a",
        "X": "1",
    }
    kept = {"SLURM_CONF": "/c", "SBATCH_ACCOUNT": "a", "X": "1", "GPU_QUEUE_OUTER_SLURM_JOB_ID": "7"}
    assert without_allocation(given) == kept
    outside = {"SLURM_EXACT": "1", "PBS_SERVER": "s", "PMI_FD": "3"}
    assert without_allocation(outside) == outside
    assert without_allocation({"PBS_JOBID": "7.s", "PBS_NODEFILE": "f", "PBS_SERVER": "s"}) == {
        "PBS_SERVER": "s",
        "GPU_QUEUE_OUTER_PBS_JOBID": "7.s",
    }


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("failed to bind to [::]:29500 (errno: 98 - Address already in use).", "port 29500"),
        ("OSError: [Errno 98] Address already in use", "a port"),
        ("communication on port `29501`, but another process is utilizing it.", "port 29501"),
        ("RuntimeError: Address already in use: 127.0.0.1:29502", "port 29502"),
    ],
)
def test_a_port_in_use_is_known_by_the_last_words(said: str, told: str) -> None:
    assert judge(f"...\n{said}\n==== exit".encode()).startswith(f"{told} was in use (EADDRINUSE)")


@pytest.mark.parametrize("said", ["", "exit code 98", "step 98: loss 0.1", "port 29500 is fine"])
def test_other_last_words_tell_nothing(said: str) -> None:
    assert judge(said.encode()) == ""


RANKS = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "29500", "PET_NNODES": "2"}


@pytest.mark.parametrize(
    ("way", "outer"),
    [
        ("", {"SLURM_JOB_ID": "7", "SRUN_DEBUG": "3"}),
        ("", {"SENSECORE_PYTORCH_NNODES": "2", "SENSECORE_PYTORCH_NODE_RANK": "1"}),
        ("sco", {"SENSECORE_OTHER": "x"}),
        ("", {"RAY_JOB_CONFIG_JSON_ENV_VAR": "{}", "RAY_CLIENT_MODE": "0"}),
        ("ray", {"RAY_CLIENT_MODE": "0"}),
        ("k8s", {}),
        ("mine", {}),
        ("", {"TORCHELASTIC_RUN_ID": "none", "TORCHELASTIC_MAX_RESTARTS": "0"}),
        ("", {"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "1", "PMIX_RANK": "1", "OMPI_MCA_ess": "env"}),
    ],
)
def test_a_task_takes_no_rank_and_no_job_of_its_agent_for_its_own(way: str, outer: dict[str, str]) -> None:
    wanted = {
        "PATH": "/bin",
        "RAY_ADDRESS": "10.0.0.1:6379",
        "OMPI_MCA_btl": "tcp",
        "RANKING": "1",
        "SLURM_CONF": "/c",
    }
    kept = without_allocation({**wanted, **RANKS, **outer}, way)
    kept.pop("GPU_QUEUE_OUTER_SLURM_JOB_ID", None)
    assert kept == wanted


@pytest.mark.parametrize("way", ["", "local"])
def test_outside_of_a_job_somebody_wants_what_he_has_set(way: str) -> None:
    given = {**RANKS, "RAY_TMPDIR": "/x", "SLURM_EXACT": "1", "SENSECORE_REGION": "cn", "OMPI_MCA_orte_x": "1"}
    assert without_allocation(given, way) == given


# -- over several nodes ---------------------------------------------------------------------------------------------


def on_node(rank: int, spoken: Spoken) -> dict[str, str]:
    gang = GangPart(rank, ("nodea", "nodeb"), ("10.0.0.1", "10.0.0.2"), start_file="/t/start.bash", bash_env="/e")
    return variables(spoken, replace(JOB, gang=gang, nodefile="/t/nodefile"))


@pytest.mark.parametrize(
    ("spoken", "counts", "ranks", "total"),
    [
        (Spoken(is_slurm=True), "1(x2)", ("0", "1"), None),
        (Spoken(is_slurm=True, tasks_per_node=8), "8(x2)", ("0", "8"), "16"),
        (Spoken(is_slurm=True, tasks=5), "3,2", ("0", "3"), "5"),
        (Spoken(is_slurm=True, tasks=16, tasks_per_node=8), "8(x2)", ("0", "8"), "16"),
    ],
)
def test_a_script_for_slurm_on_two_nodes_finds_both(
    spoken: Spoken, counts: str, ranks: tuple[str, str], total: str | None
) -> None:
    for rank in range(2):
        said = on_node(rank, spoken)
        assert (said["SLURM_NNODES"], said["SLURM_NODEID"], said["SLURM_PROCID"]) == ("2", str(rank), ranks[rank])
        assert (said["SLURM_TASKS_PER_NODE"], said.get("SLURM_NTASKS")) == (counts, total)
        assert said["SLURM_JOB_NODELIST"] == said["SLURM_NODELIST"] == "nodea,nodeb"
        assert said["SLURMD_NODENAME"] == ("nodea", "nodeb")[rank]
        assert said["SLURM_LAUNCH_NODE_IPADDR"] == "10.0.0.1"
        assert (said["BASH_ENV"], said["GPU_QUEUE_BASH_ENV"]) == ("/t/start.bash", "/e")
        assert said["GPU_QUEUE_SEED"] == said["SLURM_JOB_ID"]
        assert counts_of(said["SLURM_JOB_CPUS_PER_NODE"]) == (16, 16)


def test_a_script_for_pbs_on_two_nodes_finds_both() -> None:
    said = on_node(1, Spoken(is_pbs=True))
    assert (said["PBS_NUM_NODES"], said["PBS_NODENUM"]) == ("2", "1")
    assert nodefile_of(Spoken(is_pbs=True), ["nodea", "nodeb"]) == "nodea\nnodeb\n"


@pytest.mark.parametrize("numbers", [(8,), (8, 8), (3, 2), (1, 1, 2, 2, 2, 1)])
def test_what_is_written_for_each_node_is_read_again(numbers: tuple[int, ...]) -> None:
    assert counts_of(repeated(numbers)) == numbers


@pytest.mark.parametrize("text", ["", "8(x", "a", "8(x2),", "99999", "-1"])
def test_what_is_no_number_for_each_node_is_none(text: str) -> None:
    assert counts_of(text) == ()
