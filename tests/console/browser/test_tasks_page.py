"""The Tasks page, its plans, the submit drawer and the settings, in a browser over a real queue."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from gpu_queue.spool.desk.publishing import Script
from tests.agent.harness import ROOT
from tests.code.builders import git, repository
from tests.console.served import Served

AXE = ROOT / "gpu_queue" / "console" / "web" / "node_modules" / "axe-core" / "axe.min.js"
HOSTILE = "<img src=x onerror=alert(1)>.sh"


def fill(served: Served, count: int) -> None:
    scripts = [Script(f"t{number}.sh", f"echo {number}\n") for number in range(count)]
    served.spool().publish(scripts)


def show(page: Page, served: Served, path: str) -> None:
    expect(page.get_by_text("live", exact=True)).to_be_visible()  # the token was traded for the cookie before
    page.goto(f"{served.address}{path}{'&' if '?' in path else '?'}job=exp")


def rows(page: Page) -> Any:
    return page.get_by_role("grid").locator('[role="row"][id]')


def complaints_of_axe(page: Page) -> list[str]:
    if not AXE.exists():
        pytest.skip("axe-core was not installed: make console")
    page.context.new_cdp_session(page).send("Runtime.evaluate", {"expression": AXE.read_text()})
    return list(
        page.evaluate(
            "async () => (await axe.run()).violations"
            ".flatMap((one) => one.nodes.map((node) => `${one.id}: ${node.html}`))"
        )
    )


def test_a_pasted_script_is_read_submitted_and_taken_back(page: Page, served: Served) -> None:
    fill(served, 1)
    show(page, served, "ui/state?submit=1")
    page.get_by_label("Script", exact=True).fill("#!/bin/bash\n#GPUQ --gpus 2 --time 4h\necho 1\n")
    needs = page.get_by_role("list", name="What it asks for")
    expect(needs).to_contain_text("GPUs 2 line 2")
    expect(page.get_by_role("dialog")).to_contain_text("1 task at priority 500 in exp.")
    assert complaints_of_axe(page) == []
    page.get_by_role("button", name="Submit", exact=True).click()
    expect(page.get_by_text("script.sh was submitted")).to_be_visible()
    expect(rows(page)).to_have_count(2)
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Undone: 1 task was cancelled")).to_be_visible()
    expect(rows(page)).to_have_count(1)


def test_dropped_files_are_submitted_whatever_they_are_called(page: Page, served: Served) -> None:
    fill(served, 1)
    show(page, served, "ui/state?submit=1")
    page.get_by_label("Script", exact=True).wait_for()
    names = [HOSTILE, "b.sh"]
    files = page.evaluate_handle(
        f"""() => {{ const all = new DataTransfer();
        for (const name of {json.dumps(names)}) all.items.add(new File(["echo 1\\n"], name)); return all; }}"""
    )
    page.locator("#submit-text").dispatch_event("drop", {"dataTransfer": files})
    expect(page.get_by_role("list", name="Scripts").locator("strong[title]")).to_have_text(names)
    expect(page.get_by_role("dialog")).to_contain_text("2 tasks at priority 500")
    page.get_by_role("button", name="Submit", exact=True).click()
    expect(page.get_by_text("2 tasks were submitted")).to_be_visible()
    expect(rows(page)).to_have_count(3)


def test_many_are_cancelled_after_a_question_and_wait_again_after_undo(page: Page, served: Served) -> None:
    fill(served, 30)
    show(page, served, "ui/state")
    rows(page).first.get_by_role("checkbox").click()
    page.get_by_role("button", name="Select all 30 that match").click()
    page.get_by_role("button", name="Stop and cancel").click()
    dialog = page.get_by_role("dialog", name="Cancel 30 tasks?")
    expect(dialog).to_contain_text("30 waiting tasks go to failed.")
    expect(dialog.get_by_role("button", name="Keep them")).to_be_focused()
    assert complaints_of_axe(page) == []
    dialog.get_by_role("button", name="Cancel 30").click()
    expect(page.get_by_text("30 tasks were cancelled")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Undone: 30 tasks wait again")).to_be_visible()


def test_keys_alone_select_and_change_priorities(page: Page, served: Served) -> None:
    fill(served, 3)
    show(page, served, "ui/state")
    expect(rows(page)).to_have_count(3)
    page.keyboard.press("j")
    page.keyboard.press("x")
    page.keyboard.press("j")
    page.keyboard.press("X")
    expect(page.get_by_text("2 selected")).to_be_visible()
    page.keyboard.press("p")
    page.get_by_label("Priority, 0 to 999").fill("7")
    page.keyboard.press("Enter")
    expect(page.get_by_text("2 tasks have priority 7")).to_be_visible()
    expect(rows(page).filter(has_text="7")).not_to_have_count(0)


def test_the_pages_speak_chinese_and_readers_find_nothing_wrong(page: Page, served: Served) -> None:
    fill(served, 3)
    show(page, served, "ui/setting")
    assert complaints_of_axe(page) == []
    page.get_by_label("Language").select_option("zh")
    expect(page.get_by_role("heading", name="设置")).to_be_visible()
    page.goto(f"{served.address}ui/state?job=exp")
    expect(page.get_by_role("tab", name="等待中")).to_be_visible()
    expect(page.get_by_text("3 个任务")).to_be_visible()
    assert complaints_of_axe(page) == []


def test_tasks_of_a_queue_are_a_group_with_their_counts_and_a_list_of_their_own(page: Page, served: Served) -> None:
    served.spool().publish([Script(f"car{number}.sh", "#GPUQ --queue car\n") for number in range(60)])
    fill(served, 2)
    show(page, served, "ui/state?group=queue&state=all")
    car, none = page.locator("details").first, page.locator("details").last
    expect(car.locator("summary")).to_contain_text("car")
    expect(car.locator("summary")).to_contain_text("60 waiting")
    expect(none.locator("summary")).to_contain_text("no queue")
    expect(none.get_by_role("listitem")).to_have_count(2)
    assert complaints_of_axe(page) == []
    car.get_by_role("link", name="and 10 more").click()
    expect(page).to_have_url(re.compile("queue=car"))
    expect(page.get_by_text("60 tasks")).to_be_visible()


def test_of_three_people_s_tasks_one_s_are_chosen_and_cancelled_by_keys(
    page: Page, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    for user, count in (("alice", 3), ("bo", 2), ("李雷", 1)):
        monkeypatch.setenv("USER", user)
        served.spool().publish([Script(f"{user}{number}.sh", "true\n") for number in range(count)])
    show(page, served, "ui/state")
    expect(rows(page)).to_have_count(6)
    page.get_by_role("button", name="user: any").click()
    page.get_by_role("menuitem", name="bo", exact=True).click()
    expect(rows(page)).to_have_count(2)
    expect(rows(page).first).to_contain_text("bo0.shbo waiting")
    assert "user=bo" in page.url
    page.get_by_role("grid").focus()
    page.keyboard.press("Control+a")
    expect(page.get_by_text("all 2 selected")).to_be_visible()
    expect(page.get_by_label("select all that match")).to_be_checked()
    page.get_by_role("button", name="Stop and cancel").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel 2").click()
    expect(page.get_by_text("2 tasks were cancelled")).to_be_visible()
    expect(page.get_by_text("No task matches.")).to_be_visible()
    page.get_by_role("tab", name="Failed").click()
    expect(rows(page)).to_have_count(2)
    expect(rows(page).first).to_contain_text("cancelled")
    page.get_by_role("button", name="ended: any time").click()
    page.get_by_role("menuitem", name="8 hours").click()
    expect(page.get_by_text("No task matches.")).to_be_visible()  # nobody tells when a person took it away
    page.get_by_role("button", name="Clear the filter").click()
    expect(rows(page)).to_have_count(2)


def test_a_script_is_shown_with_the_code_that_it_was_submitted_with(
    page: Page, served: Served, tmp_path: Path
) -> None:
    here = repository(tmp_path / "project", train_dot_py="print(1)\n")
    (here / "train.sh").write_text("#!/bin/bash\n#GPUQ --notify ops:failed\npython train.py\n")
    (task,) = served.spool().publish([here / "train.sh"], cwd=str(here), snapshot=True)
    show(page, served, f"ui/state/{task.id}?tab=script")
    shown = page.get_by_role("tabpanel")
    expect(shown).to_contain_text(f"commit {git(here, 'rev-parse', 'HEAD')[:12]} (changed since)")
    expect(shown).to_contain_text(
        re.compile(rf"runs in a copy of snapshot [0-9a-f]{{12}} \({re.escape(str(here))}\)")
    )
    expect(shown.get_by_text("notify ops:failed", exact=True)).to_be_visible()  # what it asks for, at the line's end
    assert complaints_of_axe(page) == []
