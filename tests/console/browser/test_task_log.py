"""A task's log in a browser, over a real agent: what is printed, searched, jumped to, and what happens meanwhile."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.agent.harness import Cluster, a_cluster, wait_until
from tests.console.browser.conftest import Complaints
from tests.console.browser.test_gpus_page import AXE
from tests.console.served import Served, a_console
from tests.console.stage.logs import RARE, hostile, steps, traceback

HANGING = """
import os, time

def late(call):
    def wrapped(*arguments, **named):
        while os.path.exists({mark!r}) and arguments and {root!r} in os.fsdecode(arguments[0] or b"."):
            time.sleep(0.01)
        return call(*arguments, **named)
    return wrapped

for name in ("open", "listdir", "scandir", "lstat"):
    setattr(os, name, late(getattr(os, name)))
"""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A queue `exp`, served by one agent with two simulated GPUs."""
    with a_cluster(tmp_path) as cluster:
        cluster.start(simulate="2")
        yield cluster


@pytest.fixture
def hang(tmp_path: Path) -> Path:
    """While this file is there, the console's storage does not answer."""
    return tmp_path / "hang"


@pytest.fixture
def served(tmp_path: Path, cluster: Cluster, hang: Path) -> Iterator[Served]:
    base = tmp_path / "console"
    base.mkdir()
    hanging = HANGING.format(mark=str(hang), root=str(cluster.queue_root))
    with a_console(base, queue_root=cluster.queue_root, before=hanging) as console:
        yield console


def open_task(page: Page, served: Served, task_id: str, search: str = "") -> Locator:
    """The page of a task; its log.  The page before it has taken the token by then."""
    expect(page.locator("[data-way=live]")).to_be_visible()
    page.goto(f"{served.address}ui/state/{task_id}{search}")
    return page.get_by_role("log")


def with_log(cluster: Cluster, served: Served, content: bytes) -> str:
    """A task that failed, whose log is this."""
    task_id = cluster.submit("exit 1\n", "sft.sh", gpus=1)
    cluster.wait_for(task_id, "failed")
    address = f"/api/v1/spools/exp/tasks/{task_id}"
    wait_until(lambda: served.ask("GET", address).status_code == 200, "the console to know it")
    [log] = Path(cluster.paths.root, "logs").glob(f"{task_id}*.log")
    log.write_bytes(content)
    return task_id


def gated(cluster: Cluster, *parts: str) -> tuple[str, list[Path]]:
    """A running task that prints a part whenever its gate is opened, and ends behind the last."""
    gates = [cluster.base / f"gate {number}" for number in range(len(parts))]
    lines = []
    for gate, part in zip(gates, parts, strict=True):
        lines += [f"while [ ! -e '{gate}' ]; do sleep 0.02; done", part]
    return cluster.submit("\n".join(lines) + "\n", "train.sh", gpus=1), gates


def test_what_a_task_prints_is_followed_until_it_ends(cluster: Cluster, served: Served, page: Page) -> None:
    task_id, gates = gated(cluster, "seq -f 'line %g' 1 500", "printf 'one \\033[31mred\\033[0m word\\n'", "exit 3")
    cluster.wait_for(task_id, "running")
    log = open_task(page, served, task_id)
    expect(log.get_by_text(re.compile("==== task train.sh"))).to_be_visible()
    gates[0].touch()
    expect(log.get_by_text("line 500", exact=True)).to_be_in_viewport()
    expect(page.get_by_role("button", name="Following")).to_be_visible()
    gates[1].touch()
    expect(log.get_by_text("red", exact=True)).to_be_in_viewport()
    assert log.get_by_text("red", exact=True).evaluate("one => getComputedStyle(one).color") in (
        "rgb(243, 132, 144)",
        "rgb(192, 31, 85)",
    )
    gates[2].touch()
    expect(page.get_by_text(re.compile(r"failed\(3\) after"))).to_be_visible()
    expect(page.get_by_role("main").get_by_role("button", name="Run again")).to_be_visible()
    expect(page.get_by_text("506 lines")).to_be_visible()


@pytest.mark.long
def test_scrolling_up_ends_following_and_the_end_begins_it_anew(cluster: Cluster, served: Served, page: Page) -> None:
    task_id, gates = gated(cluster, "seq -f 'line %g' 1 500", "seq -f 'more %g' 1 20", "sleep 600")
    gates[0].touch()
    log = open_task(page, served, task_id)
    expect(log.get_by_text("line 500", exact=True)).to_be_in_viewport()
    log.hover()
    page.mouse.wheel(0, -3000)
    expect(page.get_by_role("button", name="Follow", exact=True)).to_be_visible()
    expect(log.get_by_text("line 310", exact=True)).to_be_in_viewport()
    top = log.evaluate("one => one.scrollTop")
    gates[1].touch()
    cluster.wait_for_line(task_id, "more 20")
    assert log.evaluate("one => one.scrollTop") == top
    page.keyboard.press("f")
    expect(log.get_by_text("more 20", exact=True)).to_be_in_viewport()
    expect(page.get_by_role("button", name="Following")).to_be_visible()


@pytest.mark.long
def test_a_progress_bar_shows_its_last_state_while_it_moves(cluster: Cluster, served: Served, page: Page) -> None:
    first = "for i in $(seq 1 60); do printf '\\rstep %d of 100' $i; done"
    task_id, gates = gated(
        cluster, first, "printf '\\rstep 61 of 100'", "printf '\\rstep 100 of 100\\ndone\\n'", "sleep 600"
    )
    gates[0].touch()
    log = open_task(page, served, task_id)
    row = log.locator("[data-o]").filter(has_text="of 100")
    expect(row).to_contain_text("step 60 of 100")
    expect(row).not_to_contain_text("step 59")
    gates[1].touch()
    expect(row).to_contain_text("step 61 of 100")
    gates[2].touch()
    expect(row).to_contain_text("step 100 of 100")
    expect(log.get_by_text("done", exact=True)).to_be_visible()
    row.get_by_role("button", name="61 updates").click()
    expect(row).to_contain_text("step 59 of 100")
    expect(row).to_contain_text("step 100 of 100")


def test_a_search_counts_in_the_whole_file_and_goes_from_hit_to_hit(
    cluster: Cluster, served: Served, page: Page
) -> None:
    task_id = with_log(cluster, served, steps(1, 30_000) + traceback() + steps(30_001, 30_000))
    log = open_task(page, served, task_id)
    expect(log.get_by_text("60000", exact=True)).to_be_in_viewport()
    page.keyboard.press("/")
    page.keyboard.type("outofmemory")
    expect(page.get_by_text("1 found")).to_be_visible()
    page.keyboard.press("Enter")
    expect(log.locator("mark").first).to_be_in_viewport()
    expect(log.locator("mark")).to_have_text("OutOfMemory")
    page.get_by_role("searchbox").fill("OUTOFMEMORY")
    expect(page.get_by_text("0 found")).to_be_visible()
    page.get_by_role("searchbox").fill("checkpoint|warning")
    expect(page.get_by_text("5,150 found")).to_be_visible()
    page.keyboard.press("Enter")
    expect(log.locator("mark").first).to_be_visible()
    page.get_by_role("searchbox").press("Escape")
    expect(log).to_be_focused()


@pytest.mark.long
def test_any_byte_is_reached_and_a_line_has_an_address(cluster: Cluster, served: Served, page: Page) -> None:
    content = steps(1, 60_000)
    task_id = with_log(cluster, served, content)
    log = open_task(page, served, task_id)
    expect(log.get_by_text("60000", exact=True)).to_be_in_viewport()
    page.keyboard.press("Home")
    expect(log.get_by_text("1", exact=True).first).to_be_in_viewport()
    box = page.locator("[data-rail]").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 5, box["y"] + box["height"] / 2)
    middle = len(content) // 2

    def shown() -> bool:
        offsets = log.locator("[data-o]").evaluate_all("all => all.map(one => Number(one.dataset.o))")
        return bool(offsets) and min(offsets) < middle < max(offsets)

    wait_until(shown, "the middle of the log")
    number = content[:middle].count(b"\n") + 1
    link = page.get_by_role("link", name=f"line {number:,}", exact=True)
    expect(link).to_be_in_viewport()
    link.click()
    expect(page).to_have_url(re.compile("[?&]at="))
    address = page.url
    other = page.context.new_page()
    other.goto(address)
    expect(other.get_by_role("link", name=f"line {number:,}", exact=True)).to_be_in_viewport()
    log.focus()
    page.keyboard.press("End")
    expect(log.get_by_text("60000", exact=True)).to_be_in_viewport()


@pytest.mark.long
def test_scrolling_through_keeps_what_is_read_in_its_place(cluster: Cluster, served: Served, page: Page) -> None:
    content = steps(1, 20_000)
    task_id = with_log(cluster, served, content)
    log = open_task(page, served, task_id)
    expect(log.get_by_text("20000", exact=True)).to_be_in_viewport()
    log.hover()
    top = """box => {
        const at = box.getBoundingClientRect().top;
        const rows = [...box.querySelectorAll('[data-o]')];
        return Number(rows.find(one => one.getBoundingClientRect().bottom > at).dataset.o);
    }"""
    seen = [log.evaluate(top)]
    for direction in (-1, 1):
        for _ in range(36):
            page.mouse.wheel(0, direction * 1800)
            page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
            seen.append(log.evaluate(top))
            rows = log.locator("[data-o]").count()
            assert rows <= 3000
        steps_ = [after - before for before, after in pairwise(seen)]
        assert all(one * direction >= 0 for one in steps_), "what is read moved against the wheel"
        assert max(abs(one) for one in steps_) < 60_000, "rows were jumped over"
        seen = seen[-1:]
    offsets = log.locator("[data-o]").evaluate_all("all => all.map(one => Number(one.dataset.o))")
    starts = [0]
    for line in content.split(b"\n"):
        starts.append(starts[-1] + len(line) + 1)
    first = starts.index(offsets[0])
    assert offsets == starts[first : first + len(offsets)], "rows are missing between windows"


def test_a_hostile_log_does_nothing(cluster: Cluster, served: Served, page: Page) -> None:
    task_id = with_log(cluster, served, hostile())
    log = open_task(page, served, task_id, "?at=0")
    expect(log.get_by_text("<script>document.title='ran'</script>")).to_be_visible()
    expect(log.get_by_text("click me and on")).to_be_visible()
    expect(log.get_by_text("after moves")).to_be_visible()
    expect(log.get_by_text("bidi ·gnp.exe· ·isolate· mark· line·separator")).to_be_visible()
    assert log.locator("a:not([aria-label]), img, script").count() == 0
    long = log.locator("[data-o]").filter(has_text="wwwwww")
    expect(long.get_by_role("button", name="83.6 kB more")).to_have_count(1)
    log.focus()
    page.keyboard.press("End")
    expect(log.get_by_text("the last line")).to_be_in_viewport()
    assert "ran" not in page.title()
    assert page.evaluate("[...document.fonts].length") == 0


@pytest.mark.long
def test_what_is_selected_and_copied_is_the_text_alone(cluster: Cluster, served: Served, page: Page) -> None:
    task_id = with_log(cluster, served, b"first\n\x1b[32msecond\x1b[0m row\nthird\n")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    log = open_task(page, served, task_id)
    expect(log.get_by_text("third")).to_be_visible()
    log.evaluate("one => getSelection().selectAllChildren(one)")
    page.keyboard.press("Control+c")
    assert page.evaluate("navigator.clipboard.readText()").split("\n")[:3] == ["first", "second row", "third"]


def test_a_task_is_stopped_from_its_page(cluster: Cluster, served: Served, page: Page) -> None:
    task_id, gates = gated(cluster, "echo begun", "true")
    gates[0].touch()
    log = open_task(page, served, task_id)
    expect(log.get_by_text("begun")).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("dialog").get_by_role("button", name="Stop 1").click()
    expect(page.get_by_role("main").get_by_role("button", name="Run again")).to_be_visible()
    cluster.wait_for(task_id, "failed")


@pytest.mark.long
def test_a_task_whose_agent_is_killed_is_seen_through_its_next_agent(
    cluster: Cluster, served: Served, page: Page
) -> None:
    task_id, gates = gated(cluster, "echo begun", "echo after", "exit 0")
    gates[0].touch()
    log = open_task(page, served, task_id)
    expect(log.get_by_text("begun")).to_be_visible()
    cluster.kill(cluster.agents[0])
    gates[1].touch()
    expect(log.get_by_text("after")).to_be_visible()
    cluster.start(simulate="2")
    gates[2].touch()
    expect(page.get_by_role("main").get_by_role("button", name="Run again")).to_be_visible(timeout=40_000)


def test_a_console_that_was_killed_is_back_without_a_hand(
    cluster: Cluster, served: Served, page: Page, complaints: Complaints, tmp_path: Path
) -> None:
    complaints.expected = ("Failed to load resource", "ERR_")
    task_id, gates = gated(cluster, "seq -f 'line %g' 1 300", "echo meanwhile", "echo afterwards", "sleep 600")
    gates[0].touch()
    log = open_task(page, served, task_id)
    expect(log.get_by_text("line 300", exact=True)).to_be_in_viewport()
    port = served.port
    served.process.kill()
    served.process.wait()
    gates[1].touch()
    cluster.wait_for_line(task_id, "meanwhile")
    expect(log.get_by_text("line 300", exact=True)).to_be_in_viewport()
    with a_console(tmp_path / "console", "--port", str(port), queue_root=cluster.queue_root):
        expect(log.get_by_text("meanwhile")).to_be_in_viewport(timeout=30_000)
        gates[2].touch()
        expect(log.get_by_text("afterwards")).to_be_in_viewport()
        expect(log.get_by_text("line 300", exact=True)).to_have_count(1)
        page.close()


def test_storage_that_hangs_is_waited_for(
    cluster: Cluster, served: Served, page: Page, hang: Path, complaints: Complaints
) -> None:
    complaints.expected = ("Failed to load resource",)
    task_id, gates = gated(cluster, "echo begun", "echo meanwhile", "sleep 600")
    gates[0].touch()
    log = open_task(page, served, task_id)
    expect(log.get_by_text("begun")).to_be_visible()
    hang.touch()
    gates[1].touch()
    expect(page.get_by_text(re.compile("has not answered for"))).to_be_visible(timeout=40_000)
    expect(log.get_by_text("begun")).to_be_visible()
    hang.unlink()
    expect(log.get_by_text("meanwhile")).to_be_visible(timeout=30_000)
    expect(page.get_by_text(re.compile("has not answered for"))).to_have_count(0)


@pytest.mark.parametrize("change", ["cut", pytest.param("replaced", marks=pytest.mark.long), "gone"])
def test_what_becomes_of_the_file_is_told(
    cluster: Cluster, served: Served, page: Page, complaints: Complaints, change: str
) -> None:
    complaints.expected = ("404",)  # where it is asked for while it is not there
    task_id, gates = gated(cluster, "seq -f 'line %g' 1 50", "sleep 600")
    gates[0].touch()
    log = open_task(page, served, task_id)
    expect(log.get_by_text("line 50", exact=True)).to_be_visible()
    [path] = Path(cluster.paths.root, "logs").glob(f"{task_id}*.log")
    if change == "cut":
        path.write_text("anew\n")
        expect(page.get_by_text("The file was cut; it was read anew.")).to_be_visible()
        expect(log.get_by_text("anew", exact=True)).to_be_visible()
    elif change == "replaced":
        other = path.with_suffix(".other")
        other.write_text("another file " * 40 + "\n")
        other.rename(path)
        expect(page.get_by_text("Another file took its place; it was read anew.")).to_be_visible()
        expect(log.get_by_text(re.compile("another file another file"))).to_be_visible()
    else:
        path.unlink()
        expect(page.get_by_text(re.compile("The file is gone"))).to_be_visible()
        expect(log.get_by_text("line 50", exact=True)).to_be_visible()


def test_without_a_token_it_is_asked_for_in_the_logs_place(
    cluster: Cluster, served: Served, context: BrowserContext, complaints: Complaints
) -> None:
    complaints.expected = ("401",)
    task_id = with_log(cluster, served, b"secret line\n")
    page = context.new_page()
    page.goto(f"{served.address}ui/state/{task_id}")
    expect(page.get_by_role("heading", name="sft.sh")).to_be_visible()
    expect(page.get_by_role("heading", name="This needs the token")).to_be_visible()
    expect(page.get_by_text("secret line")).to_have_count(0)
    page.get_by_label("Token").fill(served.token)
    page.keyboard.press("Enter")
    expect(page.get_by_text("secret line")).to_be_visible()


@pytest.mark.parametrize(
    ("theme", "width", "height"), [("dark", 1440, 900), pytest.param("light", 390, 844, marks=pytest.mark.long)]
)
def test_nothing_of_the_task_is_out_of_reach(
    cluster: Cluster, served: Served, page: Page, theme: str, width: int, height: int
) -> None:
    if not AXE.is_file():
        pytest.skip("axe-core is not installed here: make console")
    content = steps(1, 2000) + hostile()[:2000] + traceback()
    task_id = with_log(cluster, served, content)
    page.set_viewport_size({"width": width, "height": height})
    page.evaluate(f"localStorage.setItem('gpuq.theme', '{theme}')")
    log = open_task(page, served, task_id)
    expect(log.get_by_text(RARE.partition(":")[0])).to_be_visible()
    found: dict[str, object] = {}
    for tab in ("Log", "Why", "Tries", "GPUs", "Script", "Record"):
        page.get_by_role("tab", name=tab).click()
        expect(page.get_by_role("tab", name=tab)).to_have_attribute("aria-selected", "true")
        page.evaluate(AXE.read_text(encoding="utf-8"))
        found[tab] = page.evaluate(
            "axe.run().then(result => result.violations.map(one => `${one.id}: ${one.nodes[0].html}`))"
        )
    assert [(tab, one) for tab, one in found.items() if one] == []
