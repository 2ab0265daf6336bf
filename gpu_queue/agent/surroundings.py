"""What an agent stands on: made before its loop begins, and lent to its parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gpu_queue.agent.allotted import Allocation
from gpu_queue.config import Config, Elsewhere
from gpu_queue.execution.local import AgentDirectory, NodeDirectory
from gpu_queue.gpus.devices import Readings
from gpu_queue.gpus.leases import Leases
from gpu_queue.keepalive.supervisor import Host
from gpu_queue.node.side import NodeSide
from gpu_queue.node.storage import Storage


@dataclass(frozen=True)
class Surroundings:
    """What an agent stands on."""

    spool: NodeSide
    storage: Storage
    home: AgentDirectory
    node_directory: NodeDirectory
    leases: Leases
    keepalive: Host
    devices: Readings
    gpu_uuids: frozenset[str]
    """The GPUs that are served."""
    job_id: str
    queue_root: str
    incarnation: str
    environment: Mapping[str, str]
    umask: int
    """Of whoever started the agent: tasks get it back."""
    flags: Mapping[str, object]
    config: Config
    """What stood in config.yaml when the settings were made."""
    elsewhere: Elsewhere
    """What else says something of settings."""
    say: Callable[[str], None]
    allocation: Allocation = field(default_factory=Allocation)
    """In which it runs."""
    watch_ends: Callable[[list[str]], str] = field(default=lambda _: "")
    """Has file events tell of ends in these directories; returns why they do not."""
