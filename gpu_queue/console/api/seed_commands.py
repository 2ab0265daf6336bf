"""The paths of the user's own document about command files: ``/api/commands/…``."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Path, Query

from gpu_queue.console.api.jobfiles import (
    bad_file,
    index_of,
    name_of_file,
    on_shelf,
    save,
    saved,
    which_of,
    with_states,
)
from gpu_queue.console.api.seed_scheduler import Meant, Mode
from gpu_queue.console.api.shared import Console, told
from gpu_queue.console.jobfiles.checking import Read, tree_of
from gpu_queue.console.jobfiles.ledgers import Loads, counts_of
from gpu_queue.console.jobfiles.samples import sample_of
from gpu_queue.console.jobfiles.shelf import KEPT_S, Listed, Shelf, Text
from gpu_queue.console.jobfiles.writing import CannotWrite, text_of_queues
from gpu_queue.console.keys import key_of, text_of
from gpu_queue.console.models.jobfiles import Deleted, FileProblem, Saved
from gpu_queue.console.models.seed import QUEUE_TASKS_MAX, CommandEntry, CommandFile, CommandsPut, NewCommands
from gpu_queue.console.state import ConsoleState
from gpu_queue.console.world.world import World
from gpu_queue.spool.jobfiles import INDEX_MAX, JobFile
from gpu_queue.spool.snapshot.view import Snapshot

router = APIRouter(prefix="/api/commands", tags=["commands"])
ConfigIndex = Annotated[
    int, Query(ge=0, le=INDEX_MAX, description="Counts from 0: 0 is `command_gpu.txt`, N is `command_gpu_N.txt`.")
]
PathIndex = Annotated[int, Path(ge=0, le=INDEX_MAX, description="From 0.")]
ALL_MAX = 100
"""Texts of one reply."""


def _entry(one: Listed, loads: Loads, seen: Snapshot) -> CommandEntry:
    assert isinstance(one.which.index, int)
    return CommandEntry(
        index=one.which.index,
        name=name_of_file(one.which),
        file=text_of(one.which.name),
        tasks=one.tasks,
        queues=one.queues,
        problems=list(one.problems),
        modified_at=one.modified_s,
        load=counts_of(loads, seen.state_of),
    )


async def _listed(world: World, console: ConsoleState, mode: str) -> tuple[list[tuple[Listed, Loads]], Snapshot]:
    async with told():
        seen = (await world.latest()).snapshot

    def work(shelf: Shelf) -> list[tuple[Listed, Loads]]:
        return [(one, shelf.loads(one.which)) for one in shelf.listed()[0] if one.which.mode == mode]

    return await on_shelf(world, console, work), seen


@router.get("/{mode}/list", summary="The configurations of a mode")
async def listed(world: Meant, console: Console, mode: Mode) -> list[CommandEntry]:
    """By index; gaps stay.  Broken ones are among them, with their problems."""
    found, seen = await _listed(world, console, mode)
    return [_entry(one, loads, seen) for one, loads in found]


@router.get("/{mode}/all", summary="The configurations of a mode, whole")
async def everything(world: Meant, console: Console, mode: Mode) -> list[CommandFile]:
    """With text and tree; one that cannot be read has an empty text.  At most 100."""
    found, seen = await _listed(world, console, mode)
    made = []
    for one, loads in found[:ALL_MAX]:
        if one.size_bytes is None:  # it cannot be read, and its problem says why
            made.append(CommandFile(**_entry(one, loads, seen).model_dump(), text="", etag="", tree=[]))
            continue
        made.append(await _file(world, console, one.which, seen))
    return made


async def _file(world: World, console: ConsoleState, which: JobFile, seen: Snapshot) -> CommandFile:
    def work(shelf: Shelf) -> tuple[Text, Read, Loads]:
        text = shelf.text(which)
        return text, shelf.parsed(which, text.content, shelf.home), shelf.loads(which)

    text, found, loads = await on_shelf(world, console, work, which)
    tree = with_states(tree_of(found, QUEUE_TASKS_MAX), seen)
    one = Listed(which, found.problems, found.tasks, found.queues, modified_s=text.modified_s)
    return CommandFile(
        **_entry(one, loads, seen).model_dump(),
        text=text.content.decode("utf-8", "replace"),
        etag=text.etag,
        tree=tree,
    )


@router.get("/{mode}", summary="A configuration")
async def one(world: Meant, console: Console, mode: Mode, config_index: ConfigIndex = 0) -> CommandFile:
    """Its text, and its tree of queues and processes."""
    async with told():
        seen = (await world.latest()).snapshot
    return await _file(world, console, which_of(mode, config_index), seen)


@router.put("/{mode}", summary="Change a configuration")
async def put(world: Meant, console: Console, mode: Mode, wish: CommandsPut, config_index: ConfigIndex = 0) -> Saved:
    """By its text, or by its queues.

    Something wrong: 422 with all problems, and nothing is saved, unless it is a draft.  Changed meanwhile: 412.
    """
    which = which_of(mode, config_index)
    if wish.queues is None:
        text = wish.text or ""
    else:
        try:
            text = text_of_queues(mode, wish.queues)
        except CannotWrite as error:
            raise bad_file(which, list(error.problems)) from None
    content = text.encode("utf-8", "surrogatepass")
    return await save(world, console, which, content, None, draft=wish.draft, etag=wish.etag)


@router.post("/{mode}/new", status_code=201, summary="Make a new configuration")
async def new(world: Meant, console: Console, mode: Mode, wish: NewCommands | None = None) -> Saved:
    """With the highest index and one more: a copy, a text, or a commented example."""
    source = None if wish is None or wish.from_ is None else which_of(mode, wish.from_)
    given = None if wish is None else wish.text

    def work(shelf: Shelf) -> tuple[Text, list[FileProblem]]:
        if source is not None:
            content = shelf.text(source).content
        else:
            content = (sample_of(mode) if given is None else given).encode("utf-8", "surrogatepass")
        made = shelf.new(mode, None, content)
        return made, list(shelf.parsed(made.which, content, shelf.home).problems)

    return saved(*await on_shelf(world, console, work, source))


@router.delete("/{mode}/{index:int}", summary="Delete a configuration")
async def delete(world: Meant, console: Console, mode: Mode, index: PathIndex) -> Deleted:
    """It lies in the trash for 30 days; its loaded tasks go on."""
    which = which_of(mode, index)
    thrown = await on_shelf(world, console, lambda shelf: shelf.throw_away(which, time.time()), which)
    return Deleted(mode=mode, index=index_of(which), trash=key_of(thrown.id), until_s=thrown.at_s + KEPT_S)
