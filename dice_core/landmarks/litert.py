# SPDX-License-Identifier: GPL-3.0-or-later
"""Face and hand landmarks from the MediaPipe models, run with LiteRT.

Each object is found on the whole picture (and again on crops, so that small ones are not missed), landmarked, and
landmarked again on the crop that the landmarks before define, as MediaPipe's graphs do in tracking mode.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from ..types import Side
from . import models
from .graph import with_outputs
from .regions import Box, Region, anchors, decode_boxes

ONE = np.float32(255)  # what models take for 1
FACE_SIZE, FACE_ANCHORS = 128, anchors(((16, 2), (8, 6)))
PALM_SIZE, PALM_ANCHORS = 192, anchors(((24, 2), (12, 6)))
FACE_SCORE, PALM_SCORE = 0.4, 0.2  # low: the landmark models' own scores decide
FACE_PRESENCE, HAND_PRESENCE = 0.5, 0.5
SEARCHED, SEARCH_STEP = (1.6, 3.2), np.pi / 3  # for hidden hands: extents of the face, radians
SEARCH_SCORE, SEARCH_PRESENCE = 0.05, 0.8
FACE_PASSES, HAND_PASSES = 4, 2  # after two, the landmarks of small faces are still off by up to 15 % of their width
EYE_CORNERS = ((33, 133), (362, 263))  # (outer, inner) of the person's right eye, (inner, outer) of the left
PALM_POINTS = [0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18]
# what the face model makes of a crop on its way to the landmarks
FACE_TENSORS, FACE_FEATURES = ("p_re_lu_18", "p_re_lu_20"), 9 * (128 + 32)
# what the hand model makes of a crop on its way to the landmarks: edges, parts, and all of it
HAND_TENSORS = ("model_1/model/add_1/add", "model_1/model/add_5/add", "model_1/model/global_average_pooling2d/Mean")
POINT_FEATURES, FEATURES = 21 * (40 + 112), 21 * (40 + 112) + 1152


@dataclass(frozen=True)
class FaceLandmarks:
    """One face.

    Attributes
    ----------
    points
        (478, 2) pixels of the picture given: 468 of the face mesh, then 5 iris points an eye.
    score
        0..1, that there is a face.
    features
        (FACE_FEATURES,) of the face model.
    others
        How many more faces were found in the picture.
    """

    points: NDArray
    score: float
    features: NDArray
    others: int = 0


@dataclass(frozen=True)
class HandLandmarks:
    """One hand.

    Attributes
    ----------
    points
        (21, 2) pixels of the picture given.
    world
        (21, 3) metres about the hand's centre, camera axes (x right, y down, z forward).
    side
        The person's own.
    score, side_score
        0..1: that there is a hand; that the side is right.
    features
        (2, FEATURES) of the hand model, at the landmarks and of the whole crop: as the hand is, and in a mirror.
    """

    points: NDArray
    world: NDArray
    side: Side
    score: float
    side_score: float
    features: NDArray


class _Model:
    """A tflite file; gives its outputs, and after them those of its tensors that are named."""

    def __init__(self, path: Path, threads: int, names: tuple[str, ...] = ()) -> None:
        # not its path: LiteRT's own reading of files fails on some names on Windows
        content = with_outputs(path.read_bytes(), names)
        self.interpreter = Interpreter(model_content=content, num_threads=threads)
        self.interpreter.allocate_tensors()
        self.input = self.interpreter.get_input_details()[0]["index"]
        self.outputs = [detail["index"] for detail in self.interpreter.get_output_details()]

    def __call__(self, pixels: NDArray) -> list[NDArray]:
        self.interpreter.set_tensor(self.input, np.ascontiguousarray(pixels[None], np.float32))
        self.interpreter.invoke()
        return [self.interpreter.get_tensor(index)[0] for index in self.outputs]


class Landmarker:
    """The five models, loaded once.

    Parameters
    ----------
    folder
        Where the tflite files are.
    threads
        For each model.

    Raises
    ------
    NotInstalled
        When a file is missing.
    """

    def __init__(self, folder: Path, threads: int = 2) -> None:
        def load(name: str, *tensors: str, threads: int = threads) -> _Model:
            return _Model(models.path(folder, name), threads, tensors)

        self.face_detector, self.face_mesh = load("face_detection_short_range"), load("face_landmark", *FACE_TENSORS)
        self.iris = load("iris_landmark")
        self.palm_detector = load("palm_detection_full")
        # two, which look at a hand and at its mirror image at the same time
        self.hand_mesh, self.mirrored_mesh = (load("hand_landmark_full", *HAND_TENSORS, threads=1) for _ in range(2))
        self._looking = ThreadPoolExecutor(2)

    def faces(self, pixels: NDArray[np.uint8], everywhere: bool = False) -> list[FaceLandmarks]:
        """Every face in an (h, w, 3) uint8 RGB picture, largest first; small ones beside large ones only if told."""
        found: list[FaceLandmarks] = []
        parts = [whole(pixels)], tiles(pixels)
        for regions in [sum(parts, [])] if everywhere else parts:
            boxes = self.detect_faces(pixels, regions)
            found = [face for box in boxes if (face := self.face_at(pixels, box)) is not None]
            if found:
                break
        return sorted(_distinct(found), key=lambda face: -np.ptp(face.points, axis=0).max())

    def hands(self, pixels: NDArray[np.uint8], near: NDArray | None = None) -> list[HandLandmarks]:
        """Every hand in a picture, best first; `near`: points of a face, about which to look more closely."""
        regions = [whole(pixels)] if near is None else [whole(pixels), around(near, 3.2)]
        boxes = [box for region in regions for box in self.detect_palms(pixels, region, PALM_SCORE)]
        found = [hand for box in boxes if (hand := self.hand_at(pixels, box)) is not None]
        if not found and near is not None:
            found = self._hidden_hands(pixels, near)
        return _distinct(sorted(found, key=lambda hand: -hand.score))

    def detect_faces(self, pixels: NDArray[np.uint8], regions: list[Region]) -> list[Box]:
        """Where faces seem to be in parts of a picture; what several parts show is told several times."""
        boxes = []
        for region in regions:
            raw, logits = self.face_detector(region.crop(pixels, FACE_SIZE) / (ONE / 2) - 1)
            boxes += decode_boxes(
                raw, logits[:, 0], FACE_ANCHORS, FACE_SIZE, region.to_picture(FACE_SIZE), FACE_SCORE
            )
        return boxes

    def _hidden_hands(self, pixels: NDArray[np.uint8], near: NDArray) -> list[HandLandmarks]:
        """Fists and hands seen from odd sides, which the detector knows in few attitudes: it is shown all of them."""
        found: list[HandLandmarks] = []
        for factor in SEARCHED:
            if found:
                break
            for angle in np.arange(0, 2 * np.pi, SEARCH_STEP):
                region = replace(around(near, factor), angle=float(angle))
                for box in self.detect_palms(pixels, region, SEARCH_SCORE):
                    hand = self.hand_at(pixels, box)
                    if hand is not None and hand.score > SEARCH_PRESENCE:
                        found.append(hand)
        return found

    def detect_palms(self, pixels: NDArray[np.uint8], region: Region, score: float) -> list[Box]:
        """Where hands seem to be in a part of a picture."""
        raw, logits = self.palm_detector(region.crop(pixels, PALM_SIZE) / ONE)
        return decode_boxes(raw, logits[:, 0], PALM_ANCHORS, PALM_SIZE, region.to_picture(PALM_SIZE), score)

    def face_at(self, pixels: NDArray[np.uint8], box: Box) -> FaceLandmarks | None:
        """The face that was detected; None when it is none."""
        eyes = box.keypoints[1] - box.keypoints[0]
        angle = float(np.arctan2(eyes[1], eyes[0]))
        return self.face_in(pixels, Region(box.center, 1.5 * float(box.size.max()), angle))

    def face_in(self, pixels: NDArray[np.uint8], region: Region, passes: int = FACE_PASSES) -> FaceLandmarks | None:
        """The face in about a region of a picture; None when there is none. The better the region is known, the fewer
        passes are needed."""
        for _ in range(passes):
            mesh, logit, *features = self.face_mesh(region.crop(pixels, 192) / ONE)
            score = float(1 / (1 + np.exp(-np.clip(logit.ravel()[0], -60, 60))))
            if score < FACE_PRESENCE:
                return None
            points = _transform(mesh.reshape(-1, 3)[:, :2], region.to_picture(192))
            region = face_region(points)
        everything = np.vstack([points, *self._irises(pixels, points, region.angle)])
        return FaceLandmarks(everything, score, np.concatenate([one.ravel() for one in features]))

    def _irises(self, pixels: NDArray[np.uint8], points: NDArray, angle: float) -> list[NDArray]:
        irises = []
        for index, corners in enumerate(EYE_CORNERS):
            first, second = points[list(corners)]
            region = Region((first + second) / 2, 2.3 * float(np.linalg.norm(second - first)), angle)
            crop = region.crop(pixels, 64)
            mirrored = index == 1  # the model knows one eye; the other is shown to it in a mirror
            _, iris = self.iris((crop[:, ::-1] if mirrored else crop) / ONE)
            found = iris.reshape(5, 3)[:, :2].copy()
            if mirrored:
                found[:, 0] = 64 - found[:, 0]
            irises.append(_transform(found, region.to_picture(64)))
        return irises

    def hand_at(self, pixels: NDArray[np.uint8], box: Box) -> HandLandmarks | None:
        """The hand that was detected; None when it is none."""
        axis = box.keypoints[2] - box.keypoints[0]
        region = Region(box.center, 2.6 * float(box.size.max()), float(np.arctan2(axis[1], axis[0]) + np.pi / 2))
        region = Region(region.center + region.rotation @ [0, -0.5 * box.size.max()], region.side, region.angle)
        for _ in range(HAND_PASSES - 1):
            seen = self._look(pixels, region)
            if seen.score < HAND_PRESENCE:
                return None
            region = hand_region(seen.points)
        return self.hand_in(pixels, region)

    def hand_in(self, pixels: NDArray[np.uint8], region: Region) -> HandLandmarks | None:
        """The hand in a region of a picture, seen as it is and in a mirror; None when there is none."""
        looks = list(self._looking.map(lambda mirrored: self._look(pixels, region, mirrored), (False, True)))
        if looks[0].score < HAND_PRESENCE:
            return None
        sure = [look for look in looks if look.score >= HAND_PRESENCE]
        # the mean of a hand and of its mirror image is nearer to the truth than either
        points, world, right = (np.mean([getattr(one, key) for one in sure], 0) for key in ("points", "world", "right"))
        features = np.stack([look.features for look in looks])
        return HandLandmarks(points, world, "right" if right > 0.5 else "left", looks[0].score,
                             float(max(right, 1 - right)), features)  # fmt: skip

    def _look(self, pixels: NDArray[np.uint8], region: Region, mirrored: bool = False) -> _Look:
        """What the hand model makes of a crop, or of its mirror image."""
        crop = region.crop(pixels, 224) / ONE
        mesh = self.mirrored_mesh if mirrored else self.hand_mesh
        screen, presence, right, world, *features = mesh(crop[:, ::-1] if mirrored else crop)
        points, metres = screen.reshape(21, 3)[:, :2].copy(), world.reshape(21, 3).astype(np.float64)
        chance, sampled = float(right.ravel()[0]), _sampled(points / 224, features)
        if mirrored:
            points[:, 0], metres[:, 0], chance = 224 - points[:, 0], -metres[:, 0], 1 - chance
        metres[:, :2] = metres[:, :2] @ region.rotation.T
        return _Look(_transform(points, region.to_picture(224)), metres, chance, float(presence.ravel()[0]), sampled)


@dataclass(frozen=True)
class _Look:
    """See `HandLandmarks`; `right` is the chance that it is a right hand."""

    points: NDArray
    world: NDArray
    right: float
    score: float
    features: NDArray


def _sampled(points: NDArray, features: list[NDArray]) -> NDArray[np.float32]:
    """(FEATURES,) those of two rasters at (21, 2) points of the unit square, and those of the whole."""
    parts = []
    for raster in features[:2]:
        at = np.clip(points * len(raster) - 0.5, 0, len(raster) - 1.001)
        low = at.astype(int)
        share = (at - low)[:, None]
        (x, y), (u, v) = low.T, np.moveaxis(share, -1, 0)
        parts.append((1 - v) * ((1 - u) * raster[y, x] + u * raster[y, x + 1])
                     + v * ((1 - u) * raster[y + 1, x] + u * raster[y + 1, x + 1]))  # fmt: skip
    return np.concatenate([np.hstack(parts).ravel(), features[2].ravel()]).astype(np.float32)


def whole(pixels: NDArray[np.uint8]) -> Region:
    """The square that holds the whole picture."""
    height, width = pixels.shape[:2]
    return Region(np.array([width / 2, height / 2]), float(max(width, height)))


def around(points: NDArray, factor: float) -> Region:
    """The upright square about points, `factor` times their extent."""
    low, high = points.min(0), points.max(0)
    return Region((low + high) / 2, factor * float((high - low).max()))


def tiles(pixels: NDArray[np.uint8]) -> list[Region]:
    """Overlapping squares at a half and a quarter of the longer side, for faces too small on the whole picture."""
    height, width = pixels.shape[:2]
    regions = []
    for part in (2, 4):
        side = max(width, height) / part
        for top in np.arange(0, max(height - side / 2, 1), side / 2):
            for left in np.arange(0, max(width - side / 2, 1), side / 2):
                regions.append(Region(np.array([left + side / 2, top + side / 2]), side))
    return regions


def face_region(points: NDArray) -> Region:
    """The crop that a face's landmarks define: upright, half as large again as they reach."""
    eyes, low, high = points[263] - points[33], points.min(0), points.max(0)
    return Region((low + high) / 2, 1.5 * float((high - low).max()), float(np.arctan2(eyes[1], eyes[0])))


def hand_region(points: NDArray) -> Region:
    """The crop that a hand's landmarks define (MediaPipe's HandLandmarksToRect: palm box, twice its size)."""
    knuckles = ((points[5] + points[13]) / 2 + points[9]) / 2 - points[0]
    angle = float(np.arctan2(knuckles[1], knuckles[0]) + np.pi / 2)
    turned = points[PALM_POINTS] @ Region(points[0], 1.0, angle).rotation
    low, high = turned.min(0), turned.max(0)
    side = float((high - low).max())
    rotation = Region(points[0], 1.0, angle).rotation
    return Region(rotation @ ((low + high) / 2 + [0, -0.1 * (high - low)[1]]), 2.0 * side, angle)


def _transform(points: NDArray, matrix: NDArray) -> NDArray:
    return points.astype(np.float64) @ matrix[:, :2].T + matrix[:, 2]


Found = TypeVar("Found", FaceLandmarks, HandLandmarks)


def _distinct(found: list[Found]) -> list[Found]:
    """Without repeats: two finds whose points lie on each other are one object, seen in two crops."""
    kept: list[Found] = []
    for one in found:
        size = np.ptp(one.points, axis=0).max()
        if all(np.linalg.norm(one.points - other.points, axis=1).mean() > 0.35 * size for other in kept):
            kept.append(one)
    return kept
