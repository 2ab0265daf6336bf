"""What the GPUs of a node did, to be seen later: each change of what one is used for, and how much of it a try used.

Looked at once a second at most: what lasts for less leaves no trace, so a node that drains a thousand short tasks
writes no thousand changes.  Reports and a console's history are made of it; nothing is decided by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from gpu_queue.gpus.devices import Gpu
from gpu_queue.states import GpuState

EVERY_S = 1.0


class Use(str, Enum):
    """What a GPU is used for."""

    TASK = "task"  # of this agent or of another one of this user
    FILLER = "filler"
    IDLE = "idle"
    FOREIGN = "foreign"
    LOST = "lost"
    UNKNOWN = "unknown"


_USE_OF = {
    GpuState.IDLE: Use.IDLE,
    GpuState.BUSY: Use.TASK,
    GpuState.FOREIGN: Use.FOREIGN,
    GpuState.LOST: Use.LOST,
    GpuState.UNKNOWN: Use.UNKNOWN,
}


@dataclass(frozen=True)
class Change:
    """A GPU is used for something else now."""

    uuid: str
    index: int
    before: Use | None
    """None: the agent has just begun."""
    now: Use
    claim: str = ""
    """Of a task of this agent: its try."""

    def told(self) -> dict[str, Any]:
        """As the history has it."""
        facts: dict[str, Any] = {"gpus": [self.uuid], "gpu_indices": [self.index], "use": self.now.value}
        if self.before is not None:
            facts["before"] = self.before.value
        return {**facts, "claim": self.claim} if self.claim else facts


class Uses:
    """What each served GPU was used for when it was looked at last."""

    def __init__(self) -> None:
        self._uses: dict[str, tuple[Use, str]] = {}

    def changes(
        self,
        gpus: Iterable[Gpu],
        states: Mapping[str, GpuState],
        filled: Iterable[str],
        tries: Mapping[str, str],
    ) -> tuple[Change, ...]:
        """What has changed since this was asked last.

        Args:
            gpus: all of the node.
            states: of the served ones, by UUID.
            filled: UUIDs of those that a filler, of any agent of this user, holds.
            tries: by UUID, the try of this agent that has it.
        """
        is_filled = frozenset(filled)
        found = []
        for gpu in gpus:
            if gpu.uuid not in states:
                continue
            use = _USE_OF[states[gpu.uuid]]
            if use is Use.IDLE and gpu.uuid in is_filled:
                use = Use.FILLER
            claim = tries.get(gpu.uuid, "") if use is Use.TASK else ""
            before = self._uses.get(gpu.uuid)
            if before == (use, claim):
                continue
            self._uses[gpu.uuid] = (use, claim)
            found.append(Change(gpu.uuid, gpu.index, before[0] if before else None, use, claim))
        return tuple(found)


@dataclass
class _Gauge:
    count: int = 0
    sum: int = 0
    peak: int = 0

    def add(self, value: int | None) -> None:
        if value is not None:
            self.count, self.sum, self.peak = self.count + 1, self.sum + value, max(self.peak, value)


@dataclass
class Usage:
    """How much of its GPUs a try used, as far as this agent saw it."""

    _memory: dict[str, _Gauge] = field(default_factory=dict)
    _utilization: dict[str, _Gauge] = field(default_factory=dict)

    def add(self, gpus: Sequence[Gpu]) -> None:
        """One look at its GPUs; what a device does not tell counts for nothing."""
        for gpu in gpus:
            self._memory.setdefault(gpu.uuid, _Gauge()).add(gpu.memory_used_bytes)
            self._utilization.setdefault(gpu.uuid, _Gauge()).add(gpu.utilization_percent)

    def told(self) -> list[dict[str, Any]]:
        """For its record: a line for each GPU that was seen at all."""
        return [
            {
                "gpu": uuid,
                "samples": max(memory.count, utilization.count),
                **_told("memory", "bytes", memory),
                **_told("utilization", "percent", utilization),
            }
            for (uuid, memory), utilization in zip(self._memory.items(), self._utilization.values(), strict=True)
            if memory.count or utilization.count
        ]


def _told(what: str, unit: str, gauge: _Gauge) -> dict[str, int]:
    if not gauge.count:
        return {}
    return {f"{what}_peak_{unit}": gauge.peak, f"{what}_mean_{unit}": round(gauge.sum / gauge.count)}
