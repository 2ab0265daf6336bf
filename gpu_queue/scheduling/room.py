"""What a node has left to give, while the tasks are gone through in order.  Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gpu_queue.reasons import Bar
from gpu_queue.scheduling import selecting
from gpu_queue.scheduling.admission import WHOLE, Card, Reserved, unpromised_bytes
from gpu_queue.scheduling.facts import Facts
from gpu_queue.states import GpuState
from gpu_queue.task import Needs, Waiting


@dataclass(frozen=True)
class Grant:
    """What a task gets."""

    gpus: tuple[str, ...] = ()
    """UUIDs in index order."""
    reserve_bytes: int | None = WHOLE
    """Of the memory of each; None: the whole card."""


NOTHING = Grant()


def candidates(needs: Needs, cards: Sequence[Card]) -> list[Card]:
    """Those of some cards that are large enough for a task, and that its script means."""
    return [
        card
        for card in cards
        if (not needs.devices or card.index in needs.devices)
        and (needs.memory_bytes is None or (card.memory_total_bytes or 0) >= needs.memory_bytes)
    ]


class Room:
    """What is left of one node."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._is_shared = is_shared = facts.is_shared
        sharing = facts.terms.sharing
        self.cpu_slots = facts.limits.cpu_slots - facts.cpu_tasks
        most = sharing.max_concurrent if is_shared else None
        self.gpu_slots = float("inf") if most is None else most - facts.gpu_tasks
        """Tasks with GPUs that may still start."""
        self.competed = [card for card in facts.gpus if card.is_competed] if is_shared else facts.gpus
        """The cards that tasks may have at all."""
        self.left = sharing.gpu_left.cards if is_shared and sharing.gpu_left.of_free else 0
        """So many of the cards that are free at the moment stay free for others, whichever they are."""
        self.most = len(self.competed) - self.left
        """A task can have so many GPUs at the most, ever."""
        self.held_by: Waiting | None = None
        self.queue_heads: dict[str, Waiting] = {}
        """The first waiting task of each queue: whether it starts or not, those behind it do not."""
        self.gang: Waiting | None = None
        """The first task over several nodes that may begin: those behind it come after it."""
        self._kept: frozenset[str] = frozenset()
        """Cards that are kept for the task that holds them."""
        self._turn = facts.turn
        self._gone: set[str] = set()
        """Cards that were given as a whole."""
        self._given: dict[str, Card] = {}
        """Cards of a shared server as they are after what was given of them."""
        self._admitted: dict[int | None, list[Card]] = {}
        """What is still to be had, in index order, by the memory that a task asks for."""
        self._asked: set[int | None] | None = None
        """How much memory all that wait ask for."""

    def idle(self, memory_bytes: int | None = None) -> list[Card]:
        """What may be given to a task that asks for so much memory, kept or not."""
        found = self._admitted.get(memory_bytes)
        if found is None:
            judged = ((card, self._facts.judge(card, memory_bytes)) for card in self._cards())
            idle = (
                card for card, verdict in judged if verdict.state is GpuState.IDLE and card.uuid not in self._gone
            )
            found = self._admitted[memory_bytes] = sorted(idle, key=lambda card: card.index)
        return found

    def _cards(self) -> Sequence[Card]:
        if not self._given:
            return self._facts.gpus
        return [self._given.get(card.uuid, card) for card in self._facts.gpus]

    def _free(self, memory_bytes: int | None = None) -> list[Card]:
        """The idle ones without those that are kept."""
        idle = self.idle(memory_bytes)
        return [card for card in idle if card.uuid not in self._kept] if self._kept else idle

    def _to_leave(self, cards: Sequence[Card]) -> frozenset[str]:
        """Those of some cards that may be among the ones that stay free for others: all that nobody has."""
        if not self.left:
            return frozenset()
        return frozenset(card.uuid for card in self.idle()) & {card.uuid for card in cards}

    def is_spent(self) -> bool:
        """Whether nothing is left that any waiting task could get."""
        if self.gpu_slots <= 0:
            return True
        if not self._is_shared:
            return not self._free()
        if self._asked is None:
            self._asked = {task.needs.memory_bytes for task in self._facts.waiting if task.needs.gpus_max}
        if self.left < len(self.idle()):
            return not any(map(self._free, self._asked))
        return all(len(self._to_leave(free)) == len(free) for free in map(self._free, self._asked))

    def choice(self, needs: Needs) -> list[Card] | None:
        """The cards that a task gets; None where they are not enough."""
        fit = candidates(needs, self._free(needs.memory_bytes))
        if len(fit) < needs.gpus_min:
            return None
        if not self._is_shared:
            return fit[: needs.gpus_max]
        to_leave = self._to_leave(fit)
        spare = max(0, len(self.idle()) - self.left)
        left = max(0, len(to_leave) - spare)
        wanted = selecting.grant(needs.gpus_min, needs.gpus_max, len(fit), left)
        if wanted < needs.gpus_min:
            return None
        chosen: list[Card] = []
        for card in selecting.in_order_of(fit, self._facts.terms.sharing.select, self._turn):
            if len(chosen) < wanted and (card.uuid not in to_leave or spare > 0):
                chosen.append(card)
                spare -= card.uuid in to_leave
        return chosen

    def grant(self, needs: Needs) -> Grant:
        """Give a task what it needs: nobody else gets it."""
        if needs.gpus_max == 0:
            self.cpu_slots -= 1
            return NOTHING
        chosen = sorted(self.choice(needs) or (), key=lambda card: card.index)
        parts = [self._facts.judge(card, needs.memory_bytes).reserve_bytes for card in chosen]
        known = [part for part in parts if part is not None]
        reserve_bytes = max(known) if known and len(known) == len(parts) else WHOLE
        self.gpu_slots -= 1
        self._give(chosen, reserve_bytes)
        return Grant(tuple(card.uuid for card in chosen), reserve_bytes)

    def _give(self, cards: Sequence[Card], reserve_bytes: int | None) -> None:
        if not self._is_shared:
            given = {card.uuid for card in cards}
            for memory_bytes, idle in self._admitted.items():
                self._admitted[memory_bytes] = [card for card in idle if card.uuid not in given]
            self._gone |= given
            return
        promise = Reserved(reserve_bytes, shown_bytes=0)
        for card in cards:
            self._given[card.uuid] = replace(card, reserved=(*card.reserved, promise))
        self._admitted.clear()
        self._turn = selecting.turn_after([card.index for card in cards], self._turn)

    def hold(self, task: Waiting) -> None:
        """Keep for a task that does not fit what is idle, and of the cards that tasks share as many as it lacks.

        What is free of a shared card would else go to small tasks for ever.  The ones with most to give are kept:
        what is free of them only grows.
        """
        needs = task.needs
        kept = {card.uuid for card in candidates(needs, self.idle(needs.memory_bytes))}
        if self._is_shared:
            lacking = max(1, needs.gpus_min + self.left - len(kept))
            parts = [
                card for card in candidates(needs, self._cards()) if card.uuid not in kept and _is_in_parts(card)
            ]
            parts.sort(key=lambda card: (-(unpromised_bytes(card) or 0), card.index))
            kept.update(card.uuid for card in parts[:lacking])
        self.held_by, self._kept = task, frozenset(kept)

    def counts(self, memory_bytes: int | None) -> dict[str, int]:
        """How many cards are in each state; of those that are barred how many by each bar."""
        verdicts = [self._facts.judge(card, memory_bytes) for card in self._facts.gpus]
        states = [one.state for one in verdicts if one.bar is None]
        bars = [one.bar for one in verdicts if one.bar is not None]
        return {
            **{state.value: states.count(state) for state in GpuState},
            **{bar.value: bars.count(bar) for bar in Bar if bar in bars},
        }


def _is_in_parts(card: Card) -> bool:
    """Whether tasks have parts of it."""
    return bool(card.reserved) and card.is_competed and all(one.reserve_bytes is not WHOLE for one in card.reserved)
