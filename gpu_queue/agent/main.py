"""From a command line to a running agent: what stands before the loop, and may refuse to begin it."""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections.abc import Callable, Mapping

from gpu_queue.agent.agent import Agent
from gpu_queue.agent.allotted import allocation_of, host_in
from gpu_queue.agent.announcing import (
    announce,
    ready_line,
)
from gpu_queue.agent.asked import devices_for, paths_of, served_of, zygote_of
from gpu_queue.agent.checking import check
from gpu_queue.agent.history import began_facts
from gpu_queue.agent.loop import run
from gpu_queue.agent.speaker import Speaker, fit
from gpu_queue.agent.surroundings import Surroundings
from gpu_queue.conf import Said, read_conf
from gpu_queue.config import TABLE, UNASKED, Config, Elsewhere, Settings, examine, parser, queue_root, unknown_in_conf
from gpu_queue.errors import AlreadyServed, GpuQueueError, SettingsError, SpoolError
from gpu_queue.execution import copies, found
from gpu_queue.execution.launcher import with_death_signal
from gpu_queue.execution.local import NodeDirectory
from gpu_queue.gpus.devices import Devices, Readings
from gpu_queue.gpus.leases import Leases
from gpu_queue.gpus.reader import Reader
from gpu_queue.gpus.simulated import SimulatedDevices
from gpu_queue.keepalive.preflight import mps_pipe
from gpu_queue.keepalive.supervisor import Host
from gpu_queue.node.hints import Hints
from gpu_queue.node.side import NodeSide, node_name, own_name
from gpu_queue.node.storage import Errand, Failed, StorageThread
from gpu_queue.policy import believed, read_config
from gpu_queue.sharing import Mode
from gpu_queue.spool import filesystem, trust
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.states import EXIT_REFUSED, EXIT_SERVED
from gpu_queue.task import State
from gpu_queue.texts import printable

GOODBYE_S = 5.0
PLANT_VARIABLE = "GPU_QUEUE_SIMULATE_PLANT"
"""Where the engine `cpu` notes its load when the GPUs come from a driver, which can only be a stand-in for one."""
NO_CONSTANTS: Mapping[str, object] = {}
EXIT_FORCED = 111
"""It had to leave before the storage answered: its last moves are left to its successor."""


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


def _keepalive_host(
    settings: Settings,
    environment: Mapping[str, str],
    devices: Devices,
    node_directory: NodeDirectory,
    leases: Leases,
    say: Callable[[str], None],
) -> Host:
    """What the keep-alive is lent: the start of its process, its place on a GPU, the engine that fits the devices."""
    is_simulated = devices.kind == "simulated"
    plant = node_directory.plant if is_simulated else environment.get(PLANT_VARIABLE, "")
    return Host(
        start_zygote=zygote_of(settings, environment),
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
    paths = paths_of(settings, environment)
    node_directory = NodeDirectory.open(settings.local_dir or None)
    devices = _readings_for(settings, environment, node_directory.plant)
    served = served_of(devices, settings, environment)
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
        seen, told_s = spool.kept.seen_before(), spool.kept.told_before()
        spool.events.add(None, ("began", time.time(), began_facts(told_s)))
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
    agent.posting.close(time.monotonic())
    agent.say_goodbye(time.monotonic())
    deadline = time.monotonic() + GOODBYE_S
    while storage.outstanding() and time.monotonic() < deadline:
        storage.deliver()
        time.sleep(0.005)
    if storage.outstanding() or agent.forced_out:
        speaker.say("left before the shared storage answered; the next agent on this node does the rest")
        return EXIT_FORCED
    copies.finish()
    speaker.say("ended")
    return 0


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
                    paths_of(settings, environment).config, believed(settings), is_shared=settings.allow_group
                )
            except SettingsError as error:
                config = Config(problems=error.problems)
        if unasked and not given["gpus"]:
            mode = examine(TABLE, given, environment, config, elsewhere).settings.mode
            given["gpus"] = unasked if mode is Mode.DEDICATED else None
        examined = examine(TABLE, given, environment, config, elsewhere)
        if is_check:
            unknown = unknown_in_conf(elsewhere.conf)
            return check(examined.settings, environment, examined.problems, unknown, examined.note)
        if examined.problems:
            raise SettingsError(*examined.problems)
        return serve(examined.settings, given, environment, config, elsewhere, examined.note)
    except GpuQueueError as error:
        for line in str(error).splitlines():
            print(f"{program}: {fit(line)}", file=sys.stderr)  # noqa: T201
        return EXIT_SERVED if isinstance(error, AlreadyServed) else EXIT_REFUSED
