"""How the settings of config.yaml are called and explained to people, in English and Chinese, and grouped.

The table of settings has their meanings in English; what stands here goes beside it.  Only pages read it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Label:
    """What one setting is called."""

    key: str
    """In config.yaml."""
    en: str
    zh: str
    meaning_zh: str
    """As in docs/zh-CN/settings.md."""


@dataclass(frozen=True)
class Group:
    """Settings that belong together."""

    name: str
    en: str
    zh: str
    labels: tuple[Label, ...]
    """In the order in which they are shown."""


GROUPS: tuple[Group, ...] = (
    Group("tasks", "Tasks", "任务", (
        Label("default_gpus", "GPUs of a task", "任务的 GPU 数", "没有说明的任务得到几张 GPU"),
        Label("cpu_slots", "Tasks without GPUs", "不用 GPU 的任务数", "不需要 GPU 的任务同时运行几个；0：此节点不运行这类任务"),
        Label("retries", "Retries", "失败后重试次数", "没有说明的任务失败后再试几次"),
        Label("retry_delay", "Delay before a retry", "重试前等待", "第一次重试之前等多久；之后加倍，最多 1 小时"),
        Label("max_lost", "Lost tries", "丢失次数上限", "随 shim 或节点丢失多少次后放弃该任务"),
        Label("max_again", "Run again", "再次运行次数上限", "要求再次运行或已保存进度的任务，一天内最多再运行几次"),
        Label("infeasible", "Tasks that cannot run", "无法运行的任务", "本节点永远不可能运行的任务：`wait`（等别的节点）或 `fail`"),
        Label("stop_grace", "Grace of a stop", "停止任务的宽限时间", "停止任务时 TERM 与 KILL 之间"),
        Label("log", "Way of the output", "输出的写法", "`pump`：任务的输出经过一个进程，磁盘满时丢弃输出而不让训练因日志而终止"),
        Label("snapshot_dir", "Snapshot copies", "快照副本目录", "`--snapshot` 任务运行所用的副本放在哪里；应为空间足够的本地磁盘"),
        Label("slurm_environment", "Slurm environment", "Slurm 环境", "带 `#SBATCH` 或 `#PBS` 行的脚本所依赖的东西：它的变量，以及单节点的 `srun`；`off`：任务继承 agent 所在作业的变量"),
    )),
    Group("keepalive", "Keep-alive", "保活", (
        Label("keepalive.enabled", "Keep-alive", "保活", "让空闲的 GPU 保持忙碌"),
        Label("keepalive.engine", "Engine", "引擎", "用什么保持忙碌：`matmul`、`zeros`、`spin`（模拟 GPU 用 `cpu`）"),
        Label("keepalive.gpu_util_target", "Band, lower end", "利用率区间下限", "要保持的区间的下限"),
        Label("keepalive.gpu_util_high", "Band, upper end", "利用率区间上限", "区间的上限"),
        Label("keepalive.gpu_util_threshold", "Threshold", "追赶阈值", "利用率（%）低于它时立即追上"),
        Label("keepalive.memory_usage_target", "Memory held", "占用的显存", "保活占用的显存比例"),
        Label("keepalive.quiet_hours", "Quiet hours", "休息时段", "何时休息（节点的本地时间）：`22:00-07:00`、`mon-fri 09:00-18:00`"),
        Label("keepalive.hold_leased", "Hold GPUs of tasks", "任务闲置的 GPU", "任务占着却闲置的 GPU 也保持忙碌；`auto`：仅在独占节点上（`--sweep`）"),
        Label("keepalive.hold_leased_after", "Hold them after", "闲置多久之后", "闲置这么久之后"),
        Label("keepalive.quiet_before", "Quiet before", "保活前的安静时间", "来历不明的 GPU 要安静这么久之后才保活（任务结束后：1 秒）"),
        Label("keepalive.python", "Python with torch", "带 torch 的 Python", "带有 torch 的 Python，当 agent 自己的没有时"),
    )),
    Group("gpus", "GPUs", "GPU", (
        Label("gpus", "GPUs to serve", "服务的 GPU", "为哪些 GPU 服务：`all`、编号或 UUID"),
        Label("mode", "Mode", "模式", "GPU 归谁：`dedicated`（只归该用户）或 `shared`（几个人共用，见下面各项；没有说 mode 而说了其中一项，就是 `shared`）"),
        Label("foreign_memory", "Memory of somebody else", "他人占用的显存", "没有我们的任务而显存占用超过它的 GPU，算别人的"),
        Label("sweep", "Sweep", "清理", "专用节点：`gpu_stop` 除任务外还结束什么。`gpus`（或不写）：该用户占着 GPU 的无主 Python 进程；`all`：该用户的所有其他 Python 进程，用于只归您的节点（不能写在文件里）"),
        Label("simulate", "Simulated GPUs", "模拟的 GPU", "模拟的 GPU，用于演示和测试：`4` 或 `4x80G`"),
    )),
    Group("shared", "Shared server", "共用的服务器", (
        Label("check_time", "Time between looks", "查看间隔", "shared：每隔多久查看谁在用什么"),
        Label("compete_gpus", "GPUs for tasks", "任务可用的 GPU", "shared：任务可以用哪些 GPU，编号或 UUID；没有说：服务的全部"),
        Label("use_all_gpus", "All GPUs", "使用全部 GPU", "shared：服务的全部，不管 `compete_gpus` 怎么说"),
        Label("gpu_left", "GPUs left to others", "留给他人的 GPU", "shared：给别人留几张 GPU：`2`：列表的最后两张；`free:2`（YAML 里写 `{free: 2}`）：当时空闲的卡中留两张"),
        Label("min_memory", "Free memory needed", "最少空闲显存", "shared：任务没有说需要多少显存时，GPU 至少要有的空闲显存；只写数字时单位是 MB"),
        Label("max_util", "Utilisation of a used GPU", "在用的利用率", "shared：没有我们的任务的 GPU，利用率（%）高于它就算在用"),
        Label("maximize_resource_utilization", "Share GPUs", "共用 GPU", "shared：有您的其他 Python 进程的 GPU 也用；说明了显存的任务可以共用一张卡"),
        Label("max_concurrent", "Tasks at once", "同时运行的任务数", "shared：本节点同时运行几个任务"),
        Label("max_wait_time", "Longest wait", "最长等待", "shared：等他人占用的卡更久的任务算失败"),
        Label("select", "Choice of the GPU", "选择 GPU 的方式", "shared：有几张合适的 GPU 时用哪张：`most_free`（空闲显存最多）、`least_util`（利用率最低）或 `round_robin`（轮流）"),
        Label("process_json", "File of processes", "进程状态文件", "shared：除目录中的那份外，`uni_id.json` 还写到哪里；相对路径从该目录算起"),
        Label("retry_config.max_retry_before_backoff", "Failures before a rest", "休息前的失败次数", "shared：失败的任务立即重试，每失败这么多次之后休息"),
        Label("retry_config.backoff_duration", "Rest", "休息时间", "shared：休息多久"),
        Label("retry_config.max_retries", "Most retries", "重试次数上限", "shared：重试几次之后放弃；`none`：一直试到成功"),
    )),
    Group("end", "End and renewal of agents", "agent 的结束与续约", (
        Label("lifetime", "Lifetime", "寿命", "到时 agent 自行退出；`never` 为永不"),
        Label("auto_shutdown_hours", "Lifetime in hours", "寿命（小时）", "同上，以小时计"),
        Label("at_end", "At the end", "寿命到头时", "寿命到头时：`wait` 等待运行中的任务，`stop` 让它们回到队列"),
        Label("leave_grace", "Grace of a leaving node", "节点收回时的宽限时间", "节点被收回时，同上"),
        Label("renew_per_hour", "Renewals an hour", "每小时续约次数", "对于 `submit.sh --keep N` 保持服务的队列：一小时内最多提交几次，无论结果如何；0：N + 2"),
        Label("renew_after", "Renew after", "多久之后续约", "这样的队列里，一个资源分配服务了这么久，或其寿命的一半之后，提交它的后继"),
    )),
    Group("storage", "Signs of life, storage", "心跳与存储", (
        Label("poll", "Poll", "轮询间隔", "没有事件通知时多久查看一次 pending/"),
        Label("beat", "Sign of life", "心跳间隔", "节点和任务多久发一次心跳"),
        Label("fence_after", "Fence after", "自行结束时限", "在网络存储上，任务这么久没能发出心跳就自行结束"),
        Label("takeover_after", "Takeover after", "接管时限", "节点这么久没有任何动静，它的任务就由别的节点接管；须长于 `fence_after`，所有节点须相同"),
        Label("cache", "Cache of the storage", "存储的缓存时间", "存储可能让别的节点看到多旧的文件状态（NFS：`acregmax`）"),
        Label("settle", "Settling of a drop", "放入文件的静止时间", "手工放入的文件须静止多久"),
        Label("settle_unfinished", "Settling, unfinished", "未写完文件的静止时间", "同上，用于空的或末尾没有换行的文件"),
    )),
    Group("people", "People and directories", "用户与目录", (
        Label("allow_users", "Users whose scripts run", "允许的用户", "除您和目录所有者之外，哪些 uid 的脚本会运行"),
        Label("notify.tasks", "Told of tasks", "任务结束时通知", "每个任务结束时通知谁（任务自己指定的之外）：标签，如 `ops` 或 `ops:failed`（docs/zh-CN/notify.md）"),
        Label("notify.queues", "Told of queues", "队列结束时通知", "串行队列最后一个等待的任务结束时通知谁；`:failed`：其中有任务失败时"),
        Label("notify.groups", "Told of groups", "一组任务结束时通知", "一个实验、命令文件或任务数组的所有任务都结束时通知谁；`:failed`：其中有任务失败时"),
        Label("notify.agents", "Told of agents", "agent 将结束时通知", "agent 快要结束时通知谁"),
        Label("notify.before_end", "Told before the end", "提前多久通知", "提前这么久"),
        Label("work_dir", "Work directory", "工作目录", "用于 `gpu_load`：命令在哪里运行；相对路径从命令文件所在的目录算起，`none` 是该目录的父目录"),
    )),
)  # fmt: skip
DEFAULTS_ZH = {
    "the agent's": "agent 自己的",
    "2s local, 10s network": "本地 2s，网络 10s",
    "in `--local-dir`": "`--local-dir` 里",
}
"""Defaults that are words."""
