"""Parts about real agents on a spool, and the scripts that are dropped there."""

from __future__ import annotations

import json
import shlex
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from keepalive_bench import COLD_S, Bench, Values, in_ms, mean_percent, mean_watts, rounded
from keepalive_card import Card, Sampler
from keepalive_numbers import known_percents, percentile, share_in_band, spread_ms
from keepalive_others import Foreground, KeepingAgent, foreground_command
from keepalive_rig import zygote_environment
from machine import cpu_of, resident_mb
from rigs import Stopwatch, wait_until

TRAINING_SHARE = 0.95
_PATIENCE_S = 30.0
_START_PATIENCE_S = 20.0


# -- the band -------------------------------------------------------------------------------------------------------


def measure_band(bench: Bench, values: Values) -> None:
    """An agent that has nothing to do for a while, and then tasks that are dropped."""
    card, sizes = bench.card, bench.sizes
    base = bench.directory("band")
    with ExitStack() as stack:
        sampler = stack.enter_context(Sampler(card))
        watch_ = stack.enter_context(closing(Stopwatch(base / "first-line")))
        agent = stack.enter_context(closing(KeepingAgent(base, card)))
        agent.run_one()
        settled_s = agent.settles(sampler, agent.begun_s, COLD_S + _START_PATIENCE_S)
        if settled_s is None:
            raise RuntimeError(f"no band within {COLD_S + _START_PATIENCE_S:.0f} s of an agent's start")
        values["settled_after_agent_start_s"] = round(settled_s - agent.begun_s, 2)
        before = {name: cpu_of(pid) for name, pid in {**agent.children(), "agent": agent.pid}.items()}
        begun_s = time.monotonic()
        time.sleep(sizes.band_s)
        ended_s = time.monotonic()
        pids = {**agent.children(), "agent": agent.pid}
        readings = sampler.between(begun_s, ended_s)
        known = known_percents(readings)
        agent.check()
        values.update(
            seconds=round(ended_s - begun_s, 1),
            samples=len(readings),
            share_percent=rounded(share_in_band(readings)),
            mean_percent=mean_percent(readings),
            least_percent=min(known, default=None),
            most_percent=max(known, default=None),
            p1_percent=percentile(known, 0.01) if known else None,
            p99_percent=percentile(known, 0.99) if known else None,
            watts=mean_watts(readings),
            memory_percent=card.percent_of_memory(card.used_bytes),
            cards_of_node=card.count_of_node,
            cards_served=1,
        )
        for name, earlier in before.items():
            if pids.get(name) is not None:
                used_s = (cpu_of(pids[name]) - earlier).own_s
                values[f"{name}_cpu_percent"] = round(100 * used_s / (ended_s - begun_s), 2)
                values[f"{name}_resident_mb"] = round(resident_mb(pids[name]), 1)
        _drops(bench, agent, sampler, watch_, values)


def _drops(bench: Bench, agent: KeepingAgent, sampler: Sampler, watch_: Stopwatch, values: Values) -> None:
    """Scripts that are put into pending/ while the card is held: until their first line, and what it finds."""
    card = bench.card
    taken: list[float] = []
    found_bytes: list[int] = []
    values["first_line"] = {}
    for number in range(bench.sizes.drops):
        agent.wait_settled(1, lambda: _first_line(agent, watch_, card, taken, found_bytes))
        ended_s = time.monotonic()
        values["first_line"].update(spread_ms(taken), most_memory_found_bytes=max(found_bytes))
        if number == 0:
            settled_s = agent.settles(sampler, ended_s, COLD_S)
            values["first_line"]["band_again_after_s"] = None if settled_s is None else round(settled_s - ended_s, 2)
        else:
            agent.wait_held()
            time.sleep(1.0)


def _first_line(
    agent: KeepingAgent, watch_: Stopwatch, card: Card, taken: list[float], found_bytes: list[int]
) -> None:
    begun = agent.drop(f"#!/bin/sh\necho >{shlex.quote(str(watch_.path))}\nsleep 0.3\n")
    taken.append(watch_.read() - begun)
    found_bytes.append(card.used_bytes - card.baseline_bytes)


# -- a training that wants nearly all -------------------------------------------------------------------------------


def measure_training(bench: Bench, values: Values) -> None:
    """A training takes 95 % of the memory right after its start: as a task, and as a foreign process."""
    card = bench.card
    take_bytes = int(TRAINING_SHARE * card.total_bytes)
    with closing(KeepingAgent(bench.directory("training"), card)) as agent:
        agent.run_one()
        agent.wait_held()
        values["held_percent"] = card.percent_of_memory(card.used_bytes)
        values["taken_percent"] = 100 * TRAINING_SHARE
        values["queued"] = _queued(agent, card, take_bytes, bench.base / "training.out")
        agent.wait_held()
        values["foreign"] = _foreign(agent, card, take_bytes)


def _queued(agent: KeepingAgent, card: Card, take_bytes: int, output: Path) -> Values:
    """What became of a script that was dropped into the queue."""
    command = shlex.join([*foreground_command(card, take_bytes), "--for", "1"])
    path = shlex.quote(zygote_environment()["PYTHONPATH"])
    script = f"#!/bin/sh\nPYTHONPATH={path} exec {command} >{shlex.quote(str(output))} 2>&1\n"
    agent.wait_settled(1, lambda: agent.drop(script), _PATIENCE_S)
    events, last = _events(output)
    outcome = "out of memory" if "out of memory" in events else "done" if "stopped" in events else "failed"
    told: Values = {"outcome": outcome}
    if outcome == "done":
        told["start_ms"] = in_ms(events["context"] - events["starting"])
    elif outcome == "failed":
        told["said"] = last[:300]
    return told


def _events(output: Path) -> tuple[dict[str, float], str]:
    """What a program said, by event, and its last line."""
    events: dict[str, float] = {}
    lines = output.read_text(encoding="utf-8", errors="replace").splitlines() if output.exists() else []
    for line in lines:
        try:
            found: Any = json.loads(line)
            events[str(found[0])] = float(found[1])
        except (ValueError, TypeError, IndexError, KeyError):
            continue  # a warning or a traceback of torch
    return events, lines[-1] if lines else "nothing"


def _foreign(agent: KeepingAgent, card: Card, take_bytes: int) -> Values:
    """What became of a program that came beside the filler, without the queue."""
    with closing(Foreground(card, take_bytes=take_bytes, goes=True)) as program:
        program.wait_context(agent.check)
        told: Values = {"outcome": "out of memory" if program.is_out_of_memory else "done"}
        told["start_ms"] = in_ms(program.start_s)
        give_up_at = time.monotonic() + 2.0
        while "worker" in agent.children() and time.monotonic() < give_up_at:
            time.sleep(0.02)
        told["filler_left"] = "worker" not in agent.children()
    return told


# -- two agents -----------------------------------------------------------------------------------------------------


def measure_agents(bench: Bench, values: Values) -> None:
    """Two agents with their own JOB_ID serve one card: one filler, and a task of either gets the card."""
    card = bench.card
    base = bench.directory("agents")
    with ExitStack() as stack:
        watch_ = stack.enter_context(closing(Stopwatch(base / "first-line")))
        agents = [
            stack.enter_context(closing(KeepingAgent(base / name, card, f"report-{name}"))) for name in ("a", "b")
        ]
        agents[0].run_one()
        agents[1].run_one()
        agents[0].wait_held()
        counts: list[int] = []
        used: list[float] = []
        until_s = time.monotonic() + bench.sizes.beside_s
        while time.monotonic() < until_s:
            counts.append(len(_holders(agents)))
            used.append(card.percent_of_memory(card.used_bytes))
            time.sleep(0.1)
        values.update(seconds=bench.sizes.beside_s, most_fillers=max(counts), least_fillers=min(counts))
        values["most_memory_percent"] = max(used)
        for role in ("other", "holder"):
            wait_until(lambda: len(_holders(agents)) == 1, "one of two agents to hold the card", 0.05, _PATIENCE_S)
            agents[0].wait_held()
            holders = _holders(agents)
            one = next(agent for agent in agents if (agent in holders) == (role == "holder"))
            taken: list[float] = []
            found_bytes: list[int] = []
            one.wait_settled(1, lambda: _first_line(one, watch_, card, taken, found_bytes))  # noqa: B023
            values[role] = {"first_line_ms": in_ms(taken[0]), "memory_found_bytes": found_bytes[0]}


def _holders(agents: list[KeepingAgent]) -> list[KeepingAgent]:
    """Those that have a worker."""
    return [agent for agent in agents if "worker" in agent.children()]
