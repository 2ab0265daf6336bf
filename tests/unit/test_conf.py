"""gpu-queue.conf and the top of submit.sh: what their lines say, and whose files are obeyed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gpu_queue.conf import LINE, parse_conf, parse_script, read_conf
from gpu_queue.config import unknown_in_conf
from gpu_queue.errors import SpoolError
from gpu_queue.spool.spool import Spool
from tests.conf_lines import BROKEN, BROKEN_OF_WAYS, OF_WAYS, VALUES

HOME = "/home/a b"
HEAD = "#!/bin/bash\n# starts perpetual_motion.py\n"


@pytest.fixture(autouse=True)
def private_files() -> object:
    """Files are made as most people make them, or as those with a group of their own do: see the test of modes."""
    previous = os.umask(0o022)
    yield
    os.umask(previous)


@pytest.mark.parametrize(("line", "value"), VALUES)
def test_a_line_says_a_value(line: str, value: str) -> None:
    conf = parse_conf("/x/gpu-queue.conf", f"\n{line}\n", HOME)
    assert conf.problems == ()
    assert {key: said.text for key, said in conf.said.items()} == ({"QUEUE_ROOT": value} if value else {})
    assert all(said.place == "/x/gpu-queue.conf:2" for said in conf.said.values())


@pytest.mark.parametrize(("line", "why"), BROKEN)
def test_a_value_that_would_have_to_be_run_or_means_no_place_is_refused(line: str, why: str) -> None:
    conf = parse_conf("/x/gpu-queue.conf", f"# mine\n{line}", HOME)
    assert conf.said == {}
    assert [problem.key for problem in conf.problems] == ["QUEUE_ROOT"]
    assert conf.problems[0].text.startswith("/x/gpu-queue.conf:2: QUEUE_ROOT: ")
    assert why in conf.problems[0].text


@pytest.mark.parametrize(("line", "value"), OF_WAYS)
def test_a_setting_of_a_way_may_name_the_number_of_gpus(line: str, value: str) -> None:
    conf = parse_conf("c", line, HOME)
    assert conf.problems == ()
    assert [said.text for said in conf.said.values()] == [value]
    assert unknown_in_conf(conf) == ()


@pytest.mark.parametrize(("line", "why"), BROKEN_OF_WAYS)
def test_a_setting_of_a_way_names_nothing_else(line: str, why: str) -> None:
    conf = parse_conf("c", line, HOME)
    assert conf.said == {}
    assert why in conf.problems[0].text


def test_bytes_of_an_editor_on_windows_are_no_part_of_a_value() -> None:
    conf = parse_conf("c", "\ufeffJOB_ID=car\r\n\r\nQUEUE_ROOT=/q\r\n", HOME)
    assert {key: said.text for key, said in conf.said.items()} == {"JOB_ID": "car", "QUEUE_ROOT": "/q"}
    assert conf.said["QUEUE_ROOT"].place == "c:3"


def test_the_last_of_several_lines_counts() -> None:
    assert parse_conf("c", "JOB_ID=a\nJOB_ID=b\n", HOME).said["JOB_ID"].text == "b"


def test_a_line_that_sets_nothing_is_told_with_its_place() -> None:
    conf = parse_conf("c", "[settings]\n", HOME)
    assert [(one.key, one.text) for one in conf.problems] == [(LINE, "c:1: '[settings]'; expected KEY=value")]


@pytest.mark.parametrize(
    ("lines", "value"),
    [
        ('QUEUE_ROOT=""    # the queues', ""),
        ('QUEUE_ROOT="/mnt/afs/q"     # 队列根目录', "/mnt/afs/q"),
        ("export QUEUE_ROOT=/q", "/q"),
        ('QUEUE_ROOT="${QUEUE_ROOT:-/q}"', "/q"),
        ('QUEUE_ROOT="${QUEUE_ROOT:-$HOME/q}"', f"{HOME}/q"),
        ('QUEUE_ROOT="/mnt/$USER/q"', ""),
        ("QUEUE_ROOT=$(realpath .)", ""),
        ("QUEUE_ROOT=/a\nQUEUE_ROOT=/b", "/b"),
        ("QUEUE_ROOT=/a\nQUEUE_ROOT=$(b)", ""),
        ("f() {\n  QUEUE_ROOT=/a\n}", ""),
        ("CODE_DIR=/a", ""),
    ],
)
def test_a_literal_in_submit_sh_counts_and_what_a_shell_would_work_out_does_not(lines: str, value: str) -> None:
    conf = parse_script("/x/submit.sh", f"{HEAD}{lines}\n", HOME)
    assert conf.problems == ()
    assert [said.text for said in conf.said.values()] == ([value] if value else [])


def test_another_submit_sh_says_nothing() -> None:
    assert parse_script("/x/submit.sh", "#!/bin/bash\nQUEUE_ROOT=/slurm\n", HOME).said == {}


def test_the_submit_sh_of_this_project_says_nothing_as_it_is() -> None:
    path = Path(__file__).parents[2] / "submit.sh"
    assert parse_script(str(path), path.read_text(encoding="utf-8"), HOME).said == {}


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_the_file_beside_the_scripts_beats_submit_sh_which_beats_the_one_at_home(tmp_path: Path) -> None:
    beside, home = tmp_path / "code", tmp_path / "home"
    own = write(home / ".config/gpu-queue/gpu-queue.conf", "QUEUE_ROOT=/own\nJOB_ID=own\n")
    environment = {"HOME": str(home)}
    assert read_conf(environment, str(beside)).said["QUEUE_ROOT"].place == f"{own}:1"
    write(beside / "submit.sh", f"{HEAD}QUEUE_ROOT=/edited\n")
    assert read_conf(environment, str(beside)).said["QUEUE_ROOT"].text == "/edited"
    write(beside / "gpu-queue.conf", "QUEUE_ROOT=/beside\n")
    conf = read_conf(environment, str(beside))
    assert (conf.said["QUEUE_ROOT"].text, conf.said["JOB_ID"].text) == ("/beside", "own")


def test_home_may_be_told_by_xdg(tmp_path: Path) -> None:
    write(tmp_path / "xdg/gpu-queue/gpu-queue.conf", "QUEUE_ROOT=/xdg\n")
    environment = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "xdg")}
    assert read_conf(environment, "/nowhere").said["QUEUE_ROOT"].text == "/xdg"
    assert read_conf({**environment, "XDG_CONFIG_HOME": "xdg"}, "/nowhere").said == {}


@pytest.mark.parametrize("mode", [0o664, 0o646])
def test_a_file_that_others_can_write_is_refused_with_what_to_type(tmp_path: Path, mode: int) -> None:
    path = write(tmp_path / "the code/gpu-queue.conf", "QUEUE_ROOT=/theirs\n")
    path.chmod(mode)
    conf = read_conf({"HOME": "/nowhere"}, str(path.parent))
    assert conf.said == {}
    assert conf.problems_of(()) == (
        f"{path}: mode {mode:o} lets others write it, and it says where scripts go; chmod go-w '{path}'",
    )


def test_a_fifo_or_a_huge_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gpu-queue.conf")
    assert "no regular file" in read_conf({"HOME": "/nowhere"}, str(tmp_path)).problems[0].text
    os.unlink(tmp_path / "gpu-queue.conf")
    write(tmp_path / "gpu-queue.conf", "# \n" * 30_000)
    assert "larger than 65536 bytes" in read_conf({"HOME": "/nowhere"}, str(tmp_path)).problems[0].text


def test_a_link_to_a_file_of_ours_is_followed(tmp_path: Path) -> None:
    (tmp_path / "gpu-queue.conf").symlink_to(write(tmp_path / "dotfiles/conf", "QUEUE_ROOT=/linked\n"))
    assert read_conf({"HOME": "/nowhere"}, str(tmp_path)).said["QUEUE_ROOT"].text == "/linked"


def test_keys_that_nobody_reads_are_told_with_what_may_be_meant() -> None:
    told = unknown_in_conf(parse_conf("c", "QUEU_ROOT=/q\nCONDA_ENV=swift\nAUTO_SHUTDOWN_HOURS=48\n", HOME))
    assert told == ("c:1: unknown setting 'QUEU_ROOT', which counts for nothing; did you mean QUEUE_ROOT?",)


def test_python_finds_the_queue_by_the_file_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / ".config/gpu-queue/gpu-queue.conf", 'QUEUE_ROOT="~/my queues"\nJOB_ID=car\n')
    for name in ("QUEUE_ROOT", "JOB_ID", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Spool().path == f"{tmp_path}/my queues/car"
    assert Spool("bus").path == f"{tmp_path}/my queues/bus"
    assert Spool(queue_root="/given").path == "/given/car"
    monkeypatch.setenv("QUEUE_ROOT", "/said")
    assert Spool().path == "/said/car"
    path.chmod(0o666)
    assert Spool("bus").path == "/said/bus"  # nothing of it is needed
    with pytest.raises(SpoolError, match="mode 666 lets others write it"):
        Spool()
