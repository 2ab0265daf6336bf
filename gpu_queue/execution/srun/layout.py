"""Which ranks of a step are started on this node.  Pure.

- A task over several nodes starts its script once on each, so each of its steps is called once on each: every node
  starts its own ranks, and knows from the same words which ones those are.
- A step for fewer nodes than the task has runs on the first of them, or on those that it names; the others pass it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from gpu_queue.execution.bynode import counts_of, repeated
from gpu_queue.execution.scontrol import expanded
from gpu_queue.execution.srun.step import RANKS_MAX, Refused, Step, number_of, ranks_of


@dataclass(frozen=True)
class Gang:
    """The nodes of a task, in the order of their ranks."""

    here: int
    hosts: tuple[str, ...]
    addresses: tuple[str, ...]
    """Of each; empty where none is known."""
    tasks: tuple[int, ...]
    """Of each, as the script asks for them."""


@dataclass(frozen=True)
class Layout:
    """A step on its nodes."""

    ids: tuple[int, ...]
    """Of the ranks that are started here; none: it runs elsewhere."""
    counts: tuple[int, ...]
    """How many ranks each of its nodes has."""
    hosts: tuple[str, ...]
    addresses: tuple[str, ...] = ("127.0.0.1",)
    node: int = 0
    """Which of these is this one."""

    @property
    def total(self) -> int:
        """How many ranks the step has."""
        return sum(self.counts)

    @property
    def tasks_per_node(self) -> str:
        """As Slurm writes it: ``8(x2),4``."""
        return repeated(self.counts)


def gang_of(environment: Mapping[str, str]) -> Gang | None:
    """The nodes of the task that this step belongs to; None: it has but one."""
    number, here = environment.get("GPU_QUEUE_NODES", ""), environment.get("GPU_QUEUE_NODE_RANK", "")
    if not (number.isdigit() and here.isdigit() and int(here) < int(number) and 1 < int(number) <= RANKS_MAX):
        return None
    hosts = tuple(environment.get("SLURM_JOB_NODELIST", "").split(","))
    if len(hosts) != int(number):
        return None
    addresses = tuple(environment.get("GPU_QUEUE_NODE_ADDRESSES", "").split(","))
    tasks = counts_of(environment.get("SLURM_TASKS_PER_NODE", ""))
    return Gang(
        int(here),
        hosts,
        addresses if len(addresses) == len(hosts) else hosts,
        tasks if len(tasks) == len(hosts) else (1,) * len(hosts),
    )


def layout_of(step: Step, environment: Mapping[str, str], host: str) -> Layout:
    """Which ranks are started where.

    Args:
        step: what was asked for.
        environment: of whoever calls srun.
        host: how this node is called, where it is the only one.

    Raises:
        Refused: the task cannot have such a step.
    """
    gang = gang_of(environment)
    if gang is None:
        count = ranks_of(step, environment)
        return Layout(tuple(range(count)), (count,), (host,))
    ranks_of(step, environment, len(gang.hosts))
    nodes = _nodes(step, gang)
    counts = _counts(step, gang, nodes)
    ids: tuple[int, ...] = ()
    if gang.here in nodes:
        at = nodes.index(gang.here)
        ids = _ids(step, counts, at)
    node = nodes.index(gang.here) if gang.here in nodes else 0
    return Layout(
        ids, counts, tuple(gang.hosts[one] for one in nodes), tuple(gang.addresses[one] for one in nodes), node
    )


def _nodes(step: Step, gang: Gang) -> list[int]:
    chosen = list(range(len(gang.hosts)))
    named = _named(step, "nodelist", gang)
    if named is not None:
        chosen = sorted(named)  # as Slurm has it: in the order of the task's nodes
    away = _named(step, "exclude", gang) or []
    chosen = [one for one in chosen if one not in away]
    chosen = chosen[number_of(step, "relative") or 0 :]
    least = re.match(r"[0-9]+", step.given.get("nodes", ""))
    tasks = number_of(step, "ntasks")
    wanted = len(chosen)
    if least is not None:
        wanted = max(1, int(least[0]))
        chosen += [one for one in range(len(gang.hosts)) if named is not None and one not in (*chosen, *away)]
    elif tasks is not None:
        wanted = min(wanted, max(1, tasks))
    if wanted > len(chosen) or not chosen:
        raise Refused(f"it asks for {max(1, wanted)} nodes of {len(chosen)}; the task has {', '.join(gang.hosts)}")
    return chosen[:wanted]


def _named(step: Step, option: str, gang: Gang) -> list[int] | None:
    given = step.given.get(option)
    if given is None:
        return None
    found: list[int] = []
    for name in expanded(given):
        same = [
            at for at, host in enumerate(gang.hosts) if name in (host, host.partition(".")[0], gang.addresses[at])
        ]
        at = next((one for one in same if one not in found), same[0] if same else None)
        if at is None:
            raise Refused(f"--{option}={given}: the task has {', '.join(gang.hosts)}")
        if at not in found:
            found.append(at)
    return found


def _counts(step: Step, gang: Gang, nodes: list[int]) -> tuple[int, ...]:
    each = number_of(step, "ntasks-per-node")
    every = number_of(step, "ntasks")
    if every is None:
        every = number_of(step, "tasks")
    if every is None and each is None:
        counts = tuple(gang.tasks[one] for one in nodes)
    elif every is None:
        counts = (each or 1,) * len(nodes)
    else:
        counts = tuple(every // len(nodes) + (at < every % len(nodes)) for at in range(len(nodes)))
    if not 0 < sum(counts) <= RANKS_MAX:
        raise Refused(f"{sum(counts)} ranks: expected 1 to {RANKS_MAX}")
    return counts


def _ids(step: Step, counts: tuple[int, ...], at: int) -> tuple[int, ...]:
    if not step.given.get("distribution", "block").startswith("cyclic"):
        first = sum(counts[:at])
        return tuple(range(first, first + counts[at]))
    dealt = [node for turn in range(max(counts)) for node, count in enumerate(counts) if turn < count]
    return tuple(rank for rank, node in enumerate(dealt) if node == at)


def answer_of(program: list[str], layout: Layout) -> str | None:
    """What ``hostname`` says on all nodes of a step, which none has to be asked for; None: it is another program."""
    if not program or program[0].rpartition("/")[2] != "hostname":
        return None
    words = program[1:]
    if not words or words in (["-f"], ["--fqdn"], ["--long"]):
        names = layout.hosts
    elif words in (["-s"], ["--short"]):
        names = tuple(host.partition(".")[0] for host in layout.hosts)
    elif len(words) == 1 and words[0] in ("-i", "-I", "--ip-address", "--all-ip-addresses"):
        names = layout.addresses
    else:
        return None
    return "".join(f"{name}\n" * count for name, count in zip(names, layout.counts, strict=True))
