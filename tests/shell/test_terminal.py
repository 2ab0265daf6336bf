"""What a person at a terminal meets: Ctrl-C in loops, and the question about several tasks."""

from __future__ import annotations

import pytest

from tests.shell.helpers import Shell, Spool
from tests.shell.terminal import a_terminal

NODE = "n1-00000001"


@pytest.mark.parametrize(
    ("command", "shown"),
    [("gpu_tail train", "hello"), ("gpu_wait train", "waiting for"), ("gpu_status --watch", "running")],
)
def test_ctrl_c_leaves_the_loop_that_a_command_is_in(shell: Shell, spool: Spool, command: str, shown: str) -> None:
    spool.log(spool.add(f"running/{NODE}", "train.sh"), "hello\n")
    with a_terminal(shell) as terminal:
        terminal.type(f"for turn in 1 2 3; do echo tur''n $turn; {command}; echo aft''er; done\n")
        terminal.wait_for("turn 1")
        terminal.wait_for(shown)
        terminal.interrupt()
        terminal.type("echo stat''us $?\n")
        terminal.wait_for("status 130")


def test_a_question_is_answered_by_ctrl_c_as_well(shell: Shell, spool: Spool) -> None:
    names = [spool.add("pending", f"seed{number}.sh") for number in range(2)]
    with a_terminal(shell) as terminal:
        terminal.type("gpu_cancel 'seed*'\n")
        terminal.wait_for("[y/N] ")
        terminal.interrupt()
        terminal.type("echo stat''us $?\n")
        terminal.wait_for("status 130")
        assert spool.names("pending") == names
        terminal.type("gpu_cancel 'seed*'\n")
        terminal.wait_for("[y/N] ")
        terminal.type("y\n")
        terminal.wait_for("cancelled seed1.sh (abc002)")
        terminal.type("echo stat''us $?\n")
        terminal.wait_for("status 0")
    assert spool.names("pending") == []
