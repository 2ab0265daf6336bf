"""A console with --read-only in a browser: no page offers a change, no key begins one, no address opens one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.agent.harness import Cluster, a_cluster, wait_until
from tests.console.served import Served, a_console

CHANGES: tuple[str, ...] = (
    *("Pause", "Submit", "Stop", "Cancel", "Retry", "Run again", "Priority", "Copy as script", "Undo", "Ask the"),
    "More for the whole queue",
)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with a_cluster(tmp_path) as cluster:
        cluster.start(simulate="2")
        yield cluster


@pytest.fixture
def served(tmp_path: Path, cluster: Cluster) -> Iterator[Served]:
    (tmp_path / "console").mkdir()
    with a_console(tmp_path / "console", "--read-only", queue_root=cluster.queue_root) as console:
        yield console


def offered(page: Page) -> list[str]:
    """What is offered that changes something."""
    names = page.locator("button, a, [role=menuitem], [role=option]").evaluate_all(
        "all => all.map(one => one.getAttribute('aria-label') ?? one.innerText.trim())"
    )
    return [name for name in names if name.startswith(CHANGES)]


def test_nothing_is_offered_that_changes_anything(cluster: Cluster, served: Served, page: Page) -> None:
    running = cluster.submit("sleep 600\n", "train.sh", gpus=2)
    waiting = cluster.submit("true\n", "next.sh", gpus=2)
    failed = cluster.submit("exit 3\n", "bad.sh", gpus=0, said={"needs": {"gpus": "0", "retries": "0"}})
    cluster.wait_for(failed, "failed")
    cluster.wait_for(running, "running")
    for task in (running, waiting, failed):
        wait_until(lambda: served.ask("GET", f"/api/v1/spools/exp/tasks/{task}").status_code == 200, "it is known")  # noqa: B023
    expect(page.get_by_text("read only", exact=True)).to_be_visible()
    for address, shown in (
        ("ui/gpu?submit=1", page.get_by_role("link", name="next.sh")),
        ("ui/state?state=all", page.get_by_role("link", name="bad.sh")),
        (f"ui/state/{running}", page.get_by_role("heading", name="train.sh")),
        (f"ui/state/{waiting}?tab=why", page.get_by_role("heading", name="Why it waits")),
        (f"ui/state/{failed}", page.get_by_role("heading", name="bad.sh")),
        ("ui/setting", page.get_by_text("This console only shows; it changes nothing.")),
    ):
        page.goto(f"{served.address}{address}")
        expect(shown.first).to_be_visible()
        expect(page.get_by_text("read only", exact=True)).to_be_visible()
        assert offered(page) == [], address
        for key in "jxsrpen":
            page.keyboard.press(key)
        expect(page.get_by_role("dialog")).to_have_count(0)
    page.goto(f"{served.address}ui/gpu")
    page.get_by_role("button", name="More for").first.click()
    expect(page.get_by_role("menuitem")).to_have_text(["What its agent tells"])
    page.keyboard.press("Escape")
    page.keyboard.press("Control+k")
    page.keyboard.type("s")
    assert offered(page) == []
    changing = [
        path
        for path, methods in served.ask("GET", "/api/v1/openapi.json").json()["paths"].items()
        if {*methods} - {"get", "parameters"}
    ]
    assert changing == ["/access"]
    assert served.ask("POST", "/api/v1/spools/exp/plans", json={"action": "pause"}).json()["code"] == "read_only"
    assert [cluster.where(task) for task in (running, waiting, failed)] == [["running"], ["pending"], ["failed"]]
