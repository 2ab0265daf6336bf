"""gpu_status, gpu_logs, gpu_explain: what they show, and that it is true."""

from __future__ import annotations

import os
import re
import shlex
import signal

import pytest

from gpu_queue.reasons import Code, Reason, reason
from gpu_queue.spool.pages import GpuPage, SilentPage, TryPage, WaitPage
from gpu_queue.states import GpuState
from tests.shell.helpers import Shell, Spool, read_until, wait_until

NODE = "n1-00000001"
GPU = GpuPage("GPU-1", 0, "NVIDIA H100", GpuState.BUSY, 80 << 30, 48 << 30, 97, 312.4)
FOUR = reason(Code.GPUS, needed=4, idle=2, busy=2)


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
    spool.node(NODE, gpus=(GPU,))
    full = spool.add(f"running/{NODE}", "train.sh")
    (spool.path / "running" / NODE / "node").touch()
    spool.add("done")
    spool.add("failed")
    spool.add("failed")
    lines = shell.ok("gpu_status").lines
    assert "  GPU 0  busy      97%     48G of 80G      312 W  NVIDIA H100" in lines
    assert "running 1" in lines
    assert f"  500  {full[23:29]}  train.sh  on {NODE}, try 1" in lines
    assert {"done 1", "failed 2"} <= set(lines)
    assert not any("no agent is alive" in line for line in lines)


@pytest.mark.parametrize(
    ("size_bytes", "shown"),
    [
        (0, "0B"),
        (1023, "1023B"),
        (1024, "1K"),
        (1536 << 10, "1.5M"),
        (80 << 30, "80G"),
        (85485158400, "79.6G"),
        (3 << 40, "3T"),
    ],
)
def test_sizes_are_shown_as_people_write_them(shell: Shell, spool: Spool, size_bytes: int, shown: str) -> None:
    spool.node(NODE, gpus=(GpuPage("GPU-1", 0, "H100", GpuState.IDLE, size_bytes, None),))
    (line,) = [line for line in shell.ok("gpu_status").lines if line.startswith("  GPU 0")]
    assert line.split()[4:7] == ["?", "of", shown]


def test_status_marks_a_node_whose_beat_is_old_and_leaves_out_what_is_no_longer_true(
    shell: Shell, spool: Spool
) -> None:
    spool.node(
        NODE,
        age_s=250,
        ends_s=7200.0,
        beat_s=0.0,
        gpus=(GPU,),
        running=(TryPage("a.try1.abcdef", "a", "running", (0,), 180.0),),
        waiting=(WaitPage("b", Reason(Code.NEXT)),),
        waiting_count=3,
        watching=(SilentPage("n9", 1, 0, 60.0, 600.0),),
    )
    lines = shell.ok("gpu_status").lines
    (at,) = (
        at
        for at, line in enumerate(lines)
        if re.fullmatch(f"node {NODE}  last beat 4m1[0-9]s ago: its agent seems to be gone", line)
    )
    assert lines[at + 1 : at + 3] == ["  running  a.try1.abcdef  GPU 0  3m00s", ""]
    assert not any(
        line.startswith(("  GPU", "  waits", "  watches", "  …", f"node {NODE}  serving")) for line in lines
    )
    assert lines[-1].startswith("no agent is alive")
    assert spool.names("control") == []


def test_status_shows_a_stopped_node_in_one_line_and_counts_those_of_another_day(shell: Shell, spool: Spool) -> None:
    spool.node("n1-00000001", state="stopped", age_s=3 * 3600 + 5, gpus=(GPU,))
    for number in range(2, 6):
        spool.node(f"n{number}-00000001", state="stopped", age_s=90000)
    lines = shell.ok("gpu_status").lines
    at = lines.index("node n1-00000001  stopped 3h00m ago")
    assert lines[at - 1 : at + 3] == ["", lines[at], "and 4 nodes gone for more than a day", ""]
    assert not any("GPU" in line or "n2-" in line for line in lines)


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
        "gpu_pause 'new driver'; gpu_drain; gpu_status; gpu_resume; gpu_status | \\command grep -c paused || :"
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
    assert said.err == f"gpu_logs: train.sh (abc001) has not started yet: {NODE}: waits for 4 GPUs: 2 idle (2 busy)\n"


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
eval "$(typeset -f __gpu_tasks | command sed 's/^__gpu_tasks/__gpu_listing/')"
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
    assert shell.ok("gpu_explain train").lines == [f"{NODE}: waits for 4 GPUs: 2 idle (2 busy)"]


def test_reasons_are_told_in_the_language_of_the_shell(shell: Shell, spool: Spool) -> None:
    full = spool.add("pending", "train.sh")
    spool.node(NODE, waiting=(WaitPage(full, FOUR),), reason=reason(Code.PAUSED, by="alice: 维护"))
    assert shell.ok("gpu_explain train", LC_ALL="zh_CN.UTF-8").lines == [
        f"{NODE}: 等待 4 张 GPU：空闲 2 张（2 张在用）"
    ]
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


def test_explain_of_a_running_task_says_on_what_and_how_long(shell: Shell, spool: Spool) -> None:
    full = spool.add(f"running/{NODE}", "train.sh")
    (claim,) = spool.names(f"running/{NODE}")
    tries = (
        TryPage(f"{full}.try1.000000", "other", "running", (3,), 540.0),
        TryPage(claim, "train.sh", "running", (0, 1), 180.0, 4 * 3600.0),
    )
    spool.node(NODE, running=tries)
    where = f"train.sh (abc001) runs on {NODE}, try 1"
    assert shell.ok("gpu_explain train").lines == [
        f"{where}, GPU 0,1, for 3m00s of 4h00m; gpu_tail abc001 follows its log"
    ]
    spool.node(NODE, running=tries, age_s=250)
    told = shell.ok("gpu_explain train").out
    assert re.match(re.escape(f"{where}, whose last beat was 4m1") + "[0-9]s ago; ", told), told


def test_explain_does_not_repeat_what_a_dead_node_said(shell: Shell, spool: Spool) -> None:
    full = spool.add("pending", "train.sh")
    spool.node(NODE, waiting=(WaitPage(full, FOUR),), age_s=250)
    assert shell.ok("gpu_explain train").lines == ["no agent is alive; start one with ./submit.sh exp 1"]


def test_explain_tells_where_a_task_runs_and_what_was_cancelled(shell: Shell, spool: Spool) -> None:
    spool.add(f"running/{NODE}", "train.sh")
    assert f"runs on {NODE}, try 1" in shell.ok("gpu_explain train").out
    spool.add("failed", "other.sh")
    assert "cancelled while it waited" in shell.ok("gpu_explain other").out


def test_status_tells_of_a_node_of_another_protocol_and_counts_no_agent(shell: Shell, spool: Spool) -> None:
    spool.node(NODE, protocol=7, problems=("what it says is not for us",))
    lines = shell.ok("gpu_status").lines
    assert f"node {NODE} speaks protocol 7; use the client that came with it" in lines
    assert lines[-1].startswith("no agent is alive")
    assert not any("what it says is not for us" in line for line in lines)
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
    assert [line for line in lines if "settling" in line] == ["  settling or waiting  drop.sh"]
    assert "  3 ignored: directories, links and whatever else is no regular file are not run" in lines
    assert "dropped by hand 1" in lines


def test_explain_of_a_task_cancelled_after_a_try_says_that_it_was_cancelled(shell: Shell, spool: Spool) -> None:
    full = spool.add("failed", "train.sh")
    record = spool.path / "records" / f"{full[4:]}.try2.abcdef.json"
    record.write_text('{"outcome": "requeued", "reason": "the agent left", "to": "pending", "token": "failed"}')
    assert shell.ok("gpu_explain train").lines == [
        "train.sh (abc001) was cancelled while it waited, after try 2; gpu_retry abc001 queues it again"
    ]
    record.write_text('{"outcome": "failed(3)", "to": "failed"}')
    assert "train.sh (abc001) has failed: failed(3); " in shell.ok("gpu_explain train").out


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
    said = shell.ok("gpu_status; gpu_keepalive status")
    assert "  GPU 0  busy      97%     48G of 80G      312 W  NVIDIA H100" in said.lines
    assert f"  500  {full[23:29]}  train.sh" in said.lines
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
    assert "  settling or waiting  ?31m|?|?|?|??°é.sh\n" in said
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
    assert lines[lines.index(f"node {NODE}  serving") + 1].startswith("  its agent is of another version")
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
    assert NODE not in shell.ok("gpu_status").out
