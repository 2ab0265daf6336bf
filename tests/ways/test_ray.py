"""The way to Ray: what it renders, and what it says where there is none.  A real cluster: test_real_ray.py."""

from __future__ import annotations

import itertools
import json
import re
import shlex
from pathlib import Path

import pytest

from tests.ways.caller import NONCE, OURS, STRANGE, Way, golden


@pytest.fixture
def way(tmp_path: Path) -> Way:
    return Way(OURS / "ray", tmp_path)


def test_the_command_is_this(way: Way) -> None:
    there = {"GQ_START": f"/shared/a b/start-{NONCE}.sh", "GQ_LOG_DIR": "/shared/a b"}
    golden("ray.sh", way.ok("render", RAY_WAY_ARGS="--entrypoint-num-cpus 8 --verify 'my ca.pem'", **there))
    golden("ray.prelude", way.ok("prelude"))


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_strange_names_stay_what_they_are(way: Way, locale: str) -> None:
    words = shlex.split(way.ok("render", GQ_NAME=STRANGE, GQ_START=f"/q/{STRANGE}/start.sh", LC_ALL=locale))
    given = dict(itertools.pairwise(words))
    assert re.fullmatch(r"it_s_a_{8,10}x_y_[A-Za-z_]+-" + NONCE, given["--submission-id"])
    assert json.loads(given["--metadata-json"]) == {"gpu_queue_name": STRANGE, "gpu_queue_nonce": NONCE}
    variables = json.loads(given["--runtime-env-json"])["env_vars"]
    assert variables["GPU_QUEUE_ALLOCATION"] == f"ray:{given['--submission-id']}"
    assert words[-2] == f"/q/{STRANGE}/start.sh"


@pytest.mark.parametrize(
    ("env", "problem"),
    [
        ({"GQ_GPUS": "all"}, "GPUS all"),
        ({"RAY_WAY_ARGS": "--verify 'x"}, "a quote is not closed"),
        ({"GQ_NAME": "a\tb"}, "no control characters"),
    ],
)
def test_a_setting_that_is_wrong_is_named(way: Way, env: dict[str, str], problem: str) -> None:
    assert problem in way.refusal("render", **env)


def test_without_an_address_it_is_not_here_and_says_nothing(way: Way) -> None:
    done = way.call("detect")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")


def test_without_the_command_it_says_what_is_missing_and_submits_nothing(way: Way) -> None:
    way.env |= {"RAY_API_SERVER_ADDRESS": "http://127.0.0.1:1", "PATH": "/usr/bin:/bin"}
    done = way.call("detect")
    assert (done.returncode, done.stdout) == (1, "")
    assert "pip install 'ray[default]'" in done.stderr
    done = way.submit()
    assert (done.returncode, done.stdout) == (1, "")
    assert way.call("states", "x").returncode == 111


def test_a_request_that_is_not_ours_is_not_run(way: Way) -> None:
    (way.directory / "request").write_text("touch pwned\n")
    assert "expected what render printed" in way.refusal("submit", str(way.directory / "request"))


def test_there_is_no_shell_inside_a_job(way: Way) -> None:
    assert "ssh NODE" in way.refusal("exec", "x")
