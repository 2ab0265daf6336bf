"""The Tasks page in a browser, as somebody reads it: its first rows, frames while it scrolls, its end, a filter."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

from playwright.sync_api import CDPSession, Page

from tests.console.served import Served

from .row import Row

FRAMES = 300
PX_A_FRAME = 96
BUDGET = "1 s; 33 ms; 0.2 s; 0.2 s"

_SCROLL = """async ([frames, px]) => {
    const grid = document.querySelector('[role=grid]'), gaps = [];
    let bars = 0, before = await new Promise(requestAnimationFrame);
    for (let at = 0; at < frames; at++) {
        grid.scrollTop += px;
        const now = await new Promise(requestAnimationFrame);
        gaps.push(now - before);
        before = now;
        if (grid.querySelectorAll('[role=row]:not([id])').length > 2) bars++;
    }
    gaps.sort((a, b) => a - b);
    return [gaps[Math.floor(frames * 0.95)], gaps[frames - 1], bars];
}"""
_UNTIL = """async ([what, value]) => {
    const grid = document.querySelector('[role=grid]'), began = performance.now();
    const frame = () => new Promise(requestAnimationFrame);
    if (what === 'end') {
        grid.scrollTop = grid.scrollHeight;
        const last = `[role=row][id][aria-rowindex="${grid.getAttribute('aria-rowcount')}"]`;
        while (!document.querySelector(last)) await frame();
    } else {
        const box = document.querySelector('main input[type=search], main input[placeholder]');
        const set = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set;
        set.call(box, value);
        box.dispatchEvent(new Event('input', { bubbles: true }));
        const before = grid.getAttribute('aria-rowcount');
        const now = () => document.querySelector('[role=grid]');
        const isNew = () => now()?.querySelector('[role=row][id]') && now().getAttribute('aria-rowcount') !== before;
        while (!isNew()) await frame();
    }
    return performance.now() - began;
}"""


def _spent_s(session: CDPSession) -> float:
    """Processor seconds of the page's main thread so far: what a busy machine does not change."""
    metrics = session.send("Performance.getMetrics")["metrics"]
    return float(next(one["value"] for one in metrics if one["name"] == "TaskDuration"))


def tasks_page(console: Served, page: Page, total: int) -> Iterator[Row]:
    """What one who reads a list of so many tasks waits for; the page has the token."""
    begun = time.perf_counter()
    page.goto(f"{console.address}ui/state?job=exp&state=all")
    page.locator("[role=row][id]").first.wait_for()
    first_s = time.perf_counter() - begun
    page.wait_for_timeout(1500)
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    before_s = _spent_s(session)
    scrolled: list[Any] = page.evaluate(_SCROLL, [FRAMES, PX_A_FRAME])
    frame_ms = (_spent_s(session) - before_s) / FRAMES * 1000
    p95_ms, worst_ms, bars = scrolled
    end_ms = page.evaluate(_UNTIL, ["end", ""])
    filter_ms = page.evaluate(_UNTIL, ["filter", "00a"])
    told = (
        f"{first_s:.2f} s; {p95_ms:.0f} ms (worst {worst_ms:.0f}, {bars} of {FRAMES} frames with rows on their way; "
        f"{frame_ms:.1f} ms of a processor a frame); "
        f"{end_ms / 1000:.2f} s; {filter_ms / 1000:.2f} s (load {os.getloadavg()[0]:.0f})"
    )
    yield Row(f"Tasks page of {total:,}: first rows; scroll p95; to the end; filter", BUDGET, told)
