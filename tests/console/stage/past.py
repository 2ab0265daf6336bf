"""A past for a queue: what its nodes have done for a week, as they would have written it down.

Made in a second or two, the same for the same seed and moment: settled tasks with records, tries and logs, the nodes'
histories, their ledgers.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone

from gpu_queue.keepalive.ledger import Kind, Ledger
from gpu_queue.spool.paths import SpoolPaths, claim_name, full_name, make_id
from gpu_queue.spool.records import GpuUsage, TryRecord, encode_submission, encode_try, write_tries
from gpu_queue.task import Claim, End, Submission, TryResult, Why
from gpu_queue.units import format_utc
from tests.console.stage import batches
from tests.console.stage.roles import ROLES, SWEEP, Role

DAY_S = 86400.0
WEEK_S = 7 * DAY_S
UTC_DAY = timezone.utc


@dataclass(frozen=True)
class Machine:
    """A node of a stage."""

    node: str
    """Its whole name."""
    gpus: int
    memory_gib: int = 80
    watts: int = 700
    model: str = "NVIDIA H100 80GB HBM3"


def uuid_of(index: int) -> str:
    """Of a simulated GPU."""
    return f"GPU-00000000-0000-0000-0000-{index:012x}"


@dataclass(frozen=True)
class Span:
    """What one GPU was used for, from when to when."""

    machine: Machine
    gpu: int
    begin_s: float
    end_s: float
    use: str
    role: Role | None = None
    claim: str = ""


@dataclass
class Past:
    """What is being made up."""

    paths: SpoolPaths
    machines: Sequence[Machine]
    now_s: float
    chance: random.Random
    roles: Sequence[Role] = (*ROLES, *SWEEP)
    error_types: Sequence[str] = ("oom", "runtime_error")
    """Of failures: most are of the first."""
    spans: list[Span] = field(default_factory=list)
    events: dict[str, list[tuple[float, dict[str, object]]]] = field(default_factory=dict)
    present: dict[tuple[str, int], Span] = field(default_factory=dict)
    nonce: int = 0x7A0000

    def ends_s(self, machine: Machine, gpu: int) -> float:
        """Of the past of one GPU."""
        one = self.present.get((machine.node, gpu))
        return self.now_s if one is None else one.begin_s

    def new_id(self, at_s: float, name: str) -> str:
        """Nonces that ascend, as no client's do."""
        self.nonce = (self.nonce + 0x1F3) % 0xFFFFFF
        return make_id(at_s, f"{self.nonce:06x}", name.encode())

    def tell(self, machine: Machine, at_s: float, event: str, **facts: object) -> None:
        """A line of a node's history."""
        line = {"at": format_utc(at_s), "event": event, **facts}
        self.events.setdefault(machine.node, []).append((at_s, line))


def make_past(
    paths: SpoolPaths,
    machines: Sequence[Machine],
    now_s: float,
    tasks: int = 1300,
    seed: int = 17,
    present: Sequence[Span] = (),
    roles: Sequence[Role] = (*ROLES, *SWEEP),
    error_types: Sequence[str] = ("oom", "runtime_error"),
) -> list[Span]:
    """Write a week that ends now.

    Args:
        paths: of a spool that is made.
        machines: its nodes.
        now_s: epoch seconds.
        tasks: how many have settled, at the least.
        seed: of the same moment: another past.
        present: what GPUs are used for since when; until ``now_s``, and told as what lasts.
        roles: what is played.
        error_types: of failures; most are of the first.

    Returns:
        What each GPU was used for, in order of time.
    """
    held = {(one.machine.node, one.gpu): one for one in present}
    past = Past(paths, machines, now_s, random.Random(seed), roles, error_types, present=held)
    for step, (begin_s, machine, gpus, role) in enumerate(_played(past, tasks)):
        _play(past, begin_s, machine, gpus, role, step)
    _write_histories(past)
    _write_ledgers(past)
    return sorted(past.spans, key=lambda span: span.begin_s)


def _played(past: Past, tasks: int) -> Iterator[tuple[float, Machine, tuple[int, ...], Role]]:
    """Who begins where and when: greedily, until there are so many and the present is reached."""
    chance = past.chance
    free_at = {(machine.node, gpu): past.now_s - WEEK_S for machine in past.machines for gpu in range(machine.gpus)}
    most = max(machine.gpus for machine in past.machines)
    pool = [role for role in past.roles if role.gpus <= most]
    weights = [3.0 / len(SWEEP) if role in SWEEP else role.share for role in pool]
    budget_s = sum(machine.gpus for machine in past.machines) * WEEK_S
    mean_s = sum(
        weight * role.gpus * (role.least_s + role.most_s) / 2 for role, weight in zip(pool, weights, strict=True)
    ) / sum(weights)
    shrink = min(1.0, 0.8 * budget_s / (mean_s * tasks))
    for _ in range(3 * tasks):
        role = chance.choices(pool, weights)[0]
        machine = min(
            (one for one in past.machines if one.gpus >= role.gpus),
            key=lambda one: sorted(free_at[one.node, gpu] for gpu in range(one.gpus))[role.gpus - 1],
        )
        order = sorted(range(machine.gpus), key=lambda gpu: (free_at[machine.node, gpu], gpu))[: role.gpus]
        begin_s = max(free_at[machine.node, gpu] for gpu in order) + _pause_s(chance)
        length_s = chance.uniform(role.least_s, role.most_s) * shrink
        until_s = min(past.ends_s(machine, gpu) for gpu in order)
        if begin_s + length_s > until_s - 20:
            length_s = until_s - 20 - begin_s - chance.uniform(0, 300)
            if length_s < 5:
                for gpu in order:
                    free_at[machine.node, gpu] = max(free_at[machine.node, gpu], past.now_s)
                if min(free_at.values()) >= past.now_s:
                    return
                continue
        for gpu in order:
            free_at[machine.node, gpu] = begin_s + length_s
        yield begin_s, machine, tuple(sorted(order)), _shortened(role, length_s)


def _pause_s(chance: random.Random) -> float:
    """Mostly the next one waits already."""
    return 3 + chance.expovariate(1 / 120 if chance.random() < 0.8 else 1 / 3000)


def _shortened(role: Role, length_s: float) -> Role:
    return Role(**{**vars(role), "least_s": length_s, "most_s": length_s})


def _play(past: Past, begin_s: float, machine: Machine, gpus: tuple[int, ...], role: Role, step: int) -> None:
    chance, paths = past.chance, past.paths
    submitted_s = begin_s - chance.expovariate(1 / 900) - 2
    task_id = past.new_id(submitted_s, role.name)
    end_s = begin_s + role.least_s
    failures = chance.random() < role.fails
    tries = 2 if failures or chance.random() < 0.03 else 1
    cwd = f"/home/{role.user}/{role.name.split('_')[0]}"
    run, block = batches.run_of(role), batches.block_of(role, step)
    script = batches.script_of(role, block, step % 12)
    needs = {"retries": "1"} if tries > 1 else {}
    needs |= {"gpus": str(role.gpus)} if run or block else {}
    submission = Submission(
        task_id,
        name=batches.title_of(role, block),
        path=f"{cwd}/{role.name}",
        cwd=cwd,
        needs=needs,
        user=role.user,
        host="login1",
        submitted_at=format_utc(submitted_s),
        batch=block,
        experiment=run,
    )
    _put(paths.record(task_id), encode_submission(submission), submitted_s)
    middle_s = begin_s + (end_s - begin_s) * (0.3 if tries > 1 else 1)
    results = []
    for number in range(1, tries + 1):
        is_last = number == tries
        since_s, until_s = (begin_s, middle_s) if number == 1 else (middle_s + 31, end_s)
        ends_well = is_last and not failures
        error_type = "" if ends_well else _error_type(past)
        claim = Claim(500, task_id, number, f"{chance.randrange(1 << 24):06x}")
        _write_try(past, claim, role, machine, gpus, (since_s, until_s), error_type, is_last)
        results.append(
            TryResult(
                number,
                claim.token,
                _end_of(error_type),
                is_last,
                node=machine.node,
                ended_at=format_utc(until_s),
                error_type=error_type,
                failures=0 if ends_well else number,
            )
        )
    if tries > 1:
        write_tries(paths, task_id, tuple(results))
    state = "failed" if failures else "done"
    _put(f"{paths.root}/{state}/{full_name(500, task_id)}", script.encode(), submitted_s)


_ENDS = {
    "timeout": End(143, Why.TIMEOUT),
    "node_lost": End(255, Why.LOST),
    "signal": End(137),
    "unknown": End(2),
}


def _end_of(error_type: str) -> End:
    return _ENDS.get(error_type, End(1)) if error_type else End(0)


def _error_type(past: Past) -> str:
    most, *others = past.error_types
    if past.chance.random() < 0.7:
        return most
    return others[0] if len(others) == 1 else past.chance.choice(others)


def _write_try(
    past: Past,
    claim: Claim,
    role: Role,
    machine: Machine,
    gpus: tuple[int, ...],
    span_s: tuple[float, float],
    error_type: str,
    is_last: bool,
) -> None:
    (begin_s, end_s), chance = span_s, past.chance
    uuids = tuple(map(uuid_of, gpus))
    end = _end_of(error_type)
    status = end.status
    outcome = end.why.value if end.why else f"failed({status})" if status else "done"
    samples = max(1, round(end_s - begin_s))
    usage = tuple(
        GpuUsage(uuid, samples, (role.held_gib + 3) << 30, role.held_gib << 30, 100, max(1, role.percent - 4))
        for uuid in uuids
    )
    to = "pending" if not is_last else "failed" if status else "done"
    record = TryRecord(
        claim,
        node=machine.node,
        gpus=uuids,
        gpu_indices=gpus,
        name=role.name,
        cwd=f"/home/{role.user}",
        started_at=format_utc(begin_s),
        ended_at=format_utc(end_s),
        duration_s=round(end_s - begin_s, 3),
        status=status,
        outcome=outcome,
        error_type=error_type,
        to=to,
        gpu_usage=usage,
    )
    _put(past.paths.try_record(claim), encode_try(record), end_s)
    _put(past.paths.log(claim), _log(chance, begin_s, end_s, error_type), end_s)
    name = claim_name(claim)
    facts = {"claim": name, "gpus": list(uuids), "gpu_indices": list(gpus), "name": role.name, "cwd": record.cwd}
    past.tell(machine, begin_s, "started", **facts, started_at=format_utc(begin_s))
    told = {"claim": name, "outcome": outcome, "status": status, **({"error_type": error_type} if error_type else {})}
    past.tell(machine, end_s, "settled" if is_last else "returned", **told)
    past.spans += [Span(machine, gpu, begin_s, end_s, "task", role, name) for gpu in gpus]


def _log(chance: random.Random, begin_s: float, end_s: float, error_type: str) -> bytes:
    lines = [f"==== begin {format_utc(begin_s)}"]
    steps = min(60, max(3, int((end_s - begin_s) / 30)))
    for step in range(steps):
        at = datetime.fromtimestamp(begin_s + (end_s - begin_s) * step / steps, UTC_DAY).strftime("%Y-%m-%d %H:%M:%S")
        loss = 1.2 + 2.5 / (1 + step / 8) + chance.uniform(-0.1, 0.1)
        lines.append(
            f"{at} step \x1b[1m{step * 50}\x1b[0m  loss \x1b[36m{loss:.4f}\x1b[0m  grad {chance.random():.3f}"
        )
        if step % 20 == 19:
            bars = (f"\reval: {100 * part // 16:3}%|{'█' * part:16}| {part * 32}/512" for part in range(17))
            lines.append("".join(bars))
    if error_type == "oom":
        lines.append("\x1b[31mTraceback (most recent call last):\x1b[0m")
        lines.append('  File "train.py", line 187, in main\n    loss.backward()')
        lines.append("\x1b[1;31mtorch.OutOfMemoryError\x1b[0m: CUDA out of memory. Tried to allocate 3.20 GiB.")
    elif error_type:
        lines.append("\x1b[1;31mRuntimeError\x1b[0m: NCCL communicator was aborted on rank 1")
    lines.append(f"==== exit {1 if error_type else 0} after {end_s - begin_s:.1f} s")
    return ("\n".join(lines) + "\n").encode()


def _write_histories(past: Past) -> None:
    """Also what a GPU was used for between its tasks: kept alive, somebody else's, lost for an hour."""
    by_gpu: dict[tuple[str, int], list[Span]] = {}
    for span in past.spans:
        by_gpu.setdefault((span.machine.node, span.gpu), []).append(span)
    for machine in past.machines:
        for gpu in range(machine.gpus):
            spans = sorted(by_gpu.get((machine.node, gpu), []), key=lambda span: span.begin_s)
            _fill(past, machine, gpu, spans)
    for machine in past.machines:
        told = sorted(past.events.get(machine.node, []), key=lambda one: one[0])
        text = "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for _, line in told)
        _put(past.paths.events(machine.node), text.encode(), past.now_s)


def _fill(past: Past, machine: Machine, gpu: int, spans: list[Span]) -> None:
    chance = past.chance
    at_s, before = past.now_s - WEEK_S, ""

    def use(at: float, what: str, claim: str = "") -> None:
        nonlocal before
        facts: dict[str, object] = {"gpus": [uuid_of(gpu)], "gpu_indices": [gpu], "use": what}
        facts |= {"before": before} if before else {}
        past.tell(machine, at, "gpu", **facts, **({"claim": claim} if claim else {}))
        before = what

    for span in [*spans, None]:
        until_s = past.ends_s(machine, gpu) - 5 if span is None else span.begin_s
        gap_s = until_s - at_s
        if gap_s > 2:
            use(at_s, "idle")
            parts = _between(chance, at_s, until_s)
            for begin_s, end_s, what in parts:
                use(begin_s, what)
                past.spans.append(Span(machine, gpu, begin_s, end_s, what))
        if span is None:
            break
        use(span.begin_s, "task", span.claim)
        at_s = span.end_s
    last = past.present.get((machine.node, gpu))
    if last is not None:
        use(last.begin_s, last.use, last.claim)


def _between(chance: random.Random, at_s: float, until_s: float) -> list[tuple[float, float, str]]:
    if until_s - at_s < 20:
        return []
    if until_s - at_s > 2400 and chance.random() < 0.2:
        middle_s = at_s + (until_s - at_s) * 0.3
        end_s = middle_s + min(5400.0, (until_s - middle_s) * 0.7)
        other = "lost" if chance.random() < 0.2 else "foreign"
        return [(at_s + 4, middle_s, "filler"), (middle_s, end_s, other), (end_s, until_s, "filler")]
    return [(at_s + 4, until_s, "filler")]


def _write_ledgers(past: Past) -> None:
    for machine in past.machines:
        ledger = Ledger()
        seconds: dict[tuple[str, int, Kind], float] = {}
        kinds = {"task": Kind.TASK, "filler": Kind.FILLER}
        for span in (one for one in past.spans if one.machine is machine):
            at_s = span.begin_s
            while at_s < span.end_s:
                moment = datetime.fromtimestamp(at_s)
                midnight_s = moment.replace(hour=0, minute=0, second=0, microsecond=0).timestamp() + DAY_S
                until_s = min(span.end_s, midnight_s)
                key = (moment.strftime("%Y-%m-%d"), span.gpu, kinds.get(span.use, Kind.IDLE))
                seconds[key] = seconds.get(key, 0.0) + until_s - at_s
                at_s = until_s
        share = {Kind.TASK: 0.82, Kind.FILLER: 0.55, Kind.IDLE: 0.12}
        for (day, gpu, kind), spent_s in sorted(
            seconds.items(), key=lambda one: (one[0][0], one[0][1], one[0][2].value)
        ):
            ledger.add(day, uuid_of(gpu), machine.model, gpu, kind, spent_s, spent_s * machine.watts * share[kind])
        _put(past.paths.ledger(machine.node), ledger.text().encode(), past.now_s)


def _put(path: str, content: bytes, at_s: float) -> None:
    with open(path, "wb") as file:
        file.write(content)
    os.utime(path, (at_s, at_s))
