"""Patterns of titles mean the same tasks at both doors, and no task whose title they do not fit."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from gpu_queue.spool.desk.find import Finder, is_pattern
from gpu_queue.spool.paths import SpoolPaths, safe_name
from gpu_queue.task import State
from tests.cases import long
from tests.doors.door import Door
from tests.shell.helpers import Shell, Spool, shells

pytestmark = pytest.mark.zsh  # it has patterns of its own

TITLES = (
    *(
        "a1.sh",
        "_tmp",
        "_1.sh",
        "训练.sh",
        "训.sh",
        "训a.sh",
        "_.sh",
        "é.sh",
        "[a].sh",
        "a[1].sh",
        "make all -j4",
        "a^b",
    ),
    *("seed1.sh", "seed_2.sh", "seed 2.sh", "练训_1", "a\\b", "-x", "]", "😀.py", "x(y)|z", "a-c", "~#a"),
)


def add(spool: Spool, state: str, title: str) -> str:
    """A task of this title, as a submission makes it."""
    return spool.add(state, safe_name(os.fsencode(title)), name=title)


@pytest.mark.parametrize(
    ("pattern", "meant"),
    [
        ("??.sh", ["a1.sh", "训练.sh"]),
        ("[训a]?.sh", ["a1.sh", "训练.sh"]),
        ("[一-龥]*", ["训.sh", "训练.sh"]),
        ("[!a]*.sh", ["b[1", "训.sh", "训练.sh"][1:]),
        ("[^训_b]*", ["a1.sh"]),
        ("b[*", ["b[1"]),
        *long(("_*", ["_tmp"]), ("?.sh", ["训.sh"]), ("训?.sh", ["训练.sh"]), ("?[1", ["b[1"]), ("*_*", ["_tmp"])),
    ],
)
def test_a_pattern_means_the_tasks_whose_titles_it_fits(
    door: Door, spool: Spool, pattern: str, meant: list[str]
) -> None:
    tasks = {title: add(spool, "pending", title) for title in ("训练.sh", "训.sh", "a1.sh", "_tmp", "b[1")}
    assert door.cancel(pattern).ok
    assert spool.names("failed") == sorted(tasks[title] for title in meant)
    assert door.retry(pattern).ok
    assert door.priority(pattern, 7).ok
    assert {name[4:] for name in spool.names("pending") if name.startswith("007")} == {
        tasks[one][4:] for one in meant
    }


@pytest.mark.parametrize("text", ["[", "x[b", "[!]", "x[b*", *long("a[", "[a", "[]", "a[1")])
def test_a_bracket_that_nobody_closes_is_one_itself(door: Door, spool: Spool, text: str) -> None:
    other = add(spool, "pending", "train.sh")
    told = door.cancel(text)
    assert not told.ok
    assert "bad pattern" not in told.words
    assert "no task in" in told.words
    full = add(spool, "pending", text.replace("*", "y"))
    assert door.cancel(text).ok
    assert (spool.names("pending"), spool.names("failed")) == ([other], [full])


@pytest.mark.parametrize("kind", shells())
def test_random_patterns_mean_the_same_in_a_shell_and_in_python(
    kind: str, home: Path, root: Path, spool: Spool
) -> None:
    chance = random.Random(5)
    parts = [*"a1s_[]!^-*?训练é\\ .", "*", "?", "[", "]", "[a-", "[!", "*.sh", "seed", "]"]
    patterns = [
        "".join(chance.choices(parts, k=chance.randint(1, 6)))
        for _ in range(250 if "GPU_QUEUE_TEST_ALL" in os.environ else 100)
    ]
    patterns += [
        "[一-龥]*",
        "[!一-龥]*",
        "[\U0001f600-\U0001f64f]*",
        "[]]",
        "[!]]*",
        "[a-c]*",
        "[^a-c]*",
        "*[-c]",
        "[c-a]*",
        "?",
        "*",
    ]
    for title in TITLES:
        add(spool, "done", title)
    (root / "patterns").write_text("".join(f"{one}\n" for one in patterns))
    said = Shell(kind, home, root, hostile=False, limit_s=60).ok(
        '__gpu_many() { __gpu_enter; while IFS= read -r line; do if __gpu_is_pattern "$line"; then '
        "__gpu_fitting \"$line\" done; printf '%s' \"yes ${reply[*]}\"; fi; printf '\\n'; done; }\n"
        '( __gpu_guest many <"$QUEUE_ROOT/patterns" )'
    )
    finder = Finder(SpoolPaths(str(spool.path)))
    for pattern, line in zip(patterns, said.out.splitlines(), strict=True):
        tasks = [task for task in finder.tasks(State.DONE) if task in finder.fitting_titles(pattern, [State.DONE])]
        expected = " ".join(["yes", *(f"done/{task}" for task in tasks)]) if is_pattern(pattern) else ""
        assert line.rstrip() == expected, pattern
