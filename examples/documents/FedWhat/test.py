#!/usr/bin/env python3
"""Stands for your training: it needs no GPU and no torch, takes about a second, and prints accuracies.

A handful of clients train a linear classifier together, each on points of its own, which are made up from the name of
the data set.  --lambda_max bounds how strongly a client is drawn to the common model, --gamma shrinks that.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import time

from scripts.aggregate_multi_seed_results import result_line

CLIENTS, POINTS, FEATURES, RATE = 4, 20, 8, 0.2
Point = tuple[list[float], int]


def points(chance: random.Random, truth: list[float], count: int, shift: float) -> list[Point]:
    """Points on both sides of a plane, some of them on the wrong one."""
    made = []
    for _ in range(count):
        place = [chance.gauss(shift, 1) for _ in truth]
        made.append((place, int(dot(truth, place) + chance.gauss(0, 1) > 0)))
    return made


def dot(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def accuracy(model: list[float], test: list[Point]) -> float:
    return sum((dot(model, place) > 0) == bool(side) for place, side in test) / len(test)


def trained(model: list[float], own: list[Point], pull: float, drift: list[float]) -> list[float]:
    """A client's model after it went once through its points, drawn back to the common one."""
    mine = list(model)
    for place, side in own:
        error = side - 1 / (1 + math.exp(-max(-30.0, min(30.0, dot(mine, place)))))
        for at, value in enumerate(place):
            mine[at] += RATE * (error * value - pull * (mine[at] - model[at]) - drift[at])
    return mine


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="cifar10", help="a name, from which points are made")
    parser.add_argument("--algorithm", default="fedavg", choices=["fedavg", "fedprox", "scaffold", "fedwhat"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--gamma", type=float, default=0.001)
    parser.add_argument("--lambda_max", type=float, default=50)
    parser.add_argument("--rounds", type=int, default=10)
    asked = parser.parse_args()

    chance = random.Random(f"{asked.dataset} {asked.seed}")
    truth = [random.Random(f"{asked.dataset} {at}").gauss(0, 1) for at in range(FEATURES)]
    clients = [points(chance, truth, POINTS, shift=chance.gauss(0, 1)) for _ in range(CLIENTS)]
    test = points(chance, truth, 400, shift=0)
    model = [0.0] * FEATURES
    drifts = [[0.0] * FEATURES for _ in clients]
    print(f"GPU {os.environ.get('CUDA_VISIBLE_DEVICES', 'none')}, {vars(asked)}", flush=True)
    for step in range(1, asked.rounds + 1):
        growing = asked.lambda_max * step / asked.rounds / (1 + 100 * asked.gamma)
        pull = {"fedprox": 0.1, "fedwhat": growing / 100}
        models = [
            trained(model, own, pull.get(asked.algorithm, 0), drift)
            for own, drift in zip(clients, drifts, strict=True)
        ]
        model = [sum(values) / len(models) for values in zip(*models, strict=True)]
        if asked.algorithm == "scaffold":  # what a client strays is taken off its next steps
            drifts = [[(a - b) / POINTS / RATE / 10 for a, b in zip(one, model, strict=True)] for one in models]
        print(f"round {step}: accuracy {accuracy(model, test):.4f}", flush=True)
        time.sleep(float(os.environ.get("ROUND_SECONDS", "0.1")))
    print(result_line(asked.dataset, asked.algorithm, asked.seed, accuracy(model, test)))


if __name__ == "__main__":
    main()
