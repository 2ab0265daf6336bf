"""The marked blocks of the documentation: which sample each shows, and what stands in it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from tests.agent.harness import ROOT
from tests.samples.screen import as_text
from tests.samples.session import Language, Recording
from tests.samples.wording import shape, stable

_README_ZH = ROOT / "docs" / "README.zh-CN.md"
PAGES: dict[Language, list[Path]] = {
    "en": [ROOT / "README.md", *(page for page in sorted((ROOT / "docs").glob("*.md")) if page != _README_ZH)],
    "zh": [_README_ZH, *sorted((ROOT / "docs" / "zh-CN").glob("*.md"))],
}
_BLOCK = re.compile(
    r"(?P<mark><!-- sample (?P<session>[\w-]+)/(?P<name>[\w-]+) -->)\n```\n(?P<text>.*?)```\n", re.DOTALL
)


class Block(NamedTuple):
    """A sample in a page."""

    page: Path
    session: str
    name: str
    text: str


def blocks(language: Language) -> Iterator[Block]:
    """All samples in the pages of a language."""
    for page in PAGES[language]:
        for found in _BLOCK.finditer(page.read_text(encoding="utf-8")):
            yield Block(page, found["session"], found["name"], found["text"])


def samples(recording: Recording) -> dict[str, str]:
    """What a recording says, by the name of the sample."""
    made: dict[str, str] = {}
    for step in recording.steps:
        said = as_text(step.output)
        text = f"$ {step.command}\n" + (f"{said}\n" if said else "")
        made[step.sample] = made.get(step.sample, "") + stable(text, recording)
    return made


def stale(session: str, language: Language, made: Mapping[str, str]) -> list[str]:
    """What is wrong with the blocks that show a session: each a sentence."""
    wrong = []
    for block in blocks(language):
        if block.session != session:
            continue
        where = f"{block.page.relative_to(ROOT)}: {session}/{block.name}"
        if block.name not in made:
            wrong.append(f"{where}: the session has no such sample")
        elif shape(made[block.name]) != shape(block.text):
            wrong.append(f"{where} is old:\n{_difference(block.text, made[block.name])}")
    return wrong


def _difference(old: str, new: str) -> str:
    lines = difflib.unified_diff(
        shape(old).splitlines(), shape(new).splitlines(), "the page", "now", lineterm="", n=1
    )
    return "\n".join(lines)


def write(session: str, language: Language, made: Mapping[str, str]) -> list[Path]:
    """Put a session's samples into the pages; returns those that were written."""
    written = []
    for page in PAGES[language]:
        before = page.read_text(encoding="utf-8")

        def filled(found: re.Match[str]) -> str:
            if found["session"] != session:
                return found[0]
            return f"{found['mark']}\n```\n{made[found['name']]}```\n"

        after = _BLOCK.sub(filled, before)
        if after != before:
            page.write_text(after, encoding="utf-8")
            written.append(page)
    return written
