"""What gpu_status looks like, word for word, in both shells and languages and three widths; the same for programs.

The screens lie in ``screens/``.  After a change that is meant, write them anew and look at the difference::

    GPU_QUEUE_WRITE_SCREENS=1 pytest tests/shell/test_screens.py -p no:randomly -n 0
    git diff tests/shell/screens
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.shell.busy import Busy, make_busy, make_shared
from tests.shell.helpers import Shell, shells

SCREENS = Path(__file__).parent / "screens"
PLACE = "/data/gpu-queues"
LANGUAGES = {"en": "C.UTF-8", "zh": "zh_CN.UTF-8"}


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    """A root whose name is always as long: the first line is laid out by it."""
    path = Path(tempfile.mkdtemp(prefix="gpu-q_", dir="/tmp"))
    path = path.rename(path.with_name(path.name[: len(PLACE) - len("/tmp/")].ljust(len(PLACE) - len("/tmp/"), "-")))
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def busy(root: Path) -> Busy:
    return make_busy(root / "exp1")


@pytest.fixture(scope="module")
def shared(root: Path) -> Busy:
    return make_shared(root / "exp2")


@pytest.fixture(params=shells())
def looker(request: pytest.FixtureRequest, tmp_path: Path, root: Path) -> Shell:
    return Shell(str(request.param), tmp_path, root, "exp1", hostile=False)


def look(looker: Shell, busy: Busy, arguments: str = "", columns: int = 120, language: str = "C.UTF-8") -> str:
    said = looker.ok(
        f"{busy.clock}\ngpu_status {arguments}", COLUMNS=str(columns), LC_ALL="", LANG=language, TZ="UTC0"
    )
    assert said.err == ""
    return said.out.replace(str(looker.root), PLACE)


def width(line: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in line)


def compare(name: str, text: str) -> None:
    file = SCREENS / name
    if os.environ.get("GPU_QUEUE_WRITE_SCREENS"):
        SCREENS.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8"), f"{name} is to look otherwise; see the head of {__file__}"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("columns", [120, 80, 40])
def test_the_screen_is_as_it_was(looker: Shell, busy: Busy, columns: int, language: str) -> None:
    text = look(looker, busy, columns=columns, language=LANGUAGES[language])
    assert [line for line in text.splitlines() if width(line) > columns or line != line.rstrip()] == []
    compare(f"status-{columns}-{language}.txt", text)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("columns", [120, 80, 40])
def test_the_screen_of_a_shared_server_is_as_it_was(looker: Shell, shared: Busy, columns: int, language: str) -> None:
    looker.job_id = "exp2"
    text = look(looker, shared, columns=columns, language=LANGUAGES[language])
    assert [line for line in text.splitlines() if width(line) > columns or line != line.rstrip()] == []
    compare(f"shared-{columns}-{language}.txt", text)


@pytest.mark.parametrize("columns", [100, 59])
def test_no_line_is_wider_than_the_terminal_even_of_all(looker: Shell, busy: Busy, columns: int) -> None:
    for arguments in ("", "--all"):
        for language in LANGUAGES.values():
            lines = look(looker, busy, arguments, columns, language).splitlines()
            assert [line for line in lines if width(line) > columns] == []


@pytest.mark.parametrize("columns", [120, 40])
def test_every_task_stands_once(looker: Shell, busy: Busy, columns: int) -> None:
    lines = look(looker, busy, "--all", columns).splitlines()
    seen = Counter(word for line in lines for word in re.findall(r"(?<= )[0-9a-f]{6}(?=  \S)", line))
    here = [path for state in ("pending", "running/*", "failed") for path in busy.spool.path.glob(f"{state}/*-*-*-*")]
    assert len(here) == 210 + 30 + 7
    assert seen == Counter(path.name[23:29] for path in here)


# -- for programs


def test_plain_is_a_row_for_each_thing_with_fields_that_awk_can_count_on(looker: Shell, busy: Busy) -> None:
    rows = [line.split("\t") for line in look(looker, busy, "--plain").splitlines()]
    lengths = {"queue": 4, "flag": 3, "node": 7, "note": 3, "gpu": 16, "task": 14, "drop": 2, "count": 3}
    assert [row for row in rows if len(row) != lengths[row[0]] or "" in row] == []
    assert Counter(row[0] for row in rows) == Counter(
        queue=1, flag=1, node=4, note=1, gpu=24, task=30 + 210, drop=1, count=2
    )
    runs = {row[2].split("-")[1]: row for row in rows if row[:2] == ["task", "running"]}
    assert runs["c0e101"][3:] == ["500", "h100-a-1f2e3d4c", "4", "0,1,2,3", "50124", "86400", "1", "running",
                                  "pretrain-7b.sh", "-", "-"]  # fmt: skip
    assert runs["c0a323"][9:12] == ["2", "running", "训练-中文模型-第三版.sh"]
    first = next(row for row in rows if row[:2] == ["task", "waiting"])
    assert first[3:] == ["100", "-", "4", "-", "90000", "-", "0", "gpus", "sweep-lr.sh",
                         "waits for 4 GPUs: 2 idle (21 busy, 1 foreign)", "-"]  # fmt: skip
    assert [row[1:] for row in rows if row[0] == "count"] == [["failed", "7"], ["done", "5"]]


def test_plain_does_not_change_with_the_terminal(looker: Shell, busy: Busy) -> None:
    assert look(looker, busy, "--plain", 40) == look(looker, busy, "--plain", 200)


def test_json_says_the_same_as_plain(looker: Shell, busy: Busy) -> None:
    said = json.loads(look(looker, busy, "--json"))
    rows = [line.split("\t") for line in look(looker, busy, "--plain").splitlines()]
    assert (said.pop("protocol"), said.pop("queue")) == (
        1,
        {"job_id": "exp1", "directory": f"{PLACE}/exp1", "now_s": busy.now_s},
    )
    again = [[kind[:-1], *one.values()] for kind, ones in said.items() for one in ones]
    as_text = [["-" if value is None else str(value) for value in one] for one in again]
    assert sorted(as_text) == sorted(row for row in rows if row[0] != "queue")
    (running,) = [task for task in said["tasks"] if "-c0c230-" in task["id"]]
    assert running == {
        "state": "running",
        "id": running["id"],
        "priority": "500",
        "node": "h100-a-1f2e3d4c",
        "gpus": "1",
        "devices": "4",
        "seconds": 1201,
        "limit_s": 14400,
        "tries": 1,
        "stage": "running",
        "title": "train.sh",
        "reason": None,
        "queue": None,
    }


def test_queues_and_what_is_shared_are_rows_and_objects(looker: Shell, shared: Busy) -> None:
    looker.job_id = "exp2"
    rows = [line.split("\t") for line in look(looker, shared, "--plain").splitlines()]
    queues = {row[1]: row[2:] for row in rows if row[0] == "serial_queue"}
    assert queues["command_gpu_1-a1b2c3.2"] == ["busy", "2", "0", "1", "0", "3", "551", "-"]
    assert queues["command_gpu_1-a1b2c3.1"][:6] == ["busy", "3", "1", "2", "0", "0"]
    assert queues["command_gpu_1-a1b2c3.10"][:5] == ["idle", "0", "0", "4", "2"]
    assert [row[13:] for row in rows if row[0] == "gpu"][:3] == [
        [str(50 << 30), "0", "left"],
        [str(1 << 30), "0", "stranger"],
        [str(int(15.2 * (1 << 30))), "1", "-"],
    ]
    assert [row[6] for row in rows if row[0] == "node"] == ["shared"]
    said = json.loads(look(looker, shared, "--json"))
    resting = next(one for one in said["serial_queues"] if one["queue"].endswith(".2"))
    assert (resting["state"], resting["pending"], resting["failures"], resting["rests_s"]) == ("busy", 2, 3, 551)
    assert said["gpus"][5]["user_pythons"] is None
    assert {task["queue"] for task in said["tasks"] if task["state"] == "running"} == {
        "command_gpu_1-a1b2c3.1", None, "car", "评估",
    }  # fmt: skip


def test_of_many_queues_some_lines_stand_on_the_screen_and_all_where_they_are_asked_for(
    looker: Shell, root: Path
) -> None:
    many = make_shared(root / "exp3", more_queues=41)
    looker.job_id = "exp3"
    lines = look(looker, many, columns=80).splitlines()
    assert sum("Completed=" in line for line in lines) == 8
    assert "  … and 37 more; gpu_status --queues shows all of them" in lines
    alone = look(looker, many, "--queues", columns=80).splitlines()
    assert alone[0] == "QUEUES"
    assert sum("Completed=" in line for line in alone) == 45
    assert [line for line in alone if "a1b2c3.10: 🟢 IDLE" in line]  # by the name that --queue takes
    shutil.rmtree(root / "exp3")


def test_json_of_an_empty_queue_has_all_its_keys(looker: Shell, root: Path) -> None:
    for name in ("pending", "running", "done", "failed", "records", "logs", "control", "nodes/gone", "queues"):
        (root / "empty" / name).mkdir(parents=True, exist_ok=True)
    (root / "empty" / "PROTOCOL").write_text("1\n")
    looker.job_id = "empty"
    said = json.loads(looker.ok("gpu_status --json").out)
    assert list(said) == ["protocol", "queue", "flags", "nodes", "notes", "gpus", "tasks", "drops", "serial_queues",
                          "counts"]  # fmt: skip
    assert said["counts"] == [{"state": "failed", "count": 0}, {"state": "done", "count": 0}]
