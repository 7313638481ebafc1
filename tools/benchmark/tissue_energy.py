# SPDX-License-Identifier: GPL-3.0-or-later
"""Hyperelastic energy of wedges of three tetrahedra: compressible neo-Hookean, its volume term mostly per wedge.

    mu/2 (|F|^2 - 3) - mu log J + lambda/2 ((1 - s) log^2 Jw + s log^2 J)

where J is a tetrahedron's volume ratio and Jw that of its wedge. Volume by wedge instead of by tetrahedron keeps nearly
incompressible tissue from locking; the share s per tetrahedron keeps each of them sound. Energy is infinite where a
tetrahedron is inside out. Hessians are exact but for negative eigenvalues, which are raised (Smith et al. 2018).
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from .tissue_mesh import POISSON, tet_volumes

SHARE = 0.1  # s above
FLOOR = 1e-3  # least eigenvalue, of mu
PAIRS = ((0, 1, 2), (0, 2, 1), (1, 2, 0))
CORNERS = np.vstack([-np.ones(3), np.eye(3)])  # a tetrahedron's edges from its corners


class Elastic:
    """Energy, forces and stiffness of (W, 6) wedges, as (W, 3, 4) tetrahedra, about the rest (N, 3).

    `young` is (W,) Pa; degrees of freedom are the coordinates of the nodes that are not `fixed`, (N,) bool.
    """

    def __init__(self, rest: NDArray, wedges: NDArray, tets: NDArray, young: NDArray, fixed: NDArray,
                 springs: sparse.csr_matrix | None = None, poisson: float = POISSON) -> None:
        moves = ~fixed[wedges].all(1)
        self.rest, self.wedges, self.tets, young = rest, wedges[moves], tets[moves], young[moves]
        self.nodes = np.take_along_axis(self.wedges[:, None, :].repeat(3, 1), self.tets, 2).reshape(-1, 4)
        self.mu = np.repeat(young / (2 * (1 + poisson)), 3)
        self.wedge_lame = young * poisson / ((1 + poisson) * (1 - 2 * poisson))
        self.lame = np.repeat(self.wedge_lame, 3) * SHARE
        self.wedge_lame = self.wedge_lame * (1 - SHARE)
        self.volume = tet_volumes(rest, self.wedges, self.tets).ravel()
        self.wedge_volume = self.volume.reshape(-1, 3).sum(1)
        edges = np.swapaxes(rest[self.nodes][:, 1:] - rest[self.nodes][:, :1], 1, 2)
        self.slopes = np.einsum("ak,tkj->taj", CORNERS, np.linalg.inv(edges))  # (T, 4, 3)
        self.springs = sparse.csr_matrix((len(rest), len(rest))) if springs is None else springs
        self.free = np.flatnonzero(np.repeat(~fixed, 3))
        self._pattern()

    def _pattern(self) -> None:
        """Where each entry of the wedges' 18 x 18 matrices goes in the sparse one of the free coordinates."""
        number = np.full(self.rest.size, -1)
        number[self.free] = np.arange(len(self.free))
        local = number[(3 * self.wedges[:, :, None] + np.arange(3)).reshape(-1, 18)]
        rows, columns = np.repeat(local, 18, 1).ravel(), np.tile(local, 18).ravel()
        self.kept = np.flatnonzero((rows >= 0) & (columns >= 0))
        keys, self.place = np.unique(columns[self.kept] * len(self.free) + rows[self.kept], return_inverse=True)
        self.rows, columns = keys % len(self.free), keys // len(self.free)
        self.starts = np.searchsorted(columns, np.arange(len(self.free) + 1))
        self.spring_block = sparse.kron(self.springs, sparse.identity(3)).tocsr()[self.free][:, self.free].tocsc()

    def gradients(self, nodes: NDArray) -> NDArray:
        """(T, 3, 3) deformation gradients."""
        return np.einsum("tai,taj->tij", nodes[self.nodes], self.slopes)

    def ratios(self, nodes: NDArray) -> NDArray:
        """(T,) volume ratios."""
        return np.linalg.det(self.gradients(nodes))

    def energy(self, nodes: NDArray) -> float:
        """Joules; infinite where something is inside out."""
        gradients = self.gradients(nodes)
        ratio = np.linalg.det(gradients)
        if ratio.min() <= 1e-3:
            return np.inf
        density = self.mu * ((gradients**2).sum((1, 2)) / 2 - 1.5 - np.log(ratio)) + self.lame / 2 * np.log(ratio) ** 2
        wedge = self._wedge_ratio(ratio)
        moved = nodes - self.rest
        result = (self.volume * density).sum() + (self.wedge_volume * self.wedge_lame / 2 * np.log(wedge) ** 2).sum()
        return float(result + (moved * (self.springs @ moved)).sum() / 2)

    def _wedge_ratio(self, ratio: NDArray) -> NDArray:
        return (self.volume * ratio).reshape(-1, 3).sum(1) / self.wedge_volume

    def forces(self, nodes: NDArray) -> NDArray:
        """(free,) the energy's derivative."""
        gradients = self.gradients(nodes)
        ratio = np.linalg.det(gradients)
        cofactor = ratio[:, None, None] * np.swapaxes(np.linalg.inv(gradients), 1, 2)
        slope = (self.lame * np.log(ratio) - self.mu) / ratio + self._wedge_pressure(ratio)
        stress = self.mu[:, None, None] * gradients + slope[:, None, None] * cofactor
        force = np.einsum("t,tij,taj->tai", self.volume, stress, self.slopes)
        result = self.springs @ (nodes - self.rest)
        for axis in range(3):
            result[:, axis] += np.bincount(self.nodes.ravel(), force[:, :, axis].ravel(), len(nodes))
        return result.ravel()[self.free]

    def _wedge_pressure(self, ratio: NDArray) -> NDArray:
        wedge = self._wedge_ratio(ratio)
        return np.repeat(self.wedge_lame * np.log(wedge) / wedge, 3)

    def stiffness(self, nodes: NDArray) -> sparse.csc_matrix:
        """(free, free) second derivative, positive definite."""
        gradients = self.gradients(nodes)
        left, sigma, right = np.linalg.svd(gradients)
        ratio = sigma.prod(1)
        tets = self._tet_stiffness(left, sigma, right, ratio)
        cofactor = ratio[:, None, None] * np.swapaxes(np.linalg.inv(gradients), 1, 2)
        swell = np.einsum("t,tij,taj->tai", self.volume, cofactor, self.slopes)
        blocks, gain = np.zeros((len(self.wedges), 6, 3, 6, 3)), np.zeros((len(self.wedges), 6, 3))
        wedge = np.arange(len(self.wedges))
        for index in range(3):
            corner = self.tets[:, index]
            for a in range(4):
                gain[wedge, corner[:, a]] += swell[index::3, a]
                for b in range(4):
                    blocks[wedge, corner[:, a], :, corner[:, b]] += tets[index::3, a, :, b]
        wedge_ratio = self._wedge_ratio(ratio)
        curve = np.maximum(self.wedge_lame * (1 - np.log(wedge_ratio)) / wedge_ratio**2, 0) / self.wedge_volume
        gain = gain.reshape(-1, 18)
        blocks = blocks.reshape(-1, 18, 18) + curve[:, None, None] * gain[:, :, None] * gain[:, None]
        data = np.bincount(self.place, blocks.ravel()[self.kept], len(self.rows))
        matrix = sparse.csc_matrix((data, self.rows, self.starts), (len(self.free),) * 2)
        return (matrix + self.spring_block).tocsc()

    def _tet_stiffness(self, left: NDArray, sigma: NDArray, right: NDArray, ratio: NDArray) -> NDArray:
        """(T, 4, 3, 4, 3), in the frame of the singular vectors first, where stretch and the three shears part."""
        mu, logarithm = self.mu, np.log(ratio)
        slope = (self.lame * logarithm - mu) / ratio
        curve = (mu + self.lame * (1 - logarithm)) / ratio**2
        slope = slope + self._wedge_pressure(ratio)
        area = ratio[:, None] / sigma
        stretch = mu[:, None, None] * np.eye(3) + curve[:, None, None] * area[:, :, None] * area[:, None]
        same, swapped = np.zeros_like(stretch), np.zeros_like(stretch)
        for i, j, k in PAIRS:
            push = slope * sigma[:, k]
            stretch[:, i, j] += push
            stretch[:, j, i] += push
            low, high = np.maximum(mu - push, FLOOR * mu), np.maximum(mu + push, FLOOR * mu)
            same[:, i, j] = same[:, j, i] = (high + low) / 2
            swapped[:, i, j] = swapped[:, j, i] = (low - high) / 2
        values, vectors = np.linalg.eigh(stretch)
        values = np.maximum(values, FLOOR * mu[:, None])
        stretch = (vectors * values[:, None]) @ np.swapaxes(vectors, 1, 2)
        axis = np.arange(3)
        same[:, axis, axis] = stretch[:, axis, axis]
        stretch[:, axis, axis] = 0
        turned = np.einsum("taj,tkj->tak", self.slopes, right)
        scaled = turned * self.volume[:, None, None]
        result = np.einsum("tai,tik,tbk->taibk", scaled, stretch, turned)
        result += np.einsum("tak,tik,tbi->taibk", scaled, swapped, turned)
        result[:, :, axis, :, axis] += np.einsum("taj,tij,tbj->itab", scaled, same, turned)
        result = np.einsum("tip,tapbq->taibq", left, result, optimize=True)
        return np.einsum("taibq,tjq->taibj", result, left, optimize=True)
