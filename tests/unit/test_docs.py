"""What the README promises is there, and what is there stands in the README."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from gpu_queue.config import SETTINGS, settings_table

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "docs" / "README.zh-CN.md"]
MARKDOWN = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")],
    key=lambda path: str(path.relative_to(ROOT)),
)
COMMANDS = sorted(
    set(re.findall(r"^(gpu_[a-z]+) ?\(\)", (ROOT / "client.sh").read_text(encoding="utf-8"), re.MULTILINE))
)
_LINK = re.compile(r"\[[^\]]*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
_CODE = re.compile(r"^(```|~~~).*?^\1[^\S\n]*$|`[^`\n]*`", re.MULTILINE | re.DOTALL)


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    found: set[str] = set()
    for heading in re.findall(r"^#{1,6}\s+(.+?)\s*#*$", text, re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        found.add(name)
    return found | set(re.findall(r"<a (?:name|id)=\"([^\"]+)\"", text))


def test_there_are_commands_to_tell_of() -> None:
    assert {"gpu_submit", "gpu_status", "gpu_stop", "gpu_logs"} <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_every_command_stands_in_both_readmes(page: Path, command: str) -> None:
    assert re.search(rf"\b{command}\b", page.read_text(encoding="utf-8"))


def test_the_settings_table_is_the_one_that_the_code_makes() -> None:
    text = PAGES[0].read_text(encoding="utf-8")
    lines = text[text.index(settings_table().splitlines()[0]) :].splitlines()
    table = list(itertools.takewhile(lambda line: line.startswith("|"), lines))
    assert table == settings_table().splitlines()


@pytest.mark.parametrize("row", SETTINGS, ids=lambda row: row.field)
def test_every_setting_stands_in_the_readme(row: object) -> None:
    text = PAGES[0].read_text(encoding="utf-8")
    for word in (getattr(row, "flag", ""), getattr(row, "env", ""), getattr(row, "key", "")):
        assert word in text


@pytest.mark.parametrize("page", MARKDOWN, ids=relative)
def test_relative_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in _LINK.findall(_CODE.sub("", text)):
        if re.match(r"[a-z][a-z0-9+.-]*:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{relative(page)}: {target} leads nowhere"
        assert there.is_relative_to(ROOT), f"{relative(page)}: {target} leads out of the repository"
        if anchor and there.suffix == ".md":
            assert anchor in anchors(there.read_text(encoding="utf-8")), f"{relative(page)}: no heading for {target}"
