"""Names chosen to break a page: of tasks, nodes, GPUs and people.  Pages show them, inert, in their frames."""

from __future__ import annotations

import os
import time
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from gpu_queue.spool.pages import GpuPage, NodePage, write_page
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.states import AgentState, GpuState
from tests.agent.harness import Cluster
from tests.console.served import Served

HTML = "<img src=x onerror=document.title='ran'><b>x</b>"
TURNED = "\u202egnp.exe\u2066\u200f"
LONG = "x" * 200 + "y" * 40
NAMES = (f"{HTML}.sh", f"{TURNED}.sh", f"{LONG}.sh", "new\nline.sh", "tab\there.sh")


@pytest.fixture
def tasks(tmp_path: Path, queue_root: Path) -> list[str]:
    """Ids of tasks that wait, beside nodes that tell the like."""
    cluster = Cluster.__new__(Cluster)
    cluster.base, cluster.paths, cluster._stamp = tmp_path, SpoolPaths(str(queue_root / "exp")), 0.0
    for node in ("gpu<b>x<", "n\u202eedon", "n" * 200):
        os.makedirs(cluster.paths.running(node))
        name, problem = f"NVIDIA {HTML}{LONG}", HTML + TURNED + LONG
        gpus = tuple(
            GpuPage(
                f"GPU-{HTML}{at}",
                at,
                name,
                GpuState.LOST if at else GpuState.IDLE,
                80 << 30,
                0,
                5,
                70.0,
                problem=problem,
            )
            for at in range(2)
        )
        now_s = time.time()
        now_s, why = time.time(), (problem,)
        told = NodePage(
            node,
            "0" * 12,
            AgentState.SERVING,
            host=HTML,
            pid=1,
            started_s=now_s,
            beat_s=now_s,
            gpus=gpus,
            problems=why,
        )
        write_page(cluster.paths, told)
    Path(cluster.paths.flag("paused")).write_text(HTML + TURNED + LONG)
    said = {"user": HTML + LONG, "host": TURNED}
    script = f"#!/bin/bash\n# {HTML}{TURNED}\necho {LONG}\n"
    return [cluster.submit(script, name, said=said, queue=f"q{at}") for at, name in enumerate(NAMES)]


@pytest.mark.parametrize(("width", "height"), [(390, 844), pytest.param(1440, 900, marks=pytest.mark.long)])
def test_hostile_names_do_nothing_and_stay_in_their_frames(
    tasks: list[str], served: Served, page: Page, width: int, height: int
) -> None:
    page.set_viewport_size({"width": width, "height": height})
    expect(page.locator("[data-way=live]")).to_be_visible()
    pages = ["ui/gpu?view=rows", "ui/gpu?view=tiles", "ui/gpu?view=time", "ui/state", "ui/state?group=queue"]
    for task in tasks:
        tabs = ("why", "script", "record") if task == tasks[1] else ("why",)
        pages += [f"ui/state/{quote(task, safe='')}?tab={tab}" for tab in tabs]
    for address in pages:
        page.goto(f"{served.address}{address}")
        expect(page.locator("[data-way=live]")).to_be_visible()
        expect(page.locator("main h1")).to_be_visible()
        beyond = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert beyond <= 0, f"{address}: {beyond} px beyond the page"
        assert page.locator("main img[src=x]").count() == 0
        assert not set(page.locator("body").inner_text()) & set("\u202e\u2066\u200f"), address
        assert page.title() != "ran"
