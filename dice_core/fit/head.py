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
from .least_squares import cauchy, minimise

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
COLD_STEPS, WARM_STEPS = 30, 6
ALIGNMENTS = 2  # Gauss-Newton steps


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


class Face:
    """The landmarks of a head at rest, and how they move.

    Parameters
    ----------
    model
        The open head.
    identity
        (IDENTITIES,) of a person who is known; without, identity is to be found, too.

    Attributes
    ----------
    rest, basis
        (478, 3) metres, and (K, 478, 3): by identity, unless it is known, then by expression.
    prior, low, high
        (K,) one over what is usual, and the bounds.
    trust
        (478,) weight in a fit.
    """

    def __init__(self, model: HeadModel, identity: NDArray | None = None) -> None:
        sigma = np.array(
            [EXPRESSION_SIGMA.get(name, 0.8 if name.startswith("eyeLook") else 0.5) for name in model.expression_names]
        )
        self.trust, self.prior = model.trust, EXPRESSION_WEIGHT / sigma
        self.rest, self.basis = model.landmarks(model.mean), model.landmarks(model.expression)
        self.low, self.high = np.full(len(self.basis), -1e-9), np.ones(len(self.basis))
        by_identity = model.landmarks(model.identity)
        if identity is None:
            self.prior = np.r_[np.full(IDENTITIES, IDENTITY_WEIGHT), self.prior]
            self.low, self.high = np.r_[np.full(IDENTITIES, -3.0), self.low], np.r_[np.full(IDENTITIES, 3.0), self.high]
            self.basis = np.concatenate([by_identity, self.basis])
        else:
            self.rest = self.rest + np.tensordot(identity, by_identity, 1)
        self.flat = self.basis.reshape(len(self.basis), -1)
        self.by_axis = np.ascontiguousarray(self.basis.transpose(2, 1, 0)).reshape(3, -1)


class _Problem:
    """Residuals and their Jacobian: reprojection in sigmas, then priors."""

    def __init__(self, face: Face, points: NDArray, camera: Camera, weights: NDArray, face_width: float) -> None:
        assert camera.matrix is not None
        self.points = points
        self.focal = float(camera.matrix[0, 0])
        self.principal = camera.matrix[:2, 2].astype(np.float64)
        self.rest, self.basis, self.flat, self.prior = face.rest, face.basis, face.flat, face.prior
        self.by_axis = face.by_axis
        self.gain = np.sqrt(weights * face.trust) / (LANDMARK_NOISE * face_width)
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
        return np.r_[reprojection.T.ravel(), self.prior * x[POSE:], apart, iris]

    def _apart(self, x: NDArray) -> NDArray:
        """(3,) from eye to eye."""
        return self.apart + x[POSE:] @ self.apart_by

    def jacobian(self, x: NDArray) -> NDArray:
        reprojection, columns = self._moved(x, len(x))
        priors = np.c_[np.zeros((len(self.prior), POSE)), np.diag(self.prior)]
        between = self._apart(x)
        apart = np.r_[np.zeros(POSE), self.apart_by @ between / np.linalg.norm(between)] / EYES_NOISE
        iris = columns[2, self.eyes].mean(0) / (IRIS_NOISE * self.iris_depth)
        return np.vstack([reprojection.reshape(-1, len(x)), priors, apart, iris])

    def _moved(self, x: NDArray, count: int) -> tuple[NDArray, NDArray]:
        """Derivatives by the first `count` parameters: (2, 478, n) of reprojection in sigmas, (3, 478, n) in space."""
        turned, posed = self._posed(x)
        columns = np.zeros((3, len(posed), count))  # of x, y and z
        columns[:, :, :3] = (-cross_matrices(turned) @ left_jacobian(x[:3])).swapaxes(0, 1)
        columns[:, :, 3:POSE] = np.eye(3)[:, None]
        if count > POSE:
            rotation = Rotation.from_rotvec(x[:3]).as_matrix()
            columns[:, :, POSE:] = (rotation @ self.by_axis).reshape(3, len(posed), -1)
        screen = (posed[:, :2] / posed[:, 2:]).T
        reprojection = columns[:2] - screen[..., None] * columns[2]
        return reprojection * (self.gain * self.focal / posed[:, 2])[:, None], columns

    def aligned(self, x: NDArray) -> NDArray:
        """The same shape, turned and moved to where the landmarks are. By plain squares: a head that has turned far
        since the frame before would leave all of its landmarks where Cauchy's loss hardly pulls."""
        x = x.copy()
        for _ in range(ALIGNMENTS):
            off = (self.project(x) - self.points) * self.gain[:, None]
            by = self._moved(x, POSE)[0].reshape(-1, POSE)
            step = np.linalg.solve(by.T @ by, by.T @ off.T.ravel())
            if abs(step[5]) > 0.5 * x[5]:  # astray
                break
            x[:POSE] -= step
        return x

    def linearised(self, x: NDArray) -> tuple[NDArray, NDArray]:
        """(1, P) -> (1, R) residuals and (1, R, P) derivatives, with the loss in them: for `minimise`."""
        residuals, by = self.residuals(x[0]), self.jacobian(x[0])
        seen = np.r_[: 2 * len(self.points), len(residuals) - 1]
        residuals[seen], by[seen] = cauchy(residuals[seen], by[seen], OUTLIER)
        return residuals[None], by[None]

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
    face = Face(model)
    problem = _Problem(face, points, camera, weights, width)
    start = _frontal(problem, weights * model.trust)
    low, high = np.r_[np.full(POSE, -np.inf), face.low], np.r_[np.full(POSE, np.inf), face.high]
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


def follow_head(
    face: Face, points: NDArray, camera: Camera, weights: NDArray, before: NDArray | None = None
) -> tuple[NDArray, NDArray]:
    """Fit a head fast, as for a sequence.

    Parameters
    ----------
    face
        Of a person who is known, or of anybody.
    points, camera
        As in `fit_head`.
    weights
        (478,) 0..1, low where something covers the face.
    before
        What was found in the frame before, to start from; without, a head that looks at the camera.

    Returns
    -------
    (POSE + K,) rotation vector, translation and the weights of `face.basis`; (478,) reprojection errors in pixels.
    """
    problem = _Problem(face, points, camera, weights, face_width(points))
    low, high = np.r_[np.full(POSE, -np.inf), face.low], np.r_[np.full(POSE, np.inf), face.high]
    start = problem.aligned(_frontal(problem, weights * face.trust) if before is None else before)
    (x,), _ = minimise(problem.linearised, start[None], low, high, COLD_STEPS if before is None else WARM_STEPS)
    return x, np.linalg.norm(problem.project(x) - points, axis=1)


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
