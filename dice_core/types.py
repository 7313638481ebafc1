# SPDX-License-Identifier: GPL-3.0-or-later
"""The nouns of the project. All coordinates are metres in camera space: x right, y down, z forward."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Side = Literal["right", "left"]
HandChoice = Literal["auto", "right", "left", "both"]
ContactState = Literal["touch", "no-touch", "unsure", "no-hand", "no-head"]
Crop = tuple[float, float, float]  # a square of the full picture: left, top, side in pixels
Precision = Literal["exact", "fast"]

SIDES: tuple[Side, Side] = ("right", "left")
HAND_CHOICES: tuple[HandChoice, ...] = ("auto", "right", "left", "both")
PRECISIONS: tuple[Precision, ...] = ("exact", "fast")


def crop(text: str) -> Crop:
    """A crop as it is written on a command line, `LEFT,TOP,SIDE`. Raises ValueError."""
    try:
        left, top, side = (float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"{text} is not LEFT,TOP,SIDE") from None
    if not (side >= 1 and all(abs(number) < 1e6 for number in (left, top, side))):
        raise ValueError(f"{text} is no square of a picture")
    return left, top, side


@dataclass(frozen=True)
class Frame:
    """One picture, ready for an engine.

    Attributes
    ----------
    pixels
        (h, w, 3) uint8 RGB, upright, reduced so that the longer side is at most `media.decode.WORKING_SIDE`.
    size
        Width and height of the full picture in pixels, after EXIF rotation.
    source
        File name or image name, for people.
    focal
        Focal length in pixels of the full picture, or None when the picture does not say.
    index
        Position in a movie, 0 for one picture.
    picture
        The picture as a JPEG file, where no file holds it as it is seen: of a movie, or reduced, of a picture that its
        EXIF turns. Else empty.
    """

    pixels: NDArray[np.uint8]
    size: tuple[int, int]
    source: str
    focal: float | None = None
    index: int = 0
    picture: bytes = b""

    @property
    def scale(self) -> float:
        """Full-picture pixels per working pixel."""
        return self.size[0] / self.pixels.shape[1]


@dataclass(frozen=True)
class Camera:
    """The camera that took the picture, in pixels of the full picture, origin at the top-left corner.

    With both, the engine thinks orthographically, and the perspective camera agrees with it at the head's depth.

    Attributes
    ----------
    image_size
        Width, height.
    matrix
        (3, 3) float32 intrinsics of a perspective camera, or None.
    ortho
        (3,) float32 scale, tx, ty of an orthographic camera (u = scale x + tx, v = scale y + ty), or None.
    """

    image_size: tuple[int, int]
    matrix: Array | None = None
    ortho: Array | None = None

    def __post_init__(self) -> None:
        if self.matrix is None and self.ortho is None:
            raise ValueError("a camera is perspective (matrix), orthographic (ortho) or both")

    @property
    def model(self) -> Literal["perspective", "orthographic"]:
        return "perspective" if self.ortho is None else "orthographic"

    def project(self, points: NDArray) -> NDArray:
        """(N, 3) points in camera space -> (N, 2) pixels, as `model` says."""
        if self.ortho is not None:
            return points[:, :2] * self.ortho[0] + self.ortho[1:]
        assert self.matrix is not None
        homogeneous = points @ self.matrix.T
        return homogeneous[:, :2] / homogeneous[:, 2:]


@dataclass(frozen=True)
class Skeleton:
    """The bones that pose a mesh: a vertex is the sum over bones b of weights[b] transforms[b] (its rest place, 1).

    Rest space has the camera's axes and metres, but the body's own origin: in it a head stands upright and looks at
    the camera, and a hand is flat.

    Attributes
    ----------
    names
        B different names, by the convention in docs/result-format.md.
    parents
        (B,) int32, -1 for a root; parents come before their children.
    joints
        (B, 3) float32 metres, where the bones begin at rest.
    transforms
        (B, 4, 4) float32, rest space -> camera space.
    weights
        (V, B) float32, each row sums to 1.
    """

    names: tuple[str, ...]
    parents: NDArray[np.int32]
    joints: Array
    transforms: Array
    weights: Array

    def moved(self, rotation: NDArray, shift: NDArray) -> Skeleton:
        """Of the mesh turned about the camera by a (3, 3) rotation, or mirrored, then shifted by (3,) metres."""
        transforms = self.transforms.astype(np.float64)
        transforms[:, :3] = rotation @ transforms[:, :3]
        transforms[:, :3, 3] += shift
        return replace(self, transforms=transforms.astype(np.float32))


@dataclass(frozen=True)
class Head:
    """A posed head.

    Attributes
    ----------
    vertices, faces
        (V, 3) float32 metres in camera space, without contact deformation; (F, 3) int32.
    deformation
        (V, 3) float32, displacement to add: deformed = vertices + deformation.
    contact
        (V,) float32, probability 0..1.
    landmarks
        (68, 3) float32 in iBUG order.
    skeleton
        Its bones; None in results of earlier versions.
    """

    vertices: Array
    faces: NDArray[np.int32]
    deformation: Array
    contact: Array
    landmarks: Array
    skeleton: Skeleton | None = None


@dataclass(frozen=True)
class Hand:
    """A posed hand.

    Attributes
    ----------
    side
        `right` or `left`, the person's own.
    vertices, faces
        (V, 3) float32 metres in camera space; (F, 3) int32.
    contact
        (V,) float32, probability 0..1.
    joints
        (21, 3) float32 in OpenPose order: wrist, then thumb to little finger from the palm to the tip.
    skeleton
        Its bones; None in results of earlier versions.
    """

    side: Side
    vertices: Array
    faces: NDArray[np.int32]
    contact: Array
    joints: Array
    skeleton: Skeleton | None = None

    def moved(self, rotation: NDArray, shift: NDArray) -> Hand:
        """The hand turned about the camera by a (3, 3) rotation, then shifted by (3,) metres."""
        vertices, joints = ((points @ rotation.T + shift).astype(np.float32) for points in (self.vertices, self.joints))
        bones = None if self.skeleton is None else self.skeleton.moved(rotation, shift)
        return replace(self, vertices=vertices, joints=joints, skeleton=bones)


@dataclass(frozen=True)
class Capture:
    """What an engine found in one picture. `result.store` reads and writes it.

    Attributes
    ----------
    engine, source, frame
        Who made it, from which file, from which frame of a movie.
    contact_state
        `touch`, `no-touch` or `unsure`; `no-hand` or `no-head` when there was nothing to compare.
    contact_probability
        0..1.
    params
        The engine's own parameters by name (identity, expression, pose, ...).
    quality
        Numbers that say how good the fit is (see docs/result-format.md).
    timings
        Seconds by stage.
    notes
        Sentences for the user: what was done otherwise than asked for, what makes the result doubtful.
    picture
        See `Frame.picture`.
    """

    engine: str
    source: str
    camera: Camera
    head: Head | None
    hands: tuple[Hand, ...]
    contact_state: ContactState
    contact_probability: float
    frame: int = 0
    params: dict[str, NDArray] = field(default_factory=dict)
    quality: dict[str, float] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    picture: bytes = b""


class Progress(Protocol):
    """Called by long work: the name of the stage and the fraction done. May raise `Cancelled`."""

    def __call__(self, stage: str, fraction: float) -> None: ...


def silent(stage: str, fraction: float) -> None:
    """A `Progress` that tells nobody."""
