# SPDX-License-Identifier: GPL-3.0-or-later
"""Hand landmarks to a posed hand: least squares over reprojection, the detector's 3D shape and anatomy.

The same problem, with the head's surface as one more term, brings the fingers to the skin (`placement`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ..body.hand_motion import Motion, hand_motion
from ..body.openbody import FINGERS, HAND_PARAMETERS, POSE, SHAPES, HandModel, hand_model
from ..types import Camera, Side
from .least_squares import cauchy, minimise

PIXEL_NOISE = 0.04  # of the hand's size in the picture
OUTLIER = 2.5  # sigmas beyond which a landmark loses its pull
WORLD_NOISE, TILT_NOISE = 0.025, 0.2  # metres; radians
LIFTED_NOISE = (0.006, 0.03)  # metres, at least and at most
LIFTED_PIXEL_NOISE = 0.02  # of the hand's size, at least
BESIDE_NOISE, AGREE = 0.02, 0.035  # of its size: the detector's landmarks beside lifted joints, where they agree
DEPTH_NOISE = 0.1  # of the distance: how far the hand's may differ from the face's, where nobody looked
ANATOMY_WEIGHT = 0.4
COUPLING_NOISE = 0.35  # radians: a finger's last joint bends with about 0.65 of the middle one
COUPLING = 0.65
FLEXION = (-0.35, 1.6)  # radians, hard limits
SIDEWAYS = 0.6
# The first is size, 15 % smaller each: adults' hands are 185 mm long, give or take 12 (Pheasant and Haslegrave 2006).
SHAPE_MEAN = np.array([0.5, 0, 0, 0])
SHAPE_SIGMA = np.array([0.44, 1, 1, 1])
PALM = [0, 1, 5, 9, 13, 17]
BONES = ((0, 5), (5, 9), (9, 13), (13, 17), (0, 17), (5, 6), (9, 10))
STEPS, WARM_STEPS = 25, 8
NOTHING = np.zeros(0, np.int64)  # no vertices


@dataclass(frozen=True)
class HandObservation:
    """What is seen of a hand.

    Attributes
    ----------
    points, world
        (21, 2) pixels of the full picture and (21, 3) in any unit: the detector's landmarks or, if they are `lifted`,
        joints (see `glance`).
    noise
        (21,) deviations of lifted points, pixels, and that of the lifted joints as a share of the mean length of BONES;
        None for the detector's.
    landmarks
        (21, 2) pixels, the detector's beside lifted joints: in photographs they are surer of small things.
    """

    points: NDArray
    world: NDArray
    noise: tuple[NDArray, float] | None = None
    landmarks: NDArray | None = None

    @property
    def lifted(self) -> bool:
        return self.noise is not None

    @property
    def size(self) -> float:
        """Extent in pixels."""
        return float(np.ptp(self.points, axis=0).max())


@dataclass(frozen=True)
class HandFit:
    """A posed hand: its parameters (see `HandModel`) and what follows from them.

    Attributes
    ----------
    vertices, joints, landmarks
        (V, 3), (21, 3) and (21, 3) metres in camera space: the mesh, its joints, and what the detector sees at them.
    errors
        (21,) reprojection error of the points that were fitted, in pixels.
    cost
        Of the fit, half the sum of squares.
    """

    parameters: NDArray
    vertices: NDArray
    joints: NDArray
    landmarks: NDArray
    errors: NDArray
    cost: float


def joint_sigmas() -> NDArray:
    """(15, 3) radians: how far twist, flexion and abduction of each finger joint usually go."""
    sigma = np.tile([0.04, 0.7, 0.04], (15, 1))
    sigma[0::3] = [0.08, 0.7, 0.22]  # the knuckles also spread
    sigma[:3] = [[0.25, 0.5, 0.5], [0.08, 0.5, 0.15], [0.06, 0.6, 0.06]]  # the thumb
    return sigma


class HandProblem:
    """Residuals of hands against one observation, for many parameter vectors at once.

    Parameters
    ----------
    model
        The open hand of the right side.
    seen
        The detector's landmarks.
    camera
        A perspective camera.
    depth
        Where the wrist probably is along the camera's axis, metres, and the relative error of that; or None.
    """

    def __init__(self, model: HandModel, seen: HandObservation, camera: Camera,
                 depth: tuple[float, float] | None = None) -> None:  # fmt: skip
        assert camera.matrix is not None
        self.model = model
        self.seen = seen
        self.depth = depth
        self.focal = float(camera.matrix[0, 0])
        self.principal = camera.matrix[:2, 2].astype(np.float64)
        self.pixel_sigma = np.full((21, 1), PIXEL_NOISE * seen.size)
        if seen.noise is not None:
            self.pixel_sigma = np.maximum(LIFTED_PIXEL_NOISE * seen.size, seen.noise[0][:, None])
        if seen.landmarks is not None:
            apart = np.linalg.norm(seen.landmarks - seen.points, axis=1, keepdims=True) / (AGREE * seen.size)
            self.beside_sigma = BESIDE_NOISE * seen.size * (1 + apart**2)
        self.rest = model.keypoints_rest if seen.lifted else model.landmarks
        centred = seen.world - seen.world.mean(0)
        self.world = centred * (_lengths(self.rest) / _lengths(centred)).mean()  # the detector knows no sizes
        self.world_lengths = _lengths(self.world)
        unit = float(_lengths(self.rest).mean())
        noise = WORLD_NOISE if seen.noise is None else float(np.clip(unit * seen.noise[1], *LIFTED_NOISE))
        self.whitening = _whitening(self.world, noise)
        self.anatomy, self.usual = _anatomy()

    def linearised(self, parameters: NDArray, motion: Motion) -> tuple[NDArray, NDArray]:
        """(n, HAND_PARAMETERS) and how those hands move -> (n, R) residuals in sigmas and (n, R, P) derivatives."""
        count = len(parameters)
        parts = [self._reprojection(motion), self._shape(motion), self._anatomy(parameters), self._depth(parameters)]
        residuals = np.concatenate([part.reshape(count, -1) for part, _ in parts], axis=1)
        return residuals, np.concatenate([by.reshape(count, -1, by.shape[-1]) for _, by in parts], axis=1)

    def _reprojection(self, motion: Motion) -> tuple[NDArray, NDArray]:
        off, by = self._off(*self._seen_of(motion), self.seen.points, self.pixel_sigma)
        if self.seen.landmarks is None:
            return off, by
        more, more_by = self._off(motion.landmarks, motion.landmarks_by, self.seen.landmarks, self.beside_sigma)
        return np.concatenate([off, more], axis=1), np.concatenate([by, more_by], axis=1)

    def _off(self, points: NDArray, points_by: NDArray, seen: NDArray, sigma: NDArray) -> tuple[NDArray, NDArray]:
        """(n, 21, 3) points and their derivatives -> how far in the picture they are from those seen, in sigmas."""
        depth = points[..., 2:]
        screen = points[..., :2] / depth
        moved = points_by[..., :2, :] - screen[..., None] * points_by[..., 2:, :]
        by = moved * (self.focal / sigma / depth)[..., None]
        return cauchy((self.focal * screen + self.principal - seen) / sigma, by, OUTLIER)

    def _shape(self, motion: Motion) -> tuple[NDArray, NDArray]:
        """In units of the mean hand: in the posed hand's own, a smaller hand would seem a better one."""
        points, by = self._seen_of(motion)
        scale, scale_by = self._scale(points, by)
        centred = points - points.mean(1, keepdims=True)
        centred_by = by - by.mean(1, keepdims=True)
        shape = centred / scale[:, None, None]
        by = (centred_by - shape[..., None] * scale_by[:, None, None]) / scale[:, None, None, None]
        count = len(shape)
        residuals = (shape - self.world).reshape(count, 63) @ self.whitening
        return residuals, self.whitening @ by.reshape(count, 63, -1)

    def _seen_of(self, motion: Motion) -> tuple[NDArray, NDArray]:
        """What was observed: (n, 21, 3) and its derivatives."""
        return (motion.joints, motion.joints_by) if self.seen.lifted else (motion.landmarks, motion.landmarks_by)

    def _scale(self, points: NDArray, points_by: NDArray) -> tuple[NDArray, NDArray]:
        """(n,) size over that of the detector's hand, from bones that never change, and (n, P) its derivatives."""
        first, second = np.transpose(BONES)
        bones = points[:, first] - points[:, second]
        lengths = np.linalg.norm(bones, axis=2)
        by = np.einsum("nbi,nbip->nbp", bones, points_by[:, first] - points_by[:, second])
        longer = by / (lengths * self.world_lengths)[..., None]
        return (lengths / self.world_lengths).mean(1), longer.mean(1)

    def _anatomy(self, parameters: NDArray) -> tuple[NDArray, NDArray]:
        """Sizes, joint angles, and the last joints of the fingers, which bend with the middle ones: all linear."""
        residuals = parameters @ self.anatomy.T - self.usual
        return residuals, np.broadcast_to(self.anatomy, (len(parameters), *self.anatomy.shape))

    def _depth(self, parameters: NDArray) -> tuple[NDArray, NDArray]:
        if self.depth is None:
            return np.zeros((len(parameters), 0)), np.zeros((len(parameters), 0, HAND_PARAMETERS))
        distance, noise = self.depth
        by = np.zeros((len(parameters), 1, HAND_PARAMETERS))
        by[..., 5] = 1 / (noise * distance)
        return (parameters[:, 5:6] / distance - 1) / noise, by

    def project(self, joints: NDArray) -> NDArray:
        return self.focal * joints[..., :2] / joints[..., 2:] + self.principal

    def errors(self, joints: NDArray, landmarks: NDArray) -> NDArray:
        """(21,) reprojection errors in pixels of a hand's (21, 3) joints or landmarks, whichever were observed."""
        return np.linalg.norm(self.project(joints if self.seen.lifted else landmarks) - self.seen.points, axis=1)

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
    """(21, 3) joints -> (len(BONES),) metres."""
    first, second = np.transpose(BONES)
    return np.linalg.norm(joints[first] - joints[second], axis=1)


def _whitening(world: NDArray, noise: float) -> NDArray:
    """(63, 63) symmetric, makes the errors of the detector's (21, 3) points alike and independent.

    They are a tilt of the whole hand out of the picture, and noise. Taken for noise alone, a tilt of 15 degrees, which
    is usual, would seem next to impossible.
    """
    x, y, z = (world - world.mean(0)).T
    zero = np.zeros_like(x)
    tilts = np.stack([np.stack([zero, -z, y], 1).ravel(), np.stack([z, zero, -x], 1).ravel()], axis=1)
    basis, size, _ = np.linalg.svd(TILT_NOISE * tilts, full_matrices=False)
    softer = 1 - noise / np.hypot(noise, size)
    return (np.eye(63) - (basis * softer) @ basis.T) / noise


def _anatomy() -> tuple[NDArray, NDArray]:
    """Rows M and values c of the residuals M x - c that hold sizes and angles to what is usual."""
    sizes = np.zeros((SHAPES, HAND_PARAMETERS))
    sizes[:, 6 : 6 + SHAPES] = np.diag(1 / SHAPE_SIGMA)
    angles = np.zeros((45, HAND_PARAMETERS))
    angles[:, POSE] = np.diag(ANATOMY_WEIGHT / joint_sigmas().ravel())
    coupled = np.zeros((4, HAND_PARAMETERS))
    for finger in range(4):
        middle = POSE.start + 3 * (3 * finger + 4) + 1
        coupled[finger, [middle, middle + 3]] = -COUPLING / COUPLING_NOISE, 1 / COUPLING_NOISE
    return np.vstack([sizes, angles, coupled]), np.r_[SHAPE_MEAN / SHAPE_SIGMA, np.zeros(49)]


def bend_angles(joints: NDArray) -> NDArray:
    """(21, 3) joints -> (5, 3) angles between consecutive bones of each finger, radians."""
    chains = np.stack([joints[[0, *range(1 + 4 * finger, 5 + 4 * finger)]] for finger in range(5)])
    bones = np.diff(chains, axis=1)
    bones /= np.linalg.norm(bones, axis=2, keepdims=True)
    return np.arccos(np.clip((bones[:, 1:] * bones[:, :-1]).sum(2), -1, 1))


def fit_hand(problem: HandProblem) -> HandFit:
    """The hand by itself, whatever is near."""

    def linearised(x: NDArray) -> tuple[NDArray, NDArray]:
        return problem.linearised(x, hand_motion(problem.model, x, NOTHING))

    # Two starts: a straight one and a bent one; from one alone a quarter of the hands ends in a wrong pose.
    starts = np.stack([problem.start(bent) for bent in (False, True)])
    found, cost = minimise(linearised, starts, *limits(), STEPS)
    return finish(problem, found[np.argmin(cost)], float(cost.min()))


def likelier_side(points: NDArray, world: NDArray, side: Side, camera: Camera) -> Side:
    """Which hand it is that has the detector's (21, 2) points and (21, 3) joints: the one that they suit better.

    `side`: what the detector says, which stays unless the other hand fits better.
    """
    other: Side = "left" if side == "right" else "right"
    seen = HandObservation(points, world)
    costs = {one: fit_hand(HandProblem(hand_model(one), seen, camera)).cost for one in (side, other)}
    return min(costs, key=costs.__getitem__)


def follow_hand(problem: HandProblem, betas: NDArray, before: NDArray | None = None) -> HandFit:
    """The hand by itself, of a person whose hands' shape is known.

    Parameters
    ----------
    problem
        This frame's.
    betas
        (SHAPES,).
    before
        (HAND_PARAMETERS,) of the frame before, to start from; without, as `fit_hand` does.
    """

    def linearised(x: NDArray) -> tuple[NDArray, NDArray]:
        return problem.linearised(x, hand_motion(problem.model, x, NOTHING, shaped=False))

    starts = np.stack([problem.start(bent) for bent in (False, True)]) if before is None else before[None]
    steps = STEPS if before is None else WARM_STEPS
    found, cost = minimise(linearised, starts, *limits(betas), steps)
    return finish(problem, found[np.argmin(cost)], float(cost.min()))


def limits(betas: NDArray | None = None) -> tuple[NDArray, NDArray]:
    """Lower and upper bounds of the parameters: joints only turn as far as joints do. Shapes that are known stay."""
    low, high = np.full(HAND_PARAMETERS, -np.inf), np.full(HAND_PARAMETERS, np.inf)
    low[5] = 0.02
    low[6 : 6 + SHAPES], high[6 : 6 + SHAPES] = (-3.0, 3.0) if betas is None else (betas, betas)
    angles_low, angles_high = np.full((len(FINGERS), 3), -SIDEWAYS), np.full((len(FINGERS), 3), SIDEWAYS)
    angles_low[:, 1], angles_high[:, 1] = FLEXION
    angles_low[0], angles_high[0] = -1.2, 1.2  # the thumb's saddle joint
    low[POSE], high[POSE] = angles_low.ravel(), angles_high.ravel()
    return low, high


def finish(problem: HandProblem, parameters: NDArray, cost: float) -> HandFit:
    """The whole hand of one parameter vector."""
    vertices, joints = problem.model.pose(parameters[None])
    landmarks = hand_motion(problem.model, parameters[None], NOTHING).landmarks[0]
    return HandFit(parameters, vertices[0], joints[0], landmarks, problem.errors(joints[0], landmarks), cost)


def moved(fit: HandFit, problem: HandProblem, offset: NDArray) -> HandFit:
    """The hand shifted by (3,) metres."""
    parameters = fit.parameters.copy()
    parameters[3:6] += offset
    vertices, joints, landmarks = (points + offset for points in (fit.vertices, fit.joints, fit.landmarks))
    return HandFit(parameters, vertices, joints, landmarks, problem.errors(joints, landmarks), fit.cost)
