# SPDX-License-Identifier: GPL-3.0-or-later
"""Install, repair, test and remove the capture runtime; what is told of it."""

from __future__ import annotations

import bpy
from bpy.props import BoolProperty

from .. import capture_job, jobs, log, preferences, self_test
from ..install_job import InstallJob
from ..languages.words import tip
from .poll import run, unless


def busy() -> str:
    """Why no job can be started now; empty when one can."""
    return "" if jobs.state.job is None else "Wait for the running job, or cancel it"


class DICE_OT_install(bpy.types.Operator):
    """Download the libraries and models that captures need into the runtime folder"""

    bl_idname = "dice.install"
    bl_label = "Install Capture Runtime"

    repair: BoolProperty(name="Repair", description="Make the capture runtime anew", options={"SKIP_SAVE"})
    official: BoolProperty(
        name="DICE Engine",
        description="Add what the official network needs: PyTorch, for the GPU when there is one. "
        "Its weights and body models are your own files",
        options={"SKIP_SAVE"},
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        offline = "" if bpy.app.online_access else "Allow online access first, in Preferences > System > Network"
        return unless(cls, busy() or offline)

    @classmethod
    def description(cls, context: bpy.types.Context, properties: bpy.types.OperatorProperties) -> str:
        chosen = next((name for name in ("official", "repair") if getattr(properties, name)), None)
        return tip(properties.bl_rna.properties[chosen].description if chosen else cls.__doc__)

    def execute(self, context: bpy.types.Context) -> set[str]:
        return _run(self, "Installing", *["--repair"] * self.repair, *["--engine", "dice"] * self.official)


class DICE_OT_remove_runtime(bpy.types.Operator):
    """Delete the capture runtime's folder; captures need it to be installed again"""

    bl_idname = "dice.remove_runtime"
    bl_label = "Remove Capture Runtime"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return unless(cls, busy())

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return context.window_manager.invoke_confirm(self, event)

    def execute(self, context: bpy.types.Context) -> set[str]:
        return _run(self, "Removing", "--remove")


class DICE_OT_doctor(bpy.types.Operator):
    """Test whether everything that captures need is there and works, and write what was found into a text"""

    bl_idname = "dice.doctor"
    bl_label = "Test Capture Runtime"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return unless(cls, busy())

    def execute(self, context: bpy.types.Context) -> set[str]:
        return run(self, lambda: self_test.job(preferences.runtime()))


class DICE_OT_copy_log(bpy.types.Operator):
    """Copy what the installation and the capture process said, and the versions of everything, to the clipboard"""

    bl_idname = "dice.copy_log"
    bl_label = "Copy Log"

    def execute(self, context: bpy.types.Context) -> set[str]:
        context.window_manager.clipboard = log.text(preferences.runtime(), capture_job.log())
        self.report({"INFO"}, "The log is on the clipboard")
        return {"FINISHED"}


class DICE_OT_dismiss(bpy.types.Operator):
    """Put this message away"""

    bl_idname = "dice.dismiss"
    bl_label = "Dismiss Message"
    bl_options = {"INTERNAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        jobs.state.notice = None
        jobs.redraw()
        return {"FINISHED"}


def _run(operator: bpy.types.Operator, stage: str, *options: str) -> set[str]:
    capture_job.release(wait=True)  # it may use files that are replaced
    return run(operator, lambda: InstallJob(preferences.runtime(), *options, stage=stage))


CLASSES = (DICE_OT_install, DICE_OT_remove_runtime, DICE_OT_doctor, DICE_OT_copy_log, DICE_OT_dismiss)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
