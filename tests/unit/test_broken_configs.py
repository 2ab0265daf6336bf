"""What is wrong with a config.yaml is told in these words; whatever stands in one, it is told in no time."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_queue.config import SETTINGS, TABLE, Setting, examine, live_changes, parse_config
from gpu_queue.sharing import Mode
from tests.unit import broken_configs

KEYS = sorted({part for row in SETTINGS if row.key for part in row.key.split(".")})
WORDS = ("free:1", "0,1", "none", "null", "shared", "8G", "10m", "-1", "1e9", "GPU-", "least_util", "", "/")
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(
        ["free:1", "0,1", "none", "null", "shared", "8G", "10m", "-1", "1e9", "GPU-", "least_util", "", "/"]
    ),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from([*KEYS, "free"]) | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=6,
)
CONFIGS = st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=8), VALUES, max_size=5)


def test_broken_files_are_told_of_in_these_words() -> None:
    assert broken_configs.told() == broken_configs.GOLDEN.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", broken_configs.FILES)
def test_a_broken_file_is_told_of_with_lines_that_it_has(name: str) -> None:
    text = broken_configs.FILES[name]
    problems = examine(TABLE, {}, {}, parse_config("config.yaml", text.encode())).problems
    assert problems
    for problem in problems:
        assert 1 <= int(problem.split(":")[1]) <= text.count("\n") + 1


@settings(max_examples=50)
@given(CONFIGS)
def test_any_tree_of_values_is_obeyed_or_told_of_with_its_line(tree: dict[str, Any]) -> None:
    config = parse_config("config.yaml", json.dumps(tree, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    examined = examine(TABLE, {}, {}, config)
    assert all(one.startswith("config.yaml:") and one.isprintable() for one in examined.problems)
    assert examined.note.isprintable()
    if not examined.problems:
        says_sharing = any(row.key in config.values for row in SETTINGS if row.field.startswith("sharing."))
        assert (examined.settings.mode is Mode.SHARED) == (
            (says_sharing and "mode" not in tree) or tree.get("mode") == "shared"
        )
        taken, waiting = live_changes(examined.settings, examined.settings)
        assert (taken, waiting) == (examined.settings, [])


@given(st.sampled_from([row for row in SETTINGS if row.flag]), st.text(max_size=100) | st.sampled_from(WORDS))
def test_any_flag_is_obeyed_or_told_of_by_its_name(row: Setting, text: str) -> None:
    for problem in examine(TABLE, {row.field: text}, {}).problems:
        assert problem.startswith(f"{row.flag}: ")
        assert problem.isprintable()


LONG = 20_000


@pytest.mark.parametrize(
    "text",
    [
        f"compete_gpus: '{'0,' * (LONG // 2)}0'",
        f"compete_gpus: [{'0,' * (LONG // 2)}0]",
        f"compete_gpus: 'GPU-{'-' * LONG}'",
        f"gpu_left: 'free:{' ' * LONG}x'",
        f"gpu_left: {{{'free: 1, ' * (LONG // 9)}}}",
        f"min_memory: {'9' * LONG}",
        f"min_memory: '1{' ' * LONG}x'",
        f"max_wait_time: '{'1h' * (LONG // 2)}x'",
        f"retry_config: {'{retry_config: ' * (LONG // 15)}",
        f"work_dir: '{'../' * (LONG // 3)}'",
        f"select: {'m' * LONG}",
        "\n".join(f"compete_gpus{number}: 1" for number in range(LONG // 20)),
        f"{'gpu_left: 1' + chr(10)}" * (LONG // 12),
    ],
    ids=lambda text: text[:20],
)
def test_the_longest_files_are_read_in_no_time(text: str) -> None:
    begun_s = time.process_time()
    examine(TABLE, {}, {}, parse_config("config.yaml", text.encode()))
    assert time.process_time() - begun_s < 3
