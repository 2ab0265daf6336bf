"""The record of what was measured: one JSON for each kind of GPU, to which each call of the report adds its parts.

- ``parts`` has the values of each part, with a ``stamp``: when, on which driver, with which versions.  A part that
  was not measured to its end is ``is_partial``.
- ``problems`` has the parts whose last try failed, and why.  It takes nothing away that an earlier try measured.
- Files are written by a rename after each part, the page after the record.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import keepalive_page
import page
from keepalive_card import Card
from machine import ROOT, facts

RESULTS = ROOT / "benchmarks/results"
PAGE = ROOT / "docs/keepalive.md"
MARKS = ("<!-- gpu-report -->", "<!-- /gpu-report -->")
Results = dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What came of one part."""

    values: Mapping[str, Any]
    problem: str = ""
    """Why it was not measured, or not to its end; empty: it was."""


def begun(card: Card, base: Path) -> Results:
    """A record without parts."""
    machine = {**facts(base), "GPUs": card.describe()}
    return {
        "device": "simulated" if card.plant else card.gpu.name,
        "memory_total_bytes": card.total_bytes,
        "machine": machine,
        "parts": {},
        "problems": {},
    }


def stamp(card: Card, commit: str, *, is_quick: bool) -> dict[str, Any]:
    """What every part is to be known by, but for its moment."""
    return {
        "driver": card.driver,
        "torch": _version("torch"),
        "nvidia-ml-py": _version("nvidia-ml-py"),
        "commit": commit + _changes(),
        "quick": is_quick,
    }


def now_text() -> str:
    """This moment, for a stamp; texts compare as moments do."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "?"


def _changes() -> str:
    """Whether the package is as the commit has it."""
    command = ["git", "-C", str(ROOT), "status", "--porcelain", "--", "gpu_queue", "benchmarks/*.py"]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return " with changes" if asked.stdout.strip() else ""


def added(record: Results, name: str, outcome: Outcome, stamped: Mapping[str, Any]) -> Results:
    """A record with what came of one more part."""
    parts, problems = dict(record["parts"]), dict(record["problems"])
    values = {**outcome.values, "stamp": dict(stamped)}
    if outcome.problem:
        problems[name] = {"problem": outcome.problem, "when": stamped["when"]}
        if outcome.values and (name not in parts or parts[name].get("is_partial")):
            parts[name] = {**values, "is_partial": True}
    else:
        parts[name] = values
        problems.pop(name, None)
    return {**record, "parts": parts, "problems": problems}


def joined(records: Sequence[Results]) -> Results:
    """Several records of one kind of GPU as one: of each part the newest that is whole.

    Raises:
        ValueError: they are of different GPUs.
    """
    devices = sorted({record["device"] for record in records})
    if len(devices) != 1:
        raise ValueError(f"records of different GPUs cannot be joined: {', '.join(devices)}")
    newest: Results = max(records, key=_newest)
    whole: Results = {**newest, "parts": {}, "problems": {}}
    for record in records:
        for name, values in record["parts"].items():
            before = whole["parts"].get(name)
            if before is None or _rank(values) > _rank(before):
                whole["parts"][name] = values
        for name, one in record["problems"].items():
            if name not in whole["problems"] or one["when"] > whole["problems"][name]["when"]:
                whole["problems"][name] = one
    for name, values in whole["parts"].items():
        if (
            not values.get("is_partial")
            and values["stamp"]["when"] > whole["problems"].get(name, {"when": "~"})["when"]
        ):
            del whole["problems"][name]
    return whole


def _rank(values: Mapping[str, Any]) -> tuple[bool, str]:
    return not values.get("is_partial"), values["stamp"]["when"]


def _newest(record: Results) -> str:
    return max((values["stamp"]["when"] for values in record["parts"].values()), default="")


@dataclass(frozen=True)
class Place:
    """Where a record and its page are written; None: nowhere."""

    results: Path | None
    page: Path | None = None

    def path(self, device: str) -> Path | None:
        return None if self.results is None else self.results / f"keepalive-{file_name(device)}.json"

    def before(self, record: Results) -> Results:
        """The record as earlier calls have left it, with what this one knows of the machine."""
        path = self.path(record["device"])
        return joined([read(path), record]) if path is not None and path.exists() else record

    def write(self, record: Results) -> None:
        path = self.path(record["device"])
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        page.write_whole(path, json.dumps(record, indent=1) + "\n")
        if self.page is not None:
            if not self.page.exists():
                page.write_whole(self.page, f"{MARKS[0]}\n{MARKS[1]}\n")
            page.put(self.page, keepalive_page.render(record), MARKS)


REPOSITORY = Place(RESULTS, PAGE)
NOWHERE = Place(None)


def read(path: Path) -> Results:
    """A record that was written earlier.

    Raises:
        ValueError: it is none; says which file, and what to do.
        OSError: it cannot be read.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        for values in found["parts"].values():
            values["stamp"]["when"].isascii()
        found["device"], found["problems"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: no record of this report ({error!r}); move it away") from None
    return dict(found)


def file_name(device: str) -> str:
    """``NVIDIA H100 80GB HBM3`` as ``h100-80gb-hbm3``."""
    return re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-").removeprefix("nvidia-")
