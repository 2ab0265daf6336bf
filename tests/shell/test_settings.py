"""Settings that stand in files, as the client reads them: the same lines as Python, and nothing of them is run."""

from __future__ import annotations

import os
import random
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from gpu_queue.conf import parse_conf
from gpu_queue.config.resolving import queue_root, resolve
from gpu_queue.spool.desk.entrance import named
from tests.cases import long
from tests.conf_lines import BROKEN, VALUES
from tests.shell.helpers import CLIENT, Said, Shell, Spool

SUBMIT = CLIENT.with_name("submit.sh")
HEAD = "#!/bin/bash\n# starts perpetual_motion.py\n"


class Place:
    """A client in a directory of its own, with a blank and Chinese characters in its path, and a home."""

    def __init__(self, shell: Shell, base: Path) -> None:
        self.shell = shell
        self.code = base / "代 码"
        self.home = base / "a b"
        self.conf = self.code / "gpu-queue.conf"
        self.own = self.home / ".config" / "gpu-queue" / "gpu-queue.conf"
        self.own.parent.mkdir(parents=True)
        self.code.mkdir()
        shutil.copy(CLIENT, self.code)
        shell.sourced = False

    def write(self, path: Path, text: str) -> None:
        path.write_text(text)
        path.chmod(0o644)

    def run(self, script: str, **environment: str) -> Said:
        source = f". {shlex.quote(str(self.code / 'client.sh'))}"
        given = {"HOME": str(self.home), "QUEUE_ROOT": "", "JOB_ID": "", **environment}
        return self.shell.run(f"{source}\n{script}", **given)

    def root(self, **environment: str) -> str:
        """Where the queues are looked for."""
        said = self.run("gpu_use", JOB_ID="car", **environment)
        return said.err.removeprefix("instance car does not exist yet in ").partition("; gpu_submit or")[0]


@pytest.fixture
def place(shell: Shell, tmp_path: Path) -> Place:
    return Place(shell, tmp_path)


def test_each_line_says_what_python_reads_in_it(place: Place) -> None:
    for line, value in VALUES:
        place.write(place.conf, f"\n{line}\nGPU_QUEUE_RETRIES=2")
        wanted = value.replace("/home/a b", str(place.home)) or f"{place.home}/gpu_queue"
        assert place.root() == wanted, line


def test_each_line_that_python_refuses_is_refused_with_its_place_and_nothing_is_run(place: Place) -> None:
    for line, why in BROKEN:
        place.write(place.conf, f"# mine\n\n{line}\n")
        said = place.run("gpu_list")
        assert said.status == 1
        assert said.err.startswith(f"gpu_list: {place.conf}:3: QUEUE_ROOT: "), line
        assert why in said.err


def test_the_strongest_place_counts_and_the_environment_beats_them_all(place: Place) -> None:
    assert place.root() == f"{place.home}/gpu_queue"
    place.write(place.own, "QUEUE_ROOT=/own\nJOB_ID=mine\n")
    assert place.root() == "/own"
    place.write(place.code / "submit.sh", f'{HEAD}QUEUE_ROOT="/edited"   # 队列根目录\n')
    assert place.root() == "/edited"
    place.write(place.conf, "QUEUE_ROOT=/beside\n")
    assert place.root() == "/beside"
    assert place.root(QUEUE_ROOT="/said") == "/said"
    assert place.run("gpu_use").lines == ["mine"]
    assert place.run("gpu_use bus && gpu_use").lines == ["bus"]


def test_what_a_shell_would_have_to_work_out_in_submit_sh_counts_as_not_said(place: Place) -> None:
    place.write(place.code / "submit.sh", f'{HEAD}QUEUE_ROOT="/mnt/$(touch pwned)/q"\n')
    assert place.root() == f"{place.home}/gpu_queue"
    place.write(place.code / "submit.sh", "QUEUE_ROOT=/another/program\n")
    assert place.root() == f"{place.home}/gpu_queue"


def test_a_client_that_is_reached_by_a_link_reads_what_lies_beside_it(place: Place) -> None:
    place.write(place.conf, "QUEUE_ROOT=/beside\nJOB_ID=car\n")
    (place.home / "client.sh").symlink_to(place.code / "client.sh")
    said = place.shell.run(f". {shlex.quote(str(place.home / 'client.sh'))}\ngpu_use", QUEUE_ROOT="", JOB_ID="")
    assert "in /beside;" in said.err
    shutil.copy(CLIENT, place.code.parent)  # alone, it reads what is at home
    said = place.shell.run(
        f". {shlex.quote(str(place.code.parent / 'client.sh'))}\ngpu_use car", QUEUE_ROOT="", HOME=str(place.home)
    )
    assert f"in {place.home}/gpu_queue;" in said.err


@pytest.mark.parametrize("said", ["~/all queues", "~", "~alice/q", *long("~/", "/q/~", "here/~/q")])
def test_a_tilde_that_no_shell_has_worked_out_is_the_same_home_for_client_submit_agent_and_python(
    place: Place, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    monkeypatch.chdir(place.shell.home)
    environment = {"HOME": str(place.home), "QUEUE_ROOT": said}
    for key, value in environment.items():
        monkeypatch.setenv(key, value)
    dry_run = shlex.split(
        subprocess.run(
            ["bash", SUBMIT, "car", "--dry-run"],
            env={**environment, "PATH": os.environ["PATH"]},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    )
    found = {
        "client.sh": place.root(QUEUE_ROOT=said),
        "submit.sh": dry_run[dry_run.index("--queue-root") + 1],
        "the agent": queue_root(resolve({}, environment), environment),
        "Python": os.path.dirname(named("car", None).root),
    }
    assert {who: os.path.abspath(root) for who, root in found.items()} == dict.fromkeys(
        found, os.path.abspath(said.replace("~", str(place.home), 1) if said in ("~", "~/", "~/all queues") else said)
    )


def test_home_may_be_told_by_xdg(place: Place) -> None:
    place.write(place.own, "QUEUE_ROOT=/own\n")
    xdg = place.home / "xdg"
    (xdg / "gpu-queue").mkdir(parents=True)
    place.write(xdg / "gpu-queue" / "gpu-queue.conf", "QUEUE_ROOT=/xdg\n")
    assert place.root(XDG_CONFIG_HOME=str(xdg)) == "/xdg"
    assert place.root(XDG_CONFIG_HOME="xdg") == "/own"


@pytest.mark.parametrize("mode", ["664", "646"])
def test_a_file_that_others_can_write_is_not_obeyed_and_nothing_is_done(place: Place, mode: str) -> None:
    place.write(place.conf, "QUEUE_ROOT=/theirs\n")
    place.conf.chmod(int(mode, 8))
    said = place.run("gpu_run true", JOB_ID="car")
    assert (said.status, said.out) == (1, "")
    assert said.err.startswith(f"gpu_run: {place.conf}: mode {mode} lets others write it")
    typed = said.err.rpartition("; ")[2]
    subprocess.run(["bash", "-c", typed], check=True)
    assert place.root() == "/theirs"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file to somebody else")
def test_a_file_of_somebody_else_is_not_obeyed_unless_the_client_is_his_too(place: Place) -> None:
    place.write(place.conf, "QUEUE_ROOT=/theirs\n")
    os.chown(place.conf, 12345, -1)
    assert "it belongs to uid 12345" in place.run("gpu_list").err
    os.chown(place.code / "client.sh", 12345, -1)
    assert place.root() == "/theirs"


def test_a_pipe_a_binary_and_a_huge_file_are_refused_and_not_waited_for(place: Place) -> None:
    os.mkfifo(place.conf, 0o600)
    assert "expected a text file of KEY=value lines" in place.run("gpu_list").err
    place.conf.unlink()
    for text in ("\0", "# \n" * 30_000):
        place.write(place.conf, text)
        assert "expected a text file of KEY=value lines" in place.run("gpu_list").err


def test_help_is_shown_whatever_the_settings_are(place: Place) -> None:
    place.write(place.conf, "QUEUE_ROOT=$(x)\n")
    assert "gpu_submit" in place.run("gpu_help").out


def test_who_submits_where_nobody_serves_is_told_where_somebody_does(place: Place) -> None:
    served, ours = place.home / "全部 queues", place.home / "ours"
    there = Spool(served / "car").make()
    there.node("n1-00000001")
    place.write(place.own, f"QUEUE_ROOT={served}\n")
    quoted = str(served).replace(" ", "\\ ")
    where = f"  an agent of car serves it in {served}; to use that one: export QUEUE_ROOT={quoted}"
    said = place.run("gpu_status", JOB_ID="car", QUEUE_ROOT=str(ours))
    assert said.err.splitlines()[1:] == [where]
    said = place.run("gpu_run true", JOB_ID="car", QUEUE_ROOT=str(ours))
    assert said.err.splitlines()[2:] == [  # behind what was queued, and that no Python reads it
        f"no agent serves car in {ours} yet; start one with ./submit.sh car",
        where,
    ]
    assert place.run("gpu_status", JOB_ID="car", QUEUE_ROOT=str(ours)).err.splitlines() == [where]
    there.node("n1-00000001", "stopped")
    assert place.run("gpu_run true", JOB_ID="car", QUEUE_ROOT=str(ours)).err.splitlines()[3:] == []


def test_what_lies_beside_the_client_is_found_in_any_locale(place: Place) -> None:
    place.write(place.conf, "QUEUE_ROOT=/mnt/队列\n")
    for locale in ("C", "POSIX", "C.UTF-8"):
        assert place.root(LC_ALL=locale) == "/mnt/队列"
        assert "gpu_submit" in place.run("gpu_help", LC_ALL=locale).out


ATOMS = [
    *(
        "QUEUE_ROOT=",
        "QUEUE_ROOT=",
        "JOB_ID=",
        "export ",
        '"',
        "'",
        " ",
        "\t",
        "#",
        " #",
        "~",
        "~/",
        "$HOME",
        "${HOME}",
    ),
    *(
        "$",
        "/",
        "/mnt",
        "a",
        "=",
        "\\",
        "`",
        "{",
        "}",
        "${QUEUE_ROOT:-",
        "${JOB_ID:-",
        "队",
        "\r",
        "*",
        "?",
        "[x]",
        "&",
    ),
    *(";", "-", "%s", "!", "\n", "\n"),
]


def test_whatever_stands_in_a_file_python_and_the_client_read_the_same_or_both_refuse(place: Place) -> None:
    choose = random.Random(4)
    texts = ["".join(choose.choices(ATOMS, k=choose.randint(1, 16))) for _ in range(120)]
    texts = [f"QUEUE_ROOT={text}" if number % 2 else text for number, text in enumerate(texts)]
    expected = []
    for number, text in enumerate(texts):
        path = place.code / str(number) / "gpu-queue.conf"
        path.parent.mkdir()
        place.write(path, text)
        conf = parse_conf(str(path), text, str(place.home))
        values = [conf.said[key].text if key in conf.said else "" for key in ("QUEUE_ROOT", "JOB_ID")]
        expected.append("refused" if conf.problems_of(("QUEUE_ROOT", "JOB_ID")) else "|".join(values))
    place.shell.hostile = False
    said = place.run(
        f"""
__gpu_probe() {{ printf '%s|%s\\0' "$QUEUE_ROOT" "$JOB_ID"; }}
i=0
while [ $i -lt {len(texts)} ]; do
  eval "__gpu_file() {{ REPLY='{place.code}/$i/client.sh'; }}"
  QUEUE_ROOT= JOB_ID=
  ( __gpu_guest probe ) 2>/dev/null || printf 'refused\\0'
  i=$((i + 1))
done
"""
    )
    found = said.out.split("\0")[:-1]
    assert dict(zip(texts, found, strict=True)) == dict(zip(texts, expected, strict=True))
    assert 20 < expected.count("refused") < 100
