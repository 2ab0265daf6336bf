"""The launcher of hydra-submitit-launcher, which submits by our plugin of submitit.

All runs of a sweep are one publication.  A run that fails is failed for the queue as well: Hydra has it return what
went wrong, and submitit would call that a success.
"""

# No `from __future__ import annotations`: Hydra imports this before its name is known, and dataclasses ask for that.
import traceback
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus

# Hydra's users who have this distribution for something else hear nothing of it at each start.
if find_spec("hydra_plugins.hydra_submitit_launcher") is not None:
    from hydra_plugins.hydra_submitit_launcher.config import BaseQueueConf
    from hydra_plugins.hydra_submitit_launcher.submitit_launcher import BaseSubmititLauncher

    @dataclass
    class GpuQueueConf(BaseQueueConf):  # type: ignore[misc]  # it has no types
        """What each run asks for; what is null says nothing."""

        _target_: str = "hydra_plugins.hydra_gpu_queue_launcher.launcher.GpuQueueLauncher"
        timeout_min: int | None = None  # an hour, as elsewhere, would end long runs
        max_num_timeout: int = 3
        signal_delay_s: int = 60
        job_id: str | None = None
        queue_root: str | None = None
        priority: int | None = None
        queue: str | None = None
        memory: str | None = None
        retries: int | None = None
        after: list[str] | None = None
        setup: list[str] | None = None

    class GpuQueueLauncher(BaseSubmititLauncher):  # type: ignore[misc]
        """Runs the jobs of a sweep as tasks of a queue."""

        _EXECUTOR = "gpuqueue"

        def __call__(self, *args: Any, **kwargs: Any) -> JobReturn:
            """One run, on its node."""
            done: JobReturn = super().__call__(*args, **kwargs)
            if done.status is not JobStatus.COMPLETED:
                from tblib import pickling_support  # noqa: PLC0415

                from gpu_queue.integrations import submitit_run  # noqa: PLC0415  only a job needs it

                submitit_run.fail()
                error = done._return_value
                if isinstance(error, BaseException):
                    traceback.print_exception(error)  # into its log, where it says what kind it is
                    pickling_support.install(error)  # it comes back with its traceback and its cause
            return done

    ConfigStore.instance().store(group="hydra/launcher", name="gpu_queue", node=GpuQueueConf, provider="gpu-queue")
