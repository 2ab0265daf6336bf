"""What people are told, in English and Chinese.  Pure.

Everything here was written by others: it is cut, rid of control characters and of addresses.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gpu_queue.notify.children import Message
from gpu_queue.spool.fields import Fields
from gpu_queue.spool.noticenames import NoticeName, What
from gpu_queue.spool.records import TryRecord
from gpu_queue.task import State, short_name
from gpu_queue.texts import printable
from gpu_queue.units import format_duration
from gpu_queue.words import Language

LOG_LINES, LOG_LINE_MAX, LOG_BYTES = 20, 300, 8 << 10
DIGEST_LINES = 40
NAMED_MAX = 20
_ESCAPE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b.?")
_OUTCOMES_ZH = {
    "succeeded": "完成",
    "stopped": "被停止",
    "timeout": "超时",
    "lost": "丢失",
    "not started": "未能启动",
    "refused": "被拒绝",
}
_FAILED = re.compile(r"failed\((\d{1,3})\)")


@dataclass(frozen=True)
class Members:
    """How the tasks of a group have ended."""

    done: int
    failed: tuple[str, ...]
    """Their names."""
    is_all: bool = True
    """False: there may be more, which were too many to look at."""


@dataclass(frozen=True)
class Known:
    """What is known of a notice when it is told."""

    facts: Fields
    """As the node wrote them."""
    record: TryRecord | None = None
    """Of its try, which says the same where it is there."""
    log: bytes = b""
    """The end of its log."""
    members: Members | None = None
    """Of its group, where all of that has ended."""


@dataclass(frozen=True)
class Teller:
    """Tells of one spool in one language."""

    spool: str
    """As people call it."""
    language: Language
    scrub: Callable[[str], str]
    """Takes addresses out of a text."""

    def message(self, notice: NoticeName, known: Known, now_s: float) -> Message:
        """One thing, whole.

        Args:
            notice: what it is.
            known: of it.
            now_s: epoch seconds.
        """
        match notice.what:
            case What.ENDED:
                title, lines, is_bad = self._ended(known)
            case What.GROUP:
                title, lines, is_bad = self._group(known)
            case What.QUEUE:
                title, lines, is_bad = self._queue(known)
            case What.AGENT:
                title, lines, is_bad = self._agent(known, now_s)
        text = "\n".join(self.scrub(line) for line in lines)
        return Message(_clean(self.scrub(f"[{printable(self.spool, 60)}] {title}")), _clean(text), is_bad)

    def digest(self, messages: Sequence[Message]) -> Message:
        """Several in one, a line each."""
        bad = sum(one.failed for one in messages)
        lines = [one.title.partition("] ")[2] for one in (*_of(messages, bad=True), *_of(messages, bad=False))]
        more = len(lines) - DIGEST_LINES
        if more > 0:
            lines = [*lines[:DIGEST_LINES], self._say(f"… and {more} more", f"……另有 {more} 条")]
        count = len(messages)
        title = self._say(f"{count} messages, {bad} of failures", f"{count} 条消息，其中失败 {bad} 条")
        return Message(_clean(f"[{printable(self.spool, 60)}] {title}"), "\n".join(lines), bad > 0)

    def trial(self, label: str, host: str) -> Message:
        """What ``--check`` sends."""
        title = self._say(f"a trial for {label}", f"{label} 的测试消息")
        body = self._say(
            f"gpu-queue on {host} reaches this address by the label {label}.",
            f"{host} 上的 gpu-queue 可以通过标签 {label} 送达此地址。",
        )
        return Message(f"[gpu-queue] {title}", body)

    def _say(self, english: str, chinese: str) -> str:
        return chinese if self.language == "zh" else english

    # -- what has happened -----------------------------------------------------------------------------------------

    def _ended(self, known: Known) -> tuple[str, list[str], bool]:
        facts, record = known.facts, known.record
        task_id = facts.name("id")
        name = printable(facts.text("name", 120) or short_name(task_id), 120)
        outcome = (record.outcome if record is not None else "") or facts.text("outcome")
        error = (record.error_type if record is not None else "") or facts.text("error_type", 40)
        is_bad = facts.text("to") != State.DONE.value
        said = [self._line("task", "任务", short_name(task_id, name))]
        if facts.count("try") > 1:
            said.append(self._line("try", "第几次", str(facts.count("try"))))
        group = facts.inner("group")
        part = group.text("run", 120) or group.text("title", 120)
        if part and part != name:
            said.append(self._line("part of", "属于", " / ".join(filter(None, (group.text("title", 120), part)))))
        said.append(self._line("user", "用户", facts.text("user", 60)))
        gpus = ",".join(map(str, facts.integers("gpu_indices")[:64]))
        said.append(self._line("node", "节点", facts.text("node", 100) + (f", GPU {gpus}" if gpus else "")))
        duration_s = facts.number("duration_s")
        took = format_duration(duration_s) if duration_s is not None and duration_s >= 0 else ""
        ended = facts.text("ended_at", 40)
        said.append(self._line("took", "用时", took + (f" ({ended})" if took and ended else "")))
        said.append(self._line("why", "原因", printable(facts.text("reason", 500), 500)))
        lines = [line for line in said if line]
        tail = _tail(known.log)
        if tail:
            lines += ["", self._say("the end of its log:", "日志末尾："), *tail]
        return f"{name} {self._outcome(outcome, error)}", lines, is_bad

    def _outcome(self, outcome: str, error: str) -> str:
        failed = _FAILED.fullmatch(outcome)
        if failed is not None:
            kind = "" if error in ("", "unknown") else error
            english = f"failed: {kind} (exit {failed[1]})" if kind else f"failed (exit {failed[1]})"
            return self._say(
                english, f"失败：{kind}（退出状态 {failed[1]}）" if kind else f"失败（退出状态 {failed[1]}）"
            )
        words = {
            "succeeded": "is done",
            "stopped": "was stopped",
            "timeout": "ran out of its time",
            "lost": "is lost",
        }
        words |= {"not started": "could not be started", "refused": "was refused"}
        return self._say(words.get(outcome, outcome), _OUTCOMES_ZH.get(outcome, outcome))

    def _group(self, known: Known) -> tuple[str, list[str], bool]:
        group = known.facts.inner("group")
        title = group.text("title", 120) or known.facts.text("name", 120) or short_name(known.facts.name("id"))
        members = known.members or Members(0, ())
        done, failed = members.done, len(members.failed)
        least = "" if members.is_all else self._say("at least ", "至少 ")
        head = self._say(
            f"all of {title} has ended: {least}{done} done, {failed} failed",
            f"{title} 全部结束：{least}完成 {done}，失败 {failed}",
        )
        lines = [self._line("failed", "失败", printable(one, 120)) for one in members.failed[:NAMED_MAX]]
        if failed > NAMED_MAX:
            lines.append(self._say(f"… and {failed - NAMED_MAX} more", f"……另有 {failed - NAMED_MAX} 个"))
        if group.text("kind") == "experiment":
            lines.append(f"gpu-queue report {printable(title)}")
        return head, lines or [head], failed > 0

    def _queue(self, known: Known) -> tuple[str, list[str], bool]:
        queue = known.facts.inner("queue")
        name, done, failed = queue.text("name", 80), queue.count("done"), queue.count("failed")
        last = short_name(known.facts.name("id"), known.facts.text("name", 120))
        head = self._say(
            f"queue {name} has ended: {done} done, {failed} failed",
            f"队列 {name} 已结束：完成 {done}，失败 {failed}",
        )
        return head, [self._line("last", "最后一个", last)], failed > 0

    def _agent(self, known: Known, now_s: float) -> tuple[str, list[str], bool]:
        facts = known.facts
        node, running = facts.text("node", 100), facts.count("running")
        ends_s = facts.moment_s("ends_at")
        left = format_duration(max(0.0, ends_s - now_s)) if ends_s is not None else ""
        title = self._say(f"the agent on {node} ends in {left}", f"{node} 上的 agent 将在 {left} 后结束")
        waits = facts.text("at_end") != "stop"
        what = self._say(
            f"{running} tasks run there; they {'may end before it does' if waits else 'go back to the queue then'}",
            f"那里有 {running} 个任务在运行；" + ("会等它们结束" if waits else "届时它们回到队列"),
        )
        return title, [what, self._line("end", "结束时间", facts.text("ends_at", 40))], False

    def _line(self, english: str, chinese: str, text: str) -> str:
        if not text:
            return ""
        return f"{chinese}：{text}" if self.language == "zh" else f"{english}: {text}"


def _of(messages: Sequence[Message], *, bad: bool) -> list[Message]:
    return [one for one in messages if one.failed is bad]


def _clean(text: str) -> str:
    """Text that any service takes: whole characters, no controls but line ends."""
    return "\n".join(printable(line, 1000) for line in text.encode("utf-8", "replace").decode().split("\n"))


def _tail(log: bytes) -> list[str]:
    """The last lines of a log, as they would stand on a terminal: of a progress bar its last state."""
    text = _ESCAPE.sub("", log.decode("utf-8", "replace"))
    lines = [line.rstrip("\r").rpartition("\r")[2].rstrip() for line in text.split("\n")]
    lines = [printable(line.expandtabs(4), LOG_LINE_MAX) for line in lines if line.strip()]
    return lines[-LOG_LINES:]
