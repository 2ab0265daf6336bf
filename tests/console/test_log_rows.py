r"""Rows of a log, for any bytes: they cover the file, windows join, a search finds what is there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_queue.console.logs import rows as rows_module
from gpu_queue.console.logs import searching
from gpu_queue.console.logs.lines import LineIndex
from gpu_queue.console.logs.rows import Blocks, sgr_before, shown, window
from gpu_queue.console.logs.searching import search, wanted
from gpu_queue.console.models.logs import ROWS_MAX

BYTES = st.lists(
    st.sampled_from(
        [b"\n", b"\r", b"\r\n", b"a", b"step 1 ", b"\x1b[31m", b"\x1b[0m", b"\xff", "进度".encode(), b"\0"]
    ),
    max_size=60,
).map(b"".join)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of 16 bytes: all that matters at their edges happens in some tens of bytes."""
    monkeypatch.setattr(rows_module, "BLOCK_BYTES", 16)
    monkeypatch.setattr("gpu_queue.console.logs.lines.BLOCK_BYTES", 16)
    monkeypatch.setattr(searching, "CHUNK_BYTES", 8)


def blocks_of(content: bytes) -> Blocks:
    return Blocks(lambda offset, count: content[offset : offset + count], len(content))


@given(BYTES)
def test_rows_follow_one_another_and_cover_the_file(content: bytes) -> None:
    ends = [0]
    for start, end in blocks_of(content).forward(0):
        assert start == ends[-1]
        assert start < end <= start + 2 * 16
        assert b"\n" not in content[start : end - 1]
        ends.append(end)
    assert ends[-1] == len(content)


@given(BYTES, st.integers(0, 400))
def test_the_row_of_any_byte_is_found_from_that_byte_alone(content: bytes, at: int) -> None:
    at = min(at, len(content))
    starts = [start for start, _ in blocks_of(content).forward(0)]
    expected = max((one for one in starts if one <= at), default=0)
    found = blocks_of(content).row_start(at)
    # The end is where the next row begins, unless a line is to go on there.
    assert found == (at if at == len(content) and found == at else expected)
    if at == len(content) and content and not content.endswith(b"\n") and at % 16:
        assert found < at


@given(BYTES, st.integers(0, 400), st.integers(0, 8), st.integers(0, 8))
def test_windows_join_and_hold_what_was_asked_for(content: bytes, anchor: int, before: int, after: int) -> None:
    blocks = blocks_of(content)
    found = window(blocks, anchor, before, after)
    assert len(found.rows) <= before + after
    offset = found.first
    for row in found.rows:
        assert row.o == offset
        offset += row.n
    assert found.next == offset
    start = blocks.row_start(anchor)
    assert [one.o for one in found.rows if one.o < start] == [one for one, _ in blocks.forward(0) if one < start][
        -before or len(content) + 1 :
    ]
    following = window(blocks, found.next, 0, 5)
    assert found.next in (following.first, blocks.size)


@given(BYTES)
def test_a_row_shows_what_the_last_carriage_return_left(content: bytes) -> None:
    for start, end in blocks_of(content).forward(0):
        row, _ = shown(content[start:end], start)
        assert (row.o, row.n) == (start, end - start)
        assert "\n" not in row.t
        assert "\r" not in row.t
        everything, _ = shown(content[start:end], start, whole=True)
        assert everything.t.split("\n")[-1] == row.t
        assert len(everything.t.split("\n")) == row.r + 1


def test_a_progress_bar_is_one_row_with_its_updates_hidden() -> None:
    row, odd = shown(b"eval:  1%\reval: 50%\reval: 100%\r\n", 0)
    assert (row.t, row.r, odd) == ("eval: 100%", 2, 0)


def test_what_is_no_text_is_replaced_and_counted_and_a_long_text_is_cut() -> None:
    assert shown(b"\xffa\xff\n", 0)[1] == 2
    assert shown("进度\n".encode("gb18030"), 0, "gb18030")[0].t == "进度"
    row, odd = shown("进".encode() * 10_000, 0)
    assert (row.c, odd) == (30_000 - (16 << 10), 0)


@given(BYTES, st.sampled_from(["a", "step", "step 1 a", "\n", "1 |a", "进", "A"]), st.integers(0, 100))
def test_a_search_in_slices_finds_what_is_there(content: bytes, text: str, start: int) -> None:
    what = wanted(text)
    found, at = [], min(start, len(content))
    count, bins = 0, [0] * searching.BINS
    while True:
        hits = search(
            lambda offset, number: content[offset : offset + number],
            len(content),
            what,
            at,
            clock=iter(range(10**6)).__next__,
        )
        found += hits.offsets
        count += hits.count
        bins = [one + other for one, other in zip(bins, hits.bins, strict=True)]
        assert hits.searched[0] == at
        if hits.next is None:
            break
        assert hits.next > at
        at = hits.next
    haystack = content if what.is_exact else content.lower()
    expected, place = [], min(start, len(content))
    while True:
        places = [(haystack.find(word, place), -len(word)) for word in what.words]
        places = [one for one in places if one[0] >= 0]
        if not places:
            break
        expected.append(min(places)[0])
        place = min(places)[0] - min(places)[1]
    if len(what.words) == 1 or "step" in text:
        # Across slices a hit that was found before is not looked into again only within one request.
        assert set(expected) <= set(found)
    assert count == len(found) == sum(bins)
    assert all(any(haystack.startswith(word, one) for word in what.words) for one in found)


def found_in(content: bytes, text: str) -> list[int]:
    """All hits, a slice of a chunk at a time."""
    found, at = [], 0
    while True:
        tick = iter(range(10**6)).__next__
        hits = search(lambda begin, count: content[begin : begin + count], len(content), wanted(text), at, clock=tick)
        found += hits.offsets
        if hits.next is None:
            return found
        at = hits.next


ESCAPES = [
    b"\x1b[31m",
    b"\x1b[0m",
    b"\x1b[1;38;5;196m",
    b"\x1b[K",
    b"\x1b]8;;http://out\x07",
    b"\x1b]0;out of\x1b\\",
    b"\x1b(B",
]
COLOURED = st.lists(
    st.tuples(
        st.lists(st.sampled_from(ESCAPES), max_size=2), st.sampled_from([b"out", b" of ", b"memory", b"x", b"\n"])
    ),
    max_size=12,
)


@given(COLOURED, st.sampled_from(["out of memory", "of", "memory", "x", "Out|x", "nowhere"]))
def test_a_search_finds_what_a_reader_sees_whatever_its_colours(
    parts: list[tuple[list[bytes], bytes]], text: str
) -> None:
    content, seen, places = b"", b"", list[int]()
    for escapes, word in parts:
        content += b"".join(escapes)
        places += range(len(content), len(content) + len(word))
        content += word
        seen += word
    assert found_in(content, text) == [places[at] for at in found_in(seen, text)]


def test_a_change_of_colour_inside_of_a_word_and_on_the_border_of_chunks_is_no_hindrance() -> None:
    for before in range(20):
        content = b"." * before + b"CUDA \x1b[1;31mout of m\x1b[0memory"
        assert found_in(content, "out of memory") == [before + content[before:].find(b"out")]
        assert found_in(content, "cuda out") == [before]
        assert found_in(content, "31m") == []
        assert found_in(content, "0m") == []


@given(BYTES, st.integers(0, 400))
def test_lines_are_counted_a_slice_at_a_time(content: bytes, at: int) -> None:
    index = LineIndex(iter(range(10**6)).__next__)
    at = min(at, len(content))
    while not index.count(lambda offset, number: content[offset : offset + number], len(content), 0):
        pass
    assert index.before(blocks_of(content), at) == content.count(b"\n", 0, at)


@given(BYTES, BYTES)
def test_what_was_counted_of_a_file_that_was_cut_counts_no_more(before: bytes, after: bytes) -> None:
    index = LineIndex()
    index.count(lambda offset, number: before[offset : offset + number], len(before))
    if len(after) // 16 < len(before) // 16:
        assert index.before(blocks_of(after), 0) is None
    index.count(lambda offset, number: after[offset : offset + number], len(after))
    if len(after) // 16 < len(before) // 16:
        assert index.before(blocks_of(after), len(after)) == after.count(b"\n")


def test_colours_that_were_begun_before_a_window_are_told() -> None:
    content = b"\x1b[1m\x1b[31mred\n\x1b[0mplain \x1b[32mgreen\nmore\n"
    assert sgr_before(blocks_of(content), content.index(b"red")) == "\x1b[1m\x1b[31m"
    assert sgr_before(blocks_of(content), content.index(b"more")) == "\x1b[32m"
    assert sgr_before(blocks_of(content), content.index(b"plain")) == ""


def test_no_window_has_more_rows_than_a_page_can_hold() -> None:
    assert len(window(blocks_of(b"\n" * 9000), 4500, 9000, 9000).rows) == ROWS_MAX
