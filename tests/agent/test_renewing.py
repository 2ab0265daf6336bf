"""An agent in a slot of a kept queue, and a way to a cluster that is not there."""

from __future__ import annotations

import shlex
import subprocess
import time
from pathlib import Path

import pytest

from gpu_queue.task import State
from tests.agent.harness import ROOT, Cluster, wait_until

MOON_WAY = (ROOT / "tests/shell_submit/moon.sh").read_text()
NONCE = "0123456789ab"


class Kept:
    """A queue that is kept, and its first allocation, in which an agent may start."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.allocations = Path(cluster.paths.allocations)
        self.moon = cluster.base / "moon"
        self.moon.mkdir()
        ways = cluster.base / "ways"
        ways.mkdir(mode=0o755)
        after = "launch --after '\"${GQ_AFTER:-none}\"' --gpus"
        (ways / "moon").write_text(f"#!/bin/bash\n{MOON_WAY}".replace("launch --gpus", after))
        (ways / "moon").chmod(0o755)
        self.settings = {
            "GPU_QUEUE_SLOT": "1.1",
            "GPU_QUEUE_ALLOCATION": "moon:m1",
            "GPU_QUEUE_RENEW_AFTER": "1s",
            "MOON": str(self.moon),
            "MOON_MOOD": "",
        }
        lines = ("slots 1", "way moon", "gpus 2", "nodes 1", "time 24h", "can_wait 1", f"set GPU_QUEUE_WAYS={ways}")
        (self.allocations / "keep").write_text("".join(f"{line}\n" for line in (*lines, "set SUBMIT_PREFIX=alice")))
        self.allocation("1.1", "m1", NONCE)

    def allocation(self, slot: str, job: str, nonce: str, *more: str) -> None:
        lines = (f"nonce {nonce}", *more, f"submitted {job}")
        (self.allocations / f"slot-{slot}").write_text("".join(f"{line}\n" for line in lines))
        (self.moon / job).write_text(f"running|{nonce}|alice-exp\n")

    def start(
        self, *flags: str, wait: bool = True, settings: dict[str, str] | None = None, **more: str
    ) -> subprocess.Popen[bytes]:
        return self.cluster.start(*flags, env={**self.settings, **(settings or {}), **more}, wait=wait)

    def token(self, slot: str) -> str:
        path = self.allocations / f"slot-{slot}"
        return path.read_text() if path.exists() else ""

    def problems(self) -> str:
        return "\n".join(text for node in self.cluster.nodes() for text in node["problems"])


@pytest.fixture
def kept(cluster: Cluster) -> Kept:
    return Kept(cluster)


def test_an_agent_with_work_has_one_successor_submitted_that_waits_for_its_end(kept: Kept) -> None:
    kept.cluster.submit("sleep 60\n")
    kept.start()
    wait_until(lambda: "\nsubmitted m2\n" in kept.token("1.2"), "a successor", dump=kept.cluster.dump)
    assert "\nfrom 1.1\n" in kept.token("1.2")
    assert (kept.allocations / "slot-1.1.began").exists()
    sent = (kept.cluster.base / "sent-m2").read_text()
    assert sent.startswith("launch --after m1 --gpus 2 ")
    (start,) = kept.allocations.glob("2*/start-*.sh")
    text = start.read_text()
    assert "export GPU_QUEUE_SLOT=1.2\n" in text
    for ours in ("GPU_QUEUE_SIMULATE", "GPU_QUEUE_RENEW_AFTER", "=moon:m1"):
        assert ours not in text  # of the node, and not of what was kept
    wait_until(lambda: "slot 1.2 of the kept queue: Submitted: moon m2" in kept.cluster.dump(), "it is told")
    assert not kept.token("1.3")


def test_where_none_can_wait_for_its_end_a_successor_is_submitted_shortly_before(kept: Kept) -> None:
    keep = kept.allocations / "keep"
    keep.write_text(keep.read_text().replace("can_wait 1\n", ""))
    kept.cluster.submit("sleep 60\n")
    began_s = time.monotonic()
    kept.start("--lifetime", "12s")
    wait_until(lambda: kept.token("1.2"), "a successor", dump=kept.cluster.dump)
    assert time.monotonic() - began_s > 8.0  # of a short lifetime the last quarter
    wait_until((kept.cluster.base / "sent-m2").exists, "it is submitted")
    assert (kept.cluster.base / "sent-m2").read_text().startswith("launch --after none ")


def test_an_agent_without_work_submits_nothing(kept: Kept) -> None:
    kept.cluster.submit("true\n", gpus="99")  # nothing that it could ever run
    kept.start("--lifetime", "6s")
    wait_until(lambda: not kept.cluster.nodes() or kept.cluster.nodes()[0]["state"] == "stopped", "its end")
    assert not kept.token("1.2")


def test_a_node_that_cannot_submit_says_what_to_type_and_serves_on(kept: Kept) -> None:
    kept.cluster.submit("sleep 60\n")
    kept.start(MOON_MOOD="silent")
    wait_until(kept.problems, "a note on its page", dump=kept.cluster.dump)
    assert "the allocations that follow cannot be submitted from" in kept.problems()
    assert "On a machine that can submit: ./submit.sh --keep 1 exp 2" in kept.problems()
    kept.cluster.wait_for(kept.cluster.submit("true\n", gpus="1"), "done")
    assert not kept.token("1.2")


def test_it_is_told_that_the_hour_has_seen_enough(kept: Kept) -> None:
    for generation in (2, 3):
        (kept.allocations / f"slot-1.{generation}").write_text(f"nonce {generation * 12:012}\nrefused 1\n")
    kept.cluster.submit("sleep 60\n")
    kept.start()
    wait_until(kept.problems, "a note on its page", dump=kept.cluster.dump)
    assert (
        "no allocation is submitted now: submissions came to nothing, or the hour has seen enough" in kept.problems()
    )
    assert not kept.token("1.4")


def test_a_scheduler_that_hangs_hinders_nothing(kept: Kept) -> None:
    hangs = kept.cluster.base / "hangs"
    way = kept.cluster.base / "ways" / "moon"
    way.write_text(
        way.read_text().replace("  states)\n", f"  states)\n    touch {shlex.quote(str(hangs))}; sleep 600\n")
    )
    kept.cluster.submit("sleep 60\n", gpus="1")
    agent = kept.start()
    wait_until(hangs.exists, "a question", dump=kept.cluster.dump)
    kept.cluster.wait_for(kept.cluster.submit("true\n", gpus="1"), "done")
    agent.terminate()
    assert agent.wait(15) == 0


def test_a_successor_of_a_queue_that_is_kept_no_longer_ends_at_once(kept: Kept) -> None:
    kept.allocation("1.2", "m2", "f" * 12, "from 1.1")
    (kept.allocations / "keep").unlink()
    agent = kept.start(GPU_QUEUE_SLOT="1.2", GPU_QUEUE_ALLOCATION="moon:m2", wait=False)
    assert agent.wait(20) == 0
    assert "the queue is kept no longer" in kept.cluster.dump()


def test_a_successor_that_cannot_read_keep_serves(kept: Kept) -> None:
    kept.allocation("1.2", "m2", "f" * 12, "from 1.1")
    (kept.allocations / "keep").write_text("slots\n")  # somebody is at it
    kept.start(settings={"GPU_QUEUE_SLOT": "1.2", "GPU_QUEUE_ALLOCATION": "moon:m2"})
    kept.cluster.wait_for(kept.cluster.submit("sleep 1\n"), "done")
    wait_until(lambda: "the queue is not kept" in kept.problems(), "a note on its page", dump=kept.cluster.dump)


def test_a_successor_that_finds_no_work_ends_and_one_that_finds_some_stays(kept: Kept) -> None:
    kept.allocation("1.2", "m2", "f" * 12, "from 1.1")
    slot = {"GPU_QUEUE_SLOT": "1.2", "GPU_QUEUE_ALLOCATION": "moon:m2"}
    agent = kept.start("--lifetime", "8s", settings=slot, wait=False)
    assert agent.wait(20) == 0
    assert "there is none: it ends" in kept.cluster.dump()
    task = kept.cluster.submit("sleep 3\n")
    kept.start("--lifetime", "8s", settings=slot)
    kept.cluster.wait_for(task, "done")


def test_a_successor_stays_while_another_node_has_what_may_come_back(kept: Kept) -> None:
    task = kept.cluster.submit("true\n")
    dead = Path(kept.cluster.paths.running("n9-01234567"))
    dead.mkdir()
    Path(kept.cluster.paths.directory(State.PENDING), f"500-{task}").rename(dead / f"500-{task}.try1.abcdef")
    kept.allocation("1.2", "m2", "f" * 12, "from 1.1")
    slot = {"GPU_QUEUE_SLOT": "1.2", "GPU_QUEUE_ALLOCATION": "moon:m2"}
    agent = kept.start("--lifetime", "6s", settings=slot, wait=False)
    assert agent.wait(20) == 0
    assert "there is none: it ends" not in kept.cluster.dump()
    assert "lifetime is over" in kept.cluster.dump()


def test_three_that_ended_before_an_agent_served_are_the_last(kept: Kept) -> None:
    for number, job in ((2, "m2"), (3, "m3"), (4, "m4")):
        kept.allocation(f"1.{number}", job, f"{number}" * 12, "from 1.1")
        (kept.moon / job).write_text(f"ended|{str(number) * 12}|alice-exp\n")
    kept.cluster.submit("sleep 60\n")
    kept.start(GPU_QUEUE_RENEW_PER_HOUR="50")
    wait_until((kept.allocations / "keep-paused").exists, "it gives up", dump=kept.cluster.dump)
    assert "3 allocations ended before an agent served" in (kept.allocations / "keep-paused").read_text()
    assert not (kept.allocations / "keep").exists()
    assert not kept.token("1.5")
