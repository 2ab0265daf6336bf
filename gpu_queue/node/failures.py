"""What kind of failure a try's end and the end of its log tell of: one table.  Pure.

- What was *thrown* counts for more than what was merely said: the line of an exception, an allocator's or a kernel's
  own message.  A script that met a full memory, went on and died of a ``KeyError`` did not die of memory.
- Logs are full of false friends: ``zoom``, ``--oom-policy``, ``no OOM so far``, TensorFlow's "this is not a failure".
- A log is anybody's text: lines are cut, and no pattern looks further than so many bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gpu_queue.task import Abnormal, End, ErrorType, Why, error_word

TAIL_BYTES = 64 << 10
_LINE_BYTES = 2000
_LINES_MAX = 2000
_TIMED_OUT = 124
"""Of timeout(1)."""
_NOT_RUN = (126, 127)
"""A command of the script could not be run, or does not exist; whatever was said before."""
_SIGNALS = range(129, 193)
_ABORTED = 134
"""How C++ ends by an exception that nobody caught."""

_OF_WHY = {
    Why.TIMEOUT: ErrorType.TIMEOUT.value,
    Why.LOST: ErrorType.NODE_LOST.value,
    Why.FENCED: ErrorType.NODE_LOST.value,
    # Not the script's: somebody wanted it so, or nothing of it ran.
    Why.REQUEUE: "",
    Why.STOPPED: "",
    Why.NOSTART: "",
}

# -- the table ------------------------------------------------------------------------------------------------------

_MESSAGES = (
    (
        ErrorType.OOM,
        re.compile(
            rb"(?:CUDA|HIP|XPU|NPU|MPS backend) out of memory[.:]? (?:Tried to|\(MPS)"
            rb"|(?:CUDA|HIP) error(?: \d{1,4})?: out of memory|Cuda failure (?:\d{1,4} )?'out of memory'"
            rb"|CUDA_ERROR_OUT_OF_MEMORY|cudaErrorMemoryAllocation|hipErrorOutOfMemory|_STATUS_ALLOC_FAILED"
            rb"|OOM when allocating tensor|RESOURCE_EXHAUSTED: [^\n]{0,80}(?:Out of memory|OOM|allocat)"
            rb"|No available memory for the cache blocks|is less than desired GPU memory utilization"
            # of the host
            rb"|Unable to allocate [0-9.]{1,12} [KMGTPE]iB for an array|std::bad_alloc"
            rb"|(?:not enough|can't allocate) memory: you tried to allocate"
            rb"|(?:\[Errno 12\]|: fork:[^\n]{0,40}|errno: 12\b) ?Cannot allocate memory"
            rb"|memory allocation of \d{1,20} bytes failed|(?:runtime: |JavaScript heap )out of memory"
            rb"|java\.lang\.OutOfMemoryError|RayTaskError\(OutOfMemoryError\)"
            rb"|Out of memory: Killed process|invoked oom-killer|oom[-_]kill event|been OOM Killed",
            re.IGNORECASE,
        ),
    ),
    (
        ErrorType.TIMEOUT,
        re.compile(
            rb"collective operation timeout|Timed out waiting \d{1,12} ?ms for (?:recv|send)"
            rb"|wait timeout after \d{1,12} ?ms|Timed out after \d{1,9} seconds waiting for clients"
            rb"|RuntimeError: Socket Timeout|DEADLINE_EXCEEDED: |DUE TO TIME LIMIT",
            re.IGNORECASE,
        ),
    ),
)
"""What only who fails so prints, wherever it stands in the log; of several kinds the first here."""

_THROWN = re.compile(
    rb"(?:(?:\[[^\]\n]{1,80}\]|\([^)\n]{1,80}\)|\d{1,5}(?=:))(?:<std(?:err|out)>)?:?[ \t]{0,4}){0,3}"
    rb"(?:[A-Za-z_]\w{0,60}\.){0,8}"
    rb"(\w{0,60}(?:Error|Exception|Interrupt|Expired|Timeout|OutOfMemory))(?::(?!:)|[ \t]*$)"
)
"""The line of an exception, with what torchrun, srun, mpirun and Ray put before it."""
_TYPES = (
    (ErrorType.OOM, re.compile(rb"MemoryError|OutOfMemory|ResourceExhausted")),
    (ErrorType.TIMEOUT, re.compile(rb"Timeout")),
    (ErrorType.RUNTIME_ERROR, re.compile(rb"RuntimeError$|^AcceleratorError$|^Dist\w{0,20}Error$")),
)
"""By the exception's name."""
_CONSEQUENCES = re.compile(
    rb"Error|ChildFailedError|Exception|CalledProcessError|Process(?:Raised|Exited)Exception|RayTaskError|WorkerCrashedError"
    rb"|ActorDiedError|BrokenPipeError|EOFError|Connection\w{0,20}Error|KeyboardInterrupt|Dist\w{0,20}Error"
)
"""Thrown because another process had ended: what that one threw counts, if it is there."""

_SAID_OOM = re.compile(rb"out of memory\b|(?<![\w'\"./-])oom(?![\w'\"./-])", re.IGNORECASE)
_NOT_SO_BEFORE = re.compile(
    rb"(?:\b(?:no|not|never|0|zero|without|avoid\w{0,4}|prevent\w{0,4})"
    rb"(?:[ \t](?:an?|any|more|cuda|gpu|host|such|to|run\w{0,5}|get\w{0,5}|into|caus\w{0,4})){0,5}[ \t]"
    rb"|\b(?:if|unless|case of|may|might|would)\b[^\n]{0,40})$",
    re.IGNORECASE,
)
_NOT_SO_AFTER = re.compile(
    rb"(?:[ _-](?:count|events?|kills?|retries|errors?))?[ \t]{0,4}(?:[:=][ \t]{0,4}(?:\d|none|no|false|off)|0\b)"
    rb"|[^\n]{0,400}not a failure|[^\n]{0,80}(?:skipp|retry|recover)",
    re.IGNORECASE,
)
_SAID = (
    (ErrorType.RUNTIME_ERROR, re.compile(rb"\bRuntimeError\b|\bruntime[ _]error\b", re.IGNORECASE)),
    (
        ErrorType.SIGNAL,
        re.compile(
            rb"\bSignal \d{1,2} \(SIG\w{2,8}\) received by PID|terminated with signal SIG|failed \(exitcode: -\d"
            rb"|: line \d{1,9}: +\d{1,9} (?:Killed|Segmentation fault|Aborted|Bus error|Illegal instruction)\b"
        ),
    ),
)
"""What a line may say beside that; only where nothing else was thrown."""

_TRIGGERS = (
    *(b"memory", b"oom", b"alloc", b"exhausted", b"deadline_exceeded", b"time limit", b"timeout", b"timed out"),
    *(b"error", b"exception", b"interrupt", b"expired", b"signal", b"killed", b"segmentation", b"abort", b"illegal"),
    b"bus error",
)
"""No pattern fits a line that has none of these: most lines of a log are looked at no further."""


# -- reading it -----------------------------------------------------------------------------------------------------


def by_its_end(end: End, abnormal: Abnormal | None) -> str | None:
    """The error type as far as a try's end tells it: empty where it did not fail.  None: its log must be asked."""
    if end.why is not None:
        return _OF_WHY[end.why] if end.status != 0 or abnormal is not None or end.why is Why.NOSTART else ""
    if abnormal is None and end.status == 0:
        return ""
    said = error_word(abnormal.error_type) if abnormal is not None else ErrorType.UNKNOWN.value
    return None if said == ErrorType.UNKNOWN.value else said


def by_its_log(status: int, said: bytes) -> ErrorType:
    """The error type of a try that failed, by its status and the end of its log."""
    if status in _NOT_RUN:
        return ErrorType.UNKNOWN
    if status == _TIMED_OUT:
        return ErrorType.TIMEOUT
    evidence = _read(said)
    if evidence.message is not None:
        return evidence.message
    if status in _SIGNALS:
        threw = status == _ABORTED and evidence.verdict is ErrorType.RUNTIME_ERROR
        return ErrorType.RUNTIME_ERROR if threw else ErrorType.SIGNAL
    return evidence.verdict


def told(last_line: str, error_type: str) -> str:
    """The last line of a log with the kind of failure unless a note tells more: ``==== exit 1 after 2.0 s (oom)``."""
    line = last_line.rstrip("\n")
    if not line or line.endswith(")") or error_type in ("", ErrorType.UNKNOWN.value):
        return last_line
    return f"{line} ({error_type})\n"


@dataclass(frozen=True)
class _Evidence:
    message: ErrorType | None
    """By what only who fails so prints."""
    verdict: ErrorType
    """By all the rest."""


def _read(said: bytes) -> _Evidence:
    messages: set[ErrorType] = set()
    thrown: ErrorType | None = None
    consequence: ErrorType | None = None
    spoken: set[ErrorType] = set()
    for line in _lines_of(said):
        messages |= {kind for kind, pattern in _MESSAGES if pattern.search(line)}
        match = _THROWN.match(line)
        if match is None:
            if _says_oom(line):
                spoken.add(ErrorType.OOM)
            spoken |= {kind for kind, pattern in _SAID if pattern.search(line)}
            continue
        kind = _kind_of(match[1], line)
        if kind is ErrorType.OOM:
            messages.add(kind)
        elif _CONSEQUENCES.fullmatch(match[1]):
            consequence = kind
            spoken |= {kind for kind, pattern in _SAID if pattern.search(line)}
        else:
            thrown = kind
            spoken.discard(ErrorType.OOM)  # it was met, and something else came after it
    order = [kind for kind, _ in _MESSAGES]
    message = min(messages, key=order.index) if messages else None
    if ErrorType.OOM in spoken:
        return _Evidence(message, ErrorType.OOM)
    if thrown is not None:
        return _Evidence(message, thrown)
    for kind, _ in _SAID:
        if kind in spoken:
            return _Evidence(message, kind)
    return _Evidence(message, consequence or ErrorType.UNKNOWN)


def _kind_of(name: bytes, line: bytes) -> ErrorType:
    for kind, pattern in _TYPES:
        if pattern.search(name):
            return ErrorType.OOM if _says_oom(line) else kind
    return ErrorType.OOM if _says_oom(line) else ErrorType.UNKNOWN


def _says_oom(line: bytes) -> bool:
    return any(
        not _NOT_SO_BEFORE.search(line, 0, match.start()) and not _NOT_SO_AFTER.match(line, match.end())
        for match in _SAID_OOM.finditer(line)
    )


_COLOURS = re.compile(rb"\x1b\[[0-9;?]{0,20}[A-Za-z]")
_OURS = b"==== "
_PREVIOUS = b"\n==== exit "
_OWN_LINES = 3
"""At the end of a log, at most: a hint, an end, a reason."""
_NOT_OUTPUT = (_OURS, b"+ ", b"++ ")
"""How lines begin that the script has not printed: ours, and those of ``set -x``."""


def _lines_of(said: bytes) -> list[bytes]:
    """The lines of this try's own end that may tell something."""
    text = b"\n" + _COLOURS.sub(b"", said).replace(b"\r", b"\n")
    own = text.rstrip(b"\n")
    for _ in range(_OWN_LINES):  # an agent that was killed before its rename has ended it
        rest, _, last = own.rpartition(b"\n")
        own = rest.rstrip(b"\n") if last.startswith(_OURS) else own
    own = own[own.rfind(_PREVIOUS) + 1 :]  # a try whose end nobody wrote down may share its log with the next
    lowered = own.lower()
    spans: dict[int, int] = {}
    for trigger in _TRIGGERS:
        at = lowered.find(trigger)
        while at >= 0:
            start = own.rfind(b"\n", 0, at) + 1
            end = own.find(b"\n", at)
            spans[start] = end = len(own) if end < 0 else end
            at = lowered.find(trigger, end)
    return [
        line
        for start in sorted(spans)[-_LINES_MAX:]
        if not (line := own[start : min(spans[start], start + _LINE_BYTES)].rstrip()).startswith(_NOT_OUTPUT)
    ]
