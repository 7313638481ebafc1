# SPDX-License-Identifier: GPL-3.0-or-later
"""Moving pictures in the worker process: captured into a folder, or smoothed anew. What is on disk stays there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..dice_core import protocol
from ..dice_core.errors import Cancelled, DiceError
from ..dice_core.types import Progress, silent
from . import capture_job, jobs, preview, sequence_folders
from .capture_job import Ask, CaptureJob, Request
from .scene.moving import Footage

LONGER = 6.0  # seconds that a sequence may take to obey a cancel, more than a picture: it finishes what it writes

STEPS = {  # of the worker, in words
    "looking": "Looking at the frames",
    "identity": "Finding the person's shape",
    "fitted": "Fitting each frame",
    "decided": "Deciding what touches",
    "placed": "Bringing hands to the face",
    "motion": "Smoothing the motion",
    "static": "Writing what stays the same",
    "frames": "Building each frame",
}


class Interrupted(Cancelled):
    """The user stopped a sequence; what was done is kept in its folder."""

    def __init__(self, message: str, folder: Path) -> None:
        super().__init__(message, "Press Resume to go on with it.")
        self.folder = folder


class SequenceJob(CaptureJob):
    """The worker fills a folder; `done` gets it in Blender's main thread. See `jobs.Job`.

    Parameters
    ----------
    ask
        Asks for a capture into the folder, or for what it holds to be smoothed.

    Attributes
    ----------
    frame, count, fps
        The latest frame of so many, and how many a second; all 0 until the first one. `preview` shows it.
    """

    def __init__(self, ask: Ask, folder: Path, *, runtime: Path, done: Callable[[Path], None]) -> None:
        self._folder = folder
        self.frame, self.count, self.fps = 0, 0, 0.0
        preview.clear()
        super().__init__(ask, runtime=runtime, done=done)

    def advance(self) -> bool:
        try:
            return super().advance()
        except DiceError as error:
            sequence_folders.forget()
            if isinstance(error, Cancelled) and sequence_folders.is_unfinished(self._folder):
                raise Interrupted(error.message, self._folder) from error
            raise

    def cancel(self) -> None:
        super().cancel()
        self._deadline += LONGER

    def abandon(self) -> None:
        super().abandon()
        sequence_folders.forget()

    def _hear(self, message: protocol.Message) -> None:
        if isinstance(message, protocol.Glimpse):
            self.frame, self.count, self.fps = message.frame, message.count, message.fps
            if "picture" in message.arrays:
                preview.show(message.arrays["picture"])
            jobs.redraw()
        elif isinstance(message, protocol.SequenceDone):
            self._result = Path(message.folder)
        else:
            super()._hear(message)
            self.stage = STEPS.get(self.stage, self.stage)


def asking(footage: Footage, output: Path, request: Request, *, smoothing: float, resume: bool = False) -> Ask:
    """Asks for the footage to be captured into a folder."""
    return lambda client: client.submit_sequence(
        footage.paths, str(output), start=footage.start, end=footage.end, rate=footage.rate, smoothing=smoothing,
        resume=resume, **vars(request),
    )  # fmt: skip


def smoothing(folder: Path, strength: float) -> Ask:
    """Asks for what the folder holds to be smoothed anew, 0..1."""
    return lambda client: client.smooth(str(folder), strength)


def run(ask: Ask, folder: Path, *, runtime: Path, report: Progress = silent) -> Path:
    """Ask and wait for the folder to be filled. Raises the job's `DiceError`, and one when another job is running."""
    capture_job.check_idle()
    found: list[Path] = []
    job = SequenceJob(ask, folder, runtime=runtime, done=found.append)
    try:
        jobs.finish(job, report)
    except BaseException as error:
        if not isinstance(error, DiceError):
            job.abandon()
        raise
    return found[0]
