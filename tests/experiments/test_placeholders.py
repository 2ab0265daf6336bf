"""Placeholders become variables of the shell, so that no value of theirs is ever read as a part of a command."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_queue.experiments.commandfiles.batches import script_of
from gpu_queue.experiments.commandfiles.blocks import Block
from gpu_queue.experiments.commandfiles.placeholders import filled

ODD = "/a b'c\"d $(touch pwned) `touch pwned` *;&\\ \n{uni_id}"


def ran(script: str, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], **more}
    return subprocess.run(
        ["bash"], input=script, cwd=cwd, env=environment, capture_output=True, text=True, timeout=20, check=False
    )


@pytest.mark.parametrize(
    "command",
    [
        "printf %s {work_dir}/x",
        'printf %s "{work_dir}/x"',
        "printf %s '{work_dir}/x'",
        "printf %s $'{work_dir}/x'",
        'printf %s "$(printf %s {work_dir}/x)"',
        "printf %s \"$(printf %s '{work_dir}')/x\"",
        'printf %s "$(printf %s "$(printf %s {work_dir})")/x"',
        "(true) && printf %s \\''' {work_dir}/x | cut -c 1- | sed -n '1,$p' | tail -c +2",
    ],
)
def test_a_value_is_one_word_in_whatever_quotes_it_stands(command: str, tmp_path: Path) -> None:
    done = ran(script_of(Block((command,), 1, 1), ODD, "command.txt"), tmp_path, GPU_QUEUE_CLAIM="/q/500-x.try1.abc")
    if "cut" in command:
        assert done.stderr == ""
    else:
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{ODD}/x", "")
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_placeholder_stays() -> None:
    command = "awk '{print $1}' {a,b} ${work_dir} {workdir} \\'{x}'"
    assert filled(command) == command.replace("{work_dir}", '"${GPU_QUEUE_WORK_DIR:?}"')


def test_a_block_knows_its_try_its_gpus_and_its_directory(tmp_path: Path) -> None:
    block = Block(("echo {work_dir} {uni_id} {available_gpu}", "CUDA_VISIBLE_DEVICES={available_gpu} env"), 1, 1)
    claim = "/q/j/running/n1/500-20261129T000000000-abcdef-command-1.try2.0a0b0c"
    done = ran(
        script_of(block, "/w", "command.txt"), tmp_path, GPU_QUEUE_CLAIM=claim, CUDA_VISIBLE_DEVICES="GPU-1,GPU-2"
    )
    assert done.stdout.splitlines()[0] == f"/w {claim.rpartition('/')[2]} GPU-1,GPU-2"
    assert "CUDA_VISIBLE_DEVICES=GPU-1,GPU-2" in done.stdout.splitlines()
    named = ran(script_of(block, "/w", "command.txt"), tmp_path, GPU_QUEUE_CLAIM=claim, GPU_QUEUE_UNI_ID="exp001")
    assert named.stdout.splitlines()[0] == "/w exp001 "


def test_a_command_that_fails_ends_its_block_with_its_status(tmp_path: Path) -> None:
    done = ran(
        script_of(Block(("echo one", "exit 7", "echo three"), 1, 1), "/w", "command.txt"),
        tmp_path,
        GPU_QUEUE_CLAIM="x",
    )
    assert (done.returncode, done.stdout) == (7, "one\n")


@pytest.mark.parametrize("command", ["echo 'open", "cat <<END", "if true; then", "echo a ) || true", "{ echo b"])
def test_what_is_open_in_a_command_swallows_none_of_the_next(command: str, tmp_path: Path) -> None:
    for first in (command, f"{command}\n"):
        done = ran(script_of(Block((first, "echo >never"), 1, 1), "/w", "command.txt"), tmp_path, GPU_QUEUE_CLAIM="x")
        assert "echo >never" not in done.stdout
        assert done.returncode != 0 or "<<" in command


@given(
    st.lists(st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0")), min_size=1), st.text()
)
@settings(max_examples=100)
def test_a_script_holds_its_commands_and_nothing_more(commands: list[str], name: str) -> None:
    script = script_of(Block(tuple(commands), 1, 1), "/w", name)
    lines = script.split("\n")
    assert lines[1].startswith("# A block of ")
    words = shlex.split("\n".join(lines[5:]), comments=False)
    assert words == [word for command in commands for word in ("bash", "-c", filled(command), "||", "exit")]
