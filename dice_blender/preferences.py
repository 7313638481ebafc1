# SPDX-License-Identifier: GPL-3.0-or-later
"""The extension's preferences: where the capture runtime is, and how to get it."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import bpy
from bpy.props import BoolProperty, StringProperty

from ..dice_core import paths
from ..dice_core.installer import plan

ROOT_PACKAGE = __package__.rpartition(".")[0]  # Blender files preferences under the extension, not under its parts


class DICE_AP_preferences(bpy.types.AddonPreferences):
    """Where the runtime is."""

    bl_idname = ROOT_PACKAGE

    runtime: StringProperty(
        name="Runtime Folder",
        description="Folder of the capture runtime: an own Python with the libraries and models that captures need. "
        "All Blender versions may share it",
        subtype="DIR_PATH",
        default=str(paths.runtime_dir()),
    )
    show_official: BoolProperty(
        name="Official Files", description="Show the files that the DICE engine needs, which only you can get"
    )

    def draw(self, context: bpy.types.Context) -> None:
        from .panels.official import draw_official
        from .panels.runtime import draw_runtime

        self.layout.use_property_split = True
        self.layout.prop(self, "runtime")
        draw_runtime(self.layout, context)
        draw_official(self.layout, context, self)


def _own() -> DICE_AP_preferences | None:
    addon = bpy.context.preferences.addons.get(ROOT_PACKAGE)
    return addon.preferences if addon else None


def show_official() -> None:
    """Let the preferences show the official files."""
    if own := _own():
        own.show_official = True


def runtime() -> Path:
    """The runtime folder that the user chose, or the usual one."""
    own = _own()
    chosen = own.runtime if own else ""
    return Path(bpy.path.abspath(chosen)).absolute() if chosen else paths.runtime_dir()


def is_installed() -> bool:
    """Whether the runtime is there and complete."""
    folder = runtime()
    return (folder / paths.MARKER).is_file() and paths.runtime_python(folder).is_file()


def facts() -> dict:
    """What is installed: `engine` (`open`, or `dice`, which has both), `device` (`cpu`, `cuda`), ...; or nothing."""
    marker = runtime() / paths.MARKER
    return _facts(marker.parent, marker.stat().st_mtime_ns) if marker.is_file() else {}


@lru_cache(maxsize=1)
def _facts(folder: Path, changed: int) -> dict:  # for drawing
    return plan.installed(folder)


def outdated() -> str:
    """Why the runtime does not fit this version of the extension; empty when it does. Quick enough for drawing."""
    marker = runtime() / paths.MARKER
    return _outdated(marker.parent, marker.stat().st_mtime_ns) if marker.is_file() else ""


@lru_cache(maxsize=1)
def _outdated(folder: Path, changed: int) -> str:
    return plan.outdated(folder)


def register() -> None:
    bpy.utils.register_class(DICE_AP_preferences)


def unregister() -> None:
    bpy.utils.unregister_class(DICE_AP_preferences)
