# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: `python -m dice_core capture PHOTO`, `convert FILES`, `evaluate PRED TRUTH`, `doctor`.

Exit codes: 0 done, 1 an error with a message and a remedy, 2 wrong usage, 3 nothing found in the picture,
130 cancelled.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from . import __version__
from .body.kinds import KINDS
from .errors import Cancelled, DiceError, printable
from .paths import official_models_dir, runtime_dir, runtime_python, tolerate_any_name

if TYPE_CHECKING:
    from .types import Crop

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: see client._environment

SLOTS = {"dice": "network", "mano": "mano_right", "flame": "flame"}


def main(arguments: list[str] | None = None) -> int:
    """Run one command; gives the exit code."""
    tolerate_any_name()
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except DiceError as error:
        sys.stderr.write(f"Error: {error.message}\n{error.remedy}\n")
        return error.exit_code
    except ModuleNotFoundError as error:
        python = runtime_python(runtime_dir())
        remedy = f"Use the runtime's: {python} -m dice_core." if python.is_file() else "Run install_deps.py first."
        sys.stderr.write(f"Error: This Python has no {error.name}.\n{remedy}\n")
        return DiceError.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("Cancelled.\n")
        return Cancelled.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dice_core", description="Hand and face capture from a picture.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _describe_capture(commands.add_parser("capture", help="capture one picture"))
    _describe_convert(commands.add_parser(
        "convert", help="make the official files ready for the dice engine: say what each is and what is missing"
    ))  # fmt: skip
    _describe_evaluate(commands.add_parser("evaluate", help="compare results with the truth"))
    doctor = commands.add_parser("doctor", help="what is installed, what is missing, and what to do about it")
    doctor.set_defaults(run=_doctor)
    return parser


def _describe_capture(capture: argparse.ArgumentParser) -> None:
    capture.add_argument("photo", type=_path(), help="JPEG, PNG, TIFF, WebP or BMP; or a movie, with --frame")
    capture.add_argument(
        "-o", "--output", type=_path(".npz"), metavar="FILE",
        help="result file (default: PHOTO with .npz, of a movie MOVIE-FRAME.npz)",
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
    capture.add_argument("--frame", type=int, metavar="N", help="of a movie: which frame, the first is 0")
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
        "--preview", type=_path(".png", ".jpg", ".jpeg"), metavar="FILE", help="write a picture of the result"
    )
    capture.add_argument("--obj", type=_path(), metavar="DIR", help="write the meshes as OBJ into a folder")
    capture.add_argument("--ply", type=_path(), metavar="DIR", help="write the meshes as PLY into a folder")
    capture.add_argument("--glb", type=_path(".glb"), metavar="FILE", help="write the meshes as one GLB")
    capture.set_defaults(run=_capture, wrong=capture.error)


def _describe_convert(convert: argparse.ArgumentParser) -> None:
    convert.add_argument(
        "files", type=_path(), nargs="*", metavar="FILE", help="official files, or folders of them"
    )
    for slot, key in SLOTS.items():
        convert.add_argument(f"--{slot}", type=_path(), metavar="FILE", help=f"the file of {KINDS[key].title}")
    convert.add_argument(
        "-o", "--output", type=_path(), metavar="DIR", help=f"default: {official_models_dir()}"
    )
    convert.set_defaults(run=_convert)


def _describe_evaluate(evaluate: argparse.ArgumentParser) -> None:
    evaluate.add_argument("predictions", type=_path(), metavar="PRED", help="a result file, or a folder of them")
    evaluate.add_argument(
        "truth", type=_path(), metavar="TRUTH",
        help="the same kind of file that holds the truth, or a folder in which files of the same name do",
    )  # fmt: skip
    evaluate.add_argument("--json", type=_path(".json"), metavar="FILE", help="write all figures of all cases")
    evaluate.set_defaults(run=_evaluate)


def _crop(text: str) -> Crop:
    from .types import crop  # needs numpy, which `doctor` must do without

    try:
        return crop(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _path(*endings: str) -> Callable[[str], Path]:
    """An argument type: an empty path is wrong usage, and one with none of these endings, where there are any."""

    def path(text: str) -> Path:
        if not text:
            raise argparse.ArgumentTypeError("the path is empty")
        if endings and Path(text).suffix.lower() not in endings:
            raise argparse.ArgumentTypeError(f"{text} must end with {' or '.join(endings)}")
        return Path(text)

    return path


def _capture(options: argparse.Namespace) -> int:
    from .media import KINDS
    from .pipeline import Pipeline, read
    from .result.export import export
    from .result.preview import painter, write_preview
    from .result.store import save

    of_dice = (options.precision, options.body_layer, options.fix_contact)
    if options.engine == "open" and of_dice != ("exact", "own", False):
        options.wrong("--precision, --body-layer and --fix-contact belong to --engine dice")
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


def _convert(options: argparse.Namespace) -> int:
    from .convert import convert, render

    slots = {key: path for slot, key in SLOTS.items() if (path := getattr(options, slot))}
    if not (options.files or slots):
        raise DiceError("No file was named.", "Name the official files, or a folder that holds them.")
    target = (options.output or official_models_dir()).absolute()
    report = convert(options.files, target, slots, _tell)
    sys.stdout.write(f"{render(report)}\n")
    if report.converted:
        sys.stdout.write(f"models folder: {target}\n")
    if report.converted and target != official_models_dir():
        sys.stdout.write(f"captures look there when DICE_MODELS is {target}\n")
    named = {*options.files, *slots.values()}
    refused = any(path in named for path, _ in report.refused)  # what lay in a folder is no mistake of the user's
    return DiceError.exit_code if refused or not report.converted else 0


def _evaluate(options: argparse.Namespace) -> int:
    from .evaluate.report import as_json, evaluate, render, write_json

    report = evaluate(options.predictions, options.truth)
    if options.json:
        write_json(options.json, as_json(report))
    if report.cases:
        sys.stdout.write(f"{render(report)}\n")
    if options.json:
        sys.stdout.write(f"wrote {options.json}\n")
    for error in report.problems.values():
        sys.stderr.write(f"Error: {error.message}\n{error.remedy}\n")
    return DiceError.exit_code if report.problems else 0


def _doctor(options: argparse.Namespace) -> int:
    from .doctor import doctor, render

    checks = doctor(runtime_dir())
    sys.stdout.write(render(checks) + "\n")
    return 0 if all(check.ok for check in checks) else DiceError.exit_code


def _tell(stage: str, fraction: float) -> None:
    """A line of progress, as install_deps.py has them."""
    sys.stdout.write(printable(f"[{100 * fraction:.0f}%] {stage}") + "\n")
    sys.stdout.flush()


def _report(stage: str, fraction: float) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{100 * fraction:3.0f} % {stage:<14}")
        if fraction > 0.8:
            sys.stderr.write("\r" + " " * 24 + "\r")
        sys.stderr.flush()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # who is ended politely tidies up, as after Ctrl-C
    sys.exit(main())
