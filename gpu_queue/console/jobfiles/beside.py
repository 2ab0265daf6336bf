"""What is noted beside the job files of a queue: where commands run, what was loaded, which logs are bound.

It blocks on shared storage.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from gpu_queue.console.jobfiles.boundlogs import BOUND_MAX_BYTES, BoundLog, encoded, parse_bound, with_one
from gpu_queue.console.jobfiles.folders import CannotUse, Folder, folder
from gpu_queue.console.jobfiles.ledgers import LOADS_MAX_BYTES, Loads, parse_loads
from gpu_queue.console.jobfiles.workdirs import absolute, work_dir
from gpu_queue.console.models.jobfiles import WorkDir
from gpu_queue.spool.desk import entrance
from gpu_queue.spool.files import FileProblem as BadFile
from gpu_queue.spool.files import decode_json, encode_json
from gpu_queue.spool.jobfiles import JobFile, parse_job_file
from gpu_queue.spool.paths import SpoolPaths

FILES_MAX = 500
"""Job files that are told; more names than ten times that are not looked at."""
ABOUT_MAX_BYTES = 16 << 10
DIRECTORY, ABOUT, LOADS, BOUND = "jobfiles", ".about", ".loads", ".bound"


@dataclass
class Beside:
    """The notes of one queue."""

    paths: SpoolPaths
    home: str
    """Of the console's user."""
    _lock: threading.RLock = field(default_factory=threading.RLock)
    """Of two who save at once through this console one sees what the other did."""
    _loads: dict[JobFile, tuple[tuple[int, int, int], Loads]] = field(default_factory=dict)

    @contextlib.contextmanager
    def _open(self, *below: str, make: bool = False) -> Iterator[Folder]:
        if make:
            entrance.make(self.paths)
        with folder(self.paths.root, DIRECTORY, *below, make=make) as found:
            yield found

    # -- where commands run ------------------------------------------------------------------------------------------

    def work_dir(self, which: JobFile | None, asked: str | None = None) -> tuple[WorkDir, str]:
        """Where the commands of a file run: for people, and as the storage spells it.

        Raises:
            CannotUse: what is said cannot be obeyed.
            OSError: the storage failed.
        """
        return work_dir(asked, self.kept_work_dir(which) if which is not None else "", self.paths, self.home)

    def kept_work_dir(self, which: JobFile) -> str:
        """What was kept beside a file; empty: nothing."""
        try:
            with self._open(ABOUT) as place:
                content, _ = place.read(f"{which.name}.json", ABOUT_MAX_BYTES)
            said = decode_json(content).get("work_dir")
        except (FileNotFoundError, CannotUse, BadFile):
            return ""
        return said if isinstance(said, str) and "\0" not in said else ""

    def keep_work_dir(self, which: JobFile, directory: str) -> None:
        """Keep it; empty: nothing is said any more.

        Raises:
            CannotUse: it is no absolute path.
            OSError: it could not be written.
        """
        if directory:
            directory = absolute(directory, self.home)
        if directory == self.kept_work_dir(which):
            return
        with self._open(ABOUT, make=True) as place:
            if directory:
                place.write(f"{which.name}.json", encode_json({"work_dir": directory}))
            else:
                place.remove(f"{which.name}.json")

    # -- what was loaded ---------------------------------------------------------------------------------------------

    def loads(self, which: JobFile) -> Loads:
        """What was loaded from a file, as far as it was noted.

        Raises:
            OSError: the storage failed.
        """
        name = f"{which.name}.json"
        try:
            with self._open(LOADS) as place:
                facts = place.facts(name)
                mark = facts.st_ino, facts.st_mtime_ns, facts.st_size
                with self._lock:
                    known = self._loads.get(which)
                if known is not None and known[0] == mark:
                    return known[1]
                content, _ = place.read(name, LOADS_MAX_BYTES)
        except (FileNotFoundError, CannotUse):
            return Loads()
        found = parse_loads(content)
        with self._lock:
            if len(self._loads) > FILES_MAX:
                self._loads.clear()
            self._loads[which] = mark, found
        return found

    def note_load(self, which: JobFile, change: Callable[[Loads], Loads]) -> None:
        """Note what was loaded.

        Raises:
            OSError: it could not be written.
        """
        try:
            with self._lock, self._open(LOADS, make=True) as place:
                place.write(f"{which.name}.json", change(self.loads(which)).encoded())
        except CannotUse as why:
            raise OSError(str(why)) from None

    # -- logs that are bound to its places ---------------------------------------------------------------------------

    def bound(self, which: JobFile) -> tuple[BoundLog, ...]:
        """Files that are bound to places of a file.

        Raises:
            OSError: the storage failed.
        """
        try:
            with self._open(BOUND) as place:
                return parse_bound(place.read(f"{which.name}.json", BOUND_MAX_BYTES)[0])
        except (FileNotFoundError, CannotUse):
            return ()

    def all_bound(self) -> Iterator[tuple[JobFile, BoundLog]]:
        """Of all files that are there, by their names.

        Raises:
            OSError: the storage failed.
        """
        try:
            with self._open(BOUND) as place:
                names = sorted(place.names(2 * FILES_MAX))
        except (FileNotFoundError, CannotUse):
            return
        for name in names:
            which = parse_job_file(name.removesuffix(".json")) if name.endswith(".json") else None
            if which is not None and os.path.lexists(f"{self.paths.root}/{DIRECTORY}/{which.name}"):
                yield from ((which, one) for one in self.bound(which))

    def bind(self, which: JobFile, new: BoundLog) -> None:
        """Bind a file to a place.

        Raises:
            CannotUse: the directory is none.
            OSError: it could not be written.
        """
        with self._lock, self._open(BOUND, make=True) as place:
            place.write(f"{which.name}.json", encoded(with_one(self.bound(which), new)))

    def forget(self, which: JobFile) -> None:
        """A new file of that name is another one: what was loaded from an earlier one and bound to it is forgotten.

        Raises:
            OSError: the storage failed.
        """
        for directory in (BOUND, LOADS):
            with contextlib.suppress(FileNotFoundError, CannotUse), self._open(directory) as place:
                place.remove(f"{which.name}.json")
