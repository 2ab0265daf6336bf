"""A task over several nodes has a log for each, which the console lists and opens by its name."""

from __future__ import annotations

from gpu_queue.console.logs.sources import LATEST, place_of, sources_of
from gpu_queue.spool.records import RankRecord, TryRecord
from gpu_queue.spool.snapshot.taskfiles import Log, TaskView, TryView
from gpu_queue.task import Claim, Needs, State, Submission

TASK = "20261123T014415123-4f0c2a-train.sh"
CLAIM = Claim(500, TASK, 1, "a079cd")
LOGS = tuple(Log(f"/q/logs/{TASK}{ending}.log", 10, CLAIM, rank) for rank, ending in enumerate(("", ".rank1")))
VIEW = TaskView(
    State.DONE, TASK, f"500-{TASK}", "/q/done/x", 500, "", None, (), Submission(TASK), Needs(nodes=2),
    (TryView(CLAIM, None, None),), LOGS,
)  # fmt: skip


def test_each_rank_is_a_source_and_the_latest_is_that_of_rank_0() -> None:
    assert [(one.source, one.title) for one in sources_of(VIEW)] == [
        ("a079cd", "try 1"),
        ("a079cd-rank1", "try 1, rank 1"),
    ]
    latest, second = place_of(VIEW, LATEST), place_of(VIEW, "a079cd-rank1")
    assert latest is not None
    assert second is not None
    assert (latest.below, second.below) == (f"{TASK}.log", f"{TASK}.rank1.log")
    assert place_of(VIEW, "a079cd-rank2") is None


def test_a_try_has_had_the_gpus_of_all_its_ranks() -> None:
    alone = TryRecord(CLAIM, gpus=("GPU-0", "GPU-1"))
    ranks = tuple(RankRecord(rank, f"n{rank}", ("GPU-0", "GPU-1")) for rank in (0, 1))
    assert (alone.gpu_count, TryRecord(CLAIM, gpus=("GPU-0", "GPU-1"), ranks=ranks).gpu_count) == (2, 4)
