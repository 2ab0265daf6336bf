"""File events: what is whole when the event comes, and what is nobody's news."""

from __future__ import annotations

import os
import select
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpu_queue.node.hints import Hints


@pytest.fixture
def hints(tmp_path: Path) -> Iterator[Hints]:
    made = Hints()
    if made.fd < 0:
        pytest.skip("no file events here")
    (tmp_path / "watched").mkdir()
    assert made.add([str(tmp_path / "watched")]) == ""
    yield made
    os.close(made.fd)


def heard(hints: Hints) -> list[tuple[str, bool]]:
    """Names, and whether their writers have finished with them; events come with the write, so nobody waits."""
    assert select.select([hints.fd], [], [], 0)[0], "nothing happened"
    return [(name, is_whole) for _, name, is_whole in hints.read()]


def test_a_file_is_whole_when_its_writer_closes_it_and_not_when_it_begins(hints: Hints, tmp_path: Path) -> None:
    with (tmp_path / "watched" / "x.sh").open("w") as file:
        assert heard(hints) == [("x.sh", False)]
        file.write("true\n")
    assert heard(hints) == [("x.sh", True)]


def test_a_file_that_is_renamed_into_place_is_whole(hints: Hints, tmp_path: Path) -> None:
    (tmp_path / "x.sh").write_text("true\n")
    (tmp_path / "x.sh").rename(tmp_path / "watched" / "x.sh")
    assert heard(hints) == [("x.sh", True)]


def test_what_is_on_its_way_and_the_answers_of_agents_are_no_news(hints: Hints, tmp_path: Path) -> None:
    for name in (".x.sh", "20260101T000000000-abcdef.n1.ack"):
        (tmp_path / "watched" / name).write_text("x")
    assert heard(hints) == []


def test_names_of_any_bytes_and_many_events_at_once_are_told(hints: Hints, tmp_path: Path) -> None:
    names = [os.fsdecode(b"\xff\xfe"), "two\nlines", "x" * 255, *map(str, range(50))]
    for name in names:
        os.mkdir(tmp_path / "watched" / name)
    assert heard(hints) == [(name, False) for name in names]
    assert hints.read() == []


def test_a_directory_that_cannot_be_watched_is_named_with_the_reason(hints: Hints, tmp_path: Path) -> None:
    assert hints.add([str(tmp_path / "nowhere")]) == (
        f"file events are off for {tmp_path / 'nowhere'}: No such file or directory"
    )
