"""From a command line to a running agent: what stands before the loop, and may refuse to begin it."""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections.abc import Callable, Mapping

from gpu_queue import __version__
from gpu_queue.agent.agent import Agent
from gpu_queue.agent.allotted import allocation_of, host_in
from gpu_queue.agent.announcing import (
    allocation_lines,
    announce,
    cards_line,
    keepalive_text,
    lifetime_text,
    ready_line,
    torch_version,
)
from gpu_queue.agent.lookout import look
from gpu_queue.agent.loop import run
from gpu_queue.agent.speaker import Speaker, fit, reddened
from gpu_queue.agent.surroundings import Surroundings
from gpu_queue.agent.tenants import UNSEEN
from gpu_queue.conf import Said, read_conf
from gpu_queue.config import TABLE, UNASKED, Config, Elsewhere, Settings, examine, parser, queue_root, unknown_in_conf
from gpu_queue.errors import AlreadyServed, DeviceError, GpuQueueError, SettingsError, SpoolError
from gpu_queue.execution import found
from gpu_queue.execution.launcher import start_companion, with_death_signal
from gpu_queue.execution.local import NodeDirectory
from gpu_queue.gpus.devices import Devices, Gpu, Readings, select_gpus
from gpu_queue.gpus.leases import Leases
from gpu_queue.gpus.nvml import NvmlDevices
from gpu_queue.gpus.processes import processes_of
from gpu_queue.gpus.reader import Reader
from gpu_queue.gpus.simulated import STATE_FILE_VARIABLE, SimulatedDevices
from gpu_queue.keepalive.preflight import mps_pipe
from gpu_queue.keepalive.supervisor import Host
from gpu_queue.node.hints import Hints
from gpu_queue.node.side import NodeSide, node_name, own_name
from gpu_queue.node.storage import Errand, Failed, StorageThread
from gpu_queue.policy import believed, read_config
from gpu_queue.scheduling.tenancy import competing
from gpu_queue.sharing import Mode
from gpu_queue.spool import filesystem, trust
from gpu_queue.spool.paths import STATE_DIRECTORIES, SpoolPaths
from gpu_queue.states import EXIT_SERVED
from gpu_queue.task import State
from gpu_queue.texts import printable

GOODBYE_S = 5.0
PLANT_VARIABLE = "GPU_QUEUE_SIMULATE_PLANT"
"""Where the engine `cpu` notes its load when the GPUs come from a driver, which can only be a stand-in for one."""
PACKAGE_PARENT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NO_CONSTANTS: Mapping[str, object] = {}
EXIT_REFUSED = 1
EXIT_FORCED = 111
"""It had to leave before the storage answered: its last moves are left to its successor."""


def devices_for(
    settings: Settings, environment: Mapping[str, str], plant: str = ""
) -> SimulatedDevices | NvmlDevices:
    """The device layer that was asked for; never the simulated one silently.

    Args:
        settings: ``simulate`` decides.
        environment: the agent's.
        plant: where simulated load is noted.

    Raises:
        SettingsError: ``--simulate`` cannot be understood.
    """
    if settings.simulate:
        state_file = environment.get(STATE_FILE_VARIABLE)
        return SimulatedDevices.parse(settings.simulate, state_file, plant=plant)
    return NvmlDevices()


def _readings_for(settings: Settings, environment: Mapping[str, str], plant: str) -> Readings:
    """The devices for a thread that must never wait for a driver; their first reading is there.

    Raises:
        DeviceError: they cannot be read.
        SettingsError: ``--simulate`` cannot be understood.
    """
    devices = devices_for(settings, environment, plant)
    if isinstance(devices, SimulatedDevices):
        return devices
    reader = Reader(devices)
    reader.begin(lambda text: print(f"[WARN] {fit(text)}", flush=True))  # noqa: T201
    return reader


def _paths(settings: Settings, environment: Mapping[str, str]) -> SpoolPaths:
    if not settings.job_id:
        raise SettingsError("no spool was named: pass --job-id ID or export JOB_ID=ID")
    # The real path: claims are found by it in processes' environments, whichever way a spool was named.
    return SpoolPaths(os.path.realpath(os.path.join(queue_root(settings, environment), settings.job_id)))


def _served(devices: Devices, settings: Settings, environment: Mapping[str, str]) -> tuple[Gpu, ...]:
    granted = None if settings.simulate else environment.get("CUDA_VISIBLE_DEVICES")
    return select_gpus(devices.snapshot(), settings.gpus, granted)


def _keepalive_host(
    settings: Settings,
    environment: Mapping[str, str],
    devices: Devices,
    node_directory: NodeDirectory,
    leases: Leases,
    say: Callable[[str], None],
) -> Host:
    """What the keep-alive is lent: the start of its process, its place on a GPU, the engine that fits the devices."""
    python = settings.keepalive.python or sys.executable
    kept = {name: value for name, value in environment.items() if name != "CUDA_VISIBLE_DEVICES"}
    kept["PYTHONPATH"] = os.pathsep.join(filter(None, [PACKAGE_PARENT, environment.get("PYTHONPATH", "")]))
    is_simulated = devices.kind == "simulated"
    plant = node_directory.plant if is_simulated else environment.get(PLANT_VARIABLE, "")
    return Host(
        start_zygote=lambda descriptor: start_companion(
            [python, "-m", "gpu_queue.keepalive.zygote", "--fd"], kept, descriptor
        ),
        leases=leases,
        say=say,
        engine=lambda wanted: "cpu" if is_simulated else wanted,
        plant=plant,
        find_mps=lambda: "" if is_simulated else mps_pipe(environment),
    )


def _enter_spool(paths: SpoolPaths, settings: Settings) -> tuple[filesystem.Mount, str]:
    """Make or check the spool.

    Returns:
        What it lies on, and what people should know about it, if anything.

    Raises:
        SpoolError: it must not or cannot be served.
    """
    trust.check_root(paths, settings.allow_root_for)
    previous = os.umask(0o077)
    try:
        filesystem.make_spool(paths, settings.allow_root_for)
    finally:
        os.umask(previous)
    trust.check_trust(paths, settings.allow_group, settings.allow_root_for)
    filesystem.check_one_filesystem(paths)
    why_open = trust.guard_shared(paths) if settings.allow_group else ""
    warning = f"whoever may write here may also run others' scripts again, and name what they are to do: {why_open}"
    return filesystem.mount_of(paths.root), warning if why_open else ""


def serve(
    settings: Settings,
    flags: Mapping[str, object],
    environment: Mapping[str, str],
    config: Config,
    elsewhere: Elsewhere,
    note: str = "",
) -> int:
    """Run an agent to its end, whose settings have led to a ``note``; returns the exit status.

    Raises:
        GpuQueueError: it cannot begin; the message says why and what to do.
    """
    paths = _paths(settings, environment)
    node_directory = NodeDirectory.open(settings.local_dir or None)
    devices = _readings_for(settings, environment, node_directory.plant)
    served = _served(devices, settings, environment)
    mount, warning = _enter_spool(paths, settings)
    allocation = allocation_of(environment, time.time())
    node = node_name(settings.node_name or host_in(own_name(), allocation), node_directory.identity)
    trusted = trust.trusted_uids(paths, settings.allow_root_for)
    spool_identity = trust.identify(paths, trusted, node_directory.remembered)
    try:
        home = node_directory.agent(spool_identity, node)
        is_first = home.lock(paths.root)
        node_directory.install_shim()
        leases = Leases(node_directory.root)
        restored = found.restore(node_directory, leases, devices.snapshot()) if is_first else []
    except OSError as error:
        raise SettingsError(
            f"{node_directory.root}: the node's own directory cannot be written ({error.strerror}); "
            "make room, or give another --local-dir"
        ) from error
    if not is_first:
        pid, path = home.holder()
        other = f", which it reaches as {printable(path)}" if path not in ("", paths.root) else ""
        raise AlreadyServed(
            f"an agent already serves {paths.root} on this node ({node}, process {pid or 'unknown'}){other}; "
            "end it by gpu_shutdown, or serve another JOB_ID"
        )
    umask = os.umask(0o077)
    os.chdir("/")  # so that what it starts needs no shared storage to be where it is
    with_death_signal([])  # looks for a program once, now that nothing runs yet
    speaker = Speaker()
    incarnation = secrets.token_hex(6)
    spool = NodeSide(paths, node, incarnation, settings, mount)
    storage = StorageThread()
    hints = Hints(storage.wake)
    devices.wake_by(storage.wake)
    around = Surroundings(
        spool=spool,
        storage=storage,
        home=home,
        node_directory=node_directory,
        leases=leases,
        keepalive=_keepalive_host(settings, environment, devices, node_directory, leases, speaker.say),
        devices=devices,
        gpu_uuids=frozenset(gpu.uuid for gpu in served),
        job_id=settings.job_id,
        queue_root=queue_root(settings, environment),
        incarnation=incarnation,
        environment=environment,
        allocation=allocation,
        umask=umask,
        flags=flags,
        config=config,
        elsewhere=elsewhere,
        say=speaker.say,
        wake=storage.wake,
        watch_ends=lambda directories: hints.add_moves(directories, spool.is_awaited),
    )
    announce(speaker, settings, around, served)
    if note:
        speaker.plain(f"Settings: {note}")
    if warning:
        speaker.plain(f"Warning: {warning}")
    if restored:
        speaker.say(f"{len(restored)} tries that run here had lost their locks: somebody has removed them")
    try:
        try:
            spool.enter()
        except OSError as error:
            raise SpoolError(f"{paths.running(node)}: cannot be made: {error.strerror}") from error
        seen = spool.kept.seen_before()
        agent = Agent(around, settings, time.monotonic(), seen, spool.kept.ledger_before())
        # Whoever was told that it runs must find it: gpu_status, gpu_shutdown and gpu_submit look at its page.
        ready = ready_line(settings, around)
        agent.beat.when_written = lambda: speaker.plain(*ready)

        hints.add([leases.directory])

        def watching(result: str | Failed) -> None:
            if result:
                speaker.say(str(result))

        spool.watch = hints.add
        directories = [paths.directory(State.PENDING), paths.control]
        watch: Errand[str] = Errand(storage, "watch", speaker.say)
        watch.send(lambda: hints.add(directories) or hints.add([paths.root], removals=True), watching)
        try:
            run(agent, storage, hints)
        finally:
            agent.fillers.close()
            agent.renewing.close()
            agent.watching.close()
        return _leave(agent, storage, speaker)
    finally:
        devices.close()
        speaker.close()


def _leave(agent: Agent, storage: StorageThread, speaker: Speaker) -> int:
    if agent.place.is_lost:
        return EXIT_REFUSED  # the node's pages are the other's
    agent.say_goodbye(time.monotonic())
    deadline = time.monotonic() + GOODBYE_S
    while storage.outstanding() and time.monotonic() < deadline:
        storage.deliver()
        time.sleep(0.005)
    if storage.outstanding() or agent.forced_out:
        speaker.say("left before the shared storage answered; the next agent on this node does the rest")
        return EXIT_FORCED
    speaker.say("ended")
    return 0


def check(
    settings: Settings,
    environment: Mapping[str, str],
    refused: tuple[str, ...] = (),
    ignored: tuple[str, ...] = (),
    note: str = "",
) -> int:
    """``--check``: say what would be done here, were it not for the settings that are ``refused``; 0 if it can be.

    What is ``ignored`` of the settings is told, and the ``note`` that they have led to.
    """
    problems = list(refused)
    allocation = allocation_of(environment, time.time())

    def line(what: str, text: str, *, is_bad: bool = False) -> None:
        print(f"{what:<12}{reddened(fit(text)) if is_bad else fit(text)}")  # noqa: T201

    def try_(what: str, text: object) -> None:
        try:
            line(what, text() if callable(text) else str(text))
        except (GpuQueueError, OSError) as error:
            problems.append(str(error))
            line(what, f"PROBLEM: {error}", is_bad=True)

    def spool_text() -> str:
        paths = _paths(settings, environment)
        if not filesystem.check_protocol(paths):
            parent = os.path.dirname(paths.root)
            while not os.path.isdir(parent):
                parent = os.path.dirname(parent)
            if not os.access(parent, os.W_OK):
                raise SettingsError(f"{parent}: cannot be written, so {paths.root} cannot be made; set QUEUE_ROOT")
            return f"{paths.root}: will be made ({filesystem.mount_of(parent)})"
        trust.check_root(paths, settings.allow_root_for)
        trust.check_trust(paths, settings.allow_group, settings.allow_root_for)
        filesystem.check_one_filesystem(paths)
        counts = {state: len(os.listdir(f"{paths.root}/{state}")) for state in STATE_DIRECTORIES}
        return f"{paths.root} ({filesystem.mount_of(paths.root)}), {counts['pending']} waiting"

    shared: list[Gpu] = []

    def gpus_text() -> str:
        devices = devices_for(settings, environment)
        try:
            served = _served(devices, settings, environment)
            if not served:
                raise DeviceError("no GPU to serve; --simulate 4 serves simulated ones")
            shared.extend(served if settings.mode is Mode.SHARED else ())
            return f"{devices.describe()}; serves {', '.join(str(gpu.index) for gpu in served)}"
        finally:
            devices.close()

    def cards_text() -> str:
        text, is_none = cards_line(settings.sharing, shared)
        unknown = competing(shared, settings.sharing).unknown
        text += f"; passed over, for they are not served here: compete_gpus {', '.join(unknown)}" if unknown else ""
        if is_none:
            raise SettingsError(text)
        return text

    def others_text() -> str:
        kind = "simulated" if settings.simulate else "nvml"
        uuids = [gpu.uuid for gpu in shared]
        found = look(processes_of(kind, environment.get(STATE_FILE_VARIABLE), uuids), os.geteuid())
        if found.problem:
            return f"{found.problem}; {UNSEEN}"
        return "seen by their processes, memory and utilisation"

    def node_text() -> str:
        directory = NodeDirectory.open(settings.local_dir or None)
        name = settings.node_name or host_in(own_name(), allocation)
        return f"{node_name(name, directory.identity)}, own directory {directory.root}"

    line("version", __version__)
    try_("python", f"{sys.version.split()[0]} ({sys.executable})")
    for problem in refused:
        line("settings", f"PROBLEM: {problem}", is_bad=True)
    for one in ignored:
        line("settings", one, is_bad=True)
    line("mode", note.removeprefix("mode is ") or settings.mode.value)
    try_("spool", spool_text)
    try_("GPUs", gpus_text)
    if shared:
        try_("cards", cards_text)
        try_("others", others_text)
    try_("node", node_text)
    spool = _paths(settings, environment) if settings.job_id else None
    text, is_bad = keepalive_text(settings, "simulated" if settings.simulate else "nvml", spool)
    version = "" if is_bad or not settings.keepalive.enabled else torch_version(settings)
    line("keep-alive", f"{text}; torch {version}" if version else text, is_bad=is_bad)
    for told, is_note in allocation_lines(settings, allocation, time.time()):
        line("allocation", told.removeprefix("Allocation "), is_bad=is_note)
    line("lifetime", lifetime_text(settings, allocation, time.time()))
    line("result", f"{len(problems)} problem{'s' * (len(problems) != 1)}" if problems else "ready")
    return EXIT_REFUSED if problems else 0


def main(
    program: str = "perpetual_motion.py",
    arguments: list[str] | None = None,
    constants: Mapping[str, object] = NO_CONSTANTS,
) -> int:
    """The program.

    Args:
        program: its name, for messages.
        arguments: the command line; None: that of this process.
        constants: settings that stand in the program itself, by the names of their variables.
    """
    given = vars(parser(program).parse_args(arguments))
    is_check, unasked = given.pop("check"), given.pop(UNASKED)
    environment = dict(os.environ)
    said = {name: Said(str(value), os.path.abspath(sys.argv[0])) for name, value in constants.items()}
    elsewhere = Elsewhere(read_conf(environment), said)
    try:
        # Where config.yaml lies is known without it.
        settings = examine(TABLE, given, environment, elsewhere=elsewhere).settings
        config = Config()
        if settings.job_id:
            try:
                config = read_config(
                    _paths(settings, environment).config, believed(settings), is_shared=settings.allow_group
                )
            except SettingsError as error:
                config = Config(problems=error.problems)
        if unasked and not given["gpus"]:
            mode = examine(TABLE, given, environment, config, elsewhere).settings.mode
            given["gpus"] = unasked if mode is Mode.DEDICATED else None
        settings, problems, note = examine(TABLE, given, environment, config, elsewhere)
        if is_check:
            return check(settings, environment, problems, unknown_in_conf(elsewhere.conf), note)
        if problems:
            raise SettingsError(*problems)
        return serve(settings, given, environment, config, elsewhere, note)
    except GpuQueueError as error:
        for line in str(error).splitlines():
            print(f"{program}: {fit(line)}", file=sys.stderr)  # noqa: T201
        return EXIT_SERVED if isinstance(error, AlreadyServed) else EXIT_REFUSED
