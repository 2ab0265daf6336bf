"""gpu_status of serial queues: what several nodes tell of one, and what somebody wrote into a page."""

from __future__ import annotations

import pytest

from gpu_queue.reasons import Code, reason
from gpu_queue.spool.pages import GpuPage, QueuePage, SharedPage, TryPage, WaitPage
from gpu_queue.states import GpuState
from tests.shell.helpers import Shell, Spool


def queues(shell: Shell) -> list[str]:
    return [line.strip() for line in shell.ok("gpu_status --queues").lines[1:]]


def test_the_newest_page_tells_what_waits_and_what_runs_is_summed_up(shell: Shell, spool: Spool) -> None:
    spool.node("n1", age_s=20, queues=(QueuePage("car", True, "", 5, 1, 2, 1), QueuePage("old", False, done=7)))
    spool.node("n2", queues=(QueuePage("car", False, "", 4, 0, 3, 0), QueuePage("bird", True, "", 1, 1)))
    spool.node("n3", age_s=400, queues=(QueuePage("car", True, "", 9, 1, 1, 9),))
    assert queues(shell) == [
        "Queue car:  🔴 BUSY, Pending=4, Running=1, Completed=3, Failed=0",
        "Queue bird: 🔴 BUSY, Pending=1, Running=1, Completed=0, Failed=0",
        "Queue old:  🟢 IDLE, Pending=0, Running=0, Completed=7, Failed=0",
    ]


def test_a_rest_is_told_as_it_is_now_and_not_as_it_was_when_the_page_was_written(shell: Shell, spool: Spool) -> None:
    spool.node("n1", age_s=60, queues=(QueuePage("car", True, "", 1, 0, 0, 0, 3, 600.0),))
    (head, rest) = queues(shell)
    assert head == "Queue car: 🔴 BUSY, Pending=1, Running=0, Completed=0, Failed=0"
    assert rest.startswith("failed 3 times; rests until ")
    assert rest.endswith(("(9m00s)", "(8m59s)", "(8m58s)"))


def test_without_queues_nothing_is_said_of_them(shell: Shell, spool: Spool) -> None:
    spool.node("n1")
    assert "QUEUES" not in shell.ok("gpu_status").out
    assert shell.ok("gpu_status --queues").lines == [
        "no agent tells of a serial queue; gpu_submit --queue NAME makes one"
    ]


def test_reasons_call_a_queue_as_the_screen_calls_it(shell: Shell, spool: Spool) -> None:
    name = spool.add("pending")
    full = [f"runs-aaaaaa.{number}" for number in (1, 10)]
    why = reason(Code.QUEUE, queue=full[1], holder=f"{name[4:]}x")
    spool.node(
        "n1", queues=[QueuePage(one, True) for one in full], waiting=(WaitPage(name, why, "1"),), waiting_count=1
    )
    for arguments in ("", "--all"):
        out = shell.ok(f"gpu_status {arguments}", COLUMNS="120").out
        assert "queue runs.10 is busy with" in out
        assert "aaaaaa" not in out
    assert "queue runs-aaaaaa.10 is busy with" in shell.ok("gpu_status --plain").out


def test_two_files_of_one_name_have_their_queues_told_apart(shell: Shell, spool: Spool) -> None:
    spool.node("n1", queues=[QueuePage(f"runs-{which}.1", False) for which in ("aaaaaa", "bbbbbb")])
    assert "Queue runs-aaaaaa.1: 🟢 IDLE" in shell.ok("gpu_status").out
    spool.node("n1", queues=[QueuePage("runs-aaaaaa.1", False)])
    assert "Queue runs.1: 🟢 IDLE" in shell.ok("gpu_status").out


@pytest.mark.parametrize("arguments", ["", "--queues", "--plain", "--json", "--all"])
def test_what_somebody_wrote_into_a_page_reaches_no_terminal(shell: Shell, spool: Spool, arguments: str) -> None:
    odd = "x\033[31m"
    spool.node(
        "n1",
        mode="shared",
        gpus=(GpuPage("GPU-0", 0, "H100", GpuState.FOREIGN, shared=SharedPage(1, 1, odd)),),
        running=(TryPage("c", odd, "running", (0,), 1.0, queue=odd),),
        queues=[
            QueuePage(name, True) for name in (odd, "$(touch pwned)", "a[$(touch pwned)]", "../x", ".hidden", "ok")
        ],
    )
    lines = (
        (spool.path / "nodes/n1.tsv").read_text().replace("queue\tok\tbusy\t0", "queue\tok\tbusy\t0x$(touch pwned)")
    )
    (spool.path / "nodes/n1.tsv").write_text(
        lines + "queue\nqueue\tshort\nqueues\t-7\nmode\nshared\nshared\t0\t\033[1m\n"
    )
    out = shell.ok(f"gpu_status {arguments}").out
    assert "\033" not in out
    assert "pwned" not in "".join(path.name for path in spool.path.parent.rglob("*"))
    assert "ok" in out


def test_chinese_readers_are_told_in_chinese(shell: Shell, spool: Spool) -> None:
    spool.node("n1", queues=(QueuePage("car", True, "", 4, 1, 2, 3),))
    said = shell.ok("gpu_status --queues", LC_ALL="zh_CN.UTF-8").lines
    assert said == ["队列", "  队列 car：🔴 忙碌，等待=4，运行=1，完成=2，失败=3"]
