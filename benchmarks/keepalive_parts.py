"""The parts of the report: each is a few seconds on the card, and numbers.

What cannot be had is None, with its reason under ``notes``; nothing is estimated.
"""

from __future__ import annotations

import os
import random
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from keepalive_installation import Installation
from keepalive_numbers import (
    IN_BAND_FOR_S,
    Edge,
    Reading,
    edge,
    known_percents,
    mean_w,
    percentile,
    rate_per_s,
    settled_at,
    share_in_band,
    slower_percent,
    spread_ms,
)
from keepalive_rig import (
    Card,
    Filler,
    Foreground,
    Keeping,
    KeepingAgent,
    Nursery,
    Sampler,
    pause_s,
    processes_below,
    watch,
)
from machine import cpu_of, resident_mb
from rigs import Spool, Stopwatch, wait_until

from gpu_queue.band import Band
from gpu_queue.keepalive.keeper import KeepState, Rules
from gpu_queue.keepalive.protocol import Duty, Exit, Report, Tenant
from gpu_queue.task import State

AIM = 0.775
ENGINES = ("spin", "zeros")
"""What matmul takes is measured while an agent holds the band with it, for minutes."""
LONG_S = 600.0
"""A lease that outlasts what is done under it."""
_COLD_S = 25.0
"""As long as is waited for the band at most."""
Values = dict[str, Any]


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    band_s: float
    pauses: int
    backs: int
    """Starts that are only yielded again, beside those whose settling is watched."""
    watts_s: float
    edges: int
    edge_s: float
    drops: int
    loop_s: float
    peer_s: float


FULL = Sizes(
    band_s=300.0, pauses=100, backs=4, watts_s=4.0, edges=2, edge_s=1.3, drops=3, loop_s=4.0, peer_s=6.0
)  # fmt: skip
QUICK = Sizes(
    band_s=3.0, pauses=10, backs=1, watts_s=0.5, edges=1, edge_s=1.0, drops=1, loop_s=1.0, peer_s=2.0
)  # fmt: skip


@dataclass
class Bench:
    """What all parts share."""

    base: Path
    card: Card
    sizes: Sizes
    stack: ExitStack
    notes: list[str] = field(default_factory=list)
    peers: Installation | None = None
    alone_per_s: float | None = None
    """What a program makes of the card that has it to itself."""
    _nursery: Nursery | None = None

    @property
    def nursery(self) -> Nursery:
        """One zygote for all that is told by hand."""
        if self._nursery is None:
            self._nursery = Nursery(self.card)
            self.stack.callback(self._nursery.close)
        return self._nursery

    def directory(self, name: str) -> Path:
        made = self.base / name
        made.mkdir(exist_ok=True)
        return made


# -- the gauge and the context --------------------------------------------------------------------------------------


def measure_gauge(bench: Bench) -> Values:
    """What the gauge does when a spin goes on and off, what it reads of one; what a context takes."""
    card, sizes = bench.card, bench.sizes
    ready_s = bench.nursery.ready_s
    before_bytes = card.used_bytes
    begun_s = time.monotonic()
    with bench.nursery.filler("spin", fraction=0.0) as filler:
        values: Values = {
            "zygote_ready_s": round(ready_s, 2),
            "context_s": round(time.monotonic() - begun_s, 2),
            "context_bytes": card.used_bytes - before_bytes - filler.holding.held_bytes,
            "kernel_ms": round(filler.holding.kernel_s * 1000, 2),
        }
        edges: dict[str, list[Edge]] = {"on": [], "off": []}
        levels: set[int] = set()
        with Sampler(card, 200.0) as sampler:
            for number in range(2 * sizes.edges):
                what, duty = ("on", 1.0) if number % 2 == 0 else ("off", 0.0)
                before_s = time.monotonic()
                # Not always at the same moment of the gauge's own rhythm.
                time.sleep(0.3 + random.uniform(0, 0.2))
                changed_s = time.monotonic()
                filler.say(Duty(duty, LONG_S))
                time.sleep(sizes.edge_s)
                readings = sampler.between(before_s)
                levels |= set(known_percents(readings))
                found = edge(readings, changed_s)
                if found is not None:
                    edges[what].append(found)
                if what == "on" and number == 0:
                    values["spin_percent"] = _mean_percent(readings[-20:])
        filler.say(Duty(AIM, LONG_S))
        values["snapshot"] = spread_ms([_timed(card.read) for _ in range(100)])
        time.sleep(max(1.2, sizes.edge_s))
        filler.drop(Report)
        values["spin_at_aim_percent"] = _mean_percent(watch(card, max(0.6, sizes.watts_s / 2)))
        values["spin_at_aim_busy_percent"] = _busy_percent(filler)
    for what, found_edges in edges.items():
        values[f"{what}_first_change_ms"] = _median_ms([one.first_change_s for one in found_edges])
        values[f"{what}_arrived_ms"] = _median_ms([one.arrived_s for one in found_edges])
    values["levels_seen"] = len(levels)
    return values


def _timed(call: Callable[[], object]) -> float:
    begun_s = time.perf_counter()
    call()
    return time.perf_counter() - begun_s


def _mean_percent(readings: list[Reading]) -> float | None:
    known = known_percents(readings)
    return round(statistics.mean(known), 1) if known else None


def _median_ms(values_s: list[float]) -> float | None:
    return round(statistics.median(values_s) * 1000, 1) if values_s else None


def _busy_percent(filler: Filler) -> float:
    """What it says of itself, by the card's own clock, over its next half second."""
    return round(100 * filler.wait_for(Report, 5.0).busy, 1)


# -- power ----------------------------------------------------------------------------------------------------------


def measure_watts(bench: Bench) -> Values:
    """Power without a context, with one that rests, and by each engine at the same share of the time."""
    card, seconds = bench.card, bench.sizes.watts_s
    card.wait_idle()
    values: Values = {"idle_w": _watts(watch(card, seconds))}
    if card.plant:
        bench.notes.append("watts: a simulated card has no power")
    for engine in ENGINES:
        with bench.nursery.filler(engine) as filler:
            if engine == ENGINES[0]:
                time.sleep(min(1.0, seconds))  # clocks go down
                values["context_w"] = _watts(watch(card, seconds))
            filler.say(Duty(AIM, LONG_S))
            time.sleep(min(2.0, 4 * seconds))
            filler.drop(Report)
            before, begun_s = cpu_of(filler.pid), time.monotonic()
            readings = watch(card, seconds)
            used_s = (cpu_of(filler.pid) - before).own_s
            values[engine] = {
                "w": _watts(readings),
                "percent": _mean_percent(readings),
                "busy_percent": _busy_percent(filler),
                "tile": filler.holding.tile,
                "kernel_ms": round(filler.holding.kernel_s * 1000, 2),
                "worker_cpu_percent": round(100 * used_s / (time.monotonic() - begun_s), 2),
            }
    return values


def _watts(readings: list[Reading]) -> float | None:
    watts = mean_w(readings)
    return None if watts is None else round(watts, 1)


# -- pausing --------------------------------------------------------------------------------------------------------


def measure_pause(bench: Bench) -> Values:
    """From the word to a worker in full work to the end of its last kernel."""
    taken: list[float] = []
    with bench.nursery.filler("matmul") as filler:
        for _ in range(bench.sizes.pauses):
            filler.say(Duty(AIM, LONG_S))
            time.sleep(0.06 + random.uniform(0, 0.03))  # at any moment of its period
            taken.append(pause_s(filler))
        values = {**spread_ms(taken), "kernel_ms": round(filler.holding.kernel_s * 1000, 2)}
        return {**values, "freeing": _freeing(bench.card, filler)}


def _freeing(card: Card, filler: Filler) -> Values:
    """A worker that holds its full share leaves: until that is free, and until its context is gone as well."""
    held_bytes, used_bytes = filler.holding.held_bytes, card.used_bytes
    begun_s = time.monotonic()
    filler.say(Exit())
    wait_until(lambda: card.used_bytes <= used_bytes - 0.98 * held_bytes, "what it held", 0.001)
    freed_s = time.monotonic()
    gone_s = card.wait_empty(0.001)
    return {
        "held_bytes": held_bytes,
        "freed_ms": round((freed_s - begun_s) * 1000, 1),
        "gone_ms": round((gone_s - begun_s) * 1000, 1),
    }


# -- two contexts ---------------------------------------------------------------------------------------------------


def measure_contexts(bench: Bench) -> Values:
    """What two contexts that both work do to each other, with a filler that does *not* give way."""
    card, seconds = bench.card, bench.sizes.loop_s / 2
    with ExitStack() as stack:
        program = stack.enter_context(closing(Foreground(card)))
        program.wait_context()
        stack.enter_context(_beside_others(card))
        alone = _alone(bench, program)
        values: Values = {"alone_per_s": _rounded(alone)}
        for engine in ("matmul", "spin"):
            with bench.nursery.filler(engine, fraction=0.0) as filler:
                filler.say(Duty(AIM, LONG_S))
                time.sleep(0.7)  # the first few kernels after a rest are not judged
                stretches: list[float] = []
                words: list[str] = []
                beside = _loop(program, seconds, lambda: _go_on(filler, stretches, words))  # noqa: B023
            values[engine] = {
                "slower_percent": slower_percent(alone, beside),
                "stretch": round(statistics.median(stretches), 2) if stretches else None,
                "tenant_words": len(words),
                "evidence": words[0] if words else "",
            }
        return values


@contextmanager
def _beside_others(card: Card) -> Iterator[None]:
    """What is used now stays: our memory is back when there is no more than this."""
    empty_bytes = card.baseline_bytes
    card.baseline_bytes = max(empty_bytes, card.used_bytes)
    try:
        yield
    finally:
        card.baseline_bytes = empty_bytes


def _go_on(filler: Filler, stretches: list[float], words: list[str]) -> None:
    """Keep a filler at work that pauses itself whenever it notices somebody."""
    filler.take()
    for kind in (Report, Tenant):
        while True:
            try:
                message = filler.wait_for(kind, 0.0)
            except TimeoutError:
                break
            if isinstance(message, Report) and message.bursts:
                stretches.append(message.stretch)
            elif isinstance(message, Tenant):
                words.append(message.evidence)
    filler.say(Duty(AIM, LONG_S))


def _alone(bench: Bench, program: Foreground) -> float | None:
    if bench.alone_per_s is None:
        bench.alone_per_s = _loop(program, bench.sizes.loop_s / 2, lambda: None)
    return bench.alone_per_s


def _loop(program: Foreground, seconds: float, meanwhile: Callable[[], object]) -> float | None:
    """How many products a second a program makes."""
    begun_s = program.say("go")
    while time.monotonic() < begun_s + seconds:
        meanwhile()
        time.sleep(0.02)
    ended_s = program.say("stop")
    program.listen()
    return rate_per_s(program.marks, begun_s + 0.1, ended_s)


# -- the supervisor -------------------------------------------------------------------------------------------------


def measure_yield(bench: Bench) -> Values:
    """From a start to the band, and from a task that wants the card to its memory back."""
    card = bench.card
    settles: dict[str, float | None] = {}
    backs: list[float] = []
    used_bytes: list[int] = []
    with ExitStack() as stack:
        sampler = stack.enter_context(Sampler(card))
        keeping = stack.enter_context(closing(Keeping(card)))
        for number in range(2 + bench.sizes.backs):
            began_s = keeping.run_to(KeepState.STARTING)
            keeping.run_to(KeepState.HOLDING)
            if number < 2:
                settled_s = _settle(keeping, sampler, began_s)
                settles["cold" if number == 0 else "warm"] = settled_s
                used_bytes.append(card.used_bytes)
            else:
                keeping.run_for(0.3)
            backs.append(_give_up(keeping, card))
    return {
        "settle_cold_s": settles["cold"],
        "settle_warm_s": settles["warm"],
        "back": spread_ms(backs),
        "memory_percent": round(100 * (statistics.mean(used_bytes) - card.baseline_bytes) / card.total_bytes, 2),
    }


def _settle(keeping: Keeping, sampler: Sampler, began_s: float) -> float | None:
    settled: list[float] = []

    def is_settled() -> bool:
        at_s = settled_at(sampler.between(began_s))
        settled.extend([] if at_s is None else [at_s])
        return at_s is not None

    try:
        keeping.run_until(is_settled, "the band", _COLD_S)
    except TimeoutError:
        return None
    return round(settled[0] - began_s, 2)


def _give_up(keeping: Keeping, card: Card) -> float:
    """A task wants the card: from this moment until its memory is back."""
    wanted_s = time.monotonic()
    keeping.holder = "a task"
    back_s: list[float] = []

    def is_back() -> bool:
        if not back_s and card.is_back():
            back_s.append(time.monotonic())
        return bool(back_s) and keeping.supervisor.is_clear(card.uuid)

    keeping.run_until(is_back, "the card's memory", 20.0)
    keeping.holder = ""
    return back_s[0] - wanted_s


def measure_tenant(bench: Bench) -> Values:
    """Somebody else's program on a card that is held: when it is noticed, and what it loses."""
    card, seconds = bench.card, bench.sizes.loop_s
    with ExitStack() as stack:
        if bench.alone_per_s is None:
            with closing(Foreground(card)) as program:
                program.wait_context()
                _alone(bench, program)
            card.wait_empty()
        alone = bench.alone_per_s
        card.wait_idle()
        keeping = stack.enter_context(closing(Keeping(card)))
        keeping.run_to(KeepState.HOLDING)
        keeping.run_for(max(2.5, IN_BAND_FOR_S))
        second = stack.enter_context(closing(Foreground(card)))
        noticed: list[float] = []

        def look() -> None:
            keeping.step_if_due()
            if not noticed and keeping.keeper.state is KeepState.BACKING_OFF:
                noticed.append(time.monotonic())

        second.wait_context(look)
        assert second.context_at is not None
        begun_s = second.say("go")
        while time.monotonic() < begun_s + seconds:
            look()
            time.sleep(0.005)
        ended_s = second.say("stop")
        second.listen()
        beside = rate_per_s(second.marks, begun_s, ended_s)
        values: Values = {
            "alone_per_s": _rounded(alone),
            "slower_percent": slower_percent(alone, beside),
            "seconds": seconds,
            "evidence": keeping.keeper.reason if noticed else "not noticed",
            "noticed_after_context_ms": None,
        }
        if noticed:
            values["noticed_after_context_ms"] = round((noticed[0] - second.context_at) * 1000)
            values["noticed_after_first_kernel_ms"] = round((noticed[0] - begun_s) * 1000)
        return values


def measure_light(bench: Bench) -> Values:
    """What a light filler costs a task that left its card idle and goes to work again."""
    card, seconds = bench.card, bench.sizes.loop_s
    rules = Rules(Band(), hold_leased=True, hold_leased_after_s=1.0)
    with ExitStack() as stack:
        program = stack.enter_context(closing(Foreground(card)))
        program.wait_context()
        stack.enter_context(_beside_others(card))
        alone = _alone(bench, program)
        card.wait_idle()
        keeping = stack.enter_context(closing(Keeping(card, rules)))
        keeping.holder = "a task"
        keeping.run_to(KeepState.HOLDING)
        keeping.run_for(1.0)
        worker = processes_below(os.getpid())["worker"]
        before, since_s = cpu_of(worker), time.monotonic()
        keeping.run_for(max(2.0, IN_BAND_FOR_S - 1.0))
        used_s = (cpu_of(worker) - before).own_s
        cpu_percent = round(100 * used_s / (time.monotonic() - since_s), 2)
        held_percent = card.read().utilization_percent
        left: list[float] = []
        begun_s = program.say("go")
        while time.monotonic() < begun_s + seconds:
            keeping.step_if_due()
            if not left and not keeping.supervisor.has_worker(card.uuid):
                left.append(time.monotonic())
            time.sleep(0.005)
        ended_s = program.say("stop")
        program.listen()
        marks = program.marks
        values: Values = {
            "percent_while_idle": held_percent,
            "worker_cpu_percent": cpu_percent,
            "gone_after_ms": round((left[0] - begun_s) * 1000) if left else None,
            "first_second_slower_percent": slower_percent(alone, rate_per_s(marks, begun_s, begun_s + 1)),
            "slower_percent": slower_percent(alone, rate_per_s(marks, begun_s, ended_s)),
            "afterwards_slower_percent": None,
            "seconds": seconds,
        }
        if left:
            after = rate_per_s(marks, left[0], ended_s)
            values["afterwards_slower_percent"] = slower_percent(alone, after)
        return values


# -- the agent ------------------------------------------------------------------------------------------------------


def measure_band(bench: Bench) -> Values:
    """An agent that has nothing to do for five minutes, and then tasks that are dropped."""
    card, sizes = bench.card, bench.sizes
    base = bench.directory("agent")
    with ExitStack() as stack:
        sampler = stack.enter_context(Sampler(card))
        watch_ = stack.enter_context(closing(Stopwatch(base / "first-line")))
        spool = Spool(base, "report")
        agent = stack.enter_context(closing(KeepingAgent(base, card, spool)))
        settled_s = _agent_settles(agent, sampler, agent.begun_s)
        if settled_s is None:
            raise RuntimeError(f"an agent did not bring the card into the band within {_COLD_S + 20:.0f} s")
        before = {name: cpu_of(pid) for name, pid in {**agent.children(), "agent": agent.pid}.items()}
        begun_s = time.monotonic()
        time.sleep(sizes.band_s)
        ended_s = time.monotonic()
        pids = {**agent.children(), "agent": agent.pid}
        readings = sampler.between(begun_s, ended_s)
        known = known_percents(readings)
        agent.check()
        values: Values = {
            "seconds": round(ended_s - begun_s, 1),
            "samples": len(readings),
            "share_percent": _rounded(share_in_band(readings)),
            "mean_percent": _mean_percent(readings),
            "least_percent": min(known, default=None),
            "most_percent": max(known, default=None),
            "p1_percent": percentile(known, 0.01) if known else None,
            "p99_percent": percentile(known, 0.99) if known else None,
            "watts": _watts(readings),
            "settled_after_agent_start_s": round(settled_s - agent.begun_s, 2),
            "memory_percent": round(100 * (card.used_bytes - card.baseline_bytes) / card.total_bytes, 2),
        }
        for name, earlier in before.items():
            if pids.get(name) is not None:
                used_s = (cpu_of(pids[name]) - earlier).own_s
                values[f"{name}_cpu_percent"] = round(100 * used_s / (ended_s - begun_s), 2)
                values[f"{name}_resident_mb"] = round(resident_mb(pids[name]), 1)
        values["first_line"] = _drops(bench, agent, sampler, watch_, spool)
        return values


def _agent_settles(agent: KeepingAgent, sampler: Sampler, since_s: float, patience_s: float = 0.0) -> float | None:
    settled: list[float] = []

    def is_settled() -> bool:
        agent.check()
        at_s = settled_at(sampler.between(since_s))
        settled.extend([] if at_s is None else [at_s])
        return at_s is not None

    try:
        wait_until(is_settled, "the band", 0.05, patience_s or _COLD_S + 20)
    except TimeoutError:
        return None
    return settled[0]


def _drops(bench: Bench, agent: KeepingAgent, sampler: Sampler, watch_: Stopwatch, spool: Spool) -> Values:
    """Scripts that are put into pending/ while the card is held: until their first line, and what it finds."""
    card = bench.card
    taken: list[float] = []
    found_bytes: list[int] = []
    again_s: float | None = None
    script = f"#!/bin/sh\necho >'{watch_.path}'\nsleep 0.3\n"
    for number in range(bench.sizes.drops):
        hidden, path = spool.prepare(script)
        begun = time.time()
        os.rename(hidden, path)
        taken.append(watch_.read() - begun)
        found_bytes.append(card.used_bytes - card.baseline_bytes)
        wait_until(lambda wanted=number + 1: spool.count(State.DONE) >= wanted, "a task's end")  # type: ignore[misc]
        ended_s = time.monotonic()
        if number == 0:
            settled_s = _agent_settles(agent, sampler, ended_s, _COLD_S)
            again_s = None if settled_s is None else round(settled_s - ended_s, 2)
        else:
            wait_until(lambda: not card.is_back(), "the filler to be back", 0.05)
            time.sleep(1.0)
    return {
        **spread_ms(taken),
        "most_memory_found_bytes": max(found_bytes),
        "band_again_after_s": again_s,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
