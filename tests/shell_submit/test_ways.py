"""submit.sh with a way that somebody else wrote."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.cases import long
from tests.shell_submit.machine import AT_WORK, MOON_WAY, PROJECT, Machine

NONCE = "0" * 12
OLD_S = 60


def jobs(moon: Path) -> dict[str, list[str]]:
    return {path.name: path.read_text().rstrip("\n").split("|", 2) for path in sorted(moon.iterdir())}


def only(paths: list[Path]) -> Path:
    (path,) = paths
    return path


def text(path: Path) -> str:
    return path.read_text().rstrip("\n")


# ---- a submission


def test_a_submission_is_known_by_its_files(machine: Machine, moon: Path) -> None:
    done = machine.submit("exp1")
    assert done.returncode == 0, done.stderr
    directory = only(machine.allocations())
    nonce = directory.name.partition("-")[2]
    assert jobs(moon) == {"m1": ["queued", nonce, "alice-exp1"]}
    assert done.stdout.splitlines()[2:] == [
        f"Submitted: moon m1, alice-exp1, 2 GPUs, for 24h. Its files: {directory}",
        f"To use it: export JOB_ID=exp1; source {PROJECT}/client.sh; gpu_help",
    ]
    files = {path.name: text(path) for path in directory.iterdir()}
    assert files.pop(f"start-{nonce}.sh").startswith("#!/usr/bin/env bash\n")
    assert files == {
        "way": "moon",
        "name": "alice-exp1",
        "id": "m1",
        "request": f"launch --gpus 2 --nodes 1 --seconds 86400 -- bash {directory}/start-{nonce}.sh",
        "answer": "0\nmoon: the platform's own words, on two lines:\n  ",
    }
    assert text(machine.root / "sent-m1") == files["request"]
    assert [path.stat().st_mode & 0o7777 for path in (directory, directory.parent)] == [0o700, 0o700]
    assert all(path.stat().st_mode & 0o077 == 0 for path in directory.iterdir())


def test_a_dry_run_shows_all_that_would_be_run_and_leaves_nothing(machine: Machine, moon: Path) -> None:
    activate = machine.root / "activate"
    activate.touch()
    words = ("exp1", "8", "2", "--time", "48h", "--", "--at-end", "stop", "--node-name", "a b")
    done = machine.submit(
        *words[:5], "--dry-run", *words[5:], CONDA_PATH=str(activate), CONDA_ENV="swift", GPU_UTIL_TARGET="60"
    )
    assert (done.returncode, done.stderr) == (0, "")
    directory = f"{machine.root}/home/gpu_queue/exp1/allocations/00000000T000000000-{NONCE}"
    root_for = f" --allow-root-for {os.getuid()}" if os.getuid() else ""
    assert (
        done.stdout
        == f"""\
# ---- {directory}/start-{NONCE}.sh
#!/usr/bin/env bash
# Starts an agent on the node that it is given; made by submit.sh.
export GPU_UTIL_TARGET=60
export GPU_QUEUE_START={directory}/start-{NONCE}.sh
gpus=all
export GPU_QUEUE_ALLOCATION=moon:$MOON_JOB
unset ${{!GQ_@}}
source {activate} swift || exit
cd {machine.root}/the\\ code || exit
exec /opt/py/bin/python -u {machine.root}/the\\ code/perpetual_motion.py --job-id exp1 \
--queue-root {machine.root}/home/gpu_queue --gpus "$gpus" --lifetime 172500s{root_for} --at-end stop --node-name a\\ b
# ---- {directory}/request
launch --gpus 8 --nodes 1 --seconds 172800 -- bash {directory}/start-{NONCE}.sh
# ---- what is run
# 2 times, each with a nonce of its own in the place of {NONCE}:
{machine.root}/home/.config/gpu-queue/ways/moon submit {directory}/request
"""
    )
    assert jobs(moon) == {}
    assert not (machine.root / "home" / "gpu_queue").exists()


@pytest.mark.parametrize(
    ("shape", "requests"), [("one", ["--nodes 1", "--nodes 1", "--nodes 1"]), ("several", ["--nodes 3"])]
)
def test_nodes_are_so_many_submissions_or_one_as_the_way_has_it(
    machine: Machine, moon: Path, shape: str, requests: list[str]
) -> None:
    assert machine.submit("exp1", "4", "3", WAY_MOON_SHAPE=shape).returncode == 0
    sent = [text(path / "request") for path in machine.allocations()]
    assert [re.findall("--nodes [0-9]+", one)[0] for one in sent] == requests
    assert len({nonce for _, nonce, _ in jobs(moon).values()}) == len(requests)


@pytest.mark.parametrize("job_id", ['it\'s "$(touch pwned)" `x` \\', *long("训练 1", "a;b&c|d<e>f*g?h")])
def test_a_job_id_of_any_characters_reaches_name_and_agent_unchanged(
    machine: Machine, moon: Path, job_id: str
) -> None:
    assert machine.submit(job_id, PYTHON="", LC_ALL="C.UTF-8").returncode == 0
    assert jobs(moon)["m1"][2] == f"alice-{job_id}"
    ((start,),) = [list(path.glob("start-*.sh")) for path in machine.allocations(job_id)]
    node = {key: machine.env[key] for key in ("PATH", "HOME", "STAND_IN_FACTS")}
    subprocess.run(["bash", start], env={**node, "STAND_IN": "taken", "GQ_GPUS": "9"}, check=False, timeout=30)
    assert machine.agent["flags"][:6] == [
        *("--job-id", job_id, "--queue-root", f"{machine.root}/home/gpu_queue"),
        *("--gpus-unless-shared", "all"),
    ]
    assert not (machine.root / "pwned").exists()
    machine.env["LC_ALL"] = "C.UTF-8"
    assert machine.submit("--delete", job_id).returncode == 0
    assert jobs(moon)["m1"][0] == "ended"


@pytest.mark.parametrize(
    ("words", "env", "seconds", "lifetime"),
    [
        ([], {}, "86400", "86100s"),
        (["--time", "30m"], {}, "1800", "1620s"),
        (["--time=1d12h"], {}, "129600", "129300s"),
        ([], {"AUTO_SHUTDOWN_HOURS": "48"}, "172800", "172500s"),
        ([], {"AUTO_SHUTDOWN_HOURS": "0.5"}, "1800", "1620s"),
        (["--time", "2h"], {"AUTO_SHUTDOWN_HOURS": "48"}, "7200", "6900s"),
        (["--", "--lifetime", "12h"], {"AUTO_SHUTDOWN_HOURS": "48"}, "43200", "42900s"),
        (["--time", "24h", "--", "--lifetime=12h"], {}, "86400", "86100s --lifetime=12h"),
        (["--time", "never"], {}, "none", "never"),
    ],
)
def test_the_agent_ends_before_its_allocation_does(
    machine: Machine, moon: Path, words: list[str], env: dict[str, str], seconds: str, lifetime: str
) -> None:
    done = machine.submit("exp1", "--dry-run", *words, **env)
    assert f" --seconds {seconds} " in done.stdout
    flags = next(line for line in done.stdout.splitlines() if line.startswith("exec ")).partition('"$gpus" ')[2]
    assert flags.removesuffix(f" --allow-root-for {os.getuid()}").replace("\\=", "=") == f"--lifetime {lifetime}"


def test_a_lifetime_that_was_edited_where_only_agents_read_it_counts_on_a_cluster_too(
    machine: Machine, moon: Path
) -> None:
    def seconds() -> str:
        return "".join(re.findall(r"--seconds (\S+)", machine.dry_run("exp1")))

    with (Path(machine.env["CODE_DIR"]) / "perpetual_motion.py").open("a") as program:
        program.write("\nAUTO_SHUTDOWN_HOURS = 48  # 自动关闭时间\n")
    assert seconds() == str(48 * 3600)
    config = machine.root / "home" / "gpu_queue" / "exp1" / "config.yaml"
    config.parent.mkdir(parents=True)
    config.write_text("default_gpus: 1\nauto_shutdown_hours: 72\n")
    assert seconds() == str(72 * 3600)
    config.write_text('lifetime: "1d12h"\n')
    assert seconds() == str(36 * 3600)
    config.write_text("lifetime: never\n")
    assert seconds() == "none"
    machine.env["AUTO_SHUTDOWN_HOURS"] = "5"
    assert seconds() == str(5 * 3600)


def test_settings_of_an_own_way_may_stand_in_the_file(machine: Machine, moon: Path) -> None:
    conf = machine.root / "home" / ".config" / "gpu-queue" / "gpu-queue.conf"
    conf.write_text("WAY_MOON_ROCKET=saturn-$GPUS\n")
    conf.chmod(0o644)
    assert " --rocket saturn-$GPUS " in machine.submit("exp1", "--dry-run").stdout
    assert " --rocket mine " in machine.submit("exp1", "--dry-run", WAY_MOON_ROCKET="mine").stdout


# ---- which way


def test_own_ways_are_found_before_ours_and_only_where_they_say_so(machine: Machine, moon: Path) -> None:
    assert "ways/moon submit" in machine.submit("exp1", "--dry-run").stdout
    shutil.rmtree(moon)
    assert "gpu_queue/ways/local submit" in machine.submit("exp1", "--dry-run", PATH="/usr/bin:/bin").stdout
    machine.own_way("local", MOON_WAY)
    assert "ways/local submit" in machine.submit("exp1", "--dry-run", "--way", "local").stdout
    assert "launch --gpus" in machine.submit("exp1", "--dry-run", "--way", "local").stdout


def test_a_directory_of_ways_may_be_named(machine: Machine, moon: Path) -> None:
    ways = machine.root / "my ways"
    machine.own_way("moon", "").parent.rename(ways)
    (ways / "mars").write_text(f"#!/bin/bash\n{MOON_WAY}")
    (ways / "mars").chmod(0o755)
    assert "mars submit" in machine.submit("exp1", "--dry-run", "--way", "mars", GPU_QUEUE_WAYS=str(ways)).stdout
    assert "expected one of: mars moon " in machine.submit("exp1", "--way", "x", GPU_QUEUE_WAYS=str(ways)).stderr


@pytest.mark.parametrize("what", ["target", *long("way", "directory")])
def test_a_way_that_others_can_write_is_refused_with_the_reason(machine: Machine, moon: Path, what: str) -> None:
    way = machine.own_way("moon", MOON_WAY)
    open_to_others = {"way": way, "directory": way.parent, "target": machine.root / "elsewhere"}[what]
    if what == "target":
        open_to_others.mkdir()
        way.rename(open_to_others / "moon")
        way.symlink_to(open_to_others / "moon")
    assert machine.submit("exp1", "--dry-run", "--way", "moon").returncode == 0
    open_to_others.chmod(0o777)
    refused = machine.submit("exp1", "--dry-run", "--way", "moon")
    assert (refused.returncode, refused.stdout) == (100, "")
    assert f"the way 'moon' is not run: {open_to_others}: mode 777 lets others write it" in refused.stderr
    detected = machine.submit("exp1", "--dry-run")
    assert "ways/local submit" in detected.stdout
    assert "is not run" in detected.stderr


def test_a_way_that_hangs_while_it_is_looked_for_is_passed_over(machine: Machine, moon: Path) -> None:
    hasty(machine)
    machine.own_way("a-hanging-one", "sleep 600")
    assert "ways/moon submit" in machine.submit("exp1", "--dry-run").stdout


def hasty(machine: Machine) -> None:
    """All that is bounded is given up after a second."""
    programs = machine.root / "programs"
    programs.mkdir()
    (programs / "timeout").write_text(f'#!/bin/bash\nexec {shutil.which("timeout")} --foreground -k 1 1 "${{@:5}}"\n')
    (programs / "timeout").chmod(0o755)
    machine.env["PATH"] = f"{programs}:{machine.env['PATH']}"


# ---- what goes wrong


@pytest.mark.parametrize(
    ("mood", "status", "told"),
    [
        ("refuses", 1, "alice-exp1 was not submitted. To check: the settings of moon"),
        ("lost", 111, "alice-exp1 may have been submitted: the next submit.sh asks moon for it first."),
        ("mute", 111, "the way printed no id"),
        *long(
            ("full", 75, "alice-exp1 was not submitted: moon cannot take it now."),
            ("crashes", 111, "the way ended with status 137"),
        ),
    ],
)
def test_what_the_platform_says_is_shown_whole_and_what_it_means(
    machine: Machine, moon: Path, mood: str, status: int, told: str
) -> None:
    done = machine.submit("exp1", MOON_MOOD=mood)
    assert (done.returncode, done.stdout) == (status, "")
    assert f"moon: the platform's own words, on two lines:\n  {mood}\n" in done.stderr
    assert told in done.stderr
    directory = only(machine.allocations())
    assert text(directory / "answer").startswith(f"{status}\nmoon: the platform's own words")
    assert not (directory / "id").exists()


def test_a_setting_that_the_way_refuses_leaves_nothing(machine: Machine, moon: Path) -> None:
    done = machine.submit("exp1", "all")
    assert (done.returncode, done.stdout, done.stderr) == (100, "", "moon: GPUS all: expected a number\n")
    assert not (machine.root / "home" / "gpu_queue").exists()


def test_of_several_those_that_were_submitted_are_told_when_one_is_refused(machine: Machine, moon: Path) -> None:
    done = machine.submit("exp1", "2", "3", MOON_MOOD="takes one")
    assert done.returncode == 1
    assert list(jobs(moon)) == ["m1"]
    assert "1 of 3 were submitted before." in done.stderr


def test_a_way_that_hangs_may_have_submitted_and_nothing_more_is_submitted(machine: Machine, moon: Path) -> None:
    hasty(machine)
    done = machine.submit("exp1", MOON_MOOD="hangs")
    assert done.returncode == 111
    assert "the way did not answer within 300 s" in done.stderr
    done = machine.submit("exp1", MOON_MOOD="silent")
    assert (done.returncode, jobs(moon)) == (111, {})
    assert "moon does not say whether it has alice-exp1" in done.stderr
    assert len(machine.allocations()) == 1


def test_what_was_submitted_in_spite_of_a_time_out_is_found_by_its_nonce_at_once(
    machine: Machine, moon: Path
) -> None:
    (moon / "the last").write_text("running|somebody's|alice-exp1\n")
    done = machine.submit("exp1", MOON_MOOD="slow")
    assert done.returncode == 0
    assert text(only(machine.allocations()) / "id") == "m2"


def test_what_may_exist_is_taken_before_anything_is_submitted(machine: Machine, moon: Path) -> None:
    submitted_without_an_answer(machine, moon, exists=True)
    done = machine.submit("exp1")
    assert (done.returncode, list(jobs(moon))) == (0, ["m1"])
    assert "What may have been submitted was: moon m1 (alice-exp1); it is taken, not submitted again." in done.stdout
    assert text(only(machine.allocations()) / "id") == "m1"
    assert machine.submit("exp1").returncode == 0
    assert list(jobs(moon)) == ["m1", "m2"]


@pytest.mark.parametrize("word", ["lost", *long("ended")])
def test_what_was_submitted_in_spite_of_a_time_out_and_has_ended_takes_nobodys_place(
    machine: Machine, moon: Path, word: str
) -> None:
    submitted_without_an_answer(machine, moon, exists=True)
    (moon / "m1").write_text((moon / "m1").read_text().replace("queued", word))
    done = machine.submit("exp1")
    assert "What may have been submitted was, and has ended: moon m1 (alice-exp1)." in done.stdout
    assert [text(path / "id") for path in machine.allocations()] == ["m1", "m2"]


def test_what_was_given_up_a_moment_ago_is_waited_for_before_it_is_submitted_anew(
    machine: Machine, moon: Path
) -> None:
    """The scheduler had the request when submit.sh gave up, and was slow."""
    assert machine.submit("exp1", MOON_MOOD="lost").returncode == 111
    nonce = only(machine.allocations()).name.partition("-")[2]
    second = subprocess.Popen(["bash", machine.script, "exp1"], env=machine.env, stderr=subprocess.PIPE, text=True)
    assert second.stderr is not None
    assert "may have been submitted a moment ago: looking for it again" in second.stderr.readline()
    (moon / "m1").write_text(f"queued|{nonce}|alice-exp1\n")
    second.communicate()
    assert (second.returncode, list(jobs(moon))) == (0, ["m1"])


def test_of_several_nodes_only_those_are_submitted_that_are_not_there(machine: Machine, moon: Path) -> None:
    submitted_without_an_answer(machine, moon, exists=True)
    assert machine.submit("exp1", "2", "3").returncode == 0
    assert list(jobs(moon)) == ["m1", "m2", "m3"]


def test_what_does_not_exist_is_cleared_and_submitted_anew(machine: Machine, moon: Path) -> None:
    submitted_without_an_answer(machine, moon, exists=False)
    assert machine.submit("exp1").returncode == 0
    assert list(jobs(moon)) == ["m1"]
    lost, taken = machine.allocations()
    assert text(lost / "answer").splitlines()[0] == "1"
    assert text(taken / "id") == "m1"


def submitted_without_an_answer(machine: Machine, moon: Path, *, exists: bool) -> None:
    """submit.sh was killed while the way was at work, a minute ago."""
    if exists:
        machine.own_way("moon", MOON_WAY.replace('    echo "$id"', '    kill -KILL "$(ps -o ppid= $PPID)" $$'))
    else:
        machine.own_way("moon", MOON_WAY.replace("    id=m", '    kill -KILL "$(ps -o ppid= $PPID)" $$\n    id=m'))
    assert machine.submit("exp1").returncode == -9
    answer = only(machine.allocations()) / "answer"
    assert text(answer).startswith("111\n")
    os.utime(answer, (time.time() - OLD_S,) * 2)
    assert len(jobs(moon)) == exists
    machine.own_way("moon", MOON_WAY)


@pytest.mark.parametrize("name", ["name", "request", "answer", *long("way", "start-*.sh", "submitter")])
def test_a_submit_sh_that_was_killed_before_it_submitted_bars_nobodys_way(
    machine: Machine, moon: Path, name: str
) -> None:
    programs = machine.root / "programs"
    programs.mkdir()
    move = f'#!/bin/bash\n{shutil.which("mv")} "$@"\ncase ${{!#}} in */{name}) kill -KILL $PPID ;; esac\n'
    (programs / "mv").write_text(move)
    (programs / "mv").chmod(0o755)
    assert machine.submit("exp1", PATH=f"{programs}:{machine.env['PATH']}").returncode == -9
    for answer in machine.allocations()[0].glob("answer"):
        os.utime(answer, (time.time() - OLD_S,) * 2)
    done = machine.submit("exp1")
    assert (done.returncode, list(jobs(moon))) == (0, ["m1"]), done.stderr


def test_what_another_submit_sh_is_at_work_on_is_left_to_it(machine: Machine, moon: Path) -> None:
    way = MOON_WAY.replace("    id=m", '    until [ -e "$MOON/../$WAITS" ]; do sleep 0.1; done\n    id=m')
    machine.own_way("moon", way)
    env = {**machine.env, "WAITS": "go"}
    first = subprocess.Popen(["bash", machine.script, "exp1"], env=env, stdout=subprocess.DEVNULL)
    while not (machine.allocations() and list(machine.allocations()[0].glob("answer"))):
        assert first.poll() is None
    os.utime(machine.allocations()[0] / "answer", (time.time() - OLD_S,) * 2)
    assert machine.submit("exp1", WAITS="moon").returncode == 0
    assert text(machine.allocations()[0] / "answer").startswith("111\n")
    (machine.root / "go").touch()
    assert first.wait() == 0
    assert len({text(path / "id") for path in machine.allocations()}) == 2


def test_a_way_that_outlives_its_submit_sh_is_waited_for_before_anything_is_submitted(
    machine: Machine, moon: Path
) -> None:
    """submit.sh was killed, and the scheduler takes its time: longer than it is looked for."""
    machine.own_way("moon", MOON_WAY.replace("    id=m", f"    {AT_WORK}\n    id=m"))
    env = {**machine.env, "WAITS": "1"}
    first = subprocess.Popen(["bash", machine.script, "exp1"], env=env, stdout=subprocess.DEVNULL)
    while not (machine.root / "begun").exists():
        assert first.poll() is None
    first.kill()
    first.wait()
    os.utime(only(machine.allocations()) / "answer", (time.time() - OLD_S,) * 2)
    second = subprocess.Popen(["bash", machine.script, "exp1"], env=machine.env, stderr=subprocess.PIPE, text=True)
    assert second.stderr is not None
    told = second.stderr.readline()
    (machine.root / "go").touch()
    second.communicate()
    assert "alice-exp1 is still being handed to moon for a submit.sh that was killed" in told
    assert (second.returncode, list(jobs(moon))) == (0, ["m1"])


def test_what_ended_or_was_refused_a_month_ago_is_forgotten(machine: Machine, moon: Path) -> None:
    for mood in ("", "", "refuses", "lost"):
        machine.submit("exp1", MOON_MOOD=mood)
    ended, queued, refused, uncertain = machine.allocations()
    write_old(ended / "ended", "done\n")
    for path in (ended, queued, refused, uncertain):
        write_old(path / "answer", (path / "answer").read_text())
    assert machine.submit("exp1", MOON_MOOD="silent").returncode == 111
    assert machine.allocations() == [queued, uncertain]


def write_old(path: Path, content: str) -> None:
    path.write_text(content)
    os.utime(path, (time.time() - 40 * 86400,) * 2)


def test_a_directory_in_which_others_could_put_scripts_is_refused(machine: Machine, moon: Path) -> None:
    assert machine.submit("exp1").returncode == 0
    spool = machine.root / "home" / "gpu_queue" / "exp1"
    spool.chmod(0o777)
    assert f"{spool}: mode 777 lets others put their own scripts" in machine.refusal("exp1")
    spool.chmod(0o1777)  # nobody may rename what is not his
    assert machine.submit("exp1").returncode == 0
    spool.chmod(0o700)
    (spool / "allocations").rename(spool / "moved")
    (spool / "allocations").symlink_to(spool / "moved")
    assert "allocations is a link" in machine.refusal("exp1")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make a directory somebody else's")
def test_a_directory_of_somebody_else_is_refused_and_that_of_who_called_for_root_is_not(
    machine: Machine, moon: Path
) -> None:
    assert machine.submit("exp1").returncode == 0
    spool = machine.root / "home" / "gpu_queue" / "exp1"
    for path in (spool / "allocations", spool):
        os.chown(path, 12345, 12345)
        assert f"{path} belongs to uid 12345; expected a directory of yours" in machine.refusal("exp1")
        assert machine.submit("exp1", SUDO_UID="12345").returncode == 0
    shutil.rmtree(spool)
    assert machine.submit("exp1", SUDO_UID="12345").returncode == 0
    assert [path.stat().st_uid for path in (spool, spool / "allocations", *machine.allocations())] == [
        12345,
        12345,
        0,
    ]


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="no setpriv here")
@pytest.mark.parametrize("words", [("--delete", "exp1"), ("exp1",), *long((("--no-keep", "exp1"),))])
def test_who_may_not_enter_a_queue_is_told_so(machine: Machine, words: tuple[str, ...]) -> None:
    spool = machine.root / "home" / "gpu_queue" / "exp1"
    spool.mkdir(parents=True)
    spool.chmod(0)
    plain = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*plain, "bash", machine.script, *words], env=machine.env, check=False, capture_output=True, text=True
    )
    spool.chmod(0o700)
    assert done.returncode == 100
    assert f"you may not enter {spool}, which belongs to " in done.stderr


def test_others_may_submit_to_a_queue_that_is_open_to_them(machine: Machine, moon: Path) -> None:
    spool = machine.root / "home" / "gpu_queue" / "exp1"
    spool.mkdir(parents=True)
    spool.chmod(0o1770)
    assert machine.submit("exp1").returncode == 0
    assert (spool / "allocations").stat().st_mode & 0o7777 == 0o1770
    assert only(machine.allocations()).stat().st_mode & 0o7777 == 0o700


def test_a_queue_that_is_opened_later_is_open_to_submissions_too(machine: Machine, moon: Path) -> None:
    assert machine.submit("exp1").returncode == 0
    allocations = only(machine.allocations()).parent
    allocations.parent.chmod(0o1770)
    assert machine.submit("exp1").returncode == 0
    assert allocations.stat().st_mode & 0o7777 == 0o1770
    assert {path.stat().st_mode & 0o7777 for path in machine.allocations()} == {0o700}


# ---- list, delete, exec


def test_what_was_submitted_is_listed_with_what_became_of_it(machine: Machine, moon: Path) -> None:
    assert machine.submit("--list").stdout == ""
    for job_id in ("exp1", "训练 1"):
        assert machine.submit(job_id, LC_ALL="C.UTF-8").returncode == 0
    assert machine.submit("exp1", MOON_MOOD="lost").returncode == 111
    (moon / "m9").write_text("running|ffffffffffff|alice-exp9\n")
    (moon / "m8").write_text("running||bob-exp1\n")
    done = machine.submit("--list", LC_ALL="C.UTF-8")
    nonce = machine.allocations()[1].name.partition("-")[2]
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["JOB_ID", "WAY", "ID", "STATE"],
        ["exp1", "moon", "m1", "queued", "the", "moon", "says", "queued"],
        ["训练", "1", "moon", "m2", "queued", "the", "moon", "says", "queued"],
        ["exp9", "moon", "m9", "running", "the", "moon", "says", "running", "(not", "submitted", "from", "here)"],
        f"may have been submitted: moon alice-exp1, nonce {nonce}; the next submit.sh asks for it".split(),
    ]
    assert "训练" not in machine.submit("--list", "exp1").stdout


def test_nothing_that_a_scheduler_says_steers_the_terminal(machine: Machine, moon: Path) -> None:
    steers = "\\033]0;title\\007 \\302\\233 2J 好"
    way = MOON_WAY.replace(
        "    echo \"moon: the platform's", f"    printf '{steers}\\n' >&2\n    echo \"moon: the platform's"
    )
    machine.own_way("moon", way.replace("    cd ", f"    printf '{steers}\\n' >&2\n    cd "))
    for words in (("exp1",), ("--list",)):
        done = machine.submit(*words)
        said = done.stdout + done.stderr
        assert done.returncode == 0
        assert "]0;title  2J 好\n" in said
        assert not set("\033\007\x9b") & set(said)


def test_a_way_that_does_not_answer_is_told_and_no_empty_list_is_shown_for_it(machine: Machine, moon: Path) -> None:
    for mood in ("refuses", ""):  # known to have been used, and with an id
        machine.submit("exp1", MOON_MOOD=mood)
        done = machine.submit("--list", MOON_MOOD="silent")
        assert (done.returncode, done.stdout) == (111, "")
        assert "moon does not answer: what it has is not known" in done.stderr


def test_what_has_ended_is_shown_for_a_day_and_not_asked_for_again(machine: Machine, moon: Path) -> None:
    machine.submit("exp1")
    machine.submit("--delete", "exp1")
    assert " ended " in machine.submit("--list").stdout
    shutil.rmtree(moon)
    moon.mkdir()
    assert " ended " in machine.submit("--list").stdout
    ended = only(machine.allocations()) / "ended"
    os.utime(ended, (time.time() - 2 * 86400,) * 2)
    assert machine.submit("--list").stdout == ""


def test_a_submission_of_several_jobs_has_ended_when_all_of_them_have(machine: Machine, moon: Path) -> None:
    machine.submit("exp1")
    directory = only(machine.allocations())
    (moon / "m2").write_text((moon / "m1").read_text())
    (directory / "id").write_text("m1\nm2\n")
    for name in ("m1", "m2"):
        assert not (directory / "ended").exists()
        (moon / name).write_text((moon / name).read_text().replace("queued", "ended"))
        assert f"{name}  ended" in machine.submit("--list").stdout
    assert (directory / "ended").exists()


def test_delete_ends_what_was_submitted_here_and_its_renewal_first(machine: Machine, moon: Path) -> None:
    machine.submit("exp1", "2", "2")
    machine.submit("exp2")
    (moon / "by-hand").write_text("running||alice-exp1\n")
    (moon / "elsewhere").write_text("running|ffffffffffff|alice-exp1\n")
    keep = machine.allocations()[0].parent / "keep"
    keep.touch()
    done = machine.submit("--delete", "exp1")
    assert done.returncode == 0, done.stderr
    assert {name: word for name, (word, _, _) in jobs(moon).items()} == {
        "by-hand": "running",
        "elsewhere": "running",
        "m1": "ended",
        "m2": "ended",
        "m3": "queued",
    }
    assert not keep.exists()
    assert "left alone: moon elsewhere" in done.stdout
    assert "left alone: moon by-hand" in done.stdout
    assert "nothing of exp7 is submitted" in machine.submit("--delete", "exp7").stdout


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--delete", "exp1", "--dry-run"), "--delete: expected neither --dry-run nor --keep"),
        (("--list", "--delete", "exp1"), "--list and --delete: expected one of them"),
        (("--delete", "exp1", "--way"), "--way: expected a value after it"),
        *long(
            (("--no-keep", "exp1", "--dry-run"), "--no-keep: expected neither --dry-run nor --keep"),
            (("--delete", "--keep", "2", "exp1"), "--delete: expected neither --dry-run nor --keep"),
        ),
    ],
)
def test_nothing_is_ended_by_a_line_that_may_mean_something_else(
    machine: Machine, moon: Path, words: tuple[str, ...], reason: str
) -> None:
    machine.submit("--keep", "1", "exp1")
    assert reason in machine.refusal(*words)
    assert [word for word, _, _ in jobs(moon).values()] == ["queued"]
    assert (machine.allocations()[0].parent / "keep").exists()


def test_exec_needs_one_that_runs(machine: Machine, moon: Path) -> None:
    machine.submit("exp1", "2", "2")
    assert "nothing of exp1 runs" in machine.refusal("--exec", "exp1")
    for name in ("m1", "m2"):
        (moon / name).write_text((moon / name).read_text().replace("queued", "running"))
    assert "expected: --exec exp1 ID, one of: m1 m2" in machine.refusal("--exec", "exp1")
    assert machine.submit("--exec", "exp1", "m2").stdout == "a shell in m2\n"
    machine.env["MOON_MOOD"] = ""
    (moon / "m1").write_text((moon / "m1").read_text().replace("running", "ended"))
    assert machine.submit("--exec", "exp1").stdout == "a shell in m2\n"


def test_a_shell_is_opened_though_another_way_that_was_used_does_not_answer(machine: Machine, moon: Path) -> None:
    machine.submit("exp1")
    (moon / "m1").write_text((moon / "m1").read_text().replace("queued", "running"))
    machine.own_way("away", MOON_WAY.replace('[ "$MOON_MOOD" != silent ]', "false").replace("id=m", "id=a"))
    machine.submit("exp1", "--way", "away")
    (moon / "a2").unlink()
    assert machine.submit("--exec", "exp1").stdout == "a shell in m1\n"
    (moon / "m1").write_text((moon / "m1").read_text().replace("running", "ended"))
    assert machine.submit("--exec", "exp1").returncode == 111


def test_what_a_scheduler_has_forgotten_counts_as_ended_a_day_after_it_was_submitted(
    machine: Machine, moon: Path
) -> None:
    machine.submit("exp1")
    (moon / "m1").write_text((moon / "m1").read_text().replace("queued", "unknown"))
    assert "  unknown  " in machine.submit("--list").stdout
    directory = only(machine.allocations())
    os.utime(directory / "answer", (time.time() - 2 * 86400,) * 2)
    assert "  ended    " in machine.submit("--list").stdout
    assert (directory / "ended").exists()


# ---- an agent of this machine


def test_an_agent_of_this_machine_is_listed_and_ended_like_a_job(machine: Machine) -> None:
    assert machine.submit("exp1").returncode == 0
    pid = machine.agent["pid"]
    listed = machine.submit("--list").stdout
    assert re.search(rf"^exp1 +local +{pid}\.\d+@\S+ +running +alive$", listed, re.MULTILINE)
    assert f"local was asked to end {pid}." in machine.submit("--delete", "exp1").stdout
    deadline = time.monotonic() + 20
    while f" {pid}." not in (listed := machine.submit("--list").stdout) or " ended " not in listed:
        assert time.monotonic() < deadline


def test_an_agent_of_another_machine_is_not_taken_for_one_that_has_ended(machine: Machine) -> None:
    assert machine.submit("exp1").returncode == 0
    ways = PROJECT / "gpu_queue" / "ways" / "local"
    (found,) = only(machine.allocations()).joinpath("id").read_text().split()
    elsewhere = f"{found.partition('@')[0]}@other.0000"
    asked = [str(ways), "states", found, elsewhere, "1.2@" + found.partition("@")[2]]
    # That an agent has gone proves nothing of its tasks, which outlive it.
    for proof, word in (("", "ended"), ("1", "lost")):
        environment = {**os.environ, "GQ_PROOF": proof}
        said = subprocess.run(asked, env=environment, capture_output=True, text=True, check=True)
        assert [line.split("\t")[1] for line in said.stdout.splitlines()] == ["running", "unknown", word]
    refused = subprocess.run([ways, "cancel", elsewhere], capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "gpu_shutdown ends it from anywhere" in refused.stderr


def test_an_agent_that_a_scheduler_began_on_this_machine_is_none_of_the_local_way(machine: Machine) -> None:
    assert machine.submit("exp1").returncode == 0
    (only(machine.allocations()) / "way").write_text("slurm\n")
    ways = PROJECT / "gpu_queue" / "ways" / "local"
    for words in (("--name", "alice-exp1"), ("--prefix", "alice-")):
        said = subprocess.run([ways, "states", *words], capture_output=True, text=True, check=True)
        assert str(machine.agent["pid"]) not in said.stdout


# ---- the document's own lines


@pytest.mark.parametrize(
    ("line", "gpus", "nodes"),
    [
        ("./submit.sh train-exp1           # 2 GPU, 1 节点, 队列: gpu_queue/train-exp1/", "2", 1),
        ("./submit.sh train-exp2 4         # 4 GPU, 1 节点", "4", 1),
        ("./submit.sh train-exp3 8 2       # 8 GPU, 2 节点", "8", 2),
        *long(
            ("./submit.sh test-small 2", "2", 1),
            ("./submit.sh train-large 8", "8", 1),
            ("./submit.sh inference 4", "4", 1),
            ("./submit.sh exp1 4   # 第一个实例", "4", 1),
        ),
    ],
)
def test_the_documents_lines_are_typed_as_they_stand(
    machine: Machine, moon: Path, line: str, gpus: str, nodes: int
) -> None:
    code = machine.root / "ydj"
    shutil.copytree(machine.env.pop("CODE_DIR"), code)
    shutil.copytree(PROJECT / "gpu_queue" / "ways", code / "gpu_queue" / "ways")
    shutil.copy(PROJECT / "client.sh", code)
    settings = {
        "CODE_DIR": f'CODE_DIR="{code}"   # 本项目路径',
        "QUEUE_ROOT": f'QUEUE_ROOT="{machine.root}/gpu_queue"     # 队列根目录',
        "CONDA_PATH": f'CONDA_PATH="{machine.root}/conda/bin/activate"',
        "CONDA_ENV": 'CONDA_ENV="swift"',
    }
    script = (PROJECT / "submit.sh").read_text().splitlines()
    script = [settings.get(old.partition("=")[0], old) if re.match("[A-Z_]+=", old) else old for old in script]
    (code / "submit.sh").write_text("\n".join(script) + "\n")
    (code / "submit.sh").chmod(0o755)
    (machine.root / "conda" / "bin").mkdir(parents=True)
    (machine.root / "conda" / "bin" / "activate").write_text("export STAND_IN_CONDA=$1\n")
    machine.env |= {"SUBMIT_PREFIX": "ydj", "PYTHON": ""}
    done = subprocess.run(
        ["bash", "-c", line], cwd=code, env=machine.env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    job_id = line.split()[1]
    assert {name for _, _, name in jobs(moon).values()} == {f"ydj-{job_id}"}
    spool = machine.root / "gpu_queue" / job_id
    starts = sorted(spool.glob("allocations/*/start-*.sh"))
    assert len(starts) == len(jobs(moon)) == nodes
    assert all(f"--gpus {gpus} " in text(path.parent / "request") for path in starts)
    node = {key: machine.env[key] for key in ("PATH", "HOME", "STAND_IN_FACTS")}
    subprocess.run(["bash", starts[0]], env={**node, "STAND_IN": "taken"}, check=False, timeout=30)
    facts = json.loads((machine.root / "facts").read_text())
    assert (facts["conda_env"], facts["flags"][:4]) == (
        "swift",
        ["--job-id", job_id, "--queue-root", f"{machine.root}/gpu_queue"],
    )
