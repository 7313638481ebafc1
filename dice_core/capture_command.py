# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m dice_core capture`: one picture to a result file, or moving ones to a folder."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .types import Crop

OF_MOVING = ("start", "end", "rate", "smoothing", "resume")
OF_PICTURES = ("preview", "obj", "ply", "glb")


def describe(capture: argparse.ArgumentParser) -> None:
    capture.add_argument(
        "photo", type=path(), help="a picture (JPEG, PNG, TIFF, WebP or BMP), a movie, or a folder of pictures"
    )
    capture.add_argument(
        "-o", "--output", type=path(), metavar="PATH",
        help="result file of one picture (default: PHOTO with .npz, of a movie's frame MOVIE-FRAME.npz); folder of "
        "moving ones (default: PHOTO-sequence)",
    )  # fmt: skip
    capture.add_argument(
        "--engine", default="open", choices=["open", "dice"],
        help="dice is the official network; it needs the user's own files, see convert (default: open)",
    )  # fmt: skip
    capture.add_argument(
        "--hand", default="auto", choices=["auto", "right", "left", "both"],
        help="which hand, the person's own side; auto takes the one that touches (default)",
    )  # fmt: skip
    capture.add_argument(
        "--crop", type=_crop, metavar="LEFT,TOP,SIDE", help="look at this square of the picture only, in pixels"
    )
    capture.add_argument("--frame", type=int, metavar="N", help="of a movie: this frame only, the first is 0")
    capture.add_argument(
        "--face", type=int, default=0, metavar="N",
        help="which of several faces, the leftmost is 1 (default: 0, the largest)",
    )  # fmt: skip
    capture.add_argument(
        "--precision", default="exact", choices=["exact", "fast"],
        help="dice engine: fast computes in TF32 on GPUs that have it (default: exact)",
    )  # fmt: skip
    capture.add_argument(
        "--body-layer", default="own", choices=["own", "smplx", "manopth"],
        help="dice engine: who poses the bodies; others than own must be installed (default: own)",
    )  # fmt: skip
    capture.add_argument(
        "--fix-contact", action="store_true",
        help="dice engine: bring hands that touch to the skin, and let none sink in deeper than skin gives way",
    )  # fmt: skip
    capture.add_argument(
        "--renderer", default="own", choices=["own", "pytorch3d"],
        help="who draws the preview; others than own must be installed (default: own)",
    )
    capture.add_argument(
        "--preview", type=path(".png", ".jpg", ".jpeg"), metavar="FILE", help="write a picture of the result"
    )
    capture.add_argument("--obj", type=path(), metavar="DIR", help="write the meshes as OBJ into a folder")
    capture.add_argument("--ply", type=path(), metavar="DIR", help="write the meshes as PLY into a folder")
    capture.add_argument("--glb", type=path(".glb"), metavar="FILE", help="write the meshes as one GLB")
    _describe_moving(capture.add_argument_group("moving pictures"))
    capture.set_defaults(run=run, wrong=capture.error)


def _describe_moving(moving: argparse._ArgumentGroup) -> None:
    moving.add_argument("--start", type=int, metavar="N", help="the first frame (default: 0)")
    moving.add_argument("--end", type=int, metavar="N", help="the last frame (default: the movie's last one)")
    moving.add_argument("--rate", type=float, metavar="FPS", help="frames a second of pictures (default: 24)")
    moving.add_argument("--smoothing", type=float, metavar="S", help="0 (none) to 1 (default: 0.5)")
    begun = "go on with what the output folder holds, smoothed as it was begun"
    moving.add_argument("--resume", action="store_true", help=begun)


def _crop(text: str) -> Crop:
    from .types import crop  # needs numpy, which `doctor` must do without

    try:
        return crop(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def path(*endings: str) -> Callable[[str], Path]:
    """An argument type: an empty path is wrong usage, and one with none of these endings, where there are any."""

    def checked(text: str) -> Path:
        if not text:
            raise argparse.ArgumentTypeError("the path is empty")
        if endings and Path(text).suffix.lower() not in endings:
            raise argparse.ArgumentTypeError(f"{text} must end with {' or '.join(endings)}")
        return Path(text)

    return checked


def run(options: argparse.Namespace) -> int:
    """Capture what was named."""
    from .media import KINDS

    of_dice = (options.precision, options.body_layer, options.fix_contact)
    if options.engine == "open" and of_dice != ("exact", "own", False):
        options.wrong("--precision, --body-layer and --fix-contact belong to --engine dice")
    still = options.photo.suffix.lower() in KINDS and not options.photo.is_dir()
    moving = not still and options.frame is None
    for name in OF_PICTURES if moving else OF_MOVING:
        value = getattr(options, name)
        if value is not None and value is not False:
            options.wrong(f"--{name} belongs to {'one picture' if moving else 'moving pictures'}")
    if moving and options.body_layer != "own":
        options.wrong("--body-layer belongs to one picture")
    if options.output and options.output.suffix.lower() != ".npz" and not moving:
        options.wrong(f"{options.output} must end with .npz")
    return _sequence(options) if moving else _picture(options)


def _picture(options: argparse.Namespace) -> int:
    from .media import KINDS
    from .pipeline import Pipeline, read
    from .result.export import export
    from .result.preview import painter, write_preview
    from .result.store import save

    if options.renderer != "own" and not options.preview:
        options.wrong("--renderer needs --preview")
    painter(options.renderer)  # what is missing is said before the work is done
    capture = Pipeline().capture(
        options.photo, engine=options.engine, hand=options.hand, crop=options.crop, precision=options.precision,
        body_layer=options.body_layer, fix_contact=options.fix_contact, report=_report, frame=options.frame,
        face=options.face,
    )  # fmt: skip
    stem = options.photo.stem
    if options.photo.suffix.lower() in KINDS:
        capture = replace(capture, picture=b"")  # the file is there
    else:
        stem = f"{stem}-{capture.frame}"
    output = options.output or options.photo.with_name(f"{stem}.npz")
    save(output, capture)
    written = [output]
    for folder, kind in ((options.obj, "obj"), (options.ply, "ply")):
        if folder:
            written += export(capture, folder / f"{stem}.{kind}")
    if options.glb:
        written += export(capture, options.glb)
    if options.preview:
        write_preview(options.preview, read(options.photo, frame=options.frame), capture, options.renderer)
        written.append(options.preview)
    sys.stdout.write(f"contact: {capture.contact_state} ({capture.contact_probability:.2f})\n")
    for name, value in capture.quality.items():
        sys.stdout.write(f"{name}: {value:.2f}\n")
    sys.stdout.write("".join(f"note: {note}\n" for note in capture.notes))
    sys.stdout.write(f"seconds: {sum(capture.timings.values()):.2f}\n")
    sys.stdout.write("".join(f"wrote {path}\n" for path in written))
    return 0


def _sequence(options: argparse.Namespace) -> int:
    from .pipeline import Pipeline
    from .result.sequence import Sequence
    from .sequence.job import Settings

    photo = options.photo.absolute()  # `.` has no name
    folder = options.output or photo.with_name(f"{photo.stem}-sequence")
    if folder.suffix.lower() == ".npz":
        options.wrong("moving pictures become a folder, not one .npz")
    asked = {"smoothing": options.smoothing} if options.smoothing is not None else {}
    settings = Settings(
        options.engine, options.hand, options.face, options.crop, options.precision, options.fix_contact, **asked
    )
    meter = _Meter()
    Pipeline().capture_sequence(
        [options.photo], folder, settings, start=options.start or 0, end=options.end, rate=options.rate or 0.0,
        resume=options.resume, report=meter.report, glimpses=meter.glimpse,
    )  # fmt: skip
    meter.clear()
    sequence = Sequence.load(folder)
    states = list(sequence.curve("contact_state"))
    sys.stdout.write(f"frames: {sequence.info.count} at {sequence.info.rate:g} a second\n")
    sys.stdout.write("".join(f"{state}: {states.count(state) / len(states):.0%}\n" for state in sorted({*states})))
    sys.stdout.write("".join(f"note: {note}\n" for note in sequence.info.notes))
    sys.stdout.write(f"wrote {folder}\n")
    return 0


class _Meter:
    """Progress on a terminal, in one line."""

    def __init__(self) -> None:
        self.shown = sys.stderr.isatty()
        self.frames = ""

    def glimpse(self, frame: int, count: int, fps: float, picture: object) -> None:
        self.frames = f"frame {frame} of {count}, {fps:.1f} a second"

    def report(self, stage: str, fraction: float) -> None:
        if self.shown:
            text = self.frames if stage == "looking" and self.frames else stage
            sys.stderr.write(f"\r{100 * fraction:3.0f} % {text:<50}")
            sys.stderr.flush()

    def clear(self) -> None:
        if self.shown:
            sys.stderr.write("\r" + " " * 60 + "\r")


def _report(stage: str, fraction: float) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{100 * fraction:3.0f} % {stage:<14}")
        if fraction > 0.8:
            sys.stderr.write("\r" + " " * 24 + "\r")
        sys.stderr.flush()
