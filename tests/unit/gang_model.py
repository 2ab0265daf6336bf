"""Tasks over several nodes in a small model: every order of the steps of some agents, and of what goes wrong.

Two tasks, X before Y, want two nodes each; each agent has one GPU.  A step is a look, with what is decided by it, or
one rename; between any two of them anything else may happen.  An agent is killed (its scripts go on), a node dies, an
agent changes its mind, a call is broken although its caller lives, a person cancels.  What is decided is decided by
``scheduling.gangs``; what surrounds it is ``node.gangs`` and ``agent.gangs``, told again in steps.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, NamedTuple

from gpu_queue.scheduling.gangs import (
    Act,
    Commit,
    Gang,
    Terms,
    Tidy,
    called,
    gather,
    of_call,
    of_offer,
    stand,
    tidy,
    verdict,
)
from gpu_queue.states import GangStage
from gpu_queue.task import End, RankEnd, Why

TERMS = Terms()
NODES = 2
TASKS = ("X", "Y")
PENDING, SETTLED = "pending", "settled"
ENDS = {
    "0": End(0),
    "1": End(1),
    "requeue": End(143, Why.REQUEUE),
    "lost": End(255, Why.LOST),
    "given up": End(255, Why.FENCED),
}


class Dir(NamedTuple):
    """The directory of a gang."""

    gid: tuple[str, int]
    caller: int
    stage: str = "call"
    offers: tuple[tuple[int, int], ...] = ()
    """Open ones: agent and a number."""
    members: tuple[tuple[tuple[int, int], str], ...] = ()
    """With how they have ended; empty: not yet."""
    ranks: tuple[tuple[int, int], ...] = ()
    end: str = ""


class Held(NamedTuple):
    """The claim of a task."""

    agent: int
    gid: tuple[str, int]
    end: str = ""
    """How rank 0 has ended."""


class Agent(NamedTuple):
    """How far an agent is with what it has in hand."""

    state: str = "up"
    """``up``, ``down`` (killed, and it may come again) or ``dead`` (with its node)."""
    step: str = "idle"
    gid: tuple[str, int] = ("", 0)
    member: tuple[int, int] = (-1, 0)
    todo: tuple[Any, ...] = ()
    offers: int = 0
    """That it has made."""


class Budget(NamedTuple):
    """How often what may still happen."""

    takes: int = 4
    """Calls and offers."""
    whims: int = 0
    crashes: int = 0
    deaths: int = 0
    breaks: int = 0
    """Calls that are taken for dead although their callers live."""
    fails: int = 0
    patience: int = 0
    """Ranks for which nobody waits any longer, although their shims live."""
    cancels: int = 0


class World(NamedTuple):
    """One moment."""

    budget: Budget
    agents: tuple[Agent, ...]
    tasks: tuple[Any, ...] = (PENDING, PENDING)
    dirs: tuple[Dir, ...] = ()
    scripts: tuple[tuple[tuple[str, int], int], ...] = ()
    """Those that run: gang and agent."""
    wrong: str = ""


class Rules(NamedTuple):
    """What is broken on purpose, to see that the model finds it."""

    goes_without_asking: bool = False
    """A caller goes though its call was ended."""
    leaves_silently: bool = False
    """A member that leaves before the start does not end the call."""
    moves_on_at_once: bool = False
    """The task is moved on while other ranks may run."""
    joins_any_call: bool = False
    """Offers go to any call, and nobody gives his own up."""
    forgets_calls: bool = False
    """Nobody ends the call of a dead caller."""


AS_IT_IS = Rules()


# -- what is seen ---------------------------------------------------------------------------------------------------


def name_of(gid: tuple[str, int]) -> str:
    return f"500-{gid[0]}.try1.{gid[1]}"


def claim_of(member: tuple[int, int]) -> str:
    return f"{member[0]}.{member[1]}"


@cache
def member_of(claim: str) -> tuple[int, int]:
    agent, number = claim.split(".")
    return int(agent), int(number)


def seen(world: World, one: Dir, *, dead_call: bool = False) -> Gang:
    """What a look tells of a gang; what stands still is what truly does."""
    still: dict[str, float] = {"": math.inf} if dead_call or not is_attended(world, one) else {}
    for member, end in one.members:
        runs = (one.gid, member[0]) in world.scripts
        if not runs and (end == "given up" or (not end and world.agents[member[0]].state != "up")):
            still[claim_of(member)] = math.inf
    for offer in one.offers:
        if not in_hand(world, offer):
            still[claim_of(offer)] = math.inf
    ranks = (name_of(one.gid), *map(claim_of, one.ranks)) if one.ranks else ()
    return Gang(
        name_of(one.gid),
        500,
        one.gid[0],
        GangStage(one.stage),
        str(one.caller),
        {claim_of(offer): str(offer[0]) for offer in one.offers},
        {claim_of(member): ENDS[end] if end else None for member, end in one.members},
        {},
        ranks,
        RankEnd(0, ENDS[one.end]) if one.end else None,
        False,
        still,
        0.0 if any(isinstance(at, Held) and at.gid == one.gid for at in world.tasks) else math.inf,
    )


def is_attended(world: World, one: Dir) -> bool:
    caller = world.agents[one.caller]
    return caller.state == "up" and caller.gid == one.gid and caller.member == (-1, 0)


def in_hand(world: World, member: tuple[int, int]) -> bool:
    agent = world.agents[member[0]]
    return agent.state == "up" and agent.member == member


# -- changes --------------------------------------------------------------------------------------------------------


def put(values: tuple[Any, ...], index: int, value: object) -> tuple[Any, ...]:
    return (*values[:index], value, *values[index + 1 :])


def agent_at(world: World, who: int, **changes: Any) -> World:
    return world._replace(agents=put(world.agents, who, world.agents[who]._replace(**changes)))


def idle(world: World, who: int) -> World:
    return agent_at(world, who, step="idle", gid=("", 0), member=(-1, 0), todo=())


def dir_of(world: World, gid: tuple[str, int]) -> Dir | None:
    return next((one for one in world.dirs if one.gid == gid), None)


def dir_at(world: World, one: Dir, **changes: Any) -> World:
    return world._replace(dirs=put(world.dirs, world.dirs.index(one), one._replace(**changes)))


def task_at(world: World, task: str, at: object) -> World:
    return world._replace(tasks=put(world.tasks, TASKS.index(task), at))


def place(world: World, task: str) -> Any:
    return world.tasks[TASKS.index(task)]


def spent(world: World, what: str) -> World:
    return world._replace(budget=world.budget._replace(**{what: getattr(world.budget, what) - 1}))


def member_ended(world: World, one: Dir, member: tuple[int, int], end: str) -> World:
    members = tuple((who, end if who == member and not was else was) for who, was in one.members)
    return dir_at(world, one, members=members)


def started(world: World, gid: tuple[str, int], who: int) -> World:
    wrong = world.wrong
    if any(other[0] == gid[0] and other != gid for other, _ in world.scripts):
        wrong = f"{gid[0]} runs twice at once"
    if any(agent == who for _, agent in world.scripts):
        wrong = "two scripts on one GPU"
    one = dir_of(world, gid)
    if one is not None and (not one.ranks or (who != one.caller and who not in [agent for agent, _ in one.ranks])):
        wrong = "a rank runs that is none"
    return world._replace(scripts=tuple(sorted({*world.scripts, (gid, who)})), wrong=wrong)


def stopped(world: World, gid: tuple[str, int], who: int, end: str) -> World:
    """A script has ended, and its agent or its shim says how."""
    world = world._replace(scripts=tuple(one for one in world.scripts if one != (gid, who)))
    at = place(world, gid[0])
    if isinstance(at, Held) and at.gid == gid and at.agent == who:
        return task_at(world, gid[0], at._replace(end=at.end or end))
    one = dir_of(world, gid)
    mine = [member for member, was in one.members if member[0] == who and not was] if one is not None else []
    return member_ended(world, one, mine[0], end) if one is not None and mine else world


# -- steps ----------------------------------------------------------------------------------------------------------


def steps(world: World, who: int, rules: Rules) -> Iterator[World]:
    """What an agent that is up may do next about what it has in hand."""
    agent = world.agents[who]
    one = dir_of(world, agent.gid) if agent.gid[0] else None
    go = agent.step
    if go == "call":
        gid = (agent.gid[0], agent.gid[1])
        yield agent_at(world._replace(dirs=(*world.dirs, Dir(gid, who))), who, step="calling")
    elif go == "offer":
        if one is None:
            yield idle(world, who)
        else:
            member = (who, agent.offers)
            made = dir_at(world, one, offers=tuple(sorted((*one.offers, member))))
            yield agent_at(made, who, step="offered", member=member, offers=agent.offers + 1)
    elif go == "calling":
        yield from _calling(world, who, one, rules)
    elif go == "drop":
        yield idle(dir_at(world, one, stage="off") if one is not None and one.stage == "call" else world, who)
    elif go == "accept":
        if not agent.todo or one is None:
            yield agent_at(world, who, step="check", todo=())
        else:
            member = agent.todo[0]
            if member in one.offers:
                offers = tuple(other for other in one.offers if other != member)
                world = dir_at(world, one, offers=offers, members=tuple(sorted((*one.members, (member, "")))))
            yield agent_at(world, who, todo=agent.todo[1:])
    elif go == "check":
        there = [member for member, end in one.members if not end] if one is not None else []
        is_open = one is not None and (one.stage == "call" or rules.goes_without_asking)
        whole = is_open and len(there) >= NODES - 1
        yield agent_at(world, who, step="claim" if whole else "calling", todo=tuple(there[: NODES - 1]))
    elif go == "claim":
        if place(world, agent.gid[0]) == PENDING:
            yield agent_at(task_at(world, agent.gid[0], Held(who, agent.gid)), who, step="go")
        else:
            yield agent_at(world, who, step="drop", todo=())
    elif go == "go":
        if one is not None and (one.stage == "call" or rules.goes_without_asking):
            there = [member for member, end in one.members if not end]
            world = dir_at(world, one, stage="go", ranks=agent.todo)
            if not set(agent.todo) <= set(there):
                world = world._replace(wrong="it goes without one of its ranks")
            yield agent_at(world, who, step="start", todo=())
        else:
            yield agent_at(world, who, step="back")
    elif go == "back":
        is_mine = place(world, agent.gid[0]) == Held(who, agent.gid)
        yield idle(task_at(world, agent.gid[0], PENDING) if is_mine else world, who)
    elif go == "start":
        is_mine = place(world, agent.gid[0]) == Held(who, agent.gid)
        yield idle(started(world, agent.gid, who) if is_mine else world, who)
    elif go == "offered":
        yield from _offered(world, who, one, rules)
    elif go == "join":
        is_there = one is not None and (agent.member, "") in one.members
        yield idle(started(world, agent.gid, who) if is_there else world, who)
    elif go == "leave":
        if one is not None and agent.member in one.offers:
            yield idle(dir_at(world, one, offers=tuple(other for other in one.offers if other != agent.member)), who)
        elif one is not None and (agent.member, "") in one.members:
            yield agent_at(world, who, step="leave, end" if rules.leaves_silently else "leave, break")
        else:
            yield idle(world, who)
    elif go == "leave, break":
        world = dir_at(world, one, stage="off") if one is not None and one.stage == "call" else world
        yield agent_at(world, who, step="leave, end")
    elif go == "leave, end":
        yield idle(member_ended(world, one, agent.member, "requeue") if one is not None else world, who)
    elif go != "idle":
        raise AssertionError(go)


def _calling(world: World, who: int, one: Dir | None, rules: Rules) -> Iterator[World]:
    agent = world.agents[who]
    if one is None:
        yield idle(world, who)
        return
    gangs = [seen(world, other) for other in world.dirs]
    own = next(gang for gang in gangs if gang.name == name_of(one.gid))
    if rules.joins_any_call:
        gangs = [own]
    is_wanted = place(world, agent.gid[0]) == PENDING and is_enough(world)
    act = of_call(own, gangs, NODES, TERMS, is_wanted=is_wanted)
    if isinstance(act, Commit):
        yield agent_at(world, who, step="accept", todo=tuple(map(member_of, act.offers)))
    elif act is Act.LEAVE:
        yield agent_at(world, who, step="drop")
    if world.budget.whims and act is not Act.LEAVE:
        yield agent_at(spent(world, "whims"), who, step="drop")


def _offered(world: World, who: int, one: Dir | None, rules: Rules) -> Iterator[World]:
    agent = world.agents[who]
    gang = seen(world, one) if one is not None else None
    if rules.forgets_calls and gang is not None:
        gang = Gang(gang.name, 500, gang.task_id, gang.stage, "", gang.offers, gang.members, {}, gang.ranks)
    act = of_offer(claim_of(agent.member), gang, TERMS, is_wanted=is_enough(world), may_begin=True)
    if act is Act.JOIN:
        yield agent_at(world, who, step="join")
    elif act is Act.LEAVE:
        yield agent_at(world, who, step="leave")
    elif act is Act.OVER:
        yield idle(world, who)
    if world.budget.whims and act in (Act.WAIT, Act.JOIN):
        yield agent_at(spent(world, "whims"), who, step="leave")


def is_enough(world: World) -> bool:
    """Whether enough nodes serve at all."""
    return sum(agent.state == "up" for agent in world.agents) >= NODES


def begins(world: World, who: int, rules: Rules) -> Iterator[World]:
    """What an agent may begin whose GPU is idle."""
    if not world.budget.takes or not is_enough(world):
        return
    waiting = [task for task in TASKS if place(world, task) == PENDING]
    gangs = [seen(world, one) for one in world.dirs]
    first = called(gangs, TERMS)
    numbers = {name_of(one.gid): one.gid for one in world.dirs}
    for chosen in waiting:  # each order that a node may have
        for task in waiting:
            after = stand(task, 500, first, chosen)
            if rules.joins_any_call:
                calls = [gang for gang in gangs if gang.stage is GangStage.CALL and gang.task_id == task]
                after = stand(task, 500, calls[0] if calls else None, "")
            if after.join is not None:
                yield agent_at(spent(world, "takes"), who, step="offer", gid=numbers[after.join.name])
            elif not after.behind:
                number = 1 + sum(one.gid[0] == task for one in world.dirs) + world.agents[who].offers
                used = {one.gid for one in world.dirs} | {agent.gid for agent in world.agents}
                while (task, number) in used:
                    number += 1
                yield agent_at(spent(world, "takes"), who, step="call", gid=(task, number))


def duties(world: World, who: int, rules: Rules) -> Iterator[World]:
    """What an agent that is up does about what is its own and not in its hand, and about what is nobody's."""
    agent = world.agents[who]
    for one in world.dirs:
        at = place(world, one.gid[0])
        is_owner = isinstance(at, Held) and at.gid == one.gid and at.agent == who
        has_it = agent.gid == one.gid
        runs = (one.gid, who) in world.scripts
        for member, end in one.members:
            if member[0] == who and not end and agent.member != member:
                if runs and one.stage == "off":
                    yield stopped(world, one.gid, who, "requeue")
                elif not runs and one.stage == "call" and not rules.leaves_silently:
                    yield dir_at(world, one, stage="off")
                elif not runs:
                    yield member_ended(world, one, member, "requeue")  # it never began
        for offer in one.offers:
            if offer[0] == who and agent.member != offer:
                yield dir_at(world, one, offers=tuple(other for other in one.offers if other != offer))
        if is_owner and not has_it:
            yield from _owned(world, one, at, rules)
        elif not has_it or agent.step == "idle":
            done = tidy(seen(world, one), str(who) if not has_it else "", TERMS)
            if done is Tidy.END and not (rules.forgets_calls and one.stage == "call"):
                yield dir_at(world, one, stage="off")
            elif done is Tidy.REMOVE:
                yield _removed(world, one)
            is_called = one.stage == "call" and world.budget.breaks
            if is_called and tidy(seen(world, one, dead_call=True), "", TERMS) is Tidy.END:
                yield dir_at(spent(world, "breaks"), one, stage="off")


def _removed(world: World, one: Dir) -> World:
    return world._replace(dirs=tuple(other for other in world.dirs if other != one))


def _owned(world: World, one: Dir, at: Held, rules: Rules) -> Iterator[World]:
    runs = (one.gid, at.agent) in world.scripts
    if not runs and not at.end:  # found by an agent that was started anew: it never began
        yield task_at(world, one.gid[0], at._replace(end="requeue"))
        return
    gang = seen(world, one)
    by = verdict(gang, ENDS[at.end] if at.end else None, TERMS)
    if by is not None and not one.end:
        yield dir_at(world, one, end=next(word for word, end in ENDS.items() if end == by.end))
        return
    if by is not None and one.stage in ("go", "call"):
        yield dir_at(world, one, stage="off")
        return
    if by is not None and runs:
        yield stopped(world, one.gid, at.agent, "requeue")
        return
    if runs:
        return
    state = gather(gang, 0.0, TERMS)
    impatient = gather(gang, math.inf if one.stage == "off" else 0.0, TERMS)
    for claim in state.give_up:
        yield member_ended(world, one, member_of(claim), "given up")
    if world.budget.patience:
        for claim in impatient.give_up:
            yield member_ended(spent(world, "patience"), one, member_of(claim), "given up")
    if state.is_over or rules.moves_on_at_once:
        if any(gid == one.gid for gid, _ in world.scripts):
            world = world._replace(wrong="it is moved on while a rank runs")
        settled = one.end in ("", "1")
        yield task_at(world, one.gid[0], SETTLED if settled else PENDING)


def events(world: World) -> Iterator[World]:
    """What may happen to scripts, agents and nodes."""
    budget = world.budget
    for gid, who in world.scripts:
        at, one = place(world, gid[0]), dir_of(world, gid)
        is_claimed = isinstance(at, Held) and at.gid == gid and at.agent == who
        is_member = one is not None and any(member[0] == who and not end for member, end in one.members)
        if not is_claimed and not is_member:
            yield stopped(world, gid, who, "lost")  # its shim does not find its claim
            continue
        yield stopped(world, gid, who, "0")
        if budget.fails:
            yield stopped(spent(world, "fails"), gid, who, "1")
    for who, agent in enumerate(world.agents):
        if agent.state == "up" and budget.crashes:
            yield agent_at(idle(spent(world, "crashes"), who), who, state="down")
        if agent.state == "down":
            yield agent_at(world, who, state="up")
        if agent.state != "dead" and budget.deaths:
            dead = agent_at(idle(spent(world, "deaths"), who), who, state="dead")
            yield dead._replace(scripts=tuple(one for one in world.scripts if one[1] != who))
    for task, at in zip(TASKS, world.tasks, strict=True):
        if isinstance(at, Held) and world.agents[at.agent].state == "dead":
            for who, agent in enumerate(world.agents):
                if agent.state == "up":
                    yield task_at(world, task, at._replace(agent=who, end="lost"))
        if at == PENDING and budget.cancels:
            yield task_at(spent(world, "cancels"), task, SETTLED)


def acts(world: World, who: int, rules: Rules) -> Iterator[World]:
    """All that an agent may do."""
    agent = world.agents[who]
    if agent.state != "up":
        return
    if agent.step != "idle":
        yield from steps(world, who, rules)
    owes = [one for one in world.dirs if any(m[0] == who and not end for m, end in one.members)]
    if agent.step == "idle" and not owes and not any(script[1] == who for script in world.scripts):
        yield from begins(world, who, rules)
    yield from duties(world, who, rules)


def successors(world: World, rules: Rules) -> Iterator[World]:
    for who in range(len(world.agents)):
        yield from acts(world, who, rules)
    yield from events(world)


# -- exploring ------------------------------------------------------------------------------------------------------


def explored(
    budget: Budget, agents: int, rules: Rules = AS_IT_IS, tasks: tuple[Any, ...] = (PENDING, PENDING)
) -> Any:
    """Every world that can come about, until one is wrong: what is, and all of them."""
    layer = [World(budget, (Agent(),) * agents, tasks)]
    known = set(layer)
    while layer:
        following = []
        for world in layer:
            for one in successors(world, rules):
                count = len(known)
                known.add(one)
                if len(known) == count:
                    continue
                if one.wrong:
                    return one.wrong, known
                following.append(one)
        layer = following
    return "", known


def walked(budget: Budget, agents: int, seed: int, most: int, rules: Rules = AS_IT_IS) -> World:
    """Where one random order of steps comes to, or a world that is wrong."""
    chance = random.Random(seed)
    world = World(budget, (Agent(),) * agents)
    for _ in range(most):
        following = list(successors(world, rules))
        if not following:
            break
        world = chance.choice(following)
        if world.wrong:
            break
    return world


def calmed(world: World, rules: Rules = AS_IT_IS, rounds: int = 60) -> World:
    """The same some time later, when nothing goes wrong any more: killed agents are back, scripts end well."""
    for who, agent in enumerate(world.agents):
        if agent.state == "down":
            world = agent_at(world, who, state="up")
    for _ in range(rounds):
        before = world
        world = world._replace(budget=Budget(takes=1))
        for who in range(len(world.agents)):
            for _ in range(12):
                world = world._replace(budget=Budget(takes=1))
                following = next(acts(world, who, rules), None)
                if following is None or following == world:
                    break
                world = following
        world = world._replace(budget=Budget(takes=1))
        for _ in range(len(world.agents)):
            following = next(events(world), None)
            world = world if following is None else following
        if world == before:
            break
    return world._replace(budget=Budget(takes=0))


def stuck(worlds: Iterable[World], rules: Rules = AS_IT_IS) -> tuple[str, World] | None:
    """A world from which something never comes to its end, and what."""
    asked = set()
    for world in worlds:
        calm = world._replace(budget=Budget(takes=0))
        if calm in asked:
            continue
        asked.add(calm)
        problem = is_stuck(calm, rules)
        if problem:
            return problem, world
    return None


def is_stuck(world: World, rules: Rules = AS_IT_IS) -> str:
    """What is held for ever, or never runs, from this world on; empty: nothing."""
    end = calmed(world, rules)
    if end.wrong:
        return end.wrong
    held = [agent for agent in end.agents if agent.step != "idle"]
    if held or end.scripts:
        return "something is held for ever"
    if not is_enough(end):
        return "" if all(at in (PENDING, SETTLED) for at in end.tasks) else "a claim is held for ever"
    if end.tasks != (SETTLED, SETTLED):
        return "a task never runs"
    return "a directory is left" if end.dirs else ""
