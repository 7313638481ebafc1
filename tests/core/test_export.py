# SPDX-License-Identifier: GPL-3.0-or-later
"""OBJ, PLY and GLB read again by somebody else's reader (trimesh) and by eye."""

from __future__ import annotations

import dataclasses
import json
import struct
from pathlib import Path

import numpy as np
import pytest
import trimesh

from dice_core.errors import DiceError
from dice_core.result.export import export
from dice_core.types import Capture

Y_UP = np.array([1, -1, -1])


def meshes_of(capture: Capture) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """What the files should hold: deformed vertices with y up, faces, contact."""
    expected = {f"hand_{hand.side}": (hand.vertices, hand.faces, hand.contact) for hand in capture.hands}
    if capture.head is not None:
        head = capture.head
        expected["head"] = head.vertices + head.deformation, head.faces, head.contact
    return {name: (vertices * Y_UP, faces, contact) for name, (vertices, faces, contact) in expected.items()}


def assert_mesh(mesh: trimesh.Trimesh, vertices: np.ndarray, faces: np.ndarray) -> None:
    assert np.array_equal(mesh.faces, faces)
    assert mesh.vertices == pytest.approx(vertices, abs=1e-6)


@pytest.mark.parametrize("kind", ["obj", "ply"])
def test_a_file_a_mesh(kind, sample_capture, tmp_path):
    paths = export(sample_capture, tmp_path / f"a b.{kind}")
    expected = meshes_of(sample_capture)
    assert {path.name for path in paths} == {f"a b_{name}.{kind}" for name in expected}
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in paths}
    for path in paths:
        vertices, faces, _ = expected[path.stem.removeprefix("a b_")]
        assert_mesh(trimesh.load(path, process=False, maintain_order=True), vertices, faces)


def test_one_glb(sample_capture, tmp_path):
    assert export(sample_capture, tmp_path / "a.glb") == [tmp_path / "a.glb"]
    scene = trimesh.load(tmp_path / "a.glb", process=False)
    expected = meshes_of(sample_capture)
    assert set(scene.geometry) == set(expected) == {"head", "hand_right"}
    for name, (vertices, faces, _) in expected.items():
        assert np.array_equal(scene.graph.get(name)[0], np.eye(4))  # nothing turned or scaled on the way
        assert_mesh(scene.geometry[name], vertices, faces)


def test_the_person_stands_upright_and_looks_at_the_viewer(sample_capture, tmp_path):
    """y up, z towards the viewer, metres: the axes of glTF."""
    head, hand = (trimesh.load(path, process=False) for path in export(sample_capture, tmp_path / "a.ply"))
    brow, chin, nose = (head.vertices[sample_index] for sample_index in landmark_vertices((10, 152, 1)))
    assert brow[1] > nose[1] > chin[1] and nose[2] > chin[2] - 0.02 and nose[2] > head.vertices[:, 2].mean()
    assert 0.2 < np.ptp(head.vertices[:, 1]) < 0.35
    assert hand.vertices[:, 0].mean() < head.vertices[:, 0].mean()  # the right hand is seen on the left
    assert head.volume > 0


def landmark_vertices(landmarks: tuple[int, ...]) -> list[int]:
    from dice_core.body.openbody import head_model

    return [int(head_model().triangles[index, 0]) for index in landmarks]


@pytest.mark.parametrize("kind", ["ply", "glb"])
def test_contact_is_painted_on(kind, sample_capture, tmp_path):
    """Skin where nothing touches, red where it surely does, and in proportion between."""
    paths = export(sample_capture, tmp_path / f"a.{kind}")
    loaded = trimesh.load(paths[0], process=False)
    mesh = loaded.geometry["head"] if kind == "glb" else loaded
    colors, contact = np.asarray(mesh.visual.vertex_colors)[:, :3].astype(float), sample_capture.head.contact
    assert np.ptp(colors[contact < 0.001], axis=0).max() <= 1
    base = colors[contact.argmin()]
    expected = base + contact[:, None] * ([220, 30, 30] - base)
    assert np.abs(colors - expected).max() <= 2
    assert colors[contact.argmax(), 0] - colors[contact.argmax(), 1] > 100


def test_the_obj_is_plain_text_that_any_program_reads(make_capture, tmp_path):
    path = export(make_capture(), tmp_path / "a.obj")[0]
    lines = path.read_text(encoding="ascii").splitlines()
    vertices = [line.split() for line in lines if line.startswith("v ")]
    faces = [line.split() for line in lines if line.startswith("f ")]
    assert {len(words) for words in vertices} == {4} and {len(words) for words in faces} == {4}
    assert len(vertices) == 50 and len(faces) == 100
    assert not [line for line in lines if line.startswith("mtllib")]  # no second file that could be missing


def test_the_glb_is_valid_as_far_as_its_header_goes(make_capture, tmp_path):
    data = export(make_capture(sides=("right", "left")), tmp_path / "a.glb")[0].read_bytes()
    magic, version, length, size, kind = struct.unpack_from("<4sIII4s", data)
    assert (magic, version, length, kind) == (b"glTF", 2, len(data), b"JSON")
    content = json.loads(data[20 : 20 + size])
    assert {node.get("name") for node in content["nodes"]} >= {"head", "hand_right", "hand_left"}


@pytest.mark.parametrize("part", ["head", "right", "left"])
@pytest.mark.parametrize("kind", ["obj", "ply", "glb"])
def test_what_was_not_found_is_not_written(kind, part, make_capture, tmp_path):
    capture = make_capture(head=part == "head", sides=() if part == "head" else (part,))
    paths = export(capture, tmp_path / f"a.{kind}")
    name = "head" if part == "head" else f"hand_{part}"
    assert [path.name for path in paths] == ["a.glb" if kind == "glb" else f"a_{name}.{kind}"]
    vertices, faces, _ = meshes_of(capture)[name]
    loaded = trimesh.load(paths[0], process=False, maintain_order=True)
    assert_mesh(loaded.geometry[name] if kind == "glb" else loaded, vertices, faces)


@pytest.mark.parametrize("name", ["a.fbx", "a", "a.npz", "a.stl"])
def test_other_formats_are_refused_and_nothing_is_written(name, make_capture, tmp_path):
    with pytest.raises(DiceError, match=f"Cannot export {name}.*obj, ply, glb"):
        export(make_capture(), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_the_ending_may_be_in_capitals(make_capture, tmp_path):
    assert export(make_capture(), tmp_path / "A.GLB")[0].is_file()


def test_a_folder_that_cannot_be_written(make_capture, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DiceError, match="Choose a folder"):
        export(make_capture(), Path(tmp_path / "file" / "a.glb"))


def test_exporting_changes_nothing(make_capture, tmp_path):
    capture = make_capture()
    before = capture.head.vertices.copy()
    export(dataclasses.replace(capture), tmp_path / "a.glb")
    assert np.array_equal(capture.head.vertices, before)
