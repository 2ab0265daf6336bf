"""The results as a table in docs/reliability.md, between two marks; the rest of that page is written by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from tests.agent.harness import ROOT
from tests.sharedfs.cases import CASES
from tests.sharedfs.inside import Result

PAGE = ROOT / "docs" / "reliability.md"
KEPT = ROOT / "build" / "sharedfs.json"
"""The newest result of each case on each filesystem, so that a part can be tried again."""
BEGIN, END = "<!-- sharedfs -->", "<!-- /sharedfs -->"


def keep(results: Mapping[tuple[str, str], Result], path: Path = KEPT) -> dict[tuple[str, str], Result]:
    """Add results to those that are kept; returns all."""
    kept: dict[tuple[str, str], Result] = {}
    if path.exists():
        kept = {(column, one["case"]): Result(**one) for column, one in json.loads(path.read_text())}
    kept |= results
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps([[column, asdict(result)] for (column, _), result in kept.items()], indent=1))
    return kept


def as_markdown(columns: Sequence[str], results: Mapping[tuple[str, str], Result], made_on: str) -> str:
    """The table: a row for each case, a column for each filesystem."""
    lines = [
        f"Written by `make test-sharedfs ALL=1 TABLE=1` on {made_on}; both nodes are one machine, with a mount each.",
        "",
        f"| tried | {' | '.join(columns)} |",
        f"|---|{'---|' * len(columns)}",
    ]
    for name, case in CASES.items():
        found = [results.get((column, name)) for column in columns]
        if not any(found):
            continue
        cells = [_cell(one) for one in found]
        lines.append(f"| {case.name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(result: Result | None) -> str:
    if result is None:
        return "-"
    if result.verdict == "FAILED":
        return "**failed**"
    return f"{result.verdict}: {result.text}" if result.verdict != "ok" else result.text


def write(
    table: str,
    page: Path = PAGE,
    marks: tuple[str, str] = (BEGIN, END),
    heading: str = "Filesystems that were tried",
) -> None:
    """Put the table between the marks; at the end of the page where it has none."""
    begin, end = marks
    text = page.read_text() if page.exists() else "# Reliability\n"
    section = f"{begin}\n{table}{end}\n"
    before, mark, rest = text.partition(begin)
    if mark:
        after = rest.partition(end)[2].lstrip("\n")
        page.write_text(f"{before}{section}" + (f"\n{after}" if after else ""))
    else:
        page.write_text(f"{text.rstrip()}\n\n## {heading}\n\n{section}")
