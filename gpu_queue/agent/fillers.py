"""The keep-alive within the agent's step: what it is told of tasks, and what tasks and people are told of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

from gpu_queue.agent.cards import Cards
from gpu_queue.agent.tries import Tries
from gpu_queue.config import Settings
from gpu_queue.gpus.devices import ComputeMode, Gpu
from gpu_queue.gpus.leases import Footprint, Leases
from gpu_queue.keepalive.keeper import KeepState, Rules
from gpu_queue.keepalive.ledger import EnergySample, Kind, joules_between, parse_ledger
from gpu_queue.keepalive.supervisor import CardFacts, Host, Supervisor
from gpu_queue.scheduling.facts import Phase
from gpu_queue.sharing import Mode
from gpu_queue.spool.pages import KeepPage
from gpu_queue.units import format_duration, format_size

LEASES_EVERY_S = 1.0
COUNT_EVERY_S = 1.0
LEDGER_EVERY_S = 60.0
MPS_EVERY_S = 10.0
CLEAR_WITHIN_S = 15.0
"""A task that waits longer for its GPUs to be empty starts all the same."""
SUSPENDED_S = 60.0
"""A gap of this length between two steps is nobody's time: the machine slept."""


def rules_of(settings: Settings) -> Rules:
    """The keep-alive's rules out of the settings."""
    wanted = settings.keepalive
    return Rules(
        band=wanted.band,
        memory_fraction=wanted.memory_usage_target,
        engine=wanted.engine,
        hold_leased=wanted.hold_leased == "on" or (wanted.hold_leased == "auto" and settings.is_dedicated),
        hold_leased_after_s=wanted.hold_leased_after_s,
        quiet_s=wanted.quiet_before_s,
        foreign_bytes=settings.foreign_memory_bytes,
        is_dedicated=settings.is_dedicated,
    )


class Fillers:
    """One agent's keep-alive."""

    def __init__(
        self,
        host: Host,
        cards: Cards,
        leases: Leases,
        served: frozenset[str],
        settings: Settings,
        ledger: str | None,
        say: Callable[[str], None],
    ) -> None:
        self._cards = cards
        self._leases = leases
        self._find_mps = host.find_mps
        self._mps = ""
        self._mps_at = float("-inf")
        self._say = say
        self.supervisor = Supervisor(host, served, rules_of(settings))
        self._fillers: dict[str, Footprint] = {}
        """Those that live on this node, ours and other agents'."""
        self._leases_at = float("-inf")
        self.leases_are_old = True
        """Another agent may have taken a GPU."""
        self._met_filler: set[str] = set()
        """GPUs that a task waits for and on which another agent's worker was."""
        self._said_locked: set[str] = set()
        """GPUs of which the log was told that their task waits for the end of a worker."""
        self.has_ledger = ledger is not None
        """What earlier agents counted could be read, so that it may be written anew."""
        if not self.has_ledger:
            say("the ledger of this node cannot be read; this agent adds nothing to it")
        self.ledger = parse_ledger(ledger or "")
        self._counted: dict[str, EnergySample] = {}
        self._counted_at: float | None = None
        self.ledger_at = 0.0
        """When the ledger was handed to the storage last."""
        self._settings = settings
        self._rest = self._off_by = ""
        self._begins_anew = False

    # -- the step ------------------------------------------------------------------------------------------------

    def step(self, now: float, tries: Tries, phase: Phase, settings: Settings, switched_off: str | None) -> None:
        """Observe, judge, act.

        Args:
            now: monotonic seconds.
            tries: whose GPUs are not to be touched.
            phase: what the agent is up to.
            settings: of this moment.
            switched_off: who switched it off by a command; None: nobody.
        """
        self.ask_leases(now, tries)
        if settings is not self._settings:
            self._settings = settings
            self.supervisor.obey(rules_of(settings))
        rest, self._off_by = _rest(phase, settings, switched_off)
        rest = rest or self._rest_for_mps(now)
        self._begins_anew = self._begins_anew and not self.supervisor.is_empty
        if self._begins_anew:
            rest = rest or "its place on this node is taken anew"
        if self._rest and not rest:
            self.supervisor.try_again()
        self._rest = rest
        holders = {
            uuid: (one.directory.path, one.is_running and one.why is None)
            for one in tries.live.values()
            if one.holds_gpus and not one.is_assembling  # until their task begins they are kept busy
            for uuid in one.gpus
        }
        gpus = self._cards.read(now)
        before = self._ours()
        self.supervisor.step(now, self._facts(gpus, holders), rest)
        for uuid in before - self._ours():  # the end of a worker frees its place
            self._fillers.pop(uuid, None)
        self._tell_cards()
        self._cards.watch(self._ours(), self.supervisor.clearing)
        if self._counted_at is None or now - self._counted_at >= COUNT_EVERY_S:
            self._count(gpus, set(holders), now)

    def _rest_for_mps(self, now: float) -> str:
        """Why nothing is held where processes share a context by MPS; empty: they do not."""
        if now - self._mps_at >= MPS_EVERY_S:
            self._mps, self._mps_at = self._find_mps(), now
        if not self._mps:
            return ""
        return f"MPS serves this node ({self._mps}), and a filler that is killed there may disturb all others"

    def begin_anew(self) -> None:
        """Have every worker leave and come again: what tells other agents of them was removed."""
        self._begins_anew = self.leases_are_old = True

    def _ours(self) -> set[str]:
        return {uuid for uuid in self.supervisor.keepers if self.supervisor.has_worker(uuid)}

    def _tell_cards(self) -> None:
        """Whose memory is whose; of our own fillers we know more than what other agents are told."""
        ours = {
            uuid: keeper.footprint
            for uuid, keeper in self.supervisor.keepers.items()
            if self.supervisor.has_worker(uuid) or not keeper.is_clear
        }
        self._cards.fillers = self._fillers | ours

    def _facts(self, gpus: tuple[Gpu, ...], holders: dict[str, tuple[str, bool]]) -> Iterator[CardFacts]:
        for gpu in gpus:
            holder, runs = holders.get(gpu.uuid, ("", False))
            if not holder and gpu.uuid in self._cards.leased_elsewhere:
                holder = "another agent"
            yield CardFacts(gpu, holder, runs, gpu.uuid in self._fillers)

    def ask_leases(self, now: float, tries: Tries) -> None:
        """Read what other agents of this node have, and where workers live."""
        if not self.leases_are_old and now - self._leases_at < LEASES_EVERY_S:
            return
        self._leases_at, self.leases_are_old = now, False
        try:
            leases, self._fillers = self._leases.look()
            self._cards.note_leases(leases, tries.holdings.gpus(settling_too=True))
        except OSError as error:  # what was known stays; taking a GPU is refused the same way
            self._say(f"the node's own directory: {error}")
        self._tell_cards()

    # -- giving GPUs to tasks -------------------------------------------------------------------------------------

    def are_clear(self, uuids: tuple[str, ...], since: float, now: float) -> bool:
        """Whether a task that has a lease on these GPUs may start: no worker lives on them, their memory is back.

        Args:
            uuids: its GPUs.
            since: when it began to wait.
            now: monotonic seconds, as ``since``.
        """
        if not uuids:
            return True
        try:
            fillers = self._leases.fillers()
        except OSError:
            fillers = self._fillers
        open_ones = [uuid for uuid in uuids if not self._is_clear(uuid, fillers, now)]
        if open_ones and (now - since < CLEAR_WITHIN_S or self._are_locked(open_ones, fillers)):
            return False
        late = [uuid for uuid in uuids if uuid in open_ones or self.supervisor.is_late(uuid)]
        for gpu in self._cards.everything:
            if gpu.uuid in late:
                used = "an unknown part" if gpu.memory_used_bytes is None else format_size(gpu.memory_used_bytes)
                waited = format_duration(now - since)
                self._say(
                    f"GPU {gpu.index}: {used} of its memory is in use {waited} after the keep-alive was told to "
                    "leave; the task starts all the same"
                )
        self._met_filler.difference_update(uuids)
        return True

    def _is_clear(self, uuid: str, fillers: Mapping[str, Footprint], now: float) -> bool:
        if not self.supervisor.is_clear(uuid):
            return False
        if uuid in fillers:
            self._met_filler.add(uuid)
            return False
        return uuid not in self._met_filler or self._cards.is_empty(uuid, now, self._settings.foreign_memory_bytes)

    def _are_locked(self, uuids: list[str], fillers: Mapping[str, Footprint]) -> bool:
        """Whether a worker lives on one of these GPUs that lets in one process alone: a task would fail there."""
        locked = [
            gpu
            for gpu in self._cards.everything
            if gpu.compute_mode is ComputeMode.EXCLUSIVE_PROCESS
            and gpu.uuid in uuids
            and (gpu.uuid in fillers or self.supervisor.has_worker(gpu.uuid))
        ]
        for gpu in locked:
            if gpu.uuid not in self._said_locked:
                self._say(f"GPU {gpu.index}: its task waits for the keep-alive to end; one process alone is let in")
        self._said_locked = (self._said_locked - set(uuids)) | {gpu.uuid for gpu in locked}
        return bool(locked)

    @property
    def is_empty(self) -> bool:
        """Whether no worker of ours is left."""
        return self.supervisor.is_empty

    @property
    def fd(self) -> int:
        """Readable when a worker has something to say."""
        return self.supervisor.fd

    def take_changed(self) -> bool:
        """Whether something has changed, since this was asked last, that people look for in the node file."""
        changed, self.supervisor.has_changed = self.supervisor.has_changed, False
        return changed

    @property
    def tick_s(self) -> float:
        """How long the agent may wait before the next step."""
        return self.supervisor.tick_s()

    # -- counting ------------------------------------------------------------------------------------------------

    def _count(self, gpus: tuple[Gpu, ...], held: set[str], now: float) -> None:
        seconds = 0.0 if self._counted_at is None else now - self._counted_at
        self._counted_at = now
        day = time.strftime("%Y-%m-%d")
        others = self._cards.counted_elsewhere | (self._fillers.keys() - self._ours())
        for gpu in gpus:
            sample = EnergySample(now, gpu.energy_j, gpu.power_w)
            before = self._counted.get(gpu.uuid)
            self._counted[gpu.uuid] = sample
            if before is None or not 0 < seconds < SUSPENDED_S or gpu.uuid in others:
                continue  # what other agents have is in their ledgers
            joules = joules_between(before, sample)
            self.ledger.add(day, gpu.uuid, gpu.name, gpu.index, self._kind(gpu.uuid, held), seconds, joules)

    def _kind(self, uuid: str, held: set[str]) -> Kind:
        if uuid in held:
            is_light = self.supervisor.has_worker(uuid) and self.supervisor.keepers[uuid].is_light
            return Kind.LIGHT if is_light else Kind.TASK
        return Kind.FILLER if self.supervisor.has_worker(uuid) else Kind.IDLE

    def ledger_text(self, now: float) -> str:
        """The whole ledger, to be written."""
        self.ledger_at = now
        self.ledger.drop_older(time.strftime("%Y-%m-%d"))
        return self.ledger.text()

    # -- telling -------------------------------------------------------------------------------------------------

    def page(self, gpu: Gpu) -> KeepPage | None:
        """What people are told of one GPU."""
        keeper = self.supervisor.keepers.get(gpu.uuid)
        if keeper is None:
            return None
        spent_j = self.ledger.filler_joules(time.strftime("%Y-%m-%d"), gpu.uuid)
        return KeepPage(
            keeper.state.value,
            keeper.reason,
            keeper.duty if keeper.state is KeepState.HOLDING else None,
            self.supervisor.held_bytes(gpu.uuid),
            keeper.is_open_loop,
            spent_j if gpu.energy_j is not None or gpu.power_w is not None else None,
            self._off_by if keeper.state is KeepState.OFF and keeper.reason == self._rest else "",
        )

    def close(self) -> None:
        """End everything that was started."""
        self.supervisor.close()


def _rest(phase: Phase, settings: Settings, switched_off: str | None) -> tuple[str, str]:
    """Why no GPU is to be kept busy now, and who switched it off; empty: they are, and nobody did."""
    if phase in (Phase.DRAINING, Phase.LEAVING):
        return "the agent is about to end", ""
    if settings.mode is Mode.SHARED:
        return "the server is shared with others (mode: shared)", "settings"
    if not settings.keepalive.enabled:
        return "switched off by the settings", "settings"
    if switched_off is not None:
        return f"switched off{f' by {switched_off}' if switched_off else ''}", "people"
    hours, local = settings.keepalive.quiet_hours, datetime.now()
    if hours.contains(local):
        until = hours.until(local)
        return f"quiet hours until {until}" if until else "quiet hours without end", ""
    return "", ""
