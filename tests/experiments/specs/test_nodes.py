"""YAML is read with its places, as it was written, by both parsers alike; templates are told from other braces."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_queue.errors import BadExperimentFile
from gpu_queue.experiments.specs import templates
from gpu_queue.experiments.specs.nodes import Mapping, Scalar, Sequence, Unreadable, compose
from gpu_queue.experiments.specs.nouns import Place
from gpu_queue.experiments.specs.parsing import parse_experiment
from gpu_queue.experiments.specs.reading import FILE_MAX_BYTES, read_experiment
from tests.experiments.specs import broken
from tests.experiments.specs.good import GOOD

TEXTS = [text for _, text in GOOD.values()]
TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("ab {}:#'\"\n-é中", max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abé ", max_size=3), inner, max_size=3),
    max_leaves=8,
)


def seen(text: str, loader: object) -> object:
    try:
        return compose(text, loader)
    except Unreadable as problem:
        return (problem.place, str(problem))


@pytest.mark.parametrize("text", TEXTS, ids=[*GOOD])
def test_both_parsers_see_the_same_in_the_same_places(text: str) -> None:
    assert compose(text, yaml.CSafeLoader) == compose(text, yaml.SafeLoader)


@settings(max_examples=60, deadline=None)
@given(TREES, st.booleans())
def test_both_parsers_see_the_same_of_any_tree(tree: object, is_flow: bool) -> None:
    text = yaml.safe_dump(tree, allow_unicode=True, default_flow_style=is_flow)
    assert seen(text, yaml.CSafeLoader) == seen(text, yaml.SafeLoader)


def test_everything_knows_its_place() -> None:
    root = compose("a: 1\nb:\n  - x\n  - {é: 'y z'}\n")
    assert isinstance(root, Mapping)
    (_, one), (key, items) = root.entries
    assert (one.place, key.place, items.place) == (Place(1, 4), Place(2, 1), Place(3, 3))
    assert isinstance(items, Sequence)
    inner = items.items[1]
    assert isinstance(inner, Mapping)
    assert inner.entries[0][1] == Scalar(Place(4, 9), "y z")


@pytest.mark.parametrize(
    ("text", "value", "is_null"),
    [
        ("~", "~", True),
        ("null", "null", True),
        ("''", "", False),
        ("'null'", "null", False),
        ("!!str null", "null", False),
        ("!!int 012", "012", False),
        ("|\n  a\n  b\n", "a\nb\n", False),
        (">-\n  a\n  b\n", "a b", False),
        ('"\\x41\\n"', "A\n", False),
    ],
)
def test_a_scalar_is_its_text(text: str, value: str, is_null: bool) -> None:
    assert compose(text) == Scalar(Place(1, 1), value, is_null)


@pytest.mark.parametrize("text", ["", "# x\n", "\n\n", "---\n...\n"])
def test_nothing_is_nothing(text: str) -> None:
    found = compose(text)
    assert found is None or (isinstance(found, Scalar) and found.is_null)


def test_windows_writes_files_too() -> None:
    text = "\ufeffjobs:\r\n  a:\r\n    run: |\r\n      echo a\r\n      echo b\r\n"
    (run,) = parse_experiment(text.encode(), broken.HERE, "f")
    assert run.script.endswith("\necho a\necho b\n")


# -- templates ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("{x}", "1"),
        ("a{x}b{x}", "a1b1"),
        ("{y|2}", "2"),
        ("{y|}", ""),
        ("{x|2}", "1"),
        ("{y|a b, c}", "a b, c"),
        ("{a-b.c}", "3"),
        ("${x}", "${x}"),
        ("${x:-{x}}", "${x:-1}"),
        ("${#x} $x $(x) ${x|y}", "${#x} $x $(x) ${x|y}"),
        ("{{x}", "{x}"),
        ("{{x|y}", "{x|y}"),
        ("{{x}}", "{x}}"),
        ("{ {x}", "{ 1"),
        ("{a,b} {1..3} {} { x } {x y} {x", "{a,b} {1..3} {} { x } {x y} {x"),
        ('{"a": {"b": 1}}', '{"a": {"b": 1}}'),
        ("awk '{print $1}'", "awk '{print $1}'"),
        ("{{.ID}} {{ range }}", "{{.ID}} {{ range }}"),
        ("{x}}", "1}"),
        ("{1x}", "{1x}"),
        ("{é}", "{é}"),
        ("", ""),
    ],
)
def test_only_names_in_braces_are_templates(text: str, made: str) -> None:
    template = templates.parse(Place(1, 1), text)
    assert templates.fill(template, {"x": "1", "a-b.c": "3"}) == made


@given(st.text("{}x|$ a\\", max_size=12))
def test_a_text_is_its_parts(text: str) -> None:
    try:
        template = templates.parse(Place(1, 1), text)
    except ValueError:
        assert "${{" in text
        return
    said = "".join(str(part) if isinstance(part, templates.Hole) else part for part in template.parts)
    assert said.replace("{", "") == text.replace("{", "")
    assert text.count("{") - said.count("{") == text.count("{{x") - text.count("${{x") or "{{" in text


# -- files ----------------------------------------------------------------------------------------------------------


def refusal(path: str) -> str:
    with pytest.raises(BadExperimentFile) as caught:
        read_experiment(path)
    (problem,) = caught.value.problems
    return problem


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    assert refusal("") == "'': expected the path of an experiment file"
    assert refusal("a\0b") == "'a?b': expected the path of an experiment file"
    assert refusal(f"{tmp_path}/none.yaml") == f"{tmp_path}/none.yaml: there is no such file"
    assert "it is a directory" in refusal(str(tmp_path))
    os.mkfifo(tmp_path / "fifo.yaml")
    assert "FIFO" in refusal(f"{tmp_path}/fifo.yaml")
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    assert "cannot be read" in refusal(f"{tmp_path}/loop.yaml") or "symbolic" in refusal(f"{tmp_path}/loop.yaml")
    assert "expected an experiment file" in refusal("/dev/zero")
    large = tmp_path / "large.yaml"
    large.write_bytes(b"#" * (FILE_MAX_BYTES + 1))
    assert "at most 1 MiB" in refusal(str(large))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_told_of(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_text("jobs: {}")
    file.chmod(0)
    assert "read" in refusal(str(file))


def test_a_link_is_followed_and_has_its_own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, here = tmp_path / "real", tmp_path / "here"
    real.mkdir()
    here.mkdir()
    (real / "jobs.yaml").write_text("jobs: {a: {run: x}}")
    (here / "mine.yaml").symlink_to("../real/jobs.yaml")
    monkeypatch.chdir(here)
    monkeypatch.delenv("PWD", raising=False)
    experiment = read_experiment("mine.yaml")
    assert experiment.path == str(real / "jobs.yaml")
    assert experiment.place == str(here / "mine.yaml")
    assert experiment.runs[0].cwd == str(here)
    assert experiment.groups == ("mine",)


def test_names_of_files_hold_any_bytes(tmp_path: Path) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9 \x1b[31m.yaml")
    Path(path).write_text("jobs: {a: {run: x, nme: 1}}")
    problem = refusal(path)
    assert problem.endswith(".yaml:1:20: jobs.a: unknown key 'nme'; did you mean name?")
    assert "\x1b" not in problem
    Path(path).write_text("jobs: {a: {run: x}}")
    run = read_experiment(path).runs[0]
    assert os.fsencode(run.cwd) == os.fsencode(tmp_path)
    assert run.group == "caf___[31m"
    assert os.fsencode(path).rpartition(b"/")[2].replace(b"\x1b", b"?") in run.script.encode(
        "utf-8", "surrogateescape"
    )
