"""A working tree as it is now: its files, their bytes, and the key that they have together.

- In a git repository: what git follows, as it lies in the working tree, and what it neither follows nor ignores; each
  submodule is asked itself.  Elsewhere: all of the directory.  Nothing is written, least of all to the repository.
- Bytes are hashed as they lie there: git's own ids are of cleaned bytes (of an LFS file the pointer).
- A link stays a link.  One whose path leaves the tree is made absolute, so that it leads from a copy to where it led.
- What is too much is refused before a byte of it is read.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import translate

from gpu_queue.code import git
from gpu_queue.code.entries import (
    FILE,
    FILE_MOST_BYTES,
    FILES_MOST,
    IGNORED_MOST,
    IGNORED_NAMES_MOST_BYTES,
    LINK,
    PROGRAM,
    SIZE_MOST_BYTES,
    Entry,
    is_sound_name,
    key_of,
)
from gpu_queue.errors import BadScript
from gpu_queue.sayings import Say, say
from gpu_queue.texts import printable
from gpu_queue.units import format_size, parse_size_bytes

FILES_MAX = 20_000
SIZE_MAX_BYTES = 200 << 20
FILE_MAX_BYTES = 20 << 20
KEPT_BYTES = 64 << 20
"""So much of what was hashed is kept in memory until it is packed; the rest is read once more."""
DIFF_MAX_BYTES = 256 << 10
LARGEST = 10
NOTED = 10
DEPTH_MAX = 16
"""Of submodules within submodules."""
_WALKED_MAX = 4 * FILES_MOST
_NO_CODE = frozenset({b".git", b".hg", b".svn", b"__pycache__"})
"""What is left out of a directory that is no repository."""
_CACHES = _NO_CODE | {b".mypy_cache", b".pytest_cache", b".ruff_cache", b".tox", b".nox", b".eggs"}
"""What nobody misses in a copy of a repository."""
_POINTER = b"version https://git-lfs.github.com/spec/v1\n"


@dataclass(frozen=True)
class Limits:
    """What a snapshot may hold at most, and what is left out of it."""

    files: int = FILES_MAX
    size_bytes: int = SIZE_MAX_BYTES
    file_bytes: int = FILE_MAX_BYTES
    excluded: tuple[str, ...] = ()
    """Patterns: of a path, of one of the directories above it, or of a name."""

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Limits:
        """As ``GPU_QUEUE_SNAPSHOT_*`` say.

        Raises:
            BadScript: one of them cannot be obeyed.
        """

        def size(name: str, default: int) -> int:
            text = environment.get(name, "")
            try:
                return min(parse_size_bytes(text), SIZE_MOST_BYTES) if text else default
            except ValueError:
                raise _refused(Say.CODE_SETTING, name=name, said=text, example="200M") from None

        count = environment.get("GPU_QUEUE_SNAPSHOT_FILES", "")
        if count and not re.fullmatch(r"[0-9]{1,9}", count):
            raise _refused(Say.CODE_SETTING, name="GPU_QUEUE_SNAPSHOT_FILES", said=count, example="20000")
        return cls(
            min(int(count), FILES_MOST) if count else FILES_MAX,
            size("GPU_QUEUE_SNAPSHOT_SIZE", SIZE_MAX_BYTES),
            min(size("GPU_QUEUE_SNAPSHOT_FILE_SIZE", FILE_MAX_BYTES), FILE_MOST_BYTES),
            tuple(one for one in environment.get("GPU_QUEUE_SNAPSHOT_EXCLUDE", "").split(":") if one),
        )


@dataclass(frozen=True)
class Tree:
    """A tree as it was looked at."""

    root: str
    """Its top, without links."""
    key: str
    entries: tuple[Entry, ...]
    targets: Mapping[bytes, bytes]
    """What its links hold, by their names."""
    commit: git.Commit | None = None
    """None: it is no repository."""
    untracked: int = 0
    """So many of its files git does not follow."""
    notes: tuple[str, ...] = ()
    """What is not in it, and what in it is not what it seems, for people."""
    kept: Mapping[bytes, bytes] = field(default_factory=dict)
    """The bytes of files, as far as they are kept."""
    ignored: tuple[bytes, ...] = ()
    """Directories that are not in it because git ignores them, and to which its copies have links."""

    @property
    def size_bytes(self) -> int:
        """Of all its files."""
        return sum(one.size_bytes for one in self.entries)

    @property
    def is_dirty(self) -> bool:
        """Whether it is anything else than its commit."""
        return self.commit is not None and (self.commit.is_dirty or self.untracked > 0)

    def content(self, name: bytes, size_bytes: int) -> bytes:
        """The bytes of one of its files, as they were hashed; what was changed since has others, of that length.

        Raises:
            BadScript: it is not there any more, or of another length.
        """
        known = self.kept.get(name)
        if known is not None:
            return known
        path = f"{self.root}/{os.fsdecode(name)}"
        try:
            content = _read(os.fsencode(path), size_bytes + 1)
        except OSError:
            content = b""
        if len(content) != size_bytes:
            raise changed(path)
        return content


def changed(path: str) -> BadScript:
    """A file is another one than when it was looked at."""
    why = say(Say.CODE_CHANGED, place=printable(path))
    return BadScript(why.english, why.chinese, why.code.value)


def top(directory: str) -> tuple[str, str]:
    """The top of the tree that a directory lies in, without links, and why git does not tell; empty: it does."""
    real = os.path.realpath(directory)
    try:
        return os.path.realpath(os.fsdecode(git.top_of(real))), ""
    except git.GitProblem as problem:
        return real, str(problem)


def look(directory: str, environment: Mapping[str, str], without: str = "") -> Tree:
    """A tree as it is now.

    Args:
        directory: somewhere in it.
        environment: may hold limits (:meth:`Limits.read`).
        without: a directory that belongs to no tree: of the queues.

    Raises:
        BadScript: it is too large, or cannot be read.
    """
    limits = Limits.read(environment)
    root, problem = top(directory)
    is_repository = not problem
    where = os.fsencode(root)
    home = os.path.realpath(environment.get("HOME") or "/")
    if not is_repository and root in ("/", home):
        raise _refused(Say.CODE_HOME, place=printable(root))
    try:
        found = _Found(where, os.fsencode(os.path.realpath(without)) if without else b"", limits)
        if is_repository:
            _follow(where, b"", found, 0)
        else:
            found.notes += _unasked(where, problem)
            found.take(_walk(where), is_followed=True)
        commit = git.commit_of(root, git.LISTED_WITHIN_S) if is_repository else None
        ignored = _linked(git.ignored_in(where), found) if is_repository else ()
    except git.GitProblem as why:
        raise _refused(Say.CODE_UNREAD, place=printable(root), problem=printable(str(why))) from None
    found.check()
    return replace(_hashed(root, found, commit), ignored=ignored)


def _linked(names: Iterable[bytes], found: _Found) -> tuple[bytes, ...]:
    """Of the directories that git ignores those to which copies have links: an environment, data, results."""
    wanted = [
        name
        for name in names
        if is_sound_name(name) and not _CACHES & set(name.split(b"/")) and not found.is_of_the_queues(name)
    ]
    taken: list[bytes] = []
    room = IGNORED_NAMES_MOST_BYTES
    for name in sorted(wanted, key=lambda one: (one.count(b"/"), one)):
        room -= len(name)
        if room < 0 or len(taken) == IGNORED_MOST:
            left = len(wanted) - len(taken)
            found.notes.append(
                f"{left} more directories that git ignores are out of reach of a copy, as {_told(name)}"
            )
            break
        taken.append(name)
    return tuple(taken)


def _unasked(where: bytes, problem: str) -> list[str]:
    if "not a git repository" in problem:
        return []
    if problem.startswith("git cannot be started") and not os.path.lexists(where + b"/.git"):
        return []
    return [f"git was not asked ({printable(problem)}): all of the directory is taken"]


def _refused(what: Say, **parts: str | int) -> BadScript:
    why = say(what, **parts)
    return BadScript(why.english, why.chinese, why.code.value)


# -- what there is --------------------------------------------------------------------------------------------------


class _Found:
    """The files of a tree, before they are read."""

    def __init__(self, where: bytes, without: bytes, limits: Limits) -> None:
        self.where = where
        self.files: dict[bytes, os.stat_result] = {}
        self.untracked = 0
        self.notes: list[str] = []
        self._limits = limits
        self._without = without + b"/" if without else b""
        patterns = [translate(one.strip("/")) for one in limits.excluded]
        self._excluded = re.compile("|".join(patterns)) if patterns else None

    def take(self, names: Iterable[bytes], *, is_followed: bool) -> list[bytes]:
        """Look at files by their names; returns those that are directories."""
        inner = []
        for name in names:
            if name in self.files or self._is_left_out(name):
                continue
            try:
                facts = os.lstat(b"%s/%s" % (self.where, name))
            except (FileNotFoundError, NotADirectoryError):
                continue  # deleted, and not committed yet
            except OSError as error:
                raise self.unread(name, error) from None
            if stat.S_ISDIR(facts.st_mode):
                inner.append(name)
            elif not (stat.S_ISREG(facts.st_mode) or stat.S_ISLNK(facts.st_mode)) or not is_sound_name(name):
                self.notes.append(f"left out, as it is no file: {_told(name)}")
            else:
                self.files[name] = facts
                self.untracked += not is_followed
                if len(self.files) > FILES_MOST:
                    self.check()
        return inner

    def is_of_the_queues(self, name: bytes) -> bool:
        """Whether it is the directory of the queues, or lies in it."""
        return bool(self._without) and (b"%s/%s/" % (self.where, name.rstrip(b"/"))).startswith(self._without)

    def _is_left_out(self, name: bytes) -> bool:
        if self.is_of_the_queues(name):
            return True
        if self._excluded is None:
            return False
        text = os.fsdecode(name)
        parts = text.split("/")
        above = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
        return any(self._excluded.match(one) for one in (*above, *parts))

    def unread(self, name: bytes, error: OSError) -> BadScript:
        """A file that cannot be read."""
        return _refused(
            Say.CODE_UNREAD, place=printable(os.fsdecode(self.where)), problem=f"{_told(name)}: {error.strerror}"
        )

    def check(self) -> None:
        """Refuse what is too much.

        Raises:
            BadScript: it is; what takes most room is named.
        """
        place = printable(os.fsdecode(self.where))
        limits = self._limits
        sizes = {name: facts.st_size for name, facts in self.files.items() if stat.S_ISREG(facts.st_mode)}
        if len(self.files) > limits.files:
            kinds = Counter(name.rpartition(b"/")[0] or b"." for name in self.files)
            largest = ", ".join(f"{_told(name)}/ {count}" for name, count in kinds.most_common(LARGEST))
            raise _refused(Say.CODE_MANY, place=place, count=len(self.files), most=limits.files, largest=largest)
        by_size = sorted(sizes.items(), key=lambda one: (-one[1], one[0]))[:LARGEST]
        largest = ", ".join(f"{_told(name)} {format_size(size)}" for name, size in by_size)
        above = sum(size > limits.file_bytes for size in sizes.values())
        if above:
            most = limits.file_bytes
            raise _refused(Say.CODE_LARGE_FILE, place=place, count=above, most_bytes=most, largest=largest)
        total = sum(sizes.values())
        if total > limits.size_bytes:
            most = limits.size_bytes
            raise _refused(Say.CODE_LARGE, place=place, size_bytes=total, most_bytes=most, largest=largest)


def _told(name: bytes) -> str:
    return printable(os.fsdecode(name))


def _follow(where: bytes, prefix: bytes, found: _Found, depth: int) -> None:
    """The files of a repository, and of those within it."""
    followed, others = git.names_in(where)
    inner = found.take((prefix + name for name in followed), is_followed=True)
    inner += found.take((prefix + name for name in others), is_followed=False)
    for name in inner:
        below = name.rstrip(b"/")
        path = b"%s/%s" % (found.where, below)
        if not os.path.lexists(path + b"/.git"):
            found.notes.append(f"submodule {_told(below)} is not checked out: git submodule update --init")
        elif depth >= DEPTH_MAX:
            found.notes.append(f"left out, as it lies too deep: {_told(below)}")
        else:
            _follow(path, below + b"/", found, depth + 1)


def _walk(where: bytes) -> Iterator[bytes]:
    """All files below a directory, by their names from there; links are not followed."""
    left = [b""]
    count = 0
    while left:
        above = left.pop()
        try:
            with os.scandir(where + b"/" + above) as entries:
                inner = sorted(entries, key=lambda one: one.name)
        except PermissionError:
            continue
        except OSError as error:
            place = printable(os.fsdecode(where))
            raise _refused(Say.CODE_UNREAD, place=place, problem=f"{_told(above)}: {error.strerror}") from None
        for one in inner:
            count += 1
            if count > _WALKED_MAX:
                return
            if one.is_dir(follow_symlinks=False):
                if one.name not in _NO_CODE:
                    left.append(b"%s%s/" % (above, one.name))
            else:
                yield above + one.name


# -- what is in it --------------------------------------------------------------------------------------------------


def _read(path: bytes, most_bytes: int) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        content = os.read(descriptor, most_bytes)
        while len(content) < most_bytes - 1 and (piece := os.read(descriptor, most_bytes - len(content))):
            content += piece
        return content
    finally:
        os.close(descriptor)


def _hashed(root: str, found: _Found, commit: git.Commit | None) -> Tree:
    entries, targets, kept = [], {}, {}
    room = KEPT_BYTES
    pointers = 0
    outside: list[str] = []
    for name, facts in found.files.items():
        path = b"%s/%s" % (found.where, name)
        try:
            if stat.S_ISLNK(facts.st_mode):
                target, is_outside = _target(found.where, name, os.readlink(path))
                targets[name] = target
                if is_outside:
                    outside.append(f"{_told(name)} -> {_told(target)}")
                entries.append(Entry(LINK, name, hashlib.sha256(target).hexdigest(), 0))
                continue
            content = _read(path, facts.st_size + 1)
        except OSError as error:
            raise found.unread(name, error) from None
        if len(content) != facts.st_size:
            raise changed(os.fsdecode(path))
        pointers += content.startswith(_POINTER) and len(content) < 1024
        kind = PROGRAM if facts.st_mode & 0o100 else FILE
        entries.append(Entry(kind, name, hashlib.sha256(content).hexdigest(), len(content)))
        if len(content) <= room:
            kept[name] = content
            room -= len(content)
    notes = list(found.notes[:NOTED])
    if pointers:
        notes.append(f"{pointers} of its files are pointers of git LFS, and not what they stand for: git lfs pull")
    if outside:
        more = f" and {len(outside) - NOTED} more" if len(outside) > NOTED else ""
        notes.append(f"what its links lead to is not in it: {', '.join(outside[:NOTED])}{more}")
    entries.sort()
    return Tree(root, key_of(entries), tuple(entries), targets, commit, found.untracked, tuple(notes), kept)


def _target(where: bytes, name: bytes, target: bytes) -> tuple[bytes, bool]:
    """What a link is to hold in a copy, and whether it leads out of the tree."""
    if target.startswith(b"/"):
        return target, True
    inside = os.path.normpath(b"/".join((os.path.dirname(name), target)).lstrip(b"/"))
    if inside == b".." or inside.startswith(b"../"):
        return os.path.normpath(b"%s/%s" % (where, inside)), True
    return target, False
