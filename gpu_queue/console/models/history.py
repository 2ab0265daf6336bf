"""What was: lanes of GPUs, samples, what was spent."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gpu_queue.console.models.common import Model
from gpu_queue.console.models.living import Use


class Interval(Model):
    """A part of a lane."""

    from_s: float
    to_s: float | None = Field(description="null: it goes on.")
    use: Use
    task: str = Field("", description="The id.")
    title: str = ""
    outcome: str = Field("", description="How the try ended; empty: it runs, or nobody knows.")
    is_failure: bool = False


class Lane(Model):
    """A GPU."""

    gpu: str = Field(description="`<node>/<uuid>`.")
    node: str
    uuid: str
    index: int | None
    seen_since_s: float | None = Field(description="Before that nothing is known.")
    intervals: list[Interval]


class Timeline(Model):
    """Lanes on one axis."""

    from_s: float
    to_s: float
    now_s: float
    lanes: list[Lane]
    is_cut: bool = False


class EventView(Model):
    """Something that happened on a node."""

    at_s: float | None
    node: str
    kind: str
    task: str = ""
    title: str = ""
    outcome: str = ""
    status: int | None = None
    error_type: str = ""
    use: str = ""
    gpus: list[str] = []
    other_node: str = ""


class EventPage(Model):
    """The newest events first."""

    events: list[EventView]


class Series(Model):
    """A quantity over time: min, mean and max of each step; null where nothing was measured."""

    quantity: Literal["utilization_percent", "memory_used_bytes", "power_w", "temperature_c"]
    min: list[float | None]
    mean: list[float | None]
    max: list[float | None]


class History(Model):
    """Samples of one GPU."""

    gpu: str
    step_s: float
    at_s: list[float] = Field(description="The beginning of each step.")
    series: list[Series]
    sampled_since_s: float | None


class Spent(Model):
    """What a GPU, a node or all did on a day."""

    day: str = Field(examples=["2026-11-29"])
    node: str = ""
    gpu: str = ""
    task_s: float | None = None
    keepalive_s: float | None = None
    idle_s: float | None = None
    task_j: float | None = None
    keepalive_j: float | None = None
    idle_j: float | None = None


class Ledger(Model):
    """What was spent."""

    days: int
    by: Literal["day", "node", "gpu"]
    rows: list[Spent]
