# SPDX-License-Identifier: GPL-3.0-or-later
"""When a sequence's frames are shown: where the clip begins in the scene, and how fast it runs there."""

from __future__ import annotations

import math
from dataclasses import dataclass

import bpy
import numpy as np
from numpy.typing import NDArray

BROADCAST = 1.001  # 23.976, 29.97 and 59.94 frames a second are 24, 30 and 60 by that
CLOSE = 1e-5  # of a rate that was written with a few digits


@dataclass(frozen=True)
class Timing:
    """Position k of the sequence is shown at frame `first` + k / `speed` of the scene.

    Attributes
    ----------
    first
        Where the clip begins.
    speed
        Frames of the sequence a frame of the scene.
    count
        Frames of the sequence.
    """

    first: float
    speed: float
    count: int

    @property
    def frames(self) -> NDArray[np.float64]:
        """(N,) frames of the scene at which the sequence's frames are."""
        return self.first + np.arange(self.count) / self.speed

    @property
    def last(self) -> int:
        """The last frame of the scene that the clip reaches."""
        return math.floor(self.first + (self.count - 1) / self.speed + CLOSE)

    def position(self, frame: float) -> int:
        """Which of its frames the sequence shows at a frame of the scene; before and after it the nearest."""
        return min(max(math.floor((frame - self.first) * self.speed + 0.5), 0), self.count - 1)


def rate_of(scene: bpy.types.Scene) -> float:
    """Frames a second of a scene."""
    return scene.render.fps / scene.render.fps_base


def set_rate(scene: bpy.types.Scene, rate: float) -> None:
    """Give the scene that rate, 23.976 and its like to the last digit."""
    fps = max(1, round(rate * BROADCAST))
    base = next((one for one in (1.0, BROADCAST) if abs(fps / one - rate) < CLOSE * rate), 0.0)
    if not base:
        fps = max(1, math.ceil(rate))
        base = fps / rate
    scene.render.fps, scene.render.fps_base = fps, base


def set_range(scene: bpy.types.Scene, timing: Timing) -> None:
    """Let the scene begin and end with the clip."""
    scene.frame_start, scene.frame_end = math.ceil(timing.first), timing.last
