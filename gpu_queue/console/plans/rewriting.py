"""Saving a config.yaml as a plan is run, and putting the text before in its place; it blocks on shared storage."""

from __future__ import annotations

from dataclasses import dataclass

from gpu_queue.console.plans.progress import Progress
from gpu_queue.console.policy.shelf import Changed, save
from gpu_queue.console.policy.texts import etag_of
from gpu_queue.console.sentences import note
from gpu_queue.spool.desk.steering import What
from gpu_queue.spool.paths import SpoolPaths

NAME = "config.yaml"


@dataclass(frozen=True)
class Rewriting:
    """A config.yaml that is to be saved."""

    content: bytes
    etag: str
    """Of what was edited."""
    before: bytes | None
    """That; None: there was none."""

    @property
    def weight_bytes(self) -> int:
        """What it weighs while it is kept."""
        return len(self.content) + len(self.before or b"")


def rewrite(paths: SpoolPaths, meant: Rewriting, progress: Progress) -> None:
    """Save it, where what was edited is still there.

    Raises:
        SpoolError: it cannot be written.
    """
    _save(paths, meant.content, meant.etag, progress)


def put_back(paths: SpoolPaths, meant: Rewriting, progress: Progress) -> None:
    """Have the bytes before stand there, where nobody else has written since.

    Raises:
        SpoolError: it cannot be written.
    """
    _save(paths, meant.before, etag_of(meant.content), progress)


def _save(paths: SpoolPaths, content: bytes | None, etag: str, progress: Progress) -> None:
    try:
        save(paths, content, etag)
    except Changed:
        progress.note(NAME, NAME, What.REFUSED, why=note("written_since", file=NAME))
        return
    progress.moved.is_rewritten = True
    progress.note(NAME, NAME, What.DONE)
