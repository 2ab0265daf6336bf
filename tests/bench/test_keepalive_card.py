"""Which card may be measured: one that nobody uses, by more than a single reading."""

from __future__ import annotations

from dataclasses import replace

from keepalive_card import Quiet

from gpu_queue.gpus.devices import Gpu, Health
from tests.gpus.gpu_builders import GIB, a_gpu


def chosen(readings: list[tuple[float, list[Gpu]]], for_s: float = 3.0) -> list[str]:
    """The cards that are free at the last reading."""
    quiet = Quiet(for_s)
    free: list[Gpu] = []
    for at_s, gpus in readings:
        free = quiet.feed(at_s, gpus)
    return [gpu.uuid for gpu in free]


def test_a_card_that_scrubs_its_memory_after_the_start_of_nvml_is_waited_for() -> None:
    scrubs, rests = replace(a_gpu(0), utilization_percent=100), a_gpu(0)
    assert chosen([(0.0, [scrubs]), (1.0, [scrubs]), (2.0, [rests]), (4.9, [rests])]) == []
    assert chosen([(0.0, [scrubs]), (1.0, [scrubs]), (2.0, [rests]), (5.0, [rests])]) == [rests.uuid]


def test_one_quiet_reading_between_two_busy_ones_is_not_enough() -> None:
    busy, rests = replace(a_gpu(0), utilization_percent=60), a_gpu(0)
    assert chosen([(0.0, [rests]), (2.0, [busy]), (2.5, [rests]), (4.0, [rests])]) == []


def test_a_card_that_others_hold_or_that_does_not_answer_is_not_free() -> None:
    held, lost, free = replace(a_gpu(0), memory_used_bytes=2 * GIB), a_gpu(1, health=Health.LOST), a_gpu(2)
    untold = replace(a_gpu(3), memory_used_bytes=None)
    assert chosen([(at_s, [held, lost, free, untold]) for at_s in (0.0, 3.0)]) == [free.uuid]
