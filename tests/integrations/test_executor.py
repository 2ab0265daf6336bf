"""The executor keeps the contract of ``concurrent.futures`` on a real agent, whatever is killed."""

from __future__ import annotations

import concurrent.futures
import contextlib
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterable
from concurrent.futures import CancelledError, Future
from itertools import pairwise
from typing import Any

import pytest

from gpu_queue import Executor, Spool, TaskFailed
from gpu_queue.errors import SpoolError
from tests.agent.harness import ROOT, Cluster, wait_until
from tests.integrations import work


@pytest.fixture
def pool(cluster: Cluster) -> Executor:
    return Executor(cluster.job_id, str(cluster.queue_root), gpus=1)


def test_futures_bring_what_functions_return_and_raise(cluster: Cluster, pool: Executor) -> None:
    cluster.start()
    called_back: list[bool] = []
    with pool:
        future = pool.submit(work.times, 3, factor=4)
        future.add_done_callback(lambda one: called_back.append(one.cancel()))  # which asks the same future
        bad = pool.submit(work.end, "raise")
        assert list(pool.map(work.times, range(5), chunksize=3, timeout=60)) == [0, 1, 2, 3, 4]
        assert (future.result(60), bad.exception(60).__class__) == (12, KeyError)
        assert "3 times 4" in future.log()
    assert called_back == [False]
    assert repr(future) == f"<Future of {future.task_id}: finished>"
    with pytest.raises(RuntimeError, match="was shut down"):
        pool.submit(work.times, 1)
    # Another process finds them again, also those that have ended.
    again, failed = Executor(spool=Spool(cluster.job_id, cluster.queue_root)).attach([future.task_id, bad.task_id])
    assert again.result(20) == 12
    with pytest.raises(KeyError):
        failed.result(20)


def test_map_reads_no_further_than_it_is_told_and_keeps_nothing_that_it_gave(cluster: Cluster) -> None:
    with pytest.raises(SpoolError, match="4 is no JOB_ID; expected the name of a queue"):
        Executor(4)  # type: ignore[arg-type]
    for wrong, kind in ((0, ValueError), ("2", TypeError)):
        with pytest.raises(kind, match="buffersize="):
            Executor("exp", str(cluster.queue_root), gpus=0).map(work.times, [1], buffersize=wrong)  # type: ignore[arg-type]
    cluster.start("--cpu-slots", "4")
    pool = Executor("exp", str(cluster.queue_root), gpus=0)
    read = iter(itertools.count())
    endless: Any = pool.map(work.times, read, buffersize=2, timeout=60)
    assert list(itertools.islice(endless, 3)) == [0, 1, 2]
    assert next(read) == 5
    endless.close()
    for chunksize in (1, 2):
        things: Any = pool.map(work.thing, range(4), chunksize=chunksize, timeout=60)
        with contextlib.closing(things):
            ends = []
            for one in things:
                ends.append(weakref.ref(one))
                del one
                wait_until(lambda: ends[-1]() is None, "it to be dropped")  # noqa: B023  it is called here
    # It was never shut down; nobody has to, once all has ended.
    wait_until(lambda: "gpu_queue futures" not in {one.name for one in threading.enumerate()}, "its thread to end")
    assert pool.submit(work.times, 2).result(40) == 2


def test_what_waits_is_cancelled_and_what_runs_is_not(cluster: Cluster, pool: Executor) -> None:
    cluster.start(simulate="1")
    spool = Spool(cluster.job_id, cluster.queue_root)
    first = pool.submit(work.wait_for, str(cluster.base / "stop"))
    rest = [pool.submit(work.times, number) for number in range(4)]
    wait_until(first.running, "the first to run", dump=cluster.dump)
    assert (rest[0].running(), first.cancel(), rest[3].cancel(), rest[3].cancel()) == (False, False, True, True)
    assert all(spool.cancel(rest[2].task_id))  # by somebody else: gpu_cancel
    done, left = concurrent.futures.wait(rest[2:], 20)
    assert (len(done), len(left), rest[2].cancelled()) == (2, 0, True)
    with pytest.raises(CancelledError):
        rest[3].result()
    rest[1].stop()
    with pytest.raises(CancelledError):
        rest[1].result(20)
    first.stop()
    with pytest.raises(TaskFailed) as stopped:
        first.result(40)
    assert stopped.value.outcome == "stopped"
    assert set(concurrent.futures.as_completed(rest, 40)) == set(rest)
    assert rest[0].result() == 0
    pool.shutdown()


def test_leaving_takes_out_what_waits_only_where_it_is_told_to(cluster: Cluster, pool: Executor) -> None:
    futures = [pool.submit(work.times, number) for number in range(3)]
    pool.shutdown(wait=False)
    assert len(cluster.names("pending")) == 3
    pool.shutdown(wait=True, cancel_futures=True)
    assert [future.cancelled() for future in futures] == [True] * 3
    assert len(cluster.names("failed")) == 3


def test_the_thread_that_looks_outlives_a_storage_that_is_away(
    cluster: Cluster, pool: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.start()
    with pool:
        future = pool.submit(work.times, 1)
        real, calls = os.listdir, []

        def fails(path: str) -> list[str]:
            calls.append(path)
            if len(calls) < 6 and threading.current_thread().name == "gpu_queue futures":
                raise OSError(5, "the storage is away")
            return real(path)

        monkeypatch.setattr(os, "listdir", fails)
        assert future.result(60) == 1
        assert len(calls) >= 6


def test_no_gpu_is_had_twice_and_all_results_come(cluster: Cluster, pool: Executor) -> None:
    check_calls(cluster, pool, 12)


@pytest.mark.long
def test_five_hundred_functions_on_four_gpus(cluster: Cluster, pool: Executor) -> None:
    check_calls(cluster, pool, 500)


def check_calls(cluster: Cluster, pool: Executor, count: int) -> None:
    cluster.start(simulate="4")
    marks = cluster.base / "marks"
    marks.mkdir()
    with pool:
        futures = [pool.submit(work.held, str(marks), 0.05) for _ in range(count // 2)]
        spans = list(pool.map(work.held, [str(marks)] * (count - count // 2), timeout=600))
        spans += [future.result(600) for future in futures]
    assert len(spans) == count
    by_gpu: dict[str, list[tuple[float, float]]] = {}
    for gpu, began, ended in spans:
        by_gpu.setdefault(gpu, []).append((began, ended))
    assert set(by_gpu) == {"0", "1", "2", "3"}
    for had in by_gpu.values():
        had.sort()
        assert all(ended <= began for (_, ended), (began, _) in pairwise(had))


CLIENT = """
import sys
from gpu_queue import Executor
from tests.integrations import work
pool = Executor("exp", sys.argv[1], gpus=1)
while True:
    futures = pool._publish([lambda one=one: one for one in range(int(sys.argv[2]))])
    print(*(future.task_id for future in futures), sep="\\n", flush=True)
"""


def test_a_client_that_is_killed_loses_nothing_and_an_agent_neither(cluster: Cluster) -> None:
    """In the middle of publishing, and of waiting; each time it is another step that is cut off."""
    spool = Spool(cluster.job_id, cluster.queue_root)
    told: list[str] = []
    for round_ in range(3):
        command = [sys.executable, "-c", CLIENT, str(cluster.queue_root), "6"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as client:
            assert client.stdout is not None
            told += [client.stdout.readline().strip() for _ in range(6)]
            time.sleep(0.013 * round_)  # where it is by then is what is tried
            client.kill()
            told += client.stdout.read().split()
    there = {task.id: task for task in spool.find("")}
    assert set(told) <= set(there)
    # Each that was published has its call; what was not is neither a task nor in anybody's way.
    with_calls = {name.removesuffix(".call") for name in os.listdir(cluster.paths.calls) if name.endswith(".call")}
    assert set(there) <= with_calls
    first = cluster.start(simulate="4")
    futures = Executor(spool=spool).attach(told[:6])
    wait_until(lambda: any(future.running() for future in futures), "one to run", dump=cluster.dump)
    cluster.kill(first)
    cluster.start(simulate="4")
    assert results_of(futures) == [0, 1, 2, 3, 4, 5]


def results_of(futures: Iterable[Future[int]]) -> list[int]:
    return [future.result(60) for future in futures]


def test_an_interrupt_leaves_what_runs_alone(cluster: Cluster) -> None:
    cluster.start(simulate="1")
    mark = cluster.base / "go on"
    code = (
        "import sys; from gpu_queue import Executor; from tests.integrations import work\n"
        "pool = Executor('exp', sys.argv[1], gpus=1); future = pool.submit(work.wait_for, sys.argv[2])\n"
        "print(future.task_id, flush=True); future.result()\n"
    )
    command = [sys.executable, "-c", code, str(cluster.queue_root), str(mark)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT) as client:
        assert client.stdout is not None
        task_id = client.stdout.readline().strip()
        cluster.wait_for_line(task_id, "==== started")
        client.send_signal(signal.SIGINT)
        assert client.wait(20) != 0  # a thread that looks holds nobody
    mark.touch()
    assert Spool(cluster.job_id, cluster.queue_root).result(task_id, 40) == str(mark)
