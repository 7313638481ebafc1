# SPDX-License-Identifier: GPL-3.0-or-later
"""Our skinning beside that of the smplx package, where somebody installed it; it is never needed."""

from __future__ import annotations

import pickle  # noqa: TID251 - smplx reads no other format
from pathlib import Path

import numpy as np
import pytest

METRES = 1e-6


def test_golden_records_of_smplx(golden, golden_bodies):
    """What smplx 0.1.28 gave on the recorded files."""
    smplx, mano, flame = golden("smplx_compare"), golden("mano_forward"), golden("flame_forward")
    hand, _ = golden_bodies.mano.pose(*(mano[f"in_{name}"] for name in ("betas", "rot", "pose", "transl")))
    assert np.abs(hand - smplx["smplx_mano_verts"]).max() < METRES
    head = golden_bodies.flame.pose(*(flame[f"in_{name}"] for name in ("shape", "exp", "pose")))
    assert np.abs(head - smplx["smplx_flame_verts"]).max() < METRES


@pytest.fixture(scope="module")
def packages():
    reason = "smplx is not installed (install_deps.py --research)"
    torch = pytest.importorskip("torch", reason=reason)
    return pytest.importorskip("smplx", reason=reason), torch


def numbers(seed: int, *sizes: int) -> list[np.ndarray]:
    """Six rows: zeros, three random, tiny angles, near a half turn."""
    random = np.random.default_rng(seed)
    scales = np.array([0, 1, 1, 1, 1e-6, 1])[:, None]
    rows = [scales * random.normal(size=(6, size)) for size in sizes]
    rows[1][5] *= (np.pi - 1e-4) / np.linalg.norm(rows[1][5, :3])
    return rows


@pytest.mark.torch
def test_mano(packages, bodies, mano_data: dict):
    smplx, torch = packages
    betas, orient, pose, transl = numbers(0, 10, 3, 45, 3)
    data = smplx.utils.Struct(**mano_data)
    theirs = smplx.MANO(
        "", data_struct=data, is_rhand=True, use_pca=False, flat_hand_mean=True, batch_size=6, dtype=torch.float64
    )
    told = theirs(*(torch.tensor(rows) for rows in (betas, orient, pose, transl)))
    vertices, joints = bodies.mano.pose(betas, orient, pose, transl)
    assert np.abs(vertices - told.vertices.numpy()).max() < METRES
    assert np.abs(joints - told.joints.numpy()[:, :16]).max() < METRES


@pytest.mark.torch
def test_flame(packages, bodies, flame_data: dict, tmp_path: Path):
    smplx, torch = packages
    shape, pose, expression = numbers(1, 100, 6, 50)
    static = {"lmk_face_idx": np.arange(51), "lmk_b_coords": np.full((51, 3), 1 / 3)}
    (tmp_path / "flame_static_embedding.pkl").write_bytes(pickle.dumps(static))
    (tmp_path / "FLAME_NEUTRAL.pkl").write_bytes(pickle.dumps(flame_data))
    theirs = smplx.FLAME(str(tmp_path), num_betas=100, num_expression_coeffs=50, batch_size=6, dtype=torch.float64)
    told = theirs(
        betas=torch.tensor(shape),
        expression=torch.tensor(expression),
        global_orient=torch.tensor(pose[:, :3]),
        jaw_pose=torch.tensor(pose[:, 3:]),
    )
    vertices = bodies.flame.pose(shape, expression, pose)
    assert np.abs(vertices - told.vertices.detach().numpy()).max() < METRES
