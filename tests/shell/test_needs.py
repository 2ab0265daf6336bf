"""What a script asks for, by the corpus that the agent is held to as well."""

from __future__ import annotations

import random
import re
import string
from pathlib import Path

import pytest

from gpu_queue.scripts.reader import read
from gpu_queue.scripts.slurm import TAKES_WORD
from gpu_queue.units import parse_duration_s, parse_slurm_time_s
from tests.shell.helpers import Shell, Spool

CORPUS = Path(__file__).resolve().parents[1] / "corpus" / "needs"
PROBE = r"""
__gpu_probe() { # FILE…: GPUs, devices and rule of each, and the time in the notation that it was given in
  local file text line count='' duration='' sbatch='' slurm='' per_task='' ranks='' here=''
  for file in "$@"; do
    __gpu_read "$file" || :
    text=$REPLY
    if __gpu_needs "$text"; then
      set -f; set -- $REPLY
      IFS=$'\n'; __gpu_head; set +f
    else
      set -- error - "${REPLY%% *}"
    fi
    printf '%s\t%s\t%s\t%s\t%s\n' "${file##*/}" "$1" "$2" "$3" "${duration:-${slurm:+slurm $slurm}}"
  done
}
__gpu_lines() { # FILE: for each line the GPUs and the time of sbatch
  local text all line count duration sbatch slurm each tasks here
  __gpu_read "$1"; all=$REPLY IFS=$'\n'
  set -f
  for text in $all; do
    count='' duration='' sbatch='' slurm='' per_task='' ranks='' here=''
    __gpu_head
    [ -z "$slurm" ] || __gpu_check sbatch-time "$slurm" || slurm=error
    printf '%s\t%s\n' "${sbatch%% *}" "$slurm"
  done
}
"""


def time_s(said: str) -> str:
    """Seconds of a duration, or of what is marked as one of Slurm's."""
    slurms = said.removeprefix("slurm ")
    seconds = parse_slurm_time_s(slurms) if slurms != said else parse_duration_s(said) if said else 0
    return f"{seconds:g}" if seconds else "-"


def test_client_and_agent_read_a_script_alike(shell: Shell) -> None:
    shell.hostile = False
    rows = (CORPUS / "expected.tsv").read_text().splitlines()[1:]
    files = [str(CORPUS / row.split("\t")[0]) for row in rows]
    probes = "\n".join(f"( __gpu_guest probe '{file}' )" for file in files)
    said = [line.rpartition("\t") for line in shell.ok(PROBE + probes).lines]
    assert [f"{row}\t{time_s(time)}" for row, _, time in said] == rows


def by_python(line: str) -> tuple[str, str]:
    """GPUs and time as the agent reads them."""
    reading = read(line.encode(), {"time": "1"}, default_gpus=1)
    too_many = any("number of GPUs" in one.english for one in reading.refusals)
    reading_of_time = read(line.encode(), {"gpus": "1"})
    is_bad = any(one.code == "bad_directive" for one in reading_of_time.refusals)
    time = "error" if is_bad else "-" if reading_of_time.time_s is None else f"{reading_of_time.time_s:g}"
    return "too many" if too_many else reading.gpus if reading.source == "sbatch" else "", time


def generated() -> list[str]:
    """Lines of whatever stands in such lines, and each option with an option as its argument."""
    chance = random.Random(20261123)
    options = [f"--{name}" for name in sorted(TAKES_WORD)]
    options += [f"-{letter}" for letter in string.ascii_letters]
    lines = [f"#SBATCH {option} -G3 -t5" for option in options]
    parts = re.findall(
        r"\S+",
        """--gpus --gres --time -G -t -n --ntasks --gpus-per-task -J --comment -Hv -k --nice --foo -- - = = # " '
        \\ 2 30
        1:00:00 -1 08 unlimited gpu : , gpu:2 a100:4 3090:2 gres/gpu shard:3 $N é * ~""",
    )
    parts += [" ", " ", " ", "\t", "\v", "\x85", "9" * 30]
    for _ in range(600):
        lines.append(f"#SBATCH{chance.choice('  -')}{''.join(chance.choices(parts, k=chance.randrange(1, 14)))}")
    # The client takes a line in pieces: an escape at each place around the end of one.
    return [*lines, *(f"""#SBATCH -J "{"x" * length}\\" -G8" -G2""" for length in range(240, 260))]


def test_client_and_agent_read_any_line_of_sbatch_alike(shell: Shell) -> None:
    shell.hostile = False
    lines = generated()
    file = shell.file("lines", "\n".join(lines) + "\n")
    said = [tuple(line.split("\t")) for line in shell.ok(f"{PROBE}\n( __gpu_guest lines {file} )").lines]
    assert len(said) == len(lines)
    for line, (count, time) in zip(lines, said, strict=True):
        shown = time if time == "error" else time_s(f"slurm {time}" if time else "")
        assert ("too many" if count and int(count) > 1024 else count, shown) == by_python(line), line


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["--gpus=8", "--gres='gpu:a100:2' -t 5"], "asks for 2 GPUs (#SBATCH --gres=gpu:a100:2)"),
        (["-HG2"], "asks for 2 GPUs (#SBATCH -G 2)"),
        (["--gpus-per-task 2", "-n3"], "asks for 6 GPUs (#SBATCH --gpus-per-task=2, tasks: 3)"),
        (["-t5", "--time=1:2:3:4"], "#SBATCH --time '1:2:3:4' cannot be understood"),
        (["--gpus=1025"], "#SBATCH --gpus=1025 is no number of GPUs"),
    ],
)
def test_the_client_says_which_words_count(shell: Shell, spool: Spool, lines: list[str], words: str) -> None:
    script = shell.file("t.sh", "".join(f"#SBATCH {line}\n" for line in lines))
    assert words in shell.run(f"gpu_submit {script}").err
    assert bool(spool.names("pending")) == words.startswith("asks")
