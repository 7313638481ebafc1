# SPDX-License-Identifier: GPL-3.0-or-later
"""Do hand and head go together: how deep the hand sinks in, and whether it touches where it should.

Two rules. `paper` is what Decaf and DICE measured, oddities and all: the mesh is open at the neck, and whatever lies
5 cm or more inside is taken for an error of that and counts as lying on the surface. `closed` tells inside from
outside on a closed copy of the head, so that every depth counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple, dataclass
from typing import Literal, NamedTuple

import igl
import numpy as np
from numpy.typing import NDArray

from ..body.topology import closed
from .metrics import harmonic_mean

Rule = Literal["paper", "closed"]
LEAK = 0.05  # metres inside; the paper's rule takes such depths for errors
DEEP = 0.005  # a frame collides when a vertex is this deep
NEAR = 0.005  # a frame touches when a vertex is this near


class Judgement(NamedTuple):
    """A hand at a head.

    Attributes
    ----------
    depth
        (N,) metres inside the head, 0 outside.
    colliding, deep
        (N,) bool: inside at all, and at least DEEP.
    touching
        Whether any vertex is near.
    """

    depth: NDArray
    colliding: NDArray
    deep: NDArray
    touching: bool


@dataclass(frozen=True)
class Plausibility:
    """Sums over frames.

    Attributes
    ----------
    frames, clear, should_touch, missed
        How many; in how many no vertex is deep; in how many the truth touches; in how many of those the hand does not.
    depth
        Sum over the frames of the mean depth of all hand vertices, metres.
    """

    frames: int
    clear: int
    should_touch: int
    missed: int
    depth: float

    @property
    def collision_distance(self) -> float:
        """Mean depth over all vertices and frames, metres."""
        return self.depth / self.frames

    @property
    def non_collision_ratio(self) -> float:
        return self.clear / self.frames

    @property
    def touchness_ratio(self) -> float:
        """Of the frames in which the truth touches; 1 when there are none."""
        return 1 - self.missed / self.should_touch if self.should_touch else 1.0

    @property
    def f_score(self) -> float:
        return harmonic_mean(self.non_collision_ratio, self.touchness_ratio)


def judge(head: NDArray, faces: NDArray, hand: NDArray, rule: Rule) -> Judgement:
    """(V, 3) and (F, 3) of a head, wound outward, and (N, 3) of a hand, metres."""
    inside = -_signed_distance(head, faces, hand)
    if rule == "paper":
        inside = np.where(inside >= LEAK, 0, inside)
        touching = bool((np.abs(inside) <= NEAR).any())
    else:
        whole, triangles = closed(head.astype(np.float64), faces.astype(np.int64))
        within = igl.winding_number(whole, triangles, np.ascontiguousarray(hand, np.float64)) > 0.5
        inside = np.where(within, np.abs(inside), -np.abs(inside))
        touching = bool((inside >= -NEAR).any())
    return Judgement(np.maximum(inside, 0), inside >= 0, inside >= DEEP, touching)


def plausibility(
    true_heads: NDArray, true_hands: NDArray, heads: NDArray, hands: NDArray, faces: NDArray, rule: Rule
) -> Plausibility:
    """Judge n frames.

    Parameters
    ----------
    true_heads, true_hands, heads, hands
        (n, V, 3), (n, N, 3) metres, heads with their contact deformation; truth first.
    faces
        (F, 3) of the head, wound outward.
    """
    return total(
        one_frame(judge(head, faces, hand, rule), judge(true_head, faces, true_hand, rule).touching)
        for head, hand, true_head, true_hand in zip(heads, hands, true_heads, true_hands, strict=True)
    )


def one_frame(judged: Judgement, should_touch: bool) -> Plausibility:
    """A hand at a head, and whether the truth touches."""
    missed = should_touch and not judged.touching
    return Plausibility(1, int(not judged.deep.any()), int(should_touch), int(missed), float(judged.depth.mean()))


def total(frames: Iterable[Plausibility]) -> Plausibility:
    """The sums of sums."""
    columns = zip(*(astuple(frame) for frame in frames), strict=True)
    return Plausibility(*(sum(column) for column in columns))


def _signed_distance(head: NDArray, faces: NDArray, points: NDArray) -> NDArray:
    """(N,) metres to the mesh as it is, negative inside by its pseudonormals."""
    return igl.signed_distance(
        np.ascontiguousarray(points, np.float64), np.ascontiguousarray(head, np.float64),
        np.ascontiguousarray(faces, np.int64), sign_type=igl.SIGNED_DISTANCE_TYPE_PSEUDONORMAL,
    )[0]  # fmt: skip
