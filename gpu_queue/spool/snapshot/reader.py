"""The reader of a spool for those who serve no GPU: it refreshes a snapshot, and reads nothing twice.

It makes calls on shared storage, which may hang: whoever must not hang calls it in a thread.  It writes nothing but,
once a minute and if it may, an empty dot-file in control/ that it removes at once, to learn the server's time.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from gpu_queue.spool.pages import TryPage
from gpu_queue.spool.paths import SpoolPaths, claim_name
from gpu_queue.spool.snapshot.looks import Cost, Eyes, SettledLook
from gpu_queue.spool.snapshot.nodelooks import FlagsLook, PageFile, PagesLook, QueuesLook
from gpu_queue.spool.snapshot.settled import SettledTasks
from gpu_queue.spool.snapshot.taskfiles import TaskFiles, TaskView
from gpu_queue.spool.snapshot.tracker import Tracker
from gpu_queue.spool.snapshot.view import (
    GPUS_MAX,
    PROBLEMS_MAX,
    RUNNING_MAX,
    Counts,
    NodeView,
    Presence,
    Problem,
    RunningTask,
    Snapshot,
    Versions,
    coarse_s,
    gpus_of,
    presence_of,
    queues_of,
    reasons_of,
)
from gpu_queue.spool.snapshot.waiting import WaitingTasks
from gpu_queue.task import State
from gpu_queue.texts import printable

EARLY_S = 0.25
"""A refresh is rarely asked for to the very millisecond: so much before its time is on time."""


@dataclass(frozen=True)
class Cadence:
    """How often what is looked at, at most, in seconds."""

    pending: float = 2.0
    nodes: float = 2.0
    flags: float = 4.0
    """And the tokens of the queues."""
    running: float = 10.0
    """Sooner where a task has left pending/."""
    events: float = 10.0
    """Sooner where a task has left running/."""
    settled: float = 2.0
    """Whether done/ and failed/ have changed."""
    relist: float = 60.0
    """done/ and failed/, in any case."""
    gone: float = 60.0
    clock: float = 60.0


class SnapshotReader:
    """Looks at one spool, again and again.  For one thread.

    >>> reader = SnapshotReader(SpoolPaths("/home/a/gpu_queue/exp"))  # doctest: +SKIP
    >>> before = reader.refresh(time.monotonic())                     # doctest: +SKIP
    >>> after = reader.refresh(time.monotonic())                      # doctest: +SKIP
    >>> after is before or after.versions                             # doctest: +SKIP
    True
    """

    def __init__(
        self, paths: SpoolPaths, *, cadence: Cadence = Cadence(), may_write: bool = True, cost: Cost | None = None
    ) -> None:
        """Nothing is read yet.

        Args:
            paths: of the spool.
            cadence: how often what is looked at.
            may_write: whether the server's time may be asked by a file in control/; else it is reckoned from the
                files that change, and a node is ``unknown`` until its file does.
            cost: what it costs the storage is added there.
        """
        self._paths = paths
        self._cadence = cadence
        self._eyes = eyes = Eyes(paths, may_write, cost=cost or Cost())
        self._pages = PagesLook(eyes)
        self._tasks = Tracker(eyes, self._pages)
        self._flags = FlagsLook(eyes)
        self._queues = QueuesLook(eyes)
        self._files = TaskFiles(paths)
        self._looked_at: dict[str, float] = {}
        self._made_of: dict[State, tuple[object, ...]] = {}
        self._nodes: tuple[NodeView, ...] = ()
        self._snapshot: Snapshot | None = None

    # -- looking -----------------------------------------------------------------------------------------------------

    def refresh(self, now: float, *, everything: bool = False) -> Snapshot:
        """The spool as it is now; the same object where nothing changed.  Never raises for what lies in a spool.

        Args:
            now: monotonic seconds.
            everything: look at everything, whenever it was looked at last.
        """
        self._eyes.now = now
        self._eyes.is_changed = self._snapshot is None
        due = self._due(now, everything=everything)
        if "clock" in due:
            self._eyes.ask_clock()
        # In the order in which a task moves on.
        if "pending" in due:
            self._tasks.pending.look()
        if "nodes" in due:
            self._pages.look()
        if "gone" in due:
            self._pages.look_at_gone()
        if "running" in due:
            self._tasks.running.look()
        if "events" in due:
            self._tasks.read_events(everybody="relist" in due)
        for one in (self._tasks.done, self._tasks.failed):
            if everything:
                one.look()
            elif "settled" in due:
                one.look_if_due(self._cadence.relist)
        if "flags" in due:
            self._flags.look()
            self._queues.look()
        if self._eyes.must_ask_clock:
            self._eyes.ask_clock()
        return self._see(due)

    def _due(self, now: float, *, everything: bool) -> set[str]:
        every = {one.name: getattr(self._cadence, one.name) for one in fields(self._cadence)}
        due = {
            what
            for what, seconds in every.items()
            if everything or now - self._looked_at.get(what, float("-inf")) >= seconds - min(EARLY_S, seconds)
        }
        self._looked_at.update(dict.fromkeys(due, now))
        return due

    def _see(self, due: set[str]) -> Snapshot:
        if self._tasks.places is None or self._tasks.places.is_open:
            self._eyes.is_changed = True
        if self._eyes.is_changed:
            self._tasks.find(due)
        nodes = self._look_at_nodes()
        if self._snapshot is None or self._eyes.is_changed or nodes != self._nodes:
            self._nodes = nodes
            self._snapshot = self._assemble(self._snapshot)
        return self._snapshot

    # -- assembly ----------------------------------------------------------------------------------------------------

    def _look_at_nodes(self) -> tuple[NodeView, ...]:
        found = [self._node(node, one) for node, one in self._pages.nodes.items()]
        # A node without a file is one that was put away, unless not all files were seen.
        is_sure = self._pages.is_known and not self._pages.is_cut and not self._eyes.failed("nodes")
        without = Presence.SILENT if is_sure else Presence.UNKNOWN
        others = {*self._tasks.running.nodes, *self._pages.gone} - self._pages.nodes.keys()
        for node in others:
            one = self._pages.gone.get(node)
            if one is None or self._tasks.running.nodes.get(node):
                found.append(NodeView(node, without, None))
            else:
                found.append(NodeView(node, Presence.GONE, one.page, one.written_s))
        return tuple(sorted(found, key=lambda one: one.node))

    def _node(self, node: str, file: PageFile) -> NodeView:
        clock, written_s = self._eyes.clock, file.written_s
        age_s = None if clock is None or written_s is None else max(0.0, clock.now_s(self._eyes.now) - written_s)
        is_sure = file.has_changed or (clock is not None and clock.is_exact)
        presence = presence_of(file.page, age_s, is_sure=is_sure)
        silent_s = coarse_s(age_s) if presence is Presence.SILENT and age_s is not None else 0.0
        return NodeView(node, presence, file.page, written_s, silent_s)

    def _assemble(self, before: Snapshot | None) -> Snapshot:
        assert self._tasks.places is not None
        gpus, running = gpus_of(self._nodes), self._running_tasks()
        problems = self._problems()
        cut = {
            "waiting": self._tasks.pending.is_cut,
            "running": self._tasks.running.is_cut or len(running) > RUNNING_MAX,
            "done": self._tasks.done.is_cut,
            "failed": self._tasks.failed.is_cut,
            "nodes": self._pages.is_cut,
            "gpus": len(gpus) > GPUS_MAX,
            "queues": self._queues.is_cut,
            "problems": len(problems) > PROBLEMS_MAX,
        }
        parts: dict[str, Any] = {
            "waiting": self._waiting(),
            "running": running[:RUNNING_MAX],
            "done": self._settled(self._tasks.done, before.done if before is not None else None),
            "failed": self._settled(self._tasks.failed, before.failed if before is not None else None),
            "nodes": self._nodes,
            "gpus": gpus[:GPUS_MAX],
            "flags": self._flags.flags,
            "queues": queues_of(self._queues.queues, self._nodes),
            "events": self._tasks.events.newest,
            "problems": problems[:PROBLEMS_MAX],
            "cut": frozenset(part for part, is_so in cut.items() if is_so),
        }
        versions = before.versions if before is not None else Versions()
        for name, part in parts.items():
            old = getattr(before, name, None)
            if old is part or (before is not None and old == part):
                parts[name] = old
            elif hasattr(versions, name):
                versions = replace(versions, **{name: getattr(versions, name) + 1})
        counts = Counts(
            len(parts["waiting"]) if self._tasks.pending.is_known else None,
            len(self._tasks.places.running) if self._tasks.running.is_known else None,
            len(parts["done"]) if self._tasks.done.is_known else None,
            len(parts["failed"]) if self._tasks.failed.is_known else None,
        )
        made = Snapshot(**parts, counts=counts, clock=self._eyes.clock, versions=versions)
        return before if before is not None and before == made and before.clock is made.clock else made

    def _waiting(self) -> WaitingTasks:
        assert self._tasks.places is not None
        names, moved_on = self._tasks.pending.order, self._tasks.places.moved_on
        if moved_on or self._tasks.kept_names:
            kept = [one for one in (*names, *self._tasks.kept_names.values()) if one.name not in moved_on]
            names = tuple(sorted(kept, key=lambda one: (one.key, one.name)))
        return WaitingTasks(
            names,
            *reasons_of(self._nodes),
            copies=self._tasks.places.copies,
            skipped=self._tasks.pending.skipped,
            is_cut=self._tasks.pending.is_cut,
        )

    def _running_tasks(self) -> tuple[RunningTask, ...]:
        assert self._tasks.places is not None
        pages = {one.node: one for one in self._nodes}
        tries = {
            (one.node, told.claim): told for one in self._nodes if one.page is not None for told in one.page.running
        }
        parts: dict[str, list[tuple[str, TryPage]]] = {}
        for (node, _), page in tries.items():
            if page.of:
                parts.setdefault(page.of, []).append((node, page))
        found = []
        for seen in (one for of in self._tasks.places.running.values() for one in of):
            assert seen.claim is not None
            told = tries.get((seen.node, claim_name(seen.claim)))
            told_s = pages[seen.node].written_s if told is not None else None
            others = tuple(sorted(parts.get(claim_name(seen.claim), ()), key=lambda one: one[1].rank))
            found.append(RunningTask(seen.node, seen.name, seen.claim, seen.end, told, told_s, others))
        return tuple(sorted(found, key=lambda one: (one.node, one.name)))

    def _settled(self, look: SettledLook, before: SettledTasks | None) -> SettledTasks:
        assert self._tasks.places is not None
        hidden = self._tasks.places.hidden[look.state]
        made_of = (look.found.names, look.found.told, hidden, self._tasks.events.ends, look.is_cut)
        known = self._made_of.get(look.state)
        if before is not None and known is not None and all(map(_is_same, made_of, known)):
            return before
        self._made_of[look.state] = made_of
        told = {one: priority for one, (priority, _) in look.found.told.items() if one not in hidden}
        names = look.found.names.changed(told, hidden)
        return SettledTasks(look.state, names, self._tasks.events.ends, is_cut=look.is_cut)

    def _problems(self) -> tuple[Problem, ...]:
        return tuple(
            Problem(printable(file), printable(problem))
            for noted in self._eyes.problems.values()
            for file, problem in sorted(noted.items())
        )

    # -- one task ----------------------------------------------------------------------------------------------------

    def task(self, task_id: str) -> TaskView | None:
        """All that is known of a task in the last snapshot; its files are read now.

        What is settled is kept; a file that cannot be read is among the view's problems.

        Args:
            task_id: its id, or the name of a hand drop in pending/.

        Returns:
            None where it was nowhere.
        """
        seen = self._snapshot
        found = None if seen is None else seen.find(task_id)
        if seen is None or found is None:
            return None
        return self._files.view(found, seen.waiting.place(task_id), self._default_gpus(seen))

    def fresh_task(self, task_id: str, now: float) -> TaskView | None:
        """All that is known of a task: what is due is looked at first, and everything if that does not show it.

        Args:
            task_id: its id, or the name of a hand drop in pending/.
            now: monotonic seconds.

        Returns:
            None where it is nowhere.
        """
        self.refresh(now)
        found = self.task(task_id)
        if found is None:
            self.refresh(now, everything=True)
            found = self.task(task_id)
        return found

    @staticmethod
    def _default_gpus(seen: Snapshot) -> int:
        alive = [one.page for one in seen.nodes if one.page is not None and one.presence is Presence.ALIVE]
        return alive[0].default_gpus if alive else 1


def _is_same(one: object, other: object) -> bool:
    return one is other or (isinstance(one, (frozenset, bool)) and one == other)
