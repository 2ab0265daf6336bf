"""The policy page in a browser, over a real agent: one queue and one console for all of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from gpu_queue import Script
from tests.agent.harness import Cluster, a_cluster
from tests.console.browser.conftest import Complaints
from tests.console.browser.test_tasks_page import complaints_of_axe
from tests.console.served import Served, a_console
from tests.shell.helpers import wait_until

TEXT = """# ours; ask bo
keepalive:
  engine: cpu   # simulated GPUs
retries: 0      # none
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A queue `exp` that an agent with two GPUs serves."""
    with a_cluster(tmp_path_factory.mktemp("rule")) as cluster:
        cluster.start(simulate="2", keepalive=True)
        yield cluster


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, cluster: Cluster) -> Iterator[Served]:
    with a_console(tmp_path_factory.mktemp("console"), queue_root=cluster.queue_root) as console:
        yield console


@pytest.fixture
def config(cluster: Cluster) -> Path:
    path = Path(cluster.queue_root) / "exp" / "config.yaml"
    path.write_text(TEXT)
    return path


def show(page: Page, served: Served, path: str = "ui/rule") -> None:
    expect(page.locator("[data-way=live]")).to_be_visible()  # the token was traded for the cookie before
    page.goto(f"{served.address}{path}")
    expect(page.get_by_role("heading", name="Policy", level=1)).to_be_visible()


def field(page: Page, key: str) -> Locator:
    return page.locator(f'[data-key="{key}"]')


def off_by(served: Served) -> set[str]:
    """By whom the keep-alive of the GPUs is off, as the agent tells; the empty word: by nobody."""
    gpus = served.ask("GET", "/api/v1/spools/exp/snapshot").json()["living"]["gpus"].values()
    return {(one.get("keepalive") or {}).get("off_by", "") for one in gpus}


def editor(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Text of config.yaml")


def test_a_change_is_shown_saved_taken_over_by_the_agent_and_put_back(
    page: Page, served: Served, config: Path
) -> None:
    show(page, served)
    wait_until(lambda: off_by(served) == {""})
    expect(field(page, "retries").get_by_text("default 0")).to_be_visible()
    field(page, "retries").get_by_role("textbox").fill("1")
    field(page, "retry_delay").get_by_role("textbox").fill("0")
    field(page, "keepalive.enabled").get_by_role("switch").click()
    expect(field(page, "retries")).to_have_attribute("data-changed", "true")
    expect(field(page, "retries").get_by_text("was 0")).to_be_visible()
    assert complaints_of_axe(page) == []
    page.get_by_role("button", name="Save 3 changes …").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Keep editing")).to_be_focused()
    expect(dialog.get_by_role("group", name="Difference")).to_contain_text("added   enabled: off")
    expect(dialog).to_contain_text("at once: keepalive.enabled, retries, retry_delay")
    assert complaints_of_axe(page) == []
    dialog.get_by_role("button", name="Save 3 changes").click()
    expect(page.get_by_text("The policy is saved")).to_be_visible()
    assert config.read_text() == TEXT.replace("retries: 0 ", "retries: 1 ").replace(
        "# simulated GPUs\n", "# simulated GPUs\n  enabled: off\n"
    ).replace("# none\n", "# none\nretry_delay: 0\n")

    wait_until(lambda: off_by(served) == {"settings"})
    task = served.spool().submit(Script("fails.sh", "exit 3\n"))

    def has_failed_twice() -> bool:
        reply = served.ask("GET", f"/api/v1/spools/exp/tasks/{task.id}")
        assert reply.status_code in (200, 404), reply.text  # between two directories it is in neither
        told = reply.json()
        return reply.status_code == 200 and len(told["tries"]) == 2 and told["row"]["state"] == "failed"

    wait_until(has_failed_twice)
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("The policy is as it was")).to_be_visible()
    assert config.read_text() == TEXT


def test_what_is_wrong_stands_at_its_field_and_at_its_line_and_is_not_saved(
    page: Page, served: Served, config: Path
) -> None:
    show(page, served)
    field(page, "retries").get_by_role("textbox").fill("x")
    expect(field(page, "retries")).to_contain_text("'x'; expected a whole number")
    page.get_by_role("button", name="line 4").click()
    expect(editor(page)).to_be_focused()
    expect(editor(page)).to_contain_text("retries: x      # none")
    expect(page.locator(".cm-lint-marker-error")).to_have_count(1)
    assert complaints_of_axe(page) == []
    page.get_by_role("button", name="Save 1 change …").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("No agent would obey it:")
    expect(dialog.get_by_role("button", name="Save 1 change")).to_be_disabled()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Discard").click()
    expect(editor(page)).to_contain_text("retries: 0      # none")
    assert config.read_text() == TEXT


def test_what_somebody_else_wrote_is_shown_and_ones_own_fields_go_into_it(
    page: Page, served: Served, config: Path, complaints: Complaints
) -> None:
    complaints.expected = ("412",)
    show(page, served)
    field(page, "retries").get_by_role("textbox").fill("4")
    page.get_by_role("button", name="Save 1 change …").click()
    theirs = TEXT + "max_lost: 7  # theirs\n"
    config.write_text(theirs)
    page.get_by_role("dialog").get_by_role("button", name="Save 1 change").click()
    dialog = page.get_by_role("dialog", name="config.yaml was changed meanwhile")
    expect(dialog).to_contain_text("max_lost: 7 # theirs")
    assert config.read_text() == theirs
    dialog.get_by_role("button", name="Put my changes into theirs").click()
    expect(field(page, "max_lost").get_by_role("textbox")).to_have_value("7")
    page.get_by_role("button", name="Save 1 change …").click()
    page.get_by_role("dialog").get_by_role("button", name="Save 1 change").click()
    expect(page.get_by_text("The policy is saved")).to_be_visible()
    assert config.read_text() == theirs.replace("retries: 0 ", "retries: 4 ")


@pytest.mark.long
def test_the_page_is_used_by_keys_alone_and_asks_before_it_is_left(page: Page, served: Served, config: Path) -> None:
    page.goto(f"{served.address}ui/gpu")
    page.locator("[data-way=live]").wait_for()
    page.keyboard.press("g")
    page.keyboard.press("r")
    expect(page.get_by_role("heading", name="Policy", level=1)).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("retries")
    expect(page.get_by_role("status").filter(has_text="settings")).to_have_text("2 settings")
    for _ in range(3):
        page.keyboard.press("Tab")
    box = field(page, "retries").get_by_role("textbox")
    box.focus()
    page.keyboard.type("2")
    expect(field(page, "retries")).to_have_attribute("data-changed", "true")
    page.get_by_role("link", name="Tasks").first.click()
    dialog = page.get_by_role("dialog", name="Leave without saving?")
    expect(dialog.get_by_role("button", name="Stay")).to_be_focused()
    page.keyboard.press("Enter")
    expect(field(page, "retries")).to_be_visible()
    field(page, "retries").get_by_role("button", name="Reset Retries").click()
    page.get_by_role("button", name="Save 1 change …").click()
    page.get_by_role("dialog").get_by_role("button", name="Save 1 change").click()
    expect(page.get_by_text("The policy is saved")).to_be_visible()
    assert config.read_text() == TEXT.replace("retries: 0      # none\n", "")


@pytest.mark.long
@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("width", [1440, 390])
def test_axe_finds_nothing_on_either_tab(
    page: Page, context: BrowserContext, served: Served, config: Path, language: str, theme: str, width: int
) -> None:
    config.write_text(TEXT + "retires: 1\n")
    page.set_viewport_size({"width": width, "height": 844})
    context.add_init_script(
        f"localStorage.setItem('gpuq.theme', '{theme}'); localStorage.setItem('gpuq.language', '{language}');"
    )
    for address in ("ui/rule", "ui/rule?tab=text"):
        page.goto(f"{served.address}{address}")
        expect(page.locator("main")).to_contain_text("retires")
        assert complaints_of_axe(page) == []


def test_a_console_that_only_reads_shows_it_without_buttons(
    context: BrowserContext, cluster: Cluster, config: Path, tmp_path: Path
) -> None:
    with a_console(tmp_path, "--read-only", queue_root=cluster.queue_root) as console:
        page = context.new_page()
        page.goto(console.link)
        show(page, console)
        expect(field(page, "retries").get_by_role("textbox")).to_have_value("0")
        expect(field(page, "retries").get_by_role("textbox")).to_be_disabled()
        expect(page.get_by_role("button", name="Save")).to_have_count(0)
        expect(page.get_by_role("button", name="Discard")).to_have_count(0)
        page.close()
