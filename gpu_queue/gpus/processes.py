"""Which processes use which GPU.  Best effort: what cannot be told is left out, and nobody may rely on it.

- Asking takes milliseconds under the driver's lock, which stalls whoever launches kernels, and may hang with the
  driver: not often, and not by a thread that must go on.
- In a container the driver may tell pids of another namespace.  Where one of them is no process here, none is
  believed.
"""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Mapping
from typing import Any, Protocol

_STATE_MAX_BYTES = 1 << 20


class GpuProcesses(Protocol):
    """Tells processes of GPUs."""

    def gpu_processes(self) -> Mapping[str, tuple[int, ...]] | None:
        """The pids that use each GPU, by UUID, of those GPUs of which it can be told; None: it cannot."""


class NvmlProcesses:
    """By NVML, which is started for each question: the driver may have been reloaded."""

    def gpu_processes(self) -> Mapping[str, tuple[int, ...]] | None:
        """See :class:`GpuProcesses`.  Cards in MIG mode are left out."""
        try:
            nvml: Any = importlib.import_module("pynvml")
            nvml.nvmlInit()
        except Exception:  # no library, no driver, not now: all the same here
            return None
        try:
            found: dict[str, tuple[int, ...]] = {}
            for index in range(nvml.nvmlDeviceGetCount()):
                try:
                    handle = nvml.nvmlDeviceGetHandleByIndex(index)
                    pids = tuple(one.pid for one in nvml.nvmlDeviceGetComputeRunningProcesses(handle))
                    found[nvml.nvmlDeviceGetUUID(handle)] = pids
                except Exception:  # noqa: S112  # where the driver is older than the bindings, one of their own
                    continue
            return found
        except nvml.NVMLError:
            return None
        finally:
            try:
                nvml.nvmlShutdown()
            except nvml.NVMLError:
                pass


class SimulatedProcesses:
    """By the ``processes`` of simulated GPUs: lists of pids in the file that drives them."""

    def __init__(self, state_file: str | None) -> None:
        self._state_file = state_file

    def gpu_processes(self) -> Mapping[str, tuple[int, ...]] | None:
        """See :class:`GpuProcesses`."""
        if not self._state_file:
            return {}
        try:
            with open(self._state_file, encoding="utf-8") as file:
                states = json.loads(file.read(_STATE_MAX_BYTES))
            return {
                f"GPU-00000000-0000-0000-0000-{int(index):012x}": tuple(map(int, state.get("processes", ())))
                for index, state in states.items()
            }
        except (OSError, ValueError, AttributeError, TypeError):
            return None


def processes_of(kind: str, state_file: str | None) -> GpuProcesses:
    """What tells the processes of these devices.

    Args:
        kind: ``Devices.kind``.
        state_file: what drives simulated ones.
    """
    return NvmlProcesses() if kind == "nvml" else SimulatedProcesses(state_file)


def are_ours_to_know(pids: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether the pids are those of this namespace, as far as that can be told."""
    return all(os.path.isdir(f"/proc/{pid}") for some in pids.values() for pid in some)
