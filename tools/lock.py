# SPDX-License-Identifier: GPL-3.0-or-later
"""Renew dice_core/requirements/*.txt: pinned versions with the hashes of the wheels for every platform.

A developer's script: `pip install uv`, then `python -m tools.lock`. The lists come from pyproject.toml and, for the
bpy wheels, from dice_core/installer/plan.py. What is pinned already stays unless `--upgrade` is given.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tomllib
from pathlib import Path

from dice_core.installer.plan import BPY, packages

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "dice_core" / "requirements"

HEADER = "# Made by `python -m tools.lock`: do not edit. Hashes of the wheels for Linux, Windows and macOS.\n"
NOT_IN_CPU_BUILD = ("torch==", "triton==", "cuda-", "nvidia-")


def compile_lock(name: str, *arguments: str, source: str = "", upgrade: bool) -> str:
    """Write one lock file with uv and give its text."""
    target = FOLDER / name
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11"]
    command += ["--generate-hashes", "--only-binary", ":all:", "--no-annotate", "--no-header", *arguments]
    command += ["--upgrade"] * upgrade + ["--output-file", str(target)] + ["-"] * bool(source)
    subprocess.run(command, input=source, text=True, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    text = target.read_text()
    target.write_text(HEADER + text)
    return text


def without(lock: str, *names: str) -> str:
    """The text of a lock file without the packages whose lines begin with one of these."""
    blocks: list[list[str]] = []
    for line in lock.splitlines(keepends=True):
        if not line.startswith((" ", "#")):
            blocks.append([])
        if blocks:
            blocks[-1].append(line)
    return "".join("".join(block) for block in blocks if not block[0].startswith(names))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions that fit")
    upgrade = parser.parse_args().upgrade
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    engine = ("--constraint", str(FOLDER / "open.txt"))
    compile_lock("open.txt", "pyproject.toml", upgrade=upgrade)
    torch = compile_lock("dice.txt", *engine, source="\n".join(extras["dice"]), upgrade=upgrade)
    (FOLDER / "dice-cpu.txt").write_text(HEADER + without(torch, *NOT_IN_CPU_BUILD))
    both = (*engine, "--constraint", str(FOLDER / "dice.txt"))
    research = compile_lock("research.txt", *both, source="\n".join(extras["research"]), upgrade=upgrade)
    there = [f"{name}==" for name in packages("open.txt", "dice.txt")]
    (FOLDER / "research.txt").write_text(HEADER + without(research, *there))
    compile_lock("dev.txt", "--group", "dev", *engine, upgrade=upgrade)
    for version, (major, minor) in BPY.items():
        fits = f"python_full_version >= '{major}.{minor}' and python_full_version < '{major}.{minor + 1}'"
        compile_lock(f"bpy-{version}.txt", source=f"bpy=={version} ; {fits}\npytest\n", upgrade=upgrade)


if __name__ == "__main__":
    main()
