"""A node's page: what its agent tells of itself, its GPUs, its tries and what waits (docs/spool.md, "The node file").

- ``nodes/<node>.json`` is the whole of it, for programs; ``nodes/<node>.tsv`` the same in lines, for shells.
- Both hold facts and no layout: whoever shows them lays them out.  Reasons are codes with parameters.
"""

from __future__ import annotations

import os
import time

from gpu_queue.spool import files
from gpu_queue.spool.pages.lines import NOTE_MAX, encode_lines
from gpu_queue.spool.pages.nouns import (
    QUEUES_PUBLISHED,
    GpuPage,
    KeepPage,
    NodePage,
    QueuePage,
    SharedPage,
    SilentPage,
    TryPage,
    WaitPage,
)
from gpu_queue.spool.pages.whole import encode_json, parse_page, read_allocation
from gpu_queue.spool.paths import SpoolPaths

PAGE_MAX_BYTES = 1 << 20
"""64 GPUs, hundreds of tries and a hundred reasons are a tenth of it."""


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


def decode_page(content: bytes, node: str) -> NodePage:
    """The page from the first ``PAGE_MAX_BYTES + 1`` bytes of its file.

    Args:
        content: these.
        node: whose it is, by its name.

    Raises:
        FileProblem: it is too large, no JSON, or no object.
    """
    if len(content) > PAGE_MAX_BYTES:
        raise files.FileProblem(f"it is larger than {PAGE_MAX_BYTES} bytes")
    return parse_page(node, files.decode_json(content))


__all__ = [
    "NOTE_MAX",
    "PAGE_MAX_BYTES",
    "QUEUES_PUBLISHED",
    "GpuPage",
    "KeepPage",
    "NodePage",
    "QueuePage",
    "SharedPage",
    "SilentPage",
    "TryPage",
    "WaitPage",
    "decode_page",
    "encode_json",
    "encode_lines",
    "parse_page",
    "read_allocation",
    "read_page",
    "write_page",
]
