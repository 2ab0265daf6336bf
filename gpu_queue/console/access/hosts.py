"""Names of hosts in requests.  Pure.

A page of a foreign site may have its own name lead to this machine (DNS rebinding): its requests then come from a
browser here, with that name as Host.  So only names that mean us are served.  Addresses mean us whoever sends them:
no name was looked up for them.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection

_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]{2,60}\]|[^\[\]:/@\s]{1,253})(?::([0-9]{1,5}))?")
ANYWHERE = frozenset({"0.0.0.0", "::", ""})  # noqa: S104  it is compared with, not bound to


def split_host(header: str) -> tuple[str, int | None] | None:
    """Name and port of a Host header, the name in lower case and without brackets; None: it is none."""
    match = _HOST.fullmatch(header)
    if match is None:
        return None
    name = match[1].strip("[]").lower().rstrip(".")
    port = int(match[2]) if match[2] else None
    if port is not None and port > 65535:
        return None
    return (name, port) if address_of(name) is not None or _NAME.fullmatch(name) else None


def address_of(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a name is, without asking anybody."""
    try:
        found = ipaddress.ip_address(name)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


def is_loopback(name: str) -> bool:
    """Whether a name means the machine itself."""
    found = address_of(name)
    return found.is_loopback if found is not None else name == "localhost" or name.endswith(".localhost")


def is_served(name: str, bound: str, public: Collection[str]) -> bool:
    """Whether a console answers to a name.

    Args:
        name: as :func:`split_host` gives it.
        bound: where the console listens.
        public: further names of it, in lower case.
    """
    if is_loopback(name) or name in public or name == bound.lower():
        return True
    return bound in ANYWHERE and address_of(name) is not None


def origin_host(origin: str) -> str | None:
    """``name[:port]`` of an Origin header, in lower case; None: of a file, a sandbox, or nothing."""
    match = re.fullmatch(r"https?://([^/\s]{1,260})", origin, re.IGNORECASE)
    return match[1].lower() if match and split_host(match[1]) is not None else None
