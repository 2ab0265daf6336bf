"""Scripts as they lie in files of their submitter, and whether they are any."""

from __future__ import annotations

import os

from gpu_queue.errors import BadScript
from gpu_queue.sayings import Say, Saying, say
from gpu_queue.spool import files
from gpu_queue.texts import printable

SCRIPT_MAX_BYTES = 16 << 20


def read_file(path: str) -> tuple[bytes, str]:
    """A script from its file, a link to which is followed; and the path as its submitter spells it, from the root.

    Raises:
        BadScript: it is missing, no regular file, empty, binary, too large, or cannot be read.
    """
    if not isinstance(path, str):
        raise BadScript(f"{path!r} is no path; a script that lies in no file is Script(name, content)")
    try:
        # A link is followed here, and nowhere in the spool: it is the submitter's own.
        content, facts = files.read_regular(os.path.realpath(path), SCRIPT_MAX_BYTES + 1)
        wrong = _problem_of(content, facts.st_size)
        problem = "" if wrong is None else wrong.english
    except files.Vanished:
        problem = "there is no such file"
    except files.FileProblem as why:
        problem = "is a directory" if os.path.isdir(path) else _in_our_words(why)
    except (OSError, ValueError) as error:
        problem = f"cannot be read: {getattr(error, 'strerror', None) or error}"
    if problem:
        raise BadScript(f"{printable(path)}: {problem}")
    return content, path if os.path.isabs(path) else f"{working_directory()}/{path.removeprefix('./')}"


def check_content(name: str, content: bytes) -> bytes:
    """Refuse what can be no script; returns it.

    Raises:
        BadScript: it is empty, binary or too large.
    """
    if (wrong := _problem_of(content)) is not None:
        raise BadScript(f"{printable(name)}: {wrong.english}", wrong.chinese, wrong.code.value)
    return content


def _in_our_words(why: files.FileProblem) -> str:
    return "cannot be read; chmod u+r it" if "cannot be read" in str(why) else "is no regular file"


def _problem_of(content: bytes, size_bytes: int | None = None) -> Saying | None:
    if not content:
        return say(Say.EMPTY)
    if len(content) > SCRIPT_MAX_BYTES:
        return say(Say.TOO_LARGE, size_bytes=max(size_bytes or 0, len(content)), most_bytes=SCRIPT_MAX_BYTES)
    return say(Say.BINARY) if b"\0" in content or content.startswith(b"\x7fELF") else None


def working_directory() -> str:
    """Where we are, as the user spells it: another host may know the place by that name only."""
    said = os.environ.get("PWD", "")
    try:
        return said if said.startswith("/") and os.path.samefile(said, ".") else os.getcwd()
    except OSError:
        try:
            return os.getcwd()
        except OSError:
            return said  # it was removed
