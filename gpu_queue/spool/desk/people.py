"""Who asks: the names that records, flags and commands carry, for people."""

from __future__ import annotations

import os
import pwd


def me() -> tuple[str, str]:
    """User and host."""
    user = next((os.environ[name] for name in ("USER", "LOGNAME", "USERNAME") if os.environ.get(name)), "")
    if not user:
        try:
            user = pwd.getpwuid(os.geteuid()).pw_name
        except KeyError:
            user = str(os.geteuid())  # a container without such a user
    return user, os.uname().nodename


def signature() -> str:
    """``user@host``."""
    user, host = me()
    return f"{user}@{host}"
