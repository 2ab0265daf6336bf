"""From an end to what waited for it: the next of a queue or chain, on one agent or two; gpu_wait and gpu_tail."""

from __future__ import annotations

import itertools
import os
import shlex
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from machine import summary
from rigs import TSP, Agent, Shell, Spool, Stopwatch, environment, task_spooler

from gpu_queue.task import State

CARDS = ("2x24G", "1x80G")
"""Of two agents: what asks for two GPUs runs on the first, what asks for one of 60G on the second."""
TURNS: tuple[dict[str, object], ...] = ({"gpus": "2"}, {"gpus": "1", "memory": "60G"})
WELL_WAITING_S = 1.1
Needs = Callable[[str | None], dict[str, object]]
"""What a task asks for, given the id of the one before."""


def measure_ends(base: Path, links: int, waits: int) -> dict[str, Any]:
    """Each way once after the other, and again; ``links`` scripts one after the other."""
    rig = _Rig(base)
    ways: dict[str, Callable[[int], list[float]]] = {
        "queue": lambda number: rig.agents(f"queue{number}", links, 1, _in_queue),
        "after": lambda number: rig.agents(f"after{number}", links, 1, _after),
        "queue_across": lambda number: rig.agents(f"queue-across{number}", links, 2, _in_queue),
        "after_across": lambda number: rig.agents(f"after-across{number}", links, 2, _after),
        "sh": lambda _: rig.loop(links),
    }
    if TSP is not None:
        ways["tsp"] = lambda _: rig.tsp(links)
    with closing(rig):
        taken: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(2):
            for name, way in ways.items():
                taken[name] += [later - earlier for earlier, later in itertools.pairwise(way(number))]
        returned = {verb: rig.returns(verb, waits) for verb in ("gpu_wait", "gpu_tail")}
    result: dict[str, Any] = {name: summary(values) for name, values in (taken | returned).items()}
    if TSP is not None:
        for name in taken.keys() - {"tsp"}:
            result[f"{name}_over_tsp"] = round(result[name]["median_ms"] / result["tsp"]["median_ms"], 3)
    return result


def _in_queue(before: str | None) -> dict[str, object]:  # noqa: ARG001
    return {"queue": "line"}


def _after(before: str | None) -> dict[str, object]:
    return {} if before is None else {"after": [before]}


class _Rig:
    """A script whose first line stops the watch, and the ways to have it run again and again."""

    def __init__(self, base: Path) -> None:
        self._base = base
        self._watch = Stopwatch(base / "first-line")
        self._gate = Stopwatch(base / "gate")
        self._script = f"#!/bin/sh\necho >{shlex.quote(str(self._watch.path))}\n"
        self._file = base / "first.sh"
        self._file.write_text(self._script, encoding="utf-8")

    def agents(self, job_id: str, links: int, agents: int, needs: Needs) -> list[float]:
        """The first lines of as many tasks, by so many agents in turn."""
        spool = Spool(self._base, job_id)
        with ExitStack() as stack:
            for number in range(agents):
                stack.enter_context(closing(Agent(self._base, spool, CARDS[number], f"node{number}")))
            prepared: list[tuple[str, str]] = []
            for number in range(links):
                before = os.path.basename(prepared[-1][1])[4:] if prepared else None
                turn = TURNS[number % len(TURNS)] if agents > 1 else {"gpus": "1"}
                prepared.append(spool.prepare(self._script, **turn, **needs(before)))
            for hidden, path in prepared:
                os.rename(hidden, path)
            return self._watch.read_each(links)

    def loop(self, links: int) -> list[float]:
        line = f"i=0; while [ $i -lt {links} ]; do sh {shlex.quote(str(self._file))}; i=$((i+1)); done"
        with subprocess.Popen(["sh", "-c", line], stdin=subprocess.DEVNULL):
            return self._watch.read_each(links)

    def tsp(self, links: int) -> list[float]:
        """Each depends on the one before; the first on one that waits until all are there."""
        with task_spooler(self._base, 1) as client:
            client("sh", "-c", 'read -r line <"$0"', str(self._gate.path))
            for _ in range(links):
                client("-n", "-d", "sh", str(self._file))
            self._gate.release()
            moments = self._watch.read_each(links)
            client("-w")
            return moments

    def returns(self, verb: str, count: int) -> list[float]:
        """From a task's arrival in done/ to the return of a command that has waited for it for a while."""
        spool = Spool(self._base, verb)
        shell = Shell({**environment(self._base), "JOB_ID": verb})
        script = f"{self._script}read -r line <{shlex.quote(str(self._gate.path))}\n"
        with closing(Agent(self._base, spool)), closing(shell):
            return [self._returned(spool, shell, verb, script, number / count) for number in range(count)]

    def _returned(self, spool: Spool, shell: Shell, verb: str, script: str, later_s: float) -> float:
        hidden, path = spool.prepare(script)
        name = os.path.basename(path)
        os.rename(hidden, path)
        self._watch.read()
        shell.begin(f"{verb} {name}")
        time.sleep(WELL_WAITING_S + later_s)
        self._gate.release()
        ended = shell.end().ended
        return ended - os.stat(f"{spool.paths.directory(State.DONE)}/{name}").st_ctime

    def close(self) -> None:
        self._watch.close()
        self._gate.close()
