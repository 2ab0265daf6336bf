"""Pictures of each page, in both themes, wide and narrow, in both languages, into ``build/console-shots``.

    python -m tests.console.shots [--only gpus] [--out DIR] [--docs]

They show the same still life each time (:mod:`tests.console.stage.still`); somebody has to look at them.
"""

from __future__ import annotations

import argparse
import itertools
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from gpu_queue.console.batches.census import key_of_file, key_of_group
from gpu_queue.console.history.keeper import directory_of, path_of
from gpu_queue.spool.paths import SpoolPaths
from tests.agent.harness import ROOT
from tests.console.served import Served, a_console
from tests.console.stage.batches import COMMAND_FILE, GROUP
from tests.console.stage.samples import keep_samples
from tests.console.stage.still import Still

CHROMIUM = "/usr/bin/chromium"
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")
SIZES = {"wide": (1440, 900), "narrow": (390, 844)}
SETTLES_MS = 900


def pages_of(still: Still) -> dict[str, str]:
    """Address by name."""
    running = still.ids["pretrain_1b_s3.sh"]
    failed = sorted(os.listdir(f"{still.paths.root}/failed"))[-1][4:]
    machine = f"{still.spans[0].machine.node}"
    return {
        "gpus": "ui/gpu",
        "gpus-tiles": "ui/gpu?view=tiles",
        "gpus-time": "ui/gpu?view=time",
        "gpus-panel": f"ui/gpu?gpu={machine}/GPU-00000000-0000-0000-0000-000000000000",
        "tasks": "ui/state",
        "tasks-failed": "ui/state?state=failed",
        "task-running": f"ui/state/{running}",
        "task-failed": f"ui/state/{failed}",
        "task-why": f"ui/state/{os.path.basename(still.waiting[0].name)[4:]}?tab=why",
        "submit": "ui/gpu?submit=1",
        "files": "ui/command/multi/1",
        "files-list": "ui/command",
        "files-run": "ui/command/single/0?tab=run",
        "rule": "ui/rule",
        "rule-text": "ui/rule?tab=text",
        "settings": "ui/setting",
        "history": "ui/history",
        "history-node": f"ui/history?range=1d&node={machine}",
        "batches": "ui/batch",
        "batch": f"ui/batch/{key_of_group(GROUP)}",
        "batch-commands": f"ui/batch/{key_of_file(COMMAND_FILE)}",
    }


def _selected(page: Page) -> None:
    boxes = page.locator('[role="grid"] input[type="checkbox"]')
    for at in (2, 4, 7, 8):
        boxes.nth(at).check()


def _about_to_stop(page: Page) -> None:
    _selected(page)
    page.locator('[role="grid"]').press("s")
    page.get_by_role("dialog").wait_for()


def _about_to_load(page: Page) -> None:
    page.get_by_role("button", name=re.compile("Load 3 tasks|载入 3 个任务")).click()
    page.get_by_role("dialog").get_by_role("checkbox").wait_for()


def _changed(page: Page) -> None:
    for key, value in {"retries": "3", "keepalive.gpu_util_high": "72", "lifetime": "3d"}.items():
        page.locator(f'[data-key="{key}"] input').fill(value)
    page.locator('[data-key="keepalive.gpu_util_high"] [aria-invalid]').wait_for()


def _about_to_save(page: Page) -> None:
    for key, value in {"retries": "3", "lifetime": "3d"}.items():
        page.locator(f'[data-key="{key}"] input').fill(value)
    page.locator('[data-key="keepalive.enabled"] [role="switch"]').click()
    page.locator('[data-key="lifetime"][data-changed]').wait_for()
    page.locator("header button:not([disabled])").nth(-1).click()
    page.get_by_role("dialog").wait_for()


DONE_THERE: dict[str, tuple[str, Callable[[Page], None]]] = {
    "tasks-selected": ("ui/state", _selected),
    "tasks-stop": ("ui/state", _about_to_stop),
    "files-load": ("ui/command/single/0", _about_to_load),
    "rule-changed": ("ui/rule", _changed),
    "rule-save": ("ui/rule", _about_to_save),
}
"""By name, an address and what is done there before the picture."""


DOCS = ROOT / "docs" / "pictures"
OF_THE_DOCS = ("gpus", "tasks-stop", "task-failed", "files", "rule", "history")
"""In English and dark, in Chinese and light."""


def shoot(browser: Browser, console: Served, pages: dict[str, str], out: Path, *, for_docs: bool = False) -> int:
    """Take them all; returns how many."""
    count = 0
    if for_docs:
        pages = {name: pages[name] for name in OF_THE_DOCS if name in pages}
        ways = [("dark", "en", "wide"), ("light", "zh", "wide")]
    else:
        ways = list(itertools.product(("dark", "light"), ("en", "zh"), SIZES))
    for theme, language, size in ways:
        width, height = SIZES[size]
        context = browser.new_context(
            viewport={"width": width, "height": height}, timezone_id="Europe/Berlin", reduced_motion="reduce"
        )
        context.add_init_script(
            f"localStorage.setItem('gpuq.theme', '{theme}'); localStorage.setItem('gpuq.language', '{language}');"
        )
        page = context.new_page()
        page.goto(console.link)
        _settle(page)
        for name, address in pages.items():
            page.goto(f"{console.address}{address}")
            _settle(page)
            if name in DONE_THERE:
                DONE_THERE[name][1](page)
                page.wait_for_timeout(SETTLES_MS)
            file = f"{name}.{language}.png" if for_docs else f"{name}-{size}-{theme}-{language}.png"
            page.screenshot(path=out / file)
            count += 1
        context.close()
    return count


def _settle(page: Page) -> None:
    """Wait until nothing more comes; streams never come to rest."""
    page.wait_for_load_state("load")
    page.locator("main:not(:empty)").wait_for(timeout=60_000)  # the policy lets no function be made of a text
    before = ""
    for _ in range(20):
        page.wait_for_timeout(SETTLES_MS)
        now = page.evaluate("document.body.innerText.replace(/\\d/g, '')")
        if now == before:
            return
        before = now


def main(arguments: Sequence[str] | None = None) -> int:
    """Take pictures."""
    parser = argparse.ArgumentParser(prog="python -m tests.console.shots", description="Pictures of the console.")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "console-shots")
    parser.add_argument("--only", default="", help="pages whose names begin so")
    parser.add_argument("--docs", action="store_true", help="those of the documentation, into docs/pictures")
    wanted = parser.parse_args(arguments)
    if wanted.docs:
        wanted.out = DOCS
    wanted.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="gpu-queue-shots-") as name:
        base = Path(name)
        paths = SpoolPaths(str(base / "queues" / "train-exp1"))
        now_s = time.time()
        still = Still(paths, now_s)
        environment = {"HOME": str(base / "home"), "XDG_STATE_HOME": str(base / "home" / "state")}
        keep_samples(path_of(directory_of(environment), paths), still.spans, now_s)
        still.keep_beating()
        Path(paths.config).write_bytes((Path(__file__).parent / "stage" / "policy.yaml").read_bytes())
        addresses = pages_of(still) | {name: address for name, (address, _) in DONE_THERE.items()}
        pages = {key: one for key, one in addresses.items() if key.startswith(wanted.only)}
        with (
            a_console(base, XDG_STATE_HOME=environment["XDG_STATE_HOME"]) as console,
            sync_playwright() as playwright,
        ):
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
            count = shoot(browser, console, pages, wanted.out, for_docs=wanted.docs)
            browser.close()
        still.close()
    print(f"{count} pictures in {wanted.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
