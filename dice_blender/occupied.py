# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the user is in the middle of something that nobody may add objects to."""

from __future__ import annotations

import bpy


def occupied() -> str:
    """What a finished job waits for, as a sentence; empty when its objects can be built now.

    Undo in the other modes knows only their own steps, and a transformation would be cut in two.
    """
    for window in bpy.context.window_manager.windows:
        active = window.view_layer.objects.active
        if active is not None and active.mode != "OBJECT":
            return "Done: return to Object Mode to see it"
        if any(operator.bl_idname.startswith("TRANSFORM_OT") for operator in window.modal_operators):
            return "Done: it is shown when you let go"
    return ""
