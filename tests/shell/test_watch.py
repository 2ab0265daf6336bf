"""gpu_status --watch at a terminal: what it does with the screen, and in what state it leaves it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator

import pytest

from tests.shell.helpers import CLIENT, Shell, Spool

NODE = "n1-00000001"
ENTER, LEAVE = "\x1b[?1049h", "\x1b[?1049l"
CODES = re.compile(r"\x1b\[[?0-9;]*[a-zA-Z]")


class Terminal:
    """A shell at a terminal of its own, as its user sees and types it."""

    def __init__(self, shell: Shell, script: str, rows: int, columns: int, *, interactive: bool, **more: str) -> None:
        self.heard = ""
        self.main, sub = pty.openpty()
        self.resize(rows, columns)
        environment = shell.environment(**{"TERM": "xterm", "PS1": "READY> ", **more})
        command = shell.command(script)
        if interactive:
            command = [shell.program, *(["-f"] if shell.kind == "zsh" else ["--norc", "--noprofile"]), "-i"]
        self.process = subprocess.Popen(
            command,
            stdin=sub,
            stdout=sub,
            stderr=sub,
            env={name: value for name, value in environment.items() if value},
            cwd=shell.home,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - nobody else starts threads here
        )
        os.close(sub)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.main, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        os.write(self.main, text.encode())

    def hear(self, pattern: str, limit_s: float = 20.0) -> str:
        """What it says up to and with what fits; what was heard is not heard again."""
        end = time.monotonic() + limit_s
        while not (found := re.search(pattern, self.heard)):
            assert time.monotonic() < end, f"not heard: {pattern!r} in {self.heard[-2000:]!r}"
            if select.select([self.main], [], [], 0.1)[0]:
                with contextlib.suppress(OSError):  # the last one closed it
                    self.heard += os.read(self.main, 65536).decode("utf-8", "replace")
        said, self.heard = self.heard[: found.end()], self.heard[found.end() :]
        return said

    def close(self) -> None:
        if self.process.returncode is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.hang_up()

    def hang_up(self) -> None:
        """The window is closed, or the connection lost."""
        if self.main >= 0:
            os.close(self.main)
        self.main = -1


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    opened: list[Terminal] = []
    yield opened
    for terminal in opened:
        terminal.close()


def watch(
    terminals: list[Terminal],
    shell: Shell,
    script: str = "gpu_status --watch",
    rows: int = 24,
    columns: int = 80,
    *,
    interactive: bool = False,
    **more: str,
) -> Terminal:
    shell.hostile = False
    terminal = Terminal(shell, script, rows, columns, interactive=interactive, **more)
    terminals.append(terminal)
    return terminal


def frame(terminal: Terminal) -> list[str]:
    """The lines of the next whole picture: it begins at the top, and what is below it is cleared."""
    said = terminal.hear(r"\x1b\[H(?:(?!\x1b\[H)[\s\S])*\x1b\[J")
    return CODES.sub("", said[said.rindex("\x1b[H") :]).split("\r\n")


def test_it_takes_the_alternate_screen_and_gives_it_back_when_interrupted(
    shell: Shell, spool: Spool, terminals: list[Terminal]
) -> None:
    terminal = watch(terminals, shell, 'gpu_status --watch; echo "status $?"')
    before = terminal.hear(re.escape(ENTER))
    assert "exp 1" not in before
    assert frame(terminal)[0].startswith("exp 1")
    spool.add("pending", "late.sh")
    terminal.hear("late.sh")
    terminal.type("\x03")
    after = terminal.hear(re.escape(LEAVE))
    assert "\x1b[?25h" in after, "the cursor is there again"
    # The shell itself gets the interrupt as well, and goes no further.
    assert terminal.process.wait(10) in (-signal.SIGINT, 130)


def test_an_interrupt_leaves_the_loop_around_it_with_status_130(
    shell: Shell, spool: Spool, terminals: list[Terminal]
) -> None:
    terminal = watch(terminals, shell, interactive=True)
    terminal.hear("READY> ")
    terminal.type(f". '{CLIENT}'\r")
    terminal.hear("READY> ")
    terminal.type("for i in 1 2 3; do gpu_status --watch; echo again; done\r")
    terminal.hear(re.escape(ENTER))
    frame(terminal)
    terminal.type("\x03")
    terminal.hear(re.escape(LEAVE))
    terminal.hear("READY> ")
    terminal.type("echo status=$?\r")
    said = terminal.hear("status=[0-9]+")
    assert said.endswith("status=130")
    assert ENTER not in said
    assert "\nagain" not in said


@pytest.mark.parametrize("terminal_kind", ["xterm", "dumb"])
def test_it_ends_with_its_terminal_also_where_a_hangup_is_ignored(
    shell: Shell, spool: Spool, terminals: list[Terminal], terminal_kind: str
) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does; a shell cannot undo it
    try:
        terminal = watch(terminals, shell, TERM=terminal_kind)
    finally:
        signal.signal(signal.SIGHUP, before)
    terminal.hear("no agent")
    terminal.hang_up()
    assert terminal.process.wait(20) != 0


def test_it_is_cut_to_the_height_and_follows_a_new_size(
    shell: Shell, spool: Spool, terminals: list[Terminal]
) -> None:
    for number in range(40):
        spool.add("pending", f"a-rather-long-name-{number}.sh")
    terminal = watch(terminals, shell, "gpu_status --all --watch", rows=10, columns=80)
    lines = frame(terminal)
    assert len(lines) == 10
    assert lines[-1] == "…"
    terminal.resize(20, 44)
    sizes = [frame(terminal) for _ in range(2)]
    lines = sizes[-1]
    assert len(lines) == 20
    assert max(map(len, lines)) <= 44
    terminal.resize(60, 100)
    lines = [frame(terminal) for _ in range(2)][-1]
    assert 44 < len(lines) < 60
    assert any(line.split()[1:2] == ["a-rather-long-name-39.sh"] for line in lines), "the last one"


@pytest.mark.parametrize("term", ["dumb", ""])
def test_a_terminal_that_knows_no_codes_gets_none(
    shell: Shell, spool: Spool, terminals: list[Terminal], term: str
) -> None:
    spool.node(NODE)
    terminal = watch(terminals, shell, "unset TERM\n" * (not term) + "gpu_status --watch", TERM=term)
    said = terminal.hear("exp 1[\\s\\S]*exp 1")
    assert "n1  serving" in said
    assert "\x1b" not in said


def test_no_color_means_none_and_the_words_stay(shell: Shell, spool: Spool, terminals: list[Terminal]) -> None:
    spool.node(NODE)
    coloured = watch(terminals, shell, "gpu_status; echo end").hear("\nend")
    plain = watch(terminals, shell, "gpu_status; echo end", NO_COLOR="1").hear("\nend")
    assert "\x1b[32mserving" in coloured
    assert "\x1b" not in plain
    assert CODES.sub("", coloured) == plain
    watched = watch(terminals, shell, NO_COLOR="1").hear(r"\x1b\[J")
    assert not re.search(r"\x1b\[[0-9;]*m", watched)


def test_piped_it_is_as_on_a_terminal(shell: Shell, spool: Spool, terminals: list[Terminal]) -> None:
    for number in range(30):
        spool.add("pending", f"t{number}.sh")
    shown = watch(terminals, shell, "gpu_status; echo end", columns=80).hear("\nend")
    piped = shell.ok("gpu_status", COLUMNS="80").out

    def words(text: str) -> list[str]:
        return re.sub(r"\d+d\d+h|\d+m\d+s", "", CODES.sub("", text).replace("\r", "").removesuffix("end")).split("\n")

    assert words(shown) == words(piped)


def test_stopped_by_ctrl_z_it_leaves_a_usable_terminal_and_goes_on(
    shell: Shell, spool: Spool, terminals: list[Terminal]
) -> None:
    terminal = watch(terminals, shell, interactive=True)
    terminal.hear("READY> ")
    terminal.type(f". '{CLIENT}'\r")
    terminal.hear("READY> ")
    terminal.type("gpu_status --watch\r")
    terminal.hear(re.escape(ENTER))
    frame(terminal)
    terminal.type("\x1a")
    said = terminal.hear("READY> ")
    assert LEAVE in said
    terminal.type("echo $((6 * 7))\r")
    terminal.hear("42")
    spool.add("pending", "late.sh")
    terminal.type("fg\r")
    said = terminal.hear("late.sh")
    assert ENTER in said
    terminal.type("\x03")
    terminal.hear(re.escape(LEAVE))
    terminal.hear("READY> ")
