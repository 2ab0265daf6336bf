"""An experiment file: from its text to its runs, or all that is wrong with it.  Pure."""

from __future__ import annotations

from gpu_queue.errors import BadExperimentFile
from gpu_queue.experiments.specs.expanding import Surroundings, plan_of
from gpu_queue.experiments.specs.nodes import Unreadable, compose
from gpu_queue.experiments.specs.nouns import Place, Run
from gpu_queue.experiments.specs.ordering import ordered
from gpu_queue.experiments.specs.problems import Problems
from gpu_queue.experiments.specs.walk import Walk
from gpu_queue.texts import printable


def parse_experiment(content: bytes, where: Surroundings, shown: str) -> tuple[Run, ...]:
    """The runs of a file.

    Args:
        content: of it, of a size that is bounded.
        where: it is.
        shown: what it is called in messages.

    Raises:
        BadExperimentFile: something is wrong with it; a line for each problem.
    """
    problems = Problems()
    runs = _parse(content, where, problems)
    if problems:
        raise BadExperimentFile(*problems.told(printable(shown)))
    return runs


def _parse(content: bytes, where: Surroundings, problems: Problems) -> tuple[Run, ...]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8-sig", "replace")) + 1
        place = Place(before.count(b"\n") + 1, column)
        problems.add(place, f"expected UTF-8, got the byte 0x{content[error.start]:02x}")
        return ()
    try:
        root = compose(text)
    except Unreadable as unreadable:
        problems.add(unreadable.place, str(unreadable))
        return ()
    sheet = Walk(problems).sheet(root)
    plan = plan_of(sheet, where, problems)
    return ordered(plan, [job.key for job in sheet.jobs], problems)
