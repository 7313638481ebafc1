# SPDX-License-Identifier: GPL-3.0-or-later
"""Draw people, run the landmark detector on each picture, keep what it found and the truth:
`python -m tools.learn.make --seed 1 --minutes 40 [--half check]`.

Of each figure one whole picture is made for the detector. Where that finds face and hand, MORE crops follow of the
same figure in other light and clothes, its hand on the face or at other distances from it, where the detector looks
again for the hand. So how a hand is held tells hardly anything about the touch. Of each picture and crop the detector
also sees a copy that is framed otherwise and spoilt.
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
from dice_core.interaction.distance import Surface
from dice_core.landmarks.litert import FaceLandmarks, HandLandmarks, Landmarker, hand_region
from dice_core.landmarks.people import find_people
from dice_core.landmarks.regions import Region
from dice_core.paths import models_dir, runtime_dir
from dice_core.types import Frame

from .bank import FOLDER
from .figures import CONTACT, FARTHEST, NEAREST, People, Posed, figure, held_away, pressed
from .labels import touching_parts
from .render import Window
from .scene import picture

LONGER = 448  # pixels of a picture before it is made smaller
SHAPES = ((448, 448), (448, 336), (336, 448))
FOCALS, SHARE, FACE_WIDTH = (0.8, 2.3), (0.20, 0.44), 0.15
WRONG = 0.3  # of the hand's size: a detection farther off is of something else
SHARD, MORE = 500, 1


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
    faces: list[dict] = []
    while time.perf_counter() - start < 60 * options.minutes and shard * SHARD + len(rows) < options.most:
        rng = np.random.default_rng([7_000_000, options.half == "check", options.seed, figures])
        figures += 1
        taken = _taken(rng, people)
        if taken is None:
            continue
        drawn += 1
        found = _rows(rng, taken, people, landmarker, options.show and options.show / f"{drawn:05}.jpg", faces)
        rows += [row | {"figure": np.array(figures), "person": np.array(taken.base.person)} for row in found]
        while len(rows) >= SHARD:
            _save(options.out / f"{options.half}-{options.seed}-{shard:03}.npz", rows[:SHARD])
            _save(options.out / f"{options.half}-faces-{options.seed}-{shard:03}.npz", faces)
            rows, faces, shard = rows[SHARD:], [], shard + 1
            print(f"{shard * SHARD} rows, {drawn} whole pictures, {time.perf_counter() - start:.0f} s", flush=True)
    if rows:
        _save(options.out / f"{options.half}-{options.seed}-{shard:03}.npz", rows)
        _save(options.out / f"{options.half}-faces-{options.seed}-{shard:03}.npz", faces)
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
    rng: np.random.Generator, taken: Taken, people: People, landmarker: Landmarker, show: Path | None, faces: list[dict]
) -> list[dict]:
    """The rows of one figure, none when face or hand are not found; what is known of its face is added to `faces`."""
    touches = taken.base.touches and bool(rng.random() < 0.5)
    first = taken.varied(rng, touches)
    if first is None:
        return []
    pixels = picture(rng, *first, people, taken.size, taken.focal)
    if show:
        show.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(show), pixels[..., ::-1])
    face, hand = _found(pixels, taken, *first, landmarker)
    if face is not None:
        looks = (face, *_face_again(rng, landmarker, pixels, face, taken))
        faces += [_face_row(taken, first[1], one, hand) for one in looks]
    if face is None or hand is None:
        return []
    truth = _truth(taken, *first, touches)
    looks = (hand, *_again(rng, landmarker, pixels, hand, taken)) if truth else ()
    rows = [truth | _said(one, face) for one in looks]
    joints = taken.project(first[0].joints)
    off = (hand.points - joints) / np.ptp(joints, axis=0).max()
    for _ in range(MORE if taken.base.touches else 1):
        touches = taken.base.touches and not touches
        other = taken.varied(rng, touches)
        truth = None if other is None else _truth(taken, *other, touches)
        if other is None or truth is None:
            continue
        joints = taken.project(other[0].joints)
        region = hand_region(joints + off * np.ptp(joints, axis=0).max())
        window = _window(taken, region)
        crop = picture(rng, *other, people, taken.size, taken.focal, window)
        scale = crop.shape[1] / (window[2] - window[0])
        seen = landmarker.hand_in(crop, Region((region.center - window[:2]) * scale, region.side * scale, region.angle))
        if seen is None:
            continue
        seen = replace(seen, points=seen.points / scale + window[:2])
        looks = (seen, *_again(rng, landmarker, crop, seen, taken, window))
        rows += [truth | _said(one, face) for one in looks if _off(one, joints) < WRONG]
    return rows


def _again(rng: np.random.Generator, landmarker: Landmarker, pixels: NDArray[np.uint8], seen: HandLandmarks,
           taken: Taken, window: Window | None = None) -> list[HandLandmarks]:  # fmt: skip
    """What the detector says of the hand in a crop that is framed otherwise and spoilt: one answer or none."""
    left, top, right, _ = window or (0, 0, *taken.size)
    scale = pixels.shape[1] / (right - left)
    region = hand_region((seen.points - [left, top]) * scale)
    centre = region.center + rng.normal(0, 0.03, 2) * region.side
    other = Region(centre, region.side * np.exp(rng.normal(0, 0.07)), region.angle + rng.normal(0, 0.15))
    found = landmarker.hand_in(spoilt(pixels, rng), other)
    return [] if found is None else [replace(found, points=found.points / scale + [left, top])]


def spoilt(picture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Other colours, contrast, blur, noise, and sometimes something in the way."""
    gain = np.exp(rng.normal(0, 0.06, 3) + rng.normal(0, 0.15))
    gamma, shift = np.exp(rng.normal(0, 0.15)), rng.normal(0, 6, 3)
    ramp = (np.arange(256) / 255) ** gamma * 255
    table = np.clip(ramp[:, None] * gain + shift, 0, 255).astype(np.uint8)
    picture = cv2.LUT(picture, np.ascontiguousarray(table[None]))
    if rng.random() < 0.15:
        grey = picture.mean(2, keepdims=True)
        picture = np.clip(grey + rng.uniform(0, 0.8) * (picture - grey), 0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        picture = cv2.GaussianBlur(picture, None, float(rng.uniform(0.4, 1.4)))
    elif rng.random() < 0.2:
        picture = cv2.addWeighted(picture, 1.7, cv2.GaussianBlur(picture, None, 1.2), -0.7, 0)
    if rng.random() < 0.4:
        grain = rng.uniform(1, 9) * rng.normal(size=picture.shape)
        picture = np.clip(picture + grain, 0, 255).astype(np.uint8)
    if rng.random() < 0.15:
        picture = picture.copy()
        size = (rng.uniform(0.04, 0.2, 2) * picture.shape[1::-1]).astype(int) + 1
        at = rng.integers(0, np.maximum(picture.shape[1::-1] - size, 1))
        picture[at[1] : at[1] + size[1], at[0] : at[0] + size[0]] = rng.integers(0, 256, 3)
    return np.ascontiguousarray(picture)


def _found(pixels: NDArray[np.uint8], taken: Taken, posed: Posed, head: NDArray, landmarker: Landmarker
           ) -> tuple[FaceLandmarks | None, HandLandmarks | None]:  # fmt: skip
    """What the detector says of the face and the hand, in pixels of the size asked for; None for what it missed."""
    height, width = pixels.shape[:2]
    face, hands = find_people(landmarker, Frame(pixels, (width, height), "drawn"))
    scale = taken.size[0] / width
    if face is not None:
        face = replace(face, points=face.points * scale)
        nose = taken.project(head_model().landmarks(head)[[4]])[0]
        if np.linalg.norm(face.points[4] - nose) > 0.25 * np.ptp(face.points[:, 0]):
            face = None
    joints = taken.project(posed.joints)
    hands = [replace(hand, points=hand.points * scale) for hand in hands]
    hand = min(hands, key=lambda one: _off(one, joints), default=None)
    return face, None if hand is None or _off(hand, joints) > WRONG else hand


def _face_again(rng: np.random.Generator, landmarker: Landmarker, pixels: NDArray[np.uint8], face: FaceLandmarks,
                taken: Taken) -> list[FaceLandmarks]:  # fmt: skip
    """What the detector says of the face when the picture is spoilt and it starts elsewhere: one answer or none."""
    scale = pixels.shape[1] / taken.size[0]
    low, high = scale * face.points.min(0), scale * face.points.max(0)
    side = 1.5 * float((high - low).max()) * np.exp(rng.normal(0, 0.1))
    eyes = face.points[263] - face.points[33]
    region = Region((low + high) / 2 + rng.normal(0, 0.03, 2) * side, side, float(np.arctan2(eyes[1], eyes[0])))
    found = landmarker.face_in(spoilt(pixels, rng), region)
    return [] if found is None else [replace(found, points=found.points / scale)]


def _face_row(taken: Taken, head: NDArray, face: FaceLandmarks, hand: HandLandmarks | None) -> dict[str, NDArray]:
    """What the detector says of a face, what hides it, and the truth."""
    return {
        "face": face.points, "face_features": face.features.astype(np.float16), "score": np.array(face.score),
        "hand": np.full((21, 2), np.nan) if hand is None else hand.points, "size": np.array(taken.size),
        "focal": np.array(taken.focal), "turn": taken.base.turn, "landmarks": head_model().landmarks(head),
    }  # fmt: skip


def _off(hand: HandLandmarks, joints: NDArray) -> float:
    return float(np.linalg.norm(hand.points - joints, axis=1).mean() / max(np.ptp(joints, axis=0).max(), 1.0))


def _window(taken: Taken, region: Region) -> Window:
    """What is to be drawn for the detector to see a turned region, and some more."""
    low, high = region.center - 0.76 * region.side, region.center + 0.76 * region.side
    low, high = np.clip(np.floor(low), 0, None).astype(int), np.minimum(np.ceil(high), taken.size).astype(int)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _said(hand: HandLandmarks, face: FaceLandmarks) -> dict[str, NDArray]:
    """What the detector says."""
    return {
        "features": hand.features[int(hand.side == "left")].astype(np.float16), "hand": hand.points,
        "world": hand.world, "face": face.points, "side": np.array(hand.side == "right"),
        "scores": np.array([hand.score, hand.side_score]),
    }  # fmt: skip


def _truth(taken: Taken, posed: Posed, head: NDArray, touches: bool) -> dict[str, NDArray] | None:
    """What it should have said; None when that is neither touch nor none."""
    surface = Surface(head, head_model().solid, head_model().neck_rim)
    distance = surface.nearest(posed.hand).distance
    on_hand = distance < CONTACT
    if touches != bool(on_hand.any()):
        return None
    eyes = head[head_model().part == EYEBALL, 2].mean()
    return {
        "size": np.array(taken.size), "focal": np.array(taken.focal), "joints": posed.joints,
        "true_side": np.array(posed.model.side == "right"), "touch": np.array(touches),
        "gap": np.array(0.0 if touches else max(distance.min(), 0.0)),
        "near": np.maximum(surface.nearest(posed.joints).distance, 0),
        "parts": touching_parts(on_hand), "depth": np.array(np.log(posed.joints[[0, 9], 2].mean() / eyes)),
    }  # fmt: skip


def _save(path: Path, rows: list[dict]) -> None:
    data = {key: np.stack([row[key] for row in rows]) for key in rows[0]}
    with atomic(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **data)


if __name__ == "__main__":
    main()
