"""The report as Markdown.  Pure: what was not measured says so, and nothing else is printed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

NOT_MEASURED = "not measured"
GIB = 1 << 30
Results = Mapping[str, Any]


@dataclass(frozen=True)
class Row:
    """One number of the report, and what it is to be."""

    label: str
    path: str
    """Where it stands, below ``parts``."""
    unit: str = ""
    digits: int = 1
    most: float | None = None
    least: float | None = None
    scale: float = 1.0

    @property
    def target(self) -> str:
        if self.least is not None and self.most is not None:
            return f"{self.least:g}-{self.most:g}{self.unit}"
        if self.least is not None:
            return f">= {self.least:g}{self.unit}"
        return "" if self.most is None else f"<= {self.most:g}{self.unit}"

    def measured(self, results: Results) -> float | None:
        """The value in the row's unit; None: there is none."""
        value = look_up(results.get("parts", {}), self.path)
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return float(value) * self.scale if is_number else None

    def verdict(self, results: Results) -> str:
        """``met``, ``missed``; empty where there is no target, or no number of a real card."""
        value = self.measured(results)
        if value is None or is_simulated(results) or (self.least is None and self.most is None):
            return ""
        is_met = (self.least is None or value >= self.least) and (self.most is None or value <= self.most)
        return "met" if is_met else "missed"

    def shown(self, results: Results) -> str:
        value = self.measured(results)
        return NOT_MEASURED if value is None else f"{value:.{self.digits}f}{self.unit}"


def is_simulated(results: Results) -> bool:
    """Whether the numbers speak of the report alone."""
    return bool(results.get("device") == "simulated")


def look_up(values: Any, path: str) -> Any:
    """What stands at ``part.key.key``; None if nothing does, or its part failed."""
    for key in path.split("."):
        if not isinstance(values, Mapping):
            return None
        values = values.get(key)
    return values


@dataclass(frozen=True)
class Said:
    """Something that happened, in a word, and what is to happen."""

    label: str
    path: str
    target: str = ""

    def shown(self, results: Results) -> str:
        value = look_up(results.get("parts", {}), self.path)
        if isinstance(value, bool):
            return "yes" if value else "no"
        return value if isinstance(value, str) and value else NOT_MEASURED

    def verdict(self, results: Results) -> str:
        """As of a :class:`Row`."""
        shown = self.shown(results)
        if shown == NOT_MEASURED or is_simulated(results) or not self.target:
            return ""
        return "met" if shown == self.target else "missed"


PARTS = (
    "pause", "gauge", "band", "yield", "watts", "tenant", "light", "contexts",
    "calls", "starting", "training", "agents", "smi", "foreign",
)  # fmt: skip
"""In the order in which they are measured: an interruption loses what matters least."""
TARGETS: tuple[Row | Said, ...] = (
    Row("10 Hz samples within 70-85 %, agent alone", "band.share_percent", " %", 2, least=99),
    Row("mean utilisation", "band.mean_percent", " %", 1, least=76, most=79),
    Row("measured for", "band.seconds", " s", 0),
    Row("from the start of a worker to the band, cold", "yield.settle_cold_s", " s", 1, most=10),
    Row("the same, warm", "yield.settle_warm_s", " s", 1, most=5),
    Row("memory used, of the card's", "band.memory_percent", " %", 1, least=58, most=62),
    Row("word to pause to end of last kernel, p50", "pause.p50_ms", " ms", 1, most=15),
    Row("the same, p99", "pause.p99_ms", " ms", 1, most=50),
    Row("a task wants the GPU to worker gone, memory back, p99", "yield.back.p99_ms", " s", 2, most=1.0, scale=0.001),
    Row("the same while the worker still starts, p50", "starting.starting.p50_ms", " s", 2, scale=0.001),
    Row("the same, longest", "starting.starting.max_ms", " s", 2, scale=0.001),
    Row("dropped script to its first line, median", "band.first_line.p50_ms", " s", 2, scale=0.001),
    Row("our memory left then", "band.first_line.most_memory_found_bytes", " GiB", 2, most=0.25, scale=1 / GIB),
    Row("its end to the band again", "band.first_line.band_again_after_s", " s", 1),
    Row("processor of the worker of one card, of one core", "band.worker_cpu_percent", " %", 2, most=2),
    Row("processor of the agent that serves one card, of one core", "band.agent_cpu_percent", " %", 2, most=1),
    Row("processor of its zygote, of one core", "band.zygote_cpu_percent", " %", 2),
    Row("cards of the node, all of which the agent may read", "band.cards_of_node", "", 0),
    Row("resident memory of the agent", "band.agent_resident_mb", " MB", 0, most=60),
    Row("of the zygote, which the workers share", "band.zygote_resident_mb", " MB", 0),
    Row("of the worker, with what it shares", "band.worker_resident_mb", " MB", 0),
    Row("a tenant's loop beside us, until we have gone and after", "tenant.slower_percent", " % slower", 1, most=3),
    Row("its first second", "tenant.first_second_slower_percent", " % slower", 1),
    Row("from its first product until our worker is gone", "tenant.until_gone_slower_percent", " % slower", 1),
    Row("its first call to CUDA to our noticing it", "tenant.noticed_after_start_ms", " ms", 0),
    Row("the same to our worker gone, memory back", "tenant.gone_after_start_ms", " ms", 0),
    Row("its first call to CUDA to its first product, alone", "tenant.start_alone_ms", " ms", 0),
    Row("the same on a card that we hold", "tenant.start_beside_ms", " ms", 0),
    Row("a task at work again beside a light filler: second 1", "light.first_second_slower_percent", " % slower"),
    Row("the same, after it has gone", "light.afterwards_slower_percent", " % slower", 1),
    Row("its first kernel to the light filler's end", "light.gone_after_ms", " ms", 0),
    Row("processor of a light worker, of one core", "light.worker_cpu_percent", " %", 2),
    Said("a script takes 95 % of the memory at its start, dropped into the queue", "training.queued.outcome", "done"),
    Said("the same beside the filler, without the queue", "training.foreign.outcome"),
    Row("two agents with different JOB_ID on one card: fillers, at most", "agents.most_fillers", "", 0, most=1),
    Row("the same, at least", "agents.least_fillers", "", 0, least=1),
    Row("a script for the one that holds the card, to its first line", "agents.holder.first_line_ms", " ms", 0),
    Row("a script for the other one", "agents.other.first_line_ms", " ms", 0),
    Row("10 Hz samples within 70-85 % beside nvidia-smi in a loop", "smi.share_percent", " %", 2),
    Row("a foreign process: its first call to CUDA to our worker gone", "foreign.gone_after_start_ms", " ms", 0),
    Row("its end to the filler's return", "foreign.back_after_leaving_s", " s", 1),
)  # fmt: skip
FACTS = (
    Row("torch imported by the zygote", "gauge.zygote_ready_s", " s", 1),
    Row("fork to context and kernel ready, light spin", "gauge.context_s", " s", 2),
    Row("memory of its context", "gauge.context_bytes", " GiB", 2, scale=1 / GIB),
    Row("60 % of the memory freed, the context still there", "pause.freeing.freed_ms", " ms", 0),
    Row("the context gone as well", "pause.freeing.gone_ms", " ms", 0),
    Row("load on to the gauge's first move", "gauge.on_first_change_ms", " ms", 0),
    Row("load on to the gauge's full value", "gauge.on_arrived_ms", " ms", 0),
    Row("load off to the gauge's first move", "gauge.off_first_change_ms", " ms", 0),
    Row("load off to the gauge's rest", "gauge.off_arrived_ms", " ms", 0),
    Row("the driver samples the utilisation every", "gauge.sampled_every_ms", " ms", 0),
    Row("one thread that spins at duty 100 % reads", "gauge.spin_percent", " %", 1),
    Row("the same at duty 77.5 %", "gauge.spin_at_aim_percent", " %", 1),
    Row("matmul's kernels beside another context", "contexts.matmul.stretch", " x", 2),
    Row("spin's kernels beside another context", "contexts.spin.stretch", " x", 2),
    Row("a loop beside a matmul that never gives way", "contexts.matmul.slower_percent", " % slower", 1),
    Row("a loop beside a spin that never gives way", "contexts.spin.slower_percent", " % slower", 1),
    Row("power without a context", "watts.idle_w", " W", 0),
    Row("with a context and 60 % of the memory", "watts.context_w", " W", 0),
    Row("spin at 77.5 %", "watts.spin.w", " W", 0),
    Row("zeros at 77.5 %", "watts.zeros.w", " W", 0),
    Row("matmul in the band", "band.watts", " W", 0),
)


def render(results: Results) -> str:
    """Everything, with what it was taken on."""
    sections = [
        _head(results),
        table(("", "target", "measured", ""), [_line(row, results) for row in TARGETS]),
        "What the card and its driver do:\n\n" + table(("", ""), [(row.label, row.shown(results)) for row in FACTS]),
        _calls(results),
        _taken(results),
        _problems(results),
    ]
    return "\n" + "\n".join(section for section in sections if section)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of Markdown, numbers to the right."""
    rule = ("---", *("---:" for _ in head[1:]))
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, rule, *rows))


def _line(row: Row | Said, results: Results) -> tuple[str, str, str, str]:
    return row.label, row.target, row.shown(results), row.verdict(results)


def _head(results: Results) -> str:
    if is_simulated(results):
        return "**A simulated card: this tries the report, and says nothing about a GPU.**\n"
    if not results:
        return "No GPU has been measured yet.\n"
    facts = results.get("machine", {})
    return f"{results.get('device', 'unknown device')}; " + ", ".join(f"{a}: {b}" for a, b in facts.items()) + ".\n"


def _calls(results: Results) -> str:
    """Each call of NVML, at rest and beside a worker in full work."""
    calls = look_up(results, "parts.calls.calls")
    if not isinstance(calls, Mapping):
        return f"What each call of NVML costs: {NOT_MEASURED}.\n"
    head = ("µs", "p50", "p99", "p50 beside a worker", "p99 beside a worker")
    rows = [
        (
            f"`{name}`",
            *(_number(look_up(values, f"{when}.{what}")) for when in _WHENS for what in ("p50_us", "p99_us")),
        )
        for name, values in calls.items()
    ]
    return "What each call of NVML costs; `snapshot` is a whole reading of the node:\n\n" + table(head, rows)


_WHENS = ("at_rest", "beside_work")


def _number(value: Any) -> str:
    return f"{value:.1f}" if isinstance(value, (int, float)) else NOT_MEASURED


def _taken(results: Results) -> str:
    """When each part was measured, and with what."""
    if not results:
        return ""
    keys = ("when", "driver", "torch", "nvidia-ml-py", "commit")
    rows = []
    for name in PARTS:
        values = look_up(results, f"parts.{name}")
        stamp = look_up(values, "stamp")
        if not isinstance(stamp, Mapping):
            rows.append((f"`{name}`", NOT_MEASURED, *("" for _ in keys)))
            continue
        seconds = look_up(values, "seconds_taken")
        taken = "in part" if look_up(values, "is_partial") else "quick" if stamp.get("quick") else "yes"
        taken += f", {seconds:.0f} s" if isinstance(seconds, (int, float)) else ""
        rows.append((f"`{name}`", taken, *(str(stamp.get(key, "?")) for key in keys)))
    return "When, and with what:\n\n" + table(("part", "measured", *keys), rows)


def _problems(results: Results) -> str:
    """Why there is nothing where there is nothing."""
    problems = results.get("problems", {})
    said = [f"- `{name}`, {one['when']}: {one['problem']}" for name, one in problems.items()]
    for name in PARTS:
        notes = look_up(results, f"parts.{name}.notes")
        said += [f"- `{name}`: {note}" for note in notes] if isinstance(notes, Sequence) else []
    return "What could not be measured, and why:\n\n" + "\n".join(said) + "\n" if said else ""
