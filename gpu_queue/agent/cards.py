"""The node's GPUs as a policy judges them: as they were last read, with who holds what of them.

Nothing here waits for a driver.  Whoever needs a reading of this moment demands it and judges again when it is there;
a GPU that does not answer such a demand is not known, and so never free.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence, Set

from gpu_queue.agent.agenda import Agenda, Duty
from gpu_queue.agent.tenants import Others, Tenants
from gpu_queue.gpus.devices import ComputeMode, Gpu, Health, Readings
from gpu_queue.gpus.leases import Footprint, Lease, Room
from gpu_queue.scheduling.admission import Card, Reserved
from gpu_queue.scheduling.promises import shown_bytes, taken_bytes
from gpu_queue.scheduling.tenancy import Tenant
from gpu_queue.states import GpuState

READ_AGAIN_S = 0.05
FRESH_S = 0.05
"""A GPU is given by a reading no older."""
ANSWERED_FOR_S = 1.0
"""An answer to a demand counts as long as that: a busy agent may come late to it."""
FOREIGN_TICK_S = 0.2
"""So often a GPU that others use is looked at while tasks wait."""
OVERDUE_S = 0.25
"""A GPU that has not answered a demand for so long is not known."""


_OURS, _ANOTHERS = Reserved(), Reserved(is_ours=False)
"""Of a whole card."""


class Cards:
    """The GPUs that one agent serves."""

    def __init__(self, devices: Readings, served: frozenset[str]) -> None:
        self._devices = devices
        self._served = served
        self._read_at = float("-inf")
        self.leased_elsewhere: dict[str, tuple[Lease, ...]] = {}
        """GPUs that other agents of this node have leased, or a part of them."""
        self.counted_elsewhere: Set[str] = frozenset()
        """Those of them whose time counts as theirs: where an agent of theirs came first."""
        self.fillers: Mapping[str, Footprint] = {}
        """The keep-alive workers of this node, and those that have just gone, by GPU."""
        self.everything: tuple[Gpu, ...] = ()
        """All GPUs of the node, served or not, as of the last reading."""
        self._watched: Set[str] = frozenset()
        self._clearing: Set[str] = frozenset()
        self._demanded: dict[str, float] = {}
        """Since when a reading of this moment is wanted of a GPU."""
        self._awaited: set[str] = set()
        """Those of them for which somebody waits."""
        self._answered: set[str] = set()
        self._held: Mapping[str, Sequence[Lease]] = {}
        self._before_bytes: dict[str, dict[str, int]] = {}
        """What was used of GPUs when tries were first seen on them, by the names of their claims."""
        self.expects_tasks = False
        """Something may be about to start."""
        self.tenants: Tenants | None = None
        """Who else is there, where others may be: on a shared server."""

    # -- how they are read ------------------------------------------------------------------------------------------

    def watch(self, fillers: Set[str], clearing: Set[str]) -> None:
        """Look more closely at the GPUs with fillers of ours, and at those that a filler makes place on."""
        self._watched, self._clearing = fillers, clearing
        self._attend()

    def _attend(self) -> None:
        sampled = self.tenants.sampled if self.tenants is not None else frozenset()
        self._devices.attend(self._watched, self._clearing | self._demanded.keys(), sampled)

    def demand(self, uuids: Iterable[str], now: float, at_most_s: float = FRESH_S) -> bool:
        """Whether the readings of these GPUs are no older; the others are read at once, of which there is news."""
        old = [uuid for uuid in uuids if self._is_old(uuid, now, at_most_s)]
        self._awaited.update(old)
        return not self._hurry(old, now)

    def may_be_given(self, uuids: Iterable[str], now: float, agenda: Agenda) -> bool:
        """Whether the plan for these GPUs was made by readings of this moment; else it is to be made anew."""
        is_known = self.tenants is None or self.tenants.may_be_given(uuids, now, agenda)
        self._attend()
        if self.demand(uuids, now):
            return is_known
        agenda.want(Duty.PLAN, now + OVERDUE_S)  # their answer comes sooner, or they are unknown
        return False

    def watch_foreign(self, states: Mapping[str, GpuState], now: float, agenda: Agenda) -> None:
        """Tasks wait: plan again when others may have left GPUs, for nobody tells when memory becomes free."""
        foreign = [uuid for uuid, state in states.items() if state is GpuState.FOREIGN]
        if self.tenants is not None:
            waited = self.tenants.watch(states, now, agenda)
            foreign = [uuid for uuid in foreign if uuid in waited]
            self._attend()
        if foreign:
            self.demand(foreign, now, FOREIGN_TICK_S)
            agenda.want(Duty.PLAN, now + FOREIGN_TICK_S)

    def _expect_demand(self, now: float) -> None:
        """Have the GPUs that nobody holds read while the storage is asked what is to start."""
        uuids = self._served - self._held.keys() - self.leased_elsewhere.keys()
        self._hurry([uuid for uuid in uuids if now - self._devices.read_at(uuid) > FRESH_S], now)

    def _is_old(self, uuid: str, now: float, at_most_s: float) -> bool:
        if uuid in self._answered:
            self._answered.discard(uuid)
            at_most_s = max(at_most_s, ANSWERED_FOR_S)
        return now - self._devices.read_at(uuid) > at_most_s

    def _hurry(self, uuids: Collection[str], now: float) -> bool:
        for uuid in uuids:
            self._demanded.setdefault(uuid, now)
        if uuids:
            self._attend()
        return bool(uuids)

    def hear(self, now: float, agenda: Agenda) -> None:
        """Take what was read since this was called last, and want what follows."""
        if self.expects_tasks:
            self.expects_tasks = False
            self._expect_demand(now)
        if self.tenants is not None:
            self.tenants.advance(now, agenda)
            self._attend()
        news = self._devices.take_news()
        if not news:
            return
        self._read_at = float("-inf")
        answered = {uuid for uuid in self._demanded.keys() & news if self._is_answered(uuid)}
        for uuid in answered:
            del self._demanded[uuid]
        awaited = answered & self._awaited
        self._answered |= awaited
        self._awaited -= awaited
        self._attend()
        if awaited:
            agenda.want(Duty.PLAN)
        if news & (self._watched | self._clearing):
            agenda.want(Duty.KEEP)

    def _is_answered(self, uuid: str) -> bool:
        return self._devices.read_at(uuid) >= self._demanded[uuid]

    def is_overdue(self, uuid: str, now: float) -> bool:
        """Whether a GPU does not answer a demand."""
        return now - self._demanded.get(uuid, now) > OVERDUE_S

    # -- what they are ----------------------------------------------------------------------------------------------

    def read(self, now: float) -> tuple[Gpu, ...]:
        """The served GPUs."""
        if now - self._read_at > READ_AGAIN_S:
            self.everything = self._devices.snapshot()
            self._read_at = now
            if self.tenants is not None:
                self.tenants.read([gpu for gpu in self.everything if gpu.uuid in self._served], now)
        return tuple(gpu for gpu in self.everything if gpu.uuid in self._served)

    def note_leases(self, leases: Mapping[str, tuple[Lease, ...]], ours: Mapping[str, Sequence[Lease]]) -> None:
        """Note what other agents of this node have leased; taking a GPU is checked again."""
        self.leased_elsewhere = {}
        for uuid, some in leases.items():
            own = _claims(ours.get(uuid, ()))
            if others := tuple(lease for lease in some if lease.claim not in own):
                self.leased_elsewhere[uuid] = others
        self.counted_elsewhere = {uuid for uuid, some in self.leased_elsewhere.items() if leases[uuid][0] == some[0]}

    @property
    def tasks_elsewhere(self) -> int:
        """So many tasks of other agents of this node have GPUs."""
        return len({lease.claim for some in self.leased_elsewhere.values() for lease in some})

    def facts(self, now: float, ours: Mapping[str, Sequence[Lease]]) -> list[Card]:
        """The served GPUs.

        Args:
            now: monotonic seconds.
            ours: what tries of this agent hold.
        """
        before = ((uuid, held, ours.get(uuid, ())) for uuid, held in self._held.items())
        freed = [uuid for uuid, held, held_now in before if held != held_now and _claims(held) - _claims(held_now)]
        self._held = ours
        if freed:  # what was read while they were held says nothing any more
            self.demand(freed, now, at_most_s=0.0)
        if self.tenants is not None:
            self.tenants.hold(ours.keys() | self.leased_elsewhere.keys() | self.fillers.keys(), now)
        return [self._card(gpu, now) for gpu in self.read(now)]

    def rooms(self, uuids: Iterable[str], now: float) -> dict[str, Room]:
        """What there is of the memory of GPUs that somebody is to get a part of; without those that are unknown.

        Args:
            uuids: the GPUs.
            now: monotonic seconds.
        """
        wanted = {gpu.uuid: gpu for gpu in self.read(now) if gpu.uuid in uuids}
        free = {uuid: self._free_bytes(gpu) for uuid, gpu in wanted.items()}
        return {uuid: Room(left, self._shown(wanted[uuid])) for uuid, left in free.items() if left is not None}

    def taken(self, uuid: str) -> dict[str, int]:
        """What each try has taken of the memory of a GPU, by the name of its claim, as far as that can be told."""
        return next((self._taken(gpu) for gpu in self.everything if gpu.uuid == uuid), {})

    def _holders(self, uuid: str) -> list[Lease]:
        return [*self._held.get(uuid, ()), *self.leased_elsewhere.get(uuid, ())]

    def _taken(self, gpu: Gpu) -> dict[str, int]:
        claims, before = _claims(self._holders(gpu.uuid)), self._before_bytes.get(gpu.uuid, {})
        return taken_bytes(claims, self._tenants(gpu.uuid), self._others_bytes(gpu), before)

    def _shown(self, gpu: Gpu) -> dict[str, int]:
        reserved = {lease.claim: lease.reserve_bytes for lease in self._holders(gpu.uuid)}
        return shown_bytes(reserved, self._taken(gpu), self._tenants(gpu.uuid), self._others_bytes(gpu))

    def _tenants(self, uuid: str) -> tuple[Tenant, ...] | None:
        return None if self.tenants is None else self.tenants.on(uuid)

    def _others_bytes(self, gpu: Gpu) -> int | None:
        used_bytes, filler = gpu.memory_used_bytes, self.fillers.get(gpu.uuid)
        return used_bytes if used_bytes is None or filler is None else filler.others_bytes(used_bytes)

    def _free_bytes(self, gpu: Gpu) -> int | None:
        """What nobody uses but the keep-alive, which leaves when a task comes."""
        used_bytes, others_bytes = gpu.memory_used_bytes, self._others_bytes(gpu)
        if gpu.memory_free_bytes is not None:
            fillers_bytes = 0 if used_bytes is None or others_bytes is None else used_bytes - others_bytes
            return gpu.memory_free_bytes + fillers_bytes
        if gpu.memory_total_bytes is None or others_bytes is None:
            return None
        return gpu.memory_total_bytes - others_bytes

    def _reserved(self, gpu: Gpu) -> tuple[Reserved, ...]:
        holders = self._holders(gpu.uuid)
        if not holders:
            self._before_bytes.pop(gpu.uuid, None)
            return ()
        are_parts = any(one.reserve_bytes is not None for one in holders)
        if not are_parts and self.tenants is None:  # a dedicated node plans often
            return (_OURS if gpu.uuid in self._held else _ANOTHERS,) * len(holders)
        self._note_before(gpu, holders)
        ours, shown = _claims(self._held.get(gpu.uuid, ())), self._shown(gpu) if are_parts else {}
        # Beside a process on such a card no other one begins: whoever has a part of it has all of it.
        is_alone = gpu.compute_mode is ComputeMode.EXCLUSIVE_PROCESS
        parts = {one.claim: None if is_alone else one.reserve_bytes for one in holders}
        return tuple(Reserved(parts[one.claim], one.claim in ours, shown.get(one.claim)) for one in holders)

    def _note_before(self, gpu: Gpu, holders: Sequence[Lease]) -> None:
        before = self._before_bytes.get(gpu.uuid, {})
        if len(before) == len(holders) and all(one.claim in before for one in holders):
            return
        used_bytes = self._others_bytes(gpu)
        now = {claim: before.get(claim, used_bytes) for claim in _claims(holders)}
        self._before_bytes[gpu.uuid] = {claim: size for claim, size in now.items() if size is not None}

    def _card(self, gpu: Gpu, now: float) -> Card:
        others = self.tenants.of(gpu) if self.tenants is not None else Others()
        return Card(
            gpu.uuid,
            gpu.index,
            memory_total_bytes=gpu.memory_total_bytes,
            memory_used_bytes=gpu.memory_used_bytes,
            memory_free_bytes=self._free_bytes(gpu),
            others_bytes=self._others_bytes(gpu),
            utilization_percent=others.utilization_percent,
            tells_utilization=others.tells_utilization,
            reserved=self._reserved(gpu),
            has_user_python=others.has_user_python,
            has_stranger=others.has_stranger,
            is_competed=others.is_competed,
            is_lost=gpu.health is Health.LOST,
            is_known=gpu.health is Health.OK and not self.is_overdue(gpu.uuid, now),
        )

    def is_empty(self, uuid: str, now: float, at_most_bytes: int) -> bool:
        """Whether nobody holds memory on a GPU worth mentioning, at this moment."""
        if not self.demand([uuid], now):
            return False
        gpus = [gpu for gpu in self.read(now) if gpu.uuid == uuid]
        return all(_is_empty(gpu, at_most_bytes) for gpu in gpus)


def _claims(leases: Iterable[Lease]) -> set[str]:
    return {lease.claim for lease in leases}


def _is_empty(gpu: Gpu, at_most_bytes: int) -> bool:
    if gpu.health is not Health.OK:
        return False
    return gpu.memory_used_bytes is None or gpu.memory_used_bytes <= at_most_bytes
