"""Real agents, real senders, a real service: what is told, what is not, and what a service that hangs keeps up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from gpu_queue.notify.addresses import Book
from gpu_queue.notify.children import Child
from gpu_queue.notify.sending import CLAIM_S, Round
from gpu_queue.spool import files, outbox
from gpu_queue.spool.noticenames import Stage
from tests.agent.harness import ROOT, a_cluster, wait_until
from tests.notify.services import Letterbox

SECRET = "sesame-open-99"
COMMAND = [sys.executable, "-c", "import sys; from gpu_queue.cli import main; sys.exit(main())", "notify"]


def children_of(pid: int) -> list[int]:
    """The processes that a process has started."""
    done = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return [int(word) for word in done.stdout.split()]


def test_an_agent_has_people_told_and_waits_for_nobody(tmp_path: Path, letterbox: Letterbox) -> None:
    addresses = {
        "GPU_QUEUE_NOTIFY_OPS": letterbox.address(f"200/{SECRET}"),
        "GPU_QUEUE_NOTIFY_HANGS": letterbox.address(f"hang/{SECRET}"),
    }
    with a_cluster(tmp_path) as cluster:
        config = Path(cluster.paths.config)
        config.write_text("notify: {tasks: 'hangs:failed', queues: ops, agents: ops, before_end: 5h}\n")
        first = cluster.submit("env; echo https://hub/token; exit 3", "first.sh", notify="ops", queue="car")
        cluster.start("--lifetime", "10h", env=addresses)
        wait_until(lambda: ("/hang/" + SECRET) in [path for path, _ in letterbox.got], "the service that hangs")
        second = cluster.submit("exit 0", "second.sh", notify="ops")
        cluster.wait_for(second, "done")
        assert cluster.where(first) == ["failed"]
        wanted = {
            "[exp] first.sh failed (exit 3)",
            "[exp] queue car has ended: 0 done, 1 failed",
            "[exp] second.sh is done",
        }
        wait_until(lambda: wanted <= set(letterbox.titles), "all messages", dump=cluster.dump)
        body = next(said["message"] for _, said in letterbox.got if "first.sh failed" in said["title"])
        assert "[address]" in body
        assert SECRET not in cluster.log(first)
        wait_until(
            lambda: [one.stage for one in outbox.look(cluster.paths) if one.label == "ops"] == [Stage.SENT] * 3,
            "the words of all senders",
        )
        found = subprocess.run(["grep", "-rl", SECRET, str(tmp_path)], capture_output=True, text=True, check=False)
        assert found.stdout == ""
        for pid in cluster.own_processes():  # the one that hangs lives by its own alarm
            os.kill(pid, signal.SIGKILL)


def test_a_sender_that_is_killed_in_the_middle_is_followed_by_one_that_tells(
    tmp_path: Path, letterbox: Letterbox
) -> None:
    with a_cluster(tmp_path) as cluster:
        task = cluster.submit("exit 3", "first.sh", notify="me")
        agent = cluster.start("--until-empty")
        assert agent.wait(60) == 0
        environment = cluster.environment(
            JOB_ID=cluster.job_id,
            QUEUE_ROOT=str(cluster.queue_root),
            GPU_QUEUE_NOTIFY_ME=letterbox.address("hang"),
            PYTHONPATH=str(ROOT),
        )
        sender = subprocess.Popen(COMMAND, env=environment)
        wait_until(lambda: letterbox.got, "the sender at its service")
        cmdlines = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in (sender.pid, *children_of(sender.pid))]
        assert len(cmdlines) == 2
        assert not [one for one in cmdlines if b"127.0.0.1" in one]
        for pid in children_of(sender.pid):
            os.kill(pid, signal.SIGKILL)
        sender.kill()
        sender.wait()
        (left,) = outbox.look(cluster.paths)
        assert left.stage in (Stage.SENDING, Stage.AGAIN)
        now_s = files.server_now_s(cluster.paths.notices)
        book = Book({"ME": (letterbox.address("200"),)})
        uids = frozenset({os.geteuid()})
        if left.stage is Stage.SENDING:
            assert Round(cluster.paths, book, uids, Child).work(now_s + CLAIM_S - 60).told == 0
        assert Round(cluster.paths, book, uids, Child).work(now_s + CLAIM_S + 60).told == 1
        assert [path for path, _ in letterbox.got] == ["/hang", "/200"]
        assert cluster.where(task) == ["failed"]


def test_a_person_sends_what_waits_and_is_told_what_is_missing(tmp_path: Path, letterbox: Letterbox) -> None:
    with a_cluster(tmp_path) as cluster:
        cluster.submit("exit 3", "first.sh", notify="me,you")
        assert cluster.start("--until-empty").wait(60) == 0
        home = tmp_path / ".config" / "gpu-queue"
        home.mkdir(parents=True)
        (home / "notify").write_text(f"me = {letterbox.address('200')}\nbad = slack://{SECRET}\n")
        environment = cluster.environment(
            JOB_ID=cluster.job_id, QUEUE_ROOT=str(cluster.queue_root), PYTHONPATH=str(ROOT)
        )

        def notify(*words: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run([*COMMAND, *words], env=environment, capture_output=True, text=True, check=False)

        (home / "notify").chmod(0o644)
        refused = notify("--check", "me")
        assert (refused.returncode, letterbox.got) == (1, [])
        assert "mode 0644 lets others read the addresses" in refused.stderr
        (home / "notify").chmod(0o600)
        told = notify()
        assert (told.returncode, told.stdout) == (
            0,
            "1 told\n1 wait for you, of which no address is known here\n",
        )
        assert letterbox.titles == ["[exp] first.sh failed (exit 3)"]
        trial = notify("--check", "bad")
        assert (trial.returncode, trial.stderr) == (
            1,
            "notify: bad: 1 of 1 addresses are none that apprise takes\n".replace("notify:", "gpu-queue notify:", 1),
        )
        state = notify("--check").stdout
        assert "labels      bad, me\n" in state
        assert "waiting     1 to be told" in state
        assert "no address here of you" in state
        assert SECRET not in state + trial.stderr
