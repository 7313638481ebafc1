# SPDX-License-Identifier: GPL-3.0-or-later
"""A smooth movement to meshes: contact and deformation follow from where head and hands are."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from ..body.openbody import POSE as ANGLES
from ..body.openbody import hand_model
from ..body.openbones import hand_skeleton, head_skeleton
from ..fit.head import POSE
from ..interaction.contact import mutual_contact
from ..interaction.deform import deformation
from ..interaction.distance import Surface
from ..result.smooth import held
from ..types import Side
from .folder import Arrays
from .open_press import pressed
from .open_scene import Hand, Scene, hand_in
from .open_touch import state_of
from .person import Person

SURE = 0.5  # weight from which a hand presses
LEFT = 0.0012  # metres of penetration that may remain
CLOSE, AROUND = 0.015, 0.02  # metres before the skin, in which it may meet a hand; of skin about those points
RANKING = ("touch", "unsure", "no-touch")


def built(motion: Arrays, frames: range, person: Person, sides: list[Side]) -> Arrays:
    """Meshes of a chunk of frames, and all else that the result says of each.

    Parameters
    ----------
    motion
        Of the whole clip, see `open_motion`.
    frames
        Positions of the chunk.
    sides
        Of the hands to build.
    """
    person.skin.forget()  # a chunk does not depend on those before
    last = {side: held(motion[f"{side}_seen"]) for side in sides}
    resting: dict[tuple[Side, int], Arrays] = {}  # hands as they were seen last
    rows = []
    for frame in frames:
        found = _frame(_row(motion, frame), person, sides)
        for side in sides:
            seen = int(last[side][frame])
            if seen != frame and (side, seen) not in resting:
                resting[side, seen] = _of_hand(_frame(_row(motion, seen), person, sides), side)
            if seen == frame:
                resting[side, seen] = _of_hand(found, side)
            else:
                contact = np.zeros_like(resting[side, seen][f"hand_{side}_contact"])
                found |= resting[side, seen] | {f"hand_{side}_contact": contact, f"hand_{side}_seen": np.array(False)}
        rows.append(found)
    return {key: np.stack([row[key] for row in rows]) for key in rows[0]}


def _row(motion: Arrays, frame: int) -> Arrays:
    return {key: values[frame] for key, values in motion.items()}


def _of_hand(found: Arrays, side: Side) -> Arrays:
    names = (f"hand_{side}_", f"params_hand_{side}_")
    return {key: value for key, value in found.items() if key.startswith(names)}


def _frame(row: Arrays, person: Person, sides: list[Side]) -> Arrays:
    """Of one frame by itself; hands only as far as they are seen."""
    scene = Scene.of(person, row["head_pose"]) if row["head_pose"][5] > 0 else None
    hands = [hand_in(scene, row, side) for side in sides if row[f"{side}_seen"]]
    found: Arrays = dict.fromkeys(("quality_pressed_mm", "quality_penetration_mm"), np.array(0, np.float32))
    contacts = {hand.side: np.zeros(len(hand.vertices), np.float32) for hand in hands}
    if scene is not None:
        for hand in hands:
            if row["head_seen"]:
                share = float(np.clip(2 * hand.weight - 1, 0, 1))
                to_camera = scene.to_camera(hand)
                hand.surface, offset = pressed(hand.surface, scene.surface, person.allowed, share, to_camera)
                scene.follow(hand, offset)
        displaced = _deformed(scene, hands, found)
        on_head = np.zeros(len(person.rest), np.float32)
        for hand in hands:
            if hand.weight > 0:
                mutual = mutual_contact(scene.surface, hand.surface, person.flesh.skin)
                on_head = np.maximum(on_head, np.float32(hand.weight) * mutual[0])
                contacts[hand.side] = np.float32(hand.weight) * mutual[1]
        found |= _head_arrays(row, scene, displaced, on_head)
    for hand in hands:
        found |= _hand_arrays(row, hand, scene, contacts[hand.side])
    return found | _contact_state(row, sides, scene is not None)


def _deformed(scene: Scene, hands: list[Hand], found: Arrays) -> NDArray:
    """(V, 3) how the skin gives way to hands that press; one that is still in it then backs off."""
    pushing = [hand for hand in hands if hand.weight >= SURE]
    person, displaced = scene.person, np.zeros_like(scene.still)
    if pushing:
        surfaces = [hand.surface for hand in pushing]
        displaced = deformation(person.flesh, scene.still, scene.surface, surfaces, person.skin).astype(float)
    if not displaced.any():
        person.skin.forget()
        found["quality_penetration_mm"] = _millimetres(_deepest(scene, hand) for hand in hands)
        return displaced
    found["quality_pressed_mm"] = _millimetres(_deepest(scene, hand) for hand in pushing)
    left = {hand.side: _still_in(scene, displaced, hand) for hand in hands}
    for hand in pushing:
        if left[hand.side] > LEFT:
            deformed = person.surface(scene.still + displaced)
            hand.surface, offset = pressed(hand.surface, deformed, person.allowed, 0.0, scene.to_camera(hand))
            scene.follow(hand, offset)
            left[hand.side] = _still_in(scene, displaced, hand)
    found["quality_penetration_mm"] = _millimetres(left.values())
    return displaced


def _millimetres(depths: Iterable[float]) -> NDArray[np.float32]:
    return np.array(1000 * max(depths, default=0.0), np.float32)


def _deepest(scene: Scene, hand: Hand) -> float:
    """Metres that a hand is in the head before it gives way."""
    nearest = scene.surface.near(hand.surface).nearest
    return float(np.maximum(-nearest.distance[~nearest.on_cap], 0).max(initial=0.0))


def _still_in(scene: Scene, displaced: NDArray, hand: Hand) -> float:
    """And afterwards: measured against the skin around the hand."""
    near = scene.surface.near(hand.surface)
    points = hand.vertices[near.chosen[near.nearest.distance < CLOSE]]
    if not len(points):
        return 0.0
    vertices, faces = scene.still + displaced, scene.surface.faces
    around = ((vertices > points.min(0) - AROUND) & (vertices < points.max(0) + AROUND)).all(1)
    skin = Surface(vertices, faces[around[faces].all(1)])
    nearest = skin.nearest(points)
    return float(np.maximum(-nearest.distance[~skin.at_border(nearest)], 0).max(initial=0.0))


def _head_arrays(row: Arrays, scene: Scene, displaced: NDArray, contact: NDArray) -> Arrays:
    pose, person, vertices = row["head_pose"], scene.person, scene.out(scene.still)
    bones = head_skeleton(person.identity, pose[:3], pose[3:POSE])
    landmarks = person.model.landmarks(vertices)[person.model.ibug]
    floats = {
        "head_vertices": vertices, "head_deformation": scene.turn.apply(displaced), "head_contact": contact,
        "head_bone_transforms": bones.transforms, "head_landmarks": landmarks,
        "params_head_global_orient": pose[:3], "params_head_transl": pose[3:POSE],
        "params_head_expression": pose[POSE:],
        "quality_deformation_mm": 1000 * np.linalg.norm(displaced, axis=1).max(),
    }  # fmt: skip
    return {key: np.asarray(value, np.float32) for key, value in floats.items()} | {"head_seen": row["head_seen"]}


def _hand_arrays(row: Arrays, hand: Hand, scene: Scene | None, contact: NDArray) -> Arrays:
    name, x = f"hand_{hand.side}", hand.parameters
    vertices, joints = (points if scene is None else scene.out(points) for points in (hand.vertices, hand.joints))
    floats = {
        f"{name}_vertices": vertices, f"{name}_contact": contact, f"{name}_joints": joints,
        f"{name}_bone_transforms": hand_skeleton(hand_model(hand.side), x).transforms,
        f"params_{name}_global_orient": x[:3], f"params_{name}_transl": x[3:6], f"params_{name}_pose": x[ANGLES],
    }  # fmt: skip
    arrays = {key: np.asarray(value, np.float32) for key, value in floats.items()}
    return arrays | {f"{name}_seen": row[f"{hand.side}_seen"]}


def _contact_state(row: Arrays, sides: list[Side], head: bool) -> Arrays:
    there = [side for side in sides if row[f"{side}_seen"]]
    if not head or not there or not row["head_seen"]:
        state = "no-head" if not (head and row["head_seen"]) else "no-hand"
        return {"contact_state": np.array(state, "U8"), "contact_probability": np.array(0, np.float32)}
    said = [(RANKING.index(state_of(bool(row[f"{side}_weight"] >= SURE), float(row[f"{side}_probability"]))),
             -float(row[f"{side}_probability"])) for side in there]  # fmt: skip
    rank, probability = min(said)
    return {"contact_state": np.array(RANKING[rank], "U8"), "contact_probability": np.array(-probability, np.float32)}
