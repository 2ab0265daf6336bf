"""The page of job files in a browser, over a real agent: one queue and one console for all of it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from gpu_queue.task import State
from tests.agent.harness import Cluster, a_cluster, wait_until
from tests.console.browser.conftest import Complaints
from tests.console.browser.test_tasks_page import complaints_of_axe
from tests.console.served import Served, a_console

HOSTILE = "<img src=x onerror=alert(1)>"
MISTAKE = """# two queues
1
sleep 600
1
1

1
echo second
1
1

2
echo other
2x
1
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A queue `exp` that an agent with two GPUs serves."""
    with a_cluster(tmp_path_factory.mktemp("files")) as cluster:
        cluster.start(simulate="2")
        yield cluster


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, cluster: Cluster) -> Iterator[Served]:
    with a_console(tmp_path_factory.mktemp("console"), queue_root=cluster.queue_root) as console:
        yield console


@pytest.fixture(autouse=True)
def no_files(cluster: Cluster) -> Iterator[None]:
    """Each test begins with no file."""
    yield
    for one in files_of(cluster).iterdir():
        if one.is_file():
            one.unlink()


def files_of(cluster: Cluster) -> Path:
    made = Path(cluster.queue_root) / "exp" / "jobfiles"
    with contextlib.suppress(FileExistsError):
        made.mkdir(mode=0o700)
    return made


def write(cluster: Cluster, name: str, text: str) -> Path:
    path = files_of(cluster) / name
    path.write_text(text)
    return path


def show(page: Page, served: Served, path: str = "ui/command") -> None:
    expect(page.locator("[data-way=live]")).to_be_visible()  # the token was traded for the cookie before
    page.goto(f"{served.address}{path}")


def editor(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Text of ")


def paste(page: Page, text: str) -> None:
    """Where the cursor is."""
    editor(page).evaluate(
        """(element, text) => {
            const clipboardData = new DataTransfer();
            clipboardData.setData("text/plain", text);
            element.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
        }""",
        text,
    )


def test_a_file_with_a_mistake_is_mended_loaded_stopped_and_deleted(
    page: Page, served: Served, cluster: Cluster, complaints: Complaints
) -> None:
    complaints.expected = ("422",)  # of a log that is not there
    show(page, served)
    page.get_by_role("button", name="New").click()
    page.get_by_role("menuitem", name="Command file, several GPUs a task").click()
    expect(editor(page)).to_contain_text("first task of queue 1")
    editor(page).press("ControlOrMeta+a")
    paste(page, MISTAKE)
    problems = page.get_by_role("list", name="Problems")
    expect(problems).to_contain_text("line 15")
    expect(page.locator(".cm-lint-marker-error")).to_have_count(1)
    load = page.get_by_role("button", name="load 2 tasks …")
    expect(load).to_be_disabled()
    problems.get_by_role("button").click()
    expect(editor(page)).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("End")
    page.keyboard.press("Backspace")
    run = page.get_by_role("region", name="Dry run")
    expect(run).to_contain_text("3 tasks · 2 queues")
    expect(run.get_by_role("listitem").filter(has_text="echo other")).to_have_attribute("aria-current", "true")
    run.get_by_role("button", name="echo second").click()
    expect(page.locator(".cm-marked")).to_have_count(4)
    expect(page.locator(".cm-marked").nth(1)).to_have_text("echo second")

    page.get_by_role("button", name="Save, load 3 tasks …").click()
    dialog = page.get_by_role("dialog", name="Load command_gpus.txt?")
    expect(dialog.get_by_role("button", name="Not yet")).to_be_focused()
    expect(dialog).to_contain_text("3 new")
    expect(dialog).to_contain_text(f"commands run in {served.home}")
    assert complaints_of_axe(page) == []
    assert (files_of(cluster) / "command_gpus.txt").read_text() == MISTAKE.replace("2x", "2")
    dialog.get_by_role("button", name="Load 3 tasks").click()
    expect(page.get_by_text("3 tasks were loaded")).to_be_visible()
    file = page.get_by_role("navigation", name="Job files").get_by_role("link", name="command_gpus.txt")
    expect(file.get_by_role("img", name="running")).to_be_visible(timeout=20_000)

    run.get_by_role("button", name="bind log (to task 1)").first.click()
    page.get_by_label("Path of the file").fill("no.log")
    page.get_by_role("button", name="Bind it").click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("no.log")
    (Path(cluster.queue_root) / "exp" / "logs" / "mine.log").write_text("bound\n")
    page.get_by_label("Path of the file").fill("mine.log")
    page.get_by_role("button", name="Bind it").click()
    expect(run.get_by_role("link", name="mine.log")).to_have_attribute("href", re.compile("source=bound"))
    assert complaints_of_axe(page) == []

    page.get_by_role("button", name=re.compile("Stop . tasks? …")).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("command_gpus")
    dialog.get_by_role("button", name=re.compile("^Stop 1")).click()
    expect(file.get_by_role("img", name="running")).to_have_count(0, timeout=20_000)

    page.get_by_role("button", name="More actions").click()
    page.get_by_role("menuitem", name="Delete …").click()
    dialog = page.get_by_role("dialog", name="Delete command_gpus.txt?")
    expect(dialog.get_by_role("button", name="Keep it")).to_be_focused()
    dialog.get_by_role("button", name="Delete command_gpus.txt").click()
    expect(file).to_have_count(0)
    page.get_by_role("button", name="Undo").last.click()
    expect(editor(page)).to_contain_text("echo second")


def test_who_saves_over_the_change_of_another_sees_it_first(
    page: Page, served: Served, cluster: Cluster, complaints: Complaints
) -> None:
    complaints.expected = ("412",)
    path = write(cluster, "command_gpu.txt", "echo a\n1,1\n\necho b\n1,1\n")
    show(page, served, "ui/command/single/0")
    editor(page).press("ControlOrMeta+End")
    paste(page, "\necho mine\n1,1\n")
    path.write_text("echo theirs\n1,1\n\necho b\n1,1\n")
    page.keyboard.press("ControlOrMeta+s")
    dialog = page.get_by_role("dialog", name="command_gpu.txt was changed meanwhile")
    expect(dialog.get_by_role("button", name="Neither yet")).to_be_focused()
    changed = dialog.get_by_role("region", name="What they changed")
    expect(changed).to_contain_text("echo theirs")
    expect(changed).not_to_contain_text("echo mine")
    dialog.get_by_role("tab", name="What Keep mine changes").click()
    expect(dialog.get_by_role("region", name="What Keep mine changes")).to_contain_text("echo mine")
    assert complaints_of_axe(page) == []
    dialog.get_by_role("button", name="Take theirs").click()
    expect(editor(page)).to_contain_text("echo theirs")
    expect(editor(page)).not_to_contain_text("echo mine")
    editor(page).press("ControlOrMeta+z")
    expect(editor(page)).to_contain_text("echo mine")
    page.keyboard.press("ControlOrMeta+s")
    expect(page.get_by_text("Saved", exact=True)).to_be_visible()
    assert path.read_text() == "echo a\n1,1\n\necho b\n1,1\n\necho mine\n1,1\n"


def test_what_is_hostile_is_shown_as_it_is(page: Page, served: Served, cluster: Cluster) -> None:
    write(cluster, "command_gpus.txt", f"echo '{HOSTILE}'\n1,1,1\n\n{HOSTILE}\n\u202e,\x07 2\n")
    write(cluster, f"{HOSTILE[5:9]}{{0}}\u202egpj.yaml", f"jobs: {{'{HOSTILE}': {{run: '{HOSTILE}'}}}}\n")
    show(page, served, "ui/command/multi/0")
    run = page.get_by_role("region", name="Dry run")
    expect(run).to_contain_text(f"echo '{HOSTILE}'")
    problems = page.get_by_role("list", name="Problems")
    expect(problems).to_contain_text("line 5")
    expect(editor(page)).to_be_visible()  # it comes after the page
    problems.get_by_role("button").first.click()
    expect(editor(page)).to_be_focused()
    page.get_by_role("navigation", name="Job files").get_by_role("link").last.click()
    expect(editor(page)).to_contain_text(HOSTILE)
    expect(page.locator("img")).to_have_count(0)


@pytest.mark.parametrize(
    ("theme", "width", "language"),
    [("dark", 1440, "en"), *(pytest.param(*one, marks=pytest.mark.long) for one in (("light", 390, "zh"),))],
)
def test_nothing_on_the_page_is_out_of_reach(
    served: Served, cluster: Cluster, context: BrowserContext, theme: str, width: int, language: str
) -> None:
    write(cluster, "command_gpus.txt", MISTAKE)
    page = context.new_page()
    page.set_viewport_size({"width": width, "height": 900})
    page.add_init_script(
        f"localStorage.setItem('gpuq.theme', '{theme}'); localStorage.setItem('gpuq.language', '{language}')"
    )
    page.goto(served.link)
    show(page, served)
    expect(page.get_by_text("command_gpus.txt")).to_be_visible()
    assert complaints_of_axe(page) == []
    page.goto(f"{served.address}ui/command/multi/0")
    expect(page.locator(".cm-lint-marker-error")).to_be_visible()
    assert complaints_of_axe(page) == []
    if width < 1100:
        page.get_by_role("tab").last.click()
        expect(page.locator("code", has_text="echo second")).to_be_visible()
        assert complaints_of_axe(page) == []


@pytest.mark.long
def test_changes_that_are_left_are_kept_and_asked_for(page: Page, served: Served, cluster: Cluster) -> None:
    write(cluster, "command_gpu.txt", "echo a\n1,1\n")
    show(page, served, "ui/command/single/0")
    editor(page).press("ControlOrMeta+End")
    paste(page, "\necho left\n1,1\n")
    expect(page.get_by_role("heading", name="Configuration 1")).to_contain_text("not saved")
    page.get_by_role("link", name="Tasks", exact=True).click()
    expect(page.get_by_role("heading", name="Tasks")).to_be_visible()
    page.get_by_role("link", name="Job files", exact=True).click()
    page.get_by_role("link", name="command_gpu.txt").click()
    expect(editor(page)).to_contain_text("echo left")
    expect(page.get_by_text("Go on with them?")).to_be_visible()
    page.get_by_role("button", name="Throw them away").click()
    expect(editor(page)).not_to_contain_text("echo left")


@pytest.mark.long
def test_keys_alone_reach_the_editor_and_leave_it(page: Page, served: Served, cluster: Cluster) -> None:
    write(cluster, "sweep.yaml", "jobs:\n  a:\n    run: echo a\n")
    show(page, served)
    expect(page.get_by_text("sweep.yaml")).to_be_visible()
    page.keyboard.press("g")
    page.keyboard.press("c")
    page.get_by_role("link", name="sweep").focus()
    page.keyboard.press("Enter")
    expect(editor(page)).to_be_visible()
    editor(page).focus()
    page.keyboard.press("ControlOrMeta+f")
    expect(page.get_by_role("textbox", name="Find")).to_be_focused()
    page.keyboard.press("Escape")
    expect(editor(page)).to_be_focused()
    page.keyboard.press("Tab")
    expect(editor(page)).not_to_be_focused()
    page.keyboard.press("Shift+Tab")
    expect(editor(page)).to_be_focused()
    page.keyboard.press("ControlOrMeta+End")
    paste(page, "  b:\n    run: echo b\n")
    expect(page.get_by_role("region", name="Dry run")).to_contain_text("2 tasks")
    page.keyboard.press("ControlOrMeta+s")
    expect(page.get_by_text("Saved", exact=True)).to_be_visible()


def test_a_load_is_undone_while_it_waits_and_what_is_done_is_loaded_once_more(
    page: Page, served: Served, cluster: Cluster
) -> None:
    write(cluster, "command_gpus_5.txt", "1\necho waits for nine\n9\n1\n")
    write(cluster, "command_gpu_5.txt", "echo quick\n1,1\n")
    spool = served.spool()
    show(page, served, "ui/command/multi/5")
    page.get_by_role("button", name="Load 1 task …").click()
    page.get_by_role("dialog").get_by_role("button", name="Load 1 task").click()
    expect(page.get_by_text("1 task was loaded")).to_be_visible()
    (waiting,) = spool.find("command_gpus_5", State.PENDING)
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Undone", exact=True)).to_be_visible()
    assert [task.id for task in spool.find("command_gpus_5", State.FAILED)] == [waiting.id]

    page.goto(f"{served.address}ui/command/single/5")
    page.get_by_role("button", name="Load 1 task …").click()
    page.get_by_role("dialog").get_by_role("button", name="Load 1 task").click()
    wait_until(lambda: len(spool.find("command_gpu_5-1", State.DONE)) == 1, "it to be done")
    page.get_by_role("button", name="Load 1 task …").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("1 done")
    expect(dialog.get_by_role("button", name="Load")).to_have_count(0)
    dialog.get_by_label("Once more").check()
    expect(dialog).to_contain_text("1 once more")
    dialog.get_by_role("button", name="Load 1 task").click()
    expect(page.get_by_text("1 task was loaded")).to_be_visible()
    wait_until(lambda: len(spool.find("command_gpu_5-1", State.DONE)) == 2, "both loads of it done")

    page.get_by_role("link", name="what became of its tasks").click()
    expect(page.get_by_role("heading", name="command_gpu_5.txt")).to_be_visible()
    expect(page.get_by_role("table", name="Runs").get_by_role("row")).to_have_count(2)  # the head, and its last task


def test_a_link_with_another_token_says_so_and_the_right_one_opens_the_page(
    context: BrowserContext, served: Served, complaints: Complaints
) -> None:
    complaints.expected = ("401", "403")
    page = context.new_page()
    page.goto(f"{served.address}ui/command#token={'w' * 43}")
    expect(page.get_by_role("alert").filter(has_text="another token")).to_be_visible(timeout=20_000)
    assert "#" not in page.url
    page.get_by_label("Token", exact=True).fill(served.token)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Job files")).to_be_visible()
