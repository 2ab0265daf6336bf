"""A free port for a task: frameworks that are told none all take the same."""

from __future__ import annotations

import errno
import hashlib
import socket
from collections.abc import Collection

FIRST, LAST = 20_000, 29_399
"""Below the ports that the kernel hands out (from 32768 on), and below those that PyTorch takes by itself."""


def free_port(task_id: str, taken: Collection[int]) -> int:
    """A port that nothing listens to now; 0 where there is none.

    Where the search begins the task's id says, so that agents on one machine do not meet.

    Args:
        task_id: for whom.
        taken: ports of tasks that may not listen to theirs yet.
    """
    count = LAST - FIRST + 1
    drawn = int.from_bytes(hashlib.sha256(task_id.encode("utf-8", "surrogateescape")).digest()[8:16], "big")
    for step in range(200):
        port = FIRST + (drawn + step * 7) % count
        if port not in taken and _is_free(port):
            return port
    return 0


def own_address() -> str:
    """The address by which other hosts reach this one: that of the default route, else what the host is called."""
    for family, outside in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as asked:
                asked.connect((outside, 9))  # of a datagram nothing is sent by that
                return str(asked.getsockname()[0])
        except OSError:
            continue
    return socket.gethostname()


def _is_free(port: int) -> bool:
    for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):  # noqa: S104  only tried
        try:
            with socket.socket(family, socket.SOCK_STREAM) as tried:
                # As servers do it: what a connection of yesterday has left (TIME_WAIT) hinders none.
                tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    tried.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                tried.bind((address, port))
        except OSError as error:
            if family == socket.AF_INET or error.errno == errno.EADDRINUSE:
                return False
    return True
