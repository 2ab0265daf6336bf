"""gpu_keepalive and gpu_report: what they make of the files that agents write, here written by the test."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from gpu_queue.keepalive.ledger import Kind, Ledger
from gpu_queue.spool.pages import GpuPage, KeepPage, TryPage
from gpu_queue.states import GpuState
from tests.shell.helpers import Shell, Spool, read_until

NODE = "n1-00000001"
OTHER = "n2-00000002"
HOLDING = KeepPage("holding", duty=0.78, held_bytes=48 << 30)
TODAY = time.strftime("%Y-%m-%d")
YESTERDAY = time.strftime("%Y-%m-%d", time.localtime(time.time() - 86400))


def off(reason: str, off_by: str = "") -> KeepPage:
    return KeepPage("off", reason, off_by=off_by)


def gpus(*keeps: KeepPage | None, state: GpuState = GpuState.IDLE) -> tuple[GpuPage, ...]:
    """A GPU for each, in order."""
    return tuple(
        GpuPage(f"GPU-{index}", index, "simulated 80G", state, 80 << 30, 48 << 30, 77, keepalive=keep)
        for index, keep in enumerate(keeps)
    )


def ledger(spool: Spool, node: str, *entries: tuple[str, str, int, Kind, float, float | None]) -> None:
    """Write a node's ledger: day, UUID, index, kind, hours, kWh."""
    written = Ledger()
    for day, uuid, index, kind, hours, kwh in entries:
        written.add(day, uuid, "NVIDIA H100", index, kind, hours * 3600, None if kwh is None else kwh * 3.6e6)
    (spool.path / "ledger").mkdir(exist_ok=True)
    (spool.path / "ledger" / f"{node}.tsv").write_text(written.text())


def table(lines: list[str]) -> dict[str, list[str]]:
    """The numbers of a report by the title of their row."""
    found = [re.fullmatch(r"(\S.*?)((?: +(?:>?[0-9.]+|-)){6})", line) for line in lines]
    return {one[1]: one[2].split() for one in found if one}


# -- gpu_keepalive


def test_off_says_who_and_why_until_on_ends_it(shell: Shell, spool: Spool) -> None:
    said = shell.ok("gpu_keepalive off too 'hot here'; gpu_status; gpu_keepalive status")
    assert (spool.path / "keepalive-off").read_text().startswith("alice@")
    assert (spool.path / "keepalive-off").read_text().endswith(": too hot here\n")
    assert said.lines[0] == "keep-alive is off; gpu_keepalive on ends it"
    told = [line for line in said.lines if line.startswith("keep-alive is off: alice@")]
    assert len(told) == 2
    assert all(line.endswith(": too hot here; gpu_keepalive on ends it") for line in told)
    assert shell.ok("gpu_keepalive on; gpu_status | \\command grep -c keep-alive || :").lines == [
        "keep-alive is on",
        "0",
    ]
    assert not (spool.path / "keepalive-off").exists()
    assert shell.ok("gpu_keepalive on").lines == ["keep-alive was not switched off"]


def test_a_hand_made_switch_without_words_counts(shell: Shell, spool: Spool) -> None:
    (spool.path / "keepalive-off").touch()
    assert shell.ok("gpu_keepalive").lines[0] == "keep-alive is off; gpu_keepalive on ends it"


def test_resume_leaves_the_keep_alive_off(shell: Shell, spool: Spool) -> None:
    shell.ok("gpu_keepalive off; gpu_pause; gpu_resume")
    assert (spool.path / "keepalive-off").exists()


def test_status_shows_the_gpus_of_living_nodes_and_nothing_else(shell: Shell, spool: Spool) -> None:
    spool.node(
        NODE, gpus=gpus(HOLDING, None), problems=("keep-alive",), running=(TryPage("x", "x", "running", (1,), 1.0),)
    )
    spool.node(OTHER, gpus=gpus(HOLDING), age_s=3600)
    assert shell.ok("gpu_keepalive").lines == [
        "keep-alive is on",
        "",
        "n1  serving  2 × simulated 80G",
        "    0 idle     77%   48/80G  holding, duty 78%, holds 48G",
        "    1 idle     77%   48/80G",
    ]


@pytest.mark.parametrize("columns", [40, 120])
def test_status_says_equal_reasons_once_for_a_node(shell: Shell, spool: Spool, columns: int) -> None:
    why = "no torch in /opt/conda/bin/python: pip install torch"
    spool.node(NODE, gpus=gpus(off(why), HOLDING, off(why)))
    spool.node(OTHER, gpus=gpus(off("a task has it"), state=GpuState.BUSY))
    lines = shell.ok("gpu_keepalive", COLUMNS=str(columns)).lines
    assert [line.split()[:2] + line.split()[-1:] for line in lines if line.startswith("    ")] == [
        ["0", "idle", "off"],
        ["1", "idle", "…" if columns == 40 else "48G"],
        ["2", "idle", "off"],
        ["0", "busy", "77%" if columns == 40 else "48/80G"],
    ]
    assert max(map(len, lines)) <= columns
    assert " ".join(line.strip() for line in lines).count(f"keep-alive off on GPU 0,2: {why}") == 1


def test_what_a_task_keeps_the_filler_from_is_not_worth_a_line(shell: Shell, spool: Spool) -> None:
    spool.node(NODE, gpus=gpus(off("a task has it"), state=GpuState.BUSY))
    assert not any("keep-alive off" in line for line in shell.ok("gpu_keepalive").lines)


def test_on_and_off_tell_what_the_agents_make_of_it(shell: Shell, spool: Spool) -> None:
    spool.node(NODE, gpus=gpus(HOLDING, None))
    process = shell.start("gpu_keepalive off hot; gpu_keepalive on", GPU_QUEUE_PATIENCE="10")
    read_until(process, "ends it\n")
    spool.node(NODE, gpus=gpus(off("switched off by alice@n: hot", "people")))
    assert read_until(process, "\n") == f"{NODE}: 1 off (switched off by alice@n: hot)\n"
    assert read_until(process, "\n") == "keep-alive is on\n"
    spool.node(NODE, gpus=gpus(HOLDING, off("a task has it"), HOLDING, None))
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, f"{NODE}: 2 holding, 1 off (a task has it)\n"), err


def test_what_an_agents_own_settings_say_is_told_and_not_waited_for(shell: Shell, spool: Spool) -> None:
    spool.node(NODE, gpus=gpus(off("switched off by the settings", "settings")))
    said = shell.ok("gpu_keepalive on", GPU_QUEUE_PATIENCE="900")
    assert said.lines[1] == f"{NODE}: 1 off (switched off by the settings)"


def test_an_agent_that_does_not_obey_soon_is_not_waited_for(shell: Shell, spool: Spool) -> None:
    spool.node(NODE, gpus=gpus(HOLDING))
    spool.node(OTHER, gpus=gpus(None, state=GpuState.BUSY))
    said = shell.ok("gpu_keepalive off")
    assert said.lines[1:] == [
        f"{OTHER}: no idle GPU",
        f"{NODE}: still 1 holding; gpu_keepalive status shows when it has obeyed",
    ]


@pytest.mark.parametrize("arguments", ["of", "on now", "status now", "--off"])
def test_a_wrong_switch_is_told(shell: Shell, spool: Spool, arguments: str) -> None:
    said = shell.run(f"gpu_keepalive {arguments}")
    assert (said.status, said.out, len(said.err.splitlines())) == (2, "", 1)
    assert not (spool.path / "keepalive-off").exists()


# -- gpu_report


@pytest.fixture(params=["mawk", "busybox", "gawk", "original-awk"])
def awk(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A PATH in which awk is this one."""
    found = shutil.which(str(request.param))
    if found is None:
        pytest.skip(f"no {request.param} here; install it to test its users' way")
    tried = subprocess.run([found, "awk", "1"], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if tried.returncode > 2:
        pytest.skip(f"{request.param} has no awk here")
    (tmp_path / "awk").mkdir()
    (tmp_path / "awk" / "awk").symlink_to(found)
    return f"{tmp_path}/awk:{os.environ['PATH']}"


def test_report_adds_up_the_nodes_by_day(shell: Shell, spool: Spool, awk: str) -> None:
    ledger(
        spool,
        NODE,
        (YESTERDAY, "GPU-a", 0, Kind.FILLER, 10, 2),
        (TODAY, "GPU-a", 0, Kind.TASK, 3, 1.5),
        (TODAY, "GPU-a", 0, Kind.IDLE, 1, 0.25),
    )
    ledger(spool, OTHER, (TODAY, "GPU-b", 0, Kind.TASK, 0.5, 0.5))
    said = shell.ok("gpu_report", PATH=awk)
    rows = table(said.lines)
    assert list(rows) == [YESTERDAY, TODAY, "total"]
    assert rows[YESTERDAY] == ["0.00", "10.00", "0.00", "0.00", "2.00", "0.00"]
    assert rows[TODAY] == ["3.50", "0.00", "1.00", "2.00", "0.00", "0.25"]
    assert rows["total"] == ["3.50", "10.00", "1.00", "2.00", "2.00", "0.25"]
    assert said.lines[-1].startswith("counted until ")


def test_what_a_light_filler_spends_beside_a_task_is_the_keep_alives_and_the_time_is_the_tasks(
    shell: Shell, spool: Spool, awk: str
) -> None:
    ledger(
        spool,
        NODE,
        (YESTERDAY, "GPU-a", 0, Kind.TASK, 3, 1.5),
        (YESTERDAY, "GPU-a", 0, Kind.LIGHT, 2, 0.5),
        (YESTERDAY, "GPU-a", 0, Kind.FILLER, 1, 0.25),
        (TODAY, "GPU-a", 0, Kind.LIGHT, 2, None),
    )
    rows = table(shell.ok("gpu_report", PATH=awk).lines)
    assert rows[YESTERDAY] == ["5.00", "1.00", "0.00", "1.50", "0.75", "0.00"]
    assert rows[TODAY] == ["2.00", "0.00", "0.00", "0.00", "-", "0.00"]


def test_a_table_from_before_light_fillers_were_told_apart_is_read(shell: Shell, spool: Spool, awk: str) -> None:
    ledger(spool, NODE, (TODAY, "GPU-a", 0, Kind.TASK, 3, 1.5))
    file = spool.path / "ledger" / f"{NODE}.tsv"
    old = ["\t".join(line.split("\t")[:11]) for line in file.read_text().splitlines()]
    for end in ("\n", "\r\n"):
        file.write_text(end.join(old) + end)
        assert table(shell.ok("gpu_report", PATH=awk).lines)[TODAY] == [
            "3.00",
            "0.00",
            "0.00",
            "1.50",
            "0.00",
            "0.00",
        ]


def test_report_by_gpu_tells_hosts_apart_and_not_their_boots(shell: Shell, spool: Spool, awk: str) -> None:
    ledger(spool, "node7-00000001", (YESTERDAY, "GPU-a", 10, Kind.TASK, 1, 1), (TODAY, "GPU-b", 2, Kind.IDLE, 1, 0))
    ledger(spool, "node7-abcdef01", (TODAY, "GPU-a", 10, Kind.TASK, 2, 1))
    ledger(spool, "node8-abcdef01", (TODAY, "GPU-a", 0, Kind.TASK, 4, 1))
    rows = table(shell.ok("gpu_report --by-gpu", PATH=awk).lines)
    names = ["node7 GPU 2  NVIDIA H100", "node7 GPU 10  NVIDIA H100", "node8 GPU 0  NVIDIA H100", "total"]
    assert list(rows) == names
    assert [rows[name][0] for name in names] == ["0.00", "3.00", "4.00", "7.00"]


def test_energy_that_nobody_measured_is_no_zero(shell: Shell, spool: Spool, awk: str) -> None:
    ledger(
        spool,
        NODE,
        (YESTERDAY, "GPU-a", 0, Kind.FILLER, 1, None),
        (TODAY, "GPU-a", 0, Kind.FILLER, 1, 0.5),
        (TODAY, "GPU-a", 0, Kind.FILLER, 1, None),
    )
    said = shell.ok("gpu_report", PATH=awk)
    rows = table(said.lines)
    assert rows[YESTERDAY][3:] == ["0.00", "-", "0.00"]
    assert rows[TODAY][3:] == ["0.00", ">0.50", "0.00"]
    assert rows["total"][3:] == ["0.00", ">0.50", "0.00"]
    assert any(line.startswith("-  not measured") for line in said.lines)
    assert any(line.startswith(">  at least") for line in said.lines)
    ledger(spool, NODE, (TODAY, "GPU-a", 0, Kind.FILLER, 1, 0.5))
    assert not any("measured" in line for line in shell.ok("gpu_report", PATH=awk).lines)


def test_lines_that_are_none_cost_no_more_than_themselves(shell: Shell, spool: Spool, awk: str) -> None:
    ledger(spool, NODE, (TODAY, "GPU-a", 0, Kind.TASK, 1, 1))
    good = (spool.path / "ledger" / f"{NODE}.tsv").read_text().splitlines()[1]
    bad = [
        "",
        "garbage",
        good.replace("3600.0", "x"),
        good.replace("3600.0", "-3600.0"),
        good.replace("3600.0", "1e9"),
        good.replace("3600.0", "9" * 400),
        good.replace(TODAY, "2026-99-99"),
        good.replace(TODAY, "today"),
        good.replace("GPU-a", ""),
        good.replace("\t0\t", "\tfirst\t", 1),
        good.rpartition("\t")[0],
    ]
    (spool.path / "ledger" / f"{NODE}.tsv").write_text("\n".join([*bad, good + "\r", good + "\tlater", good[:-3]]))
    (spool.path / "ledger" / "x=y.tsv").write_bytes(os.urandom(4096))
    (spool.path / "ledger" / "directory.tsv").mkdir()
    (spool.path / "ledger" / "nowhere.tsv").symlink_to("gone")
    rows = table(shell.ok("gpu_report --by-gpu", PATH=awk).lines)
    assert rows["total"] == ["2.00", "0.00", "0.00", "2.00", "0.00", "0.00"]
    assert list(rows) == ["n1 GPU 0  NVIDIA H100", "total"]


def test_a_cards_name_cannot_speak_to_the_terminal(shell: Shell, spool: Spool, awk: str) -> None:
    ledger(spool, NODE, (TODAY, "GPU-a", 0, Kind.TASK, 1, 1))
    file = spool.path / "ledger" / f"{NODE}.tsv"
    file.write_text(file.read_text().replace("NVIDIA", "\x1b[31mNVIDIA" + "x" * 500))
    out = shell.ok("gpu_report --by-gpu", PATH=awk).out
    assert "\x1b" not in out
    assert max(map(len, out.splitlines())) < 160


def test_report_knows_how_many_days(shell: Shell, spool: Spool) -> None:
    long_ago = time.strftime("%Y-%m-%d", time.localtime(time.time() - 50 * 86400))
    ledger(spool, NODE, (long_ago, "GPU-a", 0, Kind.TASK, 1, 1), (TODAY, "GPU-a", 0, Kind.TASK, 1, 1))
    assert list(table(shell.ok("gpu_report").lines)) == [TODAY, "total"]
    assert list(table(shell.ok("gpu_report --days=60").lines)) == [long_ago, TODAY, "total"]


@pytest.mark.parametrize("arguments", ["--days", "--days 0", "--days=x", "--days -1", "--all", "3"])
def test_a_wrong_question_is_told(shell: Shell, spool: Spool, arguments: str) -> None:
    assert spool.path.is_dir()
    said = shell.run(f"gpu_report {arguments}")
    assert (said.status, said.out, len(said.err.splitlines())) == (2, "", 1)


def test_an_empty_ledger_is_told_in_one_line(shell: Shell, spool: Spool) -> None:
    for _ in range(2):
        said = shell.ok("gpu_report --days 7")
        assert (said.out, len(said.err.splitlines())) == ("", 1)
        assert "nothing was counted in the last 7 days" in said.err
        ledger(spool, NODE)


def test_report_says_until_when_it_is_complete(shell: Shell, spool: Spool) -> None:
    def written(node: str, age_s: float) -> None:
        ledger(spool, node, (TODAY, "GPU-a", 0, Kind.TASK, 1, 1))
        then = time.time() - age_s
        os.utime(spool.path / "ledger" / f"{node}.tsv", (then, then))

    written("gone-00000003", 7200)
    assert shell.ok("gpu_report").lines[-1] == "counted until 2h00m ago; no agent is alive"
    spool.node(NODE)
    spool.node(OTHER)
    written(NODE, 0)
    written(OTHER, 190)
    assert shell.ok("gpu_report").lines[-1].startswith("counted until 3m")


def test_without_awk_it_says_what_is_missing(shell: Shell, spool: Spool, tmp_path: Path) -> None:
    ledger(spool, NODE, (TODAY, "GPU-a", 0, Kind.TASK, 1, 1))
    (tmp_path / "few").mkdir()
    for name in ("stat", "rm", "date", "od", "find", "sort"):
        (tmp_path / "few" / name).symlink_to(str(shutil.which(name)))
    program = shutil.which(shell.program)
    assert program
    shell.program = program
    said = shell.run("gpu_report", PATH=f"{tmp_path}/few")
    assert said.status == 1
    assert "is awk installed here?" in said.err
