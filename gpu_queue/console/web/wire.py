"""All models of the wire as one document, of which openapi-typescript makes src/api/schema.ts.

The document of the routes is not enough: events of streams are no replies of theirs.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import sys

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from gpu_queue.console import models


def schema() -> str:
    """An OpenAPI document without paths; the same for the same models."""
    found: list[type[BaseModel]] = []
    for module in sorted(one.name for one in pkgutil.iter_modules(models.__path__)):
        room = importlib.import_module(f"{models.__name__}.{module}")
        for value in vars(room).values():
            if isinstance(value, type) and issubclass(value, BaseModel) and value.__module__ == room.__name__:
                found.append(value)
    _, parts = models_json_schema([(one, "validation") for one in found], ref_template="#/components/schemas/{model}")
    document = {
        "openapi": "3.1.0",
        "info": {"title": "gpu-queue console", "version": "1"},
        "paths": {},
        "components": {"schemas": parts["$defs"]},
    }
    return json.dumps(document, sort_keys=True)


if __name__ == "__main__":
    sys.stdout.write(schema())
