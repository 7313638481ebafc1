# SPDX-License-Identifier: GPL-3.0-or-later
"""Soft tissue between skin and skull as tetrahedra: how thick and how stiff the face is, by place.

The skin is extruded inward in layers of wedges, three tetrahedra each. Where the tissue reaches the bone its innermost
nodes are fixed. Where the skin is too curved to be extruded that far (lips, nose, ears), the tissue that is missing
below becomes springs: to the bone, or, in folds such as the ear, to the innermost nodes of the opposite side.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import igl
import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from dice_core.body.openbody import SKIN, head_model

# Millimetres of tissue over the bone, after tables of facial soft-tissue depths of adults, and Young's modulus in kPa;
# for the places where MediaPipe's landmarks lie. Over gristle and eyeballs: what gives way, not what is there.
PLACES = [
    (4.5, 45, (10, 151, 67, 297, 103, 332, 109, 338, 69, 299)),  # forehead
    (5.5, 40, (9, 8, 105, 334, 70, 300, 107, 336)),  # glabella and brows
    (6.0, 35, (168,)),  # root of the nose
    (3.5, 35, (6, 197, 122, 351)),  # bridge
    (6.5, 35, (195, 5, 198, 420)),  # gristle from here on
    (10.0, 35, (4, 1, 44, 274, 129, 358, 98, 327, 48, 278)),  # tip and wings
    (11.0, 20, (2, 164, 165, 391)),  # philtrum
    (12.0, 15, (0, 17, 13, 14, 37, 267, 84, 314, 39, 269, 181, 405)),  # lips
    (13.0, 15, (61, 291, 57, 287, 18, 83, 313)),  # corners, and below the lower lip
    (10.5, 25, (200, 199, 175, 201, 421)),  # chin
    (8.5, 25, (152, 148, 377)),
    (12.0, 25, (150, 379, 136, 365, 172, 397)),  # jaw
    (16.0, 20, (58, 288, 132, 361)),  # gonion
    (20.0, 12, (205, 425, 187, 411, 207, 427, 216, 436, 214, 434, 192, 416, 213, 433)),  # cheek
    (14.0, 15, (36, 266, 206, 426, 50, 280, 203, 423)),
    (8.5, 25, (116, 345, 117, 346, 123, 352, 111, 340)),  # cheekbone
    (9.0, 30, (127, 356, 162, 389, 21, 251, 139, 368)),  # temple
    (12.0, 25, (234, 454, 93, 323)),  # in front of the ear
    (5.0, 12, (159, 386, 145, 374, 230, 450, 27, 257, 23, 253, 33, 263, 133, 362)),  # eyelids
]
ELSEWHERE = [  # the same, at points of the mean head: scalp, nape, neck
    (6.0, 50, ((0, -0.159, 0), (0, -0.05, 0.095), (0.07, -0.09, 0.03), (-0.07, -0.09, 0.03), (0, -0.14, -0.06))),
    (15.0, 20, ((0, 0.09, -0.05), (0.05, 0.07, -0.02), (-0.05, 0.07, -0.02), (0, 0.06, 0.07))),
]
GRISTLE = 60e3  # Pa: the core of folds
LAYERS = np.array([0.0, 0.28, 0.6, 1.0])  # depth of the nodes, of the extruded thickness
POISSON = 0.47
DIRECTIONS = 4  # rounds of smoothing of the normals along which the skin is extruded
LEAST = 3e-4  # metres of extrusion
MARGIN = 5e-4  # metres of missing tissue that count as bone


@dataclass(frozen=True)
class Tissue:
    """The tissue below a part of the skin.

    Attributes
    ----------
    vertices
        (S,) the head's vertices of the outermost nodes. Node layer * S + i lies below vertex i.
    nodes, fixed
        (N, 3) metres at rest, (N,) which of them never move.
    wedges, tets
        (W, 6) nodes, (W, 3, 4) corners of the three tetrahedra among the six.
    young
        (W,) Pa.
    springs
        (N, N) N/m, acts on displacements.
    faces
        (F, 3) skin triangles as outermost nodes.
    """

    vertices: NDArray
    nodes: NDArray
    fixed: NDArray
    wedges: NDArray
    tets: NDArray
    young: NDArray
    springs: sparse.csr_matrix
    faces: NDArray


@lru_cache(maxsize=1)
def tissue_maps() -> tuple[NDArray, NDArray]:
    """(V,) thickness in metres and (V,) Young's modulus in Pa, of the open head's vertices."""
    model = head_model()
    marks = model.landmarks(model.mean)
    rows = [(marks[i], depth, young) for depth, young, places in PLACES for i in places]
    rows += [(np.array(point), depth, young) for depth, young, places in ELSEWHERE for point in places]
    points = np.array([point for point, _, _ in rows])
    values = np.array([(depth * 1e-3, young * 1e3) for _, depth, young in rows])
    distance = np.linalg.norm(model.mean[:, None] - points, axis=2)
    weights = 1 / (distance**2 + 0.004**2) ** 2
    spread = weights @ np.log(values) / weights.sum(1, keepdims=True)
    mirrored = cKDTree(model.mean).query(model.mean * [-1, 1, 1])[1]
    spread = (spread + spread[mirrored]) / 2
    average = averaging(model.faces, len(model.mean))
    for _ in range(3):
        spread = average @ spread
    return np.exp(spread[:, 0]), np.exp(spread[:, 1])


def averaging(faces: NDArray, count: int) -> sparse.csr_matrix:
    """The matrix that replaces each vertex by the mean of itself and its neighbours."""
    ends = np.vstack([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    both = np.vstack([ends, ends[:, ::-1]])
    linked = sparse.csr_matrix((np.ones(len(both)), (both[:, 0], both[:, 1])), (count, count))
    linked = (linked > 0).astype(float) + sparse.identity(count)
    return (sparse.diags(1 / np.asarray(linked.sum(1)).ravel()) @ linked).tocsr()


def closed(vertices: NDArray, faces: NDArray) -> tuple[NDArray, NDArray]:
    """A mesh with its holes filled by fans around their middles: vertices with those middles, faces."""
    ends = np.vstack([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    count = len(vertices)
    border = ends[~np.isin(ends @ [count, 1], ends[:, ::-1] @ [count, 1])]
    if not len(border):
        return vertices, faces
    graph = sparse.csr_matrix((np.ones(len(border)), (border[:, 0], border[:, 1])), (count, count))
    hole = connected_components(graph, directed=False)[1][border[:, 0]]
    names, hole = np.unique(hole, return_inverse=True)
    middles = np.array([vertices[border[hole == k, 0]].mean(0) for k in range(len(names))])
    fans = np.column_stack([border[:, ::-1], count + hole])
    return np.vstack([vertices, middles]), np.vstack([faces, fans])


def build_tissue(head: NDArray, moving: NDArray) -> Tissue:
    """The tissue under the skin vertices that may move, (V,) bool, and a ring of fixed ones around."""
    model = head_model()
    skin = model.faces[(model.part[model.faces] == SKIN).all(1)]
    chosen = skin[moving[skin].any(1)]
    vertices, faces = np.unique(chosen, return_inverse=True)
    faces = faces.reshape(-1, 3)
    thickness, young = tissue_maps()
    inward, depth = _extrusion(head, skin, vertices, faces, thickness[vertices])
    nodes = np.vstack([head[vertices] + level * depth[:, None] * inward for level in LAYERS])
    wedges, tets = wedges_of(faces, len(vertices), len(LAYERS) - 1)
    fixed = np.tile(~moving[vertices], len(LAYERS))
    sound = (tet_volumes(nodes, wedges, tets) > 0).all(1)
    fixed[wedges[~sound]] = True  # a few at the corners of the eyes
    missing = thickness[vertices] - depth
    innermost = np.arange(len(vertices)) + len(vertices) * (len(LAYERS) - 1)
    fixed[innermost[missing < MARGIN]] = True
    springs = _springs(nodes, innermost, faces, missing, young[vertices], inward)
    wedge_young = np.tile(young[vertices][faces].mean(1), len(LAYERS) - 1)
    return Tissue(vertices, nodes, fixed, wedges[sound], tets[sound], wedge_young[sound], springs, faces)


def wedges_of(faces: NDArray, count: int, layers: int) -> tuple[NDArray, NDArray]:
    """(W, 6) nodes, (W, 3, 4) corners among the six, of `layers` layers of `count` nodes each, the first outside.

    Triangles point outward. Sorting by vertex makes neighbours split their common side along the same diagonal.
    """
    order = np.argsort(faces, axis=1)
    a, b, c = np.take_along_axis(faces, order, 1).T
    even = np.isin((order[:, 1] - order[:, 0]) % 3, 1)
    wedge = np.column_stack([a, b, c, a + count, b + count, c + count])
    split = np.array([[0, 1, 2, 5], [0, 1, 5, 4], [0, 3, 4, 5]])
    flipped = split[:, [0, 2, 1, 3]]
    corners = np.where(even[:, None, None], flipped, split)
    return np.vstack([wedge + layer * count for layer in range(layers)]), np.tile(corners, (layers, 1, 1))


def tet_volumes(nodes: NDArray, wedges: NDArray, tets: NDArray) -> NDArray:
    """(W, 3) cubic metres, positive where not turned inside out."""
    corners = nodes[np.take_along_axis(wedges[:, None, :].repeat(3, 1), tets, 2)]
    return np.linalg.det(corners[:, :, 1:] - corners[:, :, :1]) / 6


def _extrusion(head: NDArray, skin: NDArray, vertices: NDArray, faces: NDArray,
               thickness: NDArray) -> tuple[NDArray, NDArray]:
    """Directions into the head, (S, 3), and how far to go: to the bone or as far as the wedges stay sound, (S,)."""
    inward = _directions(head, skin)[vertices]
    depth = _room(head, vertices, inward, thickness)
    average, count = averaging(faces, len(vertices)), len(vertices)
    wedges, tets = wedges_of(faces, count, 1)
    area = igl.doublearea(head, vertices[faces]) / 2
    for _ in range(60):
        depth = np.minimum(depth, 1.5 * (average @ depth))
        nodes = np.vstack([head[vertices], head[vertices] + depth[:, None] * inward])
        slab = (area * depth[faces].mean(1) / 3)[:, None]
        poor = (tet_volumes(nodes, wedges, tets) < 0.1 * slab).any(1)
        if not poor.any():
            break
        shrink = np.ones(count)
        shrink[faces[poor].ravel()] = 0.85
        depth = np.maximum(depth * shrink, LEAST)
    return inward, depth


def _directions(head: NDArray, skin: NDArray) -> NDArray:
    """(V, 3) smoothed normals, inward; less smoothed where they would leave the cone of the triangles around."""
    normals = igl.per_face_normals(head, skin)
    average, corner = averaging(skin, len(head)), skin.ravel()
    smooth = igl.per_vertex_normals(head, skin, igl.PER_VERTEX_NORMALS_WEIGHTING_TYPE_ANGLE)
    best, agreement = smooth.copy(), np.full(len(head), -1.0)
    for level in range(-8, DIRECTIONS + 1):  # first lean towards the triangles that agree least, then smooth
        worst = np.ones(len(head))
        dots = (smooth[skin] * normals[:, None]).sum(2)
        np.minimum.at(worst, corner, dots.ravel())
        better = (worst > agreement) if level <= 0 else (worst > 0.5)
        best[better], agreement[better] = smooth[better], worst[better]
        if level < 0:
            lean = np.zeros_like(smooth)
            np.add.at(lean, corner, (np.maximum(0.6 - dots, 0)[:, :, None] * normals[:, None]).reshape(-1, 3))
            smooth = best + 0.5 * lean
        else:
            smooth = average @ best
        smooth /= np.maximum(np.linalg.norm(smooth, axis=1, keepdims=True), 1e-12)
    return -best


def _room(head: NDArray, vertices: NDArray, inward: NDArray, thickness: NDArray) -> NDArray:
    """(S,) how far one can go before another side of the skin comes nearer than the side one comes from."""
    points, faces = closed(head, head_model().solid)
    depth = np.full(len(vertices), LEAST)
    open_ = np.ones(len(vertices), bool)
    for share in (0.15, 0.3, 0.45, 0.6, 0.8, 1.0):
        reach = share * thickness[open_]
        below = head[vertices][open_] + reach[:, None] * inward[open_]
        clear = -igl.signed_distance(below, points, faces, sign_type=igl.SIGNED_DISTANCE_TYPE_FAST_WINDING_NUMBER)[0]
        passed = clear > 0.7 * reach
        index = np.flatnonzero(open_)
        depth[index[passed]] = np.maximum(reach[passed], LEAST)
        open_[index[~passed]] = False
    return depth


def _springs(nodes: NDArray, innermost: NDArray, faces: NDArray, missing: NDArray, young: NDArray,
             inward: NDArray) -> sparse.csr_matrix:
    """Springs in place of the tissue that could not be extruded: modulus x area / length."""
    count, bottom = len(innermost), nodes[innermost]
    area = np.bincount(faces.ravel(), np.repeat(igl.doublearea(bottom, faces) / 6, 3), count)
    near, index = cKDTree(bottom).query(bottom, k=24)
    opposite = ((inward[index] * inward[:, None]).sum(2) < -0.3) & (near > 0)
    opposite &= ((bottom[index] - bottom[:, None]) * inward[:, None]).sum(2) > 0.3 * near
    first = opposite.argmax(1)
    gap = near[np.arange(count), first]
    tied = opposite.any(1) & (gap < 2 * missing) & (missing > MARGIN)
    start = np.flatnonzero(tied)
    end = index[start, first[start]]
    strength = GRISTLE * area[start] / np.maximum(gap[start], 5e-4)
    ground = young * area / np.maximum(missing, MARGIN)
    ground[tied] *= 0.1
    one, other = innermost[start], innermost[end]
    rows = np.concatenate([one, other, one, other, innermost])
    columns = np.concatenate([one, other, other, one, innermost])
    values = np.concatenate([strength, strength, -strength, -strength, ground])
    return sparse.csr_matrix((values, (rows, columns)), (len(nodes), len(nodes)))
