"""The worked example of a way of one's own, to PBS, against a stand-in for its commands."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ways.caller import NONCE, ROOT, SHORT, STRANGE, Way, golden

EXAMPLE = ROOT / "examples" / "ways" / "pbs"
STAND_IN = Path(__file__).resolve().parent / "pbs_stand_in.py"


def stand_in(directory: Path) -> dict[str, str]:
    """A machine that has PBS: its environment."""
    (directory / "bin").mkdir()
    (directory / "pbs").mkdir()
    for program in ("qsub", "qselect", "qstat", "qdel"):
        (directory / "bin" / program).write_text(f"#!{sys.executable}\n" + STAND_IN.read_text())
        (directory / "bin" / program).chmod(0o755)
    return {"PATH": f"{directory}/bin:{os.environ['PATH']}", "PBS_STAND_IN": f"{directory}/pbs"}


@pytest.fixture
def way(tmp_path: Path) -> Way:
    return Way(EXAMPLE, tmp_path, stand_in(tmp_path))


def say(way: Way, mode: str) -> None:
    (way.directory / "pbs" / "mode").write_text(mode)


def set_state(way: Way, job: str, letter: str) -> None:
    path = way.directory / "pbs" / "jobs"
    jobs = json.loads(path.read_text())
    jobs[job]["job_state"] = letter
    path.write_text(json.dumps(jobs))


def test_the_batch_script_is_this(way: Way) -> None:
    there = {"GQ_START": f"/shared/a b/start-{NONCE}.sh", "GQ_LOG_DIR": "/shared/a b"}
    more = {"WAY_PBS_ARGS": "-q gpu -A project", "GQ_AFTER": "7.head", "WAY_PBS_RESOURCES": "nodes=1:gpus=${GPUS}"}
    golden("pbs.sh", way.ok("render", **there) + way.ok("render", GQ_SECONDS="90061", **there, **more))
    golden("pbs.prelude", way.ok("prelude"))


@pytest.mark.parametrize(
    ("env", "problem"),
    [
        ({"GQ_NAME": f"alice-{STRANGE}"}, "choose another JOB_ID"),
        ({"GQ_NAME": "-x"}, "choose another JOB_ID"),
        ({"GQ_GPUS": "all"}, "GPUS all"),
        ({"WAY_PBS_ARGS": "-q 'gpu"}, "a quote is not closed"),
    ],
)
def test_a_setting_that_is_wrong_is_named(way: Way, env: dict[str, str], problem: str) -> None:
    assert problem in way.refusal("render", **env)


def test_a_setting_adds_no_line_to_the_script(way: Way) -> None:
    assert "\ntouch" not in way.ok("render", WAY_PBS_ARGS="-q gpu\ntouch pwned")


def test_it_is_found_where_its_server_answers(way: Way) -> None:
    assert way.ok("detect") == "PBS, pbs_version = 23.06.06\n"
    say(way, "away")
    assert way.call("detect").returncode == 1


def test_a_job_is_submitted_asked_for_and_deleted(way: Way) -> None:
    assert way.submit().stdout == "1.head\n"
    assert way.states("1.head", "2.head") == {
        "1.head": ["queued", "Q", NONCE, "alice-train-exp1"],
        "2.head": ["unknown", "unknown to qstat", "", ""],
    }
    for letter, word in (("R", "running"), ("S", "running"), ("H", "queued"), ("E", "ending"), ("?", "unknown")):
        set_state(way, "1.head", letter)
        assert way.states("1.head")["1.head"][:2] == [word, letter]
    set_state(way, "1.head", "R")
    way.ok("cancel", "1.head", "2.head")
    assert way.states("1.head")["1.head"] == ["ended", "finished", "", ""]
    assert way.states("1.head", GQ_PROOF="1")["1.head"] == ["lost", "finished", "", ""]
    way.ok("cancel", "1.head")


def test_jobs_are_found_by_their_names_alone(way: Way) -> None:
    assert way.states("--name", "alice-train-exp1") == {}
    for index, job in enumerate(("train-exp1", "train-exp10", "train-exp1")):
        way.submit(**way.of(job, f"{index:012x}"))
    assert [row[2] for row in way.states("--name", "alice-train-exp1").values()] == [f"{0:012x}", f"{2:012x}"]
    assert len(way.states("--prefix", "alice-")) == 3
    assert way.states("--prefix", "bob-") == {}


@pytest.mark.parametrize(("mode", "status"), [("away", 75), ("limit", 75)])
def test_what_cannot_be_now_may_be_later(way: Way, mode: str, status: int) -> None:
    say(way, mode)
    done = way.submit()
    assert (done.returncode, done.stdout) == (status, "")
    assert "qsub: " in done.stderr


def test_a_refusal_is_told_whole(way: Way) -> None:
    done = way.submit(WAY_PBS_ARGS="-q nope")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "qsub: Unknown queue\n")


def test_a_job_whose_answer_got_lost_is_found_by_its_nonce(way: Way) -> None:
    say(way, "lost")
    done = way.submit()
    assert (done.returncode, done.stdout) == (0, "1.head\n")
    assert way.submit(GQ_NONCE="00000000beef").stdout == "2.head\n"


def test_no_answer_is_not_an_empty_one(way: Way) -> None:
    assert way.submit().returncode == 0
    say(way, "away")
    for words in (["states", "1.head"], ["states", "--name", "alice-train-exp1"], ["cancel", "1.head"]):
        done = way.call(*words)
        assert (done.returncode, done.stdout) == (111, "")
    say(way, "hang")
    way.use("timeout", SHORT)
    done = way.submit()
    assert (done.returncode, done.stdout) == (111, "")


def test_jobs_of_others_are_not_deleted(way: Way) -> None:
    assert way.submit().returncode == 0
    say(way, "forbidden")
    assert way.call("cancel", "1.head").returncode == 1


def test_a_shell_is_had_by_ssh(way: Way) -> None:
    assert "then: ssh NODE" in way.refusal("exec", "1.head")


@pytest.mark.parametrize(
    ("env", "gpus"),
    [
        ({"CUDA_VISIBLE_DEVICES": "2"}, "all"),
        ({"PBS_GPUFILE": "gpufile"}, "1,3"),
        ({"GPU_QUEUE_SIMULATE": "4"}, "all"),
    ],
)
def test_only_gpus_that_pbs_granted_are_served(way: Way, env: dict[str, str], gpus: str) -> None:
    (way.directory / "gpufile").write_text("node7-gpu1\nnode7-gpu3\n")
    script = f'gpus=all; {way.ok("prelude")}echo "$gpus $GPU_QUEUE_ALLOCATION $GPU_QUEUE_NODE_NAME"'
    job = {"PATH": os.environ["PATH"], "PBS_JOBID": "7.head"}
    if "PBS_GPUFILE" in env:
        env = {"PBS_GPUFILE": f"{way.directory}/gpufile"}
    done = subprocess.run(["bash", "-c", script], env={**job, **env}, capture_output=True, text=True, check=True)
    assert done.stdout == f"{gpus} pbs:7.head {os.uname().nodename}-7\n"
    refused = subprocess.run(["bash", "-c", script], env=job, capture_output=True, text=True, check=False)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "did not say which GPUs are ours" in refused.stderr


def test_copied_to_its_place_it_works_with_submit_sh(tmp_path: Path) -> None:
    home = tmp_path / "home"
    there = home / ".config" / "gpu-queue" / "ways"
    there.mkdir(parents=True)
    for path in (there, there.parent, there.parent.parent):
        path.chmod(0o755)
    shutil.copy(EXAMPLE, there)
    (there.parent / "gpu-queue.conf").write_text("WAY_PBS_ARGS=-q gpu\n")
    (there.parent / "gpu-queue.conf").chmod(0o644)
    env = {**stand_in(tmp_path), "HOME": str(home), "QUEUE_ROOT": str(tmp_path / "q"), "SUBMIT_PREFIX": "alice"}

    def submit(*words: str) -> str:
        done = subprocess.run(
            ["bash", ROOT / "submit.sh", *words], env=env, capture_output=True, text=True, check=False, timeout=50
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "#PBS -q gpu\n" in submit("--way", "pbs", "exp1", "2", "--dry-run")
    assert not (tmp_path / "pbs" / "jobs").exists()
    assert "Submitted: pbs 1.head, alice-exp1, 2 GPUs" in submit("--way", "pbs", "exp1", "2")
    assert "Submitted: pbs 2.head" in submit("exp1", "4")  # it is found
    assert re.findall(r"(\d.head) +(\w+) ", submit("--list", "exp1")) == [("1.head", "queued"), ("2.head", "queued")]
    assert "pbs was asked to end" in submit("--delete", "exp1")
    assert {job["job_state"] for job in json.loads((tmp_path / "pbs" / "jobs").read_text()).values()} == {"F"}
