"""Real agents, seen from Python."""

from __future__ import annotations

import os
import time

from gpu_queue.reasons import Code
from gpu_queue.spool.snapshot.reader import Cadence, SnapshotReader
from gpu_queue.spool.snapshot.taskfiles import read_log
from gpu_queue.spool.snapshot.view import Presence, Snapshot
from gpu_queue.states import GpuState
from gpu_queue.task import State
from tests.agent.harness import Cluster, wait_until

QUICK = Cadence(pending=0, nodes=0, flags=0, running=0.1, events=0.1, settled=0.1)


def test_runs_are_seen_from_their_submission_to_their_logs(cluster: Cluster) -> None:
    reader = SnapshotReader(cluster.paths, cadence=QUICK)
    states: dict[str, list[State]] = {}

    def look() -> Snapshot:
        seen = reader.refresh(time.monotonic())
        found = [one.task_id for one in (*seen.waiting, *seen.running, *seen.done, *seen.failed)]
        assert sorted(map(str, found)) == sorted(states), "each task is in sight, in one place"
        for one, path in states.items():
            state = seen.state_of(one)
            assert state is not None
            if not path or path[-1] is not state:
                path.append(state)
        assert seen.problems == ()
        return seen

    def submit(script: str, name: str) -> str:
        task_id = cluster.submit(f"#!/bin/sh\n{script}\n", name)
        states[task_id] = []
        return task_id

    os.mkfifo(cluster.base / "gate")
    long = submit("echo hello; read line <gate; exit 0", "long.sh")
    assert [one.reason.code for one in look().waiting[0].reasons] == [Code.NO_AGENT]
    agent = cluster.start(simulate="1")
    waits = submit("exit 1", "waits.sh")
    wait_until(lambda: look().running and look().running[0].page, "the node to tell that it runs", dump=cluster.dump)
    wait_until(lambda: look().waiting[0].reasons, "a reason", dump=cluster.dump)
    seen = look()
    assert [one.reason.code for one in seen.waiting[0].reasons] == [Code.GPUS]
    assert (seen.nodes[0].presence, seen.gpus[0].page.state) == (Presence.ALIVE, GpuState.BUSY)
    assert seen.gpus[0].claims == (seen.running[0].name,)
    (cluster.base / "gate").write_text("go\n")
    many = [submit(f"exit {number % 2}", f"t{number}.sh") for number in range(8)]
    wait_until(lambda: len(look().done) + len(look().failed) == 10, "all tasks to end", dump=cluster.dump)
    assert states[long] == [State.PENDING, State.RUNNING, State.DONE]
    assert [look().state_of(one) for one in (waits, *many[:2])] == [State.FAILED, State.DONE, State.FAILED]
    assert all(path == sorted(path, key=list(State).index) for path in states.values()), states
    wait_until(lambda: all(one.ended for one in look().done), "all ends to be told", dump=cluster.dump)
    agent.terminate()
    agent.wait()
    wait_until(lambda: look().nodes[0].presence is Presence.STOPPED, "the agent's end", dump=cluster.dump)
    view = reader.task(long)
    assert view is not None
    assert b"hello" in read_log(view.logs[0].path).content
    assert [one.record.outcome for one in view.tries if one.record is not None] == ["succeeded"]
