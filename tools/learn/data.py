# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows that `make` kept, as the network sees them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dice_core.fit import glance
from dice_core.fit.glance import View

Rows = dict[str, NDArray]
SPOILT = 0.004  # of the hand's size, by which its points are moved at random


def load(folder: Path, half: str) -> Rows:
    """Every shard of a half, (n, ...) each."""
    parts: dict[str, list[NDArray]] = {}
    for path in sorted(folder.glob(f"{half}-[0-9]*.npz")):
        with np.load(path) as data:
            for key in data.files:
                parts.setdefault(key, []).append(data[key])
    return {key: np.concatenate(values) for key, values in parts.items()}


def row_view(rows: Rows, index: int, known: bool) -> View:
    """A row's landmarks, in a mirror if the detector took the hand for a left one; `known`: is the focal length?"""
    size = (int(rows["size"][index][0]), int(rows["size"][index][1]))
    hand, world, face = (rows[key][index].astype(float) for key in ("hand", "world", "face"))
    mirrored = not rows["side"][index]
    if mirrored:
        hand, face = np.array([size[0], 0]) + hand * [-1, 1], np.array([size[0], 0]) + face * [-1, 1]
        world = world * [-1, 1, 1]
    focal = float(rows["focal"][index]) if known else None
    scores = (float(rows["scores"][index][0]), float(rows["scores"][index][1]))
    return View(size, hand, world, face, focal, scores, rows["features"][index], bool(mirrored))


def sample(rows: Rows, index: int, known: bool) -> Rows:
    """What the network is given of one row, features aside, and what it should say."""
    seen = row_view(rows, index, known)
    joints = rows["joints"][index] * ([-1, 1, 1] if seen.mirrored else [1, 1, 1])
    turn = glance.turn_about_sight(seen.angle)
    pose = glance.unit_joints(joints @ seen.ray().T) @ turn.T
    pixels = float(rows["focal"][index]) * joints[:, :2] / joints[:, 2:] + np.array(seen.size) / 2
    return {
        "numbers": glance.numbers(seen),
        "touch": np.float32(rows["touch"][index]), "gap": _log_gap(rows["gap"][index]),
        "near": _log_gap(rows["near"][index]),
        "depth": np.float32(rows["depth"][index]), "parts": rows["parts"][index].astype(np.float32),
        "pose": (pose - glance.upright_world(seen)).astype(np.float32),
        "points": ((pixels - seen.hand) @ turn[:2, :2].T / seen.extent).astype(np.float32),
    }  # fmt: skip


def _log_gap(gap: NDArray | float) -> NDArray:
    return np.log((gap + glance.GAP_LEAST) / glance.GAP_UNIT).astype(np.float32)


def prepared(rows: Rows, both: bool) -> Rows:
    """Every row as `sample` gives it; if `both`, once with its focal length and once without, else by turns."""
    count = len(rows["touch"])
    chosen = [(index, known) for index in range(count) for known in ((True, False) if both else (index % 2 == 0,))]
    samples = [sample(rows, index, known) for index, known in chosen]
    made = {key: np.stack([one[key] for one in samples]) for key in samples[0]}
    return made | {"row": np.array([index for index, _ in chosen])}
