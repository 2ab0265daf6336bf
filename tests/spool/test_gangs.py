"""The directory in which the nodes of a task meet: each step is one rename, and of two who differ one wins."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gpu_queue.spool import gangs
from gpu_queue.spool.filesystem import make_spool
from gpu_queue.spool.gangs import Gangs, Part, Rank, Ranks
from gpu_queue.spool.paths import SpoolPaths, claim_name, parse_rank_log
from gpu_queue.spool.store import Moved
from gpu_queue.states import GangStage as Stage
from gpu_queue.task import Claim, End, RankEnd, Why

TASK = "20261130T120000000-abcdef-train.sh"
GANG = Claim(500, TASK, 2, "000001")
ONE, TWO = Claim(500, TASK, 2, "00000a"), Claim(500, TASK, 2, "00000b")
HERE = Part("n1-aaaaaaaa", "n1", "10.0.0.1", ("GPU-1",), (0,))
THERE = Part("n2-bbbbbbbb", "n2", "10.0.0.2", ("GPU-2",), (3,))
WITHDRAWN = End(255, Why.REQUEUE)


@pytest.fixture
def paths(tmp_path: Path) -> SpoolPaths:
    made = SpoolPaths(str(tmp_path / "spool"))
    make_spool(made)
    gangs.call(made, GANG, HERE)
    return made


def look(paths: SpoolPaths) -> gangs.Seen:
    return Gangs(paths, None).look(GANG, marks=True)


def test_a_gang_is_called_offered_to_and_begun(paths: SpoolPaths) -> None:
    assert gangs.names_of(paths) == [GANG]
    gangs.offer(paths, GANG, ONE, THERE)
    seen = look(paths)
    assert (seen.stage, seen.caller, seen.offers) == (Stage.CALL, HERE, {claim_name(ONE): None})
    assert seen.parts == {claim_name(ONE): THERE}
    assert set(seen.marks) == {"", claim_name(ONE)}
    assert gangs.accept(paths, GANG, ONE) is Moved.WON
    ranks = Ranks((Rank(0, claim_name(GANG), HERE), Rank(1, claim_name(ONE), THERE)), "10.0.0.1", 29_500)
    assert gangs.begin(paths, GANG, ranks) is Moved.WON
    seen = look(paths)
    assert (seen.stage, seen.offers, seen.members, seen.ranks) == (Stage.GO, {}, {claim_name(ONE): None}, ranks)
    assert gangs.end_member(paths, GANG, ONE, End(3)) is Moved.WON
    gangs.note_end(paths, GANG, RankEnd(1, End(3)))
    gangs.note_end(paths, GANG, RankEnd(0, End(1)))
    assert gangs.end(paths, GANG, Stage.GO) is Moved.WON
    seen = look(paths)
    assert seen.end == RankEnd(1, End(3))
    assert (seen.stage, seen.members, seen.ranks) == (Stage.OFF, {claim_name(ONE): End(3)}, ranks)
    assert gangs.remove(paths, GANG)
    assert gangs.names_of(paths) == []
    assert look(paths).stage is Stage.UNKNOWN


def test_an_offer_is_accepted_or_withdrawn_and_never_both(paths: SpoolPaths) -> None:
    gangs.offer(paths, GANG, ONE, THERE)
    gangs.offer(paths, GANG, TWO, THERE)
    assert gangs.withdraw(paths, GANG, ONE, WITHDRAWN) is Moved.WON
    assert gangs.accept(paths, GANG, ONE) is Moved.LOST
    assert gangs.accept(paths, GANG, TWO) is Moved.WON
    assert gangs.withdraw(paths, GANG, TWO, WITHDRAWN) is Moved.LOST
    assert look(paths).offers == {claim_name(ONE): WITHDRAWN}
    assert look(paths).members == {claim_name(TWO): None}


def test_a_call_becomes_a_run_or_nothing_and_never_both(paths: SpoolPaths) -> None:
    ranks = Ranks((Rank(0, claim_name(GANG), HERE),), "", 1)
    assert gangs.end(paths, GANG, Stage.CALL) is Moved.WON
    assert gangs.begin(paths, GANG, ranks) is Moved.LOST
    assert look(paths).stage is Stage.OFF


def test_what_nobody_of_ours_wrote_says_nothing(paths: SpoolPaths) -> None:
    directory = Path(paths.gang(GANG))
    (directory / "offers" / claim_name(ONE)).write_text('{"node": 7, "gpus": "all", "address": "a\\u0000b"}')
    (directory / "offers" / claim_name(TWO)).symlink_to("/etc/passwd")
    (directory / "offers" / "no claim").write_text("")
    for garbage in ("", "[]", '{"protocol": 1, "ranks": [{"rank": 1, "claim": "x"}]}', '{"ranks": 3}'):
        Path(paths.gang_ranks(GANG)).write_text(garbage)
        assert gangs.read_ranks(paths, GANG) is None
    seen = look(paths)
    assert seen.parts == {claim_name(ONE): Part()}
    assert set(seen.offers) == {claim_name(ONE), claim_name(TWO)}
    assert Gangs(paths, frozenset({os.geteuid() + 1})).look(GANG).caller == Part()


def test_the_logs_of_other_ranks_stand_beside_that_of_the_first(paths: SpoolPaths) -> None:
    assert paths.rank_log(GANG, 0) == paths.log(GANG)
    name = os.path.basename(paths.rank_log(GANG, 12))
    assert name == f"{TASK}.try2.000001.rank12.log"
    assert parse_rank_log(name) == (f"{TASK}.try2.000001.log", 12)
    assert parse_rank_log(f"{TASK}.log") is None
