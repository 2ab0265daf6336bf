"""What a node's earlier agents left for it: the commands that they obeyed, and its ledger."""

from __future__ import annotations

import os

from gpu_queue.spool import files
from gpu_queue.spool.pages import NodePage, read_page
from gpu_queue.spool.paths import SpoolPaths

LEDGER_MAX_BYTES = 4 << 20
"""400 days of 64 GPUs are less."""
SEEN_KEPT = 200
"""How many nonces of commands an agent remembers beyond its own life."""


class Kept:
    """One node's; lives in the storage thread."""

    def __init__(self, paths: SpoolPaths, node: str) -> None:
        self._paths = paths
        self._node = node

    def seen_before(self) -> tuple[str, ...]:
        """The nonces that this node's earlier agents obeyed: a restarted agent neither forgets nor repeats."""
        page = self._page_before()
        return () if page is None else page.seen

    def told_before(self) -> float | None:
        """When this node's earlier agent told of itself last, in epoch seconds by the node's clock; None: unknown."""
        page = self._page_before()
        return None if page is None else page.beat_s

    def _page_before(self) -> NodePage | None:
        for path in (self._paths.node_json(self._node), f"{self._paths.gone}/{self._node}.json"):
            try:
                return read_page(path, self._node)
            except files.Vanished:
                continue  # put away by a peer while nobody was here
            except (files.FileProblem, OSError):
                return None
        return None

    def ledger_before(self) -> str | None:
        """The ledger that this node's earlier agents kept; None: there is one that cannot be read."""
        try:
            content, _ = files.read_regular(self._paths.ledger(self._node), LEDGER_MAX_BYTES)
        except files.Vanished:
            return ""
        except (files.FileProblem, OSError):
            return None
        return content.decode("utf-8", "replace")

    def write_ledger(self, text: str) -> None:
        """Replace the ledger.

        Raises:
            OSError: it could not be written.
        """
        path = self._paths.ledger(self._node)
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)  # spools of earlier versions have none
        files.write_whole(path, text.encode("utf-8", "replace"))
