"""What keeps a queue served, on its storage."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gpu_queue.kept import Keep, Outcome, Slot
from gpu_queue.spool import keeping
from gpu_queue.spool.filesystem import make_spool
from gpu_queue.spool.paths import SpoolPaths, parse_slot

OURS = frozenset({os.geteuid()})
NONCE = "0123456789ab"


@pytest.fixture
def paths(tmp_path: Path) -> SpoolPaths:
    made = SpoolPaths(str(tmp_path / "exp"))
    make_spool(made)
    return made


def put(path: str, text: str) -> None:
    Path(path).write_text(text)


def test_of_two_who_take_the_right_to_submit_one_has_it(paths: SpoolPaths) -> None:
    assert keeping.make_token(paths, Slot(1, 2), NONCE, "n1", Slot(1, 1))
    assert not keeping.make_token(paths, Slot(1, 2), "f" * 12, "n2", Slot(1, 1))
    (token,) = keeping.look(paths, OURS).tokens
    assert (token.slot, token.nonce, token.outcome, token.is_successor) == (Slot(1, 2), NONCE, Outcome.OPEN, True)


def test_what_came_of_a_token_is_read_from_it(paths: SpoolPaths) -> None:
    put(paths.slot(Slot(1, 1)), f"nonce {NONCE}\nby a@b\nsubmitted 12 13\n")
    put(paths.slot(Slot(2, 1)), f"nonce {NONCE}\nrefused 75\n")
    put(paths.slot(Slot(3, 1)), f"nonce {NONCE}\nunknown\n")
    keeping.mark_began(paths, Slot(1, 1))
    keeping.mark_began(paths, Slot(1, 1))
    found = {str(one.slot): (one.outcome, one.ids, one.began) for one in keeping.look(paths, OURS).tokens}
    assert found == {
        "1.1": (Outcome.SUBMITTED, ("12", "13"), True),
        "2.1": (Outcome.REFUSED, (), False),
        "3.1": (Outcome.UNKNOWN, (), False),
    }


def test_what_nobody_has_written_so_hinders_nothing(paths: SpoolPaths) -> None:
    os.mkfifo(paths.slot(Slot(1, 1)))
    os.symlink("/etc/passwd", paths.slot(Slot(1, 2)))
    os.mkdir(paths.slot(Slot(1, 3)))
    put(paths.slot(Slot(1, 4)), "")
    Path(paths.slot(Slot(1, 5))).write_bytes(b"nonce \xff\x1b[31m../..\nsubmitted \x1b]0;x\x07\n")
    for name in ("slot-0.1", "slot-1.01", "slot-1.1.1", "slot-99999.1", "slot-1.9999999", "slot--1.1", "slot-1.2\n"):
        put(f"{paths.allocations}/{name}", f"nonce {NONCE}\n")
    seen = keeping.look(paths, OURS)
    assert [(one.slot.generation, one.nonce) for one in seen.tokens] == [(5, ""), (4, ""), (3, ""), (2, ""), (1, "")]
    assert all(one.isprintable() for token in seen.tokens for one in token.ids)
    assert seen.keep is None


def test_a_strangers_keep_and_tokens_say_nothing(paths: SpoolPaths) -> None:
    put(paths.keep, "slots 2\n")
    put(paths.slot(Slot(1, 1)), f"nonce {NONCE}\n")
    seen = keeping.look(paths, frozenset({os.geteuid() + 1}))
    assert seen.keep is None
    assert "belongs to uid" in seen.problem
    assert [one.nonce for one in seen.tokens] == [""]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can leave a file to somebody else")
def test_that_an_agent_began_is_believed_of_nobody_else(paths: SpoolPaths) -> None:
    put(paths.slot(Slot(1, 1)), f"nonce {NONCE}\n")
    put(paths.slot_began(Slot(1, 1)), "")
    assert keeping.look(paths, OURS).tokens[0].began
    os.chown(paths.slot_began(Slot(1, 1)), 4242, 4242)
    assert not keeping.look(paths, OURS).tokens[0].began


@pytest.mark.parametrize(
    "text",
    [
        "",
        "slots\n",
        "slots 0\n",
        "slots 12345\n",
        "slots \u0663\n",
        "slots -1\n",
        "slots 02\n",
        "slots 2 \n",
        "\0" * 99,
        "slots 0000000019999999\n",
        f"slots 00000001{'9' * 5000}\n",
    ],
)
def test_a_keep_without_a_number_keeps_nothing_and_says_so(paths: SpoolPaths, text: str) -> None:
    put(paths.keep, text)
    seen = keeping.look(paths, OURS)
    assert seen.keep is None
    assert "expected a line like: slots 2" in seen.problem


def test_only_what_holds_our_nonce_is_withdrawn(paths: SpoolPaths) -> None:
    keeping.make_token(paths, Slot(1, 2), "f" * 12, "n2", Slot(1, 1))
    keeping.withdraw(paths, Slot(1, 2), NONCE)
    assert os.path.exists(paths.slot(Slot(1, 2)))
    keeping.withdraw(paths, Slot(1, 2), "f" * 12)
    keeping.withdraw(paths, Slot(1, 2), "f" * 12)
    assert not os.path.exists(paths.slot(Slot(1, 2)))


def test_giving_up_leaves_the_reason_before_what_was_asked_for(paths: SpoolPaths) -> None:
    put(paths.keep, "slots 2\nway moon\ngpus 4\ncan_wait 1\n")
    os.utime(paths.keep, (5, 5))
    seen = keeping.look(paths, OURS)
    assert seen.keep == Keep(2, 5.0, True, "4")
    keeping.pause(paths, "three\nof them\x1b[31m failed")
    seen = keeping.look(paths, OURS)
    assert (seen.keep, seen.paused) == (None, "three?of them?[31m failed")
    assert Path(paths.keep_paused).read_text().endswith("\nslots 2\nway moon\ngpus 4\ncan_wait 1\n")
    keeping.unkeep(paths)
    assert keeping.look(paths, OURS).paused is None


def test_old_generations_are_forgotten_and_the_latest_never(paths: SpoolPaths) -> None:
    for generation in range(1, 31):
        put(paths.slot(Slot(1, generation)), f"nonce {NONCE}\n")
        keeping.mark_began(paths, Slot(1, generation))
        os.utime(paths.slot(Slot(1, generation)), (0, 0))
    seen = keeping.look(paths, OURS)
    keeping.forget_old(paths, seen.tokens, seen.now_s)
    left = [parsed for name in os.listdir(paths.allocations) if (parsed := parse_slot(name)) is not None]
    assert sorted({slot.generation for slot, _ in left}) == list(range(11, 31))
    assert len(left) == 40
