"""``gpu-queue``: the installed command.  One parser makes its help, its man page and its completion.

- It starts in some tens of milliseconds: the flags of a verb are made only where that verb was asked for.
- It imports no agent; ``gpu-queue agent`` becomes one by running it as a program.
- Completion and man page are written by ``make docs``: what a shell needs is there without a Python's start.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import NamedTuple

from gpu_queue import __version__, shell

PROGRAM = "gpu-queue"
AGENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "agent", "__main__.py")
_DESCRIPTION = "A queue for GPU jobs that needs nothing but a shared directory."
_PATHS = {
    "FILE": {"bash": "_shtab_compgen_files", "zsh": "_files", "tcsh": "f"},
    "DIR": {"bash": "_shtab_compgen_dirs", "zsh": "_files -/", "tcsh": "d"},
}


class _Verb(NamedTuple):
    """A command about files of tasks; its module is imported only where it was asked for."""

    text: str
    module: str
    """It has ``SAYS``, ``add_arguments(parser)`` and ``run(chosen, program)``."""
    epilog: str


_OF_FILES = {
    "load": _Verb(
        "queue the runs of experiment files, or the blocks of command files",
        "gpu_queue.experiments.command",
        "The queue is $JOB_ID in $QUEUE_ROOT, or as gpu-queue.conf says. docs/experiments.md shows the files.",
    ),
    "run": _Verb(
        "run the experiments of a file here, and watch them",
        "gpu_queue.experiments.running.command",
        "The status is 0 where all is done, 1 where something failed, 2 where the file is wrong, 130 after Ctrl-C. "
        "docs/experiments.md shows the files.",
    ),
    "report": _Verb(
        "tell what the runs of an experiment took",
        "gpu_queue.experiments.reporting.command",
        "It tells what is known while runs go on, too. docs/experiments.md shows one.",
    ),
    "console": _Verb(
        "serve a web page over the queues, and its API",
        "gpu_queue.console.main",
        "It needs pip install 'gpu-queue[console]'. The link that it prints holds a token: whoever has it can run "
        "code as you. docs/console.md tells of tunnels, proxies and the API.",
    ),
    "notify": _Verb(
        "tell people what tasks came to; try an address",
        "gpu_queue.notify.command",
        "It needs pip install 'gpu-queue[notify]'. Addresses stand in $GPU_QUEUE_NOTIFY_<LABEL> or in "
        "~/.config/gpu-queue/notify, mode 0600. docs/notify.md tells the rest.",
    ),
    "schema": _Verb(
        "print the schema of experiment files, for editors",
        "gpu_queue.experiments.specs.schema",
        "In an editor with yaml-language-server: a first line `# yaml-language-server: $schema=PATH` in the file.",
    ),
}


def build_parser(verbs: frozenset[str] | None = None) -> argparse.ArgumentParser:
    """The command line.

    Args:
        verbs: whose flags are made; None: those of all, with what completes them.
    """
    made = argparse.ArgumentParser(
        prog=PROGRAM,
        description=_DESCRIPTION,
        epilog="`gpu-queue shell-init >>~/.bashrc` gives shells gpu_submit, gpu_status and the rest; in a clone, "
        "`source client.sh` does. From Python: from gpu_queue import Spool. The pages in docs/ that texts name lie "
        "in a clone, and in share/doc/gpu-queue of the Python that gpu-queue was installed for.",
        allow_abbrev=False,
    )
    made.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = made.add_subparsers(dest="verb", metavar="COMMAND", title="commands")
    _agent(commands, is_wanted=verbs is None or "agent" in verbs, is_complete=verbs is None)
    for verb in _OF_FILES:
        _of_files(commands, verb, is_wanted=verbs is None or verb in verbs)
    _submit(commands)
    _shell_init(commands)
    _completion(commands)
    return made


_Commands = argparse._SubParsersAction


def _agent(commands: _Commands[argparse.ArgumentParser], *, is_wanted: bool, is_complete: bool) -> None:
    text = "serve one spool on this node: run its scripts on free GPUs"
    if not is_wanted:
        commands.add_parser("agent", help=text)
        return
    from gpu_queue.config import ELSEWHERE, SERVES, add_flags  # noqa: PLC0415  the table takes its time

    made = commands.add_parser("agent", help=text, description=SERVES, epilog=ELSEWHERE, allow_abbrev=False)
    for row, action in add_flags(made):
        if is_complete:
            _complete(action, row.kind.schema.get("enum", ()), row.metavar)


def _complete(action: argparse.Action, words: Sequence[object], metavar: str) -> None:
    """Tell a completion what may stand there; the agent itself judges what does."""
    if action.nargs is None and words:
        action.choices = [word for word in words if isinstance(word, str)]
        action.metavar = metavar
    if metavar in _PATHS:
        action.complete = _PATHS[metavar]  # type: ignore[attr-defined]


def _of_files(commands: _Commands[argparse.ArgumentParser], verb: str, *, is_wanted: bool) -> None:
    row = _OF_FILES[verb]
    if not is_wanted:
        commands.add_parser(verb, help=row.text)
        return
    module = importlib.import_module(row.module)
    made = commands.add_parser(verb, help=row.text, description=module.SAYS, epilog=row.epilog, allow_abbrev=False)
    module.add_arguments(made)
    for action in made._actions:
        _complete(action, (), str(action.metavar).rpartition("|")[2])


def _submit(commands: _Commands[argparse.ArgumentParser]) -> None:
    made = commands.add_parser(
        "submit.sh",
        help="start agents that serve a queue: here in the background, or by a job of the cluster",
        description="Start agents that serve a queue, on this machine or by a job of the cluster: the script "
        "submit.sh of a clone. `gpu-queue submit.sh --help` shows its own help.",
        allow_abbrev=False,
    )
    made.add_argument("words", nargs="*", metavar="ARGUMENT", help="as its help tells: JOB_ID [GPUS] [NODES] ...")


def _shell_init(commands: _Commands[argparse.ArgumentParser]) -> None:
    made = commands.add_parser(
        "shell-init",
        help="print the lines for ~/.bashrc that give shells the commands",
        description="Print the lines that give a shell gpu_submit, gpu_status and the rest (client.sh), the "
        "completion of gpu-queue and its man page. Once: gpu-queue shell-init bash >>~/.bashrc, or gpu-queue "
        "shell-init zsh >>~/.zshrc (behind compinit).",
        allow_abbrev=False,
    )
    made.add_argument("shell", nargs="?", choices=("bash", "zsh"), help="for which shell; default: as $SHELL says")


def _completion(commands: _Commands[argparse.ArgumentParser]) -> None:
    made = commands.add_parser(
        "completion",
        help="print what a shell needs to complete this command",
        description="Print what a shell needs to complete this command; what shell-init prints includes it. zsh: "
        "gpu-queue completion zsh > a directory of $fpath/_gpu-queue.",
        allow_abbrev=False,
    )
    made.add_argument("shell", choices=tuple(shell.COMPLETIONS), help="for which shell")


def _print_completion(name: str) -> int:
    path = os.path.join(shell.HERE, shell.COMPLETIONS[name])
    try:
        with open(path, encoding="utf-8") as stream:
            sys.stdout.write(stream.read())
    except OSError as error:
        print(f"{PROGRAM} completion: {path}: {error.strerror}; install it anew", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _print_init(name: str | None) -> int:
    from gpu_queue.shell import init  # noqa: PLC0415  only here

    try:
        lines = init.init_lines(name or init.shell_of(os.environ.get("SHELL", "")), manual=init.manual_directory())
    except ValueError as error:
        print(f"{PROGRAM} shell-init: {error}", file=sys.stderr)  # noqa: T201
        return 2
    sys.stdout.flush()
    sys.stdout.buffer.write(os.fsencode(lines))  # a path may hold any bytes
    return 0


def _open_closed() -> None:
    """Open what our caller has closed of the first three (``>&-``): a file of a queue must not get its number."""
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
            if opened == descriptor:
                setattr(sys, name, open(opened, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def main(arguments: Sequence[str] | None = None) -> int:
    """The program; ``gpu-queue agent`` and ``submit.sh`` do not come back from here."""
    _open_closed()
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["submit.sh"]:  # it reads its words itself
        os.execvp("bash", ["bash", shell.SUBMIT, *given[1:]])
    parser = build_parser(frozenset(given[:1]))
    chosen = parser.parse_args(given)
    if chosen.verb == "agent":
        os.execv(sys.executable, [sys.executable, AGENT, *given[1:]])
    if chosen.verb in _OF_FILES:
        return int(importlib.import_module(_OF_FILES[chosen.verb].module).run(chosen, f"{PROGRAM} {chosen.verb}"))
    if chosen.verb == "shell-init":
        return _print_init(chosen.shell)
    if chosen.verb == "completion":
        return _print_completion(chosen.shell)
    parser.print_help()
    return 0
