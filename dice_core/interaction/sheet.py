# SPDX-License-Identifier: GPL-3.0-or-later
"""Skin as an elastic sheet over tissue that keeps its volume, held by the skull.

A force on the skin moves it by v = C f, C being the inverse of

    K + M / l^2        K the cotangent Laplacian, M the area of each vertex, l how far a dent reaches (metres),

short where the skin is tight over bone. What is pressed in flows aside: with psi = C2 M (-v.n), of a reach l2,

    u = v + FLOW (-l2 grad psi / l2^2) + BULGE (psi / l2^2) n

so the skin around the dent moves outward, and rises a little. K, M and C2 as in Botsch and Sorkine, "On linear
variational surface deformation methods" (2008); the flow is a first-order account of an incompressible layer on bone.
"""

from __future__ import annotations

from dataclasses import dataclass

import igl
import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray
from scipy.sparse.linalg import SuperLU, splu

from ..body.openbody import EYEBALL, SKIN, TONGUE, HeadModel

TIGHT, SOFT = 0.003, 0.006  # metres that a dent reaches: over bone, and more in the softest skin
LINING = 0.003  # of mouth and eye sockets, which follow the rims
FLOWS = 0.008  # metres over which what is pressed in flows aside
FLOW, BULGE = 0.75, 0.3
PRESS_FLOOR, PRESS_SOFT = 0.001, 0.004  # metres that skin over bone and the softest skin may be pressed in


@dataclass(frozen=True)
class Flesh:
    """What of a head gives way.

    Attributes
    ----------
    faces
        (F, 3) all of the head.
    skin, movable
        (V,) what hands touch; what may move: skin, and the linings of mouth and eye sockets that hang on it.
    softness
        (V,) 0..1.
    """

    faces: NDArray
    skin: NDArray[np.bool_]
    movable: NDArray[np.bool_]
    softness: NDArray


def flesh_of(model: HeadModel) -> Flesh:
    """Of the open head: neither eyeballs nor tongue move, nor where the neck was cut."""
    movable = (model.part != EYEBALL) & (model.part != TONGUE)
    movable[model.neck_rim] = False
    return Flesh(model.faces, model.part == SKIN, movable, model.softness)


def allowed_press(model: HeadModel) -> NDArray:
    """(F,) metres that each of the solid faces of the open head may be pressed in."""
    softness = np.where(model.part == SKIN, model.softness, 0.0)
    return PRESS_FLOOR + PRESS_SOFT * softness[model.solid].mean(1)


class Sheet:
    """A region of a posed head.

    Parameters
    ----------
    flesh, vertices
        A head, and where its (V, 3) vertices are, metres.
    region
        (N,) vertices that may move; all around stays.

    Attributes
    ----------
    skin_faces
        (G, 3) faces of skin all of whose vertices may move, as indices into the head's vertices.
    """

    def __init__(self, flesh: Flesh, vertices: NDArray, region: NDArray) -> None:
        self.region = region
        self.index = np.full(len(vertices), -1)
        self.index[region] = np.arange(len(region))
        touching = flesh.faces[(self.index[flesh.faces] >= 0).any(1)]
        used, local = np.unique(touching, return_inverse=True)
        local = local.reshape(-1, 3)
        mine = np.searchsorted(used, region)
        laplacian = -igl.cotmatrix(vertices[used], local)
        self.area = igl.massmatrix(vertices[used], local, igl.MASSMATRIX_TYPE_BARYCENTRIC).diagonal()[mine]
        self.normals = igl.per_vertex_normals(vertices[used], local)[mine]
        self.skin = flesh.skin[region]
        reach = np.where(self.skin, TIGHT + SOFT * flesh.softness[region], LINING)
        stiffness = laplacian.tocsr()[mine][:, mine]
        self.compliance = self._factor(stiffness, reach)
        self.mixing = self._factor(stiffness, np.where(self.skin, FLOWS, LINING))
        within = touching[(self.index[touching] >= 0).all(1)]
        self.gradient = self._gradient(vertices[region], self.index[within])
        self.skin_faces = within[flesh.skin[within].all(1)]

    def _factor(self, stiffness: sparse.csr_matrix, reach: NDArray) -> SuperLU:
        return splu((stiffness + sparse.diags(self.area / reach**2)).tocsc())

    def _gradient(self, places: NDArray, faces: NDArray) -> list[sparse.csr_matrix]:
        """Three (N, N): x, y and z of the gradient at the vertices, averaged over their faces by area."""
        count, faces_count = len(places), len(faces)
        at_faces = igl.grad(np.ascontiguousarray(places), np.ascontiguousarray(faces)).tocsr()
        area = igl.doublearea(np.ascontiguousarray(places), np.ascontiguousarray(faces))
        entries = faces.ravel(), np.repeat(np.arange(faces_count), 3)
        share = sparse.csr_matrix((np.repeat(area, 3), entries), (count, faces_count))
        total = np.maximum(np.asarray(share.sum(1)).ravel(), 1e-12)
        mean = sparse.diags(1 / total) @ share
        return [mean @ at_faces[axis * faces_count : (axis + 1) * faces_count] for axis in range(3)]

    def settled(self, pushed: NDArray) -> NDArray:
        """(N, 3) what the sheet does by itself -> (N, 3) with what the tissue below makes of it."""
        inward = -(pushed * self.normals).sum(1)
        flow = self.mixing.solve(self.area * inward) / FLOWS**2
        aside = -FLOW * FLOWS * np.stack([axis @ flow for axis in self.gradient], axis=1)
        aside -= (aside * self.normals).sum(1)[:, None] * self.normals
        return pushed + self.skin[:, None] * (aside + BULGE * flow[:, None] * self.normals)
