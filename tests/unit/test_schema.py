"""The schema of config.yaml: up to date, and as strict as the agents are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from gpu_queue.config import SETTINGS, Setting, json_schema, parse_config
from gpu_queue.config.file import read
from tests.cases import long
from tests.unit.test_config_file import NESTED

COMMITTED = Path(__file__).parents[2] / "docs" / "config.schema.json"
ROWS = [row for row in SETTINGS if row.key]
KEYS = {row.key for row in ROWS}
SCHEMA = jsonschema.Draft202012Validator(json_schema())
VALUES: list[Any] = [
    None, True, False, 0, 1, 2, 50, 95, 101, -1, 0.5, 0.95, 0.96, 1.5, 2.0, 999_999, 1_000_000, 4_294_967_294,
    2**32, 1 << 60, 1 << 61, 3_162_240_001, "", " ", "0", "00", "7", "007", "100", "101", "1234567", "50%",
    "95%", "96%", ".5", "0.95", "0.951", "1.5", "1.5.2", "-1", "1e3", "٣", "90s", " 30m ", "1d12h", "1.5H", "4 h",
    "0s", "h", "never", "NEVER", "20G", "1.5 gib", "20X", "on", "off", "On", "yes", "NO", "true", "maybe",
    "auto", "matmul", "Matmul", "cpu", "wait", "fail", "stop", "direct", "pump", "all", "0,1", "0, GPU-1",
    "0,,1", ",", "a b", "1000 1001", "1000,x", "22:00-07:00", "9:00 - 17:30", "Mon-Fri 09:00-18:00", "sat,sun",
    "sat; sun 10:00-16:00\nmon", "weekend,", "sat,,sun", "someday", "25:00-26:00", "09:75-10:00", "none",
    "mon-", "fri - MONDAY 1:00-2:00", [], [0], ["1", 2], [[0]], [None], [{"a": 1}], ["sat", "mon 9:00-10:00"],
    ["sat", "x"], [True], [1.5], {}, {"a": 1}, {"enabled": "off"},
]  # fmt: skip

NO_PATTERN_TELLS = {"auto_shutdown_hours": [("1234567", "the schema accepts it")]}
"""More than a hundred years."""


LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""It reads the same, in a tenth of the time."""


def verdicts(text: str) -> tuple[bool, bool]:
    """Whether the schema and an agent accept it."""
    is_fine = SCHEMA.is_valid(yaml.load(text, LOADER))
    return is_fine, not parse_config("config.yaml", text.encode()).problems


def schemas_of(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for name, inner in schema["properties"].items():
        if f"{path}{name}" in KEYS:
            yield f"{path}{name}", inner
            continue
        groups = [one for one in (inner, *inner.get("anyOf", ())) if "properties" in one]
        for group in groups:
            yield from schemas_of(group, f"{path}{name}.")
        if not groups:
            yield f"{path}{name}", inner


def test_what_lies_in_docs_is_what_the_table_makes() -> None:
    made = json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
    assert COMMITTED.read_text(encoding="utf-8") == made, "python -m gpu_queue.config > docs/config.schema.json"


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())
    jsonschema.Draft202012Validator.check_schema(json_schema(NESTED))


def test_every_setting_is_described_and_its_default_is_a_value_of_its_own() -> None:
    found = dict(schemas_of(json_schema()))
    assert set(found) == {row.key for row in ROWS}
    for row in ROWS:
        schema = found[row.key]
        assert row.meaning.replace("`", "") in schema["description"]
        assert row.file_kind.expected in schema["description"]
        assert "default" in schema or not row.shown_default or row.shown_default in schema["description"]
        if "default" in schema:
            jsonschema.validate(schema["default"], schema)
    assert found["keepalive.gpu_util_high"]["default"] == 85
    assert found["retry_delay"]["default"] == "30s"
    assert found["keepalive.enabled"]["default"] is True
    assert found["keepalive.memory_usage_target"]["default"] == 0.6


KINDS = {row.file_kind.expected: row for row in reversed(ROWS)}
"""The first row of each kind of value: the others are read and described by the same."""


@pytest.mark.parametrize(
    "row", [row if row in KINDS.values() else long(row)[0] for row in ROWS], ids=lambda row: row.key
)
def test_it_accepts_and_refuses_the_values_that_an_agent_does(row: Setting) -> None:
    differing = []
    for value in VALUES:
        nested = value
        for name in reversed(row.key.split(".")):
            nested = {name: nested}
        of_schema, of_agent = verdicts(json.dumps(nested))
        if of_schema != of_agent:
            differing.append((value, "the schema accepts it" if of_schema else "the agent accepts it"))
    assert differing == NO_PATTERN_TELLS.get(row.key, [])


@pytest.mark.parametrize(
    ("text", "is_fine"),
    [
        ("", True),
        ("# nothing\n", True),
        ("retries: 2\nlifetime: never\nkeepalive:\n  engine: zeros\n  quiet_hours: [sat, sun]\n", True),
        ("keepalive: off\n", True),
        ("keepalive: {hold_leased: on}\n", True),
        ("retires: 2\n", False),
        ("keepalive: {engin: zeros}\n", False),
        ("keepalive.engine: zeros\n", False),
        ("keepalive: [zeros]\n", False),
        ("keepalive:\n", False),
        ("- retries\n", False),
        ("retries\n", False),
        ("retries: 2026-01-01\n", False),
        ("on: 1\n", False),
    ],
)
def test_whole_files_are_accepted_and_refused_alike(text: str, is_fine: bool) -> None:
    assert verdicts(text) == (is_fine, is_fine)


@pytest.mark.parametrize(
    ("text", "is_fine"),
    [
        ("retry: {count: 1, delay: {first: 2m}}\n", True),
        ("retry: off\n", True),
        ("notify: [{to: me, 'on': [done, lost]}, {to: you}]\n", True),
        ("notify: []\n", True),
        ("retry: {delay: 2m}\n", False),
        ("retry: {delay: {frist: 2m}}\n", False),
        ("notify: {to: me}\n", False),
        ("notify: [me]\n", False),
        ("notify: [{'on': done}]\n", False),
        ("notify: [{to: me, too: you}]\n", False),
        ("notify: [{to: me, 'on': [dead]}]\n", False),
    ],
)
def test_groups_in_groups_and_lists_of_groups_are_told_by_a_schema_too(text: str, is_fine: bool) -> None:
    assert jsonschema.Draft202012Validator(json_schema(NESTED)).is_valid(yaml.safe_load(text)) is is_fine
    assert (not read("config.yaml", text.encode(), NESTED).problems) is is_fine
