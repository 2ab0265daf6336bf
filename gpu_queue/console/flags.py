"""The command line of ``gpu-queue console``; it imports nothing that the extra brings."""

from __future__ import annotations

import argparse
import os

from gpu_queue.console.access.hosts import split_host
from gpu_queue.console.settings import PORT, ConsoleSettings
from gpu_queue.errors import SettingsError, SpoolError
from gpu_queue.spool.desk import entrance
from gpu_queue.spool.paths import SpoolPaths

SAYS = (
    "Serve a web page over the queues of a directory, and its API: what runs, what waits and why, logs, history, and "
    "what gpu_submit, gpu_stop and the rest do. It needs no GPU and no agent, and any machine that mounts the "
    "directory will do."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its flags."""
    rows: list[tuple[str, str, str]] = [
        ("--job-id", "JOB_ID", "the same"),
        ("--queue-root", "DIR", "the directory of all queues; default: $QUEUE_ROOT, or as gpu-queue.conf says"),
        ("--host", "ADDRESS", "where it listens; elsewhere than on 127.0.0.1, the default, all need the token"),
        ("--port", "PORT", f"default: {PORT}; 0: one that is free"),
        ("--base-path", "PATH", "where it lies below a proxy, like /user/a/proxy/29214"),
        ("--public-host", "NAME", "a name by which browsers call it; may be repeated"),
        ("--log-root", "DIR", "logs may be read from here too; may be repeated"),
        ("--behind-proxy", "", "believe X-Forwarded-Prefix, -Host and -Proto; all need the token"),
        ("--read-only", "", "it changes nothing, whatever the token"),
        ("--metrics-open", "", "/metrics needs no token"),
        ("--metrics-tasks", "", "/metrics names tasks"),
        (
            "--start-agents",
            "",
            "start of a configuration runs submit.sh here where no agent serves; stop ends that agent",
        ),
        ("--no-history", "", "keep no samples of utilisation and power"),
    ]
    shown = "the queue that is shown first; default: $JOB_ID, else the only one"
    parser.add_argument("job", nargs="?", metavar="JOB_ID", help=shown)
    defaults = {"--host": "127.0.0.1", "--port": str(PORT), "--base-path": "/"}
    for flag, metavar, text in rows:
        if not metavar:
            parser.add_argument(flag, action="store_true", help=text)
        elif "repeated" in text:
            parser.add_argument(flag, action="append", default=[], metavar=metavar, help=text)
        else:
            parser.add_argument(flag, default=defaults.get(flag), metavar=metavar, help=text)
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--background", action="store_true", help="start it, print its link, and return")
    way.add_argument("--stop", action="store_true", help="end the console of this user on --port")


def port_of(text: str) -> int:
    """A port.

    Raises:
        SettingsError: it is none.
    """
    if text.isascii() and text.isdecimal() and int(text) <= 65535:
        return int(text)
    raise SettingsError(f"--port: {text!r}; expected a number from 0 to 65535")


def settings_of(chosen: argparse.Namespace) -> ConsoleSettings:
    """What a command line says.

    Raises:
        SettingsError: something that cannot be obeyed.
    """
    from gpu_queue.console.prefixes import base_path  # noqa: PLC0415  needs the extra

    problems: list[str] = []
    if chosen.job is not None and chosen.job_id is not None and chosen.job != chosen.job_id:
        problems.append(f"--job-id: {chosen.job_id!r}, and JOB_ID {chosen.job!r}; expected one of them")
    base = base_path(chosen.base_path)
    if base is None:
        problems.append(f"--base-path: {chosen.base_path!r}; expected a path of a URL, like /user/a/proxy/29214")
    for name in chosen.public_host:
        if (found := split_host(name)) is None or found[1] is not None:
            problems.append(f"--public-host: {name!r}; expected a name like gpus.example.org, without a port")
    for directory in chosen.log_root:
        if not os.path.isdir(directory):
            problems.append(f"--log-root: {directory!r}; expected a directory")
    job_id: str | None = chosen.job_id if chosen.job is None else chosen.job
    job_id = job_id or os.environ.get("JOB_ID") or None
    try:
        root = os.path.dirname(entrance.named(job_id or "any", chosen.queue_root).root)
    except SpoolError as error:
        problems.append(str(error))
        root = ""
    if problems:
        raise SettingsError(*problems)
    return ConsoleSettings(
        queue_root=root,
        job_id=job_id,
        host=chosen.host,
        port=port_of(chosen.port),
        public_hosts=tuple(name.lower().rstrip(".") for name in chosen.public_host),
        base_path=base or "/",
        behind_proxy=chosen.behind_proxy,
        read_only=chosen.read_only,
        log_roots=tuple(os.path.realpath(one) for one in chosen.log_root),
        metrics_open=chosen.metrics_open,
        metrics_tasks=chosen.metrics_tasks,
        history=not chosen.no_history,
        start_agents=chosen.start_agents,
    )


def spool_of(settings: ConsoleSettings, job_id: str) -> SpoolPaths:
    """The paths of a queue.

    Raises:
        SpoolError: no queue can be called so.
    """
    return entrance.named(job_id, settings.queue_root)
