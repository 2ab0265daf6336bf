"""Files of experiments halfway, the same each time: what golden screens and timings look at."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace

from gpu_queue.experiments.progress.model import advance, phase_of
from gpu_queue.experiments.progress.nouns import Agent, Item, Progress, Standing
from gpu_queue.experiments.specs.nouns import Experiment, Run
from gpu_queue.reasons import Code, reason
from gpu_queue.states import AgentState
from gpu_queue.task import State

NOW = 1_790_000_000.0
"""2026-09-21 13:33:20 UTC."""
NODE = "gpu7-1f2e3d4c"
SERVING = Agent(AgentState.SERVING, NODE)


def a_run(name: str, group: str = "multi_seed", job: str = "train", **more: object) -> Run:
    return replace(Run(name, job, group, "true\n", "c0ffee"), **more)  # type: ignore[arg-type]


def an_experiment(*runs: Run) -> Experiment:
    return Experiment("/data/jobs.yaml", "/data/jobs.yaml", runs)


def item_of(run: Run, standing: Standing) -> Item:
    return Item(run, standing, phase_of(standing))


def task_id(number: int, name: str = "x") -> str:
    return f"20260921T130000{number % 1000:03d}-{0xC0FFEE ^ number * 7919 & 0xFFFFFF:06x}-{name}"


def waits(number: int, why: Code | None = None, **params: object) -> Standing:
    because = None if why is None else reason(why, **params)  # type: ignore[arg-type]
    return Standing(task_id(number), State.PENDING, place=number, reason=because)


def runs(number: int, seconds: float, *gpus: int, node: str = NODE, tries: int = 1, now: float = NOW) -> Standing:
    return Standing(
        task_id(number), State.RUNNING, 0, tries, node=node, gpus=gpus, token=f"{number:06x}", since=now - seconds,
        stage="running",
    )  # fmt: skip


def done(number: int, seconds: float, gpus: int = 1) -> Standing:
    return Standing(
        task_id(number), State.DONE, 0, 1, node=NODE, gpus=tuple(range(gpus)), outcome="succeeded", ran_s=seconds,
        gpu_s=seconds * gpus,
    )  # fmt: skip


def failed(
    number: int, seconds: float, outcome: str = "failed(1)", error_type: str = "oom", log: str = ""
) -> Standing:
    return Standing(
        task_id(number), State.FAILED, 0, 1, 1, NODE, (1,), outcome=outcome, error_type=error_type, ran_s=seconds,
        gpu_s=seconds, log=log,
    )  # fmt: skip


def matrix() -> tuple[Run, ...]:
    """2 data sets x 4 algorithms x 3 seeds."""
    names = itertools.product(("mnist", "cifar10"), ("fedavg", "fedprox", "scaffold", "ours"), range(3))
    return tuple(a_run(f"{data}_{algo}_s{seed}") for data, algo, seed in names)


@dataclass(frozen=True)
class Halfway:
    """An experiment with its standings at two looks."""

    experiment: Experiment
    first: Mapping[str, Standing]
    second: Mapping[str, Standing]
    agent: Agent = SERVING

    def progress(self) -> Progress:
        before = advance(self.experiment, self.first, NOW - 724, agent=self.agent)
        return advance(self.experiment, self.second, NOW, agent=self.agent, before=before)


def halfway(log: str = "/data/logs/multi_seed/cifar10_fedavg_s0.log") -> Halfway:
    """24 + 6 + 6: 12 done, one failed, four run, two wait for strangers to go, a table waits for all."""
    train = matrix()
    gamma = tuple(a_run(f"gamma_{value}", "gamma_sensitivity", "gamma") for value in ("0", "1e-5", "1e-4", "1e-3"))
    table = a_run("table", "multi_seed", "table", gpus="0", after=tuple(run.name for run in train))
    now: dict[str, Standing] = {}
    for number, run in enumerate(train):
        if number < 13:
            now[run.name] = done(number, 190.0 + 7 * number)
        elif number < 17:
            now[run.name] = runs(number, (200.4, 130.2, 62.9, 4.1)[number - 13], number - 13)
        else:
            now[run.name] = waits(number, Code.GPUS, needed=1, idle=0, busy=4, stranger=3, left=1)
    now["cifar10_fedavg_s0"] = failed(12, 201.0, log=log)
    for number, run in enumerate(gamma, 100):
        now[run.name] = waits(number, Code.GPUS, needed=1, idle=0, busy=4, stranger=3, left=1)
    now["table"] = waits(24, Code.AFTER, tasks=(task_id(13, "cifar10_fedavg_s1"),), more=10)
    experiment = an_experiment(*train, table, *gamma)
    first = {run.name: waits(number) for number, run in enumerate(experiment.runs)}
    first["mnist_fedavg_s0"] = runs(0, 0.5, 0, now=NOW - 724)
    return Halfway(experiment, first, now)
