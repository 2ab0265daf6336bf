"""History and batches in a browser, over a queue with a week of a past: one console for all of it."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from gpu_queue.console.batches.census import key_of_group
from gpu_queue.console.history.keeper import path_of
from gpu_queue.spool.filesystem import make_spool
from gpu_queue.spool.paths import SpoolPaths
from tests.console.browser.test_tasks_page import complaints_of_axe
from tests.console.served import Served, a_console
from tests.console.stage.batches import COMMAND_FILE, GROUP
from tests.console.stage.past import Machine, make_past
from tests.console.stage.samples import keep_samples


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    base = tmp_path_factory.mktemp("past")
    paths = SpoolPaths(str(base / "queues" / "exp"))
    before = os.umask(0o077)
    make_spool(paths)
    os.umask(before)
    now_s = time.time()
    spans = make_past(paths, [Machine("gpu1-00000001", 4), Machine("gpu2-00000002", 2)], now_s, tasks=300)
    keep_samples(path_of(str(base / "state" / "gpu-queue" / "console"), paths), spans, now_s)
    with a_console(base, XDG_STATE_HOME=str(base / "state")) as console:
        yield console


def show(page: Page, served: Served, path: str) -> None:
    expect(page.get_by_text("live", exact=True)).to_be_visible(
        timeout=30_000
    )  # the token was traded for the cookie before
    page.goto(f"{served.address}{path}")


def test_a_week_is_seen_with_who_used_it_and_its_address_shows_the_same_to_others(
    page: Page, served: Served, chromium: Browser
) -> None:
    show(page, served, "ui/history?range=30d&node=gpu1-00000001&to=nonsense")
    expect(
        page.get_by_text(re.compile(r"Tasks had \d+ % of [\d,.]+ GPU-hours; utilisation \d+ % in the mean"))
    ).to_be_visible()
    expect(page.get_by_text(re.compile("Seen since"))).to_be_visible()
    expect(page.get_by_role("button", name="30 d")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("table", name="By user").get_by_role("row").filter(has_text="alice")).to_be_visible()
    page.get_by_role("button", name="1 d", exact=True).click()
    expect(page).to_have_url(re.compile("range=1d"))
    page.get_by_text("As a table").click()
    table = page.get_by_role("region", name="What GPUs did, as a table")
    expect(table.get_by_role("row")).not_to_have_count(0)
    assert complaints_of_axe(page) == []
    page.get_by_role("button", name="Download as CSV").click()
    with page.expect_download() as saved:
        page.get_by_role("menuitem", name="Who used the GPUs, as CSV").click()
    lines = Path(saved.value.path()).read_text().splitlines()
    assert lines[0] == "by,name,gpu_hours,failed_gpu_hours,tasks,tries"
    assert any(line.startswith("user,alice,") for line in lines)
    other = chromium.new_context(viewport={"width": 390, "height": 844}, locale="zh-CN")
    try:
        fresh = other.new_page()
        fresh.goto(served.link)
        expect(fresh.get_by_text("实时", exact=True)).to_be_visible(timeout=30_000)
        fresh.goto(page.url)
        expect(fresh.get_by_role("button", name="1 天")).to_have_attribute("aria-pressed", "true")
        expect(fresh.get_by_role("heading", level=1)).to_contain_text("gpu1")
        assert complaints_of_axe(fresh) == []
    finally:
        other.close()


def test_a_day_is_chosen_by_its_name_and_another_after_it_and_back_is_the_week_again(
    page: Page, served: Served
) -> None:
    show(page, served, "ui/history")
    expect(page).to_have_title("History of all GPUs · gpu-queue")
    days = page.get_by_role("table", name="By day")
    names = days.get_by_role("link")
    expect(names).to_have_count(8)
    day, other = names.nth(2).inner_text(), names.nth(3).inner_text()
    for chosen in (day, other):
        days.get_by_role("link", name=chosen).click()
        expect(page.get_by_role("heading", level=1)).to_have_text(f"History of all GPUs{chosen}")
        expect(names).to_have_text([chosen])  # and what is counted is this day's alone
        expect(page.get_by_role("table", name="By user").get_by_role("row").nth(1)).to_be_visible()
        page.go_back()
        expect(names).to_have_count(8)
        expect(page).to_have_url(re.compile("/ui/history$"))


def test_a_drawer_that_is_closed_is_not_opened_again_by_back(page: Page, served: Served) -> None:
    show(page, served, "ui/state?state=all")
    expect(page).to_have_title("Tasks · gpu-queue")
    page.keyboard.press("g")
    page.keyboard.press("b")
    expect(page).to_have_title("Batches · gpu-queue")
    page.keyboard.press("n")
    drawer = page.get_by_role("dialog")
    expect(drawer).to_be_visible()
    page.keyboard.press("Escape")
    expect(drawer).to_have_count(0)
    expect(page).to_have_url(re.compile("/ui/batch$"))
    page.go_back()
    expect(page).to_have_url(re.compile("/ui/state"))
    expect(drawer).to_have_count(0)
    page.goto(f"{served.address}ui/batch?submit=1")  # an address that somebody was given
    expect(drawer).to_be_visible()
    page.keyboard.press("Escape")
    expect(page).to_have_url(re.compile("/ui/batch$"))


def test_what_failed_of_a_sweep_waits_again_and_is_taken_back(page: Page, served: Served) -> None:
    show(page, served, f"ui/batch?group={GROUP}")
    expect(page).to_have_url(re.compile(f"/ui/batch/{key_of_group(GROUP)}"))
    expect(page.get_by_role("heading", name=GROUP)).to_be_visible()
    table = page.get_by_role("table", name="Runs")
    page.get_by_role("button", name=re.compile(r"^\d+ failed$")).click()
    expect(page).to_have_url(re.compile("state=failed"))
    failed = table.get_by_role("row").filter(has_text="failed")
    count = failed.count()
    assert count > 0
    table.get_by_role("button", name="ran").click()
    expect(page).to_have_url(re.compile("sort=ran"))
    expect(table.get_by_role("columnheader", name="ran")).to_have_attribute("aria-sort", "ascending")
    assert complaints_of_axe(page) == []
    page.get_by_role("button", name=f"Retry {count} failed").click()
    expect(page.get_by_role("button", name=re.compile(f"^{count} waiting$"))).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("button", name=re.compile(f"^{count} failed$|^{count} cancelled$"))).to_be_visible()


@pytest.mark.long
def test_a_task_knows_its_place_and_a_command_file_its_commands(page: Page, served: Served) -> None:
    show(page, served, f"ui/batch?file={COMMAND_FILE}")
    expect(page.get_by_role("heading", name="command_gpu.txt")).to_be_visible()
    table = page.get_by_role("table", name="Runs")
    expect(table.get_by_role("columnheader", name="command")).to_be_visible()
    table.get_by_role("link").first.click()
    expect(page.get_by_role("link", name=re.compile(r"part of command_gpu.txt, \d+ of \d+"))).to_be_visible()
    page.keyboard.press("g")
    page.keyboard.press("h")
    expect(page.get_by_role("heading", name="History of all GPUs")).to_be_visible()
    page.keyboard.press("g")
    page.keyboard.press("b")
    expect(page.get_by_role("link", name=GROUP)).to_be_visible()
    assert complaints_of_axe(page) == []
