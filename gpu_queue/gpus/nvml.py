"""NVIDIA GPUs, read through NVML (``nvidia-ml-py``, module ``pynvml``).

- A snapshot asks each card a handful of questions of microseconds each, and never for its processes: that call takes
  milliseconds under the driver's global lock, and stalls whoever launches kernels.
- A question that the driver or the card does not know gives None for that value alone.
- A card that fails stays in its place under its last known UUID, and the others go on.  It is asked again each time.
- A card in MIG mode is replaced by its MIG devices.  They have no utilisation, and power and energy belong to the
  card; these are None.  Indices are places in the list of all devices, which are NVML's own while nothing is MIG.
- When the driver was reloaded, NVML is started again, once for each snapshot.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from importlib import metadata
from itertools import chain
from typing import Any

from gpu_queue.errors import DeviceError
from gpu_queue.gpus.devices import Gpu, Health, failing, summarize


class _Code(IntEnum):
    """The errors of nvml.h that are told apart here."""

    UNINITIALIZED = 1
    INVALID_ARGUMENT = 2
    NOT_SUPPORTED = 3
    NO_PERMISSION = 4
    NOT_FOUND = 6
    DRIVER_NOT_LOADED = 9
    LIBRARY_NOT_FOUND = 12
    FUNCTION_NOT_FOUND = 13
    GPU_IS_LOST = 15
    RESET_REQUIRED = 16
    LIB_RM_VERSION_MISMATCH = 18
    ARGUMENT_VERSION_MISMATCH = 25
    GPU_NOT_FOUND = 28
    UNKNOWN = 999


_DRIVER_GONE = {_Code.UNINITIALIZED, _Code.DRIVER_NOT_LOADED, _Code.LIB_RM_VERSION_MISMATCH}
_GPU_GONE = {_Code.GPU_IS_LOST, _Code.RESET_REQUIRED, _Code.GPU_NOT_FOUND}
_NO_VALUE = {
    _Code.NOT_SUPPORTED,
    _Code.NO_PERMISSION,
    _Code.FUNCTION_NOT_FOUND,
    _Code.ARGUMENT_VERSION_MISMATCH,
}
# Some drivers answer a question that they merely do not support with UNKNOWN.  For what every card must be able to
# say (its handle, its memory) it means that the card is gone.
_LOST = _GPU_GONE | {_Code.NOT_FOUND, _Code.UNKNOWN}

_WITHOUT_GPUS = "To try it without GPUs: --simulate 4"
_AT_START = {
    _Code.LIBRARY_NOT_FOUND: (
        "no NVIDIA driver is here: libnvidia-ml.so.1 is not found. Install it, or start the container with GPUs."
    ),
    _Code.DRIVER_NOT_LOADED: "the NVIDIA driver is installed but not loaded. As root: modprobe nvidia.",
    _Code.LIB_RM_VERSION_MISMATCH: (
        "the NVIDIA driver was upgraded, and its library does not fit the module in the kernel. Reboot the node."
    ),
    _Code.NO_PERMISSION: "this user may not talk to the NVIDIA driver. Look at the rights of /dev/nvidiactl.",
}


@dataclass
class _Card:
    """One slot of the node."""

    index: int
    """NVML's, when the cards were counted."""
    last: tuple[Gpu, ...]
    """Its devices when it was last read."""
    uuid: str = ""
    """Empty until the card told it."""
    handle: Any = None


class NvmlDevices:
    """The GPUs that NVML shows to this process."""

    kind = "nvml"

    def __init__(self) -> None:
        self._nvml: Any = None
        self._driver = ""
        self._cards: list[_Card] = []

    def describe(self) -> str:
        """One line for people."""
        return f"{summarize(self.snapshot())}, driver {self._driver}, NVML"

    def snapshot(self) -> tuple[Gpu, ...]:
        """All devices of the node, each in its place.

        Raises:
            DeviceError: at the first use only: NVML cannot be started, or shows no GPU.
        """
        if not self._cards:
            self._start()
        try:
            try:
                readings = [self._read(card) for card in self._cards]
            except self._nvml.NVMLError:
                self._start_again()
                readings = [self._read(card) for card in self._cards]
        except self._nvml.NVMLError as error:
            problem = f"the driver does not answer: {_told(error)}"
            if error.value == _Code.LIB_RM_VERSION_MISMATCH:
                problem = "the driver was upgraded under this process; restart the agent"
            readings = [_failing(card.last, Health.UNKNOWN, problem) for card in self._cards]
        return tuple(replace(gpu, index=place) for place, gpu in enumerate(chain.from_iterable(readings)))

    def close(self) -> None:
        """Leave NVML; a later use starts it again."""
        self._cards = []
        if self._nvml is not None:
            self._leave()

    def _start(self) -> None:
        self._nvml = _bindings()
        try:
            self._cards = self._connect()
        except self._nvml.NVMLError as error:
            self.close()
            known = _AT_START.get(error.value, f"NVML does not start: {_told(error)}.")
            raise DeviceError(f"{known} {_WITHOUT_GPUS}") from error
        if not self._cards:
            self.close()
            raise DeviceError(f"the NVIDIA driver {self._driver} shows no GPU to this process. {_WITHOUT_GPUS}")

    def _start_again(self) -> None:
        self._leave()
        self._cards = _recounted(self._cards, self._connect())

    def _leave(self) -> None:
        try:
            self._nvml.nvmlShutdown()
        except self._nvml.NVMLError:
            pass  # it was not started, or the driver has left before us

    def _connect(self) -> list[_Card]:
        self._nvml.nvmlInit()
        self._driver = self._ask("nvmlSystemGetDriverVersion") or "unknown"
        cards = [_Card(index, (_never_read(index),)) for index in range(self._nvml.nvmlDeviceGetCount())]
        for card in cards:
            try:
                self._open(card)
            except self._nvml.NVMLError as error:
                if error.value in _DRIVER_GONE:
                    raise
        return cards

    def _open(self, card: _Card) -> None:
        if card.uuid:
            card.handle = self._nvml.nvmlDeviceGetHandleByUUID(card.uuid)
            return
        handle = self._nvml.nvmlDeviceGetHandleByIndex(card.index)
        card.uuid = self._nvml.nvmlDeviceGetUUID(handle)
        card.last = tuple(replace(gpu, uuid=card.uuid) for gpu in card.last)
        card.handle = handle

    def _read(self, card: _Card) -> tuple[Gpu, ...]:
        """The devices of one card; only an error of the driver as a whole is raised."""
        try:
            if card.handle is None:
                self._open(card)
            mode = self._ask("nvmlDeviceGetMigMode", card.handle)
            card.last = self._mig_devices(card.handle) if mode and mode[0] else (self._device(card.handle),)
        except self._nvml.NVMLError as error:
            if error.value in _DRIVER_GONE:
                raise
            return _failing(card.last, Health.LOST if error.value in _LOST else Health.UNKNOWN, _told(error))
        return card.last

    def _mig_devices(self, handle: Any) -> tuple[Gpu, ...]:
        devices = []
        for position in range(self._ask("nvmlDeviceGetMaxMigDeviceCount", handle) or 0):
            try:
                part = self._nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, position)
            except self._nvml.NVMLError as error:
                if error.value in (_Code.NOT_FOUND, _Code.INVALID_ARGUMENT):
                    continue  # places are not filled in order
                raise
            devices.append(self._device(part, is_mig=True))
        if devices:
            return tuple(devices)
        # It stays in the list, so that nobody takes the places of the cards after it for CUDA's indices.
        whole = self._device(handle, is_mig=True)
        return (failing(whole, Health.UNKNOWN, "MIG is on, but the card has no MIG devices"),)

    def _device(self, handle: Any, is_mig: bool = False) -> Gpu:
        memory = self._memory(handle)
        rates = None if is_mig else self._ask("nvmlDeviceGetUtilizationRates", handle)
        milliwatts = None if is_mig else self._ask("nvmlDeviceGetPowerUsage", handle)
        millijoules = None if is_mig else self._ask("nvmlDeviceGetTotalEnergyConsumption", handle)
        return Gpu(
            uuid=self._nvml.nvmlDeviceGetUUID(handle),
            index=0,  # known when all devices are
            name=self._ask("nvmlDeviceGetName", handle) or "NVIDIA GPU",
            memory_total_bytes=None if memory is None else memory.total,
            memory_used_bytes=None if memory is None else memory.used,
            memory_free_bytes=None if memory is None else memory.free,
            utilization_percent=None if rates is None else rates.gpu,
            power_w=None if milliwatts is None else milliwatts / 1000,
            energy_j=None if millijoules is None else millijoules / 1000,
            health=Health.OK,
            is_mig=is_mig,
        )

    def _memory(self, handle: Any) -> Any:
        """Version 2 keeps what the driver reserves out of ``used``; older drivers have only version 1."""
        for version in (self._nvml.nvmlMemory_v2, None):
            try:
                return self._nvml.nvmlDeviceGetMemoryInfo(handle, version=version)
            except self._nvml.NVMLError as error:
                if error.value not in _NO_VALUE:
                    raise
        return None

    def _ask(self, question: str, *arguments: Any) -> Any:
        """An answer that a healthy card may be without: then None."""
        try:
            return getattr(self._nvml, question)(*arguments)
        except self._nvml.NVMLError as error:
            if error.value in _DRIVER_GONE | _GPU_GONE:
                raise
            return None


def _bindings() -> Any:
    """The module pynvml, when it is the one that NVIDIA maintains."""
    try:
        module = importlib.import_module("pynvml")
    except ImportError as error:
        raise DeviceError(f"{error}: pip install nvidia-ml-py. {_WITHOUT_GPUS}") from error
    try:
        deprecated = metadata.distribution("pynvml")
    except metadata.PackageNotFoundError:
        return module
    # Its later versions contain no module of that name and merely install nvidia-ml-py.
    imported = os.path.realpath(str(module.__file__))
    if any(os.path.realpath(str(file.locate())) == imported for file in deprecated.files or ()):
        raise DeviceError(
            f"the module {module.__file__} comes from the deprecated distribution pynvml {deprecated.version}. "
            "pip uninstall pynvml; pip install --force-reinstall nvidia-ml-py"
        )
    return module


def _recounted(known: Sequence[_Card], found: Sequence[_Card]) -> list[_Card]:
    """The slots after NVML was started again.

    As they are counted now, for so a new process counts them; but while a known card is missing, each stays in its
    place.
    """
    before = {card.uuid: card for card in known if card.uuid}
    for card in found:
        if card.uuid in before:
            card.last = before[card.uuid].last
    now = {card.uuid: card for card in found if card.uuid}
    if found and before.keys() <= now.keys():
        return list(found)
    for card in known:
        card.handle = None
    return [now.pop(card.uuid, card) for card in known] + list(now.values())


def _never_read(index: int) -> Gpu:
    return Gpu(f"index-{index}", index, "unknown GPU", None, None, None, None, None, Health.UNKNOWN)


def _failing(gpus: Sequence[Gpu], health: Health, problem: str) -> tuple[Gpu, ...]:
    return tuple(failing(gpu, health, problem) for gpu in gpus)


def _told(error: Exception) -> str:
    """What NVML says; the bindings turn some of its texts into the look of a bytes literal."""
    return str(error).removeprefix("b'").removesuffix("'")
