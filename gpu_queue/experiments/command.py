"""``gpu-queue load`` and ``gpu_load``: command files and experiment files become tasks."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
from collections import Counter
from collections.abc import Iterator, Sequence

from gpu_queue.errors import BadCommandFile, BadExperimentFile, BadScript, GpuQueueError, NotPublished
from gpu_queue.experiments.commandfiles.batches import Piece
from gpu_queue.experiments.commandfiles.blocks import Mode
from gpu_queue.experiments.commandfiles.comparing import Comparison, News
from gpu_queue.experiments.commandfiles.loading import Load, Loaded, load_files, plan
from gpu_queue.experiments.commandfiles.missing import missing_paths
from gpu_queue.experiments.commandfiles.reading import CommandFile, read_command_files
from gpu_queue.experiments.commandfiles.workplaces import workplaces
from gpu_queue.spool.desk import entrance
from gpu_queue.spool.desk.find import Task
from gpu_queue.spool.desk.sources import working_directory
from gpu_queue.task import short_name
from gpu_queue.texts import printable

SAYS = "Queue the runs of experiment files (.yaml), or the blocks of command files, each as a task."
EXPERIMENT_ENDINGS = (".yaml", ".yml")
_COMMAND_MAX = 100
_NOTES_MAX = 20
"""Of one file: where more is missing, its work_dir is another."""
_WORDS = {
    News.NEW: "new",
    News.CHANGED: "changed",
    News.AGAIN: "once more",
    News.MOVED: "queued anew, for the order",
    News.WAITS: "waits already",
    News.RUNS: "runs already",
    News.DONE: "was done",
    News.FAILED: "has failed; gpu_retry, or --again",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line, for the program and for what completes it."""
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="an experiment file or a command file (docs/experiments.md)"
    )
    parser.add_argument("--job-id", metavar="NAME", help="the queue $QUEUE_ROOT/NAME; default: $JOB_ID")
    parser.add_argument("--dry-run", action="store_true", help="say what would be queued and taken out, do nothing")
    parser.add_argument(
        "--again",
        action="store_true",
        help="queue also what was done or has failed once more; of a command file what runs, too",
    )
    parser.add_argument(
        "--yes", action="store_true", help="do not ask before what an experiment file has changed is taken out"
    )
    parser.add_argument(
        "--shared-queues",
        action="store_true",
        help="queue 1 is one queue in all command files; else each file has its own",
    )
    parser.add_argument(
        "--snapshot",
        action="store_true",
        help="blocks of command files run in a copy of the working tree as it is now (docs/snapshots.md)",
    )
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument(
        "--multi",
        action="store_true",
        help="blocks of command files say how many GPUs they want, as in command_gpus.txt",
    )
    mode.add_argument(
        "--single", action="store_true", help="each block has one GPU; default: as the file's name says"
    )
    parser.add_argument(
        "--work-dir",
        metavar="DIR",
        help="where commands of command files run; default: as config.yaml says, else the parent of their directory",
    )


def main(arguments: Sequence[str], program: str) -> int:
    """The program: 0 loaded, 1 the queue cannot be used or a person said no, 2 a file or the command line is wrong.

    Args:
        arguments: behind its name.
        program: what it is called in its messages.
    """
    parser = argparse.ArgumentParser(prog=program, description=SAYS, allow_abbrev=False)
    add_arguments(parser)
    return run(parser.parse_args(arguments), program)


def run(chosen: argparse.Namespace, program: str) -> int:
    """The same, of a command line that was read."""
    of_experiments = [file.endswith(EXPERIMENT_ENDINGS) for file in chosen.files]
    if any(of_experiments) and (problem := _misfit(chosen, of_experiments)):
        _say(f"{program}: {problem}")
        return 2
    try:
        return _load_experiments(chosen) if any(of_experiments) else _load(chosen)
    except (BadCommandFile, BadExperimentFile, BadScript) as error:
        _complain(program, error)
        return 2
    except KeyboardInterrupt:
        _say(f"\n{program}: left in between; load it again, and what is missing is queued")
        return 128 + signal.SIGINT
    except BrokenPipeError:  # whoever reads has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except NotPublished as error:
        for name in error.published:
            _print(name)
        _complain(program, error)
        return 1
    except GpuQueueError as error:
        _complain(program, error)
        return 1


def _misfit(chosen: argparse.Namespace, of_experiments: Sequence[bool]) -> str:
    """What of the command line makes no sense with experiment files; empty: nothing."""
    if not all(of_experiments):
        other = printable(chosen.files[of_experiments.index(False)])
        return f"{other} is a command file: give experiment files and command files to a call of their own each"
    flags = ("shared_queues", "multi", "single", "work_dir", "snapshot")
    given = [f"--{flag.replace('_', '-')}" for flag in flags if getattr(chosen, flag)]
    if not given:
        return ""
    return f"{given[0]} is for command files: an experiment file says itself queue, gpus, cwd and snapshot"


def _load_experiments(chosen: argparse.Namespace) -> int:
    try:
        from gpu_queue.experiments.loads import load  # noqa: PLC0415  command files need no YAML
    except ModuleNotFoundError as error:
        if error.name != "yaml":
            raise
        raise GpuQueueError(f"experiment files take PyYAML: {sys.executable} -m pip install pyyaml") from error
    return load(chosen.files, chosen.job_id, is_dry=chosen.dry_run, again=chosen.again, yes=chosen.yes)


def _load(chosen: argparse.Namespace) -> int:
    mode = Mode.MULTI if chosen.multi else Mode.SINGLE if chosen.single else None
    files = read_command_files(chosen.files, mode)
    work_dir = os.path.normpath(os.path.join(working_directory(), chosen.work_dir)) if chosen.work_dir else None
    paths = entrance.named(chosen.job_id, None)
    said = workplaces(paths, files) if work_dir is None else {}
    load = Load(
        tuple(files),
        work_dir,
        said,
        shares_queues=chosen.shared_queues,
        again=chosen.again,
        snapshot=chosen.snapshot,
    )
    for file in files:
        for note in _notes(file, load):
            _say(f"note: {note}")
    if chosen.dry_run:
        loaded = plan(paths, load)
        for line in _planned(load, loaded):
            _print(line)
        return 0
    loaded = load_files(paths, load)
    tasks = iter(loaded.tasks)
    is_terminal = sys.stdout.isatty()
    for file, compared in zip(load.files, loaded.comparisons, strict=True):
        for line in _done(file, compared, tasks, tells_all=is_terminal):
            _say(line)
    noted: dict[str, list[str]] = {}
    for task in loaded.tasks:
        for note in task.notes:
            noted.setdefault(note, []).append(printable(task.title))
    for note, titles in noted.items():
        more = f" and {len(titles) - 1} more" if len(titles) > 1 else ""
        _say(f"note: {titles[0]}{more}: {note}")
    if not is_terminal:
        for task in loaded.tasks:
            _print(str(task))
    return 0


# -- what is said ---------------------------------------------------------------------------------------------------


def _notes(file: CommandFile, load: Load) -> Iterator[str]:
    work_dir = load.work_dir_of(file)
    if file.path in load.said and load.said[file.path].note:
        yield load.said[file.path].note
    if not os.path.isdir(work_dir):
        yield f"{printable(work_dir)} is no directory here; --work-dir says where commands run"
        return
    name = printable(os.path.basename(file.path))
    missing = list(missing_paths(file.blocks, work_dir))
    for line, below, ancestor in missing[:_NOTES_MAX]:
        text = f"{name}:{line}: {{work_dir}}/{printable(below)}: {printable(work_dir)} does not have it"
        yield (
            f"{text}, {printable(ancestor)} has: --work-dir {printable(shlex.quote(ancestor))}" if ancestor else text
        )
    if len(missing) > _NOTES_MAX:
        yield f"{name}: {printable(work_dir)} lacks {len(missing) - _NOTES_MAX} more"


def _planned(load: Load, loaded: Loaded) -> Iterator[str]:
    for file, compared in zip(load.files, loaded.comparisons, strict=True):
        yield _head(file, compared)
        said_at = load.said[file.path].said_at if file.path in load.said else ""
        because = f" ({printable(said_at)})" if said_at else ""
        yield f"  commands run in {printable(load.work_dir_of(file))}{because}"
        for piece, news in compared.news:
            yield f"  {_asks(piece)}: {_WORDS[news]}"
            for command in piece.block.commands:
                yield f"      {printable(command, _COMMAND_MAX)}"
        yield from _taken_out(compared, "would be taken out")
    yield "nothing was queued"


def _done(file: CommandFile, compared: Comparison, tasks: Iterator[Task], *, tells_all: bool) -> Iterator[str]:
    """What was done; a pipe gets the names of what is new, and no sentences."""
    yield _head(file, compared)
    published = {id(piece): task for piece, task in zip(compared.published, tasks, strict=False)}
    for piece, news in compared.news:
        task = published.get(id(piece))
        if task is not None and (tells_all or news is not News.NEW):
            nonce = short_name(str(task)).rpartition("(")[2].rstrip(")")
            yield f"  {_asks(piece)}: queued as {nonce}" + ("" if news is News.NEW else f" ({_WORDS[news]})")
        elif task is None and news is not News.WAITS:
            yield f"  {_asks(piece)}: {_WORDS[news]}"
    yield from _taken_out(compared, "taken out")


def _head(file: CommandFile, compared: Comparison) -> str:
    counts = Counter(news for _, news in compared.news)
    queues = len({piece.queue for piece, _ in compared.news})
    told = [f"{count} {_WORDS[news].partition(';')[0]}" for news in News if (count := counts[news])]
    if compared.gone:
        told.append(f"{len(compared.gone)} gone")
    return (
        f"{printable(os.path.basename(file.path))}: {_plural(len(compared.news), 'block')} in "
        f"{_plural(queues, 'queue')}: {', '.join(told)}"
    )


def _asks(piece: Piece) -> str:
    block = piece.block
    memory = f" of {block.memory_gb:g}G" if block.memory_gb else ""
    gpus = f"{block.gpus} {'GPU' if block.gpus_max == 1 else 'GPUs'}"
    return f"{printable(piece.title)} (line {block.first_line}, queue {printable(piece.queue)}, {gpus}{memory})"


def _taken_out(compared: Comparison, words: str) -> Iterator[str]:
    gone = {one.task.id for one in compared.gone}
    out = {one.task.id for one in compared.cancelled}
    for one in compared.cancelled:
        yield f"  {short_name(str(one.task))}: {words}" + (
            ", it is gone from the file" if one.task.id in gone else ""
        )
    for one in compared.gone:
        if one.task.id not in out:
            yield f"  {short_name(str(one.task))}: gone from the file; in {one.task.where}, where it stays"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _complain(program: str, error: GpuQueueError) -> None:
    for line in str(error).splitlines():
        _say(f"{program}: {line}")


def _say(line: str) -> None:
    _write(sys.stderr.fileno(), line)


def _print(line: str) -> None:
    _write(sys.stdout.fileno(), line)


def _write(descriptor: int, line: str) -> None:
    """A line whose bytes need not be characters."""
    os.write(descriptor, f"{line}\n".encode("utf-8", "surrogateescape"))
