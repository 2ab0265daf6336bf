"""What a load does, as a sentence in both languages.  Pure."""

from __future__ import annotations

from collections.abc import Mapping

from gpu_queue.console.models.common import Words
from gpu_queue.console.models.jobfiles import WorkDir

_EN = {
    "new": "new",
    "changed": "changed",
    "again": "once more",
    "moved": "queued anew, for the order",
    "retried": "tried again",
    "waits": "waiting already",
    "runs": "running",
    "done": "done",
    "failed": "failed",
    "later": "to be queued by a later load",
}
_ZH = {
    "new": "新增",
    "changed": "有改动",
    "again": "再次运行",
    "moved": "为保持顺序重新排队",
    "retried": "重试",
    "waits": "已在等待",
    "runs": "正在运行",
    "done": "已完成",
    "failed": "已失败",
    "later": "留待以后加载",
}
_QUEUED = ("new", "changed", "again", "moved", "retried")


def sentence(
    counts: Mapping[str, int], queues: int, taken: int, work_dir: WorkDir, *, starts_agent: bool, agents: int
) -> Words:
    """The plan of a load.

    Args:
        counts: of its tasks, by what is new of them.
        queues: in so many of them.
        taken: waiting ones are taken out.
        work_dir: where commands run.
        starts_agent: nobody serves the queue, and an agent is started.
        agents: so many serve it now.
    """
    queued = {news: count for news in _QUEUED if (count := counts.get(news, 0))}
    stays = {news: count for news in _EN if news not in _QUEUED and (count := counts.get(news, 0))}
    total, kept = sum(queued.values()), sum(stays.values())
    parts = [f"{_tasks(total)} queued: {_list(queued, _EN)}" if total else "nothing is queued"]
    parts_zh = [f"排队 {total} 个任务：{_list(queued, _ZH, '，')}" if total else "没有任务需要排队"]
    if total and queues:
        parts[0] += f", in {queues} queue{'s' if queues > 1 else ''}"
        parts_zh[0] += f"，共 {queues} 个队列"
    if taken:
        parts.append(f"{_tasks(taken)} taken out that wait")
        parts_zh.append(f"取出 {taken} 个等待中的任务")
    if kept:
        parts.append(f"{_stay(kept)}: {_list(stays, _EN)}")
        parts_zh.append(f"{kept} 个保持不变：{_list(stays, _ZH, '，')}")
    if total:
        parts.append(work_dir.text.en)
        parts_zh.append(work_dir.text.zh)
    if starts_agent:
        parts.append("no agent serves the queue, so one is started on the console's machine")
        parts_zh.append("没有 agent 服务此队列，将在控制台所在机器上启动一个")
    elif not agents and total:
        parts.append("no agent serves the queue, so they wait")
        parts_zh.append("没有 agent 服务此队列，任务将等待")
    return Words(en="; ".join(parts), zh="；".join(parts_zh))


def _tasks(count: int) -> str:
    return "1 task is" if count == 1 else f"{count} tasks are"


def _stay(count: int) -> str:
    return "1 stays as it is" if count == 1 else f"{count} stay as they are"


def _list(counts: Mapping[str, int], names: Mapping[str, str], between: str = ", ") -> str:
    return between.join(f"{count} {names[news]}" for news, count in counts.items())
