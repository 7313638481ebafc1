# SPDX-License-Identifier: GPL-3.0-or-later
"""What a captured sequence shows, and what can be made of it."""

from __future__ import annotations

import bpy

from ..compat import node_input
from ..languages.words import iface
from ..scene import build, naming
from ..scene.cache_mesh import caches_of
from .widgets import draw_text

STATES = {  # of contact, in the order in which they are told
    "touch": "Touch",
    "no-touch": "No Touch",
    "unsure": "Unsure",
    "no-hand": "No Hand Found",
    "no-head": "No Face Found",
}


def draw_sequence(layout: bpy.types.UILayout, context: bpy.types.Context, collection: bpy.types.Collection) -> None:
    """How often it touches, how it looks, and its smoothing."""
    frames = collection["dice_frames"]
    told = iface("{:.4g} frames a second, {} frames")
    layout.label(text=told.format(collection["dice_rate"], frames), icon="TIME")
    column = layout.column(align=True)
    counts = collection["dice_contact_states"]
    for state, label in STATES.items():
        if state in counts:
            share = counts[state] / frames
            column.progress(factor=share, type="BAR", text=iface("{}: {:.0%}").format(iface(label), share))
    head = build.parts(collection).get("head")
    if head is not None and naming.TOUCHING in head:  # keyed
        layout.label(text=iface("At this frame: probability {:.0%}").format(head[naming.TOUCHING]))
    _draw_sliders(layout, collection)
    for note in filter(None, collection["dice_notes"].split("\n")):
        draw_text(layout, context, note, "INFO")
    box = layout.box().column()
    box.prop(context.scene.dice.sequence, "smoothing", slider=True)
    box.operator("dice.smooth_sequence", icon="SMOOTHCURVE")
    column = layout.column(align=True)
    column.operator("dice.bake_frame", icon="SHAPEKEY_DATA")
    column.operator("dice.bake_range", icon="KEYFRAME_HLT")
    draw_text(layout, context, collection[naming.FOLDER], "FILE_FOLDER")


def _draw_sliders(layout: bpy.types.UILayout, collection: bpy.types.Collection) -> None:
    parts = build.parts(collection)
    column = layout.column(align=True)
    if head := parts.get("head"):
        nodes = next((modifier for modifier in caches_of(head) if modifier.type == "NODES"), None)
        if nodes is not None:
            given = node_input(nodes, naming.DEFORMATION)
            column.prop(given.owner, given.path, text=naming.DEFORMATION, slider=True)
        elif naming.DEFORMATION in head:
            column.prop(head, f'["{naming.DEFORMATION}"]', text=naming.DEFORMATION, slider=True)
    camera = parts.get("camera")
    for background in camera.data.background_images if camera else ():
        column.prop(background, "alpha", text="Footage", slider=True)
