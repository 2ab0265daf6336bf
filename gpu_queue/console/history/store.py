"""Samples of one queue's GPUs in a database of SQLite on the console's own machine.

- A row is a GPU in a minute (kept for a week), in a quarter of an hour, in an hour or in four hours (for 90 days).
- One console writes it: whoever has the lock beside it.  Others read.
- It has no more than ``SIZE_MAX_BYTES``; before that the oldest go.
- What is no database of ours is put aside under another name, and a new one is begun.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from gpu_queue.console.history.minutes import MINUTE_S, QUANTITIES, Minute
from gpu_queue.locks import try_lock

APPLICATION_ID = 0x67707571
VERSION = 2
QUARTER_S = 900
HOUR_S = 3600
SHIFT_S = 14400
MINUTES_KEPT_S = 7 * 86400
QUARTERS_KEPT_S = 90 * 86400
SIZE_MAX_BYTES = 512 << 20
_PAGE_BYTES = 4096
BUSY_S = 5.0
_COLUMNS = [f"{word}{place}" for place in range(len(QUANTITIES)) for word in ("least", "mean", "most")]
_TABLE = f"gpu INTEGER, at INTEGER, count INTEGER, {', '.join(_COLUMNS)}, PRIMARY KEY (gpu, at)"
_COARSER = f"""
CREATE TABLE hours ({_TABLE}) WITHOUT ROWID;
CREATE TABLE shifts ({_TABLE}) WITHOUT ROWID;
PRAGMA user_version = {VERSION};
"""
_SCHEMA = f"""
CREATE TABLE gpus (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE);
CREATE TABLE minutes ({_TABLE}) WITHOUT ROWID;
CREATE TABLE quarters ({_TABLE}) WITHOUT ROWID;
PRAGMA application_id = {APPLICATION_ID};
{_COARSER}
"""
_SUMS = ", ".join(
    f"MIN(least{place}), SUM(1.0 * mean{place} * count) / SUM(CASE WHEN mean{place} IS NULL THEN 0 ELSE count END), "
    f"MAX(most{place})"
    for place in range(len(QUANTITIES))
)


@dataclass(frozen=True)
class Level:
    """A table, by how long its rows are."""

    table: str
    step_s: int
    kept_s: int


MINUTES = Level("minutes", MINUTE_S, MINUTES_KEPT_S)
QUARTERS = Level("quarters", QUARTER_S, QUARTERS_KEPT_S)
HOURS = Level("hours", HOUR_S, QUARTERS_KEPT_S)
SHIFTS = Level("shifts", SHIFT_S, QUARTERS_KEPT_S)
LEVELS = (MINUTES, QUARTERS, HOURS, SHIFTS)
"""Each is put together from the one before it, so that ninety days of many GPUs are few rows."""


_TABLES = {"gpus", *(one.table for one in LEVELS)}


class NotOurs(Exception):
    """The file is no database of ours."""


class Load(NamedTuple):
    """What one GPU did in one step of a level; None: nobody told it."""

    at_s: int
    least_percent: float | None
    mean_percent: float | None
    most_percent: float | None
    power_w: float | None
    """In the mean."""


@dataclass(frozen=True)
class Opened:
    """A store, and what people should know about it."""

    store: Store
    words: str = ""
    """Empty: nothing."""


class Store:
    """One database.  For one thread at a time; all calls may raise ``sqlite3.Error`` or ``OSError``."""

    def __init__(self, path: str, lock: int | None) -> None:
        self.path = path
        self._lock = lock
        self._rolled_at_s = 0.0

    @property
    def is_writer(self) -> bool:
        """Whether samples may be added here."""
        return self._lock is not None

    @classmethod
    def open(cls, path: str, now_s: float) -> Opened:
        """The store at a path, which is made if it is missing.

        Args:
            path: of the database; its directory is made, for its owner alone.
            now_s: epoch seconds.

        Raises:
            OSError: it cannot be made.
            sqlite3.Error: the same.
        """
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        lock = try_lock(f"{path}.lock")
        store, words = cls(path, lock), ""
        if lock is None:
            return Opened(store, f"another console keeps the history of this queue; this one shows it ({path})")
        try:
            store._check()
        except (sqlite3.DatabaseError, NotOurs) as error:
            aside = f"{path}.aside-{int(now_s)}"
            for ending in ("", "-journal", "-wal", "-shm"):
                if os.path.lexists(f"{path}{ending}"):
                    os.rename(f"{path}{ending}", f"{aside}{ending}")
            store._check()
            words = (
                f"{path} could not be used ({error}); it was put aside as {os.path.basename(aside)}, and begun anew"
            )
        return Opened(store, words)

    def close(self) -> None:
        """Let others write it."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None)
        try:
            connection.execute(f"PRAGMA max_page_count = {SIZE_MAX_BYTES // _PAGE_BYTES}")
            connection.execute("PRAGMA synchronous = NORMAL")
            yield connection
        finally:
            connection.close()

    def _check(self) -> None:
        with self._connected() as connection:
            (application,) = connection.execute("PRAGMA application_id").fetchone()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if not tables and application == 0:
                connection.executescript(f"BEGIN; {_SCHEMA} COMMIT;")
            elif (application, version) == (APPLICATION_ID, 1) and tables == {"gpus", "minutes", "quarters"}:
                connection.executescript(f"BEGIN; {_COARSER} COMMIT;")  # what is missing is put together next
            elif (application, version) != (APPLICATION_ID, VERSION) or not tables >= _TABLES:
                raise NotOurs("it is a database of something else, or of another version")
            elif (answer := connection.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
                raise NotOurs(f"it is damaged: {answer}")
        os.chmod(self.path, 0o600)

    def write(self, minutes: Sequence[Minute], now_s: float) -> None:
        """Add minutes, and put together and forget what is old.

        Args:
            minutes: that are over.
            now_s: epoch seconds.
        """
        with self._connected() as connection:
            try:
                self._write(connection, minutes, now_s)
            except sqlite3.OperationalError as error:
                if "full" not in str(error):
                    raise
                self._shrink(connection)
                self._write(connection, minutes, now_s)

    def _write(self, connection: sqlite3.Connection, minutes: Sequence[Minute], now_s: float) -> None:
        is_due = now_s - self._rolled_at_s >= QUARTER_S
        connection.execute("BEGIN IMMEDIATE")
        try:
            self._add(connection, minutes)
            if is_due:
                self._roll(connection, int(now_s))
            connection.execute("COMMIT")
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        if is_due:
            self._rolled_at_s = now_s

    def _add(self, connection: sqlite3.Connection, minutes: Iterable[Minute]) -> None:
        minutes = list(minutes)
        keys = {(one.gpu,) for one in minutes}
        connection.executemany("INSERT OR IGNORE INTO gpus (key) VALUES (?)", keys)
        ids = dict(connection.execute("SELECT key, id FROM gpus"))
        marks = ", ".join("?" * (3 + len(_COLUMNS)))
        rows = sorted((ids[one.gpu], one.at_s, one.readings, *_values(one)) for one in minutes)
        connection.executemany(f"INSERT OR REPLACE INTO minutes VALUES ({marks})", rows)

    def _roll(self, connection: sqlite3.Connection, now_s: int) -> None:
        until = now_s // QUARTER_S * QUARTER_S
        for finer, coarser in pairwise(LEVELS):
            (last,) = connection.execute(f"SELECT MAX(at) FROM {coarser.table}").fetchone()
            first = 0 if last is None else last
            step_s = coarser.step_s
            # The last one is put together anew: something of it may have come since.
            connection.execute(
                f"INSERT OR REPLACE INTO {coarser.table} SELECT gpu, at / {step_s} * {step_s} AS began, SUM(count), "
                f"{_SUMS} FROM {finer.table} WHERE at >= ? AND at < ? GROUP BY gpu, began",
                (first, until),
            )
        for one in LEVELS:
            connection.execute(f"DELETE FROM {one.table} WHERE at < ?", (now_s - one.kept_s,))

    def _shrink(self, connection: sqlite3.Connection) -> None:
        """It is as large as it may be: the oldest tenth goes."""
        for table in (one.table for one in LEVELS):
            least, most = connection.execute(f"SELECT MIN(at), MAX(at) FROM {table}").fetchone()
            if least is not None:
                connection.execute(f"DELETE FROM {table} WHERE at <= ?", (least + (most - least) // 10,))

    def read(
        self, gpu: str, first: int, step: int, count: int, *, quarters: bool
    ) -> list[tuple[int, tuple[float | None, ...]]]:
        """What is known of a GPU on a grid: beginnings, each with least, mean and most of each quantity.

        Args:
            gpu: ``<node>/<uuid>``.
            first: where the grid begins, in epoch seconds.
            step: of the grid, in seconds.
            count: of its steps.
            quarters: from quarters of an hour, not from minutes.
        """
        if not os.path.exists(self.path):
            return []
        table = "quarters" if quarters else "minutes"
        with self._connected() as connection:
            rows = connection.execute(
                f"SELECT (at - ?) / ? * ? + ? AS began, {_SUMS} FROM {table} JOIN gpus ON gpus.id = gpu "
                "WHERE key = ? AND at >= ? AND at < ? GROUP BY began",
                (first, step, step, first, gpu, first, first + step * count),
            ).fetchall()
        return [(row[0], row[1:]) for row in rows]

    def first_s(self, gpus: Iterable[str]) -> float | None:
        """The first moment of which something is known of any of some GPUs, as far as it is still kept."""
        if not os.path.exists(self.path):
            return None
        wanted = set(gpus)
        with self._connected() as connection:
            ids = [str(which) for which, key in connection.execute("SELECT id, key FROM gpus") if key in wanted]
            of_those = f"FROM gpus WHERE id IN ({', '.join(ids)})"
            found = [
                connection.execute(
                    f"SELECT MIN((SELECT MIN(at) FROM {one.table} WHERE gpu = id)) {of_those}"
                ).fetchone()
                for one in (MINUTES, QUARTERS)
            ]
        known = [at for (at,) in found if at is not None]
        return float(min(known)) if known else None

    def since_s(self, gpu: str) -> float | None:
        """The first moment of which something is known of a GPU."""
        if not os.path.exists(self.path):
            return None
        with self._connected() as connection:
            known = "gpu = (SELECT id FROM gpus WHERE key = ?)"
            found = [
                connection.execute(f"SELECT MIN(at) FROM {table} WHERE {known}", (gpu,)).fetchone()[0]
                for table in ("minutes", "quarters")
            ]
        minute, quarter = found
        if minute is None or (quarter is not None and quarter <= minute - QUARTER_S):
            return None if quarter is None else float(quarter)
        return float(minute)

    def gpus(self) -> list[str]:
        """Keys of all GPUs of which something was kept."""
        if not os.path.exists(self.path):
            return []
        with self._connected() as connection:
            return [key for (key,) in connection.execute("SELECT key FROM gpus ORDER BY key")]

    def loads(self, gpus: Sequence[str], first: int, until: int, level: Level) -> list[Load]:
        """What is known of several GPUs between two moments, in no order.

        Args:
            gpus: ``<node>/<uuid>`` of each.
            first: epoch seconds.
            until: epoch seconds; not itself.
            level: how fine.
        """
        if not os.path.exists(self.path):
            return []
        wanted = set(gpus)
        with self._connected() as connection:
            ids = [str(which) for which, key in connection.execute("SELECT id, key FROM gpus") if key in wanted]
            rows = connection.execute(
                f"SELECT at, least0, mean0, most0, mean2 FROM {level.table} "
                f"WHERE gpu IN ({', '.join(ids)}) AND at >= ? AND at < ?",
                (first, until),
            )
            return [Load(*row) for row in rows]


def _values(minute: Minute) -> Iterator[float | None]:
    for quantity, told in zip(QUANTITIES, minute.told, strict=True):
        for value in (None, None, None) if told is None else told:
            # Whole numbers take a byte or two each, and nobody needs half a percent of a mean.
            yield value if value is None else int(value) if quantity == "memory_used_bytes" else _short(value)


def _short(value: float) -> float:
    whole = round(value)
    return whole if abs(whole - value) < 0.05 else round(value, 1)
