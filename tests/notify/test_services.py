"""Real services on the loopback, through the real library: what they take, what they refuse, and those that hang."""

from __future__ import annotations

import email
import email.policy
import json
import socket
import subprocess
import sys
import time
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller

from gpu_queue.notify import deliver
from gpu_queue.notify.children import Child, Delivery, Message
from tests.notify.services import Letterbox

MESSAGE = Message(
    "[实验] 训练 失败：oom（退出状态 1）", "任务：训练\n日志末尾：\nRuntimeError: 显存不足", failed=True
)
SHAPES = """
import sys
from gpu_queue.notify import deliver
import apprise
from apprise.plugins.dingtalk import NotifyDingTalk
from apprise.plugins.feishu import NotifyFeishu
from apprise.plugins.slack import NotifySlack
from apprise.plugins.wecombot import NotifyWeComBot

there = sys.argv[1]
NotifySlack.webhook_url = there + "/slack"
NotifyFeishu.notify_url = there + "/feishu/{token}/"
NotifyDingTalk.notify_url = there + "/dingtalk?access_token={token}"
real = NotifyWeComBot.__init__


def begin(self, *given, **more):
    real(self, *given, **more)
    self.api_url = there + "/wecom"


NotifyWeComBot.__init__ = begin
deliver.main()
"""
"""The program that delivers, where the services of these plugins are on the loopback."""


class Mail:
    """What an SMTP server has taken."""

    def __init__(self) -> None:
        self.got: list[EmailMessage] = []

    async def handle_DATA(  # noqa: N802 - its name
        self, _server: object, _session: object, envelope: Any
    ) -> str:
        one = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(one, EmailMessage)
        self.got.append(one)
        return "250 OK"


def test_an_http_service_takes_refuses_and_hangs(letterbox: Letterbox) -> None:
    began = time.monotonic()
    children = {path: Child([letterbox.address(path)], [MESSAGE], 4.0) for path in ("200", "500/secretpath", "hang")}
    results = {path: child.result() for path, child in children.items()}
    assert {path: one.words for path, one in results.items()} == {
        "200": (deliver.SENT,),
        "500/secretpath": (deliver.FAILED,),
        "hang": (deliver.FAILED,),
    }
    assert time.monotonic() - began < 20
    taken = next(body for path, body in letterbox.got if path == "/200")
    assert (taken["title"], taken["message"], taken["type"]) == (MESSAGE.title, MESSAGE.body, "failure")


def test_one_address_that_takes_it_is_enough_and_none_that_is_one_is_refused(letterbox: Letterbox) -> None:
    several = Child(["nonsense://x", "slack://short", letterbox.address("200")], [MESSAGE, MESSAGE])
    none = Child(["mailto://user:password@127.0.0.1"], [MESSAGE])
    assert several.result() == Delivery((deliver.SENT,) * 2, 2)
    assert none.result() == Delivery((deliver.REFUSED,), 1)
    assert len(letterbox.got) == 2


def test_mail_arrives_with_a_chinese_subject() -> None:
    mail = Mail()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = Controller(mail, hostname="127.0.0.1", port=port)
    server.start()
    try:
        address = f"mailto://127.0.0.1:{port}?from=gpu@example.org&to=alice@example.org&mode=insecure"
        assert Child([address], [MESSAGE]).result().words == (deliver.SENT,)
    finally:
        server.stop()
    assert [one["Subject"] for one in mail.got] == [MESSAGE.title]
    body = mail.got[0].get_body(("plain", "html"))
    assert body is not None
    assert "RuntimeError: 显存不足" in body.get_content()


def test_chat_services_get_what_they_expect(letterbox: Letterbox) -> None:
    given = {
        "addresses": [
            "feishu://TOKEN-OF-FEISHU",
            f"dingtalk://{'d' * 64}/",
            "wecombot://12345678-1234-1234-1234-123456789012",
            "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/",
        ],
        "messages": [{"title": MESSAGE.title, "body": MESSAGE.body, "failed": True}],
        "deadline_s": 20.0,
    }
    done = subprocess.run(
        [sys.executable, "-c", SHAPES, f"http://127.0.0.1:{letterbox.port}"],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout.split() == ["0", deliver.SENT]
    got = {path.split("/")[1].split("?")[0]: body for path, body in letterbox.got}
    assert sorted(got) == ["dingtalk", "feishu", "slack", "wecom"]
    for body in got.values():
        text = json.dumps(body, ensure_ascii=False)
        assert "失败：oom" in text
        assert "显存不足" in text
    assert got["dingtalk"]["msgtype"] == "text"
    assert got["wecom"]["msgtype"] == "text"
    assert "attachments" in got["slack"]
    assert got["feishu"]["msg_type"] == "text"


def test_nothing_that_apprise_says_gets_out(letterbox: Letterbox) -> None:
    given = {
        "addresses": [
            letterbox.address("500/secretpath"),
            "slack://secretpath",
            "json://user:secretpath@127.0.0.1:1/",
        ],
        "messages": [{"title": "a", "body": "b", "failed": False}],
        "deadline_s": 20.0,
    }
    noisy = "import logging; logging.basicConfig(level=1); from gpu_queue.notify import deliver; deliver.main()"
    done = subprocess.run(
        [sys.executable, "-c", noisy], input=json.dumps(given).encode(), capture_output=True, check=False
    )
    assert done.stdout.split() == [b"1", b"failed"]
    assert done.stderr == b""
