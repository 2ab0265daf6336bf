"""A job is created once, and whether it exists is never guessed."""

from __future__ import annotations

import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.cases import long
from tests.sco.acp import NONCE, OTHER_NONCE, WAY, Platform, wait_until

pytestmark = pytest.mark.timeout(180)  # every call starts some programs

QUICK = "4"
"""Seconds, for calls that never end; the others must do within it."""


def test_the_id_is_told_and_the_platforms_words_are_shown(platform: Platform) -> None:
    said = platform.submit(nodes=2)
    (job,) = platform.jobs()
    assert (said.status, said.out) == (0, f"{job['name']}\n")
    assert said.err == f"job {job['name']} submitted successfully\n"
    (role,) = job["roles"]
    assert role["startup_script"] == f"bash {platform.start()}"
    assert (role["total_replicas"], role["resource_spec"][0]["name"]) == (2, "n6ls.iu.i40.2")
    assert job["display_name"] == "ydj-train-exp1"


@pytest.mark.parametrize(
    "mode", ["slow", "broken", "slow bare", *long("quiet", "slow nofilter", "slow wrapped", "slow notice")]
)
def test_a_job_that_was_created_without_a_word_is_found_by_its_nonce(platform: Platform, mode: str) -> None:
    others = platform.submit(nonce=OTHER_NONCE)
    said = platform.submit(SCO_STAND_IN_MODE=mode, SCO_WAY_LIMIT_S=QUICK)
    (ours,) = (job for job in platform.jobs() if NONCE in job["roles"][0]["startup_script"])
    assert (said.status, said.out) == (0, f"{ours['name']}\n")
    assert said.out != others.out
    assert len(platform.calls("create")) == 2


@pytest.mark.parametrize(
    "mode", ["lost", "slow garbled", "hang", *long("brokenlost", "slow mute", "slow bare garbled")]
)
def test_where_the_platform_does_not_tell_a_job_may_exist_and_no_other_is_created(
    platform: Platform, mode: str
) -> None:
    platform.submit(nonce=OTHER_NONCE)  # of the same name: it is another's
    said = platform.submit(SCO_STAND_IN_MODE=mode, SCO_WAY_LIMIT_S=QUICK, SCO_IMAGE="code:402")  # no status of HTTP
    assert (said.status, said.out) == (111, "")
    assert "Before you submit again: sco acp jobs list --workspace-name=share-space | grep ydj-train-exp1" in said.err
    assert len(platform.calls("create")) == 2


@pytest.mark.parametrize("mode", ["quota", "unreachable", *long("quota429")])
def test_what_may_work_later_is_told_so_and_has_created_nothing(platform: Platform, mode: str) -> None:
    said = platform.submit(SCO_STAND_IN_MODE=mode)
    assert (said.status, said.out) == (75, "")
    if mode == "quota":
        # The reason stands on its standard output.
        assert said.err.startswith('HTTP 409: {"code":409,"details":[{"reason":"MEMBER_QUOTA_EXCEEDED"}]}\n')
        assert "sco: the quota is used up: later, or with fewer GPUs" in said.err
    assert platform.jobs() == []
    assert platform.calls("list") == platform.calls("list")[-1:]  # ours; the way had no doubt


@pytest.mark.parametrize(
    ("mode", "told"),
    [
        ("auth", "sco init logs in anew"),
        ("refused", 'HTTP 400: {"code":400,"details":[{"reason":"tjInvalidQuotaTypeInAec2"}]}'),
        ("menu", "sco components install all"),
        *long(("conflict", '"reason":"tjConflict"'), ("old", "Error: unknown flag: --wait")),
    ],
)
def test_a_refusal_is_shown_whole_with_what_to_check(platform: Platform, mode: str, told: str) -> None:
    said = platform.submit(SCO_STAND_IN_MODE=mode, SCO_ARGS="--wait")
    assert (said.status, said.out) == (1, "")
    assert told in said.err
    assert "sco: to check: " in said.err
    assert platform.jobs() == []


def test_a_name_that_the_platform_refuses_after_all_creates_nothing(platform: Platform) -> None:
    file = platform.base / "request"
    file.write_text(platform.way("render", **platform.request()).out.replace("ydj-train-exp1", "'-x'"))
    said = platform.way("submit", str(file), **platform.request())
    assert (said.status, said.out) == (1, "")
    assert "tjInvalidDisplayName" in said.err


def test_nothing_but_a_request_of_ours_is_run_and_no_word_of_it_by_a_shell(platform: Platform) -> None:
    file = platform.base / "request"
    for text in ("touch pwned\n", "sco acp jobs delete x\n", "sco acp jobs create \\\n  --command='x\n", ""):
        file.write_text(text)
        said = platform.way("submit", str(file), **platform.request())
        assert said.status == 100, said
    said = platform.submit(SCO_ARGS="--env 'A:$(touch pwned)`touch pwned`' --retry-times $(touch${IFS}pwned);")
    assert said.status == 0, said
    (call,) = platform.calls("create")
    assert call[-5:-1] == ["--env", "A:$(touch pwned)`touch pwned`", "--retry-times", "$(touch${IFS}pwned);"]


def test_whoever_waits_no_longer_leaves_no_call_behind(platform: Platform) -> None:
    file = platform.base / "request"
    env = platform.request() | {"SCO_STAND_IN_MODE": "lost"}
    file.write_text(platform.way("render", **env).out)
    calling = subprocess.Popen([WAY, "submit", file], env=platform.env | env, stderr=subprocess.DEVNULL)
    wait_until(lambda: platform.programs("create"), "the call")
    calling.send_signal(signal.SIGTERM)
    assert calling.wait(30) == 130  # long before the call's own limit
    wait_until(lambda: not platform.programs("create"), "the call to end")


def test_without_a_nonce_nothing_is_submitted(platform: Platform) -> None:
    file = platform.base / "request"
    file.write_text(platform.way("render", **platform.request()).out)
    said = platform.way("submit", str(file), GQ_NAME="ydj-train-exp1", GQ_NONCE="dry-run")
    assert said.status == 100
    assert platform.jobs() == []


def test_without_python_nothing_is_submitted_for_no_answer_could_be_read(platform: Platform) -> None:
    tools = platform.base / "tools"
    tools.mkdir()
    for name in ("bash", "env", "readlink", "dirname", "timeout", "mktemp", "cat", "rm"):
        (tools / name).symlink_to(str(shutil.which(name)))
    (tools / "sco").write_text("#!/bin/sh\n: >called\n")
    (tools / "sco").chmod(0o755)
    said = platform.submit(PATH=str(tools))
    assert (said.status, said.out) == (1, "")
    assert "sco: python3 is not found here" in said.err
    assert platform.way("detect", PATH=str(tools)).status == 1
    assert platform.way("states", "pt-00000000", PATH=str(tools)).status == 111
    assert not (platform.base / "called").exists()


def test_a_platform_is_detected_by_its_program_wherever_its_installer_put_it(platform: Platform) -> None:
    here = platform.env["PATH"].partition(":")[0]
    said = platform.way("detect", SCO_WORKSPACE="p18")
    assert (said.status, said.err) == (0, "")
    assert said.out == f"SCO ACP: workspace p18, cluster share-cluster ({here}/sco)\n"
    path = platform.env["PATH"].partition(":")[2]
    nothing = platform.way("detect", PATH=path)
    assert (nothing.status, nothing.out, nothing.err) == (1, "", "")
    Path(platform.env["HOME"], ".sco").mkdir(parents=True)
    Path(platform.env["HOME"], ".sco/bin").symlink_to(here)
    assert platform.way("detect", PATH=path).status == 0
    assert platform.submit(PATH=path).status == 0
