"""The cards of a shared server as others use them: read, looked at, and told to whoever judges cards.

- Nothing here waits.  Readings are those of ``Cards``; processes are looked at by the lookout's thread, each
  ``check_time``, whenever memory came or went that is not explained, and before a card is given.
- A card is given only when its last readings are complete and a look is no older than ``FRESH_S``: until then they
  are asked for, and the plan is made anew when they are there.
- While a task could have cards that are idle, or waits for such as others use, these are read at a high frequency.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace

from gpu_queue.agent.agenda import Agenda, Duty
from gpu_queue.agent.lookout import Lookout
from gpu_queue.gpus.devices import ComputeMode, Gpu, Readings
from gpu_queue.scheduling.tenancy import (
    CHANGED_BYTES,
    EVERY_S,
    PATIENCE,
    Competing,
    Look,
    Tenant,
    Watched,
    competing,
    left_behind,
)
from gpu_queue.sharing import Sharing
from gpu_queue.states import GpuState
from gpu_queue.texts import printable

UNSEEN = "others are seen by memory and utilisation alone, and other Python processes of yours keep no task off a GPU"
"""What follows where process lists cannot be read."""
FRESH_S = 1.0
"""A card is given by a look at its processes that ended no longer ago: what a slow driver takes for one is no age."""
SAMPLED_FOR_S = 1.0
"""Who wants cards sampled says so again within this time."""


@dataclass(frozen=True)
class Others:
    """What is known of others on one card: fields of ``admission.Card``."""

    utilization_percent: tuple[int, ...] = ()
    tells_utilization: bool = True
    has_user_python: bool | None = None
    has_stranger: bool = False
    is_competed: bool = True


def _drawn() -> int:
    return random.randrange(PATIENCE + 1)  # noqa: S311


class Tenants:
    """Who else is on the cards that one agent serves."""

    def __init__(
        self,
        lookout: Lookout,
        devices: Readings,
        served: frozenset[str],
        sharing: Callable[[], Sharing],
        say: Callable[[str], None],
        draw: Callable[[], int] = _drawn,
    ) -> None:
        """Know nothing yet.

        Args:
            lookout: sees processes.
            devices: tell when cards were read.
            served: UUIDs of the cards that are judged.
            sharing: what the owner wants at the moment.
            say: tells people.
            draw: a number from 0 to ``PATIENCE``.
        """
        self._lookout = lookout
        self._devices = devices
        self._sharing = sharing
        self._say = say
        self._watched = {uuid: Watched(lookout.uid, draw) for uuid in served}
        self._held: Set[str] = frozenset()
        self._competing = Competing((), ())
        self._competing_of: tuple[Sharing, Sequence[Gpu]] = sharing(), ()
        """What it was made from."""
        self._judged = Look(float("-inf"), float("-inf"), None)
        self._is_awaited = False
        """A plan waits for the next look."""
        self._sampled_at = float("-inf")
        self.sampled: Set[str] = frozenset()
        """Cards that are to be read at a high frequency."""
        self._said = ""
        self._now = float("-inf")
        """When cards were read last."""

    # -- the step ---------------------------------------------------------------------------------------------------

    def advance(self, now: float, agenda: Agenda) -> None:
        """Take the last look, and have the next one made."""
        last = self._lookout.last(now)
        if last is not None and last is not self._judged:
            self._judge(last)
            if self._is_awaited:
                self._is_awaited = False
                agenda.want(Duty.PLAN)
        is_open = any(one.wants_look(now) for one in self._watched.values())
        self._lookout.look(now, 0.0 if is_open else self._sharing().check_time_s)
        if now - self._sampled_at > SAMPLED_FOR_S:
            self.sampled = frozenset()

    def _judge(self, look: Look) -> None:
        self._judged = look
        for uuid, watched in self._watched.items():
            watched.see(look, None if look.tenants is None else look.tenants.get(uuid))
        if look.problem != self._said:
            self._said = look.problem
            if look.problem:
                self._say(f"{look.problem}; {UNSEEN}")

    # -- readings ---------------------------------------------------------------------------------------------------

    def hold(self, held: Set[str], now: float) -> None:
        """Note on which cards a task or a filler of this user is, whichever agent's.

        Args:
            held: their UUIDs.
            now: monotonic seconds.
        """
        for uuid in (self._held - held) & self._watched.keys():
            self._watched[uuid].begin_anew(now)
        self._held = held

    def read(self, gpus: Sequence[Gpu], now: float) -> None:
        """Take a reading of the served cards.

        Args:
            gpus: they, in the node's order.
            now: monotonic seconds.
        """
        self._now = now
        self._note_competing(self._sharing(), gpus)
        for gpu in gpus:
            if gpu.uuid not in self._held:
                self._add(gpu, self._watched[gpu.uuid])

    def _add(self, gpu: Gpu, watched: Watched) -> None:
        read_at, sampled_at = self._devices.read_at(gpu.uuid), self._devices.sampled_at(gpu.uuid)
        if gpu.memory_used_bytes is not None and read_at > float("-inf"):
            watched.add_memory(min(self._now, read_at), gpu.memory_used_bytes)
        if sampled_at > float("-inf"):
            watched.add(min(self._now, sampled_at), gpu.utilization_percent)

    def _competed(self) -> tuple[str, ...]:
        """UUIDs of the cards that tasks may have, by the settings of this moment; these change between readings."""
        sharing, (noted, gpus) = self._sharing(), self._competing_of
        if sharing != noted:
            self._note_competing(sharing, gpus)
        return self._competing.competed

    def _note_competing(self, sharing: Sharing, gpus: Sequence[Gpu]) -> None:
        self._competing_of = sharing, gpus
        found = cards_for_tasks(gpus, sharing)
        if found.unknown and found.unknown != self._competing.unknown:
            names = ", ".join(map(printable, found.unknown))
            self._say(f"compete_gpus: {names}: no GPU that is served here, and passed over")
        self._competing = found

    def sample(self, uuids: Iterable[str], now: float) -> None:
        """Have cards read at a high frequency from now on, for a while."""
        self.sampled, self._sampled_at = frozenset(uuids) - self._held, now

    # -- what follows -----------------------------------------------------------------------------------------------

    def on(self, uuid: str) -> tuple[Tenant, ...] | None:
        """The processes on a card at the last look; None: it cannot be told."""
        return None if self._judged.tenants is None else self._judged.tenants.get(uuid)

    def of(self, gpu: Gpu) -> Others:
        """What is known of others on a card, as of the last reading."""
        watched, found = self._watched[gpu.uuid], self.on(gpu.uuid)
        python = watched.keeps_python or (None if found is None else False)
        is_held, now = gpu.uuid in self._held, self._now
        if found and not is_held and not watched.was_ours(self._judged.began_at):
            python = python or left_behind(found, self._lookout.uid)
        return Others(
            utilization_percent=watched.utilization(now),
            tells_utilization=not gpu.is_mig and not is_held,
            has_user_python=python,
            has_stranger=watched.has_stranger(now) or (not is_held and _is_locked(gpu, found)),
            is_competed=gpu.uuid in self._competed(),
        )

    def is_settling(self, uuid: str) -> bool:
        """Whether a task of ours has left a card a moment ago, as of the last reading."""
        return self._watched[uuid].is_settling(self._now)

    def may_be_given(self, uuids: Iterable[str], now: float, agenda: Agenda) -> bool:
        """Whether the plan for these cards was made by complete readings and a look of this moment; else anew.

        Args:
            uuids: the cards.
            now: monotonic seconds.
            agenda: is told when to plan again.
        """
        uuids = list(uuids)
        if not uuids:
            return True
        is_fresh = now - self._judged.ended_at <= FRESH_S
        if not is_fresh:
            self._lookout.look(now, FRESH_S)
        if is_fresh and all(self._watched[uuid].is_complete(now) or uuid in self._held for uuid in uuids):
            return True
        self._is_awaited = self._is_awaited or not is_fresh
        self.sample(self._competed(), now)
        agenda.want(Duty.PLAN, now + EVERY_S)
        return False

    def watch(self, states: Mapping[str, GpuState], now: float, agenda: Agenda) -> Set[str]:
        """Tasks wait: read what others use at a high frequency, and plan again when they may have gone.

        Returns:
            Those of the cards that a task could have.
        """
        waited = {uuid for uuid in self._competed() if states.get(uuid) in _MAY_BECOME_FREE}
        if waited:
            self.sample(waited | self.sampled, now)
            agenda.want(Duty.PLAN, now + EVERY_S)
        return waited


_MAY_BECOME_FREE = frozenset({GpuState.FOREIGN, GpuState.UNKNOWN})


def _is_locked(gpu: Gpu, tenants: Sequence[Tenant] | None) -> bool:
    """Whether somebody's context keeps all others off a card that no task of ours holds."""
    if gpu.compute_mode is not ComputeMode.EXCLUSIVE_PROCESS:
        return False
    if gpu.memory_used_bytes is None or gpu.memory_used_bytes >= CHANGED_BYTES:
        return True
    return any(one.claim is None for one in tenants or ())  # what was a task's at the last look may have ended


def cards_for_tasks(served: Sequence[Gpu], sharing: Sharing) -> Competing:
    """Which of the served cards tasks may have: of those that are competed for not such as nobody may use.

    Args:
        served: them, in the node's order.
        sharing: what the owner wants.
    """
    barred = {gpu.uuid for gpu in served if gpu.compute_mode is ComputeMode.PROHIBITED}
    found = competing(served, sharing)
    return replace(found, competed=tuple(uuid for uuid in found.competed if uuid not in barred))
