"""A node's page: what its agent tells of itself, its GPUs, its tries and what waits (docs/spool.md, "The node file").

- ``nodes/<node>.json`` is the whole of it, for programs; ``nodes/<node>.tsv`` the same in lines, for shells.
- Both hold facts and no layout: whoever shows them lays them out.  Reasons are codes with parameters; the lines carry
  their sentences as well, in English and Chinese, since a shell has no table of them.
- Read field by field: a page is hostile input, and unknown keys, words and codes may come.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from gpu_queue import PROTOCOL
from gpu_queue.reasons import Code, Param, Reason
from gpu_queue.spool import files
from gpu_queue.spool.fields import Fields
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.states import AgentState, GpuState, read_word
from gpu_queue.texts import printable
from gpu_queue.units import format_utc
from gpu_queue.words import in_words

PAGE_MAX_BYTES = 1 << 20
"""64 GPUs, hundreds of tries and a hundred reasons are a tenth of it."""
NOTE_MAX = 3000
"""All that is wrong in a config.yaml is one note."""
LIST_MAX = 1000
ToldT = TypeVar("ToldT")
NONE = "-"
"""In a line: nobody knows, or there is none."""


@dataclass(frozen=True)
class KeepPage:
    """What the keep-alive does with one GPU."""

    state: str
    """``off``, ``starting``, ``holding``, ``yielding``, ``backing off``, ``failed``."""
    reason: str = ""
    """For people."""
    duty: float | None = None
    """The share of the time in which it is to work, 0 to 1; None: it does not."""
    held_bytes: int = 0
    is_open_loop: bool = False
    """No reading of the utilisation tells how far it is reached."""
    today_j: float | None = None
    """What it spent today; None: the device does not tell."""
    off_by: str = ""
    """Who switched it off: ``people`` (the spool's ``keepalive-off``) or ``settings``; empty: nobody."""


@dataclass(frozen=True)
class GpuPage:
    """One GPU that is served; what cannot be read is None."""

    uuid: str
    index: int
    name: str
    state: GpuState
    memory_total_bytes: int | None = None
    memory_used_bytes: int | None = None
    utilization_percent: int | None = None
    power_w: float | None = None
    problem: str = ""
    keepalive: KeepPage | None = None


@dataclass(frozen=True)
class TryPage:
    """One try that the agent has in hand."""

    claim: str
    name: str
    stage: str
    """``starting``, ``clearing``, ``running``, ``ending``, ``settling``."""
    gpus: tuple[int, ...]
    """Indices."""
    seconds: float
    """Since it was started, when the page was written."""
    limit_s: float | None = None
    """Its ``--time``."""
    ending: str = ""
    """Why it is being ended: the word in its claim's name."""


@dataclass(frozen=True)
class SilentPage:
    """Another node that this one watches."""

    node: str
    tries: int
    """Tries that are taken over if it stays silent."""
    beating: int
    """Tries that give signs of life themselves: their shims live, and nobody takes them."""
    silent_s: float
    left_s: float
    """Until the first of them is taken over."""


@dataclass(frozen=True)
class WaitPage:
    """Why one task waits, as this node sees it."""

    name: str
    """In pending/."""
    reason: Reason
    gpus: str = ""
    """How many it asks for: ``2``, ``2-4``; empty: not known yet."""
    tries: int = 0
    """That were made before."""
    title: str = ""
    """As its submitter called it; empty: see ``name``."""


@dataclass(frozen=True)
class NodePage:
    """All that a node tells.  Moments are in epoch seconds by the node's own clock."""

    node: str
    incarnation: str = ""
    """Twelve hex digits, new for each agent."""
    state: AgentState = AgentState.UNKNOWN
    reason: Reason | None = None
    """Why it is not serving."""
    version: str = ""
    host: str = ""
    pid: int = 0
    started_s: float | None = None
    ends_s: float | None = None
    """None: its lifetime never ends."""
    at_end: str = ""
    """What becomes of running tasks then: ``wait`` or ``stop``; empty: not told."""
    beat_s: float | None = None
    """When the page was written."""
    default_gpus: int = 1
    """Of a task that says nothing."""
    devices: str = ""
    """The device layer, for people."""
    gpus: tuple[GpuPage, ...] = ()
    running: tuple[TryPage, ...] = ()
    waiting_count: int = 0
    waiting: tuple[WaitPage, ...] = ()
    """The first hundred, in run order."""
    skipped: int = 0
    """Files in pending/ that are never run."""
    done: int = 0
    failed: int = 0
    """Tasks that this agent settled."""
    watching: tuple[SilentPage, ...] = ()
    problems: tuple[str, ...] = ()
    """What its owner should know, for people."""
    seen: tuple[str, ...] = ()
    """Nonces of commands that were obeyed."""
    protocol: int = PROTOCOL


# -- writing --------------------------------------------------------------------------------------------------------


def encode_reason(reason: Reason) -> dict[str, Any]:
    """A reason as it stands in JSON; its English words are for readers that do not know the code."""
    return {"code": reason.code.value, "params": dict(reason.params), "text": printable(in_words(reason))}


def _with_each(waiting: Iterable[WaitPage], tell: Callable[[Reason], ToldT]) -> Iterator[tuple[WaitPage, ToldT]]:
    """Each with what is made of its reason; most wait for the same, and a page is written often."""
    told: dict[tuple[object, ...], ToldT] = {}
    for one in waiting:
        key = (one.reason.code, *one.reason.params.items())
        if key not in told:
            told[key] = tell(one.reason)
        yield one, told[key]


def _moment(moment_s: float | None) -> str | None:
    return None if moment_s is None else format_utc(moment_s)


def _rounded(value: float | None, digits: int | None = None) -> float | None:
    return None if value is None else round(value, digits)


def encode_json(page: NodePage) -> bytes:
    """The page as JSON, one line."""
    value = {
        "protocol": page.protocol,
        "node": page.node,
        "incarnation": page.incarnation,
        "state": page.state.value,
        "reason": None if page.reason is None else encode_reason(page.reason),
        "version": page.version,
        "host": page.host,
        "pid": page.pid,
        "started_at": _moment(page.started_s),
        "ends_at": _moment(page.ends_s),
        "at_end": page.at_end,
        "beat_at": _moment(page.beat_s),
        "devices": page.devices,
        "default_gpus": page.default_gpus,
        "gpus": [_gpu_json(gpu) for gpu in page.gpus],
        "running": [
            {
                "claim": one.claim,
                "name": one.name,
                "stage": one.stage,
                "gpus": list(one.gpus),
                "seconds": round(one.seconds),
                "limit_s": _rounded(one.limit_s),
                "ending": one.ending,
            }
            for one in page.running
        ],
        "waiting": {
            "count": page.waiting_count,
            "why": [
                {"name": one.name, **why, "gpus": one.gpus, "tries": one.tries, "title": one.title}
                for one, why in _with_each(page.waiting, encode_reason)
            ],
        },
        "skipped": page.skipped,
        "settled": {"done": page.done, "failed": page.failed},
        "watching": [
            {
                "node": one.node,
                "tries": one.tries,
                "beating": one.beating,
                "silent_s": round(one.silent_s),
                "left_s": round(one.left_s),
            }
            for one in page.watching
        ],
        "problems": list(page.problems),
        "seen": list(page.seen),
    }
    return files.encode_json(value)


def _gpu_json(gpu: GpuPage) -> dict[str, Any]:
    keep = gpu.keepalive
    return {
        "index": gpu.index,
        "uuid": gpu.uuid,
        "name": gpu.name,
        "state": gpu.state.value,
        "memory_total_bytes": gpu.memory_total_bytes,
        "memory_used_bytes": gpu.memory_used_bytes,
        "utilization_percent": gpu.utilization_percent,
        "power_w": gpu.power_w,
        "problem": gpu.problem,
        "keepalive": None
        if keep is None
        else {
            "state": keep.state,
            "reason": keep.reason,
            "duty": _rounded(keep.duty, 3),
            "held_bytes": keep.held_bytes,
            "open_loop": keep.is_open_loop,
            "today_j": _rounded(keep.today_j),
            "off_by": keep.off_by,
        },
    }


def encode_lines(page: NodePage) -> bytes:
    """The page as lines of fields that are separated by tabs, ``-`` where there is nothing."""
    lines = ["\t".join(_field(value) for value in line) for line in _lines(page)]
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")


def _field(value: object) -> str:
    if value is None or value == "":
        return NONE
    if isinstance(value, str):
        return printable(value, NOTE_MAX)
    return str(round(value)) if isinstance(value, float) else str(value)


def _sentences(reason: Reason | None) -> tuple[object, object, object]:
    if reason is None:
        return None, None, None
    return reason.code.value, in_words(reason), in_words(reason, "zh")


def _lines(page: NodePage) -> Iterator[tuple[object, ...]]:
    left_s = None if page.ends_s is None or page.beat_s is None else page.ends_s - page.beat_s
    head = ("agent", page.protocol, page.node, page.incarnation, page.state.value, page.default_gpus, left_s)
    yield (*head, *_sentences(page.reason), page.at_end)
    for problem in page.problems:
        yield "note", problem
    for gpu in page.gpus:
        load = (gpu.utilization_percent, gpu.memory_used_bytes, gpu.memory_total_bytes, gpu.power_w)
        yield ("gpu", gpu.index, gpu.uuid, gpu.state.value, *load, gpu.name, gpu.problem)
        keep = gpu.keepalive
        if keep is not None:
            duty = None if keep.duty is None else keep.duty * 100
            spent_wh = None if keep.today_j is None else keep.today_j / 3600
            held = (keep.held_bytes, "open" if keep.is_open_loop else None, spent_wh)
            yield ("keepalive", gpu.index, keep.state, duty, *held, keep.off_by, keep.reason)
    for one in page.running:
        gpus = ",".join(map(str, one.gpus))
        yield "try", one.claim, one.stage, gpus, one.seconds, one.limit_s, one.ending, one.name
    for silent in page.watching:
        yield "watch", silent.node, silent.tries, silent.beating, silent.silent_s, silent.left_s
    for waits, sentences in _with_each(page.waiting, _sentences):
        yield ("wait", waits.name, *sentences, waits.gpus, waits.tries, waits.title)
    yield "waiting", page.waiting_count


def write_page(paths: SpoolPaths, page: NodePage) -> float:
    """Write both files; returns how far the server's clock is ahead of ours, in seconds.

    Raises:
        OSError: they could not be written.
    """
    # The lines first: whoever finds the JSON new finds them new as well.
    files.write_whole(paths.node_lines(page.node), encode_lines(page))
    path = paths.node_json(page.node)
    files.write_whole(path, encode_json(page))
    return os.stat(path).st_mtime - time.time()


# -- reading --------------------------------------------------------------------------------------------------------


def read_page(path: str, node: str) -> NodePage:
    """The page at a path.

    Args:
        path: ``nodes/<node>.json``, or where a dead node's page was put.
        node: whose it is, by its name.

    Raises:
        Vanished: it is not there.
        FileProblem: it is too large, no JSON, or no object.
        OSError: the storage failed; ask again later.
    """
    return parse_page(node, files.read_json(path, limit_bytes=PAGE_MAX_BYTES))


def parse_page(node: str, value: Mapping[str, Any]) -> NodePage:
    """A page from what its JSON holds; what does not fit reads as missing."""
    page = Fields(value)
    waiting, settled = page.inner("waiting"), page.inner("settled")
    return NodePage(
        node=node,
        incarnation=page.text("incarnation"),
        state=read_word(AgentState, page.raw("state")),
        reason=_parse_reason(page.inner("reason")),
        version=page.text("version"),
        host=page.text("host"),
        pid=page.count("pid"),
        started_s=page.moment_s("started_at"),
        ends_s=page.moment_s("ends_at"),
        at_end=page.text("at_end"),
        beat_s=page.moment_s("beat_at"),
        default_gpus=max(0, 1 if (gpus := page.integer("default_gpus")) is None else gpus),
        devices=page.text("devices"),
        gpus=tuple(map(_parse_gpu, page.objects("gpus"))),
        running=tuple(
            TryPage(
                one.name("claim"),
                one.text("name"),
                one.text("stage"),
                one.integers("gpus"),
                one.number("seconds") or 0.0,
                one.number("limit_s"),
                one.text("ending"),
            )
            for one in page.objects("running")
        ),
        waiting_count=waiting.count("count"),
        waiting=tuple(
            WaitPage(one.name("name"), why, one.text("gpus"), one.count("tries"), one.text("title"))
            for one in waiting.objects("why")
            if (why := _parse_reason(one)) is not None and one.name("name")
        ),
        skipped=page.count("skipped"),
        done=settled.count("done"),
        failed=settled.count("failed"),
        watching=tuple(
            SilentPage(
                one.text("node"),
                one.count("tries"),
                one.count("beating"),
                one.number("silent_s") or 0.0,
                one.number("left_s") or 0.0,
            )
            for one in page.objects("watching")
        ),
        problems=page.texts("problems", NOTE_MAX),
        seen=page.texts("seen"),
        protocol=page.integer("protocol") or 0,
    )


def _parse_gpu(gpu: Fields) -> GpuPage:
    keep = gpu.inner("keepalive")
    return GpuPage(
        uuid=gpu.text("uuid"),
        index=gpu.count("index"),
        name=gpu.text("name"),
        state=read_word(GpuState, gpu.raw("state")),
        memory_total_bytes=gpu.integer("memory_total_bytes"),
        memory_used_bytes=gpu.integer("memory_used_bytes"),
        utilization_percent=gpu.integer("utilization_percent"),
        power_w=gpu.number("power_w"),
        problem=gpu.text("problem"),
        keepalive=KeepPage(
            keep.text("state"),
            keep.text("reason"),
            keep.number("duty"),
            keep.count("held_bytes"),
            keep.flag("open_loop"),
            keep.number("today_j"),
            keep.text("off_by"),
        )
        if keep
        else None,
    )


def _parse_reason(value: Fields) -> Reason | None:
    """A reason; one of a code that this version does not know keeps its words."""
    if not value:
        return None
    try:
        code = Code(value.raw("code"))
    except ValueError:
        return Reason(Code.OTHER, {"text": value.text("text")})
    given = value.raw("params")
    params = {name: _parse_param(one) for name, one in (given if isinstance(given, dict) else {}).items()}
    return Reason(code, {name: one for name, one in params.items() if one is not None})


def _parse_param(value: object) -> Param | None:
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, (int, float)):
        return value if abs(value) < 1e18 else None
    if not isinstance(value, list):
        return None
    items = value[:LIST_MAX]
    if all(type(one) is int and abs(one) < 1e18 for one in items):
        return tuple(items)
    return tuple(printable(one) for one in items if isinstance(one, str))
