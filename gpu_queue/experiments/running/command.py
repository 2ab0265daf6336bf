"""``gpu-queue run``: an experiment file from its first run to its last, on this machine."""

from __future__ import annotations

import argparse
import errno
import os
import signal
import sys

from gpu_queue.conf import read_conf
from gpu_queue.config import TABLE, examine
from gpu_queue.errors import BadExperimentFile, GpuQueueError, SettingsError, SpoolError
from gpu_queue.experiments import loads, telling
from gpu_queue.experiments.progress.display import a_display
from gpu_queue.experiments.progress.nouns import Queue
from gpu_queue.experiments.progress.summary import left_running, question, says_yes, stopped
from gpu_queue.experiments.running import flags as command_line
from gpu_queue.experiments.running.agents import OwnAgent
from gpu_queue.experiments.running.flags import Flags, agent_arguments, agent_environment, flags_of, said_of
from gpu_queue.experiments.running.interrupts import Interrupts
from gpu_queue.experiments.running.leaving import take_down
from gpu_queue.experiments.running.loading import agreed, load, load_rest
from gpu_queue.experiments.running.place import check_origin, check_owner, make_place, own_spool
from gpu_queue.experiments.running.session import Ending, Means, Session
from gpu_queue.experiments.specs.nouns import Experiment
from gpu_queue.experiments.specs.reading import read_experiment
from gpu_queue.policy import believed, read_config
from gpu_queue.shell import SCRIPTS
from gpu_queue.spool.desk import entrance
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.texts import printable

SAYS = (
    "Run the experiments of a file on the GPUs of this machine, and leave alone what others use; show how they do, "
    "and what became of them."
)

add_arguments = command_line.add_arguments
_LINE_CHARS = 5000
"""Commands in it are copied."""


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
    except KeyboardInterrupt:
        _complain(program, "left before it began; what is queued waits: run it again")
        return 128 + signal.SIGINT
    except BrokenPipeError:  # whoever reads has seen enough; the agent goes on
        _say_no_more()
        return 128 + signal.SIGPIPE
    except OSError as error:
        if error.errno != errno.EIO or error.filename is not None:
            raise
        _say_no_more()  # the terminal is gone; the agent goes on
        return 128 + signal.SIGHUP
    except (BadExperimentFile, SettingsError) as error:
        _complain(program, str(error))
        return 2
    except GpuQueueError as error:
        _complain(program, str(error))
        return 1


def _paths(flags: Flags, experiment: Experiment) -> SpoolPaths:
    if flags.job_id is None:
        paths = own_spool(experiment.path)
        check_owner(paths, experiment.path)
        check_origin(paths, experiment.path)
        return paths
    try:
        return entrance.named(flags.job_id, None)
    except SpoolError as error:
        raise SettingsError(f"--job-id: {error}") from error


def _run(flags: Flags, experiment: Experiment, paths: SpoolPaths, program: str) -> int:
    status = agreed(paths, experiment, again=flags.again, yes=flags.yes)
    if status:
        return status
    if flags.job_id is None:
        make_place(paths)
    loaded = load(paths, experiment, again=flags.again)
    loads.say([telling.head(experiment, loaded.plan)])
    loads.say([f"note: {note}" for note in telling.notes(loaded)])
    display = a_display(sys.stdout, os.environ)
    means = Means(lambda: _start(paths, flags), lambda: load_rest(paths, experiment))
    session = Session(paths, experiment, loaded, display, means)
    with Interrupts() as interrupts:
        ending = session.watch(interrupts)
        if ending.signal is not None:
            display.close()
            return _leave(ending, session, interrupts, flags, paths)
    display.end(ending.progress, _queue(paths, experiment, flags))
    if ending.why:
        _complain(program, ending.why)
        for line in ending.words:
            _complain(program, f"  {line}")
        if ending.words:
            _complain(program, f"all of its output: {paths.agent_output}")
        if session.own is not None and flags.job_id is None:
            session.own.tell_to_leave()  # nothing that waits in this queue is for it
        return 1
    has_failed = any(True for _ in ending.progress.failed)
    if has_failed and _is_full(paths.root):
        _complain(program, f"{paths.root}: no space is left on its disk, so that nobody knows how some have ended")
    return int(has_failed)


def _is_full(directory: str) -> bool:
    try:
        facts = os.statvfs(directory)
    except OSError:
        return False
    return facts.f_bavail == 0 or (facts.f_files > 0 and facts.f_favail == 0)


def _start(paths: SpoolPaths, flags: Flags) -> OwnAgent:
    environment = dict(os.environ)
    settings = examine(TABLE, dict(flags.agent), environment).settings
    try:
        config = read_config(paths.config, believed(settings), is_shared=False)
    except SettingsError:
        config = None  # the agent refuses it, and says why
    said = said_of(environment, read_conf(environment), config) if config is not None else frozenset[str]()
    return OwnAgent(paths, agent_arguments(flags, said, paths), agent_environment(environment))


def _leave(ending: Ending, session: Session, interrupts: Interrupts, flags: Flags, paths: SpoolPaths) -> int:
    number = ending.signal or signal.SIGINT
    status = 128 + number
    is_ours = session.own is not None or (flags.job_id is None and session.here is not None)
    answer: str | None = None
    if number == signal.SIGINT and is_ours and sys.stdin.isatty() and sys.stdout.isatty():
        sys.stdout.write(question(ending.progress))
        sys.stdout.flush()
        answer = interrupts.line(sys.stdin.fileno())
    if answer is None or says_yes(answer):
        _say(left_running(ending.progress, flags.command))
    elif take_down(paths, session, interrupts):
        _say(stopped(ending.progress, flags.command))
    else:
        _say(f"The agent is still giving back what runs; go on with: {flags.command}")
    return status


# -- what is said ---------------------------------------------------------------------------------------------------


def _queue(paths: SpoolPaths, experiment: Experiment, flags: Flags) -> Queue:
    try:
        is_set = entrance.named(None, None) == paths
    except SpoolError:
        is_set = False
    root, job_id = os.path.split(paths.root)
    logs = dict.fromkeys(os.path.dirname(run.log) for run in experiment.runs if run.log)
    return Queue(root, job_id, is_set, f"{SCRIPTS}/client.sh", flags.command, tuple(logs))


def _say(line: str) -> None:
    sys.stdout.flush()
    loads.put([printable(line, _LINE_CHARS)])


def _say_no_more() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())


def _complain(program: str, text: str) -> None:
    loads.say([f"{program}: {printable(line, _LINE_CHARS)}" for line in text.splitlines()])
