"""Whether a living agent could run a task, by what the pages tell."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpu_queue.spool.desk.feasible import why_not
from gpu_queue.spool.pages import GpuPage, NodePage, SharedPage
from gpu_queue.states import AgentState, GpuState
from gpu_queue.task import Needs

HOUR_S = 3600.0
CARD = GpuPage("GPU-0", 0, "H100", GpuState.BUSY, 80 << 30)


@pytest.mark.parametrize(
    ("at_end", "is_limit", "is_told"),
    [("wait", True, False), ("stop", True, True), ("", True, False), ("wait", False, True), ("stop", False, True)],
)
def test_a_time_longer_than_any_agent_lives_counts_where_it_is_promised_or_would_be_cut_off(
    at_end: str, is_limit: bool, is_told: bool
) -> None:
    page = NodePage("n", state=AgentState.SERVING, gpus=(CARD,), ends_s=HOUR_S, beat_s=0.0, at_end=at_end)
    needs = Needs(time_s=2 * HOUR_S, time_is_limit=is_limit)
    assert bool(why_not(needs, [page])) is is_told
    assert not why_not(needs, [page, NodePage("m", state=AgentState.SERVING, gpus=(CARD,))]), "one lives for ever"


def test_what_a_shared_server_leaves_to_others_runs_nothing_of_ours() -> None:
    left = replace(CARD, uuid="GPU-1", index=1, shared=SharedPage(80 << 30, 0, "left"))
    used = replace(CARD, uuid="GPU-2", index=2, shared=SharedPage(0, 0, "stranger"))
    page = NodePage("n", state=AgentState.SERVING, gpus=(CARD, left, used))
    assert not why_not(Needs(gpus_min=2, gpus_max=2), [page]), "whoever uses one goes away again"
    assert why_not(Needs(gpus_min=3, gpus_max=3), [page]).endswith("has 3 GPUs, the most is 2")


def test_a_task_over_several_nodes_waits_for_as_many_agents_as_it_needs() -> None:
    large = NodePage("n", state=AgentState.SERVING, gpus=(CARD, replace(CARD, uuid="GPU-1", index=1)))
    small = NodePage("m", state=AgentState.SERVING, gpus=(CARD,))
    needs = Needs(gpus_min=2, gpus_max=2, nodes=2)
    assert not why_not(needs, [large, replace(large, node="o"), small])
    told = "it waits for more nodes: of the agents that are alive 1 can run its part, and it needs 2"
    assert why_not(needs, [large, small]) == told
    assert why_not(needs, [small, small]).endswith("has 2 GPUs, the most is 1")
