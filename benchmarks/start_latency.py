"""From the submission of a script to its first line; and what the call of gpu_submit itself takes."""

from __future__ import annotations

import itertools
import os
import shlex
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from events import Events
from machine import summary
from rigs import PATIENCE_S, QUIET_S, TSP, Agent, Shell, Spool, Stopwatch, environment, task_spooler

SOON_S = 0.05
STAGES = (
    "agent: noticed, planned, named the try's directory",
    "agent: leased a GPU, claimed",
    "agent: read the script, wrote its copy and the facts",
    "shim: read what it is to run",
    "shim: listed its claim, opened the log; the script's first line",
)


def measure_start(base: Path, trials: int) -> dict[str, Any]:
    """One round after the other: rename, gpu_submit, tsp, sh."""
    with ExitStack() as stack:
        rig = _Rig(base, stack)
        kinds: dict[str, Callable[[], float]] = {
            "rename": rig.rename,
            "rename_soon": rig.rename_soon,
            "gpu_submit": rig.submit,
            "sh": rig.bare,
        }
        if TSP is not None:
            stack.enter_context(task_spooler(base, 1))
            kinds["tsp"] = rig.tsp
        for trial in kinds.values():  # caches are warm then
            trial()
        taken: dict[str, list[float]] = {name: [] for name in kinds}
        for number in range(trials):
            order = list(kinds)
            for name in order[number % len(order) :] + order[: number % len(order)]:
                taken[name].append(kinds[name]())
        result: dict[str, Any] = {name: summary(values) for name, values in taken.items()}
        result["stages_ms"] = rig.stages(max(5, trials // 3))
    if TSP is not None:
        for name in ("rename", "rename_soon", "gpu_submit"):
            result[f"{name}_over_tsp"] = round(result[name]["median_ms"] / result["tsp"]["median_ms"], 3)
    return result


class _Rig:
    """An idle agent, a running bash, and a script whose first line stops the watch."""

    def __init__(self, base: Path, stack: ExitStack) -> None:
        self._watch = stack.enter_context(closing(Stopwatch(base / "first-line")))
        self._script = f"#!/bin/sh\necho >{shlex.quote(str(self._watch.path))}\n"
        self._file = base / "first.sh"
        self._file.write_text(self._script, encoding="utf-8")
        self._file.chmod(0o700)
        self._spool = Spool(base, "start")
        self._agent = stack.enter_context(closing(Agent(base, self._spool)))
        self._shell = stack.enter_context(closing(Shell({**environment(base), "JOB_ID": "start"})))
        self._settled = 0

    def _await_end(self, quiet_s: float = QUIET_S) -> None:
        self._settled += 1
        self._agent.wait_settled(self._settled)
        time.sleep(quiet_s)

    def rename(self, quiet_s: float = QUIET_S) -> float:
        hidden, path = self._spool.prepare(self._script)
        begun = time.time()
        os.rename(hidden, path)
        started = self._watch.read()
        self._await_end(quiet_s)
        return started - begun

    def rename_soon(self) -> float:
        """As soon after another task as a person with two scripts does it."""
        self.rename(SOON_S)
        return self.rename()

    def submit(self) -> float:
        took_s = self._called(f"gpu_submit {shlex.quote(str(self._file))}")
        self._await_end()
        return took_s

    def tsp(self) -> float:
        took_s = self._called(f"{TSP} {shlex.quote(str(self._file))}")
        self._shell.call(f"{TSP} -w")
        return took_s

    def bare(self) -> float:
        return self._called(f"sh {shlex.quote(str(self._file))}")

    def _called(self, command: str) -> float:
        self._shell.begin(command)
        started = self._watch.read()
        return started - self._shell.end().begun

    def stages(self, trials: int) -> dict[str, float]:
        with closing(Events()) as events:
            self._watch_stages(events)
            return _median_stages([self._staged(events) for _ in range(trials)])

    def _staged(self, events: Events) -> list[float]:
        """How long each stage of one start took, by the files that it leaves."""
        hidden, path = self._spool.prepare(self._script)
        name = os.path.basename(path)
        begun = time.time()
        os.rename(hidden, path)
        seen = events.until(self._watch.descriptor, PATIENCE_S)
        started = self._watch.read()
        self._await_end()
        moments = {_what(appeared, name): moment for moment, appeared in reversed(seen)}
        marks = [moments[mark] for mark in ("directory", "claim", "facts", "pid")]
        return [later - earlier for earlier, later in itertools.pairwise([begun, *marks, started])]

    def _watch_stages(self, events: Events) -> None:
        events.watch(self._spool.running)
        [tries] = self._agent.local.glob("agents/*/tries")
        events.watch(tries)


def _what(path: Path, task: str) -> str:
    """What a file that appeared is to a start."""
    if path.name.startswith(task):
        return "directory" if path.parent.name == "tries" else "claim"
    return path.name


def _median_stages(trials: Sequence[Sequence[float]]) -> dict[str, float]:
    columns = zip(*trials, strict=True)
    return {name: round(statistics.median(column) * 1000, 2) for name, column in zip(STAGES, columns, strict=True)}


def measure_submit(base: Path, calls: int, batch: int) -> dict[str, Any]:
    """The call alone, in a spool without an agent."""
    scripts = base / "batch"
    scripts.mkdir()
    for number in range(batch):
        (scripts / f"task{number:03d}.sh").write_text("#!/bin/sh\nexit 0\n", encoding="utf-8")
    with ExitStack() as stack:
        Spool(base, "submit")
        shell = stack.enter_context(closing(Shell({**environment(base), "JOB_ID": "submit"})))
        shell.call(f"cd {shlex.quote(str(scripts))}")
        shell.call("gpu_submit task000.sh")
        one, many, fork = [], [], []
        for number in range(calls):
            one.append(shell.call("gpu_submit task000.sh").took_s)
            fork.append(shell.call("command true; /bin/true").took_s)
            if number % 5 == 0:
                many.append(shell.call("gpu_submit *.sh").took_s / batch)
    return {"one": summary(one), "each_of_batch": summary(many), "batch": batch, "bare_fork": summary(fork)}
