"""The table of settings, what they are by default, and how they must fit each other.

One row makes a flag, a variable, a key of config.yaml and a line of the README.  Dots in a key are groups of
config.yaml, dots in a field are dataclasses of the settings; a group that has an ``enabled`` may also be written as
that one value (``keepalive: off``).  Several rows may stand for one field: the earlier one wins within a place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from gpu_queue.band import Band
from gpu_queue.config.kinds import (
    COUNT,
    DURATION,
    FLAG,
    FRACTION,
    GPUS,
    HOURS,
    JOB_ID,
    LIFETIME,
    PERCENT,
    POSITIVE,
    QUIET_HOURS,
    SIZE,
    SWEEP,
    SWEEP_IN_FILES,
    TEXT,
    UIDS,
    UP_TO_HUNDRED,
    Kind,
    one_of,
    or_none,
)
from gpu_queue.config.notify import OF_AGENTS, OF_OTHERS, OF_TASKS, Notify
from gpu_queue.config.shared import (
    CARDS,
    GPU_LEFT,
    JSON_FILE,
    MEGABYTES,
    MODE,
    ONE_OR_MORE,
    SELECT,
    check_time_problem,
    left_problem,
    no_card_problem,
    sweep_problem,
)
from gpu_queue.hours import NO_HOURS, QuietHours
from gpu_queue.sharing import Mode, Sharing
from gpu_queue.units import format_duration

S = TypeVar("S")
ENABLED = "enabled"
"""What stands in a group for the plain value of the group."""


@dataclass(frozen=True)
class Keepalive:
    """What idle GPUs are kept busy with, and how much."""

    enabled: bool = True
    engine: str = "matmul"
    quiet_hours: QuietHours = NO_HOURS
    python: str = ""
    gpu_util_threshold: int = 50
    gpu_util_target: int = 70
    gpu_util_high: int = 85
    memory_usage_target: float = 0.6
    hold_leased: str = "auto"
    hold_leased_after_s: float = 600.0
    quiet_before_s: float = 60.0

    @property
    def band(self) -> Band:
        """The band that is held; raises ValueError if its numbers are out of order."""
        return Band(self.gpu_util_threshold, self.gpu_util_target, self.gpu_util_high)


@dataclass(frozen=True)
class Settings:
    """Everything an agent can be told, with the defaults."""

    job_id: str = ""
    queue_root: str = ""
    lifetime_s: float = 24 * 3600.0
    gpus: tuple[str, ...] = ("all",)
    simulate: str = ""
    keepalive: Keepalive = Keepalive()
    mode: Mode = Mode.DEDICATED
    sharing: Sharing = field(default_factory=Sharing)
    work_dir: str | None = None
    node_name: str = ""
    address: str = ""
    at_end: str = "wait"
    until_empty: bool = False
    sweep: str = "off"
    allow_group: bool = False
    allow_root_for: tuple[int, ...] = ()
    local_dir: str = ""
    default_gpus: int = 1
    cpu_slots: int = 4
    retries: int = 0
    max_lost: int = 3
    max_again: int = 100
    retry_delay_s: float = 30.0
    infeasible: str = "wait"
    log: str = "direct"
    slurm_environment: str = "auto"
    snapshot_dir: str = ""
    foreign_memory_bytes: int = 1 << 30
    stop_grace_s: float = 10.0
    leave_grace_s: float = 20.0
    poll_s: float = 1.0
    beat_s: float = 30.0
    fence_after_s: float = 720.0
    takeover_after_s: float = 900.0
    cache_s: float = 60.0
    settle_s: float = 0.0
    settle_unfinished_s: float = 60.0
    renew_per_hour: int = 0
    renew_after_s: float = 600.0
    allow_users: tuple[int, ...] = ()
    notify: Notify = field(default_factory=Notify)

    @property
    def is_dedicated(self) -> bool:
        """Whether the node's GPUs are ours alone."""
        return self.sweep != "off"


@dataclass(frozen=True)
class Setting:
    """One row of the table."""

    field: str
    """In the settings; dots lead into groups."""
    flag: str
    env: str
    key: str
    """In config.yaml; dots lead into groups; empty: not there."""
    kind: Kind
    shown_default: str
    meaning: str
    metavar: str = ""
    live: bool = False
    in_files: Kind | None = None
    """What it may be where a file says it, which may speak for several nodes; None: the same as anywhere."""
    bare: str = ""
    """What the flag says without a value; empty: it needs one."""
    guarded: bool = False
    """It decides who runs, or what is run: in a config.yaml that somebody else may have written it does not count."""

    @property
    def file_kind(self) -> Kind:
        """What it may be in a file."""
        return self.in_files or self.kind


@dataclass(frozen=True)
class Check(Generic[S]):
    """How settings must fit each other."""

    fields: tuple[str, ...]
    """Those that are looked at; the first of them that somebody has set gets the blame."""
    problem: Callable[[S], str]
    """What is wrong; empty: nothing."""
    is_of_words: bool = False
    """It is asked only where somebody has set the first of the fields, to whatever value."""


@dataclass(frozen=True)
class Implied:
    """A setting that follows from others where nobody says it."""

    field: str
    value: object
    group: str
    """One setting of this group, said anywhere, is enough."""

    def is_of(self, row: Setting) -> bool:
        """Whether a row is of the group."""
        return row.field.startswith(f"{self.group}.")


@dataclass(frozen=True)
class Table(Generic[S]):
    """All that can be set."""

    rows: tuple[Setting, ...]
    defaults: S
    checks: tuple[Check[S], ...] = ()
    implied: Implied | None = None


Tree = dict[str, "Setting | Tree"]


def tree_of(rows: tuple[Setting, ...]) -> Tree:
    """The rows as they are nested in config.yaml."""
    tree: Tree = {}
    for row in rows:
        *groups, last = row.key.split(".")
        at = tree
        for group in groups:
            below = at.setdefault(group, {})
            assert isinstance(below, dict), f"{row.key}: {group} is a setting"
            at = below
        if last:
            at[last] = row
    return tree


SETTINGS: tuple[Setting, ...] = (
    Setting("job_id", "--job-id", "JOB_ID", "", JOB_ID, "", "which spool in the queue root to serve (needed)", "ID"),
    Setting("queue_root", "--queue-root", "QUEUE_ROOT", "", TEXT, "~/gpu_queue", "the shared directory", "DIR"),
    Setting("lifetime_s", "--lifetime", "", "lifetime", LIFETIME, "24h", "the agent ends itself after this; `never`", "24h"),
    Setting("lifetime_s", "", "AUTO_SHUTDOWN_HOURS", "auto_shutdown_hours", HOURS, "24", "the same in hours"),
    Setting("gpus", "--gpus", "GPU_QUEUE_GPUS", "gpus", GPUS, "all", "GPUs to serve: `all`, indices or UUIDs", "LIST"),
    Setting("simulate", "--simulate", "GPU_QUEUE_SIMULATE", "simulate", TEXT, "", "simulated GPUs, for demos and tests: `4` or `4x80G`", "N"),
    Setting("keepalive.enabled", "--no-keepalive", "GPU_QUEUE_KEEPALIVE", "keepalive.enabled", FLAG, "on", "keep idle GPUs busy", live=True),
    Setting("keepalive.engine", "--keepalive-engine", "GPU_QUEUE_KEEPALIVE_ENGINE", "keepalive.engine", one_of("matmul", "zeros", "spin", "cpu"), "matmul", "what they are kept busy with: `matmul`, `zeros`, `spin` (or `cpu`, for simulated GPUs)", "NAME", live=True),
    Setting("keepalive.gpu_util_threshold", "", "GPU_UTIL_THRESHOLD", "keepalive.gpu_util_threshold", PERCENT, "50", "utilisation in % below which keep-alive catches up at once", live=True),
    Setting("keepalive.gpu_util_target", "", "GPU_UTIL_TARGET", "keepalive.gpu_util_target", PERCENT, "70", "lower end of the band that is held", live=True),
    Setting("keepalive.gpu_util_high", "", "GPU_UTIL_HIGH", "keepalive.gpu_util_high", PERCENT, "85", "upper end of the band", live=True),
    Setting("keepalive.memory_usage_target", "", "MEMORY_USAGE_TARGET", "keepalive.memory_usage_target", FRACTION, "0.6", "part of a card's memory that keep-alive holds", live=True),
    Setting("keepalive.quiet_hours", "", "GPU_QUEUE_KEEPALIVE_QUIET", "keepalive.quiet_hours", QUIET_HOURS, "", "when it rests, in the node's local time: `22:00-07:00`, `mon-fri 09:00-18:00`", live=True),
    Setting("keepalive.hold_leased", "", "GPU_QUEUE_HOLD_LEASED", "keepalive.hold_leased", one_of("auto", "on", "off"), "auto", "also hold a GPU that a task has but leaves idle; `auto`: on dedicated nodes (`--sweep`)", live=True),
    Setting("keepalive.hold_leased_after_s", "", "GPU_QUEUE_HOLD_LEASED_AFTER", "keepalive.hold_leased_after", DURATION, "10m", "after it was idle for so long", live=True),
    Setting("keepalive.quiet_before_s", "", "GPU_QUEUE_KEEPALIVE_QUIET_BEFORE", "keepalive.quiet_before", DURATION, "60s", "a GPU whose past the agent does not know is held when it has been quiet for so long (after a task: 1 s)", live=True),
    Setting("keepalive.python", "", "GPU_QUEUE_KEEPALIVE_PYTHON", "keepalive.python", TEXT, "the agent's", "the Python that has torch, where the agent's has none", guarded=True),
    Setting("mode", "--mode", "GPU_QUEUE_MODE", "mode", MODE, "dedicated", "whose the GPUs are: `dedicated` (this user's alone) or `shared` (several people's, see the settings below; one of them, where nobody says the mode, means `shared`)", "MODE"),
    Setting("sharing.check_time_s", "--check-time", "GPU_QUEUE_CHECK_TIME", "check_time", POSITIVE, "5s", "shared: between two looks at who uses what", "TIME", live=True),
    Setting("sharing.compete_gpus", "--compete-gpus", "GPU_QUEUE_COMPETE_GPUS", "compete_gpus", CARDS, "", "shared: GPUs that tasks may have, indices or UUIDs; nothing said: all that are served", "LIST", live=True),
    Setting("sharing.use_all_gpus", "--use-all-gpus", "GPU_QUEUE_USE_ALL_GPUS", "use_all_gpus", FLAG, "off", "shared: all that are served, whatever `compete_gpus` says", live=True),
    Setting("sharing.gpu_left", "--gpu-left", "GPU_QUEUE_GPU_LEFT", "gpu_left", GPU_LEFT, "0", "shared: GPUs that are left to others: `2`: the last two of the list; `free:2` (in YAML `{free: 2}`): two of those that are free at the moment", "N", live=True),
    Setting("sharing.min_memory_bytes", "--min-memory", "GPU_QUEUE_MIN_MEMORY", "min_memory", MEGABYTES, "0", "shared: free memory that a GPU must have for a task that does not say how much it needs; a bare number is MB", "SIZE", live=True),
    Setting("sharing.max_util_percent", "--max-util", "GPU_QUEUE_MAX_UTIL", "max_util", PERCENT, "30", "shared: utilisation in % above which a GPU without tasks of ours is in use", "N", live=True),
    Setting("sharing.maximize_resource_utilization", "--maximize", "GPU_QUEUE_MAXIMIZE", "maximize_resource_utilization", FLAG, "off", "shared: also GPUs with other Python processes of yours; tasks that say how much memory they need share one", live=True),
    Setting("sharing.max_concurrent", "--max-concurrent", "GPU_QUEUE_MAX_CONCURRENT", "max_concurrent", or_none(ONE_OR_MORE), "none", "shared: tasks that run on this node at once", "N", live=True),
    Setting("sharing.max_wait_time_s", "--max-wait-time", "GPU_QUEUE_MAX_WAIT_TIME", "max_wait_time", or_none(POSITIVE), "none", "shared: a task that waited longer for what others hold fails", "TIME", live=True),
    Setting("sharing.select", "--select", "GPU_QUEUE_SELECT", "select", SELECT, "most_free", "shared: which of several GPUs that fit: `most_free` (memory), `least_util` or `round_robin`", "WHICH", live=True),
    Setting("sharing.process_json", "--process-json", "GPU_QUEUE_PROCESS_JSON", "process_json", JSON_FILE, "", "shared: where `uni_id.json` is written beside the one in the spool; a relative path begins there", "FILE", live=True, guarded=True),
    Setting("sharing.retry_config.max_retry_before_backoff", "", "GPU_QUEUE_MAX_RETRY_BEFORE_BACKOFF", "retry_config.max_retry_before_backoff", ONE_OR_MORE, "3", "shared: a task that failed is tried again at once, and rests after so many failures", live=True),
    Setting("sharing.retry_config.backoff_duration_s", "", "GPU_QUEUE_BACKOFF_DURATION", "retry_config.backoff_duration", DURATION, "10m", "shared: how long it rests", live=True),
    Setting("sharing.retry_config.max_retries", "", "GPU_QUEUE_MAX_RETRIES", "retry_config.max_retries", or_none(COUNT), "none", "shared: retries until it is given up; `none`: it is tried until it succeeds", live=True),
    Setting("work_dir", "", "", "work_dir", or_none(TEXT), "none", "of `gpu_load`: where commands run; a relative path begins at the directory that holds the command file, and `none` is its parent", live=True, guarded=True),
    Setting("address", "--address", "GPU_QUEUE_ADDRESS", "", TEXT, "that of the default route", "by which the other nodes of a task reach this one", "HOST"),
    Setting("node_name", "--node-name", "GPU_QUEUE_NODE_NAME", "", TEXT, "the host's name", "how this node is called", "NAME"),
    Setting("at_end", "--at-end", "GPU_QUEUE_AT_END", "at_end", one_of("wait", "stop"), "wait", "at the end of the lifetime: `wait` for running tasks or `stop` (requeue) them", "WHAT"),
    Setting("until_empty", "--until-empty", "GPU_QUEUE_UNTIL_EMPTY", "", FLAG, "off", "exit when nothing waits and nothing runs"),
    Setting("sweep", "--sweep", "GPU_QUEUE_SWEEP", "sweep", SWEEP, "off", "dedicated node: what `gpu_stop` ends beside tasks. `gpus` (or no value): stray Python processes of this user that hold GPUs; `all`: every other Python process of this user, on a node that is yours alone (not in files)", "[WHAT]", guarded=True, in_files=SWEEP_IN_FILES, bare="gpus"),
    Setting("allow_group", "--allow-group", "GPU_QUEUE_ALLOW_GROUP", "", FLAG, "off", "serve a spool that its group can write; beside your own files only those of `allow_users` run"),
    Setting("allow_root_for", "--allow-root-for", "GPU_QUEUE_ALLOW_ROOT_FOR", "", UIDS, "", "as root: serve a spool that belongs to this uid, whose files then run as root", "UID"),
    Setting("local_dir", "--local-dir", "GPU_QUEUE_LOCAL_DIR", "", TEXT, "/tmp/gpu-queue-$UID", "the node's own directory, on a local disk", "DIR"),
    Setting("default_gpus", "--default-gpus", "GPU_QUEUE_DEFAULT_GPUS", "default_gpus", COUNT, "1", "GPUs of a task that says nothing", "N", live=True),
    Setting("cpu_slots", "--cpu-slots", "GPU_QUEUE_CPU_SLOTS", "cpu_slots", COUNT, "4", "tasks of 0 GPUs that run at once; 0: this node runs none", "N", live=True),
    Setting("retries", "--retries", "GPU_QUEUE_RETRIES", "retries", COUNT, "0", "tries after a failure, for tasks that do not say", "N", live=True),
    Setting("max_lost", "--max-lost", "GPU_QUEUE_MAX_LOST", "max_lost", COUNT, "3", "tries lost with their shim or node before a task is given up", "N", live=True),
    Setting("max_again", "--max-again", "GPU_QUEUE_MAX_AGAIN", "max_again", UP_TO_HUNDRED, "100", "how often within a day a task is run again that asks for it, or has saved", "N", live=True),
    Setting("retry_delay_s", "--retry-delay", "GPU_QUEUE_RETRY_DELAY", "retry_delay", DURATION, "30s", "before the first retry; doubles, up to 1 h", "TIME", live=True),
    Setting("infeasible", "--infeasible", "GPU_QUEUE_INFEASIBLE", "infeasible", one_of("wait", "fail"), "wait", "a task that this node can never run: `wait` (for another node) or `fail`", "WHAT", live=True),
    Setting("log", "--log", "GPU_QUEUE_LOG", "log", one_of("direct", "pump"), "direct", "`pump`: what a task prints goes through a process that drops it where the disk is full, so that no training ends by its log", "WAY", live=True),
    Setting("slurm_environment", "--slurm-environment", "GPU_QUEUE_SLURM_ENVIRONMENT", "slurm_environment", one_of("auto", "off"), "auto", "what a script with `#SBATCH` or `#PBS` lines relies on: its variables, and an `srun` for one node; `off`: tasks inherit those of the job that the agent runs in", "WHAT"),
    Setting("snapshot_dir", "--snapshot-dir", "GPU_QUEUE_SNAPSHOT_DIR", "snapshot_dir", TEXT, "in `--local-dir`", "where tasks of `--snapshot` have the copies that they run in, on a local disk with room for them", "DIR"),
    Setting("foreign_memory_bytes", "--foreign-memory", "GPU_QUEUE_FOREIGN_MEMORY", "foreign_memory", SIZE, "1G", "a GPU without a task of ours that uses more is somebody else's", "SIZE", live=True),
    Setting("stop_grace_s", "--stop-grace", "GPU_QUEUE_STOP_GRACE", "stop_grace", DURATION, "10s", "between TERM and KILL when a task is stopped", "TIME", live=True),
    Setting("leave_grace_s", "--leave-grace", "GPU_QUEUE_LEAVE_GRACE", "leave_grace", DURATION, "20s", "the same when the node is taken back", "TIME", live=True),
    Setting("poll_s", "--poll", "GPU_QUEUE_POLL", "poll", POSITIVE, "1s", "how often pending/ is listed when no event tells", "TIME"),
    Setting("beat_s", "--beat", "GPU_QUEUE_BEAT", "beat", POSITIVE, "30s", "how often node and tasks give a sign of life", "TIME"),
    Setting("fence_after_s", "--fence-after", "GPU_QUEUE_FENCE_AFTER", "fence_after", DURATION, "12m", "on network storage a task ends itself after so long without a sign of life", "TIME"),
    Setting("takeover_after_s", "--takeover-after", "GPU_QUEUE_TAKEOVER_AFTER", "takeover_after", DURATION, "15m", "a task is taken over from a node that gave no sign of life for so long; longer than `fence_after`, the same on all nodes", "TIME"),
    Setting("cache_s", "--cache", "GPU_QUEUE_CACHE", "cache", DURATION, "60s", "how old a state of its files the storage may show to another node (NFS: `acregmax`)", "TIME"),
    Setting("settle_s", "--settle", "GPU_QUEUE_SETTLE", "settle", DURATION, "2s local, 10s network", "how long a file dropped by hand must stand still", "TIME"),
    Setting("settle_unfinished_s", "--settle-unfinished", "GPU_QUEUE_SETTLE_UNFINISHED", "settle_unfinished", DURATION, "60s", "the same for one that is empty or ends without a newline", "TIME"),
    Setting("renew_per_hour", "--renew-per-hour", "GPU_QUEUE_RENEW_PER_HOUR", "renew_per_hour", COUNT, "N + 2", "of a queue that `submit.sh --keep N` keeps served: submissions within an hour, whatever becomes of them; 0: N + 2", "N", live=True),
    Setting("renew_after_s", "--renew-after", "GPU_QUEUE_RENEW_AFTER", "renew_after", DURATION, "10m", "an allocation of such a queue has its successor submitted when it has served for so long, or half of its lifetime", "TIME", live=True),
    Setting("allow_users", "", "", "allow_users", UIDS, "", "uids whose scripts run, beside yours and the spool's owner's", guarded=True),
    Setting("notify.tasks", "", "", "notify.tasks", OF_TASKS, "", "who is told of the end of each task, beside whom the task names: labels, as `ops` or `ops:failed` (docs/notify.md)", live=True),
    Setting("notify.queues", "", "", "notify.queues", OF_OTHERS, "", "who is told when the last waiting task of a serial queue has ended; `:failed`: where one of its tasks failed", live=True),
    Setting("notify.groups", "", "", "notify.groups", OF_OTHERS, "", "who is told when all tasks of an experiment, a command file or an array have ended; `:failed`: where one failed", live=True),
    Setting("notify.agents", "", "", "notify.agents", OF_AGENTS, "", "who is told when an agent is near its end", live=True),
    Setting("notify.before_end_s", "", "", "notify.before_end", DURATION, "30m", "so long before it", live=True),
)  # fmt: skip


def _takeover_problem(settings: Settings) -> str:
    needed_s = settings.fence_after_s + settings.stop_grace_s + settings.beat_s + settings.cache_s
    if needed_s <= settings.takeover_after_s:
        return ""
    return (
        f"fence_after + stop_grace + beat + cache is {format_duration(needed_s)}, which is more than takeover_after "
        f"({format_duration(settings.takeover_after_s)}): a task must end itself before a peer may take it"
    )


def _band_problem(settings: Settings) -> str:
    try:
        assert settings.keepalive.band
    except ValueError as error:
        return str(error)
    return ""


TABLE = Table(
    SETTINGS,
    Settings(),
    (
        Check(("takeover_after_s", "fence_after_s", "cache_s", "beat_s", "stop_grace_s"), _takeover_problem),
        Check(
            ("keepalive.gpu_util_high", "keepalive.gpu_util_target", "keepalive.gpu_util_threshold"), _band_problem
        ),
        Check(("sharing.check_time_s",), lambda settings: check_time_problem(settings.sharing)),
        Check(("sweep", "mode"), lambda settings: sweep_problem(settings.mode, settings.sweep)),
        Check(
            ("sharing.compete_gpus", "sharing.use_all_gpus", "mode"),
            lambda settings: no_card_problem(settings.mode, settings.sharing),
            is_of_words=True,
        ),
        Check(
            ("sharing.gpu_left", "sharing.compete_gpus", "sharing.use_all_gpus", "gpus", "mode"),
            lambda settings: left_problem(settings.mode, settings.sharing, settings.gpus),
        ),
    ),
    Implied("mode", Mode.SHARED, "sharing"),
)
