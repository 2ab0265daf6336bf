"""What is still to be done: the earliest wish counts, and what was just done is put off."""

from __future__ import annotations

from gpu_queue.agent.agenda import NEVER, Agenda, Duty


def test_the_earliest_wish_counts() -> None:
    agenda = Agenda()
    assert agenda.at(Duty.LOOK) == NEVER
    for at in (8.0, 5.0, 9.0):
        agenda.want(Duty.LOOK, at)
    assert not agenda.take(Duty.LOOK, 4.9)
    assert agenda.take(Duty.LOOK, 5.0)
    assert not agenda.take(Duty.LOOK, 100.0), "it was done"


def test_a_wish_without_a_time_is_due_at_once_whatever_the_clock_says() -> None:
    agenda = Agenda()
    agenda.want(Duty.PLAN, 50.0)
    agenda.want(Duty.PLAN)
    assert not agenda.take(Duty.KEEP, -1e9)
    assert agenda.take(Duty.PLAN, -1e9)


def test_what_was_just_done_is_due_again_then_and_not_sooner() -> None:
    agenda = Agenda()
    agenda.want(Duty.LOOK)
    agenda.put_off(Duty.LOOK, 7.0)
    assert agenda.at(Duty.LOOK) == 7.0
    agenda.want(Duty.LOOK, 6.0)
    assert agenda.at(Duty.LOOK) == 6.0
