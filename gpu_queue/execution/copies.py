"""The copies of snapshots in which tries run, on the node's own disk (docs/snapshots.md).

::

    <place>/                     <local dir>/copies, or <--snapshot-dir>/gpu-queue-copies-<uid>: 0700, ours, no link
      <key of the agent>/<claim name>/     the copy of one try; made and filled by its own process (unpacking.py)
      <key of the agent>/.gone-<nonce>     one that is being removed

- A copy belongs to a try: it is removed when what the node has noted of that is removed, and no copy outlives a crash
  for longer than until an agent tidies.
- To remove thousands of files takes its time: a rename makes it certain, a thread does it.
- Hourly touches (against cleaners of old files) pass copies over, for their times are the task's.  Once a day their
  files are touched so that only their change time is another one.
"""

from __future__ import annotations

import os
import secrets
import shutil
import stat
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass

from gpu_queue.execution.localfiles import line_of, write_in_place

NOTE = "copy"
"""In the directory of a try: the path of its copy."""
_DAY_S = 86400.0
_ONE_AT_A_TIME = threading.Lock()
_REMOVING: list[threading.Thread] = []
FINISHED_WITHIN_S = 5.0


@dataclass(frozen=True)
class Copies:
    """Those of one agent."""

    above: str
    """The place of all of this user's."""
    key: str
    """Of the agent."""

    @classmethod
    def of(cls, agent_path: str, snapshot_dir: str) -> Copies:
        """Where they lie.

        Args:
            agent_path: of the agent's own directory on the node.
            snapshot_dir: as it is set; empty: below the node's own directory.
        """
        root, key = os.path.dirname(os.path.dirname(agent_path)), os.path.basename(agent_path)
        above = (
            f"{os.path.abspath(snapshot_dir)}/gpu-queue-copies-{os.geteuid()}" if snapshot_dir else f"{root}/copies"
        )
        return cls(above, key)

    @property
    def path(self) -> str:
        """The directory of this agent's."""
        return f"{self.above}/{self.key}"

    def prepare(self, try_directory: str) -> str:
        """Note where the copy of a try will lie, and return its path; nothing of it is made yet.

        Raises:
            OSError: the disk takes it not, or the place is not safe.
        """
        os.makedirs(os.path.dirname(self.above), mode=0o700, exist_ok=True)
        for directory in (self.above, self.path):
            try:
                os.mkdir(directory, 0o700)
            except FileExistsError:
                facts = os.lstat(directory)
                if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.geteuid() or facts.st_mode & 0o022:
                    text = "expected a directory of ours that nobody else may write, and no link; see --snapshot-dir"
                    raise PermissionError(1, text, directory) from None
        path = f"{self.path}/{os.path.basename(try_directory)}"
        write_in_place(f"{try_directory}/{NOTE}", os.fsencode(f"{path}\n"))
        return path

    def tidy(self, kept: Collection[str]) -> None:
        """Remove what a killed agent left: copies of tries but these; and keep cleaners of old files off the rest."""
        try:
            names = os.listdir(self.path)
        except OSError:
            return
        for name in names:
            if name.startswith(".gone-"):
                _remove_soon(f"{self.path}/{name}")
            elif name not in kept:
                discard(f"{self.path}/{name}")
        stamp = f"{self.above}/.touched-{self.key}"
        try:
            is_due = time.time() - os.stat(stamp).st_mtime > _DAY_S
        except OSError:
            is_due = True
        if is_due and any(name in kept for name in names):
            write_in_place(stamp, b"")
            threading.Thread(target=_touch, args=([f"{self.path}/{name}" for name in kept],), daemon=True).start()


def discard_of(try_directory: str) -> None:
    """Remove the copy of a try, if it has one."""
    path = line_of(f"{try_directory}/{NOTE}")
    # A line that was torn or meddled with names no copy of this try.
    if path and os.path.isabs(path) and os.path.basename(path) == os.path.basename(try_directory):
        discard(path)


def discard(path: str) -> None:
    """Remove a copy: it is out of the way at once, and gone when that is done."""
    gone = f"{os.path.dirname(path)}/.gone-{secrets.token_hex(6)}"
    try:
        os.rename(path, gone)
    except OSError:
        return  # it was never made, or is not ours
    _remove_soon(gone)


def _remove_soon(path: str) -> None:
    remover = threading.Thread(target=_remove, args=(path,), daemon=True)
    remover.start()
    _REMOVING[:] = [*(one for one in _REMOVING if one.is_alive()), remover]


def finish(within_s: float = FINISHED_WITHIN_S) -> None:
    """Let what is being removed be gone, in an agent's last moments: the node may never see another agent."""
    until_s = time.monotonic() + within_s
    while _REMOVING and time.monotonic() < until_s:
        _REMOVING[0].join(max(0.0, until_s - time.monotonic()))
        if not _REMOVING[0].is_alive():
            _REMOVING.pop(0)


def _remove(path: str) -> None:
    with _ONE_AT_A_TIME:  # what an agent that had to leave at once has left is removed by the next one
        shutil.rmtree(path, onerror=_make_writable)


def _make_writable(_: object, path: str, __: object) -> None:
    """A script may have made a directory read-only."""
    above = os.path.dirname(path)
    try:
        if os.path.islink(path) or os.path.islink(above):
            return
        os.chmod(above, 0o700)
        if os.path.isdir(path):
            os.chmod(path, 0o700)
            shutil.rmtree(path, ignore_errors=True)
        else:
            os.unlink(path)
    except OSError:
        return


def _touch(paths: list[str]) -> None:
    for path in paths:
        for directory, _, names in os.walk(path):
            for one in [directory, *(f"{directory}/{name}" for name in names)]:
                try:
                    os.utime(one, ns=(time.time_ns(), os.lstat(one).st_mtime_ns), follow_symlinks=False)
                except OSError:
                    continue
