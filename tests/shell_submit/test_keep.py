"""A queue that is kept served: what a person types, and what agents ask of submit.sh."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.shell_submit.machine import AT_WORK, MOON_WAY, Machine


def of(machine: Machine, name: str) -> Path:
    return machine.root / "home" / "gpu_queue" / "exp1" / "allocations" / name


def slots(machine: Machine) -> dict[str, list[str]]:
    """What is in each token, without who made it."""
    return {
        path.name: [line for line in path.read_text().splitlines() if not line.startswith("by ")]
        for path in sorted(of(machine, "").glob("slot-*"))
    }


def nonces(machine: Machine) -> list[str]:
    return [path.name.partition("-")[2] for path in machine.allocations()]


def test_the_first_allocations_have_tokens_and_what_was_asked_for_is_kept(machine: Machine, moon: Path) -> None:
    words = ("--keep", "2", "exp1", "4", "--time", "48h", "--", "--at-end", "stop")
    done = machine.submit(
        *words, GPU_QUEUE_SIMULATE="4", GPU_QUEUE_SLOT="9.9", GPU_QUEUE_NOTIFY_OPS="json://h/secret"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    first, second = nonces(machine)
    assert slots(machine) == {
        "slot-1.1": [f"nonce {first}", "submitted m1"],
        "slot-2.1": [f"nonce {second}", "submitted m2"],
    }
    kept = [line for line in of(machine, "keep").read_text().splitlines() if not line.startswith(("by ", "set CODE"))]
    assert kept == [
        *("slots 2", "way moon", "gpus 4", "nodes 1", "time 48h", "flag --at-end", "flag stop"),
        *("set GPU_QUEUE_SIMULATE=4", "set PYTHON=/opt/py/bin/python", "set SUBMIT_PREFIX=alice"),
    ]
    assert of(machine, "keep").stat().st_mode & 0o077 == 0
    start = (machine.allocations()[1] / f"start-{second}.sh").read_text()
    assert "export GPU_QUEUE_SLOT=2.1\n" in start
    assert "secret" not in start
    assert "--lifetime 172380s" in start  # slot 2 ends two minutes sooner


def test_a_successor_is_submitted_by_what_was_kept_and_not_by_what_its_node_has(machine: Machine, moon: Path) -> None:
    machine.submit("--keep", "1", "exp1", "4", "--time", "48h", "--", "--at-end", "stop", GPU_QUEUE_SIMULATE="4")
    of(machine, "slot-1.2").write_text("nonce 0123456789ab\nby n1\nfrom 1.1\n")
    root = str(machine.root / "home" / "gpu_queue")
    node = {"QUEUE_ROOT": root, "PYTHON": "/node/python", "SUBMIT_PREFIX": "", "GPU_QUEUE_SIMULATE": ""}
    done = machine.submit("--successor", "1.2", "--after", "m1", "exp1", **node)
    assert done.returncode == 0, done.stdout + done.stderr
    assert slots(machine)["slot-1.2"] == ["nonce 0123456789ab", "from 1.1", "submitted m2"]
    first, second = ((one / f"start-{one.name[-12:]}.sh").read_text() for one in machine.allocations())
    assert second.replace(machine.allocations()[1].name, machine.allocations()[0].name).replace(
        "0123456789ab", nonces(machine)[0]
    ) == first.replace("GPU_QUEUE_SLOT=1.1", "GPU_QUEUE_SLOT=1.2")
    again = machine.submit("--successor", "1.2", "exp1", **node)
    assert (again.returncode, len(list(moon.iterdir()))) == (100, 2)


def test_what_is_refused_before_the_way_is_called_stands_in_the_token(machine: Machine, moon: Path) -> None:
    machine.submit("--keep", "1", "exp1")
    of(machine, "slot-1.2").write_text("nonce 0123456789ab\nfrom 1.1\n")
    kept = of(machine, "keep")
    kept.write_text(kept.read_text().replace("gpus 2", "gpus all"))  # which this way cannot render
    done = machine.submit("--successor", "1.2", "exp1", QUEUE_ROOT=str(machine.root / "home" / "gpu_queue"))
    assert done.returncode == 100
    assert slots(machine)["slot-1.2"] == ["nonce 0123456789ab", "from 1.1", "refused 100"]
    machine.submit("--keep", "1", "exp1", "--dry-run")
    assert len(slots(machine)["slot-1.1"]) == 2


def test_a_successor_of_a_queue_that_is_kept_no_longer_is_not_submitted(machine: Machine, moon: Path) -> None:
    machine.submit("--keep", "1", "exp1")
    assert machine.submit("--no-keep", "exp1").stdout.startswith("exp1 is kept served no longer")
    of(machine, "slot-1.2").write_text("nonce 0123456789ab\n")
    done = machine.submit("--successor", "1.2", "exp1", QUEUE_ROOT=str(machine.root / "home" / "gpu_queue"))
    assert done.returncode == 1
    assert "is kept no longer" in done.stderr
    assert len(list(moon.iterdir())) == 1
    assert machine.submit("--no-keep", "exp1").stdout == "exp1 was not kept served.\n"


def test_typed_again_and_again_it_submits_no_more_than_n_and_no_more_than_an_hour_allows(
    machine: Machine, moon: Path
) -> None:
    for _ in range(3):
        done = machine.submit("--keep", "2", "exp1")
        assert done.returncode == 0, done.stdout + done.stderr
    assert len(list(moon.iterdir())) == 2
    assert "Slot 1 has its allocation already." in done.stdout
    for _ in range(4):
        for job in moon.iterdir():
            job.unlink()  # they die at once
        done = machine.submit("--keep", "2", "exp1")
    assert len(slots(machine)) == 4
    assert "4 were submitted within an hour, and 4 may be" in done.stdout
    for path in of(machine, "").glob("slot-*"):
        os.utime(path, (0, 0))
    machine.submit("--keep", "2", "exp1")
    assert len(slots(machine)) == 6


def test_an_allocation_that_was_submitted_otherwise_counts_and_keeps_nothing(machine: Machine, moon: Path) -> None:
    machine.submit("exp1")
    done = machine.submit("--keep", "1", "exp1")
    assert (done.returncode, len(list(moon.iterdir()))) == (75, 1)
    assert "none of its allocations was submitted by --keep" in done.stderr
    assert not of(machine, "keep").exists()
    assert machine.submit("--keep", "2", "exp1", "2", "1").returncode == 0
    assert sorted(slots(machine)) == ["slot-1.1"]


def test_a_slot_that_an_agent_has_taken_a_moment_ago_is_left_to_it(machine: Machine, moon: Path) -> None:
    machine.submit("--keep", "2", "exp1", "2", "1")
    of(machine, "slot-2.1").write_text("nonce 0123456789ab\nfrom 1.1\n")  # and it calls the scheduler just now
    done = machine.submit("--keep", "2", "exp1")
    assert done.returncode == 0
    assert "Slot 2 has its allocation already." in done.stdout
    assert list(slots(machine)) == ["slot-1.1", "slot-2.1"]
    of(machine, "slot-2.1.began").touch()  # and its job has ended
    machine.submit("--keep", "2", "exp1")
    assert slots(machine)["slot-2.2"][-1] == "submitted m2"
    assert len(list(moon.iterdir())) == 2


def test_who_asked_before_another_submitted_makes_no_second_allocation_of_the_slot(
    machine: Machine, moon: Path
) -> None:
    """The scheduler's answer is as old as the asking, and takes a while."""
    machine.own_way(
        "moon", MOON_WAY.replace("    done\n    ;;\n  cancel)", f"    done\n    {AT_WORK}\n    ;;\n  cancel)")
    )
    late = begin(machine, "--keep", "1", "exp1", WAITS="1")
    while not (machine.root / "begun").exists():
        assert late.poll() is None
    assert machine.submit("--keep", "1", "exp1").returncode == 0
    (machine.root / "go").touch()
    said, _ = late.communicate()
    assert len(list(moon.iterdir())) == 1, said
    assert list(slots(machine)) == ["slot-1.1"]


def test_a_slot_that_somebody_is_at_work_on_has_its_allocation(machine: Machine, moon: Path) -> None:
    machine.own_way("moon", MOON_WAY.replace("    id=m", f"    {AT_WORK}\n    id=m"))
    first = begin(machine, "--keep", "1", "exp1", WAITS="1")
    while not (machine.root / "begun").exists():
        assert first.poll() is None
    done = machine.submit("--keep", "1", "exp1")
    (machine.root / "go").touch()
    first.communicate()
    assert "Slot 1 has its allocation already." in done.stdout
    assert len(list(moon.iterdir())) == 1


def test_a_submit_sh_that_was_killed_with_a_token_in_its_hand_keeps_nobody_from_its_slot(
    machine: Machine, moon: Path
) -> None:
    kill = '    kill -KILL "$(ps -o ppid= $PPID)" $$\n    id=m'
    machine.own_way("moon", MOON_WAY.replace("    id=m", kill))
    assert machine.submit("--keep", "1", "exp1").returncode == -9
    machine.own_way("moon", MOON_WAY)
    answer = machine.allocations()[0] / "answer"
    os.utime(answer, (0, 0))
    assert machine.submit("--keep", "1", "exp1").returncode == 0
    assert len(list(moon.iterdir())) == 1


def test_a_token_whose_submit_sh_was_killed_before_it_submitted_keeps_nobody_from_its_slot(
    machine: Machine, moon: Path
) -> None:
    programs = machine.root / "programs"
    programs.mkdir()
    token = of(machine, "slot-1.1")
    (programs / "date").write_text(
        f"#!/bin/bash\n[[ ! -e '{token}' ]] || kill -KILL $PPID\n{shutil.which('date')} \"$@\"\n"
    )
    (programs / "date").chmod(0o755)
    assert machine.submit("--keep", "1", "exp1", PATH=f"{programs}:{machine.env['PATH']}").returncode == -9
    assert (token.exists(), machine.allocations()) == (True, [])
    done = machine.submit("--keep", "1", "exp1")
    assert (done.returncode, len(list(moon.iterdir()))) == (0, 1), done.stdout


def test_a_link_that_somebody_else_laid_leads_no_file_of_ours_astray(machine: Machine, moon: Path) -> None:
    """In a queue that is open to a group others may write beside `keep`."""
    spool = machine.root / "home" / "gpu_queue" / "exp1"
    spool.mkdir(parents=True)
    spool.chmod(0o1770)
    assert machine.submit("exp1").returncode == 0
    precious = machine.root / "precious"
    precious.write_text("mine\n")
    of(machine, "keep.new").symlink_to(precious)
    os.mkfifo(of(machine, "slot-7.7"))
    assert machine.submit("--keep", "2", "exp1").returncode == 0
    assert precious.read_text() == "mine\n"
    assert of(machine, "keep").read_text().startswith("slots 2\n")


def begin(machine: Machine, *words: str, **env: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["bash", machine.script, *words], env={**machine.env, **env}, stdout=subprocess.PIPE, text=True
    )


def test_while_the_scheduler_does_not_answer_nothing_is_kept_or_submitted(machine: Machine, moon: Path) -> None:
    done = machine.submit("--keep", "1", "exp1", MOON_MOOD="silent")
    assert done.returncode == 111
    assert not of(machine, "keep").exists()
    assert not list(moon.iterdir())


def test_a_refused_first_submission_is_not_kept(machine: Machine, moon: Path) -> None:
    done = machine.submit("--keep", "1", "exp1", MOON_MOOD="refuses")
    assert done.returncode == 1
    assert not of(machine, "keep").exists()
    assert slots(machine)["slot-1.1"][1:] == ["refused 1"]


def test_delete_ends_it_before_it_ends_what_runs(machine: Machine, moon: Path) -> None:
    machine.submit("--keep", "1", "exp1")
    assert "exp1 is kept served by at most 1 allocations at a time" in machine.submit("--list", "exp1").stdout
    assert machine.submit("--delete", "exp1").returncode == 0
    assert not of(machine, "keep").exists()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--keep", "0", "exp1"), "--keep '0': expected how many allocations"),
        (("--keep", "2", "exp1", "4", "3"), "NODES 3: expected at most 2"),
        (("--keep", "2", "exp1", "--way", "local"), "on this machine nothing ends an agent but itself"),
    ],
)
def test_what_cannot_be_kept_is_refused(machine: Machine, moon: Path, words: tuple[str, ...], reason: str) -> None:
    assert reason in machine.refusal(*words)
    assert not list(moon.iterdir())
