# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames of a sequence as shape keys, and a sequence exported and read again."""

from __future__ import annotations

from pathlib import Path

import addon_utils
import bpy
import numpy as np
import pytest
from dice_capture.dice_blender import compat
from dice_capture.dice_blender.scene import build, export_moving, sequence_bake, skinning
from dice_capture.dice_blender.scene.armature import rig
from dice_capture.dice_blender.scene.export import export_copy
from dice_capture.dice_blender.scene.sequence import bake_frame, bake_range, build_sequence, rebuild_sequence
from dice_capture.dice_core.errors import DiceError
from movies import SIZE as MOVIE_SIZE
from movies import write_pictures
from sequences import attribute, blocks, cached, curve, expected, ground, shown
from test_export_copy import nearest

from tools.made_up_sequence import write

COUNT, GAP, TOUCH = 44, (10, 14), 36
LAYOUTS = ("caches", "shape_keys")
READERS = {
    ".abc": "wm.alembic_import", ".usdc": "wm.usd_import", ".fbx": "import_scene.fbx", ".glb": "import_scene.gltf",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sequences") / "clip"
    write(folder, COUNT, gaps={"hand_right": GAP}, start=7)
    return folder


@pytest.fixture
def scene() -> bpy.types.Scene:
    return bpy.context.scene


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_frame_becomes_a_capture_where_the_sequence_stands(
    folder: Path, scene: bpy.types.Scene, layout: str
) -> None:
    sequence = build_sequence(folder, scene, layout=layout)
    moving = build.parts(sequence)
    moving["head"].location.x += 0.3
    moving["hand_right"].rotation_euler = (0.1, 0.2, 0.3)
    scene.frame_set(1 + TOUCH)
    if layout == "caches":
        compat.node_input(moving["head"].modifiers["DICE Sequence"], "Deformation").value = 2.0
    else:
        moving["head"]["Deformation"] = 2.0
        moving["head"].update_tag()
    before = {part: shown(moving[part]) for part in ("head", "hand_right")}
    collection = bake_frame(sequence, scene)
    assert collection.name == f"DICE clip {7 + TOUCH}" and collection["dice_contact_state"] == "touch"
    parts = build.parts(collection)
    scene.frame_set(1)
    for part, points in before.items():
        assert [key.name for key in parts[part].data.shape_keys.key_blocks] == ["Basis", "Deformation"]
        np.testing.assert_allclose(shown(parts[part]), points, atol=2e-6)
    parts["head"].data.shape_keys.key_blocks["Deformation"].value = 0
    wanted = expected(folder, "head", TOUCH, 0) + [0.3, 0, 0]
    np.testing.assert_allclose(shown(parts["head"]), wanted, atol=2e-6)
    rig(collection)  # as any capture
    np.testing.assert_allclose(shown(parts["head"]), wanted, atol=1e-5)
    assert skinning.is_at_rest(parts["head"])
    build.remove(collection)
    np.testing.assert_allclose(shown(moving["head"]), expected(folder, "head", 0, 2.0) + [0.3, 0, 0], atol=1e-6)


def test_parts_that_are_not_seen_are_not_baked(folder: Path, scene: bpy.types.Scene, tmp_path: Path) -> None:
    sequence = build_sequence(folder, scene, layout="caches")
    scene.frame_set(1 + GAP[0])
    assert set(build.parts(bake_frame(sequence, scene))) == {"head", "camera"}
    write(tmp_path / "hand", 20, parts=("hand_right",), gaps={"hand_right": GAP})
    alone, before = build_sequence(tmp_path / "hand", scene), blocks()
    with pytest.raises(DiceError, match="shows nothing at frame 11"):
        bake_frame(alone, scene)
    assert blocks() == before


def test_the_picture_of_the_frame_comes_along(scene: bpy.types.Scene, tmp_path: Path) -> None:
    pictures = write_pictures(tmp_path / "pictures", 9)
    write(tmp_path / "clip", 5, start=3, paths=(str(pictures[0]),), size=MOVIE_SIZE)
    sequence = build_sequence(tmp_path / "clip", scene)
    scene.frame_set(3)
    image = build.photograph(bake_frame(sequence, scene))
    assert image.name == "img_005.png" and image.packed_file


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_range_becomes_shape_keys_and_stands_still_outside(
    folder: Path, scene: bpy.types.Scene, layout: str
) -> None:
    collection = build_sequence(folder, scene, layout=layout, first_frame=5)
    head = build.parts(collection)["head"]
    if layout == "caches":
        compat.node_input(head.modifiers["DICE Sequence"], "Deformation").value = 0.5
    else:
        head["Deformation"] = 0.5
    assert bake_range(collection, scene, 5 + TOUCH - 3, 5 + TOUCH + 2) == ""
    assert not head.modifiers and len(bpy.data.node_groups) == 0
    names = [key.name for key in head.data.shape_keys.key_blocks]
    assert [name for name in names if name[0] == "f"] == [f"f{number:04}" for number in range(1, 7)]
    for k, pose in ((0, TOUCH - 3), (TOUCH - 3, TOUCH - 3), (TOUCH, TOUCH), (TOUCH + 2, TOUCH + 2), (43, TOUCH + 2)):
        scene.frame_set(5 + k)
        np.testing.assert_allclose(shown(head), expected(folder, "head", pose, 0.5), atol=1e-6)
    probable = np.max([cached(folder, "head_contact", k)[:, 0] for k in range(TOUCH - 3, TOUCH + 3)], 0)
    np.testing.assert_array_equal(attribute(head, "dice_contact"), np.float32(probable))
    mine = head.shape_key_add(name="Mine", from_mix=False)
    bake_range(collection, scene, -10, 7)
    rebuild_sequence(collection, scene)
    assert [key.name for key in head.data.shape_keys.key_blocks if key.name[0] != "d"] == [
        "Basis", "Mine", "f0001", "f0002", "f0003",
    ]  # fmt: skip
    assert mine == head.data.shape_keys.key_blocks["Mine"]
    for k in (0, 2):
        scene.frame_set(5 + k)
        np.testing.assert_allclose(shown(head), expected(folder, "head", k, 0.5), atol=1e-6)
    with pytest.raises(DiceError, match="has no frame from 60 to 70"):
        bake_range(collection, scene, 60, 70)


def test_many_shape_keys_are_warned_of(
    folder: Path, scene: bpy.types.Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sequence_bake, "MANY", 10)
    collection = build_sequence(folder, scene, layout="caches")
    assert bake_range(collection, scene, 1, 11) == "11 shape keys a mesh play slowly and make a large file."


@pytest.mark.slow
@pytest.mark.parametrize(("extension", "layout"), [
    (".abc", "caches"), (".usdc", "caches"), (".fbx", "caches"), (".glb", "caches"),
    (".abc", "shape_keys"), (".usdc", "shape_keys"),
])  # fmt: skip
def test_other_programs_get_every_frame(
    folder: Path, scene: bpy.types.Scene, tmp_path: Path, extension: str, layout: str
) -> None:
    collection = build_sequence(folder, scene, layout=layout, first_frame=3, timing="source", tolerance=0.0)
    head = build.parts(collection)["head"]
    amount = compat.node_input(head.modifiers[1], "Deformation") if layout == "caches" else None
    if amount is not None:
        amount.value = 2.0
    before = blocks()
    for module in ("io_scene_fbx", "io_scene_gltf2"):
        addon_utils.enable(module)
    file = export_copy(collection, tmp_path / f"clip{extension}")
    assert blocks() == before and head.name == "Head"
    bpy.ops.wm.read_factory_settings(use_empty=True)
    for module in ("io_scene_fbx", "io_scene_gltf2"):
        addon_utils.enable(module)
    scene = bpy.context.scene
    scene.render.fps = 24
    group, _, name = READERS[extension].partition(".")
    how = {"anim_offset": 0} if extension == ".fbx" else {}
    getattr(getattr(bpy.ops, group), name)(filepath=str(file), **how)
    items = {item.name.replace("_", "."): item for item in bpy.data.objects}
    for k in (0, GAP[0], TOUCH, COUNT - 1):
        scene.frame_set(3 + k)
        for part, called in (("head", "Head"), ("hand_right", "Hand.R")):
            pose = k if part == "head" or k != GAP[0] else GAP[0] - 1
            wanted = expected(folder, part, pose, 2.0 if amount is not None else 1.0)
            found = shown(items[called])
            assert max(nearest(found, wanted)[1].max(), nearest(wanted, found)[1].max()) < 5e-6
        if extension in (".usdc", ".fbx", ".glb"):
            joint = np.load(folder / "static.npz")["hand_right_bone_joints"][5]
            posed = curve(folder, "hand_right_bone_transforms")[k, 5] @ np.append(joint, 1)
            rig_now = items["Hand Rig.R" if "Hand Rig.R" in items else "Hand.Rig.R"]
            bone = next(bone for bone in rig_now.pose.bones if bone.name.startswith("thumb"))
            place = (posed[:3] - ground(folder)) @ np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])
            np.testing.assert_allclose(rig_now.matrix_world @ bone.head, place, atol=2e-5)
    data = scene.camera.data if scene.camera else next(one.data for one in items.values() if one.type == "CAMERA")
    assert data.type == "PERSP"


def test_an_obj_file_holds_what_is_seen_now(folder: Path, scene: bpy.types.Scene, tmp_path: Path) -> None:
    collection = build_sequence(folder, scene, layout="caches")
    for k, parts in ((TOUCH, ("head", "hand_right")), (GAP[0], ("head",))):
        scene.frame_set(1 + k)
        export_copy(collection, tmp_path / "clip.obj")
        lines = [line.split() for line in (tmp_path / "clip.obj").read_text().splitlines()]
        found = np.array([line[1:4] for line in lines if line[0] == "v"], float)  # y is up
        found = found @ np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]])
        wanted = np.concatenate([expected(folder, part, k) for part in parts])
        assert len(found) == len(wanted)
        assert max(nearest(found, wanted)[1].max(), nearest(wanted, found)[1].max()) < 5e-6


def test_too_many_frames_for_shape_keys_are_told(
    folder: Path, scene: bpy.types.Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_moving, "MANY", 10)
    collection, before = build_sequence(folder, scene, layout="caches"), blocks()
    addon_utils.enable("io_scene_fbx")
    with pytest.raises(DiceError, match="hold a shape key for each frame, and 44 are too many.*Alembic or USD"):
        export_copy(collection, tmp_path / "clip.fbx")
    assert blocks() == before and not list(tmp_path.iterdir())
