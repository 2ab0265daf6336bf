"""One setting changed in a config.yaml: all other bytes stay, and nothing else means anything else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from gpu_queue.config import SETTINGS, parse_config
from gpu_queue.console.policy.judging import ROWS
from gpu_queue.console.policy.splicing import Unchangeable, change
from gpu_queue.console.policy.texts import decoded, encoded

DOCUMENTS = Path(__file__).parents[2] / "unit" / "documents"


def changed(text: str, key: str, value: str | None) -> str:
    return change(text, ROWS[key], value)


# -- as people write it ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "key", "value", "made"),
    [
        ("retries: 2  # two\nlifetime: never\n", "retries", "3", "retries: 3  # two\nlifetime: never\n"),
        ("retries: 2\r\nmax_lost: 1\r\n", "retries", "30", "retries: 30\r\nmax_lost: 1\r\n"),
        ("\ufeffretries: 2\n", "retries", "3", "\ufeffretries: 3\n"),
        ("retries: '2'", "retries", "3", "retries: '3'"),
        ('retry_delay: "1m"\n', "retry_delay", "2m", 'retry_delay: "2m"\n'),
        ("retries: !!int 2\n", "retries", "3", "retries: !!int 3\n"),
        ("retries: &r 2 # r\n", "retries", "3", "retries: &r 3 # r\n"),
        ("retries:\n", "retries", "3", "retries: 3\n"),
        ("retries:    # none yet\n", "retries", "3", "retries: 3    # none yet\n"),
        ("retries: |\n  2\n\nmax_lost: 1\n", "retries", "5", "retries: 5\n\nmax_lost: 1\n"),
        ("? retries\n: 2\n", "retries", "5", "? retries\n: 5\n"),
        ("{retries: 2, max_lost: 1}", "retries", "5", "{retries: 5, max_lost: 1}"),
        ('{"retries":2,"max_lost":1}', "retries", "5", '{"retries":5,"max_lost":1}'),
        ("---\nretries: 2\n...\n", "retries", "5", "---\nretries: 5\n...\n"),
        ("%YAML 1.1\n---\nretries: 2\n", "retries", "5", "%YAML 1.1\n---\nretries: 5\n"),
        ("use_all_gpus: yes\n", "use_all_gpus", "off", "use_all_gpus: no\n"),
        ("use_all_gpus: True\n", "use_all_gpus", "off", "use_all_gpus: False\n"),
        ("keepalive: OFF  # night\n", "keepalive.enabled", "on", "keepalive: ON  # night\n"),
        ("keepalive: {enabled: off}\n", "keepalive.enabled", "on", "keepalive: {enabled: on}\n"),
        ("gpus: all\n", "gpus", "0, 1", "gpus: 0, 1\n"),
        ("gpus: [0, '1']  # both\n", "gpus", "0, 2", "gpus: [0, '2']  # both\n"),
        ("gpus: [0, 1]\n", "gpus", "0, 1, 2", "gpus: [0, 1, 2]\n"),
        ("gpus: [0, 1, 2]\n", "gpus", "0", "gpus: [0]\n"),
        ("gpus:\n- 0 # zero\n- 1\n", "gpus", "0, 2, 3", "gpus:\n- 0 # zero\n- 2\n- 3\n"),
        ("gpus:\n  - 0 # zero\n  - 1\nretries: 1", "gpus", "0", "gpus:\n  - 0 # zero\nretries: 1"),
        ("gpu_left: {free: 1}\n", "gpu_left", "2", "gpu_left: 2\n"),
        ("work_dir: null  # here\n", "work_dir", "../", "work_dir: ../  # here\n"),
        ("work_dir: a\n", "work_dir", "a: #b", "work_dir: 'a: #b'\n"),
        ("max_concurrent: 4\n", "max_concurrent", "none", "max_concurrent: none\n"),
        ("stop_grace: &g 10s\nleave_grace: *g\n", "leave_grace", "20s", "stop_grace: &g 10s\nleave_grace: 20s\n"),
    ],
)
def test_a_value_is_replaced_where_it_stands(text: str, key: str, value: str, made: str) -> None:
    assert changed(text, key, value) == made


@pytest.mark.parametrize(
    ("text", "key", "value", "made"),
    [
        ("", "retries", "3", "retries: 3\n"),
        ("# nothing yet", "retries", "3", "# nothing yet\nretries: 3"),
        ("# nothing\r\n", "retries", "3", "# nothing\r\nretries: 3\r\n"),
        ("---\n", "retries", "3", "---\nretries: 3\n"),
        ("---\n# a\n...\n", "retries", "3", "---\n# a\nretries: 3\n...\n"),
        ("{}\n", "retries", "3", "{retries: 3}\n"),
        ("{lifetime: never}", "retries", "3", "{lifetime: never, retries: 3}"),
        # Behind the last one of its group in the pages.
        (
            "retries: 1  # one\nlifetime: 4h\n",
            "retry_delay",
            "1m",
            "retries: 1  # one\nretry_delay: 1m\nlifetime: 4h\n",
        ),
        ("lifetime: 4h\n\n# the end\n", "retries", "1", "lifetime: 4h\nretries: 1\n\n# the end\n"),
        ("  lifetime: 4h", "retries", "1", "  lifetime: 4h\n  retries: 1"),
        ("lifetime: |\n  4h\n", "retries", "1", "lifetime: |\n  4h\nretries: 1\n"),
        ("retries: 1\n", "keepalive.engine", "zeros", "retries: 1\nkeepalive:\n  engine: zeros\n"),
        (
            "retry_config:\n    max_retries: 1\n",
            "keepalive.engine",
            "zeros",
            "retry_config:\n    max_retries: 1\nkeepalive:\n    engine: zeros\n",
        ),
        (
            "keepalive:  # k\n   engine: zeros\n\n# end\n",
            "keepalive.gpu_util_target",
            "60",
            "keepalive:  # k\n   engine: zeros\n   gpu_util_target: 60\n\n# end\n",
        ),
        (
            "keepalive: {engine: zeros}\n",
            "keepalive.gpu_util_target",
            "60",
            "keepalive: {engine: zeros, gpu_util_target: 60}\n",
        ),
        (
            "keepalive: off  # night\nretries: 1\n",
            "keepalive.engine",
            "zeros",
            "keepalive:  # night\n  enabled: off\n  engine: zeros\nretries: 1\n",
        ),
        ("{keepalive: off}", "keepalive.engine", "zeros", "{keepalive: {enabled: off, engine: zeros}}"),
        ("retries: 1\n", "gpus", "0, 1", "retries: 1\ngpus: [0, 1]\n"),
    ],
)
def test_a_new_setting_gets_a_line_behind_its_group(text: str, key: str, value: str, made: str) -> None:
    assert changed(text, key, value) == made


@pytest.mark.parametrize(
    ("text", "key", "made"),
    [
        ("# a\nretries: 2  # two\nlifetime: 4h\n", "retries", "# a\nlifetime: 4h\n"),
        ("lifetime: 4h\nretries: 2", "retries", "lifetime: 4h\n"),
        ("retries: 2\n# only\n", "retries", "# only\n"),
        ("\ufeffretries: 2\r\nlifetime: 4h\r\n", "retries", "\ufefflifetime: 4h\r\n"),
        ("{retries: 2, lifetime: 4h}", "retries", "{lifetime: 4h}"),
        ("{retries: 2, lifetime: 4h}", "lifetime", "{retries: 2}"),
        ("{retries: 2}", "retries", "{}"),
        ("keepalive: off\nretries: 1\n", "keepalive.enabled", "retries: 1\n"),
        ("keepalive:\n  # why\n  engine: zeros\nretries: 1\n", "keepalive.engine", "retries: 1\n"),
        ("keepalive:\n  enabled: on\n  engine: zeros\n", "keepalive.enabled", "keepalive:\n  engine: zeros\n"),
        ("gpus:\n  - 0\n  - 1\nretries: 1\n", "gpus", "retries: 1\n"),
        ("lifetime: |\n  4h\n\nretries: 1\n", "lifetime", "\nretries: 1\n"),
        ("retries: 1\n", "lifetime", "retries: 1\n"),
    ],
)
def test_a_setting_at_its_default_has_no_line(text: str, key: str, made: str) -> None:
    assert changed(text, key, None) == made


@pytest.mark.parametrize(
    ("text", "key", "value", "code"),
    [
        ("retry_delay: &d 30s\nstop_grace: *d\n", "retry_delay", "5s", "entangled"),
        ("retry_delay: &d 30s\nstop_grace: *d\n", "retry_delay", None, "entangled"),
        ("retries: 1\nretries: 2\n", "retries", None, "entangled"),
        ("? retries\n: 2\n", "retries", None, "entangled"),
        ("retries: [\n", "retries", "1", "no_yaml"),
        ("- 1\n", "retries", "1", "no_yaml"),
        ("a: 1\n---\nb: 2\n", "retries", "1", "no_yaml"),
        ("[" * 5000, "retries", "1", "no_yaml"),
    ],
)
def test_what_would_change_something_else_is_refused(text: str, key: str, value: str | None, code: str) -> None:
    with pytest.raises(Unchangeable) as refused:
        changed(text, key, value)
    assert refused.value.code == code


@pytest.mark.parametrize("value", ["x", "3: 4", "# no", "-1", "  ", "[1", "1:30", "0x10", "yes", "é中"])
def test_what_is_no_value_is_written_as_it_was_typed_for_the_reader_to_refuse(value: str) -> None:
    made = changed("max_lost: 1\nretries: 2  # two\n", "retries", value)
    config = parse_config("config.yaml", made.encode())
    assert config.broken == {"retries"}
    assert made.startswith("max_lost: 1\nretries: ")
    assert made.endswith("  # two\n")


def test_numbers_mean_what_agents_read() -> None:
    # YAML 1.1 would have 1:30 be 90, and 010 be 8; agents read them as text and as decimals.
    assert changed("retries: 010\n", "retries", "011") == "retries: 011\n"
    assert parse_config("", b"retries: 011\n").values["retries"].value == 11


@pytest.mark.parametrize("name", ["001-config.yaml", "001-config-usage.yaml"])
def test_the_documents_own_files_keep_every_other_byte(name: str) -> None:
    text = (DOCUMENTS / name).read_bytes().decode()
    for key, value in {"check_time": "7", "gpu_left": "3", "retry_config.backoff_duration": "20m"}.items():
        made = changed(text, key, value)
        old, new = text.splitlines(keepends=True), made.splitlines(keepends=True)
        different = [(a, b) for a, b in zip(old, new, strict=True) if a != b]
        assert len(different) == 1, key
        assert different[0][0].partition("#")[1:] == different[0][1].partition("#")[1:]


# -- any file -------------------------------------------------------------------------------------------------------

EXAMPLES = {
    "flag": ["on", "off", "true", "No", "1", "'off'"],
    "count": ["1", "3", "'4'", '"5"', "007"],
    "percent": ["72", "'71'", "73"],
    "part": ["0.5", "60%", ".4"],
    "time": ["90s", "1m", "600", "'2h'", '"1d12h"', "1.5"],
    "lifetime": ["never", "4h", "86400"],
    "hours": ["24", "0.5", "'48'"],
    "size": ["1G", "512M", "1000000"],
    "megabytes": ["8000", "8G", "'512M'"],
    "gpus": ["0", "[0, 1]", "'0,1'", "[ 2 ,'3' ]"],
    "uid": ["1000", "[1000, 1001]"],
    "quiet_hours": ["22:00-07:00", "off", "'mon-fri 09:00-18:00'", "[22:00-07:00, 'sat']"],
    "labels": ["ops", "[ops, me]", "'ops, me'"],
    "text": ["a", "'b c'", '"d"'],
}
SPECIAL = {"gpu_left": ["1", "{free: 1}", "free:2"], "process_json": ["a.json", "null"], "simulate": ["4", "4x80G"]}
TYPED = {
    "flag": ["on", "off"],
    "count": ["2", "12"],
    "percent": ["70", "80"],
    "part": ["0.7", "50%"],
    "time": ["45s", "2m", "30"],
    "lifetime": ["never", "12h"],
    "hours": ["12", "0.25"],
    "size": ["2G", "100M"],
    "megabytes": ["9000", "1G"],
    "gpus": ["0", "0, 2", "1,2,3"],
    "uid": ["1002", "1002, 1003"],
    "quiet_hours": ["23:00-05:00", "sat,sun; 22:00-06:00", "off"],
    "labels": ["me", "ops, you"],
    "text": ["x", "y z", "it's", "a: b", "# c", "中文"],
}
SPECIAL_TYPED = {"gpu_left": ["2", "free:3"], "process_json": ["b.json", "none"], "simulate": ["2", "8x40G"]}
COMMENTS = ["", "  # why", " # 重试", "   #", ""]
BETWEEN = ["", "# a line\n", "\n", "#\tx\n\n", "# ---\n"]


def noun_of(key: str) -> str:
    kind = ROWS[key].file_kind
    one = getattr(kind, "item", None) or getattr(kind, "scalar", None) or kind
    return str(getattr(one, "noun", ""))


def spellings(key: str, table: dict[str, list[str]], special: dict[str, list[str]]) -> list[str]:
    kind = ROWS[key].file_kind
    return special.get(key) or list(getattr(kind, "choices", ())) or table[noun_of(key)]


@dataclass(frozen=True)
class Made:
    """A config.yaml, and where each value stands in it."""

    text: str
    spans: dict[str, tuple[int, int]]


@st.composite
def configs(draw: st.DrawFn) -> Made:
    """Files that agents accept."""
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    keys = draw(st.lists(st.sampled_from(sorted(ROWS)), max_size=8, unique=True))
    grouped: dict[str, list[str]] = {}
    for key in keys:
        grouped.setdefault(key.rpartition(".")[0] or key, []).append(key)
    text = draw(st.sampled_from(["", "\ufeff"])) + draw(
        st.sampled_from(["", "# head\n\n", "---\n", "%YAML 1.1\n---\n"])
    )
    spans: dict[str, tuple[int, int]] = {}

    def put(key: str, before: str) -> None:
        nonlocal text
        value = draw(st.sampled_from(spellings(key, EXAMPLES, SPECIAL)))
        text += before
        spans[key] = len(text), len(text) + len(value)
        text += value

    for name, members in grouped.items():
        text += draw(st.sampled_from(BETWEEN))
        if members == [name]:
            put(name, f"{name}: ")
        elif members == ["keepalive.enabled"] and draw(st.booleans()):
            put(members[0], "keepalive: ")
        elif draw(st.booleans()):
            text += f"{name}:" + draw(st.sampled_from(COMMENTS)) + "\n"
            indent = draw(st.sampled_from([" ", "  ", "    "]))
            for one in members:
                text += draw(st.sampled_from(["", f"{indent}# in\n"]))
                put(one, f"{indent}{one.rpartition('.')[2]}: ")
                text += draw(st.sampled_from(COMMENTS)) + "\n"
            continue
        else:
            text += f"{name}: {{"
            for at, one in enumerate(members):
                put(one, (", " if at else "") + one.rpartition(".")[2] + ": ")
            text += "}"
        text += draw(st.sampled_from(COMMENTS)) + "\n"
    text += draw(st.sampled_from(BETWEEN))
    if draw(st.booleans()):
        text = text.rstrip("\n")
    moved = {
        key: tuple(at + text.count("\n", 0, at) * (len(newline) - 1) for at in span) for key, span in spans.items()
    }
    return Made(text.replace("\n", newline), {key: (span[0], span[1]) for key, span in moved.items()})


def meant(text: str) -> dict[str, object]:
    config = parse_config("config.yaml", encoded(text, "utf-8"))
    assert not config.problems
    return {key: given.value for key, given in config.values.items()}


def accepted(text: str) -> bool:
    return not parse_config("config.yaml", encoded(text, "utf-8")).problems


@given(configs(), st.sampled_from(sorted(ROWS)), st.data())
def test_any_change_of_a_setting_changes_it_alone(made: Made, key: str, data: st.DataObject) -> None:
    assume(accepted(made.text))
    value = data.draw(st.sampled_from(spellings(key, TYPED, SPECIAL_TYPED)), "value")
    before = meant(made.text)
    after = changed(made.text, key, value)
    assert meant(after) == {**before, key: ROWS[key].file_kind.from_text(value)}
    if key in made.spans:
        start, end = made.spans[key]
        assert after.startswith(made.text[:start])
        assert after.endswith(made.text[end:])
    elif not (key.startswith("keepalive.") and "keepalive.enabled" in made.spans):
        assert is_with_more(made.text, after)


def is_with_more(old: str, new: str) -> bool:
    """Whether a text is the other with one piece put in."""
    more = len(new) - len(old)
    return any(new[:at] == old[:at] and new[at + more :] == old[at:] for at in range(len(old) + 1))


@given(configs(), st.data())
def test_any_setting_can_be_taken_out_and_nothing_else_goes(made: Made, data: st.DataObject) -> None:
    assume(made.spans and accepted(made.text))
    key = data.draw(st.sampled_from(sorted(made.spans)), "key")
    before = meant(made.text)
    after = changed(made.text, key, None)
    assert meant(after) == {one: value for one, value in before.items() if one != key}
    assert is_with_more(after, made.text)


@given(st.text(max_size=60), st.sampled_from(sorted(ROWS)), st.one_of(st.none(), st.text(max_size=20)))
@example("a: 1\ta", "retries", "3")
@example("retries: 1\tb\n", "retries", "3")
def test_whatever_a_text_is_nothing_but_a_refusal_comes_of_it(text: str, key: str, value: str | None) -> None:
    try:
        made = changed(text, key, value)
    except Unchangeable:
        return
    old, new = (parse_config("config.yaml", one.encode("utf-8", "surrogatepass")) for one in (text, made))
    assert {k: v.value for k, v in old.values.items() if k != key} == {
        k: v.value for k, v in new.values.items() if k != key
    }


@given(st.binary(max_size=200))
@example("\ufeffretries: 1\n".encode("utf-16"))
@example(b"\xff\xfea")
def test_bytes_come_back_as_they_were_where_they_are_text(content: bytes) -> None:
    told = decoded(content)
    if told.is_exact:
        assert encoded(told.text, told.encoding) == content


def test_every_setting_of_a_file_is_a_row() -> None:
    assert list(ROWS) == [row.key for row in SETTINGS if row.key]
