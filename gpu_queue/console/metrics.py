"""What monitoring is told, in the text format of Prometheus: of each queue, as it was seen last.  Pure.

What nobody reads is absent, never 0; so is all of a queue that has not answered for a minute, but how long that is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from gpu_queue.console.keys import key_of, text_of
from gpu_queue.console.world.living import use_of
from gpu_queue.console.world.looking import Seen
from gpu_queue.spool.snapshot.view import GpuView, NodeView, Presence, Snapshot
from gpu_queue.spool.snapshot.waiting import WaitingTasks

STALE_S = 60.0
"""What was seen so long ago is no longer told."""
USES = ("task", "keepalive", "idle", "foreign", "lost", "unknown")
Labels = tuple[str, ...]


@dataclass(frozen=True)
class Sight:
    """A queue, for monitoring."""

    job: str
    seen: Seen | None
    """None: it was never seen."""
    now_s: float
    """Our monotonic clock."""
    streams: int = 0
    listings: Mapping[str, int] = field(default_factory=dict)
    """By look."""
    opens: int = 0
    spent: Mapping[tuple[str, str], Mapping[str, float]] = field(default_factory=dict)
    """By node and UUID: ``task_s`` … ``idle_j``, since there is a ledger."""

    @property
    def stale_s(self) -> float | None:
        """How long ago it was seen."""
        return None if self.seen is None else max(0.0, self.now_s - self.seen.at_s)


class Families(Collector):
    """What is told, gathered sample by sample; a series that is told twice keeps its first value."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._families: dict[str, tuple[Metric, dict[Labels, float]]] = {}
        self._labels: dict[str, Labels] = {}

    def add(self, metric: str, value: float | None, /, **labels: str) -> None:
        """A value; None is nobody's."""
        if value is None:
            return
        if metric not in self._families:
            made = CounterMetricFamily if metric.endswith("_total") else GaugeMetricFamily
            self._families[metric] = made(metric, HELP[metric], labels=tuple(labels)), {}
            self._labels[metric] = tuple(labels)
        values = self._families[metric][1]
        values.setdefault(tuple(labels[one] for one in self._labels[metric]), float(value))

    def collect(self) -> Iterator[Metric]:
        """All of them; for the registry."""
        for family, values in self._families.values():
            for labels, value in values.items():
                family.add_metric(labels, value)  # type: ignore[attr-defined]
            yield family


HELP = {
    "gpuq_tasks": "Tasks by state.",
    "gpuq_waiting_oldest_seconds": "How long the task that waits longest has waited.",
    "gpuq_waiting_reason": "Tasks that wait for this reason on a node, as far as nodes tell (a hundred tasks each).",
    "gpuq_tasks_settled_total": "Tasks that the agent on this node has settled since it started.",
    "gpuq_node_up": "1: its agent gives signs of life; 0: it does not.",
    "gpuq_node_beat_age_seconds": "How old the node's last sign of life is.",
    "gpuq_node_ends_timestamp_seconds": "When the node's agent ends; absent: never, or nobody knows.",
    "gpuq_gpus": "GPUs of living nodes by what they are used for.",
    "gpuq_gpu_utilization_ratio": "Utilisation, 0 to 1.",
    "gpuq_gpu_memory_used_bytes": "Memory in use.",
    "gpuq_gpu_memory_total_bytes": "Memory.",
    "gpuq_gpu_power_watts": "Power drawn.",
    "gpuq_gpu_temperature_celsius": "Temperature.",
    "gpuq_gpu_seconds_total": "What the GPU did, from the nodes' ledgers.",
    "gpuq_gpu_joules_total": "What that cost, from the nodes' ledgers.",
    "gpuq_keepalive_duty_ratio": "The share of time in which the keep-alive is to work, 0 to 1.",
    "gpuq_gpu_task_info": "1: this task has this GPU.",
    "gpuq_console_refresh_seconds": "How long the last look at the queue took.",
    "gpuq_console_listings_total": "Directories of the queue that this console listed.",
    "gpuq_console_opens_total": "Files of the queue that this console opened to look at it.",
    "gpuq_console_streams": "Pages that look on.",
    "gpuq_console_stale_seconds": "How long ago the queue was seen last.",
    "gpuq_console_actions_total": "Changes that were made through this console.",
}
"""Every metric."""


def families_of(
    sights: Iterable[Sight], actions: Mapping[tuple[str, str], int], *, with_tasks: bool = False
) -> Families:
    """What monitoring is told.

    Args:
        sights: the queues.
        actions: changes by action and outcome.
        with_tasks: which task has which GPU, by name: a series for each, and names go to monitoring.
    """
    told = Families()
    for one in sights:
        _console(told, one)
        if one.seen is not None and (one.stale_s or 0.0) <= STALE_S:
            _queue(told, one, one.seen, with_tasks=with_tasks)
    for (action, outcome), count in sorted(actions.items()):
        told.add("gpuq_console_actions_total", count, action=action, outcome=outcome)
    return told


def render(told: Collector, accept: str) -> tuple[bytes, str]:
    """As it goes over the wire, with its media type.

    Args:
        told: what is told.
        accept: the request's header; whoever asks for OpenMetrics gets it.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(told)
    ProcessCollector(registry=registry)
    encode, media_type = choose_encoder(accept)
    return encode(registry), media_type


def _console(told: Families, one: Sight) -> None:
    told.add("gpuq_console_streams", one.streams, spool=one.job)
    told.add("gpuq_console_stale_seconds", one.stale_s, spool=one.job)
    told.add("gpuq_console_refresh_seconds", None if one.seen is None else one.seen.took_s, spool=one.job)
    told.add("gpuq_console_opens_total", one.opens, spool=one.job)
    for directory, count in sorted(one.listings.items()):
        told.add("gpuq_console_listings_total", count, spool=one.job, directory=directory)


def _queue(told: Families, sight: Sight, last: Seen, *, with_tasks: bool) -> None:
    job, seen = sight.job, last.snapshot
    for state in ("waiting", "running", "done", "failed"):
        told.add("gpuq_tasks", getattr(seen.counts, state), spool=job, state=state)
    server_s = None if seen.clock is None else seen.clock.now_s(sight.now_s)
    oldest_s = oldest_of(seen.waiting)
    if server_s is not None and oldest_s is not None:
        told.add("gpuq_waiting_oldest_seconds", max(0.0, server_s - oldest_s), spool=job)
    for code, count in sorted(reasons_of(seen).items()):
        told.add("gpuq_waiting_reason", count, spool=job, code=code)
    for node in seen.nodes:
        _node(told, job, node, seen.age_s(node.written_s, sight.now_s))
    alive = {one.node for one in seen.nodes if one.presence is Presence.ALIVE}
    for node_name in sorted(alive):
        uses: Counter[str] = Counter(use_of(one) for one in seen.gpus if one.node == node_name)
        for use in USES:
            told.add("gpuq_gpus", uses[use], spool=job, node=key_of(node_name), state=use)
    for one in seen.gpus:
        if one.node in alive:
            _gpu(told, job, one, seen, with_tasks=with_tasks)
    cards = {(one.node, one.page.uuid): one.page.index for one in seen.gpus}
    for (node_name, uuid), sums in sorted(sight.spent.items()):
        # One that is not served now has no index.
        gpu = str(cards.get((node_name, uuid), ""))
        common = {"spool": job, "node": key_of(node_name), "gpu": gpu, "uuid": text_of(uuid)}
        for kind in ("task", "keepalive", "idle"):
            told.add("gpuq_gpu_seconds_total", sums.get(f"{kind}_s"), **common, kind=kind)
            told.add("gpuq_gpu_joules_total", sums.get(f"{kind}_j"), **common, kind=kind)


def _node(told: Families, job: str, node: NodeView, age_s: float | None) -> None:
    if node.presence in (Presence.GONE, Presence.UNKNOWN):
        return
    key, page = key_of(node.node), node.page
    is_up = node.presence is Presence.ALIVE
    state = page.state.value if is_up and page is not None else node.presence.value
    told.add("gpuq_node_up", float(is_up), spool=job, node=key, state=state)
    told.add("gpuq_node_beat_age_seconds", age_s, spool=job, node=key)
    if page is None or not is_up:
        return
    told.add("gpuq_node_ends_timestamp_seconds", page.ends_s, spool=job, node=key)
    for outcome, count in (("done", page.done), ("failed", page.failed)):
        told.add("gpuq_tasks_settled_total", count, spool=job, node=key, outcome=outcome)


def _gpu(told: Families, job: str, one: GpuView, seen: Snapshot, *, with_tasks: bool) -> None:
    page = one.page
    common = {"spool": job, "node": key_of(one.node), "gpu": str(page.index), "uuid": text_of(page.uuid)}
    percent, keeper = page.utilization_percent, page.keepalive
    told.add("gpuq_gpu_utilization_ratio", None if percent is None else percent / 100, **common)
    told.add("gpuq_gpu_memory_used_bytes", page.memory_used_bytes, **common)
    told.add("gpuq_gpu_memory_total_bytes", page.memory_total_bytes, **common)
    told.add("gpuq_gpu_power_watts", page.power_w, **common)
    told.add("gpuq_gpu_temperature_celsius", page.temperature_c, **common)
    told.add("gpuq_keepalive_duty_ratio", None if keeper is None else keeper.duty, **common)
    if with_tasks and one.claims:
        running = {task.name: task for task in seen.running}
        for task in filter(None, map(running.get, one.claims)):
            told.add("gpuq_gpu_task_info", 1, **common, task=task.task_id, name=text_of(task.title))


def oldest_of(waiting: WaitingTasks | Sequence[object]) -> float | None:
    """When the task that waits longest was submitted, in epoch seconds; None: nothing waits, or nobody knows."""
    moments = (getattr(one, "submitted_s", None) for one in waiting)
    return min((one for one in moments if one is not None), default=None)


def reasons_of(seen: Snapshot) -> Counter[str]:
    """How many tasks wait for which reason, of those of which nodes tell; a task counts once for each reason."""
    found: dict[str, set[str]] = {}
    for node in seen.nodes:
        if node.page is not None and node.presence in (Presence.ALIVE, Presence.UNKNOWN):
            for one in node.page.waiting:
                found.setdefault(one.reason.code.value, set()).add(one.name)
    return Counter({code: len(names) for code, names in found.items()})
