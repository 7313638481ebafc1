# SPDX-License-Identifier: GPL-3.0-or-later
"""install_deps.py at work in a process of its own, its lines shown as progress."""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

from ..dice_core.errors import Cancelled, DiceError
from ..dice_core.paths import ROOT

PERCENT = re.compile(r"^\s*(\d{1,3})\s*%\s*")
MISLEADING = ("PYTHONPATH", "PYTHONHOME")


class InstallJob:
    """One run of install_deps.py; see `jobs.Job`."""

    belongs_to_file = False

    def __init__(self, runtime: Path, *options: str, stage: str) -> None:
        self.stage, self.fraction, self.cancelling = stage, 0.0, False
        self._last = "it left no message"
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._process = subprocess.Popen(
            [sys.executable, str(ROOT / "install_deps.py"), "--target", str(runtime), *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            env={key: value for key, value in os.environ.items() if key not in MISLEADING} | {"PYTHONUNBUFFERED": "1"},
            start_new_session=True,
            creationflags=subprocess.CREATE_NO_WINDOW if sys.platform == "win32" else 0,
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
        try:
            if sys.platform == "win32":
                self._process.terminate()
            else:
                os.killpg(self._process.pid, signal.SIGTERM)  # pip too
        except OSError:  # it has just ended by itself
            pass

    def _listen(self) -> None:
        for line in self._process.stdout:
            self._lines.put(line.rstrip())
        self._process.wait()
        self._lines.put(None)

    def _take(self, line: str) -> None:
        if found := PERCENT.match(line):
            self.fraction = min(int(found[1]) / 100, 1.0)
            line = line[found.end() :]
        self.stage = self._last = line.strip() or self.stage

    def _finish(self) -> bool:
        if self.cancelling:
            raise Cancelled("The installation was cancelled.", "Press Install to go on with it.")
        if self._process.returncode:
            raise DiceError(self._last)
        return True
