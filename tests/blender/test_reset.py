# SPDX-License-Identifier: GPL-3.0-or-later
"""A capture that the user renamed, moved, edited and took apart is made anew from the result that it keeps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np
import pytest
from dice_capture.dice_blender import api
from dice_capture.dice_blender.scene import fill, naming
from dice_capture.dice_blender.scene.kept import keep
from dice_capture.dice_core.errors import DiceError
from synthetic import LANDSCAPE, capture, gradient, write_picture

pytestmark = pytest.mark.usefixtures("registered")


def vertices(item: bpy.types.Object) -> np.ndarray:
    values = np.zeros(3 * len(item.data.vertices), np.float32)
    item.data.attributes["position"].data.foreach_get("vector", values)
    return values.reshape(-1, 3)


@pytest.fixture
def collection(tmp_path: Path) -> bpy.types.Collection:
    return api.import_capture(capture(), write_picture(tmp_path / "portrait.png", gradient(LANDSCAPE.image_size)))


def test_whatever_became_of_the_objects(collection: bpy.types.Collection) -> None:
    parts = api.parts(collection)
    before, image = vertices(parts["head"]), parts["camera"].data.background_images[0].image
    own = bpy.data.objects.new("My Lamp", bpy.data.lights.new("My Lamp", "SUN"))
    collection.objects.link(own)
    collection.name = "Renamed"
    parts["head"].name = "Aunt"
    parts["head"].location.x = 5
    parts["head"].shape_key_clear()
    parts["head"].data.vertices[0].co.x += 1
    bpy.data.objects.remove(parts["hand_left"])
    assert bpy.ops.dice.reset() == {"FINISHED"}
    parts = api.parts(collection)
    assert {item.name for item in collection.objects} == {"Aunt", "Hand.L", "Camera", "My Lamp"}
    assert parts["head"].location.x == 0 and np.array_equal(vertices(parts["head"]), before)
    assert naming.DEFORMATION in parts["head"].data.shape_keys.key_blocks
    assert parts["camera"].data.background_images[0].image == image
    assert bpy.context.scene.camera == parts["camera"]
    assert sum(mesh.users for mesh in bpy.data.meshes) == 2 and len(bpy.data.cameras) == 1  # the old ones are gone


def test_everything_may_be_gone(collection: bpy.types.Collection) -> None:
    bpy.data.batch_remove(list(collection.objects))
    assert bpy.ops.dice.reset() == {"FINISHED"}
    assert {item.name for item in collection.objects} == {"Head", "Hand.L", "Camera"}


def test_names_that_are_taken(collection: bpy.types.Collection) -> None:
    bpy.data.objects.remove(api.parts(collection)["head"])
    taken = bpy.data.objects.new("Head", None)
    assert bpy.ops.dice.reset() == {"FINISHED"}
    assert taken.name == "Head" and api.parts(collection)["head"].name == "Head.001"


def test_a_failure_changes_nothing(collection: bpy.types.Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {item.as_pointer() for item in collection.objects}

    def fail(*_: object) -> None:
        raise ZeroDivisionError("on purpose")

    monkeypatch.setattr(fill, "show_photo", fail)
    with pytest.raises(DiceError, match="on purpose"):
        api.reset(collection)
    assert {item.as_pointer() for item in collection.objects} == before
    assert bpy.context.scene.camera.as_pointer() in before


def test_a_result_that_is_gone_or_damaged_is_said(collection: bpy.types.Collection) -> None:
    collection[naming.RESULT] = collection[naming.RESULT][:1000]
    with pytest.raises(RuntimeError, match="DICE portrait is not a capture result"):
        bpy.ops.dice.reset()
    del collection[naming.RESULT]
    with pytest.raises(RuntimeError, match="does not hold its capture result"):
        bpy.ops.dice.reset()
    assert api.parts(collection).keys() == {"head", "hand_left", "camera"}


def test_another_result_takes_the_place_of_the_first(collection: bpy.types.Collection) -> None:
    for shift in (0.25, 0.5):  # each of other bytes
        made = api.kept(collection)
        vertices_then = made.head.vertices + np.float32(shift)
        keep(collection, replace(made, head=replace(made.head, vertices=vertices_then)))
        assert np.array_equal(api.kept(collection).head.vertices, vertices_then)


def test_copies_are_the_users(collection: bpy.types.Collection) -> None:
    head = api.parts(collection)["head"]
    copy = head.copy()
    copy.data = head.data.copy()
    copy.location.x = 3
    collection.objects.link(copy)
    assert api.parts(collection)["head"] == head
    assert bpy.ops.dice.reset() == {"FINISHED"}
    assert copy.location.x == 3 and api.parts(collection)["head"] not in (copy, head)
    assert bpy.ops.dice.delete() == {"FINISHED"}
    assert [item.name for item in collection.objects] == [copy.name]


def test_what_was_moved_into_another_collection_still_counts(collection: bpy.types.Collection) -> None:
    head, elsewhere = api.parts(collection)["head"], bpy.data.collections.new("Elsewhere")
    bpy.context.scene.collection.children.link(elsewhere)
    elsewhere.objects.link(head)
    collection.objects.unlink(head)
    assert api.parts(collection)["head"] == head
    assert bpy.ops.dice.reset() == {"FINISHED"}
    assert api.parts(collection)["head"].name == "Head" and len(bpy.data.meshes) == 2


def test_what_hangs_on_the_objects_hangs_on_the_new_ones(collection: bpy.types.Collection) -> None:
    head = api.parts(collection)["head"]
    hat = bpy.data.objects.new("Hat", None)
    bpy.context.scene.collection.objects.link(hat)
    hat.parent = head
    hat.constraints.new("COPY_LOCATION").target = head
    assert bpy.ops.dice.reset() == {"FINISHED"}
    new = api.parts(collection)["head"]
    assert hat.parent == new and hat.constraints[0].target == new
    assert sum(item == new for item in collection.objects) == 1


def test_the_photograph_outlives_the_cameras(collection: bpy.types.Collection) -> None:
    camera = api.parts(collection)["camera"]
    image = camera.data.background_images[0].image
    bpy.data.cameras.remove(camera.data)
    assert bpy.ops.dice.reset() == {"FINISHED"}
    assert api.parts(collection)["camera"].data.background_images[0].image == image
    name = image.name
    assert bpy.ops.dice.delete() == {"FINISHED"}
    assert name not in bpy.data.images


def test_the_users_own_material_stays(collection: bpy.types.Collection) -> None:
    own = bpy.data.materials.new("My Skin")
    api.parts(collection)["head"].data.materials[0] = own
    assert bpy.ops.dice.reset() == {"FINISHED"}
    assert own.name in bpy.data.materials


def test_a_deleted_capture_leaves_an_ordinary_collection(collection: bpy.types.Collection) -> None:
    lamp = bpy.data.objects.new("My Lamp", bpy.data.lights.new("My Lamp", "SUN"))
    collection.objects.link(lamp)
    assert bpy.ops.dice.delete() == {"FINISHED"}
    assert list(collection.objects) == [lamp] and not collection.keys()
    assert bpy.context.scene.dice.result is None


def test_a_deleted_captures_camera_gives_way_to_another(collection: bpy.types.Collection) -> None:
    scene = bpy.context.scene
    own = bpy.data.objects.new("Own", bpy.data.cameras.new("Own"))
    scene.collection.objects.link(own)
    assert bpy.ops.dice.delete() == {"FINISHED"}
    assert scene.camera == own
