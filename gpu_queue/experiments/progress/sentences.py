"""What happened, and how far it is, in English: of lines and screens alike.  Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from gpu_queue.experiments.progress.nouns import Counts, Event, Happened, Item, Progress, Queue, Rest, Standing
from gpu_queue.states import AgentState
from gpu_queue.task import ErrorType, short_name
from gpu_queue.units import format_duration
from gpu_queue.words import in_words

_NODE_HASH = re.compile(r"-[0-9a-f]{8}$")
_ROUNDS_S = ((90, 10), (600, 60), (3600, 300), (6 * 3600, 900), (86400, 3600))
"""What is reckoned is told no finer than so."""


def nonce_of(task_id: str) -> str:
    """The six digits by which commands know a task."""
    return short_name(task_id).rpartition("(")[2].rstrip(")")


def node_of(node: str) -> str:
    """A node as people call it: without what tells it from others of its name."""
    return _NODE_HASH.sub("", node)


def where(standing: Standing) -> str:
    """``on GPU 0,1 of node7``; empty where nobody knows."""
    if not standing.node:
        return ""
    gpus = f"GPU {','.join(map(str, standing.gpus))} of " if standing.gpus else ""
    return f"on {gpus}{node_of(standing.node)}"


def how_it_ended(standing: Standing) -> str:
    """How its last try ended: ``exit status 1 (oom)``, ``timed out``, ``cancelled while it waited``."""
    outcome = standing.outcome
    if outcome.startswith("failed("):
        words = f"exit status {outcome[len('failed(') :].rstrip(')')}"
    elif outcome == "timeout":
        words = "timed out"
    elif outcome in ("requeued", "fenced", "again", "saved", "cancelled", "") and not standing.error_type:
        words = "cancelled while it waited" if outcome or not standing.tries else "nobody knows how it ended"
    else:
        words = outcome or "failed"
    if standing.error_type not in ("", ErrorType.UNKNOWN.value, ErrorType.TIMEOUT.value):
        words += f" ({standing.error_type})"
    return words


def counted(counts: Counts) -> str:
    """``13 of 24 done, 1 failed, 4 running, 6 waiting``."""
    told = [f"{counts.done} of {counts.all} done"]
    for name in ("failed", "cancelled", "running", "waiting"):
        count = getattr(counts, name)
        if count:
            told.append(f"{count} {name}")
    return ", ".join(told)


def rest_in_words(rest: Rest | None, now: float, *, is_short: bool = False) -> str:
    """``about 9m left``, or ``~9m left``; empty where nobody can tell."""
    if rest is None:
        return ""
    left_s = rest.until - now
    step_s = next((step for most, step in _ROUNDS_S if left_s < most), 6 * 3600)
    rounded = max(step_s, round(left_s / step_s) * step_s)
    told = re.sub(r"(?<=[hmd])00[hms]$", "", format_duration(rounded))
    if is_short:
        return f"{told}+ left" if rest.is_least else f"~{told} left"
    return f"at least {told} left" if rest.is_least else f"about {told} left"


def elapsed_in_words(seconds: float) -> str:
    """A time that goes on: by whole seconds, so that it does not flicker."""
    return format_duration(seconds) if seconds >= 10 else f"{int(max(0.0, seconds))}s"


def summary(progress: Progress) -> str:
    """How far all of it is, in a line."""
    elapsed = elapsed_in_words(progress.now - progress.began)
    parts = [f"{counted(progress.counts)}; {elapsed}", rest_in_words(progress.rest, progress.now)]
    return ", ".join(filter(None, parts))


def why_first(item: Item) -> str:
    """Why the first that waits does."""
    reason = item.standing.reason
    return in_words(reason) if reason is not None else ""


def agent_in_words(progress: Progress) -> str:
    """What is to be known of the agent; empty: it serves."""
    agent = progress.agent
    told = {
        None: "waiting for an agent",
        AgentState.PAUSED: "paused",
        AgentState.DRAINING: "the agent takes nothing new",
        AgentState.LEAVING: "the agent is leaving",
        AgentState.STOPPED: "the agent has ended",
    }.get(agent.state, "")
    return ": ".join(filter(None, (told, agent.said)))


def happened(event: Event) -> tuple[str, str]:
    """A word and the rest of a sentence; names are as others wrote them."""
    if event.item is None:
        return "agent", "it was started again" + (f": {event.said}" if event.said else "")
    item, standing = event.item, event.item.standing
    name = called(item)
    took = f"after {format_duration(standing.ran_s)}" if standing.ran_s is not None else ""
    again = f"try {standing.tries}" if standing.tries > 1 else ""
    if event.what is Happened.STARTED:
        return "started", " ".join(filter(None, (name, where(standing)))) + (f", {again}" if again else "")
    if event.what is Happened.DONE:
        return "done", " ".join(filter(None, (name, took)))
    if event.what in (Happened.FAILED, Happened.CANCELLED):
        return event.what.value, ending(item)
    if event.what is Happened.RETRIED:
        reason = in_words(standing.reason) if standing.reason is not None else "it is tried again"
        return "failed", f"{name}: {' '.join(filter(None, (how_it_ended(standing), took)))}; {reason}"
    if event.what is Happened.REQUEUED:
        because = "; ".join(filter(None, (standing.outcome, standing.problem)))
        return "requeued", f"{name}" + (f": {because}" if because else "")
    if event.what is Happened.QUEUED:
        return "queued", f"{name} again"
    return "gone", f"{name}: its task is nowhere any more"


def has_run(standing: Standing) -> bool:
    """Whether something of the script of one that has failed, or was cancelled, ran."""
    return standing.outcome not in ("", "refused", "cancelled")


def ending(item: Item) -> str:
    """``car_s0 (4f0c2a): exit status 1 (oom) after 3m20s on GPU 1 of gpu7, try 2``."""
    standing = item.standing
    told = [how_it_ended(standing)]
    if has_run(standing):
        told += [f"after {format_duration(standing.ran_s)}" if standing.ran_s is not None else "", where(standing)]
    again = f", try {standing.tries}" if standing.tries > 1 else ""
    problem = f": {standing.problem}" if standing.problem else ""
    return f"{called(item)}: {' '.join(filter(None, told))}{again}{problem}"


def called(item: Item) -> str:
    """``car_s0 (4f0c2a)``."""
    task_id = item.standing.task_id
    return f"{item.run.name} ({nonce_of(task_id)})" if task_id else item.run.name


def commands(item: Item, *, is_served: bool) -> tuple[str, ...]:
    """What one types to see more of it, and to run it again if an agent is there to do it."""
    nonce = nonce_of(item.standing.task_id)
    has_log = (f"gpu_logs {nonce}",) if item.standing.log else ()
    return (*has_log, f"gpu_retry {nonce}") if is_served else has_log


def log_of(item: Item) -> str:
    """The path of its log, as its user finds it."""
    return item.standing.link or item.standing.log


def of_shell(queue: Queue) -> str:
    """What a shell needs before gpu_logs and gpu_status mean this queue; empty: it has it."""
    if queue.is_set:
        return ""
    source = f"; source {shlex.quote(queue.client)}" if queue.client else ""
    return f"export QUEUE_ROOT={shlex.quote(queue.root)} JOB_ID={shlex.quote(queue.job_id)}{source}"


def plural(count: int, noun: str) -> str:
    """``1 run``, ``2 runs``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def listed(names: Sequence[str], most: int) -> str:
    """Some names, and how many more."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
