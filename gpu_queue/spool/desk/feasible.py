"""Whether agents that are alive could ever run a task.  Pure."""

from __future__ import annotations

from collections.abc import Sequence

from gpu_queue.reasons import Bar
from gpu_queue.spool.pages import GpuPage, NodePage
from gpu_queue.states import AgentState
from gpu_queue.task import Needs
from gpu_queue.units import format_size


def why_not(needs: Needs, pages: Sequence[NodePage]) -> str:
    """Why these agents can never run it, for people; empty where enough of them can, or nobody can tell.

    Args:
        needs: what it asks for.
        pages: of the agents that are alive.
    """
    pages = [page for page in pages if page.state not in (AgentState.STOPPED, AgentState.LEAVING)]
    if not pages or any(not page.gpus for page in pages):
        return ""
    fits = [_fitting(needs, page) for page in pages]
    lives = [_lives_long_enough(needs, page) for page in pages]
    able = sum(fit >= needs.gpus_min and lasts for fit, lasts in zip(fits, lives, strict=True))
    if able >= needs.nodes:
        return ""
    if able:
        which = f"of the agents that are alive {able} can run its part"
        return f"it waits for more nodes: {which}, and it needs {needs.nodes}"
    most = max(sum(not _is_left(gpu) for gpu in page.gpus) for page in pages)
    elsewhere = "it waits for another node: no agent that is alive has"
    if most < needs.gpus_min:
        return f"{elsewhere} {needs.gpus_min} GPUs, the most is {most}"
    if max(fits) < needs.gpus_min:
        if needs.devices:
            return f"{elsewhere} GPU {','.join(map(str, needs.devices))}"
        if needs.gpus_min == 1:
            return f"{elsewhere} a GPU of {format_size(needs.memory_bytes or 0)}"
        return f"{elsewhere} {needs.gpus_min} GPUs of {format_size(needs.memory_bytes or 0)}, the most is {max(fits)}"
    if not any(lives):
        return "it waits for another agent: none that is alive lives as long as its time"
    return "it waits for another agent: none that is alive has both its GPUs and so much time left"


def _fitting(needs: Needs, page: NodePage) -> int:
    return sum(
        not _is_left(gpu)
        and (not needs.devices or gpu.index in needs.devices)
        and (
            needs.memory_bytes is None
            or gpu.memory_total_bytes is None
            or gpu.memory_total_bytes >= needs.memory_bytes
        )
        for gpu in page.gpus
    )


def _is_left(gpu: GpuPage) -> bool:
    """Whether a shared server leaves it to others for good."""
    return gpu.shared is not None and gpu.shared.kept_by == Bar.LEFT.value


def _lives_long_enough(needs: Needs, page: NodePage) -> bool:
    is_cut_off = not needs.time_is_limit or page.at_end == "stop"  # a limit is no promise where the agent waits
    if needs.time_s is None or not is_cut_off or page.ends_s is None or page.beat_s is None:
        return True
    return page.ends_s - page.beat_s >= needs.time_s  # both by the node's clock
