"""``gpu-queue shell-init``: the lines that give a shell the commands, their completion and the man page.

- They are meant to be written once into ``~/.bashrc`` or ``~/.zshrc``: no Python starts with each shell.
- An update may move the package (the directory of another Python); then they ask ``gpu-queue`` anew.
"""

from __future__ import annotations

import os
import shlex
import sys

from gpu_queue.shell import COMPLETIONS, HERE, IS_CLONE, SCRIPTS, TOP

SHELLS = ("bash", "zsh")
_PAGE = os.path.join("man1", "gpu-queue.1")
_COMPLETES = {
    "bash": "case $- in *i*) source {completion} ;; esac",
    "zsh": 'if (( $+functions[compdef] )); then eval "$(<{completion})"; fi',
}
_LINES = """\
# gpu-queue: its commands, completion, man page.  Written by: gpu-queue shell-init {shell} >>~/.{shell}rc
if [ -r {client} ]; then
  source {client}
  {completes}
{manual}elif command -v gpu-queue >/dev/null; then # it has moved
  eval "$(gpu-queue shell-init {shell})"
fi
"""
_MANUAL = """\
  case :${{MANPATH-}}: in *:{directory}:*) ;; *) export MANPATH="${{MANPATH-}}":{directory} ;; esac
"""


def shell_of(environment_shell: str) -> str:
    """The shell that ``$SHELL`` names; bash where it names none.

    Raises:
        ValueError: it is another one.
    """
    name = os.path.basename(environment_shell) or "bash"
    if name not in SHELLS:
        raise ValueError(f"this shell is {name} ($SHELL); expected one of: {', '.join(SHELLS)}")
    return name


def manual_directory(prefix: str = sys.prefix) -> str | None:
    """Where ``man`` finds our page, or None: it was not installed.

    Args:
        prefix: of the environment that we are in.
    """
    for directory in ([os.path.join(TOP, "docs")] if IS_CLONE else []) + [os.path.join(prefix, "share", "man")]:
        if os.path.isfile(os.path.join(directory, _PAGE)) and ":" not in directory:  # MANPATH could not hold it
            return directory
    return None


def init_lines(shell: str, *, scripts: str = SCRIPTS, manual: str | None = None) -> str:
    """What a shell shall run at its start.  Pure.

    Args:
        shell: bash or zsh.
        scripts: the directory of client.sh.
        manual: a directory for ``MANPATH``, if any.
    """
    completion = shlex.quote(os.path.join(HERE, COMPLETIONS[shell]))
    return _LINES.format(
        shell=shell,
        client=shlex.quote(os.path.join(scripts, "client.sh")),
        completes=_COMPLETES[shell].format(completion=completion),
        manual="" if manual is None else _MANUAL.format(directory=shlex.quote(manual)),
    )
