"""config.yaml: what people write is understood, nested as deep as the table says, and all that is wrong is told."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_queue.config import Config, Settings, parse_config, resolve
from gpu_queue.config.file import CHARACTERS_MAX, PROBLEMS_MAX, read
from gpu_queue.config.kinds import COUNT, DURATION, FLAG, TEXT, ListOf, ListOfGroups, Member, one_of
from gpu_queue.config.resolving import examine
from gpu_queue.config.table import Setting, Table
from gpu_queue.errors import SettingsError
from gpu_queue.hours import parse_quiet_hours
from gpu_queue.policy import read_config

ME = frozenset({os.geteuid()})


def problems(text: str | bytes) -> list[str]:
    content = text if isinstance(text, bytes) else text.encode()
    return [one.removeprefix("config.yaml:") for one in parse_config("config.yaml", content).problems]


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("retries: 2\n", "retries", 2),
        ("retries: '2'\n", "retries", 2),
        ("retries: 2.0\n", "retries", 2),
        ("beat: 20\n", "beat_s", 20.0),
        ("beat: 1.5\n", "beat_s", 1.5),
        ("lifetime: never\n", "lifetime_s", float("inf")),
        ("lifetime: 0\n", "lifetime_s", float("inf")),
        ("keepalive: off\n", "keepalive.enabled", False),
        ("keepalive: 'Off'\n", "keepalive.enabled", False),
        ("keepalive: 0\n", "keepalive.enabled", False),
        ("keepalive:\n  enabled: no\n", "keepalive.enabled", False),
        ("keepalive: {enabled: off, engine: zeros}\n", "keepalive.engine", "zeros"),
        ("keepalive: {hold_leased: on}\n", "keepalive.hold_leased", "on"),
        ("keepalive: {hold_leased: 'off'}\n", "keepalive.hold_leased", "off"),
        ("keepalive: {memory_usage_target: 0}\n", "keepalive.memory_usage_target", 0.0),
        ("keepalive: {memory_usage_target: 40%}\n", "keepalive.memory_usage_target", 0.4),
        ("keepalive: {quiet_hours: off}\n", "keepalive.quiet_hours", parse_quiet_hours("")),
        ("keepalive: {quiet_hours: 22:00-07:00}\n", "keepalive.quiet_hours", parse_quiet_hours("22:00-07:00")),
        (
            "keepalive:\n  quiet_hours: [sat, sun 10:00-16:00]\n",
            "keepalive.quiet_hours",
            parse_quiet_hours("sat; sun 10:00-16:00"),
        ),
        ("gpus: [0, GPU-1]\n", "gpus", ("0", "GPU-1")),
        ("gpus: 0, 1\n", "gpus", ("0", "1")),
        ("gpus: 1\n", "gpus", ("1",)),
        ("simulate: 4\n", "simulate", "4"),
        ("foreign_memory: 1048576\n", "foreign_memory_bytes", 1 << 20),
        ("allow_users: [1000, 4000000000]\n", "allow_users", (1000, 4_000_000_000)),
        ("allow_users: 1000 1001, 7\n", "allow_users", (1000, 1001, 7)),
        ("allow_users: []\n", "allow_users", ()),
        ("poll: &a 2s\nbeat: *a\n", "beat_s", 2.0),
        ("\ufeffretries: 2\n", "retries", 2),
    ],
)
def test_it_is_read_as_people_write_it(text: str, field: str, value: object) -> None:
    assert attrgetter(field)(resolve({}, {}, parse_config("config.yaml", text.encode()))) == value


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "~\n", "{}\n"])
def test_an_empty_one_says_nothing(text: str) -> None:
    assert resolve({}, {}, parse_config("config.yaml", text.encode())) == Settings()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- a\n", ["1: a list; expected a mapping of settings"]),
        ("just words\n", ["1: 'just words'; expected a mapping of settings"]),
        ("\nretires: 2\n", ["2: unknown setting 'retires'; did you mean retries?"]),
        ("x: 2\n", ["1: unknown setting 'x'; docs/settings.md lists them"]),
        ("engin: spin\n", ["1: unknown setting 'engin'; did you mean keepalive.engine?"]),
        ("keepalive:\n  engin: spin\n", ["2: keepalive: unknown setting 'engin'; did you mean keepalive.engine?"]),
        (
            "keepalive.engine: spin\n",
            ["1: unknown setting 'keepalive.engine'; write keepalive: and below it, indented, engine: …"],
        ),
        ("poll: 2s\nbeat: 3s\npoll: 4s\n", ["3: poll: given twice, first in line 1"]),
        ("keepalive:\n  engine: spin\n  engine: zeros\n", ["3: keepalive.engine: given twice, first in line 2"]),
        ("keepalive: off\nkeepalive: {engine: spin}\n", ["2: keepalive: given twice, first in line 1"]),
        (
            "x: 1\nx: 2\n",
            ["1: unknown setting 'x'; docs/settings.md lists them", "2: 'x': given twice, first in line 1"],
        ),
        ("keepalive:\n  on:\n", ["2: keepalive: write 'enabled: on' or 'enabled: off'"]),
        ("keepalive: {off: 1}\n", ["1: keepalive: write 'enabled: on' or 'enabled: off'"]),
        ("keepalive:\n", ["1: keepalive: nothing; expected true or false, or a group of settings"]),
        ("keepalive: [on]\n", ["1: keepalive: a list; expected true or false, or a group of settings"]),
        ("keepalive: maybe\n", ["1: keepalive: 'maybe'; expected true or false"]),
        ("keepalive: {gpu_util_high: 101}\n", ["1: keepalive.gpu_util_high: 101; expected a percentage, 0 to 100"]),
        ("retries: yes\n", ["1: retries: true; expected a whole number"]),
        ("retries: 1.5\n", ["1: retries: 1.5; expected a whole number"]),
        ("retries: {a: 1}\n", ["1: retries: a mapping; expected a whole number"]),
        ("retries:\n", ["1: retries: nothing; expected a whole number"]),
        ("retries: 2026-01-01\n", ["1: retries: a date; expected a whole number"]),
        ("retries: !!binary aGk=\n", ["1: retries: bytes; expected a whole number"]),
        ("retries: !x 1\n", ["1: retries: a value with the tag '!x'; expected a whole number"]),
        ("retries: !!int ''\n", ["1: retries: ''; expected a whole number"]),
        ("retries: 0x10\n", ["1: retries: '0x10'; expected a whole number"]),
        ("retries: .nan\n", ["1: retries: nan; expected a whole number"]),
        ("retries: -1\n", ["1: retries: -1; expected a whole number"]),
        ("gpus: []\n", ["1: gpus: an empty list; expected all, or indices and UUIDs of GPUs, or a list of such"]),
        (
            "gpus:\n- 0\n- [1]\n- a b\n",
            [
                "3: gpus[1]: a list; expected all, or indices and UUIDs of GPUs",
                "4: gpus[2]: 'a b'; expected all, or indices and UUIDs of GPUs",
            ],
        ),
        (
            'keepalive: {python: "a\\0b"}\n',
            ["1: keepalive.python: a text that holds the character '\\x00'; expected text"],
        ),
        (
            'keepalive: {python: "\\ud800"}\n',
            ["1: keepalive.python: a text that holds the character '\\ud800'; expected text"],
        ),
        ('"\\e[2J": 1\n', ["1: unknown setting '\\x1b[2J'; docs/settings.md lists them"]),
        ("1: x\n", ["1: unknown setting '1'; docs/settings.md lists them"]),
        ("? [a]\n: b\n", ["1: a list is no name of a setting; docs/settings.md lists them"]),
        ("<<: {poll: 1s}\n", ["1: unknown setting '<<'; docs/settings.md lists them"]),
        ("gpus: &a [*a]\n", ["1: gpus[0]: a list; expected all, or indices and UUIDs of GPUs"]),
        ("keepalive: &a {enabled: *a}\n", ["1: keepalive.enabled: a mapping; expected true or false"]),
        (
            "poll: 1s\n---\npoll: 2s\n",
            ["2: no YAML: expected a single document in the stream, but found another document"],
        ),
        ("poll: *a\n", ["1: no YAML: found undefined alias 'a'"]),
        (
            b"poll: \xc3(",
            [' no YAML: unacceptable character #x00c3: invalid continuation byte in "<byte string>", position 6'],
        ),
    ],
)
def test_what_cannot_be_obeyed_is_told_with_line_and_key(text: str | bytes, told: list[str]) -> None:
    assert problems(text) == told


def test_all_problems_of_a_file_are_told_at_once_and_the_rest_of_it_is_known() -> None:
    text = "retires: 2\npoll: soon\nkeepalive:\n  engine: tanks\n  python: /p\nmax_lost: 5\npoll: 1s\n"
    config = parse_config("config.yaml", text.encode())
    assert [one.split(": ")[0] for one in config.problems] == [f"config.yaml:{line}" for line in (1, 2, 4, 7)]
    assert {key: given.value for key, given in config.values.items()} == {"keepalive.python": "/p", "max_lost": 5}
    assert config.broken == {"poll", "keepalive.engine"}


def test_a_file_of_nothing_but_problems_is_told_with_their_number() -> None:
    told = problems("\n".join(f"x{number}: 1" for number in range(100)))
    assert len(told) == PROBLEMS_MAX + 1
    assert told[-1] == f" {100 - PROBLEMS_MAX} more problems"


LAUGHS = "\n".join(
    ["gpus:", "- &a0 [x, x, x, x, x, x, x, x, x]"]
    + [f"- &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 20)]
)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (LAUGHS, "gpus[0]: a list"),
        (f"keepalive: {{quiet_hours: [&a '{'22:00-07:00,' * 2000}sat'{', *a' * 8000}]}}", str(CHARACTERS_MAX)),
        (f"gpus: [&a {{x: 1}}{', *a' * 15000}]", "a mapping"),
        (f"gpus: [&a '{'x' * 30000}'{', *a' * 8000}]", "expected"),
        ("gpus: " + "[" * 60_000, "nested too deeply"),
        ("{a: " * 16_000, "nested too deeply"),
        ("- " * 30_000, "nested too deeply"),
        ("? " * 30_000, "nested too deeply"),
        (f"? {'k' * 60_000}\n: 1\n", "unknown setting 'kkk"),
        ("poll: 1s\n" * 7000, "given twice"),
        (f"retries: {'9' * 60_000}", "expected a whole number"),
        (f"retries: 0x{'f' * 60_000}", "expected a whole number"),
        (f"allow_users: '{' ' * 60_000}x'", "a user's number"),
        (f"keepalive: {{quiet_hours: '{'mon-' * 15_000}'}}", "is no day"),
    ],
    ids=range(14),
)
def test_a_file_made_to_harm_is_refused_in_time_and_in_few_words(text: str, word: str) -> None:
    assert len(text) <= 1 << 16
    told = problems(text)
    assert word in "\n".join(told)
    assert sum(map(len, told)) < 8000


SCALARS = st.one_of(
    st.text("abc:[]{}&*!?|>-'\"%@` \n0123456789.,#~", max_size=12),
    st.sampled_from(
        ["on", "off", "~", ".nan", ".inf", "1:30", "0o7", "1e3", "2026-01-01", "!!binary x", '"\\ud800"']
    ),
)
LINES = st.lists(
    st.builds(
        "{}{}: {}".format,
        st.sampled_from(["", "  ", "- ", "  - "]),
        st.sampled_from(
            ["gpus", "keepalive", "enabled", "engine", "quiet_hours", "poll", "on", "&a x", "*a", "<<", "7"]
        ),
        SCALARS,
    ),
    max_size=6,
)


@given(LINES)
def test_any_file_is_understood_or_refused_line_by_line(lines: list[str]) -> None:
    content = "\n".join(lines).encode("utf-8", "surrogatepass")
    config = parse_config("config.yaml", content)
    assert config == parse_config("config.yaml", content)
    assert all(one.startswith("config.yaml:") and one.isprintable() for one in config.problems)


def test_a_config_that_says_the_same_is_the_same_and_another_is_not() -> None:
    first = parse_config("config.yaml", b"keepalive: {quiet_hours: [sat], gpu_util_high: 90}\n")
    assert first == parse_config("config.yaml", b"keepalive: {quiet_hours: [sat], gpu_util_high: 90}\n")
    assert first != parse_config("config.yaml", b"keepalive: {quiet_hours: [sun], gpu_util_high: 90}\n")
    assert first != Config()


def test_nothing_of_yaml_is_imported_where_there_is_no_file() -> None:
    code = "import sys, gpu_queue.config as c; c.resolve({}, {}); c.json_schema(); assert 'yaml' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


# -- the file itself ----------------------------------------------------------------------------------------------


def test_a_missing_file_says_nothing(tmp_path: Path) -> None:
    assert read_config(str(tmp_path / "config.yaml"), ME, is_shared=False) == Config()


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("# x\n" * 20000)
    with pytest.raises(SettingsError, match="larger than 65536 bytes"):
        read_config(str(tmp_path / "config.yaml"), ME, is_shared=False)


def test_a_directory_and_a_link_are_refused(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").mkdir()
    with pytest.raises(SettingsError, match="directory"):
        read_config(str(tmp_path / "config.yaml"), ME, is_shared=False)
    (tmp_path / "link").symlink_to("config.yaml")
    with pytest.raises(SettingsError, match="symbolic link"):
        read_config(str(tmp_path / "link"), ME, is_shared=False)


# -- another table: groups in groups, and lists of groups ------------------------------------------------------------


@dataclass(frozen=True)
class Delay:
    first_s: float = 30.0
    most_s: float = 3600.0


@dataclass(frozen=True)
class Retry:
    enabled: bool = True
    count: int = 0
    delay: Delay = Delay()


@dataclass(frozen=True)
class Notice:
    to: str
    on: tuple[str, ...] = ("failed",)
    quiet: bool = False

    def __post_init__(self) -> None:
        if self.quiet and self.on == ("failed",):
            raise ValueError("quiet about nothing but failures; expected other events too")


@dataclass(frozen=True)
class Nested:
    retry: Retry = field(default_factory=Retry)
    notify: tuple[Notice, ...] = ()


EVENTS = ListOf(one_of("failed", "done", "lost"), separator=",")
NOTICES = ListOfGroups(
    (
        Member("to", TEXT, "who is told", is_required=True),
        Member("on", EVENTS, "what is told"),
        Member("quiet", FLAG, "without a sound"),
    ),
    Notice,
)
NESTED = Table(
    (
        Setting("retry.enabled", "", "", "retry.enabled", FLAG, "on", "try again"),
        Setting("retry.count", "--retries", "RETRIES", "retry.count", COUNT, "0", "how often"),
        Setting("retry.delay.first_s", "", "FIRST", "retry.delay.first", DURATION, "30s", "before the first"),
        Setting("retry.delay.most_s", "", "", "retry.delay.most", DURATION, "1h", "at most"),
        Setting("notify", "", "", "notify", NOTICES, "", "who is told of what"),
    ),
    Nested(),
)


def nested(text: str, flags: dict[str, Any] | None = None, env: dict[str, str] | None = None) -> Nested:
    examined = examine(NESTED, flags or {}, env or {}, read("config.yaml", text.encode(), NESTED))
    assert examined.problems == ()
    return examined.settings


def test_groups_nest_and_flags_and_variables_reach_into_them() -> None:
    text = "retry:\n  count: 3\n  delay:\n    first: 1m\n"
    assert nested(text).retry == Retry(count=3, delay=Delay(60.0))
    assert nested(text, {"retry.count": "5"}, {"FIRST": "2m", "RETRIES": "4"}).retry == Retry(
        count=5, delay=Delay(120.0)
    )
    assert nested("retry: off\n").retry == Retry(enabled=False)


def test_a_list_of_groups_becomes_what_its_groups_stand_for() -> None:
    text = "notify:\n- {to: me, on: [done, lost]}\n- to: you\n  on: done\n- to: 7\n"
    assert nested(text).notify == (Notice("me", ("done", "lost")), Notice("you", ("done",)), Notice("7"))
    assert nested("notify: []\n").notify == ()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("retry:\n  delay: 3\n", ["2: retry.delay: 3; expected a group of settings"]),
        (
            "retry:\n  delay:\n    frist: 3\n",
            ["3: retry.delay: unknown setting 'frist'; did you mean retry.delay.first?"],
        ),
        ("notify: me\n", ["1: notify: 'me'; expected a list of groups"]),
        ("notify: {to: me}\n", ["1: notify: a mapping; expected a list of groups"]),
        ("notify:\n- me\n", ["2: notify[0]: 'me'; expected a group"]),
        ("notify:\n- to: me\n- on: done\n", ["3: notify[1]: has no to, which it needs"]),
        ("notify:\n- to: me\n  too: you\n", ["3: notify[0]: unknown key 'too'; did you mean to?"]),
        ("notify:\n- to: me\n  to: you\n", ["3: notify[0].to: given twice, first in line 2"]),
        (
            "notify:\n- to: me\n  on: [done, dead]\n  quiet: 5\n- to: [you]\n",
            [
                "3: notify[0].on[1]: 'dead'; expected failed or done or lost",
                "4: notify[0].quiet: 5; expected true or false",
                "5: notify[1].to: a list; expected text",
            ],
        ),
        (
            "notify:\n- {to: me, quiet: on}\n",
            ["2: notify[0]: quiet about nothing but failures; expected other events too"],
        ),
    ],
)
def test_what_is_wrong_within_is_told_by_its_line_and_path(text: str, told: list[str]) -> None:
    config = read("config.yaml", text.encode(), NESTED)
    assert [one.removeprefix("config.yaml:") for one in config.problems] == told


def test_aliases_of_a_group_in_a_list_count_as_often_as_they_are_used() -> None:
    text = f"notify: [&a {{{', '.join(f'k{number}: 1' for number in range(3000))}}}{', *a' * 8000}]"
    config = read("config.yaml", text.encode(), NESTED)
    assert f"more than {CHARACTERS_MAX} characters" in config.problems[-1] or "more problems" in config.problems[-1]
