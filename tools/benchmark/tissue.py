# SPDX-License-Identifier: GPL-3.0-or-later
"""A rigid hand pressed into a face of soft tissue, by finite elements: true deformations for a benchmark.

Made to share nothing with dice_core/interaction/deform.py but the head's topology: tetrahedra between skin and skull
(tissue_mesh.py), a hyperelastic law (tissue_energy.py), contact without friction (tissue_contact.py). The hand starts
off the skin and moves in by small steps; at each, Newton's method brings the tissue to rest.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import igl
import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray
from scipy.sparse.linalg import splu
from scipy.spatial import cKDTree

from dice_core.body.openbody import EYE_CAVITY, MOUTH, SKIN, head_model

from .tissue_contact import Contact, Planes, depth_of
from .tissue_energy import Elastic
from .tissue_mesh import build_tissue, closed

REACH = 0.06  # metres from the pressed skin that may move
STEP = 0.0015  # metres per step of the hand
FARTHEST = 0.03  # metres that the hand is backed off at most
ROUNDS, LAST_ROUNDS = 3, 15  # Newton iterations of a step, and of the last
FROZEN = 6  # iterations in which the planes of contact are found anew; they may alternate between two triangles
SETTLED = 3e-5  # metres: a Newton step that is rest
ALLOWED = 5e-4  # metres of penetration at the end
HOPELESS = 2e-3  # metres of penetration on the way: bone
LURCH = 0.005  # metres that skin may move farther than the hand: more is a fold that flipped over, as in thin ears
LEAP = 0.004  # metres a node may move in an iteration
LINING = {MOUTH: 0.006, EYE_CAVITY: 0.004}  # metres over which the linings stop to follow lips and eyelids

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pressed:
    """What a press leaves.

    Attributes
    ----------
    displacement
        (V, 3) metres to add to the head's vertices.
    penetration
        How deep the deepest vertex of the hand still lies in the head, metres.
    volume_change
        Of the tissue that can move, relative.
    steps
        Of the hand.
    converged
        Whether the tissue came to rest, no more than ALLOWED penetrates, and no fold flipped over. False where the bone
        is in the way; the displacement then is where the press was given up.
    """

    displacement: NDArray
    penetration: float
    volume_change: float
    steps: int
    converged: bool


def press(head_vertices: NDArray, hand_vertices: NDArray, hand_faces: NDArray, away: NDArray) -> Pressed:
    """Press a rigid hand into a head.

    Parameters
    ----------
    head_vertices
        (V, 3) metres, camera space: the open head, undeformed, of anybody in any pose.
    hand_vertices, hand_faces
        (H, 3) metres, the hand where it ends up; (F, 3), wound so that normals point outward.
    away
        (3,) the direction in which the hand came, from the skin.
    """
    head, hand = np.asarray(head_vertices, np.float64), np.asarray(hand_vertices, np.float64)
    away = np.asarray(away, np.float64) / np.linalg.norm(away)
    still = np.zeros_like(head)
    surface, faces = closed(head, head_model().solid)
    deepest = depth_of(surface, faces, hand)
    if deepest == 0:
        return Pressed(still, 0.0, 0.0, 0, True)
    back = _backing(surface, faces, hand, away)
    if back is None:
        return Pressed(still, deepest, 0.0, 0, False)
    tissue = build_tissue(head, _region(head, surface, faces, hand))
    elastic = Elastic(tissue.nodes, tissue.wedges, tissue.tets, tissue.young, tissue.fixed, tissue.springs)
    contact = Contact(head, tissue, elastic.free, hand, np.asarray(hand_faces))
    steps = max(int(np.ceil(back / STEP)), 2)
    nodes, settled = _advance(elastic, contact, back * away, steps)
    displacement = still.copy()
    count = len(tissue.vertices)
    displacement[tissue.vertices] = nodes[:count] - tissue.nodes[:count]
    displacement += lining(head, displacement)
    penetration = depth_of(closed(head + displacement, head_model().solid)[0], faces, hand)
    swelling = float((elastic.volume * (elastic.ratios(nodes) - 1)).sum() / elastic.volume.sum())
    calm = bool(np.linalg.norm(displacement, axis=1).max() <= back + LURCH)
    return Pressed(displacement, penetration, swelling, steps, settled and calm and penetration <= ALLOWED)


def _backing(surface: NDArray, faces: NDArray, hand: NDArray, away: NDArray) -> float | None:
    """How far the hand backs off until it is free of the head."""
    for distance in np.arange(0.001, FARTHEST, 0.001):
        if depth_of(surface, faces, hand + distance * away) == 0:
            return float(distance)
    return None


def _region(head: NDArray, surface: NDArray, faces: NDArray, hand: NDArray) -> NDArray:
    """(V,) the skin within REACH of where the hand touches."""
    distance, _, point, _ = igl.signed_distance(
        hand, surface, faces, sign_type=igl.SIGNED_DISTANCE_TYPE_PSEUDONORMAL
    )
    model = head_model()
    near = cKDTree(point[distance < 0]).query(head, distance_upper_bound=REACH)[0] < REACH
    near[model.neck_rim] = False
    return near & (model.part == SKIN)


def _advance(elastic: Elastic, contact: Contact, start: NDArray, steps: int) -> tuple[NDArray, bool]:
    """The nodes when the hand has moved in from `start`, and whether they are at rest."""
    nodes, settled = elastic.rest.copy(), False
    for step in range(1, steps + 1):
        shift = start * (1 - step / steps)
        rounds = LAST_ROUNDS if step == steps else ROUNDS
        for round_ in range(rounds):
            if round_ == 0 or step == steps:
                stiffness = elastic.stiffness(nodes)
            if round_ < FROZEN:
                planes = contact.planes(nodes, shift)
            nodes, moved = _newton(elastic, planes, nodes, stiffness)
            settled = moved < (SETTLED if step == steps else 5 * SETTLED)
            if settled:
                break
        left = contact.penetration(nodes, shift)
        log.debug("step %d/%d: %d rounds, moved %.1e m, left %.2f mm", step, steps, round_ + 1, moved, 1000 * left)
        if left > HOPELESS:
            return nodes, False
    return nodes, settled


def _newton(elastic: Elastic, planes: Planes, nodes: NDArray, stiffness: sparse.csc_matrix) -> tuple[NDArray, float]:
    """One iteration: the nodes after it, and how far the farthest moved."""
    free = nodes.ravel()[elastic.free]
    slope = elastic.forces(nodes) + planes.forces(free)
    matrix = (stiffness + planes.stiffness(free)).tocsc()
    solver = splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    step = -solver.solve(slope)
    longest = np.abs(step).max()
    step *= min(1, LEAP / max(longest, 1e-12))
    before = elastic.energy(nodes) + planes.energy(free)
    share = 1.0
    while share > 1e-3:
        trial = nodes.copy()
        trial.ravel()[elastic.free] = free + share * step
        after = elastic.energy(trial) + planes.energy(free + share * step)
        if after <= before + 1e-4 * share * (slope @ step) or abs(after - before) < 1e-13:
            return trial, float(share * np.abs(step).max())
        share /= 2
    return nodes, 0.0 if longest < SETTLED else float(longest)


def lining(head: NDArray, displacement: NDArray) -> NDArray:
    """(V, 3) how the linings of mouth and eye sockets follow the skin at their rims, less with every millimetre."""
    model, result = head_model(), np.zeros_like(head)
    ends = np.vstack([model.faces[:, [0, 1]], model.faces[:, [1, 2]], model.faces[:, [2, 0]]])
    length = np.maximum(np.linalg.norm(head[ends[:, 0]] - head[ends[:, 1]], axis=1), 1e-4)
    linked = sparse.csr_matrix((1 / length, (ends[:, 0], ends[:, 1])), (len(head),) * 2)
    linked = linked.maximum(linked.T)
    own = np.asarray((linked > 0).astype(float).multiply(linked.power(-1)).sum(1)).ravel()  # lengths of the edges
    for part, reach in LINING.items():
        inside = np.flatnonzero(model.part == part)
        rim = np.flatnonzero(model.part == SKIN)
        rows = linked[inside]
        degree = np.asarray(rows.sum(1)).ravel()
        screened = sparse.diags(degree + own[inside] / (2 * reach**2)) - rows[:, inside]
        result[inside] = splu(screened.tocsc()).solve(rows[:, rim] @ displacement[rim])
    return result
