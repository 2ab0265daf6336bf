"""Process trees by their marker."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpu_queue.execution import processes
from gpu_queue.execution.processes import (
    Ending,
    Process,
    claim_of,
    find_marked,
    find_try,
    may_have_leftovers,
    newer_than,
    read_process,
    send,
    start_of,
)
from tests.execution.helpers import Bench, is_gone, wait_until

CLAIM = f"/run/a b\n'c/500-x.try1.{secrets.token_hex(3)}"


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[bytes]]]:
    children: list[subprocess.Popen[bytes]] = []
    yield children
    for child in children:
        child.kill()
        child.wait()


def spawn(
    started: list[subprocess.Popen[bytes]], *words: str, claim: str | None = CLAIM, session: bool = False
) -> int:
    environment = {"PATH": os.environ["PATH"], "Z_LAST": "1"} | ({"GPU_QUEUE_CLAIM": claim} if claim else {})
    child = subprocess.Popen(words, env=environment, start_new_session=session)
    started.append(child)
    return child.pid


def end(ending: Ending) -> None:
    wait_until(lambda: ending.step(time.monotonic()))


def test_only_this_claim_is_found(started: list[subprocess.Popen[bytes]]) -> None:
    mine = spawn(started, "sleep", "60")
    for other in (CLAIM + "0", CLAIM + "/x", f"{CLAIM[:-1]}g", CLAIM.upper(), "", None):
        spawn(started, "sleep", "60", claim=other)
    spawn(started, "tail", "-f", "--", "/dev/null", CLAIM, claim=None)
    wait_until(lambda: claim_of(mine) == CLAIM)
    assert [one.pid for one in find_marked(CLAIM)] == [mine]


def test_a_zombie_is_not_alive(started: list[subprocess.Popen[bytes]]) -> None:
    pid = spawn(started, "true")
    wait_until(lambda: (row := read_process(pid)) and row.state == "Z")
    assert find_try(CLAIM, pid) == []


def test_what_dropped_its_environment_is_found_by_session_or_parent(started: list[subprocess.Popen[bytes]]) -> None:
    in_session = spawn(started, "sleep", "60", claim=None, session=True)
    script = "env -i setsid sleep 60 & wait"
    parent = spawn(started, "bash", "-c", script)
    wait_until(lambda: any(one.parent == parent and one.name == "sleep" for one in find_try(CLAIM, 0)))
    assert parent in {one.pid for one in find_try(CLAIM, 0)}
    leader = spawn(started, "bash", "-c", "sleep 60 & wait", claim=None, session=True)
    wait_until(lambda: find_try("/no/such", leader))
    assert all(one.session == leader and one.pid != leader for one in find_try("/no/such", leader))
    assert in_session not in {one.pid for one in find_try("/no/such", leader)}
    end(Ending(CLAIM, grace_s=5))
    end(Ending("/no/such", leader, grace_s=5))


def test_a_name_with_parentheses_and_newlines_is_read_right(tmp_path: Path) -> None:
    program = tmp_path / ") R 1\n1 (x"
    program.symlink_to("/bin/sleep")
    child = subprocess.Popen([str(program), "60"])
    try:
        wait_until(lambda: (row := read_process(child.pid)) and row.name == program.name)
        row = read_process(child.pid)
        assert row is not None
        assert row.parent == os.getpid()
    finally:
        child.kill()
        child.wait()


def test_a_signal_goes_only_to_the_process_that_was_meant(started: list[subprocess.Popen[bytes]]) -> None:
    pid = spawn(started, "sleep", "60")
    row = read_process(pid)
    assert row is not None
    later = Process(pid, row.start_ticks + 1, row.parent, row.session, row.state, row.name)
    assert not send(later, signal.SIGKILL)
    assert not is_gone(pid)
    assert send(row, signal.SIGKILL)
    started[0].wait()
    assert not send(row, signal.SIGKILL)
    assert start_of(pid) is None


def test_the_same_without_pidfds(started: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(pid: int, flags: int = 0) -> int:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(os, "pidfd_open", missing)
    test_a_signal_goes_only_to_the_process_that_was_meant(started)


def test_an_ending_says_at_once_that_nothing_is_left() -> None:
    ending = Ending("/nobody/500-y.try1.abcdef")
    end(ending)
    assert ending.ended == 0


def test_an_ending_terms_once_then_kills_what_does_not_hear(
    started: list[subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    heard = tmp_path / "heard"
    spawn(started, "bash", "-c", f"trap 'echo term >>{heard}' TERM; while :; do sleep 0.02; done")
    wait_until(lambda: b"trap" in Path(f"/proc/{started[0].pid}/cmdline").read_bytes())
    wait_until(lambda: int(field(started[0].pid, "SigCgt"), 16) & 1 << signal.SIGTERM - 1)
    ending = Ending(CLAIM, grace_s=100)
    wait_until(lambda: not ending.step(0.0) and heard.exists())
    assert not ending.step(99.0)
    assert heard.read_text() == "term\n"
    wait_until(lambda: ending.step(100.0))
    assert started[0].wait() == -signal.SIGKILL
    assert ending.ended >= 1


def field(pid: int, name: str) -> str:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.split(":")[1].strip() for line in lines if line.startswith(name))


def test_an_ending_catches_what_is_forked_while_it_ends(started: list[subprocess.Popen[bytes]]) -> None:
    spawn(started, "bash", "-c", "trap 'sleep 60 & sleep 60 & exit' TERM; while :; do sleep 0.02; done")
    wait_until(lambda: int(field(started[0].pid, "SigCgt"), 16) & 1 << signal.SIGTERM - 1)
    end(Ending(CLAIM, grace_s=5))
    assert find_try(CLAIM, 0) == []


def test_a_process_that_does_not_let_itself_be_read_hinders_the_end_of_no_other(
    started: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger, mine = spawn(started, "sleep", "60"), spawn(started, "sleep", "60")
    pipe = os.pipe()
    claim_of = processes.claim_of

    def asked(pid: int) -> str | None:
        if pid == stranger:
            os.read(pipe[0], 1)
        return claim_of(pid)

    monkeypatch.setattr(processes, "claim_of", asked)
    ending, beside = Ending(CLAIM), Ending(CLAIM)
    wait_until(lambda: ending.step(time.monotonic()) or is_gone(mine) or beside.step(time.monotonic()))
    assert is_gone(mine), "of those that come before and after"
    assert not ending.step(time.monotonic()), "it may be of this try: unknown is not gone"
    os.close(pipe[1])
    end(ending)
    assert is_gone(stranger), "it was"
    os.close(pipe[0])


def test_a_short_try_needs_a_look_at_the_newer_pids_only(
    started: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = spawn(started, "sleep", "60"), spawn(started, "sleep", "60")
    among = newer_than(old, 0.1)
    assert among is None or (new in among and old not in among)
    assert newer_than(old, 60.0) is None, "pids may have come round"
    assert newer_than(1 << 29, 0.1) is None, "they have come round"


def test_what_has_a_high_pid_from_before_they_came_round_is_not_newer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "pids", lambda: [1, 90, 101, 102, 30000])
    monkeypatch.setattr(processes, "_last_pid", lambda: 110)
    assert newer_than(100, 0.1) == [101, 102]


def test_only_what_was_started_since_and_belongs_to_nobody_may_be_left_of_a_short_try(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there: dict[int, Process] = {}
    last = [105]
    monkeypatch.setattr(processes, "_last_pid", lambda: last[0])
    monkeypatch.setattr(processes, "read_process", there.get)
    there[102] = Process(102, 1, 1, 102, "S", "sh")
    there[103] = Process(103, 1, 102, 102, "S", "its script")
    there[104] = Process(104, 1, 1, 100, "Z", "over")
    there[30000] = Process(30000, 1, 1, 1, "S", "older, from before the pids came round")
    assert not may_have_leftovers(100, 0.1, {102})
    assert may_have_leftovers(100, 0.1, set())
    assert may_have_leftovers(100, 60.0, {102}), "pids may have come round"
    assert may_have_leftovers(30000, 0.1, {102}), "they have come round"
    last[0] = 10_000
    assert may_have_leftovers(100, 0.1, {102}), "too many to ask"


def test_a_leftover_that_forks_and_ends_while_it_is_looked_for_is_found_by_its_child(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    last = iter([101, 102, 102])
    monkeypatch.setattr(processes, "_last_pid", lambda: next(last))
    monkeypatch.setattr(processes, "read_process", {102: Process(102, 1, 1, 100, "S", "child")}.get)
    assert may_have_leftovers(100, 0.1, set())


def test_the_daemon_of_a_short_try_is_ended_by_its_agent(surroundings: Bench) -> None:
    shim = surroundings.start("setsid sleep 1000 & env -i sleep 1000 & echo $! >bare; exit 0\n")
    assert surroundings.status(shim) == 0
    bare = int(surroundings.wait_for("bare"))
    assert not is_gone(bare), "the agent is there: it does it"
    ending = Ending(str(surroundings.claim), shim, grace_s=5, ran_s=0.1)
    end(ending)
    assert is_gone(bare)
    assert ending.ended == 2
