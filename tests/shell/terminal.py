"""A person at a terminal: a shell with job control, what is typed into it, and what is seen."""

from __future__ import annotations

import os
import pty
import select
import shlex
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.shell.helpers import CLIENT, Shell

CTRL_C = "\x03"
PROMPT = "$ "


class Terminal:
    """An interactive shell in which the client is sourced."""

    def __init__(self, shell: Shell) -> None:
        options = ["-f"] if shell.kind == "zsh" else ["--norc", "--noprofile", "--noediting"]
        environment = shell.environment(TERM="dumb", PS1=PROMPT, PROMPT=PROMPT, HISTFILE="")
        self._pid, self._master = pty.fork()
        if self._pid == 0:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.chdir(shell.home)
            os.execvpe(shell.program, [shell.program, *options, "-i"], environment)
        self.seen = ""
        self.type(f". {shlex.quote(str(CLIENT))}; echo rea''dy\n")
        self.wait_for("ready")

    def type(self, text: str) -> None:
        """Press these keys."""
        os.write(self._master, text.encode())

    def wait_for(self, text: str, within_s: float = 20.0) -> None:
        """Look until this is seen; what came up to it counts no more."""
        give_up_at = time.monotonic() + within_s
        while text not in self.seen:
            assert time.monotonic() < give_up_at, f"{text!r} was not seen: {self.seen!r}"
            if select.select([self._master], [], [], 0.1)[0]:
                try:
                    self.seen += os.read(self._master, 65536).decode(errors="replace")
                except OSError:  # it has closed its end
                    give_up_at = 0.0
        self.seen = self.seen.partition(text)[2]

    def interrupt(self) -> None:
        """Press Ctrl-C until there is a prompt: bash forgets one that comes as a program ends by itself."""
        for _ in range(5):
            self.type(CTRL_C)
            with suppress(AssertionError):
                self.wait_for(PROMPT, 3)
                return
        raise AssertionError(f"it does not heed Ctrl-C: {self.seen!r}")

    def close(self) -> None:
        """Take it away."""
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._master)


@contextmanager
def a_terminal(shell: Shell) -> Iterator[Terminal]:
    """One that is gone afterwards."""
    terminal = Terminal(shell)
    try:
        yield terminal
    finally:
        terminal.close()
