"""Tasks that use GPUs that are not theirs: noticed, and told in their logs and by ``gpu_explain``.

A script may set CUDA_VISIBLE_DEVICES itself, and a launcher may ignore it; whose GPU it then uses pays for that.  It
is only told: what is seen of processes is best effort, and nobody is ended for it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gpu_queue.agent.cards import Cards
from gpu_queue.agent.livetry import LiveTry
from gpu_queue.agent.surroundings import Surroundings
from gpu_queue.agent.tries import Tries
from gpu_queue.execution.processes import claim_of, read_process
from gpu_queue.gpus.processes import GpuProcesses, are_ours_to_know, processes_of
from gpu_queue.gpus.simulated import STATE_FILE_VARIABLE
from gpu_queue.node.storage import Errand, Failed
from gpu_queue.spool import growing
from gpu_queue.texts import printable

LOOK_EVERY_S = 30.0
"""The question stalls whoever launches kernels for milliseconds."""
FIRST_LOOK_S = 5.0
"""After the agent's start: tasks of a former one may run for hours already."""


@dataclass(frozen=True)
class User:
    """A process that uses GPUs, and carries the mark of a try."""

    pid: int
    name: str
    claim: str
    """The claim's name."""


Uses = Mapping[str, tuple[User, ...]]
"""By UUID of the GPU."""


def judge(uses: Uses, leased: Mapping[str, frozenset[str]]) -> dict[str, dict[str, User]]:
    """Which tries use GPUs that are not theirs, with a process for each GPU.  Pure.

    Args:
        uses: what was seen.
        leased: the GPUs of each try that is in hand; of others nothing is known, which is nothing.
    """
    found: dict[str, dict[str, User]] = {}
    for uuid, users in uses.items():
        for user in users:
            if user.claim in leased and uuid not in leased[user.claim]:
                found.setdefault(user.claim, {}).setdefault(uuid, user)
    return found


def look(source: GpuProcesses) -> Uses | None:
    """Ask; None: it cannot be told.  May hang with the driver, or with one of the processes."""
    pids = source.gpu_processes()
    if pids is None or not are_ours_to_know(pids):
        return None
    uses = {}
    for uuid, some in pids.items():
        users = []
        for pid in some:
            process, claim = read_process(pid), claim_of(pid)
            if process is not None and claim is not None:
                users.append(User(pid, process.name, claim.rpartition("/")[2]))
        uses[uuid] = tuple(users)
    return uses


class Overreach:
    """Looks from time to time, in a thread of its own; one that hangs hangs alone, and there is no second one."""

    def __init__(
        self, around: Surroundings, tries: Tries, cards: Cards, now: float, every_s: float = LOOK_EVERY_S
    ) -> None:
        """Look at nothing yet.

        Args:
            around: whose devices tell of processes, and whose logs and records are written to.
            tries: what runs here.
            cards: what GPUs are called.
            now: monotonic seconds.
            every_s: between two looks.
        """
        self._spool = around.spool
        self._tries = tries
        self._cards = cards
        self._source = processes_of(around.devices.kind, around.environment.get(STATE_FILE_VARIABLE))
        self._say = around.say
        self._every_s = every_s
        self._looked_at = now - every_s + FIRST_LOOK_S
        self._thread: threading.Thread | None = None
        self._seen: Uses | None = None
        self._told: set[tuple[str, str]] = set()
        """Claims and GPUs."""
        self._notes: Errand[None] = Errand(around.storage, "note", around.say)

    def due(self, now: float) -> float:  # noqa: ARG002
        """When the next look is."""
        # One that hangs is not waited for.
        return self._looked_at + self._every_s if self._thread is None and self._running() else float("inf")

    def advance(self, now: float) -> None:
        """Look, if it is due, and tell what the last look has found."""
        if self._thread is not None:
            if self._thread.is_alive():
                return
            self._thread = None
            self._tell(self._seen or {})
        running = self._running()
        if now - self._looked_at < self._every_s or not running:
            return
        self._looked_at = now
        self._thread = threading.Thread(target=self._look, name="gpu processes", daemon=True)
        self._thread.start()

    def _look(self) -> None:
        self._seen = None
        self._seen = look(self._source)

    def _running(self) -> dict[str, LiveTry]:
        return {one.name: one for one in self._tries.live.values() if one.is_running and one.started_wall_s}

    def _tell(self, uses: Uses) -> None:
        running = self._running()
        self._told = {key for key in self._told if key[0] in running}
        for name, by_gpu in judge(uses, {name: frozenset(one.gpus) for name, one in running.items()}).items():
            news = [uuid for uuid in by_gpu if (name, uuid) not in self._told]
            if news:
                self._told |= {(name, uuid) for uuid in news}
                self._note(running[name], by_gpu)

    def _note(self, one: LiveTry, by_gpu: Mapping[str, User]) -> None:
        theirs = self._indices(by_gpu)
        own = self._indices(one.gpus)
        user = next(iter(by_gpu.values()))
        has = f"it has {own}" if own else "it has none"
        who = f"process {user.pid} ({printable(user.name)})"
        text = (
            f"it uses GPU {theirs}, which it was not given ({has}): {who}. Another task may have it: let the script "
            "leave CUDA_VISIBLE_DEVICES as it is, or ask for the GPUs that it uses"
        )
        self._say(f"{one.name}: {text}")
        one.facts["reason"] = text
        facts, log = dict(one.facts), self._spool.paths.log(one.claim)

        def call() -> None:
            growing.append(log, f"==== {text}\n".encode("utf-8", "surrogateescape"))
            self._spool.transitions.runs(one.claim, facts, None)

        def done(result: Failed | None) -> None:
            if isinstance(result, Failed):
                self._say(f"{one.name}: its log could not be written to ({result})")

        self._notes.send(call, done, key=one.name)

    def _indices(self, uuids: Iterable[str]) -> str:
        wanted = set(uuids)
        return ", ".join(str(gpu.index) for gpu in self._cards.everything if gpu.uuid in wanted)
