"""When a task is warned of its end, and who of its processes is told."""

from __future__ import annotations

import math

from gpu_queue.agent.leaving import Cause, delay_s
from gpu_queue.agent.warning import Ahead, next_end, told_line
from gpu_queue.execution.catching import Row, chosen
from gpu_queue.execution.processes import Process

NEVER = math.inf


def process(pid: int, parent: int, name: str = "python3") -> Process:
    return Process(pid, pid * 10, parent, 1, "S", name)


def row(pid: int, parent: int, *, catches: bool = True, forked: bool = False) -> Row:
    return Row(process(pid, parent), catches, forked)


def pids(rows: list[Row], script: int = 2, *, to_all: bool = True) -> list[int]:
    return [one.pid for one in chosen(rows, script, to_all=to_all)]


def test_the_first_of_its_ends_counts() -> None:
    assert next_end(100.0, NEVER, NEVER) == Ahead(100.0, "its --time is over")
    assert next_end(100.0, 90.0, NEVER).what == "the agent's lifetime or allocation ends"
    assert next_end(100.0, 90.0, 5.0) == Ahead(5.0, "its agent gives the node back")
    assert next_end(NEVER, NEVER, NEVER).at == NEVER


def test_a_log_tells_who_was_told_what_and_how_long_before_what() -> None:
    ranks = [process(n, 1) for n in range(5, 11)]
    line = told_line("USR1", ranks, Ahead(220.0, "its --time is over"), 100.0)
    assert line.startswith("told USR1, 2m before its --time is over: python3 (process 5), python3 (process 6)")
    assert line.endswith("and 2 more")
    of_another = told_line("USR1", ranks[:1], next_end(NEVER, NEVER, NEVER, 220.0), 100.0)
    assert of_another == "told USR1, as another of its nodes was: python3 (process 5)"


def test_before_a_platforms_kill_there_is_as_much_time_as_its_grace_leaves() -> None:
    # Slurm: 30 s to KILL, of which 8 are kept and 20 are the task's after TERM.
    assert delay_s(120, Cause.SIGNAL, 20.0, 30.0) == 2.0
    assert delay_s(120, Cause.SIGNAL, 20.0, 120.0) == 92.0
    assert delay_s(10, Cause.SIGNAL, 20.0, 120.0) == 10.0
    assert delay_s(120, Cause.SIGNAL, 0.75, 3.0) == 0.0, "Ray's three seconds are the task's after TERM"
    assert delay_s(120, Cause.SIGNAL, 20.0, None) == 10.0, "KILL comes when it comes for others"
    assert delay_s(120, Cause.SHUTDOWN, 20.0, 30.0) == 120.0
    assert delay_s(120, Cause.LIFETIME, 20.0, 30.0) == 0.0, "it was warned before"


def test_by_default_the_scripts_own_process_alone_is_told_and_only_if_it_catches_it() -> None:
    workers = [row(2, 1), row(3, 2), row(4, 2, forked=True)]
    assert pids(workers, to_all=False) == [2]
    assert pids([row(2, 1, catches=False), row(3, 2)], to_all=False) == []
    assert pids([row(3, 1)], script=0, to_all=False) == []


def test_all_are_those_that_catch_it_themselves() -> None:
    torchrun = [row(2, 1, catches=False), row(3, 2, catches=False), row(4, 3), row(5, 3)]
    assert pids(torchrun) == [4, 5]


def test_workers_that_were_forked_from_one_that_is_told_have_only_inherited_its_handler() -> None:
    training = [row(2, 1, catches=False), row(3, 2), row(4, 3, forked=True), row(5, 4, forked=True), row(6, 3)]
    assert pids(training) == [3, 6], "6 was started as a program of its own, and has set its own handler"
    ranks = [row(2, 1, catches=False), row(3, 2, forked=True), row(4, 3, forked=True)]
    assert pids(ranks) == [3]
    loop = [row(3, 4, forked=True, catches=False), row(4, 3, forked=True, catches=False)]
    assert pids(loop) == []
