"""Past changes: what a console that was started anew still lists."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from gpu_queue.console.models.common import Note, Words
from gpu_queue.console.models.spools import Action
from gpu_queue.console.plans import journal
from gpu_queue.console.plans.journal import KEPT_MAX, Journal
from tests.console.plans.console import Console
from tests.shell.helpers import Spool


def action(number: int, **more: object) -> Action:
    said = Note(code="pause", text=Words(en=f"pause {number}", zh=""))
    return Action.model_validate(
        {
            "at_s": float(number),
            "who": "bo",
            "job": "exp",
            "action": "pause",
            "summary": said,
            "state": "finished",
            **more,
        }
    )


def test_a_console_that_was_started_anew_lists_what_was_done_and_offers_no_undo(tmp_path: Path, spool: Spool) -> None:
    kept = Journal(str(tmp_path / "state" / "actions.jsonl"))
    first = Console(spool.path, journal=kept)
    first.do_it("cancel", spool.add("pending", "a.sh")[4:])
    (told,) = first.get("/actions")
    first.close()
    assert told["can_undo"]
    again = Console(spool.path, journal=Journal(kept.path))
    assert again.get("/actions") == [{**told, "can_undo": False, "plan": ""}]
    again.do_it("pause")
    assert [one["action"] for one in again.get("/actions")] == ["pause", "cancel"]
    again.close()
    assert stat.S_IMODE(os.stat(kept.path).st_mode) == 0o600
    elsewhere = Journal(kept.path).read()
    assert {root for root, _ in elsewhere} == {str(spool.path)}


def test_a_change_that_the_consoles_end_cut_off_says_so(tmp_path: Path) -> None:
    kept = Journal(str(tmp_path / "actions.jsonl"))
    kept.add("p1", "/q", action(1, state="running"))
    kept.add("p2", "/q", action(2, state="running"))
    kept.add("p2", "/q", action(2, counts={"done": 3}))
    (_, whole), (_, torn) = kept.read()
    assert (whole.at_s, whole.counts, whole.problem) == (2.0, {"done": 3}, None)
    assert (torn.at_s, torn.state, torn.problem is not None and torn.problem.code) == (
        1.0,
        "finished",
        "console_ended",
    )


def test_the_last_two_hundred_are_kept_and_the_file_stays_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "READ_MAX_BYTES", 200_000)
    kept = Journal(str(tmp_path / "actions.jsonl"))
    for number in range(900):
        kept.add(f"p{number}", "/q", action(number))
    assert [one.at_s for _, one in kept.read()] == [float(number) for number in range(899, 899 - KEPT_MAX, -1)]
    assert os.path.getsize(kept.path) < 150_000
    assert os.listdir(tmp_path) == ["actions.jsonl"]


def test_whatever_lies_in_the_file_hinders_nobody(tmp_path: Path) -> None:
    path = tmp_path / "actions.jsonl"
    kept = Journal(str(path))
    kept.add("p1", "/q", action(1))
    with path.open("ab") as file:
        file.write(b'\xff\n[1]\n{"change": 1}\n{"change": "a", "queue": {}, "at_s": "x"}\n' + b"{" * 99_999)
    kept.add("p2", "/q", action(2))
    assert [one.at_s for _, one in kept.read()] == [2.0, 1.0]
    path.unlink()
    os.mkfifo(path)
    kept.add("p3", "/q", action(3))
    assert kept.read() == []
    path.unlink()
    path.symlink_to(tmp_path / "other")
    kept.add("p4", "/q", action(4))
    assert not (tmp_path / "other").exists()
