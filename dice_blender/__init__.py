# SPDX-License-Identifier: GPL-3.0-or-later
"""The Blender side: operators, panels and the scene that a capture becomes. Estimation runs in another process."""

from __future__ import annotations

from . import cli, jobs, languages, ops, panels, preferences, preview, properties

MODULES = (languages, properties, preferences, jobs, preview, ops, panels, cli)


def register() -> None:
    """Make everything known to Blender; no file, process or network is touched."""
    for module in MODULES:
        module.register()


def unregister() -> None:
    """Take it all back, in reverse order; a running job ends."""
    for module in reversed(MODULES):
        module.unregister()
