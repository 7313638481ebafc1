# SPDX-License-Identifier: GPL-3.0-or-later
"""Turn the user's official files into ours, once: what each is, what is missing, and where one gets it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from .body.containers import NPY
from .body.kinds import BARE, KINDS, NETWORK, NETWORK_FILE, converted, missing
from .body.official import Found, Unrecognised, is_model, read
from .errors import DiceError, NotInstalled, printable
from .files import atomic
from .paths import install_command
from .types import Progress, silent

MOST_FILES = 20_000
NAMES = {kind.file for kind in KINDS.values()} | {NETWORK_FILE}
CHOOSE_ONE = "Choose the one that you mean."
SLOT, CHOSEN, FOUND = range(3)  # the user says what it is, names it, or named a folder above it
READ = 0.7  # of the work; writing is the rest
FLAME_NOTE = "Heads of other FLAME releases look alike: make sure that {name} is from FLAME 2020."


@dataclass(frozen=True)
class Report:
    """What `convert` did.

    Attributes
    ----------
    converted
        Keys of `kinds.KINDS` -> the files they came from.
    refused
        Files that were passed over, and why.
    missing
        Keys of what is still needed and not in the target folder.
    notes
        Sentences for the user.
    """

    converted: dict[str, Path]
    refused: list[tuple[Path, DiceError]]
    missing: list[str]
    notes: tuple[str, ...] = ()


def convert(
    paths: Iterable[Path], target: Path, slots: Mapping[str, Path] | None = None, report: Progress = silent
) -> Report:
    """Recognise files, and those in folders, by content; write those that are needed into `target` as we read them.

    A file that is refused stops nothing: it is named in the report. Each file appears whole or not at all.

    Parameters
    ----------
    paths
        Files in any order; of a folder, those below it that could be one of them.
    target
        The models folder. What was converted before stays, or is replaced when found again.
    slots
        Further files by the key in KINDS that the user takes them for; they are refused when they are something else.
    report
        Told of the progress.

    Raises
    ------
    DiceError
        When `target` cannot be written to, or a folder has more than MOST_FILES files in it.
    """
    done: dict[str, Path] = {}
    refused: list[tuple[Path, DiceError]] = []
    notes: list[str] = []
    candidates = sorted(_recognised(paths, slots or {}, refused, report), key=_preferred)
    for count, (_, found) in enumerate(candidates):
        report(f"Converting {found.path.name}", READ + (1 - READ) * count / len(candidates))
        if found.key in done:
            message = f"{found.path} is {KINDS[found.key].title} as well; {done[found.key]} was taken."
            refused.append((found.path, DiceError(message, CHOOSE_ONE)))
            continue
        if found.key == NETWORK:
            try:
                notes += _convert_network(found.path, target)
            except DiceError as error:
                refused.append((found.path, error))
                continue
        else:
            _keep(found, target)
        if found.key == "flame":
            notes.append(FLAME_NOTE.format(name=found.path.name))
        done[found.key] = found.path
    return Report(done, refused, missing(target), tuple(notes))


def _recognised(
    paths: Iterable[Path], slots: Mapping[str, Path], refused: list[tuple[Path, DiceError]], report: Progress
) -> Iterator[tuple[int, Found]]:
    """The files that are needed, and how the user came to mean each. Adds to `refused`."""
    seen: set[str] = set()
    for key, path in slots.items():
        seen.add(os.path.realpath(path))
        try:
            yield SLOT, _in_slot(key, path)
        except DiceError as error:
            refused.append((path, error))
    files = list(_files(paths))
    for count, (path, rank) in enumerate(files):
        report(f"Reading {path.name}", READ * count / len(files))
        if os.path.realpath(path) in seen:
            continue
        seen.add(os.path.realpath(path))
        try:
            found = read(path)
            if rank == FOUND and found.key in BARE and path.name != KINDS[found.key].file:
                title = KINDS[found.key].title
                raise DiceError(f"{path.name} could be {title} by its size.", "If it is, name the file itself.")
            yield rank, found
        except DiceError as error:
            if rank == CHOSEN or path.name in NAMES or not isinstance(error, Unrecognised):
                refused.append((path, error))


def _preferred(candidate: tuple[int, Found]) -> tuple[int, bool]:
    """Of several files of one kind the first is taken: what the user is surest of, then what has its official name."""
    rank, found = candidate
    return rank, found.path.name != KINDS[found.key].file


def _in_slot(key: str, path: Path) -> Found:
    """A file that the user takes for the one of this key."""
    wanted = KINDS[key]
    try:
        found = read(path)
    except Unrecognised:
        if key != NETWORK:
            raise
        return Found(NETWORK, path, {})  # its own reader can say more
    if found.key != key:
        message = f"{path.name} is {KINDS[found.key].title}, not {wanted.title}."
        raise DiceError(message, f"Choose {wanted.file} of the {wanted.source.name} page.")
    return found


def _keep(found: Found, target: Path) -> None:
    with atomic(converted(target, found.key)) as temporary, open(temporary, "wb") as file:
        np.savez(file, kind=np.array(found.key), **found.arrays)  # type: ignore[arg-type]


def render(report: Report) -> str:
    """The report as text: what each file is, what is missing, where one gets it, and on what terms."""
    lines = [f"{path} is {KINDS[key].title} ({KINDS[key].source.licence})" for key, path in report.converted.items()]
    lines += report.notes
    for key in report.missing:
        kind = KINDS[key]
        lines.append(f"missing: {kind.title}: {kind.file}, {kind.where}, on the {kind.source.name} page")
    sources = {KINDS[key].source for key in report.missing}
    lines += [f"the {source.name} page: {source.page} ({source.licence})" for source in sorted(sources, key=str)]
    lines += [f"passed over {path}: {error}" for path, error in report.refused]
    return printable("\n".join(lines))


def _convert_network(path: Path, target: Path) -> tuple[str, ...]:
    try:
        from .network import checkpoint
    except ModuleNotFoundError as error:
        raise NotInstalled(
            f"Converting {path.name} needs {error.name}, which this Python does not have.",
            f"Run {install_command('--engine dice')}, then convert with the runtime's Python.",
        ) from error
    if os.path.realpath(path) == os.path.realpath(converted(target, NETWORK)):  # it is there already, if it is whole
        checkpoint.load(path)
        return ()
    return checkpoint.convert(path, target).notes


def _files(paths: Iterable[Path]) -> Iterator[tuple[Path, int]]:
    """Each file to look at: those that the user named, then those in folders. Nothing here raises OSError."""
    folders = []
    for path in paths:
        if os.path.isdir(path):
            folders.append(path)
        else:
            yield path, CHOSEN
    for path in folders:
        below = sorted(islice(path.rglob("*"), MOST_FILES + 1))
        if len(below) > MOST_FILES:
            raise DiceError(f"{path} has more than {MOST_FILES} files in it.", "Choose the folder of the models.")
        for file in below:
            if os.path.isfile(file) and (file.name in NAMES or _promising(file)):
                yield file, FOUND


def _promising(file: Path) -> bool:
    try:
        with open(file, "rb") as opened:
            start = opened.read(9)
            return start.startswith(NPY) or is_model(start)
    except OSError:
        return False
