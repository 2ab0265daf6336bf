"""Parts about a supervisor and whoever else wants its card: a task, a tenant, nvidia-smi."""

from __future__ import annotations

import os
import shutil
import signal
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager

import keepalive_below
from keepalive_bench import COLD_S, Bench, Values, in_ms, mean_percent, rounded
from keepalive_card import Card, NotMeasured, Sampler
from keepalive_numbers import (
    known_percents,
    rate_per_s,
    settled_at,
    share_in_band,
    slower_percent,
    spread_ms,
)
from keepalive_others import Foreground, beside_others
from keepalive_rig import Keeping
from machine import cpu_of

from gpu_queue.band import Band
from gpu_queue.keepalive.keeper import KeepState, Rules

FOREIGN_BYTES = 2 << 30
_RETURN_S = 70.0
"""A filler comes back when the card was quiet for a minute."""
_STAND_IN = ("sh", "-c", 'cat -- "$0"/* >/dev/null; sleep 0.05')
"""Of nvidia-smi, for a simulated card."""


# -- a task wants the card ------------------------------------------------------------------------------------------


def measure_yield(bench: Bench, values: Values) -> None:
    """From a start to the band, and from a task that wants the card to its memory back."""
    card = bench.card
    backs: list[float] = []
    used_bytes: list[int] = []
    with ExitStack() as stack:
        sampler = stack.enter_context(Sampler(card))
        keeping = stack.enter_context(closing(Keeping(card)))
        for number in range(2 + bench.sizes.backs):
            began_s = keeping.hold()
            if number < 2:
                values["settle_cold_s" if number == 0 else "settle_warm_s"] = _settle(keeping, sampler, began_s)
                used_bytes.append(card.used_bytes)
                values["memory_percent"] = card.percent_of_memory(statistics.mean(used_bytes))
            else:
                keeping.run_for(0.3)
            backs.append(keeping.yield_to_task())
            values["back"] = spread_ms(backs)


def _settle(keeping: Keeping, sampler: Sampler, began_s: float) -> float | None:
    settled: list[float] = []

    def is_settled() -> bool:
        at_s = settled_at(sampler.between(began_s))
        settled.extend([] if at_s is None else [at_s])
        return at_s is not None

    try:
        keeping.run_until(is_settled, "the band", COLD_S)
    except TimeoutError:
        return None
    return round(settled[0] - began_s, 2)


def measure_starting(bench: Bench, values: Values) -> None:
    """A task wants the card while its worker still starts, and may not be able to hear."""
    trials: list[Values] = []
    with closing(Keeping(bench.card)) as keeping:
        keeping.hold()
        keeping.yield_to_task()
        for after_s in bench.sizes.starts_s:
            keeping.begin()
            keeping.run_for(max(0.0, keeping.started_s + after_s - time.monotonic()))
            state = keeping.keeper.state
            back_s = keeping.yield_to_task()
            trials.append({"after_s": after_s, "state": state.value, "back_ms": in_ms(back_s)})
            values["trials"] = trials
            values["all"] = spread_ms([one["back_ms"] / 1000 for one in trials])
            still = [one["back_ms"] / 1000 for one in trials if one["state"] == KeepState.STARTING.value]
            values["starting"] = spread_ms(still) if still else {"count": 0}


# -- somebody else --------------------------------------------------------------------------------------------------


def measure_tenant(bench: Bench, values: Values) -> None:
    """Somebody else's program on a card that is held: when it is noticed, and what it loses until we are gone."""
    card, seconds, alone = bench.card, bench.sizes.loop_s, bench.alone
    values.update(alone_per_s=rounded(alone.per_s), start_alone_ms=in_ms(alone.start_s), seconds=seconds)
    card.wait_idle()
    with ExitStack() as stack:
        keeping = stack.enter_context(closing(Keeping(card)))
        keeping.hold()
        keeping.run_for(bench.sizes.hold_s)
        visit = _Visit(keeping, card, alone.used_bytes)
        tenant = stack.enter_context(closing(Foreground(card, goes=True)))
        context_at = tenant.wait_context(visit.look)
        visit.look_until(lambda: time.monotonic() >= context_at + seconds)
        tenant.listen()
        values.update(visit.told(tenant.starting_at))
        values["start_beside_ms"] = in_ms(tenant.start_s)
        marks, gone_at = tenant.marks, visit.gone_at
        values["slower_percent"] = slower_percent(alone.per_s, rate_per_s(marks, context_at, context_at + seconds))
        values["first_second_slower_percent"] = slower_percent(
            alone.per_s, rate_per_s(marks, context_at, context_at + 1)
        )
        values["until_gone_slower_percent"] = None
        if gone_at is None:
            bench.notes.append("the worker was not gone while the tenant was there")
        elif gone_at <= context_at:
            bench.notes.append(
                "the worker was gone before the tenant's first product, which it cannot have slowed down"
            )
        else:
            until_gone = rate_per_s(marks, context_at, gone_at)
            values["until_gone_slower_percent"] = slower_percent(alone.per_s, until_gone)


class _Visit:
    """Steps a supervisor while somebody is on its card, and notes when he is noticed and when the worker is gone."""

    def __init__(self, keeping: Keeping, card: Card, beside_bytes: int) -> None:
        self._keeping, self._card, self._beside_bytes = keeping, card, beside_bytes
        self.noticed_at: float | None = None
        self.gone_at: float | None = None
        """No process of it is left, and its memory is back."""
        self.evidence = "not noticed"

    def look(self) -> None:
        keeping = self._keeping
        keeping.step_if_due()
        if self.noticed_at is None and keeping.keeper.state is KeepState.BACKING_OFF:
            self.noticed_at, self.evidence = time.monotonic(), keeping.keeper.reason
        if self.noticed_at is not None and self.gone_at is None and keeping.is_gone():
            # The tenant may have taken less so far than it will.
            self.gone_at = time.monotonic() if self._card.is_back(self._beside_bytes) else None

    def look_until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self.look()
            time.sleep(0.005)

    def told(self, starting_at: float | None) -> Values:
        def since(at_s: float | None) -> float | None:
            return None if at_s is None or starting_at is None else in_ms(at_s - starting_at)

        noticed_ms, gone_ms = since(self.noticed_at), since(self.gone_at)
        return {"evidence": self.evidence, "noticed_after_start_ms": noticed_ms, "gone_after_start_ms": gone_ms}


def measure_foreign(bench: Bench, values: Values) -> None:
    """A foreign process comes, takes memory, works a little and leaves: when we go, and when we are back."""
    card = bench.card
    used_bytes = bench.alone.used_bytes + FOREIGN_BYTES
    with closing(Keeping(card)) as keeping:
        keeping.hold()
        keeping.run_for(bench.sizes.hold_s)
        visit = _Visit(keeping, card, used_bytes)
        with closing(Foreground(card, take_bytes=FOREIGN_BYTES, goes=True)) as process:
            context_at = process.wait_context(visit.look)
            visit.look_until(lambda: time.monotonic() >= context_at + 1.5)
            values.update(visit.told(process.starting_at))
        left_s = time.monotonic()
        values["back_after_leaving_s"] = None
        if visit.noticed_at is None:
            raise RuntimeError("a foreign process was not noticed")
        if not bench.sizes.awaits_return:
            bench.notes.append("with --quick the return after a foreign process is not waited for")
            return
        back_s = keeping.run_until(lambda: keeping.keeper.state is KeepState.HOLDING, "its return", _RETURN_S)
        values["back_after_leaving_s"] = round(back_s - left_s, 1)


def measure_light(bench: Bench, values: Values) -> None:
    """What a light filler costs a task that left its card idle and goes to work again."""
    card, seconds, alone_per_s = bench.card, bench.sizes.loop_s, bench.alone.per_s
    rules = Rules(Band(), hold_leased=True, hold_leased_after_s=1.0)
    values["seconds"] = seconds
    with ExitStack() as stack:
        program = stack.enter_context(closing(Foreground(card)))
        program.wait_context()
        stack.enter_context(beside_others(card))
        card.wait_idle()
        keeping = stack.enter_context(closing(Keeping(card, rules)))
        keeping.holder = "a task"
        keeping.run_to(KeepState.HOLDING)
        keeping.run_for(1.0)
        worker = keepalive_below.zygote_and_worker(os.getpid())["worker"]
        before, since_s = cpu_of(worker), time.monotonic()
        keeping.run_for(bench.sizes.hold_s)
        used_s = (cpu_of(worker) - before).own_s
        values["worker_cpu_percent"] = round(100 * used_s / (time.monotonic() - since_s), 2)
        values["percent_while_idle"] = card.read().utilization_percent
        gone_at: float | None = None
        begun_s = program.say("go")
        while time.monotonic() < begun_s + seconds:
            keeping.step_if_due()
            if gone_at is None and keeping.is_gone():
                gone_at = time.monotonic()
            time.sleep(0.005)
        ended_s = program.say("stop")
        program.listen()
        marks = program.marks
        values["gone_after_ms"] = in_ms(gone_at - begun_s) if gone_at else None
        values["first_second_slower_percent"] = slower_percent(alone_per_s, rate_per_s(marks, begun_s, begun_s + 1))
        values["slower_percent"] = slower_percent(alone_per_s, rate_per_s(marks, begun_s, ended_s))
        after = rate_per_s(marks, gone_at, ended_s) if gone_at else None
        values["afterwards_slower_percent"] = slower_percent(alone_per_s, after)


# -- somebody who only looks ----------------------------------------------------------------------------------------


def measure_smi(bench: Bench, values: Values) -> None:
    """The band while nvidia-smi runs in a loop, one after the other."""
    card, seconds = bench.card, bench.sizes.beside_s
    command = (*_STAND_IN, card.plant) if card.plant else ("nvidia-smi",)
    if shutil.which(command[0]) is None:
        raise NotMeasured(f"{command[0]} is not found")
    values["command"] = " ".join(command[:1])
    with ExitStack() as stack:
        sampler = stack.enter_context(Sampler(card))
        keeping = stack.enter_context(closing(Keeping(card)))
        if _settle(keeping, sampler, keeping.hold()) is None:
            raise RuntimeError(f"the card did not come into the band within {COLD_S:.0f} s")
        with _in_a_loop(command) as count_runs:
            begun_s = time.monotonic()
            keeping.run_for(seconds)
            readings = sampler.between(begun_s)
            values["runs"] = count_runs()
        known = known_percents(readings)
        values.update(
            seconds=seconds,
            share_percent=rounded(share_in_band(readings)),
            mean_percent=mean_percent(readings),
            least_percent=min(known, default=None),
            most_percent=max(known, default=None),
            state=keeping.keeper.state.value,
        )
        if not values["runs"]:
            raise RuntimeError(f"{command[0]} did not run a single time to its end")


@contextmanager
def _in_a_loop(command: tuple[str, ...]) -> Iterator[Callable[[], int]]:
    """Run a command again and again; yields what tells how often it ended well."""
    script = 'while :; do "$@" >/dev/null 2>&1 && echo; done'
    process = subprocess.Popen(
        ["sh", "-c", script, "sh", *command],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), False)
    try:
        yield lambda: (process.stdout.read() or b"").count(b"\n") if process.stdout else 0
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
