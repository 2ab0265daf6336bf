"""The examples of the documents that the dialects come from, to the letter, with what they mean; none is ever run."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpu_queue import parse_command_file, read_command_file
from gpu_queue.errors import BadCommandFile
from gpu_queue.experiments.commandfiles.blocks import Dialect, Mode
from gpu_queue.experiments.commandfiles.commands import parse_commands

DOCUMENTS = Path(__file__).parent / "documents"


def pipeline(species: str, experiments: int) -> list[str]:
    """Three lines of the documents."""
    folder = {"car": "car196", "flower": "flower102", "bird": "bird200"}[species]
    return [
        f"rm -rf {{work_dir}}/experiments/{folder}/knowledge_base",
        f"bash {{work_dir}}/scripts/set_hyperparameters.sh --experience_number {experiments}",
        f"bash {{work_dir}}/scripts/run_pipeline.sh {species} --uni_id {{uni_id}}",
    ]


def triple(species: str, experiments: int) -> list[str]:
    """The same as the Python of document 000 has it."""
    folder = {"car": "car196", "flower": "flower102", "bird": "bird200"}[species]
    return [
        f"rm -rf experiments/{folder}/knowledge_base",
        f"bash set_hyperparameters.sh --experience_number {experiments}",
        f"CUDA_VISIBLE_DEVICES={{available_gpu}} bash run_pipeline.sh {species} --uni_id {{uni_id}}",
    ]


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("000-example", [(pipeline("car", 8), 1, 20)]),
        (
            "000-triples",
            [
                (triple("car", 8), 1, 25),
                (triple("car", 5), 1, 25),
                (triple("flower", 15), 2, 25),
                (triple("flower", 5), 2, 25),
                (triple("bird", 50), 3, 25),
            ],
        ),
        ("001-optimized", [(pipeline("car", 8), 1, 20), (pipeline("flower", 5), 2, 20)]),
        ("001-usage", [(pipeline("car", 8), 1, 20), (pipeline("flower", 5), 2, 20)]),
        ("002-command_gpu", [(["python script.py --arg1 value1"], 1, 20), (["bash run.sh"], 2, 25)]),
    ],
)
def test_an_example_means_what_its_document_says(name: str, meaning: list[tuple[list[str], int, int]]) -> None:
    found = parse_command_file(DOCUMENTS / f"{name}.txt")
    assert found == meaning
    assert all(type(queue) is int and type(memory_gb) is int for _, queue, memory_gb in found)


def test_the_example_for_several_gpus_is_known_by_its_files_name(tmp_path: Path) -> None:
    file = tmp_path / "command_gpus.txt"
    file.write_bytes((DOCUMENTS / "002-command_gpus.txt").read_bytes())
    (block,) = read_command_file(file)
    assert (block.commands, block.queue) == (("python script.py --arg1 value1",), 1)
    assert (block.gpus_min, block.gpus_max, block.memory_gb) == (2, 2, 20.0)
    assert (block.first_line, block.last_line, block.command_lines, block.dialect) == (
        *(2, 8, (4,)),
        Dialect.QUEUE_FIRST,
    )


def test_the_python_of_a_document_is_read_as_python_too(tmp_path: Path) -> None:
    file = tmp_path / "compete_gpu.py"
    text = (DOCUMENTS / "000-triples.txt").read_text(encoding="utf-8")
    file.write_text(f"import os\n\n{text}\n\nif __name__ == '__main__':\n    os._exit(3)\n", encoding="utf-8")
    assert parse_command_file(file) == parse_command_file(DOCUMENTS / "000-triples.txt")


@pytest.mark.parametrize(("name", "lines"), [("000-format", (8, 13)), ("001-format", (8, 13))])
def test_the_schema_of_a_block_is_no_block(name: str, lines: tuple[int, ...]) -> None:
    with pytest.raises(BadCommandFile) as told:
        parse_command_file(DOCUMENTS / f"{name}.txt")
    places = [problem.rpartition(": expected queue,memory")[0] for problem in told.value.problems]
    assert places == [f"{DOCUMENTS / name}.txt:{line}" for line in lines]


@pytest.mark.parametrize("name", ["000-format", "001-format"])
def test_with_numbers_for_its_words_the_schema_is_one(name: str) -> None:
    text = (DOCUMENTS / f"{name}.txt").read_text(encoding="utf-8")
    schema = text.splitlines()[7]
    parsed = parse_commands(text.replace(schema, "3,20"), Mode.SINGLE)
    assert parsed.problems == ()
    assert [(block.queue, block.memory_gb, len(block.commands)) for block in parsed.blocks] == [
        (3, 20.0, 3),
        (3, 20.0, 2),
    ]
