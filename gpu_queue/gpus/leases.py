"""Who holds which GPU on this node, across the agents of one user.

- A lease is two lines of the file ``gpus/<uuid>`` in the node's own directory: the directory of a try, and how many
  bytes of the GPU's memory that reserves; ``all`` is the whole card.  Tries that share a card stand there one after
  the other; one that has the whole card shares it with nobody.
- The directory is named from the node's own, which two agents may see under two paths.
- It is valid <=> somebody holds the flock on that directory's file ``lock``: the agent from before the fork, then the
  shim; or, where that file was removed, its shim lives (:func:`gpu_queue.locks.is_alive`).  A crash of anything
  therefore needs no tidying, and a task keeps its GPU when its agent dies.
- All changes are made under ``grant.lock``, so of two agents one gets a GPU, and the parts of a card are never more
  than it has: they are summed up again there, with those that the taker did not know of.  Readers need no lock: what
  they take for free is asked again under it.
- Agents of earlier versions read the first two lines alone: a try that lives is kept there (:meth:`Leases.tidy`).
- ``gpus/<uuid>.filler`` is locked for as long as a keep-alive worker lives on that GPU, whichever agent's it is.  A
  filler begins only where no lease is valid, and that is asked under the same mutex: so either the filler sees the
  lease and does not begin, or who takes the lease sees the filler, and waits until it has gone.  The file tells what
  of the GPU's memory is the filler's, so that every agent of the node can tell a tenant from it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from filelock import FileLock, Timeout

from gpu_queue.locks import is_alive, is_locked, try_lock

_FILLER = ".filler"
_BUSY_AFTER_S = 2.0
_RETRY_S = 0.01
_FILE_MAX_BYTES = 1 << 16
_DIGITS_MAX = 18
_UNFINISHED = ".unfinished"
"""What is written anew before it takes the place of a file; under the mutex there is one."""


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

    @property
    def claim(self) -> str:
        """The name of the try's claim, by which it is known under any path."""
        return os.path.basename(self.try_dir)


@dataclass(frozen=True)
class Room:
    """What there is of the memory of a GPU, as whoever wants a part of it has seen it."""

    free_bytes: int
    shown_bytes: Mapping[str, int] = field(default_factory=dict)
    """What tries on it, by the names of their claims, had taken by then of what they reserve; else: nothing."""

    def left_bytes(self, leases: Iterable[Lease]) -> int:
        """What nobody uses, and none of these tries may still take; negative where more is promised than there is."""
        left = self.free_bytes
        for lease in leases:
            if lease.reserve_bytes is None:
                return -1
            left -= max(0, lease.reserve_bytes - self.shown_bytes.get(lease.claim, 0))
        return left


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

    def holders(self) -> dict[str, tuple[str, ...]]:
        """The directories of the tries that hold it or a part of it, by UUID of the GPU."""
        return {name: tuple(one.try_dir for one in found) for name, found in self._valid(self._names()).items()}

    def fillers(self) -> dict[str, Footprint]:
        """The keep-alive workers that live, ours or another agent's, by UUID of the GPU."""
        return self._living(self._names())

    def look(self) -> tuple[dict[str, tuple[Lease, ...]], dict[str, Footprint]]:
        """The leases and the keep-alive workers, by one listing."""
        names = self._names()
        return self._valid(names), self._living(names)

    def take(
        self,
        uuids: Sequence[str],
        try_dir: str,
        reserve_bytes: int | None = None,
        rooms: Mapping[str, Room] | None = None,
    ) -> bool:
        """Lease all of these GPUs to a try, or none.

        Args:
            uuids: the GPUs.
            try_dir: the directory of the try.
            reserve_bytes: of the memory of each; None: the whole card.
            rooms: what there is of the memory of each; for a part of it alone, which nobody gets of one that is not
                told here.

        Returns:
            False if other tries hold one of them, or so much of it that too little is left, or the mutex stayed busy.

        Raises:
            ValueError: nobody holds the try's own lock, so that the lease would be void from the start.
        """
        _check_alive(try_dir)
        with self._granting() as is_granting:
            if not is_granting:
                return False
            beside = {uuid: self._others(uuid, try_dir) for uuid in uuids}
            if reserve_bytes is None:
                is_free = not any(beside.values())
            else:
                is_free = all(_fits(reserve_bytes, (rooms or {}).get(uuid), beside[uuid]) for uuid in uuids)
            return is_free and self._put(Lease(try_dir, reserve_bytes), beside)

    def restore(self, uuids: Sequence[str], try_dir: str, reserve_bytes: int | None = None) -> bool:
        """Write down again what a try has that lives; whatever else stands there, it uses these GPUs.

        Args:
            uuids: its GPUs.
            try_dir: its directory.
            reserve_bytes: of the memory of each; None: the whole card, or nobody knows.

        Returns:
            False if the mutex stayed busy.

        Raises:
            ValueError: it does not live.
        """
        _check_alive(try_dir)
        with self._granting() as is_granting:
            beside = {uuid: self._others(uuid, try_dir) for uuid in uuids if is_granting}
            return is_granting and self._put(Lease(try_dir, reserve_bytes), beside)

    def tidy(self, uuids: Iterable[str]) -> None:
        """Take out of these GPUs' leases what is void and stands before others that are not.

        Raises:
            OSError: the local disk takes it not.
        """
        with self._granting() as is_granting:
            for uuid in uuids if is_granting else ():
                leases = self._leases_of(uuid)
                valid = [one for one in leases if is_alive(one.try_dir)]
                if valid and valid[0] != leases[0]:
                    self._write_anew(uuid, self._text(valid))

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
            if not mine or self._others(uuid, beside):
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

    def _valid(self, names: Iterable[str]) -> dict[str, tuple[Lease, ...]]:
        held: dict[str, bool] = {}

        def lives(lease: Lease) -> bool:
            if lease.try_dir not in held:
                held[lease.try_dir] = is_alive(lease.try_dir)
            return held[lease.try_dir]

        valid = {name: tuple(filter(lives, self._leases_of(name))) for name in names if not name.endswith(_FILLER)}
        return {name: leases for name, leases in valid.items() if leases}

    def _others(self, uuid: str, try_dir: str) -> list[Lease]:
        """The valid leases of a GPU that are not this try's."""
        return [one for one in self._leases_of(uuid) if one.try_dir != try_dir and is_alive(one.try_dir)]

    def _leases_of(self, name: str) -> list[Lease]:
        """What stands in a GPU's file, valid or not."""
        lines = (self._read(name) or "").split("\n")
        lines.append("")  # of the last of them, written by an earlier version, there may be no second line
        return [
            Lease(os.path.join(self._root, lines[at]), _parse_reserve(lines[at + 1]))
            for at in range(0, len(lines) - 1, 2)
            if lines[at]
        ]

    def _read(self, name: str) -> str | None:
        """The content of a file, in which names of directories stand; None if it has just gone."""
        path = f"{self._gpus}/{name}"
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            return os.fsdecode(os.read(descriptor, _FILE_MAX_BYTES))
        except OSError as error:
            raise OSError(error.errno, error.strerror, path) from None
        finally:
            os.close(descriptor)

    def _put(self, mine: Lease, beside: Mapping[str, list[Lease]]) -> bool:
        """Write a lease of each of these GPUs, beside those of others that are valid; False: they are too many."""
        text = self._text([mine])
        texts = {uuid: self._text(others) + text if others else text for uuid, others in beside.items()}
        if any(len(text) > _FILE_MAX_BYTES for text in texts.values()):
            return False
        try:
            for uuid, others in beside.items():
                (self._write_anew if others else self._write)(uuid, texts[uuid])
        except OSError:
            self._remove(beside, mine.try_dir)
            raise
        return True

    def _text(self, leases: Iterable[Lease]) -> bytes:
        return b"".join(
            os.fsencode(one.try_dir.removeprefix(f"{self._root}/")) + b"\n" + _reserve_text(one.reserve_bytes) + b"\n"
            for one in leases
        )

    def _write(self, name: str, text: bytes) -> None:
        # In place: a rename over another file makes ext4 write that out at once, which takes longer than the rest.
        # Who reads half of a line takes it for a try that does not live, and asks again under the mutex.
        descriptor = self._open(name)
        try:
            if os.write(descriptor, text) < len(text):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), f"{self._gpus}/{name}")
            os.ftruncate(descriptor, len(text))
        finally:
            os.close(descriptor)

    def _write_anew(self, name: str, text: bytes) -> None:
        # Leases of others stand in it, which neither a full disk nor a crash may take, and no reader may miss.
        self._write(_UNFINISHED, text)
        os.rename(f"{self._gpus}/{_UNFINISHED}", f"{self._gpus}/{name}")

    def _open(self, name: str) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            return os.open(f"{self._gpus}/{name}", flags, 0o600)
        except FileNotFoundError:  # somebody tidied /tmp
            os.makedirs(self._gpus, mode=0o700, exist_ok=True)
            return os.open(f"{self._gpus}/{name}", flags, 0o600)

    def _remove(self, names: Iterable[str], try_dir: str) -> None:
        for name in names:
            leases = self._leases_of(name)
            others = [one for one in leases if one.try_dir != try_dir]
            if others == leases:
                continue
            if others:
                self._write_anew(name, self._text(others))
            else:
                os.unlink(f"{self._gpus}/{name}")


def _check_alive(try_dir: str) -> None:
    if not is_alive(try_dir):
        raise ValueError(f"{try_dir}/lock is not held: take it before the GPUs")


def _fits(reserve_bytes: int, room: Room | None, others: Sequence[Lease]) -> bool:
    return room is not None and room.left_bytes(others) >= reserve_bytes


def _reserve_text(reserve_bytes: int | None) -> bytes:
    return b"all" if reserve_bytes is None else b"%d" % reserve_bytes


def _parse_reserve(word: str) -> int | None:
    """What a lease reserves; None, the whole card, also where it does not say so, as in earlier versions."""
    return int(word) if word.isascii() and word.isdigit() and len(word) <= _DIGITS_MAX else None


def _footprint_text(footprint: Footprint) -> bytes:
    # Always as long, so that it is written over in place: the file is a lock, and must stay the same one.
    return b"%020d %020d\n" % (max(0, footprint.before_bytes), max(0, footprint.most_bytes))


def _parse_footprint(text: str | None) -> Footprint:
    words = (text or "").split()
    if len(words) != 2 or not all(word.isascii() and word.isdigit() for word in words):
        return UNTOLD
    return Footprint(int(words[0]), int(words[1]))
