"""Pages, headers, errors: what each reply of a console is like."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

from gpu_queue.console.replies import CSP
from tests.console.conftest import PAGES, MakeClient
from tests.console.inside import Inside
from tests.console.served import Served, a_console


def test_a_started_console_prints_a_link_that_answers(tmp_path: Path, queue_root: Path) -> None:
    with a_console(tmp_path, queue_root=queue_root, by_hand=True) as console:
        assert console.address == f"http://127.0.0.1:{console.port}/"
        assert console.ask("GET", "healthz", token=None).json()["service"] == "gpu-queue console"
        listed = console.ask("GET", "api/v1/spools").json()
    assert [one["job"] for one in listed["spools"]] == ["exp"]


def test_the_printed_token_is_the_one_in_the_users_file(served: Served) -> None:
    path = served.home / ".config" / "gpu-queue" / "console.token"
    assert path.read_text().strip() == served.token
    assert path.stat().st_mode & 0o777 == 0o600


def test_any_path_below_ui_is_the_page(client: Inside) -> None:
    for path in ("/", "/ui", "/ui/", "/ui/gpu", "/ui/state/20260101T000000000-7ad896-a.sh?tab=log"):
        reply = client.get(path)
        assert (reply.status_code, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert '<base href="/"' in reply.text


def test_the_page_names_the_base_path(make_client: MakeClient) -> None:
    client = make_client(base_path="/user/a/proxy/29214/")
    for path in ("/ui/gpu", "/user/a/proxy/29214/ui/gpu", "/user/a/proxy/29214"):
        assert '<base href="/user/a/proxy/29214/"' in client.get(path).text
    assert client.get("/user/a/proxy/29214/theme.js").text == client.get("/theme.js").text
    assert client.get("/user/a/proxy/29214/api/v1/spools").status_code == 200


def test_a_proxys_prefix_is_believed_only_where_there_is_a_proxy(make_client: MakeClient) -> None:
    headers = {"X-Forwarded-Prefix": "/a/b"}
    assert '<base href="/a/b/"' in make_client(behind_proxy=True).get("/ui/gpu", headers=headers).text
    assert '<base href="/"' in make_client().get("/ui/gpu", headers=headers).text


def test_a_prefix_that_is_no_path_is_not_believed(make_client: MakeClient) -> None:
    client = make_client(behind_proxy=True)
    for prefix in ("//evil.example", "/a/../b", '/"><script>', "https://evil.example/", "/a b", "/" + "a" * 600):
        assert '<base href="/"' in client.get("/ui/gpu", headers={"X-Forwarded-Prefix": prefix}).text


def test_what_bears_a_hash_is_kept_for_good_and_the_rest_is_asked_for_again(client: Inside) -> None:
    hashed = client.get("/assets/main-1a2b3c4d.js")
    assert hashed.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert hashed.headers["content-encoding"] == "gzip"
    theme = client.get("/theme.js")
    assert theme.headers["cache-control"] == "no-cache"
    again = client.get("/theme.js", headers={"If-None-Match": theme.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_who_takes_no_gzip_gets_none(client: Inside) -> None:
    plain = client.get("/assets/main-1a2b3c4d.js", headers={"Accept-Encoding": "gzip;q=0, identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == PAGES["assets/main-1a2b3c4d.js"].content


def test_json_is_packed(client: Inside) -> None:
    headers, raw = client.raw("/api/v1/openapi.json")
    assert headers["content-encoding"] == "gzip"
    assert headers["content-length"] == str(len(raw))
    assert json.loads(gzip.decompress(raw))["openapi"].startswith("3.")


def test_every_reply_keeps_the_browser_on_a_short_leash(client: Inside) -> None:
    for path in ("/ui/gpu", "/theme.js", "/api/v1/spools", "/nothing", "/api/v1/spools/none/snapshot"):
        headers = client.get(path).headers
        said = headers["content-security-policy"]
        assert re.sub(r" 'nonce-[\w-]{24}'", "", said) == CSP
        assert "nonce" not in said or path == "/ui/gpu"
        assert "unsafe" not in CSP
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert "access-control-allow-origin" not in headers
    assert client.get("/api/v1/spools").headers["cache-control"] == "no-store"


def test_each_page_has_a_word_of_its_own_for_its_styles(client: Inside) -> None:
    words = set()
    for _ in range(2):
        page = client.get("/ui/gpu")
        assert page.headers["cache-control"] == "no-store"
        assert "etag" not in page.headers
        (word,) = re.findall(r'<meta property="csp-nonce" nonce="([\w-]{24})"', page.text)
        assert f"style-src 'self' 'nonce-{word}';" in page.headers["content-security-policy"]
        words.add(word)
    assert len(words) == 2


def test_errors_are_problems(client: Inside) -> None:
    for method, path, status, code in (
        ("GET", "/nothing", 404, "no_such_path"),
        ("GET", "/api/v1/nothing", 404, "no_such_path"),
        ("POST", "/ui/gpu", 405, "no_such_method"),
        ("PUT", "/access", 405, "no_such_method"),
        ("GET", "/api/v1/spools/none/snapshot", 404, "no_such_spool"),
        ("POST", "/access", 422, "bad_request"),
    ):
        reply = client.request(method, path)
        assert reply.status_code == status, (method, path, reply.text)
        assert reply.headers["content-type"] == "application/problem+json"
        assert reply.json()["code"] == code
        assert reply.json()["status"] == status


def test_what_is_refused_does_not_repeat_what_was_sent(client: Inside) -> None:
    reply = client.post("/access", json={"token": ["a-secret"], "other": "b-secret"})
    assert reply.status_code == 422
    assert "body.token" in reply.text
    assert "secret" not in reply.text


def test_no_path_leads_out_of_the_pages(served: Served) -> None:
    for path in (
        "../pages.py",
        "assets/../../pages.py",
        "%2e%2e/pages.py",
        "..%2fpages.py",
        "assets/%2e%2e%2f%2e%2e%2fserving.py",
        "/etc/passwd",
        "%00",
        "assets\\..\\..\\pages.py",
    ):
        reply = served.ask("GET", path)
        assert reply.status_code == 404, path
        assert b"import" not in reply.content
        assert b"root:" not in reply.content
