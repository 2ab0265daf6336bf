"""The node's GPUs as a policy judges them: read at most every 50 ms, with who holds what of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from gpu_queue.gpus.devices import Devices, Gpu, Health
from gpu_queue.gpus.leases import Footprint, Lease
from gpu_queue.scheduling.admission import Card, Reserved

READ_AGAIN_S = 0.05
WINDOW_S = 10.0
"""Utilisation is judged by the readings of so long."""
NOTED_EVERY_S = 0.5
"""The driver averages over longer than that between two readings."""


class Cards:
    """The GPUs that one agent serves."""

    def __init__(self, devices: Devices, served: frozenset[str]) -> None:
        self._devices = devices
        self._served = served
        self._read_at = float("-inf")
        self._utilization: dict[str, deque[tuple[float, int]]] = {}
        self.leased_elsewhere: dict[str, Lease] = {}
        """GPUs that other agents of this node have leased."""
        self.fillers: Mapping[str, Footprint] = {}
        """The keep-alive workers of this node, and those that have just gone, by GPU."""
        self.everything: tuple[Gpu, ...] = ()
        """All GPUs of the node, served or not, as of the last reading."""

    def read(self, now: float) -> tuple[Gpu, ...]:
        """The served GPUs."""
        if now - self._read_at > READ_AGAIN_S:
            self.everything = self._devices.snapshot()
            self._read_at = now
            for gpu in self.everything:
                if gpu.utilization_percent is not None and gpu.uuid in self._served:
                    self._note_utilization(gpu.uuid, now, gpu.utilization_percent)
        return tuple(gpu for gpu in self.everything if gpu.uuid in self._served)

    def _note_utilization(self, uuid: str, now: float, percent: int) -> None:
        readings = self._utilization.setdefault(uuid, deque())
        if not readings or now - readings[-1][0] >= NOTED_EVERY_S:
            readings.append((now, percent))
        while readings[0][0] < now - WINDOW_S:
            readings.popleft()

    def note_leases(self, leases: Mapping[str, Lease], ours: set[str]) -> None:
        """Note which GPUs other agents of this node have leased; taking one is checked again."""
        self.leased_elsewhere = {uuid: lease for uuid, lease in leases.items() if uuid not in ours}

    def facts(self, now: float, ours: Mapping[str, int | None]) -> list[Card]:
        """The served GPUs.

        Args:
            now: monotonic seconds.
            ours: those that tries of this agent hold, and how many bytes of each; None: all of it.
        """
        return [self._card(gpu, ours) for gpu in self.read(now)]

    def _card(self, gpu: Gpu, ours: Mapping[str, int | None]) -> Card:
        reserved = [Reserved(ours[gpu.uuid])] if gpu.uuid in ours else []
        if gpu.uuid in self.leased_elsewhere:
            reserved.append(Reserved(self.leased_elsewhere[gpu.uuid].reserve_bytes, is_ours=False))
        used_bytes, filler = gpu.memory_used_bytes, self.fillers.get(gpu.uuid)
        free_bytes = gpu.memory_free_bytes
        if free_bytes is None and gpu.memory_total_bytes is not None and used_bytes is not None:
            free_bytes = gpu.memory_total_bytes - used_bytes
        return Card(
            gpu.uuid,
            gpu.index,
            memory_total_bytes=gpu.memory_total_bytes,
            memory_used_bytes=used_bytes,
            memory_free_bytes=free_bytes,
            others_bytes=used_bytes if used_bytes is None or filler is None else filler.others_bytes(used_bytes),
            utilization_percent=tuple(percent for _, percent in self._utilization.get(gpu.uuid, ())),
            reserved=tuple(reserved),
            is_lost=gpu.health is Health.LOST,
            is_known=gpu.health is Health.OK,
        )

    def is_empty(self, uuid: str, now: float, at_most_bytes: int) -> bool:
        """Whether nobody holds memory on a GPU worth mentioning."""
        used = [gpu.memory_used_bytes for gpu in self.read(now) if gpu.uuid == uuid]
        return all(one is None or one <= at_most_bytes for one in used)
