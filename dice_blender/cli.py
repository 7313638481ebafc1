# SPDX-License-Identifier: GPL-3.0-or-later
"""`blender -b --command dice capture|batch|doctor`: photographs to .blend files, without a window."""

from __future__ import annotations

import argparse
import itertools
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import bpy

from ..dice_core import doctor
from ..dice_core.errors import Cancelled, DiceError
from ..dice_core.files import atomic
from ..dice_core.types import PRECISIONS, Progress, crop, silent
from . import api, preferences
from .batch_job import pictures_in
from .compat import node_tree

COMMAND = "dice"
WRONG_USAGE = 2
LAMP_STRENGTH, LAMP_ROTATION = 2.5, (0.9, -0.35, 0.3)  # from above, over the photographer's left shoulder
BACKGROUND = (0.6, 0.6, 0.6, 1.0)  # so that a render of the fresh scene shows something


def main(arguments: list[str]) -> int:
    """Run the command. Gives 0, or 1 error, 2 wrong usage, 3 nothing found, 130 cancelled."""
    try:
        options = _parser().parse_args(arguments)
        if getattr(options, "engine", "") == "open" and (options.precision, options.fix_contact) != ("exact", False):
            options.wrong("--precision and --fix-contact belong to --engine dice")
    except SystemExit as stop:  # argparse has written its message
        return WRONG_USAGE if stop.code else 0
    try:
        return options.run(options)
    except DiceError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        return Cancelled.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"blender -b --command {COMMAND}", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    capture = commands.add_parser("capture", help="capture a photograph into a new .blend file")
    capture.add_argument("photo", type=Path, help="picture of a face, a hand, or both; or a movie, with --frame")
    capture.add_argument("-o", "--output", type=Path, required=True, metavar="SCENE.blend", help="file to write")
    capture.add_argument("--frame", type=int, metavar="N", help="of a movie: which frame, the first is 0")
    batch = commands.add_parser("batch", help="capture many pictures, each into a .blend file of its own")
    batch.add_argument("pictures", type=Path, nargs="+", help="picture files, or folders of them")
    batch.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="folder for the files")
    batch.add_argument("--again", action="store_true", help="capture again what has a file there already")
    batch.set_defaults(frame=None)
    for command, run in ((capture, _capture), (batch, _batch)):
        _add_choices(command)
        command.set_defaults(run=run, wrong=command.error)
    doctor = commands.add_parser("doctor", help="what is installed, what is missing, and what to do about it")
    doctor.set_defaults(run=_doctor)
    return parser


def _add_choices(parser: argparse.ArgumentParser) -> None:
    """How to capture: see `api.capture`."""
    parser.add_argument(
        "--engine", default="open", choices=("open", "dice"), help="dice is the official network (default: open)"
    )
    parser.add_argument("--hand", default="auto", choices=("auto", "right", "left", "both"), help="the person's own")
    parser.add_argument("--face", type=int, default=0, metavar="N", help="the leftmost is 1 (default: the largest)")
    parser.add_argument("--crop", type=crop, metavar="LEFT,TOP,SIDE", help="look at this square only, in pixels")
    parser.add_argument("--precision", default="exact", choices=PRECISIONS, help="of the dice engine")
    parser.add_argument("--fix-contact", action="store_true", help="dice engine: bring hands that touch to the skin")


def _capture(options: argparse.Namespace) -> int:
    output = options.output.absolute()
    output = output if output.suffix.lower() == ".blend" else output.with_name(f"{output.name}.blend")
    _check_folder(output.parent)
    _write_scene(options.photo.absolute(), output, options, _report)
    return 0


def _batch(options: argparse.Namespace) -> int:
    pictures = [path for given in options.pictures for path in _pictures(given.absolute())]
    if not pictures:
        raise DiceError("There is no picture to capture.", "Name pictures, or a folder that holds some.")
    folder = options.output.absolute()
    _check_folder(folder)
    failed = 0
    for picture, output in zip(pictures, _outputs(pictures, folder), strict=True):
        if output.exists() and not options.again:
            sys.stdout.write(f"{output}: is there already\n")
            continue
        try:
            _write_scene(picture, output, options, silent)
        except Cancelled:
            raise
        except DiceError as error:
            failed += 1
            sys.stderr.write(f"{picture}: {error}\n")
    if failed:
        raise DiceError(f"{failed} of {len(pictures)} pictures could not be captured.", "The reasons stand above.")
    return 0


def _pictures(given: Path) -> list[Path]:
    return pictures_in(given) if given.is_dir() else [given]


def _outputs(pictures: list[Path], folder: Path) -> list[Path]:
    """A .blend for each picture; pictures that differ in their ending only, or in their folder, do not share one."""
    outputs: list[Path] = []
    for picture in pictures:
        numbered = (f"{picture.name}.{number}" for number in itertools.count(2))
        names = itertools.chain((picture.stem, picture.name), numbered)
        outputs.append(next(path for name in names if (path := folder / f"{name}.blend") not in outputs))
    return outputs


def _doctor(options: argparse.Namespace) -> int:
    checks = doctor.doctor(preferences.runtime())
    sys.stdout.write(doctor.render(checks) + "\n")
    return 0 if all(check.ok for check in checks) else DiceError.exit_code


def _write_scene(photo: Path, output: Path, options: argparse.Namespace, report: Progress) -> None:
    """Capture one picture into a .blend, and say what came of it."""
    fresh_scene()
    collection = api.capture(
        photo if options.frame is None else (photo, options.frame), engine=options.engine, hand=options.hand,
        crop=options.crop, precision=options.precision, fix_contact=options.fix_contact, face=options.face,
        report=report,
    )  # fmt: skip
    _save(output)
    state, probability = collection["dice_contact_state"], collection["dice_contact_probability"]
    for note in filter(None, collection["dice_notes"].split("\n")):
        sys.stdout.write(f"note: {note}\n")
    sys.stdout.write(f"{output}: {state}, contact probability {probability:.2f}\n")
    sys.stdout.flush()


def _save(output: Path) -> None:
    """The file appears whole or not at all: on a full disk, Blender 5 leaves half a file and does not say so."""
    with atomic(output) as temporary, TemporaryDirectory(prefix=".", dir=output.parent) as folder:
        written = Path(folder) / output.name
        try:
            bpy.ops.wm.save_as_mainfile(filepath=str(written), copy=True, relative_remap=False)
            with bpy.data.libraries.load(str(written)):
                pass
        except (RuntimeError, OSError) as error:
            raise DiceError(
                f"Cannot write {output} ({str(error).strip()}).", "Free some disk space or choose another folder."
            ) from error
        written.replace(temporary)


def _check_folder(folder: Path) -> None:
    # Asked before the work: Blender would only say so after it.
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DiceError(f"Cannot make the folder {folder} ({error.strerror}).", "Choose another.") from error
    if not os.access(folder, os.W_OK):
        raise DiceError(f"Cannot write to the folder {folder}.", "Choose a folder you may write to.")


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
