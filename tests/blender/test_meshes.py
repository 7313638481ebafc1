# SPDX-License-Identifier: GPL-3.0-or-later
"""What each mesh carries: shape keys, contact, attributes, materials, texture coordinates."""

from __future__ import annotations

from dataclasses import replace

import bpy
import numpy as np
import pytest
from dice_capture.dice_blender import api
from dice_capture.dice_blender.scene import axes, contact, materials, meshes
from dice_capture.dice_core.types import Capture, Head
from synthetic import CENTRE, capture


def built(made: Capture, part: str = "head") -> bpy.types.Object:
    return api.parts(api.import_capture(made))[part]


def evaluated(item: bpy.types.Object) -> np.ndarray:
    mesh = item.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    values = np.zeros(3 * len(mesh.vertices), np.float32)
    mesh.vertices.foreach_get("co", values)
    return values.reshape(-1, 3)


def attribute(item: bpy.types.Object, name: str) -> np.ndarray:
    values = np.zeros(len(item.data.vertices), np.float32)
    item.data.attributes[name].data.foreach_get("value", values)
    return values


@pytest.mark.parametrize("value", [0.0, 1.0, 2.0])
def test_deformation_is_added_as_often_as_the_slider_says(value: float) -> None:
    made = capture()
    item = built(made)
    assert item.data.shape_keys.key_blocks["Deformation"].value == 1.0
    item.data.shape_keys.key_blocks["Deformation"].value = value
    expected = axes.to_world(made.head.vertices + value * made.head.deformation, axes.ground(made))
    np.testing.assert_allclose(evaluated(item), expected, atol=1e-6)


def test_the_slider_exaggerates_and_the_hand_has_one_too() -> None:
    collection = api.import_capture(capture(sides=("right", "left")))
    for part in ("head", "hand_right", "hand_left"):
        keys = api.parts(collection)[part].data.shape_keys
        assert [key.name for key in keys.key_blocks] == ["Basis", "Deformation"]
        assert keys.key_blocks["Deformation"].slider_max == 3.0


@pytest.mark.parametrize("part", ["head", "hand_left"])
def test_contact_is_a_vertex_group_and_an_attribute(part: str) -> None:
    made = capture()
    item = built(made, part)
    expected = made.head.contact if part == "head" else made.hands[0].contact
    group = item.vertex_groups["Contact"].index
    weights = [next((g.weight for g in v.groups if g.group == group), 0.0) for v in item.data.vertices]
    np.testing.assert_array_equal(np.float32(weights), np.where(expected >= 0.05, expected, 0))
    np.testing.assert_array_equal(attribute(item, "dice_contact"), expected)


def test_deformation_length_is_an_attribute_in_metres() -> None:
    made = capture()
    expected = np.linalg.norm(made.head.deformation, axis=1)
    assert expected.max() > 0.005
    np.testing.assert_allclose(attribute(built(made), "dice_deformation"), expected, atol=1e-8)


def test_faces_point_outwards_and_are_smooth() -> None:
    made = capture()
    item = built(made)
    centre = axes.to_world(CENTRE, axes.ground(made))
    for polygon in item.data.polygons:
        assert np.dot(polygon.normal, np.array(polygon.center) - centre) > 0
        assert polygon.use_smooth


def test_heat_map_and_skin_share_the_slots() -> None:
    item = built(capture())
    assert [slot.material.name for slot in item.material_slots] == ["DICE Skin"]
    contact.show([item], True)
    assert [slot.material.name for slot in item.material_slots] == ["DICE Contact"]
    assert contact.is_shown(item)
    contact.show([item], False)
    assert [slot.material.name for slot in item.material_slots] == ["DICE Skin"]


def test_the_heat_map_reads_the_attribute_and_the_colours_agree() -> None:
    made = capture()
    item = built(made)
    nodes = bpy.data.materials["DICE Contact"].node_tree.nodes
    ramp = next(node for node in nodes if node.type == "VALTORGB").color_ramp
    assert next(node for node in nodes if node.type == "ATTRIBUTE").attribute_name == "dice_contact"
    vertex = int(np.argmax(made.head.contact))
    shown = item.data.color_attributes["dice_contact_color"].data[vertex].color
    np.testing.assert_allclose(shown, ramp.evaluate(float(made.head.contact[vertex])), atol=1e-4)
    assert not np.allclose(shown, ramp.evaluate(0.0), atol=0.1)


def test_a_second_capture_uses_the_same_materials() -> None:
    api.import_capture(capture())
    api.import_capture(capture())
    assert sorted(material.name for material in bpy.data.materials) == ["DICE Contact", "DICE Skin"]


def open_head(made: Capture) -> Head:
    with np.load(meshes.ASSETS / "head.npz") as data:
        mean, faces = data["mean"], data["faces"].astype(np.int32)
    count = len(mean)
    return replace(
        made.head,
        vertices=(mean + CENTRE).astype(np.float32),
        faces=faces,
        contact=np.zeros(count, np.float32),
        deformation=np.zeros((count, 3), np.float32),
    )


def test_the_open_head_has_texture_coordinates_eyes_and_a_mouth() -> None:
    made = capture()
    item = built(replace(made, head=open_head(made)))
    assert [slot.material.name for slot in item.material_slots] == [
        "DICE Skin", "DICE Mouth", "DICE Eyes", "DICE Irises",
    ]
    with np.load(meshes.ASSETS / "head.npz") as data:
        uv, faces_uv, part, mean = data["uv"], data["faces_uv"], data["part"], data["mean"]
    layer = item.data.uv_layers["UVMap"]
    for face in (0, 1234, 9000):
        polygon = item.data.polygons[face]
        found = [tuple(layer.uv[loop].vector) for loop in polygon.loop_indices]
        np.testing.assert_allclose(found, uv[faces_uv[face]], atol=1e-6)
    for polygon in item.data.polygons:
        if polygon.material_index == meshes.IRISES:  # in front of both eyes' middles
            corners = mean[list(polygon.vertices)]
            assert (part[list(polygon.vertices)] == meshes.EYEBALL).all()
            assert corners[:, 2].max() < mean[part == meshes.EYEBALL][:, 2].mean()
    assert item.dimensions.z == pytest.approx(0.23, abs=0.05)


def test_a_left_hand_takes_the_right_hands_texture_coordinates() -> None:
    with np.load(meshes.ASSETS / "hand.npz") as data:
        faces, uv, faces_uv, count = data["faces"].astype(np.int32), data["uv"], data["faces_uv"], len(data["mean"])
    turned, corners = meshes.surface_of("hand", faces[:, ::-1], count), uv[faces_uv[:, ::-1]]
    scale = 0.96 / (corners.max((0, 1)) - corners.min((0, 1))).max()  # it fills the square
    np.testing.assert_allclose(turned.uv - turned.uv[0, 0], (corners - corners[0, 0]) * scale, atol=1e-5)
    assert turned.uv.min() == pytest.approx(0.02) and turned.uv.max() == pytest.approx(0.98)


def test_another_topology_has_no_texture_coordinates() -> None:
    made = capture()
    assert meshes.surface_of("head", made.head.faces, len(made.head.vertices)) is None
    assert not built(made).data.uv_layers


def test_an_own_material_of_that_name_is_left_alone() -> None:
    mine = bpy.data.materials.new("DICE Skin")
    mine.diffuse_color = (0, 1, 0, 1)
    assert materials.skin() == mine
    assert tuple(mine.diffuse_color) == (0, 1, 0, 1)
