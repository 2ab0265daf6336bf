"""Python's door and a real agent together, with simulated GPUs."""

from __future__ import annotations

import pytest

from gpu_queue import Script, Spool
from gpu_queue.spool.desk.asking import Reply
from gpu_queue.task import State
from tests.agent.harness import Cluster, wait_until


@pytest.fixture
def spool(cluster: Cluster) -> Spool:
    return Spool(cluster.job_id, cluster.queue_root)


def test_what_is_submitted_runs_where_it_was_submitted_and_is_told(cluster: Cluster, spool: Spool) -> None:
    cluster.start()
    script = Script("train.sh", 'echo "$PWD on $CUDA_VISIBLE_DEVICES"\n')
    task = spool.submit(script, gpus=2, cwd=str(cluster.base))
    assert task.id is not None
    report = spool.submit(Script("report.sh", "exit 3\n"), gpus=0, after=task)
    assert report.id is not None
    cluster.wait_for(report.id, "failed")
    assert f"{cluster.base} on 0,1\n" in spool.log_tail(task)
    (done,) = spool.tries(task)
    assert (done.outcome, done.gpu_indices, done.status) == ("succeeded", (0, 1), 0)
    (line,) = spool.explain(report).lines
    assert line.startswith("failed(3) on ")
    assert all(spool.retry(report))
    wait_until(lambda: len(spool.tries(report)) == 2, "its second try", dump=cluster.dump)


def test_explain_gives_the_planners_own_words(cluster: Cluster, spool: Spool) -> None:
    cluster.start()
    spool.submit(Script("huge.sh", "true\n"), gpus=8)
    wait_until(lambda: "needs 8 GPUs" in cluster.node_text(), "the reason", dump=cluster.dump)
    (line,) = spool.explain("huge").lines
    assert line.endswith(": needs 8 GPUs; this node serves 2")


def test_explain_asks_for_what_no_page_holds(cluster: Cluster, spool: Spool) -> None:
    cluster.start()
    spool.pause("not now")
    tasks = spool.publish([Script(f"s{number}.sh", "true\n") for number in range(120)])
    wait_until(lambda: str(tasks[50]) in cluster.node_text(), "the reasons", dump=cluster.dump)
    explanation = spool.explain(tasks[-1])
    assert [answer.reply for answer in explanation.answers] == [Reply.ANSWERED]
    assert "paused" in explanation.lines[0]


def test_stop_ends_what_runs_and_cancels_what_waits(cluster: Cluster, spool: Spool) -> None:
    cluster.start(simulate="1")
    running = spool.submit(Script("train.sh", "sleep 600 & sleep 600\n"))
    waiting = spool.publish([Script("next.sh", "true\n")] * 3)
    assert running.id is not None
    cluster.wait_for_line(running.id, "==== started")
    stopped = spool.stop("all")
    assert {outcome.task_id: outcome.where for outcome in stopped.tasks} == dict.fromkeys(
        [running.id, *(task.id for task in waiting)], "failed"
    )
    (answer,) = stopped.answers
    assert answer.reply is Reply.ANSWERED
    assert any("stopped train.sh" in line for line in answer.lines), answer
    assert spool.tries(running)[0].outcome == "stopped"


def test_stop_without_an_agent_moves_the_claim_and_the_shim_ends_the_task(
    cluster: Cluster, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPU_QUEUE_PATIENCE", "2")
    agent = cluster.start(GPU_QUEUE_BEAT="1s")
    task = spool.submit(Script("train.sh", "sleep 600\n"))
    assert task.id is not None
    cluster.wait_for_line(task.id, "==== started")
    cluster.kill(agent)
    stopped = spool.stop("train")
    assert [answer.reply for answer in stopped.answers] == [Reply.GONE]
    assert stopped.tasks[0].where == "failed"
    wait_until(lambda: not cluster.own_processes(), "the shim to end the task", 40)


def test_shutdown_requeues_what_runs(cluster: Cluster, spool: Spool) -> None:
    agent = cluster.start()
    task = spool.submit(Script("train.sh", "sleep 600\n"))
    assert task.id is not None
    cluster.wait_for_line(task.id, "==== started")
    (answer,) = spool.shutdown()
    assert "back to pending" in " ".join(answer.lines)
    assert agent.wait(20) == 0
    assert [found.state for found in spool.find("train")] == [State.PENDING]
    assert spool.shutdown() == ()
