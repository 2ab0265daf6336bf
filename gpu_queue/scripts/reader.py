"""What a script asks for, and why: flags of gpu_submit, ``#GPUQ`` lines, lines of schedulers, the script's own words.

The order of precedence is docs/spool.md, "The record"; what is understood stands in docs/scripts.md.  Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from gpu_queue.errors import BadScript, BadValue
from gpu_queue.notices import WISHES_MAX, parse_wishes
from gpu_queue.scripts.arrays import parse_array
from gpu_queue.scripts.asked import Asked, Line, head_of
from gpu_queue.scripts.deciding import MAX_GPUS, Allocation, Decision, decide
from gpu_queue.scripts.directives import (
    BadLine,
    gpuq_options,
    nodes_of,
    parse_gpu_count,
    queue_name,
    retries_of,
)
from gpu_queue.scripts.following import follow
from gpu_queue.scripts.launchers import Findings
from gpu_queue.scripts.lexing import decoded
from gpu_queue.scripts.notes import bad, note, quoted
from gpu_queue.scripts.otherwise import otherwise
from gpu_queue.scripts.reading import Array, Conclusion, Note, Reading
from gpu_queue.scripts.slurm import limit_s, read_sbatch
from gpu_queue.signals import Signal, parse_sbatch_signal, parse_signal
from gpu_queue.texts import shown
from gpu_queue.units import LONGEST_S, format_exact_duration, parse_duration_s, parse_size_bytes

TYPE_CHECKING = False  # type checkers take it for true by its name
if TYPE_CHECKING:
    from gpu_queue.task import Needs

HEAD_BYTES = 64 << 10
"""How much of a script is looked at."""
_GIVEN = ("gpus", "memory", "queue", "time", "retries", "signal", "notify", "name", "array", "nodes")
_BATCH = re.compile(r"#(?:PBS|BSUB|OAR|\$)")
_ID = re.compile(r"\d{8}T\d{9}-[0-9a-f]{6}-[A-Za-z0-9._+-]{1,150}", re.ASCII)
_SOURCES = {"default": "default_gpus"}


def is_task_id(text: str) -> bool:
    """Whether this looks like the id of one of our tasks."""
    return _ID.fullmatch(text) is not None


class _Reader:
    """One script's reading, while it is made."""

    def __init__(self, given: Mapping[str, object], is_id: Callable[[str], bool]) -> None:
        self._given = given
        self._is_id = is_id
        self.said: dict[str, tuple[str, str, Line | None]] = {}
        """Value, source and line of each thing: the first that speaks counts."""
        self.is_batch = False
        """It was written for a scheduler."""
        self.refusals: list[Note] = []
        self.warnings: list[Note] = []
        self.conclusions: list[Conclusion] = []

    def take_given(self) -> None:
        for option in _GIVEN:
            value = self._given.get(option)
            if isinstance(value, (str, int, float)) and not isinstance(value, bool):
                self.said[option] = (str(value), "gpu_submit", None)
            elif value is not None:
                english = f"record: needs.{option} is {shown(value)}; expected a string"
                self.refusals.append(bad(english, f"记录：needs.{option} 是 {shown(value)}；应为文本"))

    def take_gpuq(self, head: Sequence[Line]) -> None:
        try:
            for option, said in gpuq_options(head).items():
                self.said.setdefault(option, (said.value, "gpuq", said.line))
        except BadLine as problem:
            self.refuse(problem, problem.line)

    def take(self, asked: Asked) -> None:
        self.is_batch |= asked.is_there
        for what, said in asked.values.items():
            self.said.setdefault(what, (said.value, asked.source, said.line))

    def conclude(self, what: str, value: str, source: str, line: Line | None, why: str = "") -> None:
        why = why or (quoted(line.text) if line else _SOURCES.get(source, source))
        number, text = (line.number, quoted(line.text)) if line else (0, "")
        self.conclusions.append(Conclusion(what, value, source, number, text, why, why))

    def refuse(self, problem: ValueError, line: Line | None) -> None:
        english, chinese = str(problem), problem.chinese if isinstance(problem, BadValue) else str(problem)
        if line is not None:
            where = shown(quoted(line.text), 200)
            english, chinese = f"{where}: {english}", f"{where}：{chinese}"
        self.refusals.append(bad(english, chinese, line))

    # -- one thing after the other --------------------------------------------------------------------------------

    def allocation(self) -> Allocation | None:
        found = self.said.get("gpus")
        if found is None:
            return None
        value, source, line = found
        if source in ("gpu_submit", "gpuq"):
            try:
                least, most = parse_gpu_count(value)
            except ValueError as problem:
                self.refuse(problem, line)
                return None
            return Allocation(least, most, source, line)
        if int(value) > MAX_GPUS:
            english = f"no number of GPUs that a task can have; expected at most {MAX_GPUS}"
            self.refuse(BadValue(english, f"一个任务不能有这么多 GPU；最多 {MAX_GPUS} 张"), line)
            return None
        return Allocation(int(value), int(value), source, line)

    def memory_bytes(self) -> int | None:
        found = self.said.get("memory")
        if found is None:
            return None
        value, source, line = found
        try:
            size_bytes = parse_size_bytes(value)
        except ValueError as problem:
            self.refuse(problem, line)
            return None
        self.conclude("memory", value, source, line)
        return size_bytes

    def time_s(self) -> tuple[float | None, bool]:
        """The time, and whether it is a limit and no promise."""
        found = self.said.get("time")
        if found is None:
            return None, False
        value, source, line = found
        is_limit = source not in ("gpu_submit", "gpuq")
        try:
            if source == "sbatch":
                seconds = limit_s(value)
            elif is_limit:
                seconds = min(float(value), float(LONGEST_S))
            else:
                seconds = parse_duration_s(value)
        except ValueError as problem:
            self.refuse(problem, line)
            return None, False
        if seconds is not None:
            self.conclude("time", format_exact_duration(seconds), source, line)
        return seconds, is_limit and seconds is not None

    def queue(self) -> str | None:
        found = self.said.get("queue")
        if found is None:
            return None
        value, source, line = found
        try:
            name = queue_name(value)
        except ValueError as problem:
            self.refuse(problem, line)
            return None
        self.conclude("queue", name, source, line)
        return name

    def retries(self) -> int | None:
        found = self.said.get("retries")
        if found is None:
            return None
        value, source, line = found
        try:
            retries = retries_of(value)
        except ValueError as problem:
            self.refuse(problem, line)
            return None
        self.conclude("retries", str(retries), source, line)
        return retries

    def signal(self) -> Signal | None:
        found = self.said.get("signal")
        if found is None:
            return None
        value, source, line = found
        try:
            signal = parse_sbatch_signal(value) if source == "sbatch" else parse_signal(value)
        except ValueError as problem:
            self.refuse(problem, line)
            return None
        if signal is not None:
            self.conclude("signal", str(signal), source, line)
        return signal

    def notify(self) -> tuple[str, ...]:
        found = self.said.get("notify")
        if found is None:
            return ()
        value, source, line = found
        try:
            wishes = tuple(map(str, parse_wishes(value, 2 * WISHES_MAX)))
        except ValueError as problem:
            self.refuse(problem, line)
            return ()
        self.conclude("notify", ",".join(wishes), source, line)
        return wishes

    def array(self) -> Array | None:
        found = self.said.get("array")
        if found is None:
            return None
        value, source, line = found
        try:
            array = parse_array(value)
        except ValueError:
            self.refusals.append(note("bad_array", line, f"--array={value}", 10000))
            return None
        self.conclude("array", str(array), source, line)
        return array

    def after(self) -> tuple[str, ...]:
        value = self._given.get("after")
        ids: list[str] = []
        for one in value if isinstance(value, list) else [] if value is None else [value]:
            if not isinstance(one, str) or not self._is_id(one):
                english = f"record: needs.after holds {shown(one)}; expected task ids"
                self.refusals.append(bad(english, f"记录：needs.after 含有 {shown(one)}；应为任务编号"))
                return ()
            ids.append(one)
        if ids:
            self.conclude("after", ",".join(ids), "gpu_submit", None)
            return tuple(ids)
        found = self.said.get("dependency")
        return self._dependency(*found) if found is not None else ()

    def _dependency(self, value: str, source: str, line: Line | None) -> tuple[str, ...]:
        ids: list[str] = []
        for condition in re.split(r"[,?]", value)[:100]:
            kind, *named = condition.split(":")
            what = f"--dependency={condition}"
            if kind == "singleton":
                self.warnings.append(note("singleton", line, what))
                continue
            foreign = [one for one in named if not self._is_id(one)]
            if foreign or not named:
                self.refusals.append(note("foreign_dependency", line, what))
            elif kind == "afterok":
                ids.extend(named)
            else:
                self.warnings.append(note("dependency_kind", line, what))
        if ids:
            self.conclude("after", ",".join(ids), source, line)
        return tuple(dict.fromkeys(ids))

    def own_nodes(self) -> int | None:
        """On how many nodes it is to run, as far as our own words say; what cannot be understood is refused later."""
        found = self.said.get("nodes")
        try:
            return None if found is None else nodes_of(found[0])
        except ValueError:
            return None

    def nodes(self) -> int:
        """On how many nodes it runs."""
        hetjob = self.said.get("hetjob")
        if hetjob is not None:
            self.refusals.append(note("hetjob", hetjob[2], "#SBATCH hetjob"))
        found = self.said.get("nodes")
        if found is None:
            return 1
        value, source, line = found
        try:
            nodes = nodes_of(value)
        except ValueError as problem:
            if source not in ("gpu_submit", "gpuq") and value == "0":  # sbatch takes it for one
                return 1
            self.refuse(problem, line)
            return 1
        return nodes

    def judge_nodes(self, nodes: int, decision: Decision, found: Findings, line_of: Callable[[int], Line]) -> None:
        """Refuse what several nodes cannot have, and a script that counts on others than it gets."""
        if nodes > 1 and "nodes" in self.said:
            _, source, line_said = self.said["nodes"]
            self.conclude("nodes", str(nodes), source, line_said)
        undivided = self.said.get("undivided")
        if undivided is not None and "gpus" in self.said and self.said["gpus"][1] == "sbatch":
            self.refusals.append(note("undivided", undivided[2], undivided[0], nodes))
        if nodes > 1 and decision.most == 0:
            self.refusals.append(note("nodes_without_gpus", decision.line, "", nodes))
        elif nodes > 1 and decision.least != decision.most:
            what = f"{decision.least}-{decision.most}"
            self.refusals.append(note("nodes_range", decision.line, what, nodes))
        is_explicit = any(
            self.said[what][1] in ("gpu_submit", "gpuq") for what in ("gpus", "nodes") if what in self.said
        )
        each = self.said.get("tasks_of_a_node")
        right = {nodes} if each is None else {nodes, nodes * int(each[0])}  # srun starts a launcher for each task
        other = next((one for one in found.nodes[:3] if one.number not in right), None)
        if other is None:
            return
        line = line_of(other.line)
        code = other.code if not is_explicit else "nodes_ignored"
        one = note(code, line, other.said, other.number, str(nodes))
        (self.refusals if code == "several_nodes" else self.warnings).append(one)

    def tell_at_once(self, signal: Signal | None, time_s: float | None) -> None:
        """Say of a signal that comes as soon as the script begins."""
        if signal is not None and time_s is not None and signal.before_s >= time_s:
            self.warnings.append(note("signal_at_once", self.said["signal"][2], str(signal), int(time_s)))

    def others(self) -> None:
        for what in ("name", "chdir", "output", "error", "mail", "requeue", "tasks", "snapshot"):
            found = self.said.get(what)
            if found is not None and found[0]:
                self.conclude(what, found[0], found[1], found[2])


def read(
    script: bytes,
    given: Mapping[str, object] | None = None,
    arguments: Sequence[str] = (),
    default_gpus: int = 1,
    file_name: str = "",
    is_id: Callable[[str], bool] = is_task_id,
) -> Reading:
    """What a script asks for; never fails: what nobody can obey is among the refusals.

    Args:
        script: of which the first 64 KiB are looked at.
        given: what was given to gpu_submit: the ``needs`` of the record.
        arguments: what the script is given.
        default_gpus: for a script that says nothing.
        file_name: how it is called, which tells a Python program without a first line.
        is_id: whether a text is the id of a task.
    """
    text = decoded(script[:HEAD_BYTES])
    lines = text.split("\n")
    head = head_of(lines)
    reader = _Reader(given or {}, is_id)
    reader.take_given()
    reader.take_gpuq(head)
    sbatch = read_sbatch(head, reader.own_nodes())
    reader.take(sbatch)
    if any(_BATCH.match(line.text) for line in head):
        from gpu_queue.scripts.batch import read_batch  # noqa: PLC0415 - few scripts have such lines

        for asked in read_batch(head):
            reader.take(asked)
    allocation = reader.allocation()
    nodes = reader.nodes()
    found = follow(text, head, file_name, arguments, sbatch, nodes)
    if nodes > 1:
        found.counts = [
            one._replace(number=-(-one.number // nodes)) if one.is_of_all else one for one in found.counts
        ]
        found.remarks = [one for one in found.remarks if one.code != "hostfile"]  # otherwise() has more to say

    def line_of(number: int) -> Line:
        return Line(number, lines[number - 1] if 0 < number <= len(lines) else "")

    if (
        allocation is None and reader.is_batch
    ):  # whoever wants GPUs of a scheduler asks it for them: these ranks compute
        found.counts = [one for one in found.counts if one.rule != "np"]
    decision = decide(allocation, found, default_gpus, line_of)
    _conclude_gpus(reader, decision)
    reader.judge_nodes(nodes, decision, found, line_of)
    asks_nodes = reader.said["nodes"][2] if nodes > 1 else None
    reader.warnings += otherwise(lines, nodes, is_batch=reader.is_batch, said=asks_nodes)
    memory_bytes = reader.memory_bytes()
    time_s, is_limit = reader.time_s()
    queue, retries, signal = reader.queue(), reader.retries(), reader.signal()
    reader.tell_at_once(signal, time_s)
    notify = reader.notify()
    array, after = reader.array(), reader.after()
    reader.others()
    return Reading(
        gpus_min=decision.least,
        gpus_max=decision.most,
        devices=decision.devices,
        memory_bytes=memory_bytes,
        queue=queue,
        time_s=time_s,
        time_is_limit=is_limit,
        retries=retries,
        after=after,
        nodes=nodes,
        signal=signal,
        notify=notify,
        source=decision.source,
        array=array,
        conclusions=tuple(reader.conclusions),
        warnings=tuple(reader.warnings),
        refusals=tuple(reader.refusals),
    )


def _conclude_gpus(reader: _Reader, decision: Decision) -> None:
    count = str(decision.least) if decision.least == decision.most else f"{decision.least}-{decision.most}"
    reader.conclude("gpus", count, decision.source, decision.line, decision.said)
    if decision.devices:
        indices = ",".join(map(str, decision.devices))
        reader.conclude("devices", indices, decision.devices_source, decision.devices_line, decision.devices_said)
    reader.refusals.extend(decision.refusals)
    reader.warnings.extend(decision.warnings)


def read_needs(
    script: bytes,
    given: Mapping[str, object],
    default_gpus: int,
    arguments: Sequence[str] = (),
    file_name: str = "",
) -> Needs:
    """What a task asks for.

    Raises:
        BadScript: it can never run; the message quotes the line.
    """
    reading = read(script, given, arguments, default_gpus, file_name)
    if reading.refusals:
        raise BadScript(reading.refusals[0].english)
    return reading.needs
