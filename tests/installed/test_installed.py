"""Installed by pip, uv or pipx, with nothing of a clone in reach, the package gives all that a clone gives."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from filelock import FileLock

from tests.installed.packages import Built, an_environment, build, tool
from tests.unit.test_docs import ROOT

SHELLS = ("bash", "zsh")
PYTHON = os.path.realpath(sys.executable)
PLACE = "it's 中文 $(touch pwned)"
CALLED = "import sys; from gpu_queue.cli import main; sys.exit(main())"
"""As the installed script does it.  pip's own would run a `$(word)` in the path of its Python."""
SCRIPT = "#GPUQ --time 5m\nexport CUDA_VISIBLE_DEVICES=0,1\necho hello of $CUDA_VISIBLE_DEVICES\n"


@dataclass(frozen=True)
class Home:
    """A home directory, in which a package was installed, and a bare environment."""

    path: Path
    programs: Path
    """A directory with gpu-queue."""
    more: dict[str, str] = field(default_factory=dict)

    def run(
        self, *words: str | Path, is_well: bool = True, more: Mapping[str, str] = {}
    ) -> subprocess.CompletedProcess[str]:
        path = f"{self.programs}:/usr/local/bin:/usr/bin:/bin"
        environment = {"HOME": str(self.path), "PATH": path, "XDG_RUNTIME_DIR": str(self.path), **self.more, **more}
        done = subprocess.run(
            words,
            env=environment,
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            start_new_session=True,  # an interactive shell would take the terminal of whoever runs the tests
        )
        assert not is_well or done.returncode == 0, done
        return done

    def shell(self, name: str, text: str, more: Mapping[str, str] = {}) -> subprocess.CompletedProcess[str]:
        """A shell as a terminal has it, that has read its rc file."""
        if shutil.which(name) is None:
            pytest.skip(f"no {name} here; install it to test its users' way")
        return self.run(name, "-i", "-c", text, more=more)

    def write_rc(self, name: str, before: str = "") -> Path:
        """What people do once."""
        path = self.path / f".{name}rc"
        compinit = "autoload -Uz compinit; compinit -D\n" if name == "zsh" else ""
        path.write_text(f"{before}{compinit}{self.run('gpu-queue', 'shell-init', name).stdout}")
        return path


def called(python: Path, place: Path) -> Path:
    """A directory with a ``gpu-queue`` whose Python may lie in any place."""
    place.mkdir(parents=True)
    (place / "gpu-queue").write_text(f'#!/bin/sh\nexec {shlex.quote(str(python))} -c {shlex.quote(CALLED)} "$@"\n')
    (place / "gpu-queue").chmod(0o755)
    return place


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that all workers have."""
    base = tmp_path_factory.getbasetemp()
    made = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "installed"
    made.mkdir(exist_ok=True)
    return made


@pytest.fixture(scope="module")
def built(shared: Path) -> Built:
    with FileLock(shared / "build.lock"):
        return build(shared)


@pytest.fixture
def home(shared: Path, built: Built, tmp_path: Path) -> Home:
    with FileLock(shared / "environment.lock"):
        python = an_environment(shared / PLACE, built)
    own = tmp_path / "a home 家 $(touch pwned)"
    own.mkdir()
    return Home(own, called(python, own / "bin"))


# -- what is built


def test_the_wheel_brings_the_scripts_as_they_lie_in_a_clone_and_the_ways_to_be_run(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        held = {one.filename: one for one in archive.infolist()}
        for name in ("client.sh", "submit.sh"):
            assert archive.read(f"gpu_queue/shell/{name}") == (ROOT / name).read_bytes()
    assert {name.split("/")[0].partition("-")[0] for name in held} == {"gpu_queue", "hydra_plugins"}
    assert "hydra_plugins/__init__.py" not in held  # a namespace that others share
    data = {name.partition(".data/data/")[2] for name in held}
    assert {"share/man/man1/gpu-queue.1", "share/doc/gpu-queue/README.md"} <= data
    assert {f"share/doc/gpu-queue/docs/{one.name}" for one in (ROOT / "docs").glob("*.md")} <= data
    programs = [f"gpu_queue/ways/{one.name}" for one in (ROOT / "gpu_queue/ways").iterdir() if one.suffix != ".sh"]
    for name in ("gpu_queue/shell/submit.sh", *programs):
        assert held[name].external_attr >> 16 & 0o111, name


def test_the_sdist_holds_all_that_a_clone_does(built: Built) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("no clone here, so nobody says what belongs to one")
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, text=True, check=True)
    known = {name for name in listed.stdout.split("\0") if name and os.path.lexists(ROOT / name)}
    with tarfile.open(built.sdist) as archive:
        held = {one.name.partition("/")[2] for one in archive if not one.isdir()}
    assert known - held <= {".gitignore"}


# -- a shell


@pytest.mark.parametrize("name", SHELLS)
def test_a_shell_has_commands_completion_and_the_man_page_and_starts_no_python(home: Home, name: str) -> None:
    home.write_rc(name)
    for program in ("python", "python3", "gpu-queue"):
        (home.programs / program).write_text(f"#!/bin/sh\n: >{shlex.quote(str(home.path / 'started'))}\n")
        (home.programs / program).chmod(0o755)
    completes = {
        "bash": "complete -p gpu-queue gpu_submit",
        "zsh": "print ${_comps[gpu-queue]} ${_comps[gpu_submit]}",
    }
    said = home.shell(name, f"{completes[name]}; gpu_help; man -w gpu-queue")
    assert re.search("_shtab_gpu_queue.*__gpu_complete", said.stdout, re.DOTALL)
    assert "gpu_submit FILE" in said.stdout
    if shutil.which("man"):
        assert said.stdout.endswith("/share/man/man1/gpu-queue.1\n")
    assert not (home.path / "started").exists()


@pytest.mark.parametrize("name", SHELLS)
def test_a_client_reads_scripts_and_files_with_the_packages_own_python(home: Home, name: str) -> None:
    home.write_rc(name)
    for program in ("python", "python3"):
        (home.programs / program).write_text("#!/bin/sh\nexit 1\n")
        (home.programs / program).chmod(0o755)
    (home.path / "train.sh").write_text(SCRIPT)
    (home.path / "command.txt").write_text("bash train.sh\n1,20\n\n")
    spool = home.path / "gpu_queue" / "x"
    text = (
        'cd ~; gpu_submit train.sh; printf "work_dir: $HOME\n" >gpu_queue/x/config.yaml; '
        "gpu_load command.txt; gpu_status"
    )
    said = home.shell(name, text, {"JOB_ID": "x"})
    assert "train.sh: queued as" in said.stderr
    assert "asks for GPUs 0,1 (CUDA_VISIBLE_DEVICES=0,1)" in said.stderr  # by the reader in Python
    assert "command.txt: 1 block in 1 queue: 1 new" in said.stderr
    assert len([one for one in os.listdir(spool / "pending") if one[0] != "."]) == 2
    assert "no agent is alive; start one with gpu-queue submit.sh x" in said.stdout


@pytest.mark.parametrize("name", SHELLS)
def test_a_shell_whose_package_has_moved_asks_for_its_new_place(home: Home, name: str) -> None:
    path = home.write_rc(name)
    path.write_text(path.read_text().replace("/gpu_queue/shell/", "/before an update/"))
    assert "gpu_submit FILE" in home.shell(name, "gpu_help").stdout
    (home.programs / "gpu-queue").unlink()
    assert home.shell(name, "echo nothing else").stdout == "nothing else\n"  # it was removed


def test_what_a_shell_is_given_suits_strict_ones(home: Home) -> None:
    path = home.write_rc("bash")
    text = f"set -euo pipefail; source {shlex.quote(str(path))}; source {shlex.quote(str(path))}; echo $MANPATH"
    said = home.run("bash", "-c", text)
    assert said.stderr == ""
    assert said.stdout.count("/share/man") == 1
    assert said.stdout.startswith(":")  # what man knows by itself comes first


def test_the_shell_is_the_one_that_the_environment_names(home: Home) -> None:
    assert "zshrc" in home.run("gpu-queue", "shell-init", more={"SHELL": "/bin/zsh"}).stdout
    assert "bashrc" in home.run("gpu-queue", "shell-init").stdout
    refused = home.run("gpu-queue", "shell-init", is_well=False, more={"SHELL": "/usr/bin/fish"})
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == "gpu-queue shell-init: this shell is fish ($SHELL); expected one of: bash, zsh\n"


# -- an agent


def test_a_queue_is_served_from_the_first_word_to_the_last(home: Home) -> None:
    home.write_rc("bash")
    (home.path / "train.sh").write_text(SCRIPT)
    started = home.run("gpu-queue", "submit.sh", "x", "2", more={"GPU_QUEUE_SIMULATE": "4"})
    try:
        listed = home.run("gpu-queue", "submit.sh", "--list").stdout
        told = re.search("^To use it: (.*); gpu_help$", started.stdout, re.MULTILINE)
        assert told is not None
        text = f"{told[1]}; cd ~; gpu_submit train.sh && gpu_wait --timeout 40 train && gpu_logs train"
        said = home.run("bash", "-c", text)
        ended = home.shell("bash", "gpu_shutdown --wait", {"JOB_ID": "x"})
    finally:
        home.run("gpu-queue", "submit.sh", "--delete", "x", is_well=False)
    assert re.search("^x +local .* running", listed, re.MULTILINE)
    assert "torch is not installed for " in started.stdout
    assert f"/{PLACE}/bin/python" in started.stdout  # its own Python
    assert "hello of 0,1" in said.stdout
    assert "shuts down" in ended.stdout + ended.stderr


def test_what_submit_sh_refuses_names_what_was_typed(home: Home) -> None:
    refused = home.run("gpu-queue", "submit.sh", "--what", is_well=False)
    assert refused.returncode == 100
    assert refused.stderr.endswith("See gpu-queue submit.sh --help\n")
    helped = home.run("gpu-queue", "submit.sh", "--help").stdout
    assert "gpu-queue submit.sh JOB_ID [GPUS]" in helped
    assert "./submit.sh" not in helped


def test_an_agent_says_what_it_would_do_from_any_directory(home: Home) -> None:
    said = home.run("gpu-queue", "agent", "--check", "--simulate", "2", "--job-id", "x").stdout
    assert said.splitlines()[-1].split() == ["result", "ready"]
    assert "torch is not installed" in said


# -- other installers


def a_users_home(base: Path) -> Home:
    own = base / "a home 家"
    own.mkdir()
    return Home(own, own / ".local" / "bin", {"UV_OFFLINE": "1", "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull})


def check_installed(home: Home) -> None:
    home.write_rc("bash")
    said = home.shell("bash", "complete -p gpu-queue; gpu_help; gpu-queue --version; man -w gpu-queue || :")
    assert "-F _shtab_gpu_queue gpu-queue" in said.stdout
    assert "gpu_submit FILE" in said.stdout
    assert not shutil.which("man") or said.stdout.endswith("/share/man/man1/gpu-queue.1\n")


def test_uv_tool_install_gives_all_of_it(built: Built, tmp_path: Path) -> None:
    uv = tool("uv")
    if uv is None:
        pytest.skip("uv tool install: there is no uv; pip install uv")
    home = a_users_home(tmp_path)
    words = ("--python", PYTHON, "--no-index", "--find-links", built.wheels)
    home.run(uv, "tool", "install", *words, built.wheel)
    check_installed(home)
    said = home.run("gpu-queue", "agent", "--check", "--simulate", "2", "--job-id", "x").stdout
    assert "uv pip install --python '" in said  # there is no pip in it


def test_pipx_install_gives_all_of_it(built: Built, tmp_path: Path) -> None:
    pipx, uv = tool("pipx"), tool("uv")
    if pipx is None or uv is None:
        pytest.skip("pipx install: there is no pipx, or no uv for it; pip install pipx uv")
    home = a_users_home(tmp_path)
    if "--backend" not in home.run(pipx, "install", "--help").stdout:
        pytest.skip("pipx install: this pipx asks the network for a pip of its own; a newer one need not")
    find = {"PATH": f"{os.path.dirname(uv)}:{home.programs}:/usr/bin:/bin", "UV_FIND_LINKS": str(built.wheels)}
    done = home.run(pipx, "install", "--backend", "uv", "--python", PYTHON, built.wheel, more=find)
    assert "man1/gpu-queue.1" in done.stdout
    check_installed(home)
