"""Where commands run as a config.yaml says it: beside the command file, or in the queue."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gpu_queue.experiments.command import main

DOCUMENTS = Path(__file__).parents[1] / "unit" / "documents"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project as the documents have it, and a queue."""
    for directory in ("project/scripts/compete", "project/scripts/compete/work", "queues/exp"):
        (tmp_path / directory).mkdir(parents=True, mode=0o700)
    monkeypatch.setenv("QUEUE_ROOT", str(tmp_path / "queues"))
    monkeypatch.setenv("JOB_ID", "exp")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "project/scripts/compete/command.txt").write_text("true\n1,20\n")
    return tmp_path


def beside(here: Path) -> Path:
    return here / "project/scripts/compete/config.yaml"


def of_queue(here: Path) -> Path:
    return here / "queues/exp/config.yaml"


def where(here: Path, capfd: pytest.CaptureFixture[str], *flags: str) -> str:
    """Where the commands would run, from the base of all."""
    capfd.readouterr()
    assert main(["--dry-run", *flags, str(here / "project/scripts/compete/command.txt")], "gpu_load") == 0
    (line,) = [one for one in capfd.readouterr().out.splitlines() if "commands run in" in one]
    return line.partition("run in ")[2].replace(f"{here}/", "")


@pytest.mark.parametrize(
    ("said", "directory"),
    [
        ("null", "project/scripts"),
        ("", "project/scripts"),
        ("'../'", "project/scripts"),
        ("'../../'", "project"),
        ("work", "project/scripts/compete/work"),
        (".", "project/scripts/compete"),
        ("~/project", "project"),
        ("/home/user/custom_workspace", "/home/user/custom_workspace"),
    ],
)
@pytest.mark.parametrize("place", [beside, of_queue])
def test_a_work_dir_begins_where_the_command_file_lies(
    here: Path, capfd: pytest.CaptureFixture[str], said: str, directory: str, place: object
) -> None:
    assert callable(place)
    place(here).write_text(f"# ours\nwork_dir: {said}\n")
    told = str(place(here)).replace(f"{here}/", "")
    assert where(here, capfd) == f"{directory} ({told}:2: work_dir)"


def test_the_command_line_beats_the_file_beside_which_beats_the_queues_which_beats_the_default(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert where(here, capfd) == "project/scripts"
    of_queue(here).write_text("work_dir: /of/queue\n")
    assert where(here, capfd) == "/of/queue (queues/exp/config.yaml:1: work_dir)"
    beside(here).write_text("gpu_left: 1\n")
    assert where(here, capfd).startswith("/of/queue ")
    beside(here).write_text("work_dir: null\n")
    assert where(here, capfd).startswith("project/scripts (project/scripts/compete/config.yaml:1: ")
    assert where(here, capfd, "--work-dir", str(here / "project")) == "project"


def test_the_documents_config_yaml_beside_the_command_file_says_it(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    beside(here).write_bytes((DOCUMENTS / "001-config-usage.yaml").read_bytes())
    assert where(here, capfd).startswith("/home/user/custom_workspace (")


def test_the_config_yaml_of_another_program_does_not_count_and_that_is_told(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    beside(here).write_text("model: resnet\nwork_dir: /their/logs\n")
    assert main(["--dry-run", str(here / "project/scripts/compete/command.txt")], "gpu_load") == 0
    said = capfd.readouterr()
    assert f"commands run in {here}/project/scripts\n" in said.out
    assert f"{beside(here)} is none of a queue, so that its work_dir does not count: " in said.err
    beside(here).write_text("model: resnet\n")
    main(["--dry-run", str(here / "project/scripts/compete/command.txt")], "gpu_load")
    assert "none of a queue" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("work_dir: [a]\n", ":1: work_dir: a list; expected text; or none"),
        ("work_dir: 'a\n", ":2: no YAML: "),
    ],
)
def test_what_the_queues_file_says_of_it_and_cannot_be_obeyed_is_refused(
    here: Path, capfd: pytest.CaptureFixture[str], text: str, told: str
) -> None:
    of_queue(here).write_text(text)
    file = str(here / "project/scripts/compete/command.txt")
    assert main(["--dry-run", file], "gpu_load") == 1
    said = capfd.readouterr().err
    assert f"{of_queue(here)}{told}" in said
    assert "--work-dir" in said
    assert main(["--dry-run", "--work-dir", "/", file], "gpu_load") == 0
    of_queue(here).write_text("retires: 2\nwork_dir: /fine\n")
    assert where(here, capfd).startswith("/fine ")


def test_in_a_queue_that_others_may_write_a_file_that_they_may_write_says_nothing_of_it(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    of_queue(here).write_text("work_dir: /theirs\n")
    of_queue(here).parent.chmod(0o770)
    of_queue(here).chmod(0o660)
    assert main(["--dry-run", str(here / "project/scripts/compete/command.txt")], "gpu_load") == 1
    assert "chmod go-w it" in capfd.readouterr().err
    of_queue(here).chmod(0o640)
    assert where(here, capfd).startswith("/theirs ")


def test_a_pipe_or_a_directory_beside_the_file_is_passed_over(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(beside(here))
    assert where(here, capfd) == "project/scripts"
    beside(here).unlink()
    beside(here).mkdir()
    assert where(here, capfd) == "project/scripts"
