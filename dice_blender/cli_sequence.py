# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands' way with moving pictures: an animated .blend, and a folder beside it."""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

import bpy

from ..dice_core.errors import DiceError
from ..dice_core.types import Progress
from . import api, sequence_folders
from .cli_scene import fresh_scene, how, make_relative, save, tell
from .scene import moving
from .sequence_properties import LAYOUTS, TIMINGS

CACHE = "dice_cache"  # beside the .blend
RANGE = {"start": None, "end": None, "rate": 0.0, "cache": None, "resume": False}
CHOICES = {"smoothing": 0.5, "layout": "auto", "timing": "source"}  # a new scene has no rate that anybody chose


def add_range(parser: argparse.ArgumentParser) -> None:
    """Of one sequence."""
    parser.add_argument("--start", type=_index, metavar="N", help="first frame, the source's first is 0")
    parser.add_argument("--end", type=_index, metavar="N", help="last frame, which is captured too")
    parser.add_argument("--rate", type=_rate, metavar="FPS", help="of pictures: frames a second (default: 24)")
    parser.add_argument(
        "--cache", type=Path, metavar="DIR", help=f"folder of the sequence (default: {CACHE}/SCENE beside SCENE.blend)"
    )
    parser.add_argument("--resume", action="store_true", help="go on with what the folder holds")
    parser.set_defaults(**RANGE)


def add_choices(parser: argparse.ArgumentParser) -> None:
    """Of all sequences."""
    parser.add_argument("--smoothing", type=_share, metavar="0..1", help="of a sequence's motion (default: 0.5)")
    parser.add_argument("--layout", choices=[name for name, *_ in LAYOUTS], help="how a sequence's meshes move")
    parser.add_argument(
        "--timing", choices=[name for name, *_ in TIMINGS],
        help="give the scene the sequence's frame rate, or leave it at 24 a second (default: source)",
    )  # fmt: skip
    parser.set_defaults(**CHOICES)


def given(options: argparse.Namespace) -> str:
    """The first option that belongs to sequences and was given; empty when there is none."""
    named = [name for name, usual in (RANGE | CHOICES).items() if getattr(options, name) != usual]
    return f"--{named[0]}" if named else ""


def is_sequence(options: argparse.Namespace) -> bool:
    """Whether moving pictures are asked for."""
    first, *more = options.source
    return bool(more) or first.is_dir() or (options.frame is None and is_movie(first))


def is_movie(path: Path) -> bool:
    """By its name."""
    return path.suffix.lower() in bpy.path.extensions_movie


def write(sources: list[Path], output: Path, options: argparse.Namespace, report: Progress) -> None:
    """Capture moving pictures into a .blend, and say what came of it."""
    fresh_scene()
    source = sources[0] if len(sources) == 1 else sources
    folder = _folder(moving.known_by(source)[1], output, options)
    try:
        collection = api.capture_sequence(
            source, folder, report=report, **how(options),
            **{name: getattr(options, name) for name in RANGE | CHOICES if name != "cache"},
        )  # fmt: skip
    except (DiceError, KeyboardInterrupt):
        if sequence_folders.is_unfinished(folder):
            again = "the same command" if hasattr(options, "again") else "--resume"
            sys.stderr.write(f"{folder} keeps what was done: {again} goes on with it.\n")
        raise
    make_relative(output.parent)
    save(output)
    touches, frames = collection["dice_contact_states"].get("touch", 0), collection["dice_frames"]
    tell(output, collection, f"{frames} frames, touch in {touches}")


def _folder(first: str, output: Path, options: argparse.Namespace) -> Path:
    """Where the sequence is kept: with --resume, where the newest one of the same source is."""
    if options.cache:
        return options.cache.absolute()
    base, name = output.parent / CACHE, output.stem
    begun = sequence_folders.newest(base, name, first) if options.resume else None
    return begun or sequence_folders.new_folder(base, name)


def _index(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text} is no number of a frame: the first is 0")
    return int(text)


def _rate(text: str) -> float:
    return _between(text, 0.01, 1000.0)


def _share(text: str) -> float:
    return _between(text, 0.0, 1.0)


def _between(text: str, least: float, most: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not least <= value <= most:
        raise argparse.ArgumentTypeError(f"{text} is no number between {least:g} and {most:g}")
    return value
