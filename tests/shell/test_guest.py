"""The client is a guest in somebody else's shell."""

from __future__ import annotations

import shutil

import pytest

from tests.shell.helpers import CLIENT, Shell, Spool

pytestmark = pytest.mark.zsh  # its options and functions are others

MOVING = {
    "bash": "_ BASHPID BASH_ARGC BASH_ARGV BASH_COMMAND BASH_LINENO BASH_SOURCE BASH_SUBSHELL BASH_REMATCH "
    "EPOCHREALTIME EPOCHSECONDS FUNCNAME LINENO PIPESTATUS RANDOM SECONDS SRANDOM before after",
    "zsh": "_ ? ! $ * @ # - 0 ARGC EPOCHREALTIME EPOCHSECONDS ERRNO LINENO RANDOM SECONDS TTYIDLE ZSH_SUBSHELL argv "
    "before after dirstack epochtime funcfiletrace funcsourcetrace funcstack functions functions_source functrace "
    "history historywords jobdirs jobstates jobtexts modules parameters pipestatus status dis_functions "
    "dis_functions_source commands",
}
"""Variables that a shell itself changes all the time."""
SNAPSHOT = {
    "bash": r"""
snapshot() {
  local name
  shopt -p; set -o; alias; trap; pwd; umask; complete -p 2>/dev/null || :
  for name in $(compgen -v); do
    case " $MOVING name " in *" $name "*) ;; *) declare -p "$name" 2>/dev/null || : ;; esac
  done
  for name in $(compgen -A function); do
    case $name in gpu_* | __gpu_*) ;; *) declare -f "$name" ;; esac
  done
}
""",
    "zsh": r"""
zmodload zsh/parameter
snapshot() {
  local name
  setopt; alias; trap; pwd; umask
  for name in ${(ko)parameters}; do
    case " $MOVING name " in *" $name "*) ;; *) typeset -p "$name" 2>/dev/null || : ;; esac
  done
  for name in ${(ko)functions}; do
    case $name in gpu_* | __gpu_*) ;; *) functions "$name" ;; esac
  done
}
""",
}
COMMANDS = [
    "gpu_help",
    "gpu_list",
    "gpu_use",
    "gpu_submit train.sh",
    "gpu_submit nowhere.sh",
    "gpu_run 'python x.py' 20",
    "gpu_status",
    "gpu_logs",
    "gpu_logs old",
    "gpu_tail old",
    "gpu_wait old",
    "gpu_explain old",
    "gpu_cancel other",
    "gpu_priority train 7",
    "gpu_stop train",
    "gpu_stop all",
    "gpu_retry all",
    "gpu_pause lunch",
    "gpu_drain",
    "gpu_resume",
    "gpu_shutdown",
    "gpu_clean --older-than 7d --dry-run",
    "gpu_keepalive off noise",
    "gpu_keepalive",
    "gpu_keepalive on",
    "gpu_report",
    "gpu_report --by-gpu",
    "gpu_status --nonsense",
]


def test_nothing_is_left_in_the_shell_and_nothing_is_changed(shell: Shell) -> None:
    shell.hostile = shell.sourced = False
    spool = shell.spool.make()
    spool.log(spool.add("done", "old.sh"), "hello\n")
    spool.add("pending", "other.sh")
    (spool.path / "ledger").mkdir()
    (spool.path / "ledger" / "n.tsv").write_text("2099-01-01\tGPU-a\t0\tH100\t1.0\t1.0\t1.0\t1.0\t1.0\t1.0\t0.0\n")
    shell.file("train.sh", "true\n")
    source = f". '{CLIENT}'"
    body = "\n".join(f"{command} >/dev/null 2>&1 || :" for command in COMMANDS)
    said = shell.run(
        f"MOVING='{MOVING[shell.kind]}'"
        + SNAPSHOT[shell.kind]
        + f"""
trap 'echo bye' EXIT
trap 'echo usr' USR1
umask 022
before="$(snapshot)"
{source}
{body}
after="$(snapshot)"
if [ "$before" = "$after" ]; then echo same; else
  printf '%s\\n' "$before" >before; printf '%s\\n' "$after" >after; diff before after
fi
"""
    )
    assert said.lines == ["same", "bye"], said


@pytest.mark.parametrize("command", ["gpu_submit train.sh", "gpu_status", "gpu_cancel train", "gpu_list"])
def test_no_trap_or_hook_of_the_user_runs(shell: Shell, spool: Spool, command: str) -> None:
    spool.add("pending", "train-1.sh")
    shell.file("train.sh", "true\n")
    shell.hostile = False
    traps = "set -ET; trap 'echo TRAPPED' ERR" if shell.kind == "bash" else "chpwd() { echo TRAPPED; }"
    assert "TRAPPED" not in shell.run(f"{traps}\n{command} || :").out


def test_a_failure_is_a_status_and_never_an_exit(shell: Shell) -> None:
    shell.hostile = False
    said = shell.run('gpu_status; echo "$?"; JOB_ID=; gpu_status; echo "$?"; gpu_tail; echo "$?"; echo alive')
    assert said.lines == ["1", "2", "2", "alive"]
    assert len(said.err.splitlines()) == 3


def test_words_on_the_path_are_never_run(shell: Shell, spool: Spool) -> None:
    script = shell.file("$(touch pwned) `touch pwned`;touch pwned\n.sh", "true\n")
    shell.ok(f"gpu_submit {script}; gpu_status; gpu_list; gpu_stop all; gpu_retry all; gpu_wait --timeout 0 || :")


def test_help_is_the_comment_at_the_top(shell: Shell) -> None:
    said = shell.ok("gpu_help")
    for command in ("gpu_submit FILE", "gpu_status [--all]", "gpu_clean --older-than", "QUEUE_ROOT"):
        assert command in said.out


def test_sourcing_twice_and_by_a_relative_name(shell: Shell) -> None:
    shell.hostile = False
    (shell.home / "client.sh").symlink_to(CLIENT)
    said = shell.ok(". ./client.sh; . ./client.sh; mkdir elsewhere; cd elsewhere; gpu_help")
    assert "gpu_submit" in said.out


@pytest.mark.parametrize("language", ["C", "C.UTF-8", ""])
def test_help_is_found_whatever_the_path_is_called_and_the_locale_can_say(shell: Shell, language: str) -> None:
    shell.hostile, shell.sourced = False, False
    (shell.home / "队 列").mkdir()
    shutil.copy(CLIENT, shell.home / "队 列" / "client.sh")
    said = shell.ok("cd '队 列'; . ./client.sh; cd /; gpu_help", LC_ALL=language, LANG=language)
    assert "gpu_submit" in said.out


def test_use_switches_the_instance_of_this_shell(shell: Shell, spool: Spool) -> None:
    said = shell.ok("""gpu_use; gpu_use 'other one'; \\printf '%s\\n' "$JOB_ID"; env | \\command grep '^JOB_ID='""")
    assert said.lines == ["exp 1", "other one", "JOB_ID=other one"]
    assert "does not exist yet" in said.err


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "-x"])
def test_a_job_id_that_cannot_be_a_directory_is_refused(shell: Shell, name: str) -> None:
    shell.hostile = False
    assert shell.run("gpu_status", JOB_ID=name).status == 2
    said = shell.run(f"""gpu_use '{name}'; echo "$?"; \\printf '%s\\n' "$JOB_ID" """)
    assert said.lines == ["2", "exp 1"]


def test_list_counts_each_instance(shell: Shell, spool: Spool) -> None:
    spool.add("pending")
    spool.add("running/n1-00000001")
    spool.node("n1-00000001")
    spool.node("n2-00000002", state="stopped")
    Spool(shell.root / "other").make()
    lines = [line.split() for line in shell.ok("gpu_list").lines]
    assert lines == [
        ["instance", "waiting", "running", "agents"],
        ["*", "exp", "1", "1", "1", "1"],
        ["other", "0", "0", "0"],
    ]


def test_list_has_those_that_nobody_uses_last_and_says_how_to_delete_one(shell: Shell, spool: Spool) -> None:
    """The line is there to be typed: it deletes that instance and nothing else."""
    for name in ("a dead one's", "b used", "c 训练", "d silent", "0 other", "00 other"):
        Spool(shell.root / name).make()
    Spool(shell.root / "0 other").node("n1-00000001", protocol=7)
    (shell.root / "00 other" / "PROTOCOL").write_text("7\n")
    Spool(shell.root / "b used").add("pending")
    Spool(shell.root / "c 训练").node("n1-00000001", state="stopped")
    Spool(shell.root / "d silent").add("running/n1-00000001")
    spool.node("n2-00000002")
    said = shell.ok("gpu_list")
    assert [line[2:26].rstrip() for line in said.lines[1:]] == [
        "0 other",
        "00 other",
        "b used",
        "d silent",
        "exp 1",
        "a dead one's",
        "c 训练",
    ]
    assert said.err.startswith("nothing waits or runs in the last 2, and no agent serves them; to delete one")
    shell.ok("\\command " + said.err[said.err.index("rm -r ") :])
    assert sorted(path.name for path in shell.root.iterdir()) == [
        *("0 other", "00 other", "b used", "c 训练", "d silent", "exp 1")
    ]
    plain = Shell(shell.program, shell.home, shell.home / "队列", "x")
    plain.spool.make()
    assert plain.ok("gpu_list").err.endswith(f": rm -r {plain.root}/x\n")


def test_list_of_instances_that_are_all_used_says_nothing_of_deleting(shell: Shell, spool: Spool) -> None:
    spool.node("n1-00000001")
    assert shell.ok("gpu_list").err == ""


def test_list_asks_as_few_programs_of_two_hundred_instances_as_of_two(shell: Shell, spool: Spool) -> None:
    counted = """
command() { builtin printf x >>"$HOME/programs"; builtin command "$@"; }
gpu_list >/dev/null
"""
    shell.hostile = False
    counts = []
    for number in (2, 200):
        for n in range(number):
            Spool(shell.root / f"i{n}").make().node(f"n{n}-00000001")
        shell.ok(counted)
        counts.append((shell.home / "programs").stat().st_size)
        (shell.home / "programs").unlink()
    assert counts[0] == counts[1] < 10
    lines = shell.ok("gpu_list").lines
    assert len(lines) == 202
    assert [line.split()[-1] for line in lines[1:]].count("1") == 200


def test_a_spool_that_speaks_another_protocol_is_left_alone(shell: Shell, spool: Spool) -> None:
    (spool.path / "PROTOCOL").write_text("2\n")
    script = shell.file("train.sh", "true\n")
    for command in (f"gpu_submit {script}", "gpu_status", "gpu_stop all"):
        said = shell.run(command)
        assert (said.status, "protocol '2'" in said.err) == (1, True)
    assert spool.names("pending") == []


def test_reading_commands_do_not_make_a_spool(shell: Shell) -> None:
    said = shell.run("gpu_status")
    assert said.status == 1
    assert "there is no instance exp 1" in said.err
    assert not shell.root.exists()
