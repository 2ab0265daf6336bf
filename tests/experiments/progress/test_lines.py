"""Texts of others on a terminal: how wide they are, and that none of them does anything there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_queue.experiments.progress.lines import (
    UNICODE,
    Glyphs,
    Ink,
    clean,
    cut,
    cut_line,
    cut_middle,
    fill,
    line_width,
    text_of,
    width,
    without_escapes,
    wrapped,
)

ASCII = Glyphs.of("ascii")
GBK = Glyphs.of("gbk")
ANY_TEXT = st.text(st.characters(codec=None), max_size=40)


def test_a_terminal_of_which_nothing_is_known_gets_ascii() -> None:
    assert Glyphs.of(None).done == Glyphs.of("ascii").done == Glyphs.of("no such").done == "#"
    assert Glyphs.of("utf-8").done == "█"


@pytest.mark.parametrize(
    ("text", "columns"), [("abc", 3), ("训练", 4), ("e\u0301", 1), ("\u200b", 0), ("ｗ", 2), ("", 0), ("…", 1)]
)
def test_widths(text: str, columns: int) -> None:
    assert width(text) == columns


def test_a_text_is_cut_to_columns_and_says_so() -> None:
    assert cut("abcdef", 6) == "abcdef"
    assert cut("abcdef", 5) == "abcd…"
    assert cut("训练模型", 6) == "训练…"  # half a character is none
    assert cut("abcdef", 5, ASCII) == "abc.."
    assert cut("abcdef", 0) == ""
    assert cut_middle("mnist_scaffold_lr1e-3_s0", 16) == "mnist_sc…1e-3_s0"
    assert cut_middle("abcdefghij", 6) == "abcde…"
    assert fill("训", 4) == "训  "


def test_a_long_text_is_broken_between_words() -> None:
    assert wrapped("exit status 1 after 3m20s on GPU 1", 24) == ["exit status 1 after", "    3m20s on GPU 1"]
    assert wrapped("short", 24) == ["short"]
    assert wrapped("x" * 30, 20) == ["x" * 20, "    " + "x" * 10]
    assert wrapped("训练" * 8, 20) == ["训练" * 5, "    " + "训练" * 3]
    assert wrapped("too narrow for it", 6) == ["too narrow for it"]


@given(ANY_TEXT, st.integers(9, 30))
def test_nothing_is_lost_where_a_text_is_broken(text: str, columns: int) -> None:
    shown = clean(text, UNICODE)
    lines = wrapped(shown, columns)
    assert [line for line in lines if width(line) > columns] == []
    assert "".join("".join(lines).split()) == "".join(shown.split())


@given(ANY_TEXT, st.integers(0, 30))
def test_nothing_is_wider_than_it_may_be(text: str, columns: int) -> None:
    shown = clean(text, UNICODE)
    assert width(cut(shown, columns)) <= columns
    assert width(cut_middle(shown, columns)) <= columns
    line = cut_line([(shown, Ink.PLAIN), (shown, Ink.FAILED)], columns)
    assert line_width(line) <= columns
    assert text_of(line) == text_of(line).rstrip()


@given(ANY_TEXT, st.sampled_from([UNICODE, ASCII, GBK]))
def test_whatever_a_text_is_a_terminal_can_show_it_and_does_nothing_else(text: str, glyphs: Glyphs) -> None:
    shown = clean(text, glyphs)
    shown.encode(glyphs.encoding)
    assert shown.isprintable()


def test_hostile_names() -> None:
    assert clean("x[red]", UNICODE) == "x[red]"
    assert clean("a\x1b[2Jb\nc\rd", UNICODE) == "a?[2Jb?c?d"
    assert clean("bad\udcff\udc80", UNICODE) == "bad??"
    assert clean("\u202eabc", UNICODE) in ("abc", "?abc")  # nothing is written from right to left
    assert clean("训练", ASCII) == "??"
    assert clean("a" * 999, UNICODE, 5) == "aaaaa…"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        (" 10%|#   |\r 50%|##  |\r100%|####| done", "100%|####| done"),
        ("ends like Windows\r", "ends like Windows"),
        ("a\tb", "a   b"),
        ("\x1b", ""),
        ("\x1b[", ""),
        ("\x1b(B\x1b[mplain", "plain"),
    ],
)
def test_a_line_of_a_log_as_it_stood_on_a_terminal_at_last(line: str, shown: str) -> None:
    assert without_escapes(line).strip() == shown.strip()


def test_a_torn_code_of_any_length_takes_no_time() -> None:
    assert len(without_escapes("\x1b]" * 50_000)) <= 100_000
    assert len(without_escapes("\x1b[" + "1" * 100_000)) <= 100_002
