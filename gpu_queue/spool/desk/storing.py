"""Putting the code of tasks into the queue: one file for each tree, however many tasks run with it.

- Written before the first task that names it is published, under a temporary name, synced, then renamed.  Who is
  killed in between leaves a dot-file that nobody reads.
- A tree that is there already is not written again: it is touched, so that nobody who cleans up takes it for unused,
  and *then* it is looked for in a listing.  Who cleans up renames first and looks at the touch afterwards: one of the
  two sees the other (:mod:`gpu_queue.spool.desk.collecting`).
"""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from collections.abc import Iterator, Mapping

from gpu_queue import PROTOCOL
from gpu_queue.code import git
from gpu_queue.code.entries import LINK
from gpu_queue.code.noun import Code
from gpu_queue.code.tape import Member, write
from gpu_queue.code.tree import DIFF_MAX_BYTES, Tree, changed, look
from gpu_queue.errors import BadScript, NotPublished
from gpu_queue.sayings import Say, say
from gpu_queue.spool import files, store
from gpu_queue.spool.desk.people import me
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.texts import printable
from gpu_queue.units import format_utc


class Codes:
    """What the code is that tasks are submitted with; each tree is looked at once."""

    def __init__(self, paths: SpoolPaths, environment: Mapping[str, str] | None = None) -> None:
        self._without = os.path.dirname(paths.root)
        self._environment = os.environ if environment is None else environment
        self._trees: dict[str, Tree] = {}
        self._commits: dict[str, Code | None] = {}

    def commit(self, directory: str) -> Code | None:
        """At which commit a directory is, where git tells at once."""
        if directory not in self._commits:
            self._commits[directory] = _commit(directory)
        return self._commits[directory]

    def of(self, cwd: str, script: str, *, taken_of: str | None) -> tuple[Code | None, Tree | None]:
        """What a task is submitted with, and the tree that it runs in a copy of.

        Args:
            cwd: where it is to run.
            script: where its script lies; empty: nowhere.
            taken_of: a directory in that tree; None: it runs in no copy.

        Raises:
            BadScript: no snapshot can be taken, or it is to run outside of it.
        """
        if taken_of is None:
            return self.commit(cwd), None
        tree = self.tree(taken_of)
        return code_in(tree, cwd, script), tree

    def tree(self, directory: str) -> Tree:
        """The tree that a directory lies in, as it is now.

        Raises:
            BadScript: no snapshot of it can be taken.
        """
        if directory not in self._trees:
            self._trees[directory] = look(directory, self._environment, self._without)
        return self._trees[directory]


def _commit(directory: str) -> Code | None:
    above = os.path.realpath(directory)
    while not os.path.lexists(f"{above}/.git"):
        if above == os.path.dirname(above):
            return None  # nobody starts a git for that
        above = os.path.dirname(above)
    try:
        found = git.commit_of(directory)
    except git.GitProblem:
        return None
    return Code(found.commit, found.is_dirty) if found.commit else None


def code_in(tree: Tree, cwd: str, script: str) -> Code:
    """What the record of a task says that is to run in a copy of a tree.

    Args:
        tree: of which the snapshot is.
        cwd: where the task is to run.
        script: where its script lies; empty: nowhere.

    Raises:
        BadScript: it is to run outside of the tree.
    """
    inside = _within(tree.root, cwd)
    if inside is None:
        why = say(Say.CODE_OUTSIDE, cwd=printable(cwd), place=printable(tree.root))
        raise BadScript(why.english, why.chinese, why.code.value)
    commit = tree.commit.commit if tree.commit is not None else ""
    its_script = _within(tree.root, script) if script else None
    ignored = tuple(map(os.fsdecode, tree.ignored))
    return Code(commit, tree.is_dirty, tree.key, tree.root, inside, its_script or "", ignored)


def _within(root: str, path: str) -> str | None:
    """A path from the top of a tree; None where it lies elsewhere."""
    real = os.path.realpath(path)
    above = root.rstrip("/") + "/"
    return real.removeprefix(above) if real.startswith(above) else "" if real == root else None


def remarks(tree: Tree, script: str, content: bytes) -> tuple[str, ...]:
    """What the submitter of a script should know of its snapshot.

    Args:
        tree: of which the snapshot is.
        script: where the script lies; empty: nowhere.
        content: what stands in it.
    """
    notes = list(tree.notes)
    if script and _within(tree.root, script) is None:
        notes.append(f"{printable(script)} lies outside of {printable(tree.root)}: what lies beside it is not in it")
    at = content.find(os.fsencode(tree.root) + b"/")
    if at >= 0:
        line = content.count(b"\n", 0, at) + 1
        notes.append(
            f"line {line} names a path in {printable(tree.root)}, and not in the copy: later edits change it"
        )
    return tuple(f"snapshot: {note}" for note in notes)


# -- packing --------------------------------------------------------------------------------------------------------


def keep(paths: SpoolPaths, tree: Tree) -> bool:
    """Have a tree in the queue; returns whether it had to be written.

    Raises:
        NotPublished: the storage did not take it, or it was changed since it was looked at.
    """
    target = paths.snapshot(tree.key)
    try:
        os.mkdir(paths.snapshots, 0o700)
        files.hand_over(paths.snapshots, paths.root)
    except FileExistsError:
        pass
    except OSError as error:
        raise _unwritten(paths.snapshots, error) from error
    try:
        os.utime(target)
        if os.path.basename(target) in store.listing(paths.snapshots):
            return False
    except OSError:
        pass  # it is not there; or not ours to touch, and is written again
    temporary = f"{paths.snapshots}/.{tree.key[:16]}.{secrets.token_hex(6)}"
    try:
        files.write_whole(paths.snapshot_facts(tree.key), files.encode_json(_facts(tree)))
        descriptor = files.create(temporary, os.O_EXCL)
        try:
            _pack(tree, descriptor)
            files.hand_over(descriptor, paths.snapshots)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        result = store.move(temporary, target)
        if result.moved is not store.Moved.WON:
            raise result.error or OSError(0, "it could not be renamed", target)
    except BaseException as error:
        files.remove(temporary)
        if isinstance(error, OSError):
            raise _unwritten(target, error) from error
        if isinstance(error, BadScript):
            raise NotPublished(f"{error}; nothing was queued", ()) from error
        raise
    return True


def _unwritten(path: str, error: OSError) -> NotPublished:
    why = f"{path} could not be written ({error.strerror}), so nothing was queued; {files.advice(path, error)}"
    return NotPublished(why, ())


def _pack(tree: Tree, descriptor: int) -> None:
    digests = {one.name: one.digest for one in tree.entries}

    def content_of(member: Member) -> Iterator[bytes]:
        content = tree.content(member.name, member.size_bytes)
        if member.name not in tree.kept and hashlib.sha256(content).hexdigest() != digests[member.name]:
            raise changed(f"{tree.root}/{os.fsdecode(member.name)}")
        yield content

    in_order = sorted(tree.entries, key=lambda one: (one.kind == LINK, one.name))
    members = (Member(one.kind, one.name, one.size_bytes, tree.targets.get(one.name, b"")) for one in in_order)
    write(members, content_of, lambda piece: files.write_all(descriptor, piece))


def _facts(tree: Tree) -> dict[str, object]:
    """For people, and for whoever unpacks it: how much there is to expect."""
    user, host = me()
    told: dict[str, object] = {
        "protocol": PROTOCOL,
        "key": tree.key,
        "files": len(tree.entries),
        "size_bytes": tree.size_bytes,
        "root": tree.root,
        "user": user,
        "host": host,
        "packed_at": format_utc(time.time()),
    }
    if tree.commit is not None:
        told |= {"commit": tree.commit.commit, "dirty": tree.is_dirty, "untracked": tree.untracked}
        if tree.commit.is_dirty:
            told["diff"] = git.changes_in(tree.root, DIFF_MAX_BYTES)
    return told | ({"notes": list(tree.notes)} if tree.notes else {})
