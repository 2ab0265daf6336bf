"""Tries that have parts of one card, whatever becomes of the agent and of the node's own directory."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gpu_queue.scheduling.admission import Reserved
from gpu_queue.scheduling.plan import Start
from tests.agent.harness import wait_until
from tests.node.harness import Node, Room

GIB = 1 << 30
PARTS = {30 * GIB, 20 * GIB}


def two_tasks_on_one_card(room: Room, node: Node) -> list[str]:
    """Tasks that run, and whose records say so."""
    gate = room.base / "gate"
    (room.root / "paused").touch()
    tasks = [room.submit(room.script(f"while [ ! -e {gate} ]; do sleep 0.02; done; exit 0")) for _ in PARTS]
    node.go_on(2)
    (uuid,) = node.around.gpu_uuids
    for part, waiting in zip(sorted(PARTS), node.agent.looking.view.waiting, strict=True):
        node.agent.planning.facts(room.now)
        assert node.agent.tries.start(
            Start(waiting, (uuid,), part), room.now, node.agent.cards.rooms([uuid], room.now)
        )

    def run() -> bool:
        node.step(0.4)
        return all(room.runs(task) == 1 and list((room.root / "records").glob(f"{task}.try*")) for task in tasks)

    wait_until(run, "both")
    return tasks


def parts(node: Node) -> set[int | None]:
    """As other agents are told of them."""
    (uuid,) = node.around.gpu_uuids
    return {lease.reserve_bytes for lease in node.around.leases.look()[0].get(uuid, ())}


@pytest.mark.parametrize("tasks_are", ["its own", "taken up", "about to be taken up"])
@pytest.mark.parametrize("what", ["", "gpus", "agents", "agents/*/tries"])
def test_tries_keep_their_parts_of_a_card(room: Room, what: str, tasks_are: str) -> None:
    node = room.start(gpus="1")
    tasks = two_tasks_on_one_card(room, node)
    assert parts(node) == PARTS
    if tasks_are != "its own":
        node.die()
        node = room.start(gpus="1")
    for _ in range(2 if tasks_are == "taken up" else 0):
        node.step()
    root = Path(node.around.node_directory.root)
    for path in root.glob(what) if what else [root]:
        shutil.rmtree(path)
    node.step()
    for _ in range(3):
        node.step()
        assert None in parts(node) or parts(node) == PARTS, "or nobody knows yet how much they have"
    assert parts(node) == PARTS
    (card,) = node.agent.planning.facts(room.now).gpus
    assert {(one.reserve_bytes, one.is_ours) for one in card.reserved} == {(part, True) for part in PARTS}
    (room.base / "gate").touch()

    def are_done() -> bool:
        node.step(0.1)
        return all(room.where(task) == ["done"] for task in tasks)

    wait_until(are_done, "both to end")
    wait_until(lambda: parts(node) == set(), "the card")


def test_of_tries_that_nobody_remembers_the_whole_card_is_taken(room: Room) -> None:
    node = room.start(gpus="1")
    two_tasks_on_one_card(room, node)
    node.die()
    shutil.rmtree(node.around.node_directory.root)
    node = room.start(gpus="1")
    assert parts(node) == {None}
    node.agent.fillers.ask_leases(room.now, node.agent.tries)
    (card,) = node.agent.planning.facts(room.now).gpus
    assert card.reserved == (Reserved(None, is_ours=False),) * 2
