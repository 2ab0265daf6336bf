"""Whose process is at the other end of a connection on this machine: what ``/proc/net/tcp`` and ``tcp6`` tell.

A socket whose process has closed it has uid 0 there, whoever that was, and no inode: it tells nothing, or any user
would be root for a console of root by closing in time.
"""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Iterable, Iterator
from typing import NamedTuple

ESTABLISHED = "01"
LISTEN = "0A"
_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")

Address = tuple[str, int]
"""An address as text, and a port."""


class Row(NamedTuple):
    """A socket."""

    local: Address
    remote: Address
    state: str
    uid: int
    inode: int


def parse_table(lines: Iterable[str]) -> Iterator[Row]:
    """The rows of such a table; what cannot be read is left out.  Pure."""
    for line in lines:
        fields = line.split()
        if len(fields) < 10 or not fields[0].endswith(":"):
            continue
        try:
            local, remote = _address(fields[1]), _address(fields[2])
            yield Row(local, remote, fields[3], int(fields[7]), int(fields[9]))
        except ValueError:
            continue


def _address(text: str) -> Address:
    packed, _, port = text.partition(":")
    words = [bytes.fromhex(packed[at : at + 8]) for at in range(0, len(packed), 8)]
    if sys.byteorder == "little":  # each word is printed as the machine holds it
        words = [word[::-1] for word in words]
    return plain(str(ipaddress.ip_address(b"".join(words)))), int(port, 16)


def plain(address: str) -> str:
    """An address as it is compared: one of version 4 that came as one of version 6 is what it was."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return str(mapped or found)


def owner_of(rows: Iterable[Row], near: Address, far: Address) -> int | None:
    """The uid at the far end of a connection of this machine; None: nobody can tell.  Pure.

    Args:
        rows: all sockets.
        near: our end.
        far: the other end.
    """
    here, there = (plain(near[0]), near[1]), (plain(far[0]), far[1])
    for row in rows:
        if row.local == there and row.remote == here and row.state == ESTABLISHED and row.inode:
            return row.uid
    return None


def sockets(*ports: int) -> Iterator[Row]:
    """Those of this machine, in this network namespace, of now, whose line names all of these ports at least.

    A busy machine has thousands, and to take all of them apart takes longer than to read them.
    """
    marks = [f":{port:04X} " for port in ports]
    for path in _TABLES:
        try:
            with open(path, encoding="ascii", errors="replace") as file:
                yield from parse_table(line for line in file if all(mark in line for mark in marks))
        except OSError:
            continue


def peer_uid(near: Address, far: Address) -> int | None:
    """Whose process is at the far end of a connection; None: nobody can tell."""
    return owner_of(sockets(near[1], far[1]), near, far)


def listeners(port: int) -> list[Row]:
    """Who listens at a port."""
    return [row for row in sockets(port) if row.state == LISTEN and row.local[1] == port]
