"""Which consoles of this user run on this machine: a file for each in ``$XDG_STATE_HOME/gpu-queue/console``."""

from __future__ import annotations

import json
import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from gpu_queue import pids
from gpu_queue.console.access import hosts
from gpu_queue.pids import Process

_LIMIT_BYTES = 64 << 10


@dataclass(frozen=True)
class Instance:
    """A console that was started."""

    pid: int
    start_ticks: int
    where: str
    host: str
    port: int
    base_path: str
    queue_root: str
    log: str = ""
    """Where its messages go; empty: to the terminal that it was started from."""

    def is_alive(self) -> bool:
        """Whether that process runs, and no later one of its pid."""
        return pids.is_alive(Process(self.pid, self.start_ticks, self.where)) is True

    def address(self) -> str:
        """Of its page, as a browser on this machine calls it.

        >>> Instance(1, 2, "", "::", 29214, "/a/", "/q").address()
        'http://localhost:29214/a/'
        """
        return address_of(self.host, self.port, self.base_path)


def address_of(host: str, port: int, base_path: str) -> str:
    """The address of a console's page."""
    found = hosts.address_of(host)
    name = (
        "localhost" if host in hosts.ANYWHERE else f"[{host}]" if found is not None and found.version == 6 else host
    )
    return f"http://{name}:{port}{base_path}"


def directory_of(environment: Mapping[str, str], home: str) -> str:
    """Where those files, and logs, lie."""
    own = environment.get("XDG_STATE_HOME", "")
    return f"{own if own.startswith('/') else f'{home}/.local/state'}/gpu-queue/console"


def path_of(directory: str, port: int, ending: str) -> str:
    """The file of a console on this machine: homes are shared by several."""
    machine = "".join(one if one.isalnum() or one in "-_" else "_" for one in socket.gethostname())
    return f"{directory}/{machine}-{port}.{ending}"


def read_instance(directory: str, port: int) -> Instance | None:
    """The console of ours that was last started on a port; None: none was, or its file cannot be read."""
    try:
        with open(path_of(directory, port, "json"), "rb") as file:
            read = json.loads(file.read(_LIMIT_BYTES))
        made = Instance(**read)
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    is_fine = all(type(getattr(made, name)) is int for name in ("pid", "start_ticks", "port")) and all(
        isinstance(getattr(made, name), str) for name in ("where", "host", "base_path", "queue_root", "log")
    )
    return made if is_fine else None


def write_instance(directory: str, instance: Instance) -> None:
    """Tell of this process.

    Raises:
        OSError: it cannot be written.
    """
    os.makedirs(directory, 0o700, exist_ok=True)
    hidden = f"{directory}/.{secrets.token_hex(8)}"
    descriptor = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(instance), file)
    os.rename(hidden, path_of(directory, instance.port, "json"))


def remove_instance(directory: str, port: int) -> None:
    """Take it away, if it is this process's."""
    found = read_instance(directory, port)
    if found is not None and found.pid == os.getpid():
        try:
            os.unlink(path_of(directory, port, "json"))
        except OSError:
            pass
