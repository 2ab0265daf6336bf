"""Removing the snapshots that nothing needs: no record names them, and nobody has used them for a week.

- Who submits touches a snapshot first, looks for it in a listing then, and publishes a record that names it last
  (:mod:`gpu_queue.spool.desk.storing`).  Who collects renames it first, and then looks at touch and records: a touch
  that came before the rename is seen here, and one that came after it found nothing there.
- The rename is to a name of one's own: of two who collect one wins.  What a crash leaves under it goes back.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Collection

from gpu_queue.errors import SpoolError
from gpu_queue.spool import files, store
from gpu_queue.spool.beside import parse_snapshot
from gpu_queue.spool.desk.find import listed
from gpu_queue.spool.paths import SpoolPaths, parse_try_file
from gpu_queue.spool.store import Moved

UNUSED_S = 7 * 86400.0
PACKED_WITHIN_S = 86400.0
"""What somebody began to pack longer ago was cut off."""
REMOVED_WITHIN_S = 600.0
_PACKING = re.compile(r"\.[0-9a-f]{16,64}(?:\.json)?\.[0-9a-f]{12}", re.ASCII)
_KEY = re.compile(rb"[0-9a-f]{64}")


def collect(paths: SpoolPaths, now_s: float) -> int:
    """Remove what nothing needs; returns how many.

    Args:
        paths: of the spool.
        now_s: by the server's clock.

    Raises:
        SpoolError: the records cannot be read: nothing was removed.
    """
    if not os.path.isdir(paths.snapshots) or os.path.islink(paths.snapshots):
        return 0
    unused = set()
    for name in listed(paths.snapshots):
        path = f"{paths.snapshots}/{name}"
        parsed = parse_snapshot(name)
        if parsed is not None and parsed[1]:
            if _changed_s(path) < now_s - REMOVED_WITHIN_S:
                _put_back(paths, path, parsed[0])
        elif parsed is not None:
            if _used_s(path) < now_s - UNUSED_S:
                unused.add(parsed[0])
        elif _PACKING.fullmatch(name) and _used_s(path) < now_s - PACKED_WITHIN_S:
            files.remove(path)
    taken = {}
    for key in unused - _named(paths, unused):
        own = paths.snapshot_taken(key, secrets.token_hex(6))
        if store.move(paths.snapshot(key), own).moved is Moved.WON:
            taken[key] = own
    if not taken:
        return 0
    try:
        needed = _named(paths, taken)
    except SpoolError:
        needed = set(taken)
    count = 0
    for key, own in taken.items():
        if key in needed or _used_s(own) >= now_s - UNUSED_S:
            _put_back(paths, own, key)
        else:
            files.remove(paths.snapshot_facts(key))
            count += files.remove(own)
    return count


def _put_back(paths: SpoolPaths, own: str, key: str) -> None:
    if os.path.basename(paths.snapshot(key)) in listed(paths.snapshots):
        files.remove(own)  # somebody has packed it anew
    else:
        store.move(own, paths.snapshot(key))


def _used_s(path: str) -> float:
    """When it was touched last, as the server knows it; what cannot be looked at was used right now."""
    try:
        mark = files.mark_of(path)
    except OSError:
        return float("inf")
    return float("inf") if mark is None else mark[1] / 1e9


def _changed_s(path: str) -> float:
    try:
        return os.lstat(path).st_ctime
    except OSError:
        return float("inf")


def _named(paths: SpoolPaths, keys: Collection[str]) -> set[str]:
    """Those of these keys that a record names, however it is written."""
    wanted = {key.encode("ascii") for key in keys}
    found: set[bytes] = set()
    for name in listed(paths.records) if wanted else ():
        if not name.endswith(".json") or parse_try_file(name, ".json") is not None:
            continue
        try:
            content, _ = files.read_regular(f"{paths.records}/{name}", files.RECORD_MAX_BYTES)
        except files.FileProblem:
            continue
        except OSError as error:
            raise SpoolError(f"{paths.records}/{name}: cannot be read: {error.strerror}; try again") from error
        found |= wanted & set(_KEY.findall(content))
    return {key.decode("ascii") for key in found}
