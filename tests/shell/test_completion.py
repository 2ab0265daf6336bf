"""Completion offers what fits the command, and registers only where somebody can press Tab."""

from __future__ import annotations

import resource
import subprocess

import pytest

from tests.shell.helpers import CLIENT, Shell, Spool

pytestmark = pytest.mark.zsh  # it completes by other means

NODE = "n1-00000001"


@pytest.mark.parametrize(
    ("command", "word", "offered"),
    [
        ("gpu_cancel", "", ["wait.sh"]),
        ("gpu_priority", "w", ["wait.sh"]),
        ("gpu_stop", "", ["all", "run.sh", "wait.sh"]),
        ("gpu_retry", "", ["all", "bad.sh"]),
        ("gpu_retry", "b", ["bad.sh"]),
        ("gpu_tail", "", ["good.sh"]),
        ("gpu_explain", "", ["bad.sh", "good.sh", "run.sh", "wait.sh"]),
        ("gpu_cancel", "abc", ["abc001"]),
        ("gpu_cancel", "--", ["--queue", "--yes"]),
        ("gpu_use", "", ["exp 1", "other"]),
        ("gpu_submit", "--m", ["--memory"]),
        ("gpu_submit", "--a", ["--after", "--array"]),
        ("gpu_run", "--d", ["--dry-run"]),
        ("gpu_load", "--s", ["--shared-queues", "--single"]),
        ("gpu_status", "--", ["--all", "--json", "--plain", "--queues", "--watch"]),
        ("gpu_keepalive", "o", ["off", "on"]),
        ("gpu_report", "--", ["--by-gpu", "--days"]),
        ("gpu_list", "", []),
    ],
)
def test_what_is_offered(shell: Shell, spool: Spool, command: str, word: str, offered: list[str]) -> None:
    spool.add("pending", "wait.sh")
    spool.add(f"running/{NODE}", "run.sh")
    spool.log(spool.add("done", "good.sh"), "x")
    spool.add("failed", "bad.sh")
    Spool(shell.root / "other").make()
    said = shell.ok(f"( __gpu_guest words {command} '{word}' )")
    assert sorted(said.lines) == offered


def test_bash_completes_into_compreply(shell: Shell, spool: Spool) -> None:
    if shell.kind != "bash":
        pytest.skip("bash's own way")
    spool.add("pending", "wait.sh")
    shell.hostile = False
    said = shell.ok(
        '__gpu_complete_bash gpu_cancel w gpu_cancel; echo "${COMPREPLY[@]}"; '
        "complete -p | \\command grep -c gpu_ || :"
    )
    assert said.lines == ["wait.sh", "0"]
    assert shell.ok('__gpu_complete_bash gpu_use ex gpu_use; echo "${COMPREPLY[@]}"').lines == ["exp\\ 1"]


def test_an_interactive_shell_has_completions(shell: Shell) -> None:
    shell.hostile = False
    if shell.kind == "zsh":
        script = f"autoload -Uz compinit; compinit -u -D; . '{CLIENT}'; print -r -- ${{_comps[gpu_stop]}}"
        assert shell.ok(script).lines == ["__gpu_complete_zsh"]
        return
    done = subprocess.run(
        [shell.program, "--norc", "-i", "-c", f". '{CLIENT}'; complete -p gpu_stop gpu_submit gpu_load"],
        env=shell.environment(),
        capture_output=True,
        text=True,
        check=True,
        start_new_session=True,
    )
    assert "-F __gpu_complete_bash gpu_stop" in done.stdout
    for command in ("gpu_submit", "gpu_load"):
        assert f"-o default -F __gpu_complete_bash {command}\n" in done.stdout


@pytest.mark.parametrize(
    ("command", "before", "word", "offered"),
    [
        ("gpu_submit", "--after", "", ["run.sh", "训练.sh"]),
        ("gpu_run", "--after", "训", ["训练.sh"]),
        ("gpu_submit", "--queue", "", ["bus", "car.1"]),
        ("gpu_cancel", "--queue", "c", ["car.1"]),
        ("gpu_submit", "--gpus", "", []),
        ("gpu_cancel", "--yes", "", ["训练.sh"]),
    ],
)
def test_what_is_offered_after_an_option(
    shell: Shell, spool: Spool, command: str, before: str, word: str, offered: list[str]
) -> None:
    spool.add("pending", "_.sh", name="训练.sh", needs={"queue": "car.1"})
    spool.add(f"running/{NODE}", "run.sh")
    for token in ("bus.000001", "bus.000002.free"):
        (spool.path / "queues" / token).touch()
    said = shell.ok(f"( __gpu_guest words {command} '{word}' {before} )")
    assert sorted(said.lines) == offered


def test_what_bash_puts_in_is_one_word_and_no_octal_numbers(shell: Shell, spool: Spool) -> None:
    if shell.kind != "bash":
        pytest.skip("zsh quotes by itself")
    spool.add("pending", "_b_x.sh", name="训 b'$x.sh")
    shell.hostile = False
    said = shell.ok('__gpu_complete_bash gpu_submit "" --after; echo "${COMPREPLY[@]}"', LC_ALL="C")
    assert said.lines == ["训\\ b\\'\\$x.sh"]


def test_no_task_is_offered_twice(shell: Shell, spool: Spool) -> None:
    full = spool.add("done", "good.sh")
    spool.log(full, "x")
    spool.log(full, "x", ".try2.abcdef")
    offered = shell.ok("( __gpu_guest words gpu_logs '' ); ( __gpu_guest words gpu_logs abc )").lines
    assert offered == ["good.sh", "abc001"]
    assert shell.ok("( __gpu_guest words gpu_logs 0 )").lines == [full.replace("500-", "000-", 1)]


def test_a_task_that_moves_on_is_listed_once_also_among_very_many(shell: Shell, spool: Spool) -> None:
    names = [spool.add("pending", "train.sh") for _ in range(120)]
    (spool.path / "running" / NODE).mkdir(parents=True)
    for full in names:  # as if each was claimed between two listings
        (spool.path / "running" / NODE / f"{full}.try1.abcdef").write_text("")
    assert "'train' fits 120 tasks" in shell.run("gpu_stop train").err


def test_of_very_many_tasks_some_are_offered_at_once_and_tab_goes_on_as_far_as_all_are_alike(
    shell: Shell, spool: Spool
) -> None:
    for number in range(3000):
        title = f"seed{number:04d}.sh"
        task_id = f"20261123T0144{number:05d}-{number + 0xABC000:06x}-{title}"
        (spool.path / "pending" / f"500-{task_id}").touch()
    started_s = children_cpu_s()
    offered = shell.ok("( __gpu_guest words gpu_stop seed )").lines
    assert children_cpu_s() - started_s < 1.5, "alone it takes a tenth of that"
    assert len(offered) < 250
    assert {"seed0", "seed1"} <= {one[:5] for one in offered}, "Tab stops where titles differ"
    assert len(shell.ok("( __gpu_guest words gpu_stop seed12 )").lines) == 100
    assert shell.ok("( __gpu_guest words gpu_stop 500-20261123T014400001 )").lines == [
        "500-20261123T014400001-abc001-seed0001.sh"
    ]


def children_cpu_s() -> float:
    """What ended children have used: a clock on the wall would count the neighbours as well."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
