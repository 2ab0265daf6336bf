"""``gpu-queue notify``: tell people what is to be told, try an address, say what is missing."""

from __future__ import annotations

import argparse
import importlib.util
import os
import socket
import sys
import time
from collections.abc import Iterator, Sequence

from gpu_queue.errors import GpuQueueError, SpoolError
from gpu_queue.notices import is_label, label_of_variable
from gpu_queue.notify import deliver
from gpu_queue.notify.addresses import PREFIX, Book, path_of, read_book
from gpu_queue.notify.children import Child
from gpu_queue.notify.sending import Outcome, Round
from gpu_queue.notify.telling import Teller
from gpu_queue.spool import outbox
from gpu_queue.spool.desk import entrance
from gpu_queue.spool.noticenames import UNSENT, Stage
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.texts import printable

SAYS = (
    "Tell people what tasks came to, as --notify and config.yaml ask for: what waits in a queue's notify/ is sent to "
    "the addresses that this user has for the labels."
)
WATCH_S = 15.0
INSTALL = f"apprise is not installed for {sys.executable}: pip install 'gpu-queue[notify]'"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line, for the program and for what completes it."""
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--watch", action="store_true", help="go on until Ctrl-C, with a look each 15 s")
    what.add_argument(
        "--check",
        nargs="?",
        const="",
        metavar="LABEL",
        help="send a trial to LABEL; without one: say which labels have an address here, and what is missing",
    )
    parser.add_argument("--job-id", metavar="NAME", help="of which queue; default: $JOB_ID")


def run(chosen: argparse.Namespace, program: str) -> int:
    """The program: 0 all is well, 1 something could not be told, or is missing."""
    book = read_book(os.environ)
    try:
        if chosen.check:
            return _try(chosen.check, book, program)
        if chosen.check is not None:
            return _tell_state(book, chosen.job_id)
        paths = entrance.enter(entrance.named(chosen.job_id, None))
        return _send(paths, book, program, is_watching=chosen.watch)
    except GpuQueueError as error:
        for line in str(error).splitlines():
            _complain(f"{program}: {printable(line, len(line))}")
        return 1
    except KeyboardInterrupt:
        return 130


def _send(paths: SpoolPaths, book: Book, program: str, *, is_watching: bool) -> int:
    before: list[str] = []
    while True:
        try:
            outcome = Round(paths, book, frozenset({os.geteuid(), os.stat(paths.root).st_uid})).work()
        except OSError as error:
            if not is_watching:
                raise SpoolError(f"{error.filename or paths.root}: {error.strerror}; try again") from error
            outcome = Outcome(problems=[f"{error.filename or paths.root}: {error.strerror}"])
        lines = list(_told(outcome))
        if lines != before or outcome.told or not is_watching:
            for line in lines:
                print(line, flush=True)  # noqa: T201
            for problem in dict.fromkeys((*book.problems, *outcome.problems)):
                _complain(f"{program}: {problem}")
        before = lines
        if not is_watching:
            return 1 if outcome.problems or book.problems else 0
        time.sleep(WATCH_S)
        book = read_book(os.environ)


def _told(outcome: Outcome) -> Iterator[str]:
    parts = [f"{outcome.told} told"]
    if outcome.messages != outcome.told:
        parts[0] += f" in {outcome.messages} messages"
    if outcome.again:
        parts.append(f"{outcome.again} will be tried again")
    if outcome.left:
        parts.append(f"{outcome.left} wait for their turn")
    if outcome.given_up:
        parts.append(f"{outcome.given_up} given up after a day")
    yield ", ".join(parts)
    for label, count in sorted(outcome.unknown.items()):
        yield f"{count} wait for {label}, of which no address is known here"


def _try(label: str, book: Book, program: str) -> int:
    if not is_label(label):
        raise SpoolError(
            f"{printable(label)!r} is no label; expected a letter, then up to 31 letters, digits, _ or -"
        )
    addresses = book.of(label)
    if not addresses:
        for problem in book.problems:
            _complain(f"{program}: {problem}")
        variable = f"{PREFIX}{label_of_variable(label)}"
        where = path_of(os.environ)
        raise SpoolError(
            f"no address of {label} is known here: set {variable}, or write `{label} = URL` into {where}"
        )
    if importlib.util.find_spec("apprise") is None:
        raise SpoolError(INSTALL)
    message = Teller("", book.language, book.scrubbed).trial(label, socket.gethostname())
    try:
        delivery = Child(addresses, [message]).result()
    except OSError as error:
        raise SpoolError(f"no process could be started: {error.strerror}") from error
    word = delivery.words[0]
    if delivery.refused:
        _complain(f"{program}: {label}: {delivery.refused} of {len(addresses)} addresses are none that apprise takes")
    if word == deliver.SENT:
        print(f"{label}: sent")  # noqa: T201
        return 1 if delivery.refused else 0
    if word == deliver.FAILED:
        _complain(f"{program}: {label}: nobody took it within {deliver.DEADLINE_S:.0f} s")
    return 1


def _tell_state(book: Book, job_id: str | None) -> int:
    problems = list(book.problems)
    version = _version()
    lines = [("apprise", version or f"PROBLEM: {INSTALL}")]
    if not version:
        problems.append(INSTALL)
    labels = ", ".join(book.labels).lower()
    lines.append(("labels", labels or f"none: set {PREFIX}OPS, or write `ops = URL` into {path_of(os.environ)}"))
    lines += [("addresses", f"PROBLEM: {problem}") for problem in book.problems]
    try:
        paths = entrance.enter(entrance.named(job_id, None))
        lines += [("queue", paths.root), *_waiting(paths, book)]
    except OSError as error:
        problems.append(str(error))
        lines.append(("queue", f"PROBLEM: {error.filename}: {error.strerror}"))
    except GpuQueueError as error:
        lines.append(("queue", printable(str(error))))
    for what, text in lines:
        print(f"{what:<12}{text}")  # noqa: T201
    return 1 if problems else 0


def _waiting(paths: SpoolPaths, book: Book) -> Sequence[tuple[str, str]]:
    there = outbox.look(paths)
    unsent = [one for one in there if one.stage in UNSENT]
    told = [("waiting", f"{len(unsent)} to be told, {sum(one.stage is Stage.AGAIN for one in unsent)} of them again")]
    unknown = sorted({one.label for one in unsent if not book.of(one.label)})
    if unknown:
        told.append(("", f"no address here of {', '.join(unknown)}"))
    given_up = sum(one.stage is Stage.GIVEN_UP for one in there)
    if given_up:
        told.append(("given up", f"{given_up} within a week: nobody took them for a day"))
    return told


def _version() -> str:
    """Of apprise, without loading it; empty: there is none."""
    import importlib.metadata  # noqa: PLC0415 - only here

    try:
        return importlib.metadata.version("apprise")
    except importlib.metadata.PackageNotFoundError:
        return ""


def _complain(line: str) -> None:
    print(line, file=sys.stderr)  # noqa: T201
