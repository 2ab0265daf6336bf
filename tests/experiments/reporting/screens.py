"""Reports as people see them, in terminals of several widths; ``python -m`` writes them anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from gpu_queue.experiments.reporting.facts import RunFacts, TryFacts
from gpu_queue.experiments.reporting.tables import table
from gpu_queue.experiments.reporting.whole import report
from gpu_queue.task import State
from tests.experiments.reporting.builders import T0, a_run, a_try, used

GOLDEN = Path(__file__).with_name("screens.txt")
NOW = T0 + 9_000
OOM: dict[str, Any] = {"error_type": "oom", "is_final": False}


def a_matrix() -> list[RunFacts]:
    """A group in the middle of its way."""
    runs: list[RunFacts] = []
    for at, (dataset, seed) in enumerate((d, s) for d in ("mnist", "cifar10") for s in range(4)):
        name = f"{dataset}_fedavg_s{seed}"
        usage = (used(3.5 + at / 2, 80 + at, samples=600),)
        tries: tuple[TryFacts, ...] = (a_try(60 * at, 1800 + 311 * at, usage=usage),)
        state = State.DONE
        if seed == 1:
            tries = (a_try(60 * at, 33, "failed(1)", usage=(used(8.2, 30, samples=33),), **OOM), *tries_later(at))
        if seed == 2:
            state, tries = State.FAILED, (a_try(60 * at, 12.5, "failed(1)", error_type="unknown"),)
        if seed == 3:
            state, tries = (
                (State.RUNNING, (a_try(6000, None, "", is_live=True, gpus=2),)) if at < 4 else (State.PENDING, ())
            )
        runs.append(
            a_run(*tries, state=state, name=name, memory="8G", params={"dataset": dataset, "seed": str(seed)})
        )
    earlier = a_run(a_try(0, 3000), name="mnist_fedavg_s0", is_current=False)
    return [earlier, *runs]


def tries_later(at: int) -> tuple[TryFacts, ...]:
    return (a_try(60 * at + 95, 2400, usage=(used(5, 90, samples=900),)),)


def a_hostile_group() -> list[RunFacts]:
    """Names that would like to write on somebody's terminal, wide ones, and some without end."""
    names = [
        "\x1b]0;title\x07\x1b[2Jgone",
        "实验-学习率-很长很长的名字-0.001-种子-42",
        "e\u0301te\u0301 " + "\u0301" * 40,
        "a" * 400,
        "left\u202eright\r\nnew line",
        "byte \udcff\udc9b half \ud800",
        "",
        '=HYPERLINK("http://a")',
    ]
    lost = a_try(1, None, "lost", error_type="node_lost", is_final=False)
    done = a_try(1, 1e7, gpus=3000, usage=(used(1 << 19, 100),))
    return [
        a_run(lost, done, name=name, group="g\x1b[31m组", memory="1G", params={"k\x1b[0m键": name}) for name in names
    ]


def two_groups() -> list[RunFacts]:
    """Two groups, on a node whose clock is off."""
    return [
        a_run(a_try(5, 0.21, off_s=-75), name="one", group="first", off_s=2),
        a_run(
            a_try(6, 0.3, "timeout", error_type="timeout", off_s=-75), state=State.FAILED, name="two", group="second"
        ),
        a_run(a_try(None, None, "refused", gpus=None), state=State.FAILED, name="three", group="second"),
        a_run(state=State.FAILED, name="four", group="second"),
    ]


SAMPLES: dict[str, Callable[[], list[RunFacts]]] = {
    "a matrix": a_matrix,
    "hostile names": a_hostile_group,
    "two groups": two_groups,
    "nothing": list,
}
WIDTHS = (None, 120, 80, 40)


def lines(name: str, columns: int | None) -> list[str]:
    return list(table(report(SAMPLES[name](), NOW, NOW), columns))


def told() -> str:
    """All of them."""
    parts = []
    for name in SAMPLES:
        for columns in WIDTHS:
            text = "".join(f"{line}\n" for line in lines(name, columns))
            parts.append(f"# {name}, {columns or 'no'} columns\n{text}")
    return "\n".join(parts)


if __name__ == "__main__":
    GOLDEN.write_text(told(), encoding="utf-8")
