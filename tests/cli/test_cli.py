"""The installed command: one parser makes help, man page and completion, and ``gpu-queue agent`` is the agent."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import shtab

from gpu_queue import __version__
from gpu_queue.cli import build_parser, main
from gpu_queue.config import SETTINGS
from gpu_queue.shell import COMPLETIONS
from tests.unit.test_docs import ROOT

HEAVY = (
    *("torch", "pynvml", "yaml", "shtab", "psutil", "filelock", "watchdog"),
    *("gpu_queue.agent", "gpu_queue.node", "gpu_queue.keepalive"),
)


def command(*words: str) -> list[str]:
    """As the installed script calls it."""
    return [sys.executable, "-c", "import sys; from gpu_queue.cli import main; sys.exit(main())", *words]


def run(*words: str, cwd: Path = ROOT, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **more}
    return subprocess.run(
        command(*words), env=environment, cwd=cwd, capture_output=True, text=True, timeout=50, check=False
    )


def verbs() -> dict[str, argparse.ArgumentParser]:
    (commands,) = [one for one in build_parser()._actions if isinstance(one, argparse._SubParsersAction)]
    return dict(commands.choices)


def test_without_a_word_it_says_what_it_can(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    said = capsys.readouterr().out
    assert all(verb in said for verb in verbs())


def test_it_tells_its_version() -> None:
    assert run("--version").stdout == f"gpu-queue {__version__}\n"


def test_an_unknown_word_is_refused_with_the_known_ones() -> None:
    done = run("agnet")
    assert done.returncode == 2
    assert "agent" in done.stderr


def test_help_loads_nothing_heavy() -> None:
    code = "import sys; from gpu_queue.cli import main; main([]); print([one for one in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = done.stdout.splitlines()[-1]
    assert not [name for name in (*HEAVY, "gpu_queue.config") if f"'{name}'" in loaded]


@pytest.mark.parametrize("flag", sorted({row.flag for row in SETTINGS if row.flag}))
def test_every_flag_of_the_agent_is_one_of_the_command(flag: str) -> None:
    assert flag in {option for action in verbs()["agent"]._actions for option in action.option_strings}


def test_agent_is_the_agent(tmp_path: Path) -> None:
    done = run("agent", "--check", "--simulate", "2", "--job-id", "a b", QUEUE_ROOT=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, ""), done
    assert done.stdout.splitlines()[-1].split() == ["result", "ready"]
    assert f"{tmp_path}/a b: will be made" in done.stdout


def test_what_the_agent_refuses_bears_the_commands_name(tmp_path: Path) -> None:
    done = run("agent", "--at-end", "never", "--job-id", "x", QUEUE_ROOT=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr == "gpu-queue agent: --at-end: 'never'; expected wait or stop\n"


def test_files_of_the_working_directory_are_not_taken_for_modules(tmp_path: Path) -> None:
    for name in ("socket", "queue", "yaml", "loop", "main"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the wrong file')\n")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    agent = str(ROOT / "gpu_queue" / "agent" / "__main__.py")
    words = [sys.executable, agent, "--check", "--simulate", "1", "--job-id", "x", "--queue-root", str(tmp_path)]
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1].split() == ["result", "ready"], done


def test_a_directory_full_of_queues_is_not_taken_for_the_package(tmp_path: Path) -> None:
    (tmp_path / "gpu_queue" / "train-exp1").mkdir(parents=True)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    code = "import gpu_queue; print(gpu_queue.Spool('train-exp1', 'gpu_queue'))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Spool('train-exp1'")


@pytest.mark.parametrize("safe_path", ["1", pytest.param("", marks=pytest.mark.long)])
def test_the_agent_takes_standard_modules_from_python_and_others_also_from_pythonpath(
    tmp_path: Path, safe_path: str
) -> None:
    site, more = tmp_path / "site packages", tmp_path / "more"
    shutil.copytree(ROOT / "gpu_queue", site / "gpu_queue")
    (site / "dataclasses.py").write_text("raise SystemExit('a backport')")
    more.mkdir()
    (more / "yaml.py").write_text("raise SystemExit('the yaml of PYTHONPATH')")
    (more / "sitecustomize.py").write_text(f"import sys; sys.path.append({str(site)!r})")
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "config.yaml").write_text("beat: 30s\n")
    environment = {**os.environ, "PYTHONPATH": str(more), "PYTHONSAFEPATH": safe_path, "QUEUE_ROOT": str(tmp_path)}
    words = [sys.executable, str(site / "gpu_queue" / "agent" / "__main__.py"), "--check", "--job-id", "x"]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.stderr == "the yaml of PYTHONPATH\n"


# -- what a shell is given, in a clone


@pytest.mark.parametrize("name", ["bash", "zsh"])
def test_a_shell_is_given_what_lies_in_the_clone(name: str, tmp_path: Path) -> None:
    if shutil.which(name) is None:
        pytest.skip(f"no {name} here; install it to test its users' way")
    lines = run("shell-init", name, cwd=tmp_path).stdout
    (tmp_path / "rc").write_text(lines)
    said = subprocess.run(
        [name, "-c", f'. {tmp_path}/rc; __gpu_file; echo "$REPLY"; __gpu_beside; echo "$REPLY"; man -w gpu-queue'],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    page = [str(ROOT / "docs/man1/gpu-queue.1")] if shutil.which("man") else []
    assert said.stdout.splitlines() == [str(ROOT / "client.sh"), str(ROOT), *page], said


def test_the_scripts_of_the_package_are_those_of_the_clone() -> None:
    for name in ("client.sh", "submit.sh"):
        assert (ROOT / "gpu_queue" / "shell" / name).samefile(ROOT / name)
    told = run("submit.sh", "--help").stdout
    assert told == subprocess.run([ROOT / "submit.sh", "--help"], capture_output=True, text=True, check=True).stdout
    assert "  ./submit.sh JOB_ID" in told


# -- completion and man page


@pytest.mark.parametrize("shell", COMPLETIONS)
def test_the_completion_is_the_one_that_the_parser_makes(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert script.split() == shtab.complete(build_parser(), shell=shell).split(), "run `make docs`"
    assert all(verb in script for verb in verbs())
    assert all(row.flag.lstrip("-") in script for row in SETTINGS if row.flag)


@pytest.mark.parametrize("verb", verbs())
def test_what_is_a_file_or_a_directory_is_completed_as_one(verb: str) -> None:
    for action in verbs()[verb]._actions:
        for metavar in ("FILE", "DIR"):
            assert action.metavar != metavar or hasattr(action, "complete"), action.option_strings or action.dest


def test_bash_offers_words_where_only_some_are_right() -> None:
    script = f"""
        eval "$({" ".join(map(repr, command("completion", "bash")))})"
        COMP_WORDS=(gpu-queue agent --at-end '') COMP_CWORD=3
        _shtab_gpu_queue gpu-queue '' --at-end
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["wait", "stop"], done


def test_zsh_takes_what_it_is_given() -> None:
    if shutil.which("zsh") is None:
        pytest.skip("no zsh here; install it to test its users' way")
    script = run("completion", "zsh").stdout
    checked = subprocess.run(
        ["zsh", "-f", "-n", "/dev/stdin"], input=script, capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, "")
    assert script.startswith("#compdef gpu-queue")


def test_the_man_page_tells_every_flag_as_the_help_does() -> None:
    page = re.sub(r"\\f.|\\,|\\/", "", (ROOT / "docs" / "man1" / "gpu-queue.1").read_text(encoding="utf-8")).replace(
        "\\-", "-"
    )
    told = " ".join(page.replace("\n", " ").split())
    assert page.isascii(), "man shows nothing else where the locale is C"
    for verb, parser in verbs().items():
        assert f"gpu-queue {verb}" in told
        for action in parser._actions:
            if action.help and action.option_strings != ["-h", "--help"]:
                words = " ".join((action.help % {"prog": "", "default": ""}).replace("'", "").split())
                assert words in told.replace("\\(aq", "").replace("'", ""), (
                    f"{action.option_strings}: run `make docs`"
                )


def test_an_agent_without_its_packages_names_them_all() -> None:
    listed = re.search(r"^dependencies = \[(.*?)^\]", (ROOT / "pyproject.toml").read_text(), re.MULTILINE | re.DOTALL)
    assert listed is not None
    needed = set(re.findall(r'^    "([A-Za-z-]+)', listed[1], re.MULTILINE))
    bare = [sys.executable, "-S", str(ROOT / "perpetual_motion.py"), "--job-id", "x"]  # without what is installed
    done = subprocess.run(bare, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 1
    assert set(done.stderr.rpartition("pip install ")[2].split()) == needed


def test_load_queues_a_command_file(tmp_path: Path) -> None:
    (tmp_path / "command.txt").write_text("bash a.sh\n1,20\n\n2\nbash b.sh\n25\n")
    done = run(
        "load", "command.txt", cwd=tmp_path, QUEUE_ROOT=str(tmp_path / "queues"), JOB_ID="x", PWD=str(tmp_path)
    )
    assert done.returncode == 0, done
    assert [line[30:] for line in done.stdout.splitlines()] == ["command-1", "command-2"]
    assert done.stderr.splitlines()[0] == "command.txt: 2 blocks in 2 queues: 2 new"


def test_what_load_refuses_bears_the_commands_name(tmp_path: Path) -> None:
    (tmp_path / "command.txt").write_text("bash a.sh\n1,much\n")
    done = run("load", str(tmp_path / "command.txt"), QUEUE_ROOT=str(tmp_path / "queues"), JOB_ID="x")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"gpu-queue load: {tmp_path}/command.txt:2: expected the memory in GB, as in 20 or 15.5, found 'much'\n"
    )
    assert not (tmp_path / "queues").exists()
    assert run("load", "--multi", "--single", "x").returncode == 2
