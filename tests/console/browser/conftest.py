"""One chromium for all tests of a worker, and a console with a queue for each.

They run only where Debian's chromium is; few at a time, for each takes a core.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from tests.console.served import Served

CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
HERE = Path(__file__).parent
STATIC = HERE.parents[2] / "gpu_queue" / "console" / "static" / "index.html"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark them, and leave them out where they cannot run."""
    why = ""
    if not os.path.exists(CHROMIUM):
        why = f"no {CHROMIUM} here: apt-get install chromium"
    elif not STATIC.exists():
        why = "the pages were not built here: make console"
    here = f"{HERE}/"
    for item in items:
        if str(item.path).startswith(here):
            item.add_marker(pytest.mark.browser)
            if why:
                item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """The browser.

    It ends with the tests of this directory: while it is there, nothing else of this process can run an event loop.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()


class Complaints:
    """What a page's console said that it should not have: errors, and what the policy forbids."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.expected: tuple[str, ...] = ()
        """Parts of lines that a test means to cause."""

    def hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.lines.append(f"{message.type}: {message.text} {message.location.get('url', '')}".rstrip())

    def unexpected(self) -> list[str]:
        return [line for line in self.lines if not any(part in line for part in self.expected)]


@pytest.fixture
def complaints() -> Complaints:
    return Complaints()


@pytest.fixture
def context(chromium: Browser, complaints: Complaints) -> Iterator[BrowserContext]:
    """A profile with nothing in it; the test fails where a page of it complains."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900}, locale="en-GB")
    context.on("console", complaints.hear)
    context.on("weberror", lambda error: complaints.lines.append(f"exception: {error.error}"))
    context.set_default_timeout(15_000)
    yield context
    context.close()
    assert complaints.unexpected() == []


@pytest.fixture
def page(served: Served, context: BrowserContext) -> Page:
    """A tab that shows the console of the test, with its token.

    The console is asked for first, so it ends after the tab: a page whose console is killed complains.
    """
    page = context.new_page()
    page.goto(served.link)
    return page
