"""From flags, environment and config.yaml to settings, and from settings to those that a running agent takes over."""

from __future__ import annotations

import dataclasses
import difflib
import os
import re
from collections.abc import Collection, Iterator, Mapping
from enum import Enum
from operator import attrgetter
from typing import Any, Generic, TypeVar

from gpu_queue.conf import LINE, OWN_WAY_PREFIX, SUBMIT_KEYS, Conf, Said, at_home, home_of
from gpu_queue.config.given import Config, Given
from gpu_queue.config.kinds import Kind
from gpu_queue.config.table import SETTINGS, TABLE, Setting, Settings, Table
from gpu_queue.errors import SettingsError
from gpu_queue.texts import shown

S = TypeVar("S")
NO_CONFIG = Config()


@dataclasses.dataclass(frozen=True)
class Elsewhere:
    """What files and programs beside the environment and config.yaml say, by the names of variables."""

    conf: Conf = dataclasses.field(default_factory=Conf)
    """``gpu-queue.conf`` and the like: below the environment, above config.yaml."""
    constants: Mapping[str, Said] = dataclasses.field(default_factory=dict)
    """At the top of ``perpetual_motion.py``: above nothing but the defaults."""


NOWHERE = Elsewhere()
_IN_A_FILE = re.compile(r"(.*):\d+: (.*)")


@dataclasses.dataclass(frozen=True)
class Examined(Generic[S]):
    """What came of all places."""

    settings: S
    problems: tuple[str, ...]
    """What cannot be obeyed, each with its place."""
    note: str = ""
    """What follows from a setting that nobody may have meant so, with the places that say it; empty: nothing does."""


def resolve(
    flags: Mapping[str, Any], env: Mapping[str, str], config: Config = NO_CONFIG, elsewhere: Elsewhere = NOWHERE
) -> Settings:
    """Settings from all places.

    Args:
        flags: texts by fields; None: not given.
        env: the environment; what is empty there counts as not given.
        config: what stands in config.yaml.
        elsewhere: what else says something.

    Raises:
        SettingsError: what cannot be obeyed, all of it, each with the place that it came from.
    """
    examined = examine(TABLE, flags, env, config, elsewhere)
    if examined.problems:
        raise SettingsError(*examined.problems)
    return examined.settings


def examine(
    table: Table[S],
    flags: Mapping[str, Any],
    env: Mapping[str, str],
    config: Config = NO_CONFIG,
    elsewhere: Elsewhere = NOWHERE,
) -> Examined[S]:
    """Settings from all places, the default where one cannot be obeyed; and what cannot be."""
    names = {row.env for row in table.rows if row.env}
    problems = [*elsewhere.conf.problems_of({*names, LINE}), *config.problems]
    problems += [
        f"{said.place}: {_unknown(name, names)}" for name, said in elsewhere.constants.items() if name not in names
    ]
    given: dict[str, Given] = {}
    broken = {row.field for row in table.rows if row.key in config.broken}
    # A constant that nobody has edited says nothing, so that it gets no blame.
    edited = {name: said for name, said in elsewhere.constants.items() if not _is_default(table, name, said.text)}
    for field in dict.fromkeys(row.field for row in table.rows):
        rows = [row for row in table.rows if row.field == field]
        text = next(_texts(rows, flags, env, elsewhere.conf.said), None)
        found = None
        if text is None:
            found = next((config.values[row.key] for row in rows if row.key in config.values), None)
            # What is broken in config.yaml has been told; what it would have beaten does not take its place.
            if found is None and field not in broken:
                text = next(_texts(rows, {}, {}, edited), None)
        if text is not None:
            kind, value, place = text
            broken.discard(field)
            try:
                found = Given(kind.from_text(value), place)
            except ValueError as error:
                problems.append(f"{place}: {error}")
                broken.add(field)
                continue
        if found is not None:
            given[field] = found
    note = _implied(table, given, broken) if table.implied is not None else ""
    settings = replaced(table.defaults, {field: one.value for field, one in given.items()})
    for check in table.checks:
        is_asked = not check.is_of_words or check.fields[0] in given
        if is_asked and broken.isdisjoint(check.fields) and (problem := check.problem(settings)):
            blamed = next((given[field].place for field in check.fields if field in given), "")
            problems.append(f"{blamed}: {problem}" if blamed else problem)
    return Examined(settings, tuple(problems), note)


def _implied(table: Table[Any], given: dict[str, Given], broken: Collection[str]) -> str:
    """Add what follows from settings that were given; returns what is to be said of that."""
    implied = table.implied
    assert implied is not None
    said = {row.field: given[row.field] for row in table.rows if implied.is_of(row) and row.field in given}
    if not said or implied.field in broken:
        return ""
    if implied.field not in given:
        given[implied.field] = Given(implied.value, next(iter(said.values())).place)
        return f"{implied.field} is {_word(implied.value)}, because of {_places(said)}"
    found = given[implied.field]
    if found.value == implied.value:
        return ""
    is_so = f"{implied.field} is {_word(found.value)} ({found.place})"
    return f"{is_so}, so that what is for {_word(implied.value)} counts for nothing: {_places(said)}"


def _word(value: object) -> str:
    return str(value.value if isinstance(value, Enum) else value)


def _places(said: Mapping[str, Given]) -> str:
    """Where values stand, those of one file together: ``gpu_left, max_util in /q/config.yaml``."""
    by_file: dict[str, list[str]] = {}
    for one in said.values():
        match = _IN_A_FILE.fullmatch(one.place)
        by_file.setdefault(match[1] if match else "", []).append(match[2] if match else one.place)
    told = [f"{', '.join(names)}{f' in {file}' if file else ''}" for file, names in by_file.items()]
    return "; ".join(told)


def _is_default(table: Table[Any], name: str, text: str) -> bool:
    rows = [row for row in table.rows if row.env == name]
    try:
        return any(row.kind.from_text(text) == attrgetter(row.field)(table.defaults) for row in rows)
    except ValueError:
        return False


def unknown_in_conf(conf: Conf) -> tuple[str, ...]:
    """Keys that no part of this project reads, for people: each with its place."""
    names = {row.env for row in SETTINGS if row.env} | set(SUBMIT_KEYS)
    return tuple(
        f"{said.place}: {_unknown(key, names)}"
        for key, said in conf.said.items()
        if key not in names and not key.startswith(OWN_WAY_PREFIX)
    )


def _unknown(name: str, names: Collection[str]) -> str:
    near = difflib.get_close_matches(name, names, 1)
    hint = f"did you mean {near[0]}?" if near else "docs/settings.md lists them"
    return f"unknown setting {shown(name)}, which counts for nothing; {hint}"


def _texts(
    rows: list[Setting], flags: Mapping[str, Any], env: Mapping[str, str], said: Mapping[str, Said]
) -> Iterator[tuple[Kind, str, str]]:
    """What flags, then variables, then other places say of one field: what it may be there, the text, its place."""
    for row in rows:
        if row.flag and flags.get(row.field) is not None:
            yield row.kind, str(flags[row.field]), row.flag
    for row in rows:
        if row.env and env.get(row.env):
            yield row.kind, env[row.env], row.env
    for row in rows:
        if row.env in said:
            yield row.file_kind, said[row.env].text, f"{said[row.env].place}: {row.env}"


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
    """The old settings with the new policy, and the names of settings that only a restart would change.

    What only one mode obeys goes with its mode: of a file that is for the other it says nothing.
    """
    is_other = old.mode is not new.mode
    implied = TABLE.implied
    assert implied is not None
    rows = [row for row in SETTINGS if row.live and not (is_other and implied.is_of(row))]
    taken = {row.field: attrgetter(row.field)(new) for row in rows}
    waiting: dict[str, str] = {}
    for row in SETTINGS:
        value = attrgetter(row.field)
        if not row.live and value(old) != value(new):
            waiting.setdefault(row.field, row.key or row.flag)
    return replaced(old, taken), [*waiting.values()]


def queue_root(settings: Settings, env: Mapping[str, str]) -> str:
    """The absolute path of the shared directory."""
    home = home_of(env)
    return os.path.abspath(at_home(settings.queue_root, home) if settings.queue_root else f"{home}/gpu_queue")
