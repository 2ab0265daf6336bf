"""What a task is shown of the node's GPUs: its environment.  Pure.

- CUDA counts GPUs by speed unless told otherwise; ``CUDA_DEVICE_ORDER=PCI_BUS_ID`` makes it count as NVML does.
- Plain indices are what scripts and frameworks parse, so they are used whenever they are certain: every GPU of the
  node is healthy and none is MIG.  Else UUIDs: when a card has fallen off the bus, a new process counts one less
  than NVML, which was started before, and a MIG device has no index that CUDA would take.
- An index is physical, counted over all GPUs that NVML shows, also when the agent serves only some of them, for
  the child's CUDA counts the same cards and does not know about the agent.
- Under a scheduler that grants by ``CUDA_VISIBLE_DEVICES`` alone, NVML and the child both see all cards, and the
  physical index is right.  Under one that uses cgroups, both see only what was granted, counted from 0, and the
  index that NVML gives is right again.
"""

from __future__ import annotations

from collections.abc import Sequence

from gpu_queue.gpus.devices import Gpu, Health


def visible_devices(granted: Sequence[Gpu], all_gpus: Sequence[Gpu]) -> dict[str, str]:
    """The variables that show a task its GPUs, in the order given, and no others.

    Args:
        granted: the task's GPUs; none at all hides every GPU.
        all_gpus: all devices of the node, of the same snapshot.
    """
    certain = all(gpu.health is Health.OK and not gpu.is_mig for gpu in all_gpus)
    names = (str(gpu.index) if certain else gpu.uuid for gpu in granted)
    return {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": ",".join(names)}
