# SPDX-License-Identifier: GPL-3.0-or-later
"""A sequence that nobody captured, as a folder: somebody's hands come to the face, press the cheek and leave again.

Of the open bodies, 200 MB for a thousand frames; or, small, of a ball and hands of tetrahedra, with the same bones.
Written as docs/result-format.md says, without the package's own writer.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ASSETS = Path(__file__).resolve().parent.parent / "dice_core" / "body" / "assets"
CHUNK = 32
SIZE = (640, 360)
MATRIX = np.float32([[610, 0, 318.5], [0, 610, 184.25], [0, 0, 1]])
HEAD = np.array([0.01, 0.02, 0.62])  # metres in camera space
CHEEK = np.array([0.06, 0.03, -0.06])  # from there
CYCLE = 6.0  # seconds from one touch to the next
FACTS = {"hand": "auto", "face": 0, "crop": None, "precision": "exact", "fix_contact": False, "smoothing": 0.5}
Arrays = dict[str, NDArray]


@dataclass(frozen=True)
class Body:
    """A mesh at rest, and its bones."""

    vertices: NDArray
    faces: NDArray
    names: list[str]
    parents: NDArray
    joints: NDArray
    weights: NDArray


def write(
    folder: Path, count: int, *, real: bool = False, parts: tuple[str, ...] = ("head", "hand_right"),
    rate: float = 24.0, start: int = 0, gaps: Mapping[str, tuple[int, int]] | None = None, orthographic: bool = False,
    paths: tuple[str, ...] = (), phase: float = 0.0, size: tuple[int, int] = SIZE,
) -> None:  # fmt: skip
    """Write the folder.

    Parameters
    ----------
    folder
        It need not exist.
    count, rate, start
        Frames, how many a second, and the index of the first in its source.
    real
        Of the open bodies' size.
    parts
        Of head, hand_right, hand_left.
    gaps
        Parts that are not seen from a position up to another one.
    orthographic
        With the cameras that the dice engine's have.
    paths
        Of the source.
    phase
        Seconds by which everything happens earlier.
    size
        Width, height of the pictures.
    """
    (folder / "frames").mkdir(parents=True, exist_ok=True)
    seconds = np.arange(count) / rate + phase
    static: Arrays = {"image_size": np.int32(size), "params_head_identity": np.zeros(40, np.float32)}
    frames: Arrays = {}
    for part in parts:
        body = _body(part, real)
        seen = np.ones(count, bool)
        seen[slice(*(gaps or {}).get(part, (0, 0)))] = False
        shown = _held(seen)
        static |= _static(part, body)
        frames |= {f"{part}_seen": seen, f"{part}_confidence": np.float32(0.9 - 0.2 * np.sin(seconds) - 0.5 * ~seen)}
        transforms = _transforms(part, body, seconds)[shown]
        frames[f"{part}_bone_transforms"] = transforms.astype(np.float32)
        _write_caches(folder, part, body, transforms, seconds[shown])
    frames |= _facts(parts, seconds)
    if orthographic:
        static["camera_model"] = np.array("orthographic")
        scale, middle = MATRIX[0, 0] / (HEAD[2] + 0.02 * np.sin(seconds)), MATRIX[:2, 2] + 3 * np.sin(seconds)[:, None]
        frames["camera_ortho"] = np.concatenate([scale[:, None], middle], 1).astype(np.float32)
        frames["camera_matrix"] = np.repeat(MATRIX[None], count, 0)
        frames["camera_matrix"][:, :2, 2] = middle
    else:
        static |= {"camera_model": np.array("perspective"), "camera_matrix": MATRIX}
    for position in range(0, count, CHUNK):
        chunk = {name: values[position : position + CHUNK] for name, values in frames.items()}
        np.savez(folder / "frames" / f"{position:06}.npz", **chunk)
    np.savez(folder / "static.npz", **static)
    source = {"name": "clip.mp4", "paths": list(paths or ("/nowhere/clip.mp4",)), "size": 1, "modified": 1}
    facts = {"schema": 1, "engine": "open", "source": source, "rate": rate, "start": start, "end": None, "count": count,
             "image_size": list(size), "settings": FACTS, "complete": True, "notes": ["Made up."],
             "timings": {"fit": 1.5}}  # fmt: skip
    (folder / "capture.json").write_text(json.dumps(facts), encoding="utf-8")


def _body(part: str, real: bool) -> Body:
    with np.load(ASSETS / "head_rig.npz") as rig, np.load(ASSETS / "head.npz") as head:
        if part == "head":
            weights = rig["weights"] if real else np.tile(np.eye(len(rig["names"]))[1], (114, 1))
            mesh = (head["mean"], head["faces"]) if real else _ball()
            return Body(*mesh, rig["names"].tolist(), rig["parents"], rig["joints"], _shares(weights))
    with np.load(ASSETS / "hand.npz") as hand:
        end = ".R" if part == "hand_right" else ".L"
        names, joints = [f"{name}{end}" for name in _hand_names()], hand["joints_mean"]
        vertices, faces = (hand["mean"], hand["faces"]) if real else _tetrahedra(joints)
        weights = hand["weights"] if real else np.repeat(np.eye(len(joints)), 4, 0)
        parents = hand["parents"]
    if part == "hand_left":
        vertices, joints, faces = vertices * [-1, 1, 1], joints * [-1, 1, 1], faces[:, ::-1]
    return Body(vertices, faces, names, parents, joints, _shares(weights))


def _hand_names() -> list[str]:
    fingers = ("thumb", "f_index", "f_middle", "f_ring", "f_pinky")
    palms = [f"palm.{number:02}" for number in range(1, 5)]
    return ["hand", *palms, *(f"{finger}.{bone:02}" for finger in fingers for bone in (1, 2, 3))]


def _shares(weights: NDArray) -> NDArray:
    weights = np.round(weights.astype(np.float64) * 4096)
    weights[np.arange(len(weights)), weights.argmax(1)] += 4096 * np.round(weights.sum(1) / 4096) - weights.sum(1)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def _ball(rings: int = 8, segments: int = 16) -> tuple[NDArray, NDArray]:
    """An egg as large as a head, of 114 vertices."""
    theta, phi = np.pi * np.arange(1, rings)[:, None] / rings, 2 * np.pi * np.arange(segments) / segments
    sides = [np.sin(theta) * np.sin(phi), -np.cos(theta) + 0 * phi, -np.sin(theta) * np.cos(phi)]
    sides = np.stack(sides, -1).reshape(-1, 3)
    points = np.concatenate([[[0, -1, 0]], sides, [[0, 1, 0]]]) * [0.08, 0.115, 0.09]
    ring = np.arange(segments)
    after, last = (ring + 1) % segments, segments * (rings - 2)
    faces = [np.stack([0 * ring, 1 + ring, 1 + after], 1)]
    for low in range(1, last, segments):
        faces.append(np.stack([low + ring, low + segments + ring, low + after], 1))
        faces.append(np.stack([low + after, low + segments + ring, low + segments + after], 1))
    faces.append(np.stack([1 + last + ring, 0 * ring + len(points) - 1, 1 + last + after], 1))
    return points, np.concatenate(faces)


def _tetrahedra(joints: NDArray) -> tuple[NDArray, NDArray]:
    """One at each joint."""
    corners = 0.004 * np.array([[1, 1, 1], [-1, -1, 1], [-1, 1, -1], [1, -1, -1]])
    faces = 4 * np.arange(len(joints))[:, None, None] + [[0, 1, 3], [0, 3, 2], [0, 2, 1], [1, 2, 3]]
    return (joints[:, None] + corners).reshape(-1, 3), faces.reshape(-1, 3)


def _static(part: str, body: Body) -> Arrays:
    return {
        f"{part}_faces": body.faces.astype(np.int32),
        f"{part}_bone_names": np.array(body.names),
        f"{part}_bone_parents": body.parents.astype(np.int32),
        f"{part}_bone_joints": body.joints.astype(np.float32),
        f"{part}_bone_weights": body.weights,
    }


def _held(seen: NDArray) -> NDArray:
    """(N,) the position whose pose is shown: where the part is not seen, the last one that shows it."""
    shown = np.maximum.accumulate(np.where(seen, np.arange(len(seen)), -1))
    return np.where(shown < 0, seen.argmax(), shown)


def touching(seconds: NDArray) -> NDArray:
    """(N,) how near the hands are, 0..1: they stay at the skin for a second or two."""
    return np.clip(1.6 * np.sin(2 * np.pi * seconds / CYCLE), 0, 1) ** 2


def _transforms(part: str, body: Body, seconds: NDArray) -> NDArray:
    """(N, B, 4, 4) from rest to camera space."""
    bones = len(body.names)
    turns = np.zeros((len(seconds), bones, 3))
    near = touching(seconds)[:, None]
    if part == "head":
        turns[:, 0] = np.stack([0.15 * np.sin(seconds), 0.3 * np.sin(0.7 * seconds), 0.05 * np.sin(1.3 * seconds)], 1)
        place = HEAD + 0.01 * np.sin(seconds)[:, None] * [1, 0.5, 2]
    else:
        side = 1 if part == "hand_left" else -1
        sway = np.stack([np.sin(1.1 * seconds), near[:, 0], -near[:, 0]], 1)
        turns[:, 0] = [0.2, 0.4 * side, 2.9 * side] + 0.25 * sway
        rates = 0.5 + 0.7 * np.arange(bones - 1) / bones
        curl = (0.2 + 0.3 * near) * (1 + np.sin(rates * seconds[:, None] + np.arange(bones - 1)))
        turns[:, 5:, 0] = curl[:, 4:]  # the palm is still
        away = HEAD + [0.22 * side, 0.2, -0.05]
        place = away + near * (HEAD + CHEEK * [side, 1, 1] - [0, -0.12, 0.01] - away)
    found = np.zeros((len(seconds), bones, 4, 4))
    for bone, parent in enumerate(body.parents):
        local = np.tile(np.eye(4), (len(seconds), 1, 1))
        local[:, :3, :3] = _rotations(turns[:, bone])
        local[:, :3, 3] = body.joints[bone] - local[:, :3, :3] @ body.joints[bone]
        if parent < 0:
            local[:, :3, 3] += place
        found[:, bone] = local if parent < 0 else found[:, parent] @ local
    return found


def _rotations(vectors: NDArray) -> NDArray:
    """(N, 3) axis-angle -> (N, 3, 3)."""
    angle = np.linalg.norm(vectors, axis=1)[:, None, None]
    x, y, z = (vectors / np.maximum(angle[:, 0], 1e-12)).T
    zero = 0 * x
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], 1).reshape(-1, 3, 3)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def _write_caches(folder: Path, part: str, body: Body, transforms: NDArray, seconds: NDArray) -> None:
    rest = np.concatenate([body.vertices, np.ones((len(body.vertices), 1))], 1)
    names = [part, f"{part}_contact"] + ["head_deformation"] * (part == "head")
    files = {name: open(folder / f"{name}.pc2", "wb") for name in names}  # noqa: SIM115
    for file in files.values():
        file.write(struct.pack("<12siiffi", b"POINTCACHE2\0", 1, len(rest), 0.0, 1.0, len(seconds)))
    for matrices, second, near in zip(transforms, seconds, touching(seconds), strict=True):
        blended = (body.weights @ matrices.reshape(len(matrices), 16)).reshape(-1, 4, 4)
        files[part].write((blended @ rest[..., None])[:, :3, 0].astype("<f4").tobytes())
        place = CHEEK + 0.02 * np.array([0, np.sin(second), 0]) if part == "head" else body.joints[-1]
        bump = np.exp(-((body.vertices - place) ** 2).sum(1) / 2 / 0.025**2)
        contact = np.zeros((len(rest), 3), "<f4")
        contact[:, 0] = near * bump
        files[f"{part}_contact"].write(contact.tobytes())
        if part == "head":
            press = 0.006 * max(near - 0.5, 0) * bump[:, None] * -matrices[0, :3, 0]
            files["head_deformation"].write(press.astype("<f4").tobytes())
    for file in files.values():
        file.close()


def _facts(parts: tuple[str, ...], seconds: NDArray) -> Arrays:
    near, count = touching(seconds).astype(np.float32), len(seconds)
    found: Arrays = {
        "contact_probability": near,
        "contact_state": np.where(near >= 0.5, "touch", np.where(near < 0.32, "no-touch", "unsure")),
        "quality_penetration_mm": np.where(near > 0.5, 0.5, np.nan).astype(np.float32),
    }
    if "head" in parts:
        rates, shift = 0.3 + 0.05 * np.arange(52), np.arange(52)
        found["head_landmarks"] = np.zeros((count, 68, 3), np.float32)
        found["params_head_expression"] = (
            0.5 * np.clip(np.sin(rates * seconds[:, None] + shift), 0, 1) * (shift % 2)
        ).astype(np.float32)
        found["params_head_global_orient"] = np.zeros((count, 3), np.float32)
    for part in parts:
        if part != "head":
            found[f"{part}_joints"] = np.zeros((count, 21, 3), np.float32)
            found[f"params_{part}_pose"] = np.float32(np.sin(seconds)[:, None] * np.ones(45))
    return found
