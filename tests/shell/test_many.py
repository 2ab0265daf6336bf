"""Many tasks in one command: several names, patterns of titles, all of a serial queue."""

from __future__ import annotations

import os
import pty
import resource
import select
import subprocess
import time

import pytest

from tests.shell.helpers import Shell, Spool

pytestmark = pytest.mark.zsh  # it has patterns and arrays of its own

NODE = "n1-00000001"


def test_several_names_and_patterns_are_taken_in_one_command(shell: Shell, spool: Spool) -> None:
    seeds = [spool.add("pending", f"seed{number}.sh") for number in range(3)]
    train, other = spool.add("pending", "train.sh"), spool.add("pending", "python-123456-seed.sh")
    (spool.path / "pending" / "010_seed 9.sh").write_text("true\n")
    assert shell.ok(f"gpu_priority 'seed?.sh' train {other[23:29]} 7").lines == [
        f"007-{one[4:]}" for one in (*seeds, train, other)
    ]
    said = shell.ok("gpu_cancel 'seed*' train")
    assert sorted(said.lines)[:-1] == [f"cancelled 007-{one[4:]}" for one in (*seeds, train)]
    assert len(spool.names("failed")) == 5
    assert spool.names("pending") == [f"007-{other[4:]}"]
    said = shell.ok("gpu_retry 'seed[0-1].sh' train --yes")
    assert (said.lines, said.err) == (
        [f"007-{one[4:]}" for one in (seeds[0], seeds[1], train)],
        "retried 3 tasks, 3 of which had been cancelled\n",
    )


def test_a_pattern_of_any_bytes_is_one_of_titles(shell: Shell, spool: Spool) -> None:
    first, _ = spool.add("pending", "_1.sh", name="训练 1.sh"), spool.add("pending", "_2.sh", name="评估 2.sh")
    (spool.path / "pending" / "训练.sh").write_text("true\n")
    assert len(shell.ok("gpu_cancel '训*'").lines) == 2
    assert first in spool.names("failed")
    assert len(spool.names("pending")) == 1


def test_a_script_that_is_called_like_a_pattern_is_meant_by_its_name(shell: Shell, spool: Spool) -> None:
    full = spool.add("pending", "_.sh", name="*.sh")
    spool.add("pending", "other.sh")
    assert shell.ok("gpu_cancel '*.sh'").lines == [f"cancelled {full}"]


@pytest.mark.parametrize("names", ["'make all -j4'", "'make all'", "'make all' train"])
def test_a_name_with_the_word_all_in_it_means_that_task_alone(shell: Shell, spool: Spool, names: str) -> None:
    made = spool.add("pending", "make_all_-j4", name="make all -j4")
    train, other = spool.add("pending", "train.sh"), spool.add(f"running/{NODE}", "other.sh")
    said = shell.ok(f"gpu_stop {names}")
    stopped = [made, train] if "train" in names else [made]
    assert said.lines == [f"cancelled {one}" for one in stopped]
    assert spool.names("failed") == stopped
    assert spool.names(f"running/{NODE}")[0].startswith(other)


@pytest.mark.parametrize("command", ["gpu_cancel", "gpu_stop", "gpu_retry", "gpu_priority"])
def test_all_and_a_queue_are_refused_together(shell: Shell, spool: Spool, command: str) -> None:
    for state in ("pending", "failed"):
        spool.add(state, "a.sh", needs={"queue": "sweep"})
        spool.add(state, "train.sh")
    before = spool.names("pending"), spool.names("failed")
    for options in ("all --queue sweep", "--queue=sweep train all"):
        said = shell.run(f"{command} {options}{' 7' * (command == 'gpu_priority')}")
        assert (said.status, said.out) == (2, "")
        assert f"either {command} --queue sweep or {command} all" in said.err
    assert before == (spool.names("pending"), spool.names("failed"))


@pytest.mark.parametrize("command", ["gpu_cancel", "gpu_stop", "gpu_retry", "gpu_wait"])
def test_what_fits_nothing_changes_nothing(shell: Shell, spool: Spool, command: str) -> None:
    for state in ("pending", "failed"):
        spool.add(state, "train.sh")
    for named in ("train.sh 'seed*'", "train.sh nothing", "--queue car", "'[' train.sh"):
        said = shell.run(f"{command} {named}")
        assert (said.status, said.out, len(said.err.splitlines())) == (1, "", 1), said
    assert len(spool.names("pending")) == len(spool.names("failed")) == 1


@pytest.mark.parametrize("options", ["", "--queue", "--queue=a/b", "--quick x"])
@pytest.mark.parametrize("command", ["gpu_cancel", "gpu_stop", "gpu_retry", "gpu_priority"])
def test_wrong_usage_is_told(shell: Shell, spool: Spool, command: str, options: str) -> None:
    assert shell.run(f"{command} {options}").status == 2


def test_all_of_a_serial_queue_are_meant_by_its_name(shell: Shell, spool: Spool) -> None:
    by_record = spool.add("pending", "a.sh", needs={"queue": "car.1"})
    by_script = spool.add("pending", "b.sh")
    overruled = spool.add("pending", "c.sh", needs={"queue": "bus"})
    near = spool.add("pending", "d.sh", needs={"queue": "carx1"})
    for one in (by_script, overruled):
        (spool.path / "pending" / one).write_text("#!/bin/bash\n#GPUQ --gpus 1 --queue='car.1'\ntrue\n")
    later = spool.add("pending", "e.sh")
    (spool.path / "pending" / later).write_text("true\n#GPUQ --queue car.1\n")
    (spool.path / "pending" / "mine.sh").write_text("#GPUQ --queue car.1\n")
    assert len(shell.ok("gpu_cancel --queue car.1").lines) == 3
    assert spool.names("pending") == [overruled, near, later]
    assert {by_record, by_script} < set(spool.names("failed"))
    assert len(shell.ok("gpu_retry --queue car.1").lines) == 3
    assert shell.ok("gpu_priority --queue bus 3").lines == [f"003-{overruled[4:]}"]


def test_of_several_those_that_moved_on_are_told_and_the_others_cancelled(shell: Shell, spool: Spool) -> None:
    waits, runs = spool.add("pending", "a.sh"), spool.add(f"running/{NODE}", "b.sh")
    said = shell.run("gpu_cancel a b")
    assert (said.status, said.lines) == (1, [f"cancelled {waits}"])
    assert f"runs already, on {NODE}" in said.err
    assert runs not in spool.names("failed")


def test_stop_cancels_what_waits_and_takes_what_runs_off_a_dead_node(shell: Shell, spool: Spool) -> None:
    waiting = [spool.add("pending", f"seed{number}.sh") for number in range(2)]
    running = [spool.add(f"running/{NODE}", f"seed{number}.sh") for number in range(2, 4)]
    spool.add(f"running/{NODE}", "other.sh")
    said = shell.ok("gpu_stop 'seed*'")
    assert said.lines[:2] == [f"cancelled {one}" for one in waiting]
    assert spool.names("failed") == sorted([*waiting, *running])
    assert len(spool.names(f"running/{NODE}")) == 1


def test_wait_takes_patterns(shell: Shell, spool: Spool) -> None:
    ended = [spool.add("done", "seed0.sh"), spool.add("failed", "seed1.sh")]
    said = shell.run("gpu_wait 'seed*'")
    assert (said.status, sorted(said.lines)) == (1, [f"done {ended[0]}", f"failed {ended[1]}"])
    spool.add("pending", "seed2.sh")
    said = shell.run("gpu_wait 'seed*' --timeout 0.2s")
    assert (said.status, said.err.splitlines()[0]) == (124, "waiting for 1 task")


def test_explain_and_logs_take_the_newest_of_equal_names(shell: Shell, spool: Spool) -> None:
    for text in ("old\n", "new\n"):
        spool.log(spool.add("failed", "train.sh"), text)
    spool.add("failed", "train.sh.bak")
    for command in ("gpu_explain train", "gpu_explain train.sh", "gpu_logs train"):
        said = shell.ok(command)
        assert said.lines[-1] == "new", said
    assert "fits 3 tasks" in shell.run("gpu_explain trai").err


def test_a_long_list_of_what_a_name_fits_says_how_many_more_there_are(shell: Shell, spool: Spool) -> None:
    for number in range(23):
        spool.add("pending", f"train{number}.sh")
    lines = shell.run("gpu_cancel train").err.splitlines()
    assert (len(lines), lines[-1]) == (22, "  … and 3 more")


def test_a_sweep_of_a_thousand_is_cancelled_in_about_a_second(shell: Shell, spool: Spool) -> None:
    names = [spool.add("pending", f"seed{number}.sh") for number in range(1000)]
    spool.add("pending", "other.sh")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    said = shell.ok("gpu_cancel 'seed*'")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    took_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert took_s < 1, "of a core: a program for each would take more"
    assert len(said.lines) == len(names)
    assert len(spool.names("pending")) == 1


# -- on a terminal


def on_a_terminal(shell: Shell, script: str, answer: str) -> tuple[int, str]:
    """What a person sees, who answers the question so; and the status."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        shell.command(script), cwd=shell.home, env=shell.environment(), stdin=slave, stdout=slave, stderr=slave
    )
    os.close(slave)
    seen, is_answered = b"", False
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if select.select([master], [], [], 0.05)[0]:
            try:
                seen += os.read(master, 65536)
            except OSError:  # all have closed it
                break
        if not is_answered and b"[y/N] " in seen:
            os.write(master, answer.encode())
            is_answered = True
    os.close(master)
    return process.wait(10), seen.decode()


@pytest.mark.parametrize(
    "command", ["gpu_cancel 'seed*'", "gpu_stop seed1 seed2", "gpu_stop all", "gpu_priority 'seed*' 7"]
)
def test_on_a_terminal_several_are_shown_and_asked_about(shell: Shell, spool: Spool, command: str) -> None:
    names = [spool.add("pending", f"seed{number}.sh") for number in range(1, 3)]
    status, seen = on_a_terminal(shell, command, "n\n")
    assert status == 1
    assert "2 " in seen.splitlines()[0]
    assert "abc001  seed1.sh" in seen
    assert "nothing was done" in seen
    assert spool.names("pending") == names
    status, seen = on_a_terminal(shell, command, "y\n")
    assert status == 0
    assert spool.names("pending") != names


@pytest.mark.parametrize("command", ["gpu_cancel --yes 'seed*'", "gpu_cancel seed1"])
def test_one_task_or_yes_is_not_asked_about(shell: Shell, spool: Spool, command: str) -> None:
    for number in range(1, 3):
        spool.add("pending", f"seed{number}.sh")
    status, seen = on_a_terminal(shell, command, "")
    assert status == 0
    assert "[y/N]" not in seen


def test_on_a_terminal_tasks_are_called_by_title_and_six_digits(shell: Shell, spool: Spool) -> None:
    full = spool.add("pending", "_.sh", name="训练.sh")
    spool.add("pending", "b.sh")
    for command, said in (
        ("gpu_priority 训练 7", ["训练.sh (abc001) has priority 007"]),
        ("gpu_priority --yes '*.sh' 8", ["训练.sh (abc001) has priority 008", "b.sh (abc002) has priority 008"]),
        ("gpu_cancel 训练", ["cancelled 训练.sh (abc001)"]),
        ("gpu_cancel 训练", ["gpu_cancel: it has ended already: 训练.sh (abc001), in failed/"]),
        ("gpu_wait 训练", ["waiting for 1 task", "failed 训练.sh (abc001)"]),
        ("gpu_retry 训练", ["retried 训练.sh (abc001)"]),
        ("gpu_cancel --yes '*.sh'", ["cancelled 训练.sh (abc001)", "cancelled b.sh (abc002)"]),
    ):
        assert on_a_terminal(shell, command, "")[1].splitlines() == said
    assert shell.run("gpu_wait 训练").out == f"failed 008{full[3:]}\n"
    assert f"it has ended already: failed/008{full[3:]}" in shell.run("gpu_cancel 训练").err


@pytest.mark.parametrize("title", ["-x", "--quick", "--"])
def test_what_stands_behind_two_dashes_is_a_name(shell: Shell, spool: Spool, title: str) -> None:
    full = spool.add("pending", title)
    assert shell.ok(f"gpu_priority -- {title} 7").lines == [f"007{full[3:]}"]
    assert "no agent is alive" in shell.ok(f"gpu_explain -- {title}").out
    for command in ("gpu_cancel", "gpu_retry", "gpu_stop"):
        assert f"007{full[3:]}" in shell.ok(f"{command} -- {title}").out
    assert shell.run(f"gpu_wait --timeout 5 -- {title}").lines == [f"failed 007{full[3:]}"]
    spool.log(full, "said\n")
    for command in ("gpu_logs", "gpu_tail"):
        assert "said" in shell.run(f"{command} -- {title}").out
    assert "no node is called '--force'" in shell.run("gpu_forget -- --force").err


def test_a_serial_queue_has_what_runs_and_what_a_script_spells_with_quotes(shell: Shell, spool: Spool) -> None:
    spelled = ["--queue car.1", '--gpus 1 --queue "car.1"', "--queue='car.1'", "--queue car.10", "--queue bus"]
    tasks = [spool.add("pending", f"s{number}.sh") for number in range(len(spelled))]
    spool.add(f"running/{NODE}", "runs.sh", needs={"queue": "car.1"})
    for full, line in zip(tasks, spelled, strict=True):
        (spool.path / "pending" / full).write_text(f"#GPUQ {line}\ntrue\n")
    (spool.path / "pending" / "x").write_text("#GPUQ --queue car.1\ntrue\n")
    assert "waiting for 4 tasks" in shell.run("gpu_wait --queue car.1 --timeout 0.1s").err
    assert shell.ok("gpu_cancel --queue car.1").out.count("cancelled") == 4
    assert spool.names("pending") == tasks[3:]
