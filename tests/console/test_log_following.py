"""Following a log: all that is printed arrives once, whatever is done to the file."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from gpu_queue.console.logs import follow
from gpu_queue.console.logs.follow import BEHIND_BYTES, Followers
from gpu_queue.console.logs.sources import Place
from gpu_queue.console.models.logs import FollowRows, FollowState
from gpu_queue.console.world.storage import Lane

Event = tuple[str, int, "FollowRows | FollowState | None"]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "SLOW_S", 0.01)
    monkeypatch.setattr(follow, "FAST_S", 0.01)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "a.log"
    path.write_bytes(b"")
    return path


class Reader:
    """One who follows from a byte on."""

    def __init__(self, followers: Followers, log: Path, after: int = 0, runs: bool = True) -> None:
        place = Place(str(log.parent), log.name, "try 1")
        self.events: AsyncIterator[Event] = followers.follow(place, after, "utf-8", lambda: runs)
        self.shown: dict[int, bytes] = {}

    async def next(self) -> Event:
        """The next that is no comment."""

        async def found() -> Event:
            while True:
                event = await self.events.__anext__()
                if event[2] is not None:
                    return event

        return await asyncio.wait_for(found(), 20)

    async def until(self, content: bytes) -> None:
        """Take rows in as a page does, until they are this."""
        while b"".join(self.shown[one] for one in sorted(self.shown)) != content:
            _, _, rows = await self.next()
            assert isinstance(rows, FollowRows), rows
            if rows.replaces_from is not None:
                self.shown = {o: t for o, t in self.shown.items() if o < rows.replaces_from}
            for row in rows.rows:
                assert row.o not in self.shown
                self.shown[row.o] = row.t.encode() + (b"" if row.u else b"\n")

    async def state(self) -> str:
        while True:
            _, _, value = await self.next()
            if isinstance(value, FollowState):
                return value.state


def run(work: Callable[[Followers], Awaitable[None]]) -> None:
    async def all_of_it() -> None:
        await work(Followers(Lane("test", width=2)))

    asyncio.run(all_of_it())


def append(log: Path, content: bytes) -> None:
    with log.open("ab") as file:
        file.write(content)


def test_what_is_printed_in_pieces_arrives_whole_and_once(log: Path) -> None:
    async def work(followers: Followers) -> None:
        reader, printed = Reader(followers, log), b""
        for piece in (b"one\ntw", b"o\n", b"thr", b"ee", b"\nfour\n", "fünf".encode()):
            append(log, piece)
            printed += piece
            await reader.until(printed)

    run(work)


def test_two_who_come_at_once_share_one_look(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looking, most, lock = 0, 0, threading.Lock()
    facts = follow._facts

    def counted(place: Place) -> tuple[int, str, str]:
        nonlocal looking, most
        with lock:
            looking += 1
            most = max(most, looking)
        try:
            return facts(place)
        finally:
            with lock:
                looking -= 1

    monkeypatch.setattr(follow, "_facts", counted)
    append(log, b"one\n")

    async def work(followers: Followers) -> None:
        readers = [Reader(followers, log) for _ in range(5)]
        await asyncio.gather(*(one.until(b"one\n") for one in readers))
        append(log, b"two\n")
        await asyncio.gather(*(one.until(b"one\ntwo\n") for one in readers))
        assert followers.count == 1
        runs = [one for one in asyncio.all_tasks() if "_run" in repr(one.get_coro())]
        assert len(runs) == 1
        for one in readers:
            await one.events.aclose()  # type: ignore[attr-defined]
        assert followers.count == 0

    run(work)
    assert most == 1


def test_a_file_that_is_cut_replaced_or_removed_is_told(log: Path) -> None:
    async def work(followers: Followers) -> None:
        append(log, b"a long line\n")
        cut, replaced = Reader(followers, log), Reader(followers, log)
        await cut.until(b"a long line\n")
        os.truncate(log, 2)
        assert await cut.state() == "cut"
        await replaced.next()
        (log.parent / "new").write_bytes(b"another\n")
        os.rename(log.parent / "new", log)
        assert await replaced.state() in ("replaced", "cut")
        gone = Reader(followers, log)
        await gone.until(b"another\n")
        log.unlink()
        assert await gone.state() == "gone"

    run(work)


def test_a_file_whose_place_a_link_takes_is_not_followed_there(log: Path) -> None:
    async def work(followers: Followers) -> None:
        append(log, b"mine\n")
        reader = Reader(followers, log)
        await reader.until(b"mine\n")
        (log.parent / "link").symlink_to("/etc/passwd")
        os.rename(log.parent / "link", log)
        _, _, value = await reader.next()
        assert isinstance(value, FollowState)
        assert (value.state, "link" in value.text) == ("gone", True)

    run(work)


def test_who_is_far_behind_is_taken_to_the_end_and_told_how_much_is_left_out(log: Path) -> None:
    async def work(followers: Followers) -> None:
        append(log, b"0123456\n" * (BEHIND_BYTES // 4))
        _, offset, rows = await Reader(followers, log).next()
        assert isinstance(rows, FollowRows)
        assert rows.skipped_bytes == rows.rows[0].o > BEHIND_BYTES
        assert offset == rows.next == log.stat().st_size

    run(work)


def test_a_log_to_which_nothing_comes_any_more_has_ended(log: Path) -> None:
    async def work(followers: Followers) -> None:
        append(log, b"end\n")
        reader = Reader(followers, log, runs=False)
        await reader.until(b"end\n")
        assert await reader.state() == "ended"

    run(work)


def test_a_storage_that_fails_for_a_moment_does_not_end_the_following(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = follow._facts
    is_failing = False

    def failing(place: Place) -> tuple[int, str, str]:
        nonlocal is_failing
        if is_failing:
            is_failing = False
            raise OSError(116, "Stale file handle")
        return facts(place)

    monkeypatch.setattr(follow, "_facts", failing)

    async def work(followers: Followers) -> None:
        nonlocal is_failing
        append(log, b"one\n")
        reader = Reader(followers, log)
        await reader.until(b"one\n")
        is_failing = True
        while is_failing:
            await asyncio.sleep(0)
        append(log, b"two\n")
        await reader.until(b"one\ntwo\n")

    run(work)
