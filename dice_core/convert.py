# SPDX-License-Identifier: GPL-3.0-or-later
"""Turn the user's official files into ours, once: what each is, what is missing, and where one gets it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from .body.containers import NPY, PICKLE, ZIP
from .body.kinds import KINDS, NETWORK, converted, missing
from .body.official import Found, Unrecognised, read
from .errors import DiceError, NotInstalled
from .result.store import atomic

MOST_FILES = 20_000
NAMES = {kind.file for kind in KINDS.values()}


@dataclass(frozen=True)
class Report:
    """What `convert` did.

    Attributes
    ----------
    converted
        Keys of `official.KINDS` -> the files they came from.
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


def convert(paths: Iterable[Path], target: Path, slots: Mapping[Path, str] | None = None) -> Report:
    """Recognise files, and those in folders, by content; write those that are needed into `target` as we read them.

    A file that is refused stops nothing: it is named in the report. Each file appears whole or not at all.

    Parameters
    ----------
    paths
        Files in any order; of a folder, those below it that could be one of them.
    target
        The models folder. What was converted before stays, or is replaced when found again.
    slots
        Of some paths the key that the user takes them for; they are refused when they are something else.

    Raises
    ------
    DiceError
        When `target` cannot be written to, or a folder has more than MOST_FILES files in it.
    """
    found: dict[str, Found] = {}
    refused: list[tuple[Path, DiceError]] = []
    for path, chosen in _files(paths):
        try:
            candidate = read(path)
            _check_slot(candidate, (slots or {}).get(path))
        except Unrecognised as error:
            if chosen:
                refused.append((path, error))
            continue
        except DiceError as error:
            refused.append((path, error))
            continue
        loser = _better(found, candidate)
        if loser:
            winner = found[loser.key].path
            message = f"{loser.path} is {KINDS[loser.key].title} as well; {winner} was taken."
            refused.append((loser.path, DiceError(message, "Choose the one that you mean.")))
    notes: tuple[str, ...] = ()
    if NETWORK in found:
        try:
            notes = _convert_network(found[NETWORK].path, target)
        except DiceError as error:
            refused.append((found.pop(NETWORK).path, error))
    for key, file in found.items():
        if key != NETWORK:
            _write(converted(target, key), file)
    return Report({key: file.path for key, file in found.items()}, refused, missing(target), notes)


def render(report: Report) -> str:
    """The report as text: what each file is, what is missing, where one gets it, and on what terms."""
    lines = [f"{path} is {KINDS[key].title} ({KINDS[key].source.licence})" for key, path in report.converted.items()]
    lines += report.notes
    lines += [f"passed over: {error}" for _, error in report.refused]
    for key in report.missing:
        kind = KINDS[key]
        lines.append(f"missing: {kind.title}: {kind.file}, {kind.where}, on the {kind.source.name} page")
    sources = {KINDS[key].source for key in report.missing}
    lines += [f"the {source.name} page: {source.page} ({source.licence})" for source in sorted(sources, key=str)]
    return "\n".join(lines)


def _convert_network(path: Path, target: Path) -> tuple[str, ...]:
    try:
        from .network import checkpoint
    except ModuleNotFoundError as error:
        raise NotInstalled(
            f"Converting {path.name} needs {error.name}, which this Python does not have.",
            "Run install_deps.py --engine dice, then convert with the runtime's Python.",
        ) from error
    return checkpoint.convert(path, target).notes


def _files(paths: Iterable[Path]) -> Iterator[tuple[Path, bool]]:
    """Each file to look at, and whether the user chose it himself."""
    for path in map(Path, paths):
        if not path.is_dir():
            yield path, True
            continue
        below = sorted(islice(path.rglob("*"), MOST_FILES + 1))
        if len(below) > MOST_FILES:
            raise DiceError(f"{path} has more than {MOST_FILES} files in it.", "Choose the folder of the models.")
        for file in below:
            if file.is_file() and (file.name in NAMES or _promising(file)):
                yield file, False


def _check_slot(found: Found, key: str | None) -> None:
    if key and found.key != key:
        wanted = KINDS[key]
        message = f"{found.path.name} is {KINDS[found.key].title}, not {wanted.title}."
        raise DiceError(message, f"Choose {wanted.file} of the {wanted.source.name} page.")


def _promising(file: Path) -> bool:
    try:
        with open(file, "rb") as opened:
            return opened.read(6).startswith((NPY, ZIP, PICKLE))
    except OSError:
        return False


def _better(found: dict[str, Found], candidate: Found) -> Found | None:
    """Keep one file of each kind, that with its official name or else the first; gives the other."""
    rival = found.get(candidate.key)
    official = KINDS[candidate.key].file
    if rival and (candidate.path.name != official or rival.path.name == official):
        return candidate
    found[candidate.key] = candidate
    return rival


def _write(path: Path, file: Found) -> None:
    with atomic(path) as temporary, open(temporary, "wb") as opened:
        np.savez(opened, kind=np.array(file.key), **file.arrays)  # type: ignore[arg-type]
