"""Tries that live and of which this node's own directory knows nothing: somebody has removed it, or a part of it.

- A shim holds the lock of its try on descriptor 9 for as long as it lives.  Where the file was removed, the kernel
  says so in the name of that descriptor, with the path that it had: so every such shim is found, whoever started it,
  with the directory of its try, and nobody has to remember anything.
- Its GPUs are those that its script was shown.  Where that cannot be told (reading the environment of a process may
  hang with it), they are all that there are: unknown is never free.  So it has whole cards, where nobody knows how
  much of their memory was reserved for it.
- A lock that was removed cannot be put back: the try is known by its process from then on.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gpu_queue.execution import processes
from gpu_queue.execution.local import NodeDirectory, TryDirectory, reserve_of
from gpu_queue.gpus.devices import Gpu
from gpu_queue.gpus.leases import Leases

_REMOVED = "/lock (deleted)"
_LOCK_DESCRIPTOR = 9
_PATIENCE_S = 2.0


@dataclass(frozen=True)
class Found:
    """A shim that lives, whose lock was removed."""

    process: processes.Process
    directory: TryDirectory


def find(root: str) -> list[Found]:
    """The shims whose locks lay in this node's own directory and were removed.

    Args:
        root: the node's own directory.
    """
    above = f"{os.path.realpath(root)}/agents/"
    found = []
    for pid in processes.pids():
        try:
            path = os.readlink(f"/proc/{pid}/fd/{_LOCK_DESCRIPTOR}")
        except OSError:
            continue  # it has none, has gone, or is somebody else's
        # A shim that waits for a try (spares/) ends by itself when its agent finds it unsound.
        if not path.startswith(above) or not path.endswith(_REMOVED) or "/tries/" not in path[len(above) :]:
            continue
        process = processes.read_process(pid)
        # What a shim has just forked has the descriptor too, for a moment.
        if process is not None and process.session == pid and process.state != "Z":
            found.append(Found(process, TryDirectory(path.removesuffix(_REMOVED))))
    return found


def restore(node: NodeDirectory, leases: Leases, gpus: Sequence[Gpu]) -> list[str]:
    """Write down again what lives and has no lock any more; returns the names of the claims.

    Whoever does it, and however often, the outcome is the same.

    Args:
        node: the node's own directory.
        leases: those of this node.
        gpus: all of them.

    Raises:
        OSError: the local disk takes it not.
    """
    names = []
    held = _held(leases)
    for one in find(node.root):
        one.directory.note_found(one.process.pid, one.process.start_ticks)
        names.append(one.directory.name)
        has, shown = held.get(one.directory.name, set()), _shown_to(one)
        if shown is not None or not has:
            _lease(leases, [uuid for uuid in _uuids(shown, gpus) if uuid not in has], one.directory)
    held = _held(leases)
    for directory in node.tries():
        # Leases of an agent that has died may be gone while the locks are there.
        noted, has = (directory.facts() or {}).get("gpus"), held.get(directory.name, set())
        missing = [uuid for uuid in noted if uuid not in has] if isinstance(noted, list) else []
        if missing and directory.is_alive():
            _lease(leases, [gpu.uuid for gpu in gpus if gpu.uuid in missing], directory)
    return names


def _held(leases: Leases) -> dict[str, set[str]]:
    """The GPUs that tries hold, by the names of their claims."""
    held: dict[str, set[str]] = {}
    for uuid, some in leases.look()[0].items():
        for lease in some:
            held.setdefault(lease.claim, set()).add(uuid)
    return held


def _lease(leases: Leases, uuids: list[str], directory: TryDirectory) -> None:
    try:
        if uuids:
            leases.restore(uuids, directory.path, reserve_of(directory.facts() or {}))
    except ValueError:
        pass  # it has just ended


def _shown_to(one: Found) -> list[str] | None:
    """``CUDA_VISIBLE_DEVICES`` of the processes of a try, as they were started; None: it cannot be told."""
    said: list[str] = []
    done = threading.Event()

    def look() -> None:
        rows = map(processes.read_process, processes.pids())
        among = [row.pid for row in rows if row is not None and row.session == one.process.pid]
        for marked in processes.find_marked(one.directory.name, among):
            said.extend(processes.variable_of(marked.pid, "CUDA_VISIBLE_DEVICES"))
        done.set()

    threading.Thread(target=look, daemon=True).start()
    return said if done.wait(_PATIENCE_S) else None


def _uuids(shown: Iterable[str] | None, gpus: Sequence[Gpu]) -> list[str]:
    if shown is None:
        return [gpu.uuid for gpu in gpus]
    words = {word.strip() for value in shown for word in value.split(",")}
    return [gpu.uuid for gpu in gpus if gpu.uuid in words or str(gpu.index) in words]
