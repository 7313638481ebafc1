# SPDX-License-Identifier: GPL-3.0-or-later
"""The interface in other languages than English. CONTRIBUTING.md says how one is added."""

from __future__ import annotations

import bpy

from . import german
from .words import CONTEXT

CATALOGUES = {"de_DE": german.TEXTS}  # by Blender's names of the languages
CONTEXTS = ("*", "Operator", CONTEXT)  # Blender looks for labels of operators in the second


def register() -> None:
    texts = {
        language: {(context, english): text for english, text in catalogue.items() for context in CONTEXTS if text}
        for language, catalogue in CATALOGUES.items()
    }
    bpy.app.translations.register(__package__, texts)


def unregister() -> None:
    bpy.app.translations.unregister(__package__)
