# SPDX-License-Identifier: GPL-3.0-or-later
"""Capture many pictures, each into a collection of its own."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import BoolProperty, CollectionProperty, StringProperty
from bpy_extras.io_utils import ImportHelper

from ...dice_core.errors import DiceError
from .. import batch_job, jobs, preferences
from ..batch_job import Report, pictures_in
from ..languages.words import iface, rpt
from .capture import GLOB, not_ready, request_of
from .poll import unless

REPORT = "DICE Batch"  # name of the text that says what became of each picture


class DICE_OT_batch(bpy.types.Operator, ImportHelper):
    """Capture several pictures, or all of a folder, each into a collection of its own"""

    bl_idname = "dice.batch"
    bl_label = "Capture Several Pictures"

    filename_ext = ""
    filter_glob: StringProperty(default=GLOB, options={"HIDDEN"})
    directory: StringProperty(subtype="DIR_PATH", options={"HIDDEN", "SKIP_SAVE"})
    files: CollectionProperty(type=bpy.types.OperatorFileListElement, options={"HIDDEN", "SKIP_SAVE"})
    again: BoolProperty(
        name="Capture Again", description="Capture pictures that are in the scene already once more"
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return unless(cls, not_ready(context.scene.dice))

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene = context.scene
        chosen = [item.name for item in self.files]
        pictures = pictures_in(Path(bpy.path.abspath(self.directory)), chosen) if self.directory else []
        job = batch_job.in_scene(
            pictures, request_of(scene.dice), scene, runtime=preferences.runtime(), again=self.again, ended=_tell
        )
        if not job.total:
            self.report({"ERROR"}, "There is no picture to capture. Choose pictures, or a folder that holds some")
            return {"CANCELLED"}
        if not bpy.app.background:
            jobs.start(job)
            return {"FINISHED"}
        jobs.finish(job)
        self.report({"INFO"}, rpt("{} of {} pictures were captured").format(len(job.report.captured), job.total))
        return {"FINISHED"}


def _tell(report: Report) -> None:
    """Write what became of each picture into a text."""
    text = bpy.data.texts.get(REPORT) or bpy.data.texts.new(REPORT)
    text.clear()
    text.write(report.text())
    if report.failed:
        total = len(report.failed) + len(report.captured)
        jobs.state.notice = DiceError(
            iface("{} of {} pictures could not be captured.").format(len(report.failed), total),
            iface("The text {} says why.").format(REPORT),
        )


CLASSES = (DICE_OT_batch,)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
