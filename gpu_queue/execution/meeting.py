"""What the ranks of a task over several nodes find in their environment.  Pure.

- ``NNODES NODE_RANK MASTER_ADDR MASTER_PORT NPROC_PER_NODE``, and the same as ``PET_*``, by which a plain
  ``torchrun x.py`` on each node is one run; ``swift sft`` starts torchrun by the first five.
- ``WORLD_SIZE`` and ``RANK`` only where each node has one GPU, and one process a node is all there is.  With more,
  some scripts take WORLD_SIZE for the number of nodes and others for that of all processes, and in a pod Lightning
  takes both beside MASTER_ADDR for Kubeflow's: it would use one GPU of each node.  Launchers set their workers' own.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Meeting:
    """Where the ranks of a task meet, and which one this is."""

    rank: int
    nodes: int
    address: str
    """Of rank 0."""
    port: int
    hosts: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    """Of all of them, in the order of ranks."""


def variables(meeting: Meeting, gpus: int) -> dict[str, str]:
    """What a rank finds.

    Args:
        meeting: where, and which.
        gpus: how many it has; of none it starts one process.
    """
    said = {
        "NNODES": str(meeting.nodes),
        "NODE_RANK": str(meeting.rank),
        "MASTER_ADDR": meeting.address,
        "MASTER_PORT": str(meeting.port),
        "NPROC_PER_NODE": str(max(1, gpus)),
    }
    own = {"GPU_QUEUE_NODES": str(meeting.nodes), "GPU_QUEUE_NODE_RANK": str(meeting.rank)}
    own |= {"GPU_QUEUE_NODE_ADDRESSES": ",".join(meeting.addresses)} if meeting.addresses else {}
    counted = {"WORLD_SIZE": str(meeting.nodes), "RANK": str(meeting.rank)} if gpus <= 1 else {}
    return said | {f"PET_{name}": value for name, value in said.items()} | counted | own
