"""Login shells with profiles that reset everything: real shells, a real HOME."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from gpu_queue.execution.launcher import interpreter
from gpu_queue.execution.login import as_bash_env, keep_environment

PROFILE = """\
PATH=/usr/bin:/bin; export PATH
CUDA_VISIBLE_DEVICES=6,7; export CUDA_VISIBLE_DEVICES
JOB_ID=another; export JOB_ID
unset CONDA_PREFIX LD_LIBRARY_PATH
hello() { echo "hello from the profile"; }
"""
BASH = shutil.which("bash") or "/bin/bash"
ZSH = shutil.which("zsh")


class Person:
    """Somebody with a home, and the environment that the agent has of a task."""

    def __init__(self, base: Path) -> None:
        self.home = base / "home"
        self.home.mkdir()
        self.conda = base / "it's conda"
        (self.conda / "bin").mkdir(parents=True)
        python = self.conda / "bin" / "python"
        python.write_text('#!/bin/sh\necho "the python of conda: $*"\n')
        python.chmod(0o755)
        self.directory = base / "try"
        self.directory.mkdir()
        self.environment = {
            "HOME": str(self.home),
            "PATH": f"{self.conda}/bin:/usr/local/bin:/usr/bin:/bin:/opt/late",
            "CONDA_PREFIX": str(self.conda),
            "CUDA_VISIBLE_DEVICES": "1",
            "JOB_ID": "exp",
            "LD_LIBRARY_PATH": f"{self.conda}/lib",
        }

    def profile(self, text: str = PROFILE, *names: str) -> None:
        for name in names or (".bash_profile", ".profile", ".zprofile"):
            (self.home / name).write_text(text)

    def run(self, script: str, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        path = self.directory / "script-task.sh"
        path.write_text(script)
        environment = {**self.environment, **more}
        program = [*interpreter("task.sh", script[:256].encode(), str(path)), *arguments]
        program, said = keep_environment(program, str(path), environment, str(self.directory))
        return subprocess.run(
            program,
            env={**environment, **said},
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )


@pytest.fixture
def person(tmp_path: Path) -> Person:
    made = Person(tmp_path)
    made.profile()
    return made


LINES = [
    f"#!{BASH} -l",
    f"#!{BASH} --login",
    f"#!{BASH} -il",
    f"#!{BASH} -li",
    "#!/usr/bin/env -S bash -l",
    "#!/usr/bin/env -S A=1 bash -l",
    "#!/bin/sh -l",
    *([f"#!{ZSH} -l", "#!/usr/bin/env -S zsh --login"] if ZSH else []),
]


@pytest.mark.parametrize("line", LINES)
def test_what_the_profile_took_away_is_there_again(person: Person, line: str) -> None:
    script = f"""{line}
hello
python "$0" "$@"
echo "$CONDA_PREFIX|$CUDA_VISIBLE_DEVICES|$JOB_ID|$LD_LIBRARY_PATH|${{BASH_ENV-none}}"
echo "$PATH"
"""
    done = person.run(script, "a b", "")
    lines = done.stdout.splitlines()
    assert lines[:3] == [
        "hello from the profile",
        f"the python of conda: {person.directory}/script-task.sh a b ",
        f"{person.conda}|1|exp|{person.conda}/lib|none",
    ]
    assert lines[3].startswith(f"{person.conda}/bin:/usr/")
    assert lines[3].endswith(":/opt/late")
    assert done.returncode == 0


@pytest.mark.parametrize("line", LINES)
def test_the_script_ends_as_it_would(person: Person, line: str) -> None:
    script = f"""{line}
trap 'echo "trap $?"' EXIT
set -e
(exit 7)
echo never
"""
    done = person.run(script)
    assert (done.stdout, done.returncode) == ("trap 7\n", 7)


def test_bash_reads_the_script_itself(person: Person) -> None:
    script = f"""#!{BASH} -l
trap 'echo "failed at $LINENO"' ERR
shopt -q login_shell && echo login
echo "${{BASH_SOURCE[0]##*/}} ${{#FUNCNAME[@]}} $-"
return 3
false
"""
    done = person.run(script)
    assert done.stdout == "login\nscript-task.sh 0 hB\nfailed at 5\nfailed at 6\n"
    assert "can only `return' from a function" in done.stderr


def test_a_login_shell_takes_the_first_of_three_profiles(person: Person) -> None:
    for name in (".bash_profile", ".bash_login", ".profile"):
        (person.home / name).write_text(f"echo {name}\n")
    assert person.run(f"#!{BASH} -l\n").stdout == ".bash_profile\n"
    (person.home / ".bash_profile").unlink()
    assert person.run(f"#!{BASH} -l\n").stdout == ".bash_login\n"


def test_a_profile_that_sets_bash_env_has_it_read(person: Person) -> None:
    modules = person.home / "modules.sh"
    modules.write_text("module() { echo module $*; }\n")
    person.profile(f"export BASH_ENV={modules}\n{PROFILE}")
    done = person.run(f'#!{BASH} -l\nmodule load cuda\necho "$BASH_ENV"\nbash -c "module again"\npython x\n')
    assert done.stdout.splitlines() == [
        "module load cuda",
        str(modules),
        "module again",
        "the python of conda: x",
    ]


def test_what_bash_env_was_it_is_again(person: Person) -> None:
    given = person.home / "given.sh"
    given.write_text("echo given\n")
    done = person.run(f'#!{BASH} -l\necho "$BASH_ENV"\n', BASH_ENV=str(given))
    assert done.stdout.splitlines() == ["given", str(given)]


def test_what_the_profile_adds_stays(person: Person) -> None:
    person.profile("export PATH=$HOME/tools:$PATH WANDB_MODE=offline\n")
    done = person.run(f'#!{BASH} -l\necho "$PATH"\necho $WANDB_MODE\n')
    path, mode = done.stdout.splitlines()
    assert path.startswith(f"{person.conda}/bin:{person.home}/tools:")
    assert mode == "offline"


def test_an_agent_without_an_environment_of_its_own_puts_nothing_first(person: Person) -> None:
    person.profile("export PATH=$HOME/tools:/usr/bin:/bin\n")
    done = person.run(f'#!{BASH} -l\necho "$PATH"\n', PATH="/usr/local/bin:/usr/bin:/bin")
    assert done.stdout.startswith(f"{person.home}/tools:/usr/bin:/bin")


@pytest.mark.parametrize(
    "line", [f"#!{BASH}", f"#!{BASH} -e", "#!/usr/bin/env bash", "#!/usr/bin/env -S python3 -l", ""]
)
def test_other_scripts_run_as_they_are(person: Person, line: str) -> None:
    head = f"{line}\n".encode()
    program = interpreter("task.sh", head, "/script")
    assert keep_environment(program, "/script", person.environment, str(person.directory)) == (program, {})
    assert not os.listdir(person.directory)


def test_bash_reads_its_start_file_whatever_its_directory_is_called(tmp_path: Path) -> None:
    directory = tmp_path / "it's a $(touch pwned) \"`id`\\x"
    directory.mkdir()
    (directory / "start").write_text("SAID=read\n")
    environment = {"BASH_ENV": as_bash_env(str(directory / "start")), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [BASH, "-c", "echo $SAID"], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("read\n", "")
    assert os.listdir(tmp_path) == [directory.name]
