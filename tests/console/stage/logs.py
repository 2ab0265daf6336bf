"""Logs as training prints them, of any size, and as nobody should print them."""

from __future__ import annotations

from pathlib import Path

RARE = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 3.20 GiB."
COMMON = "checkpoint"
CHUNK_LINES = 40_000


def bar(name: str, updates: int, total: int = 512, encoding: str = "utf-8") -> bytes:
    r"""A progress bar as tqdm draws it: each update behind a ``\r``, a newline behind the last."""
    pieces = []
    for at in range(updates + 1):
        done = total * at // max(1, updates)
        full = 20 * done // total
        drawn = f"{100 * done // total:3d}%|{'█' * full}{' ' * (20 - full)}|"
        pieces.append(f"\r{name}: {drawn} {done}/{total} [00:{at % 60:02d}<00:00, 31.2it/s]".encode(encoding))
    return b"".join(pieces) + b"\n"


def steps(first: int, count: int) -> bytes:
    """Lines of a training with colours, bars, a warning in Chinese, and now and then bytes that are no UTF-8."""
    lines: list[bytes] = []
    for step in range(first, first + count):
        second = step // 7
        clock = f"2026-11-23 {second // 3600 % 24:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
        loss, grad = 1.2 + step * 37 % 641 / 1000, 0.1 + step * 53 % 877 / 1000
        lines.append(
            f"{clock} step \x1b[1m{step}\x1b[0m  loss \x1b[36m{loss:.4f}\x1b[0m  grad {grad:.3f}  lr 3.0e-05"
            f"  {11_000 + step * 71 % 997} tok/s\n".encode()
        )
        if step % 12 == 0:
            took = f"\x1b[33m{step % 50 / 10} s\x1b[0m"
            lines.append(f"{clock} \x1b[32mcheckpoint\x1b[0m /mnt/ckpt/flower/step-{step}  {took}\n".encode())
        if step % 100 == 50:
            lines.append(bar("eval", 64))
        if step % 400 == 7:
            lines.append(f"\x1b[33mwarning\x1b[0m 第 {step} 步：显存 61.2G / 80G，梯度被裁剪\n".encode())
        if step % 4000 == 11:
            lines.append(b"raw \xff\xfe\x80 bytes of a tokenizer \xc3\x28\n")
    return b"".join(lines)


def traceback(width: int = 0) -> bytes:
    """How it ended."""
    pad = f"{'x' * width}\n" if width else ""
    return (
        "\x1b[31mTraceback (most recent call last):\x1b[0m\n"
        '  File "/home/alice/flower/train.py", line 214, in <module>\n    main()\n'
        '  File "/home/alice/flower/train.py", line 187, in main\n    loss.backward()\n'
        f"\x1b[1;31m{RARE.partition(':')[0]}\x1b[0m:{RARE.partition(':')[2]}\n{pad}==== exit 1 after 40213.0 s\n"
    ).encode()


def write_big(path: Path, size: int) -> int:
    """A log of at least so many bytes that ends with an error; returns how many lines it has.

    One chunk of lines is made and written again and again: what is measured reads bytes, whatever they say.  Behind
    each of them stand a line of 100,000 columns and what would be markup.
    """
    chunk = steps(400_000, CHUNK_LINES) + b"w" * 100_000 + b"\n<script>document.title='ran'</script>\n"
    lines = chunk.count(b"\n")
    written = count = 0
    with path.open("wb") as file:
        while written < size:
            file.write(chunk)
            written += len(chunk)
            count += lines
        end = traceback()
        file.write(end)
    return count + end.count(b"\n")


def hostile() -> bytes:
    """What a page must not be moved by: markup, sequences, links, control characters, turned text, endless lines."""
    return b"".join(
        [
            b"<script>document.title='ran'</script><img src=x onerror=\"document.title='ran'\">\n",
            b"\x1b]8;;javascript:document.title='ran'\x07click me\x1b]8;;\x07 and on\n",
            b"\x1b]0;another title\x07\x1b[2J\x1b[H\x1b[10A\x1b[?25lafter moves\n",
            b"\x1b[38;5;196mpalette\x1b[0m \x1b[38;2;1;2;3mtrue colour\x1b[0m \x1b[38;2;999;x;3mno colour\x1b[0m\n",
            b"nul \0\0\0 bell \x07 delete \x7f back \x08\x08\n",
            "bidi \u202egnp.exe\u202c \u2066isolate\u2069 mark\u061c line\u2028separator\n".encode(),
            b"no utf-8 \xff\xfe\xc3\x28 \xed\xa0\x80 \xf4\x90\x80\x80\n",
            b"w" * 100_000 + b"\n",
            b"\x1b[" * 30_000 + b"\n",
            b"\x1b]" * 30_000 + b"\n",
            b"\x1b[31m\x1b[1m" * 20_000 + b"styled without end\n",
            b"a\x1b[31mb\x1b[32mc" * 4_000 + b"\n",
            b"\r" * 50_000 + b"after returns\n",
            b"\n" * 500,
            b"the last line\n",
        ]
    )
