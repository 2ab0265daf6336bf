"""How names in a spool are spelled: the only speller (docs/spool.md, "Names").

- ``pending/PPP-<id>``; ``running/<node>/PPP-<id>.tryN.<hex>[=<status>[-<why>]]``; ``done/`` and ``failed/`` like
  ``pending/``.  ``<id>`` = ``YYYYMMDDTHHMMSSmmm-NNNNNN-<name>``.
- ``gangs/<claim of rank 0>/{call,go,off,ranks}``, ``offers/`` and ``members/`` with claims of the other ranks: theirs
  have the id and the number of rank 0's, and a token of their own.
- Names are parsed from the right, so that a script's own name may look like anything.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from operator import itemgetter

from gpu_queue.kept import Slot
from gpu_queue.spool.beside import PathsBeside
from gpu_queue.task import DEFAULT_PRIORITY, Claim, End, State, Why
from gpu_queue.units import parse_stamp_s, stamp

NAME_MAX_BYTES = 120
"""Of the script's name inside an id: with all that is added it stays below every NAME_MAX that is in use."""

_ID = r"\d{8}T\d{9}-[0-9a-f]{6}-[A-Za-z0-9._+-]{1,120}"
_FULL = re.compile(rf"(\d{{3}})-({_ID})", re.ASCII)
_CLAIM_END = re.compile(r"(.+)\.try(\d{1,9})\.([0-9a-f]{6})(?:=(\d{1,3})(?:-([a-z]+))?)?", re.ASCII)
_DROP_PRIORITY = re.compile(rb"(\d{3})[-_](.+)", re.DOTALL)
_STRANGE = re.compile(rb"[^A-Za-z0-9._+-]+")
_COMMAND = re.compile(r"\d{8}T\d{9}-([0-9a-f]{6,32})\.json", re.ASCII)
_REMOVING = re.compile(r"\.removing-(\d{1,12})\.(\d{9})-[0-9a-f]{12}", re.ASCII)
_LIKE_A_CLAIM = re.compile(r"\.try\d{1,9}\.[0-9a-f]{6}$", re.ASCII)
_RANK_LOG = re.compile(r"(.+)\.rank([1-9]\d{0,3})\.log", re.ASCII)
_STAMP_AND_NONCE = len("YYYYMMDDTHHMMSSmmm-NNNNNN-")
_SKIPPED_ENDINGS = ("~", ".tmp", ".swp")
WATCHED = "watched"
STATE_DIRECTORIES = tuple(state.value for state in State)
OTHER_DIRECTORIES = (
    *("records", "logs", "control", "nodes", "nodes/gone", "ledger", "queues", "gangs", "events", "allocations"),
)


def plain(raw: bytes) -> str:
    """Any bytes as ids spell them: each run of bytes outside ``[A-Za-z0-9._+-]`` is one ``_``."""
    return _STRANGE.sub(b"_", raw).decode("ascii")


def safe_name(raw: bytes) -> str:
    """A script's name as an id may carry it: bytes outside ``[A-Za-z0-9._+-]`` become one ``_``, cut at 119."""
    name = plain(raw)[: NAME_MAX_BYTES - 1] or "task"
    return f"{name}_" if _LIKE_A_CLAIM.search(name) else name


def make_id(epoch_s: float, nonce: str, raw_name: bytes) -> str:
    """A new task id from a moment, six hex digits, and the script's own name."""
    return f"{stamp(epoch_s)}-{nonce}-{safe_name(raw_name)}"


def is_id(text: str) -> bool:
    """Whether this is a task id."""
    return _FULL.fullmatch(f"000-{text}") is not None


def parse_full(name: str) -> tuple[int, str] | None:
    """Priority and id of ``PPP-<id>``; None for any other name (a hand drop)."""
    match = _FULL.fullmatch(name)
    if match is None or _CLAIM_END.fullmatch(name):
        return None
    return int(match[1]), match[2]


def parse_many(names: Iterable[str]) -> tuple[list[str], dict[str, int]]:
    """``parse_full`` for a hundred thousand names: their ids, ascending, and the priorities that are no default."""
    full = [
        name for name in names if _FULL.fullmatch(name) and (".try" not in name or _CLAIM_END.fullmatch(name) is None)
    ]
    default = f"{DEFAULT_PRIORITY:03d}"
    ids = sorted(map(itemgetter(slice(4, None)), full))
    return ids, {name[4:]: int(name[:3]) for name in full if not name.startswith(default)}


def submitted_s(task_id: str) -> float | None:
    """When a task was submitted, in epoch seconds by its submitter's clock; None where its stamp is no moment."""
    return parse_stamp_s(task_id.split("-", 1)[0])


def title_of(task_id: str) -> str:
    """The script's name, as its id carries it."""
    return task_id.split("-", 2)[2]


def full_name(priority: int, task_id: str) -> str:
    """The name of a task in pending/, done/ and failed/."""
    return f"{priority:03d}-{task_id}"


def claim_name(claim: Claim) -> str:
    """The name of a claim in ``running/<node>/``."""
    return f"{full_name(claim.priority, claim.task_id)}.try{claim.number}.{claim.token}"


def ended_name(claim: Claim, end: End) -> str:
    """The name that the shim gives its claim when the try has ended."""
    return f"{claim_name(claim)}={end.status}" + (f"-{end.why.value}" if end.why else "")


def parse_claim(name: str) -> tuple[Claim, End | None] | None:
    """A claim and, where its name says so, how the try ended; None if it is no claim's name.

    A why that this version does not know reads as *requeue*: it was ended on purpose, and it is run again.
    """
    match = _CLAIM_END.fullmatch(name)
    if match is None:
        return None
    full = _FULL.fullmatch(match[1])
    if full is None:
        return None
    claim = Claim(int(full[1]), full[2], int(match[2]), match[3])
    if match[4] is None:
        return claim, None
    return claim, End(int(match[4]), Why.read(match[5]) if match[5] is not None else None)


def root_of(claim_path: str) -> str:
    """The spool that a claim lies in, ``running/<node>/…`` or, of a rank of a gang, ``gangs/<claim>/members/…``."""
    above = os.path.dirname(os.path.dirname(os.path.dirname(claim_path)))
    return os.path.dirname(above) if os.path.basename(os.path.dirname(claim_path)) == "members" else above


def strip_claim(name: str) -> str:
    """A claim's name brought back to ``PPP-<id>``; other names as they are (a person moved it by hand)."""
    parsed = parse_claim(name)
    return name if parsed is None else full_name(parsed[0].priority, parsed[0].task_id)


def is_skipped(name: str) -> bool:
    """Whether a name dropped by hand is one that editors and copiers use while they write."""
    return name.startswith(".") or (name.endswith(_SKIPPED_ENDINGS) and parse_full(name) is None)


def parse_drop(name: str) -> tuple[int, bytes]:
    """Priority and the script's own name of a hand drop: ``NNN_name`` and ``NNN-name`` carry a priority.

    A full name or a claim's name that was dropped (copied from done/, say) is brought back to the script's name.
    """
    full = parse_full(strip_claim(name))
    if full is not None:
        return full[0], full[1].split("-", 2)[2].encode()
    raw = os.fsencode(name)
    match = _DROP_PRIORITY.fullmatch(raw)
    return (int(match[1]), match[2]) if match else (DEFAULT_PRIORITY, raw)


def parse_try_file(name: str, ending: str) -> Claim | None:
    """The try that a record or a log is of, by its name (its priority is not known: 0); None: of no try's.

    The log of a first try has the plain name of its task, and is of none here.
    """
    parsed = parse_claim(f"000-{name.removesuffix(ending)}") if name.endswith(ending) else None
    return None if parsed is None or parsed[1] is not None else parsed[0]


def parse_rank_log(name: str) -> tuple[str, int] | None:
    """Of the log of a rank the name that the log of rank 0 has, and which rank; None for any other name."""
    match = _RANK_LOG.fullmatch(name)
    return (f"{match[1]}.log", int(match[2])) if match is not None else None


def log_of_rank(log: str, rank: int) -> str:
    """The path of the log of a rank, beside that of rank 0."""
    return f"{log.removesuffix('.log')}.rank{rank}.log" if rank else log


def same_submission(name: str) -> str:
    """The stamp and nonce with which the names of all of a task's records and logs begin."""
    return name[:_STAMP_AND_NONCE]


def parse_removing(name: str) -> int | None:
    """Before which moment (epoch nanoseconds) the tasks in such a directory had settled; None: it is none such."""
    match = _REMOVING.fullmatch(name)
    return int(match[1]) * 10**9 + int(match[2]) if match is not None else None


def command_entry(epoch_s: float, nonce: str) -> str:
    """The name of a command in control/."""
    return f"{stamp(epoch_s)}-{nonce}.json"


def is_command_entry(name: str) -> bool:
    """Whether a name in control/ is a command's; answers, dot-files and what else lies there are none."""
    return _COMMAND.fullmatch(name) is not None


def damaged(path: str, epoch_s: float) -> str:
    """Where a file is put that cannot be read, beside its place."""
    return f"{path}.damaged-{stamp(epoch_s)}"


def is_damaged(name: str, of: str) -> bool:
    """Whether a name is that of such a file."""
    return parse_stamp_s(name.removeprefix(f"{of}.damaged-")) is not None


def parse_slot(name: str) -> tuple[Slot, bool] | None:
    """A token's slot, and whether the name is that of the mark that its agent began; None for any other name."""
    slot = Slot.parse(name.removeprefix("slot-").removesuffix(".began")) if name.startswith("slot-") else None
    return None if slot is None else (slot, name.endswith(".began"))


def parse_tally(name: str) -> str:
    """The node whose tally a name in queues/ is; empty for any other name."""
    is_tally = name.startswith(".tally-") and name.endswith(".jsonl")
    return name.removeprefix(".tally-").removesuffix(".jsonl") if is_tally else ""


@dataclass(frozen=True)
class SpoolPaths(PathsBeside):
    """The paths inside one spool."""

    def directory(self, state: State) -> str:
        """``pending``, ``done``, ``failed``, or the parent of all nodes' running directories."""
        return f"{self.root}/{state.value}"

    def removing(self, state: State, before_ns: int, nonce: str) -> str:
        """Where settled tasks of a state lie while they are being forgotten.

        Args:
            state: done or failed.
            before_ns: they had settled by then, in epoch nanoseconds by the server's clock.
            nonce: twelve hex digits.
        """
        seconds, rest = divmod(before_ns, 10**9)
        return f"{self.directory(state)}/.removing-{seconds}.{rest:09d}-{nonce}"

    @property
    def all_running(self) -> str:
        """The parent of all nodes' running directories."""
        return f"{self.root}/running"

    def running(self, node: str) -> str:
        """The claims of one node."""
        return f"{self.root}/running/{node}"

    def running_keeper(self, node: str) -> str:
        """A permanent file, so that a listing of the node's claims is never empty."""
        return f"{self.running(node)}/node"

    def claim(self, node: str, claim: Claim) -> str:
        """A live claim."""
        return f"{self.running(node)}/{claim_name(claim)}"

    @property
    def records(self) -> str:
        """The records of all tasks and tries."""
        return f"{self.root}/records"

    @property
    def logs(self) -> str:
        """The logs of all tries."""
        return f"{self.root}/logs"

    @property
    def queues(self) -> str:
        """The tokens of serial queues."""
        return f"{self.root}/queues"

    def tally(self, node: str) -> str:
        """What became of the tasks of serial queues that this node settled."""
        return f"{self.queues}/.tally-{node}.jsonl"

    def record(self, task_id: str) -> str:
        """The submission."""
        return f"{self.root}/records/{task_id}.json"

    def try_record(self, claim: Claim) -> str:
        """One try, written by the owner of its claim."""
        return f"{self.root}/records/{claim.task_id}.try{claim.number}.{claim.token}.json"

    def tries_index(self, task_id: str) -> str:
        """The ends of earlier tries, in one file that can be found without listing records/."""
        return f"{self.root}/records/{task_id}.tries.json"

    def log(self, claim: Claim) -> str:
        """Where a try's output goes: the first try has the plain name."""
        if claim.number == 1:
            return self.first_log(claim.task_id)
        return f"{self.root}/logs/{claim.task_id}.try{claim.number}.{claim.token}.log"

    def first_log(self, task_id: str) -> str:
        """The log of a task's first try."""
        return f"{self.root}/logs/{task_id}.log"

    def rank_log(self, claim: Claim, rank: int) -> str:
        """Where the output of one rank of a gang goes.

        Args:
            claim: of rank 0, which has the log of any task.
            rank: which.
        """
        return log_of_rank(self.log(claim), rank)

    @property
    def gangs(self) -> str:
        """Tasks over several nodes: a directory for each try, by the name of its claim."""
        return f"{self.root}/gangs"

    def gang(self, claim: Claim) -> str:
        """What the nodes of one try have to do with each other.

        Args:
            claim: of rank 0.
        """
        return f"{self.gangs}/{claim_name(claim)}"

    def gang_offers(self, claim: Claim) -> str:
        """What nodes hold ready for it."""
        return f"{self.gang(claim)}/offers"

    def gang_members(self, claim: Claim) -> str:
        """The claims of its other ranks."""
        return f"{self.gang(claim)}/members"

    def gang_member(self, claim: Claim, member: Claim) -> str:
        """The live claim of one of them."""
        return f"{self.gang_members(claim)}/{claim_name(member)}"

    def gang_ranks(self, claim: Claim) -> str:
        """Who has which rank."""
        return f"{self.gang(claim)}/ranks"

    @property
    def control(self) -> str:
        """Every command, and each node's answer."""
        return f"{self.root}/control"

    @property
    def hand_command(self) -> str:
        """The mailbox for people."""
        return f"{self.root}/control.json"

    def ack(self, command_entry: str, node: str) -> str:
        """A node's answer to the command ``<stamp>-<nonce>.json``."""
        return f"{self.control}/{command_entry.removesuffix('.json')}.{node}.ack"

    def node_json(self, node: str) -> str:
        """A node's beat and facts."""
        return f"{self.root}/nodes/{node}.json"

    def node_lines(self, node: str) -> str:
        """The same in lines, for shells."""
        return f"{self.root}/nodes/{node}.tsv"

    def ledger(self, node: str) -> str:
        """What a node's GPUs did and spent, by day."""
        return f"{self.root}/ledger/{node}.tsv"

    @property
    def nodes(self) -> str:
        """All nodes' files."""
        return f"{self.root}/nodes"

    @property
    def gone(self) -> str:
        """The files of nodes that were watched dead."""
        return f"{self.root}/nodes/gone"

    def forgotten(self, node: str) -> str:
        """Who said that a node is dead."""
        return f"{self.gone}/{node}.why"

    def events(self, node: str) -> str:
        """A node's history."""
        return f"{self.root}/events/{node}.jsonl"

    def flag(self, name: str) -> str:
        """A state as a file: ``paused``, ``draining`` or ``keepalive-off``."""
        return f"{self.root}/{name}"

    @property
    def watched(self) -> str:
        """Clients touch it while somebody looks at what nodes tell."""
        return f"{self.root}/{WATCHED}"

    @property
    def uni_ids(self) -> str:
        """What outside scripts are told of tries (:mod:`gpu_queue.spool.uni_ids`)."""
        return f"{self.root}/uni_id.json"

    @property
    def agent_output(self) -> str:
        """What the agents say that ``gpu-queue run`` starts."""
        return f"{self.root}/agent.log"

    @property
    def config(self) -> str:
        """The policy of this spool."""
        return f"{self.root}/config.yaml"

    @property
    def identity(self) -> str:
        """A word by which agents of one node know the spool, whatever path they reach it by."""
        return f"{self.root}/IDENTITY"

    @property
    def protocol(self) -> str:
        """Written last when a spool is made."""
        return f"{self.root}/PROTOCOL"
