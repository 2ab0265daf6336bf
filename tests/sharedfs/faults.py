"""What goes wrong with a network filesystem, done to a real one."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import Protocol


class Faults(Protocol):
    """Breaks one filesystem, and mends it."""

    loses_replies: bool
    """Whether a server can be made to act without its client's hearing of it."""

    def cut(self, side: str) -> None:
        """One client no longer reaches the server."""

    def heal(self, side: str) -> None:
        """It does again."""

    def stop_server(self) -> None:
        """The server answers nobody."""

    def go_on(self) -> None:
        """It answers again."""

    def give_no_delegations(self) -> None:
        """From now on, so that a client's rename is the first that it asks, and not the return of a delegation."""

    def lose_replies(self, side: str) -> None:
        """What a client asks is done, and it does not hear of it."""

    def restart_server(self, side: str) -> None:
        """The server forgets what it has answered, and replies arrive again."""


def _sh(command: str) -> None:
    subprocess.run(["sh", "-c", command], check=True, stdin=subprocess.DEVNULL)


class KernelNfs:
    """The kernel's NFS server and its two clients in this machine, each behind a link of its own (guest.sh)."""

    loses_replies = True
    _link: Mapping[str, str] = {"a": "s1", "b": "s2"}

    def __init__(self, version: str) -> None:
        self._start = "rpc.nfsd -V 3 -N 4 4" if version == "3" else "rpc.nfsd -N 3 -V 4 4"

    def cut(self, side: str) -> None:
        _sh(f"ip link set {self._link[side]} down")

    def heal(self, side: str) -> None:
        _sh(f"ip link set {self._link[side]} up")

    def stop_server(self) -> None:
        for side in self._link:
            self.cut(side)

    def go_on(self) -> None:
        for side in self._link:
            self.heal(side)

    def give_no_delegations(self) -> None:
        _sh("echo 0 >/proc/sys/fs/leases-enable")

    def lose_replies(self, side: str) -> None:
        _sh(f"tc qdisc add dev {self._link[side]} root netem loss 100%")

    def restart_server(self, side: str) -> None:
        _sh("rpc.nfsd 0")
        time.sleep(0.5)  # the connection and the reply in it die
        _sh(f"tc qdisc del dev {self._link[side]} root")
        _sh(self._start)


class Freezer:
    """Stops processes by a signal: those of a client are its cut cable, those of the server its pause."""

    loses_replies = False

    def __init__(self, clients: Mapping[str, Sequence[int]], server: Sequence[int]) -> None:
        self._clients = clients
        self._server = server

    def _send(self, pids: Sequence[int], number: int) -> None:
        for pid in pids:
            os.kill(pid, number)

    def cut(self, side: str) -> None:
        self._send(self._clients[side], signal.SIGSTOP)

    def heal(self, side: str) -> None:
        self._send(self._clients[side], signal.SIGCONT)

    def stop_server(self) -> None:
        self._send(self._server, signal.SIGSTOP)

    def go_on(self) -> None:
        self._send(self._server, signal.SIGCONT)

    def give_no_delegations(self) -> None:
        raise NotImplementedError

    def lose_replies(self, side: str) -> None:
        raise NotImplementedError

    def restart_server(self, side: str) -> None:
        raise NotImplementedError
