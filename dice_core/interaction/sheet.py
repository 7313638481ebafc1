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
REMEMBERED = 1500  # answers of a `Skin`, of some 16 KB each
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


def allowed_press(model: HeadModel, faces: NDArray) -> NDArray:
    """(F,) metres that each of some (F, 3) faces of the open head may be pressed in."""
    softness = np.where(model.part == SKIN, model.softness, 0.0)
    return PRESS_FLOOR + PRESS_SOFT * softness[faces].mean(1)


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

    def answers(self, rows: sparse.csr_matrix) -> NDArray:
        """(N, K) how far everything moves under a unit force on each of (K, N) rows of vertices' shares."""
        return self.compliance.solve(rows.T.toarray())

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


class Skin:
    """The sheet of a whole head, factored once, for the many frames of one person.

    Parameters
    ----------
    flesh, vertices
        A head, and where its (V, 3) vertices are at rest, metres.
    """

    def __init__(self, flesh: Flesh, vertices: NDArray) -> None:
        self.flesh = flesh
        self.sheet = Sheet(flesh, vertices, np.flatnonzero(flesh.movable))
        self.pushed = np.zeros_like(vertices)  # in the frame before, to start from
        self._answers: dict[int, NDArray[np.float32]] = {}  # under a unit force on a vertex: of those that were asked

    def remember(self, region: NDArray, pushed: NDArray) -> None:
        """(N, 3) what the sheet did by itself, for the next frame."""
        self.forget()
        self.pushed[region] = pushed

    def forget(self) -> None:
        """The next frame is another one."""
        self.pushed[:] = 0

    def part(self, vertices: NDArray, region: NDArray) -> Part:
        """(N,) vertices of it that may move, in a frame in which it has other expressions."""
        return Part(self, vertices, region)

    def answers(self, to: NDArray, on: NDArray) -> NDArray:
        """(N, K) how far some vertices move under a unit force on others; numbers as in the whole sheet."""
        unknown = [index for index in on.tolist() if index not in self._answers]
        if len(self._answers) + len(unknown) > REMEMBERED:
            self._answers.clear()
            unknown = on.tolist()
        if unknown:
            units = np.zeros((len(self.sheet.region), len(unknown)))
            units[unknown, np.arange(len(unknown))] = 1
            self._answers |= dict(zip(unknown, self.sheet.compliance.solve(units).T.astype(np.float32), strict=True))
        return np.stack([self._answers[index][to] for index in on.tolist()], axis=1)


class Part:
    """A region of a `Skin`, which is asked as a `Sheet` is."""

    def __init__(self, skin: Skin, vertices: NDArray, region: NDArray) -> None:
        self._whole, self._sheet = skin, skin.sheet
        self.region = region
        self.place = skin.sheet.index[region]
        self.index = np.full(len(vertices), -1)
        self.index[region] = np.arange(len(region))
        touching = skin.flesh.faces[(self.index[skin.flesh.faces] >= 0).any(1)]
        used, local = np.unique(touching, return_inverse=True)
        normals = igl.per_vertex_normals(vertices[used], local.reshape(-1, 3))
        self.normals = normals[np.searchsorted(used, region)]
        self.skin = skin.flesh.skin[region]
        within = touching[(self.index[touching] >= 0).all(1)]
        self.skin_faces = within[skin.flesh.skin[within].all(1)]

    def answers(self, rows: sparse.csr_matrix) -> NDArray:
        """See `Sheet.answers`."""
        used = np.unique(rows.indices)
        return self._whole.answers(self.place, self.place[used]) @ rows[:, used].T.toarray()

    def settled(self, pushed: NDArray) -> NDArray:
        """See `Sheet.settled`; nothing around the region moves."""
        inward = np.zeros(len(self._sheet.region))
        inward[self.place] = -(pushed * self.normals).sum(1)
        flow = self._sheet.mixing.solve(self._sheet.area * inward) / FLOWS**2
        aside = -FLOW * FLOWS * np.stack([(axis @ flow)[self.place] for axis in self._sheet.gradient], axis=1)
        aside -= (aside * self.normals).sum(1)[:, None] * self.normals
        return pushed + self.skin[:, None] * (aside + BULGE * flow[self.place, None] * self.normals)
