"""``gpu-queue report``: what the runs of a group, or of a file, took."""

from __future__ import annotations

import argparse
import difflib
import os
import sys
import time
from collections.abc import Iterable

from gpu_queue.errors import GpuQueueError, SpoolError
from gpu_queue.experiments.known import Member, members
from gpu_queue.experiments.progress.lines import Glyphs
from gpu_queue.experiments.reporting import collecting, exports, whole
from gpu_queue.experiments.reporting.tables import table
from gpu_queue.experiments.running.place import own_spool
from gpu_queue.spool.desk import entrance
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.texts import printable

SAYS = "What the runs of an experiment took: times, GPU-hours, memory against what was asked for, failures."
ENDINGS = (".yaml", ".yml")
NAMED_MAX = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line, for the program and for what completes it."""
    parser.add_argument(
        "what",
        metavar="GROUP|FILE",
        help="a group's name: its runs in the queue; or an experiment file (.yaml): its runs, of all groups",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--csv", action="store_true", help="a row a run, for spreadsheets and scripts; empty: not known"
    )
    form.add_argument("--json", action="store_true", help="all there is; null: not known")
    parser.add_argument(
        "--job-id",
        metavar="NAME",
        help="of which queue; default: $JOB_ID; of a file its own, if gpu-queue run made one",
    )


def run(chosen: argparse.Namespace, program: str) -> int:
    """The program: 0 told, 1 the queue cannot be used, or it has no such runs."""
    try:
        _put(_made(chosen))
    except GpuQueueError as error:
        for line in str(error).splitlines():
            print(f"{program}: {printable(line, len(line))}", file=sys.stderr)  # noqa: T201
        return 1
    except BrokenPipeError:  # whoever reads has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _made(chosen: argparse.Namespace) -> bytes:
    what: str = chosen.what
    is_file = what.endswith(ENDINGS)
    paths = entrance.enter(_spool(what, chosen.job_id, is_file=is_file))
    file, group = (os.path.realpath(what), None) if is_file else (None, what)
    found = members(paths, file=file, group=group)
    if not found:
        raise SpoolError(_nothing(what, members(paths), paths, is_file=is_file))
    tasks = collecting.collect(paths, found)
    made = whole.report(tasks, collecting.now_s(paths), time.time(), collecting.beats(paths, tasks))
    if chosen.csv:
        return exports.as_csv(made)
    if chosen.json:
        return exports.as_json(made, exports.Source(paths.root, file, group))
    glyphs = Glyphs.of(sys.stdout.encoding)
    return "".join(f"{line}\n" for line in table(made, _columns(), glyphs)).encode(glyphs.encoding, "replace")


def _spool(what: str, job_id: str | None, *, is_file: bool) -> SpoolPaths:
    if is_file and job_id is None:
        own = own_spool(os.path.realpath(what))
        if entrance.is_made(own):
            return own
    try:
        return entrance.named(job_id, None)
    except SpoolError as error:
        if job_id is not None:
            raise
        if not is_file:
            raise SpoolError(f"{error}; or give an experiment's file in the place of its group") from error
        if not os.path.exists(what):
            raise SpoolError(f"{what}: there is no such file") from error
        raise SpoolError(
            f"{what} was not run here: gpu-queue run does it; --job-id NAME says into which queue it was loaded"
        ) from error


def _nothing(what: str, others: Iterable[Member], paths: SpoolPaths, *, is_file: bool) -> str:
    """What is said where there is nothing, with what there is."""
    queue = f"the queue {paths.root}"
    known = list(dict.fromkeys(one.part.file if is_file else one.part.group for one in others))
    kind = "runs of experiment files" if is_file else "groups"
    if not known:
        return f"{queue} has no runs of experiment files; gpu-queue load FILE.yaml, or gpu-queue run FILE.yaml"
    close = difflib.get_close_matches(what, known, 1)
    told = [*close, *(one for one in known if one not in close)]
    more = f", … and {len(told) - NAMED_MAX} more" if len(told) > NAMED_MAX else ""
    of_what = f"no runs of {what}" if is_file else f"no group {what}"
    return f"{queue} has {of_what}; it has {kind}: {', '.join(told[:NAMED_MAX])}{more}"


def _columns() -> int | None:
    """Of the terminal; None: nobody looks, or it is as wide as it takes."""
    said = os.environ.get("COLUMNS", "")
    if said.isascii() and said.isdigit() and len(said) < 6 and int(said) > 0:
        return int(said)
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or None
    except (OSError, ValueError):
        return None


def _put(content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(sys.stdout.fileno(), view) :]
