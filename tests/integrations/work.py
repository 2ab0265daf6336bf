"""Functions that are sent to nodes by their names."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any


class Odd(Exception):
    """It pickles, and does not come back: its ``__init__`` takes more than its arguments tell."""

    def __init__(self, text: str, more: int) -> None:
        super().__init__(text)
        self.more = more


class Leaving(Exception):
    """Whoever loads it leaves the process."""

    def __reduce__(self) -> Any:
        return sys.exit, (0,)


class Unpicklable:
    """Whoever pickles it leaves the process."""

    def __reduce__(self) -> Any:
        sys.exit(0)


def leaving(how: str) -> Any:
    if how == "value":
        return Unpicklable()
    raise Leaving("it leaves")


class Thing:
    """Its end can be seen."""


def thing(_number: int) -> Thing:
    return Thing()


def times(number: int, factor: int = 1) -> int:
    print(f"{number} times {factor} on GPU {os.environ['CUDA_VISIBLE_DEVICES']}")
    return number * factor


def end(how: str) -> Any:
    """Every way that does not return."""
    if how == "raise":
        raise KeyError(how)
    if how == "odd":
        raise Odd("one", 2)
    if how == "exit 3":
        sys.exit(3)
    if how == "exit 0":
        sys.exit(0)
    if how == "leave":
        os._exit(0)
    if how == "lock":
        return threading.Lock()
    print("before the end", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
    return None


def second_time(where: str) -> int:
    """The first try fails."""
    number = int(os.environ["GPU_QUEUE_TRY"])
    Path(where, f"try {number}").touch()
    if number == 1:
        raise RuntimeError("the first try")
    return number


def wait_for(path: str) -> str:
    while not os.path.exists(path):
        time.sleep(0.02)
    return path


def held(path: str, seconds: float = 0.0) -> tuple[str, float, float]:
    """From when to when a GPU was ours; the file of that GPU shows whether somebody else had it, too."""
    gpu = os.environ["CUDA_VISIBLE_DEVICES"]
    mark = os.path.join(path, f"gpu {gpu}")
    os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
    began = time.time()
    time.sleep(seconds)
    os.unlink(mark)
    return gpu, began, time.time()
