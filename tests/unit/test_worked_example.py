"""The worked example of document 000, round by round: two cards, three queues, six tasks; the rules that it lists."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from gpu_queue.reasons import Code
from gpu_queue.scheduling.admission import Reserved
from gpu_queue.scheduling.facts import Facts
from gpu_queue.scheduling.plan import Start, explain, plan
from gpu_queue.task import Needs, Waiting
from tests.builders import GIB, a_shared_card, a_shared_node, a_task

QUEUES = {"1": "ab", "2": "cde", "3": "f"}
CARDS = (4, 7)


@dataclass
class Server:
    """The server of the example, as its scheduler sees it."""

    lottery: str
    pending: dict[str, Waiting] = field(default_factory=dict)
    running: dict[str, tuple[str, ...]] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for queue, names in QUEUES.items():
            for name in names:
                self.pending[name] = a_task(name, needs=Needs(queue=queue, memory_bytes=25 * GIB))

    def facts(self) -> Facts:
        held = {uuid for gpus in self.running.values() for uuid in gpus}
        cards = [
            a_shared_card(index, 55 if uuid in held else 80, reserved=(Reserved(),) * (uuid in held))
            for index in CARDS
            for uuid in [f"GPU-{index}"]
        ]
        busy = {queue: self._id(name) for queue, names in QUEUES.items() for name in names if name in self.running}
        return replace(a_shared_node(cards, *self.pending.values(), lottery=self.lottery), busy_queues=busy)

    def _id(self, name: str) -> str:
        return a_task(name).task_id or ""

    def round(self) -> list[str]:
        """One round: what starts, in order."""
        facts = self.facts()
        starts = [one for one in plan(facts).actions if isinstance(one, Start)]
        for start in starts:
            del self.pending[start.task.name]
            self.running[start.task.name] = start.gpus
        return [start.task.name for start in starts]

    def end(self, *names: str) -> None:
        for name in names:
            del self.running[name]
            self.done.append(name)

    def fail(self, name: str) -> None:
        """It comes back at once."""
        del self.running[name]
        before = a_task(name, needs=Needs(queue=self.queue_of(name), memory_bytes=25 * GIB))
        self.pending[name] = replace(before, tries=1, failures=1, entered_at=1.0)

    @staticmethod
    def queue_of(name: str) -> str:
        return next(queue for queue, names in QUEUES.items() if name in names)

    def why(self, name: str) -> Code:
        return dict(explain(self.facts(), 100))[name].code


def a_draw(*first: str) -> str:
    """A lottery in which the first round goes as in the document."""
    for number in range(1000):
        if Server(str(number)).round() == list(first):
            return str(number)
    raise AssertionError(f"{first} is never drawn")


def test_the_rounds_of_the_document() -> None:
    server = Server(a_draw("f", "a"))
    assert server.round() == ["f", "a"]
    assert server.running == {"f": ("GPU-4",), "a": ("GPU-7",)}, "the lowest of two that are equally free"
    assert (server.why("c"), server.why("b"), server.why("d")) == (Code.GPUS, Code.QUEUE, Code.QUEUE)

    server.end("f")
    assert server.round() == ["c"]
    assert server.running == {"a": ("GPU-7",), "c": ("GPU-4",)}

    server.end("a", "c")
    assert sorted(server.round()) == ["b", "d"], "in an order that is drawn"
    assert {gpus[0] for gpus in server.running.values()} == {"GPU-4", "GPU-7"}

    server.end("b")
    assert server.round() == [], "queue 1 has no more, and d is not done"
    assert server.why("e") is Code.QUEUE

    server.end("d")
    assert server.round() == ["e"]
    server.end("e")
    assert not server.pending
    assert not server.running
    assert server.done == ["f", "a", "c", "b", "d", "e"]


def test_each_pair_of_heads_is_drawn_for_the_first_round() -> None:
    drawn = {tuple(Server(str(number)).round()) for number in range(200)}
    assert drawn == {(one, other) for one in "acf" for other in "acf" if one != other}


@pytest.mark.parametrize("lottery", [str(number) for number in range(30)])
def test_the_rules_of_the_document_hold_whatever_is_drawn_and_whatever_ends_first(lottery: str) -> None:
    server = Server(lottery)
    began: list[str] = []
    rounds = 0
    while server.pending or server.running:
        rounds += 1
        assert rounds < 20
        before = set(server.running)
        new = server.round()
        began += new
        # 1, 2: inside a queue strictly serial and in order; across queues in parallel, as far as there are cards.
        assert len({server.queue_of(name) for name in server.running}) == len(server.running)
        idle_queues = {server.queue_of(name) for name in server.pending} - {
            server.queue_of(name) for name in server.running
        }
        assert len(server.running) == len(CARDS) or not idle_queues
        # 5: one process of this user on a card.
        held = [uuid for gpus in server.running.values() for uuid in gpus]
        assert len(held) == len(set(held))
        # 3, 4: what was given a moment ago is not given again, whether its memory shows or not.
        assert all(server.running[name] != server.running[other] for name in new for other in before)
        assert plan(server.facts()).actions == ()
        # 6: no task is bound to a card before it starts.
        assert all(not task.needs.devices for task in server.pending.values())
        ends = sorted(server.running)[rounds % len(server.running)]
        server.end(ends)
    for names in QUEUES.values():
        assert [name for name in began if name in names] == list(names)
    assert sorted(began) == list("abcdef")


def test_a_queue_whose_task_failed_is_busy_until_that_succeeded() -> None:
    server = Server(a_draw("c", "a"))
    assert server.round() == ["c", "a"]
    server.fail("c")
    busy = replace(server.facts(), busy_queues={"1": server._id("a"), "2": server._id("c")})
    starts = [one.task.name for one in plan(busy).actions if isinstance(one, Start)]
    assert starts in (["c"], ["f"]), "the heads of two queues are drawn, and the failed one is a head"
    assert dict(explain(busy, 100))["d"].code is Code.QUEUE
