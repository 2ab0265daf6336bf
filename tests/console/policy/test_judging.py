"""What is wrong with a config.yaml, in its parts and in both languages; and that no setting lacks its words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gpu_queue.config import SETTINGS
from gpu_queue.config.labels import DEFAULTS_ZH, GROUPS
from gpu_queue.console.policy.diffing import diff
from gpu_queue.console.policy.fields import fields_of
from gpu_queue.console.policy.judging import judge
from gpu_queue.console.policy.phrases import expected_zh
from gpu_queue.console.policy.units import UNITS

PAGE_ZH = Path(__file__).parents[3] / "docs" / "zh-CN" / "settings.md"
CHINESE = re.compile("[\u4e00-\u9fff]")
ROWS = [row for row in SETTINGS if row.key]


def test_every_setting_of_the_file_has_its_words_once() -> None:
    labels = [label for group in GROUPS for label in group.labels]
    assert sorted(label.key for label in labels) == sorted(row.key for row in ROWS)
    for one in labels:
        assert one.en, one.key
        assert CHINESE.search(one.meaning_zh), one.key
    assert len({label.en for label in labels}) == len({label.zh for label in labels}) == len(labels)


def test_the_meanings_are_those_of_the_document() -> None:
    rows = [line.strip().strip("|").split("|") for line in PAGE_ZH.read_text(encoding="utf-8").splitlines()]
    told = {cells[2].split(",")[-1].strip(" `"): cells[-1].strip() for cells in rows if len(cells) == 5}
    defaults = {cells[2].split(",")[-1].strip(" `"): cells[3].strip() for cells in rows if len(cells) == 5}
    for label in (label for group in GROUPS for label in group.labels):
        assert told[label.key] == label.meaning_zh, label.key
    for row in ROWS:
        assert defaults[row.key] == DEFAULTS_ZH.get(row.shown_default, row.shown_default), row.key


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.key)
def test_what_is_expected_is_told_in_chinese_and_has_a_unit(row: object) -> None:
    kind = row.file_kind  # type: ignore[attr-defined]
    one = getattr(kind, "item", None) or getattr(kind, "scalar", None) or kind
    assert expected_zh(kind.expected)
    assert expected_zh(one.expected)
    assert one.noun in UNITS


@pytest.mark.parametrize(
    ("text", "line", "key", "kind", "en", "zh"),
    [
        ("lifetime: 4h\nretries: x\n", 2, "retries", "refused", "'x'; expected a whole number", "'x'；应为整数"),
        (
            "retires: 1\n",
            1,
            "",
            "refused",
            "unknown setting 'retires'; did you mean retries?",
            "没有设置 'retires'；是 retries 吗？",
        ),
        (
            "retries: 1\nretries: 2\n",
            2,
            "retries",
            "refused",
            "given twice, first in line 1",
            "重复给出，第一次在第 1 行",
        ),
        (
            "gpus: [0, {}]\n",
            1,
            "gpus",
            "refused",
            "a mapping; expected all, or indices and UUIDs of GPUs",
            "一个映射；应为all，或 GPU 的编号、UUID",
        ),
        ("keepalive:\n  gpu_util_high: 60\n", 2, "keepalive.gpu_util_high", "unfit", "70", "70"),
        ("a: [\n", 2, "", "refused", "no YAML", "不是 YAML"),
    ],
)
def test_a_problem_is_told_in_its_parts(text: str, line: int, key: str, kind: str, en: str, zh: str) -> None:
    (problem,) = judge(text.encode()).problems
    assert (problem.line, problem.key, problem.kind) == (line, key, kind)
    assert en in problem.text.en
    assert zh in problem.text.zh


def test_what_decides_who_runs_does_not_count_in_the_file_of_a_stranger() -> None:
    told = judge(b"allow_users: [1000]\nretries: 1\n", "this one belongs to uid 7")
    assert [(one.key, one.kind) for one in told.problems] == [("allow_users", "refused")]
    assert set(told.config.values) == {"retries"}


def test_fields_say_what_the_file_says() -> None:
    text = "keepalive: no\nretries: '2'\ngpus: [0, 1]\ngpu_left: {free: 1}\nwork_dir: ~\nmode:\n  x: 1\n"
    told = {one.key: one for one in fields_of(text)}
    assert {key: one.value for key, one in told.items() if one.written} == {
        "keepalive.enabled": "off",
        "retries": "2",
        "gpus": "0, 1",
        "gpu_left": "free:1",
        "work_dir": "none",
        "mode": "",
    }
    assert not told["mode"].is_typed
    assert (told["retries"].written, told["retries"].when, told["lifetime"].when) == (2, "at_once", "next_agent")
    assert (told["select"].choices, told["max_concurrent"].can_be_none) == (
        ["most_free", "least_util", "round_robin"],
        True,
    )
    assert [one.value for one in fields_of("a: [")] == [None] * len(told)


def test_a_difference_shows_what_is_another_and_three_lines_around() -> None:
    old = "".join(f"# {n}\n" for n in range(10))
    shown = diff(old, old.replace("# 5\n", "# five\n"))
    assert [(one.kind, one.text) for one in shown] == [
        ("gap", ""),
        ("same", "# 2"),
        ("same", "# 3"),
        ("same", "# 4"),
        ("removed", "# 5"),
        ("added", "# five"),
        ("same", "# 6"),
        ("same", "# 7"),
        ("same", "# 8"),
        ("gap", ""),
    ]
    assert diff(old, old) == []
    assert [one.kind for one in diff("a\n", "a\r\n")] == ["removed", "added"]
