"""Starts the shim of one try.

- One ``posix_spawn``: no copy of a large agent, no Python between fork and exec.  The shim gets its own session,
  /dev/null as stdio, default signals, the try's lock on descriptor 9, and its parameters as arguments; no shell line
  is ever built, and no variable of its own gets into the script's environment.
- Only local things are touched here: a spawn returns after the exec, and on hung storage it would not.  So the agent
  is in ``/`` (it goes there at its start), the shim is a local copy, and log and ``cd`` are the shim's business.
- dash and busybox drop variables whose names are no identifiers, such as bash's exported functions
  (``BASH_FUNC_module%%``); those are carried past the shim as arguments of ``env``.
- A shell ignores INT and QUIT for what it runs in the background, and POSIX lets nothing undo that but a program of
  its own: a script is ended by TERM.
"""

from __future__ import annotations

import fcntl
import functools
import math
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LOCK_DESCRIPTOR = 9
"""The highest that every POSIX shell can name."""

COMPANION_DESCRIPTOR = 3
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_CLAIM_NAME = re.compile(r"[A-Za-z0-9._+=-]+", re.ASCII)
_ALL_SIGNALS = tuple(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})


@dataclass(frozen=True)
class LaunchSpec:
    """All that one try is started with."""

    shim: str
    """``NodeDirectory.install_shim()``."""
    claim_path: str
    try_dir: str
    log_path: str
    cwd: str
    program: tuple[str, ...]
    """``with_death_signal(interpreter(...))``, and the arguments of a task that has some."""
    environment: Mapping[str, str]
    lock_fd: int
    """``TryDirectory.lock()``; the caller closes it after :func:`launch`."""
    header: str = ""
    """Written into the log before the script starts."""
    beat_s: float = 30.0
    fence_s: float = 720.0
    """0: never, for a spool on a local filesystem."""
    grace_s: float = 10.0
    """Between TERM and KILL."""
    umask: int = 0o077
    """The script's; the agent's own is 077, which is not what a user expects of his files."""
    shell: tuple[str, ...] = ("/bin/sh",)


def launch(spec: LaunchSpec) -> int:
    """Start the shim and return its pid.

    Raises:
        OSError: the shim could not be started (no memory, no processes left, arguments too long).
        ValueError: a claim whose name no spool would have, or a NUL byte.
    """
    if not _CLAIM_NAME.fullmatch(os.path.basename(spec.claim_path)):
        raise ValueError(f"{spec.claim_path!r} is no claim")
    if not os.path.isabs(spec.cwd):
        raise ValueError(f"{spec.cwd!r} is no absolute path")
    numbers = (math.ceil(spec.beat_s), math.ceil(spec.fence_s), math.ceil(spec.grace_s))
    shim = [*spec.shell, spec.shim, spec.claim_path, spec.try_dir, spec.log_path, spec.cwd, str(os.getpid())]
    shim += [*(str(number) for number in numbers), f"{spec.umask:03o}", spec.header, "--"]
    # Away from the descriptors that are set below: dup2 of 9 onto 9 would leave it close-on-exec.
    lock = fcntl.fcntl(spec.lock_fd, fcntl.F_DUPFD_CLOEXEC, LOCK_DESCRIPTOR + 1)
    try:
        return os.posix_spawn(
            shim[0],
            [*shim, *_carried(spec.environment), *spec.program],
            {name: value for name, value in spec.environment.items() if _IDENTIFIER.fullmatch(name)},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDWR, 0),
                (os.POSIX_SPAWN_DUP2, 0, 1),
                (os.POSIX_SPAWN_DUP2, 0, 2),
                (os.POSIX_SPAWN_DUP2, lock, LOCK_DESCRIPTOR),
            ],
            setsid=True,
            setsigmask=(),
            setsigdef=_ALL_SIGNALS,
        )
    finally:
        os.close(lock)


def start_companion(arguments: Sequence[str], environment: Mapping[str, str], descriptor: int) -> int:
    """Start a process that serves the agent itself and goes with it; returns its pid.

    It gets a session of its own, so that a Ctrl-C in the agent's terminal is the agent's to answer; /dev/null as
    stdio; and one descriptor, whose number is its last argument: the socket by which it learns of the agent's end.

    Raises:
        OSError: it could not be started.
    """
    inherited = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, LOCK_DESCRIPTOR + 1)
    try:
        return os.posix_spawn(
            arguments[0],
            [*arguments, str(COMPANION_DESCRIPTOR)],
            dict(environment),
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDWR, 0),
                (os.POSIX_SPAWN_DUP2, 0, 1),
                (os.POSIX_SPAWN_DUP2, 0, 2),
                (os.POSIX_SPAWN_DUP2, inherited, COMPANION_DESCRIPTOR),
            ],
            setsid=True,
            setsigmask=(),
            setsigdef=_ALL_SIGNALS,
        )
    finally:
        os.close(inherited)


def _carried(environment: Mapping[str, str]) -> list[str]:
    strange = [f"{name}={value}" for name, value in environment.items() if not _IDENTIFIER.fullmatch(name)]
    return ["env", "--", *strange] if strange else []


def interpreter(script_name: str, head: bytes, script_path: str) -> list[str]:
    """The program that runs a script, by its ``#!`` line, else its name; the executable bit does not matter.

    Args:
        script_name: the script's own name, which tells Python from shell where there is no ``#!`` line.
        head: its first bytes (256 are enough; the kernel reads no more).
        script_path: the local copy that is to be run.
    """
    line, _, _ = head.removeprefix(b"\xef\xbb\xbf").partition(b"\n")
    if line.startswith(b"#!"):
        # Like the kernel: the rest of the line is one argument.  Unlike it, a CR at the end is forgiven.
        words = os.fsdecode(line[2:].replace(b"\0", b"").strip(b" \t\r")).split(maxsplit=1)
        if words:
            return [*words, script_path]
    return ["python3" if script_name.endswith(".py") else "bash", script_path]


def task_environment(
    base: Mapping[str, str],
    *,
    task_id: str,
    number: int,
    node: str,
    job_id: str,
    queue_root: str,
    script_path: str,
    gpus: Mapping[str, str],
    program: Sequence[str] = (),
) -> dict[str, str]:
    """The environment of a script; ``GPU_QUEUE_CLAIM`` is added by the shim, for its children only.

    Args:
        base: the agent's environment; its own ``GPU_QUEUE_*`` are dropped.
        task_id: the task.
        number: which try.
        node: the node's name.
        job_id: the spool's name.
        queue_root: the directory of all spools.
        script_path: where the script was submitted from.
        gpus: what :mod:`gpu_queue.gpus.visible` says.
        program: what will run it: a Python program also finds the modules beside the original script.
    """
    environment = {name: value for name, value in base.items() if not name.startswith("GPU_QUEUE_")}
    environment |= {
        "GPU_QUEUE_TASK": task_id,
        "GPU_QUEUE_TRY": str(number),
        "GPU_QUEUE_NODE": node,
        "GPU_QUEUE_SCRIPT": script_path,
        "JOB_ID": job_id,
        "QUEUE_ROOT": queue_root,
        **gpus,
    }
    beside = os.path.dirname(script_path)
    if beside and ":" not in beside and _is_python(program):
        environment["PYTHONPATH"] = ":".join(filter(None, [base.get("PYTHONPATH", ""), beside]))
    return environment


def _is_python(program: Sequence[str]) -> bool:
    # The last word is the script; "/usr/bin/env", "-S python3 -u" and "/opt/bin/python3.11" must be seen through.
    words = " ".join(program[:-1]).split()
    return any(os.path.basename(word).startswith("python") for word in words)


def with_death_signal(program: Sequence[str]) -> list[str]:
    """A program that the kernel kills when the shim dies, where ``setpriv`` can say so; else the program as it is.

    The first call looks for it in PATH, which may take its time: make it before anything must not wait.
    """
    return [*_death_signal(), *program]


def first_line(arguments: Sequence[str], timeout_s: float = 10.0) -> str:
    """What a program says first; empty if it fails or says nothing.  It is waited for."""
    try:
        done = subprocess.run(
            list(arguments), stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_s, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode(errors="replace").partition("\n")[0] if done.returncode == 0 else ""


@functools.cache
def _death_signal() -> tuple[str, ...]:
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        return ()
    prefix = (setpriv, "--pdeathsig", "KILL", "--")
    try:
        works = subprocess.run(
            [*prefix, "true"], stdin=subprocess.DEVNULL, capture_output=True, timeout=5, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    return prefix if works.returncode == 0 else ()
