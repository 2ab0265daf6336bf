"""Many messages become one, what nobody takes is tried again for a day, and a claim that was left is taken over."""

from __future__ import annotations

import pytest

from gpu_queue.notify import deliver, telling
from gpu_queue.notify.addresses import Book
from gpu_queue.notify.sending import KEPT_S, wait_s
from gpu_queue.spool import files, outbox
from gpu_queue.spool.noticenames import Stage
from tests.node.harness import Crash, Fault, Room, failing_renames, run_through
from tests.notify.services import Memory, look

NOW = 1e9


def end(room: Room, count: int, end: str = "exit 0") -> None:
    """So many tasks end."""
    for number in range(count):
        room.submit(room.script(end), name=f"t{number}.sh", notify="ops")
    run_through(room).die()


def stages(room: Room) -> list[Stage]:
    return [one.stage for one in outbox.look(room.paths)]


def test_five_a_minute_come_one_by_one_and_more_as_one(room: Room) -> None:
    end(room, 5)
    memory = Memory()
    assert (look(room, memory).messages, len(memory.got)) == (5, 5)
    end(room, 3)
    end(room, 1, "exit 3")
    outcome = look(room, memory, NOW + 10)
    assert (outcome.told, outcome.messages) == (4, 1)
    assert memory.titles[5:] == ["4 messages, 1 of failures"]
    assert memory.got[5].body.splitlines()[0] == "t0.sh failed (exit 3)"
    end(room, 2)
    assert (look(room, memory, NOW + 20).left, len(memory.got)) == (2, 6)
    assert (look(room, memory, NOW + 61).messages, len(memory.got)) == (2, 8)


def test_a_digest_ends_somewhere(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "DIGEST_LINES", 4)
    end(room, 7)
    memory = Memory()
    assert (look(room, memory).told, len(memory.got)) == (7, 1)
    assert memory.got[0].body.splitlines()[-1] == "… and 3 more"


def test_what_nobody_takes_is_tried_again_ever_later_for_a_day(room: Room) -> None:
    end(room, 1)
    dead, now, tries = Memory(deliver.FAILED), NOW, 0
    while Stage.GIVEN_UP not in stages(room):
        outcome = look(room, dead, now)
        assert outcome.again + outcome.given_up == 1
        tries += 1
        assert (look(room, dead, now + 59).again, tries) == (0, tries)
        now += (wait_s(tries) or 0) + 1
    assert 24 * 3600 < now - NOW < 25 * 3600
    assert [wait_s(number) for number in (1, 2, 3, 7, 8)] == [60, 120, 240, 3600, 3600]
    assert len(dead.got) == tries == 30
    look(room, dead, now + KEPT_S + 1)
    assert stages(room) == []


def test_a_service_that_comes_back_is_told_once(room: Room) -> None:
    end(room, 1)
    memory = Memory(deliver.FAILED)
    look(room, memory)
    memory.answer = deliver.SENT
    assert look(room, memory, NOW + 61).told == 1
    assert look(room, memory, NOW + 122).told == 0


@pytest.mark.parametrize("fault", [Fault("notify", True, None), Fault("notify", True, None, skip=1)], ids=str)
def test_a_sender_that_is_killed_loses_nothing(room: Room, fault: Fault) -> None:
    # At its claim, nothing was sent; behind the sending, when it says so, all is said.
    end(room, 1)
    memory = Memory()
    with failing_renames(room, fault), pytest.raises(Crash):
        look(room, memory)
    look(room, memory, NOW + 299)
    look(room, memory, NOW + 301)
    assert (len(memory.got), stages(room)) == (1, [Stage.SENT])


def test_one_that_is_killed_between_the_service_and_its_word_tells_twice(room: Room) -> None:
    # Nobody can know whether the service has taken it: it is told twice rather than never.
    end(room, 1)
    memory = Memory()
    with failing_renames(room, Fault("notify", False, None, skip=1)), pytest.raises(Crash):
        look(room, memory)
    assert (len(memory.got), stages(room)) == (1, [Stage.SENDING])
    assert look(room, memory, NOW + 299).told == 0
    assert look(room, memory, NOW + 301).told == 1
    assert len(memory.got) == 2


def test_where_apprise_is_missing_another_node_may_send(room: Room) -> None:
    end(room, 1)
    memory = Memory(deliver.MISSING)
    outcome = look(room, memory)
    assert outcome.problems == ["apprise is not installed here: pip install 'gpu-queue[notify]'"]
    memory.answer = deliver.SENT
    assert look(room, memory, NOW + 61).told == 1


def test_labels_without_an_address_wait_a_week(room: Room) -> None:
    end(room, 2)
    book = Book({"ME": ("json://x/",)})
    real_s = files.server_now_s(room.paths.notices)
    assert look(room, Memory(), real_s + 6 * 86400, book).unknown == {"ops": 2}
    look(room, Memory(), real_s + KEPT_S + 10, book)
    assert stages(room) == []
