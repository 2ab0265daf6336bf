"""What can go wrong, as a tree.

::

    GpuQueueError            anything this package raises on purpose
    ├── SettingsError        a flag, variable or config.yaml that cannot be obeyed
    ├── SpoolError           a spool that must not or cannot be served, or used
    │   ├── AlreadyServed    another agent serves it on this node
    │   └── NotPublished     the storage did not take all that was to be submitted
    ├── BadScript            a task's script or directives that can never run
    ├── TaskFailed           a task that was waited for did not bring a result
    ├── BadCommandFile       a command file that cannot be loaded
    ├── BadExperimentFile    an experiment file that cannot be loaded
    ├── WayError             a way to a cluster that cannot be asked
    └── DeviceError          no device layer could be started

Inside the agent's loop an error is classified, reported and outlived; only what stands before the loop may
end the program.  Each message names the file or the value, what was expected, and what to do.
"""

from __future__ import annotations


class GpuQueueError(Exception):
    """Base of all errors raised on purpose."""


class SettingsError(GpuQueueError):
    """Settings that cannot be obeyed: a line for each of them, which says where it came from."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class SpoolError(GpuQueueError):
    """A spool that must not be served (another protocol, others may write) or cannot be (not one filesystem)."""


class AlreadyServed(SpoolError):
    """Another agent serves the spool on this node."""


class NotPublished(SpoolError):
    """Scripts could not be queued; nothing of them is left behind.  ``published``: the names of those that were."""

    def __init__(self, message: str, published: tuple[str, ...]) -> None:
        super().__init__(message)
        self.published = published


class BadScript(GpuQueueError):
    """A task that can never run as it was written: the reason is shown to its owner."""

    def __init__(self, english: str, chinese: str = "", code: str = "bad_script") -> None:
        """What is wrong, in English, and in Chinese where somebody has said it so; ``code`` is for programs."""
        super().__init__(english)
        self.chinese = chinese or english
        self.code = code


class TaskFailed(GpuQueueError):
    """A task that was waited for brought no result."""

    def __init__(
        self,
        message: str,
        task_id: str = "",
        outcome: str = "",
        status: int | None = None,
        error_type: str = "",
        raised: str = "",
    ) -> None:
        """Say what became of it, with the end of its log.

        Args:
            message: all of it, for people.
            task_id: of the task.
            outcome: ``failed(1)``, ``timeout``, ``stopped``, ``lost``, ``refused``, ``gone`` …
            status: of its last try; None: it had none, or nobody knows.
            error_type: what kind of failure it was: ``oom``, ``signal`` …; empty: it is not known.
            raised: type and text of an exception that could not be brought back as itself.
        """
        super().__init__(message, task_id, outcome, status, error_type, raised)
        self.task_id = task_id
        self.outcome = outcome
        self.status = status
        self.error_type = error_type
        self.raised = raised

    def __str__(self) -> str:
        return str(self.args[0])


class BadValue(ValueError):
    """A text that is no such value, in English and Chinese: what stands there, and what was expected."""

    def __init__(self, english: str, chinese: str) -> None:
        super().__init__(english)
        self.chinese = chinese


class BadCommandFile(GpuQueueError):
    """Command files that cannot be loaded: a line for each problem, with its file and line."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class BadExperimentFile(GpuQueueError):
    """An experiment file that cannot be loaded: a line for each problem, with its file, line and column."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class WayError(GpuQueueError):
    """A way to a cluster that cannot be asked, or did not answer."""


class DeviceError(GpuQueueError):
    """No device layer could be started; the message says what was found and how to go on."""
