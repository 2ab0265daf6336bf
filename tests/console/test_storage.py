"""Calls on a storage that hangs."""

from __future__ import annotations

import asyncio
import threading

import pytest

from gpu_queue.console.world.storage import QUEUED_MAX, Lane, StorageCrowded, StorageSilent


def test_what_a_call_returns_or_raises_comes_back() -> None:
    async def scene() -> None:
        lane = Lane("test")
        assert await lane.call(len, "abc") == 3
        with pytest.raises(FileNotFoundError):
            await lane.call(open, "/nowhere/at/all")

    asyncio.run(scene())


def test_while_a_call_hangs_no_other_is_begun_and_each_is_told_for_how_long() -> None:
    answers, begun = threading.Event(), []

    def hang() -> str:
        begun.append("hang")
        answers.wait(30)
        return "late"

    async def scene() -> None:
        lane = Lane("test")
        with pytest.raises(StorageSilent, match="hang"):
            await lane.within(0.05, hang, "hang")
        for _ in range(3):
            with pytest.raises(StorageSilent) as told:
                await lane.call(begun.append, "another")
            assert told.value.silent_s > 0.05
        assert begun == ["hang"]
        answers.set()
        while lane.silence() is not None:
            await asyncio.sleep(0.001)
        await lane.call(begun.append, "afterwards")
        assert begun == ["hang", "afterwards"]

    asyncio.run(scene())


def test_what_nobody_waits_for_any_more_is_not_begun() -> None:
    answers, begun = threading.Event(), []

    async def scene() -> None:
        lane = Lane("test")
        first = asyncio.create_task(lane.within(20.0, lambda: answers.wait(30), "first"))
        second = asyncio.create_task(lane.within(20.0, lambda: begun.append("second"), "second"))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.wait([second])
        answers.set()
        assert await first
        await lane.within(20.0, lambda: begun.append("third"), "third")
        assert begun == ["third"]

    asyncio.run(scene())


def test_more_than_so_many_do_not_wait() -> None:
    answers, has_begun = threading.Event(), threading.Event()

    def first() -> bool:
        has_begun.set()
        return answers.wait(30)

    async def scene() -> None:
        lane = Lane("test")
        waiting = [asyncio.create_task(lane.within(20.0, first, "first"))]
        await asyncio.sleep(0)
        await asyncio.to_thread(has_begun.wait, 20)
        waiting += [asyncio.create_task(lane.within(20.0, lambda: True, "a call")) for _ in range(QUEUED_MAX)]
        await asyncio.sleep(0)
        with pytest.raises(StorageCrowded):
            await lane.within(20.0, lambda: True, "too many")
        answers.set()
        assert all(await asyncio.gather(*waiting))

    asyncio.run(scene())
