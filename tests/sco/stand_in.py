"""A stand-in for the platform's program ``sco``, as far as ``sco acp jobs`` is known from what its users publish.

Standard library only, and little of it, for it starts many hundred times; ``tests/sco/bin/sco`` on the PATH runs it.
Jobs are JSON files in ``$SCO_STAND_IN``, and the arguments of each call a line of ``calls``.  ``create`` really runs
the command, once for each worker, as a container would: with an environment of its own (``image-env``, lines
``KEY=value``), its own process 1, and all that it started is killed when that has ended.  ``stop`` and ``delete``
send TERM to process 1, and KILL after a grace.  Where ``$SCO_STAND_IN_CONTAINED`` is set, workers have pid namespaces
of their own, as real ones have.

Known: the flags, ``--k=v`` and ``--k v``; the prose of ``create``; a list is a bare array, or the words ``No jobs
found``; pages of 10; the states; 65, 70, ``HTTP 400 wsImmutableJobEnabled``; ``MEMBER_QUOTA_EXCEEDED`` on standard
output; an unknown subcommand shows the menu and ends with 0; document 004 deletes by display name, others by id.
Guessed: the columns of the tables; which of two jobs ``delete`` takes for a display name (the newest); signal and
grace at an end; how an error of the server looks; what ``delete`` and ``stop`` print; a page after the last one.

``$SCO_STAND_IN_MODE``, words: quota quota429 auth refused conflict unreachable (nothing is created, and it is said);
slow broken quiet (created, and not told); lost brokenlost (not created, and not told); hang; old nofilter menu (other
versions); garbled mute wrapped bare notice (how ``list`` and ``describe`` answer); cap samepage (pages); norun (stays
QUEUEING).
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from typing import Any, NoReturn

HOME = os.environ.get("SCO_STAND_IN", "")
MODES = set(os.environ.get("SCO_STAND_IN_MODE", "").split())
TICK_S = 0.05
PR_SET_CHILD_SUBREAPER = 36
WRAPPER = 'Error: component "acp" exited with error'
MENU = "Manage training jobs\n\nUsage:\n  sco acp jobs [command]\n\nAvailable Commands:\n  create\n  delete\n"
TABLE_ROW = "| {} |"
COMMON = {"workspace-name", "profile", "region", "subscription", "resource-group", "format"}
FLAGS = {
    "create": COMMON
    | {"aec2-name", "job-name", "name", "container-image-url", "training-framework", "worker-nodes", "worker-spec"}
    | {"storage-mount", "env", "priority", "quota-type", "retry-times", "command", "az", "vpc-id"}
    | {"wait", "enable-fault-tolerance", "follow", "enable-mpi"},
    "list": COMMON | {"page-size", "page-token", "display-name", "name", "state", "user-id", "user-name"},
    "describe": COMMON,
    "get-workers": COMMON,
    "stream-logs": COMMON | {"worker-name", "follow"},
    "exec": COMMON | {"worker-name"},
    "stop": COMMON,
    "start": COMMON,
    "delete": COMMON,
}
SWITCHES = {"wait", "enable-fault-tolerance", "follow", "enable-mpi"}
SHORT = {"o": "format", "p": "aec2-name", "j": "job-name", "f": "training-framework", "N": "worker-nodes"}
REQUIRED = {"create": ("aec2-name", "job-name", "container-image-url", "training-framework", "worker-spec")}
NAMESPACES = ("unshare", "--fork", "--pid", "--mount-proc", "--kill-child")
DISPLAY_NAME = re.compile(r"[A-Za-z0-9\u4e00-\u9fff][A-Za-z0-9.:_\u4e00-\u9fff-]{0,255}")
Job = dict[str, Any]


def fail(status: int, error: str, said: str = "") -> NoReturn:
    """End as the program does: what the server said on standard output, what went wrong on the other."""
    if said:
        print(said)
    print(error, file=sys.stderr)
    sys.exit(status)


def server_error(code: int, reason: str) -> NoReturn:
    """The reason on standard output, the wrapper's line on the other."""
    fail(70, WRAPPER, f'HTTP {code}: {{"code":{code},"details":[{{"reason":"{reason}"}}]}}')


def hang() -> NoReturn:
    """Until somebody cuts it off."""
    while True:
        time.sleep(60)


# -- jobs


def path_of(name: str, ending: str = "json") -> str:
    """Where something about the job lies."""
    return os.path.join(HOME, "jobs", f"{name}.{ending}")


def put(path: str, text: str) -> None:
    """Make a file appear whole."""
    hidden = f"{path}.{os.urandom(4).hex()}"
    with open(hidden, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(hidden, path)


def read(path: str) -> str:
    """A file's text; empty where there is none."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def jobs() -> list[Job]:
    """All of the workspace, the newest first."""
    found = []
    for entry in os.listdir(os.path.join(HOME, "jobs")):
        if entry.endswith(".json") and (text := read(os.path.join(HOME, "jobs", entry))):
            found.append(json.loads(text))
    shown = [job for job in found if state(job) != "DELETED"]
    return sorted(shown, key=lambda job: (job["create_time"], job["name"]), reverse=True)


def workers(job: Job) -> list[str]:
    """Of each worker: empty (not begun), ``running PID``, or ``ended STATUS``."""
    return [read(path_of(job["name"], f"worker-{rank}")) for rank in range(job["roles"][0]["total_replicas"])]


def state(job: Job) -> str:
    """What the platform says of it now."""
    asked = read(path_of(job["name"], "asked"))
    now = workers(job)
    ended = [one.split()[1] for one in now if one.startswith("ended")]
    fixed = str(job["stand_in"]["state"])
    if fixed:
        return {"stop": "SUSPENDED", "delete": "DELETED"}.get(asked, fixed)
    if any(status != "0" for status in ended) and not asked:
        return "FAILED"
    if len(ended) == len(now):
        return {"stop": "SUSPENDED", "delete": "DELETED"}.get(asked, "SUCCEEDED")
    if asked:
        return {"stop": "SUSPENDING", "delete": "DELETING"}[asked]
    if all(now):
        return "RUNNING"
    waited = (time.time() - job["stand_in"]["began"]) / max(job["stand_in"]["start_s"], 0.001)
    return ("QUEUEING", "CREATING", "STARTING")[min(2, int(waited * 3))]


def shown(job: Job, is_listed: bool) -> Job:
    """A job as JSON has it."""
    told = {key: value for key, value in job.items() if key != "stand_in"} | {"state": state(job)}
    if is_listed and "bare" in MODES:
        del told["roles"]
    return told


def find(word: str, by_display_name: bool = False) -> Job:
    """The job of that name, or an end with 70."""
    for job in jobs():
        if job["name"] == word or (by_display_name and job["display_name"] == word):
            return job
    server_error(404, "trainingJobNotFound")


# -- a worker, as a container


def descendants(pid: int) -> list[int]:
    """All processes below this one."""
    parents: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as file:
                    parents.setdefault(int(file.read().rpartition(")")[2].split()[1]), []).append(int(entry))
            except (OSError, IndexError):
                continue
    found = list(parents.get(pid, ()))
    for child in found:
        found.extend(parents.get(child, ()))
    return found


def end_all() -> None:
    """What the end of a container does to all that runs in it."""
    while below := descendants(os.getpid()):
        for pid in below:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.01)


def inside(job: Job, rank: int) -> dict[str, str]:
    """The environment in a worker: that of its image, and what the platform adds."""
    spec = job["roles"][0]["resource_spec"][0]["name"]
    match = re.fullmatch(r".+?\.(\d+)(\.\d+c\d+g)?", spec)
    gpus = match[1] if match else "1"
    local = os.path.join(HOME, "inside", f"{job['name']}-{rank}")
    os.makedirs(os.path.join(local, "home"), exist_ok=True)
    own = {
        "PATH": os.environ["PATH"],
        "HOME": os.path.join(local, "home"),
        "LC_ALL": "C.UTF-8",
        # The containers of one machine share its devices, its /tmp and its processes here.
        "GPU_QUEUE_SIMULATE": gpus,
        "GPU_QUEUE_LOCAL_DIR": os.path.join(local, "gpu-queue"),
        **({} if job["stand_in"]["is_contained"] else {"GPU_QUEUE_SWEEP": "off"}),
        "RANK": str(rank),
        "WORLD_SIZE": str(job["roles"][0]["total_replicas"]),
        "MASTER_ADDR": f"{job['name']}-worker-0",
        "MASTER_PORT": "23456",
        "SENSECORE_PYTORCH_NNODES": str(job["roles"][0]["total_replicas"]),
        "SENSECORE_PYTORCH_NODE_RANK": str(rank),
        "SENSECORE_ACCELERATE_DEVICE_COUNT": gpus,
    }
    given = (line.partition("=") for line in read(os.path.join(HOME, "image-env")).splitlines())
    return own | {key: value for key, _, value in given} | {one["key"]: one["value"] for one in job["env"]}


def is_over(job: Job) -> bool:
    """Whether the platform wants this job's workers to end: somebody asked, or one of them failed."""
    return bool(read(path_of(job["name"], "asked"))) or any(
        one.startswith("ended") and one != "ended 0" for one in workers(job)
    )


def process_1(outermost: int, is_contained: bool) -> int:
    """The first process in a worker, which alone is told that it is to end."""
    children = read(f"/proc/{outermost}/task/{outermost}/children").split() if is_contained else []
    return int(children[0]) if children else outermost


def hold(job: Job, rank: int) -> None:
    """Be the machine under one worker, until it has ended."""
    import ctypes
    import subprocess

    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    record = path_of(job["name"], f"worker-{rank}")
    while time.time() < job["stand_in"]["began"] + job["stand_in"]["start_s"]:
        if is_over(job):
            put(record, "ended 0")
            return
        time.sleep(TICK_S)
    is_contained = job["stand_in"]["is_contained"]
    with open(path_of(job["name"], f"log-{rank}"), "wb") as log:
        first = subprocess.Popen(
            [*(NAMESPACES if is_contained else ()), "bash", "-c", job["roles"][0]["startup_script"]],
            env=inside(job, rank),
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    put(record, f"running {first.pid}")
    kill_at = 0.0
    while (status := first.poll()) is None:
        if not kill_at and is_over(job):
            os.kill(process_1(first.pid, is_contained), signal.SIGTERM)
            kill_at = time.monotonic() + job["stand_in"]["grace_s"]
        if (kill_at and time.monotonic() > kill_at) or os.path.exists(os.path.join(HOME, "off")):
            first.kill()
        time.sleep(TICK_S)
    end_all()
    put(record, f"ended {status}")


# -- the verbs


def create(flags: dict[str, str]) -> None:
    if not flags.get("command", "sleep inf"):
        fail(65, "Error: startup script is mandatory")
    if not DISPLAY_NAME.fullmatch(flags["job-name"]):
        server_error(400, "tjInvalidDisplayName")
    if "quota" in MODES:
        server_error(409, "MEMBER_QUOTA_EXCEEDED")
    if "quota429" in MODES:
        fail(70, f'Error: HTTP 429: {{"details":[{{"reason":"MEMBER_QUOTA_EXCEEDED"}}]}}\n{WRAPPER}')
    if "refused" in MODES or flags.get("quota-type", "reserved") not in ("reserved", "spot"):
        server_error(400, "tjInvalidQuotaTypeInAec2")
    if "conflict" in MODES:
        server_error(409, "tjConflict")
    if "unreachable" in MODES:
        fail(1, "Error: dial tcp 10.0.0.1:443: connect: connection refused")
    if "lost" in MODES:
        hang()
    if "brokenlost" in MODES:
        server_error(502, f"badGateway: {flags['container-image-url']}")
    name = flags.get("name") or f"pt-{os.urandom(4).hex()}"
    nodes = int(flags.get("worker-nodes", "1"))
    user = os.environ.get("SCO_STAND_IN_USER", "yzy")
    job: Job = {
        "name": name,
        "uid": os.urandom(16).hex(),
        "display_name": flags["job-name"],
        "workspace_name": flags["workspace-name"],
        "ownership": {"user_name": user, "user_id": f"id-of-{user}"},
        "framework": flags["training-framework"].upper(),
        "roles": [
            {
                "name": "Worker",
                "total_replicas": nodes,
                "startup_script": flags.get("command", "sleep inf"),
                "image_path": flags["container-image-url"],
                "resource_spec": [{"name": flags["worker-spec"], "replicas": nodes}],
            }
        ],
        "env": [
            {"key": key, "value": value}
            for key, _, value in (one.partition(":") for one in flags.get("env", "").split(","))
            if key
        ],
        "mount": flags.get("storage-mount", ""),
        "scheduling": {
            "priority": flags.get("priority", "normal").upper(),
            "quota_type": flags.get("quota-type", "reserved").upper(),
        },
        "resource_pool": {"name": flags["aec2-name"]},
        "create_time": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime())}.{time.time_ns() % 10**9:09}Z",
        "stand_in": {
            "began": time.time(),
            "start_s": float(os.environ.get("SCO_STAND_IN_START_S", "0")),
            "grace_s": float(os.environ.get("SCO_STAND_IN_GRACE_S", "30")),
            "state": "QUEUEING" if "norun" in MODES else "",
            "is_contained": bool(os.environ.get("SCO_STAND_IN_CONTAINED")),
        },
    }
    put(path_of(name), json.dumps(job, ensure_ascii=False))
    for rank in range(0 if "norun" in MODES else nodes):
        import subprocess

        subprocess.Popen(
            [sys.executable, "-I", "-S", os.path.abspath(__file__), "--hold", name, str(rank)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    if "slow" in MODES:
        hang()
    if "broken" in MODES:
        server_error(502, f"badGateway: {flags['container-image-url']}")
    print("ok" if "quiet" in MODES else f"job {name} submitted successfully")


def table(*rows: tuple[str, ...]) -> None:
    """Three lines of head, as ``awk 'NR<=3 || …'`` of users has it."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    rule = f"+{'+'.join('-' * (width + 2) for width in widths)}+"
    lines = [
        TABLE_ROW.format(" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))
        for row in rows
    ]
    print("\n".join([rule, lines[0], rule, *lines[1:], rule]))


def answer(value: object) -> None:
    """Print JSON, as whole as the mode says."""
    if "mute" in MODES:
        return
    text = json.dumps(value, ensure_ascii=False, indent=2)
    if "notice" in MODES:
        print("A new version of component acp [2.9.9] is available.")
    print(text[: len(text) // 2] if "garbled" in MODES else text)


def list_jobs(flags: dict[str, str]) -> None:
    found = [
        job
        for job in jobs()
        if job["display_name"].startswith(flags.get("display-name", ""))
        and job["name"].startswith(flags.get("name", ""))
        and flags.get("state", state(job)) == state(job)
    ]
    size = int(flags.get("page-size", "10"))
    size = min(size, 10) if "cap" in MODES else size
    page = 1 if "samepage" in MODES else int(flags.get("page-token", "1"))
    found = found[(page - 1) * size : page * size]
    if not found:
        print("No jobs found")
    elif flags.get("format", "table") == "json":
        rows = [shown(job, is_listed=True) for job in found]
        answer({"training_jobs": rows} if "wrapped" in MODES else rows)
    else:
        head = ("NAME", "DISPLAY NAME", "STATE", "USER", "WORKERS", "CREATE TIME")
        table(
            head,
            *(
                (
                    job["name"],
                    job["display_name"],
                    state(job),
                    job["ownership"]["user_name"],
                    str(job["roles"][0]["total_replicas"]),
                    job["create_time"][:19],
                )
                for job in found
            ),
        )


def get_workers(job: Job) -> None:
    phases = {"": "Pending", "running": "Running", "ended": "Succeeded"}
    rows = [
        (f"{job['name']}-worker-{rank}", phases[one.partition(" ")[0]], f"10.0.0.{rank + 1}")
        for rank, one in enumerate(workers(job))
    ]
    table(("NAME", "PHASE", "POD IP"), *rows)


def execute(job: Job, worker: str) -> None:
    match = re.fullmatch(rf"{job['name']}-worker-(\d+)", worker)
    if not match or not workers(job)[int(match[1])].startswith("running"):
        server_error(404, "workerNotFound")
    words = ["bash"]
    if job["stand_in"]["is_contained"]:
        outermost = int(workers(job)[int(match[1])].split()[1])
        words = ["nsenter", "-t", str(process_1(outermost, is_contained=True)), "-p", "-m", *words]
    os.execvpe(words[0], words, inside(job, int(match[1])))


def parse(verb: str, words: list[str]) -> tuple[dict[str, str], list[str]]:
    """Flags and names, as pflag reads them."""
    known = set(FLAGS[verb])
    if "old" in MODES:
        known -= {"wait", "quota-type"}
    if "nofilter" in MODES and verb == "list":
        known -= {"display-name", "name", "state", "user-name"}
    flags: dict[str, str] = {}
    names = []
    left = list(words)
    while left:
        word = left.pop(0)
        if not word.startswith("-"):
            names.append(word)
            continue
        key, has_value, value = word.lstrip("-").partition("=")
        key = key if word.startswith("--") else SHORT.get(key, key)
        if key not in known:
            fail(1, f"Error: unknown flag: {word.partition('=')[0]}\n{WRAPPER}")
        if key in SWITCHES:
            flags[key] = value or "true"
        elif has_value:
            flags[key] = value
        elif left:
            flags[key] = left.pop(0)
        else:
            fail(1, f"Error: flag needs an argument: {word}\n{WRAPPER}")
    missing = [key for key in ("workspace-name", *REQUIRED.get(verb, ())) if not flags.get(key)]
    if missing:
        told = ", ".join(f'"{key}"' for key in missing)
        fail(1, f"Error: required flag(s) {told} not set\n{WRAPPER}")
    return flags, names


def main(words: list[str]) -> None:
    os.makedirs(os.path.join(HOME, "jobs"), exist_ok=True)
    if words[:1] == ["--hold"]:
        hold(json.loads(read(path_of(words[1]))), int(words[2]))
        return
    with open(os.path.join(HOME, "calls"), "a", encoding="utf-8") as calls:
        calls.write(json.dumps(words, ensure_ascii=False) + "\n")
    verb = words[2] if words[:2] == ["acp", "jobs"] and len(words) > 2 else ""
    if verb not in FLAGS or "menu" in MODES:
        print(MENU, end="")
        return
    flags, names = parse(verb, words[3:])
    if "hang" in MODES:
        hang()
    if "auth" in MODES:
        server_error(401, "unauthorized")
    if verb == "create":
        create(flags)
    elif verb == "list":
        list_jobs(flags)
    elif not names:
        fail(1, f"Error: requires at least 1 arg(s), only received 0\n{WRAPPER}")
    elif verb == "describe":
        answer(shown(find(names[0]), is_listed=False))
    elif verb == "get-workers":
        get_workers(find(names[0]))
    elif verb == "stream-logs":
        for rank in range(find(names[0])["roles"][0]["total_replicas"]):
            print(read(path_of(names[0], f"log-{rank}")), end="")
    elif verb == "exec":
        execute(find(names[0]), flags.get("worker-name", ""))
    elif verb == "start":
        find(names[0])
        server_error(400, "wsImmutableJobEnabled")
    else:
        for job in [find(name, by_display_name=verb == "delete") for name in names]:
            put(path_of(job["name"], "asked"), verb)
            print(f"job {job['name']} {verb} requested")


if __name__ == "__main__":
    main(sys.argv[1:])
