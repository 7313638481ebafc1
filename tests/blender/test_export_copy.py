# SPDX-License-Identifier: GPL-3.0-or-later
"""A capture exported for other programs is read again by Blender's importers, and the file is as it was."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import addon_utils
import bpy
import numpy as np
import pytest
from dice_capture.dice_blender import api
from dice_capture.dice_blender.scene import build, contact, exporters, naming
from dice_capture.dice_core.errors import DiceError
from mathutils import Matrix, Vector
from mathutils.kdtree import KDTree
from synthetic import LANDSCAPE, ORTHOGRAPHIC, capture, gradient, write_picture

VALUE = 0.75  # of the shape key `Deformation`
MICROMETRES = 5
KEYS = [extension for extension, kind in exporters.FORMATS.items() if kind.keys]


def importer(extension: str) -> list[Callable[..., object]]:
    """Blender's own readers of such a file; since 4.5 there are two of FBX."""
    native = [bpy.ops.wm.fbx_import] if "fbx_import" in dir(bpy.ops.wm) else []
    return {
        ".fbx": [bpy.ops.import_scene.fbx, *native],
        ".glb": [bpy.ops.import_scene.gltf],
        ".abc": [bpy.ops.wm.alembic_import],
        ".obj": [bpy.ops.wm.obj_import],
    }.get(extension, [bpy.ops.wm.usd_import])


def plain_name(item: bpy.types.Object) -> str:
    """USD allows no dots in names, and its meshes lie below empties of the same name."""
    return item.name.replace("_", ".").removesuffix(".001")


def world(item: bpy.types.Object, points: np.ndarray) -> np.ndarray:
    matrix = np.array(item.matrix_world)
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def coordinates(points: bpy.types.bpy_prop_collection) -> np.ndarray:
    values = np.zeros(3 * len(points), np.float32)
    points.foreach_get("co", values)
    return values.reshape(-1, 3).astype(float)


def shapes(item: bpy.types.Object) -> dict[str, np.ndarray]:
    """(V, 3) world positions: as it is now, and each shape key's."""
    evaluated = item.evaluated_get(bpy.context.evaluated_depsgraph_get())
    keys = item.data.shape_keys.key_blocks if item.data.shape_keys else []
    found = {key.name: world(item, coordinates(key.points)) for key in keys}
    return found | {"now": world(evaluated, coordinates(evaluated.data.vertices))}


def nearest(points: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Index of the nearest other and how far it is, for each point."""
    tree = KDTree(len(others))
    for index, other in enumerate(others):
        tree.insert(other, index)
    tree.balance()
    found = [tree.find(point) for point in points]
    return np.array([index for _, index, _ in found]), np.array([distance for _, _, distance in found])


def difference(original: dict[str, np.ndarray], read: dict[str, np.ndarray]) -> tuple[float, float]:
    """Largest distance of a vertex from its nearest, both ways, and of what `Deformation` adds to it; metres.

    Importers may order or split vertices: glTF has one for each normal and texture coordinate.
    """
    _, there = nearest(original["now"], read["now"])
    match, back = nearest(read["now"], original["now"])
    if naming.DEFORMATION not in read:
        return max(there.max(), back.max()), 0.0
    added = [one[naming.DEFORMATION] - one["Basis"] for one in (original, read)]
    return max(there.max(), back.max()), np.linalg.norm(added[0][match] - added[1], axis=1).max()


def moved(collection: bpy.types.Collection) -> bpy.types.Object:
    """The capture as a user leaves it: renamed, moved by a parent that shears it, hidden, the heat map shown."""
    parts = api.parts(collection)
    parent = bpy.data.objects.new("Parent", None)
    parent.matrix_world = Matrix.LocRotScale((1, 2, 3), Matrix.Rotation(0.7, 3, "X").to_quaternion(), (1, 2, 1))
    bpy.context.scene.collection.objects.link(parent)
    head = parts["head"]
    head.parent, head.rotation_euler, head.name = parent, (0.3, 0.2, 0.1), "Somebody"
    head.data.shape_keys.key_blocks[naming.DEFORMATION].value = VALUE
    bpy.context.view_layer.update()
    contact.show(build.meshes(collection), True)
    return head


def contents() -> dict[str, object]:
    """Everything that an export could leave behind."""
    context, layer = bpy.context, bpy.context.view_layer
    kinds = {p.identifier for p in bpy.data.bl_rna.properties if p.type == "COLLECTION"}
    return {kind: sorted(item.name for item in getattr(bpy.data, kind)) for kind in kinds} | {
        "scene": context.scene.name,
        "layer": layer.name,
        "active": layer.objects.active and layer.objects.active.name,
        "selected": sorted(item.name for item in layer.objects.selected),
        "modes": {item.name: item.mode for item in bpy.data.objects},
        "links": {item.name: [slot.link for slot in item.material_slots] for item in bpy.data.objects},
        "hidden": {item.name: (item.hide_viewport, item.hide_get()) for item in layer.objects},
        "frame": context.scene.frame_current,
        "properties": {item.name: sorted(item.keys()) for item in bpy.data.objects},
    }


@pytest.mark.parametrize("extension", exporters.FORMATS)
def test_is_read_again(extension: str, tmp_path: Path) -> None:
    collection = api.import_capture(capture())
    head = moved(collection)
    original = {"Head": shapes(head), "Hand.L": shapes(api.parts(collection)["hand_left"])}
    bpy.context.view_layer.layer_collection.children[collection.name].exclude = True
    before = contents()
    path = tmp_path / f"copy{extension}"
    assert api.export_copy(collection, path) == path
    assert contents() == before
    assert list(tmp_path.iterdir()) == [path]
    for read in importer(extension):
        bpy.ops.wm.read_factory_settings(use_empty=True)
        read(filepath=str(path))
        bpy.context.scene.frame_set(1)  # in USD files the value of a shape key is an animation of one frame
        items = {plain_name(item): item for item in bpy.data.objects if item.type == "MESH"}
        assert items.keys() == original.keys()
        for name, item in items.items():
            far, added = difference(original[name], shapes(item))
            print(f"{extension} {read.idname()} {name}: {1e6 * far:.2f} um, deformation {1e6 * added:.2f} um")
            assert far < MICROMETRES * 1e-6 and added < MICROMETRES * 1e-6
            assert (naming.DEFORMATION in shapes(item)) == (extension in KEYS)
            assert not [one.name for one in item.data.attributes if one.name.startswith("dice_")]


def test_an_independent_reader_agrees_about_glb(tmp_path: Path) -> None:
    """The glTF standard read with json and numpy: y up, metres, the value of the shape key as a weight."""
    collection = api.import_capture(capture())
    head = moved(collection)
    original = shapes(head)
    data = api.export_copy(collection, tmp_path / "copy.glb").read_bytes()
    length = struct.unpack_from("<I", data, 12)[0]
    document, binary = json.loads(data[20 : 20 + length]), data[28 + length :]

    def array(index: int) -> np.ndarray:
        accessor = document["accessors"][index]
        values = np.zeros((accessor["count"], 3), np.float32)
        if "bufferView" in accessor:
            start = document["bufferViews"][accessor["bufferView"]].get("byteOffset", 0) + accessor.get("byteOffset", 0)
            values = np.frombuffer(binary, np.float32, values.size, start).reshape(-1, 3).copy()
        if sparse := accessor.get("sparse"):
            views = [document["bufferViews"][sparse[part]["bufferView"]] for part in ("indices", "values")]
            kind = {5121: np.uint8, 5123: np.uint16, 5125: np.uint32}[sparse["indices"]["componentType"]]
            rows = np.frombuffer(binary, kind, sparse["count"], views[0]["byteOffset"])
            rest = np.frombuffer(binary, np.float32, 3 * sparse["count"], views[1]["byteOffset"])
            values[rows] = rest.reshape(-1, 3)
        return values.astype(float)

    node = next(node for node in document["nodes"] if node["name"] == "Head")
    assert not {"translation", "rotation", "scale", "matrix"} & node.keys()
    mesh = document["meshes"][node["mesh"]]
    assert mesh["weights"] == [VALUE] and mesh["extras"] == {"targetNames": ["Deformation"]}
    primitive = mesh["primitives"][0]
    points = array(primitive["attributes"]["POSITION"]) + VALUE * array(primitive["targets"][0]["POSITION"])
    upright = points @ [[1, 0, 0], [0, 0, 1], [0, -1, 0]]
    assert max(nearest(upright, original["now"])[1].max(), nearest(original["now"], upright)[1].max()) < 5e-6
    assert [material["name"] for material in document["materials"]] == ["DICE Skin"]
    width, height = LANDSCAPE.image_size
    assert document["cameras"][0]["perspective"]["aspectRatio"] == pytest.approx(width / height)
    assert document["cameras"][0]["perspective"]["yfov"] == pytest.approx(2 * np.arctan(height / 2 / 410))


@pytest.mark.parametrize("extension", [".fbx", ".glb", ".usdz"])
def test_the_baked_photograph_goes_with_it(extension: str, tmp_path: Path) -> None:
    path = write_picture(tmp_path / "portrait.png", gradient(LANDSCAPE.image_size))
    collection = api.import_capture(capture(), path)
    baked = api.bake_photo(collection, 64)[0]
    expected = np.array(baked.pixels[:]).reshape(64, 64, 4)[..., :3]
    copy = api.export_copy(collection, tmp_path / "out" / f"copy{extension}")
    assert list(copy.parent.iterdir()) == [copy]
    path.unlink()
    bpy.ops.wm.read_factory_settings(use_empty=True)
    importer(extension)[0](filepath=str(copy))
    item = next(item for item in bpy.data.objects if item.type == "MESH" and plain_name(item) == "Head")
    nodes = item.material_slots[0].material.node_tree.nodes
    image = next(node for node in nodes if node.type == "BSDF_PRINCIPLED").inputs["Base Color"].links[0].from_node.image
    found = np.array(image.pixels[:]).reshape(64, 64, 4)[..., :3]
    assert abs(found - expected).max() < 1.5 / 255
    assert [layer.name for layer in item.data.uv_layers] != ["Photo"] and len(item.data.uv_layers) == 1


def rig(collection: bpy.types.Collection, part: str) -> None:
    """Give the part an armature of two bones in the way that ours are, the upper one bent."""
    item = api.parts(collection)[part]
    armature = bpy.data.objects.new("Bones", bpy.data.armatures.new("Bones"))
    armature[naming.PART] = naming.RIG.format(part)
    armature.location = (0.01, 0.02, 0.0)
    collection.objects.link(armature)
    bpy.context.view_layer.objects.active = armature
    bpy.ops.object.mode_set(mode="EDIT")
    lower, upper = (armature.data.edit_bones.new(name) for name in ("lower", "upper"))
    lower.head, lower.tail, upper.head, upper.tail = (0, 0, 0), (0, 0, 0.1), (0, 0, 0.1), (0, 0, 0.2)
    upper.parent = lower
    bpy.ops.object.mode_set(mode="OBJECT")
    for name, sign in (("lower", -1), ("upper", 1)):
        group = item.vertex_groups.new(name=name)
        for vertex in item.data.vertices:
            group.add((vertex.index,), 0.5 + sign * float(np.clip(10 * (vertex.co.z - 0.1), -0.5, 0.5)), "REPLACE")
    item.modifiers.new("Rig", "ARMATURE").object = armature
    item.parent = armature
    item.matrix_parent_inverse = armature.matrix_basis.inverted()
    armature.pose.bones["upper"].rotation_mode = "XYZ"
    armature.pose.bones["upper"].rotation_euler.x = 0.4
    bpy.context.view_layer.update()


@pytest.mark.parametrize("extension", exporters.FORMATS)
def test_a_rig_is_exported_too(extension: str, tmp_path: Path) -> None:
    collection = api.import_capture(capture())
    rig(collection, "head")
    rig(collection, "hand_left")
    parts = api.parts(collection)
    original = {"Head": shapes(parts["head"]), "Hand.L": shapes(parts["hand_left"])}
    assert np.linalg.norm(original["Head"]["now"] - original["Head"]["Deformation"], axis=1).max() > 0.01
    before = contents()
    path = api.export_copy(collection, tmp_path / f"copy{extension}")
    assert contents() == before
    for read in importer(extension):
        bpy.ops.wm.read_factory_settings(use_empty=True)
        read(filepath=str(path))
        bpy.context.scene.frame_set(1)
        armatures = [item for item in bpy.data.objects if item.type == "ARMATURE" and "upper" in item.data.bones]
        names = {plain_name(item).replace(" ", ".") for item in armatures}
        assert names == ({"Head.Rig", "Hand.Rig.L"} if extension in KEYS else set())
        if exporters.FORMATS[extension].operator == "wm.usd_export" and bpy.app.version < (4, 5):
            continue  # its importer leaves out the pose
        for name, before in original.items():
            item = next(item for item in bpy.data.objects if item.type == "MESH" and plain_name(item) == name)
            now = shapes(item)["now"]
            far = max(nearest(now, before["now"])[1].max(), nearest(before["now"], now)[1].max())
            print(f"{extension} {read.idname()} {name}, with a rig: {1e6 * far:.2f} um")
            assert far < MICROMETRES * 1e-6


def test_modifiers_count_where_the_present_shape_is_written(tmp_path: Path) -> None:
    collection = api.import_capture(capture())
    head = api.parts(collection)["head"]
    head.modifiers.new("Finer", "SUBSURF")
    fine = len(head.evaluated_get(bpy.context.evaluated_depsgraph_get()).data.vertices)
    coarse = len(head.data.vertices)
    paths = [api.export_copy(collection, tmp_path / name) for name in ("copy.abc", "copy.usdc")]
    for path, expected in zip(paths, (fine, coarse), strict=True):
        bpy.ops.wm.read_factory_settings(use_empty=True)
        importer(path.suffix)[0](filepath=str(path))
        item = next(item for item in bpy.data.objects if item.type == "MESH" and plain_name(item) == "Head")
        assert len(item.data.vertices) == expected
    assert fine > 2 * coarse


def test_a_photograph_that_was_not_baked_stays(tmp_path: Path) -> None:
    path = write_picture(tmp_path / "portrait.png", gradient(LANDSCAPE.image_size))
    collection = api.import_capture(capture(), path)
    api.project_photo(collection)
    skin = api.parts(collection)["head"].data.materials[0].diffuse_color[:3]
    path = api.export_copy(collection, tmp_path / "copy.glb")
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.import_scene.gltf(filepath=str(path))
    material = bpy.data.objects["Head"].material_slots[0].material
    color = next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED").inputs["Base Color"]
    assert not color.links and not bpy.data.images
    assert tuple(color.default_value)[:3] == pytest.approx(tuple(skin), abs=1e-3)


def test_a_mirrored_capture_is_not_inside_out(tmp_path: Path) -> None:
    collection = api.import_capture(capture())
    api.parts(collection)["head"].scale = (-1, 1, 1)
    path = api.export_copy(collection, tmp_path / "copy.obj")
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.wm.obj_import(filepath=str(path), forward_axis="Y", up_axis="Z")
    mesh = bpy.data.objects["Head"].data
    centre = sum((vertex.co for vertex in mesh.vertices), Vector()) / len(mesh.vertices)
    assert all((polygon.center - centre).dot(polygon.normal) > 0 for polygon in mesh.polygons)


def test_everybody_keeps_their_name(tmp_path: Path) -> None:
    """A second capture's head is `Head` in its file too, while others are called so here."""
    api.import_capture(capture())
    second = api.import_capture(capture())
    bpy.data.meshes.new("Head")
    before = contents()
    text = api.export_copy(second, tmp_path / "copy.obj").read_text()
    assert [line for line in text.splitlines() if line.startswith("o ")] == ["o Head", "o Hand.L"]
    assert contents() == before


def test_cameras_can_be_left_out_and_orthographic_ones_go_too(tmp_path: Path) -> None:
    collection = api.import_capture(capture(ORTHOGRAPHIC))
    for camera in (True, False):
        path = api.export_copy(collection, tmp_path / "copy.glb", camera=camera)
        assert (b'"orthographic"' in path.read_bytes()) == camera


def test_in_the_middle_of_something(tmp_path: Path) -> None:
    """The user edits the mesh in another scene's second view layer, and what was edited so far is exported."""
    window = bpy.context.window
    window.scene = bpy.data.scenes.new("Z")
    window.view_layer = window.scene.view_layers.new("Second")
    collection = api.import_capture(capture())
    head = api.parts(collection)["head"]
    bpy.context.view_layer.objects.active = head
    head.select_set(True)
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.select_all(action="SELECT")
    bpy.ops.transform.translate(value=(1, 0, 0))
    before = contents()
    for extension in exporters.FORMATS:
        api.export_copy(collection, tmp_path / f"copy{extension}")
        assert contents() == before
    head.update_from_editmode()
    points = [line.split()[1:] for line in (tmp_path / "copy.obj").read_text().splitlines() if line.startswith("v ")]
    assert np.array(points[: len(head.data.vertices)], float)[:, 0].mean() > 0.9


class Trouble(bpy.types.Operator):
    """An exporter that begins and then fails"""

    bl_idname = "dice.trouble"
    bl_label = "Trouble"

    filepath: bpy.props.StringProperty()

    def execute(self, context: bpy.types.Context) -> set[str]:
        Path(self.filepath).write_text("half")
        context.window.scene = context.scene
        raise OSError(28, "No space left on device")


def test_an_exporter_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    collection = api.import_capture(capture())
    moved(collection)
    kind = exporters.Format("Trouble", "", "dice.trouble", {})
    monkeypatch.setitem(exporters.FORMATS, ".glb", kind)
    (tmp_path / "copy.glb").write_text("older")
    before = contents()
    bpy.utils.register_class(Trouble)
    try:
        with pytest.raises(DiceError, match="No space left on device") as error:
            api.export_copy(collection, tmp_path / "copy.glb")
    finally:
        bpy.utils.unregister_class(Trouble)
    assert error.value.remedy
    assert contents() == before
    assert [path.name for path in tmp_path.iterdir()] == ["copy.glb"]
    assert (tmp_path / "copy.glb").read_text() == "older"


@pytest.mark.parametrize("name", ["copy.stl", "copy", "a file/copy.glb"])
def test_what_cannot_be_written_is_a_message(name: str, tmp_path: Path) -> None:
    (tmp_path / "a file").write_text("")
    collection = api.import_capture(capture())
    before = contents()
    with pytest.raises(DiceError) as error:
        api.export_copy(collection, tmp_path / name)
    assert error.value.remedy
    assert contents() == before and [path.name for path in tmp_path.iterdir()] == ["a file"]


def test_a_full_disk_is_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    collection = api.import_capture(capture())
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10**7))
    with pytest.raises(DiceError, match="is full"):
        api.export_copy(collection, tmp_path / "copy.abc")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("module", "extension"), [("io_scene_fbx", ".fbx"), ("io_scene_gltf2", ".glb")])
def test_an_exporter_that_is_switched_off_is_a_message(module: str, extension: str, tmp_path: Path) -> None:
    collection = api.import_capture(capture())
    addon_utils.disable(module)
    try:
        with pytest.raises(DiceError, match=f"no exporter for {extension}") as error:
            api.export_copy(collection, tmp_path / f"copy{extension}")
        assert "Enable the add-on" in error.value.remedy
    finally:
        addon_utils.enable(module)
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("registered")
class TestOperator:
    def test_the_extension_of_the_file_counts(self, tmp_path: Path) -> None:
        assert not bpy.ops.dice.export_copy.poll()
        api.import_capture(capture())
        for extension in (".abc", ".usdc"):
            assert bpy.ops.dice.export_copy(filepath=str(tmp_path / f"copy{extension}")) == {"FINISHED"}
        assert sorted(path.name for path in tmp_path.iterdir()) == ["copy.abc", "copy.usdc"]
        with pytest.raises(RuntimeError, match="no known extension"):
            bpy.ops.dice.export_copy(filepath=str(tmp_path / "copy.stl"))
