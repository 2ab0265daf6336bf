"""Whose process is at the other end: real sockets of real users."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gpu_queue.console.access.peers import Row, owner_of, parse_table, peer_uid
from gpu_queue.console.access.ports import holder_of
from tests.agent.harness import ROOT, wait_until
from tests.console.served import Served, a_console

STRANGER = 12345
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as several users")

BECOMES = """
import encodings.idna, os, socket, sys  # an interpreter may lie where only its owner can start it
if int(sys.argv[1]) != os.getuid():
    os.setgroups([])
    os.setgid(int(sys.argv[1]))
    os.setuid(int(sys.argv[1]))
"""
CALLS = """
made = socket.create_connection((sys.argv[2], int(sys.argv[3])))
print(made.getsockname()[1], flush=True)
sys.stdin.readline()
made.close()
print("closed", flush=True)
sys.stdin.readline()
"""


@contextmanager
def a_call(host: str, port: int, uid: int) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """A process of a user that holds a connection until it gets a line."""
    process = subprocess.Popen(
        [sys.executable, "-S", "-c", BECOMES + CALLS, str(uid), host, str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd="/",
    )
    with process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline()), process
        finally:
            process.kill()


def tell(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == "closed\n"


@as_root
@pytest.mark.parametrize("uid", [0, STRANGER])
@pytest.mark.parametrize(("bound", "called"), [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("::", "127.0.0.1")])
def test_the_user_of_a_connection_is_told_until_its_process_closes_it(bound: str, called: str, uid: int) -> None:
    family = socket.AF_INET6 if ":" in bound else socket.AF_INET
    with socket.socket(family) as listening:
        if bound == "::":
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        try:
            listening.bind((bound, 0))
        except OSError as error:
            pytest.skip(f"no such address here: {error}")
        listening.listen()
        near = (called, listening.getsockname()[1])
        with a_call(called, near[1], uid) as (port, process):
            taken = listening.accept()[0]
            with taken:
                assert peer_uid(near, (called, port)) == uid
                tell(process)
                # What the kernel keeps of it says uid 0, which it never was.
                assert peer_uid(near, (called, port)) is None


def test_a_connection_that_is_not_there_belongs_to_nobody() -> None:
    assert peer_uid(("127.0.0.1", 1), ("127.0.0.1", 2)) is None


def test_only_an_open_connection_with_these_two_ends_counts() -> None:
    near, far = ("127.0.0.1", 29214), ("127.0.0.1", 40000)
    right = Row(far, near, "01", 1000, 77)
    assert owner_of([right], near, far) == 1000
    for wrong in (
        right._replace(inode=0),
        right._replace(state="06"),
        right._replace(state="05"),
        right._replace(local=("127.0.0.2", 40000)),
        right._replace(remote=("127.0.0.1", 29215)),
        right._replace(local=near, remote=far),
    ):
        assert owner_of([wrong], near, far) is None


@pytest.mark.parametrize(
    "line",
    ["", "sl local_address rem_address st", "0: 0100007F:721E", "0: zz:721E 0100007F:1 01 0 0 0 0 0 0 0", "\udcff"],
)
def test_a_line_that_is_none_is_left_out(line: str) -> None:
    assert list(parse_table([line])) == []


def test_the_holder_of_a_port_is_named() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        holder = holder_of(listening.getsockname()[1])
    assert holder is not None
    assert (holder.uid, holder.pid) == (os.geteuid(), os.getpid())
    assert str(holder).startswith(f"process {os.getpid()} of ")
    assert holder_of(1) is None


# -- the console itself, asked by real users


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    base = tmp_path_factory.mktemp("console")
    base.chmod(0o755)
    with a_console(base) as found:
        found.spool().submit(_script(base))
        yield found


def _script(base: Path) -> Path:
    path = base / "train.sh"
    path.write_text("echo hello\n")
    return path


def curl(console: Served, *words: str, uid: int | None = None) -> tuple[int, str]:
    """The status, and what came."""
    done = subprocess.run(
        ["curl", "--silent", "--noproxy", "*", "--write-out", "\n%{http_code}", *words],
        capture_output=True,
        text=True,
        cwd="/",
        user=uid,
        check=True,
        timeout=30,
    )
    body, _, status = done.stdout.rpartition("\n")
    return int(status), body


@as_root
def test_the_same_user_sees_the_state_and_another_one_nothing(console: Served) -> None:
    address = f"{console.address}api/v1/spools"
    assert curl(console, address)[0] == 200
    status, body = curl(console, address, uid=STRANGER)
    assert (status, "another user of this machine" in body) == (401, True)
    bearer = f"Authorization: Bearer {console.token}"
    assert curl(console, "-H", bearer, address, uid=STRANGER)[0] == 200


@as_root
def test_another_user_cannot_read_the_token(console: Served) -> None:
    path = console.home / ".config" / "gpu-queue" / "console.token"
    done = subprocess.run(["cat", path], capture_output=True, user=STRANGER, check=False)
    assert done.returncode != 0
    assert console.token.encode() not in done.stdout


@as_root
def test_who_closes_in_time_is_not_taken_for_root(console: Served) -> None:
    """A change is asked for by another user, whose socket has no owner any more when it is looked at."""
    request = b"POST /api/scheduler/stop/77 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
    code = f"""{BECOMES}
for _ in range(50):
    made = socket.create_connection(("127.0.0.1", {console.port}))
    made.sendall({request!r})
    made.close()
"""
    subprocess.run([sys.executable, "-S", "-c", code, str(STRANGER)], cwd="/", check=True, timeout=30)
    console.ask("DELETE", "api/v1/behind-them")  # they are served in the order in which they came
    wait_until(lambda: "behind-them" in console.said(), "a line")
    assert "/api/scheduler/stop/77 by user" not in console.said()


def test_the_documents_line_is_let_in_as_it_stands(console: Served) -> None:
    """`curl -X POST "http://localhost:29214/api/scheduler/..."`, as its user types it."""
    status, body = curl(console, "-X", "POST", f"http://localhost:{console.port}/api/scheduler/stop/1")
    assert status not in (401, 403, 421), body


@pytest.mark.parametrize(
    "header",
    [
        "Origin: http://localhost:{port}",
        "Sec-Fetch-Site: none",
        "Sec-Fetch-Mode: cors",
        "Cookie: a=b",
        "X-Forwarded-For: 127.0.0.1",
        "Forwarded: for=127.0.0.1",
        "Via: 1.1 proxy",
    ],
)
def test_the_documents_line_with_what_a_browser_or_a_proxy_adds_needs_the_token(console: Served, header: str) -> None:
    address = f"http://localhost:{console.port}/api/scheduler/stop/1"
    given = header.replace("{port}", str(console.port))
    status, body = curl(console, "-X", "POST", "-H", given, address)
    assert status == 401
    name = given.partition(":")[0]
    assert ("Sec-Fetch" if name.startswith("Sec") else name).lower() in body.lower()
    assert curl(console, "-X", "POST", "-H", given, "-H", f"Authorization: Bearer {console.token}", address)[0] != 401


def test_a_rebound_name_is_refused(console: Served) -> None:
    for host in ("evil.example", f"evil.example:{console.port}", "localhost.evil.example"):
        status, body = curl(console, "-H", f"Host: {host}", f"{console.address}api/v1/spools")
        assert (status, "--public-host" in body) == (421, True)
    with socket.create_connection(("127.0.0.1", console.port), 10) as made:
        made.sendall(b"GET /api/v1/spools HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n")
        assert made.recv(4096).startswith((b"HTTP/1.1 400", b"HTTP/1.1 421"))


def test_a_token_is_traded_for_a_cookie_and_the_cookie_for_access(console: Served) -> None:
    page = {"Sec-Fetch-Site": "same-origin", "Origin": console.address.rstrip("/")}
    plans = "api/v1/spools/exp/tasks/none/script"
    assert console.ask("GET", plans, token=None, headers=page).status_code == 401
    given = console.ask("POST", "access", token=None, headers=page, json={"token": console.token})
    assert given.json() == {"may": "change"}
    cookie = given.headers["set-cookie"]
    assert cookie.startswith(f"gpuq-{console.port}=")
    assert all(word in cookie for word in ("HttpOnly", "SameSite=Strict", "Path=/"))
    assert "Secure" not in cookie
    assert console.token not in cookie
    shown = {**page, "Cookie": f"other=1; {cookie.partition(';')[0]}"}
    assert console.ask("GET", "access", token=None, headers=shown).json() == {"may": "change"}
    assert console.ask("GET", plans, token=None, headers=shown).status_code == 404  # let in: there is no such task
    ended = console.ask("DELETE", "access", token=None, headers=shown)
    assert ended.status_code == 204
    assert "Max-Age=0" in ended.headers["set-cookie"]


def test_changes_go_to_the_log(console: Served) -> None:
    console.ask("POST", "api/v1/spools/exp/nothing%1b[31m")
    wait_until(lambda: "POST /api/v1/spools/exp/nothing" in console.said(), "a line")
    line = next(one for one in console.said().splitlines() if "nothing" in one)
    assert line.endswith("by token from 127.0.0.1: 404")
    assert "\x1b" not in line
    assert console.token not in console.said()
    assert ROOT.name not in line


def test_the_sixth_wrong_token_waits_and_the_right_one_does_not(console: Served) -> None:
    wrong = [console.ask("GET", "api/v1/spools", token=f"wrong-{n}") for n in range(7)]
    assert {one.status_code for one in wrong[:5]} <= {401, 429}
    assert wrong[6].status_code == 429
    assert 0 < int(wrong[6].headers["retry-after"]) <= 60
    assert console.ask("POST", "access", token=None, json={"token": "wrong"}).status_code == 429
    assert console.ask("GET", "api/v1/spools").status_code == 200
    assert console.ask("GET", "api/v1/spools", token=None).status_code == 200  # the same user
