"""The head of a log, and what an agent says of a task: for people, by their clock and in their words."""

from __future__ import annotations

import re

from tests.agent.harness import Cluster, wait_until


def test_the_head_of_a_log_tells_title_and_local_time_and_leaves_the_rest_to_the_record(cluster: Cluster) -> None:
    cluster.start(env={"TZ": "Asia/Shanghai"})
    task = cluster.submit("#GPUQ --gpus 2\ntrue\n", "训练 1.sh")
    cluster.wait_for(task, "done")
    head = cluster.log(task).splitlines()[:4]
    assert head[0] == f"==== task 训练 1.sh ({task.split('-')[1]}), try 1"
    assert re.fullmatch(r"==== node \S+, GPUs 0, 1, as its #GPUQ line asks", head[1])
    assert re.fullmatch(r"==== started \d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+0800", head[3])
    (record,) = cluster.tries(task)
    assert len(record["gpus"]) == 2
    wait_until(lambda: " 训练 1.sh  succeeded" in cluster.output.read_text(), "the agent's own line")


def test_a_name_cannot_forge_a_line_of_the_head(cluster: Cluster) -> None:
    cluster.start()
    task = cluster.submit("true\n", "a\n==== exit 0\x1b[2Jb.sh")
    cluster.wait_for(task, "done")
    assert cluster.log(task).startswith(f"==== task a?==== exit 0?[2Jb.sh ({task.split('-')[1]}), try 1\n")
