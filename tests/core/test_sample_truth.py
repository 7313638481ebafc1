# SPDX-License-Identifier: GPL-3.0-or-later
"""The bundled sample is a render, so the person in it is known exactly: how near does the open engine come?

The truth (tools/make_sample.py) was posed, laid on and pressed in by other code than the engine's. It holds the head
without and the dent with the hand, both in the order of the open head's vertices, in the true camera's space.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from dice_core.body.openbody import SKIN, head_model
from dice_core.types import Capture

TRUTH = Path(__file__).parents[1] / "data" / "sample_truth.npz"


@pytest.fixture(scope="module")
def truth() -> dict[str, NDArray]:
    with np.load(TRUTH) as data:
        return {key: data[key].astype(float) for key in data.files}


@pytest.fixture(scope="module")
def face() -> NDArray[np.bool_]:
    """The skin that the camera sees."""
    head = head_model()
    return (head.part == SKIN) & (head.mean[:, 2] < -0.03) & (head.mean[:, 1] < 0.06)


def distance(first: NDArray, second: NDArray) -> float:
    """Mean distance in millimetres."""
    return 1000 * float(np.linalg.norm(first - second, axis=1).mean())


def moved_onto(points: NDArray, target: NDArray) -> NDArray:
    """`points` turned and moved, not scaled, onto `target`."""
    rotation, _ = Rotation.align_vectors(target - target.mean(0), points - points.mean(0))
    return rotation.apply(points - points.mean(0)) + target.mean(0)


def test_the_face(sample_capture: Capture, truth: dict[str, NDArray], face: NDArray) -> None:
    found, true = sample_capture.head.vertices[face], truth["head"][face]
    assert distance(moved_onto(found, true), true) < 4, "its shape"
    assert np.abs(found - true).mean(0)[:2].max() < 0.005, "across the picture"
    assert np.abs(found - true).mean(0)[2] < 0.05, "in depth, which one picture hardly tells"


def test_the_hand_on_the_face(sample_capture: Capture, truth: dict[str, NDArray], face: NDArray) -> None:
    (hand,) = sample_capture.hands
    assert hand.side == "right"
    shift = (truth["head"][face] - sample_capture.head.vertices[face]).mean(0)
    assert distance(moved_onto(hand.joints, truth["joints"]), truth["joints"]) < 12, "its pose"
    assert distance(hand.vertices + shift, truth["hand"]) < 15, "its place relative to the face"


def test_the_dent(sample_capture: Capture, truth: dict[str, NDArray]) -> None:
    found, true = sample_capture.head.deformation, truth["deformation"]
    pressed = np.linalg.norm(true, axis=1) > 0.0005
    assert distance(found[pressed], true[pressed]) < distance(0 * true[pressed], true[pressed]), "better than no dent"
    assert (found * true).sum() > 0, "inwards"
    places = head_model().mean
    centre, true_centre = (np.average(places, axis=0, weights=np.linalg.norm(u, axis=1)) for u in (found, true))
    assert np.linalg.norm(centre - true_centre) < 0.03  # measured: 27 mm


def test_it_touches(sample_capture: Capture, truth: dict[str, NDArray]) -> None:
    assert sample_capture.contact_state == "touch"
    pressed = np.linalg.norm(truth["deformation"], axis=1) > 0.001
    contact = sample_capture.head.contact
    assert contact[pressed].mean() > 10 * contact[~pressed].mean()
