"""Experiment files with which nothing is wrong, and how many runs each has: also matrices as others have them."""

from __future__ import annotations

GOOD: dict[str, tuple[int, str]] = {
    "the smallest": (1, "jobs: {a: {run: python a.py}}\n"),
    "everything": (
        6,
        """\
version: 1
group: all
defaults:
  gpus: 1-2
  memory: 20G
  time: 1d12h
  retries: 2
  priority: 100
  env: {OMP_NUM_THREADS: 4, WANDB_MODE: offline, EMPTY: ''}
  cwd: ../project
  log_dir: logs/{group}/{job}
  skip_done: yes
jobs:
  prepare: {run: [python, prepare.py, --out, "data set"], gpus: 0, queue: io, log_dir: null, time: null}
  train:
    name: "{model|small}-{seed}-{lr}"
    matrix: {seed: [0, 1], lr: [1e-5, 3e-4], include: [{seed: 1, lr: 3e-4, model: large, memory: 40G}],
             exclude: [{seed: 0, lr: 3e-4}]}
    gpus: "{gpus|1}"
    memory: "{memory|8G}"
    after: prepare
    run: |
      export A={seed}
      torchrun --nproc_per_node 2 train.py --lr {lr} --name "{name}"
  also: {group: others, name: "also {gpus|4}", after: [train, prepare], run: "true", cwd: ~/x, priority: '7'}
  anchors: &anchors {matrix: {include: [{gpus: 2}]}, run: 'echo {gpus}', skip_done: false}
""",
    ),
    "document 003, seeds": (
        24,
        """\
defaults: {gpus: 1, memory: 8G}
jobs:
  multi_seed:
    name: "{dataset}_{algorithm}_seed{seed}"
    matrix:
      dataset: [fashion_mnist, cifar10]
      algorithm: [fedavg, fedprox, scaffold, fedwhat]
      seed: [42, 123, 2024]
    run: python test.py --dataset {dataset} --algorithm {algorithm} --seed {seed}
""",
    ),
    "document 003, gamma": (
        6,
        """\
group: gamma_sensitivity
jobs:
  gamma:
    matrix: {gamma: [0, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1]}
    run: python test.py --lambda_max 50 --gamma {gamma}
""",
    ),
    "a CI of Python packages": (
        11,
        """\
jobs:
  test:
    name: "{os}-py{python-version}{extra|}"
    matrix:
      os: [ubuntu-latest, macos-latest, windows-latest]
      python-version: ["3.9", 3.10, 3.11, "3.12"]
      exclude:
        - os: windows-latest
          python-version: 3.9
        - {os: macos-latest, python-version: 3.10}
      include:
        - os: ubuntu-latest
          python-version: 3.13
          extra: -dev
          experimental: true
        - {os: ubuntu-latest, coverage: true}
    run: tox -e py{python-version} {coverage|}
""",
    ),
    "a CI of a Rust program": (
        5,
        """\
jobs:
  build:
    name: build {build}
    matrix:
      include:
        - {build: linux, os: ubuntu-22.04, rust: nightly, target: x86_64-unknown-linux-musl}
        - {build: linux-arm, os: ubuntu-22.04, rust: nightly, target: arm-unknown-linux-gnueabihf}
        - {build: macos, os: macos-12, rust: nightly, target: x86_64-apple-darwin}
        - {build: win-msvc, os: windows-2022, rust: nightly, target: x86_64-pc-windows-msvc}
        - {build: win-gnu, os: windows-2022, rust: nightly-x86_64-gnu, target: x86_64-pc-windows-gnu}
    run: cross build --verbose --workspace --target {target}
""",
    ),
    "a sweep of W&B": (
        18,
        """\
# method: grid, parameters: {x: {values: [...]}}, command: [${env}, ${interpreter}, ${program}, ${args}]
jobs:
  sweep:
    matrix:
      optimizer.name: [adam, sgd]
      optimizer.lr: [0.1, 1e-2, 3.0e-4]
      model.dropout: [0.0, 0.25, 0.5]
    run: [/usr/bin/env, python, train.py, "--optimizer.name={optimizer.name}", "--optimizer.lr={optimizer.lr}"]
""",
    ),
    "a sweep of Hydra": (
        4,
        """\
jobs:
  hydra:
    name: "{db}-{schema}"
    matrix: {db: [mysql, postgresql], schema: [warehouse, support]}
    run: python my_app.py db={db} schema={schema} hydra.run.dir=outputs/{name}
""",
    ),
    "models with slashes in their names": (
        4,
        """\
jobs:
  eval:
    matrix: {model: [meta-llama/Llama-3.1-8B, Qwen/Qwen2.5-7B], task: ["mmlu,5", gsm8k]}
    run: lm_eval --model hf --model_args pretrained={model} --tasks {task}
""",
    ),
    "shells with braces": (
        2,
        """\
jobs:
  a:
    matrix: {n: [1, 2]}
    run: |
      for i in {1..3}; do echo "${i}" {a,b} '{"json": {"a": [1]}}'; done
      awk '{print $1}' <<EOF
      {n} ${HOME} {{n}
      EOF
      docker ps --format '{{.ID}}'
""",
    ),
    "variables of the shell that are called like values": (
        1,
        """\
jobs:
  a:
    matrix: {n: [1], m: [1], k: [1], HOME: [x]}
    env: {k: "{k}"}
    run: |
      n={n}; for m in 1 2; do echo $n ${m} $k $na ${n:-1} $(echo n); done; HOME={HOME}
""",
    ),
    "anchors and merges": (
        3,
        """\
jobs:
  a: &base {gpus: 2, env: &env {A: 1}, run: echo a}
  b: {<<: *base, run: echo b}
  c: {<<: [*base], env: {<<: *env, B: 2}}
""",
    ),
    "a pipeline by names": (
        12,
        """\
defaults: {memory: 10G}
jobs:
  train: {matrix: &grid {d: [a, b], s: [0, 1]}, run: "train {d} {s}"}
  test: {matrix: *grid, after: "train-{d}-{s}", run: "test {d} {s}"}
  best: {matrix: {d: [a, b]}, after: ["test-{d}-0", "test-{d}-1"], run: "best {d}", gpus: 0}
  table: {after: [best, test], run: table, gpus: 0}
  also: {after: [], run: also}
""",
    ),
    "Chinese": (
        2,
        """\
group: 多种子
jobs:
  训练: {matrix: {seed: [1]}, run: "python 训练.py --seed {seed}"}
  表: {after: 训练, run: python 表.py}
""",
    ),
}
