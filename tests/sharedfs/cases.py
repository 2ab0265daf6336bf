"""What is tried on every filesystem: each case fails, or says in a few words what came out.

All times are of one clock: both nodes are this machine, only their mounts, and what lies behind them, are two.
"""

from __future__ import annotations

import os
import shlex
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gpu_queue.agent.main import EXIT_FORCED
from tests.agent.harness import wait_until
from tests.sharedfs.faults import KernelNfs
from tests.sharedfs.pair import FENCE_S, FENCING, QUICK, TAKEOVER_S, Pair

PROMISED_S = 60.0
"""So long a task may wait for its pick-up on any filesystem."""


class NotHere(Exception):
    """This filesystem cannot be broken in this way."""


def race(pair: Pair, count: int) -> str:
    """Two agents take the tasks of one submission: each runs once."""
    scripts = " ".join(pair.script(f"t{number:03d}.sh").name for number in range(count))
    names = [*pair.gpu("b", f"gpu_submit {scripts}", 300)]
    assert len(names) == count
    for side in ("a", "b"):  # both find all of them waiting, and take them in the same order
        pair.launch(side, **QUICK, GPU_QUEUE_CPU_SLOTS="8")
    wait_until(lambda: len(pair.names("done")) >= count, f"{count} done tasks", 60 + count, pair.dump)
    return pair.each_ran_once(names)


def long_race(pair: Pair) -> str:
    """Two agents take a few hundred tasks: each runs once."""
    return race(pair, 300)


def short_race(pair: Pair) -> str:
    """Two agents take some tasks: each runs once."""
    return race(pair, 60)


def _expect_lost_reply(pair: Pair) -> None:
    if not pair.faults.loses_replies:
        raise NotHere("the server cannot be made to forget a reply")
    pair.faults.give_no_delegations()


def _lost_reply(pair: Pair, reached: Path, done_when: Callable[[], bool]) -> str:
    """Have the server do what is asked next, and lose its reply and its memory of it; returns the client's error."""
    wait_until(reached.exists, "the step before the rename", 60, pair.dump)
    pair.faults.lose_replies("a")
    reached.with_suffix(".go").touch()
    try:
        wait_until(done_when, "the server's part", 60, pair.dump)
    finally:
        pair.faults.restart_server("a")
    error = reached.with_suffix(".errno")
    wait_until(lambda: error.exists() and error.read_text(), "the end of the rename", 120, pair.dump)
    return error.read_text().strip()


def _one_task(pair: Pair, side: str, body: str = "", name: str = "one.sh", gpus: int = 0) -> str:
    pair.script(name, body, gpus)
    (full,) = pair.gpu(side, f"gpu_submit {name}")
    return full[4:]


def lost_claim(pair: Pair) -> str:
    """The server renames a task for an agent, which hears "no such file": the agent finds out, and it runs once."""
    _expect_lost_reply(pair)
    pair.start("a", hook="running", **QUICK)
    task = _one_task(pair, "b")
    error = _lost_reply(pair, pair.scratch / "hook.reached", lambda: bool(pair.names("running")))
    pair.wait_for(task, "done", 120)
    pair.each_ran_once([f"500-{task}"])
    return f"{error} for a done rename; ran once"


def lost_settling(pair: Pair) -> str:
    """The same with the rename that moves an ended task to done/."""
    _expect_lost_reply(pair)
    pair.start("a", hook="done", **QUICK)
    task = _one_task(pair, "b")
    error = _lost_reply(pair, pair.scratch / "hook.reached", lambda: bool(pair.names("done")))
    wait_until(lambda: "succeeded" in pair.said_by("a").read_text(), "the agent's word", 120, pair.dump)
    pair.each_ran_once([f"500-{task}"])
    return f"{error} for a done rename; ran once"


def lost_submission(pair: Pair) -> str:
    """The same with the rename by which gpu_submit publishes: it says that the task is queued, and it is, once."""
    _expect_lost_reply(pair)
    pair.start("a", **QUICK)
    bin_directory = pair.scratch / "bin"
    bin_directory.mkdir()
    hook = pair.scratch / "hook"
    wrapper = bin_directory / "mv"
    wrapper.write_text(
        '#!/bin/sh\ncase "$*" in\n*" pending/5"*)\n'
        f"""for last; do stat "$last" "${{last%/*}}"; done >/dev/null 2>&1; touch {hook}.reached\n"""
        f"until [ -e {hook}.go ]; do sleep 0.1; done ;;\nesac\n"
        f'/bin/mv "$@" 2>{hook}.said\nstatus=$?\n'
        f"if [ $status -eq 0 ]; then echo none; else sed 's/.*: //' {hook}.said; fi >{hook}.errno\nexit $status\n"
    )
    wrapper.chmod(0o755)
    pair.script("one.sh")
    # The agent must not take it before the server is restarted: what is tried is the client's look at pending/.
    pair.gpu("b", "gpu_pause")
    submit = pair.client("a", "gpu_submit one.sh", PATH=f"{bin_directory}:{os.environ['PATH']}")
    error = _lost_reply(pair, pair.scratch / "hook.reached", lambda: bool(pair.names("pending")))
    out, err = submit.communicate(timeout=120)
    assert submit.returncode == 0, f"{out}{err}"
    pair.gpu("b", "gpu_resume")
    pair.wait_for(out.strip()[4:], "done", 120)
    pair.each_ran_once([out.strip()])
    return f"{error} for a done rename; ran once"


def _growing(path: Path) -> Callable[[], bool]:
    """Whether a file has grown since this was asked last, or for the first second."""
    seen = [-1]

    def grown() -> bool:
        size = path.stat().st_size if path.exists() else 0
        before, seen[0] = seen[0], size
        return size > before >= 0

    return grown


ENDLESS = """import os, sys, threading, time
def talk():
    while True:
        print("step", flush=True)
        time.sleep(0.2)
threading.Thread(target=talk, daemon=True).start()
while not os.path.exists({finish!r}):
    open({alive!r}, "a").write("x")
    time.sleep(0.5)
os._exit(0)
"""
"""Prints into its log all the while, as a training does, and lives on where that hangs with the server."""


def _endless(pair: Pair, name: str) -> tuple[str, Path, Path]:
    """The body of a task that says each half second, on the local disk, that it lives, until it is let go."""
    alive, finish, program = (pair.scratch / f"{word}-{name}" for word in ("alive", "finish", "program"))
    program.write_text(ENDLESS.format(alive=str(alive), finish=str(finish)))
    return f"exec {shlex.quote(sys.executable)} {shlex.quote(str(program))}", alive, finish


def _stopped_growing(path: Path, still_s: float = 3.0) -> Callable[[], bool]:
    state = [path.stat().st_size, time.monotonic()]

    def stopped() -> bool:
        size = path.stat().st_size
        if size != state[0]:
            state[:] = [size, time.monotonic()]
        return time.monotonic() - state[1] >= still_s

    return stopped


def partition(pair: Pair) -> str:
    """A node is cut off for longer than the fence: its task ends itself; when it is back, the task is run again."""
    body, alive, finish = _endless(pair, "one")
    pair.start("a", **QUICK, **FENCING)
    task = _one_task(pair, "a", body)
    wait_until(alive.exists, "the task's start", 60, pair.dump)
    started = time.monotonic()
    pair.faults.cut("a")
    wait_until(_stopped_growing(alive), "the task's end by its fence", FENCE_S + 40, pair.dump)
    fenced_s = time.monotonic() - started - 3.0
    assert fenced_s < FENCE_S + 12, f"the fence took {fenced_s:.0f} s"
    pair.wait_for_words("a", "has not answered", 30)
    pair.faults.heal("a")
    wait_until(lambda: len(pair.starts(task)) == 2, "the second start", 150, pair.dump)
    finish.touch()
    pair.wait_for(task, "done", 60)
    assert len(pair.starts(task)) == 2
    return f"fence of {FENCE_S:.0f} s: ended after {fenced_s:.0f} s, run again when the node was back"


def takeover(pair: Pair) -> str:
    """A node is cut off for good: its task ends itself first, then a peer takes it over; the two never overlap."""
    body, alive, finish = _endless(pair, "one")
    pair.start("a", **QUICK, **FENCING)
    task = _one_task(pair, "b", body)
    wait_until(alive.exists, "the task's start", 60, pair.dump)
    pair.start("b", **QUICK, **FENCING)
    started = time.monotonic()
    pair.faults.cut("a")
    wait_until(_stopped_growing(alive), "the task's end by its fence", FENCE_S + 40, pair.dump)
    fenced_s = time.monotonic() - started - 3.0
    wait_until(lambda: len(pair.starts(task)) == 2, "the takeover", TAKEOVER_S + 90, pair.dump)
    taken_s = time.monotonic() - started
    assert taken_s > fenced_s + 3
    assert pair.starts(task)[1][1].startswith("b"), pair.dump()
    pair.faults.heal("a")
    finish.touch()
    pair.wait_for(task, "done", 150)
    pair.wait_for_words("a", "answers again", 120)
    watched_until = time.monotonic() + 5  # the node that is back must not touch what is no longer its own
    wait_until(lambda: time.monotonic() > watched_until, "a few seconds")
    assert (pair.where(task), len(pair.starts(task))) == (["done"], 2), pair.dump()
    return (
        f"ended itself after {fenced_s:.0f} s, taken over after {taken_s:.0f} s (takeover_after {TAKEOVER_S:.0f} s)"
    )


def pick_up(pair: Pair) -> str:
    """What is submitted on one node is started on another; measured from gpu_submit's end, all settings default."""
    pair.start("a")
    delays = []
    for number in range(6):
        task = _one_task(pair, "b", name=f"t{number}.sh")
        submitted = time.time()
        wait_until(partial(pair.starts, task), "its start", PROMISED_S + 30, pair.dump)
        delays.append(max(0.0, pair.starts(task)[0][2] - submitted))
    assert max(delays) < PROMISED_S
    return f"{statistics.median(delays):.1f} s, at most {max(delays):.1f} s"


def tail(pair: Pair) -> str:
    """What a task prints reaches gpu_tail on the other node; all settings default."""
    pair.start("a")
    # One long process, as a training is: a script's short ones push its log to the server each time that one ends.
    talk = pair.scratch / "talk.py"
    talk.write_text(
        "import time\nfor i in range(70):\n    print('at', time.time(), flush=True)\n    time.sleep(0.5)\n"
    )
    task = _one_task(pair, "a", f"exec {shlex.quote(sys.executable)} {shlex.quote(str(talk))}", "talk.sh")
    wait_until(lambda: pair.starts(task), "its start", PROMISED_S, pair.dump)
    process = pair.client("b", "gpu_tail talk")
    assert process.stdout is not None
    delays = []
    for line in process.stdout:
        word, _, moment = line.strip().partition(" ")
        if word == "at":
            delays.append(time.time() - float(moment))
    process.wait(30)
    # The first lines were printed before gpu_tail was asked.
    delays = delays[10:]
    assert len(delays) > 20, f"{len(delays)} lines\n{pair.dump()}"
    # The agent pushes what is printed; what a reader's own client keeps is not in its hand (MooseFS: half a minute).
    limit_s = 10.0 if isinstance(pair.faults, KernelNfs) else PROMISED_S
    assert max(delays) < limit_s, f"{sorted(delays)[-5:]}"
    return f"{statistics.median(delays):.1f} s, at most {max(delays):.1f} s"


def hung_server(pair: Pair) -> str:
    """The server hangs: agents say so, one answers SIGTERM and stops its task, the other goes on when it is over."""
    tasks, lives, ends = {}, {}, {}
    for side in ("a", "b"):
        body, lives[side], ends[side] = _endless(pair, side)
        pair.start(side, **QUICK)
        tasks[side] = _one_task(pair, side, body, f"on-{side}.sh", gpus=2)  # a node has two
        wait_until(lives[side].exists, "the task's start", 60, pair.dump)
    stopped_at = time.monotonic()
    pair.faults.stop_server()
    for side in ("a", "b"):
        pair.wait_for_words(side, "has not answered", 40)
    said_s = time.monotonic() - stopped_at
    pair.agents["a"].send_signal(signal.SIGTERM)
    terminated = time.monotonic()
    wait_until(_stopped_growing(lives["a"]), "the end of the task that is stopped", 30, pair.dump)
    pair.wait_for_words("a", "left before the shared storage answered", 40)
    left_s = time.monotonic() - terminated
    try:
        pair.agents["a"].wait(5)
        remark = ""
    except subprocess.TimeoutExpired:
        remark = " (the kernel keeps its process until the server answers)"  # a call that FUSE's daemon has taken
    wait_until(_growing(lives["b"]), "a sign of life of the task that goes on", 10, pair.dump)
    hung_s = time.monotonic() - stopped_at
    pair.faults.go_on()
    assert pair.agents["a"].wait(150) == EXIT_FORCED, pair.dump()
    pair.wait_for_words("b", "answers again", 150)
    for finish in ends.values():
        finish.touch()
    pair.start("a", **QUICK)  # what its predecessor could not move on
    for task in tasks.values():
        pair.wait_for(task, "done", 150)
    answered = f"said after {said_s:.0f} s, SIGTERM answered in {left_s:.0f} s{remark}"
    return f"hung {hung_s:.0f} s: {answered}, all done afterwards"


def trickle(pair: Pair) -> str:
    """Tasks come at 0.11 s steps, several in one tick of the server's clock: no listing stays stuck."""
    pair.start("a", "--poll", "0.1s")  # alone: what it lists comes from the other mount
    published = []
    late = []
    for _ in range(3):
        batch = []
        for number in range(14):
            batch.append((pair.publish("b", f"t{number}.sh"), time.time()))
            time.sleep(0.11)  # the step that is tried
        published += batch
        wait_until(lambda: not pair.names("pending"), "an empty pending/", PROMISED_S + 40, pair.dump)
    wait_until(lambda: len(pair.names("done")) == len(published), "all tasks", PROMISED_S, pair.dump)
    for task, moment in published:
        late.append(pair.starts(task)[0][2] - moment)
    shared = pair.each_ran_once([f"500-{task}" for task, _ in published])
    return f"{shared}; picked up after {max(late):.1f} s at most"


def one_client_id(pair: Pair) -> str:
    """Both nodes present one NFS client id, as cloned machines do: each task runs once."""
    return race(pair, 60)


@dataclass(frozen=True)
class Case:
    """One row of the table."""

    name: str
    call: Callable[[Pair], str]
    limit_s: float = 300.0
    """Of patience, should a case hang where it has no deadline of its own."""


CASES = {
    "race": Case("claim race", long_race, 900.0),
    "short-race": Case("claim race, short", short_race),
    "lost-claim": Case("lost reply of a claim", lost_claim),
    "lost-settling": Case("lost reply of the move to done/", lost_settling),
    "lost-submission": Case("lost reply of gpu_submit's rename", lost_submission),
    "pick-up": Case("pick-up of a gpu_submit on the other mount", pick_up),
    "tail": Case("gpu_tail on the other mount", tail),
    "hung-server": Case("hung server", hung_server),
    "partition": Case("cut off for longer than the fence", partition),
    "takeover": Case("takeover of a node that was cut off", takeover, 600.0),
    "one-client-id": Case("one client id for two nodes", one_client_id),
    "trickle": Case("one-second timestamps", trickle),
}
