# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is in a sequence by what the network says: when head and hands are seen, and what shape they have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DiceError, NothingFound
from ..types import SIDES
from .dice_answers import SHAPES
from .folder import Arrays


def there(seen: Arrays, settings: Mapping[str, Any]) -> Arrays:
    """When head and hands count: `..._head` and `..._hand` (N,) of each side.

    Where a crop was given, a detector that finds no face in any frame is not believed, nor one that finds no hand.

    Parameters
    ----------
    seen
        `..._seen` and `..._answered` of all frames, see `dice_eyes`.
    settings
        What was asked for, `hand` and `crop` among it.
    """
    hand = settings["hand"]
    face = seen["face_seen"] | ~seen["face_seen"].any()
    blind = settings["crop"] and not any(seen[f"{side}_seen"].any() for side in SIDES)
    named = SIDES if hand == "both" else ("left",) if hand == "left" else ("right",)
    found = {}
    for side in SIDES:
        answered = seen[f"{side}_answered"]
        found[f"{side}_head"] = answered & face
        found[f"{side}_hand"] = answered & face & (seen[f"{side}_seen"] | bool(blind and side in named))
    return found


def acquainted(seen: Arrays, settings: Mapping[str, Any]) -> Arrays:
    """`..._face_shape` (100,) of the head in each side's answers, `rh_betas` (10,) of both hands: the middle of what
    the better half of the answers says.

    Parameters
    ----------
    seen, settings
        The same; with `..._score`, and what was said of `presence`, `face_shape` and `rh_betas`.
    """
    present, found = there(seen, settings), {}
    betas, merits = [np.zeros((0, *SHAPES["rh_betas"]))], [np.zeros(0)]
    for side in SIDES:
        answered = seen[f"{side}_answered"]
        head, hands = (present[f"{side}_{part}"][answered] for part in ("head", "hand"))
        if head.any():
            found[f"{side}_face_shape"] = _known(seen[f"{side}_face_shape"][head], seen["face_score"][answered][head])
        betas.append(seen[f"{side}_rh_betas"][hands])
        merits.append((seen[f"{side}_presence"][:, 0] * seen[f"{side}_score"][answered])[hands])
    some = np.concatenate(betas)
    found["rh_betas"] = _known(some, np.concatenate(merits)) if len(some) else np.zeros(SHAPES["rh_betas"])
    return found


def _known(values: NDArray, merit: NDArray) -> NDArray:
    return np.median(values[merit >= np.median(merit)], axis=0)


def check_found(seen: Arrays, settings: Mapping[str, Any], source: str) -> None:
    """Raises DiceError when no frame tells of a head, NothingFound when none shows a face."""
    if any(there(seen, settings)[f"{side}_head"].any() for side in SIDES):
        return
    if seen["face_seen"].any():
        raise DiceError(f"The network sees no head in {source}.", "Choose another crop or movie.")
    face = f"face {settings['face']}" if settings["face"] else "face"
    raise NothingFound(
        f"No {face} was found in {source}, and the dice engine needs one.",
        "Choose a movie in which it is well lit and large enough. Or say with a crop where it is.",
    )
