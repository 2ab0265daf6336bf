"""Whether the keep-alive can work at all: told before it starts, and without importing torch, which takes seconds."""

from __future__ import annotations

import glob
import importlib.util
import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gpu_queue.texts import printable

VERSION_BYTES = 1 << 14
_FIND = "import importlib.util; s = importlib.util.find_spec('torch'); print(s and s.origin or '-')"
_VERSION = re.compile(r"^__version__ *(?::[^=\n]*)?= *['\"]([^'\"\n]{1,80})['\"]", re.MULTILINE)
_BUILT_FOR = re.compile(r"^(?:cuda|hip) *(?::[^=\n]*)?= *(.{1,80})$", re.MULTILINE)


@dataclass(frozen=True)
class Torch:
    """What the interpreter of the keep-alive has of torch."""

    version: str = ""
    """Empty: nobody knows."""
    problem: str = ""
    """Why nothing can be held; empty: nothing is known to be in the way."""
    remedy: str = ""
    """What to type against it, or what to do."""


def installing(python: str, *, anew: bool = False) -> str:
    """What to type so that an interpreter has torch.

    Args:
        python: its path.
        anew: it has one, which will not do.
    """
    if _is_of_uv(python):
        words = ["uv", "pip", "install", "--python", python, *(["--reinstall"] if anew else [])]
    else:
        words = [python, "-m", "pip", "install", *(["--force-reinstall"] if anew else [])]
    return f"{shlex.join(words)} torch"


def _is_of_uv(python: str) -> bool:
    """Whether uv made its environment, and put no pip into it."""
    prefix = _prefix(python)
    try:
        with open(f"{prefix}/pyvenv.cfg", encoding="utf-8", errors="replace") as file:
            is_of_uv = re.search("^uv *=", file.read(VERSION_BYTES), re.MULTILINE) is not None
    except OSError:
        return False
    return is_of_uv and not glob.glob(f"{glob.escape(prefix)}/lib*/python3*/*-packages/pip")


def look_for_torch(python: str, *, needs_cuda: bool, ask: Callable[[Sequence[str]], str]) -> Torch:
    """Look for torch where an interpreter would find it; some milliseconds, unless it is another one without torch.

    Args:
        python: what runs the keep-alive: a path, or a name in ``PATH``.
        needs_cuda: a build without CUDA will not do.
        ask: what a program says first, which is waited for; empty: it failed.
    """
    shown = printable(python)
    if python == sys.executable:
        found = importlib.util.find_spec("torch")
        origin = (found.origin if found else None) or ""
    elif shutil.which(python) is None:
        return Torch(
            problem=f"{shown} cannot be run",
            remedy="let keepalive.python (GPU_QUEUE_KEEPALIVE_PYTHON) name a Python that has torch",
        )
    else:
        origin = _beside(python) or ask([python, "-c", _FIND])
        if not origin:
            return Torch(
                problem=f"{shown} does not run as a Python", remedy=f"see what it says: {shlex.quote(python)} -V"
            )
    if origin in ("", "-"):
        return Torch(problem=f"torch is not installed for {shown}", remedy=installing(python))
    return _judged(origin, python, needs_cuda=needs_cuda)


def _beside(python: str) -> str:
    """Torch in an interpreter's own directories, without starting it; empty: it is not there, or elsewhere."""
    pattern = f"{glob.escape(_prefix(python))}/lib*/python3*/*-packages/torch/__init__.py"
    return next(iter(sorted(glob.glob(pattern))), "")


def _prefix(python: str) -> str:
    # Not the real path: that of a virtual environment's Python leads out of it.
    return os.path.dirname(os.path.dirname(os.path.abspath(shutil.which(python) or python)))


def _judged(origin: str, python: str, *, needs_cuda: bool) -> Torch:
    try:
        with open(f"{os.path.dirname(origin)}/version.py", encoding="utf-8", errors="replace") as file:
            text = file.read(VERSION_BYTES)
    except OSError:
        return Torch()
    match = _VERSION.search(text)
    version = printable(match[1]) if match else ""
    built_for = _BUILT_FOR.findall(text)
    if needs_cuda and built_for and all(value.strip() == "None" for value in built_for):
        return Torch(
            version,
            f"torch {version} of {printable(python)} was built without CUDA",
            installing(python, anew=True),
        )
    return Torch(version)


def mps_pipe(environment: Mapping[str, str]) -> str:
    """Where the control daemon of MPS listens, for whoever starts with this environment; empty: there is none.

    One that was killed may leave its pipe behind; then that file is to be removed.
    """
    path = f"{environment.get('CUDA_MPS_PIPE_DIRECTORY') or '/tmp/nvidia-mps'}/control"  # noqa: S108
    return path if os.path.exists(path) else ""
