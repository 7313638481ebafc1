# SPDX-License-Identifier: GPL-3.0-or-later
"""The research packages beside our own code, where they are installed; what is said where they are not."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest

from dice_core.body.flame import Flame
from dice_core.body.mano import Mano
from dice_core.errors import NotInstalled
from dice_core.network import extras

torch = pytest.importorskip("torch", reason="torch is not installed (install_deps.py --engine dice)")


from tests.core.bodies import official_files  # noqa: E402

METRES = 1e-6
ELSEWHERE = "no package index carries it, see dice_core/network/extras.py"
pytestmark = pytest.mark.torch


def arrays(data: dict) -> dict[str, np.ndarray]:
    """A converted file's arrays of an official file's data."""
    last_first = {name: data[name].transpose(2, 0, 1) for name in ("shapedirs", "posedirs")}
    same = {"joint_regressor": data["J_regressor"], "weights": data["weights"], "faces": data["f"].astype(int)}
    parents = np.array(official_files.PARENTS[len(data["J_regressor"])])
    return {"template": data["v_template"], "parents": parents} | last_first | same


def tensor(array: np.ndarray) -> object:
    return torch.from_numpy(np.ascontiguousarray(array))


@pytest.fixture(scope="module")
def hand() -> Mano:
    return Mano.from_arrays(arrays(official_files.mano_data()))


@pytest.fixture(scope="module")
def head() -> Flame:
    whole = arrays(official_files.flame_data())
    used = whole | {"shapedirs": whole["shapedirs"][np.r_[:100, 300:350]]}
    return Flame.from_arrays(used, {"faces": np.arange(68), "weights": np.full((68, 3), 1 / 3)})


def numbers(model: Mano | Flame, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Betas and rotations of eight bodies: still, three at random, tiny angles, nearly half a turn and more."""
    random = np.random.default_rng(seed)
    betas = 2 * random.normal(size=(8, len(model.shapedirs)))
    rotations = random.normal(size=(8, len(model.parents), 3))
    rotations[0], betas[0] = 0, 0
    for row, angle in ((4, 1e-12), (5, 1e-6), (6, np.pi - 1e-7), (7, np.pi + 1e-7)):
        rotations[row] *= angle / np.linalg.norm(rotations[row], axis=1, keepdims=True)
    return betas, rotations


def difference(name: str, model: Mano | Flame, seed: int) -> float:
    """Metres between a layer's vertices and joints, and those of our own code in NumPy."""
    betas, rotations = numbers(model, seed)
    found = extras.body_layer(name)(model.mapped(tensor), torch.tensor(betas), torch.tensor(rotations))
    expected = model.skinned(betas, rotations)
    assert [array.shape for array in expected] == [tuple(array.shape) for array in found]
    return max(np.abs(mine - theirs.numpy()).max() for mine, theirs in zip(expected, found, strict=True))


def test_our_own_layer_is_the_plain_one(hand: Mano) -> None:
    assert difference("own", hand, 0) < 1e-12


@pytest.mark.parametrize("body", ["hand", "left hand", "head"])
def test_smplx_poses_as_we_do(body: str, hand: Mano, head: Flame) -> None:
    pytest.importorskip("smplx", reason="smplx is not installed (install_deps.py --research)")
    model = {"hand": hand, "left hand": hand.mirrored(), "head": head}[body]
    assert 0 < difference("smplx", model, 1) < METRES


def test_smplx_in_single_precision(hand: Mano) -> None:
    pytest.importorskip("smplx", reason="smplx is not installed (install_deps.py --research)")
    model = hand.mapped(lambda array: torch.from_numpy(np.float32(array)))
    betas, rotations = (torch.from_numpy(np.float32(array)) for array in numbers(hand, 2))
    vertices, _ = extras.body_layer("smplx")(model, betas, rotations)
    assert vertices.dtype == torch.float32
    assert (vertices - model.skinned(betas, rotations)[0]).abs().max() < 2 * METRES


@pytest.mark.parametrize("body", ["hand", "left hand"])
def test_manopth_poses_as_we_do(body: str, hand: Mano) -> None:
    pytest.importorskip("manopth.manolayer", reason=f"manopth is not installed: {ELSEWHERE}")
    assert 0 < difference("manopth", hand if body == "hand" else hand.mirrored(), 3) < METRES


def test_manopth_leaves_heads_to_us(head: Flame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "manopth", types.ModuleType("manopth"))
    monkeypatch.setitem(sys.modules, "manopth.manolayer", types.SimpleNamespace(ManoLayer=None))
    with pytest.warns(UserWarning, match="the head is posed by our own"):
        assert difference("manopth", head, 4) < 1e-12


@pytest.mark.parametrize(("name", "page"), [("smplx", ""), ("manopth", "github.com/hassony2/manopth"), ("dmpl", "")])
def test_layers_that_are_not_there(name: str, page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("smplx", "smplx.lbs", "manopth", "manopth.manolayer"):
        monkeypatch.setitem(sys.modules, module, None)  # Python's way to say that there is none
    with pytest.raises(NotInstalled, match=name) as caught:
        extras.body_layer(name)
    wanted = {"smplx": "install_deps.py --research", "manopth": f"{sys.executable} -m pip", "dmpl": "own, smplx"}
    assert wanted[name] in caught.value.remedy and page in caught.value.remedy


# ----------------------------------------------------------------------------------------------------------- pytorch3d


def oblong(x: float, y: float, width: float, depth: float) -> tuple[np.ndarray, np.ndarray]:
    """Not quite a square: no pixel's centre lies on its diagonal, where it would be in neither half."""
    right, below = x + width, y + width + 0.1
    corners = [[x, y, depth], [right, y, depth], [right, below, depth], [x, below, depth]]
    return np.array(corners), np.array([[0, 1, 2], [2, 3, 0]])


def scene() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A grey oblong far away, a red one nearer over its corner, and one that is for the most part outside."""
    places = ((20.3, 10.3, 110, 2.0), (120.3, 115.3, 60, -1.0), (190.3, 130.3, 50, 1.0))
    parts = [oblong(*place) for place in places]
    points = np.concatenate([points for points, _ in parts])
    faces = np.concatenate([faces + 4 * number for number, (_, faces) in enumerate(parts)])
    return points, faces, np.repeat([[120, 120, 120], [250, 20, 10], [0, 0, 300]], 4, 0)


def looks_right(height: int, width: int) -> None:
    """Every pixel, worked out by hand: a pixel belongs to an oblong when its centre, a whole number, lies in it."""
    canvas = np.full((height, width, 3), 7, np.uint8)
    expected = canvas.copy()
    expected[11:121, 21:131] = 120
    expected[131:181, 191:241] = [0, 0, 255]
    expected[116:176, 121:181] = [250, 20, 10]
    extras.pytorch3d_painter()(canvas, *scene())
    assert np.array_equal(canvas, expected), np.argwhere((canvas != expected).any(2))[:10]
    assert (canvas != 7).any()


def slope() -> None:
    """Colours and depths in between: a ramp from left to right that a flat oblong cuts in half."""
    both = oblong(10.3, 10.3, 100, 0), oblong(10.3, 10.3, 100, 5)
    points, faces = (np.concatenate(pair) for pair in zip(*both, strict=True))
    points[[1, 2], 2] = 10
    faces[2:] += 4
    colors = np.zeros((8, 3))
    colors[[1, 2]] = 200
    canvas = np.full((130, 130, 3), 7, np.uint8)
    extras.pytorch3d_painter()(canvas, points, faces, colors)
    across = (np.arange(11, 111) - 10.3) / 100
    wanted = np.where(across < 0.5, 200 * across, 0)
    assert np.abs(canvas[60, 11:111, 0] - wanted).max() <= 1


def test_pytorch3d_paints() -> None:
    pytest.importorskip("pytorch3d.renderer", reason=f"pytorch3d is not installed: {ELSEWHERE}")
    looks_right(140, 220)
    slope()


@pytest.mark.parametrize("size", [(140, 220), (220, 140), (128, 256), (60, 60)])
def test_painting_as_pytorch3d_documents_it(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """With a stand-in made from its documentation: what it is told is right, whether it is there or not."""
    stand_in(monkeypatch)
    looks_right(*size)
    slope()


def test_nothing_to_paint(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch)
    points, faces = oblong(-500, -500, 20, 1)
    canvas = np.full((40, 50, 3), 7, np.uint8)
    extras.pytorch3d_painter()(canvas, points, faces, np.zeros((4, 3)))
    assert (canvas == 7).all()


def test_pytorch3d_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("pytorch3d", "pytorch3d.renderer", "pytorch3d.renderer.mesh", "pytorch3d.structures"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(NotInstalled, match="pytorch3d cannot be imported") as caught:
        extras.pytorch3d_painter()(np.zeros((4, 4, 3), np.uint8), *oblong(0, 0, 2, 1), np.zeros((4, 3)))
    assert f"{sys.executable} -m pip" in caught.value.remedy and "pytorch3d/blob" in caught.value.remedy


def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules that behave as pytorch3d's documentation says, for one mesh and one face per pixel."""
    mesh = types.SimpleNamespace(rasterize_meshes=rasterize_meshes)
    structures = types.SimpleNamespace(Meshes=lambda verts, faces: (verts[0], faces[0]))
    modules = {"pytorch3d.renderer.mesh": mesh, "pytorch3d.structures": structures}
    for name in ("pytorch3d", "pytorch3d.renderer"):
        modules[name] = types.ModuleType(name)
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)


def rasterize_meshes(mesh: tuple, image_size: int, blur_radius: float, faces_per_pixel: int) -> tuple:
    """pix_to_face, zbuf, barycentric, distances: +x left, +y up, the picture from -1 to 1, -1 where nothing is."""
    verts, faces = mesh
    assert verts.dtype == torch.float32 and faces.dtype == torch.int64 and (blur_radius, faces_per_pixel) == (0, 1)
    centres = 1 - (2 * np.arange(image_size) + 1) / image_size
    x, y = np.meshgrid(centres, centres)
    owner = np.full((image_size, image_size), -1)
    depth = np.full(owner.shape, np.inf)
    weights = np.full((*owner.shape, 3), -1.0)
    for number, corners in enumerate(verts.numpy().astype(np.float64)[faces.numpy()]):
        matrix = np.vstack([corners[:, :2].T, np.ones(3)])  # of the weights: they add up to the point, and to 1
        inner = np.moveaxis(np.linalg.solve(matrix, np.stack([x, y, np.ones_like(x)]).reshape(3, -1)), 0, 1)
        inner = inner.reshape(*owner.shape, 3)
        z = inner @ corners[:, 2]
        seen = (inner > 0).all(2) & (z >= 0) & (z < depth)
        owner[seen], depth[seen], weights[seen] = number, z[seen], inner[seen]
    depth[owner < 0] = -1
    tensors = [torch.from_numpy(array[None, :, :, None]) for array in (owner, depth)]
    return *tensors, torch.from_numpy(weights[None, :, :, None]), torch.zeros_like(tensors[1])
