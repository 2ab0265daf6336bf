"""What people are told about a try while it runs: in the agent's log, in the try's own, and by ``gpu_explain``."""

from __future__ import annotations

from gpu_queue.agent.livetry import LiveTry, log_path
from gpu_queue.agent.surroundings import Surroundings
from gpu_queue.node.storage import Errand, Failed
from gpu_queue.spool import growing


class Notes:
    """Hands them to the storage thread."""

    def __init__(self, around: Surroundings) -> None:
        """Tell nothing yet.

        Args:
            around: whose logs and records are written to.
        """
        self._spool = around.spool
        self._say = around.say
        self._notes: Errand[None] = Errand(around.storage, "note", around.say)

    def tell(self, one: LiveTry, text: str) -> None:
        """Tell something of a try; its record tells all that was told."""
        self._say(f"{one.name}: {text}")
        one.facts["reason"] = "; ".join(filter(None, (one.facts.get("reason"), text)))
        facts, log, is_other_rank = dict(one.facts), log_path(one, self._spool.paths), one.is_other_rank

        def call() -> None:
            growing.append(log, f"==== {text}\n".encode("utf-8", "surrogateescape"))
            if not is_other_rank:  # the record is that of rank 0
                self._spool.transitions.runs(one.claim, facts, None)

        def done(result: Failed | None) -> None:
            if isinstance(result, Failed):
                self._say(f"{one.name}: its log could not be written to ({result})")

        self._notes.send(call, done, key=object())  # each is another one
