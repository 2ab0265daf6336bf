"""The agent is killed at random moments while short tasks run: nothing is lost, nothing runs twice."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from tests.agent.harness import Cluster, wait_until

LONGEST_S = 0.25
"""Three at a time, about ten tasks a life: the last kill still strikes some."""


def kill_at_random(cluster: Cluster, tasks: int, kills: int, seed: int) -> None:
    """Each task writes one line when it runs; the agent is killed and started again ``kills`` times meanwhile."""
    chance = random.Random(seed)
    ran = cluster.queue_root / "ran"
    ran.mkdir()
    ids = [
        cluster.submit(
            f'echo "$GPU_QUEUE_TRY" >>"$QUEUE_ROOT/ran/$GPU_QUEUE_TASK"\nsleep {chance.random() * LONGEST_S:.3f}\n'
        )
        for _ in range(tasks)
    ]
    struck = 0
    for life in range(kills):
        # Every fourth is killed while it starts or soon after; how long a start takes, nobody can say.
        agent = cluster.start(simulate="3", wait=life % 4 != 3)
        if life % 4 != 3:
            wait_until(
                lambda: cluster.ids("running") or not cluster.ids("pending"), "a task that runs", 20, cluster.dump
            )
        strike_at = time.monotonic() + chance.random() * 0.7
        while time.monotonic() < strike_at:
            time.sleep(0.01)  # the moment itself is what is random here
        struck += life % 4 != 3 and bool(cluster.ids("running"))
        cluster.kill(agent)
        everywhere = [task for state in ("pending", "running", "done", "failed") for task in cluster.ids(state)]
        assert sorted(everywhere) == sorted(ids), f"seed {seed}: tasks were lost or doubled\n{cluster.dump()}"
    cluster.start(simulate="3", wait=False)
    wait_until(
        lambda: len(cluster.ids("done")) == tasks, f"all {tasks} tasks in done (seed {seed})", 120, cluster.dump
    )
    assert struck > 0, "the kills came when nothing ran any more"
    twice = {task: (ran / task).read_text().split() for task in ids if len((ran / task).read_text().split()) != 1}
    assert twice == {}, f"seed {seed}: ran more than once\n{cluster.dump()}"
    wait_until(lambda: not list(Path(cluster.local).glob("agents/*/tries/*")), "the local directories to go")


@pytest.mark.long
def test_an_agent_killed_at_random_moments_loses_no_task_and_runs_none_twice(cluster: Cluster) -> None:
    kill_at_random(cluster, tasks=60, kills=4, seed=random.randrange(1 << 30))


@pytest.mark.soak
@pytest.mark.parametrize("life", range(8))
def test_two_hundred_tasks_and_twenty_kills(cluster: Cluster, life: int) -> None:
    kill_at_random(cluster, tasks=200, kills=20, seed=random.randrange(1 << 30))
