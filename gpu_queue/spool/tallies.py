"""What became of the tasks of each serial queue, for people (docs/spool.md, "Tallies").

- ``queues/.tally-<node>.jsonl`` has one writer: a line for each task of a queue that this node settled.  Now and then
  it is written anew, with all lines of a queue as one.
- So many of a queue are done as all nodes' files tell.  What they say has failed counts as long as it lies in
  failed/: what was retried or forgotten counts no more, whoever did that.
- Nothing is decided by it.  What could not be written costs a count.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from gpu_queue.spool import files, growing
from gpu_queue.spool.fields import Fields
from gpu_queue.spool.paths import SpoolPaths, is_id, parse_full, parse_tally
from gpu_queue.spool.store import listing
from gpu_queue.task import State

READ_BYTES = 8 << 20
WRITE_ANEW_BYTES = 128 << 10
"""A file that is as large, and four times as large as when it was written anew last."""
LOOK_EVERY_S = 5.0
RELIST_AFTER_S = 60.0
"""A directory is listed when it has changed, and in any case after so long: NFS may show an old mtime."""
DEAR_S = 0.05
"""A listing of failed/ that took longer is not made more often than that."""
RACY_S = 2.0
NODES_MAX = 1000
_LANE = re.compile(r"\d{8}T\d{9}-[0-9a-f]{6}\.\d+", re.ASCII)


def is_named(queue: str) -> bool:
    """Whether a person gave a queue its name; else it limits how many tasks of an array run at once."""
    return _LANE.fullmatch(queue) is None


@dataclass(frozen=True)
class Tally:
    """What became of the tasks of one queue."""

    done: int = 0
    """How often one of them was."""
    failed: frozenset[str] = frozenset()
    """Ids of those that were given up and lie in failed/."""


@dataclass
class _Told:
    """What one node's file tells."""

    done: Counter[str] = field(default_factory=Counter)
    failed: dict[str, str] = field(default_factory=dict)
    """Queues, by the ids of the tasks."""

    def take(self, line: bytes) -> None:
        """One line; one that is torn, or none of ours, tells nothing."""
        if not line.startswith(b"{"):
            return
        try:
            told = Fields(json.loads(line.decode("utf-8", "surrogateescape")))
        except (ValueError, RecursionError):
            return
        queue, task_id, to = told.name("queue"), told.name("id"), told.raw("to")
        if not queue or not is_named(queue):
            return
        if to == State.DONE.value:
            self.done[queue] += 1
            self.failed.pop(task_id, None)
        elif to == State.FAILED.value and is_id(task_id):
            self.failed[task_id] = queue
        elif to is None:
            self.done[queue] += told.count("done")
            self.failed.update((one, queue) for one in told.items("failed") if isinstance(one, str) and is_id(one))


class Tallies:
    """All nodes' tallies of one spool; lives in the storage thread."""

    def __init__(self, paths: SpoolPaths, node: str) -> None:
        self._paths = paths
        self._node = node
        self._own: _Told | None = None
        self._own_bytes = self._anew_bytes = 0
        self._others: dict[str, tuple[tuple[int, int, int], _Told]] = {}
        self._looked_at = float("-inf")
        self._nodes: list[str] = []
        """Those that have a file, as of the last listing of queues/."""
        self._nodes_listed_at = float("-inf")
        self._nodes_mtime_ns = -1
        self._there: set[str] = set()
        """Of those that failed: what lay in failed/ when it was listed last, and what came since."""
        self._listed_at = float("-inf")
        self._listing_s = 0.0
        self._mtime_ns = -1
        self._is_changed = True
        self._tallies: Mapping[str, Tally] = {}

    def add(self, queue: str | None, task_id: str, state: State) -> None:
        """This node has settled a task of a queue.  Never raises: a disk that takes nothing costs the count."""
        if not queue or not is_named(queue):
            return
        own = self._of_this_node()
        self._is_changed = True
        if state is State.DONE:
            own.done[queue] += 1
            own.failed.pop(task_id, None)
            self._there.discard(task_id)
        else:
            own.failed[task_id] = queue
            self._there.add(task_id)
        # The last line of a killed predecessor may be torn: the first byte of ours ends it.
        before = b"\n" if self._own_bytes == 0 else b""
        line = files.encode_json({"queue": queue, "id": task_id, "to": state.value})
        try:
            self._own_bytes = growing.append(self._paths.tally(self._node), before + line)
            if self._own_bytes > max(WRITE_ANEW_BYTES, 4 * self._anew_bytes):
                self._write_anew(own)
        except OSError:
            pass

    def _of_this_node(self) -> _Told:
        if self._own is None:
            self._own = self._read(self._paths.tally(self._node))
        return self._own

    def _write_anew(self, own: _Told) -> None:
        failed: dict[str, list[str]] = {}
        for task_id, queue in own.failed.items():
            failed.setdefault(queue, []).append(task_id)
        lines = [
            files.encode_json({"queue": queue, "done": own.done[queue], "failed": failed.get(queue, [])})
            for queue in sorted({*own.done, *failed})
        ]
        content = b"".join(lines)
        files.write_whole(self._paths.tally(self._node), content)
        self._own_bytes = self._anew_bytes = len(content)

    def _read(self, path: str) -> _Told:
        told = _Told()
        try:
            content, _ = files.read_regular(path, READ_BYTES)
        except (files.FileProblem, OSError):
            return told
        for line in content.split(b"\n"):
            told.take(line)
        return told

    def look(self, now: float) -> Mapping[str, Tally]:
        """Each queue of which something was settled; the same object where nothing has changed.

        Args:
            now: monotonic seconds.
        """
        if now - self._looked_at >= LOOK_EVERY_S:
            self._looked_at = now
            try:
                self._look_at_others(now)
                self._look_at_failed(now)
            except OSError:
                pass  # what is wrong with a directory is told by those who decide by what lies in it
        if self._is_changed:
            self._is_changed = False
            self._tallies = self._sums()
        return self._tallies

    def _look_at_others(self, now: float) -> None:
        nodes = self._list_nodes(now)
        if self._node in nodes:
            self._of_this_node()
        for node in [node for node in self._others if node not in nodes]:
            del self._others[node]
            self._is_changed = True
        for node in nodes:
            if node == self._node:
                continue
            path = self._paths.tally(node)
            try:
                facts = os.lstat(path)
            except OSError:
                continue
            mark = facts.st_ino, facts.st_size, facts.st_mtime_ns
            if node not in self._others or self._others[node][0] != mark:
                self._others[node] = mark, self._read(path)
                self._is_changed = True

    def _list_nodes(self, now: float) -> list[str]:
        mtime_ns = os.lstat(self._paths.queues).st_mtime_ns
        if mtime_ns != self._nodes_mtime_ns or now - self._nodes_listed_at >= RELIST_AFTER_S:
            self._nodes = sorted(filter(None, map(parse_tally, listing(self._paths.queues))))[:NODES_MAX]
            self._nodes_mtime_ns, self._nodes_listed_at = _settled(mtime_ns), now
        return self._nodes

    def _look_at_failed(self, now: float) -> None:
        failed = {one for told in self._all() for one in told.failed}
        if not failed:
            self._there = set()
            return
        directory = self._paths.directory(State.FAILED)
        mtime_ns = os.lstat(directory).st_mtime_ns
        age_s = now - self._listed_at
        if age_s < RELIST_AFTER_S and (mtime_ns == self._mtime_ns or self._listing_s > DEAR_S):
            return
        began_s = time.monotonic()
        names = listing(directory)
        self._mtime_ns = _settled(mtime_ns)
        self._listed_at, self._listing_s = now, time.monotonic() - began_s
        there = {full[1] for full in map(parse_full, names) if full is not None and full[1] in failed}
        self._is_changed |= there != self._there
        self._there = there
        own = self._of_this_node()
        own.failed = {one: queue for one, queue in own.failed.items() if one in there}

    def _all(self) -> list[_Told]:
        return [*([self._own] if self._own is not None else []), *(told for _, told in self._others.values())]

    def _sums(self) -> dict[str, Tally]:
        done: Counter[str] = Counter()
        failed: dict[str, set[str]] = {}
        for told in self._all():
            done.update(told.done)
            for one, queue in told.failed.items():
                if one in self._there:
                    failed.setdefault(queue, set()).add(one)
        return {queue: Tally(done[queue], frozenset(failed.get(queue, ()))) for queue in sorted({*done, *failed})}


def _settled(mtime_ns: int) -> int:
    """The mtime of a directory that was listed after that, or -1: it may change and keep it, for clocks tick."""
    return mtime_ns if time.time() - mtime_ns / 1e9 > RACY_S else -1
