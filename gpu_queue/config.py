"""Settings: one table, from which flags, environment variables, config.yaml and the README's table are made.

- A flag beats its environment variable, which beats ``config.yaml`` in the spool, which beats the default.
- Units are in the names.  A value that cannot be obeyed is refused with the place that it came from.
- Everything here is pure; ``node.policy`` reads the file.
- What is marked ``live`` is policy: it is taken over when config.yaml changes under a running agent.
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from gpu_queue.band import Band
from gpu_queue.errors import SettingsError
from gpu_queue.hours import parse_quiet_hours
from gpu_queue.units import format_duration, parse_duration_s, parse_size_bytes


@dataclass(frozen=True)
class Settings:
    """Everything an agent can be told, with the defaults."""

    job_id: str = ""
    queue_root: str = ""
    lifetime_s: float = 24 * 3600.0
    gpus: str = "all"
    simulate: str = ""
    keepalive: bool = True
    keepalive_engine: str = "matmul"
    keepalive_quiet: str = ""
    keepalive_python: str = ""
    gpu_util_threshold: int = 50
    gpu_util_target: int = 70
    gpu_util_high: int = 85
    memory_usage_target: float = 0.6
    hold_leased: str = "auto"
    hold_leased_after_s: float = 600.0
    node_name: str = ""
    at_end: str = "wait"
    until_empty: bool = False
    sweep: bool = False
    allow_group: bool = False
    local_dir: str = ""
    default_gpus: int = 1
    cpu_slots: int = 4
    retries: int = 0
    max_lost: int = 3
    retry_delay_s: float = 30.0
    infeasible: str = "wait"
    log: str = "direct"
    foreign_memory_bytes: int = 1 << 30
    stop_grace_s: float = 10.0
    leave_grace_s: float = 20.0
    poll_s: float = 1.0
    beat_s: float = 30.0
    fence_after_s: float = 720.0
    takeover_after_s: float = 900.0
    cache_s: float = 60.0
    settle_s: float = 0.0
    settle_unfinished_s: float = 60.0
    allow_users: tuple[int, ...] = ()


@dataclass(frozen=True)
class Setting:
    """One row of the table."""

    field: str
    flag: str
    env: str
    key: str
    """In config.yaml; empty: not there."""
    parse: Callable[[str], Any]
    shown_default: str
    meaning: str
    metavar: str = ""
    live: bool = False


def _text(value: str) -> str:
    return value


def _flag(value: str) -> bool:
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if value.strip().lower() not in words:
        raise ValueError(f"{value!r}; expected true or false")
    return words[value.strip().lower()]


def _lifetime(value: str) -> float:
    if value.strip().lower() in ("never", "0"):
        return float("inf")
    return parse_duration_s(value)


def _hours(value: str) -> float:
    text = value.strip()
    try:
        return _lifetime(text if text == "0" or not re.fullmatch(r"[\d.]+", text) else f"{text}h")
    except ValueError:
        raise ValueError(f"{value!r}; expected hours, for example 24 or 0.5") from None


def _count(value: str) -> int:
    if not re.fullmatch(r"\d{1,6}", value.strip()):
        raise ValueError(f"{value!r}; expected a whole number")
    return int(value)


def _percent(value: str) -> int:
    if not re.fullmatch(r"\d{1,3}", value.strip()) or int(value) > 100:
        raise ValueError(f"{value!r}; expected a percentage, 0 to 100")
    return int(value)


def _fraction(value: str) -> float:
    """``0.6``, ``60%``; 0 holds no memory at all."""
    text = value.strip()
    if re.fullmatch(r"\d{1,3}%", text) and int(text[:-1]) <= _FRACTION_MAX * 100:
        return int(text[:-1]) / 100
    if re.fullmatch(r"\d?\.\d{1,6}|0", text) and float(text) <= _FRACTION_MAX:
        return float(text)
    raise ValueError(f"{value!r}; expected a part of the memory from 0 to {_FRACTION_MAX}, for example 0.6")


def _quiet(value: str) -> str:
    parse_quiet_hours(value)
    return value


def _one_of(*words: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if value not in words:
            raise ValueError(f"{value!r}; expected {' or '.join(words)}")
        return value

    return parse


def _job_id(value: str) -> str:
    if not re.fullmatch(r"[^/\0\n-][^/\0\n]{0,199}", value) or value in (".", ".."):
        raise ValueError(f"{value!r}; expected a name without / that does not begin with -")
    return value


def _uids(value: str) -> tuple[int, ...]:
    return tuple(_count(one) for one in value.replace(",", " ").split())


SETTINGS: tuple[Setting, ...] = (
    Setting("job_id", "--job-id", "JOB_ID", "", _job_id, "", "which spool in the queue root to serve (needed)", "ID"),
    Setting("queue_root", "--queue-root", "QUEUE_ROOT", "", _text, "~/gpu_queue", "the shared directory", "DIR"),
    Setting("lifetime_s", "--lifetime", "", "lifetime", _lifetime, "24h", "the agent ends itself after this; `never`", "24h"),
    Setting("gpus", "--gpus", "GPU_QUEUE_GPUS", "gpus", _text, "all", "GPUs to serve: `all`, indices or UUIDs", "LIST"),
    Setting("simulate", "--simulate", "GPU_QUEUE_SIMULATE", "simulate", _text, "", "simulated GPUs, for demos and tests: `4` or `4x80G`", "N"),
    Setting("keepalive", "--no-keepalive", "GPU_QUEUE_KEEPALIVE", "keepalive", _flag, "on", "keep idle GPUs busy", live=True),
    Setting("keepalive_engine", "--keepalive-engine", "GPU_QUEUE_KEEPALIVE_ENGINE", "keepalive.engine", _one_of("matmul", "zeros", "spin", "cpu"), "matmul", "what they are kept busy with: `matmul`, `zeros`, `spin` (or `cpu`, for simulated GPUs)", "NAME", live=True),
    Setting("gpu_util_threshold", "", "GPU_UTIL_THRESHOLD", "keepalive.gpu_util_threshold", _percent, "50", "utilisation in % below which keep-alive catches up at once", live=True),
    Setting("gpu_util_target", "", "GPU_UTIL_TARGET", "keepalive.gpu_util_target", _percent, "70", "lower end of the band that is held", live=True),
    Setting("gpu_util_high", "", "GPU_UTIL_HIGH", "keepalive.gpu_util_high", _percent, "85", "upper end of the band", live=True),
    Setting("memory_usage_target", "", "MEMORY_USAGE_TARGET", "keepalive.memory_usage_target", _fraction, "0.6", "part of a card's memory that keep-alive holds", live=True),
    Setting("keepalive_quiet", "", "GPU_QUEUE_KEEPALIVE_QUIET", "keepalive.quiet_hours", _quiet, "", "when it rests, in the node's local time: `22:00-07:00`, `mon-fri 09:00-18:00`", live=True),
    Setting("hold_leased", "", "GPU_QUEUE_HOLD_LEASED", "keepalive.hold_leased", _one_of("auto", "on", "off"), "auto", "also hold a GPU that a task has but leaves idle; `auto`: on dedicated nodes (`--sweep`)", live=True),
    Setting("hold_leased_after_s", "", "GPU_QUEUE_HOLD_LEASED_AFTER", "keepalive.hold_leased_after", parse_duration_s, "10m", "after it was idle for so long", live=True),
    Setting("keepalive_python", "", "GPU_QUEUE_KEEPALIVE_PYTHON", "keepalive.python", _text, "the agent's", "the Python that has torch, where the agent's has none"),
    Setting("node_name", "--node-name", "GPU_QUEUE_NODE_NAME", "", _text, "the host's name", "how this node is called", "NAME"),
    Setting("at_end", "--at-end", "GPU_QUEUE_AT_END", "at_end", _one_of("wait", "stop"), "wait", "at the end of the lifetime: `wait` for running tasks or `stop` (requeue) them", "WHAT"),
    Setting("until_empty", "--until-empty", "GPU_QUEUE_UNTIL_EMPTY", "", _flag, "off", "exit when nothing waits and nothing runs"),
    Setting("sweep", "--sweep", "GPU_QUEUE_SWEEP", "sweep", _flag, "off", "dedicated node: `gpu_stop` also ends stray Python processes of this user that hold GPUs"),
    Setting("allow_group", "--allow-group", "GPU_QUEUE_ALLOW_GROUP", "", _flag, "off", "serve a spool that its group can write; beside your own files only those of `allow_users` run"),
    Setting("local_dir", "--local-dir", "GPU_QUEUE_LOCAL_DIR", "", _text, "/tmp/gpu-queue-$UID", "the node's own directory, on a local disk", "DIR"),
    Setting("default_gpus", "--default-gpus", "GPU_QUEUE_DEFAULT_GPUS", "default_gpus", _count, "1", "GPUs of a task that says nothing", "N", live=True),
    Setting("cpu_slots", "--cpu-slots", "GPU_QUEUE_CPU_SLOTS", "cpu_slots", _count, "4", "tasks of 0 GPUs that run at once", "N", live=True),
    Setting("retries", "--retries", "GPU_QUEUE_RETRIES", "retries", _count, "0", "tries after a failure, for tasks that do not say", "N", live=True),
    Setting("max_lost", "--max-lost", "GPU_QUEUE_MAX_LOST", "max_lost", _count, "3", "tries lost with their shim or node before a task is given up", "N", live=True),
    Setting("retry_delay_s", "--retry-delay", "GPU_QUEUE_RETRY_DELAY", "retry_delay", parse_duration_s, "30s", "before the first retry; doubles, up to 1 h", "TIME", live=True),
    Setting("infeasible", "--infeasible", "GPU_QUEUE_INFEASIBLE", "infeasible", _one_of("wait", "fail"), "wait", "a task that this node can never run: `wait` (for another node) or `fail`", "WHAT", live=True),
    Setting("log", "--log", "GPU_QUEUE_LOG", "log", _one_of("direct", "pump"), "direct", "`pump`: what a task prints goes through a process that drops it where the disk is full, so that no training ends by its log", "WAY", live=True),
    Setting("foreign_memory_bytes", "--foreign-memory", "GPU_QUEUE_FOREIGN_MEMORY", "foreign_memory", parse_size_bytes, "1G", "a GPU without a task of ours that uses more is somebody else's", "SIZE", live=True),
    Setting("stop_grace_s", "--stop-grace", "GPU_QUEUE_STOP_GRACE", "stop_grace", parse_duration_s, "10s", "between TERM and KILL when a task is stopped", "TIME", live=True),
    Setting("leave_grace_s", "--leave-grace", "GPU_QUEUE_LEAVE_GRACE", "leave_grace", parse_duration_s, "20s", "the same when the node is taken back", "TIME", live=True),
    Setting("poll_s", "--poll", "GPU_QUEUE_POLL", "poll", parse_duration_s, "1s", "how often pending/ is listed when no event tells", "TIME"),
    Setting("beat_s", "--beat", "GPU_QUEUE_BEAT", "beat", parse_duration_s, "30s", "how often node and tasks give a sign of life", "TIME"),
    Setting("fence_after_s", "--fence-after", "GPU_QUEUE_FENCE_AFTER", "fence_after", parse_duration_s, "12m", "on network storage a task ends itself after so long without a sign of life", "TIME"),
    Setting("takeover_after_s", "--takeover-after", "GPU_QUEUE_TAKEOVER_AFTER", "takeover_after", parse_duration_s, "15m", "a task is taken over from a node that gave no sign of life for so long; longer than `fence_after`, the same on all nodes", "TIME"),
    Setting("cache_s", "--cache", "GPU_QUEUE_CACHE", "cache", parse_duration_s, "60s", "how old a state of its files the storage may show to another node (NFS: `acregmax`)", "TIME"),
    Setting("settle_s", "--settle", "GPU_QUEUE_SETTLE", "settle", parse_duration_s, "2s local, 10s network", "how long a file dropped by hand must stand still", "TIME"),
    Setting("settle_unfinished_s", "--settle-unfinished", "GPU_QUEUE_SETTLE_UNFINISHED", "settle_unfinished", parse_duration_s, "60s", "the same for one that is empty or ends without a newline", "TIME"),
    Setting("allow_users", "", "", "allow_users", _uids, "", "uids whose scripts run, beside yours and the spool's owner's"),
)  # fmt: skip
_FRACTION_MAX = 0.95
_HOURS_ENV = "AUTO_SHUTDOWN_HOURS"
_HOURS_KEY = "auto_shutdown_hours"
_GROUP = "keepalive"
"""The one setting that may be a mapping of its own: ``enabled`` stands for its plain value."""


def parser() -> argparse.ArgumentParser:
    """The agent's command line, from the table."""
    made = argparse.ArgumentParser(
        prog="perpetual_motion.py",
        description="Serve one spool on this node: run its scripts on free GPUs.",
        epilog="Each flag has an environment variable and most a place in config.yaml: see README, Settings.",
        allow_abbrev=False,
    )
    for row in SETTINGS:
        if not row.flag:
            continue
        meaning = f"do not {row.meaning}" if row.flag.startswith("--no-") else row.meaning
        default = f" (default: {row.shown_default})" if row.shown_default and row.parse is not _flag else ""
        text = (meaning + default).replace("`", "").replace("%", "%%")
        if row.parse is _flag:
            constant = "off" if row.flag.startswith("--no-") else "on"
            made.add_argument(row.flag, dest=row.field, action="store_const", const=constant, help=text)
        else:
            made.add_argument(row.flag, dest=row.field, metavar=row.metavar, help=text)
    made.add_argument("--check", action="store_true", help="say what would be done here, and exit 0 if it can be")
    return made


def parse_config(path: str, content: bytes) -> dict[str, str]:
    """The values of a config.yaml as strings.

    Args:
        path: where it stands, for messages.
        content: what stands in it.

    Raises:
        SettingsError: it is no mapping, or holds a key that nobody knows or a value that is no single one.
    """
    import yaml  # noqa: PLC0415  most spools have no config.yaml, and an idle agent is small

    try:
        value = yaml.safe_load(content)
    except Exception as error:  # beside YAMLError the parser lets pass what its constructors stumble over
        raise SettingsError(f"{path}: no YAML: {' '.join(str(error).split())}") from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise SettingsError(f"{path}: holds a {type(value).__name__}; expected a mapping of settings")
    known = {row.key for row in SETTINGS if row.key} | {_HOURS_KEY}
    result: dict[str, str] = {}
    for key, given in _flattened(path, value).items():
        if key not in known:
            near = difflib.get_close_matches(str(key)[:100], known, 1)
            hint = f"did you mean {near[0]}?" if near else "README, Settings, lists them"
            raise SettingsError(f"{path}: unknown setting {str(key)[:100]!r}; {hint}")
        # Looked at before it is shown: aliases in YAML make small files of huge values.
        values = given if isinstance(given, list) else [given]
        wrong = [one for one in values if not isinstance(one, (str, int, float))]
        if wrong or (isinstance(given, list) and not given):
            what = type(wrong[0]).__name__ if wrong else "an empty list"
            raise SettingsError(f"{path}: {key} holds {what}; expected a single value, or a list of such")
        try:
            result[key] = ",".join(map(str, values))
        except ValueError:  # a whole number of thousands of digits
            raise SettingsError(f"{path}: {key} is a number that is too long") from None
    return result


def _flattened(path: str, value: dict[Any, Any]) -> dict[Any, Any]:
    """With what stands below ``keepalive:`` as ``keepalive.engine`` and so on."""
    group = value.get(_GROUP)
    if not isinstance(group, dict):
        return value
    flat = {key: given for key, given in value.items() if key != _GROUP}
    for key, given in group.items():
        if isinstance(key, bool):  # YAML 1.1 reads the words on and off, even as keys, as true and false
            raise SettingsError(f"{path}: {_GROUP}: write 'enabled: on' or 'enabled: off'")
        flat[_GROUP if key == "enabled" else f"{_GROUP}.{str(key)[:100]}"] = given
    return flat


def _chosen(
    row: Setting, flags: Mapping[str, Any], env: Mapping[str, str], config: Mapping[str, str]
) -> tuple[str, str] | None:
    """The text that decides a setting, and where it stands."""
    if flags.get(row.field) is not None:
        return str(flags[row.field]), row.flag
    if row.env and env.get(row.env):
        return env[row.env], row.env
    if row.key and row.key in config:
        return config[row.key], f"config.yaml: {row.key}"
    return None


def resolve(flags: Mapping[str, Any], env: Mapping[str, str], config: Mapping[str, str]) -> Settings:
    """Settings from all places.

    Raises:
        SettingsError: a value that cannot be obeyed, with the place that it came from.
    """
    values: dict[str, Any] = {}
    for row in SETTINGS:
        chosen = _chosen(row, flags, env, config)
        parse = row.parse
        if row.field == "lifetime_s" and (chosen is None or chosen[1].startswith("config.yaml")):
            # The user's name for it counts in hours.
            if env.get(_HOURS_ENV):
                chosen, parse = (env[_HOURS_ENV], _HOURS_ENV), _hours
            elif chosen is None and _HOURS_KEY in config:
                chosen, parse = (config[_HOURS_KEY], f"config.yaml: {_HOURS_KEY}"), _hours
        if chosen is None:
            continue
        try:
            values[row.field] = parse(chosen[0])
        except ValueError as error:
            raise SettingsError(f"{chosen[1]}: {error}") from None
    settings = Settings(**values)
    _check(settings)
    return settings


def _check(settings: Settings) -> None:
    if settings.poll_s <= 0 or settings.beat_s <= 0:
        raise SettingsError("poll and beat must be longer than 0 s")
    needed = settings.fence_after_s + settings.stop_grace_s + settings.beat_s + settings.cache_s
    if needed > settings.takeover_after_s:
        raise SettingsError(
            f"fence_after + stop_grace + beat + cache is {format_duration(needed)}, which is more than takeover_after "
            f"({format_duration(settings.takeover_after_s)}): a task must end itself before a peer may take it"
        )
    try:
        Band(settings.gpu_util_threshold, settings.gpu_util_target, settings.gpu_util_high)
    except ValueError as error:
        raise SettingsError(f"keepalive: {error}") from None


def live_changes(old: Settings, new: Settings) -> tuple[Settings, list[str]]:
    """The old settings with the new policy, and the names of settings that only a restart would change."""
    live = {row.field for row in SETTINGS if row.live}
    taken = {field.name: getattr(new if field.name in live else old, field.name) for field in fields(Settings)}
    waiting = [
        row.key or row.flag for row in SETTINGS if not row.live and getattr(old, row.field) != getattr(new, row.field)
    ]
    return Settings(**taken), waiting


def queue_root(settings: Settings, env: Mapping[str, str]) -> str:
    """The absolute path of the shared directory."""
    home = env.get("HOME") or os.path.expanduser("~")
    return os.path.abspath(os.path.expanduser(settings.queue_root) if settings.queue_root else f"{home}/gpu_queue")


def _code(text: str) -> str:
    return f"`{text}" + ("" if text.endswith(")") else "`") if text else ""


def settings_table() -> str:
    """The README's table of settings, in Markdown."""
    rows = ["| flag | environment | config.yaml | default | meaning |", "|---|---|---|---|---|"]
    for row in SETTINGS:
        flag = f"`{row.flag}{' ' + row.metavar if row.metavar else ''}`" if row.flag else ""
        env, key = row.env, row.key
        if row.field == "lifetime_s":
            env, key = f"{_HOURS_ENV}` (hours)", f"lifetime`, `{_HOURS_KEY}` (hours)"
        cells = [flag, _code(env), _code(key), row.shown_default, row.meaning]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)
