"""An experiment file of many runs: read, queued by one publication, loaded again; and who its tasks are among many.

It runs in a process of its own, on the way of ``gpu-queue load``, and tells how much of that is a wait for the clock.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from machine import ROOT, summary

from gpu_queue.experiments.known import Census
from gpu_queue.experiments.queueing import load_experiment, plan_experiment
from gpu_queue.experiments.specs.reading import read_experiment
from gpu_queue.spool.desk import committing
from gpu_queue.spool.desk.stamps import ahead_s
from gpu_queue.spool.filesystem import make_spool
from gpu_queue.spool.paths import SpoolPaths, make_id
from gpu_queue.spool.records import encode_submission
from gpu_queue.task import ExperimentPart, State, Submission

_FILE = """\
defaults: {{gpus: 1, memory: 8G, time: 4h}}
jobs:
  train:
    name: "{{dataset}}_{{algo}}_s{{seed}}"
    matrix:
      dataset: [mnist, cifar10]
      algo: [fedavg, fedprox, scaffold, ours]
      seed: {seeds}
    run: python test.py --dataset {{dataset}} --algo {{algo}} --seed {{seed}}
"""
_T = TypeVar("_T")


def measure_experiments(base: Path, runs: int, members: int, rounds: int) -> dict[str, Any]:
    """A file of so many runs, and a spool that has so many tasks of experiments already."""
    command = [sys.executable, __file__, str(base), str(runs), str(members), str(rounds)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    asked = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    return {"machine_load": round(os.getloadavg()[0], 1), **json.loads(asked.stdout)}


class _Clock:
    """What was taken, by name: seconds by the wall, and seconds of the processor."""

    def __init__(self) -> None:
        self.taken: dict[str, list[float]] = {}
        self.waited_s = 0.0

        def noted() -> float:
            self.waited_s = ahead_s()
            return self.waited_s

        setattr(committing, "ahead_s", noted)  # noqa: B010

    def take(self, name: str, do: Callable[[], _T]) -> _T:
        self.waited_s = 0.0
        cpu, begun = time.process_time(), time.perf_counter()
        made = do()
        took = time.perf_counter() - begun
        self.note(name, took)
        self.note(f"{name}_work", took - self.waited_s)
        self.note(f"{name}_cpu", time.process_time() - cpu)
        return made

    def note(self, name: str, took_s: float) -> None:
        self.taken.setdefault(name, []).append(took_s)


def _fill(paths: SpoolPaths, count: int) -> None:
    """Tasks of ten files; links, for it is names and records that cost."""
    make_spool(paths)
    source = ""
    for index in range(count):
        task_id = make_id(1.7e9 + index, f"{index:06x}", b"mnist_ours_s0")
        part = ExperimentPart(
            f"/p/sweep{index % 10}.yaml", "sweep", "train", f"r{index}", f"{index:016x}", params=(("seed", "0"),)
        )
        needs = {"gpus": "1", "memory": "8G", "time": "4h"}
        said = Submission(task_id, part.name, part.file, "/p", needs, "a", "h", experiment=part)
        Path(paths.record(task_id)).write_bytes(encode_submission(said))
        name = f"{paths.directory(State.DONE if index % 10 else State.PENDING)}/500-{task_id}"
        if source:
            os.link(source, name)
        else:
            source = name
            Path(name).write_text("#!/bin/sh\n", encoding="utf-8")


def _load(clock: _Clock, base: Path, file: Path, number: int) -> None:
    paths = SpoolPaths(f"{base}/queues/{number}")
    experiment = clock.take("read", lambda: read_experiment(str(file)))
    clock.take("plan", lambda: plan_experiment(paths, experiment))
    clock.take("load", lambda: load_experiment(paths, experiment))
    clock.take("load_again", lambda: load_experiment(paths, experiment))
    program = [
        sys.executable,
        "-c",
        "import sys; from gpu_queue.cli import main; sys.exit(main())",
        "load",
        str(file),
    ]
    environment = {**os.environ, "JOB_ID": f"p{number}", "QUEUE_ROOT": f"{base}/queues"}
    clock.take("program", lambda: subprocess.run(program, env=environment, capture_output=True, check=True))


def main() -> None:
    """Measure, and print JSON."""
    base, (runs, members, rounds) = Path(sys.argv[1]), map(int, sys.argv[2:])
    clock = _Clock()
    file = base / "sweep.yaml"
    file.write_text(_FILE.format(seeds=list(range(runs // 8))), encoding="utf-8")
    for number in range(rounds):
        _load(clock, base, file, number)
    many = SpoolPaths(f"{base}/queues/many")
    _fill(many, members)
    for _ in range(rounds):
        ask = partial(Census(many).members, file="/p/sweep0.yaml")
        clock.take("members", ask)
        clock.take("members_again", ask)
    found = {
        name: {**summary(values), "best_ms": round(min(values) * 1000, 3)} for name, values in clock.taken.items()
    }
    print(json.dumps({"runs": runs // 8 * 8, "members_there": members, "rounds": rounds, **found}))


if __name__ == "__main__":
    main()
