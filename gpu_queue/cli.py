"""``gpu-queue``: the installed command.  One parser makes its help, its man page and its completion.

- It starts in some tens of milliseconds: the flags of a verb are made only where that verb was asked for.
- It imports no agent; ``gpu-queue agent`` becomes one by running it as a program.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from gpu_queue import __version__

PROGRAM = "gpu-queue"
AGENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "agent", "__main__.py")
SHELLS = ("bash", "zsh", "tcsh")
_DESCRIPTION = "A queue for GPU jobs that needs nothing but a shared directory."


def build_parser(verbs: frozenset[str] | None = None) -> argparse.ArgumentParser:
    """The command line.

    Args:
        verbs: whose flags are made; None: those of all, with what completes them.
    """
    made = argparse.ArgumentParser(
        prog=PROGRAM,
        description=_DESCRIPTION,
        epilog="In a shell, `source client.sh` gives gpu_submit, gpu_status and the rest; from Python: "
        "from gpu_queue import Spool.",
        allow_abbrev=False,
    )
    made.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = made.add_subparsers(dest="verb", metavar="COMMAND", title="commands")
    _agent(commands, is_wanted=verbs is None or "agent" in verbs, is_complete=verbs is None)
    _load(commands, is_wanted=verbs is None or "load" in verbs)
    _report(commands, is_wanted=verbs is None or "report" in verbs)
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
    if metavar == "DIR":
        action.complete = {"bash": "_shtab_compgen_dirs", "zsh": "_files -/", "tcsh": "d"}  # type: ignore[attr-defined]


def _load(commands: _Commands[argparse.ArgumentParser], *, is_wanted: bool) -> None:
    text = "queue the blocks of command files"
    if not is_wanted:
        commands.add_parser("load", help=text)
        return
    from gpu_queue.experiments.command import SAYS, add_arguments  # noqa: PLC0415  only here

    epilog = "The queue is $JOB_ID in $QUEUE_ROOT, or as gpu-queue.conf says. docs/experiments.md shows the files."
    add_arguments(commands.add_parser("load", help=text, description=SAYS, epilog=epilog, allow_abbrev=False))


def _report(commands: _Commands[argparse.ArgumentParser], *, is_wanted: bool) -> None:
    text = "tell what the runs of an experiment took"
    if not is_wanted:
        commands.add_parser("report", help=text)
        return
    from gpu_queue.experiments.reporting.command import SAYS, add_arguments  # noqa: PLC0415  only here

    epilog = "It tells what is known while runs go on, too. docs/experiments.md shows one."
    add_arguments(commands.add_parser("report", help=text, description=SAYS, epilog=epilog, allow_abbrev=False))


def _completion(commands: _Commands[argparse.ArgumentParser]) -> None:
    made = commands.add_parser(
        "completion",
        help="print what a shell needs to complete this command",
        description='Print what a shell needs to complete this command. bash: eval "$(gpu-queue completion bash)" in '
        "~/.bashrc; zsh: gpu-queue completion zsh > a directory of $fpath/_gpu-queue.",
        allow_abbrev=False,
    )
    made.add_argument("shell", choices=SHELLS, help="for which shell")


def _print_completion(shell: str) -> int:
    try:
        import shtab  # noqa: PLC0415  only here
    except ModuleNotFoundError:
        print(f"{PROGRAM}: completion needs the package shtab: pip install shtab", file=sys.stderr)  # noqa: T201
        return 1
    print(shtab.complete(build_parser(), shell=shell))  # noqa: T201
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """The program; ``gpu-queue agent`` does not come back from here."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = build_parser(frozenset(given[:1]))
    chosen = parser.parse_args(given)
    if chosen.verb == "agent":
        os.execv(sys.executable, [sys.executable, AGENT, *given[1:]])
    if chosen.verb == "load":
        from gpu_queue.experiments.command import run  # noqa: PLC0415  only here

        return run(chosen, f"{PROGRAM} load")
    if chosen.verb == "report":
        from gpu_queue.experiments.reporting.command import run as report  # noqa: PLC0415  only here

        return report(chosen, f"{PROGRAM} report")
    if chosen.verb == "completion":
        return _print_completion(chosen.shell)
    parser.print_help()
    return 0
