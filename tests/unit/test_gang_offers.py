"""What a node does that holds GPUs ready for a task over several nodes, once that goes."""

from __future__ import annotations

from gpu_queue.scheduling.gangs import Act, Gang, Terms, of_offer
from gpu_queue.states import GangStage

TASK = "20260101T000000000-000000-a.sh"
OURS = f"500-{TASK}.try1.0a0b0c"
TERMS = Terms()
GOES = Gang(f"500-{TASK}.try1.0d0e0f", 500, TASK, GangStage.GO, members={OURS: None}, ranks=("", OURS))


def test_a_rank_of_a_task_that_goes_begins_also_where_another_task_has_come_before_it_since() -> None:
    assert of_offer(OURS, GOES, TERMS, is_wanted=False, may_begin=True) is Act.JOIN


def test_a_rank_whose_agent_takes_nothing_new_or_that_somebody_ends_does_not_begin() -> None:
    assert of_offer(OURS, GOES, TERMS, is_wanted=True, may_begin=False) is Act.LEAVE
