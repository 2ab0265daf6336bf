"""The worker's loop, with a clock, an engine and an agent that the tests play."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from gpu_queue.keepalive.protocol import (
    Channel,
    Closed,
    Duty,
    Exit,
    Failed,
    Holding,
    Message,
    Refused,
    Report,
    Shrunk,
    Starting,
    Tenant,
    WorkerSpec,
)
from gpu_queue.keepalive.worker import REPORT_S, Worker

GIB = 1 << 30
SPEC = WorkerSpec("GPU-1", "matmul", total_bytes=80 * GIB, goal_bytes=48 * GIB, matrix_size=26624)
KERNEL_S = 0.008


class Stage:
    """A clock, and an engine and an agent beside the worker."""

    tile = 14336

    def __init__(self) -> None:
        self.now = 1000.0
        self.agent, theirs = Channel.pair()
        self.worker = Worker(SPEC, self, theirs, wait=self.wait, clock=lambda: self.now, chance=lambda: 0.5)
        self.theirs = theirs
        self.halvings = 0
        self.held_bytes = 0
        self.is_free = False
        self.launches: list[float] = []
        self.factor: Callable[[int], float] = lambda _count: 1.0
        """How much longer than normal the kernel with this number takes."""
        self.script: list[tuple[float, Callable[[], object]]] = []
        self.told: list[tuple[float, Message]] = []
        self.looks = 0

    # -- the engine

    def hold(self, look: Callable[[], None]) -> float:
        for _ in range(3):
            self.pass_time(0.5)
            self.looks += 1
            look()
        self.held_bytes = 48 * GIB >> self.halvings
        return KERNEL_S

    def launch(self) -> float:
        self.launches.append(self.now)
        kernel_s = KERNEL_S * self.factor(len(self.launches))
        self.pass_time(kernel_s)
        return kernel_s

    def free(self) -> None:
        self.is_free = True

    # -- the clock

    def wait(self, wait_s: float) -> None:
        """Until the time is over or the script says a word."""
        assert wait_s < 1.0
        until = self.now + wait_s
        if self.script and self.script[0][0] <= until:
            until = self.script[0][0]
        self.pass_time(until - self.now)

    def pass_time(self, seconds: float) -> None:
        self.now = max(self.now, self.now + seconds)
        while self.script and self.script[0][0] <= self.now:
            self.script.pop(0)[1]()

    # -- the agent

    def at(self, after_s: float, *words: Message) -> None:
        """Say something so long after the start."""
        for word in words:
            self.do(after_s, lambda word=word: self.agent.send(word))  # type: ignore[misc]

    def do(self, after_s: float, what: Callable[[], object]) -> None:
        self.script.append((1000.0 + after_s, what))
        self.script.sort(key=lambda entry: entry[0])

    def run(self) -> int:
        status = self.worker.run()
        self.theirs.close()
        return status

    def heard(self, kind: type[Message]) -> list[Message]:
        """What the agent was told, of one kind."""
        while True:
            try:
                message = self.agent.receive()
            except Closed:
                break
            if message is None:
                break
            self.told.append((self.now, message))
        return [message for _, message in self.told if isinstance(message, kind)]

    def launches_between(self, begin_s: float, end_s: float) -> int:
        return sum(1000 + begin_s <= at < 1000 + end_s for at in self.launches)


@pytest.fixture
def stage() -> Iterator[Stage]:
    one = Stage()
    yield one
    one.agent.close()
    one.theirs.close()


READY_S = 1.5
"""What the stage's engine needs to hold."""


def test_it_holds_tells_so_and_launches_nothing_before_a_word(stage: Stage) -> None:
    stage.at(4.0, Exit())
    assert stage.run() == 0
    assert stage.heard(Holding) == [Holding(48 * GIB, 14336, KERNEL_S)]
    assert stage.launches == []
    assert stage.is_free


def test_it_reports_twice_a_second_and_the_share_is_the_duty(stage: Stage) -> None:
    stage.at(2.2, Duty(0.775, 30.0))
    stage.at(12.0, Exit())
    stage.run()
    reports = [report for report in stage.heard(Report) if isinstance(report, Report)]
    assert len(reports) == pytest.approx(10.5 / REPORT_S, abs=2)
    for report in reports[2:]:
        assert report.busy == pytest.approx(0.775, abs=0.03)
        assert report.stretch == pytest.approx(1.0)
        assert report.held_bytes == 48 * GIB
        assert report.bursts == pytest.approx(48, abs=3)
    assert (reports[0].busy, reports[0].stretch, reports[0].bursts) == (0.0, 1.0, 0)


@pytest.mark.parametrize("word", [Duty(0.0, 3.0), Exit()])
def test_after_a_word_to_stop_no_other_kernel_is_launched(stage: Stage, word: Message) -> None:
    stage.at(2.0, Duty(0.95, 30.0))
    stage.at(3.003, word)
    stage.at(3.5, Exit())
    stage.run()
    assert stage.launches_between(2.0, 3.003) > 50
    assert stage.launches_between(3.003, 4.0) == 0


def test_a_pause_keeps_the_memory_and_the_reports(stage: Stage) -> None:
    stage.at(2.0, Duty(0.775, 30.0))
    stage.at(3.0, Duty(0.0, 3.0))
    stage.do(6.0, lambda: stage.told.append((0.0, Failed("freed"))) if stage.is_free else None)
    stage.at(6.0, Exit())
    stage.run()
    reports = [report for report in stage.heard(Report) if isinstance(report, Report)]
    assert len(reports) >= 8
    assert (reports[-1].busy, reports[-1].held_bytes) == (0.0, 48 * GIB)
    assert not stage.heard(Failed)


def test_a_lease_that_is_not_renewed_is_a_pause(stage: Stage) -> None:
    stage.at(2.0, Duty(0.775, 1.0))
    stage.at(6.0, Duty(0.775, 1.0))
    stage.at(9.0, Exit())
    stage.run()
    assert stage.launches_between(2.0, 3.0) > 50
    assert stage.launches_between(3.01, 6.0) == 0
    assert stage.launches_between(6.0, 7.0) > 50
    assert stage.launches_between(7.01, 9.0) == 0


def test_a_second_party_pauses_it_at_once_until_the_next_word(stage: Stage) -> None:
    stage.factor = lambda count: 2.1 if count >= 60 else 1.0
    stage.at(2.0, Duty(0.775, 30.0))
    stage.at(6.0, Exit())
    stage.run()
    assert stage.heard(Tenant) == [Tenant("kernel time 2.1x for two bursts")]
    assert len(stage.launches) == 61

    resumed = Stage()
    resumed.factor = lambda count: 2.1 if 60 <= count < 70 else 1.0
    resumed.at(2.0, Duty(0.775, 30.0))
    resumed.at(5.0, Duty(0.775, 30.0))
    resumed.at(8.0, Exit())
    resumed.run()
    assert len(resumed.heard(Tenant)) == 2  # after the rest the first five are not judged; the next two are
    resumed.agent.close()


def test_kernels_that_are_slow_after_a_rest_are_not_told_as_stretched(stage: Stage) -> None:
    stage.factor = lambda _count: 3.0 if sum(at > stage.now - 1.0 for at in stage.launches) <= 5 else 1.0
    stage.at(2.0, Duty(0.775, 0.6))
    stage.at(5.0, Duty(0.775, 0.6))
    stage.at(7.0, Exit())
    stage.run()
    reports = [report for report in stage.heard(Report) if isinstance(report, Report)]
    assert sum(report.bursts for report in reports) == len(stage.launches) > 40
    assert {report.stretch for report in reports} == {1.0}
    assert not stage.heard(Tenant)


def test_memory_that_ran_out_is_told(stage: Stage) -> None:
    stage.halvings = 2
    stage.at(3.0, Exit())
    stage.run()
    assert stage.heard(Shrunk) == [Shrunk(12 * GIB)]
    assert stage.heard(Holding) == [Holding(12 * GIB, 14336, KERNEL_S)]


def test_a_word_to_leave_is_heard_before_it_holds(stage: Stage) -> None:
    stage.at(0.2, Exit())
    assert stage.run() == 0
    assert (stage.looks, stage.is_free) == (1, True)
    assert not stage.heard(Holding)


def test_a_word_to_leave_that_is_there_already_is_obeyed_before_cuda_is_started(stage: Stage) -> None:
    stage.agent.send(Exit())
    assert stage.run() == 0
    assert stage.looks == 0
    assert not stage.heard(Starting)


def test_before_it_starts_cuda_it_says_so(stage: Stage) -> None:
    stage.at(0.2, Exit())
    stage.run()
    assert stage.heard(Starting) == [Starting()]


def test_a_duty_that_comes_before_it_holds_is_obeyed_afterwards(stage: Stage) -> None:
    stage.at(0.2, Duty(0.775, 30.0))
    stage.at(3.0, Exit())
    stage.run()
    assert stage.launches_between(READY_S, 3.0) > 80


def test_it_leaves_when_the_agent_has_gone(stage: Stage) -> None:
    stage.at(2.0, Duty(0.775, 30.0))
    stage.do(3.0, stage.agent.close)
    assert stage.run() == 0
    assert stage.is_free
    assert stage.launches_between(3.0, 99.0) == 0


def test_it_leaves_at_a_signal(stage: Stage) -> None:
    stage.at(2.0, Duty(0.775, 30.0))
    stage.do(3.0, lambda: setattr(stage.worker, "is_told_to_leave", True))
    assert stage.run() == 0
    assert stage.is_free
    assert stage.launches_between(3.0, 99.0) == 0


@pytest.mark.parametrize("count", [0, 30])
def test_an_engine_that_fails_is_told_in_one_line(stage: Stage, count: int) -> None:
    def fail(number: int) -> float:
        if number > count:
            raise RuntimeError("CUDA error: unspecified launch failure\nCompile with `TORCH_USE_CUDA_DSA`\n")
        return 1.0

    stage.factor = fail
    stage.at(2.0, Duty(0.775, 30.0))
    assert stage.run() == 1
    assert stage.heard(Failed) == [Failed("CUDA error: unspecified launch failure")]
    assert stage.is_free


def test_a_word_that_means_nothing_is_answered_when_those_before_it_are_obeyed(stage: Stage) -> None:
    stage.at(2.0, Duty(0.775, 30.0))
    stage.at(3.0, Duty(0.0, 3.0), Holding(0, 0, 0.0))
    stage.at(4.0, Exit())
    assert stage.run() == 0
    assert stage.heard(Refused) == [Refused("a worker does not obey Holding")]
    assert stage.launches_between(3.001, 4.0) == 0


def test_an_agent_that_does_not_read_stops_nothing(stage: Stage) -> None:
    stage.at(2.0, Duty(0.05, 100_000.0))
    stage.at(1500.0, Exit())
    assert stage.run() == 0
    assert stage.launches_between(1400.0, 1500.0) > 500
