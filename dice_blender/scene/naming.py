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
    "camera_perspective": PERSPECTIVE, "head_rig": "Head Rig", "hand_right_rig": "Hand Rig.R",
    "hand_left_rig": "Hand Rig.L",
}  # fmt: skip
RIG = "{}_rig"  # the part that bends another one

ARMATURE = "Rig"  # modifier
AT_REST = "dice_at_rest"  # custom property of a mesh that a rig poses: its vertices are those of the rest pose
FLAME_KEY = "FLAME exp {:02}"  # shape keys: FLAME's expression components; those of the open head have ARKit's names
BASIS = "Basis"  # shape key: the surface without contact deformation
DEFORMATION = "Deformation"  # shape key: the surface with it
CONTACT_GROUP = "Contact"  # vertex group
CONTACT_ATTRIBUTE = "dice_contact"  # float, 0..1
FRAME_KEY = "f{:04}"  # shape keys of a sequence: the surface in each frame, without deformation; the first is 1
FRAME_DEFORMATION = "d{:04}"  # and with it, relative to that one
CACHE = "Sequence Cache"  # modifier: the surface in each frame, out of a file
SEQUENCE = "DICE Sequence"  # modifier and node group: deformation and contact in each frame
DEFORMATION_CACHE = "Deformation Cache"  # input of it: an object whose vertices are displacements
CONTACT_CACHE = "Contact Cache"  # input of it: an object whose vertices are probabilities
THRESHOLD = "Contact Threshold"  # input of it: less likely contact stays out of the vertex group
DEFORMATION_ATTRIBUTE = "dice_deformation"  # float, metres: the length of the displacement
HEAT_ATTRIBUTE = "dice_contact_color"  # colour: contact as the heat map, for Solid view and Workbench
UV_MAP = "UVMap"
PHOTO_UV = "Photo"  # where the photograph's camera saw each vertex: the picture's own coordinates
SEEN_ATTRIBUTE = "dice_seen"  # float, 0..1: how well it saw it
SKIN_ATTRIBUTE = "dice_skin"  # colour: of the skin that it saw, continued over the skin that it did not

SKIN_MATERIAL = "DICE Skin"
EYES_MATERIAL = "DICE Eyes"
IRISES_MATERIAL = "DICE Irises"
MOUTH_MATERIAL = "DICE Mouth"
CONTACT_MATERIAL = "DICE Contact"
PHOTO_MATERIAL = "DICE Photo {}"  # of a part of one capture
PLAIN = "dice_plain"  # custom property of such a material: the one that it took the place of

RESULT = "dice_result"  # custom property of a capture's collection: its result, packed
PHOTOGRAPH = "dice_photograph"  # custom property of a capture's collection: the image behind its cameras
OWNER = "dice_capture"  # custom property of a capture's collection and objects: the same in all, in no other capture
MADE = "dice_made"  # custom property of a capture's collection: the parts that were made, in words
OURS = "dice_material"  # custom property of materials, and of what lets sequences move, that we made
FOLDER = "dice_folder"  # custom property of a sequence's collection: the folder that it was built from
TIMING = "dice_timing"  # custom property of a sequence's collection: its first frame, and frames of it a scene's frame
SIZE = "dice_size"  # custom property of a sequence's collection: width, height of the pictures
TOLERANCE = "dice_tolerance"  # custom property of a sequence's collection: how far its curves may be from the values
POSITIONS = "dice_positions"  # custom property of a mesh with a shape key a frame: the first and the last one
CONFIDENCE = "confidence"  # custom property of a sequence's objects: how sure it is that the part is there, 0..1
TOUCHING = "contact_probability"  # custom property of a sequence's head: that a hand touches it, 0..1
FILE = "dice_file"  # custom property of a collection that a batch made: the picture's path
PART = "dice_part"  # custom property of an object: one of OBJECTS
NAME_BYTES = 63 - len(".001")  # Blender 4 cuts names at 63 bytes; a second capture gets a number


def natural(name: str) -> list[tuple[int, str]]:
    """Sorts names as people count: `2.jpg` before `10.jpg`."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name.lower())]


def collection_name(source: str, frame: int | None = None) -> str:
    """The collection of a capture: `DICE portrait` of `portrait.jpg`, `DICE clip 12` of frame 12 of `clip.mp4`."""
    name = COLLECTION.format(Path(source).stem or "capture")
    name += "" if frame is None else f" {frame}"
    return name.encode()[:NAME_BYTES].decode(errors="ignore")
