"""The client speaks Chinese where the shell does: one table of its sentences, and no sentence is missing in it."""

from __future__ import annotations

import re
import shlex

import pytest

from gpu_queue.spool.pages import WaitPage
from tests.shell.helpers import CLIENT, Shell, Spool
from tests.shell.test_looking import FOUR, NODE

CODE = CLIENT.read_text(encoding="utf-8")
TABLE = CODE[CODE.index("__gpu_chinese() {") : CODE.index("\n}\n", CODE.index("__gpu_chinese() {"))]
QUOTED = r"""('[^']*'|"(?:[^"\\]|\\.)*")"""
SAID = re.compile(rf"__gpu_(?:say|fail|usage|format|put|became|tr)\s+(?:{QUOTED}|([a-z][a-z-]*|[A-Z]+)(?=[;\s]))")
ENTRY = re.compile(rf"^    {QUOTED}\) REPLY={QUOTED} ;;$", re.MULTILINE)
DIRECTIVE = re.compile(r"%[-0-9.*]*[a-z%]")


def unquoted(word: str) -> str:
    return shlex.split(word)[0] if word[:1] in "'\"" else word


def entries() -> dict[str, str]:
    return {unquoted(english): unquoted(chinese) for english, chinese in ENTRY.findall(TABLE)}


def sentences() -> set[str]:
    """All formats in the code that have words of ours in them."""
    found = {unquoted(quoted or plain) for quoted, plain in SAID.findall(CODE.replace(TABLE, ""))}
    found = {one for one in found if r"\t" not in one}  # rows for programs
    return {
        one for one in found if re.search(r"[A-Za-z]{2}", re.sub(r"\$\{?\w+\}?|\\[nt]", "", DIRECTIVE.sub("", one)))
    }


def test_every_sentence_of_the_client_has_a_chinese_one() -> None:
    assert sorted(sentences() - entries().keys()) == []


def test_a_chinese_sentence_has_the_same_words_in_the_same_order() -> None:
    wrong = {
        english for english, chinese in entries().items() if DIRECTIVE.findall(english) != DIRECTIVE.findall(chinese)
    }
    assert wrong == set()


def test_no_chinese_sentence_is_left_over_and_people_are_addressed_with_respect() -> None:
    counted = {
        f"%s {noun}" for noun in re.findall(r"__gpu_plural \S+ (?:'([^']+)'|(\w+))", CODE) for noun in noun if noun
    }
    rest = entries().keys() - sentences() - counted
    # What a page or a record says in one word is looked up as it stands there.
    assert {one for one in rest if " " in one} == {"backing off", "timed out"}
    assert not any("你" in chinese for chinese in entries().values())
    assert len(entries()) == TABLE.count(") REPLY="), "an entry that this test cannot read"


@pytest.mark.parametrize("variable", ["LANG", "LC_ALL", "LC_MESSAGES"])
def test_the_language_is_the_shells(shell: Shell, spool: Spool, variable: str) -> None:
    full = spool.add("pending", "train.sh")
    spool.node(NODE, waiting=(WaitPage(full, FOUR),))
    chinese = {"LANG": "", "LC_ALL": "", "LC_MESSAGES": "", variable: "zh_CN.UTF-8"}
    # In front of it bash may warn that it does not know this locale.
    assert shell.run("gpu_stop", **chinese).err.endswith(
        "gpu_stop: 哪个任务？gpu_stop 任务…，或 gpu_stop all；gpu_status 会列出\n"
    )
    said = shell.run("gpu_status", **chinese).out
    assert ("1 个等待中" in said, "等待 4 张 GPU：空闲 2 张（2 张在用）" in said) == (True, True)
    assert "1 waiting" in shell.ok("gpu_status", **{variable: "en_US.UTF-8"}).out


def test_the_manual_in_chinese_has_the_same_commands_and_options(shell: Shell) -> None:
    manuals = [shell.run("gpu_help", LC_ALL=locale).out for locale in ("C", "zh_CN.UTF-8")]
    english, chinese = (re.findall(r"(?<!_)gpu_[a-z]+|(?<!-)--[a-z-]+|[A-Z]+_[A-Z_]+", one) for one in manuals)
    assert sorted(set(chinese)) == sorted(set(english))
    assert "你" not in manuals[1]
