"""What a bare number is in a field of the form, or how a value may be written.  Pure."""

from __future__ import annotations

from gpu_queue.console.models.common import Words

UNITS: dict[str, Words] = {
    "flag": Words(en="", zh=""),
    "choice": Words(en="", zh=""),
    "count": Words(en="", zh=""),
    "text": Words(en="", zh=""),
    "percent": Words(en="%", zh="%"),
    "part": Words(en="of the memory, 0 to 0.95", zh="占显存，0 到 0.95"),
    "time": Words(en="seconds, or 90s, 30m, 4h", zh="秒，或 90s、30m、4h"),
    "lifetime": Words(en="seconds, or 30m, 24h, never", zh="秒，或 30m、24h、never"),
    "hours": Words(en="hours", zh="小时"),
    "size": Words(en="bytes, or 512M, 20G", zh="字节，或 512M、20G"),
    "megabytes": Words(en="MB, or 8G", zh="MB，或 8G"),
    "gpus": Words(en="0, 1, 2", zh="0, 1, 2"),
    "labels": Words(en="ops, me", zh="ops, me"),
    "uid": Words(en="uid", zh="uid"),
    "quiet_hours": Words(en="22:00-07:00; sat,sun", zh="22:00-07:00; sat,sun"),
}
"""By the noun of a kind; a test holds that none is missing."""
