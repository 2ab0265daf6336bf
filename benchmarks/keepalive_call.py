"""One call of the report: its parts one after the other, each within its time, each written down when it ends."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import keepalive_below
import keepalive_page
import keepalive_record
from keepalive_bench import Bench, Values
from keepalive_card import NotMeasured
from keepalive_record import Outcome, Place, Results
from keepalive_signals import Interrupted, Signals, TimeOver


@dataclass(frozen=True)
class Part:
    """One part of the report."""

    measure: Callable[[Bench, Values], None]
    budget_s: float
    """It is given up after this, and what parts before it have left of theirs."""


class Call:
    """Some parts, one after the other."""

    def __init__(
        self,
        parts: Mapping[str, Part],
        bench: Bench,
        signals: Signals,
        place: Place,
        record: Results,
        stamp: Mapping[str, object],
        seconds: float | None = None,
    ) -> None:
        """Prepare it.

        Args:
            parts: by name, in their order.
            bench: what they share.
            signals: what may end them.
            place: where the record is written after each.
            record: what earlier calls have measured.
            stamp: of what is measured now, without its moment.
            seconds: for each, instead of its budget.
        """
        self._parts = parts
        self._bench = bench
        self._seconds = seconds
        self._signals = signals
        self._record = record
        self._place = place
        self._stamp = stamp
        self._is_done: set[str] = set()
        self._problems: dict[str, str] = {}

    def run(self) -> int:
        """Measure them; the exit status.

        Raises:
            Interrupted: a signal asked for the end; all that was measured is written.
        """
        try:
            with self._signals.deferred():
                self._run()
        finally:
            print(keepalive_page.render(self._record))
            for name, problem in self._problems.items():
                print(f"gpu-report: {name}: {problem}", file=sys.stderr)
            left = [name for name in self._parts if name not in self._is_done]
            if left:
                print(f"gpu-report: not run any more: {', '.join(left)}", file=sys.stderr)
        return 1 if self._problems else 0

    def _run(self) -> None:
        later_s = sum(part.budget_s for part in self._parts.values())
        end_s = time.monotonic() + later_s
        for name, part in self._parts.items():
            self._signals.check()
            later_s -= part.budget_s
            # With what earlier parts have left of theirs; never with what later ones need.
            limit_s = self._seconds or max(part.budget_s, end_s - time.monotonic() - later_s)
            print(f"{name} …", file=sys.stderr, flush=True)
            self._measure(name, limit_s)
            self._signals.check()
            self._tidy(name)

    def _measure(self, name: str, limit_s: float) -> None:
        values: Values = {}
        self._bench.notes.clear()
        begun_s = time.monotonic()
        problem = ""
        try:
            with self._signals.limited(limit_s):
                self._parts[name].measure(self._bench, values)
        except (TimeOver, Interrupted):
            if self._signals.received is not None:
                problem = f"interrupted by {self._signals.received.name} after {time.monotonic() - begun_s:.0f} s"
            else:
                more = f"--only {name} --seconds {2 * limit_s:.0f} gives it more"
                problem = f"time ran out after {limit_s:.0f} s; {more}"
        except NotMeasured as error:
            problem = str(error)
        except Exception as error:  # the driver, torch, a process that ended: told, and the next part goes on
            problem = f"{type(error).__name__}: {error}"
        if values:
            values["seconds_taken"] = round(time.monotonic() - begun_s, 1)
            values["notes"] = list(self._bench.notes)
        self._note(name, Outcome(values, problem))

    def _note(self, name: str, outcome: Outcome) -> None:
        """Write it down before anything else may happen."""
        if outcome.problem:
            self._problems[name] = outcome.problem
        self._is_done.add(name)
        stamped = {"when": keepalive_record.now_text(), **self._stamp}
        self._record = keepalive_record.added(self._record, name, outcome, stamped)
        try:
            self._place.write(self._record)
        except (OSError, ValueError) as error:
            self._problems.setdefault(name, f"it could not be written: {error}")

    def _tidy(self, name: str) -> None:
        """Leave nothing of a part behind: no process, and no memory of the card."""
        if name in self._problems:
            self._bench.drop_nursery()
        keepalive_below.end_all(self._bench.spared())
        try:
            self._bench.card.wait_empty(0.02, patience_s=5.0)
        except (NotMeasured, TimeoutError) as error:
            self._problems.setdefault(name, f"it was measured, but it left memory of the card behind: {error}")
