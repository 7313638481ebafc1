# SPDX-License-Identifier: GPL-3.0-or-later
"""The DICE tabs of the sidebars of the 3D view, of the Image and Movie Clip Editors and of the Video Sequencer.

Panels only draw.
"""

from __future__ import annotations

import bpy

from .main import DICE_PT_clip, DICE_PT_image, DICE_PT_main, DICE_PT_strip
from .result import DICE_PT_quality, DICE_PT_result, DICE_PT_tools
from .runtime import DICE_PT_runtime
from .sequence import DICE_PT_sequence, DICE_PT_sequence_clip, DICE_PT_sequence_strip

CLASSES = (  # parents first
    DICE_PT_main, DICE_PT_image, DICE_PT_clip, DICE_PT_strip, DICE_PT_sequence, DICE_PT_sequence_clip,
    DICE_PT_sequence_strip, DICE_PT_result, DICE_PT_tools, DICE_PT_quality, DICE_PT_runtime,
)  # fmt: skip

register, unregister = bpy.utils.register_classes_factory(CLASSES)
