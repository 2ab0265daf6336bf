"""Reading what others wrote: what does not fit reads as if it were missing, field by field."""

from __future__ import annotations

import math

import pytest

from gpu_queue.spool.fields import ITEMS_MAX, Fields
from gpu_queue.texts import TEXT_MAX

WRONG = [
    None,
    True,
    "",
    "7",
    -1,
    1.5,
    1 << 63,
    -(1 << 63),
    1e300,
    math.nan,
    math.inf,
    -math.inf,
    [7],
    {"a": 7},
    "\0",
    "\ud800",
]


@pytest.mark.parametrize("value", [None, "7", [7], {}, math.nan, math.inf, -math.inf, 1e300, 10**400, True, False])
def test_what_is_no_number_is_none(value: object) -> None:
    assert Fields({"a": value}).number("a") is None


@pytest.mark.parametrize("value", [0, -7, 1.5, 10**18])
def test_a_number_is_one(value: float) -> None:
    assert Fields({"a": value}).number("a") == value


@pytest.mark.parametrize("value", [None, "7", 7.0, [7], True, 1 << 63, -(1 << 63)])
def test_what_is_no_whole_number_is_none_alone_and_in_a_list(value: object) -> None:
    fields = Fields({"a": value, "all": [1, value, 2]})
    assert (fields.integer("a"), fields.count("a")) == (None, 0)
    assert fields.integers("all") == (1, 2)


def test_what_is_counted_is_never_negative() -> None:
    assert (Fields({"a": -7}).count("a"), Fields({"a": -7}).integer("a")) == (0, -7)


@pytest.mark.parametrize("value", [1, "true", "yes", [True], None])
def test_only_true_is_true(value: object) -> None:
    assert Fields({"a": True}).flag("a")
    assert not Fields({"a": value}).flag("a")


@pytest.mark.parametrize("value", ["a\0b", "\ud800", 7, ["a"], None])
def test_what_can_be_no_argument_is_no_name(value: object) -> None:
    assert Fields({"a": value}).name("a") == ""


def test_a_name_keeps_every_byte_and_a_text_no_control_character() -> None:
    fields = Fields({"a": "x\n\x1b[31m\udcff"})
    assert fields.name("a") == "x\n\x1b[31m\udcff"
    assert fields.text("a") == "x??[31m\udcff"


def test_texts_and_lists_have_an_end() -> None:
    fields = Fields({"text": "x" * (TEXT_MAX + 1), "all": [{}] * (ITEMS_MAX + 1), "texts": ["y" * (TEXT_MAX + 1), 7]})
    assert fields.text("text") == "x" * TEXT_MAX + "…"
    assert len(fields.items("all")) == len(fields.objects("all")) == ITEMS_MAX
    assert fields.texts("texts") == ("y" * TEXT_MAX + "…",)


@pytest.mark.parametrize("value", WRONG)
def test_whatever_stands_there_no_question_is_a_fault(value: object) -> None:
    for fields in (Fields(value), Fields({"a": value}), Fields({"a": [value]})):
        for ask in (
            fields.text,
            fields.name,
            fields.integer,
            fields.count,
            fields.number,
            fields.flag,
            fields.moment_s,
        ):
            ask("a")
        assert fields.inner("a").inner("b").items("c") == []
        assert isinstance(fields.objects("a"), list)
        assert all(isinstance(one, str) for one in fields.texts("a"))
