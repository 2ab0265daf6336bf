"""What is handed to SCO ACP, and what a worker's start script begins with: text, made without the platform."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.sco.acp import PROJECT, WAY

START = "/mnt/afs/gpu_queue/train-exp3/allocations/20261129T180000000-0123456789ab/start-0123456789ab.sh"
SETTINGS = {
    "SCO_IMAGE": "registry.example.com/torch:2.3",
    "SCO_MOUNT": "01995892-d478:/mnt/afs",
    "GQ_JOB_ID": "train-exp3",
    "GQ_NAME": "ydj-train-exp3",
    "GQ_NONCE": "0123456789ab",
    "GQ_GPUS": "8",
    "GQ_NODES": "2",
    "GQ_SECONDS": "86400",
    "GQ_START": START,
}


@pytest.fixture
def tools(tmp_path: Path) -> str:
    """A PATH with what every machine has, and no ``sco`` and no Python."""
    path = tmp_path / "tools"
    path.mkdir()
    for name in ("bash", "env", "readlink", "dirname"):
        (path / name).symlink_to(f"/usr/bin/{name}")
    return str(path)


def way(tools: str, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": tools, "LC_ALL": "C.UTF-8", **SETTINGS, **more}
    return subprocess.run([WAY, *words], env=env, check=False, capture_output=True, text=True, timeout=20)


def rendered(tools: str, **more: str) -> str:
    done = way(tools, "render", **more)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def refusal(tools: str, **more: str) -> str:
    done = way(tools, "render", **more)
    assert (done.returncode, done.stdout) == (100, "")
    assert done.stderr.startswith("sco: ")
    return done.stderr


def test_eight_gpus_on_two_nodes_are_one_job_with_two_workers(tools: str) -> None:
    assert way(tools, "shape").stdout == "several\n"
    assert (
        rendered(tools)
        == f"""sco acp jobs create \\
  --workspace-name=share-space \\
  --aec2-name=share-cluster \\
  --job-name=ydj-train-exp3 \\
  --container-image-url=registry.example.com/torch:2.3 \\
  --training-framework=pytorch \\
  --worker-nodes=2 \\
  --worker-spec=n6ls.iu.i40.8 \\
  --priority=normal \\
  --storage-mount=01995892-d478:/mnt/afs \\
  --command='bash {START}'
"""
    )


def test_each_setting_has_its_place(tools: str) -> None:
    text = rendered(
        tools,
        SCO_WORKSPACE="p18",
        SCO_CLUSTER="computing-cluster-01e",
        SCO_SPEC="N6lS.Iu.I10.${GPUS}.64c1024g",
        SCO_FRAMEWORK="mpi",
        SCO_PRIORITY="high",
        SCO_QUOTA="spot",
        SCO_MOUNT="none",
        SCO_ARGS="--wait --env 'A:b c' --retry-times=2",
        GQ_NAME="alice-训练.1",
        GQ_START="/a b/c'd $(touch pwned)/start-0123456789ab.sh",
    )
    assert (
        text
        == r"""sco acp jobs create \
  --workspace-name=p18 \
  --aec2-name=computing-cluster-01e \
  --job-name='alice-训练.1' \
  --container-image-url=registry.example.com/torch:2.3 \
  --training-framework=mpi \
  --worker-nodes=2 \
  --worker-spec=N6lS.Iu.I10.8.64c1024g \
  --priority=high \
  --quota-type=spot \
  --wait \
  --env \
  'A:b c' \
  --retry-times=2 \
  --command='bash '\''/a b/c'\''\'\'''\''d $(touch pwned)/start-0123456789ab.sh'\'''
"""
    )


def test_the_line_is_what_a_person_may_paste_in_any_locale_and_shell(tools: str) -> None:
    odd = {"GQ_NAME": "ydj-训练", "GQ_START": "/a b/c'd $(touch pwned)/start-0123456789ab.sh"}
    text = rendered(tools, **odd)
    assert text == rendered(tools, LC_ALL="C", **odd)
    for shell in ("bash", "sh"):
        done = subprocess.run(
            [shell, "-c", f'sco() {{ for w; do printf "<%s>" "$w"; done; }}\n{text}'], check=True, capture_output=True
        )
        told = done.stdout.decode()
        assert told.startswith("<acp><jobs><create><--workspace-name=share-space>")
        assert "<--job-name=ydj-训练>" in told
        assert told.endswith("""<--command=bash '/a b/c'\\''d $(touch pwned)/start-0123456789ab.sh'>""")


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"SCO_IMAGE": ""}, "SCO_IMAGE is not set; expected the address of the workers' image"),
        ({"SCO_MOUNT": ""}, "SCO_MOUNT is not set; expected VOLUME:PATH"),
        ({"SCO_IMAGE": "a b"}, "SCO_IMAGE 'a b': expected"),
        ({"SCO_QUOTA": "idle"}, "SCO_QUOTA 'idle': expected reserved or spot"),
        ({"GQ_GPUS": "all"}, "GPUS 'all': expected a number, for SCO_SPEC 'n6ls.iu.i40.$GPUS'"),
        ({"GQ_NODES": "0"}, "GQ_NODES '0': expected a number"),
        ({"GQ_START": "start.sh"}, "GQ_START 'start.sh': expected"),
        ({"SCO_ARGS": "--env 'A:b"}, "SCO_ARGS '--env 'A:b': a quote is not closed"),
        ({"SCO_ARGS": "--command=ls"}, "SCO_ARGS: --command=ls is given by other settings"),
        ({"SCO_ARGS": "-j x"}, "SCO_ARGS: -j is given by other settings"),
        ({"GQ_NAME": "ydj-my job"}, "the job's name 'ydj-my job': SCO ACP takes letters, digits, Chinese"),
        ({"GQ_NAME": "-x"}, "the job's name '-x': SCO ACP takes"),
        ({"GQ_NAME": "ydj-é"}, "the job's name 'ydj-é': SCO ACP takes"),
        ({"GQ_NAME": "ydj-" + "训" * 253}, "the job's name has 257 characters; SCO ACP takes 256"),
    ],
)
def test_a_wrong_setting_is_told_with_what_was_expected(tools: str, settings: dict[str, str], told: str) -> None:
    assert told in refusal(tools, **settings)


def test_a_name_may_be_as_long_as_the_platform_takes(tools: str) -> None:
    assert "训" * 252 in rendered(tools, GQ_NAME="ydj-" + "训" * 252)
    assert "--job-name=ydj-a:b_c.1" in rendered(tools, GQ_NAME="ydj-a:b_c.1")


def test_a_kind_of_worker_that_names_its_gpus_itself_needs_no_number(tools: str) -> None:
    assert "--worker-spec=n6ls.iu.i40.4.32c512g" in rendered(tools, GQ_GPUS="all", SCO_SPEC="n6ls.iu.i40.4.32c512g")


def test_the_start_script_begins_with_who_we_are_on_this_platform(tools: str) -> None:
    done = way(tools, "prelude")
    assert (
        done.stdout == """trap 'exit 143' TERM
export GPU_QUEUE_ALLOCATION=sco:ydj-train-exp3/0123456789ab
export SCO_WORKSPACE=share-space
export GPU_QUEUE_ALLOCATION_GRACE=30
export GPU_QUEUE_SWEEP="${GPU_QUEUE_SWEEP:-all}" # a worker is a container of ours alone
export GPU_QUEUE_NODE_NAME="${GPU_QUEUE_NODE_NAME:-${HOSTNAME:-$(hostname)}-012345"""
        """${SENSECORE_PYTORCH_NODE_RANK:+-$SENSECORE_PYTORCH_NODE_RANK}}"
"""
    )


def test_what_is_set_already_stays_and_each_worker_has_a_name_of_its_own(tools: str, tmp_path: Path) -> None:
    prelude = way(tools, "prelude", GQ_LOG_DIR=str(tmp_path / "the logs")).stdout
    (tmp_path / "the logs").mkdir()
    tell = (
        'echo "$GPU_QUEUE_NODE_NAME $GPU_QUEUE_SWEEP $GPU_QUEUE_ALLOCATION_GRACE ${GPU_QUEUE_ALLOCATION_END-no end}"'
    )

    def told(**env: str) -> str:
        # Scripts of conda's use variables that are not set: nothing here may forbid that.
        done = subprocess.run(
            ["bash", "-c", f"{prelude}\n: $NOT_SET\n{tell}"],
            env={"PATH": os.environ["PATH"], "HOSTNAME": "pt-1-worker-1", **env},
            check=True,
            capture_output=True,
            text=True,
        )
        assert done.stderr == ""
        return done.stdout

    log = tmp_path / "the logs/worker"
    assert told(SENSECORE_PYTORCH_NODE_RANK="1") == f"What the agent says stands in {log}-1.log\n"
    assert Path(f"{log}-1.log").read_text() == "pt-1-worker-1-012345-1 all 30 no end\n"
    told(GPU_QUEUE_SWEEP="off", GPU_QUEUE_NODE_NAME="mine")
    assert Path(f"{log}-0.log").read_text() == "mine off 30 no end\n"


def test_a_log_that_cannot_be_written_stops_no_agent(tools: str) -> None:
    prelude = way(tools, "prelude", GQ_LOG_DIR="/proc/nothing").stdout
    done = subprocess.run(["bash", "-c", f"{prelude}\necho serves"], check=True, capture_output=True, text=True)
    assert done.stdout == "serves\n"


def test_an_unknown_verb_is_a_wrong_argument(tools: str) -> None:
    assert way(tools, "dance").returncode == 100
    assert way(tools).returncode == 100


def test_the_way_is_a_program_of_the_package() -> None:
    assert os.access(PROJECT / "gpu_queue/ways/sco", os.X_OK)
