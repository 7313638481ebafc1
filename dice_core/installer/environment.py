# SPDX-License-Identifier: GPL-3.0-or-later
"""Python environments: which interpreter makes them, how pip fills them, what pip's complaints mean.

Standard library only, Python 3.10 or newer: install_deps.py runs this with whatever Python there is.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..errors import DiceError
from ..paths import environment_python
from .process import clean, run

Line = Callable[[str], None]

LOCKS = Path(__file__).parent.parent / "requirements"
NOTE, UNFINISHED = "installed.json", "unfinished"
PYTHONS = ((3, 11), (3, 13), (3, 12), (3, 14))  # those that every package has wheels for, the best tested first
OLDEST_PIP = 22.3  # the first that can fill another environment (--python)
COUNTING_PIP = 24.1  # the first that says how many bytes it has (--progress-bar=raw)
COUNTED = re.compile(r"Progress (\d+) of (\d+)")  # bytes
LAST_WORDS = 30  # lines of a pip that failed
PROBE = """
import importlib.metadata as metadata, importlib.util as util, json, sys
def number(version): return float(".".join(version.split(".")[:2]))
try: pip = number(metadata.version("pip"))
except metadata.PackageNotFoundError: pip = 0.0
try:
    import ensurepip
    bundled = number(ensurepip.version())
except Exception: bundled = 0.0
venv = util.find_spec("venv") is not None
print(json.dumps([sys.executable, sys.version_info[:2], sys.version.split()[0], pip, venv, bundled]))
"""
CERTIFICATE = "CERTIFICATE_VERIFY_FAILED"
# The second is how pip puts it where its settings hold a constraint on a package that it does not find.
MISSING = r"(?:No matching distribution found for|Cannot install) (\S+?)(?: because these package versions.*)?(?:\n|$)"
NETWORK = (
    r"NewConnectionError|NameResolution|name resolution|ConnectTimeout|ReadTimeout|Max retries|ProxyError|SSLError"
    r"|IncompleteRead|Connection (?:refused|reset|aborted|broken)"
)
COMPLAINTS = (
    (r"No space left", "The disk is full.", "Free some space and install again."),
    (r"Permission denied|Access is denied", "A file cannot be written.", "Choose a folder that you may write to."),
    (r"DO NOT MATCH THE HASHES", "A downloaded file is not the one that was pinned.", "Try another network."),
    (CERTIFICATE, "The server's certificate is not trusted.", "Name your network's in SSL_CERT_FILE and PIP_CERT."),
    (NETWORK, "The network cannot be reached.", "Check the connection or the proxy, or use --wheelhouse."),
    (MISSING, "pip finds no {0} for this system.", "Check pip's settings, or install with Python 3.11 or 3.13."),
)


class NotFound(DiceError):
    """No place that pip was told of has the package."""


@dataclass(frozen=True)
class Interpreter:
    """A Python that can make environments: with its own pip, or with the one bundled in ensurepip.

    `counts` says whether that pip tells how many bytes it has fetched.
    """

    path: Path
    minor: tuple[int, int]
    version: str
    has_pip: bool
    has_ensurepip: bool
    counts: bool = False

    @property
    def remedy(self) -> str:
        return f"On Debian and Ubuntu: sudo apt install python{self.minor[0]}.{self.minor[1]}-venv."


def probe(path: Path) -> Interpreter | None:
    """Ask a Python about itself; None when it does not answer."""
    command = [str(path), "-c", PROBE]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=30, env=clean(), check=True)
        executable, minor, version, pip, venv, bundled = json.loads(answer.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    own = venv and pip >= OLDEST_PIP
    counts = (pip if own else bundled) >= COUNTING_PIP
    return Interpreter(Path(executable), (minor[0], minor[1]), version, own, venv and bundled > 0, counts)


def candidates(versions: Sequence[tuple[int, int]]) -> Iterator[Path]:
    """Pythons to try: this one, then PYTHON3_11 and its like in the environment, the search path, pyenv's."""
    yield from (Path(name) for name in (getattr(sys, "_base_executable", ""), sys.executable) if name)
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for major, minor in versions:
        names = (os.environ.get(f"PYTHON{major}_{minor}"), shutil.which(f"python{major}.{minor}"))
        yield from (Path(name) for name in names if name)
        yield from sorted(pyenv.glob(f"{major}.{minor}.*/bin/python"))
    yield from (Path(name) for name in (shutil.which("python3"), shutil.which("python")) if name)


def find_python(versions: Sequence[tuple[int, int]] = PYTHONS) -> Interpreter:
    """The first Python of these versions that can make environments.

    Raises
    ------
    DiceError
        When there is none; the remedy names the package or the variable that helps.
    """
    unable = None
    for path in dict.fromkeys(candidates(versions)):
        found = probe(path)
        if found is not None and found.minor in versions:
            if found.has_pip or found.has_ensurepip:
                return found
            unable = unable or found
    if unable is not None:
        raise DiceError(f"Python {unable.version} ({unable.path}) has neither ensurepip nor pip.", unable.remedy)
    wanted = " or ".join(f"{major}.{minor}" for major, minor in sorted(versions))
    major, minor = versions[0]
    raise DiceError(
        f"No Python {wanted} was found (this is {sys.version.split()[0]}).",
        f"Install Python {major}.{minor}, or name it in the environment variable PYTHON{major}_{minor}.",
    )


def fingerprint(lock: str) -> str:
    """The SHA-256 of a lock file; empty when there is no such file any more."""
    file = LOCKS / lock
    return hashlib.sha256(file.read_bytes().replace(b"\r\n", b"\n")).hexdigest() if file.is_file() else ""


def read_json(file: Path) -> dict:
    """A JSON object; empty when the file is missing or broken."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def write_json(file: Path, content: dict) -> None:
    """Write a JSON object; the file appears whole or not at all."""
    temporary = file.with_name(f".{file.name}")
    temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    os.replace(temporary, file)


def parts_in(folder: Path) -> dict[str, str]:
    """The lock files that an environment was filled from; empty when it is broken or out of date."""
    note = read_json(folder / NOTE)
    note.pop(UNFINISHED, None)
    sound = environment_python(folder).is_file() and all(note[lock] == fingerprint(lock) for lock in note)
    return note if sound else {}


def is_unfinished(folder: Path) -> bool:
    """Whether something was being added when the installation broke off; what was there before still works."""
    return UNFINISHED in read_json(folder / NOTE)


@dataclass(frozen=True)
class Environment:
    """A virtual environment in `folder`, made by `base`. With a `wheelhouse`, pip takes packages from there alone."""

    folder: Path
    base: Interpreter
    wheelhouse: Path | None = None

    @property
    def python(self) -> Path:
        return environment_python(self.folder)

    def create(self) -> None:
        """Make it anew. pip is left out when the base has one: that fills any environment and saves 15 MB in each."""
        if self.folder.exists():
            shutil.rmtree(self.folder)
        lines: list[str] = []
        without = ["--without-pip"] if self.base.has_pip else []
        if run([self.base.path, "-m", "venv", *without, self.folder], lines.append):
            words = " ".join(lines)[-300:]
            raise DiceError(f"Python {self.base.version} could not make an environment: {words}", self.base.remedy)

    @contextmanager
    def adding(self, *locks: str) -> Iterator[None]:
        """Around a change: the note says that it is unfinished while it lasts."""
        parts = parts_in(self.folder)
        if parts:
            write_json(self.folder / NOTE, parts | {UNFINISHED: ", ".join(locks)})
        yield
        write_json(self.folder / NOTE, parts | {lock: fingerprint(lock) for lock in locks})

    def install(self, *locks: str, line: Line) -> None:
        """Install what lock files name, every hash checked."""
        files = [part for lock in locks for part in ("-r", LOCKS / lock)]
        self.pip("install", "--no-compile", "--require-hashes", *files, line=line)

    def pip(self, verb: str, *arguments: str | Path, line: Line) -> None:
        """Run pip on this environment, its output line by line. Raises `DiceError` in words when it fails."""
        outer = (self.base.path, "-m", "pip", "--python", self.python)
        runner: tuple[str | Path, ...] = outer if self.base.has_pip else (self.python, "-m", "pip")
        sources = ("--no-index", "--find-links", self.wheelhouse) if self.wheelhouse else ()
        options = ["--only-binary=:all:", f"--progress-bar={'raw' if self.base.counts else 'off'}", "--retries=3"]
        lines: deque[str] = deque(maxlen=400)

        def listen(text: str) -> None:
            if not COUNTED.match(text):
                lines.append(text)
            line(text)

        if run([*runner, verb, *options, *sources, *arguments], listen):
            raise explain(lines, self.wheelhouse) from RuntimeError("\n".join(list(lines)[-LAST_WORDS:]))


def explain(lines: Iterable[str], wheelhouse: Path | None = None) -> DiceError:
    """What pip's last words mean for the user."""
    text = "\n".join(lines)
    missing = re.search(MISSING, text)
    if wheelhouse and missing:
        return NotFound(f"The wheelhouse {wheelhouse} lacks {missing[1]}.", "Put that wheel into it and install again.")
    for pattern, message, remedy in COMPLAINTS:
        if found := re.search(pattern, text):
            return (NotFound if pattern == MISSING else DiceError)(message.format(*found.groups()), remedy)
    last = [part.strip() for part in text.splitlines() if part.strip() and not part.startswith("WARNING")]
    return DiceError(f"pip failed: {' '.join(last[-3:]) or 'it left no message'}", "Put that right and install again.")
