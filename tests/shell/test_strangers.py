"""What others may have put into a spool: it writes nothing to the terminal, and keeps nobody waiting."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cases import long
from tests.shell.helpers import Shell, Spool, wait_until

NODE, DEAD = "n1-00000001", "n2-00000002"
BAD = "\x1b[31mred\x07\r\x9b1m\x7f\u202eback"
"""An escape sequence, a bell, a carriage return, a control character of two bytes, what turns the direction."""
FORGED = "FORGED"
NAME = f"odd{BAD}\n{FORGED} line"
WRITTEN = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80\xae|(?:^|\n)" + FORGED.encode())

COMMANDS = r"""
gpu_list; gpu_use; gpu_status; gpu_logs; gpu_report; gpu_report --by-gpu
for task in wait1 run1 done1 fail1 odd 'FORGED' train; do
  gpu_explain "$task"; gpu_logs "$task"; gpu_wait "$task" --timeout 1s
done
gpu_tail done1; gpu_tail fail1
gpu_keepalive; gpu_keepalive off "$BAD"; gpu_status; gpu_keepalive; gpu_keepalive on
gpu_pause "$BAD"; gpu_drain "$NAME"; gpu_status; gpu_resume
gpu_submit --name "$NAME" script.sh; gpu_submit "$NAME.sh"; gpu_run "$NAME"; gpu_submit --queue "$BAD" script.sh
gpu_priority odd 7; gpu_priority "$NAME" 8; gpu_stop "$NAME"; gpu_cancel odd; gpu_stop odd
gpu_retry "$BAD"; gpu_retry fail1
gpu_forget "$BAD"; gpu_forget n; rm "$QUEUE_ROOT/$JOB_ID"/nodes/n1-*; gpu_forget n2; gpu_clean --older-than "$BAD"
gpu_clean --older-than 0
gpu_shutdown; gpu_stop all; gpu_retry all; gpu_use "$BAD"
gpu_status --all; gpu_status --plain; gpu_status --json
JOB_ID=$NAME gpu_status; JOB_ID=strange gpu_status
__gpu_guest words gpu_forget ''; __gpu_guest words gpu_stop ''; __gpu_guest words gpu_tail ''
__gpu_guest words gpu_use ''
"""


def a_page(node: str) -> str:
    lines = [
        ("agent", "1", node, "abcdefabcdef", "serving", "1", "60", "other", BAD, BAD),
        ("note", BAD),
        ("gpu", "0", f"GPU-{BAD}", "idle", BAD, BAD, "1", "2", BAD, BAD),
        ("keepalive", "0", BAD, "50", "7", "open", "1200", BAD, BAD),
        ("try", f"500-x{BAD}", BAD, BAD, "5", "7", BAD, BAD),
        ("watch", f"{DEAD}{BAD}", "1", "1", "5", "7"),
        ("wait", BAD, BAD, BAD, BAD),
        ("waiting", "7"),
        (BAD, BAD),
    ]
    return "".join("\t".join(line) + "\n" for line in lines)


def filled(spool: Spool) -> None:
    """Escapes wherever somebody may write."""
    record: dict[str, Any] = dict.fromkeys(
        ("name", "path", "cwd", "user", "host", "submitted_at", "dropped_as"), NAME
    )
    tasks = [
        spool.add(state, f"{title}.sh", **record) for state, title in (("pending", "wait1"), ("failed", "fail1"))
    ]
    tasks += [spool.add(f"running/{node}", f"run{n}.sh", **record) for n, node in enumerate((NODE, DEAD, BAD), 1)]
    tasks.append(spool.add("done", "done1.sh", **record, needs={"after": [NAME], "queue": NAME}))
    for full in tasks:
        words = dict.fromkeys(("node", "outcome", "reason", "problem", "to", "settled_by", "ended_at"), NAME)
        (spool.path / "records" / f"{full[4:]}.try1.abcdef.json").write_text(json.dumps(words, ensure_ascii=False))
        (spool.path / "records" / f"{full[4:]}.try2.abcdef.json").write_text(json.dumps(words))
    for place in ("pending", "done", "failed", "records", "logs", "control", "nodes", "queues", "ledger"):
        (spool.path / place).mkdir(exist_ok=True)
        for name in (NAME, f"500-{NAME}", f"{NAME}.json", f"{NAME}.tsv", f"{NAME}.log", f".{NAME}"):
            (spool.path / place / name).write_text(f"{BAD}\n")
    for node, age_s in ((NODE, 0), (DEAD, 500)):
        (spool.path / "nodes" / f"{node}.tsv").write_text(a_page(node))
        (spool.path / "nodes" / f"{node}.json").write_text(
            json.dumps({"protocol": 1, "state": BAD, "incarnation": BAD})
        )
        os.utime(spool.path / "nodes" / f"{node}.json", (time.time() - age_s,) * 2)
    (spool.path / "nodes" / "n3-00000003.json").write_text(json.dumps({"protocol": BAD, "state": BAD}))
    (spool.path / "nodes/gone" / "n4-00000004.json").write_text(BAD)
    (spool.path / "nodes/gone" / f"{NAME}.json").write_text(BAD)
    for flag in ("paused", "draining", "keepalive-off", "config.yaml", "control.json", NAME):
        (spool.path / flag).write_text(f"{BAD}\n{FORGED}\n")
    (spool.path / "queues" / "car.000001").write_text(f"{NAME}\n")
    row = ("2099-01-01", f"GPU-{BAD}", "0", BAD, "1", "1", "1", "1", "1", "1", "0")
    (spool.path / "ledger" / f"{NODE}.tsv").write_text("\t".join(row) + "\n")
    for name, protocol in ((NAME, "1\n"), ("strange", f"{BAD}\n")):
        there = spool.path.parent / name
        there.mkdir()
        (there / "PROTOCOL").write_text(protocol)


def test_nothing_that_others_wrote_reaches_the_terminal_as_it_is(shell: Shell, spool: Spool) -> None:
    filled(spool)
    shell.file("script.sh", "true\n")
    shell.file(f"{NAME}.sh", "true\n")
    shell.hostile, shell.limit_s = False, 55.0
    said = shell.run(f"{{ {COMMANDS} }} 2>&1 | cat", BAD=BAD, NAME=NAME)
    text = said.out.encode("utf-8", "surrogateescape")
    assert "odd?[31mred" in said.out, "it was shown at all"
    assert [text[max(0, one.start() - 60) : one.end() + 20] for one in WRITTEN.finditer(text)] == []


def test_an_answer_of_an_agent_brings_no_escape(shell: Shell, spool: Spool) -> None:
    spool.node(NODE)
    process = shell.start("gpu_shutdown")
    wait_until(spool.commands)
    spool.answer(spool.commands()[0][0], NODE, f"done {BAD}\nmore{BAD}")
    out, err = process.communicate(timeout=20)
    assert "done ?[31mred" in out
    assert WRITTEN.findall((out + err).encode()) == []


# -- size, kind and time

QUICK = r"""
for command in gpu_status "gpu_status --all" "gpu_status --plain" "gpu_status --json" \
  "gpu_explain train" "gpu_explain wait" "gpu_logs train" gpu_logs gpu_list gpu_keepalive \
  "gpu_submit script.sh" gpu_report "gpu_cancel wait" "gpu_retry train" "gpu_stop train" gpu_shutdown \
  "gpu_forget n1" "gpu_clean --older-than 1d"; do
  eval "$command" >/dev/null 2>&1; printf '%s: %s\n' "$command" $?
done
"""


def quick(shell: Shell) -> None:
    shell.file("script.sh", "true\n")
    shell.hostile, shell.limit_s = False, 50.0  # a busy machine: of a second each, where answers are waited for
    said = shell.run(QUICK)
    assert len(said.lines) == 18, said


def test_pipes_keep_nobody_waiting(shell: Shell, spool: Spool) -> None:
    full = spool.add("failed", "train.sh")
    spool.add("pending", "wait.sh", needs={"queue": "car"})
    for name in (f"logs/{full[4:]}.log", f"logs/{full[4:]}.try2.abcdef.log", f"records/{full[4:]}.try1.abcdef.json"):
        os.mkfifo(spool.path / name)
    for name in (
        "nodes/n1-00000001.json",
        "nodes/n1-00000001.tsv",
        "nodes/n2-00000002.json",
        "nodes/gone/x.json",
        "paused",
    ):
        os.mkfifo(spool.path / name)
    os.mkfifo(spool.path / "queues" / "car.000001")
    (spool.path / "ledger").mkdir()
    os.mkfifo(spool.path / "ledger" / "n1-00000001.tsv")
    quick(shell)


@pytest.mark.parametrize("text", ['\\"' * 500_000, *long("\x1b" * 500_000 + "\n" * 500_000, "gpu\t" * 250_000)])
def test_large_files_keep_nobody_waiting(shell: Shell, spool: Spool, text: str) -> None:
    full, waits = spool.add("failed", "train.sh"), spool.add("pending", "wait.sh")
    content = f'{{"protocol": 1, "state": "serving", "name": "{text}", "outcome": "{text}", "after": ["{text}"]}}'
    for name in (f"{full[4:]}.json", f"{waits[4:]}.json", f"{full[4:]}.try1.abcdef.json"):
        (spool.path / "records" / name).write_text(content)
    for node in (NODE, DEAD):
        (spool.path / "nodes" / f"{node}.json").write_text(content)
    (spool.path / "nodes" / f"{NODE}.tsv").write_text(f"agent\t1\t{NODE}\tabc\tserving\t1\t-\n{text}")
    for name in ("paused", "queues/car.000001", "control.json"):
        (spool.path / name).write_text(text)
    quick(shell)


def test_of_a_log_of_one_long_line_the_end_is_shown(shell: Shell, spool: Spool) -> None:
    full = spool.add("failed", "train.sh")
    log = spool.log(full, "")
    os.truncate(log, 2 << 30)
    with log.open("ab") as file:
        file.write(b"the end\n")
    for command in ("gpu_explain train", "gpu_tail train"):
        said = shell.run(command)
        assert said.out.endswith("the end\n")
        assert 60_000 < len(said.out) < 70_000


def test_of_many_dead_nodes_the_newest_are_shown_and_no_more_are_read(shell: Shell, spool: Spool) -> None:
    for number in range(300):
        spool.node(f"n{number:03d}-{number:08x}", age_s=1000 + number)
    for number in range(300, 400):
        spool.node(f"n{number}-{number:08x}")
        spool.put_away(f"n{number}-{number:08x}")
    spool.node("alive-00000000")
    said = shell.ok("gpu_status", GPU_QUEUE_PATIENCE="1")
    assert "alive  serving" in said.lines
    silent = [line.split()[0] for line in said.lines if "its agent seems to be gone" in line]
    assert silent == [f"n{number:03d}" for number in range(20)]
    assert len([line for line in said.lines if "  dead for " in line]) == 10
    assert "and 370 nodes that stopped or went silent before" in said.lines
    process = shell.start("gpu_shutdown")
    wait_until(spool.commands)
    ((entry, command),) = spool.commands()
    assert command["to"] == ["alive-00000000/alive-000000001"], "the dead are not asked"
    spool.answer(entry, "alive-00000000", "leaving")
    assert process.communicate(timeout=20)[0] == "alive-00000000: leaving\n"


def test_a_page_from_before_the_epoch_hides_no_living_node(shell: Shell, spool: Spool, tmp_path: Path) -> None:
    assert tmp_path
    spool.node("alive-00000000")
    for then in (1, 10**9, 2**33, 10**10):
        spool.node(f"n{then}")
        os.utime(spool.path / "nodes" / f"n{then}.json", (then, then))
    assert "alive  serving" in shell.ok("gpu_status").lines
    assert "no agent" not in shell.ok("gpu_keepalive").out
