"""Scripts as people have them, and what is concluded: the corpus, each row a script with what it has to come to."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

import pytest

from gpu_queue.scripts.reader import read
from gpu_queue.scripts.reading import Reading

CORPUS = Path(__file__).parent.parent / "corpus" / "scripts"


class Row(NamedTuple):
    file: str
    arguments: str
    given: str
    reading: str


def corpus() -> list[Row]:
    with (CORPUS / "expected.tsv").open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        next(rows)
        return [Row(*row) for row in rows]


def reading_of(row: Row, script: bytes | None = None) -> Reading:
    arguments = () if row.arguments == "-" else tuple(row.arguments.split(" "))
    given = {} if row.given == "-" else dict(one.split("=", 1) for one in row.given.split(" "))
    content = (CORPUS / row.file).read_bytes() if script is None else script
    return read(content, given, arguments, default_gpus=1, file_name=row.file)


def told(reading: Reading, what: str) -> str:
    """What a reading says about something, as the corpus writes it."""
    if what == "gpus":
        return reading.gpus
    if what == "devices":
        return ",".join(map(str, reading.devices))
    if what == "source":
        return reading.source
    if what == "time":
        return "none" if reading.time_s is None else f"{reading.time_s:g}"
    if what == "array":
        return str(reading.array)
    if what == "after":
        return ",".join(reading.after)
    if what in ("warn", "refuse"):
        notes = reading.warnings if what == "warn" else reading.refusals
        return ",".join(dict.fromkeys(one.code for one in notes)) or "none"
    found = reading.get(what)
    return found.value if found else "none"


def expected(row: Row) -> dict[str, str]:
    parts = [part for part in row.reading.split(" ") if "=" in part]
    wanted = dict(part.split("=", 1) for part in parts)
    if "refuse" not in wanted:
        wanted["refuse"] = "none"
    return wanted


def compare(row: Row, reading: Reading) -> None:
    wanted = expected(row)
    assert {what: told(reading, what) for what in wanted} == wanted, reading
    words = row.reading.split(" ")
    if "limit" in words or "promise" in words:
        assert reading.time_is_limit is ("limit" in words)


def test_the_corpus_is_complete() -> None:
    assert {path.name for path in CORPUS.iterdir() if path.suffix == ".sh"} == {row.file for row in corpus()}
    assert len(corpus()) >= 150


@pytest.mark.parametrize("row", corpus(), ids=lambda row: row.file)
def test_a_script_is_read_as_a_careful_reader_would(row: Row) -> None:
    compare(row, reading_of(row))
