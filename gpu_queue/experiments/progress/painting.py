"""A part of a terminal at its foot that is painted anew, below lines that stay.  The only code that imports rich.

rich's own ``Live`` erases all lines and writes them again each time, which flickers and fills a slow connection.
Here only lines that have changed are written, in one piece, and over what stood there.  The cursor stands below them
in between, so that nothing has to be put right if the process is killed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TextIO

from rich.console import Console
from rich.text import Text

from gpu_queue.experiments.progress.lines import Ink, Line

STYLES = {
    Ink.PLAIN: "",
    Ink.STRONG: "bold",
    Ink.FAINT: "dim",
    Ink.DONE: "green",
    Ink.FAILED: "red",
    Ink.RUNNING: "cyan",
    Ink.WAITING: "dim",
}
COLUMNS, ROWS = 80, 24
"""Of a terminal that does not tell."""
_BEGIN, _END = "\x1b[?2026h\x1b[?25l", "\x1b[?25h\x1b[?2026l"
"""Nothing is shown before all of it is written, where a terminal can do that; no cursor runs about elsewhere."""


class Painter:
    """Writes to one terminal."""

    def __init__(self, stream: TextIO) -> None:
        """Nothing is written yet.

        Args:
            stream: a terminal; what its user wants of colours (NO_COLOR, TERM) counts.
        """
        self._stream = stream
        self._console = Console(file=stream, highlight=False, markup=False, emoji=False, soft_wrap=True)
        self._painted: list[Line] = []

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows, as they are now."""
        try:
            columns, rows = os.get_terminal_size(self._stream.fileno())
        except OSError:
            columns, rows = 0, 0
        return columns or COLUMNS, rows or ROWS

    def paint(self, lines: Sequence[Line], above: Sequence[Line] = ()) -> None:
        """Let these lines stand at the foot, and others above them for good.

        Args:
            lines: narrower than the terminal, and fewer than it has rows.
            above: what is to stay; may be wider.
        """
        if not above and list(lines) == self._painted:
            return
        made = [f"\r\x1b[{len(self._painted)}A" if self._painted else ""]
        kept = [] if above else self._painted
        made += [f"{self._styled(line)}\x1b[K\n" for line in above]
        for place, line in enumerate(lines):
            is_same = place < len(kept) and kept[place] == line
            made.append("\n" if is_same else f"{self._styled(line)}\x1b[K\n")
        made.append("\x1b[J")
        self._painted = list(lines)
        self._stream.write(f"{_BEGIN}{''.join(made)}{_END}")
        self._stream.flush()

    def forget(self) -> None:
        """What is painted stays, and the next begins below it, where the ^C of a person stands as well."""
        if self._painted:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
        self._painted = []

    def _styled(self, line: Line) -> str:
        with self._console.capture() as captured:
            self._console.print(Text.assemble(*((text, STYLES[ink]) for text, ink in line)), end="")
        return captured.get()
