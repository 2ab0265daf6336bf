"""Nodes, and the whole queue, are changed in a browser over real agents: what the page says before and after."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.agent.harness import Cluster, a_cluster, wait_until
from tests.console.served import Served, a_console


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The directory of all queues; what is started there ends with it."""
    with a_cluster(tmp_path_factory.mktemp("nodes")) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def served(place: Cluster) -> Iterator[Served]:
    (place.base / "console").mkdir()
    with a_console(place.base / "console", queue_root=place.queue_root) as console:
        yield console


@pytest.fixture
def cluster(place: Cluster) -> Iterator[Cluster]:
    """A queue of the test's own."""
    number = len(list(place.queue_root.iterdir()))
    cluster = Cluster(place.base, f"exp{number}")
    cluster.local = place.base / f"local{number}"
    yield cluster
    for agent in cluster.agents:
        if agent.poll() is None:
            cluster.kill(agent)


@pytest.fixture
def agent(cluster: Cluster, served: Served, page: Page) -> str:
    """The name of a node with two GPUs that serves; the page shows its queue."""
    process = cluster.start(simulate="2")
    expect(page.get_by_role("heading").first).to_be_visible()  # it has taken the token
    page.goto(f"{served.address}ui/gpu?job={cluster.job_id}")
    [name] = [str(node["node"]) for node in cluster.nodes() if node["pid"] == process.pid]
    return name


def choose(page: Page, menu: str, item: str) -> None:
    page.get_by_role("button", name=re.compile(f"^More for {menu}")).click()
    page.get_by_role("menuitem", name=re.compile(item)).click()


def confirm(page: Page, title: str, typed: str) -> Locator:
    """The dialog of this title, in which the other button works once the name was typed."""
    dialog = page.get_by_role("dialog", name=title)
    go = dialog.get_by_role("button", name=re.compile(f"{typed}$"))
    expect(dialog.get_by_role("button").first).to_be_focused()
    expect(go).to_be_disabled()
    dialog.get_by_role("textbox").fill(typed[:-1])
    expect(go).to_be_disabled()
    dialog.get_by_role("textbox").fill(typed)
    go.click()
    return dialog


def runs(cluster: Cluster, script: str = "sleep 600\n") -> str:
    task_id = cluster.submit(script, "train.sh", gpus=2)
    cluster.wait_for_line(task_id, "==== started")
    return task_id


def test_a_queue_is_paused_drained_and_resumed(cluster: Cluster, page: Page, agent: str) -> None:
    attention = page.get_by_role("region", name="Attention")
    runs(cluster)
    expect(page.get_by_role("heading", name="2 of 2 GPUs run tasks")).to_be_visible()
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("Paused: nothing new starts; 1 running task goes on")).to_be_visible()
    expect(attention).to_contain_text("The queue is paused")
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    expect(page.get_by_text("The queue is paused")).to_have_count(0)
    choose(page, "the whole queue", "Keep-alive off")
    expect(page.get_by_text("The keep-alive is off", exact=True)).to_be_visible()
    expect(attention).to_contain_text("Keep-alive is off")
    choose(page, "the whole queue", "Keep-alive on")
    expect(page.get_by_text("The keep-alive is on", exact=True)).to_be_visible()
    expect(page.get_by_text("The keep-alive is off", exact=True)).to_have_count(0)  # nor its Undo
    choose(page, "the whole queue", "Drain")
    expect(page.get_by_text("Draining: nothing new starts; agents end after 1 running task")).to_be_visible()
    expect(attention).to_contain_text("All nodes drain")
    expect(page.get_by_text("draining", exact=True)).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("draining", exact=True)).to_have_count(0)


@pytest.mark.parametrize("waits", [True, pytest.param(False, marks=pytest.mark.long)])
def test_a_node_is_shut_down_once_its_name_is_typed(cluster: Cluster, page: Page, agent: str, waits: bool) -> None:
    gate = cluster.base / f"gate {waits}"
    task_id = runs(cluster, f"while [ ! -e '{gate}' ]; do sleep 0.05; done\n")
    expect(page.get_by_role("heading", name="2 of 2 GPUs run tasks")).to_be_visible()
    choose(page, "(?!the)", "after its tasks" if waits else "now; its tasks wait again")
    dialog = page.get_by_role("dialog", name=f"Shut down {agent}?")
    expect(dialog).to_contain_text("1 task runs there.")
    expect(dialog).to_contain_text(
        "It waits until that has ended." if waits else "That is ended and waits again from the start."
    )
    confirm(page, f"Shut down {agent}?", agent)
    expect(page.get_by_text("The agents were told to end")).to_be_visible()
    if waits:
        expect(page.get_by_text("draining", exact=True)).to_be_visible()
        gate.touch()
    expect(page.get_by_text("stopped", exact=True)).to_be_visible()
    expect(page.get_by_role("heading", name="No GPU is served")).to_be_visible()
    cluster.wait_for(task_id, "done" if waits else "pending")
    cluster.agents[-1].wait(20)


def test_a_silent_node_is_forgotten_and_its_task_runs_elsewhere(cluster: Cluster, page: Page, agent: str) -> None:
    task_id = runs(cluster)
    expect(page.get_by_role("heading", name="2 of 2 GPUs run tasks")).to_be_visible()
    cluster.kill(cluster.agents[-1])
    past_s = time.time() - 200
    for ending in ("json", "tsv"):
        os.utime(Path(cluster.paths.root, "nodes", f"{agent}.{ending}"), (past_s, past_s))
    expect(page.get_by_text("silent", exact=True)).to_be_visible()
    expect(page.get_by_text("is silent")).to_be_visible()
    choose(page, "(?!the)", "Forget it")
    confirm(page, f"Forget {agent}?", agent)
    missed = page.get_by_role("dialog", name="1 was not done")
    expect(missed).to_contain_text("gave a sign of life there")  # what watches over the task still does
    expect(missed).not_to_contain_text("Forgotten")
    missed.get_by_role("button", name="Forget it by force").click()
    expect(page.get_by_role("dialog")).to_contain_text("it may run twice for up to a minute")
    confirm(page, f"Forget {agent}?", agent)
    expect(page.get_by_text("Forgotten")).to_be_visible()
    cluster.local = cluster.local.with_name("another")
    cluster.start(simulate="2")
    wait_until(lambda: len(cluster.tries(task_id)) == 1 and cluster.where(task_id) == ["running"], "its second try")
    expect(page.get_by_role("heading", name="2 of 2 GPUs run tasks")).to_be_visible()
    # What runs is looked at each ten seconds: until then the task's claim of the forgotten node is still known.
    expect(page.get_by_text("silent", exact=True)).to_have_count(0, timeout=30_000)
