# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that the installation runs, and the lock that keeps two installations apart. Standard library only."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import DiceError
from ..paths import MISLEADING, ROOT

NO_WINDOW = getattr(subprocess, "CREATE_NO_WINDOW", 0)  # Windows would flash a console
MISLEADING_PIP = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_PYTHON")


def clean() -> dict[str, str]:
    """The environment variables without those that would lead Python or pip elsewhere."""
    kept = {key: value for key, value in os.environ.items() if key not in MISLEADING + MISLEADING_PIP}
    python = {"PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"}  # its lines are read as UTF-8
    return kept | python | {"PIP_USER": "0", "PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def run(command: Sequence[str | Path], line: Callable[[str], None]) -> int:
    """Run a program in the project's folder, hand out its lines, give its exit code.

    Whatever ends this call, Ctrl-C too, ends the program and everything that it started.
    """
    process = subprocess.Popen(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        env=clean(),
        cwd=ROOT,
        creationflags=NO_WINDOW,
        start_new_session=True,
        close_fds=False,  # it inherits the lock of `exclusive`: held until it ends, even if we are killed
    )
    try:
        for text in process.stdout:  # type: ignore[union-attr]
            line(text.rstrip())
        return process.wait()
    except BaseException:
        _end(process)
        raise


def _end(process: subprocess.Popen[str]) -> None:
    if sys.platform == "win32":
        subprocess.run(["taskkill", "/F", "/T", "/PID", str(process.pid)], capture_output=True, creationflags=NO_WINDOW)
    else:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextmanager
def exclusive(file: Path, waiting: Callable[[], None], patience: float = 600.0) -> Iterator[None]:
    """Hold the lock on `file`; when another process holds it, call `waiting` once and wait. It ends with its holder.

    Raises
    ------
    DiceError
        When the other process does not end within `patience` seconds.
    """
    with open(file, "a+b") as handle:
        deadline = time.monotonic() + patience
        free = _lock(handle.fileno())
        if not free:
            waiting()
        while not free:
            if time.monotonic() > deadline:
                raise DiceError(f"Another installation works in {file.parent}.", "Wait until it ends, or end it.")
            time.sleep(0.2)
            free = _lock(handle.fileno())
        yield


def _lock(handle: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.set_inheritable(handle, True)
    except OSError:
        return False
    return True
