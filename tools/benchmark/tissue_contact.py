# SPDX-License-Identifier: GPL-3.0-or-later
"""Contact of the skin with a rigid hand, without friction: planes that points of the skin must stay in front of.

Both ways: points of the skin against the hand's distance field, and points of the hand against the skin's triangles,
so that neither a fingertip nor a corner of a coarse triangle slips between the other's vertices.
"""

from __future__ import annotations

from dataclasses import dataclass

import igl
import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from dice_core.body.openbody import head_model

from .tissue_mesh import Tissue, closed

PENALTY = 6e8  # Pa/m: 0.1 mm of overlap at four times the modulus of soft skin
CLEARANCE = 1.5e-4  # metres at which contact begins
NEAR = 0.004  # metres at which a pair is looked at
DEEP = 0.008  # metres: a skin point farther inside is on the other side of a finger
SAMPLES = np.array([[4, 1, 1], [1, 4, 1], [1, 1, 4], [3, 3, 0], [0, 3, 3], [3, 0, 3], [2, 2, 2]]) / 6


@dataclass(frozen=True)
class Planes:
    """(P, free) matrix and (P,) offsets: gap = matrix @ free coordinates - offset, and (P,) penalty in N/m."""

    matrix: sparse.csr_matrix
    offset: NDArray
    strength: NDArray

    def energy(self, free: NDArray) -> float:
        overlap = np.minimum(self.matrix @ free - self.offset, 0)
        return float((self.strength * overlap**2).sum() / 2)

    def forces(self, free: NDArray) -> NDArray:
        overlap = np.minimum(self.matrix @ free - self.offset, 0)
        return self.matrix.T @ (self.strength * overlap)

    def stiffness(self, free: NDArray) -> sparse.csc_matrix:
        active = (self.matrix @ free < self.offset) * self.strength
        return (self.matrix.T @ sparse.diags(active) @ self.matrix).tocsc()


class Contact:
    """A rigid hand, (H, 3) and its faces, and the tissue of a head at rest, (V, 3)."""

    def __init__(self, head: NDArray, tissue: Tissue, free: NDArray, hand: NDArray, hand_faces: NDArray) -> None:
        self.head, self.tissue, self.free, self.count = head, tissue, free, len(hand)
        self.hand, self.hand_faces = closed(np.asarray(hand, np.float64), np.asarray(hand_faces, np.int64))
        middles = hand[hand_faces].mean(1)
        self.pins = np.vstack([hand, middles])
        area = igl.doublearea(hand, hand_faces) / 2
        share = np.bincount(hand_faces.ravel(), np.repeat(area / 6, 3), len(hand))
        self.pin_area = np.concatenate([share, area / 2])
        self.node_of = np.full(len(head), -1)
        self.node_of[tissue.vertices] = np.arange(len(tissue.vertices))
        self.column = np.full(tissue.nodes.size, -1)
        self.column[free] = np.arange(len(free))
        points, self.solid = closed(head, head_model().solid)
        self.solid_count = len(points)
        self._samples()

    def _samples(self) -> None:
        """Corners and inner points of the skin's triangles: (Q, 3) nodes, weights, and (Q,) areas."""
        faces, count = self.tissue.faces, len(self.tissue.vertices)
        area = igl.doublearea(self.head, self.tissue.vertices[faces]) / 2
        corner = np.bincount(faces.ravel(), np.repeat(area / 6, 3), count)
        self.corners = np.vstack([np.arange(count)[:, None].repeat(3, 1), faces.repeat(len(SAMPLES), 0)])
        weights = np.tile([1.0, 0, 0], (count, 1))
        self.weights = np.vstack([weights, np.tile(SAMPLES, (len(faces), 1))])
        self.area = np.concatenate([corner, np.repeat(area / 2 / len(SAMPLES), len(SAMPLES))])

    def planes(self, nodes: NDArray, shift: NDArray) -> Planes:
        """Where the skin, with the tissue's nodes at (N, 3), meets the hand moved by `shift`."""
        skin, pins = self._skin_on_hand(nodes, shift), self._hand_on_skin(nodes, shift)
        corners, weights, normals, level, strength = (np.concatenate(pair) for pair in zip(skin, pins, strict=True))
        columns = self.column[3 * corners[:, :, None] + np.arange(3)].reshape(-1, 9)
        values = (weights[:, :, None] * normals[:, None]).reshape(-1, 9)
        rows = np.arange(len(level))[:, None].repeat(9, 1)
        still = columns < 0
        fixed_part = np.where(still, values * nodes[corners].reshape(-1, 9), 0).sum(1)
        matrix = sparse.csr_matrix((values[~still], (rows[~still], columns[~still])), (len(level), len(self.free)))
        return Planes(matrix, level - fixed_part, strength)

    def _skin_on_hand(self, nodes: NDArray, shift: NDArray) -> tuple[NDArray, ...]:
        points = (nodes[self.corners] * self.weights[:, :, None]).sum(1)
        low, high = self.hand.min(0) + shift - NEAR, self.hand.max(0) + shift + NEAR
        chosen = np.flatnonzero(((points > low) & (points < high)).all(1))
        distance, normal, point = signed(points[chosen] - shift, self.hand, self.hand_faces)
        near = (distance < NEAR) & (distance > -DEEP)
        chosen, normal, point = chosen[near], normal[near], point[near] + shift
        level = (normal * point).sum(1) + CLEARANCE
        return self.corners[chosen], self.weights[chosen], normal, level, PENALTY * self.area[chosen]

    def _hand_on_skin(self, nodes: NDArray, shift: NDArray) -> tuple[NDArray, ...]:
        pins = self.pins + shift
        surface = self.surface(nodes)
        chosen = np.flatnonzero(self._close(pins, nodes))
        distance, face, point, _ = igl.signed_distance(
            pins[chosen], surface, self.solid, sign_type=igl.SIGNED_DISTANCE_TYPE_PSEUDONORMAL
        )
        corners = self.solid[face]
        ours = (corners < len(self.node_of)).all(1)
        corners = self.node_of[np.minimum(corners, len(self.node_of) - 1)]
        near = ours & (corners >= 0).all(1) & (distance < NEAR) & (distance > -DEEP)
        chosen, corners, point, face = chosen[near], corners[near], point[near], face[near]
        triangle = surface[self.solid[face]]
        normal = np.cross(triangle[:, 1] - triangle[:, 0], triangle[:, 2] - triangle[:, 0])
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
        toward = pins[chosen] - point
        sign = np.sign((toward * normal).sum(1))[:, None]
        length = np.linalg.norm(toward, axis=1, keepdims=True)
        normal = np.where(length > 2e-4, toward * sign / np.maximum(length, 1e-12), normal)
        weights = igl.barycentric_coordinates(point, *(np.ascontiguousarray(triangle[:, k]) for k in range(3)))
        # the skin must stay behind the pin: -normal . skin >= -normal . pin + clearance
        level = -(normal * pins[chosen]).sum(1) + CLEARANCE
        return corners, weights, -normal, level, PENALTY * self.pin_area[chosen]

    def _close(self, pins: NDArray, nodes: NDArray) -> NDArray:
        skin = nodes[: len(self.tissue.vertices)]
        return ((pins > skin.min(0) - NEAR) & (pins < skin.max(0) + NEAR)).all(1)

    def surface(self, nodes: NDArray) -> NDArray:
        """The head's closed surface over the tissue's nodes at (N, 3)."""
        head = self.head.copy()
        head[self.tissue.vertices] = nodes[: len(self.tissue.vertices)]
        return closed(head, head_model().solid)[0]

    def penetration(self, nodes: NDArray, shift: NDArray) -> float:
        """Metres that the hand's deepest vertex lies inside the head."""
        return depth_of(self.surface(nodes), self.solid, self.pins[: self.count] + shift)


def depth_of(surface: NDArray, faces: NDArray, points: NDArray) -> float:
    """How deep the deepest of some points lies inside a closed surface; zero when all are outside."""
    chosen = ((points > surface.min(0)) & (points < surface.max(0))).all(1)
    if not chosen.any():
        return 0.0
    distance = igl.signed_distance(
        np.ascontiguousarray(points[chosen]), surface, faces, sign_type=igl.SIGNED_DISTANCE_TYPE_PSEUDONORMAL
    )[0]
    return float(max(-distance.min(), 0))


def signed(points: NDArray, vertices: NDArray, faces: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Signed distance of (Q, 3) points to a closed surface, its gradient and the nearest points."""
    if not len(points):
        return np.zeros(0), np.zeros((0, 3)), np.zeros((0, 3))
    distance, _, point, normal = igl.signed_distance(
        np.ascontiguousarray(points), vertices, faces, sign_type=igl.SIGNED_DISTANCE_TYPE_PSEUDONORMAL
    )
    away = (points - point) * np.sign(distance)[:, None]
    length = np.linalg.norm(away, axis=1, keepdims=True)
    normal = np.where(length > 1e-5, away / np.maximum(length, 1e-12), normal)
    return distance, normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12), point
