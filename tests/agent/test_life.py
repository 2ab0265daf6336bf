"""A task's life under a real agent: from the rename in pending/ to done/ or failed/ with its log."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from gpu_queue.states import EXIT_SERVED
from gpu_queue.task import short_name
from tests.agent.harness import Cluster, put, wait_until
from tests.cases import long


def test_a_published_script_runs_on_a_gpu_and_ends_in_done_with_its_log(cluster: Cluster) -> None:
    cluster.start()
    task = cluster.submit("#!/bin/bash\necho on $CUDA_VISIBLE_DEVICES try $GPU_QUEUE_TRY in $PWD of $JOB_ID\n")
    cluster.wait_for(task, "done")
    log = cluster.log(task)
    assert f"==== task task.sh ({task.split('-')[1]}), try 1\n" in log
    assert f"on 0 try 1 in {cluster.base} of exp\n" in log
    assert "==== exit 0 after " in log
    (record,) = cluster.tries(task)
    assert record["outcome"] == "succeeded"
    assert record["gpu_indices"] == [0]


def test_a_try_is_recorded_while_it_runs_and_its_history_tells_start_and_end(cluster: Cluster) -> None:
    cluster.start()
    long = cluster.submit('until [ -e "$QUEUE_ROOT/go" ]; do sleep 0.02; done\n')
    short = cluster.submit("exit 0\n")
    wait_until(lambda: cluster.tries(long), "the record of a running try", dump=cluster.dump)
    assert "outcome" not in cluster.tries(long)[0]
    (cluster.queue_root / "go").touch()
    for task in (long, short):
        cluster.wait_for(task, "done")
    (record,) = cluster.tries(short)
    assert record["started_at"] <= record["ended_at"]
    (history,) = Path(cluster.paths.root, "events").glob("*.jsonl")
    wait_until(lambda: history.read_text().count('"settled"') == 2, "the end of the history", dump=cluster.dump)
    events = [json.loads(line) for line in history.read_text().splitlines() if line]
    for task in (long, short):
        mine = [one for one in events if task in one.get("claim", "") and one["event"] != "gpu"]
        assert [one["event"] for one in mine] == ["started", "settled"]


def test_a_script_that_fails_goes_to_failed_with_its_status(cluster: Cluster) -> None:
    cluster.start()
    task = cluster.submit("exit 7\n")
    cluster.wait_for(task, "failed")
    assert cluster.tries(task)[0]["outcome"] == "failed(7)"
    assert "==== exit 7" in cluster.log(task)


def test_a_script_dropped_by_hand_gets_an_id_and_runs_in_the_home_directory(cluster: Cluster) -> None:
    cluster.start()
    Path(cluster.paths.root, "pending", "001_my train.sh").write_text("echo from $PWD\n")
    wait_until(lambda: cluster.names("done"), "the drop in done/", dump=cluster.dump)
    (name,) = cluster.names("done")
    assert name.startswith("001-")
    assert name.endswith("-my_train.sh")
    assert f"from {cluster.base}\n" in cluster.log(cluster.ids("done")[0])


def test_tasks_run_at_once_on_different_gpus_and_in_order_of_priority(cluster: Cluster) -> None:
    wait = 'until [ -e "$QUEUE_ROOT/go" ]; do sleep 0.02; done; echo gpu=$CUDA_VISIBLE_DEVICES'
    late = cluster.submit(wait, "late.sh", priority=900)
    first = cluster.submit(wait, "first.sh", priority=100)
    second = cluster.submit(wait, "second.sh")
    cluster.start()
    wait_until(lambda: len(cluster.ids("running")) == 2, "two tasks at once", dump=cluster.dump)
    assert sorted(cluster.ids("running")) == sorted([first, second])
    assert cluster.where(late) == ["pending"]
    wait_until(lambda: "2 busy" in cluster.node_text(), "the reason of the third", dump=cluster.dump)
    (cluster.queue_root / "go").touch()
    for task in (first, second, late):
        cluster.wait_for(task, "done")
    assert {"gpu=0" in cluster.log(first), "gpu=0" in cluster.log(second)} == {True, False}


def test_a_python_script_finds_the_modules_beside_it_and_shows_its_lines_at_once(cluster: Cluster) -> None:
    source = cluster.base / "code" / "train.py"
    source.parent.mkdir()
    (source.parent / "model_of_mine.py").write_text("answer = 42\n")
    task = cluster.submit("import model_of_mine\nprint('answer', model_of_mine.answer)\n", "train.py")
    record = Path(cluster.paths.record(task))
    record.write_text(record.read_text().replace('"name"', f'"path": "{source}", "name"'))
    cluster.start()
    cluster.wait_for(task, "done")
    assert "answer 42" in cluster.log(task)


def test_a_task_over_its_time_is_ended_with_its_whole_tree(cluster: Cluster) -> None:
    cluster.start()
    task = cluster.submit("#GPUQ --time 1s\nsetsid sleep 600 &\nsleep 600\n")
    cluster.wait_for(task, "failed")
    assert cluster.tries(task)[0]["outcome"] == "timeout"
    wait_until(lambda: not any(b"sleep" in _cmdline(pid) for pid in cluster.own_processes()), "no sleep left")


def _cmdline(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_a_failed_task_is_retried_as_often_as_it_asks_with_a_log_for_each_try(cluster: Cluster) -> None:
    cluster.start()
    words = 'echo try $GPU_QUEUE_TRY >>"$GPU_QUEUE_TRY_LOG"; [ $GPU_QUEUE_TRY = 3 ]'
    task = cluster.submit(f"#GPUQ --retries 2\n{words}\n")
    cluster.wait_for(task, "done")
    assert [record["status"] for record in cluster.tries(task)] == [1, 1, 0]
    assert all(f"try {number}\n" in cluster.log(task) for number in (1, 2, 3))


def test_a_claim_removed_by_hand_ends_its_task(cluster: Cluster) -> None:
    cluster.start()
    task = cluster.submit("sleep 600\n")
    wait_until(lambda: cluster.tries(task), "the task's start", dump=cluster.dump)
    Path(cluster.paths.running(cluster.nodes()[0]["node"]), cluster.claim_of(task)).unlink()
    wait_until(lambda: not any(b"sleep" in _cmdline(pid) for pid in cluster.own_processes()), "the end of the task")
    assert cluster.where(task) == []


def test_sigterm_sends_running_tasks_back_and_the_next_agent_runs_them_again(cluster: Cluster) -> None:
    agent = cluster.start()
    task = cluster.submit('[ "$GPU_QUEUE_TRY" = 2 ] || sleep 600\necho second\n')
    wait_until(lambda: cluster.tries(task), "the task's start", dump=cluster.dump)
    agent.send_signal(signal.SIGTERM)
    assert agent.wait(20) == 0
    assert cluster.where(task) == ["pending"]
    assert cluster.tries(task)[0]["outcome"] == "requeued"
    assert cluster.nodes()[0]["state"] == "stopped"
    cluster.start()
    cluster.wait_for(task, "done")


def test_an_agent_killed_outright_is_followed_by_one_that_takes_its_tasks_up_again(cluster: Cluster) -> None:
    agent = cluster.start()
    task = cluster.submit('until [ -e "$QUEUE_ROOT/go" ]; do sleep 0.02; done; echo once\n')
    wait_until(lambda: cluster.tries(task), "the task's start", dump=cluster.dump)
    cluster.kill(agent)
    cluster.start()
    wait_until(lambda: "taken up again" in cluster.dump(), "the adoption", dump=cluster.dump)
    wait_until(lambda: "\tbusy\t" in cluster.node_text(), "the GPU still held", dump=cluster.dump)
    (cluster.queue_root / "go").touch()
    cluster.wait_for(task, "done")
    assert len(cluster.tries(task)) == 1
    assert cluster.log(task).count("once\n") == 1


@pytest.mark.parametrize(
    "left", [None, '{"gpus": [], "started_at": 5}', *long("", "{}")], ids=["none", "torn", "empty", "nothing"]
)
def test_what_the_local_disk_forgot_of_a_running_task_its_next_agent_reads_in_the_spool(
    cluster: Cluster, left: str | None
) -> None:
    agent = cluster.start()
    task = cluster.submit("#GPUQ --time 3s\nsleep 600\n")
    wait_until(lambda: cluster.tries(task), "the task's start", dump=cluster.dump)
    (before,) = cluster.tries(task)
    cluster.kill(agent)
    (facts,) = cluster.local.glob("agents/*/tries/*/facts")
    facts.unlink() if left is None else facts.write_text(left)
    cluster.start()
    wait_until(lambda: "taken up again" in cluster.dump(), "the adoption", dump=cluster.dump)
    cluster.wait_for(task, "failed")
    (after,) = cluster.tries(task)
    assert after["outcome"] == "timeout"
    assert {key: after[key] for key in ("gpus", "gpu_indices", "name", "cwd", "started_at")} == {
        key: before[key] for key in ("gpus", "gpu_indices", "name", "cwd", "started_at")
    }


def test_a_task_that_ends_while_no_agent_lives_is_settled_by_the_next_and_not_run_again(cluster: Cluster) -> None:
    agent = cluster.start()
    task = cluster.submit('until [ -e "$QUEUE_ROOT/go" ]; do sleep 0.02; done; echo once\n')
    wait_until(lambda: cluster.tries(task), "the task's start", dump=cluster.dump)
    cluster.kill(agent)
    (cluster.queue_root / "go").touch()
    wait_until(lambda: cluster.claim_of(task).endswith("=0"), "the end in the claim's name", dump=cluster.dump)
    cluster.start()
    cluster.wait_for(task, "done")
    assert cluster.log(task).count("once\n") == 1


def test_a_shim_that_is_killed_costs_a_try_and_leaves_nothing_running(cluster: Cluster) -> None:
    cluster.start()
    task = cluster.submit('[ "$GPU_QUEUE_TRY" = 2 ] || { setsid sleep 600 & sleep 600; }\n')
    wait_until(lambda: cluster.tries(task), "the task's start", dump=cluster.dump)
    (shim,) = cluster.local.glob("agents/*/tries/*/pid")
    os.kill(int(shim.read_text()), signal.SIGKILL)
    cluster.wait_for(task, "done")
    assert [record["outcome"] for record in cluster.tries(task)] == ["lost", "succeeded"]
    assert not any(b"sleep" in _cmdline(pid) for pid in cluster.own_processes())


def test_a_second_agent_for_the_same_spool_on_one_node_is_refused(cluster: Cluster) -> None:
    cluster.start()
    second = cluster.start(wait=False)
    assert second.wait(20) == EXIT_SERVED
    assert "an agent already serves" in cluster.output.read_text()


def test_until_empty_ends_when_all_is_done(cluster: Cluster) -> None:
    tasks = [cluster.submit("true\n") for _ in range(5)]
    agent = cluster.start("--until-empty", wait=False)
    assert agent.wait(30) == 0
    assert sorted(cluster.ids("done")) == sorted(tasks)


def test_at_the_end_of_its_lifetime_an_agent_lets_running_tasks_end_and_takes_no_new_ones(cluster: Cluster) -> None:
    task = cluster.submit('until [ -e "$QUEUE_ROOT/go" ]; do sleep 0.02; done\n')
    agent = cluster.start("--lifetime", "4s")
    wait_until(lambda: cluster.tries(task), "the task's start", dump=cluster.dump)
    wait_until(lambda: "draining" in cluster.node_text(), "the end of the lifetime", dump=cluster.dump)
    late = cluster.submit("true\n")
    (cluster.queue_root / "go").touch()
    assert agent.wait(20) == 0
    assert cluster.where(task) == ["done"]
    assert cluster.where(late) == ["pending"]


def test_at_end_stop_requeues_instead_of_waiting(cluster: Cluster) -> None:
    task = cluster.submit("sleep 600\n")
    agent = cluster.start("--lifetime", "4s", "--at-end", "stop")
    assert agent.wait(30) == 0
    assert cluster.where(task) == ["pending"]
    assert [record["outcome"] for record in cluster.tries(task)] == ["requeued"]


def test_a_task_without_gpus_takes_none_and_one_for_two_gets_two(cluster: Cluster) -> None:
    cluster.start()
    none = cluster.submit('#GPUQ --gpus 0\necho "[$CUDA_VISIBLE_DEVICES]"\n')
    two = cluster.submit('#GPUQ --gpus 2\necho "[$CUDA_VISIBLE_DEVICES]"\n')
    cluster.wait_for(none, "done")
    cluster.wait_for(two, "done")
    assert "[]\n" in cluster.log(none)
    assert "[0,1]\n" in cluster.log(two)


def test_tasks_of_a_queue_run_one_after_the_other(cluster: Cluster) -> None:
    body = 'mkdir "$QUEUE_ROOT/inside" && sleep 0.1 && rmdir "$QUEUE_ROOT/inside"\n'
    cluster.start()
    tasks = [cluster.submit(body, queue="car") for _ in range(4)]
    for task in tasks:
        cluster.wait_for(task, "done")


def test_a_task_waits_for_the_one_that_it_comes_after(cluster: Cluster) -> None:
    cluster.start()
    first = cluster.submit('until [ -e "$QUEUE_ROOT/go" ]; do sleep 0.02; done; touch "$QUEUE_ROOT/first"\n')
    second = cluster.submit('ls "$QUEUE_ROOT/first"\n', after=[first])
    wait_until(lambda: f"waits for {short_name(first)}" in cluster.node_text(), "the reason", dump=cluster.dump)
    (cluster.queue_root / "go").touch()
    cluster.wait_for(second, "done")


def test_two_agents_of_two_spools_on_one_node_never_share_a_gpu(cluster: Cluster, tmp_path: Path) -> None:
    other = Cluster(cluster.base, "other")
    body = 'cd "$QUEUE_ROOT" && mkdir "g$CUDA_VISIBLE_DEVICES" && sleep 0.05 && rmdir "g$CUDA_VISIBLE_DEVICES"\n'
    try:
        tasks = [(one, one.submit(body)) for _ in range(6) for one in (cluster, other)]
        cluster.start(simulate="1")
        other.start(simulate="1")
        for one, task in tasks:
            one.wait_for(task, "done", 40)
    finally:
        other.close()


def test_paused_and_draining_are_files_that_agents_obey(cluster: Cluster) -> None:
    flag = Path(cluster.paths.flag("paused"))
    put(flag, "alice: maintenance\n")
    agent = cluster.start()
    task = cluster.submit("true\n")
    wait_until(lambda: "paused (alice: maintenance)" in cluster.node_text(), "the reason", dump=cluster.dump)
    assert cluster.where(task) == ["pending"]
    flag.unlink()
    cluster.wait_for(task, "done")
    Path(cluster.paths.flag("draining")).touch()
    assert agent.wait(20) == 0


def test_several_agents_on_one_spool_run_each_task_once(cluster: Cluster) -> None:
    ran, go = cluster.queue_root / "ran", cluster.queue_root / "go"
    body = 'cd "$QUEUE_ROOT"\necho "$GPU_QUEUE_NODE $GPU_QUEUE_TASK" >>ran\nuntil [ -e go ]; do sleep 0.05; done\n'
    tasks = [cluster.submit(body) for _ in range(40)]
    for name in ("n1", "n2", "n3"):
        cluster.start("--node-name", name, "--local-dir", str(cluster.base / name), wait=False)
    # None has room for more than two before all three have some.
    wait_until(lambda: ran.exists() and len(ran.read_text().splitlines()) == 6, "six that run", 40, cluster.dump)
    assert len({line.split()[0] for line in ran.read_text().splitlines()}) == 3
    go.touch()
    wait_until(lambda: len(cluster.ids("done")) == 40, "all forty in done", 40, cluster.dump)
    assert sorted(line.split()[1] for line in ran.read_text().splitlines()) == sorted(tasks)


def test_several_agents_run_each_serial_queue_one_at_a_time_and_in_order(cluster: Cluster) -> None:
    for name in ("n1", "n2", "n3"):
        cluster.start("--node-name", name, "--local-dir", str(cluster.base / name), wait=False, simulate="1")
    line = '{ echo "$1 $GPU_QUEUE_TASK $GPU_QUEUE_NODE" >>"$QUEUE_ROOT/$q"; }'
    queues: dict[str, list[str]] = {"car": [], "bus": [], "van": []}
    for _ in range(12):
        for queue, tasks in queues.items():
            gate = 'until [ -e "$QUEUE_ROOT/go" ]; do sleep 0.02; done'
            tasks.append(cluster.submit(f"q={queue}; say() {line}\nsay begins; {gate}; say ends\n", queue=queue))
    # One GPU a node: three queues that have begun are three nodes at work.
    wait_until(lambda: all((cluster.queue_root / q).exists() for q in queues), "three begun", 60, cluster.dump)
    (cluster.queue_root / "go").touch()
    wait_until(lambda: len(cluster.ids("done")) == 36, "all in done", 60, cluster.dump)
    nodes = set()
    for queue, tasks in queues.items():
        lines = [line.split() for line in (cluster.queue_root / queue).read_text().splitlines()]
        nodes |= {node for _, _, node in lines}
        assert [line[:2] for line in lines] == [[word, task] for task in tasks for word in ("begins", "ends")]
    assert len(nodes) == 3
    left = f"{cluster.paths.root}/queues"

    def names_in(directory: str) -> list[str]:
        return [name for name in os.listdir(directory) if not name.startswith(".")]  # without tallies

    wait_until(lambda: all(name.endswith(".free") for name in names_in(left)), "free queues", dump=cluster.dump)


def vanish(directory: Path) -> None:
    """Remove a directory at once: while it is emptied an agent makes things in it again."""
    aside = directory.with_name(f".{directory.name}.gone")
    directory.rename(aside)
    shutil.rmtree(aside)


def test_a_directory_that_is_removed_under_an_agent_is_made_again(cluster: Cluster) -> None:
    cluster.start()
    vanish(Path(cluster.paths.root, "pending"))
    vanish(Path(cluster.paths.root, "control"))
    wait_until(lambda: Path(cluster.paths.root, "pending").is_dir(), "pending/ again", dump=cluster.dump)
    task = cluster.submit("true\n")
    cluster.wait_for(task, "done")


def test_a_copy_of_a_task_that_has_ended_is_another_task(cluster: Cluster) -> None:
    cluster.start()
    task = cluster.submit('echo "ran as $GPU_QUEUE_TASK"\n')
    cluster.wait_for(task, "done")
    # Without its mode: it may be claimed as soon as it is written.
    shutil.copyfile(f"{cluster.paths.root}/done/500-{task}", f"{cluster.paths.root}/pending/500-{task}")
    wait_until(lambda: len(cluster.ids("done")) == 2, "the copy in done/ beside it", dump=cluster.dump)
    assert cluster.log(task).count("ran as") == 1


def test_a_script_that_ends_with_kill_0_has_its_own_status_and_is_not_run_for_ever(cluster: Cluster) -> None:
    cluster.start()
    task = cluster.submit("trap 'exit 4' TERM\nkill 0\nsleep 600\n")
    cluster.wait_for(task, "failed")
    (record,) = cluster.tries(task)
    assert record["outcome"].startswith("failed(")


def test_an_agent_started_through_a_link_knows_the_spool_for_the_same(cluster: Cluster) -> None:
    agent = cluster.start()
    task = cluster.submit('until [ -e "$QUEUE_ROOT/go" ]; do sleep 0.02; done; echo once\n')
    cluster.wait_for_line(task, "==== started")
    (cluster.base / "link").symlink_to(cluster.queue_root)
    second = cluster.start("--queue-root", str(cluster.base / "link"), wait=False)
    assert second.wait(20) == EXIT_SERVED, "one agent is there already"
    cluster.kill(agent)
    cluster.start("--queue-root", str(cluster.base / "link"))
    (cluster.queue_root / "go").touch()
    cluster.wait_for(task, "done")
    assert len(cluster.tries(task)) == 1


def test_a_script_that_removes_its_local_directory_still_ends_by_its_own_status(cluster: Cluster) -> None:
    cluster.start()
    good = cluster.submit('rm -rf "$(dirname "$0")"; exit 0\n')
    bad = cluster.submit('rm -rf "$(dirname "$0")"; exit 3\n')
    cluster.wait_for(good, "done")
    cluster.wait_for(bad, "failed")
    assert cluster.tries(bad)[0]["outcome"] == "failed(3)"


def test_an_agent_outlives_the_loss_of_the_nodes_own_directory(cluster: Cluster) -> None:
    agent = cluster.start()
    vanish(cluster.local)
    task = cluster.submit("true\n")
    wait_until(
        lambda: cluster.where(task) != ["pending"] or agent.poll() is not None, "it to go on", 20, cluster.dump
    )
    assert agent.poll() is None, cluster.dump()


def test_a_stop_that_was_under_way_when_the_agent_died_is_gone_on_with(cluster: Cluster) -> None:
    agent = cluster.start(GPU_QUEUE_STOP_GRACE="30s")
    task = cluster.submit("trap '' TERM\nwhile :; do sleep 0.1; done\n")
    cluster.wait_for_line(task, "==== started")
    stem = cluster.command_all("stop", claims=[cluster.claim_of(task)])
    wait_until(lambda: "ending" in cluster.node_text(), "the stop to begin", dump=cluster.dump)
    cluster.kill(agent)
    cluster.start(GPU_QUEUE_STOP_GRACE="0.5s")
    cluster.wait_for(task, "failed")
    assert "stopped" in cluster.ack(stem)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can serve another user's spool")
def test_what_root_makes_in_a_users_spool_the_user_can_read(cluster: Cluster) -> None:
    for directory, names, files in os.walk(cluster.paths.root):
        for name in ["", *names, *files]:
            os.chown(os.path.join(directory, name), 12345, 12345)
    cluster.start("--allow-root-for", "12345")
    task = cluster.submit("true\n")
    os.chown(cluster.paths.record(task), 12345, 12345)
    cluster.wait_for(task, "done")
    made = [
        os.path.join(where, name) for where, names, files in os.walk(cluster.paths.root) for name in names + files
    ]
    strange = [path for path in made if os.lstat(path).st_uid != 12345 and "/done/" not in path]
    assert strange == []


def test_a_task_of_a_busy_queue_whose_dependency_failed_is_refused_at_once_and_takes_no_token(
    cluster: Cluster,
) -> None:
    cluster.start()
    holder = cluster.submit('until [ -e "$QUEUE_ROOT/go" ]; do sleep 0.02; done\n', queue="car")
    failed = cluster.submit("exit 1\n")
    cluster.wait_for_line(holder, "==== started")
    cluster.wait_for(failed, "failed")
    refused = cluster.submit("true\n", queue="car", after=[failed])
    cluster.wait_for(refused, "failed")
    assert "dependency" in cluster.log(refused)
    following = cluster.submit("true\n", queue="car")
    (cluster.queue_root / "go").touch()
    cluster.wait_for(following, "done")


def shims_of(cluster: Cluster) -> list[int]:
    return [pid for pid in cluster.own_processes() if b"/shims/" in _cmdline(pid)]


def test_an_idle_agent_has_two_shims_ready_and_none_while_it_takes_nothing(cluster: Cluster) -> None:
    agent = cluster.start()
    wait_until(lambda: len(shims_of(cluster)) == 2, "two shims that wait")
    paused = Path(cluster.paths.root, "paused")
    put(paused, "by hand\n")
    wait_until(lambda: not shims_of(cluster), "their end while it is paused", dump=cluster.dump)
    paused.unlink()
    wait_until(lambda: len(shims_of(cluster)) == 2, "two that wait again", dump=cluster.dump)
    agent.send_signal(signal.SIGTERM)
    assert agent.wait(20) == 0
    wait_until(lambda: not shims_of(cluster), "their end with the agent's")
    assert not list(cluster.local.glob("agents/*/spares/*"))


def test_shims_that_wait_die_with_a_killed_agent_and_the_next_one_tidies_up_after_them(cluster: Cluster) -> None:
    agent = cluster.start()
    wait_until(lambda: len(shims_of(cluster)) == 2, "two shims that wait")
    left = set(cluster.local.glob("agents/*/spares/*"))
    cluster.kill(agent)
    wait_until(lambda: not shims_of(cluster), "their end")
    task = cluster.submit("true\n")
    cluster.start()
    cluster.wait_for(task, "done")
    assert [record["try"] for record in cluster.tries(task)] == [1]
    wait_until(lambda: not left & set(cluster.local.glob("agents/*/spares/*")), "their directories to go")
