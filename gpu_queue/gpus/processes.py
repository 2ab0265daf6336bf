"""Which processes use which GPU, and how much of its memory.  Best effort: what cannot be told is left out.

- Asking takes milliseconds under the driver's lock, which stalls whoever launches kernels, and may hang with the
  driver: not often, and not by a thread that must go on.
- In a container the driver may tell pids of another namespace, or none of them.  Where one of them is no process
  here, none is believed.
- Of a card in MIG mode each MIG device is asked, where the driver answers that.
"""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from gpu_queue.units import parse_size_bytes

_STATE_MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class GpuProcess:
    """A process that uses a GPU."""

    pid: int
    used_bytes: int | None = None
    """Of the GPU's memory; None: the driver does not tell."""


class GpuProcesses(Protocol):
    """Tells processes of GPUs."""

    def gpu_processes(self) -> Mapping[str, tuple[GpuProcess, ...]] | None:
        """The processes that use each GPU, by UUID, of those GPUs of which it can be told; None: it cannot."""


class NvmlProcesses:
    """By NVML, which is started for each question: the driver may have been reloaded."""

    def gpu_processes(self) -> Mapping[str, tuple[GpuProcess, ...]] | None:
        """See :class:`GpuProcesses`."""
        try:
            nvml: Any = importlib.import_module("pynvml")
            nvml.nvmlInit()
        except Exception:  # no library, no driver, not now: all the same here
            return None
        try:
            found: dict[str, tuple[GpuProcess, ...]] = {}
            for index in range(nvml.nvmlDeviceGetCount()):
                for handle in _devices(nvml, index):
                    try:
                        listed = nvml.nvmlDeviceGetComputeRunningProcesses(handle)
                        uuid = nvml.nvmlDeviceGetUUID(handle)
                    except Exception:  # noqa: S112  # where the driver is older than the bindings, one of their own
                        continue
                    found[uuid] = tuple(GpuProcess(one.pid, one.usedGpuMemory) for one in listed)
            return found
        except nvml.NVMLError:
            return None
        finally:
            try:
                nvml.nvmlShutdown()
            except nvml.NVMLError:
                pass


def _devices(nvml: Any, index: int) -> Iterator[Any]:
    """The handles of a card, or of its MIG devices."""
    try:
        card = nvml.nvmlDeviceGetHandleByIndex(index)
    except nvml.NVMLError:
        return
    try:
        is_mig = bool(nvml.nvmlDeviceGetMigMode(card)[0])
        places = nvml.nvmlDeviceGetMaxMigDeviceCount(card) if is_mig else 0
    except nvml.NVMLError:
        is_mig, places = False, 0
    if not is_mig:
        yield card
    for place in range(places):
        try:
            yield nvml.nvmlDeviceGetMigDeviceHandleByIndex(card, place)
        except nvml.NVMLError:  # places are not filled in order
            continue


class SimulatedProcesses:
    """By the ``processes`` of simulated GPUs, in the file that drives them: pids, or ``[pid, "10G"]``."""

    def __init__(self, state_file: str | None, uuids: Iterable[str] = ()) -> None:
        self._state_file = state_file
        self._nobody: dict[str, tuple[GpuProcess, ...]] = dict.fromkeys(uuids, ())

    def gpu_processes(self) -> Mapping[str, tuple[GpuProcess, ...]] | None:
        """See :class:`GpuProcesses`.  Of a GPU of which the file says nothing nobody uses any."""
        if not self._state_file:
            return self._nobody
        try:
            with open(self._state_file, encoding="utf-8") as file:
                states = json.loads(file.read(_STATE_MAX_BYTES))
            return self._nobody | {
                f"GPU-00000000-0000-0000-0000-{int(index):012x}": tuple(map(_simulated, state.get("processes", ())))
                for index, state in states.items()
            }
        except (OSError, ValueError, AttributeError, TypeError):
            return None


def _simulated(one: Any) -> GpuProcess:
    if isinstance(one, list):
        pid, used = one
        return GpuProcess(int(pid), parse_size_bytes(str(used)))
    return GpuProcess(int(one))


def processes_of(kind: str, state_file: str | None, uuids: Iterable[str] = ()) -> GpuProcesses:
    """What tells the processes of these devices.

    Args:
        kind: ``Devices.kind``.
        state_file: what drives simulated ones.
        uuids: which those are.
    """
    return NvmlProcesses() if kind == "nvml" else SimulatedProcesses(state_file, uuids)


def unknown_here(listed: Mapping[str, tuple[GpuProcess, ...]]) -> frozenset[int]:
    """The pids that are no process of this namespace: they have just ended, or were never ours to know."""
    return frozenset(one.pid for some in listed.values() for one in some if not exists(one.pid))


def exists(pid: int) -> bool:
    """Whether there is such a process here, also where /proc hides it (``hidepid``)."""
    if os.path.isdir(f"/proc/{pid}"):
        return True
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True
