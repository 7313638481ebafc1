# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection as a whole: names, facts, the photograph, and that a failure leaves nothing behind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np
import pytest
from dice_capture.dice_blender import api
from dice_capture.dice_blender.ops import scene as scene_ops
from dice_capture.dice_blender.scene import build, fill, naming
from dice_capture.dice_core.errors import DiceError
from dice_capture.dice_core.result import store
from synthetic import LANDSCAPE, capture, gradient, write_picture


def test_names() -> None:
    collection = api.import_capture(capture(sides=("right", "left"), source="my portrait.jpg"))
    assert collection.name == "DICE my portrait"
    assert collection.name in bpy.context.scene.collection.children
    assert {item.name for item in collection.objects} == {"Head", "Hand.R", "Hand.L", "Camera"}


def test_a_second_capture_stands_beside_the_first() -> None:
    first, second = api.import_capture(capture()), api.import_capture(capture())
    assert (first.name, second.name) == ("DICE portrait", "DICE portrait.001")
    assert api.parts(second).keys() == api.parts(first).keys() == {"head", "hand_left", "camera"}
    assert bpy.context.scene.camera == api.parts(second)["camera"]


@pytest.mark.parametrize("source", ["Ünïcödé 手.png", "x" * 200 + ".png", "手" * 100, "", "a/b.png"])
def test_any_source_gives_a_name(source: str) -> None:
    name = naming.collection_name(source)
    assert bpy.data.collections.new(name).name == name  # Blender cut nothing off
    assert name.startswith("DICE ")


def test_the_facts_are_in_the_collection() -> None:
    collection = api.import_capture(capture())
    assert collection["dice_contact_state"] == "touch"
    assert collection["dice_contact_probability"] == 0.875
    assert collection["dice_quality"].to_dict() == {"face_error": 0.5, "penetration_mm": 0.25}


@pytest.mark.parametrize("missing", ["head", "hands"])
def test_half_a_capture_is_built(missing: str) -> None:
    made = replace(capture(), **{missing: None if missing == "head" else ()})
    assert len(api.import_capture(made).objects) == 2


def test_match_is_optional() -> None:
    api.import_capture(capture(), match=False)
    assert bpy.context.scene.camera is None
    assert bpy.context.scene.render.resolution_x == 1920


def test_the_photograph_is_behind_and_packed(tmp_path: Path) -> None:
    pixels = gradient(LANDSCAPE.image_size)
    path = write_picture(tmp_path / "portrait.png", pixels)
    collection = api.import_capture(capture(), path)
    (background,) = api.parts(collection)["camera"].data.background_images
    assert background.display_depth == "BACK"
    assert background.image.packed_file is not None
    assert bpy.path.abspath(background.image.filepath) == str(path)
    path.unlink()
    values = np.zeros(pixels.size // 3 * 4, np.float32)
    background.image.pixels.foreach_get(values)
    shown = values.reshape(*pixels.shape[:2], 4)[::-1, :, :3]
    np.testing.assert_allclose(shown * 255, pixels, atol=1)


def test_a_result_file_finds_its_photograph(tmp_path: Path) -> None:
    write_picture(tmp_path / "portrait.png", gradient(LANDSCAPE.image_size))
    store.save(tmp_path / "result.npz", capture())
    collection = api.import_capture(tmp_path / "result.npz")
    assert api.parts(collection)["camera"].data.background_images[0].image.name == "portrait.png"
    assert len(api.parts(collection)["head"].data.vertices) == len(capture().head.vertices)


def contents() -> dict[str, object]:
    scene = bpy.context.scene
    kinds = ("collections", "objects", "meshes", "cameras", "materials", "images", "node_groups", "shape_keys")
    settings = {name: getattr(scene.render, name) for name in build.RENDER}
    return settings | {kind: len(getattr(bpy.data, kind)) for kind in kinds} | {"camera": scene.camera}


@pytest.mark.parametrize("failing", ["add_contact", "add_camera", "show_photo", "_note", "match_scene"])
def test_a_failure_leaves_nothing_behind(failing: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = write_picture(tmp_path / "portrait.png", gradient(LANDSCAPE.image_size))
    api.import_capture(capture())
    before = contents()
    module = build if failing == "match_scene" else fill
    original = getattr(module, failing)

    def fail(*arguments: object) -> None:
        original(*arguments)
        raise ZeroDivisionError("on purpose")

    monkeypatch.setattr(module, failing, fail)
    with pytest.raises(DiceError, match="on purpose"):
        api.import_capture(capture(), path)
    assert contents() == before


def test_another_photograph_is_refused(tmp_path: Path) -> None:
    path = write_picture(tmp_path / "other.png", gradient((50, 40)))
    before = contents()
    with pytest.raises(DiceError, match="50 x 40 pixels.*320 x 240"):
        api.import_capture(capture(), path)
    assert contents() == before


@pytest.mark.usefixtures("registered")
class TestOperator:
    def test_imports_a_file_and_remembers_it(self, tmp_path: Path) -> None:
        store.save(tmp_path / "result.npz", capture())
        assert bpy.ops.dice.import_result(filepath=str(tmp_path / "result.npz")) == {"FINISHED"}
        assert bpy.context.scene.dice.result.name == "DICE portrait"
        assert bpy.context.view_layer.objects.active.name == "Head"
        assert {item.name for item in bpy.context.selected_objects} == {"Head", "Hand.L"}

    def test_says_what_is_wrong_with_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "result.npz").write_bytes(b"nothing of the kind")
        with pytest.raises(RuntimeError, match="result.npz is not a capture result"):
            bpy.ops.dice.import_result(filepath=str(tmp_path / "result.npz"))

    def test_is_undone_in_one_step(self) -> None:
        bpy.ops.ed.undo_push(message="before")
        scene_ops.import_pending(capture(), None, bpy.context.scene.name)
        assert "Head" in bpy.data.objects
        bpy.ops.ed.undo()
        assert "Head" not in bpy.data.objects
        assert "DICE portrait" not in bpy.data.collections
        assert bpy.context.scene.dice.result is None

    def test_a_scene_that_is_gone_is_a_message(self) -> None:
        with pytest.raises(DiceError, match="scene is gone"):
            scene_ops.import_pending(capture(), None, "Gone")

    def test_shows_contact_and_skin(self) -> None:
        collection = api.import_capture(capture())
        item = api.parts(collection)["head"]
        bpy.ops.dice.show(what="CONTACT")
        assert item.material_slots[0].material.name == "DICE Contact"
        bpy.ops.dice.show(what="SKIN")
        assert item.material_slots[0].material.name == "DICE Skin"

    def test_finds_no_result_to_show(self) -> None:
        assert not bpy.ops.dice.show.poll()


def test_deleting_leaves_nothing_of_a_capture(tmp_path: Path, registered: object) -> None:
    kinds = ("collections", "objects", "meshes", "cameras", "images", "materials")
    before = {kind: set(getattr(bpy.data, kind).keys()) for kind in kinds}
    path = write_picture(tmp_path / "portrait.png", gradient(LANDSCAPE.image_size))
    api.import_capture(capture(), path)
    assert bpy.ops.dice.delete() == {"FINISHED"}
    assert {kind: set(getattr(bpy.data, kind).keys()) for kind in kinds} == before
    assert bpy.context.scene.dice.result is None and not bpy.ops.dice.delete.poll()


def test_deleting_spares_what_others_use(registered: object) -> None:
    first, second = api.import_capture(capture()), api.import_capture(capture())
    own = bpy.data.objects.new("Mine", api.parts(second)["head"].data)
    second.objects.link(own)
    bpy.ops.dice.delete()
    assert list(second.objects) == [own] and len(own.data.vertices)
    assert api.parts(first).keys() == {"head", "hand_left", "camera"}
    assert all(slot.material for slot in api.parts(first)["head"].material_slots)


def test_the_threshold_of_contact(registered: object) -> None:
    parts = api.parts(api.import_capture(capture()))
    item = parts["head"]
    contact = np.zeros(len(item.data.vertices), np.float32)
    item.data.attributes[naming.CONTACT_ATTRIBUTE].data.foreach_get("value", contact)
    for least in (0.9, 0.05, 0.5):
        assert bpy.ops.dice.contact_threshold(least=least) == {"FINISHED"}
        inside = np.array([bool(len(vertex.groups)) for vertex in item.data.vertices])
        assert np.array_equal(inside, contact >= np.float32(least))
    item.vertex_groups.clear()
    assert bpy.ops.dice.contact_threshold() == {"FINISHED"}


def test_a_capture_is_saved_and_imported_again(tmp_path: Path, registered: object) -> None:
    assert not bpy.ops.dice.save_result.poll()
    scene_ops.import_pending(capture(), None, bpy.context.scene.name)
    path = tmp_path / "saved.npz"
    assert bpy.ops.dice.save_result(filepath=str(path)) == {"FINISHED"}
    saved, made = store.load(path), capture()
    assert np.array_equal(saved.head.deformation, made.head.deformation)
    assert bpy.ops.dice.import_result(filepath=str(path)) == {"FINISHED"}
    again = tmp_path / "again.npz"  # an imported one can be saved as well
    assert bpy.ops.dice.save_result(filepath=str(again)) == {"FINISHED"}
    assert np.array_equal(store.load(again).head.vertices, made.head.vertices)
    bpy.context.scene.dice.result = bpy.data.collections["DICE portrait"]
    with pytest.raises(RuntimeError, match="folder"):
        bpy.ops.dice.save_result(filepath=str(tmp_path / "saved.npz" / "in a file.npz"))
