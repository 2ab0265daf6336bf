"""How far a file's runs are, and what happened between two looks.  Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from gpu_queue.experiments.progress.nouns import (
    Agent,
    Counts,
    Event,
    Group,
    Happened,
    Item,
    Pace,
    Phase,
    Progress,
    Rest,
    Standing,
)
from gpu_queue.experiments.progress.rest import rests
from gpu_queue.experiments.specs.nouns import Experiment, Run
from gpu_queue.task import State

SAME_SINCE_S = 2.0
"""Two looks at a page tell of moments so far apart for one start: what is told first stays, or its seconds jump."""
PACE_KEPT_S = 60.0
"""So long after an end the next one may start."""
RECKONED_EVERY_S = 10.0
_ENDED = (Phase.DONE, Phase.FAILED, Phase.CANCELLED)
_BY_A_PERSON = frozenset({"", "cancelled", "stopped", "requeued", "fenced", "again", "saved"})
"""Outcomes of a last try behind which failed/ is not where the task went by itself."""
_NOTHING = Standing()


def phase_of(standing: Standing) -> Phase:
    """Where a run is, for people."""
    if standing.state is State.DONE:
        return Phase.DONE
    if standing.state is State.RUNNING:
        return Phase.RUNNING
    if standing.state is State.FAILED:
        is_known = standing.outcome or not standing.tries
        return Phase.CANCELLED if is_known and standing.outcome in _BY_A_PERSON else Phase.FAILED
    is_gone = standing.state is None and standing.task_id
    return Phase.CANCELLED if is_gone else Phase.WAITING


def advance(
    experiment: Experiment,
    standings: Mapping[str, Standing],
    now: float,
    *,
    agent: Agent = Agent(),  # noqa: B008  it is frozen
    before: Progress | None = None,
) -> Progress:
    """How far the runs are.

    Args:
        experiment: the same at each look.
        standings: of its runs, by their names; of one without any nothing is known.
        now: epoch seconds.
        agent: that serves them.
        before: what the look before has found; None: it is the first one.
    """
    known: Sequence[Item | None] = before.items if before is not None else (None,) * len(experiment.runs)
    items = tuple(
        _item(run, standings.get(run.name, _NOTHING), item) for run, item in zip(experiment.runs, known, strict=True)
    )
    if before is not None and all(map(_is, items, before.items)):
        return _later(before, now, agent)
    running = tuple(sorted((one for one in items if one.phase is Phase.RUNNING), key=_since))
    waiting = tuple(sorted((one for one in items if one.phase is Phase.WAITING), key=lambda one: one.standing.place))
    earlier = before.earlier if before is not None else frozenset(_names(items, Phase.DONE))
    pace = pace_of(len(running), now, Pace() if before is None else before.pace)
    told = rests(items, waiting, pace.runs, now)
    groups = tuple(_groups(experiment, items, now, before, earlier, told))
    began = before.began if before is not None else now
    whole = _whole([told.get(name) for name in experiment.groups], items)
    return Progress(now, began, items, groups, running, waiting, agent, earlier, whole, pace)


def _is(one: object, other: object) -> bool:
    return one is other


def _item(run: Run, standing: Standing, before: Item | None) -> Item:
    if before is None:
        return Item(run, standing, phase_of(standing))
    old = before.standing
    if standing is old or standing == old:
        return before
    if standing.token == old.token and standing.since is not None and old.since is not None:
        if abs(standing.since - old.since) < SAME_SINCE_S:
            standing = replace(standing, since=old.since)
        if standing == old:
            return before
    return Item(run, standing, phase_of(standing))


def _since(item: Item) -> tuple[bool, float]:
    since = item.standing.since
    return since is None, since or 0.0


def _names(items: Iterable[Item], phase: Phase) -> Iterator[str]:
    return (one.run.name for one in items if one.phase is phase)


def pace_of(running: int, now: float, old: Pace = Pace()) -> Pace:  # noqa: B008  it is frozen
    """How many run at once, of late.

    Args:
        running: so many do now.
        now: epoch seconds.
        old: as it was at the look before.
    """
    if running >= old.runs or now - old.seen_at > PACE_KEPT_S:
        return Pace(running, now)
    return old


def _groups(
    experiment: Experiment,
    items: Sequence[Item],
    now: float,
    before: Progress | None,
    earlier: frozenset[str],
    told: Mapping[str, Rest | None],
) -> Iterator[Group]:
    phases = {name: Counter[Phase]() for name in experiment.groups}
    early = Counter[str]()
    for one in items:
        phases[one.run.group][one.phase] += 1
        early[one.run.group] += one.run.name in earlier and one.phase is Phase.DONE
    first: dict[str, float] = {}
    for one in items:
        if one.phase is Phase.RUNNING:
            since = now if one.standing.since is None else min(one.standing.since, now)
            first[one.run.group] = min(since, first.get(one.run.group, since))
    old = {group.name: group for group in before.groups} if before is not None else {}
    for name, found in phases.items():
        counts = Counts(*(found[phase] for phase in (*_ENDED, Phase.RUNNING, Phase.WAITING)))
        was = old.get(name)
        has_ended = counts.ended == counts.all
        ended_at = (now if was is None or was.ended_at is None else was.ended_at) if has_ended else None
        began_at = first.get(name) if was is None or was.began_at is None else was.began_at
        if began_at is None and counts.ended > (counts.ended if was is None else was.counts.ended):
            began_at = now  # it was too short to be seen running
        yield Group(name, counts, early[name], began_at, ended_at, None if has_ended else told.get(name))


def _whole(told: Sequence[Rest | None], items: Sequence[Item]) -> Rest | None:
    known = [one for one in told if one is not None]
    if not known or all(one.phase in _ENDED for one in items):
        return None
    return Rest(max(one.until for one in known), any(one.is_least for one in known))


def _later(before: Progress, now: float, agent: Agent) -> Progress:
    """Nothing of the runs has changed; how long they still take is reckoned anew now and then."""
    pace = pace_of(len(before.running), now, before.pace)
    if int(now / RECKONED_EVERY_S) == int(before.now / RECKONED_EVERY_S) and pace.runs == before.pace.runs:
        return replace(before, now=now, agent=agent, pace=pace)
    told = rests(before.items, before.waiting, pace.runs, now)
    groups = tuple(group if group.ended_at else replace(group, rest=told.get(group.name)) for group in before.groups)
    whole = _whole([group.rest for group in groups], before.items)
    return replace(before, now=now, agent=agent, pace=pace, groups=groups, rest=whole)


# -- what happened ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Change:
    before: Standing
    now: Standing
    old: Phase
    new: Phase

    @property
    def is_other_task(self) -> bool:
        return self.before.task_id != self.now.task_id

    @property
    def is_other_try(self) -> bool:
        return self.is_other_task or self.before.token != self.now.token or self.before.tries != self.now.tries

    @property
    def is_read_later(self) -> bool:
        """Whether only now somebody has read how it went: its files come later than its place."""
        return not self.is_other_task and not self.before.tries


def events_between(before: Progress | None, after: Progress) -> tuple[Event, ...]:
    """What a person wants to hear of, in the order of the file; of the first look nothing has happened."""
    if before is None or before.items is after.items:
        return tuple(_of_agent(before, after)) if before is not None else ()
    found = list(_of_agent(before, after))
    for old, new in zip(before.items, after.items, strict=True):
        if old is not new:
            change = _Change(old.standing, new.standing, old.phase, new.phase)
            found += [Event(what, after.now, new, old.standing) for what in _happened(change)]
    return tuple(found)


def _of_agent(before: Progress, after: Progress) -> Iterator[Event]:
    if after.agent.starts > before.agent.starts:
        yield Event(Happened.AGENT, after.now, said=after.agent.ended)


def _happened(one: _Change) -> Iterator[Happened]:
    if one.now.state is None and one.now.task_id:
        if one.before.state is not None:
            yield Happened.GONE
        return
    is_ended = one.new in _ENDED
    if is_ended and (one.new is not one.old or (one.is_other_try and not one.is_read_later)):
        yield {Phase.DONE: Happened.DONE, Phase.FAILED: Happened.FAILED}.get(one.new, Happened.CANCELLED)
        return
    if is_ended:
        return
    if one.old in _ENDED:
        yield Happened.QUEUED
    elif not one.is_other_task and one.now.failures > one.before.failures:
        yield Happened.RETRIED
    elif not one.is_other_task and one.old is Phase.RUNNING and (one.new is Phase.WAITING or one.is_other_try):
        yield Happened.REQUEUED
    if one.new is Phase.RUNNING and (one.old is not Phase.RUNNING or one.is_other_try):
        yield Happened.STARTED
