"""A value is one word, or a part of one, whatever is in it: bash itself is asked."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_queue.experiments.specs.nouns import Place
from gpu_queue.experiments.specs.shell import quoted, skeleton_of, spots_of
from gpu_queue.experiments.specs.templates import parse, value_of

SHOW = "show() { printf '%s\\0' \"$@\"; }\n"
END = "\0end\0"
WHERE = {
    "plain": "show {x}",
    "within a word": "show a{x}b",
    "as a value": 'v={x}; show "$v"',
    "twice in a word": "show {x}{x}",
    "in double quotes": 'show "a {x} b"',
    "in single quotes": "show 'a {x} b'",
    "in ANSI quotes": "show $'a\\t{x}b'",
    "in a subshell": "(show {x})",
    "in $( )": 'show "$(show {x} | tr -d "\\0"; echo .)"',
    "in quotes in $( ) in quotes": 'show "$(printf %s "{x}"; echo .)"',
    "in backticks": 'show "`printf %s {x}; echo .`"',
    "in plain backticks": "(IFS=; set -f; show `printf %s {x}; echo .`)",
    "in quotes in backticks": 'show "`printf %s "{x}"; echo .`"',
    "in single quotes in backticks": "show \"`printf %s '{x}'; echo .`\"",
    "in a default": "unset v; show ${v:-{x}}",
    "in a default in quotes": 'unset v; show "${v:-{x}}"',
    "in a default in quotes, beside more": 'unset v; show "a ${v:-b {x} c} d"',
    "in quotes in a default in quotes": 'unset v; show "${v:-"{x}"}"',
    "in a here-document": "cat <<EOF | { IFS= read -r -d '' v || :; show \"$v\"; }\na {x} b\nEOF",
    "in a quoted here-document": "cat <<'EOF' | { IFS= read -r -d '' v || :; show \"$v\"; }\na {x} b\nEOF",
    "in $( ) in a here-document": (
        "cat <<-E_O | { IFS= read -r -d '' v || :; show \"$v\"; }\n\ta $(printf %s {x}; echo .) b\n\tE_O"
    ),
    "in quotes in $( ) in a here-document": (
        'cat <<-E_O | { IFS= read -r -d \'\' v || :; show "$v"; }\n\ta $(printf %s "{x}"; echo .) b\n\tE_O'
    ),
    "in single quotes in $( ) in a here-document": (
        "cat <<E_O | { IFS= read -r -d '' v || :; show \"$v\"; }\na $(printf %s '{x}'; echo .) b\nE_O"
    ),
    "in backticks in a here-document": (
        "cat <<E_O | { IFS= read -r -d '' v || :; show \"$v\"; }\na `printf %s {x}; echo .` b\nE_O"
    ),
    "in a here-string": "IFS= read -r -d '' v <<<{x} || :; show \"$v\"",
    "behind a here-document": "cat <<A <<'B' >/dev/null\n'\nA\n\"\nB\nshow {x}",
    "in a comment": "# {x}\nshow fine # {x}",
    "behind what is no comment": "v=; show a#b $# ${#v} {x}",
    "before a redirection": "show {x}>&1",
    "as a pattern": "case {x} in {x}) show yes;; *) show no;; esac",
    "compared": "if [[ {x} == {x} ]]; then show yes; else show no; fi",
    "in a list of words": 'for v in {x} last; do show "$v"; done',
    "as a member": 'a=(a {x} b); show "${a[@]}"',
    "as a key": 'declare -A m=([k]=1); m[k]={x}; show "${m[k]}"',
    "in a function": 'f() { show "$1" {x}; }\nf {x}',
    "behind an escaped quote": 'show \\\' \\" {x} "\\"{x}"',
    "behind a command in other words": "A=1 show {x}",
}
"""Scripts that show one value, or say that it is what it is."""
TOLD = {
    "within a word": "a{x}b",
    "twice in a word": "{x}{x}",
    "in double quotes": "a {x} b",
    "in single quotes": "a {x} b",
    "in ANSI quotes": "a\t{x}b",
    "in $( )": "{x}.",
    "in quotes in $( ) in quotes": "{x}.",
    "in backticks": "{x}.",
    "in plain backticks": "{x}.",
    "in quotes in backticks": "{x}.",
    "in single quotes in backticks": "{x}.",
    "in a default in quotes, beside more": "a b {x} c d",
    "in a here-document": "a {x} b\n",
    "in a quoted here-document": "a {x} b\n",
    "in $( ) in a here-document": "a {x}. b\n",
    "in quotes in $( ) in a here-document": "a {x}. b\n",
    "in single quotes in $( ) in a here-document": "a {x}. b\n",
    "in backticks in a here-document": "a {x}. b\n",
    "in a here-string": "{x}\n",
    "in a comment": "fine",
    "behind what is no comment": "a#b\0" + "0\0" + "0\0{x}",
    "as a pattern": "yes",
    "compared": "yes",
    "in a list of words": "{x}\0last",
    "as a member": "a\0{x}\0b",
    "in a function": "{x}\0{x}",
    "behind an escaped quote": '\'\0"\0{x}\0"{x}',
}
HOSTILE = [
    "", " ", "a b", "'", '"', "\\", "$HOME", "$(touch pwned)", "`touch pwned`", "; touch pwned", "a\nb", "-n",
    "--", "*", "~", "#", "# x", "!", "!!", "{a,b}", "{1..3}", "a,b", "x=y", "if", "done", "2", "1e-5", "}",
    "'}", '"}', "\\'", "\\\\", "a'b\"c$d`e\\f", "&", "|", "<", ">", "(", ")", "((", "[", "]", "[[", "?", "%s",
    "\t", "é中文🙂", "$'x'", "EO", "A\\", "\\n", "$", "${x}", "$((1))", "&&", "\r", "\x01",
    "\\\n", "a\\\nb", "\\\\\n", "\nE_O\n", "a\n\tb",
    "it's \"quoted\" \\ `so` $this",
]  # fmt: skip
VALUES = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(st.sampled_from(list("ab1 '\"\\$`(){}[]<>|&;#!*?~=-,.:/%@+^\n\t\r\x01é中🙂")), max_size=12),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8),
)


NOT_TWICE = ("in quotes in backticks", "in quotes in a default in quotes")
"""Where bash itself would take ``{a,b}`` apart."""


def filled(text: str, values: dict[str, str]) -> str:
    template = parse(Place(1, 1), text)
    spots = iter(spots_of(skeleton_of(template)))
    return "".join(
        part if isinstance(part, str) else quoted(next(spots), value_of(part, values)) for part in template.parts
    )


def said_by_bash(script: str) -> list[str]:
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "script")
        file.write_bytes(f"{SHOW}set -e\nv=\n{script}\n".encode())
        done = subprocess.run(
            ["bash", str(file)], cwd=directory, capture_output=True, check=False, timeout=60, stdin=subprocess.DEVNULL
        )
        assert (done.returncode, done.stderr.decode()) == (0, ""), script
        assert [one.name for one in Path(directory).iterdir()] == ["script"], script
    return done.stdout.decode().split(END)[:-1]


def told(name: str, value: str) -> str:
    return TOLD.get(name, "{x}").replace("{x}", value)


def check(pairs: list[tuple[str, str]]) -> None:
    """One script of a statement for each pair."""
    lines = [f"{WHERE[name].replace('{x}', f'{{x{at}}}')}\nshow end" for at, (name, _) in enumerate(pairs)]
    script = filled("\n".join(lines), {f"x{at}": value for at, (_, value) in enumerate(pairs)})
    assert said_by_bash(script) == [told(name, value) for name, value in pairs]


@pytest.mark.parametrize("name", WHERE)
def test_bash_gets_each_hostile_value_as_it_is(name: str) -> None:
    check([(name, value) for value in HOSTILE if not (name in NOT_TWICE and "{" in value)])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(sorted({*WHERE} - {*NOT_TWICE})), VALUES), min_size=1, max_size=15))
def test_bash_gets_any_value_as_it_is_wherever_it_stands(pairs: list[tuple[str, str]]) -> None:
    check(pairs)


@pytest.mark.parametrize("name", NOT_TWICE)
def test_what_bash_would_take_apart_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"no \{ can stand, got '\{a,b\}'"):
        filled(WHERE[name], {"x": "{a,b}"})


@pytest.mark.parametrize(
    "text", ["echo $(( {x} * 2 ))", "(( v = {x} )); echo", "for ((i = 0; i < {x}; i++)); do echo; done"]
)
def test_a_sum_takes_numbers_and_names_alone(text: str) -> None:
    assert filled(text, {"x": "12"}) == text.replace("{x}", "12")
    assert filled(text, {"x": "count"}) == text.replace("{x}", "count")
    for value in ("a[$(touch pwned)]", "1 + 1", "", "1;", "'1'", "x[0]"):
        with pytest.raises(ValueError, match="only a whole number or a name"):
            filled(text, {"x": value})


@pytest.mark.parametrize("value", ["EOF", "a\nEOF", "EOF\nb", "a\n\tEOF\nb"])
def test_a_value_cannot_end_a_here_document(value: str) -> None:
    for text in ("cat <<EOF\n{x}\nEOF", "cat <<-'EOF'\n\t{x}\n\tEOF"):
        with pytest.raises(ValueError, match="would end the here-document"):
            filled(text, {"x": value})
    assert filled("cat <<EOF\n {x}\nEOF", {"x": "EOF"}) == "cat <<EOF\n EOF\nEOF"


def test_what_cannot_be_told_apart_is_refused() -> None:
    with pytest.raises(ValueError, match="double it"):
        filled("echo \\{x}", {"x": "1"})
    with pytest.raises(ValueError, match="delimiter"):
        filled("cat <<{x}\n", {"x": "1"})


@pytest.mark.parametrize("value", ["mnist", "1e-5", "3.10", "a/b.c", "meta-llama/Llama-3", "x:y", "50%", "-1"])
def test_plain_values_stay_as_people_write_them(value: str) -> None:
    assert filled("python a.py --x={x} {x}", {"x": value}) == f"python a.py --x={value} {value}"


def test_a_number_before_a_redirection_is_no_descriptor() -> None:
    assert filled("echo {x}>a", {"x": "2"}) == "echo '2'>a"
    assert filled("echo {x} >a", {"x": "2"}) == "echo 2 >a"
