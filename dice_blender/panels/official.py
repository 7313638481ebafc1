# SPDX-License-Identifier: GPL-3.0-or-later
"""The official files that the dice engine needs: which are there, where the others come from, and on what terms."""

from __future__ import annotations

import bpy

from ...dice_core.body.kinds import KINDS, Kind
from ...dice_core.paths import official_models_dir
from .. import official, preferences
from ..languages.words import iface
from .widgets import draw_text

ICONS = {"found": "CHECKMARK", "missing": "REMOVE", "damaged": "ERROR"}
PAGE = 30  # characters that the button of a page takes
EXPLAINED = (
    "The DICE engine is the official network with your own copies of its files, under their makers' licences. "
    "Get them from the pages below, then choose them here: each is known by what is in it."
)


def draw_official(layout: bpy.types.UILayout, context: bpy.types.Context, own: bpy.types.AddonPreferences) -> None:
    """The list and its buttons, once there is a DICE engine or the user opened it."""
    has_engine = preferences.facts().get("engine") == "dice"
    if not has_engine:
        row = layout.row()
        row.alignment = "LEFT"
        icon = "DISCLOSURE_TRI_DOWN" if own.show_official else "DISCLOSURE_TRI_RIGHT"
        row.prop(own, "show_official", text="Official Files", icon=icon, emboss=False)
    if not (has_engine or own.show_official):
        return
    box = layout.box()
    draw_text(box, context, EXPLAINED, "DOCUMENTS")
    for source in dict.fromkeys(kind.source for kind in KINDS.values()):
        column = box.column(align=True)
        row = column.split(factor=0.8)
        told = iface(source.licence)
        told = told if source.licence.startswith(source.name) else f"{source.name}: {told}"
        draw_text(row, context, told, margin=PAGE)
        row.operator("wm.url_open", text="Open Page", icon="URL").url = source.page
        for key, kind in KINDS.items():
            if kind.source == source:
                _draw_file(column, kind, official.condition(key))
    draw_text(box, context, iface("They are kept, ready for use, in {}").format(official_models_dir()), "FILE_FOLDER")
    row = box.row(align=True)
    row.operator("dice.convert_models", text="Choose Files or Folder...", icon="FILEBROWSER")
    row.operator("dice.doctor", text="Self-Test", icon="CHECKBOX_HLT")
    column = box.column(align=True)
    for line in official.state.report:
        draw_text(column, context, line, _icon(line))


def _draw_file(column: bpy.types.UILayout, kind: Kind, condition: str) -> None:
    lacks = iface("missing: {}").format(iface(kind.where)) if kind.needed else iface("missing, not needed for captures")
    told = {"found": iface("found"), "damaged": iface("damaged"), "missing": lacks}[condition]
    row = column.split(factor=0.42)
    row.label(text=kind.title[:1].upper() + kind.title[1:], icon=ICONS[condition])
    row = row.split(factor=0.5)
    row.label(text=kind.file)
    row.label(text=told)


def _icon(line: str) -> str:
    """Of a line about the files that were chosen last."""
    if line.startswith(official.PASSED_OVER):
        return "CANCEL"
    return "CHECKMARK" if line.endswith(tuple(f" is {kind.title}" for kind in KINDS.values())) else "INFO"
