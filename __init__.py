# SPDX-License-Identifier: GPL-3.0-or-later
"""The Blender extension. Imports nothing until Blender asks, so that other tools may import this folder."""


def register() -> None:
    from . import dice_blender

    dice_blender.register()


def unregister() -> None:
    from . import dice_blender

    dice_blender.unregister()
