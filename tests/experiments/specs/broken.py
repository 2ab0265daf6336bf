"""Experiment files that are wrong; ``python -m tests.experiments.specs.broken`` writes what is said of them."""

from __future__ import annotations

from pathlib import Path

from gpu_queue.errors import BadExperimentFile
from gpu_queue.experiments.specs.expanding import Surroundings
from gpu_queue.experiments.specs.parsing import parse_experiment

GOLDEN = Path(__file__).parent / "broken.txt"
HERE = Surroundings("/home/ann/p", "f.yaml", "/home/ann")

RUN = "run: python a.py"
NO_YAML: dict[str, str | bytes] = {
    "nothing": "",
    "comments alone": "# nothing\n",
    "a bracket that stays open": "jobs:\n  a:\n    matrix:\n      seed: [0, 1\n    run: x\n",
    "a tab": "jobs:\n\ta: {run: x}\n",
    "a template without quotes": "jobs:\n  a:\n    name: {dataset}_{seed}\n    run: x\n",
    "a template in braces without quotes": "jobs: {a: {run: python a.py {seed}}}\n",
    "a colon in a text": "jobs:\n  a:\n    run: echo a: b\n",
    "a quote that stays open": "jobs:\n  a:\n    run: 'echo\n",
    "a key that is not indented enough": "jobs:\n  a:\n    run: x\n   gpus: 1\n",
    "two documents": f"jobs: {{a: {{{RUN}}}}}\n---\njobs: {{}}\n",
    "a tag": "jobs: !!python/object/apply:os.system ['touch pwned']\n",
    "a tag of a text": "jobs: {a: {run: !secret x}}\n",
    "an alias of nothing": "defaults: {env: *env}\njobs: {a: {run: x}}\n",
    "an alias of itself": "jobs: &all {a: {run: x}, b: *all}\n",
    "a bomb of aliases": "\n".join(
        [
            "a0: &a0 [x, x, x, x, x, x, x, x, x, x]",
            *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)),
        ]
    ),
    "brackets without end": "[" * 2000,
    "more values than anybody reads": f"jobs: {{a: {{matrix: {{seed: [{'x,' * 100_001}]}}, {RUN}}}}}\n",
    "a control character": "jobs:\n  a:\n    run: echo \x07\n",
    "a NUL that is spelled": 'jobs: {a: {run: "echo \\0"}}\n',
    "a character that there is not": 'jobs: {a: {run: "\\Uffffffff"}}\n',
    "an invisible character": "jobs:\n  a:\n    gpus: 1\u200b\n    run: x\n",
    "a direction of writing": "jobs: {a: {run: 'x \u202e y'}}\n",
    "Latin-1": b"jobs:\n  caf\xe9: {run: x}\n",
    "UTF-16": "jobs: {a: {run: x}}\n".encode("utf-16"),
    "a binary": b"\x7fELF\x02\x01\x01\0\0\0",
}
FILE = {
    "a list": "- train\n",
    "a text": "python train.py\n",
    "no jobs": "version: 1\ngroup: g\n",
    "no job": "jobs: {}\n",
    "jobs that are forgotten": "jobs:\n",
    "jobs in a list": "jobs:\n  - name: a\n    run: x\n",
    "another version": f"version: 2\njobs: {{a: {{{RUN}}}}}\n",
    "a key of another program": f"on: push\njobs: {{a: {{{RUN}}}}}\n",
    "a typo at the top": f"default: {{gpus: 1}}\njobs: {{a: {{{RUN}}}}}\n",
    "a key of a job at the top": f"gpus: 1\njobs: {{a: {{{RUN}}}}}\n",
    "a key of the file in a job": f"jobs: {{a: {{{RUN}, version: 1}}}}\n",
    "experiments in the place of jobs": f"experiments: {{a: {{{RUN}}}}}\n",
    "jobs twice": f"jobs: {{a: {{{RUN}}}}}\njobs: {{b: {{{RUN}}}}}\n",
    "a job twice": f"jobs:\n  a: {{{RUN}}}\n  b: {{{RUN}}}\n  a: {{{RUN}}}\n",
    "a key twice": "jobs:\n  a:\n    gpus: 1\n    run: x\n    gpus: 2\n",
    "a key that is a list": "jobs:\n  ? [a, b]\n  : {run: x}\n",
    "a key that is nothing": "jobs:\n  : {run: x}\n",
    "a job that is a text": "jobs: {a: python a.py}\n",
    "a job that is nothing": "jobs:\n  a:\n",
    "a job's name with a slash": f"jobs: {{a/b: {{{RUN}}}}}\n",
    "a job's name that is hidden": f"jobs: {{.a: {{{RUN}}}}}\n",
    "a job's name that is an option": f"jobs: {{--a: {{{RUN}}}}}\n",
    "a job's name with a control character": f'jobs: {{"a\\x1b[31m": {{{RUN}}}}}\n',
    "defaults that are a list": f"defaults: [1]\njobs: {{a: {{{RUN}}}}}\n",
    "a typo in defaults": f"defaults: {{gpu: 1}}\njobs: {{a: {{{RUN}}}}}\n",
    "a group with a slash": f"group: a/b\njobs: {{a: {{{RUN}}}}}\n",
    "a merge of what is no mapping": f"jobs:\n  a: &a {{{RUN}}}\n  b:\n    <<: [*a, 3]\n",
}
JOB = {
    "no run": "gpus: 1",
    "a run that is forgotten": "run:",
    "a run that is null": "run: null",
    "a run of blanks": "run: '  '",
    "a run that is a mapping": "run: {python: a.py}",
    "a run that is an empty list": "run: []",
    "a run with a list in it": "run: [python, [a.py]]",
    "a run with a forgotten word": "run:\n- python\n-",
    "a run that is another program's": "run: |\n  #!/usr/bin/env python3\n  print(1)",
    "a key as another program has it": f"{RUN}\ncommand: x\nneeds: [b]\ntimeout: 1h\nstrategy: {{}}",
    "a key in capitals": f"{RUN}\nGPUs: 1",
    "a key that is like none": f"{RUN}\nfrobnicate: 1",
    "GPUs in words": f"{RUN}\ngpus: two",
    "GPUs backwards": f"{RUN}\ngpus: 4-2",
    "more GPUs than there are": f"{RUN}\ngpus: 2000",
    "half a GPU": f"{RUN}\ngpus: 0.5",
    "a list of GPUs": f"{RUN}\ngpus: [0, 1]",
    "GPUs that are forgotten": f"{RUN}\ngpus:",
    "memory without a unit": f"{RUN}\nmemory: 8000",
    "memory in a unit that there is not": f"{RUN}\nmemory: 8 gigs",
    "memory below zero": f"{RUN}\nmemory: -8G",
    "time as a clock": f"{RUN}\ntime: 1:30",
    "no time": f"{RUN}\ntime: 0",
    "time for ever": f"{RUN}\ntime: 1000000d",
    "retries without end": f"{RUN}\nretries: forever",
    "retries below zero": f"{RUN}\nretries: -1",
    "a queue with a blank": f"{RUN}\nqueue: my queue",
    "a priority out of range": f"{RUN}\npriority: 1000",
    "a priority in words": f"{RUN}\npriority: high",
    "maybe skipped": f"{RUN}\nskip_done: maybe",
    "a directory of somebody else": f"{RUN}\ncwd: ~bob/p",
    "logs that are switched off": f"{RUN}\nlog_dir: false",
    "an empty directory": f"{RUN}\ncwd: ''",
    "a directory with a control character": f'{RUN}\ncwd: "a\\nb"',
    "an environment that is a list": f"{RUN}\nenv: [A=1]",
    "a variable that is none": f"{RUN}\nenv: {{A-B: 1, 1A: 2}}",
    "a variable of the queue": f"{RUN}\nenv: {{GPU_QUEUE_TRY: 2}}",
    "a variable of bash": f"{RUN}\nenv: {{UID: 0}}",
    "a variable that is nothing": f"{RUN}\nenv:\n  A:\n  B: null",
    "a variable that is a list": f"{RUN}\nenv: {{A: [1, 2]}}",
    "a name with a slash": f"{RUN}\nname: a/b",
    "a name that is too long": f"{RUN}\nname: {'n' * 101}",
    "a name that is a template without quotes": f"{RUN}\nname: {{seed}}",
    "a name that is empty": f"{RUN}\nname: ''",
    "an unknown template": "run: python a.py --seed {seed}",
    "a typo in a template": "matrix: {dataset: [a, b]}\nrun: python a.py {datset}",
    "a default of a name that there is not": "matrix: {gamma: [1]}\nrun: python a.py {gama|0}",
    "GitHub's templates": "matrix: {seed: [1]}\nrun: python a.py --seed ${{ matrix.seed }}",
    "a variable in the place of a template": "matrix: {seed: [1], lr: [1]}\nrun: python a.py --seed $seed --lr ${lr}",
    "a name in a name": f"{RUN}\nname: x-{{name}}",
    "a template behind a backslash": "matrix: {seed: [1]}\nrun: echo \\{seed}",
    "a text in a sum": "matrix: {seed: [1, a b]}\nrun: echo $(( {seed} + 1 ))",
    "GPUs of a template": "matrix: {n: [1, two, 4]}\nrun: x\ngpus: '{n}'",
    "what it comes after is not there": f"{RUN}\nafter: [trian]",
    "what it comes after is a mapping": f"{RUN}\nafter: {{job: a}}",
    "what it comes after is forgotten": f"{RUN}\nafter: [a, ]\nname: n\nqueue:",
    "it comes after itself": f"{RUN}\nafter: train",
    "six at once": "run: python {x}\ngpus: two\nmemory: much\ntime: long\nretires: 3\nenv: {1: 2}",
}
MATRIX = {
    "a list": "[1, 2]",
    "nothing": "{}",
    "one value": "{seed: 0}",
    "no value": "{seed: []}",
    "a forgotten value": "{seed: [0, , 1]}",
    "a list in a list": "{seed: [[0, 1]]}",
    "a mapping in a list": "{model: [{name: a}]}",
    "a value twice": "{seed: [0, 1, 0]}",
    "a name that is none": "{1st: [0], a b: [1]}",
    "a name that a run has": "{name: [a, b], job: [c]}",
    "an exclusion of nothing": "{seed: [0, 1], exclude: [{seed: 2}]}",
    "an exclusion that is written otherwise": "{lr: [0.1, 1e-3], exclude: [{lr: 0.10}]}",
    "an exclusion of another name": "{lr: [0.1], exclude: [{rl: 0.1}]}",
    "an exclusion that is a mapping": "{lr: [0.1], exclude: {lr: 0.1}}",
    "an exclusion of all": "{lr: [0.1], exclude: [{lr: 0.1}]}",
    "an inclusion that is written otherwise": "{lr: [0.1], include: [{lr: 1e-1, x: 2}]}",
    "an inclusion without values": "{lr: [0.1], include: [{}]}",
    "an inclusion of a list": "{lr: [0.1], include: [{x: [1, 2]}]}",
    "an inclusion of a text": "{lr: [0.1], include: [x]}",
    "more combinations than anybody runs": "{a: [0,1,2,3,4], b: &b [0,1,2,3,4,5,6,7,8,9], c: *b, d: *b, e: *b}",
}
MORE = {
    "names that are not unique": "jobs: {a: {name: 'x-{seed}', matrix: {seed: [0, 1], lr: [1, 2]}, run: x}}\n",
    "a name in two jobs": "jobs:\n  a: {run: x, name: n}\n  b: {run: y, name: n}\n",
    "names that are alike when they are cut": "jobs: {a: {matrix: {m: [x/y, x_y]}, run: x}}\n",
    "not all combinations have it": "jobs: {a: {matrix: {s: [0, 1], include: [{s: 0, g: 1}]}, run: 'x {g}'}}\n",
    "a circle of jobs": "jobs:\n  a: {run: x, after: c}\n  b: {run: x, after: [a]}\n  c: {run: x, after: [b]}\n",
    "a circle of runs": (
        "jobs:\n  a: {run: x, name: 'a{s}', matrix: {s: [0, 1]}, after: 'b{s}'}\n"
        "  b: {run: x, name: 'b{s}', matrix: {s: [0, 1]}, after: 'a{s}'}\n"
    ),
    "after in defaults": "defaults: {after: [a]}\njobs: {a: {run: x}, b: {run: x}}\n",
    "after a run that was excluded": (
        "jobs:\n  a: {run: x, matrix: {s: [0, 1], exclude: [{s: 1}]}}\n"
        "  b: {run: x, matrix: {s: [0, 1]}, after: 'a-{s}'}\n"
    ),
    "after more than a record holds": (
        "jobs:\n  a-job-whose-name-is-long-enough-to-be-found-again:\n    run: x\n"
        "    matrix: {a: &a [0,1,2,3,4,5,6,7,8,9], b: *a, c: *a}\n"
        "  b: {after: a-job-whose-name-is-long-enough-to-be-found-again, run: x}\n"
    ),
    "more runs than anybody runs": "jobs:\n"
    "  a0: &a {run: x, matrix: {a: &v [0,1,2,3,4,5,6,7,8,9], b: *v, c: *v, d: [0,1]}}\n"
    + "".join(f"  a{n}: *a\n" for n in range(1, 6)),
}


def files() -> dict[str, bytes]:
    """All of them, by what is wrong."""
    job = {
        f"job: {name}": "jobs:\n  train:\n" + "".join(f"    {line}\n" for line in text.split("\n"))
        for name, text in JOB.items()
    }
    matrix = {f"matrix: {name}": f"jobs:\n  a:\n    matrix: {text}\n    run: x\n" for name, text in MATRIX.items()}
    texts: dict[str, str | bytes] = {**NO_YAML, **FILE, **job, **matrix, **MORE}
    return {name: text.encode() if isinstance(text, str) else text for name, text in texts.items()}


def problems_of(content: bytes) -> tuple[str, ...]:
    """What is said of one."""
    try:
        parse_experiment(content, HERE, "f.yaml")
    except BadExperimentFile as bad:
        return bad.problems
    return ()


def told() -> str:
    """All of them, with what is said."""
    return "\n".join(
        f"# {name}\n" + "".join(f"{one}\n" for one in problems_of(content)) for name, content in files().items()
    )


if __name__ == "__main__":
    GOLDEN.write_text(told(), encoding="utf-8")
