"""What a script asks for: the shared corpus that client.sh is held to as well, and what it cannot show."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_queue.errors import BadScript
from gpu_queue.scripts.directives import parse_gpu_count
from gpu_queue.scripts.reader import HEAD_BYTES, read, read_needs
from gpu_queue.scripts.slurm import LETTERS, TAKES_WORD
from gpu_queue.task import Needs

CORPUS = Path(__file__).parent.parent / "corpus" / "needs"


class Row(NamedTuple):
    file: str
    gpus: str
    devices: str
    rule: str
    time_s: str


def corpus() -> list[Row]:
    with (CORPUS / "expected.tsv").open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file, delimiter="\t")
        next(rows)
        return [Row(*row) for row in rows]


def as_row(file: str, script: bytes) -> Row:
    try:
        needs = read_needs(script, {}, 1)
    except BadScript:
        return Row(file, "error", "-", "", "-")
    count = str(needs.gpus_min) + (f"-{needs.gpus_max}" if needs.gpus_max != needs.gpus_min else "")
    time_s = "-" if needs.time_s is None else f"{needs.time_s:g}"
    return Row(file, count, ",".join(map(str, needs.devices)) or "-", needs.reason, time_s)


def test_the_corpus_is_complete() -> None:
    scripts = {path.name for path in CORPUS.iterdir() if path.suffix in (".sh", ".script")}
    assert scripts == {row.file for row in corpus()}


@pytest.mark.parametrize("row", corpus(), ids=lambda row: row.file)
def test_a_script_of_the_corpus_is_understood(row: Row) -> None:
    script = (CORPUS / row.file).read_bytes().replace(b"\r\n", b"\n")
    wanted = row if row.gpus != "error" else row._replace(rule="")
    assert as_row(row.file, script) == wanted
    assert as_row(row.file, script.replace(b"\n", b"\r\n")) == wanted


@pytest.mark.parametrize("row", [row for row in corpus() if row.gpus == "error"], ids=lambda row: row.file)
def test_a_refusal_says_which_directive_it_means(row: Row) -> None:
    with pytest.raises(BadScript) as refused:
        read_needs((CORPUS / row.file).read_bytes(), {}, 1)
    word = {"gpus": "number of GPUs", "memory": "no size", "time": "no ", "missing": "no value"}
    assert word.get(row.rule, row.rule) in str(refused.value)


def needs_of(script: str, submitted: dict[str, object] | None = None, default: int = 1) -> Needs:
    return read_needs(script.encode(), submitted or {}, default)


def test_what_was_given_to_gpu_submit_beats_the_script_option_by_option() -> None:
    script = "#!/bin/sh\n#GPUQ --gpus 2 --time 4h --queue car\ntorchrun --nproc_per_node 2 x.py\n"
    needs = needs_of(script, {"gpus": "3", "memory": "20G", "retries": 2, "queue": "bike"})
    assert (needs.gpus_min, needs.gpus_max, needs.devices, needs.reason) == (3, 3, (), "gpu_submit")
    assert (needs.memory_bytes, needs.time_s, needs.queue, needs.retries) == (20 << 30, 14400.0, "bike", 2)


def test_the_default_is_for_scripts_that_say_nothing() -> None:
    assert needs_of("#!/bin/sh\npython x.py\n", default=4).gpus_min == 4
    assert needs_of("#!/bin/sh\n#GPUQ --gpus 2\npython x.py\n", default=4).gpus_min == 2


@pytest.mark.parametrize(
    ("line", "seconds"),
    [
        ("--time=30", 1800),
        ("--time 4:00:00", 14400),
        ("-t 1-12", 129600),
        ("-t1-12:30", 131400),
        ("--time=2-00:00:30", 172830),
    ],
)
def test_sbatchs_times_are_understood(line: str, seconds: int) -> None:
    assert needs_of(f"#!/bin/sh\n#SBATCH {line}\n").time_s == seconds
    assert needs_of(f"#!/bin/sh\n#SBATCH {line}\n#GPUQ --time 5s\n").time_s == 5


READ = (
    "--gpus --gpus-per-node --gpus-per-task --gpus-per-socket --sockets-per-node -G --gres --time -t "
    "--ntasks --tasks --ntasks-per-node --tasks-per-node -n"
)
NOT_READ = sorted(({f"--{name}" for name in TAKES_WORD} | {f"-{letter}" for letter in LETTERS}) - set(READ.split()))
HOSTILE = st.sampled_from(["--gpus=8", "-G8", "-t1", "--time=1", "x-t3", " -G 4", "--gres=gpu:8", "-n 9", "a b", "#"])
ARGUMENT = st.lists(
    HOSTILE | st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=20), max_size=4
).map("".join)


def quoted(argument: str) -> str:
    r"""In quotes as sbatch takes them: a ``\\`` counts in them."""
    return '"' + argument.replace("\\", "\\\\").replace('"', '\\"') + '"'


@given(st.sampled_from(NOT_READ), ARGUMENT, st.booleans())
def test_the_argument_of_another_option_is_only_that(option: str, argument: str, attached: bool) -> None:
    between = " " if not attached else "=" if option.startswith("--") else ""
    between = between or ("x" if not argument else "")  # an empty attached argument is the next word
    words = f"{option}{between}{quoted(argument)}"
    reading = read(f"#SBATCH -G 2 {words} --time=1:00:00\n".encode())
    assert (reading.gpus, reading.time_s, reading.source) == ("2", 3600, "sbatch")
    reading = read(f"#SBATCH {words}\n".encode())
    assert (reading.gpus, reading.time_s, reading.source) == ("1", None, "default")


@pytest.mark.parametrize("text", ["0-3", "3-1", "-1", "1-", "1.5", "", "1025", "1-1025", "1 2", "٣"])
def test_what_is_no_number_of_gpus_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no number of GPUs"):
        parse_gpu_count(text)


@pytest.mark.parametrize(("text", "count"), [("0", (0, 0)), ("0-0", (0, 0)), ("2", (2, 2)), (" 1-4 ", (1, 4))])
def test_a_number_of_gpus_is_one_number_or_a_range(text: str, count: tuple[int, int]) -> None:
    assert parse_gpu_count(text) == count


@pytest.mark.parametrize("separator", ["\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\r"])
def test_only_a_newline_ends_a_line(separator: str) -> None:
    assert needs_of(f"#!/bin/sh\n# a comment{separator}still it\n#GPUQ --gpus 2\n").gpus_min == 2
    assert needs_of(f"#!/bin/sh\n# a comment{separator}CUDA_VISIBLE_DEVICES=0,1 x\n").reason == "default"


def test_after_is_a_list_of_ids() -> None:
    one = "20260101T000000000-abcdef-x.sh"
    assert needs_of("", {"after": [one]}).after == (one,)
    assert needs_of("", {"after": one}).after == (one,)
    for wrong in (["x"], [f"500-{one}"], [f"{one}/.."], 5, {"a": 1}):
        with pytest.raises(BadScript, match="expected task ids"):
            needs_of("", {"after": wrong})


def test_what_lies_behind_64_kib_is_not_read() -> None:
    filler = "#" * 99 + "\n"
    assert needs_of(filler * (HEAD_BYTES // 100 + 2) + "#GPUQ --gpus 2\n").reason == "default"


@given(st.integers(1, 1024), st.integers(0, 1023), st.sampled_from([" ", "="]), st.sampled_from(["\n", "\r\n"]))
def test_any_range_that_is_written_is_read(least: int, more: int, between: str, line_end: str) -> None:
    most = min(least + more, 1024)
    needs = needs_of(f"#!/bin/sh{line_end}#GPUQ --gpus{between}{least}-{most}{line_end}")
    assert (needs.gpus_min, needs.gpus_max) == (least, most)
