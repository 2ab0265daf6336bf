"""The policy of a spool: its config.yaml as a form and as text, and what a change of it means."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gpu_queue.console.models.common import Model, Note, Words

TEXT_MAX = 64 << 10
"""Characters; agents read no larger file."""
VALUE_MAX = 4000

When = Literal["at_once", "next_agent"]


class PolicyGroup(Model):
    """Settings that belong together."""

    name: str = Field(examples=["keepalive"])
    label: Words


class PolicyField(Model):
    """One setting."""

    key: str = Field(examples=["keepalive.gpu_util_target"], description="In config.yaml, with dots between groups.")
    group: str
    label: Words
    meaning: Words = Field(description="With `code` between backquotes.")
    unit: Words = Field(description="What a bare number is, or how it may be written; may be empty.")
    type: str = Field(
        examples=["percent"],
        description="flag, choice, count, percent, part, time, lifetime, hours, size, megabytes, gpus, uid, "
        "quiet_hours or text; others may come, and are text.",
    )
    is_list: bool = Field(False, description="Several of them, with commas between.")
    choices: list[str] = []
    can_be_none: bool = Field(False, description="`none` is a value of it.")
    value: str | None = Field(description="As it is written; null: it is not. Then `default` counts.")
    is_typed: bool = Field(True, description="False: what stands there cannot be told in a field; edit the text.")
    default: Words
    written: int | None = Field(None, description="The line of its key; null: there is none.")
    when: When = Field(description="Whether running agents take a change over.")
    is_guarded: bool = Field(False, description="It decides who runs, or what: only in a file of the agent's user.")


class PolicyProblem(Model):
    """What is wrong with a config.yaml."""

    line: int | None = None
    key: str = Field("", description="Of a setting; empty: of none.")
    kind: Literal["refused", "unfit"] = Field(
        description="refused: no agent obeys the file. unfit: its values do not fit each other, or the defaults of "
        "others; an agent that was started with other values may still obey."
    )
    text: Words


class DiffLine(Model):
    """A line of the difference between two texts."""

    kind: Literal["same", "removed", "added", "gap"]
    old: int | None = None
    new: int | None = None
    text: str = ""


class PolicyChange(Model):
    """A setting that says something else."""

    key: str
    was: str | None = Field(description="null: it was not written.")
    now: str | None
    when: When


class PolicyAgent(Model):
    """A live agent, and what it makes of a text."""

    node: str
    title: str
    takes: Literal["at_once", "next_start", "nothing", "refuses"]
    at_once: list[str] = Field([], description="Keys that it takes over within seconds.")
    next_start: list[str] = Field([], description="Keys for which a new agent is needed.")


class Policy(Model):
    """The policy as it is."""

    text: str = Field(description="What is no text of its encoding is shown as U+FFFD, see is_exact.")
    etag: str = Field(description="Of the file's bytes; `none`: there is no file.")
    source: str = Field(description="The path of the file.")
    exists: bool
    is_exact: bool = Field(True, description="False: the file has bytes that are no text; saving replaces them.")
    modified_at_s: float | None = None
    by: str = Field("", description="Whose file it is.")
    groups: list[PolicyGroup]
    fields: list[PolicyField]
    problems: list[PolicyProblem]
    notes: list[Note] = []


class PolicyCheck(Model):
    """A text, and fields that are to be changed in it."""

    text: str = Field(max_length=TEXT_MAX)
    changes: dict[str, str | int | float | bool | None] = Field(
        {}, max_length=200, description="By key; null: the default, without a line for it."
    )
    base: str | None = Field(
        None, max_length=TEXT_MAX, description="What it is compared with; null: the file as it is now."
    )


class RefusedChange(Model):
    """A field that cannot be changed without anything else of the text."""

    key: str
    code: str = Field(examples=["entangled"])
    text: Words


class PolicyChecked(Model):
    """What would come of a text; nothing was changed."""

    text: str
    etag: str = Field(description="Of the file now: of another one somebody else has written since.")
    fields: list[PolicyField]
    problems: list[PolicyProblem]
    refused: list[RefusedChange] = []
    changes: list[PolicyChange]
    diff: list[DiffLine]
    agents: list[PolicyAgent]
    notes: list[Note] = []


class PolicySave(Model):
    """A text that is to be saved."""

    text: str = Field(max_length=TEXT_MAX)
    etag: str = Field(max_length=100, description="Of the file that was edited; another one now: 412.")
    force: bool = Field(
        False,
        strict=True,
        description="Save it although no agent obeys it, where that is so of the file already; or although its "
        "values do not fit the defaults of others.",
    )


class PolicySaved(Model):
    """It was saved."""

    policy: Policy
    plan: str = Field(description="`POST S/plans/{plan}/undo` puts the text before in its place.")
    undo_until_s: float | None = None
