"""Making a plan: a snapshot, a wish and a few facts become what will happen.  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

from gpu_queue.console.keys import key_of, name_of, text_of
from gpu_queue.console.models.common import Note, TaskState
from gpu_queue.console.models.plans import (
    SHOWN_MAX,
    TASKS_MAX,
    Plan,
    PlanCounts,
    PlannedNode,
    PlannedTask,
    PlanRequest,
)
from gpu_queue.console.phrasebook import REFUSALS
from gpu_queue.console.plans.dependents import depending_on
from gpu_queue.console.plans.nouns import FLAGS, ON_NODES, Facts, Made, Target
from gpu_queue.console.sentences import note
from gpu_queue.spool.snapshot.settled import SettledTask
from gpu_queue.spool.snapshot.view import NodeView, Presence, RunningTask
from gpu_queue.spool.snapshot.waiting import WaitingTask
from gpu_queue.task import State

CONFIRMED_ABOVE = 20
EXPLAINED_MAX = 1000
LISTED_MAX = 10
"""Names in a warning."""
STATES: dict[State, TaskState] = {
    State.PENDING: "waiting",
    State.RUNNING: "running",
    State.DONE: "done",
    State.FAILED: "failed",
}
Found = WaitingTask | RunningTask | SettledTask


class Unsuitable(ValueError):
    """A wish that names nothing, or too much, or lacks a value: a code of ``phrasebook.REFUSALS``."""

    def __init__(self, code: str, **params: object) -> None:
        super().__init__(REFUSALS[code].filled(params)[0])
        self.code = code
        """With its variant."""
        self.params = params


def make(facts: Facts, request: PlanRequest, chosen: Sequence[str], plan_id: str, expires_at_s: float) -> Made:
    """What a wish will do.

    Args:
        facts: what is known.
        request: the wish; its scripts are not for this function.
        chosen: keys of the tasks that are meant, in the order in which they are shown, each once.
        plan_id: of the plan.
        expires_at_s: until when it is kept.

    Raises:
        Unsuitable: the wish names nothing, or too much, or lacks a value.
    """
    if request.action == "policy":
        raise Unsuitable("by_policy")
    if request.action in FLAGS:
        return _flags(facts, request, plan_id, expires_at_s)
    if request.action in ON_NODES:
        return _nodes(facts, request, plan_id, expires_at_s)
    if len(chosen) > TASKS_MAX:
        raise Unsuitable("too_many_tasks", count=len(chosen), most=TASKS_MAX)
    if request.action == "priority" and request.priority is None:
        raise Unsuitable("no_priority")
    if request.action == "explain" and len(chosen) > EXPLAINED_MAX:
        raise Unsuitable("too_many_tasks.asked", count=len(chosen), most=EXPLAINED_MAX)
    return _tasks(facts, request, chosen, plan_id, expires_at_s)


# -- tasks ----------------------------------------------------------------------------------------------------------


def _tasks(facts: Facts, request: PlanRequest, chosen: Sequence[str], plan_id: str, expires_at_s: float) -> Made:
    found, missing = _look_up(facts, chosen)
    places: dict[str, int] = {}
    if request.action == "priority":
        assert request.priority is not None
        waiting = [key for key, one in found.items() if isinstance(one, WaitingTask)]
        places = facts.seen.waiting.places_with(dict.fromkeys(map(name_of, waiting), request.priority))
    shown: list[PlannedTask] = []
    targets: list[Target] = []
    count: dict[str, int] = {}
    for key, one in found.items():
        does, why_not = _does(request, one)
        count[does] = count.get(does, 0) + 1
        if does != "nothing":
            targets.append(target_of(key, one))
        if len(shown) < SHOWN_MAX:
            shown.append(_shown(facts, key, one, does, why_not, places.get(name_of(key))))
    failing = [one.key for one in targets] if request.action in ("cancel", "stop") else []
    dependents = depending_on(failing, facts.after) if failing else []
    stopped = [one.key for one in targets if one.state is State.RUNNING] if failing else []
    lost = frozenset(depending_on(stopped, facts.after)) if stopped else frozenset()
    waits_again = any(one.state is not State.RUNNING and one.key not in lost for one in targets)
    count["nothing"] = count.get("nothing", 0) + len(missing)
    counts = PlanCounts(
        total=len(found) + len(missing),
        stop=count.get("stop", 0),
        cancel=count.get("cancel", 0),
        retry=count.get("retry", 0),
        priority=count.get("priority", 0),
        nothing=count["nothing"],
        dependents=len(dependents),
        running=sum(isinstance(one, RunningTask) for one in found.values()),
    )
    warnings = [*_missing(missing), *_cut(facts)]
    if failing and facts.unread:
        warnings.append(note("dependents_unread", count=facts.unread))
    warnings += _silent(facts, targets)
    plan = Plan(
        id=plan_id,
        action=request.action,
        expires_at_s=expires_at_s,
        counts=counts,
        tasks=shown,
        grace_s=facts.grace_s if counts.stop else None,
        priority=request.priority if request.action == "priority" else None,
        must_confirm=request.action == "stop" or (len(targets) > CONFIRMED_ABOVE and request.action != "explain"),
        can_undo=waits_again and request.action != "explain",
        can_run=bool(targets),
        warnings=warnings,
    )
    return Made(plan, request, tuple(_ordered(targets)), tuple(_waiting(facts, dependents)), lost)


def _look_up(facts: Facts, chosen: Iterable[str]) -> tuple[dict[str, Found], list[str]]:
    """Where each of these is; each once, and those that are nowhere."""
    seen = facts.seen
    running = {one.claim.task_id: one for one in seen.running if one.end is None} | {
        one.claim.task_id: one for one in seen.running if one.end is not None
    }
    found: dict[str, Found] = {}
    missing: dict[str, None] = {}
    for key in chosen:
        if key in found or key in missing:
            continue
        name = name_of(key)
        place = seen.waiting.place(name)
        one: Found | None = seen.waiting[place] if place is not None else running.get(name)
        one = one or seen.failed.find(name) or seen.done.find(name)
        if one is None:
            missing[key] = None
        else:
            found[key] = one
    return found, list(missing)


def _does(request: PlanRequest, one: Found) -> tuple[str, Note | None]:
    """What becomes of a task, and why nothing does."""
    action = request.action
    if action == "explain":
        return "explain", None
    if isinstance(one, WaitingTask):
        if action in ("cancel", "stop"):
            return "cancel", None
        if action == "priority":
            is_so = one.priority == request.priority
            return ("nothing", note("has_priority")) if is_so else ("priority", None)
        return "nothing", note("waits_already")
    if isinstance(one, RunningTask):
        if action == "stop":
            return "stop", None
        return "nothing", note("runs_stop" if action == "cancel" else "runs", node=text_of(one.node))
    if action == "retry" and one.state is State.FAILED:
        return "retry", None
    return "nothing", note("is_done" if one.state is State.DONE else "has_failed")


def target_of(key: str, one: Found) -> Target:
    """A task as a plan keeps it."""
    if isinstance(one, WaitingTask):
        return Target(key, State.PENDING, one.name, "", one.task_id is not None)
    if isinstance(one, RunningTask):
        return Target(key, State.RUNNING, one.name, one.node)
    return Target(key, one.state, one.name)


def _shown(
    facts: Facts, key: str, one: Found, does: str, why_not: Note | None, place_after: int | None
) -> PlannedTask:
    task_id = one.task_id or ""
    is_running = isinstance(one, RunningTask)
    return PlannedTask.model_validate(
        {
            "key": key,
            "short": task_id[19:25],
            "title": text_of(facts.titles.get(task_id) or one.title),
            "state": STATES[target_of(key, one).state],
            "does": does,
            "node": key_of(one.node) if isinstance(one, RunningTask) else "",
            "user": text_of(facts.users.get(task_id, "")),
            "since_at_s": None if is_running else _since_s(one),
            "place": facts.seen.waiting.place(one.name) if isinstance(one, WaitingTask) else None,
            "place_after": place_after,
            "why_not": why_not,
        }
    )


def _since_s(one: Found) -> float | None:
    if isinstance(one, SettledTask):
        return one.ended.at_s if one.ended is not None else None
    return one.submitted_s if isinstance(one, WaitingTask) else None


def _ordered(targets: list[Target]) -> list[Target]:
    """What waits is taken out first, so that none of it starts where something else is ended."""
    return [one for one in targets if one.state is State.PENDING] + [
        one for one in targets if one.state is not State.PENDING
    ]


def _waiting(facts: Facts, ids: Iterable[str]) -> Iterable[Target]:
    for task_id in ids:
        place = facts.seen.waiting.place(task_id)
        if place is not None:
            yield target_of(task_id, facts.seen.waiting[place])


def _missing(keys: list[str]) -> list[Note]:
    if not keys:
        return []
    names = [text_of(key) for key in islice(keys, LISTED_MAX)]
    return [note("not_found_many" if len(keys) > LISTED_MAX else "not_found", count=len(keys), names=names)]


def _cut(facts: Facts) -> list[Note]:
    parts = sorted(facts.seen.cut & {"waiting", "running", "done", "failed"})
    if not parts:
        return []
    return [note("cut", parts=parts)]


def _silent(facts: Facts, targets: list[Target]) -> list[Note]:
    """Running tasks on nodes that will not answer."""
    nodes = {one.node for one in targets if one.state is State.RUNNING}
    silent = [
        node for node in sorted(nodes) if (view := facts.seen.node(node)) is None or view.presence not in _ANSWERING
    ]
    if not silent:
        return []
    names = [text_of(node) for node in silent[:LISTED_MAX]]
    return [note("nodes_silent", count=len(silent), nodes=names)]


_ANSWERING = (Presence.ALIVE, Presence.UNKNOWN)

# -- flags ----------------------------------------------------------------------------------------------------------


def _flags(facts: Facts, request: PlanRequest, plan_id: str, expires_at_s: float) -> Made:
    flags = FLAGS[request.action]
    is_lifted = request.action in ("resume", "keepalive_on")
    is_set = [flag for flag in flags if facts.seen.flag(flag) is not None]
    warnings = []
    for flag in is_set if not is_lifted else ():
        by = text_of(view.by) if (view := facts.seen.flag(flag)) is not None else ""
        warnings.append(note("already_set" if by else "already_set_unsigned", flag=flag, by=by))
    if is_lifted and not is_set:
        warnings.append(note("already_off", flags=list(flags)))
    nodes = [one for one in facts.seen.nodes if one.presence in (*_ANSWERING, Presence.SILENT)]
    running = _running_by_node(facts)
    plan = Plan(
        id=plan_id,
        action=request.action,
        expires_at_s=expires_at_s,
        counts=PlanCounts(running=sum(running.values())),
        tasks=[],
        nodes=[_node(one, running) for one in nodes],
        must_confirm=False,
        can_undo=True,
        can_run=True,
        warnings=warnings,
    )
    return Made(plan, request)


def _running_by_node(facts: Facts) -> dict[str, int]:
    count: dict[str, int] = {}
    for one in facts.seen.running:
        if one.end is None:
            count[one.node] = count.get(one.node, 0) + 1
    return count


def _node(view: NodeView, running: dict[str, int]) -> PlannedNode:
    return PlannedNode(
        node=key_of(view.node),
        title=text_of(view.title),
        running=running.get(view.node, 0),
        presence=view.presence.value,
    )


# -- nodes ----------------------------------------------------------------------------------------------------------


def _nodes(facts: Facts, request: PlanRequest, plan_id: str, expires_at_s: float) -> Made:
    if request.action == "forget" and not request.nodes:
        raise Unsuitable("no_node")
    known = {one.node: one for one in facts.seen.nodes}
    wanted = list(dict.fromkeys(map(name_of, request.nodes))) or [
        one.node
        for one in facts.seen.nodes
        if one.presence in (*_ANSWERING, Presence.SILENT) and one.page is not None
    ]
    warnings = []
    meant: list[NodeView] = []
    for node in wanted:
        view = known.get(node)
        why_not = _why_not_node(request, node, view)
        if why_not is not None:
            warnings.append(why_not)
        elif view is not None:
            meant.append(view)
    running = _running_by_node(facts)
    if request.action == "forget" and request.force and any(running.get(one.node) for one in meant):
        warnings.append(note("may_run_twice"))
    if request.action == "shutdown" and request.nodes and facts.is_kept:
        warnings.append(note("kept"))
    must_type = ""
    if meant:
        must_type = text_of(meant[0].title) if len(meant) == 1 and request.nodes else facts.job
    plan = Plan(
        id=plan_id,
        action=request.action,
        expires_at_s=expires_at_s,
        counts=PlanCounts(running=sum(running.get(one.node, 0) for one in meant)),
        tasks=[],
        nodes=[_node(one, running) for one in meant],
        must_confirm=True,
        must_type=must_type,
        can_undo=False,
        can_run=bool(meant),
        warnings=warnings[:CONFIRMED_ABOVE],
    )
    return Made(plan, request, nodes={one.node: "" if one.page is None else one.page.incarnation for one in meant})


def _why_not_node(request: PlanRequest, node: str, view: NodeView | None) -> Note | None:
    """Why nothing is done to a node."""
    shown = text_of(node)
    if view is None:
        return note("no_such_node", node=shown)
    if request.action == "shutdown" and view.presence in (Presence.STOPPED, Presence.GONE):
        return note("node_stopped", node=shown)
    if request.action == "forget" and view.presence is Presence.GONE:
        return note("node_gone", node=shown)
    if request.action == "forget" and view.presence in _ANSWERING and not request.force:
        return note("node_alive", node=shown)
    return None
