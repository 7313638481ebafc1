# SPDX-License-Identifier: GPL-3.0-or-later
"""`blender -b --command dice capture PHOTO -o SCENE.blend`: a photograph to a .blend, without a window."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import bpy

from ..dice_core.errors import Cancelled, DiceError
from ..dice_core.types import PRECISIONS, crop
from . import api
from .compat import node_tree

COMMAND = "dice"
WRONG_USAGE = 2
LAMP_STRENGTH, LAMP_ROTATION = 2.5, (0.9, -0.35, 0.3)  # from above, over the photographer's left shoulder
BACKGROUND = (0.6, 0.6, 0.6, 1.0)  # so that a render of the fresh scene shows something


def main(arguments: list[str]) -> int:
    """Run the command. Gives 0, or 1 error, 2 wrong usage, 3 nothing found, 130 cancelled."""
    try:
        options = _parser().parse_args(arguments)
        if options.engine == "open" and (options.precision, options.fix_contact) != ("exact", False):
            options.wrong("--precision and --fix-contact belong to --engine dice")
    except SystemExit as stop:  # argparse has written its message
        return WRONG_USAGE if stop.code else 0
    try:
        _capture(options)
    except DiceError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        return Cancelled.exit_code
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"blender -b --command {COMMAND}", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="capture")
    capture = commands.add_parser("capture", help="capture a photograph into a new .blend file")
    capture.add_argument("photo", type=Path, help="picture file of a face, a hand, or both")
    capture.add_argument("-o", "--output", type=Path, required=True, metavar="SCENE.blend", help="file to write")
    capture.add_argument(
        "--engine", default="open", choices=("open", "dice"), help="dice is the official network (default: open)"
    )
    capture.add_argument("--hand", default="auto", choices=("auto", "right", "left", "both"), help="the person's own")
    capture.add_argument("--crop", type=crop, metavar="LEFT,TOP,SIDE", help="look at this square only, in pixels")
    capture.add_argument("--precision", default="exact", choices=PRECISIONS, help="of the dice engine")
    capture.add_argument("--fix-contact", action="store_true", help="dice engine: bring hands that touch to the skin")
    capture.set_defaults(wrong=capture.error)
    return parser


def _capture(options: argparse.Namespace) -> None:
    output = options.output.absolute()
    output = _writable(output if output.suffix.lower() == ".blend" else output.with_name(f"{output.name}.blend"))
    fresh_scene()
    collection = api.capture(
        options.photo.absolute(), engine=options.engine, hand=options.hand, crop=options.crop,
        precision=options.precision, fix_contact=options.fix_contact, report=_report,
    )  # fmt: skip
    try:
        bpy.ops.wm.save_as_mainfile(filepath=str(output))
    except RuntimeError as error:
        raise DiceError(f"Cannot write {output} ({error}).", "Choose another folder.") from error
    state, probability = collection["dice_contact_state"], collection["dice_contact_probability"]
    for note in filter(None, collection["dice_notes"].split("\n")):
        sys.stdout.write(f"note: {note}\n")
    sys.stdout.write(f"{output}: {state}, contact probability {probability:.2f}\n")


def _writable(output: Path) -> Path:
    # Asked before the work: Blender would only say so after it.
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DiceError(f"Cannot make the folder {output.parent} ({error.strerror}).", "Choose another.") from error
    if not os.access(output.parent, os.W_OK):
        raise DiceError(f"Cannot write to the folder {output.parent}.", "Choose a folder you may write to.")
    return output


def fresh_scene() -> None:
    """Start a new file that has a grey world and a lamp, and nothing else."""
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    world = bpy.data.worlds.new("World")
    background = next(node for node in node_tree(world).nodes if node.type == "BACKGROUND")
    background.inputs["Color"].default_value = BACKGROUND
    scene = bpy.context.scene
    scene.world = world
    lamp = bpy.data.objects.new("Key", bpy.data.lights.new("Key", "SUN"))
    lamp.data.energy = LAMP_STRENGTH
    lamp.rotation_euler = LAMP_ROTATION
    scene.collection.objects.link(lamp)


def _report(stage: str, fraction: float) -> None:
    sys.stdout.write(f"{fraction:4.0%} {stage}\n")
    sys.stdout.flush()


_handle: object = None


def register() -> None:
    global _handle
    _handle = bpy.utils.register_cli_command(COMMAND, main)


def unregister() -> None:
    bpy.utils.unregister_cli_command(_handle)
