# SPDX-License-Identifier: GPL-3.0-or-later
"""Many pictures, one after another, in the same worker process: a picture that fails does not end the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import bpy

from ..dice_core.errors import Cancelled, DiceError
from ..dice_core.media import KINDS
from ..dice_core.types import Capture
from . import capture_job
from .capture_job import CaptureJob, Request
from .languages.words import iface, stage
from .scene import naming, photo
from .scene.build import build


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

    @property
    def total(self) -> int:
        """How many pictures there are."""
        return len(self._pictures)

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
        if self._count == self.total:
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
            self._count = self.total
        else:
            self._job.cancelling = True
            self._job.cancel()

    def abandon(self) -> None:
        capture_job.release()

    def _begin(self, path: Path) -> None:
        picture = photo.from_path(path)
        ask = capture_job.asking(picture, self._request)
        self._job = CaptureJob(ask, runtime=self._runtime, done=lambda capture: self._done(picture, capture))

    def _show(self) -> None:
        self.stage = iface("{} of {}: {}").format(self._count + 1, self.total, stage(self._job.stage))
        self.fraction = (self._count + self._job.fraction) / self.total


def pictures_in(folder: Path, names: Iterable[str] = ()) -> list[Path]:
    """The files of those names, or all pictures of a folder, in natural order: 2 before 10."""
    chosen = [folder / name for name in names if name]
    if not chosen and folder.is_dir():
        chosen = [path for path in folder.iterdir() if path.suffix.lower() in KINDS and not path.name.startswith(".")]
    return sorted(chosen, key=lambda path: naming.natural(path.name))


def in_scene(
    pictures: Iterable[Path], request: Request, scene: bpy.types.Scene, *, runtime: Path, again: bool = False,
    ended: Callable[[Report], None],
) -> BatchJob:  # fmt: skip
    """A batch whose captures go into a scene, without the pictures that are in it, unless `again`. See `BatchJob`."""
    known = set() if again else {child.get(naming.FILE) for child in scene.collection.children}
    name = scene.name  # the scene may be gone when a capture is there
    return BatchJob(
        [path for path in pictures if str(path) not in known], request, runtime=runtime,
        done=lambda picture, capture: _build(picture, capture, name), ended=ended,
    )  # fmt: skip


def _build(picture: photo.Photo, capture: Capture, scene_name: str) -> None:
    scene = bpy.data.scenes.get(scene_name)
    if scene is None:
        raise DiceError("The scene is gone.", "Capture again.")
    first = not any(naming.FILE in child for child in scene.collection.children)
    collection = build(capture, picture, scene, match=first)
    collection[naming.FILE] = str(picture.path)
    for layer in () if first else scene.view_layers:  # all stand at the same place: one is shown
        layer.layer_collection.children[collection.name].exclude = True
    if first and hasattr(scene, "dice"):
        scene.dice.result = collection
    if not bpy.app.background:  # a step each: what is undone meanwhile is no more than one
        with bpy.context.temp_override(window=bpy.context.window_manager.windows[0]):
            bpy.ops.ed.undo_push(message=f"Capture {picture.source}")
