"""What settings ask for, as it is found on this node: the spool, the devices, those that are served."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping

from gpu_queue.config import Settings, queue_root
from gpu_queue.errors import SettingsError
from gpu_queue.execution.launcher import start_companion
from gpu_queue.gpus.devices import Devices, Gpu, select_gpus
from gpu_queue.gpus.nvml import NvmlDevices
from gpu_queue.gpus.simulated import STATE_FILE_VARIABLE, SimulatedDevices
from gpu_queue.spool.paths import SpoolPaths

PACKAGE_PARENT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def paths_of(settings: Settings, environment: Mapping[str, str]) -> SpoolPaths:
    """The paths of the spool that is to be served.

    Raises:
        SettingsError: none was named.
    """
    if not settings.job_id:
        raise SettingsError("no spool was named: pass --job-id ID or export JOB_ID=ID")
    # The real path: claims are found by it in processes' environments, whichever way a spool was named.
    return SpoolPaths(os.path.realpath(os.path.join(queue_root(settings, environment), settings.job_id)))


def served_of(devices: Devices, settings: Settings, environment: Mapping[str, str]) -> tuple[Gpu, ...]:
    """The GPUs that are to be served.

    Raises:
        DeviceError: they cannot be read.
        SettingsError: what was asked for is none of them.
    """
    granted = None if settings.simulate else environment.get("CUDA_VISIBLE_DEVICES")
    return select_gpus(devices.snapshot(), settings.gpus, granted)


def devices_for(
    settings: Settings, environment: Mapping[str, str], plant: str = ""
) -> SimulatedDevices | NvmlDevices:
    """The device layer that was asked for; never the simulated one silently.

    Args:
        settings: ``simulate`` decides.
        environment: the agent's.
        plant: where simulated load is noted.

    Raises:
        SettingsError: ``--simulate`` cannot be understood.
    """
    if settings.simulate:
        state_file = environment.get(STATE_FILE_VARIABLE)
        return SimulatedDevices.parse(settings.simulate, state_file, plant=plant)
    return NvmlDevices()


def zygote_of(settings: Settings, environment: Mapping[str, str]) -> Callable[[int], int]:
    """What starts the process that imports torch, on the descriptor that it is given; returns its pid."""
    python = settings.keepalive.python or sys.executable
    kept = {name: value for name, value in environment.items() if name != "CUDA_VISIBLE_DEVICES"}
    kept["PYTHONPATH"] = os.pathsep.join(filter(None, [PACKAGE_PARENT, environment.get("PYTHONPATH", "")]))
    program = [python, "-m", "gpu_queue.keepalive.zygote", "--fd"]
    return lambda descriptor: start_companion(program, kept, descriptor)
