"""The way to Slurm without a Slurm: what it would hand over, what it makes of what Slurm's programs say."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from pathlib import Path

import pytest

WAY = Path(__file__).resolve().parents[2] / "gpu_queue/ways/slurm"
ASKED = {
    "GQ_JOB_ID": "train-exp1",
    "GQ_NAME": "alice-train-exp1",
    "GQ_NONCE": "0123456789ab",
    "GQ_GPUS": "2",
    "GQ_NODES": "1",
    "GQ_SECONDS": "86400",
    "GQ_START": "/shared/q/train-exp1/allocations/t-0123456789ab/start-0123456789ab.sh",
    "GQ_LOG_DIR": "/shared/q/train-exp1/allocations/t-0123456789ab",
    "GQ_AFTER": "",
}
SYSTEM = "/usr/local/bin:/usr/bin:/bin"


def way(*words: str, path: str = SYSTEM, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(WAY), *words],
        env={"PATH": path, "HOME": "/nowhere", **ASKED, **environment},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def rendered(**environment: str) -> str:
    done = way("render", **environment)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout


# -- what is handed over


def test_a_job_of_one_node() -> None:
    assert (
        rendered()
        == """\
#!/bin/bash
#SBATCH --gres=gpu:2
#SBATCH --time=24:00:00
#SBATCH --no-requeue --open-mode=append
#SBATCH --chdir=/
#SBATCH --output=/shared/q/train-exp1/allocations/t-0123456789ab/slurm-0123456789ab.log
#SBATCH --nodes=1 --ntasks-per-node=1
#SBATCH --job-name=alice-train-exp1
#SBATCH --comment=gpu-queue:0123456789ab
((${SLURM_GPUS_ON_NODE:-0} <= 2)) || gres=--gres=gpu:$SLURM_GPUS_ON_NODE
exec srun ${gres-} --ntasks-per-node=1 --kill-on-bad-exit=0 --cpu-bind=none bash \
/shared/q/train-exp1/allocations/t-0123456789ab/start-0123456789ab.sh
"""
    )


def test_all_that_a_site_may_want() -> None:
    settings = {
        "SLURM_WAY_PARTITION": "gpu",
        "SLURM_WAY_ACCOUNT": "lab",
        "SLURM_WAY_QOS": "long",
        "SLURM_WAY_GRES": "gpu:a100:$GPUS",
        "SLURM_WAY_ARGS": "--mem=64G -C 'a100&nvlink' --cpus-per-gpu=${GPUS} --requeue --comment=mine",
        "GQ_AFTER": "1234.1",
    }
    assert (
        rendered(**settings)
        == """\
#!/bin/bash
#SBATCH --partition=gpu
#SBATCH --account=lab
#SBATCH --qos=long
#SBATCH --gres=gpu:a100:2
#SBATCH --time=24:00:00
#SBATCH --no-requeue --open-mode=append
#SBATCH --chdir=/
#SBATCH --output=/shared/q/train-exp1/allocations/t-0123456789ab/slurm-0123456789ab.log
#SBATCH --mem=64G -C "a100&nvlink" --cpus-per-gpu=2 --requeue --comment=mine
#SBATCH --nodes=1 --ntasks-per-node=1
#SBATCH --job-name=alice-train-exp1
#SBATCH --comment=gpu-queue:0123456789ab
#SBATCH --dependency=afterany:1234
((${SLURM_GPUS_ON_NODE:-0} <= 2)) || gres=--gres=gpu:$SLURM_GPUS_ON_NODE
exec srun ${gres-} --ntasks-per-node=1 --kill-on-bad-exit=0 --cpu-bind=none bash \
/shared/q/train-exp1/allocations/t-0123456789ab/start-0123456789ab.sh
"""
    )


def test_one_job_of_several_nodes_that_are_given_whole_and_without_end() -> None:
    script = rendered(GQ_GPUS="all", GQ_NODES="3", GQ_SECONDS="", SLURM_WAY_ONE_JOB="1")
    assert (
        script
        == """\
#!/bin/bash
#SBATCH --exclusive
#SBATCH --gres=gpu:1
#SBATCH --time=UNLIMITED
#SBATCH --no-requeue --open-mode=append
#SBATCH --chdir=/
#SBATCH --output=/shared/q/train-exp1/allocations/t-0123456789ab/slurm-0123456789ab.log
#SBATCH --nodes=3 --ntasks-per-node=1 --no-kill
#SBATCH --job-name=alice-train-exp1
#SBATCH --comment=gpu-queue:0123456789ab
((${SLURM_GPUS_ON_NODE:-0} <= 1)) || gres=--gres=gpu:$SLURM_GPUS_ON_NODE
exec srun ${gres-} --ntasks-per-node=1 --kill-on-bad-exit=0 --cpu-bind=none \
--nodes=3 --ntasks=3 --no-kill --wait=0 bash \
/shared/q/train-exp1/allocations/t-0123456789ab/start-0123456789ab.sh
"""
    )


def test_a_submission_is_a_node_unless_one_job_is_to_have_them_all() -> None:
    assert [way("shape", SLURM_WAY_ONE_JOB=one).stdout for one in ("", "0", "1")] == ["one\n", "one\n", "several\n"]
    assert "--nodes=1 " in rendered(GQ_NODES="4")


def test_limits_are_told_in_full_hours() -> None:
    for seconds, text in (("60", "00:01:00"), ("5400", "01:30:00"), ("2592000", "720:00:00")):
        assert f"#SBATCH --time={text}\n" in rendered(GQ_SECONDS=seconds)


def test_gpus_may_be_left_to_other_arguments() -> None:
    script = rendered(SLURM_WAY_GRES="none", SLURM_WAY_ARGS="--gpus-per-node=$GPUS")
    assert "gres" not in script
    assert "#SBATCH --gpus-per-node=2\n" in script


def test_nothing_in_a_setting_or_a_name_is_run_or_ends_its_line(tmp_path: Path) -> None:
    odd = 'it\'s "$(touch pwned)" `touch pwned` #1 \\ 训练 %j;touch pwned'
    script = rendered(GQ_NAME=odd, SLURM_WAY_PARTITION=odd, SLURM_WAY_ARGS=f"--comment={shlex.quote(odd)}")
    quoted = r'"it' + r"'s \"$(touch pwned)\" `touch pwned` #1 \\ 训练 %j;touch pwned" + '"'
    assert f"#SBATCH --job-name={quoted}\n" in script
    assert f"#SBATCH --partition={quoted}\n" in script
    assert script.count("\n") == rendered().count("\n") + 2
    start = rendered(GQ_START=f"{tmp_path}/{odd}").rpartition(" bash ")[2].replace("bash ", "", 1)
    assert shlex.split(start) == [f"{tmp_path}/{odd}"]


@pytest.mark.parametrize(
    ("directory", "output"),
    [("/q/50% %j", '"/q/50%% %%j/'), ("/q/a\\b %j", '"/q/a\\\\\\\\b %j/'), ("/q/训练", '"/q/训练/')],
)
def test_the_log_is_where_it_was_asked_for_whatever_slurm_would_fill_in(directory: str, output: str) -> None:
    assert f"#SBATCH --output={output}slurm-" in rendered(GQ_LOG_DIR=directory)


@pytest.mark.parametrize(
    ("setting", "value", "told"),
    [
        ("GQ_NAME", "two\nlines", "job-name"),
        ("GQ_GPUS", "0", "GPUS '0'"),
        ("GQ_GPUS", "two", "GPUS 'two'"),
        ("GQ_AFTER", "slurm:7", "GQ_AFTER"),
        ("GQ_SECONDS", "24h", "GQ_SECONDS"),
        ("SLURM_WAY_PARTITION", "a\nb", "partition"),
        ("SLURM_WAY_ARGS", "--comment='open", "a quote is not closed"),
        ("SLURM_WAY_ARGS", "--comment='a\nb'", "SLURM_WAY_ARGS"),
        ("SLURM_WAY_ONE_JOB", "yes", "SLURM_WAY_ONE_JOB"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_and_named(setting: str, value: str, told: str) -> None:
    done = way("render", **{setting: value})
    assert done.returncode == 100
    assert told in done.stderr
    assert "expected" in done.stderr or "closed" in done.stderr


def test_what_is_handed_over_needs_no_cluster_and_no_configuration() -> None:
    begun = time.monotonic()
    assert rendered(SLURM_CONF="/nowhere/slurm.conf") == rendered()  # Slurm's programs would look for it for a minute
    assert way("prelude", SLURM_CONF="/nowhere/slurm.conf").stdout == way("prelude").stdout
    assert time.monotonic() - begun < 20


# -- on the node


def in_job(prelude: str, programs: Path, **environment: str) -> dict[str, str]:
    """What the start script's first lines make of a job's environment."""
    done = subprocess.run(
        ["bash", "-c", f"set -u; gpus=all\n{prelude}\nprintf 'gpus=%s\\n' \"$gpus\"; env"],
        env={"PATH": f"{programs}:{SYSTEM}", **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(line.split("=", 1) for line in done.stdout.splitlines() if line.startswith(("GPU_QUEUE_", "gpus=")))


def programs(directory: Path, **texts: str) -> Path:
    """Stand-ins for Slurm's programs."""
    made = directory / "programs"
    made.mkdir(exist_ok=True)
    for name, text in texts.items():
        (made / name).write_text(f"#!/bin/bash\n{text}\n")
        (made / name).chmod(0o755)
    return made


CONFIG = "printf 'KillWait                = 45 sec\\nMaxJobCount = 10000\\n'"
A_JOB = {"SLURM_JOB_ID": "77", "SLURMD_NODENAME": "n3"}


def test_an_agent_is_told_its_job_its_end_and_the_time_between_term_and_kill(tmp_path: Path) -> None:
    prelude = way("prelude").stdout
    here = programs(tmp_path, squeue='[[ $SLURM_TIME_FORMAT == %s ]] && echo "1900000000    OK   "', scontrol=CONFIG)
    assert in_job(prelude, here, **A_JOB) == {
        "GPU_QUEUE_ALLOCATION": "slurm:77.0",
        "GPU_QUEUE_ALLOCATION_END": "1900000000",
        "GPU_QUEUE_ALLOCATION_GRACE": "45",
        "GPU_QUEUE_NODE_NAME": "n3-77",
        "gpus": "all",
    }
    newer = in_job(prelude, here, **A_JOB, SLURM_RESTART_COUNT="2", SLURM_JOB_END_TIME="1800000000")
    assert newer["GPU_QUEUE_ALLOCATION"] == "slurm:77.2"
    assert newer["GPU_QUEUE_ALLOCATION_END"] == "1800000000"


def test_where_slurms_programs_are_not_on_the_node_the_end_is_what_was_asked_for(tmp_path: Path) -> None:
    gone = programs(tmp_path, squeue="exit 1", scontrol="exit 1")
    facts = in_job(way("prelude", GQ_SECONDS="3600").stdout, gone, **A_JOB)
    assert abs(int(facts["GPU_QUEUE_ALLOCATION_END"]) - time.time() - 3600) < 30
    assert facts["GPU_QUEUE_ALLOCATION_GRACE"] == "30"
    assert "GPU_QUEUE_ALLOCATION_END" not in in_job(way("prelude", GQ_SECONDS="").stdout, gone, **A_JOB)


def test_the_whole_node_is_swept_only_where_the_job_has_it_alone(tmp_path: Path) -> None:
    prelude = way("prelude").stdout
    for sharing, sweep in (("NO", "all"), ("OK", None), ("USER", None), ("YES", None)):
        here = programs(tmp_path, squeue=f"echo '1900000000    {sharing}   '", scontrol=CONFIG)
        assert in_job(prelude, here, **A_JOB).get("GPU_QUEUE_SWEEP") == sweep
    here = programs(tmp_path, squeue="echo '1900000000    NO   '")
    assert in_job(prelude, here, **A_JOB, GPU_QUEUE_SWEEP="own")["GPU_QUEUE_SWEEP"] == "own"


def test_what_somebody_has_named_keeps_its_name_and_pretended_gpus_are_those_granted(tmp_path: Path) -> None:
    here = programs(tmp_path, squeue="exit 1", scontrol="exit 1")
    more = {"GPU_QUEUE_NODE_NAME": "mine", "GPU_QUEUE_SIMULATE": "4", "CUDA_VISIBLE_DEVICES": "2,3"}
    facts = in_job(way("prelude").stdout, here, **A_JOB, **more)
    assert (facts["GPU_QUEUE_NODE_NAME"], facts["gpus"]) == ("mine", "2,3")
    assert in_job(way("prelude").stdout, here) == {"gpus": "all"}  # no job


# -- what Slurm's programs say


def submitted(tmp_path: Path, sbatch: str, **environment: str) -> subprocess.CompletedProcess[str]:
    request = tmp_path / "request"
    request.write_text(rendered())
    return way("submit", str(request), path=f"{programs(tmp_path, sbatch=sbatch)}:{SYSTEM}", **environment)


def said(text: str, status: int) -> str:
    return f"echo {shlex.quote(text)} >&2; exit {status}"


FAILED = "sbatch: error: Batch job submission failed: "


@pytest.mark.parametrize(
    ("sbatch", "status", "id_"),
    [
        ("echo 77", 0, "77\n"),
        ("echo '77;cluster'", 0, "77\n"),
        ("echo 'sbatch: lua: welcome, 5 GPUs' >&2; echo 77", 0, "77\n"),
        ("echo 'Submitted'", 111, ""),
        (said(FAILED + "Invalid partition name specified", 1), 1, ""),
        (said("sbatch: error: Invalid --time specification", 255), 1, ""),
        (said(FAILED + "Unable to contact slurm controller (connect failure)", 1), 75, ""),
        (
            said("sbatch: error: QOSMaxSubmitJobPerUserLimit\n" + FAILED + "Job violates accounting/QOS policy", 1),
            75,
            "",
        ),
        (said(FAILED + "Unable to contact slurm controller (receive failure)", 1), 111, ""),
        (said(FAILED + "Socket timed out on send/recv operation", 1), 111, ""),
        (said(FAILED + "Zero Bytes were transmitted or received", 1), 111, ""),
        ("kill -9 $$", 111, ""),
        ("exit 0", 111, ""),
    ],
)
def test_what_became_of_a_submission(tmp_path: Path, sbatch: str, status: int, id_: str) -> None:
    done = submitted(tmp_path, sbatch)
    assert (done.returncode, done.stdout) == (status, id_), done.stderr


def test_a_submission_that_gives_no_answer_may_exist(tmp_path: Path) -> None:
    # Its own `timeout` waits for 40 s.
    programs(tmp_path, timeout='exec /usr/bin/timeout "${@:1:3}" 0.5 "${@:5}"')
    done = submitted(tmp_path, "exec sleep 30")
    assert (done.returncode, done.stdout) == (111, "")


def test_a_refusal_is_shown_whole(tmp_path: Path) -> None:
    text = f"sbatch: error: invalid partition specified: nope\n{FAILED}Invalid partition name specified"
    assert text in submitted(tmp_path, said(text, 1)).stderr


def test_the_job_that_submits_hands_nothing_of_its_own_on(tmp_path: Path) -> None:
    inside = {
        "SLURM_CONF": "/etc/slurm.conf",
        "SLURM_JOB_ID": "7",
        "SLURM_MEM_PER_NODE": "1",
        "SLURMD_NODENAME": "n1",
        "SBATCH_PARTITION": "mine",
        "SRUN_CPUS_PER_TASK": "4",
        "PMI_RANK": "0",
        "CUDA_VISIBLE_DEVICES": "0",
        "GPU_QUEUE_ALLOCATION": "slurm:7.0",
        "GPU_QUEUE_ALLOCATION_END": "1",
        "GPU_QUEUE_SLOT": "1.1",
        "GPU_QUEUE_NODE_NAME": "n1-7",
        "GPU_QUEUE_SWEEP": "all",
        "GPU_QUEUE_POLL": "2s",
        "HF_HOME": "/hf",
    }
    done = submitted(tmp_path, "env >&2; echo 77", **inside)
    seen = dict(line.split("=", 1) for line in done.stderr.splitlines() if "=" in line)
    kept = {name for name in seen if name in inside}
    assert kept == {"SLURM_CONF", "GPU_QUEUE_POLL", "HF_HOME"}


def row(job: str, restarts: str, state: str, reason: str, nodes: str, comment: str, name: str) -> str:
    return (
        f"{job:20.20}{restarts:12.12}{state:24.24}{reason:60.60}{nodes:300.300}{comment:64.64}"
        + name.encode().ljust(600)[:600].decode()
    )


def answered(
    tmp_path: Path, rows: list[str], *words: str, sinfo: str = "", scontrol: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    (tmp_path / "rows").write_text("".join(f"{one}\n" for one in rows))
    here = programs(
        tmp_path,
        squeue=f"cat {shlex.quote(str(tmp_path))}/rows",
        sinfo=sinfo or "echo n1 idle",
        scontrol=scontrol or CONFIG,
    )
    return way("states", *words, path=f"{here}:{SYSTEM}", **environment)


@pytest.mark.parametrize(
    ("state", "word"),
    [
        ("PENDING", "queued"),
        ("CONFIGURING", "queued"),
        ("RUNNING", "running"),
        ("SUSPENDED", "running"),
        ("COMPLETING", "ending"),
        ("COMPLETED", "ended"),
        ("CANCELLED", "ended"),
        ("TIMEOUT", "ended"),
        ("PREEMPTED", "ended"),
        ("OUT_OF_MEMORY", "ended"),
        ("NODE_FAIL", "lost"),
        ("BOOT_FAIL", "lost"),
        ("A_WORD_OF_TOMORROW", "unknown"),
    ],
)
def test_the_word_for_each_state(tmp_path: Path, state: str, word: str) -> None:
    one = row("77", "0", state, "None", "n1", "gpu-queue:0123456789ab", "alice-训练 |x")
    assert answered(tmp_path, [one], "77").stdout == f"77\t{word}\t{state}\t0123456789ab\talice-训练 |x\n"


def test_each_id_has_a_line_and_one_that_slurm_has_forgotten_is_unknown(tmp_path: Path) -> None:
    rows = [row("78", "1", "RUNNING", "None", "n1", "(null)", "x"), "slurm: a warning", ""]
    lines = [
        line.split("\t")[:3] for line in answered(tmp_path, rows, "77", "78", "78.0", "78.1").stdout.splitlines()
    ]
    assert lines == [
        ["77", "unknown", ""],
        ["78", "running", "RUNNING"],
        ["78.0", "lost", "restart 1: RUNNING"],
        ["78.1", "running", "RUNNING"],
    ]


def test_an_end_on_a_node_that_is_silent_proves_nothing(tmp_path: Path) -> None:
    one = row("77", "0", "CANCELLED", "None", "n1", "", "x")
    for state, word in (
        ("idle", "ended"),
        ("mixed", "ended"),
        ("down*", "lost"),
        ("down", "lost"),
        ("idle*", "lost"),
    ):
        told = answered(tmp_path, [one], "77.0", sinfo=f"printf 'n1 {state}\\nn2 idle\\n'").stdout
        assert told.split("\t")[1] == word, state
    assert answered(tmp_path, [one], "77.0", sinfo="exit 1").returncode == 111


def test_where_a_proof_is_asked_for_an_end_is_none_unless_slurm_tracks_all_processes(tmp_path: Path) -> None:
    rows = [row("77", "0", "COMPLETED", "None", "n1", "", "x"), row("78", "0", "RUNNING", "None", "n1", "", "x")]
    for kind, word in (("cgroup", "ended"), ("linuxproc", "lost"), ("pgid", "lost")):
        config = f"echo 'ProctrackType           = proctrack/{kind}'"
        told = answered(tmp_path, rows, "77.0", "78.0", scontrol=config, GQ_PROOF="1").stdout
        assert [line.split("\t")[1] for line in told.splitlines()] == [word, "running"], kind
        assert "ended" in answered(tmp_path, rows, "77.0", scontrol=config).stdout, "people want to know that"
    assert answered(tmp_path, rows, "77.0", scontrol="exit 1", GQ_PROOF="1").returncode == 111


def test_where_a_proof_is_asked_for_no_other_cluster_is_asked(tmp_path: Path) -> None:
    (tmp_path / "rows").write_text(row("77", "0", "RUNNING", "None", "n1", "", "x") + "\n")
    elsewhere = row("77", "0", "CANCELLED", "None", "m1", "", "x")
    squeue = f'cat {shlex.quote(str(tmp_path))}/rows; [ -z "$SLURM_CLUSTERS" ] || echo {shlex.quote(elsewhere)}'
    here = programs(tmp_path, squeue=squeue, sinfo="echo n1 idle", scontrol=CONFIG)
    for proof, word in (("", "ended"), ("1", "running")):
        told = way("states", "77.0", path=f"{here}:{SYSTEM}", SLURM_CLUSTERS="a,b", GQ_PROOF=proof).stdout
        assert told.split("\t")[1] == word


def test_jobs_are_found_by_their_name_or_its_beginning(tmp_path: Path) -> None:
    rows = [
        row("1", "0", "RUNNING", "None", "n1", "gpu-queue:aaaaaaaaaaaa", "alice-exp"),
        row("2", "0", "PENDING", "Dependency", "", "gpu-queue:bbbbbbbbbbbb", "alice-exp"),
        row("3", "0", "RUNNING", "None", "n1", "mine", "alice-exp2"),
        row("4", "0", "RUNNING", "None", "n1", "", "alice-a,b"),
        row("5", "0", "RUNNING", "None", "n1", "", "bob"),
    ]

    def found(*words: str) -> list[list[str]]:
        return sorted(line.split("\t") for line in answered(tmp_path, rows, *words).stdout.splitlines())

    assert found("--name", "alice-exp") == [
        ["1", "running", "RUNNING", "aaaaaaaaaaaa", "alice-exp"],
        ["2", "queued", "PENDING (Dependency)", "bbbbbbbbbbbb", "alice-exp"],
    ]
    assert [line[0] for line in found("--name", "alice-a,b")] == ["4"]
    assert [line[0] for line in found("--prefix", "alice-")] == ["1", "2", "3", "4"]
    assert found("--name", "alice") == []
    assert [line[0] for line in found("--name", "alice-exp*")] == []


def test_no_answer_is_no_empty_list(tmp_path: Path) -> None:
    away = said("slurm_load_jobs error: Unable to contact slurm controller (connect failure)", 1)
    here = programs(tmp_path, squeue=away)
    for words in (("77",), ("--name", "alice-exp")):
        done = way("states", *words, path=f"{here}:{SYSTEM}")
        assert (done.returncode, done.stdout) == (111, "")
        assert "Unable to contact" in done.stderr
    programs(tmp_path, squeue=said("slurm_load_jobs error: Invalid job id specified", 1))
    assert way("states", "77", path=f"{here}:{SYSTEM}").stdout == "77\tunknown\t\t\t\n"


@pytest.mark.parametrize(
    ("scancel", "status"),
    [
        ("[[ $* == '77 78' ]]", 0),
        (said("scancel: error: Kill job error on job id 77: Invalid job id specified", 1), 0),
        (said("scancel: error: Kill job error on job id 77: Job/step already completing or completed", 1), 0),
        (said("scancel: error: Kill job error on job id 77: Access/permission denied", 1), 1),
        (
            said(
                "scancel: error: Kill job error on job id 77: Unable to contact slurm controller (connect failure)", 8
            ),
            111,
        ),
    ],
)
def test_a_job_is_cancelled_whole_and_not_a_step_of_it(tmp_path: Path, scancel: str, status: int) -> None:
    here = programs(tmp_path, scancel=scancel)
    assert way("cancel", "77.1", "78", path=f"{here}:{SYSTEM}").returncode == status


def test_what_is_no_id_is_never_handed_to_slurm(tmp_path: Path) -> None:
    here = programs(tmp_path, squeue="touch ran", scancel="touch ran", srun="touch ran")
    for verb in ("states", "cancel", "exec"):
        for bad in ("--all", "77_3", "77.0.1", "", "alice", "77 78"):
            done = way(verb, bad, path=f"{here}:{SYSTEM}")
            assert done.returncode == 100, (verb, bad)
            assert not os.path.exists("ran")


def test_without_slurm_nothing_is_detected_and_nothing_said(tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("bash", "env", "dirname", "readlink", "sed", "head", "timeout"):
        (bare / name).symlink_to(f"/usr/bin/{name}")
    done = way("detect", path=str(bare))
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")


def test_a_slurm_that_is_only_installed_is_told_apart_from_one_that_does_not_answer(tmp_path: Path) -> None:
    version = "echo 'slurm 23.11.4'"
    bare = "scontrol: error: DNS SRV lookup failed\nscontrol: fatal: Could not establish a configuration source"
    here = programs(tmp_path, sbatch=version, scontrol=said(bare, 1))
    done = way("detect", path=f"{here}:{SYSTEM}")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
    programs(tmp_path, scontrol="echo 'Slurmctld(primary) at ctl1 is DOWN'; exit 1")
    done = way("detect", path=f"{here}:{SYSTEM}")
    assert (done.returncode, done.stdout) == (1, "")
    assert "ctl1 is DOWN" in done.stderr
    programs(tmp_path, scontrol="printf 'Slurmctld(primary) at ctl1 is DOWN\\nSlurmctld(backup) at ctl2 is UP\\n'")
    done = way("detect", path=f"{here}:{SYSTEM}")
    assert (done.returncode, done.stdout) == (0, "slurm 23.11.4, controller ctl2\n")
