"""What a request is answered with when it cannot be served (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from gpu_queue.console.models.common import ProblemDetails


class Problem(Exception):
    """A request that cannot be served; the app answers with its ``details``."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        params: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """What is told.

        Args:
            status: of HTTP.
            code: for programs.
            detail: what, where, what was expected, what to do; in English.
            params: for whoever words the code.
            headers: of the reply.
        """
        super().__init__(detail)
        try:
            title = HTTPStatus(status).phrase
        except ValueError:
            title = f"HTTP {status}"
        self.details = ProblemDetails(title=title, status=status, detail=detail, code=code, params=dict(params or {}))
        self.headers = dict(headers or {})
