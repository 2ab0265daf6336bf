"""Calls of functions, and what came of them, as files beside the tasks that make them (docs/spool.md, "Calls").

- A line of JSON, then a pickle.  The line is read first: a pickle of another version of Python is never loaded, for
  that may end the process without a word.
- A pickle is code.  It is loaded only from a file of somebody who may have code run here anyway.
"""

from __future__ import annotations

import json
import os
import platform
from dataclasses import dataclass
from typing import Any

from gpu_queue import PROTOCOL
from gpu_queue.errors import SpoolError
from gpu_queue.spool import files
from gpu_queue.spool.fields import Fields, is_argument
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.texts import printable

PICKLE_MAX_BYTES = 1 << 30
"""Of a call or a result; what is larger belongs into a file of its own, whose path is passed."""
HEADER_MAX_BYTES = 256 << 10
TEXT_MAX_CHARS = 20_000
"""Of a traceback and of what an exception says."""


@dataclass(frozen=True)
class Versions:
    """By what a pickle was made."""

    python: str
    cloudpickle: str

    def why_not(self, here: Versions) -> str:
        """Why a pickle of these versions cannot be loaded by others, for people; empty: it can."""
        if _first(self.python, 2) != _first(here.python, 2):
            return (
                f"it was pickled by Python {self.python or '?'}, and this is Python {here.python}; "
                f"expected {_first(self.python, 2) or '?'} on both sides"
            )
        if _first(self.cloudpickle, 1) != _first(here.cloudpickle, 1):
            return f"it was pickled by cloudpickle {self.cloudpickle or '?'}, and this is {here.cloudpickle or '?'}"
        return ""


def _first(version: str, parts: int) -> str:
    return ".".join(version.split(".")[:parts])


def versions_here() -> Versions:
    """Those of this process.

    Raises:
        ImportError: there is no cloudpickle.
    """
    try:
        import cloudpickle  # noqa: PLC0415  whoever submits scripts needs none
    except ImportError as error:
        raise ImportError(
            f"functions are pickled by cloudpickle, which {platform.python_implementation()} "
            f"{platform.python_version()} here has not: pip install 'gpu-queue[futures]'"
        ) from error
    return Versions(platform.python_version(), str(cloudpickle.__version__))


@dataclass(frozen=True)
class Call:
    """A function and what it is called with, as a file holds it."""

    versions: Versions
    function: str
    """What it is called, for people."""
    path: tuple[str, ...]
    """Where its submitter finds modules, without what belongs to Python itself."""
    pickle: bytes | memoryview


@dataclass(frozen=True)
class Result:
    """What a function returned or raised, as a file holds it."""

    versions: Versions
    claim: str
    """The name of the claim whose try it is of."""
    has_value: bool
    """It returned, and the pickle is what it returned; else that of the exception, or empty."""
    pickle: bytes | memoryview
    raised: str = ""
    """Type and text of what it raised."""
    traceback: str = ""


def encode_call(task_id: str, call: Call) -> bytes:
    """The content of ``calls/<id>.call``."""
    return _encode(task_id, call.versions, {"function": call.function, "path": list(call.path)}, call.pickle)


def encode_result(task_id: str, result: Result) -> bytes:
    """The content of ``calls/<id>.result``."""
    said: dict[str, Any] = {"claim": result.claim, "outcome": "value" if result.has_value else "raised"}
    if not result.has_value:
        said |= {"raised": result.raised[:TEXT_MAX_CHARS], "traceback": result.traceback[-TEXT_MAX_CHARS:]}
    return _encode(task_id, result.versions, said, result.pickle)


def write_result(paths: SpoolPaths, task_id: str, result: Result) -> None:
    """Put a result in place, safe on its storage, over that of an earlier try.

    Raises:
        OSError: it could not be written.
    """
    files.write_whole(paths.result(task_id), encode_result(task_id, result), is_synced=True)


def _encode(task_id: str, versions: Versions, said: dict[str, Any], pickle: bytes | memoryview) -> bytes:
    told = {"protocol": PROTOCOL, "id": task_id, "python": versions.python, "cloudpickle": versions.cloudpickle}
    # ASCII: a text of an exception may hold what no UTF-8 can.
    return b"".join((json.dumps({**told, **said, "bytes": len(pickle)}).encode("ascii"), b"\n", pickle))


def read_call(paths: SpoolPaths, task_id: str, allowed_uids: frozenset[int]) -> Call:
    """The call of a task; its pickle is not loaded.

    Raises:
        files.Vanished: there is none.
        files.FileProblem: it is no call, or a stranger's.
        OSError: the storage failed; ask again later.
    """
    header, pickle = _read(paths.call(task_id), task_id, allowed_uids)
    path = tuple(one for one in header.items("path") if isinstance(one, str) and is_argument(one))
    return Call(_versions(header), header.text("function"), path, pickle)


def read_result(paths: SpoolPaths, task_id: str, allowed_uids: frozenset[int]) -> Result:
    """What came of a call; its pickle is not loaded.

    Raises:
        files.Vanished: there is none.
        files.FileProblem: it is no result, or a stranger's.
        OSError: the storage failed; ask again later.
    """
    header, pickle = _read(paths.result(task_id), task_id, allowed_uids)
    texts = (_lines(header.raw("raised")), _lines(header.raw("traceback")))
    return Result(_versions(header), header.text("claim"), header.raw("outcome") == "value", pickle, *texts)


def _lines(value: object) -> str:
    text = value[:TEXT_MAX_CHARS] if isinstance(value, str) else ""
    return "\n".join(printable(line.expandtabs(4), TEXT_MAX_CHARS) for line in text.split("\n"))


def _versions(header: Fields) -> Versions:
    return Versions(header.text("python"), header.text("cloudpickle"))


def _read(path: str, task_id: str, allowed_uids: frozenset[int]) -> tuple[Fields, memoryview]:
    content, _ = files.read_regular(path, HEADER_MAX_BYTES + PICKLE_MAX_BYTES + 1, allowed_uids)
    end = content.find(b"\n", 0, HEADER_MAX_BYTES)
    if end < 0:
        raise files.FileProblem("it does not begin with a line of JSON")
    header = files.decode_json(content[:end])
    if header.get("protocol") != PROTOCOL or header.get("id") != task_id:
        raise files.FileProblem("it is of another protocol or task")
    pickle = memoryview(content)[end + 1 :]  # it may be large: not a second time in memory
    if header.get("bytes") != len(pickle):
        raise files.FileProblem(f"it holds {len(pickle)} bytes, and says {header.get('bytes')!r}"[:200])
    return Fields(header), pickle


def make_calls(paths: SpoolPaths) -> None:
    """Make the directory of calls where it is missing.

    Raises:
        SpoolError: it cannot be made.
    """
    try:
        os.mkdir(paths.calls, 0o700)
        files.hand_over(paths.calls, paths.root)
    except FileExistsError:
        pass
    except OSError as error:
        raise SpoolError(f"{paths.calls}: cannot be made: {error.strerror}") from error
