"""What the table of settings makes for people: the command line, the README's table and config.yaml's schema."""

from __future__ import annotations

import argparse
import math
from operator import attrgetter
from typing import Any

from gpu_queue.config.kinds import FLAG
from gpu_queue.config.table import ENABLED, SETTINGS, TABLE, Setting, Table, Tree, tree_of

SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"
UNASKED = "gpus_unless_shared"
"""A flag that is no setting: GPUs that nobody has asked for; on a shared server ``compete_gpus`` says which."""
SERVES = "Serve one spool on this node: run its scripts on free GPUs."
ELSEWHERE = "Each flag has an environment variable and most a place in config.yaml: see docs/settings.md."


def parser(program: str = "perpetual_motion.py") -> argparse.ArgumentParser:
    """The agent's command line."""
    made = argparse.ArgumentParser(prog=program, description=SERVES, epilog=ELSEWHERE, allow_abbrev=False)
    add_flags(made)
    return made


def add_flags(made: argparse.ArgumentParser) -> list[tuple[Setting, argparse.Action]]:
    """Give a parser the agent's flags; returns what was made of each row."""
    actions: list[tuple[Setting, argparse.Action]] = []
    for row in SETTINGS:
        if not row.flag:
            continue
        meaning = f"do not {row.meaning}" if row.flag.startswith("--no-") else row.meaning
        default = f" (default: {row.shown_default})" if row.shown_default and row.kind is not FLAG else ""
        text = (meaning + default).replace("`", "").replace("%", "%%")
        if row.kind is FLAG:
            constant = "off" if row.flag.startswith("--no-") else "on"
            action = made.add_argument(row.flag, dest=row.field, action="store_const", const=constant, help=text)
        else:
            takes: dict[str, Any] = {"nargs": "?", "const": row.bare} if row.bare else {}
            metavar = row.metavar.strip("[]")
            action = made.add_argument(row.flag, dest=row.field, metavar=metavar, help=text, **takes)
        actions.append((row, action))
    made.add_argument(
        f"--{UNASKED.replace('_', '-')}",
        metavar="LIST",
        help="what --gpus is where nobody says it and the mode is dedicated; submit.sh gives it",
    )
    made.add_argument("--check", action="store_true", help="say what would be done here, and exit 0 if it can be")
    return actions


def settings_table() -> str:
    """The README's table of settings, in Markdown."""
    rows = ["| flag | environment | config.yaml | default | meaning |", "|---|---|---|---|---|"]
    for row in SETTINGS:
        group, _, last = row.key.rpartition(".")
        keys = [group, row.key] if last == ENABLED else [row.key]
        cells = [
            _code(f"{row.flag} {row.metavar}".strip()),
            _code(row.env),
            ", ".join(map(_code, keys)),
            row.shown_default,
            row.meaning,
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def json_schema(table: Table[Any] = TABLE) -> dict[str, Any]:
    """The schema of config.yaml (JSON Schema 2020-12), for editors."""
    whole = _group_schema(tree_of(table.rows), table)
    return {
        "$schema": SCHEMA_DIALECT,
        "title": "config.yaml of a GPU queue",
        "description": "Settings of the agents that serve the queue; what is missing has its default.",
        **whole,
        "type": ["object", "null"],
    }


def _group_schema(tree: Tree, table: Table[Any]) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for name, below in tree.items():
        if isinstance(below, Setting):
            properties[name] = _row_schema(below, table)
            continue
        group = _group_schema(below, table)
        whole = below.get(ENABLED)
        properties[name] = {"anyOf": [_row_schema(whole, table), group]} if isinstance(whole, Setting) else group
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _row_schema(row: Setting, table: Table[Any]) -> dict[str, Any]:
    meaning = row.meaning.replace("`", "")
    taken = "Running agents take a change over." if row.live else "A change needs a new agent."
    schema = {**row.file_kind.schema, "description": f"{meaning}. Expected: {row.file_kind.expected}. {taken}"}
    default = _default(row, table)
    if default is not None:
        schema["default"] = default
    elif row.shown_default:
        schema["description"] += f" By default {row.shown_default}."
    return schema


def _default(row: Setting, table: Table[Any]) -> bool | int | float | str | None:
    """The default as it would be written; None: it is none that can be."""
    try:
        value = row.kind.from_text(row.shown_default)
    except ValueError:
        return None
    if not row.shown_default or value != attrgetter(row.field)(table.defaults):
        return None
    if isinstance(value, bool):
        return value
    try:
        number = float(row.shown_default)
    except ValueError:
        return row.shown_default
    return int(number) if number.is_integer() and not math.isinf(number) else number
