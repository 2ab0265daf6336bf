"""The examples of docs/notify.md do what they say."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from gpu_queue.config import parse_config, resolve
from gpu_queue.notify.addresses import read_book
from tests.agent.harness import ROOT, a_cluster
from tests.notify.services import Letterbox

PAGE = (ROOT / "docs" / "notify.md").read_text(encoding="utf-8")
CHINESE = (ROOT / "docs" / "zh-CN" / "notify.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(language: str, page: str = PAGE) -> list[str]:
    return [text for named, text in BLOCK.findall(page) if named == language]


def test_the_settings_and_the_addresses_are_read(tmp_path: Path) -> None:
    for page in (PAGE, CHINESE):
        (text,) = blocks("yaml", page)
        notify = resolve({}, {}, parse_config("config.yaml", text.encode())).notify
        told = {name: [str(one) for one in getattr(notify, name)] for name in ("tasks", "groups", "queues", "agents")}
        assert told == {
            "tasks": ["ops:failed"],
            "groups": ["ops", "boss:failed"],
            "queues": ["ops"],
            "agents": ["ops"],
        }
        assert notify.before_end_s == 1800
        (lines,) = blocks("", page)
        file = tmp_path / ".config" / "gpu-queue" / "notify"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(lines)
        file.chmod(0o600)
        book = read_book({"HOME": str(tmp_path)})
        assert (book.labels, book.language) == (("DING", "HOOK", "OPS", "SLACK", "WECOM"), "zh")
        assert (len(book.of("ops")), book.problems) == (2, ())


def test_the_first_steps_are_as_they_stand_there(tmp_path: Path, letterbox: Letterbox) -> None:
    first, _ = blocks("bash")
    pip, *lines = first.splitlines()
    assert pip.startswith("pip install")
    address = re.compile(r"mailto://\S+?(?=')")
    lines = [address.sub(letterbox.address("200"), line) for line in lines]
    program = tmp_path / "bin" / "gpu-queue"
    program.parent.mkdir()
    program.write_text(
        f"#!/bin/sh\nexec {sys.executable} -c 'import sys; from gpu_queue.cli import main; sys.exit(main())' \"$@\"\n"
    )
    program.chmod(0o755)
    (tmp_path / "train.sh").write_text("exit 3\n")
    with a_cluster(tmp_path) as cluster:
        environment = cluster.environment(
            JOB_ID=cluster.job_id, QUEUE_ROOT=str(cluster.queue_root), PYTHONPATH=str(ROOT)
        )
        environment["PATH"] = f"{program.parent}:{environment['PATH']}"
        script = "\n".join(["set -e", f". {ROOT}/client.sh", *lines])
        done = subprocess.run(
            ["bash", "-c", script], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert letterbox.titles == ["[gpu-queue] a trial for ops"]
        (task,) = cluster.ids("pending")
        record = json.loads(Path(cluster.paths.record(task)).read_text())
        assert record["needs"] == {"notify": "ops"}
