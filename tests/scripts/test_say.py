"""The reading for shells: run as a shell runs it, by whatever Python there is."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOM = ROOT / "gpu_queue" / "scripts"
COMMAND = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from gpu_queue.scripts.say import main; main()"
SCRIPT = """#!/bin/bash
#SBATCH -J run\t1 --gres=gpu:2 -t 1:00:00
#SBATCH --array=0-9%2
deepspeed --num_gpus 2 t.py
"""


def older() -> list[str]:
    """The oldest Pythons that are at hand, and this one."""
    named = [shutil.which(f"python3.{minor}") for minor in (8, 9)]
    whole = [
        path
        for path in named
        if path and subprocess.run([path, "-c", ""], check=False, capture_output=True).returncode == 0
    ]
    return [*whole, sys.executable]


def say(*words: str, python: str = sys.executable, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    environment = {"LC_ALL": "C", "PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    command = [python, "-I", "-S", "-c", COMMAND, *words]
    return subprocess.run(command, input=given, capture_output=True, check=False, env=environment)


@pytest.fixture
def script(tmp_path: Path) -> str:
    path = tmp_path / "训练 1.sh"
    path.write_text(SCRIPT, encoding="utf-8")
    return str(path)


def fields(done: subprocess.CompletedProcess[bytes]) -> list[list[str]]:
    return [line.split("\t") for line in done.stdout.decode("utf-8", "surrogateescape").splitlines()]


def test_a_shell_gets_lines_of_fields(script: str) -> None:
    for python in older():
        done = say("--queue=car", "--", script, python=python)
        assert (done.returncode, done.stderr) == (0, b"")
        rows = fields(done)
        assert rows[0] == ["file", "0", script]
        said = ["needs", "2", "0,1", "sbatch", "-", "car", "3600", "limit", "-", "-", "0-9%2", "run", "1", "-"]
        assert rows[1] == said
        assert rows[-1] == ["end"]
        assert ["is", "devices", "0,1", "num_gpus", "4"] in [row[:5] for row in rows]
        assert {row[0] for row in rows} == {"file", "needs", "is", "end"}
        assert {len(row) for row in rows if row[0] == "is"} == {8}


def test_many_files_are_told_in_their_order_and_what_cannot_be_read_hinders_none(tmp_path: Path, script: str) -> None:
    fifo, missing = tmp_path / "fifo", tmp_path / "missing"
    os.mkfifo(fifo)
    done = say("--", str(missing), str(fifo), str(tmp_path), script)
    rows = fields(done)
    assert done.returncode == 1
    assert [row[1] for row in rows if row[0] == "file"] == ["0", "1", "2", "3"]
    assert [row[0] for row in rows].count("error") == 3
    assert [row[0] for row in rows].count("needs") == 1


def test_standard_input_is_a_file_as_well() -> None:
    rows = fields(say("--gpus=1", "--", "-", given=b"torchrun --nproc_per_node 4 t.py\n"))
    assert rows[1][:4] == ["needs", "1", "-", "gpu_submit"]
    warned = next(row for row in rows if row[0] == "warn")
    assert warned[1:4] == ["too_few", "1", "torchrun --nproc_per_node 4 t.py"]
    assert "4 GPUs" in warned[4]
    assert "4 张" in warned[5]


def test_arguments_are_those_of_the_script() -> None:
    rows = fields(say("--arg=x", "--arg=4", "--", "-", given=b"torchrun --nproc_per_node $2 t.py\n"))
    assert rows[1][1] == "4"


def test_a_refusal_is_said_and_the_rest_all_the_same() -> None:
    rows = fields(say("--", "-", given=b"#SBATCH -N 2 -G 3 -t 5\npython t.py\n"))
    refused = next(row for row in rows if row[0] == "refuse")
    assert refused[1:4] == ["undivided", "1", "#SBATCH -N 2 -G 3 -t 5"]
    assert rows[1][6:8] == ["300", "limit"]


def test_nothing_of_a_script_reaches_the_terminal_as_it_is() -> None:
    hostile = b"#SBATCH -J a\x1b[2Jb\tc\x07 --nodes=3\x1b]0;x\x07\n\xff\xfe CUDA_VISIBLE_DEVICES=\x1b1 python\n"
    for words in (("--", "-"), ("--people=en", "--", "-"), ("--people=zh", "--", "-")):
        out = say(*words, given=hostile).stdout
        assert not set(out) & (set(range(32)) - {9, 10})


def test_people_are_shown_each_conclusion_with_its_line(script: str) -> None:
    english = say("--people=en", "--", script).stdout.decode()
    assert "time       1h at most    #SBATCH -J run 1 --gres=gpu:2 -t 1:00:00 (line 2)" in english
    assert "which GPUs 0,1           deepspeed --num_gpus 2 (line 4)" in english
    chinese = say("--people=zh", "--gpus=1", "--", script).stdout.decode()
    assert "拒绝：它将得到 1 张 GPU" in chinese
    assert "（第 4 行）" in chinese


@pytest.mark.parametrize("words", [["--gpus", "2"], ["--nonsense=1", "--"], ["--default-gpus=x", "--"]])
def test_a_wrong_option_is_said(words: list[str]) -> None:
    done = say(*words)
    assert done.returncode == 2
    assert done.stdout == b""
    assert done.stderr


@pytest.mark.parametrize("path", sorted(ROOM.glob("*.py")), ids=lambda path: path.name)
def test_the_room_is_of_python_3_8(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path), feature_version=(3, 8))
    names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not names & {"removeprefix", "removesuffix", "bit_count", "pairwise"}
    futures = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
    assert futures or path.name == "__init__.py"


def test_it_imports_nothing_that_takes_long() -> None:
    code = COMMAND.rpartition(";")[0] + "; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    slow = {
        "dataclasses",
        "inspect",
        "shlex",
        "argparse",
        "subprocess",
        "json",
        "pathlib",
        "ast",
        "logging",
        "random",
    }
    assert not set(done.stdout.split()) & slow
