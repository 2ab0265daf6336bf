"""Who holds which GPU on this node, across the agents of one user.

- A lease is the file ``gpus/<uuid>`` in the node's own directory; it names the directory of a try, and says how many
  bytes of the GPU's memory that reserves: ``all`` is the whole card.
- The directory is named from the node's own, which two agents may see under two paths.
- It is valid <=> somebody holds the flock on that directory's file ``lock``: the agent from before the fork, then the
  shim; or, where that file was removed, its shim lives (:func:`gpu_queue.locks.is_alive`).  A crash of anything
  therefore needs no tidying, and a task keeps its GPU when its agent dies.
- All changes are made under ``grant.lock``, so of two agents one gets a GPU.  Readers need no lock: what they take
  for free is asked again under it.
- ``gpus/<uuid>.filler`` is locked for as long as a keep-alive worker lives on that GPU, whichever agent's it is.  A
  filler begins only where no lease is valid, and that is asked under the same mutex: so either the filler sees the
  lease and does not begin, or who takes the lease sees the filler, and waits until it has gone.  The file tells what
  of the GPU's memory is the filler's, so that every agent of the node can tell a tenant from it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from filelock import FileLock, Timeout

from gpu_queue.locks import is_alive, is_locked, try_lock

_FILLER = ".filler"
_BUSY_AFTER_S = 2.0
_RETRY_S = 0.01
_PATH_MAX_BYTES = 1 << 16


@dataclass(frozen=True)
class Footprint:
    """What a keep-alive worker has of the memory of its GPU, as far as its agent knows."""

    before_bytes: int
    """Used before it came, by others."""
    most_bytes: int
    """The most that is its own, with its context."""

    def others_bytes(self, used_bytes: int) -> int:
        """What of the memory that is used on its GPU is not its own."""
        return max(min(used_bytes, self.before_bytes), used_bytes - self.most_bytes)


@dataclass(frozen=True)
class Lease:
    """What a try holds of a GPU."""

    try_dir: str
    reserve_bytes: int | None
    """Of its memory; None: the whole card."""


UNTOLD = Footprint(0, 1 << 62)
"""Of a file that tells nothing, as earlier versions wrote it: all that is used may be the filler's."""


class Leases:
    """The leases of one node.  Each method that changes something returns False when ``grant.lock`` stays busy."""

    def __init__(self, root: str):
        """Make ``gpus/`` if it is missing.

        Args:
            root: the node's own directory (local disk, 0700, ours).
        """
        self._root = root
        self._gpus = f"{root}/gpus"
        # Never the library's other kind of lock, a file that stays behind a crash: without flock nothing works here.
        self._mutex = FileLock(f"{root}/grant.lock", mode=0o600, fallback_to_soft=False)
        self._inode = -1
        self.make()

    def make(self) -> None:
        """Make the directory of the leases, if somebody has removed it, and know it by what it is.

        Raises:
            OSError: the local disk takes it not.
        """
        os.makedirs(self._gpus, mode=0o700, exist_ok=True)
        self._inode = os.stat(self._gpus).st_ino

    def is_sound(self) -> bool:
        """Whether that directory is still there, and the same."""
        try:
            return os.stat(self._gpus).st_ino == self._inode
        except OSError:
            return False

    @property
    def directory(self) -> str:
        """Where leases appear: a hint to whoever waits for one."""
        return self._gpus

    def holders(self) -> dict[str, str]:
        """The directory of the try that holds it, by UUID of the GPU."""
        return dict(self._valid(self._names()))

    def fillers(self) -> dict[str, Footprint]:
        """The keep-alive workers that live, ours or another agent's, by UUID of the GPU."""
        return self._living(self._names())

    def look(self) -> tuple[dict[str, Lease], dict[str, Footprint]]:
        """The leases and the keep-alive workers, by one listing."""
        names = self._names()
        return {name: Lease(holder, self._reserve_bytes(name)) for name, holder in self._valid(names)}, self._living(
            names
        )

    def take(self, uuids: Sequence[str], try_dir: str, reserve_bytes: int | None = None) -> bool:
        """Lease all of these GPUs to a try, or none.

        Args:
            uuids: the GPUs.
            try_dir: the directory of the try.
            reserve_bytes: of the memory of each; None: the whole card.

        Returns:
            False if another try holds one of them, or the mutex stayed busy.

        Raises:
            ValueError: nobody holds the try's own lock, so that the lease would be void from the start.
        """
        if not is_alive(try_dir):
            raise ValueError(f"{try_dir}/lock is not held: take it before the GPUs")
        with self._granting() as mine:
            if not mine:
                return False
            if any(
                holder != try_dir and is_alive(holder) for holder in map(self._holder, uuids) if holder is not None
            ):
                return False
            try:
                self._write(uuids, try_dir, "all" if reserve_bytes is None else str(reserve_bytes))
            except OSError:
                self._remove(uuids, try_dir)
                raise
            return True

    def lock_filler(self, uuid: str, footprint: Footprint, beside: str = "") -> int | None:
        """Take the place of the filler of a GPU.

        Args:
            uuid: the GPU.
            footprint: what the worker will take, as far as is known before it starts.
            beside: the directory of a try whose lease does not count: a task that leaves its GPU idle.

        Returns:
            A descriptor to be handed to the worker, which holds the place for as long as it keeps it open; None if
            the GPU is leased, has a filler, or the mutex stayed busy.

        Raises:
            OSError: the node's own directory cannot be written.
        """
        with self._granting() as mine:
            if not mine or self.holders().get(uuid, beside) != beside:
                return None
            place = try_lock(f"{self._gpus}/{uuid}{_FILLER}")
            if place is not None:
                try:
                    os.pwrite(place, _footprint_text(footprint), 0)
                except OSError:
                    os.close(place)
                    raise
            return place

    def note_footprint(self, uuid: str, footprint: Footprint) -> None:
        """Tell more exactly what our filler of a GPU takes.

        Raises:
            OSError: it cannot be written.
        """
        descriptor = os.open(f"{self._gpus}/{uuid}{_FILLER}", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.pwrite(descriptor, _footprint_text(footprint), 0)
        finally:
            os.close(descriptor)

    @contextmanager
    def _granting(self) -> Iterator[bool]:
        """Hold the mutex; False if it stayed busy for two seconds."""
        try:
            self._mutex.acquire(timeout=_BUSY_AFTER_S, poll_interval=_RETRY_S)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            self._mutex.release()

    def _names(self) -> list[str]:
        try:
            return [name for name in os.listdir(self._gpus) if not name.startswith(".")]
        except FileNotFoundError:
            os.makedirs(self._gpus, mode=0o700, exist_ok=True)  # somebody tidied /tmp
            return []

    def _living(self, names: Iterable[str]) -> dict[str, Footprint]:
        living = [name for name in names if name.endswith(_FILLER) and is_locked(f"{self._gpus}/{name}")]
        return {name.removesuffix(_FILLER): _parse_footprint(self._read(name)) for name in living}

    def _valid(self, names: Iterable[str]) -> Iterator[tuple[str, str]]:
        held: dict[str, bool] = {}
        for name in names:
            if name.endswith(_FILLER):
                continue
            try_dir = self._holder(name)
            if try_dir is None:
                continue
            if try_dir not in held:
                held[try_dir] = is_alive(try_dir)
            if held[try_dir]:
                yield name, try_dir

    def _read(self, name: str, line: int = 0) -> str | None:
        """A line of a file, of which the first names a directory; None if it has just gone."""
        path = f"{self._gpus}/{name}"
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            lines = os.read(descriptor, _PATH_MAX_BYTES).split(b"\n")
            return os.fsdecode(lines[line]) if line < len(lines) else ""
        except OSError as error:
            raise OSError(error.errno, error.strerror, path) from None
        finally:
            os.close(descriptor)

    def _holder(self, name: str) -> str | None:
        """The directory of the try that a lease names; None if it has just gone."""
        path = self._read(name)
        return None if path is None else os.path.join(self._root, path)

    def _reserve_bytes(self, name: str) -> int | None:
        """What a lease reserves; None, the whole card, also where it does not say so, as in earlier versions."""
        word = self._read(name, 1) or ""
        return int(word) if word.isascii() and word.isdigit() else None

    def _write(self, uuids: Iterable[str], try_dir: str, reserved: str) -> None:
        # In place: a rename over another file makes ext4 write that out at once, which takes longer than the rest.
        # Who reads half of a line takes it for a try that does not live, and asks again under the mutex.
        text = os.fsencode(try_dir.removeprefix(f"{self._root}/")) + b"\n" + reserved.encode() + b"\n"
        for name in uuids:
            descriptor = self._open(name)
            try:
                os.write(descriptor, text)
                os.ftruncate(descriptor, len(text))
            finally:
                os.close(descriptor)

    def _open(self, name: str) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            return os.open(f"{self._gpus}/{name}", flags, 0o600)
        except FileNotFoundError:  # somebody tidied /tmp
            os.makedirs(self._gpus, mode=0o700, exist_ok=True)
            return os.open(f"{self._gpus}/{name}", flags, 0o600)

    def _remove(self, names: Iterable[str], try_dir: str) -> None:
        for name in names:
            if self._holder(name) == try_dir:
                os.unlink(f"{self._gpus}/{name}")


def _footprint_text(footprint: Footprint) -> bytes:
    # Always as long, so that it is written over in place: the file is a lock, and must stay the same one.
    return b"%020d %020d\n" % (max(0, footprint.before_bytes), max(0, footprint.most_bytes))


def _parse_footprint(text: str | None) -> Footprint:
    words = (text or "").split()
    if len(words) != 2 or not all(word.isascii() and word.isdigit() for word in words):
        return UNTOLD
    return Footprint(int(words[0]), int(words[1]))
