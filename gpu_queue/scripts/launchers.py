"""What a command means for GPUs: how many, which, on how many nodes.  Pure; a table of programs and options."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from gpu_queue.scripts.events import Event, Setting
from gpu_queue.scripts.lexing import COUNT, GRANTED, NODE_COUNT, RANK, UNKNOWN
from gpu_queue.scripts.programs import SILENT, base, program_at
from gpu_queue.scripts.slurm import options as slurm_options
from gpu_queue.scripts.slurm import parse_count
from gpu_queue.scripts.values import MARKS

MAX_INDEX = 1023
_INDICES = re.compile(r"\s*\d{1,4}\s*(?:,\s*\d{1,4}\s*)*,?\s*", re.ASCII)
_INT = re.compile(r"\d{1,4}", re.ASCII)
_HIDING = ("", "-1", "none", "NoDevFiles")
_LIST = re.compile(r"\[\s*\d{1,4}(?:\s*,\s*\d{1,4})*\s*\]", re.ASCII)
_OPTION = re.compile(r"--?([A-Za-z][\w.-]*)(?:=(.*))?", re.ASCII | re.DOTALL)
_SETTING = re.compile(r"[+~]{0,2}([A-Za-z_][\w./@-]{0,200})=(.*)", re.ASCII | re.DOTALL)

_NUM_GPUS = frozenset(
    """
    num_gpus num_gpu n_gpu n_gpus ngpu ngpus gpu_num nb_gpus gpus_per_node num_gpus_per_node n_gpus_per_node
    ngpus_per_node gpu_per_node gpus_per_machine gpu_count
    """.split()  # noqa: SIM905
)
_LISTS = frozenset(
    ("gpus", "gpu_ids", "gpu_id", "gpu", "gpuids", "gpu_list", "device_ids", "devices", "cuda_devices")
)
_NODES = frozenset(("nnodes", "num_machines", "num_nodes", "n_nodes"))
_FACTORS = (
    ("tensor_parallel_size", "tp_size", "tp", "tensor_parallel"),
    ("pipeline_parallel_size", "pp_size", "pp"),
    ("data_parallel_size", "dp_size", "dp"),
)
_SERVERS = ("vllm", "sglang", "lmdeploy")
_VARIABLES = (
    "NPROC_PER_NODE",
    "GPUS_PER_NODE",
    "NGPUS_PER_NODE",
    "NUM_GPUS",
    "NGPUS",
    "NGPU",
    "N_GPUS",
    "GPU_NUM",
    "GPUS",
)
_BY_PLACE = {"dist_train.sh": 1, "dist_test.sh": 2}
"""The place of the number of GPUs among the arguments, from 0."""
_BY_N = ("composer", "torchpack")
_SPREADING = ("swift", "xtuner", "llamafactory-cli", "megatron")


class Count(NamedTuple):
    """So many GPUs."""

    number: int
    rule: str
    line: int
    said: str
    is_of_all: bool = False
    """All nodes together have so many."""


class Devices(NamedTuple):
    """These GPUs, by index."""

    indices: tuple[int, ...]
    rule: str
    line: int
    said: str
    is_first: bool = False
    """It takes the first ones of the node, whatever it was given: as many as ``indices``."""


class Remark(NamedTuple):
    """Something to be said: a code, and what it is about."""

    code: str
    line: int
    said: str
    number: int = 0


class Findings:
    """All that a script's commands tell."""

    def __init__(self) -> None:
        self.counts: list[Count] = []
        self.devices: list[Devices] = []
        self.nodes: list[Remark] = []
        self.remarks: list[Remark] = []
        self.hides: tuple[int, str] | None = None
        self.first: list[tuple[int, str]] = []
        """What takes the node's first GPUs, as many as it is granted."""

    def remark(self, code: str, line: int, said: str) -> None:
        """Each is told once."""
        if len(self.remarks) < 50 and not any((one.code, one.line) == (code, line) for one in self.remarks):
            self.remarks.append(Remark(code, line, said))

    def count(self, text: str, rule: str, line: int, said: str, is_of_all: bool = False) -> None:
        """A number, or what stands for one."""
        text = text.strip().strip("\"'")
        if _INT.fullmatch(text):
            if int(text) > 0:
                self.counts.append(Count(int(text), rule, line, said, is_of_all))
        elif NODE_COUNT in text:
            self.remark("counts_node", line, said)
        elif COUNT in text or text.lower() in ("gpu", "auto", "all", "-1"):
            self.remark("count_open", line, said)
        elif UNKNOWN in text or not text:
            self.remark("count_unknown", line, said)

    def visible(self, setting: Setting) -> None:
        """What CUDA_VISIBLE_DEVICES is set to."""
        for value in setting.values:
            said = f"CUDA_VISIBLE_DEVICES={value}"
            text = value.strip()
            if _INDICES.fullmatch(text):
                self.listed(text, "cuda_visible_devices", setting.line, said)
            elif text in _HIDING and not (setting.is_expanded and not text):
                self.hides = (setting.line, said)
            elif GRANTED in value:
                continue
            elif RANK in value and not MARKS.sub("", value).strip(" ,"):
                self.first.append((setting.line, "CUDA_VISIBLE_DEVICES"))
            else:
                self.remark("devices_unknown", setting.line, "CUDA_VISIBLE_DEVICES")

    def listed(self, text: str, rule: str, line: int, said: str) -> None:
        """A list of indices."""
        indices = tuple(dict.fromkeys(int(one) for one in text.split(",") if one.strip()))
        if all(index <= MAX_INDEX for index in indices):
            self.devices.append(Devices(indices, rule, line, said))


def findings(events: Iterable[Event]) -> Findings:
    """What all commands of a script tell."""
    found = Findings()
    left: Setting | None = None  # set, and not heeded by deepspeed: whoever comes next does
    seen: set[tuple[tuple[str, ...], int]] = set()
    for event in events:
        ignores = event.argv and _heeds_nothing(event.argv)
        visible = event.visible
        if visible is None and left is not None and not ignores and event.argv and base(event.argv[0]) not in SILENT:
            visible, left = left, None
        if visible is not None:
            if ignores:
                left = visible if visible.is_lasting else left
            else:
                found.visible(visible)
        if event.argv and (event.argv, event.line) not in seen:
            seen.add((event.argv, event.line))
            _heed(event, found)
    return found


def _options(argv: Sequence[str]) -> Iterator[tuple[str, str, int]]:
    """Each option, ``_`` for ``-``, with its value and its place; of a flag the value is the word behind it."""
    for place, word in enumerate(argv):
        match = _OPTION.fullmatch(word)
        if match is not None:
            following = argv[place + 1] if place + 1 < len(argv) else ""
            yield match[1].replace("-", "_"), following if match[2] is None else match[2], place


def _launch(argv: Sequence[str]) -> tuple[str, Sequence[str]]:
    """The launcher's name and its words; of ``python -m torch.distributed.run`` that module."""
    at = program_at(argv)
    name, words = base(argv[at]), argv[at + 1 :]
    if re.match(r"python|ipython|pypy", name) or name in ("coverage",):
        for place, word in enumerate(words[:6]):
            if word == "-m" and place + 1 < len(words):
                return words[place + 1], words[place + 2 :]
            if base(word) in ("torchrun", "deepspeed", "accelerate", "vllm"):
                return base(word), words[place + 1 :]
            if not word.startswith("-"):
                break
    return name, words


def _is_deepspeed(name: str) -> bool:
    return name in ("deepspeed", "deepspeed.pt", "ds") or name.startswith("deepspeed.launcher")


def _own(words: Sequence[str]) -> Sequence[str]:
    """The launcher's own options: those before the program that it starts."""
    for place, word in enumerate(words):
        if word in ("--module", "-m", "--no_python") or (word.endswith((".py", ".sh")) and not word.startswith("-")):
            return words[:place]
    return words


def _heeds_nothing(argv: Sequence[str]) -> bool:
    """Whether it drops CUDA_VISIBLE_DEVICES: deepspeed with one of its filters does."""
    name, words = _launch(argv)
    if not _is_deepspeed(name):
        return False
    names = {option for option, _, _ in _options(_own(words))}
    return bool(names & {"num_gpus", "include", "exclude", "num_nodes", "i", "e"})


def _heed(event: Event, found: Findings) -> None:
    argv, line = event.argv, event.line
    at = program_at(argv)
    if at:
        _wrapper(argv[:at], argv[at:], line, found)
    name, words = _launch(argv)
    if name in SILENT or name in ("sbatch", "salloc", "qsub", "bsub"):
        return
    before = len(found.counts)
    if _is_deepspeed(name):
        own = _own(words)
        _deepspeed(name, own, line, found)
        words = words[len(own) :]
    elif name.startswith("accelerate"):
        own = _own(words)
        _accelerate(own, line, found)
        words = words[len(own) :]
    _general(name, words, line, found)
    _named(event, name, words, line, found, len(found.counts) == before)


def _deepspeed(name: str, words: Sequence[str], line: int, found: Findings) -> None:
    is_said = False
    for option, value, _ in _options(words):
        said = f"{name} --{option} {value}"
        if option == "num_gpus":
            is_said = True
            if _INT.fullmatch(value) and 0 < int(value) <= MAX_INDEX:
                found.devices.append(Devices(tuple(range(int(value))), "num_gpus", line, said, is_first=True))
            elif COUNT in value:
                found.first.append((line, f"{name} --num_gpus"))
            elif value != "-1":
                found.remark("count_unknown", line, f"{name} --num_gpus")
        elif option in ("include", "i"):
            is_said = True
            host, _, slots = value.partition(":")
            if "@" in value:
                found.nodes.append(Remark("several_nodes", line, said, 1 + value.count("@")))
            elif _INDICES.fullmatch(slots):
                found.listed(slots, "include", line, said)
            elif GRANTED not in slots:
                found.remark("devices_unknown", line, f"{name} --include {host}")
        elif option in ("exclude", "e"):
            is_said = True
            found.remark("devices_unknown", line, f"{name} --exclude")
        elif option == "num_nodes":
            _nodes(value, line, said, found)
        elif option in ("hostfile", "H") and value not in ("", "/dev/null", "''"):
            found.remark("hostfile", line, f"{name} --{option}")
    if not is_said and words is not None:
        found.remark("count_open", line, name)


def _accelerate(words: Sequence[str], line: int, found: Findings) -> None:
    said = {option: value for option, value, _ in _options(words)}
    machines = int(said["num_machines"]) if _INT.fullmatch(said.get("num_machines", "")) else 1
    if machines > 1:
        _nodes(str(machines), line, f"accelerate --num_machines {machines}", found)
    processes = said.get("num_processes", said.get("n"))
    if "gpu_ids" in said and _INDICES.fullmatch(said["gpu_ids"]):
        found.listed(said["gpu_ids"], "gpu_ids", line, f"accelerate --gpu_ids {said['gpu_ids']}")
        return
    if "gpu_ids" in said and said["gpu_ids"] != "all" and GRANTED not in said["gpu_ids"]:
        found.remark("devices_unknown", line, "accelerate --gpu_ids")
    if processes is None:
        if words[:1] == ["launch"] or tuple(words[:1]) == ("launch",):
            found.remark("count_open", line, "accelerate launch")
        return
    if "cpu" in said:
        return
    each = processes
    if _INT.fullmatch(processes) and machines > 1:
        each = str(-(-int(processes) // machines))
    found.count(each, "num_processes", line, f"accelerate --num_processes {processes}", machines == 1)


def _nodes(value: str, line: int, said: str, found: Findings, is_sure: bool = True) -> None:
    least = value.partition(":")[0].strip()
    if _INT.fullmatch(least) and int(least) > 1:
        found.nodes.append(Remark("several_nodes" if is_sure else "nodes_unsure", line, said, int(least)))


def _wrapper(argv: Sequence[str], program: Sequence[str], line: int, found: Findings) -> None:
    """What srun, mpirun and docker themselves are told."""
    name = base(argv[0])
    if name == "srun":
        tasks = per_task = nodes = 0
        are_tasks_of_all = True
        totals: list[Count] = []
        for option, value in slurm_options(argv[1:]):
            said = f"srun {option} {value}"
            if option in ("--gres", "--gpus", "-G", "--gpus-per-node"):
                number = parse_count(value, option == "--gres")
                if number:
                    is_of_all = option in ("--gpus", "-G")
                    (totals if is_of_all else found.counts).append(Count(number, "srun", line, said, is_of_all))
            elif option == "--gpus-per-task":
                per_task = parse_count(value, False) or 0
            elif option in ("-n", "--ntasks", "--ntasks-per-node") and _INT.fullmatch(value):
                if not tasks or option.endswith("node"):
                    tasks, are_tasks_of_all = int(value), not option.endswith("node")
            elif option in ("-N", "--nodes"):
                least = value.partition("-")[0]
                nodes = int(least) if _INT.fullmatch(least) else 0
                _nodes(least, line, said, found)
        if per_task:
            said = f"srun --gpus-per-task {per_task}"
            totals.append(Count(per_task * max(1, tasks), "srun", line, said, are_tasks_of_all))
        for one in totals:
            is_said = nodes > 0 and one.is_of_all
            number = -(-one.number // nodes) if is_said else one.number
            found.counts.append(one._replace(number=number, is_of_all=one.is_of_all and not is_said))
    elif name in ("mpirun", "mpiexec", "mpiexec.hydra", "horovodrun", "orterun") and "python" in base(program[0]):
        for option, value, _ in _options(argv):
            if option in ("np", "n") and _INT.fullmatch(value) and int(value) <= 16:
                found.count(value, "np", line, f"{name} -{option} {value}", is_of_all=True)
    elif name in ("docker", "podman"):
        for option, value, _ in _options(argv):
            listed = value.strip("\"'").partition("device=")[2]
            if option == "gpus" and _INDICES.fullmatch(listed):
                found.listed(listed, "gpus", line, f"{name} --gpus device={listed}")


def _general(name: str, words: Sequence[str], line: int, found: Findings) -> None:
    """Options that mean the same with any program, and settings of Hydra."""
    factors: dict[int, int] = {}
    is_server = any(one in name for one in _SERVERS)
    said: list[str] = []
    for option, value, place in _options(words):
        text = f"{name} --{option} {value}"
        if option == "nproc_per_node":
            found.count(value, option, line, text)
        elif option.rpartition(".")[2] in _NUM_GPUS:  # --actor.num_gpus_per_node: what shares them shares them
            if not value.startswith("-"):
                found.count(value, "num_gpus", line, text)
        elif option in _NODES:
            # A program of its own may hand its work to another cluster by that.
            _nodes(value, line, text, found, is_sure=option == "nnodes")
        elif option in ("trainer.devices", "trainer.gpus", "trainer.n_gpus_per_node"):
            _devices_setting(option, value, line, text, found)
        elif option in ("trainer.num_nodes", "trainer.nnodes"):
            _nodes(value, line, text, found)
        elif option in _LISTS:
            _list(option, value, words[place + 1 :], line, text, found)
        elif option in ("distributed_world_size",) or (
            option in ("np", "n", "nproc") and name in ("composer", "torchpack")
        ):
            found.count(value, "num_gpus", line, text)
        else:
            for number, names in enumerate(_FACTORS):
                if option in names[: 4 if is_server else 1] and _INT.fullmatch(value) and int(value) > 0:
                    factors[number] = int(value)
                    said.append(f"--{option} {value}")
    if 0 in factors or (is_server and factors):
        total = factors.get(0, 1) * factors.get(1, 1) * factors.get(2, 1)
        found.count(str(min(total, 9999)), "tensor_parallel_size", line, f"{name} {' '.join(said)}")
    for word in words:
        match = _SETTING.fullmatch(word)
        if match is None or word.startswith("-"):
            continue
        key, value = match[1], match[2]
        last = key.rpartition(".")[2]
        if last in ("n_gpus_per_node", "gpus_per_node", "num_gpus_per_node") or key in (
            "trainer.devices", "trainer.gpus", "trainer.num_gpus", "num_gpus", "ngpus", "devices", "n_gpus", "gpus",
        ):  # fmt: skip
            _devices_setting(key, value, line, f"{key}={value}", found)
        elif last in ("nnodes", "num_nodes"):
            _nodes(value, line, f"{key}={value}", found)


def _devices_setting(key: str, value: str, line: int, said: str, found: Findings) -> None:
    """``trainer.devices=4``, ``[0,1]``, ``auto``."""
    text = value.strip().strip("\"'")
    if _LIST.fullmatch(text) or ("," in text and _INDICES.fullmatch(text)):
        indices = [int(one) for one in re.findall(r"\d+", text)]
        found.count(str(max(indices) + 1), "devices", line, said)
    else:
        found.count(text, "devices" if key.endswith(("devices", "gpus")) else "num_gpus", line, said)


def _list(option: str, value: str, following: Sequence[str], line: int, said: str, found: Findings) -> None:
    """``--gpus 0,1``, ``--gpu-ids 0 1``, ``--devices 4``: numbers of GPUs, or GPUs by their numbers."""
    text = value.strip().strip("\"'[]")
    words = []
    for word in following:
        if not _INT.fullmatch(word):
            break
        words.append(word)
    if "," in text and _INDICES.fullmatch(text):
        indices = sorted({int(one) for one in text.split(",") if one.strip()})
    elif option not in ("devices", "gpus") and len(words) > 1:
        indices = sorted({int(one) for one in words})
    elif _INT.fullmatch(text):
        number = int(text)
        if option in ("devices", "gpus"):
            if number in (2, 4, 8, 16) or (option == "devices" and number):
                found.count(text, "devices", line, said)
            elif number > 1:
                found.remark("devices_unsure", line, said)
        elif number:
            found.remark("devices_unsure", line, said)
        return
    else:
        return
    if indices == list(range(len(indices))):
        found.devices.append(Devices(tuple(indices), option, line, said, is_first=True))
    else:
        found.remark("devices_unsure", line, said)


def _named(event: Event, name: str, words: Sequence[str], line: int, found: Findings, is_silent: bool) -> None:
    """What a program takes from its environment, or by its place among the arguments."""
    script = next((word for word in (name, *words[:1]) if base(word) in _BY_PLACE), None)
    if script is not None:
        operands = [word for word in (words if script == name else words[1:]) if not word.startswith("-")]
        wanted = _BY_PLACE[base(script)]
        if len(operands) > wanted and _INT.fullmatch(operands[wanted]):
            found.count(operands[wanted], "num_gpus", line, f"{base(script)} … {operands[wanted]}")
            return
    if name in _SPREADING:
        for value in event.environment.get("NNODES", ()):
            _nodes(value, line, f"NNODES={value}", found)
    if not is_silent:
        return
    for variable in _VARIABLES:
        values = event.environment.get(variable, ())
        for value in values:
            if _INT.fullmatch(value) and 0 < int(value) <= 64:
                found.counts.append(Count(int(value), "variable", line, f"{variable}={value}"))
        if values:
            return
