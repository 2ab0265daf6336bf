"""A queue for GPU jobs that needs nothing but a shared directory."""

from __future__ import annotations

TYPE_CHECKING = False  # type checkers take it for true by its name; to import `typing` would take a tenth of a start
if TYPE_CHECKING:
    from gpu_queue.errors import TaskFailed
    from gpu_queue.experiments.commandfiles.reading import parse_command_file, read_command_file
    from gpu_queue.integrations.executor import Executor
    from gpu_queue.spool.desk.publishing import Options, Script
    from gpu_queue.spool.spool import Spool

__all__ = [
    "PROTOCOL",
    "Executor",
    "Options",
    "Script",
    "Spool",
    "TaskFailed",
    "__version__",
    "parse_command_file",
    "read_command_file",
]

__version__ = "0.1.0"
PROTOCOL = 1
"""The number of the spool protocol (docs/spool.md); a spool that carries another number is refused."""


def __getattr__(name: str) -> object:
    """The public face; only whoever asks for it pays for it."""
    if name in ("Options", "Script", "Spool"):
        import gpu_queue.spool.spool  # noqa: PLC0415

        return getattr(gpu_queue.spool.spool, name)
    if name in ("parse_command_file", "read_command_file"):
        import gpu_queue.experiments.commandfiles.reading  # noqa: PLC0415

        return getattr(gpu_queue.experiments.commandfiles.reading, name)
    if name == "Executor":
        import gpu_queue.integrations.executor  # noqa: PLC0415

        return gpu_queue.integrations.executor.Executor
    if name == "TaskFailed":
        import gpu_queue.errors  # noqa: PLC0415

        return gpu_queue.errors.TaskFailed
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
