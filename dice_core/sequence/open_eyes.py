# SPDX-License-Identifier: GPL-3.0-or-later
"""What the open engine sees in the frames of a sequence: landmarks, and the second look at each hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..errors import NothingFound
from ..fit.glance import PARTS, Glance, look
from ..fit.hidden import uncovered
from ..landmarks.litert import HandLandmarks, Landmarker
from ..landmarks.people import OCCLUDED, assign_sides, occlusion
from ..landmarks.track import Tracker
from ..types import SIDES, Crop, Frame, HandChoice
from .folder import Arrays

FACE = {"points": (478, 2), "covered": (478,), "score": ()}
HAND = {"points": (21, 2), "world": (21, 3), "score": (), "side_score": ()}
GLANCE = {"touch": (), "depth_ratio": (), "depth_sigma": (), "parts": (len(PARTS),), "joints": (21, 3),
          "joints_sigma": (21,), "points": (21, 2), "points_sigma": (21,)}  # fmt: skip


class OpenEyes:
    """Looks at one frame after another.

    Parameters
    ----------
    models
        Folder of the landmark models.
    hand, face, crop
        See `engines.base`.
    """

    def __init__(self, models: Path, hand: HandChoice, face: int, crop: Crop | None) -> None:
        self.hand = hand
        self.tracker = Tracker(Landmarker(models, threads=1), face, crop)
        self.state, self.restore = self.tracker.state, self.tracker.restore
        self.blank, self.notes = blank, ()

    def look(self, frame: Frame, step: float) -> Arrays:
        """What is in the next frame, `step` seconds later: one row, as `blank` has them."""
        face, seen = self.tracker(frame, step)
        row = blank()
        if face is not None:
            covered = occlusion(face, seen) == OCCLUDED
            row |= _named("face", FACE, {"points": uncovered(face, seen, frame.size).points, "covered": covered,
                                         "score": face.score})  # fmt: skip
        for hand in assign_sides(seen, face, self.hand):
            row |= _named(hand.side, HAND, vars(hand))
            if face is not None:
                row |= _named(f"{hand.side}_glance", GLANCE, vars(look(frame.size, hand, face, frame.focal)))
        return row

    def together(self, rows: list[Arrays]) -> Arrays:
        """See `Eyes`."""
        return {key: np.stack([row[key] for row in rows]) for key in rows[0]}


def blank() -> Arrays:
    """Of a frame in which there is nothing. All are float32, but for those that are yes or no."""
    row: Arrays = {}
    for name, shapes in [("face", FACE), *((side, HAND) for side in SIDES),
                         *((f"{side}_glance", GLANCE) for side in SIDES)]:  # fmt: skip
        row[f"{name}_seen"] = np.array(False)
        row |= {f"{name}_{key}": np.zeros(shape, np.float32) for key, shape in shapes.items()}
    row["face_covered"] = np.zeros(478, bool)
    return row


def _named(name: str, shapes: dict, values: dict) -> Arrays:
    kept = {f"{name}_{key}": np.asarray(values[key], bool if key == "covered" else np.float32) for key in shapes}
    return {f"{name}_seen": np.array(True)} | kept


def hand_of(row: Arrays, side: str) -> tuple[HandLandmarks, Glance | None] | None:
    """The hand that a row holds, and the look at it."""
    if not row[f"{side}_seen"]:
        return None
    said = {key: row[f"{side}_{key}"].astype(float) for key in HAND}
    hand = HandLandmarks(said["points"], said["world"], side, float(said["score"]),  # type: ignore[arg-type]
                         float(said["side_score"]), np.zeros(0))  # fmt: skip
    if not row[f"{side}_glance_seen"]:
        return hand, None
    looked: dict[str, Any] = {key: row[f"{side}_glance_{key}"].astype(float) for key in GLANCE}
    return hand, Glance(**{key: value if value.ndim else value.item() for key, value in looked.items()})


def check_found(folder_seen: Arrays, source: str, face: int) -> None:
    """Raises NothingFound when no frame shows what was asked for."""
    if not any(folder_seen[f"{name}_seen"].any() for name in ("face", *SIDES)):
        raise nothing(source, face)


def nothing(source: str, face: int) -> NothingFound:
    """The error of a clip that does not show what was asked for."""
    asked = f"no face {face} and no hand were" if face else "no face and no hand were"
    return NothingFound(f"In {source} {asked} found.", "Choose a movie in which they are well lit and large enough.")
