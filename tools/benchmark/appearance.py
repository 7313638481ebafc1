# SPDX-License-Identifier: GPL-3.0-or-later
"""What a made-up person of the benchmark looks like: skin, hair, clothes, room and light, as arrays for `picture`.

Everything is in the camera's axes and metres, the camera at the origin; one seed always gives the same person.
Whose likeness it is: nobody's.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from dice_core.body.openbody import EYEBALL, SKIN, hand_model, head_model
from dice_core.types import Side

from ..sample import hair as strands
from ..sample.hair import unit
from . import appearance_clothes as clothes
from . import appearance_hair as hair
from . import appearance_room as room
from . import appearance_skin as skin

Hands = list[tuple[Side, NDArray, NDArray]]
GLASSES = 0.08  # of the people wear them
PLAIN = 0.003  # both texture coordinates of a place that no mesh fills
GAZE_LIMIT = np.radians(32)
Figure = dict[str, NDArray]


def appearance(head: NDArray, turn: NDArray, hands: Hands, rng: np.random.Generator) -> Figure:
    """A random person about a posed head and hands.

    Parameters
    ----------
    head, turn
        (4570, 3) posed vertices, deformation included; (3, 3) rotation from the rest head.
    hands
        Side, (1609, 3) posed vertices and (21, 3) joints of each.

    Returns
    -------
    dict
        What `picture.render` reads, see there.
    """
    colours, style = skin.random_colours(rng), hair.random_style(rng)
    fingers = np.concatenate([vertices for _, vertices, _ in hands]) if hands else np.zeros((0, 3))
    painted = {"bald": float(rng.uniform(0, 0.25)), "shaved": float(rng.uniform(0.5, 0.8))}.get(style.name, 0.9)
    figure: Figure = {
        "head_texture": skin.paint_head(colours, painted, np.array([0, style.lift, 0]), rng),
        "hand_texture": skin.paint_hand(colours, rng),
        "hair_colour": colours.hair, "brow_colour": colours.brows, "iris_colour": colours.iris,
        "skin_colour": colours.skin, "skin_roughness": np.array(rng.uniform(0.36, 0.58)),
        "skin_relief": np.array(rng.uniform(0.00005, 0.00014)),
    }  # fmt: skip
    made = clothes.bust(head[head_model().neck_rim], turn, rng)
    figure |= _body(head, hands, made, rng) | _hair(head, turn, fingers, style, rng)
    figure |= _face(head, turn, fingers, colours, rng)
    figure |= room.room(head, turn, colours.skin, rng)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write figure.npz, numbers as float32."""
    np.savez(path, **{key: value.astype(np.float32) if value.dtype == float else value
                      for key, value in figure.items()})  # fmt: skip


def _body(head: NDArray, hands: Hands, made: clothes.Bust, rng: np.random.Generator) -> Figure:
    """Skin of head and hands with what is grown on to them, and the cloth."""
    model = head_model()
    collar = clothes.collar_depths(made, rng)
    more, faces = clothes.grown_neck(made, model.neck_rim, len(head), collar)
    grown = _skin("head", head, model.faces, more, faces)
    grown["head_eye"] = (model.part[model.faces] == EYEBALL).all(1)
    grown["head_eye"] = np.r_[grown["head_eye"], np.zeros(len(faces), bool)]
    grown["head_gaze"] = np.concatenate([gaze(head), np.ones_like(more)])
    cloth = [clothes.garment(made, collar, rng)]
    cuff, size = float(rng.choice([rng.uniform(0.0, 0.03), rng.uniform(0.06, 0.2)])), float(rng.uniform(0.82, 1.08))
    free = {-1, 1}
    for index, (side, vertices, joints) in enumerate(hands):
        hand = hand_model(side)
        outward = -1 if side == "right" else 1
        joint = clothes.shoulder(made, outward)
        limb = clothes.arm(vertices[hand.wrist_rim], joints, head, joint)
        bare, faces = clothes.grown_arm(limb, hand.wrist_rim, len(vertices), size, side == "left")
        grown |= _skin(f"hand{index}", vertices, hand.faces, bare, faces, side == "left")
        cloth.append(clothes.sleeve(limb, joint, cuff, size, rng))
        free.discard(outward)
    cloth += [clothes.hanging(made, side) for side in free]
    points, triangles = zip(*cloth, strict=True)
    starts = np.cumsum([0, *(len(part) for part in points[:-1])])
    grown["cloth_vertices"] = np.concatenate(points)
    grown["cloth_faces"] = np.concatenate([part + at for part, at in zip(triangles, starts, strict=True)])
    return grown | room.cloth(rng)


def _skin(name: str, vertices: NDArray, faces: NDArray, more: NDArray, more_faces: NDArray,
          mirrored: bool = False) -> Figure:  # fmt: skip
    """A mesh of known vertices and what was grown on its rim, in the plain colour of the skin."""
    uv = skin.corners(name if name == "head" else "hand")
    if mirrored:
        uv = uv[:, ::-1]
    plain = np.full((len(more_faces), 3, 2), PLAIN)
    return {
        f"{name}_vertices": np.concatenate([vertices, more]), f"{name}_faces": np.concatenate([faces, more_faces]),
        f"{name}_uv": np.concatenate([uv, plain]),
    }  # fmt: skip


def gaze(head: NDArray) -> NDArray:
    """(V, 3) each eyeball vertex's offset from the line of sight, large at the back; the eyes look at the camera."""
    model = head_model()
    offsets = np.ones_like(head)
    ball = np.flatnonzero(model.part == EYEBALL)
    for side in (-1, 1):
        eye = ball[np.sign(model.mean[ball, 0]) == side]
        middle = 0.5 * (head[eye].min(0) + head[eye].max(0))
        rest = 0.5 * (model.mean[eye].min(0) + model.mean[eye].max(0))
        turn = _turn(model.mean[eye] - rest, head[eye] - middle)
        straight, sight = turn @ [0, 0, -1.0], unit(-middle)
        angle = np.arccos(np.clip(straight @ sight, -1, 1))
        if angle > GAZE_LIMIT:
            sight = unit(straight + np.tan(GAZE_LIMIT) * unit(sight - (sight @ straight) * straight))
        along = (head[eye] - middle) @ sight
        offsets[eye] = head[eye] - middle - along[:, None] * sight
        offsets[eye[along < 0]] += 1
    return offsets


def _turn(start: NDArray, end: NDArray) -> NDArray:
    """(3, 3) the rotation that best takes points to others."""
    u, _, vt = np.linalg.svd(end.T @ start)
    return u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt


def _hair(head: NDArray, turn: NDArray, fingers: NDArray, style: hair.Style, rng: np.random.Generator) -> Figure:
    """Shell, loose strands and curtain."""
    if style.name not in hair.STRANDS:
        return {}
    model = head_model()
    grown = hair.refined(head, model.faces[(model.part[model.faces] == SKIN).all(1)])
    made = hair.shell(grown, style, fingers, rng)
    made["hair_strands"] = hair.strands(grown, style, turn, fingers, rng)
    if style.name == "long":
        origin = head.mean(0) - turn @ model.mean.mean(0)
        own, near = (head - origin) @ turn, (fingers - origin) @ turn
        points, faces, flow = hair.curtain(own[model.part == SKIN], style, near, rng)
        made["hair_faces"] = np.concatenate([made["hair_faces"], faces + len(made["hair_vertices"])])
        made["hair_vertices"] = np.concatenate([made["hair_vertices"], points @ turn.T + origin])
        made["hair_flow"] = np.concatenate([made["hair_flow"], flow])
    return made


def _face(head: NDArray, turn: NDArray, fingers: NDArray, colours: skin.Colours, rng: np.random.Generator) -> Figure:
    """Brows, lashes, stubble, and sometimes glasses."""
    model = head_model()
    scalp = strands.Scalp(head, model.faces[(model.part[model.faces] == SKIN).all(1)], model.mean, turn)
    marks = model.landmarks(head)
    made = {"brows": _free(strands.brows(scalp, rng), fingers),
            "lashes": _free(strands.lashes(marks, turn, rng), fingers)}  # fmt: skip
    if colours.beard > 0.4:
        roots, _, normals = scalp.roots(skin.beard_amount(model.mean) + 1e-9, 4500, rng)
        comb = unit(turn @ [0, 1.0, -0.2] + 0.35 * rng.normal(size=roots.shape))
        length = (0.002 + 0.012 * (colours.beard - 0.4)) * rng.uniform(0.6, 1.2, (len(roots), 1))
        t = np.linspace(0, 1, 4)[:, None, None]
        lines = roots + length * (t * (0.5 * normals + 0.6 * comb) + 0.2 * t**2 * comb)
        made["beard"] = _free(lines.transpose(1, 0, 2), fingers)
    if rng.random() < GLASSES:
        lines = clothes.glasses(marks, turn, rng)
        if hair.room(np.concatenate(lines), fingers).min() > 0.008:
            made |= {f"glasses{index}": line for index, line in enumerate(lines)}
            made["glasses_radius"] = np.array(rng.uniform(0.0009, 0.0024))
    return made


def _free(lines: NDArray, hands: NDArray) -> NDArray:
    """The strands (S, P, 3) that keep clear of the hands."""
    return lines[hair.room(lines.reshape(-1, 3), hands).reshape(lines.shape[:2]).min(1) > 0.003]


def finish(pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """What a camera does to a picture (h, w, 3) uint8 RGB: a tint, a slight blur, noise, and JPEG."""
    picture = pixels.astype(np.float32) / 255
    picture = picture * (1 + 0.03 * rng.normal(size=3)) + rng.uniform(-0.015, 0.02)
    sigma = rng.choice([0, rng.uniform(0.3, 0.9)], p=[0.4, 0.6])
    if sigma:
        picture = cv2.GaussianBlur(picture, None, float(sigma))
    grain = rng.uniform(0.002, 0.016)
    picture += grain * rng.normal(size=picture.shape).astype(np.float32) * (0.6 + 0.4 * rng.random())
    picture += 0.6 * grain * rng.normal(size=(*picture.shape[:2], 1))
    rgb = (255 * np.clip(picture, 0, 1) + 0.5).astype(np.uint8)
    coded = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(80, 96))])[1]
    return cv2.imdecode(coded, cv2.IMREAD_COLOR)[..., ::-1]
