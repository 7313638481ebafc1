# SPDX-License-Identifier: GPL-3.0-or-later
"""Several answers onto one head, by arithmetic: what was moved as a whole comes back, a mirror changes sides."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

pytest.importorskip("torch", reason="torch is not installed (install_deps.py --engine dice)")

from dice_core.engines.runs import Run, one_head  # noqa: E402
from dice_core.fit.orthographic import Placement  # noqa: E402
from dice_core.types import Camera, Hand, Head  # noqa: E402

pytestmark = pytest.mark.torch
RANDOM = np.random.default_rng(3)
VERTICES, FACES = 12, np.int32([[0, 1, 2]])
COUNTERPARTS = np.array([1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10])


def run(side: str = "right") -> Run:
    def points(count: int) -> np.ndarray:
        return RANDOM.normal(size=(count, 3)).astype(np.float32)

    contact = RANDOM.uniform(size=VERTICES).astype(np.float32)
    head = Head(points(VERTICES), FACES, points(VERTICES), contact, points(68))
    hand = Hand(side, points(9), FACES, np.zeros(9, np.float32), points(21))
    placement = Placement(np.eye(3), 1.0, np.zeros(2))
    return Run(side, 0.9, placement, Camera((10, 10), ortho=np.float32([1, 0, 0])), head, hand)


def moved(one: Run, turn: Rotation, shift: np.ndarray) -> Run:
    """The same answer, given of a head that is turned and elsewhere."""

    def there(points: np.ndarray) -> np.ndarray:
        return (turn.apply(points) + shift).astype(np.float32)

    head = replace(one.head, vertices=there(one.head.vertices), landmarks=there(one.head.landmarks),
                   deformation=turn.apply(one.head.deformation).astype(np.float32))  # fmt: skip
    return replace(one, head=head, hand=replace(one.hand, vertices=there(one.hand.vertices),
                                                joints=there(one.hand.joints)))  # fmt: skip


@pytest.mark.parametrize("side", ["right", "left"])
def test_what_was_moved_as_a_whole_comes_back(side: str):
    first, second = run(), run(side)
    second = replace(second, head=replace(second.head, landmarks=first.head.landmarks))  # one and the same head
    turn, shift = Rotation.from_rotvec([0.4, -1.1, 0.7]), np.array([0.3, -2, 5])
    head, hands = one_head([first, moved(second, turn, shift)], COUNTERPARTS)
    same = COUNTERPARTS if side == "left" else np.arange(VERTICES)
    assert np.array_equal(head.vertices, first.head.vertices) and np.array_equal(head.faces, first.head.faces)
    assert np.allclose(head.deformation, first.head.deformation + second.head.deformation[same], atol=1e-5)
    assert np.array_equal(head.contact, np.maximum(first.head.contact, second.head.contact[same]))
    assert hands[0] is first.hand and hands[1].side == side
    assert np.allclose(hands[1].vertices, second.hand.vertices, atol=1e-5)
    assert np.allclose(hands[1].joints, second.hand.joints, atol=1e-5)


def test_a_single_answer_stays_as_it_is():
    one = run("left")
    head, hands = one_head([one], COUNTERPARTS)
    assert head is one.head and hands == (one.hand,)
