"""``--check``: what would be done here, and what is in the way of it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping

from gpu_queue import __version__
from gpu_queue.agent.allotted import allocation_of, host_in
from gpu_queue.agent.announcing import allocation_lines, cards_line, keepalive_text, lifetime_text, torch_version
from gpu_queue.agent.asked import devices_for, paths_of, served_of
from gpu_queue.agent.lookout import look
from gpu_queue.agent.posting import state_text
from gpu_queue.agent.speaker import fit, reddened
from gpu_queue.agent.tenants import UNSEEN
from gpu_queue.agent.trials import Finding, try_memory
from gpu_queue.config import Settings
from gpu_queue.errors import DeviceError, GpuQueueError, SettingsError
from gpu_queue.execution.local import NodeDirectory
from gpu_queue.gpus.devices import Gpu
from gpu_queue.gpus.processes import processes_of
from gpu_queue.gpus.simulated import STATE_FILE_VARIABLE
from gpu_queue.node.side import node_name, own_name
from gpu_queue.scheduling.tenancy import Look, competing
from gpu_queue.sharing import Mode
from gpu_queue.spool import filesystem, trust
from gpu_queue.spool.paths import STATE_DIRECTORIES
from gpu_queue.states import EXIT_REFUSED


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
        paths = paths_of(settings, environment)
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

    served: list[Gpu] = []
    seen: list[Look] = []

    def gpus_text() -> str:
        devices = devices_for(settings, environment)
        try:
            served.extend(served_of(devices, settings, environment))
            if not served:
                raise DeviceError("no GPU to serve; --simulate 4 serves simulated ones")
            return f"{devices.describe()}; serves {', '.join(str(gpu.index) for gpu in served)}"
        finally:
            devices.close()

    def cards_text() -> str:
        text, is_none = cards_line(settings.sharing, served)
        unknown = competing(served, settings.sharing).unknown
        text += f"; passed over, for they are not served here: compete_gpus {', '.join(unknown)}" if unknown else ""
        if is_none:
            raise SettingsError(text)
        return text

    def others_text() -> str:
        kind = "simulated" if settings.simulate else "nvml"
        uuids = [gpu.uuid for gpu in served]
        found = look(processes_of(kind, environment.get(STATE_FILE_VARIABLE), uuids), os.geteuid())
        seen.append(found)
        if found.problem:
            return f"{found.problem}; {UNSEEN}"
        return "seen by their processes, memory and utilisation"

    def node_text() -> str:
        directory = NodeDirectory.open(settings.local_dir or None)
        name = settings.node_name or host_in(own_name(), allocation)
        return f"{node_name(name, directory.identity)}, own directory {directory.root}"

    def memory() -> list[Finding]:
        try:
            return try_memory(settings, environment, served, seen[0] if seen else None) if served else []
        except (GpuQueueError, OSError) as error:
            return [Finding(str(error), is_problem=True)]

    line("version", __version__)
    try_("python", f"{sys.version.split()[0]} ({sys.executable})")
    for problem in refused:
        line("settings", f"PROBLEM: {problem}", is_bad=True)
    for one in ignored:
        line("settings", one, is_bad=True)
    line("mode", note.removeprefix("mode is ") or settings.mode.value)
    try_("spool", spool_text)
    try_("GPUs", gpus_text)
    if served and settings.mode is Mode.SHARED:
        try_("cards", cards_text)
        try_("others", others_text)
    try_("node", node_text)
    spool = paths_of(settings, environment) if settings.job_id else None
    text, is_bad = keepalive_text(settings, "simulated" if settings.simulate else "nvml", spool)
    version = "" if is_bad or not settings.keepalive.enabled else torch_version(settings)
    line("keep-alive", f"{text}; torch {version}" if version else text, is_bad=is_bad)
    for told, is_note in allocation_lines(settings, allocation, time.time()):
        line("allocation", told.removeprefix("Allocation "), is_bad=is_note)
    for finding in memory():
        if finding.is_problem:
            problems.append(finding.text)
        line("memory", f"PROBLEM: {finding.text}" if finding.is_problem else finding.text, is_bad=finding.is_problem)
    told, is_bad = state_text(environment)
    if told:
        line("notify", told, is_bad=is_bad)
    line("lifetime", lifetime_text(settings, allocation, time.time()))
    line("result", f"{len(problems)} problem{'s' * (len(problems) != 1)}" if problems else "ready")
    return EXIT_REFUSED if problems else 0
