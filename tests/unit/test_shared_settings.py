"""Settings of a server that several people share: the documents' files, what means ``shared``, what does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gpu_queue.agent.announcing import cards_line
from gpu_queue.agent.current import Current
from gpu_queue.conf import Said, parse_conf
from gpu_queue.config import TABLE, Config, Elsewhere, Settings, examine, parse_config, resolve
from gpu_queue.errors import SettingsError
from gpu_queue.gpus.simulated import SimulatedDevices
from gpu_queue.node.side import RootView
from gpu_queue.sharing import GpuLeft, Mode, RetryConfig, Select, Sharing

DOCUMENTS = Path(__file__).parent / "documents"
FILE = "/q/config.yaml"
EXAMPLE = (DOCUMENTS / "001-config.yaml").read_text(encoding="utf-8")
USAGE = (DOCUMENTS / "001-config-usage.yaml").read_text(encoding="utf-8")


def config(text: str) -> Config:
    return parse_config(FILE, text.encode())


def settings(text: str, flags: dict[str, Any] | None = None, env: dict[str, str] | None = None) -> Settings:
    return resolve(flags or {}, env or {}, config(text))


def note(text: str, flags: dict[str, Any] | None = None, env: dict[str, str] | None = None) -> str:
    examined = examine(TABLE, flags or {}, env or {}, config(text))
    assert examined.problems == ()
    return examined.note


def refusal(text: str, flags: dict[str, Any] | None = None) -> str:
    with pytest.raises(SettingsError) as refused:
        settings(text, flags)
    (problem,) = refused.value.problems
    return problem


# -- the documents' files ------------------------------------------------------------------------------------------


def test_the_documents_config_yaml_is_accepted_word_for_word() -> None:
    assert settings(EXAMPLE) == Settings(
        mode=Mode.SHARED,
        sharing=Sharing(
            check_time_s=5.0,
            compete_gpus=tuple("0123456789"),
            use_all_gpus=True,
            gpu_left=GpuLeft(1),
            retry_config=RetryConfig(3, 600.0, None),
        ),
    )


def test_so_is_the_one_of_its_usage() -> None:
    assert settings(USAGE) == Settings(
        mode=Mode.SHARED,
        sharing=Sharing(
            check_time_s=10.0,
            compete_gpus=("0", "1", "2", "3"),
            gpu_left=GpuLeft(2),
            retry_config=RetryConfig(5, 1200.0, None),
        ),
        work_dir="/home/user/custom_workspace",
    )


@pytest.mark.parametrize("text", ["../", "../../", "work", "/tmp/workspace"])
def test_every_work_dir_of_the_documents_is_one(text: str) -> None:
    assert settings(f'work_dir: "{text}"\n') == Settings(work_dir=text)


@pytest.mark.parametrize("cards", [0, 1, 2])
def test_every_gpu_left_of_the_documents_is_one(cards: int) -> None:
    assert settings(f"gpu_left: {cards}   # 预留\n").sharing.gpu_left == GpuLeft(cards)


# -- values --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gpu_left: {free: 2}\n", Sharing(gpu_left=GpuLeft(2, of_free=True))),
        ("gpu_left:\n  free: 2\n", Sharing(gpu_left=GpuLeft(2, of_free=True))),
        ("gpu_left: free:2\n", Sharing(gpu_left=GpuLeft(2, of_free=True))),
        ("min_memory: 8000\n", Sharing(min_memory_bytes=8000 << 20)),
        ("min_memory: '8000'\n", Sharing(min_memory_bytes=8000 << 20)),
        ("min_memory: 8000MB\n", Sharing(min_memory_bytes=8000 << 20)),
        ("min_memory: 8G\n", Sharing(min_memory_bytes=8 << 30)),
        ("min_memory: 0.5\n", Sharing(min_memory_bytes=1 << 19)),
        ("max_util: 20\n", Sharing(max_util_percent=20)),
        ("max_concurrent: 4\n", Sharing(max_concurrent=4)),
        ("max_concurrent: null\n", Sharing()),
        ("max_concurrent:\n", Sharing()),
        ("max_concurrent: none\n", Sharing()),
        ("max_wait_time: 7200\n", Sharing(max_wait_time_s=7200.0)),
        ("max_wait_time: 2h\n", Sharing(max_wait_time_s=7200.0)),
        ("max_wait_time: ~\n", Sharing()),
        ("select: least_util\n", Sharing(select=Select.LEAST_UTIL)),
        ("process_json: /home/a/logs/uni_id.json\n", Sharing(process_json="/home/a/logs/uni_id.json")),
        ("process_json: ./logs/uni_id.json\n", Sharing(process_json="./logs/uni_id.json")),
        ("process_json: null\n", Sharing()),
        ("retry_config: {max_retries: 9}\n", Sharing(retry_config=RetryConfig(max_retries=9))),
        ("retry_config: {max_retries: null}\n", Sharing()),
        ("compete_gpus: [2, GPU-7f, 2, 0]\n", Sharing(compete_gpus=("2", "GPU-7f", "0"))),
        ("compete_gpus: 2\n", Sharing(compete_gpus=("2",))),
        ("compete_gpus: 0\uff0c1\n", Sharing(compete_gpus=("0", "1"))),
        ("compete_gpus: 0, 1\n", Sharing(compete_gpus=("0", "1"))),
        ("compete_gpus: []\nuse_all_gpus: true\n", Sharing(use_all_gpus=True)),
    ],
)
def test_a_value_is_read_as_people_write_it(text: str, expected: Sharing) -> None:
    assert settings(text) == Settings(mode=Mode.SHARED, sharing=expected)


def test_the_flags_of_document_003_mean_what_they_mean_there() -> None:
    flags = {"sharing.min_memory_bytes": "8000", "sharing.max_util_percent": "30", "sharing.max_concurrent": "4"}
    assert settings("", flags) == Settings(
        mode=Mode.SHARED, sharing=Sharing(min_memory_bytes=8000 << 20, max_util_percent=30, max_concurrent=4)
    )


# -- whose the server is -------------------------------------------------------------------------------------------


def test_a_key_of_shared_servers_means_shared_and_it_is_told_which_and_where() -> None:
    assert settings("gpu_left: 1\n").mode is Mode.SHARED
    assert note("gpu_left: 1\nmax_util: 20\n") == f"mode is shared, because of gpu_left, max_util in {FILE}"
    told = note("select: most_free\n", {"sharing.gpu_left": "1"}, {"GPU_QUEUE_MAX_UTIL": "20"})
    assert told == f"mode is shared, because of --gpu-left, GPU_QUEUE_MAX_UTIL; select in {FILE}"


def test_a_key_of_gpu_queue_conf_means_it_too() -> None:
    elsewhere = Elsewhere(parse_conf("/x/gpu-queue.conf", "GPU_QUEUE_MAX_UTIL=20\n", "/home/a"))
    examined = examine(TABLE, {}, {}, Config(), elsewhere)
    assert examined.settings.mode is Mode.SHARED
    assert examined.note == "mode is shared, because of GPU_QUEUE_MAX_UTIL in /x/gpu-queue.conf"


def test_without_such_a_key_the_gpus_are_this_users_alone() -> None:
    assert settings("retries: 2\nwork_dir: null\n") == Settings(retries=2)
    assert note("retries: 2\nwork_dir: null\n") == ""


def test_a_mode_that_is_said_is_obeyed_and_what_is_for_the_other_counts_for_nothing_and_is_told() -> None:
    text = f"mode: dedicated\n{EXAMPLE}"
    assert settings(text).mode is Mode.DEDICATED
    assert note(text) == (
        f"mode is dedicated ({FILE}:1: mode), so that what is for shared counts for nothing: check_time, "
        "compete_gpus, use_all_gpus, gpu_left, maximize_resource_utilization, retry_config.max_retry_before_backoff, "
        f"retry_config.backoff_duration in {FILE}"
    )
    assert note(f"mode: shared\n{EXAMPLE}") == ""


@pytest.mark.parametrize(
    ("flags", "env", "place"),
    [({"mode": "dedicated"}, {}, "--mode"), ({}, {"GPU_QUEUE_MODE": "dedicated"}, "GPU_QUEUE_MODE")],
)
def test_a_flag_or_variable_wins_over_the_file(flags: dict[str, Any], env: dict[str, str], place: str) -> None:
    assert settings(EXAMPLE, flags, env).mode is Mode.DEDICATED
    assert note(EXAMPLE, flags, env).startswith(f"mode is dedicated ({place}), so that")
    text = f"mode: shared\n{EXAMPLE}"
    assert settings(text, flags, env).mode is Mode.DEDICATED


def test_a_mode_in_the_file_wins_over_a_constant_and_a_constant_means_it_too() -> None:
    constants = Elsewhere(constants={"GPU_QUEUE_MODE": Said("shared", "/x/p.py")})
    assert resolve({}, {}, Config(), constants).mode is Mode.SHARED
    assert resolve({}, {}, config("mode: dedicated\n"), constants).mode is Mode.DEDICATED


# -- which cards that means here ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "told", "is_none"),
    [
        (EXAMPLE, "tasks may have GPUs 0, 1, 2; 3 left to others", False),
        (USAGE, "tasks may have GPUs 0, 1; 2, 3 left to others", False),
        ("mode: shared\n", "tasks may have GPUs 0, 1, 2, 3", False),
        ("compete_gpus: [3, 1, 9]\n", "tasks may have GPUs 3, 1", False),
        (
            "gpu_left: {free: 2}\n",
            "tasks may have GPUs 0, 1, 2, 3; 2 of those that are free left to others",
            False,
        ),
        (
            "compete_gpus: [3, 9]\ngpu_left: 1\n",
            "no task gets a GPU: see compete_gpus and gpu_left; 3 left to others",
            True,
        ),
        (
            "gpu_left: {free: 4}\n",
            (
                "tasks may have GPUs 0, 1, 2, 3; 4 of those that are free left to others; no task gets a GPU: "
                "see compete_gpus and gpu_left"
            ),
            True,
        ),
    ],
)
def test_an_agent_says_which_cards_of_its_node_tasks_may_have(text: str, told: str, is_none: bool) -> None:
    served = SimulatedDevices.parse("4").snapshot()
    assert cards_line(settings(text).sharing, served) == (told, is_none)


# -- a config.yaml that changes under a running agent --------------------------------------------------------------


class Running:
    """The settings of a running agent."""

    def __init__(self, text: str) -> None:
        self.said: list[str] = []
        self.current = Current(settings(text), config(text), {}, {}, Elsewhere(), "/q", self.said.append)

    def change(self, text: str) -> str:
        self.current.take(RootView(None, None, None, config(text)))
        return self.current.problem

    @property
    def sharing(self) -> Sharing:
        return self.current.settings.sharing


def test_a_running_agent_takes_every_key_of_its_mode_over() -> None:
    running = Running(EXAMPLE)
    assert running.change(USAGE) == ""
    assert running.current.settings == settings(USAGE)
    assert running.said == ["config.yaml was read again"]


def test_a_dedicated_agent_whose_file_becomes_one_of_a_shared_server_says_that_a_new_one_is_needed() -> None:
    running = Running("")
    told = running.change("gpu_left: 1\nretries: 2\n")
    assert told == (
        "config.yaml: a new agent is needed to obey mode; mode is shared, because of gpu_left in config.yaml"
    )
    assert running.current.settings == Settings(retries=2)
    assert running.change("retries: 3\n") == ""
    assert running.said[-1] == "config.yaml is in order again"


def test_a_shared_agent_keeps_to_its_limits_until_its_successor_comes_when_its_file_is_emptied() -> None:
    running = Running(USAGE)
    assert running.change("retries: 2\n") == "config.yaml: a new agent is needed to obey mode"
    assert running.current.settings.mode is Mode.SHARED
    assert running.sharing == settings(USAGE).sharing
    assert running.current.settings.retries == 2
    told = running.change(f"mode: dedicated\n{EXAMPLE}")
    assert told.startswith("config.yaml: a new agent is needed to obey mode; mode is dedicated (config.yaml:1: mode)")
    assert running.sharing == settings(USAGE).sharing
    assert running.change(EXAMPLE) == ""
    assert running.sharing == settings(EXAMPLE).sharing


def test_a_change_that_does_not_fit_leaves_the_last_good_settings() -> None:
    running = Running(USAGE)
    told = running.change("compete_gpus: [0]\ngpu_left: 1\n")
    assert told.startswith("the last good settings stay: config.yaml:2: gpu_left: 1, where compete_gpus names 1")
    assert running.sharing == settings(USAGE).sharing


# -- what does not fit together ------------------------------------------------------------------------------------


def test_a_shared_server_is_not_swept() -> None:
    assert refusal("mode: shared\nsweep: on\n").startswith(f"{FILE}:2: sweep: mode is shared, and sweep ends")
    assert refusal(EXAMPLE, {"sweep": "all"}).startswith("--sweep: mode is shared")
    assert settings(f"mode: dedicated\nsweep: on\n{EXAMPLE}").sweep == "gpus"


def test_a_list_without_gpus_is_refused_unless_all_are_meant() -> None:
    assert refusal("compete_gpus: []\n").startswith(f"{FILE}:1: compete_gpus: it names no GPU")
    assert refusal("", {"sharing.compete_gpus": ""}).startswith("--compete-gpus: ")
    assert settings("compete_gpus: []\nuse_all_gpus: true\n").sharing.compete_gpus == ()
    assert settings("mode: dedicated\ncompete_gpus: []\n").mode is Mode.DEDICATED
    assert settings("mode: shared\n").sharing.compete_gpus == ()


@pytest.mark.parametrize(
    ("text", "served", "is_fine"),
    [
        ("compete_gpus: [0, 1]\ngpu_left: 1\n", "all", True),
        ("compete_gpus: [0, 1]\ngpu_left: 2\n", "all", False),
        ("compete_gpus: [0, 1]\ngpu_left: {free: 2}\n", "all", False),
        ("compete_gpus: [0, 1]\nuse_all_gpus: true\ngpu_left: 2\n", "all", True),
        ("compete_gpus: [0, 1]\nuse_all_gpus: true\ngpu_left: 2\n", "0,1", False),
        ("gpu_left: 2\n", "0,1", False),
        ("gpu_left: 2\n", "0,1,2", True),
        ("gpu_left: 8\n", "all", True),
    ],
)
def test_some_gpu_must_be_left_to_us(text: str, served: str, is_fine: bool) -> None:
    flags = {"gpus": served} if served != "all" else {}
    if is_fine:
        settings(text, flags)
    else:
        assert refusal(text, flags).endswith("no task would get a GPU; expected less")
