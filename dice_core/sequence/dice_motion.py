# SPDX-License-Identifier: GPL-3.0-or-later
"""What the network said of all frames to one smooth movement. What was said is kept, so this can be done again."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ..engines.contact import TOUCHES
from ..result.smooth import continuous, smooth, smooth_rotations
from ..types import SIDES, Camera, HandChoice, Side
from .dice_answers import LIFTED
from .folder import Arrays
from .open_motion import BETA, MIDDLE, cutoffs
from .open_touch import intervals

WHOLE = 5.0  # standard deviations of FLAME's expressions that make as much of a face as one of ARKit's actions


def presences(times: NDArray, fits: Arrays, present: Arrays, smoothing: float) -> dict[Side, NDArray]:
    """(N,) the probability that each side's hand touches, 0 where it is not seen."""
    found: dict[Side, NDArray] = {}
    for side in SIDES:
        seen = present[f"{side}_hand"]
        said = np.nan_to_num(fits[f"{side}_presence"])[:, None]
        smoothed = smooth(times, said, seen, cutoffs(smoothing)["contact"], BETA["contact"])[:, 0]
        found[side] = np.where(seen, np.clip(smoothed, 0, 1), 0)
    return found


def cast(times: NDArray, rows: Arrays, fits: Arrays, present: Arrays, hand: HandChoice
         ) -> tuple[list[Side], list[Side]]:  # fmt: skip
    """The sides of the hands that the result holds, and those whose answers it needs: first that of the head.

    For `auto` the hands that touch in any frame, at whatever strength they are smoothed, or else the one that is
    nearest to the face.
    """
    sides: list[Side] = [side for side in SIDES if present[f"{side}_hand"].any()]
    if hand == "auto" and len(sides) > 1:
        said = presences(times, fits, present, MIDDLE)
        touching = [side for side in sides if (said[side] > TOUCHES).any()]
        sides = touching or [min(sides, key=lambda side: np.median(
            rows[f"{side}_distance"][present[f"{side}_hand"]]))]  # fmt: skip
    others: list[Side] = [side for side in SIDES if side not in sides]
    lead = max([*sides, *others], key=lambda side: present[f"{side}_head"].sum())
    return sides, [lead, *(side for side in sides if side != lead)]


def moved(times: NDArray, fits: Arrays, present: Arrays, sides: list[Side], smoothing: float, camera: Camera) -> Arrays:
    """The smooth movement of some sides' answers, held where there are none.

    Parameters
    ----------
    times
        (N,) seconds.
    fits
        Of all frames, see `dice_answers.lifted`.
    present
        See `dice_person.there`.
    smoothing
        0..1.
    camera
        The pictures'.

    Returns
    -------
    Of each side the poses that `lifted` gives; `head` and `hand` (N,), when they count; `presence` (N,), 0 where the
    hand does not; `touch` (N,), the number of the touch that a frame is part of, -1 of none; `rise` (N,) 0..1, how far
    a touch has come about.
    """
    limits = cutoffs(smoothing)
    probability = presences(times, fits, present, smoothing)
    rate = 1 / (times[1] - times[0]) if len(times) > 1 else 1.0
    found: Arrays = {}
    for side in sides:
        raw = {name: np.nan_to_num(fits[f"{side}_{name}"]) for name in LIFTED}
        head, hand = present[f"{side}_head"], present[f"{side}_hand"]
        touch = _numbered(probability[side] > TOUCHES)
        one = _head(times, raw, head, limits, camera) | _hand(times, raw, hand, limits)
        one |= {"head": head, "hand": hand, "presence": probability[side], "touch": touch,
                "rise": _rise(touch, 2 * math.pi * limits["contact"] / rate)}  # fmt: skip
        found |= {f"{side}_{name}": values for name, values in one.items()}
    return found


def _head(times: NDArray, raw: Arrays, seen: NDArray, limits: dict[str, float], camera: Camera) -> Arrays:
    """As in `open_motion`, the place in the picture and the distance apart."""
    assert camera.matrix is not None
    focal, centre = camera.matrix[0, 0], camera.matrix[:2, 2]
    nearness = np.log(np.maximum(raw["scale"], 1))[:, None]
    nearness = smooth(times, nearness, seen, limits["depth"], BETA["depth"])
    ray = smooth(times, (raw["shift"] - centre) / focal, seen, limits["place"], BETA["place"])
    return {
        "turn": smooth_rotations(times, raw["turn"], seen, limits["turn"], BETA["turn"]),
        "scale": np.exp(nearness[:, 0]),
        "shift": ray * focal + centre,
        "jaw": smooth_rotations(times, raw["jaw"], seen, limits["expression"], BETA["turn"]),
        "expression": smooth(times, raw["expression"], seen, limits["expression"], BETA["expression"] / WHOLE),
    }


def _hand(times: NDArray, raw: Arrays, seen: NDArray, limits: dict[str, float]) -> Arrays:
    return {
        "hand_turn": smooth_rotations(times, raw["hand_turn"], seen, limits["turn"], BETA["turn"]),
        "wrist": smooth(times, raw["wrist"], seen, limits["place"], BETA["place"]),
        "pose": _smooth_joints(times, raw["pose"], seen, limits["pose"]),
    }


def _smooth_joints(times: NDArray, vectors: NDArray, seen: NDArray, cutoff: float) -> NDArray:
    """(N, 3 J) rotation vectors, as quaternions that are one thing together."""
    count, joints = len(vectors), vectors.shape[1] // 3
    quaternions = np.zeros((joints, count, 4))
    quaternions[..., 3] = 1
    for joint in range(joints):
        quaternions[joint, seen] = continuous(Rotation.from_rotvec(vectors[seen, 3 * joint : 3 * joint + 3]).as_quat())
    together = quaternions.swapaxes(0, 1).reshape(count, -1)
    smoothed = smooth(times, together, seen, cutoff, 2 * BETA["pose"])  # a quaternion turns half as fast
    return Rotation.from_quat(smoothed.reshape(-1, 4)).as_rotvec().reshape(count, -1)


def _numbered(touching: NDArray) -> NDArray[np.int64]:
    numbers = np.full(len(touching), -1)
    for number, run in enumerate(intervals(touching)):
        numbers[run] = number
    return numbers


def _rise(touch: NDArray, share: float) -> NDArray:
    """(N,) 0 without touch, 1 well within one, and `share` of the way more with every frame from its ends; a touch that
    goes on beyond the clip has no end there."""
    rise = np.zeros(len(touch))
    for run in intervals(touch >= 0):
        inside = np.arange(len(run)) + 0.5
        since = np.full(len(run), np.inf) if run[0] == 0 else inside
        until = np.full(len(run), np.inf) if run[-1] == len(touch) - 1 else inside[::-1]
        rise[run] = np.clip(share * np.minimum(since, until), 0, 1)
    return rise
