"""Short ways to write GPUs down."""

from __future__ import annotations

from gpu_queue.gpus.devices import Gpu, Health

GIB = 1 << 30


def a_gpu(index: int, uuid: str = "", health: Health = Health.OK, is_mig: bool = False) -> Gpu:
    return Gpu(
        uuid=uuid or f"GPU-{index}{index}aa",
        index=index,
        name="NVIDIA H100 80GB HBM3",
        memory_total_bytes=80 * GIB,
        memory_used_bytes=0,
        utilization_percent=0,
        power_w=None,
        energy_j=None,
        health=health,
        is_mig=is_mig,
    )


def four() -> tuple[Gpu, ...]:
    return tuple(a_gpu(index) for index in range(4))
