"""A model of shared servers: two nodes, strangers, tasks that come, end, fail and die with their node.

What is true stands here, told apart from what a plan is made from; each start is judged by what is true, with rules
of its own.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

from gpu_queue.scheduling.admission import Card, Reserved, Terms, shared
from gpu_queue.scheduling.facts import Facts, Limits, Phase
from gpu_queue.scheduling.order import in_turn
from gpu_queue.scheduling.plan import Start, plan
from gpu_queue.scheduling.selecting import turn_after
from gpu_queue.sharing import RetryConfig, Sharing
from gpu_queue.task import Needs, Waiting
from tests.builders import GIB

TOTAL_GIB = 80
SAMPLES_S = 20.0
"""A stranger who was there so short a time ago is still seen."""
RETRIES = RetryConfig(max_retry_before_backoff=3, backoff_duration_s=600.0)


@dataclass
class Running:
    """One try."""

    task: Waiting
    node: int
    gpus: tuple[str, ...]
    reserve_gib: int | None
    ends_at: float
    fails: bool
    shown_gib: int = 0


@dataclass
class Truth:
    """One card as it is."""

    uuid: str
    index: int
    stranger_gib: int = 0
    seen_at: float = float("-inf")
    """When a stranger was there last."""
    has_python: bool = False
    is_lost: bool = False
    is_known: bool = True


@dataclass
class World:
    """Two nodes that serve one spool."""

    chance: random.Random
    sharing: Sharing
    cards_per_node: int = 3
    left_last: int = 0
    now: float = 1000.0
    pending: dict[str, Waiting] = field(default_factory=dict)
    running: dict[str, Running] = field(default_factory=dict)
    holders: dict[str, str] = field(default_factory=dict)
    """Queues with the tasks that have begun in them and are not settled."""
    done: list[str] = field(default_factory=list)
    started: list[str] = field(default_factory=list)
    """Names of tasks, each time that one was started."""
    came: int = 0

    def __post_init__(self) -> None:
        self.nodes = [
            [Truth(f"GPU-{node}-{index}", index) for index in range(self.cards_per_node)] for node in range(2)
        ]
        self.down_until = [0.0, 0.0]
        self.turns = [0, 0]

    # -- what happens -----------------------------------------------------------------------------------------------

    def come(self, needs: Needs, priority: int = 500) -> Waiting:
        """Somebody submits a task."""
        self.came += 1
        task_id = f"20260101T{self.came:09d}-000000-t"
        task = Waiting(f"{priority}-{task_id}", f"{priority}-{task_id}", priority, task_id, is_read=True, needs=needs)
        self.pending[task.name] = task
        return task

    def end_some(self) -> None:
        """What has run for long enough succeeds or fails; what fails comes back at once and keeps its queue."""
        for name, one in list(self.running.items()):
            if one.ends_at > self.now:
                continue
            del self.running[name]
            if one.fails:
                self._come_back(one, failed=True)
            else:
                self.done.append(name)
                if one.task.needs.queue is not None:
                    del self.holders[one.task.needs.queue]

    def _come_back(self, one: Running, *, failed: bool) -> None:
        task = one.task
        failures = task.failures + failed
        self.pending[task.name] = replace(
            task, failures=failures, tries=task.tries + 1, entered_at=self.now, has_just_failed=failed
        )

    def kill(self, node: int) -> None:
        """A node dies with what runs on it, and comes back after a while."""
        self.down_until[node] = self.now + 120.0
        for name, one in list(self.running.items()):
            if one.node == node:
                del self.running[name]
                self._come_back(one, failed=False)

    def disturb(self) -> None:
        """Strangers come and go, processes of this user too; drivers lose cards and find them again."""
        for card in self._truths():
            free_gib = self.free_gib(card)
            if card.stranger_gib or self.chance.random() < 0.8:
                if self.chance.random() < 0.3:
                    card.stranger_gib = 0
            elif free_gib > 1:
                card.stranger_gib = self.chance.randint(1, free_gib)
            if card.stranger_gib:
                card.seen_at = self.now
            card.has_python = self.chance.random() < 0.1
            card.is_lost = self.chance.random() < 0.05
            card.is_known = self.chance.random() > 0.05

    def take_memory(self) -> None:
        """Tasks take what they said, sooner or later; those that said nothing take what they like."""
        for one in self.running.values():
            if self.chance.random() < 0.5:
                cards = [card for card in self._truths() if card.uuid in one.gpus]
                room_gib = min((self.free_gib(card) for card in cards), default=0)
                goal_gib = one.reserve_gib if one.reserve_gib is not None else 40
                one.shown_gib = min(goal_gib, one.shown_gib + room_gib)

    # -- what is true -----------------------------------------------------------------------------------------------

    def _truths(self) -> list[Truth]:
        return [card for cards in self.nodes for card in cards]

    def on(self, card: Truth) -> list[Running]:
        """The tries that have something of a card."""
        return [one for one in self.running.values() if card.uuid in one.gpus]

    def free_gib(self, card: Truth) -> int:
        """Memory that nobody has taken."""
        return TOTAL_GIB - card.stranger_gib - sum(one.shown_gib for one in self.on(card))

    def promised_gib(self, card: Truth) -> int:
        """Memory that tasks were promised and have not taken."""
        return sum(max(0, (one.reserve_gib or 0) - one.shown_gib) for one in self.on(card))

    def is_competed(self, card: Truth) -> bool:
        return card.index < self.cards_per_node - self.left_last

    def is_open(self, card: Truth) -> bool:
        """Nobody else is there, as far as can be known."""
        is_stranger = card.stranger_gib or self.now - card.seen_at < SAMPLES_S
        is_python = card.has_python and not self.sharing.maximize_resource_utilization
        return self.is_competed(card) and not (card.is_lost or not card.is_known or is_stranger or is_python)

    def is_free(self, card: Truth) -> bool:
        return self.is_open(card) and not self.on(card)

    # -- what is seen and done --------------------------------------------------------------------------------------

    def _card(self, card: Truth) -> Card:
        ours = self.on(card)
        return Card(
            card.uuid,
            card.index,
            TOTAL_GIB * GIB,
            (TOTAL_GIB - self.free_gib(card)) * GIB,
            self.free_gib(card) * GIB,
            utilization_percent=(90, 80) if ours else (0, 0),
            reserved=tuple(
                Reserved(None if one.reserve_gib is None else one.reserve_gib * GIB, shown_bytes=one.shown_gib * GIB)
                for one in ours
            ),
            has_user_python=card.has_python,
            has_stranger=bool(card.stranger_gib) or self.now - card.seen_at < SAMPLES_S,
            is_competed=self.is_competed(card),
            is_lost=card.is_lost,
            is_known=card.is_known,
        )

    def facts(self, node: int) -> Facts:
        """What the agent of a node knows."""
        here = [one for one in self.running.values() if one.node == node]
        waiting = sorted(self.pending.values(), key=lambda task: task.key)
        return Facts(
            now=self.now,
            server_now=self.now,
            phase=Phase.SERVING,
            gpus=[self._card(card) for card in self.nodes[node]],
            waiting=in_turn(waiting, f"lots of node {node}"),
            cpu_tasks=sum(not one.gpus for one in here),
            gpu_tasks=sum(bool(one.gpus) for one in here),
            turn=self.turns[node],
            busy_queues=dict(self.holders),
            limits=Limits(cpu_slots=1, retry_config=RETRIES),
            policy=shared,
            terms=Terms(GIB, self.sharing),
        )

    def serve(self, node: int, *, runs_s: float = 60.0, fails: float = 0.3) -> None:
        """One plan of a node that lives, carried out and judged."""
        if self.now < self.down_until[node]:
            return
        facts = self.facts(node)
        decided = plan(facts)
        assert plan(self.facts(node)) == decided, "the same facts, another plan"
        for start in decided.actions:
            assert isinstance(start, Start), f"refused: {start}"
            self._judge(node, start)
            self._start(node, start, self.chance.uniform(1, runs_s), self.chance.random() < fails)

    def _start(self, node: int, start: Start, runs_s: float, fails: bool) -> None:
        task = self.pending.pop(start.task.name)
        reserve_gib = None if start.reserve_bytes is None else start.reserve_bytes // GIB
        self.running[task.name] = Running(task, node, start.gpus, reserve_gib, self.now + runs_s, fails)
        self.started.append(task.name)
        if task.needs.queue is not None and task.task_id is not None:
            self.holders[task.needs.queue] = task.task_id
        if start.gpus:
            by_uuid = {card.uuid: card.index for card in self.nodes[node]}
            self.turns[node] = turn_after([by_uuid[uuid] for uuid in start.gpus], self.turns[node])

    def _judge(self, node: int, start: Start) -> None:
        """Whether this start keeps all that is promised; by what is true, before it is made."""
        task, needs = start.task, start.task.needs
        assert needs.gpus_min <= len(start.gpus) <= needs.gpus_max
        if needs.queue is not None:
            assert self.holders.get(needs.queue, task.task_id) == task.task_id, "its queue is busy"
            in_queue = [one for one in self.pending.values() if one.needs.queue == needs.queue]
            is_next = task.name == min(one.name for one in in_queue)
            assert is_next or needs.queue in self.holders, "another one of its queue comes first"
        if task.has_just_failed and task.failures % RETRIES.max_retry_before_backoff == 0:
            assert self.now >= task.entered_at + RETRIES.backoff_duration_s, "it rests"
        if not start.gpus:
            return
        here = [one for one in self.running.values() if one.node == node and one.gpus]
        most = self.sharing.max_concurrent
        assert most is None or len(here) < most, "so many run already"
        free_before = sum(map(self.is_free, self.nodes[node]))
        taken_of_free = 0
        for card in self.nodes[node]:
            if card.uuid not in start.gpus:
                continue
            assert self.is_open(card), f"{card} is not ours to take"
            ours = self.on(card)
            taken_of_free += not ours
            if start.reserve_bytes is None:
                assert not ours, "somebody is there already"
                assert self.free_gib(card) * GIB >= (needs.memory_bytes or 0)
            else:
                assert self.sharing.maximize_resource_utilization
                assert all(one.reserve_gib is not None for one in ours), "somebody has all of it"
                assert (self.free_gib(card) - self.promised_gib(card)) * GIB >= start.reserve_bytes
                assert start.reserve_bytes == needs.memory_bytes
        left = self.sharing.gpu_left
        if left.of_free and taken_of_free:
            assert free_before - taken_of_free >= left.cards, "nothing is left to others"
