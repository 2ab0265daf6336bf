"""Tasks that use GPUs that are not theirs: noticed, and told in their logs and by ``gpu_explain``.

A script may set CUDA_VISIBLE_DEVICES itself, and a launcher may ignore it; whose GPU it then uses pays for that.  It
is only told: what is seen of processes is best effort, and nobody is ended for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gpu_queue.agent.cards import Cards
from gpu_queue.agent.livetry import LiveTry
from gpu_queue.agent.lookout import Lookout
from gpu_queue.agent.notes import Notes
from gpu_queue.agent.tries import Tries
from gpu_queue.scheduling.tenancy import ByCard, Tenant
from gpu_queue.texts import printable

LOOK_EVERY_S = 30.0
"""The question stalls whoever launches kernels for milliseconds."""
FIRST_LOOK_S = 5.0
"""After the agent's start: tasks of a former one may run for hours already."""


def judge(tenants: ByCard, leased: Mapping[str, frozenset[str]]) -> dict[str, dict[str, Tenant]]:
    """Which tries use GPUs that are not theirs, with a process for each GPU.  Pure.

    Args:
        tenants: what was seen.
        leased: the GPUs of each try that is in hand; of others nothing is known, which is nothing.
    """
    found: dict[str, dict[str, Tenant]] = {}
    for uuid, some in tenants.items():
        for one in some:
            if one.claim is not None and one.claim in leased and uuid not in leased[one.claim]:
                found.setdefault(one.claim, {}).setdefault(uuid, one)
    return found


class Overreach:
    """Judges what the lookout sees, of which it wants to know from time to time."""

    def __init__(
        self,
        tries: Tries,
        cards: Cards,
        lookout: Lookout,
        notes: Notes,
        now: float,
        every_s: float = LOOK_EVERY_S,
    ) -> None:
        """Look at nothing yet.

        Args:
            tries: what runs here.
            cards: what GPUs are called.
            lookout: who sees their processes.
            notes: where it is told.
            now: monotonic seconds.
            every_s: between two looks.
        """
        self._tries = tries
        self._cards = cards
        self._lookout = lookout
        self._every_s = every_s
        self._looked_at = now - every_s + FIRST_LOOK_S
        self._is_awaited = False
        self._told: set[tuple[str, str]] = set()
        """Claims and GPUs."""
        self._notes = notes

    def due(self, now: float) -> float:  # noqa: ARG002
        """When the next look is."""
        # One that hangs is not waited for: the lookout wakes the agent.
        return self._looked_at + self._every_s if not self._is_awaited and self._running() else float("inf")

    def advance(self, now: float) -> None:
        """Have a look made, if it is due, and tell what it has found."""
        if self._is_awaited and not self._lookout.is_out:
            self._is_awaited = False
            look = self._lookout.last(now)
            self._tell(look.tenants or {} if look is not None else {})
        if self._is_awaited or now - self._looked_at < self._every_s or not self._running():
            return
        self._looked_at = now
        self._is_awaited = True
        self._lookout.look(now, at_most_s=0.0)

    def _running(self) -> dict[str, LiveTry]:
        return {one.name: one for one in self._tries.live.values() if one.is_running and one.started_wall_s}

    def _tell(self, tenants: ByCard) -> None:
        running = self._running()
        self._told = {key for key in self._told if key[0] in running}
        for name, by_gpu in judge(tenants, {name: frozenset(one.gpus) for name, one in running.items()}).items():
            news = [uuid for uuid in by_gpu if (name, uuid) not in self._told]
            if news:
                self._told |= {(name, uuid) for uuid in news}
                self._note(running[name], by_gpu)

    def _note(self, one: LiveTry, by_gpu: Mapping[str, Tenant]) -> None:
        theirs = self._indices(by_gpu)
        own = self._indices(one.gpus)
        user = next(iter(by_gpu.values()))
        has = f"it has {own}" if own else "it has none"
        who = f"process {user.pid} ({printable(user.name)})"
        text = (
            f"it uses GPU {theirs}, which it was not given ({has}): {who}. Another task may have it: let the script "
            "leave CUDA_VISIBLE_DEVICES as it is, or ask for the GPUs that it uses"
        )
        self._notes.tell(one, text)

    def _indices(self, uuids: Iterable[str]) -> str:
        wanted = set(uuids)
        return ", ".join(str(gpu.index) for gpu in self._cards.everything if gpu.uuid in wanted)
