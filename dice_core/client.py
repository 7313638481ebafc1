# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts the capture process, talks to it, cancels it, ends it. Needs no heavy library, so Blender can use it."""

from __future__ import annotations

import os
import queue
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import protocol
from .errors import DiceError, NotInstalled, WorkerDied
from .paths import MARKER, MISLEADING, ROOT, runtime_python
from .result.store import from_arrays, to_arrays
from .types import Capture, Crop, Progress, silent

GRACE = 1.0  # seconds between asking the process to stop and ending it by force


class Client:
    """One capture process.

    Everything it says arrives in `events` in order: `Hello`, `ProgressMessage`, then `Result` or `Failure`; a
    process that dies leaves a last `Failure`. A thread of its own fills the queue, so a caller polls without waiting.

    Parameters
    ----------
    runtime
        The runtime folder that install_deps.py made.

    Raises
    ------
    NotInstalled
        When the runtime is missing or incomplete.
    """

    def __init__(self, runtime: Path) -> None:
        runtime = runtime.absolute()
        python = runtime_python(runtime)
        if not (runtime / MARKER).is_file() or not python.is_file():
            raise NotInstalled(
                f"The capture runtime is not installed in {runtime}.",
                "Press Install in the add-on's preferences, or run install_deps.py.",
            )
        self.events: queue.Queue[protocol.Message] = queue.Queue()
        self.job = 0
        self._log: deque[str] = deque(maxlen=200)
        self._stopping = False
        self._death: WorkerDied | None = None
        try:
            self._process = subprocess.Popen(
                [str(python), "-m", f"{__package__.rpartition('.')[2]}.worker"],
                cwd=ROOT,
                env=_environment(runtime),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0)
                | getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
                start_new_session=True,  # Ctrl-C is for who asked: that one stops it
            )
        except OSError as error:  # of another processor, or forbidden
            raise NotInstalled(f"{python} cannot be started ({error.strerror}).", "Repair the runtime.") from error
        self._stderr = threading.Thread(target=self._drain, daemon=True)
        self._stderr.start()
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    @property
    def log(self) -> str:
        """The last lines of the process' error output."""
        return "\n".join(self._log)

    def submit(
        self,
        path: str = "",
        *,
        image: NDArray[np.uint8] | None = None,
        source: str = "",
        engine: str = "open",
        hand: str = "auto",
        crop: Crop | None = None,
        precision: str = "exact",
        fix_contact: bool = False,
        frame: int | None = None,
        face: int = 0,
    ) -> int:
        """Ask for a capture of a file, or of an (h, w, 3) uint8 RGB array; gives the job's number.

        Of a movie, `frame` says which.
        """
        arrays = {} if image is None else {"image": image}
        file = os.path.abspath(path) if path else ""  # the process works in another folder
        box = [float(value) for value in crop or ()]
        return self._ask(lambda job: protocol.CaptureRequest(
            job, engine, hand, file, source, arrays, box, precision, fix_contact, frame, face
        ))  # fmt: skip

    def submit_sequence(self, paths: Iterable[str], output: str, **options: Any) -> int:
        """Ask for moving pictures to be captured into a folder; gives the job's number. See `SequenceRequest`."""
        files = [os.path.abspath(path) if path else "" for path in paths]
        options["crop"] = [float(value) for value in options.get("crop") or ()]
        return self._ask(lambda job: protocol.SequenceRequest(job, files, os.path.abspath(output), **options))

    def smooth(self, folder: str, smoothing: float) -> int:
        """Ask for a captured sequence to be smoothed anew; gives the job's number."""
        return self._ask(lambda job: protocol.SmoothRequest(job, os.path.abspath(folder), smoothing))

    def fix_contact(self, capture: Capture) -> int:
        """Ask for the capture with its contact fixed, see `engines.contact`; gives the job's number."""
        return self._ask(lambda job: protocol.FixRequest(job, to_arrays(capture)))

    def _ask(self, request: Callable[[int], protocol.Message]) -> int:
        self.job += 1
        self._send(request(self.job))
        if self._death:  # before this job had a number, so nobody would see that the event concerns it
            self.events.put(protocol.Failure.of(self.job, self._death))
        return self.job

    def cancel(self) -> None:
        """Ask the process to stop the current job. Call `stop` if it does not."""
        self._send(protocol.Cancel(self.job))

    def stop(self) -> None:
        """End the process: its input closes, then by force."""
        self._stopping = True
        for end in (self._process.stdin.close, self._process.terminate, self._process.kill):  # type: ignore[union-attr]
            try:
                end()
            except OSError:  # a pipe that broke when the process went away
                pass
            try:
                self._process.wait(GRACE)
                return
            except subprocess.TimeoutExpired:
                continue

    def _send(self, message: protocol.Message) -> None:
        try:
            protocol.write(self._process.stdin, message)  # type: ignore[arg-type]
        except (OSError, ValueError):  # the listening thread reports the death with its cause
            pass

    def _listen(self) -> None:
        try:
            while (message := protocol.read(self._process.stdout)) is not None:  # type: ignore[arg-type]
                self.events.put(message)
        except (DiceError, OSError, ValueError) as error:
            self._log.append(str(error))
        code = self._process.wait()
        self._stderr.join(GRACE)
        if not self._stopping:
            self._death = WorkerDied(
                f"The capture process stopped (exit code {code}): {self._last_words(code)}.",
                "Capture again; repair the runtime if it happens again.",
            )
            self.events.put(protocol.Failure.of(self.job, self._death))

    def _last_words(self, code: int) -> str:
        if code == -9:
            return "the system ended it, perhaps because the memory was full"
        lines = [line.strip() for line in self._log]
        said = [line for line in lines if line and not line.startswith(("INFO:", "WARNING:"))]
        return said[-1].rstrip(".") if said else "it left no message"

    def _drain(self) -> None:
        for line in self._process.stderr:  # type: ignore[union-attr]
            self._log.append(line.decode(errors="replace").rstrip())


def _environment(runtime: Path) -> dict[str, str]:
    """Ours without another Python's paths. One BLAS thread: the matrices are small, and threads that wait for each
    other spin, which makes the fits several times slower on a busy machine."""
    kept = {key: value for key, value in os.environ.items() if key not in MISLEADING}
    return {"OPENBLAS_NUM_THREADS": "1", **kept, "PYTHONUTF8": "1", "DICE_RUNTIME": str(runtime)}


def finish(client: Client, report: Progress = silent, timeout: float = 600.0) -> Capture:
    """Wait for the current job and give its capture, calling `report` on the way. Raises the job's `DiceError`."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            message = client.events.get(timeout=max(deadline - time.monotonic(), 0.01))
        except queue.Empty:
            raise WorkerDied(f"The capture process gave no answer for {timeout:.0f} s.", "Capture again.") from None
        if getattr(message, "job", client.job) != client.job:
            continue  # the tail of a cancelled job
        if isinstance(message, protocol.ProgressMessage):
            report(message.stage, message.fraction)
        elif isinstance(message, protocol.Failure):
            raise message.error()
        elif isinstance(message, protocol.Result):
            return from_arrays(message.arrays)
