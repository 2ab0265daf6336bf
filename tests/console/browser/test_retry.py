"""Many tasks at once, with an agent that does it: all that failed run again, and a colleague's batch is stopped."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from gpu_queue.console.batches.census import key_of_group
from gpu_queue.spool.desk.publishing import Options, Script
from gpu_queue.task import ExperimentPart
from tests.agent.harness import Cluster, a_cluster
from tests.console.served import Served, a_console

REALLY = 4


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with a_cluster(tmp_path) as cluster:
        cluster.start(simulate="4")
        yield cluster


@pytest.fixture
def served(tmp_path: Path, cluster: Cluster) -> Iterator[Served]:
    (tmp_path / "console").mkdir()
    with a_console(tmp_path / "console", queue_root=cluster.queue_root) as console:
        yield console


def fail(cluster: Cluster, served: Served, count: int) -> None:
    """So many failed tasks: some that ran, the rest cancelled; afterwards the queue is paused."""
    ids = [cluster.submit("exit 3\n", f"ran{n}.sh", said={"needs": {"retries": "0"}}) for n in range(REALLY)]
    for task_id in ids:
        cluster.wait_for(task_id, "failed")
    spool = served.spool()
    spool.pause("a test")
    spool.publish([Script(f"t{number}.sh", "exit 1\n") for number in range(count - REALLY)])
    spool.cancel("all")
    assert len(cluster.names("failed")) == count


@pytest.mark.parametrize("count", [250, pytest.param(4000, marks=pytest.mark.long)])
def test_all_that_failed_wait_again_and_fail_again_by_undo(
    cluster: Cluster, served: Served, page: Page, count: int
) -> None:
    fail(cluster, served, count)
    expect(page.get_by_text("live", exact=True)).to_be_visible(timeout=30_000)
    page.goto(f"{served.address}ui/state?state=all&q=is:failed")
    rows = page.get_by_role("grid").locator('[role="row"][id]')
    expect(page.get_by_text(f"{count:,} tasks")).to_be_visible()
    rows.first.get_by_role("checkbox").click()
    page.get_by_role("button", name=f"Select all {count:,} that match").click()
    bar = page.get_by_role("region", name="What is selected")
    expect(bar.get_by_role("button")).to_have_text(["Retry", "Clear"])
    bar.get_by_role("button", name="Retry").click()
    dialog = page.get_by_role("dialog", name=f"Run {count:,} tasks again?")
    expect(dialog).to_contain_text(f"{count:,} failed tasks wait again at their old priority.")
    expect(dialog.get_by_role("button", name="Leave them")).to_be_focused()
    dialog.get_by_role("button", name=f"Retry {count:,}").click()
    if count > 1000:
        expect(page.get_by_role("dialog", name="It is being done")).to_contain_text(
            re.compile(rf"[1-9][\d,]* of {count:,}")
        )
    expect(page.get_by_text(f"{count:,} tasks wait again")).to_be_visible(timeout=60_000)
    assert (len(cluster.names("pending")), cluster.names("failed")) == (count, [])
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text(f"Undone: {count:,} tasks were cancelled")).to_be_visible(timeout=60_000)
    expect(page.get_by_text("It is being undone")).to_have_count(0)
    assert (cluster.names("pending"), len(cluster.names("failed"))) == ([], count)
    expect(rows.filter(has_text=re.compile("ran|t")).first).to_be_visible()


def test_a_colleagues_batch_is_stopped_from_its_page_and_nothing_besides(
    cluster: Cluster, served: Served, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = [ExperimentPart("/w/lr.yaml", "lr-sweep", "t", f"lr{n}", str(n), "", (("lr", str(n)),)) for n in (1, 2)]
    asked = [Options(gpus=gpus, experiment=part) for gpus, part in zip(("4", "1"), parts, strict=True)]
    monkeypatch.setenv("USER", "bo")
    runs = [Script(f"{one.experiment.name}.sh", "exec sleep 600\n", options=one) for one in asked if one.experiment]
    first, second = (str(task.id) for task in served.spool().publish(runs))
    monkeypatch.setenv("USER", "alice")
    (mine,) = (
        str(task.id) for task in served.spool().publish([Script("mine.sh", "exit 0\n", options=Options(gpus="64"))])
    )
    cluster.wait_for(first, "running")
    expect(page.get_by_text("live", exact=True)).to_be_visible(timeout=30_000)
    page.goto(f"{served.address}ui/batch/{key_of_group('lr-sweep')}")
    page.get_by_role("button", name="Stop 2 that are left").click()
    dialog = page.get_by_role("dialog", name="Stop 1 and cancel 1 tasks?")
    expect(dialog.get_by_role("listitem").filter(has_text="lr1.sh")).to_contain_text("by bo")
    dialog.get_by_role("button", name="Stop 1, cancel 1").click()
    cluster.wait_for(first, "failed")
    assert cluster.tries(first)[-1]["outcome"] == "stopped"
    assert (sorted(cluster.ids("failed")), cluster.ids("pending")) == ([first, second], [mine])
    expect(page.get_by_role("button", name=re.compile("^2 cancelled"))).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("that are left|that wait"))).to_have_count(0)
