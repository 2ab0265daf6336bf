"""When a batch will have ended, as ``gpu-queue run`` reckons it: by what its like has taken.  Pure."""

from __future__ import annotations

from collections.abc import Sequence

from gpu_queue.console.batches.census import COMMANDS
from gpu_queue.experiments.progress.nouns import Item, Phase, Rest, Standing
from gpu_queue.experiments.progress.rest import rests
from gpu_queue.experiments.reporting.figures import RunFigures
from gpu_queue.experiments.specs.nouns import Run

_ALL = ""


def expected(runs: Sequence[RunFigures], kind: str, order: dict[str, int], places: int, now_s: float) -> Rest | None:
    """When all of them will have ended; None: nobody can tell that honestly.

    Args:
        runs: those that count.
        kind: of the batch: blocks of a command file are taken for alike, which they show or do not.
        order: places in the run order, by the ids of those that wait.
        places: so many run at once.
        now_s: epoch seconds by the common clock.
    """
    items = [_item(one, kind, now_s) for one in runs]
    waiting = sorted(
        (one for one in items if one.phase is Phase.WAITING),
        key=lambda one: order.get(one.standing.task_id, len(order)),
    )
    return rests(items, waiting, places, now_s).get(_ALL)


def _item(one: RunFigures, kind: str, now_s: float) -> Item:
    said = one.facts.submission
    part = said.experiment
    after = said.needs.get("after")
    gpus = said.needs.get("gpus")
    queue = said.needs.get("queue")
    run = Run(
        said.task_id,  # two files of a group may call their runs the same
        job="" if part is None or kind == COMMANDS else part.job,
        group=_ALL,
        script="",
        content="",
        gpus=gpus if isinstance(gpus, str) else None,
        queue=queue if isinstance(queue, str) else None,
        after=tuple(task for task in after if isinstance(task, str)) if isinstance(after, list) else (),
    )
    is_running = one.phase is Phase.RUNNING
    since = None if not is_running or one.last_ran_s is None else now_s - one.last_ran_s
    standing = Standing(said.task_id, one.facts.state, since=since, ran_s=None if is_running else one.last_ran_s)
    return Item(run, standing, one.phase)
