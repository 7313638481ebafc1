# SPDX-License-Identifier: GPL-3.0-or-later
"""What depends on the faces of a mesh alone: open rims, closed copies, coarser levels, soft and fixed vertices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

LEVELS = {"head": (5023, 1675, 559), "hand": (778, 195)}  # vertices, finest first


def rims(faces: NDArray) -> list[NDArray]:
    """The vertex loops along which a mesh is open, each in the direction of its faces.

    Two holes that meet in a vertex may come as one loop, which passes it twice.
    """
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).astype(np.int64)
    there, back = edges @ [1 << 32, 1], edges @ [1, 1 << 32]
    after: dict[int, list[int]] = {}
    for start, end in edges[~np.isin(there, back)].tolist():
        after.setdefault(start, []).append(end)
    loops = []
    while after:
        loop = [next(iter(after))]
        while loop[-1] in after:
            ways = after[loop[-1]]
            loop.append(ways.pop())
            if not ways:
                del after[loop[-2]]
            if loop[-1] == loop[0]:
                break
        loops.append(np.array(loop[:-1] if loop[-1] == loop[0] else loop))
    return loops


def pieces(faces: NDArray) -> list[NDArray]:
    """(F, 3) -> the faces of each connected piece, the largest piece first."""
    ends = faces[:, [0, 1]].ravel(), faces[:, [1, 2]].ravel()
    count = int(faces.max()) + 1
    owner = connected_components(csr_matrix((np.ones(len(ends[0])), ends), (count, count)), directed=False)[1]
    named, sizes = np.unique(owner[faces[:, 0]], return_counts=True)
    return [faces[owner[faces[:, 0]] == name] for name in named[np.argsort(-sizes, kind="stable")]]


def closed(vertices: NDArray, faces: NDArray) -> tuple[NDArray, NDArray]:
    """A copy of (V, 3) vertices and (F, 3) faces in which a fan about its centre closes each open rim."""
    points, fans = [vertices], [faces]
    for index, rim in enumerate(rims(faces), len(vertices)):
        points.append(vertices[rim].mean(0, keepdims=True))
        fans.append(np.column_stack([np.roll(rim, -1), rim, np.full(len(rim), index)]))
    return np.vstack(points), np.vstack(fans)


def softness_weights(stiffness: NDArray) -> NDArray:
    """(V,) stiffness 0..1 -> (V,) weights by which the official training counts deformation, 1 for the softest."""
    weights = 1 / (1 - stiffness + 0.1) ** 1.5
    return weights / weights.min()


@dataclass(frozen=True)
class Levels:
    """Coarser versions of a mesh (Ranjan et al. 2018): matrices down from each level to the next, and up again."""

    down: tuple[csr_matrix, ...]
    up: tuple[csr_matrix, ...]

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray]) -> Self:
        """From the arrays of a converted file."""

        def matrices(name: str) -> tuple[csr_matrix, ...]:
            found: list[csr_matrix] = []
            while f"{name}{len(found)}_shape" in arrays:
                rows, columns, values, shape = (
                    arrays[f"{name}{len(found)}_{part}"] for part in ("rows", "columns", "values", "shape")
                )
                found.append(csr_matrix((values, (rows, columns)), shape=tuple(shape.tolist())))
            return tuple(found)

        return cls(matrices("down"), matrices("up"))

    def coarser(self, vertices: NDArray, steps: int) -> NDArray:
        """(n, V, 3) vertices of the finest level -> float64 ones, so many levels down."""
        return _through(self.down[:steps], vertices)

    def finer(self, vertices: NDArray, steps: int) -> NDArray:
        """(n, v, 3) vertices so many levels down -> float64 ones of the finest level."""
        return _through(self.up[:steps][::-1], vertices)


def _through(matrices: tuple[csr_matrix, ...], vertices: NDArray) -> NDArray:
    for matrix in matrices:
        vertices = np.stack([matrix @ sample for sample in vertices.astype(np.float64)])
    return vertices
