"""What becomes of cards of which torch is to take a little memory; on a stand-in for torch."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from gpu_queue.execution.launcher import start_companion
from gpu_queue.keepalive.trial import MEMORY_BYTES, Outcome, Tried, remedy, try_cards
from gpu_queue.locks import is_locked, try_lock
from tests.agent.harness import wait_until
from tests.keepalive.nursery import ROOT, is_gone

CARD = str(Path(__file__).with_name("card"))
NONE_FAILS: Mapping[str, str] = {}


class Bench:
    """Tries cards, and knows what was done to them."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.pids: list[int] = []
        self.log = base / "log"

    def tried(
        self,
        *ends: str,
        how: Mapping[str, str] = NONE_FAILS,
        torch: str = CARD,
        import_s: float = 20.0,
        cards_s: float = 20.0,
    ) -> Tried:
        """What became of cards, which are called by the ends of their UUIDs, and fail so."""
        environment = {
            **os.environ,
            "PYTHONPATH": f"{torch}{os.pathsep}{ROOT}",
            "CARDS": json.dumps({f"GPU-{end}": word for end, word in how.items()}),
            "CARDS_LOG": str(self.log),
        }

        def start(descriptor: int) -> int:
            program = [sys.executable, "-m", "gpu_queue.keepalive.zygote", "--fd"]
            self.pids.append(start_companion(program, environment, descriptor))
            return self.pids[-1]

        places = {f"GPU-{end}": self.place(end) for end in ends}
        try:
            return try_cards(start, places, import_s, cards_s)
        finally:
            for place in places.values():
                os.close(place)

    def place(self, end: str) -> int:
        place = try_lock(str(self.base / f"{end}.filler"))
        assert place is not None
        return place

    def done(self, end: str) -> list[str]:
        """What was done to a card, in its order."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [line.removeprefix(f"GPU-{end} ") for line in lines if line.startswith(f"GPU-{end} ")]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    assert all(map(is_gone, made.pids)), "a process that imports torch was left behind"


def test_of_each_card_a_little_is_taken_written_and_given_back(bench: Bench) -> None:
    tried = bench.tried("a", "b")
    assert (tried.torch, tried.problem) == ("2.4.1", "")
    assert tried.outcomes == dict.fromkeys(("GPU-a", "GPU-b"), Outcome(MEMORY_BYTES))
    for end in "ab":
        assert bench.done(end) == [f"took {MEMORY_BYTES}", f"gave back {MEMORY_BYTES}"]
        assert not is_locked(str(bench.base / f"{end}.filler"))


def test_one_card_that_fails_says_why_and_hinders_no_other(bench: Bench) -> None:
    ends = {"a": "full", "b": "too old", "c": "busy", "d": "forgets", "e": "dies", "f": ""}
    tried = bench.tried(*ends, how=ends)
    said = {uuid[-1]: outcome.problem for uuid, outcome in tried.outcomes.items()}
    assert said["a"].startswith("CUDA out of memory. Tried to allocate 256.00 MiB")
    assert said["b"].startswith("The NVIDIA driver on your system is too old")
    assert said["c"] == "CUDA error: all CUDA-capable devices are busy or unavailable"
    assert said["d"] == "what was written into its memory is not what is read back"
    assert said["e"] == "the process that tried it ended (signal 11)"
    assert said["f"] == ""
    held = {uuid[-1]: outcome.held_bytes for uuid, outcome in tried.outcomes.items()}
    assert held == {**dict.fromkeys("abcde", 0), "f": MEMORY_BYTES}
    assert bench.done("d")[-1] == f"gave back {MEMORY_BYTES}"


def test_a_card_that_hangs_ends_with_the_time_for_all(bench: Bench) -> None:
    began = time.monotonic()
    tried = bench.tried("a", "b", how={"a": "hangs"}, cards_s=1.5)
    assert time.monotonic() - began < 15
    assert tried.outcomes["GPU-b"] == Outcome(MEMORY_BYTES)
    assert tried.outcomes["GPU-a"].problem == "CUDA has not answered within 1.5s: the driver hangs"
    wait_until(lambda: not is_locked(str(bench.base / "a.filler")), "the end of a hung worker, which is killed")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("raise ImportError('libcudart.so.12: cannot open')", "torch cannot be imported by"),
        ("import os; os._exit(3)", "the process that imports torch ended without a word"),
        ("import time; time.sleep(600)", "torch was not imported within 1s"),
    ],
)
def test_a_torch_that_cannot_be_imported_is_told_once(bench: Bench, content: str, problem: str) -> None:
    (bench.base / "torch.py").write_text(content)
    tried = bench.tried("a", torch=str(bench.base), import_s=1.0 if "sleep" in content else 20.0)
    assert tried.problem.startswith(problem)
    assert tried.outcomes == {}


def test_a_torch_without_cuda_tries_nothing(bench: Bench) -> None:
    tried = bench.tried("a", torch=str(ROOT / "tests/keepalive/without"))
    assert tried.problem == f"torch 0.0 of {sys.executable} was built without CUDA"
    assert tried.outcomes == {}


@pytest.mark.parametrize(
    ("problem", "what"),
    [
        ("The NVIDIA driver on your system is too old (found version 11040)", "a newer driver"),
        ("Found no NVIDIA driver on your system", "which devices this container"),
        ("CUDA shows 0 GPUs for CUDA_VISIBLE_DEVICES=GPU-a", "which devices this container"),
        ("OutOfMemoryError: CUDA out of memory", "who has its memory"),
        ("CUDA error: all CUDA-capable devices are busy or unavailable", "nvidia-smi -c DEFAULT"),
        ("CUDA error: no kernel image is available for execution on the device", "built for this kind of GPU"),
        ("CUDA error: uncorrectable ECC error encountered", "dmesg"),
    ],
)
def test_what_to_do_fits_what_went_wrong(problem: str, what: str) -> None:
    assert what in remedy(problem)
