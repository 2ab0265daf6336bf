"""What many of the models are made of."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Param = str | int | float | bool | list[str] | list[int] | None

TaskState = Literal["waiting", "running", "done", "failed"]


class Model(BaseModel):
    """Unknown keys of a request are refused: a misspelt one would do something else than was meant."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Words(Model):
    """A sentence, without a full stop, in both languages."""

    en: str = Field(examples=["waits for 8 GPUs: 3 idle (15 busy, 1 foreign, 1 lost)"])
    zh: str = Field(examples=["等待 8 张 GPU：空闲 3 张（15 张在用，1 张被他人占用，1 张失联）"])


class WhyWaits(Model):
    """Why a task does not start."""

    node: str = Field("", description="On which node; empty: on all of them.", examples=["gpu1-0f3a21"])
    code: str = Field(description="docs/spool.md, Reasons.", examples=["gpus"])
    params: dict[str, Param] = Field(default_factory=dict, examples=[{"needed": 8, "idle": 3, "busy": 15}])
    text: Words


class Note(Model):
    """Something to tell a person, in both languages; the code and its parameters are for programs."""

    code: str = Field(examples=["runs"])
    params: dict[str, Param] = Field(default_factory=dict, examples=[{"node": "gpu1"}])
    text: Words


class ProblemDetails(BaseModel):
    """An error (RFC 9457, ``application/problem+json``)."""

    type: str = "about:blank"
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field("", description="What, where, what was expected, what to do.")
    code: str = Field("", description="For programs.", examples=["no_such_task"])
    params: dict[str, Any] = Field(default_factory=dict)
    text: Words | None = Field(None, description="The detail for people, in both languages.")
