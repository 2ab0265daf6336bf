"""Which GPUs a task gets, from what was allocated and what its script takes.  Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from gpu_queue.scripts.asked import Line
from gpu_queue.scripts.directives import MAX_GPUS
from gpu_queue.scripts.launchers import Count, Devices, Findings
from gpu_queue.scripts.notes import note
from gpu_queue.scripts.reading import Note

__all__ = ["MAX_GPUS", "Allocation", "Decision", "decide"]

_ORDER = ("nproc_per_node", "num_processes", "num_gpus", "srun", "tensor_parallel_size", "devices", "np", "variable")


class Allocation(NamedTuple):
    """What flags or directives ask for."""

    least: int
    most: int
    source: str
    line: Line | None


class Decision(NamedTuple):
    """Which GPUs, by which rule."""

    least: int
    most: int
    source: str
    line: Line | None = None
    said: str = ""
    devices: tuple[int, ...] = ()
    devices_source: str = ""
    devices_line: Line | None = None
    devices_said: str = ""
    refusals: tuple[Note, ...] = ()
    warnings: tuple[Note, ...] = ()


def _best(counts: list[Count]) -> Count | None:
    """The largest; of equal ones that of the rule that is surest."""
    order = {rule: place for place, rule in enumerate(_ORDER)}
    return max(counts, key=lambda one: (one.number, -order.get(one.rule, 99)), default=None)


def _named(found: Findings) -> tuple[int, ...]:
    """All GPUs that a script names, in its order."""
    return tuple(dict.fromkeys(index for one in found.devices for index in one.indices))


def _said(found: Findings) -> str:
    """What names the GPUs: where it is not one place, the first and the last."""
    first, last = found.devices[0].said, found.devices[-1].said
    return first if first == last else f"{first} … {last}"


def _remarks(found: Findings, number: int, is_open: bool, line_of: Callable[[int], Line]) -> list[Note]:
    warnings = []
    is_counted = False
    for one in found.remarks:
        if one.code in ("count_unknown", "count_open"):
            if not is_open or is_counted:
                continue
            is_counted = True
        elif one.code == "too_long" and not is_open:
            continue
        warnings.append(note(one.code, line_of(one.line), one.said, number))
    return warnings


def decide(
    allocation: Allocation | None, found: Findings, default_gpus: int, line_of: Callable[[int], Line]
) -> Decision:
    """The GPUs: an allocation first, then those that the script names, then the most that a command needs."""
    if allocation is not None:
        return _allocated(allocation, found, line_of)
    indices = _named(found)
    best = _best(found.counts)
    if found.devices:
        one = found.devices[0]
        if all(entry.is_first for entry in found.devices) and best is not None and best.number > len(indices):
            indices = tuple(range(max(best.number, max(indices) + 1)))  # the others have to fit as well
        line = line_of(one.line)
        return Decision(
            len(indices), len(indices), one.rule, line, _said(found), indices, one.rule, line, _said(found),
            warnings=tuple(_remarks(found, len(indices), False, line_of)),
        )  # fmt: skip
    if found.hides is not None and best is None:
        line = line_of(found.hides[0])
        return Decision(0, 0, "cuda_visible_devices", line, found.hides[1])
    if best is not None and best.number > MAX_GPUS:
        best = None
    number = default_gpus if best is None else best.number
    indices = tuple(range(number)) if found.first else ()
    first_line = line_of(found.first[0][0]) if found.first else None
    first_said = found.first[0][1] if found.first else ""
    warnings = tuple(_remarks(found, number, best is None, line_of))
    if best is None:
        return Decision(
            number, number, "default", None, "", indices, "num_gpus", first_line, first_said, warnings=warnings
        )
    return Decision(
        number, number, best.rule, line_of(best.line), best.said, indices, "num_gpus", first_line, first_said,
        warnings=warnings,
    )  # fmt: skip


def _allocated(allocation: Allocation, found: Findings, line_of: Callable[[int], Line]) -> Decision:
    least, most, source, line = allocation
    decision = Decision(least, most, source, line)
    warnings = _remarks(found, most, False, line_of)
    indices = _named(found)
    if indices and least <= len(indices) <= most:
        one = found.devices[0]
        return decision._replace(
            least=len(indices), most=len(indices), devices=indices, devices_source=one.rule,
            devices_line=line_of(one.line), devices_said=_said(found), warnings=tuple(warnings),
        )  # fmt: skip
    if indices:
        one = _contradicting(found.devices)
        code = "deepspeed_conflict" if one.rule == "num_gpus" else "devices_conflict"
        what = one.said if one.rule == "num_gpus" else ",".join(map(str, indices))
        refusal = note(code, line_of(one.line), what, most, str(len(indices)))
        return decision._replace(refusals=(refusal,), warnings=tuple(warnings))
    best = _best([one for one in found.counts if one.rule != "variable"])
    if best is not None and most < best.number <= MAX_GPUS:
        warnings.append(note("too_few", line_of(best.line), best.said, most, str(best.number)))
    if found.first and least == most and most:
        return decision._replace(
            devices=tuple(range(most)), devices_source="num_gpus", devices_line=line_of(found.first[0][0]),
            devices_said=found.first[0][1], warnings=tuple(warnings),
        )  # fmt: skip
    return decision._replace(warnings=tuple(warnings))


def _contradicting(devices: list[Devices]) -> Devices:
    return max(devices, key=lambda one: len(one.indices))
