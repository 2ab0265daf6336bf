"""Somebody else on the card is told from our own start, from a gauge that lags, and from a clock that went down."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_queue.band import Band
from gpu_queue.keepalive.controller import Controller
from gpu_queue.keepalive.tenant import Listener, Sample, TenantDetector
from tests.keepalive.plant_model import Plant

MIB = 1 << 20
GIB = 1 << 30
BEFORE = 600 * MIB
BALLAST = 48 * GIB
CONTEXT = 500 * MIB
HELD = BEFORE + BALLAST + CONTEXT


def a_detector_alone(
    *, strict: bool = False, busy: float = 0.775, reading: float = 78, seconds: int = 10
) -> TenantDetector:
    """One whose filler holds the card alone since time 0, until ``seconds``."""
    detector = TenantDetector(BEFORE, strict=strict)
    for second in range(seconds + 1):
        assert detector.feed(Sample(float(second), HELD, reading, BALLAST, busy, 1.0)) == ""
    return detector


def test_memory_that_grew_by_200_mib_is_somebody_elses_at_once() -> None:
    detector = a_detector_alone()
    assert detector.feed(Sample(10.1, HELD + 199 * MIB)) == ""
    assert detector.feed(Sample(10.2, HELD + 200 * MIB)) == "memory grew by 200M that is not ours"
    assert a_detector_alone().feed(Sample(10.1, HELD + 1229 * MIB)) == "memory grew by 1.2G that is not ours"


def test_memory_that_creeps_up_is_told_as_well() -> None:
    detector = a_detector_alone()
    words = [detector.feed(Sample(10 + step, HELD + step * 10 * MIB)) for step in range(1, 21)]
    assert words == [""] * 19 + ["memory grew by 200M that is not ours"]


def test_a_tenant_that_takes_the_place_of_another_is_told() -> None:
    detector = TenantDetector(BEFORE)
    for second in range(10):
        detector.feed(Sample(float(second), HELD + 400 * MIB, own_bytes=BALLAST))
    for second in range(10, 20):
        assert detector.feed(Sample(float(second), HELD)) == ""  # it has left
    assert detector.feed(Sample(20.0, HELD + 300 * MIB)) == "memory grew by 300M that is not ours"


def test_our_own_start_is_no_tenant() -> None:
    detector = TenantDetector(BEFORE)
    words = [
        detector.feed(Sample(step / 10, BEFORE + step * GIB, 5.0 * step)) for step in range(48)
    ]  # nothing said so far
    words += [detector.feed(Sample(4.8 + step / 10, HELD, 60, BALLAST, 0.775, 1.0)) for step in range(60)]
    assert set(words) == {""}
    assert not detector.suspects


def test_a_tenant_that_came_while_we_started_is_told_when_we_have_settled() -> None:
    detector = TenantDetector(BEFORE)
    words = {detector.feed(Sample(step / 10, HELD + 3 * GIB, own_bytes=BALLAST)) for step in range(30)}
    assert words == {"", "memory grew by 3.5G that is not ours while we started"}


def test_a_halving_of_our_memory_is_no_tenant_whichever_is_heard_first() -> None:
    device_first, report_first = a_detector_alone(), a_detector_alone()
    words = [device_first.feed(Sample(10 + step / 10, HELD - 24 * GIB)) for step in range(1, 10)]
    words += [device_first.feed(Sample(11 + step / 10, HELD - 24 * GIB, own_bytes=24 * GIB)) for step in range(100)]
    words += [report_first.feed(Sample(10 + step / 10, HELD, own_bytes=24 * GIB)) for step in range(1, 10)]
    words += [report_first.feed(Sample(11 + step / 10, HELD - 24 * GIB, own_bytes=24 * GIB)) for step in range(100)]
    assert set(words) == {""}
    assert device_first.feed(Sample(30.0, HELD - 24 * GIB + 250 * MIB)) != ""


def test_unexplained_utilisation_is_suspected_first_and_told_the_second_time() -> None:
    detector = a_detector_alone(busy=0.6, reading=61)
    assert detector.feed(Sample(11.0, HELD, 95, BALLAST, 0.6)) == ""
    assert detector.suspects
    assert detector.feed(Sample(12.0, HELD, 95, BALLAST, 0.6)) == "utilisation 95 % where ours explains 60 %"


def test_two_readings_of_one_window_are_one_sign() -> None:
    detector = a_detector_alone(busy=0.6, reading=61)
    words = [detector.feed(Sample(11 + step / 10, HELD, 95, BALLAST, 0.6)) for step in range(6)]
    assert set(words) == {""}


def test_a_single_high_reading_is_forgotten() -> None:
    detector = a_detector_alone(busy=0.6, reading=61)
    words = [detector.feed(Sample(11.0 + step, HELD, 95 if step % 2 else 61, BALLAST, 0.6)) for step in range(20)]
    assert set(words) == {""}
    detector.feed(Sample(40.0, HELD, 61, BALLAST, 0.6))
    assert not detector.suspects


def test_a_tenant_that_works_from_the_first_second_is_told_by_its_share() -> None:
    detector = TenantDetector(BEFORE)
    words = [detector.feed(Sample(float(second), HELD, 95, BALLAST, 0.6)) for second in range(4)]
    assert words[-1] == "utilisation 95 % where ours explains 60 %"


def test_ten_points_more_than_ours_are_no_sign() -> None:
    detector = a_detector_alone(busy=0.6, reading=60)
    words = [detector.feed(Sample(11.0 + second, HELD, 70, BALLAST, 0.6)) for second in range(10)]
    assert set(words) == {""}
    assert not detector.suspects


@pytest.mark.parametrize(("first_s", "stretch"), [(0.0, 1.0), (3.0, 1.4)], ids=["our calibration", "beside a tenant"])
def test_what_the_gauge_shows_while_we_are_not_alone_with_our_duty_is_not_learned(
    first_s: float, stretch: float
) -> None:
    detector = TenantDetector(BEFORE)
    readings = [(0.0, 60, 1.0), *((first_s + step / 2, 78, stretch) for step in range(6))]
    readings += [(10.0 + second, 60, 1.0) for second in range(6)]
    assert {
        detector.feed(Sample(now_s, HELD, reading, BALLAST, 0.6, slower)) for now_s, reading, slower in readings
    } == {""}
    detector.feed(Sample(20.0, HELD, 78, BALLAST, 0.6))
    assert detector.feed(Sample(21.0, HELD, 78, BALLAST, 0.6)) == "utilisation 78 % where ours explains 60 %"


def test_a_gauge_that_counts_short_pauses_as_work_is_learned_and_a_tenant_still_told() -> None:
    detector = a_detector_alone(busy=0.62, reading=78)
    assert detector.feed(Sample(11.0, HELD, 86, BALLAST, 0.62)) == ""
    detector.feed(Sample(12.0, HELD, 92, BALLAST, 0.62))
    assert detector.feed(Sample(13.0, HELD, 92, BALLAST, 0.62)) == "utilisation 92 % where ours explains 62 %"


def test_a_lower_clock_is_no_tenant() -> None:
    detector = a_detector_alone()
    words = [detector.feed(Sample(11.0 + second, HELD, 80, BALLAST, 0.78, 1.2)) for second in range(60)]
    assert set(words) == {""}
    assert not detector.suspects


@pytest.mark.parametrize(("window_s", "lag_s"), [(0.167, 0.0), (0.167, 1.0), (1.0, 0.5), (1.0, 1.0)])
def test_a_gauge_that_lags_behind_changes_of_the_duty_is_no_tenant(window_s: float, lag_s: float) -> None:
    for seed in range(20):
        chance = random.Random(seed)
        plant = Plant(window_s, lag_s, 1.0, 4.0, chance)
        detector = TenantDetector(BEFORE)
        duty = reported = 0.775
        for second in range(120):
            for _ in range(2):
                plant.run(duty, 0.5)
                reported = plant.truth(0.5) / 100
                words = detector.feed(Sample(plant.now_s, HELD, None, BALLAST, reported, 1.0))
                assert words == ""
            assert detector.feed(Sample(plant.now_s, HELD, plant.reading())) == ""
            if second % 7 == 0:
                duty = chance.choice([0.0, 0.05, 0.4, 0.775, 1.0])


@settings(derandomize=True, deadline=None, max_examples=40)
@given(st.integers(0, 1 << 32), st.floats(0.75, 1.3), st.sampled_from([0.167, 1.0]), st.floats(0, 1))
def test_the_controlled_filler_alone_is_never_taken_for_a_tenant(
    seed: int, gain: float, window_s: float, lag_s: float
) -> None:
    plant = Plant(window_s, lag_s, gain, 4.0, random.Random(seed))
    controller, detector = Controller(Band()), TenantDetector(BEFORE)
    controller.restart(0.0)
    for second in range(90):
        plant.gain = gain / 0.7 if 30 <= second < 60 else gain
        stretch = 1 / 0.7 if 30 <= second < 60 else 1.0
        for _ in range(2):
            plant.run(controller.duty, 0.5)
            words = detector.feed(Sample(plant.now_s, HELD, None, BALLAST, plant.truth(0.5) / 100, stretch))
            assert words == ""
        reading = plant.reading()
        assert detector.feed(Sample(plant.now_s, HELD, reading)) == ""
        controller.step(plant.now_s, reading, hold=detector.suspects)


@settings(derandomize=True, deadline=None, max_examples=40)
@given(
    st.integers(0, 1 << 32), st.floats(0.8, 1.2), st.sampled_from([0.167, 1.0]), st.floats(0, 1), st.floats(0.8, 1)
)
def test_a_tenant_that_works_is_told_within_six_seconds_by_utilisation_alone(
    seed: int, gain: float, window_s: float, lag_s: float, share: float
) -> None:
    came_s = 40.0
    plant = Plant(window_s, lag_s, gain, 4.0, random.Random(seed), lambda now_s: share if now_s >= came_s else 0.0)
    controller, detector = Controller(Band()), TenantDetector(BEFORE)
    controller.restart(0.0)
    told_s = None
    for _ in range(50):
        for _ in range(2):
            plant.run(controller.duty, 0.5)
            detector.feed(Sample(plant.now_s, HELD, None, BALLAST, min(1.0, gain * controller.duty)))
        reading = plant.reading()
        if detector.feed(Sample(plant.now_s, HELD, reading)):
            told_s = plant.now_s
            break
        controller.step(plant.now_s, reading, hold=detector.suspects)
    assert told_s is not None
    assert came_s < told_s <= came_s + 6


@pytest.mark.parametrize(
    ("sample", "words"),
    [
        (Sample(10.1, HELD + 64 * MIB), "memory grew by 64M that is not ours"),
        (Sample(11.0, HELD, 95, BALLAST, 0.775), "utilisation 95 % where ours explains 78 %"),
        (Sample(10.5, stretch=1.3), "our kernels take 1.3x their time"),
    ],
    ids=["memory", "utilisation", "stretch"],
)
def test_a_light_filler_takes_the_first_hint(sample: Sample, words: str) -> None:
    assert a_detector_alone(strict=True).feed(sample) == words
    assert a_detector_alone().feed(sample) == ""


def test_a_light_filler_does_not_take_itself_or_a_lower_clock_for_the_task() -> None:
    detector = a_detector_alone(strict=True)
    words = [detector.feed(Sample(11.0 + second, HELD, 82, BALLAST, 0.775, 1.2)) for second in range(30)]
    assert set(words) == {""}


def test_what_is_not_known_is_no_sign() -> None:
    detector = TenantDetector(None)
    words = [detector.feed(Sample(float(second), None, None, BALLAST, None, None)) for second in range(20)]
    words += [
        detector.feed(Sample(20.0 + second, HELD, 100, BALLAST)) for second in range(10)
    ]  # no report of our share
    assert set(words) == {""}


def test_work_that_hides_behind_the_filler_is_heard_in_a_turn_of_silence() -> None:
    came_s = 200.0
    for seed in range(10):
        plant = Plant(1.0, 1.0, 1.0, 2.0, random.Random(seed), lambda now_s: 0.2 if now_s >= came_s else 0.0)
        listener, silent, silent_s = Listener(), False, 0.0
        heard = ""
        while not heard and plant.now_s < 300:
            plant.run(0.0 if silent else 0.775, 0.5)
            silent_s += 0.5 * silent
            silent, heard = listener.step(plant.now_s, plant.reading())
            assert not heard or plant.now_s > came_s
        assert heard.endswith("while we were silent")
        assert plant.now_s <= came_s + 70
        assert silent_s / plant.now_s < 0.08


@pytest.mark.parametrize(("window_s", "lag_s"), [(0.167, 0.0), (0.167, 0.3), (0.5, 0.0), (1.0, 1.0)])
@pytest.mark.parametrize("strict", [False, True], ids=["alone", "light"])
def test_a_filler_that_works_again_after_a_silence_is_not_taken_for_somebody_else(
    window_s: float, lag_s: float, strict: bool
) -> None:
    plant = Plant(window_s, lag_s, 1.0, 2.0, random.Random(1))
    detector, listener = TenantDetector(BEFORE, strict=strict), Listener(every_s=10.0)
    busy, duty = None, 0.0
    turns = 0
    for tick in range(1200):
        plant.run(duty, 0.1)
        if tick % 5 == 4:
            busy = plant.truth(0.5) / 100
        reading = plant.reading()
        stretch = 1.0 if busy is not None and tick % 5 == 4 else None
        assert detector.feed(Sample(plant.now_s, HELD, reading, BALLAST, busy, stretch, duty)) == ""
        silent, heard = listener.step(plant.now_s, reading)
        assert heard == ""
        turns += silent and duty > 0
        duty = 0.0 if silent else 0.775
    assert turns >= 8


def test_a_gauge_that_fails_in_a_turn_of_silence_tells_nothing_and_the_turn_ends() -> None:
    listener = Listener(every_s=10.0, for_s=3.5)
    turns = [listener.step(step / 2, None) for step in range(50)]
    assert {words for _, words in turns} == {""}
    assert [step / 2 for step in range(50) if turns[step][0]] == [10 + step / 2 for step in range(7)] + [
        23.5,
        24,
        24.5,
    ]
