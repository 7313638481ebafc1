# SPDX-License-Identifier: GPL-3.0-or-later
"""What the network says of pictures by another renderer, and of photographs:
`python -m tools.learn.check out/benchmark/tune [--photos FOLDER]...`.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from dice_core.body.openbody import EYEBALL, head_model
from dice_core.fit import glance
from dice_core.fit.glance import BONES, Glance, look, unit_joints
from dice_core.landmarks.litert import HandLandmarks, Landmarker
from dice_core.landmarks.people import assign_sides, find_people
from dice_core.media.decode import read_picture
from dice_core.paths import models_dir, runtime_dir
from dice_core.result.store import load
from dice_core.types import Capture

from .labels import touching_parts
from .train import auc

ASIDE = 0.3  # share of the cases that may be called unsure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--weights", type=Path, default=glance.ASSET)
    parser.add_argument("--photos", type=Path, action="append", default=[], help="folders of pictures to tell about")
    options = parser.parse_args()
    glance.ASSET = options.weights
    landmarker = Landmarker(models_dir(runtime_dir()), threads=1)
    if options.folder:
        benchmark(options.folder, landmarker)
    for folder in options.photos:
        for path in sorted(p for p in folder.iterdir() if p.suffix in (".png", ".jpg")):
            photo(path, landmarker)


def photo(path: Path, landmarker: Landmarker) -> None:
    """Tell about each hand of a picture."""
    frame = read_picture(path)
    face, hands = find_people(landmarker, frame)
    print(f"{path.parent.name}/{path.name}: {'no face' if face is None else ''} {len(hands)} hands")
    for hand in assign_sides(hands, face, "auto") if face is not None else []:
        start = time.perf_counter()
        said = look(frame.size, hand, face, frame.focal)
        parts = " ".join(f"{name} {value:.2f}" for name, value in zip(glance.PARTS, said.parts, strict=True))
        size = float(np.ptp(hand.points, axis=0).max())
        print(
            f"  {hand.side}: touch {said.touch:.2f}, depth {said.depth_ratio:+.3f} +- {said.depth_sigma:.3f}, {parts}; "
            f"points moved by {100 * np.linalg.norm(said.points - hand.points, axis=1).mean() / size:.1f} %, sure to "
            f"{100 * said.points_sigma.mean() / size:.1f} % ({1000 * (time.perf_counter() - start):.0f} ms)"
        )


def benchmark(folder: Path, landmarker: Landmarker) -> None:
    """Figures over the cases of a folder whose truth is known."""
    rows: list[dict] = []
    names, missing = [], []
    for path in sorted(folder.glob("*.jpg")):
        truth, frame = load(path.with_suffix(".npz")), read_picture(path)
        if not truth.hands or truth.head is None:
            continue
        face, hands = find_people(landmarker, frame)
        hand = _nearest(hands, truth)
        if face is None or hand is None:
            missing.append(path.stem)
            continue
        names.append(path.stem)
        rows.append(_row(look(frame.size, hand, face, frame.focal), hand, truth))
    print(f"{len(names)} cases; not found: {' '.join(missing) or 'none'}")
    _tell({key: np.array([row[key] for row in rows]) for key in rows[0]}, names)


def _nearest(hands: list[HandLandmarks], truth: Capture) -> HandLandmarks | None:
    """The hand that was found where the true one is."""
    joints = truth.camera.project(truth.hands[0].joints)
    size = np.ptp(joints, axis=0).max()
    near = [(float(np.linalg.norm(hand.points - joints, axis=1).mean() / size), hand) for hand in hands]
    best = min(near, key=lambda pair: pair[0], default=(9.0, None))
    return best[1] if best[0] < 0.5 else None


def _row(said: Glance, hand: HandLandmarks, truth: Capture) -> dict[str, NDArray | float | bool]:
    """The answers beside the truth."""
    true = truth.hands[0]
    assert truth.head is not None
    eyes = truth.head.vertices[head_model().part == EYEBALL, 2].mean()
    depth = float(np.log(true.joints[[0, 9], 2].mean() / eyes))
    joints, first, second = true.joints.astype(float), *np.transpose(BONES)
    unit = 1000 * np.linalg.norm(joints[first] - joints[second], axis=1).mean()
    wanted, plain = unit_joints(joints), unit_joints(hand.world)
    pixels = truth.camera.project(true.joints)
    off, size = said.points - pixels, np.ptp(pixels, axis=0).max()
    return {
        "touch": truth.contact_state == "touch", "said": said.touch, "gap": truth.quality.get("gap_mm", 0.0),
        "depth": depth, "depth_said": said.depth_ratio, "sigma": said.depth_sigma,
        "parts": touching_parts(true.contact > 0.5), "parts_said": said.parts,
        "joints": unit * np.linalg.norm(said.joints - wanted, axis=1).mean(),
        "plain": unit * np.linalg.norm(plain - wanted, axis=1).mean(),
        "turn": _turn(said.joints, wanted), "plain_turn": _turn(plain, wanted),
        "aligned": unit * _aligned(said.joints, wanted), "plain_aligned": unit * _aligned(plain, wanted),
        "points": 100 * np.linalg.norm(off, axis=1).mean() / size,
        "plain_points": 100 * np.linalg.norm(hand.points - pixels, axis=1).mean() / size,
        "point_z": float(np.sqrt(((off / said.points_sigma[:, None]) ** 2).mean())),
        "joint_z": float(np.sqrt((((said.joints - wanted) / said.joints_sigma[:, None])[1:] ** 2).mean())),
    }  # fmt: skip


def _turn(said: NDArray, wanted: NDArray) -> float:
    """Degrees between the palms."""
    palm = [0, 1, 5, 9, 13, 17]
    a, b = (points[palm] - points[palm].mean(0) for points in (said, wanted))
    return float(np.degrees(Rotation.align_vectors(a, b)[0].magnitude()))


def _aligned(said: NDArray, wanted: NDArray) -> float:
    """Mean distance after the best turn, shift and scale."""
    a, b = said - said.mean(0), wanted - wanted.mean(0)
    u, s, vt = np.linalg.svd(a.T @ b)
    sign = np.diag([1, 1, np.linalg.det(u @ vt)])
    scale = (s * np.diag(sign)).sum() / (a**2).sum()
    return float(np.linalg.norm(scale * a @ u @ sign @ vt - b, axis=1).mean())


def balanced(said: NDArray, touch: NDArray) -> tuple[float, float, float, float]:
    """The best band (low, high) of chances to call unsure, at most ASIDE of all: accuracy outside, band, share."""
    best = (0.0, 0.0, 0.0, 0.0)
    cuts = np.unique(np.r_[0.0, said, 1.0])
    for low in cuts:
        for high in cuts[cuts >= low]:
            unsure = (said >= low) & (said < high)
            if unsure.mean() > ASIDE:
                break
            yes, no = touch & ~unsure, ~touch & ~unsure
            if yes.any() and no.any():
                score = ((said[yes] >= high).mean() + (said[no] < low).mean()) / 2 if high > low else (
                    (said[yes] >= low).mean() + (said[no] < low).mean()) / 2  # fmt: skip
                best = max(best, (float(score), float(low), float(high), float(unsure.mean())))
    return best


def _tell(rows: dict[str, NDArray], names: list[str]) -> None:
    touch, said = rows["touch"], rows["said"]
    print(
        f"touch: {touch.sum()} of {len(touch)}; AUC {auc(said, touch):.3f}; at 0.5 balanced "
        f"{((said[touch] > 0.5).mean() + (said[~touch] <= 0.5).mean()) / 2:.3f}; without a band and with: "
        f"{_best_cut(said, touch):.3f} {np.round(balanced(said, touch), 3).tolist()}"
    )
    for low, high in ((0, 20), (20, 45), (45, 90), (90, 900)):
        some = touch | ((rows["gap"] >= low) & (rows["gap"] < high))
        if (some & ~touch).any():
            print(f"  against {low}-{high} mm: AUC {auc(said[some], touch[some]):.3f} of {(some & ~touch).sum()}")
    off = np.abs(rows["depth"] - rows["depth_said"])
    plain = np.abs(rows["depth"] - np.median(rows["depth"]))
    for name, some in (("touching", touch), ("away", ~touch)):
        print(
            f"depth {name}: mean {off[some].mean():.3f} median {np.median(off[some]):.3f}; constant "
            f"{plain[some].mean():.3f}; rms in sigmas {np.sqrt(((off / rows['sigma'])[some] ** 2).mean()):.2f}"
        )
    wanted, chance = rows["parts"][touch], rows["parts_said"][touch]
    good = 2 * ((chance > 0.5) & wanted).sum() / max(((chance > 0.5).sum() + wanted.sum()), 1)
    print(
        f"parts: F1 {good:.3f}; best named touches {wanted[np.arange(len(wanted)), chance.argmax(1)].mean():.3f}; "
        f"always the commonest {wanted.mean(0).max():.3f}"
    )
    for key, unit in (("joints", "mm"), ("aligned", "mm"), ("turn", "deg"), ("points", "%")):
        old = rows["plain" if key == "joints" else f"plain_{key}"]
        print(
            f"{key}: detector {old.mean():.1f}/{np.median(old):.1f} -> "
            f"{rows[key].mean():.1f}/{np.median(rows[key]):.1f} {unit}, better in {(rows[key] < old).mean():.2f}"
        )
    print(f"in sigmas, medians: joints {np.median(rows['joint_z']):.2f}, points {np.median(rows['point_z']):.2f}")
    for at in np.argsort(-said):
        print(
            f"    {said[at]:.2f} {'touch' if touch[at] else 'apart'} {names[at]} depth {rows['depth'][at]:+.3f} "
            f"said {rows['depth_said'][at]:+.3f} +- {rows['sigma'][at]:.3f} points {rows['plain_points'][at]:.1f} -> "
            f"{rows['points'][at]:.1f} %"
        )


def _best_cut(said: NDArray, touch: NDArray) -> float:
    return max(((said[touch] >= cut).mean() + (said[~touch] < cut).mean()) / 2 for cut in np.r_[said, 1.1])


if __name__ == "__main__":
    main()
