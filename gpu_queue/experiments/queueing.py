"""Queueing an experiment: what a plan says is done, in an order in which a crash in between loses nothing.

- All scripts are looked at before anything is changed.
- What is taken out goes first: of a changed run the old task must not start beside the new one.  Then what has failed
  is tried again, and last what is new is published, all at once, nothing before what it comes after.  Loading once
  more completes what a crash has left: a cancelled task counts for nothing.
- A task that moves on at that moment is no longer taken out; then everything is compared anew.
- Two loads of one file at once may both find it not queued.  On one machine a lock has them go one after the other.
  For others both compare once more when they have published, and take the doubles out by the same rule.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from gpu_queue.errors import BadExperimentFile, BadScript, SpoolError
from gpu_queue.experiments.courtesy import alone
from gpu_queue.experiments.known import Census, Member
from gpu_queue.experiments.plans import (
    Because,
    Facts,
    Item,
    News,
    Plan,
    Wish,
    compare,
    compare_once_more,
    priority_of,
)
from gpu_queue.experiments.specs.nouns import Experiment, Run
from gpu_queue.spool.desk import entrance
from gpu_queue.spool.desk.committing import Prepared
from gpu_queue.spool.desk.find import Task
from gpu_queue.spool.desk.links import turn_link, unmake_link
from gpu_queue.spool.desk.publishing import Beside, Options, Script
from gpu_queue.spool.desk.stamps import begin_behind
from gpu_queue.spool.desk.steering import Outcome, cancel, retry
from gpu_queue.spool.desk.storing import Codes
from gpu_queue.spool.paths import SpoolPaths, submitted_s
from gpu_queue.spool.records import read_tries
from gpu_queue.task import Claim, ExperimentPart, State
from gpu_queue.texts import printable

ROUNDS = 3
ROUNDS_TOGETHER = 10
_UNDER_WAY = "another load of it is under way"


@dataclass(frozen=True)
class Loaded:
    """What was done."""

    plan: Plan
    """As it was carried out."""
    queued: tuple[tuple[Run, Task], ...] = ()
    """In the order in which they were queued."""
    cancelled: tuple[Member, ...] = ()
    """What was taken out."""
    retried: tuple[Member, ...] = ()
    """What is tried again."""
    notes: tuple[str, ...] = ()
    others: tuple[Member, ...] = ()
    """What another load queued at the same time, in the place of ours."""

    @property
    def ids(self) -> dict[str, str]:
        """The task that counts of each run, by the run's name; of one that waits outside the queue there is none."""
        known = {
            one.run.name: one.member.id
            for one in self.plan.items
            if one.member is not None and not (one.news is News.LATER and one.because is Because.UPSTREAM)
        }
        others = {one.part.name: one.id for one in self.others}
        return known | {run.name: task.id for run, task in self.queued if task.id is not None} | others


def plan_experiment(
    paths: SpoolPaths, experiment: Experiment, *, again: bool = False, retry_failed: bool = False
) -> Plan:
    """What loading would do; nothing is changed.

    Args:
        paths: of the spool, which need not be there.
        experiment: the file, as it was read.
        again: also what was done or has failed is queued once more.
        retry_failed: what has failed is tried again under its id.

    Raises:
        BadExperimentFile: a run can never be run.
        SpoolError: the spool cannot be used or listed.
    """
    loading = _Loading(paths, experiment, Wish(again, retry_failed))
    plan = loading.compare()
    loading.look_at(plan, plan.published)
    return plan


def compare_experiment(paths: SpoolPaths, experiment: Experiment, *, again: bool = False) -> Plan:
    """The same, without a look at the scripts: load does that before it changes anything.

    Raises:
        BadExperimentFile: the runs cannot be ordered.
        SpoolError: the spool cannot be used or listed.
    """
    return _Loading(paths, experiment, Wish(again)).compare()


def load_experiment(
    paths: SpoolPaths,
    experiment: Experiment,
    *,
    again: bool = False,
    retries: int | None = None,
    retry_failed: bool = False,
) -> Loaded:
    """Queue what is new of an experiment, all at once; where there is no spool yet, make it.

    Args:
        paths: of the spool.
        experiment: the file, as it was read.
        again: also what was done or has failed is queued once more.
        retries: of runs that say nothing; None: as the agent's settings say.
        retry_failed: what has failed is tried again under its id.

    Raises:
        BadExperimentFile: a run can never be run; nothing was changed.
        NotPublished: the storage did not take all; loading again completes it.
        SpoolError: the spool cannot be used or listed, or what waits cannot be taken out.
    """
    with alone(paths.root):
        return _Loading(paths, experiment, Wish(again, retry_failed), retries).load()


class _Loading:
    """One load, while it is made."""

    def __init__(self, paths: SpoolPaths, experiment: Experiment, wish: Wish, retries: int | None = None) -> None:
        self._paths = paths
        self._experiment = experiment
        self._wish = wish
        self._retries = retries
        self._census = Census(paths)
        self._codes = Codes(paths)
        self._taken: list[Member] = []
        self._retried: dict[str, Member] = {}
        self._before: set[str] = set()
        self._newest_s = 0.0
        """When the last of its tasks was submitted."""

    def _known(self) -> list[Member]:
        known = self._census.members(file=self._experiment.path) if entrance.is_made(self._paths) else []
        self._newest_s = max((submitted_s(one.id) or 0.0 for one in known), default=0.0)
        return known

    def compare(self) -> Plan:
        """The file against what is there now."""
        known = self._known()
        self._before = {one.id for one in known}
        lost = frozenset(one.id for one in known if one.state is State.DONE and _is_lost(one.part.log))
        try:
            return compare(self._experiment.runs, Facts(known, self._taken, lost), self._wish)
        except ValueError as error:
            raise BadExperimentFile(f"{printable(self._experiment.place)}: {error}") from error

    def look_at(self, plan: Plan, published: Sequence[Item]) -> list[Prepared]:
        """Refuse what can never run, all of it at once."""
        scripts = self._scripts(plan, published)
        try:
            return entrance.look_at(self._paths, scripts, Options(), self._codes)
        except BadScript as error:
            problems = []
            for item, script in zip(published, scripts, strict=True):
                try:
                    alone_script = [replace(script, options=self._options(item.run))]
                    entrance.look_at(self._paths, alone_script, Options(), self._codes)
                except BadScript as problem:
                    problems.append(f"{self._place(item.run)}: {problem}")
            raise BadExperimentFile(*problems or [f"{printable(self._experiment.place)}: {error}"]) from error

    def load(self) -> Loaded:
        """Do all of it."""
        for _ in range(ROUNDS):
            plan = self.compare()
            prepared = self.look_at(plan, plan.published)
            refusals = self._take_out(plan) or self._try_again(plan)
            if not refusals:
                break
        else:
            raise SpoolError(f"{refusals[0]}; load it again")
        published, notes = _with_places(plan.published)
        if notes:
            prepared = self.look_at(plan, published)
        tasks = self._put_in(prepared)
        queued = {item.run.name: (item.run, task) for item, task in zip(published, tasks, strict=True)}
        notes += tuple(_missing_directories(published))
        loaded = Loaded(plan, tuple(queued.values()), tuple(self._taken), tuple(self._retried.values()), notes)
        return self._without_doubles(loaded, queued) if queued else loaded

    def _without_doubles(self, loaded: Loaded, queued: dict[str, tuple[Run, Task]]) -> Loaded:
        """Compare once more, until what another load did meanwhile and what we did is one."""
        try:
            for _ in range(ROUNDS_TOGETHER):
                facts = Facts(self._known(), self._taken, before=frozenset(self._before))
                plan = compare_once_more(self._experiment.runs, facts)
                if not plan.cancelled and not plan.published:
                    break
                published, _ = _with_places(plan.published)
                prepared = self.look_at(plan, published)
                if self._take_out(plan):
                    continue
                tasks = self._put_in(prepared)
                self._before.update(one.member.id for one in published if one.member is not None)
                queued.update((item.run.name, (item.run, task)) for item, task in zip(published, tasks, strict=True))
            else:
                return replace(loaded, notes=(*loaded.notes, f"{_UNDER_WAY}; load it again"))
        except SpoolError as error:
            return replace(loaded, notes=(*loaded.notes, f"{_UNDER_WAY}? {error}"))
        now = {one.run.name: one.member for one in plan.items if one.member is not None}
        others = [now[name] for name, (_, task) in queued.items() if name in now and now[name].id != task.id]
        names = {one.part.name for one in others}
        ours = tuple(one for name, one in queued.items() if name not in names)
        return replace(loaded, queued=ours, others=tuple(others))

    def _put_in(self, prepared: Sequence[Prepared]) -> tuple[Task, ...]:
        begin_behind(self._newest_s)  # the last task of a name counts: a clock that was set back must not hide it
        return entrance.put_in(self._paths, prepared)

    def _take_out(self, plan: Plan) -> list[Outcome]:
        stays = {one.member.part.name: one.member for one in plan.items if one.member and not one.is_published}
        refusals = []
        # The last one first: what comes after another would fail where that one is found cancelled.
        for one in reversed(plan.cancelled):
            outcome = cancel(self._paths, one.task)
            if outcome:
                self._taken.append(one)
                self._give_back(one, stays.get(one.part.name))
            else:
                refusals.append(outcome)
        return refusals

    def _give_back(self, taken: Member, stays: Member | None) -> None:
        """Let the place of a link that led nowhere yet lead to the log of the task that counts, if there is one."""
        place, log = taken.part.log, self._paths.first_log(taken.id)
        if place and stays is not None and stays.part.log == place:
            turn_link(place, log, self._last_log(stays.id))
        elif place and not os.path.lexists(log):
            unmake_link(place, log)

    def _last_log(self, task_id: str) -> str:
        try:
            tries = read_tries(self._paths, task_id)
        except OSError:
            tries = ()
        last = Claim(0, task_id, tries[-1].number, tries[-1].token) if tries else Claim(0, task_id, 1, "")
        return self._paths.log(last)

    def _try_again(self, plan: Plan) -> list[Outcome]:
        """In the order of the plan: what comes after another fails where it finds that one failed."""
        refusals = []
        for item in plan.retried:
            if item.member is None:
                continue
            outcome = retry(self._paths, item.member.task)
            if outcome:
                self._retried[item.member.id] = item.member
            else:
                refusals.append(outcome)
        return refusals

    # -- scripts

    def _scripts(self, plan: Plan, published: Sequence[Item]) -> list[Script]:
        """What is published, each behind what it comes after."""
        position = {item.run.name: at for at, item in enumerate(published)}
        known = {item.run.name: item.member.id for item in plan.items if item.member is not None}
        made = []
        for item in published:
            names = dict.fromkeys(item.run.after)
            after = tuple(Beside(position[name]) if name in position else known[name] for name in names)
            options = replace(self._options(item.run), after=after)
            made.append(Script(item.run.name, item.run.script, self._experiment.place, options))
        return made

    def _options(self, run: Run) -> Options:
        texts = (run.group, run.job, run.name, run.content)
        return Options(
            gpus=run.gpus,
            nodes=run.nodes,
            memory=run.memory,
            queue=run.queue,
            notify=run.notify,
            time=run.time,
            signal=run.signal,
            retries=self._retries if run.retries is None else run.retries,
            name=run.name,
            priority=priority_of(run),
            cwd=run.cwd,
            experiment=ExperimentPart(self._experiment.path, *texts, log=run.log, params=run.params),
            snapshot=run.snapshot,
        )

    def _place(self, run: Run) -> str:
        return f"{printable(self._experiment.place)}:{run.place.line}:{run.place.column}"


def _missing_directories(published: Sequence[Item]) -> Iterator[str]:
    """Where runs cannot start here; where they do it may be there, or be made before."""
    runs: dict[str, list[Run]] = {}
    for item in published:
        runs.setdefault(item.run.cwd, []).append(item.run)
    for directory, there in runs.items():
        if not os.path.isdir(directory):
            more = f" and {len(there) - 1} more" if len(there) > 1 else ""
            yield f"{printable(directory)} is no directory here: cwd of {printable(there[0].name)}{more}"


# -- links to logs --------------------------------------------------------------------------------------------------


def _is_lost(log: str) -> bool:
    try:
        os.lstat(log)
    except (FileNotFoundError, NotADirectoryError):
        return bool(log)
    except (OSError, ValueError):
        pass  # nobody can look there now: what was done is not run again for that
    return False


_TRIED = ".gpu-queue-link"


def _why_no_links(directory: str) -> str:
    """Why no link can be made in a directory, which is made; empty: one was made, and taken away."""
    try:
        os.makedirs(directory, exist_ok=True)
        # There are filesystems without links, and full ones: only trying tells.  Two may try at once, and be killed.
        with contextlib.suppress(FileExistsError):
            os.symlink("tried", f"{directory}/{_TRIED}")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{directory}/{_TRIED}")
    except PermissionError:
        return "you may not write there" if not os.access(directory, os.W_OK | os.X_OK) else "it has no links"
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", None) or str(error)
    return ""


def _with_places(published: Sequence[Item]) -> tuple[list[Item], tuple[str, ...]]:
    """The same runs, with the directories for the links to their logs made; where there can be none, without."""
    directories = dict.fromkeys(os.path.dirname(item.run.log) for item in published if item.run.log)
    problems = {directory: _why_no_links(directory) for directory in directories}
    # A record that names a link which cannot be made would have the run queued anew each time, for a lost log.
    made = [
        replace(item, run=replace(item.run, log="")) if problems.get(os.path.dirname(item.run.log)) else item
        for item in published
    ]
    notes = [f"{printable(path)}: no links to logs there: {why}" for path, why in problems.items() if why]
    return made, tuple(notes)
