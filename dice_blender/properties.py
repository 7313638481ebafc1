# SPDX-License-Identifier: GPL-3.0-or-later
"""What the panel remembers in each scene: `scene.dice`."""

from __future__ import annotations

import bpy
from bpy.props import BoolProperty, EnumProperty, IntProperty, PointerProperty, StringProperty

from .compat import PATH_OPTIONS
from .languages.words import CONTEXT
from .scene import naming
from .sequence_properties import DICE_PG_sequence

ENGINES = (
    ("open", "Open", "Landmarks and geometry; needs nothing that is gated, and no GPU"),
    ("dice", "DICE", "The official network, with the files of it that you have converted"),
)
HANDS = (
    ("auto", "Automatic", "Capture the hand that touches the face"),
    ("right", "Right", "Capture the person's right hand"),
    ("left", "Left", "Capture the person's left hand"),
    ("both", "Both", "Capture both hands"),
)


class DICE_PG_settings(bpy.types.PropertyGroup):
    """Settings of the DICE panel."""

    source: EnumProperty(
        name="Picture From",
        description="Where the photograph comes from",
        items=(
            ("FILE", "File", "Capture a picture file"),
            ("IMAGE", "Image", "Capture an image that is already in this .blend file"),
        ),
    )
    filepath: StringProperty(
        name="Photograph",
        description="Picture file of a face, a hand, or both",
        subtype="FILE_PATH",
        options=PATH_OPTIONS,
    )
    image: PointerProperty(name="Image", description="Image to capture, as Blender shows it", type=bpy.types.Image)
    engine: EnumProperty(
        name="Engine", description="What estimates the head and the hands", items=ENGINES, translation_context=CONTEXT
    )
    hand: EnumProperty(
        name="Hand", description="Which of the person's hands to capture", items=HANDS, translation_context=CONTEXT
    )
    face: IntProperty(
        name="Face",
        description="Which face, counted from the left; 0 lets the engine choose",
        default=0,
        min=0,
        max=99,
        translation_context=CONTEXT,
    )
    fix_contact: BoolProperty(
        name="Fix Contact", description="Bring hands that touch to the skin, and let the skin give way"
    )
    use_crop: BoolProperty(
        name="Crop",
        description="Look at a square of the picture only, at one of several faces for instance",
        translation_context=CONTEXT,
    )
    crop_left: IntProperty(
        name="Left", description="Pixels from the picture's left edge to the square", subtype="PIXEL"
    )
    crop_top: IntProperty(name="Top", description="Pixels from the picture's top edge to the square", subtype="PIXEL")
    crop_side: IntProperty(
        name="Side", description="Width and height of the square in pixels", subtype="PIXEL", default=512, min=16
    )
    result: PointerProperty(
        name="Capture",
        description="Which capture the panel describes and its tools work on",
        type=bpy.types.Collection,
        poll=lambda _, collection: naming.RESULT in collection or naming.FOLDER in collection,
    )
    sequence: PointerProperty(
        name="Sequence", description="How to capture moving pictures", type=DICE_PG_sequence
    )


def register() -> None:
    bpy.utils.register_class(DICE_PG_sequence)
    bpy.utils.register_class(DICE_PG_settings)
    bpy.types.Scene.dice = PointerProperty(type=DICE_PG_settings)


def unregister() -> None:
    del bpy.types.Scene.dice
    bpy.utils.unregister_class(DICE_PG_settings)
    bpy.utils.unregister_class(DICE_PG_sequence)
