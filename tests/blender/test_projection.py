# SPDX-License-Identifier: GPL-3.0-or-later
"""The photograph on the skin: where Blender's own camera sees it, nowhere else, and baked as it was projected."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from dice_capture.dice_blender import api
from dice_capture.dice_blender.scene import build, contact, photo
from dice_capture.dice_blender.scene.visibility import seen
from dice_capture.dice_core.errors import DiceError
from dice_capture.dice_core.types import Capture
from mathutils import Vector
from synthetic import CAMERAS, capture, gradient, write_picture
from test_meshes import attribute, evaluated, open_head
from test_photo import phone

LEVEL = 1 / 255
FUNCTIONS = {"project": api.project_photo, "bake": lambda collection: api.bake_photo(collection, 128)}


def made_of(made: Capture, folder: Path, pixels: np.ndarray | None = None) -> bpy.types.Collection:
    """The capture with a photograph, the gradient if none is given."""
    pixels = gradient(made.camera.image_size) if pixels is None else pixels
    return api.import_capture(made, write_picture(folder / "portrait.png", pixels))


def corner_uv(item: bpy.types.Object, name: str) -> np.ndarray:
    values = np.zeros(2 * len(item.data.loops), np.float32)
    item.data.uv_layers[name].uv.foreach_get("vector", values)
    return values.reshape(-1, 2)


def corners(item: bpy.types.Object) -> np.ndarray:
    values = np.zeros(len(item.data.loops), np.int32)
    item.data.loops.foreach_get("vertex_index", values)
    return values


def colors(image: bpy.types.Image, uv: np.ndarray) -> np.ndarray:
    """(N, 3) the image's numbers at (N, 2) places, between its pixels' centres."""
    width, height = image.size
    values = np.zeros(width * height * 4, np.float32)
    image.pixels.foreach_get(values)
    values = values.reshape(height, width, 4)[..., :3]
    place = np.clip(uv * [width, height] - 0.5, 0, [width - 1.001, height - 1.001])
    low, part = place.astype(int), place % 1
    total = np.zeros((len(uv), 3))
    for x, y in ((0, 0), (1, 0), (0, 1), (1, 1)):
        weight = np.prod(np.where([x, y], part, 1 - part), axis=1)
        total += weight[:, None] * values[low[:, 1] + y, low[:, 0] + x]
    return total


def rendered(collection: bpy.types.Collection, what: str) -> np.ndarray:
    """(h, w, 3), v up: what the capture's camera sees of the base colour, or of `dice_seen`, without any light."""
    for item in build.meshes(collection):
        for slot, material in enumerate(item.data.materials):
            tree = (copy := material.copy()).node_tree
            source = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED").inputs["Base Color"]
            light, seen = tree.nodes.new("ShaderNodeEmission"), tree.nodes.new("ShaderNodeAttribute")
            seen.attribute_name = "dice_seen"
            output = seen.outputs["Fac"] if what == "seen" else source.links[0].from_socket
            tree.links.new(output, light.inputs["Color"])
            tree.links.new(light.outputs["Emission"], tree.get_output_node("ALL").inputs["Surface"])
            item.data.materials[slot] = copy
    scene = bpy.context.scene
    scene.render.engine, scene.cycles.samples, scene.cycles.use_denoising = "CYCLES", 4, False
    scene.render.dither_intensity = 0.0
    scene.view_settings.view_transform = "Raw" if what == "seen" else "Standard"
    scene.render.filepath = str(Path(bpy.app.tempdir) / f"{what}.png")
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(scene.render.filepath)
    values = np.zeros(image.size[0] * image.size[1] * 4, np.float32)
    image.pixels.foreach_get(values)
    return values.reshape(image.size[1], image.size[0], 4)[..., :3]


@pytest.mark.parametrize("camera", CAMERAS)
def test_texture_coordinates_are_what_blenders_camera_sees(camera: str, tmp_path: Path) -> None:
    collection = made_of(capture(CAMERAS[camera]), tmp_path)
    parts = api.parts(collection)
    parts["head"].name = "Somebody"
    api.project_photo(collection)
    bpy.context.view_layer.update()
    for part in ("head", "hand_left"):
        item = parts[part]
        seen = [world_to_camera_view(bpy.context.scene, parts["camera"], Vector(at)) for at in evaluated(item)]
        np.testing.assert_allclose(corner_uv(item, "Photo"), np.array(seen)[corners(item), :2], atol=2e-5)


@pytest.mark.parametrize("camera", CAMERAS)
def test_the_camera_sees_its_photograph(camera: str, tmp_path: Path) -> None:
    collection = made_of(capture(CAMERAS[camera]), tmp_path)
    api.project_photo(collection)
    before = [list(item.data.materials) for item in build.meshes(collection)]
    clear = rendered(collection, "seen")[..., 0] > 0.999
    for item, materials in zip(build.meshes(collection), before, strict=True):
        for slot, material in enumerate(materials):
            item.data.materials[slot] = material
    difference = rendered(collection, "color")[clear] - gradient(CAMERAS[camera].image_size)[::-1][clear] * LEVEL
    assert clear.sum() > 1000
    assert abs(difference).max() < 2.5 * LEVEL  # two roundings, and pixels of a level or two
    assert abs(difference.mean(0)).max() < 0.3 * LEVEL  # a quarter of a pixel


def test_the_hand_hides_the_head() -> None:
    """Closed forms: the box's front is a rectangle in a plane, the head behind it is nearly an ellipsoid."""
    made = capture()
    hand = made.hands[0]
    vertices = (made.head.vertices + made.head.deformation).astype(float)
    found = seen(made.camera, [(vertices, made.head.faces), (hand.vertices, hand.faces)])[0]
    low, high = hand.vertices.min(0), hand.vertices.max(0)
    crossing = vertices[:, :2] * (low[2] / vertices[:, 2:])  # where the ray to the camera meets the plane of the front
    behind = ((crossing > low[:2]) & (crossing < high[:2])).all(1) & (vertices[:, 2] > high[2] + 0.002)
    beside = ((crossing < low[:2] - 0.02) | (crossing > high[:2] + 0.02)).any(1)
    assert behind.sum() > 5
    assert (found[behind] == 0).all()
    depth = vertices[:, 2] - vertices[:, 2].mean()
    assert (found[beside & (depth < -0.06)] > 0.5).all() and (beside & (depth < -0.06)).sum() > 20
    assert (found[depth > 0.01] == 0).all()
    lonely = seen(made.camera, [(vertices, made.head.faces)])[0]
    assert (lonely[behind] > 0).any()


@pytest.mark.parametrize("topology", ["unwrapped by Blender", "open"])
def test_the_baked_image_holds_the_photograph(topology: str, tmp_path: Path) -> None:
    made = capture()
    if topology == "open":
        made = replace(made, head=open_head(made))
    collection = made_of(made, tmp_path)
    images = api.bake_photo(collection, 1024)
    assert [tuple(image.size) for image in images] == [(1024, 1024)] * 2
    assert all(image.packed_file for image in images)
    item, image = api.parts(collection)["head"], images[0]
    assert ("UVMap" in item.data.uv_layers) and item.data.uv_layers["UVMap"].active_render
    clear = (attribute(item, "dice_seen")[corners(item)] > 0.999).reshape(-1, 3).all(1)
    baked = colors(image, corner_uv(item, "UVMap").reshape(-1, 3, 2).mean(1)[clear])  # in the middle of each face
    photograph = colors(build.photograph(collection), corner_uv(item, "Photo").reshape(-1, 3, 2).mean(1)[clear])
    difference = abs(baked - photograph)
    print(f"{topology}: {clear.sum()} faces, largest difference {difference.max() / LEVEL:.1f} of 255 levels")
    assert clear.sum() > 20
    assert difference.max() < 2.5 * LEVEL
    for slot in item.material_slots:
        shader = next(node for node in slot.material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
        assert shader.inputs["Base Color"].links[0].from_node.image == image


def snapshot(collection: bpy.types.Collection) -> dict[str, object]:
    items = build.meshes(collection)
    materials = [material for item in items for material in item.data.materials]
    return {
        "materials": sorted(bpy.data.materials.keys()), "images": sorted(bpy.data.images.keys()),
        "scenes": bpy.data.scenes.keys(), "objects": sorted(bpy.data.objects.keys()),
        "slots": [material.name for material in materials],
        "nodes": [sorted(node.name for node in material.node_tree.nodes) for material in materials],
        "links": [len(material.node_tree.links) for material in materials],
        "uv": [corner_uv(item, layer.name).tolist() for item in items for layer in item.data.uv_layers],
        "attributes": [sorted(item.data.attributes.keys()) for item in items],
        "seen": [attribute(item, "dice_seen").tolist() for item in items],
    }  # fmt: skip


@pytest.mark.parametrize("function", FUNCTIONS)
def test_twice_is_as_good_as_once(function: str, tmp_path: Path) -> None:
    collection = made_of(capture(), tmp_path)
    FUNCTIONS[function](collection)
    before = snapshot(collection)
    FUNCTIONS[function](collection)
    assert snapshot(collection) == before


@pytest.mark.parametrize("function", FUNCTIONS)
def test_captures_share_nothing_of_it_and_take_it_with_them(function: str, tmp_path: Path) -> None:
    kinds = ("objects", "meshes", "images", "materials", "scenes", "node_groups")
    before = {kind: sorted(getattr(bpy.data, kind).keys()) for kind in kinds}
    first, second = made_of(capture(), tmp_path), made_of(capture(), tmp_path)
    for collection in (first, second):
        FUNCTIONS[function](collection)
    used = [{slot.material for item in build.meshes(one) for slot in item.material_slots} for one in (first, second)]
    assert all(material.name.startswith("DICE Photo") for material in used[0] | used[1])
    assert not used[0] & used[1]
    build.remove(second)
    assert all(slot.material for item in build.meshes(first) for slot in item.material_slots)
    build.remove(first)
    assert {kind: sorted(getattr(bpy.data, kind).keys()) for kind in kinds} == before


def test_the_heat_map_is_still_there(tmp_path: Path) -> None:
    collection = made_of(capture(), tmp_path)
    contact.show(build.meshes(collection), True)
    api.bake_photo(collection, 128)
    item = api.parts(collection)["head"]
    assert [slot.material.name for slot in item.material_slots] == ["DICE Contact"]
    contact.show([item], False)
    assert [slot.material.name for slot in item.material_slots] == ["DICE Photo Head"]
    contact.show([item], True)
    assert [slot.material.name for slot in item.material_slots] == ["DICE Contact"]
    assert item.data.color_attributes.active_color.name == "dice_contact_color"


def test_solid_view_shows_what_was_asked_for_last(tmp_path: Path) -> None:
    """It takes the active image node of the material and the mesh's active UV map."""
    collection = made_of(capture(), tmp_path)
    item = api.parts(collection)["head"]
    for function, name, map_name in (("bake", "DICE portrait Head", "UVMap"), ("project", "portrait.png", "Photo")):
        FUNCTIONS[function](collection)
        assert item.data.materials[0].node_tree.nodes.active.image.name == name
        assert item.data.uv_layers.active.name == map_name


@pytest.mark.parametrize("turn", [1, 6])
@pytest.mark.parametrize("longest", [4096, 160])
def test_turned_and_reduced_pictures(turn: int, longest: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photo, "LONGEST", longest)
    made = capture(CAMERAS["portrait"])
    path = phone(tmp_path / "phone.jpg", gradient(made.camera.image_size), turn)
    collection = api.import_capture(made, path)
    api.project_photo(collection)
    item = api.parts(collection)["head"]
    clear = attribute(item, "dice_seen") > 0.9
    values = np.zeros(4 * len(clear), np.float32)
    item.data.attributes["dice_skin"].data.foreach_get("color", values)
    linear = values.reshape(-1, 4)[clear, :3]
    pixels = made.camera.project(made.head.vertices + made.head.deformation)[clear] / made.camera.image_size
    expected = np.stack([*pixels.T, np.full(clear.sum(), 64 / 255)], 1)  # what the gradient is there
    found = np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear)
    assert abs(found - expected).mean() < 4 * LEVEL and abs(found - expected).max() < 40 * LEVEL  # JPEG


def test_unseen_skin_has_the_colour_of_the_seen(tmp_path: Path) -> None:
    """The photograph shows nothing but a blue person."""
    pixels = np.full((240, 320, 3), (40, 80, 200), np.uint8)
    collection = made_of(capture(), tmp_path, pixels)
    api.bake_photo(collection, 512)
    for item in build.meshes(collection):
        image = next(node for node in item.data.materials[0].node_tree.nodes if node.name == "DICE Baked").image
        np.testing.assert_allclose(
            colors(image, corner_uv(item, "UVMap")) / LEVEL, np.tile([40, 80, 200], (len(item.data.loops), 1)), atol=1.5
        )


def test_eyes_and_mouth_keep_their_colour_where_they_are_not_seen(tmp_path: Path) -> None:
    made = capture()
    collection = made_of(replace(made, head=open_head(made)), tmp_path)
    plain = {slot.material.name: slot.material for slot in api.parts(collection)["head"].material_slots}
    api.project_photo(collection)
    for slot in api.parts(collection)["head"].material_slots:
        mix = slot.material.node_tree.nodes["DICE Mix"]
        below = mix.inputs["A"]
        if slot.material.name == "DICE Photo Head":
            assert below.links[0].from_node.attribute_name == "dice_skin"
        else:
            old = plain[slot.material.name.replace("Photo Head ", "")].node_tree.nodes["Principled BSDF"]
            assert tuple(below.default_value) == tuple(old.inputs["Base Color"].default_value) and not below.links


@pytest.mark.parametrize("function", FUNCTIONS)
def test_materials_of_the_users_are_respected(function: str, tmp_path: Path) -> None:
    """A slot without a material gets one; one without our shader stays; a texture of the user's shows where unseen."""
    collection = made_of(capture(sides=("left", "right")), tmp_path)
    parts = api.parts(collection)
    parts["hand_left"].data.materials.clear()
    parts["hand_right"].data.materials[0] = strange = bpy.data.materials.new("Strange")
    strange.use_nodes = True
    strange.node_tree.nodes.clear()
    tree = bpy.data.materials["DICE Skin"].node_tree
    texture = tree.nodes.new("ShaderNodeTexChecker")
    tree.links.new(texture.outputs["Color"], tree.nodes["Principled BSDF"].inputs["Base Color"])
    FUNCTIONS[function](collection)
    assert parts["hand_left"].data.materials[0].name == "DICE Photo Hand.L"
    assert parts["hand_right"].data.materials[0] == strange and not strange.node_tree.nodes
    below = parts["head"].data.materials[0].node_tree.nodes["DICE Mix"].inputs["A"]
    assert below.links[0].from_node.type == "TEX_CHECKER"


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("trouble", ["no photograph", "another photograph", "edited", "no meshes", "eight UV maps"])
def test_what_cannot_be_done_is_a_message(trouble: str, function: str, tmp_path: Path) -> None:
    collection = made_of(capture(), tmp_path)
    item, camera = api.parts(collection)["hand_left"], api.parts(collection)["camera"]
    if trouble == "no photograph":
        bpy.data.images.remove(camera.data.background_images[0].image)
    elif trouble == "another photograph":
        camera.data.background_images[0].image = bpy.data.images.new("other", 64, 64)
    elif trouble == "edited":
        item.data.vertices.add(1)
    elif trouble == "no meshes":
        bpy.data.batch_remove(build.meshes(collection))
    else:
        for number in range(8 if function == "project" else 7):
            item.data.uv_layers.new(name=f"Mine {number}")
    before = len(bpy.data.materials), [item.data.attributes.keys() for item in build.meshes(collection)]
    images = bpy.data.images.keys()
    with pytest.raises(DiceError) as error:
        FUNCTIONS[function](collection)
    assert error.value.remedy
    assert bpy.data.images.keys() == images
    if (function, trouble) != ("bake", "eight UV maps"):  # found out when it was projected already
        assert before == (len(bpy.data.materials), [item.data.attributes.keys() for item in build.meshes(collection)])


def test_a_hidden_capture_is_baked_and_nothing_else_changes(tmp_path: Path) -> None:
    collection = made_of(capture(), tmp_path)
    context, layer = bpy.context, bpy.context.view_layer
    bpy.ops.mesh.primitive_cube_add()
    bpy.ops.object.mode_set(mode="EDIT")
    layer.layer_collection.children[collection.name].exclude = True
    head = api.parts(collection)["head"]
    head.hide_render = head.hide_viewport = True
    engine, scene = context.scene.render.engine, context.scene
    api.bake_photo(collection, 128)
    assert context.object.mode == "EDIT" and context.object.name == "Cube"
    assert (context.scene.render.engine, context.scene, context.view_layer) == (engine, scene, layer)
    assert bpy.data.scenes[:] == [scene]
    assert head.hide_render and head.hide_viewport
    assert [slot.material.name for slot in head.material_slots] == ["DICE Photo Head"]


@pytest.mark.usefixtures("registered")
class TestOperators:
    def test_project_and_bake(self, tmp_path: Path) -> None:
        made_of(capture(), tmp_path)
        assert bpy.ops.dice.project_photo() == {"FINISHED"}
        assert bpy.ops.dice.bake_photo(size="1024") == {"FINISHED"}
        assert bpy.data.images["DICE portrait Head"].size[0] == 1024
        assert bpy.ops.dice.delete() == {"FINISHED"}
        assert not bpy.data.materials and "DICE portrait Head" not in bpy.data.images

    def test_without_a_photograph_the_buttons_are_greyed(self) -> None:
        api.import_capture(capture())
        assert not bpy.ops.dice.project_photo.poll() and not bpy.ops.dice.bake_photo.poll()
