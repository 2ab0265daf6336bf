"""gpu_submit and gpu_run: what they publish, what they refuse."""

from __future__ import annotations

import json
import os
import re
import shlex
import stat
import subprocess
import time
from dataclasses import replace

import pytest

from gpu_queue.spool.pages import GpuPage, SharedPage
from gpu_queue.spool.paths import full_name, parse_full, safe_name
from gpu_queue.states import GpuState
from gpu_queue.task import job_number
from tests.shell.helpers import Shell, Spool, without_venv


def record_of(spool: Spool, full: str) -> dict[str, object]:
    value = json.loads((spool.path / "records" / f"{full[4:]}.json").read_bytes().decode("utf-8", "surrogateescape"))
    assert isinstance(value, dict)
    return value


def test_the_first_submit_makes_the_spool(shell: Shell) -> None:
    script = shell.file("train.sh", "python train.py\n")
    said = shell.ok(f"gpu_submit {script}")
    (full,) = said.lines
    spool = shell.spool
    assert (spool.path / "PROTOCOL").read_text() == "1\n"
    assert stat.S_IMODE(spool.path.stat().st_mode) == 0o700
    made = {
        "pending",
        "running",
        "done",
        "failed",
        "records",
        "logs",
        "control",
        "nodes",
        "queues",
        "gangs",
        "events",
    }
    assert made <= {path.name for path in spool.path.iterdir()}
    assert (spool.path / "nodes" / "gone").is_dir()
    assert spool.names("pending") == [full]
    assert "no agent serves exp 1 in" in said.err


def test_a_spool_that_was_left_half_made_is_finished(shell: Shell) -> None:
    (shell.spool.path / "done").mkdir(parents=True)
    shell.ok(f"gpu_submit {shell.file('a.sh', 'true')}")
    assert (shell.spool.path / "PROTOCOL").read_text() == "1\n"


def test_what_is_published_is_what_the_protocol_says(shell: Shell, spool: Spool) -> None:
    script = shell.file("train.sh", "#GPUQ --gpus 2\r\npython train.py  \n\n x")
    said = shell.ok(f"gpu_submit {script} --memory 20G --queue car --time=4h --retries 2 --notify ops:failed,me")
    (full,) = said.lines
    priority, task_id = parse_full(full) or (None, "")
    assert priority == 500
    assert spool.names("pending") == [full]
    published = spool.path / "pending" / full
    assert published.read_bytes() == b"#GPUQ --gpus 2\r\npython train.py  \n\n x"
    assert stat.S_IMODE(published.stat().st_mode) in (0o600, 0o700)
    record = record_of(spool, full)
    assert record == {
        "protocol": 1,
        "id": task_id,
        "name": "train.sh",
        "path": str(shell.home / "train.sh"),
        "cwd": str(shell.home),
        "user": "alice",
        "host": os.uname().nodename,
        "submitted_at": re.sub(r"(....)(..)(..)T(..)(..)(..).*", r"\1-\2-\3T\4:\5:\6Z", task_id[:18]),
        "needs": {"memory": "20G", "queue": "car", "time": "4h", "retries": "2", "notify": "ops:failed,me"},
    }
    assert spool.names("records") == [f"{task_id}.json"]
    assert f"train.sh: queued as {full[23:29]}, priority 500, asks for 2 GPUs (#GPUQ --gpus 2)" in said.err


@pytest.mark.zsh
@pytest.mark.parametrize(
    "name",
    ["训练 一.sh", "a\nb.sh", 'quote".sh', "back\\slash.sh", "tab\there.sh", "x.tmp", "x~", "-rf", "&.sh", "x" * 200]
    + ["like.try1.abcdef", "] [.sh", "%s%d.sh", "\udcff\udcfe.sh"],
)
def test_any_name_of_a_script_is_kept_in_the_record(shell: Shell, spool: Spool, name: str) -> None:
    path = shell.home / name
    path.write_text("true\n")
    (full,) = shell.ok('gpu_submit -- "$FILE"', FILE=str(path)).lines
    assert full[30:] == safe_name(os.fsencode(name))
    assert record_of(spool, full)["name"] == name
    assert record_of(spool, full)["path"] == str(path)


@pytest.mark.zsh
@pytest.mark.parametrize(
    "content", ["x", "\n", "\n\n\n", " lead", "\\n %s \\", "a" * 70000, "é\n" * 1000, "z" * 1_500_000]
)
def test_a_script_arrives_byte_for_byte(shell: Shell, spool: Spool, content: str) -> None:
    shell.file("s.sh", content)
    (full,) = shell.ok("gpu_submit s.sh").lines
    assert (spool.path / "pending" / full).read_bytes() == content.encode()


@pytest.mark.parametrize(
    ("arguments", "priority"),
    [("a.sh 001", 1), ("a.sh 1", 1), ("a.sh 42", 42), ("--priority 7 a.sh", 7), ("a.sh --priority=999", 999)]
    + [("a.sh 090", 90), ("a.sh", 500)],
)
def test_a_priority_may_be_said_in_several_ways(shell: Shell, spool: Spool, arguments: str, priority: int) -> None:
    shell.file("a.sh", "true\n")
    (full,) = shell.ok(f"gpu_submit {arguments}").lines
    assert full.startswith(full_name(priority, ""))


def test_a_number_that_is_a_file_may_be_a_script(shell: Shell, spool: Spool) -> None:
    shell.file("a.sh", "true\n")
    shell.file("7", "true\n")
    assert shell.run("gpu_submit a.sh 7").status == 2
    assert len(shell.ok("gpu_submit -- a.sh 7").lines) == 2


def test_many_scripts_keep_their_order(shell: Shell, spool: Spool) -> None:
    names = [f"s{number:03d}.sh" for number in range(250)]
    for name in names:
        shell.file(name, f"echo {name}\n")
    said = shell.ok(f"gpu_submit {' '.join(names)} 7; gpu_submit s000.sh 7")
    assert said.lines == spool.names("pending")
    assert [full[30:] for full in said.lines] == [*names, "s000.sh"]
    stamps = [full[4:22] for full in said.lines]
    assert len(set(stamps)) == len(stamps)
    assert len(spool.names("records")) == len(names) + 1
    assert (spool.path / "pending" / said.lines[9]).read_text() == "echo s009.sh\n"


@pytest.mark.parametrize(
    ("content", "word"),
    [(None, "no such file"), (b"", "is empty"), (b"\x7fELF\x02\0\0", "binary"), (b"a\0b\n", "binary")]
    + [(b"#GPUQ --gpus many\n", "'many'"), (b"#GPUQ --gpu 2\n", "'--gpu'")],
)
def test_nothing_is_submitted_if_one_file_is_wrong(
    shell: Shell, spool: Spool, content: bytes | None, word: str
) -> None:
    shell.file("good.sh", "true\n")
    if content is not None:
        shell.file("bad.sh", content)
    said = shell.run("gpu_submit good.sh bad.sh")
    assert said.status == 1
    assert said.out == ""
    assert said.err.startswith("gpu_submit: bad.sh: ")
    assert word in said.err
    assert len(said.err.splitlines()) == 1
    assert spool.names("pending") + spool.names("records") == []


def test_what_is_no_regular_file_is_refused(shell: Shell, spool: Spool) -> None:
    (shell.home / "folder").mkdir()
    os.mkfifo(shell.home / "pipe")
    assert "is a directory" in shell.run("gpu_submit folder").err
    assert "is no regular file" in shell.run("gpu_submit pipe").err


@pytest.mark.parametrize(
    "arguments",
    ["", "7", "a.sh --gpus", "a.sh --gpus two", "a.sh --gpus 3-2", "a.sh --memory much", "a.sh --queue a/b"]
    + [
        "a.sh --time soon",
        "a.sh --retries -1",
        "a.sh --priority 1000",
        "a.sh --gpu 2",
        "a.sh a.sh --name x",
        "a.sh --notify ops:never",
    ],
)
def test_wrong_usage_is_told_in_one_line(shell: Shell, spool: Spool, arguments: str) -> None:
    shell.file("a.sh", "true\n")
    said = shell.run(f"gpu_submit {arguments}")
    assert (said.status, said.out, len(said.err.splitlines())) == (2, "", 1)
    assert spool.names("pending") == []


def test_after_names_exactly_one_task(shell: Shell, spool: Spool) -> None:
    first = spool.add("pending", "prepare.sh")
    done = spool.add("done", "old.sh")
    spool.add("done", "twin-1.sh")
    spool.add("done", "twin-2.sh")
    shell.file("a.sh", "true\n")
    (full,) = shell.ok(f"gpu_submit a.sh --after prepare --after {done[4:]}").lines
    assert record_of(spool, full)["needs"] == {"after": [first[4:], done[4:]]}
    assert shell.run("gpu_submit a.sh --after nothing").status == 1
    said = shell.run("gpu_submit a.sh --after twin")
    assert "fits 2 tasks" in said.err
    assert len(spool.names("pending")) == 2


def test_a_given_name_replaces_the_scripts(shell: Shell, spool: Spool) -> None:
    shell.file("a.sh", "true\n")
    (full,) = shell.ok("gpu_submit --name 'my run' a.sh").lines
    assert full.endswith("-my_run")
    assert record_of(spool, full)["name"] == "my run"


def test_run_queues_a_command_as_it_was_said(shell: Shell, spool: Spool) -> None:
    command = "python train.py --epochs 10 | tee \"a b\" '$HOME'"
    said = shell.ok('gpu_run --gpus 0 "$COMMAND" 20', COMMAND=command)
    (full,) = said.lines
    assert full.startswith("020-")
    assert full.endswith("-python_train.py")
    assert (spool.path / "pending" / full).read_text() == f"#!/usr/bin/env bash\n{command}\n"
    record = record_of(spool, full)
    assert record["name"] == "python train.py"
    assert "path" not in record
    assert "asks for no GPU (--gpus 0)" in said.err


@pytest.mark.zsh
@pytest.mark.parametrize("arguments", ["", "''", "'  '", "python train.py", "python train.py 7"])
def test_run_takes_one_command_in_quotes(shell: Shell, spool: Spool, arguments: str) -> None:
    assert shell.run(f"gpu_run {arguments}").status == 2
    assert spool.names("pending") == []


def test_run_does_not_take_a_commands_argument_for_its_priority(shell: Shell, spool: Spool) -> None:
    said = shell.run("gpu_run sleep 100")
    assert (said.status, said.out, len(said.err.splitlines())) == (2, "", 1)
    assert said.err.startswith("gpu_run: quote the command: gpu_run 'sleep 100'; ")
    assert spool.names("pending") == []
    shell.file("train.sh", "true\n")
    for command in ("train.sh 100", "./nowhere.sh 100", "sleep --priority 100", "'sleep 5' 100"):
        assert shell.ok(f"gpu_run {command}").out.startswith("100-")


def test_a_rename_that_failed_is_looked_after(shell: Shell, spool: Spool) -> None:
    """The reply to a rename may be lost: mv complains although it is done; or it complains and it is not done."""
    shell.file("a.sh", "true\n")
    tools = shell.home / "tools"
    tools.mkdir()
    mv = tools / "mv"
    mv.write_text('#!/bin/sh\n/bin/mv "$@"\nexit 1\n')
    mv.chmod(0o755)
    path = f"{tools}:{os.environ['PATH']}"
    said = shell.ok("gpu_submit a.sh; gpu_submit a.sh a.sh; gpu_cancel a.sh || :", PATH=path)
    assert len(spool.names("pending")) == 3
    (full, *_) = said.lines
    shell.ok(f"gpu_cancel {full}", PATH=path)
    assert spool.names("failed") == [full]
    mv.write_text("#!/bin/sh\nexit 1\n")
    said = shell.run("gpu_submit a.sh", PATH=path)
    assert (said.status, said.out) == (1, "")
    assert "is not queued" in said.err
    assert len(spool.names("pending")) == 2
    assert len(spool.names("records")) == 3


@pytest.mark.parametrize("files", ["big.sh", "small.sh big.sh"])
def test_a_script_that_the_disk_does_not_take_is_not_queued(shell: Shell, files: str) -> None:
    shell.file("big.sh", "echo hello\n" * 20000)
    shell.file("small.sh", "true\n")
    shell.root.mkdir(parents=True)
    small = ["unshare", "-rm", "sh", "-c", 'mount -t tmpfs -o size=128k tmpfs "$QUEUE_ROOT" && exec "$@"', "sh"]
    if subprocess.run([*small, "true"], env=shell.environment(), capture_output=True, check=False).returncode != 0:
        pytest.skip("needs a mount namespace of its own")
    script = f"gpu_submit {files} || echo $?; \\command find \"$QUEUE_ROOT\" -name '*.sh*'"
    done = subprocess.run(
        [*small, *shell.command(script)],
        cwd=shell.home,
        env=shell.environment(),
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    assert (done.stdout, len(done.stderr.splitlines())) == ("1\n", 1), done
    assert "big.sh could not be written, so it is not queued" in done.stderr


def test_a_submit_starts_few_processes(shell: Shell, spool: Spool) -> None:
    """One Python, and what takes its lines: a submit must stay a matter of milliseconds."""
    shell.file("a.sh", "CUDA_VISIBLE_DEVICES=0,1 python x\n")
    spool.node("n1-00000001")
    tools = shell.home / "tools"
    tools.mkdir()
    for name in os.listdir("/usr/bin"):
        if re.fullmatch(r"[a-z]+|python3", name):
            (tools / name).write_text(f'#!/bin/sh\necho {name} >>"{shell.home}/started"\nexec /usr/bin/{name} "$@"\n')
            (tools / name).chmod(0o755)
    source = without_venv(shell)
    shell.ok(f"{source}\ngpu_submit a.sh", PATH=str(tools))
    started = (shell.home / "started").read_text().split()
    programs = ["python3", "timeout", "head", "sync", "mv", "find", "sort"]
    assert sorted(name for name in started if name not in ("bash", "zsh", "date")) == sorted(programs)


def test_a_script_that_says_nothing_gets_what_the_newest_living_agent_gives(shell: Shell, spool: Spool) -> None:
    says_nothing = shell.file("a.sh", "true\n")

    def asks() -> str:
        return shell.ok(f"gpu_submit {says_nothing}").err.partition("asks for ")[2].splitlines()[0]

    assert shell.ok(f"gpu_submit {says_nothing}").err.splitlines()[0].endswith("asks for 1 GPU (the default)")
    spool.node("n1-00000001", default_gpus=3, age_s=60)
    assert asks() == "3 GPUs (the default)"
    assert "asks for 3 GPUs (the default)" in shell.ok("gpu_run true").err
    assert "asks for 2 GPUs (--gpus 2)" in shell.ok(f"gpu_submit {says_nothing} --gpus 2").err
    spool.node("n2-00000002", default_gpus=0, age_s=30)
    assert asks() == "no GPU (the default)"
    spool.node("n3-00000003", default_gpus=5, protocol=7)
    spool.node("n4-00000004", default_gpus=5, state="stopped")
    assert asks() == "no GPU (the default)"
    for broken in ("", None, "a[$(touch pwned)]", -1):
        spool.node("n5-00000005", default_gpus=broken)
        assert asks() == "1 GPU (the default)"
    for number in (1, 2, 5):
        spool.node(f"n{number}-0000000{number}", default_gpus=4, age_s=3600)
    assert asks() == "1 GPU (the default)"


@pytest.mark.parametrize(
    ("line", "has_name"), [("{}", False), (r'\builtin echo "$({})"', True), ("{} 2>/dev/null", True)]
)
def test_on_a_terminal_the_sentence_is_all_and_a_pipe_gets_the_full_name(
    shell: Shell, spool: Spool, line: str, has_name: bool
) -> None:
    script = shell.file("train.sh", "true\n")
    master, terminal = os.openpty()
    command = shell.command(line.format(f"gpu_submit {script}"))
    with subprocess.Popen(command, env=shell.environment(), stdin=terminal, stdout=terminal, stderr=terminal) as one:
        os.close(terminal)
        said = b""
        try:
            while piece := os.read(master, 4096):
                said += piece
        except OSError:  # the last of them has closed it
            pass
        assert one.wait(20) == 0, said
    os.close(master)
    (full,) = spool.names("pending")
    assert (full in said.decode().split()) is has_name, said
    assert (b"queued as" in said) is ("2>" not in line), said


# -- arguments ------------------------------------------------------------------------------------------------------


def scripts(shell: Shell) -> None:
    """Files of all kinds."""
    for name, text in {
        "run.sh": "#!/bin/bash\npython train.py\n",
        "b.sh": "true\n",
        "train.py": "print(1)\n",
        "eval.py": "print(1)\n",
        "tool": "#!/usr/bin/env python3\nprint(1)\n",
        "words": "true\n",
        "config.yaml": "x: 1\n",
    }.items():
        shell.file(name, text)
    (shell.home / "folder").mkdir()


@pytest.mark.zsh
@pytest.mark.parametrize(
    ("line", "arguments", "priority"),
    [
        ("run.sh -- config.yaml 8", ["config.yaml", "8"], 500),
        ("run.sh -- train.py", ["train.py"], 500),
        ("run.sh 7 -- --lr 0.1 --", ["--lr", "0.1", "--"], 7),
        ("-- run.sh 7 -- --gpus 3", ["--gpus", "3"], 7),
        ("run.sh config.yaml 8", ["config.yaml", "8"], 500),
        ("train.py config.yaml", ["config.yaml"], 500),
        ("run.sh folder 1000", ["folder", "1000"], 500),
        ("run.sh train.py 0.1 8", ["train.py", "0.1", "8"], 500),
        ("run.sh --priority 3 -x 'a b\"$(touch pwned)' 100000", ["-x", 'a b"$(touch pwned)', "100000"], 3),
        ("tool '' \udcff 训", ["", "\udcff", "训"], 500),
    ],
)
def test_arguments_of_a_script_are_kept_in_its_record(
    shell: Shell, spool: Spool, line: str, arguments: list[str], priority: int
) -> None:
    scripts(shell)
    words = os.fsencode(f"gpu_submit {line}")
    (shell.home / "line").write_bytes(words + b"\n")
    said = shell.ok(". ./line")
    (full,) = said.lines
    assert (record_of(spool, full)["arguments"], full[:3]) == (arguments, f"{priority:03d}")
    assert "its arguments: " in said.err
    assert not (shell.home / "pwned").exists()


@pytest.mark.zsh
@pytest.mark.parametrize(
    ("line", "count", "priority"),
    [("run.sh 001", 1, 1), ("run.sh b.sh", 2, 500), ("run.sh b.sh 100", 2, 100), ("train.py eval.py tool 7", 3, 7)]
    + [("-- run.sh train.py words 9", 3, 9), ("words b.sh", 2, 500), ("words words 5", 2, 5)],
)
def test_scripts_are_queued_as_scripts(shell: Shell, spool: Spool, line: str, count: int, priority: int) -> None:
    scripts(shell)
    said = shell.ok(f"gpu_submit {line}")
    assert [full[:3] for full in said.lines] == [f"{priority:03d}"] * count
    assert all("arguments" not in record_of(spool, full) for full in said.lines)


@pytest.mark.parametrize(
    ("line", "typed"),
    [
        ("run.sh train.py", ["gpu_submit -- run.sh train.py", "gpu_submit run.sh -- train.py"]),
        ("run.sh train.py 8", ["gpu_submit -- run.sh train.py 8", "gpu_submit run.sh -- train.py 8"]),
        ("run.sh words", ["gpu_submit -- run.sh words", "gpu_submit run.sh -- words"]),
        (
            "--gpus 2 run.sh --name 'a b' config.yaml 001",
            [
                "gpu_submit --gpus=2 --name 'a b' --priority 001 run.sh -- config.yaml",
                "gpu_submit --gpus=2 --name 'a b' run.sh -- config.yaml 001",
            ],
        ),
    ],
)
def test_where_it_may_be_both_nothing_is_queued_and_both_are_shown(
    shell: Shell, spool: Spool, line: str, typed: list[str]
) -> None:
    scripts(shell)
    said = shell.run(f"gpu_submit {line}")
    assert (said.status, said.out, len(said.err.splitlines())) == (2, "", 1)
    shown = said.err.strip().partition("type ")[2].split(" or ")
    assert [shlex.split(one) for one in shown] == [shlex.split(one) for one in typed]
    assert spool.names("pending") == []
    for one in shown:  # what is shown can be typed
        shell.ok(one)


@pytest.mark.parametrize("line", ["run.sh b.sh c.sh", "run.sh c.py", "run.sh b.sh config.yaml", "run.sh b.sh word 7"])
def test_a_script_that_is_not_there_is_no_argument(shell: Shell, spool: Spool, line: str) -> None:
    scripts(shell)
    said = shell.run(f"gpu_submit {line}")
    assert (said.status, len(said.err.splitlines())) == (1, 1)
    assert f"for arguments of run.sh: gpu_submit run.sh -- {line[7:]}" in said.err
    assert spool.names("pending") == []


def test_a_priority_that_may_be_an_argument_is_told(shell: Shell, spool: Spool) -> None:
    script = shell.file("dist_train.sh", 'torchrun --nproc_per_node "$1" x.py\n')
    assert "8 is taken for its priority; as its argument: gpu_submit" in shell.ok(f"gpu_submit {script} 8").err
    assert "taken for" not in shell.ok(f"gpu_submit {script} 008").err
    assert "asks for 8 GPUs" in shell.ok(f"gpu_submit {script} -- 8").err


def test_arguments_too_long_for_a_record_are_refused(shell: Shell, spool: Spool) -> None:
    shell.file("a.sh", "true\n")
    said = shell.run('gpu_submit a.sh -- "$LONG"', LONG="0" * 60_000)
    assert said.status == 1
    assert "put them into a file" in said.err
    assert spool.names("records") == []


# -- arrays ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flag", ["", "--array=0-9:3%2"])
def test_an_array_becomes_a_task_for_each_index(shell: Shell, spool: Spool, flag: str) -> None:
    head = "#!/bin/bash\n" + ("" if flag else "#SBATCH --array=0-9:3%2\n")
    shell.file("train.sh", head + "true\n")
    said = shell.ok(f"gpu_submit train.sh --memory 20G {flag} 7")
    assert said.lines == spool.names("pending")
    assert [full[30:] for full in said.lines] == [f"train.sh_{index}" for index in (0, 3, 6, 9)]
    records = [record_of(spool, full) for full in said.lines]
    job = said.lines[0][4:]
    assert [record["array"] for record in records] == [
        {"job": job, "index": index, "min": 0, "max": 9, "step": 3, "count": 4, "limit": 2} for index in (0, 3, 6, 9)
    ]
    assert [record["name"] for record in records] == [f"train.sh_{index}" for index in (0, 3, 6, 9)]
    # Two at a time: they are dealt to two serial queues.
    lanes = [f"{job[:25]}.{number}" for number in (0, 1, 0, 1)]
    assert [record["needs"] for record in records] == [{"memory": "20G", "queue": lane} for lane in lanes]
    assert "train.sh, array 0,3,6,9%2: queued as 4 tasks" in said.err
    assert "4 waiting" in shell.ok("gpu_status").out
    assert len(shell.ok("gpu_cancel --yes 'train.sh_[03]'").lines) == 2


@pytest.mark.parametrize(("name", "end"), [("训.py", "_3.py"), ("x" * 130 + ".py", "x_3.py"), ("y" * 130, "y_3")])
def test_a_task_of_an_array_ends_as_its_script_does(shell: Shell, spool: Spool, name: str, end: str) -> None:
    script = shell.file(name, "print(1)\n")
    (full,) = shell.ok(f"gpu_submit {script} --array 3").lines
    assert full.endswith(end)
    assert str(record_of(spool, full)["name"]) == name.removesuffix(".py") + "_3" + ".py" * name.endswith(".py")


def test_a_queue_that_was_given_counts_more_than_how_many_of_an_array_may_run(shell: Shell, spool: Spool) -> None:
    shell.file("a.sh", "true\n")
    said = shell.ok("gpu_submit a.sh --array 1-3%2 --queue car")
    assert [record_of(spool, full)["needs"] for full in said.lines] == [{"queue": "car"}] * 3
    assert "run one at a time, as they are in queue car; %2 does not count" in said.err
    said = shell.ok("gpu_submit a.sh --array 5,7")
    assert ["needs" in record_of(spool, full) for full in said.lines] == [False, False]


def test_an_array_is_published_whole_or_not_at_all(shell: Shell, spool: Spool) -> None:
    shell.file("a.sh", "true\n")
    tools = shell.home / "tools"
    tools.mkdir()
    (tools / "sync").write_text("#!/bin/sh\nexit 1\n")
    (tools / "sync").chmod(0o755)
    assert shell.run("gpu_submit a.sh --array 0-400", PATH=f"{tools}:{os.environ['PATH']}").status == 1
    assert spool.names("pending") + spool.names("records") == []
    assert len(shell.ok("gpu_submit a.sh --array 0-400").lines) == 401


@pytest.mark.parametrize("array", ["x", "3-1", "1-", "0-99999", "1%x", "", "0-9:0"])
def test_a_wrong_array_is_refused(shell: Shell, spool: Spool, array: str) -> None:
    shell.file("a.sh", "true\n")
    said = shell.run(f"gpu_submit a.sh --array '{array}'")
    assert said.status in (1, 2)
    assert len(said.err.splitlines()) == 1
    assert spool.names("pending") == []


# -- what a scheduler's lines say -----------------------------------------------------------------------------------


def test_a_name_and_a_directory_of_sbatch_count_where_none_was_given(shell: Shell, spool: Spool) -> None:
    script = shell.file("t.sh", "#!/bin/bash\n#SBATCH -J bert --chdir=sub\n")
    said = shell.ok(f"gpu_submit {script}")
    record = record_of(spool, said.lines[0])
    assert (record["name"], record["cwd"]) == ("bert", str(shell.home / "sub"))
    assert "bert: queued as" in said.err
    assert "t.sh is called so by #SBATCH" in said.err
    assert record_of(spool, shell.ok(f"gpu_submit --name x {script}").lines[0])["name"] == "x"


def test_the_output_of_sbatch_is_a_link_to_the_log(shell: Shell, spool: Spool) -> None:
    script = shell.file("t.sh", "#!/bin/bash\n#SBATCH -J bert -o %x_%j.out -e same.err -a 4,6\n")
    first, second = shell.ok(f"gpu_submit {script}").lines
    log = str(spool.path / "logs" / f"{first[4:]}.log")
    assert os.readlink(shell.home / f"bert_{job_number(first[4:])}.out") == log
    assert os.readlink(shell.home / "same.err") == str(spool.path / "logs" / f"{second[4:]}.log")


@pytest.mark.parametrize("kind", ["file", "directory", "a link of others", "missing", "a node"])
def test_what_is_no_link_of_ours_stays_and_is_told(shell: Shell, spool: Spool, kind: str) -> None:
    place = {"missing": "logs/a.out", "a node": "%N.out"}.get(kind, "a.out")
    script = shell.file("t.sh", f"#!/bin/bash\n#SBATCH -o {place}\n")
    path = shell.home / place
    if kind == "file":
        path.write_text("dear")
    elif kind == "directory":
        path.mkdir()
    elif kind == "a link of others":
        path.symlink_to("nowhere")
    said = shell.ok(f"gpu_submit {script}; gpu_submit {script}")
    assert sum(line.startswith(f"note: {shell.home}/t.sh: ") for line in said.err.splitlines()) == 2
    assert len(spool.names("pending")) == 2
    assert not (shell.home / "logs").exists()
    if kind == "file":
        assert path.read_text() == "dear"
    elif kind == "a link of others":
        assert os.readlink(path) == "nowhere"


def test_that_nobody_is_mailed_is_told(shell: Shell, spool: Spool) -> None:
    script = shell.file("t.sh", "#!/bin/bash\n#SBATCH --mail-user=a@b\n")
    assert f"note: {shell.home}/t.sh:2: nobody is mailed yet" in shell.ok(f"gpu_submit {script}").err


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("--nodes=2 -G 9", "among 2 nodes"),
        ("--dependency=afterok:123", "no task of this queue"),
        ("hetjob", "heterogeneous"),
    ],
)
def test_what_no_task_can_be_is_refused(shell: Shell, spool: Spool, line: str, word: str) -> None:
    script = shell.file("t.sh", f"#!/bin/bash\n#SBATCH {line}\n")
    said = shell.run(f"gpu_submit {script}")
    assert (said.status, len(said.err.splitlines())) == (2, 1)
    assert word in said.err
    assert spool.names("pending") + spool.names("records") == []
    said = shell.run(f"gpu_submit --dry-run {script}")
    assert (said.status, said.err) == (2, "")
    assert word in said.out


def test_a_dependency_that_is_not_here_is_told(shell: Shell, spool: Spool) -> None:
    here = spool.add("done", "first.sh")[4:]
    gone = "20261123T014400001-abcdef-gone.sh"
    script = shell.file("t.sh", f"#!/bin/bash\n#SBATCH --dependency=afterok:{here}:{gone}\n")
    said = shell.ok(f"gpu_submit {script}").err
    assert f"it waits for {gone}, which is not in this queue" in said
    assert f"it waits for {here}" not in said


# -- what nobody can run --------------------------------------------------------------------------------------------

CARDS = tuple(GpuPage(f"GPU-{index}", index, "A100", GpuState.BUSY, 80 << 30) for index in range(4))


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("#GPUQ --gpus 5", "no agent that is alive has 5 GPUs, the most is 4"),
        ("#GPUQ --gpus 2-8", ""),
        ("#GPUQ --gpus 2 --memory 81G", "no agent that is alive has 2 GPUs of 81G, the most is 0"),
        ("#GPUQ --gpus 1 --memory 81G", "no agent that is alive has a GPU of 81G"),
        ("#GPUQ --gpus 0 --memory 81G", ""),
        ("export CUDA_VISIBLE_DEVICES=3", ""),
        ("export CUDA_VISIBLE_DEVICES=4", "has GPU 4"),
        ("#GPUQ --time 23h", ""),
        ("#GPUQ --time 25h", "none that is alive lives as long as its time, the longest has 23h"),
        ("#SBATCH --time=48:00:00", ""),
        ("#GPUQ --queue anything --gpus 4 --memory 80G", ""),
    ],
)
def test_what_no_living_agent_can_run_is_told_and_queued(shell: Shell, spool: Spool, line: str, word: str) -> None:
    ends_s = time.time() + 24 * 3600 - 60
    spool.node("n1-00000001", gpus=CARDS, ends_s=ends_s, beat_s=time.time())
    spool.node("n2-00000002", gpus=CARDS[:1], ends_s=ends_s - 3600, beat_s=time.time())
    spool.node("n3-00000003", gpus=CARDS * 4, age_s=600)
    spool.node("n4-00000004", gpus=CARDS * 4, state="stopped")
    script = shell.file("t.sh", f"#!/bin/bash\n{line}\n")
    said = shell.ok(f"gpu_submit {script}")
    notes = [one for one in said.err.splitlines() if one.startswith("note: ")]
    assert [word in one for one in notes] == ([True] if word else [])
    assert len(spool.names("pending")) == 1
    said = shell.ok(f"gpu_submit --dry-run {script}")
    assert (word in said.out, "it waits for" in said.out) == (True, bool(word))
    assert len(spool.names("pending")) == 1


def test_what_a_shared_server_leaves_to_others_runs_nothing_of_ours(shell: Shell, spool: Spool) -> None:
    kept = ("", "left", "stranger", "left")
    cards = tuple(replace(gpu, shared=SharedPage(80 << 30, 0, why)) for gpu, why in zip(CARDS, kept, strict=True))
    spool.node("n1-00000001", gpus=cards, ends_s=time.time() + 3600, beat_s=time.time())
    for gpus, word in ((2, ""), (3, "no agent that is alive has 3 GPUs, the most is 2")):
        said = shell.ok(f"gpu_submit {shell.file('t.sh', 'true')} --gpus {gpus}")
        assert [word in one for one in said.err.splitlines() if one.startswith("note: ")] == ([True] if word else [])


@pytest.mark.parametrize(("at_end", "is_told"), [("wait", False), ("stop", True), ("", False)])
def test_a_limit_longer_than_any_agent_lives_is_told_where_running_tasks_are_stopped(
    shell: Shell, spool: Spool, at_end: str, is_told: bool
) -> None:
    spool.node("n1-00000001", gpus=CARDS, ends_s=time.time() + 3600, beat_s=time.time(), at_end=at_end)
    script = shell.file("t.sh", "#!/bin/bash\n#SBATCH --time=2-00:00:00 --gpus=1\n")
    said = shell.ok(f"gpu_submit {script}")
    assert ("none that is alive lives as long as its time" in said.err) is is_told


# -- a rehearsal ----------------------------------------------------------------------------------------------------


def test_a_dry_run_shows_the_reading_and_queues_nothing(shell: Shell) -> None:
    shell.file(
        "t.sh", "#!/bin/bash\n#SBATCH -J bert --gres=gpu:2 --time=4:00:00\n#GPUQ --memory 20G\n#SBATCH -a 1-4%3\n"
    )
    shell.file("a.sh", "true\n")
    said = shell.ok("gpu_submit --dry-run t.sh 7; gpu_submit --dry-run -- a.sh a.sh; gpu_run --dry-run true")
    assert said.err == ""
    text = " ".join(said.out.split())
    for words in ("bert (t.sh):", "GPUs 2", "(line 2)", "memory 20G #GPUQ --memory 20G (line 3)", "priority 007"):
        assert words in text
    assert "4 tasks, at most 3 of them at once" in text
    assert text.count("a.sh: GPUs 1") == 2
    assert text.count("nothing was queued") == 3
    assert not shell.spool.path.exists()


# -- over several nodes ---------------------------------------------------------------------------------------------


def test_several_nodes_are_asked_for_by_a_flag_or_by_the_script(shell: Shell) -> None:
    script = shell.file("t.sh", "#GPUQ --nodes 3 --gpus 2\ntrue\n")
    said = shell.ok(f"gpu_submit {script}")
    spool = shell.spool
    assert "asks for 2 GPUs (#GPUQ --nodes 3 --gpus 2) on each of 3 nodes (line 1)" in said.err
    assert "needs" not in record_of(spool, said.lines[0])
    said = shell.ok(f"gpu_submit --nodes 2 {script}")
    assert "on each of 2 nodes (--nodes 2)" in said.err
    assert record_of(spool, said.lines[0])["needs"] == {"nodes": "2"}
    for page in ("n1-00000001", "n2-00000002"):
        spool.node(page, gpus=(GpuPage("GPU-0", 0, "H100", GpuState.IDLE, 80 << 30),))
    assert (
        "it waits for more nodes: of the agents that are alive 2 can run its part, and it needs 3"
        in shell.ok(f"gpu_submit --gpus 1 {script}").err
    )
    assert "more nodes" not in shell.ok(f"gpu_submit --gpus 1 --nodes 2 {script}").err


@pytest.mark.parametrize("nodes", ["0", "1025", "x", "2-4", "''"])
def test_what_is_no_number_of_nodes_is_refused(shell: Shell, nodes: str) -> None:
    script = shell.file("t.sh", "true\n")
    said = shell.run(f"gpu_submit --nodes {nodes} {script}")
    assert (said.status, "cannot be understood" in said.err) == (2, True)
