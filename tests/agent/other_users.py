"""Plays the other users of a shared server, in a process of its own: their programs come and go on its cards.

A program is a process that says in the fake driver's directory what it uses (see nvml.c), and does as people's do: it
works with pauses of up to a second, or of up to three like a notebook, and ends after some seconds.  Each arrival and
end is written to a file, with the clock of all processes: ``<seconds> <arrives|leaves> <card> <pid>``.  A line on
standard input ends it all.
"""

from __future__ import annotations

import argparse
import os
import random
import select
import signal
import sys
import time
from pathlib import Path

GIB = 1 << 30


class Card:
    """One card, as the others use it."""

    def __init__(self, index: int, arguments: argparse.Namespace, chance: random.Random) -> None:
        self._index = index
        self._arguments = arguments
        self._chance = chance
        self._pid = 0
        self._changes_at = time.monotonic() + chance.uniform(0, arguments.away_s)
        self._pauses_at = float("inf")
        self._works = self._is_lazy = False

    def step(self, now: float) -> None:
        if now >= self._changes_at:
            stays_s = self._chance.uniform(0.3, 1.0) * self._arguments.there_s
            away_s = self._chance.uniform(0.3, 1.0) * self._arguments.away_s
            if self._pid:
                self.leave()
                self._changes_at = now + away_s
            elif self._is_used() and self._chance.random() > self._arguments.rude:
                self._changes_at = now + 0.2  # people look before they start something
            else:
                self._arrive()
                self._changes_at, self._pauses_at = now + stays_s, now
        if self._pid and now >= self._pauses_at:
            self._works = not self._works
            self._says(10 * GIB, 95 if self._works else 0)
            at_most_s = 3.0 if self._is_lazy and not self._works else 1.0
            self._pauses_at = now + self._chance.uniform(0.2, at_most_s)

    def _is_used(self) -> bool:
        others = (name.partition(".") for name in os.listdir(self._arguments.tenants))
        return any(card == str(self._index) and Path("/proc", pid).exists() for card, _, pid in others)

    def _arrive(self) -> None:
        self._pid = os.fork()
        if not self._pid:
            signal.pause()
            os._exit(0)
        self._works, self._is_lazy = True, self._chance.random() < 0.5
        self._says(10 * GIB, 0)
        self._tell("arrives")

    def _says(self, used_bytes: int, percent: int) -> None:
        path = Path(self._arguments.tenants, f"{self._index}.{self._pid}")
        hidden = path.with_name(f".{path.name}")
        hidden.write_text(f"{used_bytes} {percent}")
        hidden.replace(path)

    def leave(self) -> None:
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
            self._tell("leaves")
            Path(self._arguments.tenants, f"{self._index}.{self._pid}").unlink()
            self._pid = 0

    def _tell(self, what: str) -> None:
        with open(self._arguments.events, "a", encoding="utf-8") as file:
            file.write(f"{time.monotonic():.6f} {what} {self._index} {self._pid}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tenants", help="the directory of the fake driver")
    parser.add_argument("events", help="where it is told what happens")
    parser.add_argument("--cards", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--there-s", type=float, default=4.0, help="at most")
    parser.add_argument("--away-s", type=float, default=6.0, help="at most")
    parser.add_argument("--rude", type=float, default=0.2, help="how often somebody starts on a card that is in use")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    chance = random.Random(arguments.seed)
    cards = [Card(index, arguments, chance) for index in range(arguments.cards)]
    try:
        while not select.select([sys.stdin], [], [], 0.01)[0]:
            for card in cards:
                card.step(time.monotonic())
    finally:
        for card in cards:
            card.leave()


if __name__ == "__main__":
    main()
