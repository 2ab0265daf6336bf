"""A plugin of pytest that gives submitit's own tests our executor in the place of its local one.

They are run by ``test_submitit``, in a process of their own; JOB_ID and QUEUE_ROOT say which queue serves them.
"""

from __future__ import annotations

from submitit.local import local

from gpu_queue.integrations.submitit_plugin import GpuQueueExecutor, GpuQueueJob

setattr(local, "LocalExecutor", GpuQueueExecutor)  # noqa: B010  a checker of types rightly refuses it
setattr(local, "LocalJob", GpuQueueJob)  # noqa: B010
