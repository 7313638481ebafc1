# SPDX-License-Identifier: GPL-3.0-or-later
"""Which vertices of hand and head touch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .distance import Nearest, Surface

REACH = 0.003  # metres at which touching is as likely as not
SOFTNESS = 0.0012  # metres over which the probability changes


def contact_probability(distance: NDArray) -> NDArray[np.float32]:
    """Signed distance to the other surface in metres, negative inside -> probability of contact, 0..1."""
    odds = np.exp(np.clip((distance - REACH) / SOFTNESS, -40, 40))
    return (1 / (1 + odds)).astype(np.float32)


def vertex_contact(nearest: Nearest) -> NDArray[np.float32]:
    """Contact of the query points of `nearest`; the caps of neck and wrist cannot be touched."""
    return np.where(nearest.on_cap, np.float32(0), contact_probability(nearest.distance))


def mutual_contact(head: Surface, hand: Surface, head_vertices: NDArray, hand_vertices: NDArray, skin: NDArray
                   ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Contact of head and hand.

    Parameters
    ----------
    head, hand
        Surfaces before deformation.
    head_vertices, hand_vertices
        (V, 3), (H, 3) metres.
    skin
        (V,) whether a vertex of the head is skin: eyeballs, mouth and tongue do not count.

    Returns
    -------
    (V,) and (H,) probabilities.
    """
    on_head, on_hand = _contact(head_vertices, hand, skin), _contact(hand_vertices, head)
    return on_head, on_hand


def _contact(points: NDArray, surface: Surface, chosen: NDArray | bool = True) -> NDArray[np.float32]:
    """(N,) of (N, 3) points with a surface; zero, as it is to five digits, at more than 4 REACH from its box."""
    low, high = surface.vertices.min(0) - 4 * REACH, surface.vertices.max(0) + 4 * REACH
    near = np.flatnonzero(chosen & ((points > low) & (points < high)).all(1))
    contact = np.zeros(len(points), np.float32)
    if len(near):
        contact[near] = vertex_contact(surface.nearest(points[near]))
    return contact
