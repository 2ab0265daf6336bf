"""The canary of the whole run: names, paths, pages and settings of the tests say ``touch pwned`` in many ways."""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# What is collected stays: it is not looked through for garbage, neither while it grows nor later.
gc.disable()

# How long inputs take to be made says how busy the machine is, and on a fresh clone that tables are made first.
# With `make test ALL=1` twice as many are tried.
settings.register_profile(
    "ours",
    deadline=None,
    max_examples=100 if "GPU_QUEUE_TEST_ALL" in os.environ else 50,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("ours")


# An agent's start takes twice the time where the package is compiled anew, and so does the collecting of the tests.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


def _real_python(name: str = "python3") -> str | None:
    """The first on the PATH that is no script; the client, ways and scripts of the tests start some thousands."""
    for directory in os.get_exec_path():
        path = os.path.join(directory, name)
        with contextlib.suppress(OSError), open(path, "rb") as file:
            asked = [path, "-c", "import sys; sys.exit(sys.version_info < (3, 10))"]
            if file.read(4) == b"\x7fELF" and not subprocess.run(asked, check=False).returncode:
                return path
    return None


# The shims of a version manager take five times as long as the Python that they find.
if "PYTEST_XDIST_WORKER" not in os.environ and (_python := _real_python()):
    _programs = tempfile.mkdtemp(prefix="gpu-queue-tests-")
    atexit.register(shutil.rmtree, _programs)
    for _name in ("python3", "python"):
        os.symlink(_python, os.path.join(_programs, _name))
    os.environ["PATH"] = os.pathsep.join((_programs, os.environ["PATH"]))

# Whoever starts the tests in a script's background has them ignored, and no shell that a test starts could undo that.
for _number, _default in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGQUIT, signal.SIG_DFL),
    (signal.SIGHUP, signal.SIG_DFL),  # by nohup
):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _default)

MOSTLY_WAIT = ("agent", "attack", "bench", "faults", "samples")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Of a fresh clone each process compiles a part of the tests, and finds the others in Python's cache."""
    config, number = session.config, os.environ.get("PYTEST_XDIST_WORKER", "")[2:]
    if number and config.args_source is config.ArgsSource.TESTPATHS:
        tests = Path(__file__).parent
        for path in sorted(tests.glob("*/test_*.py"))[int(number) :: int(os.environ["PYTEST_XDIST_WORKER_COUNT"])]:
            with contextlib.suppress(Exception, pytest.skip.Exception):  # the collecting tells
                importlib.import_module(f"{tests.name}.{path.parent.name}.{path.stem}")


def is_left_out_of_zsh(item: pytest.Item, seen: set[str]) -> bool:
    """Of each test one case is tried in zsh as well; all where marked ``zsh``, else none where marked ``bash``."""
    parameters = getattr(item, "callspec", None)
    if parameters is None or "zsh" not in parameters.params.values() or item.get_closest_marker("zsh"):
        return False
    test = item.nodeid.partition("[")[0]
    is_left_out = test in seen or item.get_closest_marker("bash") is not None
    seen.add(test)
    return is_left_out


@pytest.hookimpl(tryfirst=True, specname="pytest_collection_modifyitems")
def pytest_not_everything_in_each_shell(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Who names tests or shells gets them, and ``make test ALL=1`` gets all."""
    is_named = any("::" in argument for argument in config.args)
    if is_named or "GPU_QUEUE_TEST_ALL" in os.environ or "GPU_QUEUE_TEST_SHELLS" in os.environ:
        return
    seen: set[str] = set()
    left_out = {item for item in items if is_left_out_of_zsh(item, seen)}
    config.hook.pytest_deselected(items=list(left_out))
    items[:] = [item for item in items if item not in left_out]


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What mostly waits begins first: the others fill the time, and at the end no core waits for one long test.

    Before that come those with a browser, so that one process has them all and starts one.
    """
    items.sort(key=lambda item: (item.path.parent.name != "browser", item.path.parent.name not in MOSTLY_WAIT))


def _umask() -> int:
    umask = os.umask(0o022)
    os.umask(umask)
    return umask


@pytest.fixture(autouse=True)
def the_process_is_left_as_it_was() -> Iterator[None]:
    """A test that leaves its process with another umask or elsewhere fails itself, not some later one by chance."""
    before = _umask(), os.getcwd(), os.geteuid()
    yield
    after = _umask(), os.getcwd(), os.geteuid()
    os.umask(before[0])
    os.chdir(before[1])
    assert after == before, "umask, working directory, user"


CANARY = "pwned"
PLACES = {
    os.getcwd(),
    str(Path(__file__).resolve().parents[1]),
    os.path.expanduser("~"),
    "/",  # where agents are
    "/tmp",
    tempfile.gettempdir(),
}
"""Where a program that a test starts, or the tests themselves, may be when they are made to run a word."""
_told: set[tuple[str, int, int]] = set()


def _new_ones(paths: Iterable[str]) -> list[str]:
    """Canaries that nobody told of: what one test leaves in a common place fails one test, not all that follow."""
    found = []
    for path in paths:
        try:
            facts = os.lstat(path)
        except OSError:
            continue
        one = (path, facts.st_ino, facts.st_ctime_ns)
        if one not in _told:
            _told.add(one)
            found.append(path)
    return found


def _below(base: str) -> Iterator[str]:
    for directory, _, files in os.walk(base):
        if CANARY in files:
            yield f"{directory}/{CANARY}"


@pytest.fixture(autouse=True)
def no_word_was_run(request: pytest.FixtureRequest) -> Iterator[None]:
    """No test ends with a file ``pwned`` in any place that it could have been made in.

    A test's home, its spool and its queue root lie below ``tmp_path``; this is set up first, and so looks when all
    that the test started has ended.
    """
    base = str(request.getfixturevalue("tmp_path")) if "tmp_path" in request.fixturenames else None
    yield
    found = _new_ones([*(f"{place}/{CANARY}" for place in sorted(PLACES)), *(_below(base) if base else ())])
    assert not found, f"a word that was only to be read was run: it made {', '.join(found)} (remove it)"


@pytest.fixture(scope="session", autouse=True)
def no_word_was_run_in_what_tests_share(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The same for the directories of several tests, or of several examples of one."""
    yield
    found = _new_ones(_below(str(tmp_path_factory.getbasetemp())))
    assert not found, f"a word that was only to be read was run: it made {', '.join(found)}"
