"""The policy of a spool: its config.yaml as fields and as text, what a change would do, saving it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import APIRouter, Request

from gpu_queue.console.api.plans import told as plans_told
from gpu_queue.console.api.plans import who
from gpu_queue.console.api.shared import PREFIX, Console, Spool
from gpu_queue.console.keys import text_of
from gpu_queue.console.models.plans import Plan, PlanCounts, PlanRequest
from gpu_queue.console.models.policy import (
    Policy,
    PolicyCheck,
    PolicyChecked,
    PolicySave,
    PolicySaved,
    RefusedChange,
)
from gpu_queue.console.plans.nouns import Made
from gpu_queue.console.plans.rewriting import Rewriting
from gpu_queue.console.policy import agents, diffing, fields, phrases
from gpu_queue.console.policy.judging import ROWS, Judged, judge
from gpu_queue.console.policy.shelf import Stored, Unfit, look
from gpu_queue.console.policy.splicing import change_all
from gpu_queue.console.policy.texts import Decoded, decoded, encoded
from gpu_queue.console.problems import Problem
from gpu_queue.console.sentences import note
from gpu_queue.console.world.world import World
from gpu_queue.spool import files

router = APIRouter(prefix=f"{PREFIX}/spools/{{job}}/policy", tags=["policy"])
CALL_S = 15.0
RUN_S = 30.0


@asynccontextmanager
async def told() -> AsyncIterator[None]:
    """What goes wrong with the file, and with plans, as replies."""
    try:
        async with plans_told():
            yield
    except Unfit as error:
        raise Problem(409, "unfit_file", text_of(str(error), 1000)) from None


@dataclass(frozen=True)
class _Here:
    """The file as it is, read and judged."""

    stored: Stored
    decoded: Decoded
    judged: Judged


def _here(world: World) -> _Here:
    stored = look(world.paths)
    content = stored.content or b""
    return _Here(stored, decoded(content), judge(content, stored.strange))


def _policy(world: World, here: _Here) -> Policy:
    stored, judged = here.stored, here.judged
    return Policy(
        text=here.decoded.text,
        etag=stored.etag,
        source=text_of(world.paths.config, 4096),
        exists=stored.content is not None,
        is_exact=here.decoded.is_exact,
        modified_at_s=None if stored.facts is None else stored.facts.st_mtime,
        by=text_of(stored.owner),
        groups=fields.groups(),
        fields=fields.fields_of(here.decoded.text),
        problems=list(judged.problems),
        notes=[note("implied", said=text_of(judged.note))] if judged.note else [],
    )


def _encoded(text: str, encoding: str) -> bytes:
    """The bytes of a text that somebody typed.

    Raises:
        Problem: it is none, or longer than agents read.
    """
    try:
        content = encoded(text, encoding)
    except ValueError as error:
        raise Problem(422, "bad_text", params={"problem": str(error)}) from None
    if len(content) > files.RECORD_MAX_BYTES:
        most = files.RECORD_MAX_BYTES
        raise Problem(422, "too_large.policy", params={"size_bytes": len(content), "most_bytes": most})
    return content


@router.get("", summary="The policy of a queue")
async def get_policy(world: Spool) -> Policy:
    """As text, as fields, and what is wrong with it."""
    async with told():
        return await world.call(lambda: _policy(world, _here(world)), CALL_S)


@router.post("/check", summary="What would come of another policy")
async def check_policy(world: Spool, wish: PolicyCheck) -> PolicyChecked:
    """Fields are changed in the text, of which all else stays as it is; nothing is saved.

    Agents are named with what they take over at once, and for what a new one is needed.
    """
    wrong = [key for key in wish.changes if key not in ROWS]
    if wrong:
        raise Problem(422, "no_such_setting", params={"key": text_of(wrong[0])})
    wanted = {key: _said(value) for key, value in wish.changes.items()}
    async with told():
        seen = (await world.latest()).snapshot

        def work() -> PolicyChecked:
            here = _here(world)
            encoding = here.decoded.encoding
            changed = change_all(wish.text, ROWS, wanted)
            after = judge(_encoded(changed.text, encoding), here.stored.strange)
            base = here.decoded.text if wish.base is None else wish.base
            before = here.judged if wish.base is None else judge(_encoded(base, encoding), here.stored.strange)
            return PolicyChecked(
                text=changed.text,
                etag=here.stored.etag,
                fields=fields.fields_of(changed.text),
                problems=list(after.problems),
                refused=[
                    RefusedChange(key=key, code=error.code, text=phrases.refusal(error.code, str(error)))
                    for key, error in changed.refused.items()
                ],
                changes=agents.changes_of(base, changed.text),
                diff=diffing.diff(base, changed.text),
                agents=agents.agents_of(seen, before, after),
                notes=agents.notes_of(seen, before, after),
            )

        return await world.call(work, CALL_S)


def _said(value: str | int | float | bool | None) -> str | None:
    """A value as a flag says it."""
    if value is None or isinstance(value, str):
        return value
    return (
        ("on" if value else "off")
        if isinstance(value, bool)
        else f"{value:g}"
        if value != int(value)
        else str(int(value))
    )


@router.put("", summary="Save the policy")
async def put_policy(world: Spool, console: Console, wish: PolicySave, request: Request) -> PolicySaved:
    """Where the file is still as it was when it was read (`etag`); else 412, with its etag now.

    What no agent would obey is not saved, but in place of what none obeys either, and with `force`.
    """
    async with told():
        here = await world.call(lambda: _here(world), CALL_S)
        if here.stored.etag != wish.etag:
            raise _changed(here.stored)
        content = _encoded(wish.text, here.decoded.encoding)
        after = await world.call(lambda: judge(content, here.stored.strange), CALL_S)
        _allow(here.judged, after, force=wish.force)
        keys = [one.key for one in agents.changes_of(here.decoded.text, wish.text)]
        rewriting = Rewriting(content, here.stored.etag, here.stored.content)

        def made(plan_id: str, until_s: float) -> Made:
            plan = Plan(
                id=plan_id,
                action="policy",
                expires_at_s=until_s,
                counts=PlanCounts(),
                tasks=[],
                settings=keys,
                must_confirm=True,
                can_undo=True,
                can_run=True,
            )
            return Made(plan, PlanRequest(action="policy"), policy=rewriting)

        plan = console.plans.keep(world.job, made)
        outcome = await console.plans.run(world, plan.id, "", RUN_S, who(request))
        if outcome.counts.get("refused"):
            raise _changed(await world.call(lambda: look(world.paths), CALL_S))
        if outcome.problem:
            raise Problem(409, "not_saved", params={"problem": outcome.problem.text.en})
        if outcome.state != "finished":
            raise Problem(503, "storage_silent", params={"silent_s": RUN_S})
        policy = await world.call(lambda: _policy(world, _here(world)), CALL_S)
        return PolicySaved(policy=policy, plan=plan.id, undo_until_s=outcome.undo_until_s)


def _changed(stored: Stored) -> Problem:
    return Problem(412, "written_since", params={"etag": stored.etag, "by": text_of(stored.owner)})


def _allow(before: Judged, after: Judged, *, force: bool) -> None:
    """Refuse what no agent would obey.

    Raises:
        Problem: it may not be saved, or not without ``force``.
    """
    if not after.problems or (force and (before.is_refused or not after.is_refused)):
        return
    can_force = before.is_refused or not after.is_refused
    problems = [one.model_dump() for one in after.problems]
    params = {"problems": problems, "count": len(problems), "can_force": can_force}
    if after.is_refused:
        raise Problem(422, "refused_policy", params=params)
    raise Problem(422, "unfit_policy", params=params)
