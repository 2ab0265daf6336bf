"""What a task is called: its submitter's word for it, which no id can carry, fit for a terminal."""

from __future__ import annotations

import shlex

import pytest

from tests.shell.helpers import Shell, Spool

ENTER = "names() ( __gpu_guest names ); __gpu_names() { __gpu_enter; for one in"
SAY = '; do __gpu_title "$one"; \\printf "%s\\n" "$REPLY"; done; }; names'


def titles(shell: Shell, *names: str) -> list[str]:
    """What the client calls these tasks."""
    return shell.ok(f"{ENTER} {shlex.join(names)}{SAY}").out.splitlines()


def named(spool: Spool, title: str, safe: str, state: str = "pending") -> str:
    """A task of that name, as an id carries it."""
    return spool.add(state, safe, name=title)


@pytest.mark.parametrize(
    ("title", "safe"),
    [
        ("训练.sh", "_.sh"),
        ("评估 模型.sh", "_.sh"),
        ('a "b" c\\d.sh', "a_b_c_d.sh"),
        ("my_train.sh", "my_train.sh"),
        ("träin.sh", "tr_in.sh"),
        ("\\\\u0041 b.sh", "_u0041_b.sh"),
    ],
)
def test_a_task_is_called_what_its_submitter_called_it(shell: Shell, spool: Spool, title: str, safe: str) -> None:
    full = named(spool, title, safe)
    assert titles(shell, full, f"pending/{full}", f"running/n1/{full}.try1.abcdef=0") == [title] * 3


def test_every_command_says_the_title_and_shows_paths_that_can_be_pasted(shell: Shell, spool: Spool) -> None:
    waits, failed = named(spool, "训练.sh", "_.sh"), named(spool, "评估 1.sh", "_1.sh", "failed")
    log = spool.log(failed, "the end\n")
    said = shell.ok("gpu_explain 评估; gpu_logs; gpu_logs 评估")
    assert "评估 1.sh (abc002) was cancelled while it waited" in said.out
    listed = next(line for line in said.lines if line.startswith("  abc002"))
    path = listed.removeprefix("  abc002  ").removesuffix("  评估 1.sh")
    assert path != listed
    assert shell.ok(f"\\cat {path}").out == "the end\n" == log.read_text()
    assert "训练.sh (abc001) has not started" in shell.run("gpu_logs abc001").err
    assert "评估 1.sh (abc002)" in shell.ok("gpu_tail 评估 || :").err
    assert waits in spool.names("pending")


def test_a_path_in_chinese_is_shown_as_it_is(shell: Shell) -> None:
    shell.root, shell.job_id = shell.home / "队列 (一)", "甲"
    spool = shell.spool.make()
    spool.log(spool.add("done"), "")
    (line,) = shell.ok("gpu_logs").lines
    assert "/队列\\ \\(一\\)/甲/logs/" in line


def test_a_title_holds_nothing_that_a_terminal_would_obey(shell: Shell, spool: Spool) -> None:
    full = named(spool, "a\x1b[2J\nb\u202ec.sh", "a_2J_b_c.sh")
    assert titles(shell, full) == ["a?[2J?b?c.sh"]


def test_a_record_cannot_give_a_task_a_name_that_its_id_was_not_made_of(shell: Shell, spool: Spool) -> None:
    liar = named(spool, "harmless.sh", "rm_all.sh")
    assert titles(shell, liar) == ["rm_all.sh"]


def test_without_a_record_a_task_is_called_as_its_id_has_it(shell: Shell, spool: Spool) -> None:
    full = named(spool, "训练.sh", "_.sh")
    (spool.path / "records" / f"{full[4:]}.json").unlink()
    assert titles(shell, full, "pending/010_评估.sh") == ["_.sh", "评估.sh"]
