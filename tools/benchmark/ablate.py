# SPDX-License-Identifier: GPL-3.0-or-later
"""What limits the engine: feed the truth into one stage after another: `python -m tools.benchmark.ablate FOLDER`.

FOLDER is a half of the benchmark. Prints a table for docs/accuracy.md and writes out/ablation.json. Everything runs
through the engine itself; only what it is told is exchanged.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from dice_core.body.openbody import hand_model, head_model  # noqa: E402
from dice_core.engines import open as engine_module  # noqa: E402
from dice_core.engines.open import OpenEngine  # noqa: E402
from dice_core.errors import DiceError, NothingFound  # noqa: E402
from dice_core.evaluate.comparison import Case, compare  # noqa: E402
from dice_core.evaluate.summary import summarise  # noqa: E402
from dice_core.files import atomic  # noqa: E402
from dice_core.fit.glance import Glance, look, unit_joints  # noqa: E402
from dice_core.fit.head import HeadFit, face_width, fit_head  # noqa: E402
from dice_core.interaction.deform import deformation  # noqa: E402
from dice_core.interaction.distance import Surface  # noqa: E402
from dice_core.interaction.sheet import flesh_of  # noqa: E402
from dice_core.landmarks.litert import FaceLandmarks, HandLandmarks  # noqa: E402
from dice_core.media.decode import read_picture  # noqa: E402
from dice_core.paths import ROOT, models_dir, runtime_dir  # noqa: E402
from dice_core.result.store import load  # noqa: E402
from dice_core.types import Capture, Frame, silent  # noqa: E402
from tools.calibrate_hand import bone_rotations  # noqa: E402

from .figures import head_surface  # noqa: E402

COLUMNS = ("hand_rel_head_mm", "pa_mpvpe_head_mm", "pa_mpvpe_hand_mm", "contact_f1_12mm_head", "contact_f1_12mm_hand",
           "deformation_error_ratio")  # fmt: skip
ROWS = {
    "as it is": (), "focal length": ("focal",), "head and focal length": ("focal", "head"), "side": ("side",),
    "that it touches": ("touch",), "side, hand's joints in the picture": ("side", "points"),
    "side, hand's joints in space": ("side", "world"), "side, both": ("side", "points", "world"),
    "side, both, that it touches": ("side", "points", "world", "touch"),
    "side, both, that it touches, head and focal length": ("side", "points", "world", "touch", "focal", "head"),
}  # fmt: skip
SURE = 0.005  # deviation of true joints, of the hand's size


@dataclass
class Told:
    """The detector, with some of the truth in what it says."""

    engine: OpenEngine
    truth: Capture
    frame: Frame
    parts: tuple[str, ...]

    def faces(self, pixels: NDArray[np.uint8], everywhere: bool = False) -> list[FaceLandmarks]:
        return DETECTOR.faces(pixels, everywhere)

    def hands(self, pixels: NDArray[np.uint8], near: NDArray | None = None) -> list[HandLandmarks]:
        found = DETECTOR.hands(pixels, near)
        if not self.truth.hands or not found:
            return found
        marks = true_landmarks(self.truth)
        points = self.truth.camera.project(marks) / self.frame.scale
        hand = min(found, key=lambda one: np.linalg.norm(one.points - points, axis=1).mean())
        told = {"points": points, "world": marks - marks.mean(0)}
        changed = replace(hand, **{part: told[part] for part in self.parts if part in told})
        if "side" in self.parts:
            changed = replace(changed, side=self.truth.hands[0].side, side_score=1.0)
        return [changed]


def told_look(truth: Capture, parts: tuple[str, ...]) -> Callable[..., Glance]:
    """Stands in for `look`: the second look, with some of the truth in what it says."""
    joints = truth.hands[0].joints.astype(float)
    pixels = truth.camera.project(joints)
    told = {"touch": {"touch": 1.0},
            "points": {"points": pixels, "points_sigma": np.full(21, SURE * np.ptp(pixels, axis=0).max())},
            "world": {"joints": unit_joints(joints), "joints_sigma": np.full(21, SURE)}}  # fmt: skip

    def tell(*given: Any) -> Glance:
        known = {key: value for part in parts if part in told for key, value in told[part].items()}
        return replace(look(*given), **known)

    return tell


def true_landmarks(truth: Capture) -> NDArray:
    """(21, 3) where a perfect detector would see the joints of the true hand."""
    hand = truth.hands[0]
    model = hand_model(hand.side)
    rotations = bone_rotations(hand.side, truth.params[f"hand_{hand.side}_parameters"])[model.keypoints_bones]
    offset = model.landmarks - model.keypoints_rest
    return hand.joints.astype(float) + np.einsum("nij,nj->ni", rotations, offset)


def true_head(truth: Capture) -> Callable[..., HeadFit]:
    """Stands in for `fit_head`."""
    assert truth.head is not None
    vertices = truth.head.vertices.astype(float)

    def fit(model: object, points: NDArray, *_: object) -> HeadFit:
        nothing = np.zeros(0)
        return HeadFit(vertices, np.zeros(3), np.zeros(3), nothing, nothing, np.zeros(478), face_width(points))

    return fit


def capture(engine: OpenEngine, truth: Capture, picture: Path, parts: tuple[str, ...]) -> Capture | None:
    frame = read_picture(picture)
    if "focal" in parts and truth.camera.matrix is not None:
        frame = replace(frame, focal=float(truth.camera.matrix[0, 0]))
    engine.landmarker = Told(engine, truth, frame, parts)  # type: ignore[assignment]
    fit = true_head(truth) if "head" in parts else fit_head
    try:
        with mock.patch.multiple(engine_module, fit_head=fit, look=told_look(truth, parts)):
            return engine.capture(frame, "auto", silent)
    except NothingFound:
        return None


def solver_alone(truth: Capture) -> Capture:
    """The truth, its deformation made by the engine's solver from the true hand and head."""
    assert truth.head is not None
    vertices = truth.head.vertices.astype(float)
    hands = [Surface(hand.vertices.astype(float), hand_model(hand.side).faces, hand_model(hand.side).wrist_rim)
             for hand in truth.hands]  # fmt: skip
    moved = deformation(flesh_of(head_model()), vertices, head_surface(vertices), hands)
    return replace(truth, head=replace(truth.head, deformation=moved))


def row(name: str, cases: list[Case]) -> dict[str, float | None]:
    values = summarise(cases).values
    shown = [f"{values[key]:.2f}" if values.get(key) is not None else "-" for key in COLUMNS]
    print(f"| {name} | {' | '.join(shown)} |", flush=True)
    return {key: values.get(key) for key in COLUMNS}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    truths = {path.stem: load(path) for path in sorted(folder.glob("*.npz")) if path.with_suffix(".jpg").is_file()}
    truths = {name: truth for name, truth in truths.items() if truth.contact_state == "touch"}
    if not truths:
        raise DiceError(f"{folder} holds no picture in which a hand touches.", "Run `python -m tools.make_benchmark`.")
    engine = OpenEngine(models_dir(runtime_dir()))
    global DETECTOR
    DETECTOR = engine.landmarker
    print(f"| {len(truths)} touching pictures | {' | '.join(COLUMNS)} |\n|{'---|' * (len(COLUMNS) + 1)}")
    table = {
        name: row(name, [compare(case, capture(engine, truth, folder / f"{case}.jpg", parts), truth)
                         for case, truth in truths.items()])
        for name, parts in ROWS.items()
    }  # fmt: skip
    name = "true hand and head: the deformation alone"
    table[name] = row(name, [compare(case, solver_alone(truth), truth) for case, truth in truths.items()])
    with atomic(ROOT / "out" / "ablation.json") as temporary:
        temporary.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
