# SPDX-License-Identifier: GPL-3.0-or-later
"""What things are called in the .blend. Scripts may rely on these names."""

from __future__ import annotations

import re
from pathlib import Path

COLLECTION = "DICE {}"
HEAD = "Head"
HANDS = {"right": "Hand.R", "left": "Hand.L"}
CAMERA = "Camera"
PERSPECTIVE = "Camera Perspective"  # beside an orthographic one: alike at the depth of the head
OBJECTS = {
    "head": HEAD, "hand_right": HANDS["right"], "hand_left": HANDS["left"], "camera": CAMERA,
    "camera_perspective": PERSPECTIVE,
}  # fmt: skip

BASIS = "Basis"  # shape key: the surface without contact deformation
DEFORMATION = "Deformation"  # shape key: the surface with it
CONTACT_GROUP = "Contact"  # vertex group
CONTACT_ATTRIBUTE = "dice_contact"  # float, 0..1
DEFORMATION_ATTRIBUTE = "dice_deformation"  # float, metres: the length of the displacement
HEAT_ATTRIBUTE = "dice_contact_color"  # colour: contact as the heat map, for Solid view and Workbench
UV_MAP = "UVMap"

SKIN_MATERIAL = "DICE Skin"
EYES_MATERIAL = "DICE Eyes"
IRISES_MATERIAL = "DICE Irises"
MOUTH_MATERIAL = "DICE Mouth"
CONTACT_MATERIAL = "DICE Contact"

RESULT = "dice_result"  # custom property of a capture's collection: the bytes of its result file
FILE = "dice_file"  # custom property of a collection that a batch made: the picture's path
PART = "dice_part"  # custom property of an object: head, hand_right, hand_left, camera, camera_perspective
NAME_BYTES = 63 - len(".001")  # Blender 4 cuts names at 63 bytes; a second capture gets a number


def natural(name: str) -> list[tuple[int, str]]:
    """Sorts names as people count: `2.jpg` before `10.jpg`."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name.lower())]


def collection_name(source: str) -> str:
    """The collection of a capture of the picture `source`: `DICE portrait` for `portrait.jpg`."""
    name = COLLECTION.format(Path(source).stem or "capture")
    return name.encode()[:NAME_BYTES].decode(errors="ignore")
