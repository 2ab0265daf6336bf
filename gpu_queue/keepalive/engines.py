"""What loads a card.  The only module that imports torch.

==========  ==========================================================================================
``matmul``  fp16 products of random matrices: what people mean by a busy GPU, at a busy GPU's power
``zeros``   the same kernels on zeros: as busy by every counter, at much less power
``spin``    one thread that waits on the GPU's clock: busy for ``utilization.gpu`` and for nothing else
``cpu``     for simulated cards: a load in the plant, and nothing on the host
``trial``   no load: a little memory, taken, written and read once, to see whether a program could
==========  ==========================================================================================

On a real card, all of them:

- see exactly one GPU, told by UUID before CUDA starts, and make sure afterwards that it is the one;
- sleep, not spin, while a kernel runs; have one launch in flight; allocate nothing between launches;
- take the matrices first, then whatever is left to the goal as blocks that are never touched (ballast).  When memory
  runs out they give all ballast back and try half, a few times, then none.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import re
import time
from collections.abc import Callable
from statistics import median
from typing import Any, TypeVar

import torch

from gpu_queue.gpus.devices import Health
from gpu_queue.gpus.plant import Load, Plant
from gpu_queue.gpus.simulated import STATE_FILE_VARIABLE, SimulatedDevices
from gpu_queue.keepalive.protocol import WorkerSpec
from gpu_queue.keepalive.sizes import choose_tile, largest_size
from gpu_queue.keepalive.worker import Engine

OUT_OF_MEMORY: type[BaseException] = getattr(torch, "OutOfMemoryError", None) or torch.cuda.OutOfMemoryError
BLOCK_BYTES = 1 << 30
"""Of ballast: few large ones are given back fast, and one more or less is no great miss of the goal."""
HALVINGS = 6
_WARM_UP = 10
_MEASURED = 10
_CLOCKS_RISE_S = 0.1
"""An idle card's clocks are low; before anything is measured it works for so long."""
_NOTICED_S = 0.001
"""So long after its end a kernel's end is noticed by a host that has nothing else to do."""
_HEADROOM_BYTES = 1 << 30
"""Above its goal, for the libraries' workspaces, a light one's matrices, and those that are only tried."""
_BLOCKING_SYNC = 4
"""CU_CTX_SCHED_BLOCKING_SYNC"""

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)

Look = Callable[[], None]
Block = TypeVar("Block")


def describe() -> tuple[str, bool]:
    """The version of torch, and whether it was built for GPUs; the driver is not asked."""
    return str(torch.__version__), bool(torch.version.cuda or getattr(torch.version, "hip", None))


def make(spec: WorkerSpec) -> Engine:
    """The engine that is asked for; nothing is touched yet."""
    kinds: dict[str, Callable[[WorkerSpec], Engine]] = {
        "matmul": Matmul,
        "zeros": Zeros,
        "spin": Spin,
        "cpu": Cpu,
        "trial": Trial,
    }
    return kinds[spec.engine](spec)


def fill(
    goal_bytes: int, allocate: Callable[[int], Block], give_back: Callable[[], None], look: Look
) -> tuple[list[Block], int]:
    """Blocks that come to a goal, or to half of it, or to a quarter, and so on to none.

    Args:
        goal_bytes: to come to; nothing below 0.
        allocate: takes a number of bytes; raises :data:`OUT_OF_MEMORY`.
        give_back: called when blocks were dropped, to make them free for others.
        look: called before each block; may raise.

    Returns:
        The blocks, and how often the goal was halved.
    """
    blocks: list[Block] = []
    for halvings in range(HALVINGS + 1):
        left_bytes = max(0, goal_bytes) >> halvings
        try:
            while left_bytes > 0:
                look()
                blocks.append(allocate(min(left_bytes, BLOCK_BYTES)))
                left_bytes -= BLOCK_BYTES
            return blocks, halvings
        except OUT_OF_MEMORY:
            blocks.clear()
        # Only here, where the error with its frames has gone, is nothing referred to any more.
        give_back()
    return blocks, HALVINGS + 1


class _Card:
    """What the engines on a real card have in common."""

    def __init__(self, spec: WorkerSpec):
        self.tile = 0
        self.halvings = 0
        self._spec = spec
        self._worked_s = 0.0
        self._ballast: list[Any] = []
        self._begun: Any = None
        self._ended: Any = None

    @property
    def held_bytes(self) -> int:
        """All but the context, which only the driver knows."""
        return int(torch.cuda.memory_reserved(0)) if self._begun is not None else 0

    def hold(self, look: Look) -> float:
        """Start CUDA on the one card, prepare the kernel, measure it, and fill up."""
        _start_cuda(self._spec)
        # Blocking: the host sleeps while it waits.  Without it, it spins on a core of its own.
        self._begun = torch.cuda.Event(enable_timing=True, blocking=True)
        self._ended = torch.cuda.Event(enable_timing=True, blocking=True)
        look()
        self._prepare(look)
        look()
        kernel_s = self._measure(_WARM_UP, _MEASURED)
        torch.cuda.empty_cache()
        missing_bytes = self._spec.goal_bytes - self.held_bytes
        self._ballast, self.halvings = fill(missing_bytes, _ballast, torch.cuda.empty_cache, look)
        return kernel_s

    def launch(self) -> float:
        """One kernel, by the card's own clock."""
        self._begun.record()
        self._enqueue()
        self._ended.record()
        self._ended.synchronize()
        return float(self._begun.elapsed_time(self._ended)) / 1000

    def free(self) -> None:
        """All memory back to the driver; the context goes with the process."""
        self._ballast.clear()
        self._drop()
        if self._begun is not None:
            torch.cuda.empty_cache()

    def _prepare(self, look: Look) -> None:
        raise NotImplementedError

    def _enqueue(self) -> None:
        raise NotImplementedError

    def _drop(self) -> None:
        """Let go of what :meth:`_prepare` made."""

    def _warm_up(self) -> bool:
        """Whether the card has worked for long enough by now."""
        for _ in range(1000):
            self._worked_s += self.launch()
            if self._worked_s >= _CLOCKS_RISE_S:
                return True
        return False

    def _measure(self, warm_up: int, measured: int) -> float:
        for _ in range(warm_up):
            self.launch()
        kernels_s, waits_s = [], []
        for _ in range(measured):
            begun = time.monotonic()
            kernels_s.append(self.launch())
            waits_s.append(time.monotonic() - begun)
        # What the next kernel is made of must not hang on the card's clock alone: one cannot be broken off.
        kernel_s, wait_s = median(kernels_s), min(waits_s)
        return kernel_s if wait_s < 2 * kernel_s + _NOTICED_S else wait_s


class Matmul(_Card):
    """Products of random matrices."""

    def __init__(self, spec: WorkerSpec):
        super().__init__(spec)
        self._matrices: tuple[Any, Any, Any] | None = None

    def _prepare(self, look: Look) -> None:
        is_warm = False

        def measure(size: int) -> float:
            nonlocal is_warm
            look()
            try:
                self._make_matrices(size)
                is_warm = is_warm or self._warm_up()
                return self._measure(3, 5)
            except OUT_OF_MEMORY:
                return math.inf

        largest = largest_size(self._spec.matrix_size, self._spec.goal_bytes)
        self.tile = choose_tile(largest, self._spec.tile_s, measure)
        look()
        self._make_matrices(self.tile)

    def _make_matrices(self, size: int) -> None:
        self._drop()
        torch.cuda.empty_cache()
        a, b = self._data(size), self._data(size)
        self._matrices = (a, b, torch.empty_like(a))

    def _data(self, size: int) -> Any:
        return torch.randn(size, size, dtype=torch.float16, device="cuda")

    def _enqueue(self) -> None:
        assert self._matrices is not None
        a, b, c = self._matrices
        # Never c into the next one: fp16 overflows after a few products, and NaN is cheap to multiply.
        torch.mm(a, b, out=c)

    def _drop(self) -> None:
        self._matrices = None


class Zeros(Matmul):
    """Products of zeros: no transistor changes its mind."""

    def _data(self, size: int) -> Any:
        return torch.zeros(size, size, dtype=torch.float16, device="cuda")


class Spin(_Card):
    """One thread that reads the card's clock until enough cycles have passed.

    The cycles are trimmed all the time, for they are cycles of a clock that heat and power change.  A spin cannot be
    broken off, so however wrong a measurement, none is longer than 50 ms, and that at the clock of a card that idles.
    """

    _FIRST_CYCLES = 100_000
    _MOST_CYCLES = 10_500_000
    """50 ms at 210 MHz, the lowest clock that cards have; 5 ms at 2.1 GHz.  Faster ones spin a little less."""
    _MOST_GROWTH = 8.0
    _TRIALS = 10

    def __init__(self, spec: WorkerSpec):
        super().__init__(spec)
        self._cycles = self._FIRST_CYCLES

    def launch(self) -> float:
        """One spin; its length is kept at what was asked for."""
        kernel_s = super().launch()
        # What is far off is no drift, and not for us to trim away: somebody else may be on the card.
        if 0.7 < kernel_s / self._spec.tile_s < 1.4:
            self._set_cycles(1 + 0.05 * (self._spec.tile_s / kernel_s - 1))
        return kernel_s

    def _prepare(self, look: Look) -> None:
        if not hasattr(torch.cuda, "_sleep"):  # no part of torch's public interface
            raise RuntimeError(f"torch {torch.__version__} has no torch.cuda._sleep; choose keepalive.engine: zeros")
        is_warm = False
        for _ in range(self._TRIALS):
            look()
            is_warm = is_warm or self._warm_up()
            wanted = self._spec.tile_s / max(1e-6, self._measure(3, 5))
            self._set_cycles(min(wanted, self._MOST_GROWTH))
            if is_warm and 0.95 < wanted < 1.05:
                return  # else the clocks may still be rising

    def _set_cycles(self, factor: float) -> None:
        self._cycles = max(1, min(int(self._cycles * factor), self._MOST_CYCLES))

    def _enqueue(self) -> None:
        torch.cuda._sleep(self._cycles)


class Trial(_Card):
    """Takes all of its goal or none of it, and works on it once."""

    _MARK = 77

    def hold(self, look: Look) -> float:
        """Start CUDA on the one card, write into the memory, and read it back."""
        _start_cuda(self._spec)
        self._begun = self._ended = torch.cuda.Event(enable_timing=True, blocking=True)
        look()
        begun = time.monotonic()
        block = _ballast(self._spec.goal_bytes)
        self._ballast.append(block)
        block.fill_(self._MARK)
        if int(block[-1]) != self._MARK:  # waits for the card
            raise RuntimeError("what was written into its memory is not what is read back")
        return max(1e-6, time.monotonic() - begun)


class Cpu:
    """The engine of simulated cards.

    Its kernel has a modelled length, as a GPU's does not depend on when the host gets to look: twice as long while
    another load runs on the card, as time slicing has it.  What it holds is only booked.
    """

    KERNEL_S = 0.004
    MATRICES_BYTES = 24 << 10
    _CARDS = 64
    """As many as the state file of simulated cards may speak of."""

    def __init__(self, spec: WorkerSpec):
        """Nothing is booked yet."""
        self.tile = 0
        self.halvings = 0
        self._spec = spec
        self._plant = Plant(spec.plant)
        state_file = os.environ.get(STATE_FILE_VARIABLE)
        self._cards = SimulatedDevices(self._CARDS, spec.total_bytes, state_file, spec.plant)
        self._load: Load | None = None

    @property
    def held_bytes(self) -> int:
        """What is booked."""
        return self._load.held_bytes if self._load else 0

    def hold(self, look: Look) -> float:
        """Book the memory, as far as the card has room."""
        load = self._load = Load(self._spec.plant, self._spec.uuid)
        matrices_bytes = min(self._spec.goal_bytes, self.MATRICES_BYTES)
        self._book(matrices_bytes)
        ballast_bytes = self._spec.goal_bytes - matrices_bytes
        self.halvings = fill(ballast_bytes, self._book, lambda: load.hold(matrices_bytes), look)[1]
        return self.KERNEL_S

    def launch(self) -> float:
        """A load for the modelled time."""
        assert self._load is not None
        begin_ns = time.monotonic_ns()
        is_shared = self._plant.is_busy(self._spec.uuid, begin_ns, besides=self._load)
        kernel_s = self.KERNEL_S * (2 if is_shared else 1)
        end_ns = begin_ns + int(kernel_s * 1e9)
        self._load.book(begin_ns, end_ns)
        time.sleep(max(0, end_ns - time.monotonic_ns()) / 1e9)
        return kernel_s

    def free(self) -> None:
        """Book nothing any more."""
        if self._load:
            self._load.close()
            self._load = None

    def _book(self, size_bytes: int) -> None:
        assert self._load is not None
        if self._used_bytes() + size_bytes > self._spec.total_bytes:
            raise OUT_OF_MEMORY(f"simulated card: out of memory. Tried to allocate {size_bytes} bytes")
        self._load.hold(self._load.held_bytes + size_bytes)

    def _used_bytes(self) -> int:
        """What is held on the card by all, ourselves included."""
        for card in self._cards.snapshot():
            if card.uuid == self._spec.uuid and card.health is Health.OK:
                return card.memory_used_bytes or 0
        usage = self._plant.read(time.monotonic_ns()).get(self._spec.uuid)
        return usage.held_bytes if usage else 0


def _ballast(size_bytes: int) -> Any:
    return torch.empty(size_bytes, dtype=torch.uint8, device="cuda")


def _start_cuda(spec: WorkerSpec) -> None:
    """Start CUDA on the card of a spec and on no other.

    Raises:
        RuntimeError: CUDA does not start, or shows another card.
    """
    os.environ["CUDA_VISIBLE_DEVICES"] = spec.uuid
    _ask_for_blocking_sync()
    torch.cuda.init()
    count = torch.cuda.device_count()
    if count != 1:
        raise RuntimeError(f"CUDA shows {count} GPUs for CUDA_VISIBLE_DEVICES={os.environ['CUDA_VISIBLE_DEVICES']}")
    card = torch.cuda.get_device_properties(0)
    found = _bare(str(getattr(card, "uuid", "")))  # torch before 2.4 does not tell
    if spec.uuid.startswith("GPU-") and _UUID.fullmatch(found) and found != _bare(spec.uuid):
        raise RuntimeError(f"CUDA shows GPU {found} for {spec.uuid}")
    # In case something here takes more than was meant: a filler must not be what makes a task run out of memory.
    most_bytes = spec.goal_bytes + _HEADROOM_BYTES
    torch.cuda.set_per_process_memory_fraction(min(1.0, most_bytes / card.total_memory), 0)


def _bare(uuid: str) -> str:
    return uuid.lower().removeprefix("gpu-")


def _ask_for_blocking_sync() -> None:
    """Let waits that go without our events sleep as well; it has to be said before the context is made."""
    with contextlib.suppress(OSError, AttributeError):  # no driver, which torch will tell, or one that cannot
        driver = ctypes.CDLL("libcuda.so.1")
        device = ctypes.c_int()
        if driver.cuInit(0) == 0 and driver.cuDeviceGet(ctypes.byref(device), 0) == 0:
            driver.cuDevicePrimaryCtxSetFlags_v2(device, _BLOCKING_SYNC)
