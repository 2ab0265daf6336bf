"""Working trees, with and without git, and archives that nobody of ours would write."""

from __future__ import annotations

import gzip
import os
import subprocess
from pathlib import Path

from gpu_queue.code.tape import Member, head_of

ENVIRONMENT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.org",
}


def git(directory: Path, *words: str) -> str:
    """What git says there."""
    done = subprocess.run(
        ["git", "-c", "protocol.file.allow=always", *words],
        cwd=directory,
        env={name: text for name, text in os.environ.items() if not name.startswith("GIT_")} | ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def write(directory: Path, **texts: str) -> None:
    """Files by their names, in which ``__`` is a slash and ``_dot_`` a point."""
    for name, text in texts.items():
        path = directory / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def repository(directory: Path, **texts: str) -> Path:
    """A repository with one commit."""
    directory.mkdir(parents=True, exist_ok=True)
    git(directory, "init", "-q", "-b", "main")
    write(directory, **texts)
    git(directory, "add", ".")
    git(directory, "commit", "-q", "-m", "first")
    return directory


def archive(*members: tuple[Member, bytes], end: bytes = bytes(1024)) -> bytes:
    """An archive with these members, whatever they are."""
    plain = b"".join(head_of(member) + content + bytes(-len(content) % 512) for member, content in members)
    return gzip.compress(plain + end, 1)
