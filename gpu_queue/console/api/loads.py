"""Stopping loads: all tasks that wait or run and were made of some files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from fastapi import Request

from gpu_queue.console.api.jobfiles import told
from gpu_queue.console.api.plans import who
from gpu_queue.console.jobfiles.members import Source, live
from gpu_queue.console.jobfiles.shelves import members_of
from gpu_queue.console.keys import text_of
from gpu_queue.console.models.plans import PlanOutcome
from gpu_queue.console.models.seed import LoadsStopped, LoadStopped, Stopped
from gpu_queue.console.schedulers.grouping import load_pid, pid_of
from gpu_queue.console.state import ConsoleState
from gpu_queue.console.world.world import World
from gpu_queue.experiments.commandfiles.batches import digits_of
from gpu_queue.spool.paths import is_id
from gpu_queue.spool.snapshot.view import Snapshot

READ_S = 15.0
STOPS_S = 30.0
"""So long a stop is waited for; it goes on all the same."""
Wanted = Callable[[str, Source], bool]
"""Whether a task is meant, by its id and what it was made of."""


async def sources_of(world: World, seen: Snapshot, wanted: Wanted) -> dict[str, Source]:
    """What waits or runs and is meant, by its id.

    Raises:
        Unread: there was no time to read all records.
        StorageSilent, OSError: the storage does not tell.
    """
    members, tasks = members_of(world), live(seen)
    found = await world.call(lambda: members.sources(tasks), READ_S)
    return {one: source for one, source in found.items() if source.file and wanted(one, source)}


async def stop_loads(world: World, console: ConsoleState, request: Request, wanted: Wanted) -> LoadsStopped:
    """Cancel what waits and stop what runs; the agent that this console has started ends, if nothing else is left.

    Raises:
        Problem: the storage does not tell.
    """
    sources: dict[str, Source] = {}

    async def choose(seen: Snapshot) -> list[str]:
        sources.update(await sources_of(world, seen, wanted))
        return list(sources)

    async with told():
        plan = await console.plans.make_stop(world, choose)
        if not plan.can_run:
            return LoadsStopped(stopped=0, counts={}, loads=[], outcomes=[])
        outcome = await console.plans.run(world, plan.id, "", STOPS_S, who(request))
    return LoadsStopped(
        stopped=outcome.counts.get("done", 0),
        counts=outcome.counts,
        loads=_loads(sources),
        outcomes=_outcomes(outcome),
        agent="" if outcome.agent is None else outcome.agent.text,
        problem=outcome.problem or ("" if outcome.state == "finished" else "it is still being done"),
    )


def _loads(sources: dict[str, Source]) -> list[LoadStopped]:
    made = []
    for source, count in sorted(Counter(sources.values()).items(), key=lambda one: (one[0].mode, one[0].index)):
        told = {
            "pid": load_pid(source.file),
            "load": digits_of(source.file),
            "mode": source.mode,
            "config_index": source.index if source.mode != "yaml" else None,
            "file": text_of(source.file),
            "tasks": count,
        }
        made.append(LoadStopped.model_validate(told))
    return made


def _outcomes(outcome: PlanOutcome) -> list[Stopped]:
    return [
        Stopped(
            pid=pid_of(one.key) if is_id(one.key) else None,
            id=one.key,
            what=one.what,
            where=one.where,
            reason="" if one.why is None else one.why.text.en,
        )
        for one in outcome.outcomes
    ]
