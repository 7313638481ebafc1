# SPDX-License-Identifier: GPL-3.0-or-later
"""A body model as SMPL and its kin define it (Loper et al. 2015): blend shapes, pose correctives, skinning.

NumPy arrays or torch tensors, as in `skinning`: the model and the parameters must be of one kind and one precision.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from .skinning import Array, bone_transforms, forward_kinematics, namespace, rotation_matrices, skin

UPRIGHT = np.array([1.0, -1, -1])  # from the models' own axes at rest, y up and z to the front, to the camera's


@dataclass(frozen=True)
class SkinnedModel:
    """The data of a body model with V vertices, B joints and S shape components.

    Attributes
    ----------
    template, shapedirs, posedirs
        (V, 3) metres, (S, V, 3), (9 (B - 1), V, 3).
    joint_regressor, weights
        (B, V), (V, B).
    faces, parents
        (F, 3) and (B,) integers; the first parent is -1.
    """

    template: Array
    shapedirs: Array
    posedirs: Array
    joint_regressor: Array
    weights: Array
    faces: NDArray
    parents: tuple[int, ...]

    def skinned(self, betas: Array, rotations: Array) -> tuple[Array, Array]:
        """Pose n bodies.

        Parameters
        ----------
        betas, rotations
            (n, S) and (n, B, 3) axis-angle, each joint in its parent's frame; the first is global and turns about
            joint 0.

        Returns
        -------
        vertices, joints
            (n, V, 3), (n, B, 3) metres, in the model's own frame.
        """
        local = rotation_matrices(rotations)
        shaped = self.template + _combine(betas, self.shapedirs)
        rest = self.joint_regressor @ shaped
        straight = namespace(local).eye(3, dtype=local.dtype, device=local.device)
        bent = (local[:, 1:] - straight).reshape(len(betas), -1)
        turned, positions = forward_kinematics(local, rest, self.parents)
        return skin(shaped + _combine(bent, self.posedirs), self.weights, turned, rest, positions), positions

    def skeleton(self, betas: NDArray, rotations: NDArray) -> tuple[NDArray, NDArray]:
        """Where the bones of n bodies are, for NumPy arrays: what `skinned` poses with, as matrices.

        Returns
        -------
        joints, transforms
            (n, B, 3) at rest and (n, B, 4, 4) from rest to posed.
        """
        rest = self.joint_regressor @ (self.template + _combine(betas, self.shapedirs))
        turned, positions = forward_kinematics(rotation_matrices(rotations), rest, self.parents)
        return rest, bone_transforms(turned, rest, positions)

    def mapped(self, convert: Callable[[NDArray], Array]) -> Self:
        """The same model with other arrays of numbers: `flame.mapped(lambda a: torch.from_numpy(a).float().cuda())`."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        floating = {name for name, value in values.items() if isinstance(value, np.ndarray) and value.dtype.kind == "f"}
        return replace(self, **{name: convert(values[name]) for name in floating})


def skinned_parts(arrays: Mapping[str, NDArray]) -> dict[str, Any]:
    """The attributes of a `SkinnedModel` from the arrays of a converted file."""
    parts: dict[str, Any] = {field.name: arrays[field.name] for field in fields(SkinnedModel)}
    return parts | {"parents": tuple(parts["parents"].tolist())}


def _combine(amounts: Array, directions: Array) -> Array:
    """(n, K) and (K, V, 3) -> (n, V, 3)."""
    return (amounts @ directions.reshape(len(directions), -1)).reshape(len(amounts), -1, 3)
