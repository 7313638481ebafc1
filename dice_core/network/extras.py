# SPDX-License-Identifier: GPL-3.0-or-later
"""Research packages in place of our own code, where a user has installed and chosen them. None is ever needed.

    smplx      poses hands and heads; `install_deps.py --research` adds it
    manopth    poses hands
    pytorch3d  paints previews

Each is imported when it is used. smplx and parts of manopth are for non-commercial research only.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..body.bodies import Bodies
from ..body.mano import JOINTS, OPENPOSE_ORDER, POSE, Mano
from ..body.skinned import SkinnedModel
from ..body.skinning import Array, namespace
from ..errors import NotInstalled
from ..paths import install_command

Model = TypeVar("Model", bound=SkinnedModel)
Layer = Callable[[SkinnedModel, Array, Array], tuple[Array, Array]]

BODY_LAYERS = ("own", "smplx", "manopth")
PAGES = {
    "manopth": "https://github.com/hassony2/manopth#installation",
    "pytorch3d": "https://github.com/facebookresearch/pytorch3d/blob/main/INSTALL.md",
}
# What manopth's layer asks itself: axis-angles of all joints, a flat mean hand, no palm in the middle.
MANOPTH_SETTINGS = {
    "use_pca": False, "ncomps": POSE, "rot": 3, "root_rot_mode": "axisang", "joint_rot_mode": "axisang",
    "robust_rot": False, "flat_hand_mean": True, "center_idx": None, "side": "right",
}  # fmt: skip
TILE = 128  # pixels; pytorch3d asks every triangle of a picture about every pixel, so the pictures are small


def body_layer(name: str) -> Layer:
    """What poses bodies in place of `SkinnedModel.skinned`, with its parameters after the model; for torch tensors.

    Parameters
    ----------
    name
        One of BODY_LAYERS. `own` is `SkinnedModel.skinned` itself. `manopth` has hands only: heads are posed by our
        own code and a warning says so.

    Raises
    ------
    NotInstalled
        When there is no such layer, or its package is missing or broken.
    """
    if name == "own":
        return SkinnedModel.skinned
    if name == "smplx":
        return partial(_smplx, _imported("smplx.lbs").lbs)
    if name == "manopth":
        return partial(_manopth, _imported("manopth.manolayer").ManoLayer)
    raise NotInstalled(f"There is no body layer {name!r}.", f"Choose one of: {', '.join(BODY_LAYERS)}.")


def with_body_layer(bodies: Bodies, name: str) -> Bodies:
    """The same bodies, for NumPy arrays, posed by that layer. Raises as `body_layer`."""
    if name == "own":
        return bodies
    layer = body_layer(name)
    return replace(bodies, flame=_posed_by(layer, bodies.flame), mano=_posed_by(layer, bodies.mano))


def _posed_by(layer: Layer, model: Model) -> Model:
    torch = _imported("torch")
    tensors = model.mapped(torch.from_numpy)

    def skinned(_: SkinnedModel, betas: NDArray, rotations: NDArray) -> tuple[NDArray, NDArray]:
        vertices, joints = layer(tensors, *(torch.from_numpy(np.float64(part)) for part in (betas, rotations)))
        return vertices.numpy(), joints.numpy()

    cls = type(model)
    return type(cls.__name__, (cls,), {"skinned": skinned})(**vars(model))


def pytorch3d_painter() -> Callable[[NDArray[np.uint8], NDArray, NDArray, NDArray], None]:
    """What draws a mesh over a picture; of what lies in one place, the nearest is seen, whichever way it faces.

    It takes a (h, w, 3) RGB canvas, changed in place; (V, 3) points, x and y in pixels, whole numbers at the pixels'
    centres as OpenCV counts, and depth, the near less; (F, 3) faces; (V, 3) RGB 0..255, lit already.

    Raises
    ------
    NotInstalled
        When pytorch3d is missing or broken.
    """
    draw, meshes = _imported("pytorch3d.renderer.mesh").rasterize_meshes, _imported("pytorch3d.structures").Meshes
    return partial(_paint, draw, meshes)


def _paint(
    draw: Callable[..., Any], meshes: Callable[..., Any], canvas: NDArray[np.uint8], points: NDArray, faces: NDArray,
    colors: NDArray,
) -> None:  # fmt: skip
    torch = _imported("torch")
    points = points - [0, 0, points[:, 2].min() - 1]  # what lies behind the camera is not drawn
    low, high = points[faces, :2].min(1), points[faces, :2].max(1)
    for top in range(0, canvas.shape[0], TILE):
        for left in range(0, canvas.shape[1], TILE):
            corner = np.array([left, top])
            here = faces[(high >= corner).all(1) & (low < corner + TILE).all(1)]
            if len(here) == 0:
                continue
            # pytorch3d's pictures span 1 to -1: x grows to the left and y upwards, and edges, not centres, are at 1.
            seen = np.c_[1 - (2 * (points[:, :2] - corner) + 1) / TILE, points[:, 2]]
            mesh = meshes(verts=[torch.from_numpy(np.float32(seen))], faces=[torch.from_numpy(np.int64(here))])
            face, _, weights, _ = draw(mesh, image_size=TILE, blur_radius=0.0, faces_per_pixel=1)
            place = canvas[top : top + TILE, left : left + TILE]
            height, width = place.shape[:2]
            face, weights = face[0, :height, :width, 0].numpy(), weights[0, :height, :width, 0].numpy()
            shade = (weights[..., None] * colors[here[face]]).sum(2)
            np.copyto(place, np.clip(np.round(shade), 0, 255).astype(np.uint8), where=(face >= 0)[..., None])


def _smplx(lbs: Callable[..., tuple[Array, Array]], model: SkinnedModel, betas: Array, rotations: Array) -> Any:
    return lbs(
        betas,
        rotations.reshape(len(rotations), -1),
        model.template,
        model.shapedirs.permute(1, 2, 0),
        model.posedirs.reshape(len(model.posedirs), -1),
        model.joint_regressor,
        namespace(betas).tensor(model.parents, device=betas.device),
        model.weights,
    )


def _manopth(layer: Any, model: SkinnedModel, betas: Array, rotations: Array) -> tuple[Array, Array]:
    if not isinstance(model, Mano):
        warnings.warn("manopth has hands only: the head is posed by our own skinning.", stacklevel=2)
        return model.skinned(betas, rotations)
    torch = namespace(betas)
    # Its constructor opens the official pickle, with chumpy: our arrays are put where that would put them.
    hand = layer.__new__(layer)
    torch.nn.Module.__init__(hand)
    for name, value in MANOPTH_SETTINGS.items():
        setattr(hand, name, value)
    for name, array in {
        "th_betas": torch.zeros_like(betas[:1]),
        "th_hands_mean": torch.zeros_like(rotations[:1, 1:].reshape(1, POSE)),
        "th_v_template": model.template[None],
        "th_shapedirs": model.shapedirs.permute(1, 2, 0),
        "th_posedirs": model.posedirs.permute(1, 2, 0),
        "th_J_regressor": model.joint_regressor,
        "th_weights": model.weights,
    }.items():
        hand.register_buffer(name, array)
    vertices, keypoints, *_ = hand(rotations.reshape(len(rotations), -1), betas)  # millimetres
    return vertices / 1000, keypoints[:, [OPENPOSE_ORDER.index(joint) for joint in range(JOINTS)]] / 1000


def _imported(module: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        remedy = f"Run {install_command('--research' if package == 'smplx' else '--engine dice')}."
        if package in PAGES:
            remedy = (
                f"No package index carries it: {PAGES[package]} says how to get it. Into this Python it goes with "
                f"{sys.executable} -m pip install --no-build-isolation ({sys.executable} -m ensurepip makes pip)."
            )
        raise NotInstalled(f"{package} cannot be imported ({error}).", remedy) from error
