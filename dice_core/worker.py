# SPDX-License-Identifier: GPL-3.0-or-later
"""The capture process: requests on stdin, answers on stdout, one job at a time. `client` starts it."""

from __future__ import annotations

import os
import platform
import queue
import sys
import threading
from pathlib import Path
from typing import BinaryIO

from numpy.typing import NDArray

from . import protocol
from .engines.base import OPEN_DEVICE
from .errors import Cancelled, DiceError, Unexpected
from .pipeline import Pipeline
from .result.store import from_arrays, to_arrays
from .sequence.job import Settings
from .types import Capture, Progress


class Worker:
    """Answers requests until its input ends. Engines stay loaded between jobs."""

    def __init__(self, source: BinaryIO, target: BinaryIO) -> None:
        self.source = source
        self.target = target
        self.requests: queue.Queue[protocol.Request] = queue.Queue()
        self.cancelled: set[int] = set()
        self.pipeline = Pipeline()

    def run(self) -> None:
        """Greet, then work until the client goes away."""
        self._send(protocol.Hello(protocol.VERSION, platform.python_version(), OPEN_DEVICE))
        threading.Thread(target=self._listen, daemon=True).start()
        while True:
            self._send(self._answer(self.requests.get()))

    def _listen(self) -> None:
        # The client's death closes our stdin: that ends even a job in progress, so that no process is left behind.
        try:
            while (message := protocol.read(self.source)) is not None:
                if isinstance(message, protocol.Cancel):
                    self.cancelled.add(message.job)
                elif isinstance(message, protocol.REQUESTS):
                    self.requests.put(message)
        except DiceError as error:
            sys.stderr.write(f"{error}\n")
            sys.stderr.flush()
            os._exit(1)
        os._exit(0)

    def _answer(self, request: protocol.Request) -> protocol.Message:
        def report(stage: str, fraction: float) -> None:
            if request.job in self.cancelled:
                raise Cancelled()
            self._send(protocol.ProgressMessage(request.job, stage, fraction))

        try:
            if isinstance(request, protocol.SequenceRequest):
                return protocol.SequenceDone(request.job, str(self._sequence(request, report)))
            if isinstance(request, protocol.SmoothRequest):
                folder = self.pipeline.smooth_sequence(Path(request.folder), request.smoothing, report)
                return protocol.SequenceDone(request.job, str(folder))
            if isinstance(request, protocol.FixRequest):
                capture = self.pipeline.fix_contact(from_arrays(request.arrays), report)
            else:
                capture = self._capture(request, report)
            return protocol.Result(request.job, to_arrays(capture))
        except DiceError as error:
            return protocol.Failure.of(request.job, error)
        except Exception as error:  # a broken picture must not end the process: the next job may be fine
            sys.excepthook(type(error), error, error.__traceback__)
            return protocol.Failure.of(request.job, Unexpected.of(error))

    def _capture(self, request: protocol.CaptureRequest, report: Progress) -> Capture:
        image = request.arrays.get("image")
        return self.pipeline.capture(
            request.path if image is None else image,
            engine=request.engine,
            hand=request.hand,
            crop=request.crop or None,  # type: ignore[arg-type]
            precision=request.precision,
            fix_contact=request.fix_contact,
            source=request.source,
            report=report,
            frame=request.frame,
            face=request.face,
        )

    def _sequence(self, request: protocol.SequenceRequest, report: Progress) -> Path:
        def glimpse(frame: int, count: int, fps: float, picture: NDArray | None) -> None:
            arrays = {} if picture is None else {"picture": picture}
            self._send(protocol.Glimpse(request.job, frame, count, fps, arrays))

        settings = Settings(
            request.engine, request.hand, request.face, tuple(request.crop) or None,  # type: ignore[arg-type]
            request.precision, request.fix_contact, request.smoothing,
        )  # fmt: skip
        return self.pipeline.capture_sequence(
            request.paths, Path(request.output), settings, start=request.start, end=request.end, rate=request.rate,
            resume=request.resume, report=report, glimpses=glimpse,
        )  # fmt: skip

    def _send(self, message: protocol.Message) -> None:
        protocol.write(self.target, message)


def main() -> None:
    """Take stdin and stdout for the protocol; whatever libraries print goes to stderr."""
    target = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    Worker(sys.stdin.buffer, target).run()


if __name__ == "__main__":
    main()
