"""What is to be started: the command line of ``srun``.  Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

RANKS_MAX = 4096

# Options whose argument may be the next word.
_WITH_VALUE = frozenset(
    """
    account acctg-freq bb bbf chdir cluster-constraint clusters comment constraint container container-id core-spec
    cores-per-socket cpu-bind cpu-freq cpus-per-gpu cpus-per-task deadline delay-boot dependency distribution epilog
    error exclude export extra extra-node-info gid gpu-bind gpu-freq gpus gpus-per-node gpus-per-socket gpus-per-task
    gres gres-flags het-group hint input jobid job-name licenses mail-type mail-user mcs-label mem mem-bind
    mem-per-cpu mem-per-gpu mincpus mpi msg-timeout network nodefile nodelist nodes ntasks ntasks-per-core
    ntasks-per-gpu ntasks-per-node ntasks-per-socket open-mode output partition power prefer priority profile prolog
    qos relative reservation segment signal slurmd-debug sockets-per-node switches task-epilog task-prolog tasks
    tasks-per-node thread-spec threads threads-per-core time time-min tmp treewidth tres-bind tres-per-task uid wait
    wckey
    """.split()  # noqa: SIM905
)
_FLAGS = frozenset(
    """
    accel-bind async bcast compress contiguous debugger-test disable-status exact exclusive external external-launcher
    get-user-env help hold immediate interactive kill-on-bad-exit label multi-prog nice no-allocate no-kill no-shell
    overcommit overlap oversubscribe preserve-env propagate pty quiet quit-on-interrupt reboot resv-ports send-libs
    share spread-job stepmgr test-only unbuffered usage use-min-nodes verbose version wait-all-nodes whole x11
    """.split()  # noqa: SIM905
)
_LETTERS = {
    letter: name
    for letter, _, name in (
        one.partition("=")
        for one in """
        A=account B=extra-node-info C=constraint D=chdir G=gpus J=job-name L=licenses M=clusters N=nodes S=core-spec
        T=threads W=wait b=begin c=cpus-per-task d=dependency e=error i=input m=distribution n=ntasks o=output
        p=partition q=qos r=relative t=time w=nodelist x=exclude
        """.split()  # noqa: SIM905
    )
}
_FLAG_LETTERS = {
    letter: name
    for letter, _, name in (
        one.partition("=")
        for one in """
        E=preserve-env H=hold I=immediate K=kill-on-bad-exit O=overcommit Q=quiet V=version X=disable-status
        Z=no-allocate h=help k=no-kill l=label s=oversubscribe u=unbuffered v=verbose
        """.split()  # noqa: SIM905
    )
}
_REFUSED = {
    "multi-prog": "starts the same program for all ranks",
    "container": "starts no containers",
    "container-image": "starts no containers",
}
_COUNT = re.compile(r"(?:.*[:=])?([0-9]{1,4})")


class Refused(Exception):
    """A step that cannot be started as it was meant."""


@dataclass
class Step:
    """What is to be started."""

    given: dict[str, str] = field(default_factory=dict)
    """Options by their long names, without dashes; a flag's value is empty."""
    unknown: list[str] = field(default_factory=list)
    program: list[str] = field(default_factory=list)


def parse(words: list[str]) -> Step:
    """Read options up to the first word that is none."""
    step = Step()
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            break
        if not word.startswith("-") or word == "-":
            rest.insert(0, word)
            break
        if word.startswith("--"):
            _long(word[2:], rest, step)
        else:
            _short(word[1:], rest, step)
    step.program = rest
    return step


def _long(text: str, rest: list[str], step: Step) -> None:
    name, equals, value = text.partition("=")
    name = name.replace("_", "-")
    if name not in _WITH_VALUE and name not in _FLAGS:
        meant = {one for one in _WITH_VALUE | _FLAGS if one.startswith(name)}
        if len(meant) == 1:
            name = meant.pop()
    if name in _WITH_VALUE:
        if not equals:
            if not rest:
                raise Refused(f"--{name} has no value")
            value = rest.pop(0)
    elif name not in _FLAGS and name not in _REFUSED:
        step.unknown.append(f"--{name}")
    step.given[name] = value


def _short(letters: str, rest: list[str], step: Step) -> None:
    while letters:
        letter, letters = letters[0], letters[1:]
        if letter in _LETTERS:
            if not letters and not rest:
                raise Refused(f"-{letter} has no value")
            step.given[_LETTERS[letter]] = letters.removeprefix("=") if letters else rest.pop(0)
            return
        if letter in _FLAG_LETTERS:
            name = _FLAG_LETTERS[letter]
            if letter in "KIX" and letters[:1].isdigit():
                step.given[name], letters = letters, ""
            else:
                step.given[name] = ""
        else:
            step.unknown.append(f"-{letter}")
            return


def number_of(step: Step, name: str) -> int | None:
    """The number that an option gives (``4``, ``a100:4``); None: it is not there."""
    value = step.given.get(name)
    if value is None:
        return None
    match = _COUNT.fullmatch(value)
    if match is None:
        raise Refused(f"--{name}={value}: expected a whole number")
    return int(match[1])


def ranks_of(step: Step, environment: Mapping[str, str], most_nodes: int = 1) -> int:
    """How many are started, where all are on one node; refuses what needs more nodes than the task has."""
    nodes = step.given.get("nodes", "1")
    least = re.match(r"[0-9]+", nodes)
    if least is None or int(least[0]) > most_nodes:
        has = "one node: gpu_submit --nodes N gives it more" if most_nodes == 1 else f"{most_nodes} nodes"
        raise Refused(f"--nodes={nodes}: the task has {has}")
    for name, why in _REFUSED.items():
        if name in step.given:
            raise Refused(f"--{name}: this srun, for the nodes of a task, {why}")
    inherited = environment.get("SLURM_NTASKS") or environment.get("SLURM_NPROCS") or ""
    for count in (number_of(step, "ntasks"), number_of(step, "tasks"), number_of(step, "ntasks-per-node")):
        if count is not None:
            break
    else:
        count = int(inherited) if inherited.isdigit() and len(inherited) < 5 else 1
    if not 1 <= count <= RANKS_MAX:
        raise Refused(f"{count} ranks: expected 1 to {RANKS_MAX}")
    return count
