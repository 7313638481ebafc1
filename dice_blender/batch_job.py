# SPDX-License-Identifier: GPL-3.0-or-later
"""Many pictures, one after another, in the same worker process: a picture that fails does not end the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..dice_core.errors import Cancelled, DiceError
from ..dice_core.types import Capture
from . import capture_job
from .capture_job import CaptureJob, Request
from .scene import photo


@dataclass
class Report:
    """What became of a batch: the pictures that were captured, and why the others were not."""

    captured: list[Path] = field(default_factory=list)
    failed: list[tuple[Path, DiceError]] = field(default_factory=list)

    def text(self) -> str:
        """One line a picture."""
        lines = [f"{path}: {error}" for path, error in self.failed] + [f"{path}: captured" for path in self.captured]
        return "\n".join(lines) + "\n"


class BatchJob:
    """See `jobs.Job`.

    Parameters
    ----------
    pictures
        Files.
    done
        Gets each picture and its capture, in Blender's main thread, as soon as it is there; nothing else keeps it.
    ended
        Gets the report, also of a batch that was cancelled.
    """

    belongs_to_file = True

    def __init__(
        self, pictures: Sequence[Path], request: Request, *, runtime: Path,
        done: Callable[[photo.Photo, Capture], None], ended: Callable[[Report], None],
    ) -> None:  # fmt: skip
        self.stage, self.fraction, self.cancelling = "Starting", 0.0, False
        self.report = Report()
        self._pictures, self._request, self._runtime = list(pictures), request, runtime
        self._done, self._ended = done, ended
        self._count, self._job = 0, None

    def advance(self) -> bool:
        if self._count == len(self._pictures):
            self._ended(self.report)
            return True
        path = self._pictures[self._count]
        try:
            if self._job is None:
                self._begin(path)
            if not self._job.advance():
                self._show()
                return False
            self.report.captured.append(path)
        except Cancelled:
            self._ended(self.report)
            raise
        except DiceError as error:
            self.report.failed.append((path, error))
        self._job = None
        self._count += 1
        return False

    def cancel(self) -> None:
        if self._job is None:
            self._count = len(self._pictures)
        else:
            self._job.cancelling = True
            self._job.cancel()

    def abandon(self) -> None:
        capture_job.release()

    def _begin(self, path: Path) -> None:
        picture = photo.from_path(path)
        self._job = CaptureJob(
            picture, self._request, runtime=self._runtime, done=lambda capture: self._done(picture, capture)
        )

    def _show(self) -> None:
        total = len(self._pictures)
        self.stage = f"{self._count + 1} of {total}: {self._job.stage}"
        self.fraction = (self._count + self._job.fraction) / total
