"""A node's page in lines of fields, for shells (docs/spool.md, "The node file in lines").

A shell has no table of reasons, so that the lines carry their sentences as well, in English and Chinese.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpu_queue.reasons import Reason
from gpu_queue.spool.pages.nouns import NodePage, with_each
from gpu_queue.texts import printable
from gpu_queue.words import in_words

NOTE_MAX = 3000
"""All that is wrong in a config.yaml is one note."""
NONE = "-"
"""In a line: nobody knows, or there is none."""


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
    yield (*head, *_sentences(page.reason), page.at_end, page.allocation)
    if page.mode != "dedicated":
        yield "mode", page.mode
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
        shared = gpu.shared
        if shared is not None:
            yield "shared", gpu.index, shared.free_bytes, shared.user_pythons, shared.kept_by
    for one in page.running:
        gpus = ",".join(map(str, one.gpus))
        told = (one.claim, one.stage, gpus, one.seconds, one.limit_s, one.ending, one.name, one.queue)
        yield ("try", *told, *((one.rank, one.nodes, one.of) if one.nodes > 1 else ()))
    for queue in page.queues:
        word = "busy" if queue.is_busy else "idle"
        counts = (queue.pending, queue.running, queue.done, queue.failed, queue.failures, queue.rests_s)
        yield ("queue", queue.queue, word, *counts, queue.holder)
    if page.more_queues:
        yield "queues", page.more_queues
    for silent in page.watching:
        yield "watch", silent.node, silent.tries, silent.beating, silent.silent_s, silent.left_s, silent.ended
    for waits, sentences in with_each(page.waiting, _sentences):
        yield ("wait", waits.name, *sentences, waits.gpus, waits.tries, waits.title)
    yield "waiting", page.waiting_count
