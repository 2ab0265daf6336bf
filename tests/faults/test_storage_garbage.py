"""Whatever anybody puts anywhere into a spool, the agent stays at work, and a good task runs."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpu_queue.task import State
from tests.node.harness import a_spool

PLACES = [
    *("running/n1", "running/other", "running", "nodes", "nodes/gone", "queues", "gangs", "control", "records"),
    *("logs", "events", "done", "failed", ""),
]
ID = "20260101T000000000-abcdef-x.sh"
NAMES = st.one_of(
    st.binary(min_size=1, max_size=30).map(lambda raw: raw.replace(b"/", b"_").replace(b"\0", b"_")),
    st.sampled_from(
        [
            *(b"node", b"other.json", b"n1.json", b"paused", b"draining", b"control.json", b"config.yaml"),
            *(b"keepalive-off", b"car.000001", b"car.000002.free", b"car.999999999999999999999", b".hidden"),
            *(f"500-{ID}{end}".encode() for end in ("", ".try1.abcdef", ".try1.abcdef=0", ".try1.abcdef=9-lost")),
            *(
                f"500-{ID}.try{number}.abcdef=255-{why}".encode()
                for number in (0, 999999999)
                for why in ("x", "requeue")
            ),
            *(f"{ID}{end}".encode() for end in (".json", ".tries.json", ".log", ".try1.abcdef.json")),
            b"20260101T000000000-abcdefabcdef.json",
        ]
    ),
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["protocol", "node", "incarnation", "state", "seen", "beat_at", "running", "tries", "to"])
            | st.text(max_size=6),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
CONTENTS = st.one_of(st.binary(max_size=60), VALUES.map(lambda value: json.dumps(value).encode()))
NOT_NOW = {"paused", "draining", "config.yaml", "control.json"}
"""What is obeyed at the top of a spool, and would keep the good task waiting."""


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(files=st.lists(st.tuples(st.sampled_from(PLACES), NAMES, CONTENTS, st.booleans()), max_size=8))
def test_any_file_anywhere_leaves_the_agent_at_work(
    tmp_path_factory: pytest.TempPathFactory, files: list[tuple[str, bytes, bytes, bool]]
) -> None:
    with a_spool(tmp_path_factory.mktemp("any")) as room:
        for place, name, content, is_directory in files:
            if name in (b".", b"..", b"node") or (not place and os.fsdecode(name) in NOT_NOW):
                continue
            path = os.fsencode(room.root / place) + b"/" + name
            try:
                os.makedirs(os.path.dirname(path), exist_ok=True)
                if is_directory:
                    os.mkdir(path)
                else:
                    with open(path, "wb") as file:
                        file.write(content)
            except (FileExistsError, IsADirectoryError, NotADirectoryError):
                continue  # it is there already, or is one of the spool's own directories
        node = room.start()
        node.go_on(3)
        good = room.submit(room.script(), "good.sh", priority=999)
        node.go_on(6)
        assert f"999-{good}" in room.listing(State.DONE.value), node.said
        assert room.runs(good) == 1
        assert not any("Traceback" in line for line in node.said), node.said
