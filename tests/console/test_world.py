"""A spool that is looked at: by nobody, by one, by twenty; with names that are no text; with storage that hangs."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from gpu_queue import Script, Spool
from gpu_queue.console.world import living
from gpu_queue.console.world.deltas import patched, without_nulls
from gpu_queue.console.world.looking import Looker
from gpu_queue.console.world.storage import StorageCrowded
from gpu_queue.console.world.world import STREAMS_MAX, TooManyStreams, Unseen, World
from gpu_queue.console.world.worlds import NoSuchSpool, Worlds
from gpu_queue.spool.pages import NodePage, write_page
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.spool.snapshot import reader as snapshot_reader
from gpu_queue.spool.snapshot.looks import Cost
from gpu_queue.states import AgentState


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    before = os.umask(0o077)
    made = Spool("exp", str(tmp_path))
    made.submit(Script("first.sh", "echo 1"), gpus=2)
    yield made
    os.umask(before)


def world_of(spool: Spool, every_s: float = 0.05) -> World:
    return World("exp", SpoolPaths(spool.path), every_s=every_s)


class Reader:
    """One who looks on: keeps the document as a page does."""

    def __init__(self, events: AsyncIterator[bytes]) -> None:
        self._events = events
        self.document: Any = None
        self.id = ""
        self.kinds: list[str] = []

    async def next(self) -> None:
        while True:
            text = (await asyncio.wait_for(anext(self._events), 20)).decode()
            told = dict(line.split(": ", 1) for line in text.strip().split("\n") if not line.startswith(":"))
            if "event" not in told:
                continue
            self.kinds.append(told["event"])
            self.id = told["id"]
            data = json.loads(told["data"])
            if told["event"] == "snapshot":
                self.document = data["living"]
            elif told["event"] == "delta":
                self.document = patched(self.document, data["patch"])
            return


def test_what_is_submitted_reaches_those_who_look_on_and_each_holds_the_whole(spool: Spool) -> None:
    async def scene() -> None:
        world = world_of(spool)
        readers = [Reader(await world.stream()) for _ in range(3)]
        for one in readers:
            await one.next()
        assert readers[0].document["counts"] == {"waiting": 1, "running": 0, "done": 0, "failed": 0}
        await asyncio.to_thread(spool.submit, Script("second.sh", "echo 2"), gpus=1, priority=1)
        for one in readers:
            while one.document["counts"]["waiting"] != 2:
                await one.next()
            titles = [one.document["waiting"][key]["title"] for key in one.document["waiting_order"]]
            assert titles == ["second.sh", "first.sh"]
            assert one.document == without_nulls(world.reply().living.model_dump())
            assert one.kinds[0] == "snapshot"
            assert set(one.kinds[1:]) == {"delta"}
        world.close()

    asyncio.run(scene())


def test_whoever_comes_back_goes_on_where_he_was(spool: Spool) -> None:
    async def scene() -> None:
        world = world_of(spool)
        one = Reader(await world.stream())
        await one.next()
        await asyncio.to_thread(spool.submit, Script("second.sh", "echo 2"))
        await world.fresh(everything=True)
        again = Reader(await world.stream(one.id))
        again.document = one.document
        while again.document["counts"]["waiting"] != 2:
            await again.next()
        assert "snapshot" not in again.kinds
        world.close()

    asyncio.run(scene())


def test_twenty_who_look_on_cost_the_storage_what_one_costs_and_nobody_costs_nothing(spool: Spool) -> None:
    async def scene() -> None:
        world = world_of(spool, every_s=3600.0)
        assert world.refreshes == 0
        assert not world.is_watched
        readers = [Reader(await world.stream()) for _ in range(20)]
        await asyncio.gather(*(one.next() for one in readers))
        assert world.streams == 20
        assert world.refreshes <= 2
        await asyncio.gather(*(world.fresh() for _ in range(20)))
        assert world.refreshes <= 4
        world.close()

    asyncio.run(scene())


def test_more_streams_than_may_be_are_refused(spool: Spool) -> None:
    async def scene() -> None:
        world = world_of(spool)
        readers = [Reader(await world.stream()) for _ in range(STREAMS_MAX)]
        await asyncio.gather(*(one.next() for one in readers))
        with pytest.raises(TooManyStreams):
            await world.stream()
        world.close()

    asyncio.run(scene())


def test_names_that_are_no_text_are_shown_and_can_be_sent(spool: Spool) -> None:
    pending = os.path.join(spool.path, "pending")
    for name in (b"caf\xe9.sh", b"a\x1b]0;x\x07.sh", "\u202egnp.sh".encode()):
        with open(os.path.join(os.fsencode(pending), name), "wb") as file:
            file.write(b"echo\n")
    os.mkdir(os.path.join(os.fsencode(spool.path), b"running", b"n\xff1"))

    async def scene() -> None:
        world = world_of(spool)
        number, content = await world.snapshot()
        living = json.loads(content)["living"]
        assert len(living["waiting"]) == 4
        assert not any(ord(letter) < 32 or letter == "\u202e" for letter in content.decode())
        assert "~" + b"caf\xe9.sh".hex() in living["waiting"]
        assert number == world.ring.id
        world.close()

    asyncio.run(scene())


def test_storage_that_hangs_is_told_with_what_was_seen_last_and_nothing_is_forgotten(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = threading.Event()
    answers.set()
    refresh = snapshot_reader.SnapshotReader.refresh

    def hanging(self: Any, now: float, *, everything: bool = False) -> Any:
        answers.wait(60)
        return refresh(self, now, everything=everything)

    monkeypatch.setattr(snapshot_reader.SnapshotReader, "refresh", hanging)
    monkeypatch.setattr("gpu_queue.console.world.world.SILENT_S", 0.2)

    async def scene() -> None:
        world = world_of(spool)
        one = Reader(await world.stream())
        await one.next()
        answers.clear()
        while "silent_since_s" not in one.document["storage"]:
            await one.next()
        assert one.document["counts"]["waiting"] == 1
        assert one.document["storage"]["seen_at_s"] > 0
        answers.set()
        while "silent_since_s" in one.document["storage"]:
            await one.next()
        world.close()

    asyncio.run(scene())


def test_a_look_that_fails_is_told_to_who_asked_and_the_next_one_is_made(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = living.living_of
    failing = [True]

    def document(*given: Any) -> Any:
        if failing:
            raise ZeroDivisionError("a page that nobody thought of")
        return real(*given)

    monkeypatch.setattr("gpu_queue.console.world.looking.living_of", document)

    async def scene() -> None:
        world = world_of(spool)
        with pytest.raises(Unseen, match="ZeroDivisionError: a page that nobody thought of"):
            await world.latest()
        failing.clear()
        assert (await world.latest()).snapshot.counts.waiting == 1
        world.close()

    asyncio.run(scene())


def test_what_is_found_nowhere_costs_a_complete_listing_once_in_a_while(spool: Spool) -> None:
    async def scene() -> None:
        world = world_of(spool, every_s=3600.0)
        await world.complete()
        listed = dict(world.cost.listings)
        assert {"pending", "nodes", "running", "done", "failed", "flags", "queues"} <= listed.keys()
        for _ in range(5):
            await world.complete()
        assert world.cost.listings["failed"] == listed["failed"]
        await world.fresh(everything=True)
        assert world.cost.listings["failed"] == listed["failed"] + 1
        world.close()

    asyncio.run(scene())


def test_while_somebody_looks_each_node_file_is_opened_once_in_two_seconds_and_little_else(spool: Spool) -> None:
    paths, opened = SpoolPaths(spool.path), Counter[str]()
    nodes, looks, every_s = 8, 60, 2.01  # a look takes some time as well
    (Path(spool.path) / "config.yaml").write_text("retries: 1\n")
    for number in range(nodes):
        Path(paths.events(f"n{number}")).write_text("{}\n")
    looker, real = Looker("exp", paths, Cost(), read_only=True), os.open

    def counting(path: Any, flags: int, *more: Any, **others: Any) -> int:
        if str(path).startswith(spool.path) and not flags & os.O_WRONLY:
            opened["listings" if flags & os.O_DIRECTORY else os.path.basename(os.path.dirname(path))] += 1
        return real(path, flags, *more, **others)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", counting)
        for look in range(1 + looks):
            if look == 1:
                opened.clear()  # the first one reads all there is
            for number in range(nodes):
                write_page(paths, NodePage(f"n{number}", "i", AgentState.SERVING, beat_s=float(look)))
            looker.look(1000.0 + look * every_s, {}, everything=False, is_watched=True)
    listings, lasted_s = opened.pop("listings"), looks * every_s
    assert opened["nodes"] == nodes * looks
    assert listings <= (2 + nodes / 10) * lasted_s, opened
    assert opened.total() <= nodes / 2 * lasted_s, opened


def test_monitoring_looks_once_for_each_glance_and_tells_no_agent_that_somebody_looks(spool: Spool) -> None:
    async def scene() -> None:
        world = world_of(spool)
        await world.glance(20)
        refreshes = world.refreshes
        assert refreshes == 1
        while world.is_watched:
            await asyncio.sleep(0.01)  # until the thread rests
        assert world.refreshes == refreshes
        assert not os.path.lexists(world.paths.watched)
        await asyncio.to_thread(spool.submit, Script("second.sh", "echo 2"))
        one = Reader(await world.stream())
        await one.next()
        while one.document["counts"]["waiting"] != 2:
            await one.next()
        assert os.path.lexists(world.paths.watched)
        world.close()

    asyncio.run(scene())


def test_more_queues_than_may_be_are_not_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpu_queue.console.world.worlds.WORLDS_MAX", 2)
    for job in ("a", "b", "c"):
        Spool(job, str(tmp_path)).submit(Script("a.sh", "echo"))

    async def scene() -> None:
        worlds = Worlds(str(tmp_path))
        for job in ("a", "b"):
            await (await worlds.world(job)).latest()
        with pytest.raises(StorageCrowded):
            await worlds.world("c")
        assert (await worlds.world("a")).is_watched
        worlds.close()

    asyncio.run(scene())


def test_a_queue_that_is_not_there_is_none_but_the_one_that_is_meant_may_be_made_yet(tmp_path: Path) -> None:
    async def scene() -> None:
        worlds = Worlds(str(tmp_path), default_job="later")
        for name in ("nope", "..", "a/b", "-x", "~00"):
            with pytest.raises(NoSuchSpool):
                await worlds.world(name)
        world = await worlds.world("later")
        _, content = await world.snapshot()
        assert json.loads(content)["living"]["is_made"] is False
        assert [one.job for one in (await worlds.listed()).spools] == ["later"]
        assert os.listdir(tmp_path) == []
        worlds.close()

    asyncio.run(scene())
