# SPDX-License-Identifier: GPL-3.0-or-later
"""The body model against its definition written out joint by joint, and NumPy against torch."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dice_core.body import flame
from dice_core.body.skinned import SkinnedModel
from dice_core.body.skinning import rotation_matrices

TORCH = "torch is not installed"


def small_model(random: np.random.Generator) -> SkinnedModel:
    return SkinnedModel(
        template=random.normal(size=(12, 3)),
        shapedirs=random.normal(size=(4, 12, 3)),
        posedirs=0.1 * random.normal(size=(27, 12, 3)),
        joint_regressor=random.dirichlet(np.ones(12), 4),
        weights=random.dirichlet(np.ones(4), 12),
        faces=np.zeros((1, 3), int),
        parents=(-1, 0, 1, 1),
    )


def written_out(model: SkinnedModel, betas: np.ndarray, rotations: np.ndarray) -> np.ndarray:
    """One body, as the paper writes it: (V, 3)."""
    shaped = model.template + sum(beta * direction for beta, direction in zip(betas, model.shapedirs, strict=True))
    joints = model.joint_regressor @ shaped
    local = [Rotation.from_rotvec(rotation).as_matrix() for rotation in rotations]
    bent = np.concatenate([(matrix - np.eye(3)).ravel() for matrix in local[1:]])
    posed = shaped + np.tensordot(bent, model.posedirs, 1)
    world = []
    for joint, parent in enumerate(model.parents):
        matrix = np.eye(4)
        matrix[:3, :3] = local[joint]
        matrix[:3, 3] = joints[joint] - (joints[parent] if parent >= 0 else 0)
        world.append(matrix if parent < 0 else world[parent] @ matrix)
    result = np.zeros_like(posed)
    for weights, matrix, joint in zip(model.weights.T, world, joints, strict=True):
        result += weights[:, None] * ((posed - joint) @ matrix[:3, :3].T + matrix[:3, 3])
    return result


def test_by_the_definition():
    random = np.random.default_rng(0)
    model = small_model(random)
    betas, rotations = random.normal(size=(5, 4)), random.normal(size=(5, 4, 3))
    vertices, joints = model.skinned(betas, rotations)
    for one in range(5):
        assert np.abs(vertices[one] - written_out(model, betas[one], rotations[one])).max() < 1e-12
    assert np.allclose(
        joints[:, 0], model.joint_regressor[0] @ (model.template + np.tensordot(betas, model.shapedirs, 1))
    )


def test_one_bad_sample_spoils_no_other():
    random = np.random.default_rng(1)
    model = small_model(random)
    betas, rotations = random.normal(size=(3, 4)), random.normal(size=(3, 4, 3))
    good, _ = model.skinned(betas, rotations)
    rotations[1] = np.nan
    mixed, _ = model.skinned(betas, rotations)
    assert np.allclose(mixed[[0, 2]], good[[0, 2]]) and np.isnan(mixed[1]).all()


@pytest.mark.parametrize("angle", [0, 1e-300, 1e-12, 1e-8, 1e-4, 0.1, 3, np.pi - 1e-9, np.pi, 6, 2 * np.pi, 50])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_rotations_of_every_size(angle: float, dtype: type):
    axis = np.array([0.6, -0.48, 0.64])
    vectors = (angle * axis).astype(dtype)
    found = rotation_matrices(vectors)
    assert found.dtype == dtype
    expected = Rotation.from_rotvec(vectors.astype(np.float64)).as_matrix()
    assert np.abs(found - expected).max() < (1e-14 if dtype is np.float64 else 3e-7) * max(1, angle)


@pytest.mark.torch
def test_torch_gives_the_same():
    torch = pytest.importorskip("torch", reason=TORCH)
    random = np.random.default_rng(2)
    model = small_model(random)
    betas, rotations = random.normal(size=(5, 4)), random.normal(size=(5, 4, 3))
    rotations[0] = 0
    expected = model.skinned(betas, rotations)
    for dtype, tolerance in ((torch.float64, 1e-13), (torch.float32, 2e-5)):
        other = model.mapped(lambda array, dtype=dtype: torch.as_tensor(array, dtype=dtype))
        for field in fields(model):
            assert isinstance(getattr(other, field.name), torch.Tensor) == (field.name not in ("faces", "parents"))
        found = other.skinned(torch.tensor(betas, dtype=dtype), torch.tensor(rotations, dtype=dtype))
        for mine, theirs in zip(found, expected, strict=True):
            assert mine.dtype == dtype and np.abs(mine.numpy() - theirs).max() < tolerance


@pytest.mark.torch
def test_torch_poses_whole_bodies_the_same(bodies):
    torch = pytest.importorskip("torch", reason=TORCH)
    random = np.random.default_rng(3)
    sizes = {"rh_betas": 10, "rh_transl": 3, "rh_rot": 3, "rh_pose": 45}
    sizes |= {"face_shape": 100, "face_exp": 50, "face_pose": 6, "face_rot": 3, "face_transl": 3}
    numbers = {name: 0.5 * random.normal(size=(2, size)) for name, size in sizes.items()}
    holder = type("Numbers", (), {})
    mine, theirs = holder(), holder()
    for name, value in numbers.items():
        setattr(mine, name, value)
        setattr(theirs, name, torch.tensor(value, dtype=torch.float32))
    other = bodies.mapped(lambda array: torch.as_tensor(array, dtype=torch.float32))
    for name, expected, found in zip(
        bodies.from_parameters(mine)._fields, bodies.from_parameters(mine), other.from_parameters(theirs), strict=True
    ):
        assert np.abs(found.numpy() - expected).max() < 1e-5, name
    deformation = random.normal(size=(2, flame.VERTICES, 3))
    found = other.displacement(torch.tensor(deformation, dtype=torch.float32)).numpy()
    assert np.abs(found - bodies.displacement(deformation)).max() < 1e-6
