"""What an agent on a shared server says each minute."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from gpu_queue.agent.lanes import natural, queue_pages
from gpu_queue.agent.minutes import LINES_MAX, Minutes, minute_lines
from gpu_queue.spool.pages import GpuPage, NodePage, QueuePage, SharedPage, TryPage
from gpu_queue.spool.tallies import Tally
from gpu_queue.states import GpuState

CLAIM = "500-20261123T014415123-4f0c2a-run_pipeline.sh.try1.abcdef"
PAGE = NodePage(
    "n1",
    mode="shared",
    waiting_count=5,
    done=3,
    gpus=(
        GpuPage("GPU-1", 1, "A100", GpuState.BUSY, shared=SharedPage(int(15.2 * (1 << 30)), 1)),
        GpuPage("GPU-2", 2, "A100", GpuState.FOREIGN, shared=SharedPage(1 << 30, None, "stranger")),
        GpuPage("GPU-3", 3, "A100", GpuState.LOST, shared=SharedPage()),
    ),
    running=(TryPage(CLAIM, "run_pipeline.sh", "running", (1,), 12.0, queue="1"),),
    queues=(
        QueuePage("1", True, "", 3, 1, 2, 0),
        QueuePage("2", True, "", 2, 0, 0, 1, 3, 600.0),
        QueuePage("3", False, "", 0, 0, 1, 0),
    ),
)


def test_totals_queues_and_gpus_are_said_as_the_scheduler_before_it_said_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TZ", "UTC0")
    time.tzset()
    assert minute_lines(PAGE, 1_800_014_400.0) == [
        "Tasks: Pending=5, Running=1, Completed=3, Failed=0",
        "Queue 1: 🔴 BUSY, Pending=3, Running=1, Completed=2, Failed=0",
        "Queue 2: 🔴 BUSY, Pending=2, Running=0, Completed=0, Failed=1, Backoff until 12:10:00 (failed 3 times)",
        "Queue 3: 🟢 IDLE, Pending=0, Running=0, Completed=1, Failed=0",
        "GPU 1: Available=15.2GB, User Python Processes=1, Running Tasks=1",
        "  Running Task (Queue 1): run_pipeline.sh (4f0c2a)",
        "GPU 2: Available=1.0GB, User Python Processes=?, Running Tasks=0 (used by somebody else)",
        "GPU 3: Available=?, User Python Processes=?, Running Tasks=0 (lost)",
    ]


@pytest.mark.parametrize(("queues", "gpus"), [(0, 64), (40, 8), (1000, 16), (7, 12)])
def test_it_is_never_more_than_some_lines(queues: int, gpus: int) -> None:
    page = replace(
        PAGE,
        queues=tuple(QueuePage(str(number), False) for number in range(queues)),
        more_queues=5 if queues == 1000 else 0,
        gpus=tuple(replace(PAGE.gpus[0], index=number) for number in range(gpus)),
        running=tuple(replace(PAGE.running[0], gpus=(number,)) for number in range(gpus)),
    )
    lines = minute_lines(page, 0.0)
    assert len(lines) <= LINES_MAX
    said = sum(line.startswith("Queue ") for line in lines)
    if queues > 7:
        assert f"… and {queues + page.more_queues - said} more queues; see gpu_status --queues" in lines
    of_gpus = sum(line.startswith("GPU ") for line in lines)
    assert of_gpus == gpus or f"… and {gpus - of_gpus} more GPUs; see gpu_status" in lines


def test_nothing_of_hostile_origin_reaches_a_terminal() -> None:
    odd = "\x1b[31m\n\u202e"
    page = replace(
        PAGE,
        gpus=(replace(PAGE.gpus[0], shared=SharedPage(1, 1, odd)),),
        queues=(QueuePage(odd, True),),
        running=(TryPage(CLAIM, odd, "running", (1,), 1.0, queue=odd),),
    )
    assert all(line.isprintable() for line in minute_lines(page, 0.0))


def test_it_is_said_each_minute_while_something_waits_and_else_when_something_has_changed() -> None:
    said: list[str] = []
    minutes = Minutes(said.append, 0.0)
    quiet = replace(PAGE, waiting_count=0, running=())
    for at, page, is_said in (
        (30.0, PAGE, False),
        (60.0, PAGE, True),
        (90.0, PAGE, False),
        (120.0, PAGE, True),
        (180.0, quiet, True),
        (240.0, quiet, False),
        (300.0, replace(quiet, done=4), True),
        (360.0, replace(quiet, done=5, mode="dedicated"), False),
    ):
        said.clear()
        minutes.hear(at, page)
        assert bool(said) is is_said, at
        assert (minutes.due > at) or page.mode == "dedicated"


def test_queues_stand_in_the_order_in_which_people_look_for_them() -> None:
    pending = {"q10": 2, "q2": 1, "rests": 1, "20261123T014415123-4f0c2a.1": 4}
    busy = {"rests": "a", "runs": "b"}
    tallies = {"old": Tally(3, frozenset({"x", "y"})), "q2": Tally(1)}
    pages, more = queue_pages(pending, busy, tallies, (), {"a": (3, 60.0)}, {"y"})
    assert [one.queue for one in pages] == ["runs", "rests", "q2", "q10", "old"]
    assert more == 0
    by_name = {one.queue: one for one in pages}
    assert by_name["rests"] == QueuePage("rests", True, "a", 1, failures=3, rests_s=60.0)
    assert by_name["old"] == QueuePage("old", False, done=3, failed=1)  # y waits again


def test_names_with_numbers_stand_as_people_count() -> None:
    assert sorted(["b", "a10", "a9", "10", "9", "a"], key=natural) == ["9", "10", "a", "a9", "a10", "b"]
