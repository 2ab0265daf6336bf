"""Functions as tasks: pickled when they are submitted, before anything is written."""

from __future__ import annotations

import functools
import os
import shlex
import site
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from gpu_queue.spool import calls
from gpu_queue.texts import printable

_PACKAGE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
_RUNNER = (  # what lies in the working directory may be called as a module of Python, or of ours
    "import sys; sys.path[:] = [{package}, *filter(None, sys.path)]; from gpu_queue.integrations.call import main; "
    "sys.path.remove({package}); sys.exit(main())"
)
_SCRIPT = """\
#!/bin/sh
# Calls {function}: what it is called with lies in calls/ of the queue.
python={python}
command -v "$python" >/dev/null || {{
	echo "gpu_queue: there is no $python on $(uname -n), the Python of whoever submitted {function}; let that path be there too, or name another by python=" >&2
	exit 127
}}
exec "$python" -u -c {runner}
"""  # noqa: E501  a line of the log


def name_of(function: Callable[..., Any]) -> str:
    """What people call a function, without what encloses it."""
    while isinstance(function, functools.partial):
        function = function.func
    name = getattr(function, "__name__", None) or type(function).__name__
    return "lambda" if name == "<lambda>" else printable(str(name))


def pickled(function: Callable[[], Any]) -> calls.Call:
    """A function as a task can carry it.

    Raises:
        Exception: whatever pickling it raises; ValueError: it is too large; ImportError: there is no cloudpickle.
    """
    versions = calls.versions_here()
    import cloudpickle  # noqa: PLC0415  whoever submits scripts needs none

    content = cloudpickle.dumps(function)
    if len(content) > calls.PICKLE_MAX_BYTES:
        raise ValueError(
            f"{name_of(function)} and its arguments are {len(content)} bytes, at most {calls.PICKLE_MAX_BYTES} are "
            "taken: write them to a file, and pass its path"
        )
    return calls.Call(versions, name_of(function), _module_path(), content)


def _module_path() -> tuple[str, ...]:
    """Where modules are found beside those of Python itself and those that are installed."""
    own = {sys.prefix, sys.base_prefix, sys.exec_prefix, site.getusersitepackages(), *site.getsitepackages()}
    places = dict.fromkeys(os.path.abspath(one) for one in sys.path)
    return tuple(one for one in places if not any(one == top or one.startswith(f"{top}/") for top in own))


def script_of(function: str, python: str | None) -> bytes:
    """What the task of a function runs.

    Args:
        function: its name.
        python: by which it is run; None: by this one.
    """
    shown = "".join(one if one.isalnum() or one in "_." else "_" for one in function)
    runner = _RUNNER.format(package=ascii(_PACKAGE))
    text = _SCRIPT.format(
        function=shown, python=shlex.quote(python or sys.executable or "python3"), runner=shlex.quote(runner)
    )
    return text.encode("utf-8", "surrogateescape")


class Chunk:
    """Several calls of one function that are one task."""

    def __init__(self, function: Callable[..., Any], arguments: list[tuple[Any, ...]]) -> None:
        self._function = function
        self._arguments = arguments
        self.__name__ = name_of(function)

    def __call__(self) -> list[Any]:
        """What each of them returns; the first that raises ends it."""
        return [self._function(*one) for one in self._arguments]


def chunks(
    function: Callable[..., Any], arguments: Iterable[tuple[Any, ...]], size: int
) -> Iterator[Callable[[], Any]]:
    """A function for each task of so many calls.

    Raises:
        ValueError: a chunk has one call at least.
    """
    if size < 1:
        raise ValueError(f"chunksize={size!r}; expected 1 or more")
    if size == 1:
        yield from (functools.partial(function, *one) for one in arguments)
        return
    rest = iter(arguments)
    while some := list(islice(rest, size)):
        yield Chunk(function, some)
