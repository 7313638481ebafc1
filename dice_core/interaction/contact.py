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


def mutual_contact(head: Surface, hand: Surface, skin: NDArray) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Contact of head and hand.

    Parameters
    ----------
    head, hand
        Surfaces before deformation, of V and H vertices.
    skin
        (V,) whether a vertex of the head is skin: eyeballs, mouth and tongue do not count.

    Returns
    -------
    (V,) and (H,) probabilities.
    """
    return np.where(skin, _contact(head, hand), np.float32(0)), _contact(hand, head)


def _contact(one: Surface, other: Surface) -> NDArray[np.float32]:
    """(N,) of one surface's vertices with another surface; zero, as it is to five digits, when they are not near."""
    near = other.near(one)
    contact = np.zeros(len(one.vertices), np.float32)
    contact[near.chosen] = vertex_contact(near.nearest)
    return contact
