"""A reading as data: what was concluded from a script, from which of its lines, and why.  Pure."""

from __future__ import annotations

from typing import NamedTuple

TYPE_CHECKING = False  # type checkers take it for true by its name
if TYPE_CHECKING:
    from gpu_queue.signals import Signal
    from gpu_queue.task import Needs


class Array(NamedTuple):
    """The tasks of ``--array``: one for each index."""

    indices: tuple[int, ...]
    limit: int | None = None
    """How many run at once; None: as many as there are GPUs for."""

    def __str__(self) -> str:
        parts = []
        first = last = self.indices[0]
        for index in (*self.indices[1:], None):
            if index == last + 1:
                last = index
                continue
            parts.append(str(first) if first == last else f"{first}-{last}")
            if index is not None:
                first = last = index
        return ",".join(parts) + (f"%{self.limit}" if self.limit else "")


class Conclusion(NamedTuple):
    """One thing that was concluded."""

    what: str
    """``gpus``, ``nodes``, ``devices``, ``memory``, ``time``, ``name``, ``queue``, ``retries``, ``notify``,
    ``after``, ``array``, ``chdir``, ``output``, ``error``, ``mail``, ``signal``, ``requeue``, ``tasks`` (of srun),
    ``snapshot``."""
    value: str
    """In the notation of gpu_submit's flags where there is one (``2``, ``1-4``, ``4h``); else as it stands there."""
    source: str
    """Which rule: ``gpu_submit``, ``gpuq``, ``sbatch``, ``pbs``, ``bsub``, ``sge``, ``oar``,
    ``cuda_visible_devices``, the name of a launcher's option (``nproc_per_node`` …), ``default``."""
    line_number: int = 0
    """Counted from 1; 0: it is from no line."""
    line: str = ""
    """The line as people may be shown it, cut."""
    english: str = ""
    """Why, for people: ``#SBATCH --gres=gpu:2``."""
    chinese: str = ""


class Note(NamedTuple):
    """What people should be told at submit: a warning, or why it is not queued."""

    code: str
    line_number: int
    line: str
    english: str
    chinese: str


class Reading(NamedTuple):
    """What a script asks for.  Where there are refusals the rest is what was understood all the same."""

    gpus_min: int = 1
    gpus_max: int = 1
    devices: tuple[int, ...] = ()
    """Indices that the script itself names; empty: any."""
    memory_bytes: int | None = None
    queue: str | None = None
    time_s: float | None = None
    time_is_limit: bool = False
    """The time is from a scheduler's line: an end to be made, and no promise to need all of it."""
    retries: int | None = None
    after: tuple[str, ...] = ()
    nodes: int = 1
    """On so many its script is started; the GPUs are those of each."""
    signal: Signal | None = None
    """By which it is told that its end is near."""
    notify: tuple[str, ...] = ()
    """Who is told of its end: ``ops:failed``."""
    source: str = "default"
    """Which rule told the number of GPUs."""
    array: Array | None = None
    conclusions: tuple[Conclusion, ...] = ()
    """In the order in which people are shown them."""
    warnings: tuple[Note, ...] = ()
    refusals: tuple[Note, ...] = ()

    def get(self, what: str) -> Conclusion | None:
        """The conclusion about something; None where nothing was said of it."""
        return next((one for one in self.conclusions if one.what == what), None)

    @property
    def gpus(self) -> str:
        """``2`` or ``1-4``."""
        return str(self.gpus_min) if self.gpus_min == self.gpus_max else f"{self.gpus_min}-{self.gpus_max}"

    @property
    def needs(self) -> Needs:
        """The same as a task's needs, for the planner."""
        from gpu_queue.task import Needs  # noqa: PLC0415 - what it imports takes longer than a reading

        return Needs(
            gpus_min=self.gpus_min,
            gpus_max=self.gpus_max,
            devices=self.devices,
            memory_bytes=self.memory_bytes,
            queue=self.queue,
            time_s=self.time_s,
            time_is_limit=self.time_is_limit,
            retries=self.retries,
            after=self.after,
            nodes=self.nodes,
            signal=self.signal,
            notify=self.notify,
            reason=self.source,
        )
