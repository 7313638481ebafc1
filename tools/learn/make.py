# SPDX-License-Identifier: GPL-3.0-or-later
"""Draw people, run the landmark detector on each picture, keep what it found and the truth:
`python -m tools.learn.make --seed 1 --minutes 40 [--half check]`.

Of each figure one whole picture is made for the detector. Where that finds face and hand, MORE crops follow of the
same figure in other light and clothes, its hand on the face or at other distances from it; what the detector would say
of them is what it said of the first, moved as the hand is. So landmarks alone tell hardly anything about the touch.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from dice_core.body.openbody import EYEBALL, head_model
from dice_core.files import atomic
from dice_core.fit.glance import view
from dice_core.interaction.distance import Surface
from dice_core.landmarks.litert import FaceLandmarks, HandLandmarks, Landmarker
from dice_core.landmarks.people import find_people
from dice_core.landmarks.regions import Region
from dice_core.paths import models_dir, runtime_dir
from dice_core.types import Frame

from .bank import FOLDER
from .figures import FARTHEST, NEAREST, People, Posed, contact, figure, held_away, pressed
from .labels import touching_parts
from .render import Window
from .scene import picture

LONGER = 448  # pixels of a picture before it is made smaller
SHAPES = ((448, 448), (448, 336), (336, 448))
FOCALS, SHARE, FACE_WIDTH = (0.8, 2.3), (0.20, 0.44), 0.15
STORED, WIDER = 240, 1.3  # pixels of a stored crop, and its side in those that the network sees
WRONG = 0.3  # of the hand's size: a detection farther off is of something else
SHARD, MORE = 250, 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--half", choices=("train", "check"), default="train")
    parser.add_argument("--bank", type=Path, default=FOLDER / "bank")
    parser.add_argument("--out", type=Path, default=FOLDER / "data")
    parser.add_argument("--show", type=Path, help="write the pictures themselves there, too")
    parser.add_argument("--most", type=int, default=10**9, help="rows")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    cv2.setNumThreads(1)
    people, landmarker = People(options.bank, options.half), Landmarker(models_dir(runtime_dir()), threads=1)
    start, figures, shard, drawn = time.perf_counter(), 0, 0, 0
    rows: list[dict] = []
    while time.perf_counter() - start < 60 * options.minutes and shard * SHARD + len(rows) < options.most:
        rng = np.random.default_rng([7_000_000, options.half == "check", options.seed, figures])
        figures += 1
        taken = _taken(rng, people)
        if taken is None:
            continue
        drawn += 1
        found = _rows(rng, taken, people, landmarker, options.show and options.show / f"{drawn:05}.jpg")
        rows += [row | {"figure": np.array(figures), "person": np.array(taken.base.person)} for row in found]
        while len(rows) >= SHARD:
            _save(options.out / f"{options.half}-{options.seed}-{shard:03}.npz", rows[:SHARD])
            rows, shard = rows[SHARD:], shard + 1
            print(f"{shard * SHARD} rows, {drawn} whole pictures, {time.perf_counter() - start:.0f} s", flush=True)
    if rows:
        _save(options.out / f"{options.half}-{options.seed}-{shard:03}.npz", rows)
    print(f"{shard * SHARD + len(rows)} rows, {drawn} whole pictures, {time.perf_counter() - start:.0f} s", flush=True)


@dataclass(frozen=True)
class Taken:
    """A figure before a camera.

    Attributes
    ----------
    base
        As it was posed, about the origin.
    size, focal, shift
        Of the picture, and (3,) where the origin is in camera space.
    """

    base: Posed
    size: tuple[int, int]
    focal: float
    shift: NDArray

    def varied(self, rng: np.random.Generator, touches: bool) -> tuple[Posed, NDArray] | None:
        """The hand on the face or away from it, and the head with its dent, in camera space; None if it cannot be."""
        one, head = self.base, self.base.head
        if touches:
            one, head = pressed(one, rng.uniform(0, 1.2) * one.limit if rng.random() < 0.8 else 0.0)
        elif one.touches or one.gap() < NEAREST:
            gap = float(np.exp(rng.uniform(*np.log([NEAREST, FARTHEST]))))
            moved = held_away(one, gap, _way(rng, one, self.shift))
            if moved is None:
                return None
            one = moved
        else:
            one = one.moved(rng.normal(0, 0.01, 3))
            if one.gap() < NEAREST:
                return None
        placed = replace(one.moved(self.shift), head=one.head + self.shift)
        pixels = self.project(placed.joints)
        if placed.hand[:, 2].min() < 0.1 or (pixels < 2).any() or (pixels > np.array(self.size) - 2).any():
            return None
        return placed, head + self.shift

    def project(self, points: NDArray) -> NDArray:
        return self.focal * points[:, :2] / points[:, 2:] + np.array(self.size) / 2


def _taken(rng: np.random.Generator, people: People) -> Taken | None:
    """A random figure and camera; None when the hand cannot be held so or does not fit into the picture."""
    made = figure(rng, people)
    if made is None:
        return None
    size = SHAPES[rng.integers(len(SHAPES))]
    focal = LONGER * np.exp(rng.uniform(*np.log(FOCALS)))
    distance = focal * FACE_WIDTH / (LONGER * rng.uniform(*SHARE))
    seen = np.vstack([made.head[::7], made.joints])
    if seen[:, 2].min() + distance < 0.12:
        return None
    pixels = focal * seen[:, :2] / (seen[:, 2:] + distance)
    hand, face = pixels[-21:], pixels[:-21]
    low, high = np.minimum(hand.min(0) - 4, face.min(0) * 0.8), np.maximum(hand.max(0) + 4, face.max(0) * 0.8)
    room = np.array(size) - (high - low)
    if (room < 0).any():
        return None
    corner = -low + rng.uniform(0.1, 0.9, 2) * room
    return Taken(made, size, focal, np.r_[(corner - np.array(size) / 2) * distance / focal, distance])


def _way(rng: np.random.Generator, made: Posed, shift: NDArray) -> NDArray:
    """Unit direction in which a hand is held away: to the camera, off the skin, sideways, or in between."""
    camera = -shift - made.joints.mean(0)
    camera /= np.linalg.norm(camera)
    kind = rng.random()
    if kind < 0.55:
        way = camera
    elif kind < 0.75:
        way = made.away
    elif kind < 0.85:
        way = np.array([-1.0 if made.model.side == "right" else 1.0, rng.normal(0, 0.3), rng.normal(0, 0.3)])
    else:
        way = camera + 0.5 * rng.normal(size=3)
    return way / np.linalg.norm(way)


def _rows(
    rng: np.random.Generator, taken: Taken, people: People, landmarker: Landmarker, show: Path | None
) -> list[dict]:
    """The rows of one figure; none when face or hand are not found."""
    touches = taken.base.touches and bool(rng.random() < 0.5)
    first = taken.varied(rng, touches)
    if first is None:
        return []
    pixels = picture(rng, *first, people, taken.size, taken.focal)
    if show:
        show.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(show), pixels[..., ::-1])
    found = _found(pixels, taken, *first, landmarker)
    if found is None:
        return []
    hand, face = found
    rows = [_row(taken, *first, touches, hand, face, pixels, (0, 0, *taken.size))]
    joints = taken.project(first[0].joints)
    off = (hand.points - joints) / np.ptp(joints, axis=0).max()
    for _ in range(MORE if taken.base.touches else 1):
        touches = taken.base.touches and not touches
        other = taken.varied(rng, touches)
        if other is None:
            continue
        joints = taken.project(other[0].joints)
        moved = replace(hand, points=joints + off * np.ptp(joints, axis=0).max())
        window = _window(taken, moved, face)
        crop = picture(rng, *other, people, taken.size, taken.focal, window)
        rows.append(_row(taken, *other, touches, moved, face, crop, window))
    return [row for row in rows if row is not None]


def _found(pixels: NDArray[np.uint8], taken: Taken, posed: Posed, head: NDArray, landmarker: Landmarker
           ) -> tuple[HandLandmarks, FaceLandmarks] | None:  # fmt: skip
    """What the detector says of the hand and the face, in pixels of the size asked for; None when it missed them."""
    height, width = pixels.shape[:2]
    face, hands = find_people(landmarker, Frame(pixels, (width, height), "drawn"))
    if face is None or not hands:
        return None
    scale = taken.size[0] / width
    face = replace(face, points=face.points * scale)
    hands = [replace(hand, points=hand.points * scale) for hand in hands]
    nose = taken.project(head_model().landmarks(head)[[4]])[0]
    joints = taken.project(posed.joints)
    hand = min(hands, key=lambda one: _off(one, joints))
    if np.linalg.norm(face.points[4] - nose) > 0.25 * np.ptp(face.points[:, 0]) or _off(hand, joints) > WRONG:
        return None
    return hand, face


def _off(hand: HandLandmarks, joints: NDArray) -> float:
    return float(np.linalg.norm(hand.points - joints, axis=1).mean() / max(np.ptp(joints, axis=0).max(), 1.0))


def _window(taken: Taken, hand: HandLandmarks, face: FaceLandmarks) -> Window:
    region = view(taken.size, hand, face, None).region
    centre = region.center if hand.side == "right" else np.array([taken.size[0] - region.center[0], region.center[1]])
    low, high = centre - WIDER * region.side / 2 - 4, centre + WIDER * region.side / 2 + 4
    low, high = np.clip(np.floor(low), 0, None).astype(int), np.minimum(np.ceil(high), taken.size).astype(int)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _row(taken: Taken, posed: Posed, head: NDArray, touches: bool, hand: HandLandmarks, face: FaceLandmarks,
         pixels: NDArray[np.uint8], window: Window) -> dict[str, NDArray] | None:  # fmt: skip
    """What the detector says, the crop, and the truth; None when that is neither touch nor none."""
    on_hand = contact(head, posed.hand)
    if touches != bool(on_hand.any()):
        return None
    seen = view(taken.size, hand, face, taken.focal)
    centre = seen.region.center.copy()
    if seen.mirrored:
        centre[0] = taken.size[0] - centre[0]
    scale = pixels.shape[1] / (window[2] - window[0])
    crop = Region((centre - window[:2]) * scale, WIDER * seen.region.side * scale).crop(pixels, STORED)
    if seen.mirrored:
        crop = crop[:, ::-1]
    coded = cv2.imencode(".jpg", np.ascontiguousarray(crop[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 94])[1]
    eyes = head[head_model().part == EYEBALL, 2].mean()
    return {
        "crop": coded, "size": np.array(taken.size), "hand": hand.points, "world": hand.world, "face": face.points,
        "side": np.array(hand.side == "right"), "scores": np.array([hand.score, hand.side_score]),
        "true_side": np.array(posed.model.side == "right"), "focal": np.array(taken.focal), "joints": posed.joints,
        "touch": np.array(touches), "gap": np.array(0.0 if touches else _near(posed.hand[::3], head).min()),
        "near": _near(posed.joints, head),
        "parts": touching_parts(on_hand), "depth": np.array(np.log(posed.joints[[0, 9], 2].mean() / eyes)),
    }  # fmt: skip


def _near(points: NDArray, head: NDArray) -> NDArray:
    """(n,) metres of points from the face."""
    return np.maximum(Surface(head, head_model().solid, head_model().neck_rim).nearest(points).distance, 0)


def _save(path: Path, rows: list[dict]) -> None:
    data = {key: np.stack([row[key] for row in rows]) for key in rows[0] if key != "crop"}
    sizes = np.array([len(row["crop"]) for row in rows])
    with atomic(path) as temporary, temporary.open("wb") as file:  # `train` reads what there is while this goes on
        np.savez(file, crops=np.concatenate([row["crop"].ravel() for row in rows]), crop_sizes=sizes, **data)


if __name__ == "__main__":
    main()
