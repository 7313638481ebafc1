# SPDX-License-Identifier: GPL-3.0-or-later
"""The animated scene of a sequence, frame by frame against its files."""

from __future__ import annotations

import shutil
from pathlib import Path

import bpy
import numpy as np
import pytest
import sequences
from dice_capture.dice_blender import compat
from dice_capture.dice_blender.scene import build, contact, naming, sequence_fill
from dice_capture.dice_blender.scene.sequence import (
    build_sequence,
    folder_of,
    is_sequence,
    rebuild_sequence,
    reset_sequence,
)
from dice_capture.dice_core.errors import DiceError
from movies import SIZE as MOVIE_SIZE
from movies import write_movie, write_pictures
from sequences import blocks, cached, curve, expected, ground, shown

from tools.made_up_sequence import write

COUNT, HIDDEN, TOUCH = 44, (20, 26), 36
LAYOUTS = ("caches", "shape_keys")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two and a half seconds, with a hand that is gone for a moment."""
    folder = tmp_path_factory.mktemp("sequences") / "clip"
    parts = ("head", "hand_right", "hand_left")
    write(folder, COUNT, parts=parts, gaps={"hand_left": HIDDEN}, start=7)
    return folder


@pytest.fixture
def scene() -> bpy.types.Scene:
    return bpy.context.scene


def built(folder: Path, **how: object) -> dict[str, bpy.types.Object]:
    return build.parts(build_sequence(folder, bpy.context.scene, **how))


def how_many(found: dict[str, set[str]]) -> dict[str, int]:
    return {kind: len(names) for kind, names in found.items()}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_vertex_is_where_the_files_say(folder: Path, scene: bpy.types.Scene, layout: str) -> None:
    parts = built(folder, layout=layout, first_frame=11)
    for k in (0, 1, 19, TOUCH, COUNT - 1):
        scene.frame_set(11 + k)
        for part in ("head", "hand_right", "hand_left"):
            np.testing.assert_allclose(shown(parts[part]), expected(folder, part, k), atol=1e-6)
    for frame, k in ((1, 0), (11 + COUNT + 5, COUNT - 1)):  # before and after, it stands still
        scene.frame_set(frame)
        np.testing.assert_allclose(shown(parts["head"]), expected(folder, "head", k), atol=1e-6)
    scene.frame_set(11 + TOUCH, subframe=0.25)  # for motion blur
    np.testing.assert_allclose(shown(parts["head"]), expected(folder, "head", TOUCH + 0.25), atol=1e-6)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_deformation_can_be_exaggerated_and_animated(folder: Path, scene: bpy.types.Scene, layout: str) -> None:
    head = built(folder, layout=layout)["head"]
    if layout == "caches":
        given = compat.node_input(head.modifiers["DICE Sequence"], "Deformation")
        path = given.whole
    else:
        path = '["Deformation"]'
    curves = compat.channels(head).fcurves
    factor = curves.new(path)
    factor.keyframe_points.insert(1 + TOUCH, 2.0)
    factor.keyframe_points.insert(2 + TOUCH, 0.0)
    assert np.abs(cached(folder, "head_deformation", TOUCH)).max() > 0.002
    for k, value in ((TOUCH, 2.0), (TOUCH + 1, 0.0)):
        scene.frame_set(1 + k)
        np.testing.assert_allclose(shown(head), expected(folder, "head", k, value), atol=1e-6)


def test_caches_bring_contact_and_deformation_of_each_frame(folder: Path, scene: bpy.types.Scene) -> None:
    parts = built(folder, layout="caches")
    for k in (0, TOUCH):
        scene.frame_set(1 + k)
        for part in ("head", "hand_right"):
            probable = np.float32(cached(folder, f"{part}_contact", k)[:, 0])
            np.testing.assert_array_equal(sequences.attribute(parts[part], "dice_contact"), probable)
            np.testing.assert_array_equal(sequences.weights(parts[part]), np.where(probable >= 0.05, probable, 0))
        lengths = np.linalg.norm(cached(folder, "head_deformation", k), axis=1)
        np.testing.assert_allclose(sequences.attribute(parts["head"], "dice_deformation"), lengths, atol=1e-7)
    assert probable.max() > 0.5
    head = sequences.evaluated(parts["head"]).data
    assert head.color_attributes.active_color.name == "dice_contact_color"
    probable = cached(folder, "head_contact", TOUCH)[:, 0]
    colors = np.zeros(4 * len(head.vertices), np.float32)
    head.color_attributes["dice_contact_color"].data.foreach_get("color", colors)
    np.testing.assert_allclose(colors.reshape(-1, 4), contact.materials.heat(probable), atol=1e-4)
    assert contact.set_threshold(parts["head"], 0.5) == (probable >= 0.5).sum() > 0
    scene.frame_set(1 + TOUCH)
    np.testing.assert_array_equal(sequences.weights(parts["head"]) > 0, probable >= 0.5)


def test_shape_keys_show_the_largest_contact_of_all_frames(folder: Path) -> None:
    parts = built(folder, layout="shape_keys")
    for part in ("head", "hand_left"):
        probable = np.max([cached(folder, f"{part}_contact", k)[:, 0] for k in range(COUNT)], 0).astype(np.float32)
        np.testing.assert_array_equal(sequences.attribute(parts[part], "dice_contact"), probable)
        np.testing.assert_array_equal(sequences.weights(parts[part]), np.where(probable >= 0.05, probable, 0))
    names = [key.name for key in parts["head"].data.shape_keys.key_blocks]
    assert [name for name in names if name[0] == "f"] == [f"f{number:04}" for number in range(1, COUNT + 1)]
    pressed = [k for k in range(COUNT) if cached(folder, "head_deformation", k).any()]
    assert [name for name in names if name[0] == "d"] == [f"d{k + 1:04}" for k in pressed]


def test_the_layout_follows_the_length(folder: Path, tmp_path: Path) -> None:
    assert built(folder)["head"].data.shape_keys is not None
    write(tmp_path / "long", 251, parts=("head",))
    assert built(tmp_path / "long")["head"].data.shape_keys is None


def test_a_part_is_hidden_while_it_is_not_seen(folder: Path, scene: bpy.types.Scene) -> None:
    parts = built(folder)
    confidence = curve(folder, "hand_left_confidence")
    for k in range(HIDDEN[0] - 2, HIDDEN[1] + 2):
        scene.frame_set(1 + k)
        gone = HIDDEN[0] <= k < HIDDEN[1]
        for part in ("hand_left", "hand_left_rig"):
            assert (parts[part].hide_viewport, parts[part].hide_render) == (gone, gone)
        assert not parts["head"].hide_render
        assert parts["hand_left"]["confidence"] == pytest.approx(confidence[k], abs=0.0051)


@pytest.mark.parametrize("tolerance", [0.0, 0.005])
def test_the_rig_follows_the_mesh(folder: Path, scene: bpy.types.Scene, tolerance: float) -> None:
    parts = built(folder, layout="caches", tolerance=tolerance)
    parts["hand_left"].location.x += 1  # its rig comes along
    static = np.load(folder / "static.npz")
    for k in (0, 13, TOUCH, COUNT - 1):
        scene.frame_set(1 + k)
        for part in ("head", "hand_right", "hand_left"):
            rig = sequences.evaluated(parts[f"{part}_rig"])
            joints = np.append(static[f"{part}_bone_joints"], np.ones((len(rig.pose.bones), 1)), 1)
            wanted = (curve(folder, f"{part}_bone_transforms")[k] @ joints[..., None])[:, :3, 0]
            wanted = (wanted - ground(folder)) @ sequences.AXES.T + [part == "hand_left", 0, 0]
            heads = [rig.matrix_world @ rig.pose.bones[str(name)].head for name in static[f"{part}_bone_names"]]
            np.testing.assert_allclose(heads, wanted, atol=2e-6 if tolerance == 0 else 1e-3)
    for bone in parts["hand_left_rig"].pose.bones:
        assert bone.rotation_mode == "QUATERNION"
    assert all(not item.hide_get() for item in parts.values())


def test_quaternions_take_the_shorter_way_and_bones_that_stay_have_no_keys(folder: Path) -> None:
    rig = built(folder, tolerance=0.0)["hand_right_rig"]
    curves = compat.channels(rig).fcurves
    for name in ("hand.R", "f_index.02.R"):
        turns = [curves.find(f'pose.bones["{name}"].rotation_quaternion', index=index) for index in range(4)]
        values = np.array([[turn.evaluate(1 + k) for turn in turns] for k in range(COUNT)])
        assert (values[1:] * values[:-1]).sum(1).min() > 0.98
        np.testing.assert_allclose(np.linalg.norm(values, axis=1), 1, atol=1e-5)
        assert turns[0].group.name == name
    assert curves.find('pose.bones["palm.01.R"].rotation_quaternion', index=0) is None
    assert tuple(rig.pose.bones["palm.01.R"].rotation_quaternion) == pytest.approx((1, 0, 0, 0), abs=1e-6)
    assert curves.find('pose.bones["palm.01.R"].location') is None and all(rig.pose.bones["palm.01.R"].lock_location)


def test_expression_and_contact_are_keyed_properties(folder: Path, scene: bpy.types.Scene) -> None:
    head = built(folder)["head"]
    expression, touching = curve(folder, "params_head_expression"), curve(folder, "contact_probability")
    names = sequence_fill.action_names()
    assert len(names) == 52 and {"jawOpen", "eyeBlinkLeft"} <= set(names)
    for k in (0, 17, TOUCH):
        scene.frame_set(1 + k)
        np.testing.assert_allclose([head[name] for name in names], expression[k], atol=0.0051)
        assert head["contact_probability"] == pytest.approx(touching[k], abs=0.0051)


@pytest.mark.parametrize(
    ("rate", "fps", "base"),
    [(24, 24, 1), (24000 / 1001, 24, 1.001), (29.97, 30, 1.001), (60, 60, 1), (12.5, 13, 1.04), (0.5, 1, 2)],
)
def test_the_scene_gets_the_source_s_rate(tmp_path: Path, scene: bpy.types.Scene, rate: float, fps: int, base: float
                                          ) -> None:  # fmt: skip
    write(tmp_path / "clip", 10, parts=("head",), rate=rate)
    built(tmp_path / "clip", timing="source", first_frame=101)
    assert scene.render.fps == fps and scene.render.fps_base == pytest.approx(base, rel=1e-6)
    assert (scene.frame_start, scene.frame_end) == (101, 110)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_or_the_clip_keeps_time_in_the_scene_s_own_rate(tmp_path: Path, scene: bpy.types.Scene, layout: str) -> None:
    write(tmp_path, 40, rate=30.0, gaps={"hand_right": (20, 30)})
    scene.render.fps, scene.frame_end = 24, 77
    parts = built(tmp_path, layout=layout, timing="scene", first_frame=5, tolerance=0.0)
    confidence = curve(tmp_path, "head_confidence")
    for frame in (5, 9, 12, 28):
        scene.frame_set(frame)
        k = (frame - 5) * 30 / 24
        np.testing.assert_allclose(shown(parts["head"]), expected(tmp_path, "head", k), atol=2e-6)
        assert parts["head"]["confidence"] == pytest.approx(np.interp(k, range(40), confidence), abs=1e-4)
        assert parts["hand_right"].hide_render == (20 <= k < 30)
    assert (scene.render.fps, scene.frame_end) == (24, 77)


def test_the_camera_sees_what_the_captured_one_saw(folder: Path, scene: bpy.types.Scene) -> None:
    parts = built(folder)
    assert scene.camera == parts["camera"] and scene.render.resolution_x == 640
    assert parts["camera"].animation_data is None and parts["camera"].data.animation_data is None
    assert parts["camera"].data.lens * 640 / 36 == pytest.approx(610)
    np.testing.assert_allclose(parts["camera"].location, sequences.AXES @ -ground(folder), atol=1e-6)


def test_orthographic_cameras_follow_each_frame(tmp_path: Path, scene: bpy.types.Scene) -> None:
    write(tmp_path, 30, orthographic=True)
    parts = built(tmp_path, tolerance=0.0)
    origin, ortho, matrix = ground(tmp_path), curve(tmp_path, "camera_ortho"), curve(tmp_path, "camera_matrix")
    for k in (0, 11, 29):
        scene.frame_set(1 + k)
        item, (scale, x, y) = parts["camera"], ortho[k]
        assert item.data.type == "ORTHO" and item.data.ortho_scale == pytest.approx(640 / scale, rel=1e-6)
        np.testing.assert_allclose(item.location[0] + origin[0], (320 - x) / scale, atol=1e-6)
        np.testing.assert_allclose(-item.location[2] + origin[1], (180 - y) / scale, atol=1e-6)
        twin = parts["camera_perspective"].data
        assert twin.shift_x == pytest.approx((320 - matrix[k, 0, 2]) / 640, abs=1e-6)


def test_a_movie_is_shown_behind_the_camera(tmp_path: Path, scene: bpy.types.Scene) -> None:
    movie = write_movie(tmp_path / "clip.mp4", write_pictures(tmp_path / "pictures", 12))
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    write(tmp_path / "folder", 8, start=3, paths=(str(movie),), size=MOVIE_SIZE)
    camera = built(tmp_path / "folder", first_frame=21)["camera"].data
    clip = camera.background_images[0].clip
    assert camera.show_background_images and clip.filepath == "//clip.mp4"
    assert 21 - clip.frame_start + clip.frame_offset == 3
    bpy.context.scene.render.fps = 12
    clip = built(tmp_path / "folder", first_frame=21, timing="scene")["camera"].data.background_images[0].clip
    for frame, index in ((21, 3), (22, 5), (23, 7)):
        bpy.context.scene.frame_set(frame)
        assert frame - clip.frame_start + clip.frame_offset == index


@pytest.mark.parametrize("given", ["folder", "one", "all", "gone", "mixed", "another size"])
def test_so_are_pictures(tmp_path: Path, given: str) -> None:
    pictures = write_pictures(tmp_path / "pictures", 12, "shot_{:04}.png")
    paths = [str(path) for path in pictures]
    pictures[1].unlink()
    given_paths = {
        "folder": [str(tmp_path / "pictures")], "one": [paths[5]], "all": [paths[0], "", *paths[2:]],
        "gone": [str(tmp_path / "nothing")], "mixed": [*paths[:5], paths[0]], "another size": [paths[5]],
    }[given]  # fmt: skip
    size = (640, 360) if given == "another size" else MOVIE_SIZE
    write(tmp_path / "folder", 5, start=3, paths=tuple(given_paths), size=size)
    shown_behind = [one.clip for one in built(tmp_path / "folder")["camera"].data.background_images]
    if given in ("gone", "mixed", "another size"):
        assert not shown_behind and not bpy.data.movieclips
        return
    clip = shown_behind[0]
    assert clip.source == "SEQUENCE" and Path(clip.filepath).name == "shot_0000.png"
    assert 1 - clip.frame_start + clip.frame_offset == 3


def test_parts_and_facts(folder: Path) -> None:
    collection = build_sequence(folder, bpy.context.scene)
    parts = build.parts(collection)
    assert list(parts) == [
        "head", "hand_right", "hand_left", "head_rig", "hand_right_rig", "hand_left_rig", "camera",
    ]  # fmt: skip
    assert {item.name for item in build.meshes(collection)} == {"Head", "Hand.R", "Hand.L"}
    assert collection.name == "DICE clip" and is_sequence(collection) and folder_of(collection) == folder
    assert [slot.material.name for slot in parts["head"].material_slots] == ["DICE Skin"]
    contact.show(build.meshes(collection), True)
    assert [slot.material.name for slot in parts["head"].material_slots] == ["DICE Contact"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_deleting_it_leaves_nothing(folder: Path, scene: bpy.types.Scene, layout: str) -> None:
    other = bpy.data.objects.new("mine", bpy.data.meshes.new("mine"))
    scene.collection.objects.link(other)
    before = blocks()
    first, second = (build_sequence(folder, scene, layout=layout) for _ in range(2))
    copy = build.parts(second)["head"].copy()
    scene.collection.objects.link(copy)
    build.remove(first)
    scene.frame_set(1 + TOUCH)
    np.testing.assert_allclose(shown(build.parts(second)["head"]), expected(folder, "head", TOUCH), atol=1e-6)
    build.remove(second)
    scene.frame_set(1 + TOUCH)
    if layout == "caches":  # a copy keeps what it needs
        np.testing.assert_allclose(shown(copy), expected(folder, "head", TOUCH), atol=1e-6)
    scene.collection.objects.unlink(copy)
    bpy.ops.outliner.orphans_purge(do_recursive=True)
    assert blocks() == before


def test_what_fails_leaves_nothing(folder: Path, scene: bpy.types.Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    before, size = blocks(), scene.render.resolution_x

    def fails(*_: object) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(sequence_fill, "animate_rig", fails)
    for layout in LAYOUTS:
        with pytest.raises(DiceError, match="could not be built"):
            build_sequence(folder, scene, layout=layout, timing="source")
        assert blocks() == before
    assert (scene.render.resolution_x, scene.frame_end, scene.camera) == (size, 250, None)
    with pytest.raises(DiceError, match="holds no captured sequence"):
        build_sequence(folder / "frames", scene)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_smoothing_anew_is_shown_in_the_same_objects(
    folder: Path, tmp_path: Path, scene: bpy.types.Scene, layout: str
) -> None:
    mine = Path(shutil.copytree(folder, tmp_path / "clip"))
    collection = build_sequence(mine, scene, layout=layout, tolerance=0.0)
    parts, before = build.parts(collection), blocks()
    parts["head"].location.x += 0.5
    skin = parts["head"].data.materials[0]
    skin.name = "Mine"
    write(mine, COUNT, parts=("head", "hand_right", "hand_left"), phase=0.5)
    rebuild_sequence(collection, scene)
    scene.frame_set(1 + TOUCH)
    moved = ground(folder) - ground(mine)  # it stays where it was put
    wanted = expected(mine, "head", TOUCH) + np.array([moved[0], moved[2], -moved[1]]) * -1 + [0.5, 0, 0]
    np.testing.assert_allclose(shown(parts["head"]), wanted, atol=1e-6)
    scene.frame_set(1 + HIDDEN[0])  # it is seen all the time now
    assert not parts["hand_left"].hide_render and not parts["hand_left_rig"].hide_viewport
    scene.frame_set(1 + TOUCH)
    assert parts["head"].data.materials[0] == skin
    assert parts["head"]["confidence"] == pytest.approx(curve(mine, "head_confidence")[TOUCH], abs=1e-4)
    assert how_many(blocks()) == how_many(before)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_reset_makes_everything_anew(folder: Path, scene: bpy.types.Scene, layout: str) -> None:
    collection = build_sequence(folder, scene, layout=layout)
    before = blocks()
    parts = build.parts(collection)
    bpy.data.objects.remove(parts["hand_left"])
    parts["head"].modifiers.clear()
    parts["head"].location = (1, 2, 3)
    parts["camera"].name = "Mine"
    reset_sequence(collection, scene)
    scene.frame_set(1 + TOUCH)
    for part in ("head", "hand_left"):
        np.testing.assert_allclose(shown(build.parts(collection)[part]), expected(folder, part, TOUCH), atol=1e-6)
    assert scene.camera == build.parts(collection)["camera"] and scene.camera.name == "Mine"
    bpy.ops.outliner.orphans_purge(do_recursive=True)  # of what the user removed
    assert how_many(blocks()) == how_many(before)


def test_the_folder_may_move_with_the_blend(folder: Path, tmp_path: Path, scene: bpy.types.Scene) -> None:
    shutil.copytree(folder, tmp_path / "a" / "clip")
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a" / "scene.blend"))
    collection = build_sequence(tmp_path / "a" / "clip", scene, layout="caches")
    assert collection[naming.FOLDER] == "//clip"
    assert build.parts(collection)["head"].modifiers[0].filepath == "//clip/head.pc2"
    bpy.ops.wm.save_mainfile()
    shutil.move(tmp_path / "a", tmp_path / "b")
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "b" / "scene.blend"))
    collection = bpy.data.collections["DICE clip"]
    assert folder_of(collection) == tmp_path / "b" / "clip"
    rebuild_sequence(collection, bpy.context.scene)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "elsewhere.blend"))  # Blender keeps the caches' paths right
    assert folder_of(collection) == tmp_path / "b" / "clip"
    shutil.rmtree(tmp_path / "b" / "clip")
    with pytest.raises(DiceError, match="has no sequence folder"):
        rebuild_sequence(collection, bpy.context.scene)


def test_edited_meshes_and_other_collections_are_told(folder: Path, scene: bpy.types.Scene) -> None:
    collection = build_sequence(folder, scene, layout="caches")
    build.parts(collection)["head"].data.vertices.add(1)
    with pytest.raises(DiceError, match="has 115 vertices"):
        rebuild_sequence(collection, scene)
    with pytest.raises(DiceError, match="is no captured sequence"):
        folder_of(bpy.data.collections.new("mine"))


def test_the_nodes_are_shared_and_a_stranger_s_are_left_alone(folder: Path) -> None:
    mine = bpy.data.node_groups.new("DICE Sequence", "GeometryNodeTree")
    parts = built(folder, layout="caches")
    groups = {parts[part].modifiers["DICE Sequence"].node_group for part in ("head", "hand_left")}
    assert len(groups) == 1 and mine not in groups

