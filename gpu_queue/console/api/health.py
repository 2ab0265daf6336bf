"""Whether the console serves, for those who watch it."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter

from gpu_queue import __version__
from gpu_queue.console.api.shared import Console, told
from gpu_queue.console.models.common import Model

router = APIRouter(tags=["health"])
ANSWERS_S = 2.0


class Health(Model):
    """It serves."""

    status: Literal["ok"] = "ok"
    service: Literal["gpu-queue console"] = "gpu-queue console"
    version: str


@router.get("/healthz", summary="Whether it serves, and the shared directory answers")
async def healthz(console: Console) -> Health:
    """Needs no token, and tells nothing of the queues; 503 where the shared directory does not answer."""
    async with told():
        await console.worlds.answers(ANSWERS_S)
    return Health(version=__version__)
