# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder of a captured sequence, read and checked. docs/result-format.md describes it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DiceError
from ..files import UNREADABLE
from ..types import SIDES, Array, Camera, Capture, Hand, Head, Skeleton
from . import caches
from .sequence_check import check_caches, check_cameras, check_curves, check_static, damaged
from .sequence_info import Info, read_info

STATIC, FRAMES = "static.npz", "frames"
PARTS = ("head", *(f"hand_{side}" for side in SIDES))


@dataclass(frozen=True)
class Part:
    """What stays the same of a head or a hand: (F, 3) faces, and its bones as in `types.Skeleton`."""

    faces: NDArray[np.int32]
    bone_names: tuple[str, ...]
    bone_parents: NDArray[np.int32]
    bone_joints: Array
    bone_weights: Array


@dataclass(frozen=True)
class Sequence:
    """A captured sequence; positions k count from 0 to `info.count` - 1.

    Attributes
    ----------
    folder
        Where it is.
    info
        Its facts.
    parts
        Of `head`, `hand_right` and `hand_left` those that are seen in any frame.
    static
        What holds for the whole clip, by the names of docs/result-format.md.
    curves
        What does not, with the N frames as first axis.
    caches
        (N, V, 3) float32 by the name of their files; they stay on the disk.
    bounds
        (3,) least and (3,) largest coordinates of everything, metres in camera space.
    """

    folder: Path
    info: Info
    parts: dict[str, Part]
    static: dict[str, NDArray]
    curves: dict[str, NDArray]
    caches: dict[str, Array]
    bounds: tuple[NDArray, NDArray]

    @classmethod
    def load(cls, folder: str | Path) -> Sequence:
        """Read and check a folder.

        Raises
        ------
        DiceError
            When it is missing, unfinished, damaged, or written by a newer version.
        """
        folder = Path(folder)
        info = read_info(folder)
        static = _arrays(folder / STATIC)
        names = [part for part in PARTS if f"{part}_faces" in static]
        check_static(names, static)
        parts = {name: _part(name, static) for name in names}
        curves = _curves(folder / FRAMES, info.count)
        check_curves(info.count, {name: len(part.bone_names) for name, part in parts.items()}, curves)
        check_cameras(info.count, static, curves)
        counts: dict[str, int] = {}
        for name, part in parts.items():
            kinds = ("", "_contact", "_deformation") if name == "head" else ("", "_contact")
            counts |= {f"{name}{kind}": len(part.bone_weights) for kind in kinds}
        found = {name: caches.read(folder / f"{name}.pc2") for name in counts}
        return cls(folder, info, parts, static, curves, found, check_caches(info.count, counts, names, found))

    def curve(self, name: str) -> NDArray:
        """(N, ...) of everything that changes. Raises `DiceError` when the sequence has none of that name."""
        if name not in self.curves:
            raise DiceError(f"{self.folder.name} holds no {name}.", "Choose another sequence.")
        return self.curves[name]

    def seen(self, part: str) -> NDArray[np.bool_]:
        """(N,) whether the part was found; where not, it holds still."""
        return self.curve(f"{part}_seen")

    def vertices(self, part: str, k: int) -> Array:
        """(V, 3) metres in camera space, without contact deformation."""
        return np.array(self.caches[part][k])

    def deformation(self, k: int) -> Array:
        """(V, 3) metres to add to the head's vertices."""
        return np.array(self.caches["head_deformation"][k])

    def contact(self, part: str, k: int) -> Array:
        """(V,) probability of contact."""
        return np.array(self.caches[f"{part}_contact"][k, :, 0])

    def skeleton(self, part: str, k: int) -> Skeleton:
        """The bones of a part, posed."""
        one = self.parts[part]
        transforms = self.curve(f"{part}_bone_transforms")[k]
        return Skeleton(one.bone_names, one.bone_parents, one.bone_joints, transforms, one.bone_weights)

    def camera(self, k: int) -> Camera:
        """The camera of a frame."""

        def now(name: str) -> Array | None:
            return self.curves[name][k] if name in self.curves else self.static.get(name)

        return Camera(self.info.image_size, now("camera_matrix"), now("camera_ortho"))

    def capture(self, k: int) -> Capture:
        """The whole of one frame: of its parts those that were seen then."""
        there = [part for part in self.parts if self.seen(part)[k]]
        gone = tuple(f"{part}_" for part in PARTS if part not in there)
        params, quality = self._named("params", k), self._named("quality", k)
        return Capture(
            engine=self.info.engine,
            source=self.info.source,
            frame=self.info.start + k,
            camera=self.camera(k),
            head=self._head(k) if "head" in there else None,
            hands=tuple(self._hand(side, k) for side in SIDES if f"hand_{side}" in there),
            contact_state=str(self.curve("contact_state")[k]),  # type: ignore[arg-type]
            contact_probability=float(self.curve("contact_probability")[k]),
            params={name: value for name, value in params.items() if not name.startswith(gone)},
            quality={name: float(value) for name, value in quality.items() if np.isfinite(value)},
            notes=self.info.notes,
        )

    def _named(self, group: str, k: int) -> dict[str, NDArray]:
        prefix = f"{group}_"
        found = self.static | {name: curve[k] for name, curve in self.curves.items()}
        return {name.removeprefix(prefix): value for name, value in found.items() if name.startswith(prefix)}

    def _head(self, k: int) -> Head:
        return Head(
            self.vertices("head", k), self.parts["head"].faces, self.deformation(k), self.contact("head", k),
            self.curve("head_landmarks")[k], self.skeleton("head", k),
        )  # fmt: skip

    def _hand(self, side: Any, k: int) -> Hand:
        name = f"hand_{side}"
        return Hand(
            side, self.vertices(name, k), self.parts[name].faces, self.contact(name, k),
            self.curve(f"{name}_joints")[k], self.skeleton(name, k),
        )  # fmt: skip


def _curves(folder: Path, count: int) -> dict[str, NDArray]:
    """All frames' files as one: each is named after its first frame."""
    chunks: list[dict[str, NDArray]] = []
    position = 0
    while position < count:
        path = folder / f"{position:06}.npz"
        chunks.append(_arrays(path))
        lengths = {array.shape[:1] for array in chunks[-1].values()}
        if len(lengths) != 1 or lengths <= {(), (0,)} or chunks[-1].keys() != chunks[0].keys():
            raise damaged(path.name)
        position += lengths.pop()[0]
    try:
        return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}
    except (ValueError, TypeError) as error:  # shapes that do not go together
        raise damaged(folder.name) from error


def _arrays(path: Path) -> dict[str, NDArray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except FileNotFoundError as error:
        raise DiceError(f"{path.name} is missing in {path.parent}.", "Capture the sequence again.") from error
    except UNREADABLE as error:
        raise damaged(path.name) from error


def _part(name: str, static: dict[str, NDArray]) -> Part:
    def of(key: str, kind: type) -> NDArray:
        return np.asarray(static[f"{name}_{key}"], kind)

    names = tuple(str(bone) for bone in static[f"{name}_bone_names"])
    bones = of("bone_parents", np.int32), of("bone_joints", np.float32), of("bone_weights", np.float32)
    return Part(of("faces", np.int32), names, *bones)
