# SPDX-License-Identifier: GPL-3.0-or-later
"""A smooth movement of the official bodies to meshes: one head and its hands in each frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ..body.bodies import Bodies
from ..engines.runs import Run, answers, one_head
from ..fit.orthographic import MIRROR
from ..types import Camera, Hand, Head, Side
from .dice_answers import Said, wrists
from .dice_surfaces import no_surfaces
from .folder import Arrays

UNMOVED = np.eye(2, 3, dtype=np.float32)  # `params_crop` of what speaks of the whole picture


@dataclass(frozen=True)
class Moment:
    """One frame.

    Attributes
    ----------
    head, hands
        In camera space; held where they are not seen.
    axes
        (3, 3) whose columns are the head's axes.
    head_seen, seen
        Whether the head was found, and each side's hand.
    presence
        Of each side's hand, the probability that it touches.
    camera
        Both of the frame.
    """

    head: Head
    hands: tuple[Hand, ...]
    axes: NDArray
    head_seen: bool
    seen: dict[Side, bool]
    presence: dict[Side, float]
    camera: Camera


@dataclass(frozen=True)
class Builder:
    """Builds frames of one person.

    Attributes
    ----------
    bodies
        The official ones.
    shapes, betas
        (100,) of the head in each side's answers; (10,) of the hands: nobody has two sizes of them.
    camera
        The pictures'.
    order, sides
        See `dice_motion.cast`: whose answers are needed, the head's first, and whose hands the result holds.
    """

    bodies: Bodies
    shapes: dict[Side, NDArray]
    betas: NDArray
    camera: Camera
    order: list[Side]
    sides: list[Side]

    @cached_property
    def _counterparts(self) -> NDArray:
        return self.bodies.flame.counterparts()

    def said(self, side: Side, motion: Arrays, surfaces: Arrays) -> Said:
        """What the network would have to say of the whole picture for this movement.

        Parameters
        ----------
        motion
            Of a side and n frames, see `dice_motion.moved`.
        surfaces
            Of the same, see `smooth_surfaces`.
        """
        count = len(motion["turn"])
        nothing = np.zeros((count, 3))
        head = Rotation.from_rotvec(motion["turn"])
        said = Said(
            cam_param=np.column_stack([motion["scale"] / 10, motion["shift"]]),
            presence=motion["presence"][:, None],
            rh_betas=np.tile(self.betas, (count, 1)),
            rh_transl=nothing,
            rh_rot=(head * Rotation.from_rotvec(motion["hand_turn"])).as_rotvec(),
            rh_pose=motion["pose"],
            face_shape=np.tile(self.shapes[side], (count, 1)),
            face_exp=motion["expression"],
            face_pose=np.hstack([nothing, motion["jaw"]]),
            face_rot=motion["turn"],
            face_transl=nothing,
            hand_contact=surfaces["hand_contact"],
            head_contact=surfaces["head_contact"],
            deform=surfaces["deform"] @ head.as_matrix().swapaxes(1, 2),
        )
        return said._replace(rh_transl=head.apply(motion["wrist"]) - wrists(self.bodies, said))

    def moments(self, said: dict[Side, Said], motion: dict[Side, Arrays]) -> Iterator[Moment]:
        """Meshes of n frames."""
        lead = self.order[0]
        mirror = MIRROR if lead == "left" else np.ones(3)
        axes = mirror[:, None] * Rotation.from_rotvec(motion[lead]["turn"]).as_matrix() * mirror
        for index, runs in enumerate(zip(*(self._runs(side, said[side]) for side in self.order), strict=True)):
            head, hands = self._together(runs)
            seen = {side: bool(motion[side]["hand"][index]) for side in self.sides}
            presence = {side: float(motion[side]["presence"][index]) for side in self.sides}
            head_seen = bool(motion[lead]["head"][index])
            yield Moment(head, hands, axes[index], head_seen, seen, presence, runs[0].camera)

    def at_rest(self, motion: dict[Side, Arrays]) -> tuple[Head, tuple[Hand, ...]]:
        """Head and hands whose bones hold for all frames: where they begin depends on a face's expression, too."""
        runs = []
        for side in self.order:
            still = {name: values[:1] for name, values in motion[side].items()}
            still["expression"] = np.zeros_like(still["expression"])
            runs += self._runs(side, self.said(side, still, no_surfaces(1)))
        return self._together(runs)

    def _runs(self, side: Side, said: Said) -> list[Run]:
        sides, width = [side] * len(said.presence), self.camera.image_size[0]
        return answers(said, self.bodies, sides, UNMOVED, width, self.camera)

    def _together(self, runs: list[Run] | tuple[Run, ...]) -> tuple[Head, tuple[Hand, ...]]:
        head, hands = one_head(runs, self._counterparts)
        return head, tuple(hand for hand in hands if hand.side in self.sides)
