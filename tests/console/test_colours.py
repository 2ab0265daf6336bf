"""The colours of the pages: text can be read, and states are told apart also by people who see fewer colours."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

Vector = tuple[float, float, float]
Matrix = tuple[Vector, Vector, Vector]

TOKENS = Path(__file__).parents[2] / "gpu_queue/console/web/src/ui/tokens.css"
THEMES = ("dark", "light")
SURFACES = ("bg", "panel", "raised")
TEXTS = ("t1", "t2", "t3", "accent", "foreign", "lost", "green", "magenta", "cyan")
STATES = ("busy", "keepalive", "idle", "foreign", "lost")
# Machado, Oliveira, Fernandes (2009), of full severity, on linear RGB.
SIGHTS: dict[str, Matrix] = {
    "normal": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}
OKLAB_LMS: Matrix = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
OKLAB: Matrix = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)


def tokens(theme: str) -> dict[str, str]:
    text = TOKENS.read_text(encoding="utf-8")
    block = text.split(f':root[data-theme="{theme}"] {{', 1)[1].split("}", 1)[0]
    return dict(re.findall(r"--([a-z0-9]+): (#[0-9a-f]{6});", block))


def linear(colour: str) -> Vector:
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    lit = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in (red, green, blue)]
    return lit[0], lit[1], lit[2]


def times(matrix: Matrix, vector: Vector) -> Vector:
    first, second, third = (sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix)
    return first, second, third


def contrast(one: str, other: str) -> float:
    lights = sorted(
        sum(a * b for a, b in zip((0.2126, 0.7152, 0.0722), linear(c), strict=True)) for c in (one, other)
    )
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def distance(one: str, other: str, sight: Matrix) -> float:
    """In OKLab, times 100."""
    seen: list[Vector] = []
    for colour in (one, other):
        red, green, blue = times(sight, linear(colour))
        clipped = (min(1.0, max(0.0, red)), min(1.0, max(0.0, green)), min(1.0, max(0.0, blue)))
        lms = times(OKLAB_LMS, clipped)
        seen.append(times(OKLAB, (lms[0] ** (1 / 3), lms[1] ** (1 / 3), lms[2] ** (1 / 3))))
    return 100 * float(sum((a - b) ** 2 for a, b in zip(seen[0], seen[1], strict=True)) ** 0.5)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("text", TEXTS)
def test_text_can_be_read_on_every_surface(theme: str, surface: str, text: str) -> None:
    colours = tokens(theme)
    found = contrast(colours[text], colours[surface])
    assert found >= 4.5, f"{text} on {surface}: {found:.2f}"


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize(("text", "surface"), [("t1", "hit"), ("t1", "selected"), ("t2", "selected")])
def test_text_can_be_read_where_something_is_marked(theme: str, surface: str, text: str) -> None:
    colours = tokens(theme)
    found = contrast(colours[text], colours[surface])
    assert found >= 4.5, f"{text} on {surface}: {found:.2f}"


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("sight", SIGHTS)
def test_any_two_states_are_told_apart(theme: str, sight: str) -> None:
    colours = tokens(theme)
    for one, other in itertools.combinations(STATES, 2):
        # These two are told apart by their shapes: a hatched square, a hollow one.
        least = 5.8 if {one, other} == {"keepalive", "idle"} else 7.8
        found = distance(colours[one], colours[other], SIGHTS[sight])
        assert found >= least, f"{one} and {other}: {found:.1f}"
