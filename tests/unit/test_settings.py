"""Settings: which place wins, what is refused and with which words, and what a running agent takes over."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from gpu_queue.config import (
    SETTINGS,
    Setting,
    Settings,
    live_changes,
    parser,
    queue_root,
    resolve,
    settings_table,
)
from gpu_queue.errors import SettingsError
from gpu_queue.node.policy import read_config

EXAMPLES = {
    "job_id": ("car", "bike", "bus"),
    "queue_root": ("/a", "/b", "/c"),
    "lifetime_s": ("1h", "2h", "3h"),
    "gpus": ("0", "1", "2"),
    "simulate": ("1", "2", "3"),
    "keepalive": ("off", "on", "off"),
    "keepalive_engine": ("spin", "zeros", "cpu"),
    "keepalive_quiet": ("22:00-07:00", "sat,sun", "mon-fri 09:00-18:00"),
    "gpu_util_threshold": ("10", "20", "30"),
    "gpu_util_target": ("60", "65", "75"),
    "gpu_util_high": ("80", "90", "95"),
    "memory_usage_target": ("0.5", "40%", "0"),
    "hold_leased": ("on", "off", "auto"),
    "node_name": ("a", "b", "c"),
    "at_end": ("stop", "wait", "stop"),
    "until_empty": ("on", "off", "on"),
    "sweep": ("on", "off", "on"),
    "allow_group": ("on", "off", "on"),
    "local_dir": ("/a", "/b", "/c"),
    "log": ("pump", "direct", "pump"),
    "infeasible": ("fail", "wait", "fail"),
    "foreign_memory_bytes": ("2G", "3G", "4G"),
    "fence_after_s": ("1s", "2s", "3s"),
    "takeover_after_s": ("1h", "2h", "3h"),
    "cache_s": ("1s", "2s", "3s"),
    "allow_users": ("1", "2", "3"),
}


def examples(row: Setting) -> tuple[str, str, str]:
    return EXAMPLES.get(row.field, ("3", "4", "5"))


@pytest.mark.parametrize("row", SETTINGS, ids=lambda row: row.field)
def test_a_flag_beats_its_variable_which_beats_config_which_beats_the_default(row: Setting) -> None:
    texts = examples(row)
    expected = [row.parse(text) for text in texts]
    flags = {row.field: texts[0]} if row.flag else {}
    env = {row.env: texts[1]} if row.env else {}
    config = {row.key: texts[2]} if row.key else {}
    if row.flag:
        assert getattr(resolve(flags, env, config), row.field) == expected[0]
    if row.env:
        assert getattr(resolve({}, env, config), row.field) == expected[1]
    if row.key:
        assert getattr(resolve({}, {}, config), row.field) == expected[2]
    assert getattr(resolve({}, {row.env: ""} if row.env else {}, {}), row.field) == getattr(Settings(), row.field)


def test_every_setting_has_one_row_and_every_row_a_setting() -> None:
    assert sorted(row.field for row in SETTINGS) == sorted(field.name for field in dataclasses.fields(Settings))


@pytest.mark.parametrize("row", [row for row in SETTINGS if row.flag], ids=lambda row: row.field)
def test_every_flag_is_understood_by_the_command_line(row: Setting) -> None:
    words = [row.flag] if row.flag.startswith("--no-") or not row.metavar else [row.flag, examples(row)[0]]
    given = vars(parser().parse_args(words))
    assert given.pop("check") is False
    assert {key for key, value in given.items() if value is not None} == {row.field}
    resolve(given, {}, {})


def test_the_lifetime_may_be_told_in_hours() -> None:
    assert resolve({}, {"AUTO_SHUTDOWN_HOURS": "0.5"}, {}).lifetime_s == 1800
    assert resolve({}, {"AUTO_SHUTDOWN_HOURS": "90m"}, {}).lifetime_s == 5400
    assert resolve({}, {"AUTO_SHUTDOWN_HOURS": "never"}, {}).lifetime_s == float("inf")
    assert resolve({}, {"AUTO_SHUTDOWN_HOURS": "0"}, {}).lifetime_s == float("inf")
    assert resolve({}, {}, {"auto_shutdown_hours": "2"}).lifetime_s == 7200
    assert resolve({}, {}, {"auto_shutdown_hours": "2", "lifetime": "1h"}).lifetime_s == 3600
    assert resolve({}, {"AUTO_SHUTDOWN_HOURS": "3"}, {"lifetime": "1h"}).lifetime_s == 10800
    assert resolve({"lifetime_s": "5h"}, {"AUTO_SHUTDOWN_HOURS": "3"}, {}).lifetime_s == 18000


@pytest.mark.parametrize(
    ("flags", "env", "config", "words"),
    [
        ({"default_gpus": "x"}, {}, {}, ["--default-gpus", "'x'", "whole number"]),
        ({}, {"GPU_QUEUE_RETRIES": "-1"}, {}, ["GPU_QUEUE_RETRIES", "'-1'"]),
        ({}, {}, {"poll": "soon"}, ["config.yaml: poll", "'soon'", "30m"]),
        ({}, {"AUTO_SHUTDOWN_HOURS": "a day"}, {}, ["AUTO_SHUTDOWN_HOURS", "'a day'", "hours"]),
        ({}, {"AUTO_SHUTDOWN_HOURS": "9" * 300}, {}, ["AUTO_SHUTDOWN_HOURS"]),
        ({"lifetime_s": "9" * 300}, {}, {}, ["--lifetime", "hundred years"]),
        ({}, {}, {"keepalive": "maybe"}, ["config.yaml: keepalive", "true or false"]),
        ({"at_end": "kill"}, {}, {}, ["--at-end", "wait or stop"]),
        ({"job_id": "../x"}, {}, {}, ["--job-id", "without /"]),
        ({"job_id": ".."}, {}, {}, ["--job-id"]),
        ({"job_id": "-x"}, {}, {}, ["--job-id"]),
        ({}, {}, {"foreign_memory": "much"}, ["config.yaml: foreign_memory", "20G"]),
        ({}, {}, {"allow_users": "root"}, ["config.yaml: allow_users", "'root'"]),
        ({"poll_s": "0"}, {}, {}, ["longer than 0 s"]),
        ({"takeover_after_s": "10m"}, {}, {}, ["13m40s", "10m00s", "must end itself"]),
    ],
)
def test_a_value_that_cannot_be_obeyed_is_refused_with_its_place(
    flags: dict[str, str], env: dict[str, str], config: dict[str, str], words: list[str]
) -> None:
    with pytest.raises(SettingsError) as refused:
        resolve(flags, env, config)
    assert all(word in str(refused.value) for word in words)


def test_a_task_ends_itself_before_a_peer_may_take_it() -> None:
    resolve({"fence_after_s": "800", "stop_grace_s": "10", "beat_s": "30"}, {}, {})
    with pytest.raises(SettingsError, match="takeover_after"):
        resolve({"fence_after_s": "801", "stop_grace_s": "10", "beat_s": "30"}, {}, {})


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("", {}),
        ("# nothing\n", {}),
        ("retries: 2\npoll: 500ms\n", {"retries": "2", "poll": "500ms"}),
        ("keepalive: off\n", {"keepalive": "False"}),
        ("gpus: [0, 1]\n", {"gpus": "0,1"}),
        ("allow_users: [1000, 1001]\n", {"allow_users": "1000,1001"}),
        ("lifetime: 1.5\n", {"lifetime": "1.5"}),
    ],
)
def test_config_yaml_is_read_as_people_write_it(tmp_path: Path, text: str, read: dict[str, str]) -> None:
    (tmp_path / "config.yaml").write_text(text)
    assert read_config(str(tmp_path / "config.yaml")) == read


def test_a_missing_config_is_empty(tmp_path: Path) -> None:
    assert read_config(str(tmp_path / "config.yaml")) == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("retires: 2\n", ["unknown setting 'retires'", "retries"]),
        ("- a\n", ["holds a list", "mapping"]),
        ("just words\n", ["holds a str"]),
        ("poll: {a: 1}\n", ["poll holds dict", "single value"]),
        ("poll:\n", ["poll holds NoneType"]),
        ("gpus: []\n", ["gpus holds an empty list"]),
        ("poll: 2026-01-01\n", ["poll holds date"]),
        ("a: [\n", ["no YAML"]),
        (f"retries: 0x{'f' * 5000}\n", ["retries is a number that is too long"]),
        ("# x\n" * 20000, ["larger than 65536 bytes"]),
    ],
)
def test_a_config_that_cannot_be_obeyed_says_where_and_why(tmp_path: Path, text: str, words: list[str]) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError) as refused:
        resolve({}, {}, read_config(str(path)))
    assert str(refused.value).startswith(str(path))
    assert all(word in str(refused.value) for word in words)


def test_a_config_that_is_a_directory_or_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").mkdir()
    with pytest.raises(SettingsError, match="directory"):
        read_config(str(tmp_path / "config.yaml"))
    (tmp_path / "link").symlink_to("config.yaml")
    with pytest.raises(SettingsError, match="symbolic link"):
        read_config(str(tmp_path / "link"))


def test_a_running_agent_takes_over_policy_and_names_what_waits_for_the_next_one() -> None:
    old = Settings(retries=1, poll_s=1.0)
    taken, waiting = live_changes(old, Settings(retries=2, stop_grace_s=3.0, poll_s=5.0, gpus="0"))
    assert taken == Settings(retries=2, stop_grace_s=3.0, poll_s=1.0)
    assert sorted(waiting) == ["gpus", "poll"]


def test_the_queue_root_is_absolute_and_at_home_unless_told() -> None:
    assert queue_root(Settings(), {"HOME": "/home/a"}) == "/home/a/gpu_queue"
    assert queue_root(Settings(queue_root="/x/../y"), {}) == "/y"


def test_the_readmes_table_has_a_row_for_every_setting() -> None:
    rows = settings_table().splitlines()[2:]
    assert len(rows) == len(SETTINGS)
    for row, line in zip(SETTINGS, rows, strict=True):
        assert line.count("|") == 6
        assert all(word in line for word in (row.flag, row.env, row.key, row.meaning) if word)
