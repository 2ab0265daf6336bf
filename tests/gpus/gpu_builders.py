"""Short ways to write GPUs down, and tries that hold them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gpu_queue.gpus.devices import Gpu, Health

GIB = 1 << 30
Try = Callable[[str], str]
"""Makes a try of that name that lives, and returns its directory."""


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


def end(try_dir: str) -> None:
    """What is left of a try whose processes are gone."""
    Path(try_dir, "lock").unlink()
    Path(try_dir, "lock").touch()
