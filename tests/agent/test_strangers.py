"""What others wrote into a spool is quoted by the agent, and never said as it is."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from pathlib import Path

from tests.agent.harness import Cluster, put, wait_until

BAD = "\x1b[31mred\x07\r\x9b1m\x7f\u202eback"
NAME = f"odd{BAD}\nFORGED line"
WRITTEN = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80\xae")


def fill(cluster: Cluster) -> None:
    root = Path(cluster.paths.root)
    for flag in ("paused", "draining", "keepalive-off"):
        (root / flag).write_text(f"{BAD}\nFORGED\n")
    (root / "config.yaml").write_text(json.dumps({NAME: BAD, "retries": NAME, "keepalive": {BAD: NAME}}))
    (root / "control" / "20261123T014415123-4f0c2a9d1b3e.json").write_text(BAD)
    (root / "control" / f"{NAME}.json").write_text(BAD)
    (root / "control.json").write_text(json.dumps({"command": NAME, "names": [NAME]}))
    page = {"protocol": 1, "node": NAME, "incarnation": NAME, "state": NAME, "host": NAME}
    for node in (NAME, "n1-00000001"):
        (root / "running" / node).mkdir()
        (root / "running" / node / "500-20261123T014415123-4f0c2a-x.sh.try1.abcdef").write_text("true\n")
        (root / "nodes" / f"{node}.json").write_text(json.dumps(page))
    (root / "queues" / "car.000001").write_text(f"{NAME}\n")
    for number, script in enumerate(("#GPUQ --gpus " + BAD, f"#GPUQ {BAD}", "", "exit 3", f"#GPUQ --queue {BAD}")):
        put(root / "pending" / f"{number}{NAME}.sh", script + "\n" if script else "")
    (root / "pending" / f"link{NAME}").symlink_to(NAME)
    os.mkfifo(root / "pending" / f"pipe{NAME}")


def test_an_agent_says_nothing_that_others_wrote_as_it_is(cluster: Cluster) -> None:
    root = Path(cluster.paths.root)
    fill(cluster)
    (root / "config.yaml").rename(root / "later")
    (root / "draining").unlink()
    cluster.submit("sleep 60\n", name=NAME, cwd=f"/nowhere/{NAME}")
    agent = cluster.start("--sweep")
    wait_until(lambda: b"paused" in cluster.output.read_bytes(), "what it makes of the flag", dump=cluster.dump)
    cluster.command_all("explain", tasks=[NAME, *cluster.names("pending")])
    (root / "later").rename(root / "config.yaml")
    wait_until(
        lambda: b"config.yaml" in cluster.output.read_bytes(), "what it makes of the settings", dump=cluster.dump
    )
    (root / "paused").unlink()
    wait_until(lambda: cluster.names("failed"), "the first impossible one", 40, cluster.dump)
    stop = cluster.command_all("stop", claims=[NAME, *cluster.names("running")])
    cluster.command_all(NAME)
    cluster.ack(stop)
    agent.send_signal(signal.SIGTERM)
    agent.wait(20)
    said = cluster.output.read_bytes()
    assert b"red" in said, "it was quoted"
    for text in (said, *(path.read_bytes() for path in [*root.glob("nodes/*.tsv"), *root.glob("control/*.ack")])):
        assert [text[max(0, one.start() - 80) : one.end() + 20] for one in WRITTEN.finditer(text)] == []
        assert b"\nFORGED" not in text
    assert [line for line in said.splitlines() if not line.startswith(b"[INFO] ")] == []


def test_nor_does_its_check(cluster: Cluster) -> None:
    fill(cluster)
    done = subprocess.run(
        cluster.command("--check"), env=cluster.environment(), capture_output=True, timeout=30, check=False
    )
    assert b"red" in done.stdout, "it was quoted"
    assert WRITTEN.findall(done.stdout + done.stderr) == []
    assert b"\nFORGED" not in done.stdout + done.stderr
