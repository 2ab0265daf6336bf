"""When a filler launches, and what it makes of its kernels' times."""

from __future__ import annotations

import math
import random

import pytest

from gpu_queue.keepalive.pace import JITTER, Pace, Stretch

PERIOD_S = 0.03


class Card:
    """A card and a clock: what a pace does to them."""

    def __init__(self, pace: Pace, kernel_s: float = 0.008, late_s: float = 0.0):
        self.pace = pace
        self.kernel_s = kernel_s
        self.late_s = late_s
        """How much too late each rest ends."""
        self.now = 100.0
        self.launched_at: list[float] = []
        self.rests: list[float] = []

    def run(self, seconds: float, duty: float) -> float:
        """Go on for a while; the share of it in which kernels ran."""
        begin, busy_s = self.now, 0.0
        self.pace.obey(duty, seconds + 1, self.now)
        while self.now < begin + seconds:
            wait_s = self.pace.wait_s(self.now)
            if wait_s:
                self.rests.append(wait_s)
                self.now += wait_s + self.late_s
                continue
            self.launched_at.append(self.now)
            self.now += self.kernel_s
            busy_s += self.kernel_s
            self.pace.ran(self.kernel_s)
        return busy_s / (self.now - begin)


def a_pace(kernel_s: float = 0.008, seed: int = 1) -> Pace:
    return Pace(PERIOD_S, kernel_s, random.Random(seed).random)


@pytest.mark.parametrize("duty", [0.05, 0.3, 0.5, 0.775, 0.95])
@pytest.mark.parametrize("kernel_s", [0.0002, 0.004, 0.008, 0.013])
def test_in_the_long_run_the_busy_share_is_the_duty(duty: float, kernel_s: float) -> None:
    card = Card(a_pace(kernel_s), kernel_s)
    assert card.run(60.0, duty) == pytest.approx(duty, abs=0.003)


def test_rests_that_end_late_do_not_lower_the_share() -> None:
    card = Card(a_pace(), late_s=0.002)
    assert card.run(30.0, 0.775) == pytest.approx(0.775, abs=0.005)


def test_a_kernel_that_takes_longer_than_thought_does_not_raise_the_share() -> None:
    card = Card(a_pace(kernel_s=0.006), kernel_s=0.008)
    assert card.run(30.0, 0.5) == pytest.approx(0.5, abs=0.005)


def test_every_window_of_a_sixth_of_a_second_is_near_the_duty() -> None:
    card = Card(a_pace())
    card.run(20.0, 0.775)
    shares = []
    for start in range(100, 120):
        began = [at for at in card.launched_at if start <= at < start + 0.166]
        shares.append(len(began) * 0.008 / 0.166)
    assert min(shares) > 0.65
    assert max(shares) < 0.9


def test_periods_vary_by_a_fifth() -> None:
    shortest, longest = (Pace(PERIOD_S, 0.001, lambda chance=chance: chance) for chance in (0.0, 1.0))  # type: ignore[misc]
    for pace, length_s in ((shortest, PERIOD_S * (1 - JITTER)), (longest, PERIOD_S * (1 + JITTER))):
        pace.obey(0.01, 1.0, now=0.0)
        assert pace.wait_s(0.0) == pytest.approx(length_s)


def test_nothing_is_launched_before_the_first_word() -> None:
    pace = a_pace()
    assert pace.is_paused(0.0)
    assert pace.wait_s(0.0) == math.inf


def test_a_lease_that_is_not_renewed_ends_in_a_pause() -> None:
    pace = a_pace()
    pace.obey(0.775, 3.0, now=10.0)
    assert pace.wait_s(10.0) == 0
    assert not pace.is_paused(12.9)
    assert pace.wait_s(13.0) == math.inf
    pace.obey(0.775, 3.0, now=20.0)
    assert pace.wait_s(20.0) == 0


def test_no_rest_is_longer_than_the_lease() -> None:
    pace = a_pace()
    pace.obey(0.01, 0.005, now=0.0)
    assert pace.wait_s(0.0) == pytest.approx(0.005)


@pytest.mark.parametrize("word", [(0.0, 3.0), (0.5, 0.0)])
def test_a_duty_of_nothing_or_for_no_time_is_a_pause(word: tuple[float, float]) -> None:
    pace = a_pace()
    pace.obey(0.775, 3.0, now=0.0)
    pace.obey(*word, now=0.001)
    assert pace.wait_s(0.001) == math.inf


def test_a_process_that_did_not_get_to_run_does_not_make_up_for_it() -> None:
    card = Card(a_pace())
    card.run(1.0, 0.775)
    card.now += 60.0
    assert card.run(0.5, 0.775) < 0.9


def test_after_a_kernel_that_hung_the_silence_is_short() -> None:
    pace = a_pace()
    pace.obey(0.5, 60.0, now=0.0)
    pace.wait_s(0.0)
    pace.ran(20.0)
    now = 20.0
    while (wait_s := pace.wait_s(now)) > 0:
        now += wait_s
    assert now < 20.0 + 8 * PERIOD_S


class Kernels:
    """A card's kernels, one each 10 ms."""

    def __init__(self) -> None:
        self.stretch = Stretch(0.008)
        self.now = 0.0
        self.run(20, 1.0)

    def run(self, count: int, factor: float) -> list[str]:
        """Kernels that take so many times what is normal; what was found."""
        found = []
        for _ in range(count):
            self.now += 0.01
            evidence = self.stretch.note(0.008 * factor, self.now)
            if evidence:
                found.append(evidence)
        return found


def test_two_stretched_kernels_in_a_row_are_a_tenant() -> None:
    kernels = Kernels()
    assert kernels.run(1, 2.1) == []
    assert kernels.run(1, 2.1) == ["kernel time 2.1x for two bursts"]


def test_a_single_long_kernel_is_none() -> None:
    kernels = Kernels()
    assert [kernels.run(1, 3.0) + kernels.run(1, 1.0) for _ in range(10)] == [[]] * 10


def test_throttling_becomes_the_new_normal() -> None:
    kernels = Kernels()
    for percent in range(100, 121):
        assert kernels.run(100, percent / 100) == []
    assert kernels.stretch.normal_s == pytest.approx(0.0096, rel=0.02)
    assert kernels.run(1000, 1.4) == []
    assert kernels.stretch.normal_s <= 0.0096 + 1e-9
    assert kernels.run(2, 2.0) != []


def test_a_calibration_beside_a_tenant_is_corrected_when_he_has_gone() -> None:
    kernels = Kernels()
    kernels.run(1000, 0.5)
    assert kernels.stretch.normal_s == pytest.approx(0.004, rel=0.02)
    assert len(kernels.run(2, 1.0)) == 1


def test_the_first_kernels_after_a_rest_are_no_measure() -> None:
    kernels = Kernels()
    kernels.now += 2.0
    assert kernels.run(5, 2.0) == []
    assert kernels.run(2, 2.0) != []
