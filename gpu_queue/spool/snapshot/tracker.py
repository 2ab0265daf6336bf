"""Where each task is, by all looks together; and what is looked at once more, since a task moved meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gpu_queue.spool.paths import parse_claim
from gpu_queue.spool.snapshot.looks import PENDING_MAX, Eyes, PendingLook, RunningLook, SettledLook
from gpu_queue.spool.snapshot.nodelooks import EventsLook, PagesLook
from gpu_queue.spool.snapshot.places import Pair, PendingName, Places, Seen, Settled, place
from gpu_queue.spool.snapshot.settled import SettledNames
from gpu_queue.task import State


class Tracker:
    """Follows tasks from listing to listing."""

    def __init__(self, eyes: Eyes, pages: PagesLook) -> None:
        self._eyes = eyes
        self._pages = pages
        self.pending = PendingLook(eyes)
        self.running = RunningLook(eyes)
        self.done = SettledLook(eyes, State.DONE)
        self.failed = SettledLook(eyes, State.FAILED)
        self.events = EventsLook(eyes)
        self.places: Places | None = None
        """None: nobody looked yet."""
        self.kept_names: dict[str, PendingName] = {}
        self._kept_claims: dict[str, tuple[Seen, ...]] = {}
        """Tasks that were found nowhere while something could not be listed: they stay where they were."""
        self._pairs: Mapping[Pair, int] = {}
        self._settled_ids = SettledIds()
        self._drops: set[str] = set()

    def read_events(self, *, everybody: bool = False, is_urgent: bool = False) -> None:
        """What settled since, by the histories of the nodes.

        Args:
            everybody: of those that are gone too.
            is_urgent: a task has gone somewhere: a history may look as it did, and not be so.
        """
        nodes = {*self._pages.nodes, *self.running.nodes}
        self._eyes.next_turn()
        ends: dict[State, dict[str, int]] = {State.DONE: {}, State.FAILED: {}}
        wanted = nodes | self._pages.gone.keys() if everybody else nodes
        for event in self.events.look(wanted, self._news(), is_urgent=is_urgent):
            if event.claim is None or event.kind not in ("settled", "started", "returned"):
                continue
            for one in ends.values():
                one.pop(event.claim.task_id, None)
            if event.kind == "settled":
                to = State.DONE if event.outcome == "succeeded" else State.FAILED
                ends[to][event.claim.task_id] = event.claim.priority
        if any(ends.values()):
            self.done.tell(ends[State.DONE], ends[State.FAILED])
            self.failed.tell(ends[State.FAILED], ends[State.DONE])

    def _news(self) -> dict[str, object]:
        """By node what its page tells that its history tells as well."""
        return {
            node: (page.state, [one.claim for one in page.running], [(one.uuid, one.state) for one in page.gpus])
            for node, file in self._pages.nodes.items()
            if (page := file.page) is not None
        }

    def find(self, due: set[str]) -> None:
        """Decide where each task is.

        Where one was found nowhere, or further back than it was seen before, directories are listed once more, the
        cheap ones first.

        Args:
            due: what was looked at right before this.
        """
        self.kept_names, self._kept_claims = {}, {}
        drops = set(self.pending.drops)
        if self._drops - drops and "running" not in due:
            self.running.look()  # it was claimed, and nobody here knows the id that it has now
        self._drops = drops
        steps: tuple[tuple[str, Callable[[set[str]], None]], ...] = (
            ("running", lambda lost: self.running.look(self._told_to_run(lost))),
            ("running", lambda _: self.running.look()),
            ("", lambda _: self.read_events(is_urgent=True)),
            ("", lambda _: self.pending.look()),
            ("", lambda _: self.running.look()),
            ("", lambda _: self._list_settled()),
        )
        places = self._place()
        lost = self._lost(places)
        for what, look in steps:
            if not lost and not places.doubtful:
                break
            if what not in due:
                look(lost)
                places = self._place()
                lost = self._lost(places)
        if lost and self._eyes.failed("pending", "running", "done", "failed") and self.places is not None:
            before = self.places
            self.kept_names = {one: before.waiting[one] for one in lost if one in before.waiting}
            self._kept_claims = {one: before.running[one] for one in lost if one in before.running}
            places = self._place()
        self.places, self._pairs = places, places.pairs

    def _told_to_run(self, ids: set[str]) -> set[str]:
        """The nodes whose pages tell that they run one of these tasks."""
        return {
            node
            for node, one in self._pages.nodes.items()
            if one.page is not None
            for told in one.page.running
            if (parsed := parse_claim(told.claim)) is not None and parsed[0].task_id in ids
        }

    def _list_settled(self) -> None:
        self.done.look()
        self.failed.look()

    def _lost(self, places: Places) -> set[str]:
        """Tasks that waited or ran when they were last seen, and are nowhere now."""
        cut = self.pending.is_cut or self.running.is_cut or self.done.is_cut or self.failed.is_cut
        if self.places is None or cut:  # of a listing that is cut nobody knows what it lacks
            return set()
        gone = (self.places.waiting.keys() - places.waiting.keys()) | (
            self.places.running.keys() - places.running.keys()
        )
        gone = gone - places.waiting.keys() - places.running.keys()
        return {one for one in gone if not self.done.found.has(one) and not self.failed.found.has(one)}

    def _place(self) -> Places:
        return place(
            {**self.pending.by_id, **self.kept_names},
            self.pending.doubles,
            self.pending.turn,
            (*self.running.claims(), *(one for kept in self._kept_claims.values() for one in kept)),
            {State.DONE: self.done.found, State.FAILED: self.failed.found},
            self._settled_ids.among,
            self._settled_ids.twice(self.done.found, self.failed.found),
            self._pairs,
        )


def _is_same(one: object, other: object) -> bool:
    return one is other or (isinstance(one, (frozenset, bool)) and one == other)


class SettledIds:
    """Which ids are settled; ten thousand are asked for at each refresh, so that those that are not are kept."""

    def __init__(self) -> None:
        self._of: tuple[SettledNames, SettledNames] = (SettledNames(), SettledNames())
        self._told: frozenset[str] = frozenset()
        self._others: set[str] = set()
        self._twice: set[str] = set()

    def twice(self, done: Settled, failed: Settled) -> set[str]:
        """Take in what done/ and failed/ hold now; which ids are in both."""
        names = (done.names, failed.names)
        self._told = frozenset({*done.told, *failed.told})
        if not all(map(_is_same, names, self._of)):
            self._of, self._others = names, set()
            few, many = sorted(names, key=lambda one: len(one.ids))
            self._twice = {one for one in few.ids if many.position(one) is not None}
        return self._twice | {one for one in self._told if done.has(one) and failed.has(one)}

    def among(self, ids: Mapping[str, object]) -> set[str]:
        """Which of these are settled."""
        if len(self._others) > 2 * PENDING_MAX:
            self._others = set()
        new = ids.keys() - self._others
        found = {one for one in new if any(of.position(one) is not None for of in self._of)}
        self._others |= new - found
        return found | (self._told & ids.keys())
