"""The lines of a node's page, from what the agent has in hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from gpu_queue.agent.livetry import LiveTry, Stage
from gpu_queue.agent.status import GpuLine, KeepLine, RunningLine
from gpu_queue.gpus.devices import Gpu
from gpu_queue.scheduling.facts import GpuFact


def gpu_lines(facts: Iterable[GpuFact], gpus: Iterable[Gpu], keep: Callable[[Gpu], KeepLine | None]) -> list[GpuLine]:
    """A line for each served GPU.

    Args:
        facts: the served ones, judged.
        gpus: all of the node.
        keep: what the keep-alive says of one.
    """
    by_uuid = {gpu.uuid: gpu for gpu in gpus}
    return [_gpu_line(fact, by_uuid[fact.uuid], keep(by_uuid[fact.uuid])) for fact in facts]


def _gpu_line(fact: GpuFact, gpu: Gpu, keep: KeepLine | None) -> GpuLine:
    used, utilization = gpu.memory_used_bytes, gpu.utilization_percent
    return GpuLine(fact, gpu.name, used, utilization, gpu.power_w, gpu.problem, keep)


def running_lines(tries: Iterable[LiveTry], gpus: Sequence[Gpu], now: float) -> list[RunningLine]:
    """A line for each try that has begun, or waits for its GPUs to be cleared."""
    indices = {gpu.uuid: gpu.index for gpu in gpus}
    return [_running_line(one, indices, now) for one in tries if one.started_wall_s or one.stage is Stage.CLEARING]


def _running_line(one: LiveTry, indices: dict[str, int], now: float) -> RunningLine:
    gpus = tuple(sorted(indices[uuid] for uuid in one.gpus if uuid in indices))
    stage = "ending" if one.why is not None and one.stage is Stage.RUNNING else one.stage.value
    ending = one.why.value if one.why else ""
    return RunningLine(one.name, one.title, stage, gpus, now - one.started_at, one.needs.time_s, ending)
