"""A recorded session as an animated SVG: each line of the terminal, from when until when it looked so.

It needs no script, so that it moves in a page that shows it as an image. Whoever wants no motion, or has a viewer
that knows none, sees the last screen.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from unicodedata import east_asian_width

from tests.agent.harness import ROOT
from tests.samples.screen import Run, Screen
from tests.samples.session import COLUMNS, Language, Recording, Step
from tests.samples.wording import shape, stable

SESSION = "first"
ROWS_SHOWN = 22
CELL_X, CELL_Y, MARGIN = 8.4, 18, 12
WORD_S, AFTER_TYPING_S, LAST_S = 0.12, 0.3, 6.0
BEFORE_TYPING_S, LINE_READ_S, READ_MAX_S = 0.8, 0.25, 3.0
"""Before the next command is typed, the lines of the last one are read."""
PAUSE_MAX_S = 1.5
"""So long at most nothing happens, however long the session waited."""
PROMPT = b"\x1b[1;32m$\x1b[0m "
COLOURS = {
    "default": "#d8dee9",
    "red": "#e06c75",
    "green": "#98c379",
    "brown": "#e5c07b",
    "yellow": "#e5c07b",
    "blue": "#61afef",
    "magenta": "#c678dd",
    "cyan": "#56b6c2",
    "white": "#ffffff",
    "brightblack": "#7f8796",
}
FONT = "ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,'Noto Sans Mono CJK SC',monospace"


@dataclass
class _Look:
    """A line as it was for a while."""

    row: int
    runs: tuple[Run, ...]
    from_s: float
    until_s: float | None = None


@dataclass
class _Film:
    """What each row showed when, and how far the screen had scrolled."""

    looks: list[_Look] = field(default_factory=list)
    scrolls: list[tuple[float, int]] = field(default_factory=lambda: [(0.0, 0)])
    length_s: float = 0.0


def path_of(language: Language) -> Path:
    return ROOT / "docs" / ("session.svg" if language == "en" else "session.zh-CN.svg")


def is_stale(path: Path, svg: str) -> bool:
    """Whether a picture shows something else than it would now, times and numbers aside."""
    return not path.exists() or _said(path.read_text(encoding="utf-8")) != _said(svg)


def _said(svg: str) -> list[str]:
    """What the lines of a picture say and how they look, in order: when is no difference."""
    looks = [re.sub(' (?:x|textLength)="[^"]*"', "", look) for look in re.findall("<text [^>]*>(.*?)</text>", svg)]
    return [shape(look) for look in looks]


def draw(recording: Recording) -> str:
    """The session as an SVG."""
    film = _shoot(recording)
    width = round(COLUMNS * CELL_X + 2 * MARGIN)
    height = ROWS_SHOWN * CELL_Y + 2 * MARGIN
    moments: dict[tuple[float, float | None], str] = {}
    texts = []
    for look in film.looks:
        moment = moments.setdefault((look.from_s, look.until_s), f"m{len(moments)}")
        hidden = "" if look.until_s is None else " x"
        texts.append(f'<text class="{moment}{hidden}" y="{(look.row + 1) * CELL_Y - 4}">{_spans(look.runs)}</text>')
    last = film.scrolls[-1][1]
    rules = [
        f"text{{font:14px {FONT};fill:{COLOURS['default']};white-space:pre}}.b{{font-weight:bold}}",
        *(f".{name}{{fill:{colour}}}" for name, colour in COLOURS.items() if name != "default"),
        f".x{{opacity:0}}.s{{transform:translateY(-{last * CELL_Y}px)}}",
        "@media (prefers-reduced-motion:no-preference){",
        *_keyframes(film, moments),
        "}",
    ]
    size = f'width="{width}" height="{height}"'
    inner = f'width="{width - 2 * MARGIN}" height="{ROWS_SHOWN * CELL_Y}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" xml:space="preserve" viewBox="0 0 {width} {height}" {size}>',
            "<!-- written by make docs-samples -->",
            f"<style>{''.join(rules)}</style>",
            f'<rect {size} rx="8" fill="#20242c"/>',
            f'<svg x="{MARGIN}" y="{MARGIN}" {inner}><g class="s">',
            *texts,
            "</g></svg>",
            "</svg>",
            "",
        ]
    )


def _shoot(recording: Recording) -> _Film:
    screen, film, now_s = Screen(), _Film(), 0.0
    current: dict[int, _Look] = {}

    def feed(output: bytes) -> None:
        first = screen.row
        screen.feed(output)
        for row in range(min(first, screen.row), max(first, screen.row) + 1):
            runs = screen.runs(row)
            before = current.get(row)
            if before and before.runs == runs:
                continue
            if before:
                before.until_s = now_s
            if runs:
                current[row] = _Look(row, runs, now_s)
                film.looks.append(current[row])
            else:
                current.pop(row, None)
        scrolled = max(0, screen.row + 1 - ROWS_SHOWN)
        if scrolled != film.scrolls[-1][1]:
            film.scrolls.append((now_s, scrolled))

    unread = 0
    for step in recording.steps:
        feed(PROMPT)
        now_s += BEFORE_TYPING_S + min(LINE_READ_S * unread, READ_MAX_S)
        for word in _words(step.command):
            feed(word.encode())
            now_s += WORD_S
        now_s += AFTER_TYPING_S
        feed(b"\r\n")
        unread = step.output.count(b"\n")
        for wait_s, line in _lines(step, recording):
            now_s += wait_s
            feed(line)
    feed(PROMPT)
    film.looks = [look for look in film.looks if look.until_s != look.from_s]
    film.length_s = now_s + LAST_S
    return film


def _words(command: str) -> Iterator[str]:
    """Pieces of a command as they are typed."""
    for at in range(0, len(command), 4):
        yield command[at : at + 4]


def _lines(step: Step, recording: Recording) -> Iterator[tuple[float, bytes]]:
    """Whole lines of output, each with the time that passed before it: to the half second, and none too long."""
    before_s, line = step.pieces[0][0] if step.pieces else 0.0, b""
    for came_s, piece in step.pieces:
        for part in piece.splitlines(keepends=True):
            line += part
            if line.endswith(b"\n"):
                yield min(round((came_s - before_s) * 2) / 2, PAUSE_MAX_S), _stable_bytes(line, recording)
                before_s, line = came_s, b""
    if line:
        yield 0.0, _stable_bytes(line, recording)


def _stable_bytes(line: bytes, recording: Recording) -> bytes:
    return stable(line.decode(errors="replace"), recording).encode()


def _spans(runs: tuple[Run, ...]) -> str:
    spans, column = [], 0
    for run in runs:
        width = sum(2 if east_asian_width(character) in "WF" else 1 for character in run.text)
        kept = run.text.strip()
        skipped = len(run.text) - len(run.text.lstrip())
        if kept:
            names = [name for name, said in (("b", run.bold), (run.colour, run.colour in COLOURS)) if said]
            classes = " ".join(name for name in names if name != "default")
            given = f' class="{classes}"' if classes else ""
            if re.fullmatch("[0-9a-f]{6}", run.colour):  # one of the 256, or a true colour
                given += f' fill="#{run.colour}"'
            # The length holds columns together whatever font there is.
            length = (width - (len(run.text) - len(kept))) * CELL_X
            where = f' x="{(column + skipped) * CELL_X:.1f}" textLength="{length:.1f}"'
            spans.append(f"<tspan{where}{given}>{html.escape(kept, quote=False)}</tspan>")
        column += width
    return "".join(spans)


def _keyframes(film: _Film, moments: dict[tuple[float, float | None], str]) -> Iterator[str]:
    def percent(moment_s: float) -> str:
        return f"{100 * moment_s / film.length_s:.2f}%"

    def animated(name: str) -> str:
        return f".{name}{{animation:{name} {film.length_s:.1f}s step-end infinite}}"

    for (from_s, until_s), name in moments.items():
        begin = f"0%{{opacity:0}}{percent(from_s)}{{opacity:1}}" if from_s else "0%{opacity:1}"
        end = "" if until_s is None else f"{percent(until_s)}{{opacity:0}}"
        last = "" if until_s is not None else "100%{opacity:1}"
        yield f"@keyframes {name}{{{begin}{end}{last}}}{animated(name)}"
    steps = "".join(f"{percent(at_s)}{{transform:translateY({-rows * CELL_Y}px)}}" for at_s, rows in film.scrolls)
    yield f"@keyframes s{{{steps}}}{animated('s')}"
