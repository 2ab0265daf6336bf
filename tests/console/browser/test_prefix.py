"""The console below a prefix, behind a real reverse proxy: pages, their lazy parts, the stream, cookie and link."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Request, Response, expect

from tests.console.browser.conftest import Complaints
from tests.console.proxying import a_proxy
from tests.console.served import a_console

PREFIX = "/user/al%20ice/proxy/29214"


@pytest.mark.parametrize(
    ("flags", "keeps", "headers"),
    [
        pytest.param(("--behind-proxy",), False, {"X-Forwarded-Prefix": PREFIX}, id="forwarded"),
        pytest.param(("--behind-proxy", "--base-path", PREFIX), True, {}, id="left on", marks=pytest.mark.long),
        pytest.param(("--behind-proxy", "--base-path", PREFIX), False, {}, id="taken off", marks=pytest.mark.long),
    ],
)
def test_below_a_prefix_all_of_it_works(
    context: BrowserContext,
    complaints: Complaints,
    tmp_path: Path,
    queue_root: Path,
    flags: tuple[str, ...],
    keeps: bool,
    headers: dict[str, str],
) -> None:
    complaints.expected = ("401",)  # before the token was shown
    asked: list[str] = []
    failed: list[str] = []

    def note(request: Request) -> None:
        asked.append(request.url)

    def look(response: Response) -> None:
        if response.status >= 400 and response.status != 401:
            failed.append(f"{response.status} {response.url}")

    context.on("request", note)
    context.on("response", look)
    with (
        a_console(tmp_path, *flags, queue_root=queue_root) as console,
        a_proxy(console.port, PREFIX, keeps=keeps, headers=headers) as address,
    ):
        page = context.new_page()
        page.goto(f"{address}ui/gpu?job=exp")
        expect(page.get_by_role("heading", name="This needs the token")).to_be_visible()
        page.goto("about:blank")
        page.goto(f"{address}#token={console.token}")
        expect(page.locator("[data-way=live]")).to_be_visible()
        assert "#" not in page.url
        [cookie] = context.cookies()
        assert (cookie["path"], cookie["httpOnly"], cookie["sameSite"]) == (f"{PREFIX}/", True, "Strict")
        console.spool().pause("looking")
        expect(page.get_by_text("The queue is paused")).to_be_visible()
        page.get_by_role("link", name="Submit a script").click()
        page.get_by_label("Script", exact=True).fill("#!/bin/bash\n#GPUQ --gpus 2\necho 1\n")
        page.get_by_role("button", name="Submit", exact=True).click()
        page.get_by_role("link", name="Tasks").click()
        page.get_by_role("link", name="script.sh").click()
        expect(page.get_by_role("heading", name="script.sh")).to_be_visible()
        page.get_by_role("tab", name="Script").click()
        page.reload()
        expect(page.get_by_text("#GPUQ --gpus 2")).to_be_visible()
        assert failed == []
        assert [one for one in asked if one != "about:blank" and not one.startswith(address)] == []
        assert any(one.endswith("/stream") for one in asked)
        page.close()
