"""Reasons in words, in English and Chinese: the one place where a code becomes a sentence.  Pure."""

from __future__ import annotations

from collections.abc import Callable
from itertools import zip_longest
from typing import Literal

from gpu_queue.reasons import Bar, Code, Reason
from gpu_queue.shell import SUBMIT_TYPED
from gpu_queue.states import GpuState
from gpu_queue.task import ErrorType, short_name
from gpu_queue.units import format_clock, format_duration, format_exact_duration, format_size

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")
_STATES_ZH = {"busy": "在用", "foreign": "被他人占用", "lost": "失联", "unknown": "状态未知"}
_BARS = {
    Bar.LEFT: ("left to others", "留给他人"),
    Bar.STRANGER: ("used by somebody else", "有他人在用"),
    Bar.PYTHON: ("with another Python process of yours", "有你的其他 Python 进程"),
    Bar.USED: ("above max_util", "利用率高于 max_util"),
    Bar.LITTLE: ("with too little free memory", "空闲显存不足"),
}
_KINDS_ZH = {
    "symbolic link": "符号链接",
    "directory": "目录",
    "FIFO": "命名管道",
    "socket": "套接字",
    "device": "设备文件",
}


def language_of(locale: str) -> Language:
    """The language for a locale's name (``zh_CN.UTF-8``): Chinese, or else English."""
    return "zh" if locale.lower().startswith("zh") else "en"


def in_words(reason: Reason, language: Language = "en") -> str:
    """A sentence for people, without a full stop.

    Args:
        reason: why a task waits.
        language: ``en`` or ``zh``.
    """
    english, chinese = _WORDS[reason.code]
    return chinese(reason) if language == "zh" else english(reason)


def bar_in_words(word: str, language: Language = "en") -> str:
    """Why a GPU of a shared server is not given, for people; a word that this version does not know as it is."""
    both = {bar.value: words for bar, words in _BARS.items()}.get(word, (word, word))
    return both[LANGUAGES.index(language)]


def _gpus(count: float) -> str:
    return f"{count:.0f} GPU{'s' * (count != 1)}"


def _task(reason: Reason, name: str) -> str:
    """The task that a parameter names; empty where it names none."""
    return short_name(reason.text(name), reason.text(f"{name}_title"))


def _tasks(reason: Reason) -> str:
    ids = reason.items("tasks")
    titled = zip_longest(ids, reason.items("titles")[: len(ids)], fillvalue="")
    return ", ".join(short_name(name, title) for name, title in titled)


def _asked(reason: Reason) -> str:
    devices = reason.items("devices")
    return f"GPU {', '.join(devices)}" if devices else _gpus(reason.number("needed"))


def _others(reason: Reason, language: int) -> list[str]:
    """How many GPUs are in each state but idle, and of those that are barred why."""
    words = [
        (state.value, (state.value, _STATES_ZH[state.value])) for state in GpuState if state is not GpuState.IDLE
    ]
    words += [(bar.value, both) for bar, both in _BARS.items()]
    counts = [(int(reason.number(name)), both[language]) for name, both in words]
    return [f"{count} {'张' * language}{word}" for count, word in counts if count]


def _gpus_en(reason: Reason) -> str:
    others = ", ".join(_others(reason, 0))
    return f"waits for {_asked(reason)}: {reason.number('idle'):.0f} idle" + (f" ({others})" if others else "")


def _gpus_zh(reason: Reason) -> str:
    devices = reason.items("devices")
    asked = f"GPU {', '.join(devices)}" if devices else f"{reason.number('needed'):.0f} 张 GPU"
    others = "，".join(_others(reason, 1))
    return f"等待 {asked}：空闲 {reason.number('idle'):.0f} 张" + (f"（{others}）" if others else "")


def _reserve_en(reason: Reason) -> str:
    idle, left = reason.number("idle"), reason.number("left")
    stay = "stays" if left == 1 else "stay"
    return f"waits for {_gpus(reason.number('needed'))}: {idle:.0f} idle, of which {left:.0f} {stay} free for others"


def _reserve_zh(reason: Reason) -> str:
    idle, left = reason.number("idle"), reason.number("left")
    return f"等待 {reason.number('needed'):.0f} 张 GPU：空闲 {idle:.0f} 张，其中 {left:.0f} 张留给他人"


def _concurrent_en(reason: Reason) -> str:
    most = reason.number("most")
    if not most:
        return "this node runs no tasks with GPUs (max_concurrent: 0)"
    return f"{most:.0f} task{'s' * (most != 1)} with GPUs run here, and no more at once (max_concurrent)"


def _concurrent_zh(reason: Reason) -> str:
    most = reason.number("most")
    if not most:
        return "本节点不运行需要 GPU 的任务（max_concurrent: 0）"
    return f"本节点同时最多运行 {most:.0f} 个需要 GPU 的任务（max_concurrent）"


def _infeasible_en(reason: Reason) -> str:
    left = reason.number("left")
    told = f"needs {_gpus(reason.number('needed'))}; this node serves {reason.number('served'):.0f}"
    return told + (f" and leaves {left:.0f} of them to others" if left else "")


def _infeasible_zh(reason: Reason) -> str:
    left = reason.number("left")
    told = f"需要 {reason.number('needed'):.0f} 张 GPU；本节点提供 {reason.number('served'):.0f} 张"
    return told + (f"，其中 {left:.0f} 张留给他人" if left else "")


def _waited_en(reason: Reason) -> str:
    waited, most = (format_duration(reason.number(name)) for name in ("waited_s", "most_s"))
    return f"others have held what it needs for {waited}, longer than max_wait_time ({most})"


def _waited_zh(reason: Reason) -> str:
    waited, most = (format_duration(reason.number(name)) for name in ("waited_s", "most_s"))
    return f"所需的 GPU 被他人占用已 {waited}，超过 max_wait_time（{most}）"


def _queue_en(reason: Reason) -> str:
    queue, holder, first = reason.text("queue"), _task(reason, "holder"), _task(reason, "first")
    if holder:
        return f"queue {queue} is busy with {holder}"
    return f"queue {queue}: {first} comes first" if first else f"queue {queue} is busy"


def _queue_zh(reason: Reason) -> str:
    queue, holder, first = reason.text("queue"), _task(reason, "holder"), _task(reason, "first")
    if holder:
        return f"队列 {queue} 正在运行 {holder}"
    return f"队列 {queue}：先轮到 {first}" if first else f"队列 {queue} 正忙"


def _after_en(reason: Reason) -> str:
    failed = _task(reason, "failed")
    if failed:
        return f"dependency {failed} failed or was cancelled"
    more = reason.number("more")
    return f"waits for {_tasks(reason)}" + (f" and {more:.0f} more" if more else "")


def _after_zh(reason: Reason) -> str:
    failed = _task(reason, "failed")
    if failed:
        return f"所依赖的 {failed} 失败或已取消"
    more = reason.number("more")
    return f"等待 {_tasks(reason)} " + (f"以及另外 {more:.0f} 个任务完成" if more else "完成")


def _cpu_slots_en(reason: Reason) -> str:
    slots = reason.number("slots")
    if not slots:
        return "this node runs no tasks without GPU (cpu_slots: 0)"
    return f"all {slots:.0f} slots for tasks without GPU are taken"


def _cpu_slots_zh(reason: Reason) -> str:
    slots = reason.number("slots")
    if not slots:
        return "本节点不运行不需要 GPU 的任务（cpu_slots: 0）"
    return f"不需要 GPU 的任务的 {slots:.0f} 个名额已满"


def _backoff_en(reason: Reason) -> str:
    if reason.number("again"):
        return f"has asked {reason.number('again'):.0f} times in a row to be run again; is tried in {_left(reason)}"
    failures = reason.number("failures")
    times = "once" if failures == 1 else f"{failures:.0f} times"
    kind = _kind(reason, " (", ")")
    if reason.number("rests"):
        after = f"{failures:.0f} failure{'s' * (failures != 1)}{kind}"
        return f"rests until {format_clock(reason.number('until_s'))} after {after}: {_left(reason)} more"
    return f"failed {times}{kind}; tried again in {_left(reason)}"


def _backoff_zh(reason: Reason) -> str:
    if reason.number("again"):
        return f"已连续 {reason.number('again'):.0f} 次要求再次运行；{_left(reason)} 后再试"
    failed = f"已失败 {reason.number('failures'):.0f} 次{_kind(reason, '（', '）')}"
    if reason.number("rests"):
        return f"{failed}，休息到 {format_clock(reason.number('until_s'))}：还有 {_left(reason)}"
    return f"{failed}；{_left(reason)} 后重试"


def _kind(reason: Reason, before: str, after: str) -> str:
    kind = reason.text("error_type")
    return f"{before}{kind}{after}" if kind and kind != ErrorType.UNKNOWN.value else ""


def _left(reason: Reason) -> str:
    return format_duration(reason.number("left_s"))


def _lifetime_en(reason: Reason) -> str:
    if before_s := reason.number("before_s"):
        return (
            f"it is to be warned {format_exact_duration(before_s)} before its end, which is near on this node "
            f"({_left(reason)}); it waits for the next agent"
        )
    return (
        f"its --time of {format_duration(reason.number('time_s'))} is longer than what remains of this node's "
        f"lifetime ({_left(reason)}); it waits for the next agent"
    )


def _lifetime_zh(reason: Reason) -> str:
    if before_s := reason.number("before_s"):
        return (
            f"它要在结束前 {format_exact_duration(before_s)} 得到提醒，而本节点即将结束（{_left(reason)}）；"
            "等待下一个 agent"
        )
    return (
        f"它的 --time（{format_duration(reason.number('time_s'))}）长于本节点剩余的寿命（{_left(reason)}）；"
        "等待下一个 agent"
    )


def _memory_en(reason: Reason) -> str:
    size = format_size(reason.number("memory_bytes"))
    return f"needs {_gpus(reason.number('needed'))} of {size}; this node has {reason.number('have'):.0f}"


def _memory_zh(reason: Reason) -> str:
    size = format_size(reason.number("memory_bytes"))
    needed, have = reason.number("needed"), reason.number("have")
    return f"需要 {needed:.0f} 张显存不少于 {size} 的 GPU；本节点有 {have:.0f} 张"


def _gang_en(reason: Reason) -> str:
    nodes, have = reason.number("nodes"), reason.number("have")
    who = ", ".join(reason.items("who"))
    told = f"assembles on {nodes:.0f} nodes: {have:.0f} of {nodes:.0f} {'has' if have == 1 else 'have'} its GPUs"
    return told + (f" ({who})" if who else "")


def _gang_zh(reason: Reason) -> str:
    who = "，".join(reason.items("who"))
    told = f"正在 {reason.number('nodes'):.0f} 个节点上集合：{reason.number('have'):.0f} 个节点已备好 GPU"
    return told + (f"（{who}）" if who else "")


def _nodes_infeasible_en(reason: Reason) -> str:
    needed, served = reason.number("needed"), reason.number("served")
    return f"needs {needed:.0f} nodes; {served:.0f} that {'is' if served == 1 else 'are'} alive can serve it"


def _nodes_infeasible_zh(reason: Reason) -> str:
    needed, served = reason.number("needed"), reason.number("served")
    return f"需要 {needed:.0f} 个节点；存活的节点中有 {served:.0f} 个能够提供"


def _pinned_en(reason: Reason) -> str:
    served = ", ".join(reason.items("served")) or "none"
    return (
        f"its script sets CUDA_VISIBLE_DEVICES to GPU {', '.join(reason.items('devices'))}; this node serves {served}"
    )


def _pinned_zh(reason: Reason) -> str:
    served = ", ".join(reason.items("served")) or "无"
    return f"脚本把 CUDA_VISIBLE_DEVICES 设为 GPU {', '.join(reason.items('devices'))}；本节点提供：{served}"


def _settling_en(reason: Reason) -> str:
    if reason.number("copy"):
        return "it is a copy of a task that has ended; settling"
    return "settling: its writer may not have finished"


def _settling_zh(reason: Reason) -> str:
    return "它是一个已结束任务的副本；等待写完" if reason.number("copy") else "等待写完：写入者可能尚未写完"


_DRAINING = {
    "lifetime": ("its lifetime is over: it ends with its running tasks", "寿命已到：正在运行的任务结束后退出"),
    "shutdown": (
        "gpu_shutdown --wait: it ends with its running tasks",
        "gpu_shutdown --wait：正在运行的任务结束后退出",
    ),
    "unkept": (
        "the queue is kept no longer, and this allocation was its next: it ends",
        "队列不再保持服务，而这是它的下一个资源分配：现在结束",
    ),
    "workless": (
        "the queue is kept as long as there is work, and there is none: it ends",
        "队列只在有任务时保持服务，现在没有任务：结束",
    ),
    "empty": ("nothing waits and nothing runs (--until-empty)", "没有等待和运行中的任务（--until-empty）"),
}
_LEAVING = {
    "signal": ("told to end by a signal: running tasks go back to pending", "收到结束信号：运行中的任务回到 pending"),
    "shutdown": ("gpu_shutdown: running tasks go back to pending", "gpu_shutdown：运行中的任务回到 pending"),
    "lifetime": ("its lifetime is over: running tasks go back to pending", "寿命已到：运行中的任务回到 pending"),
}


def _by(reason: Reason) -> str:
    return reason.text("by") or "gpu_resume ends it"


def _by_zh(reason: Reason) -> str:
    return reason.text("by") or "gpu_resume 可恢复"


def _draining_en(reason: Reason) -> str:
    known = _DRAINING.get(reason.text("cause"))
    return known[0] if known else f"the spool is draining ({_by(reason)})"


def _draining_zh(reason: Reason) -> str:
    known = _DRAINING.get(reason.text("cause"))
    return known[1] if known else f"队列正在排空（{_by_zh(reason)}）"


def _leaving(reason: Reason, language: int) -> str:
    return _LEAVING.get(reason.text("cause"), ("the agent is leaving", "agent 正在退出"))[language]


def _not_a_file_zh(reason: Reason) -> str:
    kind = reason.text("kind")
    return f"已忽略：它是{_KINDS_ZH.get(kind, kind)}；应为普通文件"


_WORDS: dict[Code, tuple[Callable[[Reason], str], Callable[[Reason], str]]] = {
    Code.GPUS: (_gpus_en, _gpus_zh),
    Code.BEHIND: (
        lambda one: f"comes after {_task(one, 'first')}, which waits for GPUs",
        lambda one: f"排在 {_task(one, 'first')} 之后，后者在等待 GPU",
    ),
    Code.RESERVE: (_reserve_en, _reserve_zh),
    Code.CONCURRENT: (_concurrent_en, _concurrent_zh),
    Code.CPU_SLOTS: (_cpu_slots_en, _cpu_slots_zh),
    Code.QUEUE: (_queue_en, _queue_zh),
    Code.AFTER: (_after_en, _after_zh),
    Code.BACKOFF: (_backoff_en, _backoff_zh),
    Code.NOT_STARTED: (
        lambda one: f"could not be started here; tried again in {_left(one)}",
        lambda one: f"在本节点未能启动；{_left(one)} 后再试",
    ),
    Code.LIFETIME: (_lifetime_en, _lifetime_zh),
    Code.GANG: (_gang_en, _gang_zh),
    Code.ASSEMBLING: (
        lambda one: f"waits for {_task(one, 'first')}, which assembles its nodes first",
        lambda one: f"等待 {_task(one, 'first')}：它先集合所需的节点",
    ),
    Code.NODES_INFEASIBLE: (_nodes_infeasible_en, _nodes_infeasible_zh),
    Code.ENDING: (
        lambda _: "its last try is still ending on this node",
        lambda _: "它的上一次运行还在本节点上收尾",
    ),
    Code.NEXT: (lambda _: "it starts at the next step", lambda _: "即将启动"),
    Code.INFEASIBLE: (_infeasible_en, _infeasible_zh),
    Code.MEMORY: (_memory_en, _memory_zh),
    Code.PINNED: (_pinned_en, _pinned_zh),
    Code.WAITED: (_waited_en, _waited_zh),
    Code.SETTLING: (_settling_en, _settling_zh),
    Code.UNREAD: (lambda _: "it was not read yet", lambda _: "尚未读取"),
    Code.OWNER: (
        lambda one: f"ignored: it belongs to uid {one.number('uid'):.0f}, who may not run tasks here",
        lambda one: f"已忽略：它属于 uid {one.number('uid'):.0f}，该用户不得在此运行任务",
    ),
    Code.NOT_A_FILE: (
        lambda one: f"ignored: it is a {one.text('kind')}; expected a regular file",
        _not_a_file_zh,
    ),
    Code.OURS: (
        lambda _: "ignored: an agent or a client of the queue wrote it (it has the sticky bit), and no user a script",
        lambda _: "已忽略：它由 agent 或客户端写成（带有粘滞位），不是用户的脚本",
    ),
    Code.SCRIPT: (lambda one: one.text("problem"), lambda one: f"脚本无法运行：{one.text('problem')}"),
    Code.STORAGE: (
        lambda one: f"cannot be looked at: {one.text('problem')}",
        lambda one: f"无法查看：{one.text('problem')}",
    ),
    Code.PAUSED: (
        lambda one: f"the spool is paused ({_by(one)})",
        lambda one: f"队列已暂停（{_by_zh(one)}）",
    ),
    Code.DRAINING: (_draining_en, _draining_zh),
    Code.LEAVING: (lambda one: _leaving(one, 0), lambda one: _leaving(one, 1)),
    Code.NO_AGENT: (
        lambda _: f"no agent is alive; start one with {SUBMIT_TYPED}",
        lambda _: f"没有存活的 agent；用 {SUBMIT_TYPED} 启动一个",
    ),
    Code.SILENT: (
        lambda one: f"{one.text('node')} has not been heard of for {format_duration(one.number('silent_s'))}",
        lambda one: f"{one.text('node')} 已 {format_duration(one.number('silent_s'))} 没有音讯",
    ),
    Code.OTHER: (lambda one: one.text("text"), lambda one: one.text("text")),
}
