"""Who may do what: each kind of asker against each kind of request."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_queue.console.access import hosts
from gpu_queue.console.access.deciding import OVERFLOW_UID, Facts, Granted, House, Level, Refused, decide, need_of
from gpu_queue.console.access.rates import WINDOW_S, WRONG_MAX, WrongTokens

OURS, OTHERS = 1000, 1001
HOUSE = House(bound="127.0.0.1", own_uid=OURS)
NEAR = Facts("GET", "/api/v1/spools", "127.0.0.1:29214", "127.0.0.1", OURS)
"""The same user on the same machine, without a token."""
FAR = replace(NEAR, peer="192.0.2.7", peer_uid=None)
OTHER = replace(NEAR, peer_uid=OTHERS)
UNKNOWN = replace(NEAR, peer_uid=None)
PROXIED = replace(NEAR, forwarded="x-forwarded-for")
PAGE = replace(NEAR, fetch_site="same-origin", has_fetch=True)

STATE = ("GET", "/api/v1/spools/exp/snapshot")
METRICS = ("GET", "/metrics")
SCRIPT = ("GET", "/api/v1/spools/exp/tasks/20260101T000000000-7ad896-a.sh/script")
LOG = ("GET", "/api/v1/spools/exp/tasks/20260101T000000000-7ad896-a.sh/logs/abc/window")
PLAN = ("POST", "/api/v1/spools/exp/plans")
SEED_STATE = ("GET", "/api/scheduler/running")
SEED_LOG = ("GET", "/api/log/content")
SEED_STOP = ("POST", "/api/scheduler/stop/8050838")
SEED_START = ("POST", "/api/scheduler/single/start")
REQUESTS = (STATE, METRICS, SCRIPT, LOG, PLAN, SEED_STATE, SEED_LOG, SEED_STOP, SEED_START)
READS = (STATE, METRICS, SCRIPT, LOG, SEED_STATE, SEED_LOG)
BY_USER = (STATE, METRICS, SEED_STATE)
BY_DOCUMENT = (*BY_USER, SEED_LOG, SEED_STOP, SEED_START)

MATRIX = {
    "nobody on this machine that is us": (NEAR, BY_DOCUMENT),
    "our browser without the token": (PAGE, BY_USER),
    "our program with some cookie": (replace(NEAR, has_cookie=True), BY_USER),
    "our program with an Origin": (replace(NEAR, origin="http://127.0.0.1:29214"), BY_USER),
    "another user": (OTHER, ()),
    "a user that nobody can tell": (UNKNOWN, ()),
    "another machine": (FAR, ()),
    "a proxy of ours": (PROXIED, ()),
    "the read token from anywhere": (replace(FAR, token=Level.TEXTS), READS),
    "the read token of another user": (replace(OTHER, token=Level.TEXTS), READS),
    "the token from anywhere": (replace(FAR, token=Level.CHANGE), REQUESTS),
    "the token of another user": (replace(OTHER, token=Level.CHANGE), REQUESTS),
    "the token through a proxy": (replace(PROXIED, token=Level.CHANGE), REQUESTS),
    "the cookie in our page": (replace(PAGE, cookie=Level.CHANGE, has_cookie=True), REQUESTS),
    "the read cookie in our page": (replace(PAGE, cookie=Level.TEXTS, has_cookie=True), READS),
    "an old cookie in our page": (replace(PAGE, cookie=Level.OPEN, has_cookie=True), BY_USER),
    "a wrong token of us": (replace(NEAR, token=Level.OPEN), ()),
    "a wrong token beside the right cookie": (replace(PAGE, token=Level.OPEN, cookie=Level.CHANGE), ()),
}


@pytest.mark.parametrize("who", MATRIX)
def test_each_asker_gets_what_is_his_and_nothing_else(who: str) -> None:
    facts, may = MATRIX[who]
    got = {one for one in REQUESTS if isinstance(decide(replace(facts, method=one[0], path=one[1]), HOUSE), Granted)}
    assert got == set(may)


@pytest.mark.parametrize("who", MATRIX)
def test_pages_are_for_everybody(who: str) -> None:
    facts = replace(MATRIX[who][0], token=None)
    for path in ("/", "/ui/gpu", "/assets/main-1a2b3c4d.js", "/healthz"):
        assert isinstance(decide(replace(facts, path=path), HOUSE), Granted)


@pytest.mark.parametrize("who", MATRIX)
@pytest.mark.parametrize(
    "wrong",
    [
        {"host": "evil.example:29214"},
        {"host": None},
        {"host": ""},
        {"host": "127.0.0.1.evil.example"},
        {"host": "127.0.0.1:29214@evil.example"},
        {"host": "evil.example/127.0.0.1"},
    ],
)
def test_a_name_that_is_not_ours_is_served_to_nobody(who: str, wrong: dict[str, Any]) -> None:
    for method, path in (*REQUESTS, ("GET", "/ui/gpu"), ("POST", "/access")):
        decision = decide(replace(MATRIX[who][0], method=method, path=path, **wrong), HOUSE)
        assert isinstance(decision, Refused)
        assert decision.status == 421


FOREIGN: list[dict[str, Any]] = [
    {"origin": "http://evil.example"},
    {"origin": "null"},
    {"origin": "http://127.0.0.1:8888"},
    {"origin": "http://localhost:29214"},
    {"origin": "http://127.0.0.1:29214.evil.example"},
    {"origin": "file://"},
    {"fetch_site": "cross-site", "has_fetch": True},
    {"fetch_site": "same-site", "has_fetch": True},
]


@pytest.mark.parametrize("who", MATRIX)
@pytest.mark.parametrize("wrong", FOREIGN, ids=[str(next(iter(one.values()))) for one in FOREIGN])
def test_a_page_of_another_site_has_no_say_whoever_opened_it(who: str, wrong: dict[str, Any]) -> None:
    for method, path in (*REQUESTS, ("POST", "/access"), ("DELETE", "/access")):
        decision = decide(replace(MATRIX[who][0], method=method, path=path, **wrong), HOUSE)
        assert isinstance(decision, Refused)
        assert decision.status == 403


def test_a_tunnel_may_end_at_any_port_of_ours() -> None:
    facts = replace(PAGE, method="POST", path=PLAN[1], cookie=Level.CHANGE, host="localhost:8080")
    assert isinstance(decide(replace(facts, origin="http://localhost:8080"), HOUSE), Granted)


@pytest.mark.parametrize("bound", ["0.0.0.0", "::", ""])
def test_a_console_for_all_addresses_is_called_by_an_address_or_a_public_name(bound: str) -> None:
    house = House(bound=bound, own_uid=OURS, public=frozenset({"gpus.example.org"}))
    facts = replace(FAR, token=Level.CHANGE)
    for host in ("192.0.2.1:29214", "[2001:db8::1]:29214", "gpus.example.org", "GPUS.example.org:443", "localhost"):
        assert isinstance(decide(replace(facts, host=host), house), Granted), host
    for host in ("evil.example", "gpus.example.org.evil.example", "login1"):
        assert isinstance(decide(replace(facts, host=host), house), Refused), host


def test_the_bound_name_is_ours() -> None:
    house = House(bound="login1", own_uid=OURS)
    assert isinstance(decide(replace(FAR, host="login1:29214", token=Level.CHANGE), house), Granted)


class TestBehindAProxy:
    HOUSE = House(bound="127.0.0.1", own_uid=OURS, behind_proxy=True, public=frozenset({"hub.example.org"}))

    def test_the_same_user_needs_the_token_too(self) -> None:
        for method, path in REQUESTS:
            assert isinstance(decide(replace(NEAR, method=method, path=path), self.HOUSE), Refused)

    def test_a_page_under_its_public_name_may(self) -> None:
        facts = replace(PAGE, method="POST", path=PLAN[1], cookie=Level.CHANGE, forwarded="via")
        assert isinstance(decide(replace(facts, origin="https://hub.example.org"), self.HOUSE), Granted)
        asked = replace(facts, origin="https://other.example", forwarded_host="other.example")
        assert isinstance(decide(asked, self.HOUSE), Granted)
        assert isinstance(decide(asked, HOUSE), Refused)  # nobody said that there is a proxy

    def test_what_is_missing_is_named(self) -> None:
        decision = decide(replace(NEAR, method="POST", path=SEED_STOP[1]), self.HOUSE)
        assert isinstance(decision, Refused)
        assert decision.detail.startswith("--behind-proxy: ")


@pytest.mark.parametrize(
    ("facts", "word"),
    [
        (replace(NEAR, origin="http://127.0.0.1:29214"), "Origin"),
        (PAGE, "Sec-Fetch"),
        (replace(NEAR, has_cookie=True), "Cookie"),
        (PROXIED, "x-forwarded-for"),
        (OTHER, "another user"),
        (FAR, "another machine"),
        (UNKNOWN, "nobody can tell"),
        (replace(NEAR, cookie=Level.OPEN, has_cookie=True), "counts no more"),
    ],
)
def test_a_refusal_of_the_documents_lines_names_the_header(facts: Facts, word: str) -> None:
    decision = decide(replace(facts, method=SEED_STOP[0], path=SEED_STOP[1]), HOUSE)
    assert isinstance(decision, Refused)
    assert decision.status == 401
    assert word in decision.detail
    assert "Authorization: Bearer" in decision.detail


def test_the_documents_lines_must_call_the_machine_itself() -> None:
    house = House(bound="0.0.0.0", own_uid=OURS)
    facts = replace(NEAR, method=SEED_STOP[0], path=SEED_STOP[1], host="192.0.2.1:29214")
    assert isinstance(decide(facts, house), Refused)
    assert isinstance(decide(replace(facts, host="localhost:29214"), house), Granted)


def test_nobody_is_the_same_user_where_the_kernel_cannot_name_users() -> None:
    house = House(bound="127.0.0.1", own_uid=OVERFLOW_UID)
    assert isinstance(decide(replace(NEAR, peer_uid=OVERFLOW_UID), house), Refused)


def test_a_console_that_only_reads_refuses_every_change() -> None:
    house = replace(HOUSE, read_only=True)
    for facts, _ in MATRIX.values():
        for method, path in (PLAN, SEED_STOP, SEED_START, ("DELETE", "/nothing"), ("PATCH", "/api")):
            assert isinstance(decide(replace(facts, method=method, path=path), house), Refused)
    shown = replace(FAR, token=Level.CHANGE)
    assert decide(replace(shown, path=LOG[1]), house) == Granted(Level.TEXTS, "token")
    assert isinstance(decide(replace(PAGE, method="POST", path="/access"), house), Granted)


def test_metrics_may_be_open() -> None:
    house = replace(HOUSE, metrics_open=True)
    assert isinstance(decide(replace(FAR, path="/metrics"), house), Granted)
    assert isinstance(decide(replace(FAR, path="/metrics/x"), house), Refused)


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonp"])
def test_a_change_is_json(kind: str) -> None:
    facts = replace(FAR, token=Level.CHANGE, method="POST", path=PLAN[1], has_body=True, content_type=kind)
    decision = decide(facts, HOUSE)
    assert isinstance(decision, Refused)
    assert decision.status == 415
    assert isinstance(decide(replace(facts, content_type="application/json; charset=utf-8"), HOUSE), Granted)


@given(method=st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"]), path=st.text())
def test_no_method_but_get_is_let_in_without_the_token(method: str, path: str) -> None:
    decision = decide(replace(PAGE, method=method, path=f"/{path}"), HOUSE)
    if method not in ("GET", "HEAD") and path != "access":
        assert isinstance(decision, Refused)
    assert need_of(method, f"/api/{path}", HOUSE) >= Level.STATE


@given(st.text(max_size=80))
def test_a_host_header_is_a_name_or_none(text: str) -> None:
    found = hosts.split_host(text)
    if found is not None:
        assert not set(found[0]) & set("/@?#\\ \t\r\n[]")
        assert found[0] == found[0].lower()


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("127.0.0.1:29214", ("127.0.0.1", 29214)),
        ("[::1]:29214", ("::1", 29214)),
        ("LOCALHOST", ("localhost", None)),
        ("localhost.", ("localhost", None)),
        ("::1", None),
        ("a:99999", None),
        ("a b", None),
        ("user@a", None),
        ("-a", None),
    ],
)
def test_hosts_are_taken_apart(header: str, name: tuple[str, int | None] | None) -> None:
    assert hosts.split_host(header) == name


@pytest.mark.parametrize("name", ["localhost", "a.localhost", "127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"])
def test_loopback_is_known(name: str) -> None:
    assert hosts.is_loopback(name)


@pytest.mark.parametrize(
    "name", ["localhost.evil.example", "0.0.0.0", "::", "192.0.2.1", "127.0.0.1.nip.io", "notlocalhost"]
)
def test_what_is_no_loopback_is_none(name: str) -> None:
    assert not hosts.is_loopback(name)


# -- wrong tokens


def test_the_sixth_wrong_token_of_a_minute_waits() -> None:
    wrong = WrongTokens()
    assert [wrong.wait_s("a", float(at)) for at in range(WRONG_MAX)] == [0.0] * WRONG_MAX
    assert wrong.wait_s("a", 10.0) == WINDOW_S - 10.0
    assert wrong.wait_s("b", 10.0) == 0.0
    assert wrong.wait_s("a", WINDOW_S) == 0.0


def test_what_is_known_of_wrong_tokens_is_bounded() -> None:
    wrong = WrongTokens()
    for number in range(5000):
        wrong.wait_s(f"2001:db8::{number:x}", 0.0)
    assert len(wrong._at) <= 1024
