"""``python -m gpu_queue.config`` prints the schema of config.yaml."""

from __future__ import annotations

import json

from gpu_queue.config import json_schema

if __name__ == "__main__":
    print(json.dumps(json_schema(), indent=2, ensure_ascii=False))  # noqa: T201
