# SPDX-License-Identifier: GPL-3.0-or-later
"""Short movies of the person in the sample picture, and what is compared of sequences."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from dice_core.result.sequence import Sequence

SAMPLE = Path(__file__).parent.parent / "data" / "sample.jpg"
SIZE = (480, 384)
RATE = 24.0


def write_clip(path: Path, shown: Iterable[bool], size: tuple[int, int] = SIZE) -> Path:
    """A movie in which the person sways a little, and is there in the frames that say so."""
    person = cv2.imread(str(SAMPLE))
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), RATE, size)
    assert writer.isOpened()
    for index, there in enumerate(shown):
        frame = np.full((size[1], size[0], 3), 110, np.uint8)
        if there:
            scale = size[1] / len(person) * (1 + 0.02 * np.sin(index / 6))
            left = size[0] / 2 - scale * len(person) / 2 + 6 * np.sin(index / 8)
            matrix = np.array([[scale, 0, left], [0, scale, 0.0]])
            cv2.warpAffine(person, matrix, size, dst=frame, borderMode=cv2.BORDER_TRANSPARENT)
        writer.write(frame)
    writer.release()
    return path


def everything(folder: Path) -> dict[str, np.ndarray]:
    """All numbers of a complete sequence."""
    sequence = Sequence.load(folder)
    caches = {f"{name}.pc2": np.array(cache) for name, cache in sequence.caches.items()}
    facts = {"notes": np.array(sequence.info.notes), "count": np.array(sequence.info.count)}
    return facts | caches | dict(sequence.curves) | {f"static {name}": value for name, value in sequence.static.items()}


def differences(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> list[str]:
    """Names of what is not exactly equal."""
    kinds = {name: value.dtype.kind in "fc" for name, value in one.items()}
    return sorted(
        name for name in one.keys() | other.keys()
        if name not in one or name not in other or not np.array_equal(one[name], other[name], equal_nan=kinds[name])
    )  # fmt: skip
