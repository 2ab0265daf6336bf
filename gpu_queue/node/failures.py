"""What kind of failure a try's end and the end of its log tell of: one table.  Pure.

- What was *thrown* counts for more than what was merely said: the line of an exception, an allocator's or a kernel's
  own message.  A script that met a full memory, went on and died of a ``KeyError`` did not die of memory.
- Logs are full of false friends: ``zoom``, ``--oom-policy``, ``no OOM so far``, TensorFlow's "this is not a failure".
- A log is anybody's text: lines are cut, and no pattern looks further than so many bytes.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
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
    Why.AGAIN: "",
    Why.SAVED: "",
}

_Pattern = Callable[[], re.Pattern[bytes]]
_Row = tuple[ErrorType, frozenset[bytes], _Pattern]


def _pattern(text: bytes, flags: int = 0) -> _Pattern:
    """Compiled when the first log is asked: all of them take a tenth of an agent's start, and most tries succeed."""
    return functools.cache(lambda: re.compile(text, flags))


# -- the table ------------------------------------------------------------------------------------------------------

_MESSAGES: tuple[_Row, ...] = (
    (
        ErrorType.OOM,
        frozenset({b"memory", b"alloc", b"exhausted", b"oom when", b"oom-k", b"oom_k", b"oom k", b"invoked oom"}),
        _pattern(
            rb"(?:CUDA|HIP|XPU|NPU|MPS backend) out of memory[.:]? (?:Tried to|\(MPS)"
            rb"|(?:CUDA|HIP) error(?: \d{1,4})?: out of memory|Cuda failure (?:\d{1,4} )?'out of memory'"
            rb"|CUDA_ERROR_OUT_OF_MEMORY|cudaErrorMemoryAllocation|hipErrorOutOfMemory|_STATUS_ALLOC_FAILED"
            rb"|OOM when allocating tensor|RESOURCE_EXHAUSTED: [^\n]{0,80}(?:Out of memory|OOM|allocat)"
            rb"|No available memory for the cache blocks|is less than desired GPU memory utilization"
            # of the host
            rb"|Unable to allocate [0-9.]{1,12} [KMGTPE]iB for an array|std::bad_alloc"
            rb"|(?:not enough|can't allocate) memory: you tried to allocate"
            rb"|(?:\[Errno 12\]|: fork:[^\n]{0,40}|errno: 12\b) ?Cannot allocate memory"
            rb"|memory allocation of \d{1,20} bytes failed|: x[mr]e?alloc: cannot allocate"
            rb"|(?:runtime: |JavaScript heap )out of memory"
            rb"|java\.lang\.OutOfMemoryError|RayTaskError\(OutOfMemoryError\)"
            rb"|Out of memory: Killed process|invoked oom-killer|oom[-_]kill event|been OOM Killed",
            re.IGNORECASE,
        ),
    ),
    (
        ErrorType.TIMEOUT,
        frozenset({b"timeout", b"timed out", b"deadline_exceeded", b"time limit"}),
        _pattern(
            rb"collective operation timeout|Timed out waiting \d{1,12} ?ms for (?:recv|send)"
            rb"|wait timeout after \d{1,12} ?ms|Timed out after \d{1,9} seconds waiting for clients"
            rb"|RuntimeError: Socket Timeout|DEADLINE_EXCEEDED: |DUE TO TIME LIMIT",
            re.IGNORECASE,
        ),
    ),
)
"""What only who fails so prints, wherever it stands in the log; of several kinds the first here.  A pattern is tried
only on a line that has one of its words, in small letters: most lines of a log have none."""

_THROWN_WORDS = frozenset({b"error", b"exception", b"interrupt", b"expired", b"timeout", b"outofmemory"})
_THROWN = _pattern(
    rb"(?:[ \t]{1,12}\| )?"
    rb"(?:(?:\[[^\]\n]{1,80}\]|\([^)\n]{1,80}\)|\d{1,5}(?=:))(?:<std(?:err|out)>)?:?[ \t]{0,4}){0,3}"
    rb"(?:[A-Za-z_]\w{0,60}\.){0,8}"
    rb"(\w{0,60}(?:Error|Exception|Interrupt|Expired|Timeout|OutOfMemory))(?::(?!:)|[ \t]*$)"
)
"""The line of an exception, with what groups of them, torchrun, srun, mpirun and Ray put before it."""
_TYPES = (
    (ErrorType.OOM, _pattern(rb"MemoryError|OutOfMemory|ResourceExhausted")),
    (ErrorType.TIMEOUT, _pattern(rb"Timeout")),
    (ErrorType.RUNTIME_ERROR, _pattern(rb"RuntimeError$|^AcceleratorError$|^Dist\w{0,20}Error$")),
)
"""By the exception's name."""
_CONSEQUENCES = _pattern(
    rb"Error|ChildFailedError|Exception|CalledProcessError|Process(?:Raised|Exited)Exception|RayTaskError|WorkerCrashedError"
    rb"|ActorDiedError|BrokenPipeError|EOFError|Connection\w{0,20}Error|KeyboardInterrupt|Dist\w{0,20}Error"
)
"""Thrown because another process had ended: what that one threw counts, if it is there."""

_SAID_OOM_WORDS = frozenset({b"memory", b"oom"})
_SAID_OOM = _pattern(rb"out of memory\b|(?<![\w'\"./-])oom(?![\w'\"./-])")
_NOT_SO_BEFORE = _pattern(
    rb"(?:\b(?:no|not|never|0|zero|without|avoid\w{0,4}|prevent\w{0,4})"
    rb"(?:[ \t](?:an?|any|more|cuda|gpu|host|such|to|run\w{0,5}|get\w{0,5}|into|caus\w{0,4})){0,5}[ \t]"
    rb"|\b(?:if|unless|case of|may|might|would)\b[^\n]{0,40})$",
)
_NOT_SO_AFTER = _pattern(
    rb"(?:[ _-](?:count|events?|kills?|retries|errors?))?[ \t]{0,4}(?:[:=][ \t]{0,4}(?:\d|none|no|false|off)|0\b)"
    rb"|[^\n]{0,400}not a failure|[^\n]{0,80}(?:skipp|retry|recover)",
)
_SAID: tuple[_Row, ...] = (
    (
        ErrorType.RUNTIME_ERROR,
        frozenset({b"runtime"}),
        _pattern(rb"\bRuntimeError\b|\bruntime[ _]error\b", re.IGNORECASE),
    ),
    (
        ErrorType.SIGNAL,
        frozenset({b"signal", b"exitcode", b"killed", b"segmentation", b"abort", b"bus error", b"illegal"}),
        _pattern(
            rb"\bSignal \d{1,2} \(SIG\w{2,8}\) received by PID|terminated with signal SIG|failed \(exitcode: -\d"
            rb"|: line \d{1,9}: +\d{1,9} (?:Killed|Segmentation fault|Aborted|Bus error|Illegal instruction)\b"
        ),
    ),
)
"""What a line may say beside that; only where nothing else was thrown."""

_WORDS = frozenset().union(_THROWN_WORDS, _SAID_OOM_WORDS, *(words for _, words, _ in (*_MESSAGES, *_SAID)))


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
    """The last line of a log with the kind of failure, unless a note tells more: ``==== exit 1 after 2 s (oom)``."""
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
    for line, words in _lines_of(said):
        messages |= _fitting(_MESSAGES, line, words)
        says_oom = not words.isdisjoint(_SAID_OOM_WORDS) and _says_oom(line.lower())
        match = None if words.isdisjoint(_THROWN_WORDS) else _THROWN().match(line)
        if match is None:
            spoken |= _fitting(_SAID, line, words) | ({ErrorType.OOM} if says_oom else set())
            continue
        kind = ErrorType.OOM if says_oom else _kind_of(match[1])
        if kind is ErrorType.OOM:
            messages.add(kind)
        elif _CONSEQUENCES().fullmatch(match[1]):
            consequence = kind
            spoken |= _fitting(_SAID, line, words)
        else:
            thrown = kind
            spoken.discard(ErrorType.OOM)  # it was met, and something else came after it
    order = [kind for kind, _, _ in _MESSAGES]
    message = min(messages, key=order.index) if messages else None
    if ErrorType.OOM in spoken:
        return _Evidence(message, ErrorType.OOM)
    if thrown is not None:
        return _Evidence(message, thrown)
    for kind, _, _ in _SAID:
        if kind in spoken:
            return _Evidence(message, kind)
    return _Evidence(message, consequence or ErrorType.UNKNOWN)


def _fitting(table: tuple[_Row, ...], line: bytes, words: set[bytes]) -> set[ErrorType]:
    return {kind for kind, wanted, pattern in table if not wanted.isdisjoint(words) and pattern().search(line)}


def _kind_of(name: bytes) -> ErrorType:
    return next((kind for kind, pattern in _TYPES if pattern().search(name)), ErrorType.UNKNOWN)


def _says_oom(small: bytes) -> bool:
    return any(
        not _NOT_SO_AFTER().match(small, match.end()) and not _NOT_SO_BEFORE().search(small, 0, match.start())
        for match in _SAID_OOM().finditer(small)
    )


_COLOURS = _pattern(rb"\x1b\[[0-9;?]{0,20}[A-Za-z]")
_OURS = b"==== "
_PREVIOUS = b"\n==== exit "
_OWN_LINES = 3
"""At the end of a log, at most: a hint, an end, a reason."""
_NOT_OUTPUT = (_OURS, b"+ ", b"++ ")
"""How lines begin that the script has not printed: ours, and those of ``set -x``."""


def _lines_of(said: bytes) -> list[tuple[bytes, set[bytes]]]:
    """The lines of this try's own end that have one of the words, each with those that it has."""
    text = b"\n" + _COLOURS().sub(b"", said).replace(b"\r", b"\n")
    own = text.rstrip(b"\n")
    for _ in range(_OWN_LINES):  # an agent that was killed before its rename has ended it
        rest, _, last = own.rpartition(b"\n")
        own = rest.rstrip(b"\n") if last.startswith(_OURS) else own
    own = own[own.rfind(_PREVIOUS) + 1 :]  # a try whose end nobody wrote down may share its log with the next
    small = own.lower()
    found: dict[int, set[bytes]] = {}
    ends: dict[int, int] = {}
    for word in _WORDS:
        at = small.find(word)
        while at >= 0:
            start, end = own.rfind(b"\n", 0, at) + 1, own.find(b"\n", at)
            ends[start] = end = len(own) if end < 0 else end
            found.setdefault(start, set()).add(word)
            at = small.find(word, end)
    lines = (
        (own[start : min(ends[start], start + _LINE_BYTES)], found[start]) for start in sorted(found)[-_LINES_MAX:]
    )
    return [(line.rstrip(), words) for line, words in lines if not line.startswith(_NOT_OUTPUT)]
