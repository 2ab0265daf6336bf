"""From flags, environment and config.yaml to settings, and from settings to those that a running agent takes over."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping
from operator import attrgetter
from typing import Any, TypeVar

from gpu_queue.config.given import Config, Given
from gpu_queue.config.table import SETTINGS, TABLE, Setting, Settings, Table
from gpu_queue.errors import SettingsError

S = TypeVar("S")
NO_CONFIG = Config()


def resolve(flags: Mapping[str, Any], env: Mapping[str, str], config: Config = NO_CONFIG) -> Settings:
    """Settings from all places.

    Args:
        flags: texts by fields; None: not given.
        env: the environment; what is empty there counts as not given.
        config: what stands in config.yaml.

    Raises:
        SettingsError: what cannot be obeyed, all of it, each with the place that it came from.
    """
    settings, problems = examine(TABLE, flags, env, config)
    if problems:
        raise SettingsError(*problems)
    return settings


def examine(
    table: Table[S], flags: Mapping[str, Any], env: Mapping[str, str], config: Config = NO_CONFIG
) -> tuple[S, tuple[str, ...]]:
    """Settings from all places, the default where one cannot be obeyed; and what cannot be."""
    problems = list(config.problems)
    given: dict[str, Given] = {}
    broken = {row.field for row in table.rows if row.key in config.broken}
    for field in dict.fromkeys(row.field for row in table.rows):
        rows = [row for row in table.rows if row.field == field]
        text = next(_texts(rows, flags, env), None)
        if text is None:
            found = next((config.values[row.key] for row in rows if row.key in config.values), None)
        else:
            row, value, place = text
            broken.discard(field)
            try:
                found = Given(row.kind.from_text(value), place)
            except ValueError as error:
                problems.append(f"{place}: {error}")
                broken.add(field)
                continue
        if found is not None:
            given[field] = found
    settings = replaced(table.defaults, {field: one.value for field, one in given.items()})
    for check in table.checks:
        if broken.isdisjoint(check.fields) and (problem := check.problem(settings)):
            blamed = next((given[field].place for field in check.fields if field in given), "")
            problems.append(f"{blamed}: {problem}" if blamed else problem)
    return settings, tuple(problems)


def _texts(
    rows: list[Setting], flags: Mapping[str, Any], env: Mapping[str, str]
) -> Iterator[tuple[Setting, str, str]]:
    """The texts that flags and then variables give for one field, and where they stand."""
    for row in rows:
        if row.flag and flags.get(row.field) is not None:
            yield row, str(flags[row.field]), row.flag
    for row in rows:
        if row.env and env.get(row.env):
            yield row, env[row.env], row.env


def replaced(settings: S, values: Mapping[str, Any]) -> S:
    """Settings with other values, by fields; dots lead into groups."""
    here: dict[str, Any] = {}
    groups: dict[str, dict[str, Any]] = {}
    for field, value in values.items():
        first, _, rest = field.partition(".")
        if rest:
            groups.setdefault(first, {})[rest] = value
        else:
            here[first] = value
    here |= {name: replaced(getattr(settings, name), inner) for name, inner in groups.items()}
    return dataclasses.replace(settings, **here)  # type: ignore[type-var]


def live_changes(old: Settings, new: Settings) -> tuple[Settings, list[str]]:
    """The old settings with the new policy, and the names of settings that only a restart would change."""
    taken = {row.field: attrgetter(row.field)(new) for row in SETTINGS if row.live}
    waiting: dict[str, str] = {}
    for row in SETTINGS:
        value = attrgetter(row.field)
        if not row.live and value(old) != value(new):
            waiting.setdefault(row.field, row.key or row.flag)
    return replaced(old, taken), [*waiting.values()]


def queue_root(settings: Settings, env: Mapping[str, str]) -> str:
    """The absolute path of the shared directory."""
    home = env.get("HOME") or os.path.expanduser("~")
    return os.path.abspath(os.path.expanduser(settings.queue_root) if settings.queue_root else f"{home}/gpu_queue")
