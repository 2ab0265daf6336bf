"""``python -m gpu_queue.console.schema``: the OpenAPI document, the same for the same code."""

from __future__ import annotations

import json
import sys

from gpu_queue.console.access.tokens import Tokens
from gpu_queue.console.serving import make_app
from gpu_queue.console.settings import ConsoleSettings


def schema() -> str:
    """The document; it has all routes, whatever a console leaves out."""
    app = make_app(ConsoleSettings(queue_root="/nonexistent"), Tokens("", ""), {})
    document = app.openapi()
    document["info"]["version"] = "1"  # of the API: the package's own changes with each release
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema())
