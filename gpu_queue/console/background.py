"""A console that goes on when its terminal is closed: how it is started, and how it is ended."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence

from gpu_queue.console.instances import Instance, path_of, read_instance
from gpu_queue.console.process import READY_FD
from gpu_queue.errors import SettingsError
from gpu_queue.texts import printable

START_S = 30.0
END_S = 10.0
_TAIL_BYTES = 4000
_MAIN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "__main__.py")


def start(arguments: Sequence[str], directory: str, port: int) -> str:
    """Start one that was told the same; the line that it says when it answers.

    Raises:
        SettingsError: it does not come to that; what it said is in the message.
    """
    os.makedirs(directory, 0o700, exist_ok=True)
    log = path_of(directory, port, "log")
    reading, writing = os.pipe()
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
    out = os.open(log, flags, 0o600)
    try:
        size = os.fstat(out).st_size
        process = subprocess.Popen(
            [sys.executable, _MAIN, *arguments, "--log-file", log],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            pass_fds=[writing],
            env={**os.environ, READY_FD: str(writing)},
            start_new_session=True,
        )
    finally:
        os.close(out)
        os.close(writing)
    try:
        if select.select([reading], [], [], START_S)[0] and (said := os.read(reading, 4096)):
            process.returncode = 0  # it goes on; nobody waits for it
            return said.decode("utf-8", "surrogateescape").strip()
    finally:
        os.close(reading)
    process.kill()
    process.wait()
    raise SettingsError(f"it did not start; {printable(log)} says: {_tail(log, size)}")


def _tail(path: str, begin: int) -> str:
    try:
        with open(path, "rb") as file:
            file.seek(begin)
            text = file.read()[-_TAIL_BYTES:].decode("utf-8", "replace")
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    return "\n".join(printable(line, 1000) for line in text.strip().splitlines()) or "nothing"


def stop(directory: str, port: int) -> Instance | None:
    """End the console of ours on a port, and wait until it is gone; None: there is none.

    Raises:
        SettingsError: it does not end.
    """
    found = read_instance(directory, port)
    if found is None or not found.is_alive():
        return None
    try:
        handle = os.pidfd_open(found.pid)
    except ProcessLookupError:
        return None
    except OSError as error:
        raise SettingsError(f"process {found.pid} cannot be asked to end: {error.strerror}") from error
    try:
        if not found.is_alive():  # from here on the handle means that process, and no later one
            return None
        for number in (signal.SIGTERM, signal.SIGKILL):  # it holds nothing that could be lost
            try:
                signal.pidfd_send_signal(handle, number)
            except ProcessLookupError:
                return found
            except PermissionError:
                raise SettingsError(f"process {found.pid} belongs to another user") from None
            if select.select([handle], [], [], END_S)[0]:
                return found
    finally:
        os.close(handle)
    raise SettingsError(f"process {found.pid} does not end; its storage may hang")
