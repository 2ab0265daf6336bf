"""From a snapshot to the living document that goes to all who look.  Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gpu_queue.console.keys import key_of, text_of
from gpu_queue.console.models import living as models
from gpu_queue.console.models.living import ENDED_MAX, GPUS_MAX, RUNNING_MAX, WAITING_MAX
from gpu_queue.console.sentences import why_waits
from gpu_queue.spool.events import Event
from gpu_queue.spool.pages import TryPage, WaitPage
from gpu_queue.spool.paths import title_of
from gpu_queue.spool.snapshot.settled import SettledTask
from gpu_queue.spool.snapshot.view import GpuView, NodeView, Presence, RunningTask, Snapshot
from gpu_queue.spool.snapshot.waiting import WaitingTask
from gpu_queue.states import GpuState
from gpu_queue.task import State

KEPT = frozenset({"starting", "holding", "yielding", "backing off"})
"""States of a keep-alive that has to do with its GPU."""
PROBLEMS_SHOWN = 20
PROBLEM_MAX = 700
_TAIL = re.compile(r"(?<=.)-[0-9a-f]{8}$", re.ASCII)
_USES: dict[GpuState, models.Use] = {GpuState.FOREIGN: "foreign", GpuState.LOST: "lost"}


@dataclass(frozen=True)
class Around:
    """What a document says beside the snapshot."""

    job: str
    path: str
    band: models.Band
    is_made: bool = True
    storage: models.Storage = field(default_factory=lambda: models.Storage(seen_at_s=None))
    titles: Mapping[str, str] = field(default_factory=dict)
    """By id, where that cannot carry it."""


def gpu_key(node: str, uuid: str) -> str:
    """How a document names a GPU: agents of two nodes may tell of the same card."""
    return f"{key_of(node)}/{text_of(uuid)}"


def living_of(seen: Snapshot, around: Around, attention: Mapping[str, models.Attention]) -> models.Living:
    """The document of a snapshot.

    Args:
        seen: what was seen.
        around: what is known beside it.
        attention: what a person should look at, by key.
    """
    short = short_titles(seen.nodes)
    nodes = {key_of(one.node): _node(one, seen.nodes, short[one.node]) for one in seen.nodes}
    silent = {one.node for one in seen.nodes if one.presence is Presence.SILENT}
    gpus = {gpu_key(one.node, one.page.uuid): _gpu(one, one.node in silent) for one in seen.gpus[:GPUS_MAX]}
    told = told_of(seen)
    waiting = [waiting_of(one, told.get(one.name), around.titles) for one in seen.waiting[:WAITING_MAX]]
    ended = newest_ends(seen, around.titles)
    running = {key_of(one.name): running_of(one, seen) for one in seen.running[:RUNNING_MAX]}
    cut = set(seen.cut)
    if len(seen.running) > RUNNING_MAX:
        cut.add("running")
    return models.Living(
        job=around.job,
        path=text_of(around.path),
        is_made=around.is_made,
        band=around.band,
        flags={one.name: models.Flag(by=text_of(one.by)) for one in seen.flags},
        counts=models.Counts(
            waiting=seen.counts.waiting, running=seen.counts.running, done=seen.counts.done, failed=seen.counts.failed
        ),
        nodes=nodes,
        gpus=gpus,
        running=running,
        waiting={one.key: one for one in waiting},
        waiting_order=[one.key for one in waiting],
        ended={one.key: one for one in ended},
        ended_order=[one.key for one in ended],
        queues={
            text_of(one.queue): models.Queue(
                is_busy=one.is_busy,
                holders=[text_of(holder) for holder in one.holders],
                pending=one.pending,
                running=one.running,
                done=one.done,
                failed=one.failed,
                failures=one.failures,
                rests_until_s=one.rests_until_s,
            )
            for one in seen.queues
        },
        attention=dict(attention),
        problems=[text_of(f"{one.file}: {one.problem}", PROBLEM_MAX) for one in seen.problems[:PROBLEMS_SHOWN]],
        cut=sorted(cut),
        storage=around.storage,
        versions=models.Versions(
            waiting=seen.versions.waiting,
            running=seen.versions.running,
            done=seen.versions.done,
            failed=seen.versions.failed,
            nodes=seen.versions.nodes,
            queues=seen.versions.queues,
            events=seen.versions.events,
        ),
    )


def short_titles(nodes: Iterable[NodeView]) -> dict[str, str]:
    """How nodes are shown: without the digits that tell two of one host apart, where there is one of it alone."""
    whole = {one.node: text_of(one.title) for one in nodes}
    short = {node: _TAIL.sub("", title) for node, title in whole.items()}
    counts = Counter(short.values())
    return {node: title if counts[title] == 1 else whole[node] for node, title in short.items()}


def _node(one: NodeView, all_nodes: Iterable[NodeView], title: str) -> models.Node:
    watched = [
        models.Watched(
            by=key_of(other.node), tries=silent.tries, left_s=round(silent.left_s), told_at_s=other.written_s
        )
        for other in all_nodes
        if other.page is not None and other.presence is Presence.ALIVE
        for silent in other.page.watching
        if silent.node == one.node
    ]
    page = one.page
    if page is None:
        return models.Node(
            title=title,
            presence=one.presence.value,
            state="unknown",
            silent_s=one.silent_s,
            gpus=[],
            watched_by=watched,
        )
    return models.Node(
        title=title,
        presence=one.presence.value,
        state=page.state.value,
        why=None if page.reason is None else why_waits(one.node, page.reason),
        mode=text_of(page.mode),
        version=text_of(page.version),
        host=text_of(page.host),
        pid=page.pid or None,
        allocation=text_of(page.allocation),
        devices=text_of(page.devices),
        started_at_s=page.started_s,
        ends_at_s=page.ends_s,
        at_end=text_of(page.at_end),
        written_at_s=one.written_s,
        silent_s=one.silent_s,
        is_seen=bool(page.is_watched),
        waiting_count=page.waiting_count,
        skipped=page.skipped,
        gpus=[gpu_key(one.node, gpu.uuid) for gpu in page.gpus],
        problems=[text_of(problem) for problem in page.problems[:PROBLEMS_SHOWN]],
        watched_by=watched,
    )


def use_of(one: GpuView) -> models.Use:
    """What a GPU is used for."""
    page = one.page
    if page.state is GpuState.BUSY or one.claims:
        return "task"
    if page.state is GpuState.IDLE:
        keeper = page.keepalive
        return "keepalive" if keeper is not None and keeper.state in KEPT else "idle"
    return _USES.get(page.state, "unknown")


def _gpu(one: GpuView, is_silent: bool) -> models.Gpu:
    """Of a silent node only that it has tasks is known: nobody says that they have ended."""
    page = one.page
    keeper = page.keepalive
    return models.Gpu(
        node=key_of(one.node),
        uuid=text_of(page.uuid),
        index=page.index,
        name=text_of(page.name),
        state=page.state.value,
        use="unknown" if is_silent and not one.claims else use_of(one),
        memory_total_bytes=page.memory_total_bytes,
        memory_used_bytes=page.memory_used_bytes,
        utilization_percent=page.utilization_percent,
        power_w=page.power_w,
        power_limit_w=page.power_limit_w,
        temperature_c=page.temperature_c,
        problem=text_of(page.problem),
        keepalive=None
        if keeper is None
        else models.KeepAlive(
            state=text_of(keeper.state),
            reason=text_of(keeper.reason),
            duty=keeper.duty,
            held_bytes=keeper.held_bytes,
            off_by=text_of(keeper.off_by),
        ),
        kept_by="" if page.shared is None else text_of(page.shared.kept_by),
        running=[key_of(claim) for claim in one.claims],
    )


def _cards_of(name: str, page: TryPage, seen: Snapshot) -> list[str]:
    node = seen.node(name)
    cards = {} if node is None or node.page is None else {gpu.index: gpu.uuid for gpu in node.page.gpus}
    return [gpu_key(name, cards[at]) for at in page.gpus if at in cards]


def running_of(one: RunningTask, seen: Snapshot) -> models.Running:
    """A try that runs."""
    page = one.page
    cards = [] if page is None else _cards_of(one.node, page, seen)
    cards += [card for node, part in one.parts for card in _cards_of(node, part, seen)]
    end = one.end
    return models.Running(
        key=one.task_id,
        title=text_of(one.title),
        node=key_of(one.node),
        number=one.claim.number,
        token=one.claim.token,
        priority=one.claim.priority,
        gpus=cards,
        stage="" if page is None else text_of(page.stage),
        # To the second: the node tells how long it has run, and when it wrote that, and both are rounded.
        started_at_s=None if page is None or one.told_s is None else round(one.told_s - page.seconds),
        limit_s=None if page is None else page.limit_s,
        ending="" if page is None else text_of(page.ending),
        queue="" if page is None else text_of(page.queue),
        ended="" if end is None else (end.why.value if end.why is not None else str(end.status)),
    )


def told_of(seen: Snapshot) -> dict[str, WaitPage]:
    """What nodes tell of tasks that wait, by their names in pending/; rather one that has read the task."""
    found: dict[str, WaitPage] = {}
    for node in seen.nodes:
        for one in () if node.page is None else node.page.waiting:
            if one.gpus or one.name not in found:
                found[one.name] = one
    return found


def waiting_of(one: WaitingTask, told: WaitPage | None, titles: Mapping[str, str]) -> models.Waiting:
    """A task that waits, and what a node tells of it."""
    title = titles.get(one.task_id or "") or (told.title if told is not None else "") or one.title
    return models.Waiting(
        key=key_of(one.task_id or one.name),
        has_id=one.task_id is not None,
        title=text_of(title),
        priority=one.priority,
        gpus="" if told is None else text_of(told.gpus),
        submitted_at_s=one.submitted_s,
        tries=0 if told is None else told.tries,
        why=[why_waits(found.node, found.reason) for found in one.reasons[:8]],
    )


def newest_ends(seen: Snapshot, titles: Mapping[str, str]) -> list[models.Ended]:
    """The tasks that ended last, the newest first."""
    found: list[tuple[float, SettledTask]] = []
    for tasks in (seen.done, seen.failed):
        for one in tasks[:ENDED_MAX]:
            moment_s = one.ended.at_s if one.ended is not None else None
            found.append((moment_s if moment_s is not None else one.submitted_s or 0.0, one))
    found.sort(key=lambda pair: (-pair[0], pair[1].task_id))
    return [ended_of(one, titles) for _, one in found[:ENDED_MAX]]


def ended_of(one: SettledTask, titles: Mapping[str, str]) -> models.Ended:
    """A task that ended."""
    event = one.ended
    return models.Ended(
        key=one.task_id,
        title=text_of(titles.get(one.task_id) or _title(one, event)),
        state="done" if one.state is State.DONE else "failed",
        outcome=text_of(event.outcome) if event is not None and event.outcome else one.state.value,
        status=None if event is None else event.status,
        error_type="" if event is None else text_of(event.error_type),
        node="" if event is None else key_of(event.node),
        gpus=[] if event is None else [gpu_key(event.node, uuid) for uuid in event.gpus],
        ended_at_s=None if event is None else event.at_s,
    )


def _title(one: SettledTask, event: Event | None) -> str:
    return event.name if event is not None and event.name else title_of(one.task_id)
