"""Starts daemons, and ends whatever comes of them when its own standard input ends: when its starter dies, however.

python -m tests.slurm.warden DIRECTORY

Each line of the input is a command, as a JSON list of words; its output goes where the first word says.  Daemons
leave their parents, so the warden is who inherits orphans: neither a task's shim, in a session of its own, is left,
nor the directory.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import psutil

PR_SET_CHILD_SUBREAPER = 36
GIVE_UP_S = 10.0


def end_all() -> None:
    """Kill all descendants, until there are none: whoever forks meanwhile is found by the next look."""
    deadline = time.monotonic() + GIVE_UP_S
    while time.monotonic() < deadline:
        found = psutil.Process().children(recursive=True)
        for process in found:
            try:
                process.send_signal(signal.SIGKILL)
            except psutil.NoSuchProcess:
                pass
        reap()
        if not found:
            return
        time.sleep(0.02)


def reap() -> None:
    """Bury the dead, whosever children they were."""
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                return
        except ChildProcessError:
            return


def bury() -> None:
    """Bury them all the time: a test that asks whether a process lives must not find its corpse."""
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            time.sleep(0.05)


def main() -> None:
    """Be the warden until the input ends."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # a terminal's keys reach it too; its starter decides
    if ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        sys.exit("prctl: orphans would be left")
    threading.Thread(target=bury, daemon=True).start()
    try:
        for line in sys.stdin:
            out, *words = json.loads(line)
            with open(out, "ab") as into:
                # Not Popen.wait: `bury` has the status.
                subprocess.Popen(
                    words, stdin=subprocess.DEVNULL, stdout=into, stderr=into, start_new_session=True, close_fds=True
                )
    finally:
        end_all()
        shutil.rmtree(sys.argv[1], ignore_errors=True)


if __name__ == "__main__":
    main()
