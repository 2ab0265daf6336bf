"""The processes of a step: started, told what srun is told, waited for."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Mapping

from gpu_queue.execution.srun.output import say
from gpu_queue.execution.srun.step import Step, number_of

KILL_AFTER_S = 10.0
FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def is_supervisor(sender: int) -> bool:
    """Whether a signal came from the agent or from the shim of this task: the leader of our session."""
    row = _row(sender)
    if row is None:
        return False
    try:
        with open(f"/proc/{sender}/environ", "rb") as file:
            is_marked = b"GPU_QUEUE_CLAIM=" in file.read()
    except OSError:
        return False
    shim = _row(os.getsid(0))
    return not is_marked and (row[1] == os.getsid(0) or (shim is not None and sender == shim[0]))


def _row(pid: int) -> tuple[int, int] | None:
    """The parent and the session of a process; None: it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        return int(fields[1]), int(fields[3])
    except (OSError, IndexError, ValueError):
        return None


class Ranks:
    """The processes of a step."""

    def __init__(self) -> None:
        self.living: dict[int, int] = {}
        """Rank by pid."""
        self.statuses: dict[int, int] = {}

    def start(
        self, rank: int, program: list[str], environment: Mapping[str, str], stdio: tuple[int, int, int]
    ) -> None:
        """Start one; a program that is not there is a rank that has ended with 127."""
        path = shutil.which(program[0], path=environment.get("PATH", os.defpath)) or program[0]
        actions = [(os.POSIX_SPAWN_DUP2, descriptor, number) for number, descriptor in enumerate(stdio)]
        try:
            pid = os.posix_spawn(
                path,
                program,
                environment,
                file_actions=actions,
                setsigmask=(),
                setsigdef=(*FORWARDED, signal.SIGPIPE),
            )
        except OSError as error:
            say(f"{program[0]}: {error.strerror}")
            self.statuses[rank] = 126 if isinstance(error, PermissionError) else 127
            return
        self.living[pid] = rank

    def signal(self, number: int) -> None:
        """Signal all that live."""
        for pid in self.living:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def reap(self) -> list[int]:
        """Take the ends of those that have ended; returns their ranks."""
        ended = []
        while self.living:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                break
            rank = self.living.pop(pid, None)
            if rank is not None:
                self.statuses[rank] = _status_of(status)
                ended.append(rank)
        return ended


def _status_of(status: int) -> int:
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def wait_for(ranks: Ranks, step: Step, host: str) -> int:
    """Wait for all of them; returns the worst status."""
    kills = step.given.get("kill-on-bad-exit", "0") != "0"
    wait_s = number_of(step, "wait") or 0
    kill_at: float | None = None
    end_at: float | None = None
    told: set[int] = set()
    while True:
        for rank in (*ranks.reap(), *(set(ranks.statuses) - told)):
            if rank in told:
                continue
            told.add(rank)
            status = ranks.statuses[rank]
            if status:
                how = f"Exited with exit code {status}" if status < 128 else f"ended by signal {status - 128}"
                say(f"error: {host}: task {rank}: {how}")
            if status and kills and end_at is None:
                end_at = time.monotonic()
            if wait_s and end_at is None and ranks.living:
                end_at = time.monotonic() + wait_s
        if not ranks.living:
            return max(ranks.statuses.values())
        now = time.monotonic()
        if end_at is not None and now >= end_at and kill_at is None:
            kill_at = now + KILL_AFTER_S
            ranks.signal(signal.SIGTERM)
        elif kill_at is not None and now >= kill_at:
            ranks.signal(signal.SIGKILL)
        due = [at for at in (end_at if kill_at is None else None, kill_at) if at is not None]
        patience_s = max(0.05, min(due) - now) if due else 3600.0
        seen = signal.sigtimedwait({*FORWARDED, signal.SIGCHLD}, patience_s)
        if seen is not None and seen.si_signo != signal.SIGCHLD and not is_supervisor(seen.si_pid):
            ranks.signal(seen.si_signo)
