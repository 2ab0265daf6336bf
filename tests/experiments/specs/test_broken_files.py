"""What is wrong with an experiment file is told in these words; whatever stands in one, it is told in no time."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Sequence
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_queue.errors import BadExperimentFile
from gpu_queue.experiments.specs.keys import FILE_KEYS, JOB_KEYS
from gpu_queue.experiments.specs.nouns import Run
from gpu_queue.experiments.specs.parsing import parse_experiment
from tests.experiments.specs import broken

FILES = broken.files()
KEYS = sorted({key.name for key in (*FILE_KEYS, *JOB_KEYS)} | {"include", "exclude", "seed", "train", "<<"})
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(
        ["{seed}", "{x|1}", "1-4", "8G", "4h", "none", "train", "a/b", "~", "", "echo {seed}", "$(({seed}))"]
    ),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), inner, max_size=5)
    ),
    max_leaves=12,
)
JOBS = st.dictionaries(st.sampled_from([key.name for key in JOB_KEYS]), VALUES, max_size=8)
TREES = st.fixed_dictionaries(
    {"jobs": st.dictionaries(st.sampled_from(["train", "table"]), JOBS, min_size=1, max_size=2)},
    optional={"defaults": JOBS, "group": VALUES, "version": VALUES},
)


def test_broken_files_are_told_of_in_these_words() -> None:
    assert broken.told() == broken.GOLDEN.read_text(encoding="utf-8"), "python -m tests.experiments.specs.broken"


@pytest.mark.parametrize("name", FILES)
def test_a_broken_file_is_told_of_with_places_that_it_has(name: str) -> None:
    begun_s = time.process_time()
    problems = broken.problems_of(FILES[name])
    assert time.process_time() - begun_s < 2
    assert problems
    lines = FILES[name].decode("utf-8", "replace").split("\n")
    for problem in problems:
        _, line, column, text = problem.split(":", 3)
        assert 1 <= int(line) <= len(lines)
        assert 1 <= int(column) <= len(lines[int(line) - 1]) + 1
        assert text.isprintable()
    assert sorted(problems, key=lambda one: [int(part) for part in one.split(":")[1:3]]) == list(problems)


def verdict(content: bytes) -> tuple[str, ...]:
    """The problems; a file that is fine has runs that can be queued."""
    try:
        runs = parse_experiment(content, broken.HERE, "f.yaml")
    except BadExperimentFile as bad:
        problems = bad.problems
    else:
        problems = ()
        check_runs(runs)
    assert all(one.startswith("f.yaml:") and one.isprintable() for one in problems)
    return problems


def check_runs(runs: Sequence[Run]) -> None:
    names = [run.name for run in runs]
    known = set(names)
    assert len(known) == len(names) > 0
    for run in runs:
        assert run.script.startswith("#!/usr/bin/env bash\n")
        assert "\0" not in run.script
        assert run.cwd.startswith("/")
        assert known.issuperset(run.after)
        assert run.name not in run.after


@settings(max_examples=30, deadline=None)
@given(TREES | VALUES)
def test_any_tree_is_read_or_told_of(tree: Any) -> None:
    verdict(json.dumps(tree, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    verdict(yaml.safe_dump(tree, allow_unicode=True).encode("utf-8", "surrogatepass"))


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_told_of(content: bytes) -> None:
    verdict(content)


def test_whatever_a_slip_of_the_hand_does_to_a_file_it_is_read_or_told_of() -> None:
    whole = b"""\
version: 1
group: g
defaults: {gpus: 1, memory: 8G, env: {A: 1}}
jobs:
  train:
    name: "{d}_s{seed}"
    matrix:
      d: [a, b]
      seed: [0, 1]
      exclude: [{d: a, seed: 0}]
      include: [{d: b, lr: 1e-5}]
    run: python a.py --seed {seed} --lr {lr|0}
  table:
    after: [train]
    run: [python, b.py]
"""
    assert verdict(whole) == ()
    chance = random.Random(3)
    refused = 0
    for _ in range(400):
        content = bytearray(whole)
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(content))
            kind = chance.randrange(3)
            if kind == 0:
                del content[at : at + chance.randint(1, 6)]
            elif kind == 1:
                content[at:at] = bytes(
                    chance.choices(b" \n\t:-{}[],'\"#&*!|>%@`~ax1\x00\xff", k=chance.randint(1, 3))
                )
            else:
                content[at] = chance.choice(b" \n:{}[],'\"#&*|a0\xe9")
        refused += verdict(bytes(content)) != ()
    assert 100 < refused < 400


LONG = 100_000


@pytest.mark.parametrize(
    "text",
    [
        f"jobs: {{a: {{run: '{'{seed} ' * (LONG // 7)}'}}}}",
        f"jobs: {{a: {{run: '{chr(96) * LONG}{{seed}}'}}}}",
        f"jobs: {{a: {{matrix: {{s: [1]}}, run: 'cat {'<<A ' * (LONG // 4)}{{s}}'}}}}",
        f'jobs: {{a: {{matrix: {{s: [1]}}, run: "{"$( " * (LONG // 3)}{{s}}"}}}}',
        f'jobs: {{a: {{matrix: {{s: [1]}}, run: "{"{s}" * (LONG // 3)}"}}}}',
        f"jobs: {{a: {{name: '{'{' * LONG}'}}}}",
        f"jobs: {{a: {{name: '{'{a|' * (LONG // 3)}'}}}}",
        f"jobs: {{a: {{name: '{'${' * (LONG // 2)}'}}}}",
        f"jobs: {{a: {{memory: {'9' * LONG}}}}}",
        f"jobs: {{a: {{time: {'1h' * (LONG // 2)}x}}}}",
        f"jobs: {{a: {{time: '1{' ' * LONG}x'}}}}",
        f"jobs: {{{', '.join(f'a{n}: {{run: x, after: a{n - 1}}}' for n in range(2000))}}}",
        "jobs:\n" + "".join(f"  a{n}: {{nme: x}}\n" for n in range(2000)),
        "jobs: {a: {matrix: {a: [1], include: [" + "{a: 1, x: 2}, " * 10_000 + "]}, run: x}}",
        "jobs: {a: {matrix: {a: ["
        + ",".join(map(str, range(3000)))
        + "], include: ["
        + "{x: 2}, " * 3000
        + "]}, run: x}}",
        "x: &x " + "a" * LONG + "\ny: [" + "*x, " * 40_000 + "]",
        "jobs: {a: {matrix: {s: [" + ",".join(map(str, range(5000))) + "]}, run: '" + "a" * LONG + "'}}",
        "? " * 1000,
        "- " * 1000,
        "{" * LONG,
        "&a " * 1000,
        "'" * LONG,
        "%" * LONG,
        "\n" * LONG + "\t",
    ],
    ids=lambda text: text[:30].replace("\n", " "),
)
def test_the_longest_files_are_read_in_no_time(text: str) -> None:
    begun_s = time.process_time()
    verdict(text.encode())
    assert time.process_time() - begun_s < 5
