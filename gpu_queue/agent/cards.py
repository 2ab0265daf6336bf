"""The node's GPUs as a plan sees them: read at most every 50 ms, and judged."""

from __future__ import annotations

from collections.abc import Mapping

from gpu_queue.gpus.devices import Devices, Gpu, Health
from gpu_queue.gpus.leases import Footprint
from gpu_queue.scheduling.facts import GpuFact
from gpu_queue.states import GpuState

SNAPSHOT_TTL_S = 0.05


class Cards:
    """The GPUs that one agent serves."""

    def __init__(self, devices: Devices, served: frozenset[str]) -> None:
        self._devices = devices
        self._served = served
        self._read_at = float("-inf")
        self.leased_elsewhere: set[str] = set()
        """GPUs that other agents of this node have leased."""
        self.fillers: Mapping[str, Footprint] = {}
        """The keep-alive workers of this node, and those that have just gone, by GPU."""
        self.foreign_memory_bytes = 0
        self.everything: tuple[Gpu, ...] = ()
        """All GPUs of the node, served or not, as of the last reading."""

    def read(self, now: float) -> tuple[Gpu, ...]:
        """The served GPUs."""
        if now - self._read_at > SNAPSHOT_TTL_S:
            self.everything = self._devices.snapshot()
            self._read_at = now
        return tuple(gpu for gpu in self.everything if gpu.uuid in self._served)

    def note_leases(self, holders: Mapping[str, str], ours: set[str]) -> None:
        """Note which GPUs other agents of this node have leased; taking one is checked again."""
        self.leased_elsewhere = holders.keys() - ours

    def facts(self, now: float, ours: set[str], foreign_memory_bytes: int) -> list[GpuFact]:
        """The served GPUs, judged.

        Args:
            now: monotonic seconds.
            ours: those that tries of this agent hold.
            foreign_memory_bytes: a GPU without a task of ours that uses more is somebody else's.
        """

        def state_of(gpu: Gpu) -> GpuState:
            if gpu.health is Health.LOST:
                return GpuState.LOST
            if gpu.uuid in ours or gpu.uuid in self.leased_elsewhere:
                return GpuState.BUSY
            if gpu.health is not Health.OK or gpu.memory_used_bytes is None:
                return GpuState.UNKNOWN
            is_foreign = self._others_bytes(gpu.uuid, gpu.memory_used_bytes) > foreign_memory_bytes
            return GpuState.FOREIGN if is_foreign else GpuState.IDLE

        self.foreign_memory_bytes = foreign_memory_bytes
        return [GpuFact(gpu.uuid, gpu.index, state_of(gpu), gpu.memory_total_bytes) for gpu in self.read(now)]

    def _others_bytes(self, uuid: str, used_bytes: int) -> int:
        """What of the used memory is neither a task's nor the keep-alive's."""
        filler = self.fillers.get(uuid)
        return used_bytes if filler is None else filler.others_bytes(used_bytes)

    def is_empty(self, uuid: str, now: float) -> bool:
        """Whether nobody holds memory on a GPU worth mentioning."""
        used = [gpu.memory_used_bytes for gpu in self.read(now) if gpu.uuid == uuid]
        return all(one is None or one <= self.foreign_memory_bytes for one in used)
