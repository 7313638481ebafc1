# SPDX-License-Identifier: GPL-3.0-or-later
"""The DICE tabs of the sidebars of the 3D view and the Image Editor. Panels only draw."""

from __future__ import annotations

import bpy

from .main import DICE_PT_image, DICE_PT_main
from .result import DICE_PT_result
from .runtime import DICE_PT_runtime

CLASSES = (DICE_PT_main, DICE_PT_image, DICE_PT_result, DICE_PT_runtime)  # parents first

register, unregister = bpy.utils.register_classes_factory(CLASSES)
