# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators: they collect settings, call one function and report."""

from __future__ import annotations

from . import (
    batch,
    capture,
    crop,
    export,
    fix,
    official,
    presets,
    result,
    rig,
    runtime,
    scene,
    sequence,
    sequence_bake,
    sequence_scene,
    texture,
)  # fmt: skip

MODULES = (
    scene, result, fix, rig, texture, export, capture, batch, sequence_scene, sequence, sequence_bake, crop, presets,
    runtime, official,
)  # fmt: skip


def register() -> None:
    for module in MODULES:
        module.register()


def unregister() -> None:
    for module in reversed(MODULES):
        module.unregister()
