"""What GPUs did over days, all of them together, and who used them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gpu_queue.console.models.common import Model

Several = Literal["gpus", "one"]


class UseSeries(Model):
    """How many GPUs were used so, in the mean of each step; null: nothing is known of any."""

    use: Literal["task", "keepalive", "idle", "foreign", "lost", "unknown"] = Field(
        description="`unknown`: no agent was there, or it could not tell."
    )
    gpus: list[float | None]
    total_s: float = Field(description="GPU-seconds over the whole range.")


class Usage(Model):
    """Utilisation and power from samples, uses from the nodes' histories."""

    from_s: float
    to_s: float
    now_s: float
    step_s: float
    at_s: list[float] = Field(description="The beginning of each step.")
    spread: Several = Field(
        description="`gpus`: low and high leave out a tenth of the GPUs each; `one`: least and most of one GPU."
    )
    mean_percent: list[float | None]
    low_percent: list[float | None]
    high_percent: list[float | None]
    power_w: list[float | None] = Field(description="Of all GPUs together.")
    energy_j: float | None = Field(description="Over the steps in which power was sampled.")
    sampled_since_s: float | None = Field(description="null: nothing was sampled.")
    sampled_gpus: int
    uses: list[UseSeries]
    seen_gpus: int
    seen_since_s: float | None = Field(description="Before that no node has told what its GPUs are used for.")
    is_sampled: bool = Field(description="False: this console keeps no samples (--no-history).")


class UsedBy(Model):
    """What one user or queue had."""

    name: str = Field(description="Empty: nobody tells.")
    gpu_s: float
    failed_gpu_s: float = Field(description="Of it in tries that ended badly.")
    tries: int
    tasks: int


class UsedOn(UsedBy):
    """What a day had, as far as it lies in the range."""

    from_s: float = Field(description="Its midnight, by the console's machine.")
    to_s: float = Field(description="The next one.")


class Users(Model):
    """Who used the GPUs: seconds times GPUs, as `gpu-queue report` counts them."""

    from_s: float
    to_s: float
    users: list[UsedBy]
    queues: list[UsedBy]
    days: list[UsedOn] = Field(description="By the days of the console's machine, the newest first.")
    unread: int = Field(description="Tasks whose records were not read yet: ask again.")
