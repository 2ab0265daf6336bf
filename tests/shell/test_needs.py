"""What a script asks for: the client says what the reader reads, and without it what options and #GPUQ lines say."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from gpu_queue.scripts.reader import read
from gpu_queue.scripts.reading import Reading
from tests.shell.helpers import Shell, Spool, alone, without_venv

CORPUS = Path(__file__).resolve().parents[1] / "corpus"
FILES = sorted(CORPUS.glob("*/*.sh"))
ASKS = re.compile(r"asks for (.*?) \(.*")
RUBBISH = "file\t0\tx\nneeds\t8\t-\tsbatch\t-\t-\t-\t-\t-\t-\t-\t-\n"


def reading_of(file: Path) -> Reading:
    return read(file.read_bytes(), file_name=file.name)


def said_of(reading: Reading) -> str:
    """How many GPUs, as the client has it."""
    if reading.devices:
        return ("GPU " if len(reading.devices) == 1 else "GPUs ") + ",".join(map(str, reading.devices))
    if reading.gpus_min != reading.gpus_max:
        return f"{reading.gpus_min} to {reading.gpus_max} GPUs"
    return {0: "no GPU", 1: "1 GPU"}.get(reading.gpus_min, f"{reading.gpus} GPUs")


def test_the_client_says_what_the_reader_reads(shell: Shell, spool: Spool) -> None:
    shell.limit_s = 120.0  # it is a hundred submissions
    files = [file for file in FILES[::3] if not reading_of(file).refusals and file.stat().st_size]
    said = shell.ok(f"gpu_submit -- {shlex.join(map(str, files))}").err.splitlines()
    sentences = [line for line in said if "queued as" in line]
    assert len(sentences) == len(files) > 80
    wrong = {
        file.name: (sentence, said_of(reading_of(file)))
        for file, sentence in zip(files, sentences, strict=True)
        if ASKS.search(sentence)[1] != said_of(reading_of(file))  # type: ignore[index]
        or ("at most" in sentence) != (reading_of(file).time_s is not None)
    }
    assert wrong == {}
    notes = [line for line in said if line.startswith("note: ") and "mailed" not in line and "link" not in line]
    assert len(notes) >= sum(len(reading_of(file).warnings) for file in files)


def test_what_the_reader_refuses_is_not_queued(shell: Shell, spool: Spool) -> None:
    shell.limit_s = 120.0
    refused = [file for file in FILES if reading_of(file).refusals]
    files = list({reading_of(file).refusals[0].code: file for file in refused}.values())
    said = shell.run("\n".join(f"gpu_submit {file} || echo $?" for file in files))
    refusals = [reading_of(file).refusals[0] for file in files]
    assert said.out.split() == ["1" if one.code == "bad_directive" else "2" for one in refusals]
    for line, one in zip(said.err.splitlines(), refusals, strict=True):
        assert one.english[:40] in line
        assert line.endswith("nothing was submitted")
    assert spool.names("pending") == []


def test_a_client_alone_reads_options_and_the_lines_for_it_and_says_so(shell: Shell, spool: Spool) -> None:
    shell.limit_s = 120.0
    source = alone(shell)
    readings = [(file, reading_of(file)) for file in (CORPUS / "needs").glob("*.sh")]
    files = [file for file, one in readings if one.source == "gpuq" and not one.refusals and not one.array]
    files += [file for file, one in readings if one.source == "nproc_per_node"][:2]
    said = shell.ok(f"{source}\ngpu_submit -- {shlex.join(map(str, files))}").err.splitlines()
    sentences = [line for line in said if "queued as" in line]
    assert len(sentences) == len(files) > 6
    for file, sentence in zip(files[:-2], sentences, strict=False):
        asked = ASKS.search(sentence)
        assert asked is not None
        reading = reading_of(file)
        assert asked[1] == (said_of(reading._replace(devices=())))
    assert all("asks for what its script says" in sentence for sentence in sentences[-2:])
    assert sum("the node reads all of it" in line for line in said) == 1


def test_a_client_alone_refuses_wrong_lines_for_it(shell: Shell, spool: Spool) -> None:
    shell.limit_s = 120.0
    source = alone(shell)
    files = [file for file in (CORPUS / "needs").glob("bad-*.sh") if "#GPUQ" in file.read_text()]
    said = shell.run(source + "".join(f"\ngpu_submit {file} || echo $?" for file in files))
    assert said.out.split() == ["1"] * len(files)
    assert len(files) > 8
    assert len(said.err.splitlines()) == len(files)


@pytest.mark.parametrize(
    "python",
    [
        "#!/bin/sh\nexit 1\n",
        "#!/bin/sh\nyes 'no python here' | head -c 3000000\n",
        f"#!/bin/sh\ncat <<'END'\n{RUBBISH}END\n",
        f"#!/bin/sh\ncat <<'END'\n{RUBBISH}end\nand more\nEND\n",
        f"#!/bin/sh\ncat <<'END'\n{RUBBISH.replace('8', '$(id)')}end\nEND\n",
        "",
    ],
)
def test_a_python_that_is_none_is_believed_nothing(shell: Shell, spool: Spool, python: str) -> None:
    script = shell.file("t.sh", "#GPUQ --memory 20G --nodes 2\ntorchrun --nproc_per_node 4 x.py\n")
    tools = shell.home / "tools"
    tools.mkdir()
    for name in ("python3", "python"):
        (tools / name).write_text(python)
        (tools / name).chmod(0o755)
    said = shell.ok(f"{without_venv(shell)}\ngpu_submit {script}", PATH=f"{tools}:/usr/bin:/bin")
    assert (
        "asks for what its script says on each of 2 nodes (#GPUQ --nodes 2), 20G each (#GPUQ --memory 20G)"
        in said.err
    )
    assert "the node reads all of it" in said.err
    assert len(said.lines) == 1


@pytest.mark.parametrize(
    ("variable", "value"),
    [("PYTHONPATH", "/nowhere"), ("PYTHONHOME", "/nowhere"), ("PYTHONSTARTUP", "x"), ("PYTHONIOENCODING", "ascii")]
    + [("CONDA_PREFIX", "/nowhere"), ("PYTHONWARNINGS", "error"), ("PYTHONVERBOSE", "1")],
)
def test_no_variable_changes_what_is_read(shell: Shell, spool: Spool, variable: str, value: str) -> None:
    script = shell.file("训练.sh", "torchrun --nproc_per_node 4 x.py\n")
    (shell.home / "json.py").write_text("raise SystemExit")
    (shell.home / "gpu_queue").mkdir()
    said = shell.ok(f"python3() {{ :; }}\nalias python3=:\ngpu_submit {script}", **{variable: value})
    assert "asks for 4 GPUs (torchrun --nproc_per_node 4)" in said.err
    assert "note" not in said.err


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (
            ["--gpus=8", "--gres='gpu:a100:2' -t 5"],
            "asks for 2 GPUs (#SBATCH --gres='gpu:a100:2' -t 5), at most 5m00s (line 2)",
        ),
        (["--gpus-per-task 2", "-n3"], "asks for 6 GPUs (#SBATCH --gpus-per-task 2"),
    ],
)
def test_the_client_says_which_lines_count(shell: Shell, spool: Spool, lines: list[str], words: str) -> None:
    script = shell.file("t.sh", "".join(f"#SBATCH {line}\n" for line in lines))
    assert words in shell.ok(f"gpu_submit {script}").err
    assert len(spool.names("pending")) == 1
