"""The agent: observe, plan, act, in one ``step(now)``.

- Each wake-up (file event, child exit, timer, signal) does the same step on what is known by then; a missed event
  costs time, never correctness.
- Calls on shared storage are made by ``storage``, one at a time, and come back as completions: a server that hangs
  keeps nobody from stopping tasks, reading GPUs or answering a signal.
- Signals set flags.
"""

from __future__ import annotations

import os
import socket
import time
from collections import deque
from functools import partial

from gpu_queue import __version__
from gpu_queue.agent.agenda import Agenda, Duty
from gpu_queue.agent.allotted import span_of
from gpu_queue.agent.audience import Audience
from gpu_queue.agent.beat import Beat
from gpu_queue.agent.cards import Cards
from gpu_queue.agent.commands import Commands
from gpu_queue.agent.current import Current
from gpu_queue.agent.fillers import LEDGER_EVERY_S, Fillers
from gpu_queue.agent.gangs import Gangs
from gpu_queue.agent.hanging import Hanging
from gpu_queue.agent.history import History
from gpu_queue.agent.lanes import told_queues
from gpu_queue.agent.leaving import Cause, Leaving
from gpu_queue.agent.livetry import are_within
from gpu_queue.agent.looking import Looking, Seen
from gpu_queue.agent.lookout import Lookout
from gpu_queue.agent.minutes import Minutes
from gpu_queue.agent.notes import Notes
from gpu_queue.agent.outgrown import Outgrown
from gpu_queue.agent.overreach import Overreach
from gpu_queue.agent.place import HOURLY_S, Place
from gpu_queue.agent.planning import Planning
from gpu_queue.agent.posting import Posting
from gpu_queue.agent.preparing import Preparing, scripts_environment
from gpu_queue.agent.pushing import Pushing
from gpu_queue.agent.renewing import Renewing, situation_of
from gpu_queue.agent.surroundings import Surroundings
from gpu_queue.agent.telling import gpu_pages, shared_pages, silent_pages, told_states, try_pages, wait_pages
from gpu_queue.agent.tenants import Tenants
from gpu_queue.agent.tries import Tries
from gpu_queue.agent.uni_ids import UniIds
from gpu_queue.agent.warning import Warnings
from gpu_queue.agent.watching import Watching
from gpu_queue.config import Settings
from gpu_queue.execution import found
from gpu_queue.execution.copies import Copies
from gpu_queue.execution.shims import Shims
from gpu_queue.execution.tools import install_tools
from gpu_queue.gpus.processes import processes_of
from gpu_queue.gpus.simulated import STATE_FILE_VARIABLE
from gpu_queue.node.kept import SEEN_KEPT
from gpu_queue.node.storage import Errand, Failed
from gpu_queue.reasons import REASONS_PUBLISHED
from gpu_queue.scheduling.facts import Phase
from gpu_queue.scheduling.phase import Wishes, phase_of
from gpu_queue.scheduling.plan import explain
from gpu_queue.sharing import Mode
from gpu_queue.spool.commands import Command
from gpu_queue.spool.pages import NodePage
from gpu_queue.states import AgentState
from gpu_queue.task import State
from gpu_queue.words import in_words

LONGEST_WAIT_S = 1.0
"""So often it looks at the clock: for the end of its lifetime, and for storage that hangs."""
LEAVE_EXTRA_S = 10.0
"""An agent that leaves waits so long beyond the grace for storage that does not answer."""


class Agent:
    """Serves one spool on one node."""

    def __init__(
        self,
        around: Surroundings,
        settings: Settings,
        now: float,
        seen: tuple[str, ...] = (),
        ledger: str | None = "",
    ) -> None:
        self._around = around
        self._spool = spool = around.spool
        self._storage = storage = around.storage
        self._say = say = around.say
        self._agenda = agenda = Agenda()
        self._current = Current(
            settings, around.config, around.flags, around.environment, around.elsewhere, spool.paths.root, say
        )
        self.cards = Cards(around.devices, around.gpu_uuids)
        self.fillers = Fillers(around.keepalive, self.cards, around.leases, around.gpu_uuids, settings, ledger, say)
        environment = scripts_environment(around, settings)
        tools = partial(install_tools, around.node_directory.root)
        copies = Copies.of(around.home.path, settings.snapshot_dir)
        preparing = Preparing(
            spool, self.cards, lambda: self.settings, environment, around.umask, around.allocation, tools, copies
        )

        def restore() -> None:
            self.cards.read(self._now)  # before the first step nobody has
            found.restore(around.node_directory, around.leases, self.cards.everything)

        self.tries = Tries(
            spool,
            storage,
            around.home,
            around.leases,
            Shims(around.home, around.node_directory.install_shim, environment),
            preparing,
            agenda,
            say,
            lambda: self._now,
            lambda gpus, since: self.fillers.are_clear(gpus, since, self._now),
            restore,
        )
        self.looking = Looking(
            spool, storage, self.tries, agenda, self._current, now, say, self._looked, around.watch_ends
        )
        self.beat = Beat(spool, storage, agenda, now, say)
        self.audience = Audience(agenda)
        self.watching = Watching(around, self.tries, agenda, settings, lambda: self._now)
        self.commands = Commands(
            self.tries,
            agenda,
            self._answer,
            say,
            sweep=settings.sweep,
            is_claim_alive=around.node_directory.is_try_alive,
        )
        self.pushing = Pushing(spool, storage, self.tries, now, say)
        self.history = History(spool, storage, self.tries, self.cards, say)
        state_file = around.environment.get(STATE_FILE_VARIABLE)
        lookout = Lookout(processes_of(around.devices.kind, state_file, around.gpu_uuids), around.wake)
        notes = Notes(around)
        self.overreach = Overreach(self.tries, self.cards, lookout, notes, now)
        self.outgrown: Outgrown | None = None
        if settings.mode is Mode.SHARED:
            self.outgrown = Outgrown(self.tries, self.cards, notes)
            self.cards.tenants = Tenants(
                lookout, around.devices, around.gpu_uuids, lambda: self.settings.sharing, say
            )
        self.uni_ids = UniIds(around, self.tries, lambda: self.settings)
        self._ledgers: Errand[None] = Errand(storage, "ledger", say, trouble="the ledger could not be written")
        self._cancels: Errand[int] = Errand(storage, "cancel", say)
        self._answers: Errand[None] = Errand(storage, "answer", say)
        self._now = now
        self._started_at = now
        self._started_wall_s = time.time()
        self.span = span_of(around.allocation, settings.lifetime_s, settings.at_end, self._started_wall_s)
        self.warnings = Warnings(self.tries, notes, stops_at=now + self.span.stops_s)
        self.leaving = Leaving(self.tries, self.warnings, around.allocation, lambda: self.settings)
        self.posting = Posting(around, lambda: self.settings, now)
        self.renewing = Renewing(around, agenda, lambda: self.settings, now)
        self.place = Place(around.node_directory, around.home, around.leases, self.tries, restore, say, now)
        everything, clock = (lambda: self.cards.everything), (lambda: self._now)
        self.gangs = Gangs(around, self.tries, self.looking, agenda, lambda: self.settings, everything, clock)
        self.gangs.warn = self.warnings.others_at.setdefault
        self.planning = Planning(
            self.cards,
            self.tries,
            self.looking,
            self.gangs,
            self.fillers,
            self.beat,
            self.place,
            agenda,
            lambda: self.settings,
            ends_at=now + self.span.ends_s,
        )
        self._minutes = Minutes(say, now)
        self._seen: deque[str] = deque(seen, maxlen=SEEN_KEPT)
        self._tidy_due = now
        self._hanging = Hanging(storage, say)
        self.was_terminated = False
        self.finished = False
        self.forced_out = False
        agenda.want(Duty.KEEP, now)

    @property
    def settings(self) -> Settings:
        """Those of this moment."""
        return self._current.settings

    # -- the step ---------------------------------------------------------------------------------------------------

    def step(self, now: float) -> None:
        """Observe, plan, act."""
        self._now = now
        self._keep_place(now)
        if self.place.is_lost:
            return
        self._storage.deliver()
        self.cards.hear(now, self._agenda)
        if self._agenda.take(Duty.KEEP, now):
            self._keep(now)
        self.tries.advance(now)
        self.commands.advance(now)
        self.watching.advance(now)
        self._change_phase(now)
        due = self.looking.advance(now, tuple(self.commands.questions), is_busy=self.commands.is_busy)
        if "peers" in due:
            self.watching.look()
        self.gangs.advance(now)
        self.planning.advance(now)
        if self.looking.has_looked:
            self.history.advance(now, lambda: self.planning.facts(now).states())
            served_s = now - self._started_at
            self.renewing.advance(
                now, lambda: situation_of(self.planning.facts(now), self.tries.live, self.span, served_s)
            )
        serves = self.looking.has_looked and self.planning.phase is Phase.SERVING and not self.place.problem
        self.tries.keep_spares(now, serves=serves)
        self.pushing.advance(now)
        self.overreach.advance(now)
        if self.outgrown is not None:
            self.outgrown.advance(now)
        self._hanging.notice(now)
        self.audience.advance(now, lambda: self.cards.read(now))
        if now >= min(self.beat.due(now), self._minutes.due):
            self._tell(now)
        self.uni_ids.advance(now)
        self.posting.advance(now, self.planning.left_s(now), len(self.tries.live))
        self.place.keep_fresh(now)
        self._maybe_finish(now)

    def wait_s(self, now: float) -> float:
        """How long nothing is due."""
        parts = (self.tries, self.looking, self.commands, self.watching, self.beat, self.pushing, self.overreach)
        others = (self.warnings, self.gangs, self.renewing, self.uni_ids, self.audience, self.posting)
        duties = map(self._agenda.at, (Duty.KEEP, Duty.PLAN, Duty.PLAN_ANEW))
        return max(0.0, min(now + LONGEST_WAIT_S, *(part.due(now) for part in (*parts, *others)), *duties) - now)

    def _keep_place(self, now: float) -> None:
        if self.place.is_whole():
            return
        if self.place.take():
            self._spool.watch([self._around.leases.directory])
            self.fillers.begin_anew()
            for duty in (Duty.KEEP, Duty.PLAN_ANEW):
                self._agenda.want(duty, now)
        self._agenda.want(Duty.TELL, now)
        self.finished = self.finished or self.place.is_lost

    # -- observing --------------------------------------------------------------------------------------------------

    def hint(self, directory: str, name: str, whole: bool) -> None:
        """A file event: look there at once."""
        if directory == self._around.leases.directory:
            # Where a card of ours may be shared, another agent's part of it is news as well.
            if self.settings.mode is Mode.SHARED or name not in self.tries.holdings.gpus():
                self.fillers.leases_are_old = True
                self._agenda.want(Duty.KEEP)
            return
        if f"{directory}/{name}" == self._spool.paths.uni_ids:
            self.uni_ids.hurry()
            return
        if directory in self._spool.ends:
            self.looking.hear_of_end(directory, name)
            return
        if directory == self._spool.paths.directory(State.PENDING):
            if whole:
                self._spool.reader.closed(name)
            self.cards.expects_tasks = True
        else:
            self._agenda.want(Duty.LOOK_AROUND)
        self._agenda.want(Duty.LOOK)

    def hear_keepalive(self) -> None:
        """The keep-alive's processes have something to say."""
        self._agenda.want(Duty.KEEP)

    def _looked(self, seen: Seen) -> None:
        now, look = self._now, seen.look
        if look.root is not None:
            self.audience.see(look.root.watched, now)
        if look.made:
            self._say(f"somebody has removed {', '.join(map(os.path.basename, look.made))}: made again")
            self.beat.hurry()
        self.fillers.ask_leases(now, self.tries)
        if look.own_claims is not None:
            self.tries.recover(look.own_claims, now)
            if now >= self._tidy_due:
                self._tidy_due = now + HOURLY_S
                self.tries.tidy(look.own_claims)
        if look.mail is not None:
            for problem in look.mail.problems:
                self._say(problem)
            for command in look.mail.commands:
                self._obey(command, now)
        if seen.questions:
            facts = self.planning.facts(now)
            self.commands.explain(seen.questions, self.looking.view.waiting, lambda names: explain(facts, 0, names))
        self._agenda.want(Duty.PLAN_ANEW)

    def _keep(self, now: float) -> None:
        """Hold what is idle, and give up what is not."""
        self.fillers.step(now, self.tries, self.planning.phase, self.settings, self.looking.root.keepalive_off)
        self._agenda.want(Duty.KEEP, now + self.fillers.tick_s)
        if self.fillers.take_changed():
            self._agenda.want(Duty.TELL)
            self._agenda.want(Duty.PLAN_ANEW)
        if now - self.fillers.ledger_at >= LEDGER_EVERY_S:
            self._write_ledger(now)

    def _write_ledger(self, now: float) -> None:
        if self.fillers.has_ledger and not self._ledgers.is_out():
            text = self.fillers.ledger_text(now)
            self._ledgers.send(lambda: self._spool.kept.write_ledger(text))

    # -- the phase ---------------------------------------------------------------------------------------------------

    def _change_phase(self, now: float) -> None:
        looking = self.looking
        is_empty = looking.has_looked and not (looking.view.waiting or self.tries.live or looking.runs_somewhere)
        phase, reason = phase_of(
            Wishes(
                terminated=self.was_terminated,
                shutdown=self.commands.shutdown,
                paused=looking.root.paused,
                draining=looking.root.draining,
                lifetime_left_s=self._started_at + self.span.takes_s - now,
                stops_left_s=self._started_at + self.span.stops_s - now,
                until_empty=self.settings.until_empty,
                unneeded=self.renewing.unneeded,
                spool_is_empty=is_empty,
            )
        )
        if (phase, reason) != (self.planning.phase, self.planning.phase_reason):
            self._say(f"{phase.value}: {in_words(reason)}" if reason else phase.value)
            self.planning.phase, self.planning.phase_reason = phase, reason
            for duty in (Duty.TELL, Duty.PLAN_ANEW, Duty.KEEP):
                self._agenda.want(duty)
        self.tries.is_leaving = phase is Phase.LEAVING
        if phase is Phase.LEAVING and reason is not None:
            self.leaving.advance(now, Cause(reason.params["cause"]))
        self.warnings.advance(now)

    # -- commands ---------------------------------------------------------------------------------------------------

    def _obey(self, command: Command, now: float) -> None:
        if command.nonce in self._seen:
            return
        self._seen.append(command.nonce)
        self.beat.hurry()  # a node file newer than the command says that we are at work on it
        self.commands.obey(command, now, self.settings.stop_grace_s, self.looking.view.waiting, self._cancel)

    def _cancel(self, names: list[str]) -> None:
        self.tries.claimed_names |= set(names)
        self._cancels.send(lambda: self._spool.cancel(names), key=object())

    def _answer(self, command: Command, text: str) -> None:
        # Whoever reads the answer looks at the node file next: it is to tell what came of the command.
        self._tell(self._now)

        def done(result: Failed | None) -> None:
            if isinstance(result, Failed):
                self._say(f"the answer to {command.entry} could not be written: {result}")

        self._answers.send(lambda: self._spool.mailbox.answer(command, text), done, key=command.entry)

    # -- telling ----------------------------------------------------------------------------------------------------

    def _tell(self, now: float, state: AgentState | None = None) -> None:
        page = self._page(now, state)
        self.audience.tell(now, self.cards.read(now))
        self.beat.write(now, page, self.settings.beat_s)
        self._minutes.hear(now, page)

    def _page(self, now: float, state: AgentState | None) -> NodePage:
        facts = self.planning.facts(now)
        left_s = self.planning.left_s(now)
        wall_s = time.time()
        told = (
            self.looking.problem,
            self.looking.root.damage,
            self.place.problem,
            self.tries.rests.problem,
            self._current.problem,
            self.renewing.problem,
            self.posting.problem,
            self._hanging.text(now),
        )
        waiting = [task for task in self.looking.view.waiting if task.name not in facts.claiming]
        open_nonces = self.commands.open_nonces()
        allocation = self._around.allocation
        shared = shared_pages(facts, self.settings.mode, self.cards.tenants)
        states = told_states(facts.states(), self.cards.tenants)
        queues, more_queues = told_queues(facts, self.looking, self.tries)
        return NodePage(
            node=self._spool.node,
            incarnation=self._around.incarnation,
            state=state or AgentState(self.planning.phase.value),
            reason=self.planning.phase_reason,
            version=__version__,
            host=socket.gethostname(),
            pid=os.getpid(),
            started_s=self._started_wall_s,
            ends_s=None if left_s is None else wall_s + left_s,
            at_end=self.settings.at_end,
            allocation=allocation.name,
            cluster=allocation.cluster,
            beat_s=wall_s,
            default_gpus=self.settings.default_gpus,
            devices=self._around.devices.describe(),
            gpus=gpu_pages(states, self.cards.everything, self.fillers.page, shared),
            running=try_pages(self.tries.live.values(), self.cards.everything, now),
            waiting_count=len(waiting),
            waiting=wait_pages(explain(facts, REASONS_PUBLISHED), facts.waiting),
            skipped=self.looking.view.skipped,
            done=self.tries.tally.counts[State.DONE],
            failed=self.tries.tally.counts[State.FAILED],
            watching=silent_pages(self.watching.silent()),
            problems=tuple(text for text in told if text),
            is_within_allocation=self.looking.has_looked and are_within(allocation, self.tries.live.values()),
            # A command that is not answered yet is obeyed again by a successor, who would else forget it.
            seen=tuple(nonce for nonce in self._seen if nonce not in open_nonces),
            mode=self.settings.mode.value,
            queues=queues,
            more_queues=more_queues,
            is_watched=self.audience.is_there(now),
        )

    # -- the end ----------------------------------------------------------------------------------------------------

    def _maybe_finish(self, now: float) -> None:
        if self.planning.phase not in (Phase.LEAVING, Phase.DRAINING) or self.finished:
            return
        submits = self.renewing.is_busy and self.planning.phase is Phase.DRAINING
        if not self.tries.live and not self.commands.is_busy and self.fillers.is_empty and not submits:
            self.finished = True
        elif self.leaving.is_over(now, LEAVE_EXTRA_S):
            self.finished = self.forced_out = True

    def say_goodbye(self, now: float) -> None:
        """Hand in the last node file."""
        self._write_ledger(now)
        self.uni_ids.close(now)
        self.history.close()
        self._tell(now, AgentState.STOPPED)
