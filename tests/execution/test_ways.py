"""A way is asked what has become of batch jobs: whatever it does, nobody waits for it and little is believed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gpu_queue.allocations import ID_MAX, parse_allocation
from gpu_queue.errors import WayError
from gpu_queue.execution import ways
from gpu_queue.execution.processes import pids, read_process
from gpu_queue.execution.ways import JobState, Question, environment_of_ways, find_way, parse_states
from tests.agent.harness import wait_until


def a_way(directory: Path, script: str, name: str = "way") -> dict[str, str]:
    """Put a way there; returns the environment by which it is found."""
    directory.mkdir(mode=0o700, exist_ok=True)
    path = directory / name
    path.write_text(f"#!/bin/bash\n{script}\n")
    path.chmod(0o700)
    return {"PATH": os.environ["PATH"], "HOME": str(directory.parent), "GPU_QUEUE_WAYS": str(directory)}


@contextmanager
def asking(tmp_path: Path, script: str, *ids: str, timeout_s: float = 20.0) -> Iterator[Question]:
    question = Question("way", ids or ("1",), a_way(tmp_path / "ways", script), timeout_s)
    try:
        yield question
    finally:
        question.close()


def answer(tmp_path: Path, script: str, *ids: str, timeout_s: float = 20.0) -> tuple[dict[str, JobState], str]:
    with asking(tmp_path, script, *ids, timeout_s=timeout_s) as question:
        wait_until(question.is_over, "an answer", 30)
        return question.states, question.problem


def sleepers(seconds: str) -> list[int]:
    """Processes of that very sleep."""
    found = []
    for pid in pids():
        try:
            if Path(f"/proc/{pid}/cmdline").read_bytes() == b"sleep\0" + seconds.encode() + b"\0":
                found.append(pid)
        except OSError:
            continue
    return [pid for pid in found if (row := read_process(pid)) is not None and row.state != "Z"]


# -- what is asked ---------------------------------------------------------------------------------------------------


def test_all_jobs_are_asked_about_in_one_call_and_each_is_one_argument(tmp_path: Path) -> None:
    script = f'printf "%s\\n" "$#" "$@" >"{tmp_path}/argv"; shift; printf "%s\\tended\\n" "$@"'
    ids = ("1234.0", "my job/0a1b2c", "$(touch pwned)", "训练/1")
    states, problem = answer(tmp_path, script, *ids)
    assert (set(states), problem) == (set(ids), "")
    assert (tmp_path / "argv").read_text().splitlines() == ["5", "states", *ids]


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("slurm:1234.0", ("slurm", "1234.0")),
        ("sco:ydj-train exp/0a1b", ("sco", "ydj-train exp/0a1b")),
        ("k8s:a/b:c", ("k8s", "a/b:c")),
        ("my_way-2.sh:x", ("my_way-2.sh", "x")),
        *(
            (text, None)
            for text in (
                *(
                    "",
                    ":",
                    "slurm",
                    "slurm:",
                    ":1",
                    "../x:1",
                    "/bin/sh:1",
                    ".:1",
                    "a/b:1",
                    "-x:1",
                    "a b:1",
                ),
                *(
                    "slurm:-c",
                    "slurm:--name=x",
                    "slurm:1\n2",
                    "slurm:1\t2",
                    "slurm:\x1b[2J",
                    "slurm:\0",
                    "slurm:\udc80",
                ),
                *("x" * 65 + ":1", "slurm:" + "1" * (ID_MAX + 1), "slurm:1\n", "slurm:\u202e1"),
            )
        ),
    ],
)
def test_only_what_names_a_file_and_is_no_option_is_asked_about(text: str, parsed: tuple[str, str] | None) -> None:
    assert parse_allocation(text) == parsed


# -- what is believed ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "states"),
    [
        ("1\tended\tCOMPLETED\tabc\tname\n", {"1": JobState("ended", "COMPLETED")}),
        ("1\tended\n2\tlost\tNODE_FAIL\n", {"1": JobState("ended"), "2": JobState("lost", "NODE_FAIL")}),
        ("1\tended\n1\tended\n", {"1": JobState("ended")}),
        ("1\tended\tX\n1\trunning\n", {"1": JobState("unknown")}),
        ("3\tended\n", {}),
        ("1 ended\n", {}),
        ("1\tENDED\n", {}),
        ("1\tended \n", {}),
        ("\n\t\t\n1\n1\t\n", {}),
        ("usage: way …\n", {}),
    ],
)
def test_a_line_counts_that_names_a_job_that_was_asked_about_and_a_word(
    text: str, states: dict[str, JobState]
) -> None:
    assert parse_states(text, ["1", "2"]) == states


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ('printf "1\\tended\\n"; exit 111', "it ended with 111: without a word"),
        ('printf "1\\tended\\n"; echo "Unable to contact slurm controller" >&2; exit 1', "1: Unable to contact"),
        ('printf "1\\tended\\n"; kill -9 $$', "-9"),
        ("no_such_program_here", "127"),
    ],
)
def test_what_a_way_that_fails_has_printed_is_not_believed(tmp_path: Path, script: str, problem: str) -> None:
    states, said = answer(tmp_path, script)
    assert states == {}
    assert problem in said


@pytest.mark.parametrize(
    "script",
    [
        "head -c 300 /dev/urandom",
        "printf '1\\0\\tended\\n\\xff\\xfe\\n'",
        "printf '\\033[2J1\\tended\\n'",
        "cat /dev/null",
    ],
)
def test_garbage_is_no_answer(tmp_path: Path, script: str) -> None:
    assert answer(tmp_path, script)[0] == {}


# -- what takes long -------------------------------------------------------------------------------------------------


def test_a_way_that_hangs_is_killed_with_all_that_it_has_started(tmp_path: Path) -> None:
    number = f"{os.getpid()}7"
    states, problem = answer(tmp_path, f"timeout 1000000 sleep {number} & sleep {number}", timeout_s=0.5)
    assert states == {}
    assert problem == "it has not answered in 0.5 s, and was killed"
    wait_until(lambda: not sleepers(number), "the end of what it has started")


def test_a_way_that_prints_without_end_is_killed_and_has_said_nothing(tmp_path: Path) -> None:
    started = time.monotonic()
    states, problem = answer(tmp_path, r'printf "1\tended\n"; yes', timeout_s=1.0)
    assert states == {}
    assert "was killed" in problem
    assert time.monotonic() - started < 10


def test_what_a_way_leaves_running_is_not_waited_for(tmp_path: Path) -> None:
    number = f"{os.getpid()}8"
    with asking(tmp_path, f'sleep {number} & printf "1\\tended\\n"') as question:
        wait_until(question.is_over, "an answer")
        assert question.states == {"1": JobState("ended")}
    for pid in sleepers(number):
        os.kill(pid, 9)


def test_who_asks_no_longer_leaves_nothing_running(tmp_path: Path) -> None:
    number = f"{os.getpid()}9"
    with asking(tmp_path, f"sleep {number}", timeout_s=1000.0) as question:
        wait_until(lambda: sleepers(number), "the question")
        question.close()
        wait_until(question.is_over, "its end")
    assert sleepers(number) == []
    assert question.states == {}


# -- which program ---------------------------------------------------------------------------------------------------


def test_a_way_of_ones_own_comes_before_ours_and_is_found_in_the_directory_of_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ways, "PACKAGED", str(tmp_path / "packaged"))
    a_way(tmp_path / "packaged", "", "slurm")
    home = tmp_path / "home"
    environment = {"HOME": str(home)}
    assert find_way("slurm", environment) == str(tmp_path / "packaged/slurm")
    (home / ".config/gpu-queue").mkdir(parents=True)
    a_way(home / ".config/gpu-queue/ways", "", "slurm")
    assert find_way("slurm", environment) == str(home / ".config/gpu-queue/ways/slurm")
    (tmp_path / "xdg/gpu-queue").mkdir(parents=True)
    a_way(tmp_path / "xdg/gpu-queue/ways", "", "slurm")
    assert find_way("slurm", {**environment, "XDG_CONFIG_HOME": str(tmp_path / "xdg")}).startswith(f"{tmp_path}/xdg")
    named = a_way(tmp_path / "own", "", "slurm")
    assert find_way("slurm", named) == str(tmp_path / "own/slurm")


def test_a_way_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(WayError, match=r"no way is called flux: neither .*/ways/flux nor .*/ways/flux is a program"):
        find_way("flux", {"HOME": str(tmp_path)})


@pytest.mark.parametrize("what", ["way", "."])
@pytest.mark.parametrize("mode", [0o720, 0o702])
def test_a_way_that_others_may_write_is_refused(tmp_path: Path, what: str, mode: int) -> None:
    environment = a_way(tmp_path / "ways", "")
    path = (tmp_path / "ways" / what).resolve()
    path.chmod(mode)
    with pytest.raises(WayError, match=f"{path}: .*mode {mode:04o}; expected one of yours"):
        find_way("way", environment)


def test_a_link_to_a_way_is_as_safe_as_where_it_leads(tmp_path: Path) -> None:
    environment = a_way(tmp_path / "ways", "")
    shared = tmp_path / "shared"
    a_way(shared, "", "real")
    (tmp_path / "ways/link").symlink_to(shared / "real")
    assert find_way("link", environment) == str(tmp_path / "ways/link")
    for path in (tmp_path / "ways", shared):  # who may write here may put another link there
        path.chmod(0o777)
        with pytest.raises(WayError, match=f"{path}: "):
            find_way("link", environment)
        path.chmod(0o700)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_way_of_somebody_else_is_refused(tmp_path: Path) -> None:
    environment = a_way(tmp_path / "ways", "")
    os.chown(tmp_path / "ways/way", 12345, 12345)
    with pytest.raises(WayError, match="uid 12345"):
        find_way("way", environment)


def test_a_way_finds_its_settings_wherever_they_stand(tmp_path: Path) -> None:
    found = environment_of_ways({"SCO_WORKSPACE": "mine"}, {"SCO_WORKSPACE": "conf", "SCO_CLUSTER": "conf"})
    assert (found["SCO_WORKSPACE"], found["SCO_CLUSTER"]) == ("mine", "conf")
    assert os.path.dirname(found["GQ_LIB"]) == ways.PACKAGED


def test_an_answer_whose_status_somebody_else_has_taken_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.waitpid

    def waitpid(pid: int, options: int) -> tuple[int, int]:
        real(pid, 0)
        raise ChildProcessError

    monkeypatch.setattr(os, "waitpid", waitpid)
    assert answer(tmp_path, r'printf "1\tended\n"') == ({}, "nobody knows how it ended")
