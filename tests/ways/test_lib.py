"""What ways have in common."""

from __future__ import annotations

import shlex
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ways.caller import OURS


def split(text: str) -> list[str] | None:
    """The words that a way finds in a setting; None: a quote is open."""
    script = f'source {OURS}/lib.sh; way_split "$1" || exit 3'
    script += '; for word in "${WORDS[@]}"; do printf "%s\\0" "$word"; done'
    done = subprocess.run(
        ["bash", "-c", script, "bash", text], capture_output=True, check=False, env={"LC_ALL": "C.UTF-8"}
    )
    assert done.returncode in (0, 3), done.stderr
    return None if done.returncode else done.stdout.decode().split("\0")[:-1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("-q gpu  -A\tp", ["-q", "gpu", "-A", "p"]),
        ("--comment 'a b' x", ["--comment", "a b", "x"]),
        ('--x="a \'b\' \\"c\\" \\d"', ["--x=a 'b' \"c\" \\d"]),
        ("a\\ b '' \"\"", ["a b", "", ""]),
        ("$(touch pwned) `touch pwned` $HOME *", ["$(touch", "pwned)", "`touch", "pwned`", "$HOME", "*"]),
        ("'a", None),
        ('a"b', None),
    ],
)
def test_a_setting_is_split_as_a_shell_would(text: str, words: list[str] | None) -> None:
    assert split(text) == words


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=9), max_size=4))
def test_quoted_words_are_read_back(words: list[str]) -> None:
    assert split(shlex.join(words)) == words
