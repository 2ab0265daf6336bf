"""The agent that ``gpu-queue run`` starts: a process of its own session, whose output goes into the spool.

It outlives whoever started it.  Whether an agent serves the spool on this node already is the node's lock to say: one
that is started beside another says so by its exit status and ends.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence

from gpu_queue.errors import SpoolError
from gpu_queue.spool import files, growing
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.texts import printable

PROGRAM = os.path.join(
    os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "agent", "__main__.py"
)
_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
_WORDS_BYTES = 16 << 10


class OwnAgent:
    """One that we have started."""

    def __init__(self, paths: SpoolPaths, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start it.

        Args:
            paths: of the spool.
            arguments: of the agent.
            environment: of the agent.

        Raises:
            SpoolError: its output cannot be written, or it cannot be started.
        """
        self._path = paths.agent_output
        try:
            output = os.open(self._path, _APPEND | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
        except OSError as error:
            raise SpoolError(f"{self._path}: cannot be written: {error.strerror}") from error
        try:
            os.set_blocking(output, True)
            self._begins_at = os.fstat(output).st_size
            self._process = subprocess.Popen(
                [sys.executable, PROGRAM, *arguments],
                cwd="/",
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        except OSError as error:
            raise SpoolError(f"{sys.executable}: cannot be started: {error.strerror}") from error
        finally:
            os.close(output)

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def status(self) -> int | None:
        """Its exit status, negative for a signal; None: it lives."""
        return self._process.poll()

    def tell_to_leave(self) -> None:
        """Have it give back what runs, and end."""
        self._process.terminate()

    def last_words(self, lines: int = 5) -> tuple[str, ...]:
        """The end of what it has said."""
        try:
            content, start, _ = growing.read_window(self._path, -_WORDS_BYTES, _WORDS_BYTES)
        except (files.Vanished, files.FileProblem, OSError):
            return ()
        content = content[max(0, self._begins_at - start) :]
        said = (printable(line, 500).strip() for line in content.decode("utf-8", "replace").splitlines())
        return tuple(filter(None, said))[-lines:]
