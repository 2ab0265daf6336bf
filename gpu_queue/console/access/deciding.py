"""May this request do what it asks for?  Pure: facts in, a decision out.

- Whoever has the token can do what the console's user can do in a shell.
- What is seen of a queue's state needs no token on loopback, if the peer is the same user: on a login node loopback
  belongs to everybody.
- The curl lines of the document that the paths ``/api/{commands,scheduler,log}`` come from name no token.  There the
  same user on the same machine needs none either, for changes too, if nothing about the request could come from a
  browser or through a proxy.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum

from gpu_queue.console.access import hosts

OVERFLOW_UID = 65534
"""Whom the kernel names for users that it cannot name here: of other user namespaces."""
CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
ACCESS = "/access"
_DOCUMENT = re.compile(r"/api/(?:commands|scheduler|log)(?:/.*)?", re.DOTALL)
_TEXTS = re.compile(
    r"/api/v1/spools/[^/]*/(?:tasks/.*/(?:script|logs)|jobfiles)(?:/.*)?|/api/(?:log|commands)(?:/.*)?", re.DOTALL
)
_STATE = re.compile(r"/(?:api|metrics)(?:/.*)?", re.DOTALL)


class Level(IntEnum):
    """What a request needs, and what somebody may."""

    OPEN = 0
    STATE = 1
    """What a queue and its nodes do."""
    TEXTS = 2
    """What tasks print, their scripts, and the files that they are made of."""
    CHANGE = 3


@dataclass(frozen=True)
class Facts:
    """What is known of a request."""

    method: str
    path: str
    """Below the base path."""
    host: str | None
    """As it came; None: there was none, or several."""
    peer: str
    """The address at the other end."""
    peer_uid: int | None
    """Whose process that is; None: it was not asked, or nobody can tell."""
    token: Level | None = None
    """What the token that it shows is for; OPEN: a wrong one; None: it shows none."""
    cookie: Level | None = None
    """The same of the cookie."""
    has_cookie: bool = False
    """Any, also of others."""
    origin: str | None = None
    fetch_site: str | None = None
    has_fetch: bool = False
    """Any Sec-Fetch header."""
    forwarded: str = ""
    """A header that only proxies send; empty: there is none."""
    forwarded_host: str | None = None
    has_body: bool = False
    content_type: str = ""


@dataclass(frozen=True)
class House:
    """The console."""

    bound: str
    own_uid: int
    public: frozenset[str] = frozenset()
    behind_proxy: bool = False
    read_only: bool = False
    metrics_open: bool = False


@dataclass(frozen=True)
class Granted:
    """Go on."""

    level: Level
    who: str
    """By what: token, cookie, user; empty: by nothing."""


@dataclass(frozen=True)
class Refused:
    """No."""

    status: int
    code: str
    detail: str


def need_of(method: str, path: str, house: House) -> Level:
    """What a request needs.

    Args:
        method: of HTTP.
        path: below the base path.
        house: the console.
    """
    if path == ACCESS:
        return Level.OPEN
    if method not in ("GET", "HEAD"):
        return Level.CHANGE
    if _TEXTS.fullmatch(path):
        return Level.TEXTS
    if path == "/metrics" and house.metrics_open:
        return Level.OPEN
    return Level.STATE if _STATE.fullmatch(path) else Level.OPEN


def asks_for_peer(facts: Facts, house: House) -> bool:
    """Whether it could matter whose process the peer is."""
    best = max((one for one in (facts.token, facts.cookie) if one is not None), default=Level.OPEN)
    need = need_of(facts.method, facts.path, house)
    if need is Level.OPEN and facts.path != ACCESS:
        return False
    is_near = hosts.is_loopback(facts.peer) and not facts.forwarded and not house.behind_proxy
    return is_near and best < max(need, Level.STATE) and facts.token is not Level.OPEN


def decide(facts: Facts, house: House) -> Granted | Refused:
    """The decision."""
    refused = _host(facts, house) or _origin(facts, house)
    if refused is not None:
        return refused
    need = need_of(facts.method, facts.path, house)
    if facts.token is Level.OPEN:
        return Refused(401, "wrong_token", "Authorization: this token is not the console's; see console.token")
    best, who = Level.OPEN, ""
    if _is_same_user(facts, house):
        best, who = Level.STATE, "user"
        if _is_from_the_document(facts):
            best = Level.CHANGE
    for level, name in ((facts.cookie, "cookie"), (facts.token, "token")):
        if level is not None and level >= best and level > Level.OPEN:
            best, who = level, name
    if house.read_only:
        if facts.method in CHANGING and facts.path != ACCESS:
            return Refused(403, "read_only", "this console was started with --read-only: it changes nothing")
        best = min(best, Level.TEXTS)
    if best >= need:
        return _body(facts) or Granted(best, who)
    if best is Level.TEXTS:
        return Refused(403, "reads_only", "this token is console.read-token, which changes nothing")
    return Refused(401, "no_token", _what_is_missing(facts, house))


def _host(facts: Facts, house: House) -> Refused | None:
    host = hosts.split_host(facts.host) if facts.host is not None else None
    if host is not None and hosts.is_served(host[0], house.bound, house.public):
        return None
    return Refused(
        421,
        "wrong_host",
        "Host: expected localhost, an address, the name after --host, or one given by --public-host: "
        "start the console with --public-host and this name if it is its own",
    )


def _origin(facts: Facts, house: House) -> Refused | None:
    """A page of another site must neither change anything here nor keep our streams busy."""
    is_page = need_of(facts.method, facts.path, house) is Level.OPEN and facts.method not in CHANGING
    if is_page:
        return None
    if facts.fetch_site is not None and facts.fetch_site not in ("same-origin", "none"):
        return Refused(403, "foreign_origin", "Sec-Fetch-Site: a page of another site sent this; it has no say here")
    if facts.origin is None:
        return None
    came_from = hosts.origin_host(facts.origin)
    ours = {facts.host.lower()} if facts.host is not None else set()
    if house.behind_proxy and facts.forwarded_host is not None:
        ours.add(facts.forwarded_host.lower())
    name = hosts.split_host(came_from) if came_from is not None else None
    if came_from in ours or (name is not None and name[0] in house.public):
        return None
    return Refused(
        403,
        "foreign_origin",
        "Origin: expected the host that was called; behind a proxy that changes Host, give the name that browsers "
        "use by --public-host",
    )


def _is_same_user(facts: Facts, house: House) -> bool:
    return (
        hosts.is_loopback(facts.peer)
        and facts.peer_uid is not None
        and facts.peer_uid == house.own_uid != OVERFLOW_UID
        and not facts.forwarded
        and not house.behind_proxy
    )


def _is_from_the_document(facts: Facts) -> bool:
    """Of the same user, and nothing that a browser adds: the curl lines as they stand."""
    host = hosts.split_host(facts.host) if facts.host is not None else None
    return (
        _DOCUMENT.fullmatch(facts.path) is not None
        and host is not None
        and hosts.is_loopback(host[0])
        and facts.origin is None
        and not facts.has_fetch
        and not facts.has_cookie
    )


def _what_is_missing(facts: Facts, house: House) -> str:
    how = "send the token as `Authorization: Bearer` (it stands in console.token, beside gpu-queue.conf)"
    if facts.cookie is Level.OPEN:
        return f"Cookie: it is of a token that counts no more; {how}"
    if facts.forwarded or house.behind_proxy:
        return f"{facts.forwarded or '--behind-proxy'}: what comes through a proxy needs the token; {how}"
    if not hosts.is_loopback(facts.peer):
        return f"from another machine each request needs the token; {how}"
    if facts.peer_uid is None:
        return f"nobody can tell here which user sent this; {how}"
    if facts.peer_uid != house.own_uid or house.own_uid == OVERFLOW_UID:
        return f"another user of this machine sent this; {how}"
    for name, is_there in (("Origin", facts.origin), ("Sec-Fetch", facts.has_fetch), ("Cookie", facts.has_cookie)):
        if is_there and _DOCUMENT.fullmatch(facts.path):
            return f"{name}: what a browser may have sent needs the token; {how}"
    return f"changes, logs and scripts need the token; {how}"


def _body(facts: Facts) -> Refused | None:
    """JSON is what no page of another site can send without asking first."""
    if facts.method not in CHANGING or not facts.has_body:
        return None
    if facts.content_type.partition(";")[0].strip().lower() == "application/json":
        return None
    return Refused(415, "not_json", "Content-Type: expected application/json")
