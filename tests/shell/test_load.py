"""gpu_load: command files become tasks; the one parser is Python's, and the client says where it lies."""

from __future__ import annotations

import json
from pathlib import Path

from tests.shell.helpers import CLIENT, Shell, Spool, alone

BLOCKS = "bash {work_dir}/a.sh 'it''s'\n1,20\n\n2 #queue\n\"bash b.sh\"\n25\n"


def test_a_command_file_becomes_tasks_that_are_named_on_stdout(shell: Shell) -> None:
    file = shell.file("command_gpu.txt", BLOCKS)
    said = shell.ok(f"gpu_load {file}")
    spool = Spool(shell.spool.path)
    assert said.lines == spool.names("pending")
    assert [name[30:] for name in said.lines] == ["command_gpu-1", "command_gpu-2"]
    assert "command_gpu.txt: 2 blocks in 2 queues: 2 new" in said.err
    record = json.loads((spool.path / "records" / f"{said.lines[0][4:]}.json").read_text())
    assert (record["cwd"], record["batch"]["position"]) == (str(shell.home.parent), 0)
    assert (spool.path.stat().st_mode & 0o777, spool.path.joinpath("pending").stat().st_mode & 0o777) == (
        0o700,
        0o700,
    )


def test_a_broken_file_is_told_of_with_its_lines_and_loads_nothing(shell: Shell, spool: Spool) -> None:
    good, bad = shell.file("command_gpu.txt", BLOCKS), shell.file("command_gpus.txt", BLOCKS)
    said = shell.run(f"gpu_load --dry-run --single {good} {bad} && gpu_load {good} {bad} nothing")
    assert said.status == 2
    assert said.out.count("nothing was queued\n") == 1
    told = [line for line in said.err.splitlines() if line.startswith("gpu_load: ")]
    places = [line.partition(" expected")[0].removeprefix(f"gpu_load: {shell.home}/") for line in told]
    assert places == ["command_gpus.txt:2:", "command_gpus.txt:6:", "gpu_load: nothing: there is no such file"]
    assert spool.names("pending") == []


def test_the_runs_of_an_experiment_file_become_tasks_that_the_client_sees_like_others(shell: Shell) -> None:
    text = "jobs:\n  train: {matrix: {seed: [0, 1]}, run: ./a}\n  table: {after: [train], gpus: 0, run: ./b}\n"
    file = shell.file("sweep.yaml", text)
    said = shell.ok(f"gpu_load {file}")
    assert [name[30:] for name in said.lines] == ["train-0", "train-1", "table"]
    spool = Spool(shell.spool.path)
    assert said.lines == spool.names("pending")
    record = json.loads((spool.path / "records" / f"{said.lines[2][4:]}.json").read_text())
    assert record["needs"]["after"] == [name[4:] for name in said.lines[:2]]
    assert record["experiment"]["name"] == "table"
    seen = shell.ok("gpu_status; gpu_explain table; gpu_cancel --yes 'train-*'; gpu_retry train-0; gpu_status --json")
    assert "train-1" in seen.out
    refused = shell.run(f"gpu_load --multi {file}")
    assert (refused.status, refused.out) == (2, "")
    assert refused.err.startswith("gpu_load: --multi is for command files")


def test_a_client_alone_says_what_it_lacks(shell: Shell) -> None:
    said = shell.run(f"{alone(shell)}\ngpu_load {shell.file('command.txt', BLOCKS)}")
    assert said.status == 1
    assert said.err == (
        "gpu_load: it takes the directory gpu_queue that lies beside client.sh; "
        f"there is none in {shell.home}/elsewhere\n"
    )


def test_without_a_python_it_says_so(shell: Shell) -> None:
    place = Path(shell.home, "elsewhere")
    source = alone(shell)
    (place / "gpu_queue").symlink_to(CLIENT.parent / "gpu_queue")
    for name in ("python3", "python"):
        (place / name).write_text("#!/bin/sh\nexit 1\n")
        (place / name).chmod(0o755)
    said = shell.run(f"{source}\nPATH={place}:$PATH\ngpu_load {shell.file('command.txt', BLOCKS)}", CONDA_PREFIX="")
    assert (said.status, said.out) == (1, "")
    assert said.err.startswith("gpu_load: it takes a Python 3.10 or newer: ")
