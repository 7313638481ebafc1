# SPDX-License-Identifier: GPL-3.0-or-later
"""How skin gives way to hands, frame by frame: the tissue of `tissue_mesh`, linear about its rest.

The pictures' truth (`tissue.py`) follows large strains with Newton's method, which takes half a minute. Here the
stiffness is that of the resting head for the whole clip, factorised once; what is solved for in each frame are the
forces between hands and skin, which push and never pull, in the same planes of contact (`tissue_contact.py`). Of three
fingertips pressed 4 mm into a cheek the two differ by 0.2 mm on average within the dent, whose mean is 1.3 mm; of 8 mm
by 0.7 of 1.8. No clip presses deeper than 6 mm.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray
from scipy.sparse.linalg import splu
from scipy.spatial import cKDTree

from dice_core.body.openbody import SKIN, HandModel, head_model

from .tissue import REACH, lining
from .tissue_contact import Contact, Planes
from .tissue_energy import Elastic
from .tissue_mesh import Tissue, build_tissue, closed

ROUNDS = 4  # how often the planes of contact are found anew
ACTIVE_ROUNDS = 30
SETTLED = 4e-5  # metres
NEAR, NEARER = 0.03, 0.015  # metres from each other at which triangles, and points of them, are looked at
SOON = 0.001  # metres before a plane from which a point may come to it
NOWHERE = np.zeros(3)


class Close(Contact):
    """The same planes, found among what is near of the head and of the hand."""

    def __init__(self, head: NDArray, tissue: Tissue, free: NDArray, hand: NDArray, hand_faces: NDArray) -> None:
        super().__init__(head, tissue, free, hand, hand_faces)
        points = self.points = closed(head, head_model().solid)[0]
        self.solid = self.solid[_near(points, self.hand, NEAR)[self.solid].any(1)]
        self.hand_faces = self.hand_faces[_near(self.hand, points, NEAR)[self.hand_faces].any(1)]
        samples = (head[tissue.vertices][self.corners] * self.weights[:, :, None]).sum(1)
        chosen = _near(samples, self.hand, NEARER)
        self.corners, self.weights, self.area = self.corners[chosen], self.weights[chosen], self.area[chosen]
        chosen = _near(self.pins, points, NEARER)
        self.pins, self.pin_area = self.pins[chosen], self.pin_area[chosen]

    def surface(self, nodes: NDArray) -> NDArray:
        """As of any contact; what closes the neck stays."""
        points = self.points.copy()
        points[self.tissue.vertices] = nodes[: len(self.tissue.vertices)]
        return points


def _near(points: NDArray, others: NDArray, reach: float) -> NDArray[np.bool_]:
    return cKDTree(others).query(points, distance_upper_bound=reach)[0] < reach


class Flesh:
    """The tissue of a resting head (V, 3) around the places (P, 3) where hands come by."""

    def __init__(self, rest: NDArray, places: NDArray) -> None:
        model = head_model()
        moving = cKDTree(places).query(rest, distance_upper_bound=REACH)[0] < REACH
        moving[model.neck_rim] = False
        self.rest = rest
        self.tissue = build_tissue(rest, moving & (model.part == SKIN))
        tissue = self.tissue
        self.elastic = Elastic(tissue.nodes, tissue.wedges, tissue.tets, tissue.young, tissue.fixed, tissue.springs)
        stiffness = self.elastic.stiffness(tissue.nodes)
        self.solver = splu(stiffness, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0,
                           options={"SymmetricMode": True})  # fmt: skip
        skin = np.flatnonzero(self.elastic.free < 3 * len(tissue.vertices))
        self.skin = skin  # the coordinates of skin among the free ones
        self.answers: dict[int, NDArray] = {}

    def give_way(self, head: NDArray, hands: list[tuple[HandModel, NDArray]], before: NDArray | None = None) -> NDArray:
        """(V, 3) displacement of a head (V, 3) in the axes and place of the resting one, its expression on, when hands
        (H, 3) are where they are; `before` is that of the frame before, to start from."""
        tissue, count = self.tissue, len(self.tissue.vertices)
        nodes = tissue.nodes.copy()
        nodes[:count] = head[tissue.vertices]
        contacts = [Close(head, tissue, self.elastic.free, hand, model.faces) for model, hand in hands]
        moved = np.zeros((count, 3)) if before is None else before[tissue.vertices].copy()
        for _ in range(ROUNDS):
            placed = nodes.copy()
            placed[:count] += moved
            planes = [contact.planes(placed, NOWHERE) for contact in contacts]
            answer = self._solved(nodes, placed, planes)
            change = np.abs(answer - moved).max()
            moved = answer
            if change < SETTLED:
                break
        displacement = np.zeros_like(head)
        displacement[tissue.vertices] = moved
        return displacement + lining(head, displacement)

    def _solved(self, nodes: NDArray, placed: NDArray, planes: list[Planes]) -> NDArray:
        """(S, 3) how the skin at `nodes` comes to rest under forces that keep it in front of the planes, which are of
        where it is `placed` now."""
        moved, free = np.zeros((len(self.tissue.vertices), 3)), self.elastic.free
        matrix = sparse.vstack([one.matrix for one in planes]).tocsr()
        offset, strength = (np.concatenate([getattr(one, name) for one in planes]) for name in ("offset", "strength"))
        soon = matrix @ placed.ravel()[free] - offset < SOON
        matrix, offset, strength = matrix[soon], offset[soon], strength[soon]
        gap = matrix @ nodes.ravel()[free] - offset
        if not len(gap) or gap.min() >= 0:
            return moved
        used = np.unique(matrix.indices)
        levers = matrix[:, used].toarray()
        reply = np.stack([self._answer(column) for column in used], 1)  # (skin, used)
        among = np.searchsorted(self.skin, used)
        compliance = reply[among]
        force = _forces(levers, compliance, 1 / strength, gap)
        moved.ravel()[free[self.skin]] = reply @ (levers.T @ force)
        return moved

    def _answer(self, column: int) -> NDArray:
        """How the skin's free coordinates move under a unit force on one of them."""
        if column not in self.answers:
            force = np.zeros(len(self.elastic.free))
            force[column] = 1
            self.answers[column] = self.solver.solve(force)[self.skin]
        return self.answers[column]


def _forces(levers: NDArray, compliance: NDArray, slack: NDArray, gap: NDArray) -> NDArray:
    """(P,) forces >= 0 of planes whose gaps, (P,) without any force, become no smaller than minus slack times force.

    An active set: planes that push are solved for together, those that would pull are let go, those that are passed
    through are taken in.
    """
    active, force = gap < 0, np.zeros(len(gap))
    for _ in range(ACTIVE_ROUNDS):
        rows = levers[active]
        system = rows @ compliance @ rows.T + np.diag(slack[active])
        force[:] = 0
        force[active] = np.linalg.solve(system, -gap[active])
        left = gap + levers @ (compliance @ (levers.T @ force))
        now = np.where(active, force > 0, left < 0)
        if (now == active).all():
            break
        active = now
    return np.maximum(force, 0)
