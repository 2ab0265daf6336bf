"""What came of functions that were submitted: what they returned, what they raised, or why there is neither.

- done/ and failed/ decide.  A result counts for a task that is done; what a function raised counts where the try
  raised it with which its task failed.
- A pickle is loaded only after its versions were compared, and only from whoever may have code run here anyway.
"""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Iterator, Sequence
from typing import Any

from gpu_queue.errors import SpoolError, TaskFailed
from gpu_queue.spool import calls, files
from gpu_queue.spool.desk import papers
from gpu_queue.spool.desk.find import Task, listed
from gpu_queue.spool.desk.waiting import Ended, as_completed
from gpu_queue.spool.paths import SpoolPaths, parse_claim
from gpu_queue.task import Claim, short_name, told_outcome
from gpu_queue.texts import printable

SEEN_AFTER_S = 90.0
"""A network filesystem may know for a minute that there was no such file."""
_LOG_TAIL_BYTES = 2048


class RemoteTraceback(Exception):
    """Where something was raised on a node, as text: the cause of what is raised here."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f'\n"""\n{self.text}"""'


class NotYet(Exception):
    """A result is there, and this machine does not see it yet."""


def value_of(paths: SpoolPaths, ended: Ended) -> Any:
    """What the function of a task that has ended returned.

    Raises:
        NotYet: ask again.
        TaskFailed: it brought no result, or raised what cannot be raised here.
        SpoolError: the storage failed; ask again.
        BaseException: what it raised, with the traceback from the node as its cause.
    """
    result, problem = _result_of(paths, ended)
    if result is None:
        raise failure_of(paths, ended, problem)
    refusal = result.versions.why_not(calls.versions_here()) if result.pickle else ""
    if not result.has_value:
        raise _raised(paths, ended, result, refusal)
    if refusal:
        raise TaskFailed(f"{short_name(ended.task_id)}: its result is not loaded: {refusal}", ended.task_id)
    try:
        return pickle.loads(result.pickle)  # noqa: S301  of whoever may have code run here anyway
    except (Exception, SystemExit) as error:
        raise TaskFailed(
            f"{short_name(ended.task_id)}: its result cannot be loaded here: {_told(error)}", ended.task_id
        ) from error


def bring(paths: SpoolPaths, ended: Ended) -> Any:
    """The same, which waits where this machine, or its storage, does not see the result yet.

    Raises:
        TaskFailed: it brought no result, or raised what cannot be raised here.
        SpoolError: the storage fails for a minute and a half.
        BaseException: what it raised.
    """
    deadline_s = time.monotonic() + SEEN_AFTER_S
    while True:
        try:
            return value_of(paths, ended)
        except (NotYet, SpoolError) as error:
            if time.monotonic() > deadline_s:
                raise SpoolError(f"{paths.result(ended.task_id)} cannot be read: {error or 'try again'}") from error
        time.sleep(0.2)


def in_order(paths: SpoolPaths, tasks: Sequence[Task], timeout_s: float | None, *, is_chunks: bool) -> Iterator[Any]:
    """What functions return, in the order of their tasks, each as soon as those before it are there.

    Raises:
        TimeoutError: some have not ended by then.
        Exception: as :func:`bring`.
    """
    ending, known = as_completed(paths, tasks, timeout_s), dict[str, Ended]()
    for task in tasks:
        while task.id is not None and task.id not in known:
            one = next(ending)
            known[one.task_id] = one
        value = bring(paths, known.pop(task.id or ""))
        if is_chunks:
            yield from value
        else:
            yield value


def _result_of(paths: SpoolPaths, ended: Ended) -> tuple[calls.Result | None, str]:
    """The result that counts, or why there is none."""
    try:
        result = calls.read_result(paths, ended.task_id, trusted(paths))
    except files.Vanished:
        if os.path.basename(paths.result(ended.task_id)) in listed(paths.calls):
            raise NotYet from None
        return None, "it ended without a result: did it leave by os._exit, or is it no call?" if ended else ""
    except files.FileProblem as problem:
        return None, f"{paths.result(ended.task_id)}: {problem}"
    except OSError as error:
        raise SpoolError(f"{paths.result(ended.task_id)}: {error.strerror}; try again") from error
    if ended:
        return (result, "") if result.has_value else (None, "its result is that of a try that failed")
    is_of_this = ended.claim is not None and _is_of(result, ended.claim)
    return (result, "") if is_of_this and not result.has_value else (None, "")


def _is_of(result: calls.Result, claim: Claim) -> bool:
    parsed = parse_claim(result.claim)
    return parsed is not None and (parsed[0].task_id, parsed[0].token) == (claim.task_id, claim.token)


def trusted(paths: SpoolPaths) -> frozenset[int]:
    """Whose pickles are loaded: our own, and those of the owner of the queue, who could have code run anyway.

    Raises:
        SpoolError: the queue cannot be looked at.
    """
    try:
        return frozenset({os.geteuid(), os.stat(paths.root).st_uid})
    except OSError as error:
        raise SpoolError(f"{paths.root}: {error.strerror}; try again") from error


def _raised(paths: SpoolPaths, ended: Ended, result: calls.Result, refusal: str) -> BaseException:
    error: BaseException | None = None
    if result.pickle and not refusal:
        try:
            loaded = pickle.loads(result.pickle)  # noqa: S301  as above
            error = loaded if isinstance(loaded, BaseException) else None
        except (Exception, SystemExit):
            error = None  # its type is not here, say: type and text are
    if error is None:
        is_ours = result.raised.startswith("gpu_queue: ")  # it was not called at all
        told = result.raised.removeprefix("gpu_queue: ") if is_ours else f"raised {result.raised}"
        error = failure_of(paths, ended, told, raised=result.raised)
    error.__cause__ = RemoteTraceback(result.traceback) if result.traceback else None
    return error


def failure_of(paths: SpoolPaths, ended: Ended, problem: str = "", *, raised: str = "") -> TaskFailed:
    """What to raise for a task that brought no result: what became of it, and the end of its log."""
    told = told_outcome(ended.outcome, ended.error_type) + (f" on {ended.node}" if ended.node else "")
    message = f"{short_name(ended.task_id)}: " + ": ".join(filter(None, (told, ended.reason, problem)))
    tail = _log_tail(paths, ended)
    if tail and not raised:
        message += f"\n--- the end of its log\n{tail}"
    return TaskFailed(message, ended.task_id, ended.outcome, ended.status, ended.error_type, raised)


def _log_tail(paths: SpoolPaths, ended: Ended) -> str:
    log = paths.log(ended.claim) if ended.claim is not None else paths.first_log(ended.task_id)
    try:
        text = papers.tail(log, _LOG_TAIL_BYTES)
    except SpoolError:
        return ""
    return "\n".join(printable(line.expandtabs(4)) for line in text.splitlines()[-12:])


def _told(error: BaseException) -> str:
    return printable(f"{type(error).__name__}: {error}")
