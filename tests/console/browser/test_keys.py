"""Each page by keys alone: all that can be used is reached, is seen to have the focus, and gives it back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from gpu_queue.console.batches.census import key_of_group
from gpu_queue.spool.paths import SpoolPaths
from tests.console.served import Served, a_console
from tests.console.stage.batches import GROUP
from tests.console.stage.still import Still

TABS_MAX = 400
PAGES = {
    "gpus": "ui/gpu",
    "tiles": "ui/gpu?view=tiles",
    "time": "ui/gpu?view=time",
    "tasks": "ui/state",
    "failed": "ui/state?state=failed",
    "groups": "ui/state?group=queue",
    "task": "ui/state/{running}",
    "why": "ui/state/{waiting}?tab=why",
    "script": "ui/state/{running}?tab=script",
    "files": "ui/command",
    "file": "ui/command/multi/1",
    "rule": "ui/rule",
    "rule as text": "ui/rule?tab=text",
    "history": "ui/history",
    "batches": "ui/batch",
    "batch": f"ui/batch/{key_of_group(GROUP)}",
    "settings": "ui/setting",
}

REACHABLE = """() => {
    const all = document.querySelectorAll(
        'a[href], button, input, select, textarea, summary, [tabindex="0"], [contenteditable="true"]');
    const usable = [...all].filter((one) => one.tabIndex >= 0 && !one.disabled && one.checkVisibility()
        && !one.closest('[inert]') && !(one.type === 'radio' && !one.checked));
    window.unreached = new Set(usable);
    document.activeElement?.blur();
    window.getSelection()?.removeAllRanges();
    return usable.length;
}"""
TOLD = """async () => {
    const one = document.activeElement;
    // The editor draws its own, a moment later.
    for (let at = 0; at < 50 && one?.closest('.cm-editor') && !one.closest('.cm-focused'); at += 1)
        await new Promise(requestAnimationFrame);
    if (!one || one === document.body) return null;
    window.unreached.delete(one);
    const style = getComputedStyle(one);
    const box = one.getBoundingClientRect();
    const parent = one.parentElement ? getComputedStyle(one.parentElement) : style;
    const hasRing = [style, parent].some((it) => it.outlineStyle !== 'none' && parseFloat(it.outlineWidth) > 0)
        || one.closest('.cm-focused') !== null;
    const isSeen = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
    const name = `${one.tagName} ${one.getAttribute('aria-label') ?? one.textContent ?? ''}`.trim().slice(0, 60);
    return { name, hasRing, isSeen };
}"""
LEFT = "() => [...window.unreached].filter((one) => one.isConnected).map((one) => one.outerHTML.slice(0, 120))"


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Still]:
    """A queue that stands still, with all that pages show."""
    queues = tmp_path_factory.mktemp("still") / "queues"
    still = Still(SpoolPaths(str(queues / "exp")), time.time(), tasks=120)
    Path(still.paths.config).write_text("retries: 2\nkeepalive:\n  enabled: on\n")
    still.keep_beating()
    yield still
    still.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, still: Still) -> Iterator[Served]:
    root = Path(still.paths.root).parent
    with a_console(tmp_path_factory.mktemp("console"), queue_root=root) as console:
        yield console


def show(page: Page, served: Served, path: str) -> None:
    expect(page.locator("[data-way=live]")).to_be_visible(timeout=20_000)
    page.goto(f"{served.address}{path}")
    page.locator("main :is(h1, h2)").first.wait_for()
    page.wait_for_load_state("load")
    expect(page.locator("main [class*=Skeleton]")).to_have_count(0)


@pytest.mark.parametrize("name", PAGES)
def test_tab_reaches_all_of_a_page_and_the_focus_is_seen(name: str, page: Page, served: Served, still: Still) -> None:
    path = PAGES[name].format(running=still.ids["pretrain_1b_s3.sh"], waiting=still.waiting[0].name[4:])
    show(page, served, path)
    assert page.evaluate(REACHABLE) > 10
    unseen = []
    for _ in range(TABS_MAX):
        page.keyboard.press("Tab")
        told = page.evaluate(TOLD)
        if told is None:
            break
        if not (told["hasRing"] and told["isSeen"]):
            unseen.append(told)
    else:
        pytest.fail(f"the focus does not leave the page: {told}")
    assert unseen == []
    assert page.evaluate(LEFT) == []


def test_what_opens_takes_the_focus_and_gives_it_back(page: Page, served: Served) -> None:
    show(page, served, "ui/gpu")
    for opener in ("Find (Ctrl K)", "by name"):
        button = page.get_by_role("button", name=opener).first
        button.focus()
        page.keyboard.press("Enter")
        expect(button).not_to_be_focused()
        page.keyboard.press("Escape")
        expect(button).to_be_focused()
    submit = page.get_by_role("link", name="Submit a script")
    submit.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    assert page.evaluate("document.activeElement.closest('[role=dialog], dialog') !== null")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(submit).to_be_focused()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(submit).to_be_focused()


def test_a_day_s_work_by_keys(page: Page, served: Served) -> None:
    show(page, served, "ui/gpu")
    for key, heading in (
        ("t", "Tasks"),
        ("b", "Batches"),
        ("h", "History of all GPUs"),
        ("r", "Policy"),
        ("c", "Job files"),
    ):
        page.keyboard.press("g")
        page.keyboard.press(key)
        expect(page.get_by_role("heading", name=heading).first).to_be_visible()
    page.keyboard.press("g")
    page.keyboard.press("t")
    grid = page.get_by_role("grid")
    grid.wait_for()
    page.keyboard.press("/")
    page.keyboard.type("sweep")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="queue: any")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_text("9 tasks")).to_be_visible()
    grid.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    page.keyboard.press("Shift+ArrowDown")
    expect(page.get_by_text("2 selected")).to_be_visible()
    page.keyboard.press("s")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Keep them")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(grid).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_text("2 selected")).to_have_count(0)
    page.keyboard.press("Enter")
    page.get_by_role("tab", name="Why", selected=True).focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Tries", selected=True)).to_be_focused()
