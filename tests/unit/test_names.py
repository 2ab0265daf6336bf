"""The grammar of names: what is written can be read back, and nothing else is taken for it."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_queue.spool.paths import (
    NAME_MAX_BYTES,
    claim_name,
    ended_name,
    full_name,
    is_skipped,
    make_id,
    parse_claim,
    parse_drop,
    parse_full,
    safe_name,
    strip_claim,
)
from gpu_queue.spool.records import told_title
from gpu_queue.task import Claim, End, Why

HEX = st.text("0123456789abcdef", min_size=6, max_size=6)
IDS = st.builds(make_id, st.floats(0, 4e9), HEX, st.binary(max_size=400))
CLAIMS = st.builds(Claim, st.integers(0, 999), IDS, st.integers(1, 10**6), HEX)
ENDS = st.builds(End, st.integers(0, 255), st.none() | st.sampled_from(Why))


@given(CLAIMS, st.none() | ENDS)
def test_a_claims_name_is_read_back_as_it_was_written(claim: Claim, end: End | None) -> None:
    name = claim_name(claim) if end is None else ended_name(claim, end)
    assert parse_claim(name) == (claim, end)
    assert len(name.encode()) < 255
    assert strip_claim(name) == full_name(claim.priority, claim.task_id)
    assert parse_full(name) is None


@given(st.integers(0, 999), IDS)
def test_a_full_name_is_read_back_as_it_was_written(priority: int, task_id: str) -> None:
    assert parse_full(full_name(priority, task_id)) == (priority, task_id)
    assert parse_claim(full_name(priority, task_id)) is None


@given(st.binary(max_size=400))
def test_any_bytes_become_a_name_that_a_shell_cannot_trip_over(raw: bytes) -> None:
    name = safe_name(raw)
    assert 1 <= len(name) <= 120
    assert "/" not in name
    assert all(letter.isascii() and (letter.isalnum() or letter in "._+-") for letter in name)


@pytest.mark.parametrize("name", ["训练.sh", "a b.sh", "ü"])
def test_a_title_is_told_where_the_id_cannot_carry_it(name: str) -> None:
    assert told_title(make_id(0, "4f0c2a", name.encode()), name) == name


@pytest.mark.parametrize("name", ["", "train.sh", "_.sh", "other.sh", "\0.sh", "\ud800.sh"])
def test_a_title_that_the_id_carries_or_was_not_made_of_is_not_told(name: str) -> None:
    assert [told_title(f"20260101T000000000-4f0c2a-{one}", name) for one in ("train.sh", "_.sh")] == ["", ""]


def test_a_title_is_told_without_control_characters_and_no_longer_than_an_id_could_be() -> None:
    hostile = "\x1b[31m训" * 3
    assert told_title(make_id(0, "4f0c2a", hostile.encode()), hostile) == "?[31m训" * 3
    for name in ("训" * 5000, "\x1b" * 5000, "训\udce4" * 5000):
        title = told_title(make_id(0, "4f0c2a", os.fsencode(name)), name)
        assert title.endswith("…")
        assert len(os.fsencode(title)) <= NAME_MAX_BYTES + len("…".encode())


def test_names_of_other_scripts_do_not_pass_for_ours() -> None:
    for name in ["train.sh", "500-train.sh", "20260101T000000000-abcdef-x", "5000-20260101T000000000-abcdef-x", ""]:
        assert parse_full(name) is None


def test_an_unknown_why_reads_as_requeue() -> None:
    parsed = parse_claim("500-20260101T000000000-abcdef-x.try1.abcdef=143-newword")
    assert parsed is not None
    assert parsed[1] == End(143, Why.REQUEUE)


def test_a_drop_may_carry_its_priority() -> None:
    assert parse_drop("001_train.sh") == (1, b"train.sh")
    assert parse_drop("900-train.sh") == (900, b"train.sh")
    assert parse_drop("train.sh") == (500, b"train.sh")
    assert parse_drop("300-20260101T000000000-abcdef-x.sh") == (300, b"x.sh")


def test_editors_and_copiers_temporaries_are_skipped_unless_they_were_published() -> None:
    assert all(is_skipped(name) for name in [".x.swp", "x~", "x.tmp", "x.swp", ".hidden"])
    assert not is_skipped("500-20260101T000000000-abcdef-x.tmp")
    assert not is_skipped("x.sh")
