"""The stand-in behaves as the platform is known to."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.sco.acp import Platform, wait_until

pytestmark = pytest.mark.timeout(180)  # every call starts some programs


def create(platform: Platform, command: str, *more: str, **env: str) -> str:
    said = platform.sco(
        "create",
        *("--aec2-name", "share-cluster", "--job-name", "x", "--container-image-url=i", "-f", "pytorch"),
        *("--worker-spec=n6ls.iu.i40.4.32c512g", f"--command={command}", *more),
        **env,
    )
    assert said.status == 0, said
    return said.out.split()[1]


def state(platform: Platform) -> str:
    (job,) = platform.jobs()
    return str(job["state"])


def test_a_command_runs_once_in_each_worker_with_the_variables_of_the_platform(platform: Platform) -> None:
    tell = (
        'echo "$RANK $SENSECORE_PYTORCH_NODE_RANK of $SENSECORE_PYTORCH_NNODES $SENSECORE_ACCELERATE_DEVICE_COUNT $K"'
    )
    job = create(platform, f"{tell}; ps -o sid= -p $$ | xargs", "--worker-nodes", "2", "--env", "K:v,L:w")
    platform.wait_for("SUCCEEDED")
    said = platform.sco("stream-logs", job).out.splitlines()
    assert [said[0], said[2]] == ["0 0 of 2 4 v", "1 1 of 2 4 v"]
    assert said[1] != said[3]


def test_a_job_goes_through_its_states_and_is_stopped_with_term(platform: Platform) -> None:
    may_end = platform.base / "may end"
    job = create(
        platform,
        f"trap 'until [ -e \"{may_end}\" ]; do sleep 0.1; done; exit 3' TERM; echo up; while :; do sleep 0.1; done",
        SCO_STAND_IN_START_S="4",
    )
    seen = [state(platform)]
    while seen[-1] != "RUNNING":
        seen.append(state(platform))
    order = ["QUEUEING", "CREATING", "STARTING", "RUNNING"]
    assert sorted(seen, key=order.index) == seen
    wait_until(lambda: platform.sco("stream-logs", job).out, "its trap")
    assert platform.sco("stop", job).status == 0
    assert state(platform) == "SUSPENDING"
    may_end.touch()
    platform.wait_for("SUSPENDED")
    said = platform.sco("start", job)
    assert said.status == 70
    assert "HTTP 400" in said.out
    assert "wsImmutableJobEnabled" in said.out
    assert said.err == 'Error: component "acp" exited with error\n'


def test_who_is_deaf_to_term_is_killed_with_all_that_it_started(platform: Platform) -> None:
    pids = platform.base / "pids"
    deaf = (
        f"trap '' TERM; setsid bash -c 'echo $$ >>{pids}; sleep 600' & echo $$ >>{pids}; while :; do sleep 0.1; done"
    )
    job = create(platform, deaf, SCO_STAND_IN_GRACE_S="1")
    wait_until(lambda: pids.exists() and len(pids.read_text().split()) == 2, "both processes")
    began = time.monotonic()
    assert platform.sco("delete", "x").status == 0  # by its display name
    wait_until(lambda: not platform.jobs(), "the end")
    assert time.monotonic() - began > 0.9
    assert not any(Path(f"/proc/{pid}/exe").exists() for pid in pids.read_text().split())
    assert platform.sco("describe", job, "-o", "json").status == 70
    assert platform.sco("list").out == "No jobs found\n"


def test_one_failing_worker_fails_the_job(platform: Platform) -> None:
    create(platform, "[ $RANK = 0 ] && exit 3; sleep 600", "--worker-nodes=2")
    platform.wait_for("FAILED")
    holders = (platform.home / "jobs").glob("*.worker-1")
    wait_until(lambda: [path.read_text() for path in holders] != ["running"], "the other one")


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (("create", "--frobnicate=1"), 1, "Error: unknown flag: --frobnicate"),
        (("create", "--job-name=x"), 1, 'Error: required flag(s) "aec2-name", "container-image-url"'),
        (("describe",), 1, "Error: requires at least 1 arg(s)"),
        (("describe", "pt-0"), 70, "HTTP 404"),
        (("frobnicate",), 0, "Available Commands:"),
    ],
)
def test_mistakes_are_told_as_the_platform_tells_them(
    platform: Platform, words: tuple[str, ...], status: int, told: str
) -> None:
    said = platform.sco(*words)
    assert said.status == status
    assert told in said.out + said.err


def test_an_empty_command_is_refused_and_a_page_has_ten(platform: Platform) -> None:
    with pytest.raises(AssertionError):
        create(platform, "")
    assert platform.jobs() == []
    for number in range(11):
        platform.place(number, "x")
    assert platform.sco("list").out.count("pt-") == 10
    assert platform.sco("list", "--page-token=2").out.count("pt-") == 1
    assert platform.sco("list", "--page-token=3").out == "No jobs found\n"
    assert platform.sco("list", "--page-size=500", "--display-name=x").out.count("pt-") == 11
