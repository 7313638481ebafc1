# SPDX-License-Identifier: GPL-3.0-or-later
"""Hand landmarks to a posed hand: least squares over reprojection, the detector's 3D shape and anatomy.

The same problem, with the head's surface as one more term, brings the fingers to the skin (`placement`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from ..body.openbody import FINGERS, HAND_PARAMETERS, POSE, SHAPES, HandModel
from ..types import Camera

PIXEL_NOISE = 0.03  # of the hand's size in the picture
WORLD_NOISE = 0.015  # metres
ANATOMY_WEIGHT = 0.4
COUPLING_NOISE = 0.35  # radians: a finger's last joint bends with about 0.65 of the middle one
COUPLING = 0.65
FLEXION = (-0.35, 1.6)  # radians, hard limits
SIDEWAYS = 0.6
SHAPE_MEAN = np.array([0.5, 0, 0, 0])  # the first is size, 15 % smaller each: the population includes large hands
SHAPE_SIGMA = np.array([0.8, 1, 1, 1])
PALM = [0, 1, 5, 9, 13, 17]
BONES = ((0, 5), (5, 9), (9, 13), (13, 17), (0, 17), (5, 6), (9, 10))
STEP = 1e-5  # of the numeric Jacobian

Residuals = Callable[[NDArray], NDArray]


@dataclass(frozen=True)
class HandObservation:
    """What the detector says of a hand: (21, 2) pixels of the full picture and (21, 3) metres about its centre."""

    points: NDArray
    world: NDArray

    @property
    def size(self) -> float:
        """Extent in pixels."""
        return float(np.ptp(self.points, axis=0).max())


@dataclass(frozen=True)
class HandFit:
    """A posed hand: its parameters (see `HandModel`) and what follows from them.

    Attributes
    ----------
    vertices, joints
        (V, 3) and (21, 3) metres in camera space.
    errors
        (21,) reprojection error in pixels.
    cost
        Of the fit, half the sum of squares.
    """

    parameters: NDArray
    vertices: NDArray
    joints: NDArray
    errors: NDArray
    cost: float


def joint_sigmas() -> NDArray:
    """(15, 3) radians: how far twist, flexion and abduction of each finger joint usually go."""
    sigma = np.tile([0.04, 0.7, 0.04], (15, 1))
    sigma[0::3] = [0.08, 0.7, 0.22]  # the knuckles also spread
    sigma[:3] = [[0.25, 0.5, 0.5], [0.08, 0.5, 0.15], [0.06, 0.6, 0.06]]  # the thumb
    return sigma


class HandProblem:
    """Residuals of hands against one observation, for many parameter vectors at once."""

    def __init__(self, model: HandModel, seen: HandObservation, camera: Camera, pixel_noise: float = PIXEL_NOISE
                 ) -> None:
        assert camera.matrix is not None
        self.model = model
        self.seen = seen
        self.focal = float(camera.matrix[0, 0])
        self.principal = camera.matrix[:2, 2].astype(np.float64)
        self.pixel_sigma = pixel_noise * seen.size
        self.rest = model.keypoints(np.zeros((1, HAND_PARAMETERS)))[0]
        self.world = seen.world - seen.world.mean(0)
        self.world_lengths = _lengths(self.world[None])[0]
        self.world = self.world * self._scale(self.rest[None])
        self.world_lengths = _lengths(self.world[None])[0]
        self.sigmas = joint_sigmas()

    def _scale(self, joints: NDArray) -> NDArray:
        """(n,) size of the hands over that of the detector's, which knows no sizes, from bones that never change."""
        return (_lengths(joints) / self.world_lengths).mean(1)

    def __call__(self, parameters: NDArray) -> NDArray:
        """(n, HAND_PARAMETERS) -> (n, R) residuals in sigmas."""
        return self.from_joints(parameters, self.model.keypoints(parameters))

    def from_joints(self, parameters: NDArray, joints: NDArray) -> NDArray:
        """The same for (n, 21, 3) joints that are known already."""
        count = len(parameters)
        angles = parameters[:, POSE].reshape(count, 15, 3)
        flexion = angles[:, :, 1]
        # in units of the mean hand: in the posed hand's own, a smaller hand would seem a better one
        shape = (joints - joints.mean(1, keepdims=True)) / self._scale(joints)[:, None, None] - self.world
        parts = [
            (self.project(joints) - self.seen.points) / self.pixel_sigma,
            shape / WORLD_NOISE,
            (parameters[:, 6 : 6 + SHAPES] - SHAPE_MEAN) / SHAPE_SIGMA,
            ANATOMY_WEIGHT * angles / self.sigmas,
            (flexion[:, 5::3] - COUPLING * flexion[:, 4::3]) / COUPLING_NOISE,
        ]
        return np.concatenate([part.reshape(count, -1) for part in parts], axis=1)

    def project(self, joints: NDArray) -> NDArray:
        return self.focal * joints[..., :2] / joints[..., 2:] + self.principal

    def errors(self, joints: NDArray) -> NDArray:
        """(21,) reprojection errors in pixels of (21, 3) joints."""
        return np.linalg.norm(self.project(joints) - self.seen.points, axis=1)

    def start(self, bent: bool) -> NDArray:
        """Parameters that match the palm's pose and, if `bent`, the finger angles of the detector's 3D points."""
        x = np.zeros(HAND_PARAMETERS)
        palm, target = self.rest[PALM], self.world[PALM]
        rotation, _ = Rotation.align_vectors(target - target.mean(0), palm - palm.mean(0))
        x[:3] = rotation.as_rotvec()
        rays = (self.seen.points - self.principal) / self.focal
        # u (Z + tz) = X + tx and the same for v: linear in the translation
        system = np.zeros((21, 2, 3))
        system[:, 0, 0] = system[:, 1, 1] = 1
        system[:, :, 2] = -rays
        known = rays * self.world[:, 2:] - self.world[:, :2]
        x[3:6] = np.linalg.lstsq(system.reshape(-1, 3), known.ravel(), rcond=None)[0] + self.world[0]
        x[5] = max(x[5], 0.05)
        if bent:
            angles = np.clip(bend_angles(self.world) - bend_angles(self.rest), FLEXION[0] + 0.05, FLEXION[1] - 0.1)
            angles[0] *= 0.5
            x[POSE].reshape(15, 3)[:, 1] = angles.ravel()
        return x


def _lengths(joints: NDArray) -> NDArray:
    """(n, 21, 3) joints -> (n, len(BONES)) metres."""
    first, second = np.transpose(BONES)
    return np.linalg.norm(joints[:, first] - joints[:, second], axis=2)


def bend_angles(joints: NDArray) -> NDArray:
    """(21, 3) joints -> (5, 3) angles between consecutive bones of each finger, radians."""
    chains = np.stack([joints[[0, *range(1 + 4 * finger, 5 + 4 * finger)]] for finger in range(5)])
    bones = np.diff(chains, axis=1)
    bones /= np.linalg.norm(bones, axis=2, keepdims=True)
    return np.arccos(np.clip((bones[:, 1:] * bones[:, :-1]).sum(2), -1, 1))


def fit_hand(model: HandModel, seen: HandObservation, camera: Camera, depth: float | None, depth_noise: float = 0.1
             ) -> HandFit:
    """Fit a hand to its landmarks.

    Parameters
    ----------
    model
        The open hand of the right side.
    seen
        The detector's landmarks.
    camera
        A perspective camera.
    depth, depth_noise
        Where the wrist probably is along the camera's axis, metres, and the relative error of that; or None.
    """
    problem = HandProblem(model, seen, camera)

    def residuals(x: NDArray) -> NDArray:
        parts = problem(x)
        if depth is None:
            return parts
        return np.c_[parts, (x[:, 5:6] - depth) / (depth_noise * depth)]

    # Two starts: a straight one and a bent one; from one alone a quarter of the hands ends in a wrong pose.
    fits = [solve(residuals, problem.start(bent), 20) for bent in (False, True)]
    return finish(problem, *min(fits, key=lambda fit: fit[1]))


def solve(residuals: Residuals, start: NDArray, evaluations: int) -> tuple[NDArray, float]:
    """Minimise residuals of one hand within the limits of its joints; gives parameters and cost."""
    low, high = limits()
    steps = np.vstack([np.zeros(HAND_PARAMETERS), STEP * np.eye(HAND_PARAMETERS)])

    def jacobian(x: NDArray) -> NDArray:
        values = residuals(x + steps)
        return ((values[1:] - values[0]) / STEP).T

    inside = np.clip(start, low + 1e-3, high - 1e-3)
    solution = least_squares(
        lambda x: residuals(x[None])[0], inside, jac=jacobian, bounds=(low, high), x_scale="jac",
        ftol=1e-3, xtol=1e-4, max_nfev=evaluations,
    )  # fmt: skip
    return solution.x, float(solution.cost)


def limits() -> tuple[NDArray, NDArray]:
    """Lower and upper bounds of the parameters: joints only turn as far as joints do."""
    low, high = np.full(HAND_PARAMETERS, -np.inf), np.full(HAND_PARAMETERS, np.inf)
    low[5] = 0.02
    low[6 : 6 + SHAPES], high[6 : 6 + SHAPES] = -3.0, 3.0
    angles_low, angles_high = np.full((len(FINGERS), 3), -SIDEWAYS), np.full((len(FINGERS), 3), SIDEWAYS)
    angles_low[:, 1], angles_high[:, 1] = FLEXION
    angles_low[0], angles_high[0] = -1.2, 1.2  # the thumb's saddle joint
    low[POSE], high[POSE] = angles_low.ravel(), angles_high.ravel()
    return low, high


def finish(problem: HandProblem, parameters: NDArray, cost: float) -> HandFit:
    """The whole hand of one parameter vector."""
    vertices, joints = problem.model.pose(parameters[None])
    return HandFit(parameters, vertices[0], joints[0], problem.errors(joints[0]), cost)


def moved(fit: HandFit, problem: HandProblem, offset: NDArray) -> HandFit:
    """The hand shifted by (3,) metres."""
    parameters = fit.parameters.copy()
    parameters[3:6] += offset
    joints = fit.joints + offset
    return replace(fit, parameters=parameters, vertices=fit.vertices + offset, joints=joints,
                   errors=problem.errors(joints))
