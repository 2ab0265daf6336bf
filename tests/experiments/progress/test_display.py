"""Who gets a screen, and who lines: a program of its own, at a terminal, in the background, in a pipe."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

HERE = Path(__file__).parents[3]
PROGRAM = """
import os, sys
if os.environ.pop("WITHOUT_RICH", ""):
    sys.modules["rich"] = None
if os.environ.pop("BEHIND", ""):
    child = os.fork()
    if child:
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    os.setpgid(0, 0)
from gpu_queue.experiments.progress.display import a_display
from gpu_queue.experiments.progress.model import advance
from tests.experiments.progress.samples import NOW, a_run, an_experiment, waits
display = a_display(sys.stdout, os.environ)
display.show(advance(an_experiment(a_run("a")), {"a": waits(1)}, NOW))
display.close()
assert ("rich" in sys.modules) == (type(display).__name__ == "ScreenDisplay") or sys.modules["rich"] is None
"""
ENVIRONMENT = {"PATH": os.environ["PATH"], "PYTHONPATH": str(HERE), "TERM": "xterm", "LANG": "C.UTF-8", "TZ": "UTC0"}


def at_a_terminal(**more: str) -> str:
    """What the program writes there."""
    pid, main = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [sys.executable, "-c", PROGRAM], {**ENVIRONMENT, **more})
    said = b""
    try:
        while came := os.read(main, 65536):
            said += came
    except OSError:  # it has ended
        pass
    os.close(main)
    assert os.waitpid(pid, 0)[1] == 0, said.decode()
    return said.decode()


def test_a_terminal_has_a_screen() -> None:
    pytest.importorskip("rich", reason="rich is not installed: make venv")
    assert "\x1b[?25h" in at_a_terminal()


@pytest.mark.parametrize("more", [{"TERM": "dumb"}, {"TERM": ""}, {"BEHIND": "1"}])
def test_what_can_move_no_cursor_or_is_not_ours_gets_lines(more: Mapping[str, str]) -> None:
    said = at_a_terminal(**more)
    assert "\x1b" not in said
    assert "0 of 1 done, 1 waiting" in said
    assert "rich" not in said


def test_a_terminal_without_rich_gets_lines_and_a_hint_once() -> None:
    said = at_a_terminal(WITHOUT_RICH="1")
    assert "\x1b" not in said
    assert said.count("pip install rich") == 1
    assert "0 of 1 done, 1 waiting" in said


def test_a_pipe_gets_lines_and_rich_is_not_even_imported() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1].endswith("0 of 1 done, 1 waiting; 0s")
    assert "\x1b" not in done.stdout
    assert done.stderr == ""
