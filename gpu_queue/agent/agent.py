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
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gpu_queue import __version__
from gpu_queue.agent.beat import Beat
from gpu_queue.agent.cards import Cards
from gpu_queue.agent.commands import Commands
from gpu_queue.agent.keeping import LEDGER_EVERY_S, Keeping
from gpu_queue.agent.launching import Launching, scripts_environment
from gpu_queue.agent.livetry import Stage
from gpu_queue.agent.logs import Logs
from gpu_queue.agent.peers import Peers
from gpu_queue.agent.telling import gpu_pages, silent_pages, try_pages, wait_pages
from gpu_queue.agent.tries import Tries
from gpu_queue.config import Config, Settings, live_changes, resolve
from gpu_queue.errors import SettingsError
from gpu_queue.execution.local import AgentDirectory, NodeDirectory
from gpu_queue.execution.shims import Shims
from gpu_queue.gpus.devices import Devices
from gpu_queue.gpus.leases import Leases
from gpu_queue.keepalive.supervisor import CLEARING_TICK_S, Host
from gpu_queue.node.kept import SEEN_KEPT
from gpu_queue.node.pending import PendingView
from gpu_queue.node.side import Look, LookRequest, NodeSide, RootView
from gpu_queue.node.storage import Failed, Storage
from gpu_queue.reasons import Reason
from gpu_queue.scheduling.cadence import Cadence
from gpu_queue.scheduling.facts import Facts, Phase, Policy
from gpu_queue.scheduling.phase import Wishes, phase_of
from gpu_queue.scheduling.plan import LOOK_AHEAD, Start, explain, plan, positions_without_gpu
from gpu_queue.spool.commands import Command
from gpu_queue.spool.pages import NodePage
from gpu_queue.states import AgentState, GpuState
from gpu_queue.task import State, Why
from gpu_queue.units import format_duration
from gpu_queue.words import in_words

REASONS_PUBLISHED = 100
BUSY_FOR_S = 10.0
"""So long after something ran here, or was commanded, it looks around more often."""
BUSY_TICK_S = 0.1
ADOPTED_TICK_S = 0.5
FOREIGN_TICK_S = 0.2
HOURLY_S = 3600.0
HANG_SAID_AFTER_S = 10.0
LEAVE_EXTRA_S = 10.0
"""An agent that leaves waits so long beyond the grace for storage that does not answer."""


@dataclass(frozen=True)
class Surroundings:
    """What an agent stands on."""

    spool: NodeSide
    storage: Storage
    home: AgentDirectory
    node_directory: NodeDirectory
    leases: Leases
    keepalive: Host
    devices: Devices
    gpu_uuids: frozenset[str]
    """The GPUs that are served."""
    job_id: str
    queue_root: str
    incarnation: str
    environment: Mapping[str, str]
    umask: int
    """Of whoever started the agent: tasks get it back."""
    flags: Mapping[str, object]
    config: Config
    """What stood in config.yaml when the settings were made."""
    say: Callable[[str], None]


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
        self._spool = around.spool
        self._storage = around.storage
        self._say = around.say
        self.settings = settings
        self.cards = Cards(around.devices, around.gpu_uuids)
        self.keeping = Keeping(
            around.keepalive, self.cards, around.leases, around.gpu_uuids, settings, ledger, around.say
        )
        environment = scripts_environment(
            around.environment, node=around.spool.node, job_id=around.job_id, queue_root=around.queue_root
        )
        launching = Launching(
            spool=around.spool,
            cards=self.cards,
            settings=lambda: self.settings,
            environment=environment,
            umask=around.umask,
        )
        self.tries = Tries(
            around.spool,
            around.storage,
            around.home,
            around.leases,
            Shims(around.home, around.node_directory.install_shim, environment),
            launching,
            around.say,
            lambda: self._now,
            lambda gpus, since: self.keeping.are_clear(gpus, since, self._now),
        )
        self.beat = Beat(around.spool, around.storage, now, around.say)
        self.peers = Peers(
            around.spool,
            around.storage,
            around.node_directory,
            self.tries,
            settings,
            around.say,
            lambda: self._now,
        )
        self.commands = Commands(
            self.tries,
            self._answer,
            around.say,
            sweeps=settings.sweep,
            is_claim_alive=around.node_directory.is_try_alive,
        )
        self._now = now
        self._started_at = now
        self._started_wall_s = time.time()
        self._seen: deque[str] = deque(seen, maxlen=SEEN_KEPT)
        self._view = PendingView((), 0, None)
        self._without_gpu: tuple[int, ...] = ()
        self._has_looked = False
        self._root = RootView(None, None, None, Config())
        self._runs_somewhere = True
        self._busy_queues: Mapping[str, str] = {}
        self._look_is_out = False
        self._look_problem = ""
        self._look_due = now
        self._cadence = Cadence(settings.poll_s)
        self._busy_until = now
        self._look_all_over = False
        """A file event came from elsewhere than pending/."""
        self._plan_is_due = False
        self._hourly_at = now
        self._tidy_due = now
        self._waits_for_memory = False
        self.logs = Logs(around.spool, around.storage, self.tries, now)
        self._hang_said = False
        self._phase = Phase.SERVING
        self._phase_reason: Reason | None = None
        self._leaving_since: float | None = None
        self._keep_due = now
        self._ledger_is_out = False
        self._config_tried = around.config
        self._config_verdict = ""
        self._config_problem = ""
        self.was_terminated = False
        self.finished = False
        self.forced_out = False

    # -- the step ---------------------------------------------------------------------------------------------------

    def step(self, now: float) -> None:
        """Observe, plan, act."""
        self._now = now
        self.tries.reap(now)
        self._storage.deliver()
        if now >= self._keep_due:
            self._keep(now)
        self.tries.advance(now)
        self.commands.advance(now)
        self.peers.advance(now)
        self._change_phase(now)
        if self.tries.look_is_wanted or self.commands.look_is_wanted:
            self.tries.look_is_wanted = self.commands.look_is_wanted = False
            self._look_due = min(self._look_due, now)
        if self.peers.look_is_wanted:
            self.peers.look_is_wanted = False
            self._look_all_over, self._look_due = True, now
        if not self._look_is_out and now >= self._look_due:
            self._look(now)
        if self.tries.plan_is_wanted or self._plan_is_due:
            self._plan(now)
        if self._keep_due <= 0.0:
            self._keep(now)
        self.tries.keep_spares(now, serves=self._has_looked and self._phase is Phase.SERVING)
        self.logs.advance(now)
        self._notice_hanging(now)
        self.beat.is_old |= self.tries.has_changed
        self.tries.has_changed = False
        if now >= self.beat.next_at(now):
            self._tell(now)
        if now - self._hourly_at >= HOURLY_S:
            self._hourly_at = now
            self._around.node_directory.refresh()
        self._maybe_finish(now)

    def wait_s(self, now: float) -> float:
        """How long nothing is due."""
        due = [min(self.beat.next_at(now), now + 1.0), self._keep_due]
        if not self._look_is_out:
            due.append(self._look_due)
        stages = [one for one in self.tries.live.values() if one.stage is not Stage.SETTLING]
        is_ending = any(one.ending is not None or one.judge_at is not None for one in stages)
        if is_ending or self.commands.is_busy or self.peers.is_busy:
            due.append(now + BUSY_TICK_S)
        if any(one.stage is Stage.CLEARING for one in stages):
            due.append(now + CLEARING_TICK_S)
        if any(one.pid is None and one.stage is Stage.RUNNING for one in stages):
            due.append(now + ADOPTED_TICK_S)
        due += [
            one.started_at + one.needs.time_s for one in stages if one.needs.time_s is not None and one.why is None
        ]
        due += [one.record_at for one in stages if one.record_at is not None and one.stage is Stage.RUNNING]
        due += [
            one.settle_at for one in self.tries.live.values() if one.stage is Stage.SETTLING and not one.settle_is_out
        ]
        due += [until for until in self.tries.resting.values() if until > now]
        if self._waits_for_memory:
            due.append(now + FOREIGN_TICK_S)
        due.append(self.logs.next_at())
        return max(0.0, min(due) - now)

    # -- observing --------------------------------------------------------------------------------------------------

    def hint(self, directory: str, name: str, whole: bool) -> None:
        """A file event: look there at once."""
        if directory == self._around.leases.directory:
            if name not in self.tries.held_gpus():
                self.keeping.leases_are_old = True
                self._keep_due = 0.0
            return
        if directory == self._spool.paths.directory(State.PENDING):
            if whole:
                self._spool.reader.closed(name)
        else:
            self._look_all_over = True
        self._look_due = 0.0

    def hear_keepalive(self) -> None:
        """The keep-alive's processes have something to say."""
        self._keep_due = 0.0

    def _look(self, now: float) -> None:
        # A try that is settling may be back in pending/ by the time that the listing is made.
        live = self.tries.live.values()
        running_ids = frozenset(one.claim.task_id for one in live if one.stage is not Stage.SETTLING)
        questions = list(self.commands.questions)
        settled_wait = not self.tries.live and not self._view.waiting
        if self.tries.live or self.commands.is_busy:
            self._busy_until = now + BUSY_FOR_S
        due = self._cadence.due(now, is_busy=now < self._busy_until, everything=self._look_all_over)
        if "peers" in due:
            self.peers.look()
        request = LookRequest(
            now,
            running_ids,
            own="own" in due,
            commands="commands" in due,
            root="root" in due,
            everywhere=self.settings.until_empty and settled_wait,
            default_gpus=self.settings.default_gpus,
            asked_for=frozenset(one for question in questions for one in question.tasks),
        )
        self._look_all_over = False
        self._look_is_out = True
        self._look_due = now + self.settings.poll_s
        taken_before = frozenset(self.tries.claimed_names)

        def done(result: Look | Failed) -> None:
            self._looked(result, taken_before, questions)

        self._storage.submit("look", lambda: self._spool.look(request), done)

    def _looked(self, result: Look | Failed, taken_before: frozenset[str], questions: list[Command]) -> None:
        now = self._now
        self._look_is_out = False
        problem = f"the spool could not be looked at: {result}" if isinstance(result, Failed) else ""
        if problem != self._look_problem:
            self._look_problem = problem
            self._say(problem or "the spool can be looked at again")
            self.beat.is_old = True
        if isinstance(result, Failed):
            return
        # What was taken before this look was asked for is no longer in its listing, unless it came back.
        self.tries.claimed_names -= taken_before
        if result.pending.waiting != self._view.waiting:
            self.beat.is_old = True
        self._view = result.pending
        self._without_gpu = positions_without_gpu(self._view.waiting)
        self._has_looked = True
        self.keeping.ask_leases(now, self.tries)
        if result.pending.next_look_s is not None:
            self._look_due = min(self._look_due, now + result.pending.next_look_s)
        if result.own_claims is not None:
            self.tries.recover(result.own_claims, now)
            if now >= self._tidy_due:
                self._tidy_due = now + HOURLY_S
                self.tries.tidy(result.own_claims)
        self._busy_queues = result.busy_queues
        if result.root is not None:
            self._take_root(result.root)
        if result.runs_somewhere is not None:
            self._runs_somewhere = result.runs_somewhere
        if result.mail is not None:
            for problem in result.mail.problems:
                self._say(problem)
            for command in result.mail.commands:
                self._obey(command, now)
        if questions:
            facts = self._facts(now)
            self.commands.explain(questions, self._view.waiting, lambda names: explain(facts, 0, names))
        self._plan_is_due = True

    def _keep(self, now: float) -> None:
        """Hold what is idle, and give up what is not."""
        self.keeping.step(now, self.tries, self._phase, self.settings, self._root.keepalive_off)
        self._keep_due = now + self.keeping.tick_s
        if self.keeping.take_changed():
            self.beat.is_old = self._plan_is_due = True
        if self.keeping.has_ledger and not self._ledger_is_out and now - self.keeping.ledger_at >= LEDGER_EVERY_S:
            self._write_ledger(now)

    def _write_ledger(self, now: float) -> None:
        text = self.keeping.ledger_text(now)
        self._ledger_is_out = True

        def done(result: Failed | None) -> None:
            self._ledger_is_out = False
            if isinstance(result, Failed):
                self._say(f"the ledger could not be written: {result}")

        self._storage.submit("ledger", lambda: self._spool.kept.write_ledger(text), done)

    def _take_root(self, root: RootView) -> None:
        if (root.paused, root.draining, root.keepalive_off) != (
            self._root.paused,
            self._root.draining,
            self._root.keepalive_off,
        ):
            self.beat.is_old = True
            self._keep_due = 0.0
        self._root = root
        if root.config is None:
            problem = f"the last good settings stay: {root.config_problem}"
        else:
            if root.config != self._config_tried:
                self._config_tried = root.config
                self._config_verdict = self._take_config(root.config)
            problem = self._config_verdict
        if problem != self._config_problem:
            self._config_problem = problem
            self.beat.is_old = True
            self._say(problem or "config.yaml is in order again")

    def _take_config(self, config: Config) -> str:
        """Take over the policy of a changed config.yaml; returns its problems, if there are any."""
        try:
            fresh = resolve(self._around.flags, self._around.environment, config)
        except SettingsError as error:
            here = f"{self._spool.paths.root}/"
            return f"the last good settings stay: {'; '.join(one.removeprefix(here) for one in error.problems)}"
        self.settings, waiting = live_changes(self.settings, fresh)
        self.keeping.obey(self.settings)
        self._say("config.yaml was read again")
        return f"config.yaml: a new agent is needed to obey {', '.join(waiting)}" if waiting else ""

    # -- planning ---------------------------------------------------------------------------------------------------

    def lifetime_left_s(self, now: float) -> float | None:
        """Seconds until the lifetime is over; None: it never is."""
        left_s = self._started_at + self.settings.lifetime_s - now
        return None if left_s == float("inf") else left_s

    def _change_phase(self, now: float) -> None:
        is_empty = self._has_looked and not self._view.waiting and not self.tries.live and not self._runs_somewhere
        phase, reason = phase_of(
            Wishes(
                terminated=self.was_terminated,
                shutdown=self.commands.shutdown,
                paused=self._root.paused,
                draining=self._root.draining,
                lifetime_left_s=self.lifetime_left_s(now),
                at_end=self.settings.at_end,
                until_empty=self.settings.until_empty,
                spool_is_empty=is_empty,
            )
        )
        if (phase, reason) != (self._phase, self._phase_reason):
            self._say(f"{phase.value}: {in_words(reason)}" if reason else phase.value)
            self._phase, self._phase_reason = phase, reason
            self.beat.is_old = self._plan_is_due = True
            self._keep_due = 0.0
        self.tries.is_leaving = phase is Phase.LEAVING
        if phase is Phase.LEAVING:
            if self._leaving_since is None:
                self._leaving_since = now
            for one in self.tries.live.values():
                if one.why is None:
                    self.tries.stop(one, Why.REQUEUE, now, self.settings.leave_grace_s)

    def _facts(self, now: float) -> Facts:
        policy = Policy(
            cpu_slots=self.settings.cpu_slots,
            retry_delay_s=self.settings.retry_delay_s,
            infeasible=self.settings.infeasible,
        )
        live = self.tries.live.values()
        return Facts(
            now=now,
            server_now=time.time() + self.beat.ahead_s,
            phase=self._phase,
            phase_reason=self._phase_reason,
            gpus=self.cards.facts(now, self.tries.held_gpus(), self.settings.foreign_memory_bytes),
            waiting=self._view.waiting,
            without_gpu=self._without_gpu,
            cpu_tasks=sum(not one.gpus and not one.refusal and one.holds_gpus for one in live),
            lifetime_left_s=self.lifetime_left_s(now),
            resting=self.tries.resting,
            claiming=frozenset(self.tries.claimed_names),
            busy_queues=self._queues_now(),
            policy=policy,
        )

    def _queues_now(self) -> dict[str, str]:
        """Busy queues as the last look found them, and those of the tasks that were taken since."""
        live = [one for one in self.tries.live.values() if not one.refusal]
        return {**self._busy_queues, **{one.needs.queue: one.claim.task_id for one in live if one.needs.queue}}

    def _plan(self, now: float) -> None:
        # What can never run is found when it was listed, not again each time that a GPU becomes free.
        look_ahead = LOOK_AHEAD if self._plan_is_due else 0
        self._plan_is_due = self.tries.plan_is_wanted = False
        if not self._has_looked:
            return
        facts = self._facts(now)
        self._waits_for_memory = bool(facts.waiting) and any(gpu.state is GpuState.FOREIGN for gpu in facts.gpus)
        decided = plan(facts, look_ahead)
        if decided.actions and not self.keeping.is_empty:
            self._keep_due = 0.0  # a worker may have to go
        for action in decided.actions:
            if isinstance(action, Start):
                if not self.tries.start(action.task, action.gpus, now):
                    break  # the next look plans again
            else:
                self.tries.refuse(action.task, in_words(action.reason), now)
            self.beat.is_old = True
        if decided.needs_reading and not self._look_is_out:
            self._look_due = min(self._look_due, now)

    # -- commands ---------------------------------------------------------------------------------------------------

    def _obey(self, command: Command, now: float) -> None:
        if command.nonce in self._seen:
            return
        self._seen.append(command.nonce)
        self.beat.hurry()  # a node file newer than the command says that we are at work on it

        self.commands.obey(command, now, self.settings.stop_grace_s, self._view.waiting, self._cancel)

    def _cancel(self, names: list[str]) -> None:
        self.tries.claimed_names |= set(names)
        self._storage.submit("cancel", lambda: self._spool.cancel(names), lambda _: None)

    def _answer(self, command: Command, text: str) -> None:
        # Whoever reads the answer looks at the node file next: it is to tell what came of the command.
        self._tell(self._now)

        def done(result: Failed | None) -> None:
            if isinstance(result, Failed):
                self._say(f"the answer to {command.entry} could not be written: {result}")

        self._storage.submit("answer", lambda: self._spool.mailbox.answer(command, text), done)

    # -- telling ----------------------------------------------------------------------------------------------------

    def _tell(self, now: float, state: AgentState | None = None) -> None:
        self.beat.write(now, self._page(now, state), self.settings.beat_s)

    def _page(self, now: float, state: AgentState | None) -> NodePage:
        facts = self._facts(now)
        left_s = self.lifetime_left_s(now)
        wall_s = time.time()
        told = (self._look_problem, self.tries.node_problem, self._config_problem, self._hanging_text(now))
        waiting = [task for task in self._view.waiting if task.name not in facts.claiming]
        open_nonces = self.commands.open_nonces()
        return NodePage(
            node=self._spool.node,
            incarnation=self._around.incarnation,
            state=state or AgentState(self._phase.value),
            reason=self._phase_reason,
            version=__version__,
            host=socket.gethostname(),
            pid=os.getpid(),
            started_s=self._started_wall_s,
            ends_s=None if left_s is None else wall_s + left_s,
            beat_s=wall_s,
            default_gpus=self.settings.default_gpus,
            devices=self._around.devices.describe(),
            gpus=gpu_pages(facts.gpus, self.cards.everything, self.keeping.page),
            running=try_pages(self.tries.live.values(), self.cards.everything, now),
            waiting_count=len(waiting),
            waiting=wait_pages(explain(facts, REASONS_PUBLISHED)),
            skipped=self._view.skipped,
            done=self.tries.settled_counts[State.DONE],
            failed=self.tries.settled_counts[State.FAILED],
            watching=silent_pages(self.peers.silent()),
            problems=tuple(text for text in told if text),
            # A command that is not answered yet is obeyed again by a successor, who would else forget it.
            seen=tuple(nonce for nonce in self._seen if nonce not in open_nonces),
        )

    def _hanging_text(self, now: float) -> str:
        hanging = self._storage.hangs(now)
        if hanging is None or hanging[1] < HANG_SAID_AFTER_S:
            return ""
        return f"the shared storage has not answered ({hanging[0]}) for {format_duration(hanging[1])}"

    def _notice_hanging(self, now: float) -> None:
        text = self._hanging_text(now)
        if bool(text) != self._hang_said:
            self._hang_said = bool(text)
            self._say(text or "the shared storage answers again")

    # -- the end ----------------------------------------------------------------------------------------------------

    def _maybe_finish(self, now: float) -> None:
        if self._phase not in (Phase.LEAVING, Phase.DRAINING) or self.finished:
            return
        if not self.tries.live and not self.commands.is_busy and self.keeping.is_empty:
            self.finished = True
        elif self._leaving_since is not None:
            patience_s = self.settings.leave_grace_s + LEAVE_EXTRA_S
            if now - self._leaving_since > patience_s:
                self.finished = self.forced_out = True

    def say_goodbye(self, now: float) -> None:
        """Hand in the last node file."""
        if self.keeping.has_ledger:
            self._write_ledger(now)
        self._tell(now, AgentState.STOPPED)
