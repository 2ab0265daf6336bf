"""An agent for a queue that nobody serves, by ``submit.sh`` on this machine; and its end (``--start-agents``).

- Of two who start one at once the second waits, looks again, and finds what the first has started.
- What was started is noted in the queue, so that whoever ends it ends that agent, and no other one.
"""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from gpu_queue.console.jobfiles.folders import CannotUse, folder
from gpu_queue.console.models.common import Note
from gpu_queue.console.sentences import note
from gpu_queue.errors import SpoolError
from gpu_queue.locks import try_lock
from gpu_queue.shell import SUBMIT, SUBMIT_TYPED
from gpu_queue.spool.desk import asking, entrance, stopping
from gpu_queue.spool.desk.asking import Reply
from gpu_queue.spool.desk.find import listed, look
from gpu_queue.spool.desk.steering import What
from gpu_queue.spool.files import FileProblem, decode_json, encode_json
from gpu_queue.spool.pages import NodePage
from gpu_queue.spool.paths import SpoolPaths, safe_name
from gpu_queue.task import State
from gpu_queue.texts import printable

SUBMIT_S = 330.0
"""submit.sh gives a way 300 s."""
REFUSED = (1, 100)
"""Exit statuses that say that nothing was started."""
LOCK_S = 60.0
PAGE_S = 20.0
"""So long after submit.sh has ended its agent may take to tell of itself."""
TICK_S = 0.1
NOTE_BYTES = 16 << 10
WORDS_BYTES = 4000
WORDS_LINES = 6
AGENTS = ".agents"
LOCKS = "/tmp"  # noqa: S108  the same for all consoles of a user, whatever TMPDIR says


@dataclass(frozen=True)
class Own:
    """An agent that a console of this machine has started."""

    way: str = ""
    id: str = ""
    """As the way calls it."""
    node: str = ""
    """Empty: it has not told of itself yet."""
    incarnation: str = ""
    at_s: float = 0.0

    def is_of(self, page: NodePage) -> bool:
        """Whether that is its page."""
        if self.incarnation:
            return page.node == self.node and page.incarnation == self.incarnation
        return bool(self.id) and page.allocation == f"{self.way}:{self.id}"


@dataclass(frozen=True)
class Outcome:
    """What came of it."""

    what: What
    why: Note
    node: str = ""


def start(paths: SpoolPaths, gpus: Sequence[int], environment: Mapping[str, str], now_s: float) -> Outcome:
    """Start an agent, unless one serves the queue, or was asked for already.

    Args:
        paths: of the queue.
        gpus: for so many GPUs: the first number with which it can be started.
        environment: of the console; ``SUBMIT_WAY`` and the rest count as for submit.sh.
        now_s: epoch seconds.

    Raises:
        SpoolError: the queue cannot be used.
        OSError: the storage failed, or submit.sh cannot be started.
    """
    with _alone(paths) as is_alone:
        if not is_alone:
            return Outcome(What.UNKNOWN, note("agent_being_started", seconds=int(LOCK_S)))
        entrance.make(paths)
        before = {page.incarnation for page in asking.living(paths)}
        if before:
            return Outcome(What.DONE, note("agent_serves"))
        own = read_own(paths)
        if own is not None and not own.incarnation and _is_asked_for(paths, own, environment):
            return Outcome(What.DONE, note("agent_asked_before", way=own.way, id=own.id))
        status, words, made, count = 1, "", None, 1
        for count in gpus:
            allocations = set(listed(paths.allocations))
            status, words = _submit(paths, [str(count)], environment)
            made = _submitted(paths, allocations, now_s)
            if status not in REFUSED:
                break
        if status not in (0, 111) or made is None:
            why = note("submit_failed", command=SUBMIT_TYPED, status=status, problem=words)
            return Outcome(What.REFUSED, why)
        found = _page_of(paths, made, before)
        if found is not None:
            made = Own(made.way, made.id, found.node, found.incarnation, now_s)
        _note(paths, made)
        if found is None and made.way == "local":
            return Outcome(What.UNKNOWN, note("agent_quiet", said=words))
        if found is None:
            return Outcome(What.DONE, note("agent_asked_for", way=made.way, id=made.id))
        return Outcome(What.DONE, note("agent_started", node=found.node, count=count), found.node)


def own_agent(paths: SpoolPaths) -> NodePage | None:
    """The agent that a console of this machine has started, if it lives.

    Raises:
        SpoolError: the nodes cannot be listed now.
    """
    own = read_own(paths)
    return None if own is None else next((page for page in asking.living(paths) if own.is_of(page)), None)


def end(paths: SpoolPaths) -> Outcome | None:
    """End the agent that was started here, where nothing is left that it could run; None: there is none.

    Raises:
        SpoolError: the queue cannot be listed, or no command can be written.
    """
    page = own_agent(paths)
    if page is None:
        return None
    others = len(look(paths, State.PENDING)) + len(look(paths, State.RUNNING))
    if others:
        return Outcome(What.REFUSED, note("agent_goes_on", node=page.node, count=others), page.node)
    answers = stopping.shut_down(paths, wait=False, nodes={page.node: page.incarnation}, unkeep=False)
    replies = {answer.reply for answer in answers}
    if Reply.SILENT in replies:
        return Outcome(What.UNKNOWN, note("agent_told_to_end", node=page.node), page.node)
    return Outcome(What.DONE, note("agent_ended", node=page.node), page.node)


# -- submit.sh ------------------------------------------------------------------------------------------------------


def _submit(
    paths: SpoolPaths, arguments: list[str], environment: Mapping[str, str], first: str = ""
) -> tuple[int, str]:
    """The exit status of submit.sh, and the end of what it said."""
    root, job = os.path.split(paths.root)
    words = ["bash", SUBMIT, *([first] if first else []), job, *arguments]
    with tempfile.TemporaryFile() as output:
        try:
            done = subprocess.run(
                words,
                cwd="/",
                env={**environment, "QUEUE_ROOT": root},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                timeout=SUBMIT_S,
                start_new_session=True,
                check=False,
            )
            status = done.returncode
        except subprocess.TimeoutExpired:
            status = 111
        size = output.seek(0, os.SEEK_END)
        output.seek(max(0, size - WORDS_BYTES))
        lines = output.read().decode("utf-8", "replace").splitlines()
    said = [text for line in lines if (text := printable(line, 400).strip())]
    return status, " · ".join(said[-WORDS_LINES:])


def _submitted(paths: SpoolPaths, before: set[str], now_s: float) -> Own | None:
    """What submit.sh has noted of a new submission."""
    for name in sorted(set(listed(paths.allocations)) - before, reverse=True):
        try:
            with folder(paths.root, "allocations", name) as place:
                way = place.read("way", NOTE_BYTES)[0].decode("utf-8", "replace").strip()
                try:
                    ids = place.read("id", NOTE_BYTES)[0].decode("utf-8", "replace").split()
                except FileNotFoundError:
                    ids = []
        except (OSError, CannotUse):
            continue
        return Own(way, ids[0] if ids else "", at_s=now_s)
    return None


def _page_of(paths: SpoolPaths, made: Own, before: set[str]) -> NodePage | None:
    """What the new agent tells of itself; one of a cluster may take hours until it does."""
    host, pid = socket.gethostname().partition(".")[0], made.id.partition(".")[0]
    deadline = time.monotonic() + (PAGE_S if made.way == "local" else 0.0)
    while True:
        for page in asking.living(paths):
            is_here = page.host.partition(".")[0] == host and str(page.pid) == pid
            if page.incarnation not in before and (made.is_of(page) or (made.way == "local" and is_here)):
                return page
        if time.monotonic() >= deadline:
            return None
        time.sleep(TICK_S)


def _is_asked_for(paths: SpoolPaths, own: Own, environment: Mapping[str, str]) -> bool:
    """Whether what was asked for earlier may still begin; where its way does not say so, it may."""
    if not own.id:
        return False
    status, words = _submit(paths, [], environment, "--list")
    lines = [one for one in words.split(" · ") if own.id in one.split()]
    return status != 0 or any("ended" not in one.split() for one in lines)


# -- what was started -----------------------------------------------------------------------------------------------


def _name() -> str:
    return f"{safe_name(os.fsencode(socket.gethostname()))}.json"


def read_own(paths: SpoolPaths) -> Own | None:
    """What a console of this machine has started; None: nothing, or what nobody can read."""
    try:
        with folder(paths.root, "jobfiles", AGENTS) as place:
            said = decode_json(place.read(_name(), NOTE_BYTES)[0])
    except (OSError, CannotUse, FileProblem):
        return None
    texts = {name: value for name in ("way", "id", "node", "incarnation") if isinstance(value := said.get(name), str)}
    at_s = said.get("at_s")
    return Own(**texts, at_s=float(at_s) if isinstance(at_s, (int, float)) else 0.0)


def _note(paths: SpoolPaths, own: Own) -> None:
    with folder(paths.root, "jobfiles", AGENTS, make=True) as place:
        place.write(_name(), encode_json(asdict(own)))


@contextmanager
def _alone(paths: SpoolPaths) -> Iterator[bool]:
    """Whether nobody else of this user starts one for the queue on this machine; others are waited for."""
    which = hashlib.sha256(os.fsencode(os.path.realpath(paths.root))).hexdigest()[:16]
    path = f"{LOCKS}/gpu-queue-starting.{os.getuid()}.{which}"
    deadline = time.monotonic() + LOCK_S
    try:
        while (descriptor := try_lock(path)) is None and time.monotonic() < deadline:
            time.sleep(TICK_S)
    except OSError as error:
        raise SpoolError(f"{path}: {error.strerror}; nobody can tell whether another console starts one") from error
    if descriptor is None:
        yield False
        return
    try:
        yield True
    finally:
        os.close(descriptor)
