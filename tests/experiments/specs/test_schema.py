"""The schema of experiment files: up to date, and as strict as a schema can be."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_queue.cli import main
from gpu_queue.experiments.specs.keys import FILE_KEYS, JOB_KEYS
from gpu_queue.experiments.specs.parsing import parse_experiment
from gpu_queue.experiments.specs.schema import json_schema, keys_table
from tests.experiments.specs import broken
from tests.experiments.specs.good import GOOD

WORDS = st.one_of(
    st.sampled_from(
        ["a", "b c", "{seed}", "{seed|1}", "x{job}", "8G", "2-4", "4h", "~/x", "none", "null", "true", "/x", "é", ""]
    ),
    st.integers(-2, 1100),
    st.booleans(),
    st.floats(0, 5),
    st.none(),
)
VARIANTS = st.lists(st.dictionaries(st.sampled_from(["seed", "y"]), WORDS, max_size=2), max_size=2)
MATRICES = st.fixed_dictionaries(
    {"seed": st.lists(WORDS, min_size=1, max_size=3)},
    optional={"x": st.lists(WORDS, max_size=2), "include": VARIANTS, "exclude": VARIANTS},
)
JOBS = st.fixed_dictionaries(
    {"run": st.sampled_from(["echo", "echo {seed|}", ["a", 1], 5, True]) | WORDS},
    optional={
        **{key.name: WORDS for key in JOB_KEYS if key.kind is not None},
        "env": st.dictionaries(st.sampled_from(["A", "1A", "UID"]), WORDS, max_size=2),
        "after": WORDS | st.lists(WORDS, max_size=2),
        "matrix": MATRICES,
    },
)
DOCS = Path(__file__).parents[3] / "docs"
SCHEMA = jsonschema.Draft7Validator(json_schema())
NO_TREE = (
    "a bomb of aliases",
    "more values than anybody reads",
    "brackets without end",
    "a character that there is not",
)
"""What PyYAML alone takes too long for, or falls over."""
NO_SCHEMA_TELLS = {
    # YAML's own: a key of two is lost, and what is forgotten is null; so are characters and encodings.
    "a NUL that is spelled", "a direction of writing", "UTF-16", "jobs twice", "a job twice", "a key twice",
    "job: GPUs that are forgotten", "job: time as a clock", "job: a run with a forgotten word",
    "job: what it comes after is forgotten",
    # What two values have to do with each other, and what no pattern tells.
    "job: GPUs backwards", "job: time for ever", "job: a directory of somebody else",
    "job: a directory with a control character", "job: an unknown template", "job: a typo in a template",
    "job: a default of a name that there is not", "job: GitHub's templates", "job: a name in a name",
    "job: a template behind a backslash", "job: a variable in the place of a template",
    "after more than a record holds", "job: a text in a sum", "job: GPUs of a template",
    "job: what it comes after is not there", "job: it comes after itself", "matrix: an exclusion of nothing",
    "matrix: an exclusion that is written otherwise", "matrix: an exclusion of another name",
    "matrix: an exclusion of all", "matrix: an inclusion that is written otherwise",
    "matrix: more combinations than anybody runs", "names that are not unique", "a name in two jobs",
    "names that are alike when they are cut", "not all combinations have it", "a circle of jobs", "a circle of runs",
    "after in defaults", "after a run that was excluded", "more runs than anybody runs",
}  # fmt: skip


def test_what_lies_in_docs_is_what_the_table_makes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    printed = capsys.readouterr().out
    assert json.loads(printed) == json_schema()
    assert (DOCS / "experiment.schema.json").read_text(encoding="utf-8") == printed, "make docs"


def test_it_is_a_schema() -> None:
    jsonschema.Draft7Validator.check_schema(json_schema())


def test_the_docs_have_the_tables_of_keys() -> None:
    text = (DOCS / "experiments.md").read_text(encoding="utf-8")
    for keys in (FILE_KEYS, JOB_KEYS):
        assert keys_table(keys) in text, keys_table(keys)


@pytest.mark.parametrize("name", GOOD)
def test_what_can_be_run_is_accepted_by_both(name: str) -> None:
    count, text = GOOD[name]
    assert len(parse_experiment(text.encode(), broken.HERE, "f.yaml")) == count
    assert [one.message for one in SCHEMA.iter_errors(yaml.safe_load(text))] == []


def test_what_is_wrong_is_refused_by_the_schema_where_one_can_tell() -> None:
    accepted = set()
    for name, content in broken.files().items():
        if name in NO_TREE:
            continue
        try:
            tree = yaml.safe_load(content)
        except yaml.YAMLError:
            continue
        if SCHEMA.is_valid(tree):
            accepted.add(name)
    assert accepted == NO_SCHEMA_TELLS


def test_every_key_is_described() -> None:
    schema = json_schema()
    for key in JOB_KEYS:
        said = schema["definitions"]["job"]["properties"][key.name]["description"]
        assert key.meaning.replace("`", "")[1:] in said
        assert key.expected in said
    assert set(schema["properties"]) == {key.name for key in FILE_KEYS}


@settings(max_examples=150, deadline=None)
@given(JOBS)
def test_the_schema_accepts_whatever_can_be_run(job: dict[str, object]) -> None:
    tree = {"jobs": {"a": job}}
    if not broken.problems_of(json.dumps(tree).encode()):
        assert [one.message for one in SCHEMA.iter_errors(tree)] == []
