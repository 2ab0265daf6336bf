"""A spool that is looked at: with real storage that hangs, and with pages that nobody should write."""

from __future__ import annotations

import asyncio
import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpu_queue import Script, Spool
from gpu_queue.console.world.looking import Looker
from gpu_queue.console.world.storage import StorageSilent
from gpu_queue.console.world.world import World
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.spool.snapshot.looks import Cost
from tests.agent.harness import wait_until
from tests.console.test_world import Reader
from tests.faults.storage import bad_storage


async def until(reader: Reader, condition: Any) -> Any:
    while not condition(reader.document):
        await reader.next()
    return reader.document


def test_storage_that_hangs_keeps_one_thread_and_what_was_seen_and_goes_on_when_it_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpu_queue.console.world.world.SILENT_S", 0.5)
    with bad_storage(tmp_path) as bad:
        Spool("exp", bad.cluster.queue_root).submit(Script("a.sh", "echo\n"))

        async def scene() -> None:
            world = World("exp", bad.seen, every_s=0.1)
            one = Reader(await world.stream())
            await one.next()
            bad.fail({"op": "readdir", "match": "pending", "hang": True})
            await until(one, lambda living: "silent_since_s" in living["storage"])
            hits = len(bad.hits())
            for _ in range(3):
                with pytest.raises(StorageSilent):
                    await world.fresh()
            assert len(bad.hits()) == hits > 0  # no second listing beside the one that hangs
            assert one.document["counts"]["waiting"] == 1
            bad.mend()
            await until(one, lambda living: "silent_since_s" not in living["storage"])
            world.close()
            await asyncio.to_thread(wait_until, lambda: world._thread is None, "the thread's end")

        asyncio.run(scene())


TEXTS = st.text(st.characters(exclude_categories=()), max_size=12)
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=True), TEXTS, st.sampled_from([-1, 1 << 70, 1e300])
)
GPU = st.fixed_dictionaries(
    {},
    optional={
        "uuid": TEXTS,
        "index": VALUES,
        "name": VALUES,
        "state": st.one_of(VALUES, st.sampled_from(["idle", "busy", "lost", "foreign"])),
        "power_w": VALUES,
        "utilization_percent": VALUES,
        "memory_used_bytes": VALUES,
        "temperature_c": VALUES,
        "keepalive": st.dictionaries(st.sampled_from(["state", "duty", "reason", "held_bytes"]), VALUES),
    },
)
PAGE = st.dictionaries(
    st.sampled_from(["state", "reason", "version", "host", "pid", "started", "ends", "at_end", "mode", "skipped"]),
    VALUES,
)
WAITS = st.fixed_dictionaries(
    {"name": TEXTS}, optional={"reason": st.dictionaries(st.sampled_from(["code", "text"]), VALUES), "code": VALUES}
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    page=PAGE, gpus=st.lists(GPU, max_size=3), waiting=st.lists(WAITS, max_size=2), tries=st.lists(PAGE, max_size=2)
)
def test_whatever_a_node_file_holds_the_document_is_made_and_can_be_sent(
    tmp_path: Path, page: dict[str, Any], gpus: list[Any], waiting: list[Any], tries: list[Any]
) -> None:
    paths = SpoolPaths(str(tmp_path / "exp"))
    if not os.path.isdir(paths.nodes):
        Spool("exp", tmp_path).submit(Script("a.sh", "echo\n"))
    whole = {**page, "node": "n", "gpus": gpus, "waiting": waiting, "running": tries, "watching": tries}
    with open(paths.node_json("n"), "w", encoding="utf-8", errors="surrogatepass") as file:
        json.dump(whole, file)
    _, living = Looker("exp", paths, Cost(), read_only=True).look(0.0, {}, everything=True, is_watched=False)
    text = json.dumps(living.model_dump(), allow_nan=False, ensure_ascii=False).encode()
    assert not any(ord(one) < 32 for one in text.decode())
    assert math.isfinite(len(text))
