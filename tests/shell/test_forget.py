"""gpu_forget: a person says that a node is dead; and what people see of dead nodes."""

from __future__ import annotations

import os
import re
import time
from dataclasses import replace

import pytest

from gpu_queue.spool.pages import SilentPage
from tests.shell.helpers import Shell, Spool, wait_until

NODE = "n1-00000001"
PEER = "n2-00000002"


def old(spool: Spool, full: str, node: str = NODE, age_s: float = 600) -> str:
    """A claim whose shim has not touched it for so long; returns its name.

    A file's ctime cannot be set: what looks at it is told that the server's clock is ahead.
    """
    (name,) = [name for name in spool.names(f"running/{node}") if name.startswith(full)]
    then = time.time() - age_s
    os.utime(spool.path / "running" / node / name, (then, then))
    return name


LATER = """
__gpu_real_clock() { __gpu_ms; REPLY=$((REPLY / 1000)); }
__gpu_clock() { __gpu_real_clock; REPLY=$((REPLY + 600)); }
"""
"""The same spool ten minutes later, by the server's clock."""


def test_the_tasks_of_a_dead_node_become_lost_tries_and_the_node_is_put_away(shell: Shell, spool: Spool) -> None:
    spool.node(NODE, age_s=700)
    full = spool.add(f"running/{NODE}", "train.sh")
    name = old(spool, full)
    (spool.path / "running" / NODE / "node").touch()
    said = shell.ok(f"{LATER}\ngpu_forget {NODE}")
    assert said.lines == [f"forgotten {NODE}; it had 1 task"]
    assert said.err == "no agent is alive in exp 1; the next one moves them on: ./submit.sh exp 1\n"
    assert spool.names(f"running/{NODE}") == [f"{name}=255-lost", "node"]
    assert sorted(spool.names("nodes/gone")) == [f"{NODE}.json", f"{NODE}.tsv", f"{NODE}.why"]
    assert (spool.path / "nodes/gone" / f"{NODE}.why").read_text().startswith("alice@")
    assert spool.names("nodes") == ["gone"]


def test_it_says_where_the_tasks_went_when_agents_have_moved_them_on(shell: Shell, spool: Spool) -> None:
    spool.node(NODE, age_s=700)
    spool.node(PEER)
    again, done = (spool.add(f"running/{NODE}", title) for title in ("again.sh", "done.sh"))
    name = old(spool, done)
    os.rename(spool.path / "running" / NODE / name, spool.path / "running" / NODE / f"{name}=0")
    started = shell.start(f"gpu_forget {NODE} --force")
    wait_until(lambda: any(name.endswith("=255-lost") for name in spool.names(f"running/{NODE}")))
    spool.move(again, f"running/{NODE}", "pending")
    spool.move(done, f"running/{NODE}", "done")
    out, err = started.communicate(timeout=20)
    assert (started.returncode, err) == (0, "")
    assert sorted(out.splitlines()[1:]) == [
        f"again.sh ({again[23:29]}) waits again",
        f"done.sh ({done[23:29]}) is done",
    ]
    assert out.splitlines()[0] == f"forgotten {NODE}; it had 2 tasks"


def test_a_node_that_gave_a_sign_of_life_is_forgotten_by_force_only(shell: Shell, spool: Spool) -> None:
    spool.node(NODE, age_s=20)
    name = old(spool, spool.add(f"running/{NODE}", "train.sh"))
    said = shell.run(f"gpu_forget {NODE}")
    assert (said.status, said.out) == (1, "")
    assert len(said.err.splitlines()) == 1
    assert f"{NODE} gave a sign of life 2" in said.err
    assert f"gpu_forget {NODE} --force" in said.err
    assert spool.names(f"running/{NODE}") == [name]
    shell.ok(f"gpu_forget --force {NODE}")
    assert spool.names(f"running/{NODE}") == [f"{name}=255-lost"]


def test_so_is_one_whose_task_gives_signs_of_life_although_its_agent_is_dead(shell: Shell, spool: Spool) -> None:
    spool.node(NODE, age_s=700)
    full = spool.add(f"running/{NODE}", "train.sh")
    said = shell.run(f"gpu_forget {NODE}")
    assert (said.status, said.out) == (1, "")
    assert f"train.sh ({full[23:29]}) gave a sign of life on {NODE}" in said.err
    assert spool.names("nodes/gone") == []


def test_a_dead_node_without_tasks_is_put_away_with_its_directory(shell: Shell, spool: Spool) -> None:
    spool.node(NODE, age_s=700)
    (spool.path / "running" / NODE).mkdir()
    (spool.path / "running" / NODE / "node").touch()
    assert shell.ok(f"gpu_forget {NODE}").lines == [f"forgotten {NODE}; it had no task"]
    assert spool.names("running") == []
    assert shell.run(f"gpu_forget {NODE}").err == f"gpu_forget: {NODE} was put away already\n"


def test_a_part_of_a_nodes_name_will_do_where_it_is_one_nodes(shell: Shell, spool: Spool) -> None:
    spool.node(NODE, age_s=700)
    spool.node(PEER, age_s=700)
    assert "fits 2 nodes" in shell.run("gpu_forget n").err
    assert "no node is called 'n7'" in shell.run("gpu_forget n7").err
    assert shell.ok("gpu_forget n1").lines == [f"forgotten {NODE}; it had no task"]


def test_a_node_that_only_has_a_directory_can_be_forgotten_too(shell: Shell, spool: Spool) -> None:
    old(spool, spool.add(f"running/{NODE}", "train.sh"))
    assert shell.ok(f"{LATER}\ngpu_forget {NODE}").lines == [f"forgotten {NODE}; it had 1 task"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [("", "which node is dead"), ("a b", "one node at a time"), ("--now x", "there is no option --now")],
)
def test_wrong_usage_is_said_in_one_line(shell: Shell, spool: Spool, arguments: str, says: str) -> None:
    said = shell.run(f"gpu_forget {arguments}")
    assert (said.status, said.out, len(said.err.splitlines())) == (2, "", 1)
    assert says in said.err
    assert spool.names("nodes") == ["gone"]


def test_a_node_of_another_protocol_is_not_touched(shell: Shell, spool: Spool) -> None:
    spool.node(NODE, age_s=700, protocol=7)
    assert "protocol 7" in shell.run(f"gpu_forget {NODE}").err
    assert spool.names("nodes/gone") == []


def test_nodes_are_offered_for_completion(shell: Shell, spool: Spool) -> None:
    spool.node(NODE)
    spool.add(f"running/{PEER}", "train.sh")
    assert sorted(shell.ok("( __gpu_guest words gpu_forget '' )").lines) == [NODE, PEER]
    assert shell.ok("( __gpu_guest words gpu_forget '--' )").lines == ["--force"]


# What people see


def test_explain_says_who_watches_a_silent_node_and_until_when(shell: Shell, spool: Spool) -> None:
    spool.node(NODE, age_s=240)
    full = spool.add(f"running/{NODE}", "train.sh")
    told = "not heard of for 4m00s; its task is taken over in 11m00s if it stays silent"
    spool.node(PEER, watching=(SilentPage(NODE, tries=1, beating=0, silent_s=240, left_s=660),))
    (line,) = shell.ok("gpu_explain train").lines
    line = re.sub("was 4m0[0-9]s ago", "was 4m00s ago", line)  # the machine may be slow
    assert line == (
        f"train.sh ({full[23:29]}) runs on {NODE}, try 1, whose last sign of life was 4m00s ago; "
        f"{PEER} watches it: {told}; "
        f"gpu_tail {full[23:29]} follows its log"
    )


def test_who_looks_is_told_that_the_end_of_the_batch_job_makes_it_so_early(shell: Shell, spool: Spool) -> None:
    spool.node(NODE, age_s=240)
    spool.add(f"running/{NODE}", "train.sh")
    told = "not heard of for 1m20s; its task is taken over in 40s: its batch job sco:my exp/0a1b has ended"
    silent = SilentPage(NODE, tries=1, beating=0, silent_s=80, left_s=40, ended="sco:my exp/0a1b")
    spool.node(PEER, watching=(silent,))
    assert f"{PEER} watches it: {told};" in shell.ok("gpu_explain train").out
    assert told in shell.ok("COLUMNS=200 gpu_status").out
    chinese = shell.ok("gpu_explain train", LC_ALL="zh_CN.UTF-8").out
    assert "它的任务将在 40s 后被接管：它的作业 sco:my exp/0a1b 已结束" in chinese
    spool.node(PEER, watching=(replace(silent, tries=3),))
    assert "its 3 tasks are taken over in 40s: its batch job" in shell.ok("gpu_explain train").out


def test_explain_says_that_nobody_is_there_to_take_it_over(shell: Shell, spool: Spool) -> None:
    spool.node(NODE, age_s=240)
    spool.add(f"running/{NODE}", "train.sh")
    (line,) = shell.ok("gpu_explain train").lines
    assert "no agent is alive to take it over; start one with ./submit.sh exp 1" in line


def test_status_shows_dead_nodes_apart_from_living_ones(shell: Shell, spool: Spool) -> None:
    spool.node(PEER)
    for name, state, age_s in ((NODE, "serving", 4000), ("n3-00000003", "stopped", 4000), ("n4-00000004", "x", 1e6)):
        spool.node(name, state, age_s=age_s)
        spool.put_away(name)
    lines = shell.ok("gpu_status").lines
    assert f"{NODE}  dead for 1h06m" in lines
    assert "n3-00000003  stopped 1h06m ago" in lines
    assert "and 1 node that stopped or went silent before" in lines


def test_a_node_that_has_come_back_is_no_longer_shown_as_dead(shell: Shell, spool: Spool) -> None:
    spool.node(NODE, age_s=4000)
    spool.put_away(NODE)
    spool.node(NODE)
    said = shell.ok("gpu_status").out
    assert "dead" not in said
    assert "n1  serving" in said.splitlines()
