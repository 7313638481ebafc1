# SPDX-License-Identifier: GPL-3.0-or-later
"""Expressions as shape keys: what is seen stays, the keys do what the body's data say, in any order with rigs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np
import pytest
from dice_capture.dice_blender import api
from dice_capture.dice_blender.scene import axes
from dice_capture.dice_core.body.openbody import head_model
from dice_capture.dice_core.errors import DiceError
from dice_capture.dice_core.types import Capture
from mathutils import Matrix
from numpy.typing import NDArray
from people import FLAME_EXPRESSIONS, TO_WORLD, flame_capture, open_capture, seen, skinned
from synthetic import capture

EXACT = 1e-6  # metres
ORDERS = (("expressions",), ("expressions", "rig"), ("rig", "expressions"))


@pytest.fixture
def person() -> Capture:
    return open_capture(sides=("right",))


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DICE_MODELS", str(tmp_path))
    return tmp_path


def made(person: Capture, order: tuple[str, ...]) -> bpy.types.Object:
    """The head, after rig and expressions in this order."""
    collection = api.import_capture(person)
    for step in order:
        api.rig(collection) if step == "rig" else api.add_expressions(collection)
    return api.parts(collection)["head"]


def values(head: bpy.types.Object) -> dict[str, float]:
    return {key.name: key.value for key in head.data.shape_keys.key_blocks[1:]}


def set_all(head: bpy.types.Object, value: float) -> None:
    for key in head.data.shape_keys.key_blocks[1:]:
        key.value = value


def in_world(person: Capture, rest: NDArray) -> NDArray:
    return axes.to_world(skinned(person.head.skeleton, rest), axes.ground(person))


@pytest.mark.parametrize("order", ORDERS, ids=" then ".join)
@pytest.mark.parametrize("deformation", [0.0, 1.0, 3.0])
def test_the_open_head_looks_as_captured(order: tuple[str, ...], deformation: float, person: Capture) -> None:
    head = made(person, order)
    head.data.shape_keys.key_blocks["Deformation"].value = deformation
    expected = person.head.vertices + deformation * person.head.deformation
    assert np.abs(seen(head) - axes.to_world(expected, axes.ground(person))).max() < EXACT


@pytest.mark.parametrize("order", ORDERS, ids=" then ".join)
def test_keys_do_what_the_open_head_does(order: tuple[str, ...], person: Capture) -> None:
    """Without any this person's neutral face; with one at 1 what the model says of that action."""
    head, model = made(person, order), head_model()
    keys, identity = head.data.shape_keys.key_blocks, person.params["head_identity"]
    assert [key.name for key in keys] == ["Basis", "Deformation", *model.expression_names]
    captured = dict(zip(model.expression_names, person.params["head_expression"].tolist(), strict=True))
    assert values(head) == captured | {"Deformation": 1.0} and max(captured.values()) > 0.5
    assert all((key.slider_min, key.slider_max) == (0, 1) for key in keys[2:])
    set_all(head, 0)
    none = np.zeros(52)
    assert np.abs(seen(head) - in_world(person, model.vertices(identity, none))).max() < 5e-6
    for name in ("jawOpen", "eyeBlinkLeft", "mouthSmileRight"):
        keys[name].value = 1
        one = none + (np.array(model.expression_names) == name)
        assert np.abs(seen(head) - in_world(person, model.vertices(identity, one))).max() < 5e-6
        keys[name].value = 0


def test_keys_turn_with_the_head(person: Capture) -> None:
    """An upright head opens its mouth downwards, as the model at rest does."""
    head = made(person, ("expressions", "rig"))
    for bone in bpy.data.objects["Head Rig"].pose.bones:
        bone.matrix_basis = Matrix()
    before = seen(head)
    head.data.shape_keys.key_blocks["jawOpen"].value = 0
    model = head_model()
    index = model.expression_names.index("jawOpen")
    change = -person.params["head_expression"][index] * model.expression[index] @ TO_WORLD.T
    assert np.abs(seen(head) - before - change).max() < EXACT


@pytest.mark.parametrize("order", ORDERS, ids=" then ".join)
def test_other_keys_stay_what_they_add(order: tuple[str, ...], person: Capture) -> None:
    collection = api.import_capture(person)
    head = api.parts(collection)["head"]
    key = head.shape_key_add(name="Mine", from_mix=False)
    key.data[7].co.z += 0.02
    key.value = 0.5
    before = seen(head)
    for step in order:
        api.rig(collection) if step == "rig" else api.add_expressions(collection)
    assert np.abs(seen(head) - before).max() < EXACT
    without = seen(head)
    key.value = 0
    moved = np.linalg.norm(seen(head) - without, axis=1)
    assert moved[7] == pytest.approx(0.01, abs=1e-6) and np.delete(moved, 7).max() < EXACT


def test_a_head_without_any_keys(person: Capture) -> None:
    collection = api.import_capture(person)
    head = api.parts(collection)["head"]
    head.shape_key_clear()
    api.add_expressions(collection)
    assert np.abs(seen(head) - axes.to_world(person.head.vertices, axes.ground(person))).max() < EXACT


def test_a_head_whose_transforms_were_applied(person: Capture) -> None:
    collection = api.import_capture(person)
    head = api.parts(collection)["head"]
    change = Matrix.LocRotScale((0.2, 0.5, -1), Matrix.Rotation(0.8, 3, "Y").to_euler(), (2,) * 3)
    head.data.transform(change, shape_keys=True)
    head.matrix_world = change.inverted()
    api.add_expressions(collection)
    assert np.abs(seen(head) - seen(made(person, ("expressions",)))).max() < 5e-6
    set_all(head, 0)
    neutral = in_world(person, head_model().vertices(person.params["head_identity"], np.zeros(52)))
    assert np.abs(seen(head) - neutral).max() < 5e-6


@pytest.mark.parametrize("order", ORDERS, ids=" then ".join)
@pytest.mark.parametrize("side", ["right", "left"])
def test_flames_components(side: str, order: tuple[str, ...], models: Path) -> None:
    """A step of a component is its direction at rest, turned as the bones turn it; for a left hand in a mirror."""
    person, rest = flame_capture(side, models)
    head = made(person, order)
    captured = person.params[f"{side}_face_exp"]
    names = [f"FLAME exp {number:02}" for number in range(FLAME_EXPRESSIONS)]
    found = values(head)
    assert list(found) == ["Deformation", *names]
    assert np.array_equal(np.float32([found[name] for name in names]), captured)
    assert np.abs(seen(head) - in_world(person, rest)).max() < EXACT
    key = head.data.shape_keys.key_blocks[names[3]]
    assert key.slider_max == 5 and key.slider_min == -5, "the least that holds what was captured"
    with np.load(models / "flame.npz") as data:
        direction = data["shapedirs"][-FLAME_EXPRESSIONS + 3] * [1 if side == "right" else -1, -1, -1]
    key.value = captured[3] + 1.5
    assert np.abs(seen(head) - in_world(person, rest + 1.5 * direction)).max() < 2e-6


@pytest.mark.parametrize("fault", ["missing", "damaged", "another head's"])
def test_what_flames_file_lacks(fault: str, models: Path) -> None:
    person, _ = flame_capture("right", models)
    if fault == "missing":
        (models / "flame.npz").unlink()
    elif fault == "damaged":
        (models / "flame.npz").write_bytes(b"nothing of the kind")
    else:
        np.savez(models / "flame.npz", shapedirs=np.zeros((100, 30, 3)))
    collection = api.import_capture(person)
    head = api.parts(collection)["head"]
    messages = {"missing": "no .*flame.npz.*convert", "damaged": "damaged.*convert", "another head's": "not known"}
    with pytest.raises(DiceError, match=messages[fault]):
        api.add_expressions(collection)
    assert list(values(head)) == ["Deformation"]
    assert np.abs(seen(head) - axes.to_world(person.head.vertices, axes.ground(person))).max() < EXACT


def test_what_has_no_expression_says_so(person: Capture) -> None:
    for given, message in (
        (capture(), "not known|bones"),
        (replace(person, head=None), "no head"),
        (replace(person, head=replace(person.head, skeleton=None)), "bones"),
        (replace(person, params={}), "not known"),
        (replace(person, engine="truth"), "not known"),
    ):
        with pytest.raises(DiceError, match=message):
            api.add_expressions(api.import_capture(given))
    collection = api.import_capture(person)
    api.parts(collection)["head"].data.vertices.add(1)
    with pytest.raises(DiceError, match="was edited"):
        api.add_expressions(collection)


def test_the_operator_adds_them_once(person: Capture, registered: object) -> None:
    assert not bpy.ops.dice.add_expressions.poll()
    collection = api.import_capture(person)
    assert bpy.ops.dice.add_expressions() == {"FINISHED"}
    assert "jawOpen" in values(api.parts(collection)["head"])
    assert not bpy.ops.dice.add_expressions.poll()
    with pytest.raises(DiceError, match="has its expressions"):
        api.add_expressions(collection)
    api.import_capture(open_capture(head=False))
    assert not bpy.ops.dice.add_expressions.poll()
