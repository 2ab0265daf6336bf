"""What a script that was written for Slurm or PBS finds in its environment.  Pure.

- A task is a job of its own nodes: ``SLURM_JOB_ID`` and the rest tell of the task and its GPUs, never of the
  allocation in which the agent itself may run.  A script that took that one for its own would wait for ranks that
  nobody starts, or cancel the agent's job.  What Ray, SCO, torchrun and MPI say of that job is taken out as well.
- The number of a job is made from the task's id: the same at each try and on each node.  Slurm gives none above
  67,108,863, so that ``scancel $SLURM_JOB_ID`` in a script meets nobody's job.
- ``srun`` and ``scontrol`` of a task (:mod:`gpu_queue.execution.tools`) go by these variables.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gpu_queue.execution.bynode import repeated
from gpu_queue.execution.login import as_bash_env
from gpu_queue.task import ArrayPart, job_number

TASKS_MAX = 4096
"""A script that asks for more ranks on one node is not taken at its word."""
TRY_DIRECTORY = "GPU_QUEUE_TRY_DIR"
"""Names the try's directory on this machine, where the steps of ``srun`` leave word of each other."""
SEED = "GPU_QUEUE_SEED"
"""From which bash draws in a script for Slurm that is started on several nodes."""
OUTER = "GPU_QUEUE_OUTER_"
"""Before the names of the variables by which a task may know the allocation that its agent runs in."""


@dataclass(frozen=True)
class _Outer:
    """What tells of a job around the agent."""

    known_by: tuple[str, ...]
    """Variables, any of which says that there is one."""
    prefixes: tuple[str, ...]
    """Of the variables that belong to it."""
    way: str = ""
    """It is there too where the agent's allocation is of this way."""
    of_site: frozenset[str] = frozenset()
    """Those that belong to the site."""
    has_number: bool = False
    """A task may know it by its number, under another name."""


_OUTER = (
    _Outer(
        ("SLURM_JOB_ID", "SLURM_JOBID"),
        # What srun gives to the agent as its own step: an MPI program below would take it for its rank.
        ("SLURM_", "SLURMD_", "SRUN_", "PMI_", "PMIX_"),
        "slurm",
        frozenset({"SLURM_CONF", "SLURM_CLUSTERS", "SLURM_TIME_FORMAT"}),
        has_number=True,
    ),
    _Outer(
        ("PBS_JOBID",),
        ("PBS_",),
        of_site=frozenset({"PBS_CONF_FILE", "PBS_EXEC", "PBS_HOME", "PBS_SERVER", "PBS_DEFAULT"}),
        has_number=True,
    ),
    _Outer(("RAY_JOB_CONFIG_JSON_ENV_VAR",), ("RAY_",), "ray", frozenset({"RAY_ADDRESS"})),
    _Outer(("SENSECORE_PYTORCH_NNODES", "SENSECORE_ACCELERATE_DEVICE_COUNT"), ("SENSECORE_",), "sco"),
    _Outer(("TORCHELASTIC_RUN_ID",), ("TORCHELASTIC_",)),
    _Outer(
        ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE"),
        # Not all of OMPI_MCA_: people tune it.
        ("OMPI_COMM_", "OMPI_UNIVERSE_", "OMPI_MCA_orte_", "OMPI_MCA_ess", "OMPI_MCA_pmix", "PMI_", "PMIX_", "PRTE_"),
    ),
)
_RANKS = re.compile(
    r"(WORLD_SIZE|RANK|LOCAL_RANK|LOCAL_WORLD_SIZE|NODE_RANK|GROUP_RANK|GROUP_WORLD_SIZE|ROLE_\w+|NNODES|NPROC_PER_NODE"
    r"|MASTER_ADDR|MASTER_PORT|PET_\w+)"
)
"""By which the agent's own rank is known to torch, in a job of whatever kind: a task that took them for its own would
wait for ranks that nobody starts."""


@dataclass(frozen=True)
class Spoken:
    """For which schedulers a script was written, and what it says of itself to them."""

    is_slurm: bool = False
    """It has ``#SBATCH`` lines."""
    is_pbs: bool = False
    """It has ``#PBS`` lines."""
    tasks: int | None = None
    """``--ntasks``"""
    tasks_per_node: int | None = None
    cpus_per_task: int | None = None
    gpus_per_task: int | None = None


@dataclass(frozen=True)
class GangPart:
    """Which rank of a task over several nodes a script is."""

    rank: int
    hosts: tuple[str, ...]
    """How the nodes are called, by rank."""
    addresses: tuple[str, ...]
    """By which they reach each other."""
    start_file: str = ""
    """What bash is to read first (:data:`gpu_queue.execution.tools.START_FILE`); empty: nothing."""
    bash_env: str = ""
    """What it would read else."""


@dataclass(frozen=True)
class Job:
    """A try, as its script is told of it."""

    task_id: str
    number: int
    """Which try, counted from 1."""
    name: str
    cwd: str
    submitted_from: str
    """A host; empty where nobody noted it."""
    host: str
    cpus: int
    """Of the node, as far as the agent may use them."""
    gpu_indices: tuple[int, ...] = ()
    array: ArrayPart | None = None
    gang: GangPart | None = None
    """None: it has one node."""
    nodefile: str = ""
    """Where the names of its nodes stand."""
    home: str = ""
    path: str = ""


def without_allocation(environment: Mapping[str, str], way: str = "") -> dict[str, str]:
    """An environment that tells nothing of the job in which the agent runs, but its number under another name.

    Args:
        environment: the agent's.
        way: of the allocation in which it runs; empty: none that is known.
    """
    kept = dict(environment)
    is_in_job = way not in ("", "local")
    for outer in _OUTER:
        job = next((environment[name] for name in outer.known_by if environment.get(name)), "")
        if not job and not (way and way == outer.way):
            continue  # what is set outside of a job (SLURM_EXACT, PBS_SERVER) somebody wants
        is_in_job = True
        for name in environment:
            if name.startswith(outer.prefixes) and name not in outer.of_site:
                kept.pop(name, None)
        if outer.has_number and job:
            kept[f"{OUTER}{outer.known_by[0]}"] = job
    return {name: value for name, value in kept.items() if not (is_in_job and _RANKS.fullmatch(name))}


def variables(spoken: Spoken, job: Job) -> dict[str, str]:
    """What a script finds that was written for these schedulers; one for none finds its place in an array."""
    said = (_slurm(spoken, job) if spoken.is_slurm else {}) | (_pbs(job) if spoken.is_pbs else {})
    return said or _slurm_array(job)


def _tasks_by_node(spoken: Spoken, nodes: int) -> tuple[int, ...]:
    """How many ranks srun starts on each node where it is not told."""
    each, every = spoken.tasks_per_node, spoken.tasks
    if nodes == 1:
        return (every or each or 1,)
    if every is None or (each is not None and each * nodes == every):
        return (each or 1,) * nodes
    return tuple(every // nodes + (node < every % nodes) for node in range(nodes))


def _in_gang(gang: GangPart, counts: tuple[int, ...], cpus: int, task_id: str) -> dict[str, str]:
    said = {
        "SLURM_NNODES": str(len(counts)),
        "SLURM_JOB_NUM_NODES": str(len(counts)),
        "SLURM_TASKS_PER_NODE": repeated(counts),
        "SLURM_JOB_CPUS_PER_NODE": repeated((cpus,) * len(counts)),
        "SLURM_PROCID": str(sum(counts[: gang.rank])),
        "SLURM_NODEID": str(gang.rank),
        "SLURM_JOB_NODELIST": ",".join(gang.hosts),
        "SLURM_NODELIST": ",".join(gang.hosts),
        "SLURMD_NODENAME": gang.hosts[gang.rank],
        "SLURM_LAUNCH_NODE_IPADDR": gang.addresses[0],
    }
    if gang.start_file:  # $RANDOM in a script is the same on all nodes, as it would be under Slurm
        said |= {
            "BASH_ENV": as_bash_env(gang.start_file),
            SEED: str(job_number(task_id)),
            "GPU_QUEUE_BASH_ENV": gang.bash_env,
        }
    return said


def _slurm(spoken: Spoken, job: Job) -> dict[str, str]:
    counts = _tasks_by_node(spoken, len(job.gang.hosts) if job.gang else 1)
    tasks = counts[job.gang.rank if job.gang else 0]
    wanted_cpus = None if spoken.cpus_per_task is None else spoken.cpus_per_task * tasks
    cpus = job.cpus if wanted_cpus is None else max(1, min(wanted_cpus, job.cpus))
    number = str(job_number(job.task_id))
    said = {
        "SLURM_JOB_ID": number,
        "SLURM_JOBID": number,
        "SLURM_JOB_NAME": job.name,
        "SLURM_SUBMIT_DIR": job.cwd,
        "SLURM_SUBMIT_HOST": job.submitted_from or job.host,
        "SLURM_CPUS_ON_NODE": str(cpus),
        "SLURM_JOB_CPUS_PER_NODE": str(cpus),
        "SLURM_NNODES": "1",
        "SLURM_JOB_NUM_NODES": "1",
        "SLURM_TASKS_PER_NODE": str(tasks),
        "SLURM_PROCID": "0",
        "SLURM_LOCALID": "0",
        "SLURM_NODEID": "0",
        "SLURM_JOB_NODELIST": job.host,
        "SLURM_NODELIST": job.host,
        "SLURMD_NODENAME": job.host,
        "SLURM_GPUS_ON_NODE": str(len(job.gpu_indices)),
        "SLURM_JOB_GPUS": ",".join(map(str, job.gpu_indices)),
    }
    # As in Slurm: PyTorch Lightning takes it for a sign that srun has started it.
    said_tasks = sum(counts) if spoken.tasks or spoken.tasks_per_node else None
    if job.gang is not None:
        said |= _in_gang(job.gang, counts, cpus, job.task_id)
    for name, value in (
        ("SLURM_NTASKS", said_tasks),
        ("SLURM_NPROCS", said_tasks),
        ("SLURM_NTASKS_PER_NODE", spoken.tasks_per_node),
        ("SLURM_CPUS_PER_TASK", spoken.cpus_per_task),
        ("SLURM_GPUS_PER_TASK", spoken.gpus_per_task),
    ):
        if value is not None:
            said[name] = str(value)
    if job.number > 1:
        said["SLURM_RESTART_COUNT"] = str(job.number - 1)
    return said | _slurm_array(job)


def _slurm_array(job: Job) -> dict[str, str]:
    if job.array is None:
        return {}
    return {
        "SLURM_ARRAY_JOB_ID": str(job_number(job.array.job)),
        "SLURM_ARRAY_TASK_ID": str(job.array.index),
        "SLURM_ARRAY_TASK_COUNT": str(job.array.count),
        "SLURM_ARRAY_TASK_MIN": str(job.array.min),
        "SLURM_ARRAY_TASK_MAX": str(job.array.max),
        "SLURM_ARRAY_TASK_STEP": str(job.array.step),
    }


def _pbs(job: Job) -> dict[str, str]:
    number = job_number(job.task_id if job.array is None else job.array.job)
    index = "" if job.array is None else f"[{job.array.index}]"
    said = {
        "PBS_ENVIRONMENT": "PBS_BATCH",
        "PBS_JOBID": f"{number}{index}.{job.host}",
        "PBS_JOBNAME": job.name,
        "PBS_NODEFILE": job.nodefile,
        "PBS_NUM_NODES": "1",
        "PBS_O_HOME": job.home,
        "PBS_O_HOST": job.submitted_from or job.host,
        "PBS_O_PATH": job.path,
        "PBS_O_WORKDIR": job.cwd,
    }
    if job.array is not None:
        said |= {"PBS_ARRAYID": str(job.array.index), "PBS_ARRAY_INDEX": str(job.array.index)}
    if job.gang is not None:
        said |= {"PBS_NUM_NODES": str(len(job.gang.hosts)), "PBS_NODENUM": str(job.gang.rank)}
    return {name: value for name, value in said.items() if value}


def nodefile_of(spoken: Spoken, hosts: Sequence[str]) -> str:
    """What stands in the file that names a job's nodes."""
    return "".join(f"{host}\n" * (spoken.tasks_per_node or 1) for host in hosts)
