"""Reading the history of one node as it grows: all of it once, later what was added.  Calls on shared storage."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from gpu_queue.console.timeline.facts import parse_fact
from gpu_queue.console.timeline.story import NodeStory
from gpu_queue.spool import files
from gpu_queue.spool.events import LINE_MAX_BYTES, ROTATE_AT_BYTES, Place
from gpu_queue.spool.paths import SpoolPaths

READ_MAX_BYTES = 2 * ROTATE_AT_BYTES
"""Of one file: it is rotated at half of that."""
PIECE_BYTES = 1 << 20
LINES_KEPT = 1000


@dataclass
class NodeHistory:
    """What was read of one node."""

    node: str
    story: NodeStory = field(default_factory=NodeStory)
    lines: deque[bytes] = field(default_factory=lambda: deque(maxlen=LINES_KEPT))
    """The last ones, as they stand there."""
    place: Place = field(default_factory=Place)
    problem: str = ""

    def read(self, paths: SpoolPaths) -> bool:
        """Take what is new; whether anything was.

        Raises:
            OSError: the storage failed; ask again later.
        """
        path = paths.events(self.node)
        before = self.place
        try:
            with files.opened(path, None) as (descriptor, facts):
                is_new = facts.st_ino != before.inode  # the first time, or it was rotated meanwhile
                if is_new:
                    self._read_former(f"{path}.1")
                    self.place = Place(facts.st_ino, 0)
                offset = 0 if is_new or before.offset > facts.st_size else before.offset
                self.place = Place(facts.st_ino, self._take(descriptor, offset, facts.st_size))
        except files.Vanished:
            return False
        except files.FileProblem as problem:
            self.problem = str(problem)
            return False
        self.problem = ""
        return self.place != before

    def _read_former(self, path: str) -> None:
        """The file that was rotated away: all of it, or what had not been read of it then."""
        try:
            with files.opened(path, None) as (descriptor, facts):
                if self.place.inode in (0, facts.st_ino):  # else it was rotated twice: that is not told any more
                    self._take(descriptor, self.place.offset, facts.st_size)
        except files.FileProblem:
            pass

    def _take(self, descriptor: int, offset: int, size_bytes: int) -> int:
        """Take the whole lines behind an offset, a piece at a time; returns where they end."""
        offset = max(offset, size_bytes - READ_MAX_BYTES)
        while offset < size_bytes:
            content = files.read_all(descriptor, min(PIECE_BYTES, size_bytes - offset), offset)
            whole = content.rpartition(b"\n")[0]
            if not whole and len(content) < PIECE_BYTES:
                break  # the last line is being written
            for line in whole.split(b"\n"):
                fact = parse_fact(line)
                if fact is not None:
                    self.story.add(fact)
                if line:
                    self.lines.append(line[:LINE_MAX_BYTES])
            offset += len(whole) + 1 if whole else len(content)  # a line of a MiB is none
        return offset
