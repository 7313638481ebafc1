# SPDX-License-Identifier: GPL-3.0-or-later
"""Install, repair and remove the capture runtime."""

from __future__ import annotations

import bpy
from bpy.props import BoolProperty

from ...dice_core.errors import DiceError
from .. import capture_job, jobs, preferences
from ..install_job import InstallJob
from .poll import unless


def _busy() -> str:
    return "" if jobs.state.job is None else "Wait for the running job, or cancel it"


class DICE_OT_install(bpy.types.Operator):
    """Download the libraries and models that captures need into the runtime folder"""

    bl_idname = "dice.install"
    bl_label = "Install Capture Runtime"

    repair: BoolProperty(
        name="Repair", description="Make the capture runtime anew", options={"SKIP_SAVE"}
    )
    official: BoolProperty(
        name="DICE Engine",
        description="Add what the official network needs: PyTorch, for the GPU when there is one. "
        "Its weights and body models are your own files",
        options={"SKIP_SAVE"},
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        offline = "" if bpy.app.online_access else "Allow online access first, in Preferences > System > Network"
        return unless(cls, _busy() or offline)

    @classmethod
    def description(cls, context: bpy.types.Context, properties: bpy.types.OperatorProperties) -> str:
        chosen = next((name for name in ("official", "repair") if getattr(properties, name)), None)
        return properties.bl_rna.properties[chosen].description if chosen else cls.__doc__

    def execute(self, context: bpy.types.Context) -> set[str]:
        return _run(self, "Installing", *["--repair"] * self.repair, *["--engine", "dice"] * self.official)


class DICE_OT_remove_runtime(bpy.types.Operator):
    """Delete the capture runtime's folder; captures need it to be installed again"""

    bl_idname = "dice.remove_runtime"
    bl_label = "Remove Capture Runtime"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return unless(cls, _busy())

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return context.window_manager.invoke_confirm(self, event)

    def execute(self, context: bpy.types.Context) -> set[str]:
        return _run(self, "Removing", "--remove")


def _run(operator: bpy.types.Operator, stage: str, *options: str) -> set[str]:
    capture_job.release(wait=True)  # it may use files that are replaced
    job = InstallJob(preferences.runtime(), *options, stage=stage)
    if not bpy.app.background:
        jobs.start(job)
        return {"FINISHED"}
    try:
        jobs.finish(job)
    except DiceError as error:
        operator.report({"ERROR"}, str(error))
        return {"CANCELLED"}
    return {"FINISHED"}


CLASSES = (DICE_OT_install, DICE_OT_remove_runtime)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
