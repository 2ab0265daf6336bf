"""Storage that hangs in whatever is asked of it: tasks are ended all the same, and everything goes on afterwards."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.harness import wait_until
from tests.faults.storage import BadStorage, bad_storage

TALKING = """import os, threading, time
def talk():
    while True:
        print("step", flush=True)
        time.sleep(0.05)
threading.Thread(target=talk, daemon=True).start()
open({pid!r}, "a").write(f"{{os.getpid()}}\\n")
while not os.path.exists({finish!r}):
    time.sleep(0.05)
os._exit(0)
"""
"""Prints all the while, so that its log has what a close must push to the server."""
HANG = {"op": "*", "hang": True}


@pytest.fixture
def bad(tmp_path: Path) -> Iterator[BadStorage]:
    with bad_storage(tmp_path) as made:
        yield made


def submit_talking(bad: BadStorage) -> tuple[str, Path, Path]:
    """A task that goes on until it is let go; its id, the file of its pids, the file that lets it go."""
    base = bad.cluster.base
    pids, finish, program = base / "pids", base / "finish", base / "talk.py"
    program.write_text(TALKING.format(pid=str(pids), finish=str(finish)))
    task = bad.cluster.submit(f"#!/bin/sh\n#GPUQ --gpus 0\nexec {shlex.quote(sys.executable)} {program}\n")
    wait_until(lambda: pids.exists() and "step" in bad.cluster.log(task), "the task's word", dump=bad.cluster.dump)
    return task, pids, finish


def is_gone(pids: Path) -> bool:
    """Whether none of them runs: one that was told to end may wait for the storage with its last breath.

    Either KILL is on its way to it, or it has given back its memory already and is closing its files.
    """
    for pid in pids.read_text().split():
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            continue
        pending = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("ShdPnd"))
        is_alive = "\nVmSize:" in status  # a zombie has no memory either
        if is_alive and not pending & 1 << (signal.SIGKILL - 1):
            return False
    return True


def test_a_task_that_prints_is_fenced_although_every_close_of_its_log_hangs(bad: BadStorage) -> None:
    fence = {"GPU_QUEUE_FENCE_AFTER": "3s", "GPU_QUEUE_BEAT": "1s", "GPU_QUEUE_TAKEOVER_AFTER": "70s"}
    bad.start(env=fence)
    task, pids, finish = submit_talking(bad)
    bad.fail(HANG)
    wait_until(lambda: is_gone(pids), "the end of the task by its fence", dump=bad.cluster.dump)
    bad.mend()
    finish.touch()
    bad.cluster.wait_for(task, "done")
    assert len(pids.read_text().split()) == 2, "it was run again, once"


def test_an_agent_that_is_told_to_leave_while_storage_hangs_ends_its_tasks_first(bad: BadStorage) -> None:
    agent = bad.start()
    task, pids, finish = submit_talking(bad)
    bad.fail(HANG)
    wait_until(bad.hits, "a call that hangs")
    os.kill(agent.pid, signal.SIGTERM)
    wait_until(lambda: is_gone(pids), "the end of the task", dump=bad.cluster.dump)
    bad.mend()
    agent.wait(30)
    finish.touch()
    bad.start()
    bad.cluster.wait_for(task, "done")
    assert len(pids.read_text().split()) == 2
