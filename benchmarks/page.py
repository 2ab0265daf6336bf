"""The results as Markdown, and the place in docs/performance.md where they stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- bench -->", "<!-- /bench -->"
Results = Mapping[str, Any]


def put(page: Path, table: str, marks: tuple[str, str] = (BEGIN, END)) -> None:
    """Replace what stands between the markers.

    Raises:
        ValueError: the page has no markers.
    """
    first, last = marks
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end:
        raise ValueError(f"{page}: expected the lines {first} and {last}, between which the results go")
    write_whole(page, f"{before}{first}\n{table}{last}{after}")


def write_whole(path: Path, text: str) -> None:
    """By a rename: who is interrupted leaves the file as it was."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)


def render(results: Results) -> str:
    """All sections that were measured."""
    sections = {
        "start": _start,
        "submit": _submit,
        "drain": _drain,
        "ends": _ends,
        "commands": _commands,
        "idle": _idle,
        "scale": _scale,
        "looking": _looking,
        "experiments": _experiments,
    }
    parts = [_machine(results["machine"])]
    parts += [write(results[name]) for name, write in sections.items() if name in results]
    return "\n" + "\n".join(parts)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    rule = ("---", *("---:" for _ in head[1:]))
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, rule, *rows))


def _machine(facts: Mapping[str, str]) -> str:
    return ", ".join(f"{name}: {value}" for name, value in facts.items()) + ".\n"


def _ms(value: float) -> str:
    return f"{value:.2f}"


def _ratio(results: Results, name: str) -> str:
    return f"{results[name]:.2f}" if name in results else ""


def _start(results: Results) -> str:
    labels = {
        "rename": "rename into `pending/`",
        "rename_soon": "the same, 50 ms after another task ended",
        "gpu_submit": "`gpu_submit script`",
        "tsp": "`tsp script`",
        "sh": "`sh script`",
    }
    rows = [
        (label, _ms(results[name]["median_ms"]), _ms(results[name]["p95_ms"]), _ratio(results, f"{name}_over_tsp"))
        for name, label in labels.items()
        if name in results
    ]
    stages = [(name, _ms(value)) for name, value in results["stages_ms"].items()]
    return (
        "### Start: to the script's first line, from\n\n"
        + _table((f"{results['sh']['count']} trials each", "median ms", "p95 ms", "over tsp"), rows)
        + "\nWhere it goes, from the rename on (medians):\n\n"
        + _table(("stage", "ms"), stages)
    )


def _submit(results: Results) -> str:
    rows = [
        ("`gpu_submit`, one file", results["one"]),
        (f"`gpu_submit`, {results['batch']} files, each", results["each_of_batch"]),
        ("`/bin/true`: a fork of the same bash", results["bare_fork"]),
    ]
    return "### Submission: the call alone\n\n" + _table(
        ("call", "median ms", "p95 ms"), [(label, _ms(one["median_ms"]), _ms(one["p95_ms"])) for label, one in rows]
    )


def _drain(results: Results) -> str:
    labels = {
        "gpu_queue": "agent, two GPUs",
        "tsp": "`tsp -S 2`",
        "xargs": "`xargs -P2 -n1 sh`",
        "loop": '`for s in *; do sh "$s"; done`',
    }
    rows = [
        (label, f"{results[name]['tasks_per_s']:.0f}", _ratio(results, f"gpu_queue_over_{name}"))
        for name, label in labels.items()
        if name in results
    ]
    ours = results["gpu_queue"]
    cpu = [
        ("agent", _ms(ours["agent_cpu_ms"])),
        ("shim, with all that it starts", _ms(ours["children_cpu_ms"])),
        *((f"of that {name}, alone", _ms(value)) for name, value in results["pieces_cpu_ms"].items()),
        ("the bare loop, for comparison", _ms(results["loop"]["cpu_ms"])),
    ]
    return (
        f"### Draining {results['tasks']} scripts that do nothing\n\n"
        + _table((f"median of {results['rounds']} rounds", "tasks/s", "agent over this"), rows)
        + "\nProcessor time for each task:\n\n"
        + _table(("on account of", "ms"), cpu)
    )


def _ends(results: Results) -> str:
    labels = {
        "queue": "one queue, one agent",
        "after": "a chain by `--after`, one agent",
        "queue_across": "one queue, two agents in turn",
        "after_across": "a chain by `--after`, two agents in turn",
        "tsp": "`tsp -d`",
        "sh": "a loop of `sh`",
    }
    rows = [
        (label, _ms(results[name]["median_ms"]), _ms(results[name]["p95_ms"]), _ratio(results, f"{name}_over_tsp"))
        for name, label in labels.items()
        if name in results
    ]
    returns = [
        (f"`{verb}`", _ms(results[verb]["median_ms"]), _ms(results[verb]["p95_ms"]))
        for verb in ("gpu_wait", "gpu_tail")
    ]
    return (
        "### One after the other: from the first line of a script to that of the next\n\n"
        + _table((f"{results['sh']['count']} times each", "median ms", "p95 ms", "over tsp"), rows)
        + "\nFrom a task's arrival in `done/` to the return of a command that waits for it:\n\n"
        + _table((f"{results['gpu_wait']['count']} times each", "median ms", "p95 ms"), returns)
    )


def _commands(results: Results) -> str:
    rows = [(f"`{name}`", _ms(one["median_ms"]), _ms(one["p95_ms"])) for name, one in results["commands"].items()]
    return (
        f"### Each command, in a running bash: three nodes of eight GPUs, {results['waiting']} waiting tasks\n\n"
        + _table((f"{results['rounds']} times each", "median ms", "p95 ms"), rows)
        + f"\nIn tsp {results['waiting_of_tsp']} commands wait.\n"
    )


def _idle(results: Results) -> str:
    listings = results["listings_per_s"]
    rows = [
        ("processor", f"{results['cpu_percent']:.2f} % of one core"),
        ("resident memory", f"{results['resident_mb']:.0f} MB"),
        ("listings", "not counted" if listings is None else f"{listings:.1f} per second"),
    ]
    return f"### An idle agent, over {results['seconds']:.0f} s\n\n" + _table(("", ""), rows)


def _scale(results: Results) -> str:
    rows = [
        (label, _ms(results[name]["median_ms"]), _ms(results[name]["p99_ms"]))
        for name, label in (
            ("look_and_plan", "a look at the spool, and the plan"),
            ("step_without_look", "a step without a look"),
            ("gpu_status", "`gpu_status`"),
        )
    ]
    return (
        f"### {results['waiting']:,} tasks wait, {results['settled']:,} are settled\n\n"
        + _table(("", "median ms", "p99 ms"), rows)
        + f"\nTo read all waiting scripts once took {results['read_all_s']} s, spread over many steps.\n"
    )


def _looking(results: Results) -> str:
    rows = [
        (label, _ms(results[name]["best_ms"]), _ms(results[name]["median_ms"]))
        for name, label in (
            ("bare", "`os.listdir` of `pending/`, `done/`, `failed/`"),
            ("first", "the first snapshot"),
            ("unchanged", "a refresh, nothing changed"),
            ("claimed", "a refresh, a task was claimed"),
            ("told", "a refresh, a task has settled and its node told so"),
            ("by_hand", "a refresh, a settled task was moved back by hand"),
        )
    ]
    grown, load = f"{results['grown_mib']:.0f} MiB of memory", results["load"]
    return (
        f"### A snapshot: {results['waiting']:,} tasks wait, {results['settled']:,} are settled, "
        f"{results['nodes']} nodes\n\n"
        + _table((f"{results['rounds']} rounds", "best ms", "median ms"), rows)
        + f"\nThe first snapshot takes {grown}. The load of the machine was {load}.\n"
    )


def _experiments(results: Results) -> str:
    rows = [
        (label, *(_ms(results[key]["best_ms"]) for key in (name, f"{name}_work", f"{name}_cpu")), median)
        for name, label in (
            ("read", "the file is read"),
            ("plan", "a plan, all scripts looked at"),
            ("load", "queued by one publication"),
            ("load_again", "loaded again, nothing is left to do"),
            ("program", "`gpu-queue load`, all of it"),
            ("members", f"the tasks of one file among {results['members_there']:,}"),
            ("members_again", "the same, asked again"),
        )
        for median in (_ms(results[name]["median_ms"]),)
    ]
    head = (f"{results['rounds']} rounds", "best ms", "without the wait for the clock", "processor ms", "median ms")
    return (
        f"### An experiment file of {results['runs']:,} runs\n\n"
        + _table(head, rows)
        + f"\nThe load of the machine was {results['machine_load']}.\n"
    )
