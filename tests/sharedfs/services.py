"""Brings up network filesystems that run as processes, mounted twice, in a machine's share of its own.

The caller is the first process of private mount, network and process namespaces (``machines.namespaced``): what is
mounted and started here is gone with it, and addresses and sockets are nobody else's.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.agent.harness import wait_until
from tests.sharedfs.faults import Faults, Freezer, KernelNfs


@dataclass(frozen=True)
class Service:
    """A filesystem that is up."""

    mounts: dict[str, str]
    truth: str
    """The server's own directory; one of the mounts where the server keeps no plain files."""
    faults: Faults
    scratch: Path
    """Room on this machine's own disk."""


def _run(*command: str) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: status {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


def _pids(program: str) -> list[int]:
    """Processes of a name, as far as this namespace shows them."""
    found = []
    for name in os.listdir("/proc"):
        try:
            if Path(f"/proc/{int(name)}/comm").read_text().strip() == program:
                found.append(int(name))
        except (OSError, ValueError):
            continue
    return found


def _pid_of_mount(point: str) -> int:
    """The FUSE process that names this mount point last among its arguments."""
    for name in os.listdir("/proc"):
        try:
            arguments = Path(f"/proc/{int(name)}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            continue
        if os.fsencode(point) in arguments:
            return int(name)
    raise RuntimeError(f"no process serves {point}")


def _room(base: Path, *directories: str, private: Sequence[str] = ("/run",)) -> None:
    """A tmpfs to work in, and empty directories over those of the system that a service would write to."""
    _run("ip", "link", "set", "lo", "up")
    for place in (str(base), *private):
        _run("mount", "-t", "tmpfs", "tmpfs", place)
    for directory in directories:
        (base / directory).mkdir()


def kernel_nfs(version: str) -> Service:
    """The guest has brought it up (guest.sh)."""
    mounts = {"a": "/mnt/a", "b": "/mnt/b"}
    return Service(mounts, "/mnt/export/spool", KernelNfs(version), Path("/run/scratch"))


GLUSTERD = """volume management
    type mgmt/glusterd
    option working-directory {base}/state
    option transport-type socket
    option transport.socket.bind-address 127.0.0.2
    option transport.socket.listen-port 24007
    option ping-timeout 0
    option event-threads 1
end-volume
"""


def gluster(base: Path) -> Service:
    """GlusterFS: one volume of one brick, two clients with all their caches."""
    _room(base, "state", "brick", "a", "b", "log", "scratch", private=("/run", "/var/log"))
    volfile, log = base / "glusterd.vol", base / "log"
    volfile.write_text(GLUSTERD.format(base=base))
    _run("glusterd", "-f", str(volfile), "-p", f"{base}/glusterd.pid", "-l", f"{log}/glusterd.log")

    def gluster(*words: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(["gluster", "--mode=script", *words], check=False, capture_output=True)

    wait_until(lambda: gluster("pool", "list").returncode == 0, "glusterd", 30)
    # localhost and 127.0.0.1 are refused for bricks
    _run("gluster", "--mode=script", "volume", "create", "spool", f"127.0.0.2:{base}/brick", "force")
    _run("gluster", "--mode=script", "volume", "start", "spool")
    mounts = {side: f"{base}/{side}" for side in ("a", "b")}
    for side, point in mounts.items():
        _run("glusterfs", "--volfile-server=127.0.0.2", "--volfile-id=spool", "-l", f"{log}/{side}.log", point)
    wait_until(lambda: all(map(os.path.ismount, mounts.values())), "the mounts", 30)
    clients = {side: [_pid_of_mount(point)] for side, point in mounts.items()}
    return Service(mounts, f"{base}/brick", Freezer(clients, _pids("glusterfsd")), base / "scratch")


MOOSE_MASTER = """WORKING_USER = root
WORKING_GROUP = root
DATA_PATH = {base}/data
EXPORTS_FILENAME = {base}/exports
TOPOLOGY_FILENAME = {base}/topology
MATOML_LISTEN_HOST = {address}
MATOCS_LISTEN_HOST = {address}
MATOCL_LISTEN_HOST = {address}
LOCK_MEMORY = 0
"""
MOOSE_CHUNKS = """WORKING_USER = root
WORKING_GROUP = root
DATA_PATH = {base}/chunks
HDD_CONF_FILENAME = {base}/hdd
MASTER_HOST = {address}
BIND_HOST = {address}
CSSERV_LISTEN_HOST = {address}
LOCK_MEMORY = 0
"""


def moose(base: Path) -> Service:
    """MooseFS: a master, one chunk server, two clients."""
    address = "10.99.0.1"  # the chunk server refuses 127.x
    _room(base, "data", "chunks", "store", "a", "b", "scratch")
    _run("ip", "addr", "add", f"{address}/32", "dev", "lo")
    (base / "hdd").write_text(f"{base}/store\n")
    (base / "exports").write_text("10.99.0.0/24 / rw,alldirs,maproot=0\n")
    (base / "topology").touch()
    for name, text in (("master", MOOSE_MASTER), ("chunkserver", MOOSE_CHUNKS)):
        (base / name).write_text(text.format(base=base, address=address))
    (base / "data" / "metadata.mfs").write_text("MFSM NEW")
    _run("mfsmaster", "-c", f"{base}/master", "start")
    _run("mfschunkserver", "-c", f"{base}/chunkserver", "start")
    mounts = {side: f"{base}/{side}" for side in ("a", "b")}
    clients: dict[str, list[int]] = {}
    for side, point in mounts.items():  # its processes tell nobody what they were called with
        others = _pids("mfsmount")
        _run("mfsmount", point, "-H", address)
        clients[side] = [pid for pid in _pids("mfsmount") if pid not in others]

    def writable() -> bool:
        try:
            (base / "a" / ".probe").write_text("x")
        except OSError:
            return False
        return True

    wait_until(writable, "a chunk server that has registered", 60)
    server = _pids("mfsmaster") + _pids("mfschunkserver")
    return Service(mounts, mounts["b"], Freezer(clients, server), base / "scratch")


SSHD = """ListenAddress 127.0.0.1
Port 2222
HostKey {base}/etc/host
PidFile {base}/sshd.pid
AuthorizedKeysFile {base}/etc/id.pub
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
Subsystem sftp internal-sftp
"""


def sshfs(base: Path) -> Service:
    """Two sshfs mounts of one directory of a private sshd, with sshfs's own caches."""
    _room(base, "srv", "a", "b", "etc", "scratch")
    Path("/run/sshd").mkdir()
    for key in ("host", "id"):
        _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{base}/etc/{key}")
    (base / "sshd_config").write_text(SSHD.format(base=base))
    _run("/usr/sbin/sshd", "-f", f"{base}/sshd_config", "-E", f"{base}/sshd.log")
    options = f"IdentityFile={base}/etc/id,UserKnownHostsFile=/dev/null,StrictHostKeyChecking=no,IdentitiesOnly=yes"
    mounts = {side: f"{base}/{side}" for side in ("a", "b")}
    servers: list[int] = []
    before = set(_pids("sshd"))
    for point in mounts.values():
        _run("sshfs", "-p", "2222", "-o", options, f"root@127.0.0.1:{base}/srv", point)
    time.sleep(0.2)  # the servers' processes change their user, and with it their number, once
    servers = [pid for pid in _pids("sshd") if pid not in before]
    clients = {side: [_pid_of_mount(point)] for side, point in mounts.items()}
    return Service(mounts, f"{base}/srv", Freezer(clients, servers), base / "scratch")


SERVICES = {"gluster": gluster, "moose": moose, "sshfs": sshfs}
