"""gpu_wait and gpu_tail: they end by themselves, and their status tells how the tasks ended."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Callable

import pytest

from gpu_queue.reasons import Code, reason
from gpu_queue.spool.pages import WaitPage
from tests.shell.helpers import Shell, Spool, end, read_until, wait_until

NODE = "n1-00000001"


def test_wait_without_names_waits_for_all_that_is_there(shell: Shell, spool: Spool) -> None:
    waiting, running = spool.add("pending", "a.sh"), spool.add(f"running/{NODE}", "b.sh")
    spool.add("failed", "old.sh")
    process = shell.start("gpu_wait")
    assert process.stderr is not None
    assert process.stderr.readline() == "waiting for 2 tasks\n"
    spool.move(running, f"running/{NODE}", "done")
    read_until(process, f"done {running}")
    spool.move(waiting, "pending", f"running/{NODE}")
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)
    spool.move(waiting, f"running/{NODE}", "done")
    read_until(process, f"done {waiting}")
    assert process.wait(30) == 0
    process.communicate()


def test_wait_tells_that_one_failed(shell: Shell, spool: Spool) -> None:
    good, bad = spool.add("done", "good.sh"), spool.add("failed", "bad.sh")
    said = shell.run("gpu_wait good bad")
    assert (said.status, sorted(said.lines)) == (1, sorted([f"done {good}", f"failed {bad}"]))
    assert shell.ok("gpu_wait good").lines == [f"done {good}"]
    assert shell.ok("gpu_wait").lines == []


def test_wait_follows_a_task_whose_priority_changes(shell: Shell, spool: Spool) -> None:
    full = spool.add("pending", "a.sh")
    process = shell.start("gpu_wait a.sh")
    assert process.stderr is not None
    assert process.stderr.readline() == "waiting for 1 task\n"
    renamed = f"001-{full[4:]}"
    (spool.path / "pending" / full).rename(spool.path / "pending" / renamed)
    spool.move(renamed, "pending", "done")
    read_until(process, "done ")
    assert process.wait(30) == 0
    process.communicate()


def test_wait_says_what_it_cannot_wait_for(shell: Shell, spool: Spool) -> None:
    (spool.path / "pending" / "drop.sh").write_text("true\n")
    assert "has no id before it runs" in shell.run("gpu_wait drop").err
    assert "dropped by hand" in shell.ok("gpu_wait").err


def test_wait_gives_up_in_time(shell: Shell, spool: Spool) -> None:
    spool.add("pending", "a.sh")
    said = shell.run("gpu_wait --timeout 0s")
    assert (said.status, len(said.err.splitlines())) == (124, 2)
    assert shell.run("gpu_wait --timeout soon").status == 2


def test_tail_waits_for_the_log_follows_it_and_ends_with_the_task(shell: Shell, spool: Spool) -> None:
    full = spool.add("pending", "train.sh")
    process = shell.start("gpu_tail train")
    assert process.stderr is not None
    assert "train.sh" in process.stderr.readline()
    assert "it waits" in process.stderr.readline()
    spool.move(full, "pending", f"running/{NODE}")
    log = spool.log(full, "one\n")
    read_until(process, "one\n")
    with log.open("a") as out:
        out.write("two\n")
    read_until(process, "two\n")
    with log.open("a") as out:
        out.write("three")
    spool.move(full, f"running/{NODE}", "done")
    out_text, _ = process.communicate(timeout=30)
    assert (process.returncode, out_text) == (0, "three")


def test_tail_says_why_a_task_waits_and_again_when_the_reason_changes(shell: Shell, spool: Spool) -> None:
    full = spool.add("pending", "train.sh")
    process = shell.start("gpu_tail train")
    assert process.stderr is not None
    assert process.stderr.readline() == "train.sh (abc001)\n"
    assert process.stderr.readline() == "it waits: no agent is alive; start one with ./submit.sh exp 1\n"
    spool.node(NODE, waiting=(WaitPage(full, reason(Code.BACKOFF, failures=1, left_s=30)),))
    assert process.stderr.readline() == "it waits: failed once; tried again in 30s\n"
    spool.node(NODE, waiting=(WaitPage(full, reason(Code.BACKOFF, failures=1, left_s=5)),))
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(4)
    spool.move(full, "pending", "done")
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")


@pytest.mark.parametrize("is_served", [False, True])
def test_tail_says_once_that_nobody_can_say_why_a_task_waits(shell: Shell, spool: Spool, is_served: bool) -> None:
    full = spool.add("pending", "train.sh")
    if is_served:
        spool.node(NODE)
    process = shell.start("gpu_tail train")
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(4)
    spool.move(full, "pending", "done")
    _, err = process.communicate(timeout=30)
    said = "its log will follow" if is_served else "no agent is alive; start one with ./submit.sh exp 1"
    assert err == f"train.sh (abc001)\nit waits: {said}\n"


def test_tail_of_a_failed_task_shows_the_end_and_fails(shell: Shell, spool: Spool) -> None:
    full = spool.add("failed", "train.sh")
    spool.log(full, "".join(f"line {number}\n" for number in range(100)))
    said = shell.run("gpu_tail")
    assert (said.status, said.lines) == (1, [f"line {number}" for number in range(90, 100)])
    assert "has failed" in said.err


def test_tail_goes_on_with_the_next_try(shell: Shell, spool: Spool) -> None:
    full = spool.add(f"running/{NODE}", "train.sh")
    spool.log(full, "first\n")
    process = shell.start("gpu_tail train")
    read_until(process, "first\n")
    spool.log(full, "second\n", ".try2.abcdef")
    read_until(process, "second\n")
    end(process)


def test_tail_ends_with_ctrl_c_and_leaves_no_process(shell: Shell, spool: Spool) -> None:
    full = spool.add(f"running/{NODE}", "train.sh")
    spool.log(full, "first\n")
    process = shell.start("gpu_tail train")
    read_until(process, "first\n")
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode != 0

    def gone() -> bool:
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return True
        return False

    wait_until(gone)


def test_a_task_that_is_named_twice_is_waited_for_once(shell: Shell, spool: Spool) -> None:
    full = spool.add("done", "a.sh")
    said = shell.ok(f"gpu_wait {full} a {full[4:]} {full[23:29]}")
    assert (said.lines, said.err) == ([f"done {full}"], "waiting for 1 task\n")


def test_wait_lists_what_has_ended_once_for_many_tasks(shell: Shell, spool: Spool) -> None:
    """Not once for each: done/ may be huge."""
    names = [spool.add("done" if number % 50 else "failed") for number in range(300)]
    shell.hostile = False
    script = f"""
eval "$(typeset -f __gpu_tasks | \\command sed 's/^__gpu_tasks/__gpu_listing/')"
__gpu_tasks() {{ echo x >>{shlex.quote(str(shell.home))}/listings; __gpu_listing "$@"; }}
gpu_wait {" ".join(names)}
"""
    said = shell.run(script)
    ends = [f"{'done' if number % 50 else 'failed'} {full}" for number, full in enumerate(names)]
    assert (said.status, said.lines) == (1, ends)
    assert len((shell.home / "listings").read_text().split()) < 20


@pytest.fixture
def slept(shell: Shell) -> Callable[[], list[str]]:
    """What ``sleep`` was told, in a shell to which ``$FILESYSTEM`` is the spool's."""
    bin_ = shell.home / "bin"
    bin_.mkdir()
    log = shell.home / "slept"
    programs = {
        "sleep": f'echo "$1" >>{shlex.quote(str(log))}\nexec "{shutil.which("sleep")}" "$@"',
        "stat": f'[ "$1" != -f ] || {{ echo "$FILESYSTEM"; exit; }}\nexec "{shutil.which("stat")}" "$@"',
    }
    for name, body in programs.items():
        (bin_ / name).write_text(f"#!/bin/sh\n{body}\n")
        (bin_ / name).chmod(0o700)
    return lambda: log.read_text().split() if log.exists() else []


def start_on(shell: Shell, filesystem: str, script: str) -> subprocess.Popen[str]:
    path = f"{shell.home}/bin:{os.environ['PATH']}"
    return shell.start(script, PATH=path, FILESYSTEM=filesystem)


@pytest.mark.parametrize("verb", ["gpu_wait a.sh", "gpu_tail a.sh"])
@pytest.mark.parametrize(("state", "status"), [("done", 0), ("failed", 1)])
def test_on_a_local_disk_an_end_is_seen_without_a_sleep(
    shell: Shell, spool: Spool, slept: Callable[[], list[str]], verb: str, state: str, status: int
) -> None:
    full = spool.add(f"running/{NODE}", "a.sh")
    process = start_on(shell, "ext2/ext3", verb)
    assert process.stderr is not None
    process.stderr.readline()
    spool.move(full, f"running/{NODE}", state)
    process.communicate(timeout=10)
    assert (process.returncode, slept()) == (status, [])


@pytest.mark.parametrize("verb", ["gpu_wait a.sh", "gpu_tail a.sh"])
def test_on_a_network_filesystem_it_sleeps_between_two_listings(
    shell: Shell, spool: Spool, slept: Callable[[], list[str]], verb: str
) -> None:
    full = spool.add(f"running/{NODE}", "a.sh")
    process = start_on(shell, "nfs", verb)
    wait_until(lambda: slept()[:2] == ["0.2", "0.5"])
    spool.move(full, f"running/{NODE}", "done")
    process.communicate(timeout=10)
    assert process.returncode == 0


def test_each_of_many_ends_is_told_once(shell: Shell, spool: Spool, slept: Callable[[], list[str]]) -> None:
    names = [spool.add(f"running/{NODE}") for _ in range(50)]
    process = start_on(shell, "tmpfs", "gpu_wait")
    assert process.stderr is not None
    assert process.stderr.readline() == "waiting for 50 tasks\n"
    for number, full in enumerate([*names[1::2], *names[::2]]):
        spool.move(full, f"running/{NODE}", "done" if number % 7 else "failed")
    out, _ = process.communicate(timeout=10)
    assert process.returncode == 1
    assert sorted(line.split()[1] for line in out.splitlines()) == sorted(names)
    assert slept() == []


def test_a_task_that_comes_back_to_pending_and_is_renamed_is_waited_for(
    shell: Shell, spool: Spool, slept: Callable[[], list[str]]
) -> None:
    full = spool.add(f"running/{NODE}", "a.sh")
    process = start_on(shell, "tmpfs", "gpu_wait a.sh")
    assert process.stderr is not None
    process.stderr.readline()
    spool.move(full, f"running/{NODE}", "pending")
    renamed = f"001-{full[4:]}"
    (spool.path / "pending" / full).rename(spool.path / "pending" / renamed)
    spool.move(renamed, "pending", f"running/{NODE}")
    spool.move(renamed, f"running/{NODE}", "done")
    out, _ = process.communicate(timeout=10)
    assert (process.returncode, out) == (0, f"done {renamed}\n")


def test_wait_ends_with_ctrl_c(shell: Shell, spool: Spool, slept: Callable[[], list[str]]) -> None:
    spool.add("pending", "a.sh")
    process = start_on(shell, "tmpfs", "gpu_wait")
    assert process.stderr is not None
    process.stderr.readline()
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode != 0


def test_wait_gives_up_a_task_that_is_nowhere(shell: Shell, spool: Spool) -> None:
    full = spool.add("failed", "a.sh")
    (spool.path / "failed" / full).unlink()
    said = shell.run(f"gpu_wait {full}")
    assert (said.status, said.out) == (1, "")
    assert said.err.splitlines()[1:] == [f"{full[4:]}: it is in no directory of the queue any more"]
