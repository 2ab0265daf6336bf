"""Making, running and undoing plans for those who ask over the wire.

- Making reads a snapshot and a few files; running renames; both in threads, never in the event loop.
- A plan is run once, whoever asks how often: whoever asks again is told what came of it.
- A run that hangs with its storage keeps its thread.  There are few of them for a spool, and no more than those.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

from gpu_queue.conf import home_of
from gpu_queue.console.jobfiles import loading, starting
from gpu_queue.console.jobfiles.loading import Wish
from gpu_queue.console.jobfiles.shelf import Shelf as JobFiles
from gpu_queue.console.keys import name_of, text_of
from gpu_queue.console.models.common import Note
from gpu_queue.console.models.plans import (
    SHOWN_MAX,
    Plan,
    PlanCounts,
    PlannedScript,
    PlanOutcome,
    PlanRequest,
    ScriptIn,
    SubmitOptions,
)
from gpu_queue.console.models.spools import Action
from gpu_queue.console.phrasebook import REFUSALS
from gpu_queue.console.plans import doing, gathering, submitting, undoing
from gpu_queue.console.plans.actions import Actions
from gpu_queue.console.plans.journal import Journal
from gpu_queue.console.plans.keeping import LIVES_S, Kept, NoSuchPlan, Shelf
from gpu_queue.console.plans.making import CONFIRMED_ABOVE, Unsuitable, make
from gpu_queue.console.plans.nouns import FLAGS, Facts, Made
from gpu_queue.console.plans.progress import Progress
from gpu_queue.console.plans.sights import Sight
from gpu_queue.console.sentences import note
from gpu_queue.spool.desk import asking, entrance, publishing
from gpu_queue.spool.desk.find import WAITING_FIRST, Finder, Task
from gpu_queue.spool.desk.publishing import Options, Script
from gpu_queue.spool.snapshot.view import Snapshot

THREADS_MAX = 4
"""Of one spool: a stop may wait for a minute for its node, and others need not wait for it."""
LOAD_S = 60.0
"""So long it may take to hold a file against what earlier loads of it made."""
ANSWERS_S = 10.0
"""Storage that does not answer in that time is not asked to change anything."""
log = logging.getLogger("gpu_queue.console.plans")


class Refused(ValueError):
    """A plan that cannot be run or undone now: a code of ``phrasebook.REFUSALS``."""

    def __init__(self, code: str, **params: object) -> None:
        super().__init__(REFUSALS[code].filled(params)[0])
        self.code = code
        """With its variant."""
        self.params = params


class Busy(Refused):
    """As many changes of this spool are under way as may be."""


@dataclass
class _Hands:
    """Who works on one spool."""

    room: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(THREADS_MAX))
    after: gathering.AfterCache = field(default_factory=gathering.AfterCache)


class Plans:
    """All plans of a console."""

    def __init__(
        self,
        *,
        now_s: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        home: str | None = None,
        starts_agents: bool = False,
        journal: Journal | None = None,
    ) -> None:
        """None yet.

        Args:
            now_s: epoch seconds.
            clock: monotonic seconds.
            home: the directory in which pasted scripts run; None: the user's home.
            starts_agents: a load starts an agent on this machine where none serves, stopping it ends that one.
            journal: where past changes are kept; None: nowhere.
        """
        self._now_s = now_s
        self._clock = clock
        self._home = home or home_of(os.environ)
        self._starts_agents = starts_agents
        self._shelf = Shelf(now_s)
        self._actions = Actions(journal)
        self._hands: dict[str, _Hands] = {}
        self._seeing: dict[Progress, asyncio.Task[None]] = {}

    @property
    def home(self) -> str:
        """The directory in which scripts run that come from none."""
        return self._home

    # -- making ------------------------------------------------------------------------------------------------------

    async def make(
        self, sight: Sight, request: PlanRequest, select: Callable[[Snapshot], Awaitable[Sequence[str]]]
    ) -> Plan:
        """Say what a wish will do.

        Args:
            sight: of the spool.
            request: the wish.
            select: tells the keys of the tasks that are meant, in the snapshot from which the plan is made.

        Raises:
            Unsuitable: it names nothing, or too much, or lacks a value.
        """
        if request.action == "load":
            raise Unsuitable("by_its_file")
        seen = await sight.fresh(everything=True)
        chosen = await select(seen)
        plan_id, expires_at_s = secrets.token_urlsafe(12), self._now_s() + LIVES_S
        if request.action == "submit":
            made = await sight.call(lambda: self._submission(sight, seen, request, plan_id, expires_at_s), 30.0)
        else:
            made = await sight.call(lambda: self._made(sight, seen, request, chosen, plan_id, expires_at_s), 30.0)
        kept = Kept(sight.job, made, expires_at_s)
        self._shelf.put(kept)
        return kept.view()

    async def make_load(self, sight: Sight, shelf: JobFiles, wish: Wish) -> Plan:
        """Say what loading a job file will do.

        Args:
            sight: of the spool.
            shelf: of its job files.
            wish: which one, and how.

        Raises:
            FileNotFoundError: it is not there.
            CannotUse: it cannot be read, or nobody knows where its commands would run.
            BadFile: something is wrong with it.
        """
        plan_id, expires_at_s = secrets.token_urlsafe(12), self._now_s() + LIVES_S

        def work() -> Made:
            agents = len(asking.living(sight.paths)) if entrance.is_made(sight.paths) else 0
            load, order = loading.plan(shelf, wish, agents, starts_agents=self._starts_agents)
            queued = loading.queued_of(load.counts)
            plan = Plan(
                id=plan_id,
                action="load",
                expires_at_s=expires_at_s,
                counts=PlanCounts(total=sum(load.counts.values()), submit=queued, cancel=load.taken_count),
                tasks=[],
                load=load,
                must_confirm=queued + load.taken_count > CONFIRMED_ABOVE,
                can_undo=bool(queued),
                can_run=bool(queued or load.taken_count or load.starts_agent),
            )
            return Made(plan, PlanRequest(action="load"), order=order)

        kept = Kept(sight.job, await sight.call(work, LOAD_S), expires_at_s)
        self._shelf.put(kept)
        return kept.view()

    async def make_stop(self, sight: Sight, choose: Callable[[Snapshot], Awaitable[Sequence[str]]]) -> Plan:
        """Say what stopping all tasks of loads will do; the agent that this console has started ends after it.

        Args:
            sight: of the spool.
            choose: tells the keys of the tasks.
        """
        seen = await sight.fresh(everything=True)
        chosen = await choose(seen)
        plan_id, expires_at_s = secrets.token_urlsafe(12), self._now_s() + LIVES_S
        request = PlanRequest(action="stop")

        def work() -> Made:
            made = self._made(sight, seen, request, chosen, plan_id, expires_at_s)
            own = starting.own_agent(sight.paths) if self._starts_agents else None
            if own is None:
                return made
            told = {"ends_agent": text_of(own.node), "can_run": True, "can_undo": False}
            return replace(made, plan=made.plan.model_copy(update=told), ends_agent=True)

        kept = Kept(sight.job, await sight.call(work, LOAD_S), expires_at_s)
        self._shelf.put(kept)
        return kept.view()

    def keep(self, job: str, make_it: Callable[[str, float], Made]) -> Plan:
        """Keep a plan of a spool that somebody else makes, of its id and until when it is kept."""
        until_s = self._now_s() + LIVES_S
        self._shelf.put(kept := Kept(job, make_it(secrets.token_urlsafe(12), until_s), until_s))
        return kept.view()

    def _made(
        self, sight: Sight, seen: Snapshot, request: PlanRequest, chosen: Sequence[str], plan_id: str, until_s: float
    ) -> Made:
        paths = sight.paths
        facts = Facts(sight.job, seen)
        if request.action in ("stop", "cancel"):
            after, unread = self._of(sight.job).after.gather(paths, seen, map(name_of, chosen))
            facts = replace(facts, after=after, unread=unread)
        if request.action == "stop":
            facts = replace(facts, grace_s=gathering.stop_grace_s(paths))
        if request.action == "shutdown":
            facts = replace(facts, is_kept=gathering.is_kept(paths))
        if request.action not in FLAGS:
            ids = [key for key in chosen[:SHOWN_MAX] if _has_id(seen, key)]
            facts = replace(facts, titles=gathering.titles(paths, ids))
            if request.action in ("stop", "cancel", "priority"):
                facts = replace(facts, users=gathering.users(paths, ids))
        return make(facts, request, chosen, plan_id, until_s)

    def _submission(
        self, sight: Sight, seen: Snapshot, request: PlanRequest, plan_id: str, expires_at_s: float
    ) -> Made:
        if not request.scripts:
            raise Unsuitable("no_script")
        scripts = [submitting.given(one) for one in request.scripts]
        total_bytes = sum(len(one.content) for one in scripts)
        if total_bytes > submitting.TOTAL_MAX_BYTES:
            raise Unsuitable("too_large.scripts", size_bytes=total_bytes, most_bytes=submitting.TOTAL_MAX_BYTES)
        finder = Finder(sight.paths)
        gpus = submitting.default_gpus(seen)

        def desk_look(script: Script) -> int:
            entrance.is_made(sight.paths)
            return len(publishing.prepare(finder, [script], Options(), lambda: gpus))

        states = {one: seen.state_of(one) for one in self._after_of(finder, request)}
        around = submitting.Surroundings(seen, self._home, desk_look, states)
        options = request.options.model_copy(update={"after": list(states) or request.options.after})
        found, total = submitting.look_at(scripts, options, around)
        if total > submitting.SUBMITTED_MAX:
            most = submitting.SUBMITTED_MAX
            raise Unsuitable("too_many_tasks.submitted", count=total, most=most)
        is_sound = all(one.problem is None for one in found)
        plan = Plan(
            id=plan_id,
            action="submit",
            expires_at_s=expires_at_s,
            counts=PlanCounts(total=total, submit=total),
            tasks=[],
            scripts=found,
            priority=request.options.priority,
            must_confirm=total > CONFIRMED_ABOVE,
            can_undo=is_sound,
            can_run=is_sound,
        )
        return Made(plan, request.model_copy(update={"options": options}))

    @staticmethod
    def _after_of(finder: Finder, request: PlanRequest) -> list[str]:
        """The ids of the tasks that scripts come after; the desk tells of those that are none."""
        found = []
        for text in request.options.after:
            task = finder.one(name_of(text), *WAITING_FIRST)
            if not isinstance(task, Task) or task.id is None:
                return []
            found.append(task.id)
        return found

    async def read(self, sight: Sight, scripts: Sequence[ScriptIn], options: SubmitOptions) -> list[PlannedScript]:
        """What scripts ask for, while somebody types: nothing is looked up in the queue but what is known anyway.

        Raises:
            Unsuitable: they are too large.
        """
        seen = await sight.fresh()
        handed = [submitting.given(one) for one in scripts]
        total_bytes = sum(len(one.content) for one in handed)
        if total_bytes > submitting.TOTAL_MAX_BYTES:
            raise Unsuitable("too_large.scripts", size_bytes=total_bytes, most_bytes=submitting.TOTAL_MAX_BYTES)
        states = {one: seen.state_of(one) for one in options.after}
        around = submitting.Surroundings(seen, self._home, None, states)
        found, _ = await asyncio.to_thread(submitting.look_at, handed, options, around)
        return found

    # -- running -----------------------------------------------------------------------------------------------------

    def get(self, job: str, plan_id: str) -> Plan:
        """A plan, with what came of it.

        Raises:
            NoSuchPlan: there is none such any more.
        """
        return self._shelf.get(job, plan_id).view()

    def counts(self) -> dict[tuple[str, str], int]:
        """How often each action had which outcome, since this console runs."""
        return self._actions.counts()

    def actions(self, job: str, root: str) -> list[Action]:
        """The last changes of a spool, newest first.

        Args:
            job: its name.
            root: its path.
        """
        return self._actions.list(job, root)

    async def run(self, sight: Sight, plan_id: str, typed: str, wait_s: float, who: str) -> PlanOutcome:
        """Do what a plan says, once; who asks again is told what came of it.

        Args:
            sight: of the spool.
            plan_id: which.
            typed: the name that had to be typed.
            wait_s: so long the end is waited for.
            who: asks.

        Raises:
            NoSuchPlan: there is none such any more.
            Refused: it cannot be run, or another name has to be typed.
            Busy: too much is under way.
        """
        if self._shelf.get(sight.job, plan_id).progress is None:
            await sight.call(lambda: entrance.is_made(sight.paths), ANSWERS_S)
        kept = self._shelf.get(sight.job, plan_id)
        if kept.progress is None:  # from here on nobody else comes between
            plan = kept.made.plan
            if not plan.can_run:
                raise Refused("nothing_to_do")
            if plan.must_type and typed != plan.must_type:
                raise Refused("not_typed", typed=typed, expected=plan.must_type)
            total = len(kept.made.targets) or plan.counts.submit or len(kept.made.nodes) or 1
            made = kept.made
            kept.progress = self._begin(
                sight, kept, total, who, lambda progress: doing.run(sight.paths, made, progress, self._home)
            )
        await self._until_seen(kept.progress, wait_s)
        outcome = kept.outcome()
        assert outcome is not None
        return outcome

    async def undo(self, sight: Sight, plan_id: str, wait_s: float, who: str) -> PlanOutcome:
        """Undo what a plan did, once; who asks again is told what came of it.

        Raises:
            NoSuchPlan: there is none such any more.
            Refused: it was not run, or nothing of it can be undone.
            Busy: too much is under way.
        """
        if self._shelf.get(sight.job, plan_id).undoing is None:
            await sight.call(lambda: entrance.is_made(sight.paths), ANSWERS_S)
        kept = self._shelf.get(sight.job, plan_id)
        if kept.undoing is None:
            if kept.progress is None or not kept.progress.is_finished:
                raise Refused("not_run")
            if not kept.can_undo:
                raise Refused("cannot_undo")
            made, moved = kept.made, kept.progress.moved
            kept.undoing = self._begin(
                sight,
                kept,
                undoing.count(made, moved),
                who,
                lambda progress: undoing.undo(sight.paths, made, moved, progress),
                is_undo=True,
            )
        await self._until_seen(kept.undoing, wait_s)
        return kept.undoing.view(None)

    def _begin(
        self,
        sight: Sight,
        kept: Kept,
        total: int,
        who: str,
        work: Callable[[Progress], Note | None],
        *,
        is_undo: bool = False,
    ) -> Progress:
        hands = self._of(sight.job)
        if not hands.room.acquire(blocking=False):
            raise Busy("busy", count=THREADS_MAX, queue=sight.job)
        progress = Progress(kept.made.plan.id, total, sight.say, self._clock)
        self._actions.begin(self._now_s(), who, kept, progress, is_undo=is_undo)

        def run() -> None:
            problem: Note | None = note("broke_off")
            self._actions.note(sight.paths.root, progress)
            try:
                problem = work(progress)
            finally:
                hands.room.release()
                self._shelf.renew(kept)
                progress.finish(problem)
                self._actions.end(kept, progress, who, is_undo=is_undo)
                self._actions.note(sight.paths.root, progress)

        # A daemon: a console that is ended does not wait for storage that hangs, and what is half done loses nothing.
        threading.Thread(target=run, name=f"plan-{kept.made.plan.action}", daemon=True).start()
        task = asyncio.get_running_loop().create_task(self._see(sight, progress))
        self._seeing[progress] = task
        task.add_done_callback(lambda _: self._seeing.pop(progress, None))
        return progress

    @staticmethod
    async def _see(sight: Sight, progress: Progress) -> None:
        """When it is over, look at what came of it: whoever asks next is to see it."""
        await progress.finished()
        try:
            await sight.fresh(everything=True)
        except Exception as error:  # it is seen in its time, when the storage answers
            log.debug("after a change of %s: %s", sight.job, error)

    async def _until_seen(self, progress: Progress, wait_s: float) -> None:
        task = self._seeing.get(progress)
        if task is not None:
            await asyncio.wait((task,), timeout=wait_s)  # whoever asks again is told

    def _of(self, job: str) -> _Hands:
        return self._hands.setdefault(job, _Hands())


def _has_id(seen: Snapshot, key: str) -> bool:
    found = seen.find(key)
    return found is not None and found.task_id is not None and found.task_id == key


__all__ = ["Busy", "NoSuchPlan", "Plans", "Refused", "Sight", "Unsuitable"]
