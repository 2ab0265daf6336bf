"""Files of a spool that a person wrote, saved for that person: as an editor does it, and through a rename.

Agents tell them from what the queue makes itself (``files.MARK``): only what a person wrote may say who runs.
"""

from __future__ import annotations

import os
import secrets
import stat

from gpu_queue.spool import files


def write_given(path: str, content: bytes, like: os.stat_result | None) -> None:
    """Put a file in place that is a person's, as an editor does: without the mark of what we make ourselves.

    Args:
        path: the file.
        content: all of it.
        like: the file in whose place it comes, whose permissions and group it gets; None: there is none, and others
            may read it as far as the umask lets them.

    Raises:
        OSError: it could not be written; the dot-file was removed if possible.
    """
    directory, name = os.path.split(path)
    temporary = f"{directory}/.{name[:100]}.{secrets.token_hex(6)}"
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            files.write_all(descriptor, content)
            files.hand_over(descriptor, directory)
            if like is not None:
                _make_like(descriptor, like)
        finally:
            os.close(descriptor)
        os.rename(temporary, path)
    except OSError:
        files.remove(temporary)
        raise


def _make_like(descriptor: int, like: os.stat_result) -> None:
    facts = os.fstat(descriptor)
    if like.st_gid != facts.st_gid:
        try:
            os.fchown(descriptor, -1, like.st_gid)
        except OSError:
            pass  # a group that we are not in
    wanted = stat.S_IMODE(like.st_mode) & 0o777
    if os.fstat(descriptor).st_gid != like.st_gid:
        wanted &= ~0o070  # what was meant for the one group is not for another
    os.fchmod(descriptor, wanted | stat.S_IRUSR | stat.S_IWUSR)
