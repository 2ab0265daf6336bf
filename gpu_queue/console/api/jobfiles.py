"""Job files: command files and experiment files that lie in a queue; written, checked, loaded."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, TypeVar

from fastapi import APIRouter, Path, Request

from gpu_queue.console.api import plans
from gpu_queue.console.api.shared import PREFIX, Console, Spool
from gpu_queue.console.batches.census import key_of_file
from gpu_queue.console.jobfiles.boundlogs import BoundLog
from gpu_queue.console.jobfiles.checking import Read, tree_of, with_logs
from gpu_queue.console.jobfiles.folders import CannotUse
from gpu_queue.console.jobfiles.ledgers import Loads, counts_of
from gpu_queue.console.jobfiles.loading import BadFile, Wish
from gpu_queue.console.jobfiles.members import Unread
from gpu_queue.console.jobfiles.samples import sample_of
from gpu_queue.console.jobfiles.shelf import KEPT_S, TRASH_SHOWN_MAX, Changed, Listed, Shelf, Text, Thrown
from gpu_queue.console.jobfiles.shelves import members_of, shelf_of
from gpu_queue.console.keys import key_of, name_of, text_of
from gpu_queue.console.models.jobfiles import (
    Checked,
    CheckRequest,
    Deleted,
    FileProblem,
    Jobfile,
    JobfileEntry,
    JobfileList,
    LoadRequest,
    NewRequest,
    RestoreRequest,
    Saved,
    SaveRequest,
    Trashed,
    TreeQueue,
    WorkDir,
)
from gpu_queue.console.models.plans import Plan
from gpu_queue.console.problems import Problem
from gpu_queue.console.state import ConsoleState
from gpu_queue.console.world.world import World
from gpu_queue.errors import GpuQueueError
from gpu_queue.spool.jobfiles import INDEX_MAX, JobFile, JobMode, why_no_stem
from gpu_queue.spool.snapshot.view import Presence, Snapshot

router = APIRouter(prefix=f"{PREFIX}/spools/{{job}}/jobfiles", tags=["job files"])
READ_S = 15.0
PROBLEMS_SHOWN_MAX = 20
T = TypeVar("T")

Mode = Annotated[JobMode, Path(description="`single`, `multi`, or `yaml`: experiment files.")]
Index = Annotated[
    str, Path(max_length=400, description="From 0; of `yaml` the name without its ending.", examples=["0"])
]


def which_of(mode: JobMode, index: int | str) -> JobFile:
    """The file that an address means.

    Raises:
        Problem: no file can be called so.
    """
    if mode == "yaml":
        stem = name_of(str(index))
        if stem and "/" not in stem and "\0" not in stem and not stem.startswith("."):
            return JobFile("yaml", stem)
        raise Problem(404, "no_such_file.name", params={"file": text_of(stem, 200)})
    text = str(index)
    if text.isascii() and text.isdecimal() and len(text) <= len(str(INDEX_MAX)) and str(int(text)) == text:
        return JobFile(mode, int(text))
    raise Problem(404, "no_such_file.index", params={"file": text_of(text, 200), "last": INDEX_MAX})


@asynccontextmanager
async def told(which: JobFile | None = None) -> AsyncIterator[None]:
    """What goes wrong with a file, and faults of the storage, as replies."""
    name = "jobfiles" if which is None else text_of(which.name, 400)
    try:
        async with plans.told():
            yield
    except Problem as problem:
        if isinstance(problem.__cause__, FileNotFoundError):
            raise Problem(404, "no_such_file", params={"file": name}) from None
        if isinstance(problem.__cause__, FileExistsError):
            raise Problem(409, "exists", params={"file": name}) from None
        if isinstance(problem.__cause__, OSError) and which is not None:  # a descriptor's fault names no file
            told_of = problem.details
            params = {**told_of.params, "problem": f"{name}: {told_of.params.get('problem', '')}"}
            raise Problem(told_of.status, told_of.code, params=params) from None
        raise
    except Changed as changed:
        detail = f"{name}: somebody has changed it since it was read; read it again"
        raise Problem(412, "changed", detail, params={"etag": changed.etag}) from None
    except CannotUse as why:
        raise Problem(409 if why.code == "too_many" else 422, why.code, f"{name}: {why}") from None
    except BadFile as error:
        raise bad_file(error.which, list(error.problems)) from None
    except Unread as error:
        raise Problem(503, "unread", str(error)) from None
    except GpuQueueError as error:
        raise Problem(409, "refused", text_of(str(error), 2000)) from None


async def on_shelf(
    world: World, console: ConsoleState, work: Callable[[Shelf], T], which: JobFile | None = None
) -> T:
    """Do something with the files of a queue, in a thread.

    Raises:
        Problem: it cannot be done.
    """
    shelf = shelf_of(world, console.plans.home)
    async with told(which):
        return await world.jobfiles.within(READ_S, lambda: work(shelf), "job files")


def name_of_file(which: JobFile) -> str:
    """How people call it."""
    if which.mode == "yaml":
        return text_of(str(which.index))
    assert isinstance(which.index, int)
    return f"configuration {which.index + 1}"


def index_of(which: JobFile) -> int | str:
    """Its index, as addresses carry it."""
    return which.index if isinstance(which.index, int) else key_of(which.index)


def agents_of(seen: Snapshot) -> int:
    """How many agents serve."""
    return sum(one.presence is Presence.ALIVE for one in seen.nodes)


def _entry(one: Listed, loads: Loads, seen: Snapshot) -> JobfileEntry:
    return JobfileEntry(
        mode=one.which.mode,
        index=index_of(one.which),
        name=name_of_file(one.which),
        file=text_of(one.which.name, 400),
        tasks=one.tasks,
        queues=one.queues,
        problems=list(one.problems[:PROBLEMS_SHOWN_MAX]),
        problem_count=len(one.problems),
        size_bytes=one.size_bytes,
        modified_at=one.modified_s,
        modified_by=None if one.owner is None else text_of(one.owner),
        loaded=counts_of(loads, seen.state_of),
    )


def _trashed(one: Thrown) -> Trashed:
    return Trashed(
        id=key_of(one.id),
        mode=one.which.mode,
        index=index_of(one.which),
        file=text_of(one.which.name, 400),
        deleted_at_s=one.at_s,
        until_s=one.at_s + KEPT_S,
    )


@router.get("", summary="All job files of a queue")
async def jobfiles(world: Spool, console: Console) -> JobfileList:
    """By mode and index; gaps stay.  One that is broken is among them, with what is wrong with it."""
    async with told():
        seen = (await world.latest()).snapshot

    def work(shelf: Shelf) -> tuple[list[JobfileEntry], int, list[Thrown]]:
        found, left_out = shelf.listed()
        return [_entry(one, shelf.loads(one.which), seen) for one in found], left_out, shelf.thrown()

    found, left_out, thrown = await on_shelf(world, console, work)
    return JobfileList(
        files=found,
        directory=text_of(f"{world.paths.root}/jobfiles"),
        left_out=left_out,
        start_agents=console.settings.start_agents,
        agents=agents_of(seen),
        trash=[_trashed(one) for one in thrown[:TRASH_SHOWN_MAX]],
    )


@router.post("/check", summary="What a text says, and what is wrong with it")
async def check(world: Spool, console: Console, wish: CheckRequest) -> Checked:
    """By the parsers that load it; nothing is written."""
    which = which_of(wish.mode, ("draft" if wish.mode == "yaml" else 0) if wish.index is None else wish.index)

    def work(shelf: Shelf) -> tuple[Read, WorkDir, tuple[BoundLog, ...]]:
        told_dir, directory = shelf.work_dir(which if wish.index is not None else None, wish.work_dir)
        content = wish.text.encode("utf-8", "surrogatepass")
        bound = () if wish.index is None else shelf.bound(which)
        return shelf.parsed(which, content, directory), told_dir, bound

    found, directory, bound = await on_shelf(world, console, work, which)
    async with told():
        seen = (await world.latest()).snapshot
    return checked(found, directory, seen, bound)


def checked(found: Read, directory: WorkDir, seen: Snapshot, bound: Sequence[BoundLog]) -> Checked:
    """What a text says, with how its queues are now."""
    return Checked(
        problems=list(found.problems),
        tree=with_states(with_logs(tree_of(found), bound), seen),
        tasks=found.tasks,
        queues=found.queues,
        work_dir=directory,
    )


def with_states(tree: list[TreeQueue], seen: Snapshot) -> list[TreeQueue]:
    """Queues with what holds them."""
    known = {text_of(one.queue): one for one in seen.queues}
    made = []
    for one in tree:
        view = known.get(one.name)
        if view is not None and view.is_busy:
            task = seen.find(view.holders[0]) if view.holders else None
            holder = {} if task is None else {"busy_with": view.holders[0], "busy_title": text_of(task.title)}
            made.append(one.model_copy(update={"state": "busy", **holder}))
        else:
            made.append(one)
    return made


@router.post("", status_code=201, summary="Make a new one")
async def new(world: Spool, console: Console, wish: NewRequest) -> Saved:
    """With the highest index and one more, or of this name; a copy, a text, or a commented example."""
    if wish.mode == "yaml" and wish.name is not None and (why := why_no_stem(wish.name)):
        raise Problem(422, "bad_name", f"name: {why}")
    if wish.mode != "yaml" and wish.name is not None:
        raise Problem(422, "bad_name", "name: a configuration of this mode is called by its number")
    if wish.from_index is not None and wish.text is not None:
        raise Problem(422, "two_texts", "from_index and text: expected one of them")
    source = None if wish.from_index is None else which_of(wish.mode, wish.from_index)

    def work(shelf: Shelf) -> tuple[Text, list[FileProblem]]:
        if source is not None:
            content = shelf.text(source).content
        else:
            content = (sample_of(wish.mode) if wish.text is None else wish.text).encode("utf-8", "surrogatepass")
        made = shelf.new(wish.mode, wish.name, content)
        return made, list(shelf.parsed(made.which, content, shelf.home).problems)

    return saved(*await on_shelf(world, console, work, source))


def saved(text: Text, problems: list[FileProblem]) -> Saved:
    """A file that was written."""
    return Saved(
        mode=text.which.mode,
        index=index_of(text.which),
        file=text_of(text.which.name, 400),
        etag=text.etag,
        problems=problems,
        modified_at=text.modified_s,
    )


@router.get("/{mode}/{index}", summary="A job file")
async def jobfile(world: Spool, console: Console, mode: Mode, index: Index) -> Jobfile:
    """Its text, what it says, what is wrong with it."""
    which = which_of(mode, index)

    def work(shelf: Shelf) -> tuple[Text, Read, WorkDir, Loads, tuple[BoundLog, ...]]:
        text, (told_dir, directory) = shelf.text(which), shelf.work_dir(which)
        found = shelf.parsed(which, text.content, directory)
        return text, found, told_dir, shelf.loads(which), shelf.bound(which)

    text, found, directory, loads, bound = await on_shelf(world, console, work, which)
    async with told():
        seen = (await world.latest()).snapshot
    path, loaded = shelf_of(world, console.plans.home).path_of(which), counts_of(loads, seen.state_of)
    is_text = all(one.code != "encoding" for one in found.problems)
    return Jobfile(
        **checked(found, directory, seen, bound).model_dump(),
        mode=which.mode,
        index=index_of(which),
        name=name_of_file(which),
        file=text_of(which.name, 400),
        path=text_of(path, 5000),
        batch=key_of_file(path) if loaded is not None and which.mode != "yaml" else None,
        text=text.content.decode("utf-8", "replace"),
        etag=text.etag,
        is_text=is_text,
        modified_at=text.modified_s,
        modified_by=text_of(text.owner),
        loaded=loaded,
    )


async def save(
    world: World,
    console: ConsoleState,
    which: JobFile,
    content: bytes,
    wish: SaveRequest | None,
    *,
    draft: bool,
    etag: str | None,
) -> Saved:
    """Check a text and write it.

    Raises:
        Problem: something is wrong with it, or it was changed meanwhile; nothing was written.
    """

    def work(shelf: Shelf) -> tuple[Text | None, list[FileProblem]]:
        problems = list(shelf.parsed(which, content, shelf.home).problems)
        if problems and not draft:
            shelf.text(which)  # one that is not there is told as that
            return None, problems
        if wish is not None and wish.work_dir is not None:
            shelf.keep_work_dir(which, wish.work_dir)
        return shelf.save(which, content, etag), problems

    made, problems = await on_shelf(world, console, work, which)
    if made is None:
        raise bad_file(which, problems)
    return saved(made, problems)


def bad_file(which: JobFile, problems: list[FileProblem]) -> Problem:
    """What is wrong with a file, all of it."""
    first = "; ".join(f"line {one.line}: {one.text}" if one.line else one.text for one in problems[:3])
    more = f"; and {len(problems) - 3} more" if len(problems) > 3 else ""
    params = {"problems": [one.model_dump() for one in problems]}
    return Problem(422, "bad_file", f"{text_of(which.name, 400)}: {first}{more}", params=params)


@router.put("/{mode}/{index}", summary="Save a job file")
async def put(world: Spool, console: Console, mode: Mode, index: Index, wish: SaveRequest) -> Saved:
    """One in which something is wrong is refused with all problems (422), unless it is a draft."""
    which = which_of(mode, index)
    content = wish.text.encode("utf-8", "surrogatepass")
    return await save(world, console, which, content, wish, draft=wish.draft, etag=wish.etag)


@router.delete("/{mode}/{index}", summary="Throw a job file away")
async def delete(world: Spool, console: Console, mode: Mode, index: Index) -> Deleted:
    """It lies in the trash for 30 days; its loaded tasks go on."""
    which = which_of(mode, index)
    thrown = await on_shelf(world, console, lambda shelf: shelf.throw_away(which, time.time()), which)
    return Deleted(mode=mode, index=index_of(which), trash=key_of(thrown.id), until_s=thrown.at_s + KEPT_S)


@router.post("/{mode}/{index}/restore", summary="Take a job file out of the trash")
async def restore(
    world: Spool, console: Console, mode: Mode, index: Index, wish: RestoreRequest | None = None
) -> Saved:
    """The one that was deleted last, unless one is named."""
    which = which_of(mode, index)
    named = None if wish is None or wish.trash is None else name_of(wish.trash)

    def work(shelf: Shelf) -> tuple[Text, list[FileProblem]]:
        text = shelf.take_back(which, named)
        return text, list(shelf.parsed(which, text.content, shelf.home).problems)

    return saved(*await on_shelf(world, console, work, which))


# -- loading --------------------------------------------------------------------------------------------------------

LOAD_WAIT_S = 30.0
"""So long a load is waited for; it goes on all the same."""


async def plan_load(world: World, console: ConsoleState, wish: Wish) -> Plan:
    """What loading a file will do, as a plan that can be run.

    Raises:
        Problem: it cannot be loaded.
    """
    async with told(wish.which):
        return await console.plans.make_load(world, shelf_of(world, console.plans.home), wish)


async def plan_stop(world: World, console: ConsoleState, files: list[JobFile]) -> Plan:
    """What stopping all tasks of these files will do, as a plan that can be run.

    Raises:
        Problem: the storage does not tell.
    """
    shelf, members = shelf_of(world, console.plans.home), members_of(world)

    async def choose(seen: Snapshot) -> list[str]:
        def work() -> list[str]:
            found: list[str] = []
            for which in files:
                found += members.of_file(seen, shelf.path_of(which), is_experiment=which.mode == "yaml")
            return found

        return await world.call(work, READ_S)

    async with told(files[0] if len(files) == 1 else None):
        return await console.plans.make_stop(world, choose)


@router.post("/{mode}/{index}/plan", status_code=201, summary="Say what a load will do")
async def plan(world: Spool, console: Console, mode: Mode, index: Index, wish: LoadRequest | None = None) -> Plan:
    """Nothing is changed.  `POST …/plans/{id}/run` does it, `…/undo` cancels what of it still waits.

    What was loaded before and is unchanged is not queued twice.
    """
    said = wish or LoadRequest()
    return await plan_load(world, console, Wish(which_of(mode, index), said.again, said.work_dir))


@router.post("/{mode}/{index}/load", summary="Load a job file")
async def load(
    world: Spool, console: Console, request: Request, mode: Mode, index: Index, wish: LoadRequest | None = None
) -> Plan:
    """The plan and its run in one; the reply is the plan with its outcome."""
    said = wish or LoadRequest()
    made = await plan_load(world, console, Wish(which_of(mode, index), said.again, said.work_dir))
    if not made.can_run:
        return made
    async with told(which_of(mode, index)):
        await console.plans.run(world, made.id, "", LOAD_WAIT_S, plans.who(request))
        return console.plans.get(world.job, made.id)


@router.post("/{mode}/{index}/stop", status_code=201, summary="Say what stopping all tasks of a file will do")
async def stop(world: Spool, console: Console, mode: Mode, index: Index) -> Plan:
    """What waits is cancelled, what runs is stopped.  `POST …/plans/{id}/run` does it."""
    return await plan_stop(world, console, [which_of(mode, index)])
