"""gpu_status, gpu_logs, gpu_explain: what they show, and that it is true."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import re
import shlex
import signal
import subprocess
import time

import pytest

from gpu_queue import Spool as Face
from gpu_queue.reasons import Code, Reason, reason
from gpu_queue.spool.pages import GpuPage, KeepPage, SilentPage, TryPage, WaitPage
from gpu_queue.states import GpuState
from tests.shell.helpers import Shell, Spool, read_until, wait_until

NODE = "n1-00000001"
GPU = GpuPage("GPU-1", 0, "NVIDIA H100", GpuState.BUSY, 80 << 30, 48 << 30, 97, 312.4)
FOUR = reason(Code.GPUS, needed=4, idle=2, busy=2)


def heads(lines: list[str]) -> list[str]:
    """The screen's parts: its first two lines, and what begins at the left."""
    return [line for line in lines if line and not line.startswith(" ")]


def waiting(lines: list[str]) -> list[str]:
    """The lines below WAITING."""
    (at,) = (at for at, line in enumerate(lines) if line.startswith("WAITING"))
    return list(itertools.takewhile(lambda line: line.startswith("  "), lines[at + 1 :]))


def test_status_shows_an_empty_spool_and_how_to_get_an_agent(shell: Shell, spool: Spool) -> None:
    said = shell.ok("gpu_status")
    assert said.lines[0].startswith("exp 1  ")
    assert said.lines[1:] == ["0 nodes", "", "no agent is alive; start one with ./submit.sh exp 1"]
    assert "\033" not in said.out


def test_status_shows_what_waits_in_run_order(shell: Shell, spool: Spool) -> None:
    spool.add("pending", "later.sh", priority=900)
    spool.add("pending", "first.sh", priority=10)
    spool.add("pending", "second.sh", priority=10)
    lines = shell.ok("gpu_status").lines
    assert lines[1] == "0 nodes · 3 waiting"
    assert [line.split()[:3] for line in waiting(lines)] == [
        ["abc002", "first.sh", "010"],
        ["abc003", "second.sh", "010"],
        ["abc001", "later.sh", "900"],
    ]


def test_status_shows_a_dozen_and_counts_the_rest_and_all_if_asked(shell: Shell, spool: Spool) -> None:
    for _ in range(25):
        spool.add("pending")
    lines = shell.ok("gpu_status").lines
    assert lines[1] == "0 nodes · 25 waiting"
    assert [line.split()[0] for line in waiting(lines)] == [*(f"abc{n:03x}" for n in range(1, 13)), "…"]
    assert waiting(lines)[-1] == "  … 13 more like it"
    assert [line.split()[0] for line in waiting(shell.ok("gpu_status --all").lines)] == [
        f"abc{n:03x}" for n in range(1, 26)
    ]


def test_equal_reasons_stand_together_and_each_is_shown(shell: Shell, spool: Spool) -> None:
    other = reason(Code.INFEASIBLE, needed=16, served=8)
    names = [spool.add("pending", f"t{number}.sh") for number in range(40)]
    page = tuple(WaitPage(name, other if n % 10 == 9 else FOUR, "4") for n, name in enumerate(names))
    spool.node(NODE, waiting=page, waiting_count=40)
    lines = waiting(shell.ok("gpu_status").lines)
    assert [line.split()[1] for line in lines if not line.startswith("  …")] == [
        *("t0.sh", "t1.sh", "t2.sh"),
        *("t9.sh", "t19.sh", "t29.sh", "t39.sh"),
    ]
    assert lines[3] == "  … 33 more like it"
    assert [line.split("  ")[-1].strip() for line in lines[:3]] == ["waits for 4 GPUs: 2 idle (2 busy)"] * 3
    assert all(line.endswith("needs 16 GPUs; this node serves 8") for line in lines[4:])


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_a_reason_is_never_cut_but_stands_once_below_its_tasks(shell: Shell, spool: Spool, columns: int) -> None:
    long = reason(
        Code.QUEUE, queue="ablation-of-the-third-kind", holder="20261123T014400001-abcdef-pretrain-7b-again.sh"
    )
    names = [spool.add("pending", f"t{number}.sh") for number in range(5)]
    page = [WaitPage(name, long, "4", tries=2 * (n == 1)) for n, name in enumerate(names)]
    spool.node(NODE, waiting=(*page[:4], WaitPage(names[4], FOUR, "4")), waiting_count=5)
    lines = waiting(shell.ok("gpu_status", COLUMNS=str(columns)).lines)
    told = " ".join(" ".join(lines).split())
    assert told.count("queue ablation-of-the-third-kind is busy with pretrain-7b-again.sh (abcdef)") == 1
    assert told.count("waits for 4 GPUs: 2 idle (2 busy)") == 1
    assert "…" not in told
    (second,) = [line for line in lines if " t1.sh " in line]
    assert second.endswith("  try 3") == (columns > 40)


def test_a_reason_with_many_like_it_says_so_in_the_same_line(shell: Shell, spool: Spool) -> None:
    names = [spool.add("pending", f"t{number}.sh") for number in range(30)]
    spool.node(NODE, waiting=tuple(WaitPage(name, FOUR, "4") for name in names), waiting_count=30)
    assert waiting(shell.ok("gpu_status", COLUMNS="80").lines)[12:] == [
        "    waits for 4 GPUs: 2 idle (2 busy); 18 more like it"
    ]


def test_a_reason_of_a_node_that_cannot_run_it_does_not_hide_that_of_one_which_might(
    shell: Shell, spool: Spool
) -> None:
    full = spool.add("pending", "train.sh")
    spool.node("n1", waiting=(WaitPage(full, reason(Code.INFEASIBLE, needed=4, served=2), "4", 2, "train"),))
    spool.node("n2", waiting=(WaitPage(full, FOUR, "4", 2, "train"),))
    spool.node("n3", waiting=(WaitPage(full, reason(Code.PAUSED), "4", 2, "train"),))
    (line,) = waiting(shell.ok("gpu_status").lines)
    assert line.split()[:3] == ["abc001", "train", "4"]
    assert line.endswith("  waits for 4 GPUs: 2 idle (2 busy) (try 3)")


def test_of_a_task_over_several_nodes_the_node_tells_that_holds_its_gpus(shell: Shell, spool: Spool) -> None:
    full = spool.add("pending", "train.sh")
    assembles = reason(Code.GANG, nodes=2, have=1, who=("n2-00000002",))
    for node, why in (("n1", FOUR), ("n2-00000002", assembles), ("n3", FOUR)):
        spool.node(node, gpus=(GPU,), waiting=(WaitPage(full, why, "2x4", 1, "train"),))
    lines = shell.ok("gpu_status").lines
    told = " ".join(waiting(lines))
    assert "assembles on 2 nodes: 1 of 2 has its GPUs (n2-00000002)" in told
    assert "waits for 4 GPUs" not in told
    assert [line.rpartition("48/80G  ")[2] for line in lines if "48/80G" in line] == [
        "another queue",
        "kept for a task",
        "another queue",
    ]


def test_each_task_stands_once_where_it_runs_and_settled_ones_are_counted(shell: Shell, spool: Spool) -> None:
    full = spool.add(f"running/{NODE}", "train.sh")
    (claim,) = spool.names(f"running/{NODE}")
    run = TryPage(claim, "train.sh", "running", (0,), 200.0, 4 * 3600.0)
    gone = spool.add(f"running/{NODE}", "nobody.sh")
    ended = TryPage("500-ended.try1.abcdef", "ended", "running", (1,), 5.0)
    spool.node(NODE, age_s=-20, gpus=(GPU,), running=(run, ended))  # written long after the claims
    (spool.path / "running" / NODE / "node").touch()
    spool.add("done")
    said = shell.ok("gpu_status")
    assert said.lines[1] == "1 node · 0 of 1 GPU free · 2 running · 1 done"
    (line,) = [line for line in said.lines if full[23:29] in line]
    assert re.fullmatch(r"    0 busy     97%   48/80G  abc001  train\.sh +3m0\ds / 4h00m", line), line
    line = said.lines[said.lines.index("RUNNING, though no agent says so") + 1]
    assert line.split("  ")[1:3] == [gone[23:29], "nobody.sh"]
    assert line.endswith("on n1, try 1")
    assert "ended" not in said.out, "its claim is not there any more"
    assert not any("no agent is alive" in line for line in said.lines)


def test_a_task_on_several_gpus_is_told_once_and_a_later_try_says_so(shell: Shell, spool: Spool) -> None:
    spool.add(f"running/{NODE}", "train.sh")
    (claim,) = spool.names(f"running/{NODE}")
    second = claim.replace(".try1.", ".try2.")
    os.rename(spool.path / "running" / NODE / claim, spool.path / "running" / NODE / second)
    cards = tuple(dataclasses.replace(GPU, uuid=f"GPU-{n}", index=n) for n in range(3))
    spool.node(NODE, gpus=cards, running=(TryPage(second, "my title", "running", (0, 2), 60.0),))
    lines = [line for line in shell.ok("gpu_status").lines if line.startswith("    ")]
    assert [line.split()[0] for line in lines] == ["0", "1", "2"]
    assert "abc001  my title" in lines[0]
    assert lines[0].endswith("  try 2")
    assert "abc001" not in lines[1]
    assert lines[2].endswith("  abc001")


@pytest.mark.parametrize("known_by", ["their indices of tries", "their logs alone"])
def test_failed_ones_of_the_last_day_say_how_they_ended(shell: Shell, spool: Spool, known_by: str) -> None:
    ends = (
        {"outcome": "failed(3)", "reason": "retry 1", "to": "failed"},
        {"outcome": "timed out", "to": "failed"},
        {"outcome": "requeued", "reason": "the agent left", "to": "pending"},
    )
    for end in ends:
        full = spool.add("failed", "训练.sh".replace("训练", "_"), name="训练.sh")
        (spool.path / "records" / f"{full[4:]}.try1.abcdef.json").write_text('{"outcome": "first"}')
        (spool.path / "records" / f"{full[4:]}.try2.abcdef.json").write_text(json.dumps({"protocol": 1, **end}))
        if known_by == "their logs alone":
            spool.log(full, "hello\n")
        else:
            tries = [{"try": number, "token": "abcdef", "status": 3} for number in (1, 2)]
            (spool.path / "records" / f"{full[4:]}.tries.json").write_text(json.dumps({"tries": tries}))
        time.sleep(0.01)  # files of one tick of the kernel's clock have no order
    spool.add("failed", "never.sh")
    lines = shell.ok("gpu_status").lines
    at = lines.index("FAILED in the last day: 4")
    told = [re.sub(r"  \d+s ago +", "  ", line) for line in lines[at + 1 : at + 5]]
    assert [line.split(None, 1)[1].split("  ", 1)[1].strip() for line in told] == [
        "cancelled while it waited, or never started",
        "cancelled while it waited",
        "timed out",
        "exit status 3, retry 1",
    ]
    assert [line.split()[1] for line in told] == ["never.sh", "训练.sh", "训练.sh", "训练.sh"]


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_why_a_task_failed_is_told_whole(shell: Shell, spool: Spool, columns: int) -> None:
    why = "a GPU fell off the bus while it ran, and every retry that it had was used up before"
    full = spool.add("failed", "train.sh")
    record = {"outcome": "failed(3)", "reason": why, "to": "failed"}
    (spool.path / "records" / f"{full[4:]}.try1.abcdef.json").write_text(json.dumps(record))
    (spool.path / "records" / f"{full[4:]}.tries.json").write_text('{"tries": [{"try": 1, "token": "abcdef"}]}')
    lines = shell.ok("gpu_status", COLUMNS=str(columns)).lines
    at = lines.index("FAILED in the last day: 1")
    assert re.fullmatch(r"  abc001  train\.sh +\d+s ago", lines[at + 1])
    assert " ".join(" ".join(itertools.takewhile(lambda line: line.startswith("    "), lines[at + 2 :])).split()) == (
        f"exit status 3, {why}"
    )


def test_the_head_says_how_many_gpus_are_free_and_where_something_is_wrong(shell: Shell, spool: Spool) -> None:
    def gpus(*states: GpuState) -> tuple[GpuPage, ...]:
        return tuple(dataclasses.replace(GPU, index=n, state=state) for n, state in enumerate(states))

    spool.node("n1", gpus=gpus(GpuState.IDLE, GpuState.BUSY, GpuState.IDLE))
    spool.node("n2", state="draining", gpus=gpus(GpuState.IDLE, GpuState.FOREIGN))
    lines = shell.ok("gpu_status").lines
    assert lines[1:3] == ["2 nodes · 2 of 5 GPUs free", ""], "what n2 has is given to nobody; nothing is wrong"
    spool.node("n2", gpus=gpus(GpuState.LOST, GpuState.IDLE, GpuState.LOST, GpuState.UNKNOWN), problems=("a", "b"))
    spool.node("n3", age_s=250, gpus=gpus(GpuState.IDLE))
    spool.node("n4", protocol=7)
    spool.add("running/gone")
    lines = shell.ok("gpu_status").lines
    assert lines[1] == "2 nodes · 3 of 7 GPUs free · 1 running"
    assert " ".join(itertools.takewhile(bool, lines[2:])) == (
        "look at: n2 (GPU 0,2 lost, GPU 3 unknown, a note) · n4 (of another version) · n3 (silent)"
        " · 1 task without an agent"
    )


def test_of_many_gpus_those_that_are_lost_are_shown_still(shell: Shell, spool: Spool) -> None:
    cards = [dataclasses.replace(GPU, index=n, uuid=f"GPU-{n}") for n in range(41)]
    cards[7] = dataclasses.replace(cards[7], state=GpuState.LOST, problem="fell off the bus")
    spool.node(NODE, gpus=tuple(cards))
    lines = shell.ok("gpu_status").lines
    assert [line.split()[:2] for line in lines if line.startswith("   ")] == [["7", "lost"]]
    assert any(line.endswith("  fell off the bus") for line in lines)


def test_two_gpus_in_a_line_leave_room_for_a_tasks_limit(shell: Shell, spool: Spool) -> None:
    full = spool.add(f"running/{NODE}", "train.sh")
    (claim,) = spool.names(f"running/{NODE}")
    run = TryPage(claim, "pretrain-7b.sh", "running", (0,), 50123.0, 86400.0)
    cards = tuple(dataclasses.replace(GPU, index=n, state=GpuState.IDLE if n else GpuState.BUSY) for n in range(2))
    spool.node(NODE, gpus=cards, running=(run,))

    def shown(columns: int) -> str:
        (line,) = [line for line in shell.ok("gpu_status", COLUMNS=str(columns)).lines if full[23:29] in line]
        return re.sub(" +", " ", line)

    assert shown(120) == " 0 busy 97% abc001 pretrain-7b.sh 13h55m / 1d00h 1 idle 97% 48/80G"
    assert shown(140) == " 0 busy 97% 48/80G abc001 pretrain-7b.sh 13h55m / 1d00h 1 idle 97% 48/80G"


@pytest.mark.parametrize(
    ("size_bytes", "shown"),
    [
        (1023, "?/1023B"),
        (1024, "?/1K"),
        (1536 << 10, "?/1.5M"),
        (80 << 30, "?/80G"),
        (85485158400, "?/79.6G"),
        (3 << 40, "?/3T"),
    ],
)
def test_sizes_are_shown_as_people_write_them(shell: Shell, spool: Spool, size_bytes: int, shown: str) -> None:
    spool.node(NODE, gpus=(GpuPage("GPU-1", 0, "H100", GpuState.IDLE, size_bytes, None),))
    (line,) = [line for line in shell.ok("gpu_status").lines if line.startswith("    0 idle")]
    assert line.split()[2:] == ["?", shown]


def test_status_marks_a_node_whose_beat_is_old_and_leaves_out_what_is_no_longer_true(
    shell: Shell, spool: Spool
) -> None:
    full, waits = spool.add(f"running/{NODE}", "a"), spool.add("pending", "b")
    (claim,) = spool.names(f"running/{NODE}")
    spool.node(
        NODE,
        age_s=250,
        ends_s=7200.0,
        beat_s=0.0,
        gpus=(GPU,),
        running=(TryPage(claim, "a", "running", (0,), 180.0),),
        waiting=(WaitPage(waits, FOUR),),
        waiting_count=3,
        watching=(SilentPage("n9", 1, 0, 60.0, 600.0),),
    )
    said = shell.ok("gpu_status")
    (at,) = (
        at
        for at, line in enumerate(said.lines)
        if re.fullmatch(r"n1  last sign of life 4m1\ds ago: its agent seems to be gone", line)
    )
    # What ran there is told, and for how long by now; its GPUs, what it was to end and what it said are not.
    assert re.fullmatch(rf"    0 running  {full[23:29]}  a +7m1\ds", said.lines[at + 1]), said.lines[at + 1]
    assert said.lines[at + 2] == ""
    assert not re.search("busy|97%|ends in|waits for|n9|not heard", said.out)
    assert said.lines[1] == "0 nodes · 1 running · 1 waiting"
    assert said.lines[-1].startswith("no agent is alive")
    assert spool.names("control") == []


def test_the_lifetime_left_and_an_old_beat_are_told_of_a_living_node(shell: Shell, spool: Spool) -> None:
    spool.node(NODE, age_s=30, ends_s=7200.0, beat_s=0.0, gpus=(GPU,))
    (line,) = [line for line in shell.ok("gpu_status").lines if line.startswith("n1")]
    assert re.fullmatch(r"n1  serving  1 × NVIDIA H100  ends in 2h00m  as of 3\ds ago", line), line


def test_two_nodes_of_one_host_keep_their_whole_names(shell: Shell, spool: Spool) -> None:
    for name in ("n1-00000001", "n1-00000002", "n2-00000003"):
        spool.node(name)
    assert heads(shell.ok("gpu_status").lines)[2:] == [
        "n1-00000001  serving",
        "n1-00000002  serving",
        "n2  serving",
    ]


def test_status_shows_a_stopped_node_in_one_line_and_counts_those_of_another_day(shell: Shell, spool: Spool) -> None:
    spool.node("n1-00000001", state="stopped", age_s=3 * 3600 + 5, gpus=(GPU,))
    for number in range(2, 6):
        spool.node(f"n{number}-00000001", state="stopped", age_s=90000)
    said = shell.ok("gpu_status")
    at = said.lines.index("n1  stopped 3h00m ago")
    assert said.lines[at - 1 : at + 3] == ["", said.lines[at], "and 4 nodes that stopped or went silent before", ""]
    assert not re.search("busy|n2", said.out)


def test_keep_alive_is_told_only_where_it_is_unusual_and_once_for_equal_gpus(shell: Shell, spool: Spool) -> None:
    keeps = (
        KeepPage("off", "a task has it"),
        KeepPage("holding", duty=0.8),
        *(KeepPage("off", "no torch here"),) * 3,
    )
    cards = tuple(
        dataclasses.replace(
            GPU, uuid=f"GPU-{n}", index=n, state=GpuState.IDLE if n else GpuState.BUSY, keepalive=keep
        )
        for n, keep in enumerate(keeps)
    )
    spool.node(NODE, gpus=cards)
    lines = [line for line in shell.ok("gpu_status").lines if "keep-alive" in line]
    assert [line.split()[:2] for line in lines] == [["1", "idle"], ["keep-alive", "off"]]
    assert lines[1] == "  keep-alive off on GPU 2,3,4: no torch here"


def test_status_shows_hand_drops_and_counts_what_is_skipped(shell: Shell, spool: Spool) -> None:
    for name in ("dropped by hand.sh", "new\nline.sh", ".hidden", "x.swp", "y~"):
        (spool.path / "pending" / name).write_text("true\n")
    for number in range(150):
        spool.add("pending", f"t{number}.sh")
    spool.node(NODE)  # which tells of none of them
    lines = shell.ok("gpu_status").lines
    assert lines[1] == "1 node · 152 waiting"
    for told in (lines, shell.ok("gpu_status --all").lines):
        drops = [line.split("  ") for line in told if line.endswith("dropped by hand")]
        assert [next(word for word in line if word) for line in drops] == ["dropped by hand.sh", "new?line.sh"]
        assert any(line.startswith("  3 skipped: ") for line in told)


def test_of_thousands_of_waiting_tasks_each_is_told_once_and_what_is_no_task_is_not(
    shell: Shell, spool: Spool
) -> None:
    """Names that only look like tasks, a claim that somebody moved back, and hand drops before and behind them."""
    full = [f"{n % 3:03d}-20261123T0144{n:05d}-{n:06x}-t.sh" for n in range(2000)]
    back = "001-20261123T014400001-aaaaaa-back.sh.try1.abcdef"
    odd = ("000-20261123T014400001-aaaaaa-odd name.sh", "002-20261123T014400001-bbbbbb-", "000-drop.sh", "zz.sh")
    for name in (*full, back, *odd):
        (spool.path / "pending" / name).touch()
    said = shell.ok("gpu_status --plain")
    rows = [line.split("\t") for line in said.lines]
    told = [f"{row[3]}-{row[2]}" for row in rows if row[:2] == ["task", "waiting"]]
    assert told == sorted([*full, back.removesuffix(".try1.abcdef")])
    assert sorted(row[1] for row in rows if row[0] == "drop") == sorted(odd)
    assert shell.ok("gpu_status").lines[1] == "0 nodes · 2005 waiting"


def test_status_says_how_the_queue_is_kept_served_or_why_no_longer(shell: Shell, spool: Spool) -> None:
    allocations = spool.path / "allocations"
    allocations.mkdir()
    (allocations / "keep").write_text("slots 2\nway moon\n")
    for name in ("slot-1.3", "slot-1.3.began", "slot-1.12", "slot-2.1", "slot-x.9", "slot-1.1.1"):
        (allocations / name).touch()
    assert "kept served by at most 2 allocations at a time; next: 1.13, 2.2\n" in shell.run("gpu_status").out
    assert "flag\tkeep\tkept served by at most 2" in shell.run("gpu_status --plain").out
    (allocations / "keep").rename(allocations / "keep-paused")
    (allocations / "keep-paused").write_bytes(b"three \x1b[31mfailed\nslots 2\n")
    assert "kept served no longer: three  [31mfailed; ./submit.sh --keep begins anew\n" in shell.run("gpu_status").out
    assert "flag\tkeep-paused\t" in shell.run("gpu_status --plain").out


def test_status_says_that_it_is_paused_by_whom_and_why(shell: Shell, spool: Spool) -> None:
    said = shell.ok(
        "gpu_pause 'new driver'; gpu_drain; gpu_status; gpu_resume; gpu_status | \\command grep -c paused || :"
    )
    assert any(line.startswith("paused: alice@") and "new driver; gpu_resume ends it" in line for line in said.lines)
    assert any(line.startswith("draining: alice@") for line in said.lines)
    assert said.lines[-1] == "0"
    assert not (spool.path / "paused").exists()


def test_what_the_head_has_said_of_a_pause_is_not_said_again_for_each_node(shell: Shell, spool: Spool) -> None:
    (spool.path / "paused").write_text("alice: new driver\n")
    for number in range(3):
        spool.node(f"n{number}", state="paused", reason=reason(Code.PAUSED, by="alice: new driver"))
    spool.node("n3", state="draining", reason=reason(Code.DRAINING, cause="lifetime"))
    for language in ("C.UTF-8", "zh_CN.UTF-8"):
        assert shell.ok("gpu_status", LC_ALL=language).out.count("new driver") == 1
    assert "lifetime" in shell.ok("gpu_status").out


def test_status_watches_until_it_is_interrupted(shell: Shell, spool: Spool) -> None:
    process = shell.start("gpu_status --watch")
    read_until(process, "exp 1")
    spool.add("pending", "late.sh")
    read_until(process, "late.sh")
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode != 0


def test_logs_lists_the_newest_each_by_a_path_that_can_be_pasted(shell: Shell, spool: Spool) -> None:
    full = spool.add("done", "train.sh")
    spool.log(full, "hello\n")
    (line,) = shell.ok("gpu_logs").lines
    nonce, path = line.split(maxsplit=1)
    assert nonce == full[23:29]
    assert shell.ok(f"\\cat {path}").out == "hello\n"


def test_paths_of_plain_names_are_shown_as_they_are(shell: Shell) -> None:
    plain = Shell(shell.program, shell.home, shell.home / "队列", "exp-1")
    spool = plain.spool.make()
    log = spool.log(spool.add("failed", "train.sh"), "hello\n")
    assert plain.ok("gpu_logs").lines == [f"  abc001  {log}"]
    assert f"the end of {log}" in plain.ok("gpu_explain train").lines


def test_logs_of_a_name_prefer_the_newest_task_that_has_one(shell: Shell, spool: Spool) -> None:
    spool.log(spool.add("done", "train.sh"), "oldest\n")
    spool.log(spool.add("done", "train.sh"), "older\n", ".try2.abcdef")
    spool.add("failed", "train.sh")
    spool.add("pending", "train.sh")
    assert shell.ok("gpu_logs train").out == "older\n"


def test_logs_of_a_task_that_has_not_started_say_why(shell: Shell, spool: Spool) -> None:
    full = spool.add("pending", "train.sh")
    said = shell.run("gpu_logs train")
    assert said.err == (
        "gpu_logs: train.sh (abc001) has not started yet: no agent is alive; start one with ./submit.sh exp 1\n"
    )
    spool.node(NODE, waiting=(WaitPage(full, FOUR),))
    said = shell.run("gpu_logs train")
    assert (said.status, said.out) == (1, "")
    assert said.err == "gpu_logs: train.sh (abc001) has not started yet: waits for 4 GPUs: 2 idle (2 busy)\n"


def test_logs_of_a_file_dropped_by_hand_say_that_there_are_none(shell: Shell, spool: Spool) -> None:
    (spool.path / "pending" / "drop.sh").write_text("true\n")
    assert "was dropped by hand and has no log before it runs" in shell.run("gpu_logs drop").err


@pytest.mark.parametrize("way", ["claimed", "requeued"])
@pytest.mark.parametrize(("command", "status"), [("gpu_logs", 0), ("gpu_explain", 0), ("gpu_wait --timeout 0", 124)])
def test_a_task_that_moves_on_while_it_is_looked_for_is_found(
    shell: Shell, spool: Spool, way: str, command: str, status: int
) -> None:
    """Claimed when running/ was listed already, or requeued when pending/ was."""
    full = spool.add("pending", "train.sh")
    spool.log(full, "hello\n")
    (spool.path / "running" / NODE).mkdir(parents=True)
    places = [spool.path / "pending" / full, spool.path / "running" / NODE / f"{full}.try1.abcdef"]
    if way == "requeued":
        places[0].rename(places[1])
        places.reverse()
    source, target = (shlex.quote(str(place)) for place in places)
    move = f"[ $1 != running ] || [ ! -e {source} ] || command mv {source} {target}"
    listing = '__gpu_listing "$@"'
    steps = [listing, move] if way == "claimed" else [move, listing]
    shell.hostile = False
    script = f"""
eval "$(typeset -f __gpu_tasks | \\command sed 's/^__gpu_tasks/__gpu_listing/')"
__gpu_tasks() {{ {"; ".join(steps)}; }}
{command} {full}
"""
    said = shell.run(script)
    assert said.status == status, said


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
    spool.node(NODE, waiting=(WaitPage("x", Reason(Code.UNREAD)), WaitPage(full, FOUR), WaitPage("y", FOUR)))
    (line,) = shell.ok("gpu_explain train").lines
    assert re.fullmatch(r"train\.sh \(abc001\) has waited for \w+: waits for 4 GPUs: 2 idle \(2 busy\)", line)
    other = "n2-00000002"
    spool.node(other, waiting=(WaitPage(full, reason(Code.INFEASIBLE, needed=4, served=2)),))
    spool.node("n3-00000003", waiting=(WaitPage(full, FOUR),))
    lines = shell.ok("gpu_explain train").lines[1:]
    assert lines == ["  n1, n3: waits for 4 GPUs: 2 idle (2 busy)", "  n2: needs 4 GPUs; this node serves 2"]


def test_reasons_are_told_in_the_language_of_the_shell(shell: Shell, spool: Spool) -> None:
    full = spool.add("pending", "train.sh")
    spool.node(NODE, waiting=(WaitPage(full, FOUR),), reason=reason(Code.PAUSED, by="alice: 维护"))
    (line,) = shell.ok("gpu_explain train", LC_ALL="zh_CN.UTF-8").lines
    assert re.fullmatch(r"train\.sh \(abc001\) 已等待 \w+：等待 4 张 GPU：空闲 2 张（2 张在用）", line)
    assert "  队列已暂停（alice: 维护）" in shell.ok("gpu_status", LC_ALL="", LANG="zh_CN.UTF-8").lines
    assert "  the spool is paused (alice: 维护)" in shell.ok("gpu_status", LC_ALL="C", LANG="zh_CN.UTF-8").lines


def test_explain_asks_the_agents_where_nothing_is_written(shell: Shell, spool: Spool) -> None:
    full = spool.add("pending", "train.sh")
    spool.node(NODE)
    process = shell.start("gpu_explain train")
    wait_until(spool.commands)
    ((entry, command),) = spool.commands()
    assert (command["command"], command["tasks"], command["to"]) == ("explain", [full], [f"{NODE}/{NODE}1"])
    spool.answer(entry, NODE, f"{full}: it is paused")
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, f"{NODE}: {full}: it is paused\n"), err


@pytest.mark.parametrize(
    ("state", "word"), [("done", "is done: succeeded"), ("failed", "has failed: exit status 3, retry 1")]
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


def test_explain_of_a_running_task_says_on_what_and_how_long(shell: Shell, spool: Spool) -> None:
    full = spool.add(f"running/{NODE}", "train.sh")
    (claim,) = spool.names(f"running/{NODE}")
    tries = (
        TryPage(f"{full}.try1.000000", "other", "running", (3,), 540.0),
        TryPage(claim, "train.sh", "running", (0, 1), 180.0, 4 * 3600.0),
    )
    spool.node(NODE, running=tries)
    where = f"train.sh (abc001) runs on {NODE}, try 1"
    (told,) = shell.ok("gpu_explain train").lines
    seconds = r", GPU 0,1, 3m0[0-9]s / 4h00m; gpu_tail abc001 follows its log"
    assert re.fullmatch(re.escape(where) + seconds, told), told
    spool.node(NODE, running=tries, age_s=250)
    told = shell.ok("gpu_explain train").out
    assert re.match(re.escape(f"{where}, whose last sign of life was 4m1") + "[0-9]s ago; ", told), told


def test_explain_does_not_repeat_what_a_dead_node_said(shell: Shell, spool: Spool) -> None:
    full = spool.add("pending", "train.sh")
    spool.node(NODE, waiting=(WaitPage(full, FOUR),), age_s=250)
    assert shell.ok("gpu_explain train").lines == ["no agent is alive; start one with ./submit.sh exp 1"]


def test_the_queue_beside_an_experiment_file_is_served_by_gpu_queue_run(shell: Shell, spool: Spool) -> None:
    own = Spool(spool.path.parent / ".gpu-queue" / spool.path.name).make()
    own.add("pending", "train.sh")
    there = {"QUEUE_ROOT": str(own.path.parent)}
    assert shell.ok("gpu_explain train", **there).lines == ["no agent is alive; start one with ./submit.sh exp 1"]
    file = spool.path.parent / f"{spool.path.name}.yaml"
    file.touch()
    (said,) = shell.ok("gpu_explain train", **there).lines
    words, _, typed = said.partition("gpu-queue run ")
    assert words == "no agent is alive; start one with "
    assert subprocess.check_output(["bash", "-c", f"printf %s {typed}"], text=True) == str(file)
    assert "start one with gpu-queue run" in " ".join(shell.ok("gpu_status", **there).lines)


def test_explain_tells_where_a_task_runs_and_what_was_cancelled(shell: Shell, spool: Spool) -> None:
    spool.add(f"running/{NODE}", "train.sh")
    assert f"runs on {NODE}, try 1" in shell.ok("gpu_explain train").out
    spool.add("failed", "other.sh")
    assert "cancelled while it waited" in shell.ok("gpu_explain other").out


def test_status_tells_of_a_node_of_another_protocol_and_counts_no_agent(shell: Shell, spool: Spool) -> None:
    spool.node(NODE, protocol=7, gpus=(GPU,), problems=("what it says is not for us",))
    said = shell.ok("gpu_status", COLUMNS="120")
    assert "n1  speaks another version of the protocol; use the client that came with it" in said.lines
    assert said.lines[1] == "0 nodes"
    assert said.lines[-1].startswith("no agent is alive")
    assert not re.search("what it says is not for us|busy", said.out)
    assert shell.ok("gpu_list").lines[1].split()[-1] == "0"
    spool.add("pending", "train.sh")
    assert shell.ok("gpu_explain train").lines == ["no agent is alive; start one with ./submit.sh exp 1"]
    assert spool.names("control") == []


def test_status_counts_what_is_no_regular_file_as_ignored(shell: Shell, spool: Spool) -> None:
    (spool.path / "pending" / "folder").mkdir()
    os.mkfifo(spool.path / "pending" / "pipe")
    (spool.path / "pending" / "link.sh").symlink_to("/dev/null")
    (spool.path / "pending" / "drop.sh").write_text("true\n")
    lines = shell.ok("gpu_status").lines
    assert [line.split()[0] for line in waiting(lines)] == ["drop.sh", "3"]
    assert "  3 ignored: directories, links and whatever else is no regular file are not run" in lines
    assert lines[1] == "0 nodes · 1 waiting"


def test_explain_of_a_task_cancelled_after_a_try_says_that_it_was_cancelled(shell: Shell, spool: Spool) -> None:
    full = spool.add("failed", "train.sh")
    record = spool.path / "records" / f"{full[4:]}.try2.abcdef.json"
    record.write_text('{"outcome": "requeued", "reason": "the agent left", "to": "pending", "token": "failed"}')
    assert shell.ok("gpu_explain train").lines == [
        "train.sh (abc001) was cancelled while it waited, after try 2; gpu_retry abc001 queues it again"
    ]
    record.write_text('{"outcome": "failed(3)", "to": "failed"}')
    assert "train.sh (abc001) has failed: exit status 3; " in shell.ok("gpu_explain train").out


def test_a_page_that_is_no_page_makes_nobody_stumble(shell: Shell, spool: Spool) -> None:
    hostile = [
        b"",
        b"agent\n",
        b"agent\t1\tn\ti\tserving\n\x1b[31mnote\t\x1b]0;x\x07\x9b\nnote\n",
        b"agent\t1\tn\ti\tserving\t1\ta[$(touch pwned)]\t-\t-\t-\ntry\tx\ty\t0\ta[$(touch pwned)]\n",
        b"agent\t1\tn\ti\tserving\t1\t-\t-\t-\t-\nwaiting\ta[$(touch pwned)]\ngpu\t*\t*\t*\t*\t*\t*\t*\t*\t*\n",
        b"agent\t1\tn\t*\t*\nkeepalive\t0\tholding\t" + b"9" * 40 + b"\t08\t-\t08\t-\t-\nwatch\tn\t$(id)\n",
        bytes(range(1, 256)) * 40,
    ]
    for number, content in enumerate(hostile):
        spool.node(f"n{number}")
        (spool.path / "nodes" / f"n{number}.tsv").write_bytes(content)
    for ending in ("tsv", "json"):
        os.mkfifo(spool.path / "nodes" / f"pipe.{ending}")
        (spool.path / "nodes" / f"folder.{ending}").mkdir()
    (spool.path / "nodes" / "\x1b[31m.json").write_text('{"protocol": 1, "state": "serving"}')
    (spool.path / "nodes" / "n8.json").write_text('{"protocol": 1, "state": "protocol \x1b[31m"}')
    spool.node(NODE, gpus=(GPU,))
    full = spool.add("pending", "train.sh")
    said = shell.ok("gpu_status; gpu_status --all; gpu_status --plain; gpu_status --json; gpu_keepalive status")
    assert said.lines.count("    0 busy     97%   48/80G  another queue") == 2
    assert len([line for line in said.lines if line.startswith(f"  {full[23:29]}  train.sh")]) == 2
    assert said.err == ""
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f]", said.out)


UNSEEN = "\x9b31m|\u202e|\u2066|\u200f|\x80\x9f°"


def test_what_turns_a_terminal_or_the_direction_of_writing_is_not_shown(shell: Shell, spool: Spool) -> None:
    spool.node(NODE, gpus=(GPU,))
    page = spool.path / "nodes" / f"{NODE}.tsv"
    page.write_bytes(page.read_bytes() + f"note\t{UNSEEN}é…（占用）\n".encode())
    (spool.path / "pending" / f"{UNSEEN}é.sh").write_text("true\n")
    (spool.path / "paused").write_text(f"{UNSEEN}é\n")
    said = shell.ok("gpu_status").out
    assert "  note: ?31m|?|?|?|??°é…（占用）\n" in said
    assert re.search(r"^ +\?31m\|\?\|\?\|\?\|\?\?°é\.sh  .*dropped by hand$", said, re.MULTILINE)
    assert "paused: ?31m|?|?|?|??°é; gpu_resume ends it\n" in said


def test_an_answer_of_a_node_sends_no_escape_codes_to_the_terminal(shell: Shell, spool: Spool) -> None:
    spool.add("pending", "train.sh")
    spool.node(NODE)
    process = shell.start("gpu_explain train")
    wait_until(spool.commands)
    ((entry, _),) = spool.commands()
    spool.answer(entry, NODE, f"a\x1b[31m{UNSEEN}\nb\n")
    out, _ = process.communicate(timeout=10)
    assert "a?[31m?31m|?|?|?|??°\n" in out
    assert f"{NODE}: b\n" in out


def test_an_agent_of_a_version_before_pages_in_lines_is_seen_and_reached(shell: Shell, spool: Spool) -> None:
    spool.node(NODE, default_gpus=2)
    (spool.path / "nodes" / f"{NODE}.tsv").unlink()
    (spool.path / "nodes" / f"{NODE}.txt").write_text("as it was shown before\n")
    lines = shell.ok("gpu_status").lines
    assert any(line.startswith("n1  speaks another version of the protocol") for line in lines)
    assert not any("no agent is alive" in line for line in lines)
    assert "the default" in shell.ok(f"gpu_submit {shell.file('train.sh', 'true')}").err
    process = shell.start("gpu_shutdown")
    wait_until(spool.commands)
    ((entry, command),) = spool.commands()
    assert (command["command"], command["to"]) == ("shutdown", [f"{NODE}/{NODE}1"])
    spool.answer(entry, NODE, "bye")
    out, _ = process.communicate(timeout=10)
    assert (process.returncode, f"{NODE}: bye" in out) == (0, True)


def test_lines_without_their_json_are_no_node(shell: Shell, spool: Spool) -> None:
    spool.node(NODE, age_s=250)
    (spool.path / "nodes" / f"{NODE}.json").unlink()
    assert not any(line.startswith("n1") for line in shell.ok("gpu_status").lines)


def test_a_task_that_has_just_been_claimed_starts_and_alarms_nobody(shell: Shell, spool: Spool) -> None:
    """Its node's page tells of it some seconds later; where the page is still newer, nobody tells of it."""
    spool.node(NODE, age_s=5)
    spool.add(f"running/{NODE}", "young.sh")
    said = shell.ok("gpu_status").out
    assert re.search(r"\nSTARTING\n  \w{6}  young.sh +on n1\n", said), said
    assert "RUNNING, though" not in said
    spool.node(NODE)  # the agent prepares it
    assert "\nSTARTING\n" in shell.ok("gpu_status").out
    spool.node(NODE, age_s=-20)
    said = shell.ok("gpu_status").out
    assert re.search(r"\nRUNNING, though no agent says so\n  \w{6}  young.sh +on n1, try 1\n", said), said
    assert "STARTING" not in said


# -- over several nodes ---------------------------------------------------------------------------------------------


def test_a_task_over_two_nodes_is_shown_on_the_gpus_of_both_and_each_rank_is_told(shell: Shell, spool: Spool) -> None:
    full = spool.add(f"running/{NODE}")
    (claim,) = (name for name in spool.names(f"running/{NODE}") if name.startswith(full))
    other, member = "n2-0000abcd", f"{claim[:-6]}0a0b0c"
    gpus = (GpuPage("GPU-0", 0, "H100", GpuState.BUSY, 80 << 30),)
    spool.node(NODE, gpus=gpus, running=(TryPage(claim, "train.sh", "running", (0,), 65.0, nodes=2),))
    parts = (TryPage(member, "train.sh", "running", (0,), 64.0, rank=1, nodes=2, of=claim),)
    spool.node(other, gpus=gpus, running=parts)
    lines = shell.ok("gpu_status").lines
    assert "1 running" in lines[0] + lines[1]
    assert len([line for line in lines if "0 busy" in line and "abc001  train.sh" in line]) == 2
    assert "another queue" not in "".join(lines)
    (task,) = json.loads(shell.ok("gpu_status --json").out)["tasks"]
    assert (task["node"], task["gpus"], task["title"]) == (NODE, "1", "train.sh")
    told = shell.ok("gpu_explain train.sh")
    assert told.lines[0].startswith(f"train.sh (abc001) runs on {NODE}, try 1")
    assert told.lines[1] == f"  rank 1 runs on {other}, GPU 0; gpu_tail abc001 --rank 1 follows its log"
    face = Face("exp 1", spool.path.parent)
    assert face.explain("train.sh").lines == (f"it runs on {NODE}, try 1", f"rank 1 runs on {other}")


def test_of_a_task_over_two_nodes_that_failed_the_end_of_the_log_that_tells_why_is_shown(
    shell: Shell, spool: Spool
) -> None:
    full = spool.add("failed")
    record = {
        "id": full[4:],
        "try": 1,
        "token": "abcdef",
        "outcome": "failed(3)",
        "reason": "rank 1 on n2: failed(3)",
    }
    (spool.path / "records" / f"{full[4:]}.try1.abcdef.json").write_text(json.dumps({"protocol": 1, **record}))
    spool.log(full, "of rank 0\n")
    assert "of rank 0" in shell.ok("gpu_explain train.sh").out
    spool.log(full, "what went wrong\n", ".rank1")
    told = shell.ok("gpu_explain train.sh").out
    assert "exit status 3, rank 1 on n2: failed(3)" in told
    assert told.endswith("what went wrong\n")
