# SPDX-License-Identifier: GPL-3.0-or-later
"""Poses of all frames to one smooth movement. What is not smooth is kept, so this can be done again."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ..body.openbody import POSE as ANGLES
from ..fit.head import POSE
from ..result.smooth import held, smooth, smooth_rotations
from ..types import SIDES
from .folder import Arrays

# Hz of what stands still, at the middle of the slider and twice as much or half at a step of STEP; and how fast it
# rises with speed, per metre, radian or whole expression in a second.
CUTOFF = {"place": 2.0, "depth": 1.0, "turn": 2.0, "expression": 3.0, "pose": 2.5, "contact": 4.0}
BETA = {"place": 12.0, "depth": 4.0, "turn": 2.0, "expression": 2.0, "pose": 1.5, "contact": 0.0}
MIDDLE, STEP = 0.5, 0.25


def cutoffs(smoothing: float) -> dict[str, float]:
    """Hz for each kind, at a strength 0..1; infinite at 0: nothing is smoothed."""
    if smoothing <= 0:
        return dict.fromkeys(CUTOFF, math.inf)
    return {kind: cutoff * 2 ** ((MIDDLE - smoothing) / STEP) for kind, cutoff in CUTOFF.items()}


def moved(times: NDArray, fits: Arrays, decisions: Arrays, placed: Arrays, smoothing: float) -> Arrays:
    """All frames' poses, smooth.

    Parameters
    ----------
    times
        (N,) seconds.
    fits, decisions, placed
        `head_pose` and each side's `parameters` of `open_fit`, `touching` and `probability`, and `parameters` of
        `open_touch`, of all frames.
    smoothing
        0..1.

    Returns
    -------
    `head_pose`, `head_seen`; of each side `parameters`, `seen`, `probability`, and `weight` 0..1, by which the contact
    counts. What was never seen is zero.
    """
    limits = cutoffs(smoothing)
    seen = np.isfinite(fits["head_pose"][:, 0])
    raw = np.nan_to_num(fits["head_pose"])[held(seen)]
    head = _head(times, raw, seen, limits)
    found = {"head_pose": head, "head_seen": seen}
    for side in SIDES:
        there = np.isfinite(fits[f"{side}_parameters"][:, 0])
        parameters = _corrected(times, fits[f"{side}_parameters"], placed[f"{side}_parameters"])
        touching = decisions[f"{side}_touching"]
        weight = smooth(times, touching[:, None].astype(float), np.ones_like(touching), limits["contact"], 0.0)[:, 0]
        found |= {
            f"{side}_parameters": _hand(times, parameters, there, raw, head, limits),
            f"{side}_seen": there,
            f"{side}_probability": decisions[f"{side}_probability"],
            f"{side}_weight": np.clip(weight, 0, 1),
        }
    return found


def _head(times: NDArray, raw: NDArray, seen: NDArray, limits: dict[str, float]) -> NDArray:
    """(N, POSE + E). The place in the picture and the distance are smoothed apart: the distance is less certain."""
    if not seen.any():
        return raw
    depth = smooth(times, np.log(np.maximum(raw[:, 5:6], 1e-3)), seen, limits["depth"], BETA["depth"])
    ray = smooth(times, raw[:, 3:5] / np.maximum(raw[:, 5:6], 1e-3), seen, limits["place"], BETA["place"])
    turn = smooth_rotations(times, raw[:, :3], seen, limits["turn"], BETA["turn"])
    expression = smooth(times, raw[:, POSE:], seen, limits["expression"], BETA["expression"], together=False)
    return np.hstack([turn, ray * np.exp(depth), np.exp(depth), np.clip(expression, 0, 1)])


def _corrected(times: NDArray, free: NDArray, placed: NDArray) -> NDArray:
    """(N, HAND_PARAMETERS) the hand on the skin where it touches. What that told of its distance holds for the frames
    around, too: a hand does not jump when it lets go."""
    touching = np.isfinite(placed[:, 0])
    parameters = np.where(touching[:, None], placed, free)
    if touching.any():
        farther = np.log(placed[touching, 5] / free[touching, 5])
        ratio = np.exp(np.interp(times, times[touching], farther))
        parameters[~touching, 3:6] *= ratio[~touching, None]
    return parameters


def _hand(times: NDArray, parameters: NDArray, seen: NDArray, raw: NDArray, head: NDArray, limits: dict[str, float]
          ) -> NDArray:  # fmt: skip
    """Turned as the head sees it, as far away as in proportion to the head: what touches stays where it touches."""
    parameters = np.nan_to_num(parameters)[held(seen)]
    if not seen.any():
        return parameters
    before, after = Rotation.from_rotvec(raw[:, :3]), Rotation.from_rotvec(head[:, :3])
    turn = (before.inv() * Rotation.from_rotvec(parameters[:, :3])).as_rotvec()
    turn = smooth_rotations(times, turn, seen, limits["turn"], BETA["turn"])
    distant = np.maximum(parameters[:, 5:6], 1e-3)
    ray = smooth(times, parameters[:, 3:5] / distant, seen, limits["place"], BETA["place"])
    there = raw[0, 5] > 0  # a head
    ratio = np.log(distant / raw[:, 5:6]) if there else np.log(distant)
    depth = np.exp(smooth(times, ratio, seen, limits["depth"], BETA["depth"])) * (head[:, 5:6] if there else 1.0)
    pose = smooth(times, parameters[:, ANGLES], seen, limits["pose"], BETA["pose"], together=False)
    smoothed = parameters.copy()
    smoothed[:, :3] = (after * Rotation.from_rotvec(turn)).as_rotvec()
    smoothed[:, 3:6] = np.hstack([ray * depth, depth])
    smoothed[:, ANGLES] = pose
    return smoothed[held(seen)]  # where it is not seen it stays, whatever the head does
