# SPDX-License-Identifier: GPL-3.0-or-later
"""What the steps of every engine do alike: know their folder, and write parts and caches as the result has them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..fit.camera import default_camera
from ..result.caches import CacheFile
from ..types import SIDES, Camera, Skeleton
from .folder import Arrays, Folder

FRAMES, STATIC, MOTION = "frames", "static", "motion"  # names of steps that the result file knows, too
PARTS = ("head", *(f"hand_{side}" for side in SIDES))
ONLY_X = np.array([1, 0, 0], np.float32)


class InFolder:
    """Works in a folder in which all frames were looked at. Any process may do any chunk.

    Parameters
    ----------
    folder
        Of the sequence.
    """

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        facts = folder.facts
        self.count, self.rate = int(facts["count"]), float(facts["rate"])
        self.times = np.arange(self.count) / self.rate
        self.source, self.settings = facts["source"]["name"], facts["settings"]
        self.camera: Camera = default_camera(tuple(facts["image_size"]))

    def caches(self, static: Arrays) -> list[CacheFile]:
        """The caches of the parts that there are."""
        made = []
        for part in PARTS:
            if f"{part}_faces" in static:
                kinds = ("", "_contact", "_deformation") if part == "head" else ("", "_contact")
                count = len(static[f"{part}_bone_weights"])
                made += [CacheFile(self.folder.path / f"{part}{kind}.pc2", count, self.count) for kind in kinds]
        return made

    def notes(self) -> tuple[str, ...]:
        """See `Steps`."""
        return ()

    def make_room(self, static: Arrays) -> None:
        """For the caches of these parts."""
        for cache in self.caches(static):
            CacheFile.create(cache.path, cache.vertices, cache.frames)

    def fill_caches(self, start: int, frames: Arrays) -> Arrays:
        """Write what belongs into caches, of the frames from `start` on; gives the rest."""
        rest = dict(frames)
        for cache in self.caches(self.folder.load(STATIC)):
            name = cache.path.stem
            values = rest.pop(f"{name}_vertices" if f"{name}_vertices" in rest else name)
            cache.write(start, values if values.ndim == 3 else values[..., None] * ONLY_X)
        return rest


def part_arrays(name: str, faces: NDArray, bones: Skeleton) -> Arrays:
    """What stays the same of a part."""
    return {
        f"{name}_faces": faces.astype(np.int32),
        f"{name}_bone_names": np.array(bones.names),
        f"{name}_bone_parents": bones.parents,
        f"{name}_bone_joints": bones.joints,
        f"{name}_bone_weights": bones.weights,
    }
