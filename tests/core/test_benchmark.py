# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark's people and truths: that seeds make them again, that they are true, and that the engine sees them.

tests/data/benchmark holds a few cases of the tune half as tools/make_benchmark.py made them.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dice_core.body.openbody import SKIN, hand_model, head_model
from dice_core.interaction.distance import Surface
from dice_core.result.store import load
from dice_core.types import SIDES, Capture
from tools.benchmark import check, people
from tools.benchmark.cases import GAPS, LIMITS, TOUCHES, cases
from tools.benchmark.figures import CONTACT, figures, head_surface, truth
from tools.benchmark.lay import PARTS, kind_of, part_of, target_vertices

STORED = Path(__file__).parents[1] / "data" / "benchmark"
KNOWN = {path.stem: load(path) for path in sorted(STORED.glob("*.npz"))}
TUNE = {case.name: case for case in cases("tune")}


def test_the_halves_share_no_seed_and_miss_nothing():
    tune, test = cases("tune"), cases("test")
    assert len(tune) == len(test) >= 60
    assert not {case.seed for case in tune} & {case.seed for case in test}
    touching = [case for case in test if case.touches]
    assert {case.part for case in touching} == set(PARTS)
    assert {case.region for case in touching} == set(LIMITS)
    for region in LIMITS:
        assert sum(case.region == region for case in touching) >= 2
    assert {(case.side, case.face_side) for case in touching} == {(a, b) for a in SIDES for b in SIDES}
    assert max(case.press for case in touching) == 0.012 and min(case.press for case in touching) == 0
    assert {case.gap for case in test if case.gap} == set(GAPS)
    assert sum(case.beside for case in test) >= 3 and sum(not case.part for case in test) == 1
    assert len(TOUCHES) == len(set(TOUCHES))


def test_people_are_no_fit_of_the_model():
    """Their shapes cannot be reached with the components that the engine fits."""
    model, person = head_model(), people.face(np.random.default_rng(4), 0.0)
    rest = person.vertices @ person.rotation
    basis = np.concatenate([model.identity, model.expression]).reshape(-1, rest.size)
    offset = (rest - rest.mean(0) - model.mean + model.mean.mean(0)).ravel()
    left = offset - basis.T @ np.linalg.lstsq(basis.T, offset, rcond=None)[0]
    assert 0.0003 < np.linalg.norm(left.reshape(-1, 3), axis=1).mean() < 0.002


def test_hands_are_as_large_as_peoples():
    lengths = []
    for seed in range(60):
        model = people.hand_of(np.random.default_rng(seed), SIDES[seed % 2])
        vertices, joints = model.pose(np.zeros((1, 55)))
        lengths.append(np.linalg.norm(vertices[0, model.tips[2]] - joints[0, 0]))
    assert np.mean(lengths) == pytest.approx(0.185, abs=0.006) and 0.009 < np.std(lengths) < 0.018


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("side", SIDES)
def test_parts_lie_where_their_names_say(part, side):
    """Both sides alike; finger pads beyond the last joint, the palm between wrist and knuckles."""
    model = hand_model(side)
    parameters = people.hand_pose(np.random.default_rng(1), kind_of(part))
    vertices, joints = (posed[0] for posed in model.pose(parameters[None]))
    chosen, facing = part_of(model, vertices, joints, part)
    assert len(chosen) > 10 and np.linalg.norm(facing) == pytest.approx(1)
    other, other_facing = part_of(hand_model(SIDES[side == "right"]), vertices * [-1, 1, 1], joints * [-1, 1, 1], part)
    assert np.array_equal(chosen, other) and other_facing == pytest.approx(facing * [-1, 1, 1], abs=1e-6)


@pytest.mark.parametrize("region", LIMITS)
def test_regions_lie_on_their_side(region):
    model = head_model()
    right, left = (target_vertices(side, region) for side in SIDES)
    assert (model.part[right] == SKIN).all() and len(right) >= 5
    assert model.mean[right, 0].mean() == pytest.approx(-model.mean[left, 0].mean(), abs=0.004)
    assert model.mean[right, 0].mean() < 0.004  # the person's right is the picture's left


def test_a_seed_makes_the_same_truth_again():
    case = TUNE["index-cheek"]  # it only touches: nothing to simulate
    made = next(figures(case))
    assert check.complaint(made) == ""
    again, stored = truth(made, "index-cheek.jpg"), KNOWN["index-cheek"]
    assert again.camera.matrix == pytest.approx(stored.camera.matrix)
    assert again.head.vertices == pytest.approx(stored.head.vertices, abs=1e-6)
    assert again.hands[0].vertices == pytest.approx(stored.hands[0].vertices, abs=1e-6)


def test_a_false_truth_is_refused():
    made = next(figures(TUNE["index-cheek"]))
    assert made.laid is not None
    deeper = replace(made, laid=made.laid.moved(-0.004 * made.laid.away))
    assert "penetration" in check.complaint(deeper)
    away = replace(made, laid=made.laid.moved(0.02 * made.laid.away))
    assert check.complaint(away) == "nothing touches"
    elsewhere = replace(made, case=replace(made.case, region="forehead"))
    assert "elsewhere" in check.complaint(elsewhere)
    unmoved = replace(made, case=replace(made.case, gap=0.03))
    assert "mm from the face" in check.complaint(unmoved)


@pytest.mark.parametrize("name", KNOWN)
def test_stored_truths_are_true(name):
    """Half a millimetre of penetration at most; contact where the surfaces are near, and nowhere else."""
    known = KNOWN[name]
    deformed = known.head.vertices + known.head.deformation
    for hand in known.hands:
        distance = head_surface(deformed.astype(float)).nearest(hand.vertices).distance
        assert distance.min() > -check.PENETRATION
        assert ((distance < CONTACT) == (hand.contact > 0.5)).all()
        model = hand_model(hand.side)
        near = Surface(hand.vertices.astype(float), model.faces, model.wrist_rim).nearest(deformed).distance < CONTACT
        assert (near == (known.head.contact > 0.5))[head_model().part == SKIN].all()
    if known.contact_state != "touch":
        assert not known.head.deformation.any() and not known.head.contact.any()


@pytest.mark.parametrize("name", KNOWN)
def test_the_engine_sees_stored_cases(name, pipeline):
    """What is in the picture is found, nothing is left in the skin, and what does not touch is not said to."""
    known, found = KNOWN[name], capture_of(name, pipeline)
    assert found.head is not None
    assert len(found.hands) == len(known.hands)
    assert found.quality.get("penetration_mm", 0.0) <= 2
    assert found.quality["deformation_mm"] <= found.quality.get("pressed_mm", 0.0) + 4  # lids once turned over: 15 mm
    if known.contact_state != "touch":
        assert found.contact_state != "touch"
    if found.contact_state != "touch":
        assert not found.head.deformation.any() and (found.head.contact <= 0.5).all()


def capture_of(name: str, pipeline) -> Capture:
    return pipeline.capture(STORED / f"{name}.jpg")
