"""``gpu-queue run``: an experiment file from its first run to its last, on this machine."""

from __future__ import annotations

import argparse
import os
import signal
import sys

from gpu_queue.conf import read_conf
from gpu_queue.config import TABLE, examine
from gpu_queue.errors import BadExperimentFile, GpuQueueError, SettingsError, SpoolError
from gpu_queue.experiments.progress.display import Display
from gpu_queue.experiments.progress.nouns import Progress
from gpu_queue.experiments.progress.plain import PlainDisplay
from gpu_queue.experiments.progress.sentences import summary
from gpu_queue.experiments.running import flags as command_line
from gpu_queue.experiments.running.agents import OwnAgent
from gpu_queue.experiments.running.flags import Flags, agent_arguments, agent_environment, flags_of, said_of
from gpu_queue.experiments.running.interrupts import Interrupts
from gpu_queue.experiments.running.leaving import take_down
from gpu_queue.experiments.running.loading import load
from gpu_queue.experiments.running.place import make_place, own_spool
from gpu_queue.experiments.running.session import Ending, Session
from gpu_queue.experiments.specs.nouns import Experiment
from gpu_queue.experiments.specs.reading import read_experiment
from gpu_queue.policy import believed, read_config
from gpu_queue.spool.desk import entrance
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.texts import printable

SAYS = (
    "Run the experiments of a file on the GPUs of this machine, and leave alone what others use; show how they do, "
    "and what became of them."
)

add_arguments = command_line.add_arguments


def run(chosen: argparse.Namespace, program: str) -> int:
    """The program, of a command line that was read.

    Returns:
        0 all is done, 1 something failed or was cancelled, 2 the file or the flags are wrong, 130 left by Ctrl-C.
    """
    try:
        flags = flags_of(chosen)
        if flags.problems():
            raise SettingsError(*flags.problems())
        experiment = read_experiment(flags.file)
        paths = _paths(flags, experiment)
        return _run(flags, experiment, paths, program)
    except (BadExperimentFile, SettingsError) as error:
        _complain(program, str(error))
        return 2
    except GpuQueueError as error:
        _complain(program, str(error))
        return 1


def _paths(flags: Flags, experiment: Experiment) -> SpoolPaths:
    if flags.job_id is None:
        return own_spool(experiment.path)
    try:
        return entrance.named(flags.job_id, None)
    except SpoolError as error:
        raise SettingsError(f"--job-id: {error}") from error


def _run(flags: Flags, experiment: Experiment, paths: SpoolPaths, program: str) -> int:
    if flags.job_id is None:
        make_place(paths)
    display: Display = PlainDisplay(sys.stdout)
    loaded = load(paths, experiment, again=flags.again)
    for note in loaded.notes:
        display.say(f"note: {note}")
    session = Session(paths, experiment, loaded.ids, display, lambda: _start(paths, flags))
    with Interrupts() as interrupts:
        ending = session.watch(interrupts)
        display.close()
        if ending.signal is not None:
            return _leave(ending, session, interrupts, flags, paths)
    for line in _told(ending.progress):
        _say(line)
    if ending.why:
        _complain(program, ending.why)
        for line in session.last_words():
            _complain(program, f"  {line}")
        return 1
    return int(ending.progress.counts.done < len(experiment.runs))


def _start(paths: SpoolPaths, flags: Flags) -> OwnAgent:
    environment = dict(os.environ)
    settings = examine(TABLE, dict(flags.agent), environment).settings
    try:
        config = read_config(paths.config, believed(settings), is_shared=False)
    except SettingsError:
        config = None  # the agent refuses it, and says why
    said = said_of(environment, read_conf(environment), config) if config is not None else frozenset[str]()
    return OwnAgent(paths, agent_arguments(flags, said, paths), agent_environment(environment))


def _told(progress: Progress) -> list[str]:
    return [summary(progress)]


def _leave(ending: Ending, session: Session, interrupts: Interrupts, flags: Flags, paths: SpoolPaths) -> int:
    number = ending.signal or signal.SIGINT
    status = 128 + number
    is_ours = session.own is not None or (flags.job_id is None and session.here is not None)
    answer: str | None = None
    if number == signal.SIGINT and is_ours and sys.stdin.isatty() and sys.stdout.isatty():
        sys.stdout.write(f"{summary(ending.progress)}. Leave it running? [Y/n] ")
        sys.stdout.flush()
        answer = interrupts.line(sys.stdin.fileno())
    if answer is not None and answer.lower() in ("n", "no", "否"):
        take_down(paths, session, interrupts)
        _say("what ran was stopped, and waits with the rest for the next gpu-queue run")
    else:
        _say(f"left running; gpu-queue run {printable(flags.file)} shows it again")
    return status


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


def _complain(program: str, text: str) -> None:
    for line in text.splitlines():
        print(f"{program}: {printable(line)}", file=sys.stderr)  # noqa: T201
