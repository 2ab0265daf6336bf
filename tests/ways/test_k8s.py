"""The way to Kubernetes: what it renders, and how the real kubectl and it understand a server's answers."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cases import long
from tests.shell.helpers import wait_until
from tests.ways.caller import NONCE, OURS, SHORT, STRANGE, Way, golden
from tests.ways.kube import Cluster, serve

SETTINGS = {
    "K8S_PVC": "shared",
    "K8S_MOUNT": "/shared",
    "K8S_IMAGE": "nvcr.io/nvidia/pytorch:25.06-py3",
    "GQ_START": f"/shared/q/train-exp1/allocations/20261129T180000000-{NONCE}/start-{NONCE}.sh",
    "GQ_LOG_DIR": f"/shared/q/train-exp1/allocations/20261129T180000000-{NONCE}",
}
NAME = f"alice-train-exp1-{NONCE}"


@pytest.fixture
def way(tmp_path: Path) -> Way:
    return Way(OURS / "k8s", tmp_path, dict(SETTINGS))


@pytest.fixture
def cluster(way: Way) -> Iterator[Cluster]:
    if shutil.which("kubectl") is None:
        pytest.skip("the command kubectl is not here")
    server = serve()
    server.write_kubeconfig(way.directory / "kubeconfig")
    way.env["KUBECONFIG"] = str(way.directory / "kubeconfig")
    yield server.cluster
    server.close()


def test_the_manifest_is_this(way: Way) -> None:
    golden("k8s.yaml", way.ok("render", GQ_NODES="2"))


def test_the_manifest_for_kueue_in_a_namespace_is_this(way: Way) -> None:
    golden("k8s-kueue.yaml", way.ok("render", K8S_QUEUE="gpus", K8S_NAMESPACE="team"))


def test_what_runs_first_on_the_node_is_this(way: Way) -> None:
    golden("k8s.prelude", way.ok("prelude"))


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_strange_names_stay_what_they_are(way: Way, locale: str) -> None:
    root = f"/shared/{STRANGE}"
    made = yaml.safe_load(
        way.ok("render", GQ_NAME=STRANGE, GQ_START=f"{root}/start.sh", GQ_LOG_DIR=root, LC_ALL=locale)
    )
    assert made["metadata"]["name"] == f"it-s-a-x-y-touch-pwned-home-touch-pwned-{NONCE}"[: 52 - 13] + f"-{NONCE}"
    assert made["metadata"]["annotations"] == {"gpu-queue/name": STRANGE}
    (container,) = made["spec"]["template"]["spec"]["containers"]
    # Kubernetes would fill $(X) in; $$ is its plain $.
    assert [word.replace("$$", "$") for word in container["command"][3:]] == [f"{root}/start.sh", root]
    assert "$" not in "".join(container["command"]).replace("$$", "")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("alice-train_EXP.1", f"alice-train-exp-1-{NONCE}"),
        ("试验", f"gpu-queue-{NONCE}"),
        ("-x-", f"x-{NONCE}"),
        ("x" * 200, "x" * 39 + f"-{NONCE}"),
        ("x" * 38 + "-y", "x" * 38 + f"-{NONCE}"),
    ],
)
def test_the_jobs_own_name_is_one_that_kubernetes_takes(way: Way, name: str, expected: str) -> None:
    made = yaml.safe_load(way.ok("render", GQ_NAME=name))["metadata"]["name"]
    assert made == expected
    assert len(made) <= 52


@pytest.mark.parametrize(
    ("env", "problem"),
    [
        ({"K8S_PVC": ""}, "K8S_PVC is not set"),
        ({"K8S_IMAGE": ""}, "K8S_IMAGE is not set"),
        ({"K8S_MOUNT": "shared"}, "K8S_MOUNT 'shared': expected the path"),
        ({"K8S_MOUNT": "/share"}, "expected a directory below K8S_MOUNT '/share'"),
        ({"GQ_GPUS": "all"}, "GPUS all"),
        ({"K8S_IMAGE": "a\nkind: x"}, "no control characters"),
    ],
)
def test_a_setting_that_is_wrong_is_named(way: Way, env: dict[str, str], problem: str) -> None:
    assert problem in way.refusal("render", **env)


def test_without_a_claim_it_is_not_here_and_says_nothing(way: Way) -> None:
    done = way.call("detect", K8S_PVC="")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")


def test_half_set_up_says_what_is_missing(way: Way) -> None:
    way.env["PATH"] = str(way.directory / "bin")
    for program in ("bash", "dirname", "readlink"):
        found = shutil.which(program)
        assert found
        (way.directory / "bin").mkdir(exist_ok=True)
        (way.directory / "bin" / program).symlink_to(found)
    done = way.call("detect")
    assert (done.returncode, done.stdout) == (1, "")
    assert "the command kubectl is not here" in done.stderr


def test_a_cluster_that_lets_us_create_jobs_is_found(way: Way, cluster: Cluster) -> None:
    assert way.ok("detect") == "Kubernetes, context stand-in\n"
    cluster.refusal = (403, "Forbidden", "no")
    done = way.call("detect")
    assert (done.returncode, done.stdout) == (1, "")
    assert "kubectl auth can-i create jobs.batch" in done.stderr


# ---- Process 1 ------------------------------------------------------------------------------------------------


def test_a_pod_that_is_deleted_before_its_agent_began_ends_at_once(way: Way) -> None:
    space = ["unshare", "--fork", "--pid", "--mount-proc", "--kill-child", *([] if os.geteuid() == 0 else ["-Ur"])]
    if subprocess.run([*space, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no pid namespace can be made here")
    start, said = way.directory / "start.sh", way.directory / "said"
    after = 'echo "$GPU_QUEUE_ALLOCATION $GPU_QUEUE_NODE_NAME"; while :; do sleep 0.1; done; exec false\n'
    start.write_text(way.ok("prelude") + after)
    with said.open("wb") as out:
        pod = {"GPU_QUEUE_POD_NAME": "pod-0", "GPU_QUEUE_POD_UID": "6a1b"}
        outside = subprocess.Popen([*space, "bash", start], env={**way.env, **pod}, stdout=out)
    try:
        wait_until(said.read_text)
        first = int(Path(f"/proc/{outside.pid}/task/{outside.pid}/children").read_text())
        os.kill(first, signal.SIGTERM)
        assert outside.wait(10) == 143
    finally:
        outside.kill()
        outside.wait()
    assert said.read_text() == f"k8s:{NAME}/6a1b pod-0\n"


# ---- Submissions ----------------------------------------------------------------------------------------------


def test_a_job_is_created_once_however_often_it_is_handed_over(way: Way, cluster: Cluster) -> None:
    first, again = way.submit(), way.submit()
    assert (first.returncode, first.stdout) == (again.returncode, again.stdout) == (0, f"{NAME}\n")
    assert f"job.batch/{NAME}" in first.stderr
    assert "AlreadyExists" in again.stderr
    assert list(cluster.jobs) == [("team", NAME)]


def test_the_namespace_of_the_settings_counts(way: Way, cluster: Cluster) -> None:
    assert way.submit(K8S_NAMESPACE="mine").returncode == 0
    assert list(cluster.jobs) == [("mine", NAME)]
    assert way.states(NAME, K8S_NAMESPACE="mine")[NAME][0] == "queued"
    assert way.states(NAME)[NAME][0] == "unknown"


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        ((403, "Forbidden", 'jobs.batch "x" is forbidden: exceeded quota: team, requested: count/jobs.batch=1'), 75),
        ((403, "Forbidden", 'jobs.batch is forbidden: User "alice" cannot create resource "jobs"'), 1),
        ((422, "Invalid", "Invalid value: -1"), 1),
        ((400, "BadRequest", 'strict decoding error: unknown field "spec.x"'), 1),
        ((401, "Unauthorized", "Unauthorized"), 1),
        ((500, "InternalError", "etcdserver: request timed out"), 111),
        ((504, "Timeout", "the server was unable to return a response in the time allotted"), 111),
    ],
)
def test_a_refusal_is_told_whole_and_is_sure_only_where_it_can_be(
    way: Way, cluster: Cluster, refusal: tuple[int, str, str], status: int
) -> None:
    cluster.refusal = refusal
    done = way.submit()
    assert (done.returncode, done.stdout) == (status, "")
    assert refusal[2] in done.stderr


def test_a_job_whose_answer_got_lost_is_found(way: Way, cluster: Cluster) -> None:
    cluster.creates_silently = True
    done = way.submit()
    assert (done.returncode, done.stdout) == (0, f"{NAME}\n")


def test_a_server_that_does_not_answer_may_have_it(way: Way, cluster: Cluster) -> None:
    cluster.is_silent = True
    way.use("timeout", SHORT)
    done = way.submit()
    assert (done.returncode, done.stdout) == (111, "")
    assert way.call("states", NAME).returncode == 111


def test_where_no_server_listens_nothing_was_submitted_and_nothing_is_known(way: Way, cluster: Cluster) -> None:
    text = Path(way.env["KUBECONFIG"]).read_text()
    port = text[text.index("127.0.0.1:") :].split()[0]
    Path(way.env["KUBECONFIG"]).write_text(text.replace(port, "127.0.0.1:1"))
    done = way.submit()
    assert (done.returncode, done.stdout) == (75, "")
    for words in (["states", NAME], ["states", "--name", "alice-train-exp1"], ["cancel", NAME]):
        done = way.call(*words)
        assert (done.returncode, done.stdout) == (111, "")


# ---- States ---------------------------------------------------------------------------------------------------

TERMINATED = {"containerStatuses": [{"state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}]}
KILLED = {"containerStatuses": [{"state": {"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown"}}}]}
RUNNING = {"containerStatuses": [{"state": {"running": {"startedAt": "2026-11-29T18:00:00Z"}}}]}


@pytest.mark.parametrize(
    ("status", "is_deleted", "word", "raw"),
    [
        ({"phase": "Pending"}, False, "queued", "Pending"),
        ({"phase": "Running", **RUNNING}, False, "running", "Running"),
        ({"phase": "Running", **RUNNING}, True, "ending", "Running deleted"),
        ({"phase": "Succeeded", **TERMINATED}, False, "ended", "Succeeded"),
        ({"phase": "Failed", "reason": "NodeLost", **RUNNING}, True, "lost", "Failed NodeLost deleted"),
        ({"phase": "Failed", **KILLED}, False, "lost", "Failed"),
        *long(
            ({"phase": "Pending"}, True, "ending", "Pending deleted"),
            ({"phase": "Failed", "reason": "Evicted", **TERMINATED}, True, "ended", "Failed Evicted deleted"),
            ({"phase": "Failed"}, False, "lost", "Failed"),
            ({"phase": "Unknown", **RUNNING}, False, "lost", "Unknown"),
        ),
    ],
)
def test_the_words_for_a_pod(
    way: Way, cluster: Cluster, status: dict[str, Any], is_deleted: bool, word: str, raw: str
) -> None:
    way.submit()
    (pod,) = cluster.pods.values()
    pod["status"] = status
    if is_deleted:
        pod["metadata"]["deletionTimestamp"] = "2026-11-29T18:00:00Z"
    one = f"{NAME}/{pod['metadata']['uid']}"
    assert way.states(one) == {one: [word, raw, NONCE, "alice-train-exp1"]}


def test_a_pod_that_is_gone_has_ended_only_if_its_job_says_that_none_is_left(way: Way, cluster: Cluster) -> None:
    way.submit()
    job = cluster.jobs["team", NAME]
    one = f"{NAME}/6a1b"
    cluster.pods.clear()
    assert way.states(one)[one][0] == "unknown"
    for terminating, word in ((1, "unknown"), (None, "unknown"), (0, "ended")):
        job["status"] = {"conditions": [{"type": "Failed", "status": "True"}], "terminating": terminating}
        assert way.states(one)[one][0] == word
    job["status"]["conditions"][0]["status"] = "False"
    assert way.states(one)[one][0] == "unknown"
    cluster.jobs.clear()
    assert way.states(one)[one] == ["unknown", "not found", "", ""]


def test_the_words_for_a_job_of_several_pods(way: Way, cluster: Cluster) -> None:
    way.submit(GQ_NODES="2")
    first, second = (pod["status"] for pod in cluster.pods.values())
    assert way.states(NAME)[NAME][:2] == ["queued", "2 queued"]
    first |= {"phase": "Running", **RUNNING}
    assert way.states(NAME)[NAME][:2] == ["running", "1 queued,1 running"]
    second |= {"phase": "Succeeded", **TERMINATED}
    assert way.states(NAME)[NAME][:2] == ["running", "1 ended,1 running"]
    way.ok("cancel", NAME)
    assert way.states(NAME)[NAME][:2] == ["ending", "deleted"]


def test_a_job_that_kueue_holds_is_queued_and_one_that_it_took_the_nodes_from_is_ending(
    way: Way, cluster: Cluster
) -> None:
    way.submit(K8S_QUEUE="gpus")
    assert way.states(NAME)[NAME][:2] == ["queued", "suspended"]
    cluster.start("team", NAME)
    (pod,) = cluster.pods.values()
    pod["status"] = {"phase": "Running", **RUNNING}
    assert way.states(NAME)[NAME][0] == "running"
    cluster.jobs["team", NAME]["spec"]["suspend"] = True
    pod["metadata"]["deletionTimestamp"] = "2026-11-29T18:00:00Z"
    assert way.states(NAME)[NAME][0] == "ending"


def test_jobs_are_found_by_the_name_that_people_gave(way: Way, cluster: Cluster) -> None:
    for index, job in enumerate((STRANGE, "train-exp1", "train-exp10")):
        assert way.submit(GQ_NAME=f"alice-{job}", GQ_NONCE=f"{index:012x}").returncode == 0
    (found,) = way.states("--name", "alice-train-exp1").values()
    assert found[2:] == [f"{1:012x}", "alice-train-exp1"]
    assert [row[3] for row in way.states("--name", f"alice-{STRANGE}").values()] == [f"alice-{STRANGE}"]
    assert len(way.states("--prefix", "alice-train-exp1")) == 2
    assert way.states("--name", "bob-x") == {}


def test_what_others_write_makes_no_line_of_ours(way: Way, cluster: Cluster) -> None:
    way.submit()
    job = cluster.jobs["team", NAME]
    cluster.jobs["team", "forged"] = {
        **job,
        "metadata": {
            **job["metadata"],
            "name": "forged",
            "annotations": {"gpu-queue/name": f'x"\njob\t{NAME}\t-\t-\tComplete-\t0\t"alice-train-exp1'},
        },
    }
    assert list(way.states("--prefix", "")) in ([NAME, "forged"], ["forged", NAME])
    assert way.states(NAME)[NAME][0] == "queued"
    for other in ({}, None, {"other": "1"}):
        job["metadata"]["annotations"] = other
        assert way.states(NAME)[NAME][3] == "", other


def test_cancelling_deletes_the_job_and_one_that_is_gone_is_no_failure(way: Way, cluster: Cluster) -> None:
    way.submit()
    way.ok("cancel", f"{NAME}/6a1b", "nobody")
    assert "deletionTimestamp" in cluster.jobs["team", NAME]["metadata"]
    cluster.refusal = (403, "Forbidden", "cannot delete")
    assert way.call("cancel", NAME).returncode == 1


def test_a_shell_is_opened_in_the_pod_that_was_named(way: Way, cluster: Cluster) -> None:
    way.submit(GQ_NODES="2")
    _, pod = cluster.pods.values()
    pod["status"] = {"phase": "Running", **RUNNING}
    way.call("exec", f"{NAME}/{pod['metadata']['uid']}")
    asked = [query for query in cluster.queries if "/exec" in query]
    assert f"/pods/{pod['metadata']['name']}/exec?command=bash" in asked[0]


@pytest.mark.parametrize("words", [["states", "-A"], ["cancel", "--all"], ["exec", "-it"], ["cancel", "a b"]])
def test_an_id_that_is_none_reaches_no_program(way: Way, words: list[str]) -> None:
    assert "expected what submit printed" in way.refusal(*words)


def test_an_unknown_verb_is_refused(way: Way) -> None:
    assert "no verb" in way.refusal("fly")
