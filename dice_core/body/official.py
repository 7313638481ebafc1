# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that the official network needs besides its own: which one a file is, and what is in it.

They belong to their makers and come from the user. They are recognised by content, never by name alone, and read as
data: see `pickles`.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import DiceError, NotInstalled
from .containers import LONGEST, PICKLE, ZIP, mapped, npy_header, read_container
from .kinds import KINDS, NETWORK, converted, where_from
from .pickles import Broken, Refused, Truncated
from .recognise import Wrong, arrays_of, body_of

# In the first megabyte of the network's file, whole or as a state dict.
NETWORK_MARKS = (b"metro.modeling", b"trans_encoder.0.")
NETWORK_HEAD = 1 << 20

PREFIXES = (
    (b"version https://git-lfs", "is a Git LFS pointer, not the file itself", "Fetch it with `git lfs pull`."),
    (b"\x89PNG", "is a picture", ""),
    (b"\xff\xd8\xff", "is a picture", ""),
    (b"%PDF", "is a PDF document", ""),
    (b"\x1f\x8b", "is a compressed archive", "Unpack it and choose the files in it."),
    (b"7z\xbc\xaf", "is a compressed archive", "Unpack it and choose the files in it."),
    (b"\xfd7zXZ", "is a compressed file", "Unpack it first."),
)
WEB_PAGE = (b"<!doctype", b"<html", b"<head", b"<?xml", b"<!--", b"<script")


class Unrecognised(DiceError):
    """The file is none of those that are needed, nor one that is often taken for them."""


@dataclass(frozen=True)
class Found:
    """A file that is needed: its key in KINDS and what is in it, ready to be kept; nothing for the network's."""

    key: str
    path: Path
    arrays: Mapping[str, NDArray]


def identify(path: Path) -> str:
    """The key in KINDS of the file that this is, whatever its name. Errors as in `read`."""
    return read(path).key


def read(path: Path) -> Found:
    """Recognise a file and read it.

    Raises
    ------
    DiceError
        When it is another file, which the message names as far as it can be told; `Unrecognised` when it is nothing
        known.
    """
    path = Path(path)
    if not path.is_file():
        raise DiceError(f"There is no file {path}.", "Check the path.")
    try:
        data = mapped(path)
        _recognise_prefix(path.name, data)
        head = bytes(data[:NETWORK_HEAD])
        if head.startswith((ZIP, PICKLE)) and any(mark in head for mark in NETWORK_MARKS):
            return Found(NETWORK, path, {})
        if head.startswith(ZIP):
            _recognise_archive(path)
        key, arrays = arrays_of(read_container(path), path.name)
        return Found(key, path, arrays)
    except Wrong as error:
        raise DiceError(f"{path.name} {error}.", error.remedy) from error
    except Refused as error:
        raise DiceError(
            f"{path.name} asks for {error.name}, which no official file does. Nothing in it was run.",
            "Get the file from its official page, and be wary of the place where this one came from.",
        ) from error
    except Truncated as error:
        raise DiceError(f"{path.name} is incomplete: {error}.", "Download it again.") from error
    except Broken as error:
        raise Unrecognised(
            f"{path.name} is none of the files that the dice engine needs: {error}.", "Choose another file."
        ) from error
    except OSError as error:
        raise DiceError(f"Cannot read {path.name} ({error.strerror}).", "Check that you may read it.") from error


def load(folder: Path, key: str) -> dict[str, NDArray]:
    """The arrays of a converted file.

    Raises
    ------
    NotInstalled
        When it is missing, damaged or another one.
    """
    kind, path, remedy = KINDS[key], converted(folder, key), where_from(key)
    if not path.is_file():
        raise NotInstalled(f"The dice engine needs {kind.title}.", remedy)
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise NotInstalled(f"{path.name} is damaged.", remedy) from error
    if str(arrays.pop("kind", "")) != key:
        raise NotInstalled(f"{path.name} is not {kind.title}.", remedy)
    return arrays


def _recognise_prefix(name: str, data: memoryview) -> None:
    if not len(data):
        raise Wrong("is empty", "Download it again.")
    start = bytes(data[:400])
    if start.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(WEB_PAGE):
        raise Wrong(
            f"is a web page that was saved as {name}: the download link has expired, or wants you to log in",
            "Log in on the page, then download the file again.",
        )
    for prefix, what, remedy in PREFIXES:
        if start.startswith(prefix):
            raise Wrong(what, remedy or "Choose another file.")


def _recognise_archive(path: Path) -> None:
    """Name a ZIP archive that torch did not write."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if any(name.rpartition("/")[2] == "data.pkl" for name in names):
                return
            inside = {name.rpartition("/")[2] for name in names}
            for kind in KINDS.values():
                if kind.file in inside and not kind.file.endswith(".npy"):
                    raise Wrong(f"is an archive with {kind.file} in it", "Unpack it and choose the files in it.")
            if "kind.npy" in inside:
                raise Wrong("has been converted already", "Choose the original files.")
            if "v_template.npy" in inside:
                (member,) = (name for name in names if name.endswith("v_template.npy"))
                with archive.open(member) as file:
                    shape = npy_header(memoryview(file.read(LONGEST))).shape
                raise Wrong(f"is {body_of(shape)} in another format", "Choose the official .pkl file.")
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        if isinstance(error, Broken):
            raise
        raise Truncated("it ends too early, or is damaged") from error
    raise Broken("it is a ZIP archive with nothing in it that is needed")
