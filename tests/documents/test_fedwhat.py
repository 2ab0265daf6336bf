"""Document 003: its commands, its files and its questions, as it has them, by real agents with simulated GPUs."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.documents.typist import Typist, a_typist

HERE = "FedWhat"
SEEDS = ("42", "123", "2024")
ALGORITHMS = ("fedavg", "fedprox", "scaffold", "fedwhat")
MULTI_SEED = [
    f"test.py --dataset {dataset} --algorithm {algorithm} --seed {seed}"
    for dataset in ("cifar10", "cifar100")
    for algorithm in ALGORITHMS
    for seed in SEEDS
]
ONE = "test.py --dataset cifar10 --algorithm fedwhat --seed 42"
GAMMA = [f"{ONE} --gamma {gamma} --lambda_max 50" for gamma in ("1e-1", "0", "1e-5", "1e-4", "1e-3", "1e-2")]
"""In the order of the file when the last was put in front."""
LAMBDA = [f"{ONE} --gamma 0.001 --lambda_max {value}" for value in (20, 30, 50, 75, 100, 150)]
UNLUCKY = "test.py --dataset cifar100 --algorithm fedprox --seed 123"


class All:
    """What became of `all`, on a server that others use, with a script that was edited and one run that fails."""

    def __init__(self, typist: Typist) -> None:
        self.typist = typist
        self.logs = typist.project / HERE / "logs"
        # 10 GB are free on GPU 0, which the 8000 MB of the unedited script would take; somebody computes on GPU 1.
        busy = {"0": {"used": "14G"}, "1": {"used": "2G", "utilization": 25}}
        typist.others.write_text(json.dumps(busy))
        typist.fails.write_text(f"{UNLUCKY}\n")
        script = typist.project / HERE / "run_gpu_aware_experiments.sh"
        text = script.read_text()
        for line in ("MIN_MEMORY=12000       # 12 GB", "MAX_UTIL=20", "MAX_CONCURRENT=5"):
            text, count = re.subn(rf"(?m)^{line.partition('=')[0]}=.*$", line, text)
            assert count == 1, f"one line of the script sets {line}"
        script.write_text(text)
        gamma = typist.project / HERE / "jobs_gamma_sensitivity.yaml"
        gamma.write_text(
            gamma.read_text().replace("[0, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1]", "[1e-1, 0, 1e-5, 1e-4, 1e-3, 1e-2]")
        )
        self.said = typist.types(
            "cd FedWhat/\nchmod +x run_gpu_aware_experiments.sh\nbash run_gpu_aware_experiments.sh all", status=1
        )
        self.ran = typist.ran()
        self.at_once = typist.at_once()
        typist.forgets()


def test_the_experiments_from_all_of_them_to_the_table_and_once_more(tmp_path: Path) -> None:
    with a_typist(tmp_path / "it's a $(touch pwned) dir", "8x24G") as typist:
        everything = All(typist)  # of which all that follows is told: it takes its time
        all_ran_once_in_the_order_of_the_files_and_a_failure_stopped_no_other(everything)
        what_the_script_says_at_its_top_was_obeyed(everything)
        logs_lie_where_the_document_has_them(everything)
        the_results_are_told_with_what_is_missing(everything)
        a_log_that_was_removed_is_made_again_and_the_rest_is_left(everything)
        the_scheduler_itself_skips_what_is_done(everything)
        assert not list(tmp_path.glob("**/pwned"))


def gpus_in(logs: Path) -> set[str]:
    found = (re.search(r"^GPU (\S+),", log.read_text(), re.MULTILINE) for log in logs.glob("*/*.log"))
    return {match[1] for match in found if match}


def all_ran_once_in_the_order_of_the_files_and_a_failure_stopped_no_other(everything: All) -> None:
    ran = everything.ran
    assert sorted(ran) == sorted([*MULTI_SEED, *GAMMA, *LAMBDA]), everything.said
    # Five begin at a time: which of them is first to say so is theirs.
    for order, part in ((MULTI_SEED, ran[:24]), (GAMMA, ran[24:30]), (LAMBDA, ran[30:])):
        assert all(abs(order.index(which) - place) < 5 for place, which in enumerate(part))
    assert GAMMA[0] in ran[24:29], "Q2: what was put first in the file is run first"


def what_the_script_says_at_its_top_was_obeyed(everything: All) -> None:
    assert everything.at_once == 5
    assert gpus_in(everything.logs) <= set("234567"), "neither full enough nor in use"


def logs_lie_where_the_document_has_them(everything: All) -> None:
    count = everything.typist.types("cd FedWhat/\ncat logs/multi_seed/*.log | grep -c '^round 10'").strip()
    assert count == "23"
    assert len(list(everything.logs.glob("gamma_sensitivity/*.log"))) == 6
    assert len(list(everything.logs.glob("lambda_max_sensitivity/*.log"))) == 6


def the_results_are_told_with_what_is_missing(everything: All) -> None:
    rows = {tuple(line.split()[:2]): line.split()[2:] for line in everything.said.splitlines() if line[:5] == "cifar"}
    assert set(rows) == {(dataset, algorithm) for dataset in ("cifar10", "cifar100") for algorithm in ALGORITHMS}
    found = [
        float(match[1])
        for seed in SEEDS
        if (
            match := re.search(
                r"accuracy=(\S+)", (everything.logs / f"multi_seed/cifar10-fedavg-{seed}.log").read_text()
            )
        )
    ]
    assert rows["cifar10", "fedavg"][:2] == ["3", f"{sum(found) / 3:.4f}"]
    assert rows["cifar100", "fedprox"][0] == "2"
    assert rows["cifar100", "fedprox"][-1] == "123"
    assert "cifar100-fedprox-123.log: no result: the run has failed, or is not over" in everything.said


def a_log_that_was_removed_is_made_again_and_the_rest_is_left(everything: All) -> None:
    # Q3: find the reason, remove the log, run it again; what is done is skipped.
    typist = everything.typist
    assert "RuntimeError: no luck" in (everything.logs / "multi_seed/cifar100-fedprox-123.log").read_text()
    typist.fails.unlink()
    said = typist.types(
        "cd FedWhat/\n"
        "rm logs/multi_seed/cifar100-fedprox-123.log logs/multi_seed/cifar10-scaffold-42.log\n"
        "bash run_gpu_aware_experiments.sh multi_seed"
    )
    again = "test.py --dataset cifar10 --algorithm scaffold --seed 42"
    assert sorted(typist.ran()) == sorted([UNLUCKY, again]), said
    rows = [line.split() for line in said.splitlines() if line[:5] == "cifar"]
    assert [row[2] for row in rows] == ["3"] * 8
    assert "no result" not in said


def the_scheduler_itself_skips_what_is_done(everything: All) -> None:
    typist = everything.typist
    typist.forgets()
    typist.types(
        "python gpu_scheduler.py \\\n"
        "    --job-file jobs_gamma_sensitivity.yaml \\\n    --min-memory 8000 \\\n    --max-util 30",
        at=HERE,
    )
    assert typist.ran() == []


def test_when_all_gpus_stay_taken_it_waits_as_long_as_it_was_told_to(tmp_path: Path) -> None:
    # Q1: an hour, unless it is told otherwise.
    with a_typist(tmp_path / "base", "2x24G") as typist:
        typist.others.write_text(json.dumps({str(gpu): {"used": "20G", "utilization": 99} for gpu in range(2)}))
        said = typist.types(
            "python FedWhat/gpu_scheduler.py --job-file FedWhat/jobs_multi_seed.yaml \\\n"
            "    --min-memory 8000 --max-util 30 --max-concurrent 4 --max-wait-time 1",
            status=1,
        )
        assert typist.ran() == []
        assert "max_wait_time" in said


def test_a_wrong_word_is_told(tmp_path: Path) -> None:
    with a_typist(tmp_path / "base", "1") as typist:
        said = typist.types("bash FedWhat/run_gpu_aware_experiments.sh gama", status=2)
        assert said == "run_gpu_aware_experiments.sh: expected all, multi_seed, gamma or lambda\n"
        assert "--job-file" in typist.types("python gpu_scheduler.py", at=HERE, status=2)
        said = typist.types("python gpu_scheduler.py --job-file jobs_mutli_seed.yaml", at=HERE, status=2)
        assert "jobs_mutli_seed.yaml" in said
