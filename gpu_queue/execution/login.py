"""Login shells (``#!/bin/bash -l``): what the agent's environment added survives the user's profile.

- A profile that begins with ``PATH=/usr/bin:/bin`` takes the agent's conda environment away, and one that sets
  ``CUDA_VISIBLE_DEVICES`` the task's GPUs.  So both are put back when the profile has been read, before the script.
- bash reads its script itself, as ever (``$0``, arguments, traps, ``set -e``): it is told not to read the profile,
  and does so by its start file, ours.  A start file beside the profile is none: profiles set BASH_ENV (Lmod's).
- Other shells have no start file after their profile: they source the script.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

from gpu_queue.execution.localfiles import write_in_place

_SHELLS = frozenset({"ash", "bash", "dash", "ksh", "mksh", "sh", "zsh"})
_LOGIN = re.compile(r"-[A-Za-z]*l[A-Za-z]*|--login", re.ASCII)
_INTERACTIVE = re.compile(r"-[A-Za-z]*i[A-Za-z]*", re.ASCII)
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=.*", re.ASCII | re.DOTALL)
_PLAIN_PLACES = frozenset(
    f"{above}/{name}" for above in ("", "/usr", "/usr/local") for name in ("bin", "sbin", "games")
)
"""Each profile has them: where they stand, the agent's environment added nothing."""
_LISTS = ("LD_LIBRARY_PATH", "PYTHONPATH")
_OURS = re.compile(
    r"CONDA_\w+|VIRTUAL_ENV|CUDA_VISIBLE_DEVICES|CUDA_DEVICE_ORDER|GPU_QUEUE_\w+|JOB_ID|QUEUE_ROOT"
    r"|SLURM_\w+|SLURMD_\w+|PBS_\w+|[A-Z_]*MASTER_PORT",
    re.ASCII,
)
_BASH_PROFILE = b"""\
if [ -r /etc/profile ]; then . /etc/profile; fi
if [ -r ~/.bash_profile ]; then . ~/.bash_profile
elif [ -r ~/.bash_login ]; then . ~/.bash_login
elif [ -r ~/.profile ]; then . ~/.profile
fi
"""
_BASH_ENV = b"""\
if [ -n "${BASH_ENV-}" ] && [ -r "$BASH_ENV" ]; then . "$BASH_ENV"; fi
"""


def keep_environment(
    program: Sequence[str], script_path: str, environment: Mapping[str, str], directory: str
) -> tuple[list[str], dict[str, str]]:
    """What runs a script so that its login shell loses nothing of the environment; others run as they are.

    Args:
        program: what would run it, and its arguments.
        script_path: the script in there.
        environment: the script's.
        directory: the try's own, for a start file.

    Returns:
        The program, and variables beside the environment's.

    Raises:
        OSError: the local disk takes no start file.
    """
    place = program.index(script_path)
    before, shell = _shell_of(program[:place])
    if not shell or not any(_LOGIN.fullmatch(one) for one in shell[1:]):
        return list(program), {}
    name = os.path.basename(shell[0])
    start = f"{directory}/login"
    restored = _restoring(environment)
    if name != "bash":
        write_in_place(start, restored)
        return [*before, *shell, "-c", f'. {_quoted(start)}\n. "$0"', *program[place:]], {}
    if "--posix" in shell or "POSIXLY_CORRECT" in environment:
        return list(program), {}  # there bash has no start file
    is_interactive = any(_INTERACTIVE.fullmatch(one) for one in shell[1:])
    theirs = environment.get("BASH_ENV")
    reset = b"unset BASH_ENV\n" if theirs is None else os.fsencode(f"export BASH_ENV={_quoted(theirs)}\n")
    if is_interactive:
        write_in_place(start, _BASH_PROFILE + restored)
        options = [_without_login(one) for one in shell[1:]]
        rest = [one for one in options if one]
        return [*before, shell[0], "--rcfile", start, *rest, *program[place:]], {}
    write_in_place(start, reset + _BASH_PROFILE + _BASH_ENV + restored)
    return [*before, shell[0], "--noprofile", *shell[1:], *program[place:]], {"BASH_ENV": as_bash_env(start)}


def as_bash_env(path: str) -> str:
    """The value of BASH_ENV that names a file: bash expands it as between double quotes."""
    return re.sub(r'([\\`$"])', r"\\\1", path)


def _without_login(option: str) -> str:
    if option == "--login":
        return ""
    if not _LOGIN.fullmatch(option):
        return option
    letters = option[1:].replace("l", "")
    return f"-{letters}" if letters else ""


def _shell_of(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """What stands before a shell (``env`` and what it is to do), and a shell with its options; empty: none."""
    if not words:
        return [], []
    if os.path.basename(words[0]) != "env":
        return ([], list(words)) if os.path.basename(words[0]) in _SHELLS else ([], [])
    rest = [word for one in words[1:] for word in one.split()]
    before = [words[0]]
    while rest and (rest[0].startswith("-") or _ASSIGNMENT.fullmatch(rest[0])):
        word = rest.pop(0)
        if word.startswith("-S"):
            rest[:0] = [word[2:]] if word[2:] else []
        elif word.startswith("--split-string"):
            rest[:0] = [word.partition("=")[2]] if "=" in word else []
        elif _ASSIGNMENT.fullmatch(word):
            before.append(word)
        else:
            return [], []
    # Quotes and variables of env are env's to read.
    is_plain = not any(set(word) & set("\"'$\\") for word in (*before, *rest))
    return (before, rest) if rest and is_plain and os.path.basename(rest[0]) in _SHELLS else ([], [])


def _restoring(environment: Mapping[str, str]) -> bytes:
    """Shell lines that put back what is the agent's and the task's."""
    lines = [f"export {name}={_quoted(value)}" for name, value in environment.items() if _OURS.fullmatch(name)]
    places = [one for one in environment.get("PATH", "").split(":") if one]
    first_plain = next((at for at, one in enumerate(places) if one in _PLAIN_PLACES), len(places))
    front = "".join(f"{one}:" for one in places[:first_plain])
    if front:
        lines.append(f"case $PATH in {_quoted(front)}*) ;; *) PATH={_quoted(front)}$PATH ;; esac")
    for one in places[first_plain:]:
        lines.append(f"case :$PATH: in *{_quoted(f':{one}:')}*) ;; *) PATH=$PATH:{_quoted(one)} ;; esac")
    lines.append("export PATH")
    for name in _LISTS:
        value = environment.get(name)
        if value:
            lines.append(
                f"case ${{{name}-}} in {_quoted(value)}*) ;; "
                f"*) export {name}={_quoted(value)}${{{name}:+:${name}}} ;; esac"
            )
    return os.fsencode("".join(f"{line}\n" for line in lines))


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "'\\''") + "'"
