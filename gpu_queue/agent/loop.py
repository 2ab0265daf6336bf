"""The loop around the agent's step: it wakes at what happens, or when something is due."""

from __future__ import annotations

import os
import select
import signal
import time

from gpu_queue.agent.agent import Agent
from gpu_queue.execution.orphans import Orphans
from gpu_queue.node.hints import Hints
from gpu_queue.node.storage import StorageThread

WARNINGS = (signal.SIGUSR1, signal.SIGUSR2)
"""By which a site has Slurm tell all processes of a job that its end is near.  The agent knows its end by itself, and
goes on.  It catches them, for what it ignored its tasks would have to ignore too."""


def run(agent: Agent, storage: StorageThread, hints: Hints) -> None:
    """Take steps until the agent has finished.

    Args:
        agent: the agent.
        storage: wakes the loop when a call has ended; signals wake it the same way.
        hints: file events; they wake the loop through ``storage`` as well.
    """

    def on_signal(number: int, frame: object) -> None:  # noqa: ARG001
        if number != signal.SIGCHLD:
            agent.tries.heard[number] = time.monotonic()
            agent.was_terminated |= number not in WARNINGS
        storage.wake()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, *WARNINGS):
        signal.signal(number, on_signal)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a terminal that closes takes no node down
    poller = select.poll()
    poller.register(storage.wake_fd, select.POLLIN)
    poller.register(agent.fillers.fd, select.POLLIN)
    orphans = Orphans() if os.getpid() == 1 else None
    while True:
        agent.step(time.monotonic())
        if agent.finished:
            return
        if orphans is not None:
            orphans.step(time.monotonic())
        for descriptor, _ in poller.poll(agent.wait_s(time.monotonic()) * 1000):
            if descriptor == agent.fillers.fd:
                agent.hear_keepalive()
            else:
                os.read(descriptor, 65536)
        for hint in hints.read():
            agent.hint(*hint)
