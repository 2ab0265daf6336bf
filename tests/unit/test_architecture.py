"""The rooms of the package, as its imports draw them: arrows point one way, one room does each dangerous thing."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "gpu_queue"
MODULES = sorted(".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts) for path in PACKAGE.rglob("*.py"))

NOUNS = {
    *(
        "again",
        "allocations",
        "errors",
        "kept",
        "notices",
        "phrases",
        "reasons",
        "sayings",
        "signals",
        "states",
        "task",
    ),
    *("texts", "units", "words"),
}
MAY_IMPORT: dict[str, set[str]] = {
    "allocations": {"texts"},
    "reasons": set(),
    "shell": set(),
    "code": {"errors", "phrases", "reasons", "sayings", "texts", "units"},
    "states": set(),
    "task": {"code.noun", "reasons", "signals"},
    "again": {"task", "units"},
    "signals": {"texts", "errors"},
    "errors": set(),
    "texts": set(),
    "units": {"errors", "texts"},
    "phrases": {"texts", "units"},
    "sayings": {"phrases", "reasons"},
    "words": {"shell", "task", "reasons", "states", "units"},
    "kept": set(),
    "notices": {"errors", "texts"},
    "locks": set(),
    "pids": set(),
    "processes": {"texts", "errors", "pids", "conf", "config", "spool"},
    "band": set(),
    "hours": {"texts"},
    "sharing": set(),
    "conf": {"texts"},
    "config": {"texts", "errors", "units", "band", "hours", "conf", "notices", "sharing"},
    "policy": {"errors", "config", "spool"},
    "scripts": {"task", "signals", "units", "texts", "errors", "notices"},
    "spool": {*NOUNS, "code", "conf", "scripts", "shell", "pids"},
    "node": {
        "again",
        "notices",
        "texts",
        "pids",
        "task",
        "units",
        "errors",
        "reasons",
        "states",
        "config",
        "spool",
        "policy",
        "scripts",
        "sharing",
    },
    "scheduling": {"task", "again", "kept", "units", "reasons", "states", "sharing"},
    "gpus": {"task", "units", "errors", "locks"},
    "execution": {"allocations", "code", "task", "units", "errors", "gpus", "locks"},
    "keepalive": {"texts", "task", "units", "errors", "gpus", "locks", "band"},
    "integrations": {*NOUNS, "spool"},
    "experiments": {*NOUNS, "conf", "config", "locks", "pids", "policy", "scripts", "shell", "spool"},
    "console": {*NOUNS, "conf", "pids", "config", "locks", "policy", "scripts", "shell", "spool", "experiments"},
    "notify": {*NOUNS, "conf", "spool"},
    "agent": {
        *NOUNS,
        "code.noun",
        "notify",
        "band",
        "hours",
        "sharing",
        "conf",
        "pids",
        "config",
        "policy",
        "scripts",
        "spool",
        "node",
        "scheduling",
        "shell",
        "gpus",
        "execution",
        "keepalive",
    },
    "cli": {*NOUNS, "notify", "config", "shell", "spool", "experiments", "console"},
}
"""A room's own modules are always allowed."""

LINES_MAX = 450

IMPURE = {"os", "time", "subprocess", "random", "secrets", "threading", "datetime", "socket", "pathlib", "shutil"}
RENAMES = {"spool.store", "spool.files", "spool.filesystem", "spool.events", "spool.handwritten", "spool.desk.links"}
"""The last one renames what people have outside the spool: links to their logs."""
FORKS = {
    "code.git",
    "console.background",
    "console.jobfiles.starting",
    "experiments.running.agents",
    "execution.background",
    "execution.pump",
    "execution.launcher",
    "notify.children",
    "keepalive.zygote",
}
OWN_PROGRAMS = {"execution.scontrol", "execution.srun.__main__", "execution.srun.ranks"}
"""A task's own: nothing of the agent imports them."""
BUILDS = {"console.web.build"}
"""Programs of the sources: no part of what is installed."""
FORKING = {
    ("os", name)
    for name in ("fork", "forkpty", "posix_spawn", "posix_spawnp", "system", "popen", "execv", "execve", "execvp")
} | {("subprocess", name) for name in ("run", "Popen", "call", "check_call", "check_output", "getoutput")}


@functools.cache
def tree(module: str) -> ast.Module:
    path = PACKAGE.parent.joinpath(*module.split(".")).with_suffix(".py")
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@functools.cache
def imports(module: str) -> set[str]:
    """The full names of what a module imports; of ours down to the module."""
    found = set()
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: a relative import hides the arrow"
            assert node.module is not None
            below = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name for name in below if name in MODULES} or {node.module}
    return found


def strings(module: str) -> set[str]:
    return {
        node.value for node in ast.walk(tree(module)) if isinstance(node, ast.Constant) and type(node.value) is str
    }


def room_of(module: str) -> str:
    return module.split(".")[1]


@functools.cache
def calls(module: str) -> set[tuple[str, str]]:
    """Calls of the form ``module.function(...)``, and names that were imported by themselves."""
    found = set()
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found.add((node.value.id, node.attr))
        elif isinstance(node, ast.ImportFrom) and node.module in ("os", "subprocess", "shutil"):
            found |= {(node.module, alias.name) for alias in node.names}
    return found


def with_room(room: str) -> list[str]:
    return [module for module in MODULES if module.startswith(f"gpu_queue.{room}.") or module == f"gpu_queue.{room}"]


OURS = [module for module in MODULES if module.count(".") > 0 and not module.endswith("__init__")]


@pytest.mark.parametrize("module", OURS)
def test_imports_point_one_way(module: str) -> None:
    room = room_of(module)
    assert room in MAY_IMPORT, f"{room}: a new room; say in this test what it may import"
    for name in imports(module):
        if not name.startswith("gpu_queue."):
            continue
        target = name.removeprefix("gpu_queue.")
        allowed = MAY_IMPORT[room]
        is_fine = target.split(".")[0] in {room, *allowed} or target in allowed
        assert is_fine, f"{module} imports {name}: a wrong arrow"


def test_the_protocol_knows_neither_desk_nor_snapshot_and_these_not_each_other() -> None:
    doors = {"gpu_queue.spool.desk", "gpu_queue.spool.snapshot"}
    for module in with_room("spool"):
        own = ".".join(module.split(".")[:3])
        if module not in ("gpu_queue.spool.spool", "gpu_queue.spool.sights"):
            found = {".".join(name.split(".")[:3]) for name in imports(module)} & doors - {own}
            assert not found, f"{module} imports {', '.join(found)}: a wrong arrow"


def test_no_class_is_a_named_tuple_and_something_else() -> None:
    """Python 3.10 refuses it when the module is imported."""
    for module in MODULES:
        for node in ast.walk(tree(module)):
            bases = [ast.unparse(base) for base in node.bases] if isinstance(node, ast.ClassDef) else []
            assert "NamedTuple" not in bases or len(bases) == 1, f"{module}: {bases}"


def test_no_room_is_longer_than_a_person_reads_at_once() -> None:
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in PACKAGE.rglob("*.py")}
    too_long = [f"{path.relative_to(PACKAGE)}: {count} lines" for path, count in lines.items() if count > LINES_MAX]
    assert not too_long, f"more than {LINES_MAX} lines; which noun wants a room of its own? {', '.join(too_long)}"


def test_nothing_but_the_agent_imports_the_agent() -> None:
    users = {module for module in OURS if any(name.startswith("gpu_queue.agent") for name in imports(module))}
    assert {room_of(module) for module in users} <= {"agent"}


def test_no_module_imports_itself_in_a_circle() -> None:
    graph = {module: {name for name in imports(module) if name in OURS} for module in OURS}
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, f"a circle: {' -> '.join((*path, module))}"
        if module not in done:
            for name in graph[module]:
                visit(name, (*path, module))
            done.add(module)

    for module in OURS:
        visit(module, ())


@pytest.mark.parametrize(
    "module", [*with_room("scheduling"), *(f"gpu_queue.{noun}" for noun in sorted(NOUNS - {"units"}))]
)
def test_what_decides_knows_no_clock_no_chance_and_no_disk(module: str) -> None:
    assert not {name.split(".")[0] for name in imports(module)} & IMPURE


@pytest.mark.parametrize(
    "module",
    [
        "gpu_queue.agent.agenda",
        "gpu_queue.agent.spoken",
        "gpu_queue.execution.allocation",
        "gpu_queue.agent.life",
        "gpu_queue.agent.stages",
        "gpu_queue.node.drops",
        *(module for module in with_room("scripts") if module != "gpu_queue.scripts.say"),
        "gpu_queue.spool.snapshot.places",
        "gpu_queue.spool.snapshot.settled",
        "gpu_queue.spool.snapshot.view",
        "gpu_queue.spool.snapshot.waiting",
        "gpu_queue.experiments.commandfiles.blocks",
        "gpu_queue.experiments.commandfiles.numbers",
        "gpu_queue.experiments.commandfiles.commands",
        "gpu_queue.experiments.commandfiles.triples",
        "gpu_queue.experiments.commandfiles.placeholders",
        "gpu_queue.experiments.commandfiles.comparing",
        "gpu_queue.experiments.running.vigil",
        *(module for module in with_room("experiments.specs") if not module.endswith((".specs", ".reading"))),
        "gpu_queue.experiments.reporting.facts",
        "gpu_queue.experiments.reporting.clocks",
        "gpu_queue.experiments.reporting.figures",
        "gpu_queue.experiments.reporting.whole",
        "gpu_queue.experiments.reporting.tables",
        "gpu_queue.experiments.reporting.exports",
        "gpu_queue.notify.telling",
        "gpu_queue.spool.noticenames",
        "gpu_queue.gpus.asking",
        "gpu_queue.gpus.visible",
        "gpu_queue.keepalive.pace",
    ],
)
def test_what_calls_itself_pure_is_pure(module: str) -> None:
    assert not {name.split(".")[0] for name in imports(module)} & IMPURE


@pytest.mark.parametrize(
    "name",
    [
        "band",
        "hours",
        "sharing",
        "keepalive.sizes",
        "keepalive.controller",
        "keepalive.tenant",
        "keepalive.falls",
        "keepalive.idleness",
        "keepalive.facts",
        "keepalive.keeper",
        "keepalive.occupancy",
        "keepalive.ledger",
    ],
)
def test_what_the_filler_is_judged_by_is_pure(name: str) -> None:
    module = f"gpu_queue.{name}"
    assert not {name.split(".")[0] for name in imports(module)} & (IMPURE - {"datetime"} | {"torch"})
    reads_a_clock = {("datetime", "now"), ("datetime", "today"), ("datetime", "utcnow"), ("date", "today")}
    assert not calls(module) & reads_a_clock, f"{module}: the moment is an argument"


def test_only_the_store_and_the_writer_of_files_rename_in_a_spool() -> None:
    renaming = {("os", "rename"), ("os", "replace"), ("os", "renames"), ("shutil", "move"), ("os", "link")}
    found = {module.removeprefix("gpu_queue.") for module in with_room("spool") if calls(module) & renaming}
    assert found == RENAMES
    copying = {("shutil", "move"), ("os", "replace"), ("shutil", "copy"), ("shutil", "copyfile")}
    assert not [module for module in OURS if calls(module) & copying]


@pytest.mark.parametrize("room", ["node", "agent", "scheduling", "gpus", "config"])
def test_nobody_else_renames_what_lies_in_a_spool(room: str) -> None:
    found = {module for module in with_room(room) if ("os", "rename") in calls(module)}
    assert found <= {"gpu_queue.gpus.leases", "gpu_queue.agent.speaker"}  # the node's own disk; the agent's own log


def test_only_the_launcher_the_zygote_and_what_runs_in_the_background_start_processes() -> None:
    # The installed command starts none either: `gpu-queue agent` becomes the agent.
    found = {module.removeprefix("gpu_queue.") for module in OURS if calls(module) & FORKING}
    assert found == FORKS | OWN_PROGRAMS | BUILDS | {"cli"}


def test_what_a_task_calls_by_name_is_no_part_of_the_agent() -> None:
    programs = {f"gpu_queue.{name}" for name in OWN_PROGRAMS} | set(with_room("execution.srun"))
    users = {module for module in OURS if imports(module) & programs}
    assert users <= programs
    needed = {name for module in with_room("execution.srun") for name in imports(module) if name in MODULES}
    assert needed <= programs | {"gpu_queue.execution.bynode"}  # a notation, which both must have


def test_the_fast_part_of_the_agent_imports_nothing_heavy() -> None:
    heavy = {"torch", "numpy", "fastapi", "requests"}
    for module in OURS:
        if room_of(module) not in ("console", "experiments") and module != "gpu_queue.keepalive.engines":
            assert not {name.split(".")[0] for name in imports(module)} & heavy, module


def test_each_library_stands_where_it_was_chosen_and_nowhere_else() -> None:
    # Decisions 0009, 0010, 0016.  What holds a lock that is handed on, looks at the processes of tries or runs by
    # whatever Python has torch does without; and so does all that a shell or a script of a person imports.
    places = {
        "filelock": {"gpus.leases", "execution.local"},
        "watchdog": {"node.hints"},
        "psutil": {"execution.sweep"},
        "rich": {"experiments.progress.painting"},
        "cloudpickle": {"spool.calls", "spool.desk.functions", "integrations.call"},
        "submitit": {"integrations.submitit_plugin", "integrations.submitit_run"},
        "apprise": {"notify.deliver"},
    }
    found = {
        library: {
            module.removeprefix("gpu_queue.")
            for module in OURS
            if library in {name.split(".")[0] for name in imports(module)}
        }
        for library in places
    }
    assert found == places


def test_what_the_console_is_served_with_stands_in_its_room_alone() -> None:
    libraries = {"fastapi", "prometheus_client", "pydantic", "starlette", "uvicorn"}
    users = {module for module in OURS if {name.split(".")[0] for name in imports(module)} & libraries}
    assert {room_of(module) for module in users} == {"console"}


def test_the_commands_flags_are_known_without_what_the_console_is_served_with() -> None:
    loaded = "import sys; import gpu_queue.console.main; print(*sorted(sys.modules))"
    named = subprocess.run(
        [sys.executable, "-c", loaded], cwd=PACKAGE.parent, capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"fastapi", "pydantic", "starlette", "uvicorn"} & set(named)


def test_what_runs_by_the_python_that_has_torch_needs_nothing_else_of_it() -> None:
    needed = {name for name in imports("gpu_queue.keepalive.engines") if name in MODULES}
    lines = "; ".join(f"import {name}" for name in sorted(needed | {"gpu_queue.keepalive.zygote"}))
    bare = [sys.executable, "-S", "-c", lines]  # without what is installed
    done = subprocess.run(bare, cwd=PACKAGE.parent, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_only_the_engines_import_torch_and_nobody_imports_the_engines() -> None:
    # The zygote does, by name and after it has taken care of what a missing torch looks like.
    assert [module for module in OURS if "torch" in imports(module)] == ["gpu_queue.keepalive.engines"]
    assert not [module for module in OURS if "gpu_queue.keepalive.engines" in imports(module)]
    naming = {module for module in OURS if "gpu_queue.keepalive.engines" in strings(module)}
    assert naming == {"gpu_queue.keepalive.zygote"}
