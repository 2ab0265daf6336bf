"""What the task of a function runs on its node: loads the call, makes it, and writes what came of it.

- The versions are compared before anything is unpickled.
- The result is on its storage before the process ends: a task that is done has one.
- A function that raises, or leaves by ``sys.exit``, ends with a status that is not 0, whatever it said.
"""

from __future__ import annotations

import os
import pickle
import sys
import traceback
from collections.abc import Mapping
from typing import Any

from gpu_queue.spool import calls, files, records
from gpu_queue.spool.calls import Call, Result, Versions
from gpu_queue.spool.paths import SpoolPaths, parse_claim, root_of

UNUSABLE = 1
"""The status where there is no call, or none that may be loaded."""


def main(environment: Mapping[str, str] = os.environ) -> int:
    """Make the call of the task that the agent has started us for; returns the exit status."""
    claim_path = environment.get("GPU_QUEUE_CLAIM", "")
    root, claim_file = root_of(claim_path), os.path.basename(claim_path)
    parsed = parse_claim(claim_file)
    if parsed is None:
        return _refuse("this runs as the task of a function that was submitted; GPU_QUEUE_CLAIM names no task")
    paths, task_id = SpoolPaths(root), parsed[0].task_id
    try:
        trusted = _trusted(paths, claim_path)
        call = calls.read_call(paths, task_id, trusted)
        here = calls.versions_here()
        code = records.read_submission(paths, task_id, trusted).code
    except files.FileProblem as problem:
        return _refuse(f"{paths.call(task_id)}: {problem}; submit the function again")
    except (OSError, ImportError) as error:
        return _refuse(f"{paths.call(task_id)}: {error}")
    refusal = call.versions.why_not(here)
    if refusal:
        text = f"{call.function} was not called: {refusal}; {sys.executable} runs here, python= names another"
        calls.write_result(paths, task_id, Result(here, claim_file, False, b"", raised=f"gpu_queue: {text}"))
        return _refuse(text)
    root, copy = code.root if code is not None else "", environment.get("GPU_QUEUE_COPY", "")
    path = [_in_copy(one, root, copy) for one in call.path] if root and copy else list(call.path)
    result, status = _made(call, path, here, claim_file)
    is_first = environment.get("GPU_QUEUE_NODE_RANK", "0") == "0"
    if result is not None and is_first:  # of a task over several nodes the first one speaks for all
        calls.write_result(paths, task_id, result)
    return status


def _refuse(why: str) -> int:
    print(f"gpu_queue: {why}", file=sys.stderr)  # noqa: T201  into the task's log
    return UNUSABLE


def _trusted(paths: SpoolPaths, claim_path: str) -> frozenset[int]:
    """Whose call is made: that of whoever wrote the script, of which the agent has judged that it may run."""
    return frozenset({os.geteuid(), os.stat(paths.root).st_uid, os.lstat(claim_path).st_uid})


def _in_copy(place: str, root: str, copy: str) -> str:
    """Where modules lie that lay in the tree of which this task has a copy: what was edited since is not imported."""
    for one in (place, os.path.realpath(place)):
        inside = f"{one}/".removeprefix(f"{root.rstrip('/')}/").rstrip("/")
        moved = os.path.join(copy, inside).rstrip("/")
        if not inside.startswith("/") and os.path.isdir(moved):
            return moved
    return place


def _made(call: Call, path: list[str], here: Versions, claim: str) -> tuple[Result | None, int]:
    """What came of a call, and the status to end with; None where the function left the process itself."""
    sys.path[:0] = [one for one in path if one not in sys.path]
    try:
        value = pickle.loads(call.pickle)()  # noqa: S301  what whoever may write here wants to have run
    except SystemExit as left:
        return None, _status_of(left)
    except BaseException as error:  # also an interrupt: whoever waits is to hear of it
        return _raised(error, here, claim), 1
    try:
        content = _dumped(value)
    except SystemExit as left:  # pickling runs code of its own
        return None, _status_of(left)
    except BaseException as error:
        return _raised(error, here, claim, f"What {call.function} returned cannot be pickled, to be sent back:\n"), 1
    return Result(here, claim, True, content), 0


def _status_of(left: SystemExit) -> int:
    """A function that left brought no value, so that it has not succeeded, even by ``sys.exit(0)``."""
    if isinstance(left.code, int) and left.code % 256:
        return left.code % 256
    if isinstance(left.code, str):
        print(left.code, file=sys.stderr)  # noqa: T201  as Python does
    elif not left.code:
        print("gpu_queue: the function left by sys.exit and returned nothing", file=sys.stderr)  # noqa: T201
    return 1


def _dumped(value: Any) -> bytes:
    import cloudpickle  # noqa: PLC0415  after it was found to be there

    content: bytes = cloudpickle.dumps(value)
    if len(content) > calls.PICKLE_MAX_BYTES:
        raise ValueError(
            f"the result is {len(content)} bytes, at most {calls.PICKLE_MAX_BYTES} are kept: write it to a file, and "
            "return its path"
        )
    return content


def _raised(error: BaseException, here: Versions, claim: str, when: str = "") -> Result:
    kind, frames = type(error), error.__traceback__
    frames = frames.tb_next if frames is not None else None  # ours says nothing
    text = when + "".join(traceback.format_exception(kind, error, frames))
    print(text, end="", file=sys.stderr)  # noqa: T201  into the task's log
    said = "".join(traceback.format_exception_only(kind, error)).strip()
    try:
        content = _dumped(error)
        if type(pickle.loads(content)) is not kind:  # noqa: S301  our own; there are some that only come apart
            content = b""
    except BaseException:  # what is loaded may even leave the process
        content = b""  # type and text tell
    return Result(here, claim, False, content, raised=said, traceback=text)
