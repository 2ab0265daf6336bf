"""The file itself: read whole, and saved where nobody else has written since.  It blocks on shared storage."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass

from gpu_queue.config import Settings
from gpu_queue.console.policy.texts import etag_of
from gpu_queue.errors import SpoolError
from gpu_queue.policy import believed, strangeness
from gpu_queue.spool import files, handwritten
from gpu_queue.spool.paths import SpoolPaths


class Unfit(ValueError):
    """What is called config.yaml cannot be read, by agents either."""


class Changed(ValueError):
    """Somebody else has written since."""


@dataclass(frozen=True)
class Stored:
    """A config.yaml as it is."""

    content: bytes | None
    """None: there is none."""
    facts: os.stat_result | None = None
    strange: str = ""
    """Why settings in it that decide who runs do not count; empty: they do."""

    @property
    def etag(self) -> str:
        """Of the bytes."""
        return etag_of(self.content)

    @property
    def owner(self) -> str:
        """Whose it is, for people."""
        if self.facts is None:
            return ""
        try:
            return pwd.getpwuid(self.facts.st_uid).pw_name
        except KeyError:
            return str(self.facts.st_uid)


def look(paths: SpoolPaths) -> Stored:
    """The file as it is now.

    Raises:
        Unfit: it is no regular file, may not be read, or is larger than agents read.
        OSError: the storage failed; ask again later.
    """
    limit = files.RECORD_MAX_BYTES
    try:
        content, facts = files.read_regular(paths.config, limit + 1)
    except files.Vanished:
        return Stored(None)
    except files.FileProblem as problem:
        raise Unfit(f"{paths.config}: {problem}") from None
    if len(content) > limit:
        raise Unfit(f"{paths.config}: it is larger than {limit} bytes; no agent reads it")
    try:
        is_shared = bool(os.stat(paths.root).st_mode & 0o022)
    except OSError:
        is_shared = False
    return Stored(content, facts, strangeness(facts, believed(Settings()), is_shared=is_shared))


def save(paths: SpoolPaths, content: bytes | None, etag: str) -> Stored:
    """Have other bytes stand there; returns what stood there before.

    Args:
        paths: of the spool.
        content: all of the file; None: there is none.
        etag: of what is there; it is looked at just before.

    Raises:
        Changed: something else is there.
        Unfit: it is no file that can be read.
        SpoolError: it cannot be written.
    """
    try:
        before = look(paths)
        if before.etag != etag:
            raise Changed(f"{paths.config} was changed since by {before.owner or 'somebody'}, or taken away")
        if content is not None:
            handwritten.write_given(paths.config, content, before.facts)
        elif not files.remove(paths.config):
            raise SpoolError(f"cannot remove {paths.config}; check that you may write there")
    except OSError as error:
        hint = files.advice(paths.config, error)
        raise SpoolError(f"{paths.config} cannot be written: {error.strerror}; {hint}") from error
    return before
