"""What a request is answered with when it cannot be served (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from gpu_queue.console.models.common import ProblemDetails
from gpu_queue.console.phrasebook import REFUSALS
from gpu_queue.console.sentences import both
from gpu_queue.phrases import names_in


class Problem(Exception):
    """A request that cannot be served; the app answers with its ``details``."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str = "",
        *,
        params: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """What is told.

        Args:
            status: of HTTP.
            code: of ``phrasebook.REFUSALS``; a variant behind a dot is no part of what is sent.
            detail: what, where, what was expected, what to do, in English; empty: as the phrasebook says it.
            params: what stands in the sentence; they are sent.
            headers: of the reply.
        """
        given = {"problem": detail, **(params or {})}
        phrase = REFUSALS.get(code, REFUSALS["refused"])
        if detail and not given.keys() >= names_in(phrase.zh).keys():
            phrase = REFUSALS["refused"]  # it is told in other words than the phrasebook's
        english, chinese = phrase.filled(given)
        detail = detail or english
        super().__init__(detail)
        try:
            title = HTTPStatus(status).phrase
        except ValueError:
            title = f"HTTP {status}"
        self.details = ProblemDetails(
            title=title,
            status=status,
            detail=detail,
            code=code.partition(".")[0],
            params=dict(params or {}),
            text=both(detail, chinese),
        )
        self.headers = dict(headers or {})
