"""What the console says: each code in both languages, each sentence with its parameters, all of them in the book."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gpu_queue.console
from gpu_queue.console.models.living import Attention
from gpu_queue.console.phrasebook import ACTIONS, NOTES, REFUSALS
from gpu_queue.console.problems import Problem
from gpu_queue.console.sentences import note
from gpu_queue.phrases import Phrase, names_in

ROOM = Path(gpu_queue.console.__file__).parent
BOOK = {**NOTES, **{f"done {code}": one for code, one in ACTIONS.items()}, **REFUSALS}
CHINESE = re.compile(r"[\u4e00-\u9fff]")
RAISES = {"Problem": (1, REFUSALS), "Unsuitable": (0, REFUSALS), "Refused": (0, REFUSALS), "Busy": (0, REFUSALS)}
RAISES |= {"NoSuchSpool": (0, REFUSALS), "note": (0, NOTES)}


@pytest.mark.parametrize("code", BOOK)
def test_every_code_is_said_in_both_languages_and_never_speaks_to_a_reader_as_you(code: str) -> None:
    phrase = BOOK[code]
    assert CHINESE.search(phrase.zh)
    assert "你" not in phrase.zh
    assert not CHINESE.search(phrase.en)
    assert set(names_in(phrase.zh)) <= set(names_in(phrase.en)) | {"problem"}


@given(st.sampled_from(sorted(NOTES)), st.data())
def test_whatever_stands_in_it_a_note_can_be_sent(code: str, data: st.DataObject) -> None:
    values = st.text(max_size=40) | st.integers(-9, 1 << 70) | st.none() | st.lists(st.text(max_size=9), max_size=3)
    made = note(code, **data.draw(st.fixed_dictionaries(dict.fromkeys(names_in(NOTES[code].en), values))))
    assert made.text.zh.encode()
    made.text.en.encode()  # a half of a pair would raise
    assert made.model_dump_json()


def test_a_refusal_says_in_both_languages_what_its_parameters_hold() -> None:
    told = Problem(422, "too_many_tasks.asked", params={"count": 1200, "most": 1000}).details
    assert told.code == "too_many_tasks"
    assert told.detail == "1,200 tasks; agents are asked about 1,000 at most"
    assert told.text is not None
    assert told.text.zh == "1,200 个任务；一次最多向 agent 询问 1,000 个"


def test_what_the_book_does_not_know_is_told_in_its_own_words_after_a_sentence() -> None:
    told = Problem(409, "of_a_later_version", "no disk is left").details
    assert told.text is not None
    assert (told.text.en, told.text.zh) == ("no disk is left", "控制台拒绝了请求：no disk is left")


def test_every_line_of_attention_has_its_words() -> None:
    codes = set(Attention.model_fields["code"].annotation.__args__)  # type: ignore[union-attr]
    assert codes - set(NOTES) == {"old_agents"}  # nothing tells it yet


def codes_in(path: Path) -> Iterator[tuple[str, int, str, dict[str, Phrase]]]:
    """The codes that a module says by their names: who, where, which, of which book."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id not in RAISES:
            continue
        place, book = RAISES[node.func.id]
        if len(node.args) > place:
            given = node.args[place]
            for one in (given.body, given.orelse) if isinstance(given, ast.IfExp) else (given,):
                is_code = isinstance(one, ast.Constant) and isinstance(one.value, str)
                if is_code and re.fullmatch(r"[a-z]\w*(\.\w+)?", one.value):  # type: ignore[attr-defined]
                    yield node.func.id, node.lineno, one.value, dict(book)  # type: ignore[attr-defined]


def test_no_module_says_a_code_that_is_not_in_the_book() -> None:
    said = [(path, *one) for path in sorted(ROOM.rglob("*.py")) for one in codes_in(path)]
    assert len(said) > 60
    assert [f"{path.name}:{line}: {who} {code}" for path, who, line, code, book in said if code not in book] == []
