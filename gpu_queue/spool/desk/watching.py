"""Telling agents that somebody looks, so that they tell at once what changes (docs/spool.md, "The node file")."""

from __future__ import annotations

import os

from gpu_queue.spool import files
from gpu_queue.spool.paths import SpoolPaths

TOUCH_EVERY_S = 20.0
"""So often at most; agents look each few seconds, and take it for a minute."""


def touch_watched(paths: SpoolPaths) -> str:
    """Say that somebody looks at what the nodes of a spool tell, for the next minute.

    Whoever calls it keeps to ``TOUCH_EVERY_S``.

    Returns:
        Why it cannot be said, for people; empty: it was.  Then all is seen as it is told without: each half a minute.
    """
    try:
        os.utime(paths.watched, follow_symlinks=False)
        return ""
    except FileNotFoundError:
        pass
    except OSError:
        pass  # another user's: ours takes its place, where the directory allows that
    try:
        if not os.path.lexists(paths.protocol):
            return f"{paths.root} is no queue"
        files.write_whole(paths.watched, b"")
    except OSError as error:
        return f"{paths.watched}: {error.strerror}"
    return ""
