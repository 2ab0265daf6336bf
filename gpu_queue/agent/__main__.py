"""The agent as a program: what ``perpetual_motion.py`` and ``gpu-queue agent`` run."""

import gc
import os
import signal
import sys
from collections.abc import Mapping
from typing import NoReturn


def _open_standard_streams() -> None:
    """Whoever closed one would otherwise find it taken by the next file that is opened: a lock, say."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115


def run(program: str, constants: Mapping[str, object] = {}) -> NoReturn:
    """Serve until the end, and end the process.

    Args:
        program: its name, for messages.
        constants: settings that stand in the program itself, by the names of their variables.
    """
    _open_standard_streams()
    for number in (signal.SIGUSR1, signal.SIGUSR2):  # they end who does not catch them; the loop says what for
        signal.signal(number, lambda _number, _frame: None)
    if os.getpid() == 1:  # the kernel keeps from process 1 what it does not catch
        signal.signal(signal.SIGTERM, lambda number, _frame: os._exit(128 + number))
    if sys.version_info < (3, 10):  # noqa: UP036  an older one would stumble over our syntax without a word
        sys.exit(f"{program}: needs Python 3.10 or newer; this is {sys.version.split()[0]}")
    gc.disable()  # what is imported stays, and to look through it for garbage time and again is a tenth of a start
    try:
        from gpu_queue.agent.main import main  # noqa: PLC0415
    except ModuleNotFoundError as error:
        sys.exit(
            f"{program}: {sys.executable} has no module {error.name!r}; run `make venv` where you cloned it and use "
            ".venv/bin/python, or: pip install filelock nvidia-ml-py psutil PyYAML watchdog"
        )
    gc.freeze()
    gc.enable()
    # No interpreter shut-down: a thread that hangs on shared storage must not keep the program from ending.
    status = main(program, constants=constants)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    # Run as a file: its directory goes, so that no file there is taken for a module, and the package's is added where
    # it is missing.  Not in front of what Python has: site-packages may hold a backport of a standard module.
    here = os.path.dirname(os.path.realpath(__file__))
    root = os.path.dirname(os.path.dirname(here))
    sys.path[:] = [one for one in sys.path if os.path.realpath(one or ".") != here]
    if root not in map(os.path.realpath, sys.path):
        sys.path.insert(0, root)
    run("gpu-queue agent")
