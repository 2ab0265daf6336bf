"""What the console itself says, by its codes: of plans and what is shown, and of requests that it refuses.

What the desk says is in ``sayings``, why a task waits in ``words``.  Other people's words stay as they are: a
parameter ``problem``, ``reason`` or ``said`` holds them.  Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

from gpu_queue.phrases import Phrase

NOTES: Mapping[str, Phrase] = {
    # Why a plan does nothing with a task
    "has_priority": Phrase("it has that priority", "优先级已是这个值"),
    "waits_already": Phrase("it waits already", "已在等待"),
    "runs": Phrase("it runs on {node}", "正在 {node} 上运行"),
    "runs_stop": Phrase("it runs on {node}; stop ends it", "正在 {node} 上运行；可用“停止”结束它"),
    "is_done": Phrase("it is done", "已经完成"),
    "has_failed": Phrase("it has failed", "已经失败"),
    # What should be known of a plan
    "not_found": Phrase("in the queue no more: {names}", "已不在队列中：{names}"),
    "not_found_many": Phrase("{count} are in the queue no more: {names} …", "{count} 个已不在队列中：{names} ……"),
    "cut": Phrase(
        "there are more tasks than this console shows ({parts}); those that it does not show are not meant",
        "任务多于本控制台所能显示的（{parts}）；未显示的不在操作范围内",
    ),
    "nodes_silent": Phrase(
        "no agent gives a sign of life on {nodes}: what may still run there ends itself within a minute",
        "{nodes} 上没有 agent 响应：那里可能还在运行的任务会在一分钟内自行结束",
    ),
    "dependents_unread": Phrase(
        "the {count:record|records} of {count} waiting {count:task was|tasks were} not read yet: whether "
        "{count:it comes|they come} after these is not known",
        "还有 {count} 个等待中的任务的记录没有读取：它们是否排在其后尚不清楚",
    ),
    "already_set": Phrase("it is so already, by {by}; your name replaces that", "此前已设置（{by}）；将改为当前用户"),
    "already_set_unsigned": Phrase("it is so already; your name replaces that", "此前已设置；将改为当前用户"),
    "already_off": Phrase("there is nothing to lift", "没有需要解除的"),
    "may_run_twice": Phrase(
        "should one of its tasks live after all, it may run twice for up to a minute",
        "如果它的某个任务其实仍在运行，最多一分钟内可能同时运行两份",
    ),
    "kept": Phrase(
        "another allocation is submitted in its place (submit.sh --keep); shut all down to end that",
        "submit.sh --keep 会再提交一个资源分配来代替它；要停止这一过程，请关闭全部节点",
    ),
    "no_such_node": Phrase("no node is called {node}", "没有名为 {node} 的节点"),
    "node_stopped": Phrase("no agent serves on {node} any more", "{node} 上已没有 agent"),
    "node_gone": Phrase("it was put away already: {node}", "{node} 此前已被移除"),
    "node_alive": Phrase(
        "a moment ago {node} gave a sign of life; Shut down ends its agent",
        "{node} 刚刚还有响应；要结束其 agent，请用“关闭”",
    ),
    # What came of a plan
    "agent_gone": Phrase("the agent that was meant is gone", "原来的 agent 已不在"),
    "agent_said": Phrase("{said}", "agent 的答复：{said}"),
    "tries_lost": Phrase(
        "{count} of its tries {count:counts|count} as lost; agents move {count:it|them} on",
        "它的 {count} 次运行按丢失处理；由其他 agent 接手",
    ),
    "submit_notes": Phrase("{said}", "提交时的提示：{said}"),
    "flag_changed": Phrase(
        "{flag} is not as it was left: somebody has changed it since", "{flag} 已不是当时的样子：后来有人改过"
    ),
    "has_run": Phrase("it has run since", "它后来又运行过"),
    "priority_changed": Phrase("its priority has been changed since", "它的优先级后来又被改过"),
    "cut_short": Phrase("it did not come to its end: {problem}", "没有执行完：{problem}"),
    "file_changed": Phrase(
        "somebody has changed the file since it was looked at; nothing was loaded: look again",
        "文件在查看之后被人改过；没有加载任何内容：请重新查看",
    ),
    "file_bad": Phrase("the file cannot be loaded any more: {problem}", "文件已无法加载：{problem}"),
    "taken_out": Phrase("taken out: gone from the file, or queued anew", "已取出：文件中已没有它，或已重新排队"),
    "newer_began": Phrase(
        "it stays out: a task of the newer load has begun", "不再放回：较新的一次加载中已有任务开始运行"
    ),
    "written_since": Phrase("somebody has written {file} since, or taken it away", "{file} 后来又被人改过或删除"),
    # The policy
    "implied": Phrase("{said}", "agent 会这样理解：{said}"),
    "keepalive_ends": Phrase(
        "keep-alive ends on {count} {count:GPU|GPUs} within seconds", "{count} 张 GPU 的保活将在几秒内结束"
    ),
    "keepalive_begins": Phrase("keep-alive begins on idle GPUs", "空闲 GPU 将开始保活"),
    "mode_changes": Phrase(
        "the mode becomes {mode} with new agents; those that run keep to what they had for the other",
        "mode 由新的 agent 改为 {mode}；运行中的 agent 保持原来的设置",
    ),
    "console_ended": Phrase("the console ended before it was over", "控制台在它完成之前就结束了"),
    # What became of an agent that a console starts, or has started
    "agent_being_started": Phrase(
        "an agent is being started by somebody else for {seconds} s; look again",
        "另有人正在启动 agent，已有 {seconds} 秒；请稍后再看",
    ),
    "agent_serves": Phrase(
        "an agent serves the queue already; none was started", "已有 agent 服务此队列；没有另外启动"
    ),
    "agent_asked_before": Phrase(
        "{way} {id} was asked for before and has not begun yet; none was asked for again",
        "此前已申请 {way} {id}，尚未开始；没有再次申请",
    ),
    "submit_failed": Phrase(
        "{command} ended with status {status}: {problem}", "{command} 以状态 {status} 结束：{problem}"
    ),
    "agent_quiet": Phrase(
        "an agent was started here and has not told of itself yet: {said}",
        "已在本机启动 agent，但它还没有报到：{said}",
    ),
    "agent_asked_for": Phrase(
        "an agent was asked for: {way} {id}; it serves when that begins", "已申请 agent：{way} {id}；开始后即提供服务"
    ),
    "agent_started": Phrase(
        "an agent was started on {node} with {count} {count:GPU|GPUs}",
        "已在 {node} 上启动 agent，使用 {count} 张 GPU",
    ),
    "agent_goes_on": Phrase(
        "the agent on {node} goes on: {count} other {count:task waits or runs|tasks wait or run}",
        "{node} 上的 agent 继续运行：还有 {count} 个其他任务在等待或运行",
    ),
    "agent_told_to_end": Phrase(
        "the agent on {node} was told to end, and has not answered", "已要求 {node} 上的 agent 退出，它尚未答复"
    ),
    "agent_ended": Phrase(
        "the agent on {node}, which the console had started, has ended", "由控制台启动的 {node} 上的 agent 已退出"
    ),
    "broke_off": Phrase("it ended unexpectedly; the console's log says why", "意外中断；原因见控制台的日志"),
    # Scripts that are handed in
    "no_base64": Phrase("its text is no base64", "脚本内容不是 base64"),
    "name_slash": Phrase(
        "{name} cannot be a script's name; expected one without /", "{name} 不能作为脚本名；名称中不能有 /"
    ),
    "name_control": Phrase(
        "{name} cannot be a script's name; expected one without control characters",
        "{name} 不能作为脚本名；名称中不能有控制字符",
    ),
    "crlf": Phrase(
        "its lines end as on Windows (CR LF), which bash takes for a part of the words",
        "它的行尾是 Windows 格式（CR LF），bash 会把 CR 当作内容",
    ),
    # What is shown
    "unread": Phrase("{file} could not be read: {problem}", "无法读取 {file}：{problem}"),
    "no_agent": Phrase("no agent serves this queue: nothing starts", "没有 agent 为此队列服务：不会启动任何任务"),
    "gpu_lost": Phrase("GPU {index} is lost: {problem}", "GPU {index} 失联：{problem}"),
    "gpu_idle_under_task": Phrase(
        "GPU {index} has been below {percent} % under a task", "有任务占用 GPU {index}，但其利用率低于 {percent} %"
    ),
    "keepalive_failed": Phrase(
        "the keep-alive of GPU {index} has failed: {reason}", "GPU {index} 的保活失败：{reason}"
    ),
    "node_silent": Phrase("{title} has given no sign of life", "{title} 一直没有心跳"),
    "node_problem": Phrase("{title} reports: {problem}", "{title} 报告：{problem}"),
    "node_ends_before_tasks": Phrase(
        "{title} ends before {tasks} of its tasks may", "{title} 将在它的 {tasks} 个任务的时限之前结束"
    ),
    "draining": Phrase("agents end with their tasks", "agent 在其任务结束后退出"),
    "paused": Phrase("nothing new starts", "不再启动新任务"),
    "keepalive_off": Phrase("idle GPUs are not kept busy", "空闲 GPU 不再保活"),
    "files_skipped": Phrase("{count} {count:file is|files are} never run", "有 {count} 个文件永远不会运行"),
    "spool_problem": Phrase("{file}: {problem}", "{file} 有问题：{problem}"),
}
"""Codes of ``Note`` and ``Attention``."""

_DONE: Mapping[str, Phrase] = {
    "stop": Phrase("stop {stop} {stop:task|tasks}", "停止 {stop} 个任务"),
    "cancel": Phrase("cancel {cancel} {cancel:task|tasks}", "取消 {cancel} 个任务"),
    "stop_cancel": Phrase("stop {stop} and cancel {cancel} tasks", "停止 {stop} 个、取消 {cancel} 个任务"),
    "retry": Phrase("retry {retry} {retry:task|tasks}", "重试 {retry} 个任务"),
    "priority": Phrase(
        "priority {priority} for {count} {count:task|tasks}", "将 {count} 个任务的优先级设为 {priority}"
    ),
    "explain": Phrase("ask about {count} {count:task|tasks}", "询问 {count} 个任务的原因"),
    "stop_one": Phrase("stop {title}", "停止 {title}"),
    "cancel_one": Phrase("cancel {title}", "取消 {title}"),
    "retry_one": Phrase("retry {title}", "重试 {title}"),
    "priority_one": Phrase("priority {priority} for {title}", "将 {title} 的优先级设为 {priority}"),
    "explain_one": Phrase("ask about {title}", "询问 {title} 的原因"),
    "submit": Phrase("submit {count} {count:task|tasks}", "提交 {count} 个任务"),
    "submit_one": Phrase("submit {title}", "提交 {title}"),
    "load": Phrase("load {file}: {count} {count:task|tasks}", "加载 {file}：{count} 个任务"),
    "stop_agent": Phrase(
        "stop {stop}, cancel {cancel}, end the agent on {node}",
        "停止 {stop} 个、取消 {cancel} 个任务，并结束 {node} 上的 agent",
    ),
    "policy": Phrase("policy: {settings}", "规则：{settings}"),
    "policy_many": Phrase("policy: {count} settings: {settings} …", "规则：{count} 项设置：{settings} ……"),
    "policy_text": Phrase("policy: its text", "规则：文本"),
    "pause": Phrase("pause", "暂停队列"),
    "resume": Phrase("resume", "恢复队列"),
    "drain": Phrase("drain", "排空队列"),
    "keepalive_on": Phrase("keep-alive on", "开启保活"),
    "keepalive_off": Phrase("keep-alive off", "关闭保活"),
    "shutdown": Phrase("shut down {nodes}", "关闭 {nodes}"),
    "shutdown_many": Phrase("shut down {count} nodes: {nodes} …", "关闭 {count} 个节点：{nodes} ……"),
    "forget": Phrase("forget {nodes}", "移除 {nodes}"),
    "forget_many": Phrase("forget {count} nodes: {nodes} …", "移除 {count} 个节点：{nodes} ……"),
}
ACTIONS: Mapping[str, Phrase] = {
    **_DONE,
    **{f"undo_{code}": Phrase(f"undo: {done.en}", f"撤销：{done.zh}") for code, done in _DONE.items()},
}
"""What was changed, in a list of past changes."""

REFUSALS: Mapping[str, Phrase] = {
    # Plans
    "too_many_tasks": Phrase(
        "{count} tasks; expected at most {most}: narrow the filter", "{count} 个任务；最多 {most} 个：请缩小筛选范围"
    ),
    "too_many_tasks.asked": Phrase(
        "{count} tasks; agents are asked about {most} at most", "{count} 个任务；一次最多向 agent 询问 {most} 个"
    ),
    "too_many_tasks.submitted": Phrase(
        "{count} tasks; expected at most {most} at once", "{count} 个任务；一次最多提交 {most} 个"
    ),
    "too_large.scripts": Phrase(
        "{size_bytes} bytes of scripts; expected at most {most_bytes} together",
        "脚本共 {size_bytes} 字节；合计最多 {most_bytes} 字节",
    ),
    "no_priority": Phrase(
        "priority is missing; expected 0 to 999, smaller runs first", "缺少优先级；应为 0 到 999，小的先运行"
    ),
    "no_node": Phrase(
        "nodes is empty; expected the names of those that are to be forgotten", "没有指明节点；应为要移除的节点名"
    ),
    "no_script": Phrase("scripts is empty; expected at least one", "没有脚本；至少要有一个"),
    "nothing_to_do": Phrase(
        "nothing would happen, or a script can never run", "不会有任何变化，或有脚本永远无法运行"
    ),
    "not_typed": Phrase("typed is {typed}; expected {expected}", "输入的是 {typed}；应为 {expected}"),
    "not_run": Phrase(
        "the plan was not run to its end; there is nothing to undo yet", "该操作还没有执行完；暂时没有可撤销的内容"
    ),
    "cannot_undo": Phrase("this cannot be undone, or nothing was done", "此操作不能撤销，或未做任何更改"),
    "busy": Phrase(
        "{count} changes of {queue} are under way; try again", "{queue} 已有 {count} 个更改正在进行；请稍后再试"
    ),
    "no_such_plan": Phrase(
        "there is no such plan; one is kept for ten minutes: make it again",
        "没有这个操作计划；它只保留十分钟：请重新操作",
    ),
    "filter_unread": Phrase(
        "only records tell which tasks this filter means, and {looked_at} were read so far; "
        "narrow it by a word or a state",
        "需要读取记录才知道筛选了哪些任务，目前只读了 {looked_at} 个；请用关键词或状态缩小范围",
    ),
    # The shared directory
    "storage_silent": Phrase(
        "the shared directory has not answered for {silent_s} s; try again later",
        "共享目录已 {silent_s} 秒没有响应；请稍后再试",
    ),
    "storage_failed": Phrase("{problem}; try again later", "共享目录出错：{problem}；请稍后再试"),
    "crowded": Phrase("too many requests wait already; try again later", "等待中的请求过多；请稍后再试"),
    "unseen": Phrase("the queue could not be looked at: {problem}", "无法查看队列：{problem}"),
    # What there is not
    "no_such_spool": Phrase(
        "there is no queue {queue} in {root}; the first submission makes one",
        "{root} 中没有队列 {queue}；第一次提交会建立它",
    ),
    "no_such_spool.name": Phrase("no queue can be called so: {problem}", "队列名无效：{problem}"),
    "no_such_node": Phrase("no node {node} tells of itself in this queue", "此队列中没有节点 {node} 的信息"),
    "no_such_task": Phrase(
        "there is no task {task} in this queue; it may have been removed", "此队列中没有任务 {task}；它可能已被删除"
    ),
    "no_such_log": Phrase(
        "this task has no log of the try {source}; its logs are listed with it", "此任务没有运行 {source} 的日志"
    ),
    "no_such_log.bound": Phrase("no file is bound to this task", "此任务没有绑定文件"),
    "no_log": Phrase("nothing was printed yet: this task has no log", "还没有输出：此任务没有日志"),
    "no_history": Phrase("this console keeps no history (--no-history)", "本控制台不保留历史（--no-history）"),
    "history_failed": Phrase("the history cannot be read: {problem}", "无法读取历史：{problem}"),
    "range": Phrase(
        "from={from_s} and to={to_s}: expected an end at most {days} days later",
        "时间范围无效：结束应晚于开始，且至多晚 {days} 天",
    ),
    # Files
    "cannot_read.missing": Phrase("{file}: it is not there", "{file} 不存在"),
    "cannot_read.link": Phrase(
        "{file}: a part of it is a link, or no directory; expected a file below the directory",
        "{file} 的某一级是链接或不是目录；应为该目录下的文件",
    ),
    "cannot_read.irregular": Phrase("{file}: it is no regular file", "{file} 不是普通文件"),
    "cannot_read.outside": Phrase(
        "{file}: it leads out of {roots}; start the console with --log-root for its directory",
        "{file} 不在 {roots} 之内；请在启动控制台时用 --log-root 指定其目录",
    ),
    "cannot_read.below": Phrase("{file}: expected a path below {root}", "{file}：应为 {root} 下的路径"),
    "cannot_read.dots": Phrase("{file}: expected a path without ..", "{file}：路径中不能有 .."),
    "cannot_read.failed": Phrase("{file}: {problem}", "无法读取 {file}：{problem}"),
    "cannot_read.bound": Phrase("{problem}", "无法绑定该文件：{problem}"),
    "bad_search": Phrase(
        "nothing to look for; expected a text, or several with | between them",
        "没有要查找的内容；应为文字，多个之间用 | 分隔",
    ),
    "bad_search.encoding": Phrase("{text} cannot be written in {encoding}", "{text} 无法用 {encoding} 编码表示"),
    "bad_range": Phrase(
        "Range: {asked}: the log has {size_bytes} bytes", "Range：{asked}：日志只有 {size_bytes} 字节"
    ),
    # Access
    "no_token": Phrase("this needs the token", "此操作需要令牌"),
    "wrong_token": Phrase(
        "this token is not the console's; it stands in console.token", "令牌不对；它保存在 console.token 中"
    ),
    "too_many_wrong_tokens": Phrase("too many wrong tokens from here; wait a minute", "错误的令牌过多；请等一分钟"),
    "read_only": Phrase(
        "this console was started with --read-only: it changes nothing", "本控制台以 --read-only 启动：不做任何更改"
    ),
    "reads_only": Phrase(
        "this token is console.read-token, which changes nothing", "此令牌是 console.read-token，只能查看"
    ),
    "wrong_host": Phrase(
        "Host: expected localhost, an address, the name after --host, or one given by --public-host",
        "访问所用的主机名不被接受；如果它确实属于本控制台，请用 --public-host 加上这个名字启动控制台",
    ),
    "foreign_origin": Phrase(
        "a page of another site sent this; it has no say here",
        "请求来自其他网站的页面，已拒绝；如经过改写 Host 的代理，请用 --public-host 指定浏览器使用的名字",
    ),
    "not_json": Phrase("Content-Type: expected application/json", "Content-Type 应为 application/json"),
    # Bodies
    "bad_json": Phrase("the body is no JSON: {problem}", "请求体不是 JSON：{problem}"),
    "bad_json.deep": Phrase("the body is nested too deeply", "请求体嵌套过深"),
    "too_large": Phrase("a body may have {most_mib} MiB here", "请求体过大；此处最多 {most_mib} MiB"),
    "slow_body": Phrase("the body has not come within {seconds} s", "请求体未能在 {seconds} 秒内送达"),
    "bad_request": Phrase("{problem}", "请求有误：{problem}"),
    "no_such_path": Phrase("there is no such path", "没有这个地址"),
    "no_such_method": Phrase("this path has no such method", "这个地址不支持该方法"),
    "refused": Phrase("{problem}", "控制台拒绝了请求：{problem}"),
    "fault": Phrase("a fault of the console itself; its log tells more", "控制台自身出错；详情见它的日志"),
    # The policy
    "by_policy": Phrase("the policy is saved by PUT …/policy", "规则应通过 PUT …/policy 保存"),
    "unfit_file": Phrase("{problem}", "config.yaml 无法读取：{problem}"),
    "bad_text": Phrase("the text: {problem}", "文本有误：{problem}"),
    "too_large.policy": Phrase(
        "the text has {size_bytes} bytes; agents read at most {most_bytes}",
        "文本有 {size_bytes} 字节；agent 最多读取 {most_bytes} 字节",
    ),
    "no_such_setting": Phrase(
        "config.yaml has no setting {key}; docs/settings.md lists them",
        "config.yaml 没有设置 {key}；见 docs/settings.md",
    ),
    "written_since": Phrase(
        "somebody has written config.yaml since it was read, or taken it away",
        "config.yaml 在读取之后被人改过或删除",
    ),
    "not_saved": Phrase("config.yaml was not saved: {problem}", "config.yaml 没有保存：{problem}"),
    "refused_policy": Phrase(
        "no agent would obey it: {count} {count:problem|problems}", "没有 agent 会采用它：有 {count} 个问题"
    ),
    "unfit_policy": Phrase(
        "its values do not fit each other, or the defaults: {count} {count:problem|problems}",
        "其中的值互相不符，或与默认值不符：有 {count} 个问题",
    ),
    # Job files
    "by_its_file": Phrase(
        "a load is planned by POST …/jobfiles/{{mode}}/{{index}}/plan",
        "加载应通过 POST …/jobfiles/{{mode}}/{{index}}/plan 计划",
    ),
    "not_a_file": Phrase("{problem}", "不是普通文件：{problem}"),
    "not_a_directory": Phrase("{problem}", "不是目录：{problem}"),
    "unreadable": Phrase("{problem}", "无法读取：{problem}"),
    "too_many": Phrase("{problem}", "文件过多：{problem}"),
    "config": Phrase("{problem}", "config.yaml 有误：{problem}"),
    "no_such_file": Phrase("{file}: there is no such file", "没有文件 {file}"),
    "no_such_file.name": Phrase("{file}: no experiment file is called so", "实验文件不能叫 {file}"),
    "no_such_file.index": Phrase(
        "{file}: expected the index of a configuration, 0 to {last}", "{file}：应为配置的编号，0 到 {last}"
    ),
    "no_such_place": Phrase("{problem}", "文件中没有这个位置：{problem}"),
    "work_dir": Phrase("{problem}", "工作目录无效：{problem}"),
    "queues": Phrase("{problem}", "队列无法写成命令文件：{problem}"),
    "exists": Phrase("{file}: there is a file of that name", "已有名为 {file} 的文件"),
    "changed": Phrase("{problem}", "文件在此期间被人改过：{problem}"),
    "unread": Phrase("{problem}", "文件无法读取：{problem}"),
    "bad_name": Phrase("{problem}", "名称无效：{problem}"),
    "two_texts": Phrase("from_index and text: expected one of them", "from_index 与 text 只能给出一个"),
    "bad_file": Phrase("{problem}", "文件内容有误：{problem}"),
    "unfinished": Phrase("{problem}", "此前的一次加载还没有结束：{problem}"),
    "not_loaded": Phrase("{problem}", "没有加载完：{problem}"),
    "no_such_batch": Phrase("{problem}", "没有这一批任务：{problem}"),
    # The document's paths
    "no_id": Phrase(
        "{task}: this task has no id yet; bind the file once it has one", "{task} 还没有编号；有编号后再绑定文件"
    ),
    "no_spool": Phrase("there is no queue yet; the first submission makes one", "还没有队列；第一次提交会建立它"),
    "which_spool": Phrase("which queue? add ?job=: {spools}", "哪个队列？请加上 ?job=：{spools}"),
    "no_such_process": Phrase("{pid}: no task is called so", "{pid}：没有这个任务"),
    "which_process": Phrase(
        "{pid} fits {count} tasks, and nothing was done; name one of them by its id: {ids}",
        "有 {count} 个任务符合 {pid}，未做任何操作；请用编号指明其中一个：{ids}",
    ),
}
"""Why a request is refused: codes of ``Problem``, and what is told of each; behind a dot its variants."""
