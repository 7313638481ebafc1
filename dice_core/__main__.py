# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: `python -m dice_core capture PHOTO`, `python -m dice_core doctor`.

Exit codes: 0 done, 1 an error with a message and a remedy, 2 wrong usage, 3 nothing found in the picture,
130 cancelled.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from . import __version__
from .errors import Cancelled, DiceError
from .paths import runtime_dir, runtime_python, tolerate_any_name

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: see client._environment


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
    capture = commands.add_parser("capture", help="capture one picture")
    capture.add_argument("photo", type=Path, help="JPEG, PNG, TIFF, WebP or BMP")
    capture.add_argument("-o", "--output", type=Path, help="result file (default: PHOTO with .npz)")
    capture.add_argument("--engine", default="open", choices=["open"], help="default: open")
    capture.add_argument(
        "--hand", default="auto", choices=["auto", "right", "left", "both"],
        help="which hand, the person's own side; auto takes the one that touches (default)",
    )  # fmt: skip
    capture.add_argument(
        "--preview", type=_path_ending(".png", ".jpg", ".jpeg"), metavar="FILE", help="write a picture of the result"
    )
    capture.add_argument("--obj", type=Path, metavar="DIR", help="write the meshes as OBJ into a folder")
    capture.add_argument("--ply", type=Path, metavar="DIR", help="write the meshes as PLY into a folder")
    capture.add_argument("--glb", type=_path_ending(".glb"), metavar="FILE", help="write the meshes as one GLB")
    capture.set_defaults(run=_capture)
    doctor = commands.add_parser("doctor", help="what is installed, what is missing, and what to do about it")
    doctor.set_defaults(run=_doctor)
    return parser


def _path_ending(*endings: str) -> Callable[[str], Path]:
    """An argument type: wrong endings are wrong usage, found before the work is done."""

    def path(text: str) -> Path:
        if Path(text).suffix.lower() not in endings:
            raise argparse.ArgumentTypeError(f"{text} must end with {' or '.join(endings)}")
        return Path(text)

    return path


def _capture(options: argparse.Namespace) -> int:
    from .media.decode import read_picture
    from .pipeline import Pipeline
    from .result.export import export
    from .result.preview import write_preview
    from .result.store import save

    capture = Pipeline().capture(options.photo, engine=options.engine, hand=options.hand, report=_report)
    output = options.output or options.photo.with_suffix(".npz")
    save(output, capture)
    written = [output]
    for folder, kind in ((options.obj, "obj"), (options.ply, "ply")):
        if folder:
            written += export(capture, folder / f"{options.photo.stem}.{kind}")
    if options.glb:
        written += export(capture, options.glb)
    if options.preview:
        write_preview(options.preview, read_picture(options.photo), capture)
        written.append(options.preview)
    sys.stdout.write(f"contact: {capture.contact_state} ({capture.contact_probability:.2f})\n")
    for name, value in capture.quality.items():
        sys.stdout.write(f"{name}: {value:.2f}\n")
    sys.stdout.write(f"seconds: {sum(capture.timings.values()):.2f}\n")
    sys.stdout.write("".join(f"wrote {path}\n" for path in written))
    return 0


def _doctor(options: argparse.Namespace) -> int:
    from .doctor import doctor, render

    checks = doctor(runtime_dir())
    sys.stdout.write(render(checks) + "\n")
    return 0 if all(check.ok for check in checks) else DiceError.exit_code


def _report(stage: str, fraction: float) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{100 * fraction:3.0f} % {stage:<14}")
        if fraction > 0.8:
            sys.stderr.write("\r" + " " * 24 + "\r")
        sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
