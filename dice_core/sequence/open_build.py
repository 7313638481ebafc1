# SPDX-License-Identifier: GPL-3.0-or-later
"""A smooth movement to meshes: contact and deformation follow from where head and hands are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..body.openbody import POSE as ANGLES
from ..body.openbody import hand_model
from ..body.openbones import hand_skeleton, head_skeleton
from ..fit.head import POSE
from ..interaction.contact import mutual_contact
from ..interaction.deform import deformation
from ..interaction.distance import Surface
from ..types import SIDES, Side
from .folder import Arrays
from .open_fit import posed
from .open_touch import state_of
from .person import Person

NEAR = 0.05  # metres from the head within which a hand's vertices are measured
SURE = 0.5  # weight from which a hand presses
LIGHT = 0.001  # metres that are pressed at least, when a hand backs off
LEFT = 0.0012  # metres of penetration that may remain
ROUNDS = 6
RANKING = ("touch", "unsure", "no-touch")


@dataclass
class Hand:
    """A hand of one frame: its parameters, its mesh and how much its contact counts."""

    side: Side
    parameters: NDArray
    vertices: NDArray
    joints: NDArray
    weight: float

    @property
    def surface(self) -> Surface:
        model = hand_model(self.side)
        return Surface(self.vertices, model.faces, model.wrist_rim)

    def shift(self, metres: float) -> None:
        """Towards the camera."""
        offset = -metres * self.vertices.mean(0) / np.linalg.norm(self.vertices.mean(0))
        self.parameters = self.parameters.copy()
        self.parameters[3:6] += offset
        self.vertices, self.joints = self.vertices + offset, self.joints + offset


def built(motion: Arrays, person: Person, sides: list[Side]) -> Arrays:
    """Meshes of a chunk of frames, and all else that the result says of each.

    Parameters
    ----------
    motion
        Of the chunk, see `open_motion`.
    sides
        Of the hands to build.
    """
    frames = [_frame({key: values[index] for key, values in motion.items()}, person, sides)
              for index in range(len(motion["head_seen"]))]  # fmt: skip
    return {key: np.stack([frame[key] for frame in frames]) for key in frames[0]}


def _frame(row: Arrays, person: Person, sides: list[Side]) -> Arrays:
    there = row["head_pose"][5] > 0
    vertices = posed(person, row["head_pose"]) if there else None
    surface = None if vertices is None else person.surface(vertices)
    hands = [_hand(row, side) for side in sides]
    displaced = np.zeros_like(person.rest)
    on_head = np.zeros(len(person.rest), np.float32)
    contacts = {hand.side: np.zeros(len(hand.vertices), np.float32) for hand in hands}
    found: Arrays = {"quality_pressed_mm": np.float32(0), "quality_penetration_mm": np.float32(0)}  # type: ignore[dict-item]
    if vertices is not None and surface is not None:
        for hand in hands:
            _keep_out(hand, surface, person)
        displaced = _deformed(person, vertices, surface, hands, found)
        for hand in hands:
            if hand.weight > 0:
                mutual = mutual_contact(surface, hand.surface, vertices, hand.vertices, person.flesh.skin)
                on_head = np.maximum(on_head, np.float32(hand.weight) * mutual[0])
                contacts[hand.side] = np.float32(hand.weight) * mutual[1]
        found |= _head_arrays(row, person, vertices, displaced, on_head)
    for hand in hands:
        found |= _hand_arrays(row, hand, contacts[hand.side])
    return found | _contact_state(row, sides, there)


def _hand(row: Arrays, side: Side) -> Hand:
    parameters = row[f"{side}_parameters"]
    vertices, joints = hand_model(side).pose(parameters[None])
    seen = row[f"{side}_seen"] and row["head_seen"]
    return Hand(side, parameters, vertices[0], joints[0], float(row[f"{side}_weight"]) if seen else 0.0)


def _keep_out(hand: Hand, surface: Surface, person: Person) -> None:
    """Back a hand off until it presses no farther in than the skin gives way; not at all while it does not touch."""
    lowest, highest = surface.vertices.min(0) - NEAR, surface.vertices.max(0) + NEAR
    near = np.flatnonzero(((hand.vertices > lowest) & (hand.vertices < highest)).all(1))
    for _ in range(ROUNDS if len(near) else 0):
        nearest = surface.nearest(hand.vertices[near])
        depth = np.where(nearest.on_cap, 0.0, -nearest.distance)
        if hand.weight < SURE:
            excess = float(depth.max())
        else:
            limit = np.append(person.allowed, np.zeros(nearest.face.max() + 1))[nearest.face]
            inside = depth > 0
            excess = float(np.quantile((depth - limit)[inside], 0.95)) if inside.any() else 0.0
            excess = min(excess, float(depth.max()) - LIGHT)
        if excess <= 1e-5:
            break
        hand.shift(excess)
        near = near[depth > -NEAR / 2]


def _deformed(person: Person, vertices: NDArray, surface: Surface, hands: list[Hand], found: Arrays) -> NDArray:
    """(V, 3) how the skin gives way; a hand that is still in it then backs off that far."""
    pushing = [hand for hand in hands if hand.weight >= SURE]
    if not pushing:
        return np.zeros_like(vertices)
    displaced = deformation(person.flesh, vertices, surface, [hand.surface for hand in pushing])
    found["quality_pressed_mm"] = np.float32(1000 * max(_deepest(surface, hand) for hand in pushing))  # type: ignore[assignment]
    if displaced.any():
        deformed = person.surface(vertices + displaced)
        for hand in pushing:
            left = _deepest(deformed, hand)
            if left > LEFT:
                hand.shift(left - LEFT / 2)
                left = LEFT / 2
            worst = max(float(found["quality_penetration_mm"]), 1000 * left)
            found["quality_penetration_mm"] = np.float32(worst)  # type: ignore[assignment]
    return displaced


def _deepest(surface: Surface, hand: Hand) -> float:
    nearest = surface.nearest(hand.vertices)
    return float(np.maximum(-nearest.distance[~nearest.on_cap], 0).max(initial=0.0))


def _head_arrays(row: Arrays, person: Person, vertices: NDArray, displaced: NDArray, contact: NDArray) -> Arrays:
    pose = row["head_pose"]
    bones = head_skeleton(person.identity, pose[:3], pose[3:POSE])
    landmarks = person.model.landmarks(vertices)[person.model.ibug]
    floats = {
        "head_vertices": vertices, "head_deformation": displaced, "head_contact": contact,
        "head_bone_transforms": bones.transforms, "head_landmarks": landmarks,
        "params_head_global_orient": pose[:3], "params_head_transl": pose[3:POSE], "params_head_expression": pose[POSE:],
        "quality_deformation_mm": 1000 * np.linalg.norm(displaced, axis=1).max(),
    }  # fmt: skip
    return {key: np.asarray(value, np.float32) for key, value in floats.items()} | {"head_seen": row["head_seen"]}


def _hand_arrays(row: Arrays, hand: Hand, contact: NDArray) -> Arrays:
    name, x = f"hand_{hand.side}", hand.parameters
    floats = {
        f"{name}_vertices": hand.vertices, f"{name}_contact": contact, f"{name}_joints": hand.joints,
        f"{name}_bone_transforms": hand_skeleton(hand_model(hand.side), x).transforms,
        f"params_{name}_global_orient": x[:3], f"params_{name}_transl": x[3:6], f"params_{name}_pose": x[ANGLES],
    }  # fmt: skip
    return {key: np.asarray(value, np.float32) for key, value in floats.items()} | {f"{name}_seen": row[f"{hand.side}_seen"]}


def _contact_state(row: Arrays, sides: list[Side], head: bool) -> Arrays:
    there = [side for side in sides if row[f"{side}_seen"]]
    if not head or not there or not row["head_seen"]:
        state = "no-head" if not (head and row["head_seen"]) else "no-hand"
        return {"contact_state": np.array(state, "U8"), "contact_probability": np.float32(0)}  # type: ignore[dict-item]
    said = [(RANKING.index(state_of(bool(row[f"{side}_weight"] >= SURE), float(row[f"{side}_probability"]))),
             -float(row[f"{side}_probability"])) for side in there]  # fmt: skip
    rank, probability = min(said)
    return {"contact_state": np.array(RANKING[rank], "U8"), "contact_probability": np.float32(-probability)}  # type: ignore[dict-item]
