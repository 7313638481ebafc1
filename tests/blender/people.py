# SPDX-License-Identifier: GPL-3.0-or-later
"""Captures of made-up people, with bones: the open body in random poses, and made-up bodies such as FLAME's."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
from dice_capture.dice_core.body.openbody import HAND_PARAMETERS, IDENTITIES, POSE, hand_model, head_model
from dice_capture.dice_core.body.openbones import hand_skeleton, head_skeleton
from dice_capture.dice_core.body.skinning import rotation_matrices
from dice_capture.dice_core.types import Capture, Hand, Head, Skeleton
from numpy.typing import NDArray
from synthetic import LANDSCAPE, ORTHOGRAPHIC

TO_WORLD = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])  # camera axes to Blender's
FLAME_VERTICES, FLAME_SHAPES, FLAME_EXPRESSIONS = 300, 20, 7


def open_capture(sides: tuple[str, ...] = ("right", "left"), head: bool = True, seed: int = 0) -> Capture:
    """A tilted head and bent hands."""
    random = np.random.default_rng(seed)
    params: dict[str, NDArray] = {}
    hands = []
    for side in sides:
        hands.append(_hand(side, random, params))
    return Capture(
        engine="open", source="person.jpg", camera=LANDSCAPE, head=_head(random, params) if head else None,
        hands=tuple(hands), contact_state="touch", contact_probability=0.9, params=params,
    )  # fmt: skip


def _hand(side: str, random: np.random.Generator, params: dict[str, NDArray]) -> Hand:
    model = hand_model(side)
    x = random.normal(0, 0.05, HAND_PARAMETERS)
    x[:6] = *random.normal(0, 1, 3), -0.1 if side == "right" else 0.1, 0.1, 0.5
    x[6:10] = random.normal(0, 0.5, 4)
    x[POSE].reshape(15, 3)[:, 1] += random.uniform(0, 0.9, 15)
    (vertices,), (joints,) = model.pose(x[None])
    params |= {f"hand_{side}_betas": np.float32(x[6:10])}
    contact = np.float32(random.uniform(size=len(vertices)) ** 4)
    return Hand(side, np.float32(vertices), np.int32(model.faces), contact, np.float32(joints), hand_skeleton(model, x))


def _head(random: np.random.Generator, params: dict[str, NDArray]) -> Head:
    model = head_model()
    identity, orient = random.normal(0, 0.7, IDENTITIES), random.normal(0, 0.3, 3)
    expression = np.clip(random.normal(0, 0.4, len(model.expression_names)), 0, 1)
    transl = np.array([0.02, -0.03, 0.6])
    vertices = model.vertices(identity, expression) @ rotation_matrices(orient).T + transl
    named = {"identity": identity, "expression": expression, "global_orient": orient, "transl": transl}
    params |= {f"head_{name}": np.float32(value) for name, value in named.items()}
    deformation = 0.004 * np.exp(-((vertices - vertices[model.part == 0][0]) ** 2).sum(1) / 1e-3)[:, None]
    return Head(
        np.float32(vertices), np.int32(model.faces), np.float32(deformation * [1, 0.5, -0.3]),
        np.float32(random.uniform(size=len(vertices)) ** 4), np.zeros((68, 3), np.float32),
        head_skeleton(identity, orient, transl),
    )  # fmt: skip


def flame_capture(side: str, models: Path, seed: int = 0) -> tuple[Capture, NDArray]:
    """A head of the dice engine, made of random numbers, and (V, 3) its vertices at rest; writes FLAME's file."""
    random = np.random.default_rng(seed)
    rest = random.normal(0, 0.06, (FLAME_VERTICES, 3))
    shapedirs = random.normal(0, 0.003, (FLAME_SHAPES + FLAME_EXPRESSIONS, FLAME_VERTICES, 3))
    np.savez(models / "flame.npz", kind="flame", shapedirs=shapedirs)
    turns = rotation_matrices(np.array([[0.1, 0.2, 0], [0.1, 0.2, 0], [0.5, 0.2, 0.1], [0, 0.3, 0], [0, -0.3, 0]]))
    transforms = np.tile(np.eye(4), (5, 1, 1))
    transforms[:, :3, :3], transforms[:, :3, 3] = turns, [0.01, 0.02, 0.7]
    skeleton = Skeleton(
        ("neck", "head", "jaw", "eye.L", "eye.R"), np.int32([-1, 0, 1, 1, 1]),
        np.float32(random.normal(0, 0.05, (5, 3))), np.float32(transforms),
        np.float32(random.dirichlet(np.ones(5), FLAME_VERTICES)),
    )  # fmt: skip
    faces = np.int32(random.permutation(FLAME_VERTICES)[: 3 * 90].reshape(-1, 3))
    zero = np.zeros((FLAME_VERTICES, 3), np.float32)
    vertices = np.float32(skinned(skeleton, rest))
    head = Head(vertices, faces, zero, zero[:, 0], np.zeros((68, 3), np.float32), skeleton)
    values = np.float32(random.normal(0, 1.5, FLAME_EXPRESSIONS))
    values[0] = 4.25  # beyond the usual end of the slider
    hand = _hand(side, random, {})
    capture = Capture(
        engine="dice", source="person.jpg", camera=ORTHOGRAPHIC, head=head, hands=(hand,), contact_state="touch",
        contact_probability=0.9, params={f"{side}_face_exp": values},
    )  # fmt: skip
    return capture, rest


def skinned(skeleton: Skeleton, rest: NDArray) -> NDArray:
    """(V, 3) by the formula in docs/result-format.md."""
    at = np.c_[rest, np.ones(len(rest))]
    return np.einsum("vb,bij,vj->vi", *map(np.float64, (skeleton.weights, skeleton.transforms)), at)[:, :3]


def seen(item: bpy.types.Object) -> NDArray:
    """(V, 3) the vertices in the world, as Blender evaluates them."""
    bpy.context.view_layer.update()
    evaluated = item.evaluated_get(bpy.context.evaluated_depsgraph_get())
    points = np.zeros(3 * len(evaluated.data.vertices), np.float32)
    evaluated.data.vertices.foreach_get("co", points)
    place = np.array(evaluated.matrix_world)
    return points.reshape(-1, 3) @ place[:3, :3].T + place[:3, 3]
