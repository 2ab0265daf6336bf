"""What waits in pending/, in run order, read as far as it is needed.

- A listing is cheap, reading scripts and records is not: names are kept in a cache, and a look reads at most so many
  new files, in run order.
- A full name was published whole and never changes; any other name is a hand drop and must settle first.
- A full name whose task is running here already is a copy, and treated as a hand drop.  A claim's name that somebody
  moved back by hand keeps its identity.
"""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from gpu_queue.again import hurries_of
from gpu_queue.errors import BadScript
from gpu_queue.node.drops import DropFacts, DropTracker, SettleTimes
from gpu_queue.reasons import Code, Reason, reason
from gpu_queue.scripts.reader import HEAD_BYTES, read_needs
from gpu_queue.spool import files, records
from gpu_queue.spool.paths import SpoolPaths, is_skipped, parse_claim, parse_drop, parse_full, strip_claim
from gpu_queue.spool.store import listing
from gpu_queue.task import Needs, State, Submission, TryResult, Waiting, current_round, failures_of
from gpu_queue.units import stamp

SCRIPT_MAX_BYTES = 16 << 20
UNFINISHED_KEPT_S = 24 * 3600
READ_AT_MOST = 100
READ_TIME_S = 0.05
"""A look reads for so long at most; the next one goes on."""
UPSTREAM_TTL_S = 60.0
"""done/ and failed/ may be huge: they are listed where something new is waited for, and else once a minute at most.
On a local disk nobody waits for that: file events tell of ends, and only those are looked for."""


@dataclass(frozen=True)
class PendingView:
    """One look at pending/."""

    waiting: tuple[Waiting, ...]
    skipped: int
    """Names that are never run: dot-files, editors' and copiers' temporaries."""
    next_look_s: float | None
    """When a hand drop will have settled, if it stands still; None: nothing is settling."""
    queued: Mapping[str, int] = field(default_factory=dict)
    """How many of them are in each serial queue, of those that were read."""
    returned: tuple[Waiting, ...] = ()
    """Those of them that are in one and have failed before."""


def refusal_of(head: bytes, size_bytes: int) -> str:
    """Why these bytes can be no script; empty if they can."""
    if size_bytes == 0:
        return "the file is empty; expected a script"
    if size_bytes > SCRIPT_MAX_BYTES:
        return f"the file has {size_bytes} bytes; a script has at most {SCRIPT_MAX_BYTES}"
    if head.startswith(b'{"'):
        return "the file is a record (JSON); expected a script"
    if head.startswith(b"\x7fELF") or b"\0" in head[:4096]:
        return "the file is binary; expected a script (put the call of the program into one)"
    return ""


class PendingReader:
    """Looks at pending/; lives in the storage thread."""

    def __init__(self, paths: SpoolPaths, times: SettleTimes, allowed_uids: frozenset[int]) -> None:
        self._paths = paths
        self._directory = paths.directory(State.PENDING)
        self._uids = allowed_uids
        self._default_gpus = 1
        self._drops = DropTracker(times)
        self._closed_names: deque[str] = deque(maxlen=10_000)
        self._known: dict[str, Waiting] = {}
        self._order: list[str] = []
        self._upstream: dict[str, State] = {}
        self._wanted: set[str] = set()
        self._arrived: deque[tuple[State, str]] = deque(maxlen=10_000)
        self.awaited_ids: frozenset[str] = frozenset()
        """Tasks for whose end others wait; known here before a look asks where they are, so that no end is missed."""
        self.awaited_queues: frozenset[str] = frozenset()
        """Queues in which tasks wait, known here before a look asks who holds them."""
        self._upstream_listed_at = float("-inf")
        self._names: list[str] | None = None
        self._ids: dict[str, str] = {}
        """The ids that the names in pending/ bear, also those of copies."""

    def closed(self, name: str) -> None:
        """A local event said that the writer of this file closed it; the main thread may call this."""
        self._closed_names.append(name)

    def arrived(self, state: State, name: str) -> None:
        """A local event said that a task was settled: the next look asks for it; the main thread may call this."""
        self._arrived.append((state, name))

    def forget(self, name: str) -> None:
        """This file was claimed or came back: what is known of it is old."""
        known = self._known.pop(name, None)
        if known is not None:
            self._order.remove(name)
            if known.task_id is not None:
                self._upstream.pop(known.task_id, None)

    def has_of_queue(self, queue: str) -> bool:
        """Whether a task of this queue waits, as far as they were read."""
        return any(one.needs.queue == queue for one in self._known.values())

    def settled(self, task_id: str, state: State) -> None:
        """This node settled a task: those that wait for it need not wait for the next listing."""
        self._upstream[task_id] = state
        if task_id in self.awaited_ids:
            self.awaited_ids -= {task_id}  # its event is no news

    def ask_again(self) -> None:
        """Have the next look list done/ and failed/ if something waits for what may be there."""
        self._upstream_listed_at = float("-inf")

    def drop_facts(self, name: str) -> DropFacts | None:
        """The facts of a hand drop that stood still; None for a full name."""
        return self._drops.settled_facts(name)

    def list_names(self, running_ids: frozenset[str]) -> bool:
        """List pending/ for the next ``look``; whether a name there bears the id of one of these tasks.

        Raises:
            OSError: the directory could not be listed.
        """
        self._names = listing(self._directory)
        if not running_ids:
            return False
        present = set(self._names)
        self._ids = {name: one for name, one in self._ids.items() if name in present}
        for name in present - self._ids.keys():
            full = parse_full(strip_claim(name))
            self._ids[name] = full[1] if full is not None else ""
        return not running_ids.isdisjoint(self._ids.values())

    def look(
        self,
        now: float,
        running_ids: frozenset[str],
        default_gpus: int = 1,
        ending_ids: frozenset[str] = frozenset(),
        asked_for: frozenset[str] = frozenset(),
    ) -> PendingView:
        """List pending/ and read what is new at its head.

        Args:
            now: monotonic seconds.
            running_ids: the tasks whose claims stand in this node's directory: what bears their name is a copy.
            default_gpus: of tasks that say nothing.
            ending_ids: tasks that this node has in hand although their claim is not there (moved back by hand, or
                never made): they stay who they are, and wait until this node has let go of them.
            asked_for: names or ids of tasks that are read in any case.

        Raises:
            OSError: the directory could not be listed.
        """
        if default_gpus != self._default_gpus:
            self._default_gpus = default_gpus
            self._known = {name: replace(known, is_read=False) for name, known in self._known.items()}
        while self._closed_names:
            self._drops.closed(self._closed_names.popleft())
        names = listing(self._directory) if self._names is None else self._names
        self._names = None
        candidates = [name for name in names if not is_skipped(name)]
        if len(candidates) != len(self._known) or not all(name in self._known for name in candidates):
            self._relist(candidates, running_ids)
        next_look_s = self._settle(now, running_ids)
        self._read_some(asked_for)
        queued = [one for one in self._known.values() if one.needs.queue]
        counts = Counter(one.needs.queue for one in queued if one.needs.queue)
        self.awaited_queues = frozenset(counts)
        self._ask_upstream(now, running_ids | ending_ids)
        waiting = tuple(self._known[name] for name in self._order)
        if ending_ids:
            why = Reason(Code.ENDING)
            waiting = tuple(replace(one, unready=why) if one.task_id in ending_ids else one for one in waiting)
        returned = tuple(one for one in queued if one.failures)
        return PendingView(waiting, len(names) - len(candidates), next_look_s, counts, returned)

    def _relist(self, candidates: Iterable[str], running_ids: frozenset[str]) -> None:
        present = set(candidates)
        self._drops.forget_all_but(present)
        for name in [name for name in self._known if name not in present]:
            del self._known[name]
        # A listing that is made while a priority is changed may show a task under two plain names: it stays itself.
        # Beside a plain name, though, the name of one of its claims is a copy that somebody put there.
        plain = {full[1] for full in map(parse_full, present) if full is not None}
        for name in present - self._known.keys():
            taken = running_ids if parse_claim(name) is None else running_ids | plain
            self._known[name] = self._first_sight(name, taken)
        self._order = sorted(self._known, key=lambda name: self._known[name].key)

    def _first_sight(self, name: str, taken: frozenset[str]) -> Waiting:
        full = parse_full(strip_claim(name))
        if full is not None and full[1] not in taken:
            return Waiting(name, key=f"{full[0]:03d}-{full[1]}", priority=full[0], task_id=full[1])
        priority, _ = parse_drop(name)
        return Waiting(name, f"{priority:03d}-{stamp(0)}-{name}", priority, None, unready=Reason(Code.UNREAD))

    def _settle(self, now: float, running_ids: frozenset[str]) -> float | None:
        """Look at the hand drops that have not settled."""
        soonest: float | None = None
        changed = False
        for name, known in list(self._known.items()):
            if known.task_id is not None and known.task_id not in running_ids:
                if known.unready is not None and self._is_ours_now(known.name):
                    self._known[name] = replace(known, unready=None)
                continue
            if known.is_read and known.unready is None:
                continue
            left_s, after = self._look_at_drop(known, now)
            if left_s is not None:
                soonest = left_s if soonest is None else min(soonest, left_s)
            changed |= after.key != known.key
            self._known[name] = after
        if changed:
            self._order.sort(key=lambda name: self._known[name].key)
        return soonest

    def _is_ours_now(self, name: str) -> bool:
        """Whether a full name that was ignored has become a file that may run (its owner was put right, say)."""
        try:
            facts = os.lstat(f"{self._directory}/{name}")
        except OSError:
            return False
        return self._ignored(facts) is None

    def _ignored(self, facts: os.stat_result) -> Reason | None:
        """Why a file is left where it is: it is none, or a stranger's; None where it may run."""
        if not stat.S_ISREG(facts.st_mode):
            return reason(Code.NOT_A_FILE, kind=files.kind_of(facts.st_mode))
        if facts.st_uid not in self._uids:
            return reason(Code.OWNER, uid=facts.st_uid)
        # Who may write here may rename what we write, and with it what it quotes of others.
        return reason(Code.OURS) if files.is_ours(facts) else None

    def _look_at_drop(self, known: Waiting, now: float) -> tuple[float | None, Waiting]:
        path = f"{self._directory}/{known.name}"
        known = replace(known, task_id=None, is_read=False)
        try:
            facts = os.lstat(path)
            ignored = self._ignored(facts)
            if ignored is not None:
                return None, replace(known, unready=ignored)
            last = self._last_byte(path, facts.st_size)
        except OSError as error:
            return None, replace(known, unready=reason(Code.STORAGE, problem=str(error.strerror)))
        seen = DropFacts(facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, last in (b"\n", None))
        left_s = self._drops.look(known.name, seen, now)
        key = f"{known.priority:03d}-{stamp(facts.st_ctime)}-{known.name}"
        if left_s > 0:
            return left_s, replace(known, key=key, unready=Reason(Code.SETTLING))
        return None, replace(known, key=key, unready=None)

    def _last_byte(self, path: str, size_bytes: int) -> bytes | None:
        """The last byte of a file; empty for an empty one; None where it cannot be read (that is a refusal later)."""
        if size_bytes == 0:
            return b""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except PermissionError:
            return None
        try:
            return os.pread(descriptor, 1, size_bytes - 1)
        finally:
            os.close(descriptor)

    def _read_some(self, asked_for: frozenset[str]) -> None:
        read_at_most = READ_AT_MOST
        if asked_for:
            for name, known in list(self._known.items()):
                if (name in asked_for or known.task_id in asked_for) and not (
                    known.is_read or known.unready is not None
                ):
                    self._known[name] = self._read(known)
        deadline = time.monotonic() + READ_TIME_S
        for name in self._order:
            known = self._known[name]
            if known.is_read or known.unready is not None:
                continue
            if read_at_most <= 0 or time.monotonic() > deadline:
                return
            read_at_most -= 1
            self._known[name] = self._read(known)

    def _read(self, known: Waiting) -> Waiting:
        """Script head and record of one task."""
        path = f"{self._directory}/{known.name}"
        try:
            head, facts = files.read_script(path, HEAD_BYTES, self._uids)
        except files.Vanished:
            return known
        except files.FileProblem as problem:
            try:
                ignored = self._ignored(os.lstat(path))
            except OSError:
                return known
            # A stranger's file, or what is no file, is left where it is; our own unreadable script is refused.
            if ignored is not None:
                return replace(known, unready=ignored)
            return replace(known, is_read=True, refusal=str(problem))
        except OSError:
            return known
        refusal = refusal_of(head, facts.st_size)
        needs = Needs()
        earlier: tuple[TryResult, ...] = ()
        try:
            submission: Submission | None = None
            submitted: dict[str, object] = {}
            arguments: tuple[str, ...] = ()
            tries, returned_at = 0, 0.0
            if known.task_id is not None:
                if self._is_settled_as_well(known.name):
                    # A copy (cp done/X pending/): what is run is another task, once the copy has settled.
                    return replace(known, task_id=None, unready=reason(Code.SETTLING, copy=1))
                submission = records.read_submission(self._paths, known.task_id, self._uids)
                submitted, arguments = submission.needs, submission.arguments
                earlier = records.read_tries(self._paths, known.task_id)
                tries = self._tries_before(known, earlier)
                if earlier:  # the index was written when the last try ended; a change of priority leaves it alone
                    returned_at = os.stat(self._paths.tries_index(known.task_id)).st_mtime
            if not refusal:
                needs = read_needs(head, submitted, self._default_gpus, arguments, known.name)
        except BadScript as bad:
            refusal = str(bad)
        except OSError:
            return known
        this_round = current_round(earlier)
        return replace(
            known,
            is_read=True,
            unready=None,
            submission=submission,
            title=records.told_title(submission.task_id, submission.name) if submission else "",
            refusal=refusal,
            needs=needs,
            tries=tries,
            failures=failures_of(this_round),
            hurries=hurries_of(this_round),
            has_just_failed=bool(this_round) and this_round[-1].is_failure,
            error_type=next((one.error_type for one in reversed(this_round) if one.is_failure), ""),
            entered_at=returned_at,
            changed_ns=facts.st_ctime_ns,
        )

    def _is_settled_as_well(self, name: str) -> bool:
        """Whether done/ or failed/ holds this very name too; asked of the listing where a look-up says so."""
        plain = strip_claim(name)
        return any(
            os.path.lexists(f"{self._paths.directory(state)}/{plain}")
            and plain in listing(self._paths.directory(state))
            for state in (State.DONE, State.FAILED)
        )

    def _tries_before(self, known: Waiting, earlier: tuple[TryResult, ...]) -> int:
        """The number of the last try, by all that tells it: index, name (moved back by hand), the first try's log."""
        parsed = parse_claim(known.name)
        by_name = parsed[0].number if parsed else 0
        by_log = int(os.path.lexists(self._paths.first_log(known.task_id or "")))
        return max(by_name, by_log, *(one.number for one in earlier), 0)

    def sweep(self, server_now: float) -> None:
        """Remove what a writer that died left half written, a day old by the server's clock."""
        for name in listing(self._directory):
            if not name.startswith("."):
                continue
            path = f"{self._directory}/{name}"
            try:
                facts = os.lstat(path)
                if server_now - facts.st_ctime < UNFINISHED_KEPT_S or facts.st_uid not in self._uids:
                    continue
                if stat.S_ISDIR(facts.st_mode):
                    shutil.rmtree(path)  # a client's staging directory: many scripts that were never published
                else:
                    os.unlink(path)
            except OSError:
                continue

    def _ask_upstream(self, now: float, in_hand: frozenset[str]) -> None:
        """Say of each task that others wait for where it is."""
        waiters = [known for known in self._known.values() if known.needs.after]
        wanted = {one for known in waiters for one in known.needs.after}
        new, self._wanted = wanted - self._wanted, wanted
        alive = {known.task_id for known in self._known.values() if known.task_id}
        for one in (alive | in_hand) & self._upstream.keys():
            self._upstream.pop(one)  # it was retried by hand: its last end no longer counts
        self.awaited_ids = frozenset(one for one in wanted if self._upstream.get(one) is not State.DONE)
        arrived = self._look_for_arrived(wanted)
        if not waiters:
            return
        self._upstream.update(arrived)
        alive -= arrived.keys()  # which they did after pending/ was listed
        found = alive | in_hand
        if any(self._upstream.get(one) is not State.DONE for one in new - found):
            self._upstream_listed_at = float("-inf")  # what is remembered from an earlier question may be long over
        done = {one for one in wanted if self._upstream.get(one) is State.DONE}
        # Any other state changes: another node ends it, a person retries it.
        if now - self._upstream_listed_at >= UPSTREAM_TTL_S and not wanted <= found | done:
            self._upstream_listed_at = now
            for one in wanted - done:
                self._upstream.pop(one, None)
            self._list_settled(wanted)
        for known in waiters:
            states = tuple((one, self._state_of(one, alive, in_hand)) for one in known.needs.after)
            if states != known.upstream:
                self._known[known.name] = replace(known, upstream=states)

    def _state_of(self, task_id: str, alive: set[str], in_hand: frozenset[str]) -> State | None:
        if task_id in alive:
            return State.PENDING
        return self._upstream.get(task_id, State.RUNNING if task_id in in_hand else None)

    def _look_for_arrived(self, wanted: set[str]) -> dict[str, State]:
        """Those of the tasks whose end an event told of that are there."""
        found: dict[str, State] = {}
        while self._arrived:
            state, name = self._arrived.popleft()
            full = parse_full(name)
            if full is not None and full[1] in wanted and os.path.lexists(f"{self._paths.directory(state)}/{name}"):
                found[full[1]] = state
        return found

    def _list_settled(self, wanted: set[str]) -> None:
        for state in (State.DONE, State.FAILED):
            for name in listing(self._paths.directory(state)):
                full = parse_full(name)
                if full is not None and full[1] in wanted:
                    self._upstream[full[1]] = state
        directory = self._paths.directory(State.RUNNING)
        for node in listing(directory):
            try:
                names = listing(f"{directory}/{node}")
            except NotADirectoryError:
                continue
            for name in names:
                full = parse_full(strip_claim(name))
                if full is not None and full[1] in wanted:
                    self._upstream.setdefault(full[1], State.RUNNING)
