# SPDX-License-Identifier: GPL-3.0-or-later
"""The head fit against known heads: made-up people, projected to landmarks with a pixel of noise, and found again.

The bars are a little above what was measured over the seeds used here; the figures are in each test.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from dice_core.body.openbody import IDENTITIES, head_model
from dice_core.fit import head as fit
from dice_core.types import Camera

FOCAL, SIDE = 1200.0, 1000
CAMERA = Camera((SIDE, SIDE), matrix=np.float32([[FOCAL, 0, SIDE / 2], [0, FOCAL, SIDE / 2], [0, 0, 1]]))
IRIS = 0.0117


@dataclass(frozen=True)
class Known:
    """A head that is known, and the pixels of its landmarks."""

    vertices: np.ndarray
    rotation: Rotation
    points: np.ndarray


def known(seed: int, *, yaw=0.0, pitch=0.0, roll=0.0, depth=0.6, noise=1.0, person=0.7, expressions=4) -> Known:
    """A person drawn at `person` standard deviations with some expressions, turned by degrees.

    Irises are drawn as circles of their true size, as the detector draws them, whoever's they are.
    """
    random, model = np.random.default_rng(seed), head_model()
    strengths = np.zeros(52)
    strengths[random.choice(52, expressions, replace=False)] = random.uniform(0.2, 0.6, expressions)
    rotation = Rotation.from_euler("zyx", [roll, yaw, pitch], degrees=True)
    rest = model.vertices(random.normal(0, person, IDENTITIES), strengths)
    vertices = rotation.apply(rest) + [0.02, 0.03, depth]
    marks = model.landmarks(vertices)
    for center in (468, 473):
        across = marks[center + 3] - marks[center + 1], marks[center + 4] - marks[center + 2]
        for axis, step in enumerate(across):
            step = np.array([*step[:2], 0]) * IRIS / 2 / np.linalg.norm(step[:2])
            marks[center + 1 + axis], marks[center + 3 + axis] = marks[center] - step, marks[center] + step
    return Known(vertices, rotation, CAMERA.project(marks) + random.normal(0, noise, (478, 2)))


def degrees(one: Rotation, other: Rotation) -> float:
    return float(np.degrees((one * other.inv()).magnitude()))


def shape_error(found: np.ndarray, true: np.ndarray) -> float:
    """Millimetres of the face (the vertices that carry landmarks) after the best rigid alignment."""
    face = head_model().triangles[head_model().trust > 0.5].ravel()
    found, true = found[face] - found[face].mean(0), true[face] - true[face].mean(0)
    rotation, _ = Rotation.align_vectors(true, found)
    return 1000 * float(np.linalg.norm(rotation.apply(found) - true, axis=1).mean())


def errors(truth: Known, weights: np.ndarray | None = None) -> tuple[float, float, float, float]:
    """Degrees, relative depth, millimetres of shape, reprojection in % of the face width."""
    found = fit.fit_head(head_model(), truth.points, CAMERA, weights)
    face = head_model().triangles.ravel()
    angle = degrees(Rotation.from_rotvec(found.global_orient), truth.rotation)
    depth = found.vertices[face, 2].mean() / truth.vertices[face, 2].mean() - 1
    return angle, depth, shape_error(found.vertices, truth.vertices), 100 * np.median(found.errors) / found.face_width


POSES = {
    "frontal": {},
    "turned right": {"yaw": 35},
    "turned left": {"yaw": -35},
    "looking up": {"pitch": 20},
    "looking down": {"pitch": -20},
    "lying": {"roll": 90},
    "upside down": {"roll": 175},
    "turned and tilted": {"yaw": 30, "roll": -40},
    "near": {"depth": 0.35},
}


@pytest.mark.parametrize("pose", POSES)
def test_known_heads_are_found(pose):
    """Measured over 4 people in each of these poses, one pixel of noise on irises 23 pixels wide: at most 1.3 degrees
    (median of all 0.4), 6.2 % of the distance (median 3.1), 3.3 mm of shape, 0.45 % of the face width."""
    results = [errors(known(seed, **POSES[pose])) for seed in range(3)]
    angle, depth, shape, reprojection = np.array(results).T
    assert angle.max() < 2 and np.median(angle) < 1.2
    assert np.abs(depth).max() < 0.1 and np.median(np.abs(depth)) < 0.05
    assert shape.max() < 4.5
    assert reprojection.max() < 0.6


def test_the_average_person_without_noise_is_found_to_the_bone():
    """What is left is the prior's pull: measured 0.1 degrees, 1.0 %, 0.5 mm, 0.01 %."""
    angle, depth, shape, reprojection = errors(known(0, noise=0, person=0, expressions=0))
    assert angle < 0.3 and abs(depth) < 0.02 and shape < 1.2 and reprojection < 0.05


@pytest.mark.parametrize("where", [(-0.15, 0.1), (0.15, -0.1)])
def test_a_face_in_a_corner_is_seen_obliquely(where):
    """Perspective: a head that looks straight ahead beside the camera's axis is not one that looks aside."""
    truth = known(1)
    moved = truth.vertices + [*where, 0]
    points = CAMERA.project(head_model().landmarks(moved))
    found = fit.fit_head(head_model(), points, CAMERA)
    assert degrees(Rotation.from_rotvec(found.global_orient), truth.rotation) < 2
    center = found.vertices.mean(0) / found.vertices.mean(0)[2], moved.mean(0) / moved.mean(0)[2]
    assert center[0][:2] == pytest.approx(center[1][:2], abs=0.005)


def covered(truth: Known) -> np.ndarray:
    """Landmarks of the lower right cheek, a sixth of the face."""
    rest = head_model().landmarks(head_model().mean)
    return (rest[:, 0] < -0.015) & (rest[:, 1] > rest[1, 1])


@pytest.mark.parametrize("pull, weight", [((-12, 8), 0.3), ((-40, 25), 0.05)])
def test_covered_landmarks_may_be_wrong(pull, weight):
    """A hand over the cheek drags its landmarks along; with low weights the rest of the face decides.

    Measured: 0.7 and 0.6 degrees, 0.3 and 0.5 mm worse than uncovered; without the weights 1.2 and 2.6 degrees.
    """
    truth = known(2)
    under = covered(truth)
    assert 0.1 < under.mean() < 0.3
    truth.points[under] += pull
    clean, doubted, believed = errors(known(2)), errors(truth, np.where(under, weight, 1.0)), errors(truth)
    assert doubted[0] < clean[0] + 1 and doubted[2] < clean[2] + 0.8
    assert doubted[0] < 0.75 * believed[0] and doubted[2] < believed[2]


def test_single_wild_landmarks_do_not_matter():
    truth = known(3)
    truth.points[np.random.default_rng(0).choice(468, 25, replace=False)] += 150
    clean, wild = errors(known(3)), errors(truth)
    assert wild[0] < clean[0] + 0.5 and wild[2] < clean[2] + 0.5


def test_expressions_are_recovered():
    model = head_model()
    strengths = np.zeros(52)
    chosen = {name: model.expression_names.index(name) for name in ("jawOpen", "mouthSmileLeft", "browInnerUp")}
    strengths[list(chosen.values())] = 0.6
    vertices = model.vertices(np.zeros(IDENTITIES), strengths) + [0, 0, 0.6]
    found = fit.fit_head(model, CAMERA.project(model.landmarks(vertices)), CAMERA)
    assert all(found.expression[index] > 0.35 for index in chosen.values())
    assert found.expression[model.expression_names.index("mouthSmileRight")] < 0.1
    assert found.expression.min() >= 0 and found.expression.max() <= 1


def test_the_result_is_consistent():
    """Vertices follow from the parameters, errors from the vertices."""
    truth, model = known(4, yaw=15), head_model()
    found = fit.fit_head(model, truth.points, CAMERA)
    rotation = Rotation.from_rotvec(found.global_orient)
    rebuilt = rotation.apply(model.vertices(found.identity, found.expression)) + found.transl
    assert rebuilt == pytest.approx(found.vertices, abs=1e-12)
    projected = CAMERA.project(model.landmarks(found.vertices))
    assert found.errors == pytest.approx(np.linalg.norm(projected - truth.points, axis=1), abs=1e-3)
    assert np.abs(found.identity).max() <= 3


def test_the_face_is_as_wide_however_the_head_is_rolled():
    """Errors are given in face widths: a head that lies on its side must not look better."""
    points = known(4).points
    upright = fit.fit_head(head_model(), points, CAMERA).face_width
    assert upright == pytest.approx(np.ptp(points[:, 0]), rel=0.05)
    center = CAMERA.matrix[:2, 2]
    lying = (points - center) @ [[0, 1], [-1, 0]] + center
    assert fit.fit_head(head_model(), lying, CAMERA).face_width == pytest.approx(upright)


@pytest.mark.parametrize("turn", [0.0, 1e-9, 0.3, 2.5])
def test_the_jacobian_against_finite_differences(turn):
    truth, random = known(5), np.random.default_rng(1)
    problem = fit._Problem(fit.Face(head_model()), truth.points, CAMERA, random.uniform(0.3, 1, 478), 300.0)
    x = np.r_[random.normal(size=3) * turn, 0.01, 0.02, 0.6, random.normal(size=IDENTITIES), random.uniform(size=52)]
    step = 1e-6
    numeric = np.stack(
        [
            (problem.residuals(x + step * axis) - problem.residuals(x - step * axis)) / (2 * step)
            for axis in np.eye(len(x))
        ],
        axis=1,
    )
    analytic = problem.jacobian(x)
    assert np.abs(analytic - numeric).max() < 1e-6 * np.abs(numeric).max()


def test_the_loss_and_its_derivatives():
    """Cauchy's: rho(z) = c^2 ln(1 + z / c^2) for landmarks and the iris, z itself for the priors."""
    truth = known(5)
    problem = fit._Problem(fit.Face(head_model()), truth.points, CAMERA, np.ones(478), 300.0)
    squared = np.random.default_rng(2).uniform(0, 40, 2 * 478 + IDENTITIES + 52 + 2)
    rho = problem.loss(squared)
    seen = np.r_[: 2 * 478, len(squared) - 1]
    assert rho[0, seen] == pytest.approx(9 * np.log1p(squared[seen] / 9))
    assert rho[0, 2 * 478 : -1] == pytest.approx(squared[2 * 478 : -1])
    step = 1e-5
    for order in (0, 1):
        numeric = (problem.loss(squared + step)[order] - problem.loss(squared - step)[order]) / (2 * step)
        assert rho[order + 1] == pytest.approx(numeric, abs=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_followed_as_well_as_by_scipy(seed):
    """A head whose person is known, from the frame before: as low as scipy's solver (trust region reflective) gets,
    with the same bounds. Measured within 0.1 %; it was far off while steps were cut at the bounds, and when a head
    turned by five degrees from one frame to the next."""
    truth, before = known(seed, yaw=12, noise=2, person=0), known(seed, yaw=8, pitch=3, noise=2, person=0)
    face, weights = fit.Face(head_model(), np.zeros(IDENTITIES)), np.ones(478)
    start, _ = fit.follow_head(face, before.points, CAMERA, weights)
    found, errors = fit.follow_head(face, truth.points, CAMERA, weights, start)
    problem = fit._Problem(face, truth.points, CAMERA, weights, fit.face_width(truth.points))

    def cost(x: np.ndarray) -> float:
        return 0.5 * float(problem.loss(problem.residuals(x) ** 2)[0].sum())

    low, high = np.r_[np.full(fit.POSE, -np.inf), face.low], np.r_[np.full(fit.POSE, np.inf), face.high]
    theirs = least_squares(
        problem.residuals, np.clip(start, low + 1e-9, high - 1e-3), jac=problem.jacobian, bounds=(low, high),
        loss=problem.loss, x_scale="jac", ftol=1e-8, max_nfev=300,
    )  # fmt: skip
    assert cost(found) < 1.01 * theirs.cost
    assert errors == pytest.approx(np.linalg.norm(problem.project(found) - truth.points, axis=1))
