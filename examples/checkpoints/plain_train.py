#!/usr/bin/env python3
"""A training in plain Python that is warned, saves, and goes on in its next try, as if nothing had happened.

    gpu_submit --signal USR1@60 plain_train.py

It ends with status 0 when it has saved: a task with a --signal that was told to leave is run again.
"""

import os
import pickle
import random
import signal
import time

STEPS = 300
CHECKPOINT = "checkpoint.pkl"
must_leave = False


def leave(number, frame):
    """Ends the loop at the next step.  Slurm sends TERM to all processes when it takes a node back."""
    global must_leave
    must_leave = True


def train(state, pause=lambda state: time.sleep(0.02)):
    """Goes on from a state until it is done, or has to leave."""
    chance = random.Random()
    chance.setstate(state["chance"])
    while state["step"] < STEPS and not must_leave:
        x = [chance.gauss(0, 1) for _ in state["weights"]]
        wrong = sum(w * one for w, one in zip(state["weights"], x, strict=True)) - sum(x)
        state["weights"] = [w - 0.01 * wrong * one for w, one in zip(state["weights"], x, strict=True)]
        state["loss"] = 0.99 * state["loss"] + 0.01 * wrong * wrong
        state["step"] += 1
        state["chance"] = chance.getstate()
        pause(state)
    return state


def load():
    """The state that was saved last, or that of the beginning."""
    try:
        with open(CHECKPOINT, "rb") as file:
            return pickle.load(file)
    except FileNotFoundError:
        return {"step": 0, "weights": [0.0] * 8, "loss": 8.0, "chance": random.Random(1).getstate()}


def save(state):
    """Saves whole, or not at all: by a rename."""
    with open(f"{CHECKPOINT}.new", "wb") as file:
        pickle.dump(state, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(f"{CHECKPOINT}.new", CHECKPOINT)


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, leave)
    signal.signal(signal.SIGTERM, leave)
    state = load()
    print(f"try {os.environ.get('GPU_QUEUE_TRY', '-')} begins at step {state['step']}", flush=True)
    state = train(state)
    save(state)
    for number in (signal.SIGUSR1, signal.SIGTERM):  # Python forgets handlers as it ends: what is late kills it
        signal.signal(number, signal.SIG_IGN)
    print(f"step {state['step']}: loss {state['loss']!r}", flush=True)
