"""Parts about the card, its driver and one worker that is told by hand."""

from __future__ import annotations

import importlib
import random
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from itertools import pairwise
from typing import Any

from keepalive_bench import AIM, LONG_S, Bench, Values, in_ms, loop, mean_percent, mean_watts, rounded, timed
from keepalive_card import Card, NotMeasured, Sampler, watch
from keepalive_numbers import Edge, edge, known_percents, slower_percent, spread_ms, spread_us
from keepalive_others import Foreground, beside_others
from keepalive_rig import Filler, pause_s
from machine import cpu_of
from rigs import wait_until

from gpu_queue.keepalive.protocol import Duty, Exit, Report, Tenant

ENGINES = ("spin", "zeros")
"""What matmul takes is measured while an agent holds the band with it."""
_CALLS_S = 0.3
"""Of each function at most, however slow it is."""
_UTILIZATION_SAMPLES = 1
"""NVML_GPU_UTILIZATION_SAMPLES"""
_NOT_CALLS = ("nvmlInit", "nvmlInitWithFlags", "nvmlShutdown")


def measure_pause(bench: Bench, values: Values) -> None:
    """From the word to a worker in full work to the end of its last kernel."""
    taken: list[float] = []
    with bench.nursery.filler("matmul") as filler:
        values["kernel_ms"] = round(filler.holding.kernel_s * 1000, 2)
        for _ in range(bench.sizes.pauses):
            filler.say(Duty(AIM, LONG_S))
            time.sleep(0.06 + random.uniform(0, 0.03))  # at any moment of its period
            taken.append(pause_s(filler))
            values.update(spread_ms(taken))
        values["freeing"] = _freeing(bench.card, filler)


def _freeing(card: Card, filler: Filler) -> Values:
    """A worker that holds its full share leaves: until that is free, and until its context is gone as well."""
    held_bytes, used_bytes = filler.holding.held_bytes, card.used_bytes
    begun_s = time.monotonic()
    filler.say(Exit())
    wait_until(lambda: card.used_bytes <= used_bytes - 0.98 * held_bytes, "what it held", 0.001)
    freed_s = time.monotonic()
    gone_s = card.wait_empty(0.001)
    return {"held_bytes": held_bytes, "freed_ms": in_ms(freed_s - begun_s), "gone_ms": in_ms(gone_s - begun_s)}


def measure_gauge(bench: Bench, values: Values) -> None:
    """What the gauge does when a spin goes on and off, what it reads of one; what a context takes."""
    card, sizes = bench.card, bench.sizes
    values["zygote_ready_s"] = round(bench.nursery.ready_s, 2)
    before_bytes = card.used_bytes
    begun_s = time.monotonic()
    with bench.nursery.filler("spin", fraction=0.0) as filler:
        values["context_s"] = round(time.monotonic() - begun_s, 2)
        values["context_bytes"] = card.used_bytes - before_bytes - filler.holding.held_bytes
        values["kernel_ms"] = round(filler.holding.kernel_s * 1000, 2)
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
                    values["spin_percent"] = mean_percent(readings[-20:])
        for what, found_edges in edges.items():
            values[f"{what}_first_change_ms"] = _median_ms([one.first_change_s for one in found_edges])
            values[f"{what}_arrived_ms"] = _median_ms([one.arrived_s for one in found_edges])
        values["levels_seen"] = len(levels)
        values["sampled_every_ms"] = None if card.plant else _sampled_every_ms(bench)
        filler.say(Duty(AIM, LONG_S))
        time.sleep(sizes.edge_s)
        filler.drop(Report)
        values["spin_at_aim_percent"] = mean_percent(watch(card, max(0.6, sizes.watts_s / 2)))
        values["spin_at_aim_busy_percent"] = _busy_percent(filler)


def _sampled_every_ms(bench: Bench) -> float | None:
    """The distance of the samples that the driver keeps: what its gauge averages over is some of them."""
    nvml: Any = importlib.import_module("pynvml")
    try:
        handle = nvml.nvmlDeviceGetHandleByUUID(bench.card.uuid)
        _, samples = nvml.nvmlDeviceGetSamples(handle, _UTILIZATION_SAMPLES, 0)
        moments = [one.timeStamp for one in samples]
        return round(float(statistics.median(b - a for a, b in pairwise(moments))) / 1000, 1)
    except (nvml.NVMLError, AttributeError, TypeError, ValueError) as error:
        bench.notes.append(f"the driver does not tell how often it samples: {error}")
        return None


def _median_ms(values_s: list[float]) -> float | None:
    return in_ms(statistics.median(values_s)) if values_s else None


def _busy_percent(filler: Filler) -> float:
    """What it says of itself, by the card's own clock, over its next half second."""
    return round(100 * filler.wait_for(Report, 5.0).busy, 1)


def measure_calls(bench: Bench, values: Values) -> None:
    """What each call of NVML costs that a reading of the cards makes, at rest and beside a worker in full work."""
    card, count = bench.card, bench.sizes.calls
    devices = card.devices()
    with closing(devices):
        with _recorded_calls(card) as calls:
            devices.snapshot()
            devices.snapshot()
        if not calls and not card.is_simulated:
            raise NotMeasured("no call of NVML was seen in a reading of the cards")
        if card.is_simulated:
            bench.notes.append("a simulated card has no NVML; only whole readings are timed")
        values["cards_of_node"] = card.count_of_node
        asked: dict[str, Callable[[], object]] = {"snapshot": devices.snapshot, **calls}
        values["calls"] = {name: {"at_rest": spread_us(_many(call, count))} for name, call in asked.items()}
        with bench.nursery.filler("matmul") as filler:
            filler.say(Duty(1.0, LONG_S))
            time.sleep(0.3)
            for name, call in asked.items():
                values["calls"][name]["beside_work"] = spread_us(_many(call, count))


def _many(call: Callable[[], object], count: int) -> list[float]:
    taken: list[float] = []
    while len(taken) < count and sum(taken) < _CALLS_S:
        taken.append(timed(call))
    return taken


@contextmanager
def _recorded_calls(card: Card) -> Iterator[dict[str, Callable[[], object]]]:
    """The functions of the bindings that are called meanwhile, each as it was called last, but on our card."""
    calls: dict[str, Callable[[], object]] = {}
    try:
        nvml: Any = importlib.import_module("pynvml")
    except ImportError:
        yield calls
        return
    real = {
        name: one
        for name, one in vars(nvml).items()
        if name.startswith("nvml") and name not in _NOT_CALLS and callable(one) and not isinstance(one, type)
    }

    try:
        ours = nvml.nvmlDeviceGetHandleByUUID(card.uuid)
    except nvml.NVMLError:  # a simulated card, or one that cannot be asked so
        ours = None

    def on_our_card(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        is_handle = ours is not None and arguments and isinstance(arguments[0], type(ours))
        return (ours, *arguments[1:]) if is_handle else arguments

    def recording(name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            calls[name] = lambda: _answer(nvml, real[name], on_our_card(arguments), named)
            return real[name](*arguments, **named)

        return call

    for name in real:
        setattr(nvml, name, recording(name))
    try:
        yield calls
    finally:
        for name, function in real.items():
            setattr(nvml, name, function)


def _answer(nvml: Any, function: Callable[..., Any], arguments: Any, named: Any) -> Any:
    try:
        return function(*arguments, **named)
    except nvml.NVMLError as error:  # "not supported" costs its time as well
        return error


def measure_watts(bench: Bench, values: Values) -> None:
    """Power without a context, with one that rests, and by each engine at the same share of the time."""
    card, seconds = bench.card, bench.sizes.watts_s
    card.wait_idle()
    values["idle_w"] = mean_watts(watch(card, seconds))
    if card.plant:
        bench.notes.append("a simulated card has no power")
    for engine in ENGINES:
        with bench.nursery.filler(engine) as filler:
            if engine == ENGINES[0]:
                time.sleep(min(1.0, seconds))  # clocks go down
                values["context_w"] = mean_watts(watch(card, seconds))
            filler.say(Duty(AIM, LONG_S))
            time.sleep(min(2.0, 4 * seconds))
            filler.drop(Report)
            before, begun_s = cpu_of(filler.pid), time.monotonic()
            readings = watch(card, seconds)
            used_s = (cpu_of(filler.pid) - before).own_s
            values[engine] = {
                "w": mean_watts(readings),
                "percent": mean_percent(readings),
                "busy_percent": _busy_percent(filler),
                "tile": filler.holding.tile,
                "kernel_ms": round(filler.holding.kernel_s * 1000, 2),
                "worker_cpu_percent": round(100 * used_s / (time.monotonic() - begun_s), 2),
            }


def measure_contexts(bench: Bench, values: Values) -> None:
    """What two contexts that both work do to each other, with a filler that does *not* give way."""
    card, seconds, alone = bench.card, bench.sizes.loop_s / 2, bench.alone
    values["alone_per_s"] = rounded(alone.per_s)
    with ExitStack() as stack:
        program = stack.enter_context(closing(Foreground(card)))
        program.wait_context()
        stack.enter_context(beside_others(card))
        for engine in ("matmul", "spin"):
            with bench.nursery.filler(engine, fraction=0.0) as filler:
                filler.say(Duty(AIM, LONG_S))
                time.sleep(0.7)  # the first few kernels after a rest are not judged
                stretches: list[float] = []
                words: list[str] = []
                beside = loop(program, seconds, lambda: _go_on(filler, stretches, words))  # noqa: B023
            values[engine] = {
                "slower_percent": slower_percent(alone.per_s, beside),
                "stretch": round(statistics.median(stretches), 2) if stretches else None,
                "tenant_words": len(words),
                "evidence": words[0] if words else "",
            }


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
