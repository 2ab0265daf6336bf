"""What a console was told on its command line."""

from __future__ import annotations

from dataclasses import dataclass

PORT = 29214


@dataclass(frozen=True)
class ConsoleSettings:
    """How one console serves."""

    queue_root: str
    """The directory of all queues, absolute."""
    job_id: str | None = None
    """The queue that is meant where a request names none."""
    host: str = "127.0.0.1"
    port: int = PORT
    """0: one that is free; once it listens, the one that it has."""
    public_hosts: tuple[str, ...] = ()
    """Names, besides its own, by which browsers may call it."""
    base_path: str = "/"
    """Begins and ends with a slash."""
    behind_proxy: bool = False
    read_only: bool = False
    log_roots: tuple[str, ...] = ()
    """Directories, absolute, in which logs may be read besides those of the queues."""
    metrics_open: bool = False
    metrics_tasks: bool = False
    history: bool = True
    start_agents: bool = False
    """Start of a configuration also starts an agent on this machine, where none serves its queue."""
