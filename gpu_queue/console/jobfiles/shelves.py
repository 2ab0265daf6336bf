"""The shelf of each queue that a console looks at."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from gpu_queue.console.jobfiles.members import Members
from gpu_queue.console.jobfiles.shelf import Shelf
from gpu_queue.console.world.world import World

_shelves: WeakKeyDictionary[World, Shelf] = WeakKeyDictionary()
_members: WeakKeyDictionary[World, Members] = WeakKeyDictionary()


def shelf_of(world: World, home: str) -> Shelf:
    """The one of a queue.

    Args:
        world: of the queue.
        home: of the console's user.
    """
    return _shelves.setdefault(world, Shelf(world.paths, home))


def members_of(world: World) -> Members:
    """Who tells which tasks of a queue were made of which file; for its lane ``tasks`` only."""
    return _members.setdefault(world, Members(world.paths))
