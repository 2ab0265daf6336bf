"""What the table of keys makes: a schema for editors, which ``gpu-queue schema`` prints, and a table of the docs."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from typing import Any

from gpu_queue.experiments.specs.axes import ENTRIES, RESERVED
from gpu_queue.experiments.specs.keys import FILE_KEYS, JOB_KEYS, Key, Shape
from gpu_queue.experiments.specs.templates import IDENTIFIER
from gpu_queue.experiments.specs.values import NAME, TEMPLATED
from gpu_queue.experiments.specs.walk import NOT_SET, OURS

DIALECT = "http://json-schema.org/draft-07/schema#"
SAYS = "Print the JSON schema of experiment files, by which an editor completes and checks them."
_SCALAR = {"type": ["string", "number", "boolean"]}
_VALUE = {"type": ["string", "number", "boolean", "null"]}
_NAMED = {"type": ["string", "number", "boolean"]}


def json_schema() -> dict[str, Any]:
    """The schema of an experiment file (draft-07, which all editors know)."""
    return {
        "$schema": DIALECT,
        "title": "Experiments of a GPU queue",
        "description": "Experiments, each combination of a matrix a run: docs/experiments.md.",
        "type": "object",
        "additionalProperties": False,
        "required": ["jobs"],
        "properties": {key.name: _described(key) for key in FILE_KEYS},
        # What defaults do not say, each job has to.
        "if": {"properties": {"defaults": {"type": "object", "required": ["run"]}}, "required": ["defaults"]},
        "else": {"properties": {"jobs": {"additionalProperties": {"required": ["run"]}}}},
        "definitions": {
            "job": {
                "type": "object",
                "additionalProperties": False,
                "properties": {key.name: _described(key) for key in JOB_KEYS},
            },
            "variants": {
                "type": "array",
                "items": {
                    "type": "object",
                    "minProperties": 1,
                    "propertyNames": _axis_name(),
                    "additionalProperties": _VALUE,
                },
            },
        },
    }


def _axis_name() -> dict[str, Any]:
    return {"pattern": rf"^(?!(?:{'|'.join(RESERVED)})$){IDENTIFIER}$"}


def _described(key: Key) -> dict[str, Any]:
    default = f" Default: {key.default}." if key.default else ""
    text = f"{key.meaning[0].upper()}{key.meaning[1:]}. Expected: {key.expected}.{default}"
    schema = _schema(key)
    if "$ref" in schema:  # draft-07 heeds nothing beside it
        schema = {"allOf": [schema]}
    return {**schema, "description": text.replace("`", "")}


def _schema(key: Key) -> dict[str, Any]:
    if key.shape is Shape.VERSION:
        return {"enum": [1, "1"]}
    if key.shape is Shape.JOBS:
        jobs = {"$ref": "#/definitions/job"}
        names = NAME.schema["anyOf"][1]
        return {"type": "object", "minProperties": 1, "propertyNames": names, "additionalProperties": jobs}
    if key.shape is Shape.JOB:
        return {"anyOf": [{"$ref": "#/definitions/job"}, {"type": "null"}]}
    nothing = {"type": "null"}
    if key.shape is Shape.COMMAND:
        words = {"type": "array", "minItems": 1, "items": _VALUE}
        return {"anyOf": [{"type": "string", "pattern": r"^\s*(?!#!)\S"}, {"type": ["number", "boolean"]}, words]}
    if key.shape is Shape.NAMES:
        return {"anyOf": [_NAMED, {"type": "array", "items": _NAMED}, nothing]}
    if key.shape is Shape.ENVIRONMENT:
        names = {"pattern": rf"^(?!{OURS})(?!(?:{'|'.join(sorted(NOT_SET))})$)[A-Za-z_][A-Za-z0-9_]*$"}
        return {"anyOf": [{"type": "object", "propertyNames": names, "additionalProperties": _SCALAR}, nothing]}
    if key.shape is Shape.MATRIX:
        return {"anyOf": [_matrix(), nothing]}
    assert key.kind is not None
    return {"anyOf": [*key.kind.schema["anyOf"], TEMPLATED, nothing]}


def _matrix() -> dict[str, Any]:
    axis = {"type": "array", "minItems": 1, "uniqueItems": True, "items": _VALUE}
    return {
        "type": "object",
        "minProperties": 1,
        "propertyNames": _axis_name(),
        "properties": {name: {"$ref": "#/definitions/variants"} for name in ENTRIES},
        "additionalProperties": axis,
    }


def keys_table(keys: Iterable[Key]) -> str:
    """The table of the docs, in Markdown."""
    rows = [f"| `{key.name}` | {key.meaning} | {key.default} |" for key in keys]
    return "\n".join(["| key | what it says | default |", "|---|---|---|", *rows])


def add_arguments(_parser: argparse.ArgumentParser) -> None:
    """It has none."""


def run(_chosen: argparse.Namespace, _program: str) -> int:
    """Print it."""
    sys.stdout.write(json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n")
    return 0
