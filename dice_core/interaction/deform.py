# SPDX-License-Identifier: GPL-3.0-or-later
"""How the skin of the head gives way to hands: pushed out of them, never pulled.

The hands push on the skin where they would be inside, along their own normals. How strongly is a linear
complementarity problem: no force is negative, and none acts where the skin has already left the hand. It is solved as
non-negative least squares (Lawson and Hanson 1974), anew in each round, together with what was found at the surface as
it was in the rounds before: without, places would take turns at being freed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import igl
import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray
from scipy.optimize import nnls
from scipy.spatial import cKDTree

from .distance import Nearest, Surface
from .sheet import Flesh, Part, Sheet, Skin

REACH = 0.05  # metres from the pressed skin that may move along
Pushes: TypeAlias = tuple[sparse.csr_matrix, NDArray, NDArray]  # what is pushed, unit vectors along which, metres
DEEPEST = 0.03  # metres: a point deeper than this is on the far side of something
WATCHED = 0.006  # metres before the skin from which a hand's points cannot come to be inside
CLOSE = 0.02  # metres before the skin of a hand's vertices about which more points are looked at
NEAR = 0.002  # metres from a hand within which skin is watched, so that it does not move into it
ROUNDS = 4
OPPOSITE = -0.1  # cosine between the normals of surfaces that face each other
TOLERANCE = 0.0002  # metres of penetration that need no further round
LIMIT = 0.015  # metres
FARTHER, SLACK = 1.3, 0.001  # no skin moves farther than so many times as deep as it is pressed, and so many metres
YIELDING = 2e-4  # of the compliance, added to it: many points push on few vertices


def deformation(
    flesh: Flesh, vertices: NDArray, head: Surface, hands: Sequence[Surface], skin: Skin | None = None
) -> NDArray[np.float32]:
    """The displacement that frees a head from hands pressed into it.

    Parameters
    ----------
    flesh
        What of the head gives way.
    vertices, head
        (V, 3) metres without deformation, and their surface.
    hands
        The surfaces of the hands.
    skin
        Of this head, if it is known from other frames: that is faster, also since it remembers the frame before. The
        vertices must be turned as it is.

    Returns
    -------
    (V, 3) metres to add to the vertices; exactly zero when nothing penetrates, or nothing can move.
    """
    return given_way(flesh, vertices, head, hands, skin)[0]


def given_way(
    flesh: Flesh, vertices: NDArray, head: Surface, hands: Sequence[Surface], skin: Skin | None = None
) -> tuple[NDArray[np.float32], float]:
    """`deformation`, and how deep a hand is still in the skin, in metres, as far as the skin can move."""
    result = np.zeros_like(vertices)
    points, facing, nearest = near_points(head, hands[0])
    for hand in hands[1:]:
        more = near_points(head, hand)
        points, facing, nearest = np.vstack([points, more[0]]), np.vstack([facing, more[1]]), nearest + more[2]
    inside = (nearest.distance < 0) & (nearest.distance > -DEEPEST) & ~nearest.on_cap
    if not inside.any():
        return result.astype(np.float32), 0.0
    pressed = cKDTree(nearest.point[inside])
    region = np.flatnonzero(flesh.movable & np.isfinite(pressed.query(vertices, distance_upper_bound=REACH)[0]))
    if not len(region):  # only what is hard, or still, is pressed
        return result.astype(np.float32), 0.0
    sheet = Sheet(flesh, vertices, region) if skin is None else skin.part(vertices, region)
    if not len(sheet.skin_faces):
        return result.astype(np.float32), 0.0
    near = (nearest.distance < WATCHED) & (nearest.distance > -DEEPEST)
    watched = points[near], facing[near]
    depth = -float(nearest.distance[inside].min())
    limit = min(LIMIT, FARTHER * depth + SLACK)
    meant = [_may_touch(sheet, head, hand, limit) for hand in hands]
    pushed = np.zeros((len(region), 3)) if skin is None else skin.pushed[region]
    moved = _capped(sheet.settled(pushed), limit) if pushed.any() else pushed
    surface = Surface(vertices, sheet.skin_faces)
    best, least = (pushed, moved), np.inf
    known: list[Pushes] = []
    for number in range(ROUNDS + 1):
        current = vertices.copy()
        current[region] += moved
        touching = [_hand_in_skin(sheet, surface.moved(current), *watched, limit)]
        touching += [_skin_in_hand(sheet, current, *pair, limit) for pair in zip(hands, meant, strict=True)]
        rows, normals, distance = _together(touching)
        deepest = -float(distance.min(initial=0))
        fresh = number > 0 or not pushed.any()  # what was pushed in the frame before may be too much now
        if fresh and deepest < least:  # folded skin can turn over: the best of all rounds counts
            best, least = (pushed, moved), deepest
        if number == ROUNDS or (fresh and deepest < TOLERANCE):
            break
        known.append((rows, normals, (normals * (rows @ pushed)).sum(1) - distance))
        pushed = _capped(_push(sheet, *_together(known)), limit)
        moved = _capped(sheet.settled(pushed), limit)
    result[region] = best[1]
    if skin is not None:
        skin.remember(region, best[0])
    return result.astype(np.float32), least


def near_points(head: Surface, hand: Surface) -> tuple[NDArray, NDArray, Nearest]:
    """Of `dense` those that may matter, and the head's nearest points: centres of faces only where the hand is at the
    skin."""
    near = head.near(hand)
    close = (near.nearest.distance < CLOSE) & (near.nearest.distance > -DEEPEST)
    vertices = near.chosen[close]
    at_skin = np.zeros(len(hand.vertices), bool)
    at_skin[vertices] = True
    centres = len(hand.vertices) + np.flatnonzero(at_skin[hand.faces].any(1))
    points, facing = dense(hand)
    chosen = np.r_[vertices, centres]
    return points[chosen], facing[chosen], near.nearest[close] + head.nearest(points[centres])


def _capped(vectors: NDArray, limit: float) -> NDArray:
    """(N, 3) none longer than `limit`."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors * np.minimum(1, limit / np.maximum(length, 1e-12))


def dense(hand: Surface) -> tuple[NDArray, NDArray]:
    """Vertices and face centres, dense enough that no head vertex slips between, and the unit normals there."""
    centres = hand.vertices[hand.faces].mean(1)
    normals = hand.vertex_normals, igl.per_face_normals(hand.vertices, hand.faces)
    return np.vstack([hand.vertices, centres]), np.vstack(normals)


def _hand_in_skin(sheet: Sheet | Part, skin: Surface, points: NDArray, facing: NDArray, deepest: float
                  ) -> Pushes:  # fmt: skip
    """Points of hands in or near the skin: rows that interpolate the skin there, where to push it, signed distance.

    Only where the two face each other and are no deeper than skin moves, or the far side of a lid would seem to be
    inside. One for each face, the deepest: more would say the same again.
    """
    nearest = skin.nearest(points)
    opposite = (nearest.normal * facing).sum(1) < OPPOSITE
    touching = opposite & (nearest.distance < NEAR) & (nearest.distance > -deepest) & ~skin.at_border(nearest)
    near = np.flatnonzero(touching)[np.argsort(nearest.distance[touching])]
    near = near[np.unique(nearest.face[near], return_index=True)[1]]
    corners = sheet.index[sheet.skin_faces[nearest.face[near]]]
    entries = np.repeat(np.arange(len(near)), 3), corners.ravel()
    rows = sparse.csr_matrix((skin.barycentric(nearest)[near].ravel(), entries), (len(near), len(sheet.region)))
    return rows, -nearest.normal[near], nearest.distance[near]


def _may_touch(sheet: Sheet | Part, head: Surface, hand: Surface, limit: float) -> NDArray[np.int64]:
    """Vertices of the region's skin that no more than the limit keeps from a hand."""
    near = hand.near(head)
    close = np.zeros(len(head.vertices), bool)
    close[near.chosen[near.nearest.distance < limit + NEAR]] = True
    return np.flatnonzero(sheet.skin & close[sheet.region])


def _skin_in_hand(sheet: Sheet | Part, current: NDArray, hand: Surface, mine: NDArray, deepest: float
                  ) -> Pushes:  # fmt: skip
    """The same for some vertices of the skin in or near a hand."""
    if not len(mine):
        return sparse.csr_matrix((0, len(sheet.region))), np.zeros((0, 3)), np.zeros(0)
    nearest = hand.nearest(current[sheet.region[mine]])
    near = (nearest.distance < NEAR) & (nearest.distance > -deepest) & ~nearest.on_cap
    entries = np.arange(near.sum()), mine[near]
    rows = sparse.csr_matrix((np.ones(near.sum()), entries), (near.sum(), len(sheet.region)))
    return rows, nearest.normal[near], nearest.distance[near]


def _together(pushes: list[Pushes]) -> Pushes:
    return (sparse.vstack([one[0] for one in pushes]).tocsr(), np.concatenate([one[1] for one in pushes]),
            np.concatenate([one[2] for one in pushes]))  # fmt: skip


def _push(sheet: Sheet | Part, rows: sparse.csr_matrix, normals: NDArray, needed: NDArray) -> NDArray:
    """(N, 3) the sheet's displacement under the forces that move what `rows` interpolate by the metres `needed` along
    the normals, or farther."""
    if not len(needed):  # the hand has left where it was in the frame before
        return np.zeros((len(sheet.region), 3))
    answers = sheet.answers(rows)
    compliance = (rows @ answers) * (normals @ normals.T)
    compliance += YIELDING * np.trace(compliance) / len(compliance) * np.eye(len(compliance))
    root = np.linalg.cholesky(compliance)
    force, _ = nnls(root.T, np.linalg.solve(root, needed), maxiter=10 * len(needed))
    return answers @ (force[:, None] * normals)
