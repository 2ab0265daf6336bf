"""The process that has imported torch and forks workers: ``python -m gpu_queue.keepalive.zygote --fd N``.

- Importing torch takes seconds and memory; a fork of this process has it at once, and shares its pages.
- It never touches CUDA, which survives no fork: it only imports, and asks for nothing that would start the driver.
- It has no opinion: it forks what it is asked to, tells who has gone, and goes on.  When the agent goes, so does it,
  and its workers with it: they read the same end of file; those that have not left a second later are killed.
- Standard input, output and error are /dev/null; what there is to say goes through the socket.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Sequence
from typing import Any

from gpu_queue.keepalive.preflight import installing
from gpu_queue.keepalive.protocol import (
    Channel,
    Closed,
    Exited,
    Failed,
    Message,
    Ready,
    Refused,
    Spawn,
    Spawned,
    WorkerSpec,
)
from gpu_queue.keepalive.worker import become_worker, die_with_parent, explain, serve

LEAVE_S = 1.0
"""What workers have to leave when the agent is gone."""
_PATIENCE_S = 5.0
"""For an agent that does not read."""
_LOOK_S = 0.01

_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",  # the host's cores are the tasks'
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",  # numpy's, which starts its threads when it is imported, before our forks
    "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
    # Where no daemon can be: a client of MPS that is killed in a kernel may disturb all others, and ours are killed.
    "CUDA_MPS_PIPE_DIRECTORY": "/dev/null/no-mps",
    "TORCH_DEVICE_BACKEND_AUTOLOAD": "0",  # plug-ins for other devices may start what survives no fork
}
_FOREIGN = (
    "CUDA_LAUNCH_BLOCKING",
    "PYTORCH_ALLOC_CONF",
    "PYTORCH_CUDA_ALLOC_CONF",
    "PYTORCH_NO_CUDA_MEMORY_CACHING",
    "PYTORCH_TUNABLEOP_ENABLED",
)
"""Set by people for their own programs; a filler does what is written here."""


class Zygote:
    """Forks workers until the agent goes."""

    def __init__(self, channel: Channel, engines: Any, woken: socket.socket):
        """Know where to listen.

        Args:
            channel: to the agent.
            engines: the module :mod:`gpu_queue.keepalive.engines`.
            woken: readable when a child has ended.
        """
        self._channel = channel
        self._engines = engines
        self._woken = woken
        self._workers: dict[int, str] = {}

    def run(self) -> None:
        """Serve until the agent goes, then see the workers off."""
        poll = select.poll()  # select() knows no descriptor above 1023, and the agent may have that many
        poll.register(self._channel, select.POLLIN)
        poll.register(self._woken, select.POLLIN)
        with contextlib.suppress(Closed):
            while True:
                poll.poll()
                with contextlib.suppress(BlockingIOError):
                    self._woken.recv(4096)
                self._reap()
                self._listen()
        give_up_at = time.monotonic() + LEAVE_S
        while self._workers and time.monotonic() < give_up_at:
            time.sleep(_LOOK_S)
            self._reap()
        for pid in self._workers:
            os.kill(pid, signal.SIGKILL)  # not reaped yet, so the pid is still its own

    def _listen(self) -> None:
        while True:
            received = self._channel.receive_with_descriptors()
            if received is None:
                return
            message, descriptors = received
            try:
                if isinstance(message, Spawn):
                    self._spawn(message.spec, descriptors)
            finally:
                # The lock must be in no other process than the worker: while it is held, that one lives.
                for descriptor in descriptors:
                    os.close(descriptor)

    def _spawn(self, spec: WorkerSpec, descriptors: Sequence[int]) -> None:
        zygote_pid = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            self._tell(Refused(f"cannot fork: {error}", spec.uuid))
            return
        if pid == 0:
            try:
                signal.set_wakeup_fd(-1)
                become_worker(zygote_pid)
                _keep_only(descriptors)
                serve(spec, Channel.of_descriptor(descriptors[0]), self._engines.make)
            finally:
                os._exit(1)
        self._workers[pid] = spec.uuid
        self._tell(Spawned(spec.uuid, pid))

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            uuid = self._workers.pop(pid, None)
            if uuid is not None:
                self._tell(Exited(uuid, pid, os.waitstatus_to_exitcode(status)))

    def _tell(self, message: Message) -> None:
        # Unlike a worker it may wait: nothing that it does in between is urgent, and what it says is said once.
        self._channel.send(message, patience_s=_PATIENCE_S)


def _keep_only(descriptors: Sequence[int]) -> None:
    """Close all but these and the standard three."""
    kept = {0, 1, 2, *descriptors}
    for name in os.listdir("/proc/self/fd"):  # the one of this listing is in it, and closed by now
        if int(name) not in kept:
            with contextlib.suppress(OSError):
                os.close(int(name))


def _silence() -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    if null > 2:
        os.close(null)


def _import_engines() -> Any:
    """The module of the engines, with torch in it.

    Raises:
        RuntimeError: torch is missing or broken; the message is for the person who runs the agent.
    """
    for name in _FOREIGN:
        os.environ.pop(name, None)
    os.environ.update(_ENVIRONMENT)
    try:
        return importlib.import_module("gpu_queue.keepalive.engines")
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise RuntimeError(f"torch cannot be imported by {sys.executable} ({error})") from error
        raise RuntimeError(f"torch is not installed; to mend it: {installing(sys.executable)}") from error
    except Exception as error:  # a torch whose libraries do not fit this machine raises whatever it likes
        raise RuntimeError(f"torch cannot be imported by {sys.executable} ({explain(error)})") from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Be the zygote of this process."""
    parser = argparse.ArgumentParser(prog="python -m gpu_queue.keepalive.zygote")
    parser.add_argument("--fd", type=int, required=True, help="the socket to the agent, inherited")
    descriptor = parser.parse_args(arguments).fd
    _keep_only([descriptor])
    _silence()
    channel = Channel.of_descriptor(descriptor)
    # While it imports it does not listen, and on cold storage that takes its time.
    die_with_parent(True)
    for number in (signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2):  # Slurm's --signal reaches all of a job
        signal.signal(number, signal.SIG_IGN)
    woken, waker = socket.socketpair()
    woken.setblocking(False)
    waker.setblocking(False)
    signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    try:
        engines = _import_engines()
    except RuntimeError as error:
        channel.send(Failed(str(error)), patience_s=_PATIENCE_S)
        return 1
    # What is frozen is not touched by the collector, so its pages stay shared with the workers.
    gc.collect()
    gc.freeze()
    die_with_parent(False)  # from here on it reads the end, and its workers are given a moment
    version, has_cuda = engines.describe()
    channel.send(Ready(version, has_cuda, sys.executable), patience_s=_PATIENCE_S)
    try:
        Zygote(channel, engines, woken).run()
    except Exception as error:
        channel.send(Failed(explain(error)), patience_s=_PATIENCE_S)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
