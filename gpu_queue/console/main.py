"""``gpu-queue console``: from the command line to a page that answers."""

from __future__ import annotations

import argparse
import errno
import importlib.util
import os
import socket
import sys
from dataclasses import replace

from gpu_queue.conf import home_of
from gpu_queue.console import flags
from gpu_queue.console.access import hosts
from gpu_queue.console.access.ports import holder_of
from gpu_queue.console.instances import (
    Instance,
    address_of,
    directory_of,
    path_of,
    read_instance,
    remove_instance,
    write_instance,
)
from gpu_queue.console.settings import ConsoleSettings
from gpu_queue.errors import GpuQueueError, SettingsError
from gpu_queue.pids import here, start_ticks
from gpu_queue.texts import printable

SAYS = flags.SAYS
NEEDED = ("fastapi", "uvicorn", "prometheus_client")
_LINE_CHARS = 5000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its flags."""
    flags.add_arguments(parser)


def run(chosen: argparse.Namespace, program: str, log: str = "") -> int:
    """The program, of a command line that was read.

    Args:
        chosen: the command line.
        program: its name, for messages.
        log: where messages go; empty: to stderr.

    Returns:
        0 it was ended, or does what was asked; 1 it cannot serve, 2 the command line is wrong.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        _complain(program, f"needs {', '.join(missing)}, which this Python has not: pip install 'gpu-queue[console]'")
        return 1
    try:
        settings = flags.settings_of(chosen)
    except SettingsError as error:
        _complain(program, str(error))
        return 2
    state = directory_of(os.environ, home_of(os.environ))
    try:
        if chosen.stop:
            return _stop(settings, state, program)
        if chosen.background:
            return _start(settings, state)
        return _serve(settings, state, log)
    except KeyboardInterrupt:
        return 0  # that is how it is ended
    except GpuQueueError as error:
        _complain(program, str(error))
        return 1
    except OSError as error:
        place = f"{printable(str(error.filename))}: " if error.filename else ""
        _complain(program, f"{place}{error.strerror or error}")
        return 1


def _serve(settings: ConsoleSettings, state: str, log: str) -> int:
    from gpu_queue.console import process  # noqa: PLC0415  the extra
    from gpu_queue.console.serving import make_app  # noqa: PLC0415

    bound = _bind(settings, state)
    os.umask(0o077)
    with bound:
        settings = replace(settings, port=bound.getsockname()[1])
        app = make_app(settings)
        token = app.state.access.tokens.full
        link = f"{address_of(settings.host, settings.port, settings.base_path)}#token={token}"

        def ready() -> None:
            if not os.environ.get(process.READY_FD):
                sys.stdout.write(f"{link}\n")
                sys.stdout.flush()
            process.tell_ready(f"{link}\n")

        _note(settings, state, log)
        if not hosts.is_loopback(settings.host):
            _warn_of_others(settings)
        try:
            process.serve(app, bound, ready, process.log_config(log))
        finally:
            remove_instance(state, settings.port)
    return 0


def _bind(settings: ConsoleSettings, state: str) -> socket.socket:
    from gpu_queue.console.process import bind  # noqa: PLC0415  the extra

    try:
        return bind(settings.host, settings.port)
    except socket.gaierror as error:
        raise SettingsError(f"--host: {settings.host!r}: {error.strerror}") from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise SettingsError(_taken(settings, state)) from error
        raise SettingsError(f"{settings.host}, port {settings.port}: {error.strerror}") from error


def _taken(settings: ConsoleSettings, state: str) -> str:
    text = f"port {settings.port} is taken"
    own = read_instance(state, settings.port)
    if own is not None and own.is_alive():
        return (
            f"{text} by a console of yours (process {own.pid}), of the queues in {printable(own.queue_root)}: "
            f"{own.address()}; `gpu-queue console --stop --port {own.port}` ends it, --port names another port"
        )
    holder = holder_of(settings.port)
    by = f" by {holder}" if holder is not None else ""
    return f"{text}{by}; --port names another one, and --port 0 takes one that is free"


def _warn_of_others(settings: ConsoleSettings) -> None:
    sys.stderr.write(
        f"note: {settings.host} can be reached from other machines: whoever has the token can run code as you, and "
        "without https it can be overheard; an ssh tunnel to 127.0.0.1 needs neither (docs/console.md)\n"
    )


def _note(settings: ConsoleSettings, state: str, log: str) -> None:
    pid = os.getpid()
    made = Instance(
        pid=pid,
        start_ticks=start_ticks(pid) or 0,
        where=here(),
        host=settings.host,
        port=settings.port,
        base_path=settings.base_path,
        queue_root=settings.queue_root,
        log=log,
    )
    try:
        write_instance(state, made)
    except OSError as error:
        sys.stderr.write(f"note: {printable(state)}: {error.strerror}; --stop will not find this console\n")


def _start(settings: ConsoleSettings, state: str) -> int:
    from gpu_queue.console import background  # noqa: PLC0415  the extra
    from gpu_queue.console.access import tokens  # noqa: PLC0415

    own = read_instance(state, settings.port) if settings.port else None
    if own is not None and own.is_alive() and own.queue_root == settings.queue_root:
        token = tokens.read_tokens(tokens.directory_of(os.environ, home_of(os.environ))).full
        _say(f"It runs already (process {own.pid}).")
        _say(f"{own.address()}#token={token}")
        return 0
    if settings.port == 0:
        with _bind(settings, state) as free:
            settings = replace(settings, port=free.getsockname()[1])
    else:
        _bind(settings, state).close()  # a taken port is told here, and not in a log
    link = background.start(_as_arguments(settings), state, settings.port)
    _say(link)
    _say(f"It goes on; `gpu-queue console --stop --port {settings.port}` ends it.")
    _say(f"Its log: {path_of(state, settings.port, 'log')}")
    return 0


def _as_arguments(settings: ConsoleSettings) -> list[str]:
    """The command line that means the same."""
    # Each with its value in one word: a value may begin with a dash.
    made = [f"--queue-root={settings.queue_root}", f"--host={settings.host}", f"--port={settings.port}"]
    made += [f"--base-path={settings.base_path}"]
    made += [f"--job-id={settings.job_id}"] if settings.job_id is not None else []
    made += [f"--public-host={name}" for name in settings.public_hosts]
    made += [f"--log-root={one}" for one in settings.log_roots]
    for flag, is_set in (
        ("--behind-proxy", settings.behind_proxy),
        ("--read-only", settings.read_only),
        ("--metrics-open", settings.metrics_open),
        ("--metrics-tasks", settings.metrics_tasks),
        ("--no-history", not settings.history),
        ("--start-agents", settings.start_agents),
    ):
        made += [flag] if is_set else []
    return made


def _stop(settings: ConsoleSettings, state: str, program: str) -> int:
    from gpu_queue.console import background  # noqa: PLC0415  the extra

    ended = background.stop(state, settings.port)
    if ended is None:
        holder = holder_of(settings.port)
        other = f"; it is held by {holder}" if holder is not None else ""
        _complain(program, f"no console of yours runs on port {settings.port} of this machine{other}")
        return 1
    _say(f"The console on port {settings.port} has ended (process {ended.pid}).")
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{printable(line, _LINE_CHARS)}\n")
    sys.stdout.flush()


def _complain(program: str, text: str) -> None:
    for line in text.split("\n"):
        sys.stderr.write(f"{program}: {printable(line, _LINE_CHARS)}\n")
