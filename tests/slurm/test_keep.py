"""A queue that is kept served by short jobs of a real Slurm: each has its successor submitted before its end."""

from __future__ import annotations

import itertools
import re
import shlex
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.agent.harness import ROOT, wait_until
from tests.slurm.cluster import Slurm
from tests.slurm.conftest import only_with_all
from tests.slurm.served import Served, a_served

ANY_NUMBER = {"GPU_QUEUE_RENEW_PER_HOUR": "200"}


class Kept(Served):
    """A served queue, and what keeps it so."""

    def submit_sh(self, *words: str, **settings: str) -> str:
        done = self.run(str(ROOT / "submit.sh"), *words, **{**ANY_NUMBER, **settings})
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def keep(self, slots: int, *words: str) -> str:
        return self.submit_sh("--keep", str(slots), self.queue.job_id, *words, "--way", "slurm")

    def client(self, *words: str) -> str:
        done = self.run("bash", "-c", 'source "$0"; "$@"', str(ROOT / "client.sh"), *words, JOB_ID=self.queue.job_id)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def slots(self) -> list[str]:
        found = Path(self.queue.paths.allocations).glob("slot-*")
        return sorted(one.name.removeprefix("slot-") for one in found if not one.name.endswith(".began"))

    def jobs(self) -> list[str]:
        """A line of squeue's for each job that runs or waits: its id and state."""
        return self.slurm.ask("squeue", "-h", "-o", "%A %T").splitlines()

    def a_short_task(self, seconds: float, **needs: Any) -> str:
        note = shlex.quote(str(self.queue.base / "spans"))
        return self.queue.submit(
            f'begin=$EPOCHREALTIME; sleep {seconds}; echo "$GPU_QUEUE_NODE $begin $EPOCHREALTIME" >>{note}\n', **needs
        )

    def gaps_s(self) -> list[float]:
        """Of each slot: between the last task of one allocation and the first of the next."""
        slot_of: dict[str, str] = {}
        for slot in self.slots():
            text = Path(self.queue.paths.allocations, f"slot-{slot}").read_text()
            slot_of |= {job: slot.split(".")[0] for job in re.findall(r"^submitted ([0-9]+)$", text, re.M)}
        rows: dict[str, list[tuple[float, float, str]]] = {}
        for line in self.spans():
            node, begin, end = line.split()
            job = node.split("-")[1]
            rows.setdefault(slot_of[job], []).append((float(begin), float(end), job))
        pairs = [pair for of in rows.values() for pair in itertools.pairwise(sorted(of))]
        return [after[0] - before[1] for before, after in pairs if before[2] != after[2]]

    def spans(self) -> list[str]:
        """Of each try its node, its begin and its end."""
        return (self.queue.base / "spans").read_text().splitlines()

    def watch(self, is_over: Callable[[], bool], most: int, timeout_s: float) -> None:
        """Wait, and look all the time that no more run, and no more wait behind them, than were asked for."""

        def look() -> bool:
            states = [line.split()[1] for line in self.jobs()]
            assert states.count("RUNNING") <= most, states
            assert states.count("PENDING") <= most, states
            return is_over()

        wait_until(look, "all tasks done", timeout_s, self.dump)


@pytest.fixture
def kept(slurm: Slurm, tmp_path: Path) -> Iterator[Kept]:
    with a_served(slurm, tmp_path) as served:
        yield Kept(served.slurm, served.queue)


def test_allocations_follow_each_other_until_nothing_is_left_to_do(kept: Kept) -> None:
    tasks = [kept.a_short_task(0.5) for _ in range(20)]
    kept.keep(1, "1", "--time", "6s")
    kept.watch(lambda: len(kept.queue.ids("done")) == len(tasks), most=1, timeout_s=60)
    kept.wait_until_all_done(tasks)
    wait_until(lambda: not kept.jobs(), "no job left", 30, kept.dump)
    print(kept.slots(), kept.gaps_s())
    assert 2 <= len(kept.slots()) <= 5


@only_with_all
def test_gpu_shutdown_ends_what_runs_and_what_is_to_follow(kept: Kept) -> None:
    for _ in range(20):
        kept.a_short_task(1)
    kept.keep(1, "1", "--time", "8s")
    wait_until(lambda: len(kept.jobs()) == 2, "a successor", 30, kept.dump)
    status = kept.client("gpu_status")
    assert "kept served by at most 1 allocations at a time; next: 1.3" in status
    assert "kept served no longer" in kept.client("gpu_shutdown")
    wait_until(lambda: not kept.jobs(), "no job left", 30, kept.dump)
    assert kept.slots() == ["1.1", "1.2"]
    assert "the queue is kept no longer" in kept.job_logs()


@only_with_all
def test_twenty_allocations_on_two_nodes_settle_200_tasks_each_once(kept: Kept) -> None:
    tasks = [kept.a_short_task(0.9, gpus="4") for _ in range(200)]
    kept.keep(2, "4", "--time", "10s")
    kept.watch(lambda: len(kept.queue.ids("done")) == len(tasks), most=2, timeout_s=400)
    kept.wait_until_all_done(tasks)
    wait_until(lambda: not kept.jobs(), "no job left", 60, kept.dump)
    assert {span.split("-")[0] for span in kept.spans()} == {"n1", "n2"}
    gaps_s = kept.gaps_s()
    print(f"{len(kept.slots())} allocations, {len(gaps_s)} gaps: median {statistics.median(gaps_s):.2f} s, "
          f"longest {max(gaps_s):.2f} s")  # fmt: skip
    assert len(kept.slots()) >= 20
    assert max(gaps_s) < 20
