# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: `python -m dice_core capture PHOTO_OR_MOVIE`, `convert FILES`, `evaluate PRED TRUTH`, `doctor`.

Exit codes: 0 done, 1 an error with a message and a remedy, 2 wrong usage, 3 nothing found in the picture,
130 cancelled.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys

from . import __version__, capture_command
from .body.kinds import KINDS
from .capture_command import path
from .errors import Cancelled, DiceError, printable
from .paths import official_models_dir, runtime_dir, runtime_python, tolerate_any_name

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
    capture_command.describe(commands.add_parser("capture", help="capture a picture, or moving ones"))
    _describe_convert(commands.add_parser(
        "convert", help="make the official files ready for the dice engine: say what each is and what is missing"
    ))  # fmt: skip
    _describe_evaluate(commands.add_parser("evaluate", help="compare results with the truth"))
    doctor = commands.add_parser("doctor", help="what is installed, what is missing, and what to do about it")
    doctor.set_defaults(run=_doctor)
    return parser


def _describe_convert(convert: argparse.ArgumentParser) -> None:
    convert.add_argument(
        "files", type=path(), nargs="*", metavar="FILE", help="official files, or folders of them"
    )
    for slot, key in SLOTS.items():
        convert.add_argument(f"--{slot}", type=path(), metavar="FILE", help=f"the file of {KINDS[key].title}")
    convert.add_argument(
        "-o", "--output", type=path(), metavar="DIR", help=f"default: {official_models_dir()}"
    )
    convert.set_defaults(run=_convert)


def _describe_evaluate(evaluate: argparse.ArgumentParser) -> None:
    evaluate.add_argument("predictions", type=path(), metavar="PRED", help="a result file, or a folder of them")
    evaluate.add_argument(
        "truth", type=path(), metavar="TRUTH",
        help="the same kind of file that holds the truth, or a folder in which files of the same name do",
    )  # fmt: skip
    evaluate.add_argument("--json", type=path(".json"), metavar="FILE", help="write all figures of all cases")
    evaluate.set_defaults(run=_evaluate)


def _convert(options: argparse.Namespace) -> int:
    from .convert import convert, render

    slots = {key: file for slot, key in SLOTS.items() if (file := getattr(options, slot))}
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
    refused = any(file in named for file, _ in report.refused)  # what lay in a folder is no mistake of the user's
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


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # who is ended politely tidies up, as after Ctrl-C
    sys.exit(main())
