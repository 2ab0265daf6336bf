"""How long a task rests after it failed: the doubling delay, and the rest after each few failures."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_queue.scheduling.backoff import rests_until
from gpu_queue.scheduling.facts import Limits
from gpu_queue.sharing import RetryConfig

DOUBLING = Limits(retry_delay_s=30.0, retry_delay_max_s=3600.0)
SHARED = Limits(retry_config=RetryConfig())


@pytest.mark.parametrize(
    ("failures", "rest_s"), [(1, 30), (2, 60), (3, 120), (7, 1920), (8, 3600), (1000, 3600), (10**6, 3600)]
)
def test_by_default_the_delay_doubles_up_to_an_hour(failures: int, rest_s: float) -> None:
    assert rests_until(failures, 1000.0, DOUBLING) == 1000.0 + rest_s


@pytest.mark.parametrize(
    ("failures", "rest_s"), [(1, 0), (2, 0), (3, 600), (4, 0), (5, 0), (6, 600), (7, 0), (9, 600), (10, 0)]
)
def test_on_a_shared_server_retries_are_immediate_and_each_third_failure_is_followed_by_ten_minutes(
    failures: int, rest_s: float
) -> None:
    assert rests_until(failures, 1000.0, SHARED) == (1000.0 + rest_s if rest_s else 0.0)


def test_the_numbers_of_document_001_are_settings() -> None:
    limits = Limits(retry_config=RetryConfig(max_retry_before_backoff=5, backoff_duration_s=1200.0))
    assert [bool(rests_until(failures, 0.5, limits)) for failures in range(1, 11)] == [False] * 4 + [True] + [
        False
    ] * 4 + [True]
    assert rests_until(5, 0.5, limits) == 1200.5


def test_a_task_that_did_not_fail_rests_never() -> None:
    assert rests_until(0, 1000.0, DOUBLING) == rests_until(0, 1000.0, SHARED) == 0.0


@given(st.integers(1, 10_000), st.integers(-1, 5), st.floats(0, 1e6))
def test_a_rest_never_ends_before_the_task_came_back_and_no_number_of_a_file_breaks_it(
    failures: int, every: int, rest_s: float
) -> None:
    limits = Limits(retry_config=RetryConfig(every, rest_s))
    assert rests_until(failures, 1000.0, limits) in (0.0, 1000.0 + rest_s)
