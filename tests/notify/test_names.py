"""Names in ``notify/``: whatever a try is called, its notices are found again in each of their stages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_queue.errors import BadValue
from gpu_queue.notices import OF_OTHERS, Wish, parse_wish, parse_wishes
from gpu_queue.spool.noticenames import NoticeName, Stage, What, of_agent, of_try, parse_notice
from gpu_queue.spool.paths import make_id
from gpu_queue.task import Claim

LABELS = st.from_regex(r"\A[A-Za-z][A-Za-z0-9_-]{0,31}\Z")
CLAIMS = st.builds(
    lambda name, number: Claim(0, make_id(1.5, "4f0c2a", name), number, "abcdef"),
    st.one_of(st.binary(max_size=200), st.sampled_from([b"a.ended.ops.json", b"x.try1.abcdef", b"a.json.sent-1-2"])),
    st.integers(1, 10**8),
)
TRIED = st.sampled_from([What.ENDED, What.GROUP, What.QUEUE])


@given(CLAIMS, TRIED, LABELS, st.integers(0, 10**10), st.integers(0, 900))
def test_a_notice_is_known_by_its_name_in_every_stage(
    claim: Claim, what: What, label: str, at_s: int, tries: int
) -> None:
    new = of_try(claim, what, label)
    tried = NoticeName(new.subject, what, label, tries=tries)
    sending = tried.sending(at_s, "0123456789ab")
    for one in (new, sending, sending.again(at_s), sending.sent(at_s, "ba9876543210"), sending.given_up(at_s)):
        read = parse_notice(str(one))
        assert read is not None
        assert (read.claim, read.what, read.label, read.key) == (claim, what, label, new.key)
        assert (read.stage, read.at_s, str(read)) == (one.stage, one.at_s, str(one))
        assert len(str(one)) <= 255
    assert sending.tries == tries + 1


@given(st.text(max_size=80))
def test_any_other_name_is_none(name: str) -> None:
    assert parse_notice(name) is None


def test_an_agents_notice_is_no_trys() -> None:
    one = of_agent("gpu01-0123abcd", "0123456789ab", "ops")
    assert parse_notice(str(one)) == one
    assert one.claim is None
    assert parse_notice(str(one).replace(".agent.", ".ended.")) is None
    assert parse_notice(f"{one}.sent-5-0123456789ab") == NoticeName(
        one.subject, What.AGENT, "ops", Stage.SENT, 0, 5, "0123456789ab"
    )


def test_wishes_are_written_in_one_notation() -> None:
    assert parse_wishes("ops:failed, me") == (Wish("ops", "failed"), Wish("me"))
    assert [str(one) for one in parse_wishes("ops:group-failed,ops")] == ["ops:group-failed", "ops"]


@pytest.mark.parametrize("text", ["", "ops:", "ops:never", "0ops", "a b", "https://x/y", ",".join("abcdefghi")])
def test_what_is_no_wish_is_refused(text: str) -> None:
    with pytest.raises(BadValue, match="--notify"):
        parse_wishes(text)


def test_a_queue_is_told_of_with_fewer_words() -> None:
    with pytest.raises(BadValue, match="ended, failed"):
        parse_wish("ops:done", OF_OTHERS)
