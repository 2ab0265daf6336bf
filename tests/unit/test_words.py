"""Reasons in words: every code has its sentences, in both languages, whatever its parameters are."""

from __future__ import annotations

import ast
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_queue.reasons import Bar, Code, Param, Reason, reason, telling
from gpu_queue.states import GpuState
from gpu_queue.units import format_clock
from gpu_queue.words import LANGUAGES, Language, in_words, language_of
from tests.unit.test_docs import ROOT

NAMES = ["by", "queue", "holder", "holder_title", "first", "first_title", "tasks", "titles", "failed", "failed_title"]
OTHERS = ["left_s", "time_s", "needed", "idle", "served", "cause", "devices"]
MAKERS = ("reason", "Reason")
PARAMS: st.SearchStrategy[Param] = st.one_of(
    st.text(max_size=20),
    st.integers(-(10**15), 10**15),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.lists(st.text(max_size=5), max_size=3).map(tuple),
    st.lists(st.integers(0, 99), max_size=3).map(tuple),
)


@pytest.mark.parametrize("language", LANGUAGES)
@given(code=st.sampled_from(Code), params=st.dictionaries(st.sampled_from(NAMES + OTHERS), PARAMS))
def test_any_parameters_make_a_sentence(language: Language, code: Code, params: dict[str, Param]) -> None:
    assert isinstance(in_words(Reason(code, params), language), str)


@pytest.mark.parametrize("code", [code for code in Code if code not in (Code.OTHER, Code.SCRIPT)])
def test_a_reason_without_parameters_still_says_something_in_both_languages(code: Code) -> None:
    english, chinese = in_words(Reason(code)), in_words(Reason(code), "zh")
    assert english.isascii()
    assert re.search("[一-鿿]", chinese), chinese


@pytest.mark.parametrize("code", [code for code in Code if code is not Code.OTHER])
def test_every_code_stands_in_the_protocol(code: Code) -> None:
    page = (ROOT / "docs" / "spool.md").read_text(encoding="utf-8")
    assert re.search(rf"^\| `{code.value}` \|", page, re.MULTILINE)


def said_in_the_code() -> dict[str, set[str]]:
    """The parameters with which each code is made anywhere in the package."""
    found: dict[str, set[str]] = {}
    for path in (ROOT / "gpu_queue").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not node.args or getattr(node.func, "id", "") not in MAKERS:
                continue
            code = node.args[0]
            if isinstance(code, ast.Attribute) and getattr(code.value, "id", "") == "Code" and code.attr != "OTHER":
                found.setdefault(Code[code.attr].value, set()).update(one.arg for one in node.keywords if one.arg)
    return found


def test_the_protocol_tells_the_codes_and_parameters_that_are_sent_and_no_others() -> None:
    page = (ROOT / "docs" / "spool.md").read_text(encoding="utf-8").partition("### Reasons")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", page, re.MULTILINE)
    told = {code: set(re.findall(r"`(\w+)`", text)) for code, text in rows}
    causes = {"spool", "lifetime", "shutdown", "empty", "unkept", "workless", "signal"}
    sent = said_in_the_code()
    sent["gpus"] |= {one.value for one in (*GpuState, *Bar)}  # by **
    by_readers: dict[str, set[str]] = {"no_agent": set(), "silent": {"node", "silent_s"}}
    assert {code: names - causes for code, names in told.items()} == sent | by_readers


@pytest.mark.parametrize(
    ("why", "english", "chinese"),
    [
        (
            reason(Code.GPUS, needed=1, idle=0, busy=2, lost=1),
            "waits for 1 GPU: 0 idle (2 busy, 1 lost)",
            "等待 1 张 GPU：空闲 0 张（2 张在用，1 张失联）",
        ),
        (
            reason(Code.GPUS, needed=2, devices=(0, 3), idle=1, foreign=1),
            "waits for GPU 0, 3: 1 idle (1 foreign)",
            "等待 GPU 0, 3：空闲 1 张（1 张被他人占用）",
        ),
        (
            reason(Code.INFEASIBLE, needed=8, served=2),
            "needs 8 GPUs; this node serves 2",
            "需要 8 张 GPU；本节点提供 2 张",
        ),
        (
            reason(Code.MEMORY, needed=1, memory_bytes=80 << 30, have=0),
            "needs 1 GPU of 80G; this node has 0",
            "需要 1 张显存不少于 80G 的 GPU；本节点有 0 张",
        ),
        (
            reason(Code.QUEUE, queue="car", holder="20261123T014415123-4f0c2a-train.sh"),
            "queue car is busy with train.sh (4f0c2a)",
            "队列 car 正在运行 train.sh (4f0c2a)",
        ),
        (
            reason(Code.QUEUE, queue="Z", holder="20261123T014415123-7d8b24-_.sh", holder_title="训练.sh"),
            "queue Z is busy with 训练.sh (7d8b24)",
            "队列 Z 正在运行 训练.sh (7d8b24)",
        ),
        (
            reason(Code.QUEUE, queue="Z", first="500-20261123T014415123-7d8b24-_.sh", first_title="训练.sh"),
            "queue Z: 训练.sh (7d8b24) comes first",
            "队列 Z：先轮到 训练.sh (7d8b24)",
        ),
        (
            reason(Code.BEHIND, first="500-20261123T014415123-ffb8c8-_.sh", first_title="训练.sh"),
            "comes after 训练.sh (ffb8c8), which waits for GPUs",
            "排在 训练.sh (ffb8c8) 之后，后者在等待 GPU",
        ),
        (
            reason(Code.AFTER, failed="20261123T014415123-bf42c5-_", failed_title="评估"),
            "dependency 评估 (bf42c5) failed or was cancelled",
            "所依赖的 评估 (bf42c5) 失败或已取消",
        ),
        (
            reason(
                Code.AFTER,
                tasks=tuple(f"20261123T014415123-{one}" for one in ("4f0c2a-a.sh", "bf42c5-_", "bf42c6-_")),
                titles=("", "评估"),
            ),
            "waits for a.sh (4f0c2a), 评估 (bf42c5), _ (bf42c6)",
            "等待 a.sh (4f0c2a), 评估 (bf42c5), _ (bf42c6) 完成",
        ),
        (
            reason(Code.CPU_SLOTS, slots=4),
            "all 4 slots for tasks without GPU are taken",
            "不需要 GPU 的任务的 4 个名额已满",
        ),
        (
            reason(Code.BACKOFF, failures=2, left_s=90),
            "failed 2 times; tried again in 1m30s",
            "已失败 2 次；1m30s 后重试",
        ),
        (
            reason(Code.BACKOFF, again=5, left_s=60, until_s=7e8),
            "has asked 5 times in a row to be run again; is tried in 1m00s",
            "已连续 5 次要求再次运行；1m00s 后再试",
        ),
        (
            reason(Code.BACKOFF, failures=1, left_s=90, error_type="oom"),
            "failed once (oom); tried again in 1m30s",
            "已失败 1 次（oom）；1m30s 后重试",
        ),
        (
            reason(Code.BACKOFF, failures=3, left_s=90, until_s=7e8, rests=1, error_type="oom"),
            f"rests until {format_clock(7e8)} after 3 failures (oom): 1m30s more",
            f"已失败 3 次（oom），休息到 {format_clock(7e8)}：还有 1m30s",
        ),
        (
            reason(Code.BACKOFF, failures=1, left_s=90, until_s=1e300, rests=1, error_type="unknown"),
            f"rests until {format_clock(1e300)} after 1 failure: 1m30s more",
            f"已失败 1 次，休息到 {format_clock(1e300)}：还有 1m30s",
        ),
        (
            reason(Code.AFTER, tasks=("20261123T014415123-4f0c2a-a.sh",)),
            "waits for a.sh (4f0c2a)",
            "等待 a.sh (4f0c2a) 完成",
        ),
        (
            reason(Code.AFTER, tasks=("a", "b"), more=3),
            "waits for a, b and 3 more",
            "等待 a, b 以及另外 3 个任务完成",
        ),
        (reason(Code.PAUSED, by="alice: hot"), "the spool is paused (alice: hot)", "队列已暂停（alice: hot）"),
        (
            reason(Code.DRAINING, cause="lifetime"),
            "its lifetime is over: it ends with its running tasks",
            "寿命已到：正在运行的任务结束后退出",
        ),
    ],
)
def test_sentences(why: Reason, english: str, chinese: str) -> None:
    assert (in_words(why), in_words(why, "zh")) == (english, chinese)


def test_the_language_is_that_of_the_locale() -> None:
    assert [language_of(one) for one in ("zh_CN.UTF-8", "zh", "en_US.UTF-8", "C", "")] == [
        "zh",
        "zh",
        "en",
        "en",
        "en",
    ]


def test_of_the_reasons_of_several_nodes_each_has_its_place_and_a_gang_that_comes_together_tells_most() -> None:
    assert len({telling(reason(code)) for code in Code}) == len(Code)
    others = (Code.GPUS, Code.BEHIND, Code.INFEASIBLE, Code.NODES_INFEASIBLE, Code.ASSEMBLING, Code.PAUSED)
    assert min(map(telling, map(reason, (*others, Code.GANG)))) == telling(reason(Code.GANG))
