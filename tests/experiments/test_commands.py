"""Command files: what each line means, what is said of a wrong one, and that nothing else can come of a file."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_queue import parse_command_file, read_command_file
from gpu_queue.errors import BadCommandFile
from gpu_queue.experiments.commandfiles.blocks import Block, Dialect, Mode, index_of, mode_of
from gpu_queue.experiments.commandfiles.commands import parse_commands, unquoted
from tests.experiments import broken


def blocks(text: str, mode: Mode = Mode.SINGLE) -> list[tuple[tuple[str, ...], int, float, str]]:
    parsed = parse_commands(text, mode)
    assert parsed.problems == ()
    return [(block.commands, block.queue, block.memory_gb, block.gpus) for block in parsed.blocks]


def test_broken_files_are_told_of_in_these_words() -> None:
    assert broken.told() == broken.GOLDEN.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("mode", "name"),
    [*((Mode.SINGLE, name) for name in broken.SINGLE), *((Mode.MULTI, name) for name in broken.MULTI)],
    ids=str,
)
def test_a_broken_file_names_lines_that_it_has(mode: Mode, name: str) -> None:
    text = (broken.SINGLE if mode is Mode.SINGLE else broken.MULTI)[name]
    problems = parse_commands(text, mode).problems
    assert problems
    assert all(1 <= one.line <= text.count("\n") + 1 and one.text.isprintable() for one in problems)


def test_dialects_may_stand_in_one_file() -> None:
    text = 'a\n1,20\nb\n 2 , 25.5 # two\n\n3 #three\n\'c\'\n"d \\"e\\" \\\\" # quoted\n30 GB #memory\n'
    assert blocks(text) == [
        (("a",), 1, 20.0, "1"),
        (("b",), 2, 25.5, "1"),
        (("c", 'd "e" \\'), 3, 30.0, "1"),
    ]


def test_a_full_comma_a_mark_in_front_and_windows_lines_are_no_fault(tmp_path: Path) -> None:
    file = tmp_path / "command.txt"
    file.write_bytes("\ufeffbash a.sh\r\n1\uff0c20\r\n".encode())
    assert parse_command_file(file) == [(["bash a.sh"], 1, 20)]


def test_several_gpus_stand_before_the_memory_in_every_dialect() -> None:
    text = "1\na\n2-4 # cards\n20\n\nb\n2,8,30\n"
    assert blocks(text, Mode.MULTI) == [(("a",), 1, 20.0, "2-4"), (("b",), 2, 30.0, "8")]
    assert blocks("[(['a'], 1, '2-4', 20), (['b'], 2, 8, 30)]", Mode.MULTI) == [
        (("a",), 1, 20.0, "2-4"),
        (("b",), 2, 30.0, "8"),
    ]


def test_a_line_that_only_begins_with_a_quote_is_a_command_as_it_is() -> None:
    assert unquoted('"my program" --fast') == '"my program" --fast'
    assert unquoted("'a' && 'b' # done") == "'a' && 'b' # done"


def test_a_comment_within_a_command_is_the_shells() -> None:
    assert blocks("1\nbash a.sh # first\n20\n") == [(("bash a.sh # first",), 1, 20.0, "1")]


@pytest.mark.parametrize(
    ("name", "mode", "index"),
    [
        ("command.txt", Mode.SINGLE, 0),
        ("command_bk.txt", Mode.SINGLE, 0),
        ("command_gpu.txt", Mode.SINGLE, 0),
        ("command_gpu_2.txt", Mode.SINGLE, 2),
        ("command_gpus.txt", Mode.MULTI, 0),
        ("command_gpus_1.txt", Mode.MULTI, 1),
        ("command_gpus_old.txt", Mode.SINGLE, 0),
    ],
)
def test_a_name_says_for_how_many_gpus_it_is(name: str, mode: Mode, index: int) -> None:
    assert (mode_of(name), index_of(name)) == (mode, index)


def test_a_list_in_python_is_never_executed(tmp_path: Path) -> None:
    file = tmp_path / "tasks.py"
    file.write_text(f"import os\nos.mkdir({str(tmp_path / 'made')!r})\ncommand_tasks = [(['a'], 1, 2)]\n")
    assert parse_command_file(file) == [(["a"], 1, 2)]
    assert not (tmp_path / "made").exists()


def test_a_test_of_the_shell_is_no_list() -> None:
    assert blocks("[ -f x ] && bash a.sh\n1,20\n") == [(("[ -f x ] && bash a.sh",), 1, 20.0, "1")]


def test_bytes_that_are_no_characters_stay_what_they_are(tmp_path: Path) -> None:
    file = tmp_path / "command.txt"
    file.write_bytes(b"# \xb3\xb5\ncat \xb3\xb5.txt\n1,20\n")
    assert os.fsencode(read_command_file(file)[0].commands[0]) == b"cat \xb3\xb5.txt"


def test_what_is_no_file_is_told_of_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "", "missing", "a\0b"):
        with pytest.raises(BadCommandFile):
            parse_command_file(tmp_path / name if "\0" not in name else name)


def test_a_file_without_end_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "command.txt"
    with file.open("wb") as sparse:
        sparse.truncate(1 << 33)
    with pytest.raises(BadCommandFile, match="at most 4 MiB"):
        parse_command_file(file)


def test_of_very_many_problems_the_first_are_told(tmp_path: Path) -> None:
    file = tmp_path / "command.txt"
    file.write_text("1\n\n" * 500)
    with pytest.raises(BadCommandFile) as told:
        parse_command_file(file)
    assert len(told.value.problems) == 101
    assert told.value.problems[-1].endswith(":201: and 400 more problems from here on")


@pytest.mark.parametrize(
    "line", ["1" + " " * 200_000 + "x", "1," + " " * 200_000 + "x", "1" * 200_000, "'" * 200_001]
)
def test_a_line_without_end_is_read_at_once(line: str) -> None:
    started_s = time.process_time()
    parse_commands(f"{line}\n1,20\n", Mode.SINGLE)
    assert time.process_time() - started_s < 2


@pytest.mark.parametrize("deep", ["-" * 300_000 + "1", "a" + "+a" * 300_000, "[" * 90_000, "a" + ".b" * 300_000])
def test_python_without_end_is_a_problem_like_others(deep: str) -> None:
    (problem,) = parse_commands(f"command_tasks = [({deep}, 1, 2)]", Mode.SINGLE).problems
    assert problem.text.startswith("expected a list in Python: ")


def test_a_backslash_in_python_is_the_shells() -> None:
    assert blocks(r"[(['grep \d+\.txt', 'sed s/\d//'], 1, 2)]") == [(("grep \\d+\\.txt", "sed s/\\d//"), 1, 2.0, "1")]


# -- whatever stands in a file

PIECES = st.sampled_from(
    [
        "1",
        "20",
        "1,20",
        "2-4",
        "1,2,20",
        '"',
        "'",
        "\\",
        "#",
        "bash a.sh",
        '"bash b.sh"',
        "",
        " ",
        "[(",
        "])",
        "['a'],",
    ]
    + ["command_tasks = [", "\uff0c", "\u2028", "\x0b", "\x85", "\ufeff", "\udcff", "1 # one", "-1", "1.5", "9" * 30]
)
LINES = st.lists(st.one_of(PIECES, st.text(max_size=20)), max_size=4).map("".join)
FILES = st.one_of(st.text(max_size=300), st.lists(LINES, max_size=15).map("\n".join))


@given(FILES, st.sampled_from(Mode), st.booleans())
def test_any_text_has_blocks_or_problems_with_lines(text: str, mode: Mode, is_python: bool) -> None:
    parsed = parse_commands(text, mode, is_python=is_python)
    assert parsed.blocks or parsed.problems
    last = text.count("\n") + 1
    for problem in parsed.problems:
        assert 1 <= problem.line <= last + text.count("\r") + text.count("\f") + 1
        assert "expected" in problem.text
    for block in parsed.blocks:
        assert block.commands
        assert all(command.strip() and "\0" not in command for command in block.commands)
        assert 1 <= block.gpus_min <= block.gpus_max
        assert len(block.command_lines) == len(block.commands)


def written(block: Block, mode: Mode) -> str:
    """A block as a person would write it."""
    memory = f"{block.memory_gb:g}"
    if block.dialect is Dialect.PYTHON:
        gpus = [block.gpus] if mode is Mode.MULTI else []
        return f"[{(list(block.commands), block.queue, *gpus, float(memory))!r}]"
    commands = ['"' + command.replace("\\", "\\\\").replace('"', '\\"') + '"' for command in block.commands]
    gpus = [block.gpus] if mode is Mode.MULTI else []
    if block.dialect is Dialect.QUEUE_LAST:
        return "\n".join([*commands, ",".join([str(block.queue), *gpus, memory])])
    return "\n".join([f"{block.queue} # queue", *commands, *gpus, f"{memory} # memory"])


COMMANDS = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0\n"), min_size=1).filter(
    lambda text: text.strip() != ""
)
BLOCKS = st.builds(
    lambda commands, queue, memory_gb, gpus, dialect: Block(
        tuple(commands), queue, memory_gb, min(gpus), max(gpus), dialect=dialect
    ),
    st.lists(COMMANDS, min_size=1, max_size=4),
    st.integers(0, 999_999_999),
    st.integers(0, 400).map(lambda half: half / 2),
    st.tuples(st.integers(1, 64), st.integers(1, 64)),
    st.sampled_from([Dialect.QUEUE_FIRST, Dialect.QUEUE_LAST]),
)


@given(st.lists(BLOCKS, min_size=1, max_size=4), st.sampled_from(Mode))
def test_what_is_written_is_what_is_read(wanted: list[Block], mode: Mode) -> None:
    text = "\n\n# the next\n".join(written(block, mode) for block in wanted)
    found = blocks(text, mode)
    assert found == [
        (block.commands, block.queue, block.memory_gb, block.gpus if mode is Mode.MULTI else "1") for block in wanted
    ]


@given(BLOCKS, st.sampled_from(Mode))
def test_what_python_writes_is_what_is_read(wanted: Block, mode: Mode) -> None:
    as_python = Block(wanted.commands, wanted.queue, wanted.memory_gb, wanted.gpus_min, wanted.gpus_max)
    text = written(Block(**{**vars(as_python), "dialect": Dialect.PYTHON}), mode)
    (found,) = blocks(text, mode)
    assert found == (
        *(wanted.commands, wanted.queue, wanted.memory_gb),
        wanted.gpus if mode is Mode.MULTI else "1",
    )


@pytest.mark.parametrize(
    "unit",
    [
        "a\n",
        "\n",
        "1\n",
        "a\n1,20\n",
        "1\na\n20\n\n",
        '"a\n',
        "1,",
        "\\\n",
        "[(['a'],1,2),",
        "{work_dir}/",
        "\uff03\uff0c",
    ],
)
def test_a_long_file_is_read_in_a_time_that_grows_with_its_length(unit: str) -> None:
    begun_s = time.process_time()
    for mode in Mode:
        parse_commands(unit * (40_000 // len(unit)), mode)
    assert time.process_time() - begun_s < 3
