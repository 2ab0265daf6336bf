"""The program that delivers: one label's addresses and messages come in by its stdin, what came of them goes out.

It is a process of its own because apprise takes a quarter of a second and 44 MB to load, and because a service may
hang: its own alarm kills it then, whatever it is doing.  Nothing that apprise says is passed on: at DEBUG it logs
addresses.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from typing import Any

DEADLINE_S = 30.0
SENT, FAILED, REFUSED, MISSING = "sent", "failed", "refused", "missing"
"""What came of a message: it was taken by one of the addresses; by none; none is an address; there is no apprise."""


def _ready(addresses: list[str]) -> list[Any]:
    import apprise  # noqa: PLC0415 - nothing else here needs it

    asset = apprise.AppriseAsset(storage_mode="memory", secure_logging=True, app_id="gpu-queue", app_desc="gpu-queue")
    made = []
    for address in addresses:
        one = apprise.Apprise(asset=asset)
        if one.add(address):
            made.append(one)
    return made


def _told(one: Any, message: dict[str, Any]) -> bool:
    kind = "failure" if message.get("failed") else "info"
    try:
        return bool(one.notify(title=message["title"], body=message["body"], notify_type=kind, body_format="text"))
    except Exception:  # what it says may hold an address
        return False


def main() -> None:
    """Deliver, with a word for each message as soon as it is known."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, DEADLINE_S)
    logging.disable(logging.CRITICAL)
    given = json.load(sys.stdin)
    signal.setitimer(signal.ITIMER_REAL, given["deadline_s"])
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="ascii")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):  # whatever a library prints
        os.dup2(nowhere, descriptor)
    try:
        ready = _ready(given["addresses"])
    except ImportError:
        print(MISSING, file=answers, flush=True)
        os._exit(0)
    except Exception:
        ready = []
    print(len(given["addresses"]) - len(ready), file=answers, flush=True)
    for message in given["messages"]:
        word = REFUSED if not ready else SENT if any([_told(one, message) for one in ready]) else FAILED  # noqa: C419
        print(word, file=answers, flush=True)
    os._exit(0)  # threads of a library do not keep it


if __name__ == "__main__":
    # Run as a file: no file beside it is taken for a module.
    sys.path[:] = [
        one for one in sys.path if os.path.realpath(one or ".") != os.path.dirname(os.path.realpath(__file__))
    ]
    main()
