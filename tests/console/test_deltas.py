"""What changed between two documents, and who goes on from where."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gpu_queue.console.world.deltas import RING_MAX, Ring, difference, encode, parse_id, patched, without_nulls

NAMES = st.sampled_from(["a", "b", "c", "d"])
VALUES = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "x"]) | st.lists(st.integers(0, 1))
DOCUMENTS = st.recursive(
    st.dictionaries(NAMES, VALUES, max_size=4), lambda inner: st.dictionaries(NAMES, VALUES | inner, max_size=4)
)


@given(DOCUMENTS, DOCUMENTS)
def test_a_document_and_its_difference_make_the_next_one(before: dict[str, Any], after: dict[str, Any]) -> None:
    old, new = without_nulls(before), without_nulls(after)
    assert patched(old, difference(old, new)) == new


@given(DOCUMENTS)
def test_what_is_the_same_needs_no_patch(document: dict[str, Any]) -> None:
    assert difference(document, json.loads(json.dumps(document))) == {}


@given(st.lists(DOCUMENTS, min_size=1, max_size=8), st.integers(0, 7))
def test_whoever_has_seen_a_state_goes_on_from_there(documents: list[dict[str, Any]], begins: int) -> None:
    ring = Ring()
    held, number = None, 0
    for at, document in enumerate(documents):
        ring.put(without_nulls(document), float(at))
        if at == min(begins, len(documents) - 1):
            held, number = ring.document, ring.number
    messages = ring.since(number)
    assert messages is not None
    for one in messages:
        held = patched(held, json.loads(one.data)["patch"])
    assert held == ring.document


def test_what_is_too_old_or_of_another_console_is_no_place_to_go_on_from() -> None:
    ring = Ring("0a0a")
    for at in range(RING_MAX + 10):
        ring.put({"n": at}, 0.0)
    assert ring.since(5) is None
    assert ring.since(ring.number) == []
    assert ring.since(ring.number + 1) is None
    assert parse_id("0a0a-7", "0a0a") == 7
    assert [parse_id(one, "0a0a") for one in ("0b0b-7", "7", "", "0a0a-x", "0a0a-" + "9" * 40)] == [None] * 5


def test_a_name_that_is_no_text_does_not_keep_the_document_from_being_sent() -> None:
    assert encode({"name": "caf\udce9"}) == b'{"name":"caf?"}'
