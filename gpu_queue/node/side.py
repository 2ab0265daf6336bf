"""One node's view of one spool: everything that the storage thread does for an agent.

A ``look`` is one observation.  What is due is the agent's to say; what a look does not include is None.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from gpu_queue.config import Config, Settings
from gpu_queue.errors import SettingsError
from gpu_queue.node.drops import SettleTimes
from gpu_queue.node.gangs import GangSide
from gpu_queue.node.kept import Kept
from gpu_queue.node.logpush import LogPusher
from gpu_queue.node.mailbox import Mail, Mailbox
from gpu_queue.node.peers import PeerFiles
from gpu_queue.node.pending import PendingReader, PendingView
from gpu_queue.node.titles import Titles
from gpu_queue.node.transitions import Transitions
from gpu_queue.node.uni_ids import UniIds
from gpu_queue.policy import believed, read_config
from gpu_queue.spool import files, filesystem, growing, trust
from gpu_queue.spool.events import EventLog
from gpu_queue.spool.filesystem import Mount
from gpu_queue.spool.pages import NodePage, write_page
from gpu_queue.spool.paths import (
    WATCHED,
    SpoolPaths,
    full_name,
    make_id,
    parse_claim,
    parse_drop,
    parse_full,
    safe_name,
    strip_claim,
)
from gpu_queue.spool.queues import Queues, parse_token
from gpu_queue.spool.store import Moved, listing, move
from gpu_queue.spool.tallies import Tallies, Tally
from gpu_queue.task import State

SETTLE_LOCAL_S = 2.0
SETTLE_NETWORK_S = 10.0
FLAG_TEXT_BYTES = 500


@dataclass(frozen=True)
class LookRequest:
    """What an agent wants to see."""

    now: float
    """Monotonic seconds."""
    running_ids: frozenset[str]
    default_gpus: int = 1
    """Of tasks that say nothing; when it changes, what waits is read anew."""
    own: bool = True
    """Also this node's claims; they are looked at in any case where a name in pending/ may be one of them."""
    commands: bool = True
    root: bool = True
    asked_for: frozenset[str] = frozenset()
    """Names or ids of tasks that are to be read in any case."""
    everywhere: bool = False
    """Also whether anything runs on any node."""
    queued: Mapping[str, str] = field(default_factory=dict)
    """The ids of the tasks that run here and hold a queue, with its name."""


@dataclass(frozen=True)
class WatchedFile:
    """The file that clients touch while somebody looks."""

    mark: tuple[int, int]
    """Another one: it was touched."""
    age_s: float | None
    """By the storage's clock; None: it is not known yet how far ours is off."""


@dataclass(frozen=True)
class RootView:
    """What stands at the top of a spool."""

    paused: str | None
    draining: str | None
    keepalive_off: str | None
    config: Config | None
    """None: it could not be read; ``config_problem`` says why."""
    config_problem: str = ""
    damage: str = ""
    """What stands in the place of a directory of the spool, for people: nothing is started until it is gone."""
    watched: WatchedFile | None = None
    """Somebody looks, or looked, at what nodes tell; None: nobody."""


@dataclass(frozen=True)
class Look:
    """One observation."""

    pending: PendingView
    own_claims: tuple[str, ...] | None
    mail: Mail | None
    root: RootView | None
    runs_somewhere: bool | None
    busy_queues: Mapping[str, str]
    """Busy queues with the ids of the tasks that hold them; only looked at while some task waits for a queue."""
    titles: Mapping[str, str]
    """What those are called that others wait for, by id, where the id cannot carry it."""
    tallies: Mapping[str, Tally] = field(default_factory=dict)
    """What became of the tasks of queues; the same object where nothing has changed."""
    made: tuple[str, ...] = ()
    """Directories that somebody had removed and that were made again."""


def own_name() -> str:
    """What this host calls itself, without its domain."""
    return socket.gethostname().split(".")[0]


def node_name(host: str, directory_identity: tuple[int, int]) -> str:
    """This node's name: two machines, pods or users never share one.

    Args:
        host: ``--node-name``, or what the host is called otherwise; empty: :func:`own_name`.
        directory_identity: ``(st_dev, st_ino)`` of the node's own directory.
    """
    facts = [str(os.geteuid()), f"{directory_identity[0]}:{directory_identity[1]}"]
    for path in ("/proc/sys/kernel/random/boot_id", "/proc/1/stat"):
        try:
            with open(path, encoding="ascii", errors="replace") as file:
                text = file.read()
            # Of pid 1 its start time: the 22nd field, counted after the name in parentheses (proc(5)).
            facts.append(text.rpartition(")")[2].split()[19] if path.endswith("stat") else text.strip())
        except (OSError, IndexError):
            facts.append("?")
    try:
        facts.append(os.readlink("/proc/self/ns/pid"))
    except OSError:
        facts.append("?")
    name = host or own_name()
    return f"{safe_name(os.fsencode(name))[:60]}-{hashlib.sha256('|'.join(facts).encode()).hexdigest()[:8]}"


class NodeSide:
    """One spool as one node serves it."""

    def __init__(self, paths: SpoolPaths, node: str, incarnation: str, settings: Settings, mount: Mount) -> None:
        self.paths = paths
        self.node = node
        self.mount = mount
        self.owners = trust.trusted_uids(paths, settings.allow_root_for)
        """Whose files may say what the agent itself does."""
        self.uids = self.owners | frozenset(settings.allow_users)
        complete_s = settings.settle_s or (SETTLE_LOCAL_S if mount.is_local else SETTLE_NETWORK_S)
        times = SettleTimes(complete_s, max(complete_s, settings.settle_unfinished_s))
        self.reader = PendingReader(paths, times, self.uids)
        self.events = EventLog(paths, node)
        self.queues = Queues(paths, settings.takeover_after_s)
        self.tallies = Tallies(paths, node)
        self.transitions = Transitions(
            paths, node, self.reader, self.events, self.uids, self.queues, self.tallies, self._make_missing
        )
        self.gangs = GangSide(paths, node, self.uids, self.owners, self.transitions, self.transitions.papers)
        self.mailbox = Mailbox(paths, node, incarnation, self.uids)
        self.kept = Kept(paths, node)
        self.peers = PeerFiles(paths, node, self.events, self.uids)
        self.logs = LogPusher()
        self.uni_ids = UniIds(paths, node)
        self._titles = Titles(paths, self.uids)
        self._believed, self._is_shared = believed(settings), settings.allow_group
        self.watch: Callable[[list[str]], object] = lambda _: None
        """Told of directories that were made again: file events of those before have ended with them."""
        self._made: list[str] = []
        self._config_seen: tuple[int, int, int] | None = None
        self._config = Config()
        self._ahead_s: float | None = None

    def enter(self) -> None:
        """Make this node's running directory and its permanent file; from the first time on this agent is present.

        Raises:
            OSError: it cannot be made.
        """
        directory, keeper = self.paths.running(self.node), self.paths.running_keeper(self.node)
        os.makedirs(directory, mode=0o700, exist_ok=True)
        files.hand_over(directory, self.paths.root)
        growing.append(keeper, b"")
        if self.mailbox.present_since is None:
            os.utime(keeper)
            self.mailbox.present_since = os.stat(keeper).st_mtime  # the server's clock, as that of the commands

    def look(self, request: LookRequest) -> Look:
        """Observe; directories that somebody removed are made again.

        Raises:
            OSError: a directory could not be listed: nothing is known.
        """
        try:
            look = self._look(request)
        except FileNotFoundError:
            self._make_missing()
            self.enter()
            look = self._look(request)
        made, self._made = tuple(self._made), []
        return replace(look, made=made) if made else look

    def _make_missing(self) -> None:
        made = filesystem.make_missing(self.paths)
        self._made += made
        self.watch([path for path in made if path in (self.paths.directory(State.PENDING), self.paths.control)])

    def _look(self, request: LookRequest) -> Look:
        # pending/ is listed first: a claim that is moved back between the two listings then is no copy.
        met = self.reader.list_names(request.running_ids)
        own = self._own_claims() if request.own or met else None
        claimed = frozenset(parsed[0].task_id for name in own or () if (parsed := parse_claim(name)) is not None)
        held = {task: queue for task, queue in request.queued.items() if task in claimed}
        if held:
            self.queues.restore(held, self.node)
        copied, ending = request.running_ids & claimed, request.running_ids - claimed
        pending = self.reader.look(request.now, copied, request.default_gpus, ending, request.asked_for)
        busy = self.queues.busy(request.now) if self.reader.awaited_queues else {}
        return Look(
            pending,
            own,
            self.mailbox.look(request.now) if request.commands else None,
            self._root() if request.root else None,
            self.runs_somewhere() if request.everywhere else None,
            busy,
            self._titles.look(busy.values(), pending.waiting),
            self.tallies.look(request.now),
        )

    @property
    def ends(self) -> list[str]:
        """Where something arrives when a task or a turn in a queue has ended, whoever ends it."""
        return [self.paths.directory(State.DONE), self.paths.directory(State.FAILED), self.paths.queues]

    def is_awaited(self, directory: str, name: str) -> bool:
        """Whether something in pending/ waits for this to arrive in one of ``ends``; any thread may ask."""
        if directory == self.paths.queues:
            token = parse_token(name)
            return token is not None and token[2] and token[0] in self.reader.awaited_queues
        full = parse_full(name)
        return full is not None and full[1] in self.reader.awaited_ids

    def _own_claims(self) -> tuple[str, ...]:
        names = listing(self.paths.running(self.node))
        if "node" not in names:  # a peer took us for dead and was putting our directory away
            self.enter()
        return tuple(name for name in names if name != "node" and not name.startswith("."))

    def _flag(self, name: str, names: list[str]) -> str | None:
        if name not in names:
            return None
        try:
            content, _ = files.read_regular(self.paths.flag(name), FLAG_TEXT_BYTES)
        except (files.FileProblem, OSError):
            return ""
        return " ".join(content.decode("utf-8", "replace").split())

    def _root(self) -> RootView:
        names, missing, wrong = filesystem.top_of(self.paths)
        if missing:
            self._make_missing()
        damage = f"{wrong}: expected a directory that is no link; move it away, and it is made again" if wrong else ""
        problem = ""
        if "config.yaml" in names:
            try:
                facts = os.stat(self.paths.config)
                seen = (facts.st_ino, facts.st_size, facts.st_mtime_ns)
                if seen != self._config_seen:
                    self._config = read_config(self.paths.config, self._believed, is_shared=self._is_shared)
                    self._config_seen = seen
            except SettingsError as error:
                problem = str(error)
            except OSError as error:
                problem = f"{self.paths.config}: {error.strerror}"
        else:
            self._config, self._config_seen = Config(), None
        return RootView(
            self._flag("paused", names),
            self._flag("draining", names),
            self._flag("keepalive-off", names),
            None if problem else self._config,
            problem,
            damage,
            self._watched() if WATCHED in names else None,
        )

    def _watched(self) -> WatchedFile | None:
        try:
            mark = files.mark_of(self.paths.watched)
        except OSError:
            return None
        if mark is None:
            return None
        return WatchedFile(mark, None if self._ahead_s is None else time.time() + self._ahead_s - mark[1] / 1e9)

    def runs_somewhere(self) -> bool:
        """Whether anything is in the running directory of some node.

        Raises:
            OSError: it is not known.
        """
        directory = self.paths.directory(State.RUNNING)
        for node in listing(directory):
            try:
                if any(name != "node" and not name.startswith(".") for name in listing(f"{directory}/{node}")):
                    return True
            except NotADirectoryError:
                continue
        return False

    def beat(self, page: NodePage, *, touch: bool) -> float:
        """Write the node files; returns how far the server's clock is ahead of ours.

        Args:
            page: what this node tells.
            touch: also touch what is polled, since a listing may be stuck (NFSv3).

        Raises:
            OSError: they could not be written.
        """
        self._ahead_s = ahead_s = write_page(self.paths, page)
        if touch:
            for directory in (
                self.paths.directory(State.PENDING),
                self.paths.running(self.node),
                self.paths.control,
                self.paths.root,
            ):
                try:
                    os.utime(directory)
                except OSError:
                    continue  # a hint for the cache; not allowed is no harm
        return ahead_s

    def cancel(self, names: list[str]) -> int:
        """Move waiting tasks to failed/ (a person asked by hand); returns how many."""
        count = 0
        try:
            tokens = self.queues.tokens()  # before they are moved: what is retried later has tokens of its own
        except OSError:
            tokens = ()  # they are broken in time
        for name in names:
            full = parse_full(strip_claim(name))
            if full is None:  # a hand drop gets an id: two of one name must not meet in failed/
                priority, raw = parse_drop(name)
                full = priority, make_id(time.time(), secrets.token_hex(3), raw)
            target = full_name(*full)
            source = f"{self.paths.directory(State.PENDING)}/{name}"
            if move(source, f"{self.paths.directory(State.FAILED)}/{target}").moved is Moved.WON:
                count += 1
                self.queues.free(*(one for one in tokens if one.holder == full[1]))
        return count
