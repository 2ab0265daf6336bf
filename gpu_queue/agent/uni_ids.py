"""What outside scripts are told of this agent's tries, and where (:mod:`gpu_queue.node.uni_ids`); in mode shared."""

from __future__ import annotations

import time
from collections.abc import Callable

from gpu_queue.agent.livetry import LiveTry
from gpu_queue.agent.surroundings import Surroundings
from gpu_queue.agent.tries import Tries
from gpu_queue.conf import home_of
from gpu_queue.config import Settings
from gpu_queue.execution.processes import start_of
from gpu_queue.node.storage import Errand, Failed
from gpu_queue.node.uni_ids import Told
from gpu_queue.pids import Process, here
from gpu_queue.sharing import Mode
from gpu_queue.spool.uni_ids import Entry, place_of

LOOK_S = 1.0
"""So often it is looked whether somebody has overwritten the files, or a script has said something."""
SOON_S = 0.1
"""So soon after they were written, or found half written."""


class UniIds:
    """Hands the storage thread what the files are to say."""

    def __init__(self, around: Surroundings, tries: Tries, settings: Callable[[], Settings]) -> None:
        """Nothing is written before :meth:`advance`."""
        self._spool = around.spool
        self._tries = tries
        self._settings = settings
        self._say = around.say
        self._home = home_of(around.environment)
        self._files = around.spool.uni_ids
        self._files.lock = around.node_directory.held
        self._writes: Errand[Told] = Errand(around.storage, "uni_id.json", around.say)
        self._entries: dict[str, Entry] = {}
        """Of the tries that have begun, until they are settled and written."""
        self._written: frozenset[str] = frozenset()
        self._due = 0.0
        self._problems: dict[str, str] = {}

    def due(self, now: float) -> float:  # noqa: ARG002
        """When it is looked again."""
        return self._due if self._is_wanted and not self._writes.is_out() else float("inf")

    def hurry(self) -> None:
        """Somebody has written the one in the spool, perhaps we."""
        self._due = 0.0

    def advance(self, now: float) -> None:
        """Write if something has changed, or look if that is due."""
        if not self._is_wanted:
            return
        self._notice()
        if (self._written != self._live() or now >= self._due) and not self._writes.is_out():
            self._write(now)

    def close(self, now: float) -> None:
        """Have the ends of the last tries written."""
        if self._is_wanted:
            self._notice()
            self._write(now)

    @property
    def _is_wanted(self) -> bool:
        return self._settings().mode is Mode.SHARED

    def _live(self) -> frozenset[str]:
        return frozenset(name for name in self._entries if name in self._tries.live)

    def _notice(self) -> None:
        for name, one in self._tries.live.items():
            if one.started_wall_s and name not in self._entries and not one.is_other_rank:
                # One that is over before this is reached has its end told all the same.
                pid = one.pid or one.shim_pid or (one.directory.pid() or (0, 0))[0]
                if pid or not one.is_running:
                    self._entries[name] = self._entry(one, pid)

    def _entry(self, one: LiveTry, pid: int) -> Entry:
        ticks = start_of(pid)
        process = None if ticks is None else Process(pid, ticks, here())
        retries = one.claim.number - 1
        return Entry(pid, retry_count=retries, node=self._spool.node, spool=self._spool.paths.root, process=process)

    def _write(self, now: float) -> None:
        # One that was over before it could be written has its end written all the same.
        entries, live = dict(self._entries), self._live()
        places = self._places()

        def done(told: Told | Failed) -> None:
            if isinstance(told, Failed):
                self._due = now + LOOK_S
                self._say(f"uni_id.json: {told}")
                return
            self._due = now + (SOON_S if told.is_soon else LOOK_S)
            self._tell(told)

        def call() -> Told:
            return self._files.write(entries, places, time.time())

        if self._writes.send(call, done, key=object()):
            self._written = live
            self._entries = {name: entry for name, entry in entries.items() if name in live}

    def _places(self) -> tuple[str, ...]:
        said, paths = self._settings().sharing.process_json, self._spool.paths
        return (paths.uni_ids, place_of(paths.root, said, self._home)) if said else (paths.uni_ids,)

    def _tell(self, told: Told) -> None:
        for note in told.notes:
            self._say(note)
        for path, text in told.problems.items():
            if self._problems.get(path) != text:
                self._say(text)
        for path in self._problems.keys() - told.problems.keys():
            self._say(f"{path}: is written again")
        self._problems = dict(told.problems)
