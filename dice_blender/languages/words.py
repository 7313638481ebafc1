# SPDX-License-Identifier: GPL-3.0-or-later
"""Translate what we compose or wrap ourselves: labels, names and tooltips are translated by Blender."""

from __future__ import annotations

import bpy

CONTEXT = "DICE"  # where English words of ours mean something else than Blender's: `Face`, `Open`


def iface(text: str) -> str:
    """A text of the panels in the language of Blender's interface."""
    return bpy.app.translations.pgettext_iface(text, CONTEXT)


def stage(text: str) -> str:
    """The stage of a job, which engines write small, as a text of the panels."""
    return iface(text[:1].upper() + text[1:])


def tip(text: str) -> str:
    """A text of a tooltip, in the language of tooltips."""
    return bpy.app.translations.pgettext_tip(text, CONTEXT)


def rpt(text: str) -> str:
    """A text of a report, in the language of reports."""
    return bpy.app.translations.pgettext_rpt(text, CONTEXT)
