# SPDX-License-Identifier: GPL-3.0-or-later
"""A program at work in a process of its own, its lines shown as progress and kept for the log."""

from __future__ import annotations

import os
import queue
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from ..dice_core.errors import Cancelled, DiceError, NotInstalled
from ..dice_core.installer.process import clean
from ..dice_core.paths import ROOT, runtime_python
from . import log

NO_WINDOW = getattr(subprocess, "CREATE_NO_WINDOW", 0)  # Windows would flash a console
PERCENT = re.compile(r"\[(\d{1,3})%\] *")  # how a line of progress begins
COUNTED = re.compile(r", \d+ of \d+ MB$")  # how it ends while bytes are counted: too often for the log


class ProgramFailed(DiceError):
    """A program ended with an error; its last words are in the log."""


class ProgramJob:
    """One run of a program; see `jobs.Job`.

    Parameters
    ----------
    command
        The program and its arguments.
    stage
        What to show until it says something itself.
    cancelled
        What to tell when the user stopped it.
    ended
        Gets the exit code and the lines without progress, in Blender's main thread; raises `DiceError` when it failed.
    variables
        Of its environment, besides ours.
    unnamed
        A folder of the user's that is left out where its files are named.
    """

    belongs_to_file = False

    def __init__(
        self, command: Sequence[str], *, stage: str, cancelled: Cancelled, ended: Callable[[int, list[str]], None],
        variables: dict[str, str] | None = None, unnamed: Path | None = None,
    ) -> None:  # fmt: skip
        self.stage, self.fraction, self.cancelling = stage, 0.0, False
        self._cancelled, self._ended = cancelled, ended
        self._unnamed = f"{unnamed}{os.sep}" if unnamed else ""
        self._said: list[str] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        log.add(f"> {stage}")
        try:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
                env=clean() | (variables or {}),
                creationflags=NO_WINDOW,
            )
        except OSError as error:  # of another processor, or forbidden
            raise NotInstalled(f"{command[0]} cannot be started ({error.strerror}).", "Repair the runtime.") from error
        threading.Thread(target=self._listen, daemon=True).start()

    def advance(self) -> bool:
        while True:
            try:
                line = self._lines.get_nowait()
            except queue.Empty:
                return False
            if line is None:
                return self._finish()
            if line.strip():
                self._take(line)

    def cancel(self) -> None:
        self.abandon()

    def abandon(self) -> None:
        if sys.platform == "win32":
            command = ["taskkill", "/F", "/T", "/PID", str(self._process.pid)]
            subprocess.run(command, capture_output=True, creationflags=NO_WINDOW)
        else:
            self._process.terminate()  # it takes pip with it

    def _listen(self) -> None:
        for line in self._process.stdout:
            self._lines.put(line.rstrip())
        self._process.wait()
        self._lines.put(None)

    def _take(self, line: str) -> None:
        if self._unnamed:
            line = line.replace(self._unnamed, "")
        if not COUNTED.search(line):
            log.add(line)
        if found := PERCENT.match(line):
            self.fraction = min(int(found[1]) / 100, 1.0)
            self.stage = line[found.end() :]
        else:
            self._said.append(line)

    def _finish(self) -> bool:
        if self.cancelling:
            raise self._cancelled
        self._ended(self._process.returncode, self._said)
        return True


def core(runtime: Path, *arguments: str) -> tuple[list[str], dict[str, str]]:
    """The command and the variables of `python -m dice_core ...`, in the runtime's Python, or in ours without one."""
    python = runtime_python(runtime)
    command = [str(python if python.is_file() else sys.executable), "-m", "dice_core", *arguments]
    return command, {"DICE_RUNTIME": str(runtime), "OPENBLAS_NUM_THREADS": os.environ.get("OPENBLAS_NUM_THREADS", "1")}


def failure(said: Sequence[str]) -> ProgramFailed:
    """What a program that failed said last: `Error: what happened`, and the remedy behind it or below it."""
    places = [place for place, line in enumerate(said) if line.startswith("Error: ")]
    last, *below = said[places[-1] :] if places else said[-1:] or ["It left no message."]
    return ProgramFailed(last.removeprefix("Error: "), " ".join(below))
