"""Starts shims, and says by which words a shim knows its try.

- One ``posix_spawn``: no copy of a large agent, no Python between fork and exec.  The shim gets its own session,
  /dev/null for output, default signals, the try's lock on descriptor 9, and a pipe as its input, through which it is
  told to begin.  What it is to do it reads from a file (:func:`orders`), a shell's fastest way to take many values;
  each of them is quoted, and no variable of its own gets into the script's environment.
- Only local things are touched here: a spawn returns after the exec, and on hung storage it would not.  So the agent
  is in ``/`` (it goes there at its start), the shim is a local copy, and ``cd`` is the shim's business.  The log is
  open in the storage thread, and the process that becomes the script opens it from there (decision 0019).
- dash and busybox drop variables whose names are no identifiers, such as bash's exported functions
  (``BASH_FUNC_module%%``); those are carried past the shim as arguments of ``env``.
- A script gets a process group of its own by its shim's job control; how, :mod:`gpu_queue.execution.terminal` finds
  out.  Where there is none, it shares the group of its shim, and :mod:`gpu_queue.execution.heed` has it heed INT and
  QUIT, which such a shell has its background ignore.
"""

from __future__ import annotations

import fcntl
import functools
import json
import math
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gpu_queue.execution.localfiles import write_all

LOCK_DESCRIPTOR = 9
"""The highest that every POSIX shell can name."""
TIMER_DESCRIPTOR = 8
ORDERS_DESCRIPTOR = 7
TERMINAL_DESCRIPTOR = 6
"""The slave of the terminal by which a shell has job control; its master is the one below."""

COMPANION_DESCRIPTOR = 3
HEED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "heed.py")
UNPACKING = os.path.join(os.path.dirname(os.path.abspath(__file__)), "unpacking.py")
PUMP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pump.py")
_CLAIM_NAME = re.compile(r"[A-Za-z0-9._+=-]+", re.ASCII)
_STRING_PAGES = 32
"""So many pages one variable or argument may take (MAX_ARG_STRLEN of execve(2))."""
_POINTER_BYTES = 8
_TOTAL_MAX_BYTES = 6 << 20
"""All of them together take a quarter of the stack's limit, and never more than this."""
_ALL_SIGNALS = tuple(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})


@dataclass(frozen=True)
class LaunchSpec:
    """All that a shim is told of its try."""

    claim_path: str
    try_dir: str
    log_path: str
    """``descriptor_path`` of what the storage thread has open."""
    cwd: str
    program: tuple[str, ...]
    """``with_death_signal(interpreter(...))``, and the arguments of a task that has some."""
    environment: Mapping[str, str]
    """The script's, whole; variables that are the same as the shim's need not be told."""
    header: str = ""
    """Written into the log before the script starts."""
    beat_s: float = 30.0
    fence_s: float = 720.0
    """0: never, for a spool on a local filesystem."""
    grace_s: float = 10.0
    """Between TERM and KILL, where the claim is lost or fenced."""
    leave_grace_s: float = 10.0
    """The same where the shim itself is told TERM: the node is taken back."""
    umask: int = 0o077
    """The script's; the agent's own is 077, which is not what a user expects of his files."""
    signal: int = 0
    """The number of the signal by which it wants to be told to leave: if it ends well then, or with its status, it
    has saved.  0: it has named none."""


def descriptor_path(descriptor: int) -> str:
    """By which a child opens the very file that this process has open, whatever its name means by then."""
    return f"/proc/{os.getpid()}/fd/{descriptor}"


def spawn_shim(
    shim: str,
    environment: Mapping[str, str],
    lock: int,
    pipe: int,
    orders_file: int,
    timer: int = -1,
    shell: Sequence[str] = ("/bin/sh",),
    terminal: tuple[int, int] | None = None,
) -> int:
    """Start a shim that waits for its try; returns its pid.

    Args:
        shim: ``NodeDirectory.install_shim()``.
        environment: what all scripts get.
        lock: holds the lock of the directory that will be its try's.
        pipe: the reading end of what :func:`tell` writes.
        orders_file: will hold what :func:`orders` says.
        timer: its part in a shared timer; negative: it has none.
        shell: what runs it.
        terminal: master and slave of a terminal that it is to have until it has started its script.

    Raises:
        OSError: the kernel could not (no memory, no processes left).
    """
    wanted = {0: pipe, ORDERS_DESCRIPTOR: orders_file, LOCK_DESCRIPTOR: lock}
    if timer >= 0:
        wanted[TIMER_DESCRIPTOR] = timer
    if terminal is not None:
        wanted[TERMINAL_DESCRIPTOR - 1], wanted[TERMINAL_DESCRIPTOR] = terminal
    # Away from the descriptors that are set below: dup2 of 9 onto 9 would leave it close-on-exec.
    copies = {
        number: fcntl.fcntl(have, fcntl.F_DUPFD_CLOEXEC, LOCK_DESCRIPTOR + 1) for number, have in wanted.items()
    }
    acquired = []
    if terminal is not None:
        # A leader of a session gets the first terminal that it opens.
        path = f"/proc/self/fd/{copies[TERMINAL_DESCRIPTOR]}"
        acquired.append((os.POSIX_SPAWN_OPEN, TERMINAL_DESCRIPTOR, path, os.O_RDWR, 0))
    try:
        return os.posix_spawn(
            shell[0],
            [*shell, shim, str(os.getpid())],
            {name: value for name, value in environment.items() if _is_identifier(name)},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_RDWR, 0),
                (os.POSIX_SPAWN_DUP2, 1, 2),
                *((os.POSIX_SPAWN_DUP2, copy, number) for number, copy in copies.items()),
                *acquired,
            ],
            setsid=True,
            setsigmask=(),
            setsigdef=_ALL_SIGNALS,
        )
    finally:
        for copy in copies.values():
            os.close(copy)


def start_companion(arguments: Sequence[str], environment: Mapping[str, str], descriptor: int) -> int:
    """Start a process that serves the agent itself and goes with it; returns its pid.

    It gets a session of its own, so that a Ctrl-C in the agent's terminal is the agent's to answer; /dev/null as
    stdio; and one descriptor, whose number is its last argument: the socket by which it learns of the agent's end.

    Raises:
        OSError: it could not be started.
    """
    return _spawn_beside([*arguments, str(COMPANION_DESCRIPTOR)], environment, descriptor)


def spawn_sleep(seconds: int, held: int) -> int:
    """Start a ``sleep`` that holds a copy of a descriptor until it ends; returns its pid.

    Raises:
        OSError: there is no such program, or the kernel could not.
    """
    return _spawn_beside([_sleep(), str(seconds)], {}, held)


def spawn_leader(arguments: Sequence[str], terminal: int | None) -> int:
    """Start the leader of a new session, with this terminal where there is one, to see what it can; returns its pid.

    Raises:
        OSError: there is no such program, or the kernel could not.
    """
    opened = [(number, "/dev/null") for number in range(3)]
    if terminal is not None:
        opened.append((TERMINAL_DESCRIPTOR, f"/proc/self/fd/{terminal}"))
    return os.posix_spawn(
        arguments[0],
        list(arguments),
        {},
        file_actions=[(os.POSIX_SPAWN_OPEN, number, path, os.O_RDWR, 0) for number, path in opened],
        setsid=True,
        setsigmask=(),
        setsigdef=_ALL_SIGNALS,
    )


def _spawn_beside(arguments: Sequence[str], environment: Mapping[str, str], descriptor: int) -> int:
    inherited = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, LOCK_DESCRIPTOR + 1)
    try:
        return os.posix_spawn(
            arguments[0],
            list(arguments),
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


@functools.cache
def _sleep() -> str:
    return shutil.which("sleep", path="/bin:/usr/bin") or shutil.which("sleep") or "/bin/sleep"


def orders(spec: LaunchSpec, environment: Mapping[str, str], *, timed: bool) -> bytes:
    """What a shim does to know its try: shell lines in which every value that may be anything is quoted.

    Args:
        spec: the try.
        environment: what the shim was started with.
        timed: whether it has its part in a shared timer.

    Raises:
        ValueError: a claim whose name no spool would have, a directory that is none, a NUL byte, or more than
            the kernel starts a program with.
    """
    if not _CLAIM_NAME.fullmatch(os.path.basename(spec.claim_path)):
        raise ValueError(f"{spec.claim_path!r} is no claim")
    if not os.path.isabs(spec.cwd):
        raise ValueError(f"{spec.cwd!r} is no absolute path")
    told, carried = [], []
    for name, value in spec.environment.items():
        if not _is_identifier(name):
            carried.append(f"{name}={value}")
        elif environment.get(name) != value:
            told.append(f"export {name}={_quoted(value)}")
    told += [
        f"q_claim={_quoted(spec.claim_path)}",
        f"q_try={_quoted(spec.try_dir)}",
        f"q_log={_quoted(spec.log_path)}",
    ]
    told += [f"q_cwd={_quoted(spec.cwd)}", f"q_header={_quoted(spec.header)}"]
    told += [f"q_beat_s={math.ceil(spec.beat_s)}", f"q_fence_s={math.ceil(spec.fence_s)}"]
    told += [f"q_grace_s={math.ceil(spec.grace_s)}", f"q_leave_s={math.ceil(spec.leave_grace_s)}"]
    told += [
        f"q_umask={spec.umask:03o}",
        f"q_timed={int(timed) or ''}",
        f"q_saves={128 + spec.signal if spec.signal else ''}",
    ]
    told += [f"q_python={_quoted(sys.executable)}", f"q_heed={_quoted(HEED)}"]
    told += [f"q_at={int(time.clock_gettime(time.CLOCK_BOOTTIME) * 10)}"]
    # "exec -c" is an option of exec.
    program = (*(("env", "--", *carried) if carried or spec.program[0].startswith("-") else ()), *spec.program)
    told += [" ".join(["set --", *map(_quoted, program)]), "q_whole=1"]
    text = "".join(f"{line}\n" for line in told)
    if "\0" in text:
        raise ValueError("embedded null byte")
    _check_lengths({**spec.environment, "GPU_QUEUE_CLAIM": spec.claim_path}, spec.program)
    return os.fsencode(text)


def _check_lengths(environment: Mapping[str, str], program: Sequence[str]) -> None:
    """Refuse what the kernel would not start; the script's shell could only say that "the list" is too long."""
    string_max = _STRING_PAGES * os.sysconf("SC_PAGE_SIZE")
    stack, _ = resource.getrlimit(resource.RLIMIT_STACK)
    total_max = _TOTAL_MAX_BYTES if stack == resource.RLIM_INFINITY else min(stack // 4, _TOTAL_MAX_BYTES)
    strings = (*environment, *environment.values(), *program)
    if 4 * sum(map(len, strings)) + 16 * len(strings) <= min(string_max, total_max):
        return  # no character has more bytes in UTF-8: nearly all end here
    named = [(f"the variable {name}", len(os.fsencode(f"{name}={value}")) + 1) for name, value in environment.items()]
    named += [(f"argument {number} of the program", len(os.fsencode(one)) + 1) for number, one in enumerate(program)]
    what, longest = max(named, key=lambda one: one[1])
    if longest > string_max:
        raise ValueError(
            f"{what} has {longest - 1} bytes; the kernel takes at most {string_max - 1} (make it shorter)"
        )
    total = sum(size + _POINTER_BYTES for _, size in named)
    if total > total_max:
        raise ValueError(
            f"environment and arguments have {total} bytes, most of them {what} with {longest - 1}; the kernel takes"
            f" at most {total_max} (make them shorter, or raise ulimit -s)"
        )


def _quoted(value: str) -> str:
    """A word that any shell reads as this value, whatever it holds: within single quotes nothing is special."""
    return "'" + value.replace("'", "'\\''") + "'"


def tell(pipe: int, orders_file: int, text: bytes) -> None:
    """Have a shim do what it is to do.  One that is dead is found dead later, like one that dies a moment later.

    Raises:
        OSError: the local disk took it not; nothing is done.
    """
    write_all(orders_file, text)
    try:
        os.write(pipe, b"\n")
    except BrokenPipeError:
        pass


def _is_identifier(name: str) -> bool:
    return name.isascii() and name.isidentifier()


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


def common_environment(base: Mapping[str, str], *, node: str, job_id: str, queue_root: str) -> dict[str, str]:
    """What the scripts of all tasks find in their environment.

    Args:
        base: the agent's environment; its own ``GPU_QUEUE_*`` are dropped.
        node: the node's name.
        job_id: the spool's name.
        queue_root: the directory of all spools.
    """
    environment = {name: value for name, value in base.items() if not name.startswith("GPU_QUEUE_")}
    return environment | {"GPU_QUEUE_NODE": node, "JOB_ID": job_id, "QUEUE_ROOT": queue_root}


def task_environment(
    common: Mapping[str, str],
    *,
    task_id: str,
    number: int,
    uni_id: str,
    log_path: str,
    script_path: str,
    gpus: Mapping[str, str],
    program: Sequence[str] = (),
) -> dict[str, str]:
    """The environment of a script; ``GPU_QUEUE_CLAIM`` is added by the shim, for its children only.

    Args:
        common: :func:`common_environment`.
        task_id: the task.
        number: which try.
        uni_id: what that is called among all tries; its key in ``uni_id.json``.
        log_path: where the spool has its output.
        script_path: where the script was submitted from.
        gpus: what :mod:`gpu_queue.gpus.visible` says.
        program: what will run it: a Python program also finds the modules beside the original script.
    """
    environment = {
        **common,
        "GPU_QUEUE_TASK": task_id,
        "GPU_QUEUE_TRY": str(number),
        "GPU_QUEUE_TRY_LOG": log_path,
        "GPU_QUEUE_UNI_ID": uni_id,
        "GPU_QUEUE_SCRIPT": script_path,
        **gpus,
    }
    beside = os.path.dirname(script_path)
    if beside and ":" not in beside and _is_python(program):
        environment["PYTHONPATH"] = ":".join(filter(None, [common.get("PYTHONPATH", ""), beside]))
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


def with_pump(program: Sequence[str]) -> list[str]:
    """A program whose output goes through a pump (:mod:`gpu_queue.execution.pump`): its log cannot end it."""
    return [sys.executable, "-I", "-S", PUMP, *program]


def in_copy(
    program: Sequence[str], try_directory: str, snapshot: str, key: str, copy: str, cwd: str, links: Mapping[str, str]
) -> list[str]:
    """A program that runs in a copy of a snapshot, which its own process makes first.

    Args:
        program: what is to run there.
        try_directory: where it is told why that cannot be.
        snapshot: the packed tree, on shared storage.
        key: that it must have.
        copy: the directory that is to be made.
        cwd: from there, where the program runs.
        links: what is to be in reach of it, by its name in the copy.
    """
    where = [try_directory, snapshot, key, copy, cwd]
    return [sys.executable, "-I", "-S", UNPACKING, *where, json.dumps(dict(links)), *program]


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
