"""What is said at submit, in English and Chinese: the one place where a code becomes a sentence.  Pure."""

from __future__ import annotations

from gpu_queue.scripts.asked import Line
from gpu_queue.scripts.reading import Note
from gpu_queue.texts import printable

LINE_SHOWN = 120
"""A line of a script may have any length; so much of it is quoted."""

_WORDS = {
    # Refusals
    "bad_directive": ("{what}", "{what}"),
    "several_nodes": (
        "{what} asks for {number} nodes, and it would run on {own}; say --nodes {number} to have its script started on each "
        "of them, or change that",
        "{what} 需要 {number} 个节点，而它只会在 {own} 个节点上运行；请用 --nodes {number}（脚本会在每个节点上各启动一次），或改掉该设置",
    ),
    "undivided": (
        "{what}: that many GPUs cannot be shared out among {number} nodes; say --gpus N, which counts for each node",
        "{what}：这么多 GPU 无法平均分给 {number} 个节点；请用 --gpus N（按每个节点计）",
    ),
    "nodes_without_gpus": (
        "it is to run on {number} nodes without GPUs; a task over several nodes needs at least one on each",
        "它要在 {number} 个节点上运行而不用 GPU；多节点任务在每个节点上至少需要 1 张 GPU",
    ),
    "nodes_range": (
        "--gpus {what} on {number} nodes: on each a task needs the same number; say it",
        "--gpus {what}，{number} 个节点：各节点的 GPU 数必须相同；请写明一个数",
    ),
    "hetjob": (
        "{what}: the parts of a heterogeneous job ask for different things, and a task for the same on each of its nodes; "
        "submit its parts one by one",
        "{what}：异构作业的各部分需求不同，而一个任务在各节点上的需求相同；请把各部分作为单独的任务提交",
    ),
    "foreign_dependency": (
        "{what}: no task of this queue; name the id that gpu_submit told, by --after or --dependency=afterok:ID",
        "{what}：不是本队列的任务；请用 gpu_submit 给出的编号，写成 --after 或 --dependency=afterok:编号",
    ),
    "bad_array": (
        "{what}: no list of indices; expected for example 0-9, 1,3,5 or 0-15%4, with at most {number} of them",
        "{what}：不是序号列表；应如 0-9、1,3,5 或 0-15%4，至多 {number} 个",
    ),
    "devices_conflict": (
        "it is to get {number} GPUs, and its script takes GPU {what} whatever it gets; say --gpus {own}, or remove that from the "
        "script",
        "它将得到 {number} 张 GPU，而脚本固定使用 GPU {what}；请改用 --gpus {own}，或从脚本中去掉该设置",
    ),
    "deepspeed_conflict": (
        "it is to get {number} GPUs, but {what} takes the node's first {own}, whatever CUDA_VISIBLE_DEVICES says; write "
        "env -u CUDA_VISIBLE_DEVICES deepspeed --include localhost:$CUDA_VISIBLE_DEVICES in its place, or say --gpus {own}",
        "它将得到 {number} 张 GPU，但 {what} 总是使用节点上最前面的 {own} 张，不理会 CUDA_VISIBLE_DEVICES；请改写为 "
        "env -u CUDA_VISIBLE_DEVICES deepspeed --include localhost:$CUDA_VISIBLE_DEVICES，或用 --gpus {own}",
    ),
    # Warnings
    "devices_unknown": (
        "{what} is set to what only the run knows; if that is a GPU that it was not given, it disturbs another task",
        "{what} 的取值要到运行时才知道；若不是分配给它的 GPU，会干扰别的任务",
    ),
    "devices_unsure": (
        "{what} names a GPU by its number; those that it is given are counted from 0 in it",
        "{what} 按编号指定 GPU；而任务分到的 GPU 在其中从 0 开始编号",
    ),
    "count_unknown": (
        "how many GPUs it needs is known only to the run ({what}); it gets {number}: say --gpus N if it needs others",
        "需要多少 GPU 要到运行时才知道（{what}）；它会得到 {number} 张：如不对请用 --gpus N",
    ),
    "count_open": (
        "{what} uses as many GPUs as it gets, and nothing says how many; it gets {number}: say --gpus N for more",
        "{what} 会用上分到的全部 GPU，但没有说明数量；它会得到 {number} 张：需要更多请用 --gpus N",
    ),
    "too_few": (
        "{what} needs {own} GPUs, and it is to get {number}; say --gpus {own}",
        "{what} 需要 {own} 张 GPU，而它只会得到 {number} 张；请用 --gpus {own}",
    ),
    "counts_node": (
        "{what} counts all GPUs of the node (nvidia-smi), not the {number} that it gets; take the number from "
        "CUDA_VISIBLE_DEVICES, or say --gpus N",
        "{what} 数的是节点上的全部 GPU（nvidia-smi），而不是它分到的 {number} 张；请从 CUDA_VISIBLE_DEVICES 得出数量，或用 --gpus N",
    ),
    "nodes_unsure": (
        "{what}: if it means {number} nodes for this script itself, say --nodes {number}: it runs on {own}, and would wait for "
        "the others for ever",
        "{what}：如果它是说本脚本自己要 {number} 个节点，请用 --nodes {number}：它只在 {own} 个节点上运行，会一直等其他节点",
    ),
    "nodes_ignored": (
        "{what} asks for {number} nodes; it runs on {own}: say --nodes {number} for them",
        "{what} 需要 {number} 个节点；它会在 {own} 个节点上运行：需要它们请用 --nodes {number}",
    ),
    "nodes_each": (
        "it is started on each of its {number} nodes, and under Slurm on the first alone: what it does outside of srun, each "
        "node does",
        "脚本会在 {number} 个节点上各启动一次，而在 Slurm 下只在第一个节点上启动：srun 之外的操作每个节点都会做",
    ),
    "nodes_differ": (
        "{what} is another on each of the {number} nodes; on what they have to agree MASTER_ADDR and MASTER_PORT tell",
        "{what} 在 {number} 个节点上各不相同；需要一致的取值请用 MASTER_ADDR 和 MASTER_PORT",
    ),
    "nodes_spread": (
        "{what} starts processes on other nodes by itself, and each of the {number} nodes runs it: start one launcher a node "
        "(srun, torchrun, deepspeed --no_ssh --node_rank $NODE_RANK), or let the first alone run it",
        "{what} 会自己在其他节点上启动进程，而 {number} 个节点各会运行它一次：请在每个节点启动一个启动器（srun、torchrun、"
        "deepspeed --no_ssh --node_rank $NODE_RANK），或只让第一个节点运行它",
    ),
    "submits": (
        'sbatch submits to Slurm and not to this queue: touch "$GPU_QUEUE_REQUEUE" has this task run again, gpu_submit '
        "queues another one",
        'sbatch 提交到 Slurm，而不是本队列：touch "$GPU_QUEUE_REQUEUE" 可让本任务再次运行，gpu_submit 可提交另一个任务',
    ),
    "signal_at_once": (
        "{what} comes as soon as it begins, for its time is over after {number} s; where it saves and ends then, it is run "
        "again and again: say fewer seconds, or a longer --time",
        "{what} 会在它一开始就发出，因为它的时限只有 {number} 秒；如果它随即保存并结束，就会一再重新运行：请减少秒数，或给更长的 --time",
    ),
    "singleton": (
        "{what}: not heeded; --queue NAME runs tasks one after the other",
        "{what}：不会生效；--queue NAME 可让任务逐个运行",
    ),
    "dependency_kind": (
        "{what}: not heeded; only afterok of this queue's tasks is (--after)",
        "{what}：不会生效；只支持对本队列任务的 afterok（--after）",
    ),
    "hostfile": (
        "{what} names hosts: on another node than this task's it has no GPU",
        "{what} 指定了主机：任务只在自己的节点上有 GPU",
    ),
    "too_long": (
        "from here on the script is not followed any more; it gets {number} GPUs: say --gpus N if it needs others",
        "脚本过长，从这里起不再分析；它会得到 {number} 张 GPU：如不对请用 --gpus N",
    ),
}


def quoted(text: str) -> str:
    """A line as people may be shown it."""
    return printable(text.strip().replace("\t", " "), LINE_SHOWN)


def note(code: str, line: Line | None, what: str = "", number: int = 0, own: str = "") -> Note:
    """A warning or a refusal."""
    english, chinese = _WORDS[code]
    words = {"what": printable(what, LINE_SHOWN), "number": str(number), "own": own}
    return Note(
        code,
        line.number if line else 0,
        quoted(line.text) if line else "",
        english.format(**words).replace(" 1 GPUs", " 1 GPU").replace(" 1 nodes", " 1 node"),
        chinese.format(**words),
    )


def bad(english: str, chinese: str, line: Line | None = None) -> Note:
    """A directive that nobody can obey; the sentences are told as they are."""
    return note("bad_directive", line, english)._replace(english=english, chinese=chinese)
