"""What is said to people: each code in both languages, and each sentence with its parameters."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_queue import sayings
from gpu_queue.phrases import Phrase, fill, names_in
from gpu_queue.sayings import Say, say

CHINESE = re.compile(r"[\u4e00-\u9fff]")


def test_every_code_has_a_sentence_in_both_languages() -> None:
    assert set(sayings.WORDS) == set(Say)
    for code, phrase in sayings.WORDS.items():
        assert CHINESE.search(phrase.zh), code
        assert not CHINESE.search(phrase.en), code
        assert set(names_in(phrase.en)) == set(names_in(phrase.zh)), code


@settings(max_examples=300)
@given(st.sampled_from(Say), st.data())
def test_whatever_its_parameters_hold_a_sentence_can_be_said(code: Say, data: st.DataObject) -> None:
    values = st.text(max_size=50) | st.integers() | st.floats() | st.lists(st.text(max_size=9)).map(tuple)
    params = data.draw(st.dictionaries(st.sampled_from([*names_in(sayings.WORDS[code].en), "other"]), values))
    said = say(code, **params)
    for text in (said.english, said.chinese):
        assert text
        assert text.isprintable() or any("\ud800" <= one <= "\udfff" for one in text)


def test_a_parameter_stands_in_a_sentence_as_its_template_says() -> None:
    phrase = Phrase(
        "{count} {count:task|tasks} in {left_s:duration}, {size:size}: {names}", "{count} 个任务：{names}"
    )
    params = {"count": 1200, "left_s": 75, "size": 5 << 30, "names": ("a", "b\x1b")}
    assert phrase.filled(params) == ("1,200 tasks in 1m15s, 5G: a, b?", "1,200 个任务：a, b?")
    assert fill(phrase.en, {"count": 1, "left_s": 9, "size": "many"}) == "1 task in 9.0s, ?: ?"
