"""From a claim to a running script: what is started, with which environment, and what its log begins with."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from gpu_queue.agent.agenda import NEVER
from gpu_queue.agent.allotted import Allocation
from gpu_queue.agent.cards import Cards
from gpu_queue.agent.copying import Copy, asks_for_snapshot, told_of
from gpu_queue.agent.livetry import LiveTry, log_path
from gpu_queue.agent.spoken import ports_wanted, read_spoken
from gpu_queue.agent.surroundings import Surroundings
from gpu_queue.code.noun import Code
from gpu_queue.config import Settings
from gpu_queue.execution import launcher, leftword
from gpu_queue.execution.allocation import (
    OUTER,
    TRY_DIRECTORY,
    GangPart,
    Job,
    nodefile_of,
    variables,
    without_allocation,
)
from gpu_queue.execution.copies import Copies
from gpu_queue.execution.localfiles import write_in_place
from gpu_queue.execution.login import keep_environment
from gpu_queue.execution.meeting import Meeting
from gpu_queue.execution.meeting import variables as meeting_variables
from gpu_queue.execution.ports import free_port
from gpu_queue.execution.script import prepare_script, write_script
from gpu_queue.execution.tools import START_FILE
from gpu_queue.gpus.devices import Gpu
from gpu_queue.gpus.visible import visible_devices
from gpu_queue.node.side import NodeSide
from gpu_queue.node.transitions import Claimed
from gpu_queue.sharing import Mode
from gpu_queue.signals import number_of
from gpu_queue.spool.paths import safe_name
from gpu_queue.texts import printable
from gpu_queue.units import format_local, format_utc

BEGINS_WITHIN_S = 60.0
"""On a shared server a script that has not begun by then keeps its GPUs from others for nothing."""
SIGNAL, SUBMITIT_SIGNAL = "GPU_QUEUE_SIGNAL", "SUBMITIT_PREEMPT_SIGNAL"
"""By which a script is told that its end is near, without ``SIG``; only where it has said one."""
WHO_ASKED = {
    "gpu_submit": "its submitter said",
    "gpuq": "its #GPUQ line asks",
    "sbatch": "its #SBATCH line asks",
    "pbs": "its #PBS line asks",
    "bsub": "its #BSUB line asks",
    "sge": "its #$ line asks",
    "oar": "its #OAR line asks",
    "cuda_visible_devices": "its CUDA_VISIBLE_DEVICES says",
    "srun": "its srun asks",
    "variable": "a variable of its script says",
    "default": "is the default",
}
"""Where a number of GPUs comes from (``Needs.reason``), for the head of a log; else it is an option's name."""


def who_asked(reason: str) -> str:
    """Where a number of GPUs comes from, as the head of a log says it."""
    return WHO_ASKED.get(reason, f"its --{reason} says")


def scripts_environment(around: Surroundings, settings: Settings) -> dict[str, str]:
    """What the scripts of all tasks get: the agent's own environment, as it was started, and where they are."""
    base = around.environment
    if settings.slurm_environment != "off":
        base = without_allocation(base, around.allocation.way)
    environment = launcher.common_environment(
        base, node=around.spool.node, job_id=around.job_id, queue_root=around.queue_root
    )
    environment |= {name: value for name, value in base.items() if name.startswith(OUTER)}
    # A log is a file, for which Python would hold its output back: gpu_tail would show nothing for minutes.
    environment.setdefault("PYTHONUNBUFFERED", "1")
    return environment


def meeting_of(one: LiveTry) -> Meeting | None:
    """Where the ranks of a task over several nodes meet; None: it is on one."""
    if one.gang is None or one.gang.ranks is None:
        return None
    ranks = one.gang.ranks
    hosts = tuple(rank.part.host for rank in ranks.ranks)
    # Where all are one host, they meet at an address that is no part's.
    are_apart = ranks.address == ranks.ranks[0].part.address
    addresses = tuple(rank.part.address if are_apart else ranks.address for rank in ranks.ranks)
    return Meeting(one.gang.rank or 0, len(hosts), ranks.address, ranks.port, hosts, addresses)


def _ranked(one: LiveTry) -> str:
    meeting = meeting_of(one)
    return "" if meeting is None else f", rank {meeting.rank} of {meeting.nodes} nodes"


@dataclass(frozen=True)
class Preparing:
    """Starts tries for one agent; touches only local things."""

    spool: NodeSide
    cards: Cards
    settings: Callable[[], Settings]
    environment: Mapping[str, str]
    """What the scripts of all tasks get: :func:`scripts_environment`."""
    umask: int
    """Of whoever started the agent: tasks get it back."""
    allocation: Allocation = field(default_factory=Allocation)
    """In which the agent runs."""
    tools: Callable[[], str] = str
    """The directory of ``srun`` (:func:`gpu_queue.execution.tools.install_tools`); empty: there is none."""
    copies: Copies = field(default_factory=lambda: Copies("", ""))
    """Where tries run in copies of snapshots."""

    @property
    def begins_within_s(self) -> float:
        """Within how long a script is to begin whose shim was told to; infinite: nobody asks."""
        return BEGINS_WITHIN_S if self.settings().mode is Mode.SHARED else NEVER

    def launch(self, one: LiveTry, claimed: Claimed, now: float, ports_taken: Collection[int] = ()) -> None:
        """Tell the shim of a claimed task to begin.

        Args:
            one: its try.
            claimed: what runs.
            now: monotonic seconds.
            ports_taken: the ports of other tries.

        Raises:
            OSError: the local disk or the kernel took it not.
            ValueError: something that no program can be started with, or no log.
        """
        assert one.shim is not None
        if claimed.no_log:
            raise ValueError(claimed.no_log)
        script, notes = prepare_script(claimed.script)
        if claimed.submission.problem:
            notes.append(f"{claimed.submission.problem}; the task runs by what its script says")
        script_path = f"{one.directory.path}/script-{safe_name(os.fsencode(one.title))}"
        write_script(script_path, script)
        shown = launcher.interpreter(one.title, script[:256], script_path)
        program = [*shown, *claimed.submission.arguments]
        granted = [gpu for gpu in self.cards.everything if gpu.uuid in one.gpus]
        cwd = claimed.submission.cwd
        if not os.path.isabs(cwd):  # a hand drop has none
            cwd = self.environment.get("HOME") or os.path.expanduser("~")
        code = claimed.submission.code
        its_copy = self._copy(one, code, cwd)
        if its_copy is None and asks_for_snapshot(script):
            notes.append("it asks for a snapshot, which is taken by whoever submits it, and none was")
        one.started_at, one.started_wall_s = now, time.time()
        self._note(one, granted, cwd)
        settings = self.settings()
        environment = self._environment(one, claimed, granted, shown, its_copy)
        cwd = its_copy.cwd if its_copy is not None else cwd
        if settings.slurm_environment != "off":
            environment |= self._allocation(one, claimed, granted, script, cwd, ports_taken)
        meeting = meeting_of(one)
        if meeting is not None:  # the port that all know, whatever the script looks for one of its own by
            environment |= meeting_variables(meeting, len(granted))
        program, more = keep_environment(program, script_path, environment, one.directory.path)
        watched = program if settings.log == "direct" else launcher.with_pump(program)
        if its_copy is not None:
            environment |= its_copy.environment
            watched = its_copy.runs(watched)
        spec = launcher.LaunchSpec(
            claim_path=one.claim_path,
            try_dir=one.directory.path,
            log_path=launcher.descriptor_path(claimed.log),
            cwd=cwd if its_copy is None else "/",
            header=self._header(one, granted, cwd, told_of(its_copy), notes),
            # Where another node may take a silent task over, the script must not outlive its shim.  On a local disk
            # only this node's agent runs it again, and it ends what is left of a try before it does.
            program=tuple(watched if self.spool.mount.is_local else launcher.with_death_signal(watched)),
            environment={**environment, **more},
            beat_s=settings.beat_s,
            fence_s=0.0 if self.spool.mount.is_local else settings.fence_after_s,
            grace_s=settings.stop_grace_s,
            leave_grace_s=self._leave_grace_s(settings),
            umask=self.umask,
            signal=number_of(one.needs.signal),
        )
        one.shim.begin(spec)
        one.pid, one.shim = one.shim.pid, None

    def _leave_grace_s(self, settings: Settings) -> float:
        """Between the shim's TERM and its KILL when the platform has told it TERM, as it tells the agent."""
        grace_s = self.allocation.leave_grace_s(settings.leave_grace_s)
        if self.spool.mount.is_local:
            return grace_s
        # Its fence may have been due right then: it is to be over before a peer may take the task.
        left_s = settings.takeover_after_s - settings.fence_after_s - settings.beat_s - settings.cache_s
        return min(grace_s, max(settings.stop_grace_s, left_s))

    def _note(self, one: LiveTry, granted: list[Gpu], cwd: str) -> None:
        """What its record says, and what our successor must know to take it up."""
        one.facts = {
            "gpus": list(one.gpus),
            "gpu_indices": [gpu.index for gpu in granted],
            "name": one.title,
            "cwd": cwd,
            "started_at": format_utc(one.started_wall_s),
        }
        if one.reserve_bytes is not None:
            one.facts["reserve_bytes"] = one.reserve_bytes
        for_successor = {
            "started_monotonic": one.started_at,
            "started_wall_s": one.started_wall_s,
            "time_s": one.needs.time_s,
            "retries": one.needs.retries,
            "queue": one.needs.queue,
            "notify": list(one.needs.notify),
            "memory_bytes": one.needs.memory_bytes,
            "signal": None if one.needs.signal is None else str(one.needs.signal),
            "nodes": one.needs.nodes,
            "allocation": self.allocation.name,
        }
        one.directory.write_facts({**one.facts, **for_successor})

    def _copy(self, one: LiveTry, code: Code | None, cwd: str) -> Copy | None:
        if code is None or not code.snapshot:
            return None
        where = self.copies.prepare(one.directory.path)
        return Copy(code, one.directory.path, self.spool.paths.snapshot(code.snapshot), where, cwd)

    def _environment(
        self, one: LiveTry, claimed: Claimed, granted: list[Gpu], program: list[str], its_copy: Copy | None
    ) -> dict[str, str]:
        script = its_copy.script if its_copy is not None else ""
        said = {leftword.REQUEST: leftword.request_path(one.directory)}
        if one.needs.signal is not None:
            name = one.needs.signal.name
            # submitit heeds the signal that the second one names, unless its user has chosen one.
            said |= {SIGNAL: name, SUBMITIT_SIGNAL: self.environment.get(SUBMITIT_SIGNAL, name)}
        return said | launcher.task_environment(
            self.environment,
            task_id=one.claim.task_id,
            number=one.claim.number,
            uni_id=one.name,
            log_path=log_path(one, self.spool.paths),
            gpus=visible_devices(granted, self.cards.everything),
            script_path=script or claimed.submission.path or claimed.claim_path,
            program=program,
        )

    def _allocation(
        self,
        one: LiveTry,
        claimed: Claimed,
        granted: list[Gpu],
        script: bytes,
        cwd: str,
        ports_taken: Collection[int],
    ) -> dict[str, str]:
        """What a script finds that was written for a scheduler, or looks for a port of its own."""
        said: dict[str, str] = {}
        wanted = ports_wanted(script)
        host, meeting = socket.gethostname(), meeting_of(one)
        if wanted and meeting is not None:  # all ranks look for the same
            said |= dict.fromkeys(wanted, str(meeting.port))
        elif wanted:
            one.port = free_port(one.claim.task_id, ports_taken)
            said |= dict.fromkeys(wanted, str(one.port)) if one.port else {}
        spoken = read_spoken(script)
        if not (spoken.is_slurm or spoken.is_pbs or claimed.submission.array):
            return said
        path, tools = self.environment.get("PATH", os.defpath), self.tools() if spoken.is_slurm else ""
        nodefile = f"{one.directory.path}/nodefile" if spoken.is_pbs else ""
        if nodefile:
            write_in_place(nodefile, nodefile_of(spoken, meeting.hosts if meeting else [host]).encode())
        if tools:
            said |= {"PATH": f"{tools}:{path}", TRY_DIRECTORY: one.directory.path}
        job = Job(
            task_id=one.claim.task_id,
            number=one.claim.number,
            name=one.title,
            cwd=cwd,
            submitted_from=claimed.submission.host,
            host=host,
            cpus=len(os.sched_getaffinity(0)),
            gpu_indices=tuple(gpu.index for gpu in granted),
            array=claimed.submission.array,
            nodefile=nodefile,
            home=self.environment.get("HOME", ""),
            path=path,
            gang=None if meeting is None else self._part_of(meeting, tools),
        )
        return said | variables(spoken, job)

    def _part_of(self, meeting: Meeting, tools: str) -> GangPart:
        start_file = f"{tools}/{START_FILE}" if tools else ""
        bash_env = self.environment.get("BASH_ENV", "")
        return GangPart(meeting.rank, meeting.hosts, meeting.addresses, start_file, bash_env)

    def _header(self, one: LiveTry, granted: list[Gpu], cwd: str, told: Iterable[str], notes: Iterable[str]) -> str:
        gpus = ", ".join(str(gpu.index) for gpu in granted) or "none"
        nonce = one.claim.task_id.split("-", 2)[1]
        lines = [
            f"task {printable(one.title)} ({nonce}), try {one.claim.number}",
            f"node {self.spool.node}{_ranked(one)}, GPUs {gpus}, as {who_asked(one.needs.reason)}",
            f"in {cwd}",
            *told,
            f"started {format_local(one.started_wall_s)}",
            *(f"note: {note}" for note in notes),
        ]
        return "".join(f"==== {line}\n" for line in lines)
