"""What a client does alone: cancel, retry, priority, clean; and how it finds the task that is meant."""

from __future__ import annotations

import os
import time

import pytest

from tests.shell.helpers import Shell, Spool

NODE = "n1-00000001"


@pytest.mark.parametrize("name", ["{full}", "{id}", "{nonce}", "train", "ain.s"])
def test_a_task_is_named_in_several_ways(shell: Shell, spool: Spool, name: str) -> None:
    full = spool.add("pending", "train.sh")
    spool.add("pending", "other.sh")
    said = shell.ok("gpu_cancel " + name.format(full=full, id=full[4:], nonce=full[23:29]))
    assert said.lines == [f"cancelled {full}"]
    assert spool.names("failed") == [full]
    assert len(spool.names("pending")) == 1


def test_a_name_that_fits_several_lists_them_and_does_nothing(shell: Shell, spool: Spool) -> None:
    names = sorted(spool.add("pending", f"train-{number}.sh") for number in range(3))
    for command in ("gpu_cancel", "gpu_stop"):
        said = shell.run(f"{command} train")
        assert said.status == 1
        assert said.out == ""
        assert [line.rsplit("/", 1)[-1] for line in said.err.splitlines()[1:]] == names
    assert spool.names("pending") == names


def test_a_name_that_fits_nothing_says_so(shell: Shell, spool: Spool) -> None:
    for command in ("gpu_cancel x", "gpu_retry x", "gpu_priority x 5", "gpu_explain x", "gpu_stop x", "gpu_tail x"):
        said = shell.run(command)
        assert (said.status, len(said.err.splitlines())) == (1, 1), said


def test_a_waiting_task_is_meant_before_an_ended_one(shell: Shell, spool: Spool) -> None:
    spool.add("done", "train.sh")
    full = spool.add("pending", "train.sh")
    assert shell.ok("gpu_stop train").lines == [f"cancelled {full}"]


def test_cancel_of_a_task_that_just_started_says_where(shell: Shell, spool: Spool) -> None:
    full = spool.add(f"running/{NODE}", "train.sh")
    said = shell.run("gpu_cancel train")
    assert said.status == 1
    assert f"runs already, on {NODE}; gpu_stop {full[23:29]} ends it" in said.err


@pytest.mark.parametrize("command", ["gpu_cancel train", "gpu_priority train 7", "gpu_stop train"])
@pytest.mark.parametrize("state", ["done", "failed"])
def test_a_task_that_has_ended_is_told_so(shell: Shell, spool: Spool, command: str, state: str) -> None:
    full = spool.add(state, "train.sh")
    said = shell.run(command)
    assert (said.status, said.out) == (1, "")
    assert said.err == f"{command.split(maxsplit=1)[0]}: it has ended already: {state}/{full}\n"
    assert spool.names(state) == [full]


@pytest.mark.parametrize("name", ["train", "train.sh"])
def test_the_very_name_of_a_script_is_meant_before_a_part_of_others(shell: Shell, spool: Spool, name: str) -> None:
    spool.add("pending", "python_train.sh")
    full = spool.add("pending", "train.sh")
    spool.add("pending", "train.sh.old")
    (spool.path / "pending" / "my-train.sh").write_text("true\n")
    assert shell.ok(f"gpu_cancel {name}").lines == [f"cancelled {full}"]
    assert "it has ended already" in shell.run("gpu_cancel train").err, "and not one of the three others"
    assert "fits 3 tasks" in shell.run("gpu_cancel trai").err


def test_the_very_name_may_have_any_bytes_and_be_of_a_file_dropped_by_hand(shell: Shell, spool: Spool) -> None:
    spool.add("pending", "_.sh", name="再训练.sh")
    full = spool.add("pending", "_.sh", name="训练.sh")
    assert shell.ok("gpu_cancel 训练").lines == [f"cancelled {full}"]
    for name in ("010_eval.sh", "re-eval.sh"):
        (spool.path / "pending" / name).write_text("true\n")
    assert shell.ok("gpu_priority eval 7").lines == ["007_eval.sh"]


def test_a_cancelled_task_gives_its_serial_queue_free(shell: Shell, spool: Spool) -> None:
    full = spool.add("pending", "train.sh")
    queues = spool.path / "queues"
    (queues / "car.000001.free").write_text(f"{full[4:]}\n{NODE}\n")
    (queues / "car.000002").write_text(f"{full[4:]}\n{NODE}\n")
    (queues / "bus.000007").write_text(f"20261123T014400001-ffffff-x.sh\n{NODE}\n")
    shell.ok("gpu_cancel train")
    assert spool.names("queues") == ["bus.000007", "car.000001.free", "car.000002.free"]


def test_a_cancelled_hand_drop_gets_an_id(shell: Shell, spool: Spool) -> None:
    (spool.path / "pending" / "007_my train.sh").write_text("true\n")
    shell.ok("gpu_cancel 'my train'")
    (full,) = spool.names("failed")
    assert (full[:4], full[30:]) == ("007-", "my_train.sh")
    assert spool.names("pending") == []
    assert spool.names("records") == [f"{full[4:]}.json"]


def test_priority_is_one_rename(shell: Shell, spool: Spool) -> None:
    full = spool.add("pending", "train.sh")
    assert shell.ok("gpu_priority train 7").lines == [f"007-{full[4:]}"]
    assert shell.ok("gpu_priority train 007").lines == [f"007-{full[4:]}"]
    assert spool.names("pending") == [f"007-{full[4:]}"]
    (spool.path / "pending" / "drop.sh").write_text("true\n")
    assert shell.ok("gpu_priority drop 20").lines == ["020_drop.sh"]
    spool.add(f"running/{NODE}", "busy.sh")
    assert "runs already" in shell.run("gpu_priority busy 7").err


@pytest.mark.parametrize("arguments", ["", "train", "train 1000", "train x", "7"])
def test_priority_needs_a_task_and_a_number(shell: Shell, spool: Spool, arguments: str) -> None:
    spool.add("pending", "train.sh")
    assert shell.run(f"gpu_priority {arguments}").status == 2


def test_retry_queues_again_under_the_same_name(shell: Shell, spool: Spool) -> None:
    full = spool.add("failed", "train.sh")
    others = sorted(spool.add("failed", "x.sh") for _ in range(3))
    assert shell.ok("gpu_retry train").lines == [full]
    said = shell.ok("gpu_retry all")
    assert (said.lines, said.err) == (others, "retried 3 tasks, 3 of which had been cancelled\n")
    assert spool.names("pending") == sorted([full, *others])
    assert spool.names("failed") == []
    assert shell.ok("gpu_retry all").err == "nothing has failed\n"


def test_retry_all_counts_those_that_had_been_cancelled(shell: Shell, spool: Spool) -> None:
    for title, suffix in (("a.try.sh", ".tries"), ("b.tries", ".try1.abcdef"), ("c.sh", ".try12.000000")):
        full = spool.add("failed", title)
        (spool.path / "records" / f"{full[4:]}{suffix}.json").write_text("{}")
    assert shell.ok("gpu_retry all").err == "retried 3 tasks\n"
    spool.add("failed", "d.try.sh")
    assert shell.ok("gpu_retry all").err == "retried 1 task, 1 of which had been cancelled\n"


def test_clean_forgets_what_is_old_by_the_servers_clock(shell: Shell, spool: Spool) -> None:
    full = spool.add("done", "train.sh")
    failed = spool.add("failed", "bad.sh")
    waiting = spool.add("pending", "later.sh")
    spool.log(full, "x")
    spool.log(full, "x", ".try2.abcdef")
    (spool.path / "records" / f"{full[4:]}.try1.abcdef.json").write_text("{}")
    (spool.path / "records" / f"{full[4:]}.tries.json").write_text("{}")
    then = time.time() - 30 * 86400
    os.utime(spool.path / "done" / full, (then, then))  # an old script that has just ended
    assert shell.ok("gpu_clean --older-than 7d").lines == []
    assert sorted(shell.ok("gpu_clean --older-than=0s --dry-run").lines) == [f"done/{full}", f"failed/{failed}"]
    assert spool.names("done") == [full]
    shell.ok("gpu_clean --older-than 0")
    assert spool.names("done") + spool.names("failed") + spool.names("logs") == []
    assert spool.names("records") == [f"{waiting[4:]}.json"]


def test_clean_keeps_what_a_waiting_task_asks_for(shell: Shell, spool: Spool) -> None:
    full = spool.add("done", "prepare.sh")
    spool.add("pending", "train.sh", needs={"after": [full[4:]]})
    shell.ok("gpu_clean --older-than 0")
    assert spool.names("done") == [full]


def test_clean_lists_in_order(shell: Shell, spool: Spool) -> None:
    names = [f"{state}/{spool.add(state, priority=p)}" for state in ("failed", "done") for p in (900, 7, 500)]
    assert shell.ok("gpu_clean --older-than 0 --dry-run").lines == sorted(names)


@pytest.mark.parametrize("arguments", ["", "--older-than", "--older-than soon", "7d"])
def test_clean_needs_an_age(shell: Shell, spool: Spool, arguments: str) -> None:
    full = spool.add("done")
    assert shell.run(f"gpu_clean {arguments}").status == 2
    assert spool.names("done") == [full]


def test_the_very_name_of_a_task_that_has_ended_saves_another_that_waits(shell: Shell, spool: Spool) -> None:
    waiting = spool.add("pending", "python_train.py")
    ended = spool.add("done", "train.sh")
    said = shell.run("gpu_stop train")
    assert (said.status, said.err) == (1, f"gpu_stop: it has ended already: done/{ended}\n")
    assert spool.names("pending") == [waiting]


def test_a_new_priority_writes_over_no_other_file(shell: Shell, spool: Spool) -> None:
    """Somebody else gives another file that name after it was found to be free."""
    (spool.path / "pending" / "100_a.sh").write_text("echo one\n")
    (spool.path / "pending" / "200_a.sh").write_text("echo two\n")
    tools = shell.home / "tools"
    tools.mkdir()
    tool = tools / "mv"
    tool.write_text(
        '#!/bin/sh\n[ -e pending/300_a.sh ] || /bin/mv pending/200_a.sh pending/300_a.sh\nexec /bin/mv "$@"\n'
    )
    tool.chmod(0o755)
    said = shell.run("gpu_priority 100_a.sh 300", PATH=f"{tools}:{os.environ['PATH']}")
    assert said.status == 1, said
    assert [(spool.path / "pending" / name).read_text() for name in spool.names("pending")] == [
        "echo one\n",
        "echo two\n",
    ]
