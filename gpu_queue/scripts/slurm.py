"""Lines of ``#SBATCH``, word by word as sbatch reads them.  Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from gpu_queue.scripts.asked import Asked, Line, Said
from gpu_queue.units import parse_slurm_time_s

# sbatch's options whose argument may be the next word, of all its versions.  Those with an optional argument take it
# only attached (--nice=5, -koff), as those do that no version knows.
TAKES_WORD = frozenset(
    """
    account acctg-freq array batch bb bbf begin chdir checkpoint checkpoint-dir cluster cluster-constraint clusters
    comment conn-type constraint container container-id context core-spec cores-per-socket cpu-bind cpu-freq
    cpus-per-gpu cpus-per-task deadline delay-boot dependency distribution error exclude export export-file extra
    extra-node-info geometry gid gpu-bind gpu-freq gpus gpus-per-node gpus-per-socket gpus-per-task gres gres-flags
    hint input job-name jobid kill-on-invalid-dep licenses mail-type mail-user mcs-label mem mem-bind mem-per-cpu
    mem-per-gpu mem-update mincpus network nodefile nodelist nodes ntasks ntasks-per-core ntasks-per-gpu
    ntasks-per-node ntasks-per-socket ntasks-per-tres open-mode output partition power prefer priority profile qos
    reservation resources runtime segment signal sockets-per-node switches tasks tasks-per-node thread-spec
    threads-per-core time time-min tmp tres-bind tres-per-task uid wait-all-nodes wckey workdir wrap
    """.split()  # noqa: SIM905
)
LETTERS = "ABCDFGJLMNSabcdeimnopqtwx"  # with an argument
_FLAGS = "HOQVWhsv"
_NUMBER = re.compile(r"[0-9]+")
_GRES = re.compile(r"(?:gres[/:])?gpu(?:[:=](.*))?", re.DOTALL)
_TYPE = re.compile(r"[A-Za-z0-9][\w.:-]*", re.ASCII)
_UNLIMITED = ("-1", "infinite", "unlimited")


def split_words(text: str) -> list[str]:
    """The words of a line by sbatch's own rules, which are not a shell's.

    A backslash counts also between single quotes, and ``#`` begins a comment also within a word.  A quote that nobody
    closes, for which sbatch refuses the script, ends with the line.
    """
    words: list[str] = []
    word: list[str] | None = None
    quote = ""
    chars = iter(text)
    for char in chars:
        if char == quote:
            quote = ""
            continue
        if not quote and char == "#":
            break
        if not quote and char in " \t\r\v\f":
            if word is not None:
                words.append("".join(word))
            word = None
            continue
        if word is None:
            word = []
        if char == "\\":
            word.append(next(chars, ""))
        elif not quote and char in "\"'":
            quote = char
        else:
            word.append(char)
    return words if word is None else [*words, "".join(word)]


def options(line_words: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each option with its value, as getopt_long tells them apart.

    Names are taken only in full: of those that matter here, getopt would take but ``--gpus-per-n…`` and
    ``--gpus-per-t…`` for short (``--tim`` is ambiguous).  A word that is no option is passed over, and with it the
    argument of an option that is unknown; sbatch refuses it.  An argument does not come from the next line, so that
    an empty ``--account`` loses no GPUs.
    """
    words = iter(line_words)
    for word in words:
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            yield name, next(words, "") if not equals and name[2:] in TAKES_WORD else value
        elif word.startswith("-"):
            letters = word[1:].lstrip(_FLAGS)
            if letters and letters[0] in LETTERS:
                yield f"-{letters[0]}", letters[1:] or next(words, "")


def number(text: str) -> int:
    """A number of any length; from 9999 on they are alike."""
    text = text.lstrip("0") or "0"
    return int(text) if len(text) < 5 else 9999


def parse_count(value: str, is_gres: bool) -> int | None:
    """The GPUs of ``a100:2,2080ti:1``, where ``is_gres`` of ``gpu:a100:2,shard:1``; None: it tells of none."""
    counts = []
    for item in value.split(","):
        if is_gres:
            match = _GRES.fullmatch(item)
            if match is None:
                continue
            wanted = "1" if match[1] is None else match[1]
        else:
            wanted = item
        last = re.split("[:=]", wanted)[-1]
        if _NUMBER.fullmatch(last):
            counts.append(number(last))
        elif last and _TYPE.fullmatch(wanted):
            counts.append(1)  # a type alone
    return sum(counts) if counts else None


_PLAIN = {
    "-J": "name", "--job-name": "name",
    "-D": "chdir", "--chdir": "chdir", "--workdir": "chdir",
    "-o": "output", "--output": "output",
    "-e": "error", "--error": "error",
    "--mail-user": "mail", "--signal": "signal",
    "-a": "array", "--array": "array",
    "-d": "dependency", "--dependency": "dependency",
}  # fmt: skip
_TASKS = ("--ntasks", "-n", "--tasks", "--ntasks-per-node", "--tasks-per-node")


class _Sbatch:
    """What the lines ask for; of two that say the same, the last counts."""

    def __init__(self, nodes: int | None) -> None:
        self.asked = Asked("sbatch")
        self._nodes = nodes
        self._gpus: tuple[str, int, Line] | None = None
        self._each: dict[str, tuple[int, Line]] = {}
        self._tasks: dict[str, int] = {}
        self._sockets = 1

    def obey(self, name: str, value: str, line: Line) -> None:
        if name in ("--gpus", "-G", "--gpus-per-node", "--gres"):
            count = parse_count(value, name == "--gres")
            if count is not None:
                self._gpus = (name, count, line)
            elif name == "--gres" and self._gpus and self._gpus[0] == name:
                self._gpus = None  # it stands in the place of an earlier one
        elif name in ("--gpus-per-task", "--gpus-per-socket"):
            count = parse_count(value, False)
            if count is not None:
                self._each[name] = (count, line)
        elif name == "--sockets-per-node" and _NUMBER.fullmatch(value):
            self._sockets = max(1, number(value))
        elif name in _TASKS:
            if _NUMBER.fullmatch(value):
                self._tasks["node" if name.endswith("-node") else "all"] = number(value)
                self.asked.values["tasks"] = Said(value, line)
        elif name in ("--time", "-t") and value:
            self.asked.values["time"] = Said(value, line)
        elif name in ("-N", "--nodes"):
            least = re.split("[-,:]", value)[0]
            if _NUMBER.fullmatch(least):
                self.asked.values["nodes"] = Said(str(number(least)), line)
        elif name == "--requeue":
            self.asked.values["requeue"] = Said("yes", line)
        elif name == "--no-requeue":
            self.asked.values["requeue"] = Said("no", line)
        elif name in _PLAIN and value:
            self.asked.values[_PLAIN[name]] = Said(value, line)

    def done(self) -> Asked:
        nodes = self._on_nodes()
        if self._tasks:
            self.asked.values["tasks_of_a_node"] = Said(
                str(self._tasks_of_a_node(nodes)), self.asked.values["tasks"].line
            )
        if self._gpus is not None:
            name, count, line = self._gpus
            if name in ("--gpus", "-G"):
                if count % nodes:
                    self.asked.values["undivided"] = Said(f"{name} {count}", line)
                count = -(-count // nodes)
        elif "--gpus-per-task" in self._each:
            count, line = self._each["--gpus-per-task"]
            count *= self._tasks_of_a_node(nodes)
        elif "--gpus-per-socket" in self._each:
            count, line = self._each["--gpus-per-socket"]
            count *= self._sockets
        else:
            return self.asked
        self.asked.values["gpus"] = Said(str(count), line)
        return self.asked

    def _on_nodes(self) -> int:
        """How many nodes it is for; as sbatch takes it, tasks that do not fit on one ask for more."""
        if self._nodes is not None:
            return self._nodes
        said = self.asked.values.get("nodes")
        if said is not None:
            return max(1, int(said.value))
        every, each = self._tasks.get("all", 1), self._tasks.get("node", 0)
        if 0 < each < every:
            self.asked.values["nodes"] = Said(str(-(-every // each)), self.asked.values["tasks"].line)
            return -(-every // each)
        return 1

    def _tasks_of_a_node(self, nodes: int) -> int:
        every, each = self._tasks.get("all"), self._tasks.get("node")
        if each is not None and (every is None or nodes > 1):
            return each
        return 1 if every is None else -(-every // nodes)


def read_sbatch(head: Sequence[Line], nodes: int | None = None) -> Asked:
    """What the ``#SBATCH`` lines of a head ask for; the GPUs are those of one node.

    Args:
        head: the comment lines.
        nodes: on how many it is to run, where that was said elsewhere.
    """
    sbatch = _Sbatch(nodes)
    for line in head:
        if re.match(r"#SBATCH\s+(?:hetjob|packjob)\b", line.text, re.ASCII):
            sbatch.asked.values.setdefault("hetjob", Said("hetjob", line))
            continue
        if re.match(r"#SBATCH[\s-]", line.text, re.ASCII):  # sbatch asks for no blank before the first option
            sbatch.asked.is_there = True
            for name, value in options(split_words(line.text[len("#SBATCH") :])):
                sbatch.obey(name, value, line)
    return sbatch.done()


def limit_s(text: str) -> float | None:
    """A limit as sbatch takes it; None where there is none, for which it also takes 0.

    Raises:
        ValueError: it is no time.
    """
    if text.lower() in _UNLIMITED:
        return None
    return parse_slurm_time_s(text) or None
