# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators: they collect settings, call one function and report."""

from __future__ import annotations

from . import batch, capture, crop, presets, result, runtime, scene

MODULES = (scene, result, capture, batch, crop, presets, runtime)


def register() -> None:
    for module in MODULES:
        module.register()


def unregister() -> None:
    for module in reversed(MODULES):
        module.unregister()
