"""Many trivial scripts: how fast each way of running them gets through, and on whose account the processor works."""

from __future__ import annotations

import os
import shlex
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from machine import cpu_of, timed
from rigs import TSP, Agent, Shell, Spool, Stopwatch, environment, task_spooler, wait_until

from gpu_queue.execution.launcher import with_death_signal
from gpu_queue.task import State

SCRIPT = "#!/bin/sh\nexit 0\n"
LOOP = 'for s in *; do sh "$s"; done'
XARGS = "printf '%s\\0' * | xargs -0 -P2 -n1 sh"
TSP_AT_MOST = 900
"""Each waiting task of tsp holds a descriptor of its server, which has a thousand."""


def measure_drain(base: Path, tasks: int, rounds: int) -> dict[str, Any]:
    """Rounds of all ways in turn; each figure is the median of the rounds."""
    scripts = base / "scripts"
    scripts.mkdir()
    for number in range(tasks):
        (scripts / f"task{number:04d}.sh").write_text(SCRIPT, encoding="utf-8")
    ways: dict[str, Callable[[int], dict[str, float]]] = {
        "gpu_queue": lambda number: _ours(base, scripts, tasks, number),
        "loop": lambda _: _command(scripts, tasks, LOOP),
        "xargs": lambda _: _command(scripts, tasks, XARGS),
    }
    if TSP is not None:
        ways["tsp"] = lambda _: _tsp(base, scripts, min(tasks, TSP_AT_MOST))
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    for number in range(rounds):
        for name, way in ways.items():
            taken[name].append(way(number))
    result: dict[str, Any] = {name: _medians(values) for name, values in taken.items()}
    for name in ways.keys() - {"gpu_queue"}:
        ratio = result["gpu_queue"]["tasks_per_s"] / result[name]["tasks_per_s"]
        result[f"gpu_queue_over_{name}"] = round(ratio, 3)
    return {"tasks": tasks, "rounds": rounds, **result, "pieces_cpu_ms": _pieces(scripts / "task0000.sh", tasks // 5)}


def _medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    return {name: round(statistics.median(one[name] for one in rounds), 3) for name in rounds[0]}


def _ours(base: Path, scripts: Path, tasks: int, number: int) -> dict[str, float]:
    """Filled and paused; then the pause ends."""
    spool = Spool(base, f"drain{number}")
    with closing(Shell({**environment(base), "JOB_ID": spool.job_id})) as shell:
        shell.call(f"cd {shlex.quote(str(scripts))}")
        shell.call("gpu_submit *")
        shell.call("gpu_pause")
    with closing(Agent(base, spool)) as agent:
        before, begun = cpu_of(agent.pid), time.time()
        os.rename(f"{spool.paths.root}/paused", f"{spool.paths.root}/resumed")  # a move is noticed at once
        wait_until(lambda: spool.count(State.DONE) >= tasks, "the last task", every_s=0.1, patience_s=300)
        used = cpu_of(agent.pid) - before
    ended = max(entry.stat().st_ctime for entry in os.scandir(spool.paths.directory(State.DONE)))
    shutil.rmtree(spool.paths.root)
    return {
        "tasks_per_s": tasks / (ended - begun),
        "agent_cpu_ms": used.own_s / tasks * 1000,
        "children_cpu_ms": used.children_s / tasks * 1000,
    }


def _command(scripts: Path, tasks: int, line: str) -> dict[str, float]:
    wall_s, cpu_s = timed(["sh", "-c", line], scripts)
    return {"tasks_per_s": tasks / wall_s, "cpu_ms": cpu_s / tasks * 1000}


def _tsp(base: Path, scripts: Path, tasks: int) -> dict[str, float]:
    """Both slots are held by a task each until all others wait."""
    with closing(Stopwatch(base / "tsp-gate")) as gate, task_spooler(base, 2) as client:
        for _ in range(2):
            client("sh", "-c", 'read -r line <"$0"', str(gate.path))
        fill = f'i=0; for s in *; do [ "$i" -lt {tasks} ] || break; {TSP} -n sh "$s"; i=$((i+1)); done'
        subprocess.run(
            ["sh", "-c", fill], cwd=scripts, env=environment(base), stdout=subprocess.DEVNULL, check=True, timeout=120
        )
        begun = time.monotonic()
        gate.release()
        gate.release()
        client("-w")
        wall_s = time.monotonic() - begun
    gate.path.unlink()
    return {"tasks_per_s": tasks / wall_s}


def _pieces(script: Path, count: int) -> dict[str, float]:
    """Processor time of what a try starts: each alone, many times."""
    name = shlex.quote(str(script))
    guarded = shlex.join(with_death_signal(["sh", str(script)]))
    pieces = {"script (sh)": f"sh {name}", "script (setpriv, sh)": guarded}
    return {label: round(_cpu_ms(piece, count), 3) for label, piece in pieces.items()}


def _cpu_ms(command: str, count: int) -> float:
    _, cpu_s = timed(["sh", "-c", f"i=0; while [ $i -lt {count} ]; do {command}; i=$((i+1)); done"])
    return cpu_s / count * 1000
