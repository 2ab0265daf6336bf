"""A filesystem that passes everything through to a directory, and fails where it is told to.

    python -m tests.faults.badfs SOURCE MOUNT_POINT RULES [ENTRY_TIMEOUT_S]

RULES is a JSON file outside of it, read again whenever it changes: a list of objects with

- ``op``: which operation (``rename``, ``create``, ``open``, ``read``, ``write``, ``flush``, ``fsync``, ``readdir``,
  ``getattr``, ``mkdir``, ``unlink``, ``utimens`` …); ``*``: all;
- ``match``: a part of the path, of a rename's target (all, if it is missing);
- ``errno``: the name of the error; with ``after`` the operation is done all the same: the reply was lost;
- ``times``: so often, from when the rules were read (always, if it is missing);
- ``hang``: instead of an error it waits until this rule is gone;
- ``freeze`` (``readdir``): the listing stays as it was when it was first asked for, until a rename on this mount:
  what a client changes itself it sees, as on NFS.

What was done to whom is appended to ``RULES.hits``, one ``op path`` a line.

With ENTRY_TIMEOUT_S names, also missing ones, and attributes are kept so long by the kernel, as NFS does.
"""

from __future__ import annotations

import errno
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from mfusepy import FUSE, FuseOSError, Operations

T = TypeVar("T")


class Rules:
    """What is to fail."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._rules: list[dict[str, Any]] = []
        self._left: list[float] = []
        self._lock = threading.Lock()
        self.frozen: dict[str, list[str]] = {}

    def _read(self) -> None:
        try:
            facts = os.stat(self._path)
            seen = (facts.st_ino, facts.st_mtime_ns)
        except FileNotFoundError:
            seen = None
        if seen == self._seen:
            return
        self._seen = seen
        self.frozen = {}
        if seen is None:
            self._rules = []
        else:
            with open(self._path, encoding="utf-8") as file:
                self._rules = json.load(file)
        self._left = [rule.get("times", float("inf")) for rule in self._rules]

    def hit(self, op: str, path: str) -> dict[str, Any] | None:
        """The rule for an operation, if there is one; its count goes down."""
        with self._lock:
            self._read()
            for number, rule in enumerate(self._rules):
                if rule["op"] in (op, "*") and rule.get("match", "") in path and self._left[number] > 0:
                    self._left[number] -= 1
                    with open(f"{self._path}.hits", "a", encoding="utf-8", errors="surrogateescape") as file:
                        file.write(f"{op} {path}\n")
                    return rule
        return None

    def is_in_force(self, rule: dict[str, Any]) -> bool:
        """Whether the rules still hold it."""
        with self._lock:
            self._read()
            return rule in self._rules


class BadFilesystem(Operations):  # type: ignore[misc]
    """The operations."""

    use_ns = True

    def __init__(self, root: str, rules: Rules) -> None:
        self._root = root
        self._rules = rules

    def _at(self, path: str) -> str:
        return self._root + path

    def _do(self, op: str, path: str, act: Callable[[], T]) -> T:
        rule = self._rules.hit(op, path)
        if rule is not None and rule.get("hang"):
            while self._rules.is_in_force(rule):
                time.sleep(0.02)
            rule = None
        error = getattr(errno, rule["errno"]) if rule is not None and "errno" in rule else None
        if error is not None and rule is not None and not rule.get("after"):
            raise FuseOSError(error)
        result = act()
        if error is not None:
            raise FuseOSError(error)
        return result

    def access(self, path: str, mode: int) -> int:
        return 0

    def getattr(self, path: str, fh: int | None = None) -> dict[str, int]:
        facts = self._do("getattr", path, lambda: os.lstat(self._at(path)))
        names = ("st_mode", "st_nlink", "st_uid", "st_gid", "st_size", "st_ino")
        times = {"st_atime": facts.st_atime_ns, "st_mtime": facts.st_mtime_ns, "st_ctime": facts.st_ctime_ns}
        return {name: getattr(facts, name) for name in names} | times

    def readdir(self, path: str, fh: int) -> list[str]:
        def names() -> list[str]:
            return [".", "..", *os.listdir(self._at(path))]

        rule = self._rules.hit("readdir", path)
        if rule is not None and rule.get("freeze"):
            return self._rules.frozen.setdefault(path, names())
        if rule is not None and "errno" in rule:
            raise FuseOSError(getattr(errno, rule["errno"]))
        return names() if rule is None else self._do("readdir", path, names)

    def mkdir(self, path: str, mode: int) -> None:
        self._do("mkdir", path, lambda: os.mkdir(self._at(path), mode))

    def rmdir(self, path: str) -> None:
        self._do("rmdir", path, lambda: os.rmdir(self._at(path)))

    def unlink(self, path: str) -> None:
        self._do("unlink", path, lambda: os.unlink(self._at(path)))

    def rename(self, old: str, new: str, flags: int = 0) -> None:
        self._do("rename", new, lambda: os.rename(self._at(old), self._at(new)))
        for path in (old, new):
            self._rules.frozen.pop(os.path.dirname(path), None)

    def chmod(self, path: str, mode: int) -> None:
        self._do("chmod", path, lambda: os.chmod(self._at(path), mode))

    def chown(self, path: str, uid: int, gid: int) -> None:
        self._do("chown", path, lambda: os.chown(self._at(path), uid, gid))

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> None:
        self._do("utimens", path, lambda: os.utime(self._at(path), ns=times) if times else os.utime(self._at(path)))

    def open(self, path: str, flags: int) -> int:
        return self._do("open", path, lambda: os.open(self._at(path), flags & ~os.O_NOFOLLOW))

    def create(self, path: str, mode: int, fi: object = None) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
        return self._do("create", path, lambda: os.open(self._at(path), flags, mode))

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        return self._do("read", path, lambda: os.pread(fh, size, offset))

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        return self._do("write", path, lambda: os.pwrite(fh, data, offset))

    def truncate(self, path: str, length: int, fh: int | None = None) -> None:
        self._do("truncate", path, lambda: os.truncate(self._at(path), length))

    def flush(self, path: str, fh: int) -> None:
        self._do("flush", path, lambda: None)

    def fsync(self, path: str, datasync: int, fh: int) -> None:
        self._do("fsync", path, lambda: os.fsync(fh))

    def release(self, path: str, fh: int) -> None:
        os.close(fh)

    def statfs(self, path: str) -> dict[str, int]:
        facts = os.statvfs(self._at(path))
        return {name: getattr(facts, name) for name in dir(facts) if name.startswith("f_") and name != "f_fsid"}


def main() -> None:
    """Serve until it is unmounted."""
    source, point, rules, *kept = sys.argv[1:]
    kept_s = float(kept[0]) if kept else 0.0
    FUSE(
        BadFilesystem(source, Rules(rules)),
        point,
        foreground=True,
        nothreads=False,
        attr_timeout=kept_s,
        entry_timeout=kept_s,
        negative_timeout=kept_s,
    )


if __name__ == "__main__":
    main()
