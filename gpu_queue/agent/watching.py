"""What an agent does about the other nodes of its spool: watch them, take over from the dead, put them away.

- The storage thread looks, ``scheduling.watch`` judges, the storage thread renames.  What was taken over stands in
  our directory as a try that has ended, and is settled like any other.
- Of nodes that are silent, and had a batch job, the cluster's scheduler is asked whether that has ended.
- Without watching, death is proven only inside one boot, pid namespace and local directory (the end of a node's name
  says whether they are the same): an agent that ran here under another ``--node-name``.  Its lock and those of its
  tries tell what lives; what is left of a dead try is ended before it goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gpu_queue.agent.agenda import NEVER, Agenda, Duty
from gpu_queue.agent.surroundings import Surroundings
from gpu_queue.agent.tries import Tries
from gpu_queue.agent.word import Word
from gpu_queue.config import Settings
from gpu_queue.execution import processes
from gpu_queue.execution.local import AgentDirectory
from gpu_queue.node.peers import PeerClaim, PeerSeen
from gpu_queue.node.storage import Errand, Failed
from gpu_queue.scheduling.cadence import BUSY
from gpu_queue.scheduling.recovery import NOBODY_KNOWS, ClaimFacts, Step, recover
from gpu_queue.scheduling.watch import (
    ClaimSeen,
    Judgement,
    NodeSeen,
    Round,
    Silent,
    Terms,
    Verdict,
    Watches,
    judge,
    observe,
    questions,
    silent,
    silent_s,
    told,
)
from gpu_queue.spool.paths import claim_name
from gpu_queue.spool.store import Moved
from gpu_queue.task import End, Why, short_name
from gpu_queue.units import format_duration

OLD_BEATS = 1.5
"""A node file that is so many beats old is a reason to look at the node's claims."""
ENDED_BEATS = 2.0
"""An owner that missed so many leaves the settling of its ended tries to others: a minute."""
GAP_S = 60.0
GAP_ROUNDS = 3
LEFTOVER_GRACE_S = 5.0
ENDING_TICK_S = 0.1


def terms_of(settings: Settings, *, is_local: bool) -> Terms:
    """How long what must stand still, by the settings.

    Args:
        settings: say it.
        is_local: only this host writes where the spool lies, and sees at once what is there.
    """
    gap_s = min(GAP_S, settings.takeover_after_s / 3)
    vouched_after_s = ENDED_BEATS * settings.beat_s + (0.0 if is_local else settings.cache_s)
    return Terms(
        takeover_after_s=settings.takeover_after_s,
        vouched_after_s=min(settings.takeover_after_s, vouched_after_s),
        ended_after_s=ENDED_BEATS * settings.beat_s,
        gap_s=max(gap_s, GAP_ROUNDS * BUSY["peers"] * settings.poll_s),
    )


@dataclass
class Clearing:
    """A dead try of our own machine whose processes are being ended."""

    node: str
    one: PeerClaim
    end: End
    ending: processes.Ending
    directory: AgentDirectory


class Watching:
    """Watches the other nodes for one agent."""

    def __init__(
        self,
        around: Surroundings,
        tries: Tries,
        agenda: Agenda,
        settings: Settings,
        clock: Callable[[], float],
    ) -> None:
        self._spool = spool = around.spool
        storage, say = around.storage, around.say
        self._agenda = agenda
        self._node_directory = around.node_directory
        self._home = around.home
        self._tries = tries
        self._settings = settings
        self._terms = terms_of(settings, is_local=spool.mount.is_local)
        self._say = say
        self._clock = clock
        self._cluster = around.allocation.cluster
        said = {name: one.text for name, one in around.elsewhere.conf.said.items()}
        self._word = Word(around.environment, said, say)
        self._watches = Watches()
        self._seen: dict[str, PeerSeen] = {}
        self._looks: Errand[dict[str, PeerSeen]] = Errand(
            storage,
            "peers",
            say,
            trouble="the other nodes could not be looked at",
            over="the other nodes can be looked at again",
        )
        self._takings: Errand[Moved] = Errand(storage, "take over", say)
        self._retirings: Errand[bool] = Errand(storage, "retire", say)
        self._clearings: dict[tuple[str, str], Clearing] = {}
        """By node and claim."""
        self._said: set[str] = set()

    def due(self, now: float) -> float:
        """When it is to be seen whether the processes of dead tries have ended."""
        return now + ENDING_TICK_S if self._clearings else NEVER

    def look(self) -> None:
        """Have the storage thread look at the other nodes."""
        old_after_s = OLD_BEATS * self._settings.beat_s
        suspects = frozenset(name for name in self._watches.nodes if silent_s(self._watches, name) >= old_after_s)
        began: list[float] = []

        def is_suspect(node: str) -> bool:
            return node in suspects or self._former(node) is not None

        def call() -> dict[str, PeerSeen]:
            began.append(self._clock())
            return self._spool.peers.look(old_after_s, is_suspect, self._cluster)

        def done(result: dict[str, PeerSeen] | Failed) -> None:
            if not isinstance(result, Failed):  # else a gap: the next good round tells whether it was too long
                self._looked(began[0], result)

        self._looks.send(call, done)

    def _looked(self, began_at: float, seen: dict[str, PeerSeen]) -> None:
        self._seen = seen
        nodes = {
            name: NodeSeen(
                one.beat,
                None
                if one.claims is None
                else {claim: ClaimSeen(it.mark, it.end is not None) for claim, it in one.claims.items()},
                one.is_bare,
                one.age_s,
                one.allocation,
            )
            for name, one in seen.items()
        }
        self._watches = observe(self._watches, Round(began_at, self._clock(), nodes), self._terms)
        self._word.forget_others(one.allocation for one in seen.values())
        self._tell()
        if self._tries.is_leaving:
            return
        after_s = OLD_BEATS * self._settings.beat_s
        self._word.ask(questions(self._watches, after_s, self._word.ended), self._clock())
        for name, one in seen.items():
            former = self._former(name)
            if former is not None:
                self._clear_former(name, one, former)
        for judgement in judge(self._watches, self._terms, self._word.ended):
            self._act(judgement)

    def _act(self, judgement: Judgement) -> None:
        one = self._seen[judgement.node]
        if judgement.verdict is Verdict.RETIRE:
            self._retire(judgement.node, one)
            return
        assert one.claims is not None
        because = f"{judgement.node} gave no sign of life for {format_duration(judgement.silent_s)}"
        if judgement.ended:
            because += f", and the scheduler says that its batch job {judgement.ended} has ended"
        if one.forgotten_by:
            because = f"{one.forgotten_by} said that {judgement.node} is dead"
        self._take_over(judgement.node, one.claims[judgement.claim], End(NOBODY_KNOWS, Why.LOST), because)

    def _take_over(self, node: str, one: PeerClaim, end: End, because: str, *, is_proven: bool = False) -> None:
        key = (node, claim_name(one.claim))
        if key in self._clearings:
            return
        beat = self._seen[node].beat

        def done(result: Moved | Failed) -> None:
            if isinstance(result, Failed):
                self._say(f"{key[1]} of {node}: could not be taken over yet: {result}")
            elif result is Moved.WON:
                self._tries.stories[key[1]] = node, f"{because}; {self._spool.node} took it over"
                self._say(f"{short_name(one.claim.task_id)}: taken over, {because}")
                self._agenda.want(Duty.LOOK_AROUND)
                self._agenda.want(Duty.LOOK)

        def call() -> Moved:
            return self._spool.peers.take_over(node, one, end, beat, is_proven=is_proven)

        self._takings.send(call, done, key)

    def _retire(self, node: str, one: PeerSeen) -> None:
        def done(result: bool | Failed) -> None:
            if result is True:
                self._say(f"{node}: dead and empty, put away")

        self._retirings.send(lambda: self._spool.peers.retire(node, one.beat), done, node)

    # -- former agents of this very machine ------------------------------------------------------------------------

    def _former(self, node: str) -> AgentDirectory | None:
        """The local directory of an agent that ran here under another name, if it is proven dead."""
        own = self._spool.node
        if node == own or node.rpartition("-")[2] != own.rpartition("-")[2]:
            return None
        directory = self._node_directory.find_agent(self._home.spool, node)
        return None if directory is None or directory.is_held() else directory

    def _clear_former(self, node: str, seen: PeerSeen, directory: AgentDirectory) -> None:
        for one in (seen.claims or {}).values():
            key = (node, claim_name(one.claim))
            if key in self._clearings or self._takings.is_out(key):
                continue
            local = directory.try_directory(key[1])
            facts = ClaimFacts(one.claim, one.end, local.is_alive(), local.status(), local.why(), local.never_began())
            decision = recover(facts)
            because = f"its agent ({node}) and its shim were found dead on this machine"
            if decision.step is Step.SETTLE:
                self._take_over(node, one, End(NOBODY_KNOWS), because, is_proven=True)
            elif decision.step is Step.CLEAN and decision.end is not None:
                path = self._spool.paths.claim(node, one.claim)
                ending = processes.Ending(path, grace_s=LEFTOVER_GRACE_S)
                self._clearings[key] = Clearing(node, one, decision.end, ending, directory)

    def advance(self, now: float) -> None:
        """Hear what the schedulers say, and go on with ending what is left of dead tries."""
        self._word.advance()
        for key, clearing in list(self._clearings.items()):
            if not clearing.ending.step(now):
                continue
            del self._clearings[key]
            if clearing.node in self._seen:
                because = f"its agent ({clearing.node}) and its shim were found dead on this machine"
                self._take_over(clearing.node, clearing.one, clearing.end, because, is_proven=True)

    # -- telling ---------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Ask nobody any longer."""
        self._word.close()

    def silent(self) -> list[Silent]:
        """The nodes whose tasks are taken over if they stay silent."""
        return silent(self._watches, self._terms, ENDED_BEATS * self._settings.beat_s, self._word.ended)

    def _tell(self) -> None:
        now_silent = {one.node: one for one in self.silent()}
        for node in now_silent.keys() - self._said:
            self._say(f"watches {node}: {told(now_silent[node])}")
        for node in self._said - now_silent.keys():
            if node in self._watches.nodes and self._seen[node].claims is None:
                self._say(f"{node} gives signs of life again")
        self._said = set(now_silent)
