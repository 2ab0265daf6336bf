"""NVIDIA GPUs, read through NVML (``nvidia-ml-py``, module ``pynvml``).

- A card is asked a handful of questions of microseconds each, and never for its processes: that call takes
  milliseconds under the driver's global lock, and stalls whoever launches kernels.
- A question that the driver or the card does not know gives None for that value alone.
- A card that fails stays in its place under its last known UUID, and the others go on.  It is asked again each time.
- A card in MIG mode is replaced by its MIG devices.  They have no utilisation; power, energy and temperature belong
  to the card; these are None.  Indices are places in the list of all devices, NVML's own while nothing is MIG.
- When the driver was reloaded, NVML is started again, once for each snapshot.
- Any call may hang, for 45 s or for ever.  Who must not wait asks through :mod:`gpu_queue.gpus.reader`, which asks
  card by card; ``snapshot`` is for those who have nothing else to do.
"""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

from gpu_queue.errors import DeviceError
from gpu_queue.gpus.asking import ALL, Question
from gpu_queue.gpus.devices import ComputeMode, Gpu, Health, all_failing, failing, in_their_places, summarize
from gpu_queue.units import format_duration


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

_ON_THE_DIE = 0
"""The sensor of nvmlDeviceGetTemperature (NVML_TEMPERATURE_GPU)."""
_COMPUTE_MODES = (
    ComputeMode.DEFAULT,
    ComputeMode.EXCLUSIVE_PROCESS,  # "exclusive thread", which drivers have long taken for this
    ComputeMode.PROHIBITED,
    ComputeMode.EXCLUSIVE_PROCESS,
)
"""By NVML's numbers."""
SLOW_S = 2.0
"""An answer of a card that takes longer is none.  Healthy ones take microseconds, seldom milliseconds."""

UPGRADED = "the driver was upgraded under this process; restart the agent"
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


class SlowAnswer(Exception):
    """A card took so long that it is not to be asked further now."""

    def __init__(self, took_s: float) -> None:
        super().__init__(f"an answer of the driver took {format_duration(took_s)}")
        self.took_s = took_s


class DriverAway(Exception):
    """The driver answers nothing about any card, and why."""


@dataclass(eq=False)
class Card:
    """One slot of the node."""

    index: int
    """NVML's, when the cards were counted."""
    last: tuple[Gpu, ...]
    """Its devices when it was last read."""
    uuid: str = ""
    """Empty until the card told it."""
    handle: Any = None
    parts: tuple[tuple[Any, Gpu], ...] = ()
    """Handles of its devices, each with what never changes of it; empty until they are known."""
    has_memory_v2: bool = True

    @property
    def is_failing(self) -> bool:
        """Whether it has to say everything anew."""
        return not self.parts or any(gpu.health is not Health.OK for gpu in self.last)


class NvmlDevices:
    """The GPUs that NVML shows to this process."""

    kind = "nvml"

    def __init__(self) -> None:
        self._nvml: Any = None
        self._driver = ""
        self.cards: list[Card] = []
        """Empty until it was started; made anew when it was started again."""
        self.calls = 0
        """How many questions were asked of cards."""

    def describe(self) -> str:
        """One line for people."""
        return self.description(self.snapshot())

    def description(self, gpus: Sequence[Gpu]) -> str:
        """One line for people, of GPUs that were read before."""
        return f"{summarize(gpus)}, driver {self._driver}, NVML"

    def snapshot(self) -> tuple[Gpu, ...]:
        """All devices of the node, each in its place.

        Raises:
            DeviceError: at the first use only: NVML cannot be started, or shows no GPU.
        """
        if not self.cards:
            self.start()
        try:
            try:
                readings = [self._read_or_give_up(card) for card in self.cards]
            except DriverAway:
                self.start_again()
                readings = [self._read_or_give_up(card) for card in self.cards]
        except DriverAway as error:
            readings = [all_failing(card.last, Health.UNKNOWN, str(error)) for card in self.cards]
        return in_their_places(readings)

    def _read_or_give_up(self, card: Card) -> tuple[Gpu, ...]:
        try:
            return self.read(card, ALL)
        except SlowAnswer as error:
            return all_failing(card.last, Health.UNKNOWN, str(error))

    def close(self) -> None:
        """Leave NVML; a later use starts it again."""
        self.cards = []
        if self._nvml is not None:
            self._leave()

    def start(self) -> None:
        """Start NVML and count the cards.

        Raises:
            DeviceError: NVML cannot be started, or shows no GPU.
        """
        self._nvml = _bindings()
        try:
            self.cards = self._connect()
        except self._nvml.NVMLError as error:
            self.close()
            known = _AT_START.get(error.value, f"NVML does not start: {_told(error)}.")
            raise DeviceError(f"{known} {_WITHOUT_GPUS}") from error
        if not self.cards:
            self.close()
            raise DeviceError(f"the NVIDIA driver {self._driver} shows no GPU to this process. {_WITHOUT_GPUS}")

    def start_again(self) -> None:
        """Start NVML anew, whose driver was reloaded, and count the cards; nobody else may be asking meanwhile.

        Raises:
            DriverAway: it does not start.
        """
        self._leave()
        try:
            found = self._connect()
            for card in found:
                try:
                    self._open(card, time.monotonic())
                except SlowAnswer:
                    pass  # it stays in its place, and is asked for its name later
                except self._nvml.NVMLError as error:
                    if error.value in _DRIVER_GONE:
                        raise
        except self._nvml.NVMLError as error:
            raise _away(error) from error
        self.cards = _recounted(self.cards, found)

    def _leave(self) -> None:
        try:
            self._nvml.nvmlShutdown()
        except self._nvml.NVMLError:
            pass  # it was not started, or the driver has left before us

    def _connect(self) -> list[Card]:
        self._nvml.nvmlInit()
        try:
            self._driver = self._nvml.nvmlSystemGetDriverVersion()
        except self._nvml.NVMLError as error:
            if error.value in _DRIVER_GONE:
                raise
            self._driver = "unknown"
        return [Card(index, (_never_read(index),)) for index in range(self._nvml.nvmlDeviceGetCount())]

    def _open(self, card: Card, since: float) -> None:
        if card.uuid:
            card.handle = self._call(since, "nvmlDeviceGetHandleByUUID", card.uuid)
            return
        handle = self._call(since, "nvmlDeviceGetHandleByIndex", card.index)
        card.uuid = self._call(since, "nvmlDeviceGetUUID", handle)
        card.last = tuple(replace(gpu, uuid=card.uuid) for gpu in card.last)
        card.handle = handle

    # -- one card ---------------------------------------------------------------------------------------------------

    def read(self, card: Card, questions: Collection[Question]) -> tuple[Gpu, ...]:
        """Ask one card, a failing one everything.  Several threads may read different cards.

        Returns:
            Its devices; of what was not asked they have the last values.

        Raises:
            DriverAway: the driver as a whole does not answer.
            SlowAnswer: this took longer than ``SLOW_S``; nothing of it is kept.
        """
        since = time.monotonic()
        try:
            card.last = self._ask_all(card, ALL if card.is_failing else questions, since)
        except self._nvml.NVMLError as error:
            if error.value in _DRIVER_GONE:
                raise _away(error) from error
            health = Health.LOST if error.value in _LOST else Health.UNKNOWN
            card.last = all_failing(card.last, health, _told(error))
        return card.last

    def _ask_all(self, card: Card, questions: Collection[Question], since: float) -> tuple[Gpu, ...]:
        if card.handle is None:
            self._open(card, since)
        if Question.MODES in questions:
            self._look_for_parts(card, since)
        before = {gpu.uuid: gpu for gpu in card.last}
        return tuple(
            self._device(card, handle, fixed, before.get(fixed.uuid, fixed), questions, since)
            for handle, fixed in card.parts
        )

    def _look_for_parts(self, card: Card, since: float) -> None:
        """What devices the card has, and what they are called where that is not known."""
        mode = self._ask(since, "nvmlDeviceGetMigMode", card.handle)
        compute = self._ask(since, "nvmlDeviceGetComputeMode", card.handle)
        compute_mode = _COMPUTE_MODES[compute] if compute in range(len(_COMPUTE_MODES)) else None
        is_mig = bool(mode and mode[0])
        limit = None if is_mig else self._ask(since, "nvmlDeviceGetEnforcedPowerLimit", card.handle)
        celsius = None if is_mig else self._ask(since, "nvmlDeviceGetTemperature", card.handle, _ON_THE_DIE)
        limit_w = None if limit is None else limit / 1000
        handles = self._mig_handles(card.handle, since) if is_mig else [card.handle]
        names = {fixed.uuid: fixed.name for _, fixed in card.parts}
        parts = []
        for handle in handles or [card.handle]:
            uuid = self._call(since, "nvmlDeviceGetUUID", handle) if is_mig else card.uuid
            name = names.get(uuid) or self._ask(since, "nvmlDeviceGetName", handle) or "NVIDIA GPU"
            fixed = replace(
                _never_read(0),
                uuid=uuid,
                name=name,
                is_mig=is_mig,
                compute_mode=compute_mode,
                temperature_c=celsius,
                power_limit_w=limit_w,
            )
            if is_mig and not handles:
                # It stays in the list, so that nobody takes the places of the cards after it for CUDA's indices.
                fixed = replace(fixed, problem="MIG is on, but the card has no MIG devices")
            parts.append((handle, fixed))
        card.parts = tuple(parts)

    def _mig_handles(self, handle: Any, since: float) -> list[Any]:
        found = []
        for position in range(self._ask(since, "nvmlDeviceGetMaxMigDeviceCount", handle) or 0):
            try:
                found.append(self._call(since, "nvmlDeviceGetMigDeviceHandleByIndex", handle, position))
            except self._nvml.NVMLError as error:
                if error.value not in (_Code.NOT_FOUND, _Code.INVALID_ARGUMENT):  # places are not filled in order
                    raise
        return found

    def _device(
        self, card: Card, handle: Any, fixed: Gpu, before: Gpu, questions: Collection[Question], since: float
    ) -> Gpu:
        gpu = replace(
            before,
            name=fixed.name,
            is_mig=fixed.is_mig,
            compute_mode=fixed.compute_mode,
            power_limit_w=fixed.power_limit_w,
            temperature_c=fixed.temperature_c,
        )
        if Question.MEMORY in questions:
            memory = self._memory(card, handle, since)
            gpu = replace(
                gpu,
                memory_total_bytes=None if memory is None else memory.total,
                memory_used_bytes=None if memory is None else memory.used,
                memory_free_bytes=None if memory is None else memory.free,
            )
        if Question.UTILIZATION in questions and not fixed.is_mig:
            rates = self._ask(since, "nvmlDeviceGetUtilizationRates", handle)
            gpu = replace(gpu, utilization_percent=None if rates is None else rates.gpu)
        if Question.POWER in questions and not fixed.is_mig:
            milliwatts = self._ask(since, "nvmlDeviceGetPowerUsage", handle)
            millijoules = self._ask(since, "nvmlDeviceGetTotalEnergyConsumption", handle)
            gpu = replace(
                gpu,
                power_w=None if milliwatts is None else milliwatts / 1000,
                energy_j=None if millijoules is None else millijoules / 1000,
            )
        if fixed.problem:
            return failing(gpu, Health.UNKNOWN, fixed.problem)
        return replace(gpu, health=Health.OK, problem="")

    def _memory(self, card: Card, handle: Any, since: float) -> Any:
        """Version 2 keeps what the driver reserves out of ``used``; older drivers have only version 1."""
        for version in (self._nvml.nvmlMemory_v2, None) if card.has_memory_v2 else (None,):
            try:
                return self._call(since, "nvmlDeviceGetMemoryInfo", handle, version)
            except self._nvml.NVMLError as error:
                if error.value not in _NO_VALUE:
                    raise
                if error.value in (_Code.FUNCTION_NOT_FOUND, _Code.ARGUMENT_VERSION_MISMATCH):
                    card.has_memory_v2 = False
        return None

    def _ask(self, since: float, question: str, *arguments: Any) -> Any:
        """An answer that a healthy card may be without: then None."""
        try:
            return self._call(since, question, *arguments)
        except self._nvml.NVMLError as error:
            if error.value in _DRIVER_GONE | _GPU_GONE:
                raise
            return None

    def _call(self, since: float, question: str, *arguments: Any) -> Any:
        """An answer, unless all that was asked ``since`` then takes too long, also where it ended in an error."""
        self.calls += 1
        try:
            return getattr(self._nvml, question)(*arguments)
        finally:
            took_s = time.monotonic() - since
            if took_s > SLOW_S:
                raise SlowAnswer(took_s)


def _bindings() -> Any:
    """The module pynvml, when it is the one that NVIDIA maintains."""
    from importlib import metadata  # noqa: PLC0415  a twentieth of the imports of an agent, and of others who need it not

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


def _recounted(known: Sequence[Card], found: Sequence[Card]) -> list[Card]:
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
        card.handle, card.parts = None, ()
    return [now.pop(card.uuid, card) for card in known] + list(now.values())


def _never_read(index: int) -> Gpu:
    return Gpu(f"index-{index}", index, "unknown GPU", None, None, None, None, None, Health.UNKNOWN)


def _away(error: Any) -> DriverAway:
    if error.value == _Code.LIB_RM_VERSION_MISMATCH:
        return DriverAway(UPGRADED)
    return DriverAway(f"the driver does not answer: {_told(error)}")


def _told(error: Exception) -> str:
    """What NVML says; the bindings turn some of its texts into the look of a bytes literal."""
    return str(error).removeprefix("b'").removesuffix("'")
