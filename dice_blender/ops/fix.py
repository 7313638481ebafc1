# SPDX-License-Identifier: GPL-3.0-or-later
"""Fix the contact of a capture that is in the scene."""

from __future__ import annotations

import bpy

from ...dice_core.types import Capture
from .. import capture_job, jobs, preferences
from ..scene import naming
from ..scene.build import rebuild
from ..scene.kept import kept
from .poll import run, unless
from .result import why_fixed
from .runtime import busy
from .scene import rebuilt


class DICE_OT_fix_contact(bpy.types.Operator):
    """Bring the hands that touch to the skin and let the skin give way. Changes to the capture's objects are lost"""

    bl_idname = "dice.fix_contact"
    bl_label = "Fix Contact"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return unless(cls, busy() or why_fixed(context) or _needless(context.scene.dice.result))

    def execute(self, context: bpy.types.Context) -> set[str]:
        collection, scene = context.scene.dice.result, context.scene
        return run(self, lambda: _job(collection[naming.OWNER], scene.name, kept(collection)))


def _needless(collection: bpy.types.Collection) -> str:
    return "" if collection.get("dice_engine") == "dice" else "The open engine brings hands to the skin itself"


def _job(owner: str, scene_name: str, capture: Capture) -> jobs.Job:
    def done(fixed: Capture) -> None:
        rebuilt(owner, scene_name, lambda collection, scene: rebuild(collection, scene, fixed), "Fix Contact")

    return capture_job.CaptureJob(capture_job.fixing(capture), runtime=preferences.runtime(), done=done)


register, unregister = bpy.utils.register_classes_factory((DICE_OT_fix_contact,))
