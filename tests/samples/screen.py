"""What a terminal shows after it got some bytes: lines of text, or of coloured runs."""

from __future__ import annotations

from typing import NamedTuple

import pyte

from tests.samples.session import COLUMNS, ROWS

_WIDE = 500
_FAINT, _GREY = b"\x1b[2m", b"\x1b[90m"  # pyte knows no faint characters


class Run(NamedTuple):
    """Characters of one line that look alike."""

    text: str
    colour: str
    bold: bool


class Screen:
    """A terminal that is high enough to scroll never."""

    def __init__(self, columns: int = COLUMNS) -> None:
        self._columns = columns
        self._screen = pyte.Screen(columns, ROWS)
        self._stream = pyte.ByteStream(self._screen)

    def feed(self, output: bytes) -> None:
        self._stream.feed(output.replace(_FAINT, _GREY))

    @property
    def row(self) -> int:
        """The row of the cursor."""
        return int(self._screen.cursor.y)

    def lines(self) -> list[str]:
        """All lines down to the cursor."""
        shown = ["".join(run.text for run in self.runs(row)) for row in range(self.row + 1)]
        return shown if shown[-1] else shown[:-1]

    def runs(self, row: int) -> tuple[Run, ...]:
        """A line in runs, without blanks at its end."""
        runs: list[Run] = []
        cells = self._screen.buffer[row]
        for column in range(self._columns):
            cell = cells[column]
            look = (str(cell.fg), bool(cell.bold))
            if runs and runs[-1][1:] == look:
                runs[-1] = runs[-1]._replace(text=runs[-1].text + cell.data)
            else:
                runs.append(Run(cell.data, *look))
        while runs and not runs[-1].text.strip():
            runs.pop()
        if runs:
            runs[-1] = runs[-1]._replace(text=runs[-1].text.rstrip())
        return tuple(runs)


def as_text(output: bytes) -> str:
    """What a terminal shows at last of some output; long lines stay lines."""
    screen = Screen(_WIDE)
    screen.feed(output)
    return "\n".join(screen.lines())
