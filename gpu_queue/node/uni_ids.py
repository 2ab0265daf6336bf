"""``uni_id.json`` as this node writes it: its own tries' records, among those of others, who write as well.

- Of our own tries we know the state: whatever overwrites that is put right.  What a script says of its own try, while
  that runs, is its word (:class:`Word`): it stands in the file, and counts when the try is settled.
- What others write under names of their own stays.  What a blind overwrite took away together with ours is put back;
  what somebody removes and leaves ours alone, stays removed.
- Several nodes write the file in the spool, and a lock on this node does not keep them out.  Each puts its own tries
  right, reads before it writes and looks again afterwards: what one loses of another, the other puts back.
- All of it runs in the storage thread.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

from gpu_queue.node.transitions import Settled
from gpu_queue.node.watched import NotNow, Watched
from gpu_queue.pids import process_of
from gpu_queue.spool import files, records
from gpu_queue.spool.paths import SpoolPaths, claim_name, parse_claim
from gpu_queue.spool.store import Moved
from gpu_queue.spool.uni_ids import (
    WRITTEN_MAX_BYTES,
    Entry,
    RunState,
    encode,
    entry_of,
    finished,
    is_of_a_try,
    with_ours,
)
from gpu_queue.task import Abnormal, Claim, End, ErrorType, State, Why, error_word
from gpu_queue.units import format_utc

ROUNDS = 8
"""So often a file is read again at once because somebody else wrote; then it is tried again a moment later."""
NORMAL_KEPT_S = 24 * 3600.0
OTHERS_KEPT_S = 48 * 3600.0
"""Normal exits of other nodes are theirs to drop; only if they are not there any more we do."""
KEPT_MAX = 1000
"""Of normal and of abnormal exits of this node, each; the newest."""
REPAIR_EVERY_S = 600.0
REPAIRED_MAX = 100
"""At a time: each costs a look at its record."""
EXPIRED_EVERY_S = 600.0
ENDS_MAX = 1000
DROPPED_MAX = 10_000
HALF_WRITTEN_S = 0.02
HALF_WRITTEN_LOOKS = 25
"""A try that has ended waits for its script's word while somebody writes the file, but not for long."""


@dataclass(frozen=True)
class Word:
    """What a script said of its own try."""

    state: RunState
    error_type: str = ""


@dataclass
class _Try:
    """A try of ours that has not ended."""

    entry: Entry
    """With the pid that counts."""
    word: Word | None = None
    pids: set[int] = field(default_factory=set)
    """That were written of it: of one that is overwritten by older content, an earlier one shows up again."""


@dataclass(frozen=True)
class Told:
    """What came of writing."""

    notes: tuple[str, ...] = ()
    """For people, each once."""
    problems: Mapping[str, str] = field(default_factory=dict)
    """Why a file was not written, for people, by its path."""
    is_soon: bool = False
    """It is to be looked at again in a moment."""


def _no_lock(_: str) -> AbstractContextManager[bool]:
    return nullcontext(True)


class UniIds:
    """The files of one node."""

    def __init__(self, paths: SpoolPaths, node: str) -> None:
        """Nothing is read or written before :meth:`write`."""
        self._paths = paths
        self._node = node
        self._files: dict[str, Watched] = {}
        self._running: dict[str, _Try] = {}
        self._over: dict[str, Entry] = {}
        """Tries of this node that have ended, the newest last."""
        self._dropped: dict[str, None] = {}
        """Names of those that are not kept any longer; the file may still say that they run."""
        self._ends: dict[str, tuple[RunState, str, str]] = {}
        """Of tries that were never written: they were too short."""
        self._ends_before: set[str] = set()
        self._entered: set[str] = set()
        self._done: dict[str, tuple[int, int, int]] = {}
        self._changes = 0
        self._repair_at = 0.0
        self._notes: list[str] = []
        self.lock: Callable[[str], AbstractContextManager[bool]] = _no_lock
        """Holds a file against other agents of this node; False: another has it."""

    # -- writing ----------------------------------------------------------------------------------------------------

    def write(self, live: Mapping[str, Entry], places: Iterable[str], now_s: float) -> Told:
        """Have the files say what is so.

        Args:
            live: the tries that run here, or have ended and are not settled yet.
            places: the files.
            now_s: epoch seconds.
        """
        self._aim(places)
        self._take(live)
        problems: dict[str, str] = {}
        is_soon = False
        # What a script has written into one of them stands in all of them.
        for step in (self._look, self._write):
            for path, file in self._files.items():
                if path in problems:
                    continue
                try:
                    step(file, now_s)
                except NotNow:
                    is_soon = True
                except files.FileProblem as problem:
                    problems[path] = f"{path}: {problem}; it is left alone"
                except OSError as error:
                    problems[path] = f"{path}: could not be written ({error.strerror}); tasks run on without it"
        notes, self._notes = tuple(self._notes), []
        is_soon = is_soon or any(file.is_watching for file in self._files.values())
        return Told(notes, problems, is_soon)

    def _aim(self, places: Iterable[str]) -> None:
        wanted: dict[str, str] = {}
        for path in places:
            wanted.setdefault(os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path)), path)
        for path in [path for path in self._files if path not in wanted]:
            self._files.pop(path).close()
            self._entered.discard(path)
            self._done.pop(path, None)
        for path in wanted:
            if path not in self._files:
                self._files[path] = Watched(path, self._note)

    def _note(self, text: str) -> None:
        self._notes.append(text)

    def _take(self, live: Mapping[str, Entry]) -> None:
        for name, entry in live.items():
            if name in self._over:
                continue
            one = self._running.get(name)
            if one is None:
                self._begin(name, entry)
            if name in self._ends:
                self._finish(name, *self._ends.pop(name))
        for name in self._ends_before & self._ends.keys():
            # It was over before the agent had looked at it once, so that nobody tells its pid.
            parsed = parse_claim(name)
            assert parsed is not None
            self._begin(name, Entry(0, retry_count=parsed[0].number - 1, node=self._node, spool=self._paths.root))
            self._finish(name, *self._ends.pop(name))
        self._ends_before = set(self._ends)
        for name in self._running.keys() - live.keys():
            del self._running[name]  # its claim was taken away: whoever has it says how it ended
            self._changes += 1

    def _begin(self, name: str, entry: Entry) -> None:
        self._running[name] = _Try(entry, pids={entry.pid})
        self._changes += 1

    def _look(self, file: Watched, now_s: float) -> None:
        if file.path not in self._entered:
            directory = os.path.dirname(file.path)
            os.makedirs(directory, mode=0o700, exist_ok=True)
            file.tidy(now_s)
        file.read()
        self._hear(file)
        if file.path not in self._entered:
            self._entered.add(file.path)
            self._remember(file.held)
        if now_s - self._repair_at >= REPAIR_EVERY_S or now_s < self._repair_at:
            self._repair_at = now_s
            self._repair(file.held)

    def _write(self, file: Watched, now_s: float) -> None:
        if self._done.get(file.path) == self._seen(file, now_s):
            return
        with self.lock(file.path) as is_held:
            for _ in range(ROUNDS if is_held else 0):
                file.read()
                self._hear(file)
                wanted = self._wanted(file, now_s)
                if wanted == file.held:
                    file.agreed, file.was_damaged = wanted, False
                    self._done[file.path] = self._seen(file, now_s)
                    return
                file.replace(wanted)  # and then it is looked at again
        raise NotNow

    def _seen(self, file: Watched, now_s: float) -> tuple[int, int, int]:
        """What a file was made from; as long as it is the same there is nothing to write."""
        return self._changes, file.reads, int(now_s // EXPIRED_EVERY_S)

    def _wanted(self, file: Watched, now_s: float) -> dict[str, Any]:
        ours = self._ours(now_s)
        found, before = file.found, file.agreed
        is_blind = found and any(name in before and name not in found for name in self._running)
        if file.was_damaged or is_blind:
            found = {**{name: value for name, value in before.items() if name not in found}, **found}
        kept = {name: value for name, value in found.items() if name in ours or self._stays(name, value, now_s)}
        return self._bounded(with_ours(kept, ours), ours)

    def _stays(self, name: str, value: object, now_s: float) -> bool:
        """Whether a record stays that is none of those that we know."""
        entry = entry_of(value) if is_of_a_try(name) else None
        if name in self._dropped:
            return False
        if entry is None or not entry.node or not entry.is_over:
            return True
        if (entry.node, entry.spool) == (self._node, self._paths.root):
            return False  # it was dropped before that was remembered here
        return entry.state is RunState.ABNORMAL or now_s - entry.ended_s < OTHERS_KEPT_S

    def _ours(self, now_s: float) -> dict[str, Entry]:
        """The records of our tries, without those that need not be kept any longer."""
        for state in (RunState.NORMAL, RunState.ABNORMAL):
            names = [name for name, entry in self._over.items() if entry.state is state]
            for name in names[:-KEPT_MAX]:
                self._drop(name)
        for name, entry in list(self._over.items()):
            if entry.state is RunState.NORMAL and now_s - entry.ended_s >= NORMAL_KEPT_S:
                self._drop(name)
        running = {
            name: replace(one.entry, state=one.word.state, error_type=one.word.error_type) if one.word else one.entry
            for name, one in self._running.items()
        }
        return {**self._over, **running}

    def _drop(self, name: str) -> None:
        if self._over.pop(name, None) is not None:
            self._dropped[name] = None
            while len(self._dropped) > DROPPED_MAX:
                del self._dropped[next(iter(self._dropped))]

    def _bounded(self, merged: dict[str, Any], ours: Mapping[str, Entry]) -> dict[str, Any]:
        size_bytes = len(encode(merged))
        if size_bytes <= WRITTEN_MAX_BYTES:
            return merged

        def rank(name: str) -> int:
            if name in self._running:
                return 3
            entry = entry_of(merged[name])
            return 0 if name in ours or is_of_a_try(name) else 1 if entry is not None and entry.is_over else 2

        dropped = 0
        for name in sorted(merged, key=rank):  # of one rank the oldest first: those that stand in front
            if size_bytes <= WRITTEN_MAX_BYTES or name in self._running:
                break
            size_bytes -= len(encode({name: merged.pop(name)})) - len(encode({}))
            self._drop(name)
            dropped += 1
        self._note(f"uni_id.json had more than {WRITTEN_MAX_BYTES >> 20} MiB: {dropped} old records were dropped")
        return merged

    # -- what scripts say -------------------------------------------------------------------------------------------

    def _hear(self, file: Watched) -> None:
        for name, one in self._running.items():
            for value in (file.held.get(name), file.late_of(name)):
                entry = entry_of(value)
                if entry is not None and _hear(one, entry):
                    self._changes += 1

    def abnormal(self, name: str) -> Abnormal | None:
        """The word of a try's script that it has failed; None: it has not said so, or not last.

        Args:
            name: of its claim.
        """
        for file in self._files.values():
            _read_whole(file)
            there = entry_of(file.held.get(name))
            if name not in self._running and name not in self._over and there is not None:
                # Another agent began it, or it ended before it was written.
                entry = there if there.node else replace(there, node=self._node, spool=self._paths.root)
                self._begin(name, replace(entry, state=RunState.RUNNING, error_type=""))
            self._hear(file)
        word = self._running[name].word if name in self._running else None
        is_abnormal = word is not None and word.state is RunState.ABNORMAL
        return Abnormal(word.error_type) if word is not None and is_abnormal else None

    # -- how tries end ----------------------------------------------------------------------------------------------

    def ended(self, claim: Claim, end: End, settled: Settled, *, began: bool = True) -> Settled:
        """A try was moved on: its record is written the next time.

        Args:
            claim: the try.
            end: how it ended.
            settled: what came of it, which is returned.
            began: its script was started.
        """
        if self._files and settled.moved is Moved.WON:
            name = claim_name(claim)
            is_normal = settled.settlement.to is State.DONE
            state = RunState.NORMAL if is_normal else RunState.ABNORMAL
            error_type = "" if is_normal else settled.error_type or _of_why(end.why).value
            told = state, error_type, format_utc(time.time())
            if name in self._running:
                self._finish(name, *told)
            elif began and name not in self._over:
                self._ends[name] = told
                while len(self._ends) > ENDS_MAX:
                    del self._ends[next(iter(self._ends))]
        return settled

    def _finish(self, name: str, state: RunState, error_type: str, ended_at: str) -> None:
        self._over[name] = finished(self._running.pop(name).entry, state, error_type, ended_at)
        self._changes += 1

    def _remember(self, found: Mapping[str, Any]) -> None:
        """What an agent before us has written of tries that are over."""
        for name, value in found.items():
            entry = entry_of(value) if is_of_a_try(name) and name not in self._running else None
            if entry is not None and entry.is_over and (entry.node, entry.spool) == (self._node, self._paths.root):
                self._over.setdefault(name, entry)
                self._changes += 1

    def _repair(self, found: Mapping[str, Any]) -> None:
        """Say how tries ended whose agent was killed between that and saying so."""
        count = 0
        for name, value in found.items():
            if name in self._running or name in self._over or not is_of_a_try(name) or count >= REPAIRED_MAX:
                continue
            entry, parsed = entry_of(value), parse_claim(name)
            if entry is None or entry.is_over or entry.spool != self._paths.root or parsed is None:
                continue
            count += 1
            record = records.read_try(self._paths, parsed[0])
            if record is not None and record.to:
                is_normal = record.to == State.DONE.value
                state = RunState.NORMAL if is_normal else RunState.ABNORMAL
                error_type = "" if is_normal else record.error_type or _of_why(record.why).value
                self._over[name] = finished(entry, state, error_type, record.ended_at or format_utc(time.time()))
                self._changes += 1


def _of_why(why: Why | None) -> ErrorType:
    """What kind of failure it was that somebody else ended a try."""
    return {
        Why.TIMEOUT: ErrorType.TIMEOUT,
        Why.STOPPED: ErrorType.SIGNAL,
        Why.REQUEUE: ErrorType.SIGNAL,
        Why.AGAIN: ErrorType.SIGNAL,
        Why.SAVED: ErrorType.SIGNAL,
        Why.FENCED: ErrorType.NODE_LOST,
        Why.LOST: ErrorType.NODE_LOST,
    }.get(why or Why.NOSTART, ErrorType.UNKNOWN)


def _read_whole(file: Watched) -> None:
    """Read a file for the last word of a try; what cannot be read says nothing."""
    for _ in range(HALF_WRITTEN_LOOKS):
        try:
            file.read()
        except NotNow:
            time.sleep(HALF_WRITTEN_S)
        except (files.FileProblem, OSError):
            return
        else:
            return


def _hear(one: _Try, said: Entry) -> bool:
    """What somebody wrote of a try that runs: its script, or one who has put older content back.

    Returns:
        Whether that is new.
    """
    before = one.entry, one.word
    own = one.entry
    is_new = bool(said.pid) and said.pid not in one.pids
    if is_new:
        one.pids.add(said.pid)
        process = process_of(said.pid)
        one.entry = replace(own, pid=said.pid, process=process or own.process)
        one.word = None
    elif said.pid not in (0, own.pid):
        return False  # of an earlier process of the same script
    if said.is_over:
        one.word = Word(said.state, error_word(said.error_type) if said.error_type else "")
    return (one.entry, one.word) != before
