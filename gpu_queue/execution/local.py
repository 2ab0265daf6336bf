"""The node's own directory: locks, and what agent and shim tell each other about a try.

::

    <root>/                      /tmp/gpu-queue-<uid> unless told: 0700, ours, no symlink
      gpus/  grant.lock          leases: of a card all tries that have it or a part of it (gpu_queue.gpus.leases)
      shims/<sha256-16>.sh       complete copies of shim.sh: a shell reads its script while it runs
      held/<sha256-16>           locks of files that several agents write (uni_id.json)
      tools/<sha256-16>/           srun and scontrol, for the PATH of scripts (gpu_queue.execution.tools)
      copies/<key>/<claim name>/   of the snapshots that tries run in, unless --snapshot-dir says another place
      agents/<key>/lock          held for an agent's life; key = spool and node;  pid, spool, path: one line each
      agents/<key>/spares/<nonce>/       becomes that of a try by a rename (gpu_queue.execution.shims);  lock
      agents/<key>/tries/<claim name>/
        lock                     held from before the fork until the shim has ended: shim alive <=> it is held
        pid why status reason beat gone    one line each (see shim.sh);  facts: JSON, by the agent
        found                    the shim's pid and start, where the lock was removed under it
        orders                   what its shim is to do (gpu_queue.execution.launcher)
        copy                     the path of the copy of a snapshot that it runs in (gpu_queue.execution.copies)
        login nodefile           what a login shell starts with; the host, for PBS_NODEFILE
        step-<n> step-gpu-<n>    of each srun: its number is taken, its GPU is locked

- Locks: a try's is of :mod:`gpu_queue.locks`, and the shim holds on to the one that it inherited; an agent's own is
  ``filelock``'s.  All files are touched hourly, against cleaners.
- What is read here may be torn, missing or garbage after a crash or a full disk; reading never raises.  Only a line
  that ends in a newline counts.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from gpu_queue.errors import SpoolError
from gpu_queue.execution.copies import discard_of
from gpu_queue.execution.localfiles import line_of, names_in, number_below, read_small, replace_whole, write_in_place
from gpu_queue.execution.processes import start_of
from gpu_queue.locks import is_alive, is_locked, note_process, try_lock
from gpu_queue.task import Why

SHIM = Path(__file__).with_name("shim.sh")
_PROBED_S = 0.5
"""How long a lock may be kept busy by somebody who only looks whether it is held."""


def reserve_of(facts: Mapping[str, Any]) -> int | None:
    """What a try reserves of the memory of each of its GPUs, by what was noted of it; None: all of it."""
    noted = facts.get("reserve_bytes")
    return noted if isinstance(noted, int) and not isinstance(noted, bool) and noted >= 0 else None


@dataclass(frozen=True)
class TryDirectory:
    """What one try leaves on its node."""

    path: str

    @property
    def name(self) -> str:
        """The name of the claim."""
        return os.path.basename(self.path)

    def create(self) -> None:
        """Make the directory.  Claim names are never repeated, so one that is there already is an error."""
        try:
            os.mkdir(self.path, 0o700)
        except FileNotFoundError:  # somebody tidied /tmp
            os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)
            os.mkdir(self.path, 0o700)

    def lock(self) -> int:
        """Take the try's lock and return its descriptor, for the launcher; close it when the shim has been started.

        Raises:
            BlockingIOError: somebody else holds it.
        """
        descriptor = try_lock(f"{self.path}/lock")
        if descriptor is None:
            raise BlockingIOError(errno.EAGAIN, "another process holds the lock", f"{self.path}/lock")
        return descriptor

    def make_orders(self) -> int:
        """Make the empty file that will say what the shim is to do, and return its descriptor; close it when it does.

        Raises:
            OSError: the local disk takes it not, or it is there already.
        """
        return os.open(f"{self.path}/orders", os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def rename(self, target: TryDirectory) -> None:
        """Make this directory another one; whoever holds its lock goes on holding it.

        Raises:
            OSError: it is no longer there, or the local disk takes it not.
        """
        os.rename(self.path, target.path)

    def is_locked_by(self, descriptor: int) -> bool:
        """Whether the lock that this descriptor holds is still the one in this directory."""
        try:
            return os.path.samestat(os.fstat(descriptor), os.stat(f"{self.path}/lock"))
        except OSError:
            return False

    def is_alive(self) -> bool:
        """Whether somebody holds the try's lock: the agent that is about to start it, or the shim.

        Where the lock was removed under a shim that lives, its process tells (:meth:`note_found`).
        """
        return is_alive(self.path)

    def pid(self) -> tuple[int, int] | None:
        """The shim's pid and start time in ticks; None unless it lives and has reported.

        The pid is that of the shim for as long as the lock is held, so the lock is asked last.
        """
        pid = number_below(line_of(f"{self.path}/pid"), 1 << 30)
        start = None if pid is None else start_of(pid)
        if pid is None or start is None or not self.is_alive():
            return None
        return pid, start

    def has_lock(self) -> bool:
        """Whether there is something by which others see that it lives; False: somebody has removed it."""
        return os.path.lexists(f"{self.path}/lock") or os.path.lexists(f"{self.path}/found")

    def note_found(self, pid: int, start_ticks: int) -> None:
        """Make what was removed of the directory of a try that lives: by this shim it is known from now on.

        Raises:
            OSError: the local disk takes it not.
        """
        os.makedirs(self.path, mode=0o700, exist_ok=True)
        note_process(self.path, pid, start_ticks)
        if not self.has_begun():
            write_in_place(f"{self.path}/pid", b"%d\n" % pid)

    def write_why(self, why: Why) -> None:
        """Say why this try is about to be ended; before the first signal, so that a crash between loses nothing."""
        replace_whole(f"{self.path}/why", f"{why.value}\n".encode())

    def why(self) -> Why | None:
        """Why this try was ended.  A word that this version does not know reads as *requeue*."""
        line = line_of(f"{self.path}/why")
        return None if line is None else Why.read(line)

    def status(self) -> int | None:
        """The exit status that the shim has written."""
        return number_below(line_of(f"{self.path}/status"), 256)

    def ended_s(self) -> float | None:
        """When the shim wrote its status, in epoch seconds; None: it has not."""
        try:
            return os.lstat(f"{self.path}/status").st_mtime
        except OSError:
            return None

    def has_begun(self) -> bool:
        """Whether the script has its log open; nothing but the script comes after that."""
        return os.path.lexists(f"{self.path}/pid")

    def reason(self) -> str | None:
        """Why this node could not start it (*nostart*)."""
        return line_of(f"{self.path}/reason")

    def write_facts(self, facts: dict[str, Any]) -> None:
        """Note what the next agent must know if it adopts this try; before the shim is told to begin.

        Written in place: an agent that dies in the middle of it leaves no try that could be adopted.
        """
        write_in_place(f"{self.path}/facts", json.dumps(facts).encode())

    def facts(self) -> dict[str, Any] | None:
        """What the agent that started this try noted; None if nothing can be read."""
        try:
            facts = json.loads(read_small(f"{self.path}/facts") or b"")
        except (ValueError, RecursionError):
            return None
        return facts if isinstance(facts, dict) else None

    def never_began(self) -> bool:
        """Whether this try was prepared, and no shim was told of it: its facts are written right before that."""
        names = names_in(self.path)
        return bool(names) and "facts" not in names

    def remove(self) -> None:
        """Remove the directory, and the copy that it ran in; what cannot be removed stays, and does no harm."""
        discard_of(self.path)
        try:
            for name in os.listdir(self.path):
                os.unlink(f"{self.path}/{name}")
            os.rmdir(self.path)
        except OSError:
            shutil.rmtree(self.path, ignore_errors=True)


class AgentDirectory:
    """One agent's part: at most one agent serves a spool under one node name."""

    def __init__(self, path: str, spool: str):
        """Make what is missing of it.

        Args:
            path: the directory.
            spool: what the spool is (``trust.identify``).
        """
        self.path = path
        self.spool = spool
        self._lock: FileLock | None = None
        self._descriptor = -1
        self._told = b""
        self._reached_as = ""
        self._make()

    def lock(self, root: str = "") -> bool:
        """Take the lock for the rest of this agent's life; False if another agent holds it.

        Args:
            root: the path by which we reach the spool, for messages.
        """
        self._reached_as = root
        self._told = os.fsencode(f"{os.getpid()}\n{self.spool}\n{root}\n")
        lock = self._lock or FileLock(
            f"{self.path}/lock", mode=0o600, thread_local=False, fallback_to_soft=False, on_acquired=self._acquired
        )
        try:
            lock.acquire(timeout=_PROBED_S, poll_interval=0.01)
        except Timeout:
            return False
        self._lock = lock
        return True

    def _acquired(self, descriptor: int) -> None:
        self._descriptor = descriptor
        os.truncate(descriptor, 0)
        os.write(descriptor, self._told)

    def is_sound(self) -> bool:
        """Whether the lock that we hold is still the one in this directory: nobody has removed it."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), os.lstat(f"{self.path}/lock"))
        except OSError:
            return False

    def take_again(self) -> bool:
        """Make this directory anew and take its lock; False if another agent holds that by now.

        Raises:
            OSError: the local disk takes it not.
        """
        self.close()
        self._make()
        return self.lock(self._reached_as)

    def _make(self) -> None:
        os.makedirs(f"{self.path}/tries", mode=0o700, exist_ok=True)
        os.makedirs(f"{self.path}/spares", mode=0o700, exist_ok=True)

    def is_held(self) -> bool:
        """Whether an agent lives that serves the spool under this name."""
        return is_locked(f"{self.path}/lock")

    def holder(self) -> tuple[int | None, str]:
        """What the holder of the lock wrote into it, for messages: its pid, and its path of the spool."""
        return number_below(line_of(f"{self.path}/lock"), 1 << 30), line_of(f"{self.path}/lock", 2) or ""

    def close(self) -> None:
        """Give the lock back."""
        if self._lock is not None:
            self._lock.release(force=True)
            self._lock, self._descriptor = None, -1

    def try_directory(self, claim_name: str) -> TryDirectory:
        """The directory of one try, whether it exists or not."""
        return TryDirectory(f"{self.path}/tries/{claim_name}")

    def spare_directory(self, nonce: str) -> TryDirectory:
        """The directory of a try that has no name yet."""
        return TryDirectory(f"{self.path}/spares/{nonce}")

    def spares(self) -> list[TryDirectory]:
        """All of those that are there: of this agent, or left behind by a crash."""
        return [self.spare_directory(name) for name in names_in(f"{self.path}/spares")]

    def tries(self) -> list[TryDirectory]:
        """All that are there: running, ended, or left behind by a crash."""
        return [self.try_directory(name) for name in names_in(f"{self.path}/tries")]

    def tidy(self, kept: Collection[str]) -> None:
        """Remove what nobody lives in: of tries but these, and of spares."""
        left = [directory for directory in self.tries() if directory.name not in kept]
        for directory in (*left, *self.spares()):
            if not directory.is_alive():
                directory.remove()


class NodeDirectory:
    """The directory that all agents of one user on one node share."""

    def __init__(self, root: str):
        """Use :meth:`open`."""
        self.root = root

    @classmethod
    def open(cls, path: str | None = None) -> NodeDirectory:
        """Make it if it is missing, and refuse it unless it is safe.

        Args:
            path: where it is to be, on a local disk; None: ``/tmp/gpu-queue-<uid>``.  (``$XDG_RUNTIME_DIR`` would
                vanish with the user's last login, under the feet of running tasks.)

        Raises:
            SpoolError: it cannot be made, or others could meddle with it.
        """
        directory = cls(os.path.abspath(path) if path else f"/tmp/gpu-queue-{os.geteuid()}")  # noqa: S108 - checked
        directory.make()
        return directory

    def make(self) -> None:
        """Make what is missing of it, and refuse it unless it is safe.

        Raises:
            SpoolError: it cannot be made, or others could meddle with it.
        """
        root = self.root
        try:
            try:
                os.mkdir(root, 0o700)
            except FileExistsError:
                pass
            found = os.lstat(root)
            if not stat.S_ISDIR(found.st_mode):
                raise SpoolError(
                    f"{root}: expected a directory and no symlink; remove it, or give another --local-dir"
                )
            if found.st_uid != os.geteuid():
                raise SpoolError(f"{root}: belongs to uid {found.st_uid}, not to us; give another --local-dir")
            if found.st_mode & 0o077:
                mode = stat.S_IMODE(found.st_mode)
                raise SpoolError(
                    f"{root}: open to others (mode {mode:03o}); chmod 700 it, or give another --local-dir"
                )
            for name in ("shims", "agents"):
                os.makedirs(f"{root}/{name}", mode=0o700, exist_ok=True)
        except OSError as error:
            raise SpoolError(f"{root}: cannot be used as this node's own directory: {error.strerror}") from error

    @property
    def identity(self) -> tuple[int, int]:
        """Device and inode: two machines that look alike do not share them with one lock directory."""
        found = os.stat(self.root)
        return found.st_dev, found.st_ino

    @property
    def plant(self) -> str:
        """Where the load of simulated GPUs is noted."""
        return f"{self.root}/simulated"

    def _agent_path(self, spool: str, node: str) -> str:
        key = hashlib.sha256(os.fsencode(f"{spool}\0{node}")).hexdigest()[:12]
        return f"{self.root}/agents/{key}"

    def agent(self, spool: str, node: str) -> AgentDirectory:
        """The part of the agent that serves this spool, by what it is, under this node name."""
        return AgentDirectory(self._agent_path(spool, node), spool)

    def remembered(self, inode: int) -> str | None:
        """The word that was once written into a spool whose directory has this inode, as agents here noted it."""
        for key in names_in(f"{self.root}/agents"):
            word, _, number = (line_of(f"{self.root}/agents/{key}/lock", 1) or "").rpartition(".")
            if number == str(inode) and word.isalnum():
                return word
        return None

    def find_agent(self, spool: str, node: str) -> AgentDirectory | None:
        """The same, if such an agent was ever here."""
        path = self._agent_path(spool, node)
        return AgentDirectory(path, spool) if os.path.isdir(f"{path}/tries") else None

    def install_shim(self) -> str:
        """The path of a complete copy of shim.sh that no upgrade will touch."""
        content = SHIM.read_bytes()
        path = f"{self.root}/shims/{hashlib.sha256(content).hexdigest()[:16]}.sh"
        if read_small(path) != content:
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            replace_whole(path, content)
        return path

    @contextmanager
    def held(self, path: str) -> Iterator[bool]:
        """Hold a file that agents of this node write, wherever it lies, against the others; False: another has it.

        Raises:
            OSError: the local disk takes it not.
        """
        os.makedirs(f"{self.root}/held", mode=0o700, exist_ok=True)
        key = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
        descriptor = try_lock(f"{self.root}/held/{key}")
        try:
            yield descriptor is not None
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def is_try_alive(self, claim_path: str) -> bool:
        """Whether any agent's try of this claim has a living shim."""
        name = os.path.basename(claim_path)
        keys = names_in(f"{self.root}/agents")
        return any(TryDirectory(f"{self.root}/agents/{key}/tries/{name}").is_alive() for key in keys)

    def tries(self) -> list[TryDirectory]:
        """Those of all agents."""
        agents = [AgentDirectory(f"{self.root}/agents/{key}", "") for key in names_in(f"{self.root}/agents")]
        return [one for agent in agents for one in agent.tries()]

    def refresh(self) -> None:
        """Touch everything, so that no cleaner of old files takes a lock away.  Once an hour is enough."""
        for directory, inner, names in os.walk(self.root):
            if directory == self.root and "copies" in inner:
                inner.remove("copies")  # the times there are a task's
            for path in [directory, *(f"{directory}/{name}" for name in names)]:
                try:
                    os.utime(path, follow_symlinks=False)
                except OSError:
                    pass  # it has just gone
