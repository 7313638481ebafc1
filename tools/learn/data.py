# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows that `make` kept, as the network sees them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Queue
from threading import Thread

import cv2
import numpy as np
from numpy.typing import NDArray

from dice_core.fit import glance
from dice_core.fit.glance import CROP, View
from dice_core.landmarks.regions import Region

from .make import STORED, WIDER

Batch = dict[str, NDArray]
KEYS = ("size", "hand", "world", "face", "side", "scores", "true_side", "focal", "joints", "touch", "gap", "parts",
        "depth", "near", "figure", "person")  # fmt: skip


@dataclass(frozen=True)
class Rows:
    """(n, STORED, STORED, 3) RGB crops, the numbers beside them, (n, ...) each, and the files they are from."""

    crops: list[NDArray[np.uint8]]
    numbers: dict[str, NDArray]
    files: frozenset[Path]

    def __len__(self) -> int:
        return len(self.crops)


def load(folder: Path, half: str, known: Rows | None = None) -> Rows:
    """Every shard of a half; with those that are known, what is new is added to them."""
    files = {path for path in sorted(folder.glob(f"{half}-*.npz")) if known is None or path not in known.files}
    crops = [] if known is None else list(known.crops)
    parts: dict[str, list[NDArray]] = {key: [] if known is None else [known.numbers[key]] for key in KEYS}
    for path in sorted(files):
        with np.load(path) as data:
            ends = np.cumsum(data["crop_sizes"])
            coded = data["crops"]
            for start, end in zip(np.r_[0, ends[:-1]], ends, strict=True):
                crops.append(np.ascontiguousarray(cv2.imdecode(coded[start:end], cv2.IMREAD_COLOR)[..., ::-1]))
            for key in KEYS:
                parts[key].append(data[key])
    numbers = {key: np.concatenate(values) for key, values in parts.items()}
    return Rows(crops, numbers, frozenset(files) | (known.files if known else frozenset()))


def row_view(rows: Rows, index: int, known: bool) -> View:
    """A row's landmarks, in a mirror if the detector took the hand for a left one."""
    n = rows.numbers
    size = (int(n["size"][index][0]), int(n["size"][index][1]))
    hand, world, face = (n[key][index].astype(float) for key in ("hand", "world", "face"))
    mirrored = not n["side"][index]
    if mirrored:
        hand, face = np.array([size[0], 0]) + hand * [-1, 1], np.array([size[0], 0]) + face * [-1, 1]
        world = world * [-1, 1, 1]
    focal = float(n["focal"][index]) if known else None
    return View(size, hand, world, face, focal, tuple(n["scores"][index].tolist()), bool(mirrored))


def sample(rows: Rows, index: int, rng: np.random.Generator | None, seeing: bool = True) -> Batch:
    """One row; with a generator, changed a little; if not `seeing`, without the picture."""
    known = index % 2 == 0 if rng is None else rng.random() < 0.5
    seen = row_view(rows, index, bool(known))
    stored = seen.region
    joints = rows.numbers["joints"][index] * ([-1, 1, 1] if seen.mirrored else [1, 1, 1])
    region, roll = stored, 0.0
    if rng is not None:
        roll = float(rng.normal(0, 0.12))
        seen, joints = _rolled(seen, joints, roll)
        noisy = seen.hand + rng.normal(0, 0.004, (21, 2)) * np.ptp(seen.hand)
        seen = replace(seen, hand=noisy)
        region = Region(
            stored.center + rng.normal(0, 0.025, 2) * stored.side, stored.side * np.exp(rng.normal(0, 0.06))
        )
    planes, weights = np.zeros(1, np.uint8), np.zeros((1, 1), np.float32)
    if seeing:
        picture, hand, face = _cropped(rows.crops[index], stored, region, roll, seen)
        if rng is not None:
            picture = _changed(picture, rng)
        planes, weights = np.concatenate([picture.transpose(2, 0, 1), glance.drawn(hand, face)]), glance.weights(hand)
    target = glance.unit_joints(joints @ seen.ray().T) @ glance.turn_about_sight(seen.angle).T
    gap = rows.numbers["gap"][index]
    return {
        "planes": planes, "weights": weights, "numbers": glance.numbers(seen),
        "touch": np.float32(rows.numbers["touch"][index]), "gap": _log_gap(gap),
        "near": _log_gap(rows.numbers["near"][index]),
        "depth": np.float32(rows.numbers["depth"][index]), "parts": rows.numbers["parts"][index].astype(np.float32),
        "pose": (target - glance.upright_world(seen)).astype(np.float32),
    }  # fmt: skip


def _log_gap(gap: NDArray | float) -> NDArray:
    return np.log((gap + glance.GAP_LEAST) / glance.GAP_UNIT).astype(np.float32)


def _rolled(seen: View, joints: NDArray, roll: float) -> tuple[View, NDArray]:
    """As a camera would see it that is turned about its axis."""
    turn, middle = glance.turn_about_sight(roll), np.array(seen.size) / 2
    hand, face = ((points - middle) @ turn[:2, :2].T + middle for points in (seen.hand, seen.face))
    return replace(seen, hand=hand, face=face, world=seen.world @ turn.T), joints @ turn.T


def _cropped(crop: NDArray[np.uint8], stored: Region, region: Region, roll: float, seen: View
             ) -> tuple[NDArray[np.uint8], NDArray, NDArray]:  # fmt: skip
    """A turned part of the stored crop, CROP wide, and where in it hand and face are."""
    turn, middle = glance.turn_about_sight(roll)[:2, :2], np.array(seen.size) / 2
    centre = (region.center - middle) @ turn.T + middle  # in the turned picture
    scale = CROP / region.side
    # from pixels of the new crop: to the turned picture, to the picture, to the stored crop
    back = turn.T / scale
    corner = centre - region.side / 2
    origin = turn.T @ (corner - middle) + middle
    fine = STORED / (WIDER * stored.side)
    low = stored.center - WIDER * stored.side / 2
    matrix = np.c_[back * fine, (origin - low) * fine]
    picture = cv2.warpAffine(crop, matrix, (CROP, CROP), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    return picture, (seen.hand - corner) * scale, (seen.face - corner) * scale


def _changed(picture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
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
        strength = rng.uniform(1, 9)
        picture = np.clip(picture + strength * _grain(rng), 0, 255).astype(np.uint8)
    if rng.random() < 0.2:
        size = rng.integers(12, 60, 2)
        at = rng.integers(0, CROP - size)
        picture[at[1] : at[1] + size[1], at[0] : at[0] + size[0]] = rng.integers(0, 256, 3)
    return picture


_NOISE = np.random.default_rng(0).normal(size=(2 * CROP, 2 * CROP, 3)).astype(np.float32)


def _grain(rng: np.random.Generator) -> NDArray[np.float32]:
    x, y = rng.integers(0, CROP, 2)
    return _NOISE[y : y + CROP, x : x + CROP]


def batches(rows: Rows, size: int, seed: int | None, folder: Path | None = None, seeing: bool = True
            ) -> Iterator[Batch]:  # fmt: skip
    """Without a seed every row once, as it is; with one, endlessly and changed. Made in another thread.

    With a folder, each round starts with a look for rows that were made in the meantime.
    """
    queue: Queue[Batch | None] = Queue(4)

    def fill(rows: Rows) -> None:
        rng = None if seed is None else np.random.default_rng(seed)
        while True:
            if folder is not None:
                rows = load(folder, "train", rows)
            order = np.arange(len(rows)) if rng is None else rng.permutation(len(rows))
            ends = len(order) if rng is None else len(order) - size + 1
            for start in range(0, ends, size):
                chosen = [sample(rows, int(index), rng, seeing) for index in order[start : start + size]]
                queue.put({key: np.stack([one[key] for one in chosen]) for key in chosen[0]})
            if rng is None:
                break

    def guarded() -> None:
        try:
            fill(rows)
        finally:  # a failure must end the run
            queue.put(None)

    Thread(target=guarded, daemon=True).start()
    while (batch := queue.get()) is not None:
        yield batch
