"""The way to Ray on a real cluster of this machine: ``make test-ways ONLY=ray``."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.shell.helpers import wait_until
from tests.ways.caller import NONCE, OURS, ROOT, Way

pytestmark = [pytest.mark.ways, pytest.mark.timeout(300)]
VENV = ROOT / "build" / "ways" / "ray"
MARK = f"GPU_QUEUE_TEST_RAY={os.getpid()}"
"""Stands in the environment of every process of the cluster, and of the jobs in it."""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def of_the_cluster(word: bytes = b"") -> list[int]:
    """The living processes of the cluster, and of the jobs in it, that have this word in their command lines."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            ours = MARK.encode() in (entry / "environ").read_bytes().split(b"\0")
            if ours and word in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


@pytest.fixture(scope="module")
def cluster() -> Iterator[dict[str, str]]:
    """A head with four pretended GPUs: the environment in which it is asked."""
    if not (VENV / "installed").exists():
        shutil.rmtree(VENV, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
        subprocess.run([VENV / "bin" / "pip", "install", "--quiet", "ray[default]"], check=True)
        (VENV / "installed").touch()
    directory = tempfile.mkdtemp(prefix="gq-ray-")  # its sockets need a short path
    port = free_port()
    key, value = MARK.split("=")
    env = {"PATH": f"{VENV}/bin:/usr/bin:/bin", "HOME": directory, key: value, "RAY_USAGE_STATS_ENABLED": "0"}
    words = ["--head", "--block", "--num-cpus=8", "--num-gpus=4", "--node-ip-address=127.0.0.1"]
    words += [f"--temp-dir={directory}", f"--dashboard-port={port}", f"--port={free_port()}"]
    words += [f"--{one}-port={free_port()}" for one in ("ray-client-server", "dashboard-agent-listen")]
    with open(f"{directory}/head", "wb") as log:
        head = subprocess.Popen(
            [VENV / "bin" / "ray", "start", *words],
            env=env,
            cwd=directory,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    env["RAY_API_SERVER_ADDRESS"] = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: subprocess.run([OURS / "ray", "detect"], env=env, check=False).returncode == 0, 90)
        yield env
    finally:
        head.terminate()
        head.wait(60)
        deadline = time.monotonic() + 15
        while of_the_cluster() and time.monotonic() < deadline:
            time.sleep(0.2)
        for pid in of_the_cluster():
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def way(tmp_path: Path, cluster: dict[str, str]) -> Iterator[Way]:
    made = Way(OURS / "ray", tmp_path, dict(cluster))
    (tmp_path / f"start-{NONCE}.sh").write_text("exec sleep 300\n")
    nonce = os.urandom(6).hex()
    made.env |= made.of("train-exp1", nonce) | {"GQ_START": f"{tmp_path}/start-{NONCE}.sh"}
    yield made
    made.ok("cancel", f"alice-train-exp1-{nonce}")


def id_of(way: Way) -> str:
    return f"{way.env['GQ_NAME']}-{way.env['GQ_NONCE']}"


def test_a_job_is_submitted_once_however_often_it_is_handed_over(way: Way) -> None:
    first = way.submit()
    assert (first.returncode, first.stdout) == (0, f"{id_of(way)}\n")
    assert "submitted successfully" in first.stderr
    again = way.submit()
    assert (again.returncode, again.stdout) == (0, f"{id_of(way)}\n")
    assert "already exists" in again.stderr
    wait_until(lambda: way.states(id_of(way))[id_of(way)][:2] == ["running", "RUNNING"], 30)
    assert way.states("--name", "alice-train-exp1")[id_of(way)][2:] == [way.env["GQ_NONCE"], "alice-train-exp1"]
    assert id_of(way) in way.states("--prefix", "alice-")
    assert id_of(way) not in way.states("--name", "alice-train-exp")
    way.ok("cancel", id_of(way), "nobody")
    wait_until(lambda: way.states(id_of(way))[id_of(way)][:2] == ["ended", "STOPPED"], 30)
    way.ok("cancel", id_of(way))


def test_a_job_that_waits_for_gpus_is_queued(way: Way) -> None:
    assert way.submit(GQ_GPUS="99").returncode == 0
    assert way.states(id_of(way), "nobody") == {
        id_of(way): ["queued", "PENDING", way.env["GQ_NONCE"], "alice-train-exp1"],
        "nobody": ["unknown", "does not exist", "", ""],
    }


def test_a_submission_that_is_cut_off_is_found_by_its_id(way: Way) -> None:
    """The answer is lost: the program is killed when the cluster has the job."""
    way.use("ray", f'#!/bin/bash\n{VENV}/bin/ray "$@"\nkill -KILL $$\n')
    done = way.submit()
    assert (done.returncode, done.stdout) == (0, f"{id_of(way)}\n")


def test_one_that_got_lost_before_it_arrived_is_not_known(way: Way) -> None:
    way.use("ray", "#!/bin/bash\nkill -KILL $$\n")
    # Its interpreter is no Python, so the way asks with that of the PATH.
    done = way.submit()
    assert (done.returncode, done.stdout) == (111, "")


def test_a_wrong_option_is_refused(way: Way) -> None:
    done = way.submit(RAY_WAY_ARGS="--no-such-option")
    assert (done.returncode, done.stdout) == (1, "")
    assert "No such option" in done.stderr


def test_where_no_head_answers_nothing_was_submitted_and_nothing_is_known(way: Way) -> None:
    away = {"RAY_API_SERVER_ADDRESS": f"http://127.0.0.1:{free_port()}"}
    done = way.submit(**away)
    assert (done.returncode, done.stdout) == (75, "")
    for words in (["states", "x"], ["states", "--prefix", "alice-"], ["cancel", "x"], ["detect"]):
        done = way.call(*words, **away)
        assert (done.returncode, done.stdout) == (1 if words == ["detect"] else 111, "")


def test_an_end_that_somebody_saw_is_ended_and_one_that_nobody_saw_is_lost(way: Way) -> None:
    Path(way.env["GQ_START"]).write_text("exit 7\n")
    way.submit()
    wait_until(lambda: way.states(id_of(way))[id_of(way)][:2] == ["ended", "FAILED"], 30)
    assert way.states(id_of(way), GQ_PROOF="1")[id_of(way)][0] == "lost", "who killed the agent left its tasks alone"
    Path(way.env["GQ_START"]).write_text(f"echo $PPID >{way.directory}/parent; exec sleep 300\n")
    nonce = os.urandom(6).hex()
    other = way.submit(GQ_NONCE=nonce).stdout.strip()
    wait_until(lambda: (way.directory / "parent").exists() and (way.directory / "parent").read_text(), 30)
    shell = int((way.directory / "parent").read_text())
    status = Path(f"/proc/{shell}/status").read_text()
    supervisor = re.search(r"PPid:\t(\d+)", status) if "ray::" not in status else None
    os.kill(int(supervisor[1]) if supervisor else shell, signal.SIGKILL)
    wait_until(lambda: way.states(other)[other][:2] == ["lost", "FAILED"], 30)


def test_a_job_can_ask_for_itself(way: Way) -> None:
    """As an agent does that asks about its peers: it has RAY_ADDRESS, and no other."""
    Path(way.env["GQ_START"]).write_text(
        "unset RAY_API_SERVER_ADDRESS\n"
        f"{OURS}/ray states ${{GPU_QUEUE_ALLOCATION#ray:}} >{way.directory}/said\n"
        "exec sleep 300\n"
    )
    way.submit()
    wait_until(lambda: (way.directory / "said").exists() and (way.directory / "said").read_text(), 30)
    assert (way.directory / "said").read_text().split("\t")[:3] == [id_of(way), "running", "RUNNING"]


TASK = """
trap 'echo saving; for turn in $(seq 40); do sleep 0.2; done; echo saved >>"$HERE/saved"; exit 1' TERM
echo "$CUDA_VISIBLE_DEVICES ${RAY_JOB_CONFIG_JSON_ENV_VAR:-none}" >>"$HERE/began"
[ -e "$HERE/saved" ] || while :; do sleep 0.2; done
"""


def test_a_task_that_needs_eight_seconds_to_save_has_them_and_goes_on_in_the_next_job(
    tmp_path: Path, cluster: dict[str, str]
) -> None:
    env = {
        **{key: value for key, value in cluster.items() if key != "HOME"},
        "HOME": str(tmp_path),
        "QUEUE_ROOT": str(tmp_path / "q"),
        "JOB_ID": "exp 1",
        "SUBMIT_PREFIX": "alice",
        "PYTHON": sys.executable,
        "GPU_QUEUE_SIMULATE": "2",
        "HERE": str(tmp_path),
    }

    def run(script: str) -> str:
        done = subprocess.run(
            ["bash", "-c", script], env=env, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, (script, done.stdout, done.stderr)
        return done.stdout

    (tmp_path / "task.sh").write_text(f"HERE={tmp_path}\n{TASK}")
    try:
        said = run("./submit.sh 'exp 1' 1 2 --way ray")
        ids = re.findall(r"Submitted: ray (\S+),", said)
        assert len(ids) == 2
        run('source ./client.sh; gpu_submit "$HERE/task.sh"')
        wait_until((tmp_path / "began").exists, 60)
        assert run("./submit.sh --list 'exp 1'").count(" running ") == 2
        assert "ray was asked to end" in run("./submit.sh --delete 'exp 1'")
        wait_until(lambda: list((tmp_path / "q" / "exp 1" / "pending").glob("500-*")), 60)
        assert (tmp_path / "saved").read_text() == "saved\n"
        wait_until(lambda: run("./submit.sh --list 'exp 1'").count(" ended ") == 2, 60)
        run("./submit.sh 'exp 1' 1 --way ray")
        wait_until(lambda: list((tmp_path / "q" / "exp 1" / "done").glob("500-*")), 60)
    finally:
        run("./submit.sh --delete 'exp 1'")
    assert len((tmp_path / "began").read_text().splitlines()) == 2
    assert {line.split()[1] for line in (tmp_path / "began").read_text().splitlines()} == {"none"}


def test_nothing_is_left_running(cluster: dict[str, str]) -> None:
    """Of the jobs before this; that of the cluster itself is ended by force, if need be, when all is over."""
    wait_until(lambda: not of_the_cluster(b"perpetual_motion"), 30)
    wait_until(lambda: not of_the_cluster(b"shim"), 5)
