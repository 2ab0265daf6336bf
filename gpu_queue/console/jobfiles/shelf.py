"""The job files of a queue: listed, read, written, thrown away and taken back.  It blocks on shared storage.

What lies in the directory is whatever somebody put there: it is read within bounds, through no link, and what cannot
be read is listed with the reason.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pwd
import re
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass, field

from gpu_queue.console.jobfiles.beside import DIRECTORY, FILES_MAX, Beside
from gpu_queue.console.jobfiles.checking import Read, Where, read
from gpu_queue.console.jobfiles.folders import CannotUse, Folder
from gpu_queue.console.models.jobfiles import TEXT_MAX, FileProblem
from gpu_queue.spool.jobfiles import INDEX_MAX, MODES, JobFile, JobMode, parse_job_file, parse_trashed, trashed

KEPT_S = 30 * 86400.0
TRASH_SHOWN_MAX = 50
FILE_MAX_BYTES = TEXT_MAX
LIST_BYTES = 32 << 20
"""So much is read for one list; the next one goes on."""
READS_MAX = 32
READ_MAX_BYTES = 64 << 10
READ_TASKS_MAX = 1000
"""Texts that were parsed and are kept: that many, none larger."""
TRASH = ".trash"
_LEFTOVER = re.compile(r"\.[0-9a-f]{12}\.tmp")
LEFTOVER_S = 3600.0


class Changed(Exception):
    """Somebody else has changed the file; ``etag`` is that of what is there now, empty if nothing is."""

    def __init__(self, etag: str) -> None:
        super().__init__("it was changed meanwhile")
        self.etag = etag


@dataclass(frozen=True)
class Text:
    """A file as it was read."""

    which: JobFile
    content: bytes
    etag: str
    modified_s: float
    owner: str


@dataclass(frozen=True)
class Listed:
    """A file in the list."""

    which: JobFile
    problems: tuple[FileProblem, ...]
    tasks: int = 0
    queues: int = 0
    gpus: int = 1
    """So many GPUs its largest task needs at least."""
    size_bytes: int | None = None
    modified_s: float | None = None
    owner: str | None = None


@dataclass(frozen=True)
class Thrown:
    """A file in the trash."""

    id: str
    which: JobFile
    at_s: float


@dataclass
class Shelf(Beside):
    """The job files of one queue."""

    _reads: OrderedDict[tuple[JobFile, str, str], Read] = field(default_factory=OrderedDict)
    _listed: dict[JobFile, tuple[tuple[int, int, int], Listed]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.directory = os.path.join(os.path.realpath(self.paths.root), DIRECTORY)

    def path_of(self, which: JobFile) -> str:
        """Without links: what it is known by."""
        return f"{self.directory}/{which.name}"

    # -- what is there -----------------------------------------------------------------------------------------------

    def listed(self) -> tuple[list[Listed], int]:
        """All of them, by mode and index, and how many more there are.

        Raises:
            CannotUse: the directory is none.
            OSError: the storage failed.
        """
        try:
            with self._open() as place:
                names = place.names(10 * FILES_MAX)
                found = sorted((one for name in names if (one := parse_job_file(name)) is not None), key=_order)
                left_bytes = LIST_BYTES
                made = []
                for which in found[:FILES_MAX]:
                    looked, read_bytes = self._look(place, which, left_bytes)
                    left_bytes -= read_bytes
                    made.append(looked)
                return made, max(0, len(found) - FILES_MAX)
        except FileNotFoundError:
            return [], 0

    def _look(self, place: Folder, which: JobFile, left_bytes: int) -> tuple[Listed, int]:
        """A file, and how many bytes of it were read for that."""
        try:
            facts = place.facts(which.name)
            mark = facts.st_ino, facts.st_mtime_ns, facts.st_size
            with self._lock:
                known = self._listed.get(which)
            if known is not None and known[0] == mark:
                return known[1], 0
            if max(0, left_bytes) < facts.st_size <= FILE_MAX_BYTES:
                raise CannotUse("unread", "others were read first; look again")
            content, facts = place.read(which.name, FILE_MAX_BYTES)
        except FileNotFoundError:
            return Listed(which, (FileProblem(line=0, code="unreadable", text="it is gone"),)), 0
        except CannotUse as why:
            return Listed(which, (FileProblem(line=0, code=why.code, text=str(why)),)), 0
        found = self.parsed(which, content, self.home)
        made = Listed(
            which,
            found.problems,
            found.tasks,
            found.queues,
            found.gpus,
            facts.st_size,
            facts.st_mtime,
            _user(facts.st_uid),
        )
        with self._lock:
            self._listed[which] = (facts.st_ino, facts.st_mtime_ns, facts.st_size), made
            if len(self._listed) > 2 * FILES_MAX:
                self._listed.clear()
        return made, len(content)

    def parsed(self, which: JobFile, content: bytes, directory: str) -> Read:
        """What a text says; what was read before is known.

        Args:
            which: file it is, or is to be.
            content: of it.
            directory: in which its commands run.
        """
        key = which, etag_of(content), directory
        with self._lock:
            known = self._reads.get(key)
        if known is not None:
            return known
        found = read(which, content, Where(self.path_of(which), directory, self.home))
        if len(content) <= READ_MAX_BYTES and found.tasks <= READ_TASKS_MAX:
            with self._lock:
                self._reads[key] = found
                while len(self._reads) > READS_MAX:
                    self._reads.popitem(last=False)
        return found

    def text(self, which: JobFile) -> Text:
        """A file, whole.

        Raises:
            FileNotFoundError: it is not there.
            CannotUse: it cannot be read.
            OSError: the storage failed.
        """
        with self._open() as place:
            content, facts = place.read(which.name, FILE_MAX_BYTES)
        return Text(which, content, etag_of(content), facts.st_mtime, _user(facts.st_uid))

    # -- changes -----------------------------------------------------------------------------------------------------

    def save(self, which: JobFile, content: bytes, etag: str | None) -> Text:
        """Write one that is there.

        Args:
            which: file.
            content: all of it.
            etag: of what was changed; None: whatever is there.

        Raises:
            FileNotFoundError: it is not there.
            Changed: somebody else has changed it.
            CannotUse: what lies there is no file.
            OSError: it could not be written.
        """
        with self._lock, self._open() as place:
            try:
                before, _ = place.read(which.name, FILE_MAX_BYTES)
                there = etag_of(before)
            except CannotUse as why:
                if why.code != "too_large":
                    raise
                there = "too_large"
            except FileNotFoundError:
                if etag:
                    raise Changed("") from None
                raise
            if etag is not None and etag != there:
                raise Changed(there)
            facts = place.write(which.name, content)
        return Text(which, content, etag_of(content), facts.st_mtime, _user(facts.st_uid))

    def new(self, mode: JobMode, stem: str | None, content: bytes) -> Text:
        """Make one: of ``yaml`` with this name, else with the highest index and one more.

        Raises:
            FileExistsError: there is one of that name, or no index is left.
            CannotUse: the directory is none.
            OSError: it could not be written.
        """
        with self._lock, self._open(make=True) as place:
            self._sweep(place)
            for _ in range(20):  # others make files, too
                which = JobFile(mode, self._free(place, mode, stem))
                try:
                    facts = place.write(which.name, content, is_new=True)
                except FileExistsError:
                    if mode == "yaml" and stem is not None:
                        raise
                    continue
                self.forget(which)
                return Text(which, content, etag_of(content), facts.st_mtime, _user(facts.st_uid))
        raise FileExistsError("others make files at the same time; try again")

    def _free(self, place: Folder, mode: JobMode, stem: str | None) -> int | str:
        found = [one for name in place.names(100 * FILES_MAX) if (one := parse_job_file(name)) is not None]
        if len(found) >= FILES_MAX:
            raise CannotUse("too_many", f"{len(found)} job files lie there; expected at most {FILES_MAX}")
        if mode == "yaml":
            if stem is not None:
                return stem
            names = {one.index for one in found if one.mode == "yaml"}
            return next(name for n in range(1, FILES_MAX + 2) if (name := f"experiment_{n}") not in names)
        index = max((one.index for one in found if one.mode == mode and isinstance(one.index, int)), default=-1) + 1
        if index > INDEX_MAX:
            raise CannotUse("too_many", f"configuration {INDEX_MAX + 1} is the last one that can be called so")
        return index

    def _sweep(self, place: Folder) -> None:
        """Remove dot-files that a write left behind which was cut off."""
        for name in place.names(10 * FILES_MAX):
            if _LEFTOVER.fullmatch(name):
                with contextlib.suppress(OSError, CannotUse):
                    if time.time() - place.facts(name).st_mtime > LEFTOVER_S:
                        place.remove(name)

    # -- the trash ---------------------------------------------------------------------------------------------------

    def throw_away(self, which: JobFile, now_s: float) -> Thrown:
        """Move one to the trash, where it is kept for ``KEPT_S``.

        Raises:
            FileNotFoundError: it is not there.
            OSError: it cannot be moved.
        """
        with self._lock, self._open() as place, self._open(TRASH, make=True) as trash:
            self._purge(trash, now_s)
            name = trashed(which.name, now_s, secrets.token_hex(6))
            place.move(which.name, trash, name)
        return Thrown(name, which, float(int(now_s)))

    def take_back(self, which: JobFile, thrown: str | None) -> Text:
        """Take one out of the trash again.

        Args:
            which: file it was.
            thrown: its name there; None: the last one.

        Raises:
            FileNotFoundError: there is none.
            FileExistsError: there is another one of its name now.
            OSError: it cannot be moved.
        """
        known = [one for one in self.thrown() if one.which == which and thrown in (None, one.id)]
        if not known:
            raise FileNotFoundError(which.name)
        with self._lock, self._open() as place, self._open(TRASH) as trash:
            trash.move(known[0].id, place, which.name)
        return self.text(which)

    def thrown(self) -> list[Thrown]:
        """What lies in the trash, the last one first.

        Raises:
            OSError: the storage failed.
        """
        try:
            with self._open(TRASH) as trash:
                names = trash.names(20 * FILES_MAX)
        except (FileNotFoundError, CannotUse):
            return []
        parsed = ((name, parse_trashed(name)) for name in sorted(names, reverse=True))
        made = []
        for name, found in parsed:
            which = parse_job_file(found[1]) if found is not None else None
            if found is not None and which is not None:
                made.append(Thrown(name, which, found[0]))
        return made

    def _purge(self, trash: Folder, now_s: float) -> None:
        for name in trash.names(20 * FILES_MAX):
            found = parse_trashed(name)
            if found is not None and found[0] < now_s - KEPT_S:
                with contextlib.suppress(OSError):
                    trash.remove(name)


def _order(which: JobFile) -> tuple[int, int, str]:
    number = which.index if isinstance(which.index, int) else 0
    return MODES.index(which.mode), number, str(which.index)


def etag_of(content: bytes) -> str:
    """By which a text is known."""
    return hashlib.sha256(content).hexdigest()[:24]


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OSError):
        return str(uid)
