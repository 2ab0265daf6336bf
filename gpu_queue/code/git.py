"""What git says of a directory: which files belong to the work, at which commit, and whether they were changed since.

- Nothing is written: no index is refreshed, no hook or monitor of the repository is started.
- Each question is bounded, in time and in what it may answer: a repository may lie on storage that hangs, and be of
  any size.  A git that hangs is killed and not waited for.
- Names are bytes (``-z``).
"""

from __future__ import annotations

import os
import re
import selectors
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

_ASKED = ("git", "-c", "core.fsmonitor=false", "-c", "core.quotepath=false")
ANSWER_MOST_BYTES = 64 << 20
STATE_WITHIN_S = 1.0
"""Commit and changes, where nothing but a record waits for them."""
LISTED_WITHIN_S = 60.0
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?", re.ASCII)


@dataclass(frozen=True)
class Commit:
    """At which commit a working tree is."""

    commit: str
    """In hex; empty: there is none yet."""
    is_dirty: bool
    """Files that git follows differ from it."""


class GitProblem(Exception):
    """Git has no answer: ``str()`` is the reason for people."""


def ask(directory: str, words: Sequence[str], within_s: float, most_bytes: int = ANSWER_MOST_BYTES) -> bytes:
    """What git answers.

    Args:
        directory: where it is asked.
        words: behind its name.
        within_s: so long it may take.
        most_bytes: so much it may say.

    Raises:
        GitProblem: there is no git, it refuses, it hangs, or it says too much.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    try:
        child = subprocess.Popen(
            [*_ASKED, "-C", directory, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        )
    except (OSError, ValueError) as error:
        raise GitProblem(f"git cannot be started ({getattr(error, 'strerror', None) or error})") from None
    said = {"out": bytearray(), "err": bytearray()}
    assert child.stdout is not None
    assert child.stderr is not None
    until_s = time.monotonic() + within_s
    with child.stdout, child.stderr, selectors.DefaultSelector() as waiting:
        waiting.register(child.stdout, selectors.EVENT_READ, "out")
        waiting.register(child.stderr, selectors.EVENT_READ, "err")
        while waiting.get_map():
            ready = waiting.select(max(0.0, until_s - time.monotonic()))
            if not ready and time.monotonic() >= until_s:
                _give_up(child)
                raise GitProblem(f"git {words[0]} took longer than {within_s:g} s")
            for key, _ in ready:
                piece = os.read(key.fd, 1 << 16)
                said[key.data] += piece
                if not piece:
                    waiting.unregister(key.fileobj)
            if len(said["out"]) > most_bytes or len(said["err"]) > most_bytes:
                _give_up(child)
                raise GitProblem(f"git {words[0]} says more than {most_bytes} bytes")
    if child.wait() != 0:
        why = said["err"].decode("utf-8", "replace").strip().partition("\n")[0]
        raise GitProblem(why.removeprefix("fatal: ") or f"git {words[0]} ended with status {child.returncode}")
    return bytes(said["out"])


def _give_up(child: subprocess.Popen[bytes]) -> None:
    """Kill it; it may hang in the kernel, so that nobody but a thread of its own waits for it."""
    child.kill()
    threading.Thread(target=child.wait, name="gpu_queue git", daemon=True).start()


def commit_of(directory: str, within_s: float = STATE_WITHIN_S) -> Commit:
    """The commit of the working tree that a directory lies in.

    Raises:
        GitProblem: it lies in none, or git does not tell in time.
    """
    words = ("status", "--porcelain=v2", "--branch", "-z", "--untracked-files=no")
    answer = ask(directory, words, within_s)
    lines = answer.split(b"\0")
    heads = [
        line.rpartition(b" ")[2].decode("ascii", "replace") for line in lines if line.startswith(b"# branch.oid ")
    ]
    commit = heads[0] if heads and _COMMIT.fullmatch(heads[0]) else ""
    return Commit(commit, any(line and not line.startswith(b"# ") for line in lines))


def top_of(directory: str, within_s: float = LISTED_WITHIN_S) -> bytes:
    """The top of the working tree that a directory lies in.

    Raises:
        GitProblem: it lies in none.
    """
    answer = ask(directory, ("rev-parse", "--show-toplevel"), within_s)
    top = answer.removesuffix(b"\n")
    if not top:
        raise GitProblem("git knows no working tree here")
    return top


def names_in(top: bytes) -> tuple[list[bytes], list[bytes]]:
    """The files of a working tree: those that git follows, and those that it neither follows nor ignores.

    Submodules are among the first; repositories within it that are none, with a ``/`` at the end, among the second.

    Raises:
        GitProblem: git does not tell.
    """
    words = ("ls-files", "-z", "-t", "--cached", "--others", "--exclude-standard")
    answer = ask(os.fsdecode(top), words, LISTED_WITHIN_S)
    followed: dict[bytes, None] = {}  # of a conflict it tells each side
    others = []
    for line in answer.split(b"\0"):
        if line.startswith(b"? "):
            others.append(line[2:])
        elif line:
            followed[line[2:]] = None
    return list(followed), others


def ignored_in(top: bytes) -> list[bytes]:
    """The directories of a working tree that git ignores as a whole, from its top.

    Raises:
        GitProblem: git does not tell.
    """
    words = ("ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory")
    answer = ask(os.fsdecode(top), words, LISTED_WITHIN_S)
    return [line[:-1] for line in answer.split(b"\0") if line.endswith(b"/")]


def changes_in(directory: str, most_bytes: int) -> str:
    """What was changed since the commit, as a patch of at most so many bytes; empty where git does not tell."""
    try:
        said = ask(directory, ("diff", "--no-ext-diff", "--no-textconv", "--no-color", "HEAD", "--"), 5.0, 16 << 20)
    except GitProblem:
        return ""
    return said[:most_bytes].decode("utf-8", "replace")
