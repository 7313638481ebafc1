# SPDX-License-Identifier: GPL-3.0-or-later
"""The truth of a clip: what skin does under the hands, who touches when, and all that as the folder of a sequence."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from dice_core.body.openbody import IDENTITIES, SKIN, head_model
from dice_core.body.openbones import hand_skeleton, head_skeleton
from dice_core.interaction.distance import Surface
from dice_core.sequence.folder import CHUNK, Folder
from dice_core.types import Camera, Skeleton

from .clips_folder import write_cache
from .clips_motion import Clip
from .clips_people import Held, Motion
from .clips_press import Flesh
from .figures import CONTACT, head_surface

SHOWN = 0.6  # of its joints or landmarks that must be in the picture for a part to be seen
LEFT = 0.001  # metres of penetration that may be left
DEEPEST = 0.015  # metres that skin may move
BY = 0.015  # metres from where it touches at which a hand must not touch
LOOK = 4  # of so many frames one is looked at, to tell which tissue may move


@dataclass(frozen=True)
class Truth:
    """Over n frames.

    Attributes
    ----------
    dent
        (n, V, 3) displacement of the head's skin, camera space.
    on_head, on_hands
        (n, V) and, of each hand, (n, H): what is in contact.
    gap, left
        (n, hands) metres between the surfaces, and (n,) metres of the hands that still lie in the head.
    """

    dent: NDArray[np.float32]
    on_head: NDArray[np.bool_]
    on_hands: tuple[NDArray[np.bool_], ...]
    gap: NDArray
    left: NDArray


def truth_of(motion: Motion) -> Truth:
    """Contact is being nearer than CONTACT after the skin gave way, as in the benchmark's pictures."""
    count = len(motion.shape)
    dent = np.zeros(motion.shape.shape, np.float32)
    on_head = np.zeros(motion.shape.shape[:2], bool)
    on_hands = tuple(np.zeros(held.vertices.shape[:2], bool) for held in motion.hands)
    gap, left = np.full((count, len(motion.hands)), np.inf), np.zeros(count)
    touched = touching_places(motion)
    deepest = max((depth for depth, _ in touched), default=0.0)
    if deepest > DEEPEST:  # nobody does that
        return Truth(dent, on_head, on_hands, gap, np.full(count, deepest))
    flesh: Flesh | None = None
    before: NDArray | None = None
    for k in range(count):
        near = [index for index, held in enumerate(motion.hands) if held.off[k] < 4 * BY]
        if not near:
            before = None
            continue
        surface, moved = head_surface(motion.shape[k]), None
        deep = [index for index in near if surface.nearest(motion.hands[index].own[k]).distance.min() < 0]
        if deep:
            flesh = flesh or Flesh(motion.person.rest, np.concatenate([places for _, places in touched]))
            hands = [(motion.hands[index].model, motion.hands[index].own[k]) for index in deep]
            moved = flesh.give_way(motion.shape[k], hands, before)
            dent[k] = moved @ motion.turn[k].T
            surface = head_surface(motion.shape[k] + moved)
        before = moved
        for index in near:
            distance = surface.nearest(motion.hands[index].own[k]).distance
            gap[k, index], left[k] = distance.min(), max(left[k], -float(distance.min()))
            on_hands[index][k] = distance < CONTACT
            if gap[k, index] < CONTACT:
                on_head[k] |= touched_skin(surface.vertices, motion.hands[index], k)
    return Truth(dent, on_head, on_hands, gap, left)


def touching_places(motion: Motion) -> list[tuple[float, NDArray]]:
    """Where hands come by or would be inside of the head, of some frames: metres of the deepest, and (n, 3) places."""
    result = []
    for held in motion.hands:
        for k in np.flatnonzero(held.off < BY)[::LOOK]:
            distance = head_surface(motion.shape[k]).nearest(held.own[k]).distance
            result.append((-float(distance.min()), held.own[k][distance < max(CONTACT, float(distance.min()))]))
    return result


def touched_skin(head: NDArray, held: Held, k: int) -> NDArray[np.bool_]:
    """(V,) which vertices of a head's skin are in contact with a hand."""
    touched = np.zeros(len(head), bool)
    near = np.flatnonzero(cKDTree(held.own[k]).query(head, distance_upper_bound=2 * BY)[0] < 2 * BY)
    near = near[head_model().part[near] == SKIN]
    hand = Surface(held.own[k], held.model.faces, held.model.wrist_rim)
    touched[near] = hand.nearest(head[near]).distance < CONTACT
    return touched


def complaint(clip: Clip, motion: Motion, truth: Truth) -> str:
    """Why this cannot serve as truth; empty when it can."""
    if truth.left.max() > LEFT:
        return f"{1000 * truth.left.max():.1f} mm of penetration are left at frame {truth.left.argmax()}"
    if np.linalg.norm(truth.dent, axis=2).max() > DEEPEST:
        return "the skin moves too far"
    for plan, held, gap in zip(clip.hands, motion.hands, truth.gap.T, strict=True):
        touches, still = gap < CONTACT, held.off < 1e-4
        if touches[held.off > BY].any():
            return f"the {plan.side} hand touches on its way"
        if still.any() and not touches[still].all():
            return f"the {plan.side} hand does not touch where it should"
    return ""


def write(folder: Path, clip: Clip, motion: Motion, truth: Truth) -> None:
    """The folder of a sequence whose engine is `truth`."""
    made = Folder(folder)
    count = len(motion.shape)
    camera = camera_of(clip, motion)
    parts = {"head": (motion.shape.shape[1], None)} | {
        f"hand_{plan.side}": (held.vertices.shape[1], index)
        for index, (plan, held) in enumerate(zip(clip.hands, motion.hands, strict=True))
    }
    made.save("static", _static(clip, motion, camera, parts))
    curves = _curves(motion, truth, camera, parts)
    for start in made.starts(count):
        made.save("frames", {name: values[start : start + CHUNK] for name, values in curves.items()}, start)
    heads = np.stack([motion.head(k) for k in range(count)])
    write_cache(folder, "head", heads)
    write_cache(folder, "head_deformation", truth.dent)
    write_cache(folder, "head_contact", _as_points(truth.on_head))
    for name, (_, index) in parts.items():
        if index is not None:
            write_cache(folder, name, motion.hands[index].vertices)
            write_cache(folder, f"{name}_contact", _as_points(truth.on_hands[index]))
    source = {"name": f"{clip.name}.mp4", "paths": [f"{clip.name}.mp4"], "size": 0, "modified": 0}
    made.note(engine="truth", source=source, rate=float(clip.rate), start=0, end=None, count=count,
              image_size=list(clip.size), settings={}, notes=[], timings={}, complete=True)  # fmt: skip


def camera_of(clip: Clip, motion: Motion) -> Camera:
    (width, height), focal = clip.size, motion.person.focal
    return Camera(clip.size, np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]], np.float32))


def _as_points(contact: NDArray[np.bool_]) -> NDArray[np.float32]:
    points = np.zeros((*contact.shape, 3), np.float32)
    points[..., 0] = contact
    return points


Parts = dict[str, tuple[int, int | None]]


def _static(clip: Clip, motion: Motion, camera: Camera, parts: Parts) -> dict[str, NDArray]:
    arrays = {"image_size": np.array(clip.size, np.int32), "camera_model": np.array("perspective"),
              "camera_matrix": camera.matrix}  # fmt: skip
    for name, (_, index) in parts.items():
        bones, faces = _skeleton(motion, index, 0), head_model().faces
        if index is not None:
            faces = motion.hands[index].model.faces
        arrays |= {
            f"{name}_faces": faces.astype(np.int32), f"{name}_bone_names": np.array(bones.names),
            f"{name}_bone_parents": bones.parents, f"{name}_bone_joints": bones.joints,
            f"{name}_bone_weights": bones.weights,
        }  # fmt: skip
    return arrays  # type: ignore[return-value]


def _skeleton(motion: Motion, hand: int | None, frame: int) -> Skeleton:
    if hand is not None:
        return hand_skeleton(motion.hands[hand].model, motion.hands[hand].parameters[frame])
    orient = Rotation.from_matrix(motion.turn[frame]).as_rotvec()
    return head_skeleton(np.zeros(IDENTITIES), orient, motion.origin[frame])


def _curves(motion: Motion, truth: Truth, camera: Camera, parts: Parts) -> dict[str, NDArray]:
    count = len(motion.shape)
    curves: dict[str, NDArray] = {}
    seen: dict[str, NDArray] = {}
    for name, (_, index) in parts.items():
        points = _landmarks(motion) if index is None else motion.hands[index].joints
        seen[name] = np.array([_shown(camera, frame) for frame in points])
        transforms = np.stack([_skeleton(motion, index, k).transforms for k in range(count)])
        curves |= {
            f"{name}_seen": seen[name], f"{name}_confidence": seen[name].astype(np.float32),
            f"{name}_bone_transforms": transforms,
            "head_landmarks" if index is None else f"{name}_joints": points.astype(np.float32),
        }  # fmt: skip
    touches = (truth.gap < CONTACT).any(1)
    hands = np.stack([seen[name] for name in parts if name != "head"]).any(0)
    state = np.where(touches, "touch", "no-touch")
    state = np.where(seen["head"], np.where(hands, state, "no-hand"), "no-head")
    return curves | {"contact_state": state, "contact_probability": touches.astype(np.float32),
                     "params_head_expression": motion.expression.astype(np.float32)} | _params(motion)  # fmt: skip


def _params(motion: Motion) -> dict[str, NDArray]:
    turns = Rotation.from_matrix(motion.turn).as_rotvec()
    arrays = {"params_head_global_orient": turns, "params_head_transl": motion.origin}
    for held in motion.hands:
        arrays[f"params_hand_{held.model.side}_parameters"] = held.parameters
    return {name: values.astype(np.float32) for name, values in arrays.items()}


def _landmarks(motion: Motion) -> NDArray:
    model = head_model()
    own = model.landmarks(motion.shape)[:, model.ibug]
    return np.einsum("nij,nlj->nli", motion.turn, own) + motion.origin[:, None]


def _shown(camera: Camera, points: NDArray) -> bool:
    pixels = camera.project(points)
    inside = ((pixels > 0) & (pixels < np.array(camera.image_size))).all(1) & (points[:, 2] > 0)
    return bool(inside.mean() >= SHOWN)
