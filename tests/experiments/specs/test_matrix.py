"""A matrix means what it means on GitHub: the examples of its documentation, and what is stricter here."""

from __future__ import annotations

import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_queue.experiments.specs.axes import read_matrix
from gpu_queue.experiments.specs.matrix import BadMatrix, Entry, Matrix, combinations
from gpu_queue.experiments.specs.nodes import compose
from gpu_queue.experiments.specs.nouns import Place
from gpu_queue.experiments.specs.problems import Problems


def combined(text: str) -> list[dict[str, str]]:
    problems = Problems()
    node = compose(textwrap.dedent(text))
    assert node is not None
    matrix = read_matrix(node, "a mapping", problems)
    assert matrix is not None, problems.told("f")
    return combinations(matrix)


def test_the_six_combinations_of_githubs_page_on_include() -> None:
    found = combined(
        """\
        fruit: [apple, pear]
        animal: [cat, dog]
        include:
          - color: green
          - color: pink
            animal: cat
          - fruit: apple
            shape: circle
          - fruit: banana
          - fruit: banana
            animal: cat
        """
    )
    assert found == [
        {"fruit": "apple", "animal": "cat", "color": "pink", "shape": "circle"},
        {"fruit": "apple", "animal": "dog", "color": "green", "shape": "circle"},
        {"fruit": "pear", "animal": "cat", "color": "pink"},
        {"fruit": "pear", "animal": "dog", "color": "green"},
        {"fruit": "banana"},
        {"fruit": "banana", "animal": "cat"},
    ]


def test_one_and_two_dimensions() -> None:
    assert combined("version: [10, 12, 14]") == [{"version": one} for one in ("10", "12", "14")]
    found = combined("os: [ubuntu-22.04, ubuntu-20.04]\nversion: [10, 12, 14]")
    assert found == [
        {"os": os, "version": one} for os in ("ubuntu-22.04", "ubuntu-20.04") for one in ("10", "12", "14")
    ]


def test_expanding_configurations() -> None:
    found = combined(
        """\
        os: [windows-latest, ubuntu-latest]
        node: [14, 16]
        include:
          - os: windows-latest
            node: 16
            npm: 6
        """
    )
    assert found == [
        {"os": "windows-latest", "node": "14"},
        {"os": "windows-latest", "node": "16", "npm": "6"},
        {"os": "ubuntu-latest", "node": "14"},
        {"os": "ubuntu-latest", "node": "16"},
    ]


def test_adding_configurations() -> None:
    found = combined(
        """\
        os: [macos-latest, windows-latest, ubuntu-latest]
        version: [12, 14, 16]
        include:
          - os: windows-latest
            version: 17
        """
    )
    assert len(found) == 10
    assert found[-1] == {"os": "windows-latest", "version": "17"}


def test_a_matrix_of_inclusions_alone() -> None:
    found = combined(
        """\
        include:
          - site: "production"
            datacenter: "site-a"
          - site: "staging"
            datacenter: "site-b"
        """
    )
    assert found == [
        {"site": "production", "datacenter": "site-a"},
        {"site": "staging", "datacenter": "site-b"},
    ]


def test_excluding_configurations_of_which_a_part_is_enough() -> None:
    found = combined(
        """\
        os: [macos-latest, windows-latest]
        version: [12, 14, 16]
        environment: [staging, production]
        exclude:
          - os: macos-latest
            version: 12
            environment: production
          - os: windows-latest
            version: 16
        """
    )
    assert len(found) == 9
    assert {"os": "macos-latest", "version": "12", "environment": "staging"} in found
    assert not [one for one in found if one["os"] == "windows-latest" and one["version"] == "16"]


def test_exclusions_come_first_so_that_an_inclusion_brings_one_back() -> None:
    found = combined("a: [1, 2]\nexclude: [{a: 1}]\ninclude: [{a: 1, x: 3}]")
    assert found == [{"a": "2"}, {"a": "1", "x": "3"}]


def test_two_exclusions_may_mean_the_same_combination() -> None:
    assert combined("a: [1, 2]\nb: [1, 2]\nexclude: [{a: 1}, {b: 1}]") == [{"a": "2", "b": "2"}]


def test_values_are_equal_where_they_are_written_alike() -> None:
    found = combined("lr: [1e-5, 3.10, 012, no, 1:30, '7', null]\ninclude: [{lr: 1e-5, x: 0x10}]")
    assert [one["lr"] for one in found] == ["1e-5", "3.10", "012", "no", "1:30", "7", "null"]
    assert found[0]["x"] == "0x10"


def entries(lists: list[dict[str, str]]) -> tuple[Entry, ...]:
    return tuple(Entry(Place(1, 1), one, dict.fromkeys(one, Place(1, 1))) for one in lists)


NAMES = st.sampled_from("abc")
SOME = st.sampled_from("xyz")
AXES = st.dictionaries(NAMES, st.lists(SOME, min_size=1, max_size=3, unique=True).map(tuple), max_size=3)
ENTRIES = st.lists(st.dictionaries(st.sampled_from("abcde"), SOME, min_size=1, max_size=3), max_size=4)


@given(AXES, ENTRIES, ENTRIES)
def test_it_is_what_the_page_says_in_words(
    axes: dict[str, tuple[str, ...]], include: list[dict[str, str]], exclude: list[dict[str, str]]
) -> None:
    exclude = [{name: value for name, value in one.items() if name in axes} for one in exclude]
    matrix = Matrix(Place(1, 1), axes, entries(include), entries([one for one in exclude if one]))
    product: list[dict[str, str]] = [{}] if axes else []
    for name, values in axes.items():
        product = [{**one, name: value} for one in product for value in values]

    def is_hit(one: dict[str, str], entry: dict[str, str]) -> bool:
        return all(one.get(name) == value for name, value in entry.items())

    misses = [entry for entry in exclude if entry and not any(is_hit(one, entry) for one in product)]
    originals = [one for one in product if not any(entry and is_hit(one, entry) for entry in exclude)]
    made = [dict(one) for one in originals]
    alone = []
    for entry in include:
        # "added to each combination if none of the pairs overwrite any of the original matrix values"
        fits = [at for at, one in enumerate(originals) if not any(one.get(k, v) != v for k, v in entry.items())]
        for at in fits:
            made[at].update(entry)
        if not fits:
            alone.append(entry)
    if misses or not made + alone:
        with pytest.raises(BadMatrix) as caught:
            combinations(matrix)
        assert len(caught.value.problems) == len(misses) or not misses
    else:
        assert combinations(matrix) == made + alone
