"""gpu_status, gpu_logs, gpu_explain: what they show, and that it is true."""

from __future__ import annotations

import os
import signal

import pytest

from tests.shell.helpers import Shell, Spool, read_until, wait_until

NODE = "n1-00000001"


def test_status_shows_an_empty_spool_and_how_to_get_an_agent(shell: Shell, spool: Spool) -> None:
    said = shell.ok("gpu_status")
    assert "waiting 0" in said.lines
    assert said.lines[-1] == "no agent is alive; start one with ./submit.sh exp 1"
    assert "\033" not in said.out


def test_status_shows_what_waits_in_run_order(shell: Shell, spool: Spool) -> None:
    spool.add("pending", "later.sh", priority=900)
    spool.add("pending", "first.sh", priority=10)
    spool.add("pending", "second.sh", priority=10)
    lines = shell.ok("gpu_status").lines
    at = lines.index("waiting 3")
    assert [line.split() for line in lines[at + 1 : at + 4]] == [
        ["010", "abc002", "first.sh"],
        ["010", "abc003", "second.sh"],
        ["900", "abc001", "later.sh"],
    ]


def test_status_shows_twenty_and_counts_the_rest(shell: Shell, spool: Spool) -> None:
    for _ in range(25):
        spool.add("pending")
    lines = shell.ok("gpu_status").lines
    assert "waiting 25" in lines
    assert "  … and 5 more" in lines


def test_status_shows_claims_by_node_and_how_many_are_settled(shell: Shell, spool: Spool) -> None:
    spool.node(NODE, text="GPU 0  busy  train.sh\n  waits x: no GPU is free\n")
    full = spool.add(f"running/{NODE}", "train.sh")
    (spool.path / "running" / NODE / "node").touch()
    spool.add("done")
    spool.add("failed")
    spool.add("failed")
    lines = shell.ok("gpu_status").lines
    assert "GPU 0  busy  train.sh" in lines
    assert "running 1" in lines
    assert f"  500  {full[23:29]}  train.sh  on {NODE}, try 1" in lines
    assert {"done 1", "failed 2"} <= set(lines)
    assert not any("no agent is alive" in line for line in lines)


def test_status_marks_a_node_whose_beat_is_old_or_that_stopped(shell: Shell, spool: Spool) -> None:
    spool.node("n1-00000001", age_s=250)
    spool.node("n2-00000002", state="stopped")
    said = shell.ok("gpu_status")
    assert "n1-00000001  last beat 4m ago: its agent seems to be gone" in said.lines
    assert "n2-00000002  stopped" in said.lines
    assert "no agent is alive" in said.out
    assert spool.names("control") == []


def test_status_shows_hand_drops_and_counts_what_is_skipped(shell: Shell, spool: Spool) -> None:
    for name in ("dropped by hand.sh", "new\nline.sh", ".hidden", "x.swp", "y~"):
        (spool.path / "pending" / name).write_text("true\n")
    lines = shell.ok("gpu_status").lines
    assert "dropped by hand 2" in lines
    assert "  settling or waiting  dropped by hand.sh" in lines
    assert "  settling or waiting  new?line.sh" in lines
    assert any(line.startswith("  3 skipped") for line in lines)


def test_status_says_that_it_is_paused_by_whom_and_why(shell: Shell, spool: Spool) -> None:
    said = shell.ok(
        "gpu_pause 'new driver'; gpu_drain; gpu_status; gpu_resume; gpu_status | command grep -c paused || :"
    )
    assert any(line.startswith("paused: alice@") and "new driver; gpu_resume ends it" in line for line in said.lines)
    assert any(line.startswith("draining: alice@") for line in said.lines)
    assert said.lines[-1] == "0"
    assert not (spool.path / "paused").exists()


def test_status_watches_until_it_is_interrupted(shell: Shell, spool: Spool) -> None:
    process = shell.start("gpu_status --watch")
    read_until(process, "exp 1")
    spool.add("pending", "late.sh")
    read_until(process, "late.sh")
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=5)
    assert process.returncode != 0


def test_logs_lists_the_newest(shell: Shell, spool: Spool) -> None:
    full = spool.add("done", "train.sh")
    spool.log(full, "hello\n")
    (line,) = shell.ok("gpu_logs").lines
    assert line.split() == [full[23:29], "train.sh", f"logs/{full[4:]}.log"]


def test_logs_shows_all_tries_of_the_newest_match_in_order(shell: Shell, spool: Spool) -> None:
    spool.log(spool.add("done", "train.sh"), "older\n")
    full = spool.add("done", "train.sh")
    spool.log(full, "one\n")
    spool.log(full, "two\n", ".try2.abcdef")
    spool.log(full, "ten\n", ".try10.000000")
    said = shell.ok("gpu_logs train")
    assert [line for line in said.lines if not line.startswith("==>")] == ["one", "two", "ten"]
    assert shell.ok(f"gpu_logs {full}").out == said.out
    assert shell.ok("gpu_logs abc001").out == "older\n"


def test_a_chinese_name_is_found_by_the_record(shell: Shell, spool: Spool) -> None:
    spool.log(spool.add("done", "_.sh", name="测试.sh"), "other\n")
    spool.log(spool.add("done", "_.sh", name="训练.sh"), "hello\n")
    spool.log(spool.add("done", "_.sh", name="评估.sh"), "other\n")
    assert shell.ok("gpu_logs 训练").out == "hello\n"
    assert shell.run("gpu_logs 没有").status == 1


def test_explain_repeats_what_the_nodes_say(shell: Shell, spool: Spool) -> None:
    full = spool.add("pending", "train.sh")
    spool.node(NODE, text=f"head\n  waits {full}: needs 4 GPUs, 2 are free\nend\n")
    assert shell.ok("gpu_explain train").lines == [f"{NODE}: needs 4 GPUs, 2 are free"]


def test_explain_asks_the_agents_where_nothing_is_written(shell: Shell, spool: Spool) -> None:
    full = spool.add("pending", "train.sh")
    spool.node(NODE)
    process = shell.start("gpu_explain train")
    wait_until(spool.commands)
    ((entry, command),) = spool.commands()
    assert (command["command"], command["tasks"], command["to"]) == ("explain", [full], [f"{NODE}/{NODE}1"])
    spool.answer(entry, NODE, f"{full}: it is paused")
    out, err = process.communicate(timeout=5)
    assert (process.returncode, out) == (0, f"{NODE}: {full}: it is paused\n"), err


@pytest.mark.parametrize(
    ("state", "word"), [("done", "is done: succeeded"), ("failed", "has failed: failed(3), retry 1")]
)
def test_explain_tells_how_a_task_ended(shell: Shell, spool: Spool, state: str, word: str) -> None:
    full = spool.add(state, "train.sh")
    outcome = '"outcome":"succeeded"' if state == "done" else '"outcome": "failed(3)", "reason": "retry 1"'
    (spool.path / "records" / f"{full[4:]}.try1.abcdef.json").write_text('{"outcome":"old"}')
    (spool.path / "records" / f"{full[4:]}.try2.000000.json").write_text(f'{{"protocol":1,{outcome}}}')
    (spool.path / "records" / f"{full[4:]}.tries.json").write_text('{"outcome":"none"}')
    spool.log(full, "the last words\n")
    said = shell.ok("gpu_explain train")
    assert word in said.out
    assert said.lines[-1] == "the last words"


def test_explain_tells_where_a_task_runs_and_what_was_cancelled(shell: Shell, spool: Spool) -> None:
    spool.add(f"running/{NODE}", "train.sh")
    assert f"runs on {NODE}, try 1" in shell.ok("gpu_explain train").out
    spool.add("failed", "other.sh")
    assert "cancelled while it waited" in shell.ok("gpu_explain other").out
