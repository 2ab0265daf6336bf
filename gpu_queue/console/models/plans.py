"""Plans: what a change will do, said before it is done."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gpu_queue.console.models.common import Model, Note, TaskState, WhyWaits
from gpu_queue.console.models.jobfiles import PlannedLoad
from gpu_queue.console.models.tasks import Need, TaskFilter

TASKS_MAX = 100_000
SHOWN_MAX = 50
SCRIPTS_MAX = 100

ActionName = Literal[
    "stop",
    "cancel",
    "retry",
    "priority",
    "pause",
    "resume",
    "drain",
    "keepalive_on",
    "keepalive_off",
    "shutdown",
    "forget",
    "explain",
    "submit",
    "load",
    "policy",
]


class ScriptIn(Model):
    """A script that is to be queued."""

    name: str = Field(min_length=1, max_length=255)
    text: str = Field(max_length=(16 << 20) * 4 // 3 + 4)
    is_base64: bool = Field(
        False, strict=True, description="The text is its bytes in base64: of a file that is no UTF-8."
    )


class SubmitOptions(Model):
    """What is said about tasks beside their scripts; null: what the script says."""

    gpus: str | None = Field(None, max_length=100, examples=["2", "1-4"])
    memory: str | None = Field(None, max_length=100, examples=["20G"])
    queue: str | None = Field(None, max_length=200)
    time: str | None = Field(None, max_length=100, examples=["4h"])
    retries: str | None = Field(None, max_length=100)
    nodes: str | None = Field(None, max_length=100, description="On so many at once, with `gpus` on each.")
    signal: str | None = Field(None, max_length=100, examples=["USR1@120"])
    after: list[str] = Field([], max_length=100, description="Keys or names of tasks.")
    array: str | None = Field(None, max_length=1000, examples=["0-9%2"])
    priority: int | None = Field(None, strict=True, ge=0, le=999)
    cwd: str | None = Field(
        None, max_length=4096, description="null: the home directory, as for files that are dropped by hand."
    )
    arguments: list[str] = Field([], max_length=1000)
    snapshot: bool | None = Field(
        None,
        strict=True,
        description="Whether they run in a copy of the working tree as it is now; null: as their scripts say.",
    )


class PlanRequest(Model):
    """What somebody wants."""

    action: ActionName
    tasks: list[str] = Field([], max_length=10_000, description="Keys.")
    filter: TaskFilter | None = Field(None, description="In place of `tasks`: all that match it now.")
    nodes: list[str] = Field([], max_length=1000, description="Of shutdown (empty: all) and forget.")
    priority: int | None = Field(None, strict=True, ge=0, le=999)
    why: str = Field("", max_length=400)
    wait: bool = Field(False, strict=True, description="Of shutdown: after the running tasks have ended.")
    force: bool = Field(False, strict=True, description="Of forget.")
    scripts: list[ScriptIn] = Field([], max_length=SCRIPTS_MAX)
    options: SubmitOptions = SubmitOptions()


class PlannedTask(Model):
    """A task that a plan is about."""

    key: str
    short: str
    title: str
    state: TaskState
    does: Literal["stop", "cancel", "retry", "priority", "explain", "nothing"]
    node: str = ""
    user: str = Field("", description="Whose it is, of stop, cancel and priority; empty: not known.")
    since_at_s: float | None = None
    place: int | None = None
    place_after: int | None = Field(None, description="Of priority.")
    why_not: Note | None = Field(None, description="Of `nothing`: why.")


class PlannedNode(Model):
    """A node that a plan touches."""

    node: str
    title: str
    running: int = 0
    presence: str = ""


class PlannedScript(Model):
    """A script, as it was read."""

    name: str
    needs: list[Need]
    tasks: int = Field(1, description="More than one: an array.")
    problem: Note | None = Field(None, description="Why it can never run.")
    notes: list[Note] = []
    starts: str = Field("", description="A node (its title) on which it could start now; empty: it waits.")
    starts_idle: int | None = Field(None, description="So many GPUs of that node are idle.")
    why_waits: list[WhyWaits] = []


class PlanCounts(Model):
    """How many tasks."""

    total: int = 0
    stop: int = 0
    cancel: int = 0
    retry: int = 0
    priority: int = 0
    submit: int = 0
    nothing: int = 0
    dependents: int = Field(0, description="Tasks that wait (--after) for those that are cancelled or stopped.")
    running: int = Field(0, description="Tasks that run, of all: what pause, drain and shutdown leave or end.")


class Plan(Model):
    """What will happen."""

    id: str
    action: ActionName
    expires_at_s: float
    counts: PlanCounts
    tasks: list[PlannedTask] = Field(description=f"The first {SHOWN_MAX}.")
    nodes: list[PlannedNode] = []
    scripts: list[PlannedScript] = []
    load: PlannedLoad | None = Field(None, description="Of `load`: what becomes of each task of the file.")
    ends_agent: str = Field(
        "", description="Of a load that is stopped: the node whose agent this console has started."
    )
    grace_s: float | None = Field(None, description="Between TERM and KILL.")
    priority: int | None = None
    settings: list[str] = Field([], description="Of policy: keys of config.yaml that say something else.")
    must_confirm: bool = Field(description="Stop, shut down, forget, and all above 20 tasks.")
    must_type: str = Field("", description="A name that has to be typed first.")
    can_undo: bool
    can_run: bool = Field(description="False: nothing would happen, or a script can never run.")
    warnings: list[Note] = []
    outcome: PlanOutcome | None = Field(None, description="What came of its run; null: it was not run yet.")
    undone: PlanOutcome | None = Field(None, description="What came of its undo; null: it was not undone.")


class RunRequest(Model):
    """Do it."""

    typed: str = Field("", max_length=400)
    wait_s: float = Field(
        10.0, ge=0, le=30, description="So long the reply waits for the end; then its state is `running`."
    )


class TaskOutcome(Model):
    """What became of the wish about one task."""

    key: str
    title: str
    what: Literal["done", "gone", "refused", "unknown"]
    where: str = ""
    why: Note | None = Field(None, description="Why it was not done, or what should be known of it.")


class NodeAnswer(Model):
    """What a node said."""

    node: str
    reply: Literal["answered", "gone", "silent"]
    lines: list[str] = []


class AgentOutcome(Model):
    """What became of an agent that a console starts, or has started (--start-agents)."""

    what: Literal["done", "gone", "refused", "unknown"]
    text: str = Field(description="In English; `why` has both languages.")
    why: Note | None = None
    node: str = ""


class PlanOutcome(Model):
    """What happened; a second run of a plan returns the outcome of the first."""

    id: str
    state: Literal["running", "finished"]
    done: int
    total: int
    counts: dict[str, int] = Field(description="By what: done, gone, refused, unknown.", examples=[{"done": 7}])
    outcomes: list[TaskOutcome] = Field(
        description="Those that were not done, at most 200; then those that were, at most 200."
    )
    answers: list[NodeAnswer] = []
    submitted: list[str] = Field([], description="Ids of new tasks; at most 200.")
    undo_until_s: float | None = Field(None, description="null: cannot be undone.")
    problem: Note | None = Field(None, description="Why it did not come to its end.")
    notes: list[str] = Field([], description="What else is to be said of it; in English, at most 20.")
    agent: AgentOutcome | None = Field(None, description="What became of starting or ending the console's own agent.")


class ExplainRequest(Model):
    """Ask the agents why tasks wait."""

    tasks: list[str] = Field(min_length=1, max_length=1000, description="Keys.")
    wait_s: float = Field(10.0, ge=0, le=30)


class ReadRequest(Model):
    """What do these scripts ask for?"""

    scripts: list[ScriptIn] = Field(max_length=SCRIPTS_MAX)
    options: SubmitOptions = SubmitOptions()


class ReadReply(Model):
    """So much, as far as is known while somebody types."""

    scripts: list[PlannedScript]


Plan.model_rebuild()
