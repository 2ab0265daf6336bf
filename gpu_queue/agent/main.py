"""From a command line to a running agent: what stands before the loop, and may refuse to begin it."""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections.abc import Callable, Mapping
from datetime import datetime

from gpu_queue import __version__
from gpu_queue.agent.agent import Agent
from gpu_queue.agent.loop import run
from gpu_queue.agent.speaker import Speaker, fit
from gpu_queue.agent.surroundings import Surroundings
from gpu_queue.config import TABLE, Config, Settings, examine, parser, queue_root
from gpu_queue.errors import DeviceError, GpuQueueError, SettingsError, SpoolError
from gpu_queue.execution import found
from gpu_queue.execution.launcher import first_line, start_companion, with_death_signal
from gpu_queue.execution.local import NodeDirectory
from gpu_queue.gpus.devices import Devices, Gpu, select_gpus
from gpu_queue.gpus.leases import Leases
from gpu_queue.gpus.nvml import NvmlDevices
from gpu_queue.gpus.simulated import SimulatedDevices
from gpu_queue.keepalive.supervisor import Host
from gpu_queue.node.config import believed, read_config
from gpu_queue.node.hints import Hints
from gpu_queue.node.side import NodeSide, node_name
from gpu_queue.node.storage import Errand, Failed, StorageThread
from gpu_queue.spool import filesystem, trust
from gpu_queue.spool.paths import STATE_DIRECTORIES, SpoolPaths
from gpu_queue.task import State
from gpu_queue.texts import printable

GOODBYE_S = 5.0
PLANT_VARIABLE = "GPU_QUEUE_SIMULATE_PLANT"
"""Where the engine `cpu` notes its load when the GPUs come from a driver, which can only be a stand-in for one."""
PACKAGE_PARENT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EXIT_REFUSED = 1
EXIT_FORCED = 111
"""It had to leave before the storage answered: its last moves are left to its successor."""


def devices_for(settings: Settings, environment: Mapping[str, str], plant: str = "") -> Devices:
    """The device layer that was asked for; never the simulated one silently.

    Args:
        settings: ``simulate`` decides.
        environment: the agent's.
        plant: where simulated load is noted.

    Raises:
        SettingsError: ``--simulate`` cannot be understood.
    """
    if settings.simulate:
        state_file = environment.get("GPU_QUEUE_SIMULATE_FILE")
        return SimulatedDevices.parse(settings.simulate, state_file, plant=plant)
    return NvmlDevices()


def _paths(settings: Settings, environment: Mapping[str, str]) -> SpoolPaths:
    if not settings.job_id:
        raise SettingsError("no spool was named: pass --job-id ID or export JOB_ID=ID")
    # The real path: claims are found by it in processes' environments, whichever way a spool was named.
    return SpoolPaths(os.path.realpath(os.path.join(queue_root(settings, environment), settings.job_id)))


def _served(devices: Devices, settings: Settings, environment: Mapping[str, str]) -> tuple[Gpu, ...]:
    granted = None if settings.simulate else environment.get("CUDA_VISIBLE_DEVICES")
    return select_gpus(devices.snapshot(), settings.gpus, granted)


def _local_time(epoch_s: float) -> str:
    return datetime.fromtimestamp(epoch_s).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.4g}h"


def _announce(speaker: Speaker, settings: Settings, around: Surroundings, served: tuple[Gpu, ...]) -> None:
    started_s = time.time()
    speaker.plain(f"Started at: {_local_time(started_s)}")
    if settings.lifetime_s == float("inf"):
        speaker.plain("Auto-shutdown at: never")
    else:
        ends = _local_time(started_s + settings.lifetime_s)
        speaker.plain(f"Auto-shutdown at: {ends} ({_hours(settings.lifetime_s)})")
    indices = ", ".join(str(gpu.index) for gpu in served)
    speaker.plain(f"Serving {around.spool.paths.root} ({around.spool.mount})")
    speaker.plain(f"Node {around.spool.node}, GPUs {indices} of {around.devices.describe()}")
    speaker.plain(f"Keep-alive: {_keepalive_text(settings, around.devices.kind)}")


def _keepalive_text(settings: Settings, kind: str) -> str:
    wanted = settings.keepalive
    if not wanted.enabled:
        return "off; idle GPUs stay idle"
    engine = "cpu" if kind == "simulated" else wanted.engine
    band = f"{wanted.gpu_util_target}-{wanted.gpu_util_high} %"
    memory = f"{wanted.memory_usage_target * 100:.0f} % of the memory"
    quiet = f", quiet hours {wanted.quiet_hours.text}" if wanted.quiet_hours.text else ""
    return f"idle GPUs at {band} by {engine}, {memory}{quiet}"


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


def serve(settings: Settings, flags: Mapping[str, object], environment: Mapping[str, str], config: Config) -> int:
    """Run an agent to its end; returns the exit status.

    Raises:
        GpuQueueError: it cannot begin; the message says why and what to do.
    """
    paths = _paths(settings, environment)
    node_directory = NodeDirectory.open(settings.local_dir or None)
    devices = devices_for(settings, environment, node_directory.plant)
    served = _served(devices, settings, environment)
    mount, warning = _enter_spool(paths, settings)
    node = node_name(settings.node_name, node_directory.identity)
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
        raise SettingsError(
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
        umask=umask,
        flags=flags,
        config=config,
        say=speaker.say,
        watch_ends=lambda directories: hints.add_moves(directories, spool.is_awaited),
    )
    _announce(speaker, settings, around, served)
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


def check(settings: Settings, environment: Mapping[str, str], refused: tuple[str, ...] = ()) -> int:
    """``--check``: say what would be done here, were it not for the settings that are ``refused``; 0 if it can be."""
    problems = list(refused)

    def line(what: str, text: str) -> None:
        print(f"{what:<12}{fit(text)}")  # noqa: T201

    def try_(what: str, text: object) -> None:
        try:
            line(what, text() if callable(text) else str(text))
        except (GpuQueueError, OSError) as error:
            problems.append(str(error))
            line(what, f"PROBLEM: {error}")

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

    def gpus_text() -> str:
        devices = devices_for(settings, environment)
        try:
            served = _served(devices, settings, environment)
            if not served:
                raise DeviceError("no GPU to serve; --simulate 4 serves simulated ones")
            return f"{devices.describe()}; serves {', '.join(str(gpu.index) for gpu in served)}"
        finally:
            devices.close()

    def keepalive_text() -> str:
        text = _keepalive_text(settings, "simulated" if settings.simulate else "nvml")
        if not settings.keepalive.enabled:
            return text
        python = settings.keepalive.python or sys.executable
        version = first_line([python, "-c", "from importlib.metadata import version; print(version('torch'))"])
        return f"{text}; torch {version}" if version else f"off: torch is not installed for {python}"

    def node_text() -> str:
        directory = NodeDirectory.open(settings.local_dir or None)
        return f"{node_name(settings.node_name, directory.identity)}, own directory {directory.root}"

    line("version", __version__)
    try_("python", f"{sys.version.split()[0]} ({sys.executable})")
    for problem in refused:
        line("settings", f"PROBLEM: {problem}")
    try_("spool", spool_text)
    try_("GPUs", gpus_text)
    try_("node", node_text)
    try_("keep-alive", keepalive_text)
    at_end = "waits for running tasks" if settings.at_end == "wait" else "requeues running tasks"
    lifetime = "for ever" if settings.lifetime_s == float("inf") else f"{_hours(settings.lifetime_s)}, then {at_end}"
    line("lifetime", lifetime)
    line("result", f"{len(problems)} problem{'s' * (len(problems) != 1)}" if problems else "ready")
    return EXIT_REFUSED if problems else 0


def main(program: str = "perpetual_motion.py", arguments: list[str] | None = None) -> int:
    """The program.

    Args:
        program: its name, for messages.
        arguments: the command line; None: that of this process.
    """
    given = vars(parser(program).parse_args(arguments))
    is_check = given.pop("check")
    environment = dict(os.environ)
    try:
        settings, _ = examine(TABLE, given, environment)  # where config.yaml lies is known without it
        config = Config()
        if settings.job_id:
            try:
                config = read_config(
                    _paths(settings, environment).config, believed(settings), is_shared=settings.allow_group
                )
            except SettingsError as error:
                config = Config(problems=error.problems)
        settings, problems = examine(TABLE, given, environment, config)
        if is_check:
            return check(settings, environment, problems)
        if problems:
            raise SettingsError(*problems)
        return serve(settings, given, environment, config)
    except GpuQueueError as error:
        for line in str(error).splitlines():
            print(f"{program}: {fit(line)}", file=sys.stderr)  # noqa: T201
        return EXIT_REFUSED
