"""Settings: which place wins, what is refused and with which words, and what a running agent takes over."""

from __future__ import annotations

import dataclasses
import runpy
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path

import pytest

from gpu_queue.conf import Said, parse_conf
from gpu_queue.config import (
    SETTINGS,
    TABLE,
    Config,
    Elsewhere,
    Keepalive,
    Setting,
    Settings,
    examine,
    live_changes,
    parse_config,
    parser,
    queue_root,
    resolve,
    settings_table,
)
from gpu_queue.config.notify import Notify
from gpu_queue.errors import SettingsError
from gpu_queue.sharing import RetryConfig, Sharing

EXAMPLES = {
    "job_id": ("car", "bike", "bus"),
    "queue_root": ("/a", "/b", "/c"),
    "lifetime_s": ("1h", "2h", "3h"),
    "gpus": ("0", "1", "2"),
    "simulate": ("1", "2", "3"),
    "keepalive.enabled": ("off", "on", "off"),
    "keepalive.engine": ("spin", "zeros", "cpu"),
    "keepalive.quiet_hours": ("22:00-07:00", "sat,sun", "mon-fri 09:00-18:00"),
    "keepalive.gpu_util_threshold": ("10", "20", "30"),
    "keepalive.gpu_util_target": ("60", "65", "75"),
    "keepalive.gpu_util_high": ("80", "90", "95"),
    "keepalive.memory_usage_target": ("0.5", "40%", "0"),
    "keepalive.hold_leased": ("on", "off", "auto"),
    "node_name": ("a", "b", "c"),
    "at_end": ("stop", "wait", "stop"),
    "until_empty": ("on", "off", "on"),
    "sweep": ("on", "off", "gpus"),
    "allow_group": ("on", "off", "on"),
    "local_dir": ("/a", "/b", "/c"),
    "log": ("pump", "direct", "pump"),
    "slurm_environment": ("off", "auto", "off"),
    "infeasible": ("fail", "wait", "fail"),
    "foreign_memory_bytes": ("2G", "3G", "4G"),
    "fence_after_s": ("1s", "2s", "3s"),
    "takeover_after_s": ("1h", "2h", "3h"),
    "cache_s": ("1s", "2s", "3s"),
    "allow_users": ("1", "2", "3"),
    "mode": ("shared", "dedicated", "shared"),
    "sharing.compete_gpus": ("0,1", "2", "GPU-3, 4"),
    "sharing.use_all_gpus": ("on", "off", "on"),
    "sharing.gpu_left": ("1", "free:2", "free:3"),
    "sharing.min_memory_bytes": ("8000", "8G", "1.5GiB"),
    "sharing.maximize_resource_utilization": ("on", "off", "on"),
    "sharing.select": ("least_util", "round_robin", "most_free"),
    "sharing.process_json": ("/a.json", "~/b.json", "c.json"),
    "sharing.max_concurrent": ("3", "none", "5"),
    "sharing.max_wait_time_s": ("1h", "none", "90"),
    "sharing.retry_config.max_retries": ("3", "none", "5"),
    "work_dir": ("/a", "../", "none"),
    "notify.tasks": ("ops", "ops:done", "ops:failed, me"),
    "notify.queues": ("ops", "me", "ops:failed"),
    "notify.groups": ("ops", "me", "ops:failed"),
    "notify.agents": ("ops", "me", "ops,me"),
}


def examples(row: Setting) -> tuple[str, str, str]:
    return EXAMPLES.get(row.field, ("3", "4", "5"))


def config(text: str) -> Config:
    return parse_config("/queue/config.yaml", text.encode())


def yaml_of(key: str, text: str) -> str:
    """The text that gives one setting in config.yaml, nested as its key says."""
    *groups, last = key.split(".")
    lines = [f"{'  ' * depth}{name}:" for depth, name in enumerate(groups)]
    return "\n".join([*lines, f"{'  ' * len(groups)}{last}: {text}\n"])


def fields_of(settings: object, prefix: str = "") -> Iterator[str]:
    assert dataclasses.is_dataclass(settings)
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if isinstance(value, (Keepalive, Sharing, RetryConfig, Notify)):
            yield from fields_of(value, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}"


@pytest.mark.parametrize("row", SETTINGS, ids=lambda row: f"{row.field}-{row.key or row.flag}")
def test_a_flag_beats_its_variable_which_beats_config_which_beats_the_default(row: Setting) -> None:
    texts = examples(row)
    expected = [row.kind.from_text(text) for text in texts]
    flags = {row.field: texts[0]} if row.flag else {}
    env = {row.env: texts[1]} if row.env else {}
    given = config(yaml_of(row.key, texts[2])) if row.key else Config()
    value = attrgetter(row.field)
    if row.flag:
        assert value(resolve(flags, env, given)) == expected[0]
    if row.env:
        assert value(resolve({}, env, given)) == expected[1]
    if row.key:
        assert value(resolve({}, {}, given)) == expected[2]
    assert value(resolve({}, {row.env: ""} if row.env else {})) == value(Settings())


@pytest.mark.parametrize("row", [row for row in SETTINGS if row.env], ids=lambda row: row.env)
def test_gpu_queue_conf_beats_config_yaml_which_beats_a_constant_and_the_environment_beats_them(row: Setting) -> None:
    conf, yaml, constant = examples(row)
    text = f"{row.env}={conf}" if row.field != "simulate" else f"{row.env}='{conf}'"
    said = Elsewhere(parse_conf("/x/gpu-queue.conf", text, "/home/a"), {row.env: Said(constant, "/x/program.py")})
    only_constant = Elsewhere(constants=said.constants)
    given = config(yaml_of(row.key, yaml)) if row.key else Config()
    value = attrgetter(row.field)
    assert value(resolve({}, {row.env: yaml}, given, said)) == row.kind.from_text(yaml)
    assert value(resolve({}, {}, given, said)) == row.kind.from_text(conf)
    if row.key:
        assert value(resolve({}, {}, given, only_constant)) == row.kind.from_text(yaml)
    assert value(resolve({}, {}, Config(), only_constant)) == row.kind.from_text(constant)


def test_what_cannot_be_obeyed_in_gpu_queue_conf_or_a_constant_is_refused_with_its_place() -> None:
    conf = parse_conf("/x/gpu-queue.conf", "\nGPU_QUEUE_RETRIES=many\nGPU_QUEUE_POLL=$(x)\nnonsense\n", "/home/a")
    constants = {"GPU_UTIL_TARGET": Said("high", "/x/p.py"), "GPU_UTIL_TARGT": Said("3", "/x/p.py")}
    with pytest.raises(SettingsError) as refused:
        resolve({}, {}, Config(), Elsewhere(conf, constants))
    assert [problem.partition("; ")[0] for problem in refused.value.problems] == [
        "/x/gpu-queue.conf:3: GPU_QUEUE_POLL: '$(x)'",
        "/x/gpu-queue.conf:4: 'nonsense'",
        "/x/p.py: unknown setting 'GPU_UTIL_TARGT', which counts for nothing",
        "/x/p.py: GPU_UTIL_TARGET: 'high'",
        "/x/gpu-queue.conf:2: GPU_QUEUE_RETRIES: 'many'",
    ]


def test_a_constant_that_nobody_has_edited_gets_no_blame() -> None:
    shipped = {name: Said(text, "/x/p.py") for name, text in (("GPU_UTIL_TARGET", "70"), ("GPU_UTIL_HIGH", "85"))}
    with pytest.raises(SettingsError, match=r"^GPU_UTIL_TARGET: gpu_util_high \(85\) is less"):
        resolve({}, {"GPU_UTIL_TARGET": "90"}, Config(), Elsewhere(constants=shipped))


def test_the_constants_of_perpetual_motion_py_are_the_defaults() -> None:
    program = runpy.run_path(str(Path(__file__).parents[2] / "perpetual_motion.py"), run_name="read")
    constants = {name: Said(str(value), "p") for name, value in program.items() if name.isupper()}
    assert sorted(constants) == [
        "AUTO_SHUTDOWN_HOURS",
        "GPU_UTIL_HIGH",
        "GPU_UTIL_TARGET",
        "GPU_UTIL_THRESHOLD",
        "MEMORY_USAGE_TARGET",
    ]
    assert resolve({}, {}, Config(), Elsewhere(constants=constants)) == Settings()


def test_every_setting_has_a_row_and_every_row_a_setting() -> None:
    assert {row.field for row in SETTINGS} == set(fields_of(Settings()))


@pytest.mark.parametrize("row", [row for row in SETTINGS if row.flag], ids=lambda row: row.field)
def test_every_flag_is_understood_by_the_command_line(row: Setting) -> None:
    words = [row.flag] if row.flag.startswith("--no-") or not row.metavar else [row.flag, examples(row)[0]]
    given = vars(parser().parse_args(words))
    assert given.pop("check") is False
    assert {key for key, value in given.items() if value is not None} == {row.field}
    resolve(given, {})


def test_the_lifetime_may_be_told_in_hours() -> None:
    assert resolve({}, {"AUTO_SHUTDOWN_HOURS": "0.5"}).lifetime_s == 1800
    assert resolve({}, {"AUTO_SHUTDOWN_HOURS": "90m"}).lifetime_s == 5400
    assert resolve({}, {"AUTO_SHUTDOWN_HOURS": "never"}).lifetime_s == float("inf")
    assert resolve({}, {"AUTO_SHUTDOWN_HOURS": "0"}).lifetime_s == float("inf")
    assert resolve({}, {}, config("auto_shutdown_hours: 2")).lifetime_s == 7200
    assert resolve({}, {}, config("auto_shutdown_hours: 1.5")).lifetime_s == 5400
    assert resolve({}, {}, config("auto_shutdown_hours: 2\nlifetime: 1h")).lifetime_s == 3600
    assert resolve({}, {"AUTO_SHUTDOWN_HOURS": "3"}, config("lifetime: 1h")).lifetime_s == 10800
    assert resolve({"lifetime_s": "5h"}, {"AUTO_SHUTDOWN_HOURS": "3"}).lifetime_s == 18000


@pytest.mark.parametrize(
    ("flags", "env", "text", "words"),
    [
        ({"default_gpus": "x"}, {}, "", ["--default-gpus: 'x'", "whole number"]),
        ({}, {"GPU_QUEUE_RETRIES": "-1"}, "", ["GPU_QUEUE_RETRIES: '-1'"]),
        ({}, {"GPU_QUEUE_RETRIES": "٣"}, "", ["GPU_QUEUE_RETRIES: '٣'"]),
        ({}, {}, "poll: soon", ["/queue/config.yaml:1: poll: 'soon'", "30m"]),
        ({}, {"AUTO_SHUTDOWN_HOURS": "a day"}, "", ["AUTO_SHUTDOWN_HOURS: 'a day'", "hours"]),
        ({}, {"AUTO_SHUTDOWN_HOURS": "9" * 300}, "", ["AUTO_SHUTDOWN_HOURS"]),
        ({"lifetime_s": "9" * 300}, {}, "", ["--lifetime", "hundred years"]),
        ({}, {}, "keepalive: maybe", ["config.yaml:1: keepalive: 'maybe'", "true or false"]),
        ({"at_end": "kill"}, {}, "", ["--at-end", "wait or stop"]),
        ({"job_id": "../x"}, {}, "", ["--job-id", "without /"]),
        ({"job_id": ".."}, {}, "", ["--job-id"]),
        ({"job_id": "-x"}, {}, "", ["--job-id"]),
        ({"gpus": "0,,1"}, {}, "", ["--gpus: ''", "indices"]),
        ({}, {}, "foreign_memory: much", ["config.yaml:1: foreign_memory", "20G"]),
        ({}, {}, "allow_users: root", ["config.yaml:1: allow_users: 'root'", "a user's number"]),
        ({"poll_s": "0"}, {}, "", ["--poll: '0'", "longer than 0 s"]),
        ({"takeover_after_s": "10m"}, {}, "", ["--takeover-after: ", "13m40s", "10m00s", "must end itself"]),
        ({}, {}, "cache: 1s\nfence_after: 15m", ["config.yaml:2: fence_after: ", "15m41s", "must end itself"]),
        (
            {},
            {"GPU_UTIL_TARGET": "90"},
            "",
            ["GPU_UTIL_TARGET: gpu_util_high (85) is less than 5 points above gpu_util_target (90)"],
        ),
        (
            {},
            {},
            "keepalive:\n  gpu_util_threshold: 80",
            ["config.yaml:2: keepalive.gpu_util_threshold: gpu_util_threshold (80) is above"],
        ),
    ],
)
def test_a_value_that_cannot_be_obeyed_is_refused_with_its_place(
    flags: dict[str, str], env: dict[str, str], text: str, words: list[str]
) -> None:
    with pytest.raises(SettingsError) as refused:
        resolve(flags, env, config(text))
    assert len(refused.value.problems) == 1
    assert all(word in str(refused.value) for word in words)


def test_all_problems_of_all_places_are_told_at_once_a_line_for_each() -> None:
    with pytest.raises(SettingsError) as refused:
        resolve(
            {"default_gpus": "x"},
            {"GPU_QUEUE_LOG": "loud"},
            config("retires: 2\nkeepalive:\n  gpu_util_high: 101\ntakeover_after: 1m\n"),
        )
    lines = str(refused.value).splitlines()
    assert list(refused.value.problems) == lines
    assert [line.rpartition(": ")[0] for line in lines[1:4]] == [
        "/queue/config.yaml:3: keepalive.gpu_util_high",
        "--default-gpus",
        "GPU_QUEUE_LOG",
    ]
    assert lines[0] == "/queue/config.yaml:1: unknown setting 'retires'; did you mean retries?"
    assert lines[1].endswith(": 101; expected a percentage, 0 to 100")
    assert lines[4].startswith("/queue/config.yaml:4: takeover_after: fence_after + stop_grace + beat + cache is")
    assert len(lines) == 5


def test_what_must_fit_a_value_that_is_refused_is_not_judged() -> None:
    with pytest.raises(SettingsError) as refused:
        resolve({}, {}, config("takeover_after: soon\nfence_after: 20m\n"))
    assert [problem.split(": ")[1] for problem in refused.value.problems] == ["takeover_after"]


def test_a_value_in_config_yaml_is_looked_at_also_where_a_flag_beats_it() -> None:
    with pytest.raises(SettingsError, match=r"config\.yaml:1: retries: 'many'"):
        resolve({"retries": "2"}, {}, config("retries: many\n"))


def test_no_slots_are_none_wherever_that_is_said() -> None:
    assert resolve({"cpu_slots": "0"}, {}, config("cpu_slots: 2")).cpu_slots == 0
    assert resolve({}, {"GPU_QUEUE_CPU_SLOTS": "0"}).cpu_slots == 0
    assert resolve({}, {}, config("cpu_slots: 0")).cpu_slots == 0


def test_settings_are_known_besides_those_that_are_refused() -> None:
    examined = examine(TABLE, {"job_id": "car", "retries": "x"}, {}, config("poll: soon\nmax_lost: 7\n"))
    assert examined.settings == Settings(job_id="car", max_lost=7)
    assert len(examined.problems) == 2


def test_a_task_ends_itself_before_a_peer_may_take_it() -> None:
    resolve({"fence_after_s": "800", "stop_grace_s": "10", "beat_s": "30"}, {})
    with pytest.raises(SettingsError, match="takeover_after"):
        resolve({"fence_after_s": "801", "stop_grace_s": "10", "beat_s": "30"}, {})


def test_a_flag_may_make_fit_what_config_yaml_alone_does_not() -> None:
    resolve({"takeover_after_s": "1h"}, {}, config("fence_after: 30m\n"))


def test_a_running_agent_takes_over_policy_and_names_what_waits_for_the_next_one() -> None:
    old = Settings(retries=1, poll_s=1.0, keepalive=Keepalive(engine="zeros", python="/a"))
    changed = Keepalive(engine="spin", python="/b", gpu_util_high=90)
    new = Settings(retries=2, stop_grace_s=3.0, poll_s=5.0, gpus=("0",), lifetime_s=1.0, keepalive=changed)
    taken, waiting = live_changes(old, new)
    kept = Keepalive(engine="spin", python="/a", gpu_util_high=90)
    assert taken == Settings(retries=2, stop_grace_s=3.0, poll_s=1.0, keepalive=kept)
    assert waiting == ["lifetime", "gpus", "keepalive.python", "poll"]


def test_the_queue_root_is_absolute_and_at_home_unless_told() -> None:
    assert queue_root(Settings(), {"HOME": "/home/a"}) == "/home/a/gpu_queue"
    assert queue_root(Settings(queue_root="/x/../y"), {}) == "/y"


def test_the_readmes_table_has_a_line_for_every_row() -> None:
    lines = settings_table().splitlines()[2:]
    assert len(lines) == len(SETTINGS)
    for row, line in zip(SETTINGS, lines, strict=True):
        assert line.count("|") == 6
        assert all(word in line for word in (row.flag, row.env, row.key, row.meaning) if word)


@pytest.mark.parametrize("text", ["on", "true", "1", "gpus", "GPUS"])
def test_a_sweep_that_is_on_is_one_of_what_holds_gpus(text: str) -> None:
    assert resolve({}, {"GPU_QUEUE_SWEEP": text}).sweep == "gpus"
    assert resolve({}, {}, config(f"sweep: {text}\n")).sweep == "gpus"
    assert vars(parser().parse_args(["--sweep"]))["sweep"] == "gpus"


def test_all_is_swept_only_where_this_node_was_meant_and_never_by_a_file_that_speaks_for_many() -> None:
    assert resolve({}, {"GPU_QUEUE_SWEEP": "all"}).sweep == "all"
    assert resolve(vars(parser().parse_args(["--sweep", "all"])), {}).sweep == "all"
    conf = Elsewhere(parse_conf("/x/gpu-queue.conf", "GPU_QUEUE_SWEEP=all", "/home/a"))
    constant = Elsewhere(constants={"GPU_QUEUE_SWEEP": Said("all", "/x/program.py")})
    for given, elsewhere in ((config("sweep: all\n"), Elsewhere()), (Config(), conf), (Config(), constant)):
        with pytest.raises(SettingsError, match=r"'all'; expected off or gpus$"):
            resolve({}, {}, given, elsewhere)
