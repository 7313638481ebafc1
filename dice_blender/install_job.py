# SPDX-License-Identifier: GPL-3.0-or-later
"""install_deps.py at work in a process of its own, its lines shown as progress."""

from __future__ import annotations

import queue
import re
import subprocess
import sys
import threading
from pathlib import Path

from ..dice_core.errors import Cancelled, DiceError
from ..dice_core.installer.process import clean
from ..dice_core.paths import ROOT

NO_WINDOW = getattr(subprocess, "CREATE_NO_WINDOW", 0)  # Windows would flash a console
PERCENT = re.compile(r"\[(\d{1,3})%\] *")  # how install_deps.py begins a line of progress


class InstallJob:
    """One run of install_deps.py; see `jobs.Job`."""

    belongs_to_file = False

    def __init__(self, runtime: Path, *options: str, stage: str) -> None:
        self.stage, self.fraction, self.cancelling = stage, 0.0, False
        self._removes = "--remove" in options
        self._last = "it left no message"
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._process = subprocess.Popen(
            [sys.executable, str(ROOT / "install_deps.py"), "--target", str(runtime), *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            env=clean(),
            creationflags=NO_WINDOW,
        )
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
        self._last = line
        if found := PERCENT.match(line):
            self.fraction = min(int(found[1]) / 100, 1.0)
            self.stage = line[found.end() :]

    def _finish(self) -> bool:
        if self.cancelling and self._removes:
            raise Cancelled("The removal was cancelled.", "Press Install or Repair to make the runtime whole again.")
        if self.cancelling:
            raise Cancelled("The installation was cancelled.", "Press Install to go on with it.")
        if self._process.returncode:
            raise DiceError(self._last.removeprefix("Error: "))
        return True
