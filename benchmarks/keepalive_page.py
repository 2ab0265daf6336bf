"""The report as Markdown.  Pure: what was not measured says so, and nothing else is printed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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


TARGETS = (
    Row("10 Hz samples within 70-85 %, agent alone", "band.share_percent", " %", 2, least=99),
    Row("mean utilisation", "band.mean_percent", " %", 1, least=76, most=79),
    Row("from the start of a worker to the band, cold", "yield.settle_cold_s", " s", 1, most=10),
    Row("the same, warm", "yield.settle_warm_s", " s", 1, most=5),
    Row("memory used, of the card's", "band.memory_percent", " %", 1, least=58, most=62),
    Row("word to pause to end of last kernel, p50", "pause.p50_ms", " ms", 1, most=15),
    Row("the same, p99", "pause.p99_ms", " ms", 1, most=50),
    Row("a task wants the GPU to memory back, p99", "yield.back.p99_ms", " s", 2, most=1.0, scale=0.001),
    Row("dropped script to its first line, median", "band.first_line.p50_ms", " s", 2, scale=0.001),
    Row("our memory left then", "band.first_line.most_memory_found_bytes", " GiB", 2, most=0.25, scale=1 / GIB),
    Row("its end to the band again", "band.first_line.band_again_after_s", " s", 1),
    Row("processor of the worker, of one core", "band.worker_cpu_percent", " %", 2, most=2),
    Row("processor of the agent, of one core", "band.agent_cpu_percent", " %", 2, most=1),
    Row("processor of the zygote, of one core", "band.zygote_cpu_percent", " %", 2),
    Row("resident memory of the agent", "band.agent_resident_mb", " MB", 0, most=60),
    Row("of the zygote, which the workers share", "band.zygote_resident_mb", " MB", 0),
    Row("of the worker, with what it shares", "band.worker_resident_mb", " MB", 0),
    Row("a tenant's loop beside us, until we have left and after", "tenant.slower_percent", " % slower", 1, most=3),
    Row("its context to our leaving", "tenant.noticed_after_context_ms", " ms", 0, most=250),
    Row("a task at work again beside a light filler: second 1", "light.first_second_slower_percent", " % slower"),
    Row("the same, after it has gone", "light.afterwards_slower_percent", " % slower", 1),
    Row("its first kernel to the light filler's end", "light.gone_after_ms", " ms", 0),
    Row("processor of a light worker, of one core", "light.worker_cpu_percent", " %", 2),
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
    Row("one reading of all GPUs of the node, p50", "gauge.snapshot.p50_ms", " ms", 2),
    Row("the same, p99", "gauge.snapshot.p99_ms", " ms", 2),
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
_PEERS: tuple[tuple[str, str, Callable[[float], str]], ...] = (
    ("in the band", "share_percent", lambda value: f"{value:.1f} %"),
    ("mean utilisation", "mean_percent", lambda value: f"{value:.1f} %"),
    ("memory", "memory_percent", lambda value: f"{value:.1f} %"),
    ("power", "watts", lambda value: f"{value:.0f} W"),
    ("processor", "cpu_percent", lambda value: f"{value:.1f} % of a core"),
    ("told to end, to memory back", "end_to_memory_back_s", lambda value: f"{value:.2f} s"),
)


def render(results: Results) -> str:
    """Everything, with what it was taken on."""
    sections = [
        _head(results),
        table(("", "target", "measured", ""), [_line(row, results) for row in TARGETS]),
        "What the card and its driver do:\n\n" + table(("", ""), [(row.label, row.shown(results)) for row in FACTS]),
        _peers(results),
        _problems(results),
    ]
    return "\n" + "\n".join(section for section in sections if section)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of Markdown, numbers to the right."""
    rule = ("---", *("---:" for _ in head[1:]))
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, rule, *rows))


def _line(row: Row, results: Results) -> tuple[str, str, str, str]:
    return row.label, row.target, row.shown(results), row.verdict(results)


def _head(results: Results) -> str:
    if is_simulated(results):
        return "**A simulated card: this tries the report, and says nothing about a GPU.**\n"
    if not results:
        return "No GPU has been measured yet.\n"
    facts = results.get("machine", {})
    return f"{results.get('device', 'unknown device')}; " + ", ".join(f"{a}: {b}" for a, b in facts.items()) + ".\n"


def _peers(results: Results) -> str:
    peers = look_up(results, "parts.peers")
    # A part that failed stands below, with its reason.
    if not isinstance(peers, Mapping) or "problem" in peers:
        return f"Beside `keep-gpu` and `gpu-keepalive`: {NOT_MEASURED}.\n"
    names = [name for name, values in peers.items() if isinstance(values, Mapping)]
    rows = []
    for label, key, show in _PEERS:
        found = [look_up(peers[name], key) for name in names]
        rows.append((label, *(NOT_MEASURED if one is None else show(one) for one in found)))
    return "Others, in the same run:\n\n" + table(("", *names), rows)


def _problems(results: Results) -> str:
    """Why there is nothing where there is nothing."""
    parts = results.get("parts", {})
    failed = [
        f"- {name}: {values['problem']}"
        for name, values in parts.items()
        if isinstance(values, Mapping) and "problem" in values
    ]
    notes = [f"- {note}" for note in results.get("notes", ())]
    return "Not measured:\n\n" + "\n".join(failed + notes) + "\n" if failed or notes else ""
