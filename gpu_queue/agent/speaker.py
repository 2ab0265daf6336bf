"""What an agent says on its standard output, which is mostly a file."""

from __future__ import annotations

import os
import queue
import stat
import threading
import time

from gpu_queue.texts import printable

LINE_MAX = 4000
"""All that is wrong in a config.yaml is one line."""
OWN_LOG_BYTES = 16 << 20
"""A log of our own that is larger is put aside."""


class Speaker:
    """Says lines on standard output from a thread of its own: a terminal or a file on a hung disk stops nobody.

    All that an agent says while it serves goes through here, and with it what it quotes of others.
    """

    def __init__(self) -> None:
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._speak, name="speaker", daemon=True)
        self._thread.start()

    def plain(self, text: str, is_warning: bool = False) -> None:
        """A line without the time; a warning is red on a terminal."""
        line = f"[{'WARN' if is_warning else 'INFO'}] {fit(text)}"
        self._lines.put(f"{reddened(line) if is_warning else line}\n")

    def say(self, text: str) -> None:
        """A line with the time."""
        self._lines.put(f"[INFO] {time.strftime('%H:%M:%S')}  {fit(text)}\n")

    def _speak(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                os.write(1, line.encode())
                if os.lseek(1, 0, os.SEEK_CUR) > OWN_LOG_BYTES:
                    _put_log_aside()
            except OSError:
                continue  # nobody listens (a closed terminal, a full disk): the agent goes on

    def close(self) -> None:
        """Say what is left, if somebody listens."""
        self._lines.put(None)
        self._thread.join(2.0)


def _put_log_aside() -> None:
    """Go on in a new file under the name of the one that we write to, and keep the old one as ``….1``.

    Several agents may write to one: only the first who comes finds it under its name.

    Raises:
        OSError: it is no file, or cannot be renamed; we go on in it.
    """
    path = os.readlink("/proc/self/fd/1")
    ours = os.fstat(1)
    if not stat.S_ISREG(ours.st_mode):
        return
    path = path.removesuffix(" (deleted)")
    if path.endswith(".1") and os.path.exists(path.removesuffix(".1")):
        path = path.removesuffix(".1")  # another agent has put it aside
    try:
        if os.path.samestat(ours, os.stat(path)):
            os.rename(path, f"{path}.1")
    except FileNotFoundError:
        pass
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    fresh = os.open(path, flags, stat.S_IMODE(ours.st_mode))
    try:
        both = os.path.samestat(ours, os.fstat(2))
        os.dup2(fresh, 1)
        if both:
            os.dup2(fresh, 2)
    finally:
        os.close(fresh)


def fit(text: str) -> str:
    """A line as a terminal may be shown it, whatever it quotes, and as any encoding can say it."""
    return printable(text, LINE_MAX).encode("utf-8", "backslashreplace").decode()


def reddened(text: str) -> str:
    """A line in red, if standard output is a terminal that shows colours to people who want them."""
    is_wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"
    return f"\033[31m{text}\033[0m" if is_wanted and os.isatty(1) else text
