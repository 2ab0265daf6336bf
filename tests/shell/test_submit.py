"""gpu_submit and gpu_run: what they publish, what they refuse."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess

import pytest

from gpu_queue.spool.paths import full_name, parse_full, safe_name
from tests.shell.helpers import Shell, Spool


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
    assert "no agent serves exp 1 yet" in said.err


def test_a_spool_that_was_left_half_made_is_finished(shell: Shell) -> None:
    (shell.spool.path / "done").mkdir(parents=True)
    shell.ok(f"gpu_submit {shell.file('a.sh', 'true')}")
    assert (shell.spool.path / "PROTOCOL").read_text() == "1\n"


def test_what_is_published_is_what_the_protocol_says(shell: Shell, spool: Spool) -> None:
    script = shell.file("train.sh", "#GPUQ --gpus 2\r\npython train.py  \n\n x")
    said = shell.ok(f"gpu_submit {script} --memory 20G --queue car --time=4h --retries 2")
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
        "needs": {"memory": "20G", "queue": "car", "time": "4h", "retries": "2"},
    }
    assert spool.names("records") == [f"{task_id}.json"]
    assert f"train.sh: queued as {full[23:29]}, priority 500, asks for 2 GPUs (#GPUQ --gpus 2)" in said.err


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


def test_a_number_that_is_a_file_is_a_script(shell: Shell, spool: Spool) -> None:
    shell.file("a.sh", "true\n")
    shell.file("7", "true\n")
    assert len(shell.ok("gpu_submit a.sh 7").lines) == 2


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
    + [(b"#GPUQ --gpus many\n", "--gpus 'many'"), (b"#GPUQ --gpu 2\n", "knows no --gpu")],
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
    + ["a.sh --time soon", "a.sh --retries -1", "a.sh --priority 1000", "a.sh --gpu 2", "a.sh a.sh --name x"],
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
    """One sync and one mv: a submit must stay a matter of milliseconds."""
    shell.file("a.sh", "CUDA_VISIBLE_DEVICES=0,1 python x\n")
    spool.node("n1-00000001")
    tools = shell.home / "tools"
    tools.mkdir()
    for name in os.listdir("/usr/bin"):
        if re.fullmatch(r"[a-z]+", name):
            (tools / name).write_text(f'#!/bin/sh\necho {name} >>"{shell.home}/started"\nexec /usr/bin/{name} "$@"\n')
            (tools / name).chmod(0o755)
    shell.ok("gpu_submit a.sh", PATH=str(tools))
    started = (shell.home / "started").read_text().split()
    assert [name for name in started if name not in ("bash", "zsh", "date")] == ["sync", "mv"]


def test_a_script_that_says_nothing_gets_what_the_newest_living_agent_gives(shell: Shell, spool: Spool) -> None:
    says_nothing = shell.file("a.sh", "true\n")

    def asks() -> str:
        return shell.ok(f"gpu_submit {says_nothing}").err.rpartition("asks for ")[2].strip()

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
