"""gpu_stop and gpu_shutdown: what is asked of agents, here played by the test, and what happens where none lives."""

from __future__ import annotations

import json
import os
import stat
import subprocess

import pytest

from tests.shell.helpers import Shell, Spool, end, wait_until

NODE = "n1-00000001"
OTHER = "n2-00000002"


def ended(process: subprocess.Popen[str]) -> tuple[int, list[str], str]:
    out, err = process.communicate(timeout=30)
    return process.returncode, out.splitlines(), err


def test_stop_names_the_claim_and_prints_the_answer(shell: Shell, spool: Spool) -> None:
    full = spool.add(f"running/{NODE}", "train.sh")
    (claim,) = spool.names(f"running/{NODE}")
    spool.node(NODE)
    process = shell.start("gpu_stop train")
    wait_until(spool.commands)
    ((entry, command),) = spool.commands()
    assert command == {
        "protocol": 1,
        "nonce": entry.removesuffix(".json").partition("-")[2],
        "command": "stop",
        "to": [f"{NODE}/{NODE}1"],
        "from": command["from"],
        "claims": [claim],
    }
    assert command["from"].startswith("alice@")
    wait_until((spool.path / "control.json").exists)
    assert json.loads((spool.path / "control.json").read_text()) == command
    spool.move(full, f"running/{NODE}", "failed")
    spool.answer(entry, NODE, "stopped train.sh\nswept 2 processes")
    assert ended(process)[:2] == (0, [f"{NODE}: stopped train.sh", f"{NODE}: swept 2 processes"])


def test_stop_waits_for_an_agent_that_gave_a_sign_of_life(shell: Shell, spool: Spool) -> None:
    full = spool.add(f"running/{NODE}", "train.sh")
    spool.node(NODE, age_s=3600)
    process = shell.start("gpu_stop train", GPU_QUEUE_PATIENCE="5")
    wait_until(spool.commands)
    spool.node(NODE)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(6)
    spool.move(full, f"running/{NODE}", "failed")
    spool.answer(spool.commands()[0][0], NODE, "stopped")
    assert ended(process)[:2] == (0, [f"{NODE}: stopped"])


def test_stop_takes_the_task_off_a_node_without_an_agent(shell: Shell, spool: Spool) -> None:
    full = spool.add(f"running/{NODE}", "train.sh")
    spool.node(NODE, age_s=3600)
    said = shell.ok("gpu_stop train")
    assert spool.names("failed") == [full]
    assert f"{NODE}: no agent is alive there; moved to failed/{full}" in said.out


def test_a_task_taken_off_gives_its_serial_queue_free(shell: Shell, spool: Spool) -> None:
    full = spool.add(f"running/{NODE}", "train.sh")
    (spool.path / "queues" / "car.000002").write_text(f"{full[4:]}\n{NODE}\n")
    shell.ok("gpu_stop train")
    assert spool.names("queues") == ["car.000002.free"]


def test_stop_all_gives_the_serial_queues_of_what_waited_free(shell: Shell, spool: Spool) -> None:
    waiting, running = spool.add("pending", "a.sh"), spool.add(f"running/{NODE}", "b.sh")
    (spool.path / "queues" / "car.000002").write_text(f"{waiting[4:]}\n{NODE}\n")
    (spool.path / "queues" / "bus.000001").write_text(f"{running[4:]}\n{NODE}\n")
    spool.node(NODE)
    process = shell.start("gpu_stop all")
    wait_until(spool.commands)
    assert spool.names("queues") == ["bus.000001", "car.000002.free"]
    end(process)


@pytest.mark.parametrize("there", ["stopped", "none"])
def test_stop_does_not_wait_for_a_node_that_cannot_answer(shell: Shell, spool: Spool, there: str) -> None:
    full = spool.add(f"running/{NODE}", "train.sh")
    if there == "stopped":
        spool.node(NODE, state="stopped")
    shell.ok("gpu_stop train", GPU_QUEUE_PATIENCE="1000")
    assert spool.names("failed") == [full]


@pytest.mark.parametrize(
    ("end", "state"), [("=0", "done"), ("=0-requeue", "done"), ("=0-nostart", "failed"), ("=143-stopped", "failed")]
)
def test_a_try_that_had_ended_goes_where_its_end_says(shell: Shell, spool: Spool, end: str, state: str) -> None:
    full = spool.add(f"running/{NODE}", "train.sh")
    (claim,) = spool.names(f"running/{NODE}")
    (spool.path / "running" / NODE / claim).rename(spool.path / "running" / NODE / f"{claim}{end}")
    shell.ok("gpu_stop train")
    assert spool.names(state) == [full]


def test_a_task_that_was_requeued_meanwhile_is_cancelled(shell: Shell, spool: Spool) -> None:
    full = spool.add(f"running/{NODE}", "train.sh")
    spool.node(NODE)
    process = shell.start("gpu_stop train")
    wait_until(spool.commands)
    spool.move(full, f"running/{NODE}", "pending")
    spool.answer(spool.commands()[0][0], NODE, "it is not here any more")
    assert ended(process)[:2] == (0, [f"{NODE}: it is not here any more", f"cancelled {full}"])
    assert spool.names("failed") == [full]


def test_a_task_that_was_claimed_again_is_stopped_again(shell: Shell, spool: Spool) -> None:
    full = spool.add(f"running/{NODE}", "train.sh")
    spool.node(NODE)
    spool.node(OTHER)
    process = shell.start("gpu_stop train")
    wait_until(spool.commands)
    spool.move(full, f"running/{NODE}", f"running/{OTHER}")
    spool.answer(spool.commands()[0][0], NODE, "requeued")
    wait_until(lambda: len(spool.commands()) == 2)
    entry, command = spool.commands()[1]
    assert (command["to"], command["claims"]) == ([f"{OTHER}/{OTHER}1"], [f"{full}.try2.0a0b0c"])
    spool.move(full, f"running/{OTHER}", "failed")
    spool.answer(entry, OTHER, "stopped")
    assert ended(process)[:2] == (0, [f"{NODE}: requeued", f"{OTHER}: stopped"])


def test_stop_all_cancels_what_waits_then_stops_what_runs(shell: Shell, spool: Spool) -> None:
    for _ in range(3):
        spool.add("pending")
    (spool.path / "pending" / "drop.sh").write_text("true\n")
    first = spool.add(f"running/{NODE}", "a.sh")
    spool.node(NODE)
    spool.node(OTHER)  # nothing runs there, but a dedicated node sweeps
    process = shell.start("gpu_stop all")
    wait_until(spool.commands)
    assert spool.names("pending") == []
    assert len(spool.names("failed")) == 4
    ((entry, command),) = spool.commands()
    assert sorted(command["to"]) == [f"{NODE}/{NODE}1", f"{OTHER}/{OTHER}1"]
    assert command["claims"] == spool.names(f"running/{NODE}")
    spool.move(first, f"running/{NODE}", "failed")
    spool.answer(entry, NODE, "stopped")
    spool.answer(entry, OTHER, "swept")
    status, out, _ = ended(process)
    assert (status, out[1]) == (0, "cancelled 3 waiting tasks")
    assert sorted(out[2:]) == [f"{NODE}: stopped", f"{OTHER}: swept"], "in the order in which they were seen"


def test_stop_all_with_nothing_there_is_no_failure(shell: Shell, spool: Spool) -> None:
    assert shell.ok("gpu_stop all").out == ""


def test_a_stop_of_very_many_tasks_stays_below_the_size_of_a_command(shell: Shell, spool: Spool) -> None:
    for number in range(450):
        spool.add(f"running/{NODE}", f"a-rather-long-name-of-a-script-{number}.sh")
    spool.node(NODE)
    process = shell.start("gpu_stop all")
    wait_until(lambda: len(spool.commands()) == 3)
    claims = [claim for _, command in spool.commands() for claim in command["claims"]]
    assert sorted(claims) == spool.names(f"running/{NODE}")
    assert all((spool.path / "control" / entry).stat().st_size < 64 << 10 for entry, _ in spool.commands())
    end(process)


@pytest.mark.parametrize(("option", "wait"), [("", False), (" --wait", True)])
def test_shutdown_names_the_incarnations(shell: Shell, spool: Spool, option: str, wait: bool) -> None:
    spool.node(NODE)
    spool.node(OTHER, state="stopped")
    process = shell.start(f"gpu_shutdown{option}")
    wait_until(spool.commands)
    ((entry, command),) = spool.commands()
    assert (command["command"], command["wait"], command["to"]) == ("shutdown", wait, [f"{NODE}/{NODE}1"])
    spool.answer(entry, NODE, "leaving")
    assert ended(process)[:2] == (0, [f"{NODE}: leaving"])


def test_an_agent_that_stops_before_it_answers_is_not_waited_for(shell: Shell, spool: Spool) -> None:
    """Its page is newer than the command, and says that there will be no answer."""
    spool.node(NODE)
    process = shell.start("gpu_shutdown", GPU_QUEUE_PATIENCE="1000")
    wait_until(spool.commands)
    spool.node(NODE, state="stopped")
    status, _, err = ended(process)
    assert (status, f"{NODE}: no agent is alive there" in err) == (1, True)


def test_shutdown_does_not_wait_for_an_agent_that_another_one_has_followed(shell: Shell, spool: Spool) -> None:
    spool.node(NODE)
    process = shell.start("gpu_shutdown", GPU_QUEUE_PATIENCE="1000")
    wait_until(spool.commands)
    spool.node(NODE, incarnation="another")
    status, _, err = ended(process)
    assert (status, f"{NODE}: that agent is gone, and another one serves there" in err) == (1, True)


def test_shutdown_without_an_agent_says_so(shell: Shell, spool: Spool) -> None:
    said = shell.run("gpu_shutdown")
    assert (said.status, "no agent is alive" in said.err) == (1, True)
    spool.node(NODE, age_s=3600)  # its peers take it for dead
    said = shell.run("gpu_shutdown")
    assert (said.status, "no agent is alive" in said.err, spool.commands()) == (1, True, [])
    spool.node(NODE, age_s=600)
    said = shell.run("gpu_shutdown")
    assert (said.status, f"{NODE}: no agent is alive there" in said.err) == (1, True)


def test_a_node_of_another_protocol_is_neither_asked_nor_waited_for(shell: Shell, spool: Spool) -> None:
    full = spool.add(f"running/{NODE}", "mine.sh")
    strange = spool.add(f"running/{OTHER}", "strange.sh")
    spool.node(NODE)
    spool.node(OTHER, protocol=7)
    process = shell.start("gpu_stop all")
    wait_until(spool.commands)
    ((entry, command),) = spool.commands()
    assert command["to"] == [f"{NODE}/{NODE}1"]
    spool.move(full, f"running/{NODE}", "failed")
    spool.answer(entry, NODE, "stopped")
    status, _, err = ended(process)
    why = f"{strange[4:]} is on node {OTHER}, which speaks protocol 7; use the client that came with it"
    assert (status, err) == (1, f"gpu_stop: {why}\n")
    assert len(spool.names(f"running/{OTHER}")) == 1
    (spool.path / "nodes" / f"{NODE}.json").unlink()
    said = shell.run("gpu_shutdown")
    assert (said.status, "no agent is alive" in said.err) == (1, True)
    assert len(spool.commands()) == 1


@pytest.mark.parametrize("kind", ["a directory", "a pipe", "a link", "a socket"])
@pytest.mark.parametrize("name", ["thing.sh", "500-20261123T014415123-4f0c2a-thing.sh"])
def test_what_is_no_regular_file_stays_in_pending(shell: Shell, spool: Spool, kind: str, name: str) -> None:
    path = spool.path / "pending" / name
    if kind == "a directory":
        path.mkdir()
    elif kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a link":
        path.symlink_to(shell.home)
    else:
        os.mknod(path, stat.S_IFSOCK | 0o600)
    full = spool.add("pending", "train.sh")
    assert shell.run("gpu_cancel thing.sh").status == 1
    assert shell.run("gpu_stop thing.sh").status == 1
    shell.ok("gpu_stop all")
    assert (spool.names("pending"), spool.names("failed")) == ([name], [full])
