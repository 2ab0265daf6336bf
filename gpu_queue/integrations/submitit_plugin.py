"""The queue as a cluster of submitit: ``submitit.AutoExecutor(folder, cluster="gpuqueue")`` (docs/submitit.md).

- The name has no underscore: submitit cuts the names of parameters at the first one.
- All jobs of an array are one publication; their pickles are in place before any of them can start.
- Where a task lies decides whether its job is done: a try that failed has left a result, and may be run again.
- A job asks to be run again by the file that its agent names; it acts in its own process only, not in forked workers.
"""

from __future__ import annotations

import os
import shlex
import signal
import sys
import time
import types
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from submitit.core import core, job_environment, logger, utils

from gpu_queue.errors import GpuQueueError, SpoolError
from gpu_queue.integrations import submitit_script
from gpu_queue.integrations.submitit_script import BEGAN, DELAY, LOCAL_RANK, NAME, RANK, RANKS, SIGNAL_DELAY_S
from gpu_queue.spool.desk import entrance, papers, publishing
from gpu_queue.spool.desk.find import Task, look
from gpu_queue.spool.desk.publishing import Script
from gpu_queue.spool.paths import SpoolPaths, same_submission
from gpu_queue.spool.spool import Spool
from gpu_queue.task import State

A_YEAR_MIN = 525_600
"""The limit of a job whose user says none, for submitit's reckoning; its own is five minutes."""
RESULT_AFTER_S = 15.0
"""So long after a job that is done its result may be unseen here."""
FIRST_REST_S = 0.5
_SHARED = ("name", "timeout_min", "mem_gb", "nodes", "cpus_per_task", "gpus_per_node", "tasks_per_node")
_NEEDS = ("priority", "queue", "retries", "after", "memory", "cwd", "snapshot", "notify")
_OWN = ("setup", "signal_delay_s", "job_id", "queue_root", "stderr_to_stdout")


def _job_id(task_id: str) -> str:
    """Stamp and nonce: an underscore in the rest of a task's id would mean an array to submitit."""
    return same_submission(task_id).removesuffix("-")


class GpuQueueWatcher(core.InfoWatcher):
    """How jobs stand: four listings of a queue serve all of them."""

    def __init__(self) -> None:
        super().__init__(delay_s=4)
        self._roots: dict[str, str] = {}
        self._began_s, self._looked_s = 0.0, float("-inf")

    def place(self, job_id: str, root: str) -> None:
        """Say in which queue a job is."""
        self._roots[job_id] = root

    def get_state(self, job_id: str, mode: str = "standard") -> str:
        """``PENDING``, ``RUNNING``, ``COMPLETED``, ``FAILED``, ``CANCELLED`` (it is gone) or ``UNKNOWN``."""
        return self.get_info(job_id, mode).get("State", "UNKNOWN")

    def register_job(self, job_id: str) -> None:
        """Look for this one too, from now on, and soon."""
        super().register_job(job_id)
        self._began_s, self._looked_s = time.monotonic(), float("-inf")

    def update_if_long_enough(self, mode: str) -> None:
        """As often as submitit has it for a cluster, and at first twice a second: nobody is asked but the storage."""
        now_s = time.monotonic()
        rest_s = min(self._delay_s, max(FIRST_REST_S, (now_s - self._began_s) / 20))
        if mode == "force" or (mode != "cache" and now_s - self._looked_s > rest_s):
            self.update()

    def update(self) -> None:
        """Look for all jobs that have not ended."""
        open_jobs = self._registered - self._finished
        for root in {self._roots[one] for one in open_jobs if one in self._roots}:
            mine = {one for one in open_jobs if self._roots.get(one) == root}
            try:
                found = _where(SpoolPaths(root), mine)
            except SpoolError as error:
                logger.get_logger().warning(f"gpuqueue: {error}")
                continue
            for job_id in mine:
                self._info_dict[job_id] = _info(found.get(job_id), self._info_dict.get(job_id, {}))
                if self.is_done(job_id, mode="cache"):
                    self._finished.add(job_id)
        self._num_calls += 1
        self._looked_s = time.monotonic()


def _where(paths: SpoolPaths, job_ids: set[str]) -> dict[str, Task]:
    found: dict[str, Task] = {}
    for states in ((State.PENDING, State.RUNNING), (State.DONE, State.FAILED)):
        if job_ids - found.keys():
            for state in states:  # in the order of a task's life: the later place counts
                for task in look(paths, state):
                    job_id = _job_id(task.id or "")
                    if job_id in job_ids:
                        found[job_id] = task
    return found


_WORDS = {
    State.PENDING: "PENDING",
    State.RUNNING: "RUNNING",
    State.DONE: "COMPLETED",
    State.FAILED: "FAILED",
}
_GONE_AFTER = 5
"""Looks in a row that do not find it: one may meet a task between two directories."""


def _info(task: Task | None, before: dict[str, str]) -> dict[str, str]:
    if task is None:
        misses = int(before.get("Misses", "0")) + 1
        state = "CANCELLED" if misses >= _GONE_AFTER else before.get("State", "UNKNOWN")
        return {**before, "State": state, "Misses": str(misses)}
    return {"JobID": _job_id(task.id or ""), "State": _WORDS[task.state], "NodeList": task.node}


class GpuQueueJob(core.Job[Any]):
    """A job of submitit that is a task of a queue."""

    watcher: GpuQueueWatcher = GpuQueueWatcher()

    def _register_in_watcher(self) -> None:
        self.watcher.place(self.job_id, _root_of(self.paths))
        super()._register_in_watcher()

    @property
    def _results_timeout_s(self) -> float:  # type: ignore[override]  # it depends on how the task has ended
        return RESULT_AFTER_S if self.watcher.get_state(self.job_id, "cache") == "COMPLETED" else 1.0

    @property
    def task_id_in_queue(self) -> str:
        """By which ``gpu_logs`` and the others know it.

        Raises:
            SpoolError: it is in no directory of the queue any more.
        """
        paths = SpoolPaths(_root_of(self.paths))
        task = _where(paths, {self.job_id}).get(self.job_id)
        if task is None or task.id is None:
            raise SpoolError(f"{self.job_id} is in no directory of {paths.root} any more")
        return task.id

    def done(self, force_check: bool = False) -> bool:
        """Whether its task has ended; a result alone may be that of a try after which there is another."""
        if self._sub_jobs:
            return all(one.done(force_check) for one in self._sub_jobs)
        return self.watcher.is_done(self.job_id, mode="force" if force_check else "standard")

    def cancel(self, check: bool = True) -> None:
        """End it wherever it is: take it out of the queue, or have its agent stop it."""
        try:
            Spool(*reversed(os.path.split(_root_of(self.paths)))).stop(self.task_id_in_queue)
        except GpuQueueError:
            if check:
                raise

    def _interrupt(self, timeout: bool = False) -> None:
        """Send the process what comes before an end, as submitit's own tests do."""
        raise NotImplementedError("gpuqueue: an agent warns a job; give it a timeout_min, or end the agent")

    def _get_logs_string(self, name: str) -> str | None:
        """What all its tries have printed; rank 0 has one log for both, that of the queue."""
        if self.task_id:
            text: str | None = super()._get_logs_string(name)
            return text
        paths = SpoolPaths(_root_of(self.paths))
        task = _where(paths, {self.job_id}).get(self.job_id)
        logs = papers.logs(paths, task) if task is not None else ()
        texts = [Path(log).read_text(encoding="utf-8", errors="replace") for log in logs]
        return "".join(texts) if texts else None


def _root_of(paths: utils.JobPaths) -> str:
    """The queue that a job was published in, as its script tells."""
    try:
        return submitit_script.queue_of(paths.submission_file.read_text(encoding="utf-8", errors="surrogateescape"))
    except (OSError, StopIteration, ValueError):
        return entrance.named(None, None).root  # it was submitted from elsewhere, to the queue that we use


class GpuQueueJobEnvironment(job_environment.JobEnvironment):
    """What a job knows of itself on its node."""

    _env: ClassVar[dict[str, str]] = {
        "job_id": "GPU_QUEUE_TASK",
        "num_tasks": RANKS,
        "num_nodes": "GPU_QUEUE_NODES",
        "node": "GPU_QUEUE_NODE_RANK",
        "global_rank": RANK,
        "local_rank": LOCAL_RANK,
    }

    @classmethod
    def name(cls) -> str:
        """As in ``SUBMITIT_EXECUTOR``."""
        return NAME

    @property
    def raw_job_id(self) -> str:
        """That of our task."""
        return _job_id(os.environ["GPU_QUEUE_TASK"])

    @property
    def hostnames(self) -> Sequence[str]:
        """Where its nodes reach each other, the first rank's first."""
        told = os.environ.get("GPU_QUEUE_NODE_ADDRESSES")
        return told.split(",") if told else super().hostnames

    @property
    def paths(self) -> utils.JobPaths:
        """Where the files of this job are; what a try left that was killed in the middle of writing is put right."""
        paths = super().paths
        saved = paths.submitted_pickle.with_suffix(".pkl.save_tmp")
        if not paths.submitted_pickle.exists() and saved.exists():
            saved.rename(paths.submitted_pickle)  # submitit removes the old one right before it renames
        return paths

    def _handle_signals(self, paths: utils.JobPaths, submission: utils.DelayedSubmission) -> None:
        """The warning, and TERM where there was none, have it checkpoint; in this process alone."""
        for left in (paths.result_pickle, *(one.with_suffix(".pkl.save_tmp") for one in _pickles(paths))):
            left.unlink(missing_ok=True)  # of a try before this one; submitit dies of the latter
        handler = _Handler(self, paths, submission)
        own, acted = os.getpid(), False

        def checkpoint(signum: int, frame: types.FrameType | None = None) -> None:
            nonlocal acted
            if os.getpid() == own and not acted:  # a forked worker has inherited this, and would save as well
                acted = handler.env.global_rank == 0
                handler.checkpoint_and_try_requeue(signum, frame)

        signal.signal(signal.SIGCONT, handler.bypass)
        signal.signal(signal.SIGTERM, checkpoint)
        signal.signal(self._usr_sig(), checkpoint)

    def _requeue(self, countdown: int) -> None:
        """Ask to be run again.

        Raises:
            RuntimeError: the agent is of a version that knows no such thing.
        """
        request = os.environ.get("GPU_QUEUE_REQUEUE")
        if not request:
            raise RuntimeError(
                "GPU_QUEUE_REQUEUE is not set: an older agent runs this job, which cannot be run again"
            )
        Path(request).write_text(f"submitit: a checkpoint was saved ({countdown} remaining timeouts)\n", "utf-8")
        logger.get_logger().info(f"Requeued job {self.job_id} ({countdown} remaining timeouts)")


def _pickles(paths: utils.JobPaths) -> tuple[Path, Path]:
    return paths.submitted_pickle, paths.result_pickle


class _Handler(job_environment.SignalHandler):
    """Knows when a warning is that of its time: submitit takes each of a job of ten minutes for one."""

    def has_timed_out(self) -> bool:
        limit_s = self._delayed._timeout_min * 60
        ran_s = time.time() - float(os.environ.get(BEGAN, self._start_time))
        left_s = limit_s - float(os.environ.get(DELAY, SIGNAL_DELAY_S)) - ran_s
        timed_out: bool = left_s <= max(1.0, limit_s * 0.02)
        self._logger.info(f"Job has {'' if timed_out else 'not '}timed out. Ran {ran_s:.0f} s of {limit_s:.0f} s.")
        return timed_out


class GpuQueueExecutor(core.PicklingExecutor):
    """Submits to a queue: ``$JOB_ID``, or the parameter ``gpuqueue_job_id``."""

    job_class = GpuQueueJob

    def __init__(
        self,
        folder: str | Path,
        max_num_timeout: int = 3,
        max_pickle_size_gb: float = 1.0,
        python: str | None = None,
    ) -> None:
        """As submitit's own.

        Args:
            folder: of pickles and links to logs, seen by the nodes too.
            max_num_timeout: so often a job is run again that ran out of time.
            max_pickle_size_gb: of all jobs that are submitted together.
            python: a shell's words; default: the Python that runs here.
        """
        super().__init__(folder, max_num_timeout, max_pickle_size_gb)
        self.python = shlex.quote(sys.executable) if python is None else python

    @classmethod
    def name(cls) -> str:
        """Without an underscore, at which submitit would cut its parameters."""
        return NAME

    @classmethod
    def affinity(cls) -> int:
        """It is never taken by itself: ``cluster="gpuqueue"`` asks for it."""
        return 0

    @classmethod
    def _equivalence_dict(cls) -> core.EquivalenceDict:
        return {
            "name": "name",
            "timeout_min": "timeout_min",
            "mem_gb": "mem_gb",
            "nodes": "nodes",
            "cpus_per_task": "cpus_per_task",
            "gpus_per_node": "gpus_per_node",
            "tasks_per_node": "tasks_per_node",
        }

    @classmethod
    def _valid_parameters(cls) -> set[str]:
        return {*_NEEDS, *_OWN}

    def _internal_update_parameters(self, **kwargs: Any) -> None:
        """Set parameters.

        Raises:
            ValueError: there is no such one, or it cannot be so.
        """
        unknown = sorted(set(kwargs) - {*_SHARED, *_NEEDS, *_OWN})
        if unknown:
            known = ", ".join((*_SHARED, *_NEEDS, *_OWN))
            raise ValueError(f"Unavailable parameter(s): {unknown}\nValid parameters are: {known}")
        super()._internal_update_parameters(**kwargs)

    def _internal_process_submissions(
        self, delayed_submissions: Sequence[utils.DelayedSubmission]
    ) -> list[core.Job[Any]]:
        """Write all pickles, then publish all jobs at once."""
        said = self.parameters
        spool = Spool(said.get("job_id"), said.get("queue_root"))
        paths = SpoolPaths(spool.path)
        options = publishing.options_of(self._needs())
        script = Script(str(said.get("name", "submitit")), self._make_submission_file_text(paths.root, ""))
        written: list[Path] = []
        try:
            prepared = entrance.look_at(paths, [script] * len(delayed_submissions), options)
            entries = [one() for one in prepared]
            for entry, delayed in zip(entries, delayed_submissions, strict=True):
                self._dump(entry.task_id, delayed, str(script.content), written, len(entries))
            tasks = entrance.put_in(paths, [lambda entry=entry: entry for entry in entries])  # type: ignore[misc]
        except BaseException as error:
            for path in written:
                path.unlink(missing_ok=True)
            if isinstance(error, GpuQueueError):
                raise utils.FailedSubmissionError(str(error)) from error
            raise
        ranks = list(range(self._num_tasks()))
        return [self.job_class(self.folder, _job_id(task.id or ""), tasks=ranks) for task in tasks]

    def _dump(
        self, task_id: str, delayed: utils.DelayedSubmission, script: str, written: list[Path], count: int
    ) -> None:
        place = utils.JobPaths(self.folder, _job_id(task_id), 0)
        place.folder.mkdir(parents=True, exist_ok=True)
        delayed.set_timeout(self.parameters.get("timeout_min", A_YEAR_MIN), self.max_num_timeout)
        beside = place.submitted_pickle.with_name(f".{uuid.uuid4().hex}.pkl")
        written += [beside, place.submitted_pickle, place.submission_file]
        delayed.dump(beside)
        size_gb = beside.stat().st_size * count / 1024**3
        if size_gb > self.max_pickle_size_gb:
            raise RuntimeError(
                f"Submitting an estimated {size_gb:.2f} > {self.max_pickle_size_gb} GB of objects through pickle: "
                "write them to files and pass their paths, or raise executor.max_pickle_size_gb"
            )
        beside.rename(place.submitted_pickle)
        place.submission_file.write_text(script, encoding="utf-8", errors="surrogateescape")

    def _needs(self) -> dict[str, Any]:
        said = self.parameters
        needs = {name: said[name] for name in _NEEDS if name in said}
        if "gpus_per_node" in said:
            needs["gpus"] = said["gpus_per_node"]
        if "nodes" in said:
            needs["nodes"] = said["nodes"]
        if "timeout_min" in said:
            needs["time"] = said["timeout_min"] * 60.0
        needs["signal"] = f"USR2@{self._delay_s}"
        return needs

    @property
    def _delay_s(self) -> int:
        return int(self.parameters.get("signal_delay_s", SIGNAL_DELAY_S))

    def _ranks_of_each(self) -> int:
        return max(1, int(self.parameters.get("tasks_per_node", 1)))

    def _num_tasks(self) -> int:
        return max(1, int(self.parameters.get("nodes", 1))) * self._ranks_of_each()

    def _make_submission_file_text(self, command: str, uid: str) -> str:
        del uid  # pickles are known by their jobs
        setup = tuple(self.parameters.get("setup") or ())
        return submitit_script.script_of(
            command, self.folder, self.python, self._ranks_of_each(), self._delay_s, setup
        )

    def _make_submission_command(self, submission_file_path: Path) -> list[str]:
        raise NotImplementedError("jobs of gpuqueue are published without a command")

    @staticmethod
    def _get_job_id_from_submission_command(string: bytes | str) -> str:
        raise NotImplementedError("jobs of gpuqueue are published without a command")
