# SPDX-License-Identifier: GPL-3.0-or-later
"""`blender -b --command dice capture|batch|doctor`: photographs and movies to .blend files, without a window."""

from __future__ import annotations

import argparse
import itertools
import signal
import sys
from pathlib import Path

import bpy

from ..dice_core import doctor
from ..dice_core.errors import Cancelled, DiceError
from ..dice_core.types import PRECISIONS, Progress, crop, silent
from . import api, cli_sequence, preferences
from .batch_job import pictures_in
from .cli_scene import fresh_scene, how, save, tell
from .sequence_folders import check_folder

COMMAND = "dice"
WRONG_USAGE = 2


def main(arguments: list[str]) -> int:
    """Run the command. Gives 0, or 1 error, 2 wrong usage, 3 nothing found, 130 cancelled."""
    try:
        options = _parser().parse_args(arguments)
        if reason := _mistake(options):
            options.wrong(reason)
    except SystemExit as stop:  # argparse has written its message
        return WRONG_USAGE if stop.code else 0
    heeded = signal.signal(signal.SIGINT, signal.default_int_handler)  # Blender's own leaves Ctrl-C to nobody
    try:
        return options.run(options)
    except DiceError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("Cancelled.\n")
        return Cancelled.exit_code
    finally:
        signal.signal(signal.SIGINT, heeded if heeded is not None else signal.SIG_DFL)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"blender -b --command {COMMAND}", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    capture = commands.add_parser("capture", help="capture a photograph or a movie into a new .blend file")
    capture.add_argument(
        "source", type=Path, nargs="+",
        help="picture of a face, a hand, or both; or a movie, a folder of pictures, or several pictures in order",
    )  # fmt: skip
    capture.add_argument("-o", "--output", type=Path, required=True, metavar="SCENE.blend", help="file to write")
    capture.add_argument("--frame", type=int, metavar="N", help="of a movie: this frame only, the first is 0")
    batch = commands.add_parser("batch", help="capture many pictures and movies, each into a .blend file of its own")
    batch.add_argument("source", type=Path, nargs="+", help="picture files, folders of them, movie files")
    batch.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="folder for the files")
    batch.add_argument("--again", action="store_true", help="capture again what has a file there already")
    batch.set_defaults(frame=None, **cli_sequence.RANGE | {"resume": True})
    cli_sequence.add_range(capture)
    for command, run in ((capture, _capture), (batch, _batch)):
        _add_choices(command)
        cli_sequence.add_choices(command)
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


def _mistake(options: argparse.Namespace) -> str:
    """Which options do not go together; empty when they do."""
    if getattr(options, "engine", "") == "open" and (options.precision, options.fix_contact) != ("exact", False):
        return "--precision and --fix-contact belong to --engine dice"
    if options.run is not _capture:
        return ""
    if options.frame is not None and len(options.source) > 1:
        return "--frame takes one movie"
    if not cli_sequence.is_sequence(options) and (given := cli_sequence.given(options)):
        return f"{given} belongs to movies, folders and several pictures"
    return ""


def _capture(options: argparse.Namespace) -> int:
    output = options.output.absolute()
    output = output if output.suffix.lower() == ".blend" else output.with_name(f"{output.name}.blend")
    check_folder(output.parent)
    sources = [path.absolute() for path in options.source]
    if cli_sequence.is_sequence(options):
        cli_sequence.write(sources, output, options, _report)
    else:
        _write_scene(sources[0], output, options, _report)
    return 0


def _batch(options: argparse.Namespace) -> int:
    sources = [path for given in options.source for path in _in(given.absolute())]
    if not sources:
        raise DiceError("There is no picture to capture.", "Name pictures, or a folder that holds some.")
    folder = options.output.absolute()
    check_folder(folder)
    failed = 0
    for source, output in zip(sources, _outputs(sources, folder), strict=True):
        if output.exists() and not options.again:
            sys.stdout.write(f"{output}: is there already\n")
            continue
        try:
            if cli_sequence.is_movie(source):
                cli_sequence.write([source], output, options, silent)
            else:
                _write_scene(source, output, options, silent)
        except Cancelled:
            raise
        except DiceError as error:
            failed += 1
            sys.stderr.write(f"{source}: {error}\n")
    if failed:
        raise DiceError(f"{failed} of {len(sources)} pictures could not be captured.", "The reasons stand above.")
    return 0


def _in(given: Path) -> list[Path]:
    return pictures_in(given) if given.is_dir() else [given]


def _outputs(sources: list[Path], folder: Path) -> list[Path]:
    """A .blend for each source; those that differ in their ending only, or in their folder, do not share one."""
    outputs: list[Path] = []
    for source in sources:
        numbered = (f"{source.name}.{number}" for number in itertools.count(2))
        names = itertools.chain((source.stem, source.name), numbered)
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
        photo if options.frame is None else (photo, options.frame), report=report, **how(options)
    )
    save(output)
    state, probability = collection["dice_contact_state"], collection["dice_contact_probability"]
    tell(output, collection, f"{state}, contact probability {probability:.2f}")


def _report(stage: str, fraction: float) -> None:
    sys.stdout.write(f"{fraction:4.0%} {stage}\n")
    sys.stdout.flush()


_handle: object = None


def register() -> None:
    global _handle
    _handle = bpy.utils.register_cli_command(COMMAND, main)


def unregister() -> None:
    bpy.utils.unregister_cli_command(_handle)
