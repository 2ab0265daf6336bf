"""Serial queues in a small model: every order of the single steps on the storage of two agents and of people.

Two tasks, X before Y, are in one queue.  A step is one call: a listing, the reads after it, a create, a write, a
rename.  Between any two of them anything else may happen: an agent is killed, a claim is taken over (its agent may
then go on where it hung), a person cancels and retries.  No time passes that would make a step safe: what is broken
is broken at once, but for a token that is not written yet (its maker gives it up when that took long).  The rules
are those of ``spool.queues``; what surrounds them is ``Transitions.claim`` and ``settle``, ``Queues.busy`` and the
client's ``__gpu_release``, told again in steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import pytest

from gpu_queue.spool.queues import Token, doubts, is_held, is_open, next_generation, parse_token

QUEUE = "car"
PENDING, SETTLED = -1, -2
"""Where a task is; else the number of the agent that has its file in running/."""
X, Y = "X", "Y"
TASKS = (X, Y)

Files = tuple[tuple[str, str], ...]
"""Tokens by name, with what can be read of them."""


class At(NamedTuple):
    """How far the storage thread of an agent, or a person's command, has come."""

    step: str = "idle"
    task: str = ""
    names: tuple[str, ...] = ()
    """The listing of which the tokens are read next."""
    tokens: tuple[Token, ...] = ()
    """Tokens read, or still to be freed."""
    reserved: int = 0
    own: int = 0
    pending: tuple[str, ...] = ()
    """What a listing of pending/ showed."""


class Budget(NamedTuple):
    """How often what may still happen."""

    takes: int = 2
    requeues: int = 0
    breaks: int = 0
    crashes: int = 0
    takeovers: int = 0
    cancels: int = 0
    retries: int = 0


class World(NamedTuple):
    """One moment."""

    budget: Budget
    files: Files = ()
    where: tuple[int, ...] = (PENDING, PENDING)
    runs: tuple[int, ...] = (0, 0)
    """The generation by which a task runs; 0: it does not."""
    threads: tuple[At, ...] = (At(), At(), At())
    """Two agents and a person."""
    has_run: tuple[bool, ...] = (False, False)


class Rules(NamedTuple):
    """What is broken on purpose, to see that the model finds it."""

    lost_frees_by_task: bool = False
    counts_what_was_made_before_the_claim: bool = False
    reserves_nothing: bool = False
    trusts_its_claim: bool = False
    frees_what_is_read_late: bool = False
    looks_at_newer_only: bool = False
    keeps_surplus: bool = False


AS_IT_IS = Rules()
PERSON = 2


def name_of(generation: int, *, free: bool = False) -> str:
    return f"{QUEUE}.{generation:06d}" + ".free" * free


@cache
def plain_names(names: tuple[str, ...]) -> tuple[tuple[str, int], ...]:
    parsed = ((name, parse_token(name)) for name in names)
    return tuple((name, one[1]) for name, one in parsed if one is not None and not one[2])


@cache
def newest(names: tuple[str, ...]) -> int:
    return next_generation(names, QUEUE)


@cache
def holds(own: Token, names: tuple[str, ...], tokens: tuple[Token, ...]) -> bool:
    return is_held(own, names, tokens)


def names_in(files: Files) -> tuple[str, ...]:
    return tuple(name for name, _ in files)


def read(files: Files, names: tuple[str, ...]) -> tuple[Token, ...]:
    content = dict(files)
    return tuple(Token(QUEUE, generation, content.get(name, "")) for name, generation in plain_names(names))


def written(files: Files, generation: int, content: str) -> Files:
    return tuple(sorted({**dict(files), name_of(generation): content}.items()))


def freed(files: Files, generation: int) -> Files:
    left = dict(files)
    if name_of(generation) in left:
        del left[name_of(generation)]
        left[name_of(generation, free=True)] = ""
    return tuple(sorted(left.items()))


def put(values: tuple[Any, ...], index: int, value: object) -> tuple[Any, ...]:
    return (*values[:index], value, *values[index + 1 :])


def went_on(world: World, who: int, at: At, **changes: Any) -> World:
    return world._replace(threads=put(world.threads, who, at), **changes)


def spent(world: World, what: str) -> World:
    return world._replace(budget=world.budget._replace(**{what: getattr(world.budget, what) - 1}))


def moved(world: World, task: str, to: int) -> World:
    index = TASKS.index(task)
    return world._replace(where=put(world.where, index, to), runs=put(world.runs, index, 0))


def is_at(world: World, task: str, place: int) -> bool:
    return world.where[TASKS.index(task)] == place


def steps(world: World, who: int, rules: Rules) -> Iterator[World]:
    """The next step of a thread that is at work."""
    at = world.threads[who]
    go = at.step
    if go in ("hold", "break"):  # a listing; the reads are another step
        yield went_on(world, who, at._replace(step=f"{go}, read", names=names_in(world.files)))
    elif go in ("take", "settle", "release"):  # read at once: what else is read decides nothing
        names = names_in(world.files)
        yield went_on(world, who, at._replace(step=f"{go}, decide", names=names, tokens=read(world.files, names)))
    elif go.endswith(", read"):
        tokens = read(world.files, at.names)
        if go == "break, read":  # by then whoever has not written its token is killed, or gives it up
            made = {one.own for one in world.threads if one.step.endswith(", write")}
            tokens = tuple(one for one in tokens if one.generation not in made)
        names = at.names if go == "hold, read" else ()
        yield went_on(world, who, at._replace(step=go.replace("read", "decide"), names=names, tokens=tokens))
    elif go == "take, decide":
        if not is_open(at.tokens, at.task):
            yield went_on(world, who, At())
        elif rules.reserves_nothing:
            yield went_on(world, who, At("claim", at.task))
        else:
            yield went_on(world, who, At("reserve", at.task, own=newest(at.names)))
    elif go in ("reserve", "make"):  # O_EXCL
        if name_of(at.own) in dict(world.files):
            yield went_on(world, who, At() if go == "reserve" else at._replace(step="again", own=0))
        else:
            yield went_on(world, who, at._replace(step=f"{go}, write"), files=written(world.files, at.own, ""))
    elif go in ("reserve, write", "make, write"):
        is_there = name_of(at.own) in dict(world.files)  # an open file is written even where its name is another
        files = written(world.files, at.own, at.task) if is_there else world.files
        next_ = At("claim", at.task, reserved=at.own) if go == "reserve, write" else at._replace(step="hold")
        yield went_on(world, who, next_, files=files)
    elif go == "claim":
        if is_at(world, at.task, PENDING):
            claimed = moved(world, at.task, who)
            if rules.counts_what_was_made_before_the_claim:
                yield went_on(claimed, who, at._replace(step="check"))
            else:
                yield went_on(claimed, who, at._replace(step="again"))
        elif rules.lost_frees_by_task:
            yield went_on(world, who, at._replace(step="free", tokens=all_of(world, at.task)))
        else:
            yield went_on(world, who, At("free", tokens=(Token(QUEUE, at.reserved, at.task),)))
    elif go == "check":  # only where that rule is broken
        is_there = dict(world.files).get(name_of(at.reserved)) == at.task and is_at(world, at.task, who)
        yield went_on(began(world, at.task, at.reserved) if is_there else world, who, At())
    elif go == "again":
        yield went_on(world, who, at._replace(step="make", own=newest(names_in(world.files))))
    elif go == "hold, decide":
        own = Token(QUEUE, at.own, at.task)
        tokens = at.tokens
        if rules.looks_at_newer_only:
            tokens = tuple(one for one in tokens if one.generation >= at.own)
        ours = rules.trusts_its_claim or is_at(world, at.task, who)
        if ours and holds(own, at.names, tokens):
            others = tuple(one for one in at.tokens if one != own and one.holder == at.task)
            yield went_on(world, who, At("free, run", at.task, tokens=others, own=at.own))
        else:
            if any(not one.holder for one in tokens):  # it may be written in this moment
                yield went_on(world, who, at._replace(step="hold", names=(), tokens=()))
            yield went_on(world, who, at._replace(step="give way", names=(), tokens=()))
    elif go == "give way":
        yield went_on(world, who, at._replace(step="give back"), files=freed(world.files, at.own))
    elif go == "give back":
        back = moved(world, at.task, PENDING) if is_at(world, at.task, who) else world
        yield went_on(back, who, At())
    elif go == "settle, decide":
        held = tuple(one for one in at.tokens if one.holder == at.task)
        if not is_at(world, at.task, who):
            yield went_on(world, who, At())
        elif rules.frees_what_is_read_late:
            yield went_on(moved(world, at.task, SETTLED), who, At("late", at.task))
        else:
            yield went_on(moved(world, at.task, SETTLED), who, At("free", tokens=held))
    elif go == "late":
        yield went_on(world, who, At("free", tokens=all_of(world, at.task)))
    elif go == "break, decide":  # pending/ is listed before running/
        waiting = tuple(task for task in TASKS if is_at(world, task, PENDING))
        yield went_on(world, who, at._replace(step="break, running", names=(), pending=waiting))
    elif go == "break, running":
        running = {task for task in TASKS if world.where[TASKS.index(task)] >= 0}
        found = doubts(at.tokens, set(at.pending), running)
        if rules.keeps_surplus:
            found = {one: doubt for one, doubt in found.items() if one.holder not in at.pending}
        yield went_on(world, who, At("free", tokens=tuple(sorted(found))))
    elif go == "cancel":
        if not is_at(world, at.task, PENDING):
            yield went_on(world, who, At())
        else:
            yield went_on(moved(world, at.task, SETTLED), who, At("release", at.task))
    elif go == "release, decide":  # read, then found settled
        named = tuple(one for one in at.tokens if one.holder == at.task)
        yield went_on(world, who, At("free", tokens=named if is_at(world, at.task, SETTLED) else ()))
    elif go in ("free", "free, run"):
        if at.tokens:
            left = at._replace(tokens=at.tokens[1:])
            yield went_on(world, who, left, files=freed(world.files, at.tokens[0].generation))
        elif go == "free":
            yield went_on(world, who, At())
        elif rules.trusts_its_claim or is_at(world, at.task, who):
            yield went_on(began(world, at.task, at.own), who, At())
        else:  # its shim finds no claim, and ends the task
            yield went_on(world, who, At())
    else:
        raise AssertionError(go)


def all_of(world: World, task: str) -> tuple[Token, ...]:
    return tuple(one for one in read(world.files, names_in(world.files)) if one.holder == task)


def began(world: World, task: str, generation: int) -> World:
    index = TASKS.index(task)
    return world._replace(runs=put(world.runs, index, generation), has_run=put(world.has_run, index, True))


def events(world: World, *, in_order: bool) -> Iterator[World]:
    """What may begin, or go wrong."""
    budget = world.budget
    waiting = [task for task in TASKS if is_at(world, task, PENDING)]
    for who, at in enumerate(world.threads[:PERSON]):
        if at.step != "idle":
            if budget.crashes:
                yield went_on(spent(world, "crashes"), who, At())
            continue
        if budget.takes:
            for task in waiting[:1] if in_order else waiting:
                yield went_on(spent(world, "takes"), who, At("take", task))
        if budget.breaks and world.files:
            yield went_on(spent(world, "breaks"), who, At("break"))
        for task, place, generation in zip(TASKS, world.where, world.runs, strict=True):
            if place == who and generation:
                yield went_on(world, who, At("settle", task))
                if budget.requeues:
                    yield moved(spent(world, "requeues"), task, PENDING)
            elif place == who:  # found by an agent that was started anew, or its rename came late: it goes back
                yield moved(world, task, PENDING)
    for task, place in zip(TASKS, world.where, strict=True):
        if place >= 0 and budget.takeovers:
            yield moved(spent(world, "takeovers"), task, PENDING)
            yield moved(spent(world, "takeovers"), task, SETTLED)
        if place == SETTLED and budget.retries:
            yield moved(spent(world, "retries"), task, PENDING)
        if task == X and place == PENDING and budget.cancels and world.threads[PERSON].step == "idle":
            yield went_on(spent(world, "cancels"), PERSON, At("cancel", task))


def successors(world: World, rules: Rules, *, in_order: bool) -> Iterator[World]:
    for who, at in enumerate(world.threads):
        if at.step != "idle":
            yield from map(sorted_, steps(world, who, rules))
    yield from map(sorted_, events(world, in_order=in_order))


def sorted_(world: World) -> World:
    """Two worlds in which the agents have changed places are one."""
    one, other, person = world.threads
    there = tuple(1 - place if place >= 0 else place for place in world.where)
    if (one, world.where) <= (other, there):
        return world
    return world._replace(threads=(other, one, person), where=there)


def wrong(world: World, *, in_order: bool) -> str:
    """What must never be."""
    if all(world.runs):
        return "both run"
    content = dict(world.files)
    for task, generation in zip(TASKS, world.runs, strict=True):
        if generation and content.get(name_of(generation)) != task:
            return f"the token of {task}, which runs, was freed"
    if in_order and world.has_run == (False, True):
        return "Y ran before X"
    return ""


def explored(budget: Budget, rules: Rules = AS_IT_IS, *, in_order: bool = False) -> tuple[str, set[World]]:
    """Every world that can come about; breadth first, until one is wrong."""
    layer = [World(budget)]
    known = set(layer)
    while layer:
        following = []
        for world in layer:
            for one in successors(world, rules, in_order=in_order):
                count = len(known)
                known.add(one)  # a world is large, and this takes its hash once
                if len(known) == count:
                    continue
                problem = wrong(one, in_order=in_order)
                if problem:
                    return problem, known
                following.append(one)
        layer = following
    return "", known


def calmed(world: World, rules: Rules) -> World:
    """The same some time later, when nothing goes wrong any more and one thread works at a time."""
    world = world._replace(budget=Budget(takes=0))

    def through(world: World, who: int) -> World:
        while world.threads[who].step != "idle":
            *_, world = steps(world, who, rules)
        return world

    for who in range(len(world.threads)):
        world = through(world, who)
    for _ in range(6):
        for task, place, generation in zip(TASKS, world.where, world.runs, strict=True):
            if place >= 0 and generation:
                world = through(went_on(world, place, At("settle", task)), place)
            elif place >= 0:
                world = moved(world, task, PENDING)
        world = through(went_on(world, 0, At("break")), 0)
        for task in TASKS:
            if is_at(world, task, PENDING):
                world = through(went_on(world, 0, At("take", task)), 0)
    return world


def stuck(worlds: set[World], rules: Rules = AS_IT_IS) -> World | None:
    """A world from which the queue does not come free."""
    ends: dict[World, World] = {}
    for world in worlds:
        if any(one.step != "idle" for one in world.threads[:PERSON]):
            continue  # each of its threads comes to its end, and then it is one of the others
        start = world._replace(budget=Budget(), has_run=(False, False))
        if start not in ends:
            ends[start] = calmed(start, rules)
        end = ends[start]
        if end.where != (SETTLED, SETTLED) or plain_names(names_in(end.files)):
            return world
    return None


BUDGETS = {
    "two agents": Budget(takes=4),
    "requeued": Budget(takes=3, requeues=1),
    "killed twice": Budget(takes=2, crashes=2),
    "killed and broken": Budget(takes=2, crashes=1, breaks=1),
    "taken over": Budget(takes=2, takeovers=1, requeues=1),
    "cancelled and retried": Budget(takes=2, cancels=1, retries=1),
    "settled and retried": Budget(takes=3, retries=1),
    "settled, broken and retried": Budget(takes=2, retries=1, breaks=1),
}


@pytest.mark.parametrize("budget", BUDGETS.values(), ids=BUDGETS.keys())
def test_in_no_order_of_steps_two_tasks_of_a_queue_run_and_it_always_comes_free(budget: Budget) -> None:
    problem, worlds = explored(budget)
    assert not problem
    assert stuck(worlds) is None


def test_what_waits_behind_a_task_never_runs_before_it() -> None:
    problem, _ = explored(Budget(takes=4), in_order=True)
    assert not problem


@pytest.mark.parametrize(
    ("rules", "budget"),
    [
        # As it once was: who lost the claim freed by the id of the task, and so what the winner had.
        (Rules(lost_frees_by_task=True), Budget(takes=2)),
        (Rules(looks_at_newer_only=True), Budget(takes=3)),
        (Rules(counts_what_was_made_before_the_claim=True), BUDGETS["cancelled and retried"]),
        (Rules(trusts_its_claim=True), Budget(takes=3, takeovers=1)),
        (Rules(frees_what_is_read_late=True), BUDGETS["settled, broken and retried"]),
    ],
    ids=lambda one: next(name for name, value in one._asdict().items() if value) if isinstance(one, Rules) else "",
)
def test_the_model_finds_each_rule_that_is_broken(rules: Rules, budget: Budget) -> None:
    problem, _ = explored(budget, rules)
    assert problem in ("both run", "the token of X, which runs, was freed")


def test_the_model_finds_that_without_a_reservation_the_order_is_lost() -> None:
    problem, _ = explored(Budget(takes=4), Rules(reserves_nothing=True), in_order=True)
    assert problem == "Y ran before X"


def test_the_model_finds_two_tasks_that_wait_for_each_other() -> None:
    problem, worlds = explored(BUDGETS["killed twice"], Rules(keeps_surplus=True))
    assert not problem
    assert stuck(worlds, Rules(keeps_surplus=True)) is not None
