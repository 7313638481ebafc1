# SPDX-License-Identifier: GPL-3.0-or-later
"""Face landmarks to a posed head: a robust least-squares fit of pose, identity and expression."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from ..body.openbody import IDENTITIES, HeadModel
from ..body.skinning import cross_matrices, left_jacobian
from ..types import Camera

# Two rulers tell how large a head is, so how far away: the eyes' distance varies by 6 % among adults (Dodgson 2004),
# the iris by 4 %, but lids hide it: its measured width is off by 8 % and more.
EYES_APART, EYES_NOISE = 0.063, 0.001  # metres, between the middles of the eyes' corners: see IDENTITY_WEIGHT
IRIS_DIAMETER, IRIS_NOISE = 0.0117, 0.05  # metres; of the distance that follows
CORNERS = ((33, 133), (362, 263))
LANDMARK_NOISE = 0.008  # of the face width
OUTLIER = 3.0  # residuals beyond this many sigmas lose their pull (Cauchy)
IDENTITY_WEIGHT = 8.0**0.5  # landmark errors are correlated: a weak prior would let identity absorb them
EXPRESSION_WEIGHT = 2.0
EXPRESSION_SIGMA = {"jawOpen": 0.8, "mouthClose": 0.15, "tongueOut": 0.05}
IRISES = ((469, 471), (470, 472), (474, 476), (475, 477))  # opposite rim points
POSE = 6


@dataclass(frozen=True)
class HeadFit:
    """A posed head.

    Attributes
    ----------
    vertices
        (V, 3) metres in camera space.
    global_orient, transl
        (3,) axis-angle, (3,) metres: vertices = R rest + transl.
    identity, expression
        (IDENTITIES,) in standard deviations, (E,) 0..1.
    errors
        (478,) reprojection error in pixels.
    face_width
        Of the detected landmarks, in pixels: what errors are measured by.
    """

    vertices: NDArray
    global_orient: NDArray
    transl: NDArray
    identity: NDArray
    expression: NDArray
    errors: NDArray
    face_width: float

    @property
    def depth(self) -> float:
        """Distance of the face along the camera's axis, metres."""
        return float(self.transl[2])


class _Problem:
    """Residuals and their Jacobian for `least_squares`: reprojection in sigmas, then priors."""

    def __init__(self, model: HeadModel, points: NDArray, camera: Camera, weights: NDArray, face_width: float) -> None:
        assert camera.matrix is not None
        self.points = points
        self.focal = float(camera.matrix[0, 0])
        self.principal = camera.matrix[:2, 2].astype(np.float64)
        self.rest = model.landmarks(model.mean)
        self.basis = np.concatenate([model.landmarks(model.identity), model.landmarks(model.expression)])
        self.flat = self.basis.reshape(len(self.basis), -1)
        self.gain = np.sqrt(weights * model.trust) / (LANDMARK_NOISE * face_width)
        sigma = np.array(
            [EXPRESSION_SIGMA.get(name, 0.8 if name.startswith("eyeLook") else 0.5) for name in model.expression_names]
        )
        self.prior = np.r_[np.full(IDENTITIES, IDENTITY_WEIGHT), EXPRESSION_WEIGHT / sigma]
        iris = np.mean([np.linalg.norm(points[a] - points[b]) for a, b in IRISES])
        self.iris_depth = self.focal * IRIS_DIAMETER / max(float(iris), 1e-6)
        self.eyes = slice(468, 478)
        sides = [list(corners) for corners in CORNERS]
        self.apart = self.rest[sides[1]].mean(0) - self.rest[sides[0]].mean(0)
        self.apart_by = self.basis[:, sides[1]].mean(1) - self.basis[:, sides[0]].mean(1)

    def _posed(self, x: NDArray) -> tuple[NDArray, NDArray]:
        turned = self.rest + (x[POSE:] @ self.flat).reshape(-1, 3)
        turned = turned @ Rotation.from_rotvec(x[:3]).as_matrix().T
        return turned, turned + x[3:POSE]

    def project(self, x: NDArray) -> NDArray:
        posed = self._posed(x)[1]
        return self.focal * posed[:, :2] / posed[:, 2:] + self.principal

    def residuals(self, x: NDArray) -> NDArray:
        reprojection = (self.project(x) - self.points) * self.gain[:, None]
        apart = (np.linalg.norm(self._apart(x)) - EYES_APART) / EYES_NOISE
        iris = (self._posed(x)[1][self.eyes, 2].mean() / self.iris_depth - 1) / IRIS_NOISE
        return np.r_[reprojection.ravel(), self.prior * x[POSE:], apart, iris]

    def _apart(self, x: NDArray) -> NDArray:
        """(3,) from eye to eye."""
        return self.apart + x[POSE:] @ self.apart_by

    def jacobian(self, x: NDArray) -> NDArray:
        turned, posed = self._posed(x)
        count = len(posed)
        rotation = Rotation.from_rotvec(x[:3]).as_matrix()
        columns = np.zeros((count, 3, len(x)))
        step = left_jacobian(x[:3])
        columns[:, :, :3] = -cross_matrices(turned) @ step
        columns[:, :, 3:POSE] = np.eye(3)
        columns[:, :, POSE:] = (self.basis @ rotation.T).transpose(1, 2, 0)
        depth = posed[:, 2]
        screen = np.zeros((count, 2, 3))
        screen[:, 0, 0] = screen[:, 1, 1] = self.focal / depth
        screen[:, :, 2] = -self.focal * posed[:, :2] / depth[:, None] ** 2
        reprojection = (screen @ columns) * self.gain[:, None, None]
        priors = np.c_[np.zeros((len(self.prior), POSE)), np.diag(self.prior)]
        between = self._apart(x)
        apart = np.r_[np.zeros(POSE), self.apart_by @ between / np.linalg.norm(between)] / EYES_NOISE
        iris = columns[self.eyes, 2].mean(0) / (IRIS_NOISE * self.iris_depth)
        return np.vstack([reprojection.reshape(-1, len(x)), priors, apart, iris])

    def loss(self, squared: NDArray) -> NDArray:
        """Cauchy for landmarks and iris, plain squares for the priors: rho, rho', rho'' as scipy wants them."""
        rho = np.vstack([squared, np.ones_like(squared), np.zeros_like(squared)])
        seen = np.r_[: 2 * len(self.points), len(squared) - 1]
        scaled = 1 + squared[seen] / OUTLIER**2
        rho[:, seen] = OUTLIER**2 * np.log(scaled), 1 / scaled, -1 / (OUTLIER * scaled) ** 2
        return rho


def fit_head(model: HeadModel, points: NDArray, camera: Camera, occlusion: NDArray | None = None) -> HeadFit:
    """Fit the head to face landmarks.

    Parameters
    ----------
    model
        The open head.
    points
        (478, 2) pixels of the full picture.
    camera
        A perspective camera.
    occlusion
        (478,) weights 0..1, low where something covers the face; None when nothing does.
    """
    width = face_width(points)
    weights = np.ones(len(points)) if occlusion is None else occlusion
    problem = _Problem(model, points, camera, weights, width)
    start = _frontal(problem, weights * model.trust)
    low = np.r_[np.full(POSE, -np.inf), np.full(IDENTITIES, -3.0), np.full(len(model.expression), -1e-9)]
    high = np.r_[np.full(POSE, np.inf), np.full(IDENTITIES, 3.0), np.full(len(model.expression), 1.0)]
    rigid = least_squares(
        lambda pose: problem.residuals(np.r_[pose, start[POSE:]]), start[:POSE],
        jac=lambda pose: problem.jacobian(np.r_[pose, start[POSE:]])[:, :POSE], loss=problem.loss, max_nfev=20,
    )  # fmt: skip
    start[:POSE] = rigid.x
    start[POSE + IDENTITIES :] = 0.02  # inside the bounds
    solution = least_squares(
        problem.residuals, start, jac=problem.jacobian, bounds=(low, high), loss=problem.loss,
        x_scale="jac", ftol=1e-4, xtol=1e-5, max_nfev=25,
    )  # fmt: skip
    x = solution.x
    identity, expression = x[POSE : POSE + IDENTITIES], np.clip(x[POSE + IDENTITIES :], 0, 1)
    rotation = Rotation.from_rotvec(x[:3])
    return HeadFit(
        vertices=rotation.apply(model.vertices(identity, expression)) + x[3:POSE],
        global_orient=x[:3],
        transl=x[3:POSE],
        identity=identity,
        expression=expression,
        errors=np.linalg.norm(problem.project(x) - points, axis=1),
        face_width=width,
    )


def face_width(points: NDArray) -> float:
    """Pixels along the eyes, of (478, 2) landmarks: a head that lies on its side is no wider."""
    across = points[263] - points[33]
    return float(np.ptp(points @ (across / np.linalg.norm(across))))


def _frontal(problem: _Problem, weights: NDArray) -> NDArray:
    """A start: the mean head looking at the camera, placed by weak perspective, rolled as the eyes are."""
    x = np.zeros(POSE + len(problem.basis))
    weights = weights / weights.sum()
    across = problem.points[263] - problem.points[33]
    x[2] = np.arctan2(across[1], across[0])
    model = problem.rest @ Rotation.from_rotvec(x[:3]).as_matrix().T
    model_center, center = weights @ model, weights @ problem.points
    spread = np.sqrt(weights @ ((problem.points - center) ** 2).sum(1))
    scale = spread / np.sqrt(weights @ ((model - model_center)[:, :2] ** 2).sum(1))
    x[3:POSE] = np.r_[(center - problem.principal) / scale, problem.focal / scale] - model_center
    return x
