"""Devices: one reading of the node's GPUs, and which of them an agent serves.

- A reading is facts only; whether a GPU may be granted is the planner's judgement.
- A value that could not be read is None.  None is never "free" and never zero.
- A GPU that fails stays in the reading, in its place, with its health and the problem told.
- The key of a GPU is its UUID.  ``index`` is its place in the node's whole list: what people type and, as long as
  all is well and nothing is MIG, the number that CUDA gives it in PCI bus order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass, replace
from enum import Enum
from itertools import chain
from typing import Protocol

from gpu_queue.errors import SettingsError


class Health(Enum):
    """Whether a GPU answers."""

    OK = "ok"
    LOST = "lost"  # the driver says that it is gone, or must be reset
    UNKNOWN = "unknown"  # it could not be asked this time


class ComputeMode(Enum):
    """Who may have a context on a GPU (``nvidia-smi -c``)."""

    DEFAULT = "default"
    PROHIBITED = "prohibited"
    EXCLUSIVE_PROCESS = "exclusive process"
    """One process at a time: whoever comes first locks all others out."""


@dataclass(frozen=True)
class Gpu:
    """One device of the node: a whole card, or one MIG device."""

    uuid: str
    """``GPU-…`` or ``MIG-…``; ``index-N`` for a card that never told its UUID (it is never OK)."""
    index: int
    name: str
    memory_total_bytes: int | None
    memory_used_bytes: int | None
    """Held by processes, without what the driver reserves for itself where the driver tells them apart."""
    utilization_percent: int | None
    power_w: float | None
    energy_j: float | None
    """Since the driver was loaded."""
    health: Health
    problem: str = ""
    """For people, where health is not OK."""
    is_mig: bool = False
    memory_free_bytes: int | None = None
    """As the driver tells it: what it reserves for itself is neither used nor free."""
    compute_mode: ComputeMode | None = None
    """None: the driver does not tell it."""
    temperature_c: int | None = None
    power_limit_w: float | None = None
    """What the driver lets it draw at most."""


class Devices(Protocol):
    """A device layer.  It starts at its first use, which may raise ``DeviceError``; after that nothing raises.

    Whatever asks a driver may hang.
    """

    @property
    def kind(self) -> str:
        """``nvml`` or ``simulated``."""

    def describe(self) -> str:
        """One line for people."""

    def snapshot(self) -> tuple[Gpu, ...]:
        """All devices of the node, each in its place."""

    def close(self) -> None:
        """Give up what the layer holds; a later use starts it again."""


class Readings(Devices, Protocol):
    """What is known of the node's GPUs, for a thread that must never wait for a driver: nothing here does.

    A value that is too old is unknown.
    """

    def attend(self, watched: Set[str], hurried: Set[str], sampled: Set[str] = frozenset()) -> None:
        """Look more closely at some GPUs, by UUID, from now on; all others as usual.

        Args:
            watched: those with a filler.
            hurried: those whose memory somebody waits for.
            sampled: those of which somebody wants to know whether others use them.
        """

    def read_at(self, uuid: str) -> float:
        """When what is known of a GPU's memory was asked for, in monotonic seconds."""

    def sampled_at(self, uuid: str) -> float:
        """When what is known of a GPU's utilisation was asked for; of one that has none, its memory."""

    def take_news(self) -> Set[str]:
        """The watched and hurried GPUs that were read since this was asked last."""

    def wake_by(self, wake: Callable[[], None]) -> None:
        """Have this called, in any thread, when there is news."""


def failing(gpu: Gpu, health: Health, problem: str) -> Gpu:
    """The GPU in its place: what it is stays known, what it does is not."""
    return replace(
        gpu,
        memory_used_bytes=None,
        memory_free_bytes=None,
        utilization_percent=None,
        power_w=None,
        energy_j=None,
        temperature_c=None,
        power_limit_w=None,
        health=health,
        problem=problem,
    )


def all_failing(gpus: Sequence[Gpu], health: Health, problem: str) -> tuple[Gpu, ...]:
    """All devices of a card, which fails."""
    return tuple(failing(gpu, health, problem) for gpu in gpus)


def in_their_places(readings: Iterable[Sequence[Gpu]]) -> tuple[Gpu, ...]:
    """The devices of all cards, each with its index."""
    return tuple(replace(gpu, index=place) for place, gpu in enumerate(chain.from_iterable(readings)))


def summarize(gpus: Sequence[Gpu]) -> str:
    """``4 GPUs (NVIDIA H100 80GB HBM3), 1 lost``."""
    names = Counter(gpu.name for gpu in gpus)
    kinds = ", ".join(name if len(names) == 1 else f"{count} x {name}" for name, count in names.items())
    ill = Counter(gpu.health.value for gpu in gpus if gpu.health is not Health.OK)
    noun = "GPU" if len(gpus) == 1 else "GPUs"
    return ", ".join([f"{len(gpus)} {noun} ({kinds})", *(f"{count} {health}" for health, count in ill.items())])


def select_gpus(gpus: Sequence[Gpu], wanted: Sequence[str], visible: str | None) -> tuple[Gpu, ...]:
    """The GPUs that an agent serves.

    Args:
        gpus: all devices of the node.
        wanted: ``all`` alone, or indices and UUIDs, as ``--gpus`` takes them; a UUID may be cut as long as it fits
            one device.
        visible: ``CUDA_VISIBLE_DEVICES`` as the agent inherited it, None if it is not set.  It is a scheduler's
            grant and bounds ``all``; GPUs that are named win over it.

    Raises:
        SettingsError: a name fits no device or several, or nothing is left.
    """
    if [name.strip().lower() for name in wanted] != ["all"]:
        return _named(gpus, wanted)
    if visible is None:
        return tuple(gpus)
    granted = _granted(gpus, visible)
    if not granted:
        raise SettingsError(
            f"CUDA_VISIBLE_DEVICES={visible!r} leaves none of this node's GPUs ({_choices(gpus)}) to this agent; "
            "unset it, or name the GPUs with --gpus"
        )
    return granted


def _named(gpus: Sequence[Gpu], wanted: Sequence[str]) -> tuple[Gpu, ...]:
    chosen: list[Gpu] = []
    named = ",".join(wanted)[:200]
    for token in wanted:
        found = _matches(gpus, token)
        if len(found) != 1:
            fits = f"fits {len(found)} devices" if found else "is no GPU of this node"
            raise SettingsError(
                f"--gpus {named}: {token.strip()!r} {fits}; expected all, or some of {_choices(gpus)}"
            )
        if found[0] in chosen:
            raise SettingsError(f"--gpus {named}: GPU {found[0].index} ({found[0].uuid}) is named twice")
        chosen += found
    return tuple(chosen)


def _granted(gpus: Sequence[Gpu], visible: str) -> tuple[Gpu, ...]:
    """As CUDA reads it: up to the first entry that names no device, or not one alone."""
    granted: list[Gpu] = []
    for token in visible.split(","):
        found = _matches(gpus, token)
        if len(found) != 1:
            break
        granted += (gpu for gpu in found if gpu not in granted)
    return tuple(granted)


def _matches(gpus: Sequence[Gpu], token: str) -> list[Gpu]:
    token = token.strip()
    if token.isascii() and token.isdigit():
        return [gpu for gpu in gpus if gpu.index == int(token)]
    if not token.startswith(("GPU-", "MIG-")):
        return []
    return [gpu for gpu in gpus if gpu.uuid == token] or [gpu for gpu in gpus if gpu.uuid.startswith(token)]


def _choices(gpus: Sequence[Gpu]) -> str:
    return ", ".join(f"{gpu.index} ({gpu.uuid})" for gpu in gpus) or "none"
