#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the environment that captures run in: a folder of its own, never this Python's or Blender's.

Needs Python 3.10 or newer and nothing else. Safe to run twice and to interrupt. Lines of progress look like
`[12%] Installing numpy`. Exit codes: 0 done, 1 an error with a remedy, 2 wrong usage, 130 interrupted.

For a machine without a network, collect the wheels on a like one that has it:
  pip download --only-binary=:all: --require-hashes -r dice_core/requirements/open.txt -d WHEELS
  pip download --no-deps --python-version 3.11 --platform manylinux_2_28_x86_64 -d WHEELS mediapipe==0.10.21
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable
from pathlib import Path

if sys.version_info < (3, 10):  # noqa: UP036  the user's Python may be anything
    sys.exit(f"Error: Python {sys.version.split()[0]} is too old. Run this with Python 3.11 or 3.13.")

from dice_core import paths, runtime
from dice_core.errors import DiceError


def arguments() -> argparse.Namespace:
    summary, _, notes = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=notes, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--target", type=Path, metavar="DIR", help=f"folder to make (default: {paths.runtime_dir()})")
    parser.add_argument("--engine", choices=("open", "dice"), default="open", help="dice adds torch (default: open)")
    device = parser.add_mutually_exclusive_group()
    device.add_argument("--cpu", dest="device", action="store_const", const="cpu", help="torch computes on the CPU")
    device.add_argument("--cuda", dest="device", action="store_const", const="cuda", help="torch computes on a GPU")
    research = "add smplx, which is for non-commercial research only; brings --engine dice"
    parser.add_argument("--research", action="store_true", help=research)
    parser.add_argument("--dev", action="store_true", help="add the tests' tools, and Blender as a Python module")
    parser.add_argument("--wheelhouse", type=Path, metavar="DIR", help="take all wheels from this folder, offline")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--dry-run", action="store_true", help="say what would be done, change nothing")
    what.add_argument("--repair", action="store_true", help="make everything anew")
    what.add_argument("--remove", action="store_true", help="delete the folder's contents")
    parser.set_defaults(device="")
    options = parser.parse_args()
    if options.research:
        options.engine = "dice"
    if options.device and options.engine == "open":
        parser.error("--cpu and --cuda choose what torch computes on: add --engine dice")
    return options


def act(options: argparse.Namespace) -> None:
    target = (options.target or paths.runtime_dir()).expanduser().absolute()
    wheelhouse = options.wheelhouse and options.wheelhouse.expanduser().absolute()
    request = runtime.Request(
        target, options.engine, options.device, options.dev, options.dev, wheelhouse, options.repair, options.research
    )
    if options.remove:
        runtime.remove(target)
        say(1.0, f"Removed: {target}")
    elif runtime.is_complete(request):
        say(1.0, f"Already complete: {target}")
    elif options.dry_run:
        sys.stdout.write(f"{runtime.plan(request)}\nNothing was changed.\n")
    else:
        sys.stdout.write(f"{runtime.plan(request)}\n")
        runtime.install(request, say)


def say(fraction: float, text: str) -> None:
    sys.stdout.write(f"[{100 * fraction:.0f}%] {text}\n")
    sys.stdout.flush()


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def guarded(work: Callable[[], None]) -> int:
    """Do the work; the exit code. Errors become one sentence, and ending us politely counts as Ctrl-C."""
    signal.signal(signal.SIGTERM, interrupt)
    paths.tolerate_any_name()
    try:
        work()
        return 0
    except DiceError as error:
        if error.__cause__ is not None:  # pip's own words, say: for those who look closer
            sys.stderr.write(f"{error.__cause__}\n")
        sys.stderr.write(f"Error: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted. Run it again to finish.\n")
        return 130


if __name__ == "__main__":
    sys.exit(guarded(lambda: act(arguments())))
