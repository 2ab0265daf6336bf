"""What the desk says of a wish, as data: a code and its parameters; here each becomes a sentence in both languages.

What came of a wish about a task, why a script is refused, why a node is not forgotten.  Why a task waits is another
noun (``reasons``).  Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from gpu_queue.phrases import Phrase
from gpu_queue.reasons import Param


class Say(str, Enum):
    """What is said."""

    # Of a task
    NOWHERE = "nowhere"
    RUNS = "runs"  # node
    ENDED = "ended"  # place: directory and name
    NOT_FAILED = "not_failed"  # place
    NOT_MOVED = "not_moved"  # place
    NOT_MOVED_TO = "not_moved_to"  # place: a directory
    NOT_REMOVED = "not_removed"  # place
    REST_NOT_REMOVED = "rest_not_removed"  # task
    NO_FILE = "no_file"  # place
    RUNS_AGAIN = "runs_again"
    WAITS_AGAIN = "waits_again"
    NAME_TAKEN = "name_taken"  # place
    DROP_GONE = "drop_gone"  # place
    PRIORITY_CHANGED = "priority_changed"  # priority
    OTHER_PROTOCOL = "other_protocol"  # node, protocol
    NOT_STOPPED = "not_stopped"  # rounds
    NO_AGENT_THERE = "no_agent_there"  # node
    STORAGE = "storage"  # problem: what the system said
    # Of a name
    NAMELESS = "nameless"
    FITS_NONE = "fits_none"  # states, name
    FITS_SEVERAL = "fits_several"  # name, count, tasks_shown
    FITS_MANY = "fits_many"  # name, count, tasks_shown, more
    NO_PATTERN = "no_pattern"  # states, name
    NO_QUEUE = "no_queue"  # states, queue
    # Of a node that is to be forgotten
    NODE_PROTOCOL = "node_protocol"  # protocol
    NODE_LIVES = "node_lives"  # age_s
    TASK_LIVES = "task_lives"  # task, age_s
    NOT_RENAMED = "not_renamed"  # place
    FITS_NODES = "fits_nodes"  # count, nodes
    NO_NODE = "no_node"
    PUT_AWAY = "put_away"
    NOT_PUT_AWAY = "not_put_away"  # place
    # Of a script that is refused
    EMPTY = "empty"
    TOO_LARGE = "too_large"  # size_bytes, most_bytes
    BINARY = "binary"
    AFTER_DROP = "after_drop"  # name
    RECORD_TOO_LARGE = "record_too_large"  # size_bytes, most_bytes
    # Of a snapshot of its code (docs/snapshots.md)
    CODE_MANY = "code_many"  # place, count, most, largest
    CODE_LARGE = "code_large"  # place, size_bytes, most_bytes, largest
    CODE_LARGE_FILE = "code_large_file"  # place, count, most_bytes, largest
    CODE_OUTSIDE = "code_outside"  # cwd, place
    CODE_HOME = "code_home"  # place
    CODE_UNREAD = "code_unread"  # place, problem
    CODE_CHANGED = "code_changed"  # place
    CODE_SETTING = "code_setting"  # name, said, example


@dataclass(frozen=True)
class Saying:
    """One thing that is said."""

    code: Say
    params: Mapping[str, Param] = field(default_factory=dict)

    @property
    def english(self) -> str:
        """A sentence for people, without a full stop."""
        return WORDS[self.code].filled(self.params)[0]

    @property
    def chinese(self) -> str:
        """The same in Chinese."""
        return WORDS[self.code].filled(self.params)[1]


def say(code: Say, **params: Param) -> Saying:
    """A saying with its parameters, written shortly."""
    return Saying(code, params)


WORDS: Mapping[Say, Phrase] = {
    Say.NOWHERE: Phrase("it is in no directory of the queue any more", "队列的目录中已没有它"),
    Say.RUNS: Phrase("it runs already, on {node}; stop ends it", "它已在 {node} 上运行；可用停止来结束它"),
    Say.ENDED: Phrase("it has ended already: {place}", "它已经结束：{place}"),
    Say.NOT_FAILED: Phrase("it has not failed: {place}", "它没有失败：{place}"),
    Say.NOT_MOVED: Phrase(
        "{place} could not be moved; check that you may write there", "无法移动 {place}；请确认对该目录有写权限"
    ),
    Say.NOT_MOVED_TO: Phrase(
        "it could not be moved to {place}; check that you may write there", "无法移到 {place}；请确认对该目录有写权限"
    ),
    Say.NOT_REMOVED: Phrase(
        "{place} cannot be removed; check that you may write there", "无法删除 {place}；请确认对该目录有写权限"
    ),
    Say.REST_NOT_REMOVED: Phrase(
        "what belongs to {task} cannot be removed; check that you may write there",
        "无法删除属于 {task} 的文件；请确认对该目录有写权限",
    ),
    Say.NO_FILE: Phrase("{place} is no regular file; it stays where it is", "{place} 不是普通文件；保持原样"),
    Say.RUNS_AGAIN: Phrase("it runs again already", "它已再次运行"),
    Say.WAITS_AGAIN: Phrase("it waits again", "它已重新排队"),
    Say.NAME_TAKEN: Phrase(
        "{place} is there already; give one of them another name", "{place} 已存在；请给其中一个改名"
    ),
    Say.DROP_GONE: Phrase(
        "{place} is not there any more; what runs of it has an id of its own now",
        "{place} 已不在；若已运行，它有了自己的编号",
    ),
    Say.PRIORITY_CHANGED: Phrase(
        "its priority has been changed to {priority} since", "它的优先级后来被改为 {priority}"
    ),
    Say.OTHER_PROTOCOL: Phrase(
        "it is on node {node}, which speaks protocol {protocol}; use what came with it",
        "它在节点 {node} 上，该节点使用协议 {protocol}；请用与之配套的版本",
    ),
    Say.NOT_STOPPED: Phrase(
        "it could not be stopped in {rounds} rounds; pause keeps it from starting again",
        "尝试 {rounds} 轮仍未能停止它；暂停队列可避免它再次启动",
    ),
    Say.NO_AGENT_THERE: Phrase(
        "no agent is alive on {node}; should it still run, it ends itself within a minute",
        "{node} 上没有存活的 agent；如果它还在运行，会在一分钟内自行结束",
    ),
    Say.STORAGE: Phrase("the shared directory does not tell: {problem}", "共享目录没有给出结果：{problem}"),
    Say.NAMELESS: Phrase(
        "which task? a name, a part of it, or its six digits", "哪个任务？请给出名称、名称的一部分或六位编号"
    ),
    Say.FITS_NONE: Phrase("no task in {states} is called {name}", "{states} 中没有名为 {name} 的任务"),
    Say.FITS_SEVERAL: Phrase(
        "{name} fits {count} tasks, and nothing was done; name one of them: {tasks_shown}",
        "有 {count} 个任务符合 {name}，未做任何操作；请指明其中一个：{tasks_shown}",
    ),
    Say.FITS_MANY: Phrase(
        "{name} fits {count} tasks, and nothing was done; name one of them: {tasks_shown}, … and {more} more",
        "有 {count} 个任务符合 {name}，未做任何操作；请指明其中一个：{tasks_shown}…… 以及另外 {more} 个",
    ),
    Say.NO_PATTERN: Phrase("no task in {states} fits {name}", "{states} 中没有符合 {name} 的任务"),
    Say.NO_QUEUE: Phrase(
        "no task in {states} is in the queue {queue}; the snapshot's queues have their whole names",
        "{states} 中没有属于队列 {queue} 的任务；快照中的队列用的是完整名称",
    ),
    Say.NODE_PROTOCOL: Phrase(
        "it speaks protocol {protocol}; use what came with it", "它使用协议 {protocol}；请用与之配套的版本"
    ),
    Say.NODE_LIVES: Phrase(
        "it gave a sign of life {age_s:duration} ago; shutdown ends agents; "
        "if you know that it is dead, forget it by force",
        "它在 {age_s:duration} 前还有响应；用“关闭”可以结束其 agent；如确知它已失效，请强制移除",
    ),
    Say.TASK_LIVES: Phrase(
        "{task} gave a sign of life there {age_s:duration} ago; if you know that it is dead, forget it by force",
        "{task} 在 {age_s:duration} 前还在那里运行；如确知它已失效，请强制移除",
    ),
    Say.NOT_RENAMED: Phrase(
        "{place} could not be renamed; check that you may write there", "无法重命名 {place}；请确认对该目录有写权限"
    ),
    Say.FITS_NODES: Phrase(
        "it fits {count} nodes, and nothing was done: {nodes}", "有 {count} 个节点符合，未做任何操作：{nodes}"
    ),
    Say.NO_NODE: Phrase("no node is called so", "没有叫这个名字的节点"),
    Say.PUT_AWAY: Phrase("it was put away already", "它此前已被移除"),
    Say.NOT_PUT_AWAY: Phrase(
        "{place} could not be put away; check that you may write there", "无法移走 {place}；请确认对该目录有写权限"
    ),
    Say.EMPTY: Phrase("is empty", "脚本是空的"),
    Say.TOO_LARGE: Phrase(
        "has {size_bytes} bytes; a script has at most {most_bytes}",
        "脚本有 {size_bytes} 字节；最多 {most_bytes} 字节",
    ),
    Say.BINARY: Phrase("is a binary, no script", "是二进制文件，不是脚本"),
    Say.AFTER_DROP: Phrase(
        "{name} was dropped by hand and has no id before it runs",
        "{name} 是手工放入的，运行之前没有编号",
    ),
    Say.RECORD_TOO_LARGE: Phrase(
        "its record would have {size_bytes} bytes of at most {most_bytes}; "
        "name fewer tasks in after, give fewer arguments",
        "它的记录将有 {size_bytes} 字节，最多 {most_bytes} 字节；请减少依赖的任务或参数",
    ),
    Say.CODE_MANY: Phrase(
        "a snapshot of {place} would hold more than {most} files ({count} were found, most of them in {largest}); "
        "leave out what is no code: name it in .gitignore, or in GPU_QUEUE_SNAPSHOT_EXCLUDE='data:*.ckpt'; "
        "or raise GPU_QUEUE_SNAPSHOT_FILES",
        "{place} 的快照将超过 {most} 个文件（找到 {count} 个，最多的在 {largest}）；请排除不属于代码的内容："
        "写入 .gitignore，或写入 GPU_QUEUE_SNAPSHOT_EXCLUDE='data:*.ckpt'；或调大 GPU_QUEUE_SNAPSHOT_FILES",
    ),
    Say.CODE_LARGE: Phrase(
        "a snapshot of {place} would hold {size_bytes:size}, and may hold {most_bytes:size}; the largest: {largest}; "
        "leave out what is no code: name it in .gitignore, or in GPU_QUEUE_SNAPSHOT_EXCLUDE='data:*.ckpt'; "
        "or raise GPU_QUEUE_SNAPSHOT_SIZE",
        "{place} 的快照将有 {size_bytes:size}，最多 {most_bytes:size}；最大的：{largest}；"
        "请排除不属于代码的内容：写入 .gitignore，或写入 "
        "GPU_QUEUE_SNAPSHOT_EXCLUDE='data:*.ckpt'；或调大 GPU_QUEUE_SNAPSHOT_SIZE",
    ),
    Say.CODE_LARGE_FILE: Phrase(
        "a snapshot of {place} would hold files of more than {most_bytes:size}, {count} of them; the largest: "
        "{largest}; leave out what is no code: name it in .gitignore, or in "
        "GPU_QUEUE_SNAPSHOT_EXCLUDE='data:*.ckpt'; or raise GPU_QUEUE_SNAPSHOT_FILE_SIZE",
        "{place} 的快照将含有 {count} 个超过 {most_bytes:size} 的文件；最大的：{largest}；"
        "请排除不属于代码的内容：写入 .gitignore，或写入 "
        "GPU_QUEUE_SNAPSHOT_EXCLUDE='data:*.ckpt'；或调大 GPU_QUEUE_SNAPSHOT_FILE_SIZE",
    ),
    Say.CODE_OUTSIDE: Phrase(
        "it runs in {cwd}, which lies outside of {place}, of which a snapshot would be taken; submit it from within "
        "the tree that it runs in",
        "它在 {cwd} 中运行，该目录不在要做快照的 {place} 之内；请在它运行所在的目录树内提交",
    ),
    Say.CODE_HOME: Phrase(
        "{place} is no directory of which a snapshot is taken; go into the project's directory, or `git init` there",
        "不会为 {place} 做快照；请进入项目目录，或在其中执行 `git init`",
    ),
    Say.CODE_SETTING: Phrase(
        "{name}={said} cannot be obeyed; expected for example {example}", "无法理解 {name}={said}；应如 {example}"
    ),
    Say.CODE_UNREAD: Phrase(
        "no snapshot of {place} could be taken: {problem}",
        "无法为 {place} 做快照：{problem}",
    ),
    Say.CODE_CHANGED: Phrase(
        "{place} was changed while its snapshot was taken; submit it again",
        "{place} 在做快照期间被修改；请重新提交",
    ),
}
