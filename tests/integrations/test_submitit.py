"""submitit on a real agent: its own tests with our executor in them, checkpoints, ranks, parameters."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import submitit
from submitit.core.plugins import get_executors
from submitit.core.utils import FailedJobError, FailedSubmissionError, UncompletedJobError
from submitit.helpers import CommandFunction

from gpu_queue.integrations.submitit_plugin import GpuQueueExecutor, GpuQueueJob
from gpu_queue.spool.records import read_submission
from tests.agent.harness import Cluster, wait_until
from tests.faults.machine import Machine
from tests.integrations import work
from tests.integrations.conftest import PYTHONPATH

SUITES = Path(submitit.__file__).parent
NEED_A_LOCAL_PROCESS = ("test_local_job", "test_killed", "test_cancel", "test_setup", "test_make_subprocess")
"""They look at ``job._process``, its states, or ask for ``cluster="local"``."""
NEED_A_QUIET_MACHINE = ("test_requeuing", "test_command_function_deadlock", "test_as_completed")
"""They give a job two or three seconds, or want a result in one and a half; all pass where nothing else runs."""
SOME = ("test_get_first_task_error", "test_load_submission")


@pytest.fixture
def executor(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> submitit.AutoExecutor:
    monkeypatch.setenv("JOB_ID", cluster.job_id)
    monkeypatch.setenv("QUEUE_ROOT", str(cluster.queue_root))
    entries = {one.name for one in importlib.metadata.entry_points(group="submitit")}
    assert {"executor", "job_environment"} <= entries, "gpu-queue is installed without its entry points: make venv"
    assert get_executors()["gpuqueue"] is GpuQueueExecutor
    executor = submitit.AutoExecutor(cluster.base / "jobs" / "%j", cluster="gpuqueue")
    executor.update_parameters(name="train", gpus_per_node=1, gpuqueue_priority=300, slurm_partition="any")
    return executor


def test_a_job_runs_in_a_copy_and_says_who_is_told_of_its_end(cluster: Cluster, executor: Any) -> None:
    tree = cluster.base / "tree"
    tree.mkdir()
    (tree / "only_in_tree.py").write_text("def answer():\n    return 'as it was', __file__\n")
    executor.update_parameters(gpuqueue_cwd=str(tree), gpuqueue_snapshot=True, gpuqueue_notify="ops:failed")
    job = executor.submit(
        CommandFunction([sys.executable, "-c", "import only_in_tree; print(*only_in_tree.answer())"])
    )
    (tree / "only_in_tree.py").write_text("raise RuntimeError('edited since')\n")
    assert read_submission(cluster.paths, job.task_id_in_queue, None).needs["notify"] == "ops:failed"
    cluster.start()
    said = job.result()
    assert said.startswith(f"as it was {cluster.local / 'copies'}")


def test_an_array_is_one_publication_and_brings_all_results(cluster: Cluster, executor: Any) -> None:
    published: list[str] = []
    cluster.start(simulate="4")
    jobs = executor.map_array(work.times, range(5), [3] * 5)
    published = cluster.names("pending") + cluster.names("running") + cluster.names("done")
    assert len(published) == 5
    assert all(name.startswith("300-") for name in published)
    bad = executor.submit(work.end, "raise")
    killed = executor.submit(work.end, "kill")
    assert [job.result() for job in jobs] == [0, 3, 6, 9, 12]
    assert isinstance(bad.exception(), FailedJobError)
    assert "KeyError: 'raise'" in str(bad.exception())
    with pytest.raises(UncompletedJobError, match="before the end"):
        killed.result()
    assert (jobs[0].state, bad.state, killed.state) == ("COMPLETED", "FAILED", "FAILED")
    assert "4 times 3 on GPU" in jobs[4].stdout()
    assert jobs[4].paths.stdout.read_text() == jobs[4].stdout()
    # By another process, from its folder and id alone, wherever JOB_ID leads to by then.
    os.environ["JOB_ID"] = "elsewhere"
    again = GpuQueueJob(executor.folder, jobs[2].job_id)
    assert (again.result(), again.task_id_in_queue.endswith("-train")) == (6, True)


def test_what_cannot_be_is_refused(cluster: Cluster, executor: Any) -> None:
    with pytest.raises(NameError, match="Unknown argument 'partition' for executor 'gpuqueue'"):
        executor.update_parameters(gpuqueue_partition="x")
    for name, value, fine in (("gpuqueue_memory", "much", "1G"), ("nodes", 0, 1)):
        executor.update_parameters(**{name: value})
        with pytest.raises(FailedSubmissionError, match="asks for what cannot be"):
            executor.submit(work.times, 1)
        executor.update_parameters(**{name: fine})
    executor._executor.max_pickle_size_gb = 1e-9
    with pytest.raises(RuntimeError, match="through pickle"):
        executor.map_array(work.times, range(3))
    left = [path for path in (cluster.base / "jobs").rglob("*") if path.is_file()]
    assert left + cluster.names("pending") == []
    executor._executor.max_pickle_size_gb = 1.0
    job = executor.submit(work.times, 1)
    assert (job.state, job.done()) == ("PENDING", False)
    job.cancel()
    assert job.done(force_check=True)
    with pytest.raises(UncompletedJobError):
        job.result()


class Steps:
    """Works in steps, of which a checkpoint keeps how many were done; its forked workers have none to save."""

    def __init__(self, where: str, done: int = 0) -> None:
        self.where = where
        self.done = done

    def __call__(self) -> tuple[int, str]:
        workers = [os.fork() for _ in range(2)]
        if 0 in workers:
            time.sleep(60)
            os._exit(0)
        print(f"begins at step {self.done}", flush=True)
        while self.done < 4:
            if self.done == 2 and not os.path.exists(f"{self.where}/go on"):
                time.sleep(0.05)
                continue
            self.done += 1
        for worker in workers:
            os.kill(worker, 9)
        return self.done, os.environ["GPU_QUEUE_TRY"]

    def __submitit_checkpoint__(self) -> Any:
        print("saves", flush=True)
        Path(self.where, "go on").touch()
        return submitit.helpers.DelayedSubmission(Steps(self.where, self.done))

    checkpoint = __submitit_checkpoint__


def test_a_job_goes_on_from_its_checkpoint_when_its_node_is_taken_back(cluster: Cluster, executor: Any) -> None:
    job = executor.submit(Steps(str(cluster.base)))
    # What a try left that was killed while it saved would be the end of each later one.
    job.paths.submitted_pickle.with_suffix(".pkl.save_tmp").write_bytes(b"torn")
    agent = cluster.start(simulate="1", GPU_QUEUE_LEAVE_GRACE="10s")
    wait_until(lambda: "begins at step 0" in (job.stdout() or ""), "its first step", dump=cluster.dump)
    agent.terminate()
    agent.wait(40)
    assert not job.done()
    cluster.start(simulate="1")
    assert job.result() == (4, "2")
    assert job.stdout().count("saves\n") == 1
    assert "begins at step 2" in job.stdout()
    outcomes = [record["outcome"] for record in cluster.tries(job.task_id_in_queue)]
    assert outcomes[1] == "succeeded"
    assert outcomes[0] in ("requeued", "again")


def test_ranks_are_processes_of_one_task(cluster: Cluster, executor: Any) -> None:
    cluster.start(simulate="4")
    executor.update_parameters(tasks_per_node=3, gpus_per_node=3)
    job = executor.submit(rank)
    assert job.results() == [(0, 3), (1, 3), (2, 3)]
    assert "rank 2" in job.task(2).stdout()


def rank() -> tuple[int, int]:
    environment = submitit.JobEnvironment()
    print(f"rank {environment.global_rank}")
    return environment.global_rank, environment.num_tasks


@pytest.mark.parametrize("with_torch", [False, pytest.param(True, marks=pytest.mark.long)])
def test_ranks_on_two_nodes_find_each_other_and_rank_0_saves_for_all(
    cluster: Cluster, executor: Any, with_torch: bool
) -> None:
    executor.update_parameters(nodes=2, tasks_per_node=2, gpus_per_node=2)
    job = executor.submit(Together(with_torch))
    machines = [
        Machine(cluster, f"n{number}", simulate="2", env={"GPU_QUEUE_LEAVE_GRACE": "10s"}) for number in (1, 2)
    ]
    wait_until(lambda: "rank 0 begins" in (job.stdout() or ""), "its first step", dump=cluster.dump)
    machines[1].agent.terminate()
    machines[1].agent.wait(40)
    assert not job.done()
    Machine(cluster, "n3", simulate="2", env={})
    results = job.results()
    assert [one[:5] for one in results] == [(number, 4, number % 2, number // 2, 2) for number in range(4)]
    assert {one[5] for one in results} == {6.0}, "what all of them have, summed"
    assert {one[6] for one in results} == {1}, "saved once"
    assert (job.stdout().count("saves\n"), "rank 3" in job.task(3).stdout()) == (1, True)
    (again, succeeded) = (record["outcome"] for record in cluster.tries(job.task_id_in_queue))
    assert (again, succeeded) == ("again", "succeeded")


class Together:
    """Waits to be warned; in its next try tells who it is, and has torch sum up the ranks."""

    def __init__(self, with_torch: bool, tries: int = 0) -> None:
        self.with_torch = with_torch
        self.tries = tries

    def __call__(self) -> tuple[Any, ...]:
        told = submitit.JobEnvironment()
        print(f"rank {told.global_rank} begins", flush=True)
        while self.tries == 0:
            time.sleep(0.05)
        submitit.helpers.TorchDistributedEnvironment().export(set_cuda_visible_devices=False)
        total = 6.0
        if self.with_torch:
            import torch
            import torch.distributed as group

            group.init_process_group("gloo")
            all_of_them = torch.tensor([float(told.global_rank)])
            group.all_reduce(all_of_them)
            total = all_of_them.item()
        assert os.environ["MASTER_ADDR"] == told.hostnames[0]
        return (told.global_rank, told.num_tasks, told.local_rank, told.node, told.num_nodes, total, self.tries)

    def checkpoint(self) -> Any:
        print("saves", flush=True)
        return submitit.helpers.DelayedSubmission(Together(self.with_torch, self.tries + 1))


def peers_tests(cluster: Cluster, *arguments: str) -> str:
    """What submitit's own tests say, with our executor in the place of its local one."""
    cluster.start("--simulate", "8", simulate=None)
    command = [sys.executable, "-m", "pytest", "-p", "tests.integrations.as_local", "-o", "addopts=", "-q"]
    command += ["-p", "no:randomly", "-p", "no:cacheprovider", "-c", os.devnull, *arguments]
    environment = cluster.environment(
        JOB_ID=cluster.job_id, QUEUE_ROOT=str(cluster.queue_root), PYTHONPATH=PYTHONPATH
    )
    run = subprocess.run(
        command, env=environment, cwd=cluster.base, capture_output=True, text=True, check=False, timeout=900
    )
    assert run.returncode == 0, run.stdout + run.stderr + cluster.dump()
    return run.stdout


def test_some_of_its_own_tests_pass(cluster: Cluster) -> None:
    told = peers_tests(cluster, str(SUITES / "local" / "test_local.py"), "-k", " or ".join(SOME))
    assert f"{len(SOME)} passed" in told


@pytest.mark.long
@pytest.mark.timeout(900)
def test_its_own_tests_pass(cluster: Cluster) -> None:
    names = ("local/test_local", "core/test_core", "core/test_utils", "test_helpers", "test_pickle")
    suites = [str(SUITES / f"{name}.py") for name in names]
    without = (*NEED_A_LOCAL_PROCESS, *NEED_A_QUIET_MACHINE)
    told = peers_tests(cluster, *suites, "-k", f"not {' and not '.join(without)}")
    assert "34 passed" in told
