"""What the documentation promises is there, and what is there stands in the documentation, in both languages."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from gpu_queue.config import SETTINGS, settings_table

ROOT = Path(__file__).parents[2]
README, README_ZH = ROOT / "README.md", ROOT / "docs" / "README.zh-CN.md"
COMMAND_PAGES = [ROOT / "docs" / "commands.md", ROOT / "docs" / "zh-CN" / "commands.md"]
SETTINGS_PAGE, SETTINGS_PAGE_ZH = ROOT / "docs" / "settings.md", ROOT / "docs" / "zh-CN" / "settings.md"
CHINESE = [README_ZH, *sorted((ROOT / "docs" / "zh-CN").glob("*.md"))]
TWINS = [(README, README_ZH), *((ROOT / "docs" / page.name, page) for page in CHINESE[1:])]
SHORTER = {"keepalive.md", "reliability.md"}  # measurements are in English alone
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
@pytest.mark.parametrize("page", COMMAND_PAGES, ids=relative)
def test_every_command_is_described(page: Path, command: str) -> None:
    assert re.search(rf"\b{command}\b", page.read_text(encoding="utf-8"))


def settings_in(page: Path, head: str) -> list[list[str]]:
    """The cells of the table of settings that begins with a heading."""
    text = page.read_text(encoding="utf-8")
    lines = text[text.index(head) :].splitlines()
    table = itertools.takewhile(lambda line: line.startswith("|"), lines)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def test_the_settings_table_is_the_one_that_the_code_makes() -> None:
    made = settings_table().splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in made]
    assert settings_in(SETTINGS_PAGE, made[0]) == cells


def test_the_chinese_settings_table_names_the_same_with_the_same_defaults() -> None:
    ours, theirs = settings_in(SETTINGS_PAGE, "| flag |")[2:], settings_in(SETTINGS_PAGE_ZH, "| 参数 |")[2:]
    assert [row[:3] for row in theirs] == [row[:3] for row in ours]
    for (*_, flag, default, _), (*_, default_zh, meaning) in zip(ours, theirs, strict=True):
        said_in_words = " " in default
        assert default_zh == default or (said_in_words and re.search("[\u4e00-\u9fff]", default_zh)), (
            flag,
            default_zh,
        )
        assert re.search("[\u4e00-\u9fff]", meaning), (flag, meaning)


@pytest.mark.parametrize("row", SETTINGS, ids=lambda row: row.field)
def test_every_setting_is_described(row: object) -> None:
    text = SETTINGS_PAGE.read_text(encoding="utf-8")
    for word in (getattr(row, "flag", ""), getattr(row, "env", ""), getattr(row, "key", "")):
        assert word in text


@pytest.mark.parametrize("readme", ["README.md", "docs/README.zh-CN.md"])
def test_the_readme_names_the_packages_whose_programs_the_client_runs(readme: str) -> None:
    client = (ROOT / "client.sh").read_text(encoding="utf-8")
    packages = {"find": "findutils", "xargs": "findutils", "grep": "grep", "awk": "awk", "stat": "coreutils"}
    run = {
        package
        for program, package in packages.items()
        if re.search(rf"\b(?:command|-0|__gpu_lines) {program} ", client)
    }
    (supported,) = re.findall(r"bash 4\.2.*?awk", (ROOT / readme).read_text(encoding="utf-8"), re.DOTALL)
    assert run == set(packages.values())
    assert {package for package in run if package not in supported} == set()


def test_the_readme_is_read_in_a_minute() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 250


def outline(page: Path) -> list[str]:
    """The levels of a page's headings and its blocks of code, in order."""
    found, inside = [], False
    for line in page.read_text(encoding="utf-8").splitlines():
        mark = re.match(r"\s*(```.*)" if inside else r"\s*(```.*)|(#+) ", line)
        if mark and mark[1]:
            inside = not inside
        if mark and (inside or not mark[1]):
            found.append(mark[0].strip())
    return found


@pytest.mark.parametrize(
    "pair", [pair for pair in TWINS if pair[0].name not in SHORTER], ids=lambda pair: pair[0].name
)
def test_both_languages_have_the_same_sections_and_examples(pair: tuple[Path, Path]) -> None:
    english, chinese = pair
    assert outline(chinese) == outline(english)


@pytest.mark.parametrize("pair", TWINS, ids=lambda pair: pair[0].name)
def test_each_language_leads_to_the_other(pair: tuple[Path, Path]) -> None:
    for page, other in (pair, pair[::-1]):
        targets = _LINK.findall(page.read_text(encoding="utf-8"))
        assert other.resolve() in {(page.parent / target).resolve() for target in targets}, relative(page)


@pytest.mark.parametrize("page", CHINESE, ids=relative)
def test_the_reader_is_addressed_politely(page: Path) -> None:
    assert "你" not in page.read_text(encoding="utf-8")


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
