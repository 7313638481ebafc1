# SPDX-License-Identifier: GPL-3.0-or-later
"""Rigs: nothing moves when they are added; cleared of the pose, bodies are at rest; bones bend what they are for."""

from __future__ import annotations

from dataclasses import replace
from math import radians
from pathlib import Path

import bpy
import numpy as np
import pytest
from dice_capture.dice_blender import api, preferences
from dice_capture.dice_blender.scene import armature, axes, build
from dice_capture.dice_core.body.openbody import hand_model, head_model
from dice_capture.dice_core.errors import DiceError
from dice_capture.dice_core.types import Capture
from mathutils import Matrix
from numpy.typing import NDArray
from people import TO_WORLD, open_capture, seen
from synthetic import capture

SIDES = {"right": ".R", "left": ".L"}
FINGERS = ("thumb", "f_index", "f_middle", "f_ring", "f_pinky")
TIPS = (4, 8, 12, 16, 20)
EXACT = 1e-6  # metres


@pytest.fixture
def person() -> Capture:
    return open_capture()


@pytest.fixture
def collection(person: Capture) -> bpy.types.Collection:
    return api.import_capture(person)


def expected(person: Capture, deformation: float = 1.0) -> dict[str, NDArray]:
    origin = axes.ground(person)
    found = {f"hand_{hand.side}": axes.to_world(hand.vertices, origin) for hand in person.hands}
    if person.head is not None:
        found["head"] = axes.to_world(person.head.vertices + deformation * person.head.deformation, origin)
    return found


def check(collection: bpy.types.Collection, places: dict[str, NDArray]) -> None:
    parts = api.parts(collection)
    for part, vertices in places.items():
        assert np.abs(seen(parts[part]) - vertices).max() < EXACT, part


def clear(item: bpy.types.Object) -> None:
    for bone in item.pose.bones:
        bone.matrix_basis = Matrix()


def keypoints(rig: bpy.types.Object, side: str) -> dict[str, NDArray]:
    """Where the bones of a hand begin in the world, and as `tip` where its fingers end."""
    bpy.context.view_layer.update()
    found = {bone.name.removesuffix(SIDES[side]): np.array(rig.matrix_world @ bone.head) for bone in rig.pose.bones}
    ends = {finger: rig.pose.bones[f"{finger}.03{SIDES[side]}"] for finger in FINGERS}
    return found | {f"{finger}.tip": np.array(rig.matrix_world @ bone.tail) for finger, bone in ends.items()}


@pytest.mark.parametrize("deformation", [0.0, 1.0, 3.0])
def test_nothing_moves(deformation: float, person: Capture, collection: bpy.types.Collection) -> None:
    rigs = api.rig(collection)
    assert sorted(item.name for item in rigs) == ["Hand Rig.L", "Hand Rig.R", "Head Rig"]
    parts = api.parts(collection)
    assert {"head_rig", "hand_right_rig", "hand_left_rig"} <= parts.keys() and len(build.meshes(collection)) == 3
    parts["head"].data.shape_keys.key_blocks["Deformation"].value = deformation
    check(collection, expected(person, deformation))


def test_cleared_bodies_are_at_rest(person: Capture, collection: bpy.types.Collection) -> None:
    """The head stands upright about the end of its neck, hands are flat about their wrists, deformed as before."""
    for item in api.rig(collection):
        clear(item)
    parts, params, origin = api.parts(collection), person.params, axes.ground(person)
    rest = {"head": head_model().vertices(params["head_identity"], params["head_expression"])}
    turn = person.head.skeleton.transforms[0, :3, :3]
    rest["head"] += person.head.deformation @ turn
    for hand in person.hands:
        model = hand_model(hand.side)
        rest[f"hand_{hand.side}"] = model.mean + np.tensordot(params[f"hand_{hand.side}_betas"], model.shape, 1)
    skeletons = {"head": person.head.skeleton} | {f"hand_{hand.side}": hand.skeleton for hand in person.hands}
    for part, vertices in rest.items():
        root, transform = skeletons[part].joints[0], skeletons[part].transforms[0]
        stays = axes.to_world(transform[:3, :3] @ root + transform[:3, 3], origin)
        assert np.abs(seen(parts[part]) - ((vertices - root) @ TO_WORLD.T + stays)).max() < 5e-6, part


def test_bones_lie_at_the_captured_joints(person: Capture, collection: bpy.types.Collection) -> None:
    api.rig(collection)
    for hand in person.hands:
        found = keypoints(api.parts(collection)[f"hand_{hand.side}_rig"], hand.side)
        joints = axes.to_world(hand.joints, axes.ground(person))
        assert np.abs(found["hand"] - joints[0]).max() < EXACT
        for finger, name in enumerate(FINGERS):
            for bone in range(3):
                assert np.abs(found[f"{name}.{bone + 1:02}"] - joints[1 + 4 * finger + bone]).max() < EXACT
            assert np.linalg.norm(found[f"{name}.tip"] - joints[TIPS[finger]]) < 0.012  # which lies inside the finger


def test_bones_reach_to_the_next(collection: bpy.types.Collection) -> None:
    for rig in api.rig(collection):
        for bone in rig.data.bones:
            assert bone.length > 0.003
            if len(bone.children) == 1:
                assert (bone.tail_local - bone.children[0].head_local).length < EXACT, bone.name


@pytest.mark.parametrize("side", SIDES)
def test_positive_x_closes_fingers(side: str, collection: bpy.types.Collection) -> None:
    api.rig(collection)
    rig = api.parts(collection)[f"hand_{side}_rig"]
    clear(rig)
    before = keypoints(rig, side)
    palm = np.mean([before[name] for name in ("hand", "f_index.01", "f_pinky.01")], axis=0)
    for finger in FINGERS:
        bones = [rig.pose.bones[f"{finger}.{number:02}{SIDES[side]}"] for number in (1, 2, 3)]
        for bone in bones:
            assert bone.rotation_mode == "XYZ" and all(bone.lock_location)
            bone.rotation_euler.x = radians(45)
        after = keypoints(rig, side)
        tip = f"{finger}.tip"
        reach = {"before": np.linalg.norm(before[tip] - palm), "after": np.linalg.norm(after[tip] - palm)}
        assert reach["after"] < 0.75 * reach["before"], finger
        others = [name for name in before if not name.startswith(finger)]
        assert max(np.linalg.norm(after[name] - before[name]) for name in others) < EXACT
        clear(rig)
        bones[2].rotation_euler.x = radians(45)  # it turns about its X axis and nothing else
        along, bent = before[tip] - before[f"{finger}.03"], keypoints(rig, side)[tip] - before[f"{finger}.03"]
        assert along @ bent / (along @ along) == pytest.approx(np.cos(radians(45)), abs=1e-4)
        clear(rig)


@pytest.mark.parametrize("side", SIDES)
def test_thumbs_go_across_the_palm(side: str, collection: bpy.types.Collection) -> None:
    api.rig(collection)
    rig = api.parts(collection)[f"hand_{side}_rig"]
    clear(rig)
    before = keypoints(rig, side)
    for number in (1, 2, 3):
        rig.pose.bones[f"thumb.{number:02}{SIDES[side]}"].rotation_euler.x = radians(30)
    after = keypoints(rig, side)
    little, tip = before["f_pinky.01"], "thumb.tip"
    assert np.linalg.norm(after[tip] - little) < 0.7 * np.linalg.norm(before[tip] - little)
    palmar = np.cross(before["f_index.01"] - before["hand"], before["f_pinky.01"] - before["hand"])
    palmar *= (1 if side == "right" else -1) / np.linalg.norm(palmar)
    assert (after[tip] - before["hand"]) @ palmar > 0.01, "before the palm, not through it"


def test_head_bones_do_what_their_names_say(collection: bpy.types.Collection) -> None:
    api.rig(collection)
    parts = api.parts(collection)
    rig, head = parts["head_rig"], parts["head"]
    clear(rig)
    model, before = head_model(), seen(head)
    chin, nose, crown = model.triangles[152, 0], model.triangles[1, 0], before[:, 2].argmax()

    def moved(bone: str, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> NDArray:
        rig.pose.bones[bone].rotation_euler = radians(x), radians(y), radians(z)
        change = seen(head) - before
        clear(rig)
        return change

    jaw = moved("jaw", 20)
    assert jaw[chin, 2] < -0.015 and np.abs(jaw[[nose, crown]]).max() < 0.001
    bow = moved("head", 20)
    assert bow[nose, 2] < -0.02 and bow[crown, 1] < -0.02, "the nose goes down, the crown forward"
    for eye, side in (("eye.L", 1), ("eye.R", -1)):
        ball = np.flatnonzero((model.part == 2) & (side * model.mean[:, 0] > 0))
        front = ball[before[ball, 1].argmin()]
        down, turn = moved(eye, 20), moved(eye, z=20)
        assert down[front, 2] < -0.004 and np.abs(turn[front, 0]) > 0.004 > np.abs(turn[front, 2])
        # about the middle of the neutral eyeball, which the captured glance has shifted by a little
        assert np.abs(down[ball].mean(0)).max() < 3e-4
        assert np.linalg.norm(down[model.part != 2], axis=1).max() < 0.001


@pytest.mark.parametrize("how", ["moved", "scaled", "parented"])
def test_it_stays_where_the_user_put_it(how: str, collection: bpy.types.Collection) -> None:
    parts = api.parts(collection)
    items = [parts["head"], parts["hand_left"]]
    other = bpy.data.objects.new("Empty", None)
    bpy.context.scene.collection.objects.link(other)
    other.location, other.rotation_euler = (0.3, 0.1, -0.2), (0.4, 0, 0.2)
    for item in items:
        item.location, item.rotation_euler = (1, -2, 0.5), (0.3, 1.0, -0.7)
        if how == "scaled":
            item.scale = 2.5, 2.5, 2.5
        if how == "parented":
            item.parent = other
    before = {item: seen(item) for item in items}
    api.rig(collection)
    for item, vertices in before.items():
        assert np.abs(seen(item) - vertices).max() < 3 * EXACT
    if how == "parented":
        place = np.array(other.matrix_world)
        other.location.z += 1
        for item, vertices in before.items():
            assert np.abs(seen(item) - vertices - [0, 0, 1]).max() < 3 * EXACT
        assert np.abs(np.array(other.matrix_world) - place).max() == pytest.approx(1)
    else:
        rig = api.parts(collection)["head_rig"]
        rig.location.x += 1
        assert np.abs(seen(items[0]) - before[items[0]] - [1, 0, 0]).max() < 3 * EXACT, "the rig carries the mesh"


def test_applied_transforms_do_no_harm(person: Capture, collection: bpy.types.Collection) -> None:
    """A turned, scaled and shifted mesh, and the object turned back, as after Apply Transforms and Set Origin."""
    change = Matrix.LocRotScale((0.2, 0.5, -1), Matrix.Rotation(0.8, 3, "Y").to_euler(), (1.6,) * 3)
    for item in build.meshes(collection):
        item.data.transform(change, shape_keys=True)
        item.matrix_world = change.inverted()
    straight = api.import_capture(person)
    for other in (collection, straight):
        api.rig(other)
    check(collection, expected(person))
    for other in (collection, straight):
        for rig in (api.parts(other)["head_rig"], api.parts(other)["hand_left_rig"]):
            clear(rig)
    for part in ("head", "hand_left"):
        assert np.abs(seen(api.parts(collection)[part]) - seen(api.parts(straight)[part])).max() < 1e-5


def test_the_users_keys_and_modifiers_stay(person: Capture, collection: bpy.types.Collection) -> None:
    head = api.parts(collection)["head"]
    key = head.shape_key_add(name="Mine", from_mix=False)
    for index in range(0, len(head.data.vertices), 3):
        key.data[index].co.z += 0.01
    key.value = 0.7
    head.modifiers.new("Subdivision", "SUBSURF").show_viewport = False
    before = seen(head)
    api.rig(collection)
    assert np.abs(seen(head) - before).max() < EXACT
    assert [modifier.name for modifier in head.modifiers] == ["Rig", "Subdivision"]
    clear(api.parts(collection)["head_rig"])
    with_key = seen(head)
    key.value = 0
    assert np.linalg.norm(with_key - seen(head), axis=1)[::3] == pytest.approx(0.007, abs=1e-5)


def test_weights_are_vertex_groups(person: Capture, collection: bpy.types.Collection) -> None:
    api.rig(collection)
    item = api.parts(collection)["hand_right"]
    names = [group.name for group in item.vertex_groups]
    assert names == ["Contact", *person.hands[0].skeleton.names]
    found = np.zeros((len(item.data.vertices), len(names)))
    for vertex in item.data.vertices:
        for group in vertex.groups:
            found[vertex.index, group.group] = group.weight
    assert np.array_equal(np.float32(found[:, 1:]), person.hands[0].skeleton.weights)
    contact = person.hands[0].contact
    assert np.array_equal(np.float32(found[:, 0]), np.where(contact >= 0.05, contact, 0))


@pytest.mark.parametrize("left", ["head", "hand_right", "hand_left"])
def test_what_was_deleted_is_skipped(left: str, person: Capture, collection: bpy.types.Collection) -> None:
    for part, item in api.parts(collection).items():
        if item.type == "MESH" and part != left:
            bpy.data.objects.remove(item)
    (rig,) = api.rig(collection)
    assert rig["dice_part"] == f"{left}_rig"
    check(collection, {left: expected(person)[left]})


@pytest.mark.parametrize("given", [{"head": False, "sides": ("left",)}, {"sides": ()}])
def test_half_a_capture(given: dict) -> None:
    person = open_capture(**given)
    collection = api.import_capture(person)
    assert len(api.rig(collection)) == 1
    check(collection, expected(person))


def contents() -> dict[str, object]:
    kinds = ("objects", "meshes", "armatures", "collections", "scenes", "actions", "shape_keys")
    found: dict[str, object] = {kind: sorted(getattr(bpy.data, kind).keys()) for kind in kinds}
    for item in bpy.data.objects:
        if item.type == "MESH":
            places = [tuple(vertex.co) for vertex in item.data.vertices]
            found[item.name] = (places, item.vertex_groups.keys(), item.modifiers.keys(), item.parent)
    return found


@pytest.mark.parametrize("what", ["an edited mesh", "no bones", "a failure"])
def test_a_failure_changes_nothing(what: str, person: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    if what == "no bones":
        person = replace(person, head=replace(person.head, skeleton=None))
    collection = api.import_capture(person)
    if what == "an edited mesh":
        api.parts(collection)["hand_left"].data.vertices.add(1)
    calls, original = [], armature._pose

    def fail(*given: object) -> NDArray:
        calls.append(given)
        if what == "a failure" and len(calls) == 3:
            raise ZeroDivisionError("on purpose")
        return original(*given)

    monkeypatch.setattr(armature, "_pose", fail)
    before = contents()
    message = {"an edited mesh": "Hand.L was edited", "no bones": "before captures had bones", "a failure": "purpose"}
    with pytest.raises(DiceError, match=message[what]):
        api.rig(collection)
    assert contents() == before


def test_captures_without_bones_say_so() -> None:
    with pytest.raises(DiceError, match="bones.*Capture the photograph again"):
        api.rig(api.import_capture(capture()))


def test_hidden_and_excluded_captures(person: Capture, collection: bpy.types.Collection) -> None:
    layer = bpy.context.view_layer
    layer.layer_collection.children[collection.name].exclude = True
    api.rig(collection)
    layer.layer_collection.children[collection.name].exclude = False
    check(collection, expected(person))
    assert len(bpy.data.scenes) == 1 and bpy.context.mode == "OBJECT"


def test_a_linked_duplicate_keeps_its_pose(person: Capture, collection: bpy.types.Collection) -> None:
    own = bpy.data.objects.new("Mine", api.parts(collection)["head"].data)
    bpy.context.scene.collection.objects.link(own)
    api.rig(collection)
    assert np.abs(seen(own) - expected(person)["head"]).max() < EXACT
    check(collection, expected(person))


def test_a_deleted_rig_is_made_anew(person: Capture, collection: bpy.types.Collection) -> None:
    api.rig(collection)
    bpy.data.objects.remove(api.parts(collection)["head_rig"])
    (rig,) = api.rig(collection)
    check(collection, expected(person))
    assert [modifier.object for modifier in api.parts(collection)["head"].modifiers] == [rig]


@pytest.mark.slow
def test_a_photograph_from_the_runtime(registered: object) -> None:
    """The sample, captured by the worker: rigged and with its expressions it looks the same."""
    assert preferences.is_installed(), f"no complete runtime in {preferences.runtime()}: run `make test`"
    collection = api.capture(Path(__file__).parents[1] / "data" / "sample.jpg")
    assert bpy.ops.dice.rig() == bpy.ops.dice.add_expressions() == {"FINISHED"}
    person = api.kept(collection)
    assert {item.name for item in collection.objects} >= {"Head Rig", "Hand Rig.R"}
    check(collection, expected(person))


@pytest.mark.usefixtures("registered")
class TestOperator:
    def test_rigs_once(self, person: Capture) -> None:
        assert not bpy.ops.dice.rig.poll()
        collection = api.import_capture(person)
        head, layer = api.parts(collection)["head"], bpy.context.view_layer
        head.select_set(True)
        layer.objects.active = head
        assert bpy.ops.dice.rig() == {"FINISHED"}
        check(collection, expected(person))
        rigs = [item for part, item in api.parts(collection).items() if part.endswith("_rig")]
        assert set(bpy.context.selected_objects) == set(rigs) and layer.objects.active in rigs  # ready for Pose Mode
        assert bpy.context.mode == "OBJECT"
        assert not bpy.ops.dice.rig.poll()
        with pytest.raises(DiceError, match="lacks a rig"):
            api.rig(collection)

    def test_contact_can_still_be_chosen(self, person: Capture) -> None:
        collection = api.import_capture(person)
        bpy.ops.dice.rig()
        assert bpy.ops.dice.contact_threshold(least=0.5) == {"FINISHED"}
        item = api.parts(collection)["hand_right"]
        group = item.vertex_groups["Contact"].index
        inside = [any(one.group == group for one in vertex.groups) for vertex in item.data.vertices]
        assert np.array_equal(inside, person.hands[0].contact >= 0.5)
        check(collection, expected(person))

    def test_deleting_takes_the_rigs_along(self, person: Capture) -> None:
        kinds = ("objects", "meshes", "armatures", "collections", "shape_keys")
        before = {kind: len(getattr(bpy.data, kind)) for kind in kinds}
        api.import_capture(person)
        bpy.ops.dice.rig()
        assert bpy.ops.dice.delete() == {"FINISHED"}
        assert {kind: len(getattr(bpy.data, kind)) for kind in kinds} == before

    def test_says_what_is_wrong(self) -> None:
        api.import_capture(capture())
        with pytest.raises(RuntimeError, match="bones"):
            bpy.ops.dice.rig()
