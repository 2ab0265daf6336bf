"""The node's GPUs as a plan sees them: read at most every 50 ms, and judged."""

from __future__ import annotations

from gpu_queue.gpus.devices import Devices, Gpu, Health
from gpu_queue.gpus.leases import Leases
from gpu_queue.scheduling.facts import GpuFact, GpuState

SNAPSHOT_TTL_S = 0.05


class Cards:
    """The GPUs that one agent serves."""

    def __init__(self, devices: Devices, leases: Leases, served: frozenset[str]) -> None:
        self._devices = devices
        self._leases = leases
        self._served = served
        self._read_at = float("-inf")
        self._leased: set[str] = set()
        self.everything: tuple[Gpu, ...] = ()
        """All GPUs of the node, served or not, as of the last reading."""

    def read(self, now: float) -> tuple[Gpu, ...]:
        """The served GPUs."""
        if now - self._read_at > SNAPSHOT_TTL_S:
            self.everything = self._devices.snapshot()
            self._read_at = now
        return tuple(gpu for gpu in self.everything if gpu.uuid in self._served)

    def ask_leases(self, ours: set[str]) -> None:
        """Note which GPUs other agents of this node have leased; taking one is checked again."""
        self._leased = self._leases.holders().keys() - ours

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
            if gpu.uuid in ours or gpu.uuid in self._leased:
                return GpuState.BUSY
            if gpu.health is not Health.OK or gpu.memory_used_bytes is None:
                return GpuState.UNKNOWN
            return GpuState.FOREIGN if gpu.memory_used_bytes > foreign_memory_bytes else GpuState.IDLE

        return [GpuFact(gpu.uuid, gpu.index, state_of(gpu), gpu.memory_total_bytes) for gpu in self.read(now)]
