"""What each command of the client takes in a running bash, on a queue of three nodes, beside tsp and nq."""

from __future__ import annotations

import os
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

from machine import summary
from rigs import TSP, Shell, Spool, environment, task_spooler

from gpu_queue.reasons import Code, reason
from gpu_queue.spool.pages import GpuPage, NodePage, TryPage, WaitPage, write_page
from gpu_queue.states import AgentState, GpuState
from gpu_queue.task import State

NQ = shutil.which("nq")
NODES, CARDS = 3, 8
SCRIPT = "#!/bin/bash\n#GPUQ --gpus 1 --time 4h\ntrue\n"


def measure_commands(base: Path, waiting: int, waiting_of_tsp: int, rounds: int) -> dict[str, Any]:
    """Each command in turn, so many times; the queue has a full page of reasons, running, done and failed tasks."""
    spool = Spool(base, "commands")
    names = [_put(spool, State.PENDING) for _ in range(waiting)]
    done = [_put(spool, State.DONE) for _ in range(200)]
    failed = [_put(spool, State.FAILED) for _ in range(20)]
    for name in (*done, *failed):
        Path(spool.paths.root, "logs", f"{name[4:]}.log").write_text("epoch 1\nepoch 2\n", encoding="utf-8")
    for number in range(NODES):
        _page(spool, number, names)
    script = base / "train.sh"
    script.write_text(SCRIPT, encoding="utf-8")
    commands = {
        "gpu_status": "gpu_status",
        "gpu_status --plain": "gpu_status --plain",
        "gpu_list": "gpu_list",
        "gpu_logs": "gpu_logs",
        "gpu_logs TASK": f"gpu_logs {done[7][23:29]}",
        "gpu_explain TASK (failed)": f"gpu_explain {failed[7][23:29]}",
        "gpu_submit FILE": f"gpu_submit {script}",
        "gpu_priority TASK 400": "gpu_priority {0} 400",
        "gpu_cancel TASK": "gpu_cancel {0}",
        "/bin/true": "/bin/true",
    }
    taken: dict[str, list[float]] = {name: [] for name in commands}
    with closing(Shell({**environment(base), "JOB_ID": "commands", "COLUMNS": "120"})) as shell:
        for turn in range(rounds):
            for page in Path(spool.paths.root, "nodes").iterdir():
                page.touch()  # else the nodes would be silent, and shown otherwise
            for name, command in commands.items():
                taken[name].append(shell.call(command.format(names[-1 - turn][23:29])).took_s)
        if TSP is not None:
            taken |= _tsp(base, shell, waiting_of_tsp, rounds)
        if NQ is not None:
            (base / "nq").mkdir()
            taken["nq COMMAND"] = [shell.call(f"NQDIR={base}/nq {NQ} true").took_s for _ in range(rounds)]
    return {
        "waiting": waiting,
        "waiting_of_tsp": waiting_of_tsp,
        "rounds": rounds,
        "commands": {name: summary(values) for name, values in taken.items()},
    }


def _put(spool: Spool, state: State) -> str:
    hidden, path = spool.prepare(SCRIPT)
    name = os.path.basename(path)
    os.rename(hidden, f"{spool.paths.directory(state)}/{name}")
    return name


def _page(spool: Spool, number: int, names: list[str]) -> None:
    node = f"gpu-node-{number:02d}-{number:08x}"
    os.makedirs(spool.paths.running(node))
    Path(spool.paths.running_keeper(node)).touch()
    claims = [f"{_put(spool, State.PENDING)}.try1.{card:06x}" for card in range(CARDS)]
    for claim in claims:
        os.rename(f"{spool.paths.directory(State.PENDING)}/{claim[:-12]}", f"{spool.paths.running(node)}/{claim}")
    cards = tuple(
        GpuPage(f"GPU-{number}-{card}", card, "NVIDIA H100 80GB HBM3", GpuState.BUSY, 80 << 30, 61 << 30, 97, 480.0)
        for card in range(CARDS)
    )
    tries = tuple(TryPage(claim, "task.sh", "running", (card,), 725.0, 14400.0) for card, claim in enumerate(claims))
    why = tuple(WaitPage(name, reason(Code.GPUS, needed=1, idle=0, busy=8), "1") for name in names[:100])
    write_page(
        spool.paths,
        NodePage(node, "bench", AgentState.SERVING, gpus=cards, running=tries, waiting=why, waiting_count=len(names)),
    )


def _tsp(base: Path, shell: Shell, waiting: int, rounds: int) -> dict[str, list[float]]:
    with task_spooler(base, 1) as client:
        client("sleep", "600")
        for _ in range(waiting):
            client("true")
        try:
            return {
                "tsp": [shell.call(f"{TSP}").took_s for _ in range(rounds)],
                "tsp COMMAND": [shell.call(f"{TSP} true").took_s for _ in range(rounds)],
            }
        finally:
            client("-C")
            client("-k")
