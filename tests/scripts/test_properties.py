"""What holds for every script: nothing fails, nothing takes long, no option inside an argument changes anything."""

from __future__ import annotations

import random
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_queue.scripts.arrays import parse_array
from gpu_queue.scripts.reader import HEAD_BYTES, is_task_id, read
from gpu_queue.spool.paths import is_id, make_id
from tests.scripts.test_reading import CORPUS, Row, compare, corpus, reading_of

PIECES = r"""
CUDA_VISIBLE_DEVICES= CUDA_VISIBLE_DEVICES=$X $( ${ $(( )) ) } " ' ` \ torchrun --nproc_per_node $X ${X:-4} ${#A[@]}
${A[1]} if then elif else fi for i in 1 2 do done while case esac ;; & && || | ( ) { } << EOF <<< > # a=1 a=$a$a A=(1
A+=(2) 0-9 --gpus --gpus=0,1 deepspeed --num_gpus --include localhost:1 accelerate launch --num_processes echo [[ ]] [
] ! export function f() f python -c bash eval seq % * / ++ i= {0..7} #SBATCH #GPUQ -G8 --array=1-9 --nodes=2 $1 $@ $#
shift set -- read -ra <<< IFS=, let ((i++)) (( unset exit return break continue exec trap local declare nvidia-smi wc
-l tr , $((i%4))
""".split()  # noqa: SIM905
REPEATED = (
    r"""
$(
${
"$(
"${a:-
((
`
{~
(~
!~
a&&
a|
\"
"\
$X
${X:-4}
A=(
))
a=$a$a;
f(){ f; f; };f;
for i in {0..63};do~
if x;then~
case x in a)~
bash -c "
eval "
A+=(a b c);
<<A~
while [ 1 -lt 2 ];do echo gpu;done;
if [ $U ];then A=1;else A=2;fi;
export A$R=1;
A=$(echo $A | tr , x);
torchrun --nproc_per_node 1;
python t.py --num_gpus $((1+1)) ${A:-$((2))};
T --a=b [0,0[0,0;
#SBATCH -G1
os.environ["CUDA_VISIBLE_DEVICES"]=x
add_argument(--a default=
""".replace("~", " ")
    .strip("\n")
    .split("\n")
)


QUICK_S = 0.2


def took_s(script: bytes, name: str = "t.sh") -> float:
    """Seconds of this process's own time; of three readings, for others work here as well, unless one is quick."""
    best = 9.0
    for _ in range(3):
        began = time.process_time()
        read(script, arguments=("a", "2"), file_name=name)
        best = min(best, time.process_time() - began)
        if best < QUICK_S:
            break
    return best


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=6), max_size=60), st.sampled_from([" ", "\n", ""]))
def test_no_shell_text_makes_it_fail(pieces: list[str], between: str) -> None:
    script = between.join(pieces).encode("utf-8", "surrogatepass")
    for name in ("t.sh", "t.py"):
        reading = read(script, file_name=name)
        assert 0 <= reading.gpus_min <= reading.gpus_max <= 1024
        assert not reading.devices or len(reading.devices) == reading.gpus_min
    read(b"#!/bin/csh\n" + script)


@given(st.binary(max_size=400))
def test_no_bytes_make_it_fail(script: bytes) -> None:
    read(script)
    read(b"#!/usr/bin/env python3\ngpu\n" + script)


@pytest.mark.parametrize("piece", REPEATED, ids=repr)
@pytest.mark.parametrize("name", ["t.sh", "t.py"])
def test_what_repeats_itself_through_64_kib_is_read_in_no_time(piece: str, name: str) -> None:
    for between in ("", "\n"):
        script = ("gpu\n" + (piece + between) * HEAD_BYTES)[:HEAD_BYTES].encode()
        assert took_s(script, name) < QUICK_S  # 50 ms on a machine that is idle


def test_any_mixture_of_64_kib_is_read_in_no_time() -> None:
    chance = random.Random(20261123)
    for _ in range(8):
        text = "".join(chance.choice(PIECES) + chance.choice(["", " ", "\n"]) for _ in range(HEAD_BYTES // 4))
        assert took_s(text[:HEAD_BYTES].encode("utf-8", "replace")) < QUICK_S


@pytest.mark.parametrize("row", corpus(), ids=lambda row: row.file)
def test_line_ends_and_comments_change_nothing(row: Row) -> None:
    text = (CORPUS / row.file).read_bytes().replace(b"\r\n", b"\n").decode()
    lines = text.split("\n")
    compare(row, reading_of(row, text.replace("\n", "\r\n").encode()))
    head, newline, rest = text.partition("\n")
    before = f"{head}{newline}# CUDA_VISIBLE_DEVICES=9 'it\n{rest}" if head.startswith("#!") else f"# 'it\n{text}"
    compare(row, reading_of(row, f"{before}\n# deepspeed --num_gpus 9\n".encode()))
    if "EOF" not in text and "python" not in lines[0]:  # there it has a meaning
        indented = (line if line.startswith("#") or not line else f"\t{line}" for line in lines)
        compare(row, reading_of(row, "\n".join(indented).encode()))
    compare(row, reading_of(row, text.rstrip("\n").encode()))


HOSTILE = st.sampled_from(
    [
        "CUDA_VISIBLE_DEVICES=7",
        "torchrun --nproc_per_node 8",
        "--num_gpus=8",
        "--gpus 8",
        "$(deepspeed --num_gpus 8 x)",
    ]
)


@given(st.lists(HOSTILE, min_size=1, max_size=3).map(" ".join), st.sampled_from(["'", '"']))
def test_what_is_only_printed_changes_nothing(words: str, quote: str) -> None:
    told = f"{quote}{words}{quote}"
    script = f"echo {told}\nX={told}\nprintf '%s' {told} # {words}\npython t.py\n"
    reading = read(script.encode())
    assert (reading.gpus, reading.devices, reading.source, reading.warnings) == ("1", (), "default", ())


@given(
    st.integers(1, 64),
    st.sampled_from(["{}", "'{}'", '"{}"', "$N", '"$N"', "${{N}}", "${{N:-3}}", "$((N))", "$(echo $N)"]),
)
def test_a_number_is_the_same_however_it_is_written(number: int, written: str) -> None:
    for between in ("=", " ", " \\\n  "):
        script = f"N={number}\ntorchrun --nproc_per_node{between}{written.format(number)} t.py\n"
        assert read(script.encode()).gpus == str(number)


@given(st.sets(st.integers(0, 60), min_size=1, max_size=8).map(sorted), st.integers(0, 5))
def test_an_array_is_told_as_it_was_given(indices: list[int], limit: int) -> None:
    text = ",".join(map(str, indices)) + (f"%{limit}" if limit else "")
    array = parse_array(text)
    assert list(array.indices) == indices
    assert parse_array(str(array)) == array


@given(st.binary(min_size=1, max_size=60), st.integers(0, 2**31))
def test_an_id_of_ours_is_one_here_as_well(name: bytes, moment: int) -> None:
    task_id = make_id(float(moment), "4f0c2a", name)
    assert is_task_id(task_id)
    assert is_id(task_id)
    for foreign in ("123456", f"500-{task_id}", f"{task_id}/x", f"{task_id}\n", task_id[:20]):
        assert is_task_id(foreign) is is_id(foreign) is False


def test_each_thing_that_is_said_has_its_line() -> None:
    for row in corpus():
        script = (CORPUS / row.file).read_bytes().decode().split("\n")
        reading = reading_of(row)
        places = [(one.line_number, one.line, one.english, one.chinese) for one in reading.conclusions]
        notes = (*reading.warnings, *reading.refusals)
        places += [(one.line_number, one.line, one.english, one.chinese) for one in notes]
        for number, line, english, chinese in places:
            assert english
            assert chinese
            if number:
                assert line[:100].rstrip("…") in script[number - 1].replace("\t", " ")
        for note in notes:
            assert re.search(r"[\u4e00-\u9fff]", note.chinese)
            assert not re.search(r"[\ue000-\ue00f]|[{}]", note.english + note.chinese)


def test_a_script_that_is_too_long_to_be_followed_is_said_to_be() -> None:
    script = ("x y\n" * 4000 + "torchrun --nproc_per_node 8 t.py\n").encode()
    assert [one.code for one in read(script).warnings] == ["too_long"]
    assert read(script, {"gpus": "8"}).warnings == ()
    assert read(script[-400:]).gpus == "8"
