"""The GPUs page in a browser, over a real agent with simulated GPUs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, Request, expect

from tests.agent.harness import Cluster, a_cluster
from tests.console.browser.conftest import Complaints
from tests.console.served import Served, a_console

AXE = Path(__file__).parents[3] / "gpu_queue/console/web/node_modules/axe-core/axe.min.js"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A queue `exp`, served by nobody yet."""
    with a_cluster(tmp_path) as cluster:
        yield cluster


@pytest.fixture
def served(tmp_path: Path, cluster: Cluster) -> Iterator[Served]:
    (tmp_path / "console").mkdir()
    with a_console(tmp_path / "console", queue_root=cluster.queue_root) as console:
        yield console


def test_what_runs_and_what_waits_is_seen_as_it_happens(cluster: Cluster, page: Page) -> None:
    expect(page.get_by_text("No agent serves exp. On a GPU node:")).to_be_visible()
    expect(page.get_by_text("./submit.sh exp")).to_be_visible()
    cluster.start(simulate="4")
    expect(page.get_by_role("heading", name="0 of 4 GPUs run tasks")).to_be_visible()
    cluster.submit("sleep 600\n", "train.sh", gpus=3)
    cluster.submit("sleep 600\n", "next.sh", gpus=2)
    expect(page.get_by_role("heading", name="3 of 4 GPUs run tasks")).to_be_visible()
    rows = page.get_by_role("row").filter(has_text="train.sh")
    expect(rows).to_have_count(3)
    expect(page.get_by_text("1 task waits; next.sh is first: waits for 2 GPUs")).to_be_visible()
    waiting = page.get_by_role("list", name="Waiting tasks, in run order")
    expect(waiting.get_by_role("link", name="next.sh")).to_be_visible()
    assert "#" not in page.url, "the token stays in the address"


def test_pointing_at_a_task_lights_all_that_is_its_own(cluster: Cluster, page: Page) -> None:
    cluster.start(simulate="2")
    cluster.submit("sleep 600\n", "train.sh", gpus=2)
    rows = page.get_by_role("row").filter(has_text="train.sh")
    expect(rows).to_have_count(2)
    page.get_by_role("list", name="Running tasks").get_by_role("link", name="train.sh").hover()
    lit = "element => getComputedStyle(element).getPropertyValue('--lit')"
    dark, light = "rgb(22, 40, 58)", "rgb(230, 240, 250)"
    assert [rows.nth(at).evaluate(lit) for at in range(2)] in ([dark] * 2, [light] * 2)


@pytest.mark.long
def test_the_panel_of_a_gpu_opens_and_back_closes_it(cluster: Cluster, page: Page) -> None:
    cluster.start(simulate="2")
    page.get_by_role("link", name="GPU 1: idle").click()
    panel = page.get_by_role("dialog")
    expect(panel.get_by_role("tab", name="7 days")).to_be_visible()
    assert "gpu=" in page.url
    page.go_back()
    expect(panel).to_have_count(0)


def test_keys_go_everywhere_and_none_works_while_somebody_types(cluster: Cluster, page: Page) -> None:
    cluster.start(simulate="1")
    expect(page.get_by_role("heading", name="0 of 1 GPU runs tasks")).to_be_visible()
    page.keyboard.press("?")
    help_ = page.get_by_role("dialog", name="Keys")
    expect(help_.get_by_role("button", name="Close")).to_be_focused()
    page.keyboard.press("Escape")
    expect(help_).to_have_count(0)
    page.keyboard.press("Control+k")
    page.keyboard.type("g?n")
    expect(page.get_by_role("dialog", name="Find")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(1)
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("t")
    expect(page).to_have_url(re.compile("/ui/state"))
    page.evaluate("localStorage.setItem('gpuq.keys', 'off')")
    page.reload()
    expect(page.locator("[data-way=live]")).to_be_visible()
    page.keyboard.press("g")
    page.keyboard.press("s")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page).to_have_url(re.compile("/ui/state"))


@pytest.mark.long
def test_an_address_with_nonsense_shows_the_page(served: Served, cluster: Cluster, page: Page) -> None:
    cluster.start(simulate="1")
    page.goto(f"{served.address}ui/gpu?view=moon&range=9y&sort=%00&node=&submit=2&gpu=" + "x" * 900)
    expect(page.get_by_role("heading", name="0 of 1 GPU runs tasks")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_one_tab_reads_for_all_and_the_next_goes_on(served: Served, context: BrowserContext, page: Page) -> None:
    streams: list[int] = []

    def watch(tab: Page, number: int) -> None:
        def asked(request: Request) -> None:
            if request.url.endswith("/stream"):
                streams.append(number)

        tab.on("request", asked)

    expect(page.locator("[data-way=live]")).to_be_visible()
    tabs = [context.new_page() for _ in range(7)]
    for number, tab in enumerate(tabs):
        watch(tab, number)
        tab.goto(f"{served.address}ui/gpu")
        expect(tab.locator("[data-way=live]")).to_be_visible()
    assert streams == [], "a tab beside the first has a stream of its own"
    with tabs[0].expect_request(lambda request: request.url.endswith("/stream")):
        page.close()
    spool = served.spool()
    spool.pause("looking")
    for tab in tabs:
        expect(tab.get_by_text("The queue is paused")).to_be_visible()
    assert streams == [0]


def test_without_a_console_what_was_seen_stays_and_is_marked_as_old(
    served: Served, cluster: Cluster, page: Page, complaints: Complaints
) -> None:
    complaints.expected = ("Failed to load resource", "ERR_")
    cluster.start(simulate="2")
    expect(page.get_by_role("heading", name="0 of 2 GPUs run tasks")).to_be_visible()
    served.process.kill()
    expect(page.get_by_text(re.compile("reconnecting; .* old"))).to_be_visible()
    expect(page.get_by_role("heading", name="0 of 2 GPUs run tasks")).to_be_visible()


@pytest.mark.parametrize(
    ("theme", "width", "height"),
    [
        ("dark", 1440, 900),
        ("light", 390, 844),
        pytest.param("dark", 390, 844, marks=pytest.mark.long),
        pytest.param("light", 1440, 900, marks=pytest.mark.long),
    ],
)
def test_nothing_on_the_page_is_out_of_reach(
    served: Served, cluster: Cluster, context: BrowserContext, theme: str, width: int, height: int
) -> None:
    if not AXE.is_file():
        pytest.skip("axe-core is not installed here: make console")
    cluster.start(simulate="4")
    cluster.submit("sleep 600\n", "train.sh", gpus=2)
    cluster.submit("sleep 600\n", "next.sh", gpus=9)
    page = context.new_page()
    page.set_viewport_size({"width": width, "height": height})
    page.add_init_script(f"localStorage.setItem('gpuq.theme', '{theme}')")
    page.goto(served.link)
    expect(page.get_by_role("heading", name="2 of 4 GPUs run tasks")).to_be_visible()
    page.evaluate(AXE.read_text(encoding="utf-8"))  # as a debugger would: no script of the page may be one
    found = page.evaluate("axe.run().then(result => result.violations.map(one => `${one.id}: ${one.nodes[0].html}`))")
    assert found == []
