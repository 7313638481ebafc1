# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the detector sees the joints of the open hand: writes dice_core/body/assets/hand_landmarks.npz.

    python -m tools.calibrate_hand [FOLDER]        # out/benchmark/tune, see tools/make_benchmark.py; a minute

The detector's 21 points are not where the hand model's joints are: its wrist lies in the heel of the hand, its
knuckles nearer to the fingertips. For pictures whose truth is known, each point's offset is taken in the frame of the
bone that carries it, and the offset that suits all pictures best is kept (least squares with Cauchy's weights).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from dice_core.body.openbody import ASSETS, POSE, hand_model  # noqa: E402
from dice_core.body.skinning import forward_kinematics, rotation_matrices  # noqa: E402
from dice_core.landmarks.litert import Landmarker  # noqa: E402
from dice_core.media.decode import read_picture  # noqa: E402
from dice_core.paths import ROOT, models_dir, runtime_dir  # noqa: E402
from dice_core.result.store import load  # noqa: E402
from dice_core.types import Capture  # noqa: E402

MISTAKEN = 0.15  # of the hand's size: a mean error from which on the detector saw something else
NOISE, RIDGE, ROUNDS = 0.05, 0.03, 10  # of the hand's size; weight of no offset; of reweighting
PALM = 0.102  # metres from the wrist to the middle knuckle of the usual hand, in whose units offsets are found


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "out" / "benchmark" / "tune"
    landmarker = Landmarker(models_dir(runtime_dir()))
    seen = [one for path in sorted(folder.glob("*.npz")) if (one := observed(path, landmarker)) is not None]
    effects, offsets = (np.stack(values) for values in zip(*seen, strict=True))
    found = np.stack([fitted(effects[:, joint], offsets[:, joint]) for joint in range(21)])
    left = offsets - np.einsum("nija,ia->nij", effects, found)
    before, after = (100 * np.median(np.linalg.norm(error, axis=2)) for error in (offsets, left))
    print(f"{len(seen)} hands: median error {before:.1f} % of the hand's size before, {after:.1f} % after")
    np.savez(ASSETS / "hand_landmarks.npz", offset=(PALM * found).astype(np.float32))


def observed(path: Path, landmarker: Landmarker) -> tuple[NDArray, NDArray] | None:
    """(21, 2, 3) what an offset of one palm length does in the picture, and (21, 2) where the points are, both in units
    of the hand's size; None where no hand was seen."""
    truth, frame = load(path), read_picture(path.with_suffix(".jpg"))
    found = landmarker.hands(frame.pixels) if truth.hands else []
    if not found:
        return None
    joints = truth.hands[0].joints.astype(float)
    pixels = truth.camera.project(joints)
    size = np.ptp(pixels, axis=0).max()
    distances = [frame.scale * one.points - pixels for one in found]
    offsets = min(distances, key=lambda off: np.linalg.norm(off, axis=1).mean())
    if np.linalg.norm(offsets, axis=1).mean() > MISTAKEN * size:
        return None
    return effect(truth, joints) / size, offsets / size


def effect(truth: Capture, joints: NDArray) -> NDArray:
    """(21, 2, 3) pixels by palm lengths in the frames of the bones at rest, of a right hand."""
    hand, camera = truth.hands[0], truth.camera.matrix
    assert camera is not None
    model = hand_model(hand.side)
    turned = bone_rotations(hand.side, truth.params[f"hand_{hand.side}_parameters"])[model.keypoints_bones]
    screen = np.zeros((21, 2, 3))
    screen[:, 0, 0] = screen[:, 1, 1] = 1
    screen[:, :, 2] = -joints[:, :2] / joints[:, 2:]
    screen *= (float(camera[0, 0]) / joints[:, 2])[:, None, None]
    mirror = np.diag([1.0 if hand.side == "right" else -1.0, 1, 1])
    return np.linalg.norm(joints[9] - joints[0]) * screen @ turned @ mirror


def bone_rotations(side: str, parameters: NDArray) -> NDArray:
    """(B, 3, 3) global rotations of a hand's bones."""
    model = hand_model("right" if side == "right" else "left")
    local = np.broadcast_to(np.eye(3), (1, len(model.parents), 3, 3)).copy()
    local[:, 0] = rotation_matrices(parameters[None, :3].astype(float))
    angles = parameters[POSE].astype(float).reshape(15, 3)
    local[:, model.fingers] = rotation_matrices(np.einsum("jk,jkd->jd", angles, model.axes))
    return forward_kinematics(local, model.joints[None], model.parents)[0][0]


def fitted(effects: NDArray, offsets: NDArray) -> NDArray:
    """(3,) the offset that suits (n, 2, 3) effects and (n, 2) offsets best."""
    found = np.zeros(3)
    for _ in range(ROUNDS):
        left = offsets - effects @ found
        weight = 1 / (1 + (np.linalg.norm(left, axis=1) / NOISE) ** 2)
        normal = np.einsum("n,nij,nik->jk", weight, effects, effects) + RIDGE * np.eye(3)
        found = np.linalg.solve(normal, np.einsum("n,nij,ni->j", weight, effects, offsets))
    return found


if __name__ == "__main__":
    main()
