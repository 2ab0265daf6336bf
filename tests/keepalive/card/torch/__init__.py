"""A torch with one card, for what only takes memory, and notes what was done in the file ``CARDS_LOG``.

``CARDS`` is JSON: by UUID a word of how a card fails.  One that is not named there works.
"""

import json
import os
import signal
import time
from types import SimpleNamespace
from typing import Any

from torch import version

__version__ = version.__version__
uint8 = "uint8"
_FAILURES = {
    "too old": RuntimeError("The NVIDIA driver on your system is too old (found version 11040). Please update"),
    "busy": RuntimeError("CUDA error: all CUDA-capable devices are busy or unavailable\nCUDA kernel errors might"),
    "ill": RuntimeError("CUDA error: uncorrectable ECC error encountered"),
}
_taken: list[int] = []


class OutOfMemoryError(RuntimeError):
    """As the real one's."""


def _how() -> str:
    found: dict[str, str] = json.loads(os.environ.get("CARDS", "{}"))
    return found.get(os.environ["CUDA_VISIBLE_DEVICES"], "")


def _note(what: str) -> None:
    with open(os.environ["CARDS_LOG"], "a") as file:
        file.write(f"{os.environ['CUDA_VISIBLE_DEVICES']} {what}\n")


class Block:
    """Memory of the card; it remembers nothing, but for a card that forgets."""

    def __init__(self, size: int) -> None:
        self._size, self._value = size, 0
        _taken.append(size)
        _note(f"took {size}")

    def __del__(self) -> None:
        _taken.remove(self._size)
        _note(f"gave back {self._size}")

    def fill_(self, value: int) -> None:
        self._value = 0 if _how() == "forgets" else value

    def __getitem__(self, at: int) -> int:
        return self._value


def empty(size: int, *, dtype: str, device: str) -> Block:
    assert (dtype, device) == ("uint8", "cuda")
    if _how() == "full":
        raise OutOfMemoryError("CUDA out of memory. Tried to allocate 256.00 MiB. GPU 0 has a total capacity of")
    return Block(size)


def _init() -> None:
    how = _how()
    if how == "hangs":
        time.sleep(600)
    if how == "dies":
        os.kill(os.getpid(), signal.SIGSEGV)
    if how in _FAILURES:
        raise _FAILURES[how]


def _event(**_: bool) -> Any:
    return SimpleNamespace()


cuda = SimpleNamespace(
    OutOfMemoryError=OutOfMemoryError,
    init=_init,
    device_count=lambda: 1,
    get_device_properties=lambda _: SimpleNamespace(uuid="", total_memory=80 << 30),
    set_per_process_memory_fraction=lambda fraction, device: None,
    Event=_event,
    memory_reserved=lambda _: sum(_taken),
    empty_cache=lambda: None,
)
