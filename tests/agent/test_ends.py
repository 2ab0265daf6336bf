"""What waits for an end wakes at that end, with real agents that poll once a day: nobody is saved by a poll."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.agent.harness import Cluster, wait_until

NEVER = {"GPU_QUEUE_POLL": "1d"}
SCRIPT = '#!/bin/sh\n#GPUQ --gpus {gpus}\necho "$GPU_QUEUE_TASK $GPU_QUEUE_NODE" >>{ran}\n'


@pytest.mark.parametrize("kind", ["queue", "after"])
@pytest.mark.parametrize("agents", [2, pytest.param(1, marks=pytest.mark.long)])
def test_one_runs_after_the_other_also_on_two_agents_in_turn(cluster: Cluster, kind: str, agents: int) -> None:
    base = cluster.local
    for number in range(agents):  # the second has one GPU of 80G, the first two of 24G
        cluster.local = Path(f"{base}{number}")
        cluster.start("--node-name", f"node{number}", simulate=("2x24G", "1x80G")[number], env=NEVER)
    ran = cluster.base / "ran"
    tasks: list[str] = []
    for number in range(6):
        is_for_the_second = agents > 1 and number % 2 == 1
        needs: dict[str, Any] = {"queue": "q"} if kind == "queue" else {"after": tasks[-1:]}
        if is_for_the_second:
            needs["memory"] = "60G"
        script = SCRIPT.format(gpus=1 if is_for_the_second else 2, ran=f'"{ran}"'.replace("$", "\\$"))
        tasks.append(cluster.submit(script, **needs))
    wait_until(lambda: len(cluster.names("done")) == len(tasks), "the last of them", 60.0, cluster.dump)
    rows = [line.split() for line in ran.read_text().splitlines()]
    assert [task for task, _ in rows] == tasks
    assert [node[:5] for _, node in rows] == [f"node{number % agents}" for number in range(6)]
